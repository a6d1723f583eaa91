/* core: what every allocator of a runtime shares: the budget, the count of operations, the owner's
 * thread, and what a page of the map says. */
#include "core/core.h"
#include "core/image.h"

#include "base/size.h"
#include "guard.h"
#include "os/os.h"

bool core_full(core *c, fief_strategy strategy, size_t size)
{
    served outer = let_host_in(c);
    bool again = c->on_full != NULL && c->on_full(c->rt, size, c->user);
    go_on_serving(c, outer);
    if (again) {
        return true;
    }
    c->tallies[strategy].refused++;
    return false;
}

bool refuse_entry(core *c, call from)
{
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
    served outer = let_host_in(c);
    c->asking = true;
    uint64_t where = c->where(c->user);
    c->asking = false;
    go_on_serving(c, outer);
    return where;
}

uint32_t call_stack_anew(core *c)
{
    c->stack_number =
        c->depot != NULL ? depot_put(c->depot, c->from, &c->stack, c->depth, ask_where(c)) : 0;
    c->stack_operation = c->operation;
    return c->stack_number;
}

void report_foreign(core *c, const void *p, size_t size, const char *to)
{
    uintptr_t at = (uintptr_t)p;
    const image_map *image = image_at(c, p);
    if (image != NULL) {
        misuse(c, FIEF_MISUSE_WRONG_ALLOCATOR, p, size,
               "given to %s, but it lies in the image '%s'", to, image->name);
        return;
    }
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
    case PAGE_POOL: return ((const pool *)entry->owner)->name;
    case PAGE_UNSIZED: return "the heap's unsized blocks";
    case PAGE_DEAD: return "a span that died";
    case PAGE_FENCED:
        return entry->tail == FIEF_HEAP ? "the heap" : ((const pool *)entry->owner)->name;
    default: return "the heap";
    }
}

/* The diary has what was made; the trace, what was refused, too. */
void note_write(core *c, note n)
{
    bool refused = n.verb <= VERB_TAKE && n.what == NULL;
    n.operation = c->operation;
    if (GUARD_SHUT && c->diary != NULL && !refused) {
        diary_write(c, n);
    }
    if (c->trace != NULL && (!refused || n.verb != VERB_ARENA_OPEN)) {
        c->trace->on_note(c, &n);
    }
}

void diary_write(core *c, note n)
{
    diary *d = c->diary;
    n.operation = c->operation;
    d->notes[d->count++ % NOTES] = n;
}
