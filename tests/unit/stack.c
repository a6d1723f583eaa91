#include "support.h"

#include <criterion/criterion.h>

static fief_runtime *rt;
static fief_stack *frames_of_rt;
static witness seen;

static void open_runtime(void)
{
    rt = fief_open(
        &(fief_config){.reserve_bytes = small_reserve, .on_misuse = witness_misuse, .user = &seen});
    cr_assert_not_null(rt);
    frames_of_rt = fief_frame_stack(rt);
}

static void close_runtime(void)
{
    cr_expect_eq(fief_close(rt), 0);
    cr_expect_eq(seen.count, 0, "misuse: %s", seen.text);
}

TestSuite(stack, .init = open_runtime, .fini = close_runtime);

Test(stack, pops_newest_first_across_spans)
{
    fief_stack *s = frames_of_rt;
    enum { FRAMES = 5000 };
    static void *frames[FRAMES];
    for (size_t i = 0; i < FRAMES; i++) {
        cr_assert_not_null(frames[i] = fief_stack_push(s, 40 + i % 7));
        memset(frames[i], 0x11, 40 + i % 7);
    }
    for (size_t i = FRAMES; i-- > 0;) {
        cr_assert(fief_stack_pop(s, frames[i], 40 + i % 7));
    }
    cr_expect_eq(fief_arena_used(&s->arena), 0);
}

Test(stack, pop_of_an_older_block_is_misuse)
{
    fief_stack *s = frames_of_rt;
    void *older = fief_stack_push(s, 32), *newer = fief_stack_push(s, 32);
    cr_expect_not(fief_stack_pop(s, older, 32));
    cr_expect(witness_saw(&seen, FIEF_MISUSE_NOT_LIFO));
    cr_expect(fief_stack_pop(s, newer, 32));
    cr_expect(fief_stack_pop(s, older, 32));
}

Test(stack, marks_of_frames_bring_everything_back)
{
    fief_stack *s = frames_of_rt;
    unsigned char *kept = fief_stack_push(s, 40);
    fill(kept, 40, 1);
    for (int round = 0; round < 20; round++) {
        size_t used = fief_arena_used(&s->arena);
        fief_mark call = fief_stack_mark(s);
        for (size_t i = 0; i < 300; i++) {
            cr_assert_not_null(fief_stack_push(s, i * (1 + (size_t)round % 3)));
        }
        double *operands = fief_stack_make(s, double, 100);
        cr_assert_not_null(operands);
        cr_expect(fief_stack_drop(s, operands, 100));
        fief_stack_rewind(s, call);
        cr_expect_eq(fief_arena_used(&s->arena), used);
    }
    cr_expect(holds(kept, 40, 1));
    cr_expect(fief_stack_pop(s, kept, 40));
    cr_expect_null(fief_stack_push(s, SIZE_MAX));
    cr_expect_null(fief_stack_make(s, double, SIZE_MAX / 4));
}

Test(stack, a_stack_of_the_hosts_own)
{
    static char buffer[5000];
    size_t held = fief_stats_held(rt);
    fief_stack *s = fief_stack_open(
        rt,
        &(fief_arena_config){.name = "coroutine", .buffer = buffer, .buffer_size = sizeof buffer});
    void *frames[200];
    for (size_t i = 0; i < 200; i++) {
        cr_assert_not_null(frames[i] = fief_stack_push(s, 100));
        fill(frames[i], 100, (unsigned)i);
    }
    cr_expect((char *)frames[0] >= buffer && (char *)frames[0] < buffer + sizeof buffer);
    cr_expect(!fief_stack_pop(frames_of_rt, frames[199], 100), "the newest of another stack");
    cr_expect(witness_saw(&seen, FIEF_MISUSE_NOT_LIFO));
    for (size_t i = 200; i-- > 0;) {
        cr_expect(holds(frames[i], 100, (unsigned)i));
        cr_expect(fief_stack_pop(s, frames[i], 100));
    }
    cr_expect_eq(fief_arena_used(&s->arena), 0);
    fief_stack_close(s);
    fief_stack_close(NULL);
    cr_expect_eq(fief_stats_held(rt), held);
}

/* ---- frames against a model ---- */

enum { MOST_FRAMES = 600 };

typedef struct frame {
    unsigned char *start;
    size_t size, used_before;
} frame;
static frame frames[MOST_FRAMES];
static size_t depth;

static void model_push(fief_stack *s, size_t size)
{
    frame *f = &frames[depth];
    f->used_before = fief_arena_used(&s->arena);
    f->size = size;
    f->start = fief_stack_push(s, size);
    cr_assert(f->start != NULL && is_multiple(f->start, FIEF_GRAIN));
    fill_ends(f->start, size, (unsigned)depth++);
}

static void model_pop(fief_stack *s)
{
    frame *f = &frames[--depth];
    cr_assert(ends_hold(f->start, f->size, (unsigned)depth), "frame %zu changed", depth);
    cr_assert(fief_stack_pop(s, f->start, f->size), "frame %zu: %s", depth, seen.text);
    cr_assert_eq(fief_arena_used(&s->arena), f->used_before, "frame %zu of %zu bytes", depth,
                 f->size);
}

static void run_model(fief_stack *s, size_t largest)
{
    uint64_t state = 11;
    for (int i = 0; i < 4000; i++) {
        bool grow =
            depth == 0 || (depth < MOST_FRAMES && draw(&state, 100) < (i & 512 ? 40u : 65u));
        if (grow) {
            model_push(s, draw(&state, draw(&state, 20) == 0 ? largest : 400));
        } else {
            model_pop(s);
        }
    }
    while (depth > 0) {
        model_pop(s);
    }
    cr_expect_eq(fief_arena_used(&s->arena), 0);
}

/* The same with marks: a rewind pops all frames above; a mark dies with the frames below it. */
static struct {
    fief_mark mark;
    size_t depth, used;
} marks[8];
static size_t mark_count;

static void model_mark(fief_stack *s)
{
    if (mark_count < 8) {
        marks[mark_count].mark = fief_stack_mark(s);
        marks[mark_count].depth = depth;
        marks[mark_count++].used = fief_arena_used(&s->arena);
    }
}

static void model_rewind(fief_stack *s, uint64_t *state)
{
    if (mark_count > 0) {
        mark_count = draw(state, mark_count);
        fief_stack_rewind(s, marks[mark_count].mark);
        depth = marks[mark_count].depth;
        cr_assert_eq(fief_arena_used(&s->arena), marks[mark_count].used);
    }
}

static void run_marked_model(uint64_t state, size_t steps)
{
    for (size_t i = 0; i < steps; i++) {
        size_t what = draw(&state, 100);
        if (what < 4) {
            model_mark(frames_of_rt);
        } else if (what < 6) {
            model_rewind(frames_of_rt, &state);
        } else if (depth == 0 || (depth < MOST_FRAMES && what < (i & 512 ? 44u : 66u))) {
            model_push(frames_of_rt, draw(&state, draw(&state, 25) == 0 ? 100000 : 900));
        } else {
            model_pop(frames_of_rt);
            while (mark_count > 0 && marks[mark_count - 1].depth > depth) {
                mark_count--;
            }
        }
    }
    cr_assert_eq(seen.count, 0, "misuse: %s", seen.text);
}

Test(stack, frames_and_marks_against_a_model)
{
    run_marked_model(13, 4000);
}

/* Random seeds that found the three cases below. */
Test(stack, frames_and_marks_of_seeds_that_failed_once)
{
    static const uint64_t seeds[] = {332611, 348449, 364287, 490991, 498910, 514748};
    for (size_t i = 0; i < sizeof seeds / sizeof seeds[0]; i++) {
        run_marked_model(seeds[i], 4000);
        while (depth > 0) {
            model_pop(frames_of_rt);
        }
        mark_count = 0;
        cr_assert_eq(fief_arena_used(&frames_of_rt->arena), 0);
    }
}

/* Where the next span began at the end of a full one, the inline pop would take the cursor from the
 * one into the other. So the last bytes of a stack's span are nobody's: however the frames' sizes
 * fill it, none ends where the next one, in the page behind, begins. */
Test(stack, no_frame_ends_where_the_next_span_begins)
{
    enum { PAGE = 65536, FRAMES = 16, SIZE = PAGE / FRAMES };
    fief_stack *s = frames_of_rt;
    unsigned char *full[FRAMES];
    for (size_t i = 0; i < FRAMES; i++) {
        cr_assert_not_null(full[i] = fief_stack_push(s, SIZE));
    }
    unsigned char *next = fief_stack_push(s, 100);
    unsigned char *behind = full[0] + PAGE; /* where the second span is, in a release build */
    cr_expect(full[FRAMES - 1] + SIZE != behind && full[FRAMES - 2] + SIZE != behind);
    cr_expect(fief_stack_pop(s, next, 100));
    cr_expect(fief_stack_pop(s, full[FRAMES - 1], SIZE));
    void *empty = fief_stack_push(s, 0);
    cr_expect(fief_stack_pop(s, empty, 0));
    for (size_t i = FRAMES - 1; i-- > 0;) {
        cr_expect(fief_stack_pop(s, full[i], SIZE));
    }
    cr_expect_eq(fief_arena_used(&s->arena), 0);
}

/* Two zones of dead bytes lie above the large frame, in a guarded build. */
Test(stack, a_large_frame_below_two_rewinds_is_popped)
{
    fief_stack *s = frames_of_rt;
    void *large = fief_stack_push(s, 50000);
    for (int i = 0; i < 2; i++) {
        fief_mark mark = fief_stack_mark(s);
        cr_assert_not_null(fief_stack_push(s, 200));
        fief_stack_rewind(s, mark);
    }
    cr_expect(fief_stack_pop(s, large, 50000), "%s", seen.text);
    cr_expect_eq(fief_arena_used(&s->arena), 0);
}

/* A zone of dead bytes lies below the large frame, in a guarded build, and the mark at its end. */
Test(stack, a_mark_behind_a_rewind_outlives_a_large_frame)
{
    fief_stack *s = frames_of_rt;
    fief_mark first = fief_stack_mark(s);
    cr_assert_not_null(fief_stack_push(s, 300));
    fief_stack_rewind(s, first);
    fief_mark second = fief_stack_mark(s);
    void *large = fief_stack_push(s, 100000);
    cr_expect(fief_stack_pop(s, large, 100000));
    fief_stack_rewind(s, second);
    cr_expect_eq(seen.count, 0, "misuse: %s", seen.text);
    cr_expect_eq(fief_arena_used(&s->arena), 0);
}

static void frames_against_a_model(void)
{
    run_model(frames_of_rt, 3000);
}

static void frames_with_large_ones_between_against_a_model(void)
{
    run_model(frames_of_rt, 1500000);
}

static void frames_at_a_cap_against_a_model(void)
{
    fief_stack *s = fief_stack_open(rt, &(fief_arena_config){.max_bytes = 20000});
    run_model(s, 3000);
    fief_stack_close(s);
    cr_expect_eq(fief_stats_strategy(rt, FIEF_HEAP).used_bytes, 0);
}

Test(stack, frames_against_models)
{
    frames_against_a_model();
    frames_with_large_ones_between_against_a_model();
    frames_at_a_cap_against_a_model();
}

static void a_popped_large_frame_gives_its_pages_back(void)
{
    fief_stack *s = frames_of_rt;
    void *small = fief_stack_push(s, 100);
    size_t held = fief_stats_held(rt);
    for (int i = 0; i < 10; i++) {
        void *large = fief_stack_push(s, 1 << 20);
        cr_assert_not_null(large);
        cr_assert(fief_stack_pop(s, large, 1 << 20));
    }
    cr_expect_eq(fief_stats_held(rt), held);
    cr_expect(fief_stack_pop(s, small, 100));
}

static void a_large_frame_below_a_span_that_was_left_is_popped(void)
{
    fief_stack *s = frames_of_rt;
    void *large = fief_stack_push(s, 100000);
    void *small[1000];
    for (size_t i = 0; i < 1000; i++) {
        cr_assert_not_null(small[i] = fief_stack_push(s, 200));
    }
    for (size_t i = 1000; i-- > 0;) {
        cr_assert(fief_stack_pop(s, small[i], 200));
    }
    cr_assert(fief_stack_pop(s, large, 100000));
    cr_expect_eq(fief_arena_used(&s->arena), 0);
}

Test(stack, large_frames_give_their_pages_back)
{
    a_popped_large_frame_gives_its_pages_back();
    a_large_frame_below_a_span_that_was_left_is_popped();
}

static void an_older_frame_does_not_leave_before_a_large_one(void)
{
    fief_stack *s = frames_of_rt;
    void *older = fief_stack_push(s, 32), *large = fief_stack_push(s, 100000);
    cr_expect_not(fief_stack_pop(s, older, 32));
    cr_expect(witness_saw(&seen, FIEF_MISUSE_NOT_LIFO));
    cr_expect(fief_stack_pop(s, large, 100000));
    cr_expect(fief_stack_pop(s, older, 32));
}

static void a_large_frame_is_popped_at_its_start_with_its_size(void)
{
    fief_stack *s = frames_of_rt;
    unsigned char *large = fief_stack_push(s, 100000);
    cr_expect_not(fief_stack_pop(s, large + 64, 100000));
    cr_expect(witness_saw(&seen, FIEF_MISUSE_NOT_LIFO));
    cr_expect(fief_stack_pop(s, large, 100000));
    cr_expect_eq(fief_arena_used(&s->arena), 0);
}

Test(stack, a_large_frame_is_the_newest_until_it_is_popped)
{
    an_older_frame_does_not_leave_before_a_large_one();
    a_large_frame_is_popped_at_its_start_with_its_size();
}

/* The rewind leaves spans behind that are popped out of afterwards. */
Test(stack, frames_below_a_rewound_mark_are_popped)
{
    enum { FRAMES = 40, SIZE = 5000 };
    fief_stack *s = frames_of_rt;
    void *below[FRAMES];
    for (size_t i = 0; i < FRAMES; i++) {
        cr_assert_not_null(below[i] = fief_stack_push(s, SIZE));
    }
    size_t used = fief_arena_used(&s->arena);
    fief_mark mark = fief_stack_mark(s);
    for (size_t i = 0; i < FRAMES; i++) {
        cr_assert_not_null(fief_stack_push(s, SIZE));
    }
    fief_stack_rewind(s, mark);
    cr_expect_eq(fief_arena_used(&s->arena), used);
    for (size_t i = FRAMES; i-- > 0;) {
        cr_assert(fief_stack_pop(s, below[i], SIZE), "frame %zu: %s", i, seen.text);
    }
    cr_expect_eq(fief_arena_used(&s->arena), 0);
}

/* ---- frames that the table sent here ---- */

Test(stack, frames_made_by_kind_are_popped_like_others)
{
    fief_stack *s = frames_of_rt;
    void *operand = fief_stack_push(s, 24);
    void *call = fief_new(rt, FIEF_KIND_CALL_FRAME, FIEF_DYNAMIC, 48);
    cr_assert(operand != NULL && call != NULL && is_zero(call, 48));
    cr_expect_eq(fief_owner(rt, call), FIEF_STACK);
    cr_expect(fief_stack_pop(s, call, 48));
    cr_expect(fief_stack_pop(s, operand, 24), "the call frame left a gap");
    cr_expect_eq(fief_arena_used(&s->arena), 0);
}

/* ---- cleanups ---- */

static char order[8];
static size_t ran;

static void note(void *letter)
{
    order[ran++] = *(const char *)letter;
}

static void forget_order(void)
{
    memset(order, 0, sizeof order);
    ran = 0;
}

static void cleanups_between_frames_run_at_the_rewind(void)
{
    static char letters[] = "ab";
    fief_stack *s = frames_of_rt;
    forget_order();
    cr_assert_not_null(fief_stack_push(s, 32));
    fief_mark outer = fief_stack_mark(s);
    cr_assert(fief_arena_cleanup(&s->arena, note, &letters[0]));
    cr_assert_not_null(fief_stack_push(s, 32));
    fief_mark inner = fief_stack_mark(s);
    cr_assert(fief_arena_cleanup(&s->arena, note, &letters[1]));
    fief_stack_rewind(s, inner);
    cr_expect_str_eq(order, "b");
    fief_stack_rewind(s, outer);
    cr_expect_str_eq(order, "ba");
}

static void a_pop_below_a_cleanup_runs_it_in_every_mode(void)
{
    static char letter = 'a';
    fief_stack *s = frames_of_rt;
    forget_order();
    void *older = fief_stack_push(s, 32);
    cr_assert(fief_arena_cleanup(&s->arena, note, &letter));
    void *newer = fief_stack_push(s, 32);
    cr_expect(fief_stack_pop(s, newer, 32));
    cr_expect_str_eq(order, "");
    cr_expect(fief_stack_pop(s, older, 32));
    cr_expect_str_eq(order, "a");
}

/* Two cleanups around the mark, then a span that is entered and left again. */
static void a_mark_between_cleanups_survives_a_span_that_was_left(void)
{
    static char letters[] = "ab";
    fief_stack *s = frames_of_rt;
    forget_order();
    void *first = fief_stack_push(s, 32);
    cr_assert(fief_arena_cleanup(&s->arena, note, &letters[0]));
    fief_mark mark = fief_stack_mark(s);
    cr_assert(fief_arena_cleanup(&s->arena, note, &letters[1]));
    void *frames_above[800];
    for (size_t i = 0; i < 800; i++) {
        cr_assert_not_null(frames_above[i] = fief_stack_push(s, 200));
    }
    for (size_t i = 800; i-- > 1;) {
        cr_assert(fief_stack_pop(s, frames_above[i], 200));
    }
    fief_stack_rewind(s, mark);
    cr_expect_str_eq(order, "b");
    cr_expect(fief_stack_pop(s, first, 32));
}

Test(stack, cleanups_run_at_the_rewind_and_at_the_pop)
{
    cleanups_between_frames_run_at_the_rewind();
    a_pop_below_a_cleanup_runs_it_in_every_mode();
    a_mark_between_cleanups_survives_a_span_that_was_left();
}

static size_t cleanups_run;

static void count_cleanup(void *unused)
{
    (void)unused;
    cleanups_run++;
}

/* Cleanups take room, in a span that is full, where an older mark's window had ended. */
static void rewind_below_popped_cleanups(size_t size, size_t above)
{
    static _Alignas(16) char bytes[5000];
    fief_stack *s =
        fief_stack_open(rt, &(fief_arena_config){.buffer = bytes, .buffer_size = size});
    cr_assert_not_null(fief_stack_push(s, 43));
    cr_assert(fief_arena_cleanup(&s->arena, count_cleanup, NULL));
    fief_mark mark = fief_stack_mark(s);
    cr_assert(fief_arena_cleanup(&s->arena, count_cleanup, NULL));
    void *block = fief_stack_push(s, 4000);
    for (size_t i = 0; i < above; i++) {
        cr_assert(fief_arena_cleanup(&s->arena, count_cleanup, NULL));
    }
    cleanups_run = 0;
    cr_expect(fief_stack_pop(s, block, 4000));
    cr_expect_eq(cleanups_run, above);
    fief_stack_rewind(s, mark);
    cr_expect_eq(cleanups_run, above + 1, "%zu bytes, %zu cleanups", size, above);
    fief_stack_close(s);
    cr_expect_eq(cleanups_run, above + 2);
}

Test(stack, a_cleanup_below_a_pop_runs_at_the_rewind_below_it)
{
    for (size_t above = 0; above < 6; above++) {
        for (size_t size = 4040; size < 4140; size += 8) {
            rewind_below_popped_cleanups(size, above);
        }
    }
}
