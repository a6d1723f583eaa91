/* rewind: mark an arena, allocate four blocks, store to each, rewind to the mark. The arena is in
 * use already, as it is in the middle of a compilation.
 *
 * Nobody may learn from the loop that the arena is always in the same place: others may have used
 * it between two rounds. Without that a compiler works out all addresses before the loop and keeps
 * four stores of the ideal.
 *
 * The ideal has its cursor in memory: functions that mark and rewind share their arena. The form
 * with the cursor in registers, where a mark costs nothing at all, is shown beside it. */
#include "bump.h"
#include "cases.h"
#include "peer.h"

#include <fief/fief.h>

enum { REWINDS = 1000, CALLS = 8, FRAME = 64 };

static void rewinds_fief(void *state, size_t count)
{
    fief_arena *arena = state;
    for (size_t i = 0; i < count * REWINDS; i++) {
        __asm__ volatile("" : "+m"(*arena));
        fief_mark mark = fief_arena_mark(arena);
        store(fief_arena_alloc(arena, 16), i);
        store(fief_arena_alloc(arena, 24), i);
        store(fief_arena_alloc(arena, 32), i);
        store(fief_arena_alloc(arena, 40), i);
        fief_arena_rewind(arena, mark);
    }
}

static inline void rewind_bump(bump *b, size_t i)
{
    unsigned char *mark = b->cursor;
    store(bump_take(b, 16, FIEF_ALIGN), i);
    store(bump_take(b, 24, FIEF_ALIGN), i);
    store(bump_take(b, 32, FIEF_ALIGN), i);
    store(bump_take(b, 40, FIEF_ALIGN), i);
    b->cursor = mark;
}

static void rewinds_struct(void *state, size_t count)
{
    bump *b = state;
    for (size_t i = 0; i < count * REWINDS; i++) {
        __asm__ volatile("" : "+m"(*b));
        rewind_bump(b, i);
    }
}

static void rewinds_registers(void *state, size_t count)
{
    bump b = *(bump *)state;
    for (size_t i = 0; i < count * REWINDS; i++) {
        __asm__ volatile("" : "+r"(b.cursor), "+r"(b.limit));
        rewind_bump(&b, i);
    }
}

static void rewinds_malloc(void *state, size_t count)
{
    const peer *p = state;
    for (size_t i = 0; i < count * REWINDS; i++) {
        void *a = p->take(16), *b = p->take(24), *c = p->take(32), *d = p->take(40);
        store(a, i);
        store(b, i);
        store(c, i);
        store(d, i);
        p->give(d);
        p->give(c);
        p->give(b);
        p->give(a);
    }
}

figure rewind_fief(const job *given)
{
    fief_arena *arena = must_open_arena(must_open(), NULL);
    store(fief_arena_alloc(arena, 24), 0);
    return measure_loop(given, rewinds_fief, arena, REWINDS);
}

figure rewind_struct(const job *given)
{
    bump b = bump_fresh(0);
    store(bump_take(&b, 24, FIEF_ALIGN), 0);
    return measure_loop(given, rewinds_struct, &b, REWINDS);
}

figure rewind_registers(const job *given)
{
    bump b = bump_fresh(0);
    store(bump_take(&b, 24, FIEF_ALIGN), 0);
    return measure_loop(given, rewinds_registers, &b, REWINDS);
}

figure rewind_malloc(const job *given)
{
    peer p = peer_loaded();
    return measure_loop(given, rewinds_malloc, &p, REWINDS);
}

/* ---- stack: the frames of calls within calls, pushed, then popped newest first; a frame ---- */

static void frames_fief(void *state, size_t count)
{
    fief_stack *stack = state;
    void *frames[CALLS];
    for (size_t i = 0; i < count * REWINDS; i++) {
        for (size_t depth = 0; depth < CALLS; depth++) {
            frames[depth] = fief_stack_push(stack, FRAME);
            store(frames[depth], i);
        }
        for (size_t depth = CALLS; depth > 0; depth--) {
            (void)fief_stack_pop(stack, frames[depth - 1], FRAME);
        }
    }
}

static void frames_malloc(void *state, size_t count)
{
    const peer *p = state;
    void *frames[CALLS];
    for (size_t i = 0; i < count * REWINDS; i++) {
        for (size_t depth = 0; depth < CALLS; depth++) {
            frames[depth] = p->take(FRAME);
            store(frames[depth], i);
        }
        for (size_t depth = CALLS; depth > 0; depth--) {
            p->give(frames[depth - 1]);
        }
    }
}

figure stack_fief(const job *given)
{
    return measure_loop(given, frames_fief, fief_frame_stack(must_open()), REWINDS * CALLS);
}

figure stack_malloc(const job *given)
{
    peer p = peer_loaded();
    return measure_loop(given, frames_malloc, &p, REWINDS * CALLS);
}
