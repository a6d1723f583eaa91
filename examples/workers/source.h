/* source: Lox files that nobody wrote: the same ones each time, of a few templates. Each defines
 * names of its own, so that all of them can run in one VM, and prints what came of it. */
#ifndef WORKERS_SOURCE_H
#define WORKERS_SOURCE_H

#include <stddef.h>

/* The text of file `number`, with so many pieces: functions, classes, closures. The caller's, from
 * malloc; NULL when memory is short. */
char *source_make(unsigned number, unsigned pieces, size_t *ret_size);

#endif
