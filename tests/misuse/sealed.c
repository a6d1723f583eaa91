/* sealed: writes to what was sealed, and calls that would change it. */
#include "row.h"

static void sealed_write_vm(bool mistaken)
{
    char *p;
    MADE(p = fief_new(rt, TEXT, FIEF_LITERAL, 64));
    (void)fief_seal(rt, fief_vm_arena(rt));
    ACCESS(OR(p, elsewhere)[8] = 1);
}

static void sealed_write_large(bool mistaken)
{
    char *p;
    fief_arena *own = fief_arena_open(rt, NULL);
    MADE(p = fief_arena_alloc(own, 300000));
    (void)fief_seal(rt, own);
    ACCESS(OR(p, elsewhere)[8000] = 1);
}

static void sealed_store_vm(bool mistaken)
{
    char **p;
    static char *other;
    MADE(p = fief_new(rt, TEXT, FIEF_LITERAL, 64));
    (void)fief_seal(rt, fief_vm_arena(rt));
    WRONG(fief_store(rt, p, &p[1], p));
    RIGHT(fief_store(rt, &other, &other, p));
}

static void sealed_resize_vm(bool mistaken)
{
    char *p;
    MADE(p = fief_arena_alloc(fief_vm_arena(rt), 64));
    (void)fief_seal(rt, fief_vm_arena(rt));
    WRONG(p = fief_arena_resize(fief_vm_arena(rt), p, 64, 128));
}

static void sealed_reset_own(bool mistaken)
{
    fief_arena *own = fief_arena_open(rt, NULL);
    (void)fief_arena_alloc(own, 64);
    (void)fief_seal(rt, own);
    WRONG(fief_arena_reset(own));
}

static void sealed_rewind_own(bool mistaken)
{
    fief_arena *own = fief_arena_open(rt, NULL);
    fief_mark mark = fief_arena_mark(own);
    (void)fief_arena_alloc(own, 64);
    (void)fief_seal(rt, own);
    RIGHT(mark = fief_arena_mark(own));
    RIGHT(fief_arena_rewind(own, mark));
    WRONG(fief_arena_rewind(own, mark));
}

static void sealed_unit_end(bool mistaken)
{
    fief_unit unit = fief_unit_begin(rt);
    (void)fief_temp(rt, int, 4);
    (void)fief_seal(rt, fief_compiler_arena(rt));
    WRONG(fief_unit_end(rt, unit));
    (void)fief_unseal(rt, fief_compiler_arena(rt));
    fief_unit_end(rt, unit);
}

static const row rows[] = {
    ROW(sealed_write, vm, sealed_write, NOW, NOW, NOW),
    ROW(sealed_write, large, sealed_write, NOW, NOW, NOW),
    ROW(sealed_store, vm, sealed_write, NOW, NOW, NOW),
    ROW(sealed_resize, vm, sealed_write, NOW, NOW, NOW),
    ROW(sealed_reset, own, sealed_write, NOW, NOW, NOW),
    ROW(sealed_rewind, own, sealed_write, NOW, NOW, NOW),
    ROW(sealed_unit, end, sealed_write, NOW, NOW, NOW),
};
THEME(sealed);
