/* host: a small interpreter whose mistakes have known places. A comment that names a site stands on
 * its line; sites.py looks there for what a report must say. */
#ifndef HOST_H
#define HOST_H

#include <fief/fief.h>

enum { NODE, STRING, LIST, KINDS };

typedef struct node {
    struct node *left;
    size_t length;
    char text[104];
} node;

/* In helper functions of a header: two inlined frames at one address. */
static inline __attribute__((always_inline)) void drop_text(fief_runtime *rt, char *text)
{
    fief_free(rt, STRING, text, 40); /* site: inlined.used */
}

static inline __attribute__((always_inline)) void clear_text(fief_runtime *rt, char **text)
{
    drop_text(rt, *text); /* site: inlined.used.1 */
    *text = NULL;
}

/* object.c */
char *new_string(fief_runtime *rt, size_t size);
void free_string(fief_runtime *rt, char *string, size_t size);
void free_again(fief_runtime *rt, char *string, size_t size);
node *new_node(fief_runtime *rt, node *left);

/* vm.c: runs one program; false: there is none of that name. The halves of two programs, so that
 * somebody may unload the code in between. */
bool run_program(const char *name);
void *make_garbage(fief_runtime *rt);

#endif
