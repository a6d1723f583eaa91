/* What the dangling scan sees, and what it must not see. */
#include "support.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

typedef struct object {
    uint64_t tag;
    void *first, *second, *third;
} object;

enum { OBJECT, BYTES, WEAK, NODE, CACHE, KINDS };
static const size_t weak_fields[] = {offsetof(object, second)};
static const size_t cache_fields[] = {offsetof(object, first), offsetof(object, third)};
static const fief_kind kinds[KINDS] = {
    [OBJECT] = {.name = "object", .size = sizeof(object), .any = FIEF_POOL},
    [BYTES] = {.name = "bytes", .any = FIEF_HEAP, .traits = FIEF_NO_POINTERS},
    [WEAK] = {.name = "weak", .any = FIEF_HEAP, .weak = weak_fields, .weak_count = 1},
    [NODE] = {.name = "node", .any = FIEF_COMPILER_ARENA},
    [CACHE] = {.name = "cache", .any = FIEF_HEAP, .weak = cache_fields, .weak_count = 2},
};

static fief_misuse last;
static fief_dangling dangling;
static unsigned reports;
static char text[8192], json[8192];

static bool keep(const fief_misuse *m, void *user)
{
    (void)user;
    last = *m;
    if (m->dangling != NULL) {
        dangling = *m->dangling;
    }
    cr_expect_lt(fief_misuse_text(m, text, sizeof text), sizeof text);
    cr_expect_lt(fief_misuse_json(m, json, sizeof json), sizeof json);
    reports++;
    return true;
}

static fief_runtime *open_one(void)
{
    reports = 0;
    return fief_open(&(fief_config){.kinds = kinds, .kind_count = KINDS, .on_misuse = keep,
                                    .reserve_bytes = small_reserve, .scan_percent = 100});
}

static object *new_object(fief_runtime *rt, unsigned kind)
{
    return fief_new(rt, kind, FIEF_DYNAMIC, sizeof(object));
}

Test(dangling, a_pool_slot_that_points_into_an_ending_unit)
{
    fief_runtime *rt = open_one();
    fief_unit unit = fief_unit_begin(rt);
    object *holder = new_object(rt, OBJECT);
    char *node = fief_new(rt, NODE, FIEF_TEMPORARY, 100);
    holder->second = node + 40;
    fief_unit_end(rt, unit);
    if (is_guarded()) {
        cr_assert_eq(reports, 1);
        cr_expect_eq(last.class_id, FIEF_MISUSE_DANGLING_AT_RESET);
        cr_expect_eq(dangling.holder, holder);
        cr_expect_eq(dangling.offset, offsetof(object, second));
        cr_expect_str_eq(dangling.shape[0].holder, "object");
        cr_expect_str_eq(dangling.shape[0].target, "node");
        cr_expect_eq(last.block, node);
        memset(node, 1, 100); /* refused: it lives */
        holder->second = NULL;
        fief_unit_end(rt, unit);
        cr_expect_eq(reports, 1);
    }
    fief_free(rt, OBJECT, holder, sizeof *holder);
    cr_expect_eq(fief_close(rt), 0);
}

Test(dangling, shapes_are_counted)
{
    fief_runtime *rt = open_one();
    fief_unit unit = fief_unit_begin(rt);
    object *holders[10];
    void *node = fief_new(rt, NODE, FIEF_TEMPORARY, 16);
    for (int i = 0; i < 10; i++) {
        holders[i] = new_object(rt, OBJECT);
        *(i < 7 ? &holders[i]->first : &holders[i]->third) = node;
    }
    fief_unit_end(rt, unit);
    if (is_guarded()) {
        cr_expect_eq(reports, 1);
        cr_expect_eq(dangling.shapes, 2);
        cr_expect_eq(dangling.shape[0].count + dangling.shape[1].count, 10);
    }
    for (int i = 0; i < 10; i++) {
        holders[i]->first = holders[i]->third = NULL;
        fief_free(rt, OBJECT, holders[i], sizeof(object));
    }
    fief_unit_end(rt, unit);
    (void)fief_close(rt);
}

Test(dangling, what_is_no_pointer_or_weak_or_dies_as_well_is_not_reported)
{
    fief_runtime *rt = open_one();
    fief_unit unit = fief_unit_begin(rt);
    object *plain = new_object(rt, BYTES), *weak = new_object(rt, WEAK);
    object *node = fief_new(rt, NODE, FIEF_TEMPORARY, sizeof(object));
    object *freed = new_object(rt, OBJECT);
    plain->first = weak->second = node->first = freed->first = node;
    fief_free(rt, OBJECT, freed, sizeof *freed);
    weak->first = node + 1; /* behind its end */
    fief_unit_end(rt, unit);
    cr_expect_eq(reports, 0);
    fief_free(rt, BYTES, plain, sizeof *plain);
    fief_free(rt, WEAK, weak, sizeof *weak);
    cr_expect_eq(fief_close(rt), 0);
}

/* Where blocks lie densely a scan reads the dead ones, too: ASan leaves in them what they held. */
Test(dangling, what_the_freed_held_is_no_pointer)
{
    enum { MANY = 2000 };
    static object *freed[MANY];
    fief_runtime *rt = open_one();
    fief_unit unit = fief_unit_begin(rt);
    object *node = fief_new(rt, NODE, FIEF_TEMPORARY, sizeof *node);
    for (int i = 0; i < MANY; i++) {
        freed[i] = new_object(rt, OBJECT);
        freed[i]->first = node;
    }
    for (int i = 0; i < MANY; i++) {
        fief_free(rt, OBJECT, freed[i], sizeof *freed[i]);
    }
    fief_unit_end(rt, unit);
    cr_expect_eq(reports, 0);
    cr_expect_eq(fief_close(rt), 0);
}

Test(dangling, a_weak_kinds_other_fields_are_strong)
{
    fief_runtime *rt = open_one();
    fief_unit unit = fief_unit_begin(rt);
    object *weak = new_object(rt, WEAK);
    weak->third = fief_new(rt, NODE, FIEF_TEMPORARY, 8);
    fief_unit_end(rt, unit);
    cr_expect_eq(reports, is_guarded() ? 1 : 0);
    weak->third = NULL;
    fief_free(rt, WEAK, weak, sizeof *weak);
    (void)fief_close(rt);
}

static void clear(void *field)
{
    *(void **)field = NULL;
}

Test(dangling, a_cleanup_may_clear_the_pointer)
{
    fief_runtime *rt = open_one();
    fief_unit unit = fief_unit_begin(rt);
    object *holder = new_object(rt, OBJECT);
    holder->first = fief_new(rt, NODE, FIEF_TEMPORARY, 8);
    cr_assert(fief_arena_cleanup(fief_compiler_arena(rt), clear, &holder->first));
    fief_unit_end(rt, unit);
    cr_expect_eq(reports, 0);
    fief_free(rt, OBJECT, holder, sizeof *holder);
    cr_expect_eq(fief_close(rt), 0);
}

Test(dangling, inner_units_rewinds_large_blocks_and_closed_arenas)
{
    fief_runtime *rt = open_one();
    fief_unit outer = fief_unit_begin(rt);
    object *older = fief_new(rt, NODE, FIEF_TEMPORARY, sizeof *older);
    fief_unit inner = fief_unit_begin(rt);
    older->first = fief_new(rt, NODE, FIEF_TEMPORARY, 8);
    fief_unit_end(rt, inner);
    cr_expect_eq(reports, is_guarded() ? 1 : 0);
    cr_expect(!is_guarded() || last.class_id == FIEF_MISUSE_DANGLING_AT_RESET);
    older->first = NULL;
    if (is_guarded()) {
        fief_unit_end(rt, inner);
    }
    fief_unit_end(rt, outer);
    fief_arena *arena = fief_arena_open(rt, NULL), *other = fief_arena_open(rt, NULL);
    object *holder = fief_arena_make(other, object, 1);
    memset(holder, 0, sizeof *holder);
    fief_mark mark = fief_arena_mark(arena);
    char *large = fief_arena_alloc(arena, 300000);
    holder->first = large + 299999;
    fief_arena_rewind(arena, mark);
    cr_expect_eq(reports, is_guarded() ? 2 : 0);
    cr_expect(!is_guarded() || last.class_id == FIEF_MISUSE_DANGLING_AT_REWIND);
    if (is_guarded()) {
        fief_arena_close(arena);
        cr_expect_eq(reports, 3);
        cr_expect_eq(last.class_id, FIEF_MISUSE_DANGLING_AT_CLOSE);
        large[299999] = 1;
    }
    holder->first = NULL;
    fief_arena_close(arena);
    cr_expect_eq(reports, is_guarded() ? 3 : 0);
    (void)fief_close(rt);
}

Test(dangling, frames)
{
    fief_runtime *rt = open_one();
    fief_stack *frames = fief_frame_stack(rt);
    object *holder = new_object(rt, OBJECT);
    void *frame = fief_stack_push(frames, 64);
    holder->first = frame;
    bool popped = fief_stack_pop(frames, frame, 64);
    cr_expect_eq(popped, !is_guarded());
    cr_expect_eq(reports, is_guarded() ? 1 : 0);
    holder->first = NULL;
    cr_expect_eq(fief_stack_pop(frames, frame, 64), is_guarded());
    fief_free(rt, OBJECT, holder, sizeof *holder);
    (void)fief_close(rt);
}

Test(dangling, roots_and_the_c_stack)
{
    static object globals;
    fief_runtime *rt = open_one();
    cr_assert(fief_root_add(rt, &globals, sizeof globals, "the globals"));
    fief_unit unit = fief_unit_begin(rt);
    globals.second = fief_new(rt, NODE, FIEF_TEMPORARY, 8);
    fief_unit_end(rt, unit);
    cr_expect_eq(reports, is_guarded() ? 1 : 0);
    cr_expect(!is_guarded() || strcmp(dangling.shape[0].holder, "the globals") == 0);
    fief_root_remove(rt, &globals);
    if (is_guarded()) {
        fief_unit_end(rt, unit);
        cr_expect_eq(reports, 1);
    }
    (void)fief_close(rt);
    rt = fief_open(&(fief_config){.kinds = kinds, .kind_count = KINDS, .on_misuse = keep,
                                  .reserve_bytes = small_reserve, .scan_stack = true});
    unit = fief_unit_begin(rt);
    void *volatile local = fief_new(rt, NODE, FIEF_TEMPORARY, 8);
    reports = 0;
    fief_unit_end(rt, unit);
    bool sees = strcmp(fief_mode(), "debug-poisoned") == 0; /* ASan may keep locals elsewhere */
    cr_expect(!sees || local == NULL || reports == 1);
    (void)fief_close(rt);
}

Test(dangling, a_store_into_what_lives_longer)
{
    fief_runtime *rt = open_one();
    fief_unit outer = fief_unit_begin(rt);
    object *node = fief_new(rt, NODE, FIEF_TEMPORARY, sizeof *node);
    fief_unit inner = fief_unit_begin(rt);
    object *young = fief_new(rt, NODE, FIEF_TEMPORARY, sizeof *young);
    object *sibling = fief_new(rt, NODE, FIEF_TEMPORARY, sizeof *sibling);
    object *dynamic = new_object(rt, WEAK);
    object *constant = fief_arena_make(fief_vm_arena(rt), object, 1);
    fief_store(rt, young, &young->first, node);       /* younger to older */
    fief_store(rt, young, &young->second, sibling);   /* the same unit */
    fief_store(rt, constant, &constant->first, dynamic); /* the collector's affair */
    fief_store(rt, dynamic, &dynamic->second, node);  /* weak */
    fief_store(rt, node, &node->first, NULL);
    cr_expect_eq(reports, 0);
    cr_expect(young->first == node && young->second == sibling && dynamic->second == node);
    node->second = dynamic->first = NULL;
    fief_store(rt, node, &node->second, young); /* an outer unit's holds an inner one's */
    fief_store(rt, dynamic, &dynamic->first, node);
    if (is_guarded()) {
        cr_expect_eq(reports, 2);
        cr_expect_eq(last.class_id, FIEF_MISUSE_DANGLING_STORE);
        cr_expect_null(node->second);
        cr_expect_null(dynamic->first);
        cr_expect_eq(dangling.holder, dynamic);
    }
    dynamic->first = dynamic->second = node->second = NULL;
    fief_unit_end(rt, inner);
    fief_unit_end(rt, outer);
    fief_free(rt, WEAK, dynamic, sizeof *dynamic);
    cr_expect_eq(fief_close(rt), 0);
}

Test(dangling, the_statistics_say_what_was_looked_at)
{
    fief_runtime *rt = open_one();
    object *holder = new_object(rt, OBJECT);
    fief_unit unit = fief_unit_begin(rt);
    (void)fief_temp(rt, int, 10);
    fief_unit_end(rt, unit);
    fief_scan_count count = fief_stats_scan(rt);
    cr_expect_eq(count.scans, is_guarded() ? 1 : 0);
    cr_expect_eq(count.partial, 0);
    cr_expect_eq(count.bytes, is_guarded() ? sizeof *holder : 0);
    fief_free(rt, OBJECT, holder, sizeof *holder);
    (void)fief_close(rt);
}

Test(dangling, each_weak_field_is_weak)
{
    fief_runtime *rt = open_one();
    fief_unit unit = fief_unit_begin(rt);
    object *cache = new_object(rt, CACHE);
    cache->first = cache->third = fief_new(rt, NODE, FIEF_TEMPORARY, 8);
    fief_unit_end(rt, unit);
    cr_expect_eq(reports, 0);
    fief_free(rt, CACHE, cache, sizeof *cache);
    cr_expect_eq(fief_close(rt), 0);
}

Test(dangling, a_root_that_is_taken_out_leaves_the_others)
{
    static void *older, *newer;
    fief_runtime *rt = open_one();
    cr_assert(fief_root_add(rt, &older, sizeof older, "older"));
    cr_assert(fief_root_add(rt, &newer, sizeof newer, "newer"));
    fief_root_remove(rt, &older);
    fief_unit unit = fief_unit_begin(rt);
    older = newer = fief_new(rt, NODE, FIEF_TEMPORARY, 8);
    fief_unit_end(rt, unit);
    if (is_guarded()) {
        cr_expect_eq(reports, 1);
        cr_expect_str_eq(dangling.shape[0].holder, "newer");
    }
    newer = NULL;
    fief_unit_end(rt, unit);
    (void)fief_close(rt);
}

/* Several shapes, each more than once, as a person and a program read them. */
Test(dangling, a_report_tells_the_other_shapes)
{
    fief_runtime *rt = open_one();
    fief_unit unit = fief_unit_begin(rt);
    void *node = fief_new(rt, NODE, FIEF_TEMPORARY, 16);
    object *holders[12];
    for (int i = 0; i < 12; i++) {
        holders[i] = new_object(rt, i < 6 ? OBJECT : WEAK);
        holders[i]->first = holders[i]->third = node;
    }
    fief_unit_end(rt, unit);
    if (is_guarded()) {
        cr_expect_eq(dangling.shapes, 4);
        cr_expect_not_null(strstr(text, "more of this shape"), "%s", text);
        cr_expect_not_null(strstr(text, "also: "), "%s", text);
        cr_expect_not_null(strstr(json, "\"schema\":\"fief-misuse/1\""), "%s", json);
        cr_expect_not_null(strstr(json, "\"repeats\":5,\"others\":18"), "%s", json);
    }
    for (int i = 0; i < 12; i++) {
        fief_free(rt, i < 6 ? OBJECT : WEAK, memset(holders[i], 0, sizeof(object)),
                  sizeof(object));
    }
    fief_unit_end(rt, unit);
    (void)fief_close(rt);
}

/* Five shapes are told apart; pointers of others are counted. */
Test(dangling, more_shapes_than_a_report_tells)
{
    enum { FIELDS = 8 };
    fief_runtime *rt = open_one();
    fief_unit unit = fief_unit_begin(rt);
    void *node = fief_new(rt, NODE, FIEF_TEMPORARY, 16);
    void **holder = fief_new(rt, CACHE, FIEF_DYNAMIC, 100 * sizeof *holder);
    for (size_t i = 0; i < FIELDS; i++) {
        holder[10 + i] = node;
    }
    fief_unit_end(rt, unit);
    if (is_guarded()) {
        cr_expect_eq(dangling.shapes, FIEF_SHAPES_MAX);
        cr_expect_eq(dangling.more, FIELDS - FIEF_SHAPES_MAX);
        cr_expect_not_null(strstr(text, "also: 3 of other shapes"), "%s", text);
        cr_expect_not_null(strstr(json, "\"others\":7"), "%s", json);
    }
    fief_free(rt, CACHE, memset(holder, 0, 100 * sizeof *holder), 100 * sizeof *holder);
    fief_unit_end(rt, unit);
    (void)fief_close(rt);
}

/* One field, and targets of two kinds; one kind of holder, and two roots. */
Test(dangling, shapes_differ_by_the_targets_kind_and_the_roots_name)
{
    static void *roots[2];
    fief_runtime *rt = open_one();
    cr_assert(fief_root_add(rt, &roots[0], sizeof roots[0], "one"));
    cr_assert(fief_root_add(rt, &roots[1], sizeof roots[1], NULL));
    fief_unit unit = fief_unit_begin(rt);
    object *holders[2] = {new_object(rt, OBJECT), new_object(rt, OBJECT)};
    holders[0]->first = roots[0] = roots[1] = fief_new(rt, NODE, FIEF_TEMPORARY, 16);
    holders[1]->first = fief_temp(rt, char, 16);
    fief_unit_end(rt, unit);
    if (is_guarded()) {
        cr_expect_eq(dangling.shapes, 4);
        cr_expect_not_null(strstr(text, "of a root+0"), "%s", text);
        cr_expect_not_null(strstr(text, "of one+0"), "%s", text);
    }
    holders[0]->first = holders[1]->first = roots[0] = roots[1] = NULL;
    fief_unit_end(rt, unit);
    for (int i = 0; i < 2; i++) {
        fief_free(rt, OBJECT, holders[i], sizeof(object));
    }
    cr_expect_eq(fief_close(rt), 0);
}

/* Pages full of them are read as a whole. */
Test(dangling, pages_of_blocks_without_pointers_hold_none)
{
    enum { MANY = 4000 };
    static object *plain[MANY];
    fief_runtime *rt = open_one();
    fief_unit unit = fief_unit_begin(rt);
    void *node = fief_new(rt, NODE, FIEF_TEMPORARY, 16);
    for (size_t i = 0; i < MANY; i++) {
        plain[i] = new_object(rt, BYTES);
        plain[i]->first = plain[i]->third = node;
    }
    fief_unit_end(rt, unit);
    cr_expect_eq(reports, 0, "%s", text);
    for (size_t i = 0; i < MANY; i++) {
        fief_free(rt, BYTES, plain[i], sizeof(object));
    }
    cr_expect_eq(fief_close(rt), 0);
}

/* Blocks of the heap that serve for a full arena's die with it, and with what they point at. */
Test(dangling, what_serves_for_an_arena_dies_with_its_targets)
{
    enum { MANY = 4000 };
    fief_runtime *rt = open_one();
    fief_arena *a = fief_arena_open(rt, &(fief_arena_config){.max_bytes = 8});
    object *newest = NULL;
    for (size_t i = 0; i < MANY; i++) {
        object *older = newest;
        cr_assert_not_null(newest = fief_arena_make(a, object, 1));
        newest->first = newest->third = older;
    }
    fief_arena_reset(a);
    cr_expect_eq(reports, 0, "%s", text);
    fief_arena_close(a);
    cr_expect_eq(fief_close(rt), 0);
}

/* What a resize left behind is dead before its arena is; a block of no size has one address. */
Test(dangling, dead_and_empty_targets)
{
    fief_runtime *rt = open_one();
    object *holder = new_object(rt, OBJECT);
    fief_arena *a = fief_arena_open(rt, NULL);
    char *left = fief_arena_alloc(a, 100);
    cr_assert_not_null(fief_arena_alloc(a, 8));
    cr_assert_not_null(fief_arena_resize(a, left, 100, 5000));
    holder->first = left + 8;
    fief_arena_reset(a);
    cr_expect_eq(reports, 0, "%s", text);
    holder->first = fief_arena_alloc(a, 0);
    fief_arena_reset(a);
    cr_expect_eq(reports, is_guarded() ? 1 : 0);
    holder->first = NULL;
    fief_arena_close(a);
    fief_free(rt, OBJECT, holder, sizeof *holder);
    (void)fief_close(rt);
}

/* Roots may lie anywhere, and be shorter than a pointer. */
Test(dangling, a_crooked_root_is_read_by_its_whole_words)
{
    static _Alignas(8) char bytes[64];
    fief_runtime *rt = open_one();
    cr_assert(fief_root_add(rt, bytes + 1, 3, "short"));
    cr_assert(fief_root_add(rt, bytes + 17, 40, "crooked"));
    fief_unit unit = fief_unit_begin(rt);
    void *node = fief_new(rt, NODE, FIEF_TEMPORARY, 16);
    memcpy(bytes, &node, sizeof node);
    memcpy(bytes + 24, &node, sizeof node);
    fief_unit_end(rt, unit);
    if (is_guarded()) {
        cr_expect_eq(reports, 1);
        cr_expect_str_eq(dangling.shape[0].holder, "crooked");
        cr_expect_eq(dangling.shapes, 1);
    }
    memset(bytes, 0, sizeof bytes);
    fief_unit_end(rt, unit);
    (void)fief_close(rt);
}

/* Holders and targets that the library knows nothing of, or whose lives nobody promised. */
Test(dangling, a_store_of_strangers)
{
    static _Alignas(16) char bytes[4096];
    static object *table[2], *other[2], stranger;
    fief_runtime *rt = open_one();
    cr_assert(fief_root_add(rt, other, sizeof other, "other"));
    cr_assert(fief_root_add(rt, table, sizeof table, "table"));
    fief_unit unit = fief_unit_begin(rt);
    object *node = fief_new(rt, NODE, FIEF_TEMPORARY, sizeof *node);
    fief_arena *a =
        fief_arena_open(rt, &(fief_arena_config){.buffer = bytes, .buffer_size = sizeof bytes});
    object *held = fief_arena_make(a, object, 1), *dynamic = new_object(rt, WEAK);
    object *dead = new_object(rt, WEAK);
    fief_free(rt, WEAK, dead, sizeof *dead);
    fief_store(rt, held, &held->first, node);       /* in the host's own buffer */
    fief_store(rt, &stranger, &stranger.first, node);
    fief_store(rt, dynamic, &dynamic->first, &stranger);
    fief_store(rt, dynamic, &dynamic->third, dead); /* and what is dead already is no target */
    cr_expect_eq(reports, 0, "%s", text);
    fief_store(rt, other, &other[1], node);
    if (is_guarded()) {
        cr_expect_eq(reports, 1);
        cr_expect_eq(dangling.holder, other);
        cr_expect_str_eq(dangling.shape[0].holder, "other");
    }
    memset(other, 0, sizeof other);
    memset(held, 0, sizeof *held);
    fief_unit_end(rt, unit);
    fief_arena_close(a);
    fief_free(rt, WEAK, dynamic, sizeof *dynamic);
    (void)fief_close(rt);
}
