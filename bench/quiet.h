/* quiet: does anybody else use what we measure on?
 *
 *     others      other programs of this system, by /proc/stat: they are told of at the end
 *     reference   a loop of plain arithmetic, run before and after each measured process. Where a
 *                 core is shared with somebody whom we cannot see (a hyperthread that belongs to
 *                 another virtual machine), it slows down by half, and so does what we measure.
 *
 * A run beside a slow reference counts as disturbed. That is decided without a look at the run's
 * own figure, so leaving it out favours nobody. */
#ifndef BENCH_QUIET_H
#define BENCH_QUIET_H

#include <stdbool.h>

/* CPU seconds that all others have used since the machine started; NAN where nobody says. */
double others_seconds(void);

/* Nanoseconds of one reference loop. */
double reference_time(void);
/* How fast the machine can be: the fastest twentieth of many readings, over three seconds. The very
 * fastest one may owe it to a moment's higher clock. */
double reference_best(void);
/* Is a reading too slow to be trusted? */
bool reference_is_slow(double reading, double best);

#endif
