/* dangling: roots, weak fields, and the check of a store. The scan itself is core/dangling.c. */
#include "manager/runtime.h"

#include "guard.h"
#include "os/os.h"

#include <stdio.h>

enum { PERCENT_DEFAULT = 10 };

/* ---- what a kind says of its fields ---- */

static bool is_weak(const core *c, unsigned kind, size_t offset)
{
    const runtime *r = whole_runtime(c->rt);
    if (kind >= r->window.kind_count) {
        return false;
    }
    const fief_kind *k = &r->kinds[kind];
    for (unsigned i = 0; i < k->weak_count; i++) {
        if (k->weak[i] == offset) {
            return true;
        }
    }
    return false;
}

/* NULL, and every kind may hold pointers, where none says otherwise or memory is short. */
static const bool *plain_kinds(runtime *r)
{
    bool *plain = NULL;
    for (unsigned kind = 0; kind < r->window.kind_count; kind++) {
        if ((r->kinds[kind].traits & FIEF_NO_POINTERS) != 0) {
            plain = plain != NULL ? plain : space_keep(&r->core.space, r->window.kind_count + 1);
            if (plain == NULL) {
                return NULL;
            }
            plain[kind] = true;
        }
    }
    return plain;
}

void watch_pointers(runtime *r, const fief_config *config)
{
    if (GUARD_SHUT) {
        scan *s = &r->core.scan;
        s->plain = plain_kinds(r);
        s->is_weak = is_weak;
        s->opened = os_clock();
        s->percent = config->scan_percent != 0 ? config->scan_percent : PERCENT_DEFAULT;
        s->off = config->no_scan;
        s->stack = config->scan_stack;
        r->window.checks_stores = true;
    }
}

fief_scan_count fief_stats_scan(const fief_runtime *rt)
{
    return whole_runtime(rt)->core.scan.count;
}

/* ---- roots ---- */

bool fief_root_add(fief_runtime *rt, const void *start, size_t size, const char *name)
{
    core *c = &whole_runtime(rt)->core;
    if (!enter(c, CALL())) {
        return false;
    }
    if (!GUARD_SHUT) {
        return true;
    }
    root_part *fresh = space_meta(&c->space, sizeof *fresh);
    if (fresh == NULL) {
        return false;
    }
    *fresh = (root_part){c->scan.roots, start, size, name != NULL ? name : "a root"};
    c->scan.roots = fresh;
    return true;
}

void fief_root_remove(fief_runtime *rt, const void *start)
{
    core *c = &whole_runtime(rt)->core;
    if (!enter(c, CALL())) {
        return;
    }
    for (root_part **link = &c->scan.roots; *link != NULL; link = &(*link)->next) {
        root_part *old = *link;
        if (old->start == start) {
            *link = old->next;
            space_meta_give(&c->space, old, sizeof *old);
            return;
        }
    }
}

static const root_part *root_at(const core *c, const void *p)
{
    const root_part *r = c->scan.roots;
    while (r != NULL && (uintptr_t)p - (uintptr_t)r->start >= r->size) {
        r = r->next;
    }
    return r;
}

/* ---- stores ---- */

/* How long a block is promised; the host's own arenas, and what is no block, are not. */
typedef enum promise {
    PROMISE_NONE,
    PROMISE_FRAME,
    PROMISE_UNIT,
    PROMISE_DYNAMIC,
    PROMISE_VM
} promise;

static promise promise_of(const runtime *r, const void *block)
{
    const page *entry = space_page(&r->core.space, block);
    if (entry == NULL || !entry->used || entry->kind == PAGE_DEAD) {
        return PROMISE_NONE;
    }
    if (entry->kind != PAGE_ARENA) {
        return PROMISE_DYNAMIC;
    }
    if (entry->owner == &r->vm) {
        return PROMISE_VM;
    }
    return entry->owner == &r->unit ? PROMISE_UNIT
                                    : (entry->owner == &r->frames ? PROMISE_FRAME : PROMISE_NONE);
}

/* How many of the open units began before the block was made. */
static unsigned unit_depth(const runtime *r, const record *block)
{
    return units_begun_before(r->log, r->depth, block->operation);
}

static bool outlives(const runtime *r, const record *holder, promise of_holder,
                     const record *target, promise of_target)
{
    bool ends = of_target == PROMISE_FRAME || of_target == PROMISE_UNIT;
    bool same_arena = of_holder == PROMISE_UNIT && of_target == PROMISE_UNIT;
    return ends && (of_holder > of_target ||
                    (same_arena && unit_depth(r, holder) < unit_depth(r, target)));
}

bool fief_store_slow(fief_runtime *rt, const void *holder, const void *field, const void *target)
{
    runtime *r = whole_runtime(rt);
    core *c = &r->core;
    if (!enter(c, CALL())) {
        return false;
    }
    if (!seal_admits_change(c, field, "stored into")) {
        return false;
    }
    note_call(c, (note){.verb = VERB_STORE, .what = holder, .where = target});
    const record *to = GUARD_SHUT ? ledger_find(&c->space, target) : NULL;
    if (to == NULL || to->state != BLOCK_LIVE) {
        return true;
    }
    const record *from = ledger_find(&c->space, holder);
    const root_part *in = root_at(c, field);
    promise of_holder = in != NULL ? PROMISE_VM : promise_of(r, holder);
    size_t offset = (size_t)((uintptr_t)field - (uintptr_t)(in != NULL ? in->start : holder));
    bool weak = from != NULL && is_weak(c, (unsigned)from->kind, offset);
    if ((from == NULL && in == NULL) || weak ||
        !outlives(r, from, of_holder, to, promise_of(r, target))) {
        return true;
    }
    fief_dangling found = {.holder = in != NULL ? in->start : holder, .target = target,
                           .holder_size = in != NULL ? in->size : record_size(&c->space, from),
                           .offset = offset, .shapes = 1};
    found.shape[0] = (fief_shape){.holder = in != NULL ? in->name : NULL,
                                  .offset = offset,
                                  .count = 1,
                                  .holder_kind = in != NULL ? c->no_kind : (unsigned)from->kind,
                                  .target_kind = (unsigned)to->kind};
    if (in == NULL) {
        depot_get(c->depot, (uint32_t)from->born, &found.holder_allocated);
        found.holder_allocated.operation = from->operation;
    }
    return misuse_dangling(c, FIEF_MISUSE_DANGLING_STORE, &found,
                           owner_name(space_page(&c->space, target)));
}
