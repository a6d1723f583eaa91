/* fief-engine-cpython: CPython 3.11 on the frame. Its own allocator is pymalloc, over libc. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <fief/adapt/cpython.h>

#include "frame.h"

#include <dirent.h>
#include <time.h>

/* They outlive the interpreter, which frees some of it as the process ends. */
typedef struct domains {
    fief_cpython held;
    fief_locked raw;
    trap traps[3];
} domains;

/* Each domain as it is, with a trap before it. */
static void set_traps(frame *f, domains *d)
{
    for (int i = 0; i < 3; i++) {
        PyMemAllocatorDomain domain = (PyMemAllocatorDomain)i;
        PyMemAllocatorEx was;
        PyMem_GetAllocator(domain, &was);
        d->traps[i] = (trap){f, was.malloc, was.calloc, was.realloc, was.free, was.ctx};
        PyMemAllocatorEx now = {&d->traps[i], trap_alloc, trap_calloc, trap_realloc, trap_free};
        PyMem_SetAllocator(domain, &now);
    }
}

static void set_fief(domains *d)
{
    PyMemAllocatorEx raw = {&d->raw, fief_locked_malloc, fief_locked_calloc, fief_locked_realloc,
                            fief_locked_free};
    PyMemAllocatorEx held = {&d->held, fief_cpython_malloc, fief_cpython_calloc,
                             fief_cpython_realloc, fief_cpython_free};
    PyMem_SetAllocator(PYMEM_DOMAIN_RAW, &raw);
    PyMem_SetAllocator(PYMEM_DOMAIN_MEM, &held);
    PyMem_SetAllocator(PYMEM_DOMAIN_OBJ, &held);
}

static PyStatus preinitialize(const frame *f)
{
    PyPreConfig config;
    PyPreConfig_InitIsolatedConfig(&config);
    config.utf8_mode = 1;
    if (f->allocator == MEMORY_LIBC) {
        config.allocator = PYMEM_ALLOCATOR_MALLOC;
    }
    return Py_PreInitialize(&config);
}

/* Isolated, without site: what runs is the program. */
static PyStatus initialize(frame *f)
{
    PyConfig config;
    PyConfig_InitIsolatedConfig(&config);
    config.site_import = 0;
    config.parse_argv = 0;
    config.use_hash_seed = 1; /* the same hashes in each run */
    config.hash_seed = 0;
    int count = f->arguments[1] != NULL ? 2 : 1;
    PyStatus status = PyConfig_SetBytesArgv(&config, count, f->arguments);
    if (!PyStatus_Exception(status)) {
        status = Py_InitializeFromConfig(&config);
    }
    PyConfig_Clear(&config);
    return status;
}

static int count_threads(void)
{
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *task; tasks != NULL && (task = readdir(tasks)) != NULL;) {
        count += task->d_name[0] != '.';
    }
    if (tasks != NULL) {
        (void)closedir(tasks);
    }
    return count;
}

/* Thread.join returns while the thread still frees its own state: its memory may not go before. */
static void await_threads(void)
{
    enum { TURNS = 2000 };
    for (int turn = 0; turn < TURNS && count_threads() > 1; turn++) {
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

static int run_program(frame *f, domains *d)
{
    PyStatus status = preinitialize(f);
    if (f->runtime != NULL) {
        set_fief(d);
    }
    if (f->trapped) {
        set_traps(f, d);
    }
    if (!PyStatus_Exception(status)) {
        status = initialize(f);
    }
    if (PyStatus_Exception(status)) {
        return frame_complain(status.err_msg != NULL ? status.err_msg : "cannot start");
    }
    FILE *file = fopen(f->program, "rb");
    int result = file == NULL ? frame_complain("cannot read the program")
                              : PyRun_SimpleFileEx(file, f->program, 1) != 0;
    int ended = Py_FinalizeEx();
    await_threads();
    return ended == 0 ? result : 1;
}

static int run(frame *f)
{
    domains d = {.held = {.runtime = f->runtime}};
    if (f->runtime == NULL) {
        return run_program(f, &d);
    }
    if (!fief_locked_open(&d.raw, &(fief_config){.name = "cpython raw"})) {
        return frame_complain("cannot open the memory of the raw domain");
    }
    int status = run_program(f, &d);
    fief_locked_drop(&d.raw);
    return status;
}

int main(int argc, char **argv)
{
    engine e = {.name = "cpython", .has_own = true, .keeps_blocks = true, .run = run};
    return frame_main(&e, argc, argv);
}
