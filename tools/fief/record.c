/* record: starts the program with the recorder in it, waits, and ends its traces. */
#include "tool.h"
#include "pack.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATH_ROOM = PATH_MAX + 512 };

typedef struct request {
    const char *output, *depth;
    bool raw;
    char **program;
    char path[PATH_ROOM], library[PATH_ROOM];
} request;

static int read_words(request *r, int count, char **words)
{
    static const char *const options[] = {"-o", "--depth", "--raw", "--help", NULL};
    int at = 1;
    for (; at < count && is_option(words[at]) && strcmp(words[at], "--") != 0; at++) {
        const char *value = option_value(count, words, &at, "-o");
        const char *depth = value == NULL ? option_value(count, words, &at, "--depth") : NULL;
        if (value != NULL) {
            r->output = value;
        } else if (depth != NULL) {
            char *end;
            long frames = strtol(depth, &end, 10);
            if (*end != '\0' || frames < 1 || frames > TRACE_FRAMES_MOST) {
                return complain(USAGE, "--depth is a number from 1 to %d, not '%s'",
                                TRACE_FRAMES_MOST, depth);
            }
            r->depth = depth;
        } else if (strcmp(words[at], "--raw") == 0) {
            r->raw = true;
        } else {
            return refuse_word("option", words[at], options);
        }
    }
    at += at < count && strcmp(words[at], "--") == 0;
    if (at >= count) {
        return complain(USAGE, "which program? (fief record -- PROGRAM ARGS)");
    }
    r->program = words + at;
    return DONE;
}

/* Beside this program, as a build has it; else where it is installed. */
static bool find_library(request *r)
{
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length > 0 ? length : 0] = '\0';
    (void)snprintf(r->library, sizeof r->library, "%s/libfief-record.so", dirname(self));
    if (access(r->library, R_OK) != 0) {
        (void)snprintf(r->library, sizeof r->library, "%s/libfief-record.so", FIEF_TOOL_LIBDIR);
    }
    return access(r->library, R_OK) == 0;
}

/* An absolute path: the program may change its directory. */
static int make_output(request *r)
{
    char name[PATH_MAX], folder[PATH_MAX], whole[PATH_MAX], copy[PATH_MAX];
    (void)snprintf(copy, sizeof copy, "%s", r->program[0]);
    (void)snprintf(name, sizeof name, "%s", basename(copy));
    if (r->output == NULL) {
        (void)snprintf(r->path, sizeof r->path, "%.4000s.trace", name);
        r->output = r->path;
    }
    int file = open(r->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    struct stat s;
    if (file < 0 || fstat(file, &s) != 0) {
        return complain(CANNOT_RUN, "%s: cannot be written: %s", r->output, strerror(errno));
    }
    (void)close(file);
    if (!S_ISREG(s.st_mode)) {
        return complain(CANNOT_RUN, "%s: cannot be written: it is not a file", r->output);
    }
    (void)snprintf(copy, sizeof copy, "%s", r->output);
    (void)snprintf(name, sizeof name, "%s", basename(copy));
    (void)snprintf(copy, sizeof copy, "%s", r->output);
    (void)snprintf(folder, sizeof folder, "%s", dirname(copy));
    if (realpath(folder, whole) == NULL) {
        return complain(CANNOT_RUN, "%s: cannot be written: %s", r->output, strerror(errno));
    }
    (void)snprintf(r->path, sizeof r->path, "%.4090s/%.250s", whole, name);
    return DONE;
}

/* What else is loaded before the program stays so. */
static void set_environment(const request *r)
{
    char text[2 * PATH_ROOM];
    const char *others = getenv("LD_PRELOAD");
    (void)snprintf(text, sizeof text, "%s%s%s", r->library, others != NULL ? ":" : "",
                   others != NULL ? others : "");
    (void)setenv("LD_PRELOAD", text, 1);
    (void)setenv("FIEF_RECORD", r->path, 1);
    (void)snprintf(text, sizeof text, "%ld", (long)getpid());
    (void)setenv("FIEF_RECORD_PID", text, 1);
    if (r->depth != NULL) {
        (void)setenv("FIEF_RECORD_DEPTH", r->depth, 1);
        (void)setenv("FIEF_RECORD_UNWIND", "1", 1);
    }
    if (r->raw) {
        (void)setenv("FIEF_RECORD_RAW", "1", 1);
    }
}

/* The errno of an exec that failed comes back through a pipe that a good one closes. */
static pid_t start(const request *r, int *ret_error)
{
    int ends[2];
    *ret_error = 0;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        *ret_error = errno;
        return -1;
    }
    pid_t child = fork();
    if (child == 0) {
        set_environment(r);
        execvp(r->program[0], r->program);
        int error = errno;
        ssize_t written = write(ends[1], &error, sizeof error);
        _exit(written > 0 ? 127 : 126);
    }
    *ret_error = child < 0 ? errno : 0;
    (void)close(ends[1]);
    ssize_t got = child > 0 ? read(ends[0], ret_error, sizeof *ret_error) : 0;
    (void)close(ends[0]);
    if (got > 0) {
        (void)waitpid(child, NULL, 0);
        return -1;
    }
    return child;
}

static uint64_t microseconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* What children left: FILE.PID, FILE.PID.N. */
static bool is_a_childs(const request *r, const char *path)
{
    const char *at = path + strlen(r->path);
    while (*at == '.' && isdigit((unsigned char)at[1])) {
        for (at++; isdigit((unsigned char)*at); at++) {
        }
    }
    return *at == '\0';
}

static void each_child(const request *r, void (*visit)(const char *path, void *argument),
                       void *argument)
{
    char pattern[PATH_ROOM + 8];
    glob_t found;
    (void)snprintf(pattern, sizeof pattern, "%s.[0-9]*", r->path);
    if (glob(pattern, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++) {
            if (is_a_childs(r, found.gl_pathv[i])) {
                visit(found.gl_pathv[i], argument);
            }
        }
        globfree(&found);
    }
}

/* Those of an earlier recording: traces, whose names would be taken for this one's. */
static void remove_old(const char *path, void *argument)
{
    char error[400];
    (void)argument;
    trace *t = trace_open(path, error, sizeof error);
    if (t != NULL) {
        trace_close(t);
        remove_output(path);
    }
}

typedef struct sum {
    size_t files;
    bool raw;
    uint64_t operations;
} sum;

static void pack_child(const char *path, void *argument)
{
    sum *s = argument;
    char error[400];
    trace_packed packed;
    const char *pid = strrchr(path, '.');
    if (kill((pid_t)strtol(pid + 1, NULL, 10), 0) == 0) {
        return; /* it is still running */
    }
    if (trace_pack(path, s->raw, NULL, 0, &packed, error, sizeof error)) {
        s->files++;
        s->operations += packed.operations;
    }
}

static int finish(const request *r, int status, uint64_t wall)
{
    char texts[3][32], error[400];
    struct rusage usage;
    trace_packed packed;
    sum children = {.raw = r->raw};
    (void)getrusage(RUSAGE_CHILDREN, &usage);
    (void)snprintf(texts[0], sizeof texts[0], "%d",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    (void)snprintf(texts[1], sizeof texts[1], "%ld", usage.ru_maxrss);
    (void)snprintf(texts[2], sizeof texts[2], "%llu", (unsigned long long)wall);
    trace_fact facts[] = {{WIFSIGNALED(status) ? "signal" : "status", texts[0]},
                          {"peak_kib", texts[1]}, {"wall_us", texts[2]}};
    int own = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    struct stat s;
    if (stat(r->path, &s) == 0 && s.st_size == 0) {
        remove_output(r->path);
        return complain(own != 0 ? own : CANNOT_RUN, "%s made no calls that could be recorded: it "
                        "is linked statically, has privileges, or is a sanitizer's", r->program[0]);
    }
    if (!trace_pack(r->path, r->raw, facts, 3, &packed, error, sizeof error)) {
        return complain(own != 0 ? own : CANNOT_RUN, "%s", error);
    }
    each_child(r, pack_child, &children);
    hint("fief record: %s: %s operations, %s, %.1f bytes each", r->output,
         grouped(packed.operations), bytes_text(packed.size),
         packed.operations > 0 ? (double)packed.size / (double)packed.operations : 0.0);
    if (WIFSIGNALED(status)) {
        hint("  the program was ended by signal %d (%s); the trace is whole up to there",
             WTERMSIG(status), strsignal(WTERMSIG(status)));
    }
    if (children.files > 0) {
        hint("  and %zu of its children: %s.PID, %s operations", children.files, r->output,
             grouped(children.operations));
    }
    hint("next: fief show %s", r->output);
    return own;
}

int run_record(int count, char **words)
{
    request r = {0};
    int status = read_words(&r, count, words), error;
    if (status != DONE) {
        return status;
    }
    if (!find_library(&r)) {
        return complain(CANNOT_RUN, "libfief-record.so is neither beside this program nor in %s",
                        FIEF_TOOL_LIBDIR);
    }
    status = make_output(&r);
    if (status != DONE) {
        return status;
    }
    each_child(&r, remove_old, NULL);
    uint64_t began = microseconds();
    pid_t child = start(&r, &error);
    if (child < 0) {
        remove_output(r.path);
        return complain(CANNOT_RUN, "%s: cannot be started: %s", r.program[0], strerror(error));
    }
    (void)signal(SIGINT, SIG_IGN); /* the program's own: it gets it from the terminal, too */
    (void)signal(SIGQUIT, SIG_IGN);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return finish(&r, status, microseconds() - began);
}
