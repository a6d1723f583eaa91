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

static FIEF_NOINLINE void look_closely(core *c, const void *block, size_t size, const char *owner)
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

/* Redzones are mostly intact. From Valgrind they are hidden. */
static inline void look(core *c, const void *block, size_t size, const char *owner)
{
    if (c->stack.watched || !guard_is_intact(block, size)) {
        look_closely(c, block, size, owner);
    }
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

void block_must_be_untouched(core *c, const void *block, size_t size)
{
    const void *at = guard_written(block, size);
    if (at != NULL) {
        misuse(c, FIEF_MISUSE_WRITE_AFTER_FREE, at, size, "a dead block was written");
    }
}

/* Arenas look after their dead themselves; where vacant blocks merge, their bytes are nobody's. */
static bool is_to_be_checked(const page *entry, const record *r)
{
    bool waits = r->state == BLOCK_FREED && entry->kind != PAGE_ARENA;
    bool may_merge = entry->kind >= PAGE_MEDIUM;
    return r->state == BLOCK_LIVE || waits || (r->state == BLOCK_VACANT && !may_merge);
}

static void check(core *c, const page *entry, const record *r)
{
    unsigned char *block = ledger_block(&c->space, r);
    size_t size = record_size(&c->space, r);
    if (r->state == BLOCK_LIVE && entry->kind == PAGE_FENCED) {
        fence_open(c, block);
        look(c, block, size, owner_name(entry));
        fence_shut(c, block);
    } else if (r->state == BLOCK_LIVE) {
        look(c, block, size, owner_name(entry));
    } else {
        block_must_be_untouched(c, block, size);
    }
}

static size_t check_page(core *c, const unsigned char *start, bool living)
{
    if (!GUARD_SHUT) {
        return 0;
    }
    const space *s = &c->space;
    const page *entry = space_page(s, start);
    if (!entry->used || entry->kind == PAGE_DEAD) {
        return 0;
    }
    size_t looked = 0;
    record *r = ledger_at(s, start);
    const record *end = r + (PAGE_SIZE >> CELL_SHIFT);
    for (r = ledger_next(r, end); r < end; r = ledger_next(r + 1, end)) {
        if (is_to_be_checked(entry, r) && (living || r->state != BLOCK_LIVE)) {
            check(c, entry, r);
            looked++;
        }
    }
    return looked;
}

size_t blocks_check(core *c)
{
    const space *s = &c->space;
    size_t looked = 0;
    for (uint32_t i = 0; i < s->frontier; i++) {
        looked += check_page(c, page_start(s, i), true);
    }
    return looked;
}

/* ---- vacant blocks: a link is how many grains from the base the next one lies; 0: there is none,
 *      since a redzone lies there ---- */

static uint64_t grains_to(const space *s, const void *block)
{
    return block != NULL ? ((uintptr_t)block - (uintptr_t)s->base) / FIEF_GRAIN : 0;
}

static fief_vacant *block_after(const space *s, uint64_t grains)
{
    return grains != 0 ? (fief_vacant *)(void *)(s->base + grains * FIEF_GRAIN) : NULL;
}

void vacant_link(core *c, fief_vacant **list, record *r, void *block)
{
    r->state = BLOCK_VACANT;
    r->operation = grains_to(&c->space, *list) & OPERATION_MAX;
    *list = block;
}

void vacant_push(core *c, fief_vacant **list, void *block)
{
    fief_vacant *vacant = block;
    if (!GUARD_SHUT) {
        vacant->next = *list;
        *list = vacant;
        return;
    }
    record *r = ledger_at(&c->space, block);
    if (r->state == BLOCK_NONE) { /* never lent: no bytes of it are dead */
        *r = (record){.kind = c->no_kind & 0x1FFF,
                      .start = ((uintptr_t)block % CELL / FIEF_GRAIN) & 7};
    }
    vacant_link(c, list, r, block);
}

void *vacant_pop(core *c, fief_vacant **list)
{
    fief_vacant *vacant = *list;
    if (!GUARD_SHUT) {
        *list = vacant->next;
        return vacant;
    }
    const space *s = &c->space;
    const record *r = ledger_at(s, vacant);
    *list = block_after(s, r->operation);
    if (*list != NULL) { /* both have been cold for a while */
        __builtin_prefetch(*list, 1);
        __builtin_prefetch(ledger_at(s, *list), 1);
    }
    block_must_be_untouched(c, vacant, record_size(s, r));
    return vacant;
}

/* Blocks of one kind in a row are counted together. */
typedef struct tally_run {
    size_t bytes, blocks;
    unsigned kind;
} tally_run;

static void tally_end(core *c, fief_strategy strategy, tally_run run)
{
    if (run.blocks != 0) {
        budget_give(c, strategy, run.kind, run.bytes, run.blocks);
    }
}

/* Valgrind is told of each death. */
static FIEF_NOINLINE void look_at_dying(core *c, unsigned char *block, size_t size,
                                        const char *owner)
{
    look_closely(c, block, size, owner);
    if (c->stack.watched) {
        guard_return(block, size);
    }
}

/* The first record in the cells from `from` on whose block does not start before it. */
static record *first_from(const space *s, const unsigned char *from)
{
    record *r = ledger_at(s, from);
    bool is_before = r->state != BLOCK_NONE && ledger_block(s, r) < from;
    return is_before ? r + 1 : r;
}

/* Every instruction here counts: it is most of what the end of a unit costs. */
void blocks_sweep(core *c, fief_strategy strategy, unsigned char *from, const unsigned char *to,
                  const char *owner)
{
    const space *s = &c->space;
    if (s->ledger == NULL || from >= to) {
        return;
    }
    const uint32_t died = call_stack(c);
    const bool watched = c->stack.watched;
    const block_state dead = c->dying;
    const record *end = ledger_at(s, to - 1) + 1;
    record *r = first_from(s, from);
    unsigned char *cell = from - (uintptr_t)from % CELL + (r - ledger_at(s, from)) * CELL;
    tally_run run = {0};
    for (; r < end; r++, cell += CELL) {
        if (r->state != BLOCK_LIVE) {
            continue;
        }
        unsigned char *block = cell + (size_t)r->start * FIEF_GRAIN;
        size_t size = record_size(s, r);
        if (watched || !guard_is_intact(block, size)) {
            look_at_dying(c, block, size, owner);
        }
        if (run.kind != r->kind) {
            tally_end(c, strategy, run);
            run = (tally_run){.kind = (unsigned)r->kind};
        }
        run.bytes += size;
        run.blocks++;
        r->state = dead & 7;
        r->died = died & 0xFFFFFF;
    }
    tally_end(c, strategy, run);
}

void blocks_end(core *c, fief_strategy strategy, unsigned char *page_of_them, const char *owner)
{
    if (GUARD_SHUT) {
        (void)check_page(c, page_of_them, false);
        blocks_sweep(c, strategy, page_of_them, page_of_them + PAGE_SIZE, owner);
    }
}
