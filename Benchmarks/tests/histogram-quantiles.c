// Reads whole numbers, one a line, and prints the quantiles that the histogram of Benchmarks/load finds for the shares
// among its arguments, one a line.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "../load/histogram.h"

int main(int count, char **arguments) {
    static Histogram histogram;
    uint64_t value;
    while (scanf("%" SCNu64, &value) == 1) histogram_add(&histogram, value);
    for (int index = 1; index < count; index++)
        printf("%" PRIu64 "\n", histogram_quantile(&histogram, strtod(arguments[index], NULL)));
}
