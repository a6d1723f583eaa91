/* dense: blocks that left the quarantine stay aside, counted by page, until three eighths of
 * their page are such blocks; then all of them are handed out, whoever is looking for one.
 *
 *     page      a . a . . . a . .     few are aside: who allocates goes elsewhere
 *     page      a a a . a a a a .     dense: the next allocations lie side by side
 *
 * What a host makes one after the other is walked and dies together. In the order of their deaths,
 * or wherever a sweep left a hole, blocks are soon scattered, and each walk over what was made of
 * them goes from miss to miss. Dense pages stay dense, since what is made in one dies together.
 *
 * While more is aside than the quarantine's budget, pages of the mean density will do, but no
 * page of which a thirty-second would be handed out: to read its records costs more.
 * Idea: Immix allocates where whole lines are free, mimalloc from one page at a time. */
#include "core/core.h"

#include "guard.h"

enum { DENSE = PAGE_SIZE / 8 * 3, SPARSE = PAGE_SIZE / 32,
       PAGES_AT_ONCE = 2 /* which may not have what is wanted */ };

/* Of its page; a slot of a pool is as large as any other. */
static size_t bytes_of(const record *r, const page *entry)
{
    size_t bytes = r->size + 2 * (size_t)GUARD_REDZONE;
    bytes = bytes < CELL ? CELL : bytes;
    return entry->kind == PAGE_POOL ? ((const pool *)entry->owner)->step : bytes;
}

void dense_put_aside(core *c, record *r, page *entry)
{
    size_t bytes = bytes_of(r, entry);
    r->state = BLOCK_ASIDE;
    entry->prev += (uint32_t)bytes;
    c->quarantine->aside += bytes;
}

void dense_forget(core *c, page *entry)
{
    if (entry->prev != 0) {
        c->quarantine->aside -= entry->prev;
        entry->prev = 0;
    }
}

/* From the last to the first: lists hand out what joined them last. */
static void hand_out(core *c, uint32_t index)
{
    space *s = &c->space;
    page *entry = &s->map[index];
    record *first = &s->ledger[(size_t)index << (PAGE_SHIFT - CELL_SHIFT)];
    unsigned char *cell = page_start(s, index) + PAGE_SIZE;
    for (record *r = first + (PAGE_SIZE >> CELL_SHIFT); r-- > first;) {
        cell -= CELL;
        if (r->state == BLOCK_ASIDE) {
            fief_vacant **list = entry->kind == PAGE_POOL
                                     ? pool_list(entry->owner)
                                     : heap_list((heap *)(void *)c->heap, entry, r->size);
            vacant_link(c, list, r, cell + r->start * (size_t)FIEF_GRAIN);
        }
    }
    dense_forget(c, entry);
}

/* The entries of other pages have something else in that field. */
static bool has_aside(const page *entry, size_t least)
{
    return entry->used && entry->kind >= PAGE_POOL && entry->kind <= PAGE_SMALL &&
           entry->prev >= least;
}

bool dense_refill(core *c, fief_vacant *const *list, bool all)
{
    quarantine *q = c->quarantine;
    const space *s = &c->space;
    if (q == NULL || q->aside == 0) {
        return false;
    }
    size_t mean = q->aside > q->budget ? q->aside / s->frontier : DENSE;
    mean = mean < DENSE ? mean : DENSE;
    size_t least = all ? 1 : mean > SPARSE ? mean : SPARSE;
    q->looks = all ? s->frontier : q->looks;
    for (unsigned pages = 0; q->aside != 0 && q->looks != 0 && (all || pages < PAGES_AT_ONCE);) {
        q->looks--;
        q->at = q->at + 1 < s->frontier ? q->at + 1 : 0;
        if (has_aside(&s->map[q->at], least)) {
            hand_out(c, q->at);
            pages++;
            if (*list != NULL) {
                return true;
            }
        }
    }
    return false;
}
