/* bench-lox: one measurement of the interpreter, for lox.py. Prints CPU time and the process's peak
 * in KiB. HOW is arenas, all-heap, or image: then FILE is one, and an empty program runs.
 *
 *     bench-lox HOW start COUNT    ns to open a VM, run an empty program, and close it
 *     bench-lox HOW run FILE       ms to open a VM, run the file, and close it
 *     bench-lox HOW save FILE IMG  runs the file and saves its image
 *     bench-lox HOW runs FILE N    the same, of N in one process, in a range that is kept
 *     bench-lox HOW close          ms to close a VM with 100 MB of live objects
 *     bench-lox munmap close       ms to unmap 100 MB of touched 4 KiB pages, beside it */
#include "vm.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { LIVE_BYTES = 100000000, PAGE = 4096 };

static _Noreturn void give_up(const char *why)
{
    fprintf(stderr, "bench-lox: %s\n", why);
    exit(EXIT_FAILURE);
}

/* CPU time: who else is on the machine does not count. */
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void must_open(vm *vm, const vm_options *options)
{
    if (!vm_open(vm, options)) {
        give_up("no VM");
    }
}

static void must_run(vm *vm, const char *source)
{
    if (vm_interpret(vm, source, strlen(source)) != OUTCOME_OK) {
        give_up("the program failed");
    }
}

static void must_close(vm *vm)
{
    if (vm_close(vm) != 0) {
        give_up("a leak");
    }
}

static double start(vm_options *options, unsigned long count)
{
    static vm machine;
    options->memory.range = fief_range_open(0);
    must_open(&machine, options); /* the pages are touched once */
    must_close(&machine);
    double before = now();
    for (unsigned long i = 0; i < count; i++) {
        must_open(&machine, options);
        must_run(&machine, "");
        must_close(&machine);
    }
    return (now() - before) / (double)count;
}

static void life(const vm_options *options, const char *path)
{
    static vm machine;
    must_open(&machine, options);
    if (options->image != NULL) {
        must_run(&machine, "");
    } else if (vm_interpret_file(&machine, path) != OUTCOME_OK) {
        give_up("the program failed");
    }
    must_close(&machine);
}

static double run_file(const vm_options *options, const char *path)
{
    double before = now();
    life(options, path);
    return (now() - before) / 1e6;
}

static double run_files(vm_options *options, const char *path, unsigned long count)
{
    options->memory.range = fief_range_open(0);
    life(options, path); /* the pages are touched once */
    double before = now();
    for (unsigned long i = 0; i < count; i++) {
        life(options, path);
    }
    return (now() - before) / 1e6 / (double)count;
}

static double save(vm_options *options, const char *path, const char *to)
{
    static vm machine;
    options->memory.records_vm = true;
    must_open(&machine, options);
    if (vm_interpret_file(&machine, path) != OUTCOME_OK || !image_save(&machine, to)) {
        give_up("no image");
    }
    must_close(&machine);
    return 0;
}

static double close_full(const vm_options *options)
{
    static vm machine;
    must_open(&machine, options);
    must_run(&machine, "class Node { init(next, name) { this.next = next; this.name = name; } }\n"
                       "var list = nil; var i = 0;");
    while (machine.gc.bytes < LIVE_BYTES) {
        must_run(&machine, "for (var end = i + 10000; i < end; i = i + 1) {\n"
                           "  list = Node(list, \"name\" + \"s\"); list.a = Node(i, i);\n"
                           "  list.b = list.c = list.d = 0;\n"
                           "}");
    }
    double before = now();
    must_close(&machine);
    return (now() - before) / 1e6;
}

static double unmap(void)
{
    const int access = PROT_READ | PROT_WRITE, kind = MAP_PRIVATE | MAP_ANONYMOUS;
    char *pages = mmap(NULL, LIVE_BYTES, access, kind, -1, 0);
    if (pages == MAP_FAILED) {
        give_up("no memory");
    }
    madvise(pages, LIVE_BYTES, MADV_NOHUGEPAGE);
    for (size_t at = 0; at < LIVE_BYTES; at += PAGE) {
        pages[at] = 1;
    }
    double before = now();
    munmap(pages, LIVE_BYTES);
    return (now() - before) / 1e6;
}

/* Of this program: getrusage would tell the one's that started it, too. */
static long peak(void)
{
    char line[256];
    long kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL &&
           sscanf(line, "VmHWM: %ld", &kib) != 1) {
    }
    return kib;
}

static double measure(vm_options *options, const char *what, const char *argument,
                      const char *to)
{
    if (strcmp(what, "save") == 0 && argument != NULL && to != NULL) {
        return save(options, argument, to);
    }
    if (strcmp(what, "runs") == 0 && argument != NULL && to != NULL) {
        return run_files(options, argument, strtoul(to, NULL, 10));
    }
    if (strcmp(what, "start") == 0 && argument != NULL) {
        return start(options, strtoul(argument, NULL, 10));
    }
    if (strcmp(what, "run") == 0 && argument != NULL) {
        return run_file(options, argument);
    }
    return close_full(options);
}

int main(int argc, char **argv)
{
    vm_options options = {0};
    if (argc < 3) {
        give_up("is for ./dev bench lox");
    }
    options.image = strcmp(argv[1], "image") == 0 && argc > 3 ? argv[3] : NULL;
    options.memory.all_heap = strcmp(argv[1], "all-heap") == 0;
    double value = strcmp(argv[1], "munmap") == 0 ? unmap()
                                                  : measure(&options, argv[2], argv[3],
                                                            argc > 4 ? argv[4] : NULL);
    fprintf(stderr, "%.3f %ld\n", value, peak());
    return EXIT_SUCCESS;
}
