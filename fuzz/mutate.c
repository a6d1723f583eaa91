/* mutate: random programs, random edits of whole operations. The same dice, the same program. */
#include "target.h"

#include "lox.h"

#include <string.h>

size_t roll(dice *d, size_t below)
{
    d->state = d->state * 6364136223846793005u + 1442695040888963407u;
    uint64_t x = d->state ^ d->state >> 33;
    return (size_t)((x * 0x9E3779B97F4A7C15u >> 32) % below);
}

/* Most are small; some stand at an edge of something; a few can't be served. */
static uint64_t random_size(dice *d)
{
    static const uint64_t edges[] = {0,     1,     8,     16,     512,    513,    4096,   32768,
                                     65536, 65520, 16384, 262144, 262145, 524288, 1048576};
    enum { EDGES = sizeof edges / sizeof edges[0] };
    size_t which = roll(d, 100);
    if (which < 55) {
        return roll(d, 100);
    }
    if (which < 80) {
        return roll(d, 700);
    }
    if (which < 90) {
        return roll(d, 9000);
    }
    if (which < 97) { /* the largest of them rarely: their pages cost more than all the rest */
        return edges[roll(d, EDGES - (roll(d, 6) != 0 ? 4 : 0))] + roll(d, 2) * 7;
    }
    return which == 97 ? roll(d, roll(d, 8) == 0 ? (size_t)SIZE_LARGEST : 65536)
                       : SIZE_ABSURD * (1 + roll(d, 3)) + (roll(d, 2) != 0 ? SIZE_ABSURD - 1 : 0);
}

/* Those that map pages anew for each runtime come less often: they are slow. */
static uint64_t random_config(dice *d)
{
    static const config_id quick[] = {CONFIG_USUAL,   CONFIG_POOLS,           CONFIG_COUNTED,
                                      CONFIG_LIMITED, CONFIG_STRATEGY_LIMITS, CONFIG_ALIGN8,
                                      CONFIG_ARENAS,  CONFIG_RECORDED};
    enum { QUICK = sizeof quick / sizeof quick[0] };
    return roll(d, 8) != 0 ? (uint64_t)quick[roll(d, QUICK)] : roll(d, CONFIGS);
}

static uint64_t random_operand(operand_type type, dice *d)
{
    if (type == CONFIG) {
        return random_config(d);
    }
    if (type == SIZE) {
        return operand_fit(SIZE, random_size(d));
    }
    if (type == BLOCK && roll(d, 3) != 0) {
        return roll(d, 16);
    }
    if (type == ALIGN && roll(d, 4) != 0) {
        return roll(d, 8);
    }
    return type == NONE ? 0 : roll(d, operand_range(type));
}

static op_id random_id(unsigned operations, dice *d)
{
    unsigned total = 0;
    for (unsigned i = 0; i < OP_COUNT; i++) {
        total += (op_rows[i].targets & operations) != 0 ? op_rows[i].weight : 0;
    }
    size_t at = roll(d, total);
    for (unsigned i = 0; i < OP_COUNT; i++) {
        unsigned weight = (op_rows[i].targets & operations) != 0 ? op_rows[i].weight : 0;
        if (at < weight) {
            return (op_id)i;
        }
        at -= weight;
    }
    return OP_check;
}

static operation random_operation(unsigned operations, dice *d)
{
    operation o;
    memset(&o, 0, sizeof o);
    o.id = random_id(operations, d);
    for (unsigned i = 0; i < OPERANDS_MAX; i++) {
        o.at[i] = random_operand(op_rows[o.id].operands[i], d);
    }
    return o;
}

/* It begins with a configuration, mostly, and uses few sizes: blocks of one size meet again. */
void program_make(program *ret, unsigned operations, size_t count, dice *d)
{
    uint64_t usual[3] = {random_size(d), random_size(d), random_size(d)};
    ret->count = 0;
    while (ret->count < count && ret->count < OPS_MAX) {
        operation *o = &ret->ops[ret->count];
        *o = random_operation(operations, d);
        if (ret->count++ == 0 && (operations & T) == 0 && roll(d, 8) != 0) {
            memset(o, 0, sizeof *o);
            o->id = OP_open;
            o->at[0] = random_config(d);
        }
        for (unsigned i = 0; i < OPERANDS_MAX; i++) {
            if (op_rows[o->id].operands[i] == SIZE && roll(d, 3) == 0) {
                o->at[i] = operand_fit(SIZE, usual[roll(d, 3)]);
            }
        }
    }
}

/* ---- edits ---- */

/* A size that the program has elsewhere, or twice or half of it, or that of two together: what is
 * counted in both places then meets. */
static uint64_t related_size(const program *p, dice *d)
{
    uint64_t found[2] = {0, 0};
    for (unsigned n = 0; n < 2; n++) {
        const operation *o = &p->ops[roll(d, p->count)];
        for (unsigned i = 0; i < OPERANDS_MAX; i++) {
            bool is_size = op_rows[o->id].operands[i] == SIZE && o->at[i] <= SIZE_LARGEST;
            found[n] = is_size ? o->at[i] : found[n];
        }
    }
    const uint64_t sizes[] = {found[0], found[0], found[0] * 2, found[0] / 2, found[0] + found[1]};
    return operand_fit(SIZE, sizes[roll(d, sizeof sizes / sizeof sizes[0])]);
}

static void insert(program *p, size_t at, operation o)
{
    if (p->count < OPS_MAX) {
        memmove(&p->ops[at + 1], &p->ops[at], (p->count - at) * sizeof o);
        p->ops[at] = o;
        p->count++;
    }
}

static void cut(program *p, size_t at, size_t count)
{
    memmove(&p->ops[at], &p->ops[at + count], (p->count - at - count) * sizeof p->ops[0]);
    p->count -= count;
}

static void change_operand(program *p, size_t at, dice *d)
{
    operation *o = &p->ops[at];
    unsigned first = (unsigned)roll(d, OPERANDS_MAX);
    for (unsigned n = 0; n < OPERANDS_MAX; n++) {
        unsigned i = (first + n) % OPERANDS_MAX;
        operand_type type = op_rows[o->id].operands[i];
        if (type != NONE) {
            bool near = roll(d, 3) == 0;
            uint64_t step = roll(d, 2) != 0 ? 1 : UINT64_MAX;
            bool relates = !near && type == SIZE && roll(d, 3) == 0;
            o->at[i] = near      ? operand_fit(type, o->at[i] + step)
                       : relates ? related_size(p, d)
                                 : random_operand(type, d);
            return;
        }
    }
}

/* A copy of some operations, somewhere else. */
static void repeat(program *p, dice *d)
{
    size_t from = roll(d, p->count), most = p->count - from, to = roll(d, p->count);
    size_t count = 1 + roll(d, most < 8 ? most : 8);
    operation copies[8];
    memcpy(copies, &p->ops[from], count * sizeof copies[0]);
    for (size_t i = count; i > 0; i--) {
        insert(p, to, copies[i - 1]);
    }
}

/* Short programs grow, long ones shrink: many short runs find more than few long ones. */
static void edit(program *p, unsigned operations, dice *d)
{
    enum { SHORT = 28 };
    size_t what = roll(d, p->count < SHORT ? 14 : 10), at = p->count != 0 ? roll(d, p->count) : 0;
    if (p->count == 0 || what < 2 || what >= 10) {
        insert(p, roll(d, p->count + 1), random_operation(operations, d));
    } else if (what == 2) {
        cut(p, at, 1 + roll(d, p->count - at < 4 ? p->count - at : 4));
    } else if (what == 3) {
        size_t other = roll(d, p->count);
        operation o = p->ops[at];
        p->ops[at] = p->ops[other];
        p->ops[other] = o;
    } else if (what == 4) {
        repeat(p, d);
    } else if (what == 5) {
        p->ops[at] = random_operation(operations, d);
    } else {
        change_operand(p, at, d);
    }
}

/* ---- what a run costs ---- */

static bool is_quick(uint64_t config)
{
    return config != CONFIG_BUFFER && config != CONFIG_NO_QUARANTINE &&
           config != CONFIG_SMALL_QUARANTINE;
}

/* Bytes that the operation touches, as far as they count: new pages are what is slow. */
static uint64_t bytes_of(const operation *o)
{
    enum { SMALL = 4096 };
    uint64_t most = 0;
    for (unsigned i = 0; i < OPERANDS_MAX; i++) {
        uint64_t size = op_rows[o->id].operands[i] == SIZE ? o->at[i] : 0;
        most = size > most && size < SIZE_ABSURD ? size : most;
    }
    return most > SMALL ? most : 0;
}

static void shrink(operation *o, dice *d)
{
    for (unsigned i = 0; i < OPERANDS_MAX; i++) {
        bool is_large = op_rows[o->id].operands[i] == SIZE && o->at[i] < SIZE_ABSURD;
        o->at[i] = is_large ? roll(d, 700) : o->at[i];
    }
}

/* Pages given back or mapped anew; what a guarded build does in a child. */
static bool is_slow(const operation *o)
{
    static const bool slow[OP_COUNT] = {
        [OP_trim] = true,
        [OP_leak] = true,
        [OP_use_after_close] = true,
        [OP_use_after_reset] = true,
        [OP_use_after_rewind] = true,
        [OP_use_closed] = true,
        [OP_cross_fence] = true,
        [OP_use_fenced] = true,
        [OP_seal] = true,
        [OP_image_save] = true,
        [OP_image_misuse] = true,
    };
    return slow[o->id] || (o->id == OP_open && !is_quick(o->at[0]));
}

/* A mutated program is mostly one of the cheap ones: an engine keeps what is new, and that soon has
 * the most operations, pages and system calls that a program may have. */
static void calm(program *p, dice *d)
{
    enum { LONG = 40, BYTES = 192 << 10 };
    uint64_t left = BYTES;
    unsigned slow = 0, slow_most = roll(d, 8) == 0;
    if (roll(d, 12) == 0) {
        return;
    }
    while (p->count > LONG) {
        size_t most = p->count - LONG < 8 ? p->count - LONG : 8;
        cut(p, roll(d, p->count - most), most);
    }
    for (size_t i = 0; i < p->count; i++) {
        operation *o = &p->ops[i];
        if (is_slow(o) && slow++ >= slow_most) {
            *o = (operation){.id = OP_check};
        }
        uint64_t bytes = bytes_of(o);
        if (bytes > left) {
            shrink(o, d);
        } else {
            left -= bytes;
        }
    }
}

void program_mutate(program *p, unsigned operations, dice *d)
{
    enum { FEW = 20 };
    if (p->count == 0) {
        program_make(p, operations, FEW + roll(d, 2 * FEW), d);
    }
    for (size_t edits = 1 + roll(d, 4); edits > 0; edits--) {
        edit(p, operations, d);
    }
    calm(p, d);
}

void program_splice(program *ret, const program *a, const program *b, dice *d)
{
    size_t head = roll(d, a->count + 1), from = roll(d, b->count + 1);
    size_t tail = b->count - from < OPS_MAX - head ? b->count - from : OPS_MAX - head;
    memcpy(ret->ops, a->ops, head * sizeof a->ops[0]);
    memcpy(ret->ops + head, b->ops + from, tail * sizeof b->ops[0]);
    ret->count = head + tail;
    calm(ret, d);
}

/* ---- in the target's form ---- */

size_t target_mutate(const target *t, uint8_t *data, size_t size, size_t most, uint64_t seed)
{
    static program p;
    static char text[OPS_MAX * 128];
    dice d = {seed};
    char error[200];
    (void)roll(&d, 2);
    if (t->is_lox) {
        return lox_mutate(data, size, most, &d);
    }
    if (!t->is_text) {
        program_from_bytes(&p, data, size, t->operations);
        program_mutate(&p, t->operations, &d);
        return program_to_bytes(&p, data, most);
    }
    if (!program_from_text(&p, (const char *)data, size, "input", error, sizeof error)) {
        p.count = 0;
    }
    program_mutate(&p, t->operations, &d);
    size_t length = program_to_text(&p, text, sizeof text);
    length = length < most ? length : most;
    memcpy(data, text, length);
    return length;
}
