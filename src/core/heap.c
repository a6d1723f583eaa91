/* heap: see include/fief/heap.h. Small blocks are bumped in creation order from 64 KiB pages that
 * all classes share (density and order are what a marking collector walks fastest), and come back
 * to one list a class. What is left of a page when a block does not fit goes to the lists too. */
#include "core/core.h"

#include "base/size.h"
#include "guard.h"

#include <string.h>

static heap *whole(const fief_heap *window)
{
    return (heap *)(void *)(uintptr_t)window;
}

static size_t rounded_size(const heap *h, size_t size)
{
    return ((size == 0 ? 1 : size) + h->window.round) & ~h->window.round;
}

static fief_vacant **list_for(heap *h, size_t rounded)
{
    return h->core->shut ? &h->parked[rounded / FIEF_GRAIN] : &h->window.vacant[rounded / FIEF_GRAIN];
}

static void vacant_push(fief_vacant **list, void *block, size_t size)
{
    fief_vacant *vacant = block;
    guard_open(vacant, sizeof *vacant);
    vacant->next = *list;
    *list = vacant;
    guard_claim(block, size);
}

/* ---- small ---- */

/* The tail of a page becomes vacant blocks rather than waste. */
static void park_tail(heap *h)
{
    size_t left = (size_t)(h->bump_end - h->bump), redzones = 2 * (size_t)GUARD_REDZONE;
    size_t largest = (left - (left < redzones ? left : redzones)) & ~h->window.round;
    if (largest > h->window.round && largest <= FIEF_SMALL_MAX) {
        vacant_push(list_for(h, largest), h->bump + GUARD_REDZONE, largest);
    }
}

static void *small_take(heap *h, size_t rounded)
{
    fief_vacant **list = list_for(h, rounded);
    if (*list != NULL) {
        fief_vacant *block = *list;
        guard_open(block, sizeof *block);
        *list = block->next;
        return block;
    }
    size_t step = rounded + 2 * (size_t)GUARD_REDZONE;
    if (step > (size_t)(h->bump_end - h->bump)) {
        size_t pages = 1 + (h->small_held >> 21 < 3 ? h->small_held >> 21 : 3);
        unsigned char *start = space_take(&h->core->space, pages, PAGE_SMALL, h);
        if (start == NULL) {
            return NULL;
        }
        park_tail(h);
        guard_claim(start, pages << PAGE_SHIFT);
        h->small_held += pages << PAGE_SHIFT;
        h->bump = start;
        h->bump_end = start + (pages << PAGE_SHIFT);
    }
    unsigned char *block = h->bump + GUARD_REDZONE;
    h->bump += step;
    return block;
}

/* ---- medium: granules of 256 bytes in segments of 1 MiB ---- */

static size_t granules_for(size_t size)
{
    return (size + 2 * (size_t)GUARD_REDZONE + (1u << MEDIUM_SHIFT) - 1) >> MEDIUM_SHIFT;
}

static bool bit(const uint64_t *bits, size_t i)
{
    return bits[i / 64] >> (i % 64) & 1;
}

static void set_bits(uint64_t *bits, size_t first, size_t count, bool value)
{
    for (size_t i = first; i < first + count;) {
        size_t take = 64 - i % 64 < first + count - i ? 64 - i % 64 : first + count - i;
        uint64_t mask = (take == 64 ? ~(uint64_t)0 : ((uint64_t)1 << take) - 1) << (i % 64);
        bits[i / 64] = value ? bits[i / 64] | mask : bits[i / 64] & ~mask;
        i += take;
    }
}

/* The first index from i on (below end) whose bit is `value`. */
static size_t next_bit(const uint64_t *bits, size_t i, size_t end, bool value)
{
    while (i < end) {
        uint64_t word = (value ? bits[i / 64] : ~bits[i / 64]) >> (i % 64);
        if (word != 0) {
            i += (size_t)__builtin_ctzll(word);
            return i < end ? i : end;
        }
        i = (i / 64 + 1) * 64;
    }
    return end;
}

static size_t first_fit(const medium *m, size_t count)
{
    for (size_t i = m->hint; i + count <= MEDIUM_GRANULES;) {
        i = next_bit(m->used, i, MEDIUM_GRANULES, false);
        size_t end = i + count < MEDIUM_GRANULES ? i + count : MEDIUM_GRANULES;
        size_t taken = next_bit(m->used, i, end, true);
        if (taken - i >= count) {
            return i;
        }
        i = taken;
    }
    return MEDIUM_GRANULES;
}

static medium *medium_new(heap *h)
{
    core *c = h->core;
    medium *m = space_meta(&c->space, sizeof *m);
    if (m == NULL) {
        return NULL;
    }
    m->start = space_take(&c->space, MEDIUM_PAGES, PAGE_MEDIUM, m);
    if (m->start == NULL) {
        space_meta_give(&c->space, m, sizeof *m);
        return NULL;
    }
    guard_claim(m->start, (size_t)MEDIUM_PAGES << PAGE_SHIFT);
    m->free = MEDIUM_GRANULES;
    m->next = h->mediums;
    h->mediums = m;
    return m;
}

static void medium_mark(medium *m, size_t first, size_t count, bool used)
{
    set_bits(m->used, first, count, used);
    m->free = used ? m->free - (uint32_t)count : m->free + (uint32_t)count;
    if (!used && first < m->hint) {
        m->hint = (uint32_t)first;
    }
    if (used && first == m->hint) {
        m->hint = (uint32_t)(first + count);
    }
}

static void *medium_take(heap *h, size_t size)
{
    size_t count = granules_for(size), at = MEDIUM_GRANULES;
    medium *m = h->mediums;
    for (; m != NULL; m = m->next) {
        if (m->free >= count && (at = first_fit(m, count)) < MEDIUM_GRANULES) {
            break;
        }
    }
    if (m == NULL) {
        m = medium_new(h);
        if (m == NULL) {
            return NULL;
        }
        at = 0;
    }
    medium_mark(m, at, count, true);
    set_bits(m->starts, at, 1, true);
    return m->start + (at << MEDIUM_SHIFT) + GUARD_REDZONE;
}

static size_t granule_of(const medium *m, const void *block)
{
    return ((uintptr_t)block - GUARD_REDZONE - (uintptr_t)m->start) >> MEDIUM_SHIFT;
}

/* Granules of the block that starts at `at`: until a free one or the next start. */
static size_t medium_length(const medium *m, size_t at)
{
    size_t free_at = next_bit(m->used, at, MEDIUM_GRANULES, false);
    return next_bit(m->starts, at + 1, free_at, true) - at;
}

static void medium_give(heap *h, medium *m, void *block)
{
    size_t at = granule_of(m, block);
    medium_mark(m, at, medium_length(m, at), false);
    set_bits(m->starts, at, 1, false);
    (void)h;
}

/* In place: the granules behind are tested and taken, or given back. */
static bool medium_resize(medium *m, void *block, size_t new_size)
{
    size_t at = granule_of(m, block), old = medium_length(m, at), count = granules_for(new_size);
    if (count <= old) {
        medium_mark(m, at + count, old - count, false);
        return true;
    }
    if (at + count > MEDIUM_GRANULES ||
        next_bit(m->used, at + old, at + count, true) < at + count) {
        return false;
    }
    medium_mark(m, at + old, count - old, true);
    return true;
}

/* ---- large: runs of pages ---- */

static size_t large_pages(size_t size)
{
    return pages_for(size + 2 * (size_t)GUARD_REDZONE);
}

static void *large_take(heap *h, size_t size)
{
    unsigned char *start = space_take(&h->core->space, large_pages(size), PAGE_LARGE, h);
    if (start == NULL) {
        return NULL;
    }
    guard_claim(start, large_pages(size) << PAGE_SHIFT);
    return start + GUARD_REDZONE;
}

/* ---- any size ---- */

static bool is_small(size_t rounded)
{
    return rounded <= FIEF_SMALL_MAX;
}

static void *raw_take(heap *h, size_t size)
{
    size_t rounded = rounded_size(h, size);
    if (is_small(rounded)) {
        return small_take(h, rounded);
    }
    return size <= HEAP_LARGEST_MEDIUM ? medium_take(h, size) : large_take(h, size);
}

/* What a block of this size counts for: its class, or its size in whole grains. */
static void count_live(heap *h, size_t size)
{
    fief_heap *w = &h->window;
    w->live += rounded_size(h, size);
    w->peak = w->live > w->peak ? w->live : w->peak;
}

void *heap_take(heap *h, size_t size)
{
    void *block = raw_take(h, size);
    if (block == NULL) {
        return NULL;
    }
    if (h->core->shut) {
        guard_lend(block, size);
        budget_take(h->core, FIEF_HEAP, size);
    }
    count_live(h, size);
    return block;
}

static void raw_give(heap *h, void *block, size_t size)
{
    core *c = h->core;
    size_t rounded = rounded_size(h, size);
    const page *entry = space_page(&c->space, block);
    if (entry->kind == PAGE_SMALL) {
        vacant_push(list_for(h, rounded), block, size);
    } else if (entry->kind == PAGE_MEDIUM) {
        medium_give(h, entry->owner, block);
    } else {
        guard_forget((unsigned char *)block - GUARD_REDZONE, (size_t)entry->length << PAGE_SHIFT);
        space_give(&c->space, (unsigned char *)block - GUARD_REDZONE, entry->length, 0);
    }
}

static page_kind kind_for(const heap *h, size_t size)
{
    if (is_small(rounded_size(h, size))) {
        return PAGE_SMALL;
    }
    return size <= HEAP_LARGEST_MEDIUM ? PAGE_MEDIUM : PAGE_LARGE;
}

/* Checks that every mode can afford out of line: is this a block of ours, of about this size? */
static bool must_be_a_block(heap *h, void *block, size_t size, const void *site)
{
    core *c = h->core;
    const page *entry = space_page(&c->space, block);
    if (entry == NULL || !entry->used) {
        misuse(c, FIEF_MISUSE_FOREIGN_FREE, block, size, site,
               "given to the heap, but no allocator of this runtime owns it");
        return false;
    }
    if (entry->kind == PAGE_ARENA || entry->kind == PAGE_POOL) {
        misuse(c, FIEF_MISUSE_WRONG_ALLOCATOR, block, size, site,
               "given to the heap, but it belongs to %s",
               entry->kind == PAGE_ARENA ? ((arena *)entry->owner)->name
                                         : ((pool *)entry->owner)->name);
        return false;
    }
    if (entry->kind == PAGE_MEDIUM) {
        const medium *m = entry->owner;
        size_t at = granule_of(m, block);
        bool aligned = (((uintptr_t)block - GUARD_REDZONE) & ((1u << MEDIUM_SHIFT) - 1)) == 0;
        if (aligned && at < MEDIUM_GRANULES && !bit(m->used, at)) {
            misuse(c, FIEF_MISUSE_DOUBLE_FREE, block, size, site, "the block is free already");
            return false;
        }
        if (!aligned || at >= MEDIUM_GRANULES || !bit(m->starts, at)) {
            misuse(c, FIEF_MISUSE_INTERIOR_FREE, block, size, site, "points inside a block");
            return false;
        }
    }
    if (entry->kind != kind_for(h, size)) {
        misuse(c, FIEF_MISUSE_WRONG_SIZE, block, size, site,
               "freed with a size of %zu that it does not have", size);
        return false;
    }
    return true;
}

void heap_give(heap *h, void *block, size_t size, const void *site)
{
    core *c = h->core;
    fief_heap *w = &h->window;
    if (!must_be_a_block(h, block, size, site)) {
        return;
    }
    if (c->shut) {
        if (!block_returns(c, block, size, "the heap", site)) {
            return;
        }
        budget_give(c, FIEF_HEAP, size, 1);
    }
    w->peak = w->live > w->peak ? w->live : w->peak;
    w->live -= rounded_size(h, size);
    raw_give(h, block, size);
}

void *fief_heap_refill(fief_heap *window, size_t size)
{
    heap *h = whole(window);
    if (!thread_is_owner(h->core, SITE()) || size_is_absurd(size)) {
        return NULL;
    }
    void *block;
    do {
        block = budget_admits(h->core, FIEF_HEAP, size) ? heap_take(h, size) : NULL;
    } while (block == NULL && core_full(h->core, FIEF_HEAP, size));
    return block;
}

void fief_heap_free_slow(fief_heap *window, void *block, size_t size)
{
    heap *h = whole(window);
    if (block != NULL && thread_is_owner(h->core, SITE())) {
        heap_give(h, block, size, SITE());
    }
}

/* ---- resize ---- */

static bool in_place(heap *h, void *block, size_t old_size, size_t new_size)
{
    page_kind kind = kind_for(h, new_size);
    if (kind != kind_for(h, old_size)) {
        return false;
    }
    if (kind == PAGE_SMALL) {
        return rounded_size(h, old_size) == rounded_size(h, new_size);
    }
    page *entry = space_page(&h->core->space, block);
    if (kind == PAGE_MEDIUM) {
        return medium_resize(entry->owner, block, new_size);
    }
    unsigned char *start = (unsigned char *)block - GUARD_REDZONE;
    size_t pages = large_pages(new_size);
    if (pages < entry->length) {
        space_give(&h->core->space, start, entry->length, pages);
        return true;
    }
    return pages == entry->length || space_extend(&h->core->space, start, entry->length, pages);
}

static void recount(heap *h, size_t old_size, size_t new_size)
{
    fief_heap *w = &h->window;
    w->peak = w->live > w->peak ? w->live : w->peak;
    w->live -= rounded_size(h, old_size);
    count_live(h, new_size);
}

/* A large block that must move takes its pages along where the OS can. */
static void *move_block(heap *h, void *block, size_t old_size, size_t new_size)
{
    void *moved = heap_take(h, new_size);
    if (moved == NULL) {
        return NULL;
    }
    const page *from = space_page(&h->core->space, block), *to = space_page(&h->core->space, moved);
    size_t bytes = (size_t)from->length << PAGE_SHIFT;
    bool pages_moved = !h->core->shut && from->kind == PAGE_LARGE && to->kind == PAGE_LARGE &&
                       to->length >= from->length && bytes >= (1u << 19) &&
                       space_move(&h->core->space, block, moved, bytes);
    if (!pages_moved) {
        memcpy(moved, block, old_size < new_size ? old_size : new_size);
    }
    heap_give(h, block, old_size, NULL);
    return moved;
}

void *fief_heap_resize_slow(fief_heap *window, void *block, size_t old_size, size_t new_size)
{
    heap *h = whole(window);
    core *c = h->core;
    if (block == NULL) {
        return fief_heap_refill(window, new_size);
    }
    if (!thread_is_owner(c, SITE()) || size_is_absurd(new_size) ||
        !must_be_a_block(h, block, old_size, SITE())) {
        return NULL;
    }
    if (!c->shut && in_place(h, block, old_size, new_size)) {
        recount(h, old_size, new_size);
        return block;
    }
    void *moved;
    do {
        size_t more = new_size > old_size ? new_size - old_size : 0;
        moved = budget_admits(c, FIEF_HEAP, more) ? move_block(h, block, old_size, new_size) : NULL;
    } while (moved == NULL && new_size > old_size && core_full(c, FIEF_HEAP, new_size));
    return moved;
}

/* ---- unsized ---- */

enum { UNSIZED_HEADERLESS = FIEF_SMALL_MAX };

static pool *unsized_pool(heap *h, size_t size)
{
    size_t index = (size + FIEF_ALIGN - 1) / FIEF_ALIGN;
    if (h->unsized[index] == NULL) {
        h->unsized[index] = pool_open(h->core, FIEF_HEAP, "the heap's unsized blocks",
                                      index * FIEF_ALIGN);
    }
    return h->unsized[index];
}

static void *unsized_take(heap *h, size_t size)
{
    if (size > UNSIZED_HEADERLESS) {
        size_t whole_size = size <= HEAP_LARGEST_MEDIUM
                                ? (granules_for(size) << MEDIUM_SHIFT) - 2 * (size_t)GUARD_REDZONE
                                : (large_pages(size) << PAGE_SHIFT) - 2 * (size_t)GUARD_REDZONE;
        return heap_take(h, whole_size > HEAP_LARGEST_MEDIUM && size <= HEAP_LARGEST_MEDIUM
                                ? HEAP_LARGEST_MEDIUM : whole_size);
    }
    pool *p = unsized_pool(h, size == 0 ? 1 : size);
    if (p == NULL) {
        return NULL;
    }
    void *block = p->window.vacant != NULL ? fief_pool_take(&p->window) : pool_take(p, p->slot_size);
    if (block != NULL) {
        count_live(h, p->slot_size);
    }
    return block;
}

void *fief_heap_alloc_unsized(fief_heap *window, size_t size)
{
    heap *h = whole(window);
    if (!thread_is_owner(h->core, SITE()) || size_is_absurd(size)) {
        return NULL;
    }
    void *block;
    do {
        block = budget_admits(h->core, FIEF_HEAP, size) ? unsized_take(h, size) : NULL;
    } while (block == NULL && core_full(h->core, FIEF_HEAP, size));
    return block;
}

size_t fief_heap_usable_size(const fief_heap *window, const void *block)
{
    heap *h = whole(window);
    const page *entry = space_page(&h->core->space, block);
    if (entry == NULL || !entry->used) {
        return 0;
    }
    if (entry->kind == PAGE_POOL) {
        return ((const pool *)entry->owner)->slot_size;
    }
    if (entry->kind == PAGE_MEDIUM) {
        const medium *m = entry->owner;
        size_t size = (medium_length(m, granule_of(m, block)) << MEDIUM_SHIFT) -
                      2 * (size_t)GUARD_REDZONE;
        return size < HEAP_LARGEST_MEDIUM ? size : HEAP_LARGEST_MEDIUM;
    }
    return entry->kind == PAGE_LARGE
               ? ((size_t)entry->length << PAGE_SHIFT) - 2 * (size_t)GUARD_REDZONE
               : 0;
}

void fief_heap_free_unsized(fief_heap *window, void *block)
{
    heap *h = whole(window);
    core *c = h->core;
    const page *entry = space_page(&c->space, block);
    if (block == NULL || !thread_is_owner(c, SITE())) {
        return;
    }
    if (entry != NULL && entry->kind == PAGE_POOL && ((pool *)entry->owner)->strategy == FIEF_HEAP) {
        pool *p = entry->owner;
        if (pool_give(p, block, p->slot_size, SITE())) {
            h->window.peak = h->window.live > h->window.peak ? h->window.live : h->window.peak;
            h->window.live -= p->slot_size;
        }
        return;
    }
    heap_give(h, block, fief_heap_usable_size(window, block), SITE());
}

void *fief_heap_resize_unsized(fief_heap *window, void *block, size_t new_size)
{
    if (block == NULL) {
        return fief_heap_alloc_unsized(window, new_size);
    }
    size_t usable = fief_heap_usable_size(window, block);
    if (new_size <= usable && new_size >= usable / 2) {
        return block;
    }
    void *moved = fief_heap_alloc_unsized(window, new_size);
    if (moved != NULL) {
        memcpy(moved, block, usable < new_size ? usable : new_size);
        fief_heap_free_unsized(window, block);
    }
    return moved;
}

/* ---- life ---- */

bool heap_init(heap *h, core *c, size_t align)
{
    *h = (heap){.core = c};
    h->window.round = align - 1;
    h->window.give_max = c->shut ? 0 : FIEF_SMALL_MAX;
    return true;
}

size_t heap_trim(heap *h)
{
    size_t bytes = 0;
    for (medium **link = &h->mediums; *link != NULL;) {
        medium *m = *link;
        if (m->free != MEDIUM_GRANULES) {
            link = &m->next;
            continue;
        }
        *link = m->next;
        guard_forget(m->start, (size_t)MEDIUM_PAGES << PAGE_SHIFT);
        space_give(&h->core->space, m->start, MEDIUM_PAGES, 0);
        space_meta_give(&h->core->space, m, sizeof *m);
        bytes += (size_t)MEDIUM_PAGES << PAGE_SHIFT;
    }
    return bytes;
}
