/** @file
 * adapt/locked: a runtime of its own that any thread may use, behind a malloc-shaped hook.
 *
 *     thread A ──┐
 *     thread B ──┼── lock ── adopt, where it was another thread's ── the runtime's heap
 *     thread C ──┘
 *
 * A runtime belongs to one thread at a time. Here the lock says whose time it is, and fief_adopt
 * hands it over, so that a guarded build sees one owner after the other. For hooks that an engine
 * calls without a lock of its own, such as CPython's raw domain. The lock is C11's.
 *
 * Between fork and exec in the child of a process that has other threads, one of them may have
 * held the lock: there call nothing that allocates, as POSIX has it for everything else. */
#ifndef FIEF_ADAPT_LOCKED_H
#define FIEF_ADAPT_LOCKED_H

#include <stddef.h>
#include <threads.h>

#include <fief/fief.h>

FIEF_BEGIN

/** The context of the functions below. It stays where it is from open to close. */
typedef struct fief_locked {
    fief_runtime *runtime; /**< nobody else's */
    const void *owner;     /**< names the thread that has it now */
    mtx_t lock;            /**< held during each call */
} fief_locked;

/** An address that is this thread's alone while it lives. */
FIEF_INLINE const void *fief_this_thread(void)
{
    static __attribute__((tls_model("initial-exec"))) __thread char here;
    return &here;
}

/** Opens a runtime with a lock. False where either is refused (config->error tells of the former);
 * config as fief_open's. */
static inline bool fief_locked_open(fief_locked *locked, const fief_config *config)
{
    locked->owner = fief_this_thread();
    locked->runtime = fief_open(config);
    if (locked->runtime == NULL || mtx_init(&locked->lock, mtx_plain) != thrd_success) {
        (void)fief_close(locked->runtime);
        return false;
    }
    return true;
}

/** The heap, with the lock held and this thread its owner. */
static inline fief_heap *fief_locked_enter(fief_locked *locked)
{
    (void)mtx_lock(&locked->lock);
    if (locked->owner != fief_this_thread()) {
        fief_adopt(locked->runtime);
        locked->owner = fief_this_thread();
    }
    return fief_runtime_heap(locked->runtime);
}

/** Closes it from any thread, when no other uses it any more; returns what fief_close does. */
static inline size_t fief_locked_close(fief_locked *locked)
{
    (void)fief_locked_enter(locked);
    size_t leaked = fief_close(locked->runtime);
    (void)mtx_unlock(&locked->lock);
    mtx_destroy(&locked->lock);
    return leaked;
}

/** The same with fief_drop: what is still alive goes with it, and nobody is told. */
static inline void fief_locked_drop(fief_locked *locked)
{
    (void)fief_locked_enter(locked);
    fief_drop(locked->runtime);
    (void)mtx_unlock(&locked->lock);
    mtx_destroy(&locked->lock);
}

/** As malloc, from any thread; size 0 gives a unique block. */
static inline void *fief_locked_malloc(void *locked, size_t size)
{
    void *block = fief_heap_alloc_unsized(fief_locked_enter((fief_locked *)locked), size);
    (void)mtx_unlock(&((fief_locked *)locked)->lock);
    return block;
}

/** As calloc. */
static inline void *fief_locked_calloc(void *locked, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        return NULL;
    }
    void *block = fief_locked_malloc(locked, bytes);
    return block != NULL ? memset(block, 0, bytes) : NULL;
}

/** As realloc, but that size 0 gives a block of no bytes. */
static inline void *fief_locked_realloc(void *locked, void *block, size_t size)
{
    fief_heap *heap = fief_locked_enter((fief_locked *)locked);
    void *moved = fief_heap_resize_unsized(heap, block, size);
    (void)mtx_unlock(&((fief_locked *)locked)->lock);
    return moved;
}

/** As free. */
static inline void fief_locked_free(void *locked, void *block)
{
    fief_heap_free_unsized(fief_locked_enter((fief_locked *)locked), block);
    (void)mtx_unlock(&((fief_locked *)locked)->lock);
}

FIEF_END

#endif
