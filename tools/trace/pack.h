/* pack: ends a trace whose program is gone: its open block becomes a packed one, and facts and the
 * finish come behind it. */
#ifndef FIEF_TRACE_PACK_H
#define FIEF_TRACE_PACK_H

#include "trace.h"

typedef struct trace_fact {
    const char *name, *value;
} trace_fact;

/* A trace that is whole already, or cut elsewhere, stays as it is. False: `error` has a line. */
bool trace_pack(const char *path, bool raw, const trace_fact *facts, size_t count,
                uint64_t *ret_operations, uint64_t *ret_size, char *error, size_t size);

#endif
