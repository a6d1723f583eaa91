/* Address space that is scarce, over an OS that refuses when a test wants it to. */
#include "support.h"

#include "os/fake.h"

#include <criterion/criterion.h>

enum { RESERVE = 16 << 20, MOST = RESERVE / 4 * 3, THE_RESERVE = 2 /* call of fief_open */ };

static fief_runtime *open_recycled(size_t reserve)
{
    fief_runtime *rt =
        fief_open(&(fief_config){.reserve_bytes = reserve, .recycle_range = true});
    cr_assert_not_null(rt);
    return rt;
}

static void close_some(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fief_drop(open_recycled(RESERVE + ((i + 1) << 20))); /* none fits where another was */
    }
}

Test(reserves, closed_runtimes_make_room_before_a_new_reserve_is_halved)
{
    fake_fail_at(0);
    fief_runtime *rt = open_recycled(RESERVE);
    size_t of_one = fake_reserves();
    close_some(5);
    cr_expect_geq(fake_reserves(), 6 * of_one);
    fake_fail_at(THE_RESERVE);
    fief_runtime *fresh = open_recycled(RESERVE);
    cr_expect_eq(fake_reserves(), 2 * of_one, "the closed ones are still there");
    cr_expect_not_null(fief_malloc(fresh, MOST), "the reserve was halved");
    fief_drop(fresh);
    fief_drop(rt);
}

Test(reserves, a_kept_range_takes_their_room_too)
{
    fake_fail_at(0);
    close_some(5);
    fake_fail_at(THE_RESERVE);
    fief_range *range = fief_range_open(RESERVE);
    cr_assert_not_null(range);
    cr_expect_eq(fake_reserves(), 2, "a range is a head and a reserve");
    cr_expect(fief_range_close(range));
    cr_expect_eq(fake_reserves(), 0);
}

Test(reserves, with_nothing_to_give_away_it_is_halved)
{
    fake_fail_at(THE_RESERVE);
    fief_runtime *rt = open_recycled(RESERVE);
    cr_expect_null(fief_malloc(rt, MOST));
    cr_expect_not_null(fief_malloc(rt, MOST / 2));
    fief_drop(rt);
}
