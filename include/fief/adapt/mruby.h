/** @file
 * adapt/mruby: a Fief heap behind mruby's memory hook (mrb_open_allocf).
 *
 *     fief_runtime *rt = fief_open(&(fief_config){.name = "mruby"});
 *     mrb_state *mrb = mrb_open_allocf(fief_mruby_alloc, fief_runtime_heap(rt));
 *     mrb_close(mrb);
 *     size_t leaked = fief_close(rt);
 *
 * Needs no mruby header. mruby 3.3 dropped the hook; 3.1, Debian 12's, has it. mruby collects and
 * asks again once where NULL comes back, then raises NoMemoryError.
 *
 * Source of the contract: mruby.h, mrb_allocf. */
#ifndef FIEF_ADAPT_MRUBY_H
#define FIEF_ADAPT_MRUBY_H

#include <stddef.h>

#include <fief/fief.h>

FIEF_BEGIN

struct mrb_state;

/** mrb_allocf: size 0 frees and returns NULL, block NULL allocates, else it resizes. NULL when
 * memory is short, with the block as it was. ud is the fief_heap, which outlives the mrb_state; mrb
 * is not looked at: the first call comes before there is one. */
static inline void *fief_mruby_alloc(struct mrb_state *mrb, void *block, size_t size, void *ud)
{
    (void)mrb;
    if (size == 0) {
        fief_heap_free_unsized((fief_heap *)ud, block);
        return NULL;
    }
    if (block == NULL) {
        return fief_heap_alloc_unsized((fief_heap *)ud, size);
    }
    return fief_heap_resize_unsized((fief_heap *)ud, block, size);
}

FIEF_END

#endif
