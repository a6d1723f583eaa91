/* driver: the targets without an engine. It replays files, makes random programs, and turns one
 * form of a program into another.
 *
 *     fief-fuzz [--target NAME] FILE|DIRECTORY...         replay; a directory's files by name
 *     fief-fuzz --digest FILE|DIRECTORY...                the digest of each
 *     fief-fuzz --record DIRECTORY FILE...                and leaves what each misuse's report left
 *     fief-fuzz --target NAME --seconds N [--seed S]      random programs; or --runs N
 *     fief-fuzz --text FILE | --c FILE | --bytes FILE     the program, on stdout
 *
 * A file in corpus/NAME/ is of that target, which --target overrides; without either it is of
 * `runtime`. A file that ends in .ops is text. What another program runs is refused where it is
 * named, and left out of a directory. Exit status: 0 done, 1 bad input, 2 usage; what differs from
 * the model aborts. */
#include "emit.h"
#include "lox.h"
#include "target.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    INPUT_MOST = 1 << 20,
    TEXT_MOST = OPS_MAX * 128,
    PATH_MOST = 1024,
    DONE = 0,
    BAD = 1,
    USAGE = 2
};

typedef enum action { REPLAY, DIGEST, TEXT_FORM, C_FORM, BYTES_FORM } action;

static struct {
    const target *target; /* --target */
    action action;
    double seconds;
    unsigned long long runs, seed;
    size_t files, others; /* that ran; that another program runs */
} options = {.seed = 1};

static uint8_t input[INPUT_MOST + 1];
static program present; /* what runs now, for whoever looks into a crash */
static bool present_is_random;
static size_t input_size; /* of a random text of Lox, which stands in `input` */

/* ---- which program ---- */

static const char *own_name(void)
{
    return target_faults() != NULL ? "fief-fuzz-oom" : "fief-fuzz";
}

/* oom needs the OS that fails, images that whose files are in memory, the others the real one. */
static const char *driver_of(const target *t)
{
    return t->is_image ? "fief-fuzz-image" : t->fails ? "fief-fuzz-oom" : "fief-fuzz";
}

static bool is_ours(const target *t)
{
    return strcmp(driver_of(t), own_name()) == 0;
}

__attribute__((format(printf, 2, 3))) static int complain(const char *path, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s: %s: ", own_name(), path);
    vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    return BAD;
}

/* ---- one file ---- */

/* The bytes of the file; -1: said why not. */
static long read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        (void)complain(path, "%s", strerror(errno));
        return -1;
    }
    size_t size = fread(input, 1, sizeof input, file);
    bool failed = ferror(file) != 0;
    (void)fclose(file);
    if (failed || size == 0 || size > INPUT_MOST) {
        (void)complain(path, "%s",
                       failed      ? "cannot be read"
                       : size == 0 ? "is empty: no program is"
                                   : "is larger than 1 MiB");
        return -1;
    }
    return (long)size;
}

/* corpus/<target>/file: the last folder that has a target's name, since the checkout may lie in
 * another. */
static const target *target_of(const char *path)
{
    const target *found = find_target("runtime");
    for (const char *at = path, *end; (end = strchr(at, '/')) != NULL; at = end + 1) {
        char part[40];
        (void)snprintf(part, sizeof part, "%.*s", (int)(end - at), at);
        const target *named = find_target(part);
        found = named != NULL ? named : found;
    }
    return options.target != NULL ? options.target : found;
}

static int load(const char *path, const target *t)
{
    char error[PATH_MOST + 200];
    long size = read_file(path);
    if (size < 0) {
        return BAD;
    }
    if (!t->is_text && !is_text_file(path)) {
        program_from_bytes(&present, input, (size_t)size, t->operations);
        return DONE;
    }
    if (!program_from_text(&present, (const char *)input, (size_t)size, path, error,
                           sizeof error)) {
        fprintf(stderr, "%s\n", error);
        return BAD;
    }
    return present.count != 0 ? DONE : complain(path, "is empty: no operation is in it");
}

static void print_text(void)
{
    static char text[TEXT_MOST];
    (void)program_to_text(&present, text, sizeof text);
    (void)fputs(text, stdout);
}

/* An operation that is none of the target's would be read as another. */
static int print_bytes(const char *path, const target *t)
{
    for (size_t i = 0; i < present.count; i++) {
        const op_row *row = &op_rows[present.ops[i].id];
        if ((row->targets & t->operations) == 0) {
            return complain(path, "operation %zu, %s, is none of %s's: it has no bytes", i + 1,
                            row->name, t->name);
        }
    }
    size_t size = program_to_bytes(&present, input, sizeof input);
    return fwrite(input, 1, size, stdout) == size ? DONE : BAD;
}

static void copy(FILE *from, FILE *to)
{
    rewind(from);
    for (int c; (c = getc(from)) != EOF;) {
        (void)putc(c, to);
    }
}

static bool makes_fail(void)
{
    size_t at = 0;
    while (at < present.count && present.ops[at].id != OP_fail) {
        at++;
    }
    return at < present.count;
}

/* The program runs in a child, which may crash: what it wrote until then is in two files. */
static int print_c(const char *path)
{
    static char end[1 << 16];
    FILE *body = tmpfile(), *tail = tmpfile();
    if (body == NULL || tail == NULL) {
        return complain("a temporary file", "%s", strerror(errno));
    }
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        (void)run_program(&present, target_faults(), body, tail);
        (void)fflush(body);
        (void)fflush(tail);
        _exit(DONE);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) < 0) {
        return complain(path, "%s", strerror(errno));
    }
    rewind(tail);
    end[fread(end, 1, sizeof end - 1, tail)] = '\0';
    emit_head(stdout, path, makes_fail());
    copy(body, stdout);
    if (status != 0) {
        printf("    /* here the program ended, in the build that wrote this (%s) */\n",
               fief_mode());
    }
    emit_tail(stdout, end);
    (void)fclose(body);
    (void)fclose(tail);
    return DONE;
}

static int print_file(const char *path)
{
    long size = read_file(path);
    bool printed = size >= 0 && fwrite(input, 1, (size_t)size, stdout) == (size_t)size;
    return printed ? DONE : BAD;
}

/* An input of the parser or of Lox is a text, and has no other form; an image has none. */
static int show(const char *path, const target *t)
{
    static const char *const names[] = {
        [TEXT_FORM] = "text", [C_FORM] = "C form", [BYTES_FORM] = "bytes"};
    if (t->is_image || (t->is_text && options.action != TEXT_FORM)) {
        return complain(path, "has no %s: it is an input of %s", names[options.action], t->name);
    }
    if (t->is_lox) {
        return print_file(path);
    }
    int status = load(path, t);
    if (status == DONE && options.action == TEXT_FORM) {
        print_text();
    } else if (status == DONE) {
        status = options.action == C_FORM ? print_c(path) : print_bytes(path, t);
    }
    return status;
}

static int replay(const char *path, const target *t)
{
    result r;
    if (t->is_text) {
        long size = read_file(path);
        if (size < 0) {
            return BAD;
        }
        r = target_run(t, input, (size_t)size);
    } else {
        int status = load(path, t);
        if (status != DONE) {
            return status;
        }
        r = run_program(&present, target_faults(), NULL, NULL);
    }
    if (options.action == DIGEST) {
        printf("%016llx  %s\n", (unsigned long long)r.digest, path);
    } else {
        printf("%s: ok, %zu operations (%s)\n", path, r.operations, fief_mode());
    }
    return DONE;
}

/* ---- files and directories ---- */

static int visit(const char *path, bool is_named);

static int is_visible(const struct dirent *file)
{
    return file->d_name[0] != '.';
}

static int visit_directory(const char *path)
{
    struct dirent **names;
    int count = scandir(path, &names, is_visible, alphasort), status = DONE;
    if (count < 0) {
        return complain(path, "%s", strerror(errno));
    }
    for (int i = 0; i < count; i++) {
        char inner[PATH_MOST];
        (void)snprintf(inner, sizeof inner, "%s/%s", path, names[i]->d_name);
        status |= visit(inner, false);
        free(names[i]);
    }
    free(names);
    return status;
}

/* What was named is not passed over. */
static int leave_out(const char *path, const target *t, bool is_named)
{
    options.others++;
    return is_named ? complain(path, "is an input of %s: %s runs it", t->name, driver_of(t)) : DONE;
}

static int visit(const char *path, bool is_named)
{
    struct stat about = {0}; /* MemorySanitizer does not see what stat writes */
    if (stat(path, &about) != 0) {
        return complain(path, "%s", strerror(errno));
    }
    if (S_ISDIR(about.st_mode)) {
        return visit_directory(path);
    }
    const target *t = target_of(path);
    if (options.action < TEXT_FORM && !is_ours(t)) {
        return leave_out(path, t, is_named);
    }
    options.files++;
    return options.action < TEXT_FORM ? replay(path, t) : show(path, t);
}

static int visit_all(char **paths, int count)
{
    int status = DONE;
    for (int i = 0; i < count; i++) {
        status |= visit(paths[i], true);
    }
    if (status != DONE || options.files + options.others == 0) {
        return status != DONE ? status : complain("no input there", "the corpus is empty");
    }
    if (options.others != 0) {
        fprintf(stderr, "%s: inputs of other programs left out: %zu%s\n", own_name(),
                options.others, options.files != 0 ? "" : ", and no input was its own");
    }
    return options.files != 0 ? DONE : BAD;
}

/* ---- random programs ---- */

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void show_present(void)
{
    if (present_is_random) {
        (void)fflush(stdout);
        printf("%s the program (save it as x.%s)\n", input_size != 0 ? "//" : "#",
               input_size != 0 ? "lox" : "ops");
        if (input_size != 0) {
            (void)fwrite(input, 1, input_size, stdout);
        } else {
            print_text();
        }
        (void)fflush(stdout);
        present_is_random = false;
    }
}

static void on_signal(int number)
{
    show_present();
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

__attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)(void));

/* A text of operations with one byte changed. */
static result run_random_text(const target *t, dice *d)
{
    static char text[TEXT_MOST];
    size_t length = program_to_text(&present, text, sizeof text);
    text[roll(d, length)] = (char)(roll(d, 2) != 0 ? ' ' : roll(d, 256));
    return target_run(t, (const uint8_t *)text, length);
}

/* Half of the programs are made from nothing, half are the last one, changed. */
static void make_random(const target *t, bool is_first, dice *d)
{
    enum { LOX_MOST = 1024 };
    bool is_new = roll(d, 2) == 0 || is_first;
    if (t->is_lox) {
        input_size = is_new ? lox_make(input, LOX_MOST, d)
                            : lox_mutate(input, input_size, LOX_MOST, d);
    } else if (is_new) {
        program_make(&present, t->operations, 10 + roll(d, 70), d);
    } else {
        program_mutate(&present, t->operations, d);
    }
}

static int run_random(const target *t)
{
    dice d = {options.seed};
    unsigned long long runs = 0, operations = 0;
    double started = now(), ends = started + options.seconds;
    (void)signal(SIGABRT, on_signal);
    if (__sanitizer_set_death_callback != NULL) {
        __sanitizer_set_death_callback(show_present);
    }
    present_is_random = true;
    while (options.runs != 0 ? runs < options.runs : now() < ends) {
        make_random(t, runs == 0, &d);
        runs++;
        result r = t->is_lox    ? target_run(t, input, input_size)
                   : t->is_text ? run_random_text(t, &d)
                                : run_program(&present, target_faults(), NULL, NULL);
        operations += r.operations;
    }
    present_is_random = false;
    double took = now() - started;
    printf("%s %s: %llu executions, %.0f/s, %llu operations on average, seed %llu\n", t->name,
           fief_mode(), runs, (double)runs / (took > 0 ? took : 1), operations / (runs + !runs),
           options.seed);
    return DONE;
}

/* ---- the command line ---- */

static int refuse(const char *what, const char *given)
{
    fprintf(stderr,
            "%s: %s '%s'\n"
            "usage: fief-fuzz [--target NAME] [--digest|--text|--c|--bytes] FILE...\n"
            "       fief-fuzz --record DIRECTORY FILE...\n"
            "       fief-fuzz --target NAME --seconds N|--runs N [--seed S]\n",
            own_name(), what, given);
    return USAGE;
}

static bool parse_count(const char *word, unsigned long long *ret)
{
    char *end = NULL;
    errno = 0;
    *ret = word != NULL ? strtoull(word, &end, 10) : 0;
    return word != NULL && word[0] >= '0' && word[0] <= '9' && *end == '\0' && errno == 0;
}

/* How many words it took; 0: refused. */
static int parse_option(char **words)
{
    static const char *const forms[] = {"--replay", "--digest", "--text", "--c", "--bytes"};
    unsigned long long number = 0;
    for (unsigned i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (strcmp(words[0], forms[i]) == 0) {
            options.action = (action)i;
            return 1;
        }
    }
    if (strcmp(words[0], "--record") == 0 && words[1] != NULL) {
        run_records_in(words[1]);
        return 2;
    }
    if (strcmp(words[0], "--target") == 0) {
        options.target = words[1] != NULL ? find_target(words[1]) : NULL;
        return options.target != NULL ? 2 : 0;
    }
    bool seconds = strcmp(words[0], "--seconds") == 0, runs = strcmp(words[0], "--runs") == 0;
    if ((!seconds && !runs && strcmp(words[0], "--seed") != 0) || !parse_count(words[1], &number)) {
        return 0;
    }
    *(runs ? &options.runs : &options.seed) = seconds ? options.seed : number;
    options.seconds = seconds ? (double)number : options.seconds;
    return 2;
}

int main(int argc, char **argv)
{
    int at = 1;
    while (at < argc && strncmp(argv[at], "--", 2) == 0) {
        int taken = parse_option(argv + at);
        if (taken == 0) {
            return refuse("what is", argv[at]);
        }
        at += taken;
    }
    if (options.seconds > 0 || options.runs != 0) {
        const target *t = options.target;
        if (t == NULL || !is_ours(t)) {
            return refuse("no target of this program:", t != NULL ? t->name : "");
        }
        return run_random(t);
    }
    if (at == argc) {
        return refuse("no file after", argv[at - 1]);
    }
    return visit_all(argv + at, argc - at);
}
