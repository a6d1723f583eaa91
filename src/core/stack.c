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

/* A block of its own, or one that the heap served, with nothing pushed since. */
static bool is_attached_last(const arena *a, const unsigned char *block)
{
    const attachment *node = a->attached;
    return node != NULL && node->kind != ATTACHED_CLEANUP && node->cursor == a->window.arena.cursor &&
           (uintptr_t)block - (uintptr_t)node->start < FIEF_ALIGN_MAX;
}

/* In a window that is shut: no record behind this one, up to the cursor. */
static bool is_last_of_span(const arena *a, const unsigned char *block)
{
    const arena_span *span = a->current;
    const unsigned char *top = a->window.arena.cursor;
    if (span == NULL || block < span->start || block >= top) {
        return false;
    }
    const space *s = &a->core->space;
    const record *end = ledger_at(s, top - 1) + 1;
    record *next = ledger_next(ledger_at(s, block) + 1, end);
    while (next < end && next->state != BLOCK_LIVE) {
        next = ledger_next(next + 1, end);
    }
    return next == end;
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
    bool apart = is_attached_last(a, start);
    if (apart || !a->core->shut) {
        is_newest = apart || (uintptr_t)w->cursor - (uintptr_t)start == step;
    } else {
        is_newest = is_last_of_span(a, start) && block_is_live(a->core, start, size, a->core->no_kind);
    }
    if (!is_newest) {
        misuse(a->core, FIEF_MISUSE_NOT_LIFO, block, size,
               "popped a block that is not the newest of the stack");
        return false;
    }
    uint64_t event = w->events - (apart ? 1 : 0);
    fief_mark mark = {apart ? w->cursor : start - GUARD_REDZONE, w, w->limit, event};
    arena_rewind(a, mark, false);
    return true;
}

void fief_stack_close(fief_stack *stack)
{
    if (stack != NULL) {
        fief_arena_close(&stack->arena);
    }
}
