/* arena: see include/fief/arena.h. Spans are chained in the order of their use; a rewind or a reset
 * steps back in the chain and leaves the later spans in place for the next fill. While the window
 * is shut, cursor == limit == the top, and each block is in the ledger, so that it can be checked
 * and counted when it dies. */
#include "core/core.h"

#include "base/size.h"
#include "guard.h"

enum { LARGEST_STEP = 64 };
static const size_t keep_default = (size_t)4 << 20;

static arena *whole(const fief_arena *window)
{
    return (arena *)(void *)(uintptr_t)window;
}

static fief_arena *window_of(arena *a)
{
    return &a->window.arena;
}

/* ---- window ---- */

static void set_top(arena *a, unsigned char *top)
{
    window_of(a)->cursor = top;
    if (a->shut || a->closed) {
        window_of(a)->limit = top;
    }
}

/* Where the window ends in the current span: at the arena's cap, if that comes first. */
static unsigned char *end_of_room(const arena *a)
{
    const arena_span *span = a->current;
    unsigned char *cursor = a->window.arena.cursor;
    size_t room = (size_t)(span->end - cursor);
    if (a->max != 0) {
        size_t used = arena_used(a), left = used < a->max ? a->max - used : 0;
        room = room < left ? room : left & ~(size_t)(FIEF_GRAIN - 1);
    }
    return cursor + room;
}

void arena_set_limit(arena *a)
{
    fief_arena *w = window_of(a);
    bool stays_shut = a->closed || a->shut || a->current == NULL;
    w->limit = stays_shut ? w->cursor : end_of_room(a);
}

static void enter_span(arena *a, arena_span *span)
{
    a->current = span;
    span->entered = ++window_of(a)->events;
    window_of(a)->cursor = span->start;
    arena_set_limit(a);
}

void arena_note_event(arena *a)
{
    window_of(a)->events++;
}

static size_t span_used(const arena *a, const arena_span *span)
{
    return (size_t)((span == a->current ? a->window.arena.cursor : span->left.cursor) -
                    span->start);
}

size_t arena_used(const arena *a)
{
    size_t here = a->current != NULL ? span_used(a, a->current) : 0;
    return a->used_before + a->large + here - a->dead;
}

size_t arena_height(const arena *a)
{
    return arena_used(a) + (size_t)a->stand_ins * FIEF_GRAIN;
}

void arena_note_peak(arena *a)
{
    size_t used = arena_used(a);
    a->peak = used > a->peak ? used : a->peak;
}

/* ---- spans ---- */

/* Of `pages` pages, or of fewer, but `least` at least. */
static arena_span *span_new(arena *a, size_t pages, size_t least)
{
    core *c = a->core;
    arena_span *span = space_meta(&c->space, sizeof *span);
    unsigned char *start =
        span == NULL ? NULL : space_take_most(&c->space, &pages, least, PAGE_ARENA, a);
    if (start == NULL) {
        if (span != NULL) {
            space_meta_give(&c->space, span, sizeof *span);
        }
        return NULL;
    }
    /* Nothing ends where a stack's span begins, neither frames of the span before nor a block that
     * lies apart: a pop tells by that whether the newest block is in the span. */
    size_t apart = a->strategy == FIEF_STACK ? FIEF_ALIGN : 0;
    *span = (arena_span){.start = start + apart, .pages = (uint32_t)pages,
                         .end = start + (pages << PAGE_SHIFT)};
    guard_claim(start, pages << PAGE_SHIFT);
    return span;
}

/* Of a span that is not the caller's buffer: where its first page begins. */
static unsigned char *pages_of(const arena_span *span)
{
    return span->start - ((uintptr_t)span->start & (PAGE_SIZE - 1));
}

static void span_drop(arena *a, arena_span *span)
{
    if (span->pages == 0) {
        guard_forget(span->start, (size_t)(span->end - span->start));
        return;
    }
    guard_claim(pages_of(span), (size_t)span->pages << PAGE_SHIFT);
    space_give(&a->core->space, pages_of(span), span->pages, 0);
    space_meta_give(&a->core->space, span, sizeof *span);
}

/* The next span of the chain that holds `need` bytes, new where there is none. */
static bool next_span(arena *a, size_t need)
{
    arena_span *old = a->current;
    arena_span *span = old == NULL ? a->first : old->next;
    if (span == NULL || (size_t)(span->end - span->start) < need) {
        size_t least = pages_for(need), pages = least > a->next_pages ? least : a->next_pages;
        arena_span *fresh = span_new(a, pages, least);
        if (fresh == NULL) {
            return false;
        }
        a->next_pages = a->next_pages * 2 < LARGEST_STEP ? a->next_pages * 2 : LARGEST_STEP;
        fresh->next = span;
        fresh->previous = old;
        if (span != NULL) {
            span->previous = fresh;
        }
        *(old == NULL ? &a->first : &old->next) = fresh;
        span = fresh;
    }
    if (old != NULL) {
        old->left = *window_of(a);
        a->used_before += span_used(a, old);
    }
    enter_span(a, span);
    return true;
}

/* ---- blocks ---- */

/* Where blocks have records, the end of one is not the next one's start: a pointer to it tells
 * which block it belongs to. */
static size_t with_end(const arena *a, size_t size)
{
    bool is_apart = GUARD_REDZONE != 0 || !a->shut || a->strategy == FIEF_STACK;
    return size == 0 || !is_apart ? size + 1 : size;
}

/* From one block's start to the next one's: a record's cell at least, where blocks have records. */
static size_t raw_step(const arena *a, size_t size, size_t align)
{
    size_t grain = align > FIEF_GRAIN ? FIEF_ALIGN : FIEF_GRAIN;
    size_t step = fief_round_up(with_end(a, size), grain) + 2 * (size_t)GUARD_REDZONE;
    return a->shut && step < CELL ? CELL : step;
}

/* Room at the top for a raw block of `size` bytes with redzones; NULL: the span is full. */
static unsigned char *bump(arena *a, size_t size, size_t align)
{
    if (a->current == NULL) {
        return NULL;
    }
    unsigned char *top = window_of(a)->cursor;
    unsigned char *end = a->shut ? end_of_room(a) : window_of(a)->limit;
    size_t pad = (0 - ((uintptr_t)top + GUARD_REDZONE)) & (align - 1);
    size_t step = raw_step(a, size, align);
    size_t room = (size_t)(end - top);
    if (pad > room || step > room - pad) {
        return NULL;
    }
    set_top(a, top + pad + step);
    return top + pad + GUARD_REDZONE;
}

static unsigned char *top_of(const arena *a, const arena_span *span)
{
    unsigned char *top = span == a->current ? a->window.arena.cursor : span->left.cursor;
    const zone *z = a->zones;
    while (z != NULL && z->span->entered > span->entered) {
        z = z->next;
    }
    for (; z != NULL && z->span == span && z->end == top; z = z->next) {
        top = z->start;
    }
    return top;
}

/* Spans are entered to push, so an empty one is as good as none. */
unsigned char *arena_position_in(const arena *a, const arena_span *span)
{
    bool is_empty = span == NULL || (span == a->first && top_of(a, span) == span->start);
    return is_empty ? NULL : top_of(a, span);
}

unsigned char *arena_position(const arena *a)
{
    return arena_position_in(a, a->current);
}

static bool attach(arena *a, attachment what)
{
    attachment *node = space_meta(&a->core->space, sizeof *node);
    if (node == NULL) {
        return false;
    }
    fief_arena *w = window_of(a);
    *node = what;
    node->below = arena_position(a);
    node->cursor = window_of(a)->cursor;
    arena_note_event(a);
    /* A grain of the stack, so that a pop of what lies below does not go inline. */
    bool takes = a->strategy == FIEF_STACK && a->current != NULL &&
                 end_of_room(a) >= w->cursor + FIEF_GRAIN;
    if (takes) {
        set_top(a, w->cursor + FIEF_GRAIN);
    }
    node->above = arena_position(a);
    node->event = w->events;
    node->next = a->attached;
    a->attached = node;
    return true;
}

/* A block too large for the common spans gets a run of its own. */
static unsigned char *large_block(arena *a, size_t size, size_t align)
{
    core *c = a->core;
    size_t slack = 2 * (size_t)GUARD_REDZONE + (align > FIEF_ALIGN ? align : 0);
    size_t pages = pages_for(with_end(a, size) + slack);
    unsigned char *start = space_take(&c->space, pages, PAGE_ARENA, a);
    if (start == NULL) {
        return NULL;
    }
    guard_claim(start, pages << PAGE_SHIFT);
    unsigned char *block =
        start + GUARD_REDZONE + ((0 - ((uintptr_t)start + GUARD_REDZONE)) & (align - 1));
    if (!attach(a, (attachment){.kind = ATTACHED_RUN, .start = start, .size = pages,
                                .block = block, .asked = size})) {
        space_give(&c->space, start, pages, 0);
        return NULL;
    }
    a->large += pages << PAGE_SHIFT;
    arena_set_limit(a); /* a cap came nearer */
    return block;
}

static unsigned char *fallback_block(arena *a, size_t size, size_t align)
{
    core *c = a->core;
    heap *h = (heap *)(void *)c->heap;
    if (h == NULL || !budget_admits(c, FIEF_HEAP, size)) {
        return NULL;
    }
    unsigned char *block = heap_take(h, size, align);
    if (block == NULL) {
        return NULL;
    }
    if (!attach(a, (attachment){.kind = ATTACHED_HEAP, .start = block, .size = size,
                                .block = block, .asked = size, .block_kind = c->kind})) {
        heap_give(h, block, size, c->kind);
        return NULL;
    }
    c->tallies[a->strategy].fallbacks++;
    a->stand_ins++;
    return block;
}

static bool cap_admits(const arena *a, size_t need)
{
    return a->max == 0 || (need <= a->max && arena_used(a) <= a->max - need);
}

static unsigned char *own_block(arena *a, size_t size, size_t align)
{
    size_t need = raw_step(a, size, align) + align + FIEF_GRAIN;
    bool apart = a->shut && size >= SIZE_IN_PAGES; /* its record says: look at the pages */
    unsigned char *block = apart ? NULL : bump(a, size, align);
    if (block != NULL) {
        return block;
    }
    if (apart || (need > (a->next_pages << PAGE_SHIFT) / 4 && need > PAGE_SIZE / 4)) {
        return cap_admits(a, fief_round_up(need, PAGE_SIZE)) ? large_block(a, size, align) : NULL;
    }
    return cap_admits(a, need) && next_span(a, need) ? bump(a, size, align) : NULL;
}

void *arena_take(arena *a, size_t size, size_t align)
{
    core *c = a->core;
    unsigned char *block = NULL;
    if (budget_admits(c, a->strategy, size)) {
        block = own_block(a, size, align);
        if (block != NULL && c->shut) {
            block_lend(c, a->strategy, block, size, c->kind);
        } else if (block != NULL && a->shut) {
            (void)ledger_write(c, block, size, c->kind);
        }
    }
    return block != NULL ? block : fallback_block(a, size, align);
}

void *arena_alloc(arena *a, size_t size, size_t align)
{
    core *c = a->core;
    if (a->closed) {
        misuse(c, FIEF_MISUSE_NO_UNIT, NULL, size, "no compilation unit is open");
        return NULL;
    }
    if (size_is_absurd(size)) {
        return NULL;
    }
    unsigned char *block;
    do {
        block = arena_take(a, size, align < FIEF_GRAIN ? FIEF_GRAIN : align);
    } while (block == NULL && core_full(c, a->strategy, size));
    arena_note_peak(a);
    return block;
}

/* `align` is sound. */
note arena_note(const arena *a, size_t size, size_t align)
{
    return (note){.verb = VERB_ARENA_ALLOC, .where = a, .size = size,
                  .kind = (uint16_t)a->strategy, .detail = (uint8_t)__builtin_ctzl(align)};
}

void *fief_arena_refill(fief_arena *window, size_t size, size_t align)
{
    arena *a = whole(window);
    bool sound = enter(a->core, CALL()) && align_is_sound(a->core, align);
    return sound ? noted(a->core, arena_alloc(a, size, align), arena_note(a, size, align)) : NULL;
}

/* The newest block, in an open window, grows or shrinks where it lies; any block may shrink. */
static bool resized_in_place(arena *a, unsigned char *start, size_t old_size, size_t new_size)
{
    fief_arena *w = window_of(a);
    size_t old_step = fief_round_up(old_size == 0 ? 1 : old_size, FIEF_GRAIN);
    size_t new_step = fief_round_up(new_size == 0 ? 1 : new_size, FIEF_GRAIN);
    size_t behind = (uintptr_t)w->cursor - (uintptr_t)start;
    bool is_here = a->current != NULL && start >= a->current->start && start < w->cursor;
    /* A grain more may be the padding of a block aligned to 16, or another block. */
    bool is_last = is_here && behind == old_step;
    if (is_last && new_step <= (size_t)(w->limit - start)) {
        arena_note_peak(a);
        w->cursor = start + new_step;
        return true;
    }
    return new_step <= old_step;
}

/* A block of a resize ends with its last grain, so that the next resize knows it for the newest. */
static void drop_padding(arena *a, const unsigned char *block, size_t size)
{
    fief_arena *w = window_of(a);
    size_t step = fief_round_up(size == 0 ? 1 : size, FIEF_GRAIN);
    bool is_here = block != NULL && a->current != NULL && block >= a->current->start;
    if (!a->shut && is_here && step % FIEF_ALIGN != 0 &&
        (uintptr_t)w->cursor - (uintptr_t)block == step + FIEF_GRAIN) {
        w->cursor -= FIEF_GRAIN;
    }
}

/* What was left behind by a resize is dead: its pointers are nobody's, its bytes are not asked
 * for. What stands in for a block of the arena, on the heap, dies with the arena. */
static void retire(arena *a, unsigned char *block)
{
    core *c = a->core;
    const page *entry = space_page(&c->space, block);
    record *r = a->shut ? ledger_find(&c->space, block) : NULL;
    bool is_ours = entry == NULL || (entry->kind == PAGE_ARENA && entry->owner == a);
    if (r == NULL || !is_ours || r->state != BLOCK_LIVE || ledger_block(&c->space, r) != block) {
        return;
    }
    if (c->shut) {
        block_take_back(c, a->strategy, r, block, record_size(&c->space, r), c->no_kind, a->name);
    } else {
        r->state = BLOCK_FREED; /* an arena of recorded blocks, where nothing is counted */
    }
}

void *fief_arena_resize_slow(fief_arena *window, void *block, size_t old_size, size_t new_size,
                             size_t align)
{
    arena *a = whole(window);
    if (!enter(a->core, CALL()) || !align_is_sound(a->core, align) ||
        !seal_admits_change(a->core, block, "resized")) {
        return NULL;
    }
    if (block != NULL && !a->shut && !size_is_absurd(new_size) &&
        resized_in_place(a, block, old_size, new_size)) {
        return block;
    }
    void *moved = arena_alloc(a, new_size, align);
    drop_padding(a, moved, new_size);
    if (moved != NULL && block != NULL) {
        memcpy(moved, block, old_size < new_size ? old_size : new_size);
        retire(a, block);
        note_call(a->core, (note){.verb = VERB_RESIZE, .what = block, .where = moved,
                                  .size = new_size, .old = old_size, .detail = VERB_ARENA_ALLOC});
        return moved;
    }
    return noted(a->core, moved, arena_note(a, new_size, align));
}

/* ---- rewind and reset ---- */

/* Where blocks have records. */
static void sweep(arena *a, unsigned char *from, const unsigned char *to)
{
    if (a->shut) {
        blocks_sweep(a->core, a->strategy, from, to, a->name);
    }
}

static void drop_attachment(arena *a, const attachment *node)
{
    core *c = a->core;
    if (node->kind == ATTACHED_CLEANUP) {
        served outer = let_host_in(c);
        block_state dying = c->dying;
        c->dying = BLOCK_FREED;
        node->function(node->start);
        go_on_serving(c, outer);
        c->dying = dying;
    } else if (node->kind == ATTACHED_HEAP) {
        heap_give((heap *)(void *)c->heap, node->start, node->size, node->block_kind);
        a->stand_ins--;
    } else {
        size_t first_pages = node->size < 2 ? node->size : 2; /* the block starts in one of them */
        sweep(a, node->start, (unsigned char *)node->start + (first_pages << PAGE_SHIFT));
        space_bury(&c->space, node->start, node->size, a->strategy);
        a->large -= node->size << PAGE_SHIFT;
    }
}

/* Cleanups see the blocks of their time alive: those are swept after the last of them. A cleanup
 * may attach another one, which is newer than all. */
static void run_cleanups_after(arena *a, uint64_t event)
{
    attachment **link = &a->attached;
    while (*link != NULL && (*link)->event > event) {
        attachment *node = *link;
        if (node->kind == ATTACHED_CLEANUP) {
            *link = node->next;
            drop_attachment(a, node);
            space_meta_give(&a->core->space, node, sizeof *node);
            link = &a->attached;
        } else {
            link = &node->next;
        }
    }
}

static void drop_after(arena *a, uint64_t event)
{
    run_cleanups_after(a, event);
    while (a->attached != NULL && a->attached->event > event) {
        attachment *node = a->attached;
        a->attached = node->next;
        drop_attachment(a, node);
        space_meta_give(&a->core->space, node, sizeof *node);
    }
}

bool arena_may_lose(arena *a, const arena_span *span, const unsigned char *cursor, uint64_t event,
                    fief_misuse_class class_id)
{
    if (!GUARD_SHUT) {
        return true;
    }
    run_cleanups_after(a, event);
    return dangling_admits(a->core, &(doomed){a, span, cursor, event, class_id});
}

/* ---- what a guarded build does with dead bytes ---- */


static unsigned char *page_after(const unsigned char *p)
{
    return (unsigned char *)fief_round_up((uintptr_t)p, OS_PAGE);
}

/* The part of a zone that shares its page with living blocks stays accessible, so we look at it. */
static void zone_drop(arena *a)
{
    zone *z = a->zones;
    unsigned char *end = page_after(z->start) < z->end ? page_after(z->start) : z->end;
    const void *at = guard_written(z->start, (size_t)(end - z->start));
    if (at != NULL) {
        misuse(a->core, FIEF_MISUSE_USE_AFTER_REWIND, at, 0,
               "bytes of %s were written after a rewind", a->name);
    }
    a->dead -= (size_t)(z->end - z->start);
    a->zones = z->next;
    space_meta_give(&a->core->space, z, sizeof *z);
}

/* The blocks of the current span from `from` on die. */
static void sweep_from(arena *a, unsigned char *from)
{
    while (a->zones != NULL && a->zones->span == a->current && a->zones->start >= from) {
        zone_drop(a);
    }
    sweep(a, from, window_of(a)->cursor);
}

/* Bytes from `from` to the top have died. In a guarded build their whole pages become inaccessible,
 * and the arena goes on behind them; returns where. */
static unsigned char *lay_to_rest(arena *a, unsigned char *from)
{
    unsigned char *top = window_of(a)->cursor, *first = page_after(from), *last = page_after(top);
    arena_span *span = a->current;
    if (top == from) {
        return from;
    }
    bool ours = span->pages != 0 && a->core->space.range->reserve != NULL;
    zone *z = ours ? space_meta(&a->core->space, sizeof *z) : NULL;
    if (z == NULL) { /* the caller's bytes, or no memory to write it down */
        guard_sweep(from, (size_t)(top - from));
        return from;
    }
    guard_sweep(from, (size_t)(first - from)); /* what lies behind the top is nobody's yet */
    if (first < last && !guard_bury(first, (size_t)(last - first), false)) {
        guard_sweep(first, (size_t)(last - first));
    }
    last = last < span->end ? last : span->end;
    *z = (zone){.next = a->zones, .span = span, .start = from, .end = last,
                .event = ++window_of(a)->events};
    a->zones = z;
    a->dead += (size_t)(last - from);
    return last;
}

/* Where spans are dead from this link of the chain on, all but the caller's buffer leave it. Those
 * that lie side by side, as they mostly do, are one grave. */
static void bury_all(arena *a, arena_span **link)
{
    unsigned char *start = NULL;
    size_t pages = 0;
    for (arena_span *span = *link, *next; span != NULL; span = next) {
        next = span->next;
        if (span->pages == 0) {
            link = &span->next;
            continue;
        }
        *link = next;
        if (next != NULL) {
            next->previous = span->previous;
        }
        unsigned char *own = pages_of(span);
        if (pages != 0 && own != start + (pages << PAGE_SHIFT)) {
            space_bury(&a->core->space, start, pages, a->strategy);
            pages = 0;
        }
        start = pages == 0 ? own : start;
        pages += span->pages;
        space_meta_give(&a->core->space, span, sizeof *span);
    }
    if (pages != 0) {
        space_bury(&a->core->space, start, pages, a->strategy);
    }
}

/* The span that a mark was made in. Spans may touch, so the address alone does not tell: a span
 * that was entered after the mark is not the one. */
static arena_span *span_of(const arena *a, fief_mark mark)
{
    arena_span *span = a->current;
    while (span != NULL && (mark.cursor < span->start || mark.cursor > span->end ||
                            span->entered > mark.events)) {
        span = span->previous;
    }
    return span;
}

/* The limit is set by who calls, when all later spans are left. */
static void leave_span(arena *a)
{
    arena_span *left = a->current, *previous = left->previous;
    sweep_from(a, left->start);
    a->current = previous;
    window_of(a)->cursor = previous->left.cursor;
    a->used_before -= span_used(a, previous);
}

static void bury_left(arena *a)
{
    if (GUARD_SHUT && a->current != NULL) {
        bury_all(a, &a->current->next);
    }
}

static void leave_later_spans(arena *a, const arena_span *span)
{
    while (a->current != span) {
        leave_span(a);
    }
}

/* Is it the current span, or one before? */
static bool is_entered(const arena *a, const arena_span *span)
{
    const arena_span *entered = a->current;
    while (entered != NULL && entered != span) {
        entered = entered->previous;
    }
    return entered != NULL;
}

void arena_undo(arena *a, arena_span *span, unsigned char *cursor, uint64_t event, bool rest)
{
    fief_arena *w = window_of(a);
    arena_note_peak(a);
    drop_after(a, event);
    /* A cleanup may have made the first span, or gone further back than we do. */
    if (span == NULL && a->first != NULL) {
        span = a->first;
        cursor = span->start;
    }
    if (span != NULL && is_entered(a, span)) {
        leave_later_spans(a, span);
        cursor = cursor < w->cursor ? cursor : w->cursor;
        bury_left(a);
        bool rests = GUARD_SHUT && (rest || (a->zones != NULL && a->zones->end > cursor));
        sweep_from(a, cursor);
        if (rests) {
            cursor = lay_to_rest(a, cursor);
        } else {
            guard_sweep(cursor, (size_t)(w->cursor - cursor));
        }
        w->cursor = w->limit = cursor;
    }
}

/* Where the top is once the mark is gone back to. */
static arena_span *span_before(const arena *a, fief_mark mark, unsigned char **ret_cursor)
{
    bool is_empty = mark.cursor == NULL; /* it had no span when the mark was made */
    arena_span *span = is_empty ? a->first : span_of(a, mark);
    unsigned char *cursor = is_empty && span != NULL ? span->start : mark.cursor;
    if (span != NULL && span == a->current && cursor > a->window.arena.cursor) {
        cursor = a->window.arena.cursor;
    }
    *ret_cursor = cursor;
    return span;
}

static void go_back(arena *a, arena_span *span, unsigned char *cursor, fief_mark mark, bool rest)
{
    size_t before = a->core->tallies[a->strategy].blocks;
    a->core->dying = BLOCK_REWOUND;
    arena_undo(a, span, cursor, mark.events, rest);
    if (a->core->trace != NULL) {
        a->core->trace->rewound = before - a->core->tallies[a->strategy].blocks;
    }
    a->core->dying = BLOCK_FREED;
    /* What came after the mark is gone: the next rewind to it may be inline again. The first span
     * was entered later than a mark of an empty arena, and stays. */
    if (mark.cursor != NULL && !a->shut) {
        window_of(a)->events = mark.events;
    }
    arena_set_limit(a);
}

bool arena_rewind(arena *a, fief_mark mark)
{
    unsigned char *cursor;
    arena_span *span = span_before(a, mark, &cursor);
    bool may = arena_may_lose(a, span, cursor, mark.events,
                              a->core->unit != 0 ? FIEF_MISUSE_DANGLING_AT_RESET
                                                 : FIEF_MISUSE_DANGLING_AT_REWIND);
    if (may) {
        go_back(a, span, cursor, mark, true);
    }
    return may;
}

void arena_take_back(arena *a, fief_mark mark)
{
    unsigned char *cursor;
    arena_span *span = span_before(a, mark, &cursor);
    go_back(a, span, cursor, mark, false);
}

/* A mark at the zone's end is stale, too, if it was made before: the top stood there by chance. */
static bool is_in_zone(const arena *a, const fief_mark *mark)
{
    const unsigned char *p = mark->cursor;
    const zone *z = a->zones;
    while (z != NULL &&
           (p <= z->start || p > z->end || (p == z->end && mark->events >= z->event))) {
        z = z->next;
    }
    return z != NULL;
}

/* In a window that is open the newest block may also have shrunk, below a mark behind it. */
static bool was_undone(const arena *a, const unsigned char *p)
{
    return a->shut && p > a->window.arena.cursor;
}

static bool mark_is_stale(const arena *a, fief_mark mark)
{
    const arena_span *span = mark.cursor == NULL ? NULL : span_of(a, mark);
    return mark.events > a->window.arena.events || (mark.cursor != NULL && span == NULL) ||
           (span != NULL && span == a->current && was_undone(a, mark.cursor)) ||
           is_in_zone(a, &mark);
}

/* Below an open unit nothing may die but by the unit's end. */
static bool may_undo_to(arena *a, uint64_t events)
{
    if (!seal_admits(a, events, events == 0 ? "reset" : "rewound")) {
        return false;
    }
    if (a->strategy != FIEF_COMPILER_ARENA || a->closed || events >= a->unit_began) {
        return true;
    }
    misuse(a->core, FIEF_MISUSE_UNIT_ORDER, NULL, 0,
           "the compiler arena was reset, or rewound below a unit, while the unit is open");
    return false;
}

/* A mark is made inline, and nobody sees it: for the diary it was made before the first note that
 * the rewind undid. */
static void note_rewind(const arena *a)
{
    core *c = a->core;
    diary *d = GUARD_SHUT ? c->diary : NULL;
    if (d == NULL) {
        note_call(c, (note){.verb = VERB_REWIND, .where = a});
        return;
    }
    uint64_t first = d->count;
    for (uint64_t n = d->count; n > 0 && d->count - n < NOTES; n--) {
        note *made = &d->notes[(n - 1) % NOTES];
        bool is_ours = made->verb == VERB_ARENA_ALLOC && made->where == a && made->old == 0;
        if (is_ours && ledger_at(&c->space, made->what)->state == BLOCK_REWOUND) {
            made->old = 1;
            first = n - 1;
        }
    }
    note_write(c, (note){.verb = VERB_REWIND, .where = a, .old = first});
}

void fief_arena_rewind_slow(fief_arena *window, unsigned char *cursor, const fief_arena *marked,
                            uint64_t events)
{
    arena *a = whole(window);
    fief_mark mark = {cursor, marked, events};
    if (!enter(a->core, CALL())) {
        return;
    }
    if (mark.arena != window) {
        misuse(a->core, FIEF_MISUSE_WRONG_ARENA, mark.cursor, 0,
               "the mark belongs to another arena");
    } else if (mark_is_stale(a, mark)) {
        misuse(a->core, FIEF_MISUSE_STALE_MARK, mark.cursor, 0,
               "the arena was rewound below this mark, or reset, since it was made");
    } else if (may_undo_to(a, mark.events) && arena_rewind(a, mark)) {
        note_rewind(a);
    }
}

/* Later spans beyond what the arena keeps go back to the space. */
static void give_back_excess(arena *a)
{
    size_t kept = 0;
    for (arena_span *span = a->first, *next; span != NULL; span = next) {
        next = span->next;
        size_t bytes = (size_t)(span->end - span->start);
        if (kept != 0 && bytes > a->keep - (kept < a->keep ? kept : a->keep)) {
            span->previous->next = next;
            if (next != NULL) {
                next->previous = span->previous;
            }
            span_drop(a, span);
        } else {
            kept += bytes;
        }
    }
}

/* In a guarded build no span is used again: all are buried but the caller's buffer. */
static void start_afresh(arena *a)
{
    bury_all(a, &a->first);
    a->current = NULL;
    a->next_pages = 1; /* what is taken is made inaccessible as a whole: no more than is needed */
    window_of(a)->cursor = window_of(a)->limit = NULL;
    if (a->first != NULL) {
        guard_sweep(a->first->start, (size_t)(a->first->end - a->first->start));
        enter_span(a, a->first);
    }
}

bool arena_reset(arena *a)
{
    if (!arena_may_lose(a, NULL, NULL, 0, FIEF_MISUSE_DANGLING_AT_RESET)) {
        return false;
    }
    arena_note_peak(a);
    a->core->dying = BLOCK_RESET;
    drop_after(a, 0);
    a->core->tallies[a->strategy].resets++;
    window_of(a)->events++;
    if (a->current != NULL) {
        leave_later_spans(a, a->first);
        sweep_from(a, a->first->start);
    }
    a->core->dying = BLOCK_FREED;
    if (GUARD_SHUT) {
        start_afresh(a);
    } else if (a->first != NULL) {
        enter_span(a, a->first);
        give_back_excess(a);
    }
    return true;
}

void fief_arena_reset_slow(fief_arena *window)
{
    arena *a = whole(window);
    if (enter(a->core, CALL()) && may_undo_to(a, 0)) {
        note_call(a->core, (note){.verb = VERB_ARENA_RESET, .where = a});
        (void)arena_reset(a);
    }
}

bool fief_arena_cleanup_slow(fief_arena *window, void (*function)(void *), void *argument)
{
    arena *a = whole(window);
    if (!enter(a->core, CALL())) {
        return false;
    }
    note_call(a->core, (note){.verb = VERB_CLEANUP, .where = a});
    return attach(a, (attachment){.kind = ATTACHED_CLEANUP, .start = argument,
                                  .function = function});
}

size_t fief_arena_used(const fief_arena *window)
{
    return arena_used(whole(window));
}

/* ---- life ---- */

/* A span is ready: the current one, or the next behind the caller's buffer. */
static bool presize(arena *a, size_t size)
{
    if (size_is_absurd(size)) {
        return false;
    }
    if (a->current == NULL) {
        return next_span(a, size);
    }
    arena_span *ready = span_new(a, pages_for(size), pages_for(size));
    if (ready == NULL) {
        return false;
    }
    ready->previous = a->current;
    a->current->next = ready;
    return true;
}

arena *arena_open(core *c, fief_strategy strategy, const fief_arena_config *config)
{
    static const fief_arena_config none;
    arena *a = space_meta(&c->space, sizeof *a);
    if (a != NULL && !arena_init(a, c, strategy, config != NULL ? config : &none)) {
        space_meta_give(&c->space, a, sizeof *a);
        return NULL;
    }
    return a;
}

/* An arena's own, so that no mark of another arena fits its window. */
static uint64_t first_event(const arena *a)
{
    return (uint64_t)(uintptr_t)a << 16;
}

bool arena_init(arena *a, core *c, fief_strategy strategy, const fief_arena_config *config)
{
    *a = (arena){.core = c,
                 .window.arena.events = first_event(a),
                 .stays = a->stays,
                 .strategy = strategy,
                 .name = config->name ? config->name : "arena",
                 .keep = config->keep_bytes ? config->keep_bytes : keep_default,
                 .max = config->max_bytes, .next_pages = 1, .next = c->arenas,
                 .shut = c->shut || config->recorded};
    if (config->recorded && c->space.ledger == NULL && !space_keep_ledger(&c->space)) {
        return false;
    }
    size_t skip = (0 - (uintptr_t)config->buffer) & (FIEF_ALIGN - 1);
    if (config->buffer != NULL && config->buffer_size > skip) {
        unsigned char *start = (unsigned char *)config->buffer + skip;
        a->buffer = (arena_span){.start = start,
                                 .end = start + ((config->buffer_size - skip) & ~(size_t)7)};
        if (c->space.ledger != NULL) {
            a->annex = annex_open(&c->space, start, (size_t)(a->buffer.end - start));
            if (a->annex == NULL) {
                return false;
            }
        }
        guard_claim(start, (size_t)(a->buffer.end - start));
        a->first = &a->buffer;
        enter_span(a, a->first);
    }
    c->arenas = a;
    if (config->presize != 0 && !presize(a, config->presize)) {
        arena_shut_down(a);
        return false;
    }
    return true;
}

void arena_refuse(arena *a, bool refuse)
{
    a->closed = refuse;
    arena_set_limit(a);
}

void arena_shut_down(arena *a)
{
    core *c = a->core;
    (void)arena_unseal(a);
    drop_after(a, 0);
    if (a->current != NULL) {
        leave_later_spans(a, a->first);
        sweep_from(a, a->first->start);
    }
    if (GUARD_SHUT) {
        start_afresh(a);
    }
    space_give_together(&c->space, true);
    for (arena_span *span = a->first, *next; span != NULL; span = next) {
        next = span->next;
        span_drop(a, span);
    }
    space_give_together(&c->space, false);
    if (a->annex != NULL) {
        annex_close(&c->space, a->annex);
    }
    for (arena **link = &c->arenas; *link != NULL; link = &(*link)->next) {
        if (*link == a) {
            *link = a->next;
            break;
        }
    }
    /* Who uses it yet, as a cleanup of the runtime's close may, gets pages of its own. */
    a->first = a->current = NULL;
    a->used_before = 0;
    window_of(a)->cursor = window_of(a)->limit = NULL;
}

void arena_close(arena *a)
{
    if (a->stays) {
        if (may_undo_to(a, 0)) {
            (void)arena_reset(a);
        }
        return;
    }
    arena_lift_seal(a); /* cleanups may write */
    if (!arena_may_lose(a, NULL, NULL, 0, FIEF_MISUSE_DANGLING_AT_CLOSE)) {
        arena_restore_seal(a);
        return;
    }
    arena_shut_down(a);
    space_meta_give(&a->core->space, a, sizeof *a);
}

void fief_arena_close_slow(fief_arena *window)
{
    if (window != NULL && enter(whole(window)->core, CALL())) {
        note_call(whole(window)->core, (note){.verb = VERB_ARENA_CLOSE, .where = window});
        arena_close(whole(window));
    }
}
