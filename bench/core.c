/* bench-core: measures Fief beside libc's malloc, its peers, and hand-written code.
 *
 *     main ── options ── find what is there ── for each bench: rounds ── table or JSON ── verdict
 *                                                                 │
 *                                     a child process for each run: this program again, with one
 *                                     form of one bench (cases), or fief-lua with a program
 *
 * All of it runs on one CPU. What cannot be had is left out or null, never made up. */
#include "peer.h"
#include "quiet.h"
#include "report.h"
#include "rounds.h"
#include "run.h"

#include <fief/base.h>

#include <glob.h>
#include <gnu/libc-version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { ROUNDS = 15, LUA_ROUNDS = 9, ROUNDS_ENOUGH = 9, PROGRAMS_MAX = 32, BAD_USAGE = 2,
       LIVES = 5000, NOT_PROGRAMS = 3 };

static const double others_too_much = 0.05;

typedef struct driver {
    options options;
    places places;
    results results;
    bench programs[PROGRAMS_MAX]; /* the first NOT_PROGRAMS are empty ones */
    char names[PROGRAMS_MAX][NAME_SIZE];
    size_t program_count;
    glob_t scripts;
    int cpu; /* -1: not pinned */
    double reference;
    disturbance disturbance;
} driver;

static driver the_driver; /* the results are too large for a stack */

/* ---- a child: one form of one bench, or who it is ---- */

static int child_measures(const bench *b, unsigned long which, bool quick)
{
    job given = {b->size, quick};
    counter_open();
    figure f = b->forms[which](&given);
    int length = dprintf(REPORT_FD, "%.17g %.17g\n", f.value, f.instructions);
    return length > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* --child identity, or --child BENCH FORM quick|full. By hand: add 3>&1. */
static int child(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[2], "identity") == 0) {
        return peer_write_identity(REPORT_FD) ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    for (size_t i = 0; i < core_bench_count && argc == 5; i++) {
        unsigned long which = strtoul(argv[3], NULL, 10);
        bool is_it = strcmp(core_benches[i].name, argv[2]) == 0;
        if (is_it && which < FORMS && core_benches[i].forms[which] != NULL) {
            return child_measures(&core_benches[i], which, strcmp(argv[4], "quick") == 0);
        }
    }
    give_up("--child is for bench-core's own use");
}

/* ---- which benches ---- */

/* "lua-NAME" for ".../NAME.lua", "lua-inc-NAME" for the same with the incremental collector. */
static void add_program(driver *d, const char *script, bool incremental)
{
    size_t at = d->program_count;
    if (at == PROGRAMS_MAX) {
        give_up("too many Lua programs");
    }
    const char *slash = strrchr(script, '/');
    const char *name = slash != NULL ? slash + 1 : script;
    snprintf(d->names[at], NAME_SIZE, "lua-%s%.*s", incremental ? "inc-" : "",
             (int)strcspn(name, "."), name);
    d->programs[at] = (bench){.name = d->names[at],
                              .unit = "ms",
                              .script = script,
                              .incremental = incremental,
                              .about = incremental
                                           ? "the same with Lua's incremental collector"
                                           : "CPU time (user + system) of fief-lua with this "
                                             "program"};
    d->program_count++;
}

static void find_programs(driver *d)
{
    if (d->places.lua_host[0] == '\0') {
        return;
    }
    d->programs[d->program_count++] =
        (bench){.name = "empty-lua",
                .unit = "ms",
                .script = "/dev/null",
                .about = "fief-lua with an empty program, the baseline of the next ones"};
    d->programs[d->program_count++] =
        (bench){.name = "vm-lua",
                .unit = "us",
                .script = "",
                .lives = LIVES,
                .about = "a life of a Lua VM: its memory, state and libraries opened and closed"};
    d->programs[d->program_count++] =
        (bench){.name = "vm-lua-drop",
                .unit = "us",
                .script = "",
                .lives = LIVES,
                .drops = true,
                .about = "the same where fief drops all at once; libc has to be given all back"};
    if (glob(LUA_PROGRAMS "/*.lua", 0, NULL, &d->scripts) == 0) {
        for (size_t i = 0; i < d->scripts.gl_pathc; i++) {
            add_program(d, d->scripts.gl_pathv[i], false);
            add_program(d, d->scripts.gl_pathv[i], true);
        }
    }
}

static size_t bench_count(const driver *d)
{
    return core_bench_count + d->program_count;
}

static const bench *bench_at(const driver *d, size_t index)
{
    return index < core_bench_count ? &core_benches[index] : &d->programs[index - core_bench_count];
}

static bool is_wanted(const driver *d, const bench *b)
{
    char peak[NAME_SIZE];
    peak_name(b, peak);
    return options_want(&d->options, b->name) ||
           (b->script != NULL && options_want(&d->options, peak));
}

static size_t wanted_count(const driver *d)
{
    size_t count = 0;
    for (size_t i = 0; i < bench_count(d); i++) {
        count += is_wanted(d, bench_at(d, i));
    }
    return count;
}

/* Each --only must find something. */
static bool only_is_known(const driver *d, const char *only)
{
    for (size_t i = 0; i < bench_count(d); i++) {
        const bench *b = bench_at(d, i);
        char peak[NAME_SIZE];
        peak_name(b, peak);
        if (only_means(only, b->name) || (b->script != NULL && only_means(only, peak))) {
            return true;
        }
    }
    fprintf(stderr, "bench-core: no bench is called '%s' (see bench-core --list)\n", only);
    return false;
}

static bool names_are_known(const driver *d)
{
    for (size_t i = 0; i < d->options.only_count; i++) {
        if (!only_is_known(d, d->options.only[i])) {
            return false;
        }
    }
    return true;
}

static int list_benches(const driver *d)
{
    for (size_t i = 0; i < bench_count(d); i++) {
        const bench *b = bench_at(d, i);
        char peak[NAME_SIZE];
        peak_name(b, peak);
        puts(b->name);
        if (b->script != NULL) {
            puts(peak);
        }
    }
    return EXIT_SUCCESS;
}

/* ---- output ---- */

static size_t usual_rounds(const driver *d, size_t usual)
{
    return d->options.rounds != 0 ? d->options.rounds : usual;
}

static void print_processor(void)
{
    char line[256];
    FILE *info = fopen("/proc/cpuinfo", "r");
    while (info != NULL && fgets(line, sizeof line, info) != NULL) {
        const char *colon = strstr(line, ": ");
        if (strncmp(line, "model name", strlen("model name")) == 0 && colon != NULL) {
            printf("%.*s, ", (int)strcspn(colon + 2, "\n"), colon + 2);
            break;
        }
    }
    if (info != NULL) {
        fclose(info);
    }
}

static void print_heading(const driver *d)
{
    struct utsname system;
    printf("Fief " FIEF_VERSION " on ");
    print_processor();
    if (uname(&system) == 0) {
        printf("%s %s, ", system.sysname, system.release);
    }
    bool is_gcc = __VERSION__[0] >= '0' && __VERSION__[0] <= '9'; /* clang says its name */
    printf("glibc %s, compiled by %s" __VERSION__ "\n", gnu_get_libc_version(),
           is_gcc ? "gcc " : "");
    printf("Medians of %zu rounds (Lua: %zu), each variant in turn, ", usual_rounds(d, ROUNDS),
           usual_rounds(d, LUA_ROUNDS));
    if (d->cpu >= 0) {
        printf("all on CPU %d.\n", d->cpu);
    } else {
        printf("not pinned to a CPU.\n");
    }
    printf("+- is half of the interquartile range: of a figure in percent of its median (! above 5 "
           "%%),\nof a ratio as it is. A ratio is the median of the rounds' own ratios. Runs while "
           "others used the\nprocessor are left out (* where too few would remain).\n");
}

static void show(const driver *d, const char *name, const char *about)
{
    if (d->options.json) {
        report_json(&d->results, name);
    } else {
        report_table(&d->results, name, about);
    }
}

static void show_bench(driver *d, const bench *b)
{
    char peak[NAME_SIZE];
    peak_name(b, peak);
    derive_ideal(&d->results, b->name);
    show(d, b->name, b->about);
    if (b->script != NULL) {
        show(d, peak, "its peak resident memory");
    }
}

/* What takes several benches to know. */
static void show_derived(driver *d)
{
    bool all_programs = d->program_count > NOT_PROGRAMS;
    for (size_t i = NOT_PROGRAMS; i < d->program_count; i++) {
        all_programs = all_programs && is_wanted(d, &d->programs[i]);
    }
    derive_fief_new(&d->results);
    show(d, "fief-new", "the worst ratio of its three rows, over the allocator called directly");
    if (all_programs) {
        const char(*names)[NAME_SIZE] = (const char(*)[NAME_SIZE])d->names;
        derive_geomean(&d->results, "lua-geomean", &names[NOT_PROGRAMS],
                       d->program_count - NOT_PROGRAMS);
        show(d, "lua-geomean", "CPU time over libc's, geometric mean of the Lua programs");
    }
}

/* ---- main ---- */

static bool measure_benches(driver *d)
{
    size_t done = 0;
    for (size_t i = 0; i < bench_count(d); i++) {
        const bench *b = bench_at(d, i);
        if (!is_wanted(d, b)) {
            continue;
        }
        plan p = {.places = &d->places,
                  .quick = d->options.quick,
                  .hasty = d->options.hasty,
                  .reference = d->reference,
                  .rounds = usual_rounds(d, b->script != NULL ? LUA_ROUNDS : ROUNDS)};
        snprintf(p.progress, sizeof p.progress, "[%zu/%zu]", ++done, wanted_count(d));
        if (!rounds_run(&p, b, &d->results, &d->disturbance)) {
            return false;
        }
        show_bench(d, b);
    }
    return true;
}

/* Other programs slow us down through what the CPUs share, pinned or not. */
static void tell_of_others(const driver *d, double others, double elapsed)
{
    if (d->disturbance.disturbed > 0) {
        fprintf(stderr,
                "bench-core: %zu of %zu runs were disturbed: left out, but in rows with a * (fewer "
                "than %d others)\n",
                d->disturbance.disturbed, d->disturbance.runs, (int)CALM_ENOUGH);
    }
    if (others > others_too_much * elapsed) {
        fprintf(stderr,
                "bench-core: others used %.0f %% of a CPU meanwhile: measure again on a quiet "
                "machine\n",
                100 * others / elapsed);
    }
}

static int measure_all(driver *d)
{
    double others = others_seconds();
    uint64_t start = clock_now();
    if (!d->options.json) {
        print_heading(d);
    }
    d->reference = d->options.quick ? 0 : reference_best();
    if (!measure_benches(d)) {
        return EXIT_FAILURE;
    }
    show_derived(d);
    tell_of_others(d, others_seconds() - others, (double)(clock_now() - start) * 1e-9);
    size_t missed = report_verdicts(&d->results);
    return d->options.check && missed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static void tell_limits(const driver *d)
{
    if (d->places.lua_host[0] == '\0' && d->options.lua_host != NULL) {
        fputs("bench-core: no fief-lua beside me: the Lua programs are left out\n", stderr);
    }
    if (d->options.quick) {
        fputs("bench-core: --quick: the figures mean nothing\n", stderr);
    } else if (d->options.rounds != 0 && d->options.rounds < ROUNDS_ENOUGH) {
        fputs("bench-core: fewer than 9 rounds: a look, not a measurement\n", stderr);
    }
}

int main(int argc, char **argv)
{
    driver *d = &the_driver;
    if (argc > 1 && strcmp(argv[1], "--child") == 0) {
        return child(argc, argv);
    }
    if (!options_parse(&d->options, argc, argv)) {
        return BAD_USAGE;
    }
    if (d->options.help) {
        options_usage();
        return EXIT_SUCCESS;
    }
    if (!find_files(&d->places, &d->options)) {
        return BAD_USAGE;
    }
    find_programs(d);
    if (!names_are_known(d)) {
        return BAD_USAGE;
    }
    if (d->options.list) {
        return list_benches(d);
    }
    d->cpu = pin_to_one_cpu();
    tell_limits(d);
    return find_variants(&d->places) ? measure_all(d) : EXIT_FAILURE;
}
