/* model: random operations on a heap, an arena and a pool, against a naive table of what must be
 * in each block. The seed is printed, and may be given as the first argument. */
#include <fief/fief.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCKS = 512, STEPS = 40000 };

typedef struct entry {
    unsigned char *block;
    size_t size;
    unsigned char fill;
    enum how { SIZED, UNSIZED, SLOT } how;
} entry;

static entry table[BLOCKS];
static uint64_t state;

static size_t draw(size_t below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(state >> 33) % below;
}

static size_t draw_size(void)
{
    size_t most = (size_t)1 << draw(19);
    return draw(most + 1);
}

static void must(bool condition, const char *what, size_t step)
{
    if (!condition) {
        fprintf(stderr, "model: %s at step %zu\n", what, step);
        exit(1);
    }
}

static void must_hold(const entry *e, size_t size, size_t step)
{
    for (size_t i = 0; i < size; i++) {
        must(e->block[i] == e->fill, "a block lost its bytes", step);
    }
}

static void renew(entry *e, size_t step)
{
    must(e->block != NULL, "an allocation failed", step);
    must((uintptr_t)e->block % FIEF_ALIGN == 0, "a block is not aligned", step);
    e->fill = (unsigned char)(step * 31 + 1);
    memset(e->block, e->fill, e->size);
}

static void give(fief_runtime *rt, fief_pool *pool, entry *e, size_t step)
{
    must_hold(e, e->size, step);
    if (e->how == SIZED) {
        fief_heap_free(fief_runtime_heap(rt), e->block, e->size);
    } else if (e->how == UNSIZED) {
        fief_release(rt, e->block);
    } else {
        fief_pool_give(pool, e->block);
    }
    e->block = NULL;
}

static void take(fief_runtime *rt, fief_pool *pool, entry *e, size_t step)
{
    e->how = (enum how)draw(3);
    e->size = e->how == SLOT ? 80 : draw_size();
    if (e->how == SIZED) {
        e->block = fief_heap_alloc(fief_runtime_heap(rt), e->size);
    } else {
        e->block = e->how == UNSIZED ? fief_malloc(rt, e->size) : fief_pool_take(pool);
    }
    renew(e, step);
}

static void resize(fief_runtime *rt, entry *e, size_t step)
{
    size_t size = draw_size();
    e->block = e->how == SIZED ? fief_heap_resize(fief_runtime_heap(rt), e->block, e->size, size)
                               : fief_realloc(rt, e->block, size);
    must(e->block != NULL, "a resize failed", step);
    must_hold(e, size < e->size ? size : e->size, step);
    e->size = size;
    renew(e, step);
}

int main(int argc, char **argv)
{
    state = argc > 1 ? strtoull(argv[1], NULL, 0) : 20261123;
    printf("seed %llu\n", (unsigned long long)state);
    fief_runtime *rt = fief_open(NULL);
    fief_pool *pool = fief_pool_open(rt, "slots", 80);
    for (size_t step = 0; step < STEPS; step++) {
        entry *e = &table[draw(BLOCKS)];
        if (e->block == NULL) {
            take(rt, pool, e, step);
        } else if (e->how != SLOT && draw(4) == 0) {
            resize(rt, e, step);
        } else {
            give(rt, pool, e, step);
        }
        if (draw(5000) == 0) {
            (void)fief_trim(rt);
        }
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        if (table[i].block != NULL) {
            give(rt, pool, &table[i], STEPS);
        }
    }
    must(fief_stats_strategy(rt, FIEF_HEAP).used_bytes == 0, "the heap is not empty", STEPS);
    must(fief_close(rt) == 0, "something leaked", STEPS);
    return 0;
}
