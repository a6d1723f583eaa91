/* runtime: what the strategy manager costs over the allocator behind it, and what a whole runtime
 * costs to open and close. */
#include "cases.h"

#include <fief/fief.h>

#include <stdlib.h>
#include <string.h>

enum { BATCH = 1000, BATCHES = 4000, BATCHES_LEAST = 30, OBJECT = 48, OPENS = 10 };
static const uint64_t batches_nanoseconds = 30000000;

/* ---- fief-new: only the allocations of a batch are timed, not giving the blocks back, which the
 *      table and the allocator do in the same way ---- */

typedef struct batch {
    fief_runtime *rt;
    fief_pool *pool;
    fief_heap *heap;
    fief_arena *arena;
    void *blocks[BATCH];
} batch;

typedef enum how { NEW_POOL, TAKE_POOL, NEW_HEAP, TAKE_HEAP, NEW_ARENA, TAKE_ARENA } how;

#define INLINE static inline __attribute__((always_inline))

/* fief_new zeroes, so the direct calls do too. */
INLINE void *zeroed(void *block)
{
    return block != NULL ? memset(block, 0, OBJECT) : NULL;
}

INLINE void *take(batch *b, how by)
{
    switch (by) {
    case NEW_POOL:
        return fief_new(b->rt, FIEF_KIND_PAIR, FIEF_DYNAMIC, OBJECT);
    case TAKE_POOL:
        return zeroed(fief_pool_take(b->pool));
    case NEW_HEAP:
        return fief_new(b->rt, FIEF_KIND_VECTOR, FIEF_DYNAMIC, OBJECT);
    case TAKE_HEAP:
        return zeroed(fief_heap_alloc(b->heap, OBJECT));
    case NEW_ARENA:
        return fief_new(b->rt, FIEF_KIND_AST_NODE, FIEF_TEMPORARY, OBJECT);
    case TAKE_ARENA:
        break;
    }
    return zeroed(fief_arena_alloc(b->arena, OBJECT));
}

INLINE void fill(batch *b, how by)
{
    for (size_t i = 0; i < BATCH; i++) {
        b->blocks[i] = take(b, by);
        store(b->blocks[i], i);
    }
}

/* Each loop is a function of its own, so that only what it does competes for registers. */
#define LOOP static __attribute__((noinline)) void

LOOP fill_new_pool(batch *b)
{
    fill(b, NEW_POOL);
}

LOOP fill_take_pool(batch *b)
{
    fill(b, TAKE_POOL);
}

LOOP fill_new_heap(batch *b)
{
    fill(b, NEW_HEAP);
}

LOOP fill_take_heap(batch *b)
{
    fill(b, TAKE_HEAP);
}

LOOP fill_new_arena(batch *b)
{
    fill(b, NEW_ARENA);
}

LOOP fill_take_arena(batch *b)
{
    fill(b, TAKE_ARENA);
}

LOOP give_pool(batch *b)
{
    for (size_t i = BATCH; i > 0; i--) {
        fief_pool_give(b->pool, b->blocks[i - 1]);
    }
}

LOOP give_heap(batch *b)
{
    for (size_t i = BATCH; i > 0; i--) {
        fief_heap_free(b->heap, b->blocks[i - 1], OBJECT);
    }
}

/* The arena's blocks die with their unit, and nobody gives them back. */
static void give_nothing(batch *b)
{
    (void)b;
}

static double time_batch(batch *b, void (*fill_all)(batch *), void (*give_all)(batch *))
{
    fief_unit unit = fief_unit_begin(b->rt);
    uint64_t start = clock_now();
    fill_all(b);
    uint64_t end = clock_now();
    give_all(b);
    fief_unit_end(b->rt, unit);
    return (double)(end - start);
}

static figure time_batches(const job *given, void (*fill_all)(batch *), void (*give_all)(batch *))
{
    static batch the_batch;
    static double times[BATCHES];
    batch *b = &the_batch;
    size_t count = 0;
    b->rt = must_open();
    b->heap = fief_runtime_heap(b->rt);
    b->arena = fief_compiler_arena(b->rt);
    /* The very pool that fief_new takes from: both see the same slots. Begun by its first. */
    fief_free(b->rt, FIEF_KIND_PAIR, fief_new(b->rt, FIEF_KIND_PAIR, FIEF_DYNAMIC, OBJECT), OBJECT);
    b->pool = 
        (fief_pool *)fief_row_allocator(b->rt, fief_row_of(b->rt, FIEF_KIND_PAIR, FIEF_DYNAMIC));
    uint64_t end = clock_now() + (given->quick ? 0 : batches_nanoseconds);
    while (count < BATCHES_LEAST || (count < BATCHES && clock_now() < end)) {
        times[count++] = time_batch(b, fill_all, give_all);
    }
    size_t cold = count / 4; /* the warm-up */
    double batch_time = median_of(times + cold, count - cold) - clock_cost();
    return (figure){batch_time / BATCH, not_counted()};
}

figure new_pool_fief(const job *given)
{
    return time_batches(given, fill_new_pool, give_pool);
}

figure new_pool_direct(const job *given)
{
    return time_batches(given, fill_take_pool, give_pool);
}

figure new_heap_fief(const job *given)
{
    return time_batches(given, fill_new_heap, give_heap);
}

figure new_heap_direct(const job *given)
{
    return time_batches(given, fill_take_heap, give_heap);
}

figure new_arena_fief(const job *given)
{
    return time_batches(given, fill_new_arena, give_nothing);
}

figure new_arena_direct(const job *given)
{
    return time_batches(given, fill_take_arena, give_nothing);
}

/* ---- open-close, in microseconds ---- */

static void opens(void *state, size_t count)
{
    for (size_t i = 0; i < count * OPENS; i++) {
        fief_runtime *rt = fief_open(state);
        if (rt == NULL || fief_close(rt) != 0) {
            give_up("fief_open or fief_close failed");
        }
    }
}

static figure microseconds(figure nanoseconds)
{
    return (figure){nanoseconds.value / 1000, nanoseconds.instructions};
}

figure open_close_fief(const job *given)
{
    return microseconds(measure_loop(given, opens, NULL, OPENS));
}

/* The same where one that was closed left its range. */
figure open_close_recycled_fief(const job *given)
{
    fief_config config = {.recycle_range = true};
    return microseconds(measure_loop(given, opens, &config, OPENS));
}

/* The same in a range of addresses that is kept from one runtime to the next. */
figure open_close_kept_fief(const job *given)
{
    fief_range *range = fief_range_open(0);
    if (range == NULL) {
        give_up("no range");
    }
    fief_config config = {.range = range};
    figure kept = microseconds(measure_loop(given, opens, &config, OPENS));
    if (!fief_range_close(range)) {
        give_up("a runtime was left in the range");
    }
    return kept;
}
