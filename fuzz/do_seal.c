/* do_seal: an arena is sealed, looked at, asked for what a seal refuses, and unsealed again. */
#include "run.h"

#include <fief/seal.h>

typedef enum act {
    LOOK,
    CHECK,
    GROW,
    WRITE,
    REWIND,
    RESET,
    STORE,
    ACTS
} act;

static bool is_in(const home *h, int home_index, const block *b)
{
    bool is_there = b->origin != EMPTY && b->home == home_index && b->size != 0;
    return is_there && b->strategy == h->strategy;
}

static void blocks_are(run *r, const life *l, int home_index, bool sealed)
{
    for (unsigned i = 0; i < l->top; i++) {
        const block *b = &l->blocks[i];
        if (is_in(&l->homes[home_index], home_index, b)) {
            bool ends = fief_is_sealed(l->rt, b->start + b->size - 1);
            MUST(r, fief_is_sealed(l->rt, b->start) == sealed && ends == sealed,
                 "expected b%u to be %s, found it is not", i, sealed ? "sealed" : "unsealed");
        }
    }
}

/* A block of the home that can hold a pointer; -1: none. */
static int find_holder(const life *l, int home_index)
{
    for (unsigned i = 0; i < l->top; i++) {
        const block *b = &l->blocks[i];
        bool fits = b->size >= sizeof(void *) && (uintptr_t)b->start % sizeof(void *) == 0;
        if (is_in(&l->homes[home_index], home_index, b) && fits) {
            return (int)i;
        }
    }
    return -1;
}

static void grow(run *r, life *l, int home_index)
{
    int index = room_for(r, 0, 40);
    if (index >= 0) {
        do_arena_alloc(r, (const uint64_t[]){(uint64_t)index, (uint64_t)home_index, 40, 3});
        const block *b = &l->blocks[index];
        MUST(r, !is_in(&l->homes[home_index], home_index, b) || !fief_is_sealed(l->rt, b->start),
             "expected a block made after the seal to be writable, found it sealed");
    }
}

/* Every mode tells; AddressSanitizer takes the signal for itself. */
static void write_to(run *r, const life *l, int home_index)
{
    int index = find_holder(l, home_index);
    if (index >= 0 && (r->poisons || !r->guards)) {
        access_must_be(r, FIEF_MISUSE_SEALED_WRITE, l->blocks[index].start, true);
    }
}

static void rewind_below(run *r, const life *l, int home_index)
{
    for (unsigned i = 0; i < MARKS; i++) {
        if (l->marks[i].is_set && l->marks[i].home == home_index) {
            expect_misuse(r, FIEF_MISUSE_SEALED_WRITE);
            SAY(r, "fief_arena_rewind(%s, m[%u][%u]);", c_home(l, home_index), l->index, i);
            fief_arena_rewind(l->homes[home_index].arena, l->marks[i].mark);
            end_misuse(r);
            return;
        }
    }
}

static void reset(run *r, const life *l, int home_index)
{
    if (home_index != HOME_UNIT) {
        expect_misuse(r, FIEF_MISUSE_SEALED_WRITE);
        SAY(r, "fief_arena_reset(%s);", c_home(l, home_index));
        fief_arena_reset(l->homes[home_index].arena);
        end_misuse(r);
    }
}

static void store(run *r, const life *l, int home_index)
{
    int index = find_holder(l, home_index);
    if (index >= 0) {
        unsigned char *start = l->blocks[index].start;
        expect_misuse(r, FIEF_MISUSE_SEALED_WRITE);
        SAY(r, "fief_store(rt[%u], %s, (void **)%s, NULL);", l->index, c_block(l, index),
            c_block(l, index));
        fief_store(l->rt, start, (void **)(void *)start, NULL);
        end_misuse(r);
    }
}

static void act_sealed(run *r, life *l, int home_index, act what)
{
    switch (what) {
    case CHECK: do_check(r, NULL); break;
    case GROW: grow(r, l, home_index); break;
    case WRITE: write_to(r, l, home_index); break;
    case REWIND: rewind_below(r, l, home_index); break;
    case RESET: reset(r, l, home_index); break;
    case STORE: store(r, l, home_index); break;
    default: break;
    }
}

/* Where the heap stands in past a cap, there is no seal; which cap it is, depends on the mode. A
 * unit that was kept brings what stood in for it. */
static bool may_stand_in(const life *l, const home *h)
{
    return h->has_cap || fief_stats_strategy(l->rt, h->strategy).fallbacks != 0 ||
           fief_stats_strategy(l->rt, FIEF_COMPILER_ARENA).fallbacks != 0;
}

/* Whole pages of the range, and not the caller's. */
void do_seal(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    int index = l != NULL && r->os == NULL ? find_home(l, at[0], at[1] % 16 == 15) : -1;
    if (index < 0 || may_stand_in(l, &l->homes[index])) {
        return;
    }
    home *h = &l->homes[index];
    bool may = !h->is_stack && !h->has_buffer && l->buffer == NULL;
    SAY(r, "must(fief_seal(rt[%u], %s) == %d, \"a seal, or none\");", l->index, c_home(l, index),
        may);
    MUST(r, fief_seal(l->rt, h->arena) == may, "expected %s, found otherwise",
         may ? "a seal" : "no seal");
    blocks_are(r, l, index, may);
    if (may) {
        h->last++; /* it goes on at a fresh page: older marks are below that */
        act_sealed(r, l, index, (act)(at[1] % ACTS));
        check_blocks(r, l);
        SAY(r, "must(fief_unseal(rt[%u], %s), \"it is lifted\");", l->index, c_home(l, index));
        MUST(r, fief_unseal(l->rt, h->arena), "expected the seal to be lifted, found it there");
        blocks_are(r, l, index, false);
    }
}
