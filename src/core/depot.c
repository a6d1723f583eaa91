/* depot: see depot.h. */
#include "core/depot.h"

#include "guard.h"

#include <string.h>

enum { HEADS = 1 << 16, HASH_SHIFT = 48, WORD = 8 };
static const size_t depot_size = (size_t)128 << 20; /* a number is an offset in words: 24 bits */
static const size_t depot_step = (size_t)1 << 20;   /* by which it grows: Valgrind pays for pages */

typedef struct stack {
    uint32_t next, count;
    uint64_t where, key;
    const void *frames[];
} stack;

/* A file, for the numbers that are made while it is loaded. */
typedef struct loaded {
    os_module module;
    uint32_t from, until;
} loaded;

struct depot {
    uint64_t break_at; /* first: depot_break */
    size_t used, usable; /* bytes */
    uint64_t changes;
    size_t module_count;
    loaded modules[OS_MODULES_MAX];
    os_module present[OS_MODULES_MAX]; /* while they are compared */
    uint32_t heads[HEADS];
};

/* Reserved rather than mapped: core files go without it. */
depot *depot_open(uint64_t break_at)
{
    depot *d = os_reserve(depot_size);
    size_t used = fief_round_up(sizeof *d, WORD);
    size_t usable = fief_round_up(used + depot_step, OS_PAGE);
    if (d != NULL && !os_commit(d, usable)) {
        os_release(d, depot_size);
        d = NULL;
    }
    if (d != NULL) {
        os_small_pages(d, depot_size);
        d->break_at = break_at;
        d->used = used;
        d->usable = usable;
    }
    return d;
}

void depot_close(depot *d)
{
    if (d != NULL) {
        os_release(d, depot_size);
    }
}

static stack *stack_at(const depot *d, uint32_t number)
{
    return (stack *)(uintptr_t)((const char *)d + (size_t)number * WORD);
}

/* A word of the stack, which Valgrind may hold for undefined. */
static inline uintptr_t word_at(uintptr_t at)
{
    uintptr_t word;
    memcpy(&word, (const void *)at, sizeof word);
    return word;
}

static FIEF_NOINLINE uintptr_t trusted_word_at(uintptr_t at)
{
    uintptr_t word = word_at(at);
    guard_trust(&word, sizeof word);
    return word;
}

/* Every call of a guarded build comes here. A frame is {the caller's frame, the return address}. A
 * host without frame pointers keeps anything in that register: what does not point further up the
 * same stack ends the walk. Each frame is multiplied by an odd number of its own, so that the
 * products don't wait for each other; nor does the way up wait for more than one load a frame.
 * `frames` may be NULL. */
typedef struct trail {
    size_t count;
    uint64_t hash;
} trail;

static inline __attribute__((always_inline)) trail
walk(uintptr_t at, const bounds *within, bool watched, const void **frames, size_t most)
{
    trail t = {0, 0};
    uint64_t odd = 0x9E3779B97F4A7C15u;
    uintptr_t least = (uintptr_t)within->start, last = (uintptr_t)within->end - 2 * sizeof at;
    while (t.count < most && at >= least && at <= last) {
        uintptr_t link = at + sizeof at;
        uintptr_t up = watched ? trusted_word_at(at) : word_at(at);
        uintptr_t code = watched ? trusted_word_at(link) : word_at(link);
        if (code < OS_PAGE) {
            break;
        }
        if (frames != NULL) {
            frames[t.count] = (const void *)code;
        }
        t.count++;
        t.hash += code * odd;
        odd += 0xA0761D6478BD642Eu;
        least = at + 1;
        at = up;
    }
    return t;
}

size_t frames_walk(const void *frame, const bounds *within, const void **frames, size_t most)
{
    most = most < FIEF_DEPTH_MAX ? most : FIEF_DEPTH_MAX;
    most = within->end != NULL ? most : 0;
    return walk((uintptr_t)frame, within, within->watched, frames, most).count;
}

/* ---- which code lay where ---- */

#define STILL UINT32_MAX

static bool is_same(const os_module *a, const os_module *b)
{
    return a->start == b->start && a->identity == b->identity && strcmp(a->path, b->path) == 0;
}

static void note_module(depot *d, const os_module *module, uint32_t number)
{
    for (size_t i = 0; i < d->module_count; i++) {
        if (d->modules[i].until == number && is_same(&d->modules[i].module, module)) {
            d->modules[i].until = STILL;
            return;
        }
    }
    if (d->module_count < OS_MODULES_MAX) {
        d->modules[d->module_count++] = (loaded){*module, number, STILL};
    }
}

/* Before a new number is made: what was loaded until now and is not any more ends here. */
static void note_modules(depot *d, uint32_t number)
{
    uint64_t changes = os_module_changes();
    if (changes == d->changes) {
        return;
    }
    d->changes = changes;
    for (size_t i = 0; i < d->module_count; i++) {
        d->modules[i].until = d->modules[i].until == STILL ? number : d->modules[i].until;
    }
    size_t count = os_modules(d->present, OS_MODULES_MAX);
    for (size_t i = 0; i < count; i++) {
        note_module(d, &d->present[i], number);
    }
}

const os_module *depot_module(const depot *d, uint32_t number, const void *pc)
{
    for (size_t i = 0; d != NULL && i < d->module_count; i++) {
        const loaded *l = &d->modules[i];
        if (number >= l->from && number < l->until && (uintptr_t)pc >= l->module.start &&
            (uintptr_t)pc < l->module.end) {
            return &l->module;
        }
    }
    return NULL;
}

/* ---- stacks ---- */

/* By a step, or the page or more that is left: more than any stack. */
static bool grow(depot *d)
{
    size_t step = depot_step < depot_size - d->usable ? depot_step : depot_size - d->usable;
    bool grows = step != 0 && os_commit((char *)d + d->usable, step);
    d->usable += grows ? step : 0;
    return grows;
}

static FIEF_NOINLINE uint32_t add_stack(depot *d, uint32_t *head, call from, const bounds *within,
                                        size_t depth, uint64_t where, uint64_t key)
{
    const void *frames[FIEF_DEPTH_MAX];
    size_t count = frames_walk(from.frame, within, frames, depth);
    if (count == 0) { /* its own line is known at least */
        frames[count++] = from.site;
    }
    size_t bytes = count * sizeof frames[0];
    if (sizeof(stack) + bytes > d->usable - d->used && !grow(d)) {
        return 0;
    }
    uint32_t number = (uint32_t)(d->used / WORD);
    note_modules(d, number);
    stack *fresh = stack_at(d, number);
    *fresh = (stack){.next = *head, .count = (uint32_t)count, .where = where, .key = key};
    memcpy(fresh->frames, frames, bytes);
    d->used += sizeof *fresh + bytes;
    *head = number;
    return number;
}

/* Stacks are the same where their keys are: of 64 bits, so no two of a program's are likely to
 * meet, and to compare frame by frame would cost as much as the walk. */
uint32_t depot_put(depot *d, call from, const bounds *within, size_t depth, uint64_t where)
{
    uintptr_t frame = (uintptr_t)from.frame;
    trail t = {0, 0};
    if (within->end != NULL) {
        t = within->watched ? walk(frame, within, true, NULL, depth)
                            : walk(frame, within, false, NULL, depth);
    }
    t.hash += t.count == 0 ? (uintptr_t)from.site * 0x9E3779B97F4A7C15u : 0;
    uint64_t key = t.hash + where * 0xD6E8FEB86659FD93u + t.count;
    uint32_t *head = &d->heads[key >> HASH_SHIFT];
    for (uint32_t number = *head; number != 0; number = stack_at(d, number)->next) {
        if (stack_at(d, number)->key == key) {
            return number;
        }
    }
    return add_stack(d, head, from, within, depth, where, key);
}

void depot_get(const depot *d, uint32_t number, fief_site *ret_site)
{
    ret_site->count = 0;
    ret_site->where = 0;
    ret_site->stack = number;
    size_t offset = (size_t)number * WORD; /* from a record, which somebody may have written to */
    if (d == NULL || offset < sizeof *d || offset + sizeof(stack) > d->used) {
        return;
    }
    const stack *s = stack_at(d, number);
    size_t most = (d->used - offset - sizeof *s) / sizeof s->frames[0];
    most = most < FIEF_DEPTH_MAX ? most : FIEF_DEPTH_MAX;
    ret_site->count = s->count < most ? s->count : most;
    ret_site->where = s->where;
    memcpy(ret_site->frames, s->frames, ret_site->count * sizeof s->frames[0]);
}
