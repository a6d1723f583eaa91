/* lives: what a Lox program did with its memory, block by block.
 *
 *     lox (all-heap, watched) ── born, resized, died ──> lives   what each block was, and how long
 *                                                    └─> events  the same in order, to be replayed
 *
 * Age is counted in bytes: those that the program asked for between a block's birth and its death.
 * That is the collector's own clock, and the same on every machine. */
#ifndef DEMO_LIVES_H
#define DEMO_LIVES_H

#include "strategy.h"

typedef enum end { END_UNIT, END_POP, END_FREE, END_CLOSE, ENDS } end;

typedef struct life {
    kind kind;
    fief_strategy strategy;
    unsigned context;
    end end;
    size_t bytes; /* asked for, growth included */
    uint64_t born, age;
} life;

typedef enum what { BORN, RESIZED, DIED, UNIT_BEGAN, UNIT_ENDED } what;

/* With what a host knows of its block, so that a replay need not look its life up. */
typedef struct event {
    uint8_t what, kind, context;
    uint32_t life;
    size_t old_size, size; /* of the block, before and from now on */
} event;

typedef struct lives {
    life *all;
    event *events;
    size_t count, event_count;
    size_t life_room, event_room;
    struct place *places; /* block -> life, for those that live */
    size_t place_count, place_room;
    uint64_t clock; /* bytes asked for so far */
    bool is_closing;
} lives;

/* Runs the program; its output is dropped. False where it did not end well. */
bool lives_record(lives *l, const char *path);
void lives_close(lives *l);

#endif
