/* idle: ranges of runtimes that were closed, waiting for the next ones, of whatever thread.
 *
 *     idle | range | - | range | - | ...   a word a place: filled where it is empty, emptied by one
 *
 * Each place is one word, and each step one atomic operation on it: a place that holds a range is
 * emptied by exactly one of those who want it, and a range in no place belongs to who has it. There
 * is nothing between the steps that could be seen half done, nor an old value that could come back
 * unseen: nobody compares what he read before. tests/idle/ tries every order of the steps. */
#ifndef FIEF_IDLE_H
#define FIEF_IDLE_H

#include "core/space.h"

/* A range that was opened for as much and in such pages; NULL: none waits. The caller owns it. */
fief_range *idle_take(size_t asked, bool huge);
/* The range waits from now on; false: no place is empty, and it stays the caller's. */
bool idle_put(fief_range *range);
/* Closes all that wait; returns how many. */
size_t idle_trim(void);

#endif
