/* quarantine: dead blocks of pools and the heap wait here, oldest out first, so that an address is
 * not handed out again while somebody may still hold it. What leaves is looked at when it is
 * handed out again (vacant_pop), and where it may be merged with its neighbours, here. The ring
 * holds cells of the ledger, four bytes each; the budget counts the blocks with their redzones,
 * their records and the ring. */
#include "core/core.h"

#include "guard.h"

enum { ENTRY_BYTES = (int)(sizeof(uint32_t) + sizeof(record)), RECORD_AHEAD = 16 };

bool quarantine_open(core *c, size_t budget)
{
    quarantine *q = &c->quarantine;
    size_t entries = budget / (CELL + ENTRY_BYTES);
    if (entries == 0) {
        return true;
    }
    q->ring = space_keep(&c->space, entries * sizeof *q->ring);
    q->entries = q->ring != NULL ? entries : 0;
    q->budget = budget - entries * sizeof *q->ring;
    return q->ring != NULL;
}

static size_t weight(size_t size)
{
    size += 2 * (size_t)GUARD_REDZONE;
    return (size < CELL ? CELL : size) + sizeof(record);
}

static record *oldest(const core *c, size_t behind)
{
    const quarantine *q = &c->quarantine;
    size_t at = q->first + behind;
    return &c->space.ledger[q->ring[at < q->entries ? at : at - q->entries]];
}

/* The block goes back to its allocator. It lies in the spans, so its record tells its page. */
static void release(core *c, record *r, size_t size)
{
    const space *s = &c->space;
    size_t cell = (size_t)(r - s->ledger);
    unsigned char *block = s->base + (cell << CELL_SHIFT) + (size_t)r->start * FIEF_GRAIN;
    const page *entry = &s->map[cell >> (PAGE_SHIFT - CELL_SHIFT)];
    heap *h = (heap *)(void *)c->heap;
    if (entry->kind == PAGE_SMALL) {
        vacant_link(c, heap_list(h, size), r, block);
        return;
    }
    if (entry->kind >= PAGE_MEDIUM) {
        block_must_be_untouched(c, block, size);
        r->state = BLOCK_VACANT;
    }
    if (entry->kind == PAGE_POOL || entry->kind == PAGE_UNSIZED) {
        pool_reuse(entry->owner, block);
    } else {
        heap_reuse(h, block, size);
    }
}

static void release_oldest(core *c)
{
    quarantine *q = &c->quarantine;
    record *r = oldest(c, 0);
    if (q->count > RECORD_AHEAD) { /* it has been cold for a while */
        __builtin_prefetch(oldest(c, RECORD_AHEAD));
    }
    size_t size = record_size(&c->space, r);
    q->bytes -= weight(size);
    q->first = q->first + 1 < q->entries ? q->first + 1 : 0;
    q->count--;
    release(c, r, size);
}

void quarantine_put(core *c, record *r, size_t size)
{
    quarantine *q = &c->quarantine;
    size_t bytes = weight(size);
    if (q->entries == 0 || bytes > q->budget / 4) {
        release(c, r, size);
        return;
    }
    while (q->count == q->entries || q->bytes + bytes > q->budget) {
        release_oldest(c);
    }
    size_t at = q->first + q->count;
    q->ring[at < q->entries ? at : at - q->entries] = (uint32_t)(r - c->space.ledger);
    q->count++;
    q->bytes += bytes;
}

void quarantine_drain(core *c)
{
    while (c->quarantine.count > 0) {
        release_oldest(c);
    }
}
