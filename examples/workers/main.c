/* workers: Lox files are compiled on many threads, and run on one.
 *
 *     worker 1   file ── VM ── unit ── parcel ┐
 *     worker 2   file ── VM ── unit ── parcel ├── one VM: each is received, and runs
 *     worker N   file ── VM ── unit ── parcel ┘
 *
 * A worker opens a VM for each file, in the range of one that was closed, compiles the file in the
 * VM's one unit, sends what came of it and closes the VM. The threads share the list of files, of
 * which each takes the next, and nothing else. */
#include "source.h"

#include "../lox/parcel.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { USAGE_ERROR = 64, THREADS_MOST = 256, FILES_MOST = 100000, PIECES_MOST = 100000 };

typedef struct options {
    unsigned threads, files, pieces;
    bool prints, json;
    const char *folder; /* where the files are to be written, and nothing else; or NULL */
} options;

typedef struct job {
    char *text;
    size_t size;
    fief_parcel *parcel;
    outcome outcome;
} job;

typedef struct batch {
    job *jobs;
    unsigned count, threads;
    atomic_uint next, done;
} batch;

typedef struct result {
    double compiled, ran; /* milliseconds */
    size_t source_bytes, sent_bytes, sent_blocks;
} result;

static const char usage[] =
    "usage: workers [--threads N] [--files N] [--pieces N] [--print | --json]\n"
    "       workers --write FOLDER [--files N] [--pieces N]\n"
    "  --threads N   compile (2)\n"
    "  --files N     are compiled (200)\n"
    "  --pieces N    functions, classes and closures in each file (160)\n"
    "  --print       what the programs print goes to stdout\n"
    "  --json        the figures as JSON\n"
    "  --write       writes the files as FOLDER/N.lox, and stops\n"
    "status: 0; 64 usage, 65 compile error, 70 runtime error, 74 input or output\n";

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* ---- compile ---- */

/* lox_kinds, whose permanent blocks are those of the unit. It is made before there are threads. */
static fief_kind unit_kinds[KINDS];

static void make_unit_kinds(void)
{
    memcpy(unit_kinds, lox_kinds, sizeof unit_kinds);
    for (unsigned kind = 0; kind < KINDS; kind++) {
        fief_kind *k = &unit_kinds[kind];
        k->any = k->any == FIEF_VM_ARENA ? FIEF_COMPILER_ARENA : k->any;
        for (unsigned context = 0; context < FIEF_CONTEXTS; context++) {
            bool is_permanent = k->in[context] == FIEF_VM_ARENA;
            k->in[context] = is_permanent ? FIEF_COMPILER_ARENA : k->in[context];
        }
    }
}

static void compile_job(job *j)
{
    vm worker;
    const vm_options settings = {.memory = {.one_unit = unit_kinds, .recycles = true}};
    if (!vm_open(&worker, &settings)) {
        j->outcome = OUTCOME_RUNTIME_ERROR;
        return;
    }
    j->outcome = parcel_compile(&worker, j->text, j->size, &j->parcel);
    (void)vm_close(&worker);
}

static void *work(void *argument)
{
    batch *b = argument;
    for (unsigned i; (i = atomic_fetch_add(&b->next, 1)) < b->count;) {
        compile_job(&b->jobs[i]);
        atomic_fetch_add(&b->done, 1);
    }
    return NULL;
}

/* On a terminal. It looks ten times a second, and takes no time from the workers. */
static void show_progress(batch *b)
{
    const struct timespec pause = {.tv_nsec = 100000000};
    for (unsigned done = 0; isatty(STDERR_FILENO) && done < b->count;) {
        done = atomic_load(&b->done);
        fprintf(stderr, "\r\033[K%u of %u files", done, b->count);
        if (done < b->count) {
            (void)nanosleep(&pause, NULL);
        }
        fputs("\r\033[K", stderr);
    }
}

static bool compile_all(batch *b, double *ret_milliseconds)
{
    pthread_t threads[THREADS_MOST];
    unsigned started = 0;
    double start = now();
    while (started < b->threads && pthread_create(&threads[started], NULL, work, b) == 0) {
        started++;
    }
    if (started != 0) {
        show_progress(b);
    }
    for (unsigned i = 0; i < started; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    *ret_milliseconds = now() - start;
    if (started < b->threads) {
        fprintf(stderr, "workers: thread %u can't be started\n", started + 1);
    }
    return started == b->threads;
}

/* ---- run ---- */

/* In the order of the files, whoever compiled them. */
static outcome run_jobs(batch *b, FILE *out)
{
    vm runner;
    const vm_options settings = {.out = out};
    if (!vm_open(&runner, &settings)) {
        return OUTCOME_RUNTIME_ERROR;
    }
    outcome worst = OUTCOME_OK;
    for (unsigned i = 0; i < b->count; i++) {
        job *j = &b->jobs[i];
        outcome o = j->parcel != NULL ? parcel_run(&runner, &j->parcel) : j->outcome;
        worst = o != OUTCOME_OK ? o : worst;
    }
    return vm_close(&runner) == 0 ? worst : OUTCOME_RUNTIME_ERROR;
}

static void count_sent(const batch *b, result *ret)
{
    for (unsigned i = 0; i < b->count; i++) {
        const job *j = &b->jobs[i];
        ret->source_bytes += j->size;
        if (j->parcel != NULL) {
            ret->sent_bytes += fief_parcel_size(j->parcel);
            ret->sent_blocks += fief_parcel_blocks(j->parcel);
        }
    }
}

/* ---- the program ---- */

static bool parse_count(const char *text, unsigned most, unsigned *ret_count)
{
    char *end;
    errno = 0;
    unsigned long long count = strtoull(text, &end, 10);
    bool good = text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && count != 0 &&
                count <= most;
    if (good) {
        *ret_count = (unsigned)count;
    }
    return good;
}

/* The option's value is used up: *ret_used 2. */
static bool parse_option(options *o, const char *name, const char *value, int *ret_used)
{
    *ret_used = 1;
    if (strcmp(name, "--print") == 0) {
        return o->prints = true;
    }
    if (strcmp(name, "--json") == 0) {
        return o->json = true;
    }
    *ret_used = 2;
    if (value == NULL) {
        return false;
    }
    if (strcmp(name, "--write") == 0) {
        o->folder = value;
        return true;
    }
    return (strcmp(name, "--threads") == 0 && parse_count(value, THREADS_MOST, &o->threads)) ||
           (strcmp(name, "--files") == 0 && parse_count(value, FILES_MOST, &o->files)) ||
           (strcmp(name, "--pieces") == 0 && parse_count(value, PIECES_MOST, &o->pieces));
}

static bool parse(options *o, int count, char **arguments)
{
    for (int i = 1, used; i < count; i += used) {
        if (!parse_option(o, arguments[i], i + 1 < count ? arguments[i + 1] : NULL, &used)) {
            fprintf(stderr, "workers: what is '%s%s%s'? (see workers --help)\n", arguments[i],
                    used == 2 && i + 1 < count ? " " : "",
                    used == 2 && i + 1 < count ? arguments[i + 1] : "");
            return false;
        }
    }
    return true;
}

static int write_files(const batch *b, const char *folder)
{
    for (unsigned i = 0; i < b->count; i++) {
        char path[4096];
        int length = snprintf(path, sizeof path, "%s/%u.lox", folder, i + 1);
        FILE *file = length < (int)sizeof path ? fopen(path, "w") : NULL;
        bool good =
            file != NULL && fwrite(b->jobs[i].text, 1, b->jobs[i].size, file) == b->jobs[i].size;
        if ((file != NULL && fclose(file) != 0) || !good) {
            fprintf(stderr, "workers: '%s' can't be written\n", path);
            return OUTCOME_IO_ERROR;
        }
    }
    return OUTCOME_OK;
}

static void report(const options *o, const result *r, const char *printed)
{
    unsigned long long lines = 0;
    for (const char *at = printed; *at != '\0'; at++) {
        lines += *at == '\n';
    }
    if (o->json) {
        printf("{\"threads\": %u, \"files\": %u, \"source_bytes\": %zu, \"blocks\": %zu,"
               " \"bytes\": %zu, \"compile_ms\": %.3f, \"run_ms\": %.3f}\n",
               o->threads, o->files, r->source_bytes, r->sent_blocks, r->sent_bytes, r->compiled,
               r->ran);
        return;
    }
    printf("compiled   %u files, %.1f MiB, on %u thread%s in %.1f ms\n", o->files,
           (double)r->source_bytes / (1 << 20), o->threads, o->threads == 1 ? "" : "s",
           r->compiled);
    printf("sent       %.1f MiB in %zu blocks\n", (double)r->sent_bytes / (1 << 20),
           r->sent_blocks);
    printf("ran        all of them on one thread in %.1f ms; they printed %llu lines\n", r->ran,
           lines);
}

static int compile_and_run(const options *o, batch *b)
{
    result r = {0};
    char *printed = NULL;
    size_t size;
    FILE *out = open_memstream(&printed, &size);
    if (out == NULL || !compile_all(b, &r.compiled)) {
        return OUTCOME_RUNTIME_ERROR;
    }
    count_sent(b, &r);
    double start = now();
    outcome worst = run_jobs(b, out);
    r.ran = now() - start;
    if (fclose(out) != 0) {
        return OUTCOME_IO_ERROR;
    }
    if (o->prints) {
        (void)fwrite(printed, 1, size, stdout);
    } else {
        report(o, &r, printed);
    }
    free(printed);
    return (int)worst;
}

int main(int count, char **arguments)
{
    options o = {.threads = 2, .files = 200, .pieces = 160};
    if (count == 2 && strcmp(arguments[1], "--help") == 0) {
        fputs(usage, stdout);
        return 0;
    }
    if (!parse(&o, count, arguments)) {
        return USAGE_ERROR;
    }
    make_unit_kinds();
    batch b = {.jobs = calloc(o.files, sizeof *b.jobs), .count = o.files, .threads = o.threads};
    bool ready = b.jobs != NULL;
    for (unsigned i = 0; ready && i < o.files; i++) {
        b.jobs[i].text = source_make(i + 1, o.pieces, &b.jobs[i].size);
        ready = b.jobs[i].text != NULL;
    }
    int status = !ready             ? OUTCOME_RUNTIME_ERROR
                 : o.folder != NULL ? write_files(&b, o.folder)
                                    : compile_and_run(&o, &b);
    for (unsigned i = 0; b.jobs != NULL && i < o.files; i++) {
        fief_parcel_drop(&b.jobs[i].parcel);
        free(b.jobs[i].text);
    }
    free(b.jobs);
    (void)fief_trim_idle();
    return fflush(stdout) == 0 ? status : OUTCOME_IO_ERROR;
}
