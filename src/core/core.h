/* core: what the allocators of one runtime share: the space, the budget, the way to report.
 *
 * `shut` says that every window stays shut: the guard must see each block, or the host asked for
 * counts or a limit. It is data, not a mode: a release build with a limit runs the same code. */
#ifndef FIEF_CORE_H
#define FIEF_CORE_H

#include "core/dangling.h"
#include "core/depot.h"
#include "core/diary.h"
#include "core/ledger.h"

#include "guard.h"

#include <fief/arena.h>
#include <fief/heap.h>
#include <fief/misuse.h>
#include <fief/pool.h>
#include <fief/stack.h>
#include <fief/stats.h>

/* What is counted for one strategy, or for one object kind, while windows are shut; the last three
 * always. */
typedef struct tally {
    size_t asked, asked_peak, blocks, total, limit;
    size_t resets, fallbacks, refused;
} tally;

#define CALL() \
    ((call){__builtin_return_address(0), GUARD_SHUT ? __builtin_frame_address(0) : NULL})

typedef struct quarantine {
    size_t entries, first, count, bytes, budget;
    size_t aside;       /* bytes that left and are not handed out yet */
    uint32_t at, looks; /* the page that was looked at last; how many may be looked at now */
    uint32_t ring[];    /* cells of the ledger */
} quarantine;

typedef enum fence { FENCE_NONE, FENCE_BACK, FENCE_FRONT } fence;

/* What the allocators know of the trace; it lies at the start of the manager's tracer. */
typedef struct trace_hook {
    void (*on_note)(struct core *, const note *);
    size_t rewound; /* blocks that the last rewind ended */
} trace_hook;

typedef struct core {
    space space;
    size_t limit, asked;
    tally tallies[FIEF_STRATEGIES];
    tally *kinds;  /* one a kind, and one more for blocks of none; NULL while windows are open */
    unsigned kind; /* of the call that is being served; no_kind where it names none */
    unsigned no_kind;
    uint64_t operation; /* calls that were seen */
    fief_runtime *rt;
    fief_heap *heap;
    struct arena *arenas; /* newest first */
    struct pool *pools;
    const char *name;
    size_t thread;
    call from; /* the host's call that is being served */
    quarantine *quarantine; /* NULL: no dead block waits */
    depot *depot;
    bounds stack; /* the owning thread's */
    unsigned depth;
    uint32_t stack_number; /* of stack_operation: a call asks once */
    uint64_t stack_operation;
    uint64_t (*where)(void *);
    size_t (*where_text)(uint64_t, char *, size_t, void *);
    scan scan;
    diary *diary;
    trace_hook *trace; /* NULL: there is none */
    unsigned unit; /* the number of the unit that is ending; 0: none is */
    unsigned seals; /* arenas that are sealed */
    const fief_misuse *handled; /* the one that is being reported, on the stack of that thread */
    size_t handling_thread;
    bool shut, asking, closed, color; /* asking: the host is in `where` */
    bool counts; /* the host asked for counts, or for a limit */
    bool watched; /* in a release build: a fault may concern it */
    /* In a byte each, since what an open touches lies in one page, which is full. */
    block_state dying : 8; /* how blocks die in this call */
    fence fence : 8;       /* what its kind asks for */
    bool (*on_full)(fief_runtime *, size_t, void *);
    bool (*on_misuse)(const fief_misuse *, void *);
    void *user;
} core;

/* ---- budget: bytes asked for and alive ---- */
static inline bool budget_admits(const core *c, fief_strategy strategy, size_t size)
{
    const tally *t = &c->tallies[strategy];
    bool runtime_has_room = c->limit == 0 || (c->asked <= c->limit && size <= c->limit - c->asked);
    bool strategy_has_room = t->limit == 0 || (t->asked <= t->limit && size <= t->limit - t->asked);
    return runtime_has_room && strategy_has_room;
}

static inline void tally_take(tally *t, size_t size)
{
    t->asked += size;
    t->total += size;
    t->blocks++;
    t->asked_peak = t->asked > t->asked_peak ? t->asked : t->asked_peak;
}

static inline void tally_give(tally *t, size_t size, size_t blocks)
{
    t->asked -= size;
    t->blocks -= blocks;
}

/* A record's kind, which somebody may have written to. */
static inline tally *kind_tally(core *c, unsigned kind)
{
    return &c->kinds[kind < c->no_kind ? kind : c->no_kind];
}

static inline void budget_take(core *c, fief_strategy strategy, unsigned kind, size_t size)
{
    c->asked += size;
    tally_take(&c->tallies[strategy], size);
    tally_take(kind_tally(c, kind), size);
}

static inline void budget_give(core *c, fief_strategy strategy, unsigned kind, size_t size,
                               size_t blocks)
{
    c->asked -= size;
    tally_give(&c->tallies[strategy], size, blocks);
    tally_give(kind_tally(c, kind), size, blocks);
}

/* A call that is being served, while the host is asked: what it makes then is of no kind, and
 * without a fence. */
typedef struct served {
    call from;
    unsigned kind;
    fence fence;
} served;

static inline served let_host_in(core *c)
{
    served s = {c->from, c->kind, c->fence};
    c->kind = c->no_kind;
    c->fence = FENCE_NONE;
    return s;
}

static inline void go_on_serving(core *c, served s)
{
    c->from = s.from;
    c->kind = s.kind;
    c->fence = s.fence;
}

/* Counts a refusal and asks the host to collect; true: try again. */
bool core_full(core *c, fief_strategy strategy, size_t size);

/* Each out-of-line half of a public verb begins with it, and calls no other public verb: `from` is
 * the host's own line. False: the calling thread does not own the runtime, which is misuse. */
bool refuse_entry(core *c, call from);
static inline bool enter(core *c, call from)
{
    if (c->shut && c->thread != os_thread()) { /* of a closed runtime: nobody's */
        return refuse_entry(c, from);
    }
    c->from = from;
    c->operation++;
    if (GUARD_SHUT && c->depot != NULL && c->operation == depot_break(c->depot)) {
        os_break();
    }
    return true;
}

/* The diary, and the trace: a call that names or makes something. */
void diary_write(core *c, note n);
void note_write(core *c, note n);
static inline bool is_noted(const core *c)
{
    return (GUARD_SHUT && c->diary != NULL) || c->trace != NULL;
}
static inline void note_call(core *c, note n)
{
    if (is_noted(c)) {
        note_write(c, n);
    }
}
/* `makes`: what the call is where there was no block. */
static inline void note_resize(core *c, const void *block, void *moved, size_t old_size,
                               size_t new_size, verb makes)
{
    if (is_noted(c) && moved != NULL) {
        note made = {.verb = (uint8_t)makes, .what = moved, .size = new_size};
        note resized = {.verb = VERB_RESIZE, .what = block, .where = moved, .size = new_size,
                        .old = old_size, .kind = (uint16_t)c->kind, .detail = (uint8_t)makes};
        note_write(c, block == NULL ? made : resized);
    }
}
/* The same of a call that gives what it made, or NULL. */
static inline void *noted(core *c, void *made, note n)
{
    n.what = made;
    if (is_noted(c)) {
        note_write(c, n);
    }
    return made;
}

/* Reports; returns only where the host's handler does. `format` makes the sentence. */
void misuse(core *c, fief_misuse_class class_id, const void *address, size_t size,
            const char *format, ...) FIEF_PRINTF(5, 6);
/* The same for pointers that outlive their targets in `owner`. Always false. */
bool misuse_dangling(core *c, fief_misuse_class class_id, fief_dangling *found, const char *owner);
/* What the host still held at close: it is told, and nothing else happens. */
void misuse_leak(core *c, const fief_leaks *leaks);
/* Any power of two up to 64 KiB; anything else is misuse. */
bool align_is_sound(core *c, size_t align);
/* A pointer that is no memory of the runtime was given back. */
void report_foreign(core *c, const void *p, size_t size, const char *to);
/* What reports call the allocator of a span. */
const char *owner_name(const page *entry);
/* The strategy of the blocks of a used page, dead or alive. */
fief_strategy page_strategy(const page *entry);

/* The calling thread's stack is where frames are walked. */
void core_knows_stack(core *c);
/* The call stack of the host's call, as the depot's number; 0: unknown. */
uint32_t call_stack_anew(core *c);
static inline uint32_t call_stack(core *c)
{
    return c->stack_operation == c->operation ? c->stack_number : call_stack_anew(c);
}

#include "core/blocks.h"

/* ---- fences: while GUARD_FENCES, blocks with an inaccessible page beside them ---- */
/* A block in a span of its own, whose fence is open. */
void *fence_take(core *c, fief_strategy strategy, void *owner, size_t size, size_t align);
static inline bool fence_wanted(const core *c, size_t size)
{
    return c->fence != FENCE_NONE && size < SIZE_IN_PAGES; /* larger ones note their size there */
}
void fence_shut(core *c, void *block);
void fence_open(core *c, void *block);
/* The block is dead, and its span becomes inaccessible. */
void fence_bury(core *c, void *block);
/* The owner's next living block, from that page on; NULL: there is none. */
void *fence_next(const core *c, const void *owner, uint32_t *page_number);

/* ---- arena ---- */
typedef struct arena_span {
    struct arena_span *next, *previous;
    unsigned char *start, *end;
    uint32_t pages;       /* 0: the caller's buffer */
    uint32_t sealed;      /* pages of the system's that are read-only, from its start */
    uint64_t entered;     /* the arena's events when it became the current span */
    fief_arena left;      /* the window when the next span was begun */
} arena_span;

typedef enum attachment_kind { ATTACHED_RUN, ATTACHED_HEAP, ATTACHED_CLEANUP } attachment_kind;

/* What a rewind must undo beyond moving the cursor; newest first. */
typedef struct attachment {
    struct attachment *next;
    uint64_t event;
    attachment_kind kind;
    void *start; /* run, heap block, or the cleanup's argument */
    size_t size; /* pages, bytes */
    unsigned block_kind;
    const void *block;         /* what the host has of it */
    size_t asked;
    unsigned char *below, *above; /* the arena's position before and after */
    unsigned char *cursor;        /* its cursor before */
    void (*function)(void *);
} attachment;

/* Bytes below the cursor that a rewind killed, when guarded: the arena goes on behind them. */
typedef struct zone {
    struct zone *next; /* older */
    const arena_span *span;
    unsigned char *start, *end;
    uint64_t event;    /* of its arena, when it died */
} zone;

typedef struct arena {
    fief_stack window; /* first: the public half (an arena's, or a stack's) */
    core *core;
    uint32_t stand_ins;         /* blocks of the heap that serve for it */
    fief_strategy strategy : 8; /* in a byte: see core.dying */
    bool shut;   /* the runtime's windows are, or each of its blocks is to have a record */
    bool closed; /* refuses: no unit is open */
    bool stays;  /* the runtime's own: closed with it */
    const char *name;
    arena_span *first, *current;
    attachment *attached;
    zone *zones; /* newest first */
    size_t dead; /* bytes in them */
    size_t used_before, large, peak, keep, next_pages, max;
    uint64_t unit_began; /* the compiler arena's events when the innermost unit began */
    struct arena *next;
    arena_span buffer;
    annex *annex; /* the buffer's records, while blocks are seen */
} arena;

note arena_note(const arena *a, size_t size, size_t align);
/* With budget, fallback and on_full. */
void *arena_alloc(arena *a, size_t size, size_t align);
/* Without on_full. */
void *arena_take(arena *a, size_t size, size_t align);
/* Back to the mark, where nobody has seen yet what was taken since. */
void arena_take_back(arena *a, fief_mark mark);
/* Back to a mark that is known to be good. False, as arena_reset: something points at what would
 * die, and the host's handler refused. */
bool arena_rewind(arena *a, fief_mark mark);
/* `cursor`, in `span`, is the top again, and what was attached after `event` is undone. `rest`:
 * dead bytes may be kept from reuse. The window stays shut. */
void arena_undo(arena *a, arena_span *span, unsigned char *cursor, uint64_t event, bool rest);
/* The end of the newest block's bytes: the cursor, but for dead ones below it; NULL where nothing
 * lies below. Of a span that was left, too. */
unsigned char *arena_position(const arena *a);
unsigned char *arena_position_in(const arena *a, const arena_span *span);
bool arena_reset(arena *a);
/* Runs the cleanups that came after `event`; then, may the blocks die? */
bool arena_may_lose(arena *a, const arena_span *span, const unsigned char *cursor, uint64_t event,
                    fief_misuse_class class_id);
arena *arena_open(core *c, fief_strategy strategy, const fief_arena_config *config);
/* The same in the caller's zeroed bytes. */
bool arena_init(arena *a, core *c, fief_strategy strategy, const fief_arena_config *config);
/* Gives everything back; the descriptor stays. */
void arena_shut_down(arena *a);
/* The same, and the descriptor goes; the runtime's own arenas are only emptied. */
void arena_close(arena *a);
/* Opens the window as far as the span, the cap and the runtime allow. */
void arena_set_limit(arena *a);
/* Something happened that a rewind must see: older marks go out of line. */
void arena_note_event(arena *a);
/* Its events when it was sealed last; 0: it is not. An arena with a caller's buffer can't be
 * sealed, so the number lies in that span's descriptor: an open touches one page, which is full. */
static inline uint64_t arena_sealed(const arena *a)
{
    return a->buffer.end == NULL ? a->buffer.entered : 0;
}
/* seal.c: what the arena holds becomes read-only, and it goes on behind it; false: it can't, and
 * nothing changed. Undone, likewise. */
bool arena_seal(arena *a);
bool arena_unseal(arena *a);
/* For an end of the arena that may yet be refused: its seal is lifted, and laid on again. */
void arena_lift_seal(arena *a);
void arena_restore_seal(arena *a);
/* Does nothing that is sealed lie above that event? Else it is misuse: `what` would be done to it.
 * And of a block that is to change. */
bool seal_admits(arena *a, uint64_t event, const char *what);
bool seal_admits_change(core *c, const void *block, const char *what);
/* While no unit is open, the compiler arena refuses. */
void arena_refuse(arena *a, bool refuse);
size_t arena_used(const arena *a);
/* Before it shrinks. */
void arena_note_peak(arena *a);
/* keep.c: can all that an arena holds become another's, where it lies? Do the other's cap and limit
 * admit it? */
bool arena_can_give(const arena *from, const arena *to);
bool arena_has_room_for(const arena *to, const arena *from);
/* It becomes that: newer than all the other has. `base`: the giver's events before the first of
 * what it holds. */
void arena_give_all(arena *from, arena *to, uint64_t base);
/* More with each block, also with one that the heap holds in its stead: what a stack of frames is
 * compared with. */
size_t arena_height(const arena *a);

/* ---- pool ---- */
enum { POOL_LARGEST_SLOT = 32 << 10 };

typedef struct pool_span {
    struct pool_span *next;
    unsigned char *start;
    uint32_t first; /* the slot that was carved first */
    uint32_t carved, vacant;
    uint64_t *bits;
} pool_span;

typedef struct pool {
    fief_pool window;
    core *core;
    const char *name;
    unsigned kind;
    size_t slot_size, step; /* step: with redzones */
    fief_vacant *parked;    /* the vacant list while the window is shut */
    pool_span *spans;       /* by address */
    pool_span *newest;      /* the one that is being carved */
    size_t carved, peak, lent, asked; /* lent, asked: while the window is shut */
    struct pool *next;
} pool;

pool *pool_open(core *c, const char *name, size_t slot_size);
/* The same in the caller's zeroed bytes; its blocks count for `kind`. */
void pool_init(pool *p, core *c, const char *name, size_t slot_size, unsigned kind);
/* Gives everything back; the descriptor stays. */
void pool_shut_down(pool *p);
/* With on_full. */
void *pool_alloc(pool *p, size_t size);
void pool_give(pool *p, void *slot, size_t size, unsigned kind);
/* Its vacant slots. */
fief_vacant **pool_list(pool *p);
/* A slot that was given may be taken again. */
void pool_reuse(pool *p, void *slot);
/* Gives spans without a live slot back; returns the bytes. */
size_t pool_trim(pool *p);

/* ---- heap ---- */
enum { HEAP_LARGEST_MEDIUM = 256 << 10, MEDIUM_PAGES = 16, MEDIUM_SHIFT = 8,
       MEDIUM_GRANULES = (MEDIUM_PAGES << PAGE_SHIFT) >> MEDIUM_SHIFT,
       MEDIUM_WORDS = MEDIUM_GRANULES / 64,
       MEDIUM_HINTS = 32 };

typedef struct medium {
    struct medium *next;
    unsigned char *start;
    uint32_t whole; /* granules: of a full segment all; those behind a smaller one are used */
    uint32_t free;
    int16_t hints[MEDIUM_HINTS]; /* [n]: no run of more than n free granules begins before it */
    uint64_t used[MEDIUM_WORDS];
    uint64_t starts[MEDIUM_WORDS];
} medium;

/* Small blocks side by side in spans, and lists of the vacant ones by class: the bytes between two
 * blocks' starts, without redzones, in units of 1 << shift. */
typedef struct shelf {
    fief_vacant **lists; /* the window's while it is open */
    unsigned char *bump, *bump_end;
    uint32_t held; /* pages */
    uint8_t kind;  /* of these pages */
    uint8_t mask, shift; /* the granularity less one; of the lists */
} shelf;

typedef struct heap {
    fief_heap window;
    core *core;
    shelf sized, unsized;
    medium *mediums;
    size_t high; /* most bytes that were live since the lists were last put in order */
} heap;

/* Bytes that are lent, in whole classes. */
static inline size_t heap_live(const fief_heap *window)
{
    return window->lent - window->returned;
}

bool heap_init(heap *h, core *c, size_t align);
/* heap_alloc with budget and on_full; heap_take without, for an arena's fallback. */
void *heap_alloc(heap *h, size_t size, size_t align);
void *heap_take(heap *h, size_t size, size_t align);
void *heap_resize(heap *h, void *block, size_t old_size, size_t new_size);
void heap_give(heap *h, void *block, size_t size, unsigned kind);
void *heap_alloc_unsized(heap *h, size_t size, size_t align);
void heap_give_unsized(heap *h, void *block);
/* A block that was given may be taken again. */
void heap_reuse(heap *h, void *block, size_t size);
/* The vacant blocks of a small size's class, on the shelf that the page is of. */
fief_vacant **heap_list(heap *h, const page *entry, size_t size);
/* Gives what holds no live block back to the space. */
void heap_trim(heap *h);
/* order.c: where so much less is live than was, lists that lost their order are sorted. */
void heap_order(heap *h, size_t live);

/* ---- medium: the heap's blocks of 513 bytes to 256 KiB ---- */
typedef enum medium_place { MEDIUM_BLOCK, MEDIUM_VACANT, MEDIUM_INTERIOR } medium_place;

void *medium_take(heap *h, size_t size, size_t align);
void medium_give(medium *m, void *block);
bool medium_resize(medium *m, void *block, size_t new_size);
/* What lies at an address that is given back. */
medium_place medium_find(const medium *m, const void *block);
/* Is this the block's size, as far as granules tell? */
bool medium_fits(const medium *m, const void *block, size_t size);
/* Bytes that may be used, in whole granules. */
size_t medium_size_of(const medium *m, const void *block);
/* No block lies in the segment. */
static inline bool medium_is_empty(const medium *m)
{
    return m->free == m->whole;
}

/* Gives all but `keep` of the empty segments back. */
void medium_trim(heap *h, size_t keep);

#endif
