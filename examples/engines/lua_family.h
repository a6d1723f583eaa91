/* lua_family: what Lua 5.4's host and LuaJIT's have in common: all but the headers and the hook. */
#ifndef FIEF_EXAMPLES_ENGINES_LUA_FAMILY_H
#define FIEF_EXAMPLES_ENGINES_LUA_FAMILY_H

#include <stdlib.h>

#include "frame.h"

typedef struct lua_trap {
    frame *frame;
    lua_Alloc under;
    void *ud;
} lua_trap;

static void *libc_hook(void *ud, void *block, size_t old_size, size_t size)
{
    (void)ud, (void)old_size;
    if (size == 0) {
        free(block);
        return NULL;
    }
    return realloc(block, size);
}

/* Giving back and shrinking don't fail: Lua counts on it. */
static void *trapped_hook(void *ud, void *block, size_t old_size, size_t size)
{
    lua_trap *t = ud;
    bool may_fail = size != 0 && (block == NULL || size > old_size);
    if (may_fail && !frame_admits(t->frame)) {
        return NULL;
    }
    void *moved = t->under(t->ud, block, old_size, size);
    return size == 0 ? frame_counted(t->frame, block != NULL, NULL)
                     : frame_resized(t->frame, block, moved);
}

static int run_script(lua_State *L)
{
    const frame *f = lua_touserdata(L, 1);
    luaL_openlibs(L);
    if (luaL_loadfile(L, f->program) != 0) {
        return lua_error(L);
    }
    lua_pushnumber(L, f->scale);
    lua_call(L, 1, 0);
    return 0;
}

static int run_protected(lua_State *L, frame *f)
{
    lua_pushcfunction(L, run_script);
    lua_pushlightuserdata(L, f);
    int status = EXIT_SUCCESS;
    if (lua_pcall(L, 1, 0, 0) != 0) {
        const char *message = lua_tostring(L, -1);
        status = frame_complain(message != NULL ? message : "an error that is no string");
    }
    lua_close(L);
    return status;
}

static int run_lua(frame *f, lua_Alloc hook)
{
    lua_trap own = {f, f->runtime != NULL ? hook : libc_hook, frame_heap(f)};
    lua_State *L = f->allocator == MEMORY_OWN ? luaL_newstate()
                   : f->trapped               ? lua_newstate(trapped_hook, &own)
                                              : lua_newstate(own.under, own.ud);
    return L != NULL ? run_protected(L, f) : frame_complain("not enough memory for a state");
}

#endif
