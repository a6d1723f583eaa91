/* access: how many bytes an instruction of x86-64 reads or writes, for reports of accesses that
 * fault. It knows what compilers and libc use: moves, arithmetic, strings, SSE, AVX; of anything
 * else it says 0. Source: the opcode maps of Intel's manual, volume 2, appendix A. */
#include "os/os.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum prefix { PREFIX_NONE, PREFIX_66, PREFIX_F3, PREFIX_F2 } prefix;

typedef struct instruction {
    const unsigned char *at; /* the next byte */
    prefix prefix;           /* the last of 66, F3 and F2; VEX numbers them so */
    bool short_words;        /* 66 was there */
    bool wide;               /* REX.W */
    size_t vector;           /* bytes of a vector register */
} instruction;

/* What the operand in memory is. */
typedef enum operand {
    OTHER,
    BYTE,
    TWO,
    FOUR,
    EIGHT,
    WORD,    /* of the operand's size: 2, 4 or 8 bytes */
    GENERAL, /* a general register's: 4 or 8 bytes */
    VECTOR,
    SCALAR,  /* one float with F3, one double with F2, else a vector */
    CONVERT, /* likewise; the floats of half a vector without a prefix */
    COMPARE, /* a float, or a double with 66 */
    HALF,    /* 8 bytes, or a vector with F3 */
    PACKED,  /* a vector, or 8 bytes of MMX without a prefix */
    QUAD,    /* GENERAL, or 8 bytes with F3 */
    PAIR     /* 8 or 16 bytes */
} operand;

typedef struct opcodes {
    unsigned char first, last;
    operand operand;
} opcodes;

static const opcodes one_byte[] = {
    {0x63, 0x63, FOUR}, {0x69, 0x69, WORD}, {0x6B, 0x6B, WORD},  {0x80, 0x80, BYTE},
    {0x81, 0x81, WORD}, {0x83, 0x83, WORD}, {0x84, 0x84, BYTE},  {0x85, 0x85, WORD},
    {0x86, 0x86, BYTE}, {0x87, 0x87, WORD}, {0x88, 0x88, BYTE},  {0x89, 0x89, WORD},
    {0x8A, 0x8A, BYTE}, {0x8B, 0x8B, WORD}, {0x8F, 0x8F, EIGHT}, {0xC0, 0xC0, BYTE},
    {0xC1, 0xC1, WORD}, {0xC6, 0xC6, BYTE}, {0xC7, 0xC7, WORD},  {0xD0, 0xD0, BYTE},
    {0xD1, 0xD1, WORD}, {0xD2, 0xD2, BYTE}, {0xD3, 0xD3, WORD},  {0xF6, 0xF6, BYTE},
    {0xF7, 0xF7, WORD}, {0xFE, 0xFE, BYTE}, {0xFF, 0xFF, WORD},
};

static const opcodes two_byte[] = {
    {0x10, 0x11, SCALAR},  {0x12, 0x13, HALF},    {0x14, 0x15, VECTOR},  {0x16, 0x17, HALF},
    {0x28, 0x29, VECTOR},  {0x2A, 0x2A, GENERAL}, {0x2B, 0x2B, VECTOR},  {0x2C, 0x2D, SCALAR},
    {0x2E, 0x2F, COMPARE}, {0x40, 0x4F, WORD},    {0x51, 0x53, SCALAR},  {0x54, 0x57, VECTOR},
    {0x58, 0x59, SCALAR},  {0x5A, 0x5A, CONVERT}, {0x5B, 0x5B, VECTOR},  {0x5C, 0x5F, SCALAR},
    {0x60, 0x6D, PACKED},  {0x6E, 0x6E, GENERAL}, {0x6F, 0x70, PACKED},  {0x74, 0x76, PACKED},
    {0x7E, 0x7E, QUAD},    {0x7F, 0x7F, PACKED},  {0x90, 0x9F, BYTE},    {0xA3, 0xA5, WORD},
    {0xAB, 0xAD, WORD},    {0xAF, 0xAF, WORD},    {0xB0, 0xB0, BYTE},    {0xB1, 0xB1, WORD},
    {0xB3, 0xB3, WORD},    {0xB6, 0xB6, BYTE},    {0xB7, 0xB7, TWO},     {0xB8, 0xB8, WORD},
    {0xBA, 0xBD, WORD},    {0xBE, 0xBE, BYTE},    {0xBF, 0xBF, TWO},     {0xC0, 0xC0, BYTE},
    {0xC1, 0xC1, WORD},    {0xC2, 0xC2, SCALAR},  {0xC3, 0xC3, GENERAL}, {0xC4, 0xC4, TWO},
    {0xC6, 0xC6, VECTOR},  {0xC7, 0xC7, PAIR},    {0xD1, 0xD5, PACKED},  {0xD6, 0xD6, EIGHT},
    {0xD8, 0xE5, PACKED},  {0xE7, 0xEF, PACKED},  {0xF0, 0xF0, VECTOR},  {0xF1, 0xFE, PACKED},
};

static operand find(const opcodes *table, size_t count, unsigned opcode)
{
    for (size_t i = 0; i < count; i++) {
        if (opcode >= table[i].first && opcode <= table[i].last) {
            return table[i].operand;
        }
    }
    return OTHER;
}

static size_t scalar_size(const instruction *i, size_t otherwise)
{
    switch (i->prefix) {
    case PREFIX_F3: return 4;
    case PREFIX_F2: return 8;
    default: return otherwise;
    }
}

static size_t size_of(const instruction *i, operand in_memory)
{
    size_t general = i->wide ? 8 : 4;
    bool plain = i->prefix == PREFIX_NONE, single = i->prefix == PREFIX_F3;
    switch (in_memory) {
    case BYTE: return 1;
    case TWO: return 2;
    case FOUR: return 4;
    case EIGHT: return 8;
    case WORD: return i->short_words && !i->wide ? 2 : general;
    case GENERAL: return general;
    case VECTOR: return i->vector;
    case SCALAR: return scalar_size(i, i->vector);
    case CONVERT: return scalar_size(i, plain ? i->vector / 2 : i->vector);
    case COMPARE: return plain ? 4 : 8;
    case HALF: return single ? i->vector : 8;
    case PACKED: return plain ? 8 : i->vector;
    case QUAD: return single ? 8 : general;
    case PAIR: return i->wide ? 16 : 8;
    default: return 0;
    }
}

/* ---- one-byte opcodes ---- */

/* The accumulator with an address of eight bytes, and the string instructions. */
static bool has_no_operand_byte(unsigned opcode)
{
    bool is_test = opcode == 0xA8 || opcode == 0xA9;
    return opcode >= 0xA0 && opcode <= 0xAF && !is_test;
}

static size_t size_of_one_byte(const instruction *i, unsigned opcode)
{
    bool is_arithmetic = opcode < 0x40 && (opcode & 7) < 4;
    bool in_register = *i->at >> 6 == 3;
    unsigned extension = *i->at >> 3 & 7;
    if (has_no_operand_byte(opcode)) {
        return size_of(i, (opcode & 1) != 0 ? WORD : BYTE);
    }
    if (in_register) {
        return 0;
    }
    if (is_arithmetic) {
        return size_of(i, (opcode & 1) != 0 ? WORD : BYTE);
    }
    if (opcode == 0xFF && extension >= 2) {
        return 8; /* call, jmp, push */
    }
    return size_of(i, find(one_byte, sizeof one_byte / sizeof *one_byte, opcode));
}

static size_t size_of_two_byte(const instruction *i, unsigned opcode)
{
    bool in_register = *i->at >> 6 == 3;
    return in_register ? 0 : size_of(i, find(two_byte, sizeof two_byte / sizeof *two_byte, opcode));
}

/* ---- VEX and EVEX: two-byte opcodes with their prefixes in a few bits ---- */

static size_t size_of_vex(instruction *i, unsigned map, unsigned bits)
{
    i->prefix = (prefix)(bits & 3);
    i->vector = (bits & 4) != 0 ? 32 : 16;
    unsigned opcode = *i->at++;
    return map == 1 ? size_of_two_byte(i, opcode) : 0;
}

static size_t size_of_evex(instruction *i)
{
    unsigned map = i->at[0] & 7, bits = i->at[1], more = i->at[2], opcode = i->at[3];
    bool is_whole = (more & 0x17) == 0; /* neither masked nor broadcast */
    i->at += 4;
    i->prefix = (prefix)(bits & 3);
    i->wide = (bits & 0x80) != 0;
    i->vector = (size_t)16 << (more >> 5 & 3);
    return map == 1 && is_whole ? size_of_two_byte(i, opcode) : 0;
}

/* ---- the whole ---- */

static void take_prefixes(instruction *i)
{
    for (;; i->at++) {
        switch (*i->at) {
        case 0x66:
            i->short_words = true;
            i->prefix = i->prefix == PREFIX_NONE ? PREFIX_66 : i->prefix;
            break;
        case 0xF3:
            i->prefix = PREFIX_F3;
            break;
        case 0xF2:
            i->prefix = PREFIX_F2;
            break;
        case 0xF0:
        case 0x2E:
        case 0x36:
        case 0x3E:
        case 0x26:
        case 0x64:
        case 0x65:
        case 0x67:
            break;
        default:
            return;
        }
    }
}

size_t os_access_size(const void *pc)
{
    instruction i = {.at = pc, .vector = 16};
    take_prefixes(&i);
    if ((*i.at & 0xF0) == 0x40) {
        i.wide = (*i.at++ & 8) != 0;
    }
    unsigned opcode = *i.at++;
    switch (opcode) {
    case 0x0F:
        opcode = *i.at++;
        return size_of_two_byte(&i, opcode);
    case 0xC5:
        opcode = *i.at++;
        return size_of_vex(&i, 1, opcode);
    case 0xC4:
        i.wide = (i.at[1] & 0x80) != 0;
        i.at += 2;
        return size_of_vex(&i, i.at[-2] & 31, i.at[-1]);
    case 0x62: return size_of_evex(&i);
    default: return size_of_one_byte(&i, opcode);
    }
}
