/* quarantine: dead blocks of pools and the heap wait here, so that an address is not handed out
 * again while somebody may still hold it. When it is full, its oldest quarter leaves, sorted, so
 * that blocks are handed out again by ascending addresses: left in the order of their deaths, a
 * collected heap is soon scattered, and the host's walks over its objects take twice the time.
 * What leaves is looked at when it is handed out again (vacant_pop), and where it may be merged
 * with its neighbours, here. The ring holds cells of the ledger, four bytes each; the budget counts
 * the blocks with their redzones, their records, the ring and the room to sort in. */
#include "core/core.h"

#include "guard.h"

enum { PARTS = 4, DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS };
enum { ENTRY_BYTES = (int)(sizeof(uint32_t) + sizeof(record)) };
enum { ENTRIES_A_PAGE = 24 /* so the ring takes less than half of what descriptors have */ };

static size_t most_that_leave(size_t count)
{
    return count / PARTS + 1;
}

bool quarantine_open(core *c, size_t budget)
{
    quarantine *q = &c->quarantine;
    size_t entries = budget / (CELL + ENTRY_BYTES);
    size_t most = (size_t)c->space.pages * ENTRIES_A_PAGE;
    entries = entries < most ? entries : most;
    if (entries == 0) {
        return true;
    }
    size_t bytes = (entries + most_that_leave(entries)) * sizeof *q->ring;
    q->ring = space_keep(&c->space, bytes);
    q->entries = q->ring != NULL ? entries : 0;
    q->budget = budget - bytes;
    return q->ring != NULL;
}

static size_t weight(size_t size)
{
    size += 2 * (size_t)GUARD_REDZONE;
    return (size < CELL ? CELL : size) + sizeof(record);
}

/* The block goes back to its allocator. It lies in the spans, so its record tells its page. */
static void release(core *c, record *r, size_t size)
{
    const space *s = &c->space;
    size_t cell = (size_t)(r - s->ledger);
    unsigned char *block = s->base + (cell << CELL_SHIFT) + (size_t)r->start * FIEF_GRAIN;
    const page *entry = &s->map[cell >> (PAGE_SHIFT - CELL_SHIFT)];
    heap *h = (heap *)(void *)c->heap;
    if (entry->kind == PAGE_SMALL || entry->kind == PAGE_UNSIZED) {
        vacant_link(c, heap_list(h, entry, size), r, block);
        return;
    }
    if (entry->kind >= PAGE_MEDIUM) {
        block_must_be_untouched(c, block, size);
        r->state = BLOCK_VACANT;
    }
    if (entry->kind == PAGE_POOL) {
        pool_reuse(entry->owner, block);
    } else {
        heap_reuse(h, block, size);
    }
}

/* By one digit, into `sorted`. */
static void sort_by(const uint32_t *cells, uint32_t *sorted, size_t count, unsigned shift)
{
    uint32_t next[DIGITS] = {0}, before = 0;
    for (size_t i = 0; i < count; i++) {
        next[cells[i] >> shift & (DIGITS - 1)]++;
    }
    for (size_t digit = 0; digit < DIGITS; digit++) {
        uint32_t here = next[digit];
        next[digit] = before;
        before += here;
    }
    for (size_t i = 0; i < count; i++) {
        sorted[next[cells[i] >> shift & (DIGITS - 1)]++] = cells[i];
    }
}

/* The highest first: lists hand out what joined them last. */
static void release_oldest(core *c)
{
    quarantine *q = &c->quarantine;
    uint32_t *cells = q->ring + q->first, *sorted = q->ring + q->entries;
    size_t count = most_that_leave(q->count), straight = q->entries - q->first;
    count = count < straight ? count : straight;
    size_t end = (size_t)c->space.frontier << (PAGE_SHIFT - CELL_SHIFT);
    for (unsigned shift = 0; end >> shift != 0; shift += DIGIT_BITS) {
        sort_by(cells, sorted, count, shift);
        uint32_t *other = cells;
        cells = sorted;
        sorted = other;
    }
    q->first = (q->first + count) % q->entries;
    q->count -= count;
    while (count-- > 0) {
        record *r = &c->space.ledger[cells[count]];
        size_t size = record_size(&c->space, r);
        q->bytes -= weight(size);
        release(c, r, size);
    }
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
