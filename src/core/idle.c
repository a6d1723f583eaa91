/* idle: see idle.h. */
#include "core/idle.h"

#include "core/idle_places.h"
#include "os/os.h"

enum { LINE_SHIFT = 6 };

static fief_range *places[IDLE_ROWS][IDLE_PLACES];

/* Threads begin at places of their own, where they left what is warm in their caches. */
static fief_range **idle_place(unsigned node, size_t nth)
{
    return &places[node % IDLE_ROWS][nth % IDLE_PLACES];
}

static size_t first_place(void)
{
    return (os_thread() >> LINE_SHIFT) * 0x9E3779B97F4A7C15u >> 48;
}

static bool is_wished(const fief_range *range, const idle_wish *wish)
{
    return range->asked == wish->asked && range->huge == wish->huge && range->node == wish->node &&
           is_placed_so(range->place, wish->place);
}

fief_range *idle_take(const idle_wish *wish)
{
    const size_t first = first_place();
    for (size_t i = 0; i < IDLE_PLACES; i++) {
        fief_range **place = idle_place(wish->node, first + i);
        fief_range *range = place_look(place) != NULL ? place_empty(place) : NULL;
        if (range != NULL && is_wished(range, wish)) {
            return range;
        }
        if (range != NULL && !idle_put(range)) {
            range_close(range); /* others filled every place meanwhile */
        }
    }
    return NULL;
}

bool idle_put(fief_range *range)
{
    const size_t first = first_place();
    for (size_t i = 0; i < IDLE_PLACES; i++) {
        fief_range **place = idle_place(range->node, first + i);
        if (place_look(place) == NULL && place_fill(place, range)) {
            return true;
        }
    }
    return false;
}

size_t idle_trim(void)
{
    size_t closed = 0;
    for (size_t i = 0; i < (size_t)IDLE_ROWS * IDLE_PLACES; i++) {
        fief_range *range = place_empty(&places[i / IDLE_PLACES][i % IDLE_PLACES]);
        if (range != NULL) {
            range_close(range);
            closed++;
        }
    }
    return closed;
}

/* A plugin that takes the library along leaves no address space behind. */
static __attribute__((destructor)) void unload(void)
{
    (void)idle_trim();
}
