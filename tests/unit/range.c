#include "support.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { RUNTIMES = 24, BLOCKS = 300 };

/* Leaves every page that it uses full of 0xFF. */
static void dirty(fief_runtime *rt, size_t round)
{
    fief_heap *h = fief_runtime_heap(rt);
    fief_unit unit = fief_unit_begin(rt);
    for (size_t i = 0; i < BLOCKS; i++) {
        size_t size = 1 + (i * 37 + round) % 900;
        unsigned char *sized = fief_heap_alloc(h, size), *plain = fief_malloc(rt, size);
        unsigned char *temporary = fief_temp(rt, unsigned char, size);
        unsigned char *slot = fief_new(rt, FIEF_KIND_INSTANCE, FIEF_DYNAMIC, 64);
        unsigned char *literal = fief_new(rt, FIEF_KIND_STRING, FIEF_LITERAL, size);
        cr_assert(sized && plain && temporary && slot && literal);
        memset(sized, 0xFF, size);
        memset(plain, 0xFF, size);
        memset(temporary, 0xFF, size);
        memset(slot, 0xFF, 64);
        memset(literal, 0xFF, size);
        fief_heap_free(h, sized, size);
        fief_release(rt, plain);
        fief_free(rt, FIEF_KIND_INSTANCE, slot, 64);
    }
    fief_unit_end(rt, unit);
}

static void expect_zeroed(fief_runtime *rt)
{
    for (unsigned i = 0; i < BLOCKS; i++) {
        size_t size = 1 + i * 53 % 900;
        void *string = fief_new(rt, FIEF_KIND_STRING, FIEF_DYNAMIC, size);
        void *literal = fief_new(rt, FIEF_KIND_STRING, FIEF_LITERAL, size);
        void *slot = fief_new(rt, FIEF_KIND_CLOSURE, FIEF_DYNAMIC, 64);
        void *plain = fief_calloc(rt, size, 3);
        cr_assert(is_zero(string, size) && is_zero(literal, size));
        cr_assert(is_zero(slot, 64) && is_zero(plain, size * 3));
        fief_free(rt, FIEF_KIND_STRING, string, size);
        fief_free(rt, FIEF_KIND_CLOSURE, slot, 64);
        fief_release(rt, plain);
    }
}

static fief_runtime *open_in(fief_range *range, size_t retain, bool counted)
{
    fief_error error = {FIEF_OK, ""};
    fief_runtime *rt = fief_open(&(fief_config){
        .range = range, .retain_bytes = retain, .count_blocks = counted, .error = &error});
    cr_assert_not_null(rt, "%s", error.text);
    return rt;
}

Test(range, many_runtimes_live_in_it_one_after_the_other)
{
    fief_range *range = fief_range_open(small_reserve);
    cr_assert_not_null(range);
    size_t held = 0;
    for (size_t round = 0; round < RUNTIMES; round++) {
        fief_runtime *rt = open_in(range, round % 3 == 0 ? 1 : 0, round % 2 == 1);
        held = round == 0 ? fief_stats_held(rt) : held;
        cr_expect_eq(fief_stats_held(rt), held, "an old runtime's pages are held");
        cr_expect_eq(fief_stats_strategy(rt, FIEF_HEAP).used_bytes, 0);
        expect_zeroed(rt);
        dirty(rt, round);
        fief_mark mark = fief_arena_mark(fief_vm_arena(rt));
        cr_expect_not_null(fief_arena_alloc(fief_vm_arena(rt), 5 << 20));
        fief_arena_rewind(fief_vm_arena(rt), mark);
        cr_expect_not(fief_range_close(range), "a runtime lives here");
        cr_expect_eq(fief_close(rt), 0);
    }
    cr_expect(fief_range_close(range));
    cr_expect(fief_range_close(NULL));
}

static void expect_refused(fief_config config, const char *words)
{
    fief_error error = {FIEF_OK, ""};
    config.error = &error;
    cr_expect_null(fief_open(&config));
    cr_expect_eq(error.status, FIEF_BAD_CONFIG);
    cr_expect_not_null(strstr(error.text, words), "'%s' says %s", error.text, words);
}

Test(range, is_for_one_runtime_at_a_time)
{
    static char buffer[1 << 20];
    fief_range *range = fief_range_open(small_reserve);
    expect_refused((fief_config){.range = range, .buffer = buffer, .buffer_size = sizeof buffer},
                   "buffer and range");
    fief_runtime *rt = open_in(range, 0, false);
    char *kept = fief_strdup(rt, FIEF_NATIVE, "kept");
    expect_refused((fief_config){.range = range}, "taken");
    cr_expect_str_eq(kept, "kept");
    cr_expect_eq(fief_close(rt), 0);
    fief_kind nameless = {.any = FIEF_HEAP};
    cr_expect_null(fief_open(&(fief_config){.range = range, .kinds = &nameless, .kind_count = 1}));
    fief_arena_config hopeless = {.presize = PTRDIFF_MAX};
    cr_expect_null(fief_open(&(fief_config){.range = range, .frame_stack = &hopeless}));
    rt = open_in(range, 0, false); /* what failed to open has left the range free */
    expect_zeroed(rt);
    cr_expect_eq(fief_close(rt), 0);
    cr_expect(fief_range_close(range));
}

Test(range, of_any_size_opens_or_is_refused)
{
    static const size_t sizes[] = {
        0,       1, 4096, 4 << 20, (4 << 20) + 1, (size_t)1 << 40, (size_t)1 << 62, SIZE_MAX / 2,
        SIZE_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        fief_range *range = fief_range_open(sizes[i]);
        bool is_tiny = sizes[i] != 0 && sizes[i] < 4 << 20;
        cr_expect(is_tiny ? range == NULL : range != NULL || sizes[i] > 4 << 21);
        if (range != NULL) {
            fief_runtime *rt = open_in(range, 0, false);
            expect_zeroed(rt);
            cr_expect_eq(fief_close(rt), 0);
        }
        cr_expect(fief_range_close(range));
    }
}

/* ---- ranges that wait ---- */

static fief_runtime *open_recycled(size_t reserve, bool huge)
{
    fief_runtime *rt = fief_open(
        &(fief_config){.reserve_bytes = reserve, .huge_pages = huge, .recycle_range = true});
    cr_assert_not_null(rt);
    return rt;
}

/* In a guarded build the dead stay dead: nothing is recycled. */
Test(range, a_runtime_lives_where_one_was_closed)
{
    (void)fief_trim_idle();
    fief_runtime *first = open_recycled(small_reserve, false);
    dirty(first, 1);
    cr_expect_eq(fief_close(first), 0);
    fief_runtime *second = open_recycled(small_reserve, false);
    cr_expect_eq(second == first, !is_guarded());
    cr_expect_eq(fief_stats_strategy(second, FIEF_HEAP).used_bytes, 0);
    expect_zeroed(second);
    fief_runtime *third = open_recycled(small_reserve, false);
    cr_expect_neq(third, second);
    fief_drop(second);
    fief_drop(third);
    cr_expect_eq(fief_trim_idle(), is_guarded() ? 0 : 2);
    cr_expect_eq(fief_trim_idle(), 0);
}

static bool is_resident(const void *block)
{
    unsigned char resident = 0;
    uintptr_t page = (uintptr_t)block & ~(uintptr_t)(sysconf(_SC_PAGESIZE) - 1);
    cr_assert_eq(mincore((void *)page, 1, &resident), 0);
    return (resident & 1) != 0;
}

Test(range, a_range_waits_with_no_more_warm_pages_than_its_last_runtime_was_to_keep)
{
    const size_t size = (size_t)3 << 20;
    (void)fief_trim_idle();
    for (int warm = 0; warm < 2 && !is_guarded(); warm++) {
        fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = small_reserve,
                                                    .retain_bytes = warm != 0 ? 2 * size : 1,
                                                    .recycle_range = true});
        unsigned char *block = fief_malloc(rt, size), *inside = block + size / 2;
        memset(block, 1, size);
        fief_drop(rt);
        cr_expect_eq(is_resident(inside), warm != 0);
    }
    (void)fief_trim_idle();
}

Test(range, a_range_of_another_sort_keeps_waiting)
{
    (void)fief_trim_idle();
    fief_drop(open_recycled(small_reserve, false));
    fief_runtime *larger = open_recycled(2 * small_reserve, false);
    fief_runtime *huge = open_recycled(small_reserve, true), *plain = fief_open(NULL);
    cr_expect_eq(fief_trim_idle(), is_guarded() ? 0 : 1);
    fief_drop(plain);
    cr_expect_eq(fief_trim_idle(), 0, "who did not ask for it leaves none behind");
    fief_drop(larger);
    fief_drop(huge);
    cr_expect_eq(fief_trim_idle(), is_guarded() ? 0 : 2);
}

Test(range, sixteen_wait_and_no_more)
{
    enum { MANY = 20, WAITING = 16 };
    fief_runtime *open[MANY];
    (void)fief_trim_idle();
    for (size_t i = 0; i < MANY; i++) {
        open[i] = open_recycled(small_reserve, false);
    }
    for (size_t i = 0; i < MANY; i++) {
        fief_drop(open[i]);
    }
    cr_expect_eq(fief_trim_idle(), is_guarded() ? 0 : WAITING);
}

/* What the host gave stays the host's. */
Test(range, a_given_range_or_buffer_is_not_recycled)
{
    static _Alignas(64) unsigned char buffer[1 << 20];
    (void)fief_trim_idle();
    fief_range *range = fief_range_open(small_reserve);
    fief_drop(fief_open(&(fief_config){.range = range, .recycle_range = true}));
    fief_drop(fief_open(&(fief_config){
        .buffer = buffer, .buffer_size = sizeof buffer, .recycle_range = true}));
    cr_expect_eq(fief_trim_idle(), 0);
    cr_expect(fief_range_close(range));
}
