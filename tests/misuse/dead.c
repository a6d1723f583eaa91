/* dead: accesses to blocks that died: freed, reset, rewound, closed, handed out again. */
#include "row.h"

static void write_after_free_heap(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 64));
    DIED(fief_heap_free(heap, p, 64));
    ACCESS(OR(p, elsewhere)[8] = 1);
    FOUND((void)fief_check(rt));
}

static void read_after_free_heap(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 64));
    DIED(fief_heap_free(heap, p, 64));
    ACCESS(sink = OR(p, elsewhere)[8]);
}

static void write_after_free_unsized(bool mistaken)
{
    char *p;
    MADE(p = fief_malloc(rt, 64));
    DIED(fief_release(rt, p));
    ACCESS(OR(p, elsewhere)[8] = 1);
    FOUND((void)fief_check(rt));
}

static void read_after_free_unsized(bool mistaken)
{
    char *p;
    MADE(p = fief_malloc(rt, 64));
    DIED(fief_release(rt, p));
    ACCESS(sink = OR(p, elsewhere)[8]);
}

static void write_after_free_medium(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 3000));
    DIED(fief_heap_free(heap, p, 3000));
    ACCESS(OR(p, elsewhere)[8] = 1);
    FOUND((void)fief_check(rt));
}

static void read_after_free_medium(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 3000));
    DIED(fief_heap_free(heap, p, 3000));
    ACCESS(sink = OR(p, elsewhere)[8]);
}

static void write_after_free_large(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 300000));
    DIED(fief_heap_free(heap, p, 300000));
    ACCESS(OR(p, elsewhere)[8] = 1);
    FOUND((void)fief_check(rt));
}

static void read_after_free_large(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 300000));
    DIED(fief_heap_free(heap, p, 300000));
    ACCESS(sink = OR(p, elsewhere)[8]);
}

static void write_after_free_pool(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, PAIR, FIEF_DYNAMIC, 48));
    DIED(fief_free(rt, PAIR, p, 48));
    ACCESS(OR(p, elsewhere)[8] = 1);
    FOUND((void)fief_check(rt));
}

static void read_after_free_pool(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, PAIR, FIEF_DYNAMIC, 48));
    DIED(fief_free(rt, PAIR, p, 48));
    ACCESS(sink = OR(p, elsewhere)[8]);
}

static void write_after_free_huge(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 3000000));
    DIED(fief_heap_free(heap, p, 3000000));
    ACCESS(OR(p, elsewhere)[8] = 1);
}

static void read_after_free_huge(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 3000000));
    DIED(fief_heap_free(heap, p, 3000000));
    ACCESS(sink = OR(p, elsewhere)[8]);
}

static void write_after_reset_unit(bool mistaken)
{
    fief_unit unit = fief_unit_begin(rt);
    char *p;
    MADE(p = fief_new(rt, NODE, FIEF_TEMPORARY, 40));
    DIED(fief_unit_end(rt, unit));
    ACCESS(OR(p, elsewhere)[8] = 1);
}

static void read_after_reset_unit(bool mistaken)
{
    fief_unit unit = fief_unit_begin(rt);
    char *p;
    MADE(p = fief_new(rt, NODE, FIEF_TEMPORARY, 40));
    DIED(fief_unit_end(rt, unit));
    ACCESS(sink = OR(p, elsewhere)[8]);
}

static void write_after_reset_unit_large(bool mistaken)
{
    fief_unit unit = fief_unit_begin(rt);
    char *p;
    MADE(p = fief_temp(rt, char, 300000));
    DIED(fief_unit_end(rt, unit));
    ACCESS(OR(p, elsewhere)[8] = 1);
}

static void read_after_reset_unit_large(bool mistaken)
{
    fief_unit unit = fief_unit_begin(rt);
    char *p;
    MADE(p = fief_temp(rt, char, 300000));
    DIED(fief_unit_end(rt, unit));
    ACCESS(sink = OR(p, elsewhere)[8]);
}

static void write_after_reset_arena(bool mistaken)
{
    fief_arena *own = fief_arena_open(rt, NULL);
    char *p;
    MADE(p = fief_arena_alloc(own, 40));
    DIED(fief_arena_reset(own));
    ACCESS(OR(p, elsewhere)[8] = 1);
}

static void read_after_reset_arena(bool mistaken)
{
    fief_arena *own = fief_arena_open(rt, NULL);
    char *p;
    MADE(p = fief_arena_alloc(own, 40));
    DIED(fief_arena_reset(own));
    ACCESS(sink = OR(p, elsewhere)[8]);
}

static void write_after_reset_arena_closed(bool mistaken)
{
    fief_arena *own = fief_arena_open(rt, NULL);
    char *p;
    MADE(p = fief_arena_alloc(own, 40));
    DIED(fief_arena_close(own));
    ACCESS(OR(p, elsewhere)[8] = 1);
}

static void read_after_reset_arena_closed(bool mistaken)
{
    fief_arena *own = fief_arena_open(rt, NULL);
    char *p;
    MADE(p = fief_arena_alloc(own, 40));
    DIED(fief_arena_close(own));
    ACCESS(sink = OR(p, elsewhere)[8]);
}

static void write_after_reset_buffer(bool mistaken)
{
    static char bytes[4096];
    fief_arena_config config = {.buffer = bytes, .buffer_size = sizeof bytes};
    fief_arena *own = fief_arena_open(rt, &config);
    char *p;
    MADE(p = fief_arena_alloc(own, 40));
    DIED(fief_arena_reset(own));
    ACCESS(OR(p, elsewhere)[8] = 1);
}

static void read_after_reset_buffer(bool mistaken)
{
    static char bytes[4096];
    fief_arena_config config = {.buffer = bytes, .buffer_size = sizeof bytes};
    fief_arena *own = fief_arena_open(rt, &config);
    char *p;
    MADE(p = fief_arena_alloc(own, 40));
    DIED(fief_arena_reset(own));
    ACCESS(sink = OR(p, elsewhere)[8]);
}

static void write_after_reset_stack(bool mistaken)
{
    fief_stack *frames = fief_stack_open(rt, NULL);
    char *p;
    MADE(p = fief_stack_push(frames, 40));
    DIED(fief_stack_close(frames));
    ACCESS(OR(p, elsewhere)[8] = 1);
}

static void read_after_reset_stack(bool mistaken)
{
    fief_stack *frames = fief_stack_open(rt, NULL);
    char *p;
    MADE(p = fief_stack_push(frames, 40));
    DIED(fief_stack_close(frames));
    ACCESS(sink = OR(p, elsewhere)[8]);
}

static void write_after_close_vm(bool mistaken)
{
    fief_runtime *other = open_another();
    char *p;
    MADE(p = fief_arena_alloc(fief_vm_arena(other), 40));
    DIED((void)fief_close(other));
    ACCESS(OR(p, elsewhere)[8] = 1);
}

static void read_after_close_vm(bool mistaken)
{
    fief_runtime *other = open_another();
    char *p;
    MADE(p = fief_arena_alloc(fief_vm_arena(other), 40));
    DIED((void)fief_close(other));
    ACCESS(sink = OR(p, elsewhere)[8]);
}

static void write_after_close_heap(bool mistaken)
{
    fief_runtime *other = open_another();
    char *p;
    MADE(p = fief_heap_alloc(fief_runtime_heap(other), 40));
    DIED(fief_heap_free(fief_runtime_heap(other), p, 40));
    (void)fief_close(other);
    ACCESS(OR(p, elsewhere)[8] = 1);
}

static void read_after_close_heap(bool mistaken)
{
    fief_runtime *other = open_another();
    char *p;
    MADE(p = fief_heap_alloc(fief_runtime_heap(other), 40));
    DIED(fief_heap_free(fief_runtime_heap(other), p, 40));
    (void)fief_close(other);
    ACCESS(sink = OR(p, elsewhere)[8]);
}

static void write_after_close_pool(bool mistaken)
{
    fief_runtime *other = open_another();
    char *p;
    MADE(p = fief_new(other, PAIR, FIEF_DYNAMIC, 48));
    DIED(fief_free(other, PAIR, p, 48));
    (void)fief_close(other);
    ACCESS(OR(p, elsewhere)[8] = 1);
}

static void read_after_close_pool(bool mistaken)
{
    fief_runtime *other = open_another();
    char *p;
    MADE(p = fief_new(other, PAIR, FIEF_DYNAMIC, 48));
    DIED(fief_free(other, PAIR, p, 48));
    (void)fief_close(other);
    ACCESS(sink = OR(p, elsewhere)[8]);
}

static void write_after_rewind_pages(bool mistaken)
{
    fief_arena *own = fief_arena_open(rt, NULL);
    (void)fief_arena_alloc(own, 10);
    fief_mark mark = fief_arena_mark(own);
    char *p;
    MADE(p = fief_arena_alloc(own, 20000));
    DIED(fief_arena_rewind(own, mark));
    ACCESS(OR(p, elsewhere)[15000] = 1);
}

static void read_after_rewind_pages(bool mistaken)
{
    fief_arena *own = fief_arena_open(rt, NULL);
    (void)fief_arena_alloc(own, 10);
    fief_mark mark = fief_arena_mark(own);
    char *p;
    MADE(p = fief_arena_alloc(own, 20000));
    DIED(fief_arena_rewind(own, mark));
    ACCESS(sink = OR(p, elsewhere)[15000]);
}

static void write_after_rewind_nested_unit(bool mistaken)
{
    fief_unit outer = fief_unit_begin(rt), inner = fief_unit_begin(rt);
    char *p;
    MADE(p = fief_temp(rt, char, 20000));
    DIED(fief_unit_end(rt, inner));
    ACCESS(OR(p, elsewhere)[15000] = 1);
    fief_unit_end(rt, outer);
}

static void read_after_rewind_nested_unit(bool mistaken)
{
    fief_unit outer = fief_unit_begin(rt), inner = fief_unit_begin(rt);
    char *p;
    MADE(p = fief_temp(rt, char, 20000));
    DIED(fief_unit_end(rt, inner));
    ACCESS(sink = OR(p, elsewhere)[15000]);
    fief_unit_end(rt, outer);
}

static void write_after_rewind_stack(bool mistaken)
{
    fief_stack *frames = fief_frame_stack(rt);
    fief_mark mark = fief_stack_mark(frames);
    char *p;
    MADE(p = fief_stack_push(frames, 20000));
    DIED(fief_stack_rewind(frames, mark));
    ACCESS(OR(p, elsewhere)[15000] = 1);
}

static void read_after_rewind_stack(bool mistaken)
{
    fief_stack *frames = fief_frame_stack(rt);
    fief_mark mark = fief_stack_mark(frames);
    char *p;
    MADE(p = fief_stack_push(frames, 20000));
    DIED(fief_stack_rewind(frames, mark));
    ACCESS(sink = OR(p, elsewhere)[15000]);
}

static void write_after_rewind_shared_page(bool mistaken)
{
    fief_arena *own = fief_arena_open(rt, NULL);
    (void)fief_arena_alloc(own, 10);
    fief_mark mark = fief_arena_mark(own);
    char *p;
    MADE(p = fief_arena_alloc(own, 100));
    DIED(fief_arena_rewind(own, mark));
    ACCESS(OR(p, elsewhere)[8] = 1);
    FOUND(fief_arena_reset(own));
}

static void read_after_rewind_shared_page(bool mistaken)
{
    fief_arena *own = fief_arena_open(rt, NULL);
    (void)fief_arena_alloc(own, 10);
    fief_mark mark = fief_arena_mark(own);
    char *p;
    MADE(p = fief_arena_alloc(own, 100));
    DIED(fief_arena_rewind(own, mark));
    ACCESS(sink = OR(p, elsewhere)[8]);
}

static void write_after_reuse_heap(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 64));
    DIED(fief_heap_free(heap, p, 64));
    char *again = fief_heap_alloc(heap, 64);
    ACCESS(OR(p, elsewhere)[8] = 1);
    FOUND((void)fief_check(rt));
    fief_heap_free(heap, again, 64);
}

static void read_after_reuse_heap(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 64));
    DIED(fief_heap_free(heap, p, 64));
    char *again = fief_heap_alloc(heap, 64);
    ACCESS(sink = OR(p, elsewhere)[8]);
    fief_heap_free(heap, again, 64);
}

static void write_after_reuse_pool(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, PAIR, FIEF_DYNAMIC, 48));
    DIED(fief_free(rt, PAIR, p, 48));
    char *again = fief_new(rt, PAIR, FIEF_DYNAMIC, 48);
    ACCESS(OR(p, elsewhere)[8] = 1);
    FOUND((void)fief_check(rt));
    fief_free(rt, PAIR, again, 48);
}

static void read_after_reuse_pool(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, PAIR, FIEF_DYNAMIC, 48));
    DIED(fief_free(rt, PAIR, p, 48));
    char *again = fief_new(rt, PAIR, FIEF_DYNAMIC, 48);
    ACCESS(sink = OR(p, elsewhere)[8]);
    fief_free(rt, PAIR, again, 48);
}

static void write_after_reuse_unit(bool mistaken)
{
    fief_unit unit = fief_unit_begin(rt);
    char *p;
    MADE(p = fief_temp(rt, char, 40));
    DIED(fief_unit_end(rt, unit));
    unit = fief_unit_begin(rt);
    (void)fief_temp(rt, char, 40);
    ACCESS(OR(p, elsewhere)[8] = 1);
    fief_unit_end(rt, unit);
}

static void read_after_reuse_unit(bool mistaken)
{
    fief_unit unit = fief_unit_begin(rt);
    char *p;
    MADE(p = fief_temp(rt, char, 40));
    DIED(fief_unit_end(rt, unit));
    unit = fief_unit_begin(rt);
    (void)fief_temp(rt, char, 40);
    ACCESS(sink = OR(p, elsewhere)[8]);
    fief_unit_end(rt, unit);
}

static void write_after_reuse_mark(bool mistaken)
{
    fief_arena *own = fief_arena_open(rt, NULL);
    (void)fief_arena_alloc(own, 10);
    fief_mark mark = fief_arena_mark(own);
    char *p;
    MADE(p = fief_arena_alloc(own, 20000));
    DIED(fief_arena_rewind(own, mark));
    (void)fief_arena_alloc(own, 20000);
    ACCESS(OR(p, elsewhere)[15000] = 1);
}

static void read_after_reuse_mark(bool mistaken)
{
    fief_arena *own = fief_arena_open(rt, NULL);
    (void)fief_arena_alloc(own, 10);
    fief_mark mark = fief_arena_mark(own);
    char *p;
    MADE(p = fief_arena_alloc(own, 20000));
    DIED(fief_arena_rewind(own, mark));
    (void)fief_arena_alloc(own, 20000);
    ACCESS(sink = OR(p, elsewhere)[15000]);
}

static const row rows[] = {
    ROW(write_after_free, heap, write_after_free, NEXT, NOW, NOW),
    ROW(read_after_free, heap, write_after_free, NOT_HERE, NOW, NOW),
    ROW(write_after_free, unsized, write_after_free, NEXT, NOW, NOW),
    ROW(read_after_free, unsized, write_after_free, NOT_HERE, NOW, NOW),
    ROW(write_after_free, medium, write_after_free, NEXT, NOW, NOW),
    ROW(read_after_free, medium, write_after_free, NOT_HERE, NOW, NOW),
    ROW(write_after_free, large, write_after_free, NEXT, NOW, NOW),
    ROW(read_after_free, large, write_after_free, NOT_HERE, NOW, NOW),
    ROW(write_after_free, pool, write_after_free, NEXT, NOW, NOW),
    ROW(read_after_free, pool, write_after_free, NOT_HERE, NOW, NOW),
    ROW(write_after_free, huge, write_after_free, NOT_HERE, NOW, NOW),
    ROW(read_after_free, huge, write_after_free, NOT_HERE, NOW, NOW),
    ROW(write_after_reset, unit, use_after_reset, NOW, NOW, NOW),
    ROW(read_after_reset, unit, use_after_reset, NOW, NOW, NOW),
    ROW(write_after_reset, unit_large, use_after_reset, NOW, NOW, NOW),
    ROW(read_after_reset, unit_large, use_after_reset, NOW, NOW, NOW),
    ROW(write_after_reset, arena, use_after_reset, NOW, NOW, NOW),
    ROW(read_after_reset, arena, use_after_reset, NOW, NOW, NOW),
    ROW(write_after_reset, arena_closed, use_after_reset, NOW, NOW, NOW),
    ROW(read_after_reset, arena_closed, use_after_reset, NOW, NOW, NOW),
    ROW(write_after_reset, buffer, use_after_reset, NOT_HERE, NOW, NOW),
    ROW(read_after_reset, buffer, use_after_reset, NOT_HERE, NOW, NOW),
    ROW(write_after_reset, stack, use_after_reset, NOW, NOW, NOW),
    ROW(read_after_reset, stack, use_after_reset, NOW, NOW, NOW),
    ROW(write_after_close, vm, use_after_close, NOW, NOW, NOW),
    ROW(read_after_close, vm, use_after_close, NOW, NOW, NOW),
    ROW(write_after_close, heap, use_after_close, NOW, NOW, NOW),
    ROW(read_after_close, heap, use_after_close, NOW, NOW, NOW),
    ROW(write_after_close, pool, use_after_close, NOW, NOW, NOW),
    ROW(read_after_close, pool, use_after_close, NOW, NOW, NOW),
    ROW(write_after_rewind, pages, use_after_rewind, NOW, NOW, NOW),
    ROW(read_after_rewind, pages, use_after_rewind, NOW, NOW, NOW),
    ROW(write_after_rewind, nested_unit, use_after_rewind, NOW, NOW, NOW),
    ROW(read_after_rewind, nested_unit, use_after_rewind, NOW, NOW, NOW),
    ROW(write_after_rewind, stack, use_after_rewind, NOW, NOW, NOW),
    ROW(read_after_rewind, stack, use_after_rewind, NOW, NOW, NOW),
    ROW(write_after_rewind, shared_page, use_after_rewind, NEXT, NOW, NOW),
    ROW(read_after_rewind, shared_page, use_after_rewind, NOT_HERE, NOW, NOW),
    ROW(write_after_reuse, heap, write_after_free, NEXT, NOW, NOW),
    ROW(read_after_reuse, heap, write_after_free, NOT_HERE, NOW, NOW),
    ROW(write_after_reuse, pool, write_after_free, NEXT, NOW, NOW),
    ROW(read_after_reuse, pool, write_after_free, NOT_HERE, NOW, NOW),
    ROW(write_after_reuse, unit, use_after_reset, NOW, NOW, NOW),
    ROW(read_after_reuse, unit, use_after_reset, NOW, NOW, NOW),
    ROW(write_after_reuse, mark, use_after_rewind, NOW, NOW, NOW),
    ROW(read_after_reuse, mark, use_after_rewind, NOW, NOW, NOW),
};
THEME(dead);
