/* steps: a trace's calls, and nothing else of it, for play.c. See play.h. */
#include "play.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

static void flush_steps(play_steps *s)
{
    size_t size = s->buffered * sizeof(play_step);
    s->failed = s->failed || write(s->file, s->buffer, size) != (ssize_t)size;
    s->buffered = 0;
}

static void add_step(play_steps *s, play_step next)
{
    s->slots = s->slots > next.slot ? s->slots : next.slot;
    s->buffer[s->buffered++] = next;
    s->count++;
    if (s->buffered == STEPS_AT_ONCE) {
        flush_steps(s);
    }
}

static uint16_t lane_of(places *p, trace_block *b, bool is_new)
{
    if (p == NULL) {
        return 0;
    }
    if (is_new) {
        b->user[0] = places_pair(p, b->site, b->class_number);
    }
    uint32_t number = places_of(p, b->user[0]);
    return number + 1 < LANES ? (uint16_t)(number + 1) : 0;
}

static void block_step(play_steps *s, const trace *t, const trace_event *e, places *p)
{
    play_step next = {.size = e->size, .slot = e->block->slot};
    const trace_class *c = trace_class_at(t, e->block->class_number);
    next.lane = lane_of(p, e->block, e->type == TRACE_ALLOC);
    if (e->type == TRACE_ALLOC) {
        bool aligned = c->align_log2 > 4;
        next.kind = aligned ? STEP_ALIGNED : c->verb == TRACE_CALLOC ? STEP_CALLOC : STEP_ALLOC;
        next.align_log2 = c->align_log2;
    } else {
        next.kind = e->type == TRACE_RESIZE ? STEP_RESIZE : STEP_FREE;
    }
    add_step(s, next);
}

/* A unit's end comes behind the deaths of its blocks, which the trace has behind it. */
static void read_steps(play_steps *s, trace *t, places *p)
{
    bool ends = false;
    for (trace_event e; trace_next(t, &e);) {
        if (ends && e.type != TRACE_DIES) {
            add_step(s, (play_step){.kind = STEP_UNIT_END});
            ends = false;
        }
        bool makes = e.type == TRACE_ALLOC || e.type == TRACE_RESIZE;
        if (e.block != NULL && (makes || e.type == TRACE_FREE || e.type == TRACE_DIES)) {
            block_step(s, t, &e, p);
        } else if (e.type == TRACE_UNIT && p != NULL) {
            add_step(s, (play_step){.kind = STEP_UNIT});
        }
        ends = ends || (e.type == TRACE_UNIT_END && e.unit != 0 && p != NULL);
        show_progress(t, "reading");
    }
    if (ends) {
        add_step(s, (play_step){.kind = STEP_UNIT_END});
    }
    end_progress();
    flush_steps(s);
}

int steps_make(play_steps *s, const char *path, places *p)
{
    trace *t = open_trace(path);
    s->count = s->slots = s->buffered = 0;
    s->failed = false;
    s->file = -1;
    if (t == NULL) {
        return BAD_INPUT;
    }
    s->file = memfd_create("steps", 0);
    read_steps(s, t, p);
    if (trace_cut(t) != NULL && p == NULL) {
        hint("fief %s: %s", fief_tool.command, trace_cut(t));
    }
    trace_close(t);
    if (s->file < 0 || s->failed) {
        return complain(CANNOT_RUN, "there is no memory for the steps: %s", strerror(errno));
    }
    return s->count > 0 ? DONE : complain(BAD_INPUT, "%s: has no operations", path);
}

void steps_free(play_steps *s)
{
    if (s->file > 0) {
        (void)close(s->file);
    }
    s->file = -1;
}
