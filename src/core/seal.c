/* seal: what an arena holds becomes read-only, in whole pages of the system's.
 *
 *     span   | lent | lent | lent |....|      lent | lent | ...free...
 *            | read-only ------------- |      ^ the arena goes on here: a fresh page
 *            ^start                    ^sealed_end
 *
 * What a rewind killed in between (a guarded build's zones) stays inaccessible. The page map notes
 * how much of each 64 KiB page is sealed: so whoever has an address knows by one load. A seal is an
 * event of its arena: older marks go out of line and find it, and nothing below it is undone. */
#include "core/core.h"
#include "core/image.h"

#include "base/size.h"
#include "os/os.h"

static unsigned char *page_up(const unsigned char *p)
{
    return (unsigned char *)fief_round_up((uintptr_t)p, OS_PAGE);
}

static unsigned char *top_of(const arena *a, const arena_span *span)
{
    unsigned char *top =
        span == a->current ? a->window.arena.cursor : span->left.cursor;
    unsigned char *end = page_up(top);
    return top == span->start ? span->start : (end < span->end ? end : span->end);
}

static unsigned char *sealed_end(const arena_span *span)
{
    return span->start + (size_t)span->sealed * OS_PAGE;
}

/* ---- strips: the runs of pages that a seal is about, side by side ones as one ---- */

typedef bool strip_work(void *start, size_t size);

typedef struct strips {
    strip_work *work;
    unsigned char *start, *end; /* gathered so far */
    unsigned char *failed;      /* the strip that the work failed at */
    unsigned char *stop;        /* nothing is done from that strip on */
} strips;

static bool strip_end(strips *s)
{
    unsigned char *start = s->start;
    size_t size = (size_t)(s->end - start);
    s->start = s->end = NULL;
    if (size == 0 || s->failed != NULL) {
        return s->failed == NULL;
    }
    if (start == s->stop || !s->work(start, size)) {
        s->failed = start;
    }
    return s->failed == NULL;
}

static void strip_add(strips *s, unsigned char *start, unsigned char *end)
{
    if (start < end && s->end != start) {
        (void)strip_end(s);
        s->start = start;
    }
    s->end = start < end ? end : s->end;
}

/* Of [from, to), all but the pages of zones; those are listed from the top down. */
static void add_around_zones(strips *s, const zone *z, const arena_span *span, unsigned char *from,
                             unsigned char *to)
{
    while (z != NULL && (z->span != span || page_up(z->start) >= z->end || z->start >= to)) {
        z = z->next;
    }
    if (z == NULL || z->end <= from) {
        strip_add(s, from, to);
        return;
    }
    add_around_zones(s, z->next, span, from, page_up(z->start));
    strip_add(s, z->end, to);
}

/* What came after event `after` (runs), or lies behind what is sealed (spans) if `fresh`, else what
 * is sealed. */
static bool each_strip(const arena *a, bool fresh, strips *s)
{
    for (const arena_span *span = a->first; span != NULL; span = span->next) {
        unsigned char *old = sealed_end(span);
        add_around_zones(s, a->zones, span, fresh ? old : span->start,
                         fresh ? top_of(a, span) : old);
        if (fresh && span == a->current) {
            break; /* later ones are empty */
        }
    }
    for (const attachment *node = a->attached; node != NULL; node = node->next) {
        unsigned char *run = node->start;
        if (node->kind == ATTACHED_RUN && (node->event > arena_sealed(a)) == fresh) {
            strip_add(s, run, run + (node->size << PAGE_SHIFT));
        }
    }
    return strip_end(s);
}

/* All of it, or nothing: then `undo` has been done to what was done. */
static bool all_strips(const arena *a, bool fresh, strip_work *work, strip_work *undo)
{
    strips s = {.work = work};
    if (each_strip(a, fresh, &s)) {
        return true;
    }
    strips back = {.work = undo, .stop = s.failed};
    (void)each_strip(a, fresh, &back);
    return false;
}

/* ---- what the page map says ---- */

static void note_pages(const space *s, unsigned char *start, const unsigned char *sealed,
                       size_t pages)
{
    page *entry = space_page(s, start);
    for (size_t i = 0; entry != NULL && i < pages; i++, start += PAGE_SIZE) {
        size_t bytes = sealed > start ? (size_t)(sealed - start) : 0;
        entry[i].sealed = (bytes < PAGE_SIZE ? bytes : PAGE_SIZE) / OS_PAGE & 31;
    }
}

static void note_sealed(arena *a)
{
    const space *s = &a->core->space;
    for (arena_span *span = a->first; span != NULL; span = span->next) {
        note_pages(s, span->start, sealed_end(span), span->pages);
    }
    for (const attachment *node = a->attached; node != NULL; node = node->next) {
        unsigned char *run = node->start;
        if (node->kind == ATTACHED_RUN) {
            bool is_below = node->event <= arena_sealed(a);
            note_pages(s, run, is_below ? run + (node->size << PAGE_SHIFT) : NULL, node->size);
        }
    }
}

static void knows_stores(core *c, const arena *a, bool sealed)
{
    c->seals += sealed && arena_sealed(a) == 0 ? 1 : 0;
    c->seals -= !sealed && arena_sealed(a) != 0 ? 1 : 0;
}

/* ---- seal and unseal ---- */

/* Whole pages of the range: neither the caller's bytes nor the heap's. Between units the compiler
 * arena is empty, and its seal would outlive the next. */
static bool can_be_sealed(const arena *a)
{
    return a->strategy != FIEF_STACK && a->buffer.end == NULL && a->stand_ins == 0 && !a->closed &&
           a->core->space.range->reserve != NULL;
}

/* The arena goes on at a fresh page. */
static void go_on_behind(arena *a)
{
    fief_arena *w = &a->window.arena;
    for (arena_span *span = a->first; span != NULL; span = span->next) {
        span->sealed = (size_t)(top_of(a, span) - span->start) / OS_PAGE & INT32_MAX;
        if (span == a->current) {
            break;
        }
    }
    if (a->current != NULL && a->current->sealed != 0) {
        w->cursor = sealed_end(a->current);
        arena_set_limit(a);
    }
    arena_note_event(a);
    a->buffer.entered = w->events;
}

bool arena_seal(arena *a)
{
    if (!can_be_sealed(a) || !all_strips(a, true, os_seal, os_commit)) {
        return false;
    }
    knows_stores(a->core, a, true);
    go_on_behind(a);
    note_sealed(a);
    return true;
}

bool arena_unseal(arena *a)
{
    if (arena_sealed(a) == 0) {
        return true;
    }
    if (!all_strips(a, false, os_commit, os_seal)) {
        return false;
    }
    knows_stores(a->core, a, false);
    for (arena_span *span = a->first; span != NULL; span = span->next) {
        span->sealed = 0;
    }
    a->buffer.entered = 0;
    note_sealed(a);
    return true;
}

void arena_lift_seal(arena *a)
{
    if (arena_sealed(a) != 0) {
        (void)all_strips(a, false, os_commit, os_seal);
    }
}

void arena_restore_seal(arena *a)
{
    if (arena_sealed(a) != 0) {
        (void)all_strips(a, false, os_seal, os_commit);
    }
}

/* ---- who asks ---- */

bool seal_admits(arena *a, uint64_t event, const char *what)
{
    if (arena_sealed(a) == 0 || event >= arena_sealed(a)) {
        return true;
    }
    misuse(a->core, FIEF_MISUSE_SEALED_WRITE, NULL, 0, "%s was %s below its seal", a->name, what);
    return false;
}

bool seal_admits_change(core *c, const void *block, const char *what)
{
    const image_map *image = image_at(c, block);
    if (image != NULL) {
        misuse(c, FIEF_MISUSE_SEALED_WRITE, block, 0, "a block of the image '%s' was %s",
               image->name, what);
        return false;
    }
    if (!is_sealed(&c->space, block)) {
        return true;
    }
    misuse(c, FIEF_MISUSE_SEALED_WRITE, block, 0, "a sealed block of %s was %s",
           owner_name(space_page(&c->space, block)), what);
    return false;
}
