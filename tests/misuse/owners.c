/* owners: a block of one allocator given to another. */
#include "row.h"

static void wrong_allocator_unit_to_heap(bool mistaken)
{
    fief_unit unit = fief_unit_begin(rt);
    char *p;
    MADE(p = fief_temp(rt, char, 48));
    WRONG(fief_heap_free(heap, p, 48));
    fief_unit_end(rt, unit);
}

static void wrong_allocator_vm_to_heap(bool mistaken)
{
    char *p;
    MADE(p = fief_arena_alloc(fief_vm_arena(rt), 48));
    WRONG(fief_heap_free(heap, p, 48));
}

static void wrong_allocator_arena_to_heap(bool mistaken)
{
    fief_arena *own = fief_arena_open(rt, NULL);
    char *p;
    MADE(p = fief_arena_alloc(own, 48));
    WRONG(fief_heap_free(heap, p, 48));
    fief_arena_close(own);
}

static void wrong_allocator_stack_to_heap(bool mistaken)
{
    fief_stack *frames = fief_frame_stack(rt);
    char *p;
    MADE(p = fief_stack_push(frames, 48));
    WRONG(fief_heap_free(heap, p, 48));
    (void)fief_stack_pop(frames, p, 48);
}

static void wrong_allocator_literal_to_heap(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, TEXT, FIEF_LITERAL, 48));
    WRONG(fief_heap_free(heap, p, 48));
}

static void wrong_allocator_pool_to_heap(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, TRIPLE, FIEF_DYNAMIC, 48));
    WRONG(fief_heap_free(heap, p, 48));
    fief_free(rt, TRIPLE, p, 48);
}

static void wrong_allocator_unsized_to_heap(bool mistaken)
{
    char *p;
    MADE(p = fief_malloc(rt, 48));
    WRONG(fief_heap_free(heap, p, 48));
    fief_release(rt, p);
}

static void wrong_allocator_unit_to_unsized(bool mistaken)
{
    fief_unit unit = fief_unit_begin(rt);
    char *p;
    MADE(p = fief_temp(rt, char, 48));
    WRONG(fief_release(rt, p));
    fief_unit_end(rt, unit);
}

static void wrong_allocator_vm_to_unsized(bool mistaken)
{
    char *p;
    MADE(p = fief_arena_alloc(fief_vm_arena(rt), 48));
    WRONG(fief_release(rt, p));
}

static void wrong_allocator_arena_to_unsized(bool mistaken)
{
    fief_arena *own = fief_arena_open(rt, NULL);
    char *p;
    MADE(p = fief_arena_alloc(own, 48));
    WRONG(fief_release(rt, p));
    fief_arena_close(own);
}

static void wrong_allocator_stack_to_unsized(bool mistaken)
{
    fief_stack *frames = fief_frame_stack(rt);
    char *p;
    MADE(p = fief_stack_push(frames, 48));
    WRONG(fief_release(rt, p));
    (void)fief_stack_pop(frames, p, 48);
}

static void wrong_allocator_pool_to_unsized(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, TRIPLE, FIEF_DYNAMIC, 48));
    WRONG(fief_release(rt, p));
    fief_free(rt, TRIPLE, p, 48);
}

static void wrong_allocator_heap_to_unsized(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 48));
    WRONG(fief_release(rt, p));
    fief_heap_free(heap, p, 48);
}

static void wrong_allocator_unit_to_pool(bool mistaken)
{
    fief_unit unit = fief_unit_begin(rt);
    char *p;
    MADE(p = fief_temp(rt, char, 48));
    WRONG(fief_free(rt, PAIR, p, 48));
    fief_unit_end(rt, unit);
}

static void wrong_allocator_vm_to_pool(bool mistaken)
{
    char *p;
    MADE(p = fief_arena_alloc(fief_vm_arena(rt), 48));
    WRONG(fief_free(rt, PAIR, p, 48));
}

static void wrong_allocator_arena_to_pool(bool mistaken)
{
    fief_arena *own = fief_arena_open(rt, NULL);
    char *p;
    MADE(p = fief_arena_alloc(own, 48));
    WRONG(fief_free(rt, PAIR, p, 48));
    fief_arena_close(own);
}

static void wrong_allocator_stack_to_pool(bool mistaken)
{
    fief_stack *frames = fief_frame_stack(rt);
    char *p;
    MADE(p = fief_stack_push(frames, 48));
    WRONG(fief_free(rt, PAIR, p, 48));
    (void)fief_stack_pop(frames, p, 48);
}

static void wrong_allocator_heap_to_pool(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 48));
    WRONG(fief_free(rt, PAIR, p, 48));
    fief_heap_free(heap, p, 48);
}

static void wrong_allocator_unsized_to_pool(bool mistaken)
{
    char *p;
    MADE(p = fief_malloc(rt, 48));
    WRONG(fief_free(rt, PAIR, p, 48));
    fief_release(rt, p);
}

static void wrong_allocator_pool_to_pool(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, TRIPLE, FIEF_DYNAMIC, 48));
    WRONG(fief_free(rt, PAIR, p, 48));
    fief_free(rt, TRIPLE, p, 48);
}

static void wrong_allocator_unit_to_own_pool(bool mistaken)
{
    fief_pool *slots = fief_pool_open(rt, "slots", 48);
    fief_unit unit = fief_unit_begin(rt);
    char *p;
    MADE(p = fief_temp(rt, char, 48));
    WRONG(fief_pool_give(slots, p));
    fief_unit_end(rt, unit);
}

static void wrong_allocator_vm_to_own_pool(bool mistaken)
{
    fief_pool *slots = fief_pool_open(rt, "slots", 48);
    char *p;
    MADE(p = fief_arena_alloc(fief_vm_arena(rt), 48));
    WRONG(fief_pool_give(slots, p));
}

static void wrong_allocator_stack_to_own_pool(bool mistaken)
{
    fief_pool *slots = fief_pool_open(rt, "slots", 48);
    fief_stack *frames = fief_frame_stack(rt);
    char *p;
    MADE(p = fief_stack_push(frames, 48));
    WRONG(fief_pool_give(slots, p));
    (void)fief_stack_pop(frames, p, 48);
}

static void wrong_allocator_heap_to_own_pool(bool mistaken)
{
    fief_pool *slots = fief_pool_open(rt, "slots", 48);
    char *p;
    MADE(p = fief_heap_alloc(heap, 48));
    WRONG(fief_pool_give(slots, p));
    fief_heap_free(heap, p, 48);
}

static void wrong_allocator_unsized_to_own_pool(bool mistaken)
{
    fief_pool *slots = fief_pool_open(rt, "slots", 48);
    char *p;
    MADE(p = fief_malloc(rt, 48));
    WRONG(fief_pool_give(slots, p));
    fief_release(rt, p);
}

static void wrong_allocator_pool_to_own_pool(bool mistaken)
{
    fief_pool *slots = fief_pool_open(rt, "slots", 48);
    char *p;
    MADE(p = fief_new(rt, TRIPLE, FIEF_DYNAMIC, 48));
    WRONG(fief_pool_give(slots, p));
    fief_free(rt, TRIPLE, p, 48);
}

static void wrong_allocator_unit_to_kind(bool mistaken)
{
    fief_unit unit = fief_unit_begin(rt);
    char *p;
    MADE(p = fief_temp(rt, char, 48));
    WRONG(fief_free(rt, TEXT, p, 48));
    fief_unit_end(rt, unit);
}

static void wrong_allocator_stack_to_kind(bool mistaken)
{
    fief_stack *frames = fief_frame_stack(rt);
    char *p;
    MADE(p = fief_stack_push(frames, 48));
    WRONG(fief_free(rt, TEXT, p, 48));
    (void)fief_stack_pop(frames, p, 48);
}

static void wrong_allocator_literal_to_kind(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, TEXT, FIEF_LITERAL, 48));
    WRONG(fief_free(rt, TEXT, p, 48));
}

static void wrong_allocator_pool_to_kind(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, TRIPLE, FIEF_DYNAMIC, 48));
    WRONG(fief_free(rt, TEXT, p, 48));
    fief_free(rt, TRIPLE, p, 48);
}

static void wrong_allocator_unsized_to_kind(bool mistaken)
{
    char *p;
    MADE(p = fief_malloc(rt, 48));
    WRONG(fief_free(rt, TEXT, p, 48));
    fief_release(rt, p);
}

static void wrong_allocator_vm_to_resize(bool mistaken)
{
    char *p;
    MADE(p = fief_arena_alloc(fief_vm_arena(rt), 48));
    WRONG((void)fief_heap_resize(heap, p, 48, 96));
}

static void wrong_allocator_pool_to_resize(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, TRIPLE, FIEF_DYNAMIC, 48));
    WRONG((void)fief_heap_resize(heap, p, 48, 96));
    fief_free(rt, TRIPLE, p, 48);
}

static void wrong_allocator_unsized_to_resize(bool mistaken)
{
    char *p;
    MADE(p = fief_malloc(rt, 48));
    WRONG((void)fief_heap_resize(heap, p, 48, 96));
    fief_release(rt, p);
}

static void wrong_allocator_vm_to_realloc(bool mistaken)
{
    char *p;
    MADE(p = fief_arena_alloc(fief_vm_arena(rt), 48));
    WRONG((void)fief_realloc(rt, p, 96));
}

static void wrong_allocator_stack_to_realloc(bool mistaken)
{
    fief_stack *frames = fief_frame_stack(rt);
    char *p;
    MADE(p = fief_stack_push(frames, 48));
    WRONG((void)fief_realloc(rt, p, 96));
    (void)fief_stack_pop(frames, p, 48);
}

static void wrong_allocator_pool_to_realloc(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, TRIPLE, FIEF_DYNAMIC, 48));
    WRONG((void)fief_realloc(rt, p, 96));
    fief_free(rt, TRIPLE, p, 48);
}

static void wrong_allocator_heap_to_realloc(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 48));
    WRONG((void)fief_realloc(rt, p, 96));
    fief_heap_free(heap, p, 48);
}

static void wrong_allocator_heap_medium_to_unsized(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 1000));
    WRONG(fief_release(rt, p));
    fief_heap_free(heap, p, 1000);
}

static void wrong_allocator_heap_medium_to_realloc(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 1000));
    WRONG((void)fief_realloc(rt, p, 1100));
    fief_heap_free(heap, p, 1000);
}

static void wrong_allocator_heap_large_to_unsized(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 300001));
    WRONG(fief_release(rt, p));
    fief_heap_free(heap, p, 300001);
}

static void wrong_allocator_dead_unit_to_heap(bool mistaken)
{
    fief_unit unit = fief_unit_begin(rt);
    char *p;
    MADE(p = fief_temp(rt, char, 48));
    DIED(fief_unit_end(rt, unit));
    WRONG(fief_heap_free(heap, p, 48));
}

static const row rows[] = {
    ROW(wrong_allocator, unit_to_heap, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, vm_to_heap, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, arena_to_heap, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, stack_to_heap, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, literal_to_heap, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, pool_to_heap, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, unsized_to_heap, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, unit_to_unsized, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, vm_to_unsized, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, arena_to_unsized, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, stack_to_unsized, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, pool_to_unsized, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, heap_to_unsized, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, unit_to_pool, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, vm_to_pool, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, arena_to_pool, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, stack_to_pool, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, heap_to_pool, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, unsized_to_pool, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, pool_to_pool, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, unit_to_own_pool, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, vm_to_own_pool, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, stack_to_own_pool, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, heap_to_own_pool, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, unsized_to_own_pool, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, pool_to_own_pool, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, unit_to_kind, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, stack_to_kind, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, literal_to_kind, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, pool_to_kind, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, unsized_to_kind, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, vm_to_resize, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, pool_to_resize, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, unsized_to_resize, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, vm_to_realloc, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, stack_to_realloc, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, pool_to_realloc, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, heap_to_realloc, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, heap_medium_to_unsized, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, heap_medium_to_realloc, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, heap_large_to_unsized, wrong_allocator, NOW, NOW, NOW),
    ROW(wrong_allocator, dead_unit_to_heap, wrong_allocator, NOW, NOW, NOW),
};
THEME(owners);
