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

bool steps_open(play_steps *s, bool has_lanes)
{
    s->count = s->slots = s->buffered = 0;
    s->ends = false;
    s->has_lanes = has_lanes;
    s->file = memfd_create("steps", 0);
    s->failed = s->file < 0;
    return !s->failed;
}

static void block_step(play_steps *s, const trace *t, const trace_event *e, uint32_t number)
{
    play_step next = {.size = e->size, .slot = e->block->slot};
    const trace_class *c = trace_class_at(t, e->block->class_number);
    next.lane = s->has_lanes && number + 1 < LANES ? (uint16_t)(number + 1) : 0;
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
static void end_unit(play_steps *s)
{
    if (s->ends) {
        add_step(s, (play_step){.kind = STEP_UNIT_END});
        s->ends = false;
    }
}

void steps_event(play_steps *s, const trace *t, const trace_event *e, uint32_t number)
{
    if (e->type != TRACE_DIES) {
        end_unit(s);
    }
    bool makes = e->type == TRACE_ALLOC || e->type == TRACE_RESIZE;
    if (e->block != NULL && (makes || e->type == TRACE_FREE || e->type == TRACE_DIES)) {
        block_step(s, t, e, number);
    } else if (e->type == TRACE_UNIT && s->has_lanes) {
        add_step(s, (play_step){.kind = STEP_UNIT});
    }
    s->ends = s->ends || (e->type == TRACE_UNIT_END && e->unit != 0 && s->has_lanes);
}

int steps_end(play_steps *s, const char *path)
{
    end_unit(s);
    flush_steps(s);
    if (s->failed) {
        return complain(CANNOT_RUN, "there is no memory for the steps: %s", strerror(errno));
    }
    return s->count > 0 ? DONE : complain(BAD_INPUT, "%s: has no operations", path);
}

int steps_make(play_steps *s, const char *path)
{
    trace *t = open_trace(path);
    s->file = -1;
    if (t == NULL) {
        return BAD_INPUT;
    }
    (void)steps_open(s, false);
    for (trace_event e; trace_next(t, &e);) {
        steps_event(s, t, &e, 0);
        show_progress(t, "reading");
    }
    end_progress();
    if (trace_cut(t) != NULL) {
        hint("fief %s: %s", fief_tool.command, trace_cut(t));
    }
    trace_close(t);
    return steps_end(s, path);
}

void steps_free(play_steps *s)
{
    if (s->file > 0) {
        (void)close(s->file);
    }
    s->file = -1;
}
