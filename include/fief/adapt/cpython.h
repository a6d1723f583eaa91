/** @file
 * adapt/cpython: Fief behind CPython's three memory domains (3.11; PyMemAllocatorEx since 3.4).
 *
 *     PYMEM_DOMAIN_OBJ, _MEM   the GIL is held      fief_cpython_*   one runtime, no lock
 *     PYMEM_DOMAIN_RAW         it may not be        fief_locked_*    a runtime of its own, locked
 *
 * The raw domain is called by threads that don't hold the GIL, and before there is one, so it can't
 * share a runtime with the others: it has its own, with a lock (adapt/locked.h). The other two are
 * called by whoever holds the GIL: one thread at a time, but not always the same, so each call
 * looks whether the thread has changed, and adopts the runtime then. That is a compare.
 *
 * Set the three before Py_Initialize (PyMem_SetAllocator may be called before it), and end the
 * runtimes after Py_FinalizeEx, by fief_drop: CPython leaves some hundred blocks behind on purpose.
 * Only one program can have it so: domains are global in CPython. README.md has the lines.
 *
 * Source of the contract: docs.python.org/3.11/c-api/memory.html, "Customize Memory Allocators". */
#ifndef FIEF_ADAPT_CPYTHON_H
#define FIEF_ADAPT_CPYTHON_H

#include <fief/adapt/locked.h>

FIEF_BEGIN

/** The context of the functions below: {a runtime}. It outlives the interpreter. */
typedef struct fief_cpython {
    fief_runtime *runtime; /**< of the domains whose callers hold the GIL */
    const void *owner;     /**< names the thread that has it now; NULL: the next caller */
} fief_cpython;

/** The heap, owned by the calling thread. */
FIEF_INLINE fief_heap *fief_cpython_enter(void *context)
{
    fief_cpython *held = (fief_cpython *)context;
    if (held->owner != fief_this_thread()) {
        fief_adopt(held->runtime);
        held->owner = fief_this_thread();
    }
    return fief_runtime_heap(held->runtime);
}

/** PyMemAllocatorEx.malloc: aligned to 16; size 0 gives a unique block. NULL: MemoryError. */
static inline void *fief_cpython_malloc(void *context, size_t size)
{
    return fief_heap_alloc_unsized(fief_cpython_enter(context), size);
}

/** PyMemAllocatorEx.calloc. */
static inline void *fief_cpython_calloc(void *context, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        return NULL;
    }
    void *block = fief_cpython_malloc(context, bytes);
    return block != NULL ? memset(block, 0, bytes) : NULL;
}

/** PyMemAllocatorEx.realloc: where it returns NULL the block is as it was. */
static inline void *fief_cpython_realloc(void *context, void *block, size_t size)
{
    return fief_heap_resize_unsized(fief_cpython_enter(context), block, size);
}

/** PyMemAllocatorEx.free. */
static inline void fief_cpython_free(void *context, void *block)
{
    fief_heap_free_unsized(fief_cpython_enter(context), block);
}

FIEF_END

#endif
