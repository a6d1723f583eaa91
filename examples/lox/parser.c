/* parser: source to tree in one pass, which also resolves names and reports every error there is.
 *
 * The errors are those of the book's single-pass compiler, in its order: so this goes through the
 * source in the same steps, and keeps count of the bytes that that compiler would have emitted,
 * since some of its limits are in bytes. A chain of errors is cut short in the same way ("panic"):
 * after the first, nothing is reported before the next statement begins. */
#include "ast.h"
#include "vm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LOCALS_MAX = 256,
    CAPTURES_MAX = 256,
    PARAMETERS_MAX = 255,
    LITERALS_MAX = 256,           /* of a function */
    SCRIPT_LITERALS_MAX = 1 << 20, /* a generated script has more of them than the book allows */
    JUMP_MAX = UINT16_MAX,
    NESTING_MAX = 3000
};

typedef enum precedence {
    PRECEDENCE_NONE, PRECEDENCE_ASSIGNMENT, PRECEDENCE_OR, PRECEDENCE_AND, PRECEDENCE_EQUALITY,
    PRECEDENCE_COMPARISON, PRECEDENCE_TERM, PRECEDENCE_FACTOR, PRECEDENCE_UNARY, PRECEDENCE_CALL
} precedence;

/* A function that is being parsed. */
typedef struct scope {
    struct scope *outer, *inner;
    function_type type;
    symbol *newest;
    unsigned local_count;
    int depth;
    capture *captures;
    uint32_t capture_count, capture_room;
    uint32_t literals;
    size_t size; /* in the book's bytecode */
} scope;

typedef struct class_scope {
    struct class_scope *outer;
    bool has_superclass;
} class_scope;

typedef struct diagnostic {
    struct diagnostic *next;
    token at;
    const char *message;
} diagnostic;

typedef struct parser {
    vm *vm;
    scanner scanner;
    token current, previous;
    scope *scope;
    class_scope *class;
    diagnostic *errors, **last_error;
    bool is_panicking;
    bool has_given_up; /* nested too deeply: nothing more is read */
    unsigned nesting;
} parser;

static node *expression(parser *p);
static node *declaration(parser *p);
static node *statement(parser *p);

static void *temporary(parser *p, kind kind, size_t size)
{
    return mem_new(&p->vm->memory, kind, FIEF_TEMPORARY, size);
}

/* ---- errors ---- */

static void error_at(parser *p, const token *at, const char *message)
{
    if (p->is_panicking || p->has_given_up) {
        return;
    }
    p->is_panicking = true;
    diagnostic *d = temporary(p, KIND_DIAGNOSTIC, sizeof *d);
    d->at = *at;
    d->message = message;
    *p->last_error = d;
    p->last_error = &d->next;
}

static void error(parser *p, const char *message)
{
    error_at(p, &p->previous, message);
}

static void print_errors(const parser *p)
{
    FILE *out = p->vm->errors_to;
    for (const diagnostic *d = p->errors; d != NULL; d = d->next) {
        fprintf(out, "[line %u] Error", d->at.line);
        if (d->at.type == TOKEN_END) {
            fputs(" at end", out);
        } else if (d->at.type != TOKEN_ERROR) {
            fputs(" at '", out);
            fwrite(d->at.start, 1, d->at.length, out);
            fputc('\'', out);
        }
        fprintf(out, ": %s\n", d->message);
    }
}

/* ---- tokens ---- */

static void advance(parser *p)
{
    p->previous = p->current;
    while (!p->has_given_up) {
        p->current = scan(&p->scanner);
        if (p->current.type != TOKEN_ERROR) {
            break;
        }
        error_at(p, &p->current, p->current.start);
    }
    p->vm->line = p->previous.line;
}

static bool check(const parser *p, token_type type)
{
    return p->current.type == type;
}

static bool match(parser *p, token_type type)
{
    if (!check(p, type)) {
        return false;
    }
    advance(p);
    return true;
}

static void consume(parser *p, token_type type, const char *message)
{
    if (check(p, type)) {
        advance(p);
    } else {
        error_at(p, &p->current, message);
    }
}

static const token *keep(parser *p, const token *t)
{
    token *kept = temporary(p, KIND_TOKEN, sizeof *kept);
    *kept = *t;
    return kept;
}

static string *name_of(parser *p, const token *t)
{
    return string_literal(p->vm, t->start, t->length);
}

/* One level deeper, or the end of it all: what follows would not be read with bounded memory. */
static bool enter(parser *p)
{
    if (++p->nesting <= NESTING_MAX) {
        return true;
    }
    error(p, "Too much nesting.");
    p->has_given_up = true;
    p->current.type = TOKEN_END;
    return false;
}

static void leave(parser *p)
{
    p->nesting--;
}

/* ---- the book's limits ---- */

static void emitted(parser *p, size_t bytes)
{
    p->scope->size += bytes;
}

/* After a jump over `start`..now was emitted. */
static void check_jump(parser *p, size_t start)
{
    if (p->scope->size - start > JUMP_MAX) {
        error(p, "Too much code to jump over.");
    }
}

static void check_loop(parser *p, size_t start)
{
    emitted(p, 3);
    if (p->scope->size - start > JUMP_MAX) {
        error(p, "Loop body too large.");
    }
}

static void count_literal(parser *p)
{
    uint32_t most = p->scope->type == FUNCTION_SCRIPT ? SCRIPT_LITERALS_MAX : LITERALS_MAX;
    emitted(p, 2);
    if (++p->scope->literals > most) {
        error(p, "Too many constants in one chunk.");
    }
}

/* ---- nodes ---- */

static inline void *node_new(parser *p, node_type type, size_t size)
{
    node *n = mem_new(&p->vm->memory, KIND_NODE, FIEF_TEMPORARY, size);
    n->type = (uint8_t)type;
    n->line = p->previous.line;
    return n;
}

static node *leaf(parser *p, node_type type)
{
    emitted(p, 1);
    return node_new(p, type, sizeof(node));
}

static node *pair(parser *p, node_type type, node *first, node *second)
{
    pair_node *n = node_new(p, type, sizeof *n);
    n->first = first;
    n->second = second;
    return &n->head;
}

static node *access(parser *p, node_type type, node *first, string *name, node *rest)
{
    access_node *n = node_new(p, type, sizeof *n);
    n->first = first;
    n->name = name;
    n->rest = rest;
    return &n->head;
}

/* ---- scopes ---- */

static bool same_name(const token *a, const token *b)
{
    return a->length == b->length && memcmp(a->start, b->start, a->length) == 0;
}

static symbol *add_local(parser *p, const token *name)
{
    scope *s = p->scope;
    if (s->local_count == LOCALS_MAX) {
        error(p, "Too many local variables in function.");
        return NULL;
    }
    symbol *local = temporary(p, KIND_SYMBOL, sizeof *local);
    local->older = s->newest;
    local->name = name;
    local->depth = -1;
    local->slot = (uint8_t)s->local_count++;
    s->newest = local;
    return local;
}

static void declare_local(parser *p, const token *name)
{
    const scope *s = p->scope;
    for (const symbol *local = s->newest; local != NULL; local = local->older) {
        if (local->depth != -1 && local->depth < s->depth) {
            break;
        }
        if (same_name(name, local->name)) {
            error(p, "Already a variable with this name in this scope.");
        }
    }
    add_local(p, keep(p, name));
}

static void begin_scope(parser *p)
{
    p->scope->depth++;
}

/* Fills in what the node has to drop. */
static void end_scope(parser *p, node *ret_head, const symbol **ret_locals)
{
    scope *s = p->scope;
    s->depth--;
    *ret_locals = s->newest;
    while (s->newest != NULL && s->newest->depth > s->depth) {
        s->newest = s->newest->older;
        s->local_count--;
        ret_head->count++;
        emitted(p, 1);
    }
}

static void mark_initialized(parser *p)
{
    if (p->scope->depth > 0 && p->scope->newest != NULL) {
        p->scope->newest->depth = p->scope->depth;
    }
}

static symbol *resolve_local(parser *p, const scope *s, const token *name)
{
    for (symbol *local = s->newest; local != NULL; local = local->older) {
        if (same_name(name, local->name)) {
            if (local->depth == -1) {
                error(p, "Can't read local variable in its own initializer.");
            }
            return local;
        }
    }
    return NULL;
}

static void captures_grow(parser *p, scope *s)
{
    uint32_t room = s->capture_room != 0 ? 2 * s->capture_room : 4;
    s->captures = mem_regrow(&p->vm->memory, KIND_SCOPE, s->captures,
                             s->capture_count * sizeof(capture), room * sizeof(capture));
    s->capture_room = room;
}

static uint32_t add_capture(parser *p, scope *s, uint8_t index, bool is_local)
{
    for (uint32_t i = 0; i < s->capture_count; i++) {
        if (s->captures[i].index == index && s->captures[i].is_local == is_local) {
            return i;
        }
    }
    if (s->capture_count == CAPTURES_MAX) {
        error(p, "Too many closure variables in function.");
        return 0;
    }
    if (s->capture_count == s->capture_room) {
        captures_grow(p, s);
    }
    s->captures[s->capture_count] = (capture){index, is_local};
    return s->capture_count++;
}

/* From the function that has the local inwards to s, one upvalue each. Not recursive: functions
 * may be nested thousands deep, and a name that none of them knows is looked up in all of them. */
static bool resolve_capture(parser *p, scope *s, const token *name, uint32_t *ret_index)
{
    scope *owner = s->outer;
    symbol *local = NULL;
    while (owner != NULL && (local = resolve_local(p, owner, name)) == NULL) {
        owner = owner->outer;
    }
    if (owner == NULL) {
        return false;
    }
    local->is_captured = true;
    uint32_t index = local->slot;
    bool is_local = true;
    for (scope *at = owner->inner; at != s->inner; at = at->inner) {
        index = add_capture(p, at, (uint8_t)index, is_local);
        is_local = false;
    }
    *ret_index = index;
    return true;
}

static variable resolve(parser *p, const token *name)
{
    uint32_t index;
    emitted(p, 2);
    const symbol *local = resolve_local(p, p->scope, name);
    if (local != NULL) {
        return (variable){PLACE_LOCAL, local->slot};
    }
    if (resolve_capture(p, p->scope, name, &index)) {
        return (variable){PLACE_UPVALUE, index};
    }
    return (variable){PLACE_GLOBAL, vm_global(p->vm, name_of(p, name))};
}

static token synthetic(const parser *p, const char *name)
{
    return (token){name, strlen(name), p->previous.line, TOKEN_IDENTIFIER};
}

/* ---- expressions ---- */

static node *arguments(parser *p, uint16_t *ret_count)
{
    node *first = NULL, **last = &first;
    unsigned count = 0;
    if (!check(p, TOKEN_RIGHT_PAREN)) {
        do {
            *last = expression(p);
            last = &(*last)->next;
            if (count == PARAMETERS_MAX) {
                error(p, "Can't have more than 255 arguments.");
            }
            count++;
        } while (match(p, TOKEN_COMMA));
    }
    consume(p, TOKEN_RIGHT_PAREN, "Expect ')' after arguments.");
    *ret_count = (uint16_t)count;
    return first;
}

static node *call(parser *p, node *callee)
{
    uint16_t count;
    node *list = arguments(p, &count);
    node *n = access(p, NODE_CALL, callee, NULL, list);
    n->count = count;
    emitted(p, 2);
    return n;
}

static node *dot(parser *p, node *object, bool can_assign)
{
    consume(p, TOKEN_IDENTIFIER, "Expect property name after '.'.");
    string *name = name_of(p, &p->previous);
    if (can_assign && match(p, TOKEN_EQUAL)) {
        node *value = expression(p);
        emitted(p, 2);
        return access(p, NODE_SET, object, name, value);
    }
    if (match(p, TOKEN_LEFT_PAREN)) {
        uint16_t count;
        node *list = arguments(p, &count);
        node *n = access(p, NODE_INVOKE, object, name, list);
        n->count = count;
        emitted(p, 3);
        return n;
    }
    emitted(p, 2);
    return access(p, NODE_GET, object, name, NULL);
}

static node *variable_of(parser *p, const token *name, bool can_assign)
{
    variable v = resolve(p, name);
    node *value = can_assign && match(p, TOKEN_EQUAL) ? expression(p) : NULL;
    variable_node *n = node_new(p, value != NULL ? NODE_ASSIGN : NODE_VARIABLE, sizeof *n);
    n->variable = v;
    n->value = value;
    return &n->head;
}

static node *this_(parser *p)
{
    if (p->class == NULL) {
        error(p, "Can't use 'this' outside of a class.");
        return leaf(p, NODE_NIL);
    }
    return variable_of(p, &p->previous, false);
}

static node *super_(parser *p)
{
    if (p->class == NULL) {
        error(p, "Can't use 'super' outside of a class.");
    } else if (!p->class->has_superclass) {
        error(p, "Can't use 'super' in a class with no superclass.");
    }
    consume(p, TOKEN_DOT, "Expect '.' after 'super'.");
    consume(p, TOKEN_IDENTIFIER, "Expect superclass method name.");
    token this_name = synthetic(p, "this"), super_name = synthetic(p, "super");
    string *name = name_of(p, &p->previous);
    variable receiver = resolve(p, &this_name);
    node *list = NULL;
    uint16_t count = 0;
    bool is_call = match(p, TOKEN_LEFT_PAREN);
    if (is_call) {
        list = arguments(p, &count);
    }
    super_node *n = node_new(p, is_call ? NODE_INVOKE_SUPER : NODE_GET_SUPER, sizeof *n);
    n->receiver = receiver;
    n->superclass = resolve(p, &super_name);
    n->name = name;
    n->arguments = list;
    n->head.count = count;
    emitted(p, is_call ? 3 : 2);
    return &n->head;
}

/* Digits with at most one dot. Nothing behind the token is looked at. */
static double parse_number(parser *p, const token *t)
{
    double number = 0;
    if (t->length <= 15 && memchr(t->start, '.', t->length) == NULL) {
        for (size_t i = 0; i < t->length; i++) {
            number = 10 * number + (t->start[i] - '0');
        }
        return number;
    }
    char shorter[64];
    char *text = t->length < sizeof shorter ? shorter : temporary(p, KIND_PATCH, t->length + 1);
    memcpy(text, t->start, t->length);
    text[t->length] = '\0';
    return strtod(text, NULL);
}

static node *number(parser *p)
{
    count_literal(p);
    number_node *n = node_new(p, NODE_NUMBER, sizeof *n);
    n->number = parse_number(p, &p->previous);
    return &n->head;
}

static node *string_(parser *p)
{
    count_literal(p);
    string_node *n = node_new(p, NODE_STRING, sizeof *n);
    n->string = string_literal(p->vm, p->previous.start + 1, p->previous.length - 2);
    return &n->head;
}

static node *grouping(parser *p)
{
    node *n = expression(p);
    consume(p, TOKEN_RIGHT_PAREN, "Expect ')' after expression.");
    return n;
}

static const uint8_t precedences[TOKEN_TYPES] = {
    [TOKEN_LEFT_PAREN] = PRECEDENCE_CALL,         [TOKEN_DOT] = PRECEDENCE_CALL,
    [TOKEN_MINUS] = PRECEDENCE_TERM,              [TOKEN_PLUS] = PRECEDENCE_TERM,
    [TOKEN_SLASH] = PRECEDENCE_FACTOR,            [TOKEN_STAR] = PRECEDENCE_FACTOR,
    [TOKEN_BANG_EQUAL] = PRECEDENCE_EQUALITY,     [TOKEN_EQUAL_EQUAL] = PRECEDENCE_EQUALITY,
    [TOKEN_GREATER] = PRECEDENCE_COMPARISON,      [TOKEN_GREATER_EQUAL] = PRECEDENCE_COMPARISON,
    [TOKEN_LESS] = PRECEDENCE_COMPARISON,         [TOKEN_LESS_EQUAL] = PRECEDENCE_COMPARISON,
    [TOKEN_AND] = PRECEDENCE_AND,                 [TOKEN_OR] = PRECEDENCE_OR,
};

static node *parse_precedence(parser *p, precedence precedence);

static node *unary(parser *p)
{
    token_type operator_ = p->previous.type;
    node *operand = parse_precedence(p, PRECEDENCE_UNARY);
    emitted(p, 1);
    return pair(p, operator_ == TOKEN_BANG ? NODE_NOT : NODE_NEGATE, operand, NULL);
}

static node *binary(parser *p, node *left)
{
    token_type operator_ = p->previous.type;
    node *right = parse_precedence(p, (precedence)(precedences[operator_] + 1));
    node *n = pair(p, NODE_BINARY, left, right);
    n->operator_ = (uint8_t)operator_;
    bool is_two = operator_ == TOKEN_BANG_EQUAL || operator_ == TOKEN_GREATER_EQUAL ||
                  operator_ == TOKEN_LESS_EQUAL;
    emitted(p, is_two ? 2 : 1);
    return n;
}

/* The book's `or` jumps twice. */
static node *logical(parser *p, node *left)
{
    bool is_or = p->previous.type == TOKEN_OR;
    emitted(p, is_or ? 7 : 4);
    size_t start = p->scope->size - 1;
    node *right = parse_precedence(p, is_or ? PRECEDENCE_OR : PRECEDENCE_AND);
    check_jump(p, start);
    return pair(p, is_or ? NODE_OR : NODE_AND, left, right);
}

static node *prefix(parser *p, bool can_assign)
{
    switch (p->previous.type) {
    case TOKEN_LEFT_PAREN: return grouping(p);
    case TOKEN_MINUS:
    case TOKEN_BANG: return unary(p);
    case TOKEN_IDENTIFIER: return variable_of(p, &p->previous, can_assign);
    case TOKEN_STRING: return string_(p);
    case TOKEN_NUMBER: return number(p);
    case TOKEN_FALSE: return leaf(p, NODE_FALSE);
    case TOKEN_TRUE: return leaf(p, NODE_TRUE);
    case TOKEN_NIL: return leaf(p, NODE_NIL);
    case TOKEN_THIS: return this_(p);
    case TOKEN_SUPER: return super_(p);
    default: return NULL;
    }
}

static node *infix(parser *p, node *left, bool can_assign)
{
    switch (p->previous.type) {
    case TOKEN_LEFT_PAREN: return call(p, left);
    case TOKEN_DOT: return dot(p, left, can_assign);
    case TOKEN_AND:
    case TOKEN_OR: return logical(p, left);
    default: return binary(p, left);
    }
}

static node *parse_within(parser *p, precedence precedence)
{
    advance(p);
    bool can_assign = precedence <= PRECEDENCE_ASSIGNMENT;
    node *n = prefix(p, can_assign);
    if (n == NULL) {
        error(p, "Expect expression.");
        return leaf(p, NODE_NIL);
    }
    while (precedence <= precedences[p->current.type]) {
        advance(p);
        n = infix(p, n, can_assign);
    }
    if (can_assign && match(p, TOKEN_EQUAL)) {
        error(p, "Invalid assignment target.");
    }
    return n;
}

static node *parse_precedence(parser *p, precedence precedence)
{
    node *n = enter(p) ? parse_within(p, precedence) : leaf(p, NODE_NIL);
    leave(p);
    return n;
}

static node *expression(parser *p)
{
    return parse_precedence(p, PRECEDENCE_ASSIGNMENT);
}

/* ---- functions and classes ---- */

/* A name's declaration in the present scope: the newest local, or a global. */
static variable declare(parser *p, const token *name)
{
    if (p->scope->depth == 0) {
        return (variable){PLACE_GLOBAL, vm_global(p->vm, name_of(p, name))};
    }
    declare_local(p, name);
    return (variable){PLACE_LOCAL, p->scope->newest != NULL ? p->scope->newest->slot : 0};
}

static variable parse_variable(parser *p, const char *message)
{
    consume(p, TOKEN_IDENTIFIER, message);
    return declare(p, &p->previous);
}

static void define(parser *p)
{
    if (p->scope->depth == 0) {
        emitted(p, 2);
    }
    mark_initialized(p);
}

static void parameters(parser *p, function_node *f)
{
    if (!check(p, TOKEN_RIGHT_PAREN)) {
        do {
            if (++f->arity > PARAMETERS_MAX) {
                error_at(p, &p->current, "Can't have more than 255 parameters.");
            }
            parse_variable(p, "Expect parameter name.");
            define(p);
        } while (match(p, TOKEN_COMMA));
    }
    consume(p, TOKEN_RIGHT_PAREN, "Expect ')' after parameters.");
}

static node *declarations(parser *p, token_type end)
{
    node *first = NULL, **last = &first;
    while (!check(p, end) && !check(p, TOKEN_END)) {
        *last = declaration(p);
        last = &(*last)->next;
    }
    return first;
}

static void scope_open(parser *p, function_type type)
{
    scope *s = temporary(p, KIND_SCOPE, sizeof *s);
    s->outer = p->scope;
    s->type = type;
    if (s->outer != NULL) {
        s->outer->inner = s;
    }
    p->scope = s;
    bool is_method = type == FUNCTION_METHOD || type == FUNCTION_INITIALIZER;
    token receiver = synthetic(p, is_method ? "this" : "");
    add_local(p, keep(p, &receiver))->depth = 0;
}

static void scope_close(parser *p, function_node *f)
{
    const scope *s = p->scope;
    f->captures = s->captures;
    f->capture_count = s->capture_count;
    f->head.line = p->previous.line;
    p->scope = s->outer;
    if (s->outer != NULL) {
        s->outer->inner = NULL;
    }
}

static function_node *parse_function(parser *p, function_type type, string *name)
{
    function_node *f = node_new(p, NODE_FUN, sizeof *f);
    f->type = type;
    f->name = name;
    scope_open(p, type);
    begin_scope(p);
    consume(p, TOKEN_LEFT_PAREN, "Expect '(' after function name.");
    parameters(p, f);
    consume(p, TOKEN_LEFT_BRACE, "Expect '{' before function body.");
    f->body = declarations(p, TOKEN_RIGHT_BRACE);
    consume(p, TOKEN_RIGHT_BRACE, "Expect '}' after block.");
    scope_close(p, f);
    emitted(p, 2 + 2 * (size_t)f->capture_count);
    return f;
}

static node *fun_declaration(parser *p)
{
    variable v = parse_variable(p, "Expect function name.");
    mark_initialized(p);
    string *name = name_of(p, &p->previous);
    function_node *f = parse_function(p, FUNCTION_PLAIN, name);
    f->variable = v;
    define(p);
    return &f->head;
}

static node *method(parser *p)
{
    consume(p, TOKEN_IDENTIFIER, "Expect method name.");
    string *name = name_of(p, &p->previous);
    bool is_init = name == p->vm->init_name;
    function_node *f = parse_function(p, is_init ? FUNCTION_INITIALIZER : FUNCTION_METHOD, name);
    emitted(p, 2);
    return &f->head;
}

static void superclass(parser *p, class_node *c, const token *name)
{
    consume(p, TOKEN_IDENTIFIER, "Expect superclass name.");
    c->superclass = resolve(p, &p->previous);
    c->superclass_line = p->previous.line;
    if (same_name(name, &p->previous)) {
        error(p, "A class can't inherit from itself.");
    }
    begin_scope(p);
    token super_name = synthetic(p, "super");
    c->super = add_local(p, keep(p, &super_name));
    define(p);
    resolve(p, name);
    emitted(p, 1);
    p->class->has_superclass = true;
}

static void class_body(parser *p, class_node *c, const token *name)
{
    node **last = &c->methods;
    c->variable = resolve(p, name);
    consume(p, TOKEN_LEFT_BRACE, "Expect '{' before class body.");
    while (!check(p, TOKEN_RIGHT_BRACE) && !check(p, TOKEN_END)) {
        *last = method(p);
        last = &(*last)->next;
    }
    consume(p, TOKEN_RIGHT_BRACE, "Expect '}' after class body.");
    emitted(p, 1);
}

static node *class_declaration(parser *p)
{
    consume(p, TOKEN_IDENTIFIER, "Expect class name.");
    token name = p->previous;
    class_node *c = node_new(p, NODE_CLASS, sizeof *c);
    c->name = name_of(p, &name);
    declare(p, &name);
    emitted(p, 2);
    define(p);
    class_scope inner = {p->class, false};
    p->class = &inner;
    if (match(p, TOKEN_LESS)) {
        superclass(p, c, &name);
    }
    class_body(p, c, &name);
    if (inner.has_superclass) {
        const symbol *dropped;
        node ignored = {0};
        end_scope(p, &ignored, &dropped);
    }
    p->class = inner.outer;
    return &c->head;
}

/* ---- statements ---- */

static node *var_declaration(parser *p)
{
    variable v = parse_variable(p, "Expect variable name.");
    node *value = match(p, TOKEN_EQUAL) ? expression(p) : NULL;
    if (value == NULL) {
        emitted(p, 1);
    }
    consume(p, TOKEN_SEMICOLON, "Expect ';' after variable declaration.");
    define(p);
    var_node *n = node_new(p, NODE_VAR, sizeof *n);
    n->variable = v;
    n->value = value;
    return &n->head;
}

static node *expression_statement(parser *p)
{
    node *value = expression(p);
    consume(p, TOKEN_SEMICOLON, "Expect ';' after expression.");
    emitted(p, 1);
    return pair(p, NODE_EXPRESSION, value, NULL);
}

static node *print_statement(parser *p)
{
    node *value = expression(p);
    consume(p, TOKEN_SEMICOLON, "Expect ';' after value.");
    emitted(p, 1);
    return pair(p, NODE_PRINT, value, NULL);
}

static node *block(parser *p)
{
    scope_node *n = node_new(p, NODE_BLOCK, sizeof *n);
    begin_scope(p);
    n->body = declarations(p, TOKEN_RIGHT_BRACE);
    consume(p, TOKEN_RIGHT_BRACE, "Expect '}' after block.");
    end_scope(p, &n->head, &n->locals);
    return &n->head;
}

static node *if_statement(parser *p)
{
    branch_node *n = node_new(p, NODE_IF, sizeof *n);
    consume(p, TOKEN_LEFT_PAREN, "Expect '(' after 'if'.");
    n->condition = expression(p);
    consume(p, TOKEN_RIGHT_PAREN, "Expect ')' after condition.");
    emitted(p, 3);
    size_t then_start = p->scope->size;
    emitted(p, 1);
    n->then = statement(p);
    emitted(p, 3);
    check_jump(p, then_start);
    size_t else_start = p->scope->size;
    emitted(p, 1);
    if (match(p, TOKEN_ELSE)) {
        n->otherwise = statement(p);
    }
    check_jump(p, else_start);
    return &n->head;
}

static node *while_statement(parser *p)
{
    branch_node *n = node_new(p, NODE_WHILE, sizeof *n);
    size_t start = p->scope->size;
    consume(p, TOKEN_LEFT_PAREN, "Expect '(' after 'while'.");
    n->condition = expression(p);
    consume(p, TOKEN_RIGHT_PAREN, "Expect ')' after condition.");
    emitted(p, 3);
    size_t body_start = p->scope->size;
    emitted(p, 1);
    n->then = statement(p);
    check_loop(p, start);
    check_jump(p, body_start);
    emitted(p, 1);
    return &n->head;
}

static void for_start(parser *p, scope_node *n)
{
    consume(p, TOKEN_LEFT_PAREN, "Expect '(' after 'for'.");
    if (match(p, TOKEN_SEMICOLON)) {
        return;
    }
    n->start = match(p, TOKEN_VAR) ? var_declaration(p) : expression_statement(p);
}

/* Returns where the body's loop goes back to. */
static size_t for_step(parser *p, scope_node *n, size_t loop_start)
{
    if (match(p, TOKEN_RIGHT_PAREN)) {
        return loop_start;
    }
    emitted(p, 3);
    size_t step_start = p->scope->size;
    n->step = expression(p);
    emitted(p, 1);
    consume(p, TOKEN_RIGHT_PAREN, "Expect ')' after for clauses.");
    check_loop(p, loop_start);
    check_jump(p, step_start);
    return step_start;
}

static node *for_statement(parser *p)
{
    scope_node *n = node_new(p, NODE_FOR, sizeof *n);
    begin_scope(p);
    for_start(p, n);
    size_t loop_start = p->scope->size, exit_start = 0;
    if (!match(p, TOKEN_SEMICOLON)) {
        n->condition = expression(p);
        consume(p, TOKEN_SEMICOLON, "Expect ';' after loop condition.");
        emitted(p, 3);
        exit_start = p->scope->size;
        emitted(p, 1);
    }
    loop_start = for_step(p, n, loop_start);
    n->body = statement(p);
    check_loop(p, loop_start);
    if (n->condition != NULL) {
        check_jump(p, exit_start);
        emitted(p, 1);
    }
    end_scope(p, &n->head, &n->locals);
    return &n->head;
}

static node *return_statement(parser *p)
{
    if (p->scope->type == FUNCTION_SCRIPT) {
        error(p, "Can't return from top-level code.");
    }
    if (match(p, TOKEN_SEMICOLON)) {
        bool is_initializer = p->scope->type == FUNCTION_INITIALIZER;
        emitted(p, is_initializer ? 3 : 2);
        node *n = pair(p, NODE_RETURN, NULL, NULL);
        n->count = is_initializer; /* then it returns the receiver */
        return n;
    }
    if (p->scope->type == FUNCTION_INITIALIZER) {
        error(p, "Can't return a value from an initializer.");
    }
    node *value = expression(p);
    consume(p, TOKEN_SEMICOLON, "Expect ';' after return value.");
    emitted(p, 1);
    return pair(p, NODE_RETURN, value, NULL);
}

static node *statement_within(parser *p)
{
    switch (p->current.type) {
    case TOKEN_PRINT: advance(p); return print_statement(p);
    case TOKEN_FOR: advance(p); return for_statement(p);
    case TOKEN_IF: advance(p); return if_statement(p);
    case TOKEN_RETURN: advance(p); return return_statement(p);
    case TOKEN_WHILE: advance(p); return while_statement(p);
    case TOKEN_LEFT_BRACE: advance(p); return block(p);
    default: return expression_statement(p);
    }
}

static node *statement(parser *p)
{
    node *n = enter(p) ? statement_within(p) : leaf(p, NODE_NIL);
    leave(p);
    return n;
}

static void synchronize(parser *p)
{
    p->is_panicking = false;
    while (p->current.type != TOKEN_END) {
        if (p->previous.type == TOKEN_SEMICOLON) {
            return;
        }
        switch (p->current.type) {
        case TOKEN_CLASS:
        case TOKEN_FUN:
        case TOKEN_VAR:
        case TOKEN_FOR:
        case TOKEN_IF:
        case TOKEN_WHILE:
        case TOKEN_PRINT:
        case TOKEN_RETURN: return;
        default: advance(p);
        }
    }
}

static node *declaration_within(parser *p)
{
    switch (p->current.type) {
    case TOKEN_CLASS: advance(p); return class_declaration(p);
    case TOKEN_FUN: advance(p); return fun_declaration(p);
    case TOKEN_VAR: advance(p); return var_declaration(p);
    default: return statement_within(p);
    }
}

static node *declaration(parser *p)
{
    node *n = enter(p) ? declaration_within(p) : leaf(p, NODE_NIL);
    leave(p);
    if (p->is_panicking) {
        synchronize(p);
    }
    return n;
}

function_node *parse(vm *vm, const char *source, size_t size)
{
    parser p = {.vm = vm, .scanner = {source, source, source + size, 1}};
    p.last_error = &p.errors;
    p.current.line = p.previous.line = 1;
    scope_open(&p, FUNCTION_SCRIPT);
    advance(&p);
    function_node *script = node_new(&p, NODE_FUN, sizeof *script);
    script->body = declarations(&p, TOKEN_END);
    advance(&p);
    scope_close(&p, script);
    print_errors(&p);
    return p.errors == NULL ? script : NULL;
}
