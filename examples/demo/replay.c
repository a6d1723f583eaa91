#include "replay.h"

#include "../../bench/measure.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS_MOST = 99 };

typedef struct stage {
    const lives *lives;
    fief_strategy strategy;
    const event *events; /* the strategy's own, and the units' */
    size_t count;
    void **blocks; /* of each life */
    fief_range *range;
    fief_runtime *rt; /* stays open from pass to pass, but for what dies with it */
} stage;

static _Noreturn void give_up(const char *why)
{
    fprintf(stderr, "patterns: %s\n", why);
    exit(EXIT_FAILURE);
}

static void *must(void *block)
{
    if (block == NULL) {
        give_up("out of memory");
    }
    return block;
}

/* For who looks between two events. */
static void play_one(const stage *s, const event *e, pass *run)
{
    stage one = *s;
    one.events = e;
    one.count = 1;
    run(&one, 1);
}

/* ---- malloc ---- */

/* The two ways to have zeroed blocks of libc; which is the faster one depends on the sizes. */
static void *by_calloc(size_t size)
{
    return must(calloc(1, size));
}

static void *by_memset(size_t size)
{
    void *block = must(malloc(size));
    __asm__ volatile("" : "+r"(block)); /* or gcc makes a calloc of it */
    return memset(block, 0, size);
}

static void *resized(void *block, const event *e)
{
    char *moved = must(realloc(block, e->size));
    if (e->size > e->old_size) {
        memset(moved + e->old_size, 0, e->size - e->old_size);
    }
    return moved;
}

static inline void pass_libc(stage *s, size_t count, void *(*zeroed)(size_t))
{
    for (; count > 0; count--) {
        for (const event *e = s->events; e < s->events + s->count; e++) {
            void **block = &s->blocks[e->life];
            switch (e->what) {
            case BORN:
                *block = zeroed(e->size);
                break;
            case RESIZED:
                *block = resized(*block, e);
                break;
            case DIED:
                free(*block);
                break;
            case UNIT_BEGAN:
            case UNIT_ENDED:
                break;
            }
        }
    }
}

static void pass_calloc(void *s, size_t count)
{
    pass_libc(s, count, by_calloc);
}

static void pass_memset(void *s, size_t count)
{
    pass_libc(s, count, by_memset);
}

/* What glibc takes for a block: its size word, and what it rounds up to. */
static size_t footprint(void *block)
{
    return block != NULL ? malloc_usable_size(block) + sizeof(size_t) : 0;
}

/* Once more, untimed, for the peak. */
static size_t peak_of_malloc(stage *s)
{
    size_t now = 0, peak = 0;
    memset(s->blocks, 0, s->lives->count * sizeof *s->blocks);
    for (const event *e = s->events; e < s->events + s->count; e++) {
        void **block = &s->blocks[e->life];
        now -= e->what == BORN ? 0 : footprint(*block);
        play_one(s, e, pass_calloc);
        *block = e->what == DIED ? NULL : *block;
        now += footprint(*block);
        peak = now > peak ? now : peak;
    }
    return peak;
}

/* ---- Fief ---- */

static void die(const stage *s, fief_runtime *rt, const event *e)
{
    void *block = s->blocks[e->life];
    if (s->strategy == FIEF_STACK) {
        (void)fief_stack_pop(fief_frame_stack(rt), block, e->old_size);
    } else if (s->strategy == FIEF_POOL || s->strategy == FIEF_HEAP) {
        fief_free(rt, e->kind, block, e->old_size);
    } /* an arena's blocks die with their unit, or with the VM */
}

static void play(stage *s, fief_runtime *rt)
{
    fief_unit unit = {0};
    for (const event *e = s->events; e < s->events + s->count; e++) {
        void **block = &s->blocks[e->life];
        switch (e->what) {
        case BORN:
            *block = must(fief_new(rt, e->kind, e->context, e->size));
            break;
        case RESIZED:
            *block = must(fief_resize(rt, e->kind, *block, e->old_size, e->size));
            break;
        case DIED:
            die(s, rt, e);
            break;
        case UNIT_BEGAN:
            unit = fief_unit_begin(rt);
            break;
        case UNIT_ENDED:
            fief_unit_end(rt, unit);
            break;
        }
    }
}

static fief_runtime *must_open(const stage *s)
{
    fief_runtime *rt = fief_open(
        &(fief_config){.kinds = lox_kinds, .kind_count = KINDS, .align = 8, .range = s->range});
    if (rt == NULL) {
        give_up("no runtime");
    }
    return rt;
}

static void pass_fief(void *state, size_t count)
{
    stage *s = state;
    for (; count > 0; count--) {
        play(s, s->rt);
        if (s->strategy == FIEF_VM_ARENA) {
            fief_close(s->rt);
            s->rt = must_open(s);
        }
    }
}

/* A stack's peak between two spans is known only to who looks at each push. */
static size_t peak_of_stack(const stage *s)
{
    size_t peak = 0;
    for (const event *e = s->events; e < s->events + s->count; e++) {
        play_one(s, e, pass_fief);
        size_t now = fief_stats_strategy(s->rt, FIEF_STACK).used_bytes;
        peak = now > peak ? now : peak;
    }
    return peak;
}

static size_t peak_of_fief(stage *s)
{
    if (s->strategy == FIEF_STACK) {
        return peak_of_stack(s);
    }
    play(s, s->rt);
    return fief_stats_strategy(s->rt, s->strategy).peak_bytes;
}

/* ---- both ---- */

/* Its own events, and its share of the lives. */
static event *choose(stage *s, saving *ret_saving)
{
    const lives *l = s->lives;
    event *chosen = must(calloc(l->event_count + 1, sizeof *chosen));
    for (size_t i = 0; i < l->event_count; i++) {
        const event *e = &l->events[i];
        bool is_unit = e->what == UNIT_BEGAN || e->what == UNIT_ENDED;
        if (is_unit ? s->strategy == FIEF_COMPILER_ARENA
                    : l->all[e->life].strategy == s->strategy) {
            chosen[s->count++] = *e;
        }
    }
    for (size_t i = 0; i < l->count; i++) {
        if (l->all[i].strategy == s->strategy) {
            ret_saving->blocks++;
            ret_saving->bytes += l->all[i].bytes;
        }
    }
    bool dies_whole = s->strategy == FIEF_VM_ARENA || s->strategy == FIEF_COMPILER_ARENA;
    ret_saving->frees_spared = dies_whole ? ret_saving->blocks : 0;
    s->events = chosen;
    return chosen;
}

enum { FIEF, CALLOC, MEMSET, WAYS };

/* All in turn, each round beginning with another. Of libc's ways the better one counts. */
static void time_all(stage *s, unsigned rounds, bool quick, saving *ret_saving)
{
    static double times[WAYS][ROUNDS_MOST], ratios[ROUNDS_MOST];
    static pass *const passes[WAYS] = {pass_fief, pass_calloc, pass_memset};
    job given = {.quick = quick};
    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned turn = 0; turn < WAYS; turn++) {
            unsigned way = (round + turn) % WAYS;
            times[way][round] = measure_loop(&given, passes[way], s, 1).value;
        }
    }
    double calloc_time = median_of(times[CALLOC], rounds);
    double memset_time = median_of(times[MEMSET], rounds);
    const double *best = times[calloc_time < memset_time ? CALLOC : MEMSET];
    for (unsigned round = 0; round < rounds; round++) {
        ratios[round] = times[FIEF][round] / best[round];
    }
    ret_saving->malloc.nanoseconds = median_of(best, rounds);
    ret_saving->fief.nanoseconds = median_of(times[FIEF], rounds);
    ret_saving->ratio = median_of(ratios, rounds);
    ret_saving->spread = rounds > 1 ? half_range_of(ratios, rounds) : 0;
}

saving replay(const lives *l, fief_strategy strategy, unsigned rounds, bool quick)
{
    saving saved = {0};
    stage s = {.lives = l, .strategy = strategy, .range = fief_range_open(0)};
    s.blocks = must(calloc(l->count + 1, sizeof *s.blocks));
    if (s.range == NULL) {
        give_up("no range");
    }
    s.rt = must_open(&s);
    event *chosen = choose(&s, &saved);
    if (saved.blocks > 0) {
        time_all(&s, rounds < ROUNDS_MOST ? rounds : ROUNDS_MOST, quick, &saved);
        saved.fief.peak_bytes = peak_of_fief(&s);
        saved.malloc.peak_bytes = peak_of_malloc(&s);
    }
    fief_close(s.rt);
    fief_range_close(s.range);
    free(chosen);
    free(s.blocks);
    return saved;
}
