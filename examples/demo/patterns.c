/* patterns: runs a Lox program with each of its blocks watched, and says what kinds were made, how
 * long they lived, and what each strategy saves over malloc: measured by doing it again, with the
 * program's own blocks in their own order.
 *
 *     patterns [--quick] FILE.lox        --quick: see that it runs; the times mean nothing
 */
#include "replay.h"

#include "../../bench/measure.h"

#include <stdio.h>
#include <stdlib.h>

static const double noisy = 0.05;
enum { KINDS_SHOWN = 9, ROUNDS = 5, BAD_USAGE = 2 };

static const char *const end_words[ENDS] = {
    [END_UNIT] = "unit ended",
    [END_POP] = "popped",
    [END_FREE] = "swept",
    [END_CLOSE] = "VM closed",
};

/* ---- what was made ---- */

typedef struct made {
    kind kind;
    size_t blocks, bytes, ends[ENDS], by_strategy[FIEF_STRATEGIES];
    double age; /* median */
} made;

static int by_blocks(const void *left, const void *right)
{
    const made *a = left, *b = right;
    return (a->blocks < b->blocks) - (a->blocks > b->blocks);
}

static double median_age(const lives *l, const made *m)
{
    double *ages = malloc((m->blocks + 1) * sizeof *ages);
    if (ages == NULL) {
        fputs("patterns: out of memory\n", stderr);
        exit(EXIT_FAILURE);
    }
    size_t count = 0;
    for (size_t i = 0; i < l->count; i++) {
        if (l->all[i].kind == m->kind) {
            ages[count++] = (double)l->all[i].age;
        }
    }
    double median = median_of(ages, count);
    free(ages);
    return median;
}

static void count_kinds(const lives *l, made ret_made[KINDS])
{
    memset(ret_made, 0, KINDS * sizeof *ret_made);
    for (size_t i = 0; i < l->count; i++) {
        const life *one = &l->all[i];
        made *m = &ret_made[one->kind];
        m->blocks++;
        m->bytes += one->bytes;
        m->ends[one->end]++;
        m->by_strategy[one->strategy]++;
    }
    for (unsigned i = 0; i < KINDS; i++) {
        ret_made[i].kind = (kind)i;
        ret_made[i].age = ret_made[i].blocks > 0 ? median_age(l, &ret_made[i]) : 0;
    }
    qsort(ret_made, KINDS, sizeof *ret_made, by_blocks);
}

static size_t index_of_most(const size_t *counts, size_t count)
{
    size_t most = 0;
    for (size_t i = 1; i < count; i++) {
        most = counts[i] > counts[most] ? i : most;
    }
    return most;
}

static void print_bytes(double bytes)
{
    if (bytes < 10240) {
        printf("%6.0f B  ", bytes);
    } else if (bytes < 10240.0 * 1024) {
        printf("%6.0f KiB", bytes / 1024);
    } else {
        printf("%6.0f MiB", bytes / 1024 / 1024);
    }
}

static void print_kind(const made *m)
{
    size_t end = index_of_most(m->ends, ENDS);
    fief_strategy home = (fief_strategy)index_of_most(m->by_strategy, FIEF_STRATEGIES);
    printf("%-13s %-14s %7zu ", lox_kinds[m->kind].name, fief_strategy_name(home), m->blocks);
    print_bytes((double)m->bytes);
    printf(" ");
    print_bytes(m->age);
    printf("  %3.0f %% %s\n", 100.0 * (double)m->ends[end] / (double)m->blocks, end_words[end]);
}

static void show_kinds(const lives *l)
{
    made all[KINDS];
    size_t other_kinds = 0, other_blocks = 0;
    count_kinds(l, all);
    printf("%-13s %-14s %7s %10s %10s  %s\n", "kind", "strategy", "made", "asked for", "lived *",
           "most died");
    for (size_t i = 0; i < KINDS && all[i].blocks > 0; i++) {
        if (i < KINDS_SHOWN) {
            print_kind(&all[i]);
        } else {
            other_kinds++;
            other_blocks += all[i].blocks;
        }
    }
    if (other_kinds > 0) {
        printf("%zu more kinds, %zu blocks\n", other_kinds, other_blocks);
    }
    puts("* median, in bytes that the program asked for meanwhile");
}

/* The bytes that the program asked for, by strategy, the largest share first. */
static void show_shares(const lives *l)
{
    size_t bytes[FIEF_STRATEGIES] = {0}, all = 0;
    for (size_t i = 0; i < l->count; i++) {
        bytes[l->all[i].strategy] += l->all[i].bytes;
        all += l->all[i].bytes;
    }
    for (unsigned i = 0; i < FIEF_STRATEGIES && all > 0; i++) {
        size_t most = index_of_most(bytes, FIEF_STRATEGIES);
        if (bytes[most] > 0) {
            printf("%s %.1f %%  ", fief_strategy_name((fief_strategy)most),
                   100.0 * (double)bytes[most] / (double)all);
        }
        bytes[most] = 0;
    }
    puts("\n");
}

/* ---- how long it lived ---- */

enum { AGES = 6 };

static size_t age_class(const life *one)
{
    static const uint64_t ends[AGES - 2] = {1 << 10, 16 << 10, 256 << 10, 4 << 20};
    size_t at = 0;
    if (one->end == END_CLOSE) {
        return AGES - 1;
    }
    while (at < AGES - 2 && one->age >= ends[at]) {
        at++;
    }
    return at;
}

static void show_ages(const lives *l)
{
    printf("\n%-14s %7s %8s %8s %8s %8s %8s %8s\n", "how old", "blocks", "<1 KiB", "<16 KiB",
           "<256 KiB", "<4 MiB", "older", "VM's end");
    for (unsigned s = FIEF_VM_ARENA; s < FIEF_STRATEGIES; s++) {
        size_t counts[AGES] = {0}, blocks = 0;
        for (size_t i = 0; i < l->count; i++) {
            if (l->all[i].strategy == s) {
                counts[age_class(&l->all[i])]++;
                blocks++;
            }
        }
        printf("%-14s %7zu", fief_strategy_name((fief_strategy)s), blocks);
        for (size_t i = 0; i < AGES; i++) {
            if (counts[i] > 0) {
                printf(" %6.1f %%", 100.0 * (double)counts[i] / (double)blocks);
            } else {
                printf(" %8s", "-");
            }
        }
        putchar('\n');
    }
}

/* ---- what each strategy saved ---- */

static void print_saving(const char *name, const saving *s)
{
    printf("%-14s %7zu %7.1f %7.1f %5.2f +-%.2f%c %7.1f  %6zu -> %5zu\n", name, s->frees_spared,
           s->malloc.nanoseconds / 1e3, s->fief.nanoseconds / 1e3, s->ratio, s->spread,
           s->spread > noisy * s->ratio ? '!' : ' ',
           (s->malloc.nanoseconds - s->fief.nanoseconds) / 1e3, s->malloc.peak_bytes / 1024,
           s->fief.peak_bytes / 1024);
}

static void show_savings(const lives *l, bool quick)
{
    saving all = {0};
    printf("\n%-14s %7s %15s %21s  %15s\n%-14s %7s %7s %7s %12s %8s  %15s\n", "replayed", "frees",
           "microseconds", "", "peak KiB", "by itself", "spared", "malloc", "fief", "ratio",
           "saved", "malloc -> fief");
    for (unsigned s = FIEF_VM_ARENA; s < FIEF_STRATEGIES; s++) {
        saving one = replay(l, (fief_strategy)s, quick ? 1 : ROUNDS, quick);
        all.frees_spared += one.frees_spared;
        all.malloc.nanoseconds += one.malloc.nanoseconds;
        all.fief.nanoseconds += one.fief.nanoseconds;
        if (one.blocks > 0) {
            print_saving(fief_strategy_name((fief_strategy)s), &one);
        }
        fflush(stdout);
    }
    printf("%-14s %7zu %7.1f %7.1f %5.2f        %7.1f\n", "all", all.frees_spared,
           all.malloc.nanoseconds / 1e3, all.fief.nanoseconds / 1e3,
           all.fief.nanoseconds / all.malloc.nanoseconds,
           (all.malloc.nanoseconds - all.fief.nanoseconds) / 1e3);
    puts("vm arena: with its VM's opening and close; !: noisy, above 5 %");
}

int main(int argc, char **argv)
{
    bool quick = argc == 3 && strcmp(argv[1], "--quick") == 0;
    if (argc != (quick ? 3 : 2) || argv[argc - 1][0] == '-') {
        fputs("patterns: give one Lox file: patterns [--quick] FILE.lox\n", stderr);
        return BAD_USAGE;
    }
    lives l;
    if (!lives_record(&l, argv[argc - 1])) {
        fprintf(stderr, "patterns: %s did not end well\n", argv[argc - 1]);
        return EXIT_FAILURE;
    }
    show_shares(&l);
    show_kinds(&l);
    show_ages(&l);
    show_savings(&l, quick);
    lives_close(&l);
    return EXIT_SUCCESS;
}
