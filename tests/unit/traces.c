/* traces: what a runtime writes, read back by tools/trace, against what was done. */
#include "trace.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <fief/fief.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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

static fief_runtime *open_traced_as(tape *t, fief_config config)
{
    fief_trace to = {.write = keep, .user = t};
    config.trace = &to;
    config.name = "traced";
    return fief_open(&config);
}

static fief_runtime *open_traced(tape *t)
{
    return open_traced_as(t, (fief_config){0});
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

Test(traces, a_kept_units_blocks_live_on_and_a_later_unit_does_not_end_them)
{
    tape t = {0};
    counts c;
    fief_runtime *rt = open_traced(&t);
    fief_unit outer = fief_unit_begin(rt), inner = fief_unit_begin(rt);
    (void)fief_temp(rt, char, 100);
    cr_assert(fief_unit_keep(rt, inner));
    (void)fief_temp(rt, char, 200);
    fief_mark empty = fief_arena_mark(fief_vm_arena(rt));
    cr_assert(fief_unit_keep(rt, outer));
    outer = fief_unit_begin(rt);
    (void)fief_temp(rt, char, 30);
    fief_unit_end(rt, outer);
    fief_trace_mark(rt, "between");
    fief_arena_rewind(fief_vm_arena(rt), empty);
    fief_close(rt);
    trace *r = read_all(&t, &c);
    cr_assert_eq(c.types[TRACE_DIES], 3);
    cr_assert_eq(c.types[TRACE_UNIT_END], 3);
    cr_assert_eq(c.last[TRACE_REWIND].count, 2);
    trace_close(r);

    size_t kept = 0;
    char error[200];
    r = trace_open_bytes(t.bytes, t.size, "tape", error, sizeof error);
    for (trace_event e; trace_next(r, &e) && e.type != TRACE_MARK;) {
        cr_assert(e.type != TRACE_DIES || e.old_size == 30);
        kept += e.type == TRACE_UNIT_END && e.keeps;
    }
    cr_assert_eq(kept, 2);
    cr_assert_eq(trace_live_bytes(r), 300);
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

/* The first class of that verb and context; NULL: there is none. */
static const trace_class *class_of(const trace *r, unsigned verb, unsigned context)
{
    for (uint32_t i = 1; i <= trace_classes(r); i++) {
        const trace_class *c = trace_class_at(r, i);
        if (c->verb == verb && c->context == context) {
            return c;
        }
    }
    return NULL;
}

static void expect_class(const trace *r, unsigned verb, unsigned context, unsigned strategy,
                         const char *region)
{
    const trace_class *c = class_of(r, verb, context);
    cr_assert_not_null(c, "verb %u, context %u", verb, context);
    cr_expect_eq(c->strategy, strategy, "verb %u, context %u: %u", verb, context, c->strategy);
    const trace_region *in = c->region != 0 ? trace_region_at(r, c->region) : NULL;
    cr_expect_str_eq(in != NULL ? in->name : "none", region);
}

Test(traces, blocks_by_kind_and_copies_are_in_the_regions_of_their_contexts)
{
    tape t = {0};
    counts c;
    fief_runtime *rt = open_traced(&t);
    fief_unit unit = fief_unit_begin_named(rt, "main.lox");
    (void)fief_new(rt, FIEF_KIND_NATIVE, FIEF_NATIVE, 32);
    (void)fief_new(rt, FIEF_KIND_TOKEN, FIEF_TEMPORARY, 24);
    void *frame = fief_new(rt, FIEF_KIND_CALL_FRAME, FIEF_DYNAMIC, 64);
    (void)fief_strdup(rt, FIEF_LITERAL, "literal");
    (void)fief_strdup(rt, FIEF_TEMPORARY, "temporary");
    fief_free_string(rt, fief_strdup(rt, FIEF_DYNAMIC, "dynamic"));
    fief_stack_pop(fief_frame_stack(rt), frame, 64);
    fief_unit_end(rt, unit);
    fief_close(rt);
    trace *r = read_all(&t, &c);
    expect_class(r, TRACE_NEW, FIEF_NATIVE, FIEF_VM_ARENA, "the vm arena");
    expect_class(r, TRACE_NEW, FIEF_TEMPORARY, FIEF_COMPILER_ARENA, "the compiler arena");
    expect_class(r, TRACE_NEW, FIEF_DYNAMIC, FIEF_STACK, "the stack");
    expect_class(r, TRACE_COPY, FIEF_LITERAL, FIEF_VM_ARENA, "the vm arena");
    expect_class(r, TRACE_COPY, FIEF_TEMPORARY, FIEF_COMPILER_ARENA, "the compiler arena");
    expect_class(r, TRACE_COPY, FIEF_DYNAMIC, FIEF_HEAP, "none");
    cr_expect_str_eq(c.last[TRACE_UNIT].text, "main.lox");
    cr_expect_eq(c.types[TRACE_ALLOC], 6);
    trace_close(r);
    free(t.bytes);
}

Test(traces, alignments_stacks_of_the_hosts_and_refusals_are_there)
{
    tape t = {0};
    counts c;
    fief_runtime *rt = open_traced_as(&t, (fief_config){.limit_bytes = 10000});
    void *aligned = fief_heap_alloc_aligned(fief_runtime_heap(rt), 100, 256);
    cr_assert_null(fief_malloc(rt, 20000));
    fief_stack *s = fief_stack_open(rt, &(fief_arena_config){.name = "coroutine"});
    (void)fief_trim(rt); /* no event of a trace */
    void *frame = fief_stack_push(s, 40);
    fief_stack_pop(s, frame, 40);
    fief_stack_close(s);
    fief_heap_free(fief_runtime_heap(rt), aligned, 100);
    fief_close(rt);
    trace *r = read_all(&t, &c);
    cr_expect_eq(c.types[TRACE_REFUSED], 1);
    cr_expect_eq(c.last[TRACE_REFUSED].size, 20000);
    cr_expect_eq(c.types[TRACE_ALLOC], 2);
    cr_expect_eq(trace_operations(r), 5);
    cr_assert_not_null(class_of(r, TRACE_ALIGNED, 0));
    cr_expect_eq(class_of(r, TRACE_ALIGNED, 0)->align_log2, 8);
    const trace_region *own = trace_region_at(r, trace_regions(r));
    cr_expect_eq(own->strategy, FIEF_STACK);
    cr_expect_str_eq(own->name, "coroutine");
    trace_close(r);
    free(t.bytes);
}

/* The host's program counter: a line of a script; 0: none runs. */
static uint64_t script_line;

static uint64_t where(void *user)
{
    (void)user;
    return script_line;
}

static size_t where_text(uint64_t at, char *buffer, size_t size, void *user)
{
    (void)user;
    return (size_t)snprintf(buffer, size, "script.lox:%u", (unsigned)at);
}

Test(traces, lines_of_the_hosts_program_are_sites_as_far_as_there_is_room)
{
    enum { LINES = SITES_MOST + 500 };
    tape t = {0};
    counts c;
    fief_runtime *rt = open_traced_as(&t, (fief_config){.where = where, .where_text = where_text});
    for (unsigned i = 1; i <= LINES + 1; i++) {
        script_line = i <= LINES ? i : 7; /* once more: it has its number */
        (void)fief_arena_alloc(fief_vm_arena(rt), 16);
    }
    script_line = 0;
    fief_close(rt);
    trace *r = read_all(&t, &c);
    cr_expect_eq(trace_sites(r), SITES_MOST);
    cr_expect_str_eq(trace_site_at(r, 1)->text, "script.lox:1");
    cr_expect_eq(trace_site_at(r, 1)->count, 1);
    cr_expect_eq(c.types[TRACE_ALLOC], LINES + 1, "also those without a site");
    trace_close(r);

    char error[200];
    r = trace_open_bytes(t.bytes, t.size, "tape", error, sizeof error);
    uint64_t blocks = 0;
    for (trace_event e; trace_next(r, &e);) {
        uint64_t line = e.type == TRACE_ALLOC ? ++blocks : 0, site = line <= SITES_MOST ? line : 0;
        cr_assert_eq(e.site, line <= LINES ? site : 7, "line %u", (unsigned)line);
    }
    trace_close(r);
    free(t.bytes);
}

Test(traces, a_region_or_a_class_too_many_loses_no_block)
{
    enum { ARENAS = 4200, ALIGNS = 3, TABLE = 4096 };
    tape t = {0};
    counts c;
    fief_runtime *rt = open_traced(&t);
    for (unsigned i = 0; i < ARENAS; i++) {
        fief_arena *a = fief_arena_open(rt, NULL);
        for (unsigned n = 0; n < ALIGNS; n++) {
            (void)fief_arena_alloc_aligned(a, 8, (size_t)16 << n);
        }
    }
    fief_close(rt);
    trace *r = read_all(&t, &c);
    cr_expect_eq(trace_regions(r), TABLE);
    cr_expect_eq(trace_classes(r), TABLE);
    cr_expect_eq(c.types[TRACE_ALLOC], ARENAS * ALIGNS);
    trace_close(r);
    free(t.bytes);
}

Test(traces, a_library_that_is_loaded_later_is_a_module_of_it)
{
    static const char name[] = "libBrokenLocale.so.1"; /* glibc's, and nobody's */
    tape t = {0};
    counts c;
    fief_runtime *rt = open_traced(&t);
    fief_release(rt, fief_malloc(rt, 10));
    void *library = dlopen(name, RTLD_NOW);
    fief_arena *a = fief_arena_open(rt, NULL); /* a new site */
    fief_arena_close(a);
    fief_close(rt);
    trace *r = read_all(&t, &c);
    bool found = false;
    for (uint32_t i = 1; i <= trace_modules(r); i++) {
        found = found || strstr(trace_module_at(r, i)->path, name) != NULL;
    }
    cr_expect_eq(found, library != NULL);
    trace_close(r);
    free(t.bytes);
    if (library != NULL) {
        (void)dlclose(library);
    }
}

Test(traces, a_mark_without_a_trace_is_nothing)
{
    fief_runtime *rt = fief_open(NULL);
    fief_trace_mark(rt, "nobody reads it");
    cr_expect_eq(fief_close(rt), 0);
}

Test(traces, marks_of_one_moment_are_in_their_order_and_a_long_one_is_cut)
{
    enum { MARKS = 2000, TEXT = 3000 };
    static char text[TEXT];
    tape t = {0};
    counts c;
    fief_runtime *rt = open_traced(&t);
    for (unsigned i = 0; i < MARKS; i++) {
        (void)snprintf(text, sizeof text, "%u", i);
        fief_trace_mark(rt, text);
    }
    memset(text, 'x', TEXT - 1);
    fief_trace_mark(rt, text);
    fief_close(rt);
    trace *r = read_all(&t, &c);
    cr_expect_eq(c.types[TRACE_MARK], MARKS + 1);
    cr_expect_eq(strlen(c.last[TRACE_MARK].text), TRACE_TEXT_MOST);
    trace_close(r);
    char error[200];
    r = trace_open_bytes(t.bytes, t.size, "tape", error, sizeof error);
    unsigned next = 0;
    for (trace_event e; trace_next(r, &e) && next < MARKS;) {
        cr_assert(e.type != TRACE_MARK || strtoul(e.text, NULL, 10) == next++);
    }
    trace_close(r);
    free(t.bytes);
}

/* Of each sort of event one, and none is let through. */
static void use_every_verb(fief_runtime *rt)
{
    fief_unit unit = fief_unit_begin_named(rt, "late");
    void *block = fief_realloc(rt, fief_malloc(rt, 10), 500);
    fief_release(rt, block);
    (void)fief_malloc(rt, (size_t)2 << 20); /* beyond the limit */
    fief_arena *a = fief_arena_open(rt, NULL);
    (void)fief_arena_alloc(a, 30);
    fief_arena_close(a);
    script_line++; /* a new site */
    fief_trace_mark(rt, "late");
    fief_unit_end(rt, unit);
}

Test(traces, a_host_that_takes_no_more_is_asked_no_more)
{
    tape t = {0};
    fief_runtime *rt = open_traced_as(&t, (fief_config){.limit_bytes = 1 << 20, .where = where});
    use_every_verb(rt);
    size_t calls = 0;
    t.refuses = true;
    for (size_t pieces = t.pieces; t.pieces == pieces; calls++) {
        fief_release(rt, fief_malloc(rt, 100));
    }
    size_t pieces = t.pieces;
    use_every_verb(rt);
    cr_expect_eq(fief_close(rt), 0);
    cr_expect_eq(t.pieces, pieces);
    char error[200];
    trace *r = trace_open_bytes(t.bytes, t.size, "tape", error, sizeof error);
    for (trace_event e; trace_next(r, &e);) {
        cr_assert(e.type != TRACE_MARK || e.operation < calls);
    }
    cr_expect_not_null(trace_cut(r), "its end is missing, and it says so");
    cr_expect_gt(trace_operations(r), calls);
    trace_close(r);
    free(t.bytes);
}

Test(traces, a_trace_is_a_file_of_the_path_given)
{
    char path[] = "trace-XXXXXX", error[200];
    int file = mkstemp(path);
    cr_assert(file >= 0);
    cr_assert_eq(write(file, "what was there", 14), 14);
    (void)close(file);
    fief_trace to = {.path = path};
    fief_runtime *rt = fief_open(&(fief_config){.trace = &to});
    cr_assert_not_null(rt);
    fief_release(rt, fief_malloc(rt, 10));
    cr_expect_eq(fief_close(rt), 0);
    trace *r = trace_open(path, error, sizeof error);
    cr_assert_not_null(r, "%s", error);
    for (trace_event e; trace_next(r, &e);) {
    }
    cr_expect_null(trace_cut(r));
    cr_expect_eq(trace_operations(r), 2);
    trace_close(r);
    (void)unlink(path);
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

static bool refuse(const fief_misuse *misuse, void *user)
{
    (void)misuse, (void)user;
    return true;
}

Test(traces, a_refused_free_is_not_in_it)
{
    if (strcmp(fief_mode(), "debug-poisoned") != 0) {
        cr_skip("misuse is refused where it is noticed");
    }
    tape t = {0};
    counts c;
    fief_trace to = {.write = keep, .user = &t};
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

Test(traces, what_was_given_back_before_a_misuse_is_in_it_and_its_report_writes_it_out)
{
    enum { TIMES = 5 };
    tape t = {0};
    counts c;
    fief_arena *nothing = NULL;
    fief_runtime *rt = open_traced_as(&t, (fief_config){.on_misuse = refuse});
    fief_release(rt, fief_malloc(rt, 10));
    size_t pieces = t.pieces;
    for (unsigned i = 0; i < TIMES; i++) {
        cr_expect(!fief_seal(rt, (fief_arena *)(void *)&nothing)); /* it is none */
    }
    cr_expect_eq(t.pieces, pieces + 1, "the later reports had nothing to write out");
    fief_close(rt);
    trace *r = read_all(&t, &c);
    cr_expect_eq(c.types[TRACE_FREE], 1);
    cr_expect_eq(trace_live_blocks(r), 0);
    trace_close(r);
    free(t.bytes);
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
    to = (fief_trace){.path = "/dev/full"};
    cr_assert_null(fief_open(&(fief_config){.trace = &to, .error = &error}));
    cr_assert(strstr(error.text, "/dev/full") != NULL);
    to = (fief_trace){.path = NULL};
    cr_assert_null(fief_open(&(fief_config){.trace = &to, .error = &error}));
    cr_assert_eq(error.status, FIEF_BAD_CONFIG);
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
