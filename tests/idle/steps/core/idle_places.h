/* idle_places, for the test of all orders: a thread hands over before each operation. */
#ifndef FIEF_IDLE_PLACES_H
#define FIEF_IDLE_PLACES_H

#include "core/space.h"

enum { IDLE_ROWS = 2, IDLE_PLACES = 2 };

/* Another thread may go on now. */
void step(void);

static inline fief_range *place_look(fief_range *const *place)
{
    step();
    return *place;
}

static inline fief_range *place_empty(fief_range **place)
{
    step();
    fief_range *range = *place;
    *place = NULL;
    return range;
}

static inline bool place_fill(fief_range **place, fief_range *range)
{
    step();
    bool is_empty = *place == NULL;
    *place = is_empty ? range : *place;
    return is_empty;
}

#endif
