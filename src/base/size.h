/* base/size: what is known of a size before anything is added to it. */
#ifndef FIEF_SIZE_H
#define FIEF_SIZE_H

#include <fief/base.h>

static inline bool is_power_of_two(size_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

/* A request that no address space can hold; everything below it rounds up without wrapping. */
static inline bool size_is_absurd(size_t size)
{
    return size > PTRDIFF_MAX - (size_t)FIEF_ALIGN_MAX;
}

static inline unsigned log2_floor(size_t n)
{
    return (unsigned)(63 - __builtin_clzll((unsigned long long)n));
}

#endif
