/* counsel: proposes and proves. See advise.h. */
#include "advise.h"

#include <fief/stats.h>

#include <stdlib.h>

enum {
    BLOCKS_LEAST = 100,
    TOGETHER_LEAST = 8,
    POOL_LARGEST = 4096,
    COUNSEL_ROUNDS = 31,
    SHORTEST = 2000000,
    TIME_OF_A_TRIAL = 300000000 /* nanoseconds */
};
static const double gain_least = 0.01, peak_gain_least = 0.02, peak_cost_most = 0.05,
                    spread_of_one_round = 0.03;

/* ---- what the trace allows ---- */

static const char *say(char *buffer, size_t size, const char *format, uint64_t a, uint64_t b)
{
    (void)snprintf(buffer, size, format, grouped(a), grouped(b));
    return buffer;
}

static const char *pool_obstacle(const habit *h, char *buffer, size_t size)
{
    if (h->smallest != h->largest) {
        return say(buffer, size, "its blocks have from %s to %s bytes", h->smallest, h->largest);
    }
    if (h->largest > POOL_LARGEST || h->largest == 0) {
        return say(buffer, size, "blocks of %s bytes gain nothing from one", h->largest, 0);
    }
    return h->resizes > 0 ? say(buffer, size, "%s resizes", h->resizes, 0) : NULL;
}

static const char *unit_obstacle(const habit *h, char *buffer, size_t size)
{
    if (h->outside > 0) {
        return say(buffer, size, "%s of %s blocks are made outside of any unit", h->outside,
                   h->blocks);
    }
    return h->outlived > 0
               ? say(buffer, size, "%s of %s blocks outlive the unit that they are made in",
                     h->outlived, h->blocks)
               : NULL;
}

static const char *batch_obstacle(const habit *h, char *buffer, size_t size)
{
    if (h->broken > 0 || h->generations == 0) {
        return say(buffer, size,
                   "its blocks don't die together: %s times one was made while others died",
                   h->broken, 0);
    }
    return h->blocks / h->generations < TOGETHER_LEAST
               ? say(buffer, size, "only %s blocks at a time die together",
                     h->blocks / h->generations, 0)
               : NULL;
}

static const char *vm_obstacle(const habit *h, char *buffer, size_t size)
{
    return h->early_deaths > 0
               ? say(buffer, size, "%s of %s blocks die before the program begins to close",
                     h->early_deaths, h->blocks)
               : NULL;
}

static const char *stack_obstacle(const habit *h, char *buffer, size_t size)
{
    if (h->unordered > 0) {
        return say(buffer, size, "a block dies while a newer one of them lives", 0, 0);
    }
    if (h->deaths == 0) {
        return say(buffer, size, "none of its blocks is freed", 0, 0);
    }
    return h->resizes > 0 ? say(buffer, size, "%s resizes", h->resizes, 0) : NULL;
}

const char *plan_obstacle(const habit *h, plan to, char *buffer, size_t size)
{
    if (h->alignment > 16) {
        return say(buffer, size, "its blocks are aligned to %s", h->alignment, 0);
    }
    if (to == USE_POOL || to == USE_STACK) {
        return to == USE_POOL ? pool_obstacle(h, buffer, size) : stack_obstacle(h, buffer, size);
    }
    /* In an arena only the newest block grows where it is. */
    if (h->resizes > h->grown_last) {
        return say(buffer, size, "%s of %s resizes are not of the newest block",
                   h->resizes - h->grown_last, h->resizes);
    }
    return to == USE_UNIT_ARENA ? unit_obstacle(h, buffer, size)
           : to == USE_VM_ARENA ? vm_obstacle(h, buffer, size)
                                : batch_obstacle(h, buffer, size);
}

const char *plan_name(plan of)
{
    static const char *const names[PLANS] = {"heap", "pool", "unit arena", "batch arena",
                                             "vm arena", "stack"};
    return names[of];
}

/* ---- proposals ---- */

static void propose(counsel *c, size_t most, uint32_t number, const habit *h, plan to)
{
    char why[200];
    if (c->count < most && plan_obstacle(h, to, why, sizeof why) == NULL) {
        c->items[c->count++] = (advice){.place = number, .plan = to, .slot_size = h->largest};
    }
}

typedef struct candidate {
    uint32_t place;
    uint64_t blocks;
} candidate;

static int by_blocks(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    return x->blocks != y->blocks ? (x->blocks < y->blocks) - (x->blocks > y->blocks)
                                  : (x->place > y->place) - (x->place < y->place);
}

/* Those with the most blocks first: they take the most time. One arena, the strictest lifetime
 * first; a pool; and a stack. */
static bool propose_all(counsel *c, const habits *h, size_t most)
{
    static const plan arenas[] = {USE_UNIT_ARENA, USE_VM_ARENA, USE_BATCH_ARENA};
    candidate *all = calloc((size_t)h->count + 1, sizeof *all);
    if (all == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < h->count; i++) {
        const habit *of = &h->of[i];
        all[i] = (candidate){i, of->blocks};
        if (of->outlived > 0 && of->outside == 0 && of->outlived < of->blocks / 2) {
            c->refused_places++;
            c->refused_blocks += of->outlived;
        }
    }
    qsort(all, h->count, sizeof *all, by_blocks);
    for (uint32_t i = 0; i < h->count && all[i].blocks >= BLOCKS_LEAST; i++) {
        size_t before = c->count;
        if (all[i].place + 1 < LANES) {
            for (size_t k = 0; k < sizeof arenas / sizeof *arenas && c->count == before; k++) {
                propose(c, most, all[i].place, &h->of[all[i].place], arenas[k]);
            }
            propose(c, most, all[i].place, &h->of[all[i].place], USE_POOL);
            propose(c, most, all[i].place, &h->of[all[i].place], USE_STACK);
        }
    }
    free(all);
    return true;
}

/* What the trace's runtime did itself, where a replay can do it, too. */
static plan recorded_plan(const habit *h, unsigned strategy)
{
    static const plan plans[FIEF_STRATEGIES][2] = {
        [FIEF_POOL] = {USE_POOL},
        [FIEF_COMPILER_ARENA] = {USE_UNIT_ARENA},
        [FIEF_STACK] = {USE_STACK},
        [FIEF_VM_ARENA] = {USE_VM_ARENA, USE_BATCH_ARENA}, /* or one of the host's own */
    };
    char why[200];
    for (size_t i = 0; i < 2 && strategy < FIEF_STRATEGIES; i++) {
        plan to = plans[strategy][i];
        if (to != KEEP_HEAP && plan_obstacle(h, to, why, sizeof why) == NULL) {
            return to;
        }
    }
    return KEEP_HEAP;
}

static void add_recorded(counsel *c, lane *lanes, const habits *h, const places *p)
{
    for (uint32_t i = 0; i + 1 < LANES && i < h->count; i++) {
        const habit *of = &h->of[i];
        plan to = of->blocks > 0 ? recorded_plan(of, places_at(p, i)->strategy) : KEEP_HEAP;
        lanes[i + 1] = (lane){to, (uint32_t)of->largest};
        c->recorded_blocks += to != KEEP_HEAP ? of->blocks : 0;
    }
}

/* ---- the proof ---- */

typedef struct trial {
    lane lanes[LANES];
    const char *allocator;
    uint64_t nanoseconds[COUNSEL_ROUNDS], kib[COUNSEL_ROUNDS];
} trial;

static void add_lane(trial *to, const advice *a)
{
    to->lanes[a->place + 1] = (lane){a->plan, (uint32_t)a->slot_size};
}

static bool check_trial(counsel *c, const play_steps *s, const trial *of, uint64_t *ret_wrong)
{
    play p = {"fief", "", s, of->lanes, 0, true};
    played got;
    c->replays++;
    if (!play_round(&p, &got)) {
        return false;
    }
    *ret_wrong = got.outlived + got.damaged;
    return true;
}

/* All arenas at once, all pools at once; one by one only where something is wrong. */
static bool check_plans(counsel *c, const play_steps *s, bool pools)
{
    trial *of = calloc(1, sizeof *of);
    uint64_t wrong = 0;
    bool sound = of != NULL;
    size_t count = 0;
    for (size_t i = 0; sound && i < c->count; i++) {
        if ((c->items[i].plan == USE_POOL) == pools) {
            add_lane(of, &c->items[i]);
            count++;
        }
    }
    sound = sound && (count == 0 || check_trial(c, s, of, &wrong));
    for (size_t i = 0; sound && wrong > 0 && i < c->count; i++) {
        if ((c->items[i].plan == USE_POOL) == pools) {
            memset(of->lanes, 0, sizeof of->lanes);
            add_lane(of, &c->items[i]);
            sound = check_trial(c, s, of, &c->items[i].outlived);
        }
    }
    free(of);
    return sound;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* In turn, so that what disturbs the machine disturbs all of them; then sorted. */
static bool time_trials(counsel *c, const play_steps *s, trial *trials, size_t count, int rounds)
{
    for (int round = 0; round < rounds; round++) {
        for (size_t i = 0; i < count; i++) {
            bool is_fief = strcmp(trials[i].allocator, "fief") == 0;
            play p = {
                trials[i].allocator, "", s, is_fief ? trials[i].lanes : NULL, c->timed, false};
            played got;
            if (fief_tool.progress) {
                fprintf(stderr, "\rreplay %zu of %zu ", (size_t)round * count + i + 1,
                        (size_t)rounds * count);
            }
            if (!play_round(&p, &got)) {
                return false;
            }
            trials[i].nanoseconds[round] = got.nanoseconds;
            trials[i].kib[round] = got.kib;
            c->replays++;
        }
    }
    if (fief_tool.progress) {
        fputs("\r\033[K", stderr);
    }
    for (size_t i = 0; i < count; i++) {
        qsort(trials[i].nanoseconds, (size_t)rounds, sizeof(uint64_t), by_size);
        qsort(trials[i].kib, (size_t)rounds, sizeof(uint64_t), by_size);
    }
    return true;
}

static double spread_of(const uint64_t *sorted, int rounds)
{
    int middle = rounds / 2;
    return (double)(sorted[middle] - sorted[0]) / (double)(sorted[0] + 1);
}

/* The fastest rounds are compared: what else runs on the machine only ever adds. The spread is how
 * far the usual round lies above it, in either. */
static void compare(const trial *base, const trial *of, int rounds, double *ret_time,
                    double *ret_spread, double *ret_peak)
{
    double first = spread_of(base->nanoseconds, rounds),
           second = spread_of(of->nanoseconds, rounds);
    int middle = rounds / 2;
    *ret_time = (double)of->nanoseconds[0] / (double)(base->nanoseconds[0] + 1);
    *ret_spread = rounds == 1 ? spread_of_one_round : first > second ? first : second;
    *ret_peak = base->kib[middle] > 0 ? (double)of->kib[middle] / (double)base->kib[middle] : 1;
}

/* What few blocks seem to gain is the measurement's. */
static bool is_credible(const advice *a, double share)
{
    enum { OPERATION_COSTS = 4 }; /* one of theirs against the usual one's */
    return 1 - a->time <= OPERATION_COSTS * share;
}

static void judge(advice *a, double share)
{
    double least = a->spread > gain_least ? a->spread : gain_least;
    a->is_credible = is_credible(a, share);
    bool is_faster = a->time < 1 - least && a->peak < 1 + peak_cost_most && a->is_credible;
    bool is_smaller = a->peak < 1 - peak_gain_least && a->time < 1 + gain_least;
    a->is_proven = a->outlived == 0 && (is_faster || is_smaller);
}

/* Of two for one place the faster stays. */
static void keep_best(counsel *c)
{
    for (size_t i = 0; i < c->count; i++) {
        for (size_t j = i + 1; j < c->count; j++) {
            advice *a = &c->items[i], *b = &c->items[j];
            if (a->place == b->place) {
                bool second = b->is_proven && (!a->is_proven || b->time < a->time);
                *a = second ? *b : *a;
                memmove(b, b + 1, (c->count - j - 1) * sizeof *b);
                c->count--;
                j--;
            }
        }
    }
}

static void pass_each(counsel *c)
{
    for (size_t i = 0; i < c->count; i++) {
        c->items[i].time = c->items[i].peak = 1;
        c->items[i].is_proven = c->items[i].outlived == 0;
    }
}

/* A clock tells nothing of a replay that is over at once: then lifetimes alone count, 0. Short ones
 * are repeated more often, where all of the trace is timed. */
static int choose_rounds(counsel *c, const play_steps *s, int least)
{
    play p = {"fief", "", s, NULL, c->timed, false};
    played got = {0};
    c->replays++;
    if (!play_round(&p, &got) || got.nanoseconds < SHORTEST) {
        return 0;
    }
    uint64_t wanted = c->timed == 0 ? TIME_OF_A_TRIAL / got.nanoseconds : 0;
    int rounds = wanted < COUNSEL_ROUNDS ? (int)wanted : COUNSEL_ROUNDS;
    return rounds > least ? rounds : least;
}

static bool prove_each(counsel *c, const play_steps *s, const habits *h, int rounds)
{
    uint64_t blocks = 0;
    for (uint32_t i = 0; i < h->count; i++) {
        blocks += h->of[i].blocks;
    }
    if (rounds == 0) {
        pass_each(c);
        return true;
    }
    trial *trials = calloc(c->count + 1, sizeof *trials);
    bool sound = trials != NULL;
    for (size_t i = 0; sound && i <= c->count; i++) {
        trials[i].allocator = "fief";
        if (i > 0 && c->items[i - 1].outlived == 0) {
            add_lane(&trials[i], &c->items[i - 1]);
        }
    }
    sound = sound && time_trials(c, s, trials, c->count + 1, rounds);
    for (size_t i = 0; sound && i < c->count; i++) {
        advice *a = &c->items[i];
        compare(&trials[0], &trials[i + 1], rounds, &a->time, &a->spread, &a->peak);
        judge(a, blocks > 0 ? (double)h->of[a->place].blocks / (double)blocks : 0);
    }
    free(trials);
    return sound;
}

enum { TRIAL_HEAP, TRIAL_TOGETHER, TRIAL_LIBC, TRIALS_OF_EACH };

/* Lanes are apart from each other: what passed its check by itself passes it with the others. Each
 * that is proven is timed once more: it was chosen for its time, and the choice prefers a lucky
 * one. */
static bool prove_together(counsel *c, const play_steps *s, const habits *h, const places *p,
                           int rounds)
{
    trial *trials = calloc(TRIALS_OF_EACH + c->count + 1, sizeof *trials);
    double spread, peak, time;
    if (trials == NULL) {
        return false;
    }
    for (size_t i = 0; i < c->count; i++) {
        if (c->items[i].is_proven) {
            add_lane(&trials[TRIAL_TOGETHER], &c->items[i]);
            add_lane(&trials[TRIALS_OF_EACH + c->proven++], &c->items[i]);
        }
    }
    trial *recorded = &trials[TRIALS_OF_EACH + c->proven];
    add_recorded(c, recorded->lanes, h, p);
    size_t count = TRIALS_OF_EACH + c->proven + (c->recorded_blocks > 0);
    for (size_t i = 0; i < count; i++) {
        trials[i].allocator = i == TRIAL_LIBC ? "libc" : "fief";
    }
    bool is_timed = rounds > 0 && (c->proven > 0 || c->recorded_blocks > 0);
    bool sound = !is_timed || time_trials(c, s, trials, count, rounds);
    if (sound && is_timed) {
        const trial *base = &trials[TRIAL_HEAP];
        compare(base, &trials[TRIAL_TOGETHER], rounds, &c->time, &c->spread, &c->peak);
        compare(base, &trials[TRIAL_LIBC], rounds, &c->libc, &spread, &peak);
        if (c->recorded_blocks > 0) {
            compare(base, recorded, rounds, &c->recorded_time, &spread, &c->recorded_peak);
        }
        for (size_t i = 0; i < c->proven; i++) {
            compare(base, &trials[TRIALS_OF_EACH + i], rounds, &time, &spread, &peak);
            c->predicted += time - 1;
        }
    }
    free(trials);
    return sound;
}

static int by_gain(const void *a, const void *b)
{
    const advice *x = a, *y = b;
    if (x->is_proven != y->is_proven) {
        return x->is_proven ? -1 : 1;
    }
    return x->time != y->time ? (x->time > y->time ? 1 : -1)
                              : (x->place > y->place) - (x->place < y->place);
}

int counsel_find(counsel *c, const play_steps *s, const habits *h, const places *p,
                 const effort *most)
{
    int rounds = most->rounds < COUNSEL_ROUNDS ? most->rounds : COUNSEL_ROUNDS;
    *c = (counsel){.time = 1, .peak = 1, .predicted = 1};
    c->timed = most->steps < s->count ? most->steps : 0;
    if (!propose_all(c, h, most->proposals < PROPOSALS_MOST ? most->proposals : PROPOSALS_MOST)) {
        return complain(CANNOT_RUN, "there is no memory for the proposals");
    }
    rounds = rounds > 0 ? choose_rounds(c, s, rounds) : 0;
    bool sound = check_plans(c, s, false) && check_plans(c, s, true) && prove_each(c, s, h, rounds);
    keep_best(c);
    sound = sound && prove_together(c, s, h, p, rounds);
    qsort(c->items, c->count, sizeof *c->items, by_gain);
    return sound ? DONE : complain(CANNOT_RUN, "the trace did not replay to its end");
}

/* ---- words ---- */

void advice_text(const advice *a, char *buffer)
{
    if (!a->is_proven) {
        (void)snprintf(buffer, TEXT_OF_ADVICE, "keep heap");
    } else if (a->plan == USE_POOL) {
        (void)snprintf(buffer, TEXT_OF_ADVICE, "pool of %llu B", (unsigned long long)a->slot_size);
    } else {
        (void)snprintf(buffer, TEXT_OF_ADVICE, "%s", plan_name(a->plan));
    }
}

void advice_lives(const advice *a, char *buffer)
{
    static const char *const lives[PLANS] = {"", "one size", "until unit", "dies together",
                                             "until close", "newest first"};
    (void)snprintf(buffer, TEXT_OF_ADVICE, "%s", lives[a->plan]);
}

void advice_proof(const advice *a, char *buffer)
{
    double time = 100 * (a->time - 1), peak = 100 * (a->peak - 1);
    if (a->outlived > 0) {
        (void)snprintf(buffer, TEXT_OF_ADVICE, "refused");
    } else if (!a->is_proven) {
        (void)snprintf(buffer, TEXT_OF_ADVICE, "no gain");
    } else if (a->spread == 0) {
        (void)snprintf(buffer, TEXT_OF_ADVICE, "not timed");
    } else if (time > -100 * gain_least || !a->is_credible) {
        (void)snprintf(buffer, TEXT_OF_ADVICE, "peak %+.0f %%", peak);
    } else {
        (void)snprintf(buffer, TEXT_OF_ADVICE, "%+.0f %%", time);
    }
}
