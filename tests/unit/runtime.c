#include "support.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

Test(runtime, new_is_zeroed_and_goes_where_the_table_says)
{
    fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = small_reserve});
    char *closure = fief_new(rt, FIEF_KIND_CLOSURE, FIEF_DYNAMIC, 64);
    char *text = fief_new(rt, FIEF_KIND_STRING, FIEF_DYNAMIC, 33);
    char *literal = fief_new(rt, FIEF_KIND_STRING, FIEF_LITERAL, 33);
    for (size_t i = 0; i < 33; i++) {
        cr_expect(closure[i] == 0 && text[i] == 0 && literal[i] == 0);
    }
    cr_expect_eq(fief_owner(rt, closure), FIEF_POOL);
    cr_expect_eq(fief_owner(rt, text), FIEF_HEAP);
    cr_expect_eq(fief_owner(rt, literal), FIEF_VM_ARENA);
    cr_expect_eq(fief_owner(rt, &rt), FIEF_NO_STRATEGY);
    fief_free(rt, FIEF_KIND_CLOSURE, closure, 64);
    fief_free(rt, FIEF_KIND_STRING, text, 33);
    cr_expect_eq(fief_close(rt), 0);
}

Test(runtime, units_nest_and_their_temporaries_die)
{
    fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = small_reserve});
    fief_unit outer = fief_unit_begin(rt);
    char *kept = fief_temp(rt, char, 100);
    memset(kept, 7, 100);
    fief_unit inner = fief_unit_begin(rt);
    cr_assert_not_null(fief_temp(rt, double, 9000));
    fief_unit_end(rt, inner);
    cr_expect_eq(kept[99], 7);
    fief_unit_end(rt, outer);
    cr_expect_eq(fief_stats_strategy(rt, FIEF_COMPILER_ARENA).used_bytes, 0);
    cr_expect_eq(fief_stats_strategy(rt, FIEF_COMPILER_ARENA).resets, 1);
    cr_expect_eq(fief_close(rt), 0);
}

/* What an open touches lies in one page of the system's, or it costs another fault: in a release
 * build, and where nothing but the library makes pages appear. */
Test(runtime, an_open_touches_one_page)
{
    enum { OPENS = 200 };
    bool is_release = strcmp(fief_mode(), "release") == 0;
    if (!is_release || has_a_tools_memory() || sysconf(_SC_PAGESIZE) != 4096) {
        return;
    }
    struct rusage before, after;
    cr_assert_eq(fief_close(fief_open(NULL)), 0);
    cr_assert_eq(getrusage(RUSAGE_THREAD, &before), 0);
    for (int i = 0; i < OPENS; i++) {
        cr_assert_eq(fief_close(fief_open(NULL)), 0);
    }
    cr_assert_eq(getrusage(RUSAGE_THREAD, &after), 0);
    cr_expect_lt(after.ru_minflt - before.ru_minflt, 3 * OPENS / 2);
}

Test(runtime, close_counts_what_leaked)
{
    fief_runtime *rt =
        fief_open(&(fief_config){.reserve_bytes = small_reserve, .count_blocks = true});
    cr_assert_not_null(fief_new(rt, FIEF_KIND_PAIR, FIEF_DYNAMIC, 48));
    cr_assert_not_null(fief_new(rt, FIEF_KIND_LIST, FIEF_DYNAMIC, 32));
    cr_expect_eq(fief_close(rt), 2);
    cr_expect_eq(fief_close(NULL), 0);
}

Test(runtime, a_limit_refuses_and_on_full_may_collect)
{
    fief_runtime *rt =
        fief_open(&(fief_config){.reserve_bytes = small_reserve, .limit_bytes = 10000});
    fief_heap *h = fief_runtime_heap(rt);
    void *most = fief_heap_alloc(h, 9000);
    cr_assert_not_null(most);
    cr_expect_null(fief_heap_alloc(h, 1001));
    cr_expect_eq(fief_stats_strategy(rt, FIEF_HEAP).refused, 1);
    fief_heap_free(h, most, 9000);
    void *again = fief_heap_alloc(h, 10000);
    cr_expect_not_null(again);
    fief_heap_free(h, again, 10000);
    cr_expect_eq(fief_close(rt), 0);
}

Test(runtime, a_limit_is_frozen_raised_and_taken_away)
{
    fief_runtime *rt =
        fief_open(&(fief_config){.reserve_bytes = small_reserve, .count_blocks = true});
    fief_heap *h = fief_runtime_heap(rt);
    void *most = fief_heap_alloc(h, 9000);
    cr_expect(fief_limit_set(rt, FIEF_NO_STRATEGY, 9000));
    cr_expect_null(fief_heap_alloc(h, 1));
    cr_expect(fief_limit_set(rt, FIEF_NO_STRATEGY, 9016));
    void *more = fief_heap_alloc(h, 16);
    cr_expect_not_null(more);
    cr_expect(fief_limit_set(rt, FIEF_HEAP, 100), "less than there is: nothing fits any more");
    cr_expect_null(fief_heap_alloc(h, 1));
    fief_heap_free(h, most, 9000);
    void *again = fief_heap_alloc(h, 84);
    cr_expect_not_null(again);
    cr_expect_null(fief_heap_alloc(h, 1));
    cr_expect(fief_limit_set(rt, FIEF_HEAP, 0) && fief_limit_set(rt, FIEF_NO_STRATEGY, 0));
    most = fief_heap_alloc(h, 100000);
    cr_expect_not_null(most);
    fief_heap_free(h, most, 100000);
    fief_heap_free(h, more, 16);
    fief_heap_free(h, again, 84);
    cr_expect_not(fief_limit_set(rt, FIEF_STRATEGIES, 1), "no strategy has that number");
    cr_expect_eq(fief_close(rt), 0);
}

Test(runtime, a_limit_needs_a_runtime_that_counts)
{
    fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = small_reserve});
    cr_expect_not(fief_limit_set(rt, FIEF_HEAP, 1));
    void *block = fief_heap_alloc(fief_runtime_heap(rt), 100);
    cr_expect_not_null(block, "nothing was limited");
    fief_heap_free(fief_runtime_heap(rt), block, 100);
    cr_expect_eq(fief_close(rt), 0);
}

static bool raise_the_limit(fief_runtime *rt, size_t size, void *user)
{
    unsigned *asked = user;
    return ++*asked == 1 && fief_limit_set(rt, FIEF_NO_STRATEGY, 10000 + size);
}

Test(runtime, on_full_may_raise_the_limit)
{
    unsigned asked = 0;
    fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = small_reserve,
                                                .limit_bytes = 10000,
                                                .on_full = raise_the_limit,
                                                .user = &asked});
    void *block = fief_heap_alloc(fief_runtime_heap(rt), 10001);
    cr_expect_not_null(block);
    cr_expect_eq(asked, 1);
    fief_heap_free(fief_runtime_heap(rt), block, 10001);
    cr_expect_eq(fief_close(rt), 0);
}

static fief_status status_of(fief_config config, const char *word)
{
    fief_error error = {FIEF_OK, ""};
    config.error = &error;
    cr_expect_null(fief_open(&config));
    cr_expect_not_null(strstr(error.text, word), "'%s' names %s", error.text, word);
    return error.status;
}

Test(runtime, open_refuses_nonsense_with_a_sentence)
{
    fief_kind twice[] = {{.name = "a", .any = FIEF_HEAP}, {.name = "a", .any = FIEF_HEAP}};
    cr_expect_eq(status_of((fief_config){.kinds = twice, .kind_count = 2}, "twice"),
                 FIEF_BAD_TABLE);
    fief_kind pool[] = {{.name = "cell", .any = FIEF_POOL}};
    cr_expect_eq(status_of((fief_config){.kinds = pool, .kind_count = 1}, "cell"), FIEF_BAD_TABLE);
    fief_kind odd[] = {{.name = "odd", .any = (fief_strategy)77}};
    cr_expect_eq(status_of((fief_config){.kinds = odd, .kind_count = 1}, "77"), FIEF_BAD_TABLE);
    cr_expect_eq(status_of((fief_config){.limit_bytes = 5}, "5"), FIEF_BAD_CONFIG);
    static char small[100];
    cr_expect_eq(status_of((fief_config){.buffer = small, .buffer_size = 100}, "100"),
                 FIEF_BAD_CONFIG);
    cr_expect_eq(status_of((fief_config){.reserve_bytes = 4096}, "4096"), FIEF_NO_MEMORY);
}

Test(runtime, lives_in_a_callers_buffer)
{
    size_t size = 4 << 20;
    void *buffer = malloc(size);
    fief_runtime *rt = fief_open(
        &(fief_config){.reserve_bytes = small_reserve, .buffer = buffer, .buffer_size = size});
    cr_assert_not_null(rt);
    cr_expect_str_eq(fief_strdup(rt, FIEF_NATIVE, "clock"), "clock");
    cr_expect_null(fief_heap_alloc(fief_runtime_heap(rt), size));
    cr_expect_eq(fief_close(rt), 0);
    free(buffer);
}

Test(runtime, statistics_say_what_they_do_not_count)
{
    fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = small_reserve});
    char text[4096];
    cr_expect_lt(fief_stats_text(rt, text, sizeof text), sizeof text);
    cr_expect_not_null(strstr(text, "compiler arena"));
    size_t length = fief_stats_json(rt, text, sizeof text);
    cr_expect_eq(text[length - 1], '}');
    cr_expect_eq(fief_stats_json(rt, text, 10), length);
    cr_expect_eq(fief_close(rt), 0);
}

/* ---- the table ---- */

static fief_runtime *rt;
static witness seen;

static void open_with(const fief_kind *kinds, unsigned count, bool counted)
{
    rt = fief_open(&(fief_config){.reserve_bytes = small_reserve,
                                  .kinds = kinds,
                                  .kind_count = count,
                                  .count_blocks = counted,
                                  .on_misuse = witness_misuse,
                                  .user = &seen});
    cr_assert_not_null(rt);
}

static void close_runtime(void)
{
    cr_expect_eq(fief_close(rt), 0);
    cr_expect_eq(seen.count, 0, "misuse: %s", seen.text);
}

enum { EVERYWHERE, SLOTS, NOWHERE };
static const fief_kind own_kinds[] = {
    [EVERYWHERE] = {.name = "everywhere",
                    .size = 40,
                    .in = {FIEF_VM_ARENA, FIEF_COMPILER_ARENA, FIEF_STACK, FIEF_POOL, FIEF_HEAP,
                           FIEF_HEAP, FIEF_POOL, FIEF_VM_ARENA}},
    [SLOTS] = {.name = "slots", .size = 32, .any = FIEF_POOL},
    [NOWHERE] = {.name = "nowhere", .in = {[FIEF_HOST_CONTEXT + 2] = FIEF_HEAP}},
};

static void check_everywhere(void)
{
    for (unsigned context = 0; context < FIEF_CONTEXTS; context++) {
        fief_strategy strategy = own_kinds[EVERYWHERE].in[context];
        char *block = fief_new(rt, EVERYWHERE, context, 40);
        cr_assert(block != NULL && is_zero(block, 40));
        cr_expect_eq(fief_owner(rt, block), strategy);
        cr_expect_eq(fief_owner(rt, block + 39), strategy);
        memset(block, 0xFF, 40);
        fief_free(rt, EVERYWHERE, block, 40);
        bool dies_alone = strategy == FIEF_POOL || strategy == FIEF_HEAP;
        cr_expect(dies_alone ? seen.count == 0 : witness_saw(&seen, FIEF_MISUSE_WRONG_ALLOCATOR));
    }
}

Test(runtime, each_context_of_a_kind_goes_its_own_way)
{
    for (int counted = 0; counted < count_modes(); counted++) {
        open_with(own_kinds, 3, counted != 0);
        fief_unit unit = fief_unit_begin(rt);
        fief_mark frames = fief_stack_mark(fief_frame_stack(rt));
        check_everywhere();
        check_everywhere(); /* once more, in memory that others left dirty */
        fief_stack_rewind(fief_frame_stack(rt), frames);
        fief_unit_end(rt, unit);
        cr_expect_null(fief_new(rt, SLOTS, FIEF_DYNAMIC, 33));
        cr_expect(witness_saw(&seen, FIEF_MISUSE_WRONG_SIZE));
        cr_expect_null(fief_new(rt, NOWHERE, FIEF_DYNAMIC, 8));
        cr_expect(witness_saw(&seen, FIEF_MISUSE_NO_STRATEGY));
        void *host = fief_new(rt, NOWHERE, FIEF_HOST_CONTEXT + 2, 8);
        cr_expect_eq(fief_owner(rt, host), FIEF_HEAP);
        cr_expect_null(fief_new(rt, 3, FIEF_DYNAMIC, 8));
        cr_expect(witness_saw(&seen, FIEF_MISUSE_BAD_KIND));
        cr_expect_null(fief_new(rt, SLOTS, FIEF_CONTEXTS, 8));
        cr_expect(witness_saw(&seen, FIEF_MISUSE_BAD_KIND));
        fief_free(rt, 3, host, 8);
        cr_expect(witness_saw(&seen, FIEF_MISUSE_BAD_KIND));
        fief_free(rt, NOWHERE, host, 8);
        fief_free(rt, NOWHERE, NULL, 8);
        fief_free(rt, SLOTS, NULL, 32);
        close_runtime();
    }
}

static size_t size_of_kind(unsigned kind, size_t round)
{
    size_t size = fief_default_kinds[kind].size;
    return size != 0 ? size - round % 8 : 1 + round * 97 % 2000;
}

/* Where a host gives no table, an open does not look at the default one. */
Test(runtime, the_default_table_is_as_sound_as_a_hosts_must_be)
{
    fief_error error = {0};
    rt = fief_open(&(fief_config){.reserve_bytes = small_reserve,
                                  .kinds = fief_default_kinds,
                                  .kind_count = FIEF_DEFAULT_KINDS,
                                  .error = &error});
    cr_assert_not_null(rt, "%s", error.text);
    cr_expect_eq(fief_close(rt), 0);
}

Test(runtime, every_default_kind_is_made_and_freed)
{
    for (int counted = 0; counted < count_modes(); counted++) {
        open_with(NULL, 0, counted != 0);
        for (size_t round = 0; round < 40; round++) {
            fief_unit unit = fief_unit_begin(rt);
            fief_mark frames = fief_stack_mark(fief_frame_stack(rt));
            for (unsigned i = 0; i < FIEF_DEFAULT_KINDS * FIEF_CONTEXTS; i++) {
                unsigned kind = i % FIEF_DEFAULT_KINDS;
                size_t size = size_of_kind(kind, round + i);
                char *block = fief_new(rt, kind, i / FIEF_DEFAULT_KINDS, size);
                cr_assert(block != NULL && is_zero(block, size));
                memset(block, 0xFF, size);
                fief_strategy owner = fief_owner(rt, block);
                if (owner == FIEF_POOL || owner == FIEF_HEAP) {
                    fief_free(rt, kind, block, size);
                }
            }
            fief_stack_rewind(fief_frame_stack(rt), frames);
            fief_unit_end(rt, unit);
        }
        cr_expect_eq(fief_stats_strategy(rt, FIEF_POOL).used_bytes, 0);
        cr_expect_eq(fief_stats_strategy(rt, FIEF_HEAP).used_bytes, 0);
        close_runtime();
    }
}

Test(runtime, resize_zeroes_the_tail_and_minds_the_kind)
{
    for (int counted = 0; counted < count_modes(); counted++) {
        open_with(NULL, 0, counted != 0);
        static const size_t steps[] = {100, 200, 50, 5000, 400, 300000, 700000, 10, 0, 70};
        unsigned char *block = NULL;
        size_t size = 0;
        for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
            size_t kept = size < steps[i] ? size : steps[i];
            block = fief_resize(rt, FIEF_KIND_VECTOR, block, size, steps[i]);
            cr_assert(block != NULL && holds(block, kept, (unsigned)i));
            cr_expect(is_zero(block + kept, steps[i] - kept));
            fill(block, size = steps[i], (unsigned)i + 1);
        }
        cr_expect_null(fief_resize(rt, FIEF_KIND_VECTOR, block, size, SIZE_MAX));
        cr_expect(holds(block, size, 10));
        cr_expect_null(fief_resize(rt, FIEF_KIND_PAIR, block, size, 100));
        cr_expect(witness_saw(&seen, FIEF_MISUSE_BAD_KIND));
        cr_expect_null(fief_resize(rt, FIEF_DEFAULT_KINDS, block, size, 100));
        cr_expect(witness_saw(&seen, FIEF_MISUSE_BAD_KIND));
        void *literal = fief_new(rt, FIEF_KIND_VECTOR, FIEF_LITERAL, 20);
        cr_expect_null(fief_resize(rt, FIEF_KIND_VECTOR, literal, 20, 40));
        cr_expect(witness_saw(&seen, FIEF_MISUSE_WRONG_ALLOCATOR));
        fief_free(rt, FIEF_KIND_VECTOR, block, size);
        close_runtime();
    }
}

/* ---- strings ---- */

static fief_strategy home_of(unsigned context)
{
    return context <= FIEF_CONSTANT    ? FIEF_VM_ARENA
           : context == FIEF_TEMPORARY ? FIEF_COMPILER_ARENA
                                       : FIEF_HEAP;
}

static void keep(char *string, unsigned context, const char *text)
{
    cr_assert_not_null(string);
    cr_expect_str_eq(string, text);
    cr_expect_eq(fief_owner(rt, string), home_of(context));
    if (home_of(context) == FIEF_HEAP) {
        fief_free_string(rt, string);
    }
}

Test(runtime, strings_live_where_their_context_says)
{
    static char many[40000];
    memset(many, 'm', sizeof many - 1);
    open_with(NULL, 0, false);
    fief_unit unit = fief_unit_begin(rt);
    for (unsigned context = 0; context < FIEF_CONTEXTS; context++) {
        keep(fief_strdup(rt, context, "a string"), context, "a string");
        keep(fief_strdup(rt, context, ""), context, "");
        keep(fief_strdup(rt, context, many), context, many);
        keep(fief_strndup(rt, context, many, 3), context, "mmm");
        keep(fief_strndup(rt, context, "short", SIZE_MAX), context, "short");
        keep(fief_memdup(rt, context, "bytes", 6), context, "bytes");
        keep(fief_printf(rt, context, "%s-%d", "x", 7), context, "x-7");
        keep(fief_printf(rt, context, "%s", many), context, many);
        cr_expect_null(fief_memdup(rt, context, many, SIZE_MAX));
    }
    fief_unit_end(rt, unit);
    cr_expect_null(fief_strdup(rt, FIEF_TEMPORARY, "late"));
    cr_expect(witness_saw(&seen, FIEF_MISUSE_NO_UNIT));
    fief_free_string(rt, fief_strdup(rt, FIEF_LITERAL, "literal"));
    cr_expect(witness_saw(&seen, FIEF_MISUSE_WRONG_ALLOCATOR));
    fief_free_string(rt, NULL);
    close_runtime();
}

/* ---- units ---- */

static size_t unit_bytes(void)
{
    return fief_stats_strategy(rt, FIEF_COMPILER_ARENA).used_bytes;
}

Test(runtime, a_unit_ends_after_its_frames)
{
    witness saw = {0};
    fief_runtime *host = fief_open(&(fief_config){
        .reserve_bytes = small_reserve, .on_misuse = witness_misuse, .user = &saw});
    fief_stack *frames = fief_frame_stack(host);
    void *older = fief_stack_push(frames, 40);
    fief_unit unit = fief_unit_begin(host);
    void *newer = fief_stack_push(frames, 40);
    fief_unit_end(host, unit);
    cr_expect(witness_saw(&saw, FIEF_MISUSE_UNIT_ORDER));
    cr_expect(fief_stack_pop(frames, newer, 40));
    fief_unit_end(host, unit);
    unit = fief_unit_begin(host);
    cr_expect(fief_stack_pop(frames, older, 40));
    fief_unit_end(host, unit); /* one that was there before may be gone */
    cr_expect_eq(saw.count, 0);
    cr_expect_eq(fief_close(host), 0);
}

Test(runtime, a_unit_ends_after_its_frames_on_the_heap)
{
    witness saw = {0};
    fief_runtime *host = fief_open(&(fief_config){.reserve_bytes = small_reserve,
                                                  .limits = {[FIEF_STACK] = 100},
                                                  .on_misuse = witness_misuse,
                                                  .user = &saw});
    fief_unit unit = fief_unit_begin(host);
    void *frame = fief_stack_push(fief_frame_stack(host), 200);
    cr_expect_eq(fief_owner(host, frame), FIEF_HEAP);
    fief_unit_end(host, unit);
    cr_expect(witness_saw(&saw, FIEF_MISUSE_UNIT_ORDER));
    cr_expect(fief_stack_pop(fief_frame_stack(host), frame, 200));
    fief_unit_end(host, unit);
    cr_expect_eq(fief_close(host), 0);
    cr_expect_eq(saw.count, 0);
}

Test(runtime, units_end_innermost_first)
{
    open_with(NULL, 0, false);
    cr_expect_null(fief_temp(rt, int, 3));
    cr_expect(witness_saw(&seen, FIEF_MISUSE_NO_UNIT));
    fief_unit outer = fief_unit_begin(rt);
    int *kept = fief_temp(rt, int, 100);
    fill(kept, 400, 3);
    size_t used = unit_bytes();
    fief_unit inner = fief_unit_begin(rt);
    cr_assert_not_null(fief_temp(rt, int, 50000));
    fief_unit_end(rt, outer);
    cr_expect(witness_saw(&seen, FIEF_MISUSE_UNIT_ORDER));
    cr_expect_gt(unit_bytes(), used);
    fief_unit_end(rt, inner);
    cr_expect_eq(unit_bytes(), used);
    fief_unit_end(rt, inner);
    cr_expect(witness_saw(&seen, FIEF_MISUSE_UNIT_ORDER));
    cr_expect(holds(kept, 400, 3));
    cr_expect_null(fief_temp(rt, int, SIZE_MAX / 2));
    fief_unit_end(rt, outer);
    fief_unit_end(rt, outer);
    cr_expect(witness_saw(&seen, FIEF_MISUSE_UNIT_ORDER));
    cr_expect_null(fief_temp(rt, int, 3));
    cr_expect(witness_saw(&seen, FIEF_MISUSE_NO_UNIT));
    cr_expect_eq(unit_bytes(), 0);
    close_runtime();
}

static void a_unit_that_ended_does_not_end_its_successor(void)
{
    open_with(NULL, 0, false);
    fief_unit outer = fief_unit_begin(rt);
    fief_unit first = fief_unit_begin(rt);
    fief_unit_end(rt, first);
    fief_unit second = fief_unit_begin(rt);
    cr_assert_not_null(fief_temp(rt, int, 100));
    fief_unit_end(rt, first);
    cr_expect(witness_saw(&seen, FIEF_MISUSE_UNIT_ORDER));
    fief_unit_end(rt, second);
    fief_unit_end(rt, outer);
    close_runtime();
}

static size_t cleanups_run;

static void count_cleanup(void *unused)
{
    (void)unused;
    cleanups_run++;
}

/* What the middle unit made dies with it, though a third unit began and ended after that. */
static void nested_units_take_their_large_blocks_along(void)
{
    open_with(NULL, 0, false);
    fief_unit outer = fief_unit_begin(rt);
    cr_assert_not_null(fief_temp(rt, char, 100));
    size_t used = unit_bytes();
    cleanups_run = 0;
    fief_unit middle = fief_unit_begin(rt);
    cr_assert_not_null(fief_temp(rt, char, 200000));
    cr_assert(fief_arena_cleanup(fief_compiler_arena(rt), count_cleanup, NULL));
    fief_unit inner = fief_unit_begin(rt);
    cr_assert_not_null(fief_temp(rt, char, 10));
    fief_unit_end(rt, inner);
    cr_expect_eq(cleanups_run, 0);
    fief_unit_end(rt, middle);
    cr_expect_eq(cleanups_run, 1);
    cr_expect_eq(unit_bytes(), used);
    fief_unit_end(rt, outer);
    close_runtime();
}

/* The same with a mark of the host's own in the place of the middle unit. */
static void a_mark_of_a_unit_outlives_an_inner_unit(void)
{
    open_with(NULL, 0, false);
    fief_unit outer = fief_unit_begin(rt);
    cr_assert_not_null(fief_temp(rt, char, 100));
    size_t used = unit_bytes();
    cleanups_run = 0;
    fief_mark mark = fief_arena_mark(fief_compiler_arena(rt));
    cr_assert(fief_arena_cleanup(fief_compiler_arena(rt), count_cleanup, NULL));
    fief_unit inner = fief_unit_begin(rt);
    fief_unit_end(rt, inner);
    fief_arena_rewind(fief_compiler_arena(rt), mark);
    cr_expect_eq(cleanups_run, 1);
    cr_expect_eq(unit_bytes(), used);
    fief_unit_end(rt, outer);
    close_runtime();
}

Test(runtime, units_end_in_order_and_alone)
{
    a_unit_that_ended_does_not_end_its_successor();
    nested_units_take_their_large_blocks_along();
    a_mark_of_a_unit_outlives_an_inner_unit();
}

Test(runtime, a_thousand_units_hold_no_more_than_the_first)
{
    open_with(NULL, 0, false);
    size_t held = 0;
    for (int i = 0; i < 1000; i++) {
        fief_unit unit = fief_unit_begin(rt);
        for (size_t size = 1; size < 300000; size = size * 3 + 1) {
            cr_assert_not_null(fief_temp(rt, char, size));
        }
        fief_unit_end(rt, unit);
        held = i == 0 ? fief_stats_held(rt) : held;
        cr_assert_eq(fief_stats_held(rt), held);
    }
    cr_expect_eq(fief_stats_strategy(rt, FIEF_COMPILER_ARENA).resets, 1000);
    close_runtime();
}

/* ---- threads ---- */

static void *use_from_another_thread(void *adopt)
{
    if (adopt != NULL) {
        fief_adopt(rt);
    }
    void *block = fief_heap_alloc(fief_runtime_heap(rt), 100);
    fief_heap_free(fief_runtime_heap(rt), block, 100);
    return block;
}

static void *in_another_thread(void *adopt)
{
    pthread_t thread;
    void *result = NULL;
    cr_assert_eq(pthread_create(&thread, NULL, use_from_another_thread, adopt), 0);
    cr_assert_eq(pthread_join(thread, &result), 0);
    return result;
}

Test(runtime, another_thread_must_adopt_the_runtime)
{
    open_with(NULL, 0, true);
    cr_expect_null(in_another_thread(NULL));
    cr_expect(witness_saw(&seen, FIEF_MISUSE_WRONG_THREAD));
    cr_expect_not_null(in_another_thread(&seen));
    cr_expect_eq(seen.count, 0);
    cr_expect_null(fief_heap_alloc(fief_runtime_heap(rt), 100));
    cr_expect(witness_saw(&seen, FIEF_MISUSE_WRONG_THREAD));
    cr_expect_eq(fief_close(rt), 0);
    cr_expect(witness_saw(&seen, FIEF_MISUSE_WRONG_THREAD), "and nothing was closed");
    fief_adopt(rt);
    cr_expect_not_null(fief_vm_arena(rt));
    close_runtime();
}

static void *free_a_local(void *unused)
{
    char local[64] = {0};
    fief_adopt(rt);
    fief_heap_free(fief_runtime_heap(rt), local, sizeof local);
    return unused;
}

/* Only a guarded build knows its owner's stack. */
Test(runtime, the_c_stack_is_that_of_the_thread_that_owns_it)
{
    pthread_t thread;
    open_with(NULL, 0, true);
    cr_assert_eq(pthread_create(&thread, NULL, free_a_local, NULL), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_expect(witness_saw(&seen, is_guarded() ? FIEF_MISUSE_STACK_FREE : FIEF_MISUSE_FOREIGN_FREE));
    fief_adopt(rt);
    close_runtime();
}

/* Each verb asks whose the runtime is. */
static void *use_every_verb(void *words)
{
    static const fief_unit none;
    fief_arena *vm = fief_vm_arena(rt);
    size_t *count = words;
    (void)fief_new(rt, FIEF_KIND_STRING, FIEF_LITERAL, 8), count[0]++;
    (void)fief_resize(rt, FIEF_KIND_STRING, NULL, 0, 8), count[0]++;
    fief_unit_end(rt, none), count[0]++;
    (void)fief_unit_begin(rt), count[0]++;
    (void)fief_trim(rt), count[0]++;
    fief_drop(rt), count[0]++;
    (void)fief_root_add(rt, words, 8, NULL), count[0]++;
    fief_root_remove(rt, words), count[0]++;
    (void)fief_stack_pop(fief_frame_stack(rt), words, 8), count[0]++;
    (void)fief_arena_alloc(vm, 8), count[0]++;
    (void)fief_arena_resize(vm, NULL, 0, 8), count[0]++;
    fief_arena_rewind(vm, fief_arena_mark(vm)), count[0]++;
    (void)fief_arena_strdup(vm, "text"), count[0]++;
    (void)fief_strdup(rt, FIEF_DYNAMIC, "text"), count[0]++;
    return NULL;
}

static void visit_nothing(void *slot, void *argument)
{
    (void)slot;
    (void)argument;
}

static void *use_every_heaps_verb(void *words)
{
    fief_heap *heap = fief_runtime_heap(rt);
    size_t *count = words;
    void *block = words; /* nobody looks at it */
    (void)fief_heap_alloc_aligned(heap, 8, 64), count[0]++;
    (void)fief_heap_resize(heap, NULL, 0, 8), count[0]++;
    fief_heap_free(heap, block, 8), count[0]++;
    (void)fief_malloc(rt, 8), count[0]++;
    (void)fief_heap_alloc_unsized_aligned(heap, 8, 64), count[0]++;
    (void)fief_realloc(rt, block, 8), count[0]++;
    fief_release(rt, block), count[0]++;
    fief_free(rt, FIEF_KIND_STRING, block, 8), count[0]++;
    (void)fief_memdup(rt, FIEF_DYNAMIC, words, 8), count[0]++;
    (void)fief_strndup(rt, FIEF_DYNAMIC, "text", 2), count[0]++;
    (void)fief_printf(rt, FIEF_DYNAMIC, "%d", 1), count[0]++;
    fief_free_string(rt, block), count[0]++;
    return NULL;
}

static fief_pool *shared_pool;
static fief_arena *shared_arena;

static void *use_every_hosts_allocator(void *words)
{
    size_t *count = words;
    (void)fief_pool_take(shared_pool), count[0]++;
    fief_pool_give(shared_pool, words), count[0]++;
    (void)fief_pool_walk(shared_pool, visit_nothing, NULL), count[0]++;
    (void)fief_pool_trim(shared_pool), count[0]++;
    fief_pool_close(shared_pool), count[0]++;
    (void)fief_arena_cleanup(shared_arena, free, NULL), count[0]++;
    fief_arena_reset(shared_arena), count[0]++;
    fief_arena_close(shared_arena), count[0]++;
    (void)fief_pool_open(rt, "pool", 8), count[0]++;
    (void)fief_arena_open(rt, NULL), count[0]++;
    (void)fief_stack_open(rt, NULL), count[0]++;
    if (is_guarded()) { /* elsewhere nobody looks at stores */
        void *field = NULL;
        fief_store(rt, &field, &field, words), count[0]++;
        cr_expect_null(field);
    }
    return NULL;
}

Test(runtime, no_verb_serves_another_thread)
{
    void *(*const uses[])(void *) = {use_every_verb, use_every_heaps_verb,
                                     use_every_hosts_allocator};
    open_with(NULL, 0, true);
    shared_pool = fief_pool_open(rt, "shared", 40);
    shared_arena = fief_arena_open(rt, NULL);
    for (size_t i = 0; i < sizeof uses / sizeof uses[0]; i++) {
        pthread_t thread;
        size_t verbs = 0;
        seen.count = 0;
        cr_assert_eq(pthread_create(&thread, NULL, uses[i], &verbs), 0);
        cr_assert_eq(pthread_join(thread, NULL), 0);
        cr_expect_eq(seen.count, verbs, "use %zu: %zu of %zu", i, seen.count, verbs);
        cr_expect_eq(seen.last, FIEF_MISUSE_WRONG_THREAD);
    }
    seen.count = 0;
    close_runtime();
}

/* ---- closing ---- */

static char closed[8];

static void note_closed(void *name)
{
    strncat(closed, name, 1);
}

Test(runtime, close_ends_frames_then_the_hosts_arenas_then_the_vm)
{
    open_with(NULL, 0, false);
    cr_assert(fief_arena_cleanup(fief_vm_arena(rt), note_closed, "v"));
    cr_assert(fief_arena_cleanup(fief_arena_open(rt, NULL), note_closed, "1"));
    cr_assert(fief_arena_cleanup(fief_arena_open(rt, NULL), note_closed, "2"));
    cr_assert(fief_arena_cleanup(&fief_frame_stack(rt)->arena, note_closed, "f"));
    close_runtime();
    cr_expect_str_eq(closed, "f21v");
}

/* In a kept range, with spans beyond what may stay warm: the next runtime finds zeroed pages. */
Test(runtime, a_drop_ends_everything_too_and_leaves_a_kept_range_clean)
{
    enum { SPANS = 40, SPAN = 200000 };
    fief_range *range = fief_range_open(small_reserve);
    cr_assert_not_null(range);
    for (int i = 0; i < 2; i++) {
        closed[0] = '\0';
        rt = fief_open(&(fief_config){.range = range, .retain_bytes = 1 << 20});
        cr_assert(fief_arena_cleanup(fief_vm_arena(rt), note_closed, "v"));
        cr_assert(fief_arena_cleanup(&fief_frame_stack(rt)->arena, note_closed, "f"));
        for (int span = 0; span < SPANS; span++) {
            memset(fief_arena_alloc(fief_vm_arena(rt), SPAN), 1, SPAN);
            memset(fief_heap_alloc(fief_runtime_heap(rt), SPAN), 1, SPAN);
        }
        char *pair = fief_new(rt, FIEF_KIND_PAIR, FIEF_DYNAMIC, 48);
        cr_expect(is_zero(pair, 48));
        memset(pair, 1, 48);
        fief_drop(rt);
        cr_expect_str_eq(closed, "fv");
    }
    rt = NULL;
    cr_expect(fief_range_close(range));
}

/* A guarded build keeps a few that were closed; more of them than that are released. */
Test(runtime, many_are_closed_one_after_the_other)
{
    for (int i = 0; i < 20; i++) {
        open_with(NULL, 0, false);
        cr_expect_not_null(fief_strdup(rt, FIEF_LITERAL, "text"));
        close_runtime();
    }
    if (is_guarded()) {
        fief_adopt(rt);
        cr_expect(witness_saw(&seen, FIEF_MISUSE_USE_AFTER_CLOSE));
    }
}

static void expect_bad(fief_config config, const char *words)
{
    fief_error error = {FIEF_OK, ""};
    config.error = &error;
    cr_expect_null(fief_open(&config));
    cr_expect_eq(error.status, FIEF_BAD_CONFIG);
    cr_expect_not_null(strstr(error.text, words), "'%s'", error.text);
}

Test(runtime, numbers_out_of_their_range_are_refused)
{
    expect_bad((fief_config){.scan_percent = 101}, "scan_percent is 101");
    expect_bad((fief_config){.stack_depth = FIEF_DEPTH_MAX + 1}, "stack_depth is 17");
    expect_bad((fief_config){.align = 32}, "align is 32");
    expect_bad((fief_config){.limit_bytes = 10}, "limit_bytes is 10");
}

/* ---- failing to open ---- */

/* A guard must not leave its marks in memory that is the caller's again. */
Test(runtime, a_failed_open_leaves_the_callers_memory_usable)
{
    static char bytes[100000], whole[1 << 20];
    fief_arena_config sound = {.buffer = bytes, .buffer_size = sizeof bytes};
    fief_arena_config hopeless = {.presize = PTRDIFF_MAX};
    cr_assert_null(fief_open(&(fief_config){
        .reserve_bytes = small_reserve, .vm_arena = &sound, .frame_stack = &hopeless}));
    memset(bytes, 1, sizeof bytes);
    fief_arena_config modest = {.presize = 100000};
    cr_assert_null(fief_open(&(fief_config){.reserve_bytes = small_reserve,
                                            .buffer = whole,
                                            .buffer_size = sizeof whole,
                                            .vm_arena = &modest,
                                            .frame_stack = &hopeless}));
    memset(whole, 1, sizeof whole);
}

Test(runtime, what_is_no_class_has_no_explanation)
{
    cr_expect_str_eq(fief_misuse_name((fief_misuse_class)999), "unknown");
    cr_expect_str_eq(fief_misuse_explain((fief_misuse_class)999), "");
}

/* A fault's address is looked up in 64 of them; those beyond work all the same. */
Test(runtime, more_than_are_watched_for_faults)
{
    enum { MANY = 70 };
    static fief_runtime *open[MANY];
    static char *blocks[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        open[i] = fief_open(&(fief_config){.reserve_bytes = (size_t)8 << 20});
        cr_assert_not_null(open[i]);
        blocks[i] = fief_heap_alloc(fief_runtime_heap(open[i]), 40);
        memset(blocks[i], (int)i, 40);
    }
    for (unsigned i = 0; i < MANY; i++) {
        cr_expect_eq(blocks[i][39], (char)i);
        cr_expect_eq(fief_owner(open[i], blocks[i]), FIEF_HEAP);
        fief_heap_free(fief_runtime_heap(open[i]), blocks[i], 40);
        cr_expect_eq(fief_close(open[i]), 0);
    }
}
