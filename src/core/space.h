/* space: the runtime's one reserved range, its 64 KiB pages, and the page map beside it.
 *
 *     head     | fief_range | runtime, rows, first descriptors |          64 KiB, mapped apart
 *     reserve  | more descriptors | page map | fence | spans ............ |
 *                                                     ^base               ^base + pages
 *     ledger   | a record for each block | a quarter of the spans' size, where blocks are seen
 * A span is a run of pages with one owner. The map has an entry a page, outside the spans, so that
 * no overflow of user data can forge it; owner(p) is a subtraction, a compare and a load. Pages
 * below `committed` are usable; pages below `frontier` have been handed out at least once; free
 * runs below the frontier carry their length at both ends and merge with their neighbours.
 *
 * The head is apart because it is all that an open touches: a small mapping lands beside the
 * process's others and shares their page tables, which a page in the middle of 64 GiB does not. */
#ifndef FIEF_SPACE_H
#define FIEF_SPACE_H

#include "os/os.h"

#include <fief/stats.h>

enum { PAGE_SHIFT = 16, PAGE_SIZE = 1 << PAGE_SHIFT, SPACE_BINS = 32, META_CLASSES = 11,
       SPACE_OS_PAGE = 4096 };

typedef enum page_kind {
    PAGE_FREE,
    PAGE_ARENA,
    PAGE_POOL,
    PAGE_UNSIZED, /* the heap's small blocks that are freed without their size */
    PAGE_SMALL,   /* and with it */
    PAGE_MEDIUM,
    PAGE_LARGE,
    PAGE_FENCED, /* one block of a pool or the heap, beside an inaccessible page */
    PAGE_DEAD /* of an arena that moved on: a stale pointer is noticed (tail: strategy) */
} page_kind;

typedef struct page {
    uint8_t kind;
    uint8_t used : 1;   /* belongs to a span */
    uint8_t sealed : 5; /* pages of the system's that are read-only, from its start (arenas) */
    uint8_t warm : 1;   /* free, and may have been touched since the system gave it */
    /* Of a small span: bytes that are in no block, at its end or between; of a pool's: the slots
     * that were carved. */
    uint16_t tail;
    uint32_t length; /* of the run: at its first and last page */
    uint32_t first;  /* the run's first page (spans) or the next free run (free runs) */
    /* The previous free run (free runs); vacant bytes while trimming, a chain of vacant blocks
     * while sorting, in guarded builds bytes that are aside (spans); does its fence lie in front
     * (fenced spans)? */
    uint32_t prev;
    void *owner;     /* the allocator's descriptor (spans) */
} page;

/* Address space and its metadata. One runtime at a time lives in a range. Two lines of the cache:
 * the rest of the page is the runtime's. */
struct fief_range {
    unsigned char *base;
    page *map;
    uint32_t pages, committed;
    unsigned char *head_cursor, *head_limit; /* descriptors: in the head, then in the reserve */
    unsigned char *more_cursor, *more_limit;
    unsigned char *head_used, *more_used; /* high-water marks of earlier runtimes */
    unsigned char *reserve;               /* NULL: the caller's buffer */
    struct record *ledger;                /* NULL: nobody has needed it yet */
    uint32_t ledger_pages;                /* whose records are usable */
    uint16_t map_ready : 1, taken : 1, kept : 1;
    uint16_t recycled : 1; /* it waits for the next runtime among the idle ones */
    uint16_t huge : 1;     /* of huge pages, where the system has them */
    uint16_t has_huge : 1; /* some of its pages were asked for as such */
    uint16_t node : 10;    /* whose pages it has, as far as they lie where they are used */
    os_placement place;    /* of its pages, but for spans whose strategy has another */
    size_t reserve_size;
    size_t asked; /* of reserve_size: what the system may have halved */
    struct workspace *workspace; /* NULL: none, or somebody works in it */
    struct image_map *images; /* of the runtime that lives here; a runtime's own page is full */
};

/* A new range, halved until the OS agrees; NULL when it refuses every half. */
fief_range *range_open(size_t reserve_bytes);
/* A range laid out in the caller's own bytes. */
fief_range *range_in(void *buffer, size_t size, size_t root_size, bool ledger);
void range_close(fief_range *range);
/* place.c: its pages lie so from now on, those that are there, too. False: the system refuses,
 * and the range is mixed. */
bool range_place(fief_range *range, os_placement place);
static inline bool is_placed_so(os_placement a, os_placement b)
{
    return a.policy == b.policy && a.node == b.node;
}
/* Whoever touches such a page first has it on his node. */
static inline bool is_placed_by_touch(os_placement place)
{
    return place.policy == OS_AS_IT_COMES || place.policy == OS_LOCAL;
}
/* Some of its pages lie otherwise: the next runtime in it asks anew. */
void range_mix(fief_range *range);
bool range_is_mixed(const fief_range *range);
/* The same for a part that was reserved by itself. */
bool range_place_part(const fief_range *range, void *start, size_t size);
/* Its spans begin where a huge page does, and it may leave pages out to have whole ones. */
static inline bool range_is_roomy(const fief_range *range)
{
    return range->reserve != NULL && range->reserve_size >> 6 >= HUGE_PAGE;
}
/* Makes pages up to `until` usable for a span of so many, with their records if the ledger is
 * kept. */
bool range_commit(fief_range *range, uint32_t until, size_t span, bool ledger);
/* Makes the ledger usable for the pages that are committed. */
bool range_ledger(fief_range *range);
/* The smallest buffer that range_in accepts. */
size_t range_minimum(size_t root_size, bool ledger);
static inline size_t range_head_bytes(const fief_range *range)
{
    return (size_t)(range->head_limit - (const unsigned char *)range);
}

/* Memory of the system's that one call works in. A range that outlives its runtime keeps it for
 * the next call, of whichever runtime: what each thread maps and releases anew stops the others,
 * since the system changes the process's one page table and interrupts who reads it. */
typedef struct workspace {
    size_t size; /* of the whole mapping */
    _Alignas(64) unsigned char bytes[];
} workspace;

/* `size` bytes at least, as the last work left them; NULL when memory is short. Who works while
 * another does has one of his own. */
workspace *workspace_take(fief_range *range, size_t size);
/* It stays while it is no larger than `most`, in a range that is kept or recycled. */
void workspace_give(fief_range *range, workspace *done, size_t most);
void workspace_drop(fief_range *range);

/* Dead spans, by their first page, oldest first; a ring. The newest are warm: their bytes stay. */
typedef struct graves {
    uint32_t *ring;
    uint32_t size, first, count, pages, pages_max;
    uint32_t warm, warm_pages, warm_max;
} graves;

typedef struct space {
    unsigned char *base;
    page *map;
    struct record *ledger; /* NULL: blocks are not seen */
    struct annex *annexes;
    uint32_t pages, frontier;
    uint32_t bins[SPACE_BINS];
    uint32_t bin_bits;
    bool leaving; /* pages are given back to nobody: all of them go at once, soon */
    bool together; /* several spans are given back, and paid for at the end */
    bool apart;   /* strategies have placements of their own, which lie behind the range */
    fief_range *range;
    unsigned char *meta_cursor, *meta_limit, *meta_used;
    void *meta_vacant[META_CLASSES];
    struct large_meta *meta_large; /* vacant ones of larger classes */
    size_t held, held_peak;
    graves graves;
    uint32_t warm, retain; /* pages that are so; how many may stay so */
    uint32_t due;          /* eighths of the others, to be given back next */
    uint32_t cooled;       /* no warm page lies from here on that may go by itself */
} space;

/* Where the pages of each strategy lie; they stand between the range and its runtime. */
typedef struct placements {
    os_placement of[FIEF_STRATEGIES];
    size_t refused; /* bytes that the system did not place so */
} placements;

/* Moves into the range, which must not be taken. */
void space_open(space *s, fief_range *range, size_t retain);
/* From here on each block has a record. False when memory is short. */
bool space_keep_ledger(space *s);
/* The runtime ends: what is given back from here on leaves with the rest, in one call. Not in a
 * guarded build, where the rest may stay for a while. */
void space_leaving(space *s);
/* Moves out; a range that is not kept is closed. `s` may lie in the range itself. */
void space_close(const space *s);

unsigned char *space_take(space *s, size_t pages, page_kind kind, void *owner);
/* The same with fewer pages, where so many don't lie together, but `least` at least: a small range
 * is used to its end. */
unsigned char *space_take_most(space *s, size_t *pages, size_t least, page_kind kind, void *owner);
/* Makes the span longer in place; false where its neighbour is taken. */
bool space_extend(space *s, unsigned char *span, size_t old_pages, size_t new_pages);
/* Gives the span's pages from keep_pages on back. */
void space_give(space *s, unsigned char *span, size_t pages, size_t keep_pages);
/* Drops what nobody uses. */
void space_discard(unsigned char *start, size_t bytes);
/* graves.c: the span, or as much of it as there is room for, stays where it is, inaccessible. */
void space_bury(space *s, unsigned char *span, size_t pages, unsigned strategy);
bool graves_open(space *s, size_t budget);
/* Gives back what is too much, before pages are taken. */
void graves_settle(space *s);
/* The entries of pages [from, pages) of the span that starts at `first`. */
void space_own(space *s, uint32_t first, size_t from, size_t pages, page_kind kind, void *owner);
/* place.c: before anything else is kept in the space. */
void space_place(space *s, const os_placement of[FIEF_STRATEGIES]);
/* Where a strategy's pages lie. */
os_placement space_placement(const space *s, fief_strategy strategy);
/* Bytes that the system refused to place. */
size_t space_unplaced(const space *s);
/* Pages [from, until) of the span that starts at `first` were taken, and are placed as its strategy
 * has it; are given back, and are as the others of the range (and dropped: true); become another
 * strategy's. */
void space_settle(space *s, uint32_t first, size_t from, size_t until);
bool space_unsettle(space *s, uint32_t first, size_t from, size_t until);
void space_resettle(space *s, unsigned char *start, size_t bytes, fief_strategy from,
                    fief_strategy to);
/* What lies where it was touched comes to the calling thread's node. False: not all of it. */
bool space_follow(space *s);
/* Between the beginning and the end of many gives no instalment is due. */
void space_give_together(space *s, bool begin);
bool space_move(space *s, unsigned char *from, unsigned char *to, size_t bytes);
/* Gives free pages to the OS; returns the bytes. */
size_t space_trim(space *s);

/* Descriptors live here, away from user data. Zeroed; NULL when memory is short. */
void *space_meta(space *s, size_t size);
/* The same for what stays until the space closes: packed, never given back. */
void *space_keep(space *s, size_t size);
void space_meta_give(space *s, void *block, size_t size);

/* The entry of the page that holds p, or NULL for a pointer outside the range. */
static inline page *space_page(const space *s, const void *p)
{
    size_t offset = (size_t)((uintptr_t)p - (uintptr_t)s->base);
    return offset >> PAGE_SHIFT < s->frontier ? &s->map[offset >> PAGE_SHIFT] : NULL;
}

static inline unsigned char *page_start(const space *s, size_t index)
{
    return s->base + (index << PAGE_SHIFT);
}

/* The first byte of the span that an entry belongs to. */
static inline unsigned char *span_start(const space *s, const page *entry)
{
    return page_start(s, entry->first);
}

/* Is this byte in the part of an arena that is read-only? */
static inline bool is_sealed(const space *s, const void *p)
{
    const page *entry = space_page(s, p);
    size_t at = ((uintptr_t)p - (uintptr_t)s->base) & (PAGE_SIZE - 1);
    return entry != NULL && entry->kind == PAGE_ARENA && at / SPACE_OS_PAGE < entry->sealed;
}

static inline size_t pages_for(size_t bytes)
{
    return (bytes + PAGE_SIZE - 1) >> PAGE_SHIFT;
}

#endif
