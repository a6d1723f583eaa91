/* places: where blocks are made, as people know it. A trace has sites (stacks of frames) and
 * classes (kind, context, strategy); a place is one class group at one line of the program: that
 * of the innermost frame which is no helper that many call on their way to malloc.
 *
 *     places *p = places_new();
 *     on every TRACE_ALLOC:  block->user = places_pair(p, block->site, block->class_number);
 *     at the trace's end:    places_name(p, t, symbols, false);
 *     read it again:         places_of(p, block->user) is the block's place
 *
 * Names are copies: the trace may be closed. Pairs are found while the trace is read; names need
 * all of it, so figures by place are counted in a second reading (or by pair, in the first). */
#ifndef FIEF_TOOL_PLACES_H
#define FIEF_TOOL_PLACES_H

#include "tool.h"

typedef struct place {
    const char *site; /* "luaH_new ltable.c:611", or "" where the trace has no sites */
    const char *kind; /* or "" */
    uint32_t number;
    uint8_t strategy, context;
    uint64_t blocks, bytes, most; /* made; and the sum of its pairs' highest */
} place;

typedef struct places places;

places *places_new(void);
void places_free(places *p);
/* The number of the pair, from 0; PLACES_NONE without memory. */
enum { PLACES_NONE = UINT32_MAX };
uint32_t places_pair(places *p, uint32_t site, uint32_t class_number);
/* In the first reading: what lives of that pair grew or shrank; `made`: a block was made. */
void places_count(places *p, uint32_t number, int64_t more, uint64_t made);
/* Pairs become places, those that held the most first. `by_kind`: a kind in a context is one place,
 * wherever its blocks are made. False: no memory. */
bool places_name(places *p, const trace *t, const symbols *s, bool by_kind);
uint32_t places_total(const places *p);
const place *places_at(const places *p, uint32_t number); /* from 0 */
uint32_t places_of(const places *p, uint64_t pair_number);
/* "kind, context" and the site, as far as they are known. */
void place_text(const place *p, char *buffer, size_t size);

#endif
