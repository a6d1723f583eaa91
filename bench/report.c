#include "report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double noisy = 0.05;

/* ---- words and numbers ---- */

static int decimals_of(const char *unit)
{
    static const struct {
        const char *unit;
        int decimals;
    } table[] = {{"ns", 2}, {"us", 3}, {"ms", 1}, {"KiB", 0}, {"B", 4}, {"x", 2}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strcmp(unit, table[i].unit) == 0) {
            return table[i].decimals;
        }
    }
    return 3;
}

static double median(const series *s)
{
    return ratio_of(s, NULL).median;
}

/* Half of the interquartile range over the median. */
static double spread(const series *s)
{
    summary own = ratio_of(s, NULL);
    return own.median != 0 ? own.half_range / fabs(own.median) : (double)NAN;
}

static const char *words_of(sense kind)
{
    static const char *const words[] = {
        [AT_MOST] = "<=", [BELOW] = "<", [AT_LEAST] = ">=", [NOT_CLEARLY_ABOVE] = "<= (+-)"};
    return words[kind];
}

static bool is_of(const series *s, const char *name)
{
    return strcmp(s->bench, name) == 0;
}

/* ---- the table ---- */

/* " +- 12 %!*" */
static void format_spread(const series *s, char *ret_text, size_t size)
{
    double part = spread(s);
    ret_text[0] = '\0';
    if (!isnan(part)) {
        snprintf(ret_text, size, " +-%3.0f %%%s%s", part * 100, part > noisy ? "!" : "",
                 ratio_of(s, NULL).disturbed ? "*" : "");
    }
}

/* Two decimals where they say something. */
static void format_ratio(double value, char *ret_text, size_t size)
{
    if (value >= 0.01) {
        snprintf(ret_text, size, "%.*f", value >= 100 ? 0 : 2, value);
    } else {
        snprintf(ret_text, size, "%.1e", value);
    }
}

/* "fief / libc  0.24 +-0.01"; nothing in a row that is compared with nothing. */
static void print_ratio(const verdict *v)
{
    char sides[NAME_SIZE] = "", middle[16] = "", range[20] = "";
    if (v->against != NULL) {
        snprintf(sides, sizeof sides, "%s / %s", v->subject->variant, v->against->variant);
        format_ratio(v->found.median, middle, sizeof middle);
        if (!isnan(v->found.half_range)) {
            snprintf(range, sizeof range, "+-%.2f", v->found.half_range);
        }
    }
    printf("  %-23s%8s %-8s", sides, middle, range);
}

static void print_target(const verdict *v)
{
    if (v->target != NULL) {
        printf("  %s %g %s", words_of(v->target->sense), v->target->limit,
               v->met ? "ok" : "MISSED");
    }
}

static void print_row(const results *r, const series *s)
{
    verdict v = verdict_of(r, s);
    char around[24];
    format_spread(s, around, sizeof around);
    bool is_alone = v.against == NULL && v.target == NULL;
    printf("  %-16s%10.*f%-*s", s->variant, decimals_of(s->unit), median(s), is_alone ? 0 : 10,
           around);
    if (!is_alone) {
        print_ratio(&v);
        print_target(&v);
    }
    putchar('\n');
}

void report_table(const results *r, const char *name, const char *about)
{
    bool titled = false;
    for (size_t i = 0; i < r->count; i++) {
        const series *s = &r->all[i];
        if (!is_of(s, name)) {
            continue;
        }
        if (!titled) {
            printf("\n%s (%s): %s\n", name, s->unit, about);
            titled = true;
        }
        print_row(r, s);
    }
    fflush(stdout);
}

/* ---- JSON ---- */

static void print_number(const char *key, double number)
{
    if (isnan(number)) {
        printf(", \"%s\": null", key);
    } else {
        printf(", \"%s\": %.6g", key, number);
    }
}

void report_json(const results *r, const char *name)
{
    for (size_t i = 0; i < r->count; i++) {
        const series *s = &r->all[i];
        if (is_of(s, name)) {
            printf("{\"bench\": \"%s\", \"variant\": \"%s\"", s->bench, s->variant);
            print_number("median", median(s));
            printf(", \"unit\": \"%s\"", s->unit);
            print_number("spread", spread(s));
            print_number("instructions", median_of(s->instructions, s->count));
            printf("}\n");
        }
    }
    fflush(stdout);
}

/* ---- verdicts ---- */

size_t report_verdicts(const results *r)
{
    size_t met = 0, missed = 0;
    for (size_t i = 0; i < r->count; i++) {
        verdict v = verdict_of(r, &r->all[i]);
        met += v.target != NULL && v.met;
        if (v.target == NULL || v.met) {
            continue;
        }
        missed++;
        fprintf(stderr, "MISSED %s: %s%s%s is %.3f, wanted %s %g\n", v.subject->bench,
                v.subject->variant, v.against != NULL ? " / " : "",
                v.against != NULL ? v.against->variant : "", v.found.median,
                words_of(v.target->sense), v.target->limit);
    }
    fprintf(stderr, "%zu targets met, %zu missed\n", met, missed);
    return missed;
}
