/* compiler: a tree to bytecode. The parser has found every error, so that nothing but memory can
 * fail here. Code grows in the compiler arena; what is done is copied to where code lives, at its
 * exact size. */
#include "ast.h"
#include "vm.h"

#include <string.h>

/* A growing array in the open unit. */
typedef struct buffer {
    void *items;
    uint32_t count, room;
} buffer;

/* The function that is being compiled. */
typedef struct builder {
    vm *vm;
    buffer code, constants, caches, lines;
    uint32_t depth, most; /* values on the stack, and the most there were */
} builder;

static void expression(builder *b, node *n);
static void statements(builder *b, node *first);
static function *compile_function(vm *vm, function_node *n);

/* ---- bytes ---- */

static void *buffer_add(builder *b, buffer *to, size_t item_size, uint32_t count)
{
    if (count > to->room - to->count) {
        uint32_t room = to->room != 0 ? 2 * to->room : 16;
        while (count > room - to->count) {
            room *= 2;
        }
        to->items = mem_regrow(&b->vm->memory, KIND_PATCH, to->items, to->count * item_size,
                               room * item_size);
        to->room = room;
    }
    void *added = (char *)to->items + to->count * item_size;
    to->count += count;
    return added;
}

static void note_line(builder *b, uint32_t line)
{
    const line_run *runs = b->lines.items;
    if (b->lines.count == 0 || runs[b->lines.count - 1].line != line) {
        line_run *run = buffer_add(b, &b->lines, sizeof *run, 1);
        *run = (line_run){b->code.count, line};
    }
}

static void emit(builder *b, opcode op, uint32_t line)
{
    note_line(b, line);
    *(uint8_t *)buffer_add(b, &b->code, 1, 1) = (uint8_t)op;
}

static void emit_byte(builder *b, uint32_t byte)
{
    *(uint8_t *)buffer_add(b, &b->code, 1, 1) = (uint8_t)byte;
}

static void emit_word(builder *b, uint32_t word)
{
    memcpy(buffer_add(b, &b->code, 1, sizeof word), &word, sizeof word);
}

static void pushed(builder *b, uint32_t count)
{
    b->depth += count;
    b->most = b->depth > b->most ? b->depth : b->most;
}

static void popped(builder *b, uint32_t count)
{
    b->depth -= count;
}

static uint32_t add_constant(builder *b, value v)
{
    *(value *)buffer_add(b, &b->constants, sizeof v, 1) = v;
    return b->constants.count - 1;
}

static uint32_t add_cache(builder *b, string *name)
{
    cache *c = buffer_add(b, &b->caches, sizeof *c, 1);
    *c = (cache){.name = name};
    return b->caches.count - 1;
}

/* ---- jumps: those that are to meet at one place hang together by their operands ---- */

enum { NO_JUMP = 0 };

/* Returns the chain with this jump in it. */
static uint32_t emit_jump(builder *b, opcode op, uint32_t line, uint32_t chain)
{
    emit(b, op, line);
    emit_word(b, chain);
    return b->code.count - (uint32_t)sizeof chain;
}

/* All of the chain goes here. */
static void land(builder *b, uint32_t chain)
{
    uint8_t *code = b->code.items;
    while (chain != NO_JUMP) {
        uint32_t next, distance = b->code.count - chain - (uint32_t)sizeof distance;
        memcpy(&next, code + chain, sizeof next);
        memcpy(code + chain, &distance, sizeof distance);
        chain = next;
    }
}

/* Where a call or a loop's next turn begins: what has no end passes here again and again. */
static void emit_step(builder *b, uint32_t line)
{
    if (b->vm->options.steps != 0) {
        emit(b, OP_STEP, line);
    }
}

static void emit_loop(builder *b, uint32_t start, uint32_t line)
{
    emit_step(b, line);
    emit(b, OP_LOOP, line);
    emit_word(b, b->code.count + (uint32_t)sizeof start - start);
}

/* ---- expressions ---- */

static void load(builder *b, variable v, uint32_t line)
{
    switch (v.place) {
    case PLACE_LOCAL: emit(b, OP_GET_LOCAL, line); emit_byte(b, v.index); break;
    case PLACE_UPVALUE: emit(b, OP_GET_UPVALUE, line); emit_byte(b, v.index); break;
    case PLACE_GLOBAL: emit(b, OP_GET_GLOBAL, line); emit_word(b, v.index); break;
    }
    pushed(b, 1);
}

static void store(builder *b, variable v, uint32_t line)
{
    switch (v.place) {
    case PLACE_LOCAL: emit(b, OP_SET_LOCAL, line); emit_byte(b, v.index); break;
    case PLACE_UPVALUE: emit(b, OP_SET_UPVALUE, line); emit_byte(b, v.index); break;
    case PLACE_GLOBAL: emit(b, OP_SET_GLOBAL, line); emit_word(b, v.index); break;
    }
}

static void emit_constant(builder *b, value v, uint32_t line)
{
    emit(b, OP_CONSTANT, line);
    emit_word(b, add_constant(b, v));
    pushed(b, 1);
}

static void emit_simple(builder *b, opcode op, uint32_t line)
{
    emit(b, op, line);
    pushed(b, 1);
}

static void assignment(builder *b, const variable_node *n)
{
    expression(b, n->value);
    store(b, n->variable, n->head.line);
}

static uint32_t arguments(builder *b, node *first)
{
    uint32_t count = 0;
    for (node *n = first; n != NULL; n = n->next) {
        expression(b, n);
        count++;
    }
    return count;
}

static void super_access(builder *b, const super_node *n)
{
    uint32_t line = n->head.line;
    load(b, n->receiver, line);
    uint32_t count = arguments(b, n->arguments);
    load(b, n->superclass, line);
    bool is_call = n->head.type == NODE_INVOKE_SUPER;
    emit(b, is_call ? OP_SUPER_INVOKE : OP_GET_SUPER, line);
    emit_word(b, add_cache(b, n->name));
    if (is_call) {
        emit_byte(b, count);
    }
    popped(b, count + 1);
}

/* What has no `first`. */
static void leaf(builder *b, const node *n)
{
    switch (n->type) {
    case NODE_TRUE: emit_simple(b, OP_TRUE, n->line); break;
    case NODE_FALSE: emit_simple(b, OP_FALSE, n->line); break;
    case NODE_NUMBER:
        emit_constant(b, from_number(((const number_node *)n)->number), n->line);
        break;
    case NODE_STRING: emit_constant(b, from_object(((const string_node *)n)->string), n->line);
        break;
    case NODE_VARIABLE: load(b, ((const variable_node *)n)->variable, n->line); break;
    case NODE_ASSIGN: assignment(b, (const variable_node *)n); break;
    case NODE_GET_SUPER:
    case NODE_INVOKE_SUPER: super_access(b, (const super_node *)n); break;
    default: emit_simple(b, OP_NIL, n->line); break;
    }
}

static const uint8_t binary_opcodes[TOKEN_TYPES] = {
    [TOKEN_MINUS] = OP_SUBTRACT,     [TOKEN_PLUS] = OP_ADD,
    [TOKEN_SLASH] = OP_DIVIDE,       [TOKEN_STAR] = OP_MULTIPLY,
    [TOKEN_BANG_EQUAL] = OP_NOT_EQUAL, [TOKEN_EQUAL_EQUAL] = OP_EQUAL,
    [TOKEN_GREATER] = OP_GREATER,    [TOKEN_GREATER_EQUAL] = OP_GREATER_EQUAL,
    [TOKEN_LESS] = OP_LESS,          [TOKEN_LESS_EQUAL] = OP_LESS_EQUAL,
};

static void binary_rest(builder *b, const pair_node *n)
{
    uint8_t operator_ = n->head.operator_;
    bool adds = operator_ == TOKEN_PLUS || operator_ == TOKEN_MINUS;
    if (adds && n->second->type == NODE_NUMBER) {
        emit(b, operator_ == TOKEN_PLUS ? OP_ADD_NUMBER : OP_SUBTRACT_NUMBER, n->head.line);
        double number = ((const number_node *)n->second)->number;
        emit_word(b, add_constant(b, from_number(number)));
        return;
    }
    expression(b, n->second);
    emit(b, (opcode)binary_opcodes[operator_], n->head.line);
    popped(b, 1);
}

static void logical_rest(builder *b, const pair_node *n)
{
    uint32_t end = emit_jump(b, n->head.type == NODE_AND ? OP_AND : OP_OR, n->head.line, NO_JUMP);
    popped(b, 1);
    expression(b, n->second);
    land(b, end);
}

static void access_rest(builder *b, const access_node *n)
{
    uint32_t count = n->head.type == NODE_GET ? 0 : arguments(b, n->rest);
    switch (n->head.type) {
    case NODE_CALL: emit(b, OP_CALL, n->head.line); break;
    case NODE_GET: emit(b, OP_GET_PROPERTY, n->head.line); break;
    case NODE_SET: emit(b, OP_SET_PROPERTY, n->head.line); break;
    default: emit(b, OP_INVOKE, n->head.line); break;
    }
    if (n->head.type != NODE_CALL) {
        emit_word(b, add_cache(b, n->name));
    }
    if (n->head.type == NODE_CALL || n->head.type == NODE_INVOKE) {
        emit_byte(b, count);
    }
    popped(b, count);
}

/* The node's `first` is on the stack: now the rest of it. */
static void rest(builder *b, const node *n)
{
    switch (n->type) {
    case NODE_NOT: emit(b, OP_NOT, n->line); break;
    case NODE_NEGATE: emit(b, OP_NEGATE, n->line); break;
    case NODE_BINARY: binary_rest(b, (const pair_node *)n); break;
    case NODE_AND:
    case NODE_OR: logical_rest(b, (const pair_node *)n); break;
    default: access_rest(b, (const access_node *)n); break;
    }
}

static bool has_first(const node *n)
{
    return n->type >= NODE_NOT && n->type <= NODE_INVOKE;
}

static node **first_of(node *n)
{
    return &((pair_node *)n)->first;
}

/* `local.name` is one instruction. */
static bool local_property(builder *b, const node *n, const node *get)
{
    const variable_node *local = (const variable_node *)n;
    if (get == NULL || get->type != NODE_GET || n->type != NODE_VARIABLE ||
        local->variable.place != PLACE_LOCAL) {
        return false;
    }
    emit(b, OP_GET_LOCAL_PROPERTY, get->line);
    emit_word(b, add_cache(b, ((const access_node *)get)->name));
    emit_byte(b, local->variable.index);
    pushed(b, 1);
    return true;
}

/* Down along `first` as far as it goes, turning each link around to find the way back: a chain may
 * be a million long. Each tree is compiled once, so nobody misses the links. */
static void expression(builder *b, node *n)
{
    node *above = NULL;
    while (has_first(n)) {
        node *below = *first_of(n);
        *first_of(n) = above;
        above = n;
        n = below;
    }
    if (local_property(b, n, above)) {
        above = *first_of(above);
    } else {
        leaf(b, n);
    }
    for (; above != NULL; above = *first_of(above)) {
        rest(b, above);
    }
}

/* ---- conditions ---- */

static opcode unless_opcode(const node *n)
{
    if (n->type != NODE_BINARY) {
        return OP_JUMP_IF_FALSE;
    }
    switch (n->operator_) {
    case TOKEN_EQUAL_EQUAL: return OP_UNLESS_EQUAL;
    case TOKEN_BANG_EQUAL: return OP_UNLESS_NOT_EQUAL;
    case TOKEN_GREATER: return OP_UNLESS_GREATER;
    case TOKEN_GREATER_EQUAL: return OP_UNLESS_GREATER_EQUAL;
    case TOKEN_LESS: return OP_UNLESS_LESS;
    case TOKEN_LESS_EQUAL: return OP_UNLESS_LESS_EQUAL;
    default: return OP_JUMP_IF_FALSE;
    }
}

/* Goes on where it holds; the jumps of the returned chain are taken where it does not. */
static uint32_t condition(builder *b, node *n, uint32_t chain)
{
    for (; n->type == NODE_AND; n = ((pair_node *)n)->second) {
        chain = condition(b, ((pair_node *)n)->first, chain);
    }
    opcode op = unless_opcode(n);
    if (op == OP_JUMP_IF_FALSE) {
        expression(b, n);
        popped(b, 1);
    } else {
        expression(b, ((pair_node *)n)->first);
        expression(b, ((pair_node *)n)->second);
        popped(b, 2);
    }
    return emit_jump(b, op, n->line, chain);
}

/* ---- statements ---- */

static void drop_locals(builder *b, const symbol *newest, uint32_t count, uint32_t line)
{
    for (uint32_t i = 0; i < count; i++, newest = newest->older) {
        emit(b, newest->is_captured ? OP_CLOSE_UPVALUE : OP_POP, line);
    }
    popped(b, count);
}

/* What is on top of the stack gets its name; a local's value is there already. */
static void define(builder *b, variable v, uint32_t line)
{
    if (v.place == PLACE_GLOBAL) {
        emit(b, OP_DEFINE_GLOBAL, line);
        emit_word(b, v.index);
        popped(b, 1);
    }
}

static void var_statement(builder *b, const var_node *n)
{
    if (n->value != NULL) {
        expression(b, n->value);
    } else {
        emit_simple(b, OP_NIL, n->head.line);
    }
    define(b, n->variable, n->head.line);
}

static void expression_statement(builder *b, node *value, uint32_t line)
{
    const variable_node *n = (const variable_node *)value;
    if (value->type == NODE_ASSIGN && n->variable.place == PLACE_LOCAL) {
        expression(b, n->value);
        emit(b, OP_SET_LOCAL_POP, line);
        emit_byte(b, n->variable.index);
    } else {
        expression(b, value);
        emit(b, OP_POP, line);
    }
    popped(b, 1);
}

static void if_statement(builder *b, const branch_node *n)
{
    uint32_t otherwise = condition(b, n->condition, NO_JUMP);
    statements(b, n->then);
    if (n->otherwise == NULL) {
        land(b, otherwise);
        return;
    }
    uint32_t end = emit_jump(b, OP_JUMP, n->head.line, NO_JUMP);
    land(b, otherwise);
    statements(b, n->otherwise);
    land(b, end);
}

static void while_statement(builder *b, const branch_node *n)
{
    uint32_t start = b->code.count;
    uint32_t end = condition(b, n->condition, NO_JUMP);
    statements(b, n->then);
    emit_loop(b, start, n->head.line);
    land(b, end);
}

static void for_statement(builder *b, const scope_node *n)
{
    statements(b, n->start);
    uint32_t start = b->code.count, end = NO_JUMP;
    if (n->condition != NULL) {
        end = condition(b, n->condition, NO_JUMP);
    }
    statements(b, n->body);
    if (n->step != NULL) {
        expression_statement(b, n->step, n->step->line);
    }
    emit_loop(b, start, n->head.line);
    land(b, end);
    drop_locals(b, n->locals, n->head.count, n->head.line);
}

static void return_statement(builder *b, const pair_node *n, bool is_initializer)
{
    if (n->first != NULL) {
        expression(b, n->first);
    } else if (is_initializer) {
        load(b, (variable){PLACE_LOCAL, 0}, n->head.line);
    } else {
        emit_simple(b, OP_NIL, n->head.line);
    }
    emit(b, OP_RETURN, n->head.line);
    popped(b, 1);
}

static void closure_of(builder *b, function_node *n)
{
    const function *f = compile_function(b->vm, n);
    emit(b, OP_CLOSURE, n->head.line);
    emit_word(b, add_constant(b, from_object(f)));
    pushed(b, 1);
}

static void class_statement(builder *b, const class_node *n)
{
    uint32_t line = n->head.line;
    emit(b, OP_CLASS, line);
    emit_word(b, add_cache(b, n->name));
    pushed(b, 1);
    define(b, n->variable, line);
    if (n->super != NULL) {
        load(b, n->superclass, n->superclass_line);
        load(b, n->variable, n->superclass_line);
        emit(b, OP_INHERIT, n->superclass_line);
        popped(b, 1);
    }
    load(b, n->variable, line);
    for (node *m = n->methods; m != NULL; m = m->next) {
        closure_of(b, (function_node *)m);
        emit(b, OP_METHOD, m->line);
        emit_word(b, add_cache(b, ((function_node *)m)->name));
        popped(b, 1);
    }
    emit(b, OP_POP, line);
    popped(b, 1);
    if (n->super != NULL) {
        drop_locals(b, n->super, 1, line);
    }
}

static void block(builder *b, const scope_node *n)
{
    statements(b, n->body);
    drop_locals(b, n->locals, n->head.count, n->head.line);
}

static void statement(builder *b, node *n)
{
    switch (n->type) {
    case NODE_EXPRESSION: expression_statement(b, ((pair_node *)n)->first, n->line); break;
    case NODE_PRINT:
        expression(b, ((pair_node *)n)->first);
        emit(b, OP_PRINT, n->line);
        popped(b, 1);
        break;
    case NODE_VAR: var_statement(b, (const var_node *)n); break;
    case NODE_BLOCK: block(b, (const scope_node *)n); break;
    case NODE_IF: if_statement(b, (const branch_node *)n); break;
    case NODE_WHILE: while_statement(b, (const branch_node *)n); break;
    case NODE_FOR: for_statement(b, (const scope_node *)n); break;
    case NODE_RETURN: return_statement(b, (const pair_node *)n, n->count != 0); break;
    case NODE_FUN:
        closure_of(b, (function_node *)n);
        define(b, ((const function_node *)n)->variable, n->line);
        break;
    case NODE_CLASS: class_statement(b, (const class_node *)n); break;
    default: break;
    }
}

static void statements(builder *b, node *first)
{
    for (node *n = first; n != NULL; n = n->next) {
        statement(b, n);
    }
}

/* ---- functions ---- */

/* Code is dynamic where it is collected, else as constant as its constants. In an image, caches are
 * their names (image.c). */
static void *settle(builder *b, kind kind, const buffer *from, size_t item_size)
{
    size_t size = from->count * item_size;
    if (size == 0) {
        return NULL;
    }
    bool saved_otherwise = kind == KIND_CACHES && b->vm->options.memory.records_vm;
    unsigned context = b->vm->options.code_is_collected || saved_otherwise ? FIEF_DYNAMIC
                                                                           : FIEF_CONSTANT;
    return memcpy(new_block(b->vm, kind, context, size), from->items, size);
}

static void settle_chunk(builder *b, chunk *c)
{
    c->code = settle(b, KIND_CODE, &b->code, 1);
    c->code_size = b->code.count;
    c->constants = settle(b, KIND_CONSTANTS, &b->constants, sizeof(value));
    c->constant_count = b->constants.count;
    c->caches = settle(b, KIND_CACHES, &b->caches, sizeof(cache));
    c->cache_count = b->caches.count;
    c->lines = settle(b, KIND_LINES, &b->lines, sizeof(line_run));
    c->line_count = b->lines.count;
}

static function *compile_function(vm *vm, function_node *n)
{
    builder b = {.vm = vm};
    pushed(&b, n->arity + 1);
    emit_step(&b, n->head.line);
    statements(&b, n->body);
    pair_node end = {.head = {.type = NODE_RETURN, .line = n->head.line}};
    return_statement(&b, &end, n->type == FUNCTION_INITIALIZER);
    function *f = function_new(vm, n->capture_count);
    f->name = n->name;
    f->arity = n->arity;
    f->most_values = b.most;
    if (n->capture_count != 0) {
        memcpy(f->captures, n->captures, n->capture_count * sizeof *n->captures);
    }
    settle_chunk(&b, &f->chunk);
    return f;
}

function *compile(vm *vm, const char *source, size_t size)
{
    function_node *script = parse(vm, source, size);
    return script != NULL ? compile_function(vm, script) : NULL;
}
