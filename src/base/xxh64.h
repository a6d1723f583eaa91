/* base/xxh64: Yann Collet's XXH64, after its published specification: 64 bits that tell damage, and
 * not malice, at more than the speed that a page comes from a disk. */
#ifndef FIEF_XXH64_H
#define FIEF_XXH64_H

#include <stddef.h>
#include <stdint.h>

/* The same on every machine, whatever its byte order. */
uint64_t xxh64(const void *bytes, size_t size, uint64_t seed);

#endif
