/* fief-engine-lua: Lua 5.4 on the frame. The whole host is examples/lua. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <fief/adapt/lua.h>

#include "lua_family.h"

static int run(frame *f)
{
    return run_lua(f, fief_lua_alloc);
}

int main(int argc, char **argv)
{
    return frame_main(&(engine){.name = "lua", .align = 8, .run = run}, argc, argv);
}
