/* dangling: does anything that stays alive point at what is about to die?
 *
 * Where an arena, a unit or a frame ends in a guarded build, every word of every live block that
 * stays (and of the host's registered roots, and of its C stack where it asked for that) is
 * compared with the addresses that die. Conservative, as Boehm's collector is; but a hit counts
 * only where a record says that a dying block lies there, and that the word lies in a live block
 * of a kind that may hold pointers, in a field that is not weak. A share of the time is spent on
 * it and no more: past that it goes on where it stopped, at the next end, so that a part is looked
 * at each time. */
#ifndef FIEF_DANGLING_H
#define FIEF_DANGLING_H

#include "core/space.h"

#include <fief/misuse.h>
#include <fief/stats.h>

struct arena;
struct arena_span;
struct core;

/* Memory of the host's own that the scan looks at. */
typedef struct root_part {
    struct root_part *next;
    const void *start;
    size_t size;
    const char *name;
} root_part;

typedef struct scan {
    root_part *roots;
    const bool *plain; /* by kind: holds no pointers; NULL: all may */
    bool (*is_weak)(const struct core *c, unsigned kind, size_t offset);
    uint64_t opened, spent; /* nanoseconds */
    unsigned percent;       /* of the time; 100: no limit */
    bool off, stack;
    uint32_t resume;        /* the page where the last one stopped */
    fief_scan_count count;
} scan;

/* What dies: the blocks of `a` behind `cursor` in `span`, in later spans, and what was attached
 * after `event`. span NULL: all of it. */
typedef struct doomed {
    const struct arena *a;
    const struct arena_span *span;
    const unsigned char *cursor;
    uint64_t event;
    fief_misuse_class class_id;
} doomed;

/* May they die? False where something points at them and the host's handler kept them alive. */
bool dangling_admits(struct core *c, const doomed *d);

#endif
