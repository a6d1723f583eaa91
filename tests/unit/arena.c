#include "support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <wchar.h>

static fief_runtime *rt;
static witness seen;
static char order[8];
static size_t ran;

static void note(void *letter)
{
    order[ran++] = *(const char *)letter;
}

static void open_runtime(void)
{
    rt = fief_open(
        &(fief_config){.reserve_bytes = small_reserve, .on_misuse = witness_misuse, .user = &seen});
    cr_assert_not_null(rt);
}

static void close_runtime(void)
{
    cr_expect_eq(fief_close(rt), 0);
    cr_expect_eq(seen.count, 0, "misuse: %s", seen.text);
}

TestSuite(arena, .init = open_runtime, .fini = close_runtime);

Test(arena, blocks_are_aligned_and_apart)
{
    fief_arena *a = fief_arena_open(rt, NULL);
    for (size_t align = 1; align <= FIEF_ALIGN_MAX; align *= 2) {
        unsigned char *p = fief_arena_alloc_aligned(a, 10, align);
        unsigned char *q = fief_arena_alloc_aligned(a, 10, align);
        cr_assert(p != NULL && q != NULL && q >= p + 10);
        cr_expect_eq((uintptr_t)p % align, 0);
        cr_expect_eq((uintptr_t)q % align, 0);
        memset(p, 1, 10);
        memset(q, 2, 10);
    }
}

Test(arena, size_zero_is_unique_and_absurd_sizes_are_null)
{
    fief_arena *a = fief_vm_arena(rt);
    void *p = fief_arena_alloc(a, 0), *q = fief_arena_alloc(a, 0);
    cr_expect(p != NULL && q != NULL && p != q);
    cr_expect_null(fief_arena_alloc(a, SIZE_MAX));
    cr_expect_null(fief_arena_alloc(a, SIZE_MAX - 7));
    cr_expect_null(fief_arena_alloc_aligned(a, SIZE_MAX - 7, 8));
    for (volatile size_t back = 1; back < 1 << 20; back *= 2) { /* ends that wrap to the window */
        cr_expect_null(fief_arena_alloc_aligned(a, SIZE_MAX - back, 1));
    }
    cr_expect_null(fief_arena_alloc(a, PTRDIFF_MAX));
    cr_expect_null(fief_arena_array(a, SIZE_MAX / 2, 3, 8));
}

Test(arena, rewind_returns_to_the_mark)
{
    fief_arena *a = fief_arena_open(rt, NULL);
    char *kept = fief_arena_strdup(a, "kept");
    size_t before = fief_arena_used(a);
    fief_mark mark = fief_arena_mark(a);
    for (int i = 0; i < 5000; i++) {
        cr_assert_not_null(fief_arena_alloc(a, (size_t)i % 300));
    }
    cr_assert_not_null(fief_arena_alloc(a, 1 << 20));
    fief_arena_rewind(a, mark);
    cr_expect_eq(fief_arena_used(a), before);
    cr_expect_str_eq(kept, "kept");
}

Test(arena, reset_keeps_capacity_and_empties)
{
    fief_arena *a = fief_arena_open(rt, NULL);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 20000; i++) {
            cr_assert_not_null(fief_arena_alloc(a, 24));
        }
        fief_arena_reset(a);
        cr_expect_eq(fief_arena_used(a), 0);
    }
}

Test(arena, cleanups_run_newest_first)
{
    fief_arena *a = fief_arena_open(rt, NULL);
    static char letters[] = "abc";
    cr_assert(fief_arena_cleanup(a, note, &letters[0]));
    fief_mark mark = fief_arena_mark(a);
    cr_assert(fief_arena_cleanup(a, note, &letters[1]));
    cr_assert(fief_arena_cleanup(a, note, &letters[2]));
    fief_arena_rewind(a, mark);
    cr_expect_str_eq(order, "cb");
    fief_arena_close(a);
    cr_expect_str_eq(order, "cba");
}

/* What is left of a window; a guarded build's is always full. */
static size_t room_of(const fief_arena *a)
{
    size_t room = (size_t)(a->limit - a->cursor);
    return room != 0 ? room : 1000;
}

Test(arena, a_cleanup_in_a_full_window_is_run_though_the_last_block_shrinks)
{
    fief_arena *a = fief_arena_open(rt, NULL);
    (void)fief_arena_alloc(a, 16);
    fief_mark mark = fief_arena_mark(a);
    size_t room = room_of(a);
    void *last = fief_arena_alloc(a, room);
    static char letters[] = "a";
    cr_assert(fief_arena_cleanup(a, note, &letters[0]));
    fief_mark full = fief_arena_mark(a);
    cr_assert_not_null(fief_arena_resize(a, last, room, 8));
    fief_arena_rewind(a, full);
    cr_expect_str_eq(order, "");
    fief_arena_rewind(a, mark);
    cr_expect_str_eq(order, "a");
    fief_arena_close(a);
}

static fief_arena *cleaned;
static fief_mark further_back;

static void allocate(void *letter)
{
    note(letter);
    cr_expect_not_null(fief_arena_alloc(cleaned, 64));
}

Test(arena, what_a_cleanup_makes_dies_with_the_rewind_also_in_the_first_span)
{
    static char letters[] = "ab";
    cleaned = fief_arena_open(rt, NULL);
    for (int i = 0; i < 2; i++) {
        fief_mark mark = fief_arena_mark(cleaned);
        cr_assert(fief_arena_cleanup(cleaned, allocate, &letters[i]));
        fief_arena_rewind(cleaned, mark);
        cr_expect_eq(fief_arena_used(cleaned), 0);
        fief_arena_reset(cleaned);
    }
    cr_expect_str_eq(order, "ab");
    fief_arena_close(cleaned);
}

static void go_back(void *letter)
{
    note(letter);
    fief_arena_rewind(cleaned, further_back);
}

Test(arena, a_cleanup_may_rewind_further_than_its_rewind)
{
    static char letters[] = "a";
    cleaned = fief_arena_open(rt, NULL);
    char *kept = fief_arena_strdup(cleaned, "kept");
    further_back = fief_arena_mark(cleaned);
    for (int i = 0; i < 40; i++) {
        (void)fief_arena_alloc(cleaned, 4000);
    }
    fief_mark mark = fief_arena_mark(cleaned);
    cr_assert(fief_arena_cleanup(cleaned, go_back, &letters[0]));
    fief_arena_rewind(cleaned, mark);
    cr_expect_str_eq(order, "a");
    cr_expect_leq(fief_arena_used(cleaned), 64);
    cr_expect_not_null(fief_arena_alloc(cleaned, 40));
    cr_expect_str_eq(kept, "kept");
    fief_arena_close(cleaned);
}

static fief_stack *frames;

/* A frame, and slots that may not lie in its pages of 64 KiB. */
static void push_and_take(void *letter)
{
    note(letter);
    void *frame = fief_stack_push(frames, 64);
    cr_assert_not_null(frame);
    for (int i = 0; i < 4; i++) {
        void *slot = fief_pool_take(fief_pool_open(rt, "late", 64));
        cr_expect_neq((uintptr_t)slot >> 16, (uintptr_t)frame >> 16);
    }
}

Test(arena_at_close, a_cleanup_may_push_a_frame)
{
    static char letters[] = "a";
    open_runtime();
    frames = fief_frame_stack(rt);
    (void)fief_stack_push(frames, 64);
    cr_assert(fief_arena_cleanup(fief_vm_arena(rt), push_and_take, &letters[0]));
    (void)fief_close(rt);
    cr_expect_str_eq(order, "a");
}

Test(arena, a_cap_counts_what_lies_apart_also_in_an_open_window)
{
    enum { CAP = 200000 };
    fief_arena *a = fief_arena_open(rt, &(fief_arena_config){.max_bytes = CAP});
    (void)fief_arena_alloc(a, 64);
    (void)fief_arena_alloc(a, 150000);
    for (int i = 0; i < 200; i++) {
        cr_assert_not_null(fief_arena_alloc(a, 1000)); /* the heap's, when the cap is reached */
    }
    cr_expect_leq(fief_arena_used(a), CAP);
    fief_arena_close(a);
}

Test(arena, callers_buffer_comes_first)
{
    static _Alignas(16) char buffer[4096];
    fief_arena *a =
        fief_arena_open(rt, &(fief_arena_config){.buffer = buffer, .buffer_size = sizeof buffer});
    char *p = fief_arena_alloc(a, 64);
    cr_expect(p >= buffer && p < buffer + sizeof buffer);
    cr_expect_not_null(fief_arena_alloc(a, 8000));
    fief_arena_close(a);
}

Test(arena, printf_and_resize_of_the_last_block)
{
    fief_arena *a = fief_arena_open(rt, NULL);
    cr_expect_str_eq(fief_arena_printf(a, "%d-%s", 7, "x"), "7-x");
    char *p = fief_arena_alloc(a, 16);
    memcpy(p, "fifteen letters", 16);
    p = fief_arena_resize(a, p, 16, 4000);
    cr_expect_str_eq(p, "fifteen letters");
    p = fief_arena_resize(a, p, 4000, 16);
    cr_expect_str_eq(p, "fifteen letters");
}

/* ---- capacity ---- */

static void take_many(fief_arena *a, size_t count, size_t size)
{
    for (size_t i = 0; i < count; i++) {
        cr_assert_not_null(fief_arena_alloc(a, size));
    }
}

Test(arena, presize_is_held_before_the_first_block)
{
    fief_arena *a = fief_arena_open(rt, &(fief_arena_config){.presize = 1 << 20});
    size_t held = fief_stats_held(rt);
    take_many(a, 900, 1000);
    cr_expect_eq(fief_stats_held(rt), held);
    fief_arena_close(a);
    cr_expect_leq(fief_stats_held(rt) + (1 << 20), held);
    cr_expect_null(fief_arena_open(rt, &(fief_arena_config){.presize = SIZE_MAX}));
    cr_expect_null(fief_arena_open(rt, &(fief_arena_config){.presize = PTRDIFF_MAX}));
}

/* In a guarded build the dead bytes of an arena wait, and a reset begins with fresh ones. */
Test(arena, a_reset_keeps_as_much_as_keep_bytes_says)
{
    size_t before = fief_stats_held(rt);
    fief_arena *frugal = fief_arena_open(rt, &(fief_arena_config){.keep_bytes = 256 << 10});
    take_many(frugal, 4000, 1000);
    cr_expect_not_null(fief_arena_alloc(frugal, 1 << 20));
    fief_arena_reset(frugal);
    size_t kept = fief_stats_held(rt) - before;
    cr_expect_leq(kept, (size_t)256 << 10);
    take_many(frugal, 100, 1000);
    cr_expect(is_guarded() || (kept > 0 && fief_stats_held(rt) - before == kept));
    fief_arena_close(frugal);
    cr_expect_eq(fief_stats_held(rt), before);

    fief_arena *common = fief_arena_open(rt, NULL);
    take_many(common, 2000, 1000);
    size_t held = fief_stats_held(rt);
    fief_arena_reset(common);
    cr_expect(is_guarded() || fief_stats_held(rt) == held);
    take_many(common, 2000, 1000);
    cr_expect(is_guarded() || fief_stats_held(rt) == held);
}

Test(arena, large_blocks_leave_with_the_reset)
{
    fief_arena *a = fief_arena_open(rt, NULL);
    take_many(a, 3, 100);
    size_t held = fief_stats_held(rt);
    for (int round = 0; round < 50; round++) {
        fief_mark mark = fief_arena_mark(a);
        unsigned char *large = fief_arena_alloc(a, 3 << 20);
        cr_assert_not_null(large);
        large[0] = large[(3 << 20) - 1] = 1;
        if (round % 2 == 0) {
            fief_arena_rewind(a, mark);
        } else {
            fief_arena_reset(a);
        }
        cr_assert_leq(fief_stats_held(rt), held);
    }
}

/* The page behind a large block's run is somebody else's. */
static void a_large_block_of_one_page_dies_alone(void)
{
    enum { BESIDE = 100 };
    unsigned char *beside[BESIDE];
    fief_runtime *counted =
        fief_open(&(fief_config){.reserve_bytes = small_reserve, .count_blocks = true});
    fief_arena *a = fief_arena_open(counted, NULL);
    cr_assert_not_null(fief_arena_alloc(a, 40000));
    for (size_t i = 0; i < BESIDE; i++) {
        cr_assert_not_null(beside[i] = fief_heap_alloc(fief_runtime_heap(counted), 300));
        fill(beside[i], 300, (unsigned)i);
    }
    fief_arena_reset(a);
    cr_expect_eq(fief_stats_strategy(counted, FIEF_VM_ARENA).blocks, 0);
    cr_expect_eq(fief_stats_strategy(counted, FIEF_HEAP).blocks, (size_t)BESIDE);
    for (size_t i = 0; i < BESIDE; i++) {
        cr_assert(holds(beside[i], 300, (unsigned)i), "block %zu beside it changed", i);
        fief_heap_free(fief_runtime_heap(counted), beside[i], 300);
    }
    cr_expect_eq(fief_close(counted), 0);
}

/* ---- marks ---- */

static unsigned char *watched_block;

static void note_and_read(void *letter)
{
    cr_expect_eq(watched_block[99999], 7, "the block of the cleanup's time died before it");
    note(letter);
}

Test(arena, rewinds_across_large_blocks_run_cleanups_in_order)
{
    static char letters[] = "abc";
    fief_arena *a = fief_arena_open(rt, NULL);
    take_many(a, 1, 100);
    cr_assert(fief_arena_cleanup(a, note, &letters[0]));
    size_t used = fief_arena_used(a);
    fief_mark outer = fief_arena_mark(a);
    watched_block = fief_arena_alloc(a, 100000);
    memset(watched_block, 7, 100000);
    cr_assert(fief_arena_cleanup(a, note_and_read, &letters[1]));
    take_many(a, 500, 500);
    size_t inner_used = fief_arena_used(a);
    fief_mark inner = fief_arena_mark(a);
    take_many(a, 2, 300000);
    cr_assert(fief_arena_cleanup(a, note_and_read, &letters[2]));
    fief_arena_rewind(a, inner);
    cr_expect_str_eq(order, "c");
    cr_expect_eq(fief_arena_used(a), inner_used);
    fief_arena_rewind(a, outer);
    cr_expect_str_eq(order, "cb");
    cr_expect_eq(fief_arena_used(a), used);
    fief_arena_reset(a);
    cr_expect_str_eq(order, "cba");
    cr_expect_eq(fief_arena_used(a), 0);
}

Test(arena, marks_of_others_and_of_dead_places_are_misuse)
{
    fief_arena *a = fief_arena_open(rt, NULL), *b = fief_arena_open(rt, NULL);
    char *kept = fief_arena_strdup(a, "kept");
    fief_mark early = fief_arena_mark(a);
    take_many(a, 200, 1000);
    fief_mark late = fief_arena_mark(a);
    take_many(b, 10, 10);
    size_t used = fief_arena_used(b);
    fief_arena_rewind(b, early);
    cr_expect(witness_saw(&seen, FIEF_MISUSE_WRONG_ARENA));
    cr_expect_eq(fief_arena_used(b), used);
    fief_arena_rewind(a, early);
    fief_arena_rewind(a, late);
    cr_expect(witness_saw(&seen, FIEF_MISUSE_STALE_MARK));
    cr_expect_str_eq(kept, "kept");
}

/* ---- marks, against a model ---- */

enum { MOST_BLOCKS = 4000, MOST_LEVELS = 30 };

typedef struct level {
    fief_mark mark;
    size_t blocks, cleanups, used, heap_used;
} level;

static struct {
    unsigned char *start;
    size_t size;
} blocks[MOST_BLOCKS];
static level levels[MOST_LEVELS];
static size_t block_count, level_count, cleanup_count;

static void expect_newest(void *number)
{
    cr_assert_eq((size_t)(uintptr_t)number, cleanup_count, "cleanups ran out of order");
    cleanup_count--;
}

static size_t heap_used(void)
{
    return fief_stats_strategy(rt, FIEF_HEAP).used_bytes;
}

static void model_take(fief_arena *a, uint64_t *state, size_t align_shifts)
{
    if (block_count == MOST_BLOCKS) {
        return;
    }
    size_t size = draw(state, draw(state, 15) == 0 ? 100000 : 700);
    size_t align = (size_t)1 << draw(state, align_shifts);
    unsigned char *start = fief_arena_alloc_aligned(a, size, align);
    cr_assert_not_null(start);
    cr_assert(is_multiple(start, align));
    blocks[block_count].start = start;
    blocks[block_count].size = size;
    fill_ends(start, size, (unsigned)block_count++);
}

static void model_rewind(fief_arena *a, size_t to)
{
    level *l = &levels[to];
    fief_arena_rewind(a, l->mark);
    cr_assert_eq(seen.count, 0, "misuse: %s", seen.text);
    cr_assert_eq(fief_arena_used(a), l->used);
    cr_assert_eq(heap_used(), l->heap_used);
    cr_assert_eq(cleanup_count, l->cleanups);
    block_count = l->blocks;
    for (size_t i = 0; i < block_count; i++) {
        cr_assert(ends_hold(blocks[i].start, blocks[i].size, (unsigned)i), "block %zu changed", i);
    }
}

static void model_step(fief_arena *a, uint64_t *state, size_t align_shifts)
{
    size_t what = draw(state, 100);
    if (what < 6 && level_count < MOST_LEVELS) {
        levels[level_count++] = (level){fief_arena_mark(a), block_count, cleanup_count,
                                        fief_arena_used(a), heap_used()};
    } else if (what < 12 && level_count > 0) {
        level_count = draw(state, level_count);
        model_rewind(a, level_count);
    } else if (what < 16) {
        cr_assert(fief_arena_cleanup(a, expect_newest, (void *)(uintptr_t)++cleanup_count));
    } else {
        model_take(a, state, align_shifts);
    }
}

static void run_model(const fief_arena_config *config, size_t align_shifts)
{
    uint64_t state = 7;
    fief_arena *a = fief_arena_open(rt, config);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 1500; i++) {
            model_step(a, &state, align_shifts);
        }
        fief_arena_reset(a);
        cr_assert_eq(fief_arena_used(a), 0);
        cr_assert_eq(cleanup_count, 0);
        block_count = level_count = 0;
    }
    fief_arena_close(a);
    cr_expect_eq(heap_used(), 0);
}

Test(arena, marks_and_rewinds_against_a_model)
{
    static _Alignas(16) char buffer[20000];
    run_model(NULL, 12);
    run_model(&(fief_arena_config){.buffer = buffer, .buffer_size = sizeof buffer}, 9);
    run_model(&(fief_arena_config){.presize = 1 << 20, .keep_bytes = 1 << 20}, 5);
}

Test(arena, marks_and_rewinds_at_a_cap_against_a_model)
{
    run_model(&(fief_arena_config){.max_bytes = 400000}, 5);
}

/* A runtime of its own, so that the pages are where we want them: what `below` gives back ends
 * where the arena's first span begins, and a later span or run of the arena fills it. */
static fief_runtime *touching;

static fief_arena *arena_above_a_hole(size_t hole)
{
    touching = fief_open(
        &(fief_config){.reserve_bytes = small_reserve, .on_misuse = witness_misuse, .user = &seen});
    fief_arena *below = fief_arena_open(touching, &(fief_arena_config){.presize = hole});
    fief_arena *a = fief_arena_open(touching, &(fief_arena_config){.presize = 60000});
    fief_arena_close(below);
    return a;
}

static void expect_empty_and_close(fief_arena *a)
{
    cr_expect_eq(seen.count, 0, "misuse: %s", seen.text);
    cr_expect_eq(fief_arena_used(a), 0);
    cr_expect_eq(fief_close(touching), 0);
}

static void a_mark_at_the_start_of_a_span_that_touches_a_later_one(void)
{
    fief_arena *a = arena_above_a_hole(130000);
    fief_mark empty = fief_arena_mark(a);
    unsigned char *first = fief_arena_alloc(a, 1000);
    take_many(a, 70, 1000);
    unsigned char *later = fief_arena_alloc(a, 1000);
    cr_expect(is_guarded() || later < first, "no span below the first one: nothing was tested");
    fief_arena_rewind(a, empty);
    expect_empty_and_close(a);
}

static void a_large_block_that_touches_the_span_is_not_its_last_block(void)
{
    fief_arena *a = arena_above_a_hole(131072);
    fief_mark empty = fief_arena_mark(a);
    unsigned char *large = fief_arena_alloc(a, 131072);
    cr_assert_not_null(large);
    large = fief_arena_resize(a, large, 131072, 64);
    cr_assert_not_null(large);
    fief_mark mark = fief_arena_mark(a);
    unsigned char *small = fief_arena_alloc(a, 1000);
    cr_expect(is_guarded() || small == large + 131072, "they do not touch: nothing was tested");
    take_many(a, 10, 1000);
    fief_arena_rewind(a, mark);
    fief_arena_rewind(a, empty);
    expect_empty_and_close(a);
}

Test(arena, spans_and_runs_may_touch)
{
    a_large_block_of_one_page_dies_alone();
    a_mark_at_the_start_of_a_span_that_touches_a_later_one();
    a_large_block_that_touches_the_span_is_not_its_last_block();
}

/* ---- the caller's buffer ---- */

static void a_callers_buffer_may_be_small_and_crooked_and_is_given_back(void)
{
    static char buffer[4096];
    for (size_t size = 0; size <= 80; size += 5) {
        for (size_t offset = 0; offset < 20; offset += 3) {
            fief_arena *a = fief_arena_open(
                rt, &(fief_arena_config){.buffer = buffer + offset, .buffer_size = size});
            cr_assert_not_null(a);
            for (size_t i = 1; i < 40; i += 6) {
                unsigned char *p = fief_arena_alloc(a, i);
                cr_assert(p != NULL && is_multiple(p, FIEF_ALIGN));
                fill(p, i, 1);
            }
            fief_arena_close(a);
            memset(buffer, 0, sizeof buffer);
        }
    }
    fief_arena *a =
        fief_arena_open(rt, &(fief_arena_config){.buffer = buffer, .buffer_size = sizeof buffer});
    cr_expect_not_null(fief_arena_alloc(a, 100000));
    char *first = fief_arena_alloc(a, 64);
    cr_expect(first >= buffer && first < buffer + sizeof buffer);
    take_many(a, 100, 100);
    fief_arena_reset(a);
    first = fief_arena_alloc(a, 64);
    cr_expect(first >= buffer && first < buffer + sizeof buffer);
}

static void the_buffer_comes_first_even_with_a_presize(void)
{
    static char buffer[4096];
    fief_arena *a = fief_arena_open(
        rt,
        &(fief_arena_config){.buffer = buffer, .buffer_size = sizeof buffer, .presize = 1 << 17});
    char *first = fief_arena_alloc(a, 64);
    cr_expect(first >= buffer && first < buffer + sizeof buffer);
    fief_arena_close(a);
}

Test(arena, a_callers_buffer_comes_first_and_is_given_back)
{
    a_callers_buffer_may_be_small_and_crooked_and_is_given_back();
    the_buffer_comes_first_even_with_a_presize();
}

/* ---- resize and strings ---- */

/* Each has records of its own while blocks are seen. */
Test(arena, buffers_are_given_back_in_any_order)
{
    enum { BUFFERS = 3, SIZE = 4096 };
    static _Alignas(64) char bytes[BUFFERS][SIZE];
    fief_runtime *counted =
        fief_open(&(fief_config){.reserve_bytes = small_reserve, .count_blocks = true});
    fief_arena *arenas[BUFFERS];
    for (size_t i = 0; i < BUFFERS; i++) {
        arenas[i] =
            fief_arena_open(counted, &(fief_arena_config){.buffer = bytes[i], .buffer_size = SIZE});
        cr_assert_not_null(fief_arena_alloc(arenas[i], 100));
    }
    for (size_t i = 0; i < BUFFERS; i++) {
        fief_arena_close(arenas[i]);
        for (size_t left = i + 1; left < BUFFERS; left++) {
            cr_expect_not_null(fief_arena_alloc(arenas[left], 100));
            cr_expect_eq(fief_stats_strategy(counted, FIEF_VM_ARENA).asked_bytes,
                         (BUFFERS - i - 1) * (i + 1) * 100 + (left - i) * 100);
        }
    }
    cr_expect_eq(fief_close(counted), 0);
}

Test(arena, resize_keeps_the_prefix_in_place_and_moved)
{
    fief_arena *a = fief_arena_open(rt, NULL);
    unsigned char *p = fief_arena_resize(a, NULL, 0, 100);
    fill(p, 100, 1);
    unsigned char *last = fief_arena_resize(a, p, 100, 200);
    cr_expect(is_guarded() || last == p, "the last block grows in place");
    cr_assert(holds(last, 100, 1));
    fill(last, 200, 2);
    cr_assert_not_null(fief_arena_alloc(a, 1));
    unsigned char *moved = fief_arena_resize(a, last, 200, 300);
    cr_assert(moved != last && holds(moved, 200, 2));
    cr_expect_null(fief_arena_resize(a, moved, 300, SIZE_MAX));
    cr_expect_null(fief_arena_resize(a, moved, 300, PTRDIFF_MAX));
    cr_expect(holds(moved, 200, 2));
    fill(moved, 300, 3);
    unsigned char *large = fief_arena_resize(a, moved, 300, 500000);
    cr_assert(large != NULL && holds(large, 300, 3));
    fill(large, 500000, 4);
    large = fief_arena_resize(a, large, 500000, 2000000);
    cr_assert(large != NULL && holds(large, 500000, 4));
    large = fief_arena_resize(a, large, 2000000, 10);
    cr_assert(large != NULL && holds(large, 10, 4));
    cr_expect_not_null(fief_arena_resize(a, large, 10, 0));
}

Test(arena, copies_and_long_strings)
{
    enum { LONG = 200000 };
    fief_arena *a = fief_arena_open(rt, NULL);
    char *unended = malloc(LONG); /* of its own, so that a sanitizer sees a read behind it */
    memset(unended, 'x', LONG);
    char *copy = fief_arena_strndup(a, unended, LONG);
    cr_assert_eq(strlen(copy), (size_t)LONG);
    cr_expect_eq(memcmp(copy, unended, LONG), 0);
    cr_expect_str_eq(fief_arena_strndup(a, "short", LONG), "short");
    cr_expect_str_eq(fief_arena_strndup(a, unended, 0), "");
    cr_expect_eq(memcmp(fief_arena_memdup(a, unended, LONG), unended, LONG), 0);
    cr_expect_not_null(fief_arena_memdup(a, unended, 0));
    free(unended);
    cr_expect_null(fief_arena_memdup(a, copy, SIZE_MAX));
    char *printed = fief_arena_printf(a, "%d:%s:%c", -1, copy, 'z');
    cr_assert_eq(strlen(printed), (size_t)LONG + 5);
    cr_expect(memcmp(printed, "-1:x", 4) == 0 && strcmp(printed + LONG + 2, "x:z") == 0);
    cr_expect_str_eq(fief_arena_strdup(a, ""), "");
    cr_expect_str_eq(fief_arena_printf(a, "%s", ""), "");
}

static char *print_list(fief_arena *a, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = fief_arena_vprintf(a, format, args);
    va_end(args);
    return text;
}

Test(arena, prints_what_a_list_of_arguments_says)
{
    fief_arena *a = fief_arena_open(rt, NULL);
    const char *text = print_list(a, "%s and %d", "one", 2);
    cr_assert_not_null(text);
    cr_expect_str_eq(text, "one and 2");
    cr_expect_eq(strlen(print_list(a, "%05000d", 1)), 5000);
    fief_arena_close(a);
}

/* As snprintf says it: no byte of this locale's is that character. */
Test(arena, what_can_not_be_printed_is_null)
{
    const wint_t none = 0x7FFFFFFF;
    fief_arena *a = fief_arena_open(rt, NULL);
    size_t before = fief_arena_used(a);
    cr_expect_null(fief_arena_printf(a, "%lc", none));
    cr_expect_eq(fief_arena_used(a), before);
    cr_expect_null(fief_printf(rt, FIEF_DYNAMIC, "%lc", none));
    fief_arena_close(a);
}

Test(arena, a_resize_of_anothers_block_is_a_copy)
{
    fief_arena *a = fief_arena_open(rt, NULL), *other = fief_arena_open(rt, NULL);
    unsigned char *theirs = fief_arena_alloc(other, 40), *heaps = fief_malloc(rt, 40);
    fill(theirs, 40, 1);
    fill(heaps, 40, 2);
    unsigned char *first = fief_arena_resize(a, theirs, 40, 80);
    unsigned char *second = fief_arena_resize(a, heaps, 40, 80);
    cr_assert(first != theirs && holds(first, 40, 1));
    cr_assert(second != heaps && holds(second, 40, 2));
    fill(first, 80, 3);
    fill(second, 80, 4);
    fief_arena_close(a);
    cr_expect(holds(theirs, 40, 1) && holds(heaps, 40, 2));
    fief_release(rt, heaps);
    fief_arena_close(other);
}

/* Its records, where blocks are seen, take much of what descriptors there are. */
Test(arena, a_large_callers_buffer_is_used_and_given_back)
{
    enum { SIZE = 1 << 20, BLOCK = 100000, ROUNDS = 12 };
    unsigned char *bytes = malloc(SIZE);
    for (int round = 0; round < ROUNDS; round++) {
        fief_arena *a =
            fief_arena_open(rt, &(fief_arena_config){.buffer = bytes, .buffer_size = SIZE});
        cr_assert_not_null(a, "in round %d", round);
        for (size_t i = 0; i < SIZE / BLOCK - 1; i++) {
            unsigned char *block = fief_arena_alloc(a, BLOCK);
            cr_expect(block >= bytes && block + BLOCK <= bytes + SIZE);
            memset(block, 1, BLOCK);
        }
        fief_arena_close(a);
        memset(bytes, 2, SIZE);
    }
    free(bytes);
}

/* Where blocks are seen it would need a quarter of its size in records. */
Test(arena, a_buffer_larger_than_all_descriptors_is_refused_where_blocks_are_seen)
{
    size_t size = (size_t)1 << 30;
    void *bytes = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    cr_assert_neq(bytes, MAP_FAILED);
    fief_arena *a = fief_arena_open(rt, &(fief_arena_config){.buffer = bytes, .buffer_size = size});
    cr_expect_eq(a == NULL, is_guarded());
    fief_arena_close(a);
    (void)munmap(bytes, size);
}

/* Past a few MiB pages are huge, if the system has them: nothing else changes. */
Test(arena, a_large_one_holds_its_bytes_and_gives_them_back)
{
    enum { BLOCKS = 400, SIZE = 50000 };
    for (int huge = 0; huge < 2; huge++) {
        fief_runtime *vm =
            fief_open(&(fief_config){.reserve_bytes = (size_t)1 << 30, .huge_pages = huge != 0});
        size_t at_first = fief_stats_held(vm);
        for (unsigned turn = 0; turn < 3; turn++) {
            fief_arena *a = fief_arena_open(vm, NULL);
            unsigned char *block[BLOCKS];
            for (unsigned i = 0; i < BLOCKS; i++) {
                block[i] = fief_arena_alloc(a, SIZE);
                cr_assert_not_null(block[i]);
                fill(block[i], SIZE, i + turn);
            }
            for (unsigned i = 0; i < BLOCKS; i++) {
                cr_assert(holds(block[i], SIZE, i + turn));
            }
            fief_arena_close(a);
        }
        (void)fief_trim(vm);
        cr_expect(is_guarded() || fief_stats_held(vm) <= at_first + (1 << 20));
        cr_expect_eq(fief_close(vm), 0);
    }
}

/* Whether the mapping that p lies in is to be of huge pages: its flags in smaps say "hg". Where the
 * mapping starts. */
static bool huge_mapping(const void *p, uintptr_t *ret_start)
{
    char line[512], *end;
    bool is_inside = false, asks = false;
    FILE *maps = fopen("/proc/self/smaps", "r");
    cr_assert_not_null(maps);
    while (fgets(line, sizeof line, maps) != NULL) {
        uintptr_t start = strtoul(line, &end, 16);
        if (*end == '-' && end > line) {
            is_inside = (uintptr_t)p >= start && (uintptr_t)p < strtoul(end + 1, NULL, 16);
            *ret_start = is_inside ? start : *ret_start;
        } else if (is_inside && strncmp(line, "VmFlags:", 8) == 0) {
            asks = strstr(line, " hg") != NULL;
        }
    }
    (void)fclose(maps);
    return asks;
}

static bool asks_for_huge_pages(const void *p)
{
    uintptr_t start;
    return huge_mapping(p, &start);
}

Test(arena, pages_are_huge_beyond_a_few_mib_or_where_the_host_says_so)
{
    const size_t mib = (size_t)1 << 20;
    if (access("/sys/kernel/mm/transparent_hugepage/enabled", R_OK) != 0) {
        cr_skip_test("the system has no transparent huge pages");
    }
    fief_runtime *grows = fief_open(NULL), *whole = fief_open(&(fief_config){.huge_pages = true});
    fief_arena *a = fief_arena_open(grows, NULL), *b = fief_arena_open(whole, NULL);
    cr_expect_not(asks_for_huge_pages(fief_arena_alloc(a, mib / 2)));
    const char *large = fief_arena_alloc(a, 5 * mib);
    cr_expect(asks_for_huge_pages(large + 5 * mib - 1));
    uintptr_t start = 1;
    cr_expect(huge_mapping(fief_arena_alloc(b, 1000), &start));
    cr_expect_eq(start % (2 * mib), 0, "no small page at the start of a range of huge ones");
    fief_drop(grows);
    fief_drop(whole);
}

/* Its last huge page may be mostly empty: an eighth of what is held, at most. */
Test(arena, pages_of_small_blocks_are_huge_later)
{
    const size_t mib = (size_t)1 << 20, size = 512;
    if (access("/sys/kernel/mm/transparent_hugepage/enabled", R_OK) != 0) {
        cr_skip_test("the system has no transparent huge pages");
    }
    fief_runtime *vm = fief_open(NULL);
    fief_heap *heap = fief_runtime_heap(vm);
    void *last = NULL;
    for (size_t made = 0; made < 12 * mib; made += size) {
        last = fief_heap_alloc(heap, size);
    }
    cr_expect_eq(asks_for_huge_pages(last), is_guarded());
    for (size_t made = 0; made < 6 * mib; made += size) {
        last = fief_heap_alloc(heap, size);
    }
    cr_expect(asks_for_huge_pages(last));
    fief_drop(vm);
}

/* So it goes without splitting one. What is left out before it is there for smaller spans. */
Test(arena, a_span_of_whole_huge_pages_begins_where_one_does)
{
    const size_t huge = (size_t)2 << 20, small = 300000;
    fief_runtime *vm = fief_open(NULL);
    fief_heap *heap = fief_runtime_heap(vm);
    for (unsigned turn = 0; turn < 3; turn++) {
        char *before = fief_heap_alloc(heap, small), *large = fief_heap_alloc(heap, huge - 4096);
        char *after = fief_heap_alloc(heap, small);
        cr_expect_lt((uintptr_t)large % huge, 4096);
        cr_expect(before < large && after < large, "turn %u", turn);
    }
    const char *more = fief_heap_alloc(heap, huge + 4096);
    const char *next = fief_heap_alloc(heap, huge + 4096);
    cr_expect_lt(next - more, 2 * (ptrdiff_t)huge, "others lie side by side");
    fief_drop(vm);
}

/* How many blocks that fill huge pages there is room for. */
static unsigned fitting(const fief_config *config)
{
    const size_t huge = (size_t)2 << 20;
    fief_runtime *vm = fief_open(config);
    unsigned count = 0;
    while (fief_heap_alloc(fief_runtime_heap(vm), huge - 4096) != NULL) {
        count++;
    }
    fief_drop(vm);
    return count;
}

Test(arena, whole_huge_pages_take_no_more_room_where_there_is_little)
{
    const size_t huge = (size_t)2 << 20, size = 4 * huge + (1 << 18);
    unsigned char *bytes = aligned_alloc(huge, 6 * huge);
    cr_assert_not_null(bytes);
    for (size_t offset = 0; offset < huge; offset += huge / 8) {
        fief_config config = {.buffer = bytes + offset, .buffer_size = size};
        cr_expect_eq(fitting(&config), is_guarded() ? 3 : 4, "offset %zu", offset);
    }
    free(bytes);
    cr_expect_eq(fitting(&(fief_config){.reserve_bytes = 8 * huge + (1 << 19)}), 8);
}
