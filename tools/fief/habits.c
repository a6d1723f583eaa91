/* habits: see habits.h. */
#include "habits.h"

#include <stdlib.h>

enum { ALLOCS_WHILE_CLOSING = 8, FREES_TO_AN_ALLOC = 64 };

/* A program closes from where it only frees: a few allocations among many frees don't count. */
void closing_event(closing *c, const trace_event *e)
{
    if (e->type == TRACE_ALLOC) {
        c->allocs++;
        bool goes_on = c->allocs > ALLOCS_WHILE_CLOSING && c->allocs * FREES_TO_AN_ALLOC > c->frees;
        c->start = goes_on ? 0 : c->start;
    } else if (e->type == TRACE_FREE || e->type == TRACE_DIES) {
        if (c->start == 0) {
            *c = (closing){.start = e->operation > 0 ? e->operation : 1};
        }
        c->frees++;
    }
}

bool habits_open(habits *h, uint32_t place_count, uint64_t closing_operation)
{
    *h = (habits){.count = place_count, .closing = closing_operation, .batch = 1};
    h->of = calloc((size_t)place_count + 1, sizeof *h->of);
    return h->of != NULL;
}

void habits_close(habits *h)
{
    for (uint32_t i = 0; h->of != NULL && i < h->count; i++) {
        free(h->of[i].order);
    }
    free(h->of);
    free(h->unit_batch);
}

unsigned log2_of(uint64_t number)
{
    return number > 1 ? 63 - (unsigned)__builtin_clzll(number) : 0;
}

/* Without memory for it, no order is known, and none is advised on. */
static void lose_order(habit *of)
{
    of->unordered++;
    free(of->order);
    of->order = NULL;
}

/* live_blocks counts the new one already. */
static void order_birth(habit *of, uint64_t number)
{
    if (of->unordered == 0 && of->live_blocks > of->order_room) {
        uint64_t room = of->order_room * 2 + 16;
        uint64_t *grown = realloc(of->order, room * sizeof *grown);
        if (grown == NULL) {
            lose_order(of);
            return;
        }
        of->order = grown;
        of->order_room = room;
    }
    if (of->unordered == 0) {
        of->order[of->live_blocks - 1] = number;
    }
}

/* live_blocks counts the dead one no more. */
static void order_death(habit *of, uint64_t number)
{
    if (of->unordered == 0 && of->order[of->live_blocks] != number) {
        lose_order(of);
    }
}

static void birth(habits *h, habit *of, const trace *t, const trace_event *e)
{
    const trace_class *c = trace_class_at(t, e->block->class_number);
    uint64_t align = c != NULL ? (uint64_t)1 << c->align_log2 : 1;
    of->broken += of->falling && of->live_blocks > 0;
    of->falling = false;
    of->blocks++;
    of->live_blocks++;
    of->most_blocks = of->live_blocks > of->most_blocks ? of->live_blocks : of->most_blocks;
    of->smallest = of->blocks == 1 || e->size < of->smallest ? e->size : of->smallest;
    of->alignment = align > of->alignment ? align : of->alignment;
    of->outside += e->block->unit == 0;
    of->rounded += (0 - e->size) & 15;
    h->newest = e->block->number;
    order_birth(of, e->block->number);
}

static void resize(const habits *h, habit *of, const trace_event *e)
{
    of->resizes++;
    of->moves += e->address != e->old_address;
    of->grown_last += e->size > e->old_size && e->block->number == h->newest;
    of->smallest = e->size < of->smallest ? e->size : of->smallest;
}

/* Dead by its unit's own end, or before it: else it outlived it. */
static bool outlived_its_unit(const habits *h, const trace_block *b)
{
    uint64_t ended = b->unit < h->unit_room ? h->unit_batch[b->unit] : 0;
    return b->unit != 0 && ended != 0 && ended != h->batch;
}

static void death(const habits *h, habit *of, const trace_event *e)
{
    uint64_t age = e->operation - e->block->born_operation;
    of->deaths++;
    of->live_blocks--;
    order_death(of, e->block->number);
    of->early_deaths += h->closing == 0 || e->operation < h->closing;
    of->age_sum += age;
    of->time_sum += e->time - e->block->born_time;
    of->ages[log2_of(age) < AGES ? log2_of(age) : AGES - 1]++;
    of->falling = of->live_blocks > 0;
    of->generations += of->live_blocks == 0;
    if (outlived_its_unit(h, e->block)) {
        if (of->outlived++ == 0) {
            of->outlived_by = e->block->number;
            of->outlived_operation = e->block->born_operation;
            of->outlived_unit = e->block->unit;
            of->outlived_died = e->operation;
        }
    }
}

static bool end_unit(habits *h, uint32_t unit)
{
    if (unit >= h->unit_room) {
        uint32_t room = unit * 2 + 64;
        uint64_t *grown = realloc(h->unit_batch, room * sizeof *grown);
        if (grown == NULL) {
            return false;
        }
        memset(grown + h->unit_room, 0, (room - h->unit_room) * sizeof *grown);
        h->unit_batch = grown;
        h->unit_room = room;
    }
    h->unit_batch[unit] = h->batch;
    return true;
}

bool habits_event(habits *h, const trace *t, const trace_event *e, uint32_t number)
{
    h->batch += e->type != TRACE_DIES;
    if (e->type == TRACE_UNIT_END) {
        return end_unit(h, e->unit);
    }
    if (e->block == NULL) {
        return true;
    }
    habit *of = &h->of[number];
    of->live += e->size - e->old_size;
    of->most = of->live > of->most ? of->live : of->most;
    of->bytes += e->size > e->old_size ? e->size - e->old_size : 0;
    of->largest = e->size > of->largest ? e->size : of->largest;
    switch (e->type) {
    case TRACE_ALLOC:
        birth(h, of, t, e);
        break;
    case TRACE_RESIZE:
        resize(h, of, e);
        break;
    case TRACE_FREE:
    case TRACE_DIES:
        death(h, of, e);
        break;
    default:
        break;
    }
    return true;
}

uint64_t habit_usual_age(const habit *h)
{
    uint64_t seen = 0;
    for (unsigned i = 0; i < AGES; i++) {
        seen += h->ages[i];
        if (2 * seen >= h->deaths && seen > 0) {
            return (uint64_t)1 << i;
        }
    }
    return 0;
}
