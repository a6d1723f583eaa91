/* Nodes of memory, over an OS that has as many as a test wants and remembers what it was told. */
#include "support.h"

#include "os/fake.h"

#include <fief/image.h>

#include <criterion/criterion.h>

enum { RESERVE = 10 << 20, BLOCK = 100, LARGE = 300 << 10, PAGE = 65536 };

static fief_runtime *open_placed(fief_config config)
{
    config.reserve_bytes = RESERVE;
    fief_runtime *rt = fief_open(&config);
    cr_assert_not_null(rt);
    return rt;
}

static bool lies(const void *p, os_policy policy, unsigned node)
{
    os_placement place = fake_placement(p);
    return place.policy == policy && place.node == node;
}

static void must_refuse(fief_config config, fief_status status, const char *sentence)
{
    fief_error error = {0};
    config.error = &error;
    cr_expect_null(fief_open(&config));
    cr_expect_eq(error.status, status);
    cr_expect_str_eq(error.text, sentence);
}

Test(nodes, with_one_node_everything_lies_on_it_and_nothing_is_asked)
{
    static const fief_config asking[] = {
        {.placement = {FIEF_NODE_ON, 0}},
        {.placement = {FIEF_NODE_INTERLEAVE, 0}, .recycle_range = true},
        {.placements = {[FIEF_POOL] = {FIEF_NODE_LOCAL, 0}, [FIEF_HEAP] = {FIEF_NODE_ON, 0}}},
    };
    fake_fail_at(0);
    cr_expect_eq(fief_nodes(), 1);
    cr_expect_eq(fief_node(), 0);
    for (size_t i = 0; i < sizeof asking / sizeof asking[0]; i++) {
        fief_runtime *rt = open_placed(asking[i]);
        cr_expect_not_null(fief_strdup(rt, FIEF_DYNAMIC, "a string"));
        cr_expect_eq(fief_stats_placement(rt, FIEF_NO_STRATEGY).policy, FIEF_NODE_DEFAULT);
        cr_expect_eq(fief_stats_placement(rt, FIEF_HEAP).policy, FIEF_NODE_DEFAULT);
        cr_expect(fief_follow(rt));
        fief_drop(rt);
    }
    (void)fief_trim_idle();
    cr_expect_eq(fake_places(), 0);
    cr_expect(is_guarded() || fake_reserves() == 0, "guarded, the dead stay for a while");
}

Test(nodes, what_nobody_asks_for_costs_no_call)
{
    fake_nodes(2, 0, 1);
    fake_fail_at(0);
    fief_runtime *rt = open_placed((fief_config){0});
    for (int i = 0; i < 100; i++) {
        cr_assert_not_null(fief_new(rt, FIEF_KIND_STRING, FIEF_DYNAMIC, LARGE / 10));
    }
    fief_drop(rt);
    cr_expect_eq(fake_places(), 0);
    cr_expect_eq(fief_nodes(), 2);
}

Test(nodes, a_runtime_lies_on_its_node)
{
    fake_nodes(4, 0, 1);
    fake_fail_at(0);
    fief_runtime *rt = open_placed((fief_config){.placement = {FIEF_NODE_ON, 3}});
    size_t calls = fake_places();
    cr_expect_leq(calls, 3, "its head, its reserve, and records while blocks are seen");
    const void *string = fief_strdup(rt, FIEF_NATIVE, "native");
    const void *block = fief_new(rt, FIEF_KIND_PAIR, FIEF_DYNAMIC, 48);
    const void *large = fief_new(rt, FIEF_KIND_VECTOR, FIEF_DYNAMIC, LARGE);
    cr_expect(lies(string, OS_ON, 3) && lies(block, OS_ON, 3) && lies(large, OS_ON, 3));
    cr_expect(lies(rt, OS_ON, 3), "its own descriptors, too");
    cr_expect_eq(fief_node_of(block), 3);
    cr_expect_eq(fake_places(), calls);
    cr_expect_eq(fief_stats_placement(rt, FIEF_NO_STRATEGY).node, 3);
    cr_expect_eq(fief_stats_placement(rt, FIEF_HEAP).policy, FIEF_NODE_ON);
    fief_drop(rt);
    cr_expect_eq(fake_places(), calls, "what goes to the system at once is not placed anew");
    cr_expect_eq(fief_node_of(&fake_places), -1);
}

Test(nodes, each_policy_reaches_the_system)
{
    static const struct {
        fief_node_policy asked;
        os_policy told;
    } rows[] = {{FIEF_NODE_DEFAULT, OS_AS_IT_COMES},
                {FIEF_NODE_LOCAL, OS_LOCAL},
                {FIEF_NODE_ON, OS_ON},
                {FIEF_NODE_INTERLEAVE, OS_INTERLEAVE}};
    fake_nodes(2, 0, 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        fief_runtime *rt = open_placed((fief_config){.placement = {rows[i].asked, 0}});
        const char *string = fief_strdup(rt, FIEF_NATIVE, "native");
        cr_expect(lies(string, rows[i].told, 0));
        cr_expect_leq(fief_node_of(string), 1);
        cr_expect_eq(fief_stats_placement(rt, FIEF_STACK).policy, rows[i].asked);
        fief_drop(rt);
    }
}

Test(nodes, a_strategy_may_lie_elsewhere)
{
    fake_nodes(4, 0, 1);
    fief_runtime *rt = open_placed((fief_config){
        .placement = {FIEF_NODE_ON, 1},
        .placements = {[FIEF_POOL] = {FIEF_NODE_INTERLEAVE, 0},
                       [FIEF_HEAP] = {FIEF_NODE_ON, 2},
                       [FIEF_COMPILER_ARENA] = {FIEF_NODE_LOCAL, 0},
                       [FIEF_STACK] = {FIEF_NODE_ON, 1}}});
    (void)fief_unit_begin(rt);
    cr_expect(lies(fief_strdup(rt, FIEF_NATIVE, "native"), OS_ON, 1));
    cr_expect(lies(fief_new(rt, FIEF_KIND_PAIR, FIEF_DYNAMIC, 32), OS_INTERLEAVE, 0));
    cr_expect(lies(fief_new(rt, FIEF_KIND_VECTOR, FIEF_DYNAMIC, BLOCK), OS_ON, 2));
    cr_expect(lies(fief_new(rt, FIEF_KIND_VECTOR, FIEF_DYNAMIC, LARGE / 10), OS_ON, 2));
    cr_expect(lies(fief_new(rt, FIEF_KIND_VECTOR, FIEF_DYNAMIC, LARGE), OS_ON, 2));
    cr_expect(lies(fief_temp(rt, char, BLOCK), OS_LOCAL, 0));
    cr_expect(lies(fief_temp(rt, char, LARGE), OS_LOCAL, 0));
    cr_expect(lies(fief_new(rt, FIEF_KIND_CALL_FRAME, FIEF_DYNAMIC, BLOCK), OS_ON, 1));
    cr_expect_eq(fief_stats_placement(rt, FIEF_HEAP).node, 2);
    cr_expect_eq(fief_stats_placement(rt, FIEF_NO_STRATEGY).node, 1);
    cr_expect_eq(fief_stats_unplaced(rt), 0);
    fief_drop(rt);
}

/* In a block that grows in place, the pages it gets lie with the others. */
/* A block beside a page fence has pages of its own; only the debug build has fences. Valgrind takes
 * the tests' OS, which writes to a fence that it opens, for the library. */
Test(nodes, a_fenced_block_lies_with_its_strategy)
{
    if (at_valgrinds_pace(0, 1) != 0) {
        return;
    }
    static const fief_kind fenced = {
        .name = "fenced", .any = FIEF_HEAP, .traits = FIEF_FENCE_BACK};
    fake_nodes(4, 0, 1);
    fief_runtime *rt = open_placed((fief_config){.kinds = &fenced,
                                                 .kind_count = 1,
                                                 .placement = {FIEF_NODE_ON, 1},
                                                 .placements = {[FIEF_HEAP] = {FIEF_NODE_ON, 2}}});
    cr_expect(lies(fief_new(rt, 0, FIEF_DYNAMIC, BLOCK), OS_ON, 2));
    fief_drop(rt);
}

/* Pages that the system leaves where they are: who takes them next has them placed anew. */
Test(nodes, a_span_that_the_system_leaves_where_it_is_is_placed_by_the_next)
{
    fake_nodes(4, 0, 1);
    fief_runtime *rt = open_placed((fief_config){.quarantine_bytes = 1,
                                                 .placement = {FIEF_NODE_ON, 1},
                                                 .placements = {[FIEF_HEAP] = {FIEF_NODE_ON, 2}}});
    void *block = fief_heap_alloc(fief_runtime_heap(rt), LARGE);
    cr_expect(lies(block, OS_ON, 2));
    fake_fail_at(1);
    fief_heap_free(fief_runtime_heap(rt), block, LARGE);
    fake_fail_at(0);
    cr_expect(lies(block, OS_ON, 2), "it was refused");
    (void)fief_arena_alloc(fief_vm_arena(rt), LARGE);
    cr_expect(lies(block, OS_ON, 1));
    fief_drop(rt);
}

Test(nodes, pages_that_join_a_span_lie_with_it)
{
    fake_nodes(2, 0, 1);
    fief_runtime *rt =
        open_placed((fief_config){.placements = {[FIEF_HEAP] = {FIEF_NODE_ON, 1}}});
    char *block = fief_new(rt, FIEF_KIND_VECTOR, FIEF_DYNAMIC, LARGE);
    block = fief_resize(rt, FIEF_KIND_VECTOR, block, LARGE, (size_t)4 * LARGE);
    cr_assert_not_null(block);
    cr_expect(lies(block + 4 * LARGE - 1, OS_ON, 1));
    fief_free(rt, FIEF_KIND_VECTOR, block, (size_t)4 * LARGE);
    cr_expect_eq(fief_close(rt), 0);
}

/* What is given back is the range's again, and so is what a wait in quarantine has let go. */
Test(nodes, a_span_that_is_given_back_lies_as_the_others)
{
    fake_nodes(2, 0, 1);
    fief_runtime *rt =
        open_placed((fief_config){.placement = {FIEF_NODE_INTERLEAVE, 0},
                                  .quarantine_bytes = 1,
                                  .placements = {[FIEF_HEAP] = {FIEF_NODE_ON, 1}}});
    char *block = fief_new(rt, FIEF_KIND_VECTOR, FIEF_DYNAMIC, LARGE);
    cr_assert(lies(block, OS_ON, 1));
    const char *native = fief_new(rt, FIEF_KIND_NATIVE, FIEF_NATIVE, LARGE);
    fief_arena_reset(fief_vm_arena(rt));
    cr_expect(lies(native, OS_INTERLEAVE, 0), "as ever");
    char *shrunk = fief_resize(rt, FIEF_KIND_VECTOR, block, LARGE, LARGE / 2);
    fief_free(rt, FIEF_KIND_VECTOR, shrunk, LARGE / 2);
    (void)fief_trim(rt);
    cr_expect(lies(block + LARGE - 1, OS_INTERLEAVE, 0));
    cr_expect_eq(fief_close(rt), 0);
}

/* Its spans change hands, and the vm arena's lie elsewhere. */
Test(nodes, a_unit_that_is_kept_comes_to_the_vm_arenas_node)
{
    fake_nodes(2, 0, 1);
    fief_runtime *rt = open_placed((fief_config){
        .placements = {[FIEF_VM_ARENA] = {FIEF_NODE_ON, 1},
                       [FIEF_COMPILER_ARENA] = {FIEF_NODE_ON, 0}}});
    fief_unit unit = fief_unit_begin(rt);
    const char *small = fief_temp(rt, char, BLOCK), *large = fief_temp(rt, char, LARGE);
    cr_assert(lies(small, OS_ON, 0) && lies(large, OS_ON, 0));
    cr_expect(fief_unit_keep(rt, unit));
    cr_expect(lies(small, OS_ON, 1) && lies(large, OS_ON, 1));
    cr_expect_eq(fief_close(rt), 0);
}

/* Of nodes that are numbered with gaps, those between are not there. */
Test(nodes, a_placement_that_makes_no_sense_is_refused)
{
    static unsigned char buffer[1 << 20];
    fake_nodes(3, 1, 4);
    must_refuse((fief_config){.placement = {FIEF_NODE_ON, 2}}, FIEF_BAD_CONFIG,
                "placement.node is 2, which this system of 3 nodes lacks");
    must_refuse((fief_config){.placements = {[FIEF_POOL] = {FIEF_NODE_ON, 13}}}, FIEF_BAD_CONFIG,
                "placements[FIEF_POOL].node is 13, which this system of 3 nodes lacks");
    must_refuse((fief_config){.placement = {FIEF_NODE_ON, UINT32_MAX}}, FIEF_BAD_CONFIG,
                "placement.node is 4294967295, which this system of 3 nodes lacks");
    must_refuse((fief_config){.placement = {(fief_node_policy)4, 0}}, FIEF_BAD_CONFIG,
                "placement.policy is 4; the largest is 3");
    must_refuse((fief_config){.placements = {[FIEF_HEAP] = {FIEF_NODE_LOCAL, 1}}}, FIEF_BAD_CONFIG,
                "placements[FIEF_HEAP].node is 1, but its policy is not FIEF_NODE_ON");
    must_refuse((fief_config){.placement = {FIEF_NODE_LOCAL, 0}, .buffer = buffer,
                              .buffer_size = sizeof buffer},
                FIEF_BAD_CONFIG,
                "buffer and placement are both set; a buffer lies where the host has it");
    fake_nodes(1, 0, 1);
    must_refuse((fief_config){.placement = {FIEF_NODE_ON, 1}}, FIEF_BAD_CONFIG,
                "placement.node is 1, which this system of 1 node lacks");
    fake_nodes(3, 1, 4);
    fief_runtime *rt = open_placed((fief_config){.placement = {FIEF_NODE_ON, 9}});
    cr_expect(lies(fief_strdup(rt, FIEF_NATIVE, "native"), OS_ON, 9));
    fief_drop(rt);
}

/* Any call to the system may fail while a runtime opens: then there is none, and nothing stays. */
Test(nodes, an_open_that_the_system_refuses_leaves_nothing)
{
    fake_nodes(2, 0, 1);
    size_t refused = 0;
    for (size_t n = 1;; n++) {
        fief_error error = {0};
        size_t reserves = fake_reserves();
        fake_fail_at(n);
        fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = RESERVE,
                                                    .placement = {FIEF_NODE_ON, 1},
                                                    .count_blocks = true,
                                                    .error = &error});
        bool failed = fake_calls() >= n;
        fake_fail_at(0);
        refused += rt == NULL && strstr(error.text, "place pages on nodes") != NULL;
        cr_expect(rt != NULL || error.status == FIEF_NO_MEMORY);
        cr_expect(rt != NULL || fake_reserves() == reserves);
        fief_drop(rt);
        if (!failed) {
            break;
        }
    }
    cr_expect_eq(refused, 2, "the reserve, and the head");
}

/* Memory is worth more than its place. */
Test(nodes, a_span_that_the_system_does_not_place_is_used_and_counted)
{
    fake_nodes(2, 0, 1);
    fief_runtime *rt =
        open_placed((fief_config){.placements = {[FIEF_HEAP] = {FIEF_NODE_ON, 1}}});
    char text[1000];
    (void)fief_stats_text(rt, text, sizeof text);
    cr_expect_not_null(strstr(text, "2 nodes: default, heap node 1\n"));
    cr_assert_not_null(fief_new(rt, FIEF_KIND_VECTOR, FIEF_DYNAMIC, BLOCK));
    for (size_t n = 1; n < 20 && fief_stats_unplaced(rt) == 0; n++) {
        (void)fief_new(rt, FIEF_KIND_VECTOR, FIEF_DYNAMIC, LARGE); /* what it commits, is there */
        fake_fail_at(n);
        unsigned char *block = fief_new(rt, FIEF_KIND_VECTOR, FIEF_DYNAMIC, LARGE);
        size_t unplaced = fief_stats_unplaced(rt);
        fake_fail_at(0);
        cr_expect(block != NULL ? unplaced == 0 || unplaced >= LARGE : unplaced == 0);
        if (block != NULL) {
            memset(block, 1, LARGE);
        }
    }
    cr_expect_gt(fief_stats_unplaced(rt), 0);
    (void)fief_stats_text(rt, text, sizeof text);
    cr_expect_not_null(strstr(text, "2 nodes: default, heap node 1, "));
    cr_expect_not_null(strstr(text, " KiB refused\n"));
    fief_drop(rt);
}

Test(nodes, statistics_tell_where_pages_lie)
{
    char text[8000];
    fake_nodes(2, 0, 1);
    fief_runtime *rt = open_placed((fief_config){
        .placement = {FIEF_NODE_INTERLEAVE, 0},
        .placements = {[FIEF_POOL] = {FIEF_NODE_LOCAL, 0}, [FIEF_HEAP] = {FIEF_NODE_ON, 1}}});
    cr_assert_lt(fief_stats_json(rt, text, sizeof text), sizeof text);
    cr_expect_not_null(strstr(text, "\"nodes\":{\"count\":2,\"placement\":\"interleaved\","
                                    "\"strategies\":{\"pool\":\"local\",\"heap\":\"node 1\"},"
                                    "\"unplaced_bytes\":0}}"));
    (void)fief_stats_text(rt, text, sizeof text);
    cr_expect_not_null(strstr(text, "2 nodes: interleaved, pool local, heap node 1\n"));
    cr_expect_eq(fief_stats_placement(rt, FIEF_IMAGE).policy, FIEF_NODE_DEFAULT);
    fief_drop(rt);
    rt = open_placed((fief_config){0});
    (void)fief_stats_text(rt, text, sizeof text);
    cr_expect_null(strstr(text, "nodes"), "where nothing was asked for, nothing is told");
    fief_drop(rt);
}

/* ---- a range that outlives its runtimes ---- */

Test(nodes, a_kept_range_is_placed_as_its_next_runtime_asks)
{
    fake_nodes(2, 0, 1);
    fief_range *range = fief_range_open(RESERVE);
    fief_runtime *rt =
        fief_open(&(fief_config){.range = range, .placement = {FIEF_NODE_ON, 1}});
    const void *string = fief_strdup(rt, FIEF_NATIVE, "native");
    cr_expect(lies(string, OS_ON, 1));
    fief_drop(rt);
    fake_fail_at(0);
    rt = fief_open(&(fief_config){.range = range, .placement = {FIEF_NODE_ON, 1}});
    size_t calls = fake_places();
    cr_expect_eq(calls, 0, "as before: nothing to be asked");
    fief_drop(rt);
    rt = fief_open(&(fief_config){.range = range});
    cr_expect(lies(fief_strdup(rt, FIEF_NATIVE, "native"), OS_AS_IT_COMES, 0));
    fief_drop(rt);
    cr_expect(fief_range_close(range));
}

Test(nodes, spans_placed_apart_don_t_reach_the_next_runtime)
{
    fake_nodes(2, 0, 1);
    fief_range *range = fief_range_open(RESERVE);
    fief_runtime *rt = fief_open(
        &(fief_config){.range = range, .placements = {[FIEF_VM_ARENA] = {FIEF_NODE_ON, 1}}});
    const void *string = fief_strdup(rt, FIEF_NATIVE, "native");
    cr_expect(lies(string, OS_ON, 1));
    fief_drop(rt);
    fake_fail_at(1);
    cr_expect_null(fief_open(&(fief_config){.range = range}), "the system refuses");
    fake_fail_at(0);
    rt = fief_open(&(fief_config){.range = range});
    cr_expect(lies(string, OS_AS_IT_COMES, 0));
    fief_drop(rt);
    cr_expect(fief_range_close(range));
}

static fief_runtime *open_recycled(fief_placement placement)
{
    return open_placed((fief_config){.recycle_range = true, .placement = placement});
}

Test(nodes, idle_ranges_are_found_on_the_node_where_they_were_left)
{
    static const fief_placement usual = {FIEF_NODE_DEFAULT, 0};
    fake_nodes(2, 0, 1);
    fief_runtime *first = open_recycled(usual);
    fief_drop(first);
    fake_run_on(1);
    fief_runtime *far = open_recycled(usual);
    cr_expect(is_guarded() || far != first, "its pages are another node's");
    fake_run_on(0); /* where it is closed is not where its pages are */
    fief_drop(far);
    cr_expect(is_guarded() || open_recycled(usual) == first);
    fake_run_on(1);
    fief_runtime *again = open_recycled(usual);
    cr_expect(is_guarded() || again == far);
    cr_expect(fief_follow(again));
    fake_run_on(0);
    cr_expect(fief_follow(again));
    fief_drop(again);
    cr_expect(is_guarded() || open_recycled(usual) == far, "it came along");
    cr_expect_eq(fief_trim_idle(), 0);
}

/* What was asked for a node, or for all, is where it was asked for, wherever its thread is. */
Test(nodes, idle_ranges_that_were_placed_are_found_from_any_node)
{
    static const fief_placement placed[] = {{FIEF_NODE_ON, 1}, {FIEF_NODE_INTERLEAVE, 0}};
    fake_nodes(2, 0, 1);
    for (size_t i = 0; i < sizeof placed / sizeof placed[0]; i++) {
        fief_runtime *rt = open_recycled(placed[i]);
        cr_expect(fief_follow(rt));
        fief_drop(rt);
        fake_run_on(1 - (unsigned)i);
        fief_runtime *again = open_recycled(placed[i]);
        cr_expect(is_guarded() || again == rt);
        fief_drop(again);
    }
    (void)fief_trim_idle();
}

Test(nodes, idle_ranges_are_found_by_who_places_alike)
{
    static const fief_placement usual = {FIEF_NODE_DEFAULT, 0}, on = {FIEF_NODE_ON, 1};
    fake_nodes(2, 0, 1);
    fief_runtime *placed = open_recycled(on);
    fief_drop(placed);
    fief_runtime *other = open_recycled(usual);
    cr_expect(is_guarded() || other != placed);
    fief_drop(other);
    fake_run_on(1);
    other = open_recycled(usual);
    cr_expect(is_guarded() || other != placed, "of that node, but placed otherwise");
    fief_drop(other);
    fake_run_on(0);
    cr_expect(is_guarded() || open_recycled(on) == placed, "wherever the thread runs");
    fief_runtime *apart = open_placed((fief_config){
        .recycle_range = true, .placements = {[FIEF_POOL] = {FIEF_NODE_ON, 1}}});
    cr_expect(is_guarded() || fief_trim_idle() == 1, "it took one, and one is on node 1");
    fief_drop(apart);
    cr_expect_eq(fief_trim_idle(), 0, "mixed pages wait for nobody");
}

/* ---- a runtime that moves ---- */

Test(nodes, what_lies_where_it_was_touched_follows)
{
    fake_nodes(2, 0, 1);
    fief_runtime *rt = open_placed((fief_config){
        .count_blocks = true,
        .placements = {[FIEF_POOL] = {FIEF_NODE_ON, 0}, [FIEF_STACK] = {FIEF_NODE_LOCAL, 0}}});
    const void *native = fief_strdup(rt, FIEF_NATIVE, "native");
    const void *block = fief_new(rt, FIEF_KIND_VECTOR, FIEF_DYNAMIC, BLOCK);
    const void *pair = fief_new(rt, FIEF_KIND_PAIR, FIEF_DYNAMIC, 32);
    const void *frame = fief_new(rt, FIEF_KIND_CALL_FRAME, FIEF_DYNAMIC, BLOCK);
    fake_run_on(1);
    fief_adopt(rt);
    cr_expect_neq(fief_node_of(native), 1, "not by itself");
    cr_expect(fief_follow(rt));
    cr_expect_eq(fief_node_of(native), 1);
    cr_expect_eq(fief_node_of(block), 1);
    cr_expect_eq(fief_node_of(frame), 1);
    cr_expect_eq(fief_node_of(rt), 1);
    cr_expect(lies(native, OS_AS_IT_COMES, 0) && lies(frame, OS_LOCAL, 0), "and no longer than so");
    cr_expect(lies(pair, OS_ON, 0));
    fief_drop(rt);
}

Test(nodes, what_was_put_on_a_node_stays_there)
{
    fake_nodes(2, 0, 1);
    fief_runtime *rt = open_placed((fief_config){.placement = {FIEF_NODE_ON, 0}});
    const void *native = fief_strdup(rt, FIEF_NATIVE, "native");
    fake_run_on(1);
    fake_fail_at(0);
    cr_expect(fief_follow(rt));
    cr_expect_eq(fake_places(), 0);
    cr_expect_eq(fief_node_of(native), 0);
    fief_drop(rt);
}

Test(nodes, a_move_that_the_system_refuses_in_part_says_so)
{
    fake_nodes(2, 0, 1);
    fief_runtime *rt = open_placed((fief_config){0});
    unsigned char *block = fief_new(rt, FIEF_KIND_VECTOR, FIEF_DYNAMIC, BLOCK);
    fill(block, BLOCK, 3);
    for (size_t n = 1;; n++) {
        fake_fail_at(n);
        bool followed = fief_follow(rt);
        bool failed = fake_calls() >= n;
        fake_fail_at(0);
        cr_expect_neq(followed, failed);
        cr_expect(holds(block, BLOCK, 3));
        if (!failed) {
            break;
        }
    }
    fief_drop(rt);
}

Test(nodes, a_buffer_does_not_follow)
{
    static unsigned char buffer[1 << 20];
    fake_nodes(2, 0, 1);
    fief_runtime *rt = fief_open(&(fief_config){.buffer = buffer, .buffer_size = sizeof buffer});
    cr_assert_not_null(rt);
    fake_fail_at(0);
    cr_expect(fief_follow(rt));
    cr_expect_eq(fake_places(), 0);
    fief_drop(rt);
}

/* ---- images, a copy for each node ---- */

typedef struct cell {
    const char *name;
    struct cell *next;
} cell;

static const size_t cell_pointers[] = {0, 8};
static const fief_kind kinds[] = {
    {.name = "cell", .size = sizeof(cell), .any = FIEF_VM_ARENA, .pointers = cell_pointers,
     .pointer_count = 2},
};
static const char names[2][8] = {"here", "there"};

static void save_image(const char *path, uint64_t version)
{
    static const fief_arena_config recorded = {.recorded = true};
    fief_runtime *rt =
        open_placed((fief_config){.kinds = kinds, .kind_count = 1, .vm_arena = &recorded});
    cell *first = fief_new(rt, 0, FIEF_CONSTANT, sizeof *first);
    cell *second = fief_new(rt, 0, FIEF_CONSTANT, sizeof *second);
    *first = (cell){names[0], second};
    *second = (cell){names[1], NULL};
    fief_external external = {"names", names, sizeof names};
    fief_image_config config = {.root = first, .version = version, .externals = &external,
                                .external_count = 1};
    cr_assert(fief_image_save(fief_vm_arena(rt), path, &config));
    fief_drop(rt);
}

static fief_image *open_copy(fief_runtime *rt, const char (*bound)[8], uint64_t version)
{
    fief_external external = {"names", bound, sizeof names};
    fief_error error = {0};
    fief_image_config config = {.version = version, .externals = &external, .external_count = 1,
                                .lazy = true, .per_node = true, .error = &error};
    fief_image *image = fief_image_open(rt, "i", &config);
    cr_assert(image != NULL || error.status != FIEF_OK);
    return image;
}

static fief_runtime *open_reader(void)
{
    return open_placed((fief_config){.kinds = kinds, .kind_count = 1});
}

static bool is_sound(const fief_image *image, const char (*bound)[8])
{
    const cell *first = fief_image_root(image);
    return first->name == bound[0] && first->next->name == bound[1] && first->next->next == NULL;
}

Test(nodes, an_image_is_copied_once_for_each_node)
{
    fake_nodes(2, 0, 1);
    save_image("i", 1);
    size_t reserves = fake_reserves();
    fief_runtime *a = open_reader(), *b = open_reader();
    fief_image *first = open_copy(a, names, 1), *second = open_copy(b, names, 1);
    cr_assert(first != NULL && second != NULL);
    cr_expect_eq(fief_image_root(first), fief_image_root(second), "one copy for both");
    cr_expect(is_sound(first, names) && lies(fief_image_root(first), OS_ON, 0));
    cr_expect(fief_image_verify(second, fief_image_root(second), sizeof(cell)));
    cr_expect(fief_image_is_relocated(second));
    fake_run_on(1);
    fief_image *far = open_copy(b, names, 1);
    cr_assert_not_null(far);
    cr_expect_neq(fief_image_root(far), fief_image_root(first));
    cr_expect(is_sound(far, names) && lies(fief_image_root(far), OS_ON, 1));
    cr_expect_eq(fief_owner(b, fief_image_root(far)), FIEF_IMAGE);
    size_t held = fake_reserves();
    fief_image_close(first);
    cr_expect_eq(fake_reserves(), held, "it has another user");
    cr_expect(is_sound(second, names));
    fief_image_close(second);
    cr_expect_lt(fake_reserves(), held);
    cr_expect(is_sound(far, names), "and is not the other node's");
    fief_drop(a);
    fief_drop(b);
    cr_expect_leq(fake_reserves(), reserves + (is_guarded() ? 8 : 0), "the last has left");
    os_remove_file("i");
}

/* What was bound to other addresses, and what was saved anew, is another copy. */
Test(nodes, a_copy_is_shared_by_what_is_the_same)
{
    static const char others[2][8] = {"other", "others"};
    fake_nodes(2, 0, 1);
    save_image("i", 1);
    fief_runtime *rt = open_reader();
    fief_image *first = open_copy(rt, names, 1), *bound = open_copy(rt, others, 1);
    cr_assert(first != NULL && bound != NULL);
    cr_expect(is_sound(first, names) && is_sound(bound, others));
    save_image("i", 2);
    cr_expect_null(open_copy(rt, names, 1), "the file is another");
    fief_image *fresh = open_copy(rt, names, 2);
    cr_assert_not_null(fresh);
    cr_expect(is_sound(fresh, names) && is_sound(first, names));
    cr_expect_neq(fief_image_root(fresh), fief_image_root(first));
    fief_drop(rt);
    os_remove_file("i");
}

/* But one that can't be placed is made where it comes to lie. */
Test(nodes, a_copy_that_can_t_be_made_leaves_nothing)
{
    size_t unplaced = 0;
    fake_nodes(2, 0, 1);
    save_image("i", 1);
    for (size_t n = 1;; n++) {
        fief_runtime *rt = open_reader();
        size_t reserves = fake_reserves();
        fake_fail_at(n);
        fief_image *image = open_copy(rt, names, 1);
        bool failed = fake_calls() >= n;
        fake_fail_at(0);
        cr_expect(image != NULL || failed);
        cr_expect(image != NULL || fake_reserves() == reserves);
        unplaced += image != NULL && failed;
        fief_drop(rt);
        if (!failed) {
            break;
        }
    }
    cr_expect_eq(unplaced, 1);
    os_remove_file("i");
}

Test(nodes, with_one_node_an_image_is_mapped_as_ever)
{
    save_image("i", 1);
    fief_runtime *rt = open_reader();
    fief_image *first = open_copy(rt, names, 1), *second = open_copy(rt, names, 1);
    cr_assert(first != NULL && second != NULL);
    cr_expect_neq(fief_image_root(first), fief_image_root(second));
    fief_drop(rt);
    os_remove_file("i");
}
