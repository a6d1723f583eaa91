/* frees: the wrong thing given back, or given back twice, or as something that it is not. */
#include "row.h"

#include <stdlib.h>

static void double_free_heap(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 40));
    DIED(fief_heap_free(heap, p, 40));
    WRONG(fief_heap_free(heap, p, 40));
}

static void double_free_unsized(bool mistaken)
{
    char *p;
    MADE(p = fief_malloc(rt, 100));
    DIED(fief_release(rt, p));
    WRONG(fief_release(rt, p));
}

static void double_free_medium(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 3000));
    DIED(fief_heap_free(heap, p, 3000));
    WRONG(fief_heap_free(heap, p, 3000));
}

static void double_free_medium_unsized(bool mistaken)
{
    char *p;
    MADE(p = fief_malloc(rt, 5000));
    DIED(fief_release(rt, p));
    WRONG(fief_release(rt, p));
}

static void double_free_large(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 300000));
    DIED(fief_heap_free(heap, p, 300000));
    WRONG(fief_heap_free(heap, p, 300000));
}

static void double_free_pool(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, PAIR, FIEF_DYNAMIC, 48));
    DIED(fief_free(rt, PAIR, p, 48));
    WRONG(fief_free(rt, PAIR, p, 48));
}

static void double_free_kind(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, TEXT, FIEF_DYNAMIC, 40));
    DIED(fief_free(rt, TEXT, p, 40));
    WRONG(fief_free(rt, TEXT, p, 40));
}

static void double_free_string(bool mistaken)
{
    char *p;
    MADE(p = fief_strdup(rt, FIEF_DYNAMIC, "text"));
    DIED(fief_free_string(rt, p));
    WRONG(fief_free_string(rt, p));
}

static void double_free_own_pool(bool mistaken)
{
    fief_pool *slots = fief_pool_open(rt, "slots", 48);
    char *p;
    MADE(p = fief_pool_take(slots));
    DIED(fief_pool_give(slots, p));
    WRONG(fief_pool_give(slots, p));
}

static void free_inside_a_freed_heap(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 64));
    DIED(fief_heap_free(heap, p, 64));
    WRONG(fief_heap_free(heap, p + 16, 48));
}

static void free_inside_a_freed_pool(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, PAIR, FIEF_DYNAMIC, 48));
    DIED(fief_free(rt, PAIR, p, 48));
    WRONG(fief_free(rt, PAIR, p + 16, 32));
}

static void free_inside_a_freed_medium(bool mistaken)
{
    char *p;
    MADE(p = fief_malloc(rt, 5000));
    DIED(fief_release(rt, p));
    WRONG(fief_release(rt, p + 512));
}

static void resize_of_freed_heap(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 64));
    DIED(fief_heap_free(heap, p, 64));
    WRONG((void)fief_heap_resize(heap, p, 64, 128));
}

static void resize_of_freed_unsized(bool mistaken)
{
    char *p;
    MADE(p = fief_malloc(rt, 100));
    DIED(fief_release(rt, p));
    WRONG((void)fief_realloc(rt, p, 200));
}

static void resize_of_freed_kind(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, TEXT, FIEF_DYNAMIC, 40));
    DIED(fief_free(rt, TEXT, p, 40));
    WRONG((void)fief_resize(rt, TEXT, p, 40, 80));
}

static void resize_of_freed_medium(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 3000));
    DIED(fief_heap_free(heap, p, 3000));
    WRONG((void)fief_heap_resize(heap, p, 3000, 4000));
}

static void resize_of_freed_large(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 300000));
    DIED(fief_heap_free(heap, p, 300000));
    WRONG((void)fief_heap_resize(heap, p, 300000, 400000));
}

static void interior_free_heap(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 64));
    WRONG(fief_heap_free(heap, p + 8, 56));
    fief_heap_free(heap, p, 64);
}

static void interior_free_unsized(bool mistaken)
{
    char *p;
    MADE(p = fief_malloc(rt, 100));
    WRONG(fief_release(rt, p + 16));
    fief_release(rt, p);
}

static void interior_free_medium(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 3000));
    WRONG(fief_heap_free(heap, p + 512, 2488));
    fief_heap_free(heap, p, 3000);
}

static void interior_free_large(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 300000));
    WRONG(fief_heap_free(heap, p + 65536, 234464));
    fief_heap_free(heap, p, 300000);
}

static void interior_free_pool(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, PAIR, FIEF_DYNAMIC, 48));
    WRONG(fief_free(rt, PAIR, p + 8, 48));
    fief_free(rt, PAIR, p, 48);
}

static void interior_free_resized(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 64));
    WRONG((void)fief_heap_resize(heap, p + 8, 56, 100));
    fief_heap_free(heap, p, 64);
}

static void interior_free_realloc(bool mistaken)
{
    char *p;
    MADE(p = fief_malloc(rt, 100));
    WRONG((void)fief_realloc(rt, p + 16, 200));
    fief_release(rt, p);
}

static void stack_free_heap(bool mistaken)
{
    char here[48] = {0};
    void *volatile p = here;
    WRONG(fief_heap_free(heap, p, sizeof here));
}

static void stack_free_unsized(bool mistaken)
{
    char here[48] = {0};
    void *volatile p = here;
    WRONG(fief_release(rt, p));
}

static void stack_free_pool(bool mistaken)
{
    char here[48] = {0};
    void *volatile p = here;
    WRONG(fief_free(rt, PAIR, p, 48));
}

static void stack_free_kind(bool mistaken)
{
    char here[48] = {0};
    void *volatile p = here;
    WRONG(fief_free(rt, TEXT, p, sizeof here));
}

static void stack_free_resized(bool mistaken)
{
    char here[48] = {0};
    void *volatile p = here;
    WRONG((void)fief_heap_resize(heap, p, sizeof here, 100));
}

static void foreign_free_heap(bool mistaken)
{
    static char there[48];
    WRONG(fief_heap_free(heap, there, sizeof there));
}

static void foreign_free_unsized(bool mistaken)
{
    static char there[48];
    WRONG(fief_release(rt, there));
}

static void foreign_free_pool(bool mistaken)
{
    static char there[48];
    WRONG(fief_free(rt, PAIR, there, 48));
}

static void foreign_free_kind(bool mistaken)
{
    static char there[48];
    WRONG(fief_free(rt, TEXT, there, sizeof there));
}

static void foreign_free_realloc(bool mistaken)
{
    static char there[48];
    WRONG((void)fief_realloc(rt, there, 100));
}

static void foreign_free_of_malloc(bool mistaken)
{
    void *p = malloc(40);
    WRONG(fief_release(rt, p));
    free(p);
}

static void foreign_free_of_another_runtime(bool mistaken)
{
    fief_runtime *other = open_another();
    char *p = fief_malloc(other, 40);
    WRONG(fief_release(rt, p));
    fief_release(other, p);
    (void)fief_close(other);
}

static void wrong_size_heap(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 64));
    WRONG(fief_heap_free(heap, p, 60));
    fief_heap_free(heap, p, 64);
}

static void wrong_size_zero(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 64));
    WRONG(fief_heap_free(heap, p, 0));
    fief_heap_free(heap, p, 64);
}

static void wrong_size_medium(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 3000));
    WRONG(fief_heap_free(heap, p, 2999));
    fief_heap_free(heap, p, 3000);
}

static void wrong_size_large(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 300000));
    WRONG(fief_heap_free(heap, p, 299999));
    fief_heap_free(heap, p, 300000);
}

static void wrong_size_pool(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, PAIR, FIEF_DYNAMIC, 40));
    WRONG(fief_free(rt, PAIR, p, 48));
    fief_free(rt, PAIR, p, 40);
}

static void wrong_size_kind(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, TEXT, FIEF_DYNAMIC, 40));
    WRONG(fief_free(rt, TEXT, p, 41));
    fief_free(rt, TEXT, p, 40);
}

static void wrong_size_resized(bool mistaken)
{
    char *p;
    MADE(p = fief_heap_alloc(heap, 64));
    WRONG((void)fief_heap_resize(heap, p, 60, 100));
    fief_heap_free(heap, p, 64);
}

static void wrong_size_resized_kind(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, TEXT, FIEF_DYNAMIC, 40));
    WRONG((void)fief_resize(rt, TEXT, p, 48, 100));
    fief_free(rt, TEXT, p, 40);
}

static void wrong_size_of_a_slot(bool mistaken)
{
    WRONG((void)fief_new(rt, PAIR, FIEF_DYNAMIC, 49));
}

static void wrong_kind_heap(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, LIST, FIEF_DYNAMIC, 64));
    WRONG(fief_free(rt, TEXT, p, 64));
    fief_free(rt, LIST, p, 64);
}

static void wrong_kind_several_homes(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, TEXT, FIEF_DYNAMIC, 64));
    WRONG(fief_free(rt, LIST, p, 64));
    fief_free(rt, TEXT, p, 64);
}

static void wrong_kind_resized(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, LIST, FIEF_DYNAMIC, 64));
    WRONG((void)fief_resize(rt, TEXT, p, 64, 128));
    fief_free(rt, LIST, p, 64);
}

static const row rows[] = {
    ROW(double_free, heap, double_free, NOW, NOW, NOW),
    ROW(double_free, unsized, double_free, NOW, NOW, NOW),
    ROW(double_free, medium, double_free, NOW, NOW, NOW),
    ROW(double_free, medium_unsized, double_free, NOW, NOW, NOW),
    ROW(double_free, large, double_free, NOW, NOW, NOW),
    ROW(double_free, pool, double_free, NOW, NOW, NOW),
    ROW(double_free, kind, double_free, NOW, NOW, NOW),
    ROW(double_free, string, double_free, NOW, NOW, NOW),
    ROW(double_free, own_pool, double_free, NOW, NOW, NOW),
    ROW(free_inside_a_freed, heap, double_free, NOW, NOW, NOW),
    ROW(free_inside_a_freed, pool, double_free, NOW, NOW, NOW),
    ROW(free_inside_a_freed, medium, double_free, NOW, NOW, NOW),
    ROW(resize_of_freed, heap, double_free, NOW, NOW, NOW),
    ROW(resize_of_freed, unsized, double_free, NOW, NOW, NOW),
    ROW(resize_of_freed, kind, double_free, NOW, NOW, NOW),
    ROW(resize_of_freed, medium, double_free, NOW, NOW, NOW),
    ROW(resize_of_freed, large, double_free, NOW, NOW, NOW),
    ROW(interior_free, heap, interior_free, NOW, NOW, NOW),
    ROW(interior_free, unsized, interior_free, NOW, NOW, NOW),
    ROW(interior_free, medium, interior_free, NOW, NOW, NOW),
    ROW(interior_free, large, interior_free, NOW, NOW, NOW),
    ROW(interior_free, pool, interior_free, NOW, NOW, NOW),
    ROW(interior_free, resized, interior_free, NOW, NOW, NOW),
    ROW(interior_free, realloc, interior_free, NOW, NOW, NOW),
    ROW(stack_free, heap, stack_free, NOW, NOW, NOW),
    ROW(stack_free, unsized, stack_free, NOW, NOW, NOW),
    ROW(stack_free, pool, stack_free, NOW, NOW, NOW),
    ROW(stack_free, kind, stack_free, NOW, NOW, NOW),
    ROW(stack_free, resized, stack_free, NOW, NOW, NOW),
    ROW(foreign_free, heap, foreign_free, NOW, NOW, NOW),
    ROW(foreign_free, unsized, foreign_free, NOW, NOW, NOW),
    ROW(foreign_free, pool, foreign_free, NOW, NOW, NOW),
    ROW(foreign_free, kind, foreign_free, NOW, NOW, NOW),
    ROW(foreign_free, realloc, foreign_free, NOW, NOW, NOW),
    ROW(foreign_free, of_malloc, foreign_free, NOW, NOW, NOW),
    ROW(foreign_free, of_another_runtime, foreign_free, NOW, NOW, NOW),
    ROW(wrong_size, heap, wrong_size, NOW, NOW, NOW),
    ROW(wrong_size, zero, wrong_size, NOW, NOW, NOW),
    ROW(wrong_size, medium, wrong_size, NOW, NOW, NOW),
    ROW(wrong_size, large, wrong_size, NOW, NOW, NOW),
    ROW(wrong_size, pool, wrong_size, NOW, NOW, NOW),
    ROW(wrong_size, kind, wrong_size, NOW, NOW, NOW),
    ROW(wrong_size, resized, wrong_size, NOW, NOW, NOW),
    ROW(wrong_size, resized_kind, wrong_size, NOW, NOW, NOW),
    ROW(wrong_size, of_a_slot, wrong_size, NOW, NOW, NOW),
    ROW(wrong_kind, heap, wrong_kind, NOW, NOW, NOW),
    ROW(wrong_kind, several_homes, wrong_kind, NOW, NOW, NOW),
    ROW(wrong_kind, resized, wrong_kind, NOW, NOW, NOW),
};
THEME(frees);
