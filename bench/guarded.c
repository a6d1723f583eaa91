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

/* Only the end of the unit is timed. */
figure unit_end_fief(const job *given)
{
    static double times[UNITS];
    fief_runtime *rt = must_open();
    size_t count = given->quick ? UNITS_LEAST : UNITS;
    for (size_t i = 0; i < count; i++) {
        fief_unit unit = fief_unit_begin(rt);
        for (size_t used = 0; used < UNIT_BYTES; used += NODE) {
            store(fief_temp(rt, char, NODE), used);
        }
        uint64_t start = clock_now();
        fief_unit_end(rt, unit);
        times[i] = (double)(clock_now() - start);
    }
    return (figure){(median_of(times, count) - clock_cost()) / 1000, not_counted()};
}
