/* graves: the spans of arenas that ended, in a guarded build. They stay where they are,
 * inaccessible, so that a stale pointer into them is noticed; the oldest are given back when others
 * are taken.
 *
 *     ring     | cold ................. | warm ........ |
 *              oldest                                newest
 *
 * The end of a unit is to be short, so a dying span keeps its bytes: to shut pages costs less than
 * half of what dropping them does. Bytes are dropped past the quarantine's budget, when a span is
 * taken; what is cold costs its records, a quarter of its size, and may be four times as much. */
#include "core/ledger.h"

#include "guard.h"

enum { COLD = 1 << LEDGER_SHIFT };

bool graves_open(space *s, size_t budget)
{
    graves *g = &s->graves;
    g->warm_max = (uint32_t)(budget >> PAGE_SHIFT);
    g->size = g->pages_max = g->warm_max * COLD;
    g->ring = g->size != 0 ? space_keep(s, g->size * sizeof *g->ring) : NULL;
    g->pages_max = g->ring != NULL ? g->pages_max : 0;
    return g->ring != NULL;
}

static uint32_t grave_at(const graves *g, uint32_t behind)
{
    uint32_t at = g->first + behind;
    return g->ring[at < g->size ? at : at - g->size];
}

/* The oldest warm one. */
static void cool(space *s)
{
    graves *g = &s->graves;
    uint32_t first = grave_at(g, g->count - g->warm), pages = s->map[first].length;
    g->warm--;
    g->warm_pages -= pages;
    space_discard(page_start(s, first), (size_t)pages << PAGE_SHIFT);
}

static void exhume_oldest(space *s)
{
    graves *g = &s->graves;
    uint32_t first = grave_at(g, 0), pages = s->map[first].length;
    if (g->warm == g->count) {
        cool(s);
    }
    g->first = g->first + 1 < g->size ? g->first + 1 : 0;
    g->count--;
    g->pages -= pages;
    if (guard_exhume(page_start(s, first), (size_t)pages << PAGE_SHIFT)) {
        s->held += (size_t)pages << PAGE_SHIFT; /* space_give takes it off again */
        guard_claim(page_start(s, first), (size_t)pages << PAGE_SHIFT);
        space_give(s, page_start(s, first), pages, 0);
    }
}

/* Many at a time: what is taken next then lies side by side, and is sooner shut. */
void graves_settle(space *s)
{
    graves *g = &s->graves;
    uint32_t few = g->pages_max - g->pages_max / 4;
    for (uint32_t most = g->pages > g->pages_max ? few : g->pages_max; g->pages > most;) {
        exhume_oldest(s);
    }
    while (g->warm_pages > g->warm_max) {
        cool(s);
    }
}

static void remember(space *s, uint32_t first, uint32_t pages)
{
    graves *g = &s->graves;
    uint32_t at = g->first + g->count;
    g->ring[at < g->size ? at : at - g->size] = first;
    g->count++;
    g->warm++;
    g->pages += pages;
    g->warm_pages += pages;
}

/* Pages of it may be inaccessible since a rewind; what the system leaves so is not used again. */
static void give_rest(space *s, unsigned char *span, size_t pages, size_t stays)
{
    unsigned char *rest = span + (stays << PAGE_SHIFT);
    size_t bytes = (pages - stays) << PAGE_SHIFT;
    if (s->range->reserve == NULL || guard_exhume(rest, bytes)) {
        guard_claim(rest, bytes);
        space_give(s, span, pages, stays);
    }
}

void space_bury(space *s, unsigned char *span, size_t pages, unsigned strategy)
{
    graves *g = &s->graves;
    size_t most = s->range->reserve != NULL ? g->pages_max : 0, stays = pages < most ? pages : most;
    while (stays != 0 && g->count == g->size) {
        exhume_oldest(s);
    }
    stays = stays != 0 && guard_bury(span, stays << PAGE_SHIFT, true) ? stays : 0;
    uint32_t first = (uint32_t)((size_t)(span - s->base) >> PAGE_SHIFT);
    space_own(s, first, 0, pages, PAGE_DEAD, NULL);
    for (size_t i = 0; i < pages; i++) {
        s->map[first + i].tail = (uint16_t)strategy;
    }
    if (stays < pages) {
        give_rest(s, span, pages, stays);
    }
    if (stays != 0) {
        s->map[first].length = (uint32_t)stays;
        s->held -= stays << PAGE_SHIFT;
        remember(s, first, (uint32_t)stays);
    }
}
