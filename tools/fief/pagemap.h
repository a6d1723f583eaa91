/* pagemap: which pages of 64 KiB a trace's blocks lie in, and whose bytes they hold. First every
 * page is met (pagemap_put with no owner); then pagemap_fold gives them rows in the order of their
 * addresses, and in a second reading each row counts its bytes by owner. */
#ifndef FIEF_TOOL_PAGEMAP_H
#define FIEF_TOOL_PAGEMAP_H

#include "tool.h"

enum { PAGE_BITS = 16, GROUPINGS = 3, SERIES = 8, ROWS_MOST = 512 };

/* Whose a block's bytes are, in each grouping. */
typedef struct owners {
    uint8_t series[GROUPINGS];
} owners;

typedef struct pagemap pagemap;

pagemap *pagemap_new(void);
void pagemap_free(pagemap *m);
/* A block comes (+1) or goes (-1). False: no memory. */
bool pagemap_put(pagemap *m, uint64_t address, uint64_t size, int direction, owners whose);
/* Pages with a live byte in them. */
uint64_t pagemap_held(const pagemap *m);
/* The end of the first reading: every page gets its row, and is empty again. False: no memory. */
bool pagemap_fold(pagemap *m);
unsigned pagemap_rows(const pagemap *m);
unsigned pagemap_pages_a_row(const pagemap *m);
uint64_t pagemap_outside(const pagemap *m); /* pages of blocks too large for the map */
/* Who holds most of that row: its series, or -1; ret_filled: at least half of it is in use. */
int pagemap_owner(const pagemap *m, unsigned number, unsigned grouping, bool *ret_filled);

#endif
