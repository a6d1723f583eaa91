/* bump: the hand-written arena that fief's are compared with.
 *
 *     | lent | lent | ...free... |
 *                   ^cursor      ^limit     both multiples of the alignment
 *
 * What a person writes for one program: sizes are rounded up to the one alignment that the program
 * needs, so the cursor needs no rounding; one compare; a full chunk is replaced out of line (it
 * never happens here, but the compiler must allow for it, as it must in a real program). No marks
 * are checked, nothing is counted, nothing can be misused.
 *
 * Whether the pair does better in memory or as a local variable (in registers) is the compiler's
 * affair: both are measured, and the better one is the ideal. */
#ifndef BENCH_BUMP_H
#define BENCH_BUMP_H

#include <stddef.h>

enum { BUMP_ALIGN_MAX = 16 };

typedef struct bump {
    unsigned char *cursor, *limit;
} bump;

/* A chunk that is large enough for `size` bytes and for every bench. By value, so that a local bump
 * can stay in registers. */
bump bump_fresh(size_t size);

static inline void *bump_take(bump *b, size_t size, size_t align)
{
    size_t step = (size + align - 1) & ~(align - 1);
    if (__builtin_expect(step > (size_t)(b->limit - b->cursor), 0)) {
        *b = bump_fresh(step);
    }
    unsigned char *block = b->cursor;
    b->cursor = block + step;
    return block;
}

#endif
