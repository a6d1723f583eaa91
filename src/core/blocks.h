/* blocks: a block goes out and comes back, while windows are shut. In a guarded build each has
 * redzones and a record, and waits in the quarantine when it is dead. A release build that counts,
 * or has a limit, does the counting alone.
 *
 * Part of core.h. What every call of a guarded build passes through is inline. */
#ifndef FIEF_BLOCKS_H
#define FIEF_BLOCKS_H

/* Writes down that the block is alive. */
record *ledger_write(core *c, void *block, size_t size, unsigned kind);

static inline bool is_recorded(const core *c, fief_strategy strategy)
{
    return c->space.ledger != NULL && (GUARD_SHUT || strategy <= FIEF_STACK);
}

/* A block goes out: redzones, budget, record. */
static inline void block_lend(core *c, fief_strategy strategy, void *block, size_t size,
                              unsigned kind)
{
    guard_lend(block, size);
    budget_take(c, strategy, kind, size);
    if (is_recorded(c, strategy)) {
        (void)ledger_write(c, block, size, kind);
    }
}

/* Redzones are mostly intact. From Valgrind they are hidden. */
void block_look_closely(core *c, const void *block, size_t size, const char *owner);
static inline void block_look(core *c, const void *block, size_t size, const char *owner)
{
    if (c->stack.watched || !guard_is_intact(block, size)) {
        block_look_closely(c, block, size, owner);
    }
}

/* In guarded builds: the record of a live block of this size and kind. Else it is misuse, and
 * NULL. */
record *block_refuse(core *c, record *r, void *block, size_t size, unsigned kind);
static inline record *block_live(core *c, void *block, size_t size, unsigned kind)
{
    record *r = ledger_at(&c->space, block);
    size_t start = r->start * (size_t)FIEF_GRAIN;
    bool is_it = r->state == BLOCK_LIVE && (uintptr_t)block % CELL == start && r->size == size &&
                 (r->kind == kind || kind == c->no_kind);
    return is_it ? r : block_refuse(c, r, block, size, kind);
}

/* A block comes back: what block_lend did, undone. Damage is reported. r: its record, in a guarded
 * build; it then says the kind. */
static inline void block_take_back(core *c, fief_strategy strategy, record *r, void *block,
                                   size_t size, unsigned kind, const char *owner)
{
    block_look(c, block, size, owner);
    guard_return(block, size);
    if (r != NULL) {
        kind = (unsigned)r->kind;
        r->state = (unsigned)c->dying & 7;
        r->died = call_stack(c) & RECORD_STACK;
    }
    budget_give(c, strategy, kind, size, 1);
}

/* A block stays where it is and becomes smaller. */
void block_shrink(core *c, fief_strategy strategy, void *block, size_t old_size, size_t new_size,
                  unsigned kind);
/* Every live block that starts in [from, to) comes back at once; the caller tells the guard. */
void blocks_sweep(core *c, fief_strategy strategy, unsigned char *from, const unsigned char *to,
                  const char *owner);
/* Looks at every block that has a record: a live one's redzones, a freed one's bytes. Returns how
 * many they are. */
size_t blocks_check(core *c);
/* Every block of a pool's or the heap's page that is used no more: the dead are looked at, the
 * living die. */
void blocks_end(core *c, fief_strategy strategy, unsigned char *page_of_them, const char *owner);
/* A freed block's bytes must be as they were when it died, or somebody wrote to it. */
void block_report_written(core *c, const void *at, size_t size);
static inline void block_must_be_untouched(core *c, const void *block, size_t size)
{
    const void *at = guard_written(block, size);
    if (at != NULL) {
        block_report_written(c, at, size);
    }
}

/* ---- vacant blocks. A block's link to the next lies in it; in guarded builds in its record, so
 *      that dead bytes stay what they are, and are not touched before they are needed: how many
 *      grains from the base the next one lies; 0: there is none, since a redzone lies there ---- */

/* Joins its list; in a guarded build, one that was never lent gets a record. */
void vacant_push(core *c, fief_vacant **list, void *block);

/* The same of a block that had been lent, in a guarded build. */
static inline void vacant_link(core *c, fief_vacant **list, record *r, void *block)
{
    const fief_vacant *next = *list;
    uintptr_t base = (uintptr_t)c->space.base;
    r->state = BLOCK_VACANT;
    r->operation = next != NULL ? ((uintptr_t)next - base) / FIEF_GRAIN & OPERATION_MAX : 0;
    *list = block;
}

/* Leaves its list for the host: then it is looked at once more. */
static inline void *vacant_pop(core *c, fief_vacant **list)
{
    fief_vacant *vacant = *list;
    if (!GUARD_SHUT) {
        *list = vacant->next;
        return vacant;
    }
    const space *s = &c->space;
    const record *r = ledger_at(s, vacant);
    uint64_t grains = r->operation;
    *list = grains != 0 ? (fief_vacant *)(void *)(s->base + grains * FIEF_GRAIN) : NULL;
    if (grains != 0) { /* all of them have been cold for a while */
        __builtin_prefetch((unsigned char *)*list - GUARD_REDZONE, 1);
        __builtin_prefetch((unsigned char *)*list + CELL - GUARD_REDZONE, 1);
        __builtin_prefetch(ledger_at(s, *list), 1);
    }
    block_must_be_untouched(c, vacant, record_size(s, r));
    return vacant;
}

/* dense.c: hands out dense pages, of which blocks join the list; false: none did. `all`: any page
 * will do, since there is no other memory. */
bool dense_refill(core *c, fief_vacant *const *list, bool all);

/* Has the list a block, or, in guarded builds, do dense pages have one? */
static inline bool vacant_ready(core *c, fief_vacant *const *list)
{
    return *list != NULL || (GUARD_SHUT && dense_refill(c, list, false));
}

/* A block of the list, where there is no other memory, or NULL. */
static inline void *vacant_any(core *c, fief_vacant **list)
{
    return GUARD_SHUT && dense_refill(c, list, true) ? vacant_pop(c, list) : NULL;
}

/* ---- quarantine, in guarded builds ---- */
/* No block waits where memory is short. */
void quarantine_open(core *c, size_t budget);
/* A dead block waits; the oldest go back to their allocators. */
void quarantine_put(core *c, record *r, size_t size);
void quarantine_drain(core *c);

/* ---- dense.c: what left the quarantine waits until its page is dense in such blocks ---- */
void dense_put_aside(core *c, record *r, page *entry);
/* Of a page that is used no more. */
void dense_forget(core *c, page *entry);

#endif
