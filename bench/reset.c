/* reset: what a million objects cost when they die together, and what an arena wastes on them. */
#include "cases.h"
#include "peer.h"

#include <fief/fief.h>

#include <malloc.h>
#include <stdlib.h>

enum { OBJECTS = 10000, MANY = 1000000, MANY_QUICK = 10000, SIZE = 24 };
enum { RESETS = 9, RESETS_LEAST = 3 };
static const size_t keep_all = (size_t)1 << 30;
static const uint64_t enough_nanoseconds = 200000000; /* the debug build is slow to fill */

static size_t many(const job *given)
{
    size_t most = given->size != 0 ? given->size : MANY;
    return given->quick && most > MANY_QUICK ? MANY_QUICK : most;
}

/* ---- one bulk reset, in microseconds: the median of several, each after a full pass ---- */

typedef struct crowd {
    size_t count;
    fief_runtime *runtime;
    fief_arena *arena;
    peer peer;
    void **blocks;
    void *region;
} crowd;

static void fill_arena(crowd *c)
{
    for (size_t i = 0; i < c->count; i++) {
        store(fief_arena_alloc(c->arena, SIZE), i);
    }
}

static void reset_arena(crowd *c)
{
    fief_arena_reset(c->arena);
}

static void take_blocks(crowd *c)
{
    for (size_t i = 0; i < c->count; i++) {
        c->blocks[i] = c->peer.take(SIZE);
        store(c->blocks[i], i);
    }
}

static void give_blocks(crowd *c)
{
    for (size_t i = 0; i < c->count; i++) {
        c->peer.give(c->blocks[i]);
    }
}

/* A peer's best call: mimalloc's heaps die as a whole. */
static void fill_region(crowd *c)
{
    c->region = c->peer.region_open();
    for (size_t i = 0; i < c->count; i++) {
        store(c->peer.region_take(c->region, SIZE), i);
    }
}

static void close_region(crowd *c)
{
    c->peer.region_close(c->region);
}

/* The first pass took its pages from the system: it does not count. */
static figure time_drops(crowd *c, void (*fill)(crowd *), void (*drop)(crowd *))
{
    double times[RESETS];
    uint64_t end = clock_now() + enough_nanoseconds;
    size_t count = 0;
    fill(c);
    drop(c);
    while (count < RESETS_LEAST || (count < RESETS && clock_now() < end)) {
        fill(c);
        uint64_t start = clock_now();
        drop(c);
        times[count++] = (double)(clock_now() - start);
    }
    double nanoseconds = median_of(times, count) - clock_cost();
    return (figure){nanoseconds / 1000, not_counted()};
}

figure arena_reset_fief(const job *given)
{
    fief_arena_config config = {.name = "bench", .keep_bytes = keep_all};
    crowd c = {.count = many(given), .arena = must_open_arena(must_open(), &config)};
    return time_drops(&c, fill_arena, reset_arena);
}

static void destroy_arena(crowd *c)
{
    fief_arena_close(c->arena);
    c->arena = NULL;
}

static void make_arena(crowd *c)
{
    c->arena = must_open_arena(c->runtime, NULL);
    fill_arena(c);
}

/* Of an arena of its own, whose pages go back to the runtime, and beyond 4 MiB to the system. */
figure arena_destroy_fief(const job *given)
{
    crowd c = {.count = many(given), .runtime = must_open()};
    return time_drops(&c, make_arena, destroy_arena);
}

/* Its memory stays for the next one, as a malloc's does. */
static void make_vm(crowd *c)
{
    c->runtime = fief_open(&(fief_config){.recycle_range = true, .retain_bytes = keep_all});
    if (c->runtime == NULL) {
        give_up("no runtime");
    }
    for (size_t i = 0; i < c->count; i++) {
        store(fief_heap_alloc(fief_runtime_heap(c->runtime), SIZE), i);
    }
}

static void drop_vm(crowd *c)
{
    fief_drop(c->runtime);
}

/* Blocks that could die one by one, all at once. */
figure vm_drop_fief(const job *given)
{
    crowd c = {.count = many(given)};
    return time_drops(&c, make_vm, drop_vm);
}

figure arena_reset_malloc(const job *given)
{
    crowd c = {.count = many(given), .peer = peer_loaded()};
    c.blocks = malloc(c.count * sizeof *c.blocks);
    if (c.blocks == NULL) {
        give_up("no memory for the pointers");
    }
    return time_drops(&c, take_blocks, give_blocks);
}

figure arena_destroy_malloc(const job *given)
{
    crowd c = {.count = many(given), .peer = peer_loaded()};
    return c.peer.region_close != NULL ? time_drops(&c, fill_region, close_region)
                                       : arena_reset_malloc(given);
}

/* ---- bytes of no use to anyone, an object: beyond the size asked for in multiples of 8 ----
 *
 * fief_arena_used alone would flatter: it counts neither what is lost at a span's end nor a large
 * block's tail. So we count the pages taken, less the room that the next objects will use. */

static uint16_t sizes[OBJECTS];

static size_t asked(size_t i)
{
    return ((size_t)sizes[i % OBJECTS] + 7) & ~(size_t)7;
}

figure arena_waste_fief(const job *given)
{
    fief_runtime *rt = must_open();
    size_t held = fief_stats_held(rt), total = 0;
    draw_ast_sizes(sizes, OBJECTS);
    fief_arena *arena = must_open_arena(rt, NULL);
    for (size_t i = 0; i < many(given); i++) {
        store(fief_arena_alloc_aligned(arena, sizes[i % OBJECTS], 8), i);
        total += asked(i);
    }
    size_t room = (size_t)(arena->limit - arena->cursor);
    size_t taken = fief_stats_held(rt) - held - room;
    return (figure){((double)taken - (double)total) / (double)many(given), not_counted()};
}

/* glibc says itself what it has lent; its peers do not, so they have no row here. */
figure arena_waste_malloc(const job *given)
{
    peer p = peer_loaded();
    size_t before = mallinfo2().uordblks, total = 0;
    draw_ast_sizes(sizes, OBJECTS);
    for (size_t i = 0; i < many(given); i++) {
        store(p.take(sizes[i % OBJECTS]), i); /* the child ends with them */
        total += asked(i);
    }
    size_t taken = mallinfo2().uordblks - before;
    return (figure){((double)taken - (double)total) / (double)many(given), not_counted()};
}
