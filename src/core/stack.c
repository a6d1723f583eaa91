/* stack: an arena whose newest block may leave alone; see include/fief/stack.h. */
#include "core/core.h"

#include "guard.h"

static arena *whole(fief_stack *stack)
{
    return (arena *)(void *)stack;
}

/* An emptied span is stepped out of, so that the newest block is always below the cursor. */
static void step_back(arena *a)
{
    fief_arena *w = &a->window.arena;
    while (a->current != NULL && a->current->previous != NULL && w->cursor == a->current->start) {
        arena_span *previous = a->current->previous;
        a->used_before -= (size_t)(previous->left_at - previous->start);
        a->current = previous;
        w->cursor = previous->left_at;
        arena_set_limit(a);
        if (a->attached != NULL) {
            arena_note_event(a);
        }
    }
}

bool fief_stack_pop_slow(fief_stack *stack, void *block, size_t size)
{
    arena *a = whole(stack);
    fief_arena *w = &stack->arena;
    if (!enter(a->core, CALL())) {
        return false;
    }
    step_back(a);
    size_t step = fief_round_up(size == 0 ? 1 : size, FIEF_GRAIN);
    unsigned char *start = block;
    bool is_newest;
    bool apart = a->attached != NULL && a->attached->kind != ATTACHED_CLEANUP &&
                 (uintptr_t)start - (uintptr_t)a->attached->start < FIEF_ALIGN_MAX;
    if (a->core->shut) {
        is_newest = a->blocks != NULL && a->blocks->start == start && a->blocks->size == size;
    } else {
        is_newest = apart || (uintptr_t)w->cursor - (uintptr_t)start == step;
    }
    if (!is_newest) {
        misuse(a->core, FIEF_MISUSE_NOT_LIFO, block, size,
               "popped a block that is not the newest of the stack");
        return false;
    }
    uint64_t event = a->core->shut ? a->blocks->event - 1 : w->events - (apart ? 1 : 0);
    fief_mark mark = {apart ? w->cursor : start - GUARD_REDZONE, w->limit, event, w};
    arena_rewind(a, mark);
    return true;
}

void fief_stack_close(fief_stack *stack)
{
    if (stack != NULL) {
        fief_arena_close(&stack->arena);
    }
}
