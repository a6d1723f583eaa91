/* Units that are kept: what they hold is the vm arena's, where it lies, in every mode. */
#include "support.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { TOKEN, NAME, KINDS };
static const fief_kind kinds[KINDS] = {
    [TOKEN] = {.name = "token", .any = FIEF_COMPILER_ARENA},
    [NAME] = {.name = "name", .any = FIEF_VM_ARENA},
};

static witness saw;
static char log_of_cleanups[16];

static fief_runtime *open_with(fief_config config)
{
    saw.count = 0;
    log_of_cleanups[0] = '\0';
    config.kinds = kinds;
    config.kind_count = KINDS;
    config.reserve_bytes = config.reserve_bytes != 0 ? config.reserve_bytes : small_reserve;
    config.user = &saw;
    config.on_misuse = witness_misuse;
    fief_runtime *rt = fief_open(&config);
    cr_assert_not_null(rt);
    return rt;
}

static void close_clean(fief_runtime *rt)
{
    (void)fief_check(rt);
    cr_expect_eq(fief_close(rt), 0);
    cr_expect_eq(saw.count, 0);
}

static char *token(fief_runtime *rt, size_t size, unsigned seed)
{
    char *block = fief_new(rt, TOKEN, FIEF_TEMPORARY, size);
    cr_assert_not_null(block);
    fill(block, size, seed);
    return block;
}

static void note_cleanup(void *name)
{
    size_t length = strlen(log_of_cleanups);
    cr_assert_lt(length + 1, sizeof log_of_cleanups);
    log_of_cleanups[length] = *(const char *)name;
    log_of_cleanups[length + 1] = '\0';
}

static const size_t sizes[] = {16, 300, 5000, 70000, 400000, 24, 0, 900000, 8};
enum { BLOCKS = sizeof sizes / sizeof sizes[0] };

Test(keep, blocks_of_a_kept_unit_stay_where_they_are_and_are_the_vm_arenas)
{
    fief_runtime *rt = open_with((fief_config){.count_blocks = true});
    char *name = fief_new(rt, NAME, FIEF_CONSTANT, 40), *block[BLOCKS];
    fill(name, 40, 99);
    for (int round = 0; round < 3; round++) {
        size_t before = fief_stats_strategy(rt, FIEF_VM_ARENA).asked_bytes, bytes = 0;
        fief_unit unit = fief_unit_begin(rt);
        for (unsigned i = 0; i < BLOCKS; i++) {
            block[i] = token(rt, sizes[i], i);
            bytes += sizes[i];
        }
        size_t used = fief_arena_used(fief_compiler_arena(rt)) + fief_arena_used(fief_vm_arena(rt));
        cr_assert(fief_unit_keep(rt, unit));
        cr_expect_eq(fief_arena_used(fief_compiler_arena(rt)), 0);
        cr_expect_eq(fief_arena_used(fief_vm_arena(rt)), used);
        fief_count vm = fief_stats_strategy(rt, FIEF_VM_ARENA);
        fief_count units = fief_stats_strategy(rt, FIEF_COMPILER_ARENA);
        cr_expect_eq(vm.asked_bytes, before + bytes);
        cr_expect_eq(vm.blocks, (size_t)(round + 1) * (BLOCKS + 1));
        cr_expect_eq(units.asked_bytes, 0);
        cr_expect_eq(units.blocks, 0);
        cr_expect_geq(vm.peak_bytes, vm.used_bytes);
        unit = fief_unit_begin(rt);
        (void)token(rt, 1000, 5);
        char *more = fief_new(rt, NAME, FIEF_CONSTANT, 40);
        fill(more, 40, 98);
        fief_unit_end(rt, unit);
        for (unsigned i = 0; i < BLOCKS; i++) {
            cr_expect(holds(block[i], sizes[i], i));
            cr_expect_eq(fief_owner(rt, block[i]), FIEF_VM_ARENA);
            fill(block[i], sizes[i], i + 1);
        }
        cr_expect(holds(name, 40, 99) && holds(more, 40, 98));
        cr_expect_eq(fief_owner(rt, more), FIEF_VM_ARENA);
    }
    cr_expect_null(fief_new(rt, TOKEN, FIEF_TEMPORARY, 8), "no unit is open");
    cr_expect(witness_saw(&saw, FIEF_MISUSE_NO_UNIT));
    saw.count = 0;
    close_clean(rt);
}

Test(keep, a_rewind_to_an_older_mark_undoes_what_was_kept_and_runs_its_cleanups)
{
    static char names[] = "abcde";
    for (int starts_empty = 0; starts_empty < 2; starts_empty++) {
        fief_runtime *rt = open_with((fief_config){0});
        fief_arena *vm = fief_vm_arena(rt);
        char *name = starts_empty != 0 ? NULL : fief_new(rt, NAME, FIEF_CONSTANT, 40);
        cr_assert(fief_arena_cleanup(vm, note_cleanup, &names[0]));
        size_t used = fief_arena_used(vm);
        fief_mark mark = fief_arena_mark(vm);
        cr_assert(fief_arena_cleanup(vm, note_cleanup, &names[1]));
        fief_unit unit = fief_unit_begin(rt);
        cr_assert(fief_arena_cleanup(fief_compiler_arena(rt), note_cleanup, &names[2]));
        char *kept = token(rt, 500, 1), *large = token(rt, 500000, 2);
        cr_assert(fief_arena_cleanup(fief_compiler_arena(rt), note_cleanup, &names[3]));
        cr_assert(fief_unit_keep(rt, unit));
        cr_expect_str_eq(log_of_cleanups, "");
        fief_mark later = fief_arena_mark(vm);
        cr_assert_not_null(fief_new(rt, NAME, FIEF_CONSTANT, 40));
        cr_assert(fief_arena_cleanup(vm, note_cleanup, &names[4]));
        fief_arena_rewind(vm, later);
        cr_expect_str_eq(log_of_cleanups, "e");
        cr_expect(holds(kept, 500, 1) && holds(large, 500000, 2));
        fief_arena_rewind(vm, mark);
        cr_expect_str_eq(log_of_cleanups, "edcb");
        cr_expect_leq(fief_arena_used(vm), used);
        if (name != NULL) {
            fill(name, 40, 7);
        }
        cr_assert_not_null(fief_new(rt, NAME, FIEF_CONSTANT, 40));
        unit = fief_unit_begin(rt);
        (void)token(rt, 100, 3);
        fief_unit_end(rt, unit);
        close_clean(rt);
        cr_expect_str_eq(log_of_cleanups, "edcba");
    }
}

Test(keep, a_nested_units_blocks_are_the_outer_ones)
{
    fief_runtime *rt = open_with((fief_config){.count_blocks = true});
    fief_unit outer = fief_unit_begin(rt);
    char *first = token(rt, 100, 1);
    fief_unit inner = fief_unit_begin(rt);
    char *second = token(rt, 100, 2);
    cr_assert(fief_unit_keep(rt, inner));
    cr_expect_eq(fief_owner(rt, second), FIEF_COMPILER_ARENA);
    char *third = token(rt, 100, 3);
    cr_assert(fief_unit_keep(rt, outer));
    cr_expect(holds(first, 100, 1) && holds(second, 100, 2) && holds(third, 100, 3));
    cr_expect_eq(fief_owner(rt, second), FIEF_VM_ARENA);
    outer = fief_unit_begin(rt);
    inner = fief_unit_begin(rt);
    (void)token(rt, 70000, 4);
    cr_assert(fief_unit_keep(rt, inner));
    fief_unit_end(rt, outer);
    cr_expect_eq(fief_stats_strategy(rt, FIEF_COMPILER_ARENA).blocks, 0);
    cr_expect_eq(fief_stats_strategy(rt, FIEF_VM_ARENA).blocks, 3);
    close_clean(rt);
}

/* Spans that both arenas had left over, and what died within the unit. */
Test(keep, spans_left_over_and_what_died_within_go_their_ways)
{
    static const fief_arena_config keeping = {.keep_bytes = 4 << 20};
    fief_runtime *rt = open_with((fief_config){.vm_arena = &keeping, .compiler_arena = &keeping});
    fief_mark start = fief_arena_mark(fief_vm_arena(rt));
    fief_unit unit = fief_unit_begin(rt);
    for (unsigned i = 0; i < 400; i++) {
        (void)fief_new(rt, NAME, FIEF_CONSTANT, 4000);
        (void)token(rt, 4000, i);
    }
    fief_unit_end(rt, unit);
    fief_arena_rewind(fief_vm_arena(rt), start);
    (void)fief_new(rt, NAME, FIEF_CONSTANT, 40);

    unit = fief_unit_begin(rt);
    char *first = token(rt, 100, 1);
    fief_mark within = fief_arena_mark(fief_compiler_arena(rt));
    for (unsigned i = 0; i < 40; i++) {
        (void)token(rt, 4000, i);
    }
    fief_arena_rewind(fief_compiler_arena(rt), within);
    char *second = token(rt, 100, 2);
    cr_assert(fief_unit_keep(rt, unit));
    for (unsigned i = 0; i < 400; i++) {
        char *name = fief_new(rt, NAME, FIEF_CONSTANT, 4000);
        fill(name, 4000, i);
    }
    cr_expect(holds(first, 100, 1) && holds(second, 100, 2));
    fief_arena_rewind(fief_vm_arena(rt), start);
    unit = fief_unit_begin(rt);
    cr_expect_eq(fief_owner(rt, token(rt, 4000, 3)), FIEF_COMPILER_ARENA);
    fief_unit_end(rt, unit);
    close_clean(rt);
}

Test(keep, an_empty_unit_leaves_nothing)
{
    fief_runtime *rt = open_with((fief_config){0});
    for (int i = 0; i < 100; i++) {
        cr_assert(fief_unit_keep(rt, fief_unit_begin(rt)));
    }
    cr_expect_eq(fief_arena_used(fief_vm_arena(rt)), 0);
    size_t held = fief_stats_held(rt);
    fief_unit unit = fief_unit_begin(rt);
    (void)token(rt, 40, 1);
    fief_unit_end(rt, unit);
    for (int i = 0; i < 100; i++) {
        cr_assert(fief_unit_keep(rt, fief_unit_begin(rt)));
    }
    cr_expect_leq(fief_stats_held(rt), held + (1 << 16));
    close_clean(rt);
}

Test(keep, marks_of_a_kept_unit_are_stale)
{
    fief_runtime *rt = open_with((fief_config){0});
    fief_unit unit = fief_unit_begin(rt);
    (void)token(rt, 40, 1);
    fief_mark mark = fief_arena_mark(fief_compiler_arena(rt));
    char *kept = token(rt, 40, 2);
    cr_assert(fief_unit_keep(rt, unit));
    unit = fief_unit_begin(rt);
    fief_arena_rewind(fief_compiler_arena(rt), mark);
    cr_expect(witness_saw(&saw, FIEF_MISUSE_STALE_MARK));
    saw.count = 0;
    cr_expect(holds(kept, 40, 2));
    fief_unit_end(rt, unit);
    close_clean(rt);
}

Test(keep, what_may_not_leave_stays_open)
{
    fief_runtime *rt = open_with((fief_config){0});
    fief_unit outer = fief_unit_begin(rt), inner = fief_unit_begin(rt);
    cr_expect_not(fief_unit_keep(rt, outer));
    cr_expect(witness_saw(&saw, FIEF_MISUSE_UNIT_ORDER));
    saw.count = 0;
    void *frame = fief_stack_push(fief_frame_stack(rt), 40);
    cr_expect_not(fief_unit_keep(rt, inner));
    cr_expect(witness_saw(&saw, FIEF_MISUSE_UNIT_ORDER));
    saw.count = 0;
    cr_expect(fief_stack_pop(fief_frame_stack(rt), frame, 40));
    cr_expect(fief_unit_keep(rt, inner));
    cr_expect_not(fief_unit_keep(rt, inner), "twice");
    cr_expect(witness_saw(&saw, FIEF_MISUSE_UNIT_ORDER));
    saw.count = 0;
    cr_assert(fief_seal(rt, fief_compiler_arena(rt)));
    cr_expect_not(fief_unit_keep(rt, outer), "sealed");
    cr_assert(fief_unseal(rt, fief_compiler_arena(rt)));
    cr_expect(fief_unit_keep(rt, outer));
    close_clean(rt);
}

Test(keep, a_limit_of_the_vm_arena_refuses_and_nothing_has_changed)
{
    fief_runtime *rt = open_with((fief_config){.count_blocks = true});
    (void)fief_new(rt, NAME, FIEF_CONSTANT, 300);
    fief_limit_set(rt, FIEF_VM_ARENA, 1000);
    fief_unit unit = fief_unit_begin(rt);
    char *block = token(rt, 701, 1);
    size_t refused = fief_stats_strategy(rt, FIEF_VM_ARENA).refused;
    cr_expect_not(fief_unit_keep(rt, unit));
    cr_expect_eq(fief_stats_strategy(rt, FIEF_VM_ARENA).refused, refused + 1);
    cr_expect_eq(fief_owner(rt, block), FIEF_COMPILER_ARENA);
    char *more = token(rt, 10, 2);
    fief_limit_set(rt, FIEF_VM_ARENA, 1011);
    cr_expect(fief_unit_keep(rt, unit));
    cr_expect(holds(block, 701, 1) && holds(more, 10, 2));
    cr_expect_eq(fief_owner(rt, fief_new(rt, NAME, FIEF_CONSTANT, 1)), FIEF_HEAP, "it is full");
    close_clean(rt);
}

Test(keep, a_cap_or_a_callers_buffer_refuses)
{
    static char buffer[9000];
    static const fief_arena_config capped = {.max_bytes = 100 << 10},
                                   lent = {.buffer = buffer, .buffer_size = sizeof buffer},
                                   recorded = {.recorded = true};
    const fief_config configs[] = {{.vm_arena = &capped},
                                   {.compiler_arena = &lent},
                                   {.vm_arena = &recorded}};
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        fief_runtime *rt = open_with(configs[i]);
        fief_unit unit = fief_unit_begin(rt);
        char *block = token(rt, 120 << 10, 1);
        bool is_even = i == 2 && strcmp(fief_mode(), "release") != 0; /* all are recorded there */
        cr_expect_eq(fief_unit_keep(rt, unit), is_even, "config %zu", i);
        cr_expect(holds(block, 120 << 10, 1));
        if (!is_even) {
            fief_unit_end(rt, unit);
        }
        close_clean(rt);
    }
}

Test(keep, a_sealed_vm_arena_takes_more_and_can_be_sealed_again)
{
    fief_runtime *rt = open_with((fief_config){0});
    char *name = fief_new(rt, NAME, FIEF_CONSTANT, 40);
    fill(name, 40, 1);
    cr_assert(fief_seal(rt, fief_vm_arena(rt)));
    fief_unit unit = fief_unit_begin(rt);
    char *kept = token(rt, 40, 2), *large = token(rt, 300000, 3);
    cr_assert(fief_unit_keep(rt, unit));
    cr_expect(fief_is_sealed(rt, name) && !fief_is_sealed(rt, kept) && !fief_is_sealed(rt, large));
    fill(kept, 40, 4);
    cr_assert(fief_seal(rt, fief_vm_arena(rt)));
    cr_expect(fief_is_sealed(rt, kept) && fief_is_sealed(rt, large));
    cr_expect(holds(kept, 40, 4) && holds(large, 300000, 3));
    cr_assert(fief_unseal(rt, fief_vm_arena(rt)));
    close_clean(rt);
}

Test(keep, ten_thousand_lines_of_a_session)
{
    enum { LINES = 10000 };
    static char *lines[LINES];
    fief_runtime *rt = open_with((fief_config){.reserve_bytes = (size_t)1 << 30});
    unsigned count = at_valgrinds_pace(LINES, 300);
    for (unsigned i = 0; i < count; i++) {
        fief_unit unit = fief_unit_begin(rt);
        lines[i] = token(rt, 10 + i % 50, i);
        cr_assert(fief_unit_keep(rt, unit));
    }
    for (unsigned i = 0; i < count; i++) {
        cr_assert(holds(lines[i], 10 + i % 50, i));
    }
    close_clean(rt);
}
