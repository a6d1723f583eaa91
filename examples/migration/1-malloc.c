/* Step 1: malloc and free, each block for itself. */
#include "mini.h"

#include <stdlib.h>
#include <string.h>

/* ---- compiling ---- */

node *node_new(machine *m)
{
    (void)m;
    return must(calloc(1, sizeof(node)));
}

static void tree_free(node *n)
{
    while (n != NULL) {
        node *next = n->next;
        tree_free(n->items);
        free(n);
        n = next;
    }
}

void *builder_grow(machine *m, void *block, size_t old_size, size_t new_size)
{
    (void)m, (void)old_size;
    return must(realloc(block, new_size));
}

function *function_new(machine *m, builder *b)
{
    function *f = function_fill(m, must(malloc(function_size(b))), b);
    free(b->code);
    free(b->constants);
    return f;
}

symbol *symbol_new(machine *m, size_t size)
{
    (void)m;
    return must(malloc(symbol_size(size)));
}

string *literal_new(machine *m, const char *bytes, size_t size)
{
    string *s = string_new(m, size);
    memcpy(s->bytes, bytes, size);
    return s;
}

/* ---- running ---- */

string *string_new(machine *m, size_t size)
{
    string *s = must(malloc(string_size(size)));
    object_add(m, &s->head, VALUE_STRING);
    s->size = size;
    s->bytes[size] = '\0';
    return s;
}

pair *pair_new(machine *m, value first, value rest)
{
    pair *p = must(malloc(sizeof *p));
    object_add(m, &p->head, VALUE_PAIR);
    p->first = first;
    p->rest = rest;
    return p;
}

void object_free(machine *m, object *o)
{
    (void)m;
    free(o);
}

frame *frame_push(machine *m, const function *f)
{
    return frame_link(m, must(calloc(1, frame_size(f))), f);
}

void frame_pop(machine *m)
{
    frame *f = m->frame;
    m->frame = f->caller;
    free(f);
}

/* ---- the program ---- */

bool run_file(machine *m, const char *path)
{
    size_t size;
    if (!source_size(path, &size)) {
        return false;
    }
    char *text = must(malloc(size + 1));
    reader r = {.at = text, .line = 1};
    bool is_good = source_read(path, text, size);
    while (reader_more(&r)) {
        node *form = reader_form(m, &r);
        is_good = form_run(m, &r, form) && is_good;
        tree_free(form);
    }
    free(text);
    return is_good;
}

static void machine_close(machine *m)
{
    for (object *o = m->objects, *next; o != NULL; o = next) {
        next = o->next;
        free(o);
    }
    for (function *f = m->functions, *next; f != NULL; f = next) {
        next = f->next;
        free(f);
    }
    for (symbol *s = m->symbols, *next; s != NULL; s = next) {
        next = s->next;
        free(s);
    }
}

int main(int argc, char **argv)
{
    machine m = {0};
    bool is_good = true;
    for (int i = 1; i < argc; i++) {
        is_good = run_file(&m, argv[i]) && is_good;
    }
    machine_close(&m);
    return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}
