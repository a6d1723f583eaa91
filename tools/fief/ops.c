/* ops: a part of the trace as a program of the fuzzers (fuzz/ops.h): at most 96 blocks alive, sizes
 * up to 1 MiB, 390 operations. A block that finds no handle free is left out with all its life; so
 * that those that stay don't take them all, the trace is read twice, and they get half of them. */
#include "convert.h"

#include <fief/stats.h>
#include <stdlib.h>

enum { HANDLES = 96, OPERATIONS_MOST = 390, UNITS_MOST = 8, SHORT_LIFE = 300 };
static const uint64_t largest = 1 << 20;

typedef struct scribe {
    FILE *to;
    const trace *t;
    bool used[HANDLES];
    unsigned char *is_short; /* by block number, a bit each: it dies soon */
    size_t bytes, longer; /* of is_short; handles that others have */
    size_t written, left_out, units, skipped_units;
} scribe;

static bool mark_short(scribe *s, uint64_t number)
{
    size_t byte = (size_t)(number / 8);
    if (byte >= s->bytes) {
        size_t bytes = byte * 2 + 4096;
        unsigned char *grown = realloc(s->is_short, bytes);
        if (grown == NULL) {
            return false;
        }
        memset(grown + s->bytes, 0, bytes - s->bytes);
        s->is_short = grown;
        s->bytes = bytes;
    }
    s->is_short[byte] |= (unsigned char)(1U << number % 8);
    return true;
}

static bool is_short(const scribe *s, uint64_t number)
{
    size_t byte = (size_t)(number / 8);
    return byte < s->bytes && (s->is_short[byte] >> number % 8 & 1) != 0;
}

static bool find_short(scribe *s, trace *t)
{
    bool sound = true;
    for (trace_event e; sound && trace_next(t, &e);) {
        bool dies = (e.type == TRACE_FREE || e.type == TRACE_DIES) && e.block != NULL;
        if (dies && e.operation - e.block->born_operation <= SHORT_LIFE) {
            sound = mark_short(s, e.block->number);
        }
        show_progress(t, "reading");
    }
    end_progress();
    return sound;
}

static uint64_t size_for(uint64_t size)
{
    return size < largest ? size : largest;
}

/* user of a block is its handle + 1; 0: it has none. */
static void drop(scribe *s, const trace_block *b)
{
    if (b->user != 0) {
        s->used[b->user - 1] = false;
        s->longer -= !is_short(s, b->number);
    }
}

static void put_alloc(scribe *s, const trace_event *e)
{
    const trace_class *c = trace_class_at(s->t, e->block->class_number);
    unsigned handle = 0;
    while (handle < HANDLES && s->used[handle]) {
        handle++;
    }
    bool needs_unit = c->strategy == FIEF_COMPILER_ARENA;
    bool stays = !is_short(s, e->block->number);
    if (handle == HANDLES || (stays && s->longer >= HANDLES / 2) || (needs_unit && s->units == 0)) {
        s->left_out++;
        return;
    }
    unsigned long long size = size_for(e->size);
    s->used[handle] = true;
    s->longer += stays;
    e->block->user = handle + 1;
    s->written++;
    if (needs_unit) {
        fprintf(s->to, "temp b%u 1 %llu\n", handle, size);
    } else if (c->strategy == FIEF_VM_ARENA) {
        fprintf(s->to, "arena_alloc b%u a0 %llu 16\n", handle, size);
    } else if (c->strategy == FIEF_STACK) {
        fprintf(s->to, "push b%u a2 %llu\n", handle, size);
    } else if (c->strategy != FIEF_NO_STRATEGY) {
        fprintf(s->to, "alloc b%u %llu\n", handle, size);
    } else if (c->align_log2 > 4 && c->align_log2 <= 12) {
        fprintf(s->to, "malloc_aligned b%u %llu %u\n", handle, size, 1U << c->align_log2);
    } else if (c->verb == TRACE_CALLOC) {
        fprintf(s->to, "calloc b%u 1 %llu\n", handle, size);
    } else {
        fprintf(s->to, "malloc b%u %llu\n", handle, size);
    }
}

static void put_use(scribe *s, const trace_event *e)
{
    const trace_block *b = e->block;
    unsigned handle = b != NULL && b->user != 0 ? (unsigned)b->user - 1 : HANDLES;
    const trace_class *c = b != NULL ? trace_class_at(s->t, b->class_number) : NULL;
    if (handle == HANDLES) {
        return;
    }
    if (e->type == TRACE_RESIZE) {
        fprintf(s->to, "resize b%u %llu\n", handle, (unsigned long long)size_for(e->size));
    } else if (c->strategy == FIEF_STACK) {
        fputs("pop a2\n", s->to);
    } else {
        fprintf(s->to, "free b%u\n", handle);
    }
    s->written++;
    if (e->type != TRACE_RESIZE) {
        drop(s, b);
    }
}

static void put_unit(scribe *s, const trace_event *e)
{
    bool begins = e->type == TRACE_UNIT;
    if (begins && s->units < UNITS_MOST) {
        fputs("unit_begin\n", s->to);
        s->units++;
        s->written++;
    } else if (begins) {
        s->skipped_units++;
    } else if (s->skipped_units > 0) {
        s->skipped_units--;
    } else if (s->units > 0) {
        fputs(e->keeps ? "unit_keep\n" : "unit_end\n", s->to);
        s->units--;
        s->written++;
    }
}

static void put_event(scribe *s, const trace_event *e)
{
    switch (e->type) {
    case TRACE_ALLOC: put_alloc(s, e); return;
    case TRACE_FREE:
    case TRACE_RESIZE: put_use(s, e); return;
    case TRACE_UNIT:
    case TRACE_UNIT_END: put_unit(s, e); return;
    case TRACE_DIES:
        if (e->lost) {
            put_use(s, e);
        } else {
            drop(s, e->block);
        }
        return;
    default: return;
    }
}

static void put_program(scribe *s, trace *t, uint64_t from)
{
    const char *program;
    bool begun = false;
    for (trace_event e; s->written < OPERATIONS_MOST && trace_next(t, &e);) {
        program = trace_info(t, "command");
        if (!begun) {
            fprintf(s->to, "# From operation %llu of a trace: %.70s\nopen usual\n",
                    (unsigned long long)from, program != NULL ? program : "a runtime's");
            begun = true;
        }
        if (e.operation >= from) {
            put_event(s, &e);
        }
    }
}

int convert_ops(const conversion *c)
{
    trace *t = open_trace(c->path);
    scribe s = {.to = c->to};
    if (t == NULL) {
        return BAD_INPUT;
    }
    bool sound = find_short(&s, t);
    trace_close(t);
    t = sound ? open_trace(c->path) : NULL;
    s.t = t;
    if (t == NULL) {
        free(s.is_short);
        return complain(CANNOT_RUN, "there is no memory");
    }
    put_program(&s, t, c->from);
    free(s.is_short);
    uint64_t operations = trace_operations(t);
    trace_close(t);
    if (s.written == 0) {
        return operations == 0
                   ? complain(BAD_INPUT, "%s: has no operations", c->path)
                   : complain(BAD_INPUT, "%s: has %s operations, and none from --from on", c->path,
                              grouped(operations));
    }
    fputs("check\n", c->to);
    if (s.left_out > 0) {
        hint("fief convert: %zu blocks were left out: a program has %d at a time", s.left_out,
             HANDLES);
    }
    return DONE;
}
