/** @file
 * adapt/vtable: a Fief heap behind any hook that is shaped like malloc, realloc and free, with a
 * context before the arguments.
 *
 * @code{.c}
 * fief_runtime *rt = fief_open(&(fief_config){.name = "guest"});
 * fief_vtable memory = fief_vtable_of(rt);
 * void *block = memory.alloc(memory.context, 100);
 * memory.free(memory.context, memory.realloc(memory.context, block, 1000));
 * size_t leaked = fief_close(rt);
 * @endcode
 *
 * A guest that has its context elsewhere, or nowhere, takes three functions of one line over these.
 * yajl's yajl_alloc_funcs is one of those that fit as they are. */
#ifndef FIEF_ADAPT_VTABLE_H
#define FIEF_ADAPT_VTABLE_H

#include <stddef.h>

#include <fief/fief.h>

FIEF_BEGIN

/** `size` bytes, aligned to 16; not zeroed. Size 0 gives a unique block. NULL when memory is short.
 * The context is the fief_heap, which must outlive the blocks; its thread is the runtime's. */
static inline void *fief_vtable_alloc(void *heap, size_t size)
{
    return fief_heap_alloc_unsized((fief_heap *)heap, size);
}

/** `count` times `size` bytes, all zero; NULL where the product does not fit, too. */
static inline void *fief_vtable_calloc(void *heap, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        return NULL;
    }
    void *block = fief_heap_alloc_unsized((fief_heap *)heap, bytes);
    return block != NULL ? memset(block, 0, bytes) : NULL;
}

/** As realloc: block NULL is an allocation, and where it returns NULL the block is as it was. Size
 * 0 gives a block of no bytes, never NULL for success. */
static inline void *fief_vtable_realloc(void *heap, void *block, size_t size)
{
    return fief_heap_resize_unsized((fief_heap *)heap, block, size);
}

/** As free; NULL is fine. */
static inline void fief_vtable_free(void *heap, void *block)
{
    fief_heap_free_unsized((fief_heap *)heap, block);
}

/** The functions with their context. */
typedef struct fief_vtable {
    void *(*alloc)(void *context, size_t size);                   /**< fief_vtable_alloc */
    void *(*calloc)(void *context, size_t count, size_t size);    /**< fief_vtable_calloc */
    void *(*realloc)(void *context, void *block, size_t size);    /**< fief_vtable_realloc */
    void (*free)(void *context, void *block);                     /**< fief_vtable_free */
    void *context;                                                /**< the heap */
} fief_vtable;

/** The table of a runtime's own heap. */
static inline fief_vtable fief_vtable_of(fief_runtime *rt)
{
    fief_vtable table = {fief_vtable_alloc, fief_vtable_calloc, fief_vtable_realloc,
                         fief_vtable_free, fief_runtime_heap(rt)};
    return table;
}

FIEF_END

#endif
