/* code: what the compiler writes and the machine reads. */
#ifndef MINI_CODE_H
#define MINI_CODE_H

typedef enum opcode {
    OP_CONSTANT, /* its number */
    OP_NIL,
    OP_LOCAL,  /* its slot */
    OP_GLOBAL, /* the symbol's constant */
    OP_DEFINE, /* likewise */
    OP_DROP,
    OP_JUMP,        /* where to, in two bytes */
    OP_JUMP_IF_NIL, /* likewise */
    OP_CALL,        /* with how many arguments; the function lies below them */
    OP_RETURN,
    OP_ADD,
    OP_SUBTRACT,
    OP_MULTIPLY,
    OP_LESS,
    OP_EQUAL,
    OP_JOIN,
    OP_PAIR,
    OP_FIRST,
    OP_REST,
    OP_PRINT,
    OPCODES
} opcode;

#endif
