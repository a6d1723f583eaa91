#include "support.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { MANY = 400, KINDS = FIEF_DEFAULT_KINDS };

typedef struct tally {
    size_t blocks, bytes, total;
} tally;

static struct {
    void *block;
    unsigned kind;
    size_t size;
} held[MANY];

static fief_runtime *rt;
static tally expected[KINDS + 1];

static void count_in(unsigned kind, size_t size)
{
    expected[kind].blocks++;
    expected[kind].bytes += size;
    expected[kind].total += size;
}

static void count_out(unsigned kind, size_t size)
{
    expected[kind].blocks--;
    expected[kind].bytes -= size;
}

static void expect_counts(void)
{
    size_t blocks = 0;
    for (unsigned kind = 0; kind <= KINDS; kind++) {
        fief_count count = fief_stats_kind(rt, kind);
        cr_assert_eq(count.blocks, expected[kind].blocks, "kind %u", kind);
        cr_assert_eq(count.asked_bytes, expected[kind].bytes, "kind %u", kind);
        cr_assert_eq(count.total_bytes, expected[kind].total, "kind %u", kind);
        blocks += count.blocks;
    }
    for (unsigned s = FIEF_VM_ARENA; s < FIEF_STRATEGIES; s++) {
        blocks -= fief_stats_strategy(rt, (fief_strategy)s).blocks;
    }
    cr_assert_eq(blocks, 0, "kinds and strategies count the same blocks");
}

static void churn(uint64_t *state)
{
    size_t i = draw(state, MANY);
    unsigned kind = held[i].kind;
    if (held[i].block == NULL) {
        kind = held[i].kind = (unsigned)draw(state, KINDS + 1);
        size_t fixed = kind < KINDS ? fief_default_kinds[kind].size : 0;
        size_t size = held[i].size = fixed != 0 ? draw(state, fixed + 1) : draw(state, 3000);
        void *block = kind == KINDS ? fief_heap_alloc(fief_runtime_heap(rt), size)
                                    : fief_new(rt, kind, FIEF_DYNAMIC, size);
        cr_assert_not_null(block);
        count_in(kind, size);
        fief_strategy owner = fief_owner(rt, block);
        held[i].block = owner == FIEF_POOL || owner == FIEF_HEAP ? block : NULL;
        return;
    }
    count_out(kind, held[i].size);
    if (kind == KINDS) {
        fief_heap_free(fief_runtime_heap(rt), held[i].block, held[i].size);
    } else {
        fief_free(rt, kind, held[i].block, held[i].size);
    }
    held[i].block = NULL;
}

static void forget_unit(void)
{
    static const unsigned kinds[] = {FIEF_KIND_TOKEN, FIEF_KIND_AST_NODE, FIEF_KIND_SYMBOL,
                                     FIEF_KIND_CALL_FRAME};
    for (size_t i = 0; i < 4; i++) {
        expected[kinds[i]].blocks = expected[kinds[i]].bytes = 0;
    }
}

Test(stats, kinds_are_counted_exactly)
{
    uint64_t state = 3;
    rt = fief_open(&(fief_config){.reserve_bytes = small_reserve, .count_blocks = true});
    for (int unit_number = 0; unit_number < 8; unit_number++) {
        fief_unit unit = fief_unit_begin(rt);
        fief_mark frames = fief_stack_mark(fief_frame_stack(rt));
        for (int i = 0; i < 400; i++) {
            churn(&state);
        }
        expect_counts();
        fief_stack_rewind(fief_frame_stack(rt), frames);
        fief_unit_end(rt, unit);
        forget_unit();
        expect_counts();
    }
    for (size_t i = 0; i < MANY; i++) {
        while (held[i].block != NULL) {
            count_out(held[i].kind, held[i].size);
            if (held[i].kind == KINDS) {
                fief_heap_free(fief_runtime_heap(rt), held[i].block, held[i].size);
            } else {
                fief_free(rt, held[i].kind, held[i].block, held[i].size);
            }
            held[i].block = NULL;
        }
    }
    expect_counts();
    cr_expect_eq(fief_close(rt), 0);
}

/* ---- a collector that runs in the middle of an allocation ---- */

static void *garbage;

static bool free_garbage(fief_runtime *runtime, size_t size, void *user)
{
    (void)size;
    (void)user;
    void *block = garbage;
    garbage = NULL;
    fief_heap_free(fief_runtime_heap(runtime), block, block != NULL ? 6000 : 0);
    return block != NULL;
}

static void a_block_freed_by_on_full_leaves_its_own_kind(void)
{
    rt = fief_open(&(fief_config){
        .reserve_bytes = small_reserve, .limit_bytes = 10000, .on_full = free_garbage});
    garbage = fief_heap_alloc(fief_runtime_heap(rt), 6000);
    void *list = fief_new(rt, FIEF_KIND_LIST, FIEF_DYNAMIC, 5000);
    cr_assert_not_null(list);
    cr_expect_eq(fief_stats_kind(rt, FIEF_KIND_LIST).blocks, 1);
    cr_expect_eq(fief_stats_kind(rt, FIEF_KIND_LIST).asked_bytes, 5000);
    cr_expect_eq(fief_stats_kind(rt, KINDS).blocks, 0);
    fief_free(rt, FIEF_KIND_LIST, list, 5000);
    cr_expect_eq(fief_close(rt), 0);
}

static void *log_entry;

static bool log_and_free_garbage(fief_runtime *runtime, size_t size, void *user)
{
    log_entry = fief_new(runtime, FIEF_KIND_PAIR, FIEF_DYNAMIC, 48);
    return free_garbage(runtime, size, user);
}

static void a_block_made_by_on_full_does_not_change_the_kind(void)
{
    rt = fief_open(&(fief_config){.reserve_bytes = small_reserve,
                                  .limits = {[FIEF_HEAP] = 10000},
                                  .on_full = log_and_free_garbage});
    garbage = fief_new(rt, FIEF_KIND_VECTOR, FIEF_DYNAMIC, 6000);
    void *list = fief_new(rt, FIEF_KIND_LIST, FIEF_DYNAMIC, 5000);
    cr_expect_eq(fief_stats_kind(rt, FIEF_KIND_LIST).blocks, 1);
    fief_free(rt, FIEF_KIND_LIST, list, 5000);
    fief_free(rt, FIEF_KIND_PAIR, log_entry, 48);
    (void)fief_close(rt);
}

Test(stats, on_full_counts_for_its_own_kinds)
{
    a_block_freed_by_on_full_leaves_its_own_kind();
    a_block_made_by_on_full_does_not_change_the_kind();
}

/* ---- what is not counted ---- */

Test(stats, what_a_mode_does_not_count_is_said)
{
    rt = fief_open(&(fief_config){.reserve_bytes = small_reserve});
    fief_count heap = fief_stats_strategy(rt, FIEF_HEAP),
               list = fief_stats_kind(rt, FIEF_KIND_LIST);
    if (!is_guarded()) {
        cr_expect(heap.blocks == FIEF_NOT_COUNTED && heap.asked_bytes == FIEF_NOT_COUNTED);
        cr_expect(list.blocks == FIEF_NOT_COUNTED && list.used_bytes == FIEF_NOT_COUNTED);
    }
    void *pair = fief_new(rt, FIEF_KIND_PAIR, FIEF_DYNAMIC, 48);
    void *string = fief_new(rt, FIEF_KIND_STRING, FIEF_DYNAMIC, 100);
    cr_expect_eq(fief_stats_kind(rt, FIEF_KIND_PAIR).blocks, 1, "a pool knows its slots");
    cr_expect_geq(fief_stats_kind(rt, FIEF_KIND_PAIR).used_bytes, 48);
    cr_expect_eq(fief_stats_strategy(rt, FIEF_HEAP).used_bytes, 112);
    fief_free(rt, FIEF_KIND_PAIR, pair, 48);
    fief_free(rt, FIEF_KIND_STRING, string, 100);
    cr_expect_eq(fief_stats_strategy(rt, FIEF_HEAP).used_bytes, 0);
    cr_expect_eq(fief_stats_strategy(rt, FIEF_HEAP).peak_bytes, 112);
    cr_expect_eq(fief_stats_kind(rt, KINDS + 1).blocks, 0);
    cr_expect_eq(fief_stats_strategy(rt, (fief_strategy)77).blocks, 0);
    cr_expect_str_eq(fief_strategy_name(FIEF_POOL), "pool");
    cr_expect_str_eq(fief_strategy_name((fief_strategy)77), "unknown");
    cr_expect_eq(fief_close(rt), 0);
}

/* A peak is passed again and again, each time by one block, after more and more came back. */
Test(stats, the_heaps_peak_is_exact_whatever_came_back_before)
{
    enum { MOST = 40, SIZE = 48 };
    rt = fief_open(&(fief_config){.reserve_bytes = small_reserve});
    void *blocks[MOST];
    size_t live = 0;
    for (size_t most = 1; most <= MOST; most++) {
        while (live < most) {
            blocks[live++] = fief_heap_alloc(fief_runtime_heap(rt), SIZE);
        }
        cr_expect_eq(fief_stats_strategy(rt, FIEF_HEAP).peak_bytes, most * SIZE);
        while (live > most / 2) {
            fief_heap_free(fief_runtime_heap(rt), blocks[--live], SIZE);
        }
        cr_expect_eq(fief_stats_strategy(rt, FIEF_HEAP).peak_bytes, most * SIZE);
        cr_expect_eq(fief_stats_strategy(rt, FIEF_HEAP).used_bytes, live * SIZE);
    }
    while (live > 0) {
        fief_heap_free(fief_runtime_heap(rt), blocks[--live], SIZE);
    }
    cr_expect_eq(fief_close(rt), 0);
}

Test(stats, texts_are_cut_where_the_buffer_ends)
{
    rt = fief_open(&(fief_config){.reserve_bytes = small_reserve, .count_blocks = true});
    void *pair = fief_new(rt, FIEF_KIND_PAIR, FIEF_DYNAMIC, 48);
    size_t (*const writers[])(const fief_runtime *, char *, size_t) = {fief_stats_text,
                                                                       fief_stats_json};
    for (size_t i = 0; i < 2; i++) {
        size_t length = writers[i](rt, NULL, 0);
        char *whole = malloc(length + 1);
        cr_expect_eq(writers[i](rt, whole, length + 1), length);
        cr_expect_eq(strlen(whole), length);
        for (size_t size = 1; size < length; size += 101) {
            char *part = malloc(size);
            cr_expect_eq(writers[i](rt, part, size), length);
            cr_expect(strlen(part) == size - 1 && memcmp(part, whole, size - 1) == 0);
            free(part);
        }
        free(whole);
    }
    fief_free(rt, FIEF_KIND_PAIR, pair, 48);
    cr_expect_eq(fief_close(rt), 0);
}

Test(stats, a_text_tells_mebibytes_fallbacks_and_scans)
{
    static char text[8192];
    rt = fief_open(&(fief_config){.reserve_bytes = small_reserve});
    fief_arena *a = fief_arena_open(rt, &(fief_arena_config){.max_bytes = 8});
    cr_assert_not_null(fief_arena_alloc(a, 11 << 20));
    fief_unit unit = fief_unit_begin(rt);
    cr_assert_not_null(fief_temp(rt, char, 100));
    fief_unit_end(rt, unit);
    cr_expect_lt(fief_stats_text(rt, text, sizeof text), sizeof text);
    cr_expect_not_null(strstr(text, "11.0 MiB"), "%s", text);
    cr_expect_not_null(strstr(text, ", 1 fallbacks"), "%s", text);
    cr_expect_eq(strstr(text, "dangling scans: 1") != NULL, is_guarded(), "%s", text);
    cr_expect_eq(fief_close(rt), 0);
}

/* The kind of a call is that call's alone. */
Test(stats, a_resize_that_fails_counts_for_no_kind)
{
    rt = fief_open(&(fief_config){.reserve_bytes = small_reserve, .limit_bytes = 10000});
    void *string = fief_new(rt, FIEF_KIND_STRING, FIEF_DYNAMIC, 100);
    cr_expect_null(fief_resize(rt, FIEF_KIND_STRING, string, 100, 20000));
    void *plain = fief_heap_alloc(fief_runtime_heap(rt), 200);
    cr_expect_eq(fief_stats_kind(rt, FIEF_KIND_STRING).blocks, 1);
    fief_heap_free(fief_runtime_heap(rt), plain, 200);
    fief_free(rt, FIEF_KIND_STRING, string, 100);
    cr_expect_eq(fief_close(rt), 0);
}
