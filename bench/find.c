#include "find.h"

#include "run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool fail(const char *what, const char *about)
{
    fprintf(stderr, "bench-core: %s%s\n", what, about);
    return false;
}

/* ---- files ---- */

static bool find_self(places *p)
{
    ssize_t length = readlink("/proc/self/exe", p->self, sizeof p->self - 1);
    if (length <= 0) {
        return fail("cannot find myself in /proc/self/exe", "");
    }
    p->self[length] = '\0';
    return true;
}

/* `directory/name`, resolved; false where there is none. */
static bool resolve(const char *directory, const char *name, char *ret_path)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s%s", directory, name);
    return length > 0 && (size_t)length < sizeof path && access(path, R_OK) == 0 &&
           realpath(path, ret_path) != NULL;
}

/* A directory means the library that meson put into it. */
static bool find_debug_lib(places *p, const char *given)
{
    if (given == NULL) {
        return true;
    }
    if (!resolve(given, "/libfief.so.0", p->debug_lib) && !resolve(given, "", p->debug_lib)) {
        return fail("there is no library at ", given);
    }
    if (strpbrk(p->debug_lib, " :") != NULL) { /* LD_PRELOAD has no way to write them */
        return fail("no space and no colon may be in the path of ", p->debug_lib);
    }
    return true;
}

static bool find_lua_host(places *p, const char *given)
{
    if (given == NULL) {
        return true;
    }
    if (given[0] != '\0') {
        return resolve(given, "", p->lua_host) || fail("there is no Lua host at ", given);
    }
    char directory[PATH_MAX];
    snprintf(directory, sizeof directory, "%s", p->self);
    char *slash = strrchr(directory, '/');
    *(slash != NULL ? slash : directory) = '\0';
    (void)resolve(directory, "/../examples/fief-lua",
                  p->lua_host); /* an example need not be built */
    return true;
}

/* ---- variants ---- */

/* "PATH OF MALLOC\nPATH OF LIBFIEF\nguarded\n": is this the variant that we think it is? */
static bool is_as_expected(const char *identity, const variant *v)
{
    const char *end = strchr(identity, '\n');
    const char *stem = strstr(identity, v->stem);
    bool is_guarded = strstr(identity, "\nguarded\n") != NULL;
    return end != NULL && stem != NULL && stem < end && is_guarded == v->guarded;
}

static bool works_with(places *p, size_t index, const char *preload)
{
    const char *argv[] = {p->self, "--child", "identity", NULL};
    const variant *v = &variants[index];
    outcome found;
    if (!run(argv, preload, preload != NULL, &found) || found.status != 0 ||
        !is_as_expected(found.report, v)) {
        return false;
    }
    if (preload != NULL) {
        const char *served = v->guarded ? strchr(found.report, '\n') + 1 : found.report;
        const char *file = v->form == FORM_REGION ? preload : served;
        fprintf(stderr, "%-11s %.*s\n", v->name, (int)strcspn(file, "\n"), file);
    }
    p->works[index] = true;
    p->preload[index] = preload;
    return true;
}

/* The arenas of other libraries are built beside this program, in regions/. */
static void find_region(places *p, size_t index)
{
    const variant *v = &variants[index];
    char *path = p->regions[index];
    const char *slash = strrchr(p->self, '/');
    int length = snprintf(path, PATH_MAX, "%.*s/regions/%s", (int)(slash - p->self), p->self,
                          v->preloads[0]);
    bool is_there = length > 0 && length < PATH_MAX && access(path, R_OK) == 0;
    if (!is_there || strpbrk(path, " :") != NULL || !works_with(p, index, path)) {
        fprintf(stderr, "%-11s is not installed and left out\n", v->name);
    }
}

static void find_peer(places *p, size_t index)
{
    for (const char *const *preload = variants[index].preloads; *preload != NULL; preload++) {
        if (works_with(p, index, *preload)) {
            return;
        }
    }
    fprintf(stderr, "%-11s is not installed and left out\n", variants[index].name);
}

static bool find_variant(places *p, size_t index)
{
    const variant *v = &variants[index];
    if (v->form == FORM_REGION) {
        find_region(p, index);
    } else if (v->preloads[0] != NULL) {
        find_peer(p, index);
    } else if (!v->guarded) {
        return works_with(p, index, NULL) ||
               fail("this libfief is guarded or malloc is not libc's: measure a release build", "");
    } else if (p->debug_lib[0] != '\0') {
        return works_with(p, index, p->debug_lib) ||
               fail("this is no debug-poisoned libfief: ", p->debug_lib);
    }
    return true;
}

bool find_files(places *ret_places, const options *o)
{
    memset(ret_places, 0, sizeof *ret_places);
    return find_self(ret_places) && find_debug_lib(ret_places, o->debug_lib) &&
           find_lua_host(ret_places, o->lua_host);
}

bool find_variants(places *p)
{
    for (size_t i = 0; i < variant_count && i < VARIANTS_MAX; i++) {
        if (!find_variant(p, i)) {
            return false;
        }
    }
    return true;
}
