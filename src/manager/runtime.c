/* runtime: opens, routes, closes. */
#include "manager/image.h"
#include "manager/runtime.h"

#include "base/size.h"
#include "core/idle.h"
#include "guard.h"
#include "os/os.h"

#include <stdio.h>
#include <string.h>

enum { LIMIT_MINIMUM = 4096, DEPTH_DEFAULT = 4 };
static const size_t reserve_default = (size_t)64 << 30, retain_default = (size_t)4 << 20;
static const size_t quarantine_default = (size_t)4 << 20;

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

static bool numbers_check(const fief_config *config, fief_error *error)
{
    if (config->limit_bytes != 0 && config->limit_bytes < LIMIT_MINIMUM) {
        return refuse(error, FIEF_BAD_CONFIG, "limit_bytes is %zu; the least is %d",
                      config->limit_bytes, LIMIT_MINIMUM);
    }
    if (config->align != 0 && config->align != 8 && config->align != 16) {
        return refuse(error, FIEF_BAD_CONFIG, "align is %u, not 8 or 16", config->align);
    }
    if (config->scan_percent > 100) {
        return refuse(error, FIEF_BAD_CONFIG, "scan_percent is %u; the most is 100",
                      config->scan_percent);
    }
    if (config->stack_depth > FIEF_DEPTH_MAX) {
        return refuse(error, FIEF_BAD_CONFIG, "stack_depth is %u; the most is %d",
                      config->stack_depth, FIEF_DEPTH_MAX);
    }
    return true;
}

static bool counts_blocks(const fief_config *config)
{
    bool counts = config->count_blocks || config->limit_bytes != 0;
    for (unsigned i = 0; i < FIEF_STRATEGIES; i++) {
        counts = counts || config->limits[i] != 0;
    }
    return counts;
}

/* Somebody must see each block: the guard, a count, a limit. Then the windows stay shut. */
static bool sees_blocks(const fief_config *config)
{
    return GUARD_SHUT || config->trace != NULL || counts_blocks(config);
}

static bool keeps_records(const fief_config *config)
{
    const fief_arena_config *own[] = {config->vm_arena, config->compiler_arena,
                                      config->frame_stack};
    bool keeps = sees_blocks(config);
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        keeps = keeps || (own[i] != NULL && own[i]->recorded);
    }
    return keeps;
}

static bool buffer_check(const fief_config *config, fief_error *error)
{
    size_t least =
        range_minimum(table_bytes(config->kinds, config->kind_count), keeps_records(config));
    return config->buffer_size >= least ||
           refuse(error, FIEF_BAD_CONFIG, "the buffer has %zu bytes; the least is %zu",
                  config->buffer_size, least);
}

static bool place_check(const fief_config *config, fief_error *error)
{
    if (config->buffer != NULL && !buffer_check(config, error)) {
        return false;
    }
    if (config->buffer != NULL && config->range != NULL) {
        return refuse(error, FIEF_BAD_CONFIG, "buffer and range are both set; a runtime has one");
    }
    if (config->range != NULL && config->range->taken) {
        return refuse(error, FIEF_BAD_CONFIG, "the range is taken by a runtime that is still open");
    }
    return true;
}

static void core_init(runtime *r, const fief_config *config)
{
    core *c = &r->core;
    c->rt = &r->window;
    c->heap = &r->heap.window;
    c->dying = BLOCK_FREED;
    c->name = config->name != NULL ? config->name : "vm";
    c->thread = os_thread();
    c->limit = config->limit_bytes;
    c->on_full = config->on_full;
    c->on_misuse = config->on_misuse;
    c->user = config->user;
    c->where = config->where;
    c->where_text = config->where_text;
    c->color = config->color;
    c->depth = config->stack_depth != 0 ? config->stack_depth : DEPTH_DEFAULT;
    c->shut = sees_blocks(config);
    c->counts = counts_blocks(config);
    for (unsigned i = 0; i < FIEF_STRATEGIES; i++) {
        c->tallies[i].limit = config->limits[i];
    }
}

static bool arena_named(arena *a, core *c, fief_strategy strategy, const char *name,
                        const fief_arena_config *given)
{
    fief_arena_config config = given != NULL ? *given : (fief_arena_config){0};
    config.name = name;
    a->stays = true;
    return arena_init(a, c, strategy, &config);
}

static bool allocators_open(runtime *r, const fief_config *config)
{
    core *c = &r->core;
    c->kind = c->no_kind = config->kind_count;
    if (c->shut && !space_keep_ledger(&c->space)) {
        return false;
    }
    if (c->shut) {
        c->kinds = space_keep(&c->space, sizeof *c->kinds * (config->kind_count + (size_t)1));
    }
    if ((c->shut && c->kinds == NULL) ||
        !heap_init(&r->heap, c, config->align != 0 ? config->align : FIEF_ALIGN) ||
        !arena_named(&r->vm, c, FIEF_VM_ARENA, "the vm arena", config->vm_arena) ||
        !arena_named(&r->unit, c, FIEF_COMPILER_ARENA, "the compiler arena",
                     config->compiler_arena) ||
        !arena_named(&r->frames, c, FIEF_STACK, "the stack", config->frame_stack)) {
        return false;
    }
    arena_refuse(&r->unit, true);
    r->window.heap = &r->heap.window;
    r->window.vm = &r->vm.window.arena;
    r->window.unit = &r->unit.window.arena;
    r->window.frames = &r->frames.window;
    table_resolve(r, config->kinds, config->kind_count);
    return true;
}

/* What was opened so far is closed; no guard leaves its marks in the caller's memory. */
static void give_up(runtime *r)
{
    core *c = &r->core;
    while (c->arenas != NULL) {
        arena_shut_down(c->arenas);
    }
    guard_forget(c->space.base, (size_t)c->space.frontier << PAGE_SHIFT);
    space_close(&c->space);
}

void close_evidence(runtime *r)
{
    depot_close(r->core.depot);
    units_close(r->log);
}

static fief_runtime *without_trace(runtime *r, const fief_config *config, fief_status why)
{
    const char *path = config->trace->path;
    close_evidence(r);
    give_up(r);
    (void)refuse(config->error, why,
                 why == FIEF_NO_MEMORY ? "no memory for the trace '%s'"
                                       : "the trace '%s' cannot be written",
                 path != NULL ? path : "(by the host's function)");
    return NULL;
}

/* The pages that wait lie where they were touched, on the node that was asked for, or on all. */
static idle_wish wish_for(const fief_config *config, size_t reserve)
{
    os_placement place = nodes_placement(config);
    return (idle_wish){reserve, config->huge_pages,
                       is_placed_by_touch(place) ? os_node() : place.node, place};
}

static bool is_short(const fief_range *range)
{
    return range == NULL || range->reserve_size < range->asked;
}

/* Address space that is scarce is the next runtime's before it is that of closed ones. */
static fief_range *range_reserved(size_t reserve)
{
    fief_range *range = range_open(reserve);
    if (is_short(range) && idle_trim() + watch_forget() != 0) {
        if (range != NULL) {
            range_close(range);
        }
        range = range_open(reserve);
    }
    return range;
}

static fief_range *range_for(const fief_config *config, size_t reserve)
{
    if (config->range != NULL) {
        return config->range;
    }
    bool recycles = config->recycle_range && config->buffer == NULL && !GUARD_SHUT;
    const idle_wish wish = recycles ? wish_for(config, reserve) : (idle_wish){0};
    fief_range *idle = recycles ? idle_take(&wish) : NULL;
    if (idle != NULL) {
        return idle;
    }
    fief_range *range =
        config->buffer != NULL
            ? range_in(config->buffer, config->buffer_size,
                       table_bytes(config->kinds, config->kind_count), keeps_records(config))
            : range_reserved(reserve);
    if (range != NULL) {
        range->recycled = recycles;
        range->node = wish.node & (OS_NODES_MAX - 1);
    }
    return range;
}

/* A range whose pages lie as they are to. */
static fief_range *find_range(const fief_config *config)
{
    size_t reserve = config->reserve_bytes != 0 ? config->reserve_bytes : reserve_default;
    fief_range *range = range_for(config, reserve);
    if (range == NULL) {
        (void)refuse(config->error, FIEF_NO_MEMORY,
                     "the system refused to reserve %zu bytes, and every half of it", reserve);
        return NULL;
    }
    range->huge = config->huge_pages;
    if (range->reserve != NULL && !range_place(range, nodes_placement(config))) {
        if (!range->kept) {
            range_close(range);
        }
        (void)refuse(config->error, FIEF_NO_MEMORY,
                     "the system refused to place pages on nodes as asked for");
        return NULL;
    }
    return range;
}

static runtime *move_in(fief_range *range, const fief_config *config)
{
    space s;
    space_open(&s, range, config->retain_bytes != 0 ? config->retain_bytes : retain_default);
    nodes_settle(&s, config);
    runtime *r = space_keep(&s, table_bytes(config->kinds, config->kind_count));
    if (r == NULL) {
        space_close(&s);
        return NULL;
    }
    r->core.space = s;
    return r;
}

/* Of dead bytes: no more than an eighth of the range waits. */
static size_t quarantine_budget(const core *c, size_t asked)
{
    size_t budget = asked != 0 ? asked : quarantine_default;
    size_t most = ((size_t)c->space.pages << PAGE_SHIFT) / 8;
    return budget < most ? budget : most;
}

/* Only guarded builds tell sites; without a depot they go on and tell fewer. */
static void open_evidence(core *c, const fief_config *config)
{
    if (GUARD_SHUT) {
        size_t budget = quarantine_budget(c, config->quarantine_bytes);
        quarantine_open(c, budget);
        (void)graves_open(&c->space, budget);
        c->depot = depot_open(config->break_at_operation);
        core_knows_stack(c);
        diary_open(c, config->record_ops);
        whole_runtime(c->rt)->log = units_open();
    }
}

fief_runtime *fief_open(const fief_config *given)
{
    fief_config config = given != NULL ? *given : (fief_config){0};
    bool usual = config.kinds == NULL; /* and sound: a test has it checked */
    if (usual) {
        config.kinds = fief_default_kinds;
        config.kind_count = FIEF_DEFAULT_KINDS;
    }
    if (!numbers_check(&config, config.error) ||
        (!usual && !table_check(config.kinds, config.kind_count, config.error)) ||
        !place_check(&config, config.error) || !nodes_check(&config, config.error)) {
        return NULL;
    }
    fief_range *range = find_range(&config);
    if (range == NULL) {
        return NULL;
    }
    runtime *r = move_in(range, &config);
    if (r != NULL) {
        core_init(r, &config);
        if (allocators_open(r, &config)) {
            open_evidence(&r->core, &config);
            fief_status traced = config.trace != NULL ? trace_start(r, &config) : FIEF_OK;
            if (traced != FIEF_OK) {
                return without_trace(r, &config, traced);
            }
            watch_pointers(r, &config);
            watch_opened(r);
            return &r->window;
        }
        give_up(r);
    }
    (void)refuse(config.error, FIEF_NO_MEMORY, "no memory for the runtime's own descriptors");
    return NULL;
}

fief_range *fief_range_open(size_t reserve_bytes)
{
    fief_range *range = range_reserved(reserve_bytes != 0 ? reserve_bytes : reserve_default);
    if (range != NULL) {
        range->kept = true;
    }
    return range;
}

bool fief_range_close(fief_range *range)
{
    if (range != NULL && range->taken) {
        return false;
    }
    if (range != NULL) {
        range_close(range);
    }
    return true;
}

size_t fief_trim_idle(void)
{
    return idle_trim();
}

void fief_adopt(fief_runtime *rt)
{
    core *c = &whole_runtime(rt)->core;
    if (c->closed) {
        (void)refuse_entry(c, CALL());
        return;
    }
    c->thread = os_thread();
    if (GUARD_SHUT) {
        core_knows_stack(c);
    }
}

/* ---- close ---- */

static void shut_down(runtime *r)
{
    core *c = &r->core;
    (void)blocks_check(c);
    for (arena *a = c->arenas; a != NULL; a = a->next) {
        (void)arena_unseal(a); /* cleanups may write to what was sealed */
    }
    space_leaving(&c->space);
    arena_shut_down(&r->frames);
    arena_shut_down(&r->unit);
    while (c->arenas != NULL && c->arenas != &r->vm) {
        arena_shut_down(c->arenas);
    }
    if (c->space.range->images != NULL) {
        images_close(c);
    }
    arena_shut_down(&r->vm); /* takes the heap blocks along that stood in for arena blocks */
}

/* What few runtimes have is asked for here: code that is not called is not brought to memory. */
static void end_trace(core *c)
{
    if (c->trace != NULL) {
        trace_end(c);
    }
}

size_t fief_close_slow(fief_runtime *rt)
{
    if (rt == NULL || !enter(&whole_runtime(rt)->core, CALL())) {
        return 0;
    }
    runtime *r = whole_runtime(rt);
    shut_down(r);
    size_t leaked = report_leaks(r);
    end_trace(&r->core);
    watch_closed(r);
    return leaked;
}

void fief_drop_slow(fief_runtime *rt)
{
    if (rt == NULL || !enter(&whole_runtime(rt)->core, CALL())) {
        return;
    }
    shut_down(whole_runtime(rt));
    end_trace(&whole_runtime(rt)->core);
    watch_closed(whole_runtime(rt));
}

/* ---- routes ---- */

static void *row_alloc(runtime *r, unsigned kind, const fief_row *row, size_t size)
{
    switch (row->strategy) {
    case FIEF_POOL: return pool_alloc(table_pool(r, kind, row), size);
    case FIEF_HEAP: return heap_alloc(&r->heap, size, FIEF_GRAIN);
    case FIEF_STACK: return arena_alloc(&r->frames, size, FIEF_GRAIN);
    default: return arena_alloc(fief_row_allocator(&r->window, row), size, FIEF_ALIGN);
    }
}

/* Arenas have dead pages instead. */
static fence fence_for(const runtime *r, unsigned kind, fief_strategy strategy)
{
    unsigned traits = GUARD_FENCES && strategy >= FIEF_POOL ? r->kinds[kind].traits : 0;
    fence front = (traits & FIEF_FENCE_FRONT) != 0 ? FENCE_FRONT : FENCE_NONE;
    return (traits & FIEF_FENCE_BACK) != 0 ? FENCE_BACK : front;
}

/* The cell of the table, if it is one, and fits the size. */
static const fief_row *must_be_a_cell(runtime *r, unsigned kind, unsigned context, size_t size)
{
    core *c = &r->core;
    if (kind >= r->window.kind_count || context >= FIEF_CONTEXTS) {
        misuse(c, FIEF_MISUSE_BAD_KIND, NULL, size, "kind %u in context %u is outside the table",
               kind, context);
        return NULL;
    }
    const fief_row *row = fief_row_of(&r->window, kind, context);
    if (row->strategy == FIEF_NO_STRATEGY) {
        misuse(c, FIEF_MISUSE_NO_STRATEGY, NULL, size, "kind '%s' has no strategy in context %u",
               r->kinds[kind].name, context);
        return NULL;
    }
    if (row->strategy == FIEF_POOL && size > row->slot_size) {
        misuse(c, FIEF_MISUSE_WRONG_SIZE, NULL, size,
               "kind '%s' lives in slots of %u bytes, not %zu", r->kinds[kind].name, row->slot_size,
               size);
        return NULL;
    }
    return row;
}

void *fief_new_slow(fief_runtime *rt, unsigned kind, unsigned context, size_t size)
{
    runtime *r = whole_runtime(rt);
    if (!enter(&r->core, CALL())) {
        return NULL;
    }
    const fief_row *row = must_be_a_cell(r, kind, context, size);
    if (row == NULL) {
        return NULL;
    }
    r->core.kind = kind;
    r->core.fence = fence_for(r, kind, (fief_strategy)row->strategy);
    void *block = row_alloc(r, kind, row, size);
    r->core.fence = FENCE_NONE;
    r->core.kind = r->core.no_kind;
    note n = {.verb = VERB_NEW, .size = size, .kind = (uint16_t)kind, .detail = (uint8_t)context};
    return noted(&r->core, block, n) != NULL ? memset(block, 0, size) : NULL;
}

/* The pool that takes this block back under this kind; NULL: the heap does. */
static pool *pool_for(runtime *r, unsigned kind, const page *entry)
{
    const fief_row *row = fief_row_of(&r->window, kind, 0);
    pool *own = NULL;
    bool has_heap = false;
    for (unsigned context = 0; context < FIEF_CONTEXTS; context++) {
        own = row[context].strategy == FIEF_POOL ? table_pool(r, kind, &row[context]) : own;
        has_heap = has_heap || row[context].strategy == FIEF_HEAP;
    }
    bool in_own = entry != NULL && entry->owner == own;
    return has_heap && !in_own ? NULL : own;
}

void fief_free_slow(fief_runtime *rt, unsigned kind, void *block, size_t size)
{
    runtime *r = whole_runtime(rt);
    core *c = &r->core;
    if (block == NULL || !enter(c, CALL())) {
        return;
    }
    if (kind >= rt->kind_count) {
        misuse(c, FIEF_MISUSE_BAD_KIND, block, size, "kind %u is outside the table", kind);
        return;
    }
    note_call(c, (note){.verb = VERB_FREE, .what = block, .size = size, .kind = (uint16_t)kind,
                        .detail = VERB_NEW});
    const page *entry = space_page(&c->space, block);
    pool *own = pool_for(r, kind, entry);
    if (entry != NULL && entry->kind == PAGE_ARENA) {
        misuse(c, FIEF_MISUSE_WRONG_ALLOCATOR, block, size,
               "fief_free(%s) was given a block of %s",
               r->kinds[kind].name, owner_name(entry));
    } else if (own != NULL) {
        pool_give(own, block, size, kind);
    } else {
        heap_give(&r->heap, block, size, kind);
    }
}

void *fief_resize_slow(fief_runtime *rt, unsigned kind, void *block, size_t old_size,
                       size_t new_size)
{
    runtime *r = whole_runtime(rt);
    if (!enter(&r->core, CALL())) {
        return NULL;
    }
    if (kind >= rt->kind_count || fief_row_of(rt, kind, FIEF_DYNAMIC)->strategy != FIEF_HEAP) {
        misuse(&r->core, FIEF_MISUSE_BAD_KIND, block, new_size,
               "only kinds that live on the heap can be resized");
        return NULL;
    }
    r->core.kind = kind;
    r->core.fence = fence_for(r, kind, FIEF_HEAP);
    void *moved = heap_resize(&r->heap, block, old_size, new_size);
    note_resize(&r->core, block, moved, old_size, new_size, VERB_NEW);
    r->core.fence = FENCE_NONE;
    r->core.kind = r->core.no_kind;
    if (moved != NULL && new_size > old_size) {
        memset((char *)moved + old_size, 0, new_size - old_size);
    }
    return moved;
}

fief_strategy fief_owner(const fief_runtime *rt, const void *pointer)
{
    const runtime *r = whole_runtime(rt);
    const page *entry = space_page(&r->core.space, pointer);
    if (entry == NULL || !entry->used) {
        const image_map *map = entry == NULL ? image_at(&r->core, pointer) : NULL;
        return map != NULL && !map->closed ? FIEF_IMAGE : FIEF_NO_STRATEGY;
    }
    return entry->kind == PAGE_DEAD ? FIEF_NO_STRATEGY : page_strategy(entry);
}

size_t fief_check_slow(fief_runtime *rt)
{
    core *c = &whole_runtime(rt)->core;
    if (!enter(c, CALL()) || !GUARD_SHUT) {
        return 0;
    }
    note_call(c, (note){.verb = VERB_CHECK});
    return blocks_check(c);
}

size_t fief_trim(fief_runtime *rt)
{
    runtime *r = whole_runtime(rt);
    if (!enter(&r->core, CALL())) {
        return 0;
    }
    note_call(&r->core, (note){.verb = VERB_TRIM});
    for (pool *p = r->core.pools; p != NULL; p = p->next) {
        (void)pool_trim(p);
    }
    heap_trim(&r->heap);
    return space_trim(&r->core.space);
}

bool fief_limit_set(fief_runtime *rt, fief_strategy strategy, size_t bytes)
{
    core *c = &whole_runtime(rt)->core;
    if (!enter(c, CALL()) || !c->counts || (unsigned)strategy >= FIEF_STRATEGIES) {
        return false;
    }
    note_call(c, (note){.verb = VERB_LIMIT, .size = bytes, .detail = (uint8_t)strategy});
    *(strategy == FIEF_NO_STRATEGY ? &c->limit : &c->tallies[strategy].limit) = bytes;
    return true;
}

/* ---- allocators of the host's own ---- */

fief_arena *fief_arena_open(fief_runtime *rt, const fief_arena_config *config)
{
    core *c = &whole_runtime(rt)->core;
    arena *a = enter(c, CALL()) ? arena_open(c, FIEF_VM_ARENA, config) : NULL;
    return noted(c, a, (note){.verb = VERB_ARENA_OPEN}) != NULL ? &a->window.arena : NULL;
}

fief_stack *fief_stack_open(fief_runtime *rt, const fief_arena_config *config)
{
    core *c = &whole_runtime(rt)->core;
    arena *a = enter(c, CALL()) ? arena_open(c, FIEF_STACK, config) : NULL;
    return noted(c, a, (note){.verb = VERB_ARENA_OPEN, .detail = 1}) != NULL ? &a->window : NULL;
}

fief_pool *fief_pool_open(fief_runtime *rt, const char *name, size_t slot_size)
{
    core *c = &whole_runtime(rt)->core;
    pool *p = enter(c, CALL()) ? pool_open(c, name, slot_size) : NULL;
    return noted(c, p, (note){.verb = VERB_POOL_OPEN, .size = slot_size}) != NULL ? &p->window
                                                                                  : NULL;
}

/* ---- units ---- */

static fief_unit begin_unit(runtime *r, const char *name)
{
    if (r->innermost == 0) {
        arena_refuse(&r->unit, false);
    }
    fief_unit unit = {fief_arena_mark(r->window.unit), r->unit.unit_began, ++r->units, r->innermost,
                      arena_height(&r->frames)};
    arena_note_event(&r->unit); /* older marks are told from those of the unit by it */
    r->unit.unit_began = r->unit.window.arena.events;
    r->innermost = unit.number;
    if (GUARD_SHUT) {
        units_begin(r->log, r->depth, unit.number, r->core.operation, name);
    }
    r->depth++;
    note_call(&r->core, (note){.verb = VERB_UNIT_BEGIN, .what = name}); /* for the trace */
    return unit;
}

fief_unit fief_unit_begin_slow(fief_runtime *rt)
{
    runtime *r = whole_runtime(rt);
    return enter(&r->core, CALL()) ? begin_unit(r, NULL) : (fief_unit){.number = 0};
}

fief_unit fief_unit_begin_named_slow(fief_runtime *rt, const char *name)
{
    runtime *r = whole_runtime(rt);
    return enter(&r->core, CALL()) ? begin_unit(r, name) : (fief_unit){.number = 0};
}

bool is_innermost(runtime *r, const fief_unit *unit, const char *what)
{
    char left[UNIT_WORDS], innermost[UNIT_WORDS];
    if (r->innermost == 0 || unit->number != r->innermost) {
        misuse(&r->core, FIEF_MISUSE_UNIT_ORDER, NULL, 0,
               "%s was %s, but the innermost open one is %s",
               unit_words(&r->core, unit->number, left), what,
               unit_words(&r->core, r->innermost, innermost));
        return false;
    }
    return true;
}

/* And are its frames gone? */
static bool may_leave(runtime *r, const fief_unit *unit, const char *what)
{
    char left[UNIT_WORDS];
    if (!is_innermost(r, unit, what)) {
        return false;
    }
    if (arena_height(&r->frames) > unit->frames) {
        misuse(&r->core, FIEF_MISUSE_UNIT_ORDER, NULL, 0,
               "%s was %s, but a frame that was pushed in it is still there",
               unit_words(&r->core, unit->number, left), what);
        return false;
    }
    return true;
}

/* What it held is gone, or is another's. */
static void leave_unit(runtime *r, const fief_unit *unit)
{
    r->innermost = unit->outer;
    r->unit.unit_began = unit->outer_began;
    r->depth--;
    if (unit->outer == 0) {
        arena_refuse(&r->unit, true);
    }
}

void fief_unit_end_slow(fief_runtime *rt, fief_unit unit)
{
    runtime *r = whole_runtime(rt);
    if (!enter(&r->core, CALL()) || !may_leave(r, &unit, "ended") ||
        !seal_admits(&r->unit, unit.outer != 0 ? unit.mark.events : 0, "ended with its unit")) {
        return;
    }
    r->core.unit = unit.number;
    bool ended = unit.outer != 0 ? arena_rewind(&r->unit, unit.mark) : arena_reset(&r->unit);
    r->core.unit = 0;
    if (!ended) {
        return;
    }
    note_call(&r->core, (note){.verb = VERB_UNIT_END});
    if (GUARD_SHUT) {
        units_end(r->log, r->depth, r->core.operation, call_stack(&r->core));
    }
    leave_unit(r, &unit);
}

/* To the vm arena; what on_full gives back makes room there. */
static bool give_to_vm(runtime *r, const fief_unit *unit)
{
    if (!arena_can_give(&r->unit, &r->vm)) {
        return false;
    }
    while (!arena_has_room_for(&r->vm, &r->unit)) {
        if (!core_full(&r->core, FIEF_VM_ARENA, arena_used(&r->unit))) {
            return false;
        }
    }
    arena_give_all(&r->unit, &r->vm, unit->mark.events);
    return true;
}

bool fief_unit_keep_slow(fief_runtime *rt, fief_unit unit)
{
    runtime *r = whole_runtime(rt);
    if (!enter(&r->core, CALL()) || !may_leave(r, &unit, "kept") ||
        (unit.outer == 0 && !give_to_vm(r, &unit))) {
        return false;
    }
    note_call(&r->core, (note){.verb = VERB_UNIT_KEEP});
    leave_unit(r, &unit);
    return true;
}
