/** @file
 * heap: blocks that die one by one.
 *
 *     size class   8  16  24 ... 512      one LIFO list of vacant blocks each (the window)
 *     medium       a bitmap of 256-byte granules, first fit     513 .. 256 KiB
 *     large        a run of pages of its own, moved by page tables where it grows
 *
 * Free takes the size; no block carries a header. The sizes of the unsized calls' small blocks
 * (below) are in a table at the start of their page, a byte for each 16. One thread: the runtime's.
 * Ideas: mimalloc and Lua's own allocator habits (size at free, LIFO reuse), phkmalloc (page
 * map). */
#ifndef FIEF_HEAP_H
#define FIEF_HEAP_H

#include <fief/pool.h>

FIEF_BEGIN

enum {
    FIEF_UNSIZED_CLASSES = FIEF_SMALL_MAX / FIEF_ALIGN /**< by whole grains of 16 */
};

/** The windows of a heap: what the inline verbs work in. */
struct fief_heap {
    size_t round;    /**< grain - 1: 7 or 15 */
    size_t give_max; /**< largest size freed inline; 0 while the window is shut */
    size_t lent;     /**< bytes that were ever lent, in whole classes */
    size_t returned; /**< of these; the rest is lent now */
    size_t peak;     /**< most bytes lent at once, up to date when `lent` passes `news` */
    size_t news;     /**< nothing is to be looked at before `lent` is here, and no peak */
    fief_vacant *unsized[FIEF_UNSIZED_CLASSES];       /**< the same without a size at free */
    fief_vacant *vacant[FIEF_SMALL_MAX / FIEF_GRAIN]; /**< by size class; empty while shut */
};

FIEF_API FIEF_NOINLINE void *fief_heap_refill(fief_heap *heap, size_t size);
FIEF_API FIEF_NOINLINE void *fief_heap_look_slow(fief_heap *heap, void *block);
FIEF_API FIEF_NOINLINE void fief_heap_free_slow(fief_heap *heap, void *block, size_t size);
FIEF_API FIEF_NOINLINE void *fief_heap_resize_slow(fief_heap *heap, void *block, size_t old_size,
                                                   size_t new_size);
FIEF_API FIEF_NOINLINE void *fief_heap_alloc_aligned_slow(fief_heap *heap, size_t size,
                                                          size_t align);

/* `block` is lent from now on, that many bytes in whole classes. What is lent and what is returned
 * are counted apart, so that neither waits for the other, and only once in a while somebody looks
 * whether there is a peak. */
FIEF_INLINE void *fief_heap_lend(fief_heap *heap, void *block, size_t bytes)
{
    size_t lent = heap->lent + bytes;
    heap->lent = lent;
    return FIEF_LIKELY(lent <= heap->news) ? block : fief_heap_look_slow(heap, block);
}

/* The list of blocks of that many bytes, in whole classes: a pointer is as large as a grain. */
FIEF_INLINE fief_vacant **fief_heap_list(fief_heap *heap, size_t rounded)
{
    return (fief_vacant **)(void *)((char *)heap->vacant + (rounded - FIEF_GRAIN));
}

/** `size` bytes, aligned to the runtime's alignment (16, or 8 where the host chose it), not zeroed.
 * Size 0 gives a unique pointer. NULL after on_full declined, or size > PTRDIFF_MAX. */
FIEF_INLINE void *fief_heap_alloc(fief_heap *heap, size_t size)
{
    if (FIEF_LIKELY(size - 1 < FIEF_SMALL_MAX)) {
        size_t rounded = ((size - 1) | heap->round) + 1;
        fief_vacant **list = fief_heap_list(heap, rounded);
        fief_vacant *block = *list;
        if (FIEF_LIKELY(block != NULL)) {
            *list = block->next;
            return fief_heap_lend(heap, block, rounded);
        }
    }
    void *fresh = fief_heap_refill(heap, size);
    FIEF_NO_TAIL_CALL();
    return fresh;
}

/** Frees a block of fief_heap_alloc; size as it was allocated or last resized. NULL is fine. */
FIEF_INLINE void fief_heap_free(fief_heap *heap, void *block, size_t size)
{
    if (FIEF_LIKELY(size - 1 < heap->give_max && block != NULL)) {
        size_t rounded = ((size - 1) | heap->round) + 1;
        fief_vacant **list = fief_heap_list(heap, rounded);
        fief_vacant *vacant = (fief_vacant *)block;
        heap->returned += rounded;
        vacant->next = *list;
        *list = vacant;
        return;
    }
    fief_heap_free_slow(heap, block, size);
    FIEF_NO_TAIL_CALL();
}

/** The block at new_size, its prefix kept, in place where possible. NULL on failure leaves it as it
 * was; shrinking never fails. block NULL is an allocation. */
FIEF_INLINE void *fief_heap_resize(fief_heap *heap, void *block, size_t old_size, size_t new_size)
{
    void *moved = fief_heap_resize_slow(heap, block, old_size, new_size);
    FIEF_NO_TAIL_CALL();
    return moved;
}

/** `size` bytes at an address that is a multiple of `align` (a power of two up to 64 KiB; anything
 * else is misuse). Freed by fief_heap_free with its size; a resize keeps the heap's own alignment
 * only. */
FIEF_INLINE void *fief_heap_alloc_aligned(fief_heap *heap, size_t size, size_t align)
{
    void *block = fief_heap_alloc_aligned_slow(heap, size, align);
    FIEF_NO_TAIL_CALL();
    return block;
}

/* ---- for hosts that do not know sizes when they free ---- */

FIEF_API FIEF_NOINLINE void *fief_heap_refill_unsized(fief_heap *heap, size_t size);
FIEF_API FIEF_NOINLINE void fief_heap_free_unsized_slow(fief_heap *heap, void *block);
FIEF_API FIEF_NOINLINE void *fief_heap_resize_unsized_slow(fief_heap *heap, void *block,
                                                           size_t new_size);
FIEF_API FIEF_NOINLINE void *fief_heap_alloc_unsized_aligned_slow(fief_heap *heap, size_t size,
                                                                  size_t align);

/** `size` bytes aligned to 16, freed by fief_heap_free_unsized; otherwise as fief_heap_alloc. */
FIEF_INLINE void *fief_heap_alloc_unsized(fief_heap *heap, size_t size)
{
    if (FIEF_LIKELY(size - 1 < FIEF_SMALL_MAX)) {
        size_t index = (size - 1) / FIEF_ALIGN;
        fief_vacant *block = heap->unsized[index];
        if (FIEF_LIKELY(block != NULL)) {
            heap->unsized[index] = block->next;
            return fief_heap_lend(heap, block, (index + 1) * FIEF_ALIGN);
        }
    }
    void *fresh = fief_heap_refill_unsized(heap, size);
    FIEF_NO_TAIL_CALL();
    return fresh;
}

/** Frees a block of the unsized calls. O(1). NULL is fine. What is no such block is misuse in every
 * mode, wherever it points; a second free is told by guarded builds, and by release above 512
 * bytes. */
FIEF_INLINE void fief_heap_free_unsized(fief_heap *heap, void *block)
{
    fief_heap_free_unsized_slow(heap, block);
    FIEF_NO_TAIL_CALL();
}

/** As realloc: block NULL is an allocation, NULL on failure leaves the block as it was; unlike
 * realloc, size 0 gives a block of no bytes and not NULL, and shrinking never fails: where there is
 * no memory to move to, the block stays, as large as it was. */
FIEF_INLINE void *fief_heap_resize_unsized(fief_heap *heap, void *block, size_t new_size)
{
    void *moved = fief_heap_resize_unsized_slow(heap, block, new_size);
    FIEF_NO_TAIL_CALL();
    return moved;
}

/** As fief_heap_alloc_aligned, freed by fief_heap_free_unsized. */
FIEF_INLINE void *fief_heap_alloc_unsized_aligned(fief_heap *heap, size_t size, size_t align)
{
    void *block = fief_heap_alloc_unsized_aligned_slow(heap, size, align);
    FIEF_NO_TAIL_CALL();
    return block;
}

/** Bytes that may be used in a block of the unsized calls. 0 for a pointer that is no block, and
 * for sized blocks of up to 512 bytes, whose pages don't tell. */
FIEF_API size_t fief_heap_usable_size(const fief_heap *heap, const void *block);

/** What fief_heap_usable_size will say of a block that fief_heap_alloc_unsized makes of `size`
 * bytes: more may be asked for at no cost. */
FIEF_API size_t fief_heap_good_size(size_t size);

FIEF_END
#endif
