/* dump: bytecode for people (lox --dump). */
#include "vm.h"

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
    if (operands == OPERAND_BYTE) {
        fprintf(vm->out, " %u", *at++);
    } else if (operands != OPERAND_NONE) {
        uint32_t word = word_at(at);
        at += sizeof word;
        if (operands == OPERAND_CONSTANT) {
            fputc(' ', vm->out);
            value_print(vm->out, c->constants[word]);
        } else if (operands == OPERAND_WORD) {
            fprintf(vm->out, " %u", word);
        } else {
            fprintf(vm->out, " %s", c->caches[word].name->text);
        }
    }
    if (operands == OPERAND_CACHE_BYTE) {
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
