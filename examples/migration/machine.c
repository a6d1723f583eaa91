/* machine: runs functions. Values are collected only at a call, where all that live are in frames
 * and global variables. */
#include "code.h"
#include "mini.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 1000 };

void *must(void *block)
{
    if (block == NULL) {
        fputs("mini: not enough memory\n", stderr);
        exit(EXIT_FAILURE);
    }
    return block;
}

bool fail(machine *m, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (m->error[0] == '\0') { /* the first one counts */
        vsnprintf(m->error, sizeof m->error, format, args);
    }
    va_end(args);
    return false;
}

symbol *symbol_named(machine *m, const char *name, size_t size)
{
    symbol *s = m->symbols;
    while (s != NULL && (s->size != size || memcmp(s->name, name, size) != 0)) {
        s = s->next;
    }
    if (s == NULL) {
        s = symbol_new(m, size);
        memcpy(s->name, name, size);
        s->name[size] = '\0';
        s->size = size;
        s->value.type = VALUE_UNBOUND;
        s->next = m->symbols;
        m->symbols = s;
    }
    return s;
}

size_t symbol_size(size_t size)
{
    return sizeof(symbol) + size + 1;
}

/* ---- values ---- */

size_t string_size(size_t size)
{
    return sizeof(string) + size + 1;
}

static const value nil;

static value number(double n)
{
    return (value){VALUE_NUMBER, {n}};
}

static void print(value v)
{
    switch (v.type) {
    case VALUE_NUMBER:
        printf("%g", v.number);
        break;
    case VALUE_STRING:
        printf("%s", ((string *)v.object)->bytes);
        break;
    case VALUE_PAIR:
        putchar('(');
        print(((pair *)v.object)->first);
        for (v = ((pair *)v.object)->rest; v.type == VALUE_PAIR; v = ((pair *)v.object)->rest) {
            putchar(' ');
            print(((pair *)v.object)->first);
        }
        if (v.type != VALUE_NIL) {
            printf(" . ");
            print(v);
        }
        putchar(')');
        break;
    case VALUE_FUNCTION:
        printf("function");
        break;
    default:
        printf("nil");
        break;
    }
}

static bool are_equal(value a, value b)
{
    return a.type == b.type &&
           (a.type == VALUE_NUMBER ? a.number == b.number
                                   : a.type == VALUE_NIL || a.object == b.object);
}

static value join(machine *m, const string *a, const string *b)
{
    string *s = string_new(m, a->size + b->size);
    memcpy(s->bytes, a->bytes, a->size);
    memcpy(s->bytes + a->size, b->bytes, b->size + 1);
    return (value){.type = VALUE_STRING, .object = &s->head};
}

/* ---- calls ---- */

size_t frame_size(const function *f)
{
    return sizeof(frame) + f->room * sizeof(value);
}

frame *frame_link(machine *m, frame *f, const function *callee)
{
    f->caller = m->frame;
    f->function = callee;
    m->frame = f;
    m->depth++;
    return f;
}

static value *top_of(frame *f, unsigned below)
{
    return &f->slots[f->top - 1 - below];
}

static void push(frame *f, value v)
{
    f->slots[f->top++] = v;
}

static bool call(machine *m, unsigned arguments)
{
    frame *caller = m->frame;
    value callee = *top_of(caller, arguments);
    if (callee.type != VALUE_FUNCTION) {
        return fail(m, "only functions can be called");
    }
    if (callee.function->arity != arguments) {
        return fail(m, "expected %u arguments and got %u", callee.function->arity, arguments);
    }
    if (m->depth == DEPTH_MAX) {
        return fail(m, "calls within calls within calls");
    }
    if (m->object_count > m->collect_at) {
        collect(m);
    }
    frame *f = frame_push(m, callee.function);
    f->top = arguments;
    caller->top -= arguments + 1;
    memcpy(f->slots, &caller->slots[caller->top + 1], arguments * sizeof(value));
    return true;
}

static void give_back(machine *m)
{
    value result = *top_of(m->frame, 0);
    m->depth--;
    frame_pop(m);
    if (m->frame != NULL) {
        push(m->frame, result);
    }
}

/* ---- instructions ---- */

static bool calculate(machine *m, opcode op)
{
    frame *f = m->frame;
    value b = *top_of(f, 0), *a = top_of(f, 1);
    if (a->type != VALUE_NUMBER || b.type != VALUE_NUMBER) {
        return fail(m, "expected numbers");
    }
    f->top--;
    switch (op) {
    case OP_ADD:
        *a = number(a->number + b.number);
        break;
    case OP_SUBTRACT:
        *a = number(a->number - b.number);
        break;
    case OP_MULTIPLY:
        *a = number(a->number * b.number);
        break;
    default:
        *a = a->number < b.number ? number(1) : nil;
        break;
    }
    return true;
}

static bool take_apart(machine *m, opcode op)
{
    value *top = top_of(m->frame, 0);
    if (top->type != VALUE_PAIR) {
        return fail(m, "expected a pair");
    }
    const pair *p = (const pair *)top->object;
    *top = op == OP_FIRST ? p->first : p->rest;
    return true;
}

static bool put_together(machine *m, opcode op)
{
    frame *f = m->frame;
    value b = *top_of(f, 0), *a = top_of(f, 1);
    if (op == OP_EQUAL) {
        *a = are_equal(*a, b) ? number(1) : nil;
    } else if (op == OP_PAIR) {
        *a = (value){.type = VALUE_PAIR, .object = &pair_new(m, *a, b)->head};
    } else if (a->type == VALUE_STRING && b.type == VALUE_STRING) {
        *a = join(m, (string *)a->object, (string *)b.object);
    } else {
        return fail(m, "expected strings");
    }
    f->top--;
    return true;
}

static bool builtin(machine *m, opcode op)
{
    switch (op) {
    case OP_EQUAL:
    case OP_PAIR:
    case OP_JOIN:
        return put_together(m, op);
    case OP_FIRST:
    case OP_REST:
        return take_apart(m, op);
    case OP_PRINT:
        print(*top_of(m->frame, 0));
        putchar('\n');
        return true;
    default:
        return calculate(m, op);
    }
}

static unsigned fetch(frame *f)
{
    return f->function->code[f->at++];
}

static void jump(frame *f, bool is_taken)
{
    unsigned high = fetch(f), low = fetch(f);
    f->at = is_taken ? high << 8 | low : f->at;
}

static bool push_global(machine *m, const symbol *s)
{
    if (s->value.type == VALUE_UNBOUND) {
        return fail(m, "'%.60s' is not defined", s->name);
    }
    push(m->frame, s->value);
    return true;
}

static bool step(machine *m)
{
    frame *f = m->frame;
    opcode op = (opcode)fetch(f);
    switch (op) {
    case OP_CONSTANT:
        push(f, f->function->constants[fetch(f)]);
        break;
    case OP_NIL:
        push(f, nil);
        break;
    case OP_LOCAL:
        push(f, f->slots[fetch(f)]);
        break;
    case OP_GLOBAL:
        return push_global(m, f->function->constants[fetch(f)].symbol);
    case OP_DEFINE:
        f->function->constants[fetch(f)].symbol->value = *top_of(f, 0);
        break;
    case OP_DROP:
        f->top--;
        break;
    case OP_JUMP:
        jump(f, true);
        break;
    case OP_JUMP_IF_NIL:
        jump(f, f->slots[--f->top].type == VALUE_NIL);
        break;
    case OP_CALL:
        return call(m, fetch(f));
    case OP_RETURN:
        give_back(m);
        break;
    default:
        return builtin(m, op);
    }
    return true;
}

bool execute(machine *m, const function *f)
{
    frame_push(m, f);
    m->depth = 1;
    while (m->frame != NULL && step(m)) {
    }
    bool is_done = m->frame == NULL;
    while (m->frame != NULL) {
        frame_pop(m);
    }
    return is_done;
}

bool form_run(machine *m, reader *r, const node *form)
{
    function *f = m->error[0] == '\0' ? compile(m, form) : NULL;
    if (m->error[0] == '\0' && execute(m, f)) {
        return true;
    }
    fflush(stdout);
    fprintf(stderr, "mini: line %u: %s\n", r->line, m->error);
    return false;
}
