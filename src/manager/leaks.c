/* leaks: what the host still holds of dynamic lifetime at close. In a guarded build each block has
 * a record, and blocks of one kind, strategy and allocation site make a row. Else blocks are
 * counted by kind where the host asked for counts; else the pools know theirs, and the heap its
 * bytes. */
#include "manager/runtime.h"

#include "guard.h"
#include "os/os.h"

#include <stdlib.h>

enum { ROWS_MAX = 256 };

typedef struct row {
    size_t blocks, bytes;
    const char *kind, *strategy;
    uint32_t born;
    uint64_t operation; /* of the first */
} row;

typedef struct table {
    row rows[ROWS_MAX];
    size_t count, blocks, bytes;
    bool bytes_only; /* some of the heap's bytes are in blocks that nobody counted */
} table;

static void add(table *t, row r)
{
    t->blocks += r.blocks;
    t->bytes += r.bytes;
    for (size_t i = 0; i < t->count; i++) {
        row *same = &t->rows[i];
        if (same->kind == r.kind && same->strategy == r.strategy && same->born == r.born) {
            same->blocks += r.blocks;
            same->bytes += r.bytes;
            same->operation = r.operation < same->operation ? r.operation : same->operation;
            return;
        }
    }
    if (t->count < ROWS_MAX) {
        t->rows[t->count++] = r;
    }
}

/* ---- three ways to know ---- */

static void collect_records(const runtime *r, table *t)
{
    const core *c = &r->core;
    const space *s = &c->space;
    for (uint32_t i = 0; i < s->frontier; i++) {
        const page *entry = &s->map[i];
        if (!entry->used || entry->kind == PAGE_ARENA) {
            continue;
        }
        const record *end = ledger_at(s, page_start(s, i)) + (PAGE_SIZE >> CELL_SHIFT);
        record *at = ledger_next(ledger_at(s, page_start(s, i)), end);
        for (; at < end; at = ledger_next(at + 1, end)) {
            if (at->state == BLOCK_LIVE) {
                add(t, (row){1, record_size(s, at), kind_name(r, (unsigned)at->kind),
                             fief_strategy_name(page_strategy(entry)), (uint32_t)at->born,
                             at->operation});
            }
        }
    }
}

static void collect_counts(const runtime *r, table *t)
{
    const core *c = &r->core;
    tally heap_alone;
    for (unsigned kind = 0; kind <= r->window.kind_count; kind++) {
        heap_alone = c->kinds[kind];
        for (const pool *p = c->pools; p != NULL; p = p->next) {
            if (p->kind == kind && p->lent != 0) {
                add(t, (row){p->lent, p->asked, p->name, "pool", 0, 0});
                heap_alone.blocks -= p->lent;
                heap_alone.asked -= p->asked;
            }
        }
        if (heap_alone.blocks != 0) {
            add(t, (row){heap_alone.blocks, heap_alone.asked, kind_name(r, kind), "heap", 0, 0});
        }
    }
}

static void collect_windows(const runtime *r, table *t)
{
    for (const pool *p = r->core.pools; p != NULL; p = p->next) {
        size_t live = fief_pool_live(&p->window);
        if (live != 0) {
            add(t, (row){live, live * p->slot_size, p->name, "pool", 0, 0});
        }
    }
    if (heap_live(&r->heap.window) != 0) {
        add(t, (row){1, heap_live(&r->heap.window), "(not counted)", "heap", 0, 0});
        t->bytes_only = true;
    }
}

/* ---- the report ---- */

static int by_bytes(const void *a, const void *b)
{
    size_t left = ((const row *)a)->bytes, right = ((const row *)b)->bytes;
    return (left < right) - (left > right);
}

/* Mapped for the report: a runtime may close on a small stack, and two at once. */
typedef struct scratch {
    table table;
    fief_leaks leaks;
} scratch;

static void collect(const runtime *r, table *t)
{
    if (GUARD_SHUT) {
        collect_records(r, t);
    } else if (r->core.shut) {
        collect_counts(r, t);
    } else {
        collect_windows(r, t);
    }
    qsort(t->rows, t->count, sizeof t->rows[0], by_bytes);
}

static void tell_rows(const core *c, const table *t, fief_leaks *ret_leaks)
{
    ret_leaks->blocks = t->blocks;
    ret_leaks->bytes = t->bytes;
    ret_leaks->uncounted = t->bytes_only;
    ret_leaks->count = t->count < FIEF_LEAKS_MAX ? t->count : FIEF_LEAKS_MAX;
    ret_leaks->more = t->count - ret_leaks->count;
    for (size_t i = 0; i < ret_leaks->count; i++) {
        const row *from = &t->rows[i];
        fief_leak *leak = &ret_leaks->rows[i];
        *leak = (fief_leak){from->kind, from->strategy, from->blocks, from->bytes, {0}};
        depot_get(c->depot, from->born, &leak->allocated);
        leak->allocated.operation = from->operation;
    }
}

static bool is_anything_left(const runtime *r)
{
    const core *c = &r->core;
    bool left = heap_live(&r->heap.window) != 0;
    for (const pool *p = c->pools; !c->shut && !left && p != NULL; p = p->next) {
        left = p->carved != 0 && fief_pool_live(&p->window) != 0;
    }
    return c->shut ? c->tallies[FIEF_POOL].blocks != 0 || c->tallies[FIEF_HEAP].blocks != 0 : left;
}

size_t report_leaks(runtime *r)
{
    static const char no_memory[] = "fief: misuse[leak], and no memory to tell more\n";
    scratch *s = is_anything_left(r) ? os_map(sizeof *s) : NULL;
    if (s == NULL) {
        if (is_anything_left(r)) {
            os_print_error(no_memory, sizeof no_memory - 1);
        }
        return is_anything_left(r);
    }
    collect(r, &s->table);
    tell_rows(&r->core, &s->table, &s->leaks);
    misuse_leak(&r->core, &s->leaks);
    size_t blocks = s->leaks.blocks;
    os_release(s, sizeof *s);
    return blocks;
}
