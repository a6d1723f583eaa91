/* arena: objects that die together. A pass allocates OBJECTS of them, stores to the first word of
 * each, and drops all at once. 10,000 objects are the syntax tree of a long file, and with their
 * 320 KiB they stay in a second-level cache: memory's own slowness would hide the allocator's.
 *
 * Fief runs with its defaults: no presize, so that a pass crosses spans as a host's would. */
#include "bump.h"
#include "cases.h"
#include "peer.h"

#include <fief/fief.h>

enum { OBJECTS = 10000 };

typedef struct node {
    uint64_t first, rest[2];
} node;

/* What the forms share: who allocates, and the sizes of a pass. */
typedef struct setting {
    fief_arena *arena;
    bump bump;
    unsigned char *start; /* of the bump's chunk */
    peer peer;
    void *blocks[OBJECTS];
    uint16_t sizes[OBJECTS];
} setting;

static setting the_setting; /* 100 KB: too much for a stack */

static setting *set_up(void)
{
    setting *s = &the_setting;
    draw_ast_sizes(s->sizes, OBJECTS);
    s->peer = peer_loaded();
    s->bump = bump_fresh(0);
    s->start = s->bump.cursor;
    return s;
}

static setting *set_up_fief(void)
{
    setting *s = &the_setting;
    draw_ast_sizes(s->sizes, OBJECTS);
    s->arena = must_open_arena(must_open(), NULL);
    return s;
}

/* ---- passes; `mixed` is a constant in each caller, and folds ---- */

#define INLINE static inline __attribute__((always_inline))

INLINE void pass_fief(setting *s, size_t count, bool mixed)
{
    fief_arena *arena = s->arena;
    for (; count > 0; count--) {
        for (size_t i = 0; i < OBJECTS; i++) {
            store(fief_arena_alloc(arena, mixed ? s->sizes[i] : sizeof(node)), i);
        }
        fief_arena_reset(arena);
    }
}

INLINE void pass_struct(setting *s, size_t count, bool mixed)
{
    bump *b = &s->bump;
    for (; count > 0; count--) {
        for (size_t i = 0; i < OBJECTS; i++) {
            store(bump_take(b, mixed ? s->sizes[i] : sizeof(node)), i);
        }
        b->cursor = s->start;
    }
}

/* The bump is a local whose address goes nowhere, so it lives in registers. */
INLINE void pass_registers(setting *s, size_t count, bool mixed)
{
    bump b = s->bump;
    for (; count > 0; count--) {
        for (size_t i = 0; i < OBJECTS; i++) {
            store(bump_take(&b, mixed ? s->sizes[i] : sizeof(node)), i);
        }
        b.cursor = s->start;
    }
}

INLINE void pass_malloc(setting *s, size_t count, bool mixed)
{
    for (; count > 0; count--) {
        for (size_t i = 0; i < OBJECTS; i++) {
            s->blocks[i] = s->peer.take(mixed ? s->sizes[i] : sizeof(node));
            store(s->blocks[i], i);
        }
        for (size_t i = 0; i < OBJECTS; i++) {
            s->peer.give(s->blocks[i]);
        }
    }
}

/* mimalloc's own kind of arena needs no array of pointers. */
INLINE void pass_region(setting *s, size_t count, bool mixed)
{
    for (; count > 0; count--) {
        void *region = s->peer.region_open();
        for (size_t i = 0; i < OBJECTS; i++) {
            store(s->peer.region_take(region, mixed ? s->sizes[i] : sizeof(node)), i);
        }
        s->peer.region_close(region);
    }
}

static void pass_24_fief(void *s, size_t count)
{
    pass_fief(s, count, false);
}

static void pass_24_struct(void *s, size_t count)
{
    pass_struct(s, count, false);
}

static void pass_24_registers(void *s, size_t count)
{
    pass_registers(s, count, false);
}

static void pass_24_malloc(void *s, size_t count)
{
    pass_malloc(s, count, false);
}

static void pass_24_region(void *s, size_t count)
{
    pass_region(s, count, false);
}

static void pass_mix_fief(void *s, size_t count)
{
    pass_fief(s, count, true);
}

static void pass_mix_struct(void *s, size_t count)
{
    pass_struct(s, count, true);
}

static void pass_mix_registers(void *s, size_t count)
{
    pass_registers(s, count, true);
}

static void pass_mix_malloc(void *s, size_t count)
{
    pass_malloc(s, count, true);
}

static void pass_mix_region(void *s, size_t count)
{
    pass_region(s, count, true);
}

figure arena_24_fief(const job *given)
{
    return measure_loop(given, pass_24_fief, set_up_fief(), OBJECTS);
}

figure arena_24_struct(const job *given)
{
    return measure_loop(given, pass_24_struct, set_up(), OBJECTS);
}

figure arena_24_registers(const job *given)
{
    return measure_loop(given, pass_24_registers, set_up(), OBJECTS);
}

figure arena_24_malloc(const job *given)
{
    setting *s = set_up();
    bool has_regions = s->peer.region_open != NULL;
    return measure_loop(given, has_regions ? pass_24_region : pass_24_malloc, s, OBJECTS);
}

figure arena_mix_fief(const job *given)
{
    return measure_loop(given, pass_mix_fief, set_up_fief(), OBJECTS);
}

figure arena_mix_struct(const job *given)
{
    return measure_loop(given, pass_mix_struct, set_up(), OBJECTS);
}

figure arena_mix_registers(const job *given)
{
    return measure_loop(given, pass_mix_registers, set_up(), OBJECTS);
}

figure arena_mix_malloc(const job *given)
{
    setting *s = set_up();
    bool has_regions = s->peer.region_open != NULL;
    return measure_loop(given, has_regions ? pass_mix_region : pass_mix_malloc, s, OBJECTS);
}
