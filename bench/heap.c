/* heap: K live blocks of which a random one is replaced, again and again: free, allocate, store to
 * the first word. Sizes and places come from one precomputed sequence, the same for everybody.
 *
 * The sizes are Lua's: what six programs (examples/lua/programs) ask for, each program weighing
 * the same, with a tail to 512 bytes as other interpreters have it; 95 % are at most 128 bytes.
 *
 * The pool's blocks are all of one size.
 *
 * The ideal is hand-written for this loop: classes of 16 bytes up to 512, one LIFO list each,
 * bumped when empty, sizes given at free, all inlined; it counts nothing and checks nothing. The
 * loop alone stores to the blocks as they are: no allocator is faster than it. */
#include "cases.h"
#include "peer.h"

#include <fief/fief.h>

#include <stdlib.h>

enum { STEPS = 1 << 20, SLICE = 1 << 12, CLASSES = 33, SETTLE = 16, OBJECT = 48 };
static const size_t ideal_bytes = (size_t)256 << 20;

static const weight lua_sizes[] = {{16, 7},  {24, 4},  {32, 12}, {40, 20}, {48, 19},
                                   {56, 22}, {64, 3},  {80, 3},  {96, 3},  {128, 2},
                                   {192, 2}, {256, 1}, {384, 1}, {512, 1}, {0, 0}};
static const weight object_sizes[] = {{OBJECT, 100}, {0, 0}};

/* A host knows its objects' sizes from the objects; the benchmark keeps them beside. */
typedef struct slot {
    void *block;
    size_t size;
} slot;

typedef struct step {
    uint16_t place, size;
} step;

typedef struct vacant {
    struct vacant *next;
} vacant;

typedef struct classes {
    vacant *lists[CLASSES];
    unsigned char *cursor, *limit;
} classes;

typedef struct churn {
    slot *slots;
    step *steps;
    uint16_t *sizes;
    size_t live, at;
    fief_runtime *rt;
    fief_heap *heap;
    fief_pool *pool;
    classes ideal;
    void *given; /* BY_NONE */
    peer peer;
} churn;

/* Who allocates, and how a block is given back. */
typedef enum how {
    BY_FIEF,
    BY_FIEF_UNSIZED,
    BY_POOL,
    BY_IDEAL,
    BY_NONE, /* each block stays in its place */
    BY_MALLOC,
    BY_MALLOC_SIZED, /* free with the size */
    BY_MALLOC_FLAGS  /* jemalloc's extended calls */
} how;

/* ---- the ideal ---- */

/* Out of line, and it may do anything, as far as the loop knows. */
static __attribute__((noinline)) void *ideal_refill(classes *c, size_t size)
{
    size_t bytes = (size + 15) / 16 * 16;
    if (bytes > (size_t)(c->limit - c->cursor)) {
        give_up("the hand-written heap is too small");
    }
    c->cursor += bytes;
    return c->cursor - bytes;
}

static inline void *ideal_take(classes *c, size_t size)
{
    vacant **list = &c->lists[(size + 15) / 16];
    vacant *block = *list;
    if (__builtin_expect(block == NULL, 0)) {
        return ideal_refill(c, size);
    }
    *list = block->next;
    return block;
}

static inline void ideal_give(classes *c, void *block, size_t size)
{
    vacant *freed = block;
    freed->next = c->lists[(size + 15) / 16];
    c->lists[(size + 15) / 16] = freed;
}

/* ---- one replacement; `by` is a constant in each caller, and the switch folds ---- */

#define INLINE static inline __attribute__((always_inline))

INLINE void *take(const churn *own, churn *c, how by, size_t size)
{
    switch (by) {
    case BY_FIEF:
        return fief_heap_alloc(own->heap, size);
    case BY_FIEF_UNSIZED:
        return fief_malloc(own->rt, size);
    case BY_POOL:
        return fief_pool_take(own->pool);
    case BY_IDEAL:
        return ideal_take(&c->ideal, size);
    case BY_NONE:
        return c->given;
    case BY_MALLOC_FLAGS:
        return own->peer.take_flags(size, 0);
    case BY_MALLOC:
    case BY_MALLOC_SIZED:
        break;
    }
    return own->peer.take(size);
}

INLINE void give(const churn *own, churn *c, how by, slot *s)
{
    switch (by) {
    case BY_FIEF:
        fief_heap_free(own->heap, s->block, s->size);
        break;
    case BY_FIEF_UNSIZED:
        fief_release(own->rt, s->block);
        break;
    case BY_POOL:
        fief_pool_give(own->pool, s->block);
        break;
    case BY_IDEAL:
        ideal_give(&c->ideal, s->block, s->size);
        break;
    case BY_NONE:
        c->given = s->block;
        break;
    case BY_MALLOC:
        own->peer.give(s->block);
        break;
    case BY_MALLOC_SIZED:
        own->peer.give_sized(s->block, s->size);
        break;
    case BY_MALLOC_FLAGS:
        own->peer.give_flags(s->block, s->size, 0);
        break;
    }
}

INLINE void fill(slot *s, void *block, size_t size)
{
    s->block = block;
    s->size = size;
    store(block, size);
}

/* The next SLICE steps of the sequence, `count` times. Who allocates, and where, is in a copy that
 * no store to a block can have changed, so that it is in registers, for everybody. */
INLINE void replace(churn *c, size_t count, how by)
{
    const churn own = *c;
    for (; count > 0; count--) {
        const step *steps = &own.steps[c->at];
        for (size_t i = 0; i < SLICE; i++) {
            slot *s = &own.slots[steps[i].place];
            give(&own, c, by, s);
            fill(s, take(&own, c, by, steps[i].size), steps[i].size);
        }
        c->at = (c->at + SLICE) % STEPS;
    }
}

/* The first blocks, then enough replacements for the order of creation to be forgotten. */
INLINE void settle(churn *c, how by)
{
    for (size_t i = 0; i < c->live; i++) {
        size_t size = c->sizes[i];
        fill(&c->slots[i], take(c, c, by, size), size);
    }
    replace(c, SETTLE * c->live / SLICE + 1, by);
}

/* ---- setting up ---- */

static churn *set_up(const job *given, const weight *sizes)
{
    static churn the_churn;
    churn *c = &the_churn;
    uint64_t seed = 1;
    c->live = given->size;
    c->slots = calloc(c->live, sizeof *c->slots);
    c->steps = calloc(STEPS, sizeof *c->steps);
    c->sizes = calloc(STEPS, sizeof *c->sizes);
    if (c->slots == NULL || c->steps == NULL || c->sizes == NULL || c->live > UINT16_MAX) {
        give_up("no memory for the sequence of steps");
    }
    draw_sizes(sizes, c->sizes, STEPS);
    for (size_t i = 0; i < STEPS; i++) {
        c->steps[i] = (step){(uint16_t)draw(&seed, c->live), c->sizes[i]};
    }
    c->peer = peer_loaded();
    return c;
}

static churn *set_up_fief(const job *given, const weight *sizes)
{
    churn *c = set_up(given, sizes);
    c->rt = must_open();
    c->heap = fief_runtime_heap(c->rt);
    return c;
}

/* ---- forms ---- */

static void pass_fief(void *c, size_t count)
{
    replace(c, count, BY_FIEF);
}

static void pass_unsized(void *c, size_t count)
{
    replace(c, count, BY_FIEF_UNSIZED);
}

static void pass_pool(void *c, size_t count)
{
    replace(c, count, BY_POOL);
}

static void pass_ideal(void *c, size_t count)
{
    replace(c, count, BY_IDEAL);
}

static void pass_none(void *c, size_t count)
{
    replace(c, count, BY_NONE);
}

static void pass_malloc(void *c, size_t count)
{
    replace(c, count, BY_MALLOC);
}

static void pass_malloc_sized(void *c, size_t count)
{
    replace(c, count, BY_MALLOC_SIZED);
}

static void pass_malloc_flags(void *c, size_t count)
{
    replace(c, count, BY_MALLOC_FLAGS);
}

figure heap_fief(const job *given)
{
    churn *c = set_up_fief(given, lua_sizes);
    settle(c, BY_FIEF);
    return measure_loop(given, pass_fief, c, SLICE);
}

figure heap_ideal(const job *given)
{
    churn *c = set_up(given, lua_sizes);
    c->ideal.cursor = aligned_alloc(16, ideal_bytes);
    c->ideal.limit = c->ideal.cursor != NULL ? c->ideal.cursor + ideal_bytes : NULL;
    settle(c, BY_IDEAL);
    return measure_loop(given, pass_ideal, c, SLICE);
}

figure heap_loop(const job *given)
{
    churn *c = set_up_fief(given, lua_sizes);
    settle(c, BY_FIEF);
    return measure_loop(given, pass_none, c, SLICE);
}

figure heap_unsized_fief(const job *given)
{
    churn *c = set_up_fief(given, lua_sizes);
    settle(c, BY_FIEF_UNSIZED);
    return measure_loop(given, pass_unsized, c, SLICE);
}

figure heap_unsized_malloc(const job *given)
{
    churn *c = set_up(given, lua_sizes);
    settle(c, BY_MALLOC);
    return measure_loop(given, pass_malloc, c, SLICE);
}

/* A peer that frees with a size is measured both ways in turn, and the better one counts. */
static figure measure_malloc(const job *given, churn *c)
{
    settle(c, BY_MALLOC);
    figure plain = measure_loop(given, pass_malloc, c, SLICE);
    if (c->peer.give_sized == NULL && c->peer.give_flags == NULL) {
        return plain;
    }
    pass *run = c->peer.give_sized != NULL ? pass_malloc_sized : pass_malloc_flags;
    figure sized = measure_loop(given, run, c, SLICE);
    return sized.value < plain.value ? sized : plain;
}

figure heap_malloc(const job *given)
{
    return measure_malloc(given, set_up(given, lua_sizes));
}

/* ---- pool: the same with objects of one size ---- */

figure pool_fief(const job *given)
{
    churn *c = set_up_fief(given, object_sizes);
    c->pool = fief_pool_open(c->rt, "object", OBJECT);
    if (c->pool == NULL) {
        give_up("no pool");
    }
    settle(c, BY_POOL);
    return measure_loop(given, pass_pool, c, SLICE);
}

figure pool_malloc(const job *given)
{
    return measure_malloc(given, set_up(given, object_sizes));
}
