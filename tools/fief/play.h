/* play: a trace as steps, and the steps done again in a process of their own.
 *
 *     play_steps s; steps_make(&s, "x.trace")         steps in a file without a name, 16 bytes each
 *     play p = {.allocator = "fief", .steps = &s};    how; with `lanes`, on fief's strategies
 *     played r; play_round(&p, &r)                    a process; time, peak, what was wrong
 *
 * A step's lane is the place that made the block (places.h), and the lanes' table says which
 * strategy it goes to: so one file of steps serves every proposal. */
#ifndef FIEF_TOOL_PLAY_H
#define FIEF_TOOL_PLAY_H

#include "tool.h"

typedef enum step_kind {
    STEP_ALLOC,
    STEP_CALLOC,
    STEP_ALIGNED,
    STEP_FREE,
    STEP_RESIZE,
    STEP_UNIT,
    STEP_UNIT_END
} step_kind;

typedef struct play_step {
    uint64_t size;
    uint32_t slot; /* of the block */
    uint8_t kind, align_log2;
    uint16_t lane; /* 0: none of the table */
} play_step;

/* Where a lane's blocks go. A batch arena is reset when the last of its lane's blocks is dead; a
 * stack is the lane's own. */
typedef enum plan {
    KEEP_HEAP,
    USE_POOL,
    USE_UNIT_ARENA,
    USE_BATCH_ARENA,
    USE_VM_ARENA,
    USE_STACK,
    PLANS
} plan;

typedef struct lane {
    uint32_t plan;
    uint32_t slot_size; /* of a pool */
} lane;

enum { LANES = 4096, STEPS_AT_ONCE = 4096 };

typedef struct play_steps {
    int file;
    uint64_t count, slots;
    play_step buffer[STEPS_AT_ONCE];
    size_t buffered;
    bool failed, has_lanes, ends; /* ends: a unit's end waits for its blocks' deaths */
} play_steps;

typedef struct play {
    const char *allocator; /* fief; another is libc's functions, with `library` before them */
    const char *library;   /* or "" */
    const play_steps *steps;
    const lane *lanes; /* LANES of them, or NULL: all on the heap, by a loop that has no lanes */
    uint64_t most;     /* of the steps, the first so many; 0: all */
    bool checks;       /* each block's bytes, and whether one outlives its arena; slower */
} play;

typedef struct played {
    uint64_t nanoseconds, kib;
    uint64_t outlived, damaged; /* of `checks`; outlived: also what was not the newest of a stack */
} played;

/* By hand, while a trace is read: each event with the place of its block, if it has one. What fails
 * is said at the end, with the status. `has_lanes`: places and units are kept. */
bool steps_open(play_steps *s, bool has_lanes);
void steps_event(play_steps *s, const trace *t, const trace_event *e, uint32_t number);
int steps_end(play_steps *s, const char *path);
/* All of a file, without lanes. */
int steps_make(play_steps *s, const char *path);
void steps_free(play_steps *s);
bool play_round(const play *p, played *ret);
/* replay.c: says so where this build is none to be timed. */
void play_hint(void);
/* In the process that play_round starts: FIEF_REPLAY has its order. */
int play_work(const char *words);

#endif
