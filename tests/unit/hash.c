/* The hash of images' pages, beside what the reference implementation says (libxxhash 0.8.1). */
#include "base/xxh3.h"

#include <criterion/criterion.h>

typedef struct known {
    size_t size;
    uint64_t seed, hash;
} known;

Test(hash, xxh3_is_the_reference_s)
{
    static unsigned char bytes[8193];
    static const known all[] = {
        {241, 0, 0x541B19226F0052E8},
        {241, 2, 0xC69111E436C2DD3F},
        {255, 0, 0x99B37C2C806E33D3},
        {255, 2, 0x428F612EC7363895},
        {256, 0, 0xFF5A1CEFADE75BB9},
        {256, 2, 0x2C651243088D1996},
        {1023, 0, 0x3D31FCC1037648A4},
        {1023, 2, 0x1965FBCA6E266124},
        {1024, 0, 0x71BEE625238ADDB4},
        {1024, 2, 0x564C36FA669E3156},
        {1025, 0, 0xD9B414F4E1BBF7AD},
        {1025, 2, 0x0A7D85142795C226},
        {1088, 0, 0xB74E423E955E509D},
        {1088, 2, 0xA395F66451323C14},
        {2048, 0, 0x3293E8238BD8F743},
        {2048, 2, 0x7642E8A77FA6C40D},
        {4095, 0, 0x0B4E57EDE5B7B645},
        {4095, 2, 0x609C3E8B2213A836},
        {4096, 0, 0x5C722D9CEB6F9064},
        {4096, 2, 0x92FE465741CDD0BB},
        {8192, 0, 0x6C3C33C8ADF8D207},
        {8192, 2, 0xA18EF3047AFCF719},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        for (size_t odd = 0; odd < 2; odd++) { /* wherever the bytes lie */
            for (size_t n = 0; n < all[i].size; n++) {
                bytes[odd + n] = (unsigned char)(n * 7 + n / 256);
            }
            cr_expect_eq(xxh3(bytes + odd, all[i].size, all[i].seed), all[i].hash, "%zu bytes",
                         all[i].size);
        }
    }
}

Test(hash, xxh3_tells_each_flipped_bit_of_a_page)
{
    static unsigned char page[4096];
    uint64_t hash = xxh3(page, sizeof page, 2);
    for (size_t bit = 0; bit < 8 * sizeof page; bit++) {
        page[bit / 8] ^= (unsigned char)(1 << bit % 8);
        cr_assert_neq(xxh3(page, sizeof page, 2), hash, "bit %zu", bit);
        page[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
}
