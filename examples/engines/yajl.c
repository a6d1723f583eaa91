/* fief-engine-yajl: yajl behind the plain vtable: PROGRAM is a JSON document. It is parsed into a
 * tree some times over, the latest trees are kept, and the last one is written out again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yajl/yajl_gen.h>
#include <yajl/yajl_parse.h>

#include <fief/adapt/vtable.h>

#include "frame.h"

enum { ROUNDS = 400, KEPT = 8, DEPTH = 64 };

typedef enum shape {
    IS_NULL, IS_TRUE, IS_FALSE, IS_NUMBER, IS_STRING, IS_KEY, IS_MAP, IS_ARRAY
} shape;

typedef struct node {
    shape shape;
    size_t size;
    struct node *next, *first, **last; /* the next of its parent; its own */
    char text[];
} node;

typedef struct builder {
    yajl_alloc_funcs *memory;
    node *root, *open[DEPTH];
    int depth;
} builder;

static int add(builder *b, shape s, const void *text, size_t size)
{
    node *n = b->memory->malloc(b->memory->ctx, sizeof *n + size);
    if (n == NULL) {
        return 0;
    }
    *n = (node){.shape = s, .size = size};
    n->last = &n->first;
    memcpy(n->text, text, size);
    if (b->depth == 0) {
        b->root = n;
    } else {
        node *parent = b->open[b->depth - 1];
        *parent->last = n;
        parent->last = &n->next;
    }
    if (s >= IS_MAP) {
        if (b->depth == DEPTH) {
            return 0;
        }
        b->open[b->depth++] = n;
    }
    return 1;
}

static int on_null(void *b)
{
    return add(b, IS_NULL, "", 0);
}

static int on_boolean(void *b, int value)
{
    return add(b, value ? IS_TRUE : IS_FALSE, "", 0);
}

static int on_number(void *b, const char *text, size_t size)
{
    return add(b, IS_NUMBER, text, size);
}

static int on_string(void *b, const unsigned char *text, size_t size)
{
    return add(b, IS_STRING, text, size);
}

static int on_key(void *b, const unsigned char *text, size_t size)
{
    return add(b, IS_KEY, text, size);
}

static int on_map(void *b)
{
    return add(b, IS_MAP, "", 0);
}

static int on_array(void *b)
{
    return add(b, IS_ARRAY, "", 0);
}

static int on_end(void *given)
{
    builder *b = given;
    b->depth--;
    return 1;
}

static void node_free(yajl_alloc_funcs *memory, node *n)
{
    while (n != NULL) {
        node *next = n->next;
        node_free(memory, n->first);
        memory->free(memory->ctx, n);
        n = next;
    }
}

/* The tree, or NULL after a complaint. */
static node *parse(yajl_alloc_funcs *memory, const char *text, size_t size)
{
    static const yajl_callbacks callbacks = {
        on_null, on_boolean, NULL, NULL, on_number, on_string, on_map, on_key, on_end, on_array,
        on_end};
    builder b = {.memory = memory};
    yajl_handle parser = yajl_alloc(&callbacks, memory, &b);
    bool good = parser != NULL &&
                yajl_parse(parser, (const unsigned char *)text, size) == yajl_status_ok &&
                yajl_complete_parse(parser) == yajl_status_ok;
    if (parser != NULL) {
        yajl_free(parser);
    }
    if (!good) {
        (void)frame_complain("no JSON, or not enough memory");
        node_free(memory, b.root);
        return NULL;
    }
    return b.root;
}

static void generate(yajl_gen g, const node *n)
{
    for (; n != NULL; n = n->next) {
        const unsigned char *text = (const unsigned char *)n->text;
        switch (n->shape) {
        case IS_NULL: yajl_gen_null(g); break;
        case IS_TRUE:
        case IS_FALSE: yajl_gen_bool(g, n->shape == IS_TRUE); break;
        case IS_NUMBER: yajl_gen_number(g, n->text, n->size); break;
        case IS_STRING:
        case IS_KEY: yajl_gen_string(g, text, n->size); break;
        case IS_MAP:
            yajl_gen_map_open(g);
            generate(g, n->first);
            yajl_gen_map_close(g);
            break;
        case IS_ARRAY:
            yajl_gen_array_open(g);
            generate(g, n->first);
            yajl_gen_array_close(g);
            break;
        }
    }
}

static int write_out(yajl_alloc_funcs *memory, const node *root)
{
    yajl_gen g = yajl_gen_alloc(memory);
    const unsigned char *text;
    size_t size;
    if (g == NULL) {
        return frame_complain("not enough memory to write");
    }
    yajl_gen_config(g, yajl_gen_beautify, 1);
    generate(g, root);
    yajl_gen_get_buf(g, &text, &size);
    fwrite(text, 1, size, stdout);
    yajl_gen_free(g);
    return EXIT_SUCCESS;
}

static int run_document(const frame *f, yajl_alloc_funcs *memory, const char *text, size_t size)
{
    node *kept[KEPT] = {NULL}, *last = NULL;
    int rounds = (int)(ROUNDS * f->scale), status = EXIT_SUCCESS;
    for (int i = 0; i <= rounds && status == EXIT_SUCCESS; i++) {
        node_free(memory, kept[i % KEPT]);
        last = kept[i % KEPT] = parse(memory, text, size);
        status = last != NULL ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    if (status == EXIT_SUCCESS) {
        status = write_out(memory, last);
    }
    for (int i = 0; i < KEPT; i++) {
        node_free(memory, kept[i]);
    }
    return status;
}

static int run(frame *f)
{
    trap on_libc = {f, libc_alloc, NULL, libc_realloc, libc_free, NULL};
    trap on_fief = {f, fief_vtable_alloc, NULL, fief_vtable_realloc, fief_vtable_free,
                    frame_heap(f)};
    trap *t = f->runtime != NULL ? &on_fief : &on_libc;
    yajl_alloc_funcs plain = {t->alloc, t->realloc, t->free, t->context};
    yajl_alloc_funcs trapped = {trap_alloc, trap_realloc, trap_free, t};
    size_t size;
    char *text = frame_read(f->program, &size);
    int status = text == NULL ? EXIT_FAILURE
                              : run_document(f, f->trapped ? &trapped : &plain, text, size);
    free(text);
    return status;
}

int main(int argc, char **argv)
{
    return frame_main(&(engine){.name = "yajl", .run = run}, argc, argv);
}
