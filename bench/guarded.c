/* guarded: what only a guarded build does, and what it costs where a release build does nothing. */
#include "cases.h"

#include <fief/fief.h>

#include <string.h>

enum { LIVE_BYTES = 32 << 20, SCANS = 10, UNIT_BYTES = 64 << 10, NODE = 48, UNITS = 2000,
       UNITS_LEAST = 20 };

/* A heap of a syntax tree's sizes stays alive while units end; a release build scans nothing. */
figure scan_fief(const job *given)
{
    static uint16_t sizes[LIVE_BYTES / 40];
    size_t count = given->quick ? 1000 : sizeof sizes / sizeof sizes[0];
    fief_runtime *rt = fief_open(&(fief_config){.scan_percent = 100});
    if (rt == NULL) {
        give_up("no runtime");
    }
    draw_ast_sizes(sizes, count);
    double live = 0; /* and not what the scan says that it looked at, redzones and all */
    for (size_t i = 0; i < count; i++) {
        void *block = fief_heap_alloc(fief_runtime_heap(rt), sizes[i]);
        memset(block, (int)i & 0x7F, sizes[i]);
        live += sizes[i];
    }
    for (int i = 0; i < SCANS; i++) {
        fief_unit unit = fief_unit_begin(rt);
        (void)fief_temp(rt, char, 1000);
        fief_unit_end(rt, unit);
    }
    fief_scan_count n = fief_stats_scan(rt);
    double speed = n.partial == 0 ? live * (double)n.scans / (double)n.nanoseconds : 0;
    return (figure){speed, not_counted()};
}

static void end_unit(fief_runtime *rt, fief_unit unit)
{
    fief_unit_end(rt, unit);
}

static void keep_unit(fief_runtime *rt, fief_unit unit)
{
    (void)fief_unit_keep(rt, unit);
}

/* Only what becomes of the unit is timed, not what it is filled with. */
static figure time_units(const job *given, size_t bytes, void (*leave)(fief_runtime *, fief_unit))
{
    static double times[UNITS];
    fief_runtime *rt = must_open();
    size_t count = given->quick ? UNITS_LEAST : UNITS;
    for (size_t i = 0; i < count; i++) {
        fief_unit unit = fief_unit_begin(rt);
        for (size_t used = 0; used < bytes; used += NODE) {
            store(fief_temp(rt, char, NODE), used);
        }
        uint64_t start = clock_now();
        leave(rt, unit);
        times[i] = (double)(clock_now() - start);
    }
    return (figure){(median_of(times, count) - clock_cost()) / 1000, not_counted()};
}

figure unit_end_fief(const job *given)
{
    return time_units(given, UNIT_BYTES, end_unit);
}

figure unit_keep_fief(const job *given)
{
    return time_units(given, given->size, keep_unit);
}
