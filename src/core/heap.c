/* heap: see include/fief/heap.h. Small blocks are bumped in creation order from 64 KiB pages that
 * all classes share (density and order are what a marking collector walks fastest), while the heap
 * is small in runs of one size, and come back to one list a class. What is left of a page when a
 * block does not fit goes to the lists too.
 *
 *     sized                | 24 | 40 | 24 | 512 ... | 8 |      free says the size
 *     unsized    | table   | 32  | 48    | 32  | 512 ...       the table says it
 *                                            ^ bump        ^ bump_end */
#include "core/core.h"

#include "base/size.h"
#include "guard.h"
#include "os/os.h"

#include <string.h>

static heap *whole(const fief_heap *window)
{
    return (heap *)(void *)(uintptr_t)window;
}

static size_t rounded_size(const heap *h, size_t size)
{
    return ((size == 0 ? 1 : size) + h->window.round) & ~h->window.round;
}

/* ---- small: two shelves, of blocks that are freed with their size and without ---- */

enum { REDZONES = 2 * GUARD_REDZONE, POPULATE_FROM = 1 << 20,
       LOOK_EVERY = 16 << 10, /* bytes lent, for peaks and for what the host freed meanwhile */
       LONGER_SHIFT = 21 - PAGE_SHIFT, /* spans are a page longer for each 2 MiB */
       RUN_SHIFT = 9, RUN_LEAST = 1024, RUN_MOST = 4096, RUN_PAGES = (3 << 20) >> PAGE_SHIFT };

/* An unsized block's list, and its byte in the table: its size in whole grains of 16. */
static size_t unsized_class(size_t size)
{
    return (size + FIEF_ALIGN - 1) / FIEF_ALIGN;
}

/* From one block's start to the next one's: a record's cell at least, where blocks have records. */
static size_t raw_step(size_t bytes)
{
    return GUARD_SHUT && bytes + REDZONES < CELL ? CELL : bytes + REDZONES;
}

/* A page of unsized blocks begins with a byte for each grain: the class of the block that starts
 * there, lent or vacant; 0 where none does. Guarded builds have records instead. */
static size_t table_size(const shelf *s)
{
    return GUARD_SHUT || s->kind != PAGE_UNSIZED ? 0 : PAGE_SIZE / FIEF_ALIGN;
}

static inline fief_vacant **list_of(const shelf *s, size_t bytes)
{
    _Static_assert(sizeof(fief_vacant *) == FIEF_GRAIN, "fief_heap_list counts in bytes");
    return &s->lists[(bytes - 1) >> s->shift];
}

/* By the address alone: no need to wait for the page's entry. */
static inline unsigned char *class_of(const space *s, const unsigned char *block)
{
    size_t offset = (size_t)(block - s->base) & (PAGE_SIZE - 1);
    return (unsigned char *)(uintptr_t)block - offset + offset / FIEF_ALIGN;
}

/* The next block of the bump. */
static inline void *shelf_place(const heap *h, shelf *s, size_t bytes)
{
    unsigned char *block = s->bump + GUARD_REDZONE;
    s->bump += raw_step(bytes);
    if (!GUARD_SHUT && s->kind == PAGE_UNSIZED) {
        *class_of(&h->core->space, block) = (unsigned char)unsized_class(bytes);
    }
    return block;
}

/* Bytes of the page that the bump passes over become vacant blocks rather than waste. */
static void park_until(heap *h, shelf *s, const unsigned char *end)
{
    while (s->bump < end) {
        size_t room = (size_t)(end - s->bump);
        size_t largest = room <= REDZONES ? 0 : (room - REDZONES) & ~(size_t)s->mask;
        largest = largest < FIEF_SMALL_MAX ? largest : FIEF_SMALL_MAX;
        if (largest <= s->mask || raw_step(largest) > room) {
            page *entry = space_page(&h->core->space, s->bump);
            space_page(&h->core->space, span_start(&h->core->space, entry))->tail += (uint16_t)room;
            s->bump += room;
            return;
        }
        vacant_push(h->core, list_of(s, largest), shelf_place(h, s, largest));
    }
}

/* Once the shelf is not small any more, more pages at once. With a table each is by itself. */
static size_t span_length(const shelf *s, size_t need)
{
    size_t length = 1 + (s->held >> LONGER_SHIFT < 3 ? s->held >> LONGER_SHIFT : 3);
    size_t least = pages_for(need + table_size(s));
    return table_size(s) != 0 || length < least ? least : length;
}

/* A fresh span for the bump, touched ahead once the shelf is not small any more. */
static bool shelf_span(heap *h, shelf *s, size_t need)
{
    core *c = h->core;
    size_t pages = span_length(s, need), table = table_size(s);
    unsigned char *start =
        space_take_most(&c->space, &pages, pages_for(need + table), (page_kind)s->kind, h);
    if (start == NULL) {
        return false;
    }
    size_t bytes = pages << PAGE_SHIFT;
    if (s->held > POPULATE_FROM >> PAGE_SHIFT) {
        os_populate(start, bytes);
    }
    park_until(h, s, s->bump_end);
    guard_claim(start, bytes);
    memset(start, 0, table);
    space_page(&c->space, start)->tail += (uint16_t)table;
    s->held += (uint32_t)pages;
    s->bump = start + table;
    s->bump_end = start + bytes;
    return true;
}

/* A block of the bump, and behind it some more of its class while the shelf is small: 1 to 4 KiB, a
 * 512th of what it has handed out. So little memory is walked again and again, and what is used
 * together had better lie dense; where there is much of it, order matters more. */
static void *shelf_run(heap *h, shelf *s, size_t bytes)
{
    size_t room = (size_t)(s->bump_end - s->bump);
    size_t run = (((size_t)s->held << PAGE_SHIFT) - room) >> RUN_SHIFT;
    run = run < RUN_LEAST ? RUN_LEAST : run;
    run = run < RUN_MOST ? run : RUN_MOST;
    run = run < room ? run : room;
    unsigned char *block = shelf_place(h, s, bytes);
    if (GUARD_SHUT || s->kind != PAGE_SMALL || s->held > RUN_PAGES || run < 2 * bytes) {
        return block;
    }
    s->bump = block + run - run % bytes;
    fief_vacant **link = list_of(s, bytes);
    for (unsigned char *more = block + bytes; more < s->bump; more += bytes) {
        *link = (fief_vacant *)(void *)more;
        link = &(*link)->next;
    }
    *link = NULL;
    return block;
}

static inline void *shelf_take(heap *h, shelf *s, size_t bytes)
{
    fief_vacant **list = list_of(s, bytes);
    if (vacant_ready(h->core, list)) {
        return vacant_pop(h->core, list);
    }
    size_t step = raw_step(bytes);
    if (step > (size_t)(s->bump_end - s->bump) && !shelf_span(h, s, step)) {
        return vacant_any(h->core, list);
    }
    return shelf_run(h, s, bytes);
}

static size_t padding(const shelf *s, size_t align)
{
    return (0 - ((uintptr_t)s->bump + GUARD_REDZONE)) & (align - 1);
}

static bool is_aligned(const void *block, size_t align)
{
    return ((uintptr_t)block & (align - 1)) == 0;
}

/* An aligned block is a common block of its class at an aligned address, and is freed as one. */
static void *shelf_take_aligned(heap *h, shelf *s, size_t bytes, size_t align)
{
    fief_vacant **list = list_of(s, bytes);
    if (vacant_ready(h->core, list) && is_aligned(*list, align)) {
        return vacant_pop(h->core, list);
    }
    size_t step = raw_step(bytes);
    if (padding(s, align) + step > (size_t)(s->bump_end - s->bump) &&
        !shelf_span(h, s, align + step)) {
        bool has_one = GUARD_SHUT && dense_refill(h->core, list, true);
        return has_one && is_aligned(*list, align) ? vacant_pop(h->core, list) : NULL;
    }
    park_until(h, s, s->bump + padding(s, align));
    return shelf_place(h, s, bytes);
}

fief_vacant **heap_list(heap *h, const page *entry, size_t size)
{
    return entry->kind == PAGE_UNSIZED ? list_of(&h->unsized, unsized_class(size) * FIEF_ALIGN)
                                       : list_of(&h->sized, rounded_size(h, size));
}

/* ---- large: runs of pages ---- */

/* One that shrank to nothing has its place, too. */
static size_t large_pages(size_t offset, size_t size)
{
    return pages_for(offset + (size != 0 ? size : 1) + GUARD_REDZONE);
}

/* Where a block lies in its pages: a redzone behind their start, or more, to be aligned. */
static size_t large_start(size_t align)
{
    return align > FIEF_ALIGN && GUARD_REDZONE != 0 ? align : GUARD_REDZONE;
}

static void *large_take(heap *h, size_t size, size_t align)
{
    size_t offset = large_start(align), pages = large_pages(offset, size);
    unsigned char *start = space_take(&h->core->space, pages, PAGE_LARGE, h);
    if (start == NULL) {
        return NULL;
    }
    guard_claim(start, pages << PAGE_SHIFT);
    return start + offset;
}

static size_t large_offset(const heap *h, const page *entry, const void *block)
{
    return (uintptr_t)block - (uintptr_t)span_start(&h->core->space, entry);
}

static const page *large_head(const heap *h, const page *entry)
{
    return &h->core->space.map[entry->first];
}

/* ---- any size ---- */

static page_kind kind_for(const heap *h, size_t size)
{
    if (rounded_size(h, size) <= FIEF_SMALL_MAX) {
        return PAGE_SMALL;
    }
    return size <= HEAP_LARGEST_MEDIUM ? PAGE_MEDIUM : PAGE_LARGE;
}

static void *raw_take(heap *h, size_t size, size_t align)
{
    switch (kind_for(h, size)) {
    case PAGE_SMALL:
        return align <= h->window.round + 1
                   ? shelf_take(h, &h->sized, rounded_size(h, size))
                   : shelf_take_aligned(h, &h->sized, rounded_size(h, size), align);
    case PAGE_MEDIUM: return medium_take(h, size, align);
    default: return large_take(h, size, align);
    }
}

/* There is a new peak when lent - returned > peak. Since `returned` only rises, that can't be
 * before `lent` passes peak + returned as they are now. */
static void look(heap *h)
{
    fief_heap *w = &h->window;
    size_t live = heap_live(w);
    if (live > w->peak) { /* as most often where a heap grows, and then so may the next be */
        w->peak = h->high = live;
        w->news = w->lent;
        return;
    }
    h->high = live > h->high ? live : h->high;
    size_t next = w->peak + w->returned, soon = w->lent + LOOK_EVERY;
    w->news = next < soon ? next : soon;
    heap_order(h, live);
}

void *fief_heap_look_slow(fief_heap *window, void *block)
{
    look(whole(window));
    return block;
}

static void count_lent(heap *h, size_t bytes)
{
    h->window.lent += bytes;
    if (h->window.lent > h->window.news) {
        look(h);
    }
}

static void count_returned(heap *h, size_t bytes)
{
    h->window.returned += bytes;
}

/* What a block of this size counts for: its class, or its size in whole grains. */
static void count_live(heap *h, size_t size)
{
    count_lent(h, rounded_size(h, size));
}

static void count_dead(heap *h, size_t size)
{
    count_returned(h, rounded_size(h, size));
}

static void *take(heap *h, size_t size, size_t align)
{
    core *c = h->core;
    bool fenced = GUARD_FENCES && fence_wanted(c, size);
    size_t least = h->window.round + 1;
    void *block = fenced ? fence_take(c, FIEF_HEAP, h, size, align > least ? align : least)
                         : raw_take(h, size, align);
    if (block == NULL) {
        return NULL;
    }
    if (c->shut) {
        block_lend(c, FIEF_HEAP, block, size, c->kind);
    }
    if (fenced) {
        fence_shut(c, block);
    }
    count_live(h, size);
    return block;
}

void *heap_take(heap *h, size_t size, size_t align)
{
    return take(h, size, align);
}

void heap_reuse(heap *h, void *block, size_t size)
{
    core *c = h->core;
    const page *entry = space_page(&c->space, block);
    if (entry->kind == PAGE_SMALL || entry->kind == PAGE_UNSIZED) {
        vacant_push(c, heap_list(h, entry, size), block);
    } else if (entry->kind == PAGE_MEDIUM) {
        medium *m = entry->owner;
        medium_give(m, block);
        if (medium_is_empty(m)) {
            medium_trim(h, 1);
        }
    } else {
        unsigned char *start = span_start(&c->space, entry);
        size_t pages = large_head(h, entry)->length;
        guard_claim(start, pages << PAGE_SHIFT);
        space_give(&c->space, start, pages, 0);
    }
}

/* ---- give ---- */

static void report_not_ours(heap *h, const page *entry, void *block, size_t size)
{
    core *c = h->core;
    if (entry != NULL && entry->kind == PAGE_DEAD) {
        misuse(c, FIEF_MISUSE_WRONG_ALLOCATOR, block, size,
               "given to the heap, but it was a block of %s, which died",
               fief_strategy_name((fief_strategy)entry->tail));
        return;
    }
    if (entry == NULL || !entry->used) {
        report_foreign(c, block, size, "the heap");
        return;
    }
    misuse(c, FIEF_MISUSE_WRONG_ALLOCATOR, block, size,
           "given to the heap, but it belongs to %s", owner_name(entry));
}

/* The size is what the pages say, as far as every mode can tell. */
static bool size_is_right(const heap *h, const page *entry, const void *block, size_t size)
{
    if (entry->kind == PAGE_LARGE) {
        return large_pages(large_offset(h, entry, block), size) == large_head(h, entry)->length;
    }
    if (entry->kind == PAGE_MEDIUM) {
        return medium_fits(entry->owner, block, size);
    }
    return kind_for(h, size) == PAGE_SMALL;
}

static bool is_inside(const heap *h, const page *entry, const void *block)
{
    size_t offset = large_offset(h, entry, block);
    return entry->kind == PAGE_LARGE && offset != GUARD_REDZONE &&
           (GUARD_REDZONE == 0 || !is_power_of_two(offset) || offset > FIEF_ALIGN_MAX);
}

/* Checks that every mode can afford out of line: is this a block of ours, of about this size? In a
 * guarded build its record tells exactly. */
static bool must_be_a_block(heap *h, void *block, size_t size, unsigned kind, record **ret_record)
{
    core *c = h->core;
    const page *entry = space_page(&c->space, block);
    *ret_record = NULL;
    if (entry == NULL || !entry->used || entry->kind < PAGE_SMALL || entry->kind == PAGE_DEAD ||
        (entry->kind == PAGE_FENCED && entry->owner != h)) {
        report_not_ours(h, entry, block, size);
        return false;
    }
    if (GUARD_SHUT) {
        *ret_record = block_live(c, block, size, kind);
        return *ret_record != NULL;
    }
    medium_place place =
        entry->kind == PAGE_MEDIUM ? medium_find(entry->owner, block) : MEDIUM_BLOCK;
    if (place == MEDIUM_VACANT) {
        misuse(c, FIEF_MISUSE_DOUBLE_FREE, block, size, "the block is free already");
        return false;
    }
    if (place == MEDIUM_INTERIOR || is_inside(h, entry, block)) {
        misuse(c, FIEF_MISUSE_INTERIOR_FREE, block, size, "points inside a block");
        return false;
    }
    if (!size_is_right(h, entry, block, size)) {
        misuse(c, FIEF_MISUSE_WRONG_SIZE, block, size,
               "freed or resized with a size of %zu that it does not have", size);
        return false;
    }
    return true;
}

void heap_give(heap *h, void *block, size_t size, unsigned kind)
{
    core *c = h->core;
    record *r;
    if (!must_be_a_block(h, block, size, kind, &r)) {
        return;
    }
    bool fenced = GUARD_FENCES && space_page(&c->space, block)->kind == PAGE_FENCED;
    if (fenced) {
        fence_open(c, block);
    }
    if (c->shut) {
        block_take_back(c, FIEF_HEAP, r, block, size, kind, "the heap");
    }
    count_dead(h, size);
    if (fenced) {
        fence_bury(c, block);
    } else if (GUARD_SHUT) {
        quarantine_put(c, r, size);
    } else {
        heap_reuse(h, block, size);
    }
}

void *heap_alloc(heap *h, size_t size, size_t align)
{
    core *c = h->core;
    if (size_is_absurd(size)) {
        return NULL;
    }
    void *block;
    do {
        block = budget_admits(c, FIEF_HEAP, size) ? take(h, size, align) : NULL;
    } while (block == NULL && core_full(c, FIEF_HEAP, size));
    return block;
}

void *fief_heap_refill(fief_heap *window, size_t size)
{
    heap *h = whole(window);
    return enter(h->core, CALL()) ? noted(h->core, heap_alloc(h, size, FIEF_GRAIN),
                                          (note){.verb = VERB_ALLOC, .size = size})
                                  : NULL;
}

/* A note of a call whose alignment is sound. */
static note aligned(verb makes, size_t size, size_t align)
{
    return (note){
        .verb = (uint8_t)makes, .size = size, .detail = (uint8_t)__builtin_ctzl(align)};
}

void *fief_heap_alloc_aligned_slow(fief_heap *window, size_t size, size_t align)
{
    heap *h = whole(window);
    bool sound = enter(h->core, CALL()) && align_is_sound(h->core, align);
    return sound ? noted(h->core, heap_alloc(h, size, align), aligned(VERB_ALLOC, size, align))
                 : NULL;
}

void fief_heap_free_slow(fief_heap *window, void *block, size_t size)
{
    heap *h = whole(window);
    if (block != NULL && enter(h->core, CALL())) {
        note_call(h->core,
                  (note){.verb = VERB_FREE, .what = block, .size = size, .detail = VERB_ALLOC});
        heap_give(h, block, size, h->core->kind);
    }
}

/* ---- resize ---- */

static bool pages_resized(heap *h, void *block, size_t new_size)
{
    const page *entry = space_page(&h->core->space, block);
    if (entry->kind == PAGE_MEDIUM) {
        return medium_resize(entry->owner, block, new_size);
    }
    unsigned char *start = span_start(&h->core->space, entry);
    size_t length = large_head(h, entry)->length;
    size_t pages = large_pages(large_offset(h, entry, block), new_size);
    if (pages < length) {
        space_give(&h->core->space, start, length, pages);
        return true;
    }
    return pages == length || space_extend(&h->core->space, start, length, pages);
}

static bool in_place(heap *h, void *block, size_t old_size, size_t new_size)
{
    page_kind kind = kind_for(h, new_size);
    if (kind != kind_for(h, old_size)) {
        return false;
    }
    return kind == PAGE_SMALL ? rounded_size(h, old_size) == rounded_size(h, new_size)
                              : pages_resized(h, block, new_size);
}

/* Shrinking never fails: where there is no memory to move to, the block stays, and may be larger
 * than its size says for the rest of its life. */
static void *shrink_here(heap *h, void *block, size_t old_size, size_t new_size)
{
    core *c = h->core;
    page_kind kind = (page_kind)space_page(&c->space, block)->kind;
    if (kind == PAGE_FENCED) {
        fence_open(c, block);
    } else if (kind != PAGE_SMALL) {
        (void)pages_resized(h, block, new_size);
    }
    if (c->shut) {
        block_shrink(c, FIEF_HEAP, block, old_size, new_size, c->kind);
    }
    if (kind == PAGE_FENCED) {
        fence_shut(c, block);
    }
    count_dead(h, old_size);
    count_live(h, new_size);
    return block;
}

/* The first `size` bytes go along. A large block takes its pages along where the OS can. */
static void carry(heap *h, void *block, void *moved, size_t size)
{
    const page *from = space_page(&h->core->space, block), *to = space_page(&h->core->space, moved);
    size_t bytes = (size_t)from->length << PAGE_SHIFT;
    bool pages_moved = !h->core->shut && from->kind == PAGE_LARGE && to->kind == PAGE_LARGE &&
                       to->length >= from->length && bytes >= (1u << 19) &&
                       space_move(&h->core->space, block, moved, bytes);
    if (!pages_moved) {
        memcpy(moved, block, size);
    }
}

static void *move_block(heap *h, void *block, size_t old_size, size_t new_size)
{
    void *moved = heap_take(h, new_size, FIEF_GRAIN);
    if (moved != NULL) {
        carry(h, block, moved, old_size < new_size ? old_size : new_size);
        heap_give(h, block, old_size, h->core->kind);
    }
    return moved;
}

void *heap_resize(heap *h, void *block, size_t old_size, size_t new_size)
{
    core *c = h->core;
    if (block == NULL) {
        return heap_alloc(h, new_size, FIEF_GRAIN);
    }
    record *r;
    if (size_is_absurd(new_size) || !must_be_a_block(h, block, old_size, c->kind, &r)) {
        return NULL;
    }
    if (!c->shut && in_place(h, block, old_size, new_size)) {
        count_dead(h, old_size);
        count_live(h, new_size);
        return block;
    }
    void *moved;
    do {
        size_t more = new_size > old_size ? new_size - old_size : 0;
        moved = budget_admits(c, FIEF_HEAP, more) ? move_block(h, block, old_size, new_size) : NULL;
    } while (moved == NULL && new_size > old_size && core_full(c, FIEF_HEAP, new_size));
    return moved != NULL || new_size > old_size ? moved
                                                : shrink_here(h, block, old_size, new_size);
}

/* A block that stays small, and grows, while nobody watches the heap: what the inline verbs do. */
static bool grows_plainly(const heap *h, const void *block, size_t old_size, size_t new_size)
{
    const page *entry = space_page(&h->core->space, block);
    return new_size - 1 < h->window.give_max && old_size - 1 < new_size && entry != NULL &&
           entry->kind == PAGE_SMALL;
}

static void *grow_plainly(heap *h, void *block, size_t old_size, size_t new_size)
{
    if (rounded_size(h, old_size) == rounded_size(h, new_size)) {
        return block;
    }
    void *moved = fief_heap_alloc(&h->window, new_size);
    if (moved != NULL) {
        memcpy(moved, block, old_size);
        fief_heap_free(&h->window, block, old_size);
    }
    return moved;
}

void *fief_heap_resize_slow(fief_heap *window, void *block, size_t old_size, size_t new_size)
{
    heap *h = whole(window);
    if (grows_plainly(h, block, old_size, new_size)) {
        return grow_plainly(h, block, old_size, new_size);
    }
    if (!enter(h->core, CALL())) {
        return NULL;
    }
    void *moved = heap_resize(h, block, old_size, new_size);
    note_resize(h->core, block, moved, old_size, new_size, VERB_ALLOC);
    return moved;
}

/* ---- unsized ---- */

/* A small block's size is its class; others tell theirs by their pages: what counts, and may be
 * used, is a whole number of granules or pages. The same in every mode. */
static size_t unsized_size(size_t size, size_t align)
{
    if (align <= FIEF_ALIGN && size <= FIEF_SMALL_MAX) {
        return fief_round_up(size == 0 ? 1 : size, FIEF_ALIGN);
    }
    size = size <= FIEF_SMALL_MAX ? FIEF_SMALL_MAX + 1 : size;
    return fief_round_up(size, size <= HEAP_LARGEST_MEDIUM ? (size_t)1 << MEDIUM_SHIFT : PAGE_SIZE);
}

/* Of a size that unsized_size made. */
static void *unsized_take(heap *h, size_t size, size_t align)
{
    if (size > FIEF_SMALL_MAX) {
        return take(h, size, align);
    }
    void *block = shelf_take(h, &h->unsized, size);
    if (block != NULL) {
        if (h->core->shut) {
            block_lend(h->core, FIEF_HEAP, block, size, h->core->kind);
        }
        count_lent(h, size);
    }
    return block;
}

static void *unsized_admitted(heap *h, size_t size, size_t align)
{
    return budget_admits(h->core, FIEF_HEAP, size) ? unsized_take(h, size, align) : NULL;
}

void *heap_alloc_unsized(heap *h, size_t size, size_t align)
{
    if (size_is_absurd(size)) {
        return NULL;
    }
    size_t whole_size = unsized_size(size, align);
    void *block;
    do {
        block = unsized_admitted(h, whole_size, align);
    } while (block == NULL && core_full(h->core, FIEF_HEAP, whole_size));
    return block;
}

void *fief_heap_refill_unsized(fief_heap *window, size_t size)
{
    heap *h = whole(window);
    return enter(h->core, CALL()) ? noted(h->core, heap_alloc_unsized(h, size, FIEF_ALIGN),
                                          (note){.verb = VERB_MALLOC, .size = size})
                                  : NULL;
}

void *fief_heap_alloc_unsized_aligned_slow(fief_heap *window, size_t size, size_t align)
{
    heap *h = whole(window);
    bool sound = enter(h->core, CALL()) && align_is_sound(h->core, align);
    return sound ? noted(h->core, heap_alloc_unsized(h, size, align),
                         aligned(VERB_MALLOC, size, align))
                 : NULL;
}

/* The size of a small block; 0: here starts none, or the table was overwritten. One that waits to
 * be lent again has its own. */
static inline size_t small_unsized_size(const space *s, const void *block)
{
    if (GUARD_SHUT) {
        const record *r = ledger_find(s, block);
        return r != NULL && r->state == BLOCK_LIVE && ledger_block(s, r) == block
                   ? record_size(s, r)
                   : 0;
    }
    size_t class = *class_of(s, block);
    bool is_one = (uintptr_t)block % FIEF_ALIGN == 0 && class - 1 < FIEF_UNSIZED_CLASSES;
    return is_one ? class * FIEF_ALIGN : 0;
}

size_t fief_heap_usable_size(const fief_heap *window, const void *block)
{
    const heap *h = whole(window);
    const page *entry = space_page(&h->core->space, block);
    if (FIEF_LIKELY(entry != NULL && entry->kind == PAGE_UNSIZED)) {
        return small_unsized_size(&h->core->space, block);
    }
    if (entry == NULL || !entry->used) {
        return 0;
    }
    switch (entry->kind) {
    case PAGE_MEDIUM:
        return medium_find(entry->owner, block) == MEDIUM_BLOCK
                   ? medium_size_of(entry->owner, block)
                   : 0;
    case PAGE_LARGE:
        return (((size_t)large_head(h, entry)->length << PAGE_SHIFT) -
                large_offset(h, entry, block) - GUARD_REDZONE) & ~(size_t)(PAGE_SIZE - 1);
    default: return 0;
    }
}

size_t fief_heap_good_size(size_t size)
{
    return size_is_absurd(size) ? size : unsized_size(size, FIEF_ALIGN);
}

/* A living block whose size, as a guarded build knows it, is not what an unsized call would have
 * made of it. One that shrank to nothing has no size to free it by, and no unsized call made it. */
static bool came_with_a_size(const heap *h, const page *entry, const void *block)
{
    bool is_ours = entry != NULL && (entry->kind == PAGE_MEDIUM || entry->kind == PAGE_LARGE ||
                                     (entry->kind == PAGE_FENCED && entry->owner == h));
    if (!GUARD_SHUT || !is_ours) {
        return entry != NULL && entry->kind == PAGE_SMALL;
    }
    const space *s = &h->core->space;
    const record *r = ledger_find(s, block);
    size_t size = r != NULL ? record_size(s, r) : 0;
    return r != NULL && r->state == BLOCK_LIVE && ledger_block(s, r) == block &&
           (size == 0 || size != fief_heap_usable_size(&h->window, block));
}

static void give_small_unsized(heap *h, void *block)
{
    core *c = h->core;
    size_t size = small_unsized_size(&c->space, block);
    record *r = GUARD_SHUT ? block_live(c, block, size, c->no_kind) : NULL;
    if (GUARD_SHUT && r == NULL) {
        return;
    }
    if (size == 0) {
        misuse(c, FIEF_MISUSE_INTERIOR_FREE, block, 0, "points inside a block");
        return;
    }
    if (c->shut) {
        block_take_back(c, FIEF_HEAP, r, block, size, c->kind, "the heap");
    }
    count_returned(h, size);
    if (GUARD_SHUT) {
        quarantine_put(c, r, size);
    } else {
        heap_reuse(h, block, size);
    }
}

void heap_give_unsized(heap *h, void *block)
{
    core *c = h->core;
    const page *entry = space_page(&c->space, block);
    if (entry != NULL && entry->kind == PAGE_UNSIZED) {
        give_small_unsized(h, block);
    } else if (came_with_a_size(h, entry, block)) {
        misuse(c, FIEF_MISUSE_WRONG_ALLOCATOR, block, 0,
               "freed without a size, but it was allocated by a call that wants it back");
    } else {
        heap_give(h, block, fief_heap_usable_size(&h->window, block), c->kind);
    }
}

static FIEF_NOINLINE void free_unsized_slow(heap *h, void *block, call from)
{
    if (block != NULL && enter(h->core, from)) {
        note_call(h->core, (note){.verb = VERB_FREE, .what = block, .detail = VERB_MALLOC});
        heap_give_unsized(h, block);
    }
}

void fief_heap_free_unsized_slow(fief_heap *window, void *block)
{
    heap *h = whole(window);
    const page *entry = space_page(&h->core->space, block);
    if (FIEF_LIKELY(entry != NULL && entry->kind == PAGE_UNSIZED && window->give_max != 0)) {
        size_t size = small_unsized_size(&h->core->space, block);
        if (FIEF_LIKELY(size != 0)) {
            fief_vacant **list = &window->unsized[unsized_class(size) - 1];
            fief_vacant *vacant = block;
            count_returned(h, size);
            vacant->next = *list;
            *list = vacant;
            return;
        }
    }
    free_unsized_slow(h, block, CALL());
}

/* Above the shelf a block may grow, and shrink, where it is. */
static bool unsized_in_place(heap *h, void *block, size_t usable, size_t new_size)
{
    size_t size = unsized_size(new_size, FIEF_ALIGN);
    page_kind kind = (page_kind)space_page(&h->core->space, block)->kind;
    if (h->core->shut || (kind != PAGE_MEDIUM && kind != PAGE_LARGE) || kind != kind_for(h, size) ||
        !pages_resized(h, block, size)) {
        return false;
    }
    count_dead(h, usable);
    count_live(h, size);
    return true;
}

static void *resize_unsized(heap *h, void *block, size_t new_size)
{
    if (block == NULL) {
        return heap_alloc_unsized(h, new_size, FIEF_ALIGN);
    }
    size_t usable = fief_heap_usable_size(&h->window, block);
    if (usable == 0 || came_with_a_size(h, space_page(&h->core->space, block), block)) {
        heap_give_unsized(h, block); /* not ours: reports, and changes nothing */
        return NULL;
    }
    if (GUARD_SHUT && block_live(h->core, block, usable, h->core->no_kind) == NULL) {
        return NULL;
    }
    if (new_size <= usable &&
        (new_size >= usable / 2 || unsized_size(new_size, FIEF_ALIGN) == usable)) {
        return block;
    }
    if (!size_is_absurd(new_size) && unsized_in_place(h, block, usable, new_size)) {
        return block;
    }
    bool shrinks = new_size < usable;
    void *moved = shrinks ? unsized_admitted(h, unsized_size(new_size, FIEF_ALIGN), FIEF_ALIGN)
                          : heap_alloc_unsized(h, new_size, FIEF_ALIGN);
    if (moved != NULL) {
        carry(h, block, moved, shrinks ? new_size : usable);
        heap_give_unsized(h, block);
    }
    return moved != NULL || !shrinks ? moved : block; /* shrinking never fails: it stays as it is */
}

void *fief_heap_resize_unsized_slow(fief_heap *window, void *block, size_t new_size)
{
    heap *h = whole(window);
    if (!enter(h->core, CALL())) {
        return NULL;
    }
    void *moved = resize_unsized(h, block, new_size);
    note_resize(h->core, block, moved, 0, new_size, VERB_MALLOC);
    return moved;
}

/* ---- trim ---- */

/* Small blocks that are vacant, counted on their span's entry (`prev`). */
static void count_vacant(heap *h, const shelf *s)
{
    space *sp = &h->core->space;
    for (size_t i = 1; i <= (size_t)FIEF_SMALL_MAX >> s->shift; i++) {
        for (fief_vacant *block = s->lists[i - 1]; block != NULL; block = block->next) {
            page *head = &sp->map[space_page(sp, block)->first];
            head->prev += head->kind == s->kind ? (uint32_t)(i << s->shift) : 0;
        }
    }
}

static bool is_empty(const space *sp, const page *entry, unsigned kind)
{
    const page *head = &sp->map[entry->first];
    return head->kind == kind && head->prev == (head->length << PAGE_SHIFT) - head->tail;
}

static void drop_vacant_of_empty_spans(heap *h, const shelf *s)
{
    const space *sp = &h->core->space;
    for (size_t i = 1; i <= (size_t)FIEF_SMALL_MAX >> s->shift; i++) {
        for (fief_vacant **link = &s->lists[i - 1]; *link != NULL;) {
            if (is_empty(sp, space_page(sp, *link), s->kind)) {
                *link = (*link)->next;
            } else {
                link = &(*link)->next;
            }
        }
    }
}

static void drop_empty_spans(heap *h, shelf *s)
{
    space *sp = &h->core->space;
    for (uint32_t i = 0; i < sp->frontier; i++) {
        page *entry = &sp->map[i];
        if (entry->kind != s->kind || entry->first != i) {
            continue;
        }
        size_t bytes = (size_t)entry->length << PAGE_SHIFT;
        if (!is_empty(sp, entry, s->kind)) {
            entry->prev = 0;
            continue;
        }
        if (s->bump_end == page_start(sp, i) + bytes) {
            s->bump = s->bump_end = NULL;
        }
        s->held -= entry->length;
        space_give(sp, page_start(sp, i), entry->length, 0);
    }
}

static void shelf_trim(heap *h, shelf *s)
{
    count_vacant(h, s);
    drop_vacant_of_empty_spans(h, s);
    drop_empty_spans(h, s);
}

void heap_trim(heap *h)
{
    medium_trim(h, 0);
    if (!GUARD_SHUT) { /* there, dead blocks stay where a stale pointer into them can be noticed */
        shelf_trim(h, &h->sized);
        shelf_trim(h, &h->unsized);
    }
}

/* ---- life ---- */

/* Out of line, or gcc keeps some of the constants in the library's read-only data, of which else
 * nothing is needed in memory. */
static FIEF_NOINLINE void shelf_init(shelf *s, page_kind kind, fief_vacant **lists, size_t align,
                                     unsigned shift)
{
    s->lists = lists;
    s->mask = (uint8_t)(align - 1);
    s->shift = (uint8_t)shift;
    s->kind = (uint8_t)kind;
}

bool heap_init(heap *h, core *c, size_t align)
{
    *h = (heap){.core = c};
    h->window.round = align - 1;
    h->window.give_max = c->shut ? 0 : FIEF_SMALL_MAX;
    shelf_init(&h->sized, PAGE_SMALL, h->window.vacant, align, 3);
    shelf_init(&h->unsized, PAGE_UNSIZED, h->window.unsized, FIEF_ALIGN, 4);
    if (c->shut) {
        enum { SIZED = sizeof h->window.vacant, UNSIZED = sizeof h->window.unsized };
        fief_vacant **lists = space_meta(&c->space, SIZED + UNSIZED);
        h->sized.lists = lists;
        h->unsized.lists = lists != NULL ? lists + SIZED / sizeof *lists : NULL;
    }
    return h->sized.lists != NULL;
}
