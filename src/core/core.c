/* core: what every allocator of a runtime shares: the budget, the count of operations, the owner's
 * thread, and what a page of the map says. */
#include "core/core.h"

#include "base/size.h"
#include "guard.h"
#include "os/os.h"

bool budget_admits(const core *c, fief_strategy strategy, size_t size)
{
    const tally *t = &c->tallies[strategy];
    bool runtime_has_room = c->limit == 0 || (c->asked <= c->limit && size <= c->limit - c->asked);
    bool strategy_has_room = t->limit == 0 || (t->asked <= t->limit && size <= t->limit - t->asked);
    return runtime_has_room && strategy_has_room;
}

static void tally_take(tally *t, size_t size)
{
    t->asked += size;
    t->total += size;
    t->blocks++;
    t->asked_peak = t->asked > t->asked_peak ? t->asked : t->asked_peak;
}

/* A record's kind, which somebody may have written to. */
static tally *kind_tally(core *c, unsigned kind)
{
    return &c->kinds[kind < c->no_kind ? kind : c->no_kind];
}

void budget_take(core *c, fief_strategy strategy, unsigned kind, size_t size)
{
    c->asked += size;
    tally_take(&c->tallies[strategy], size);
    tally_take(kind_tally(c, kind), size);
}

static void tally_give(tally *t, size_t size, size_t blocks)
{
    t->asked -= size;
    t->blocks -= blocks;
}

void budget_give(core *c, fief_strategy strategy, unsigned kind, size_t size, size_t blocks)
{
    c->asked -= size;
    tally_give(&c->tallies[strategy], size, blocks);
    tally_give(kind_tally(c, kind), size, blocks);
}

bool core_full(core *c, fief_strategy strategy, size_t size)
{
    call from = c->from; /* the host may call us from there */
    unsigned kind = c->kind;
    c->kind = c->no_kind;
    bool again = c->on_full != NULL && c->on_full(c->rt, size, c->user);
    c->from = from;
    c->kind = kind;
    if (again) {
        return true;
    }
    c->tallies[strategy].refused++;
    return false;
}

bool may_enter(core *c, call from)
{
    if (c->thread == os_thread() && !c->closed) {
        return true;
    }
    c->from = from;
    c->stack_operation = UINT64_MAX; /* not the call that was seen last */
    if (c->closed) {
        misuse(c, FIEF_MISUSE_USE_AFTER_CLOSE, NULL, 0, "the runtime is closed");
        return false;
    }
    misuse(c, FIEF_MISUSE_WRONG_THREAD, NULL, 0,
           "called from a thread that does not own the runtime");
    return false;
}

bool align_is_sound(core *c, size_t align)
{
    if (is_power_of_two(align) && align <= FIEF_ALIGN_MAX) {
        return true;
    }
    misuse(c, FIEF_MISUSE_BAD_ALIGNMENT, NULL, 0,
           "alignment %zu is not a power of two up to 65536", align);
    return false;
}

void core_knows_stack(core *c)
{
    os_stack(&c->stack.start, &c->stack.end);
    c->stack.watched = guard_is_watched();
}

/* The host's location. What it calls from there has none. */
static uint64_t ask_where(core *c)
{
    if (c->where == NULL || c->asking) {
        return 0;
    }
    call from = c->from;
    unsigned kind = c->kind;
    c->asking = true;
    uint64_t where = c->where(c->user);
    c->asking = false;
    c->from = from;
    c->kind = kind;
    return where;
}

uint32_t call_stack(core *c)
{
    if (c->depot == NULL) {
        return 0;
    }
    if (c->stack_operation != c->operation) {
        c->stack_number = depot_put(c->depot, c->from, &c->stack, c->depth, ask_where(c));
        c->stack_operation = c->operation;
    }
    return c->stack_number;
}

void report_foreign(core *c, const void *p, size_t size, const char *to)
{
    uintptr_t at = (uintptr_t)p;
    bool on_stack = at >= (uintptr_t)c->stack.start && at < (uintptr_t)c->stack.end;
    if (on_stack || guard_is_local(p)) {
        misuse(c, FIEF_MISUSE_STACK_FREE, p, size, "given to %s, but it lies on the C stack", to);
    } else {
        misuse(c, FIEF_MISUSE_FOREIGN_FREE, p, size,
               "given to %s, but no allocator of this runtime owns it", to);
    }
}

fief_strategy page_strategy(const page *entry)
{
    switch (entry->kind) {
    case PAGE_ARENA: return ((const arena *)entry->owner)->strategy;
    case PAGE_FENCED:
    case PAGE_DEAD: return (fief_strategy)entry->tail;
    case PAGE_POOL: return FIEF_POOL;
    default: return FIEF_HEAP;
    }
}

const char *owner_name(const page *entry)
{
    switch (entry->kind) {
    case PAGE_ARENA: return ((const arena *)entry->owner)->name;
    case PAGE_POOL:
    case PAGE_UNSIZED: return ((const pool *)entry->owner)->name;
    case PAGE_DEAD: return "a span that died";
    case PAGE_FENCED:
        return entry->tail == FIEF_HEAP ? "the heap" : ((const pool *)entry->owner)->name;
    default: return "the heap";
    }
}
