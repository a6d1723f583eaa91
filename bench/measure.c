#include "measure.h"

#include <linux/perf_event.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const double loop_seconds = 0.02, loop_seconds_quick = 0.0005;
enum { CLOCK_TRIES = 1001 };

static int counter = -1;

/* ---- clocks ---- */

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

uint64_t clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

double clock_cost(void)
{
    static double tries[CLOCK_TRIES];
    for (size_t i = 0; i < CLOCK_TRIES; i++) {
        uint64_t start = clock_now();
        tries[i] = (double)(clock_now() - start);
    }
    return median_of(tries, CLOCK_TRIES);
}

/* ---- instructions ---- */

void counter_open(void)
{
    struct perf_event_attr wanted;
    memset(&wanted, 0, sizeof wanted);
    wanted.size = sizeof wanted;
    wanted.type = PERF_TYPE_HARDWARE;
    wanted.config = PERF_COUNT_HW_INSTRUCTIONS;
    wanted.exclude_kernel = 1;
    wanted.exclude_hv = 1;
    counter = (int)syscall(SYS_perf_event_open, &wanted, 0, -1, -1, 0);
}

static double instructions_so_far(void)
{
    uint64_t count;
    return counter >= 0 && read(counter, &count, sizeof count) == sizeof count ? (double)count
                                                                               : not_counted();
}

double not_counted(void)
{
    return (double)NAN;
}

/* ---- loops ---- */

figure measure_loop(const job *given, pass *run, void *state, double operations)
{
    double least = given->quick ? loop_seconds_quick : loop_seconds;
    for (size_t count = 1;; count *= 2) {
        double instructions = instructions_so_far();
        double start = cpu_seconds();
        run(state, count);
        double seconds = cpu_seconds() - start;
        instructions = instructions_so_far() - instructions;
        if (seconds >= least) {
            double done = (double)count * operations;
            return (figure){seconds * 1e9 / done, instructions / done};
        }
    }
}

/* ---- statistics ---- */

static int compare(const void *left, const void *right)
{
    double a, b;
    memcpy(&a, left, sizeof a);
    memcpy(&b, right, sizeof b);
    return (a > b) - (a < b);
}

/* The value at `part` (0 to 1) of the sorted ones, between two of them where it falls so. */
static double quantile(const double *sorted, size_t count, double part)
{
    double at = part * (double)(count - 1);
    size_t below = (size_t)at;
    size_t above = below + 1 < count ? below + 1 : below;
    return sorted[below] + (at - (double)below) * (sorted[above] - sorted[below]);
}

double quantile_of(const double *values, size_t count, double part)
{
    double *sorted = malloc((count + 1) * sizeof *sorted);
    if (sorted == NULL) {
        abort();
    }
    memcpy(sorted, values, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare);
    double found = count > 0 ? quantile(sorted, count, part) : (double)NAN;
    free(sorted);
    return found;
}

double median_of(const double *values, size_t count)
{
    return quantile_of(values, count, 0.5);
}

double half_range_of(const double *values, size_t count)
{
    double width = quantile_of(values, count, 0.75) - quantile_of(values, count, 0.25);
    return count < 2 ? (double)NAN : width / 2;
}
