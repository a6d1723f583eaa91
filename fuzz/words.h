/* words: the kinds of the images that fuzz/image.c and tests/limits/images.c change and look at:
 * blocks of words, each of which may point, and texts; and what lies outside. */
#ifndef FIEF_FUZZ_WORDS_H
#define FIEF_FUZZ_WORDS_H

#include <fief/fief.h>

enum { WORDS, TEXT, KINDS, RESERVE = 8 << 20 };

static inline void visit_words(const void *block, size_t size, fief_pointers *pointers)
{
    const void *const *words = block;
    for (size_t i = 0; i < size / sizeof *words; i++) {
        fief_pointer(pointers, &words[i], words[i]);
    }
}

static const fief_kind kinds[KINDS] = {
    [WORDS] = {.name = "words", .any = FIEF_VM_ARENA, .visit = visit_words},
    [TEXT] = {.name = "text", .any = FIEF_VM_ARENA, .traits = FIEF_NO_POINTERS},
};
static int outside;
static const fief_external externals[] = {{"outside", &outside, sizeof outside}};

#endif
