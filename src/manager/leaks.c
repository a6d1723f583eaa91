/* leaks: what the host still holds of dynamic lifetime at close. In a guarded build each block has
 * a record, and blocks of one kind, strategy and allocation site make a row. Else blocks are
 * counted by kind where the host asked for counts; else the pools know theirs, and the heap its
 * bytes. */
#include "manager/report.h"
#include "manager/runtime.h"

#include "guard.h"
#include "os/os.h"
#include "sites/sites.h"

#include <stdlib.h>

enum { ROWS_MAX = 256, ROWS_SHOWN = 20, TEXTS_MAX = 4 * ROWS_SHOWN, TEXT_SIZE = 8192 };

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
            if (p->strategy == FIEF_POOL && p->kind == kind && p->lent != 0) {
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
        size_t live = p->strategy == FIEF_POOL ? fief_pool_live(&p->window) : 0;
        if (live != 0) {
            add(t, (row){live, live * p->slot_size, p->name, "pool", 0, 0});
        }
    }
    if (r->heap.window.live != 0) {
        add(t, (row){1, r->heap.window.live, "(not counted)", "heap", 0, 0});
        t->bytes_only = true;
    }
}

/* ---- the report ---- */

static int by_bytes(const void *a, const void *b)
{
    size_t left = ((const row *)a)->bytes, right = ((const row *)b)->bytes;
    return (left < right) - (left > right);
}

/* The first frame of each row that is shown; "" where there is none. Room for more is behind. */
static void find_places(const core *c, const table *t, site_text *ret_places)
{
    site_address addresses[ROWS_SHOWN];
    size_t shown = t->count < ROWS_SHOWN ? t->count : ROWS_SHOWN, count = 0;
    size_t rows[ROWS_SHOWN] = {0}; /* whose place each address is */
    for (size_t i = 0; i < shown; i++) {
        fief_site site;
        depot_get(c->depot, t->rows[i].born, &site);
        if (site.count != 0) {
            rows[count] = i;
            addresses[count++] = (site_address){
                .pc = site.frames[0],
                .module = depot_module(c->depot, site.stack, site.frames[0])};
        }
    }
    site_text *texts = ret_places + ROWS_SHOWN;
    size_t total = sites_find(addresses, count, texts, TEXTS_MAX), at = 0;
    while (at < total) {
        size_t address = texts[at].address;
        ret_places[rows[address]] = texts[at];
        while (at < total && texts[at].address == address) {
            at++;
        }
    }
}

static void put_rows(writer *w, const table *t, const site_text *places)
{
    for (size_t i = 0; i < t->count && i < ROWS_SHOWN; i++) {
        const row *r = &t->rows[i];
        put(w, "%9zu %9zu  %-16s %-8s ", r->blocks, r->bytes, r->kind, r->strategy);
        if (places[i].file[0] != '\0') {
            put(w, "%s ", function_of(&places[i]));
            put_place(w, &places[i]);
        }
        if (r->operation != 0) {
            put(w, "  (first: op %llu)", (unsigned long long)r->operation);
        }
        put(w, "\n");
    }
    if (t->count > ROWS_SHOWN) {
        put(w, "  %zu more\n", t->count - ROWS_SHOWN);
    }
}

/* Mapped for the report: a runtime may close on a small stack, and two at once. */
typedef struct scratch {
    table table;
    site_text places[ROWS_SHOWN + TEXTS_MAX];
    char text[TEXT_SIZE];
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
}

static void report(const core *c, scratch *s)
{
    table *t = &s->table;
    qsort(t->rows, t->count, sizeof t->rows[0], by_bytes);
    find_places(c, t, s->places);
    writer w = {s->text, TEXT_SIZE, 0};
    put(&w, "==%d==fief: misuse[leak]: runtime \"%s\" closed with %zu blocks, %zu bytes alive\n",
        os_process(), c->name, t->blocks, t->bytes);
    put(&w, "   blocks     bytes  kind             strategy allocated at\n");
    put_rows(&w, t, s->places);
    if (t->bytes_only) {
        put(&w,
            "  help: .count_blocks = true counts blocks and kinds; a debug build tells sites\n");
    }
    fief_misuse m = {.class_id = FIEF_MISUSE_LEAK, .color = c->color, .runtime = c->name,
                     .mode = GUARD_MODE, .thread = os_thread_number()};
    put_help(&w, &m);
    put_runtime(&w, &m);
    put(&w, "SUMMARY: fief: leak %zu blocks %zu bytes", t->blocks, t->bytes);
    if (s->places[0].file[0] != '\0') {
        put(&w, " ");
        put_place(&w, &s->places[0]);
        put(&w, " in %s", function_of(&s->places[0]));
    }
    put(&w, "\n");
    bool ours = os_take_turn();
    os_print_error(s->text, w.length < TEXT_SIZE ? w.length : TEXT_SIZE - 1);
    if (ours) {
        os_end_turn();
    }
}

static bool is_anything_left(const runtime *r)
{
    const core *c = &r->core;
    bool left = r->heap.window.live != 0;
    for (const pool *p = c->pools; !c->shut && !left && p != NULL; p = p->next) {
        left = p->strategy == FIEF_POOL && p->carved != 0 && fief_pool_live(&p->window) != 0;
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
    report(&r->core, s);
    size_t blocks = s->table.blocks;
    os_release(s, sizeof *s);
    return blocks;
}
