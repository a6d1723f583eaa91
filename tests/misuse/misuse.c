/* misuse: one tiny program a row, each with its control: the same program without the mistake. A row
 * runs in a process of its own, with the report as a user would get it; its class must be the one
 * that the row names, and the sites must be the lines that the row marks. The control must be silent
 * and end with status 0.
 *
 *     test-misuse            every row, as TAP
 *     test-misuse --json     one object a line, for ./dev misuse
 *     test-misuse ROW        one row in this process, its report on stderr */
#include <fief/fief.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAIR, TEXT, NODE, SLOTLESS, KINDS };
static const fief_kind kinds[KINDS] = {
    [PAIR] = {.name = "pair", .size = 48, .any = FIEF_POOL},
    [TEXT] = {.name = "text", .any = FIEF_HEAP, .in = {[FIEF_LITERAL] = FIEF_VM_ARENA}},
    [NODE] = {.name = "node", .any = FIEF_COMPILER_ARENA},
    [SLOTLESS] = {.name = "slotless", .in = {[FIEF_DYNAMIC] = FIEF_HEAP}},
};

static fief_runtime *rt;
static fief_heap *heap;

/* The sites that a row asserts: the lines of these two statements. */
static int made_line, wrong_line;
#define MADE(statement)       \
    do {                      \
        made_line = __LINE__; \
        statement;            \
    } while (0)
#define WRONG(statement)          \
    do {                          \
        wrong_line = __LINE__;    \
        if (mistaken) {           \
            statement;            \
            __asm__ volatile(""); \
        }                         \
    } while (0)
/* The mistake was made before; this is where it is noticed. */
#define NOTICED(statement)     \
    do {                       \
        wrong_line = __LINE__; \
        statement;             \
        __asm__ volatile("");  \
    } while (0)

/* ---- rows ---- */

static void overflow_heap(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 40));
    p[mistaken ? 40 : 39] = 1;
    NOTICED(fief_heap_free(heap, p, 40));
}

static void overflow_unaligned_end(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 13));
    p[mistaken ? 13 : 12] = 1;
    NOTICED(fief_heap_free(heap, p, 13));
}

static void underflow_heap(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 40));
    p[mistaken ? -1 : 0] = 1;
    NOTICED(fief_heap_free(heap, p, 40));
}

static void overflow_pool(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, PAIR, FIEF_DYNAMIC, 48));
    p[mistaken ? 48 : 47] = 1;
    NOTICED(fief_free(rt, PAIR, p, 48));
}

static void overflow_unit(bool mistaken)
{
    fief_unit unit = fief_unit_begin(rt);
    char *p;
    MADE(p = fief_temp(rt, char, 20));
    p[mistaken ? 20 : 19] = 1;
    NOTICED(fief_unit_end(rt, unit));
}

static void overflow_checked(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 3000));
    char kept = p[3000];
    p[3000] = mistaken ? 1 : kept;
    WRONG((void)fief_check(rt));
    p[3000] = kept;
    fief_heap_free(heap, p, 3000);
}

static void write_after_free_heap(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 64));
    fief_heap_free(heap, p, 64);
    p[8] = mistaken ? 1 : p[8];
    WRONG((void)fief_check(rt));
}

static void write_after_free_pool(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, PAIR, FIEF_DYNAMIC, 48));
    fief_free(rt, PAIR, p, 48);
    p[8] = mistaken ? 1 : p[8];
    WRONG((void)fief_check(rt));
}

static void double_free_heap(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 40));
    fief_heap_free(heap, p, 40);
    WRONG(fief_heap_free(heap, p, 40));
}

static void double_free_pool(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, PAIR, FIEF_DYNAMIC, 48));
    fief_free(rt, PAIR, p, 48);
    WRONG(fief_free(rt, PAIR, p, 48));
}

static void double_free_unsized(bool mistaken)
{
    char *p;
    MADE(p = fief_malloc(rt, 100));
    fief_release(rt, p);
    WRONG(fief_release(rt, p));
}

static void double_free_medium(bool mistaken)
{
    char *p;
    MADE(p = fief_malloc(rt, 5000));
    fief_release(rt, p);
    WRONG(fief_release(rt, p));
}

static void double_free_inside(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 64));
    fief_heap_free(heap, p, 64);
    WRONG(fief_heap_free(heap, p + 16, 48));
}

static void resize_of_a_freed_block(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 64));
    fief_heap_free(heap, p, 64);
    WRONG((void)fief_heap_resize(heap, p, 64, 128));
}

static void interior_heap(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 64));
    WRONG(fief_heap_free(heap, p + 8, 56));
    fief_heap_free(heap, p, 64);
}

static void interior_pool(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, PAIR, FIEF_DYNAMIC, 48));
    WRONG(fief_free(rt, PAIR, p + 8, 48));
    fief_free(rt, PAIR, p, 48);
}

static void stack_address(bool mistaken)
{
    int here = 0;
    void *volatile p = &here;
    WRONG(fief_heap_free(heap, p, sizeof here));
}

static void foreign_pointer(bool mistaken)
{
    static int there;
    WRONG(fief_release(rt, &there));
}

static void arena_block_to_the_heap(bool mistaken)
{
    char *p;
    MADE(p = fief_arena_alloc(fief_vm_arena(rt), 32));
    WRONG(fief_heap_free(heap, p, 32));
}

static void literal_freed_as_dynamic(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, TEXT, FIEF_LITERAL, 32));
    WRONG(fief_free(rt, TEXT, p, 32));
}

static void heap_block_to_a_pool(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 48));
    WRONG(fief_free(rt, PAIR, p, 48));
    fief_heap_free(heap, p, 48);
}

static void slot_to_another_pool(bool mistaken)
{
    fief_pool *other = fief_pool_open(rt, "other", 48);
    char *p;
    MADE(p = fief_new(rt, PAIR, FIEF_DYNAMIC, 48));
    WRONG(fief_pool_give(other, p));
    fief_free(rt, PAIR, p, 48);
}

static void wrong_size_heap(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 64));
    WRONG(fief_heap_free(heap, p, 60));
    fief_heap_free(heap, p, 64);
}

static void wrong_size_pool(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, PAIR, FIEF_DYNAMIC, 40));
    WRONG(fief_free(rt, PAIR, p, 48));
    fief_free(rt, PAIR, p, 40);
}

static void wrong_kind(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, SLOTLESS, FIEF_DYNAMIC, 64));
    WRONG(fief_free(rt, TEXT, p, 64));
    fief_free(rt, SLOTLESS, p, 64);
}

static void unit_order(bool mistaken)
{
    fief_unit outer = fief_unit_begin(rt), inner = fief_unit_begin(rt);
    WRONG(fief_unit_end(rt, outer));
    fief_unit_end(rt, inner);
    fief_unit_end(rt, outer);
}

static void not_lifo(bool mistaken)
{
    fief_stack *frames = fief_frame_stack(rt);
    char *older, *newer;
    MADE(older = fief_stack_push(frames, 32));
    newer = fief_stack_push(frames, 32);
    WRONG((void)fief_stack_pop(frames, older, 32));
    (void)fief_stack_pop(frames, newer, 32);
}

static void mark_of_another_arena(bool mistaken)
{
    fief_arena *a = fief_arena_open(rt, NULL), *b = fief_arena_open(rt, NULL);
    (void)fief_arena_alloc(a, 10);
    (void)fief_arena_alloc(b, 10);
    fief_mark mark = fief_arena_mark(a);
    WRONG(fief_arena_rewind(b, mark));
    fief_arena_rewind(a, mark);
}

static void stale_mark(bool mistaken)
{
    fief_arena *a = fief_arena_open(rt, NULL);
    (void)fief_arena_alloc(a, 10);
    fief_mark early = fief_arena_mark(a);
    (void)fief_arena_alloc(a, 10);
    fief_mark late = fief_arena_mark(a);
    fief_arena_rewind(a, early);
    WRONG(fief_arena_rewind(a, late));
}

static char *node_of_an_ended_unit(void)
{
    fief_unit unit = fief_unit_begin(rt);
    char *p;
    MADE(p = fief_new(rt, NODE, FIEF_DYNAMIC, 40));
    fief_unit_end(rt, unit);
    return p;
}

static void read_after_reset(bool mistaken)
{
    volatile char *p = node_of_an_ended_unit();
    WRONG((void)p[8]);
}

static void write_after_reset(bool mistaken)
{
    volatile char *p = node_of_an_ended_unit();
    WRONG(p[8] = 1);
}

static void read_after_rewind(bool mistaken)
{
    fief_arena *a = fief_vm_arena(rt);
    (void)fief_arena_alloc(a, 10);
    fief_mark mark = fief_arena_mark(a);
    volatile char *p;
    MADE(p = fief_arena_alloc(a, 20000));
    fief_arena_rewind(a, mark);
    WRONG((void)p[15000]);
}

static void write_after_rewind_shared_page(bool mistaken)
{
    fief_arena *a = fief_arena_open(rt, NULL);
    (void)fief_arena_alloc(a, 10);
    fief_mark mark = fief_arena_mark(a);
    volatile char *p;
    MADE(p = fief_arena_alloc(a, 100));
    fief_arena_rewind(a, mark);
    p[50] = mistaken ? 1 : p[50];
    NOTICED(fief_arena_reset(a));
}

static void read_after_close(bool mistaken)
{
    fief_runtime *other = fief_open(NULL);
    volatile char *p;
    MADE(p = fief_arena_alloc(fief_vm_arena(other), 40));
    (void)fief_close(other);
    WRONG((void)p[8]);
}

static void use_of_a_closed_runtime(bool mistaken)
{
    fief_runtime *other = fief_open(NULL);
    (void)fief_close(other);
    WRONG((void)fief_malloc(other, 10));
}

static void close_twice(bool mistaken)
{
    fief_runtime *other = fief_open(NULL);
    (void)fief_close(other);
    WRONG((void)fief_close(other));
}

static void *allocate_elsewhere(void *unused)
{
    (void)unused;
    free(fief_heap_alloc(heap, 10) != NULL ? NULL : NULL);
    return NULL;
}

static void wrong_thread(bool mistaken)
{
    pthread_t thread;
    if (mistaken && pthread_create(&thread, NULL, allocate_elsewhere, NULL) == 0) {
        (void)pthread_join(thread, NULL);
    }
}

static void bad_alignment(bool mistaken)
{
    WRONG((void)fief_arena_alloc_aligned(fief_vm_arena(rt), 10, 24));
}

static void no_strategy(bool mistaken)
{
    WRONG((void)fief_new(rt, SLOTLESS, FIEF_LITERAL, 10));
}

static void bad_kind(bool mistaken)
{
    WRONG((void)fief_new(rt, KINDS, FIEF_DYNAMIC, 10));
}

static void no_unit(bool mistaken)
{
    WRONG((void)fief_temp(rt, int, 1));
}

static void leak(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, TEXT, FIEF_DYNAMIC, 64));
    if (!mistaken) {
        fief_free(rt, TEXT, p, 64);
    }
}

typedef struct row {
    const char *name, *class_name;
    void (*program)(bool mistaken);
    bool in_asan; /* false: there AddressSanitizer sees the access first, and says so itself */
} row;

static const row rows[] = {
    {"overflow-heap", "overflow", overflow_heap, false},
    {"overflow-unaligned-end", "overflow", overflow_unaligned_end, false},
    {"underflow-heap", "underflow", underflow_heap, false},
    {"overflow-pool", "overflow", overflow_pool, false},
    {"overflow-unit", "overflow", overflow_unit, false},
    {"overflow-checked", "overflow", overflow_checked, false},
    {"write-after-free-heap", "write-after-free", write_after_free_heap, false},
    {"write-after-free-pool", "write-after-free", write_after_free_pool, false},
    {"double-free-heap", "double-free", double_free_heap, true},
    {"double-free-pool", "double-free", double_free_pool, true},
    {"double-free-unsized", "double-free", double_free_unsized, true},
    {"double-free-medium", "double-free", double_free_medium, true},
    {"double-free-inside", "double-free", double_free_inside, true},
    {"resize-of-a-freed-block", "double-free", resize_of_a_freed_block, true},
    {"interior-heap", "interior-free", interior_heap, true},
    {"interior-pool", "interior-free", interior_pool, true},
    {"stack-address", "stack-free", stack_address, false}, /* ASan moves locals away */
    {"foreign-pointer", "foreign-free", foreign_pointer, true},
    {"arena-block-to-the-heap", "wrong-allocator", arena_block_to_the_heap, true},
    {"literal-freed-as-dynamic", "wrong-allocator", literal_freed_as_dynamic, true},
    {"heap-block-to-a-pool", "wrong-allocator", heap_block_to_a_pool, true},
    {"slot-to-another-pool", "wrong-allocator", slot_to_another_pool, true},
    {"wrong-size-heap", "wrong-size", wrong_size_heap, true},
    {"wrong-size-pool", "wrong-size", wrong_size_pool, true},
    {"wrong-kind", "wrong-kind", wrong_kind, true},
    {"unit-order", "unit-order", unit_order, true},
    {"not-lifo", "not-lifo", not_lifo, true},
    {"mark-of-another-arena", "wrong-arena", mark_of_another_arena, true},
    {"stale-mark", "stale-mark", stale_mark, true},
    {"read-after-reset", "use-after-reset", read_after_reset, false},
    {"write-after-reset", "use-after-reset", write_after_reset, false},
    {"read-after-rewind", "use-after-rewind", read_after_rewind, false},
    {"write-after-rewind-shared-page", "use-after-rewind", write_after_rewind_shared_page, false},
    {"read-after-close", "use-after-close", read_after_close, false},
    {"use-of-a-closed-runtime", "use-after-close", use_of_a_closed_runtime, false},
    {"close-twice", "use-after-close", close_twice, false},
    {"wrong-thread", "wrong-thread", wrong_thread, true},
    {"bad-alignment", "bad-alignment", bad_alignment, true},
    {"no-strategy", "no-strategy", no_strategy, true},
    {"bad-kind", "bad-kind", bad_kind, true},
    {"no-unit", "no-unit", no_unit, true},
    {"leak", "leak", leak, true},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

/* ---- one row, in a process of its own ---- */

/* Tells the parent which lines count, then goes wrong. */
static void be_row(const row *r, bool mistaken, int lines)
{
    rt = fief_open(&(fief_config){.name = "row", .kinds = kinds, .kind_count = KINDS});
    heap = fief_runtime_heap(rt);
    r->program(false); /* learns the lines; the control is silent, or the row's control fails */
    int both[2] = {made_line, wrong_line};
    if (write(lines, both, sizeof both) != sizeof both) {
        _exit(3);
    }
    if (mistaken) {
        r->program(true);
    }
    _exit(fief_close(rt) == 0 ? 0 : 1);
}

typedef struct outcome {
    int status, made_line, wrong_line;
    char text[16384];
} outcome;

static void run(const row *r, bool mistaken, outcome *ret)
{
    int lines[2], report[2], both[2] = {0, 0};
    memset(ret, 0, sizeof *ret);
    if (pipe(lines) != 0 || pipe(report) != 0) {
        exit(3);
    }
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        dup2(report[1], 2);
        close(report[0]);
        be_row(r, mistaken, lines[1]);
    }
    close(report[1]);
    close(lines[1]);
    size_t length = 0;
    for (ssize_t more; length < sizeof ret->text - 1 &&
                       (more = read(report[0], ret->text + length, sizeof ret->text - 1 - length)) > 0;) {
        length += (size_t)more;
    }
    if (read(lines[0], both, sizeof both) != sizeof both) {
        both[0] = both[1] = -1;
    }
    close(lines[0]);
    close(report[0]);
    waitpid(child, &ret->status, 0);
    ret->made_line = both[0];
    ret->wrong_line = both[1];
}

/* ---- what it must have said ---- */

static const char *mode_word(void)
{
    return strcmp(fief_mode(), "debug-poisoned") == 0 ? "debug" : "asan";
}

static bool says(const outcome *o, const char *after, int line)
{
    char place[64];
    const char *site = strstr(o->text, after);
    (void)snprintf(place, sizeof place, "misuse.c:%d", line);
    const char *found = site != NULL ? strstr(site, place) : NULL;
    const char *next = site != NULL ? strstr(site + strlen(after), " at") : NULL;
    return line == 0 || (found != NULL && (next == NULL || found < next || strstr(next, place)));
}

typedef struct verdict {
    bool class_ok, sites_ok, control_silent;
    char got[48];
} verdict;

static bool sites_are_told(void)
{
    return TELLS_SITES != 0;
}

static verdict judge(const row *r)
{
    static outcome o;
    verdict v = {.got = "missed"};
    run(r, true, &o);
    const char *found = strstr(o.text, "misuse[");
    if (found != NULL) {
        (void)snprintf(v.got, sizeof v.got, "%.*s", (int)strcspn(found + 7, "]"), found + 7);
    }
    v.class_ok = strcmp(v.got, r->class_name) == 0 && o.status != 0;
    bool used = says(&o, "used at", o.wrong_line), made = says(&o, "allocated at", o.made_line);
    v.sites_ok = !sites_are_told() || (used && made) || strcmp(r->class_name, "leak") == 0;
    run(r, false, &o);
    v.control_silent = o.status == 0 && o.text[0] == '\0';
    return v;
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < ROWS; i++) {
        if (strcmp(argv[1], rows[i].name) == 0) {
            be_row(&rows[i], true, open("/dev/null", O_WRONLY));
        }
    }
    bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
    bool asan = strcmp(mode_word(), "asan") == 0;
    if (strcmp(fief_mode(), "release") == 0) {
        printf("1..0 # SKIP a release build does not look\n");
        return 0;
    }
    if (!json) {
        printf("1..%d\n", ROWS);
    }
    bool all = true;
    for (size_t i = 0; i < ROWS; i++) {
        const row *r = &rows[i];
        if (asan && !r->in_asan) {
            if (!json) {
                printf("ok %zu - %s # SKIP AddressSanitizer reports the access\n", i + 1, r->name);
            }
            continue;
        }
        verdict v = judge(r);
        bool ok = v.class_ok && v.sites_ok && v.control_silent;
        all = all && ok;
        if (json) {
            printf("{\"misuse\": \"%s\", \"variant\": \"%s\", \"mode\": \"%s\", \"got\": \"%s\", "
                   "\"class_ok\": %s, \"sites_ok\": %s, \"control_silent\": %s}\n",
                   r->class_name, r->name, mode_word(), v.got, v.class_ok ? "true" : "false",
                   v.sites_ok ? "true" : "false", v.control_silent ? "true" : "false");
        } else {
            printf("%s %zu - %s # got %s%s%s\n", ok ? "ok" : "not ok", i + 1, r->name, v.got,
                   v.sites_ok ? "" : ", wrong sites", v.control_silent ? "" : ", control not silent");
        }
        fflush(stdout);
    }
    return all ? 0 : 1;
}
