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

/* ---- what a call works in ---- */

enum { NODE, KINDS };
static const size_t node_pointers[] = {0};
static const fief_kind node_kinds[KINDS] = {[NODE] = {.name = "node", .size = 16,
    .any = FIEF_COMPILER_ARENA, .pointers = node_pointers, .pointer_count = 1}};
static const fief_arena_config recorded = {.recorded = true};

/* A runtime sends a list of so many nodes, and ends: returns the failable calls of the send. */
static size_t send_list(size_t nodes, bool recycles)
{
    fief_config config = {.kinds = node_kinds, .kind_count = KINDS, .reserve_bytes = RESERVE,
                          .compiler_arena = &recorded, .recycle_range = recycles};
    fief_runtime *rt = fief_open(&config);
    cr_assert_not_null(rt);
    fief_unit unit = fief_unit_begin(rt);
    void **last = NULL;
    for (size_t i = 0; i < nodes; i++) {
        void **node = fief_new(rt, NODE, FIEF_TEMPORARY, 16);
        *node = last;
        last = node;
    }
    fake_fail_at(0);
    fief_parcel *parcel = fief_unit_send(rt, unit, last, NULL);
    size_t calls = fake_calls();
    cr_assert_not_null(parcel);
    cr_expect_eq(fief_parcel_blocks(parcel), nodes);
    fief_parcel_drop(&parcel);
    fief_unit_end(rt, unit);
    cr_expect_eq(fief_close(rt), 0);
    return calls;
}

Test(reserves, a_recycled_range_keeps_what_a_send_works_in)
{
    size_t of_parcel = is_guarded() ? 2 : 1; /* calls; guarded nothing is recycled */
    cr_expect_eq(send_list(100, true), 2, "the workspace and the parcel");
    cr_expect_eq(send_list(100, true), of_parcel);
    cr_expect_eq(send_list(50, true), of_parcel, "there is more room than it needs");
    cr_expect_eq(send_list(20000, true), 2, "too small");
    cr_expect_eq(send_list(20000, true), of_parcel, "the larger one stays");
    cr_expect_eq(send_list(100, false), 2, "another range");
    (void)fief_trim_idle();
    cr_expect(is_guarded() || fake_reserves() == 0, "guarded, the dead stay for a while");
}

Test(reserves, a_trim_gives_the_workspace_away)
{
    if (is_guarded()) {
        return; /* none is kept */
    }
    (void)send_list(100, true);
    fief_runtime *rt = open_recycled(RESERVE);
    size_t before = fake_reserves();
    (void)fief_trim(rt);
    cr_expect_eq(fake_reserves(), before - 1);
    fief_drop(rt);
}
