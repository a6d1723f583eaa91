/* tally: see tally.h. */
#include "tally.h"

#include <stdlib.h>

static site_tally *site_at(tally *t, const trace *from, uint32_t site)
{
    if (site >= t->room) {
        size_t room = (size_t)trace_sites(from) * 2 + 64;
        site_tally *grown = realloc(t->sites, room * sizeof *grown);
        if (grown == NULL) {
            return NULL;
        }
        memset(grown + t->room, 0, (room - t->room) * sizeof *grown);
        t->sites = grown;
        t->room = room;
    }
    return &t->sites[site];
}

bool tally_event(tally *t, const trace *from, const trace_event *e)
{
    site_tally *s = e->block != NULL ? site_at(t, from, e->block->site) : NULL;
    t->events[e->type]++;
    t->unit_count += e->type == TRACE_UNIT;
    if (s == NULL) {
        return e->block == NULL;
    }
    uint64_t more = e->type == TRACE_RESIZE && e->size > e->old_size ? e->size - e->old_size : 0;
    s->live_blocks +=
        (e->type == TRACE_ALLOC) - (uint64_t)(e->type == TRACE_FREE || e->type == TRACE_DIES);
    s->live += e->size - e->old_size;
    s->blocks += e->type == TRACE_ALLOC;
    more += e->type == TRACE_ALLOC ? e->size : 0;
    s->bytes += more;
    t->bytes += more;
    if (trace_live_bytes(from) > t->peak_bytes) {
        t->peak_bytes = trace_live_bytes(from);
        t->peak_operation = e->operation;
    }
    return true;
}

bool tally_until(tally *t, trace *from, uint64_t operation)
{
    trace_event e;
    bool sound = true;
    while (sound && trace_next(from, &e)) {
        sound = tally_event(t, from, &e);
        show_progress(from, "reading");
        if (e.operation >= operation && trace_live_bytes(from) == t->peak_bytes) {
            break;
        }
    }
    end_progress();
    return sound;
}

bool tally_trace(tally *t, trace *from)
{
    return tally_until(t, from, UINT64_MAX);
}

void tally_free(tally *t)
{
    free(t->sites);
}
