/* pages: what the OS takes for a page, and what a VM of 100 MB takes to end.
 *
 * Each figure is the median of several turns over fresh pages; only the operation is timed. */
#include "cases.h"

#include <fief/fief.h>

#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

enum { PAGE = 4096, STEP = 64 << 10, HUGE = 2 << 20, TURNS = 5, BLOCK = 256 };
static const size_t bytes = (size_t)32 << 20, live = 100000000, room = (size_t)256 << 20;

/* In the order of the benches' sizes in plan.c. */
typedef enum operation {
    FIRST_TOUCH,
    PROTECTED,
    POPULATED,
    HUGE_TOUCH,
    WARM,
    DONTNEED,
    FREED,
    UNMAP,
    UNMAP_HUGE
} operation;

static unsigned char *must_map(size_t size, int access)
{
    void *pages = mmap(NULL, size, access, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED) {
        give_up("no pages");
    }
    return pages;
}

static void touch(unsigned char *pages)
{
    for (size_t at = 0; at < bytes; at += PAGE) {
        store(pages + at, at);
    }
}

static void must(int status)
{
    if (status != 0) {
        give_up("the system refuses this operation");
    }
}

static void protect(unsigned char *pages)
{
    for (size_t at = 0; at < bytes; at += STEP) {
        must(mprotect(pages + at, STEP, PROT_READ | PROT_WRITE));
    }
}

static void populate(unsigned char *pages)
{
    for (size_t at = 0; at < bytes; at += HUGE) {
        must(madvise(pages + at, HUGE, MADV_POPULATE_WRITE));
    }
}

static void operate(operation what, unsigned char *pages)
{
    switch (what) {
    case PROTECTED:
        protect(pages);
        break;
    case POPULATED:
        populate(pages);
        break;
    case DONTNEED:
        must(madvise(pages, bytes, MADV_DONTNEED));
        break;
    case FREED:
        must(madvise(pages, bytes, MADV_FREE));
        break;
    case UNMAP:
    case UNMAP_HUGE:
        must(munmap(pages, bytes));
        return;
    case FIRST_TOUCH:
    case HUGE_TOUCH:
    case WARM:
        break;
    }
    touch(pages);
}

/* One turn over a fresh range, aligned to 2 MiB. */
static double time_operation(operation what)
{
    bool huge = what == HUGE_TOUCH || what == UNMAP_HUGE;
    unsigned char *range = must_map(bytes + HUGE, what == PROTECTED ? PROT_NONE
                                                                    : PROT_READ | PROT_WRITE);
    unsigned char *pages = range + ((0 - (uintptr_t)range) & (HUGE - 1));
    (void)madvise(pages, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    if (what >= WARM) {
        touch(pages);
    }
    uint64_t start = clock_now();
    operate(what, pages);
    double taken = (double)(clock_now() - start);
    munmap(range, bytes + HUGE);
    return taken / ((double)bytes / PAGE);
}

figure pages_system(const job *given)
{
    double times[TURNS];
    size_t turns = given->quick ? 1 : TURNS;
    for (size_t i = 0; i < turns; i++) {
        times[i] = time_operation((operation)given->size);
    }
    return (figure){median_of(times, turns), not_counted()};
}

/* ---- the end of a VM by fief_drop, with 100 MB live, in microseconds ---- */

typedef enum place { AS_IT_COMES, HUGE_PAGES, KEPT, SMALL_PAGES } place;

static double time_drop(const fief_config *config, size_t size)
{
    fief_runtime *rt = fief_open(config);
    if (rt == NULL) {
        give_up("no runtime");
    }
    for (size_t lent = 0; lent < size; lent += BLOCK) {
        void *block = fief_heap_alloc(fief_runtime_heap(rt), BLOCK);
        if (block == NULL) {
            give_up("no memory");
        }
        memset(block, 1, BLOCK);
    }
    uint64_t start = clock_now();
    fief_drop(rt);
    return (double)(clock_now() - start) / 1000;
}

figure close_fief(const job *given)
{
    double times[TURNS];
    size_t size = given->quick ? (size_t)1 << 20 : live;
    fief_config config = {.retain_bytes = given->size == KEPT ? room : 0,
                          .huge_pages = given->size == HUGE_PAGES};
    config.range = given->size == KEPT ? fief_range_open(0) : NULL;
    must(prctl(PR_SET_THP_DISABLE, given->size == SMALL_PAGES, 0, 0, 0));
    for (size_t i = 0; i < TURNS; i++) {
        times[i] = time_drop(&config, size);
    }
    must(prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0));
    return (figure){median_of(times, TURNS), not_counted()};
}
