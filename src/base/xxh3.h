/* base/xxh3: Yann Collet's XXH3 of 64 bits, after its published specification, for pages: it tells
 * damage, and not malice, about as fast as memory brings the bytes. */
#ifndef FIEF_XXH3_H
#define FIEF_XXH3_H

#include <stddef.h>
#include <stdint.h>

/* Of more than 240 bytes; shorter inputs have other rules, and are not asked for. The same on every
 * machine, whatever its byte order. */
uint64_t xxh3(const void *bytes, size_t size, uint64_t seed);

#endif
