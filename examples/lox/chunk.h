/* chunk: the bytecode of one function. Operands follow their opcode, least byte first as the
 * machine has it: `b` one byte, `w` four.
 *     CONSTANT w   GET_LOCAL b   INVOKE w b   JUMP w (forwards)   LOOP w (backwards)   ... */
#ifndef LOX_CHUNK_H
#define LOX_CHUNK_H

#include "value.h"

#include <stddef.h>

typedef struct string string;
typedef struct closure closure;

#define OPCODES(X)                                                                                \
    X(CONSTANT) X(NIL) X(TRUE) X(FALSE) X(POP)                                                    \
    X(GET_LOCAL) X(SET_LOCAL) X(GET_UPVALUE) X(SET_UPVALUE)                                       \
    X(GET_GLOBAL) X(SET_GLOBAL) X(DEFINE_GLOBAL)                                                  \
    X(GET_PROPERTY) X(SET_PROPERTY) X(INVOKE) X(GET_SUPER) X(SUPER_INVOKE)                        \
    X(EQUAL) X(NOT_EQUAL) X(GREATER) X(GREATER_EQUAL) X(LESS) X(LESS_EQUAL)                       \
    X(ADD) X(SUBTRACT) X(MULTIPLY) X(DIVIDE) X(NOT) X(NEGATE)                                     \
    X(PRINT) X(JUMP) X(JUMP_IF_FALSE) X(AND) X(OR) X(LOOP) X(STEP)                                 \
    X(UNLESS_EQUAL) X(UNLESS_NOT_EQUAL) X(UNLESS_GREATER) X(UNLESS_GREATER_EQUAL)                 \
    X(UNLESS_LESS) X(UNLESS_LESS_EQUAL)                                                           \
    X(ADD_NUMBER) X(SUBTRACT_NUMBER) X(GET_LOCAL_PROPERTY) X(SET_LOCAL_POP)                       \
    X(CALL) X(CLOSURE) X(CLOSE_UPVALUE) X(RETURN) X(CLASS) X(INHERIT) X(METHOD)

typedef enum opcode {
#define OPCODE_ENUM(name) OP_##name,
    OPCODES(OPCODE_ENUM)
#undef OPCODE_ENUM
    OPCODE_COUNT
} opcode;

/* A property's or method's name, and where it was found the last time at this place: good while the
 * class's version is the same. */
typedef struct cache {
    string *name;
    uint64_t version; /* 0: never found */
    uint32_t index;   /* of the field, where `method` is NULL */
    closure *method;  /* alive as long as a class of this version is */
} cache;

/* From `offset` on, instructions come from `line`. */
typedef struct line_run {
    uint32_t offset, line;
} line_run;

typedef struct chunk {
    uint8_t *code;
    value *constants;
    cache *caches; /* in an image: the names alone, as many */
    line_run *lines;
    uint32_t code_size, constant_count, cache_count, line_count;
} chunk;

/* What follows an opcode: a byte, a word, the index of a constant or a cache, that and a byte. */
typedef enum operands {
    OPERAND_NONE,
    OPERAND_BYTE,
    OPERAND_WORD,
    OPERAND_CONSTANT,
    OPERAND_CACHE,
    OPERAND_CACHE_BYTE
} operands;
operands operands_of(opcode op);
/* In bytes, with the opcode. */
size_t instruction_size(opcode op);

/* The line of the instruction that the byte at `offset` belongs to. */
uint32_t chunk_line(const chunk *c, size_t offset);

#endif
