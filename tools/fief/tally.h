/* tally: a trace read once, counted by site: what show, convert and others begin with. */
#ifndef FIEF_TOOL_TALLY_H
#define FIEF_TOOL_TALLY_H

#include "tool.h"

typedef struct site_tally {
    uint64_t blocks, bytes;         /* ever */
    uint64_t live_blocks, live;     /* now, and at the trace's end */
    uint64_t peak_blocks, at_peak;  /* when the whole was at its peak */
} site_tally;

typedef struct tally {
    site_tally *sites; /* by number, 0 for none; sites_count + 1 of them */
    size_t room;
    uint64_t events[TRACE_TYPES];
    uint64_t peak_bytes, peak_operation, bytes, unit_count;
} tally;

/* An event's part in it. False: there is no memory. */
bool tally_event(tally *t, const trace *from, const trace_event *e);
/* The whole trace; `at_peak` needs a second reading, which peak_operation of the first ends. */
bool tally_trace(tally *t, trace *from);
bool tally_until(tally *t, trace *from, uint64_t operation);
void tally_free(tally *t);

#endif
