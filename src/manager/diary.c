/* diary: the last calls of a runtime as a program in the fuzzer's text form (fuzz/text.c), which
 * `./dev replay` runs and `./dev show --c` turns into C. What they name and did not make themselves
 * is made before them: blocks of the same size and maker, arenas, pools, open units, and a table
 * with the rows of the host's. The call that was noticed is the last line, as the misuse it was. */
#include "manager/report.h"
#include "manager/runtime.h"

#include "base/size.h"
#include "core/image.h"
#include "guard.h"

#include <string.h>

enum {
    BLOCKS = 96,
    MISUSED = BLOCKS - 1, /* the handle of the block that the report is about */
    ARENAS = 4,
    POOLS = 4,
    MARKS = 8,
    ROWS = 12,
    UNIT_DEPTH = 8,
    TEXT_SIZE = 1 << 16,
    LARGEST = 1 << 20,
    OWN_ARENA = 3,
    OWN_STACK = 7
};

typedef struct handle {
    const void *is, *where; /* where: the arena that it dies with */
    uint64_t born;
} handle;

typedef struct scribe {
    writer w;
    const runtime *r;
    const fief_misuse *m;
    uint64_t first, end; /* notes */
    bool has_table;      /* the host's rows fit */
    handle blocks[BLOCKS];
    const void *arenas[ARENAS], *stack, *pools[POOLS];
    const void *sealed; /* the arena that was sealed last */
    uint64_t units[UNIT_DEPTH];
    unsigned depth, marks;
} scribe;

/* ---- handles ---- */

static int find_block(const scribe *s, const void *block)
{
    for (int i = 0; i < BLOCKS; i++) {
        if (s->blocks[i].is == block) {
            return i;
        }
    }
    return -1;
}

/* -1: all are in use, and the block is left out; what was misused never is. */
static int take_block(scribe *s, const void *block, const void *where, uint64_t born)
{
    int index = find_block(s, block);
    index = index >= 0 ? index : find_block(s, NULL);
    if (block == s->m->block) {
        index = MISUSED;
    } else if (index == MISUSED) {
        index = -1;
    }
    if (index >= 0) {
        s->blocks[index] = (handle){block, where, born};
    }
    return index;
}

static void drop_block(scribe *s, const void *block)
{
    int index = find_block(s, block);
    if (index >= 0) {
        s->blocks[index] = (handle){NULL, NULL, 0};
    }
}

static void drop_blocks_of(scribe *s, const void *where, uint64_t since)
{
    for (int i = 0; i < BLOCKS; i++) {
        if (s->blocks[i].where == where && s->blocks[i].born >= since) {
            s->blocks[i] = (handle){NULL, NULL, 0};
        }
    }
}

static void move_blocks_of(scribe *s, const void *from, const void *to)
{
    for (int i = 0; i < BLOCKS; i++) {
        s->blocks[i].where = s->blocks[i].where == from ? to : s->blocks[i].where;
    }
}

static int index_of(const void *const *list, int count, const void *item)
{
    for (int i = 0; i < count; i++) {
        if (list[i] == item) {
            return i;
        }
    }
    return -1;
}

/* The arena's handle; of one that is not the runtime's own, from where it was opened on. */
static int arena_handle(const scribe *s, const void *a)
{
    const runtime *r = s->r;
    const void *const own[] = {&r->vm, &r->unit, &r->frames};
    int index = index_of(own, OWN_ARENA, a);
    if (index < 0 && a == s->stack) {
        return OWN_STACK;
    }
    int host = index_of(s->arenas, ARENAS, a);
    return index >= 0 || host < 0 ? index : OWN_ARENA + host;
}

static bool is_stack(const scribe *s, const void *a)
{
    return a == &s->r->frames || a == s->stack;
}

static size_t size_for(size_t size)
{
    return size < LARGEST ? size : LARGEST;
}

static unsigned kind_for(const scribe *s, unsigned kind)
{
    return s->has_table ? kind : kind % FIEF_DEFAULT_KINDS;
}

/* ---- the table ---- */

static const char *const contexts[FIEF_CONTEXTS] = {
    "native", "literal", "constant", "dynamic", "temporary", "context5", "context6", "context7"};

static const char *const strategies[FIEF_STRATEGIES] = {"none", "vm", "unit",
                                                        "stack", "pool", "heap"};

static void put_row(scribe *s, unsigned row)
{
    const fief_kind *k = &s->r->kinds[row];
    put(&s->w, "row %u %zu %s %u\n", row, k->size, strategies[k->any], k->traits);
    for (unsigned i = 0; i < FIEF_CONTEXTS; i++) {
        if (k->in[i] != FIEF_NO_STRATEGY) {
            put(&s->w, "cell %s %s\n", contexts[i], strategies[k->in[i]]);
        }
    }
}

static void put_table(scribe *s)
{
    const runtime *r = s->r;
    unsigned rows = r->window.kind_count;
    s->has_table = r->kinds == fief_default_kinds || rows <= ROWS;
    if (!s->has_table) {
        put(&s->w, "# The table has %u rows: the default one stands for it.\n", rows);
    }
    bool usual = r->kinds == fief_default_kinds || !s->has_table;
    for (unsigned row = 0; !usual && row < rows; row++) {
        put_row(s, row);
    }
    put(&s->w, "field align %zu\n", r->heap.window.round + 1);
    if (r->core.limit != 0) {
        put(&s->w, "field limit_bytes %zu\n", size_for(r->core.limit));
    }
    put(&s->w, "reopen\n");
}

/* ---- what was there before the first note ---- */

static bool is_use(const note *n)
{
    return n->verb == VERB_FREE || n->verb == VERB_RESIZE || n->verb == VERB_STORE;
}

static bool makes(const note *n, const void *block)
{
    return (n->verb <= VERB_TAKE && n->what == block) ||
           (n->verb == VERB_RESIZE && n->where == block);
}

static bool made_before(const scribe *s, uint64_t number, const void *block)
{
    for (uint64_t n = s->first; n < number; n++) {
        if (makes(diary_note(s->r->core.diary, n), block)) {
            return true;
        }
    }
    return false;
}

static void put_pool(scribe *s, const void *opened, size_t slot_size)
{
    int index = index_of(s->pools, POOLS, opened), place = index_of(s->pools, POOLS, NULL);
    if (index < 0 && place >= 0) {
        s->pools[place] = opened;
        put(&s->w, "pool_open p%d %zu\n", place, slot_size);
    }
}

static void put_arena(scribe *s, const void *a, bool stack)
{
    int index = stack ? index_of(&s->stack, 1, NULL) : index_of(s->arenas, ARENAS, NULL);
    if (index >= 0 && a != NULL && arena_handle(s, a) < 0) {
        *(stack ? &s->stack : &s->arenas[index]) = a;
        put(&s->w, "arena_open a%d 0\n", stack ? OWN_STACK : OWN_ARENA + index);
    }
}

/* A block as such a call makes it. */
static void put_made(scribe *s, const note *n, uint64_t number)
{
    bool in_arena = n->verb == VERB_ARENA_ALLOC;
    const void *where = n->where;
    if (n->verb == VERB_NEW || n->verb == VERB_COPY) {
        where = n->detail == FIEF_TEMPORARY ? &s->r->unit : NULL;
    }
    int from = n->verb == VERB_TAKE ? index_of(s->pools, POOLS, n->where) : 0;
    bool has_place = from >= 0 && (!in_arena || arena_handle(s, n->where) >= 0);
    int block = has_place ? take_block(s, n->what, where, number) : -1;
    size_t size = size_for(n->size), align = (size_t)1 << n->detail;
    if (block < 0) {
        return;
    }
    switch ((verb)n->verb) {
    case VERB_NEW:
    case VERB_COPY:
        put(&s->w, n->verb == VERB_NEW ? "new b%d k%u " : "memdup b%d ", block,
            kind_for(s, n->kind));
        put(&s->w, "%s %zu\n", contexts[n->detail % FIEF_CONTEXTS], size);
        return;
    case VERB_ARENA_ALLOC:
        put(&s->w, is_stack(s, n->where) ? "push b%d a%d %zu\n" : "arena_alloc b%d a%d %zu %zu\n",
            block, arena_handle(s, n->where), size, align);
        return;
    case VERB_TAKE:
        put(&s->w, "take b%d p%d\n", block, from);
        return;
    default:
        put(&s->w, align > FIEF_ALIGN ? "%s_aligned b%d %zu %zu\n" : "%s b%d %zu\n",
            n->verb == VERB_MALLOC ? "malloc" : "alloc", block, size, align);
        return;
    }
}

/* Of a block that is used and was made earlier: another like it. */
static void put_earlier_block(scribe *s, const note *n, const void *block, unsigned maker)
{
    const core *c = &s->r->core;
    const record *r = ledger_find(&c->space, block);
    const page *entry = space_page(&c->space, block);
    bool is_known = block == NULL || find_block(s, block) >= 0;
    if (is_known || r == NULL || ledger_block(&c->space, r) != block) {
        return;
    }
    note made = {.verb = (uint8_t)maker,
                 .what = block,
                 .where = n->where,
                 .kind = (uint16_t)r->kind,
                 .size = n->old != 0    ? n->old
                         : n->size != 0 ? n->size
                                        : record_size(&c->space, r),
                 .detail = maker == VERB_NEW ? FIEF_DYNAMIC : 0};
    if (made.kind == c->no_kind && maker == VERB_NEW) {
        made.verb = VERB_ALLOC, made.detail = 0;
    }
    if (maker == VERB_ARENA_ALLOC) {
        made.where = entry->owner;
        put_arena(s, made.where, page_strategy(entry) == FIEF_STACK);
    } else if (maker == VERB_TAKE) {
        made.where = n->verb == VERB_FREE ? n->where : entry->owner;
        put_pool(s, made.where, made.size);
    }
    put_made(s, &made, s->first);
}

/* The verb that makes blocks like one that was only stored to, or that was noticed. */
static unsigned maker_of(const scribe *s, const void *block)
{
    const core *c = &s->r->core;
    const page *entry = space_page(&c->space, block);
    const record *r = ledger_find(&c->space, block);
    if (entry == NULL || !entry->used || r == NULL) {
        return VERB_ALLOC;
    }
    switch (entry->kind) {
    case PAGE_ARENA:
        return VERB_ARENA_ALLOC;
    case PAGE_POOL:
        return r->kind != c->no_kind ? VERB_NEW : VERB_TAKE;
    case PAGE_UNSIZED:
        return VERB_MALLOC;
    default:
        return r->kind != c->no_kind ? VERB_NEW : VERB_ALLOC;
    }
}

static void put_earlier_arena(scribe *s, const note *n, uint64_t number)
{
    const diary *d = s->r->core.diary;
    for (uint64_t i = s->first; i < number; i++) {
        if (diary_note(d, i)->verb == VERB_ARENA_OPEN && diary_note(d, i)->what == n->where) {
            return;
        }
    }
    if (n->verb != VERB_ARENA_OPEN && arena_handle(s, n->where) < 0) {
        put_arena(s, n->where, n->verb == VERB_POP || n->kind == FIEF_STACK);
    }
}

static void put_what_was_there(scribe *s)
{
    int depth = (int)s->r->depth;
    const diary *d = s->r->core.diary;
    for (uint64_t n = s->first; n < s->end; n++) {
        verb v = (verb)diary_note(d, n)->verb;
        depth += (v == VERB_UNIT_END || v == VERB_UNIT_KEEP) - (v == VERB_UNIT_BEGIN);
    }
    for (; depth > 0 && s->depth < UNIT_DEPTH; depth--) {
        put(&s->w, "unit_begin\n");
        s->units[s->depth++] = s->first;
    }
    for (uint64_t i = s->first; i < s->end; i++) {
        const note *n = diary_note(d, i);
        if (n->verb == VERB_TAKE || (n->verb == VERB_FREE && n->detail == VERB_TAKE)) {
            put_pool(s, n->where, n->size);
        }
        if (n->verb == VERB_ARENA_ALLOC || (n->verb >= VERB_POP && n->verb <= VERB_REWIND) ||
            n->verb >= VERB_SEAL) {
            put_earlier_arena(s, n, i);
        }
        if (is_use(n) && !made_before(s, i, n->what)) {
            put_earlier_block(s, n, n->what,
                              n->verb == VERB_STORE ? maker_of(s, n->what) : n->detail);
        }
        if (n->verb == VERB_STORE && !made_before(s, i, n->where)) {
            put_earlier_block(s, &(note){.size = 0}, n->where, maker_of(s, n->where));
        }
    }
    if (!made_before(s, s->end, s->m->block)) {
        put_earlier_block(s, &(note){.size = 0}, s->m->block, maker_of(s, s->m->block));
    }
}

/* ---- the notes ---- */

/* What is given back once more is not given back before. */
static bool is_told_by_the_end(const scribe *s, uint64_t number)
{
    const note *n = diary_note(s->r->core.diary, number);
    return n->verb == VERB_FREE && !s->m->block_is_live && n->what == s->m->block &&
           !made_before(&(scribe){.r = s->r, .first = number}, s->end, s->m->block);
}

static void put_marks(scribe *s, uint64_t number)
{
    const diary *d = s->r->core.diary;
    for (uint64_t n = number + 1; n < s->end; n++) {
        const note *rewind = diary_note(d, n);
        if (rewind->verb == VERB_REWIND && rewind->old == number) {
            put(&s->w, "mark m%u a%d\n", (unsigned)(n % MARKS), arena_handle(s, rewind->where));
        }
    }
}

static void put_use(scribe *s, const note *n)
{
    int block = find_block(s, n->what), target = find_block(s, n->where);
    if (block < 0) {
        return;
    }
    if (n->verb == VERB_FREE) {
        put(&s->w, "free b%d\n", block);
        drop_block(s, n->what);
    } else if (n->verb == VERB_RESIZE) {
        put(&s->w, "resize b%d %zu\n", block, size_for(n->size));
        s->blocks[block].is = n->where;
    } else if (target >= 0) {
        put(&s->w, "store b%d b%d\n", block, target);
    }
}

static void put_ends(scribe *s, const note *n, uint64_t number)
{
    int home = arena_handle(s, n->where);
    if (n->verb == VERB_UNIT_END && s->depth > 0) {
        put(&s->w, "unit_end\n");
        drop_blocks_of(s, &s->r->unit, s->units[--s->depth]);
    } else if (n->verb == VERB_UNIT_KEEP && s->depth > 0) {
        put(&s->w, "unit_keep\n");
        s->depth--;
        move_blocks_of(s, &s->r->unit, s->depth != 0 ? &s->r->unit : &s->r->vm);
    } else if (n->verb == VERB_POP && home >= 0) {
        put(&s->w, "pop a%d\n", home);
        drop_block(s, n->what);
    } else if (n->verb == VERB_REWIND && home >= 0 && n->old >= s->first) {
        put(&s->w, "rewind m%u\n", (unsigned)(number % MARKS));
        drop_blocks_of(s, n->where, n->old);
    } else if ((n->verb == VERB_ARENA_RESET || n->verb == VERB_ARENA_CLOSE) && home >= 0) {
        put(&s->w, "arena_%s a%d\n", n->verb == VERB_ARENA_RESET ? "reset" : "close", home);
        drop_blocks_of(s, n->where, 0);
        int host = index_of(s->arenas, ARENAS, n->where);
        if (n->verb == VERB_ARENA_CLOSE && host >= 0) {
            s->arenas[host] = NULL;
        }
        s->stack = n->verb == VERB_ARENA_CLOSE && n->where == s->stack ? NULL : s->stack;
    }
}

static void put_of_pool(scribe *s, const note *n)
{
    int index = n->where != NULL ? index_of(s->pools, POOLS, n->where) : -1;
    if (index >= 0) {
        put(&s->w, "pool_%s p%d\n", n->verb == VERB_POOL_TRIM ? "trim" : "close", index);
        s->pools[index] = n->verb == VERB_POOL_CLOSE ? NULL : s->pools[index];
    }
}

/* A line about an arena that the program knows. */
static void put_of_arena(scribe *s, const note *n, const char *format)
{
    int index = arena_handle(s, n->where);
    if (index >= 0) {
        put(&s->w, format, index);
    }
}

static void put_other(scribe *s, const note *n)
{
    switch ((verb)n->verb) {
    case VERB_ARENA_OPEN: put_arena(s, n->what, n->detail != 0); break;
    case VERB_POOL_OPEN: put_pool(s, n->what, n->size); break;
    case VERB_CLEANUP: put_of_arena(s, n, "arena_cleanup a%d\n"); break;
    case VERB_SEAL:
        s->sealed = n->where;
        put_of_arena(s, n, "# seal a%d: a replay does not\n");
        break;
    case VERB_UNSEAL: put_of_arena(s, n, "# unseal a%d: a replay does not\n"); break;
    case VERB_UNIT_BEGIN: put(&s->w, "unit_begin\n"); break;
    case VERB_CHECK: put(&s->w, "check\n"); break;
    case VERB_TRIM: put(&s->w, "trim\n"); break;
    case VERB_LIMIT: put(&s->w, "limit %s %zu\n", strategies[n->detail], size_for(n->size)); break;
    case VERB_POOL_TRIM:
    case VERB_POOL_CLOSE: put_of_pool(s, n); break;
    default: break;
    }
}

static void put_note(scribe *s, uint64_t number)
{
    const note *n = diary_note(s->r->core.diary, number);
    put_marks(s, number);
    if (n->verb <= VERB_TAKE) {
        put_made(s, n, number);
    } else if (is_use(n)) {
        if (!is_told_by_the_end(s, number)) {
            put_use(s, n);
        }
    } else if (n->verb == VERB_UNIT_BEGIN) {
        put_other(s, n);
        s->units[s->depth < UNIT_DEPTH ? s->depth++ : UNIT_DEPTH - 1] = number;
    } else {
        put_ends(s, n, number);
        put_other(s, n);
    }
}

/* ---- the misuse ---- */

/* Its operation, for the block where it has one; NULL: no operation makes such an access. */
static const char *operation_of(fief_misuse_class class_id)
{
    static const char *const names[FIEF_MISUSE_CLASSES] = {
        [FIEF_MISUSE_WRONG_ALLOCATOR] = "wrong_allocator b%d 0",
        [FIEF_MISUSE_DOUBLE_FREE] = "double_free b%d",
        [FIEF_MISUSE_INTERIOR_FREE] = "interior_free b%d 8",
        [FIEF_MISUSE_STACK_FREE] = "stack_free 0",
        [FIEF_MISUSE_FOREIGN_FREE] = "foreign_free 0",
        [FIEF_MISUSE_WRONG_KIND] = "wrong_kind b%d k1",
        [FIEF_MISUSE_OVERFLOW] = "overflow b%d 0",
        [FIEF_MISUSE_UNDERFLOW] = "underflow b%d 0",
        [FIEF_MISUSE_WRITE_AFTER_FREE] = "write_after_free b%d 0",
        [FIEF_MISUSE_USE_AFTER_FREE] = "use_fenced b%d 1",
        [FIEF_MISUSE_USE_AFTER_RESET] = "use_after_reset a0 1",
        [FIEF_MISUSE_USE_AFTER_REWIND] = "use_after_rewind a0 1",
        [FIEF_MISUSE_USE_AFTER_CLOSE] = "use_after_close 0",
        [FIEF_MISUSE_BAD_ALIGNMENT] = "bad_alignment a0 24",
        [FIEF_MISUSE_BAD_KIND] = "bad_kind 0",
        [FIEF_MISUSE_NO_STRATEGY] = NULL, /* as a few more, put by itself */
        [FIEF_MISUSE_NO_UNIT] = "no_unit 0",
        [FIEF_MISUSE_UNIT_ORDER] = "unit_twice",
        [FIEF_MISUSE_WRONG_ARENA] = "mark m0 a0\nwrong_arena m0 a2",
        [FIEF_MISUSE_STALE_MARK] = "stale_mark m0",
        [FIEF_MISUSE_WRONG_THREAD] = "wrong_thread 0",
        [FIEF_MISUSE_LEAK] = "leak",
        [FIEF_MISUSE_SEALED_WRITE] = NULL,
    };
    return names[class_id];
}

/* Of a stack: its newest frame was popped with another size, or another one was. */
static void put_pop(scribe *s, int block)
{
    const handle *b = block >= 0 ? &s->blocks[block] : NULL;
    int home = b != NULL && b->where != NULL ? arena_handle(s, b->where) : -1;
    if (home < 0 || !is_stack(s, b->where)) {
        put(&s->w, "alloc b95 64\npop_foreign a2 b95\n");
        return;
    }
    bool is_newest = true;
    for (int i = 0; i < BLOCKS; i++) {
        is_newest = is_newest && (s->blocks[i].where != b->where || s->blocks[i].born <= b->born);
    }
    put(&s->w, is_newest ? "pop_wrong_size a%d 0\n" : "pop_older a%d\n", home);
}

/* A slot too large, or a cell without a strategy: the first there is. */
static void put_wrong_new(scribe *s, fief_strategy wanted)
{
    for (unsigned kind = 0; s->has_table && kind < s->r->window.kind_count; kind++) {
        for (unsigned i = 0; i < FIEF_CONTEXTS; i++) {
            if (fief_row_of(&s->r->window, kind, i)->strategy == wanted) {
                put(&s->w, "slot_too_large k%u %s\n", kind, contexts[i]);
                return;
            }
        }
    }
}

static bool is_beside(const fief_misuse *m)
{
    return m->class_id == FIEF_MISUSE_OVERFLOW || m->class_id == FIEF_MISUSE_UNDERFLOW;
}

/* What a seal refuses is one operation, seal and all: a write, a store, a rewind. */
static void put_sealed_write(scribe *s)
{
    enum { WRITE = 3, REWIND = 4, STORE = 6 };
    const fief_misuse *m = s->m;
    int known = s->sealed != NULL ? arena_handle(s, s->sealed) : 0;
    int index = known >= 0 ? known : 0;
    if (m->access == FIEF_ACCESS_WRITE) {
        put(&s->w, "seal a%d %d\n", index, WRITE);
    } else if (m->address != NULL) {
        put(&s->w, "seal a%d %d\n", index, STORE);
    } else {
        put(&s->w, "mark m0 a%d\nseal a%d %d\n", index, index, REWIND);
    }
}

/* What an image refuses: of one that is made for it, in a runtime of its own. */
static bool put_image_misuse(scribe *s)
{
    enum { STORE, FREE = 2, WRITE, CLOSE };
    const fief_misuse *m = s->m;
    if (m->address == NULL || image_at(&s->r->core, m->address) == NULL) {
        return false;
    }
    int how = m->class_id == FIEF_MISUSE_USE_AFTER_CLOSE   ? CLOSE
              : m->class_id == FIEF_MISUSE_WRONG_ALLOCATOR ? FREE
              : m->access == FIEF_ACCESS_WRITE             ? WRITE
                                                           : STORE;
    put(&s->w, "use r1\nopen counted\narena_alloc b0 a0 64 8\nimage_open 0\nimage_misuse 0 %d\n",
        how);
    return true;
}

/* What would dangle after a rewind, a pop, a close: the mark of a rewind is not known, so that one
 * is made of something new. Other than a unit's end these have no form for roots. */
static void put_dangling(scribe *s, int block)
{
    const fief_misuse *m = s->m;
    int holder = find_block(s, m->dangling->holder);
    const void *where = block >= 0 ? s->blocks[block].where : NULL;
    int home = where != NULL ? arena_handle(s, where) : -1;
    if (holder >= 0 && home >= 0 && m->class_id == FIEF_MISUSE_DANGLING_AT_CLOSE) {
        put(&s->w, "dangling_close a%d b%d\n", home, holder);
    } else if (holder >= 0 && home >= 0 && m->class_id == FIEF_MISUSE_DANGLING_AT_REWIND) {
        if (is_stack(s, where)) {
            put(&s->w, "dangling_pop a%d b%d\n", home, holder);
        } else {
            put(&s->w, "mark m0 a%d\narena_alloc b0 a%d 40 8\n", home, home);
            put(&s->w, "dangling_rewind m0 b%d\n", holder);
        }
    } else if (holder >= 0 && block >= 0) {
        put(&s->w, "dangling%s b%d b%d\n",
            m->class_id == FIEF_MISUSE_DANGLING_STORE ? "_store" : "", holder, block);
    } else if (block >= 0 && m->dangling->holder_strategy == NULL) {
        put(&s->w, "root_add 0\ndangling_root 0 b%d\n", block);
    }
}

static void put_misuse(scribe *s)
{
    const fief_misuse *m = s->m;
    const char *operation = operation_of(m->class_id);
    int block = find_block(s, m->block != NULL ? m->block : s);
    put(&s->w, "# misuse[%s], operation %llu: %s\n", fief_misuse_name(m->class_id),
        (unsigned long long)m->operation, m->text);
    if (m->dangling != NULL) {
        put_dangling(s, block);
    } else if (put_image_misuse(s)) {
        return;
    } else if (m->class_id == FIEF_MISUSE_SEALED_WRITE) {
        put_sealed_write(s);
    } else if (m->class_id == FIEF_MISUSE_NOT_LIFO) {
        put_pop(s, block);
    } else if (m->class_id == FIEF_MISUSE_INTERIOR_FREE && m->block_size <= FIEF_ALIGN) {
        put(&s->w, "give_uncarved 24\n"); /* in no block, or in one that is too small */
    } else if (is_beside(m) && m->access != FIEF_ACCESS_FOUND) {
        put(&s->w, "cross_fence b%d 1\n", block >= 0 ? block : 0);
    } else if (m->class_id == FIEF_MISUSE_NO_STRATEGY) {
        put_wrong_new(s, FIEF_NO_STRATEGY);
    } else if (m->class_id == FIEF_MISUSE_WRONG_SIZE && block < 0) {
        put_wrong_new(s, FIEF_POOL);
    } else if (m->class_id == FIEF_MISUSE_WRONG_SIZE) {
        put(&s->w, "wrong_size b%d %zu\n", block, size_for(m->size));
    } else if (operation != NULL) {
        put(&s->w, operation, block >= 0 ? block : 0);
        put(&s->w, "\n");
    }
}

/* ---- the file ---- */

void diary_open(core *c, const char *path)
{
    if (path == NULL || strlen(path) >= DIARY_PATH) {
        return;
    }
    c->diary = space_keep(&c->space, sizeof *c->diary);
    if (c->diary != NULL) {
        c->diary->count = 0;
        memcpy(c->diary->path, path, strlen(path) + 1);
    }
}

/* Is the last note of the call that was noticed? An access is not in a call. */
static bool has_its_call(const core *c, const fief_misuse *m)
{
    const diary *d = c->diary;
    bool in_call = m->access == FIEF_ACCESS_CALL || m->access == FIEF_ACCESS_FOUND;
    return d != NULL && in_call && d->count > 0 &&
           diary_note(d, d->count - 1)->operation == m->operation;
}

void diary_forget(core *c, const fief_misuse *m)
{
    if (has_its_call(c, m)) {
        c->diary->count--;
    }
}

typedef struct page_of_text {
    scribe s;
    char text[TEXT_SIZE];
} page_of_text;

static void write_down(void *argument)
{
    scribe *s = argument;
    put(&s->w, "# fief: the last operations of runtime \"%s\"\n", s->r->core.name);
    put_table(s);
    put_what_was_there(s);
    for (uint64_t n = s->first; n < s->end; n++) {
        put_note(s, n);
    }
    put_misuse(s);
}

/* Not in the stack, which may be small: a fault may have brought us here. What is broken ends the
 * text there. */
void diary_save(core *c, fief_misuse *m)
{
    const diary *d = c->diary;
    page_of_text *p = d != NULL && !c->closed ? os_map(sizeof *p) : NULL;
    if (p == NULL) {
        return;
    }
    scribe *s = &p->s;
    s->w = (writer){p->text, TEXT_SIZE, 0};
    s->r = whole_runtime(c->rt);
    s->m = m;
    s->first = d->count > NOTES ? d->count - NOTES : 0;
    s->end = d->count;
    s->end -= has_its_call(c, m);
    (void)os_try(write_down, s);
    size_t length = s->w.length < TEXT_SIZE ? s->w.length : TEXT_SIZE - 1;
    m->operations = os_write_file(d->path, p->text, length) ? d->path : NULL;
    os_release(p, sizeof *p);
}
