/* ledger: a record for each block that is seen, by address and out of line.
 *
 *     spans    |rz block rz|rz  block     rz|rz block rz| ...
 *     ledger   | record    | record | 0     | record    | ...    16 bytes for each 64-byte cell
 *
 * While a window is shut, blocks start at least a cell apart, so a cell has one record at most:
 * that of the block which starts in it. A pointer into a block finds its record by walking back.
 * Records of dead blocks stay until their memory is handed out again: who stumbles over a stale
 * pointer learns what lay there, where it was made and where it died. Idea: the shadow memory of
 * Valgrind and AddressSanitizer, one level up. */
#ifndef FIEF_LEDGER_H
#define FIEF_LEDGER_H

#include "core/space.h"

/* The last five are dead; of a vacant one, `operation` is the link to the next in its list; one
 * that is aside will be vacant when more of its page is. */
typedef enum block_state {
    BLOCK_NONE,
    BLOCK_LIVE,
    BLOCK_FREED,
    BLOCK_RESET,
    BLOCK_REWOUND,
    BLOCK_VACANT,
    BLOCK_ASIDE
} block_state;

typedef struct record {
    uint64_t born : 24, died : 24, kind : 13, start : 3; /* start: in grains, from the cell's */
    uint64_t size : 27, state : 3, operation : 34;       /* size: all ones where it is larger */
} record;

/* A stack of the depot, as `born` and `died` hold it. */
enum { RECORD_STACK = 0xFFFFFF };
#define OPERATION_MAX (((uint64_t)1 << 34) - 1)
enum { CELL_SHIFT = 6, CELL = 1 << CELL_SHIFT, LEDGER_SHIFT = 2, SIZE_IN_PAGES = (1 << 27) - 1 };

/* Of so many pages. */
static inline size_t ledger_bytes(size_t pages)
{
    return (pages << PAGE_SHIFT) >> LEDGER_SHIFT;
}

/* Bytes outside the range that blocks lie in too: an arena's initial buffer. */
typedef struct annex {
    struct annex *next;
    unsigned char *start; /* a multiple of CELL */
    size_t size;
    record *records;
} annex;

/* Records for a caller's bytes; NULL when memory is short. */
annex *annex_open(space *s, void *start, size_t size);
void annex_close(space *s, annex *closed);

/* The record of the cell that p lies in: p is in a span that was taken, or in an annex. */
record *ledger_at_annex(const space *s, const void *p);
static inline record *ledger_at(const space *s, const void *p)
{
    size_t offset = (size_t)((uintptr_t)p - (uintptr_t)s->base);
    return offset >> PAGE_SHIFT < s->frontier ? &s->ledger[offset >> CELL_SHIFT]
                                              : ledger_at_annex(s, p);
}

/* Where the record's block starts. */
unsigned char *ledger_block_in_annex(const space *s, const record *r);
static inline unsigned char *ledger_block(const space *s, const record *r)
{
    size_t cell = (size_t)(r - s->ledger);
    return s->annexes == NULL
               ? s->base + (cell << CELL_SHIFT) + (size_t)r->start * FIEF_GRAIN
               : ledger_block_in_annex(s, r);
}

/* The next record in [from, end) that has a block; end where there is none. */
static inline record *ledger_next(record *from, const record *end)
{
    while (from < end && from->state == BLOCK_NONE) {
        from++;
    }
    return from;
}

/* Bytes of the block, as it was asked for. */
size_t record_size_in_pages(const space *s, const record *r);
static inline size_t record_size(const space *s, const record *r)
{
    return r->size != SIZE_IN_PAGES ? r->size : record_size_in_pages(s, r);
}
/* The block that p lies in, or the nearest before it in its span; NULL where there is none. */
record *ledger_find(const space *s, const void *p);

#endif
