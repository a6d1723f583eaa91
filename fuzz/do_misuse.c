/* do_misuse: each mistake as an operation. What is right in it is done in every mode, so that the
 * program goes on the same way; the mistake itself only where a guard notices it. */
#include "run.h"

#include <pthread.h>
#include <string.h>
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define VALGRIND_DISABLE_ERROR_REPORTING
#define VALGRIND_ENABLE_ERROR_REPORTING
#endif

enum { LARGEST_WRONG = 600000, CALLS = 13 };

/* ---- which blocks ---- */

static bool would_wait_and_is_wide(const life *l, const block *b)
{
    return would_wait(l, b) && b->size > 16 && b->origin != UNSIZED && b->size <= FIEF_SMALL_MAX;
}

static bool would_wait_and_resizes(const life *l, const block *b)
{
    return would_wait(l, b) && (b->origin == SIZED || b->origin == UNSIZED);
}

static bool is_wide(const life *l, const block *b)
{
    return is_plain_dynamic(l, b) && b->size > 16;
}

static bool is_sized(const life *l, const block *b)
{
    return is_plain_dynamic(l, b) && (b->origin == SIZED || b->origin == BY_KIND);
}

static bool is_heap_kind(const life *l, const block *b)
{
    return is_plain_dynamic(l, b) && b->origin == BY_KIND && b->strategy == FIEF_HEAP;
}

/* Its pages tell whose it is. */
static bool is_told_by_pages(const life *l, const block *b)
{
    bool in_arena = b->home >= 0 && b->strategy != FIEF_HEAP && b->strategy != FIEF_NO_STRATEGY;
    bool small = b->home < 0 && (b->strategy == FIEF_POOL || b->counted <= FIEF_SMALL_MAX);
    return !is_fenced(l, b) && (in_arena || small);
}

static bool has_redzones(const life *l, const block *b)
{
    return !is_fenced(l, b) && b->strategy != FIEF_NO_STRATEGY;
}

static life *life_with(run *r, admits *admitted, uint64_t handle, int *ret_index)
{
    life *l = open_life(r);
    *ret_index = l != NULL && r->os == NULL ? find_block(l, handle, admitted) : -1;
    return *ret_index >= 0 ? l : NULL;
}

/* ---- frees ---- */

void do_double_free(run *r, const uint64_t *at)
{
    int index;
    life *l = life_with(r, would_wait, at[0], &index);
    if (l != NULL) {
        const block b = l->blocks[index];
        free_block(r, index);
        if (begin_misuse(r, FIEF_MISUSE_DOUBLE_FREE)) {
            call_free(r, l, &b, c_block(l, index));
            end_misuse(r);
        }
    }
}

/* The same call for a pointer `offset` bytes on. */
static void free_at(run *r, const life *l, const block *b, int index, size_t offset)
{
    char name[40];
    block moved = *b;
    moved.start += offset;
    moved.size -= b->origin == SLOT ? 0 : offset;
    (void)snprintf(name, sizeof name, "%s + %zu", c_block(l, index), offset);
    call_free(r, l, &moved, name);
}

void do_free_inside_freed(run *r, const uint64_t *at)
{
    int index;
    life *l = life_with(r, would_wait_and_is_wide, at[0], &index);
    if (l != NULL) {
        const block b = l->blocks[index];
        size_t offset = 8 + (size_t)at[1] % ((b.size - 8) / 8) * 8;
        free_block(r, index);
        if (begin_misuse(r, FIEF_MISUSE_DOUBLE_FREE)) {
            free_at(r, l, &b, index, offset);
            end_misuse(r);
        }
    }
}

void do_resize_freed(run *r, const uint64_t *at)
{
    int index;
    life *l = life_with(r, would_wait_and_resizes, at[0], &index);
    if (l != NULL) {
        const block b = l->blocks[index];
        free_block(r, index);
        if (begin_misuse(r, FIEF_MISUSE_DOUBLE_FREE)) {
            void *moved = call_resize(r, l, &b, c_block(l, index), (size_t)at[1] % LARGEST_WRONG);
            MUST(r, moved == NULL, "expected NULL for a dead block, found one");
            end_misuse(r);
        }
    }
}

void do_interior_free(run *r, const uint64_t *at)
{
    int index;
    life *l = life_with(r, is_wide, at[0], &index);
    if (l != NULL && begin_misuse(r, FIEF_MISUSE_INTERIOR_FREE)) {
        const block *b = &l->blocks[index];
        free_at(r, l, b, index, 8 + (size_t)at[1] % (b->size - 8));
        end_misuse(r);
        must_hold(r, index, b->size);
    }
}

static void free_elsewhere(run *r, const life *l, void *p, uint64_t how, const char *name)
{
    fief_heap *heap = fief_runtime_heap(l->rt);
    switch (how % 4) {
    case 0:
        SAY(r, "fief_heap_free(fief_runtime_heap(rt[%u]), %s, 48);", l->index, name);
        fief_heap_free(heap, p, 48);
        break;
    case 1:
        SAY(r, "fief_release(rt[%u], %s);", l->index, name);
        fief_release(l->rt, p);
        break;
    case 2:
        SAY(r, "(void)fief_heap_resize(fief_runtime_heap(rt[%u]), %s, 48, 96);", l->index, name);
        (void)fief_heap_resize(heap, p, 48, 96);
        break;
    default:
        SAY(r, "(void)fief_realloc(rt[%u], %s, 96);", l->index, name);
        (void)fief_realloc(l->rt, p, 96);
        break;
    }
}

void do_stack_free(run *r, const uint64_t *at)
{
    char here[48] = {0};
    void *volatile p = here;
    life *l = open_life(r);
    if (l != NULL && begin_misuse(r, FIEF_MISUSE_STACK_FREE)) {
        free_elsewhere(r, l, p, at[0], "here");
        end_misuse(r);
    }
}

void do_foreign_free(run *r, const uint64_t *at)
{
    static char there[48];
    life *l = open_life(r);
    if (l != NULL && begin_misuse(r, FIEF_MISUSE_FOREIGN_FREE)) {
        free_elsewhere(r, l, there, at[0], "there");
        end_misuse(r);
    }
}

/* A free, or a resize where the kind has one. */
static void call_wrongly(run *r, const life *l, const block *wrong, int index, bool resizes)
{
    bool can = wrong->origin == SIZED || cell(l, wrong->kind, FIEF_DYNAMIC) == FIEF_HEAP;
    if (resizes && can && wrong->strategy == FIEF_HEAP) {
        void *moved = call_resize(r, l, wrong, c_block(l, index), 1000);
        MUST(r, moved == NULL, "expected NULL for a wrong call, found a block");
    } else {
        call_free(r, l, wrong, c_block(l, index));
    }
}

void do_wrong_size(run *r, const uint64_t *at)
{
    int index;
    life *l = life_with(r, is_sized, at[0], &index);
    if (l != NULL && begin_misuse(r, FIEF_MISUSE_WRONG_SIZE)) {
        block wrong = l->blocks[index];
        wrong.size = (size_t)at[1] + (at[1] == wrong.size);
        call_wrongly(r, l, &wrong, index, at[0] % 4 == 3);
        end_misuse(r);
        must_hold(r, index, l->blocks[index].size);
    }
}

static bool kind_has_heap(const life *l, unsigned kind)
{
    bool has = false;
    for (unsigned context = 0; context < FIEF_CONTEXTS; context++) {
        has = has || cell(l, kind, context) == FIEF_HEAP;
    }
    return has;
}

void do_wrong_kind(run *r, const uint64_t *at)
{
    int index;
    life *l = life_with(r, is_heap_kind, at[0], &index);
    for (unsigned n = 0; l != NULL && n < l->kind_count; n++) {
        block wrong = l->blocks[index];
        unsigned kind = ((unsigned)at[1] + n) % l->kind_count;
        if (kind != wrong.kind && kind_has_heap(l, kind)) {
            if (begin_misuse(r, FIEF_MISUSE_WRONG_KIND)) {
                wrong.kind = kind;
                call_wrongly(r, l, &wrong, index, at[0] % 4 == 3);
                end_misuse(r);
                must_hold(r, index, wrong.size);
            }
            return;
        }
    }
}

void do_wrong_allocator(run *r, const uint64_t *at)
{
    int index;
    life *l = life_with(r, is_told_by_pages, at[0], &index);
    if (l == NULL) {
        return;
    }
    const block *b = &l->blocks[index];
    int pool = find_pool(l, at[1]);
    bool to_pool = at[1] % 5 == 4 && pool >= 0 && b->pool != pool;
    bool sized_heap = b->home < 0 && b->strategy == FIEF_HEAP && b->origin != UNSIZED;
    uint64_t how = sized_heap ? 1 + at[1] % 2 * 2 : b->origin == UNSIZED ? at[1] % 2 * 2 : at[1];
    if (!begin_misuse(r, FIEF_MISUSE_WRONG_ALLOCATOR)) {
        return;
    }
    if (to_pool) {
        SAY(r, "fief_pool_give(p[%u][%d], %s);", l->index, pool, c_block(l, index));
        fief_pool_give(l->pools[pool].pool, b->start);
    } else {
        free_elsewhere(r, l, b->start, how, c_block(l, index));
    }
    end_misuse(r);
    must_hold(r, index, b->size);
}

/* The slot behind the last that a pool has handed out; a release build knows it where it counts. */
void do_give_uncarved(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    size_t size = 1 + (size_t)at[0] % 4096;
    bool notices = r->guards || (l != NULL && l->is_counted);
    if (l == NULL || r->os != NULL || l->buffer != NULL || !notices ||
        !budget_admits_it(l, FIEF_POOL, 2 * size)) {
        return;
    }
    SAY(r, "slots_of_ours = fief_pool_open(rt[%u], \"uncarved\", %zu);", l->index, size);
    SAY(r, "here_taken = fief_pool_take(slots_of_ours), kept = fief_pool_take(slots_of_ours);");
    fief_pool *fresh = fief_pool_open(l->rt, "uncarved", size);
    unsigned char *first = fresh != NULL ? fief_pool_take(fresh) : NULL;
    unsigned char *last = first != NULL ? fief_pool_take(fresh) : NULL;
    MUST(r, last != NULL, "expected two slots, found NULL");
    count_total(l, FIEF_POOL, no_kind(l), 2 * (ptrdiff_t)size);
    unsigned char *behind = last + (last - first);
    if (last > first && fief_owner(l->rt, behind) == FIEF_POOL) {
        expect_misuse(r, FIEF_MISUSE_INTERIOR_FREE);
        SAY(r, "fief_pool_give(slots_of_ours, kept + (kept - here_taken));");
        fief_pool_give(fresh, behind);
        end_misuse(r);
    }
    MUST(r, fief_pool_live(fresh) == 2, "expected 2 living slots, found %zu",
         fief_pool_live(fresh));
    SAY(r, "fief_pool_close(slots_of_ours);");
    fief_pool_close(fresh);
    memset(l->resting, 0, sizeof l->resting);
}

/* ---- bytes that are not the block's, found by a check and put back ---- */

/* Valgrind would count it as an error of the driver's, which it is. */
static void write_unseen(unsigned char *byte, unsigned char value)
{
    VALGRIND_DISABLE_ERROR_REPORTING;
    *byte = value;
    VALGRIND_ENABLE_ERROR_REPORTING;
}

static unsigned char read_unseen(const unsigned char *byte)
{
    VALGRIND_DISABLE_ERROR_REPORTING;
    unsigned char value = *byte;
    VALGRIND_ENABLE_ERROR_REPORTING;
    return value;
}

static void write_and_check(run *r, const life *l, unsigned char *byte, fief_misuse_class class_id,
                            const char *name, ptrdiff_t offset)
{
    if (begin_misuse(r, class_id)) {
        unsigned char before = read_unseen(byte);
        SAY(r, "spoil(%s + (%td)), (void)fief_check(rt[%u]), mend(%s + (%td));", name, offset,
            l->index, name, offset);
        write_unseen(byte, (unsigned char)(before ^ 0x5A));
        (void)fief_check(l->rt);
        write_unseen(byte, before);
        end_misuse(r);
    }
}

/* By a check afterwards, or, as AddressSanitizer would, the write itself. */
static void write_must_be(run *r, const life *l, unsigned char *byte, fief_misuse_class class_id,
                          const char *name, ptrdiff_t offset)
{
    if (r->poisons) {
        write_and_check(r, l, byte, class_id, name, offset);
    } else if (r->guards) {
        access_must_be(r, class_id, byte, true);
    }
}

void do_overflow(run *r, const uint64_t *at)
{
    int index;
    life *l = life_with(r, has_redzones, at[0], &index);
    if (l != NULL) {
        const block *b = &l->blocks[index];
        size_t offset = b->size + at[1] % 8;
        write_must_be(r, l, b->start + offset, FIEF_MISUSE_OVERFLOW, c_block(l, index),
                      (ptrdiff_t)offset);
    }
}

void do_underflow(run *r, const uint64_t *at)
{
    int index;
    life *l = life_with(r, has_redzones, at[0], &index);
    if (l != NULL) {
        ptrdiff_t offset = -1 - (ptrdiff_t)(at[1] % 8);
        write_must_be(r, l, l->blocks[index].start + offset, FIEF_MISUSE_UNDERFLOW,
                      c_block(l, index), offset);
    }
}

void do_write_after_free(run *r, const uint64_t *at)
{
    int index;
    life *l = life_with(r, would_wait, at[0], &index);
    if (l != NULL) {
        const block b = l->blocks[index];
        free_block(r, index);
        if (b.size != 0) {
            write_must_be(r, l, b.start + at[1] % b.size, FIEF_MISUSE_WRITE_AFTER_FREE,
                          c_block(l, index), (ptrdiff_t)(at[1] % b.size));
        }
    }
}

/* ---- arguments ---- */

void do_bad_alignment(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    size_t align = (size_t)at[1] | 3; /* two bits: no power of two */
    void *made_block = NULL;
    if (l == NULL || !begin_misuse(r, FIEF_MISUSE_BAD_ALIGNMENT)) {
        return;
    }
    if (at[0] % 3 == 0) {
        SAY(r, "(void)fief_arena_alloc_aligned(fief_vm_arena(rt[%u]), 10, %zu);", l->index, align);
        made_block = fief_arena_alloc_aligned(fief_vm_arena(l->rt), 10, align);
    } else if (at[0] % 3 == 1) {
        SAY(r, "(void)fief_heap_alloc_aligned(fief_runtime_heap(rt[%u]), 10, %zu);", l->index,
            align);
        made_block = fief_heap_alloc_aligned(fief_runtime_heap(l->rt), 10, align);
    } else {
        SAY(r, "(void)fief_heap_alloc_unsized_aligned(fief_runtime_heap(rt[%u]), 10, %zu);",
            l->index, align);
        made_block = fief_heap_alloc_unsized_aligned(fief_runtime_heap(l->rt), 10, align);
    }
    MUST(r, made_block == NULL, "expected NULL for a bad alignment");
    end_misuse(r);
}

static void must_not_be_new(run *r, const life *l, unsigned kind, unsigned context, size_t size,
                            fief_misuse_class class_id)
{
    if (begin_misuse(r, class_id)) {
        SAY(r, "(void)fief_new(rt[%u], %u, %u, %zu);", l->index, kind, context, size);
        void *made_block = fief_new(l->rt, kind, context, size);
        MUST(r, made_block == NULL, "expected NULL for kind %u in context %u", kind, context);
        end_misuse(r);
    }
}

void do_bad_kind(run *r, const uint64_t *at)
{
    static char there[8];
    life *l = open_life(r);
    unsigned outside = l != NULL ? l->kind_count + (unsigned)at[0] : 0;
    if (l != NULL && at[0] % 8 >= 6) {
        if (begin_misuse(r, FIEF_MISUSE_BAD_KIND)) {
            bool frees = at[0] % 8 == 6;
            SAY(r,
                frees ? "fief_free(rt[%u], %u, there, 8);"
                      : "(void)fief_resize(rt[%u], %u, there, 8, 16);",
                l->index, outside);
            if (frees) {
                fief_free(l->rt, outside, there, sizeof there);
            } else {
                (void)fief_resize(l->rt, outside, there, sizeof there, 16);
            }
            end_misuse(r);
        }
    } else if (l != NULL) {
        bool context = at[0] % 2 != 0;
        must_not_be_new(r, l, context ? 0 : l->kind_count + (unsigned)at[0],
                        context ? FIEF_CONTEXTS + (unsigned)at[0] : (unsigned)FIEF_DYNAMIC, 8,
                        FIEF_MISUSE_BAD_KIND);
    }
}

void do_slot_too_large(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    if (l == NULL) {
        return;
    }
    unsigned kind = (unsigned)at[0] % l->kind_count, context = (unsigned)at[1];
    fief_strategy s = cell(l, kind, context);
    if (s == FIEF_POOL) {
        must_not_be_new(r, l, kind, context, l->kinds[kind].size + 1, FIEF_MISUSE_WRONG_SIZE);
    } else if (s == FIEF_NO_STRATEGY) {
        must_not_be_new(r, l, kind, context, 8, FIEF_MISUSE_NO_STRATEGY);
    }
}

/* ---- units ---- */

void do_no_unit(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    if (l != NULL && l->unit_count == 0 && begin_misuse(r, FIEF_MISUSE_NO_UNIT)) {
        SAY(r, "(void)fief_temp_block(rt[%u], 1, %u, 8);", l->index, (unsigned)at[0]);
        void *made_block = fief_temp_block(l->rt, 1, (size_t)at[0], 8);
        MUST(r, made_block == NULL, "expected NULL without a unit");
        end_misuse(r);
    }
}

static void end_wrongly(run *r, const life *l, unsigned index)
{
    if (begin_misuse(r, FIEF_MISUSE_UNIT_ORDER)) {
        SAY(r, "fief_unit_end(rt[%u], u[%u][%u]);", l->index, l->index, index);
        fief_unit_end(l->rt, l->units[index].unit);
        end_misuse(r);
    }
}

void do_unit_outer_first(run *r, const uint64_t *at)
{
    (void)at;
    life *l = open_life(r);
    if (l != NULL && l->unit_count >= 2) {
        end_wrongly(r, l, 0);
    }
}

void do_unit_twice(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    if (l != NULL && l->unit_count < UNITS) {
        do_unit_begin(r, at);
        do_unit_end(r, at);
        end_wrongly(r, l, l->unit_count);
    }
}

/* Nothing that was on the frame stack when the unit began has left it. */
static bool keeps_frames(const life *l)
{
    const unit *u = &l->units[l->unit_count - 1];
    const home *h = &l->homes[HOME_FRAMES];
    return h->logged >= u->frames_logged &&
           (u->frames_logged == 0 || h->log[u->frames_logged - 1].number <= u->frames);
}

void do_unit_open_frame(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    if (l == NULL || l->unit_count == 0 || r->os != NULL) {
        return;
    }
    unsigned live = l->live;
    do_push(r, (const uint64_t[]){0, HOME_FRAMES, 1 + at[0] % 256});
    int frame = l->live > live ? newest_frame(l, HOME_FRAMES) : -1;
    if (frame >= 0) {
        if (keeps_frames(l)) {
            end_wrongly(r, l, l->unit_count - 1);
        }
        pop_frame(r, l, frame);
    }
}

void do_unit_reset(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    if (l != NULL && l->unit_count != 0 && begin_misuse(r, FIEF_MISUSE_UNIT_ORDER)) {
        fief_arena *units = fief_compiler_arena(l->rt);
        bool closes = at[0] % 2 != 0;
        SAY(r, "fief_arena_%s(fief_compiler_arena(rt[%u]));", closes ? "close" : "reset", l->index);
        if (closes) {
            fief_arena_close(units);
        } else {
            fief_arena_reset(units);
        }
        end_misuse(r);
        check_blocks(r, l);
    }
}

/* ---- stacks and marks ---- */

static void pop_wrongly(run *r, const life *l, int home_index, void *start, size_t size,
                        const char *name)
{
    if (begin_misuse(r, FIEF_MISUSE_NOT_LIFO)) {
        SAY(r, "must(!fief_stack_pop(stack_of(%s), %s, %zu), \"refused\");", c_home(l, home_index),
            name, size);
        bool popped = fief_stack_pop(stack_of(l, home_index), start, size);
        MUST(r, !popped, "expected the pop to be refused");
        end_misuse(r);
    }
}

void do_pop_older(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    int home_index = l != NULL ? find_home(l, at[0], true) : -1;
    int newest = home_index >= 0 ? newest_frame(l, home_index) : -1;
    for (unsigned i = 0; newest >= 0 && i < l->top; i++) {
        const block *b = &l->blocks[i];
        if (b->origin != EMPTY && b->home == home_index && (int)i != newest) {
            pop_wrongly(r, l, home_index, b->start, b->size, c_block(l, (int)i));
            return;
        }
    }
}

void do_pop_wrong_size(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    int home_index = l != NULL ? find_home(l, at[0], true) : -1;
    int newest = home_index >= 0 ? newest_frame(l, home_index) : -1;
    if (newest >= 0) {
        const block *b = &l->blocks[newest];
        size_t wrong = (size_t)at[1] + (at[1] == b->size);
        pop_wrongly(r, l, home_index, b->start, wrong, c_block(l, newest));
    }
}

void do_pop_foreign(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    int home_index = l != NULL ? find_home(l, at[0], true) : -1;
    int index = home_index >= 0 ? find_block(l, at[1], is_dynamic) : -1;
    if (index >= 0) {
        const block *b = &l->blocks[index];
        pop_wrongly(r, l, home_index, b->start, b->size, c_block(l, index));
    }
}

void do_wrong_arena(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    int mark = l != NULL ? find_mark(l, at[0]) : -1, other = (int)at[1];
    if (mark < 0) {
        return;
    }
    while (!l->homes[other].is_open || other == l->marks[mark].home) {
        other = (other + 1) % HOMES;
    }
    if (begin_misuse(r, FIEF_MISUSE_WRONG_ARENA)) {
        SAY(r, "fief_arena_rewind(%s, m[%u][%d]);", c_home(l, other), l->index, mark);
        fief_arena_rewind(l->homes[other].arena, l->marks[mark].mark);
        end_misuse(r);
    }
}

/* A mark, a block, a later mark; back to the first; then to the later one. */
void do_stale_mark(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    uint64_t early = at[0], late = (at[0] + 1) % MARKS;
    int home_index = l != NULL ? find_home(l, at[0], false) : -1;
    if (home_index < 0 || r->os != NULL || room_for(r, 0, 64) < 0) {
        return;
    }
    int index = room_for(r, at[0], 64);
    do_mark(r, (const uint64_t[]){early, (uint64_t)home_index});
    do_arena_alloc(r, (const uint64_t[]){(uint64_t)index, (uint64_t)home_index, 64, 4});
    bool apart = l->blocks[index].origin == EMPTY || l->blocks[index].strategy == FIEF_HEAP;
    do_mark(r, (const uint64_t[]){late, (uint64_t)home_index});
    fief_mark stale = l->marks[late].mark;
    do_rewind(r, &early);
    if (!apart && begin_misuse(r, FIEF_MISUSE_STALE_MARK)) {
        SAY(r, "fief_arena_rewind(%s, m[%u][%u]);", c_home(l, home_index), l->index,
            (unsigned)late);
        fief_arena_rewind(l->homes[home_index].arena, stale);
        end_misuse(r);
    }
}

/* ---- threads and ends ---- */

typedef struct stray {
    const life *l;
    uint64_t how;
} stray;

static void *call_astray(void *argument)
{
    const stray *s = argument;
    fief_runtime *rt = s->l->rt;
    switch (s->how % CALLS) {
    case 0: (void)fief_heap_alloc(fief_runtime_heap(rt), 10); break;
    case 1: (void)fief_arena_alloc(fief_vm_arena(rt), 10); break;
    case 2: (void)fief_check(rt); break;
    case 3: (void)fief_trim(rt); break;
    case 4: (void)fief_close(rt); break;
    case 5: fief_drop(rt); break;
    case 6: (void)fief_unit_begin(rt); break;
    case 7: (void)fief_new(rt, 0, FIEF_DYNAMIC, 10); break;
    case 8: (void)fief_strdup(rt, FIEF_DYNAMIC, "x"); break;
    case 9: (void)fief_malloc(rt, 10); break;
    case 10: (void)fief_pool_open(rt, "astray", 10); break;
    case 11: (void)fief_stack_push(fief_frame_stack(rt), 10); break;
    default: (void)fief_limit_set(rt, FIEF_NO_STRATEGY, 0); break;
    }
    return NULL;
}

void do_wrong_thread(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    pthread_t thread;
    stray s = {l, at[0]};
    if (l != NULL && begin_misuse(r, FIEF_MISUSE_WRONG_THREAD)) {
        SAY(r, "astray(rt[%u], %u);", l->index, (unsigned)at[0] % CALLS);
        if (pthread_create(&thread, NULL, call_astray, &s) == 0) {
            (void)pthread_join(thread, NULL);
            end_misuse(r);
        }
        r->expects = 0;
    }
}

/* A runtime of its own, since the others live in ranges that are used again. Not beside other
 * threads: what they close pushes it out of those that are kept, before it is used. */
void do_use_after_close(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    if (l == NULL || !r->guards || r->os != NULL || r->beside_others) {
        return;
    }
    fief_config c = {
        .name = "closed", .reserve_bytes = (size_t)64 << 20, .on_misuse = on_misuse, .user = l};
    SAY(r, "config = (fief_config){.name = \"closed\", .reserve_bytes = 64 << 20};");
    SAY(r, "closed = open_runtime(&config); (void)fief_close(closed);");
    fief_runtime *closed = fief_open(&c);
    MUST(r, closed != NULL && fief_close(closed) == 0, "expected a runtime that opens and closes");
    if (begin_misuse(r, FIEF_MISUSE_USE_AFTER_CLOSE)) {
        const life dead = {.rt = closed};
        SAY(r, "call(closed, %u);", (unsigned)at[0] % CALLS);
        (void)call_astray(&(stray){&dead, at[0]});
        end_misuse(r);
    }
}
