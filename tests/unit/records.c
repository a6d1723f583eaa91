/* records: what config.record_ops leaves behind a report. That such a file replays to the misuse
 * that it tells of is tests of the fuzzer's (fuzz/check.py). */
#include "support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static char text[1 << 16], path[] = "/tmp/fief-record-XXXXXX";
static bool was_left; /* the report names the file */
static fief_runtime *rt;

static bool note_file(const fief_misuse *misuse, void *user)
{
    (void)user;
    was_left = misuse->operations != NULL && strcmp(misuse->operations, path) == 0;
    return true;
}

static void make_path(void)
{
    int file = mkstemp(path);
    cr_assert_geq(file, 0);
    close(file);
}

static void remove_path(void)
{
    unlink(path);
}

TestSuite(records, .init = make_path, .fini = remove_path);

static void open_with_table(const char *file, const fief_kind *kinds, unsigned count)
{
    rt = fief_open(&(fief_config){.reserve_bytes = small_reserve,
                                  .name = "recorded",
                                  .record_ops = file,
                                  .on_misuse = note_file,
                                  .kinds = kinds,
                                  .kind_count = count});
    cr_assert_not_null(rt);
}

static void open_recorded(const char *file)
{
    open_with_table(file, NULL, 0);
}

/* What the file says; a release runtime keeps no diary. */
static void read_record(void)
{
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
}

static size_t lines_with(const char *words)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, words)) != NULL; at++) {
        count++;
    }
    return count;
}

static void free_twice(void)
{
    char *block = fief_heap_alloc(fief_runtime_heap(rt), 40);
    fief_heap_free(fief_runtime_heap(rt), block, 40);
    was_left = false;
    fief_heap_free(fief_runtime_heap(rt), block, 40);
    cr_expect_eq(was_left, is_guarded());
    read_record();
}

static void expect_line(const char *line)
{
    cr_expect(!is_guarded() || strstr(text, line) != NULL, "no '%s' in:\n%s", line, text);
}

Test(records, ends_with_the_misuse)
{
    open_recorded(path);
    free_twice();
    expect_line("# fief: the last operations of runtime \"recorded\"\n");
    expect_line("alloc b95 40\n# misuse[double-free], operation 3: the block is free already\n"
                "double_free b95\n");
    fief_close(rt);
}

/* The host goes on, and what it does is in the next record; the call that was refused is not. */
Test(records, is_written_again_by_the_next_report)
{
    open_recorded(path);
    free_twice();
    (void)fief_heap_alloc_unsized(fief_runtime_heap(rt), 77);
    free_twice();
    expect_line("malloc b0 77\n");
    cr_expect_eq(lines_with("double_free"), is_guarded());
    fief_close(rt);
}

Test(records, a_file_that_can_not_be_written_is_not_named)
{
    static char long_path[600];
    memset(long_path, 'x', sizeof long_path - 1);
    const char *const files[] = {NULL, "", "/dev/full/there", "/dev/full", long_path};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        open_recorded(files[i]);
        char *block = fief_heap_alloc(fief_runtime_heap(rt), 40);
        was_left = true;
        if (is_guarded()) {
            fief_heap_free(fief_runtime_heap(rt), block, 41);
            cr_expect_not(was_left, "'%s'", files[i]);
        }
        fief_heap_free(fief_runtime_heap(rt), block, 40);
        cr_expect_eq(fief_close(rt), 0);
    }
}

/* The first is the vm arena's then, and outlives the second. */
Test(records, of_units_that_are_kept)
{
    open_recorded(path);
    fief_unit outer = fief_unit_begin(rt), inner = fief_unit_begin(rt);
    (void)fief_arena_alloc(fief_compiler_arena(rt), 100);
    cr_assert(fief_unit_keep(rt, inner));
    cr_assert(fief_unit_keep(rt, outer));
    outer = fief_unit_begin(rt);
    (void)fief_arena_alloc(fief_compiler_arena(rt), 200);
    fief_unit_end(rt, outer);
    free_twice();
    expect_line("unit_keep\n");
    if (is_guarded()) {
        cr_expect_eq(lines_with("unit_keep"), 2);
        cr_expect_eq(lines_with("unit_end"), 1);
    }
    fief_close(rt);
}

/* The language has so many handles of each; the others are left out. */
Test(records, more_than_there_are_handles)
{
    enum { MANY = 6, DEEP = 10 };
    fief_arena *arenas[MANY];
    fief_pool *pools[MANY];
    fief_unit units[DEEP];
    open_recorded(path);
    fief_stack *stacks[] = {fief_stack_open(rt, NULL), fief_stack_open(rt, NULL)};
    for (unsigned i = 0; i < MANY; i++) {
        arenas[i] = fief_arena_open(rt, NULL);
        pools[i] = fief_pool_open(rt, "own", 24 + 8 * i);
        (void)fief_arena_alloc(arenas[i], 100 + i);
        (void)fief_pool_take(pools[i]);
        (void)fief_arena_cleanup(arenas[i], free, NULL);
    }
    for (unsigned i = 0; i < DEEP; i++) {
        units[i] = fief_unit_begin(rt);
    }
    for (unsigned i = 0; i < 2; i++) {
        void *frame = fief_stack_push(stacks[i], 50 + i);
        cr_expect(fief_stack_pop(stacks[i], frame, 50 + i));
    }
    for (unsigned i = DEEP; i-- > 0;) {
        fief_unit_end(rt, units[i]);
    }
    for (unsigned i = 0; i < 100; i++) {
        (void)fief_heap_alloc(fief_runtime_heap(rt), 200);
    }
    fief_arena_reset(arenas[MANY - 1]);
    fief_arena_close(arenas[MANY - 1]);
    fief_pool_close(pools[MANY - 1]);
    free_twice();
    expect_line("double_free b95\n");
    if (is_guarded()) {
        cr_expect_eq(lines_with("arena_open"), 5, "four arenas and a stack");
        cr_expect_eq(lines_with("pool_open"), 4);
        cr_expect_eq(lines_with("-1"), 0, "a handle that is none in:\n%s", text);
    }
    fief_close(rt);
}

/* A table of more rows than the language has is the default one there. */
Test(records, of_a_large_table)
{
    static fief_kind kinds[40];
    for (unsigned i = 0; i < 40; i++) {
        static char names[40][8];
        (void)snprintf(names[i], sizeof names[i], "k%u", i);
        kinds[i] = (fief_kind){.name = names[i], .any = FIEF_HEAP};
    }
    kinds[39] = (fief_kind){.name = "slots", .any = FIEF_POOL, .size = 64};
    open_with_table(path, kinds, 40);
    (void)fief_new(rt, 20, FIEF_DYNAMIC, 30);
    free_twice();
    expect_line("# The table has 40 rows: the default one stands for it.\n");
    cr_expect_eq(lines_with("\nrow "), 0);
    cr_expect_null(fief_new(rt, 39, FIEF_DYNAMIC, 65));
    read_record();
    expect_line("# misuse[wrong-size]");
    fief_close(rt);
}

/* A release build has freed twice what was freed twice. */
static void expect_close(void)
{
    size_t leaked = fief_close(rt);
    cr_expect(!is_guarded() || leaked == 0);
}

/* Blocks that were made before the calls that are kept, and freed since. */
Test(records, what_was_made_long_before)
{
    enum { KEPT = 256 };
    open_recorded(path);
    fief_arena *arena = fief_arena_open(rt, NULL);
    char *early = fief_heap_alloc_unsized(fief_runtime_heap(rt), 100);
    char *none = NULL;
    for (unsigned i = 0; i < KEPT; i++) {
        (void)fief_check(rt);
    }
    fief_arena_cleanup(arena, free, NULL);
    early = fief_heap_resize_unsized(fief_runtime_heap(rt), early, 5000);
    none = fief_heap_resize_unsized(fief_runtime_heap(rt), none, 70);
    fief_release(rt, early);
    free_twice();
    expect_line("arena_open a3 0\n");
    expect_line("resize b");
    fief_release(rt, none);
    fief_close(rt);
}

Test(records, what_was_made_of_no_kind_is_allocated)
{
    enum { KEPT = 256 };
    static const fief_kind kinds[] = {{.name = "any", .any = FIEF_HEAP}};
    open_with_table(path, kinds, 1);
    void *early = fief_heap_alloc(fief_runtime_heap(rt), 104);
    for (unsigned i = 0; i < KEPT; i++) {
        (void)fief_check(rt);
    }
    fief_free(rt, 0, early, 104);
    free_twice();
    expect_line("alloc b0 104\n");
    cr_expect_eq(lines_with("\nnew "), 0);
    expect_close();
}

Test(records, a_limit_that_was_set)
{
    rt = fief_open(&(fief_config){.reserve_bytes = small_reserve, .record_ops = path,
                                  .on_misuse = note_file, .count_blocks = true});
    cr_assert(fief_limit_set(rt, FIEF_HEAP, 100000));
    free_twice();
    expect_line("limit heap 100000\n");
    expect_close();
}

static void misuse_and_end(void)
{
    rt = fief_open(&(fief_config){.reserve_bytes = small_reserve, .record_ops = path});
    fief_heap_free(fief_runtime_heap(rt), path, 8);
}

Test(records, is_told_in_the_text)
{
    FILE *file = tmpfile();
    cr_assert_not_null(file);
    pid_t child = fork();
    if (child == 0) {
        dup2(fileno(file), STDERR_FILENO);
        misuse_and_end();
        _exit(0);
    }
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    cr_expect(!is_guarded() || WIFSIGNALED(status));
    char line[100];
    (void)snprintf(line, sizeof line, "last operations: ./dev replay %s\n", path);
    expect_line(line);
}
