/* ops: the table, and what values an operand has. */
#include "ops.h"

#include "configs.h"

#include <string.h>

const op_row op_rows[OP_COUNT] = {
#define OP(name, targets, weight, ...) [OP_##name] = {#name, targets, weight, {__VA_ARGS__}},
    FUZZ_OPERATIONS(OP)
#undef OP
};

unsigned operand_range(operand_type type)
{
    static const unsigned ranges[OPERAND_TYPES] = {
        [NONE] = 1,     [RUNTIME] = RUNTIMES, [BLOCK] = BLOCKS, [HOME] = HOMES,
        [MARK] = MARKS, [POOL] = POOLS,       [KIND] = 32,      [CONTEXT] = 8,
        [STRATEGY] = 8, [CONFIG] = CONFIGS,   [FIELD] = FIELDS, [SIZE] = 1,
        [ALIGN] = 17,   [NUMBER] = 256,
    };
    return ranges[type];
}

uint64_t operand_fit(operand_type type, uint64_t value)
{
    if (type != SIZE) {
        return value % operand_range(type);
    }
    return value <= SIZE_LARGEST || value >= SIZE_ABSURD ? value : value % (SIZE_LARGEST + 1);
}

bool program_same(const program *a, const program *b)
{
    return a->count == b->count && memcmp(a->ops, b->ops, a->count * sizeof a->ops[0]) == 0;
}

bool is_text_file(const char *path)
{
    size_t length = strlen(path);
    return length > 4 && strcmp(path + length - 4, ".ops") == 0;
}
