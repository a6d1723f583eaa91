/* fenced: kinds whose blocks lie beside an inaccessible page in the debug build. There it notices
 * what it would else notice later or, reading, never. */
#include "row.h"

static void fenced_overflow_heap(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, WALLED, FIEF_DYNAMIC, 64));
    ACCESS(OR(p + 64, elsewhere)[0] = 1);
    fief_free(rt, WALLED, p, 64);
}

static void fenced_overflow_pool(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, WALLED_PAIR, FIEF_DYNAMIC, 48));
    ACCESS(OR(p + 48, elsewhere)[0] = 1);
    fief_free(rt, WALLED_PAIR, p, 48);
}

static void fenced_overflow_large(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, WALLED, FIEF_DYNAMIC, 300000));
    ACCESS(OR(p + 300000, elsewhere)[0] = 1);
    fief_free(rt, WALLED, p, 300000);
}

static void fenced_read_past_heap(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, WALLED, FIEF_DYNAMIC, 1008));
    ACCESS(sink = OR(p + 1008, elsewhere)[0]);
    fief_free(rt, WALLED, p, 1008);
}

static void fenced_read_past_pool(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, WALLED_PAIR, FIEF_DYNAMIC, 48));
    ACCESS(sink = OR(p + 48, elsewhere)[0]);
    fief_free(rt, WALLED_PAIR, p, 48);
}

static void fenced_underflow_heap(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, DITCHED, FIEF_DYNAMIC, 100));
    ACCESS(OR(p - 1, elsewhere)[0] = 1);
    fief_free(rt, DITCHED, p, 100);
}

static void fenced_read_before_heap(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, DITCHED, FIEF_DYNAMIC, 100));
    ACCESS(sink = OR(p - 8, elsewhere)[0]);
    fief_free(rt, DITCHED, p, 100);
}

static void fenced_write_after_free_heap(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, WALLED, FIEF_DYNAMIC, 64));
    DIED(fief_free(rt, WALLED, p, 64));
    ACCESS(OR(p + 8, elsewhere)[0] = 1);
}

static void fenced_write_after_free_pool(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, WALLED_PAIR, FIEF_DYNAMIC, 48));
    DIED(fief_free(rt, WALLED_PAIR, p, 48));
    ACCESS(OR(p + 8, elsewhere)[0] = 1);
}

static void fenced_read_after_free_heap(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, DITCHED, FIEF_DYNAMIC, 64));
    DIED(fief_free(rt, DITCHED, p, 64));
    ACCESS(sink = OR(p + 63, elsewhere)[0]);
}

static void fenced_read_after_free_pool(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, WALLED_PAIR, FIEF_DYNAMIC, 48));
    DIED(fief_free(rt, WALLED_PAIR, p, 48));
    ACCESS(sink = OR(p, elsewhere)[0]);
}

static const row rows[] = {
    ROW(fenced_overflow, heap, overflow, NOW, NOW, NOW),
    ROW(fenced_overflow, pool, overflow, NOW, NOW, NOW),
    ROW(fenced_overflow, large, overflow, NOW, NOW, NOW),
    ROW(fenced_read_past, heap, overflow, NOW, NOW, NOW),
    ROW(fenced_read_past, pool, overflow, NOW, NOW, NOW),
    ROW(fenced_underflow, heap, underflow, NOW, NOW, NOW),
    ROW(fenced_read_before, heap, underflow, NOW, NOW, NOW),
    ROW(fenced_write_after_free, heap, use_after_free, NOW, NOW, NOW),
    ROW(fenced_write_after_free, pool, use_after_free, NOW, NOW, NOW),
    ROW(fenced_read_after_free, heap, use_after_free, NOW, NOW, NOW),
    ROW(fenced_read_after_free, pool, use_after_free, NOW, NOW, NOW),
};
THEME(fenced);
