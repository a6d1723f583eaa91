/* stack: an arena whose newest block may leave alone; see include/fief/stack.h. */
#include "core/core.h"

#include "guard.h"

static arena *whole(fief_stack *stack)
{
    return (arena *)(void *)stack;
}

/* An emptied span is stepped out of, so that the newest block is always below the cursor. The
 * window is as it was left, but where something was attached since that is still there: then its
 * limit moves, as with any event, so that no older mark fits it. */
static void step_back(arena *a)
{
    while (a->current != NULL && a->current->previous != NULL &&
           arena_top(a) == a->current->start) {
        arena_leave_span(a);
        if (a->attached != NULL && a->attached->event > a->current->left.events) {
            arena_note_event(a);
        }
    }
    arena_bury_left(a);
}

/* ---- which is the newest ---- */

/* What a pop takes away: a block, and the cleanups that were attached above it. */
typedef struct newest {
    const attachment *apart; /* the block is this one's; NULL: it lies in the span */
    unsigned char *top;      /* its end, below the cleanups */
    uint64_t event;          /* of what is attached below it */
} newest;

static newest find_newest(const arena *a)
{
    const attachment *node = a->attached;
    newest n = {.top = arena_position(a)};
    while (node != NULL && node->kind == ATTACHED_CLEANUP && node->above == n.top) {
        n.top = node->below;
        node = node->next;
    }
    n.apart = node != NULL && node->kind != ATTACHED_CLEANUP && node->above == n.top ? node : NULL;
    n.event = node != NULL ? node->event - (n.apart != NULL ? 1 : 0) : 0;
    return n;
}

/* In a window that is shut: is the block's record the last living one below the top? */
static bool is_last_record(const arena *a, unsigned char *block, const unsigned char *top)
{
    const arena_span *span = a->current;
    if (span == NULL || block < span->start || block >= top) {
        return false;
    }
    const space *s = &a->core->space;
    const record *end = ledger_at(s, top - 1) + 1;
    record *next = ledger_next(ledger_at(s, block) + 1, end);
    while (next < end && next->state != BLOCK_LIVE) {
        next = ledger_next(next + 1, end);
    }
    const record *own = ledger_at(s, block);
    return next == end && own->state == BLOCK_LIVE && ledger_block(s, own) == block;
}

static bool is_it(const arena *a, const newest *n, unsigned char *block, size_t size)
{
    if (n->apart != NULL) {
        return n->apart->block == block && n->apart->asked == size;
    }
    if (a->core->shut) {
        const space *s = &a->core->space;
        return n->top != NULL && is_last_record(a, block, n->top) &&
               record_size(s, ledger_at(s, block)) == size;
    }
    size_t step = fief_round_up(size == 0 ? 1 : size, FIEF_GRAIN);
    return n->top != NULL && (uintptr_t)n->top - (uintptr_t)block == step &&
           block >= a->current->start;
}

bool fief_stack_pop_slow(fief_stack *stack, void *block, size_t size)
{
    arena *a = whole(stack);
    fief_arena *w = &stack->arena;
    if (!enter(a->core, CALL())) {
        return false;
    }
    step_back(a);
    newest n = find_newest(a);
    if (!is_it(a, &n, block, size)) {
        misuse(a->core, FIEF_MISUSE_NOT_LIFO, block, size,
               "popped a block that is not the newest of the stack");
        return false;
    }
    unsigned char *cursor =
        n.apart != NULL ? n.apart->cursor : (unsigned char *)block - GUARD_REDZONE;
    unsigned char *limit = w->limit;
    if (cursor == NULL && a->first != NULL) {
        cursor = a->first->start;
    }
    if (!arena_may_lose(a, a->current, cursor, n.event, FIEF_MISUSE_DANGLING_AT_REWIND)) {
        return false;
    }
    arena_undo(a, a->current, cursor, n.event, false);
    if (a->core->shut) {
        arena_set_limit(a);
    } else {
        w->limit = limit > w->cursor ? limit : w->cursor;
    }
    return true;
}
