/* place: on which nodes of memory pages lie.
 *
 *     head | reserve: descriptors, page map, spans | ledger      one placement: the runtime's
 *                                     ^  ^^^                     spans of a strategy with another
 *
 * The runtime's is laid over all address space when it is opened, by a call for each part, and
 * costs nothing from then on. A strategy's is laid over a span when it is taken, and taken off when
 * it is given back; who asks for none has no call more. Which one a page has is told by its owner,
 * so nothing is written down for it. */
#include "core/core.h"
#include "core/ledger.h"

#include "base/size.h"
#include "os/os.h"

#include <string.h>

/* No placement that anybody asks for: some pages may lie otherwise. */
static const os_placement mixed = {.policy = OS_AS_IT_COMES, .node = 1};

void range_mix(fief_range *r)
{
    r->place = mixed;
}

bool range_is_mixed(const fief_range *r)
{
    return is_placed_so(r->place, mixed);
}

bool range_place_part(const fief_range *r, void *start, size_t size)
{
    return r->place.policy == OS_AS_IT_COMES || os_place(start, size, r->place, true);
}

bool range_place(fief_range *r, os_placement place)
{
    if (is_placed_so(r->place, place)) {
        return true;
    }
    range_mix(r);
    if (!os_place(r->reserve, r->reserve_size, place, true) ||
        !os_place(r, range_head_bytes(r), place, true) ||
        (r->ledger != NULL && !os_place(r->ledger, ledger_bytes(r->pages), place, true))) {
        return false;
    }
    r->place = place;
    return true;
}

/* ---- strategies ---- */

static placements *placements_of(const space *s)
{
    _Static_assert(sizeof(fief_range) % 64 == 0, "what is kept first lies right behind the range");
    return (placements *)(void *)(s->range + 1);
}

void space_place(space *s, const os_placement of[FIEF_STRATEGIES])
{
    placements *p = space_keep(s, sizeof *p); /* the head has room for it */
    memcpy(p->of, of, sizeof p->of);
    s->apart = true;
}

os_placement space_placement(const space *s, fief_strategy strategy)
{
    return s->apart ? placements_of(s)->of[strategy] : s->range->place;
}

size_t space_unplaced(const space *s)
{
    return s->apart ? placements_of(s)->refused : 0;
}

/* What the system refuses is counted, and lies where it comes to lie: memory is worth more than
 * its place. */
static void lay(const space *s, unsigned char *start, size_t bytes, os_placement place)
{
    if (!os_place(start, bytes, place, true)) {
        placements_of(s)->refused += bytes;
    }
}

void space_resettle(space *s, unsigned char *start, size_t bytes, fief_strategy from,
                    fief_strategy to)
{
    os_placement place = space_placement(s, to);
    if (!is_placed_so(space_placement(s, from), place)) {
        lay(s, start, bytes, place);
    }
}

void space_settle(space *s, uint32_t first, size_t from, size_t until)
{
    os_placement place = space_placement(s, page_strategy(&s->map[first]));
    if (!is_placed_so(place, s->range->place)) {
        lay(s, page_start(s, first + from), (until - from) << PAGE_SHIFT, place);
    }
}

/* Pages that lie elsewhere are worth nothing to who takes them next. Where the system refuses, they
 * are placed anew whoever that is. */
bool space_unsettle(space *s, uint32_t first, size_t from, size_t until)
{
    unsigned char *start = page_start(s, first + from);
    size_t bytes = (until - from) << PAGE_SHIFT;
    if (is_placed_so(space_placement(s, page_strategy(&s->map[first])), s->range->place)) {
        return false;
    }
    space_discard(start, bytes);
    if (!os_place(start, bytes, s->range->place, false)) {
        range_mix(s->range);
    }
    return true;
}

/* ---- another thread ---- */

/* The system moves pages to where they would be made: so they are placed on the node for a
 * moment. */
static bool follow(void *start, size_t size, os_placement place)
{
    os_placement on = {.policy = OS_ON, .node = os_node() & (OS_NODES_MAX - 1)};
    if (!is_placed_by_touch(place) || size == 0) {
        return true;
    }
    bool moved = os_place(start, size, on, true);
    return os_place(start, size, place, false) && moved;
}

static os_placement page_placement(const space *s, uint32_t number)
{
    const page *entry = &s->map[number];
    return entry->used ? space_placement(s, page_strategy(entry)) : s->range->place;
}

/* Pages that lie alike and side by side, at once. */
static bool follow_spans(const space *s)
{
    bool all = true;
    for (uint32_t first = 0, end; first < s->frontier; first = end) {
        os_placement place = page_placement(s, first);
        for (end = first + 1;
             end < s->frontier && (!s->apart || is_placed_so(page_placement(s, end), place));) {
            end++;
        }
        all = follow(page_start(s, first), (size_t)(end - first) << PAGE_SHIFT, place) && all;
    }
    return all;
}

bool space_follow(space *s)
{
    fief_range *r = s->range;
    bool head = follow(r, range_head_bytes(r), r->place);
    bool map = follow(r->reserve, (size_t)(r->base - r->reserve), r->place);
    bool ledger = r->ledger == NULL || follow(r->ledger, ledger_bytes(r->pages), r->place);
    bool spans = follow_spans(s);
    if (is_placed_by_touch(r->place)) {
        r->node = os_node() & (OS_NODES_MAX - 1);
    }
    return head && map && ledger && spans;
}
