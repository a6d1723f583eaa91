#include <fief/fief.h>

#include <criterion/criterion.h>

Test(heap, sized_blocks_of_every_range_grow_and_keep_their_prefix)
{
    fief_runtime *rt = fief_open(NULL);
    fief_heap *h = fief_runtime_heap(rt);
    size_t size = 1;
    unsigned char *p = fief_heap_alloc(h, size);
    p[0] = 0x5A;
    for (; size < 8u << 20; size = size * 2 + 1) {
        p = fief_heap_resize(h, p, size, size * 2 + 1);
        cr_assert_not_null(p);
        cr_expect_eq(p[0], 0x5A);
        p[size * 2] = 1;
    }
    while (size > 1) {
        cr_assert_not_null(p = fief_heap_resize(h, p, size, size / 2));
        cr_expect_eq(p[0], 0x5A);
        size /= 2;
    }
    fief_heap_free(h, p, size);
    cr_expect_eq(fief_stats_strategy(rt, FIEF_HEAP).used_bytes, 0);
    cr_expect_eq(fief_close(rt), 0);
}

Test(heap, unsized_blocks_of_every_range)
{
    fief_runtime *rt = fief_open(NULL);
    for (size_t size = 0; size < 1u << 20; size = size * 3 + 1) {
        unsigned char *p = fief_malloc(rt, size);
        cr_assert_not_null(p);
        cr_expect_eq((uintptr_t)p % FIEF_ALIGN, 0);
        memset(p, 3, size);
        p = fief_realloc(rt, p, size + 100);
        cr_assert(size == 0 || p[size - 1] == 3);
        fief_release(rt, p);
    }
    cr_expect_null(fief_calloc(rt, SIZE_MAX / 2, 4));
    cr_expect_eq(fief_close(rt), 0);
}

static bool remember(const fief_misuse *misuse, void *user)
{
    *(fief_misuse_class *)user = misuse->class_id;
    return true;
}

Test(heap, foreign_and_arena_pointers_are_refused)
{
    fief_misuse_class seen = FIEF_MISUSE_CLASSES;
    fief_runtime *rt = fief_open(&(fief_config){.on_misuse = remember, .user = &seen});
    int here = 0;
    fief_release(rt, &here);
    cr_expect_eq(seen, FIEF_MISUSE_FOREIGN_FREE);
    fief_free(rt, FIEF_KIND_STRING, fief_strdup(rt, FIEF_LITERAL, "x"), 2);
    cr_expect_eq(seen, FIEF_MISUSE_WRONG_ALLOCATOR);
    cr_expect_eq(fief_close(rt), 0);
}

Test(heap, a_double_free_is_noticed_while_every_block_is_seen)
{
    fief_misuse_class seen = FIEF_MISUSE_CLASSES;
    fief_runtime *rt = fief_open(&(fief_config){.on_misuse = remember, .user = &seen,
                                                .count_blocks = true});
    fief_heap *h = fief_runtime_heap(rt);
    void *large = fief_heap_alloc(h, 4000);
    fief_heap_free(h, large, 4000);
    cr_expect_eq(seen, FIEF_MISUSE_CLASSES);
    fief_heap_free(h, large, 4000);
    cr_expect_eq(seen, FIEF_MISUSE_DOUBLE_FREE);
    cr_expect_eq(fief_stats_strategy(rt, FIEF_HEAP).used_bytes, 0);
    cr_expect_eq(fief_close(rt), 0);
}
