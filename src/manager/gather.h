/* gather: blocks of an arena that are to leave it: found, placed side by side, and copied. Whoever
 * gathers is told where each of their pointers leads.
 *
 *     choose     all blocks of the arena, or those that a root leads to, by their addresses
 *     place      each of them in the data, one behind the other
 *     copy       its bytes; `on_pointer` has each pointer that the block's kind tells
 *
 * A word that its kind does not tell, and that reads as an address of the runtime, is refused: it
 * would be stale in the copy. */
#ifndef FIEF_MANAGER_GATHER_H
#define FIEF_MANAGER_GATHER_H

#include "manager/runtime.h"

enum {
    GATHER_GRAIN = 16, /* of places in the data */
    GATHER_WORD = 8,
    GATHER_ALIGN_MAX = 4096,
    FINGERPRINT_SEED = 1 /* files have it */
};
#define GATHER_MAX ((uint64_t)2 << 30)

typedef struct gathered {
    const unsigned char *start;
    size_t size;
    uint32_t grain, kind; /* grain: where it is placed */
} gathered;

/* Memory of the system's, for as long as the gathering takes. */
typedef struct scratch {
    void *start;
    size_t size;
} scratch;

typedef struct gather gather;

/* The word at that offset of the block leads to `target`: a block's start, inside or end, or with
 * `to` NULL to none of the blocks. Each word is told once, and none that is NULL. False: failed. */
typedef bool gather_pointer(gather *g, const gathered *block, size_t offset, const void *target,
                            const gathered *to);

struct gather {
    const runtime *r;
    const arena *from;
    fief_error *error;
    gather_pointer *on_pointer;
    gathered *blocks; /* by their addresses */
    size_t count, room;
    size_t cells; /* of the range */
    uint64_t data_bytes; /* where all of them are placed */
    size_t pointers;     /* that choosing them has seen, or a few more */
    unsigned char *data;
    uint64_t *seen; /* while they are chosen: a bit a cell of the range */
    uint64_t *told; /* while they are copied: a bit a word of the range */
    workspace *own; /* which these and the blocks are in */
    bool failed;
};

/* What the copies depend on: names, sizes, traits and pointers of the kinds. */
uint64_t kinds_fingerprint(const runtime *r);

/* The first failure is told to the host. Always false. */
bool gather_fail(gather *g, fief_status status, const char *format, ...) FIEF_PRINTF(3, 4);
/* NULL: there is no memory, and that was told. */
void *gather_scratch(gather *g, scratch *ret_scratch, size_t size);
/* Twice as much, with what it has. */
void *gather_more(gather *g, scratch *s);
void scratch_give(scratch *s);

/* Of what the host asked for; 0: a grain. */
bool gather_align_is_sound(gather *g, size_t align);
bool gather_all(gather *g);
/* What the root leads to; it must lie in one of them. */
bool gather_choose(gather *g, const void *root);
bool gather_place(gather *g, size_t align);
/* `data` has room for data_bytes. */
bool gather_copy(gather *g, unsigned char *data);
void gather_end(gather *g);

/* The block that a pointer leads to, its end included; NULL: none of them. */
const gathered *gather_target(const gather *g, const void *target);
/* Where that address of the block is in the data. */
static inline uint64_t gather_offset(const gathered *block, const void *at)
{
    return (uint64_t)block->grain * GATHER_GRAIN + ((uintptr_t)at - (uintptr_t)block->start);
}
/* What a word is an address of that ends with the runtime; NULL: nothing. */
const char *gather_home(const gather *g, uintptr_t value);
/* Refuses the pointer, which leads there; a root that lies in none of the blocks. */
bool gather_points_out(gather *g, const gathered *block, size_t offset, const char *where);
bool gather_no_root(gather *g);

#endif
