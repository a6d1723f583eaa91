/* watch: the runtimes of the process, for whoever has nothing but an address: the fault handler of
 * a debug build, and of every build once something is sealed. A closed runtime is kept by a debug
 * build, inaccessible, until CLOSED_MAX others have been closed, or a new one finds no room beside
 * it: so a late use of it, or of one of its blocks, is still named. Elsewhere closing releases. A
 * signal handler reads these tables. Above os/ and guard/ nothing else is the process's. */
#include "manager/image.h"
#include "manager/report.h"
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
    return c->closed || entry->kind == PAGE_DEAD || entry->kind == PAGE_ARENA ||
           entry->kind == PAGE_FENCED;
}

/* The runtime that an address lies in; NULL: none. */
static runtime *runtime_at(const void *address)
{
    for (size_t i = 0; i < WATCHED_MAX; i++) {
        runtime *r = __atomic_load_n(&watched[i], __ATOMIC_ACQUIRE);
        const page *entry = r != NULL ? space_page(&r->core.space, address) : NULL;
        if ((entry != NULL && entry->used) || (r != NULL && image_at(&r->core, address) != NULL)) {
            return r;
        }
    }
    return NULL;
}

/* A page that is dead, in a debug build; a write to one that is sealed, in any. */
static bool is_ours(const core *c, const os_fault *fault)
{
    const page *entry = space_page(&c->space, fault->address);
    const image_map *image = image_at(c, fault->address);
    if (image != NULL) {
        return fault->is_write || image->closed;
    }
    return (GUARD_FENCES && is_dead_page(c, entry)) ||
           (fault->is_write && is_sealed(&c->space, fault->address));
}

static bool told; /* by AddressSanitizer's report, or instead of it */

static void on_fault(const os_fault *fault)
{
    for (size_t i = 0; i < WATCHED_MAX; i++) {
        const runtime *r = __atomic_load_n(&watched[i], __ATOMIC_ACQUIRE);
        if (r != NULL && report_broken_handler(&r->core, fault)) {
            return;
        }
    }
    runtime *r = runtime_at(fault->address);
    if (r != NULL && is_ours(&r->core, fault)) {
        __atomic_store_n(&told, true, __ATOMIC_RELAXED);
        report_access(&r->core, fault);
    }
}

size_t fief_describe(const void *address, char *buffer, size_t size)
{
    runtime *r = runtime_at(address);
    if (r == NULL) {
        return 0;
    }
    fief_misuse m;
    writer w = {buffer, size, 0};
    describe_address(&r->core, address, &m);
    put_description(&w, &m);
    return w.length;
}

/* ---- AddressSanitizer's reports ---- */

static void tell_what_lies_there(const char *report)
{
    enum { TEXT_SIZE = 8192 };
    (void)report;
    const void *address = guard_reported_address();
    if (address == NULL || __atomic_exchange_n(&told, true, __ATOMIC_RELAXED)) {
        return;
    }
    char *text = os_map(TEXT_SIZE);
    if (text != NULL) {
        size_t length = fief_describe(address, text, TEXT_SIZE);
        os_print_error(text, length < TEXT_SIZE ? length : TEXT_SIZE - 1);
        os_release(text, TEXT_SIZE);
    }
}

static void tell_at_death(void)
{
    tell_what_lies_there(NULL);
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
    }
    if (GUARD_SHUT) {
        guard_on_report(tell_what_lies_there, tell_at_death);
        (void)replace(NULL, r);
        if (r->core.space.range->reserve != NULL) {
            guard_root(r->core.space.base, (size_t)r->core.space.pages << PAGE_SHIFT);
        }
    }
}

void watch_read_only(runtime *r)
{
    (void)os_on_fault(on_fault); /* each time: the host's handler may have come after ours */
    if (!GUARD_SHUT && !r->core.watched) {
        r->core.watched = replace(NULL, r);
    }
}

static void release(runtime *r)
{
    core *c = &r->core;
    size_t bytes = (size_t)c->space.frontier << PAGE_SHIFT;
    if (GUARD_SHUT || c->watched) {
        (void)replace(r, NULL);
    }
    if (GUARD_SHUT && c->space.range->reserve != NULL) {
        guard_unroot(c->space.base, (size_t)c->space.pages << PAGE_SHIFT);
    }
    guard_forget(c->space.base, bytes);
    if (c->space.range->kept && bytes != 0) {
        (void)guard_exhume(c->space.base, bytes);
    }
    if (c->space.range->images != NULL) {
        images_release(c);
    }
    close_evidence(r);
    space_close(&c->space);
}

/* Not where the next runtime, or the caller, wants the memory, or nothing is to be kept. */
static bool can_stay(const core *c)
{
    return GUARD_SHUT && c->space.range->reserve != NULL && !c->space.range->kept &&
           c->quarantine != NULL;
}

void watch_closed(runtime *r)
{
    core *c = &r->core;
    size_t bytes = (size_t)c->space.frontier << PAGE_SHIFT;
    if (!can_stay(c) || (bytes != 0 && !guard_bury(c->space.base, bytes, false))) {
        release(r);
        return;
    }
    c->closed = true;
    c->thread = 0; /* nobody enters */
    unsigned at = __atomic_fetch_add(&next_closed, 1, __ATOMIC_RELAXED) % CLOSED_MAX;
    runtime *oldest = __atomic_exchange_n(&closed[at], r, __ATOMIC_ACQ_REL);
    if (oldest != NULL) {
        release(oldest);
    }
}

size_t watch_forget(void)
{
    size_t forgotten = 0;
    for (size_t i = 0; i < CLOSED_MAX; i++) {
        runtime *r = __atomic_exchange_n(&closed[i], NULL, __ATOMIC_ACQ_REL);
        if (r != NULL) {
            release(r);
            forgotten++;
        }
    }
    return forgotten;
}
