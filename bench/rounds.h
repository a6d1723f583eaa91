/* rounds: measures one bench in all its variants.
 *
 *     round 0   fief  libc  mimalloc     the warm-up, thrown away
 *     round 1   libc  mimalloc  fief     each run is a process; the order rotates
 *     round 2   mimalloc  fief  libc     ...
 *
 * A run waits until the machine is quiet, and is repeated when it was disturbed: both within a few
 * seconds of patience for the whole bench. After that it counts as disturbed. A bench that loses
 * its patience halves that of the next one, so that a machine that is never quiet costs little. */
#ifndef BENCH_ROUNDS_H
#define BENCH_ROUNDS_H

#include "find.h"
#include "results.h"

typedef struct plan {
    const places *places;
    size_t rounds;
    bool quick;        /* no warm-up, short loops, and no patience */
    bool hasty;        /* no patience alone */
    double reference;  /* quiet.h's best */
    char progress[64]; /* "[3/21]" */
} plan;

/* Runs that were made, and those of them that stayed disturbed; all zero at the start. */
typedef struct disturbance {
    size_t runs, disturbed;
    unsigned lost; /* benches in a row that lost their patience */
} disturbance;

/* False after a line on stderr. Adds to *ret_disturbance. */
bool rounds_run(const plan *p, const bench *b, results *r, disturbance *ret_disturbance);

/* The second bench of a Lua program. */
void peak_name(const bench *b, char ret_name[NAME_SIZE]);

#endif
