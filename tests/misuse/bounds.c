/* bounds: accesses outside a block, before it and past its end; and reads of bytes in it that
 * nobody has written. */
#include "row.h"

#include <string.h>

static void overflow_heap(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 40));
    ACCESS(p[OR(40, 39)] = 1);
    FOUND(fief_heap_free(heap, p, 40));
}

static void overflow_odd_size(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 13));
    ACCESS(p[OR(13, 12)] = 1);
    FOUND(fief_heap_free(heap, p, 13));
}

/* The whole class may be used: fief_heap_usable_size says so. */
static void overflow_unsized(bool mistaken)
{
    char *p;
    MADE(p = fief_malloc(rt, 48));
    ACCESS(p[OR(48, 47)] = 1);
    FOUND(fief_release(rt, p));
}

static void overflow_medium(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 3000));
    ACCESS(p[OR(3000, 2999)] = 1);
    FOUND(fief_heap_free(heap, p, 3000));
}

static void overflow_large(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 300000));
    ACCESS(p[OR(300000, 299999)] = 1);
    FOUND(fief_heap_free(heap, p, 300000));
}

static void overflow_pool(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, PAIR, FIEF_DYNAMIC, 48));
    ACCESS(p[OR(48, 47)] = 1);
    FOUND(fief_free(rt, PAIR, p, 48));
}

static void overflow_unit(bool mistaken)
{
    fief_unit unit = fief_unit_begin(rt);
    char *p;
    MADE(p = fief_temp(rt, char, 20));
    ACCESS(p[OR(20, 19)] = 1);
    FOUND(fief_unit_end(rt, unit));
}

static void overflow_vm(bool mistaken)
{
    char *p;
    MADE(p = fief_arena_alloc(fief_vm_arena(rt), 40));
    ACCESS(p[OR(40, 39)] = 1);
    FOUND((void)fief_check(rt));
}

static void overflow_arena(bool mistaken)
{
    fief_arena *own = fief_arena_open(rt, NULL);
    char *p;
    MADE(p = fief_arena_alloc(own, 40));
    ACCESS(p[OR(40, 39)] = 1);
    FOUND(fief_arena_reset(own));
}

static void overflow_buffer(bool mistaken)
{
    static char bytes[4096];
    fief_arena_config config = {.buffer = bytes, .buffer_size = sizeof bytes};
    fief_arena *own = fief_arena_open(rt, &config);
    char *p;
    MADE(p = fief_arena_alloc(own, 40));
    ACCESS(p[OR(40, 39)] = 1);
    FOUND(fief_arena_close(own));
}

static void overflow_stack(bool mistaken)
{
    fief_stack *frames = fief_frame_stack(rt);
    char *p;
    MADE(p = fief_stack_make(frames, char, 40));
    ACCESS(p[OR(40, 39)] = 1);
    FOUND((void)fief_stack_drop(frames, p, 40));
}

static void underflow_heap(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 40));
    ACCESS(p[OR(-1, 0)] = 1);
    FOUND(fief_heap_free(heap, p, 40));
}

static void underflow_unsized(bool mistaken)
{
    char *p;
    MADE(p = fief_malloc(rt, 48));
    ACCESS(p[OR(-1, 0)] = 1);
    FOUND(fief_release(rt, p));
}

static void underflow_medium(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 3000));
    ACCESS(p[OR(-1, 0)] = 1);
    FOUND(fief_heap_free(heap, p, 3000));
}

static void underflow_large(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 300000));
    ACCESS(p[OR(-1, 0)] = 1);
    FOUND(fief_heap_free(heap, p, 300000));
}

static void underflow_pool(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, PAIR, FIEF_DYNAMIC, 48));
    ACCESS(p[OR(-1, 0)] = 1);
    FOUND(fief_free(rt, PAIR, p, 48));
}

static void underflow_unit(bool mistaken)
{
    fief_unit unit = fief_unit_begin(rt);
    char *p;
    MADE(p = fief_temp(rt, char, 20));
    ACCESS(p[OR(-1, 0)] = 1);
    FOUND(fief_unit_end(rt, unit));
}

static void underflow_vm(bool mistaken)
{
    char *p;
    MADE(p = fief_arena_alloc(fief_vm_arena(rt), 40));
    ACCESS(p[OR(-1, 0)] = 1);
    FOUND((void)fief_check(rt));
}

static void underflow_arena(bool mistaken)
{
    fief_arena *own = fief_arena_open(rt, NULL);
    char *p;
    MADE(p = fief_arena_alloc(own, 40));
    ACCESS(p[OR(-1, 0)] = 1);
    FOUND(fief_arena_reset(own));
}

static void underflow_buffer(bool mistaken)
{
    static char bytes[4096];
    fief_arena_config config = {.buffer = bytes, .buffer_size = sizeof bytes};
    fief_arena *own = fief_arena_open(rt, &config);
    char *p;
    MADE(p = fief_arena_alloc(own, 40));
    ACCESS(p[OR(-1, 0)] = 1);
    FOUND(fief_arena_close(own));
}

static void underflow_stack(bool mistaken)
{
    fief_stack *frames = fief_frame_stack(rt);
    char *p;
    MADE(p = fief_stack_make(frames, char, 40));
    ACCESS(p[OR(-1, 0)] = 1);
    FOUND((void)fief_stack_drop(frames, p, 40));
}

static void overflow_far_heap(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 40));
    char *next = fief_heap_alloc(heap, 40);
    ACCESS(fill(p, OR(40 + 400, 40)));
    FOUND(fief_heap_free(heap, p, 40));
    fief_heap_free(heap, next, 40);
}

static void overflow_far_pool(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, PAIR, FIEF_DYNAMIC, 48));
    char *next = fief_new(rt, PAIR, FIEF_DYNAMIC, 48);
    ACCESS(fill(p, OR(48 + 400, 48)));
    FOUND(fief_free(rt, PAIR, p, 48));
    fief_free(rt, PAIR, next, 48);
}

static void overflow_far_medium(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 3000));
    char *next = fief_heap_alloc(heap, 3000);
    ACCESS(fill(p, OR(3000 + 400, 3000)));
    FOUND(fief_heap_free(heap, p, 3000));
    fief_heap_free(heap, next, 3000);
}

static void overflow_far_unit(bool mistaken)
{
    fief_unit unit = fief_unit_begin(rt);
    char *p;
    MADE(p = fief_temp(rt, char, 20));
    char *next = fief_temp(rt, char, 20);
    ACCESS(fill(p, OR(20 + 400, 20)));
    FOUND(fief_unit_end(rt, unit));
    (void)next;
}

static void overflow_far_vm(bool mistaken)
{
    char *p;
    MADE(p = fief_arena_alloc(fief_vm_arena(rt), 40));
    char *next = fief_arena_alloc(fief_vm_arena(rt), 40);
    ACCESS(fill(p, OR(40 + 400, 40)));
    FOUND((void)fief_check(rt));
    (void)next;
}

static void overflow_far_unsized(bool mistaken)
{
    char *p;
    MADE(p = fief_malloc(rt, 48));
    char *next = fief_malloc(rt, 48);
    ACCESS(fill(p, OR(48 + 400, 48)));
    FOUND(fief_release(rt, p));
    fief_release(rt, next);
}

/* Within its last page: what lies behind that belongs to nobody yet. */
static void overflow_far_large(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 300000));
    ACCESS(fill(p + 299000, OR(1000 + 400, 1000)));
    FOUND(fief_heap_free(heap, p, 300000));
}

static void overflow_far_arena(bool mistaken)
{
    fief_arena *own = fief_arena_open(rt, NULL);
    char *p;
    MADE(p = fief_arena_alloc(own, 40));
    char *next = fief_arena_alloc(own, 40);
    ACCESS(fill(p, OR(40 + 400, 40)));
    FOUND(fief_arena_reset(own));
    (void)next;
}

static void overflow_far_buffer(bool mistaken)
{
    static char bytes[4096];
    fief_arena_config config = {.buffer = bytes, .buffer_size = sizeof bytes};
    fief_arena *own = fief_arena_open(rt, &config);
    char *p;
    MADE(p = fief_arena_alloc(own, 40));
    char *next = fief_arena_alloc(own, 40);
    ACCESS(fill(p, OR(40 + 400, 40)));
    FOUND(fief_arena_close(own));
    (void)next;
}

static void overflow_far_stack(bool mistaken)
{
    fief_stack *frames = fief_frame_stack(rt);
    char *p;
    MADE(p = fief_stack_make(frames, char, 40));
    ACCESS(fill(p, OR(40 + 400, 40)));
    FOUND((void)fief_stack_drop(frames, p, 40));
}

static void read_past_heap(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 40));
    memset(p, 0, 40);
    ACCESS(sink = p[OR(40, 39)]);
    fief_heap_free(heap, p, 40);
}

static void read_past_unsized(bool mistaken)
{
    char *p;
    MADE(p = fief_malloc(rt, 48));
    memset(p, 0, 48);
    ACCESS(sink = p[OR(48, 47)]);
    fief_release(rt, p);
}

static void read_past_medium(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 3000));
    memset(p, 0, 3000);
    ACCESS(sink = p[OR(3000, 2999)]);
    fief_heap_free(heap, p, 3000);
}

static void read_past_large(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 300000));
    memset(p, 0, 300000);
    ACCESS(sink = p[OR(300000, 299999)]);
    fief_heap_free(heap, p, 300000);
}

static void read_past_pool(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, PAIR, FIEF_DYNAMIC, 48));
    memset(p, 0, 48);
    ACCESS(sink = p[OR(48, 47)]);
    fief_free(rt, PAIR, p, 48);
}

static void read_past_unit(bool mistaken)
{
    fief_unit unit = fief_unit_begin(rt);
    char *p;
    MADE(p = fief_temp(rt, char, 20));
    memset(p, 0, 20);
    ACCESS(sink = p[OR(20, 19)]);
    fief_unit_end(rt, unit);
}

static void read_past_vm(bool mistaken)
{
    char *p;
    MADE(p = fief_arena_alloc(fief_vm_arena(rt), 40));
    memset(p, 0, 40);
    ACCESS(sink = p[OR(40, 39)]);
    (void)fief_check(rt);
}

static void read_past_arena(bool mistaken)
{
    fief_arena *own = fief_arena_open(rt, NULL);
    char *p;
    MADE(p = fief_arena_alloc(own, 40));
    memset(p, 0, 40);
    ACCESS(sink = p[OR(40, 39)]);
    fief_arena_reset(own);
}

static void read_past_buffer(bool mistaken)
{
    static char bytes[4096];
    fief_arena_config config = {.buffer = bytes, .buffer_size = sizeof bytes};
    fief_arena *own = fief_arena_open(rt, &config);
    char *p;
    MADE(p = fief_arena_alloc(own, 40));
    memset(p, 0, 40);
    ACCESS(sink = p[OR(40, 39)]);
    fief_arena_close(own);
}

static void read_past_stack(bool mistaken)
{
    fief_stack *frames = fief_frame_stack(rt);
    char *p;
    MADE(p = fief_stack_make(frames, char, 40));
    memset(p, 0, 40);
    ACCESS(sink = p[OR(40, 39)]);
    (void)fief_stack_drop(frames, p, 40);
}

static void read_before_heap(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 40));
    memset(p, 0, 40);
    ACCESS(sink = p[OR(-1, 0)]);
    fief_heap_free(heap, p, 40);
}

static void read_before_pool(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, PAIR, FIEF_DYNAMIC, 48));
    memset(p, 0, 48);
    ACCESS(sink = p[OR(-1, 0)]);
    fief_free(rt, PAIR, p, 48);
}

static void read_before_unit(bool mistaken)
{
    fief_unit unit = fief_unit_begin(rt);
    char *p;
    MADE(p = fief_temp(rt, char, 20));
    memset(p, 0, 20);
    ACCESS(sink = p[OR(-1, 0)]);
    fief_unit_end(rt, unit);
}

static void overflow_pool_closed(bool mistaken)
{
    fief_pool *slots = fief_pool_open(rt, "slots", 48);
    char *p;
    MADE(p = fief_pool_take(slots));
    ACCESS(p[OR(48, 47)] = 1);
    FOUND(fief_pool_close(slots));
}

static void overflow_checked(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 40));
    ACCESS(p[OR(40, 39)] = 1);
    FOUND((void)fief_check(rt));
    fief_heap_free(heap, p, 40);
}

static void overflow_resized(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 40));
    ACCESS(p[OR(40, 39)] = 1);
    FOUND(p = fief_heap_resize(heap, p, 40, 80));
    fief_heap_free(heap, p, 80);
}

static void overflow_rewound(bool mistaken)
{
    fief_arena *own = fief_arena_open(rt, NULL);
    fief_mark mark = fief_arena_mark(own);
    char *p;
    MADE(p = fief_arena_alloc(own, 40));
    ACCESS(p[OR(40, 39)] = 1);
    FOUND(fief_arena_rewind(own, mark));
}

static void overflow_closed(bool mistaken)
{
    fief_runtime *other = open_another();
    char *p;
    MADE(p = fief_arena_alloc(fief_vm_arena(other), 40));
    ACCESS(p[OR(40, 39)] = 1);
    FOUND((void)fief_close(other));
}

static void uninitialised_heap(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 40));
    memset(p, 0, OR(8, 40));
    ACCESS(if (p[9] == 7) do_nothing());
    fief_heap_free(heap, p, 40);
}

static void uninitialised_pool(bool mistaken)
{
    fief_pool *slots = fief_pool_open(rt, "slots", 48);
    char *p;
    MADE(p = fief_pool_take(slots));
    memset(p, 0, OR(8, 48));
    ACCESS(if (p[9] == 7) do_nothing());
    fief_pool_give(slots, p);
}

static void uninitialised_unit(bool mistaken)
{
    fief_unit unit = fief_unit_begin(rt);
    char *p;
    MADE(p = fief_temp(rt, char, 20));
    memset(p, 0, OR(8, 20));
    ACCESS(if (p[9] == 7) do_nothing());
    fief_unit_end(rt, unit);
}

static void uninitialised_unsized(bool mistaken)
{
    char *p;
    MADE(p = fief_malloc(rt, 48));
    memset(p, 0, OR(8, 48));
    ACCESS(if (p[9] == 7) do_nothing());
    fief_release(rt, p);
}

static const row rows[] = {
    ROW(overflow, heap, overflow, NEXT, NOW, NOW),
    ROW(overflow, odd_size, overflow, NEXT, NOW, NOW),
    ROW(overflow, unsized, overflow, NEXT, NOW, NOW),
    ROW(overflow, medium, overflow, NEXT, NOW, NOW),
    ROW(overflow, large, overflow, NEXT, NOW, NOW),
    ROW(overflow, pool, overflow, NEXT, NOW, NOW),
    ROW(overflow, unit, overflow, NEXT, NOW, NOW),
    ROW(overflow, vm, overflow, NEXT, NOW, NOW),
    ROW(overflow, arena, overflow, NEXT, NOW, NOW),
    ROW(overflow, buffer, overflow, NEXT, NOW, NOW),
    ROW(overflow, stack, overflow, NEXT, NOW, NOW),
    ROW(underflow, heap, underflow, NEXT, NOW, NOW),
    ROW(underflow, unsized, underflow, NEXT, NOW, NOW),
    ROW(underflow, medium, underflow, NEXT, NOW, NOW),
    ROW(underflow, large, underflow, NEXT, NOW, NOW),
    ROW(underflow, pool, underflow, NEXT, NOW, NOW),
    ROW(underflow, unit, underflow, NEXT, NOW, NOW),
    ROW(underflow, vm, underflow, NEXT, NOW, NOW),
    ROW(underflow, arena, underflow, NEXT, NOW, NOW),
    ROW(underflow, buffer, underflow, NEXT, NOW, NOW),
    ROW(underflow, stack, underflow, NEXT, NOW, NOW),
    ROW(overflow_far, heap, overflow, NEXT, NOW, NOW),
    ROW(overflow_far, pool, overflow, NEXT, NOW, NOW),
    ROW(overflow_far, medium, overflow, NEXT, NOW, NOW),
    ROW(overflow_far, unit, overflow, NEXT, NOW, NOW),
    ROW(overflow_far, vm, overflow, NEXT, NOW, NOW),
    ROW(overflow_far, unsized, overflow, NEXT, NOW, NOW),
    ROW(overflow_far, large, overflow, NEXT, NOW, NOW),
    ROW(overflow_far, arena, overflow, NEXT, NOW, NOW),
    ROW(overflow_far, buffer, overflow, NEXT, NOW, NOW),
    ROW(overflow_far, stack, overflow, NEXT, NOW, NOW),
    ROW(read_past, heap, overflow, NOT_HERE, NOW, NOW),
    ROW(read_past, unsized, overflow, NOT_HERE, NOW, NOW),
    ROW(read_past, medium, overflow, NOT_HERE, NOW, NOW),
    ROW(read_past, large, overflow, NOT_HERE, NOW, NOW),
    ROW(read_past, pool, overflow, NOT_HERE, NOW, NOW),
    ROW(read_past, unit, overflow, NOT_HERE, NOW, NOW),
    ROW(read_past, vm, overflow, NOT_HERE, NOW, NOW),
    ROW(read_past, arena, overflow, NOT_HERE, NOW, NOW),
    ROW(read_past, buffer, overflow, NOT_HERE, NOW, NOW),
    ROW(read_past, stack, overflow, NOT_HERE, NOW, NOW),
    ROW(read_before, heap, underflow, NOT_HERE, NOW, NOW),
    ROW(read_before, pool, underflow, NOT_HERE, NOW, NOW),
    ROW(read_before, unit, underflow, NOT_HERE, NOW, NOW),
    ROW(overflow, pool_closed, overflow, NEXT, NOW, NOW),
    ROW(overflow, checked, overflow, NEXT, NOW, NOW),
    ROW(overflow, resized, overflow, NEXT, NOW, NOW),
    ROW(overflow, rewound, overflow, NEXT, NOW, NOW),
    ROW(overflow, closed, overflow, NEXT, NOW, NOW),
    ROW(uninitialised, heap, uninitialised, NOT_HERE, NOT_HERE, NOW),
    ROW(uninitialised, pool, uninitialised, NOT_HERE, NOT_HERE, NOW),
    ROW(uninitialised, unit, uninitialised, NOT_HERE, NOT_HERE, NOW),
    ROW(uninitialised, unsized, uninitialised, NOT_HERE, NOT_HERE, NOW),
};
THEME(bounds);
