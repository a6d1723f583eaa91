#include <fief/fief.h>

#include <criterion/criterion.h>
#include <stdio.h>

static fief_runtime *rt;
static char order[8];
static size_t ran;

static void note(void *letter)
{
    order[ran++] = *(const char *)letter;
}

static void open_runtime(void)
{
    rt = fief_open(NULL);
    cr_assert_not_null(rt);
}

static void close_runtime(void)
{
    cr_expect_eq(fief_close(rt), 0);
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

Test(arena, callers_buffer_comes_first)
{
    static _Alignas(16) char buffer[4096];
    fief_arena *a = fief_arena_open(rt, &(fief_arena_config){.buffer = buffer,
                                                             .buffer_size = sizeof buffer});
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
