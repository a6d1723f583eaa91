/* space: the runtime's one reserved range, its 64 KiB pages, and the page map beside it.
 *
 *     reserve  | meta: descriptors | page map | fence | range: spans ............ |
 *                                                      ^base                       ^base + size
 * A span is a run of pages with one owner. The map has an entry a page, outside the range, so that
 * no overflow of user data can forge it; owner(p) is a subtraction, a compare and a load. Pages
 * below `committed` are usable; pages below `frontier` have been handed out at least once; free
 * runs below the frontier carry their length at both ends and merge with their neighbours. */
#ifndef FIEF_SPACE_H
#define FIEF_SPACE_H

#include <fief/base.h>

enum { PAGE_SHIFT = 16, PAGE_SIZE = 1 << PAGE_SHIFT, SPACE_BINS = 32, META_CLASSES = 12 };

typedef enum page_kind { PAGE_FREE, PAGE_ARENA, PAGE_POOL, PAGE_SMALL, PAGE_MEDIUM, PAGE_LARGE } page_kind;

typedef struct page {
    uint8_t kind;
    uint8_t used;    /* 1: belongs to a span */
    uint16_t unused;
    uint32_t length; /* of the run: at its first and last page */
    uint32_t first;  /* the run's first page (spans) or the next free run (free runs) */
    uint32_t prev;   /* the previous free run */
    void *owner;     /* the allocator's descriptor (spans) */
} page;

typedef struct space {
    unsigned char *base;
    page *map;
    uint32_t pages, frontier, committed;
    uint32_t bins[SPACE_BINS];
    uint32_t bin_bits;
    unsigned char *reserve; /* NULL: the caller's buffer */
    size_t reserve_size;
    unsigned char *meta_cursor, *meta_limit;
    void *meta_vacant[META_CLASSES];
    size_t held, held_peak;
    size_t dirty, retain; /* bytes in free pages that were touched; how many may stay so */
} space;

/* Reserves (or lays out the caller's buffer), and returns room for `root_size` bytes of the
 * runtime itself, which holds the space; NULL when refused or too small. */
void *space_open(size_t reserve_bytes, void *buffer, size_t buffer_size, size_t root_size,
                 space *ret_space);
void space_close(space *s);
/* The smallest caller's buffer that space_open accepts. */
size_t space_minimum(size_t root_size);

unsigned char *space_take(space *s, size_t pages, page_kind kind, void *owner);
/* Makes the span longer in place; false where its neighbour is taken. */
bool space_extend(space *s, unsigned char *span, size_t old_pages, size_t new_pages);
/* Gives the span's pages from keep_pages on back. */
void space_give(space *s, unsigned char *span, size_t pages, size_t keep_pages);
bool space_move(space *s, unsigned char *from, unsigned char *to, size_t bytes);
size_t space_trim(space *s);

/* Descriptors live here, away from user data. Zeroed; NULL when memory is short. */
void *space_meta(space *s, size_t size);
void space_meta_give(space *s, void *block, size_t size);

/* The entry of the page that holds p, or NULL for a pointer outside the range. */
static inline page *space_page(const space *s, const void *p)
{
    size_t offset = (size_t)((uintptr_t)p - (uintptr_t)s->base);
    return offset >> PAGE_SHIFT < s->pages ? &s->map[offset >> PAGE_SHIFT] : NULL;
}

static inline size_t pages_for(size_t bytes)
{
    return (bytes + PAGE_SIZE - 1) >> PAGE_SHIFT;
}

static inline unsigned char *page_start(const space *s, uint32_t index)
{
    return s->base + ((size_t)index << PAGE_SHIFT);
}

#endif
