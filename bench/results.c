#include "results.h"

#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static series *find(results *r, const char *name, const char *variant_name)
{
    for (size_t i = 0; i < r->count; i++) {
        if (strcmp(r->all[i].bench, name) == 0 && strcmp(r->all[i].variant, variant_name) == 0) {
            return &r->all[i];
        }
    }
    return NULL;
}

const series *results_find(const results *r, const char *name, const char *variant_name)
{
    return find((results *)r, name, variant_name);
}

void results_open(results *r, const char *name, const char *variant_name, const char *unit)
{
    if (r->count == SERIES_MAX) {
        give_up("too many benches for the results");
    }
    series *s = &r->all[r->count++];
    snprintf(s->bench, sizeof s->bench, "%s", name);
    s->variant = variant_name;
    s->unit = unit;
    s->count = 0;
}

void results_add(results *r, const char *name, const char *variant_name, const char *unit,
                 figure one, bool calm)
{
    series *s = find(r, name, variant_name);
    if (s == NULL) {
        results_open(r, name, variant_name, unit);
        s = &r->all[r->count - 1];
    }
    if (s->count < ROUNDS_MAX) {
        s->calm[s->count] = calm;
        s->values[s->count] = one.value;
        s->instructions[s->count++] = one.instructions;
    }
}

/* ---- ratios ---- */

static size_t common_rounds(const series *a, const series *b)
{
    return a->count < b->count ? a->count : b->count;
}

/* The rounds in which both were calm, or all where those are too few; says which. */
static size_t choose_rounds(const series *a, const series *b, size_t *ret_rounds, bool *ret_all)
{
    size_t common = common_rounds(a, b), calm = 0;
    for (size_t i = 0; i < common; i++) {
        if (a->calm[i] && b->calm[i]) {
            ret_rounds[calm++] = i;
        }
    }
    *ret_all = calm < CALM_ENOUGH && calm < common;
    for (size_t i = 0; i < common && *ret_all; i++) {
        ret_rounds[i] = i;
    }
    return *ret_all ? common : calm;
}

summary ratio_of(const series *subject, const series *against)
{
    double values[ROUNDS_MAX];
    size_t rounds[ROUNDS_MAX];
    summary found;
    const series *other = against != NULL ? against : subject;
    size_t count = choose_rounds(subject, other, rounds, &found.disturbed);
    for (size_t i = 0; i < count; i++) {
        double below = against != NULL ? against->values[rounds[i]] : 1;
        values[i] = subject->values[rounds[i]] / below;
    }
    found.median = median_of(values, count);
    found.half_range = half_range_of(values, count);
    return found;
}

/* ---- derived series ---- */

void derive_ideal(results *r, const char *name)
{
    const series *in_struct = find(r, name, "ideal-struct");
    const series *in_registers = find(r, name, "ideal-registers");
    if (in_struct == NULL || in_registers == NULL) {
        return;
    }
    bool struct_wins = ratio_of(in_struct, NULL).median < ratio_of(in_registers, NULL).median;
    const series *better = struct_wins ? in_struct : in_registers;
    for (size_t i = 0; i < better->count; i++) {
        figure copy = {better->values[i], better->instructions[i]};
        results_add(r, name, "ideal", better->unit, copy, better->calm[i]);
    }
}

void derive_fief_new(results *r)
{
    static const char *const rows[] = {"fief-new-pool", "fief-new-heap", "fief-new-arena"};
    const series *worst_new = NULL, *worst_direct = NULL;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const series *by_table = find(r, rows[i], "fief");
        const series *direct = find(r, rows[i], "direct");
        if (by_table == NULL || direct == NULL) {
            return; /* only some of the rows were asked for */
        }
        if (worst_new == NULL ||
            ratio_of(by_table, direct).median > ratio_of(worst_new, worst_direct).median) {
            worst_new = by_table;
            worst_direct = direct;
        }
    }
    for (size_t i = 0; i < common_rounds(worst_new, worst_direct); i++) {
        figure one = {worst_new->values[i] / worst_direct->values[i], not_counted()};
        results_add(r, "fief-new", "fief", "x", one, worst_new->calm[i] && worst_direct->calm[i]);
    }
}

/* NAN where a bench lacks the variant or the round. */
static double geomean_of_round(results *r, const char *variant_name,
                               const char (*benches)[NAME_SIZE], size_t count, size_t round,
                               bool *ret_calm)
{
    double sum = 0;
    *ret_calm = true;
    for (size_t i = 0; i < count; i++) {
        const series *one = find(r, benches[i], variant_name), *libc = find(r, benches[i], "libc");
        if (one == NULL || libc == NULL || round >= common_rounds(one, libc)) {
            return not_counted();
        }
        sum += log(one->values[round] / libc->values[round]);
        *ret_calm = *ret_calm && one->calm[round] && libc->calm[round];
    }
    return exp(sum / (double)count);
}

static void derive_geomean_of(results *r, const char *name, const char *variant_name,
                              const char (*benches)[NAME_SIZE], size_t count)
{
    for (size_t round = 0; round < ROUNDS_MAX; round++) {
        bool calm;
        double mean = geomean_of_round(r, variant_name, benches, count, round, &calm);
        if (isnan(mean)) {
            return;
        }
        results_add(r, name, variant_name, "x", (figure){mean, not_counted()}, calm);
    }
}

void derive_geomean(results *r, const char *name, const char (*benches)[NAME_SIZE], size_t count)
{
    for (size_t v = 0; v < variant_count && count > 0; v++) {
        if (strcmp(variants[v].name, "libc") != 0) {
            derive_geomean_of(r, name, variants[v].name, benches, count);
        }
    }
}

/* ---- targets ---- */

static bool is_met(const target *t, summary found)
{
    double noise = isnan(found.half_range) ? 0 : found.half_range;
    switch (t->sense) {
    case AT_MOST:
        return found.median <= t->limit;
    case BELOW:
        return found.median < t->limit;
    case AT_LEAST:
        return found.median >= t->limit;
    case NOT_CLEARLY_ABOVE:
        break;
    }
    return found.median - noise <= t->limit;
}

/* The target that stands in this variant's row: fief's against it, its own, or against fief. */
static const target *target_for(const series *s)
{
    for (size_t i = 0; i < target_count; i++) {
        const target *t = &targets[i];
        bool alone = t->against == NULL && strcmp(t->subject, s->variant) == 0;
        bool of_fief = t->against != NULL && strcmp(t->subject, "fief") == 0 &&
                       strcmp(t->against, s->variant) == 0;
        bool to_fief = t->against != NULL && strcmp(t->against, "fief") == 0 &&
                       strcmp(t->subject, s->variant) == 0;
        if ((alone || of_fief || to_fief) && fnmatch(t->bench, s->bench, 0) == 0) {
            return t;
        }
    }
    return NULL;
}

/* Without a target: fief over the others, the debug build over fief. */
static void choose_sides(const results *r, const series *s, verdict *v)
{
    const series *fief = results_find(r, s->bench, "fief");
    bool is_debug = strcmp(s->variant, "fief-debug") == 0;
    bool is_subject = v->target != NULL ? strcmp(v->target->subject, s->variant) == 0 : is_debug;
    if (fief == NULL || fief == s) {
        v->subject = s;
        return;
    }
    v->subject = is_subject ? s : fief;
    v->against = is_subject ? fief : s;
}

verdict verdict_of(const results *r, const series *s)
{
    verdict v = {.target = target_for(s)};
    choose_sides(r, s, &v);
    if (v.target != NULL && (v.target->against == NULL) != (v.against == NULL)) {
        v.target = NULL; /* the other side was not measured */
    }
    v.found = ratio_of(v.subject, v.against);
    v.met = v.target == NULL || is_met(v.target, v.found);
    return v;
}
