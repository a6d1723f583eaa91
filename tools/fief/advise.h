/* advise: what each place's blocks would better be, as the trace shows it, and proven by a replay.
 *
 * The trace proposes: a pool where all blocks have one size, an arena where they die together or
 * live to the end, a stack where the newest dies first (habits.h counts that). The replay disposes:
 * one with every block's bytes and lifetime checked, then some that are timed, beside all of it on
 * the heap. */
#ifndef FIEF_TOOL_ADVISE_H
#define FIEF_TOOL_ADVISE_H

#include "habits.h"
#include "play.h"

enum { PROPOSALS_MOST = 12, TEXT_OF_ADVICE = 80 };

typedef struct advice {
    uint32_t place;
    plan plan;
    uint64_t slot_size;        /* of a pool */
    bool is_credible;          /* the time gained is not more than so few blocks can gain */
    bool is_proven;            /* it brings more than the spread, and costs nothing beyond it */
    uint64_t outlived;         /* blocks, in the checked replay; then it is never advised */
    double time, spread, peak; /* of everything; 1 is all on the heap */
} advice;

typedef struct counsel {
    advice items[PROPOSALS_MOST];
    size_t count;
    uint64_t replays, timed; /* timed: the first so many steps; 0: all */
    uint64_t refused_places, refused_blocks; /* of which some outlive the unit that most die in */
    size_t proven;
    double time, spread, peak; /* of all that is proven, together */
    double predicted, libc;    /* what the parts add up to; libc's time */
    uint64_t recorded_blocks;  /* that the trace's runtime had elsewhere than on its heap */
    double recorded_time, recorded_peak; /* those where they were; 0: not timed */
} counsel;

typedef struct effort {
    size_t proposals;
    int rounds;     /* of each, at least; 0: they are only checked, and what passes is proven */
    uint64_t steps; /* timed, of the first; 0: all. All are checked, always */
} effort;

/* The status; said why. */
int counsel_find(counsel *c, const play_steps *s, const habits *h, const places *p,
                 const effort *most);
/* "pool of 40 B", "until unit", "-11 %"; at most TEXT_OF_ADVICE bytes. */
void advice_text(const advice *a, char *buffer);
void advice_lives(const advice *a, char *buffer);
void advice_proof(const advice *a, char *buffer);
/* May the place's blocks go there, by what the trace shows? NULL: yes; else why not, in
 * `buffer`. */
const char *plan_obstacle(const habit *h, plan to, char *buffer, size_t size);
const char *plan_name(plan of);

#endif
