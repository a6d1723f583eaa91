/* trace: reads what `fief record` or a runtime (fief_config.trace) wrote, an event at a time, and
 * keeps count of what is alive on the way. fief_trace(5) is the format; src/base/trace.h writes it.
 *
 *     trace *t = trace_open("x.trace", error, sizeof error);
 *     for (trace_event e; trace_next(t, &e);) {
 *         switch (e.type) {
 *         case TRACE_ALLOC: live += e.size; break;
 *         case TRACE_FREE: case TRACE_DIES: live -= e.old_size; break;
 *         case TRACE_RESIZE: live += e.size - e.old_size; break;
 *         ...
 *     }
 *     if (trace_cut(t) != NULL) { what is behind it is missing }
 *     trace_close(t);
 *
 * A block that dies with others (at a reset, a rewind, a unit's end, a close) has a TRACE_DIES of
 * its own, right behind that event; so a reader that only wants to know what lives needs the four
 * above. Memory grows with what is alive at a time, not with the length of the trace. */
#ifndef FIEF_TRACE_READER_H
#define FIEF_TRACE_READER_H

#include "base/trace.h"

typedef struct trace trace;

/* One block, from its birth to its death. `user` is the reader's, zero at first; a resize keeps
 * it. */
typedef struct trace_block {
    uint64_t number;  /* 1 is the trace's first */
    uint64_t address; /* now */
    uint64_t size;
    uint64_t born_operation, born_time; /* time in microseconds since the trace's start */
    uint64_t user;
    uint32_t site;         /* that made it */
    uint32_t class_number; /* trace_class_at: verb, strategy, kind, context, region */
    uint32_t unit;         /* the innermost that was open, 1 the first; 0: none */
    uint32_t slot;         /* small numbers, used again: an index for a table of the reader's own */
} trace_block;
_Static_assert(sizeof(trace_block) == 64, "a block is a line of the cache");

typedef enum trace_type {
    TRACE_ALLOC,   /* block, size */
    TRACE_FREE,    /* block, old_size; block is NULL where it was made before the trace began */
    TRACE_RESIZE,  /* block, size, old_size, address (old_address is another: it was moved) */
    TRACE_DIES,    /* block, old_size: with the event before, or unseen (lost) */
    TRACE_REFUSED, /* size: NULL was given */
    TRACE_RESET,   /* region */
    TRACE_REWIND,  /* region, count */
    TRACE_UNIT,    /* unit, text: its name */
    TRACE_UNIT_END, /* unit, region, count, keeps */
    TRACE_REGION, TRACE_REGION_END, /* region */
    TRACE_MARK,                     /* text: the host's remark */
    TRACE_CLOSE,
    TRACE_TYPES
} trace_type;

typedef struct trace_event {
    trace_type type;
    uint64_t operation; /* allocs, frees, resizes and refusals so far, this one too */
    uint64_t time;      /* microseconds since the start, as of the last time that was noted */
    uint32_t thread;    /* 1 is the first that called; 0 unknown */
    uint32_t site;      /* 0: none */
    uint32_t unit, region;
    uint64_t size, old_size, address, old_address, count;
    trace_block *block; /* until the next trace_next, also when it has just died */
    bool lost;          /* a death that nobody noted: the address was given out again */
    bool keeps;         /* an end of a unit whose blocks live on */
    const char *text;   /* until the trace is closed */
} trace_event;

typedef struct trace_site {
    uint32_t count;
    const uint64_t *frames; /* return addresses, the innermost first */
    const char *text;       /* the host's own word for the place, or "" */
} trace_site;

typedef struct trace_kind {
    const char *name;
    uint64_t size; /* 0: varies */
} trace_kind;

typedef struct trace_region {
    uint32_t strategy;
    uint64_t slot_size; /* of a pool */
    const char *name;
    bool open;
} trace_region;

typedef struct trace_module {
    uint64_t start, size, offset; /* offset: of `start` in the file */
    const char *path;
} trace_module;

/* NULL, and one line in `error`: it can't be read, is no trace, or of another version. */
trace *trace_open(const char *path, char *error, size_t size);
/* The same of bytes, which stay as they are until trace_close. `name` is for the lines. */
trace *trace_open_bytes(const void *bytes, size_t count, const char *name, char *error,
                        size_t size);
void trace_close(trace *t);

/* False: the trace is at its end. */
bool trace_next(trace *t, trace_event *ret);
/* Where the trace ended before its end, a line that says so; else NULL. After trace_next's
 * false. */
const char *trace_cut(const trace *t);

/* The file's open block. */
typedef struct trace_open_at {
    uint64_t offset;             /* of its header in the file */
    const unsigned char *events; /* until the trace is closed; they end at a tag of 0, or with: */
    size_t size;
    uint64_t operations; /* of the blocks before it, as its writer counted */
} trace_open_at;

/* False: the file ends otherwise. Needs no trace_next: for whoever packs it. */
bool trace_open_block(const trace *t, trace_open_at *ret);

/* So far. Operations: allocs, frees, resizes, refusals. */
uint64_t trace_operations(const trace *t);
uint64_t trace_live_blocks(const trace *t);
uint64_t trace_live_bytes(const trace *t);
uint64_t trace_time(const trace *t);
uint64_t trace_unknown_frees(const trace *t);
uint64_t trace_lost_frees(const trace *t);
/* Of the file: its bytes, and how many of those were read. */
uint64_t trace_file_size(const trace *t);
uint64_t trace_file_read(const trace *t);
/* What is alive now, in no order. */
void trace_each_live(trace *t, void (*visit)(trace_block *block, void *argument), void *argument);

/* What was defined so far; numbers run from 1. NULL where there is no such number. */
uint32_t trace_sites(const trace *t);
const trace_site *trace_site_at(const trace *t, uint32_t number);
uint32_t trace_classes(const trace *t);
const trace_class *trace_class_at(const trace *t, uint32_t number);
uint32_t trace_kinds(const trace *t);
/* The number is a class's kind, as it is. */
const trace_kind *trace_kind_at(const trace *t, uint32_t number);
uint32_t trace_regions(const trace *t);
const trace_region *trace_region_at(const trace *t, uint32_t number);
uint32_t trace_modules(const trace *t);
const trace_module *trace_module_at(const trace *t, uint32_t number);
/* A fact of the whole trace: "command", "pid", "producer", "started" (seconds since 1970), "depth",
 * "status", "signal", "peak_kib", "wall_us"; NULL: unknown. Those of the end are known at the
 * end. */
const char *trace_info(const trace *t, const char *name);
/* The facts in order; NULL past the last. */
const char *trace_info_at(const trace *t, uint32_t index, const char **ret_value);

const char *trace_verb_name(unsigned verb);           /* "malloc", "new", ... */
const char *trace_strategy_name(unsigned strategy);   /* "pool", ...; 0: "malloc" */
const char *trace_context_name(unsigned context);     /* "native", ... */

#endif
