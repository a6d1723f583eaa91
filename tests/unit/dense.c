/* Blocks that left the quarantine are handed out where many of them lie in one page; guarded builds
 * alone have a quarantine. Each test is about the heap's small blocks and about a pool's. */
#include "support.h"

#include <criterion/criterion.h>

enum { PAGE = 1 << 16, SIZE = 96, MANY = 20000, QUARANTINE = 1 << 16,
       FLUSH = 2 * QUARANTINE / SIZE /* as many deaths and nobody else waits */ };

static fief_runtime *rt;
static fief_pool *pool; /* NULL: the heap's blocks are meant */
static char *blocks[MANY];

static char *take(void)
{
    return pool != NULL ? fief_pool_take(pool) : fief_heap_alloc(fief_runtime_heap(rt), SIZE);
}

static void give(char *block)
{
    if (pool != NULL) {
        fief_pool_give(pool, block);
    } else {
        fief_heap_free(fief_runtime_heap(rt), block, SIZE);
    }
}

/* The quarantine is full of what is not looked at. */
static void flush(void)
{
    fief_heap *h = fief_runtime_heap(rt);
    static char *others[FLUSH];
    for (size_t i = 0; i < FLUSH; i++) {
        others[i] = fief_heap_alloc(h, 2 * SIZE);
        cr_assert_not_null(others[i]);
    }
    for (size_t i = 0; i < FLUSH; i++) {
        fief_heap_free(h, others[i], 2 * SIZE);
    }
}

static void open_with(bool in_pool)
{
    fief_config config = {.reserve_bytes = small_reserve, .quarantine_bytes = QUARANTINE};
    rt = fief_open(&config);
    cr_assert_not_null(rt);
    pool = in_pool ? fief_pool_open(rt, "objects", SIZE) : NULL;
}

static void take_all(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        cr_assert_not_null(blocks[i] = take());
    }
}

static uintptr_t page_of(const void *p)
{
    return (uintptr_t)p / PAGE;
}

/* Every nth of those that are left dies. */
static void thin_out(size_t count, size_t step)
{
    for (size_t i = 0; i < count; i += step) {
        if (blocks[i] != NULL) {
            give(blocks[i]);
            blocks[i] = NULL;
        }
    }
}

static bool is_among(uintptr_t page, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (blocks[i] != NULL && page_of(blocks[i]) == page) {
            return true;
        }
    }
    return false;
}

/* Of the next `count` allocations, how many lie in a page that is known. */
static size_t taken_in_old_pages(size_t count, size_t known)
{
    size_t old = 0;
    for (size_t i = 0; i < count; i++) {
        char *block = take();
        cr_assert_not_null(block);
        old += is_among(page_of(block), known);
    }
    return old;
}

/* A tenth of every page is vacant: there is no reason to scatter what comes next. */
static void sparse_pages_wait(void)
{
    enum { FEW = 4000 };
    take_all(FEW);
    thin_out(FEW, 10);
    flush();
    cr_expect_leq(taken_in_old_pages(300, FEW), 100); /* what is left of the newest page */
}

static void a_dense_page_is_handed_out(void)
{
    enum { FEW = 4000 };
    take_all(FEW);
    uintptr_t dense = page_of(blocks[FEW / 2]);
    thin_out(FEW, 10);
    size_t dead = 0;
    for (size_t i = 0; i < FEW; i++) {
        if (blocks[i] != NULL && page_of(blocks[i]) == dense && i % 2 == 0) {
            give(blocks[i]);
            blocks[i] = NULL;
            dead++;
        }
    }
    flush();
    size_t back = 0, in_order = 0;
    char *before = NULL;
    for (size_t i = 0; i < 2 * dead; i++) {
        char *block = take();
        cr_assert_not_null(block);
        in_order += page_of(block) == dense && (before == NULL || block > before);
        back += page_of(block) == dense;
        before = page_of(block) == dense ? block : before;
    }
    cr_expect_geq(back, dead);
    cr_expect_eq(in_order, back, "%zu of %zu by ascending addresses", in_order, back);
}

/* A tenth of the blocks, anywhere, dies and is made anew, again and again: no page is dense. */
static void what_waits_is_bounded(void)
{
    enum { ROUNDS = 40 };
    uint64_t seed = 3;
    take_all(MANY);
    size_t held = fief_stats_held(rt);
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < MANY / 10; i++) {
            size_t at = draw(&seed, MANY);
            give(blocks[at]);
            cr_assert_not_null(blocks[at] = take());
        }
    }
    cr_expect_leq(fief_stats_held(rt), held + 2 * QUARANTINE + PAGE, "%zu, at first %zu",
                  fief_stats_held(rt), held);
}

/* All that is dead is in use again before memory is short. */
static void all_of_it_serves_where_memory_is_short(bool in_pool)
{
    static _Alignas(PAGE) char buffer[32 * PAGE];
    rt = fief_open(&(fief_config){.buffer = buffer, .buffer_size = sizeof buffer,
                                  .quarantine_bytes = QUARANTINE});
    cr_assert_not_null(rt);
    pool = in_pool ? fief_pool_open(rt, "objects", SIZE) : NULL;
    size_t count = 0;
    while (count < MANY && (blocks[count] = take()) != NULL) {
        count++;
    }
    cr_assert_lt(count, MANY);
    thin_out(count, 7);
    size_t dead = (count + 6) / 7, again = 0;
    while (take() != NULL) {
        again++;
    }
    size_t waiting = QUARANTINE / SIZE;
    cr_expect_geq(again + waiting, dead, "%zu of %zu", again, dead);
    fief_drop(rt);
}

static void in_both(void (*body)(void))
{
    for (int in_pool = 0; is_guarded() && in_pool < 2; in_pool++) {
        open_with(in_pool != 0);
        body();
        fief_drop(rt);
    }
}

Test(dense, pages_with_few_vacant_blocks_wait)
{
    in_both(sparse_pages_wait);
}

Test(dense, a_page_with_many_is_handed_out_from_its_start)
{
    in_both(a_dense_page_is_handed_out);
}

Test(dense, no_more_than_the_quarantine_has_waits_for_company)
{
    in_both(what_waits_is_bounded);
}

Test(dense, no_block_waits_where_memory_is_short)
{
    for (int in_pool = 0; is_guarded() && in_pool < 2; in_pool++) {
        all_of_it_serves_where_memory_is_short(in_pool != 0);
    }
}

/* Who looks for a block where there is none leaves the dense pages to their owners. */
Test(dense, a_pool_without_vacant_slots_takes_nothing_from_the_heap)
{
    enum { FEW = 4000 };
    open_with(false);
    take_all(FEW);
    for (size_t i = 0; i < FEW; i++) {
        give(blocks[i]);
    }
    flush();
    fief_pool *other = fief_pool_open(rt, "others", SIZE);
    cr_assert_not_null(fief_pool_take(other));
    size_t held = fief_stats_held(rt);
    for (size_t i = 0; i < FEW - FLUSH; i++) {
        cr_assert_not_null(take());
    }
    cr_expect_leq(fief_stats_held(rt), held + 2 * PAGE, "%zu, %zu", fief_stats_held(rt), held);
    fief_drop(rt);
}

/* What waited in it is gone with its pages, and counts no more. */
Test(dense, a_pool_that_closes_takes_along_what_waited)
{
    enum { FEW = 2000, POOLS = 40 };
    open_with(false);
    for (size_t i = 0; is_guarded() && i < POOLS; i++) {
        pool = fief_pool_open(rt, "objects", SIZE);
        take_all(FEW);
        thin_out(FEW, 4);
        fief_pool_close(pool);
    }
    pool = NULL;
    if (is_guarded()) {
        what_waits_is_bounded();
    }
    fief_drop(rt);
}

/* A block that waits for company is dead: reports say so. */
Test(dense, a_second_free_of_a_block_that_waits_is_told)
{
    for (int in_pool = 0; is_guarded() && in_pool < 2; in_pool++) {
        witness seen = {0};
        rt = fief_open(&(fief_config){.reserve_bytes = small_reserve,
                                      .quarantine_bytes = QUARANTINE,
                                      .on_misuse = witness_misuse, .user = &seen});
        cr_assert_not_null(rt);
        pool = in_pool != 0 ? fief_pool_open(rt, "objects", SIZE) : NULL;
        take_all(100);
        give(blocks[50]);
        flush();
        give(blocks[50]);
        cr_expect(seen.count == 1 && seen.last == FIEF_MISUSE_DOUBLE_FREE);
        bool is_told_at_once = RUNNING_ON_VALGRIND || strcmp(fief_mode(), "ASan-annotated") == 0;
        if (!is_told_at_once) {
            blocks[50][3] = 'x';
            (void)fief_check(rt);
            cr_expect(seen.count == 2 && seen.last == FIEF_MISUSE_WRITE_AFTER_FREE);
            blocks[50][3] = (char)0xDD;
        }
        fief_drop(rt);
    }
}
