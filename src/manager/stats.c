/* stats: where the bytes are. One field table feeds the text and the JSON. */
#include "manager/report.h"
#include "manager/runtime.h"

#include <stdio.h>

static const char *const strategy_names[FIEF_STRATEGIES] = {
    [FIEF_NO_STRATEGY] = "none",
    [FIEF_VM_ARENA] = "vm arena",
    [FIEF_COMPILER_ARENA] = "compiler arena",
    [FIEF_STACK] = "stack",
    [FIEF_POOL] = "pool",
    [FIEF_HEAP] = "heap",
};

const char *fief_strategy_name(fief_strategy strategy)
{
    if (strategy == FIEF_IMAGE) {
        return "image";
    }
    return (unsigned)strategy < FIEF_STRATEGIES ? strategy_names[strategy] : "unknown";
}

/* ---- counts ---- */

static fief_count count_of(const tally *t, bool counted)
{
    return (fief_count){.asked_bytes = counted ? t->asked : FIEF_NOT_COUNTED,
                        .blocks = counted ? t->blocks : FIEF_NOT_COUNTED,
                        .total_bytes = counted ? t->total : FIEF_NOT_COUNTED,
                        .resets = t->resets,
                        .fallbacks = t->fallbacks,
                        .refused = t->refused};
}

static void add_arenas(const runtime *r, fief_strategy strategy, fief_count *count)
{
    for (const arena *a = r->core.arenas; a != NULL; a = a->next) {
        if (a->strategy == strategy) {
            size_t used = arena_used(a);
            count->used_bytes += used;
            count->peak_bytes += used > a->peak ? used : a->peak;
        }
    }
}

static void add_pool(const pool *p, fief_count *count)
{
    count->used_bytes += fief_pool_live(&p->window) * p->step;
    count->peak_bytes += p->peak * p->step;
}

fief_count fief_stats_strategy(const fief_runtime *rt, fief_strategy strategy)
{
    const runtime *r = whole_runtime(rt);
    if ((unsigned)strategy >= FIEF_STRATEGIES) {
        return (fief_count){0};
    }
    fief_count count = count_of(&r->core.tallies[strategy], r->core.shut);
    if (strategy == FIEF_HEAP) {
        const fief_heap *h = &r->heap.window;
        count.used_bytes = heap_live(h);
        count.peak_bytes = h->peak;
        return count;
    }
    for (const pool *p = r->core.pools; strategy == FIEF_POOL && p != NULL; p = p->next) {
        add_pool(p, &count);
    }
    add_arenas(r, strategy, &count);
    return count;
}

/* A pool that serves one kind alone knows its blocks in every mode. */
static bool count_sole_pool(const runtime *r, unsigned kind, fief_count *count)
{
    const fief_row *row = fief_row_of(&r->window, kind, 0);
    if (kind >= r->window.kind_count || !row->sole || row->strategy != FIEF_POOL) {
        return false;
    }
    const pool *p = fief_row_allocator((fief_runtime *)(uintptr_t)&r->window, row);
    count->blocks = count->used_bytes = count->peak_bytes = 0;
    if (p->core != NULL) {
        count->blocks = fief_pool_live(&p->window);
        add_pool(p, count);
    }
    return true;
}

fief_count fief_stats_kind(const fief_runtime *rt, unsigned kind)
{
    static const tally none;
    const runtime *r = whole_runtime(rt);
    if (kind > rt->kind_count) {
        return (fief_count){0};
    }
    const tally *t = r->core.shut ? &r->core.kinds[kind] : &none;
    fief_count count = count_of(t, r->core.shut);
    count.used_bytes = r->core.shut ? t->asked : FIEF_NOT_COUNTED;
    count.peak_bytes = r->core.shut ? t->asked_peak : FIEF_NOT_COUNTED;
    (void)count_sole_pool(r, kind, &count);
    return count;
}

size_t fief_stats_held(const fief_runtime *rt)
{
    return whole_runtime(rt)->core.space.held;
}

size_t fief_stats_held_peak(const fief_runtime *rt)
{
    return whole_runtime(rt)->core.space.held_peak;
}

/* ---- nodes ---- */

fief_placement fief_stats_placement(const fief_runtime *rt, fief_strategy strategy)
{
    static const fief_node_policy policies[] = {[OS_AS_IT_COMES] = FIEF_NODE_DEFAULT,
                                                [OS_LOCAL] = FIEF_NODE_LOCAL,
                                                [OS_ON] = FIEF_NODE_ON,
                                                [OS_INTERLEAVE] = FIEF_NODE_INTERLEAVE};
    const space *s = &whole_runtime(rt)->core.space;
    os_placement p = (unsigned)strategy < FIEF_STRATEGIES ? space_placement(s, strategy)
                                                          : (os_placement){.policy = 0};
    return (fief_placement){policies[p.policy], p.node};
}

size_t fief_stats_unplaced(const fief_runtime *rt)
{
    return space_unplaced(&whole_runtime(rt)->core.space);
}

typedef struct place_words {
    char text[24];
} place_words;

static place_words in_place_words(fief_placement p)
{
    static const char *const policies[] = {"default", "local", "node %u", "interleaved"};
    place_words out;
    (void)snprintf(out.text, sizeof out.text, policies[p.policy], p.node);
    return out;
}

static bool is_apart(const fief_runtime *rt, fief_strategy strategy)
{
    fief_placement all = fief_stats_placement(rt, FIEF_NO_STRATEGY);
    fief_placement own = fief_stats_placement(rt, strategy);
    return own.policy != all.policy || own.node != all.node;
}

/* ---- fields ---- */

/* Hundredths of a per cent of the used bytes that nobody asked for. */
static size_t waste(const fief_count *c)
{
    if (c->asked_bytes == FIEF_NOT_COUNTED || c->used_bytes == FIEF_NOT_COUNTED) {
        return FIEF_NOT_COUNTED;
    }
    bool any = c->used_bytes > c->asked_bytes;
    return any ? (c->used_bytes - c->asked_bytes) * 10000 / c->used_bytes : 0;
}

#define FIELD(name)                                      \
    static size_t get_##name(const fief_count *c)        \
    {                                                    \
        return c->name;                                  \
    }
FIELD(blocks)
FIELD(used_bytes)
FIELD(peak_bytes)
FIELD(asked_bytes)
FIELD(total_bytes)
FIELD(resets)
FIELD(fallbacks)
FIELD(refused)

typedef enum unit { NUMBER, BYTES, PERCENT } unit;

typedef struct field {
    const char *json, *heading; /* heading NULL: not in the table */
    size_t (*get)(const fief_count *);
    unit unit;
    int width;
} field;

static const field fields[] = {
    {"blocks", "blocks", get_blocks, NUMBER, 10},
    {"used_bytes", "now", get_used_bytes, BYTES, 11},
    {"peak_bytes", "peak", get_peak_bytes, BYTES, 11},
    {"total_bytes", "total", get_total_bytes, BYTES, 11},
    {"asked_bytes", NULL, get_asked_bytes, BYTES, 0},
    {"waste_basis_points", "waste", waste, PERCENT, 8},
    {"resets", "resets", get_resets, NUMBER, 8},
    {"fallbacks", NULL, get_fallbacks, NUMBER, 0},
    {"refused", NULL, get_refused, NUMBER, 0},
};
enum { FIELDS = sizeof fields / sizeof fields[0], NAME_WIDTH = 15 };

/* ---- text ---- */

typedef struct words {
    char text[24];
} words;

static words in_words(size_t value, unit as)
{
    words out;
    size_t size = sizeof out.text;
    if (value == FIEF_NOT_COUNTED) {
        (void)snprintf(out.text, size, "-");
    } else if (as == PERCENT) {
        (void)snprintf(out.text, size, "%zu.%zu %%", value / 100, value / 10 % 10);
    } else if (as == BYTES && value >= (size_t)10 << 20) {
        (void)snprintf(out.text, size, "%zu.%zu MiB", value >> 20,
                       (value >> 10) % 1024 * 10 / 1024);
    } else if (as == BYTES) {
        (void)snprintf(out.text, size, "%zu KiB", (value + 1023) >> 10);
    } else {
        (void)snprintf(out.text, size, "%zu", value);
    }
    return out;
}

static void put_row(writer *w, const char *name, const fief_count *count)
{
    put(w, "%-*s", NAME_WIDTH, name);
    for (size_t i = 0; i < FIELDS; i++) {
        if (fields[i].heading != NULL) {
            words value = in_words(fields[i].get(count), fields[i].unit);
            put(w, "%*s", fields[i].width, value.text);
        }
    }
    put(w, "\n");
}

static void put_headings(writer *w, const char *first)
{
    put(w, "%-*s", NAME_WIDTH, first);
    for (size_t i = 0; i < FIELDS; i++) {
        if (fields[i].heading != NULL) {
            put(w, "%*s", fields[i].width, fields[i].heading);
        }
    }
    put(w, "\n");
}

static void put_summary(writer *w, const runtime *r)
{
    const space *s = &r->core.space;
    size_t now = 0, fallbacks = 0, refused = 0;
    for (unsigned i = FIEF_VM_ARENA; i < FIEF_STRATEGIES; i++) {
        fief_count count = fief_stats_strategy(&r->window, (fief_strategy)i);
        now += count.used_bytes;
        fallbacks += count.fallbacks;
        refused += count.refused;
    }
    put(w, "%s: %s now, %s held (peak %s), %u units, %zu refused", r->core.name,
        in_words(now, BYTES).text, in_words(s->held, BYTES).text,
        in_words(s->held_peak, BYTES).text, r->units, refused);
    if (fallbacks != 0) {
        put(w, ", %zu fallbacks", fallbacks);
    }
    put(w, "\n");
}

/* The kinds that have been seen; none while nothing is counted. */
static void put_kinds(writer *w, const runtime *r)
{
    bool any = false;
    for (unsigned kind = 0; kind <= r->window.kind_count; kind++) {
        fief_count count = fief_stats_kind(&r->window, kind);
        bool seen = count.peak_bytes != FIEF_NOT_COUNTED && count.peak_bytes != 0;
        if (seen && !any) {
            put_headings(w, "kind");
        }
        if (seen) {
            put_row(w, kind_name(r, kind), &count);
        }
        any = any || seen;
    }
}

/* Only where something was to be scanned. */
static void put_scan(writer *w, const fief_scan_count *n)
{
    if (n->scans != 0) {
        put(w, "dangling scans: %zu, %zu in part, looked at %s in %llu us\n", n->scans, n->partial,
            in_words((size_t)n->bytes, BYTES).text, (unsigned long long)(n->nanoseconds / 1000));
    }
}

/* Only where something was asked for. */
static void put_nodes(writer *w, const fief_runtime *rt)
{
    bool apart = whole_runtime(rt)->core.space.apart;
    fief_placement all = fief_stats_placement(rt, FIEF_NO_STRATEGY);
    if (!apart && all.policy == FIEF_NODE_DEFAULT) {
        return;
    }
    put(w, "%u nodes: %s", os_nodes(), in_place_words(all).text);
    for (unsigned i = FIEF_VM_ARENA; i < FIEF_STRATEGIES; i++) {
        if (is_apart(rt, (fief_strategy)i)) {
            fief_placement own = fief_stats_placement(rt, (fief_strategy)i);
            put(w, ", %s %s", strategy_names[i], in_place_words(own).text);
        }
    }
    if (fief_stats_unplaced(rt) != 0) {
        put(w, ", %s refused", in_words(fief_stats_unplaced(rt), BYTES).text);
    }
    put(w, "\n");
}

size_t fief_stats_text(const fief_runtime *rt, char *buffer, size_t size)
{
    const runtime *r = whole_runtime(rt);
    writer w = {buffer, size, 0};
    put_summary(&w, r);
    put_headings(&w, "strategy");
    for (unsigned i = FIEF_VM_ARENA; i < FIEF_STRATEGIES; i++) {
        fief_count count = fief_stats_strategy(rt, (fief_strategy)i);
        put_row(&w, strategy_names[i], &count);
    }
    put_kinds(&w, r);
    put_scan(&w, &r->core.scan.count);
    put_nodes(&w, rt);
    if (!r->core.shut) {
        put(&w, "- = not counted in this mode (.count_blocks); ");
    }
    put(&w, "waste = used less asked for\n");
    return w.length;
}

/* ---- JSON ---- */

static void put_object(writer *w, const char *name, const fief_count *count, bool first)
{
    put(w, "%s", first ? "" : ",");
    put_string(w, name);
    put(w, ":{");
    for (size_t i = 0; i < FIELDS; i++) {
        size_t value = fields[i].get(count);
        put(w, "%s\"%s\":", i > 0 ? "," : "", fields[i].json);
        if (value == FIEF_NOT_COUNTED) {
            put(w, "null");
        } else {
            put(w, "%zu", value);
        }
    }
    put(w, "}");
}

static void put_nodes_object(writer *w, const fief_runtime *rt)
{
    put(w, ",\"nodes\":{\"count\":%u,\"placement\":\"%s\",\"strategies\":{", os_nodes(),
        in_place_words(fief_stats_placement(rt, FIEF_NO_STRATEGY)).text);
    const char *comma = "";
    for (unsigned i = FIEF_VM_ARENA; i < FIEF_STRATEGIES; i++) {
        if (is_apart(rt, (fief_strategy)i)) {
            fief_placement own = fief_stats_placement(rt, (fief_strategy)i);
            put(w, "%s\"%s\":\"%s\"", comma, strategy_names[i], in_place_words(own).text);
            comma = ",";
        }
    }
    put(w, "},\"unplaced_bytes\":%zu}", fief_stats_unplaced(rt));
}

size_t fief_stats_json(const fief_runtime *rt, char *buffer, size_t size)
{
    const runtime *r = whole_runtime(rt);
    writer w = {buffer, size, 0};
    put(&w, "{\"schema\":\"fief-stats/1\",\"runtime\":");
    put_string(&w, r->core.name);
    put(&w, ",\"held_bytes\":%zu,\"held_peak_bytes\":%zu,\"units\":%u,\"strategies\":{",
        r->core.space.held, r->core.space.held_peak, r->units);
    for (unsigned i = FIEF_VM_ARENA; i < FIEF_STRATEGIES; i++) {
        fief_count count = fief_stats_strategy(rt, (fief_strategy)i);
        put_object(&w, strategy_names[i], &count, i == FIEF_VM_ARENA);
    }
    put(&w, "},\"kinds\":{");
    for (unsigned kind = 0; kind <= rt->kind_count; kind++) {
        fief_count count = fief_stats_kind(rt, kind);
        put_object(&w, kind_name(r, kind), &count, kind == 0);
    }
    const fief_scan_count *n = &r->core.scan.count;
    put(&w, "},\"dangling_scan\":{\"scans\":%zu,\"partial\":%zu,\"looked_at_bytes\":%llu,"
            "\"nanoseconds\":%llu}",
        n->scans, n->partial, (unsigned long long)n->bytes, (unsigned long long)n->nanoseconds);
    put_nodes_object(&w, rt);
    put(&w, "}");
    return w.length;
}
