/** @file
 * adapt/luajit: a Fief heap behind LuaJIT's memory hook, which is Lua 5.1's.
 *
 *     fief_runtime *rt = fief_open(&(fief_config){.name = "luajit", .align = 8});
 *     lua_State *L = lua_newstate(fief_luajit_alloc, fief_runtime_heap(rt));
 *     lua_close(L);
 *     size_t leaked = fief_close(rt);
 *
 * LuaJIT keeps a tag beside each pointer, in 64 bits: an object's address must fit into 47. On
 * x86-64 Linux gives a process no others unless it asks for them, and a range lies where the kernel
 * puts it, below its shared libraries (0x7f...). Where user space is larger (arm64: 48 bits and
 * more) ask fief_luajit_reaches, and if it says no, give the runtime a buffer that lies lower
 * (config.buffer). LuaJIT itself looks at the first block alone: lua_newstate returns NULL where
 * that one lies too high.
 *
 * It has to be a GC64 build, as Debian's is. Older ones on x86-64 take 32-bit addresses and say
 * "Must use luaL_newstate() for 64 bit target". Machine code of traces is mapped by LuaJIT itself,
 * and never comes here. */
#ifndef FIEF_ADAPT_LUAJIT_H
#define FIEF_ADAPT_LUAJIT_H

#include <fief/adapt/lua.h>

FIEF_BEGIN

/** Does the heap's address space lie below 2^47, as far as `bytes` from its first block on? Spans
 * are handed out from low addresses to high ones; a guarded build uses up more of them. Takes a
 * block and gives it back; false when memory is short as well. */
static inline bool fief_luajit_reaches(fief_heap *heap, size_t bytes)
{
    const uintptr_t end = (uintptr_t)1 << 47;
    void *block = fief_heap_alloc(heap, 1);
    uintptr_t start = (uintptr_t)block;
    fief_heap_free(heap, block, 1);
    return start != 0 && start < end && bytes <= end - start;
}

/** LuaJIT's lua_Alloc: the contract of fief_lua_alloc, which it is. LuaJIT gives each block back
 * with its true size; cdata that want more than 8 are aligned by LuaJIT itself. */
static inline void *fief_luajit_alloc(void *ud, void *ptr, size_t osize, size_t nsize)
{
    return fief_lua_alloc(ud, ptr, osize, nsize);
}

FIEF_END

#endif
