/* reports: what is written to stderr, and where a misuse is said to have happened. */
#include "support.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static char text[4096];

/* Runs `act` in a child whose stderr is a file, and reads what it wrote; the child's status. */
static int run_apart(void (*act)(void))
{
    FILE *file = tmpfile();
    cr_assert_not_null(file);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        dup2(fileno(file), STDERR_FILENO);
        act();
        _exit(0);
    }
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return status;
}

/* In the text as one line with single spaces: long lines of a report are wrapped. */
static void expect_line(const char *line)
{
    static char found[sizeof text], wanted[sizeof text];
    one_line(text, found);
    one_line(line, wanted);
    cr_expect_not_null(strstr(found, wanted), "no '%s' in:\n%s", line, text);
}

/* ---- leaks ---- */

static void leak_counted(void)
{
    fief_runtime *rt = fief_open(
        &(fief_config){.reserve_bytes = small_reserve, .name = "leaky", .count_blocks = true});
    for (int i = 0; i < 3; i++) {
        (void)fief_new(rt, FIEF_KIND_PAIR, FIEF_DYNAMIC, 48);
    }
    (void)fief_new(rt, FIEF_KIND_LIST, FIEF_DYNAMIC, 320);
    (void)fief_heap_alloc(fief_runtime_heap(rt), 1000);
    (void)fief_new(rt, FIEF_KIND_STRING, FIEF_LITERAL, 33); /* dies with the vm: no leak */
    (void)fief_stack_push(fief_frame_stack(rt), 10);
    (void)fief_pool_take(fief_pool_open(rt, "own pool", 24));
    _exit((int)fief_close(rt));
}

static void drop_live_blocks(void)
{
    fief_runtime *rt = fief_open(
        &(fief_config){.reserve_bytes = small_reserve, .name = "leaky", .count_blocks = true});
    (void)fief_new(rt, FIEF_KIND_PAIR, FIEF_DYNAMIC, 48);
    (void)fief_new(rt, FIEF_KIND_LIST, FIEF_DYNAMIC, 320);
    fief_drop(rt);
    fief_drop(NULL);
}

static void what_is_dropped_is_no_leak(void)
{
    cr_expect_eq(run_apart(drop_live_blocks), 0);
    cr_expect_str_empty(text);
}

static void leak_uncounted(void)
{
    fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = small_reserve, .name = "leaky"});
    (void)fief_new(rt, FIEF_KIND_LIST, FIEF_DYNAMIC, 320);
    (void)fief_new(rt, FIEF_KIND_PAIR, FIEF_DYNAMIC, 48);
    bool guarded = is_guarded();
    (void)fief_close(rt);
    _exit(guarded ? 1 : 0);
}

/* A guarded build adds places and numbers to these lines. */
static void leaks_are_told_by_kind_and_strategy(void)
{
    int status = run_apart(leak_counted);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 6, "6 blocks leaked");
    expect_line("fief: misuse[leak]: runtime \"leaky\" closed with 6 blocks, 1488 bytes alive\n");
    expect_line("        3       144  pair             pool ");
    expect_line("        1       320  list             heap ");
    expect_line("        1      1000  (no kind)        heap ");
    expect_line("        1        24  ");
    expect_line("SUMMARY: fief: leak 6 blocks 1488 bytes");
    cr_expect_null(strstr(text, "string"));
}

static void leaks_that_were_not_counted_say_how_to_count(void)
{
    bool guarded = WEXITSTATUS(run_apart(leak_uncounted)) == 1;
    expect_line("        1        48  pair             pool ");
    expect_line(guarded ? "        1       320  list             heap "
                        : "        1       320  (not counted)    heap ");
    expect_line(guarded ? "SUMMARY: fief: leak 2 blocks 368 bytes" : ".count_blocks = true");
}

/* A report shows twenty rows. */
static void leak_many_kinds(void)
{
    enum { MANY = 24 };
    static char names[MANY][8];
    static fief_kind kinds[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(names[i], sizeof names[i], "kind%u", i);
        kinds[i] = (fief_kind){.name = names[i], .any = FIEF_HEAP};
    }
    fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = small_reserve,
                                                .kinds = kinds,
                                                .kind_count = MANY,
                                                .count_blocks = true});
    for (unsigned i = 0; i < MANY; i++) {
        (void)fief_new(rt, i, FIEF_DYNAMIC, 16 + i);
    }
    _exit((int)fief_close(rt));
}

static void leaks_of_many_kinds_are_cut(void)
{
    cr_expect_eq(WEXITSTATUS(run_apart(leak_many_kinds)), 24);
    expect_line("  4 more");
    expect_line("24 blocks");
}

/* A host that hears of a leak: what it is told, and that nothing is printed then. */
typedef struct heard {
    unsigned times;
    size_t blocks, bytes, rows;
    char json[4096];
} heard;

static bool hear(const fief_misuse *m, void *user)
{
    heard *h = user;
    h->times += m->class_id == FIEF_MISUSE_LEAK && m->leaks != NULL;
    h->blocks = m->leaks->blocks;
    h->bytes = m->leaks->bytes;
    h->rows = m->leaks->count;
    (void)fief_misuse_json(m, h->json, sizeof h->json);
    return h->blocks == 2;
}

static void leak_to_the_host(void)
{
    for (size_t blocks = 2; blocks <= 3; blocks++) {
        heard h = {0};
        fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = small_reserve,
                                                    .count_blocks = true,
                                                    .on_misuse = hear,
                                                    .user = &h});
        for (size_t i = 0; i < blocks; i++) {
            (void)fief_new(rt, FIEF_KIND_LIST, FIEF_DYNAMIC, 320);
        }
        size_t leaked = fief_close(rt);
        bool told = h.times == 1 && h.blocks == blocks && h.bytes == 320 * blocks && h.rows == 1;
        bool written = strstr(h.json, "\"leaks\":{\"blocks\":") != NULL &&
                       strstr(h.json, "\"kind\":\"list\"") != NULL;
        if (leaked != blocks || !told || !written) {
            _exit(1);
        }
    }
}

static void a_leak_is_told_to_the_host(void)
{
    cr_expect_eq(run_apart(leak_to_the_host), 0);
    expect_line("closed with 3 blocks, 960 bytes alive");
    cr_expect_null(strstr(text, "2 blocks"), "%s", text);
}

static bool hear_all(const fief_misuse *m, void *user)
{
    heard *h = user;
    h->times++;
    (void)fief_misuse_json(m, h->json, sizeof h->json);
    return true;
}

static void a_leaks_json_has_a_row_for_each_kind_if_blocks_are_counted(void)
{
    for (int counts = 0; counts < 2; counts++) {
        heard h = {0};
        fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = small_reserve,
                                                    .count_blocks = counts != 0,
                                                    .on_misuse = hear_all,
                                                    .user = &h});
        (void)fief_new(rt, FIEF_KIND_LIST, FIEF_DYNAMIC, 320);
        (void)fief_new(rt, FIEF_KIND_VECTOR, FIEF_DYNAMIC, 160);
        (void)fief_close(rt);
        bool counted = counts != 0 || is_guarded();
        cr_expect_eq(h.times, 1);
        cr_expect_not_null(strstr(h.json, counted ? "\"counted\":true" : "\"counted\":false"), "%s",
                           h.json);
        cr_expect(!counted || (strstr(h.json, "\"rows\":[{\"kind\":\"") != NULL &&
                               strstr(h.json, "},{\"kind\":\"") != NULL),
                  "%s", h.json);
    }
}

/* In a guarded build the call stops for a debugger, before it has done anything. */
static void break_at_the_third(void)
{
    fief_runtime *rt =
        fief_open(&(fief_config){.reserve_bytes = small_reserve, .break_at_operation = 3});
    for (int i = 0; i < 4; i++) {
        (void)fief_new(rt, FIEF_KIND_LIST, FIEF_DYNAMIC, 16);
        (void)!write(STDERR_FILENO, "*", 1);
    }
}

Test(reports, an_operation_may_stop_for_a_debugger)
{
    int status = run_apart(break_at_the_third);
    cr_expect(is_guarded() ? WIFSIGNALED(status) && WTERMSIG(status) == SIGTRAP : status == 0);
    cr_expect_str_eq(text, is_guarded() ? "**" : "****");
}

Test(reports, leaks)
{
    a_leak_is_told_to_the_host();
    a_leaks_json_has_a_row_for_each_kind_if_blocks_are_counted();
    leaks_are_told_by_kind_and_strategy();
    what_is_dropped_is_no_leak();
    leaks_that_were_not_counted_say_how_to_count();
    leaks_of_many_kinds_are_cut();
}

/* ---- misuse ---- */

static void free_a_literal(void)
{
    fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = small_reserve, .name = "clumsy"});
    fief_free(rt, FIEF_KIND_STRING, fief_new(rt, FIEF_KIND_STRING, FIEF_LITERAL, 8), 8);
}

static bool decline(const fief_misuse *misuse, void *user)
{
    (void)misuse;
    (void)user;
    return false;
}

static void pop_nothing(void)
{
    static char nothing[16];
    fief_runtime *rt =
        fief_open(&(fief_config){.reserve_bytes = small_reserve, .on_misuse = decline});
    (void)fief_stack_pop(fief_frame_stack(rt), nothing, 16);
}

Test(reports, misuse_is_printed_and_ends_the_process)
{
    int status = run_apart(free_a_literal);
    cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    expect_line("fief: misuse[wrong-allocator]: fief_free(string) was given a block of "
                "the vm arena");
    expect_line("runtime \"clumsy\", thread ");
    expect_line(", fief " FIEF_VERSION " ");
    expect_line("SUMMARY: fief: wrong-allocator");
    status = run_apart(pop_nothing);
    cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "the handler had declined");
    expect_line("SUMMARY: fief: not-lifo");
}

/* ---- colour, and the form for programs ---- */

static char json[8192];
static size_t json_length;

/* As deep as a stack can be, whether or not this test was built with frame pointers. */
static bool note_json(const fief_misuse *misuse, void *user)
{
    (void)user;
    fief_misuse deep = *misuse;
    deep.used.count = FIEF_DEPTH_MAX;
    for (size_t i = 1; i < FIEF_DEPTH_MAX; i++) {
        deep.used.frames[i] = deep.used.frames[0];
    }
    json_length = fief_misuse_json(&deep, json, sizeof json);
    (void)fief_misuse_text(misuse, text, sizeof text);
    return true;
}

static void report_once(bool color)
{
    fief_runtime *rt = fief_open(&(fief_config){
        .reserve_bytes = small_reserve, .on_misuse = note_json, .color = color});
    fief_free(rt, FIEF_KIND_STRING, fief_new(rt, FIEF_KIND_STRING, FIEF_LITERAL, 8), 8);
    cr_expect_eq(fief_close(rt), 0);
}

Test(reports, color_is_the_hosts_choice)
{
    report_once(false);
    cr_expect_null(strchr(text, '\033'), "%s", text);
    report_once(true);
    expect_line("misuse[\033[1;31mwrong-allocator\033[0m]: ");
    expect_line("\033[36mhelp: ");
}

Test(reports, json_is_one_line_under_4_kib)
{
    report_once(false);
    cr_expect_lt(json_length, 4096);
    cr_expect_eq(json_length, strlen(json));
    cr_expect_null(strchr(json, '\n'));
    char thread[40];
    (void)snprintf(thread, sizeof thread, "\"thread\":%d,", (int)getpid());
    cr_expect_not_null(strstr(json, thread), "%s", json);
    cr_expect_not_null(strstr(json, "\"access\":\"call\""));
    cr_expect_not_null(strstr(json, "\"dedup\":\"wrong-allocator"));
    cr_expect_not_null(strstr(json, "\"omitted\":12}"), "16 frames, 4 are shown: %s", json);
}

/* ---- whose end it was ---- */

static bool describes(const void *block, const char *line)
{
    (void)fief_describe(block, text, sizeof text);
    return strstr(text, line) != NULL;
}

Test(reports, the_unit_that_killed_a_block_is_named)
{
    fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = small_reserve});
    fief_unit outer = fief_unit_begin_named(rt, "main.lox");
    char *p = fief_temp(rt, char, 40);
    fief_unit inner = fief_unit_begin_named(
        rt, "a/path/that/is/longer/than/what/a/report/has/room/for/of/it/inner.lox");
    char *q = fief_temp(rt, char, 40);
    fief_unit_end(rt, inner);
    cr_expect(!is_guarded() || describes(q, "/of/it/inner.lox\"\n"), "%s", text);
    cr_expect(!is_guarded() || describes(q, ", end of unit 2 \""), "%s", text);
    fief_unit_end(rt, outer);
    cr_expect(!is_guarded() || describes(p, ", end of unit 1 \"main.lox\"\n"), "%s", text);
    fief_unit nameless = fief_unit_begin_named(rt, NULL);
    char *r = fief_temp(rt, char, 40);
    fief_unit_end(rt, nameless);
    cr_expect(!is_guarded() || describes(r, ", end of unit 3\n"), "%s", text);
    cr_expect_eq(fief_close(rt), 0);
}

/* Of nested units the outer ones are noted, and of those that ended the last. */
Test(reports, units_have_names_as_far_as_they_are_noted)
{
    enum { DEEP = 40, NESTED = 32, ENDED = 256 };
    char name[DEEP][20], *blocks[DEEP];
    fief_unit units[DEEP];
    fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = small_reserve});
    for (unsigned i = 0; i < DEEP; i++) {
        (void)snprintf(name[i], sizeof name[i], "unit-%u.lox", i);
        units[i] = fief_unit_begin_named(rt, name[i]);
        blocks[i] = fief_temp(rt, char, 40);
    }
    for (unsigned i = DEEP; i-- > 0;) {
        fief_unit_end(rt, units[i]);
    }
    for (unsigned i = 0; i < NESTED; i++) {
        cr_expect(!is_guarded() || describes(blocks[i], name[i]), "%u: %s", i, text);
    }
    for (unsigned i = NESTED; i < DEEP; i++) {
        cr_expect(!is_guarded() || describes(blocks[i], "died at\n"), "%u: too deep: %s", i, text);
    }
    for (unsigned i = 0; i < ENDED; i++) {
        fief_unit later = fief_unit_begin(rt);
        cr_assert_not_null(fief_temp(rt, char, 40));
        fief_unit_end(rt, later);
    }
    cr_expect(!describes(blocks[0], name[0]), "it ended long ago: %s", text);
    cr_expect_eq(fief_close(rt), 0);
}

/* Each call is from another place of the host's program: more stacks than the depot's first MiB
 * holds, and the last is known as well as the first. */
static uint64_t next_place(void *user)
{
    return ++*(uint64_t *)user;
}

static size_t place_text(uint64_t where, char *buffer, size_t size, void *user)
{
    (void)user;
    return (size_t)snprintf(buffer, size, "script.lua:%u", (unsigned)where);
}

Test(reports, sites_are_known_however_many_there_are)
{
    enum { PLACES = 40000, FEW_UNDER_VALGRIND = 8000 };
    unsigned places = RUNNING_ON_VALGRIND ? FEW_UNDER_VALGRIND : PLACES;
    uint64_t place = 0;
    char last[40], *block = NULL;
    fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = small_reserve,
                                                .where = next_place,
                                                .where_text = place_text,
                                                .stack_depth = 16,
                                                .user = &place});
    for (unsigned i = 0; i < places; i++) {
        fief_release(rt, block);
        block = fief_malloc(rt, 40);
    }
    (void)snprintf(last, sizeof last, "script.lua:%u", (unsigned)place);
    cr_expect(!is_guarded() || describes(block, last), "%s is not in %s", last, text);
    fief_release(rt, block);
    cr_expect_eq(fief_close(rt), 0);
}

/* Of two that differ by a byte in length one is cut in the middle of a character. */
Test(reports, a_units_long_name_is_cut_between_characters)
{
    enum { MANY = 100 };
    char name[2 * MANY + 2] = "";
    for (size_t i = 0; i < MANY; i++) {
        memcpy(name + 2 * i, "\xC3\xA9", 2);
    }
    fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = small_reserve});
    for (unsigned end = 0; end < 2; end++) {
        name[2 * (size_t)MANY] = end == 0 ? '\0' : 'x';
        fief_unit unit = fief_unit_begin_named(rt, name);
        char *p = fief_temp(rt, char, 40);
        fief_unit_end(rt, unit);
        cr_expect(!is_guarded() || describes(p, " \"\xC3\xA9"), "%s", text);
        cr_expect(!is_guarded() || !describes(p, " \"\xA9"), "%s", text);
    }
    cr_expect_eq(fief_close(rt), 0);
}

Test(reports, a_dangling_pointer_names_the_unit_that_ends)
{
    static void *global;
    fief_runtime *rt =
        fief_open(&(fief_config){.reserve_bytes = small_reserve, .on_misuse = note_json});
    json[0] = '\0';
    cr_assert(fief_root_add(rt, &global, sizeof global, "global"));
    fief_unit unit = fief_unit_begin_named(rt, "main.lox");
    global = fief_temp(rt, char, 40);
    fief_unit_end(rt, unit);
    global = NULL;
    if (is_guarded()) {
        expect_line("the compiler arena, unit 1 \"main.lox\", where");
        expect_line("  note: compiler-arena blocks live until their unit ends\n");
        const char *fields[] = {"\"unit\":{\"number\":1,\"name\":\"main.lox\"}", "\"repeats\":0",
                                "\"note\":\"compiler-arena blocks", "\"address\":\"0x"};
        for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
            cr_expect_not_null(strstr(json, fields[i]), "no %s in %s", fields[i], json);
        }
        fief_unit_end(rt, unit);
    }
    cr_expect_eq(fief_close(rt), 0);
}

/* ---- the host's own line ---- */

static const void *used_at;

static bool note_place(const fief_misuse *misuse, void *user)
{
    (void)user;
    used_at = misuse->used.count != 0 ? misuse->used.frames[0] : NULL;
    return true;
}

/* Functions in a section of their own: an address says whether it is one of theirs. */
#define APART __attribute__((noinline, section("apart")))
extern const char __start_apart[], __stop_apart[];
/* Keeps the call from becoming a jump, whose return address would be the caller's. */
#define STAY __asm__ volatile("")

static char foreign[64];

APART static void use_heap_free(fief_runtime *rt)
{
    fief_heap_free(fief_runtime_heap(rt), foreign, 2000);
    STAY;
}

APART static void use_release(fief_runtime *rt)
{
    fief_release(rt, foreign);
    STAY;
}

APART static void use_realloc(fief_runtime *rt)
{
    (void)fief_realloc(rt, foreign, 10);
    STAY;
}

APART static void use_free(fief_runtime *rt)
{
    fief_free(rt, FIEF_KIND_STRING, foreign, 2000);
    STAY;
}

APART static void use_pop(fief_runtime *rt)
{
    (void)fief_stack_pop(fief_frame_stack(rt), foreign, 8);
    STAY;
}

APART static void use_temp(fief_runtime *rt)
{
    (void)fief_temp(rt, int, 3);
    STAY;
}

APART static void use_new(fief_runtime *rt)
{
    (void)fief_new(rt, 999, FIEF_DYNAMIC, 3);
    STAY;
}

APART static void use_align(fief_runtime *rt)
{
    (void)fief_arena_alloc_aligned(fief_vm_arena(rt), 3, 24);
    STAY;
}

APART static void use_strdup(fief_runtime *rt)
{
    (void)fief_strdup(rt, FIEF_TEMPORARY, "no unit is open");
    STAY;
}

APART static void use_resize(fief_runtime *rt)
{
    (void)fief_resize(rt, FIEF_KIND_LIST, foreign, 2000, 3000);
    STAY;
}

Test(reports, a_misuse_names_the_hosts_own_line)
{
    void (*const uses[])(fief_runtime *) = {use_heap_free, use_release, use_realloc, use_free,
                                            use_pop,       use_temp,    use_new,     use_align,
                                            use_strdup,    use_resize};
    fief_runtime *rt =
        fief_open(&(fief_config){.reserve_bytes = small_reserve, .on_misuse = note_place});
    for (size_t i = 0; i < sizeof uses / sizeof uses[0]; i++) {
        used_at = NULL;
        uses[i](rt);
        const char *place = used_at;
        cr_expect(place > __start_apart && place < __stop_apart, "use %zu: at %p", i, used_at);
        cr_expect((uintptr_t)place > (uintptr_t)uses[i], "use %zu: at %p", i, used_at);
    }
    cr_expect_eq(fief_close(rt), 0);
}

/* More kinds than a report has rows for, each with a name that takes much of it. */
static void leak_long_names(void)
{
    enum { MANY = 300, LONG = 600 };
    static char names[MANY][LONG];
    static fief_kind kinds[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        memset(names[i], 'k', LONG - 1);
        (void)snprintf(names[i], 8, "%06u", i);
        names[i][6] = 'k';
        kinds[i] = (fief_kind){.name = names[i], .any = FIEF_HEAP};
    }
    fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = small_reserve,
                                                .kinds = kinds,
                                                .kind_count = MANY,
                                                .count_blocks = true});
    for (unsigned i = 0; i < MANY; i++) {
        (void)fief_new(rt, i, FIEF_DYNAMIC, 16);
    }
    _exit(fief_close(rt) == MANY ? 0 : 1);
}

static void leak_without_memory(void)
{
    fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = small_reserve});
    (void)fief_new(rt, FIEF_KIND_LIST, FIEF_DYNAMIC, 320);
    (void)setrlimit(RLIMIT_AS, &(struct rlimit){1, 1});
    _exit(fief_close(rt) == 1 ? 0 : 1);
}

Test(reports, leaks_that_fill_the_text_are_cut)
{
    cr_expect_eq(run_apart(leak_long_names), 0);
    expect_line("closed with 300 blocks, 4800 bytes alive\n");
}

Test(reports, leaks_are_told_without_memory)
{
    if (has_a_tools_memory() && strcmp(fief_mode(), "ASan-annotated") != 0) {
        cr_skip("the tool has no memory either");
    }
    cr_expect_eq(run_apart(leak_without_memory), 0);
    expect_line("fief: misuse[leak], and no memory to tell more\n");
}

/* The block that was made first of a row need not be the one that lies first. */
static void leak_out_of_order(void)
{
    fief_runtime *rt = fief_open(
        &(fief_config){.reserve_bytes = small_reserve, .quarantine_bytes = 1});
    void *blocks[4];
    for (int i = 0; i < 4; i++) {
        if (i == 3) {
            fief_free(rt, FIEF_KIND_LIST, blocks[0], 320);
        }
        blocks[i] = fief_new(rt, FIEF_KIND_LIST, FIEF_DYNAMIC, 320);
    }
    bool reused = blocks[3] == blocks[0];
    (void)fief_close(rt);
    _exit(reused ? 0 : 1);
}

Test(reports, the_first_of_a_row_is_the_oldest)
{
    if (is_guarded()) {
        cr_expect_eq(run_apart(leak_out_of_order), 0, "the block was not made again");
        expect_line("        3       960  list             heap ");
        expect_line("(first: op 2)");
    }
}
