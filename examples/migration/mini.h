/* mini: a small Lisp, whose memory goes from malloc to Fief in five steps (docs/migration.md).
 *
 *     text ── reader.c ──> tree ── compiler.c ──> function ── machine.c ──> value
 *                                                                 │
 *                                                     collector.c: mark, sweep
 *
 * No step touches these. What a step writes anew are the functions at the end of this header:
 * 1-malloc.c, 2-heap.c, 3-kinds.c, 4-unit.c, 5-strategies.c, each a whole program with the rest. */
#ifndef MINI_H
#define MINI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- what the compiler reads: it may go when the form has run ---- */

typedef enum node_type { NODE_NUMBER, NODE_STRING, NODE_NAME, NODE_LIST } node_type;

typedef struct node {
    node_type type;
    const char *text; /* in the source */
    size_t size;
    struct node *items; /* of a list */
    struct node *next;  /* in the list around it */
} node;

typedef struct reader {
    const char *at;
    unsigned line, depth;
} reader;

/* ---- what the machine runs ---- */

typedef enum value_type {
    VALUE_NIL,
    VALUE_NUMBER,
    VALUE_STRING,
    VALUE_PAIR,
    VALUE_FUNCTION,
    VALUE_SYMBOL,
    VALUE_UNBOUND
} value_type;

typedef struct value {
    value_type type;
    union {
        double number;
        struct object *object;
        struct function *function;
        struct symbol *symbol;
    };
} value;

/* A string or a pair: the collector's. */
typedef struct object {
    struct object *next;
    value_type type;
    bool is_marked;
} object;

typedef struct string {
    object head;
    size_t size;
    char bytes[]; /* with a NUL at the end */
} string;

typedef struct pair {
    object head;
    value first, rest;
} pair;

/* A name and its global variable; there until the end. */
typedef struct symbol {
    struct symbol *next;
    value value;
    size_t size;
    char name[];
} symbol;

/* Code; there until the end, since a value may be it. */
typedef struct function {
    struct function *next;
    unsigned arity, room; /* values that a call needs: parameters and operands */
    size_t code_size, constant_count;
    const uint8_t *code; /* behind the constants */
    value constants[];
} function;

/* A function in the making. */
typedef struct builder {
    uint8_t *code;
    value *constants;
    size_t code_size, code_room, constant_count, constant_room;
    unsigned arity, room;
} builder;

typedef struct frame {
    struct frame *caller;
    const function *function;
    size_t at;
    unsigned top;
    value slots[];
} frame;

typedef struct machine {
    symbol *symbols;
    function *functions;
    object *objects;
    size_t object_count, collect_at;
    frame *frame;
    unsigned depth;
    char error[100];         /* "": none */
    struct fief_runtime *rt; /* from step 2 on */
} machine;

/* ---- the language ---- */

bool reader_more(reader *r);
node *reader_form(machine *m, reader *r);               /* with m->error set, as far as it came */
bool form_run(machine *m, reader *r, const node *form); /* compiles and runs it, tells errors */
function *compile(machine *m, const node *form);
bool execute(machine *m, const function *f);
void collect(machine *m);
symbol *symbol_named(machine *m, const char *name, size_t size);
void *must(void *block); /* ends the program where it is NULL */
bool fail(machine *m, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The whole file's size, or false and a line on stderr; then its bytes and a NUL. */
bool source_size(const char *path, size_t *ret_size);
bool source_read(const char *path, char *text, size_t size);

/* ---- memory: what each step writes anew. None of them returns NULL ---- */

node *node_new(machine *m); /* zeroed; until the form has run */
void *builder_grow(machine *m, void *block, size_t old_size, size_t new_size);
function *function_new(machine *m, builder *b); /* a copy; the builder's blocks are done with */
symbol *symbol_new(machine *m, size_t size);    /* room for a name of that size */
string *literal_new(machine *m, const char *bytes, size_t size);
string *string_new(machine *m, size_t size); /* counted, for the collector; bytes to be filled */
pair *pair_new(machine *m, value first, value rest);
void object_free(machine *m, object *o);
frame *frame_push(machine *m, const function *f); /* zeroed, on top of m->frame */
void frame_pop(machine *m);
bool run_file(machine *m, const char *path);

/* The rest of making them, that is the same in each step. */
size_t function_size(const builder *b);
size_t function_size_of(const function *f);
size_t string_size(size_t size);
size_t symbol_size(size_t size);
function *function_fill(machine *m, function *f, const builder *b);
void object_add(machine *m, object *o, value_type type);
size_t frame_size(const function *f);
frame *frame_link(machine *m, frame *f, const function *callee);

#endif
