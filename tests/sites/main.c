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

/* The block is made and freed by code that is gone when it is freed again. */
static int free_what_is_unloaded(void *library)
{
    static const fief_kind kinds[KINDS] = {
        {.name = "node", .any = FIEF_HEAP}, {.name = "string", .any = FIEF_HEAP},
        {.name = "list", .any = FIEF_HEAP}};
    fief_runtime *rt =
        fief_open(&(fief_config){.name = "unloaded", .kinds = kinds, .kind_count = KINDS});
    void *(*make)(fief_runtime *);
    void *found = symbol(library, "make_garbage");
    if (found == NULL) {
        return 2;
    }
    memcpy(&make, &found, sizeof make);
    void *garbage = make(rt);
    (void)dlclose(library);
    fief_free(rt, STRING, garbage, 64); /* site: unloaded.used */
    return 0;
}

int main(int argc, char **argv)
{
    bool (*run)(const char *) = run_program;
    if (argc > 2) {
        void *library = dlopen(argv[2], RTLD_NOW);
        if (strcmp(argv[1], "unloaded") == 0) {
            return free_what_is_unloaded(library);
        }
        void *found = symbol(library, "run_program");
        memcpy(&run, &found, sizeof run);
    }
    return argc > 1 && run != NULL && run(argv[1]) ? 0 : 2;
}
