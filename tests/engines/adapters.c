/* The adapters by themselves, without their engines: what their headers promise. */
#include <criterion/criterion.h>

#include <fief/adapt/cpython.h>
#include <fief/adapt/duktape.h>
#include <fief/adapt/luajit.h>
#include <fief/adapt/mruby.h>
#include <fief/adapt/mujs.h>
#include <fief/adapt/sqlite.h>
#include <fief/adapt/vtable.h>

#include <stdlib.h>

Test(adapters, sqlite_size_is_what_roundup_says)
{
    fief_runtime *rt = fief_open(NULL);
    cr_assert_eq(fief_sqlite_init(fief_runtime_heap(rt)), 0);
    for (int size = 1; size < 3000000; size += size < 1100 ? 1 : size / 7) {
        unsigned char *block = fief_sqlite_malloc(size);
        cr_assert_not_null(block);
        cr_assert_geq(fief_sqlite_size(block), size);
        cr_assert_eq(fief_sqlite_size(block), fief_sqlite_roundup(size), "of %d bytes: %d, not %d",
                     size, fief_sqlite_size(block), fief_sqlite_roundup(size));
        memset(block, 7, (size_t)fief_sqlite_size(block));
        fief_sqlite_free(block);
    }
    cr_assert_eq(fief_sqlite_size(NULL), 0);
    fief_sqlite_shutdown(NULL);
    cr_assert_eq(fief_sqlite_init(NULL), 21);
    cr_assert_eq(fief_close(rt), 0);
}

Test(adapters, sqlite_roundup_stays_an_int)
{
    cr_assert_geq(fief_sqlite_roundup(2147483391), 2147483391);
    cr_assert_eq(fief_sqlite_roundup(-1), -1);
}

Test(adapters, mujs_refuses_what_is_negative)
{
    fief_runtime *rt = fief_open(NULL);
    fief_heap *heap = fief_runtime_heap(rt);
    void *block = fief_mujs_alloc(heap, NULL, 10);
    cr_assert_null(fief_mujs_alloc(heap, block, -10));
    cr_assert_null(fief_mujs_alloc(heap, NULL, -1));
    cr_assert_null(fief_mujs_alloc(heap, block, 0));
    cr_assert_eq(fief_close(rt), 0);
}

Test(adapters, size_0_frees_where_the_engine_says_so)
{
    fief_runtime *rt = fief_open(NULL);
    fief_heap *heap = fief_runtime_heap(rt);
    cr_assert_null(fief_duktape_realloc(heap, fief_duktape_alloc(heap, 40), 0));
    cr_assert_null(fief_duktape_alloc(heap, 0));
    cr_assert_null(fief_mruby_alloc(NULL, fief_mruby_alloc(NULL, NULL, 40, heap), 0, heap));
    cr_assert_null(fief_mruby_alloc(NULL, NULL, 0, heap));
    cr_assert_eq(fief_close(rt), 0);
}

Test(adapters, vtable_is_malloc_with_a_context)
{
    fief_runtime *rt = fief_open(NULL);
    fief_vtable m = fief_vtable_of(rt);
    unsigned char *zeroed = m.calloc(m.context, 30, 20), *block = m.alloc(m.context, 0);
    for (int i = 0; i < 600; i++) {
        cr_assert_eq(zeroed[i], 0);
    }
    cr_assert_not_null(block);
    cr_assert_null(m.calloc(m.context, SIZE_MAX / 2, 3));
    for (size_t size = 1; size < 2000000; size = size * 3 / 2 + 1) {
        block = m.realloc(m.context, block, size);
        block[size - 1] = 1;
    }
    block[0] = 42;
    block = m.realloc(m.context, block, 1);
    cr_assert_eq(block[0], 42);
    m.free(m.context, block);
    m.free(m.context, zeroed);
    m.free(m.context, NULL);
    cr_assert_eq(fief_close(rt), 0);
}

Test(adapters, a_block_that_grows_and_shrinks_keeps_its_bytes)
{
    fief_runtime *rt = fief_open(NULL);
    fief_vtable m = fief_vtable_of(rt);
    uint32_t *block[3] = {0};
    size_t filled[3] = {0};
    unsigned seed = 1;
    for (int step = 0; step < 3000; step++) {
        seed = seed * 1103515245u + 12345u;
        int i = step % 3;
        size_t count = 1 + (seed >> 8) % (step % 10 == 0 ? 200000 : 3000);
        block[i] = m.realloc(m.context, block[i], count * sizeof(uint32_t));
        for (size_t k = 0; k < (count < filled[i] ? count : filled[i]); k++) {
            cr_assert_eq(block[i][k], (uint32_t)(k * 3 + (size_t)i));
        }
        for (size_t k = filled[i] < count ? filled[i] : count; k < count; k++) {
            block[i][k] = (uint32_t)(k * 3 + (size_t)i);
        }
        filled[i] = count;
    }
    for (int i = 0; i < 3; i++) {
        m.free(m.context, block[i]);
    }
    cr_assert_eq(fief_close(rt), 0);
}

Test(adapters, luajit_reaches_what_lies_in_47_bits)
{
    fief_runtime *rt = fief_open(NULL);
    fief_heap *heap = fief_runtime_heap(rt);
    cr_assert(fief_luajit_reaches(heap, 1 << 20));
    cr_assert_not(fief_luajit_reaches(heap, (size_t)1 << 47));
    cr_assert_eq(fief_close(rt), 0);
}

enum { THREADS = 4, TURNS = 2000 };

static int use_locked(void *locked)
{
    void *kept[16] = {NULL};
    for (size_t i = 0; i < TURNS; i++) {
        fief_locked_free(locked, kept[i % 16]);
        kept[i % 16] = i % 3 == 0 ? fief_locked_calloc(locked, 3, i % 200)
                                  : fief_locked_malloc(locked, i % 900);
        kept[(i + 5) % 16] = fief_locked_realloc(locked, kept[(i + 5) % 16], i % 1500);
    }
    for (size_t i = 0; i < 16; i++) {
        fief_locked_free(locked, kept[i]);
    }
    return 0;
}

Test(adapters, locked_serves_several_threads)
{
    static fief_locked locked;
    thrd_t threads[THREADS];
    cr_assert(fief_locked_open(&locked, NULL));
    for (int i = 0; i < THREADS; i++) {
        cr_assert_eq(thrd_create(&threads[i], use_locked, &locked), thrd_success);
    }
    for (int i = 0; i < THREADS; i++) {
        thrd_join(threads[i], NULL);
    }
    cr_assert_null(fief_locked_calloc(&locked, SIZE_MAX, 2));
    cr_assert_eq(fief_locked_close(&locked), 0);
}

static fief_cpython held;

static int use_held(void *nothing)
{
    (void)nothing;
    void *block = fief_cpython_malloc(&held, 100);
    block = fief_cpython_realloc(&held, block, 1000);
    fief_cpython_free(&held, block);
    return 0;
}

/* As under the GIL: one thread after the other. */
Test(adapters, cpython_follows_the_thread_that_holds_the_gil)
{
    held.runtime = fief_open(NULL);
    for (int i = 0; i < 20; i++) {
        thrd_t thread;
        (void)use_held(NULL);
        cr_assert_eq(thrd_create(&thread, use_held, NULL), thrd_success);
        thrd_join(thread, NULL);
    }
    (void)use_held(NULL);
    cr_assert_eq(fief_close(held.runtime), 0);
}
