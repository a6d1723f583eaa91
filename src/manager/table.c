/* table: object kind x context -> strategy, as data. */
#include "manager/runtime.h"

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

/* A few bits of a name, so that names are compared only where they may be equal. */
static unsigned name_bit(const char *name)
{
    unsigned hash = 0;
    for (; *name != '\0'; name++) {
        hash = hash * 31 + (unsigned char)*name;
    }
    return hash * 2654435769u >> 26;
}

static bool name_is_new(const fief_kind *kinds, unsigned row, uint64_t *seen, fief_error *error)
{
    uint64_t bit = (uint64_t)1 << name_bit(kinds[row].name);
    for (unsigned other = 0; other < row && (*seen & bit) != 0; other++) {
        if (strcmp(kinds[other].name, kinds[row].name) == 0) {
            return refuse(error, FIEF_BAD_TABLE, "kind '%s' stands twice, in rows %u and %u",
                          kinds[row].name, other, row);
        }
    }
    *seen |= bit;
    return true;
}

static bool cell_is_sound(const fief_kind *kind, unsigned row, unsigned context, fief_error *error)
{
    unsigned strategy = (unsigned)cell(kind, context);
    if (strategy >= FIEF_STRATEGIES) {
        return refuse(error, FIEF_BAD_TABLE, "kind '%s' (row %u) has the unknown strategy %u",
                      kind->name, row, strategy);
    }
    if (strategy == FIEF_POOL && (kind->size == 0 || kind->size > POOL_LARGEST_SLOT)) {
        return refuse(error, FIEF_BAD_TABLE,
                      "kind '%s' (row %u) goes to a pool and needs a size of 1 to %d, not %zu",
                      kind->name, row, POOL_LARGEST_SLOT, kind->size);
    }
    return true;
}

bool table_check(const fief_kind *kinds, unsigned count, fief_error *error)
{
    if (count == 0 || count > KINDS_MAX) {
        return refuse(error, FIEF_BAD_TABLE, "the kinds table has %u rows, not 1 to %d", count,
                      KINDS_MAX);
    }
    uint64_t seen = 0;
    for (unsigned row = 0; row < count; row++) {
        if (kinds[row].name == NULL) {
            return refuse(error, FIEF_BAD_TABLE, "row %u of the kinds table has no name", row);
        }
        if (!name_is_new(kinds, row, &seen, error)) {
            return false;
        }
        for (unsigned context = 0; context < FIEF_CONTEXTS; context++) {
            if (!cell_is_sound(&kinds[row], row, context, error)) {
                return false;
            }
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

/* Does every context of the kind lead to one strategy from which blocks are freed one by one? */
static bool is_sole(const fief_kind *kind)
{
    fief_strategy first = cell(kind, 0);
    for (unsigned context = 1; context < FIEF_CONTEXTS; context++) {
        if (cell(kind, context) != first) {
            return false;
        }
    }
    return first == FIEF_POOL || first == FIEF_HEAP;
}

static bool resolve_row(runtime *r, const fief_kind *kind, fief_row *cells)
{
    pool *kind_pool = NULL;
    if (needs_pool(kind)) {
        kind_pool = pool_open(&r->core, FIEF_POOL, kind->name, kind->size);
        if (kind_pool == NULL) {
            return false;
        }
    }
    bool sole = is_sole(kind);
    for (unsigned context = 0; context < FIEF_CONTEXTS; context++) {
        fief_strategy strategy = cell(kind, context);
        cells[context] = (fief_row){.allocator = allocator_for(r, strategy, kind_pool),
                                    .strategy = (uint8_t)strategy, .sole = sole};
        if (strategy == FIEF_POOL) {
            cells[context].slot_size = (uint16_t)kind->size;
        }
    }
    return true;
}

bool table_resolve(runtime *r, const fief_kind *kinds, unsigned count)
{
    core *c = &r->core;
    fief_row *rows = space_keep(&c->space, sizeof *rows * FIEF_CONTEXTS * count);
    if (rows == NULL) {
        return false;
    }
    for (c->kind = 0; c->kind < count; c->kind++) {
        if (!resolve_row(r, &kinds[c->kind], &rows[(size_t)c->kind * FIEF_CONTEXTS])) {
            return false;
        }
    }
    r->window.rows = rows;
    r->window.kind_count = count;
    r->kinds = kinds;
    return true;
}
