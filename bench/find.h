/* find: what there is to measure on this machine: the other build of the library, the peers that
 * are installed, the Lua host and its programs. Each is tried, not assumed. */
#ifndef BENCH_FIND_H
#define BENCH_FIND_H

#include "options.h"
#include "plan.h"

#include <limits.h>

enum { VARIANTS_MAX = 24 };

typedef struct places {
    char self[PATH_MAX];               /* this program */
    char debug_lib[PATH_MAX];          /* empty: none */
    char lua_host[PATH_MAX];           /* empty: none */
    bool works[VARIANTS_MAX];          /* by the index of the variant */
    const char *preload[VARIANTS_MAX]; /* NULL: none */
    char regions[VARIANTS_MAX][PATH_MAX]; /* where those preloads lie that come with this program */
} places;

/* The files. False after a line on stderr: a path that was given leads nowhere. */
bool find_files(places *ret_places, const options *o);

/* Tries each variant, and tells which files serve it. A peer that is missing is left out. False
 * after a line on stderr: the library is not the one that we think. */
bool find_variants(places *p);

#endif
