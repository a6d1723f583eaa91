/* faults: every call to the OS fails once, in a program that uses every strategy: nothing is lost,
 * nothing leaks, and what had been made stays as it was. */
#include "os/fake.h"

#include <fief/fief.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(bool condition, const char *what, size_t n)
{
    if (!condition) {
        fprintf(stderr, "faults: %s when call %zu failed\n", what, n);
        exit(1);
    }
}

static void program(size_t n)
{
    fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = (size_t)32 << 20});
    if (rt == NULL) {
        return;
    }
    fief_heap *h = fief_runtime_heap(rt);
    char *name = fief_strdup(rt, FIEF_NATIVE, "clock");
    size_t size = 100;
    unsigned char *block = fief_heap_alloc(h, size);
    if (block != NULL) {
        block[0] = 42;
        for (int i = 0; i < 14; i++) {
            unsigned char *moved = fief_heap_resize(h, block, size, size * 2);
            if (moved != NULL) {
                block = moved;
                size *= 2;
            }
            must(block[0] == 42, "a failed resize lost the block", n);
        }
    }
    fief_unit unit = fief_unit_begin(rt);
    for (int i = 0; i < 3000; i++) {
        (void)fief_temp(rt, char, 1000);
    }
    fief_unit_end(rt, unit);
    void *closure = fief_new(rt, FIEF_KIND_CLOSURE, FIEF_DYNAMIC, 64);
    must(name == NULL || strcmp(name, "clock") == 0, "a vm string changed", n);
    fief_free(rt, FIEF_KIND_CLOSURE, closure, 64);
    fief_heap_free(h, block, size);
    must(fief_close(rt) == 0, "a block leaked", n);
}

int main(void)
{
    size_t n = 0, made;
    do {
        fake_fail_at(++n);
        program(n);
        made = fake_calls();
        must(fake_reserves() == 0, "a reserve leaked", n);
    } while (n <= made);
    printf("%zu calls, each failed once\n", made);
    return made > 3 ? 0 : 1;
}
