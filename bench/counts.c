/* counts: the hot paths, one after the other, for callgrind to count (counts.py).
 *
 *     set up   warm up once   zero the counters   a path, REPEATS times   dump them under its name
 *
 * Without callgrind the requests do nothing, and the program only shows that the paths run. */
#include <fief/fief.h>

#include <stdlib.h>
#include <valgrind/callgrind.h>

enum { REPEATS = 1000, SIZE = 48 };

typedef struct setting {
    fief_runtime *rt;
    fief_arena *arena;
    fief_pool *pool;
    fief_heap *heap;
    void *blocks[REPEATS];
    size_t sizes[REPEATS];
} setting;

#define PATH static __attribute__((noinline)) void

/* The block is used; the compiler learns nothing else. */
static inline void use(void *block)
{
    __asm__ volatile("" : : "r"(block) : "memory");
}

PATH arena_24(setting *s)
{
    for (size_t i = 0; i < REPEATS; i++) {
        use(fief_arena_alloc_aligned(s->arena, 24, 8));
    }
}

PATH arena_24_any(setting *s)
{
    for (size_t i = 0; i < REPEATS; i++) {
        use(fief_arena_alloc(s->arena, 24));
    }
}

PATH arena_mix(setting *s)
{
    for (size_t i = 0; i < REPEATS; i++) {
        use(fief_arena_alloc_aligned(s->arena, s->sizes[i], 8));
    }
}

PATH mark_rewind(setting *s)
{
    for (size_t i = 0; i < REPEATS; i++) {
        fief_mark mark = fief_arena_mark(s->arena);
        use(fief_arena_alloc(s->arena, 16));
        use(fief_arena_alloc(s->arena, 24));
        use(fief_arena_alloc(s->arena, 32));
        use(fief_arena_alloc(s->arena, 40));
        fief_arena_rewind(s->arena, mark);
    }
}

PATH pool_take(setting *s)
{
    for (size_t i = 0; i < REPEATS; i++) {
        s->blocks[i] = fief_pool_take(s->pool);
    }
}

PATH pool_give(setting *s)
{
    for (size_t i = 0; i < REPEATS; i++) {
        fief_pool_give(s->pool, s->blocks[i]);
    }
}

PATH heap_alloc(setting *s)
{
    for (size_t i = 0; i < REPEATS; i++) {
        s->blocks[i] = fief_heap_alloc(s->heap, s->sizes[i]);
    }
}

PATH heap_free(setting *s)
{
    for (size_t i = 0; i < REPEATS; i++) {
        fief_heap_free(s->heap, s->blocks[i], s->sizes[i]);
    }
}

PATH unsized_alloc(setting *s)
{
    for (size_t i = 0; i < REPEATS; i++) {
        s->blocks[i] = fief_malloc(s->rt, s->sizes[i]);
    }
}

PATH unsized_free(setting *s)
{
    for (size_t i = 0; i < REPEATS; i++) {
        fief_release(s->rt, s->blocks[i]);
    }
}

PATH new_pool(setting *s)
{
    for (size_t i = 0; i < REPEATS; i++) {
        s->blocks[i] = fief_new(s->rt, FIEF_KIND_PAIR, FIEF_DYNAMIC, SIZE);
    }
}

PATH free_pool(setting *s)
{
    for (size_t i = 0; i < REPEATS; i++) {
        fief_free(s->rt, FIEF_KIND_PAIR, s->blocks[i], SIZE);
    }
}

PATH new_heap(setting *s)
{
    for (size_t i = 0; i < REPEATS; i++) {
        s->blocks[i] = fief_new(s->rt, FIEF_KIND_VECTOR, FIEF_DYNAMIC, SIZE);
    }
}

PATH free_heap(setting *s)
{
    for (size_t i = 0; i < REPEATS; i++) {
        fief_free(s->rt, FIEF_KIND_VECTOR, s->blocks[i], SIZE);
    }
}

PATH new_compiler_arena(setting *s)
{
    for (size_t i = 0; i < REPEATS; i++) {
        use(fief_new(s->rt, FIEF_KIND_AST_NODE, FIEF_TEMPORARY, SIZE));
    }
}

PATH new_vm_arena(setting *s)
{
    for (size_t i = 0; i < REPEATS; i++) {
        use(fief_new(s->rt, FIEF_KIND_NATIVE, FIEF_NATIVE, SIZE));
    }
}

PATH new_stack(setting *s)
{
    for (size_t i = 0; i < REPEATS; i++) {
        s->blocks[i] = fief_new(s->rt, FIEF_KIND_CALL_FRAME, FIEF_DYNAMIC, SIZE);
    }
}

PATH stack_pop(setting *s)
{
    for (size_t i = REPEATS; i > 0; i--) {
        (void)fief_stack_pop(fief_frame_stack(s->rt), s->blocks[i - 1], SIZE);
    }
}

static const struct {
    const char *name;
    void (*path)(setting *);
} paths[] = {{"arena-24", arena_24},
             {"arena-24-any", arena_24_any},
             {"arena-mix", arena_mix},
             {"mark-rewind", mark_rewind},
             {"pool-take", pool_take},
             {"pool-give", pool_give},
             {"heap-alloc", heap_alloc},
             {"heap-free", heap_free},
             {"heap-unsized-alloc", unsized_alloc},
             {"heap-unsized-free", unsized_free},
             {"new-pool", new_pool},
             {"free-pool", free_pool},
             {"new-heap", new_heap},
             {"free-heap", free_heap},
             {"new-compiler-arena", new_compiler_arena},
             {"new-vm-arena", new_vm_arena},
             {"new-stack", new_stack},
             {"stack-pop", stack_pop}};

/* Each path once: what it takes from the system it has then. A unit takes its blocks back. */
static void run_all(setting *s, bool counted)
{
    fief_unit unit = fief_unit_begin(s->rt);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        CALLGRIND_ZERO_STATS;
        paths[i].path(s);
        if (counted) {
            CALLGRIND_DUMP_STATS_AT(paths[i].name);
        }
    }
    fief_unit_end(s->rt, unit);
    fief_arena_reset(s->arena);
}

int main(void)
{
    static const size_t mix[] = {16, 40, 56, 24, 48, 64, 32, 128};
    static setting s;
    s.rt = fief_open(NULL);
    if (s.rt == NULL) {
        return EXIT_FAILURE;
    }
    s.arena = fief_arena_open(s.rt, NULL);
    s.heap = fief_runtime_heap(s.rt);
    s.pool = fief_pool_open(s.rt, "object", SIZE);
    for (size_t i = 0; i < REPEATS; i++) {
        s.sizes[i] = mix[i % (sizeof mix / sizeof mix[0])];
    }
    if (s.arena == NULL || s.pool == NULL) {
        return EXIT_FAILURE;
    }
    run_all(&s, false);
    run_all(&s, true);
    return fief_close(s.rt) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
