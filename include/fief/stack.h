/** @file
 * stack: frames and operands, last in, first out.
 *
 *     | frame | operands | frame | ...free... |
 *                                ^cursor
 *
 * A stack is an arena whose blocks also leave one by one, newest first; a pop checks that it is the
 * newest, in every mode. Marks and rewinds are the arena's. */
#ifndef FIEF_STACK_H
#define FIEF_STACK_H

#include <fief/arena.h>

FIEF_BEGIN

/** A stack is an arena. */
struct fief_stack {
    fief_arena arena; /**< its window */
};

/** A stack of rt; as fief_arena_open. */
FIEF_API fief_stack *fief_stack_open(fief_runtime *rt, const fief_arena_config *config);
FIEF_API FIEF_NOINLINE bool fief_stack_pop_slow(fief_stack *stack, void *block, size_t size);

/** As fief_arena_close. NULL is fine. */
FIEF_INLINE void fief_stack_close(fief_stack *stack)
{
    fief_arena_close(stack != NULL ? &stack->arena : NULL);
}

/** A block of `size` bytes aligned to 8, not zeroed. NULL when memory is short. */
FIEF_INLINE void *fief_stack_push(fief_stack *stack, size_t size)
{
    return fief_arena_alloc_aligned(&stack->arena, size, FIEF_GRAIN);
}

/** Pops the newest block, which must be `block` of `size` bytes; else false, and misuse. */
FIEF_INLINE bool fief_stack_pop(fief_stack *stack, void *block, size_t size)
{
    unsigned char *start = (unsigned char *)block;
    size_t step = fief_round_up(size, FIEF_GRAIN);
    if (FIEF_LIKELY(step != 0 && (uintptr_t)stack->arena.cursor - (uintptr_t)start == step &&
                    stack->arena.cursor < stack->arena.limit)) {
        stack->arena.cursor = start;
        return true;
    }
    bool popped = fief_stack_pop_slow(stack, block, size);
    FIEF_NO_TAIL_CALL();
    return popped;
}

/** Pushes `count` operands of type T; NULL where the product does not fit, too. */
#define fief_stack_make(stack, T, count) ((T *)fief_stack_push_array((stack), (count), sizeof(T)))
/** Pops `count` operands, checked by their type's size. */
#define fief_stack_drop(stack, operands, count)                                                    \
    fief_stack_pop((stack), (operands), (count) * sizeof *(operands))

FIEF_INLINE void *fief_stack_push_array(fief_stack *stack, size_t count, size_t size)
{
    return fief_arena_array(&stack->arena, count, size, FIEF_GRAIN);
}

/** As fief_arena_mark. */
FIEF_INLINE fief_mark fief_stack_mark(const fief_stack *stack)
{
    return fief_arena_mark(&stack->arena);
}

/** As fief_arena_rewind: whatever was pushed since is popped. */
FIEF_INLINE void fief_stack_rewind(fief_stack *stack, fief_mark mark)
{
    fief_arena_rewind(&stack->arena, mark);
}

FIEF_END
#endif
