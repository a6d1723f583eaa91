/* calls: a runtime that is closed or not ours to call, arguments out of range, and leaks. */
#include "row.h"

static void use_of_a_closed_runtime_malloc(bool mistaken)
{
    fief_runtime *other = open_another();
    (void)fief_close(other);
    WRONG((void)fief_malloc(other, 10));
}

static void use_of_a_closed_runtime_new(bool mistaken)
{
    fief_runtime *other = open_another();
    (void)fief_close(other);
    WRONG((void)fief_new(other, PAIR, FIEF_DYNAMIC, 48));
}

static void use_of_a_closed_runtime_heap(bool mistaken)
{
    fief_runtime *other = open_another();
    (void)fief_close(other);
    WRONG((void)fief_heap_alloc(fief_runtime_heap(other), 10));
}

static void use_of_a_closed_runtime_arena(bool mistaken)
{
    fief_runtime *other = open_another();
    (void)fief_close(other);
    WRONG((void)fief_arena_alloc(fief_vm_arena(other), 10));
}

static void use_of_a_closed_runtime_unit(bool mistaken)
{
    fief_runtime *other = open_another();
    (void)fief_close(other);
    WRONG((void)fief_unit_begin(other));
}

static void use_of_a_closed_runtime_check(bool mistaken)
{
    fief_runtime *other = open_another();
    (void)fief_close(other);
    WRONG((void)fief_check(other));
}

static void use_of_a_closed_runtime_push(bool mistaken)
{
    fief_runtime *other = open_another();
    (void)fief_close(other);
    WRONG((void)fief_stack_push(fief_frame_stack(other), 10));
}

static void use_of_a_closed_runtime_trim(bool mistaken)
{
    fief_runtime *other = open_another();
    (void)fief_close(other);
    WRONG((void)fief_trim(other));
}

static void use_of_a_closed_runtime_open(bool mistaken)
{
    fief_runtime *other = open_another();
    (void)fief_close(other);
    WRONG((void)fief_pool_open(other, "slots", 48));
}

static void close_twice_runtime(bool mistaken)
{
    fief_runtime *other = open_another();
    (void)fief_close(other);
    WRONG((void)fief_close(other));
}

static void heap_elsewhere(void *argument)
{
    bool mistaken = *(bool *)argument;
    WRONG((void)fief_heap_alloc(heap, 10));
}

static void wrong_thread_heap(bool mistaken)
{
    on_another_thread(heap_elsewhere, &mistaken);
}

static void new_elsewhere(void *argument)
{
    bool mistaken = *(bool *)argument;
    WRONG((void)fief_new(rt, PAIR, FIEF_DYNAMIC, 48));
}

static void wrong_thread_new(bool mistaken)
{
    on_another_thread(new_elsewhere, &mistaken);
}

static void arena_elsewhere(void *argument)
{
    bool mistaken = *(bool *)argument;
    WRONG((void)fief_arena_alloc(fief_vm_arena(rt), 10));
}

static void wrong_thread_arena(bool mistaken)
{
    on_another_thread(arena_elsewhere, &mistaken);
}

static void unit_elsewhere(void *argument)
{
    bool mistaken = *(bool *)argument;
    WRONG((void)fief_unit_begin(rt));
}

static void wrong_thread_unit(bool mistaken)
{
    on_another_thread(unit_elsewhere, &mistaken);
}

static void check_elsewhere(void *argument)
{
    bool mistaken = *(bool *)argument;
    WRONG((void)fief_check(rt));
}

static void wrong_thread_check(bool mistaken)
{
    on_another_thread(check_elsewhere, &mistaken);
}

static void close_elsewhere(void *argument)
{
    bool mistaken = *(bool *)argument;
    WRONG((void)fief_close(rt));
}

static void wrong_thread_close(bool mistaken)
{
    on_another_thread(close_elsewhere, &mistaken);
}

static void trim_elsewhere(void *argument)
{
    bool mistaken = *(bool *)argument;
    WRONG((void)fief_trim(rt));
}

static void wrong_thread_trim(bool mistaken)
{
    on_another_thread(trim_elsewhere, &mistaken);
}

static void open_elsewhere(void *argument)
{
    bool mistaken = *(bool *)argument;
    WRONG((void)fief_arena_open(rt, NULL));
}

static void wrong_thread_open(bool mistaken)
{
    on_another_thread(open_elsewhere, &mistaken);
}

static void strdup_elsewhere(void *argument)
{
    bool mistaken = *(bool *)argument;
    WRONG((void)fief_strdup(rt, FIEF_DYNAMIC, "text"));
}

static void wrong_thread_strdup(bool mistaken)
{
    on_another_thread(strdup_elsewhere, &mistaken);
}

static char *of_the_owner;

static void free_elsewhere(void *argument)
{
    bool mistaken = *(bool *)argument;
    WRONG(fief_heap_free(heap, of_the_owner, 40));
}

static void wrong_thread_free(bool mistaken)
{
    of_the_owner = fief_heap_alloc(heap, 40);
    on_another_thread(free_elsewhere, &mistaken);
    fief_heap_free(heap, of_the_owner, 40);
}

static void bad_alignment_not_a_power(bool mistaken)
{
    WRONG((void)fief_arena_alloc_aligned(fief_vm_arena(rt), 10, 24));
}

static void bad_alignment_zero(bool mistaken)
{
    WRONG((void)fief_arena_alloc_aligned(fief_vm_arena(rt), 10, 0));
}

static void bad_alignment_too_large(bool mistaken)
{
    WRONG((void)fief_arena_alloc_aligned(fief_vm_arena(rt), 10, 131072));
}

static void bad_alignment_heap(bool mistaken)
{
    WRONG((void)fief_heap_alloc_aligned(heap, 10, 3));
}

static void bad_alignment_unsized(bool mistaken)
{
    WRONG((void)fief_heap_alloc_unsized_aligned(heap, 10, 48));
}

static void no_strategy_context(bool mistaken)
{
    WRONG((void)fief_new(rt, SLOTLESS, FIEF_LITERAL, 10));
}

static void bad_kind_kind(bool mistaken)
{
    WRONG((void)fief_new(rt, KINDS, FIEF_DYNAMIC, 10));
}

static void bad_kind_context(bool mistaken)
{
    WRONG((void)fief_new(rt, PAIR, FIEF_CONTEXTS, 10));
}

static void bad_kind_free(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, PAIR, FIEF_DYNAMIC, 48));
    WRONG(fief_free(rt, KINDS, p, 48));
    fief_free(rt, PAIR, p, 48);
}

static void bad_kind_resize(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, PAIR, FIEF_DYNAMIC, 48));
    WRONG((void)fief_resize(rt, PAIR, p, 48, 96));
    fief_free(rt, PAIR, p, 48);
}

static void no_unit_temp(bool mistaken)
{
    WRONG((void)fief_temp(rt, int, 1));
}

static void no_unit_new(bool mistaken)
{
    WRONG((void)fief_new(rt, NODE, FIEF_TEMPORARY, 40));
}

static void no_unit_after_the_end(bool mistaken)
{
    fief_unit unit = fief_unit_begin(rt);
    fief_unit_end(rt, unit);
    WRONG((void)fief_temp(rt, int, 1));
}

static void leak_heap(bool mistaken)
{
    fief_runtime *own = open_another();
    char *p;
    MADE(p = fief_heap_alloc(fief_runtime_heap(own), 40));
    RIGHT(fief_heap_free(fief_runtime_heap(own), p, 40));
    ACCESS((void)fief_close(own));
}

static void leak_kind(bool mistaken)
{
    fief_runtime *own = open_another();
    char *p;
    MADE(p = fief_new(own, TEXT, FIEF_DYNAMIC, 64));
    RIGHT(fief_free(own, TEXT, p, 64));
    ACCESS((void)fief_close(own));
}

static void leak_unsized(bool mistaken)
{
    fief_runtime *own = open_another();
    char *p;
    MADE(p = fief_malloc(own, 40));
    RIGHT(fief_release(own, p));
    ACCESS((void)fief_close(own));
}

static void leak_medium(bool mistaken)
{
    fief_runtime *own = open_another();
    char *p;
    MADE(p = fief_heap_alloc(fief_runtime_heap(own), 3000));
    RIGHT(fief_heap_free(fief_runtime_heap(own), p, 3000));
    ACCESS((void)fief_close(own));
}

static void leak_large(bool mistaken)
{
    fief_runtime *own = open_another();
    char *p;
    MADE(p = fief_heap_alloc(fief_runtime_heap(own), 300000));
    RIGHT(fief_heap_free(fief_runtime_heap(own), p, 300000));
    ACCESS((void)fief_close(own));
}

static void leak_pool(bool mistaken)
{
    fief_runtime *own = open_another();
    char *p;
    MADE(p = fief_new(own, PAIR, FIEF_DYNAMIC, 48));
    RIGHT(fief_free(own, PAIR, p, 48));
    ACCESS((void)fief_close(own));
}

static const row rows[] = {
    ROW(use_of_a_closed_runtime, malloc, use_after_close, NOW, NOW, NOW),
    ROW(use_of_a_closed_runtime, new, use_after_close, NOW, NOW, NOW),
    ROW(use_of_a_closed_runtime, heap, use_after_close, NOW, NOW, NOW),
    ROW(use_of_a_closed_runtime, arena, use_after_close, NOW, NOW, NOW),
    ROW(use_of_a_closed_runtime, unit, use_after_close, NOW, NOW, NOW),
    ROW(use_of_a_closed_runtime, check, use_after_close, NOW, NOW, NOW),
    ROW(use_of_a_closed_runtime, push, use_after_close, NOW, NOW, NOW),
    ROW(use_of_a_closed_runtime, trim, use_after_close, NOW, NOW, NOW),
    ROW(use_of_a_closed_runtime, open, use_after_close, NOW, NOW, NOW),
    ROW(close_twice, runtime, use_after_close, NOW, NOW, NOW),
    ROW(wrong_thread, heap, wrong_thread, NOW, NOW, NOW),
    ROW(wrong_thread, new, wrong_thread, NOW, NOW, NOW),
    ROW(wrong_thread, arena, wrong_thread, NOW, NOW, NOW),
    ROW(wrong_thread, unit, wrong_thread, NOW, NOW, NOW),
    ROW(wrong_thread, check, wrong_thread, NOW, NOW, NOW),
    ROW(wrong_thread, close, wrong_thread, NOW, NOW, NOW),
    ROW(wrong_thread, trim, wrong_thread, NOW, NOW, NOW),
    ROW(wrong_thread, open, wrong_thread, NOW, NOW, NOW),
    ROW(wrong_thread, strdup, wrong_thread, NOW, NOW, NOW),
    ROW(wrong_thread, free, wrong_thread, NOW, NOW, NOW),
    ROW(bad_alignment, not_a_power, bad_alignment, NOW, NOW, NOW),
    ROW(bad_alignment, zero, bad_alignment, NOW, NOW, NOW),
    ROW(bad_alignment, too_large, bad_alignment, NOW, NOW, NOW),
    ROW(bad_alignment, heap, bad_alignment, NOW, NOW, NOW),
    ROW(bad_alignment, unsized, bad_alignment, NOW, NOW, NOW),
    ROW(no_strategy, context, no_strategy, NOW, NOW, NOW),
    ROW(bad_kind, kind, bad_kind, NOW, NOW, NOW),
    ROW(bad_kind, context, bad_kind, NOW, NOW, NOW),
    ROW(bad_kind, free, bad_kind, NOW, NOW, NOW),
    ROW(bad_kind, resize, bad_kind, NOW, NOW, NOW),
    ROW(no_unit, temp, no_unit, NOW, NOW, NOW),
    ROW(no_unit, new, no_unit, NOW, NOW, NOW),
    ROW(no_unit, after_the_end, no_unit, NOW, NOW, NOW),
    ROW(leak, heap, leak, NOW, NOW, NOW),
    ROW(leak, kind, leak, NOW, NOW, NOW),
    ROW(leak, unsized, leak, NOW, NOW, NOW),
    ROW(leak, medium, leak, NOW, NOW, NOW),
    ROW(leak, large, leak, NOW, NOW, NOW),
    ROW(leak, pool, leak, NOW, NOW, NOW),
};
THEME(calls);
