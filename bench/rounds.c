#include "rounds.h"

#include "quiet.h"
#include "run.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const uint64_t patience_nanoseconds = 3000000000;
static const long pause_nanoseconds = 5000000;

/* One process and what it said. */
typedef struct sample {
    figure figure, memory;
    bool calm;
} sample;

void peak_name(const bench *b, char ret_name[NAME_SIZE])
{
    snprintf(ret_name, NAME_SIZE, "%.*s-peak", NAME_SIZE - 6, b->name);
}

static bool failed(const bench *b, const variant *v, const outcome *o)
{
    fprintf(stderr, "bench-core: %s with %s ended with status %d\n", b->name, v->name, o->status);
    return false;
}

/* ---- one run ---- */

static bool run_form(const plan *p, const bench *b, size_t which, sample *ret_sample)
{
    char number[16];
    snprintf(number, sizeof number, "%d", (int)variants[which].form);
    const char *argv[] = {
        p->places->self, "--child", b->name, number, p->quick ? "quick" : "full", NULL};
    outcome o = {.status = -1};
    figure *f = &ret_sample->figure;
    if (!run(argv, p->places->preload[which], false, &o) || o.status != 0 ||
        sscanf(o.report, "%lg %lg", &f->value, &f->instructions) != 2) {
        return failed(b, &variants[which], &o);
    }
    return true;
}

/* The peak is the host's own figure. wait4's would begin with ours, from before the exec. */
static bool run_program(const plan *p, const bench *b, size_t which, sample *ret_sample)
{
    const variant *v = &variants[which];
    char descriptor[16], lives[16];
    unsigned times = b->lives != 0 && !p->quick ? b->lives : 1;
    snprintf(descriptor, sizeof descriptor, "%d", REPORT_FD);
    snprintf(lives, sizeof lives, "%u", times);
    bool is_fief = v->form == FORM_FIEF;
    const char *argv[12] = {p->places->lua_host,
                            "--allocator", is_fief ? "fief" : "libc",
                            "--gc", b->incremental ? "incremental" : "generational",
                            "--lives", lives, "--peak", descriptor};
    size_t argc = 9;
    if (b->drops && is_fief) {
        argv[argc++] = "--drop";
    }
    argv[argc] = b->script[0] != '\0' ? b->script : NULL;
    outcome o = {.status = -1};
    double kib;
    if (!run(argv, p->places->preload[which], false, &o) || o.status != 0 ||
        sscanf(o.report, "%lg", &kib) != 1) {
        return failed(b, v, &o);
    }
    double unit = strcmp(b->unit, "us") == 0 ? 1e6 : 1e3;
    ret_sample->figure = (figure){o.cpu_seconds * unit / times, not_counted()};
    ret_sample->memory = (figure){kib, not_counted()};
    return true;
}

static bool is_calm(const plan *p)
{
    return p->quick || !reference_is_slow(reference_time(), p->reference);
}

static void wait_for_calm(const plan *p, uint64_t until)
{
    struct timespec pause = {.tv_nsec = pause_nanoseconds};
    while (!is_calm(p) && clock_now() < until) {
        nanosleep(&pause, NULL);
    }
}

/* Takes from *patience what waiting and repeating cost. */
static bool run_in_calm(const plan *p, const bench *b, size_t which, uint64_t *patience,
                        sample *ret_sample)
{
    uint64_t start = clock_now(), until = start + *patience;
    for (;;) {
        wait_for_calm(p, until);
        uint64_t last_start = clock_now();
        bool calm_before = is_calm(p);
        if (b->script != NULL ? !run_program(p, b, which, ret_sample)
                              : !run_form(p, b, which, ret_sample)) {
            return false;
        }
        ret_sample->calm = is_calm(p) && calm_before;
        if (ret_sample->calm || clock_now() >= until) {
            uint64_t lost = last_start - start;
            *patience -= lost < *patience ? lost : *patience;
            return true;
        }
    }
}

/* ---- all of them ---- */

/* The indices of the variants that do this bench here; their series are opened in this order. */
static size_t choose_variants(const plan *p, const bench *b, results *r, size_t *ret_chosen)
{
    size_t count = 0;
    char peak[NAME_SIZE];
    peak_name(b, peak);
    for (size_t i = 0; i < variant_count; i++) {
        if (p->places->works[i] && takes_part(&variants[i], b)) {
            ret_chosen[count++] = i;
            results_open(r, b->name, variants[i].name, b->unit);
            if (b->script != NULL) {
                results_open(r, peak, variants[i].name, "KiB");
            }
        }
    }
    return count;
}

static void add_sample(results *r, const bench *b, size_t which, const sample *s)
{
    const char *name = variants[which].name;
    results_add(r, b->name, name, b->unit, s->figure, s->calm);
    if (b->script != NULL) {
        char peak[NAME_SIZE];
        peak_name(b, peak);
        results_add(r, peak, name, "KiB", s->memory, true);
    }
}

static void tell_progress(const plan *p, const bench *b, size_t round, const char *name)
{
    if (isatty(STDERR_FILENO)) {
        fprintf(stderr, "\r\033[K%s %s, round %zu of %zu, %s", p->progress, b->name, round,
                p->rounds, name);
    }
}

static void tell_bench(const plan *p, const bench *b, size_t variant_total)
{
    if (!isatty(STDERR_FILENO)) {
        fprintf(stderr, "%s %s, %zu rounds of %zu variants\n", p->progress, b->name, p->rounds,
                variant_total);
    }
}

static void clear_progress(void)
{
    if (isatty(STDERR_FILENO)) {
        fputs("\r\033[K", stderr);
    }
}

bool rounds_run(const plan *p, const bench *b, results *r, disturbance *ret_disturbance)
{
    size_t chosen[VARIANTS_MAX], count = choose_variants(p, b, r, chosen);
    uint64_t patience = p->quick || p->hasty ? 0 : patience_nanoseconds >> ret_disturbance->lost;
    uint64_t warm_up_patience = 0;
    tell_bench(p, b, count);
    for (size_t round = p->quick ? 1 : 0; round <= p->rounds; round++) {
        for (size_t i = 0; i < count; i++) {
            size_t which = chosen[(i + round) % count];
            sample s;
            tell_progress(p, b, round, variants[which].name);
            if (!run_in_calm(p, b, which, round > 0 ? &patience : &warm_up_patience, &s)) {
                return false;
            }
            if (round > 0) {
                add_sample(r, b, which, &s);
                ret_disturbance->runs++;
                ret_disturbance->disturbed += !s.calm;
            }
        }
    }
    clear_progress();
    ret_disturbance->lost = patience > 0 ? 0 : ret_disturbance->lost + 1;
    return true;
}
