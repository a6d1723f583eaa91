/* plan: which benches there are, in which variants, what each has to reach. All of it is data.
 *
 *     bench     variant      form      LD_PRELOAD
 *     heap-1000 fief         FIEF      -
 *               fief-debug   FIEF      the debug-poisoned libfief
 *               libc         MALLOC    -
 *               mimalloc     MALLOC    libmimalloc.so.2
 * A variant takes part in a bench that has its form; a Lua program has FIEF and MALLOC. */
#ifndef BENCH_PLAN_H
#define BENCH_PLAN_H

#include "cases.h"

typedef struct bench {
    const char *name, *unit, *about;
    size_t size; /* job.size */
    measured *forms[FORMS];
    bool no_peers, no_debug; /* forms that only libc or the release build can do */
    bool only_debug;         /* what only a guarded build does */
    const char *script;      /* a Lua program instead of forms; "": none, but its libraries */
    bool incremental;        /* its collector is; else generational */
    unsigned lives;          /* it runs so often, each time in a new runtime; 0: once */
    bool drops;              /* fief's lives end with a drop */
} bench;

typedef struct variant {
    const char *name;
    form form;
    const char *preloads[3]; /* of a peer: the first that loads */
    const char *stem;        /* part of the name of the file that serves malloc */
    bool guarded;            /* fief-debug: the library of --debug-lib */
} variant;

typedef enum sense {
    AT_MOST,
    BELOW,
    AT_LEAST,
    NOT_CLEARLY_ABOVE /* a miss only where the noise does not explain it */
} sense;

/* subject / against, or the subject's own figure where against is NULL. Where several rows fit a
 * bench and a pair, the first one counts. */
typedef struct target {
    const char *bench; /* a pattern, as of file names */
    const char *subject, *against;
    sense sense;
    double limit;
} target;

extern const bench core_benches[];
extern const size_t core_bench_count;
extern const variant variants[];
extern const size_t variant_count;
extern const target targets[];
extern const size_t target_count;

bool takes_part(const variant *v, const bench *b);

#endif
