/* parcel: see include/fief/parcel.h. One mapping, made at its exact size:
 *
 *     fief_parcel | blocks: where each was | pointers: in which block, to which | data
 *
 * The data is as it was in the sender; nothing is moved before it is known where to. Blocks are
 * made one by one in the receiver, since there each has a place, a record and redzones of its own,
 * so a pointer moves as far as its target does. */
#include "manager/gather.h"

#include "os/os.h"

#include <fief/parcel.h>

#include <string.h>

typedef struct parcel_block {
    uintptr_t from;    /* its address in the sender */
    unsigned char *to; /* in the receiver, once it was made */
    size_t size;
    uint32_t grain, kind; /* grain: of the data */
    size_t kind_peak;     /* its kind's, before it was made */
} parcel_block;

typedef struct parcel_pointer {
    uint32_t block, target; /* numbers of blocks */
    uint32_t word;          /* of the block */
} parcel_pointer;

struct fief_parcel {
    size_t whole; /* bytes of the mapping */
    uint64_t kinds;
    size_t size, align;
    size_t count, pointer_count;
    size_t root_block, root_offset;
    parcel_block *blocks;
    parcel_pointer *pointers;
    unsigned char *data;
};

/* ---- send ---- */

typedef struct sender {
    gather gather; /* first */
    fief_parcel *parcel;
} sender;

static bool wrap_pointer(gather *g, const gathered *block, size_t offset, const void *target,
                         const gathered *to)
{
    fief_parcel *p = ((sender *)(void *)g)->parcel;
    if (to != NULL && p->pointer_count == g->pointers) {
        return gather_fail(g, FIEF_BAD_CONFIG, "the visit of a kind does not tell the same twice");
    }
    if (to != NULL) {
        p->pointers[p->pointer_count++] =
            (parcel_pointer){(uint32_t)(block - g->blocks), (uint32_t)(to - g->blocks),
                             (uint32_t)(offset / GATHER_WORD)};
        return true;
    }
    const char *home = gather_home(g, (uintptr_t)target);
    return home == NULL || gather_points_out(g, block, offset, home);
}

/* No sum overflows: of 2 GiB at most, blocks have a grain each, and pointers a word. */
static fief_parcel *parcel_new(gather *g)
{
    size_t blocks = fief_round_up(sizeof(fief_parcel), GATHER_GRAIN);
    size_t pointers = blocks + g->count * sizeof(parcel_block);
    size_t data = fief_round_up(pointers + g->pointers * sizeof(parcel_pointer), GATHER_GRAIN);
    scratch whole;
    unsigned char *start = gather_scratch(g, &whole, data + g->data_bytes);
    if (start == NULL) {
        return NULL;
    }
    os_populate(start, whole.size);
    fief_parcel *p = (fief_parcel *)(void *)start;
    *p = (fief_parcel){.whole = whole.size,
                       .kinds = kinds_fingerprint(g->r),
                       .count = g->count,
                       .blocks = (parcel_block *)(void *)(start + blocks),
                       .pointers = (parcel_pointer *)(void *)(start + pointers),
                       .data = start + data};
    for (size_t i = 0; i < g->count; i++) {
        const gathered *b = &g->blocks[i];
        bool has_kind = b->kind < g->r->window.kind_count;
        p->size += b->size;
        p->blocks[i] = (parcel_block){.from = (uintptr_t)b->start,
                                      .size = b->size,
                                      .grain = b->grain,
                                      .kind = has_kind ? b->kind : g->r->window.kind_count};
    }
    return p;
}

static void parcel_end(fief_parcel *p)
{
    os_release(p, p->whole);
}

static bool wrap(sender *s, const void *root, size_t align)
{
    gather *g = &s->gather;
    if (!gather_align_is_sound(g, align) || !gather_choose(g, root) || !gather_place(g, align)) {
        return false;
    }
    fief_parcel *p = s->parcel = parcel_new(g);
    if (p == NULL) {
        return false;
    }
    const gathered *first = gather_target(g, root);
    p->align = align != 0 ? align : GATHER_GRAIN;
    p->root_block = (size_t)(first - g->blocks);
    p->root_offset = (size_t)((const unsigned char *)root - first->start);
    if (!gather_copy(g, p->data)) {
        parcel_end(p);
        return false;
    }
    return true;
}

fief_parcel *fief_unit_send_slow(fief_runtime *rt, fief_unit unit, const void *root,
                                 const fief_parcel_config *config)
{
    runtime *r = whole_runtime(rt);
    fief_parcel_config c = config != NULL ? *config : (fief_parcel_config){0};
    sender s = {.gather = {.r = r, .from = &r->unit, .error = c.error, .on_pointer = wrap_pointer}};
    if (!enter(&r->core, CALL()) || !is_innermost(r, &unit, "sent")) {
        (void)gather_fail(&s.gather, FIEF_BAD_CONFIG,
                          "that unit is not the calling thread's, or"
                          " not the innermost open one");
        return NULL;
    }
    bool wrapped = wrap(&s, root, c.align);
    gather_end(&s.gather);
    return wrapped ? s.parcel : NULL;
}

/* ---- receive ---- */

/* What there was before it. */
typedef struct attempt {
    fief_mark mark;
    tally own, heap;
    size_t peak;
} attempt;

static bool make_blocks(runtime *r, arena *a, fief_parcel *p)
{
    bool made = true;
    for (size_t i = 0; i < p->count && made; i++) {
        parcel_block *b = &p->blocks[i];
        r->core.kind = b->kind;
        b->kind_peak = r->core.shut ? kind_tally(&r->core, b->kind)->asked_peak : 0;
        b->to = arena_take(a, b->size, p->align);
        made = b->to != NULL;
        if (made) {
            memcpy(b->to, p->data + (size_t)b->grain * GATHER_GRAIN, b->size);
        }
    }
    r->core.kind = r->core.no_kind;
    return made;
}

/* Those that were made go, the newest first, and what was counted is as it was: totals and peaks
 * tell nothing of blocks that nobody saw. */
static void take_back(runtime *r, arena *a, fief_parcel *p, const attempt *before)
{
    core *c = &r->core;
    arena_take_back(a, before->mark);
    for (size_t i = p->count; i-- > 0;) {
        parcel_block *b = &p->blocks[i];
        if (c->shut && b->to != NULL) {
            tally *kind = kind_tally(c, b->kind);
            kind->total -= b->size;
            kind->asked_peak = b->kind_peak;
        }
        b->to = NULL;
    }
    size_t refused = c->tallies[a->strategy].refused;
    c->tallies[a->strategy] = before->own;
    c->tallies[a->strategy].refused = refused;
    c->tallies[FIEF_HEAP] = before->heap;
    a->peak = before->peak;
}

/* All of them, or none. on_full is asked in between, when nothing of the parcel lies there. */
static bool unwrap(runtime *r, arena *a, fief_parcel *p)
{
    do {
        const attempt before = {fief_arena_mark(&a->window.arena),
                                r->core.tallies[a->strategy], r->core.tallies[FIEF_HEAP], a->peak};
        if (make_blocks(r, a, p)) {
            arena_note_peak(a);
            return true;
        }
        take_back(r, a, p, &before);
    } while (core_full(&r->core, a->strategy, p->size));
    return false;
}

/* What the host adds to an address stays. */
static void move_pointers(const fief_parcel *p)
{
    for (size_t i = 0; i < p->pointer_count; i++) {
        const parcel_pointer *pointer = &p->pointers[i];
        const parcel_block *target = &p->blocks[pointer->target];
        unsigned char *at = p->blocks[pointer->block].to + (size_t)pointer->word * GATHER_WORD;
        uint64_t value;
        memcpy(&value, at, sizeof value);
        value += (uintptr_t)target->to - target->from;
        memcpy(at, &value, sizeof value);
    }
}

static void note_blocks(runtime *r, const arena *a, const fief_parcel *p)
{
    for (size_t i = 0; i < p->count && is_noted(&r->core); i++) {
        (void)noted(&r->core, p->blocks[i].to, arena_note(a, p->blocks[i].size, p->align));
    }
}

void *fief_unit_receive_slow(fief_runtime *rt, fief_parcel **parcel, fief_error *error)
{
    runtime *r = whole_runtime(rt);
    fief_parcel *p = *parcel;
    if (!enter(&r->core, CALL())) {
        (void)refuse(error, FIEF_BAD_CONFIG, "the calling thread does not own the runtime");
        return NULL;
    }
    if (p == NULL) {
        (void)refuse(error, FIEF_BAD_CONFIG, "there is no parcel: it was received or dropped");
        return NULL;
    }
    if (p->kinds != kinds_fingerprint(r)) {
        (void)refuse(error, FIEF_OTHER_IMAGE, "the parcel was sent under another table of kinds");
        return NULL;
    }
    arena *a = r->innermost != 0 ? &r->unit : &r->vm;
    if (!unwrap(r, a, p)) {
        (void)refuse(error, FIEF_NO_MEMORY, "%s has no room for the parcel: %zu bytes", a->name,
                     p->size);
        return NULL;
    }
    move_pointers(p);
    note_blocks(r, a, p);
    void *root = p->blocks[p->root_block].to + p->root_offset;
    fief_parcel_drop(parcel);
    return root;
}

void fief_parcel_drop(fief_parcel **parcel)
{
    if (*parcel != NULL) {
        parcel_end(*parcel);
        *parcel = NULL;
    }
}

size_t fief_parcel_size(const fief_parcel *parcel)
{
    return parcel->size;
}

size_t fief_parcel_blocks(const fief_parcel *parcel)
{
    return parcel->count;
}
