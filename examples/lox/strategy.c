/* strategy: the kinds table, and the two ways to serve it. */
#include "strategy.h"

#include "image.h"
#include "object.h"
#include "parcel.h"
#include "vm.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Code lives as long as the VM where a file is run, and is collected where a line of the REPL is
 * over: hence two contexts. */
#define CODE_CONTEXTS {[FIEF_CONSTANT] = FIEF_VM_ARENA, [FIEF_DYNAMIC] = FIEF_HEAP}

/* Where the pointers of the kinds are that an image has. */
static const size_t of_function[] = {
    offsetof(function, name), offsetof(function, chunk.code), offsetof(function, chunk.constants),
    offsetof(function, chunk.caches), offsetof(function, chunk.lines)};
static const size_t of_class[] = {offsetof(class, name), offsetof(class, init),
                                  offsetof(class, methods.entries), offsetof(class, own.class)};
#define POINTERS(table) .pointers = (table), .pointer_count = sizeof(table) / sizeof *(table)

const fief_kind lox_kinds[KINDS] = {
    [KIND_NATIVE] = {"native", sizeof(native), .any = FIEF_VM_ARENA},
    [KIND_NAME] = {"name", 0, .any = FIEF_VM_ARENA, .traits = FIEF_NO_POINTERS},
    [KIND_LITERAL] = {"literal", 0, .any = FIEF_VM_ARENA, .traits = FIEF_NO_POINTERS},
    [KIND_STRING] = {"string", 0, .any = FIEF_HEAP, .traits = FIEF_NO_POINTERS},
    [KIND_FUNCTION] = {"function", 0, .in = CODE_CONTEXTS, POINTERS(of_function),
                       .visit = visit_link},
    [KIND_CODE] = {"code", 0, .in = CODE_CONTEXTS, .traits = FIEF_NO_POINTERS},
    [KIND_CONSTANTS] = {"constants", 0, .in = CODE_CONTEXTS, .visit = visit_values},
    [KIND_CACHES] = {"caches", 0, .in = CODE_CONTEXTS, .visit = visit_caches},
    [KIND_LINES] = {"lines", 0, .in = CODE_CONTEXTS, .traits = FIEF_NO_POINTERS},
    [KIND_CLOSURE_1] = {"closure", CLOSURE_SIZE(1), .any = FIEF_POOL},
    [KIND_CLOSURE_4] = {"closure of 4", CLOSURE_SIZE(4), .any = FIEF_POOL},
    [KIND_CLOSURE] = {"closure of more", 0, .any = FIEF_HEAP},
    [KIND_UPVALUE] = {"upvalue", sizeof(upvalue), .any = FIEF_POOL},
    [KIND_CLASS] = {"class", sizeof(class), .any = FIEF_HEAP},
    [KIND_INSTANCE_1] = {"instance of 1", INSTANCE_SIZE(1), .any = FIEF_POOL},
    [KIND_INSTANCE_2] = {"instance of 2", INSTANCE_SIZE(2), .any = FIEF_POOL},
    [KIND_INSTANCE_4] = {"instance of 4", INSTANCE_SIZE(4), .any = FIEF_POOL},
    [KIND_INSTANCE_8] = {"instance of 8", INSTANCE_SIZE(8), .any = FIEF_POOL},
    [KIND_FIELDS] = {"fields", 0, .any = FIEF_HEAP},
    [KIND_BOUND] = {"bound method", sizeof(bound), .any = FIEF_POOL},
    [KIND_TABLE] = {"table", 0, .any = FIEF_HEAP},
    [KIND_GLOBALS] = {"globals", 0, .any = FIEF_HEAP},
    [KIND_GRAY] = {"gray stack", 0, .any = FIEF_HEAP},
    [KIND_FRAME] = {"frame", sizeof(frame), .any = FIEF_STACK},
    [KIND_VALUES] = {"values", 0, .any = FIEF_STACK},
    [KIND_SOURCE] = {"source", 0, .any = FIEF_COMPILER_ARENA, .traits = FIEF_NO_POINTERS},
    [KIND_TOKEN] = {"token", 0, .any = FIEF_COMPILER_ARENA},
    [KIND_NODE] = {"node", 0, .any = FIEF_COMPILER_ARENA},
    [KIND_SYMBOL] = {"symbol", 0, .any = FIEF_COMPILER_ARENA},
    [KIND_SCOPE] = {"scope", 0, .any = FIEF_COMPILER_ARENA},
    [KIND_PATCH] = {"patch list", 0, .any = FIEF_COMPILER_ARENA},
    [KIND_DIAGNOSTIC] = {"diagnostic", 0, .any = FIEF_COMPILER_ARENA},
    [KIND_KEPT] = {"kept", 0, .any = FIEF_VM_ARENA, .visit = visit_kept},
    [KIND_KEPT_CLOSURE] = {"kept closure", 0, .any = FIEF_VM_ARENA, .visit = visit_closure},
    [KIND_KEPT_UPVALUE] = {"kept upvalue", 0, .any = FIEF_VM_ARENA, .visit = visit_upvalue},
    [KIND_KEPT_CLASS] = {"kept class", 0, .any = FIEF_VM_ARENA, POINTERS(of_class)},
    [KIND_KEPT_TABLE] = {"kept table", 0, .any = FIEF_VM_ARENA, .visit = visit_entries},
    [KIND_KEPT_STRINGS] = {"kept strings", 0, .any = FIEF_VM_ARENA, .visit = visit_strings},
    [KIND_KEPT_VALUES] = {"kept values", 0, .any = FIEF_VM_ARENA, .visit = visit_values},
    [KIND_KEPT_NAMES] = {"kept names", 0, .any = FIEF_VM_ARENA, .visit = visit_names},
    [KIND_LAYOUTS] = {"layouts", 0, .any = FIEF_VM_ARENA},
    [KIND_COPIES] = {"copies of caches", 0, .any = FIEF_VM_ARENA},
    [KIND_SENT] = {"sent", 0, .any = FIEF_VM_ARENA, .visit = visit_sent},
};

#define ON_HEAP(kind, name) [kind] = {name, 0, .any = FIEF_HEAP}

const fief_kind lox_heap_kinds[KINDS] = {
    ON_HEAP(KIND_NATIVE, "native"), ON_HEAP(KIND_NAME, "name"), ON_HEAP(KIND_LITERAL, "literal"),
    ON_HEAP(KIND_STRING, "string"), ON_HEAP(KIND_FUNCTION, "function"),
    ON_HEAP(KIND_CODE, "code"), ON_HEAP(KIND_CONSTANTS, "constants"),
    ON_HEAP(KIND_CACHES, "caches"), ON_HEAP(KIND_LINES, "lines"),
    ON_HEAP(KIND_CLOSURE_1, "closure"), ON_HEAP(KIND_CLOSURE_4, "closure of 4"),
    ON_HEAP(KIND_CLOSURE, "closure of more"), ON_HEAP(KIND_UPVALUE, "upvalue"),
    ON_HEAP(KIND_CLASS, "class"), ON_HEAP(KIND_INSTANCE_1, "instance of 1"),
    ON_HEAP(KIND_INSTANCE_2, "instance of 2"), ON_HEAP(KIND_INSTANCE_4, "instance of 4"),
    ON_HEAP(KIND_INSTANCE_8, "instance of 8"), ON_HEAP(KIND_FIELDS, "fields"),
    ON_HEAP(KIND_BOUND, "bound method"), ON_HEAP(KIND_TABLE, "table"),
    ON_HEAP(KIND_GLOBALS, "globals"), ON_HEAP(KIND_GRAY, "gray stack"),
    ON_HEAP(KIND_FRAME, "frame"), ON_HEAP(KIND_VALUES, "values"), ON_HEAP(KIND_SOURCE, "source"),
    ON_HEAP(KIND_TOKEN, "token"), ON_HEAP(KIND_NODE, "node"), ON_HEAP(KIND_SYMBOL, "symbol"),
    ON_HEAP(KIND_SCOPE, "scope"), ON_HEAP(KIND_PATCH, "patch list"),
    ON_HEAP(KIND_DIAGNOSTIC, "diagnostic"), ON_HEAP(KIND_KEPT, "kept"),
    ON_HEAP(KIND_KEPT_CLOSURE, "kept closure"), ON_HEAP(KIND_KEPT_UPVALUE, "kept upvalue"),
    ON_HEAP(KIND_KEPT_CLASS, "kept class"), ON_HEAP(KIND_KEPT_TABLE, "kept table"),
    ON_HEAP(KIND_KEPT_STRINGS, "kept strings"), ON_HEAP(KIND_KEPT_VALUES, "kept values"),
    ON_HEAP(KIND_KEPT_NAMES, "kept names"), ON_HEAP(KIND_LAYOUTS, "layouts"),
    ON_HEAP(KIND_COPIES, "copies of caches"), ON_HEAP(KIND_SENT, "sent"),
};

/* ---- opening and closing ---- */

static bool on_full(fief_runtime *rt, size_t size, void *user)
{
    memory *m = user;
    (void)rt;
    (void)size;
    return m->collect != NULL && m->collect(m->user);
}

static bool is_release(void)
{
    return strcmp(fief_mode(), "release") == 0;
}

enum { LEAST_LIMIT = 4096 }; /* of fief's; the VM does not boot with so little anyway */

/* A VM of one unit is one of many at once: address space that is scarce is to do for all. */
static const size_t unit_reserve = (size_t)1 << 30;

bool mem_open(memory *m, const memory_options *options)
{
    m->direct = !options->all_heap;
    m->counts_kinds = options->count_blocks || options->limit != 0 || !is_release();
    m->limit = options->limit != 0 ? options->limit : SIZE_MAX;
    m->watcher = options->watcher;
    if (options->all_heap && !options->on_fief) {
        return true;
    }
    fief_error error = {0};
    fief_config config = {0};
    config.name = "lox";
    config.kinds = options->all_heap           ? lox_heap_kinds
                   : options->one_unit != NULL ? options->one_unit
                                               : lox_kinds;
    config.kind_count = KINDS;
    config.limit_bytes = options->limit != 0 && options->limit < LEAST_LIMIT ? LEAST_LIMIT
                                                                             : options->limit;
    config.align = 8;
    config.count_blocks = options->count_blocks;
    const fief_arena_config recorded = {.recorded = options->records_vm};
    config.vm_arena = &recorded;
    const fief_arena_config recorded_unit = {.recorded = options->one_unit != NULL};
    config.compiler_arena = &recorded_unit;
    config.range = options->range;
    config.recycle_range = options->recycles;
    config.reserve_bytes = options->one_unit != NULL ? unit_reserve : 0;
    config.on_full = on_full;
    config.user = m;
    config.error = &error;
    m->rt = fief_open(&config);
    if (m->rt == NULL) {
        fprintf(stderr, "lox: cannot open the memory: %s\n", error.text);
        return false;
    }
    if (options->one_unit != NULL) {
        mem_unit_begin(m);
    }
    return true;
}

/* Only a release build lets go of live blocks without a word: others are there to tell. */
bool mem_must_free_all(const memory *m)
{
    return !m->direct || !is_release();
}

static void list_close(memory *m, block_list *list);

size_t mem_close(memory *m, bool dropped)
{
    m->collect = NULL;
    if (dropped) {
        fief_drop(m->rt);
        m->rt = NULL;
        return 0;
    }
    list_close(m, &m->of_unit);
    list_close(m, &m->of_vm);
    if (m->rt == NULL) {
        return m->now;
    }
    size_t leaked = fief_close(m->rt);
    m->rt = NULL;
    return leaked;
}

_Noreturn void mem_fail(memory *m)
{
    if (m->on_empty == NULL) { /* while the VM boots */
        fputs("lox: out of memory\n", stderr);
        exit(70);
    }
    longjmp(*m->on_empty, 1);
}

/* ---- all-heap: block by block ---- */

static bool libc_has(memory *m, size_t size)
{
    while (size > m->limit - m->now) {
        if (m->collect == NULL || !m->collect(m->user)) {
            return false;
        }
    }
    return true;
}

static void libc_count(memory *m, size_t size)
{
    m->now += size;
    m->peak = m->now > m->peak ? m->now : m->peak;
}

static void *fief_heap_new(memory *m, kind kind, unsigned context, size_t size)
{
    void *block = fief_new(m->rt, kind, FIEF_DYNAMIC, size);
    if (block != NULL && m->watcher != NULL) {
        m->watcher->born(m->watcher->user, kind, context, block, size);
    }
    return block;
}

static void *heap_new(memory *m, kind kind, unsigned context, size_t size)
{
    if (m->rt != NULL) {
        return fief_heap_new(m, kind, context, size);
    }
    if (!libc_has(m, size)) {
        return NULL;
    }
    size_t whole = size != 0 ? size : 1;
    void *block = kind == KIND_STRING || kind == KIND_VALUES ? malloc(whole) : calloc(1, whole);
    if (block != NULL) {
        libc_count(m, size);
    }
    return block;
}

void mem_free_listed(memory *m, kind kind, void *block, size_t size)
{
    if (m->rt != NULL) {
        if (m->watcher != NULL) {
            m->watcher->died(m->watcher->user, block);
        }
        fief_free(m->rt, kind, block, size);
    } else if (block != NULL) {
        free(block);
        m->now -= size;
    }
}

static void free_list(memory *m, block_list *list)
{
    while (list->count != 0) {
        listed last = list->items[--list->count];
        mem_free_listed(m, last.kind, last.block, last.size);
    }
}

static void list_close(memory *m, block_list *list)
{
    free_list(m, list);
    mem_free_listed(m, KIND_PATCH, list->items, list->capacity * sizeof *list->items);
    *list = (block_list){0};
}

static void *heap_resize(memory *m, kind kind, void *block, size_t old_size, size_t new_size);

static bool list_grow(memory *m, block_list *list)
{
    size_t capacity = list->capacity != 0 ? 2 * list->capacity : 64;
    listed *items = heap_resize(m, KIND_PATCH, list->items, list->capacity * sizeof *items,
                                capacity * sizeof *items);
    if (items != NULL) {
        list->items = items;
        list->capacity = capacity;
    }
    return items != NULL;
}

fief_strategy mem_strategy_of(kind kind, unsigned context)
{
    const fief_kind *row = &lox_kinds[kind];
    return row->any != FIEF_NO_STRATEGY ? row->any : row->in[context];
}

static block_list *list_for(memory *m, kind kind, unsigned context)
{
    switch (mem_strategy_of(kind, context)) {
    case FIEF_VM_ARENA: return &m->of_vm;
    case FIEF_COMPILER_ARENA: return &m->of_unit;
    default: return NULL; /* its owner frees it */
    }
}

void *mem_new_listed(memory *m, kind kind, unsigned context, size_t size)
{
    block_list *list = list_for(m, kind, context);
    if (list != NULL && list->count == list->capacity && !list_grow(m, list)) {
        mem_fail(m);
    }
    void *block = heap_new(m, kind, context, size);
    if (block == NULL) {
        mem_fail(m);
    }
    if (list != NULL) {
        list->items[list->count++] = (listed){block, size, kind};
    }
    return block;
}

static void *libc_resize(memory *m, void *block, size_t old_size, size_t new_size)
{
    if (new_size > old_size && !libc_has(m, new_size - old_size)) {
        return NULL;
    }
    void *moved = realloc(block, new_size != 0 ? new_size : 1);
    if (moved != NULL) {
        m->now -= old_size;
        libc_count(m, new_size);
        if (new_size > old_size) {
            memset((char *)moved + old_size, 0, new_size - old_size);
        }
    }
    return moved;
}

/* ---- both ---- */

static void *heap_resize(memory *m, kind kind, void *block, size_t old_size, size_t new_size)
{
    return m->rt != NULL ? fief_resize(m->rt, kind, block, old_size, new_size)
                         : libc_resize(m, block, old_size, new_size);
}

void *mem_try_resize(memory *m, kind kind, void *block, size_t old_size, size_t new_size)
{
    void *moved = heap_resize(m, kind, block, old_size, new_size);
    if (moved != NULL && m->watcher != NULL) {
        m->watcher->resized(m->watcher->user, kind, block, moved, new_size);
    }
    return moved;
}

void *mem_resize(memory *m, kind kind, void *block, size_t old_size, size_t new_size)
{
    void *moved = mem_try_resize(m, kind, block, old_size, new_size);
    if (moved == NULL) {
        mem_fail(m);
    }
    return moved;
}

void *mem_regrow(memory *m, kind kind, const void *block, size_t old_size, size_t new_size)
{
    void *larger = mem_new(m, kind, FIEF_TEMPORARY, new_size);
    if (old_size != 0) {
        memcpy(larger, block, old_size);
    }
    return larger;
}

fief_pool *mem_string_pool(memory *m, unsigned class_)
{
    fief_pool **pool = &m->strings[class_];
    if (*pool == NULL) {
        *pool = fief_pool_open(m->rt, "string", string_slot(class_));
    }
    if (*pool == NULL) {
        mem_fail(m);
    }
    return *pool;
}

void mem_trim(memory *m)
{
    for (size_t i = 0; i < sizeof m->strings / sizeof m->strings[0]; i++) {
        if (m->strings[i] != NULL) {
            fief_pool_trim(m->strings[i]);
        }
    }
}

void *mem_new_values(memory *m, size_t size)
{
    if (!m->direct) {
        return mem_new_listed(m, KIND_VALUES, FIEF_DYNAMIC, size);
    }
    void *block = fief_stack_push(fief_frame_stack(m->rt), size);
    if (block == NULL) {
        mem_fail(m);
    }
    return block;
}

void mem_free_values(memory *m, void *block, size_t size)
{
    if (m->direct) {
        (void)fief_stack_pop(fief_frame_stack(m->rt), block, size);
    } else {
        mem_free_listed(m, KIND_VALUES, block, size);
    }
}

void mem_unit_begin(memory *m)
{
    if (m->direct) {
        m->unit = fief_unit_begin(m->rt);
    }
    m->in_unit = true;
    if (m->watcher != NULL) {
        m->watcher->unit(m->watcher->user, true);
    }
}

/* Also the way back from a unit that ran out of memory half way. */
void mem_unit_end(memory *m)
{
    if (!m->in_unit) {
        return;
    }
    m->in_unit = false;
    if (m->direct) {
        fief_unit_end(m->rt, m->unit);
    } else {
        free_list(m, &m->of_unit);
    }
    if (m->watcher != NULL) {
        m->watcher->unit(m->watcher->user, false);
    }
}
