/* order: units, frames and marks that end in the wrong order. */
#include "row.h"

static void unit_order_outer_first(bool mistaken)
{
    fief_unit outer = fief_unit_begin(rt), inner = fief_unit_begin(rt);
    WRONG(fief_unit_end(rt, outer));
    fief_unit_end(rt, inner);
    fief_unit_end(rt, outer);
}

static void unit_order_ended_twice(bool mistaken)
{
    fief_unit unit = fief_unit_begin(rt);
    fief_unit_end(rt, unit);
    WRONG(fief_unit_end(rt, unit));
}

static void unit_order_inner_ended_twice(bool mistaken)
{
    fief_unit outer = fief_unit_begin(rt), inner = fief_unit_begin(rt);
    fief_unit_end(rt, inner);
    WRONG(fief_unit_end(rt, inner));
    fief_unit_end(rt, outer);
}

static void unit_order_outer_kept_first(bool mistaken)
{
    fief_unit outer = fief_unit_begin(rt), inner = fief_unit_begin(rt);
    WRONG((void)fief_unit_keep(rt, outer));
    fief_unit_end(rt, inner);
    fief_unit_end(rt, outer);
}

static void unit_order_kept_twice(bool mistaken)
{
    fief_unit unit = fief_unit_begin(rt);
    (void)fief_unit_keep(rt, unit);
    WRONG((void)fief_unit_keep(rt, unit));
}

static void unit_order_ended_when_kept(bool mistaken)
{
    fief_unit unit = fief_unit_begin(rt);
    (void)fief_unit_keep(rt, unit);
    WRONG(fief_unit_end(rt, unit));
}

static void unit_order_never_begun(bool mistaken)
{
    fief_unit unit = {.number = 7};
    WRONG(fief_unit_end(rt, unit));
}

static void unit_order_reset_with_an_open_unit(bool mistaken)
{
    fief_unit unit = fief_unit_begin(rt);
    WRONG(fief_arena_reset(fief_compiler_arena(rt)));
    fief_unit_end(rt, unit);
}

static void unit_order_close_with_an_open_unit(bool mistaken)
{
    fief_unit unit = fief_unit_begin(rt);
    WRONG(fief_arena_close(fief_compiler_arena(rt)));
    fief_unit_end(rt, unit);
}

static void unit_order_rewind_below_a_unit(bool mistaken)
{
    fief_unit outer = fief_unit_begin(rt);
    fief_mark mark = fief_arena_mark(fief_compiler_arena(rt));
    (void)fief_temp(rt, char, 40);
    fief_unit inner = fief_unit_begin(rt);
    WRONG(fief_arena_rewind(fief_compiler_arena(rt), mark));
    fief_unit_end(rt, inner);
    fief_unit_end(rt, outer);
}

static void unit_order_outer_sent(bool mistaken)
{
    fief_unit outer = fief_unit_begin(rt), inner = fief_unit_begin(rt);
    char *text = fief_temp(rt, char, 40);
    WRONG((void)fief_unit_send(rt, outer, text, NULL));
    fief_parcel *parcel = fief_unit_send(rt, inner, text, NULL);
    fief_parcel_drop(&parcel);
    fief_unit_end(rt, inner);
    fief_unit_end(rt, outer);
}

static void not_lifo_older_first(bool mistaken)
{
    fief_stack *frames = fief_frame_stack(rt);
    char *older, *newer;
    MADE(older = fief_stack_push(frames, 32));
    newer = fief_stack_push(frames, 32);
    WRONG((void)fief_stack_pop(frames, older, 32));
    (void)fief_stack_pop(frames, newer, 32);
    (void)fief_stack_pop(frames, older, 32);
}

static void not_lifo_popped_twice(bool mistaken)
{
    fief_stack *frames = fief_frame_stack(rt);
    char *p;
    MADE(p = fief_stack_push(frames, 32));
    DIED((void)fief_stack_pop(frames, p, 32));
    WRONG((void)fief_stack_pop(frames, p, 32));
}

static void not_lifo_wrong_size(bool mistaken)
{
    fief_stack *frames = fief_frame_stack(rt);
    char *p;
    MADE(p = fief_stack_push(frames, 32));
    WRONG((void)fief_stack_pop(frames, p, 40));
    (void)fief_stack_pop(frames, p, 32);
}

static void not_lifo_inside_a_frame(bool mistaken)
{
    fief_stack *frames = fief_frame_stack(rt);
    char *p;
    MADE(p = fief_stack_push(frames, 32));
    WRONG((void)fief_stack_pop(frames, p + 8, 24));
    (void)fief_stack_pop(frames, p, 32);
}

static void not_lifo_heap_block(bool mistaken)
{
    fief_stack *frames = fief_frame_stack(rt);
    char *p;
    MADE(p = fief_heap_alloc(heap, 32));
    WRONG((void)fief_stack_pop(frames, p, 32));
    fief_heap_free(heap, p, 32);
}

static void not_lifo_empty_stack(bool mistaken)
{
    fief_stack *frames = fief_frame_stack(rt);
    static char there[32];
    WRONG((void)fief_stack_pop(frames, there, 32));
}

static void wrong_arena_arenas(bool mistaken)
{
    fief_arena *a = fief_arena_open(rt, NULL), *b = fief_arena_open(rt, NULL);
    (void)fief_arena_alloc(a, 10);
    (void)fief_arena_alloc(b, 10);
    fief_mark mark = fief_arena_mark(a);
    WRONG(fief_arena_rewind(b, mark));
    fief_arena_rewind(a, mark);
}

static void wrong_arena_stacks(bool mistaken)
{
    fief_stack *other = fief_stack_open(rt, NULL);
    fief_mark mark = fief_stack_mark(other);
    WRONG(fief_stack_rewind(fief_frame_stack(rt), mark));
    fief_stack_rewind(other, mark);
}

static void wrong_arena_vm_and_unit(bool mistaken)
{
    fief_unit unit = fief_unit_begin(rt);
    (void)fief_temp(rt, char, 10);
    fief_mark mark = fief_arena_mark(fief_compiler_arena(rt));
    WRONG(fief_arena_rewind(fief_vm_arena(rt), mark));
    fief_unit_end(rt, unit);
}

static void stale_mark_rewound(bool mistaken)
{
    fief_arena *own = fief_arena_open(rt, NULL);
    (void)fief_arena_alloc(own, 10);
    fief_mark early = fief_arena_mark(own);
    (void)fief_arena_alloc(own, 10);
    fief_mark late = fief_arena_mark(own);
    fief_arena_rewind(own, early);
    WRONG(fief_arena_rewind(own, late));
}

static void stale_mark_reset(bool mistaken)
{
    fief_arena *own = fief_arena_open(rt, NULL);
    (void)fief_arena_alloc(own, 10);
    fief_mark mark = fief_arena_mark(own);
    fief_arena_reset(own);
    WRONG(fief_arena_rewind(own, mark));
}

static void stale_mark_reset_and_filled(bool mistaken)
{
    fief_arena *own = fief_arena_open(rt, NULL);
    (void)fief_arena_alloc(own, 10);
    fief_mark mark = fief_arena_mark(own);
    fief_arena_reset(own);
    (void)fief_arena_alloc(own, 1000);
    WRONG(fief_arena_rewind(own, mark));
}

static void stale_mark_stack(bool mistaken)
{
    fief_stack *frames = fief_frame_stack(rt);
    char *p = fief_stack_push(frames, 32);
    fief_mark mark = fief_stack_mark(frames);
    (void)fief_stack_pop(frames, p, 32);
    WRONG(fief_stack_rewind(frames, mark));
}

static void stale_mark_later_span(bool mistaken)
{
    fief_arena *own = fief_arena_open(rt, NULL);
    (void)fief_arena_alloc(own, 10);
    fief_mark early = fief_arena_mark(own);
    for (int i = 0; i < 30; i++) {
        (void)fief_arena_alloc(own, 4000);
    }
    fief_mark late = fief_arena_mark(own);
    fief_arena_rewind(own, early);
    WRONG(fief_arena_rewind(own, late));
}

static void unit_order_open_frame(bool mistaken)
{
    fief_stack *frames = fief_frame_stack(rt);
    fief_unit unit = fief_unit_begin(rt);
    char *p = fief_stack_push(frames, 32);
    WRONG(fief_unit_end(rt, unit));
    (void)fief_stack_pop(frames, p, 32);
    fief_unit_end(rt, unit);
}

static const row rows[] = {
    ROW(unit_order, outer_first, unit_order, NOW, NOW, NOW),
    ROW(unit_order, open_frame, unit_order, NOW, NOW, NOW),
    ROW(unit_order, ended_twice, unit_order, NOW, NOW, NOW),
    ROW(unit_order, inner_ended_twice, unit_order, NOW, NOW, NOW),
    ROW(unit_order, outer_kept_first, unit_order, NOW, NOW, NOW),
    ROW(unit_order, kept_twice, unit_order, NOW, NOW, NOW),
    ROW(unit_order, ended_when_kept, unit_order, NOW, NOW, NOW),
    ROW(unit_order, never_begun, unit_order, NOW, NOW, NOW),
    ROW(unit_order, reset_with_an_open_unit, unit_order, NOW, NOW, NOW),
    ROW(unit_order, close_with_an_open_unit, unit_order, NOW, NOW, NOW),
    ROW(unit_order, rewind_below_a_unit, unit_order, NOW, NOW, NOW),
    ROW(unit_order, outer_sent, unit_order, NOW, NOW, NOW),
    ROW(not_lifo, older_first, not_lifo, NOW, NOW, NOW),
    ROW(not_lifo, popped_twice, not_lifo, NOW, NOW, NOW),
    ROW(not_lifo, wrong_size, not_lifo, NOW, NOW, NOW),
    ROW(not_lifo, inside_a_frame, not_lifo, NOW, NOW, NOW),
    ROW(not_lifo, heap_block, not_lifo, NOW, NOW, NOW),
    ROW(not_lifo, empty_stack, not_lifo, NOW, NOW, NOW),
    ROW(wrong_arena, arenas, wrong_arena, NOW, NOW, NOW),
    ROW(wrong_arena, stacks, wrong_arena, NOW, NOW, NOW),
    ROW(wrong_arena, vm_and_unit, wrong_arena, NOW, NOW, NOW),
    ROW(stale_mark, rewound, stale_mark, NOW, NOW, NOW),
    ROW(stale_mark, reset, stale_mark, NOW, NOW, NOW),
    ROW(stale_mark, reset_and_filled, stale_mark, NOW, NOW, NOW),
    ROW(stale_mark, stack, stale_mark, NOW, NOW, NOW),
    ROW(stale_mark, later_span, stale_mark, NOW, NOW, NOW),
};
THEME(order);
