#include "support.h"

#include <criterion/criterion.h>

enum { SLOTS = 4000 };
static void *slots[SLOTS];

static void count(void *slot, void *argument)
{
    cr_expect_eq(*(unsigned char *)slot, 0x22);
    (*(size_t *)argument)++;
}

Test(pool, walk_sees_live_slots_and_trim_gives_empty_spans_back)
{
    fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = small_reserve});
    fief_pool *p = fief_pool_open(rt, "closures", 48);
    for (size_t i = 0; i < SLOTS; i++) {
        cr_assert_not_null(slots[i] = fief_pool_take(p));
        memset(slots[i], 0x22, 48);
    }
    for (size_t i = 0; i < SLOTS; i += 2) {
        fief_pool_give(p, slots[i]);
    }
    size_t seen = 0;
    cr_expect_eq(fief_pool_walk(p, count, &seen), SLOTS / 2);
    cr_expect_eq(seen, SLOTS / 2);
    cr_expect_eq(fief_pool_live(p), SLOTS / 2);
    for (size_t i = 1; i < SLOTS; i += 2) {
        fief_pool_give(p, slots[i]);
    }
    (void)fief_pool_trim(p);
    cr_expect_eq(fief_pool_live(p), 0);
    cr_assert_not_null(slots[0] = fief_pool_take(p));
    fief_pool_give(p, slots[0]);
    cr_expect_eq(fief_close(rt), 0);
}

Test(pool, slot_sizes_are_checked)
{
    fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = small_reserve});
    cr_expect_null(fief_pool_open(rt, "none", 0));
    cr_expect_null(fief_pool_open(rt, "huge", 1 << 20));
    cr_expect_eq(fief_close(rt), 0);
}

/* ---- walks ---- */

typedef struct walker {
    fief_pool *pool;
    unsigned char *previous;
    size_t visited, given;
    bool in_order;
} walker;

static void give_every_third(void *slot, void *argument)
{
    walker *w = argument;
    w->in_order = w->in_order && (unsigned char *)slot > w->previous;
    w->previous = slot;
    cr_expect(holds(slot, 40, *(unsigned char *)slot));
    if (w->visited++ % 3 == 0) {
        fief_pool_give(w->pool, slot);
        w->given++;
    }
}

static size_t take_patterned(fief_pool *p, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        cr_assert_not_null(slots[i] = fief_pool_take(p));
        fill(slots[i], 40, (unsigned)i);
    }
    return count;
}

static walker walk(fief_pool *p)
{
    walker w = {.pool = p, .in_order = true};
    cr_expect_eq(fief_pool_walk(p, give_every_third, &w), w.visited);
    return w;
}

static void a_visitor_may_give_the_slot_it_is_handed(void)
{
    for (int counted = 0; counted < count_modes(); counted++) {
        fief_runtime *rt =
            fief_open(&(fief_config){.reserve_bytes = small_reserve, .count_blocks = counted != 0});
        fief_pool *p = fief_pool_open(rt, "closures", 40);
        size_t live = take_patterned(p, SLOTS);
        while (live > 0) {
            cr_expect_eq(fief_pool_live(p), live);
            walker w = walk(p);
            cr_expect_eq(w.visited, live);
            live -= w.given;
        }
        cr_expect_eq(fief_pool_walk(p, give_every_third, NULL), 0);
        cr_expect_eq(fief_close(rt), 0);
    }
}

static void a_walk_goes_in_address_order(void)
{
    fief_runtime *rt =
        fief_open(&(fief_config){.reserve_bytes = small_reserve, .quarantine_bytes = 1});
    fief_pool *p = fief_pool_open(rt, "closures", 40);
    (void)take_patterned(p, SLOTS);
    cr_expect(walk(p).in_order);
    fief_pool_close(p);
    (void)fief_close(rt);
}

Test(pool, walks_see_every_live_slot_in_order)
{
    a_visitor_may_give_the_slot_it_is_handed();
    a_walk_goes_in_address_order();
}

/* ---- trim and close ---- */

Test(pool, trim_gives_back_empty_spans_and_leaves_the_others)
{
    fief_runtime *rt =
        fief_open(&(fief_config){.reserve_bytes = small_reserve, .quarantine_bytes = 1});
    fief_pool *p = fief_pool_open(rt, "closures", 40);
    size_t before = fief_stats_held(rt);
    (void)take_patterned(p, SLOTS);
    size_t full = fief_stats_held(rt);
    for (size_t i = 0; i < SLOTS; i++) {
        if (i < 100 || i >= 200) {
            fief_pool_give(p, slots[i]);
        }
    }
    size_t bytes = fief_pool_trim(p);
    cr_expect_eq(fief_stats_held(rt), full - bytes);
    cr_expect(is_guarded() || fief_stats_held(rt) - before <= 1 << 16, "one span is in use");
    cr_expect_eq(fief_pool_live(p), 100);
    for (size_t i = 100; i < 200; i++) {
        cr_expect(holds(slots[i], 40, (unsigned)i));
        slots[i - 100] = slots[i];
    }
    for (size_t i = 100; i < SLOTS; i++) {
        cr_assert_not_null(slots[i] = fief_pool_take(p));
        fill(slots[i], 40, (unsigned)i);
    }
    for (size_t i = 100; i < SLOTS; i++) {
        cr_assert(holds(slots[i], 40, (unsigned)i), "a slot was handed out twice");
    }
    cr_expect_eq(fief_pool_live(p), SLOTS);
    fief_pool_close(p);
    fief_pool_close(NULL);
    cr_expect_eq(fief_stats_held(rt), before);
    cr_expect_eq(fief_stats_strategy(rt, FIEF_POOL).used_bytes, 0);
    cr_expect_eq(fief_close(rt), 0);
}

/* In a guarded build its dead slots are still in quarantine. */
static void a_pool_is_closed_with_dead_slots(void)
{
    fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = small_reserve});
    fief_pool *p = fief_pool_open(rt, "closures", 40);
    for (size_t i = 0; i < 100; i++) {
        cr_assert_not_null(slots[i] = fief_pool_take(p));
    }
    for (size_t i = 0; i < 100; i++) {
        fief_pool_give(p, slots[i]);
    }
    fief_pool_close(p);
    (void)fief_check(rt);
    void *block = fief_heap_alloc(fief_runtime_heap(rt), 100000);
    fief_heap_free(fief_runtime_heap(rt), block, 100000);
    cr_expect_eq(fief_close(rt), 0);
}

static void closing_a_pool_settles_its_counts(void)
{
    fief_runtime *rt =
        fief_open(&(fief_config){.reserve_bytes = small_reserve, .count_blocks = true});
    fief_pool *p = fief_pool_open(rt, "closures", 40), *q = fief_pool_open(rt, "pairs", 32);
    (void)take_patterned(p, 1000);
    void *kept = fief_pool_take(q);
    cr_expect_eq(fief_stats_strategy(rt, FIEF_POOL).blocks, 1001);
    fief_pool_close(p);
    fief_count count = fief_stats_strategy(rt, FIEF_POOL);
    cr_expect(count.blocks == 1 && count.asked_bytes == 32);
    cr_expect_eq(count.total_bytes, 1000 * 40 + 32);
    fief_pool_give(q, kept);
    cr_expect_eq(fief_stats_strategy(rt, FIEF_POOL).blocks, 0);
    cr_expect_eq(fief_close(rt), 0);
}

Test(pool, pools_are_closed_with_live_and_dead_slots)
{
    a_pool_is_closed_with_dead_slots();
    closing_a_pool_settles_its_counts();
}

/* ---- slots ---- */

Test(pool, slots_of_every_size_are_aligned_and_apart)
{
    static const size_t sizes[] = {1, 7, 8, 15, 16, 17, 24, 48, 511, 512, 4096, 32767, 32768};
    fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = small_reserve});
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        size_t size = sizes[s], align = size % 16 == 0 ? 16 : 8;
        fief_pool *p = fief_pool_open(rt, NULL, size);
        cr_assert_not_null(p);
        for (size_t i = 0; i < 50; i++) {
            cr_assert_not_null(slots[i] = fief_pool_take(p));
            cr_expect(is_multiple(slots[i], align));
            fill(slots[i], size, (unsigned)i);
        }
        for (size_t i = 0; i < 50; i++) {
            cr_expect(holds(slots[i], size, (unsigned)i));
            cr_expect_eq(fief_owner(rt, slots[i]), FIEF_POOL);
            fief_pool_give(p, slots[i]);
        }
        cr_expect_eq(fief_pool_live(p), 0);
    }
    cr_expect_null(fief_pool_open(rt, NULL, 32769));
    cr_expect_null(fief_pool_open(rt, NULL, SIZE_MAX));
    cr_expect_eq(fief_close(rt), 0);
}

static void what_is_no_slot_is_refused_while_every_block_is_seen(void)
{
    witness seen = {0};
    fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = small_reserve,
                                                .count_blocks = true,
                                                .on_misuse = witness_misuse,
                                                .user = &seen});
    fief_pool *p = fief_pool_open(rt, "closures", 48), *q = fief_pool_open(rt, "pairs", 48);
    char *slot = fief_pool_take(p), *other = fief_pool_take(q);
    static char here[64];
    fief_pool_give(p, NULL);
    fief_pool_give(p, here);
    cr_expect(witness_saw(&seen, FIEF_MISUSE_FOREIGN_FREE));
    fief_pool_give(p, slot + 8);
    cr_expect(witness_saw(&seen, FIEF_MISUSE_INTERIOR_FREE));
    fief_pool_give(p, other);
    cr_expect(witness_saw(&seen, FIEF_MISUSE_WRONG_ALLOCATOR));
    char *block = fief_heap_alloc(fief_runtime_heap(rt), 48);
    fief_pool_give(p, block);
    cr_expect(witness_saw(&seen, FIEF_MISUSE_WRONG_ALLOCATOR));
    fief_heap_free(fief_runtime_heap(rt), slot, 48);
    cr_expect(witness_saw(&seen, FIEF_MISUSE_WRONG_ALLOCATOR));
    fief_heap_free(fief_runtime_heap(rt), block, 48);
    cr_expect(fief_pool_live(p) == 1 && fief_pool_live(q) == 1);
    fief_pool_give(p, slot);
    fief_pool_give(q, other);
    cr_expect_eq(seen.count, 0);
    cr_expect_eq(fief_close(rt), 0);
}

/* Places in a pool's page that no slot was carved from yet, and its end. */
static void a_place_that_was_never_carved_is_no_slot(void)
{
    witness seen = {0};
    fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = small_reserve,
                                                .count_blocks = true,
                                                .on_misuse = witness_misuse,
                                                .user = &seen});
    fief_pool *p = fief_pool_open(rt, "closures", 48);
    char *first = fief_pool_take(p), *second = fief_pool_take(p);
    size_t step = (size_t)(second - first);
    fief_pool_give(p, second + 3 * step);
    cr_assert_eq(seen.count, 1, "given: a place that was never a slot");
    fief_pool_give(p, first + 65536 / step * step);
    cr_assert_eq(seen.count, 2, "given: the rest of the page");
    fief_pool_give(p, first - 16);
    cr_assert_eq(seen.count, 3, "given: a place before the first slot");
    fief_pool_give(p, first);
    fief_pool_give(p, second);
    cr_expect_eq(fief_pool_live(p), 0);
    cr_expect_eq(fief_close(rt), 0);
}

Test(pool, what_is_no_slot_is_refused)
{
    what_is_no_slot_is_refused_while_every_block_is_seen();
    a_place_that_was_never_carved_is_no_slot();
}

static void look_away(void *slot, void *argument)
{
    (void)slot;
    (void)argument;
}

/* Half of each span lives: what a walk counted must not count for the trim. */
Test(pool, a_trim_after_a_walk_leaves_living_slots_alone)
{
    enum { MANY = 4096, SLOT = 64 };
    static void *taken[MANY];
    fief_runtime *own = fief_open(&(fief_config){.reserve_bytes = small_reserve});
    fief_pool *p = fief_pool_open(own, "half", SLOT);
    for (size_t i = 0; i < MANY; i++) {
        cr_assert_not_null(taken[i] = fief_pool_take(p));
    }
    for (size_t i = 0; i < MANY; i += 2) {
        fief_pool_give(p, taken[i]);
    }
    cr_expect_eq(fief_pool_walk(p, look_away, NULL), MANY / 2);
    (void)fief_pool_trim(p);
    for (size_t i = 1; i < MANY; i += 2) {
        cr_assert_eq(fief_owner(own, taken[i]), FIEF_POOL);
        fief_pool_give(p, taken[i]);
    }
    fief_pool_close(p);
    cr_expect_eq(fief_close(own), 0);
}

/* Only a guarded build keeps what has died apart. */
Test(pool, what_died_with_its_unit_is_no_slot)
{
    witness saw = {0};
    fief_runtime *rt = fief_open(
        &(fief_config){.reserve_bytes = small_reserve, .on_misuse = witness_misuse, .user = &saw});
    fief_pool *p = fief_pool_open(rt, "slots", 48);
    fief_unit unit = fief_unit_begin(rt);
    void *dead = fief_temp(rt, char, 48);
    fief_unit_end(rt, unit);
    if (is_guarded()) {
        fief_pool_give(p, dead);
        cr_expect(witness_saw(&saw, FIEF_MISUSE_WRONG_ALLOCATOR));
        cr_expect_not_null(strstr(saw.text, "a span that died"), "%s", saw.text);
    }
    cr_expect_eq(fief_close(rt), 0);
    cr_expect_eq(saw.count, 0);
}
