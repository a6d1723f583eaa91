/* traces: what a runtime writes, read back by tools/trace, against what was done. */
#include "trace.h"

#include <criterion/criterion.h>
#include <fief/fief.h>
#include <stdlib.h>

typedef struct tape {
    unsigned char *bytes;
    size_t size, pieces;
    bool refuses;
} tape;

static bool keep(const void *bytes, size_t size, void *user)
{
    tape *t = user;
    t->bytes = realloc(t->bytes, t->size + size);
    memcpy(t->bytes + t->size, bytes, size);
    t->size += size;
    t->pieces++;
    return !t->refuses;
}

static fief_runtime *open_traced(tape *t)
{
    static fief_trace to;
    to = (fief_trace){.write = keep, .user = t};
    return fief_open(&(fief_config){.trace = &to, .name = "traced"});
}

typedef struct counts {
    uint64_t types[TRACE_TYPES], live;
    trace_event last[TRACE_TYPES];
} counts;

static trace *read_all(const tape *t, counts *ret)
{
    char error[200];
    trace *r = trace_open_bytes(t->bytes, t->size, "tape", error, sizeof error);
    cr_assert_not_null(r, "%s", error);
    *ret = (counts){.live = 0};
    for (trace_event e; trace_next(r, &e);) {
        ret->types[e.type]++;
        ret->last[e.type] = e;
        bool dies = (e.type == TRACE_FREE && e.block != NULL) || e.type == TRACE_DIES;
        ret->live += (e.type == TRACE_ALLOC) - (uint64_t)dies;
        cr_assert_eq(ret->live, trace_live_blocks(r));
        cr_assert(!e.lost);
    }
    return r;
}

Test(traces, a_block_by_kind_has_its_kind_context_and_strategy)
{
    tape t = {0};
    counts c;
    fief_runtime *rt = open_traced(&t);
    size_t size = fief_default_kinds[FIEF_KIND_CLOSURE].size;
    void *block = fief_new(rt, FIEF_KIND_CLOSURE, FIEF_DYNAMIC, size);
    fief_free(rt, FIEF_KIND_CLOSURE, block, size);
    fief_close(rt);
    trace *r = read_all(&t, &c);
    const trace_class *of = trace_class_at(r, 1);
    cr_assert_eq(c.types[TRACE_ALLOC], 1);
    cr_assert_eq(c.types[TRACE_FREE], 1);
    cr_assert_eq(of->verb, TRACE_NEW);
    cr_assert_eq(of->context, FIEF_DYNAMIC);
    cr_assert_str_eq(trace_kind_at(r, of->kind)->name, fief_default_kinds[FIEF_KIND_CLOSURE].name);
    cr_assert_eq(c.last[TRACE_ALLOC].address, (uintptr_t)block);
    cr_assert_eq(trace_unknown_frees(r), 0);
    cr_assert_null(trace_cut(r));
    cr_assert_str_eq(trace_info(r, "runtime"), "traced");
    trace_close(r);
    free(t.bytes);
}

Test(traces, a_units_blocks_die_with_it_and_an_inner_ones_before)
{
    tape t = {0};
    counts c;
    fief_runtime *rt = open_traced(&t);
    fief_unit outer = fief_unit_begin(rt);
    (void)fief_temp(rt, char, 100);
    fief_unit inner = fief_unit_begin(rt);
    (void)fief_temp(rt, char, 10);
    (void)fief_temp(rt, char, 20);
    fief_unit_end(rt, inner);
    fief_trace_mark(rt, "between");
    (void)fief_temp(rt, char, 30);
    fief_unit_end(rt, outer);
    fief_close(rt);
    trace *r = read_all(&t, &c);
    cr_assert_eq(c.types[TRACE_ALLOC], 4);
    cr_assert_eq(c.types[TRACE_DIES], 4);
    cr_assert_eq(c.types[TRACE_UNIT], 2);
    cr_assert_eq(c.types[TRACE_UNIT_END], 2);
    cr_assert_str_eq(c.last[TRACE_MARK].text, "between");
    cr_assert_eq(c.last[TRACE_CLOSE].operation, 4);
    trace_close(r);

    size_t until_inner_end = 0;
    char error[200];
    r = trace_open_bytes(t.bytes, t.size, "tape", error, sizeof error);
    for (trace_event e; trace_next(r, &e) && e.type != TRACE_MARK;) {
        until_inner_end += e.type == TRACE_DIES;
        cr_assert(e.type != TRACE_DIES || e.old_size < 100);
    }
    cr_assert_eq(until_inner_end, 2);
    cr_assert_eq(trace_live_bytes(r), 100);
    trace_close(r);
    free(t.bytes);
}

Test(traces, a_rewind_ends_what_came_after_the_mark_and_a_reset_the_rest)
{
    tape t = {0};
    counts c;
    fief_runtime *rt = open_traced(&t);
    fief_arena *a = fief_arena_open(rt, NULL);
    (void)fief_arena_alloc(a, 40);
    fief_mark mark = fief_arena_mark(a);
    for (int i = 0; i < 5; i++) {
        (void)fief_arena_alloc(a, 48);
    }
    fief_arena_rewind(a, mark);
    (void)fief_arena_alloc(a, 56);
    fief_arena_reset(a);
    (void)fief_arena_alloc(a, 64);
    fief_arena_close(a);
    fief_close(rt);
    trace *r = read_all(&t, &c);
    cr_assert_eq(c.last[TRACE_REWIND].count, 5);
    cr_assert_eq(c.types[TRACE_ALLOC], 8);
    cr_assert_eq(c.types[TRACE_DIES], 8);
    cr_assert_eq(c.last[TRACE_DIES].old_size, 64);
    cr_assert_eq(c.types[TRACE_REGION_END], 1);
    trace_close(r);
    free(t.bytes);
}

Test(traces, stacks_pools_and_resizes_are_there)
{
    tape t = {0};
    counts c;
    fief_runtime *rt = open_traced(&t);
    fief_stack *s = fief_frame_stack(rt);
    void *frame = fief_stack_push(s, 32);
    fief_stack_pop(s, frame, 32);
    fief_pool *p = fief_pool_open(rt, "slots", 24);
    void *slot = fief_pool_take(p);
    fief_pool_give(p, slot);
    fief_pool_close(p);
    void *grown = fief_realloc(rt, fief_malloc(rt, 10), 1000);
    fief_release(rt, grown);
    fief_close(rt);
    trace *r = read_all(&t, &c);
    cr_assert_eq(c.types[TRACE_ALLOC], 3);
    cr_assert_eq(c.types[TRACE_FREE], 3);
    cr_assert_eq(c.types[TRACE_RESIZE], 1);
    cr_assert_eq(c.last[TRACE_RESIZE].size, 1000);
    cr_assert_eq(c.last[TRACE_RESIZE].old_size, 10);
    cr_assert_eq(c.types[TRACE_DIES], 0);
    cr_assert_eq(trace_live_blocks(r), 0);
    trace_close(r);
    free(t.bytes);
}

Test(traces, a_long_trace_is_read_as_it_was_done)
{
    enum { SLOTS = 500, STEPS = 200000 };
    static void *blocks[SLOTS];
    static size_t sizes[SLOTS];
    tape t = {0};
    counts c;
    fief_runtime *rt = open_traced(&t);
    size_t made = 0, resized = 0;
    uint64_t seed = 7;
    for (int i = 0; i < STEPS; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        size_t at = (size_t)(seed >> 33) % SLOTS, size = (size_t)(seed >> 20) % 700 + 1;
        if (blocks[at] == NULL) {
            blocks[at] = fief_heap_alloc(fief_runtime_heap(rt), size);
            made++;
        } else if (size % 3 == 0) {
            blocks[at] = fief_heap_resize(fief_runtime_heap(rt), blocks[at], sizes[at], size);
            resized++;
        } else {
            fief_heap_free(fief_runtime_heap(rt), blocks[at], sizes[at]);
            blocks[at] = NULL;
            continue;
        }
        sizes[at] = size;
    }
    size_t leaked = 0;
    for (int i = 0; i < SLOTS; i++) {
        leaked += blocks[i] != NULL;
    }
    fief_drop(rt);
    trace *r = read_all(&t, &c);
    cr_assert_eq(c.types[TRACE_ALLOC], made);
    cr_assert_eq(c.types[TRACE_RESIZE], resized);
    cr_assert_eq(c.types[TRACE_DIES], leaked);
    cr_assert_eq(trace_operations(r), STEPS);
    cr_assert_gt(t.pieces, 3);
    cr_assert_leq(t.size, (size_t)6 * STEPS, "%zu bytes", t.size);
    trace_close(r);

    /* Cut anywhere, it reads up to the cut, and says so. */
    for (size_t cut = TRACE_HEADER; cut < t.size; cut += 9973) {
        char error[200];
        r = trace_open_bytes(t.bytes, cut, "tape", error, sizeof error);
        for (trace_event e; trace_next(r, &e);) {
        }
        cr_assert_not_null(trace_cut(r));
        cr_assert_leq(trace_operations(r), STEPS);
        trace_close(r);
    }
    /* A byte that changed is found: what came before is there. */
    t.bytes[t.size / 2] ^= 0x10;
    char error[200];
    r = trace_open_bytes(t.bytes, t.size, "tape", error, sizeof error);
    for (trace_event e; trace_next(r, &e);) {
    }
    cr_assert(strstr(trace_cut(r), "damaged") != NULL, "%s", trace_cut(r));
    cr_assert_gt(trace_operations(r), STEPS / 4);
    trace_close(r);
    free(t.bytes);
}

Test(traces, a_refused_free_is_not_in_it)
{
    if (strcmp(fief_mode(), "debug-poisoned") != 0) {
        cr_skip("misuse is refused where it is noticed");
    }
    tape t = {0};
    counts c;
    fief_trace to = {.write = keep, .user = &t};
    bool refuse(const fief_misuse *misuse, void *user);
    fief_runtime *rt = fief_open(&(fief_config){.trace = &to, .on_misuse = refuse});
    void *block = fief_heap_alloc(fief_runtime_heap(rt), 40);
    fief_heap_free(fief_runtime_heap(rt), block, 48); /* another size: misuse */
    fief_heap_free(fief_runtime_heap(rt), block, 40);
    fief_close(rt);
    trace *r = read_all(&t, &c);
    cr_assert_eq(c.types[TRACE_FREE], 1);
    trace_close(r);
    free(t.bytes);
}

bool refuse(const fief_misuse *misuse, void *user)
{
    (void)misuse, (void)user;
    return true;
}

Test(traces, a_place_that_cannot_be_written_is_refused_at_open)
{
    fief_error error = {0};
    fief_trace to = {.path = "/nowhere/x.trace"};
    cr_assert_null(fief_open(&(fief_config){.trace = &to, .error = &error}));
    cr_assert_eq(error.status, FIEF_BAD_CONFIG);
    cr_assert(strstr(error.text, "/nowhere/x.trace") != NULL);
    tape t = {.refuses = true};
    to = (fief_trace){.write = keep, .user = &t};
    cr_assert_null(fief_open(&(fief_config){.trace = &to, .error = &error}));
    free(t.bytes);
}

Test(traces, what_is_no_trace_is_refused_in_a_line)
{
    char error[200];
    unsigned char header[TRACE_HEADER];
    cr_assert_null(trace_open_bytes("", 0, "x", error, sizeof error));
    cr_assert_str_eq(error, "x: is empty: no trace is");
    cr_assert_null(trace_open_bytes("no trace at all, but a text", 27, "x", error, sizeof error));
    cr_assert_str_eq(error, "x: is not a trace");
    trace_file_header(header);
    header[8] = 9;
    cr_assert_null(trace_open_bytes(header, sizeof header, "x", error, sizeof error));
    cr_assert_str_eq(error, "x: is a trace of version 9; this fief reads version 1");
}
