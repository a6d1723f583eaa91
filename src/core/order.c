/* order: vacant blocks in the order of their addresses.
 *
 *     vacant, as freed    e  b  f  a  d  c         the next allocations jump, and so does each walk
 *     a chain a page      0: a b c      1: f e d   over what they made
 *     in order            a  b  c  d  e  f
 *
 * A list that is last in, first out gives blocks to the host in the order that a sweep found them
 * in, which is the order in which they were made. Where some survive, a list mixes what several
 * sweeps freed, and blocks that are made one after the other lie anywhere. So when what is live
 * fell by an eighth of the heap, which is a sweep, the lists that lost their order are sorted: by
 * page, in chains that begin at the pages' entries, then each page by a bit a grain. Who frees and
 * allocates by turns has no such fall; there the newest vacant block is the best, since it is in
 * the cache. Not in guarded builds, where blocks wait in the quarantine.
 *
 * Idea: jemalloc takes the first vacant slot of a slab, from a bitmap. */
#include "core/core.h"

#include "guard.h"

enum {
    CACHED = 256 << 10, /* so little is near whatever its order */
    LARGE = 16 << 20,   /* to sort so much would be a pause */
    FALL_SHIFT = 3, MANY = 12, FAR = 4096,
    PAGE_WORDS = PAGE_SIZE / FIEF_GRAIN / 64
};

/* Many blocks lie far from the next one before as many lie near. */
static bool lost_order(const fief_vacant *block)
{
    size_t near = 0, far = 0;
    while (near < MANY && far < MANY) {
        if (block == NULL || block->next == NULL) {
            return false;
        }
        bool is_near = (uintptr_t)block->next - (uintptr_t)block + FAR <= 2 * FAR;
        near += is_near;
        far += !is_near;
        block = block->next;
    }
    return far == MANY;
}

static fief_vacant *block_at(const space *s, size_t index, size_t grain)
{
    return (fief_vacant *)(void *)(page_start(s, index) + grain * FIEF_GRAIN);
}

/* A page's chain begins at `prev`: the grain of its block, counted from 1; 0: there is none. */
static fief_vacant *chain_of(const space *s, size_t index)
{
    uint32_t grain = s->map[index].prev;
    return grain != 0 ? block_at(s, index, grain - 1) : NULL;
}

static size_t grain_of(const fief_vacant *block)
{
    return ((uintptr_t)block & (PAGE_SIZE - 1)) / FIEF_GRAIN;
}

/* Each block to its page's chain; the first and the last page of them. */
static void part(space *s, fief_vacant *block, size_t *ret_first, size_t *ret_last)
{
    while (block != NULL) {
        fief_vacant *next = block->next;
        size_t index = (size_t)((unsigned char *)block - s->base) >> PAGE_SHIFT;
        block->next = chain_of(s, index);
        s->map[index].prev = (uint32_t)grain_of(block) + 1;
        *ret_first = index < *ret_first ? index : *ret_first;
        *ret_last = index > *ret_last ? index : *ret_last;
        block = next;
    }
}

/* The page's chain, in order, before `list`. It goes round where the host freed a block twice. */
static fief_vacant *page_in_order(space *s, size_t index, fief_vacant *list)
{
    uint64_t bits[PAGE_WORDS] = {0};
    const fief_vacant *next = chain_of(s, index);
    while (next != NULL && (bits[grain_of(next) / 64] >> grain_of(next) % 64 & 1) == 0) {
        bits[grain_of(next) / 64] |= (uint64_t)1 << grain_of(next) % 64;
        next = next->next;
    }
    s->map[index].prev = 0;
    for (size_t word = PAGE_WORDS; word-- > 0;) {
        while (bits[word] != 0) {
            unsigned bit = 63 - (unsigned)__builtin_clzl(bits[word]);
            fief_vacant *block = block_at(s, index, word * 64 + bit);
            bits[word] ^= (uint64_t)1 << bit;
            block->next = list;
            list = block;
        }
    }
    return list;
}

/* Pages of others lie between them, and `prev` is theirs. */
static fief_vacant *in_order(space *s, unsigned kind, fief_vacant *list)
{
    size_t first = SIZE_MAX, last = 0;
    part(s, list, &first, &last);
    fief_vacant *sorted = NULL;
    for (size_t index = last + 1; index-- > first;) {
        if (s->map[index].kind == kind && s->map[index].prev != 0) {
            sorted = page_in_order(s, index, sorted);
        }
    }
    return sorted;
}

static void shelf_order(heap *h, const shelf *s)
{
    for (size_t i = 0; i < (size_t)FIEF_SMALL_MAX >> s->shift; i++) {
        if (lost_order(s->lists[i])) {
            s->lists[i] = in_order(&h->core->space, s->kind, s->lists[i]);
        }
    }
}

void heap_order(heap *h, size_t live)
{
    size_t held = (size_t)(h->sized.held + h->unsized.held) << PAGE_SHIFT;
    bool is_worth_it = held > CACHED && held <= LARGE && h->high - live > held >> FALL_SHIFT;
    if (!GUARD_SHUT && is_worth_it) {
        shelf_order(h, &h->sized);
        shelf_order(h, &h->unsized);
        h->high = live;
    }
}
