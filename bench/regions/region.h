/* region: what a peer's arena does for bench-core, compiled in the peer's own language so that its
 * inlining is its own. Each is a shared object with these two functions; bench-core loads it into
 * a child and times them with the loop that it times everybody with.
 *
 * A pass allocates `objects` blocks, stores to the first word of each, and drops all at once in the
 * cheapest way that the peer has. The arena is opened in the first pass and stays warm; its chunks
 * are as large as it allows, so that a pass needs no second one where the peer would give that
 * back. Blocks are aligned to 8 where the peer can, as fief's are in the same bench. */
#ifndef BENCH_REGION_H
#define BENCH_REGION_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { REGION_CHUNK = 1 << 28 }; /* holds ten million of 24 B; untouched pages cost nothing */

typedef struct region_job {
    size_t objects;
    const uint16_t *sizes;
} region_job;

void region_pass_24(void *job, size_t count);
void region_pass_mix(void *job, size_t count);

static inline void region_store(void *block, uint64_t value)
{
    uint64_t *word = (uint64_t *)block;
    *word = value;
    __asm__ volatile("" : : "m"(*word));
}

#ifdef __cplusplus
}
#endif
#endif
