#include "cases.h"

#include "bump.h"

#include <fief/runtime.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

void give_up(const char *why)
{
    fprintf(stderr, "%s: %s\n", program_invocation_short_name, why);
    exit(EXIT_FAILURE);
}

fief_runtime *must_open(void)
{
    fief_runtime *rt = fief_open(NULL);
    if (rt == NULL) {
        give_up("no runtime");
    }
    return rt;
}

fief_arena *must_open_arena(fief_runtime *rt, const fief_arena_config *config)
{
    fief_arena *arena = fief_arena_open(rt, config);
    if (arena == NULL) {
        give_up("no arena");
    }
    return arena;
}

/* Here and not in the header: a compiler that saw it would know too much. */
bump bump_fresh(size_t size)
{
    static const size_t chunk_size = (size_t)8 << 20;
    size_t bytes = chunk_size + size;
    unsigned char *chunk = aligned_alloc(BUMP_ALIGN_MAX, bytes);
    if (chunk == NULL) {
        give_up("no memory for a chunk");
    }
    return (bump){chunk, chunk + bytes};
}

/* Steele, Lea and Flood's splitmix64, scaled down by a multiplication. */
size_t draw(uint64_t *seed, size_t limit)
{
    uint64_t x = *seed += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    x ^= x >> 31;
    return (size_t)(((x >> 32) * limit) >> 32);
}

/* A syntax tree: tokens and leaves, unary and binary nodes, calls, a few large function nodes. */
static const weight ast_mix[] = {{8, 5},  {16, 18}, {24, 20}, {32, 20}, {40, 12}, {48, 10},
                                 {64, 7}, {96, 4},  {128, 2}, {256, 2}, {0, 0}};

void draw_sizes(const weight *weights, uint16_t *ret_sizes, size_t count)
{
    uint64_t seed = 2;
    for (size_t i = 0; i < count; i++) {
        size_t percent = draw(&seed, 100);
        const weight *w = weights;
        for (; percent >= w->percent; w++) {
            if (w->percent == 0) {
                give_up("the weights sum to less than 100");
            }
            percent -= w->percent;
        }
        ret_sizes[i] = (uint16_t)w->size;
    }
}

void draw_ast_sizes(uint16_t *ret_sizes, size_t count)
{
    draw_sizes(ast_mix, ret_sizes, count);
}
