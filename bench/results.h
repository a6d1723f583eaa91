/* results: the rounds of every variant, what is derived from them, and whether a target is met.
 *
 * A ratio of two variants is the median of the rounds' own ratios: in one round they ran one after
 * the other, so that a slow minute hits both. Rounds in which one of them was disturbed (quiet.h)
 * count only where fewer than CALM_ENOUGH others are left. */
#ifndef BENCH_RESULTS_H
#define BENCH_RESULTS_H

#include "plan.h"

enum { CALM_ENOUGH = 5, ROUNDS_MAX = 99, NAME_SIZE = 64, SERIES_MAX = 512 };

typedef struct series {
    char bench[NAME_SIZE];
    const char *variant, *unit;
    size_t count;
    double values[ROUNDS_MAX];
    double instructions[ROUNDS_MAX];
    bool calm[ROUNDS_MAX];
} series;

typedef struct results {
    size_t count;
    series all[SERIES_MAX];
} results;

/* Of a series' own figures, or of the ratios of two. */
typedef struct summary {
    double median, half_range; /* half_range is NAN with one round */
    bool disturbed;            /* disturbed rounds had to count too */
} summary;

/* What a target says of a series, once both sides are known. */
typedef struct verdict {
    const target *target; /* NULL: no target, the ratio is for information */
    const series *subject, *against;
    summary found; /* the ratio, or the subject's own figure where against is NULL */
    bool met;
} verdict;

/* An empty series; tables show them in the order of their opening. Adding opens what is missing. */
void results_open(results *r, const char *name, const char *variant_name, const char *unit);
void results_add(results *r, const char *name, const char *variant_name, const char *unit,
                 figure one, bool calm);
const series *results_find(const results *r, const char *name, const char *variant_name);

/* The ideal of a bench is the better one of its two forms. */
void derive_ideal(results *r, const char *name);
/* fief-new is the worst ratio of its rows. */
void derive_fief_new(results *r);
/* The geometric mean, over these benches, of each variant's ratio to libc, round by round. */
void derive_geomean(results *r, const char *name, const char (*benches)[NAME_SIZE], size_t count);

/* against NULL: the subject's own figure. */
summary ratio_of(const series *subject, const series *against);
/* The row that a series has in the table: its target where it has one. */
verdict verdict_of(const results *r, const series *s);

#endif
