/* fief-lua: runs a Lua 5.4 script as `lua` does, with its memory from Fief or from libc.
 *
 *     main ── parse the options ── open the memory ── lua_newstate ── run (protected) ── finish
 *                                                                          │ os.exit ──────┘
 *
 * Everything hangs from one `host`. Every way out, os.exit included, goes through host_finish:
 * print the statistics, lua_close, fief_close (or fief_drop alone). Nothing stays behind, and if
 * something did, the status is 1.
 *
 * Differences from `lua`: no -e -i -l -v -W, no prompt, no LUA_INIT; os.exit always closes the
 * state. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <fief/adapt/lua.h>
#include <fief/fief.h>

#include "../color.h"
#include "../peak.h"

#define PROGRAM "fief-lua"

typedef struct options {
    int use_libc;
    int stats;
    int json;
    int incremental;
    int drop; /* no lua_close: what is left goes with the runtime */
    int peak_file; /* descriptor for the peak resident KiB; -1: none */
    size_t limit;  /* bytes; 0: none */
    size_t quarantine, depth; /* of a guarded build; 0: its defaults */
    size_t lives;  /* the script runs so often, each time in a new runtime; 0: once */
    int color;     /* a color_when */
    int script;    /* index in argv; argc: none */
} options;

/* libc behind a counter: the other side of every comparison. */
typedef struct counted {
    size_t limit, now, peak; /* bytes asked for */
} counted;

typedef struct host {
    options options;
    int argc;
    char **argv;
    fief_runtime *runtime; /* NULL with libc */
    counted libc;
    lua_State *lua;
    int warnings_on, warning_continues;
} host;

static int complain(const char *message)
{
    fflush(stdout);
    fprintf(stderr, PROGRAM ": %s\n", message);
    return EXIT_FAILURE;
}

/* ---- memory ---- */

static void *counted_alloc(void *ud, void *ptr, size_t osize, size_t nsize)
{
    counted *c = ud;
    size_t old = ptr == NULL ? 0 : osize;
    if (nsize == 0) {
        free(ptr);
        c->now -= old;
        return NULL;
    }
    if (nsize > old && nsize - old > c->limit - c->now) {
        return NULL;
    }
    void *block = realloc(ptr, nsize);
    if (block != NULL) {
        c->now = c->now - old + nsize;
        c->peak = c->now > c->peak ? c->now : c->peak;
    }
    return block;
}

static int memory_open(host *h)
{
    if (h->options.use_libc) {
        h->libc.limit = h->options.limit != 0 ? h->options.limit : SIZE_MAX;
        return 1;
    }
    fief_error error = {0};
    fief_config config = {0};
    config.name = "lua";
    config.limit_bytes = h->options.limit;
    config.quarantine_bytes = h->options.quarantine;
    config.stack_depth = (unsigned)h->options.depth;
    config.align = 8;
    config.recycle_range = h->options.lives > 1;
    config.color = h->options.color == COLOR_ALWAYS;
    config.error = &error;
    h->runtime = fief_open(&config);
    if (h->runtime == NULL) {
        fprintf(stderr, PROGRAM ": cannot open the memory: %s\n", error.text);
    }
    return h->runtime != NULL;
}

static lua_State *state_new(host *h)
{
    if (h->options.use_libc) {
        return lua_newstate(counted_alloc, &h->libc);
    }
    return lua_newstate(fief_lua_alloc, fief_runtime_heap(h->runtime));
}

/* ---- statistics ---- */

typedef size_t stats_writer(const fief_runtime *, char *, size_t);

static void print_fief_stats(const fief_runtime *runtime, stats_writer *writer)
{
    size_t size = writer(runtime, NULL, 0) + 256; /* room for figures that grow a digit */
    char *text = malloc(size);
    if (text == NULL) {
        complain("not enough memory for the statistics");
        return;
    }
    writer(runtime, text, size);
    size_t length = strlen(text);
    fprintf(stderr, "%s%s", text, length != 0 && text[length - 1] == '\n' ? "" : "\n");
    free(text);
}

static void print_stats(const host *h)
{
    if (!h->options.use_libc) {
        if (h->options.stats) {
            print_fief_stats(h->runtime, fief_stats_text);
        }
        if (h->options.json) {
            print_fief_stats(h->runtime, fief_stats_json);
        }
        return;
    }
    if (h->options.stats) {
        fprintf(stderr, "libc: %zu bytes now, %zu bytes peak (as asked for)\n", h->libc.now,
                h->libc.peak);
    }
    if (h->options.json) {
        fprintf(stderr, "{\"schema\":\"fief-lua-libc/1\",\"now_bytes\":%zu,\"peak_bytes\":%zu}\n",
                h->libc.now, h->libc.peak);
    }
}

/* ---- the way out ---- */

/* Returns the status to exit with: the given one, or 1 when something leaked. */
static int host_finish(host *h, int status)
{
    if (h->lua != NULL) {
        fflush(stdout);
        print_stats(h);
        lua_State *lua = h->lua;
        h->lua = NULL; /* os.exit in a finalizer must not close twice */
        if (!h->options.drop) {
            lua_close(lua);
        }
    }
    if (h->options.peak_file >= 0) {
        peak_write(h->options.peak_file);
    }
    if (h->options.drop) {
        fief_drop(h->runtime);
        return status;
    }
    if (h->runtime != NULL && fief_close(h->runtime) != 0) {
        return EXIT_FAILURE;
    }
    return h->libc.now == 0 ? status : complain("libc blocks leaked");
}

/* os.exit([code [, close]]): as Lua's, but the state is closed whatever `close` says. */
static int host_exit(lua_State *L)
{
    host *h = lua_touserdata(L, lua_upvalueindex(1));
    int status = EXIT_SUCCESS;
    if (lua_isboolean(L, 1)) {
        status = lua_toboolean(L, 1) ? EXIT_SUCCESS : EXIT_FAILURE;
    } else {
        status = (int)luaL_optinteger(L, 1, EXIT_SUCCESS);
    }
    exit(h->lua != NULL ? host_finish(h, status) : status);
}

/* ---- running a script, step by step as lua.c does ---- */

static int report(lua_State *L, int status)
{
    if (status != LUA_OK) {
        const char *message = lua_tostring(L, -1);
        complain(message != NULL ? message : "(error object is not a string)");
        lua_pop(L, 1);
    }
    return status == LUA_OK;
}

static int add_traceback(lua_State *L)
{
    const char *message = lua_tostring(L, 1);
    if (message == NULL) {
        if (luaL_callmeta(L, 1, "__tostring") && lua_type(L, -1) == LUA_TSTRING) {
            return 1;
        }
        message = lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
    }
    luaL_traceback(L, L, message, 1);
    return 1;
}

/* warn(): off until warn("@on"), as in `lua`. */
static void on_warning(void *ud, const char *message, int to_be_continued)
{
    host *h = ud;
    if (!h->warning_continues && !to_be_continued && message[0] == '@') {
        h->warnings_on = strcmp(message, "@on") == 0    ? 1
                         : strcmp(message, "@off") == 0 ? 0
                                                        : h->warnings_on;
        return;
    }
    if (h->warnings_on) {
        fprintf(stderr, "%s%s%s", h->warning_continues ? "" : "Lua warning: ", message,
                to_be_continued ? "" : "\n");
    }
    h->warning_continues = to_be_continued;
}

/* The global `arg`: the script at 0, its arguments after it, the host's before it. */
static void push_arguments(lua_State *L, const host *h)
{
    int script = h->options.script;
    lua_createtable(L, h->argc - script - 1, script + 1);
    for (int i = 0; i < h->argc; i++) {
        lua_pushstring(L, h->argv[i]);
        lua_rawseti(L, -2, i - script);
    }
    lua_setglobal(L, "arg");
}

static void replace_os_exit(lua_State *L, host *h)
{
    lua_getglobal(L, "os");
    lua_pushlightuserdata(L, h);
    lua_pushcclosure(L, host_exit, 1);
    lua_setfield(L, -2, "exit");
    lua_pop(L, 1);
}

static int run_script(lua_State *L, const host *h)
{
    int script = h->options.script;
    int from_stdin = strcmp(h->argv[script], "-") == 0 && strcmp(h->argv[script - 1], "--") != 0;
    int status = luaL_loadfile(L, from_stdin ? NULL : h->argv[script]);
    if (status == LUA_OK) {
        int count = h->argc - script - 1;
        int base = lua_gettop(L);
        luaL_checkstack(L, count + 3, "too many arguments to script");
        for (int i = script + 1; i < h->argc; i++) {
            lua_pushstring(L, h->argv[i]);
        }
        lua_pushcfunction(L, add_traceback);
        lua_insert(L, base);
        status = lua_pcall(L, count, 0, base);
        lua_remove(L, base);
    }
    return report(L, status);
}

/* Called protected, so that even opening the libraries may run out of memory. */
static int run_protected(lua_State *L)
{
    host *h = lua_touserdata(L, 1);
    luaL_checkversion(L);
    lua_setwarnf(L, on_warning, h);
    luaL_openlibs(L);
    if (h->options.script == h->argc) {
        lua_pushboolean(L, 1);
        return 1;
    }
    replace_os_exit(L, h);
    push_arguments(L, h);
    if (h->options.incremental) {
        lua_gc(L, LUA_GCINC, 0, 0, 0);
    } else {
        lua_gc(L, LUA_GCGEN, 0, 0);
    }
    lua_pushboolean(L, run_script(L, h));
    return 1;
}

static int host_run(host *h)
{
    if (!memory_open(h)) {
        return EXIT_FAILURE;
    }
    h->lua = state_new(h);
    if (h->lua == NULL) {
        return host_finish(h, complain("cannot create state: not enough memory"));
    }
    lua_pushcfunction(h->lua, run_protected);
    lua_pushlightuserdata(h->lua, h);
    int status = lua_pcall(h->lua, 1, 1, 0);
    int good = status == LUA_OK && lua_toboolean(h->lua, -1);
    report(h->lua, status);
    return host_finish(h, good ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* A life after the other; what is told at the end is told of the last. */
static int host_run_lives(host *h)
{
    for (size_t life = 1; life < h->options.lives; life++) {
        host silent = *h;
        silent.options.stats = silent.options.json = 0;
        silent.options.peak_file = -1;
        int status = host_run(&silent);
        if (status != EXIT_SUCCESS) {
            return status;
        }
    }
    return host_run(h);
}

/* ---- options ---- */

static const char usage[] =
    "usage: " PROGRAM " [options] SCRIPT [ARGS...]       runs a Lua 5.4 script\n"
    "       " PROGRAM " [options] --lives N               opens Lua and its libraries, N times\n"
    "  --allocator fief|libc          where the memory comes from (fief)\n"
    "  --limit BYTES                  at most so much, with suffix K, M or G\n"
    "  --gc generational|incremental  the collector's mode (generational)\n"
    "  --quarantine BYTES             dead blocks wait, in a guarded build (4M)\n"
    "  --depth N                      frames kept of each call, in a guarded build (4)\n"
    "  --color auto|always|never      of misuse reports, in a guarded build (auto)\n"
    "  --lives N                      runs it N times, each in a runtime of its own (1)\n"
    "  --drop                         ends a life without lua_close: no finalizer runs, and what\n"
    "                                 is left goes with its pages\n"
    "  --stats                        statistics as text on stderr, at the end\n"
    "  --json                         statistics as JSON on stderr, at the end\n"
    "  --peak FD                      peak resident KiB to this descriptor\n"
    "  --                             end of the options;  SCRIPT - is stdin\n";

/* BYTES: digits and at most one of K, M, G. 0 and what does not fit a size_t are refused. */
static int parse_bytes(const char *text, size_t *ret_bytes)
{
    static const struct {
        char suffix;
        unsigned shift;
    } units[] = {{'\0', 0}, {'K', 10}, {'M', 20}, {'G', 30}};
    char *end;
    errno = 0;
    unsigned long long count = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || errno != 0 || (*end != '\0' && end[1] != '\0')) {
        return 0;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (*end == units[i].suffix && count != 0 && count <= SIZE_MAX >> units[i].shift) {
            *ret_bytes = (size_t)count << units[i].shift;
            return 1;
        }
    }
    return 0;
}

/* 1 and the choice when the value is one of two words. */
static int parse_word(const char *value, const char *zero, const char *one, int *ret_choice)
{
    int is_one = strcmp(value, one) == 0;
    if (!is_one && strcmp(value, zero) != 0) {
        return 0;
    }
    *ret_choice = is_one;
    return 1;
}

static int parse_descriptor(const char *value, int *ret_descriptor)
{
    size_t number;
    if (!parse_bytes(value, &number) || number > 1023) {
        return 0;
    }
    *ret_descriptor = (int)number;
    return 1;
}

static int parse_color(const char *value, int *ret_when)
{
    static const char *const words[] = {"auto", "always", "never"};
    for (int when = COLOR_AUTO; when <= COLOR_NEVER; when++) {
        if (strcmp(value, words[when]) == 0) {
            *ret_when = when;
            return 1;
        }
    }
    return 0;
}

typedef enum outcome { GOOD, BAD_VALUE, UNKNOWN } outcome;

static outcome take_value(options *o, const char *name, const char *value)
{
    if (strcmp(name, "--allocator") == 0) {
        return parse_word(value, "fief", "libc", &o->use_libc) ? GOOD : BAD_VALUE;
    }
    if (strcmp(name, "--gc") == 0) {
        return parse_word(value, "generational", "incremental", &o->incremental) ? GOOD : BAD_VALUE;
    }
    if (strcmp(name, "--limit") == 0) {
        return parse_bytes(value, &o->limit) ? GOOD : BAD_VALUE;
    }
    if (strcmp(name, "--quarantine") == 0) {
        return parse_bytes(value, &o->quarantine) ? GOOD : BAD_VALUE;
    }
    if (strcmp(name, "--depth") == 0) {
        return parse_bytes(value, &o->depth) && o->depth <= FIEF_DEPTH_MAX ? GOOD : BAD_VALUE;
    }
    if (strcmp(name, "--lives") == 0) {
        return parse_bytes(value, &o->lives) ? GOOD : BAD_VALUE;
    }
    if (strcmp(name, "--color") == 0) {
        return parse_color(value, &o->color) ? GOOD : BAD_VALUE;
    }
    if (strcmp(name, "--peak") == 0) {
        return parse_descriptor(value, &o->peak_file) ? GOOD : BAD_VALUE;
    }
    return UNKNOWN;
}

static int take_flag(options *o, const char *name)
{
    int *flag = strcmp(name, "--stats") == 0  ? &o->stats
                : strcmp(name, "--json") == 0 ? &o->json
                : strcmp(name, "--drop") == 0 ? &o->drop
                                              : NULL;
    if (flag != NULL) {
        *flag = 1;
    }
    return flag != NULL;
}

static int usage_error(const char *what, const char *about)
{
    fprintf(stderr, PROGRAM ": %s '%s' (see " PROGRAM " --help)\n", what, about);
    return 0;
}

static int parse_options(options *o, int argc, char **argv)
{
    int i = 1;
    for (; i < argc && argv[i][0] == '-' && argv[i][1] != '\0'; i++) {
        if (strcmp(argv[i], "--") == 0) {
            i++;
            break;
        }
        if (take_flag(o, argv[i])) {
            continue;
        }
        outcome result = take_value(o, argv[i], i + 1 < argc ? argv[i + 1] : "");
        if (result == UNKNOWN) {
            return usage_error("unrecognized option", argv[i]);
        }
        if (i + 1 >= argc) {
            return usage_error("a value must follow", argv[i]);
        }
        if (result == BAD_VALUE) {
            fprintf(stderr, PROGRAM ": bad value '%s' for %s (see " PROGRAM " --help)\n",
                    argv[i + 1], argv[i]);
            return 0;
        }
        i++;
    }
    o->script = i;
    if (o->drop && o->use_libc) {
        return usage_error("libc has nothing to drop:", "--drop");
    }
    return i < argc || o->lives > 0 ? 1 : usage_error("missing", "SCRIPT");
}

int main(int argc, char **argv)
{
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(usage, stdout);
        return EXIT_SUCCESS;
    }
    host h = {.options = {.peak_file = -1}, .argc = argc, .argv = argv};
    if (!parse_options(&h.options, argc, argv)) {
        return EXIT_FAILURE;
    }
    h.options.color = wants_color((color_when)h.options.color) ? COLOR_ALWAYS : COLOR_NEVER;
    return host_run_lives(&h);
}
