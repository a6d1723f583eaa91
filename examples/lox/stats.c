/* stats: where the bytes went, by strategy and by kind; then the collector's work. */
#include "stats.h"

#include <stdio.h>

static void print_count(size_t count)
{
    if (count == FIEF_NOT_COUNTED) {
        fprintf(stderr, " %12s", "-");
    } else {
        fprintf(stderr, " %12zu", count);
    }
}

static void print_kind(const fief_runtime *rt, const fief_kind *kinds, unsigned kind)
{
    fief_count count = fief_stats_kind(rt, kind);
    if (count.total_bytes == 0 && count.used_bytes == 0) {
        return; /* never made */
    }
    fief_strategy home = kinds[kind].any;
    fprintf(stderr, "%-16s %-15s", kinds[kind].name,
            home != FIEF_NO_STRATEGY ? fief_strategy_name(home) : "by context");
    print_count(count.blocks);
    print_count(count.used_bytes);
    print_count(count.peak_bytes);
    print_count(count.total_bytes);
    fputc('\n', stderr);
}

static void print_fief(const fief_runtime *rt, const fief_kind *kinds)
{
    char text[8192];
    fief_stats_text(rt, text, sizeof text);
    fprintf(stderr, "%s\n%-16s %-15s %12s %12s %12s %12s\n", text, "kind", "strategy", "blocks",
            "bytes now", "peak", "total");
    for (unsigned kind = 0; kind < KINDS; kind++) {
        print_kind(rt, kinds, kind);
    }
}

void stats_print(const vm *vm)
{
    const memory *m = &vm->memory;
    fflush(stdout);
    if (m->rt != NULL) {
        print_fief(m->rt, m->direct ? lox_kinds : lox_heap_kinds);
    } else {
        fprintf(stderr, "libc: %zu bytes now, %zu bytes peak (as asked for)\n", m->now, m->peak);
    }
    fprintf(stderr, "\ncollections %zu, objects freed %zu, bytes of objects now %zu\n",
            vm->gc.collections, vm->gc.freed, vm->gc.bytes);
}
