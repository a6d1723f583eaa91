/* habits: how the blocks of each place live: how many, how large, how long, and with whom they die.
 * Counted in a second reading, since places have their names then (places.h). */
#ifndef FIEF_TOOL_HABITS_H
#define FIEF_TOOL_HABITS_H

#include "places.h"

enum { AGES = 40 }; /* powers of two, of operations */

typedef struct habit {
    uint64_t blocks, bytes;                 /* made; bytes with what resizes added */
    uint64_t live, live_blocks;             /* now, and at the end what is left */
    uint64_t most, most_blocks;             /* at once */
    uint64_t smallest, largest, alignment;  /* of a block, ever */
    uint64_t resizes, moves, grown_last;    /* grown_last: of the newest block of the trace */
    uint64_t deaths, early_deaths;          /* early: before the program began to close */
    uint64_t age_sum, time_sum, ages[AGES]; /* operations, microseconds; of the dead */
    uint64_t outside, outlived; /* born in no unit; dead after the unit it was born in */
    uint64_t outlived_by;       /* number of the first such block, 0: none */
    uint64_t outlived_operation, outlived_unit, outlived_died;
    uint64_t generations, broken; /* fell to none; broken: one was made while others died */
    uint64_t rounded;             /* bytes lost to multiples of 16, of all made */
    uint64_t unordered; /* died while a newer one of the place lived: then not counted on */
    uint64_t *order;    /* while none did: the live blocks, the newest last */
    uint64_t order_room;
    bool falling;
} habit;

typedef struct habits {
    habit *of; /* by place */
    uint32_t count;
    uint64_t closing; /* the operation at which the program began to free what it had */
    uint64_t newest, batch;
    uint64_t *unit_batch; /* by unit: the batch that ended it, 0: open */
    uint32_t unit_room;
} habits;

/* The first reading's part: where does the program begin to close? */
typedef struct closing {
    uint64_t start, allocs, frees; /* start 0: it is not closing */
} closing;
void closing_event(closing *c, const trace_event *e);

bool habits_open(habits *h, uint32_t place_count, uint64_t closing);
void habits_close(habits *h);
/* `number`: of the event's block's place; whatever where it has none. False: no memory. */
bool habits_event(habits *h, const trace *t, const trace_event *e, uint32_t number);
/* The age that half of the dead did not reach, in operations: a power of two. */
uint64_t habit_usual_age(const habit *h);
unsigned log2_of(uint64_t number); /* 0 and 1: 0 */

#endif
