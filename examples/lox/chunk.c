#include "chunk.h"

uint32_t chunk_line(const chunk *c, size_t offset)
{
    uint32_t low = 0, high = c->line_count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (c->lines[middle].offset <= offset) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return high != 0 ? c->lines[low].line : 0;
}

operands operands_of(opcode op)
{
    switch (op) {
    case OP_GET_LOCAL:
    case OP_SET_LOCAL:
    case OP_SET_LOCAL_POP:
    case OP_GET_UPVALUE:
    case OP_SET_UPVALUE:
    case OP_CALL: return OPERAND_BYTE;
    case OP_CONSTANT:
    case OP_CLOSURE:
    case OP_ADD_NUMBER:
    case OP_SUBTRACT_NUMBER: return OPERAND_CONSTANT;
    case OP_GET_PROPERTY:
    case OP_SET_PROPERTY:
    case OP_GET_SUPER:
    case OP_CLASS:
    case OP_METHOD: return OPERAND_CACHE;
    case OP_GET_LOCAL_PROPERTY:
    case OP_INVOKE:
    case OP_SUPER_INVOKE: return OPERAND_CACHE_BYTE;
    case OP_GET_GLOBAL:
    case OP_SET_GLOBAL:
    case OP_DEFINE_GLOBAL:
    case OP_JUMP:
    case OP_LOOP:
    case OP_AND:
    case OP_OR: return OPERAND_WORD;
    default:
        return op >= OP_UNLESS_EQUAL && op <= OP_UNLESS_LESS_EQUAL ? OPERAND_WORD
               : op == OP_JUMP_IF_FALSE                            ? OPERAND_WORD
                                                                   : OPERAND_NONE;
    }
}

size_t instruction_size(opcode op)
{
    static const uint8_t sizes[] = {
        [OPERAND_NONE] = 1,     [OPERAND_BYTE] = 2,  [OPERAND_WORD] = 5,
        [OPERAND_CONSTANT] = 5, [OPERAND_CACHE] = 5, [OPERAND_CACHE_BYTE] = 6,
    };
    return sizes[operands_of(op)];
}
