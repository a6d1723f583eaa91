/* fief-engine-luajit: LuaJIT on the frame. Its own allocator is what luaL_newstate brings. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <fief/adapt/luajit.h>

#include "lua_family.h"

static int run(frame *f)
{
    if (f->runtime != NULL && !fief_luajit_reaches(frame_heap(f), (size_t)16 << 30)) {
        return frame_complain("the heap's addresses do not fit into 47 bits");
    }
    return run_lua(f, fief_luajit_alloc);
}

int main(int argc, char **argv)
{
    return frame_main(&(engine){.name = "luajit", .align = 8, .has_own = true, .run = run}, argc,
                      argv);
}
