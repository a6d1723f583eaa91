/* depot: see depot.h. */
#include "core/depot.h"

#include "guard.h"

#include <string.h>

enum { HEADS = 1 << 16, WORD = 8 };
static const size_t depot_size = (size_t)128 << 20; /* a number is an offset in words: 24 bits */

typedef struct stack {
    uint32_t next, count;
    uint64_t where;
    const void *frames[];
} stack;

/* A file, for the numbers that are made while it is loaded. */
typedef struct loaded {
    os_module module;
    uint32_t from, until;
} loaded;

struct depot {
    size_t used; /* bytes */
    uint64_t changes;
    size_t module_count;
    loaded modules[OS_MODULES_MAX];
    os_module present[OS_MODULES_MAX]; /* while they are compared */
    uint32_t heads[HEADS];
};

/* Reserved rather than mapped: core files go without it. */
depot *depot_open(void)
{
    depot *d = os_reserve(depot_size);
    if (d != NULL && !os_commit(d, depot_size)) {
        os_release(d, depot_size);
        d = NULL;
    }
    if (d != NULL) {
        os_small_pages(d, depot_size);
        d->used = (sizeof *d + WORD - 1) / WORD * WORD;
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

/* Each frame by an odd number of its own: the products don't wait for each other. */
static uint32_t hash_of(const void *const *frames, size_t count, uint64_t where)
{
    uint64_t hash = where * 0xD6E8FEB86659FD93u, odd = 0x9E3779B97F4A7C15u;
    for (size_t i = 0; i < count; i++, odd += 0xA0761D6478BD642Eu) {
        hash += (uintptr_t)frames[i] * odd;
    }
    return (uint32_t)(hash >> 44) % HEADS;
}

static bool is_stack(const stack *s, const void *const *frames, size_t count, uint64_t where)
{
    bool same = s->count == count && s->where == where;
    for (size_t i = 0; same && i < count; i++) {
        same = s->frames[i] == frames[i];
    }
    return same;
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

uint32_t depot_put(depot *d, const void *const *frames, size_t count, uint64_t where)
{
    uint32_t *head = &d->heads[hash_of(frames, count, where)];
    size_t bytes = count * sizeof *frames;
    for (uint32_t number = *head; number != 0; number = stack_at(d, number)->next) {
        if (is_stack(stack_at(d, number), frames, count, where)) {
            return number;
        }
    }
    if (sizeof(stack) + bytes > depot_size - d->used) {
        return 0;
    }
    uint32_t number = (uint32_t)(d->used / WORD);
    note_modules(d, number);
    stack *fresh = stack_at(d, number);
    *fresh = (stack){.next = *head, .count = (uint32_t)count, .where = where};
    memcpy(fresh->frames, frames, bytes);
    d->used += sizeof *fresh + bytes;
    *head = number;
    return number;
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

size_t depot_held(const depot *d)
{
    return d != NULL ? d->used : 0;
}

/* A frame is {the caller's frame, the return address}. A host without frame pointers keeps anything
 * in that register: what does not point further up the same stack ends the walk. */
size_t frames_walk(const void *frame, bounds within_stack, const void **frames, size_t most)
{
    size_t count = 0;
    uintptr_t at = (uintptr_t)frame, least = (uintptr_t)within_stack.start;
    uintptr_t last = (uintptr_t)within_stack.end - 2 * sizeof(void *);
    most = within_stack.end != NULL ? most : 0;
    while (count < most && at >= least && at <= last && at % sizeof(void *) == 0) {
        const void *pair[2];
        memcpy(pair, (const void *)at, sizeof pair);
        if (within_stack.watched) {
            guard_trust(pair, sizeof pair);
        }
        if ((uintptr_t)pair[1] < 4096) {
            break;
        }
        frames[count++] = pair[1];
        least = at + 1;
        at = (uintptr_t)pair[0];
    }
    return count;
}
