/* rows: runs the rows, each in a process of its own, for matrix.py.
 *
 *     test-misuse --rows      the table, one object a line
 *     test-misuse --classes   the library's classes, one object a line
 *     test-misuse --serve     reads "ROW HOW OUT ERR" lines; HOW: control, mistake, refused
 *     test-misuse ROW         one mistake in this process, its report on stderr */
#include "row.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SLOT = 48, WIDER_SLOT = 72, SECONDS = 120 };
static const fief_kind kinds[KINDS] = {
    [PAIR] = {.name = "pair", .size = SLOT, .any = FIEF_POOL},
    [TRIPLE] = {.name = "triple", .size = WIDER_SLOT, .any = FIEF_POOL},
    [TEXT] = {.name = "text", .any = FIEF_HEAP, .in = {[FIEF_LITERAL] = FIEF_VM_ARENA}},
    [LIST] = {.name = "list", .any = FIEF_HEAP},
    [NODE] = {.name = "node", .any = FIEF_COMPILER_ARENA},
    [WALLED] = {.name = "walled", .any = FIEF_HEAP, .traits = FIEF_FENCE_BACK},
    [WALLED_PAIR] = {.name = "walled pair", .size = SLOT, .any = FIEF_POOL,
                     .traits = FIEF_FENCE_BACK},
    [DITCHED] = {.name = "ditched", .any = FIEF_HEAP, .traits = FIEF_FENCE_FRONT},
    [SLOTLESS] = {.name = "slotless", .in = {[FIEF_DYNAMIC] = FIEF_HEAP}},
};

fief_runtime *rt;
fief_heap *heap;
volatile char sink;
char elsewhere[16384];

/* ---- what rows call ---- */

static bool refuses;
static unsigned refusals; /* misuses that the handler was told of */

static bool refuse(const fief_misuse *misuse, void *unused)
{
    (void)unused;
    refusals++;
    dprintf(1, "refused %s\n", fief_misuse_name(misuse->class_id));
    return true;
}

static fief_runtime *open_as(bool scans_stack)
{
    size_t reserve = (size_t)1 << 28; /* memcheck writes down each 64 KiB of it */
    return fief_open(&(fief_config){.name = "row", .kinds = kinds, .kind_count = KINDS,
                                    .reserve_bytes = reserve, .scan_stack = scans_stack,
                                    .on_misuse = refuses ? refuse : NULL});
}

fief_runtime *open_another(void)
{
    return open_as(false);
}

fief_runtime *open_scanning_the_stack(void)
{
    return open_as(true);
}

FIEF_NOINLINE void do_nothing(void)
{
    __asm__ volatile("");
}

FIEF_NOINLINE void fill(char *bytes, size_t count)
{
    for (volatile char *byte = bytes; count != 0; count--) {
        *byte++ = 1;
    }
}

typedef struct errand {
    void (*body)(void *);
    void *argument;
} errand;

static void *run_errand(void *argument)
{
    const errand *e = argument;
    e->body(e->argument);
    return NULL;
}

void on_another_thread(void (*body)(void *), void *argument)
{
    pthread_t thread;
    errand e = {body, argument};
    if (pthread_create(&thread, NULL, run_errand, &e) == 0) {
        (void)pthread_join(thread, NULL);
    }
}

void tell(const char *what, const char *function, int line)
{
    struct stat report;
    long long said = fstat(2, &report) == 0 ? (long long)report.st_size : 0;
    dprintf(1, "%s %s %d %lld\n", what, function, line, said);
}

/* ---- a refused call leaves the runtime as it was ---- */

typedef struct figures {
    fief_count strategies[FIEF_STRATEGIES], kinds[KINDS + 1];
    size_t held;
} figures;

static figures before;

static void take_figures(figures *ret)
{
    memset(ret, 0, sizeof *ret);
    for (unsigned i = FIEF_NO_STRATEGY + 1; i < FIEF_STRATEGIES; i++) {
        ret->strategies[i] = fief_stats_strategy(rt, (fief_strategy)i);
    }
    for (unsigned i = 0; i <= KINDS; i++) {
        ret->kinds[i] = fief_stats_kind(rt, i);
    }
    ret->held = fief_stats_held(rt);
}

void before_mistake(void)
{
    if (refuses) {
        take_figures(&before);
    }
}

void after_mistake(void)
{
    static figures after;
    if (refuses) {
        take_figures(&after);
        bool same = memcmp(&before, &after, sizeof after) == 0;
        dprintf(1, "figures-%s\n", same ? "same" : "differ");
    }
}

/* Nothing new is found afterwards, and the runtime closes without a leak. */
static void look_for_traces(void)
{
    unsigned known = refusals;
    (void)fief_check(rt);
    size_t leaked = fief_close(rt);
    dprintf(1, "%s\n", refusals == known && leaked == 0 ? "no-trace" : "trace");
}

/* ---- one row ---- */

static const theme *const themes[] = {&theme_bounds, &theme_dead,  &theme_frees,
                                      &theme_owners, &theme_order, &theme_calls,
                                      &theme_dangling, &theme_fenced, &theme_sealed,
                                      &theme_images};
enum { THEMES = sizeof themes / sizeof themes[0], NAME_SIZE = 96 };

/* "double-free-pool": a C name cannot hold the dashes. */
static const char *dashed(const char *name, char *buffer)
{
    (void)snprintf(buffer, NAME_SIZE, "%s", name);
    for (char *c = buffer; (c = strchr(c, '_')) != NULL;) {
        *c = '-';
    }
    return buffer;
}

static const row *find_row(const char *name)
{
    for (size_t t = 0; t < THEMES; t++) {
        for (size_t i = 0; i < themes[t]->count; i++) {
            const row *r = &themes[t]->rows[i];
            char misuse[NAME_SIZE], variant[NAME_SIZE], whole[2 * NAME_SIZE];
            (void)snprintf(whole, sizeof whole, "%s-%s", dashed(r->misuse, misuse),
                           dashed(r->variant, variant));
            if (strcmp(whole, name) == 0) {
                return r;
            }
        }
    }
    return NULL;
}

static int be_row(const row *r, bool mistaken)
{
    rt = open_another();
    heap = fief_runtime_heap(rt);
    r->program(mistaken);
    if (refuses) {
        look_for_traces();
        return 0;
    }
    return fief_close(rt) == 0 ? 0 : 1;
}

static void be_child(const row *r, const char *how, const char *out, const char *err)
{
    enum { MODE = 0600 };
    struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    int out_fd = open(out, O_WRONLY | O_CREAT | O_TRUNC, MODE);
    int err_fd = open(err, O_WRONLY | O_CREAT | O_TRUNC, MODE);
    if (out_fd < 0 || err_fd < 0 || dup2(out_fd, 1) < 0 || dup2(err_fd, 2) < 0) {
        _exit(3);
    }
    (void)alarm(SECONDS);
    refuses = strcmp(how, "refused") == 0;
    _exit(be_row(r, strcmp(how, "control") != 0));
}

/* ---- for matrix.py ---- */

/* gcc's ASan reads each library's debug information at its first report: here, for all rows. */
static void read_symbols_once(void)
{
#if defined __SANITIZE_ADDRESS__ && !defined __clang__
    void __sanitizer_symbolize_pc(void *, const char *, char *, size_t);
    char text[NAME_SIZE];
    __sanitizer_symbolize_pc(__builtin_return_address(0), "%f", text, sizeof text);
#endif
}

static int serve(void)
{
    enum { FIELD = 512 };
    char name[FIELD], how[FIELD], out[FIELD], err[FIELD];
    read_symbols_once();
    while (scanf("%511s %511s %511s %511s", name, how, out, err) == 4) {
        const row *r = find_row(name);
        int status = 0;
        fflush(NULL);
        pid_t child = r != NULL ? fork() : -1;
        if (child == 0) {
            be_child(r, how, out, err);
        }
        if (child < 0 || waitpid(child, &status, 0) != child) {
            return 3;
        }
        printf("%d %d\n", (int)child, status);
        fflush(stdout);
    }
    return 0;
}

static void print_rows(void)
{
    static const char *const words[] = {[NOT_HERE] = "", [NOW] = "now", [NEXT] = "next"};
    for (size_t t = 0; t < THEMES; t++) {
        for (size_t i = 0; i < themes[t]->count; i++) {
            const row *r = &themes[t]->rows[i];
            char misuse[NAME_SIZE], variant[NAME_SIZE], class_name[NAME_SIZE];
            printf("{\"misuse\": \"%s\", \"variant\": \"%s\", \"class\": \"%s\", \"file\": \"%s\", "
                   "\"function\": \"%s_%s\", ",
                   dashed(r->misuse, misuse), dashed(r->variant, variant),
                   dashed(r->class_name, class_name), r->file, r->misuse, r->variant);
            printf("\"debug\": \"%s\", \"asan\": \"%s\", \"valgrind\": \"%s\"}\n",
                   words[r->debug], words[r->asan], words[r->valgrind]);
        }
    }
}

static void print_classes(void)
{
    for (unsigned i = 0; i < FIEF_MISUSE_CLASSES; i++) {
        printf("{\"class\": \"%s\", \"explain\": \"%s\"}\n", fief_misuse_name((fief_misuse_class)i),
               fief_misuse_explain((fief_misuse_class)i));
    }
}

int main(int argc, char **argv)
{
    const char *what = argc == 2 ? argv[1] : "";
    if (strcmp(what, "--rows") == 0) {
        print_rows();
    } else if (strcmp(what, "--classes") == 0) {
        print_classes();
    } else if (strcmp(what, "--serve") == 0) {
        return serve();
    } else {
        const row *r = find_row(what);
        if (r == NULL) {
            fprintf(stderr, "test-misuse: no row '%s' (--rows lists them)\n", what);
            return 2;
        }
        if (freopen("/dev/null", "w", stdout) == NULL) {
            return 3;
        }
        return be_row(r, true);
    }
    return 0;
}
