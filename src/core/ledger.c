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

unsigned char *ledger_block(const space *s, const record *r)
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

size_t record_size(const space *s, const record *r)
{
    const page *head = r->size == SIZE_IN_PAGES ? head_of(s, ledger_block(s, r)) : NULL;
    return head != NULL ? (size_t)head->prev | (size_t)head->tail << 32 : r->size;
}

/* The records of what lay here before. The last cell may be the next block's. */
static void forget_inside(const space *s, record *r, const unsigned char *block, size_t size)
{
    size_t last = ((uintptr_t)block % CELL + size) / CELL;
    if (last > 1) {
        memset(r + 1, 0, (last - 1) * sizeof *r);
    }
    if (last > 0 && r[last].state != BLOCK_NONE && ledger_block(s, &r[last]) < block + size) {
        r[last].state = BLOCK_NONE;
    }
}

static void ledger_write(core *c, void *block, size_t size, unsigned kind)
{
    space *s = &c->space;
    record *r = ledger_at(s, block);
    if (size <= HEAP_LARGEST_MEDIUM) { /* a larger span comes clean */
        forget_inside(s, r, block, size);
    }
    size_t start = (uintptr_t)block % CELL / FIEF_GRAIN;
    *r = (record){.born = call_stack(c) & 0xFFFFFF, .kind = kind & 0x1FFF, .start = start & 7,
                  .size = (size < SIZE_IN_PAGES ? size : SIZE_IN_PAGES) & SIZE_IN_PAGES,
                  .state = BLOCK_LIVE, .operation = c->operation & OPERATION_MAX};
    if (size >= SIZE_IN_PAGES) { /* in an annex no block is that large */
        page *head = head_of(s, block);
        if (head == NULL) {
            return;
        }
        head->prev = (uint32_t)size;
        head->tail = (uint16_t)(size >> 32);
    }
}

static void ledger_died(core *c, record *r)
{
    r->state = c->dying;
    r->died = call_stack(c) & 0xFFFFFF;
}

/* The first record of the span, or the caller's buffer, that p lies in; NULL: it lies in neither. */
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

/* ---- blocks come and go, while they are seen ---- */

static bool is_recorded(const core *c, fief_strategy strategy)
{
    return c->space.ledger != NULL && (GUARD_SHUT || strategy <= FIEF_STACK);
}

void block_lend(core *c, fief_strategy strategy, void *block, size_t size, unsigned kind)
{
    guard_lend(block, size);
    budget_take(c, strategy, kind, size);
    if (is_recorded(c, strategy)) {
        ledger_write(c, block, size, kind);
    }
}

static void look(core *c, const void *block, size_t size, const char *owner)
{
    const void *at = block;
    guard_verdict verdict = guard_look(block, size, &at);
    if (verdict == GUARD_INTACT) {
        return;
    }
    bool past = verdict == GUARD_OVERFLOW;
    misuse(c, past ? FIEF_MISUSE_OVERFLOW : FIEF_MISUSE_UNDERFLOW, at, size,
           "a block of %s was written %s", owner, past ? "past its end" : "before its start");
}

void block_take_back(core *c, fief_strategy strategy, void *block, size_t size, unsigned kind,
                     const char *owner)
{
    look(c, block, size, owner);
    guard_return(block, size);
    if (is_recorded(c, strategy)) {
        record *r = ledger_at(&c->space, block);
        kind = (unsigned)r->kind;
        ledger_died(c, r);
    }
    budget_give(c, strategy, kind, size, 1);
}

void block_shrink(core *c, fief_strategy strategy, void *block, size_t old_size, size_t new_size,
                  unsigned kind)
{
    if (is_recorded(c, strategy)) {
        kind = (unsigned)ledger_at(&c->space, block)->kind;
    }
    look(c, block, old_size, "the heap");
    guard_shrink(block, old_size, new_size);
    budget_give(c, strategy, kind, old_size, 1);
    budget_take(c, strategy, kind, new_size);
    if (is_recorded(c, strategy)) {
        ledger_write(c, block, new_size, kind);
    }
}

/* What a pointer that is no live block's start is, for who wants to free it. */
static void report_no_block(core *c, void *p, size_t size)
{
    const record *r = ledger_find(&c->space, p);
    uintptr_t start = r != NULL ? (uintptr_t)ledger_block(&c->space, r) : 0;
    bool inside = r != NULL && (uintptr_t)p - start < record_size(&c->space, r) + GUARD_REDZONE;
    if (inside && r->state != BLOCK_LIVE) {
        misuse(c, FIEF_MISUSE_DOUBLE_FREE, p, size, "the block is free already");
    } else {
        misuse(c, FIEF_MISUSE_INTERIOR_FREE, p, size, inside ? "points %zu bytes into a block"
               : "points at no block (%zu bytes from one)", (size_t)((uintptr_t)p - start));
    }
}

bool block_is_live(core *c, void *block, size_t size, unsigned kind)
{
    record *r = ledger_at(&c->space, block);
    if (r->state != BLOCK_LIVE || ledger_block(&c->space, r) != block) {
        report_no_block(c, block, size);
        return false;
    }
    if (record_size(&c->space, r) != size) {
        misuse(c, FIEF_MISUSE_WRONG_SIZE, block, size,
               "given back with a size of %zu, but it has %zu", size, record_size(&c->space, r));
        return false;
    }
    if (kind != c->no_kind && r->kind != kind && r->kind != c->no_kind) {
        misuse(c, FIEF_MISUSE_WRONG_KIND, block, size, "given back under a kind that it is not");
        return false;
    }
    return true;
}

size_t blocks_check(core *c)
{
    const space *s = &c->space;
    size_t looked = 0;
    for (uint32_t i = 0; i < s->frontier; i++) {
        const page *entry = &s->map[i];
        const record *end = ledger_at(s, page_start(s, i)) + (PAGE_SIZE >> CELL_SHIFT);
        bool looks = entry->used && entry->kind != PAGE_DEAD;
        record *r = looks ? ledger_at(s, page_start(s, i)) : NULL;
        for (r = r != NULL ? ledger_next(r, end) : r; r != NULL && r < end; r = ledger_next(r + 1, end)) {
            if (r->state == BLOCK_LIVE) {
                unsigned char *block = ledger_block(s, r);
                size_t size = record_size(s, r);
                look(c, block, size, owner_name(entry));
                looked++;
            }
        }
    }
    return looked;
}

void blocks_sweep(core *c, fief_strategy strategy, unsigned char *from, const unsigned char *to,
                  const char *owner)
{
    const space *s = &c->space;
    if (s->ledger == NULL || from >= to) {
        return;
    }
    const record *end = ledger_at(s, to - 1) + 1;
    for (record *r = ledger_next(ledger_at(s, from), end); r < end; r = ledger_next(r + 1, end)) {
        unsigned char *block = ledger_block(s, r);
        if (r->state == BLOCK_LIVE && block >= from && block < to) {
            block_take_back(c, strategy, block, record_size(s, r), (unsigned)r->kind, owner);
        }
    }
}
