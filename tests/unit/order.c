/* The order in which the heap hands its small blocks out: dense while it is small, by creation
 * where it is large, the newest vacant one first, and by address after a sweep. A guarded build's
 * blocks rest before they are used again: there the same programs look at the bytes alone. */
#include "support.h"

#include <criterion/criterion.h>

enum { BLOCKS = 6000, SIZE = 48, LOOKED = 16384 / SIZE + 1 /* by then the heap has looked */ };

typedef struct verbs {
    void *(*alloc)(fief_heap *h, size_t size);
    void (*give)(fief_heap *h, void *block, size_t size);
} verbs;

static void *alloc_sized(fief_heap *h, size_t size)
{
    return fief_heap_alloc(h, size);
}

static void give_sized(fief_heap *h, void *block, size_t size)
{
    fief_heap_free(h, block, size);
}

static void *alloc_unsized(fief_heap *h, size_t size)
{
    return fief_heap_alloc_unsized(h, size);
}

static void give_unsized(fief_heap *h, void *block, size_t size)
{
    (void)size;
    fief_heap_free_unsized(h, block);
}

static const verbs both[] = {{alloc_sized, give_sized}, {alloc_unsized, give_unsized}};

static void shuffle(char **blocks, size_t count)
{
    uint64_t seed = 7;
    for (size_t i = count; i > 1; i--) {
        size_t other = draw(&seed, i);
        char *block = blocks[i - 1];
        blocks[i - 1] = blocks[other];
        blocks[other] = block;
    }
}

static int by_address(const void *a, const void *b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    return (x > y) - (x < y);
}

static void take_all(fief_heap *h, const verbs *v, char **blocks, size_t size)
{
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = v->alloc(h, size);
        cr_assert_not_null(blocks[i]);
        memset(blocks[i], 'x', size);
    }
}

static void give_all(fief_heap *h, const verbs *v, char **blocks, size_t size)
{
    for (size_t i = 0; i < BLOCKS; i++) {
        v->give(h, blocks[i], size);
    }
}

Test(order, what_a_sweep_freed_comes_back_by_address)
{
    static char *before[BLOCKS], *after[BLOCKS], *kept[BLOCKS];
    for (size_t way = 0; way < 2; way++) {
        const verbs *v = &both[way];
        fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = small_reserve});
        fief_heap *h = fief_runtime_heap(rt);
        take_all(h, v, before, SIZE);
        take_all(h, v, kept, SIZE * 2);
        shuffle(before, BLOCKS);
        give_all(h, v, before, SIZE);
        take_all(h, v, after, SIZE);
        size_t falls = 0;
        for (size_t i = LOOKED; i + 1 < BLOCKS; i++) {
            falls += after[i] > after[i + 1];
        }
        qsort(before, BLOCKS, sizeof *before, by_address);
        qsort(after, BLOCKS, sizeof *after, by_address);
        if (!is_guarded()) {
            cr_expect_eq(falls, 0, "%zu of %d", falls, BLOCKS);
            cr_expect_arr_eq(before, after, sizeof before, "the same blocks, each once");
        }
        for (size_t i = 1; i < BLOCKS; i++) {
            cr_assert_geq(after[i], after[i - 1] + SIZE);
        }
        give_all(h, v, after, SIZE);
        give_all(h, v, kept, SIZE * 2);
        cr_expect_eq(fief_stats_strategy(rt, FIEF_HEAP).used_bytes, 0);
        cr_expect_eq(fief_close(rt), 0);
    }
}

/* What release can't tell does not hang it. */
Test(order, a_block_that_was_freed_twice_is_sorted_once, .timeout = 20)
{
    static char *blocks[BLOCKS], *kept[BLOCKS];
    if (is_guarded()) {
        return;
    }
    fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = small_reserve});
    fief_heap *h = fief_runtime_heap(rt);
    take_all(h, &both[0], blocks, SIZE);
    take_all(h, &both[0], kept, SIZE * 2);
    shuffle(blocks, BLOCKS);
    give_all(h, &both[0], blocks, SIZE);
    fief_heap_free(h, blocks[BLOCKS / 2], SIZE);
    for (size_t i = 0; i < 400; i++) {
        blocks[i] = fief_heap_alloc(h, SIZE);
    }
    for (size_t i = LOOKED; i < 400; i++) {
        cr_expect_gt(blocks[i], blocks[i - 1]);
    }
    fief_drop(rt);
}

/* No allocation of a large heap waits until all that is vacant is sorted. */
Test(order, beyond_16_mib_nothing_is_sorted)
{
    enum { MANY = 40000 };
    static char *blocks[MANY];
    fief_runtime *rt = fief_open(NULL);
    fief_heap *h = fief_runtime_heap(rt);
    for (size_t i = 0; i < MANY; i++) {
        blocks[i] = fief_heap_alloc(h, 512);
    }
    shuffle(blocks, MANY);
    for (size_t i = 0; i < MANY; i++) {
        fief_heap_free(h, blocks[i], 512);
    }
    for (size_t i = MANY; i-- > 0;) {
        char *again = fief_heap_alloc(h, 512);
        cr_assert(is_guarded() || again == blocks[i], "%zu", i);
        blocks[i] = again;
    }
    for (size_t i = 0; i < MANY; i++) {
        fief_heap_free(h, blocks[i], 512);
    }
    cr_expect_eq(fief_close(rt), 0);
}

/* Pages of a pool, of a large block and of nobody lie between those of the list. */
Test(order, pages_of_others_are_left_alone)
{
    enum { TURNS = 40, EACH = BLOCKS / TURNS };
    static char *blocks[BLOCKS], *again[BLOCKS];
    static void *slots[BLOCKS];
    void *large[TURNS];
    fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = small_reserve});
    fief_heap *h = fief_runtime_heap(rt);
    fief_pool *pool = fief_pool_open(rt, "others", 256);
    for (size_t turn = 0; turn < TURNS; turn++) {
        for (size_t i = turn * EACH; i < (turn + 1) * EACH; i++) {
            blocks[i] = fief_heap_alloc(h, 512);
            slots[i] = fief_pool_take(pool);
            memset(slots[i], 's', 256);
        }
        large[turn] = fief_heap_alloc(h, 300000);
    }
    for (size_t turn = 0; turn < TURNS; turn += 2) {
        fief_heap_free(h, large[turn], 300000);
    }
    shuffle(blocks, BLOCKS);
    give_all(h, &both[0], blocks, 512);
    take_all(h, &both[0], again, 512);
    for (size_t i = 0; i < BLOCKS; i++) {
        cr_assert(((char *)slots[i])[0] == 's' && ((char *)slots[i])[255] == 's');
        cr_assert(again[i][0] == 'x' && again[i][511] == 'x');
        fief_pool_give(pool, slots[i]);
    }
    give_all(h, &both[0], again, 512);
    for (size_t turn = 1; turn < TURNS; turn += 2) {
        fief_heap_free(h, large[turn], 300000);
    }
    cr_expect_eq(fief_close(rt), 0);
}

/* All of a page is in order, from its first grain to its last, of each class. */
Test(order, several_classes_are_in_order_and_share_nothing)
{
    enum { CLASSES = 4 };
    static const size_t sizes[CLASSES] = {8, 24, 104, 512};
    static char *blocks[CLASSES][BLOCKS], *again[CLASSES][BLOCKS];
    fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = small_reserve, .align = 8});
    fief_heap *h = fief_runtime_heap(rt);
    for (size_t c = 0; c < CLASSES; c++) {
        take_all(h, &both[0], blocks[c], sizes[c]);
        shuffle(blocks[c], BLOCKS);
    }
    for (size_t c = 0; c < CLASSES; c++) {
        give_all(h, &both[0], blocks[c], sizes[c]);
    }
    for (size_t c = CLASSES; c-- > 0;) {
        take_all(h, &both[0], again[c], sizes[c]);
        for (size_t i = 0; i < BLOCKS; i++) {
            memset(again[c][i], (int)('a' + c), sizes[c]);
        }
    }
    for (size_t c = 0; c < CLASSES; c++) {
        for (size_t i = 0; i < BLOCKS; i++) {
            cr_assert_eq(again[c][i][0], (char)('a' + c));
            cr_assert_eq(again[c][i][sizes[c] - 1], (char)('a' + c));
        }
        give_all(h, &both[0], again[c], sizes[c]);
    }
    (void)fief_trim(rt);
    cr_expect_eq(fief_close(rt), 0);
}

/* No sweep, and nothing is put in order: what is in the cache comes back. */
Test(order, by_turns_the_newest_vacant_block_is_the_next)
{
    enum { TURN = 50 };
    static char *blocks[BLOCKS];
    char *given[TURN];
    fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = small_reserve});
    fief_heap *h = fief_runtime_heap(rt);
    take_all(h, &both[0], blocks, SIZE);
    for (size_t turn = 0; turn < 2000; turn++) {
        shuffle(blocks, BLOCKS);
        for (size_t i = 0; i < TURN; i++) {
            given[i] = blocks[i];
            fief_heap_free(h, blocks[i], SIZE);
        }
        for (size_t i = 0; i < TURN; i++) {
            blocks[i] = fief_heap_alloc(h, SIZE);
            cr_assert(is_guarded() || blocks[i] == given[TURN - 1 - i], "turn %zu", turn);
        }
    }
    give_all(h, &both[0], blocks, SIZE);
    cr_expect_eq(fief_close(rt), 0);
}

/* Of blocks of two sizes that are made by turns: how often does the next of a size lie behind the
 * one before? */
static size_t neighbours(fief_heap *h, char **blocks, size_t first, size_t count)
{
    size_t near = 0;
    for (size_t i = first; i < first + count; i++) {
        size_t size = i % 2 != 0 ? 40 : 24;
        blocks[i] = fief_heap_alloc(h, size);
        near += i >= first + 2 && blocks[i] == blocks[i - 2] + size;
    }
    return near;
}

Test(order, a_small_heap_is_dense_and_a_large_one_in_the_order_of_creation)
{
    enum { ALL = 110000, SOME = 2000, LATE = ALL - SOME };
    static char *blocks[ALL];
    fief_range *range = fief_range_open(0);
    fief_config config = {.align = 8, .range = range, .retain_bytes = 1 << 20};
    fief_runtime *rt = fief_open(&config);
    fief_heap *h = fief_runtime_heap(rt);
    take_all(h, &both[0], blocks, 500); /* what the next one finds there */
    give_all(h, &both[0], blocks, 500);
    cr_expect_eq(fief_close(rt), 0);
    rt = fief_open(&config);
    h = fief_runtime_heap(rt);
    size_t early = neighbours(h, blocks, 0, SOME);
    (void)neighbours(h, blocks, SOME, LATE - SOME);
    size_t late = neighbours(h, blocks, LATE, SOME);
    if (!is_guarded()) {
        cr_expect_gt(early, SOME * 9 / 10, "%zu of %d", early, SOME);
        cr_expect_lt(late, SOME / 10, "%zu of %d", late, SOME);
    }
    for (size_t i = 0; i < ALL; i++) {
        fief_heap_free(h, blocks[i], i % 2 != 0 ? 40 : 24);
    }
    cr_expect_eq(fief_close(rt), 0);
    cr_expect(fief_range_close(range));
}
