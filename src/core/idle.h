/* idle: ranges of runtimes that were closed, waiting for the next ones, of whatever thread.
 *
 *     node 0 | range | - | range | - | ...   a word a place: filled where it is empty, and
 *     node 1 | range | - | ...               emptied by one
 *
 * A thread finds what was left with its own node's pages. Rows are few, and a node of a high number
 * shares one; so a range tells its node, as it tells its size, to who took it out.
 *
 * Each place is one word, and each step one atomic operation on it: a place that holds a range is
 * emptied by exactly one of those who want it, and a range in no place belongs to who has it. There
 * is nothing between the steps that could be seen half done, nor an old value that could come back
 * unseen: nobody compares what he read before. tests/idle/ tries every order of the steps. */
#ifndef FIEF_IDLE_H
#define FIEF_IDLE_H

#include "core/space.h"

/* What is asked of a range: its size and its sort of pages, on which node, placed how. */
typedef struct idle_wish {
    size_t asked;
    bool huge;
    unsigned node;
    os_placement place;
} idle_wish;

/* Such a range; NULL: none waits. The caller owns it. */
fief_range *idle_take(const idle_wish *wish);
/* The range waits from now on; false: no place is empty, and it stays the caller's. */
bool idle_put(fief_range *range);
/* Closes all that wait; returns how many. */
size_t idle_trim(void);

#endif
