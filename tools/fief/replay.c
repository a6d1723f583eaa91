/* replay: a trace's allocations again, on one allocator after the other.
 *
 * The parent turns the trace into a list of steps in a file without a name. Each round is this
 * program once more, with the allocator loaded before libc: it maps the steps, takes the time, and
 * says how long it took and how much memory it held. So nobody's heap has the reader's holes. */
#include "tool.h"

#include <fief/fief.h>

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 5, ROUNDS_MOST = 99, ALLOCATORS = 5, STEPS_AT_ONCE = 4096 };

typedef enum step_kind { STEP_ALLOC, STEP_CALLOC, STEP_ALIGNED, STEP_FREE, STEP_RESIZE } step_kind;

typedef struct step {
    uint64_t size;
    uint32_t slot; /* of the block */
    uint8_t kind, align_log2;
} step;

typedef struct allocator {
    const char *name, *library; /* library: a pattern, or NULL */
} allocator;

static const allocator allocators[ALLOCATORS] = {
    {"fief", NULL},
    {"libc", NULL},
    {"mimalloc", "libmimalloc.so.2*"},
    {"jemalloc", "libjemalloc.so.2"},
    {"tcmalloc", "libtcmalloc_minimal.so.4"},
};
static const char *const names[] = {"fief",     "libc", "mimalloc", "jemalloc",
                                    "tcmalloc", "all",  NULL};

/* ---- the steps ---- */

typedef struct steps {
    int file;
    uint64_t count, slots, skipped;
    step buffer[STEPS_AT_ONCE];
    size_t buffered;
    bool failed;
} steps;

static void flush_steps(steps *s)
{
    size_t size = s->buffered * sizeof(step);
    s->failed = s->failed || write(s->file, s->buffer, size) != (ssize_t)size;
    s->buffered = 0;
}

static void add_step(steps *s, const trace *t, const trace_event *e)
{
    step next = {.size = e->size, .slot = e->block->slot};
    const trace_class *c = trace_class_at(t, e->block->class_number);
    if (e->type == TRACE_ALLOC) {
        bool aligned = c->align_log2 > 4;
        next.kind = aligned ? STEP_ALIGNED : c->verb == TRACE_CALLOC ? STEP_CALLOC : STEP_ALLOC;
        next.align_log2 = c->align_log2;
    } else {
        next.kind = e->type == TRACE_RESIZE ? STEP_RESIZE : STEP_FREE;
    }
    s->slots = s->slots > next.slot ? s->slots : next.slot;
    s->buffer[s->buffered++] = next;
    s->count++;
    if (s->buffered == STEPS_AT_ONCE) {
        flush_steps(s);
    }
}

static int make_steps(steps *s, const char *path)
{
    trace *t = open_trace(path);
    if (t == NULL) {
        return BAD_INPUT;
    }
    s->file = memfd_create("steps", 0);
    for (trace_event e; trace_next(t, &e);) {
        bool makes = e.type == TRACE_ALLOC || e.type == TRACE_RESIZE;
        if (e.block != NULL && (makes || e.type == TRACE_FREE || e.type == TRACE_DIES)) {
            add_step(s, t, &e);
        }
        show_progress(t, "reading");
    }
    end_progress();
    flush_steps(s);
    if (trace_cut(t) != NULL) {
        hint("fief replay: %s", trace_cut(t));
    }
    trace_close(t);
    if (s->file < 0 || s->failed) {
        return complain(CANNOT_RUN, "there is no memory for the steps: %s", strerror(errno));
    }
    return s->count > 0 ? DONE : complain(BAD_INPUT, "%s: has no operations", path);
}

/* ---- a round, in its own process ---- */

typedef struct ground {
    const step *steps;
    uint64_t count;
    void **blocks;
    uint64_t *sizes;
} ground;

static void touch(void *block, uint64_t from, uint64_t size)
{
    if (size > from) {
        memset((char *)block + from, 1, size - from);
    }
}

static bool play_libc(const ground *g)
{
    for (uint64_t i = 0; i < g->count; i++) {
        const step *s = &g->steps[i];
        void **block = &g->blocks[s->slot], *fresh;
        switch ((step_kind)s->kind) {
        case STEP_FREE:
            free(*block);
            continue;
        case STEP_RESIZE: fresh = realloc(*block, s->size != 0 ? s->size : 1); break;
        case STEP_CALLOC: fresh = calloc(1, s->size); break;
        case STEP_ALIGNED:
            fresh = aligned_alloc((size_t)1 << s->align_log2,
                                  fief_round_up(s->size, (size_t)1 << s->align_log2));
            break;
        default: fresh = malloc(s->size);
        }
        if (fresh == NULL && s->size != 0) {
            return false;
        }
        touch(fresh, s->kind == STEP_RESIZE ? g->sizes[s->slot] : 0, s->size);
        *block = fresh;
        g->sizes[s->slot] = s->size;
    }
    return true;
}

static bool play_fief(const ground *g)
{
    fief_runtime *rt = fief_open(NULL);
    fief_heap *heap = rt != NULL ? fief_runtime_heap(rt) : NULL;
    for (uint64_t i = 0; heap != NULL && i < g->count; i++) {
        const step *s = &g->steps[i];
        void **block = &g->blocks[s->slot], *fresh;
        uint64_t *size = &g->sizes[s->slot];
        if (s->kind == STEP_FREE) {
            fief_heap_free(heap, *block, *size);
            continue;
        }
        if (s->kind == STEP_RESIZE) {
            fresh = fief_heap_resize(heap, *block, *size, s->size);
        } else if (s->kind == STEP_ALIGNED) {
            size_t align = (size_t)1 << s->align_log2;
            fresh = fief_heap_alloc_aligned(heap, s->size,
                                            align < FIEF_ALIGN_MAX ? align : FIEF_ALIGN_MAX);
        } else {
            fresh = fief_heap_alloc(heap, s->size);
            if (fresh != NULL && s->kind == STEP_CALLOC) {
                memset(fresh, 0, s->size);
            }
        }
        if (fresh == NULL) {
            return false;
        }
        touch(fresh, s->kind == STEP_RESIZE ? *size : 0, s->size);
        *block = fresh;
        *size = s->size;
    }
    return heap != NULL;
}

static uint64_t nanoseconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* KiB, of /proc/self/status; read without malloc. */
static uint64_t status_of(const char *name)
{
    char text[4096];
    int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t size = file >= 0 ? read(file, text, sizeof text - 1) : 0;
    if (file >= 0) {
        (void)close(file);
    }
    text[size > 0 ? size : 0] = '\0';
    const char *at = strstr(text, name);
    return at != NULL ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static void forget_peak(void)
{
    int file = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    ssize_t written = file >= 0 ? write(file, "5", 1) : 0;
    (void)written;
    if (file >= 0) {
        (void)close(file);
    }
}

static void *map_ready(size_t size, int flags, int file)
{
    void *at = mmap(NULL, size, PROT_READ | (file < 0 ? PROT_WRITE : 0),
                    flags | MAP_POPULATE, file, 0);
    return at != MAP_FAILED ? at : NULL;
}

/* FIEF_REPLAY: the allocator, the steps' file, their count, the slots. */
static int work(const char *order)
{
    char name[20], text[80];
    int file;
    unsigned long long count, slots;
    if (sscanf(order, "%19s %d %llu %llu", name, &file, &count, &slots) != 4) {
        return USAGE;
    }
    ground g = {.count = count};
    g.steps = map_ready(count * sizeof(step), MAP_SHARED, file);
    g.blocks = map_ready((slots + 1) * sizeof *g.blocks, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    g.sizes = map_ready((slots + 1) * sizeof *g.sizes, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    if (g.steps == NULL || g.blocks == NULL || g.sizes == NULL) {
        return CANNOT_RUN;
    }
    forget_peak();
    uint64_t before = status_of("VmRSS:"), began = nanoseconds();
    if (!(strcmp(name, "fief") == 0 ? play_fief(&g) : play_libc(&g))) {
        return CANNOT_RUN;
    }
    uint64_t took = nanoseconds() - began, peak = status_of("VmHWM:");
    int length = snprintf(text, sizeof text, "%llu %llu\n", (unsigned long long)took,
                          (unsigned long long)(peak > before ? peak - before : 0));
    /* Without a look for leaks: what the trace leaves is left. */
    _exit(write(STDOUT_FILENO, text, (size_t)length) == length ? DONE : CANNOT_RUN);
}

/* ---- the rounds ---- */

typedef struct result {
    uint64_t nanoseconds[ROUNDS_MOST], kib[ROUNDS_MOST];
    bool wanted;
    char library[300];
} result;

static bool find_library(const allocator *a, char *ret_path, size_t size)
{
    static const char *const folders[] = {"/usr/lib/*/", "/lib/*/", "/usr/lib/", "/usr/lib64/",
                                          "/usr/local/lib/"};
    ret_path[0] = '\0';
    for (size_t i = 0; i < 5 && a->library != NULL && ret_path[0] == '\0'; i++) {
        char pattern[100];
        glob_t found;
        (void)snprintf(pattern, sizeof pattern, "%s%s", folders[i], a->library);
        if (glob(pattern, 0, NULL, &found) == 0) {
            (void)snprintf(ret_path, size, "%s", found.gl_pathv[0]);
            globfree(&found);
        }
    }
    return a->library == NULL || ret_path[0] != '\0';
}

static bool play_round(const allocator *a, const char *library, const steps *s, uint64_t *ret_time,
                       uint64_t *ret_kib)
{
    int ends[2], status;
    char text[100] = "";
    if (pipe(ends) != 0) {
        return false;
    }
    pid_t child = fork();
    if (child == 0) {
        (void)snprintf(text, sizeof text, "%s %d %llu %llu", a->name, s->file,
                       (unsigned long long)s->count, (unsigned long long)s->slots);
        (void)setenv("FIEF_REPLAY", text, 1);
        if (library[0] != '\0') {
            (void)setenv("LD_PRELOAD", library, 1);
        }
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)close(ends[0]);
        execl("/proc/self/exe", "fief", "replay", (char *)NULL);
        _exit(CANNOT_RUN);
    }
    (void)close(ends[1]);
    ssize_t got = child > 0 ? read(ends[0], text, sizeof text - 1) : -1;
    (void)close(ends[0]);
    if (child < 0 || waitpid(child, &status, 0) < 0 || got <= 0) {
        return false;
    }
    unsigned long long took, kib;
    bool sound = sscanf(text, "%llu %llu", &took, &kib) == 2 && status == 0;
    *ret_time = sound ? took : 0;
    *ret_kib = sound ? kib : 0;
    return sound;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Sorted; the spread is half of what lies between the quarters, of the median. */
static void print_results(const char *path, result *results, int rounds, const steps *s)
{
    const result *base = results[1].wanted ? &results[1] : NULL;
    int middle = rounds / 2;
    for (int i = 0; i < ALLOCATORS; i++) {
        qsort(results[i].nanoseconds, (size_t)rounds, sizeof(uint64_t), by_size);
        qsort(results[i].kib, (size_t)rounds, sizeof(uint64_t), by_size);
    }
    if (!fief_tool.json) {
        printf("%s: %s steps, %d rounds in turn, median\n", path, grouped(s->count), rounds);
        printf("%s%-10s %12s %8s %7s %12s %7s%s\n", paint("1"), "allocator", "time", "spread",
               "ratio", "peak", "ratio", paint("0"));
    }
    for (int i = 0; i < ALLOCATORS; i++) {
        const result *r = &results[i];
        if (!r->wanted) {
            continue;
        }
        double time = (double)r->nanoseconds[middle], kib = (double)r->kib[middle];
        double spread =
            (double)(r->nanoseconds[rounds * 3 / 4] - r->nanoseconds[rounds / 4]) / 2 / time;
        double times = base != NULL ? time / (double)base->nanoseconds[middle] : 0;
        double peaks = base != NULL && base->kib[middle] > 0 ? kib / (double)base->kib[middle] : 0;
        if (fief_tool.json) {
            printf("{\"allocator\":\"%s\",\"steps\":%llu,\"rounds\":%d,\"time_ns\":%.0f,"
                   "\"spread\":%.4f,\"peak_bytes\":%.0f}\n", allocators[i].name,
                   (unsigned long long)s->count, rounds, time, spread, kib * 1024);
        } else {
            printf("%-10s %9.2f ms %6.1f %% %7.2f %12s %7.2f\n", allocators[i].name, time / 1e6,
                   100 * spread, times, bytes_text((uint64_t)kib * 1024), peaks);
        }
    }
    if (!fief_tool.json && base != NULL) {
        printf("1.00 = libc; less is faster, or smaller\n");
    }
}

/* fief,libc: marks them. */
static int choose(result *results, const char *list)
{
    char copy[100];
    (void)snprintf(copy, sizeof copy, "%s", list);
    for (char *rest = copy, *word; (word = strsep(&rest, ",")) != NULL;) {
        bool all = strcmp(word, "all") == 0, found = false;
        for (int i = 0; i < ALLOCATORS; i++) {
            bool is_it = strcmp(word, allocators[i].name) == 0;
            found = found || is_it || all;
            if ((is_it || all) && find_library(&allocators[i], results[i].library, 300)) {
                results[i].wanted = true;
            } else if (all) {
                hint("fief replay: %s is not installed, and left out", allocators[i].name);
            } else if (is_it) {
                return complain(CANNOT_RUN, "%s is not installed: there is no %s", word,
                                allocators[i].library);
            }
        }
        if (!found) {
            return refuse_word("allocator", word, names);
        }
    }
    return DONE;
}

static int play_all(const char *path, result *results, int rounds, const steps *s)
{
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < ALLOCATORS; i++) {
            if (fief_tool.progress) {
                fprintf(stderr, "\rround %d of %d", round + 1, rounds);
            }
            if (results[i].wanted &&
                !play_round(&allocators[i], results[i].library, s, &results[i].nanoseconds[round],
                            &results[i].kib[round])) {
                return complain(CANNOT_RUN, "%s did not replay to its end", allocators[i].name);
            }
        }
    }
    if (fief_tool.progress) {
        fputs("\r\033[K", stderr);
    }
    print_results(path, results, rounds, s);
    return end_output(stdout, NULL);
}

int run_replay(int count, char **words)
{
    static const char *const options[] = {"--allocator", "--rounds", "--help", NULL};
    static result results[ALLOCATORS];
    static steps s;
    const char *path = NULL, *list = "fief,libc", *order = getenv("FIEF_REPLAY");
    long rounds = ROUNDS;
    if (order != NULL) {
        return work(order);
    }
    for (int at = 1; at < count; at++) {
        const char *value = option_value(count, words, &at, "--allocator");
        const char *number = value == NULL ? option_value(count, words, &at, "--rounds") : NULL;
        if (value != NULL) {
            list = value;
        } else if (number != NULL) {
            char *end;
            rounds = strtol(number, &end, 10);
            if (*end != '\0' || rounds < 1 || rounds > ROUNDS_MOST) {
                return complain(USAGE, "--rounds is a number from 1 to %d, not '%s'", ROUNDS_MOST,
                                number);
            }
        } else if (is_option(words[at])) {
            return refuse_word("option", words[at], options);
        } else if (path != NULL) {
            return complain(USAGE, "one trace at a time, not '%s', too", words[at]);
        } else {
            path = words[at];
        }
    }
    if (path == NULL) {
        return complain(USAGE, "which trace? (fief replay TRACE)");
    }
    int status = choose(results, list);
    status = status == DONE ? make_steps(&s, path) : status;
    return status == DONE ? play_all(path, results, (int)rounds, &s) : status;
}
