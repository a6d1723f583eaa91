/* dump: bytecode for people (lox --dump). */
#include "vm.h"

typedef enum operands { NONE, BYTE, WORD, CONSTANT, CACHE, CACHE_BYTE } operands;

static operands operands_of(opcode op)
{
    switch (op) {
    case OP_GET_LOCAL:
    case OP_SET_LOCAL:
    case OP_SET_LOCAL_POP:
    case OP_GET_UPVALUE:
    case OP_SET_UPVALUE:
    case OP_CALL: return BYTE;
    case OP_CONSTANT:
    case OP_CLOSURE:
    case OP_ADD_NUMBER:
    case OP_SUBTRACT_NUMBER: return CONSTANT;
    case OP_GET_PROPERTY:
    case OP_SET_PROPERTY:
    case OP_GET_SUPER:
    case OP_CLASS:
    case OP_METHOD: return CACHE;
    case OP_GET_LOCAL_PROPERTY:
    case OP_INVOKE:
    case OP_SUPER_INVOKE: return CACHE_BYTE;
    case OP_GET_GLOBAL:
    case OP_SET_GLOBAL:
    case OP_DEFINE_GLOBAL:
    case OP_JUMP:
    case OP_LOOP:
    case OP_AND:
    case OP_OR: return WORD;
    default:
        return op >= OP_UNLESS_EQUAL && op <= OP_UNLESS_LESS_EQUAL ? WORD
               : op == OP_JUMP_IF_FALSE                            ? WORD
                                                                   : NONE;
    }
}

static uint32_t word_at(const uint8_t *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static const uint8_t *dump_one(vm *vm, const chunk *c, const uint8_t *at)
{
    size_t offset = (size_t)(at - c->code);
    opcode op = (opcode)*at++;
    fprintf(vm->out, "%5zu %5u  %-18s", offset, chunk_line(c, offset), vm->opcode_names[op]);
    operands operands = operands_of(op);
    if (operands == BYTE) {
        fprintf(vm->out, " %u", *at++);
    } else if (operands != NONE) {
        uint32_t word = word_at(at);
        at += sizeof word;
        if (operands == CONSTANT) {
            fputc(' ', vm->out);
            value_print(vm->out, c->constants[word]);
        } else if (operands == WORD) {
            fprintf(vm->out, " %u", word);
        } else {
            fprintf(vm->out, " %s", c->caches[word].name->text);
        }
    }
    if (operands == CACHE_BYTE) {
        fprintf(vm->out, " %u", *at++);
    }
    fputc('\n', vm->out);
    return at;
}

void chunk_dump(vm *vm, const function *f)
{
    const chunk *c = &f->chunk;
    fprintf(vm->out, "-- %s\n", f->name != NULL ? f->name->text : "script");
    for (const uint8_t *at = c->code; at < c->code + c->code_size;) {
        at = dump_one(vm, c, at);
    }
    for (uint32_t i = 0; i < c->constant_count; i++) {
        if (is_of(c->constants[i], OBJECT_FUNCTION)) {
            chunk_dump(vm, (const function *)as_object(c->constants[i]));
        }
    }
}
