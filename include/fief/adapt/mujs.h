/** @file
 * adapt/mujs: a Fief heap behind MuJS's memory hook.
 *
 *     fief_runtime *rt = fief_open(&(fief_config){.name = "mujs"});
 *     js_State *J = js_newstate(fief_mujs_alloc, fief_runtime_heap(rt), JS_STRICT);
 *     js_freestate(J);
 *     size_t leaked = fief_close(rt);
 *
 * Needs no MuJS header. Sizes are `int` there, so no block is larger than INT_MAX; what MuJS
 * computes too large arrives negative, and is refused.
 *
 * Source of the contract: mujs.com/reference.html, js_Alloc. */
#ifndef FIEF_ADAPT_MUJS_H
#define FIEF_ADAPT_MUJS_H

#include <stddef.h>

#include <fief/fief.h>

FIEF_BEGIN

/** js_Alloc: size 0 frees and returns NULL, block NULL allocates, else it resizes. NULL when memory
 * is short, with the block as it was. memctx is the fief_heap, which outlives the js_State. */
static inline void *fief_mujs_alloc(void *memctx, void *block, int size)
{
    if (size == 0) {
        fief_heap_free_unsized((fief_heap *)memctx, block);
        return NULL;
    }
    if (size < 0) {
        return NULL;
    }
    if (block == NULL) {
        return fief_heap_alloc_unsized((fief_heap *)memctx, (size_t)size);
    }
    return fief_heap_resize_unsized((fief_heap *)memctx, block, (size_t)size);
}

FIEF_END

#endif
