/* dangling: see dangling.h. */
#include "core/core.h"

#include "guard.h"
#include "os/os.h"

#include <string.h>

/* Free of the share, so that small programs and tests are looked at whole. */
static const uint64_t credit_nanoseconds = 50000000;

/* Addresses between which all that dies lies. */
typedef struct hull {
    uintptr_t low, high;
} hull;

typedef struct search {
    core *c;
    const doomed *d;
    hull hull;
    fief_dangling found;
} search;

/* ---- what dies ---- */

static const unsigned char *span_top(const arena *a, const arena_span *span)
{
    return span == a->current ? a->window.arena.cursor : span->left.cursor;
}

static void widen(hull *h, const void *from, size_t size)
{
    uintptr_t low = (uintptr_t)from, high = low + size;
    h->low = size != 0 && low < h->low ? low : h->low;
    h->high = size != 0 && high > h->high ? high : h->high;
}

/* The spans from the mark's on. */
static const arena_span *first_span(const doomed *d)
{
    return d->a->current == NULL ? NULL : (d->span != NULL ? d->span : d->a->first);
}

static const arena_span *span_behind(const doomed *d, const arena_span *span)
{
    return span == d->a->current ? NULL : span->next;
}

static const unsigned char *span_low(const doomed *d, const arena_span *span)
{
    return span == d->span ? d->cursor : span->start;
}

static bool is_attached_later(const doomed *d, const attachment *node)
{
    return node != NULL && node->event > d->event;
}

static size_t attached_bytes(const attachment *node)
{
    return node->kind == ATTACHED_RUN ? node->size << PAGE_SHIFT : node->size;
}

static hull hull_of(const doomed *d)
{
    hull h = {UINTPTR_MAX, 0};
    for (const arena_span *span = first_span(d); span != NULL; span = span_behind(d, span)) {
        const unsigned char *low = span_low(d, span);
        widen(&h, low, (size_t)(span_top(d->a, span) - low));
    }
    for (const attachment *n = d->a->attached; is_attached_later(d, n); n = n->next) {
        if (n->kind != ATTACHED_CLEANUP) {
            widen(&h, n->start, attached_bytes(n));
        }
    }
    return h;
}

static bool lies_within(const void *p, const void *start, size_t size)
{
    return (uintptr_t)p - (uintptr_t)start < size;
}

static bool is_dying(const doomed *d, const void *block)
{
    for (const arena_span *span = first_span(d); span != NULL; span = span_behind(d, span)) {
        const unsigned char *low = span_low(d, span);
        if (lies_within(block, low, (size_t)(span_top(d->a, span) - low))) {
            return true;
        }
    }
    for (const attachment *n = d->a->attached; is_attached_later(d, n); n = n->next) {
        if (n->kind != ATTACHED_CLEANUP && lies_within(block, n->start, attached_bytes(n))) {
            return true;
        }
    }
    return false;
}

/* The dying block that a word points into; NULL: it does not, or is no pointer. */
static const record *target_of(const search *s, uintptr_t word)
{
    const void *p = (const void *)word;
    const record *r = ledger_find(&s->c->space, p);
    if (r == NULL || r->state != BLOCK_LIVE) {
        return NULL;
    }
    const unsigned char *block = ledger_block(&s->c->space, r);
    size_t size = record_size(&s->c->space, r);
    return lies_within(p, block, size != 0 ? size : 1) && is_dying(s->d, block) ? r : NULL;
}

/* ---- hits ---- */

static bool is_of_shape(const fief_shape *shape, const fief_shape *other)
{
    return shape->holder_kind == other->holder_kind && shape->holder == other->holder &&
           shape->offset == other->offset &&
           shape->target_kind == other->target_kind;
}

static void count_shape(fief_dangling *found, fief_shape shape)
{
    for (size_t i = 0; i < found->shapes; i++) {
        if (is_of_shape(&found->shape[i], &shape)) {
            found->shape[i].count++;
            return;
        }
    }
    if (found->shapes < FIEF_SHAPES_MAX) {
        found->shape[found->shapes++] = shape;
    } else {
        found->more++;
    }
}

/* `holder`: its record; NULL: a root's, or the stack's, which `name` tells. */
static void note_hit(search *s, const record *holder, const char *name, const void *start,
                     size_t size, const uintptr_t *field)
{
    const record *target = target_of(s, *field);
    if (target == NULL) {
        return;
    }
    size_t offset = (size_t)((uintptr_t)field - (uintptr_t)start);
    bool is_weak = holder != NULL && s->c->scan.is_weak(s->c, (unsigned)holder->kind, offset);
    if (is_weak) {
        return;
    }
    fief_dangling *found = &s->found;
    if (found->holder == NULL) {
        *found = (fief_dangling){.holder = start, .holder_size = size, .offset = offset,
                                 .target = (const void *)*field};
        if (holder != NULL) {
            depot_get(s->c->depot, (uint32_t)holder->born, &found->holder_allocated);
            found->holder_allocated.operation = holder->operation;
        }
    }
    unsigned no_kind = s->c->no_kind;
    count_shape(found, (fief_shape){
                           .holder_kind = holder != NULL ? (unsigned)holder->kind : no_kind,
                           .holder = name,
                           .target_kind = (unsigned)target->kind,
                           .offset = offset,
                           .count = 1});
}

/* Two words at a time, wherever they lie; compilers make what the machine has of it. */
typedef uintptr_t words __attribute__((vector_size(16), aligned(8), may_alias));
enum { STEP = 8 }; /* words in one test: a line of the cache */
/* What is read next is asked for this many bytes ahead, past the ends of the system's pages, where
 * the processor's own guesses stop. Past the end of all, nothing happens. */
enum { AHEAD = 4096 };

/* The high bit of a lane says that its word lies in the hull: it is then less than `length` above
 * `low`, and both are less than half of all addresses. */
static inline __attribute__((always_inline, no_sanitize("address"))) words
in_hull(const uintptr_t *two, words low, words length)
{
    words above = *(const words *)(const void *)two - low;
    return ~above & (above - length);
}

/* The next word in [from, end) that lies in the hull; mostly there is none. Reads what may be
 * poisoned. */
static inline __attribute__((always_inline, no_sanitize("address"))) const uintptr_t *
next_hit(const uintptr_t *from, const uintptr_t *end, hull h)
{
    uintptr_t length = h.high - h.low;
    const words low = {h.low, h.low}, lengths = {length, length};
    for (; end - from >= STEP; from += STEP) {
        __builtin_prefetch((const unsigned char *)from + AHEAD);
        words any = in_hull(from, low, lengths) | in_hull(from + 2, low, lengths) |
                    in_hull(from + 4, low, lengths) | in_hull(from + 6, low, lengths);
        if (((any[0] | any[1]) >> 63) != 0) {
            break;
        }
    }
    while (from < end && *from - h.low >= length) {
        from++;
    }
    return from;
}

/* Whole words of memory that starts on a word's boundary, as every block does. */
static inline __attribute__((always_inline, no_sanitize("address"))) void
scan_words(search *s, const record *holder, const char *name, const void *start, size_t size)
{
    const uintptr_t *first = start, *end = first + size / sizeof *first;
    for (const uintptr_t *at = next_hit(first, end, s->hull); at < end;
         at = next_hit(at + 1, end, s->hull)) {
        note_hit(s, holder, name, start, size, at);
    }
}

static __attribute__((no_sanitize("address"))) void
scan_bytes(search *s, const char *name, const void *start, size_t size)
{
    size_t skip = (0 - (uintptr_t)start) & (sizeof(uintptr_t) - 1);
    if (size > skip) {
        s->c->scan.count.bytes += size - skip;
        scan_words(s, NULL, name, (const unsigned char *)start + skip, size - skip);
    }
}

/* ---- where to look: at the words of whole pages, where blocks lie densely; else at each block's.
 *      What lies between blocks, and in dead ones, is no pointer, or is told by the records ---- */

/* A word of a dense page: the block that it lies in counts as any other holder would. */
static FIEF_NOINLINE void note_dense_hit(search *s, const uintptr_t *field)
{
    const space *sp = &s->c->space;
    const record *holder = ledger_find(sp, field);
    if (holder == NULL || holder->state != BLOCK_LIVE) {
        return;
    }
    const unsigned char *block = ledger_block(sp, holder);
    size_t size = record_size(sp, holder);
    bool holds = (uintptr_t)field - (uintptr_t)block + sizeof *field <= size;
    bool is_plain = s->c->scan.plain != NULL && s->c->scan.plain[holder->kind];
    if (holds && !is_plain && !is_dying(s->d, block)) {
        note_hit(s, holder, NULL, block, size, field);
    }
}

static __attribute__((no_sanitize("address"))) void
scan_dense(search *s, const unsigned char *start, const unsigned char *end)
{
    const uintptr_t *last = (const uintptr_t *)(const void *)end;
    const uintptr_t *at = next_hit((const uintptr_t *)(const void *)start, last, s->hull);
    for (; at < last; at = next_hit(at + 1, last, s->hull)) {
        note_dense_hit(s, at);
    }
    s->c->scan.count.bytes += (size_t)(end - start);
}

static const arena_span *span_at(const arena *a, const unsigned char *start)
{
    const arena_span *span = a->first;
    while (span != NULL && !lies_within(start, span->start, (size_t)(span->end - span->start))) {
        span = span == a->current ? NULL : span->next;
    }
    return span;
}

/* What lives in a span of an arena ends at its top, or where the dying begin. */
static const unsigned char *living_end(const search *s, const arena *a, const unsigned char *start)
{
    const arena_span *span = a->zones == NULL ? span_at(a, start) : NULL;
    if (span == NULL) {
        return NULL;
    }
    const unsigned char *end = s->d->a == a && s->d->span == span ? s->d->cursor
                                                                  : span_top(a, span);
    end = end < start + PAGE_SIZE ? end : start + PAGE_SIZE;
    return end > start ? end : start;
}

/* Where a page's dense part ends; NULL: it is no such page. In a span that is being carved most may
 * be untouched as yet. */
static const unsigned char *dense_end(const search *s, const page *entry,
                                      const unsigned char *start)
{
    const space *sp = &s->c->space;
    const heap *h = (const heap *)(const void *)s->c->heap;
    const unsigned char *carved = NULL;
    switch (entry->kind) {
    case PAGE_ARENA: return living_end(s, entry->owner, start);
    case PAGE_SMALL: carved = h->sized.bump_end - 1; break;
    case PAGE_UNSIZED: carved = h->unsized.bump_end - 1; break;
    case PAGE_POOL: carved = ((const pool *)entry->owner)->newest->start; break;
    default: return NULL;
    }
    const page *being = space_page(sp, carved);
    return being != NULL && being->first == entry->first ? NULL : start + PAGE_SIZE;
}


static __attribute__((no_sanitize("address"))) void
scan_records(search *s, record *from, const record *end)
{
    const space *sp = &s->c->space;
    const bool *plain = s->c->scan.plain;
    size_t bytes = 0;
    for (record *r = ledger_next(from, end); r < end; r = ledger_next(r + 1, end)) {
        const unsigned char *block = ledger_block(sp, r);
        bool looks = r->state == BLOCK_LIVE && (plain == NULL || !plain[r->kind]);
        bool may_die = (uintptr_t)block - s->hull.low < s->hull.high - s->hull.low;
        if (looks && !(may_die && is_dying(s->d, block))) {
            size_t size = record_size(sp, r);
            bytes += size;
            scan_words(s, r, NULL, block, size);
        }
    }
    s->c->scan.count.bytes += bytes;
}

static bool has_time(const core *c, uint64_t started)
{
    const scan *s = &c->scan;
    uint64_t now = os_clock();
    uint64_t share = credit_nanoseconds + (now - s->opened) / 100 * s->percent;
    return s->percent >= 100 || s->spent + (now - started) < share;
}

static void scan_page(search *s, const page *entry, const unsigned char *start)
{
    const unsigned char *end = dense_end(s, entry, start);
    if (end != NULL) {
        scan_dense(s, start, end);
        return;
    }
    record *first = ledger_at(&s->c->space, start);
    scan_records(s, first, first + (PAGE_SIZE >> CELL_SHIFT));
}

/* All pages, from the one where the last scan stopped; false: time ran out. */
static bool scan_pages(search *s, uint64_t started)
{
    core *c = s->c;
    const space *sp = &c->space;
    uint32_t step = 1;
    for (uint32_t n = 0, i = c->scan.resume; n < sp->frontier; n += step, i += step) {
        i = i < sp->frontier ? i : 0;
        const page *entry = &sp->map[i];
        bool skips = entry->used && entry->kind == PAGE_DEAD && entry->first == i;
        step = skips ? entry->length : 1;
        bool dies = entry->owner == s->d->a && is_dying(s->d, page_start(sp, i)); /* all of it */
        if (!entry->used || entry->kind == PAGE_DEAD || dies) {
            continue;
        }
        if (!has_time(c, started)) {
            c->scan.resume = i;
            return false;
        }
        scan_page(s, entry, page_start(sp, i));
    }
    c->scan.resume = 0;
    return true;
}

static void scan_elsewhere(search *s)
{
    core *c = s->c;
    for (const annex *a = c->space.annexes; a != NULL; a = a->next) {
        scan_records(s, a->records, a->records + (a->size >> CELL_SHIFT));
    }
    for (const root_part *r = c->scan.roots; r != NULL; r = r->next) {
        scan_bytes(s, r->name, r->start, r->size);
    }
    if (c->scan.stack && c->from.frame != NULL &&
        (uintptr_t)c->from.frame < (uintptr_t)c->stack.end) {
        scan_bytes(s, "the C stack", c->from.frame,
                   (size_t)((uintptr_t)c->stack.end - (uintptr_t)c->from.frame));
    }
}

bool dangling_admits(core *c, const doomed *d)
{
    search s = {.c = c, .d = d, .hull = hull_of(d)};
    if (!GUARD_SHUT || c->scan.off || s.hull.low >= s.hull.high) {
        return true;
    }
    uint64_t started = os_clock();
    guard_look_away(c->stack.watched);
    c->scan.count.scans++;
    bool whole = has_time(c, started) && scan_pages(&s, started);
    if (whole) {
        scan_elsewhere(&s);
    }
    guard_look_again(c->stack.watched);
    c->scan.count.partial += !whole;
    c->scan.spent += os_clock() - started;
    c->scan.count.nanoseconds = c->scan.spent;
    return s.found.holder == NULL || misuse_dangling(c, d->class_id, &s.found, d->a->name);
}
