/* watch: the runtimes of the process, for whoever has nothing but an address: the fault handler of a
 * debug build. A closed runtime is kept, inaccessible, until CLOSED_MAX others have been closed: so a
 * late use of it, or of one of its blocks, is still named. In other builds there is nothing to watch,
 * and closing releases. This is the library's one process-wide table; a signal handler reads it. */
#include "manager/runtime.h"

#include "guard.h"
#include "os/os.h"

enum { WATCHED_MAX = 64, CLOSED_MAX = 8 };

static runtime *watched[WATCHED_MAX];
static runtime *closed[CLOSED_MAX];
static unsigned next_closed;

/* Pages that are dead: of a span that died whole, or of a living arena's rewound end. */
static bool is_dead_page(const core *c, const page *entry)
{
    return entry->used && (c->closed || entry->kind == PAGE_DEAD || entry->kind == PAGE_ARENA);
}

static void on_fault(const os_fault *fault)
{
    for (size_t i = 0; i < WATCHED_MAX; i++) {
        const runtime *r = __atomic_load_n(&watched[i], __ATOMIC_ACQUIRE);
        if (r != NULL && report_broken_handler(&r->core, fault)) {
            return;
        }
    }
    for (size_t i = 0; i < WATCHED_MAX; i++) {
        runtime *r = __atomic_load_n(&watched[i], __ATOMIC_ACQUIRE);
        const page *entry = r != NULL ? space_page(&r->core.space, fault->address) : NULL;
        if (entry != NULL && is_dead_page(&r->core, entry)) {
            report_access(&r->core, fault);
            return;
        }
    }
}

static bool replace(runtime *old, runtime *fresh)
{
    for (size_t i = 0; i < WATCHED_MAX; i++) {
        runtime *expected = old;
        if (__atomic_compare_exchange_n(&watched[i], &expected, fresh, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_RELAXED)) {
            return true;
        }
    }
    return false;
}

void watch_opened(runtime *r)
{
    if (GUARD_FENCES) {
        (void)os_on_fault(on_fault);
        (void)replace(NULL, r);
    }
}

static void release(runtime *r)
{
    core *c = &r->core;
    (void)replace(r, NULL);
    size_t bytes = (size_t)c->space.frontier << PAGE_SHIFT;
    guard_forget(c->space.base, bytes);
    if (c->space.range->kept && bytes != 0) {
        (void)guard_exhume(c->space.base, bytes);
    }
    depot_close(c->depot);
    space_close(&c->space);
}

/* Not where the next runtime, or the caller, wants the memory, or nothing is to be kept. */
static bool can_stay(const core *c)
{
    return GUARD_FENCES && c->space.range->reserve != NULL && !c->space.range->kept &&
           c->quarantine.entries != 0;
}

void watch_closed(runtime *r)
{
    core *c = &r->core;
    size_t bytes = (size_t)c->space.frontier << PAGE_SHIFT;
    if (!can_stay(c) || (bytes != 0 && !guard_bury(c->space.base, bytes))) {
        release(r);
        return;
    }
    c->closed = true;
    unsigned at = __atomic_fetch_add(&next_closed, 1, __ATOMIC_RELAXED) % CLOSED_MAX;
    runtime *oldest = __atomic_exchange_n(&closed[at], r, __ATOMIC_ACQ_REL);
    if (oldest != NULL) {
        release(oldest);
    }
}
