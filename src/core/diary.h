/* diary: the last calls of a guarded runtime, so that a report can leave them behind as a program
 * that does the same (manager/diary.c writes it). NULL where the host did not ask for it. */
#ifndef FIEF_DIARY_H
#define FIEF_DIARY_H

#include <stddef.h>
#include <stdint.h>

typedef enum verb {
    VERB_NEW, VERB_ALLOC, VERB_MALLOC, VERB_COPY, VERB_ARENA_ALLOC, VERB_TAKE, /* make a block */
    VERB_FREE, VERB_RESIZE, VERB_STORE, VERB_POP,                              /* use one */
    VERB_ARENA_OPEN, VERB_ARENA_CLOSE, VERB_ARENA_RESET, VERB_CLEANUP, VERB_REWIND,
    VERB_UNIT_BEGIN, VERB_UNIT_END, VERB_UNIT_KEEP,
    VERB_POOL_OPEN, VERB_POOL_CLOSE, VERB_POOL_TRIM,
    VERB_CHECK, VERB_TRIM, VERB_LIMIT, VERB_SEAL, VERB_UNSEAL
} verb;

typedef struct note {
    uint64_t operation;
    const void *what;  /* the block, arena or pool */
    const void *where; /* the arena or pool that it is in; what a resize or a store leads to */
    size_t size, old;  /* old: before a resize; of a rewind: the first note that it undoes */
    uint16_t kind;
    uint8_t verb;
    uint8_t detail; /* a context; log2 of an alignment; of a use: the verb that made such a block;
                       a strategy */
} note;

enum { NOTES = 256, DIARY_PATH = 256 };

typedef struct diary {
    uint64_t count; /* notes so far; the last NOTES of them are kept */
    char path[DIARY_PATH];
    note notes[NOTES];
} diary;

static inline const note *diary_note(const diary *d, uint64_t number)
{
    return &d->notes[number % NOTES];
}

#endif
