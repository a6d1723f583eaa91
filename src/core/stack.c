/* stack: an arena whose newest block may leave alone; see include/fief/stack.h. */
#include "core/core.h"

#include "guard.h"

static arena *whole(fief_stack *stack)
{
    return (arena *)(void *)stack;
}

/* ---- which is the newest ---- */

/* What a pop takes away: a block, and the cleanups that were attached above it. */
typedef struct newest {
    const attachment *apart; /* the block is this one's; NULL: it lies in the span */
    arena_span *span;        /* of the block, or that the one apart was attached in */
    unsigned char *top;      /* its end, below the cleanups */
    uint64_t event;          /* of what is attached below it */
} newest;

static const attachment *below_cleanups(const attachment *node, unsigned char **top)
{
    while (node != NULL && node->kind == ATTACHED_CLEANUP && node->above == *top) {
        *top = node->below;
        node = node->next;
    }
    return node;
}

/* An emptied span is looked through: with nothing apart, the newest block is in one before it. */
static newest find_newest(const arena *a)
{
    newest n = {.span = a->current, .top = arena_position(a)};
    const attachment *node = below_cleanups(a->attached, &n.top);
    while ((node == NULL || node->above != n.top) && n.span != NULL && n.span->previous != NULL &&
           n.top == n.span->start) {
        n.span = n.span->previous;
        n.top = arena_position_in(a, n.span);
        node = below_cleanups(node, &n.top);
    }
    n.apart = node != NULL && node->above == n.top ? node : NULL;
    n.event = node != NULL ? node->event - (n.apart != NULL ? 1 : 0) : 0;
    return n;
}

/* In a window that is shut: is the block's record the last living one below the top? */
static bool is_last_record(const space *s, const newest *n, unsigned char *block)
{
    if (block < n->span->start || block >= n->top) {
        return false;
    }
    const record *end = ledger_at(s, n->top - 1) + 1;
    record *next = ledger_next(ledger_at(s, block) + 1, end);
    while (next < end && next->state != BLOCK_LIVE) {
        next = ledger_next(next + 1, end);
    }
    const record *own = ledger_at(s, block);
    return next == end && own->state == BLOCK_LIVE && ledger_block(s, own) == block;
}

static bool is_it(const arena *a, const newest *n, unsigned char *block, size_t size)
{
    const space *s = &a->core->space;
    if (n->apart != NULL) {
        return n->apart->block == block && n->apart->asked == size;
    }
    if (n->top == NULL) {
        return false;
    }
    if (a->shut) {
        return is_last_record(s, n, block) && record_size(s, ledger_at(s, block)) == size;
    }
    size_t step = fief_round_up(size == 0 ? 1 : size, FIEF_GRAIN);
    return (uintptr_t)n->top - (uintptr_t)block == step && block >= n->span->start;
}

bool fief_stack_pop_slow(fief_stack *stack, void *block, size_t size)
{
    arena *a = whole(stack);
    if (!enter(a->core, CALL())) {
        return false;
    }
    newest n = find_newest(a);
    if (!is_it(a, &n, block, size)) {
        misuse(a->core, FIEF_MISUSE_NOT_LIFO, block, size,
               "popped a block that is not the newest of the stack");
        return false;
    }
    unsigned char *cursor =
        n.apart != NULL ? n.apart->cursor : (unsigned char *)block - GUARD_REDZONE;
    if (cursor == NULL && a->first != NULL) {
        cursor = a->first->start;
    }
    if (!arena_may_lose(a, n.span, cursor, n.event, FIEF_MISUSE_DANGLING_AT_REWIND)) {
        return false;
    }
    arena_undo(a, n.span, cursor, n.event, false);
    arena_set_limit(a);
    note_call(a->core, (note){.verb = VERB_POP, .what = block, .where = a, .size = size});
    return true;
}
