// Latencies by size, in a fixed amount of memory.

#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

enum {
    // Each power of two is cut into so many equal parts, so that a value and the middle of its part differ by less
    // than 0.4 %.
    histogram_parts_bits = 7,
    histogram_parts = 1 << histogram_parts_bits,
    histogram_places = (64 - histogram_parts_bits + 1) * histogram_parts,
};

typedef struct {
    uint64_t places[histogram_places];
    uint64_t count, highest;
} Histogram;

void histogram_add(Histogram *histogram, uint64_t value);

// The value that `share` of all values, 0…1, do not exceed: the middle of its part, the highest value exactly.
uint64_t histogram_quantile(const Histogram *histogram, double share);

#endif
