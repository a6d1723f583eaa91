/* fence: blocks of kinds that ask for it (FIEF_FENCE_BACK, FIEF_FENCE_FRONT) in a debug build.
 * Each has a span to itself, with an inaccessible page where its end or its start is:
 *
 *     back   | .......... rz | block |#fence#|      front   |#fence#| block | rz .......... |
 *
 * so that the first byte beside it faults, read or written. Freed, the span is buried as a whole.
 * To look at its redzones we open the fence and write what nobody can have changed there. Idea:
 * Bruce Perens' Electric Fence. */
#include "core/core.h"

#include "guard.h"
#include "os/os.h"

#include <string.h>


/* Its span's first page knows: the block's address may be the same in either case. */
static bool is_at_front(const core *c, const page *entry)
{
    return c->space.map[entry->first].prev != 0;
}

static unsigned char *fence_of(const core *c, const page *entry)
{
    unsigned char *start = span_start(&c->space, entry);
    size_t bytes = (size_t)c->space.map[entry->first].length << PAGE_SHIFT;
    return is_at_front(c, entry) ? start : start + bytes - OS_PAGE;
}

void *fence_take(core *c, fief_strategy strategy, void *owner, size_t size, size_t align)
{
    bool front = c->fence == FENCE_FRONT;
    size_t pages = pages_for(size + OS_PAGE + align + GUARD_REDZONE + FIEF_GRAIN);
    unsigned char *start = space_take(&c->space, pages, PAGE_FENCED, owner);
    if (start == NULL) {
        return NULL;
    }
    page *entry = space_page(&c->space, start);
    for (size_t i = 0; i < pages; i++) {
        entry[i].tail = (uint16_t)strategy;
    }
    entry->prev = front;
    if (c->space.apart) {
        space_settle(&c->space, entry->first, 0, pages); /* its strategy is known only now */
    }
    guard_claim(start, pages << PAGE_SHIFT);
    unsigned char *end = start + (pages << PAGE_SHIFT) - OS_PAGE;
    return front ? start + OS_PAGE : end - fief_round_up(size == 0 ? 1 : size, align);
}

void fence_shut(core *c, void *block)
{
    unsigned char *wall = fence_of(c, space_page(&c->space, block));
    (void)os_fence(wall, OS_PAGE); /* refused: then its bytes are a redzone like others */
}

void fence_open(core *c, void *block)
{
    const page *entry = space_page(&c->space, block);
    unsigned char *wall = fence_of(c, entry);
    (void)os_unfence(wall, OS_PAGE);
    guard_restore(wall, OS_PAGE, is_at_front(c, entry));
}

void fence_bury(core *c, void *block)
{
    const page *entry = space_page(&c->space, block);
    space_bury(&c->space, span_start(&c->space, entry), c->space.map[entry->first].length,
               entry->tail);
}

void *fence_next(const core *c, const void *owner, uint32_t *page_number)
{
    const space *s = &c->space;
    for (uint32_t i = *page_number; i < s->frontier; i++) {
        const page *entry = &s->map[i];
        const record *end = ledger_at(s, page_start(s, i)) + (PAGE_SIZE >> CELL_SHIFT);
        if (!entry->used || entry->kind != PAGE_FENCED || entry->owner != owner) {
            continue;
        }
        const record *r = ledger_next(ledger_at(s, page_start(s, i)), end);
        if (r < end && r->state == BLOCK_LIVE) {
            *page_number = i + 1;
            return ledger_block(s, r);
        }
    }
    return NULL;
}
