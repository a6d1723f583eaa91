/* xxh3: see xxh3.h. Eight lanes of 64 bits take 64 bytes (a stripe) at a time, each mixed with its
 * part of a secret that slides by 8 bytes a stripe; after 16 stripes (a block) the lanes are
 * scrambled, in the end folded into one. */
#include "base/xxh3.h"

#include <string.h>

#if defined(__SSE2__) && defined(__LP64__)
#include <emmintrin.h>
#define BY_PAIRS 1
#else
#define BY_PAIRS 0
#endif

enum { AHEAD = 8192, /* a processor fetches no other page by itself */
       LANES = 8, WORD = 8, STRIPE = LANES * WORD, SLIDE = 8, SECRET_WORDS = 24,
       SECRET = SECRET_WORDS * WORD, BLOCK_STRIPES = (SECRET - STRIPE) / SLIDE,
       BLOCK = BLOCK_STRIPES * STRIPE };

/* The specification's names. */
#define PRIME32_1 0x9E3779B1u
#define PRIME32_2 0x85EBCA77u
#define PRIME32_3 0xC2B2AE3Du
#define PRIME64_1 0x9E3779B185EBCA87u
#define PRIME64_2 0xC2B2AE3D27D4EB4Fu
#define PRIME64_3 0x165667B19E3779F9u
#define PRIME64_4 0x85EBCA77C2B2AE63u
#define PRIME64_5 0x27D4EB2F165667C5u
#define PRIME_MX1 0x165667919E3779F9u

static const uint64_t default_secret[SECRET_WORDS] = {
    0xBE4BA423396CFEB8, 0x1CAD21F72C81017C, 0xDB979083E96DD4DE, 0x1F67B3B7A4A44072,
    0x78E5C0CC4EE679CB, 0x2172FFCC7DD05A82, 0x8E2443F7744608B8, 0x4C263A81E69035E0,
    0xCB00C391BB52283C, 0xA32E531B8B65D088, 0x4EF90DA297486471, 0xD8ACDEA946EF1938,
    0x3F349CE33F76FAA8, 0x1D4F0BC7C7BBDCF9, 0x3159B4CD4BE0518A, 0x647378D9C97E9FC8,
    0xC3EBD33483ACC5EA, 0xEB6313FAFFA081C5, 0x49DAF0B751DD0D17, 0x9E68D429265516D3,
    0xFCA1477D58BE162B, 0xCE31D07AD1B8F88F, 0x280416958F3ACB45, 0x7E404BBBCAFBD7AF,
};

static uint64_t in_file_order(uint64_t word)
{
    return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? __builtin_bswap64(word) : word;
}

static uint64_t word_at(const unsigned char *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return in_file_order(word);
}

static void seed_secret(unsigned char *ret_secret, uint64_t seed)
{
    for (size_t i = 0; i < SECRET_WORDS; i++) {
        uint64_t word = in_file_order(default_secret[i] + (i % 2 == 0 ? seed : 0 - seed));
        memcpy(ret_secret + i * WORD, &word, sizeof word);
    }
}

#if BY_PAIRS
/* Two lanes at a time: what compilers make of the plain loop takes twice as long. */
static void take_stripes(uint64_t *lanes, const unsigned char *bytes, size_t count,
                         const unsigned char *secret)
{
    __m128i sums[LANES / 2];
    memcpy(sums, lanes, sizeof sums);
    for (size_t n = 0; n < count; n++) {
        __builtin_prefetch(bytes + n * STRIPE + AHEAD);
#pragma GCC unroll 4 /* so that the sums stay in registers, at -O2 too */
        for (size_t i = 0; i < LANES / 2; i++) {
            const void *from = bytes + n * STRIPE + i * sizeof *sums;
            const void *key = secret + n * SLIDE + i * sizeof *sums;
            __m128i words = _mm_loadu_si128(from);
            __m128i mixed = _mm_xor_si128(words, _mm_loadu_si128(key));
            __m128i product = _mm_mul_epu32(mixed, _mm_srli_epi64(mixed, 32));
            __m128i crossed = _mm_shuffle_epi32(words, _MM_SHUFFLE(1, 0, 3, 2));
            sums[i] = _mm_add_epi64(sums[i], _mm_add_epi64(crossed, product));
        }
    }
    memcpy(lanes, sums, sizeof sums);
}
#else
static void take_stripes(uint64_t *lanes, const unsigned char *bytes, size_t count,
                         const unsigned char *secret)
{
    for (size_t n = 0; n < count; n++) {
        for (size_t i = 0; i < LANES; i++) {
            uint64_t word = word_at(bytes + n * STRIPE + i * WORD);
            uint64_t mixed = word ^ word_at(secret + n * SLIDE + i * WORD);
            lanes[i ^ 1] += word;
            lanes[i] += (mixed & UINT32_MAX) * (mixed >> 32);
        }
    }
}
#endif

static void scramble(uint64_t *lanes, const unsigned char *secret)
{
    for (size_t i = 0; i < LANES; i++) {
        lanes[i] = (lanes[i] ^ lanes[i] >> 47 ^ word_at(secret + i * WORD)) * PRIME32_1;
    }
}

/* The upper half of a product over its lower one. */
static uint64_t folded(uint64_t a, uint64_t b)
{
    uint64_t al = a & UINT32_MAX, ah = a >> 32, bl = b & UINT32_MAX, bh = b >> 32;
    uint64_t low = al * bl, cross = (low >> 32) + al * bh, other = (cross & UINT32_MAX) + ah * bl;
    return (ah * bh + (cross >> 32) + (other >> 32)) ^ (other << 32 | (low & UINT32_MAX));
}

static uint64_t merged(const uint64_t *lanes, const unsigned char *secret, uint64_t sum)
{
    for (size_t i = 0; i < LANES; i += 2) {
        const unsigned char *key = secret + i * WORD;
        sum += folded(lanes[i] ^ word_at(key), lanes[i + 1] ^ word_at(key + WORD));
    }
    sum = (sum ^ sum >> 37) * PRIME_MX1;
    return sum ^ sum >> 32;
}

uint64_t xxh3(const void *given, size_t size, uint64_t seed)
{
    enum { LAST_KEY = SECRET - STRIPE - 7, MERGE_KEY = 11 };
    const unsigned char *bytes = given;
    uint64_t lanes[LANES] = {PRIME32_3, PRIME64_1, PRIME64_2, PRIME64_3,
                             PRIME64_4, PRIME32_2, PRIME64_5, PRIME32_1};
    unsigned char secret[SECRET];
    seed_secret(secret, seed);
    size_t blocks = (size - 1) / BLOCK;
    for (size_t i = 0; i < blocks; i++) {
        take_stripes(lanes, bytes + i * BLOCK, BLOCK_STRIPES, secret);
        scramble(lanes, secret + SECRET - STRIPE);
    }
    take_stripes(lanes, bytes + blocks * BLOCK, (size - blocks * BLOCK - 1) / STRIPE, secret);
    take_stripes(lanes, bytes + size - STRIPE, 1, secret + LAST_KEY);
    return merged(lanes, secret + MERGE_KEY, size * PRIME64_1);
}
