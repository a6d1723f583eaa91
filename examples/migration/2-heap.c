/* Step 2: the same calls, on a runtime's heap. What is left at its close is told. */
#include <fief/fief.h>

#include "mini.h"

#include <stdlib.h>
#include <string.h>

/* ---- compiling ---- */

node *node_new(machine *m)
{
    return must(fief_calloc(m->rt, 1, sizeof(node)));
}

static void tree_free(machine *m, node *n)
{
    while (n != NULL) {
        node *next = n->next;
        tree_free(m, n->items);
        fief_release(m->rt, n);
        n = next;
    }
}

void *builder_grow(machine *m, void *block, size_t old_size, size_t new_size)
{
    (void)old_size;
    return must(fief_realloc(m->rt, block, new_size));
}

function *function_new(machine *m, builder *b)
{
    function *f = function_fill(m, must(fief_malloc(m->rt, function_size(b))), b);
    fief_release(m->rt, b->code);
    fief_release(m->rt, b->constants);
    return f;
}

symbol *symbol_new(machine *m, size_t size)
{
    return must(fief_malloc(m->rt, symbol_size(size)));
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
    string *s = must(fief_malloc(m->rt, string_size(size)));
    object_add(m, &s->head, VALUE_STRING);
    s->size = size;
    s->bytes[size] = '\0';
    return s;
}

pair *pair_new(machine *m, value first, value rest)
{
    pair *p = must(fief_malloc(m->rt, sizeof *p));
    object_add(m, &p->head, VALUE_PAIR);
    p->first = first;
    p->rest = rest;
    return p;
}

void object_free(machine *m, object *o)
{
    fief_release(m->rt, o);
}

frame *frame_push(machine *m, const function *f)
{
    return frame_link(m, must(fief_calloc(m->rt, 1, frame_size(f))), f);
}

void frame_pop(machine *m)
{
    frame *f = m->frame;
    m->frame = f->caller;
    fief_release(m->rt, f);
}

/* ---- the program ---- */

bool run_file(machine *m, const char *path)
{
    size_t size;
    if (!source_size(path, &size)) {
        return false;
    }
    char *text = must(fief_malloc(m->rt, size + 1));
    reader r = {.at = text, .line = 1};
    bool is_good = source_read(path, text, size);
    while (reader_more(&r)) {
        node *form = reader_form(m, &r);
        is_good = form_run(m, &r, form) && is_good;
        tree_free(m, form);
    }
    fief_release(m->rt, text);
    return is_good;
}

static void machine_close(machine *m)
{
    for (object *o = m->objects, *next; o != NULL; o = next) {
        next = o->next;
        fief_release(m->rt, o);
    }
    for (function *f = m->functions, *next; f != NULL; f = next) {
        next = f->next;
        fief_release(m->rt, f);
    }
    for (symbol *s = m->symbols, *next; s != NULL; s = next) {
        next = s->next;
        fief_release(m->rt, s);
    }
}

int main(int argc, char **argv)
{
    machine m = {.rt = must(fief_open(&(fief_config){.name = "mini"}))};
    bool is_good = true;
    for (int i = 1; i < argc; i++) {
        is_good = run_file(&m, argv[i]) && is_good;
    }
    machine_close(&m);
    is_good = fief_close(m.rt) == 0 && is_good;
    return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}
