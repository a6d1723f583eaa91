/* run: one child process, its report and its times.
 *
 * Every variant of every round is a process of its own. That is how peers are used (by LD_PRELOAD),
 * it gives each allocator a fresh heap and other addresses each time, so that the median is not one
 * lucky layout's, and it makes rounds easy to interleave. */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include <stdbool.h>
#include <stddef.h>

enum { REPORT_SIZE = 1024, REPORT_FD = 3 };

typedef struct outcome {
    char report[REPORT_SIZE]; /* what the child wrote to its report descriptor */
    double cpu_seconds;       /* user and system */
    int status;               /* as of a shell: 128 + the signal where one ended it */
} outcome;

/* Runs argv (ended by NULL) with LD_PRELOAD set to `preload`, or unset where that is NULL. The
 * report is what it writes to REPORT_FD; its stdout is dropped. `quiet` drops its stderr too.
 * False when no process could be made. */
bool run(const char *const *argv, const char *preload, bool quiet, outcome *ret_outcome);

/* Pins this process, and so its children, to one CPU; -1 where that cannot be done. */
int pin_to_one_cpu(void);

#endif
