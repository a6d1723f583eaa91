/* compiler: a tree to a function. It goes on after an error, so that there is one way out. */
#include "code.h"
#include "mini.h"

#include <stdlib.h>
#include <string.h>

typedef struct compiler {
    machine *m;
    builder made;
    const node *parameters; /* NULL: none */
    unsigned height;        /* values on the stack here */
} compiler;

static void expression(compiler *c, const node *n);

static bool is_name(const node *n, const char *name)
{
    return n != NULL && n->type == NODE_NAME && n->size == strlen(name) &&
           memcmp(n->text, name, n->size) == 0;
}

static unsigned count_of(const node *n)
{
    unsigned count = 0;
    for (; n != NULL; n = n->next) {
        count++;
    }
    return count;
}

/* ---- code ---- */

static void emit(compiler *c, size_t byte)
{
    builder *b = &c->made;
    if (b->code_size == b->code_room) {
        size_t room = b->code_room != 0 ? b->code_room * 2 : 16;
        b->code = builder_grow(c->m, b->code, b->code_room, room);
        b->code_room = room;
    }
    if (byte > UINT8_MAX) {
        fail(c->m, "a function is too large");
    }
    b->code[b->code_size++] = (uint8_t)byte;
}

/* An instruction that leaves the stack `change` higher. */
static void instruction(compiler *c, opcode op, int change)
{
    c->height = (unsigned)((int)c->height + change);
    c->made.room = c->height > c->made.room ? c->height : c->made.room;
    emit(c, op);
}

static size_t add_constant(compiler *c, value v)
{
    builder *b = &c->made;
    if (b->constant_count == b->constant_room) {
        size_t room = b->constant_room != 0 ? b->constant_room * 2 : 4;
        b->constants = builder_grow(c->m, b->constants, b->constant_room * sizeof *b->constants,
                                    room * sizeof *b->constants);
        b->constant_room = room;
    }
    b->constants[b->constant_count] = v;
    return b->constant_count++;
}

static void constant(compiler *c, value v)
{
    instruction(c, OP_CONSTANT, 1);
    emit(c, add_constant(c, v));
}

static size_t jump(compiler *c, opcode op, int change)
{
    instruction(c, op, change);
    emit(c, 0);
    emit(c, 0);
    return c->made.code_size;
}

static void land(compiler *c, size_t jump)
{
    size_t here = c->made.code_size;
    if (here > UINT16_MAX) {
        fail(c->m, "a function is too large");
    }
    c->made.code[jump - 2] = (uint8_t)(here >> 8);
    c->made.code[jump - 1] = (uint8_t)here;
}

/* ---- forms ---- */

static void symbol_instruction(compiler *c, opcode op, int change, const node *name)
{
    symbol *s = symbol_named(c->m, name->text, name->size);
    instruction(c, op, change);
    emit(c, add_constant(c, (value){.type = VALUE_SYMBOL, .symbol = s}));
}

static void name(compiler *c, const node *n)
{
    unsigned slot = 0;
    if (is_name(n, "nil")) {
        instruction(c, OP_NIL, 1);
        return;
    }
    for (const node *p = c->parameters; p != NULL; p = p->next, slot++) {
        if (p->size == n->size && memcmp(p->text, n->text, n->size) == 0) {
            instruction(c, OP_LOCAL, 1);
            emit(c, slot);
            return;
        }
    }
    symbol_instruction(c, OP_GLOBAL, 1, n);
}

/* Each expression's value is dropped but for the last one's. */
static void body(compiler *c, const node *n)
{
    if (n == NULL) {
        instruction(c, OP_NIL, 1);
    }
    for (; n != NULL; n = n->next) {
        expression(c, n);
        if (n->next != NULL) {
            instruction(c, OP_DROP, -1);
        }
    }
}

/* (if condition then else) */
static void condition(compiler *c, const node *n)
{
    if (count_of(n) != 3) {
        fail(c->m, "if wants three expressions");
        return;
    }
    expression(c, n);
    size_t to_else = jump(c, OP_JUMP_IF_NIL, -1);
    expression(c, n->next);
    size_t to_end = jump(c, OP_JUMP, -1);
    land(c, to_else);
    expression(c, n->next->next);
    land(c, to_end);
}

static function *make(compiler *c, const node *n)
{
    c->height = c->made.room = c->made.arity = count_of(c->parameters);
    body(c, n);
    instruction(c, OP_RETURN, -1);
    return function_new(c->m, &c->made);
}

/* (define name expression), (define (name parameter...) expression...) */
static void definition(compiler *c, const node *n)
{
    const node *what = n != NULL && n->type == NODE_LIST ? n->items : n;
    if (what == NULL || what->type != NODE_NAME || (what == n && count_of(n) != 2)) {
        fail(c->m, "define wants a name and what it stands for");
    } else if (what == n) {
        expression(c, n->next);
        symbol_instruction(c, OP_DEFINE, 0, what);
    } else {
        compiler inner = {.m = c->m, .parameters = what->next};
        function *f = make(&inner, n->next);
        constant(c, (value){.type = VALUE_FUNCTION, .function = f});
        symbol_instruction(c, OP_DEFINE, 0, what);
    }
}

static void call(compiler *c, const node *n)
{
    int arguments = (int)count_of(n->next);
    for (; n != NULL; n = n->next) {
        expression(c, n);
    }
    instruction(c, OP_CALL, -arguments);
    emit(c, (size_t)arguments);
}

static const struct {
    const char *name;
    unsigned arity;
} builtins[OPCODES] = {
    [OP_ADD] = {"+", 2},       [OP_SUBTRACT] = {"-", 2},  [OP_MULTIPLY] = {"*", 2},
    [OP_LESS] = {"<", 2},      [OP_EQUAL] = {"=", 2},     [OP_JOIN] = {"join", 2},
    [OP_PAIR] = {"pair", 2},   [OP_FIRST] = {"first", 1}, [OP_REST] = {"rest", 1},
    [OP_PRINT] = {"print", 1},
};

static bool builtin(compiler *c, const node *n)
{
    for (opcode op = OP_ADD; op < OPCODES; op++) {
        if (is_name(n, builtins[op].name)) {
            if (count_of(n->next) != builtins[op].arity) {
                return !fail(c->m, "%s wants %u", builtins[op].name, builtins[op].arity);
            }
            for (const node *argument = n->next; argument != NULL; argument = argument->next) {
                expression(c, argument);
            }
            instruction(c, op, 1 - (int)builtins[op].arity);
            return true;
        }
    }
    return false;
}

static void list(compiler *c, const node *n)
{
    if (n == NULL) {
        instruction(c, OP_NIL, 1);
    } else if (is_name(n, "define")) {
        definition(c, n->next);
    } else if (is_name(n, "if")) {
        condition(c, n->next);
    } else if (is_name(n, "do")) {
        body(c, n->next);
    } else if (!builtin(c, n)) {
        call(c, n);
    }
}

static void expression(compiler *c, const node *n)
{
    if (c->m->error[0] != '\0') {
        return;
    }
    switch (n->type) {
    case NODE_NUMBER:
        constant(c, (value){VALUE_NUMBER, {strtod(n->text, NULL)}});
        break;
    case NODE_STRING: {
        string *s = literal_new(c->m, n->text, n->size);
        constant(c, (value){.type = VALUE_STRING, .object = &s->head});
        break;
    }
    case NODE_NAME:
        name(c, n);
        break;
    case NODE_LIST:
        list(c, n->items);
        break;
    }
}

function *compile(machine *m, const node *form)
{
    compiler c = {.m = m};
    c.made.room = 1;
    expression(&c, form);
    instruction(&c, OP_RETURN, -1);
    return function_new(m, &c.made);
}

/* ---- what the steps share ---- */

static size_t size_with(size_t constant_count, size_t code_size)
{
    return sizeof(function) + constant_count * sizeof(value) + code_size;
}

size_t function_size(const builder *b)
{
    return size_with(b->constant_count, b->code_size);
}

size_t function_size_of(const function *f)
{
    return size_with(f->constant_count, f->code_size);
}

function *function_fill(machine *m, function *f, const builder *b)
{
    uint8_t *code = (uint8_t *)(f->constants + b->constant_count);
    *f = (function){.next = m->functions,
                    .arity = b->arity,
                    .room = b->room,
                    .code_size = b->code_size,
                    .constant_count = b->constant_count,
                    .code = code};
    if (b->constant_count != 0) {
        memcpy(f->constants, b->constants, b->constant_count * sizeof(value));
    }
    memcpy(code, b->code, b->code_size);
    m->functions = f;
    return f;
}
