/* limits: every size and alignment at the edges, caps and limits, and what fief_open refuses. */
#include "support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

static fief_runtime *rt;
static witness seen;

static fief_runtime *open_with(fief_config config)
{
    config.on_misuse = witness_misuse;
    config.user = config.user != NULL ? config.user : &seen;
    config.reserve_bytes = config.kind_count > 1000 ? 0 : small_reserve;
    rt = fief_open(&config);
    cr_assert_not_null(rt);
    return rt;
}

static void close_runtime(void)
{
    cr_expect_eq(fief_close(rt), 0);
    cr_expect_eq(seen.count, 0, "misuse: %s", seen.text);
}

static fief_count count_of(fief_strategy strategy)
{
    return fief_stats_strategy(rt, strategy);
}

static size_t used_bytes(void)
{
    size_t sum = 0;
    for (unsigned s = FIEF_VM_ARENA; s < FIEF_STRATEGIES; s++) {
        sum += count_of((fief_strategy)s).used_bytes;
    }
    return sum;
}

/* ---- sizes, in every allocator ---- */

typedef struct verbs {
    const char *name;
    void *(*take)(size_t size);
    void (*give)(void *block, size_t size);
} verbs;

static fief_heap *heap(void)
{
    return fief_runtime_heap(rt);
}

static void *take_arena(size_t size)
{
    return fief_arena_alloc(fief_vm_arena(rt), size);
}
static void *take_unit(size_t size)
{
    return fief_temp(rt, char, size);
}
static void *take_resized_arena(size_t size)
{
    void *block = fief_arena_alloc(fief_vm_arena(rt), 10);
    return fief_arena_resize(fief_vm_arena(rt), block, 10, size);
}
static void *take_stack(size_t size)
{
    return fief_stack_push(fief_frame_stack(rt), size);
}
static void *take_heap(size_t size)
{
    return fief_heap_alloc(heap(), size);
}
static void *take_aligned(size_t size)
{
    return fief_heap_alloc_aligned(heap(), size, 64);
}
static void *take_unsized(size_t size)
{
    return fief_malloc(rt, size);
}
static void *take_calloc(size_t size)
{
    return fief_calloc(rt, size, 1);
}
static void *take_by_kind(size_t size)
{
    return fief_new(rt, FIEF_KIND_VECTOR, FIEF_DYNAMIC, size);
}
static void *take_literal(size_t size)
{
    return fief_new(rt, FIEF_KIND_VECTOR, FIEF_LITERAL, size);
}

static void *take_resized(size_t size)
{
    void *block = fief_heap_alloc(heap(), 10), *resized = fief_heap_resize(heap(), block, 10, size);
    fief_heap_free(heap(), resized == NULL ? block : NULL, 10);
    return resized;
}

static void *take_reallocated(size_t size)
{
    void *block = fief_malloc(rt, 10), *resized = fief_realloc(rt, block, size);
    fief_release(rt, resized == NULL ? block : NULL);
    return resized;
}

static void *take_string(size_t size)
{
    static char source[(1 << 20) + 2];
    return fief_memdup(rt, FIEF_DYNAMIC, source, size);
}

static void give_nothing(void *block, size_t size)
{
    (void)block;
    (void)size;
}
static void give_stack(void *block, size_t size)
{
    cr_assert(fief_stack_pop(fief_frame_stack(rt), block, size), "a frame of %zu", size);
}
static void give_heap(void *block, size_t size)
{
    fief_heap_free(heap(), block, size);
}
static void give_unsized(void *block, size_t size)
{
    (void)size;
    fief_release(rt, block);
}
static void give_by_kind(void *block, size_t size)
{
    fief_free(rt, FIEF_KIND_VECTOR, block, size);
}

static const verbs all_verbs[] = {
    {"arena", take_arena, give_nothing},
    {"unit", take_unit, give_nothing},
    {"arena resize", take_resized_arena, give_nothing},
    {"heap", take_heap, give_heap},
    {"heap aligned", take_aligned, give_heap},
    {"heap resize", take_resized, give_heap},
    {"malloc", take_unsized, give_unsized},
    {"calloc", take_calloc, give_unsized},
    {"realloc", take_reallocated, give_unsized},
    {"new", take_by_kind, give_by_kind},
    {"new literal", take_literal, give_nothing},
    {"memdup", take_string, give_unsized},
};
enum { VERBS = sizeof all_verbs / sizeof all_verbs[0] };

static const size_t possible[] = {0,   1,   7,   8,      15,     16,     17,
                                  511, 512, 513, 262143, 262144, 262145, 1048577};
static const size_t impossible[] = {PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1, SIZE_MAX - 15, SIZE_MAX};
enum {
    POSSIBLE = sizeof possible / sizeof possible[0],
    IMPOSSIBLE = sizeof impossible / sizeof impossible[0]
};

/* Two of each size, alive at once: apart, whole, and gone when they are given. */
static void try_possible(const verbs *v)
{
    unsigned char *pairs[POSSIBLE][2];
    for (size_t i = 0; i < 2 * POSSIBLE; i++) {
        size_t size = possible[i / 2];
        unsigned char *block = pairs[i / 2][i % 2] = v->take(size);
        cr_assert_not_null(block, "%s of %zu", v->name, size);
        cr_expect(i % 2 == 0 || block != pairs[i / 2][0]);
        fill(block, size, (unsigned)i);
    }
    for (size_t i = 2 * POSSIBLE; i-- > 0;) {
        unsigned char *block = pairs[i / 2][i % 2];
        cr_assert(holds(block, possible[i / 2], (unsigned)i), "%s of %zu", v->name,
                  possible[i / 2]);
        v->give(block, possible[i / 2]);
    }
}

static void try_impossible(const verbs *v)
{
    for (size_t i = 0; i < IMPOSSIBLE; i++) {
        cr_expect_null(v->take(impossible[i]), "%s of %zu", v->name, impossible[i]);
    }
}

static void sizes_of_common_blocks(void)
{
    for (int counted = 0; counted < count_modes(); counted++) {
        open_with((fief_config){.count_blocks = counted != 0});
        for (size_t i = 0; i < VERBS; i++) {
            fief_unit unit = fief_unit_begin(rt);
            try_possible(&all_verbs[i]);
            try_impossible(&all_verbs[i]);
            fief_unit_end(rt, unit);
        }
        cr_expect_eq(count_of(FIEF_HEAP).used_bytes, 0);
        close_runtime();
    }
}

static void sizes_of_frames(void)
{
    static const verbs frames = {"stack", take_stack, give_stack};
    for (int counted = 0; counted < count_modes(); counted++) {
        open_with((fief_config){.count_blocks = counted != 0});
        try_possible(&frames);
        try_impossible(&frames);
        cr_expect_eq(count_of(FIEF_STACK).used_bytes, 0);
        close_runtime();
    }
}

static void *take_unsized_aligned(size_t size)
{
    return fief_heap_alloc_unsized_aligned(heap(), size, 64);
}

static void sizes_of_unsized_aligned_blocks(void)
{
    static const verbs unsized_aligned = {"unsized aligned", take_unsized_aligned, give_unsized};
    for (int counted = 0; counted < count_modes(); counted++) {
        open_with((fief_config){.count_blocks = counted != 0});
        try_possible(&unsized_aligned);
        try_impossible(&unsized_aligned);
        cr_expect_eq(count_of(FIEF_HEAP).used_bytes, 0);
        close_runtime();
    }
}

Test(limits, sizes_at_every_edge)
{
    sizes_of_common_blocks();
    sizes_of_frames();
    sizes_of_unsized_aligned_blocks();
}

Test(limits, products_that_overflow_are_null)
{
    static const size_t half = SIZE_MAX / 2 + 1;
    open_with((fief_config){0});
    fief_unit unit = fief_unit_begin(rt);
    size_t used = used_bytes();
    cr_expect_null(fief_arena_array(fief_vm_arena(rt), half, 2, 8));
    cr_expect_null(fief_arena_array(fief_vm_arena(rt), 2, half, 8));
    cr_expect_null(fief_arena_array(fief_vm_arena(rt), SIZE_MAX, SIZE_MAX, 8));
    cr_expect_null(fief_arena_make(fief_vm_arena(rt), uint64_t, SIZE_MAX / 8 + 1));
    cr_expect_null(fief_temp(rt, uint64_t, SIZE_MAX / 8 + 1));
    cr_expect_null(fief_stack_make(fief_frame_stack(rt), uint64_t, SIZE_MAX / 8 + 1));
    cr_expect_null(fief_calloc(rt, half, 2));
    cr_expect_null(fief_calloc(rt, SIZE_MAX, SIZE_MAX));
    cr_expect_null(fief_calloc(rt, SIZE_MAX / 16 + 1, 16));
    cr_expect_eq(used_bytes(), used);
    cr_expect_not_null(fief_arena_array(fief_vm_arena(rt), 0, SIZE_MAX, 8));
    fief_unit_end(rt, unit);
    close_runtime();
}

/* ---- alignments ---- */

Test(limits, every_alignment_is_met)
{
    static const size_t few[] = {0, 10, 1000, 100000};
    open_with((fief_config){.align = 8});
    for (size_t align = 1; align <= FIEF_ALIGN_MAX; align *= 2) {
        for (size_t i = 0; i < 8; i++) {
            size_t size = few[i % 4];
            void *sized = fief_heap_alloc_aligned(heap(), size, align);
            void *in_arena = fief_arena_alloc_aligned(fief_vm_arena(rt), size, align);
            cr_assert(sized != NULL && is_multiple(sized, align), "%zu at %zu", size, align);
            cr_assert(in_arena != NULL && is_multiple(in_arena, align), "%zu at %zu", size, align);
            fill(sized, size, 1);
            fill(in_arena, size, 2);
            cr_expect(holds(sized, size, 1));
            fief_heap_free(heap(), sized, size);
            cr_expect(holds(in_arena, size, 2));
        }
        void *array = fief_arena_array(fief_vm_arena(rt), 3, 5, align);
        cr_expect(array != NULL && is_multiple(array, align));
    }
    cr_expect_eq(count_of(FIEF_HEAP).used_bytes, 0);
    close_runtime();
}

Test(limits, other_alignments_are_refused_and_change_nothing)
{
    static const size_t bad[] = {0, 3, 24, 131072, SIZE_MAX, (size_t)1 << 63};
    for (int counted = 0; counted < count_modes(); counted++) {
        open_with((fief_config){.count_blocks = counted != 0});
        cr_assert_not_null(fief_arena_alloc(fief_vm_arena(rt), 8));
        size_t used = used_bytes(), held = fief_stats_held(rt);
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
            cr_expect_null(fief_arena_alloc_aligned(fief_vm_arena(rt), 40, bad[i]));
            cr_expect(witness_saw(&seen, FIEF_MISUSE_BAD_ALIGNMENT));
            cr_expect_null(fief_arena_array(fief_vm_arena(rt), 5, 8, bad[i]));
            cr_expect(witness_saw(&seen, FIEF_MISUSE_BAD_ALIGNMENT));
            cr_expect_null(fief_heap_alloc_aligned(heap(), 40, bad[i]));
            cr_expect(witness_saw(&seen, FIEF_MISUSE_BAD_ALIGNMENT));
            cr_expect_null(fief_heap_alloc_unsized_aligned(heap(), 40, bad[i]));
            cr_expect(witness_saw(&seen, FIEF_MISUSE_BAD_ALIGNMENT));
        }
        cr_expect_eq(used_bytes(), used);
        cr_expect_eq(fief_stats_held(rt), held);
        close_runtime();
    }
}

/* ---- an arena's cap ---- */

enum { CAP = 100000 };

static void fill_past_cap(fief_arena *a, fief_strategy strategy)
{
    size_t blocks = 0;
    while (count_of(strategy).fallbacks < 50) {
        unsigned char *block = fief_arena_alloc(a, 100);
        cr_assert(block != NULL && is_multiple(block, FIEF_ALIGN));
        fill(block, 100, 1);
        blocks++;
        cr_assert_leq(fief_arena_used(a), (size_t)CAP);
    }
    cr_expect_gt(fief_arena_used(a), (size_t)CAP - 500, "the cap is not used up");
    cr_expect_gt(blocks, (size_t)CAP / 200);
    cr_expect_eq(count_of(FIEF_HEAP).used_bytes, 50 * 112);
    cr_expect_not_null(fief_arena_alloc(a, CAP * 2));
    cr_expect_eq(count_of(strategy).fallbacks, 51);
}

Test(limits, an_arena_stays_below_its_cap_and_the_heap_serves)
{
    fief_arena_config capped = {.max_bytes = CAP};
    for (int counted = 0; counted < count_modes(); counted++) {
        open_with((fief_config){.compiler_arena = &capped, .count_blocks = counted != 0});
        fief_arena *a = fief_arena_open(rt, &capped);
        fief_mark mark = fief_arena_mark(a);
        fill_past_cap(a, FIEF_VM_ARENA);
        fief_arena_rewind(a, mark);
        cr_expect_eq(count_of(FIEF_HEAP).used_bytes, 0);
        cr_expect_eq(fief_arena_used(a), 0);
        fief_unit unit = fief_unit_begin(rt);
        fill_past_cap(fief_compiler_arena(rt), FIEF_COMPILER_ARENA);
        fief_unit_end(rt, unit);
        cr_expect_eq(count_of(FIEF_HEAP).used_bytes, 0);
        cr_expect_not_null(fief_arena_alloc(a, 2 * CAP));
        fief_arena_close(a);
        cr_expect_eq(count_of(FIEF_HEAP).used_bytes, 0);
        a = fief_arena_open(rt, &capped);
        cr_expect_not_null(fief_arena_alloc(a, 2 * CAP));
        cr_expect_eq(fief_arena_used(a), 0, "the first block is too large for the cap");
        close_runtime(); /* takes the block along that stands in for the arena's */
    }
}

Test(limits, what_serves_for_an_arena_is_aligned_as_asked)
{
    open_with((fief_config){.align = 8});
    fief_arena *a = fief_arena_open(rt, &(fief_arena_config){.max_bytes = 8});
    for (size_t i = 0; i < 20; i++) {
        void *block = fief_arena_alloc(a, 24);
        cr_assert(block != NULL && is_multiple(block, FIEF_ALIGN), "default alignment");
    }
    for (size_t align = 1; align <= FIEF_ALIGN_MAX; align *= 2) {
        void *block = fief_arena_alloc_aligned(a, 100, align);
        cr_assert(block != NULL && is_multiple(block, align), "alignment %zu", align);
    }
    close_runtime();
}

/* ---- limits ---- */

enum { LIMIT = 50000, HELD = 64 };

typedef struct collector {
    witness seen; /* first: on_misuse is handed the same pointer */
    void *garbage[HELD];
    size_t sizes[HELD], count, calls, asked_for;
    bool lazy;
} collector;

static void keep(collector *c, void *block, size_t size)
{
    if (block != NULL && c->count < HELD) {
        c->garbage[c->count] = block;
        c->sizes[c->count++] = size;
    }
}

/* Frees the newest garbage; says that it helped while there is some. */
static bool collect(fief_runtime *runtime, size_t size, void *user)
{
    collector *c = user;
    c->calls++;
    c->asked_for = size;
    if (c->lazy || c->count == 0) {
        return false;
    }
    c->count--;
    fief_free(runtime, FIEF_KIND_VECTOR, c->garbage[c->count], c->sizes[c->count]);
    return true;
}

static size_t asked_bytes(void)
{
    size_t sum = 0;
    for (unsigned s = FIEF_VM_ARENA; s < FIEF_STRATEGIES; s++) {
        sum += count_of((fief_strategy)s).asked_bytes;
    }
    return sum;
}

static void *take_any(collector *c, uint64_t *state, size_t size)
{
    switch (draw(state, 5)) {
    case 0:
        return fief_arena_alloc(fief_vm_arena(rt), size / 16);
    case 1:
        return fief_stack_push(fief_frame_stack(rt), size / 16);
    case 2:
        return fief_temp(rt, char, size / 4);
    default:
        break;
    }
    void *block = fief_new(rt, FIEF_KIND_VECTOR, FIEF_DYNAMIC, size);
    keep(c, block, size);
    return block;
}

Test(limits, what_is_asked_for_stays_below_the_runtimes_limit)
{
    collector c = {.lazy = false};
    uint64_t state = 5;
    size_t refused = 0, collected = 0;
    open_with((fief_config){.limit_bytes = LIMIT, .on_full = collect, .user = &c});
    for (int round = 0; round < 20; round++) {
        fief_unit unit = fief_unit_begin(rt);
        fief_mark frames = fief_stack_mark(fief_frame_stack(rt));
        for (int i = 0; i < 100; i++) {
            size_t size = draw(&state, 3000), calls = c.calls;
            void *block = take_any(&c, &state, size);
            refused += block == NULL;
            collected += block != NULL && c.calls > calls;
            cr_assert_leq(asked_bytes(), (size_t)LIMIT);
        }
        fief_stack_rewind(fief_frame_stack(rt), frames);
        fief_unit_end(rt, unit);
    }
    cr_expect_gt(collected, 20u);
    size_t counted = 0;
    for (unsigned s = FIEF_VM_ARENA; s < FIEF_STRATEGIES; s++) {
        counted += count_of((fief_strategy)s).refused;
    }
    cr_expect_eq(counted, refused);
    while (collect(rt, 0, &c)) {
    }
    cr_expect_eq(fief_close(rt), 0);
    cr_expect_eq(c.seen.count, 0);
}

static void *take_strategy(fief_strategy strategy, fief_pool *pool, size_t size)
{
    switch (strategy) {
    case FIEF_VM_ARENA:
        return fief_arena_alloc(fief_vm_arena(rt), size);
    case FIEF_COMPILER_ARENA:
        return fief_temp(rt, char, size);
    case FIEF_STACK:
        return fief_stack_push(fief_frame_stack(rt), size);
    case FIEF_POOL:
        return fief_pool_take(pool);
    default:
        return fief_new(rt, FIEF_KIND_VECTOR, FIEF_DYNAMIC, size);
    }
}

/* An arena at its limit turns to the heap, which has reached its own. */
static void fill_strategy(fief_strategy strategy)
{
    enum { SIZE = 1000 };
    collector c = {.lazy = true};
    fief_config config = {.limits = {[FIEF_HEAP] = LIMIT}, .on_full = collect, .user = &c};
    config.limits[strategy] = LIMIT;
    open_with(config);
    fief_pool *pool = fief_pool_open(rt, "pool", SIZE);
    fief_unit unit = fief_unit_begin(rt);
    size_t taken = 0;
    void *block;
    while ((block = take_strategy(strategy, pool, SIZE)) != NULL && taken < 1000) {
        fief_strategy owner = fief_owner(rt, block);
        keep(&c, strategy == FIEF_HEAP ? block : NULL, SIZE);
        taken += owner == strategy;
        cr_assert_leq(count_of(strategy).asked_bytes, (size_t)LIMIT);
        cr_assert_leq(count_of(FIEF_HEAP).asked_bytes, (size_t)LIMIT);
    }
    cr_expect_eq(taken, (size_t)LIMIT / SIZE);
    cr_expect_eq(count_of(strategy).refused, 1);
    cr_expect(c.calls == 1 && c.asked_for == SIZE);
    c.lazy = false;
    if (strategy == FIEF_HEAP) {
        cr_assert_not_null(block = take_strategy(strategy, pool, SIZE));
        fief_free(rt, FIEF_KIND_VECTOR, block, SIZE);
        cr_expect_eq(c.calls, 2);
    }
    while (collect(rt, 0, &c)) {
    }
    fief_unit_end(rt, unit);
    fief_pool_close(pool);
    cr_expect_eq(fief_close(rt), 0);
}

/* What a block grows by is held against the limit, and a block that may not grow stays. */
Test(limits, a_block_grows_up_to_the_runtimes_limit)
{
    open_with((fief_config){.reserve_bytes = small_reserve, .limit_bytes = 10000});
    unsigned char *block = fief_heap_alloc(heap(), 6000);
    fill(block, 6000, 3);
    cr_expect_null(fief_heap_resize(heap(), block, 6000, 10001));
    cr_expect(holds(block, 6000, 3));
    block = fief_heap_resize(heap(), block, 6000, 10000);
    cr_assert_not_null(block);
    cr_expect(holds(block, 6000, 3));
    fief_heap_free(heap(), block, 10000);
    close_runtime();
}

/* Grain by grain, in place, and then on the heap. */
Test(limits, the_newest_block_grows_up_to_its_arenas_cap)
{
    const size_t most = 1000;
    open_with((fief_config){.reserve_bytes = small_reserve});
    fief_arena *a = fief_arena_open(rt, &(fief_arena_config){.max_bytes = most});
    unsigned char *block = fief_arena_alloc(a, 64);
    for (size_t size = 64; size < 2000; size += 8) {
        block = fief_arena_resize(a, block, size, size + 8);
        cr_assert_not_null(block);
        cr_expect_leq(fief_arena_used(a), most);
    }
    fief_arena_close(a);
    close_runtime();
}

Test(limits, each_strategy_has_a_limit_of_its_own)
{
    for (unsigned s = FIEF_VM_ARENA; s < FIEF_STRATEGIES; s++) {
        fill_strategy((fief_strategy)s);
    }
}

/* ---- what fief_open refuses ---- */

static char *refusal(fief_config config, fief_status status)
{
    static fief_error error;
    error = (fief_error){FIEF_OK, ""};
    config.error = NULL;
    cr_expect_null(fief_open(&config));
    config.error = &error;
    cr_expect_null(fief_open(&config));
    cr_expect_eq(error.status, status, "%s", error.text);
    return error.text;
}

static void expect_words(const char *text, const char *first, const char *second)
{
    cr_expect_not_null(strstr(text, first), "'%s' says %s", text, first);
    cr_expect_not_null(strstr(text, second), "'%s' says %s", text, second);
}

static void refuse_kinds(const fief_kind *kinds, unsigned count, const char *first,
                         const char *second)
{
    fief_config config = {.kinds = kinds, .kind_count = count};
    expect_words(refusal(config, FIEF_BAD_TABLE), first, second);
}

static void nonsense_in_the_table_is_named(void)
{
    fief_kind rows[] = {{.name = "zero", .any = FIEF_HEAP},
                        {.name = "one", .size = 16, .any = FIEF_POOL},
                        {.name = "two", .any = FIEF_STACK}};
    refuse_kinds(rows, 0, "0 rows", "4096");
    refuse_kinds(rows, 4097, "4097 rows", "4096");
    refuse_kinds(rows, UINT32_MAX, "4294967295", "4096");
    rows[2].name = "zero";
    refuse_kinds(rows, 3, "'zero'", "rows 0 and 2");
    rows[2].name = NULL;
    refuse_kinds(rows, 3, "row 2", "no name");
    rows[2].name = "two";
    rows[1].size = 0;
    refuse_kinds(rows, 3, "'one' (row 1)", "not 0");
    rows[1].size = 32769;
    refuse_kinds(rows, 3, "'one' (row 1)", "32769");
    rows[1].size = SIZE_MAX;
    refuse_kinds(rows, 3, "'one' (row 1)", "18446744073709551615");
    rows[1].size = 32768;
    rows[2].in[7] = FIEF_POOL;
    refuse_kinds(rows, 3, "'two' (row 2)", "pool");
    rows[2].in[7] = (fief_strategy)FIEF_STRATEGIES;
    refuse_kinds(rows, 3, "'two' (row 2)", "unknown strategy 6");
    rows[2].in[7] = FIEF_NO_STRATEGY;
    rt = fief_open(&(fief_config){.kinds = rows, .kind_count = 3});
    cr_expect_not_null(rt);
    close_runtime();
}

Test(limits, as_many_kinds_as_are_allowed)
{
    enum { MOST = 4096 };
    static fief_kind kinds[MOST];
    static char names[MOST][8];
    for (unsigned i = 0; i < MOST; i++) {
        (void)snprintf(names[i], sizeof names[i], "k%u", i);
        kinds[i] = (fief_kind){.name = names[i], .size = 8 + i % 500, .any = FIEF_POOL};
    }
    open_with((fief_config){.kinds = kinds, .kind_count = MOST, .count_blocks = true});
    for (unsigned i = 0; i < MOST; i += 100) {
        void *slot = fief_new(rt, i, FIEF_DYNAMIC, kinds[i].size);
        cr_assert_not_null(slot);
        cr_expect_eq(fief_stats_kind(rt, i).blocks, 1);
        fief_free(rt, i, slot, kinds[i].size);
    }
    close_runtime();
}

static void numbers_out_of_range_are_named(void)
{
    expect_words(refusal((fief_config){.limit_bytes = 4095}, FIEF_BAD_CONFIG), "4095", "4096");
    expect_words(refusal((fief_config){.limit_bytes = 1}, FIEF_BAD_CONFIG), "limit_bytes", "4096");
    expect_words(refusal((fief_config){.align = 7}, FIEF_BAD_CONFIG), "align", "7");
    expect_words(refusal((fief_config){.align = 32}, FIEF_BAD_CONFIG), "align", "32");
    expect_words(refusal((fief_config){.reserve_bytes = 1}, FIEF_NO_MEMORY), "1 bytes", "half");
    open_with((fief_config){.limit_bytes = 4096});
    void *block = fief_heap_alloc(heap(), 4096);
    cr_expect_not_null(block);
    cr_expect_null(fief_heap_alloc(heap(), 1));
    fief_heap_free(heap(), block, 4096);
    close_runtime();
}

Test(limits, nonsense_is_refused_with_a_sentence)
{
    nonsense_in_the_table_is_named();
    numbers_out_of_range_are_named();
}

Test(limits, a_reserve_is_halved_until_it_fits)
{
    static const size_t sizes[] = {4 << 20,         (4 << 20) + 12345, (size_t)1 << 45,
                                   (size_t)1 << 62, PTRDIFF_MAX,       SIZE_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        fief_error error = {FIEF_OK, ""};
        rt = fief_open(&(fief_config){.reserve_bytes = sizes[i], .error = &error});
        if (rt == NULL) {
            cr_expect_eq(error.status, FIEF_NO_MEMORY, "%s", error.text);
            cr_expect_gt(sizes[i], (size_t)1 << 30, "%s", error.text);
            continue;
        }
        void *block = fief_heap_alloc(heap(), 1 << 20);
        cr_assert_not_null(block);
        memset(block, 1, 1 << 20);
        cr_expect_null(fief_heap_alloc(heap(), (size_t)1 << 61));
        fief_heap_free(heap(), block, 1 << 20);
        close_runtime();
    }
}

/* ---- the smallest buffer ---- */

static size_t least_buffer(bool counted)
{
    static char one[1];
    const char *text = refusal(
        (fief_config){.buffer = one, .buffer_size = 1, .count_blocks = counted}, FIEF_BAD_CONFIG);
    const char *number = strstr(text, "least is ");
    cr_assert_not_null(number, "%s", text);
    return strtoull(number + strlen("least is "), NULL, 10);
}

static void use_little(void)
{
    void *string = fief_new(rt, FIEF_KIND_STRING, FIEF_DYNAMIC, 100);
    cr_assert(string != NULL && is_zero(string, 100));
    fief_free(rt, FIEF_KIND_STRING, string, 100);
    void *pair = fief_new(rt, FIEF_KIND_PAIR, FIEF_DYNAMIC, 48);
    cr_assert(pair != NULL && is_zero(pair, 48));
    fief_free(rt, FIEF_KIND_PAIR, pair, 48);
    cr_expect_null(fief_heap_alloc(heap(), 10 << 20));
}

/* Opens and uses a runtime in `size` bytes at an offset, and looks at the bytes beside them. */
static void live_in(size_t size, size_t offset, bool counted)
{
    enum { BESIDE = 64 };
    unsigned char *bytes = malloc(size + offset + BESIDE);
    memset(bytes, 0xEE, size + offset + BESIDE);
    rt = fief_open(
        &(fief_config){.buffer = bytes + offset, .buffer_size = size, .count_blocks = counted});
    cr_assert_not_null(rt, "%zu bytes at offset %zu", size, offset);
    use_little();
    cr_expect_eq(fief_close(rt), 0);
    for (size_t i = 0; i < offset + BESIDE; i++) {
        cr_assert_eq(bytes[i < offset ? i : size + i], 0xEE, "a byte beside the buffer changed");
    }
    free(bytes);
}

static void the_smallest_buffer_is_the_one_that_the_refusal_names(void)
{
    static char bytes[2 << 20];
    for (int counted = 0; counted < count_modes(); counted++) {
        size_t least = least_buffer(counted != 0);
        cr_assert_lt(least, sizeof bytes);
        (void)refusal(
            (fief_config){.buffer = bytes, .buffer_size = least - 1, .count_blocks = counted != 0},
            FIEF_BAD_CONFIG);
        live_in(least, 0, counted != 0);
        live_in(least, 16, counted != 0);
        live_in(least + 65536, 48, counted != 0);
    }
}

static void a_buffer_may_be_crooked(void)
{
    for (int counted = 0; counted < count_modes(); counted++) {
        size_t least = least_buffer(counted != 0);
        for (size_t offset = 1; offset < 16; offset += 3) {
            live_in(least, offset, counted != 0);
            live_in(least + offset, 0, counted != 0);
        }
    }
}

/* Descriptors must not run out long before the memory that they describe. */
static void counted_blocks_fill_a_buffer(void)
{
    enum { SIZE = 4 << 20, BLOCK = 256 };
    void *bytes = malloc(SIZE);
    open_with((fief_config){.buffer = bytes, .buffer_size = SIZE, .count_blocks = true});
    size_t blocks = 0;
    while (fief_arena_alloc(fief_vm_arena(rt), BLOCK) != NULL) {
        blocks++;
    }
    cr_expect_gt(blocks * BLOCK, (size_t)SIZE / 3, "%zu blocks of %d bytes", blocks, BLOCK);
    close_runtime();
    free(bytes);
}

/* Dead blocks may wait as long as nobody needs their memory. */
static void a_quarantine_gives_way_before_memory_is_short(void)
{
    static _Alignas(16) char bytes[3 << 20];
    open_with((fief_config){.buffer = bytes, .buffer_size = sizeof bytes});
    for (size_t i = 0; i < 100; i++) {
        void *block = fief_heap_alloc(heap(), 300000);
        cr_assert_not_null(block, "after %zu blocks that are free", i);
        fief_heap_free(heap(), block, 300000);
    }
    close_runtime();
}

/* Only whole pages of it are used: behind its end everything is the caller's. */
static void a_buffers_end_is_kept(void)
{
    enum { SIZE = (2 << 20) + 40000, BEHIND = 65536, BLOCK = 1000 };
    unsigned char *bytes = malloc(SIZE + BEHIND);
    fill(bytes + SIZE, BEHIND, 5);
    open_with((fief_config){.buffer = bytes, .buffer_size = SIZE});
    for (void *block; (block = fief_arena_alloc(fief_vm_arena(rt), BLOCK)) != NULL;) {
        memset(block, 0xEE, BLOCK);
    }
    cr_expect(holds(bytes + SIZE, BEHIND, 5));
    close_runtime();
    free(bytes);
}

Test(limits, a_buffer_is_used_up)
{
    a_buffers_end_is_kept();
    counted_blocks_fill_a_buffer();
    a_quarantine_gives_way_before_memory_is_short();
}

/* Everything that dies in the buffer while the runtime lives. */
static void die_in_many_ways(void)
{
    fief_arena *a = fief_arena_open(rt, NULL);
    for (int round = 0; round < 10; round++) {
        fief_mark mark = fief_arena_mark(a);
        for (int i = 0; i < 200; i++) {
            cr_assert_not_null(fief_arena_alloc(a, 500));
        }
        cr_assert_not_null(fief_arena_alloc(a, 100000));
        if (round % 3 == 2) {
            fief_arena_reset(a);
        } else {
            fief_arena_rewind(a, mark);
        }
        void *block = fief_heap_alloc(heap(), 50000), *pair = fief_new(rt, FIEF_KIND_PAIR, 3, 48);
        cr_assert(block != NULL && pair != NULL);
        fief_heap_free(heap(), block, 50000);
        fief_free(rt, FIEF_KIND_PAIR, pair, 48);
    }
    fief_arena_close(a);
}

static void a_callers_buffer_is_the_callers_again_after_close(void)
{
    enum { SIZE = 8 << 20 };
    char *bytes = aligned_alloc(65536, SIZE);
    for (int round = 0; round < 3; round++) {
        memset(bytes, 0xEE, SIZE);
        open_with((fief_config){.buffer = bytes, .buffer_size = SIZE, .count_blocks = round == 1});
        die_in_many_ways();
        close_runtime();
    }
    memset(bytes, 0xEE, SIZE);
    free(bytes);
}

Test(limits, a_callers_buffer_is_small_and_crooked_and_given_back)
{
    the_smallest_buffer_is_the_one_that_the_refusal_names();
    a_buffer_may_be_crooked();
    a_callers_buffer_is_the_callers_again_after_close();
}

static void count_calls(void *count)
{
    (*(size_t *)count)++;
}

/* A buffer has few descriptors: an arena at its cap and its cleanups use them up. */
Test(limits, descriptors_that_run_out_lose_nothing)
{
    enum { SIZE = 1 << 20 };
    size_t blocks = 0, registered = 0, called = 0;
    void *bytes = malloc(SIZE);
    open_with((fief_config){.buffer = bytes, .buffer_size = SIZE});
    fief_arena *a = fief_arena_open(rt, &(fief_arena_config){.max_bytes = 8});
    while (fief_arena_alloc(a, 24) != NULL) {
        blocks++;
    }
    while (fief_arena_cleanup(a, count_calls, &called)) {
        registered++;
    }
    cr_expect_gt(blocks + registered, 20u);
    cr_expect_eq(count_of(FIEF_VM_ARENA).refused, 1);
    size_t used = count_of(FIEF_HEAP).used_bytes;
    cr_expect_null(fief_arena_alloc(a, 24));
    cr_expect_eq(count_of(FIEF_HEAP).used_bytes, used);
    fief_arena_close(a);
    cr_expect_eq(called, registered);
    cr_expect_eq(count_of(FIEF_HEAP).used_bytes, 0);
    close_runtime();
    free(bytes);
}

/* ---- each verb, while descriptors are short ---- */

enum { SHORT_BUFFER = 4 << 20, LEFT_MOST = 24 };
static fief_arena *own_arena;
static fief_pool *own_pool;

static bool can_take_a_slot(void)
{
    void *slot = fief_pool_take(own_pool);
    fill(slot, slot != NULL ? 24 : 0, 1);
    fief_pool_give(own_pool, slot);
    return slot != NULL;
}

static bool can_take_unsized(void)
{
    void *block = fief_malloc(rt, 24);
    fill(block, block != NULL ? 24 : 0, 2);
    fief_release(rt, block);
    return block != NULL;
}

static bool can_take_medium(void)
{
    void *block = fief_heap_alloc(heap(), 2000);
    fill(block, block != NULL ? 2000 : 0, 3);
    fief_heap_free(heap(), block, 2000);
    return block != NULL;
}

static bool can_take_a_run(void)
{
    void *block = fief_arena_alloc(own_arena, 60000);
    fill(block, block != NULL ? 60000 : 0, 4);
    fief_arena_reset(own_arena);
    return block != NULL;
}

static bool can_open_an_arena(void)
{
    static _Alignas(16) char bytes[5000];
    fief_arena *a =
        fief_arena_open(rt, &(fief_arena_config){.buffer = bytes, .buffer_size = sizeof bytes});
    if (a != NULL) {
        void *block = fief_arena_alloc(a, 100);
        cr_assert_not_null(block, "its own buffer is there");
        fill(block, 100, 5);
        cr_expect_null(fief_arena_alloc(a, PTRDIFF_MAX));
        fief_arena_close(a);
    }
    memset(bytes, 1, sizeof bytes); /* and the caller's again */
    return a != NULL;
}

static bool can_open_a_presized_arena(void)
{
    static _Alignas(16) char bytes[5000];
    fief_arena *a = fief_arena_open(rt, &(fief_arena_config){
        .buffer = bytes, .buffer_size = sizeof bytes, .presize = 70000});
    fief_arena_close(a);
    memset(bytes, 1, sizeof bytes);
    return a != NULL;
}

static bool can_open_a_pool(void)
{
    fief_pool *p = fief_pool_open(rt, "late", 40);
    fief_pool_close(p);
    return p != NULL;
}

static bool can_open_a_stack(void)
{
    fief_stack *s = fief_stack_open(rt, NULL);
    fief_stack_close(s);
    return s != NULL;
}

static bool can_add_a_root(void)
{
    bool added = fief_root_add(rt, &own_pool, sizeof own_pool, NULL);
    fief_root_remove(rt, &own_pool);
    return added;
}

/* How many descriptors there are depends on the pages, and those on where the buffer begins. */
static _Alignas(65536) char short_buffer[SHORT_BUFFER];

/* Cleanups eat all descriptors but those of `left` more; returns how many they are. */
static size_t leave_descriptors(size_t registered, size_t left, size_t *called)
{
    size_t count = 0;
    while ((registered == 0 || count + left < registered) &&
           fief_arena_cleanup(fief_vm_arena(rt), count_calls, called)) {
        count++;
    }
    return count;
}

/* How many descriptors it takes until the verb is served; it may say no and lose nothing. */
static size_t least_descriptors(bool (*is_served)(void), size_t registered)
{
    for (size_t left = 0; left < LEFT_MOST; left++) {
        size_t called = 0;
        open_with((fief_config){.buffer = short_buffer, .buffer_size = sizeof short_buffer});
        own_arena = fief_arena_open(rt, NULL);
        own_pool = fief_pool_open(rt, "own", 24);
        size_t count = leave_descriptors(registered, left, &called);
        bool served = is_served();
        cr_expect_eq(seen.count, 0, "misuse: %s", seen.text);
        close_runtime();
        cr_expect_eq(called, count);
        if (served) {
            return left;
        }
    }
    return LEFT_MOST;
}

static bool can_clean_up(void)
{
    return fief_arena_cleanup(own_arena, count_calls, &(size_t){0});
}

Test(limits, each_verb_says_no_while_descriptors_are_short)
{
    bool (*const all[])(void) = {
        can_take_a_slot, can_take_unsized, can_take_medium, can_take_a_run, can_open_an_arena,
        can_open_a_presized_arena, can_open_a_pool, can_open_a_stack, can_add_a_root};
    size_t registered = SIZE_MAX, called = 0;
    open_with((fief_config){.buffer = short_buffer, .buffer_size = sizeof short_buffer});
    own_arena = fief_arena_open(rt, NULL);
    own_pool = fief_pool_open(rt, "own", 24);
    registered = leave_descriptors(0, 0, &called);
    cr_expect_not(can_clean_up());
    close_runtime();
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        size_t least = least_descriptors(all[i], registered);
        bool needs_none =
            (all[i] == can_add_a_root && !is_guarded()) || all[i] == can_take_unsized;
        cr_expect(least < LEFT_MOST && (least > 0 || needs_none), "verb %zu: at %zu", i, least);
    }
}

/* ---- tables ---- */

/* Kinds of which every second holds no pointers; `count` of them. */
static const fief_kind *many_kinds(size_t count)
{
    enum { MOST = 4096 };
    static fief_kind many[MOST];
    static char names[MOST][12];
    cr_assert_leq(count, MOST);
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(names[i], sizeof names[i], "kind%zu", i);
        many[i] = (fief_kind){.name = names[i], .any = FIEF_HEAP,
                              .traits = i % 2 != 0 ? FIEF_NO_POINTERS : 0};
    }
    return many;
}

Test(limits, a_table_that_the_reserve_does_not_hold_is_refused)
{
    fief_error error = {FIEF_OK, ""};
    cr_expect_null(fief_open(&(fief_config){.reserve_bytes = 4 << 20, .kinds = many_kinds(4096),
                                            .kind_count = 4096, .error = &error}));
    cr_expect_eq(error.status, FIEF_NO_MEMORY);
    cr_expect_not_null(strstr(error.text, "descriptors"), "'%s'", error.text);
}

/* The least buffer of each: what is kept for each kind uses its descriptors up. */
Test(limits, a_table_that_a_buffer_just_holds_is_served_or_refused)
{
    static _Alignas(16) char bytes[1 << 20];
    size_t served = 0, refused = 0;
    for (unsigned count = 10; count < 600; count += at_valgrinds_pace(1, 47)) {
        fief_error error = {FIEF_OK, ""};
        fief_config config = {.buffer = bytes, .buffer_size = sizeof bytes, .error = &error,
                              .kinds = many_kinds(count), .kind_count = count,
                              .count_blocks = true};
        rt = fief_open(&config);
        if (rt == NULL) {
            cr_expect_eq(error.status, FIEF_NO_MEMORY, "%u kinds: %s", count, error.text);
            refused++;
            continue;
        }
        char *block = fief_new(rt, count - 1, FIEF_DYNAMIC, 40);
        fief_free(rt, count - 1, block, block != NULL ? 40 : 0);
        cr_expect_eq(fief_close(rt), 0);
        served++;
    }
    cr_expect_gt(served, 0);
    cr_expect_gt(refused, 0);
}

/* Which kinds hold no pointers is kept last of all; where that finds no room, since the records of
 * the vm arena's own buffer have taken it, every kind is looked at. */
Test(limits, descriptors_that_are_all_taken_leave_none_for_what_holds_no_pointers)
{
    enum { SIZE = 1 << 20, FEW = 100, MANY = 174, STEP = 8000 };
    static _Alignas(16) char bytes[SIZE], own[16000];
    size_t step = at_valgrinds_pace(STEP, 4 * STEP);
    for (unsigned count = FEW; count < MANY; count += 10) {
        for (size_t quarantine = step; quarantine < SIZE / 8; quarantine += step) {
            open_with((fief_config){
                .buffer = bytes, .buffer_size = sizeof bytes, .kinds = many_kinds(count),
                .kind_count = count, .quarantine_bytes = quarantine,
                .vm_arena = &(fief_arena_config){.buffer = own, .buffer_size = sizeof own}});
            char *block = fief_new(rt, count - 1, FIEF_DYNAMIC, 40);
            cr_assert_not_null(block, "with a quarantine of %zu bytes", quarantine);
            fill(block, 40, 1);
            fief_free(rt, count - 1, block, 40);
            close_runtime();
        }
    }
}

/* ---- many runtimes ---- */

static size_t resident_bytes(void)
{
    unsigned long whole = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    cr_assert_not_null(file);
    cr_assert_eq(fscanf(file, "%lu %lu", &whole, &resident), 2);
    (void)fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void live_once(void)
{
    rt = fief_open(&(fief_config){.reserve_bytes = (size_t)64 << 20});
    cr_assert_not_null(rt);
    fief_unit unit = fief_unit_begin(rt);
    memset(fief_arena_alloc(fief_compiler_arena(rt), 50000), 1, 50000);
    void *block = fief_new(rt, FIEF_KIND_LIST, FIEF_DYNAMIC, 5000);
    memset(block, 1, 5000);
    fief_unit_end(rt, unit);
    fief_free(rt, FIEF_KIND_LIST, block, 5000);
    cr_assert_eq(fief_close(rt), 0);
}

/* A guarded build keeps some that were closed, and no more than some. */
Test(limits, runtimes_in_a_row_hold_no_more_memory)
{
    unsigned warm = RUNNING_ON_VALGRIND ? 10 : 200, many = is_guarded() ? 1000 : 10000;
    unsigned count = RUNNING_ON_VALGRIND ? 10 : many;
    for (unsigned i = 0; i < warm; i++) {
        live_once();
    }
    size_t before = resident_bytes();
    for (unsigned i = 0; i < count; i++) {
        live_once();
    }
    size_t after = resident_bytes();
    /* What libc takes and frees to tell a thread's stack rests in AddressSanitizer's quarantine. */
    size_t rests = fief_mode()[0] == 'A' ? (size_t)16 << 20 : 0;
    cr_expect(after < before + rests + ((size_t)1 << 20), "%zu bytes after %u, %zu after %u more",
              before, warm, after, count);
}

/* ---- memory that the system refuses ---- */

/* What the system counts to the process of its own, writable memory. */
static size_t data_bytes(void)
{
    FILE *status = fopen("/proc/self/status", "r");
    char line[200];
    size_t kib = 0;
    while (status != NULL && fgets(line, sizeof line, status) != NULL) {
        (void)sscanf(line, "VmData: %zu", &kib);
    }
    if (status != NULL) {
        (void)fclose(status);
    }
    return kib << 10;
}

static bool limit_data(size_t bytes)
{
    struct rlimit limit;
    bool known = getrlimit(RLIMIT_DATA, &limit) == 0;
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    return known && setrlimit(RLIMIT_DATA, &limit) == 0;
}

/* Under a limit that is hit somewhere in its open, a runtime is there or is refused; what a guarded
 * build needs only for its reports it does without. */
static bool opens_within(size_t bytes)
{
    fief_error error = {0};
    bool limited = limit_data(data_bytes() + bytes);
    rt = fief_open(&(fief_config){.reserve_bytes = small_reserve,
                                  .error = &error,
                                  .user = &seen,
                                  .on_misuse = witness_misuse});
    char *block = rt != NULL ? fief_malloc(rt, 40) : NULL;
    limited = limit_data(SIZE_MAX) && limited;
    cr_assert(limited);
    cr_assert(rt != NULL || error.status == FIEF_NO_MEMORY, "%s", error.text);
    if (rt == NULL) {
        return false;
    }
    if (block != NULL) {
        fill(block, 40, 1);
        fief_release(rt, block);
    }
    fief_release(rt, &seen); /* a report, of what is known */
    cr_expect(witness_saw(&seen, FIEF_MISUSE_FOREIGN_FREE), "%s", seen.text);
    close_runtime();
    return true;
}

Test(limits, a_limit_of_the_systems_on_memory_is_no_crash)
{
    enum { STEP = 32 << 10, MOST = 6 << 20 };
    if (has_a_tools_memory()) {
        cr_skip("they need memory of their own");
    }
    size_t refused = 0, opened = 0;
    for (size_t bytes = 0; bytes < MOST; bytes += STEP) {
        *(opens_within(bytes) ? &opened : &refused) += 1;
    }
    cr_expect_gt(refused, 0);
    cr_expect_gt(opened, 0);
}
