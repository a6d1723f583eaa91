/* Sealed arenas, in every mode: reads are fine, a write is told with what was written to. */
#include "apart.h"
#include "support.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NAME, TABLE, KINDS, OS_PAGE = 4096 };
static const fief_kind kinds[KINDS] = {
    [NAME] = {.name = "name", .any = FIEF_VM_ARENA},
    [TABLE] = {.name = "table", .any = FIEF_VM_ARENA},
};

static witness saw;

static fief_runtime *open_with(bool recorded, bool refuses)
{
    static fief_arena_config config;
    config.recorded = recorded;
    saw.count = 0;
    return fief_open(&(fief_config){.name = "sealed", .kinds = kinds, .kind_count = KINDS,
                                    .reserve_bytes = small_reserve, .vm_arena = &config,
                                    .user = &saw, .on_misuse = refuses ? witness_misuse : NULL});
}

static bool is_release(void)
{
    return strcmp(fief_mode(), "release") == 0;
}

static void write_byte(void *at)
{
    *(volatile char *)at = 1;
}

Test(seal, what_was_sealed_is_read_and_new_blocks_go_to_fresh_pages)
{
    fief_runtime *rt = open_with(false, true);
    static const size_t sizes[] = {16, 300, 5000, 70000, 400000, 24};
    enum { BLOCKS = sizeof sizes / sizeof sizes[0] };
    char *block[BLOCKS];
    for (unsigned i = 0; i < BLOCKS; i++) {
        block[i] = fief_new(rt, NAME, FIEF_CONSTANT, sizes[i]);
        fill(block[i], sizes[i], i);
    }
    cr_assert(fief_seal(rt, fief_vm_arena(rt)));
    for (unsigned i = 0; i < BLOCKS; i++) {
        cr_expect(holds(block[i], sizes[i], i));
        cr_expect(fief_is_sealed(rt, block[i]) && fief_is_sealed(rt, block[i] + sizes[i] - 1));
        cr_expect_eq(fief_owner(rt, block[i]), FIEF_VM_ARENA);
    }
    for (unsigned i = 0; i < 3000; i++) {
        char *later = fief_new(rt, TABLE, FIEF_CONSTANT, 100);
        fill(later, 100, i);
        cr_expect(!fief_is_sealed(rt, later));
        for (unsigned n = 0; i == 0 && n < BLOCKS; n++) {
            cr_expect_neq((uintptr_t)later / OS_PAGE, (uintptr_t)block[n] / OS_PAGE);
        }
    }
    cr_assert(fief_seal(rt, fief_vm_arena(rt)), "once more, for what came since");
    cr_assert(fief_unseal(rt, fief_vm_arena(rt)));
    for (unsigned i = 0; i < BLOCKS; i++) {
        cr_expect(!fief_is_sealed(rt, block[i]));
        fill(block[i], sizes[i], i + 1);
    }
    (void)fief_check(rt);
    cr_expect_eq(saw.count, 0);
    cr_expect_eq(fief_close(rt), 0);
    cr_expect_eq(saw.count, 0);
}

Test(seal, a_write_is_told_with_the_arena_and_where_recorded_the_kind)
{
    static char text[1 << 16], line[1 << 16];
    for (int recorded = 0; recorded < 2; recorded++) {
        fief_runtime *rt = open_with(recorded != 0, false);
        char *name = fief_new(rt, NAME, FIEF_CONSTANT, 40);
        char *table = fief_new(rt, TABLE, FIEF_CONSTANT, 300000);
        cr_assert(fief_seal(rt, fief_vm_arena(rt)));
        bool knows = recorded != 0 || !is_release();
        report_of(text, sizeof text, write_byte, name + 8);
        one_line(text, line);
        cr_expect(strstr(line, "misuse[sealed-write]: write of 1 byte to a sealed ") != NULL, "%s",
                  text);
        cr_expect(strstr(line, knows ? "'name' of the vm arena" : "'block' of the vm arena") !=
                      NULL, "%s", text);
        cr_expect(!knows || strstr(text, "8 bytes into 'name', 40 bytes, vm arena, alive") != NULL,
                  "%s", text);
        report_of(text, sizeof text, write_byte, table + 200000);
        cr_expect(!knows || strstr(text, "200000 bytes into 'table', 300000 bytes") != NULL, "%s",
                  text);
        cr_assert(fief_unseal(rt, fief_vm_arena(rt)));
        name[8] = 1;
        table[200000] = 1;
        cr_expect_eq(fief_close(rt), 0);
    }
}

static bool print_json(const fief_misuse *misuse, void *user)
{
    static char json[1 << 16];
    (void)user;
    size_t length = fief_misuse_json(misuse, json, sizeof json);
    return write(2, json, length) < 0;
}

Test(seal, a_hosts_handler_has_the_bytes_of_a_write)
{
    static char text[1 << 16];
    fief_runtime *rt =
        fief_open(&(fief_config){.reserve_bytes = small_reserve, .on_misuse = print_json});
    char *block = fief_arena_alloc(fief_vm_arena(rt), 40);
    cr_assert(fief_seal(rt, fief_vm_arena(rt)));
    report_of(text, sizeof text, write_byte, block + 8);
    cr_expect(strstr(text, "\"access\":\"write\",\"access_bytes\":1,") != NULL, "%s", text);
    cr_expect_eq(fief_close(rt), 0);
}

#ifdef __x86_64__
/* By an instruction whose bytes a report does not know. */
static void write_control_word(void *at)
{
    __asm__ volatile("stmxcsr %0" : "=m"(*(unsigned *)at));
}

Test(seal, a_write_of_unknown_size_is_told_without)
{
    static char text[1 << 16], line[1 << 16];
    fief_runtime *rt = open_with(true, false);
    char *name = fief_new(rt, NAME, FIEF_CONSTANT, 40);
    cr_assert(fief_seal(rt, fief_vm_arena(rt)));
    report_of(text, sizeof text, write_control_word, name + 8);
    one_line(text, line);
    cr_expect(strstr(line, "write to a sealed 'name' of the vm arena") != NULL, "%s", text);
    cr_expect_eq(fief_close(rt), 0);
}
#endif

Test(seal, what_would_change_a_sealed_block_is_misuse_at_the_call)
{
    fief_runtime *rt = open_with(false, true);
    fief_arena *vm = fief_vm_arena(rt);
    fief_mark before = fief_arena_mark(vm);
    void **block = fief_new(rt, TABLE, FIEF_CONSTANT, 64);
    fief_mark within = fief_arena_mark(vm);
    cr_assert(fief_seal(rt, vm));
    fief_mark behind = fief_arena_mark(vm);
    void *target = fief_malloc(rt, 8);

    fief_store(rt, block, &block[1], target);
    cr_expect(witness_saw(&saw, FIEF_MISUSE_SEALED_WRITE));
    cr_expect_null(block[1]);
    cr_expect_null(fief_arena_resize(vm, block, 64, 200));
    cr_expect(witness_saw(&saw, FIEF_MISUSE_SEALED_WRITE));
    cr_expect_null(fief_arena_resize(vm, block, 64, 8));
    cr_expect(witness_saw(&saw, FIEF_MISUSE_SEALED_WRITE));
    fief_arena_rewind(vm, before);
    cr_expect(witness_saw(&saw, FIEF_MISUSE_SEALED_WRITE));
    fief_arena_rewind(vm, within);
    cr_expect(witness_saw(&saw, FIEF_MISUSE_SEALED_WRITE));
    fief_arena_reset(vm);
    cr_expect(witness_saw(&saw, FIEF_MISUSE_SEALED_WRITE));
    fief_free(rt, TABLE, block, 64);
    cr_expect(witness_saw(&saw, FIEF_MISUSE_WRONG_ALLOCATOR));

    fill(fief_new(rt, NAME, FIEF_CONSTANT, 5000), 5000, 1);
    fief_arena_rewind(vm, behind);
    cr_expect_eq(saw.count, 0, "what came after the seal is rewound");
    cr_assert(fief_unseal(rt, vm));
    fief_store(rt, block, &block[1], target);
    cr_expect_eq(block[1], target);
    block[1] = NULL;
    fief_arena_rewind(vm, before);
    cr_expect_eq(saw.count, 0);
    fief_release(rt, target);
    cr_expect_eq(fief_close(rt), 0);
}

Test(seal, every_older_mark_finds_the_seal_whatever_happened_since)
{
    fief_runtime *rt = open_with(false, true);
    fief_arena *a = fief_arena_open(rt, NULL);
    for (unsigned events = 0; events < 6; events++) {
        (void)fief_arena_alloc(a, 24);
        fief_mark older = fief_arena_mark(a);
        for (unsigned i = 0; i < events; i++) {
            (void)fief_arena_alloc(a, 200000); /* apart: an event */
        }
        cr_assert(fief_seal(rt, a));
        (void)fief_arena_alloc(a, 24);
        fief_arena_rewind(a, older);
        cr_expect(witness_saw(&saw, FIEF_MISUSE_SEALED_WRITE), "after %u events", events);
    }
    fief_arena_close(a);
    cr_expect_eq(saw.count, 0, "a close lifts the seal");
    cr_expect_eq(fief_close(rt), 0);
}

static void write_there(void *block)
{
    memset(block, 7, 64);
}

Test(seal, cleanups_at_a_close_may_write)
{
    fief_runtime *rt = open_with(true, true);
    fief_arena *a = fief_arena_open(rt, NULL);
    char *block = fief_new(rt, NAME, FIEF_CONSTANT, 64), *own = fief_arena_alloc(a, 64);
    cr_expect(fief_arena_cleanup(a, write_there, own));
    cr_expect(fief_arena_cleanup(a, write_there, block));
    cr_assert(fief_seal(rt, a));
    cr_assert(fief_seal(rt, fief_vm_arena(rt)));
    cr_expect_eq(fief_close(rt), 0);
    cr_expect_eq(saw.count, 0);
}

Test(seal, a_rewound_page_below_a_seal_stays_dead_in_debug)
{
    fief_runtime *rt = open_with(false, true);
    fief_arena *a = fief_arena_open(rt, NULL);
    char *first = fief_arena_alloc(a, 100);
    fill(first, 100, 1);
    fief_mark mark = fief_arena_mark(a);
    (void)fief_arena_alloc(a, 9000);
    fief_arena_rewind(a, mark);
    char *last = fief_arena_alloc(a, 100);
    fill(last, 100, 2);
    cr_assert(fief_seal(rt, a));
    cr_expect(holds(first, 100, 1) && holds(last, 100, 2));
    cr_expect(fief_is_sealed(rt, first) && fief_is_sealed(rt, last));
    cr_assert(fief_unseal(rt, a));
    fief_arena_rewind(a, mark);
    fief_arena_reset(a);
    cr_expect_eq(saw.count, 0);
    cr_expect_eq(fief_close(rt), 0);
}

Test(seal, dead_pages_of_each_span_stay_dead_in_debug_whatever_is_sealed_later)
{
    enum { SPANS = 3, FILL = 12, OTHER = 10000 };
    fief_runtime *rt = open_with(false, true);
    fief_arena *a = fief_arena_open(rt, NULL);
    char *kept[SPANS];
    for (unsigned i = 0; i < SPANS; i++) {
        kept[i] = fief_arena_alloc(a, 100);
        fill(kept[i], 100, i);
        fief_mark mark = fief_arena_mark(a);
        (void)fief_arena_alloc(a, OTHER);
        (void)fief_arena_alloc(a, OTHER);
        fief_arena_rewind(a, mark);
        for (unsigned n = 0; n < FILL; n++) { /* on to another span */
            fill(fief_arena_alloc(a, OTHER), OTHER, n);
        }
    }
    for (unsigned i = 0; i < SPANS; i++) {
        cr_assert(fief_seal(rt, a));
        cr_expect(holds(kept[i], 100, i) && fief_is_sealed(rt, kept[i]));
        char *later = fief_arena_alloc(a, OTHER);
        fill(later, OTHER, i);
        cr_expect(!fief_is_sealed(rt, later));
    }
    cr_assert(fief_unseal(rt, a));
    for (unsigned i = 0; i < SPANS; i++) {
        fill(kept[i], 100, i + 1);
    }
    fief_arena_reset(a);
    cr_expect_eq(saw.count, 0);
    cr_expect_eq(fief_close(rt), 0);
}

/* It is empty then, and a seal would keep the next unit from ending. */
Test(seal, the_compiler_arena_is_sealed_within_a_unit_alone)
{
    fief_runtime *rt = open_with(false, true);
    cr_expect(!fief_seal(rt, fief_compiler_arena(rt)));
    fief_unit unit = fief_unit_begin(rt);
    cr_expect_not_null(fief_temp(rt, char, 64));
    fief_unit_end(rt, unit);
    cr_expect(!fief_seal(rt, fief_compiler_arena(rt)));
    cr_expect_eq(fief_close(rt), 0);
    cr_expect_eq(saw.count, 0);
}

Test(seal, an_arena_with_room_and_no_block_is_sealed_and_goes_on)
{
    fief_runtime *rt = open_with(false, true);
    fief_arena *a = fief_arena_open(rt, &(fief_arena_config){.presize = 100000});
    cr_assert(fief_seal(rt, a));
    char *block = fief_arena_alloc(a, 100);
    fill(block, 100, 1);
    cr_expect(!fief_is_sealed(rt, block));
    cr_assert(fief_seal(rt, a));
    cr_expect(fief_is_sealed(rt, block));
    cr_expect(holds(block, 100, 1));
    cr_expect_eq(fief_close(rt), 0);
    cr_expect_eq(saw.count, 0);
}

Test(seal, a_cap_within_the_sealed_page_lets_nothing_in_there)
{
    fief_runtime *rt = open_with(false, true);
    fief_arena *a = fief_arena_open(rt, &(fief_arena_config){.max_bytes = 3000});
    char *block = fief_arena_alloc(a, 500);
    fill(block, 500, 1);
    cr_assert(fief_seal(rt, a));
    for (unsigned i = 0; i < 20; i++) {
        char *later = fief_arena_alloc(a, 200);
        cr_assert_not_null(later, "the heap stands in where the cap is reached");
        cr_expect(!fief_is_sealed(rt, later));
        fill(later, 200, i);
    }
    cr_expect(holds(block, 500, 1));
    cr_expect_eq(fief_close(rt), 0);
    cr_expect_eq(saw.count, 0);
}

Test(seal, a_close_that_is_refused_leaves_the_seal)
{
    saw.count = 0;
    fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = small_reserve,
                                                .user = &saw,
                                                .on_misuse = witness_misuse,
                                                .scan_percent = 100});
    fief_arena *a = fief_arena_open(rt, NULL), *other = fief_arena_open(rt, NULL);
    void **holder = fief_arena_make(other, void *, 4);
    void **block = fief_arena_make(a, void *, 4);
    memset(holder, 0, 4 * sizeof *holder);
    memset(block, 0, 4 * sizeof *block);
    holder[1] = block;
    cr_assert(fief_seal(rt, a));
    if (is_guarded()) {
        fief_arena_close(a);
        cr_expect(witness_saw(&saw, FIEF_MISUSE_DANGLING_AT_CLOSE));
        cr_expect(fief_is_sealed(rt, block));
        fief_store(rt, block, &block[1], holder);
        cr_expect(witness_saw(&saw, FIEF_MISUSE_SEALED_WRITE));
    }
    holder[1] = NULL;
    fief_arena_close(a);
    cr_expect_eq(saw.count, 0);
    cr_expect_eq(fief_close(rt), 0);
}

Test(seal, stores_are_looked_at_as_long_as_one_arena_is_sealed)
{
    fief_runtime *rt = open_with(false, true);
    fief_arena *arenas[2];
    void **blocks[2];
    for (unsigned i = 0; i < 2; i++) {
        arenas[i] = fief_arena_open(rt, NULL);
        blocks[i] = fief_arena_make(arenas[i], void *, 4);
        memset(blocks[i], 0, 4 * sizeof *blocks[i]);
        cr_assert(fief_seal(rt, arenas[i]));
    }
    cr_assert(fief_unseal(rt, arenas[0]));
    fief_store(rt, blocks[1], &blocks[1][0], NULL);
    cr_expect(witness_saw(&saw, FIEF_MISUSE_SEALED_WRITE));
    fief_store(rt, blocks[0], &blocks[0][0], blocks[0]);
    cr_expect_eq(blocks[0][0], (void *)blocks[0]);
    cr_assert(fief_unseal(rt, arenas[1]));
    cr_assert(fief_unseal(rt, arenas[1]), "there is nothing to undo");
    fief_store(rt, blocks[1], &blocks[1][0], NULL);
    cr_expect_eq(saw.count, 0);
    cr_expect_eq(fief_close(rt), 0);
}

static void *seal_from_there(void *argument)
{
    fief_runtime *rt = argument;
    cr_expect(!fief_unseal(rt, fief_vm_arena(rt)));
    cr_expect(!fief_seal(rt, fief_vm_arena(rt)));
    return NULL;
}

Test(seal, another_thread_is_refused_in_a_guarded_build)
{
    fief_runtime *rt = open_with(false, true);
    void *block = fief_new(rt, NAME, FIEF_CONSTANT, 40);
    cr_assert(fief_seal(rt, fief_vm_arena(rt)));
    if (is_guarded()) {
        pthread_t thread;
        cr_assert_eq(pthread_create(&thread, NULL, seal_from_there, rt), 0);
        cr_assert_eq(pthread_join(thread, NULL), 0);
        cr_expect_eq(saw.count, 2);
        cr_expect_eq(saw.last, FIEF_MISUSE_WRONG_THREAD);
    }
    cr_expect(fief_is_sealed(rt, block));
    cr_expect_eq(fief_close(rt), 0);
}

Test(seal, a_stack_a_buffer_and_a_capped_arena_are_refused)
{
    static _Alignas(4096) char bytes[8192];
    fief_runtime *rt = open_with(false, true);
    cr_expect(!fief_seal(rt, &fief_frame_stack(rt)->arena));
    fief_arena *own = fief_arena_open(rt, &(fief_arena_config){.buffer = bytes,
                                                               .buffer_size = sizeof bytes});
    cr_expect(!fief_seal(rt, own));
    fief_arena *capped = fief_arena_open(rt, &(fief_arena_config){.max_bytes = 64});
    (void)fief_arena_alloc(capped, 1000); /* the heap stands in */
    cr_expect(!fief_seal(rt, capped));
    cr_expect_eq(saw.count, 0);
    cr_expect(!fief_seal(rt, (fief_arena *)(void *)bytes));
    cr_expect(witness_saw(&saw, FIEF_MISUSE_WRONG_ARENA));
    cr_expect(!fief_unseal(rt, (fief_arena *)(void *)bytes));
    cr_expect(witness_saw(&saw, FIEF_MISUSE_WRONG_ARENA));
    fief_unit unit = fief_unit_begin(rt);
    (void)fief_temp(rt, int, 3);
    cr_assert(fief_seal(rt, fief_compiler_arena(rt)));
    fief_unit_end(rt, unit);
    cr_expect(witness_saw(&saw, FIEF_MISUSE_SEALED_WRITE), "the unit is sealed");
    cr_assert(fief_unseal(rt, fief_compiler_arena(rt)));
    fief_unit_end(rt, unit);
    cr_expect_eq(saw.count, 0);
    cr_expect_eq(fief_close(rt), 0);
}

Test(seal, a_kept_range_is_writable_for_the_next_runtime)
{
    fief_range *range = fief_range_open(small_reserve);
    for (unsigned i = 0; i < 3; i++) {
        fief_runtime *rt = fief_open(&(fief_config){.range = range, .kinds = kinds,
                                                    .kind_count = KINDS});
        fill(fief_new(rt, NAME, FIEF_CONSTANT, 50000), 50000, i);
        cr_assert(fief_seal(rt, fief_vm_arena(rt)));
        if (i == 1) {
            fief_drop(rt);
        } else {
            cr_expect_eq(fief_close(rt), 0);
        }
    }
    cr_assert(fief_range_close(range));
}
