/* table: object kind x context -> strategy, as data. */
#include "manager/runtime.h"

#include <string.h>

#define LONG_LIVED \
    {[FIEF_NATIVE] = FIEF_VM_ARENA, [FIEF_LITERAL] = FIEF_VM_ARENA, [FIEF_CONSTANT] = FIEF_VM_ARENA}
#define USUAL .any = FIEF_HEAP, .in = LONG_LIVED

const fief_kind fief_default_kinds[FIEF_DEFAULT_KINDS] = {
    [FIEF_KIND_NATIVE] = {.name = "native", .any = FIEF_VM_ARENA},
    [FIEF_KIND_STRING] = {.name = "string", USUAL},
    [FIEF_KIND_FUNCTION] = {.name = "function", USUAL},
    [FIEF_KIND_CLOSURE] = {.name = "closure", .size = 64, .any = FIEF_POOL},
    [FIEF_KIND_UPVALUE] = {.name = "upvalue", .size = 48, .any = FIEF_POOL},
    [FIEF_KIND_CLASS] = {.name = "class", USUAL},
    [FIEF_KIND_INSTANCE] = {.name = "instance", .size = 64, .any = FIEF_POOL},
    [FIEF_KIND_BOUND_METHOD] = {.name = "bound method", .size = 48, .any = FIEF_POOL},
    [FIEF_KIND_VECTOR] = {.name = "vector", USUAL},
    [FIEF_KIND_HASH_TABLE] = {.name = "hash table", USUAL},
    [FIEF_KIND_LIST] = {.name = "list", USUAL},
    [FIEF_KIND_PAIR] = {.name = "pair", .size = 48, .any = FIEF_POOL},
    [FIEF_KIND_RANGE] = {.name = "range", .size = 48, .any = FIEF_POOL},
    [FIEF_KIND_MATRIX] = {.name = "matrix", USUAL},
    [FIEF_KIND_TOKEN] = {.name = "token", .any = FIEF_COMPILER_ARENA},
    [FIEF_KIND_AST_NODE] = {.name = "AST node", .any = FIEF_COMPILER_ARENA},
    [FIEF_KIND_SYMBOL] = {.name = "symbol", .any = FIEF_COMPILER_ARENA},
    [FIEF_KIND_CALL_FRAME] = {.name = "call frame", .any = FIEF_STACK},
};

static fief_strategy cell(const fief_kind *kind, unsigned context)
{
    return kind->in[context] != FIEF_NO_STRATEGY ? kind->in[context] : kind->any;
}

/* Most kinds go to one place whatever the context is: then one cell speaks for all. */
static bool is_uniform(const fief_kind *kind)
{
    unsigned others = 0;
    for (unsigned context = 0; context < FIEF_CONTEXTS; context++) {
        others |= (unsigned)kind->in[context];
    }
    return others == FIEF_NO_STRATEGY;
}

/* A few bits of each name so far, so that names are compared only where they may be equal. */
enum { NAME_BITS = 9, NAME_SHIFT = 32 - NAME_BITS };

typedef struct name_set {
    uint64_t seen[(1 << NAME_BITS) / 64];
} name_set;

static unsigned name_bits(const char *name)
{
    unsigned hash = 0;
    for (; *name != '\0'; name++) {
        hash = hash * 31 + (unsigned char)*name;
    }
    return hash * 2654435769u >> NAME_SHIFT;
}

static bool name_is_new(const fief_kind *kinds, unsigned row, name_set *names, fief_error *error)
{
    unsigned bits = name_bits(kinds[row].name);
    uint64_t *seen = &names->seen[bits / 64], bit = (uint64_t)1 << bits % 64;
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

/* A pointer is a word of the block. */
static bool pointers_are_sound(const fief_kind *kind, unsigned row, fief_error *error)
{
    bool has = kind->pointer_count != 0 || kind->visit != NULL;
    if (has && (kind->traits & FIEF_NO_POINTERS) != 0) {
        return refuse(error, FIEF_BAD_TABLE, "kind '%s' (row %u) has pointers and FIEF_NO_POINTERS",
                      kind->name, row);
    }
    for (unsigned i = 0; i < kind->pointer_count; i++) {
        size_t offset = kind->pointers[i];
        bool within = kind->size == 0 || (kind->size >= 8 && offset <= kind->size - 8);
        if (offset % 8 != 0 || !within) {
            return refuse(error, FIEF_BAD_TABLE, "kind '%s' (row %u) has a pointer at +%zu, %s",
                          kind->name, row, offset,
                          within ? "not a multiple of 8" : "past its end");
        }
    }
    return true;
}

bool table_check(const fief_kind *kinds, unsigned count, fief_error *error)
{
    if (count == 0 || count > KINDS_MAX) {
        return refuse(error, FIEF_BAD_TABLE, "the kinds table has %u rows, not 1 to %d", count,
                      KINDS_MAX);
    }
    name_set names = {{0}};
    for (unsigned row = 0; row < count; row++) {
        if (kinds[row].name == NULL) {
            return refuse(error, FIEF_BAD_TABLE, "row %u of the kinds table has no name", row);
        }
        if (!name_is_new(kinds, row, &names, error)) {
            return false;
        }
        const unsigned both = FIEF_FENCE_BACK | FIEF_FENCE_FRONT;
        if ((kinds[row].traits & both) == both) {
            return refuse(error, FIEF_BAD_TABLE,
                          "kind '%s' (row %u) has both fences; it can have one", kinds[row].name,
                          row);
        }
        if (!pointers_are_sound(&kinds[row], row, error)) {
            return false;
        }
        unsigned cells = is_uniform(&kinds[row]) ? 1 : FIEF_CONTEXTS;
        for (unsigned context = 0; context < cells; context++) {
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
    case FIEF_VM_ARENA: return &r->vm;
    case FIEF_COMPILER_ARENA: return &r->unit;
    case FIEF_STACK: return &r->frames;
    case FIEF_POOL: return kind_pool;
    default: return &r->heap;
    }
}

static bool needs_pool(const fief_kind *kind)
{
    if (is_uniform(kind)) {
        return kind->any == FIEF_POOL;
    }
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

static fief_row resolve_cell(runtime *r, const fief_kind *kind, fief_strategy strategy, bool sole,
                             pool *kind_pool)
{
    uintptr_t allocator = (uintptr_t)allocator_for(r, strategy, kind_pool);
    return (fief_row){
        .allocator = (int32_t)(intptr_t)(allocator - (uintptr_t)&r->window),
        .slot_size = strategy == FIEF_POOL ? (uint16_t)kind->size : 0,
        .strategy = (uint8_t)strategy,
        .sole = sole,
    };
}

static void resolve_row(runtime *r, const fief_kind *kind, fief_row *cells, pool *kind_pool)
{
    if (is_uniform(kind)) {
        bool sole = kind->any == FIEF_POOL || kind->any == FIEF_HEAP;
        fief_row all = resolve_cell(r, kind, kind->any, sole, kind_pool);
        for (unsigned context = 0; context < FIEF_CONTEXTS; context++) {
            cells[context] = all;
        }
        return;
    }
    bool sole = is_sole(kind);
    for (unsigned context = 0; context < FIEF_CONTEXTS; context++) {
        cells[context] = resolve_cell(r, kind, cell(kind, context), sole, kind_pool);
    }
}

static size_t rows_end(unsigned count)
{
    return fief_round_up(sizeof(runtime) + sizeof(fief_row) * FIEF_CONTEXTS * count, FIEF_ALIGN);
}

size_t table_bytes(const fief_kind *kinds, unsigned count)
{
    size_t bytes = rows_end(count);
    for (unsigned i = 0; i < count; i++) {
        bytes += needs_pool(&kinds[i]) ? sizeof(pool) : 0;
    }
    return bytes;
}

void table_resolve(runtime *r, const fief_kind *kinds, unsigned count)
{
    fief_row *rows = (fief_row *)(void *)(&r->window + 1);
    pool *next = r->pools = (pool *)(void *)((unsigned char *)r + rows_end(count));
    for (unsigned i = 0; i < count; i++) {
        resolve_row(r, &kinds[i], &rows[(size_t)i * FIEF_CONTEXTS], next);
        next += needs_pool(&kinds[i]);
    }
    r->window.kind_count = count;
    r->kinds = kinds;
}

pool *table_pool(runtime *r, unsigned kind, const fief_row *row)
{
    pool *p = fief_row_allocator(&r->window, row);
    if (p->core == NULL) {
        pool_init(p, &r->core, r->kinds[kind].name, r->kinds[kind].size, kind);
    }
    return p;
}
