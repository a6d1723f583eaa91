/* object: makes and frees what the programs of vm.c misuse. Calls in the position of a tail are
 * on purpose: a compiler turns them into jumps where it may. */
#include "host.h"

char *new_string(fief_runtime *rt, size_t size)
{
    return fief_new(rt, STRING, FIEF_DYNAMIC, size); /* site: double-free.allocated */
}

void free_string(fief_runtime *rt, char *string, size_t size)
{
    fief_free(rt, STRING, string, size); /* site: double-free.died */
}

void free_again(fief_runtime *rt, char *string, size_t size)
{
    if (size > 10) {
        fief_free(rt, STRING, string, size); /* site: double-free.used */
    }
}

node *new_node(fief_runtime *rt, node *left)
{
    node *made = fief_new(rt, NODE, FIEF_TEMPORARY, sizeof *made); /* site: reset.allocated */
    made->left = left;
    return made;
}
