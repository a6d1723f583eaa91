/* measure: clocks, the instruction counter, and the two statistics that are printed.
 *
 *     loop:   pass x 1, x 2, x 4 ... until one run is long enough; that run is the figure, the
 *             shorter ones before it were the warm-up
 *     short:  each region by itself, the median of many
 *
 * A loop is timed in CPU time, so that being preempted costs the others nothing and us nothing. A
 * short region is timed by the monotonic clock, which needs no system call; the clock's own cost
 * is measured and taken off, and the median drops the regions that were interrupted. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What one round of one variant gave. NAN where a number cannot be had. */
typedef struct figure {
    double value;        /* in the bench's unit, an operation */
    double instructions; /* an operation, in user mode */
} figure;

typedef struct job {
    size_t size; /* the bench's parameter: how many live blocks, say */
    bool quick;  /* only prove that it runs */
} job;

/* Runs `count` passes over the state. */
typedef void pass(void *state, size_t count);

/* Nanoseconds an operation, where a pass has `operations` of them. */
figure measure_loop(const job *given, pass *run, void *state, double operations);

/* Monotonic nanoseconds, and what reading them twice costs. */
uint64_t clock_now(void);
double clock_cost(void);

/* Opens the counter of this process; where the machine has none, every reading is NAN. */
void counter_open(void);

/* For figures whose instructions nobody counts. */
double not_counted(void);

/* The value at `part` (0 to 1) of a sorted copy, between two of them where it falls so; NAN of
 * none. The median. */
double quantile_of(const double *values, size_t count, double part);
double median_of(const double *values, size_t count);
/* Half of the interquartile range; NAN of fewer than two. */
double half_range_of(const double *values, size_t count);

/* Stores to the first word of a block. No compiler may drop the store; it learns nothing else. */
static inline void store(void *block, uint64_t value)
{
    uint64_t *word = block;
    *word = value;
    __asm__ volatile("" : : "m"(*word));
}

#endif
