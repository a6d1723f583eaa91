/* base/xxh64: see xxh64.h. Four lanes take 32 bytes a turn; what is left joins by 8, 4 and 1. */
#include "base/xxh64.h"

#include <string.h>

static const uint64_t prime_1 = 0x9E3779B185EBCA87u, prime_2 = 0xC2B2AE3D27D4EB4Fu,
                      prime_3 = 0x165667B19E3779F9u, prime_4 = 0x85EBCA77C2B2AE63u,
                      prime_5 = 0x27D4EB2F165667C5u;

enum { LANES = 4, WORD = 8, STRIPE = LANES * WORD };

static uint64_t turned(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

static uint64_t word_at(const unsigned char *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? __builtin_bswap64(word) : word;
}

static uint64_t half_word_at(const unsigned char *bytes)
{
    uint32_t word;
    memcpy(&word, bytes, sizeof word);
    return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? __builtin_bswap32(word) : word;
}

static uint64_t mixed(uint64_t lane, uint64_t word)
{
    return turned(lane + word * prime_2, 31) * prime_1;
}

/* All whole stripes, and what their lanes come to. */
static uint64_t stripes(const unsigned char *bytes, size_t size, uint64_t seed)
{
    static const unsigned turns[LANES] = {1, 7, 12, 18};
    uint64_t lane[LANES] = {seed + prime_1 + prime_2, seed + prime_2, seed, seed - prime_1};
    for (; size >= STRIPE; bytes += STRIPE, size -= STRIPE) {
        lane[0] = mixed(lane[0], word_at(bytes));
        lane[1] = mixed(lane[1], word_at(bytes + WORD));
        lane[2] = mixed(lane[2], word_at(bytes + 2 * (size_t)WORD));
        lane[3] = mixed(lane[3], word_at(bytes + 3 * (size_t)WORD));
    }
    uint64_t hash = 0;
    for (size_t i = 0; i < LANES; i++) {
        hash += turned(lane[i], turns[i]);
    }
    for (size_t i = 0; i < LANES; i++) {
        hash = (hash ^ mixed(0, lane[i])) * prime_1 + prime_4;
    }
    return hash;
}

static uint64_t rest(uint64_t hash, const unsigned char *bytes, size_t size)
{
    for (; size >= WORD; bytes += WORD, size -= WORD) {
        hash = turned(hash ^ mixed(0, word_at(bytes)), 27) * prime_1 + prime_4;
    }
    if (size >= WORD / 2) {
        hash = turned(hash ^ half_word_at(bytes) * prime_1, 23) * prime_2 + prime_3;
        bytes += WORD / 2;
        size -= WORD / 2;
    }
    for (; size > 0; bytes++, size--) {
        hash = turned(hash ^ *bytes * prime_5, 11) * prime_1;
    }
    return hash;
}

uint64_t xxh64(const void *bytes, size_t size, uint64_t seed)
{
    size_t whole = size / STRIPE * STRIPE;
    uint64_t hash = (whole != 0 ? stripes(bytes, size, seed) : seed + prime_5) + size;
    hash = rest(hash, (const unsigned char *)bytes + whole, size - whole);
    hash = (hash ^ hash >> 33) * prime_2;
    hash = (hash ^ hash >> 29) * prime_3;
    return hash ^ hash >> 32;
}
