/* convert: the forms, a file each. Each reads the trace for itself and writes to `to`; false: there
 * was no memory, or the trace has no operations (said). */
#ifndef FIEF_TOOL_CONVERT_H
#define FIEF_TOOL_CONVERT_H

#include "tally.h"

typedef struct conversion {
    const char *path, *value;
    uint64_t from;
    FILE *to;
} conversion;

int convert_massif(const conversion *c);
int convert_folded(const conversion *c);
int convert_pprof(const conversion *c);
int convert_ops(const conversion *c);

/* At the peak, or at the end where `at_peak` is false: what lives by site. The trace is left
 * open. */
trace *tally_for(const conversion *c, tally *ret, bool at_peak, int *ret_status);

#endif
