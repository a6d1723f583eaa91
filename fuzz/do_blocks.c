/* do_blocks: blocks by kind and context, strings, the heap's sized and unsized ones; frees and
 * resizes; pools. */
#include "run.h"

#include <pthread.h>
#include <string.h>

/* A larger request is not refused by anybody: it cannot be meant. */
#define REFUSED_LARGEST ((size_t)PTRDIFF_MAX - FIEF_ALIGN_MAX)

enum { TEXT_LARGEST = 70000, CALLOC_LARGEST = 8192, PAGES_OF_ITS_OWN = 256 << 10 };
static const size_t live_largest = (size_t)12 << 20; /* so that no range runs out */

/* ---- helpers ---- */

const char *c_block(const life *l, int index)
{
    static char names[4][24];
    static unsigned next;
    if (l->run->c == NULL) { /* mostly nobody reads it */
        return "";
    }
    char *name = names[next++ % 4];
    (void)snprintf(name, sizeof names[0], "b[%u][%d]", l->index, index);
    return name;
}

unsigned no_kind(const life *l)
{
    return l->kind_count;
}

int room_for(run *r, uint64_t handle, size_t size)
{
    const life *l = r->now;
    bool fits = size >= SIZE_ABSURD || size <= live_largest - l->asked;
    return fits && l->asked <= live_largest ? find_empty(l, handle) : -1;
}

void must_hold(run *r, int index, size_t size)
{
    const block *b = &r->now->blocks[index];
    MUST(r, block_holds(b, size), "expected b%d to hold what was written, found it changed", index);
}

void forget_field(run *r, int index)
{
    life *l = r->now;
    block *b = &l->blocks[index];
    if (b->field != NO_FIELD) {
        b->field = NO_FIELD;
        fill_field(b);
        SAY(r, "fill_from(%s, %zu, %zu, %u);", c_block(l, index), b->field_at, sizeof(void *),
            b->seed);
    }
}

void forget_pointers_to(run *r, int index)
{
    const life *l = r->now;
    for (unsigned i = 0; i < l->top; i++) {
        const block *b = &l->blocks[i];
        if (b->origin != EMPTY && b->field == index) {
            forget_field(r, (int)i);
        }
    }
}

const char *c_outside(const unsigned char *byte)
{
    static _Thread_local char text[40];
    (void)snprintf(text, sizeof text, "(char *)outsides + %td", byte - &outsides[0][0][0]);
    return text;
}

long c_field(const block *b)
{
    return b->field != NO_FIELD ? (long)b->field_at : -1;
}

/* ---- after an allocation ---- */

static bool budget_admits_made(const life *l, const made *m)
{
    return budget_admits_it(l, m->strategy, m->counted) ||
           (m->home >= 0 && budget_admits_it(l, FIEF_HEAP, m->counted));
}

/* NULL is what it must be, and only then. */
static bool must_be_null_or_not(run *r, life *l, const made *m)
{
    bool absurd = m->size >= SIZE_ABSURD;
    bool fits = !absurd && (m->is_admitted || budget_admits_made(l, m));
    if (m->start == NULL) {
        MUST(r, !fits || null_is_fine(r), "expected %zu bytes, found NULL", m->size);
        l->strategies[m->strategy].refused += m->size <= REFUSED_LARGEST && !l->is_loose;
        return true;
    }
    MUST(r, fits, "expected NULL, found %zu bytes", m->size);
    return false;
}

/* The arena's own block, or the heap's in its stead. */
static fief_strategy must_be_owned(run *r, const life *l, const made *m)
{
    fief_strategy owner = fief_owner(l->rt, m->start);
    const home *h = m->home >= 0 ? &l->homes[m->home] : NULL;
    bool may_fall_back =
        h != NULL && (h->has_cap || l->is_loose || !budget_admits_it(l, m->strategy, m->counted));
    bool in_buffer = h != NULL && h->has_buffer && owner == FIEF_NO_STRATEGY;
    bool sound = owner == m->strategy || (may_fall_back && owner == FIEF_HEAP) || in_buffer;
    MUST(r, sound, "expected the new block to belong to the %s, found the %s",
         fief_strategy_name(m->strategy), fief_strategy_name(owner));
    size_t size = m->usable != 0 ? m->usable : m->size;
    const unsigned char *last = (const unsigned char *)m->start + (size != 0 ? size - 1 : 0);
    MUST(r, fief_owner(l->rt, last) == owner, "expected the new block's last byte in the %s, too",
         fief_strategy_name(owner));
    return owner;
}

static void must_be_fresh(run *r, const life *l, const made *m, fief_strategy owner)
{
    const unsigned char *start = m->start;
    bool inside = l->buffer == NULL || owner == FIEF_NO_STRATEGY ||
                  (start >= l->buffer && start + m->size <= l->buffer + l->buffer_size);
    MUST(r, inside, "expected a block inside the runtime's buffer");
    MUST(r, ((uintptr_t)m->start & (m->align - 1)) == 0, "expected an alignment of %zu, found %p",
         m->align, m->start);
    int other = overlapped(l, m->start, m->usable != 0 ? m->usable : m->size, l->busy);
    MUST(r, other < 0, "expected a block apart, found it over b%d", other);
    MUST(r, !overlaps_resting(l, m->start, m->size), "expected a block apart from what was freed");
    MUST(r, !m->zeroed || is_zero(m->start, m->size), "expected the new block zeroed");
}

static block *enter_block(life *l, int index, const made *m, fief_strategy owner)
{
    block *b = &l->blocks[index];
    l->live += b->origin == EMPTY;
    l->top = (unsigned)index >= l->top ? (unsigned)index + 1 : l->top;
    *b = (block){.start = m->start,
                 .size = m->usable != 0 ? m->usable : m->size,
                 .counted = m->counted,
                 .origin = m->origin,
                 .strategy = owner,
                 .kind = m->kind,
                 .home = m->home,
                 .pool = m->pool,
                 .field = NO_FIELD,
                 .seed = (uint8_t)(++l->run->seeds * 37)};
    return b;
}

void settle(run *r, int index, made m)
{
    life *l = r->now;
    if (must_be_null_or_not(r, l, &m)) {
        r->refused = true;
        see(r, 0);
        SAY(r, "must(%s == NULL, \"NULL\");", c_block(l, index));
        return;
    }
    fief_strategy owner = must_be_owned(r, l, &m);
    must_be_fresh(r, l, &m, owner);
    block *b = enter_block(l, index, &m, owner);
    const home *h = m.home >= 0 ? &l->homes[m.home] : NULL;
    if (h != NULL) {
        bool fell_back = owner == FIEF_HEAP;
        entry *e = log_entry(l, m.home, fell_back ? FIEF_HEAP : m.strategy, m.kind, m.counted);
        b->number = e->number;
        e->rounded = fell_back ? heap_rounded(l, m.size) : 0;
        l->heap_used += e->rounded;
        l->strategies[m.strategy].fallbacks += fell_back;
        count_block(l, e->strategy, m.kind, m.counted);
    } else {
        count_block(l, m.strategy, m.kind, m.counted);
        if (m.strategy == FIEF_HEAP) {
            l->heap_used += m.origin == UNSIZED ? m.counted : heap_rounded(l, m.size);
        }
    }
    bool varies = h != NULL && (h->has_cap || h->has_buffer);
    see(r, b->size + 1);
    see(r, varies ? 0 : (uint64_t)owner);
    fill_block(b);
    SAY(r, "fill(%s, %zu, %u);", c_block(l, index), b->size, b->seed);
}

/* ---- by kind ---- */

fief_strategy cell(const life *l, unsigned kind, unsigned context)
{
    const fief_kind *k = &l->kinds[kind];
    return k->in[context] != FIEF_NO_STRATEGY ? k->in[context] : k->any;
}

static size_t slot_align(size_t slot_size)
{
    return slot_size % FIEF_ALIGN == 0 ? FIEF_ALIGN : FIEF_GRAIN;
}

static made made_by_kind(const life *l, unsigned kind, unsigned context, size_t size)
{
    fief_strategy s = cell(l, kind, context);
    static const int home_of[FIEF_STRATEGIES] = {-1, HOME_VM, HOME_UNIT, HOME_FRAMES, -1, -1};
    size_t align = s == FIEF_POOL    ? slot_align(l->kinds[kind].size)
                   : s == FIEF_HEAP  ? l->heap_align
                   : s == FIEF_STACK ? FIEF_GRAIN
                                     : FIEF_ALIGN;
    return (made){.size = size,
                  .counted = size,
                  .align = align,
                  .strategy = s,
                  .kind = kind,
                  .origin = s == FIEF_POOL || s == FIEF_HEAP ? BY_KIND : IN_ARENA,
                  .home = home_of[s],
                  .pool = -1,
                  .zeroed = true};
}

void do_new(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    if (l == NULL) {
        return;
    }
    unsigned kind = (unsigned)at[1] % l->kind_count, context = (unsigned)at[2];
    size_t size = (size_t)at[3], slot = l->kinds[kind].size;
    fief_strategy s = cell(l, kind, context);
    bool no_unit = s == FIEF_COMPILER_ARENA && l->unit_count == 0;
    size = s == FIEF_POOL && size > slot ? slot : size;
    int index = s == FIEF_NO_STRATEGY || no_unit ? -1 : room_for(r, at[0], size);
    if (index >= 0) {
        SAY(r, "%s = fief_new(rt[%u], %u, %u, %zu);", c_block(l, index), l->index, kind, context,
            size);
        made m = made_by_kind(l, kind, context, size);
        m.start = fief_new(l->rt, kind, context, size);
        settle(r, index, m);
    }
}

/* ---- strings ---- */

static char all_x[TEXT_LARGEST + 1];

static void write_x(void)
{
    memset(all_x, 'x', TEXT_LARGEST);
}

static const char *many_x(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, write_x);
    return all_x;
}

/* -1: no place for it now. */
static int place_of_text(run *r, uint64_t handle, unsigned context, size_t size, made *ret)
{
    life *l = open_life(r);
    if (l == NULL || (context == FIEF_TEMPORARY && l->unit_count == 0)) {
        return -1;
    }
    bool in_vm = context <= FIEF_CONSTANT, in_unit = context == FIEF_TEMPORARY;
    size_t counted = in_vm || in_unit ? size : unsized_size(size, FIEF_ALIGN);
    *ret = (made){.size = size,
                  .counted = counted,
                  .kind = no_kind(l),
                  .pool = -1,
                  .align = in_vm || in_unit ? FIEF_GRAIN : FIEF_ALIGN,
                  .origin = in_vm || in_unit ? IN_ARENA : UNSIZED,
                  .usable = in_vm || in_unit ? 0 : counted,
                  .strategy = in_vm     ? FIEF_VM_ARENA
                              : in_unit ? FIEF_COMPILER_ARENA
                                        : FIEF_HEAP,
                  .home = in_vm     ? HOME_VM
                          : in_unit ? HOME_UNIT
                                    : -1};
    return room_for(r, handle, counted);
}

/* `length` x, then perhaps the end of the text. */
static void settle_text(run *r, int index, made m, void *start, size_t length, bool ends)
{
    const char *text = m.start = start;
    MUST(r, text == NULL || memcmp(text, many_x(), length) == 0,
         "expected a copy, found something else");
    MUST(r, text == NULL || !ends || text[length] == '\0', "expected the text to end");
    settle(r, index, m);
}

void do_strdup(run *r, const uint64_t *at)
{
    made m;
    size_t length = at[2] % (TEXT_LARGEST + 1);
    int index = place_of_text(r, at[0], (unsigned)at[1], length + 1, &m);
    if (index >= 0) {
        SAY(r, "%s = fief_strdup(rt[%u], %u, text_of(%zu));", c_block(r->now, index), r->now->index,
            (unsigned)at[1], length);
        char *text = fief_strdup(r->now->rt, (unsigned)at[1], many_x() + (TEXT_LARGEST - length));
        settle_text(r, index, m, text, length, true);
    }
}

void do_strndup(run *r, const uint64_t *at)
{
    made m;
    size_t length = at[2] % (TEXT_LARGEST + 1), most = (size_t)at[3];
    size_t copied = length < most ? length : most;
    int index = place_of_text(r, at[0], (unsigned)at[1], copied + 1, &m);
    if (index >= 0) {
        SAY(r, "%s = fief_strndup(rt[%u], %u, text_of(%zu), %zu);", c_block(r->now, index),
            r->now->index, (unsigned)at[1], length, most);
        char *text =
            fief_strndup(r->now->rt, (unsigned)at[1], many_x() + (TEXT_LARGEST - length), most);
        settle_text(r, index, m, text, copied, true);
    }
}

void do_memdup(run *r, const uint64_t *at)
{
    made m;
    size_t size = at[2] % (TEXT_LARGEST + 1);
    int index = place_of_text(r, at[0], (unsigned)at[1], size, &m);
    if (index >= 0) {
        SAY(r, "%s = fief_memdup(rt[%u], %u, text_of(%zu), %zu);", c_block(r->now, index),
            r->now->index, (unsigned)at[1], size, size);
        void *copy =
            fief_memdup(r->now->rt, (unsigned)at[1], many_x() + (TEXT_LARGEST - size), size);
        settle_text(r, index, m, copy, size, false);
    }
}

void do_printf(run *r, const uint64_t *at)
{
    made m;
    size_t length = at[2] % (TEXT_LARGEST + 1);
    int index = place_of_text(r, at[0], (unsigned)at[1], length + 1, &m);
    if (index >= 0) {
        SAY(r, "%s = fief_printf(rt[%u], %u, \"%%s%%s\", \"\", text_of(%zu));",
            c_block(r->now, index), r->now->index, (unsigned)at[1], length);
        char *text = fief_printf(r->now->rt, (unsigned)at[1], "%s%s", "",
                                 many_x() + (TEXT_LARGEST - length));
        settle_text(r, index, m, text, length, true);
    }
}

/* ---- the heap ---- */

static made made_sized(const life *l, size_t size, size_t align)
{
    return (made){.size = size,
                  .counted = size,
                  .align = align,
                  .origin = SIZED,
                  .home = -1,
                  .pool = -1,
                  .strategy = FIEF_HEAP,
                  .kind = no_kind(l)};
}

static made made_unsized(const life *l, size_t size, size_t align)
{
    bool absurd = size >= SIZE_ABSURD;
    size_t counted = absurd ? size : unsized_size(size, align);
    return (made){.size = size,
                  .counted = counted,
                  .usable = counted,
                  .align = align,
                  .origin = UNSIZED,
                  .home = -1,
                  .pool = -1,
                  .strategy = FIEF_HEAP,
                  .kind = no_kind(l)};
}

void do_alloc(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    int index = l != NULL ? room_for(r, at[0], (size_t)at[1]) : -1;
    if (index >= 0) {
        made m = made_sized(l, (size_t)at[1], l->heap_align);
        SAY(r, "%s = fief_heap_alloc(fief_runtime_heap(rt[%u]), %zu);", c_block(l, index), l->index,
            m.size);
        m.start = fief_heap_alloc(fief_runtime_heap(l->rt), m.size);
        settle(r, index, m);
    }
}

void do_alloc_aligned(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    int index = l != NULL ? room_for(r, at[0], (size_t)at[1]) : -1;
    if (index >= 0) {
        size_t align = (size_t)1 << at[2];
        made m = made_sized(l, (size_t)at[1], align > l->heap_align ? align : l->heap_align);
        SAY(r, "%s = fief_heap_alloc_aligned(fief_runtime_heap(rt[%u]), %zu, %zu);",
            c_block(l, index), l->index, m.size, align);
        m.start = fief_heap_alloc_aligned(fief_runtime_heap(l->rt), m.size, align);
        settle(r, index, m);
    }
}

static void settle_unsized(run *r, int index, made m)
{
    size_t usable =
        m.start != NULL ? fief_heap_usable_size(fief_runtime_heap(r->now->rt), m.start) : 0;
    MUST(r, m.start == NULL || usable == m.counted, "expected %zu usable bytes, found %zu",
         m.counted, usable);
    settle(r, index, m);
}

void do_malloc(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    int index = l != NULL ? room_for(r, at[0], (size_t)at[1]) : -1;
    if (index >= 0) {
        made m = made_unsized(l, (size_t)at[1], FIEF_ALIGN);
        SAY(r, "%s = fief_malloc(rt[%u], %zu);", c_block(l, index), l->index, m.size);
        m.start = fief_malloc(l->rt, m.size);
        settle_unsized(r, index, m);
    }
}

void do_malloc_aligned(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    int index = l != NULL ? room_for(r, at[0], (size_t)at[1]) : -1;
    if (index >= 0) {
        size_t align = (size_t)1 << at[2];
        made m = made_unsized(l, (size_t)at[1], align);
        SAY(r, "%s = fief_heap_alloc_unsized_aligned(fief_runtime_heap(rt[%u]), %zu, %zu);",
            c_block(l, index), l->index, m.size, align);
        m.start = fief_heap_alloc_unsized_aligned(fief_runtime_heap(l->rt), m.size, align);
        settle_unsized(r, index, m);
    }
}

void do_calloc(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    size_t count = (size_t)at[1], size = (size_t)at[2], bytes;
    size = size >= SIZE_ABSURD ? size : size % CALLOC_LARGEST;
    bytes = __builtin_mul_overflow(count, size, &bytes) ? SIZE_MAX : bytes;
    int index = l != NULL ? room_for(r, at[0], bytes) : -1;
    if (index >= 0) {
        made m = made_unsized(l, bytes, FIEF_ALIGN);
        SAY(r, "%s = fief_calloc(rt[%u], %zu, %zu);", c_block(l, index), l->index, count, size);
        m.start = fief_calloc(l->rt, count, size);
        m.zeroed = true;
        settle_unsized(r, index, m);
    }
}

/* Many blocks of one size come, every second one goes, then the others. */
/* What else was freed since may have driven it out. */
static void forget_resting(life *l)
{
    memset(l->resting, 0, sizeof l->resting);
}

void do_churn(run *r, const uint64_t *at)
{
    enum { MOST = 256, LARGEST = 4000, BYTES = 128 << 10 };
    void *blocks[MOST];
    life *l = open_life(r);
    if (l == NULL || l->limit != 0 || l->strategies[FIEF_HEAP].limit != 0) {
        return;
    }
    size_t size = (size_t)at[1] % LARGEST, fit = BYTES / (size + 1);
    size_t count = (size_t)at[0] < fit ? (size_t)at[0] : fit;
    fief_heap *heap = fief_runtime_heap(l->rt);
    SAY(r, "churn(rt[%u], %zu, %zu);", l->index, count, size);
    for (size_t i = 0; i < count; i++) {
        blocks[i] = fief_heap_alloc(heap, size);
        MUST(r, blocks[i] != NULL || null_is_fine(r), "expected %zu bytes, found NULL", size);
        MUST(r, blocks[i] == NULL || overlapped(l, blocks[i], size, -1) < 0,
             "expected a block apart");
        MUST(r, blocks[i] == NULL || fief_owner(l->rt, blocks[i]) == FIEF_HEAP,
             "expected a block of the heap's");
        if (blocks[i] != NULL) {
            count_total(l, FIEF_HEAP, no_kind(l), (ptrdiff_t)size);
            memset(blocks[i], (int)i + 1, size < 16 ? size : 16);
        }
    }
    forget_resting(l);
    for (unsigned turn = 0; turn < 2; turn++) {
        for (size_t i = turn; i < count; i += 2) {
            const unsigned char *first = blocks[i];
            MUST(r, first == NULL || size == 0 || *first == i + 1,
                 "expected each block handed out once, found one twice");
            fief_heap_free(heap, blocks[i], size);
        }
    }
}

/* ---- free ---- */

void call_free(run *r, const life *l, const block *b, const char *name)
{
    switch (b->origin) {
    case SIZED:
        SAY(r, "fief_heap_free(fief_runtime_heap(rt[%u]), %s, %zu);", l->index, name, b->size);
        fief_heap_free(fief_runtime_heap(l->rt), b->start, b->size);
        break;
    case UNSIZED:
        SAY(r, "fief_release(rt[%u], %s);", l->index, name);
        fief_release(l->rt, b->start);
        break;
    case SLOT:
        SAY(r, "fief_pool_give(p[%u][%d], %s);", l->index, b->pool, name);
        fief_pool_give(l->pools[b->pool].pool, b->start);
        break;
    default:
        SAY(r, "fief_free(rt[%u], %u, %s, %zu);", l->index, b->kind, name, b->size);
        fief_free(l->rt, b->kind, b->start, b->size);
        break;
    }
}

static void note_resting(const run *r, life *l, const block *b)
{
    if (!would_wait(l, b)) {
        forget_resting(l);
    } else if (r->guards && !l->is_loose) {
        memmove(l->resting + 1, l->resting, (RESTING - 1) * sizeof *l->resting);
        l->resting[0] = *b;
    }
}

void free_block(run *r, int index)
{
    life *l = r->now;
    block *b = &l->blocks[index];
    must_hold(r, index, b->size);
    see_bytes(r, b);
    SAY(r, "check(%s, %zu, %u, %ld);", c_block(l, index), b->size, b->seed, c_field(b));
    forget_pointers_to(r, index);
    call_free(r, l, b, c_block(l, index));
    bool had_pages = !r->guards && b->strategy == FIEF_HEAP && b->size > PAGES_OF_ITS_OWN;
    MUST(r, !had_pages || fief_owner(l->rt, b->start + b->size - 1) == FIEF_NO_STRATEGY,
         "expected the pages of b%d to be nobody's", index);
    note_resting(r, l, b);
    uncount_block(l, b->strategy, b->kind, b->counted);
    if (b->strategy == FIEF_HEAP) {
        l->heap_used -= b->origin == UNSIZED ? b->counted : heap_rounded(l, b->size);
    }
    if (b->pool >= 0) {
        l->pools[b->pool].live--;
    }
    drop_block(l, index);
}

void do_free(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    int index = l != NULL ? find_block(l, at[0], is_dynamic) : -1;
    if (index >= 0) {
        free_block(r, index);
    }
}

void do_collect(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    for (unsigned i = 0; l != NULL && i < l->top; i++) {
        const block *b = &l->blocks[i];
        if (b->origin != EMPTY && is_dynamic(l, b) && (i * 7 + at[0]) % 3 == 0) {
            free_block(r, (int)i);
        }
    }
}

/* ---- resize ---- */

void *call_resize(run *r, const life *l, const block *b, const char *name, size_t size)
{
    switch (b->origin) {
    case SIZED:
        SAY(r, "kept = fief_heap_resize(fief_runtime_heap(rt[%u]), %s, %zu, %zu);", l->index, name,
            b->size, size);
        return fief_heap_resize(fief_runtime_heap(l->rt), b->start, b->size, size);
    case UNSIZED:
        SAY(r, "kept = fief_realloc(rt[%u], %s, %zu);", l->index, name, size);
        return fief_realloc(l->rt, b->start, size);
    case BY_KIND:
        SAY(r, "kept = fief_resize(rt[%u], %u, %s, %zu, %zu);", l->index, b->kind, name, b->size,
            size);
        return fief_resize(l->rt, b->kind, b->start, b->size, size);
    default:
        SAY(r, "kept = fief_arena_resize(%s, %s, %zu, %zu);", c_home(l, b->home), name, b->size,
            size);
        return fief_arena_resize(l->homes[b->home].arena, b->start, b->size, size);
    }
}

static bool may_resize(const life *l, const block *b)
{
    if (b->origin == BY_KIND) {
        return b->strategy == FIEF_HEAP && cell(l, b->kind, FIEF_DYNAMIC) == FIEF_HEAP;
    }
    bool in_open_arena =
        b->home >= 0 && !l->homes[b->home].is_stack && (b->home != HOME_UNIT || l->unit_count != 0);
    return b->origin == SIZED || b->origin == UNSIZED || in_open_arena;
}

/* Does the budget let it through? */
static bool resize_fits(const life *l, const block *b, size_t size)
{
    size_t usable = b->counted;
    if (b->origin == UNSIZED) {
        return size <= usable || budget_admits_it(l, FIEF_HEAP, unsized_size(size, FIEF_ALIGN));
    }
    if (b->home >= 0) {
        return budget_admits_it(l, l->homes[b->home].strategy, size) ||
               budget_admits_it(l, FIEF_HEAP, size);
    }
    return size <= b->size || budget_admits_it(l, FIEF_HEAP, size - b->size);
}

/* What a resize left behind in an arena is not asked for any more; on the heap it stays for it. */
static void retire(life *l, const block *old)
{
    home *h = old->home >= 0 ? &l->homes[old->home] : NULL;
    for (size_t i = 0; h != NULL && i < h->logged; i++) {
        entry *e = &h->log[i];
        if (e->number == old->number && !e->fell_back && !e->is_retired) {
            uncount_block(l, e->strategy, e->kind, e->size);
            e->is_retired = true;
        }
    }
}

/* The prefix is there; for the model the old block is gone, and the same handle is the new one. */
static void settle_resized(run *r, int index, made m, size_t prefix)
{
    life *l = r->now;
    block *b = &l->blocks[index];
    block moved = *b;
    moved.start = m.start;
    bool kept = block_holds(&moved, prefix) && block_points(l, &moved);
    MUST(r, kept, "expected the resized block to keep its first %zu bytes, found them changed",
         prefix);
    if (moved.field != NO_FIELD) { /* a large block is filled here and there */
        fill_field(&moved);
    }
    bool grows = m.origin == BY_KIND && m.size > b->size;
    MUST(r, !grows || is_zero((unsigned char *)m.start + b->size, m.size - b->size),
         "expected the new bytes zeroed");
    if (b->home < 0) {
        uncount_block(l, b->strategy, b->kind, b->counted);
        l->heap_used -= b->origin == UNSIZED ? b->counted : heap_rounded(l, b->size);
    }
    m.zeroed = false;
    m.is_admitted = true;
    l->busy = index;
    if (b->home >= 0 && m.start == b->start) { /* in place: nothing was allocated */
        b->number = ++l->homes[b->home].last;
        b->size = m.size;
        b->field = NO_FIELD;
        b->seed = (uint8_t)(++r->seeds * 37);
        fill_block(b);
        see(r, b->size + 1);
        see(r,
            l->homes[b->home].has_cap || l->homes[b->home].has_buffer ? 0 : (uint64_t)b->strategy);
        SAY(r, "fill(%s, %zu, %u);", c_block(l, index), b->size, b->seed);
    } else {
        const block old = *b;
        settle(r, index, m);
        retire(l, &old);
        if (m.start == old.start && m.origin == UNSIZED) { /* it stayed: nothing was asked for */
            count_total(l, l->blocks[index].strategy, m.kind, -(ptrdiff_t)m.counted);
        }
    }
    l->busy = -1;
}

/* An unsized block of half its size or more stays as it is, and a smaller one where there is no
 * memory to move to. */
static bool stays_as_it_is(run *r, const life *l, const block *b, size_t size, const void *moved)
{
    if (size > b->counted || size >= b->counted / 2 ||
        unsized_size(size, FIEF_ALIGN) == b->counted) {
        return size <= b->counted;
    }
    bool stayed = moved == b->start &&
                  fief_heap_usable_size(fief_runtime_heap(l->rt), moved) == b->counted;
    bool admitted = budget_admits_it(l, FIEF_HEAP, unsized_size(size, FIEF_ALIGN));
    MUST(r, !stayed || !admitted || null_is_fine(r),
         "expected a smaller block than of %zu bytes, found it as it was", b->counted);
    return stayed;
}

static made made_resized(run *r, const life *l, const block *b, size_t size, const void *moved)
{
    made m = made_sized(l, size, l->heap_align);
    if (b->origin == UNSIZED) {
        bool stays = stays_as_it_is(r, l, b, size, moved);
        m = made_unsized(l, stays ? b->counted : size, FIEF_ALIGN);
    } else if (b->home >= 0) {
        m.origin = IN_ARENA;
        m.home = b->home;
        m.strategy = l->homes[b->home].strategy;
        m.align = FIEF_GRAIN; /* where it shrinks in place it keeps the alignment that it had */
    }
    m.origin = b->origin;
    m.kind = b->origin == BY_KIND ? b->kind : m.kind;
    return m;
}

void do_resize(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    size_t size = (size_t)at[1];
    int index = l != NULL ? find_block(l, at[0], may_resize) : -1;
    bool absurd = size >= SIZE_ABSURD;
    if (index < 0 || (!absurd && room_for(r, 0, size) < 0)) {
        return;
    }
    block *b = &l->blocks[index];
    must_hold(r, index, b->size);
    forget_pointers_to(r, index);
    if (b->field != NO_FIELD && size < b->field_at + sizeof(void *)) {
        forget_field(r, index);
    }
    size_t prefix = size < b->size ? size : b->size;
    l->busy = index;
    void *moved = call_resize(r, l, b, c_block(l, index), size);
    bool fits = !absurd && resize_fits(l, b, size);
    l->busy = -1;
    see(r, moved != NULL);
    if (moved == NULL) {
        fief_strategy strategy = b->home >= 0 ? l->homes[b->home].strategy : FIEF_HEAP;
        MUST(r, !fits || null_is_fine(r), "expected the block resized, found NULL");
        r->refused = true;
        l->strategies[strategy].refused += size <= REFUSED_LARGEST && !l->is_loose;
        must_hold(r, index, b->size);
        return;
    }
    MUST(r, fits, "expected NULL, found a resized block");
    SAY(r, "must(kept != NULL, \"resized\"), %s = kept;", c_block(l, index));
    made m = made_resized(r, l, b, size, moved);
    m.start = moved;
    if (moved != b->start) {
        forget_resting(l);
    }
    settle_resized(r, index, m, prefix);
}

/* ---- pools ---- */

int find_pool(const life *l, uint64_t handle)
{
    for (unsigned n = 0; n < POOLS; n++) {
        if (l->pools[(handle + n) % POOLS].pool != NULL) {
            return (int)((handle + n) % POOLS);
        }
    }
    return -1;
}

void do_pool_open(run *r, const uint64_t *at)
{
    enum { LARGEST = 32768 };
    life *l = open_life(r);
    if (l == NULL || l->pools[at[0]].pool != NULL) {
        return;
    }
    slots *s = &l->pools[at[0]];
    s->slot_size = (size_t)at[1];
    s->live = 0;
    SAY(r, "p[%u][%u] = fief_pool_open(rt[%u], \"slots\", %zu);", l->index, (unsigned)at[0],
        l->index, s->slot_size);
    s->pool = fief_pool_open(l->rt, "slots", s->slot_size);
    bool sound = s->slot_size >= 1 && s->slot_size <= LARGEST;
    MUST(r, s->pool == NULL || sound, "expected no pool of slots of %zu bytes", s->slot_size);
    MUST(r, s->pool != NULL || !sound || null_is_fine(r), "expected a pool, found NULL");
    see(r, s->pool != NULL);
}

void do_pool_close(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    int pool = l != NULL ? find_pool(l, at[0]) : -1;
    if (pool < 0) {
        return;
    }
    for (unsigned i = 0; i < l->top; i++) {
        const block *b = &l->blocks[i];
        if (b->origin == SLOT && b->pool == pool) {
            must_hold(r, (int)i, b->size);
            forget_pointers_to(r, (int)i);
            uncount_block(l, FIEF_POOL, b->kind, b->counted);
            drop_block(l, (int)i);
        }
    }
    SAY(r, "fief_pool_close(p[%u][%d]);", l->index, pool);
    fief_pool_close(l->pools[pool].pool);
    forget_resting(l); /* what rests may be the pool's: all leave */
    l->pools[pool].pool = NULL;
}

void do_take(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    if (l != NULL && find_pool(l, 0) < 0) {
        do_pool_open(r, (const uint64_t[]){at[1], 24 + 40 * (at[0] % 5)});
    }
    int pool = l != NULL ? find_pool(l, at[1]) : -1;
    int index = pool >= 0 ? room_for(r, at[0], l->pools[pool].slot_size) : -1;
    if (index < 0) {
        return;
    }
    size_t size = l->pools[pool].slot_size;
    SAY(r, "%s = fief_pool_take(p[%u][%d]);", c_block(l, index), l->index, pool);
    made m = {.size = size,
              .counted = size,
              .align = slot_align(size),
              .origin = SLOT,
              .pool = pool,
              .strategy = FIEF_POOL,
              .kind = no_kind(l),
              .home = -1};
    m.start = fief_pool_take(l->pools[pool].pool);
    settle(r, index, m);
    l->pools[pool].live += m.start != NULL;
}

typedef struct visit {
    run *r;
    int pool;
    uint64_t which, seen;
} visit;

/* Slots die here in the order of their addresses, which is the mode's: what is seen is added up. */
static void free_visited(visit *v, int index)
{
    uint64_t before = v->r->digest;
    v->r->digest = 0;
    free_block(v->r, index);
    v->seen += v->r->digest;
    v->r->digest = before;
}

static void visit_slot(void *slot, void *argument)
{
    visit *v = argument;
    life *l = v->r->now;
    for (unsigned i = 0; i < l->top; i++) {
        const block *b = &l->blocks[i];
        if (b->origin == SLOT && b->pool == v->pool && b->start == slot) {
            if ((i + v->which) % 4 == 0) {
                free_visited(v, (int)i);
            }
            return;
        }
    }
    differ(v->r, "expected a walk to visit living slots, found another");
}

void do_walk(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    int pool = l != NULL ? find_pool(l, at[0]) : -1;
    if (pool < 0) {
        return;
    }
    size_t live = l->pools[pool].live;
    visit v = {.r = r, .pool = pool, .which = at[1]};
    SAY(r, "/* the walk; what its visitor gave stands behind it */");
    SAY(r, "must(fief_pool_walk(p[%u][%d], visit, NULL) == %zu, \"slots\");", l->index, pool, live);
    size_t visited = fief_pool_walk(l->pools[pool].pool, visit_slot, &v);
    MUST(r, visited == live, "expected %zu slots visited, found %zu", live, visited);
    MUST(r, fief_pool_live(l->pools[pool].pool) == l->pools[pool].live,
         "expected %zu living slots, found %zu", l->pools[pool].live,
         fief_pool_live(l->pools[pool].pool));
    see(r, visited);
    see(r, v.seen);
}

void do_pool_trim(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    int pool = l != NULL ? find_pool(l, at[0]) : -1;
    if (pool >= 0) {
        SAY(r, "(void)fief_pool_trim(p[%u][%d]);", l->index, pool);
        (void)fief_pool_trim(l->pools[pool].pool);
        check_blocks(r, l);
    }
}
