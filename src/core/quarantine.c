/* quarantine: dead blocks of pools and the heap wait here, so that an address is not handed out
 * again while somebody may still hold it. When it is full, the oldest leave. They are looked at
 * when they are handed out again (vacant_pop), and where they may be merged with their neighbours,
 * here. The ring holds cells of the ledger, four bytes each; the budget counts the blocks with
 * their redzones, their records and the ring. */
#include "core/core.h"

#include "guard.h"

enum { ENTRY_BYTES = (int)(sizeof(uint32_t) + sizeof(record)) };
enum { ENTRIES_A_PAGE = 24 /* so the ring takes less than half of what descriptors have */ };
enum { SOON = 8 /* that leave after this one */ };

void quarantine_open(core *c, size_t budget)
{
    size_t entries = budget / (CELL + ENTRY_BYTES);
    size_t most = (size_t)c->space.pages * ENTRIES_A_PAGE;
    entries = entries < most ? entries : most;
    quarantine *q =
        entries != 0 ? space_keep(&c->space, sizeof *q + entries * sizeof q->ring[0]) : NULL;
    if (q != NULL) {
        q->entries = entries;
        q->budget = budget - entries * sizeof q->ring[0];
    }
    c->quarantine = q;
}

static size_t weight(size_t size)
{
    size += 2 * (size_t)GUARD_REDZONE;
    return (size < CELL ? CELL : size) + sizeof(record);
}

static record *nth_to_leave(const core *c, size_t n)
{
    const quarantine *q = c->quarantine;
    size_t at = q->first + n;
    return &c->space.ledger[q->ring[at < q->entries ? at : at - q->entries]];
}

/* The block goes back to its allocator. */
static void release(core *c, record *r, size_t size)
{
    unsigned char *block = ledger_block(&c->space, r);
    const page *entry = space_page(&c->space, block);
    if (entry->kind >= PAGE_MEDIUM) {
        block_must_be_untouched(c, block, size);
        r->state = BLOCK_VACANT;
    }
    if (entry->kind == PAGE_POOL) {
        pool_reuse(entry->owner, block);
    } else {
        heap_reuse((heap *)(void *)c->heap, block, size);
    }
}

/* Each pays for a look at one page. */
static void release_oldest(core *c)
{
    quarantine *q = c->quarantine;
    record *r = nth_to_leave(c, 0);
    if (q->count > SOON) {
        __builtin_prefetch(nth_to_leave(c, SOON), 1);
    }
    size_t size = record_size(&c->space, r);
    q->first = q->first + 1 < q->entries ? q->first + 1 : 0;
    q->count--;
    q->bytes -= weight(size);
    page *entry = &c->space.map[(size_t)(r - c->space.ledger) >> (PAGE_SHIFT - CELL_SHIFT)];
    if (entry->kind <= PAGE_SMALL) {
        dense_put_aside(c, r, entry);
        q->looks += q->looks < c->space.frontier;
    } else {
        release(c, r, size);
    }
}

void quarantine_put(core *c, record *r, size_t size)
{
    quarantine *q = c->quarantine;
    size_t bytes = weight(size);
    if (q == NULL || bytes > q->budget / 4) {
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
    while (c->quarantine != NULL && c->quarantine->count > 0) {
        release_oldest(c);
    }
}
