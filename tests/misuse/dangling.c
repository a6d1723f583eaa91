/* dangling: something that stays alive points at what dies, and nobody has used the pointer yet. */
#include "row.h"

#include <stddef.h>
#include <string.h>

static void dangling_at_reset_pool(bool mistaken)
{
    fief_unit unit = fief_unit_begin(rt);
    void **holder = fief_new(rt, PAIR, FIEF_DYNAMIC, 48);
    char *p;
    MADE(p = fief_new(rt, NODE, FIEF_TEMPORARY, 40));
    holder[2] = p + 8;
    WRONG(fief_unit_end(rt, unit));
    holder[2] = NULL;
    fief_unit_end(rt, unit);
    fief_free(rt, PAIR, holder, 48);
}

static void dangling_at_reset_heap(bool mistaken)
{
    fief_unit unit = fief_unit_begin(rt);
    void **holder = fief_new(rt, LIST, FIEF_DYNAMIC, 400);
    char *p;
    MADE(p = fief_temp(rt, char, 40));
    holder[49] = p;
    WRONG(fief_unit_end(rt, unit));
    holder[49] = NULL;
    fief_unit_end(rt, unit);
    fief_free(rt, LIST, holder, 400);
}

static void dangling_at_reset_unsized(bool mistaken)
{
    fief_unit unit = fief_unit_begin(rt);
    void **holder = fief_calloc(rt, 10, sizeof *holder);
    char *p;
    MADE(p = fief_temp(rt, char, 40));
    holder[9] = p;
    WRONG(fief_unit_end(rt, unit));
    holder[9] = NULL;
    fief_unit_end(rt, unit);
    fief_release(rt, holder);
}

static void dangling_at_reset_medium(bool mistaken)
{
    fief_unit unit = fief_unit_begin(rt);
    void **holder = fief_new(rt, LIST, FIEF_DYNAMIC, 4000);
    char *p;
    MADE(p = fief_temp(rt, char, 40));
    holder[499] = p + 39;
    WRONG(fief_unit_end(rt, unit));
    holder[499] = NULL;
    fief_unit_end(rt, unit);
    fief_free(rt, LIST, holder, 4000);
}

static void dangling_at_reset_large(bool mistaken)
{
    enum { SIZE = 800000 };
    fief_unit unit = fief_unit_begin(rt);
    void **holder = fief_new(rt, LIST, FIEF_DYNAMIC, SIZE);
    char *p;
    MADE(p = fief_temp(rt, char, SIZE));
    holder[SIZE / 8 - 1] = p + SIZE - 1;
    WRONG(fief_unit_end(rt, unit));
    holder[SIZE / 8 - 1] = NULL;
    fief_unit_end(rt, unit);
    fief_free(rt, LIST, holder, SIZE);
}

static void dangling_at_reset_vm_arena(bool mistaken)
{
    fief_unit unit = fief_unit_begin(rt);
    void **holder = fief_new(rt, TEXT, FIEF_LITERAL, 16);
    char *p;
    MADE(p = fief_new(rt, NODE, FIEF_TEMPORARY, 40));
    holder[1] = p;
    WRONG(fief_unit_end(rt, unit));
    holder[1] = NULL;
    fief_unit_end(rt, unit);
}

static void dangling_at_reset_frame(bool mistaken)
{
    void **holder = fief_stack_push(fief_frame_stack(rt), 32);
    fief_unit unit = fief_unit_begin(rt);
    char *p;
    MADE(p = fief_new(rt, NODE, FIEF_TEMPORARY, 40));
    memset(holder, 0, 32);
    holder[3] = p;
    WRONG(fief_unit_end(rt, unit));
    holder[3] = NULL;
    fief_unit_end(rt, unit);
    (void)fief_stack_pop(fief_frame_stack(rt), holder, 32);
}

static void dangling_at_reset_outer_unit(bool mistaken)
{
    fief_unit outer = fief_unit_begin(rt);
    void **holder = fief_new(rt, NODE, FIEF_TEMPORARY, 40);
    fief_unit inner = fief_unit_begin(rt);
    char *p;
    MADE(p = fief_new(rt, NODE, FIEF_TEMPORARY, 40));
    holder[0] = p;
    WRONG(fief_unit_end(rt, inner));
    holder[0] = NULL;
    fief_unit_end(rt, inner);
    fief_unit_end(rt, outer);
}

static void dangling_at_reset_root(bool mistaken)
{
    static void *globals[4];
    (void)fief_root_add(rt, globals, sizeof globals, "the globals");
    fief_unit unit = fief_unit_begin(rt);
    char *p;
    MADE(p = fief_new(rt, NODE, FIEF_TEMPORARY, 40));
    globals[3] = p;
    WRONG(fief_unit_end(rt, unit));
    globals[3] = NULL;
    fief_unit_end(rt, unit);
}

static void dangling_at_reset_arena(bool mistaken)
{
    fief_arena *own = fief_arena_open(rt, NULL);
    void **holder = fief_new(rt, PAIR, FIEF_DYNAMIC, 48);
    char *p;
    MADE(p = fief_arena_alloc(own, 40));
    holder[0] = p;
    WRONG(fief_arena_reset(own));
    holder[0] = NULL;
    fief_arena_reset(own);
    fief_free(rt, PAIR, holder, 48);
}

static void dangling_at_rewind_arena(bool mistaken)
{
    fief_arena *own = fief_arena_open(rt, NULL);
    void **holder = fief_arena_alloc(own, 16);
    fief_mark mark = fief_arena_mark(own);
    char *p;
    MADE(p = fief_arena_alloc(own, 40));
    holder[1] = p;
    WRONG(fief_arena_rewind(own, mark));
    holder[1] = NULL;
    fief_arena_rewind(own, mark);
}

static void dangling_at_rewind_frames(bool mistaken)
{
    fief_stack *frames = fief_frame_stack(rt);
    void **holder = fief_new(rt, PAIR, FIEF_DYNAMIC, 48);
    fief_mark mark = fief_stack_mark(frames);
    char *p;
    MADE(p = fief_stack_push(frames, 64));
    holder[5] = p + 56;
    WRONG(fief_stack_rewind(frames, mark));
    holder[5] = NULL;
    fief_stack_rewind(frames, mark);
    fief_free(rt, PAIR, holder, 48);
}

static void dangling_at_rewind_pop(bool mistaken)
{
    fief_stack *frames = fief_frame_stack(rt);
    void **holder = fief_stack_push(frames, 32);
    char *p;
    MADE(p = fief_stack_push(frames, 64));
    memset(holder, 0, 32);
    holder[0] = p;
    WRONG((void)fief_stack_pop(frames, p, 64));
    holder[0] = NULL;
    (void)fief_stack_pop(frames, p, 64);
    (void)fief_stack_pop(frames, holder, 32);
}

static void dangling_at_close_arena(bool mistaken)
{
    fief_arena *own = fief_arena_open(rt, NULL);
    void **holder = fief_new(rt, PAIR, FIEF_DYNAMIC, 48);
    char *p;
    MADE(p = fief_arena_alloc(own, 40));
    holder[0] = p;
    WRONG(fief_arena_close(own));
    holder[0] = NULL;
    fief_arena_close(own);
    fief_free(rt, PAIR, holder, 48);
}

/* Calls that are over leave pointers below; without optimisation the next call's frame has gaps,
 * through which they show. */
static __attribute__((noinline)) void wipe_the_stack_below(void)
{
    char below[4096];
    memset(below, 0, sizeof below);
    __asm__ volatile("" ::"r"(below) : "memory");
}

/* Inlined as it is, fief_new leaves pointers in its caller's frame where nothing is optimised. */
static __attribute__((noinline)) char *node_made_elsewhere(fief_runtime *own)
{
    char *p;
    MADE(p = fief_new(own, NODE, FIEF_TEMPORARY, 40));
    return p;
}

/* Only the debug build's: ASan may keep locals elsewhere than on the stack. */
static void dangling_at_reset_c_stack(bool mistaken)
{
    fief_runtime *own = open_scanning_the_stack();
    fief_unit unit = fief_unit_begin(own);
    char *volatile local;
    local = node_made_elsewhere(own);
    RIGHT(local = elsewhere);
    wipe_the_stack_below();
    WRONG(fief_unit_end(own, unit));
    local = elsewhere;
    wipe_the_stack_below();
    fief_unit_end(own, unit);
    (void)fief_close(own);
    (void)local;
}

static void dangling_store_pool(bool mistaken)
{
    fief_unit unit = fief_unit_begin(rt);
    void **holder = fief_new(rt, PAIR, FIEF_DYNAMIC, 48);
    char *p;
    MADE(p = fief_new(rt, NODE, FIEF_TEMPORARY, 40));
    WRONG(fief_store(rt, holder, &holder[1], p));
    fief_unit_end(rt, unit);
    fief_free(rt, PAIR, holder, 48);
}

static void dangling_store_vm_arena(bool mistaken)
{
    fief_unit unit = fief_unit_begin(rt);
    void **holder = fief_new(rt, TEXT, FIEF_LITERAL, 16);
    char *p;
    MADE(p = fief_new(rt, NODE, FIEF_TEMPORARY, 40));
    WRONG(fief_store(rt, holder, holder, p));
    fief_unit_end(rt, unit);
}

static void dangling_store_outer_unit(bool mistaken)
{
    fief_unit outer = fief_unit_begin(rt);
    void **holder = fief_new(rt, NODE, FIEF_TEMPORARY, 40);
    fief_unit inner = fief_unit_begin(rt);
    char *p;
    MADE(p = fief_new(rt, NODE, FIEF_TEMPORARY, 40));
    WRONG(fief_store(rt, holder, holder, p));
    fief_unit_end(rt, inner);
    fief_unit_end(rt, outer);
}

static void dangling_store_frame(bool mistaken)
{
    fief_stack *frames = fief_frame_stack(rt);
    void **holder = fief_new(rt, LIST, FIEF_DYNAMIC, 48);
    char *p;
    MADE(p = fief_stack_push(frames, 64));
    WRONG(fief_store(rt, holder, holder, p));
    (void)fief_stack_pop(frames, p, 64);
    fief_free(rt, LIST, holder, 48);
}

static void dangling_store_root(bool mistaken)
{
    static void *globals[4];
    (void)fief_root_add(rt, globals, sizeof globals, "the globals");
    fief_unit unit = fief_unit_begin(rt);
    char *p;
    MADE(p = fief_new(rt, NODE, FIEF_TEMPORARY, 40));
    WRONG(fief_store(rt, globals, &globals[2], p));
    fief_unit_end(rt, unit);
}

static const row rows[] = {
    ROW(dangling_at_reset, pool, dangling_at_reset, NOW, NOW, NOW),
    ROW(dangling_at_reset, heap, dangling_at_reset, NOW, NOW, NOW),
    ROW(dangling_at_reset, unsized, dangling_at_reset, NOW, NOW, NOW),
    ROW(dangling_at_reset, medium, dangling_at_reset, NOW, NOW, NOW),
    ROW(dangling_at_reset, large, dangling_at_reset, NOW, NOW, NOW),
    ROW(dangling_at_reset, vm_arena, dangling_at_reset, NOW, NOW, NOW),
    ROW(dangling_at_reset, frame, dangling_at_reset, NOW, NOW, NOW),
    ROW(dangling_at_reset, outer_unit, dangling_at_reset, NOW, NOW, NOW),
    ROW(dangling_at_reset, root, dangling_at_reset, NOW, NOW, NOW),
    ROW(dangling_at_reset, arena, dangling_at_reset, NOW, NOW, NOW),
    ROW(dangling_at_reset, c_stack, dangling_at_reset, NOW, NOT_HERE, NOW),
    ROW(dangling_at_rewind, arena, dangling_at_rewind, NOW, NOW, NOW),
    ROW(dangling_at_rewind, frames, dangling_at_rewind, NOW, NOW, NOW),
    ROW(dangling_at_rewind, pop, dangling_at_rewind, NOW, NOW, NOW),
    ROW(dangling_at_close, arena, dangling_at_close, NOW, NOW, NOW),
    ROW(dangling_store, pool, dangling_store, NOW, NOW, NOW),
    ROW(dangling_store, vm_arena, dangling_store, NOW, NOW, NOW),
    ROW(dangling_store, outer_unit, dangling_store, NOW, NOW, NOW),
    ROW(dangling_store, frame, dangling_store, NOW, NOW, NOW),
    ROW(dangling_store, root, dangling_store, NOW, NOW, NOW),
};
THEME(dangling);
