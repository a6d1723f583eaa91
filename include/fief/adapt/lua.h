/** @file
 * adapt/lua: a Fief heap behind Lua 5.4's memory hook.
 *
 * @code{.c}
 * fief_runtime *rt = fief_open(&(fief_config){.name = "lua", .align = 8});
 * lua_State *L = lua_newstate(fief_lua_alloc, fief_runtime_heap(rt));
 * lua_close(L);
 * size_t leaked = fief_close(rt); // 0: Lua gave everything back
 * @endcode
 *
 * Header-only, and it needs no Lua header: lua_Alloc is a plain function type. Lua is a good guest:
 * it says the size of each block that it gives back, which is what fief_heap_free wants.
 *
 * Source of the contract: the Lua 5.4 reference manual, section 4.6, lua_Alloc. */
#ifndef FIEF_ADAPT_LUA_H
#define FIEF_ADAPT_LUA_H

#include <stddef.h>

#include <fief/fief.h>

FIEF_BEGIN

/** Lua 5.4's lua_Alloc, served by a fief_heap: allocates, resizes and frees, by the arguments.
 *
 *     ptr    osize      nsize   does
 *     NULL   type tag   0       nothing, returns NULL
 *     NULL   type tag   n       allocates n bytes (the tag says what for; it is not a size)
 *     p      its size   0       frees p, returns NULL
 *     p      its size   n       resizes p and keeps the first min(osize, n) bytes
 *
 * ud         the fief_heap, never NULL. It stays the host's, and must outlive the lua_State.
 * ownership  blocks belong to the lua_State until it gives them back; lua_close gives all of them.
 *            A state that is not closed shows up in fief_close's leak report.
 * alignment  the heap's. Lua's own objects need 8, so open the runtime with `.align = 8`: the
 *            blocks lie denser. Keep 16 for userdata that holds long double or SSE types.
 * errors     NULL when the heap is full or at its limit; the old block is then as it was. Lua
 *            collects in an emergency, asks again, then raises "not enough memory". Shrinking
 *            never fails (fief_heap_resize promises it), as Lua 5.3 and older assume.
 * threads    those of the runtime: one at a time. Coroutines are no threads and need no care.
 * reentry    none: the function never calls back into Lua. Don't call Lua from `on_full`. */
static inline void *fief_lua_alloc(void *ud, void *ptr, size_t osize, size_t nsize)
{
    fief_heap *heap = (fief_heap *)ud;
    if (ptr == NULL) {
        return nsize == 0 ? NULL : fief_heap_alloc(heap, nsize);
    }
    if (nsize == 0) {
        fief_heap_free(heap, ptr, osize);
        return NULL;
    }
    return fief_heap_resize(heap, ptr, osize, nsize);
}

FIEF_END

#endif
