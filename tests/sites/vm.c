/* vm: the programs. Each makes one mistake; what is done before it is right. */
#include "host.h"

#include <string.h>

static fief_runtime *rt;
static volatile size_t sink;

/* ---- called at the end of their callers, which know no better ---- */

static __attribute__((noinline)) void end_unit(fief_unit unit)
{
    fief_unit_end(rt, unit); /* site: reset.died unit-order.used */
}

static __attribute__((noinline)) size_t depth_of(const node *n)
{
    size_t depth = 0;
    for (; n != NULL; n = n->left) { /* site: reset.used */
        depth++;
    }
    return depth;
}

static void reset(void)
{
    fief_unit unit = fief_unit_begin(rt);
    node *kept = new_node(rt, new_node(rt, NULL));
    sink = depth_of(kept);
    end_unit(unit);
    sink = depth_of(kept);
}

static void unit_order(void)
{
    fief_unit outer = fief_unit_begin(rt);
    (void)fief_unit_begin(rt);
    end_unit(outer);
}

static __attribute__((noinline)) void *scratch(fief_arena *arena, size_t size)
{
    return fief_arena_alloc(arena, size); /* site: rewind.allocated */
}

static __attribute__((noinline)) void forget(fief_arena *arena, fief_mark mark)
{
    fief_arena_rewind(arena, mark); /* site: rewind.died */
}

static void use_after_rewind(void)
{
    fief_arena *arena = fief_vm_arena(rt);
    fief_mark mark = fief_arena_mark(arena);
    char *bytes = scratch(arena, 200000);
    memset(bytes, 'x', 200000);
    forget(arena, mark);
    bytes[100000] = 'y'; /* site: rewind.used */
}

static __attribute__((noinline)) void *new_buffer(fief_arena *arena, size_t size)
{
    return fief_arena_memdup(arena, "text", size); /* site: arena-reset.allocated */
}

static __attribute__((noinline)) void empty(fief_arena *arena)
{
    fief_arena_reset(arena); /* site: arena-reset.died */
}

static void use_after_arena_reset(void)
{
    fief_arena *arena = fief_arena_open(rt, NULL);
    char *bytes = new_buffer(arena, 5);
    empty(arena);
    sink = (size_t)bytes[1]; /* site: arena-reset.used */
}

static __attribute__((noinline)) void close_arena(fief_arena *arena)
{
    fief_arena_close(arena); /* site: arena-close.died */
}

static void use_after_arena_close(void)
{
    fief_arena *arena = fief_arena_open(rt, NULL);
    char *bytes = fief_arena_strdup(arena, "text"); /* site: arena-close.allocated */
    close_arena(arena);
    sink = (size_t)bytes[1]; /* site: arena-close.used */
}

/* ---- a block of several functions' ---- */

static void double_free(void)
{
    char *text = new_string(rt, 40);
    free_string(rt, text, 40);
    free_again(rt, text, 40);
}

/* Both at one address: neither takes the other's frames. */
static void double_free_in_a_loop(void)
{
    char *text = new_string(rt, 40);
    for (size_t i = 0; i < sink + 2; i++) {
        fief_free(rt, STRING, text, 40); /* site: loop.used loop.died */
    }
}

static void inlined(void)
{
    char *text = fief_new(rt, STRING, FIEF_LITERAL, 40); /* site: inlined.allocated */
    clear_text(rt, &text); /* site: inlined.used.2 */
}

static __attribute__((noinline)) size_t look_around(void)
{
    return fief_check(rt); /* site: overflow.used */
}

static void overflow(void)
{
    char *bytes = fief_heap_alloc(fief_runtime_heap(rt), 24); /* site: overflow.allocated */
    memset(bytes, 0, 25);
    sink = look_around();
}

static void *take_slot(fief_pool *pool)
{
    return fief_pool_take(pool); /* site: pool.allocated */
}

static void pool_twice(void)
{
    fief_pool *pool = fief_pool_open(rt, "slots", 48);
    void *slot = take_slot(pool);
    fief_pool_give(pool, slot); /* site: pool.died */
    fief_pool_give(pool, slot); /* site: pool.used */
}

static __attribute__((noinline)) void *grow(void *block)
{
    return fief_realloc(rt, block, 300); /* site: realloc.used */
}

static void realloc_freed(void)
{
    void *block = fief_malloc(rt, 100); /* site: realloc.allocated */
    fief_release(rt, block); /* site: realloc.died */
    sink = (size_t)grow(block);
}

static __attribute__((noinline)) void give_text(char *text)
{
    fief_free_string(rt, text); /* site: string.used */
}

static void free_a_literal(void)
{
    char *text = fief_strdup(rt, FIEF_LITERAL, "print"); /* site: string.allocated */
    give_text(text);
}

/* ---- whole call stacks: where the host keeps frame pointers ---- */

static __attribute__((noinline)) char *read_name(void)
{
    char *name = new_string(rt, 40); /* site: deep.allocated.1 */
    name[0] = 'n';
    return name;
}

static __attribute__((noinline)) size_t skip_name(char *name)
{
    free_string(rt, name, 40); /* site: deep.died.1 */
    return sink;
}

static __attribute__((noinline)) size_t drop_name(char *name)
{
    free_again(rt, name, 40); /* site: deep.used.1 */
    return sink;
}

static void deep(void)
{
    char *name = read_name(); /* site: deep.allocated.2 */
    sink += skip_name(name);  /* site: deep.died.2 */
    sink += drop_name(name);  /* site: deep.used.2 */
}

/* ---- a call alone ---- */

static __attribute__((noinline)) void *vector(fief_heap *heap, size_t size)
{
    return fief_heap_alloc_aligned(heap, size, 24); /* site: alignment.used */
}

static void bad_alignment(void)
{
    sink = (size_t)vector(fief_runtime_heap(rt), 64);
}

static __attribute__((noinline)) char *name_of(const char *string)
{
    return fief_strndup(rt, FIEF_TEMPORARY, string, 3); /* site: no-unit.used */
}

static void no_unit(void)
{
    sink = (size_t)name_of("name");
}

static __attribute__((noinline)) bool pop(fief_stack *stack, void *frame)
{
    return fief_stack_pop(stack, frame, 32); /* site: lifo.used */
}

static void not_lifo(void)
{
    void *below = fief_stack_push(fief_frame_stack(rt), 32); /* site: lifo.allocated */
    (void)fief_stack_push(fief_frame_stack(rt), 64);
    sink = pop(fief_frame_stack(rt), below);
}

static __attribute__((noinline)) void *resize(void *block)
{
    return fief_resize(rt, STRING, block, 50, 60); /* site: resize.used */
}

/* The prefix is ours, the function is not. */
static __attribute__((noinline)) void fief_host_free(char *text)
{
    fief_free(rt, STRING, text, 50); /* site: prefix.used */
}

static void prefix(void)
{
    fief_host_free(new_string(rt, 40));
}

static void wrong_size(void)
{
    sink = (size_t)resize(new_string(rt, 40));
}

static __attribute__((noinline)) size_t close_again(fief_runtime *closed)
{
    return fief_close(closed); /* site: closed.used */
}

static void close_twice(void)
{
    sink = fief_close(rt);
    sink = close_again(rt);
}

static void leak(void)
{
    sink = (size_t)fief_new(rt, LIST, FIEF_DYNAMIC, 64); /* site: leak.allocated */
    sink = fief_close(rt);
}

/* ---- for who unloads this code ---- */

void *make_garbage(fief_runtime *of)
{
    char *p = fief_new(of, STRING, FIEF_DYNAMIC, 64); /* site: unloaded.allocated */
    fief_free(of, STRING, p, 64); /* site: unloaded.died */
    return p;
}

typedef struct program {
    const char *name;
    void (*run)(void);
} program;

static const program programs[] = {
    {"reset", reset},           {"unit-order", unit_order},  {"rewind", use_after_rewind},
    {"arena-reset", use_after_arena_reset},                  {"arena-close", use_after_arena_close},
    {"double-free", double_free}, {"loop", double_free_in_a_loop},
    {"inlined", inlined},       {"overflow", overflow},
    {"pool", pool_twice},       {"realloc", realloc_freed},  {"string", free_a_literal},
    {"alignment", bad_alignment}, {"no-unit", no_unit},      {"lifo", not_lifo},
    {"resize", wrong_size},     {"closed", close_twice},     {"leak", leak},
    {"deep", deep},             {"prefix", prefix},
};

bool run_program(const char *name)
{
    static const fief_kind kinds[KINDS] = {
        [NODE] = {.name = "node", .any = FIEF_HEAP, .in = {[FIEF_TEMPORARY] = FIEF_COMPILER_ARENA}},
        [STRING] = {.name = "string", .any = FIEF_HEAP, .in = {[FIEF_LITERAL] = FIEF_VM_ARENA}},
        [LIST] = {.name = "list", .size = 64, .any = FIEF_POOL},
    };
    rt = fief_open(&(fief_config){.name = name, .kinds = kinds, .kind_count = KINDS});
    for (size_t i = 0; rt != NULL && i < sizeof programs / sizeof programs[0]; i++) {
        if (strcmp(programs[i].name, name) == 0) {
            programs[i].run();
            return true;
        }
    }
    return false;
}
