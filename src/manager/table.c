/* table: object kind x context -> strategy, as data. */
#include "manager/runtime.h"

#include <stdio.h>
#include <string.h>

#define LONG_LIVED \
    {[FIEF_NATIVE] = FIEF_VM_ARENA, [FIEF_LITERAL] = FIEF_VM_ARENA, [FIEF_CONSTANT] = FIEF_VM_ARENA}
#define USUAL .any = FIEF_HEAP, .in = LONG_LIVED

const fief_kind fief_default_kinds[FIEF_DEFAULT_KINDS] = {
    [FIEF_KIND_NATIVE] = {"native", 0, FIEF_VM_ARENA, {0}},
    [FIEF_KIND_STRING] = {.name = "string", USUAL},
    [FIEF_KIND_FUNCTION] = {.name = "function", USUAL},
    [FIEF_KIND_CLOSURE] = {"closure", 64, FIEF_POOL, {0}},
    [FIEF_KIND_UPVALUE] = {"upvalue", 48, FIEF_POOL, {0}},
    [FIEF_KIND_CLASS] = {.name = "class", USUAL},
    [FIEF_KIND_INSTANCE] = {"instance", 64, FIEF_POOL, {0}},
    [FIEF_KIND_BOUND_METHOD] = {"bound method", 48, FIEF_POOL, {0}},
    [FIEF_KIND_VECTOR] = {.name = "vector", USUAL},
    [FIEF_KIND_HASH_TABLE] = {.name = "hash table", USUAL},
    [FIEF_KIND_LIST] = {.name = "list", USUAL},
    [FIEF_KIND_PAIR] = {"pair", 48, FIEF_POOL, {0}},
    [FIEF_KIND_RANGE] = {"range", 48, FIEF_POOL, {0}},
    [FIEF_KIND_MATRIX] = {.name = "matrix", USUAL},
    [FIEF_KIND_TOKEN] = {"token", 0, FIEF_COMPILER_ARENA, {0}},
    [FIEF_KIND_AST_NODE] = {"AST node", 0, FIEF_COMPILER_ARENA, {0}},
    [FIEF_KIND_SYMBOL] = {"symbol", 0, FIEF_COMPILER_ARENA, {0}},
    [FIEF_KIND_CALL_FRAME] = {"call frame", 0, FIEF_STACK, {0}},
};

static fief_strategy cell(const fief_kind *kind, unsigned context)
{
    return kind->in[context] != FIEF_NO_STRATEGY ? kind->in[context] : kind->any;
}

static bool kind_is_sound(const fief_kind *kinds, unsigned row, fief_error *error)
{
    const fief_kind *kind = &kinds[row];
    if (kind->name == NULL) {
        return refuse(error, FIEF_BAD_TABLE, "row %u of the kinds table has no name", row);
    }
    for (unsigned other = 0; other < row; other++) {
        if (strcmp(kinds[other].name, kind->name) == 0) {
            return refuse(error, FIEF_BAD_TABLE, "kind '%s' stands twice, in rows %u and %u",
                          kind->name, other, row);
        }
    }
    for (unsigned context = 0; context < FIEF_CONTEXTS; context++) {
        unsigned strategy = (unsigned)cell(kind, context);
        if (strategy >= FIEF_STRATEGIES) {
            return refuse(error, FIEF_BAD_TABLE, "kind '%s' (row %u) has the unknown strategy %u",
                          kind->name, row, strategy);
        }
        if (strategy == FIEF_POOL && (kind->size == 0 || kind->size > 32768)) {
            return refuse(error, FIEF_BAD_TABLE,
                          "kind '%s' (row %u) goes to a pool and needs a size of 1 to 32768, not %zu",
                          kind->name, row, kind->size);
        }
    }
    return true;
}

bool table_check(const fief_kind *kinds, unsigned count, fief_error *error)
{
    if (count == 0 || count > 4096) {
        return refuse(error, FIEF_BAD_TABLE, "the kinds table has %u rows, not 1 to 4096", count);
    }
    for (unsigned row = 0; row < count; row++) {
        if (!kind_is_sound(kinds, row, error)) {
            return false;
        }
    }
    return true;
}

static void *allocator_for(runtime *r, fief_strategy strategy, pool *kind_pool)
{
    switch (strategy) {
    case FIEF_VM_ARENA: return r->vm;
    case FIEF_COMPILER_ARENA: return r->unit;
    case FIEF_STACK: return r->frames;
    case FIEF_POOL: return kind_pool;
    case FIEF_HEAP: return &r->heap;
    default: return NULL;
    }
}

static bool needs_pool(const fief_kind *kind)
{
    for (unsigned context = 0; context < FIEF_CONTEXTS; context++) {
        if (cell(kind, context) == FIEF_POOL) {
            return true;
        }
    }
    return false;
}

bool table_resolve(runtime *r, const fief_kind *kinds, unsigned count)
{
    fief_row *rows = space_meta(&r->core.space, sizeof *rows * FIEF_CONTEXTS * count);
    if (rows == NULL) {
        return false;
    }
    for (unsigned row = 0; row < count; row++) {
        pool *kind_pool = NULL;
        if (needs_pool(&kinds[row]) &&
            (kind_pool = pool_open(&r->core, FIEF_POOL, kinds[row].name, kinds[row].size)) == NULL) {
            return false;
        }
        for (unsigned context = 0; context < FIEF_CONTEXTS; context++) {
            fief_strategy strategy = cell(&kinds[row], context);
            rows[row * FIEF_CONTEXTS + context] =
                (fief_row){.allocator = allocator_for(r, strategy, kind_pool), .strategy = strategy,
                           .slot_size = (unsigned)(strategy == FIEF_POOL ? kinds[row].size : 0)};
        }
    }
    r->window.rows = rows;
    r->window.kind_count = count;
    r->kinds = kinds;
    return true;
}
