/* keep: what one arena holds becomes another's, where it lies. Its spans go behind the other's
 * current one, and the other goes on in the last of them; what is attached, and what rewinds have
 * killed in between, goes along. Nothing is copied: it costs a store for each page of the map.
 *
 *     to      | lent | lent | lent...|                              | empty |
 *                                    ^ here | lent | lent | lent..|
 *     from                                                              | empty | stays
 *
 * Events are numbers of their arena. Those of what moves are counted on from the new one's newest:
 * so a rewind of it to a mark that is older undoes what it was given, newest first. */
#include "core/core.h"

/* Neither the caller's bytes nor read-only pages move; and where one arena's blocks have records,
 * the other's must have them. */
bool arena_can_give(const arena *from, const arena *to)
{
    return from->buffer.end == NULL && arena_sealed(from) == 0 && from->shut == to->shut;
}

static bool is_within(size_t limit, size_t held, size_t more)
{
    return limit == 0 || (held <= limit && more <= limit - held);
}

bool arena_has_room_for(const arena *to, const arena *from)
{
    const tally *now = &to->core->tallies[to->strategy];
    return is_within(to->max, arena_used(to), arena_used(from)) &&
           is_within(now->limit, now->asked, to->core->tallies[from->strategy].asked);
}

static uint64_t moved_event(uint64_t event, uint64_t base, uint64_t newest)
{
    return newest + 1 + (event > base ? event - base : 0);
}

static void own_pages(const arena *to, const arena *from, unsigned char *start, size_t pages)
{
    space *s = &to->core->space;
    page *entry = space_page(s, start);
    if (s->apart) {
        space_resettle(s, start, pages << PAGE_SHIFT, from->strategy, to->strategy);
    }
    for (size_t i = 0; i < pages; i++) {
        entry[i].owner = (void *)(uintptr_t)to;
    }
}

static void move_spans(arena *to, arena *from, uint64_t base, uint64_t newest)
{
    arena_span *last = from->current, *spare = last->next;
    arena_span **link = to->current != NULL ? &to->current->next : &to->first;
    for (arena_span *span = from->first; span != spare; span = span->next) {
        span->entered = moved_event(span->entered, base, newest);
        own_pages(to, from, span->start, span->pages);
    }
    if (to->current != NULL) {
        to->current->left = to->window.arena;
        to->used_before = arena_used(to) - to->large + to->dead;
    }
    from->first->previous = to->current;
    last->next = *link;
    if (last->next != NULL) {
        last->next->previous = last;
    }
    *link = from->first;
    if (spare != NULL) {
        spare->previous = NULL;
    }
    to->current = last;
    to->used_before += from->used_before;
    to->window.arena.cursor = from->window.arena.cursor;
    from->first = spare;
    from->next_pages = spare != NULL ? from->next_pages : 1; /* of a small unit little is kept */
    from->current = NULL;
    from->used_before = 0;
    from->window.arena.cursor = from->window.arena.limit = NULL;
}

static void move_attachments(arena *to, arena *from, uint64_t base, uint64_t newest)
{
    attachment **link = &from->attached;
    for (; *link != NULL; link = &(*link)->next) {
        attachment *node = *link;
        node->event = moved_event(node->event, base, newest);
        if (node->kind == ATTACHED_RUN) {
            own_pages(to, from, node->start, node->size);
        }
    }
    *link = to->attached;
    to->attached = from->attached;
    from->attached = NULL;
    to->large += from->large;
    to->stand_ins += from->stand_ins;
    from->large = from->stand_ins = 0;
}

static void move_zones(arena *to, arena *from, uint64_t base, uint64_t newest)
{
    zone **link = &from->zones;
    for (; *link != NULL; link = &(*link)->next) {
        (*link)->event = moved_event((*link)->event, base, newest);
    }
    *link = to->zones;
    to->zones = from->zones;
    from->zones = NULL;
    to->dead += from->dead;
    from->dead = 0;
}

/* An arena of the runtime's own has its strategy's blocks all to itself. */
static void move_counts(core *c, fief_strategy to, fief_strategy from)
{
    tally *t = &c->tallies[to], *f = &c->tallies[from];
    t->asked += f->asked;
    t->blocks += f->blocks;
    t->asked_peak = t->asked > t->asked_peak ? t->asked : t->asked_peak;
    f->asked = f->blocks = 0;
}

void arena_give_all(arena *from, arena *to, uint64_t base)
{
    arena_note_peak(from);
    const uint64_t newest = to->window.arena.events;
    const uint64_t last = moved_event(from->window.arena.events, base, newest);
    if (from->current != NULL && from->window.arena.cursor != from->first->start) {
        move_spans(to, from, base, newest);
    }
    move_attachments(to, from, base, newest);
    move_zones(to, from, base, newest);
    move_counts(to->core, to->strategy, from->strategy);
    to->window.arena.events = last;
    arena_note_event(from);
    arena_set_limit(to);
    arena_set_limit(from);
}
