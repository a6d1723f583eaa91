/* ast: a program as a tree, in the compiler arena: it dies as a whole when its unit ends.
 * Names are resolved already: the parser knows where each variable lives. What a node evaluates
 * first is its `first`, at the same place in all of them, so that a long chain (a + b + c ..., or
 * a.b().c() ...) can be walked down without recursion. */
#ifndef LOX_AST_H
#define LOX_AST_H

#include "object.h"
#include "scanner.h"

typedef enum node_type {
    NODE_NIL, NODE_TRUE, NODE_FALSE, NODE_NUMBER, NODE_STRING,
    NODE_VARIABLE, NODE_ASSIGN, NODE_NOT, NODE_NEGATE, NODE_BINARY, NODE_AND, NODE_OR,
    NODE_CALL, NODE_GET, NODE_SET, NODE_INVOKE, NODE_GET_SUPER, NODE_INVOKE_SUPER,
    NODE_EXPRESSION, NODE_PRINT, NODE_VAR, NODE_BLOCK, NODE_IF, NODE_WHILE, NODE_FOR, NODE_RETURN,
    NODE_FUN, NODE_CLASS
} node_type;

typedef struct node {
    uint8_t type;
    uint8_t operator_; /* of a binary: its token_type */
    uint16_t count;    /* arguments; locals that a scope drops */
    uint32_t line;     /* of its last token */
    struct node *next; /* in a list of arguments or statements */
} node;

typedef enum place { PLACE_LOCAL, PLACE_UPVALUE, PLACE_GLOBAL } place;

typedef struct variable {
    place place;
    uint32_t index;
} variable;

/* A local variable in scope. Newest first; they stay readable until the unit ends, since the
 * function around is compiled once all captures are known. */
typedef struct symbol {
    struct symbol *older;
    const token *name;
    int depth; /* of its scope; -1: its initializer is not over */
    uint8_t slot;
    bool is_captured;
} symbol;

typedef struct number_node {
    node head;
    double number;
} number_node;

typedef struct string_node {
    node head;
    string *string;
} string_node;

typedef struct variable_node { /* ASSIGN has a value */
    node head;
    variable variable;
    node *value;
} variable_node;

/* NOT, NEGATE, EXPRESSION, PRINT, RETURN: second NULL. BINARY, AND, OR: both. */
typedef struct pair_node {
    node head;
    node *first, *second;
} pair_node;

typedef struct access_node { /* CALL, GET, SET, INVOKE */
    node head;
    node *first;
    string *name;
    node *rest; /* the value, or the arguments */
} access_node;

typedef struct super_node {
    node head;
    variable receiver, superclass;
    string *name;
    node *arguments;
} super_node;

typedef struct var_node {
    node head;
    variable variable;
    node *value; /* or NULL */
} var_node;

typedef struct scope_node { /* BLOCK, FOR */
    node head;
    node *start, *condition, *step, *body;
    const symbol *locals; /* the newest of head.count */
} scope_node;

typedef struct branch_node { /* IF, WHILE */
    node head;
    node *condition, *then, *otherwise;
} branch_node;

typedef enum function_type {
    FUNCTION_SCRIPT, FUNCTION_PLAIN, FUNCTION_METHOD, FUNCTION_INITIALIZER
} function_type;

typedef struct function_node {
    node head; /* .line: of the last token */
    function_type type;
    string *name; /* NULL: the script */
    variable variable;
    uint32_t arity, capture_count;
    const capture *captures;
    node *body;
} function_node;

typedef struct class_node {
    node head; /* .line: of the name */
    string *name;
    variable variable;
    const symbol *super; /* the local that holds the superclass; NULL: none */
    variable superclass;
    uint32_t superclass_line;
    node *methods;
} class_node;

/* The tree of a whole source, or NULL: its errors were printed. */
function_node *parse(vm *vm, const char *source, size_t size);

#endif
