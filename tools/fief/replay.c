/* replay: a trace's allocations again, on one allocator after the other.
 *
 * The parent turns the trace into a list of steps in a file without a name. Each round is this
 * program once more, with the allocator loaded before libc: it maps the steps, takes the time, and
 * says how long it took and how much memory it held. So nobody's heap has the reader's holes. */
#include "play.h"

#include <fief/fief.h>

#include <glob.h>
#include <stdlib.h>

enum { ROUNDS = 5, ROUNDS_MOST = 99, ALLOCATORS = 5 };

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

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

void play_hint(void)
{
    if (strcmp(fief_mode(), "release") != 0) {
        hint("fief %s: this fief is a %s build, which watches every block: time a release build",
             fief_tool.command, fief_mode());
    }
}

static void print_result(const char *name, const result *r, const result *base, int rounds,
                         uint64_t count)
{
    int middle = rounds / 2, low = rounds / 4, high = rounds * 3 / 4;
    const uint64_t *times = r->nanoseconds;
    double time = (double)times[middle], kib = (double)r->kib[middle];
    double spread = (double)(times[high] - times[low]) / 2 / time;
    if (fief_tool.json) {
        printf("{\"allocator\":\"%s\",\"steps\":%llu,\"rounds\":%d,\"time_ns\":%.0f,"
               "\"spread\":%.4f,\"peak_bytes\":%.0f}\n",
               name, (unsigned long long)count, rounds, time, spread, kib * 1024);
        return;
    }
    printf("%-10s %9.2f ms %6.1f %%", name, time / 1e6, 100 * spread);
    if (base != NULL) {
        double peak = base->kib[middle] > 0 ? kib / (double)base->kib[middle] : 0;
        printf(" %7.2f %12s %7.2f\n", time / (double)base->nanoseconds[middle],
               bytes_text((uint64_t)kib * 1024), peak);
    } else {
        printf(" %7s %12s %7s\n", "-", bytes_text((uint64_t)kib * 1024), "-");
    }
}

/* Sorted; the spread is half of what lies between the quarters, of the median. */
static void print_results(const char *path, result *results, int rounds, const play_steps *s)
{
    const result *base = results[1].wanted ? &results[1] : NULL;
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
        if (results[i].wanted) {
            print_result(allocators[i].name, &results[i], base, rounds, s->count);
        }
    }
    if (!fief_tool.json && base != NULL) {
        printf("1.00 = libc; less is faster, or smaller\n");
    }
    if (results[0].wanted) {
        play_hint();
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

static int play_all(const char *path, result *results, int rounds, const play_steps *s)
{
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < ALLOCATORS; i++) {
            if (fief_tool.progress) {
                fprintf(stderr, "\rround %d of %d", round + 1, rounds);
            }
            play p = {allocators[i].name, results[i].library, s, NULL, 0, false};
            played round_of = {0};
            if (results[i].wanted && !play_round(&p, &round_of)) {
                return complain(CANNOT_RUN, "%s did not replay to its end", allocators[i].name);
            }
            results[i].nanoseconds[round] = round_of.nanoseconds;
            results[i].kib[round] = round_of.kib;
        }
    }
    if (fief_tool.progress) {
        fputs("\r\033[K", stderr);
    }
    print_results(path, results, rounds, s);
    return end_output(stdout, NULL);
}

static int read_rounds(const char *number, int *ret)
{
    char *end;
    long rounds = strtol(number, &end, 10);
    if (*end != '\0' || rounds < 1 || rounds > ROUNDS_MOST) {
        return complain(USAGE, "--rounds is a number from 1 to %d, not '%s'", ROUNDS_MOST, number);
    }
    *ret = (int)rounds;
    return DONE;
}

int run_replay(int count, char **words)
{
    static const char *const options[] = {"--allocator", "--rounds", "--help", NULL};
    static result results[ALLOCATORS];
    static play_steps s;
    const char *path = NULL, *list = "fief,libc", *value, *order = getenv("FIEF_REPLAY");
    int rounds = ROUNDS, status = DONE;
    if (order != NULL) {
        return play_work(order);
    }
    for (int at = 1; at < count && status == DONE; at++) {
        if ((value = option_value(count, words, &at, "--allocator")) != NULL) {
            list = value;
        } else if ((value = option_value(count, words, &at, "--rounds")) != NULL) {
            status = read_rounds(value, &rounds);
        } else if (is_option(words[at])) {
            status = refuse_word("option", words[at], options);
        } else if (path != NULL) {
            status = complain(USAGE, "one trace at a time, not '%s', too", words[at]);
        } else {
            path = words[at];
        }
    }
    if (status == DONE && path == NULL) {
        return complain(USAGE, "which trace? (fief replay TRACE)");
    }
    status = status == DONE ? choose(results, list) : status;
    status = status == DONE ? steps_make(&s, path) : status;
    return status == DONE ? play_all(path, results, rounds, &s) : status;
}
