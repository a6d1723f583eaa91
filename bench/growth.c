/* growth: objects that die together, from a thousand to ten million: what an object costs as the
 * arena outgrows the caches. As in arena.c, but the number is no constant. Warm, and then cold: the
 * first pass of a process, in pages that nobody has touched, with all that it takes from the
 * system. There each child measures once. */
#include "bump.h"
#include "cases.h"
#include "peer.h"
#include "regions/region.h"

#include <fief/fief.h>

#include <stdlib.h>

enum { SIZE = 24, GRAIN = 8, COUNT_QUICK = 1000 };
static const size_t keep_all = (size_t)1 << 30;

typedef struct crowd {
    size_t count;
    fief_arena *arena;
    bump bump;
    unsigned char *start;
    peer peer;
    void **blocks;
    uint16_t *sizes;
} crowd;

static size_t count_of(const job *given)
{
    return given->quick ? COUNT_QUICK : given->size;
}

/* ---- passes; `mixed` is a constant in each caller, and folds ---- */

#define INLINE static inline __attribute__((always_inline))

INLINE size_t size_of(const crowd *c, size_t i, bool mixed)
{
    return mixed ? c->sizes[i] : SIZE;
}

INLINE void pass_fief(crowd *c, size_t times, bool mixed)
{
    fief_arena *arena = c->arena;
    for (; times > 0; times--) {
        for (size_t i = 0; i < c->count; i++) {
            store(fief_arena_alloc_aligned(arena, size_of(c, i, mixed), GRAIN), i);
        }
        fief_arena_reset(arena);
    }
}

INLINE void pass_struct(crowd *c, size_t times, bool mixed)
{
    bump *b = &c->bump;
    for (; times > 0; times--) {
        for (size_t i = 0; i < c->count; i++) {
            store(bump_take(b, size_of(c, i, mixed), GRAIN), i);
        }
        b->cursor = c->start;
    }
}

INLINE void pass_malloc(crowd *c, size_t times, bool mixed)
{
    for (; times > 0; times--) {
        for (size_t i = 0; i < c->count; i++) {
            c->blocks[i] = c->peer.take(size_of(c, i, mixed));
            store(c->blocks[i], i);
        }
        for (size_t i = 0; i < c->count; i++) {
            c->peer.give(c->blocks[i]);
        }
    }
}

#define PASSES(form)                                                                               \
    static void pass_##form##_24(void *c, size_t times)                                            \
    {                                                                                              \
        pass_##form(c, times, false);                                                              \
    }                                                                                              \
    static void pass_##form##_mix(void *c, size_t times)                                           \
    {                                                                                              \
        pass_##form(c, times, true);                                                               \
    }

PASSES(fief)
PASSES(struct)
PASSES(malloc)

/* ---- how often ---- */

/* The first pass takes the pages from the system: it does not count. */
static figure measure_warm(const job *given, pass *run, void *state)
{
    run(state, 1);
    return measure_loop(given, run, state, (double)count_of(given));
}

/* Nothing else counts. */
static figure measure_cold(const job *given, pass *run, void *state)
{
    uint64_t start = clock_now();
    run(state, 1);
    double nanoseconds = (double)(clock_now() - start) - clock_cost();
    return (figure){nanoseconds / (double)count_of(given), not_counted()};
}

typedef figure measure(const job *given, pass *run, void *state);

/* ---- who allocates ---- */

static crowd crowd_of(const job *given)
{
    crowd c = {.count = count_of(given)};
    c.sizes = malloc(c.count * sizeof *c.sizes);
    c.blocks = calloc(c.count, sizeof *c.blocks);
    if (c.sizes == NULL || c.blocks == NULL) {
        give_up("no memory for the sizes and the pointers");
    }
    draw_ast_sizes(c.sizes, c.count);
    return c;
}

static figure by_fief(const job *given, measure *how, pass *run)
{
    fief_arena_config config = {.name = "growth", .keep_bytes = keep_all};
    crowd c = crowd_of(given);
    c.arena = must_open_arena(must_open(), &config);
    return how(given, run, &c);
}

static figure by_struct(const job *given, measure *how, pass *run)
{
    crowd c = crowd_of(given);
    size_t bytes = 0;
    for (size_t i = 0; i < c.count; i++) {
        bytes += c.sizes[i] > SIZE ? c.sizes[i] : SIZE;
    }
    c.bump = bump_fresh(bytes);
    c.start = c.bump.cursor;
    return how(given, run, &c);
}

/* The pointers are the loop's own: their pages are there before. */
static figure by_malloc(const job *given, measure *how, pass *run)
{
    crowd c = crowd_of(given);
    c.peer = peer_loaded();
    for (size_t i = 0; i < c.count; i++) {
        c.blocks[i] = &c;
    }
    return how(given, run, &c);
}

static figure by_region(const job *given, measure *how, const char *name)
{
    crowd c = crowd_of(given);
    region_job work = {.objects = c.count, .sizes = c.sizes};
    pass *run = peer_region_pass(name);
    if (run == NULL) {
        give_up("no region is loaded");
    }
    return how(given, run, &work);
}

#define BENCH(name, how, sizes)                                                                    \
    figure name##_fief(const job *given)                                                           \
    {                                                                                              \
        return by_fief(given, how, pass_fief_##sizes);                                             \
    }                                                                                              \
    figure name##_struct(const job *given)                                                         \
    {                                                                                              \
        return by_struct(given, how, pass_struct_##sizes);                                         \
    }                                                                                              \
    figure name##_malloc(const job *given)                                                         \
    {                                                                                              \
        return by_malloc(given, how, pass_malloc_##sizes);                                         \
    }                                                                                              \
    figure name##_region(const job *given)                                                         \
    {                                                                                              \
        return by_region(given, how, "region_pass_" #sizes);                                       \
    }

BENCH(growth, measure_warm, 24)
BENCH(growth_mix, measure_warm, mix)
BENCH(cold, measure_cold, 24)
BENCH(cold_mix, measure_cold, mix)
