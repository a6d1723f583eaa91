/* bytes: an operation is its number and its operands, one byte each. A size has one byte below 224;
 * above, the first byte says how many follow: 2 (224 ..), 3 (240 ..), 8 (248 ..), low bytes first.
 * Bytes that end in the middle go on as zeros. */
#include "ops.h"

#include <string.h>

enum { TWO = 224, THREE = 240, EIGHT = 248 };

typedef struct reader {
    const uint8_t *at, *end;
} reader;

static uint64_t read_bytes(reader *r, unsigned count)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < count; i++) {
        value |= (uint64_t)(r->at < r->end ? *r->at++ : 0) << (8 * i);
    }
    return value;
}

static uint64_t read_size(reader *r)
{
    uint64_t first = read_bytes(r, 1);
    if (first < TWO) {
        return first;
    }
    if (first >= EIGHT) {
        uint64_t size = read_bytes(r, 8);
        return size < SIZE_ABSURD ? size | SIZE_ABSURD : size;
    }
    return operand_fit(SIZE, read_bytes(r, first < THREE ? 2 : 3));
}

/* The operation that a byte stands for. */
static op_id choose(unsigned byte, unsigned targets)
{
    op_id id = (op_id)(byte % OP_COUNT);
    for (unsigned i = 0; i < OP_COUNT && (op_rows[id].targets & targets) == 0; i++) {
        id = (op_id)((id + 1u) % OP_COUNT);
    }
    return id;
}

void program_from_bytes(program *ret, const uint8_t *bytes, size_t size, unsigned targets)
{
    reader r = {bytes, bytes + size};
    ret->count = 0;
    while (r.at < r.end && ret->count < OPS_MAX) {
        operation *o = &ret->ops[ret->count++];
        memset(o, 0, sizeof *o);
        o->id = choose((unsigned)read_bytes(&r, 1), targets);
        for (unsigned i = 0; i < OPERANDS_MAX; i++) {
            operand_type type = op_rows[o->id].operands[i];
            if (type != NONE) {
                o->at[i] = type == SIZE ? read_size(&r) : operand_fit(type, read_bytes(&r, 1));
            }
        }
    }
}

typedef struct writer {
    uint8_t bytes[1 + OPERANDS_MAX * 9];
    size_t count;
} writer;

static void write_bytes(writer *w, uint64_t value, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        w->bytes[w->count++] = (uint8_t)(value >> (8 * i));
    }
}

static void write_size(writer *w, uint64_t size)
{
    if (size < TWO) {
        write_bytes(w, size, 1);
        return;
    }
    unsigned count = size <= UINT16_MAX ? 2 : size <= SIZE_LARGEST ? 3 : 8;
    write_bytes(w, count == 2 ? TWO : count == 3 ? THREE : EIGHT, 1);
    write_bytes(w, size, count);
}

size_t program_to_bytes(const program *p, uint8_t *bytes, size_t size)
{
    size_t length = 0;
    for (size_t k = 0; k < p->count; k++) {
        const operation *o = &p->ops[k];
        writer w = {.count = 0};
        write_bytes(&w, (uint64_t)o->id, 1);
        for (unsigned i = 0; i < OPERANDS_MAX; i++) {
            operand_type type = op_rows[o->id].operands[i];
            if (type == SIZE) {
                write_size(&w, o->at[i]);
            } else if (type != NONE) {
                write_bytes(&w, o->at[i], 1);
            }
        }
        if (w.count > size - length) {
            break;
        }
        memcpy(bytes + length, w.bytes, w.count);
        length += w.count;
    }
    return length;
}
