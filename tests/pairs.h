/* pairs: blocks that point at each other, by fields and by tagged words, for images and parcels. */
#ifndef FIEF_TEST_PAIRS_H
#define FIEF_TEST_PAIRS_H

#include <fief/fief.h>

typedef struct pair {
    const char *text;
    struct pair *next;
    uint64_t number;
} pair;

/* A count, and as many words: an address with 0xfffc above it, or a number. */
typedef struct tagged {
    uint64_t count, words[];
} tagged;

#define TAG ((uint64_t)0xfffc << 48)

static inline const void *target_of(uint64_t word)
{
    return (const void *)(uintptr_t)(word & ~TAG);
}

static inline void visit_tagged(const void *block, size_t size, fief_pointers *pointers)
{
    const tagged *t = block;
    (void)size;
    for (uint64_t i = 0; i < t->count; i++) {
        if ((t->words[i] & TAG) == TAG) {
            fief_pointer(pointers, &t->words[i], target_of(t->words[i]));
        }
    }
}

static const size_t pair_pointers[] = {offsetof(pair, text), offsetof(pair, next)};

#endif
