/* print_json: the statistics of several runtimes, one JSON object a line, for json_check.py. */
#include <fief/fief.h>

#include <stdio.h>
#include <stdlib.h>

static void print_one(const char *label, fief_config config)
{
    fief_runtime *rt = fief_open(&config);
    fief_unit unit = fief_unit_begin(rt);
    void *temporary = fief_new(rt, 0, FIEF_TEMPORARY, 10);
    void *block = fief_heap_alloc(fief_runtime_heap(rt), 1000);
    void *too_much = fief_heap_alloc(fief_runtime_heap(rt), (size_t)PTRDIFF_MAX / 2);
    size_t length = fief_stats_json(rt, NULL, 0);
    char *text = malloc(length + 1);
    if (temporary == NULL || block == NULL || too_much != NULL || text == NULL) {
        exit(1);
    }
    (void)fief_stats_json(rt, text, length + 1);
    printf("%s\t%s\n", label, text);
    free(text);
    fief_heap_free(fief_runtime_heap(rt), block, 1000);
    fief_unit_end(rt, unit);
    if (fief_close(rt) != 0) {
        exit(1);
    }
}

int main(void)
{
    static const fief_kind odd[] = {
        {.name = "say \"hello\"", .any = FIEF_COMPILER_ARENA},
        {.name = "back\\slash", .any = FIEF_POOL, .size = 16},
        {.name = "line\nbreak\ttab\x01", .any = FIEF_HEAP},
        {.name = "", .any = FIEF_STACK},
        {.name = "größer", .any = FIEF_VM_ARENA},
    };
    print_one("plain", (fief_config){.name = "plain"});
    print_one("counted", (fief_config){.count_blocks = true});
    print_one("odd", (fief_config){.name = "a \"name\" with \\ and \n",
                                   .kinds = odd,
                                   .kind_count = 5,
                                   .limit_bytes = 1 << 20});
    return 0;
}
