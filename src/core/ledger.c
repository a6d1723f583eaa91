/* ledger: see ledger.h. */
#include "core/core.h"

#include "core/ledger.h"

#include "guard.h"

#include <string.h>

record *ledger_at_annex(const space *s, const void *p)
{
    for (const annex *a = s->annexes; a != NULL; a = a->next) {
        size_t offset = (size_t)((uintptr_t)p - (uintptr_t)a->start);
        if (offset < a->size) {
            return &a->records[offset >> CELL_SHIFT];
        }
    }
    return NULL;
}

unsigned char *ledger_block_in_annex(const space *s, const record *r)
{
    size_t cell = (size_t)(r - s->ledger);
    unsigned char *start = s->base;
    for (const annex *a = s->annexes; a != NULL; a = a->next) {
        size_t own = ((uintptr_t)r - (uintptr_t)a->records) / sizeof *r;
        if (own < a->size >> CELL_SHIFT) {
            cell = own;
            start = a->start;
        }
    }
    return start + (cell << CELL_SHIFT) + (size_t)r->start * FIEF_GRAIN;
}

annex *annex_open(space *s, void *start, size_t size)
{
    size_t skip = (uintptr_t)start % CELL;
    size_t cells = (skip + size + CELL - 1) >> CELL_SHIFT;
    annex *a = space_meta(s, sizeof *a);
    record *records = a == NULL ? NULL : space_meta(s, cells * sizeof *records);
    if (records == NULL) {
        if (a != NULL) {
            space_meta_give(s, a, sizeof *a);
        }
        return NULL;
    }
    *a = (annex){.next = s->annexes, .start = (unsigned char *)start - skip,
                 .size = cells << CELL_SHIFT, .records = records};
    s->annexes = a;
    return a;
}

void annex_close(space *s, annex *closed)
{
    for (annex **link = &s->annexes; *link != NULL; link = &(*link)->next) {
        if (*link == closed) {
            *link = closed->next;
            break;
        }
    }
    space_meta_give(s, closed->records, (closed->size >> CELL_SHIFT) * sizeof(record));
    space_meta_give(s, closed, sizeof *closed);
}

/* Large sizes stand in the entry of the span's first page, in fields that only free runs use. */
static page *head_of(const space *s, const void *block)
{
    page *entry = space_page(s, block);
    return entry != NULL ? &s->map[entry->first] : NULL;
}

size_t record_size_in_pages(const space *s, const record *r)
{
    const page *head = head_of(s, ledger_block(s, r));
    return head != NULL ? (size_t)head->prev | (size_t)head->tail << 32 : r->size;
}

/* The records of what lay here before. The last cell may be the next block's; where the block only
 * ends there, that is not looked at: it may be of a page that is not usable. */
static void forget_inside(const space *s, record *r, const unsigned char *block, size_t size)
{
    size_t end = (uintptr_t)block % CELL + size, last = end / CELL;
    if (last > 1) {
        memset(r + 1, 0, (last - 1) * sizeof *r);
    }
    if (last > 0 && end % CELL != 0 && r[last].state != BLOCK_NONE &&
        ledger_block(s, &r[last]) < block + size) {
        r[last].state = BLOCK_NONE;
    }
}

record *ledger_write(core *c, void *block, size_t size, unsigned kind)
{
    space *s = &c->space;
    record *r = ledger_at(s, block);
    if (size <= HEAP_LARGEST_MEDIUM) { /* a larger span comes clean */
        forget_inside(s, r, block, size);
    }
    size_t start = (uintptr_t)block % CELL / FIEF_GRAIN;
    *r = (record){.born = call_stack(c) & RECORD_STACK, .kind = kind & 0x1FFF, .start = start & 7,
                  .size = (size < SIZE_IN_PAGES ? size : SIZE_IN_PAGES) & SIZE_IN_PAGES,
                  .state = BLOCK_LIVE, .operation = c->operation & OPERATION_MAX};
    if (size >= SIZE_IN_PAGES) { /* in an annex no block is that large */
        page *head = head_of(s, block);
        if (head != NULL) {
            head->prev = (uint32_t)size;
            head->tail = (uint16_t)(size >> 32);
        }
    }
    return r;
}

/* The first record of the span, or the caller's buffer, that p lies in; NULL: in neither. */
static const record *first_record(const space *s, const void *p)
{
    const page *entry = space_page(s, p);
    const annex *a = s->annexes;
    if (entry != NULL) {
        return entry->used ? ledger_at(s, span_start(s, entry)) : NULL;
    }
    while (a != NULL && (uintptr_t)p - (uintptr_t)a->start >= a->size) {
        a = a->next;
    }
    return a != NULL ? a->records : NULL;
}

record *ledger_find(const space *s, const void *p)
{
    const record *first = s->ledger != NULL ? first_record(s, p) : NULL;
    if (first == NULL) {
        return NULL;
    }
    record *r = ledger_at(s, p);
    if (r->state != BLOCK_NONE && (uintptr_t)ledger_block(s, r) > (uintptr_t)p) {
        r--; /* it starts in this cell, but behind p */
    }
    while (r > first && r->state == BLOCK_NONE) {
        r--;
    }
    return r >= first && r->state != BLOCK_NONE ? r : NULL;
}
