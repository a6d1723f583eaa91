/* model: see model.h. */
#include "model.h"

#include <string.h>

enum { END = 512, STRIDE = 16384, LOOKED_AT = 32768 };

/* ---- bytes ---- */

/* Byte i is ((seed + i * 29) & 0x7F) | 0x80: nonzero, different for neighbours and for seeds. That
 * comes round after 128 bytes, and a seed is a place in it to begin at: all are compared or copied
 * from one table, twice as long, in pieces that a compiler makes vectors of. */
#define BYTE(i)  (unsigned char)((((i) * 29) & 0x7F) | 0x80)
#define FOUR(i)  BYTE(i), BYTE((i) + 1), BYTE((i) + 2), BYTE((i) + 3)
#define SOME(i)  FOUR(i), FOUR((i) + 4), FOUR((i) + 8), FOUR((i) + 12)
#define ROUND(i) SOME(i), SOME((i) + 16), SOME((i) + 32), SOME((i) + 48)
enum { PERIOD = 128, INVERSE = 53 /* of 29 */ };
static const unsigned char bytes[2 * PERIOD] = {ROUND(0), ROUND(64), ROUND(128), ROUND(192)};

/* What the block must have from byte i on, for a period. */
static const unsigned char *bytes_at(const block *b, size_t i)
{
    return bytes + ((size_t)b->seed * INVERSE + i) % PERIOD;
}

static void fill_range(const block *b, size_t from, size_t until)
{
    for (size_t i = from; i < until; i += PERIOD) {
        memcpy(b->start + i, bytes_at(b, i), until - i < PERIOD ? until - i : PERIOD);
    }
}

static bool range_holds(const block *b, size_t from, size_t until)
{
    unsigned wrong = 0;
    for (size_t i = from; i < until; i += PERIOD) {
        const unsigned char *there = b->start + i, *must = bytes_at(b, i);
        size_t count = until - i < PERIOD ? until - i : PERIOD;
        for (size_t k = 0; k < count; k++) {
            wrong |= (unsigned)(there[k] ^ must[k]);
        }
    }
    return wrong == 0;
}

static bool fills_whole;

void model_fills_whole(bool whole)
{
    if (fills_whole != whole) { /* runs beside each other agree, and look only */
        fills_whole = whole;
    }
}

/* Large blocks: both ends, and a byte now and then. */
void fill_block(const block *b)
{
    fill_range(b, 0, b->size < END || fills_whole ? b->size : END);
    if (b->size > END && !fills_whole) {
        for (size_t i = STRIDE; i < b->size - END; i += STRIDE) {
            fill_range(b, i, i + 1);
        }
        fill_range(b, b->size > 2 * END ? b->size - END : END, b->size);
    }
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The same but for the word of its field. */
static bool range_holds_but_field(const block *b, size_t from, size_t until)
{
    if (b->field == NO_FIELD) {
        return range_holds(b, from, until);
    }
    size_t behind = b->field_at + sizeof(void *);
    return range_holds(b, from, least(until, b->field_at)) &&
           range_holds(b, from > behind ? from : behind, until);
}

bool block_holds(const block *b, size_t size)
{
    bool holds = range_holds_but_field(b, 0, least(least(b->size, END), size));
    if (b->size > END) {
        for (size_t i = STRIDE; i < least(b->size - END, size); i += STRIDE) {
            holds = holds && range_holds_but_field(b, i, i + 1);
        }
        size_t from = b->size > 2 * END ? b->size - END : END;
        holds = holds && range_holds_but_field(b, from, least(b->size, size));
    }
    return holds;
}

void fill_rest(const block *b)
{
    bool has_field = b->field != NO_FIELD;
    fill_range(b, 0, has_field ? b->field_at : b->size);
    fill_range(b, has_field ? b->field_at + sizeof(void *) : b->size, b->size);
}

bool holds_whole(const block *b)
{
    return range_holds_but_field(b, 0, b->size);
}

size_t field_place(const block *b, bool last)
{
    return last ? (b->size - sizeof(void *)) & ~(sizeof(void *) - 1) : 0;
}

void fill_field(const block *b)
{
    fill_range(b, b->field_at, b->field_at + sizeof(void *));
}

unsigned char outsides[EXTERNALS][2][EXTERNAL_SIZE];

unsigned char *field_target(const life *l, const block *b)
{
    return b->field >= 0 ? l->blocks[b->field].start : b->field == OUTSIDE ? b->outside : NULL;
}

bool points_inside(const life *l, const block *b)
{
    return b->field >= 0 && l->blocks[b->field].strategy != FIEF_NO_STRATEGY;
}

bool block_points(const life *l, const block *b)
{
    const unsigned char *target = NULL;
    if (b->field != NO_FIELD) {
        memcpy(&target, b->start + b->field_at, sizeof target);
    }
    return target == field_target(l, b);
}

bool is_zero(const unsigned char *start, size_t size)
{
    unsigned any = 0;
    size_t whole = fills_whole ? size : least(size, LOOKED_AT);
    for (size_t i = 0; i < whole; i++) {
        any |= start[i];
    }
    for (size_t i = whole; i < size; i += STRIDE) {
        any |= start[i];
    }
    return any == 0 && (size == 0 || start[size - 1] == 0);
}

/* ---- the table ---- */

int find_block(const life *l, uint64_t handle, admits *admitted)
{
    for (unsigned n = 0, i = (unsigned)handle; l->live != 0 && n < BLOCKS; n++, i++) {
        const block *b = &l->blocks[i % BLOCKS];
        if (b->origin != EMPTY && (admitted == NULL || admitted(l, b))) {
            return (int)(i % BLOCKS);
        }
    }
    return -1;
}

int find_empty(const life *l, uint64_t handle)
{
    for (unsigned n = 0, i = (unsigned)handle; n < BLOCKS; n++, i++) {
        if (l->blocks[i % BLOCKS].origin == EMPTY) {
            return (int)(i % BLOCKS);
        }
    }
    return -1;
}

bool is_dynamic(const life *l, const block *b)
{
    (void)l;
    return b->home < 0;
}

static bool overlaps(const block *b, const unsigned char *start, size_t size)
{
    return start + (size != 0 ? size : 1) > b->start &&
           b->start + (b->size != 0 ? b->size : 1) > start;
}

int overlapped(const life *l, const unsigned char *start, size_t size, int but)
{
    for (unsigned i = 0; i < l->top; i++) {
        const block *b = &l->blocks[i];
        if (b->origin != EMPTY && (int)i != but && overlaps(b, start, size)) {
            return (int)i;
        }
    }
    return -1;
}

bool is_fenced(const life *l, const block *b)
{
    return b->kind < l->kind_count &&
           (l->kinds[b->kind].traits & (FIEF_FENCE_BACK | FIEF_FENCE_FRONT)) != 0;
}

bool is_plain_dynamic(const life *l, const block *b)
{
    return is_dynamic(l, b) && !is_fenced(l, b);
}

bool would_wait(const life *l, const block *b)
{
    return is_plain_dynamic(l, b) && l->quarantine > 4096 && b->counted < l->quarantine / 8 - 64;
}

bool overlaps_resting(const life *l, const unsigned char *start, size_t size)
{
    for (unsigned i = 0; i < RESTING; i++) {
        if (l->resting[i].start != NULL && overlaps(&l->resting[i], start, size)) {
            return true;
        }
    }
    return false;
}

void drop_block(life *l, int index)
{
    l->blocks[index].origin = EMPTY;
    l->live--;
    while (l->top > 0 && l->blocks[l->top - 1].origin == EMPTY) {
        l->top--;
    }
}

/* ---- counting ---- */

static bool has_room(size_t asked, size_t limit, size_t size)
{
    return limit == 0 || (asked <= limit && size <= limit - asked);
}

bool budget_admits_it(const life *l, fief_strategy strategy, size_t size)
{
    const figures *f = &l->strategies[strategy];
    return has_room(l->asked, l->limit, size) && has_room(f->asked, f->limit, size);
}

void count_total(life *l, fief_strategy strategy, unsigned kind, ptrdiff_t size)
{
    l->strategies[strategy].total += (size_t)size;
    l->kinds_used[kind].total += (size_t)size;
}

void count_block(life *l, fief_strategy strategy, unsigned kind, size_t size)
{
    count_total(l, strategy, kind, (ptrdiff_t)size);
    l->asked += size;
    l->strategies[strategy].asked += size;
    l->strategies[strategy].blocks++;
    l->kinds_used[kind].asked += size;
    l->kinds_used[kind].blocks++;
}

void uncount_block(life *l, fief_strategy strategy, unsigned kind, size_t size)
{
    l->asked -= size;
    l->strategies[strategy].asked -= size;
    l->strategies[strategy].blocks--;
    l->kinds_used[kind].asked -= size;
    l->kinds_used[kind].blocks--;
}

size_t heap_rounded(const life *l, size_t size)
{
    return fief_round_up(size == 0 ? 1 : size, l->heap_align);
}

size_t unsized_size(size_t size, size_t align)
{
    enum { GRANULE = 256, MEDIUM = 256 << 10, PAGE = 65536, SMALL = 512 };
    if (align <= FIEF_ALIGN && size <= SMALL) {
        return fief_round_up(size == 0 ? 1 : size, FIEF_ALIGN);
    }
    size = size <= SMALL ? SMALL + 1 : size;
    return fief_round_up(size, size <= MEDIUM ? GRANULE : PAGE);
}

/* ---- arenas ---- */

entry *log_entry(life *l, int home_index, fief_strategy strategy, unsigned kind, size_t size)
{
    home *h = &l->homes[home_index];
    entry *e = &h->log[h->logged < LOG_MAX ? h->logged++ : LOG_MAX - 1];
    *e = (entry){.number = ++h->last,
                 .size = size,
                 .kind = kind,
                 .home = home_index,
                 .strategy = strategy,
                 .fell_back = strategy == FIEF_HEAP};
    return e;
}

bool dies_above(const block *b, int home_index, uint64_t number)
{
    return b->origin != EMPTY && b->home == home_index && b->number > number;
}

unsigned model_undo(life *l, int home_index, uint64_t number)
{
    home *h = &l->homes[home_index];
    unsigned cleanups = 0;
    for (unsigned i = 0; i < l->top; i++) {
        if (dies_above(&l->blocks[i], home_index, number)) {
            drop_block(l, (int)i);
        }
    }
    for (; h->logged > 0 && h->log[h->logged - 1].number > number; h->logged--) {
        const entry *e = &h->log[h->logged - 1];
        cleanups += e->is_cleanup;
        if (!e->is_cleanup && !e->is_retired) {
            uncount_block(l, e->strategy, e->kind, e->size);
            l->heap_used -= e->rounded;
        }
    }
    for (unsigned i = 0; i < MARKS; i++) {
        marked *m = &l->marks[i];
        m->is_set = m->is_set && !(m->home == home_index && m->number > number);
    }
    return cleanups;
}

void model_move(life *l, int from, int to, uint64_t base)
{
    home *f = &l->homes[from], *t = &l->homes[to];
    const uint64_t more = t->last - base;
    for (unsigned i = 0; i < l->top; i++) {
        block *b = &l->blocks[i];
        if (dies_above(b, from, base)) {
            b->home = to;
            b->number += more;
            b->strategy = b->strategy == f->strategy ? t->strategy : b->strategy;
        }
    }
    for (size_t i = 0; i < f->logged; i++) {
        entry *e = &t->log[t->logged++];
        *e = f->log[i];
        e->home = to;
        e->number += more;
        if (e->is_cleanup) {
            e->token->entry = e;
        } else if (e->strategy == f->strategy && !e->is_retired) {
            l->strategies[f->strategy].asked -= e->size;
            l->strategies[f->strategy].blocks--;
            l->strategies[t->strategy].asked += e->size;
            l->strategies[t->strategy].blocks++;
        }
        e->strategy = e->strategy == f->strategy ? t->strategy : e->strategy;
    }
    f->logged = 0;
    t->last = f->last + more;
    for (unsigned i = 0; i < MARKS; i++) {
        l->marks[i].is_set = l->marks[i].is_set && l->marks[i].home != from;
    }
}

int newest_frame(const life *l, int home_index)
{
    int newest = -1;
    for (unsigned i = 0; i < l->top; i++) {
        const block *b = &l->blocks[i];
        bool newer = newest < 0 || b->number > l->blocks[newest].number;
        if (b->origin != EMPTY && b->home == home_index && newer) {
            newest = (int)i;
        }
    }
    return newest;
}
