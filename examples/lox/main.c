/* lox: the language of "Crafting Interpreters", on Fief's memory.
 *
 *     options ── vm_open ── files, code or REPL ── statistics ── vm_close ── status
 */
#include "repl.h"
#include "stats.h"
#include "vm.h"

#include "../peak.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { USAGE_ERROR = 64, COUNT_MOST = 1000000, DESCRIPTOR_MOST = 1023 };

typedef struct options {
    vm_options vm;
    bool wants_stats;
    unsigned repeat;  /* the whole life of a VM; for measuring */
    size_t peak_file; /* descriptor for the peak resident KiB; 0: none */
    const char *code; /* of -e */
    const char *save; /* where the image goes that the files make; or NULL */
    int files;        /* index in argv */
} options;

static const char usage[] =
    "usage: lox [options]            reads lines and runs them\n"
    "       lox [options] FILE...    runs the files, one after the other\n"
    "       lox [options] -e CODE    runs the code\n"
    "  --stats               where the bytes went, to stderr\n"
    "  --gc-stress           collects at every allocation\n"
    "  --limit BYTES         of memory at most, with suffix K, M or G\n"
    "  --frames N            calls within calls at most (64)\n"
    "  --steps N             calls and turns of loops at most\n"
    "  --strategy arenas     each kind where it belongs (the default)\n"
    "  --strategy all-heap   each block for itself, from libc's malloc\n"
    "  --heap libc|fief      whose heap all-heap means (libc)\n"
    "  --repeat N            runs it all N times, with a new VM each time\n"
    "  --save-image FILE     writes what the program defined, when it is done\n"
    "  --image FILE          begins with what such a file has\n"
    "  --peak FD             peak resident KiB to this descriptor\n"
    "  --dump                prints the bytecode before it runs\n"
    "status: 0; 64 usage, 65 compile error, 70 runtime error, 74 input or output\n";

static bool complain(const char *what, const char *about)
{
    fprintf(stderr, "lox: %s '%s' (see lox --help)\n", what, about);
    return false;
}

/* ---- options ---- */

/* Digits and at most one of K, M, G; 0 is refused. */
static bool parse_bytes(const char *text, size_t *ret_bytes)
{
    static const char suffixes[] = "KMG";
    char *end;
    errno = 0;
    unsigned long long count = strtoull(text, &end, 10);
    const char *suffix = *end != '\0' ? strchr(suffixes, *end) : NULL;
    unsigned shift = suffix != NULL ? 10 * (unsigned)(suffix - suffixes + 1) : 0;
    if (text[0] < '0' || text[0] > '9' || errno != 0 || count == 0 || count > SIZE_MAX >> shift ||
        (*end != '\0' && (suffix == NULL || end[1] != '\0'))) {
        return false;
    }
    *ret_bytes = (size_t)count << shift;
    return true;
}

static bool parse_word(const char *text, const char *no, const char *yes, bool *ret_is_yes)
{
    *ret_is_yes = strcmp(text, yes) == 0;
    return *ret_is_yes || strcmp(text, no) == 0;
}

static bool parse_count(const char *text, unsigned *ret_count)
{
    size_t count;
    if (!parse_bytes(text, &count) || count > COUNT_MOST) {
        return false;
    }
    *ret_count = (unsigned)count;
    return true;
}

static bool take_flag(options *o, const char *name)
{
    bool *flag = strcmp(name, "--stats") == 0       ? &o->wants_stats
                 : strcmp(name, "--gc-stress") == 0 ? &o->vm.gc_stress
                 : strcmp(name, "--dump") == 0      ? &o->vm.dump
                                                    : NULL;
    if (flag != NULL) {
        *flag = true;
    }
    return flag != NULL;
}

typedef enum verdict { GOOD, BAD_VALUE, UNKNOWN } verdict;

static verdict take_value(options *o, const char *name, const char *value)
{
    memory_options *m = &o->vm.memory;
    bool good;
    if (strcmp(name, "-e") == 0) {
        o->code = value;
        good = true;
    } else if (strcmp(name, "--image") == 0) {
        o->vm.image = value;
        good = value[0] != '\0';
    } else if (strcmp(name, "--save-image") == 0) {
        o->save = value;
        good = value[0] != '\0';
    } else if (strcmp(name, "--limit") == 0) {
        good = parse_bytes(value, &m->limit);
    } else if (strcmp(name, "--frames") == 0) {
        good = parse_count(value, &o->vm.frames);
    } else if (strcmp(name, "--steps") == 0) {
        good = parse_bytes(value, &o->vm.steps);
    } else if (strcmp(name, "--repeat") == 0) {
        good = parse_count(value, &o->repeat);
    } else if (strcmp(name, "--peak") == 0) {
        good = parse_bytes(value, &o->peak_file) && o->peak_file <= DESCRIPTOR_MOST;
    } else if (strcmp(name, "--strategy") == 0) {
        good = parse_word(value, "arenas", "all-heap", &m->all_heap);
    } else if (strcmp(name, "--heap") == 0) {
        good = parse_word(value, "libc", "fief", &m->on_fief);
    } else {
        return UNKNOWN;
    }
    return good ? GOOD : BAD_VALUE;
}

/* An image lies in the VM's arena, is made of a program, and is made anew. */
static bool images_are_sound(const options *o, int argc)
{
    const char *file = o->save != NULL ? o->save : o->vm.image;
    if (file == NULL) {
        return true;
    }
    if (o->vm.memory.all_heap) {
        return complain("all-heap goes without the image", file);
    }
    if (o->save != NULL && o->vm.image != NULL) {
        return complain("--image goes without --save-image", file);
    }
    if (o->save != NULL && o->code == NULL && o->files == argc) {
        return complain("a program must be there to make the image", file);
    }
    return o->save == NULL || o->repeat <= 1 ||
           complain("--repeat goes without --save-image", file);
}

static bool parse_options(options *o, int argc, char **argv)
{
    int i = 1;
    for (; i < argc && argv[i][0] == '-' && argv[i][1] != '\0'; i++) {
        if (strcmp(argv[i], "--") == 0) {
            i++;
            break;
        }
        if (take_flag(o, argv[i])) {
            continue;
        }
        verdict verdict = take_value(o, argv[i], i + 1 < argc ? argv[i + 1] : "");
        if (verdict == UNKNOWN) {
            return complain("unrecognized option", argv[i]);
        }
        if (i + 1 >= argc) {
            return complain("a value must follow", argv[i]);
        }
        if (verdict == BAD_VALUE) {
            fprintf(stderr, "lox: bad value '%s' for %s (see lox --help)\n", argv[i + 1], argv[i]);
            return false;
        }
        i++;
    }
    o->files = i;
    o->vm.memory.count_blocks = o->wants_stats;
    o->vm.memory.records_vm = o->save != NULL;
    o->vm.code_is_collected = o->code == NULL && i == argc;
    return (o->code == NULL || i == argc || complain("-e goes without", argv[i])) &&
           images_are_sound(o, argc);
}

/* ---- running ---- */

static outcome run_all(vm *vm, const options *o, int argc, char **argv)
{
    if (o->code != NULL) {
        return vm_interpret(vm, o->code, strlen(o->code));
    }
    if (o->files == argc) {
        repl(vm);
        return OUTCOME_OK;
    }
    outcome result = OUTCOME_OK;
    for (int i = o->files; i < argc && result == OUTCOME_OK; i++) {
        result = vm_interpret_file(vm, argv[i]);
    }
    return result;
}

static int finish(vm *vm, const options *o, outcome result)
{
    bool is_written = fflush(stdout) == 0 && !ferror(stdout);
    if (o->wants_stats) {
        stats_print(vm);
    }
    if (o->peak_file != 0) {
        peak_write((int)o->peak_file);
    }
    if (vm_close(vm) != 0 && result == OUTCOME_OK) {
        return EXIT_FAILURE;
    }
    if (!is_written) {
        fputs("lox: cannot write to the standard output\n", stderr);
        return OUTCOME_IO_ERROR;
    }
    return (int)result;
}

static int run_once(const options *o, int argc, char **argv)
{
    static vm vm;
    if (!vm_open(&vm, &o->vm)) {
        return OUTCOME_RUNTIME_ERROR;
    }
    outcome result = run_all(&vm, o, argc, argv);
    if (result == OUTCOME_OK && o->save != NULL && !image_save(&vm, o->save)) {
        result = OUTCOME_IO_ERROR;
    }
    return finish(&vm, o, result);
}

/* More than one VM: they live in a range that is kept, as a host's would that opens many. */
static int run_repeatedly(options *o, int argc, char **argv)
{
    int status = EXIT_SUCCESS;
    if (o->repeat > 1) {
        o->vm.memory.range = fief_range_open(0);
    }
    do {
        status = run_once(o, argc, argv);
    } while (status == EXIT_SUCCESS && o->repeat-- > 1);
    fief_range_close(o->vm.memory.range);
    return status;
}

int main(int argc, char **argv)
{
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(usage, stdout);
        return EXIT_SUCCESS;
    }
    options o = {0};
    if (!parse_options(&o, argc, argv)) {
        return USAGE_ERROR;
    }
    signal(SIGPIPE, SIG_IGN); /* a reader that is gone is an error like others */
    return run_repeatedly(&o, argc, argv);
}
