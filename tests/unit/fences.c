/* Kinds with fences: blocks beside an inaccessible page in a debug build, and like others
 * elsewhere. */
#include "support.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { BACK, FRONT, POOLED, PLAIN, KINDS };
static const fief_kind kinds[KINDS] = {
    [BACK] = {.name = "back", .any = FIEF_HEAP, .traits = FIEF_FENCE_BACK},
    [FRONT] = {.name = "front", .any = FIEF_HEAP, .traits = FIEF_FENCE_FRONT},
    [POOLED] = {.name = "pooled", .size = 48, .any = FIEF_POOL, .traits = FIEF_FENCE_BACK},
    [PLAIN] = {.name = "plain", .any = FIEF_HEAP},
};

static witness saw;

static fief_runtime *open_one(void)
{
    saw.count = 0;
    return fief_open(&(fief_config){.kinds = kinds, .kind_count = KINDS, .user = &saw,
                                    .reserve_bytes = small_reserve, .on_misuse = witness_misuse});
}

Test(fences, blocks_of_every_size_hold_their_bytes)
{
    fief_runtime *rt = open_one();
    static const size_t sizes[] = {0, 1, 7, 8, 40, 512, 513, 4096, 65536, 70000, 300000};
    for (unsigned kind = BACK; kind <= FRONT; kind++) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            char *block = fief_new(rt, kind, FIEF_DYNAMIC, sizes[i]);
            cr_assert_not_null(block);
            cr_expect_eq((uintptr_t)block % FIEF_ALIGN, 0);
            fill(block, sizes[i], kind);
            cr_expect_eq(fief_owner(rt, block), FIEF_HEAP);
            (void)fief_check(rt);
            cr_expect(holds(block, sizes[i], kind));
            block = fief_resize(rt, kind, block, sizes[i], sizes[i] + 1000);
            cr_expect(holds(block, sizes[i], kind));
            block = fief_resize(rt, kind, block, sizes[i] + 1000, sizes[i] / 2);
            cr_expect(holds(block, sizes[i] / 2, kind));
            fief_free(rt, kind, block, sizes[i] / 2);
        }
    }
    cr_expect_eq(saw.count, 0);
    cr_expect_eq(fief_close(rt), 0);
    cr_expect_eq(saw.count, 0);
}

/* As the system has it, without a fault. */
static bool is_accessible(const char *byte)
{
    char copy;
    struct iovec here = {&copy, 1}, there = {(void *)(uintptr_t)byte, 1};
    return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == 1;
}

/* Where a block begins a page behind its span's start, and ends a page before its end, too. */
Test(fences, a_fence_is_at_its_own_side_whatever_the_size)
{
    fief_runtime *rt = open_one();
    static const size_t sizes[] = {57328, 57344, 57360, 122880};
    bool fences = strcmp(fief_mode(), "debug-poisoned") == 0;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *back = fief_new(rt, BACK, FIEF_DYNAMIC, sizes[i]);
        char *front = fief_new(rt, FRONT, FIEF_DYNAMIC, sizes[i]);
        cr_expect(!fences || !is_accessible(back + sizes[i]), "behind %zu bytes", sizes[i]);
        cr_expect(is_accessible(back - fences), "before %zu bytes", sizes[i]);
        cr_expect(is_accessible(front + sizes[i] - !fences), "behind %zu bytes", sizes[i]);
        cr_expect(!fences || !is_accessible(front - 1), "before %zu bytes", sizes[i]);
        fief_free(rt, BACK, back, sizes[i]);
        fief_free(rt, FRONT, front, sizes[i]);
    }
    cr_expect_eq(fief_close(rt), 0);
    cr_expect_eq(saw.count, 0);
}

static void count_slot(void *slot, void *argument)
{
    memset(slot, 1, 48);
    ++*(unsigned *)argument;
}

Test(fences, slots_are_walked_given_and_leaked_as_others_are)
{
    fief_runtime *rt = open_one();
    void *slots[20];
    for (int i = 0; i < 20; i++) {
        slots[i] = fief_new(rt, POOLED, FIEF_DYNAMIC, 48);
        cr_expect_eq(fief_owner(rt, slots[i]), FIEF_POOL);
    }
    for (int i = 0; i < 20; i += 2) {
        fief_free(rt, POOLED, slots[i], 48);
    }
    fief_pool *pool =
        (fief_pool *)fief_row_allocator(rt, fief_row_of(rt, POOLED, FIEF_DYNAMIC));
    unsigned counted = 0;
    cr_expect_eq(fief_pool_walk(pool, count_slot, &counted), 10);
    cr_expect_eq(counted, 10);
    cr_expect_eq(fief_pool_live(pool), 10);
    for (int i = 1; i < 19; i += 2) {
        fief_free(rt, POOLED, slots[i], 48);
    }
    cr_expect_eq(saw.count, 0);
    cr_expect_eq(fief_close(rt), 1);
}

Test(fences, frees_in_the_wrong_place_are_named)
{
    if (!is_guarded()) { /* a release build takes the host's word for what is freed inline */
        return;
    }
    fief_runtime *rt = open_one();
    char *block = fief_new(rt, BACK, FIEF_DYNAMIC, 100),
         *slot = fief_new(rt, POOLED, FIEF_DYNAMIC, 48);
    fief_free(rt, PLAIN, slot, 48);
    cr_expect(witness_saw(&saw, FIEF_MISUSE_WRONG_ALLOCATOR));
    fief_free(rt, POOLED, block, 48);
    cr_expect(witness_saw(&saw, FIEF_MISUSE_WRONG_ALLOCATOR));
    fief_free(rt, BACK, block, 99);
    cr_expect(witness_saw(&saw, FIEF_MISUSE_WRONG_SIZE));
    fief_free(rt, PLAIN, block, 100);
    cr_expect(witness_saw(&saw, FIEF_MISUSE_WRONG_KIND));
    fief_free(rt, BACK, block, 100);
    fief_free(rt, POOLED, slot, 48);
    cr_expect_eq(fief_close(rt), 0);
}

Test(fences, one_kind_has_one_fence)
{
    fief_error error;
    const fief_kind both = {.name = "both", .any = FIEF_HEAP,
                            .traits = FIEF_FENCE_BACK | FIEF_FENCE_FRONT};
    cr_expect_null(fief_open(&(fief_config){.kinds = &both, .kind_count = 1, .error = &error}));
    cr_expect_eq(error.status, FIEF_BAD_TABLE);
    cr_expect_not_null(strstr(error.text, "'both'"));
}

Test(fences, more_of_them_than_may_be_dead_at_a_time)
{
    fief_runtime *rt = open_one();
    for (int i = 0; i < 1000; i++) {
        char *block = fief_new(rt, i % 2 ? BACK : FRONT, FIEF_DYNAMIC, (size_t)i);
        fill(block, (size_t)i, 1);
        fief_free(rt, i % 2 ? BACK : FRONT, block, (size_t)i);
    }
    cr_expect_eq(saw.count, 0);
    cr_expect_eq(fief_close(rt), 0);
}

/* Until the reserve is full: then no block is made, and none is lost. */
Test(fences, a_block_shrinks_where_there_is_no_room_for_another)
{
    enum { SIZE = 3000, MANY = 400 };
    void *blocks[MANY];
    bool has_fences = strcmp(fief_mode(), "debug-poisoned") == 0;
    saw.count = 0;
    fief_runtime *rt = fief_open(&(fief_config){.kinds = kinds, .kind_count = KINDS, .user = &saw,
                                                .reserve_bytes = 4 << 20,
                                                .on_misuse = witness_misuse});
    size_t count = 0;
    while (count < MANY && (blocks[count] = fief_new(rt, BACK, FIEF_DYNAMIC, SIZE)) != NULL) {
        fill(blocks[count++], SIZE, 1);
    }
    cr_expect(!has_fences || count < MANY);
    for (size_t i = 0; i < count; i++) {
        void *smaller = fief_resize(rt, BACK, blocks[i], SIZE, 100);
        cr_assert_not_null(smaller);
        cr_expect(!has_fences || smaller == blocks[i]);
        cr_expect(holds(smaller, 100, 1));
        blocks[i] = smaller;
    }
    (void)fief_check(rt);
    for (size_t i = 0; i < count; i++) {
        fief_free(rt, BACK, blocks[i], 100);
    }
    cr_expect_eq(saw.count, 0);
    cr_expect_eq(fief_close(rt), 0);
}

/* ---- what the host's callbacks make while a block with a fence is being made ---- */

static fief_runtime *busy;
static void *made[2];
static bool may_make;

static void make_two(void)
{
    for (int i = 0; i < 2 && may_make && made[i] == NULL; i++) {
        made[i] = fief_heap_alloc(fief_runtime_heap(busy), 40);
    }
}

static bool make_when_full(fief_runtime *rt, size_t size, void *user)
{
    (void)rt;
    (void)size;
    (void)user;
    make_two();
    return false;
}

static uint64_t make_when_asked(void *user)
{
    (void)user;
    make_two();
    return 1;
}

static bool make_when_misused(const fief_misuse *misuse, void *user)
{
    make_two();
    return witness_misuse(misuse, user);
}

/* They lie side by side, where blocks with a fence have a span each; and are of no kind. */
static void expect_two_plain(unsigned kind, size_t of_kind)
{
    may_make = false;
    cr_assert(made[0] != NULL && made[1] != NULL);
    cr_expect_eq((uintptr_t)made[0] >> 16, (uintptr_t)made[1] >> 16);
    fief_count count = fief_stats_kind(busy, kind);
    cr_expect_eq(count.blocks, of_kind, "%zu blocks", count.blocks);
    for (int i = 0; i < 2; i++) {
        fief_heap_free(fief_runtime_heap(busy), made[i], 40);
        made[i] = NULL;
    }
}

static fief_config busy_config(void)
{
    saw.count = 0;
    made[0] = made[1] = NULL;
    may_make = false;
    return (fief_config){.kinds = kinds, .kind_count = KINDS, .user = &saw, .count_blocks = true,
                         .reserve_bytes = small_reserve, .on_misuse = make_when_misused};
}

Test(fences, what_a_full_runtimes_host_makes_has_none)
{
    fief_config config = busy_config();
    config.on_full = make_when_full;
    config.limits[FIEF_POOL] = 10;
    busy = fief_open(&config);
    may_make = true;
    cr_expect_null(fief_new(busy, POOLED, FIEF_DYNAMIC, 48));
    expect_two_plain(POOLED, 0);
    cr_expect_eq(fief_close(busy), 0);
}

Test(fences, what_is_made_where_the_host_is_asked_for_its_line_has_none)
{
    fief_config config = busy_config();
    config.where = make_when_asked;
    busy = fief_open(&config);
    may_make = true;
    void *slot = fief_new(busy, POOLED, FIEF_DYNAMIC, 48);
    if (is_guarded()) {
        expect_two_plain(POOLED, 1);
    }
    fief_free(busy, POOLED, slot, 48);
    cr_expect_eq(fief_close(busy), 0);
}

Test(fences, what_a_misuses_handler_makes_has_none)
{
    fief_config config = busy_config();
    busy = fief_open(&config);
    char *block = fief_new(busy, BACK, FIEF_DYNAMIC, 200);
    if (is_guarded()) {
        may_make = true;
        cr_expect_null(fief_resize(busy, BACK, block + 8, 200, 100));
        cr_expect(witness_saw(&saw, FIEF_MISUSE_INTERIOR_FREE));
        expect_two_plain(BACK, 1);
    }
    fief_free(busy, BACK, block, 200);
    cr_expect_eq(fief_close(busy), 0);
}
