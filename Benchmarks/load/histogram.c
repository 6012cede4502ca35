#include "histogram.h"

#include <math.h>

static unsigned place_of(uint64_t value) {
    if (value < histogram_parts) return (unsigned)value;
    // Shifted so far, a value keeps its highest bit and the bits that name its part.
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - histogram_parts_bits;
    return shift * histogram_parts + (unsigned)(value >> shift);
}

static uint64_t middle_of(unsigned place) {
    if (place < 2 * histogram_parts) return place;
    unsigned shift = place / histogram_parts - 1;
    uint64_t lowest = (uint64_t)(place % histogram_parts + histogram_parts) << shift;
    return lowest + ((uint64_t)1 << shift) / 2;
}

void histogram_add(Histogram *histogram, uint64_t value) {
    histogram->places[place_of(value)]++;
    histogram->count++;
    if (value > histogram->highest) histogram->highest = value;
}

uint64_t histogram_quantile(const Histogram *histogram, double share) {
    uint64_t rank = (uint64_t)ceil(share * (double)histogram->count), passed = 0;
    if (rank >= histogram->count) return histogram->highest;
    for (unsigned place = 0; place < histogram_places; place++) {
        passed += histogram->places[place];
        if (passed < rank || passed == 0) continue;
        uint64_t middle = middle_of(place);
        return middle < histogram->highest ? middle : histogram->highest;
    }
    return histogram->highest;
}
