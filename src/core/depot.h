/* depot: call stacks, each kept once and known by a 24-bit number.
 *
 *     heads    | 0 | 17 | 0 | ...                       the newest stack of each hash
 *     stacks   | next, count, where, frames... | next, count, where, frames... |
 *
 * A program allocates from few places often, so a record holds a number and the depot the frames.
 * Frames are found by frame pointers, within the stack's bounds; a host built without them gives
 * its own line and no more. Which files were loaded is noted as it changes: numbers grow with
 * time, so a number tells whose code its addresses were, even after a plugin was closed. Idea: the
 * stack depot of the sanitizers. */
#ifndef FIEF_DEPOT_H
#define FIEF_DEPOT_H

#include "os/os.h"

#include <fief/misuse.h>

typedef struct depot depot;

/* Where the host called from. Only a depot wants the frame, whose address costs a register. */
typedef struct call {
    const void *site, *frame;
} call;

/* A thread's stack; watched: its undefined bytes are somebody's concern. */
typedef struct bounds {
    const void *start, *end;
    bool watched;
} bounds;

/* NULL when memory is short; stacks are then unknown, and nothing else changes. */
depot *depot_open(uint64_t break_at);
void depot_close(depot *d);
/* The operation that is to stop for a debugger: the depot's beginning, read at every call. */
static inline uint64_t depot_break(const depot *d)
{
    return *(const uint64_t *)d;
}
/* The number of a call's stack, at most `depth` frames; 0 when the depot is full. */
uint32_t depot_put(depot *d, call from, const bounds *within, size_t depth, uint64_t where);
/* The frames of a number; count 0 where it is unknown. */
void depot_get(const depot *d, uint32_t number, fief_site *ret_site);
/* Which file the code at pc was of when that stack was new: it may be gone. NULL: unknown. */
const os_module *depot_module(const depot *d, uint32_t number, const void *pc);

/* Return addresses by frame pointers, from `frame` on; returns how many, at most FIEF_DEPTH_MAX. */
size_t frames_walk(const void *frame, const bounds *within, const void **frames, size_t most);

#endif
