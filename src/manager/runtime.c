/* runtime: opens, routes, closes. */
#include "manager/runtime.h"

#include "base/size.h"
#include "guard.h"
#include "os/os.h"

#include <stdio.h>
#include <string.h>

enum { LIMIT_MINIMUM = 4096 };
static const size_t reserve_default = (size_t)64 << 30, retain_default = (size_t)4 << 20;

/* ---- open ---- */

bool refuse(fief_error *error, fief_status status, const char *format, ...)
{
    if (error != NULL) {
        va_list args;
        va_start(args, format);
        error->status = status;
        (void)vsnprintf(error->text, sizeof error->text, format, args);
        va_end(args);
    }
    return false;
}

static bool config_check(const fief_config *config, fief_error *error)
{
    if (config->limit_bytes != 0 && config->limit_bytes < LIMIT_MINIMUM) {
        return refuse(error, FIEF_BAD_CONFIG, "limit_bytes is %zu; the least is %d",
                      config->limit_bytes, LIMIT_MINIMUM);
    }
    if (config->align != 0 && config->align != 8 && config->align != 16) {
        return refuse(error, FIEF_BAD_CONFIG, "align is %u, not 8 or 16", config->align);
    }
    if (config->buffer != NULL && config->buffer_size < space_minimum(sizeof(runtime))) {
        return refuse(error, FIEF_BAD_CONFIG, "the buffer has %zu bytes; the least is %zu",
                      config->buffer_size, space_minimum(sizeof(runtime)));
    }
    return table_check(config->kinds, config->kind_count, error);
}

static void core_init(runtime *r, const fief_config *config, const space *s)
{
    core *c = &r->core;
    c->space = *s;
    c->space.retain = config->retain_bytes != 0 ? config->retain_bytes : retain_default;
    c->rt = &r->window;
    c->heap = &r->heap.window;
    c->name = config->name != NULL ? config->name : "vm";
    c->thread = os_thread();
    c->limit = config->limit_bytes;
    c->on_full = config->on_full;
    c->on_misuse = config->on_misuse;
    c->user = config->user;
    c->shut = GUARD_SHUT || config->count_blocks || config->limit_bytes != 0;
    for (unsigned i = 0; i < FIEF_STRATEGIES; i++) {
        c->tallies[i].limit = config->limits[i];
        c->shut = c->shut || config->limits[i] != 0;
    }
}

static bool allocators_open(runtime *r, const fief_config *config)
{
    core *c = &r->core;
    if (!heap_init(&r->heap, c, config->align != 0 ? config->align : FIEF_ALIGN)) {
        return false;
    }
    r->window.heap = &r->heap.window;
    r->vm = arena_open(c, FIEF_VM_ARENA, &(fief_arena_config){.name = "the vm arena"});
    r->unit = arena_open(c, FIEF_COMPILER_ARENA, &(fief_arena_config){.name = "the compiler arena"});
    r->frames = arena_open(c, FIEF_STACK, &(fief_arena_config){.name = "the stack"});
    if (r->vm == NULL || r->unit == NULL || r->frames == NULL) {
        return false;
    }
    arena_refuse(r->unit, true);
    return table_resolve(r, config->kinds, config->kind_count);
}

fief_runtime *fief_open(const fief_config *given)
{
    fief_config config = given != NULL ? *given : (fief_config){0};
    if (config.kinds == NULL) {
        config.kinds = fief_default_kinds;
        config.kind_count = FIEF_DEFAULT_KINDS;
    }
    if (!config_check(&config, config.error)) {
        return NULL;
    }
    space s;
    size_t reserve = config.reserve_bytes != 0 ? config.reserve_bytes : reserve_default;
    runtime *r = space_open(reserve, config.buffer, config.buffer_size, sizeof *r, &s);
    if (r == NULL) {
        (void)refuse(config.error, FIEF_NO_MEMORY,
                     "the system refused to reserve %zu bytes, and every half of it", reserve);
        return NULL;
    }
    core_init(r, &config, &s);
    if (!allocators_open(r, &config)) {
        (void)refuse(config.error, FIEF_NO_MEMORY, "no memory for the runtime's own descriptors");
        s = r->core.space;
        space_close(&s);
        return NULL;
    }
    return &r->window;
}

void fief_adopt(fief_runtime *rt)
{
    whole_runtime(rt)->core.thread = os_thread();
}

/* ---- close ---- */

static void report_leak(const runtime *r, size_t blocks, size_t bytes)
{
    char line[200];
    int length = snprintf(line, sizeof line,
                          "fief: misuse[leak]: runtime \"%s\" closed with %zu blocks, %zu bytes "
                          "alive\n", r->core.name, blocks, bytes);
    os_print_error(line, length < 0 ? 0 : (size_t)length);
}

/* What the host still holds of dynamic lifetime. Blocks are counted while windows are shut; else a
 * pool knows its live slots and the heap its live bytes. */
static size_t count_leaks(runtime *r)
{
    core *c = &r->core;
    size_t blocks = 0, bytes = 0;
    if (c->shut) {
        blocks = c->tallies[FIEF_POOL].blocks + c->tallies[FIEF_HEAP].blocks;
        bytes = c->tallies[FIEF_POOL].asked + c->tallies[FIEF_HEAP].asked;
    } else {
        for (pool *p = c->pools; p != NULL; p = p->next) {
            size_t live = p->strategy == FIEF_POOL ? fief_pool_live(&p->window) : 0;
            blocks += live;
            bytes += live * p->slot_size;
        }
        blocks += r->heap.window.live != 0;
        bytes += r->heap.window.live;
    }
    if (blocks != 0) {
        report_leak(r, blocks, bytes);
    }
    return blocks;
}

size_t fief_close(fief_runtime *rt)
{
    if (rt == NULL) {
        return 0;
    }
    runtime *r = whole_runtime(rt);
    core *c = &r->core;
    if (!thread_is_owner(c, SITE())) {
        return 0;
    }
    arena_shut_down(r->frames);
    arena_shut_down(r->unit);
    while (c->arenas != NULL && c->arenas != r->vm) {
        arena_shut_down(c->arenas);
    }
    arena_shut_down(r->vm); /* takes the heap blocks along that stood in for arena blocks */
    size_t leaks = count_leaks(r);
    guard_forget(c->space.base, (size_t)c->space.frontier << PAGE_SHIFT);
    space s = c->space;
    space_close(&s);
    return leaks;
}

/* ---- routes ---- */

fief_heap *fief_runtime_heap(fief_runtime *rt)
{
    return rt->heap;
}

fief_arena *fief_vm_arena(fief_runtime *rt)
{
    return &whole_runtime(rt)->vm->window.arena;
}

fief_arena *fief_compiler_arena(fief_runtime *rt)
{
    return &whole_runtime(rt)->unit->window.arena;
}

fief_stack *fief_frame_stack(fief_runtime *rt)
{
    return &whole_runtime(rt)->frames->window;
}

static void *row_take(const fief_row *row, size_t size)
{
    switch (row->strategy) {
    case FIEF_POOL: return fief_pool_take(row->allocator);
    case FIEF_HEAP: return fief_heap_alloc(row->allocator, size);
    case FIEF_STACK: return fief_stack_push(row->allocator, size);
    default: return fief_arena_alloc(row->allocator, size);
    }
}

void *fief_new_slow(fief_runtime *rt, unsigned kind, unsigned context, size_t size)
{
    runtime *r = whole_runtime(rt);
    if (kind >= rt->kind_count || context >= FIEF_CONTEXTS) {
        misuse(&r->core, FIEF_MISUSE_BAD_KIND, NULL, size, SITE(),
               "kind %u in context %u is outside the table", kind, context);
        return NULL;
    }
    const fief_row *row = &rt->rows[kind * FIEF_CONTEXTS + context];
    if (row->strategy == FIEF_NO_STRATEGY) {
        misuse(&r->core, FIEF_MISUSE_NO_STRATEGY, NULL, size, SITE(),
               "kind '%s' has no strategy in context %u", r->kinds[kind].name, context);
        return NULL;
    }
    if (row->strategy == FIEF_POOL && size > row->slot_size) {
        misuse(&r->core, FIEF_MISUSE_WRONG_SIZE, NULL, size, SITE(),
               "kind '%s' lives in slots of %u bytes, not %zu", r->kinds[kind].name, row->slot_size,
               size);
        return NULL;
    }
    void *block = row_take(row, size);
    return block != NULL ? memset(block, 0, size) : NULL;
}

static const char *owner_name(const page *entry)
{
    return entry->kind == PAGE_ARENA ? ((const arena *)entry->owner)->name
                                     : ((const pool *)entry->owner)->name;
}

void fief_free_slow(fief_runtime *rt, unsigned kind, void *block, size_t size)
{
    runtime *r = whole_runtime(rt);
    core *c = &r->core;
    if (block == NULL || !thread_is_owner(c, SITE())) {
        return;
    }
    if (kind >= rt->kind_count) {
        misuse(c, FIEF_MISUSE_BAD_KIND, block, size, SITE(), "kind %u is outside the table", kind);
        return;
    }
    const page *entry = space_page(&c->space, block);
    const fief_row *row = &rt->rows[kind * FIEF_CONTEXTS + FIEF_DYNAMIC];
    if (entry != NULL && entry->used && entry->kind == PAGE_ARENA) {
        misuse(c, FIEF_MISUSE_WRONG_ALLOCATOR, block, size, SITE(),
               "fief_free(%s) was given a block that belongs to %s, whose blocks die together",
               r->kinds[kind].name, owner_name(entry));
        return;
    }
    if (row->strategy == FIEF_POOL) {
        (void)pool_give(row->allocator, block, ((pool *)row->allocator)->slot_size, SITE());
        return;
    }
    fief_heap_free(rt->heap, block, size);
}

void *fief_resize(fief_runtime *rt, unsigned kind, void *block, size_t old_size, size_t new_size)
{
    runtime *r = whole_runtime(rt);
    if (kind >= rt->kind_count || rt->rows[kind * FIEF_CONTEXTS + FIEF_DYNAMIC].strategy != FIEF_HEAP) {
        misuse(&r->core, FIEF_MISUSE_BAD_KIND, block, new_size, SITE(),
               "only kinds that live on the heap can be resized");
        return NULL;
    }
    void *moved = fief_heap_resize(rt->heap, block, old_size, new_size);
    if (moved != NULL && new_size > old_size) {
        memset((char *)moved + old_size, 0, new_size - old_size);
    }
    return moved;
}

void *fief_temp_slow(fief_runtime *rt, size_t count, size_t size, size_t align)
{
    return fief_arena_array(fief_compiler_arena(rt), count, size, align);
}

fief_strategy fief_owner(const fief_runtime *rt, const void *pointer)
{
    const runtime *r = whole_runtime(rt);
    const page *entry = space_page(&r->core.space, pointer);
    if (entry == NULL || !entry->used) {
        return FIEF_NO_STRATEGY;
    }
    switch ((page_kind)entry->kind) {
    case PAGE_ARENA: return ((const arena *)entry->owner)->strategy;
    case PAGE_POOL: return ((const pool *)entry->owner)->strategy;
    default: return FIEF_HEAP;
    }
}

size_t fief_trim(fief_runtime *rt)
{
    runtime *r = whole_runtime(rt);
    for (pool *p = r->core.pools; p != NULL; p = p->next) {
        (void)fief_pool_trim(&p->window);
    }
    (void)heap_trim(&r->heap);
    return space_trim(&r->core.space);
}

/* ---- allocators of the host's own ---- */

fief_arena *fief_arena_open(fief_runtime *rt, const fief_arena_config *config)
{
    arena *a = arena_open(&whole_runtime(rt)->core, FIEF_VM_ARENA, config);
    return a != NULL ? &a->window.arena : NULL;
}

fief_stack *fief_stack_open(fief_runtime *rt, const fief_arena_config *config)
{
    arena *a = arena_open(&whole_runtime(rt)->core, FIEF_STACK, config);
    return a != NULL ? &a->window : NULL;
}

fief_pool *fief_pool_open(fief_runtime *rt, const char *name, size_t slot_size)
{
    pool *p = pool_open(&whole_runtime(rt)->core, FIEF_POOL, name, slot_size);
    return p != NULL ? &p->window : NULL;
}

/* ---- units ---- */

fief_unit fief_unit_begin(fief_runtime *rt)
{
    runtime *r = whole_runtime(rt);
    arena_refuse(r->unit, false);
    r->depth++;
    r->units++;
    return (fief_unit){fief_arena_mark(&r->unit->window.arena), r->depth, r->units};
}

void fief_unit_end(fief_runtime *rt, fief_unit unit)
{
    runtime *r = whole_runtime(rt);
    if (r->depth == 0 || unit.depth != r->depth) {
        misuse(&r->core, FIEF_MISUSE_UNIT_ORDER, NULL, 0, SITE(),
               "unit %u is not the innermost open one", unit.number);
        return;
    }
    r->depth--;
    if (r->depth > 0) {
        fief_arena_rewind(&r->unit->window.arena, unit.mark);
        return;
    }
    fief_arena_reset(&r->unit->window.arena);
    arena_refuse(r->unit, true);
}
