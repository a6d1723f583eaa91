/* A host: allocates by every strategy, and says what it was linked with. */
#include <fief/fief.h>

#include <stdio.h>

enum { OBJ_CLOSURE, NODE, KINDS };
static const fief_kind kinds[] = {
    [OBJ_CLOSURE] = {.name = "closure", .size = 48, .any = FIEF_POOL},
    [NODE] = {.name = "node", .any = FIEF_COMPILER_ARENA},
};

/* Names that Fief has inside, too: they are this host's own. */
void *arena_alloc(void);
void *arena_alloc(void) { return NULL; }
int heap_take(void);
int heap_take(void) { return 7; }

int main(void)
{
    fief_runtime *rt = fief_open(&(fief_config){.kinds = kinds, .kind_count = KINDS});
    if (rt == NULL) {
        return 1;
    }
    fief_unit unit = fief_unit_begin(rt);
    int *node = fief_new(rt, NODE, FIEF_TEMPORARY, sizeof *node);
    fief_unit_end(rt, unit);
    void *closure = fief_new(rt, OBJ_CLOSURE, FIEF_DYNAMIC, 48);
    char *text = fief_strdup(rt, FIEF_DYNAMIC, "clock");
    printf("%s %s %s %d\n", fief_mode(), fief_strategy_name(fief_owner(rt, closure)), text,
           heap_take());
    fief_free_string(rt, text);
    fief_free(rt, OBJ_CLOSURE, closure, 48);
    return node != NULL && arena_alloc() == NULL && fief_close(rt) == 0 ? 0 : 1;
}
