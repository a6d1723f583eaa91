/* pool: see include/fief/pool.h. Only the newest span is being carved; vacancy is a list, and a
 * bitmap is made from it only when somebody walks or trims. */
#include "core/core.h"

#include "guard.h"

#include <string.h>

static pool *whole(const fief_pool *window)
{
    return (pool *)(void *)(uintptr_t)window;
}

static size_t slots_per_span(const pool *p)
{
    return PAGE_SIZE / p->step;
}

static size_t bits_bytes(const pool *p)
{
    return (slots_per_span(p) + 63) / 64 * 8;
}

static unsigned char *slot_at(const pool *p, const pool_span *span, size_t index)
{
    return span->start + index * p->step + GUARD_REDZONE;
}

/* Carving begins somewhere in the span and goes around: spans are aligned to 64 KiB, and if each
 * began at its start, the young slots of all pools would share a few sets of the caches. */
static size_t carved_index(const pool *p, const pool_span *span, size_t nth)
{
    size_t index = span->first + nth, slots = slots_per_span(p);
    return index < slots ? index : index - slots;
}

static uint32_t first_index(const pool *p, const unsigned char *start)
{
    uint32_t number = (uint32_t)((size_t)(start - p->core->space.base) >> PAGE_SHIFT);
    return (uint32_t)((uint64_t)(number * 2654435769u) * slots_per_span(p) >> 32);
}

fief_vacant **pool_list(pool *p)
{
    return p->core->shut ? &p->parked : &p->window.vacant;
}

static bool span_add(pool *p)
{
    core *c = p->core;
    pool_span *span = space_meta(&c->space, sizeof *span);
    uint64_t *bits = span == NULL ? NULL : space_meta(&c->space, bits_bytes(p));
    unsigned char *start = bits == NULL ? NULL : space_take(&c->space, 1, PAGE_POOL, p);
    if (start == NULL) {
        if (bits != NULL) {
            space_meta_give(&c->space, bits, bits_bytes(p));
        }
        if (span != NULL) {
            space_meta_give(&c->space, span, sizeof *span);
        }
        return false;
    }
    guard_claim(start, PAGE_SIZE);
    *span = (pool_span){.start = start, .bits = bits, .first = first_index(p, start)};
    pool_span **link = &p->spans;
    while (*link != NULL && (*link)->start < start) {
        link = &(*link)->next;
    }
    span->next = *link;
    *link = p->newest = span;
    return true;
}

static void span_drop(pool *p, pool_span *span)
{
    guard_claim(span->start, PAGE_SIZE);
    space_give(&p->core->space, span->start, 1, 0);
    space_meta_give(&p->core->space, span->bits, bits_bytes(p));
    space_meta_give(&p->core->space, span, sizeof *span);
}

/* While the window is open a slot is carved only when no slot is vacant: all carved ones are live,
 * so the peak is known without counting. */
static void *pool_attempt(pool *p)
{
    core *c = p->core;
    fief_vacant **list = pool_list(p);
    void *slot;
    if (vacant_ready(c, list)) {
        slot = vacant_pop(c, list);
    } else {
        bool is_full = p->newest == NULL || p->newest->carved == slots_per_span(p);
        if (is_full && !span_add(p)) {
            return vacant_any(c, list);
        }
        slot = slot_at(p, p->newest, carved_index(p, p->newest, p->newest->carved++));
        space_page(&c->space, slot)->tail = (uint16_t)p->newest->carved;
        p->carved++;
    }
    return slot;
}

static void *pool_take(pool *p, size_t size)
{
    core *c = p->core;
    if (!budget_admits(c, FIEF_POOL, size)) {
        return NULL;
    }
    bool fenced = GUARD_FENCES && fence_wanted(c, size);
    void *slot = fenced ? fence_take(c, FIEF_POOL, p, size, FIEF_ALIGN) : pool_attempt(p);
    if (slot == NULL) {
        return NULL;
    }
    if (c->shut) {
        block_lend(c, FIEF_POOL, slot, size, p->kind);
        p->lent++;
        p->asked += size;
    }
    if (fenced) {
        fence_shut(c, slot);
    }
    size_t live = c->shut ? p->lent : p->carved;
    p->peak = live > p->peak ? live : p->peak;
    return slot;
}

void *pool_alloc(pool *p, size_t size)
{
    void *slot;
    do {
        slot = pool_take(p, size);
    } while (slot == NULL && core_full(p->core, FIEF_POOL, size));
    return slot;
}

void *fief_pool_refill(fief_pool *window)
{
    pool *p = whole(window);
    return enter(p->core, CALL()) ? noted(p->core, pool_alloc(p, p->slot_size),
                                          (note){.verb = VERB_TAKE, .where = p,
                                                 .size = p->slot_size})
                                  : NULL;
}

/* Is this the address of a slot that was carved? */
static bool pool_has_slot(const pool *p, const void *slot)
{
    const page *entry = space_page(&p->core->space, slot);
    if (entry == NULL || entry->kind != PAGE_POOL || entry->owner != p) {
        return false;
    }
    const unsigned char *start = span_start(&p->core->space, entry);
    size_t offset = (uintptr_t)slot - (uintptr_t)start - GUARD_REDZONE, slots = slots_per_span(p);
    size_t index = offset / p->step, first = first_index(p, start);
    size_t nth = index >= first ? index - first : index + slots - first;
    return offset % p->step == 0 && index < slots && nth < entry->tail;
}

/* Checks that every mode can afford out of line. */
static bool must_be_a_slot(pool *p, void *slot)
{
    core *c = p->core;
    const page *entry = space_page(&c->space, slot);
    bool fenced = entry != NULL && entry->kind == PAGE_FENCED && entry->owner == p;
    if (fenced || pool_has_slot(p, slot)) {
        return true;
    }
    if (entry == NULL || !entry->used) {
        report_foreign(c, slot, p->slot_size, p->name);
    } else if (entry->kind == PAGE_POOL && entry->owner == p) {
        if (GUARD_SHUT) {
            (void)block_live(c, slot, p->slot_size, c->no_kind); /* knows a dead slot's inside */
            return false;
        }
        misuse(c, FIEF_MISUSE_INTERIOR_FREE, slot, p->slot_size,
               "given to %s, but it points inside a slot", p->name);
    } else {
        misuse(c, FIEF_MISUSE_WRONG_ALLOCATOR, slot, p->slot_size,
               "given to %s, but it belongs to %s", p->name, owner_name(entry));
    }
    return false;
}

void pool_reuse(pool *p, void *slot)
{
    vacant_push(p->core, pool_list(p), slot);
}

void pool_give(pool *p, void *slot, size_t size, unsigned kind)
{
    core *c = p->core;
    if (!must_be_a_slot(p, slot)) {
        return;
    }
    record *r = GUARD_SHUT ? block_live(c, slot, size, kind) : NULL;
    if (GUARD_SHUT && r == NULL) {
        return;
    }
    bool fenced = GUARD_FENCES && space_page(&c->space, slot)->kind == PAGE_FENCED;
    if (fenced) {
        fence_open(c, slot);
    }
    if (c->shut) {
        block_take_back(c, FIEF_POOL, r, slot, size, p->kind, p->name);
        p->lent--;
        p->asked -= size;
    }
    if (fenced) {
        fence_bury(c, slot);
    } else if (GUARD_SHUT) {
        quarantine_put(c, r, size);
    } else {
        pool_reuse(p, slot);
    }
}

void fief_pool_give_slow(fief_pool *window, void *slot)
{
    pool *p = whole(window);
    if (slot != NULL && enter(p->core, CALL())) {
        note_call(p->core, (note){.verb = VERB_FREE, .what = slot, .where = p,
                                  .size = p->slot_size, .detail = VERB_TAKE});
        pool_give(p, slot, p->slot_size, p->core->no_kind);
    }
}

/* ---- walk and trim ---- */

static pool_span *span_with(const pool *p, const void *slot)
{
    uintptr_t start = (uintptr_t)slot & ~(uintptr_t)(PAGE_SIZE - 1);
    pool_span *span = p->spans;
    while (span != NULL && (uintptr_t)span->start != start) {
        span = span->next;
    }
    return span;
}

static void mark_vacant(pool *p)
{
    for (pool_span *span = p->spans; span != NULL; span = span->next) {
        memset(span->bits, 0, bits_bytes(p));
        span->vacant = 0;
    }
    pool_span *span = NULL;
    for (const fief_vacant *slot = *pool_list(p); slot != NULL; slot = slot->next) {
        if (span == NULL || ((uintptr_t)slot ^ (uintptr_t)span->start) >= PAGE_SIZE) {
            span = span_with(p, slot);
        }
        size_t index = ((uintptr_t)slot - (uintptr_t)span->start) / p->step;
        span->bits[index / 64] |= (uint64_t)1 << (index % 64);
        span->vacant++;
    }
}

static bool is_marked(const pool_span *span, size_t i)
{
    return (span->bits[i / 64] >> (i % 64) & 1) != 0;
}

/* Of a slot that was carved. Where blocks have records, slots in quarantine are in no list. */
static bool is_live(const pool *p, const pool_span *span, size_t i)
{
    if (GUARD_SHUT) {
        return ledger_at(&p->core->space, slot_at(p, span, i))->state == BLOCK_LIVE;
    }
    return !is_marked(span, i);
}

typedef struct visitor {
    void (*visit)(void *, void *);
    void *argument;
} visitor;

static size_t visit_slots(const pool *p, const pool_span *span, size_t from, size_t until,
                          const visitor *v)
{
    size_t visited = 0;
    for (size_t i = from; i < until; i++) {
        if (is_live(p, span, i)) {
            v->visit(slot_at(p, span, i), v->argument);
            visited++;
        }
    }
    return visited;
}

/* In address order: the carved slots that have gone around come first. */
static size_t visit_span(const pool *p, const pool_span *span, const visitor *v)
{
    size_t first = span->first, slots = slots_per_span(p), end = first + span->carved;
    size_t around = end > slots ? end - slots : 0;
    return visit_slots(p, span, 0, around, v) + visit_slots(p, span, first, end - around, v);
}

size_t fief_pool_walk(fief_pool *window, void (*visit)(void *, void *), void *argument)
{
    pool *p = whole(window);
    if (!enter(p->core, CALL())) {
        return 0;
    }
    if (!GUARD_SHUT) {
        mark_vacant(p);
    }
    size_t visited = 0;
    for (pool_span *span = p->spans; span != NULL; span = span->next) {
        visited += visit_span(p, span, &(visitor){visit, argument});
    }
    uint32_t from = 0;
    for (void *slot; GUARD_FENCES && (slot = fence_next(p->core, p, &from)) != NULL; visited++) {
        visit(slot, argument);
    }
    return visited;
}

size_t fief_pool_live(const fief_pool *window)
{
    const pool *p = whole(window);
    size_t live = p->carved;
    for (fief_vacant *slot = p->window.vacant; slot != NULL; slot = slot->next) {
        live--;
    }
    return p->core->shut ? p->lent : live;
}

/* The vacant slots of the spans there are, by ascending addresses. */
static void list_marked(pool *p)
{
    fief_vacant **link = pool_list(p);
    for (const pool_span *span = p->spans; span != NULL; span = span->next) {
        for (size_t i = 0; i < slots_per_span(p); i++) {
            if (is_marked(span, i)) {
                *link = (fief_vacant *)(void *)slot_at(p, span, i);
                link = &(*link)->next;
            }
        }
    }
    *link = NULL;
}

size_t pool_trim(pool *p)
{
    if (GUARD_SHUT) {
        return 0; /* dead slots stay where a stale pointer into them can be noticed */
    }
    size_t bytes = 0;
    mark_vacant(p);
    for (pool_span **link = &p->spans; *link != NULL;) {
        pool_span *span = *link;
        if (span->vacant == span->carved) {
            *link = span->next;
            p->newest = p->newest == span ? NULL : p->newest;
            p->carved -= span->carved;
            span_drop(p, span);
            bytes += PAGE_SIZE;
        } else {
            link = &span->next;
        }
    }
    if (bytes != 0) {
        list_marked(p);
    }
    return bytes;
}

size_t fief_pool_trim(fief_pool *window)
{
    pool *p = whole(window);
    if (!enter(p->core, CALL())) {
        return 0;
    }
    note_call(p->core, (note){.verb = VERB_POOL_TRIM, .where = p});
    return pool_trim(p);
}

/* ---- life ---- */

pool *pool_open(core *c, const char *name, size_t slot_size)
{
    if (slot_size == 0 || slot_size > POOL_LARGEST_SLOT) {
        return NULL;
    }
    pool *p = space_meta(&c->space, sizeof *p);
    if (p != NULL) {
        pool_init(p, c, name, slot_size, c->kind);
    }
    return p;
}

void pool_init(pool *p, core *c, const char *name, size_t slot_size, unsigned kind)
{
    size_t grain = slot_size % FIEF_ALIGN == 0 || GUARD_REDZONE != 0 ? FIEF_ALIGN : FIEF_GRAIN;
    *p = (pool){.core = c,
                .name = name ? name : "pool",
                .kind = kind,
                .slot_size = slot_size,
                .step = fief_round_up(slot_size, grain) + 2 * (size_t)GUARD_REDZONE,
                .next = c->pools};
    p->step = GUARD_SHUT && p->step < CELL ? CELL : p->step;
    p->window.open = !c->shut;
    c->pools = p;
}

void pool_shut_down(pool *p)
{
    core *c = p->core;
    quarantine_drain(c); /* some of what waits there may be ours */
    for (pool_span *span = p->spans, *next; span != NULL; span = next) {
        next = span->next;
        blocks_end(c, FIEF_POOL, span->start, p->name);
        span_drop(p, span);
    }
    if (c->shut && !GUARD_SHUT) {
        budget_give(c, FIEF_POOL, p->kind, p->asked, p->lent);
    }
    for (pool **link = &c->pools; *link != NULL; link = &(*link)->next) {
        if (*link == p) {
            *link = p->next;
            break;
        }
    }
}

void fief_pool_close_slow(fief_pool *window)
{
    pool *p = window != NULL ? whole(window) : NULL;
    if (p != NULL && enter(p->core, CALL())) {
        note_call(p->core, (note){.verb = VERB_POOL_CLOSE, .where = p});
        pool_shut_down(p);
        space_meta_give(&p->core->space, p, sizeof *p);
    }
}
