/* stats: one field table feeds the text and the JSON. */
#include "manager/runtime.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const strategy_names[FIEF_STRATEGIES] = {
    [FIEF_NO_STRATEGY] = "none", [FIEF_VM_ARENA] = "vm arena",
    [FIEF_COMPILER_ARENA] = "compiler arena", [FIEF_STACK] = "stack", [FIEF_POOL] = "pool",
    [FIEF_HEAP] = "heap",
};

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

static void add_pools(const runtime *r, fief_count *count)
{
    for (const pool *p = r->core.pools; p != NULL; p = p->next) {
        if (p->strategy == FIEF_POOL) {
            count->used_bytes += fief_pool_live(&p->window) * p->step;
            count->peak_bytes += p->peak * p->step;
        }
    }
}

fief_count fief_stats_strategy(const fief_runtime *rt, fief_strategy strategy)
{
    const runtime *r = whole_runtime(rt);
    if ((unsigned)strategy >= FIEF_STRATEGIES) {
        return (fief_count){0};
    }
    const tally *t = &r->core.tallies[strategy];
    bool counted = r->core.shut;
    fief_count count = {.asked_bytes = counted ? t->asked : FIEF_NOT_COUNTED,
                        .blocks = counted ? t->blocks : FIEF_NOT_COUNTED,
                        .total_bytes = counted ? t->total : FIEF_NOT_COUNTED,
                        .resets = t->resets, .fallbacks = t->fallbacks, .refused = t->refused};
    if (strategy == FIEF_HEAP) {
        const fief_heap *h = &r->heap.window;
        count.used_bytes = h->live;
        count.peak_bytes = h->live > h->peak ? h->live : h->peak;
    } else if (strategy == FIEF_POOL) {
        add_pools(r, &count);
    } else {
        add_arenas(r, strategy, &count);
    }
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

/* ---- fields ---- */

typedef struct field {
    const char *json;
    const char *heading;
    size_t offset;
    bool is_bytes;
} field;

static const field fields[] = {
    {"used_bytes", "now", offsetof(fief_count, used_bytes), true},
    {"peak_bytes", "peak", offsetof(fief_count, peak_bytes), true},
    {"asked_bytes", "asked", offsetof(fief_count, asked_bytes), true},
    {"blocks", "blocks", offsetof(fief_count, blocks), false},
    {"total_bytes", "total", offsetof(fief_count, total_bytes), true},
    {"resets", "resets", offsetof(fief_count, resets), false},
    {"fallbacks", "fallback", offsetof(fief_count, fallbacks), false},
    {"refused", "refused", offsetof(fief_count, refused), false},
};
enum { FIELDS = sizeof fields / sizeof fields[0] };

static size_t value_of(const fief_count *count, const field *f)
{
    return *(const size_t *)(const void *)((const char *)count + f->offset);
}

typedef struct writer {
    char *buffer;
    size_t size, length;
} writer;

static void put(writer *w, const char *format, ...) FIEF_PRINTF(2, 3);
static void put(writer *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t room = w->length < w->size ? w->size - w->length : 0;
    int length = vsnprintf(room != 0 ? w->buffer + w->length : NULL, room, format, args);
    w->length += length < 0 ? 0 : (size_t)length;
    va_end(args);
}

size_t fief_stats_text(const fief_runtime *rt, char *buffer, size_t size)
{
    const runtime *r = whole_runtime(rt);
    writer w = {buffer, size, 0};
    put(&w, "%s: %zu KiB held from the OS, %zu KiB at peak, %u units\n%-14s", r->core.name,
        r->core.space.held >> 10, r->core.space.held_peak >> 10, r->units, "strategy");
    for (size_t i = 0; i < FIELDS; i++) {
        put(&w, " %7s", fields[i].heading);
    }
    for (unsigned s = FIEF_VM_ARENA; s < FIEF_STRATEGIES; s++) {
        fief_count count = fief_stats_strategy(rt, (fief_strategy)s);
        put(&w, "\n%-14s", strategy_names[s]);
        for (size_t i = 0; i < FIELDS; i++) {
            size_t value = value_of(&count, &fields[i]);
            if (value == FIEF_NOT_COUNTED) {
                put(&w, " %7s", "-");
            } else if (fields[i].is_bytes) {
                put(&w, " %6zuK", (value + 1023) >> 10);
            } else {
                put(&w, " %7zu", value);
            }
        }
    }
    put(&w, "\n- = not counted in this mode (.count_blocks); K = KiB, rounded up\n");
    return w.length;
}

size_t fief_stats_json(const fief_runtime *rt, char *buffer, size_t size)
{
    const runtime *r = whole_runtime(rt);
    writer w = {buffer, size, 0};
    put(&w, "{\"schema\":\"fief-stats/1\",\"held_bytes\":%zu,\"held_peak_bytes\":%zu,\"units\":%u,"
            "\"strategies\":{", r->core.space.held, r->core.space.held_peak, r->units);
    for (unsigned s = FIEF_VM_ARENA; s < FIEF_STRATEGIES; s++) {
        fief_count count = fief_stats_strategy(rt, (fief_strategy)s);
        put(&w, "%s\"%s\":{", s > FIEF_VM_ARENA ? "," : "", strategy_names[s]);
        for (size_t i = 0; i < FIELDS; i++) {
            size_t value = value_of(&count, &fields[i]);
            put(&w, "%s\"%s\":", i > 0 ? "," : "", fields[i].json);
            if (value == FIEF_NOT_COUNTED) {
                put(&w, "null");
            } else {
                put(&w, "%zu", value);
            }
        }
        put(&w, "}");
    }
    put(&w, "}}");
    return w.length;
}
