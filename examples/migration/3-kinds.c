/* Step 3: each block has a kind and a context, and each free knows its size. A table says where
 * the kinds live: all on the heap, for now. */
#include <fief/fief.h>

#include "mini.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT, NODE, CODE, FUNCTION, SYMBOL, STRING, PAIR, FRAME, KINDS };

static const fief_kind kinds[KINDS] = {
    [TEXT] = {.name = "text", .any = FIEF_HEAP, .traits = FIEF_NO_POINTERS},
    [NODE] = {.name = "node", .size = sizeof(node), .any = FIEF_HEAP},
    [CODE] = {.name = "code", .any = FIEF_HEAP},
    [FUNCTION] = {.name = "function", .any = FIEF_HEAP},
    [SYMBOL] = {.name = "symbol", .any = FIEF_HEAP},
    [STRING] = {.name = "string", .any = FIEF_HEAP},
    [PAIR] = {.name = "pair", .size = sizeof(pair), .any = FIEF_HEAP},
    [FRAME] = {.name = "frame", .any = FIEF_HEAP},
};

/* ---- compiling ---- */

node *node_new(machine *m)
{
    return must(fief_new(m->rt, NODE, FIEF_TEMPORARY, sizeof(node)));
}

static void tree_free(machine *m, node *n)
{
    while (n != NULL) {
        node *next = n->next;
        tree_free(m, n->items);
        fief_free(m->rt, NODE, n, sizeof *n);
        n = next;
    }
}

void *builder_grow(machine *m, void *block, size_t old_size, size_t new_size)
{
    return must(fief_resize(m->rt, CODE, block, old_size, new_size));
}

function *function_new(machine *m, builder *b)
{
    size_t size = function_size(b);
    function *f = must(fief_new(m->rt, FUNCTION, FIEF_CONSTANT, size));
    function_fill(m, f, b);
    fief_free(m->rt, CODE, b->code, b->code_room);
    fief_free(m->rt, CODE, b->constants, b->constant_room * sizeof *b->constants);
    return f;
}

symbol *symbol_new(machine *m, size_t size)
{
    return must(fief_new(m->rt, SYMBOL, FIEF_NATIVE, symbol_size(size)));
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
    string *s = must(fief_new(m->rt, STRING, FIEF_DYNAMIC, string_size(size)));
    object_add(m, &s->head, VALUE_STRING);
    s->size = size;
    s->bytes[size] = '\0';
    return s;
}

pair *pair_new(machine *m, value first, value rest)
{
    pair *p = must(fief_new(m->rt, PAIR, FIEF_DYNAMIC, sizeof *p));
    object_add(m, &p->head, VALUE_PAIR);
    p->first = first;
    p->rest = rest;
    return p;
}

void object_free(machine *m, object *o)
{
    if (o->type == VALUE_PAIR) {
        fief_free(m->rt, PAIR, o, sizeof(pair));
    } else {
        fief_free(m->rt, STRING, o, string_size(((string *)o)->size));
    }
}

frame *frame_push(machine *m, const function *f)
{
    frame *top = must(fief_new(m->rt, FRAME, FIEF_DYNAMIC, frame_size(f)));
    return frame_link(m, top, f);
}

void frame_pop(machine *m)
{
    frame *f = m->frame;
    m->frame = f->caller;
    fief_free(m->rt, FRAME, f, frame_size(f->function));
}

/* ---- the program ---- */

bool run_file(machine *m, const char *path)
{
    size_t size;
    if (!source_size(path, &size)) {
        return false;
    }
    char *text = must(fief_new(m->rt, TEXT, FIEF_TEMPORARY, size + 1));
    reader r = {.at = text, .line = 1};
    bool is_good = source_read(path, text, size);
    while (reader_more(&r)) {
        node *form = reader_form(m, &r);
        is_good = form_run(m, &r, form) && is_good;
        tree_free(m, form);
    }
    fief_free(m->rt, TEXT, text, size + 1);
    return is_good;
}

static void machine_close(machine *m)
{
    for (object *o = m->objects, *next; o != NULL; o = next) {
        next = o->next;
        object_free(m, o);
    }
    for (function *f = m->functions, *next; f != NULL; f = next) {
        next = f->next;
        fief_free(m->rt, FUNCTION, f, function_size_of(f));
    }
    for (symbol *s = m->symbols, *next; s != NULL; s = next) {
        next = s->next;
        fief_free(m->rt, SYMBOL, s, symbol_size(s->size));
    }
}

int main(int argc, char **argv)
{
    fief_config config = {.name = "mini", .kinds = kinds, .kind_count = KINDS};
    machine m = {.rt = must(fief_open(&config))};
    bool is_good = true;
    for (int i = 1; i < argc; i++) {
        is_good = run_file(&m, argv[i]) && is_good;
    }
    machine_close(&m);
    is_good = fief_close(m.rt) == 0 && is_good;
    return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}
