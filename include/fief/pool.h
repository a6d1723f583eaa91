/** @file
 * pool: slots of one size.
 *
 *     vacant -> [slot] -> [slot] -> NULL      newest given is taken first
 *
 * The list is the window: a guarded library keeps it empty and `open` false, so that each take and
 * give is seen. Taken slots live until they are given back or the pool is closed. One thread: the
 * runtime's. The idea is as old as SLOB; the walk over live slots is what a sweep needs. */
#ifndef FIEF_POOL_H
#define FIEF_POOL_H

#include <fief/base.h>

FIEF_BEGIN

/** The window of a pool: what the inline verbs work in. */
struct fief_pool {
    fief_vacant *vacant; /**< the list; NULL while the window is shut */
    bool open;           /**< may a slot be given back inline? */
};

/** A pool of slots of slot_size bytes (1 .. 32 KiB), aligned to 16, or to 8 when slot_size is not a
 * multiple of 16. NULL when memory is short. Closed by fief_pool_close or fief_close. */
FIEF_API fief_pool *fief_pool_open(fief_runtime *rt, const char *name, size_t slot_size);
FIEF_API FIEF_NOINLINE void fief_pool_close_slow(fief_pool *pool);
FIEF_API FIEF_NOINLINE void *fief_pool_refill(fief_pool *pool);
FIEF_API FIEF_NOINLINE void fief_pool_give_slow(fief_pool *pool, void *slot);

/** Gives every slot and the pool itself back. NULL is fine. */
FIEF_INLINE void fief_pool_close(fief_pool *pool)
{
    fief_pool_close_slow(pool);
    FIEF_NO_TAIL_CALL();
}

/** A slot, not zeroed; NULL when memory is short. */
FIEF_INLINE void *fief_pool_take(fief_pool *pool)
{
    fief_vacant *slot = pool->vacant;
    if (FIEF_LIKELY(slot != NULL)) {
        pool->vacant = slot->next;
        return slot;
    }
    void *fresh = fief_pool_refill(pool);
    FIEF_NO_TAIL_CALL();
    return fresh;
}

/** Gives a slot back. NULL is fine. */
FIEF_INLINE void fief_pool_give(fief_pool *pool, void *slot)
{
    if (FIEF_LIKELY(pool->open && slot != NULL)) {
        fief_vacant *vacant = (fief_vacant *)slot;
        vacant->next = pool->vacant;
        pool->vacant = vacant;
        return;
    }
    fief_pool_give_slow(pool, slot);
    FIEF_NO_TAIL_CALL();
}

/** Visits every live slot in address order; the visitor may give the slot it was handed, and no
 * other. Returns how many were visited. */
FIEF_API size_t fief_pool_walk(fief_pool *pool, void (*visit)(void *slot, void *argument),
                               void *argument);
/** Gives spans without a live slot back to the runtime; returns the bytes. O(slots). */
FIEF_API size_t fief_pool_trim(fief_pool *pool);
/** Live slots. O(vacant slots) in a release build. */
FIEF_API size_t fief_pool_live(const fief_pool *pool);

FIEF_END
#endif
