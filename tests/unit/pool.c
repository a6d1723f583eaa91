#include <fief/fief.h>

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
    fief_runtime *rt = fief_open(NULL);
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
    fief_runtime *rt = fief_open(NULL);
    cr_expect_null(fief_pool_open(rt, "none", 0));
    cr_expect_null(fief_pool_open(rt, "huge", 1 << 20));
    cr_expect_eq(fief_close(rt), 0);
}
