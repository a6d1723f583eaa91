/* growth: 24-byte objects that die together, from a thousand to ten million: what an object costs
 * as the arena outgrows the caches. As in arena.c, but the number is no constant. */
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
} crowd;

static size_t count_of(const job *given)
{
    return given->quick ? COUNT_QUICK : given->size;
}

static void pass_fief(void *state, size_t times)
{
    crowd *c = state;
    fief_arena *arena = c->arena;
    for (; times > 0; times--) {
        for (size_t i = 0; i < c->count; i++) {
            store(fief_arena_alloc_aligned(arena, SIZE, GRAIN), i);
        }
        fief_arena_reset(arena);
    }
}

static void pass_struct(void *state, size_t times)
{
    crowd *c = state;
    bump *b = &c->bump;
    for (; times > 0; times--) {
        for (size_t i = 0; i < c->count; i++) {
            store(bump_take(b, SIZE, GRAIN), i);
        }
        b->cursor = c->start;
    }
}

static void pass_malloc(void *state, size_t times)
{
    crowd *c = state;
    for (; times > 0; times--) {
        for (size_t i = 0; i < c->count; i++) {
            c->blocks[i] = c->peer.take(SIZE);
            store(c->blocks[i], i);
        }
        for (size_t i = 0; i < c->count; i++) {
            c->peer.give(c->blocks[i]);
        }
    }
}

/* The first pass takes the pages from the system: it does not count. */
static figure measure_warm(const job *given, pass *run, void *state)
{
    run(state, 1);
    return measure_loop(given, run, state, (double)count_of(given));
}

figure growth_fief(const job *given)
{
    fief_arena_config config = {.name = "growth", .keep_bytes = keep_all};
    crowd c = {.count = count_of(given), .arena = must_open_arena(must_open(), &config)};
    return measure_warm(given, pass_fief, &c);
}

figure growth_struct(const job *given)
{
    crowd c = {.count = count_of(given)};
    c.bump = bump_fresh(c.count * SIZE);
    c.start = c.bump.cursor;
    return measure_warm(given, pass_struct, &c);
}

figure growth_malloc(const job *given)
{
    crowd c = {.count = count_of(given), .peer = peer_loaded()};
    c.blocks = calloc(c.count, sizeof *c.blocks);
    if (c.blocks == NULL) {
        give_up("no memory for the pointers");
    }
    return measure_warm(given, pass_malloc, &c);
}

figure growth_region(const job *given)
{
    region_job work = {.objects = count_of(given)};
    pass *run = peer_region_pass("region_pass_24");
    if (run == NULL) {
        give_up("no region is loaded");
    }
    return measure_warm(given, run, &work);
}
