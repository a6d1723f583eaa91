/* main PROGRAM [LIBRARY]: runs a program of vm.c, which is linked, or in a library to be opened. */
#include "host.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#pragma weak run_program

static void *symbol(void *library, const char *name)
{
    void *found = library != NULL ? dlsym(library, name) : NULL;
    if (found == NULL) {
        (void)fprintf(stderr, "main: %s\n", dlerror());
    }
    return found;
}

static fief_runtime *open_runtime(void)
{
    static const fief_kind kinds[KINDS] = {
        {.name = "node", .any = FIEF_HEAP}, {.name = "string", .any = FIEF_HEAP},
        {.name = "list", .any = FIEF_HEAP}};
    return fief_open(&(fief_config){.name = "main", .kinds = kinds, .kind_count = KINDS});
}

/* Not inlined: in one function a compiler makes one call of two that are alike.
 * The block was made and freed by code that is gone. */
static __attribute__((noinline)) void free_what_is_unloaded(fief_runtime *rt, void *garbage)
{
    fief_free(rt, STRING, garbage, 64); /* site: unloaded.used */
}

/* The same, with another build of the file in its place, most likely at the same addresses. */
static __attribute__((noinline)) void free_what_is_swapped(fief_runtime *rt, void *garbage,
                                                           const char *path)
{
    if (rename("libother.so", path) == 0 && dlopen(path, RTLD_NOW) != NULL) {
        fief_free(rt, STRING, garbage, 64); /* site: swapped.used */
    }
}

static int run_unloaded(const char *program, const char *path, void *library)
{
    fief_runtime *rt = open_runtime();
    void *(*make)(fief_runtime *);
    void *found = symbol(library, "make_garbage");
    if (rt == NULL || found == NULL) {
        return 2;
    }
    memcpy(&make, &found, sizeof make);
    void *garbage = make(rt);
    (void)dlclose(library);
    if (strcmp(program, "unloaded") == 0) {
        free_what_is_unloaded(rt, garbage);
    } else {
        free_what_is_swapped(rt, garbage, path);
    }
    return 0;
}

int main(int argc, char **argv)
{
    bool (*run)(const char *) = run_program;
    if (argc > 2) {
        void *library = dlopen(argv[2], RTLD_NOW);
        if (strcmp(argv[1], "unloaded") == 0 || strcmp(argv[1], "swapped") == 0) {
            return run_unloaded(argv[1], argv[2], library);
        }
        void *found = symbol(library, "run_program");
        memcpy(&run, &found, sizeof run);
    }
    return argc > 1 && run != NULL && run(argv[1]) ? 0 : 2;
}
