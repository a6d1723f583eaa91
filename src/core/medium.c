/* medium: blocks of 513 bytes to 256 KiB, in granules of 256 bytes in segments of 1 MiB, or of less
 * where so much does not lie together any more. One bit a granule says that it is used, one that a
 * block starts there; both lie outside the segment. A block starts a redzone behind its first
 * granule's start, or, where a larger alignment was asked for in a guarded build, at the start of
 * its second granule. */
#include "core/core.h"

#include "guard.h"

enum { GRANULE = 1 << MEDIUM_SHIFT };

/* ---- bits ---- */

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

/* ---- places ---- */

/* One that shrank to nothing has its place, too. */
static size_t granules(size_t offset, size_t size)
{
    return (offset + (size != 0 ? size : 1) + GUARD_REDZONE + GRANULE - 1) >> MEDIUM_SHIFT;
}

static size_t granule_of(const medium *m, const void *block)
{
    return ((uintptr_t)block - GUARD_REDZONE - (uintptr_t)m->start) >> MEDIUM_SHIFT;
}

/* Where the block lies, from the start of its first granule. */
static size_t offset_of(const medium *m, const void *block)
{
    return (uintptr_t)block - (uintptr_t)m->start - (granule_of(m, block) << MEDIUM_SHIFT);
}

/* Granules of the block that starts at `at`: until a free one or the next start. */
static size_t length_at(const medium *m, size_t at)
{
    size_t free_at = next_bit(m->used, at, MEDIUM_GRANULES, false);
    return next_bit(m->starts, at + 1, free_at, true) - at;
}

/* Where a block lies in its first granules. */
static size_t offset_for(size_t align)
{
    return align > FIEF_ALIGN && GUARD_REDZONE != 0 ? GRANULE : GUARD_REDZONE;
}

size_t medium_size_of(const medium *m, const void *block)
{
    size_t length = length_at(m, granule_of(m, block)) << MEDIUM_SHIFT;
    return (length - offset_of(m, block) - GUARD_REDZONE) & ~(size_t)(GRANULE - 1);
}

bool medium_fits(const medium *m, const void *block, size_t size)
{
    return granules(offset_of(m, block), size) == length_at(m, granule_of(m, block));
}

medium_place medium_find(const medium *m, const void *block)
{
    size_t at = granule_of(m, block), offset = ((uintptr_t)block - (uintptr_t)m->start) % GRANULE;
    if (at >= MEDIUM_GRANULES || (offset & ~(size_t)GUARD_REDZONE) != 0) {
        return MEDIUM_INTERIOR;
    }
    if (!bit(m->used, at)) {
        return MEDIUM_VACANT;
    }
    return bit(m->starts, at) ? MEDIUM_BLOCK : MEDIUM_INTERIOR;
}

/* The hint for runs of `count`. Beyond the last one they are many sizes' together. */
static size_t hint_for(size_t count)
{
    return count < MEDIUM_HINTS ? count - 1 : MEDIUM_HINTS - 1;
}

/* No run of `count` or more begins before `until`. A longer run's hint is never below a shorter
 * one's, so that the first which is high enough ends the loop. */
static void raise_hints(medium *m, size_t count, size_t until)
{
    for (size_t i = count - 1; i < MEDIUM_HINTS && m->hints[i] < (int16_t)until; i++) {
        m->hints[i] = (int16_t)until;
    }
}

/* Where the free run begins that ends at `end`, or a place before which the hints don't change: a
 * run that is as long as that was there before. */
static size_t run_start(const medium *m, size_t end)
{
    size_t at = end, least = end > MEDIUM_HINTS ? end - MEDIUM_HINTS : 0;
    while (at > least) {
        uint64_t word = m->used[(at - 1) / 64] << (63 - (at - 1) % 64);
        if (word != 0) {
            return at - (size_t)__builtin_clzll(word);
        }
        at = (at - 1) / 64 * 64;
    }
    return at;
}

/* These granules are free now. */
static void lower_hints(medium *m, size_t first, size_t count)
{
    size_t start = run_start(m, first), end = first + count;
    size_t most = end + MEDIUM_HINTS < MEDIUM_GRANULES ? end + MEDIUM_HINTS : MEDIUM_GRANULES;
    size_t run = next_bit(m->used, end, most, true) - start;
    size_t i = run < MEDIUM_HINTS ? run : MEDIUM_HINTS;
    for (; i > 0 && m->hints[i - 1] > (int16_t)start; i--) {
        m->hints[i - 1] = (int16_t)start;
    }
}

/* The first free run of `count` granules whose index is `phase` modulo `stride`. */
static size_t first_fit(const medium *m, size_t count, size_t stride, size_t phase)
{
    for (size_t i = (size_t)m->hints[hint_for(count)]; i + count <= MEDIUM_GRANULES;) {
        i = next_bit(m->used, i, MEDIUM_GRANULES, false);
        i += (phase - i) & (stride - 1);
        size_t end = i + count < MEDIUM_GRANULES ? i + count : MEDIUM_GRANULES;
        size_t taken = next_bit(m->used, i, end, true);
        if (taken >= i + count) {
            return i;
        }
        i = taken > i ? taken : i + 1;
    }
    return MEDIUM_GRANULES;
}

/* ---- segments ---- */

static size_t pages_of(const medium *m)
{
    return m->whole >> (PAGE_SHIFT - MEDIUM_SHIFT);
}

static medium *segment_new(heap *h, size_t count)
{
    core *c = h->core;
    medium *m = space_meta(&c->space, sizeof *m);
    if (m == NULL) {
        return NULL;
    }
    size_t pages = MEDIUM_PAGES, least = pages_for(count << MEDIUM_SHIFT);
    m->start = space_take_most(&c->space, &pages, least, PAGE_MEDIUM, m);
    if (m->start == NULL) {
        space_meta_give(&c->space, m, sizeof *m);
        return NULL;
    }
    m->free = m->whole = (uint32_t)pages << (PAGE_SHIFT - MEDIUM_SHIFT);
    if (pages < MEDIUM_PAGES) { /* behind its end one block lies that never dies */
        set_bits(m->used, m->whole, MEDIUM_GRANULES - m->whole, true);
        set_bits(m->starts, m->whole, 1, true);
    }
    guard_claim(m->start, pages << PAGE_SHIFT);
    m->next = h->mediums;
    h->mediums = m;
    return m;
}

static void mark(medium *m, size_t first, size_t count, bool used)
{
    set_bits(m->used, first, count, used);
    m->free = used ? m->free - (uint32_t)count : m->free + (uint32_t)count;
    if (!used && count != 0) {
        lower_hints(m, first, count);
    }
}

void *medium_take(heap *h, size_t size, size_t align)
{
    size_t offset = offset_for(align), count = granules(offset, size);
    size_t stride = align > GRANULE ? align >> MEDIUM_SHIFT : 1;
    size_t phase = (0 - (offset >> MEDIUM_SHIFT)) & (stride - 1), at = MEDIUM_GRANULES;
    medium *m = h->mediums;
    for (; m != NULL; m = m->next) {
        if (m->free >= count && (at = first_fit(m, count, stride, phase)) < MEDIUM_GRANULES) {
            break;
        }
        if (m->free >= count && stride == 1) {
            raise_hints(m, count, MEDIUM_GRANULES);
        }
    }
    if (m == NULL) {
        m = segment_new(h, phase + count);
        if (m == NULL) {
            return NULL;
        }
        at = phase;
    }
    mark(m, at, count, true);
    set_bits(m->starts, at, 1, true);
    if (stride == 1) {
        raise_hints(m, count, at + count);
    }
    return m->start + (at << MEDIUM_SHIFT) + offset;
}

void medium_give(medium *m, void *block)
{
    size_t at = granule_of(m, block);
    mark(m, at, length_at(m, at), false);
    set_bits(m->starts, at, 1, false);
}

/* In place: the granules behind are tested and taken, or given back. */
bool medium_resize(medium *m, void *block, size_t new_size)
{
    size_t at = granule_of(m, block), old = length_at(m, at);
    size_t count = granules(offset_of(m, block), new_size);
    if (count <= old) {
        mark(m, at + count, old - count, false);
        return true;
    }
    if (at + count > MEDIUM_GRANULES ||
        next_bit(m->used, at + old, at + count, true) < at + count) {
        return false;
    }
    mark(m, at + old, count - old, true);
    return true;
}

void medium_trim(heap *h, size_t keep)
{
    for (medium **link = &h->mediums; *link != NULL;) {
        medium *m = *link;
        if (!medium_is_empty(m) || keep > 0) {
            keep -= medium_is_empty(m);
            link = &m->next;
            continue;
        }
        *link = m->next;
        guard_claim(m->start, pages_of(m) << PAGE_SHIFT);
        space_give(&h->core->space, m->start, pages_of(m), 0);
        space_meta_give(&h->core->space, m, sizeof *m);
    }
}
