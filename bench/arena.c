/* arena: objects that die together. A pass allocates OBJECTS of them, stores to the first word of
 * each, and drops all at once. 10,000 objects are the syntax tree of a long file, and with their
 * 320 KiB they stay in a second-level cache: memory's own slowness would hide the allocator's.
 *
 * Fief runs with its defaults: no presize, so that a pass crosses spans as a host's would. */
#include "bump.h"
#include "cases.h"
#include "peer.h"
#include "regions/region.h"

#include <fief/fief.h>

enum { OBJECTS = 10000 };

typedef struct node {
    uint64_t first, rest[2];
} node;

/* What the forms share: who allocates, and the sizes of a pass. */
typedef struct setting {
    fief_arena *arena;
    fief_runtime *rt;  /* compiler-arena: whose unit */
    fief_range *range; /* vm-arena: where one VM after the other lives */
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

static fief_range *must_open_range(void)
{
    fief_range *range = fief_range_open(0);
    if (range == NULL) {
        give_up("no range");
    }
    return range;
}

static setting *set_up_fief(void)
{
    setting *s = &the_setting;
    draw_ast_sizes(s->sizes, OBJECTS);
    s->arena = must_open_arena(must_open(), NULL);
    return s;
}

/* ---- passes; `mixed` and `align` are constants in each caller, and fold ---- */

#define INLINE static inline __attribute__((always_inline))

INLINE size_t size_of(const setting *s, size_t i, bool mixed)
{
    return mixed ? s->sizes[i] : sizeof(node);
}

INLINE void pass_fief(setting *s, size_t count, bool mixed, size_t align)
{
    fief_arena *arena = s->arena;
    for (; count > 0; count--) {
        for (size_t i = 0; i < OBJECTS; i++) {
            store(fief_arena_alloc_aligned(arena, size_of(s, i, mixed), align), i);
        }
        fief_arena_reset(arena);
    }
}

INLINE void pass_struct(setting *s, size_t count, bool mixed, size_t align)
{
    bump *b = &s->bump;
    for (; count > 0; count--) {
        for (size_t i = 0; i < OBJECTS; i++) {
            store(bump_take(b, size_of(s, i, mixed), align), i);
        }
        b->cursor = s->start;
    }
}

/* A unit of compilation from its begin to its end. */
static void pass_unit(void *state, size_t count)
{
    setting *s = state;
    for (; count > 0; count--) {
        fief_unit unit = fief_unit_begin(s->rt);
        for (size_t i = 0; i < OBJECTS; i++) {
            store(fief_temp_block(s->rt, 1, s->sizes[i], FIEF_GRAIN), i);
        }
        fief_unit_end(s->rt, unit);
    }
}

figure compiler_arena_fief(const job *given)
{
    setting *s = &the_setting;
    draw_ast_sizes(s->sizes, OBJECTS);
    s->rt = must_open();
    return measure_loop(given, pass_unit, s, OBJECTS);
}

/* A VM from its opening to its close, in a kept range: what lives as long as it does. */
static void pass_vm(void *state, size_t count)
{
    setting *s = state;
    for (; count > 0; count--) {
        fief_runtime *rt = fief_open(&(fief_config){.range = s->range});
        if (rt == NULL) {
            give_up("no runtime in the range");
        }
        for (size_t i = 0; i < OBJECTS; i++) {
            store(fief_arena_alloc_aligned(fief_vm_arena(rt), s->sizes[i], FIEF_GRAIN), i);
        }
        fief_close(rt);
    }
}

figure vm_arena_fief(const job *given)
{
    setting *s = &the_setting;
    draw_ast_sizes(s->sizes, OBJECTS);
    s->range = must_open_range();
    return measure_loop(given, pass_vm, s, OBJECTS);
}

/* The bump is a local whose address goes nowhere, so it lives in registers. */
INLINE void pass_registers(setting *s, size_t count, bool mixed, size_t align)
{
    bump b = s->bump;
    for (; count > 0; count--) {
        for (size_t i = 0; i < OBJECTS; i++) {
            store(bump_take(&b, size_of(s, i, mixed), align), i);
        }
        b.cursor = s->start;
    }
}

INLINE void pass_malloc(setting *s, size_t count, bool mixed)
{
    for (; count > 0; count--) {
        for (size_t i = 0; i < OBJECTS; i++) {
            s->blocks[i] = s->peer.take(size_of(s, i, mixed));
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
            store(s->peer.region_take(region, size_of(s, i, mixed)), i);
        }
        s->peer.region_close(region);
    }
}

/* The forms of one bench, each a loop of its own. */
#define ARENA_BENCH(name, mixed, align)                                                 \
    static void name##_pass_fief(void *s, size_t count)                                 \
    {                                                                                   \
        pass_fief(s, count, mixed, align);                                              \
    }                                                                                   \
    static void name##_pass_struct(void *s, size_t count)                               \
    {                                                                                   \
        pass_struct(s, count, mixed, align);                                            \
    }                                                                                   \
    static void name##_pass_registers(void *s, size_t count)                            \
    {                                                                                   \
        pass_registers(s, count, mixed, align);                                         \
    }                                                                                   \
    static void name##_pass_malloc(void *s, size_t count)                               \
    {                                                                                   \
        pass_malloc(s, count, mixed);                                                   \
    }                                                                                   \
    static void name##_pass_region(void *s, size_t count)                               \
    {                                                                                   \
        pass_region(s, count, mixed);                                                   \
    }                                                                                   \
    figure name##_fief(const job *given)                                                \
    {                                                                                   \
        return measure_loop(given, name##_pass_fief, set_up_fief(), OBJECTS);           \
    }                                                                                   \
    figure name##_struct(const job *given)                                              \
    {                                                                                   \
        return measure_loop(given, name##_pass_struct, set_up(), OBJECTS);              \
    }                                                                                   \
    figure name##_registers(const job *given)                                           \
    {                                                                                   \
        return measure_loop(given, name##_pass_registers, set_up(), OBJECTS);           \
    }                                                                                   \
    figure name##_malloc(const job *given)                                              \
    {                                                                                   \
        setting *s = set_up();                                                          \
        bool has_regions = s->peer.region_open != NULL;                                 \
        return measure_loop(given, has_regions ? name##_pass_region : name##_pass_malloc, s, \
                            OBJECTS);                                                   \
    }

/* A node holds pointers and is aligned as its type asks: what fief_arena_make and fief_temp do. */
ARENA_BENCH(arena_24, false, 8)
ARENA_BENCH(arena_mix, true, 8)
/* A peer's own passes, in the shared object that this process was started with. */
static figure measure_region(const job *given, const char *name)
{
    setting *s = &the_setting;
    region_job work = {OBJECTS, s->sizes};
    pass *run = peer_region_pass(name);
    if (run == NULL) {
        give_up("no region is loaded");
    }
    draw_ast_sizes(s->sizes, OBJECTS);
    return measure_loop(given, run, &work, OBJECTS);
}

figure arena_24_region(const job *given)
{
    return measure_region(given, "region_pass_24");
}

figure arena_mix_region(const job *given)
{
    return measure_region(given, "region_pass_mix");
}

/* What is aligned for any type, as malloc's blocks are. */
ARENA_BENCH(arena_24_any, false, FIEF_ALIGN)
ARENA_BENCH(arena_mix_any, true, FIEF_ALIGN)
