/* emit: what stands before and behind a program's C form; and a leak's report is kept quiet. */
#ifndef FIEF_FUZZ_EMIT_H
#define FIEF_FUZZ_EMIT_H

#include <stdbool.h>
#include <stdio.h>

/* os_fails: the program makes the OS fail, which no call of the API can. */
void emit_head(FILE *c, const char *name, bool os_fails);
/* `end`: what the run wrote for the program's end; fewer where it did not come so far. */
void emit_tail(FILE *c, const char *end);

/* Between the two, nothing reaches stderr. */
void quiet_begin(void);
void quiet_end(void);

#endif
