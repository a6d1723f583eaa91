/* blocks: see blocks.h. */
#include "core/core.h"

#include "guard.h"

void block_look_closely(core *c, const void *block, size_t size, const char *owner)
{
    const void *at = block;
    guard_verdict verdict = guard_look(block, size, &at);
    if (verdict == GUARD_INTACT) {
        return;
    }
    bool past = verdict == GUARD_OVERFLOW;
    misuse(c, past ? FIEF_MISUSE_OVERFLOW : FIEF_MISUSE_UNDERFLOW, at, size,
           "a block of %s was written %s", owner, past ? "past its end" : "before its start");
}

void block_shrink(core *c, fief_strategy strategy, void *block, size_t old_size, size_t new_size,
                  unsigned kind)
{
    if (is_recorded(c, strategy)) {
        kind = (unsigned)ledger_at(&c->space, block)->kind;
    }
    block_look(c, block, old_size, "the heap");
    guard_shrink(block, old_size, new_size);
    budget_give(c, strategy, kind, old_size, 1);
    budget_take(c, strategy, kind, new_size);
    if (is_recorded(c, strategy)) {
        (void)ledger_write(c, block, new_size, kind);
    }
}

/* What a pointer that is no live block's start is, for who wants to free it. */
static void report_no_block(core *c, void *p, size_t size)
{
    const record *r = ledger_find(&c->space, p);
    uintptr_t start = r != NULL ? (uintptr_t)ledger_block(&c->space, r) : 0;
    bool inside = r != NULL && (uintptr_t)p - start < record_size(&c->space, r) + GUARD_REDZONE;
    if (inside && r->state != BLOCK_LIVE) {
        misuse(c, FIEF_MISUSE_DOUBLE_FREE, p, size, "the block is free already");
    } else {
        misuse(c, FIEF_MISUSE_INTERIOR_FREE, p, size, inside ? "points %zu bytes into a block"
               : "points at no block (%zu bytes from one)", (size_t)((uintptr_t)p - start));
    }
}

record *block_refuse(core *c, record *r, void *block, size_t size, unsigned kind)
{
    if (r->state != BLOCK_LIVE || ledger_block(&c->space, r) != block) {
        report_no_block(c, block, size);
        return NULL;
    }
    if (record_size(&c->space, r) != size) {
        misuse(c, FIEF_MISUSE_WRONG_SIZE, block, size,
               "given back with a size of %zu, but it has %zu", size, record_size(&c->space, r));
        return NULL;
    }
    if (kind != c->no_kind && r->kind != kind && r->kind != c->no_kind) {
        misuse(c, FIEF_MISUSE_WRONG_KIND, block, size, "given back under a kind that it is not");
        return NULL;
    }
    return r;
}

void block_report_written(core *c, const void *at, size_t size)
{
    misuse(c, FIEF_MISUSE_WRITE_AFTER_FREE, at, size, "a dead block was written");
}

/* Arenas look after their dead themselves; where vacant blocks merge, their bytes are nobody's. */
static bool is_to_be_checked(const page *entry, const record *r)
{
    bool waits = r->state == BLOCK_FREED && entry->kind != PAGE_ARENA;
    bool may_merge = entry->kind >= PAGE_MEDIUM;
    return r->state == BLOCK_LIVE || waits || (r->state >= BLOCK_VACANT && !may_merge);
}

static void check(core *c, const page *entry, const record *r)
{
    unsigned char *block = ledger_block(&c->space, r);
    size_t size = record_size(&c->space, r);
    if (r->state == BLOCK_LIVE && entry->kind == PAGE_FENCED) {
        fence_open(c, block);
        block_look(c, block, size, owner_name(entry));
        fence_shut(c, block);
    } else if (r->state == BLOCK_LIVE) {
        block_look(c, block, size, owner_name(entry));
    } else {
        block_must_be_untouched(c, block, size);
    }
}

static size_t check_page(core *c, const unsigned char *start, bool living)
{
    if (!GUARD_SHUT) {
        return 0;
    }
    const space *s = &c->space;
    const page *entry = space_page(s, start);
    if (!entry->used || entry->kind == PAGE_DEAD) {
        return 0;
    }
    size_t looked = 0;
    record *r = ledger_at(s, start);
    const record *end = r + (PAGE_SIZE >> CELL_SHIFT);
    for (r = ledger_next(r, end); r < end; r = ledger_next(r + 1, end)) {
        if (is_to_be_checked(entry, r) && (living || r->state != BLOCK_LIVE)) {
            check(c, entry, r);
            looked++;
        }
    }
    return looked;
}

size_t blocks_check(core *c)
{
    const space *s = &c->space;
    size_t looked = 0;
    for (uint32_t i = 0; i < s->frontier; i++) {
        looked += check_page(c, page_start(s, i), true);
    }
    return looked;
}

void vacant_push(core *c, fief_vacant **list, void *block)
{
    fief_vacant *vacant = block;
    if (!GUARD_SHUT) {
        vacant->next = *list;
        *list = vacant;
        return;
    }
    record *r = ledger_at(&c->space, block);
    if (r->state == BLOCK_NONE) { /* never lent: no bytes of it are dead */
        *r = (record){.kind = c->no_kind & 0x1FFF,
                      .start = ((uintptr_t)block % CELL / FIEF_GRAIN) & 7};
    }
    vacant_link(c, list, r, block);
}

/* ---- many at once ---- */

/* Blocks of one kind in a row are counted together. */
typedef struct tally_run {
    size_t bytes, blocks;
    unsigned kind;
} tally_run;

static void tally_end(core *c, fief_strategy strategy, tally_run run)
{
    if (run.blocks != 0 && c->shut) {
        budget_give(c, strategy, run.kind, run.bytes, run.blocks);
    }
}

/* Valgrind is told of each death. */
static FIEF_NOINLINE void look_at_dying(core *c, unsigned char *block, size_t size,
                                        const char *owner)
{
    block_look_closely(c, block, size, owner);
    if (c->stack.watched) {
        guard_return(block, size);
    }
}

/* The first record in the cells from `from` on whose block does not start before it. */
static record *first_from(const space *s, const unsigned char *from)
{
    record *r = ledger_at(s, from);
    bool is_before = r->state != BLOCK_NONE && ledger_block(s, r) < from;
    return is_before ? r + 1 : r;
}

/* Every instruction here counts: it is most of what the end of a unit costs. */
void blocks_sweep(core *c, fief_strategy strategy, unsigned char *from, const unsigned char *to,
                  const char *owner)
{
    const space *s = &c->space;
    if (s->ledger == NULL || from >= to) {
        return;
    }
    const uint32_t died = call_stack(c);
    const bool watched = c->stack.watched;
    const block_state dead = c->dying;
    const record *end = ledger_at(s, to - 1) + 1;
    record *r = first_from(s, from);
    unsigned char *cell = from - (uintptr_t)from % CELL + (r - ledger_at(s, from)) * CELL;
    tally_run run = {0};
    for (; r < end; r++, cell += CELL) {
        if (r->state != BLOCK_LIVE) {
            continue;
        }
        unsigned char *block = cell + (size_t)r->start * FIEF_GRAIN;
        size_t size = record_size(s, r);
        if (watched || !guard_is_intact(block, size)) {
            look_at_dying(c, block, size, owner);
        }
        if (run.kind != r->kind) {
            tally_end(c, strategy, run);
            run = (tally_run){.kind = (unsigned)r->kind};
        }
        run.bytes += size;
        run.blocks++;
        r->state = dead & 7;
        r->died = died & RECORD_STACK;
    }
    tally_end(c, strategy, run);
}

void blocks_end(core *c, fief_strategy strategy, unsigned char *page_of_them, const char *owner)
{
    if (GUARD_SHUT) {
        (void)check_page(c, page_of_them, false);
        blocks_sweep(c, strategy, page_of_them, page_of_them + PAGE_SIZE, owner);
        dense_forget(c, space_page(&c->space, page_of_them));
    }
}
