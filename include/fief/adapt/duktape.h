/** @file
 * adapt/duktape: a Fief heap behind Duktape's three allocation functions (duk_create_heap).
 *
 *     fief_runtime *rt = fief_open(&(fief_config){.name = "duktape"});
 *     duk_context *js = duk_create_heap(fief_duktape_alloc, fief_duktape_realloc,
 *                                       fief_duktape_free, fief_runtime_heap(rt), NULL);
 *     duk_destroy_heap(js);
 *     size_t leaked = fief_close(rt);
 *
 * Needs no Duktape header: duk_size_t is size_t, where that has at least 32 bits. Duktape does not
 * say sizes when it frees, so these are the heap's unsized calls. It collects and asks again, some
 * times, where NULL comes back; then a RangeError or the fatal handler follows.
 *
 * Source of the contract: duktape.org, doc/memory-management.rst. */
#ifndef FIEF_ADAPT_DUKTAPE_H
#define FIEF_ADAPT_DUKTAPE_H

#include <stddef.h>

#include <fief/fief.h>

FIEF_BEGIN

/** duk_alloc_function: `size` bytes aligned to 16; NULL for size 0 or when memory is short. udata
 * is the fief_heap, which outlives the Duktape heap. One thread at a time, as both have it. */
static inline void *fief_duktape_alloc(void *udata, size_t size)
{
    return size == 0 ? NULL : fief_heap_alloc_unsized((fief_heap *)udata, size);
}

/** duk_realloc_function: block NULL allocates, size 0 frees and returns NULL; where NULL says that
 * memory is short the block is as it was. */
static inline void *fief_duktape_realloc(void *udata, void *block, size_t size)
{
    if (size == 0) {
        fief_heap_free_unsized((fief_heap *)udata, block);
        return NULL;
    }
    return fief_heap_resize_unsized((fief_heap *)udata, block, size);
}

/** duk_free_function; NULL is fine. */
static inline void fief_duktape_free(void *udata, void *block)
{
    fief_heap_free_unsized((fief_heap *)udata, block);
}

FIEF_END

#endif
