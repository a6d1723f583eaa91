/* idle_places: what core/idle.c does to a place, each one atomic operation. By itself, since the
 * test of all orders has operations of its own. */
#ifndef FIEF_IDLE_PLACES_H
#define FIEF_IDLE_PLACES_H

#include "core/space.h"

enum { IDLE_ROWS = 16, IDLE_PLACES = 16 };

static inline fief_range *place_look(fief_range *const *place)
{
    return __atomic_load_n(place, __ATOMIC_RELAXED);
}

static inline fief_range *place_empty(fief_range **place)
{
    return __atomic_exchange_n(place, NULL, __ATOMIC_ACQ_REL);
}

/* False: it is not empty. */
static inline bool place_fill(fief_range **place, fief_range *range)
{
    fief_range *empty = NULL;
    return __atomic_compare_exchange_n(place, &empty, range, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_RELAXED);
}

#endif
