#include "support.h"

#include <criterion/criterion.h>

Test(heap, sized_blocks_of_every_range_grow_and_keep_their_prefix)
{
    fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = small_reserve});
    fief_heap *h = fief_runtime_heap(rt);
    size_t size = 1;
    unsigned char *p = fief_heap_alloc(h, size);
    p[0] = 0x5A;
    for (; size < 8u << 20; size = size * 2 + 1) {
        p = fief_heap_resize(h, p, size, size * 2 + 1);
        cr_assert_not_null(p);
        cr_expect_eq(p[0], 0x5A);
        p[size * 2] = 1;
    }
    while (size > 1) {
        cr_assert_not_null(p = fief_heap_resize(h, p, size, size / 2));
        cr_expect_eq(p[0], 0x5A);
        size /= 2;
    }
    fief_heap_free(h, p, size);
    cr_expect_eq(fief_stats_strategy(rt, FIEF_HEAP).used_bytes, 0);
    cr_expect_eq(fief_close(rt), 0);
}

Test(heap, unsized_blocks_of_every_range)
{
    fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = small_reserve});
    for (size_t size = 0; size < 1u << 20; size = size * 3 + 1) {
        unsigned char *p = fief_malloc(rt, size);
        cr_assert_not_null(p);
        cr_expect_eq((uintptr_t)p % FIEF_ALIGN, 0);
        memset(p, 3, size);
        p = fief_realloc(rt, p, size + 100);
        cr_assert(size == 0 || p[size - 1] == 3);
        fief_release(rt, p);
    }
    cr_expect_null(fief_calloc(rt, SIZE_MAX / 2, 4));
    cr_expect_eq(fief_close(rt), 0);
}

Test(heap, a_good_size_is_the_one_that_a_block_of_it_has)
{
    fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = small_reserve});
    fief_heap *h = fief_runtime_heap(rt);
    for (size_t size = 0; size < 1u << 20; size = size + size / 5 + 1) {
        size_t good = fief_heap_good_size(size);
        char *p = fief_malloc(rt, size);
        cr_expect_geq(good, size);
        cr_expect_eq(fief_heap_usable_size(h, p), good, "%zu", size);
        fief_release(rt, p);
    }
    cr_expect_eq(fief_heap_good_size(SIZE_MAX), SIZE_MAX, "there is none");
    cr_expect_eq(fief_close(rt), 0);
}

Test(heap, foreign_and_arena_pointers_are_refused)
{
    witness seen = {0};
    fief_runtime *rt = fief_open(
        &(fief_config){.reserve_bytes = small_reserve, .on_misuse = witness_misuse, .user = &seen});
    static int here;
    fief_release(rt, &here);
    cr_expect(witness_saw(&seen, FIEF_MISUSE_FOREIGN_FREE));
    fief_free(rt, FIEF_KIND_STRING, fief_strdup(rt, FIEF_LITERAL, "x"), 2);
    cr_expect(witness_saw(&seen, FIEF_MISUSE_WRONG_ALLOCATOR));
    cr_expect_eq(fief_close(rt), 0);
}

Test(heap, a_double_free_is_noticed_while_every_block_is_seen)
{
    witness seen = {0};
    fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = small_reserve,
                                                .on_misuse = witness_misuse,
                                                .user = &seen,
                                                .count_blocks = true});
    fief_heap *h = fief_runtime_heap(rt);
    void *large = fief_heap_alloc(h, 4000);
    fief_heap_free(h, large, 4000);
    cr_expect_eq(seen.count, 0);
    fief_heap_free(h, large, 4000);
    cr_expect(witness_saw(&seen, FIEF_MISUSE_DOUBLE_FREE));
    cr_expect_eq(fief_stats_strategy(rt, FIEF_HEAP).used_bytes, 0);
    cr_expect_eq(fief_close(rt), 0);
}

/* ---- aligned blocks ---- */

static const size_t sizes[] = {0,   1,   15,   16,    17,     100,    511,
                               512, 513, 4000, 70000, 262144, 262145, 700000};
enum { SIZES = sizeof sizes / sizeof sizes[0], ALIGNS = 17, PLACES = SIZES * ALIGNS };

static fief_runtime *rt;
static fief_heap *h;
static witness seen;

static void open_runtime(unsigned align, bool count)
{
    rt = fief_open(&(fief_config){.reserve_bytes = small_reserve,
                                  .align = align,
                                  .count_blocks = count,
                                  .on_misuse = witness_misuse,
                                  .user = &seen});
    cr_assert_not_null(rt);
    h = fief_runtime_heap(rt);
}

/* In a guarded build too, what is freed goes back at once. */
static void open_without_quarantine(void)
{
    rt = fief_open(&(fief_config){.reserve_bytes = small_reserve,
                                  .quarantine_bytes = 1,
                                  .on_misuse = witness_misuse,
                                  .user = &seen});
    cr_assert_not_null(rt);
    h = fief_runtime_heap(rt);
}

static void close_runtime(void)
{
    cr_expect_eq(fief_stats_strategy(rt, FIEF_HEAP).used_bytes, 0);
    cr_expect_eq(fief_close(rt), 0);
    cr_expect_eq(seen.count, 0, "misuse: %s", seen.text);
}

typedef struct aligned_verbs {
    void *(*alloc)(fief_heap *heap, size_t size, size_t align);
    void (*give)(fief_heap *heap, void *block, size_t size);
} aligned_verbs;

static void free_sized(fief_heap *heap, void *block, size_t size)
{
    fief_heap_free(heap, block, size);
}

static void free_unsized(fief_heap *heap, void *block, size_t size)
{
    (void)size;
    fief_heap_free_unsized(heap, block);
}

static unsigned char *places[PLACES];

static void take_places(aligned_verbs verbs, size_t first, size_t step)
{
    for (size_t i = first; i < PLACES; i += step) {
        size_t size = sizes[i % SIZES], align = (size_t)1 << (i / SIZES);
        cr_assert_not_null(places[i] = verbs.alloc(h, size, align));
        cr_assert(is_multiple(places[i], align), "%zu at %zu", size, align);
        fill_ends(places[i], size, (unsigned)i);
    }
}

static void give_places(aligned_verbs verbs, size_t first, size_t step)
{
    for (size_t i = 0; i < PLACES; i++) {
        cr_assert(places[i] == NULL || ends_hold(places[i], sizes[i % SIZES], (unsigned)i));
    }
    for (size_t i = first; i < PLACES; i += step) {
        verbs.give(h, places[i], sizes[i % SIZES]);
        places[i] = NULL;
    }
}

/* Every size at every alignment is alive at once; then every other one dies and comes again. */
static void churn_aligned(aligned_verbs verbs, bool trims)
{
    take_places(verbs, 0, 1);
    for (size_t round = 0; round < 4; round++) {
        give_places(verbs, round % 2, 2);
        if (trims) {
            (void)fief_trim(rt);
        }
        take_places(verbs, round % 2, 2);
    }
    give_places(verbs, 0, 1);
}

static void aligned_blocks_of_every_size(void)
{
    for (int trims = 0; trims < count_modes(); trims++) {
        for (int counted = 0; counted < count_modes(); counted++) {
            open_runtime(counted != 0 ? 16 : 8, counted != 0);
            churn_aligned((aligned_verbs){fief_heap_alloc_aligned, free_sized}, trims != 0);
            close_runtime();
        }
    }
}

static void aligned_blocks_of_every_size_freed_without_it(void)
{
    open_runtime(16, false);
    churn_aligned((aligned_verbs){fief_heap_alloc_unsized_aligned, free_unsized}, false);
    close_runtime();
}

Test(heap, aligned_blocks_of_every_size_at_every_alignment)
{
    aligned_blocks_of_every_size();
    aligned_blocks_of_every_size_freed_without_it();
}

/* ---- misuse that every mode notices ---- */

Test(heap, misuse_of_medium_and_large_blocks_is_refused_in_every_mode)
{
    static const size_t chosen[] = {1000, 70000, 262144, 262145, 700000};
    open_runtime(16, false);
    for (size_t i = 0; i < sizeof chosen / sizeof chosen[0]; i++) {
        size_t size = chosen[i];
        unsigned char *block = fief_heap_alloc(h, size), *other = fief_heap_alloc(h, size);
        fill_ends(block, size, 1);
        fief_heap_free(h, other, size);
        size_t used = fief_stats_strategy(rt, FIEF_HEAP).used_bytes;
        fief_heap_free(h, other, size);
        bool is_known = is_guarded() || size <= 262144; /* else its pages are nobody's */
        cr_expect(
            witness_saw(&seen, is_known ? FIEF_MISUSE_DOUBLE_FREE : FIEF_MISUSE_FOREIGN_FREE));
        fief_heap_free(h, block + 256, size);
        cr_expect(witness_saw(&seen, FIEF_MISUSE_INTERIOR_FREE));
        fief_heap_free(h, block + 8, size);
        cr_expect(witness_saw(&seen, FIEF_MISUSE_INTERIOR_FREE));
        fief_heap_free(h, block, size * 2);
        cr_expect(witness_saw(&seen, FIEF_MISUSE_WRONG_SIZE));
        if (is_guarded()) { /* a small size is freed inline in a release build */
            fief_heap_free(h, block, 100);
            cr_expect(witness_saw(&seen, FIEF_MISUSE_WRONG_SIZE));
        }
        cr_expect_null(fief_heap_resize(h, block, size * 2, 10));
        cr_expect(witness_saw(&seen, FIEF_MISUSE_WRONG_SIZE));
        cr_expect_eq(fief_stats_strategy(rt, FIEF_HEAP).used_bytes, used);
        cr_expect(ends_hold(block, size, 1));
        fief_heap_free(h, block, size);
    }
    close_runtime();
}

Test(heap, the_unsized_calls_refuse_what_is_not_theirs)
{
    static char here[64];
    open_runtime(16, false);
    char *sized = fief_heap_alloc(h, 100), *literal = fief_strdup(rt, FIEF_LITERAL, "x");
    char *own = fief_malloc(rt, 2000), *slot = fief_new(rt, FIEF_KIND_PAIR, FIEF_DYNAMIC, 48);
    fief_release(rt, NULL);
    fief_release(rt, sized);
    cr_expect(witness_saw(&seen, FIEF_MISUSE_WRONG_ALLOCATOR));
    fief_release(rt, literal);
    cr_expect(witness_saw(&seen, FIEF_MISUSE_WRONG_ALLOCATOR));
    fief_release(rt, slot);
    cr_expect(witness_saw(&seen, FIEF_MISUSE_WRONG_ALLOCATOR));
    fief_release(rt, here);
    cr_expect(witness_saw(&seen, FIEF_MISUSE_FOREIGN_FREE));
    cr_expect_null(fief_realloc(rt, here, 10));
    cr_expect(witness_saw(&seen, FIEF_MISUSE_FOREIGN_FREE));
    cr_expect_null(fief_realloc(rt, sized, 10));
    cr_expect(witness_saw(&seen, FIEF_MISUSE_WRONG_ALLOCATOR));
    char *nothing = is_guarded() ? fief_heap_resize(h, fief_heap_alloc(h, 700), 700, 0) : NULL;
    if (nothing != NULL) { /* a guarded build knows it by its size; it stays where it is */
        cr_expect_null(fief_realloc(rt, nothing, 96));
        cr_expect(witness_saw(&seen, FIEF_MISUSE_WRONG_ALLOCATOR));
        fief_heap_free(h, nothing, 0);
    }
    cr_expect_eq(fief_heap_usable_size(h, sized), 0);
    cr_expect_eq(fief_heap_usable_size(h, literal), 0);
    cr_expect_eq(fief_heap_usable_size(h, slot), 0);
    cr_expect_eq(fief_heap_usable_size(h, here), 0);
    cr_expect_eq(fief_heap_usable_size(h, NULL), 0);
    cr_expect_geq(fief_heap_usable_size(h, own), 2000);
    char *small = fief_malloc(rt, 64);
    cr_expect_eq(fief_heap_usable_size(h, small), 64);
    cr_expect_eq(fief_heap_usable_size(h, small + 16), 0);
    cr_expect_null(fief_realloc(rt, small + 16, 200));
    cr_expect(witness_saw(&seen, FIEF_MISUSE_INTERIOR_FREE));
    cr_expect_null(fief_realloc(rt, small + 16, 40));
    cr_expect(witness_saw(&seen, FIEF_MISUSE_INTERIOR_FREE));
    fief_release(rt, small);
    fief_release(rt, own);
    fief_free(rt, FIEF_KIND_PAIR, slot, 48);
    fief_heap_free(h, sized, 100);
    close_runtime();
}

/* A release build's: in a guarded one the freed neighbour rests. */
Test(heap, a_trim_gives_back_no_page_that_a_block_has_grown_into)
{
    open_runtime(16, false);
    (void)fief_trim(rt);
    char *grown = fief_heap_alloc(h, 300000), *behind = fief_heap_alloc(h, 600000);
    void *last = fief_heap_alloc(h, 300000);
    fief_heap_free(h, behind, 600000);
    char *now = fief_heap_resize(h, grown, 300000, 890000);
    bool in_place = now == grown;
    cr_expect(in_place == (strcmp(fief_mode(), "release") == 0));
    size_t given = fief_trim(rt);
    cr_expect(!in_place || given < 600000 - 590000 + 2 * 65536, "%zu bytes", given);
    fief_heap_free(h, now, 890000);
    fief_heap_free(h, last, 300000);
    close_runtime();
}

Test(heap, a_dead_block_is_not_resized_where_blocks_are_seen)
{
    open_runtime(16, true);
    char *medium = fief_malloc(rt, 3000);
    fief_release(rt, medium);
    cr_expect_null(fief_realloc(rt, medium, 200000));
    cr_expect(witness_saw(&seen, FIEF_MISUSE_DOUBLE_FREE));
    close_runtime();
}

/* ---- resize ---- */

/* Each step's contents must survive; `blocker` keeps the block from growing in place. */
static void resize_through(size_t least, size_t most, bool blocked)
{
    void *blockers[64];
    size_t size = least, count = 0;
    unsigned char *block = fief_heap_alloc(h, size);
    for (size_t next = least * 2; next <= most; next *= 2) {
        fill_ends(block, size, 5);
        if (blocked) {
            cr_assert_not_null(blockers[count++] = fief_heap_alloc(h, size));
        }
        block = fief_heap_resize(h, block, size, next);
        cr_assert(block != NULL && holds(block, size < PATTERN_END ? size : PATTERN_END, 5));
        cr_assert(size < 2 * PATTERN_END || holds(block + size - PATTERN_END, PATTERN_END, 5));
        size = next;
    }
    while (size > least) {
        fill_ends(block, size, 6);
        size_t next = size / 3 > least ? size / 3 : least;
        cr_assert_not_null(block = fief_heap_resize(h, block, size, next));
        size = next;
        cr_assert(holds(block, size < PATTERN_END ? size : PATTERN_END, 6));
    }
    fief_heap_free(h, block, size);
    while (count-- > 0) {
        fief_heap_free(h, blockers[count], least << count);
    }
}

static void resizes_keep_contents_in_place_and_moved(void)
{
    for (int counted = 0; counted < count_modes(); counted++) {
        open_runtime(16, counted != 0);
        resize_through(24, 32 << 20, false);
        resize_through(24, 32 << 20, true);
        resize_through(300000, 20 << 20, true);
        unsigned char *block = fief_heap_resize(h, NULL, 0, 1000);
        fill(block, 1000, 1);
        cr_expect_null(fief_heap_resize(h, block, 1000, SIZE_MAX));
        cr_expect_null(fief_heap_resize(h, block, 1000, PTRDIFF_MAX));
        cr_expect(holds(block, 1000, 1));
        cr_assert_not_null(block = fief_heap_resize(h, block, 1000, 0));
        fief_heap_free(h, block, 0);
        close_runtime();
    }
}

static void unsized_resizes_keep_contents(void)
{
    for (int counted = 0; counted < count_modes(); counted++) {
        open_runtime(16, counted != 0);
        unsigned char *block = NULL;
        size_t size = 0;
        for (size_t i = 0; i < 40; i++) {
            size_t next = i < 20 ? (size_t)3 << i : (size_t)3 << (39 - i);
            block = fief_realloc(rt, block, next);
            cr_assert(block != NULL && is_multiple(block, FIEF_ALIGN));
            size_t kept = size < next ? size : next;
            cr_assert(holds(block, kept < PATTERN_END ? kept : PATTERN_END, (unsigned)i));
            fill_ends(block, size = next, (unsigned)i + 1);
        }
        cr_expect_null(fief_realloc(rt, block, SIZE_MAX));
        cr_expect(ends_hold(block, size, 40));
        fief_release(rt, block);
        close_runtime();
    }
}

Test(heap, resizes_keep_contents)
{
    resizes_keep_contents_in_place_and_moved();
    unsized_resizes_keep_contents();
}

/* A caller's buffer that is full to the last page, so that a shrink finds no other place. */
Test(heap, a_shrink_needs_no_memory)
{
    static _Alignas(16) char buffer[3 << 20];
    rt = fief_open(&(fief_config){
        .reserve_bytes = small_reserve, .buffer = buffer, .buffer_size = sizeof buffer});
    h = fief_runtime_heap(rt);
    size_t size = sizeof buffer;
    char *block;
    while ((block = fief_heap_alloc(h, size)) == NULL) {
        size -= 4096;
    }
    char *small = fief_heap_resize(h, block, size, 1000);
    cr_expect_not_null(small);
    fief_heap_free(h, small != NULL ? small : block, small != NULL ? 1000 : size);
    cr_expect_eq(fief_close(rt), 0);
}

/* A limit below what is alive leaves a block no other place: it keeps its own, even of no bytes. */
Test(heap, a_shrink_to_nothing_keeps_its_place)
{
    static const size_t apart[] = {5000, 300000};
    rt = fief_open(&(fief_config){.reserve_bytes = small_reserve, .count_blocks = true});
    h = fief_runtime_heap(rt);
    for (size_t i = 0; i < 2; i++) {
        char *block = fief_heap_alloc(h, apart[i]);
        cr_assert(fief_limit_set(rt, FIEF_HEAP, 10));
        char *rest = fief_heap_resize(h, block, apart[i], 0);
        cr_assert(fief_limit_set(rt, FIEF_HEAP, 0));
        char *next = fief_heap_alloc(h, apart[i]);
        cr_expect_not_null(rest);
        cr_expect_neq(next, rest);
        cr_expect_eq(fief_owner(rt, rest), FIEF_HEAP);
        fief_heap_free(h, rest, 0);
        fief_heap_free(h, next, apart[i]);
    }
    cr_expect_eq(fief_close(rt), 0);
}

/* ---- quarantine ---- */

/* Freed in a scattered order, they come back by ascending addresses: at least as long as what left
 * the quarantine in one go lasts. */
Test(heap, what_leaves_the_quarantine_is_handed_out_in_address_order)
{
    enum { MANY = 4096, STRIDE = 1021, ONCE = 100 };
    static void *blocks[MANY];
    rt = fief_open(&(fief_config){.reserve_bytes = small_reserve, .quarantine_bytes = 1 << 16});
    h = fief_runtime_heap(rt);
    for (size_t i = 0; i < MANY; i++) {
        blocks[i] = fief_heap_alloc(h, 40);
    }
    for (size_t i = 0; i < MANY; i++) {
        fief_heap_free(h, blocks[i * STRIDE % MANY], 40);
    }
    unsigned char *before = fief_heap_alloc(h, 40);
    for (size_t i = 1; i < ONCE && is_guarded(); i++) {
        unsigned char *block = fief_heap_alloc(h, 40);
        cr_expect_gt(block, before);
        before = block;
    }
    (void)fief_close(rt);
}

/* A larger quarantine than there is room for is as large as there is room for. */
Test(heap, a_quarantine_that_asks_for_too_much_is_no_smaller)
{
    static _Alignas(16) unsigned char buffer[1 << 20];
    static const size_t budgets[] = {(size_t)1 << 17, (size_t)1 << 30, (size_t)1 << 50, SIZE_MAX};
    static const fief_config homes[] = {{.reserve_bytes = small_reserve},
                                         {.buffer = buffer, .buffer_size = sizeof buffer}};
    enum { BUDGETS = sizeof budgets / sizeof budgets[0], HOMES = 2 };
    for (size_t i = 0; i < BUDGETS * HOMES && is_guarded(); i++) {
        fief_config config = homes[i % HOMES];
        config.quarantine_bytes = budgets[i / HOMES];
        rt = fief_open(&config);
        cr_assert_not_null(rt);
        h = fief_runtime_heap(rt);
        void *block = fief_heap_alloc(h, 1000);
        fief_heap_free(h, block, 1000);
        void *other = fief_heap_alloc(h, 1000);
        cr_expect_not_null(block);
        cr_expect_neq(other, block, "%zu bytes of quarantine", budgets[i / HOMES]);
        fief_heap_free(h, other, 1000);
        (void)fief_close(rt);
    }
}

/* ---- a small range ---- */

Test(heap, an_unsized_block_shrinks_where_nothing_is_left)
{
    static const size_t sizes_before[] = {400, 3000, 100000};
    for (size_t i = 0; i < sizeof sizes_before / sizeof sizes_before[0]; i++) {
        size_t size = fief_heap_good_size(sizes_before[i]);
        rt = fief_open(&(fief_config){.reserve_bytes = small_reserve, .limit_bytes = size + 4096});
        h = fief_runtime_heap(rt);
        char *block = memset(fief_malloc(rt, size), 'x', size);
        void *rest = fief_heap_alloc(h, 4096);
        cr_assert_not_null(rest);
        cr_expect_null(fief_realloc(rt, block, size + 1));
        cr_expect_eq(fief_realloc(rt, block, 9), block, "%zu bytes", size);
        cr_expect_eq(fief_heap_usable_size(h, block), size);
        cr_expect_eq(fief_stats_strategy(rt, FIEF_HEAP).refused, 1, "a shrink is not refused");
        fief_heap_free(h, rest, 4096);
        block = fief_realloc(rt, block, 9); /* now there is room */
        cr_expect_lt(fief_heap_usable_size(h, block), size);
        cr_expect_eq(memcmp(block, "xxxxxxxxx", 9), 0);
        fief_release(rt, block);
        cr_expect_eq(fief_close(rt), 0);
    }
}

/* Bytes that fit in blocks of that size, by the heap or in the vm arena. */
static size_t bytes_that_fit(size_t size, bool in_arena)
{
    size_t bytes = 0;
    while ((in_arena ? fief_arena_alloc(fief_vm_arena(rt), size) : fief_heap_alloc(h, size)) !=
           NULL) {
        bytes += size;
    }
    return bytes;
}

Test(heap, a_small_buffer_is_used_to_its_end)
{
    static _Alignas(65536) unsigned char buffer[1 << 20]; /* else a page more is lost, or not */
    static const size_t wholes[] = {sizeof buffer, 600000}, asked[] = {40, 1000, 9000, 60000};
    enum { WHOLES = 2, ASKED = sizeof asked / sizeof asked[0] };
    for (size_t i = 0; i < (size_t)WHOLES * ASKED * 2; i++) {
        size_t size = asked[i / 2 % ASKED], whole = wholes[i / 2 / ASKED];
        rt = fief_open(&(fief_config){.buffer = buffer, .buffer_size = whole});
        cr_assert_not_null(rt);
        h = fief_runtime_heap(rt);
        size_t fit = bytes_that_fit(size, i % 2 != 0);
        /* Pages' edges, and in a guarded build records and redzones, take their parts. */
        size_t least = whole / 10 * (is_guarded() ? 3 : 6);
        cr_expect_geq(fit, least, "%zu bytes of %zu in blocks of %zu", fit, whole, size);
        (void)fief_close(rt);
    }
}

/* There the last segment is a small one, and has room in several places, but in none enough. */
Test(heap, no_block_lies_across_the_end_of_a_small_buffer)
{
    enum { SIZE = 9000, LARGER = 2 * SIZE + 100, MANY = 128 };
    static _Alignas(65536) unsigned char buffer[1 << 20];
    unsigned char *block[MANY] = {NULL}, *larger[MANY];
    for (size_t whole = 600000; whole <= sizeof buffer; whole += 60000) {
        size_t count = 0, more = 0;
        rt = fief_open(&(fief_config){
            .buffer = buffer, .buffer_size = whole, .quarantine_bytes = 1});
        cr_assert_not_null(rt);
        h = fief_runtime_heap(rt);
        while (count < MANY && (block[count] = fief_heap_alloc(h, SIZE)) != NULL) {
            fill(block[count], SIZE, (unsigned)count);
            count++;
        }
        cr_assert(count > 4 && count < MANY, "%zu blocks", count);
        for (size_t i = 1; i < count; i += 2) {
            fief_heap_free(h, block[i], SIZE);
        }
        while (more < MANY && (larger[more] = fief_heap_alloc(h, LARGER)) != NULL) {
            cr_assert_leq(larger[more] + LARGER, buffer + whole);
            cr_expect_eq(fief_owner(rt, larger[more] + LARGER - 1), FIEF_HEAP);
            fill(larger[more++], LARGER, 77);
        }
        for (size_t i = 0; i < count; i += 2) {
            cr_expect(holds(block[i], SIZE, (unsigned)i), "block %zu of %zu", i, count);
            fief_heap_free(h, block[i], SIZE);
        }
        for (size_t i = 0; i < more; i++) {
            fief_heap_free(h, larger[i], LARGER);
        }
        close_runtime();
    }
}

/* ---- trim ---- */

static void trim_gives_back_what_the_dead_held(void)
{
    enum { MANY = 3000 };
    static void *small[MANY], *plain[MANY], *medium[MANY / 10];
    open_without_quarantine();
    size_t before = fief_stats_held(rt);
    for (size_t i = 0; i < MANY; i++) {
        small[i] = fief_heap_alloc(h, 16 + i % 480);
        plain[i] = fief_malloc(rt, 16 + i % 480);
        medium[i / 10] = i % 10 == 0 ? fief_heap_alloc(h, 5000) : medium[i / 10];
    }
    size_t full = fief_stats_held(rt);
    cr_expect_gt(full, before + (3 << 20));
    for (size_t i = 0; i < MANY; i++) {
        fief_heap_free(h, small[i], 16 + i % 480);
        fief_release(rt, plain[i]);
    }
    for (size_t i = 0; i < MANY / 10; i++) {
        fief_heap_free(h, medium[i], 5000);
    }
    (void)fief_trim(rt);
    size_t rest = fief_stats_held(rt) - before;
    cr_expect_leq(fief_stats_held(rt) + (1 << 20), full, "segments of medium blocks");
    /* At most the span that small blocks are bumped from; a guarded build keeps the dead. */
    cr_expect(is_guarded() || rest <= 256 << 10, "%zu bytes are still held", rest);
    close_runtime();
}

/* Four spans side by side, so that the second and third end up in the middle of a free run. */
static void take_and_free_neighbours(char *blocks[4])
{
    static const size_t order[4] = {0, 3, 1, 2};
    for (size_t i = 0; i < 4; i++) {
        cr_assert_not_null(blocks[i] = fief_heap_alloc(h, 300000));
    }
    for (size_t i = 0; i < 4; i++) {
        fief_heap_free(h, blocks[order[i]], 300000);
    }
}

static void pages_that_were_given_back_have_no_owner(void)
{
    char *blocks[4];
    open_without_quarantine();
    take_and_free_neighbours(blocks);
    for (size_t i = 0; i < 4; i++) {
        for (size_t offset = 0; offset < 300000; offset += 60000) {
            cr_expect_eq(fief_owner(rt, blocks[i] + offset), FIEF_NO_STRATEGY);
        }
    }
    fief_heap_free(h, blocks[1], 300000);
    cr_expect(witness_saw(&seen, FIEF_MISUSE_FOREIGN_FREE));
    close_runtime();
}

static void a_second_trim_changes_nothing(void)
{
    enum { MANY = 20000 };
    static void *blocks[MANY];
    open_runtime(16, false);
    for (size_t i = 0; i < MANY; i++) {
        cr_assert_not_null(blocks[i] = fief_heap_alloc(h, 512));
    }
    for (size_t i = 0; i < MANY; i++) {
        fief_heap_free(h, blocks[i], 512);
    }
    (void)fief_trim(rt);
    size_t held = fief_stats_held(rt);
    cr_expect_eq(fief_trim(rt), 0);
    cr_expect_eq(fief_stats_held(rt), held);
    close_runtime();
}

Test(heap, trims_give_back_and_leave_the_rest_alone)
{
    trim_gives_back_what_the_dead_held();
    pages_that_were_given_back_have_no_owner();
    a_second_trim_changes_nothing();
}

/* ---- the table of the unsized blocks ---- */

/* None of these bytes is a block's start: each is told, and changes nothing. */
static void expect_no_block(char *from, const char *end)
{
    for (char *p = from; p < end; p++) {
        cr_expect_eq(fief_heap_usable_size(h, p), 0);
        fief_release(rt, p);
        cr_expect(witness_saw(&seen, FIEF_MISUSE_INTERIOR_FREE));
        cr_expect_null(fief_realloc(rt, p, 1000));
        cr_expect(witness_saw(&seen, FIEF_MISUSE_INTERIOR_FREE));
    }
}

static char *page_of(const void *block)
{
    return (char *)((uintptr_t)block & ~(uintptr_t)65535);
}

Test(heap, release_finds_every_byte_that_starts_no_unsized_block)
{
    enum { BLOCKS = 200 };
    open_runtime(16, false);
    char *blocks[BLOCKS] = {fief_malloc(rt, 24)};
    size_t used = 32;
    for (size_t i = 1; i < BLOCKS && !is_guarded(); i++) {
        blocks[i] = fief_malloc(rt, 1 + i * 37 % 512);
        cr_assert_eq((size_t)(blocks[i] - blocks[0]), used, "in the order of their birth");
        used += fief_heap_usable_size(h, blocks[i]);
        expect_no_block(blocks[i - 1] + 1, i < 20 ? blocks[i] : blocks[i - 1] + 2);
    }
    expect_no_block(is_guarded() ? blocks[0] : page_of(blocks[0]), blocks[0]);
    cr_expect_eq(page_of(blocks[BLOCKS - 1]), is_guarded() ? NULL : page_of(blocks[0]));
    for (size_t i = 0; i < BLOCKS; i++) {
        fief_release(rt, blocks[i]);
    }
    close_runtime();
}

/* What an overflow leaves in the table of the span behind is no size. */
Test(heap, a_class_that_there_is_not_is_no_blocks)
{
    open_runtime(16, false);
    char *block = fief_malloc(rt, 24);
    unsigned char *table = (unsigned char *)page_of(block);
    for (unsigned broken = 33; broken < 256 && !is_guarded(); broken++) {
        table[(block - page_of(block)) / 16] = (unsigned char)broken;
        expect_no_block(block, block + 1);
    }
    if (!is_guarded()) {
        table[(block - page_of(block)) / 16] = 2;
    }
    cr_expect_eq(fief_heap_usable_size(h, block), 32);
    fief_release(rt, block);
    close_runtime();
}

Test(heap, a_page_that_was_another_allocators_says_of_no_block)
{
    enum { BLOCKS = 250, FILLED = 200 << 10 };
    open_without_quarantine();
    fief_unit unit = fief_unit_begin(rt);
    char *filled = fief_temp(rt, char, FILLED), *blocks[BLOCKS];
    memset(filled, 1, FILLED);
    fief_unit_end(rt, unit);
    size_t in_filled = 0;
    for (size_t i = 0; i < BLOCKS && !is_guarded(); i++) {
        blocks[i] = fief_malloc(rt, 500);
        in_filled += blocks[i] >= filled && blocks[i] < filled + FILLED;
        for (size_t inside = 16; inside < 500; inside += 16) {
            cr_assert_eq(fief_heap_usable_size(h, blocks[i] + inside), 0);
        }
    }
    cr_expect(is_guarded() || in_filled > 100, "%zu", in_filled);
    for (size_t i = 0; i < BLOCKS && !is_guarded(); i++) {
        fief_release(rt, blocks[i]);
    }
    close_runtime();
}

Test(heap, a_freed_unsized_block_is_there_when_nothing_else_is)
{
    enum { MOST = 2000 };
    static char bytes[700000];
    rt = fief_open(&(fief_config){.buffer = bytes, .buffer_size = sizeof bytes});
    h = fief_runtime_heap(rt);
    void *blocks[MOST];
    size_t count = 0;
    while (count < MOST && (blocks[count] = fief_malloc(rt, 300)) != NULL) {
        count++;
    }
    cr_assert(count > 100 && count < MOST);
    for (size_t freed = 1; freed < 40 && !is_guarded(); freed++) {
        for (size_t i = 0; i < freed; i++) {
            fief_release(rt, blocks[i]);
        }
        for (size_t i = 0; i < freed; i++) {
            blocks[i] = fief_malloc(rt, 300);
            cr_assert_not_null(blocks[i], "block %zu of %zu that were freed", i, freed);
        }
        cr_expect_null(fief_malloc(rt, 300));
    }
    while (count > 0) {
        fief_release(rt, blocks[--count]);
    }
    cr_expect_eq(fief_close(rt), 0);
}

static void shrinks_to(size_t from, size_t size)
{
    char *block = fief_malloc(rt, from);
    memset(block, 7, from);
    block = fief_realloc(rt, block, size);
    size_t usable = fief_heap_usable_size(h, block);
    cr_expect_eq(usable, size < from / 2 ? fief_heap_good_size(size) : fief_heap_good_size(from));
    cr_expect_eq(fief_stats_strategy(rt, FIEF_HEAP).used_bytes, usable);
    cr_expect(block[0] == 7 && block[size - 1] == 7);
    fief_release(rt, block);
}

Test(heap, a_medium_unsized_block_shrinks_to_any_small_size)
{
    open_runtime(16, false);
    for (size_t size = 490; size <= 530; size++) {
        shrinks_to(2123, size);
        shrinks_to(100000, size);
        shrinks_to(300000, size);
        cr_expect_eq(fief_heap_good_size(fief_heap_good_size(size)), fief_heap_good_size(size));
    }
    close_runtime();
}

/* ---- counts ---- */

static void a_limit_is_never_exceeded_by_unsized_blocks(void)
{
    rt = fief_open(&(fief_config){.reserve_bytes = small_reserve, .limit_bytes = 10000});
    h = fief_runtime_heap(rt);
    void *block = fief_malloc(rt, 9990);
    cr_expect_leq(fief_stats_strategy(rt, FIEF_HEAP).asked_bytes, 10000);
    fief_release(rt, block);
    cr_expect_eq(fief_close(rt), 0);
}

/* What the host asked for does not depend on the mode. */
static void unsized_blocks_are_counted_alike_in_every_mode(void)
{
    open_runtime(16, true);
    void *block = fief_malloc(rt, 600);
    size_t asked = fief_stats_strategy(rt, FIEF_HEAP).asked_bytes;
    cr_expect(asked == 600 || asked == 768, "asked %zu", asked);
    fief_release(rt, block);
    close_runtime();
}

Test(heap, unsized_blocks_are_counted_exactly)
{
    a_limit_is_never_exceeded_by_unsized_blocks();
    unsized_blocks_are_counted_alike_in_every_mode();
}

/* ---- what planted bugs showed that nobody looked at ---- */

/* A, a gap of five pages, and C, which must stay what it is however far A grows. */
static void grow_over_the_gap(size_t pages)
{
    enum { PAGE = 65536 };
    open_runtime(16, false);
    unsigned char *a = fief_heap_alloc(h, 5 * PAGE), *gap = fief_heap_alloc(h, 5 * PAGE);
    unsigned char *c = fief_heap_alloc(h, 5 * PAGE);
    cr_assert(a != NULL && gap != NULL && c != NULL);
    fill(a, 5 * PAGE, 1);
    fill(c, 5 * PAGE, 2);
    fief_heap_free(h, gap, 5 * PAGE);
    a = fief_heap_resize(h, a, 5 * PAGE, pages * PAGE);
    cr_assert_not_null(a);
    cr_expect(holds(a, 5 * PAGE, 1));
    memset(a, 0xEE, pages * PAGE);
    cr_expect(holds(c, 5 * PAGE, 2), "grown to %zu pages", pages);
    cr_expect_eq(fief_owner(rt, c), FIEF_HEAP);
    fief_heap_free(h, a, pages * PAGE);
    fief_heap_free(h, c, 5 * PAGE);
    close_runtime();
}

Test(heap, a_large_block_grows_as_far_as_its_neighbour)
{
    for (size_t pages = 6; pages <= 12; pages++) {
        grow_over_the_gap(pages);
    }
}

Test(heap, after_a_trim_the_heap_begins_anew)
{
    open_runtime(16, false);
    void *small = fief_heap_alloc(h, 96);
    fief_heap_free(h, small, 96);
    (void)fief_trim(rt);
    unsigned char *large = fief_heap_alloc(h, 300000), *fresh = fief_heap_alloc(h, 112);
    cr_assert(large != NULL && fresh != NULL);
    fill(large, 300000, 1);
    memset(fresh, 0xEE, 112);
    cr_expect(holds(large, 300000, 1));
    fief_heap_free(h, fresh, 112);
    fief_heap_free(h, large, 300000);
    close_runtime();
}

/* A guarded build writes the size of so large a block elsewhere than in its record. */
Test(heap, the_size_of_a_huge_block_is_known)
{
    const size_t huge = (size_t)135 << 20;
    rt = fief_open(&(fief_config){.on_misuse = witness_misuse, .user = &seen});
    h = fief_runtime_heap(rt);
    void *block = fief_heap_alloc(h, huge);
    cr_assert_not_null(block);
    fief_heap_free(h, block, huge + 65536);
    cr_expect(witness_saw(&seen, FIEF_MISUSE_WRONG_SIZE));
    fief_heap_free(h, block, huge);
    close_runtime();
}

/* Half of each page lives: what one trim counted must not count for the next. */
Test(heap, trims_in_a_row_leave_living_blocks_alone)
{
    enum { MANY = 512, SIZE = 512 };
    static unsigned char *blocks[MANY];
    open_runtime(16, false);
    for (unsigned i = 0; i < MANY; i++) {
        cr_assert_not_null(blocks[i] = fief_heap_alloc(h, SIZE));
        fill(blocks[i], SIZE, i);
    }
    for (unsigned i = 0; i < MANY; i += 2) {
        fief_heap_free(h, blocks[i], SIZE);
    }
    for (unsigned trims = 0; trims < 3; trims++) {
        (void)fief_trim(rt);
        for (unsigned i = 1; i < MANY; i += 2) {
            cr_assert_eq(fief_owner(rt, blocks[i]), FIEF_HEAP);
            cr_assert(holds(blocks[i], SIZE, i));
        }
    }
    for (unsigned i = 1; i < MANY; i += 2) {
        fief_heap_free(h, blocks[i], SIZE);
    }
    close_runtime();
}

Test(heap, a_block_that_grew_in_place_gives_all_its_pages_back)
{
    enum { SMALL = 100000, LARGE = 200000 };
    open_runtime(16, false);
    size_t before = fief_stats_held(rt);
    void *block = fief_heap_alloc(h, SMALL);
    void *grown = fief_heap_resize(h, block, SMALL, LARGE);
    cr_assert_not_null(grown);
    cr_expect(is_guarded() || grown == block, "nothing lies behind it");
    fief_heap_free(h, grown, LARGE);
    (void)fief_trim(rt);
    cr_expect(is_guarded() || fief_stats_held(rt) == before, "%zu bytes, not %zu",
              fief_stats_held(rt), before);
    close_runtime();
}

/* As many small blocks as one span holds: when they are dead it goes back as a whole. */
Test(heap, a_span_that_was_carved_to_its_end_is_given_back)
{
    enum { SPAN = 65536 };
    for (size_t size = 16; size <= 512; size *= 2) {
        static void *blocks[SPAN / 16];
        open_runtime(16, false);
        for (size_t i = 0; i < SPAN / size; i++) {
            cr_assert_not_null(blocks[i] = fief_heap_alloc(h, size));
        }
        for (size_t i = 0; i < SPAN / size; i++) {
            fief_heap_free(h, blocks[i], size);
        }
        (void)fief_trim(rt);
        cr_expect(is_guarded() || fief_stats_held(rt) == 0, "%zu", size);
        void *again = fief_heap_alloc(h, size);
        cr_assert_not_null(again);
        memset(again, 1, size);
        fief_heap_free(h, again, size);
        close_runtime();
    }
}

/* Nothing lies behind it but the end of the reserve. */
Test(heap, a_large_block_does_not_grow_past_the_reserve)
{
    rt = fief_open(&(fief_config){
        .reserve_bytes = 8 << 20, .on_misuse = witness_misuse, .user = &seen});
    h = fief_runtime_heap(rt);
    size_t size = 2 << 20;
    unsigned char *block = fief_heap_alloc(h, size);
    cr_assert_not_null(block);
    fill_ends(block, size, 1);
    cr_expect_null(fief_heap_resize(h, block, size, 16 << 20));
    cr_expect(ends_hold(block, size, 1));
    cr_expect_null(fief_heap_resize(h, block, size, 8 << 20));
    cr_expect(ends_hold(block, size, 1));
    fief_heap_free(h, block, size);
    close_runtime();
}

/* A caller's buffer is no mapping of ours: pages in it are copied. */
Test(heap, a_large_block_moves_within_a_callers_buffer)
{
    enum { SIZE = 16 << 20, BLOCK = 1 << 20 };
    void *bytes = malloc(SIZE);
    rt = fief_open(&(fief_config){
        .buffer = bytes, .buffer_size = SIZE, .on_misuse = witness_misuse, .user = &seen});
    h = fief_runtime_heap(rt);
    void *block = fief_heap_alloc(h, BLOCK), *behind = fief_heap_alloc(h, BLOCK);
    cr_assert(block != NULL && behind != NULL);
    fill(block, BLOCK, 1);
    void *moved = fief_heap_resize(h, block, BLOCK, 2 * BLOCK);
    cr_assert_not_null(moved);
    cr_expect_neq(moved, block);
    cr_expect(holds(moved, BLOCK, 1));
    fief_heap_free(h, behind, BLOCK);
    fief_heap_free(h, moved, 2 * BLOCK);
    close_runtime();
    free(bytes);
}

/* ---- first fit ---- */

enum { GRANULE = 256, GRANULES = (1 << 20) / GRANULE };

/* What the segment would be with a byte a granule, and a search from its start. */
typedef struct naive {
    bool used[GRANULES];
} naive;

static size_t naive_fit(const naive *n, size_t count)
{
    size_t free_run = 0;
    for (size_t i = 0; i < GRANULES; i++) {
        free_run = n->used[i] ? 0 : free_run + 1;
        if (free_run == count) {
            return i + 1 - count;
        }
    }
    return GRANULES;
}

static void naive_set(naive *n, size_t at, size_t count, bool used)
{
    memset(n->used + at, used, count * sizeof n->used[0]);
}

/* Guarded builds hand out what has waited longest instead. */
Test(heap, a_medium_block_takes_the_first_place_that_fits)
{
    enum { BLOCKS = 300, STEPS = 20000 };
    static naive n;
    uint64_t seed = 1;
    char *blocks[BLOCKS] = {NULL};
    size_t counts[BLOCKS];
    if (is_guarded()) {
        return;
    }
    open_without_quarantine();
    char *start = fief_heap_alloc(h, 3 * GRANULE);
    naive_set(&n, 0, 3, true);
    for (unsigned step = 0; step < STEPS; step++) {
        size_t i = draw(&seed, BLOCKS);
        size_t count = 3 + draw(&seed, draw(&seed, 8) == 0 ? 120 : 20), at = naive_fit(&n, count);
        if (blocks[i] == NULL && at + count <= GRANULES) {
            blocks[i] = fief_heap_alloc(h, count * GRANULE);
            counts[i] = count;
            naive_set(&n, at, count, true);
            cr_assert_eq(blocks[i], start + at * GRANULE, "step %u", step);
        } else if (blocks[i] != NULL && counts[i] > 3 && draw(&seed, 4) == 0) {
            size_t first = (size_t)(blocks[i] - start) / GRANULE;
            cr_assert_eq(fief_heap_resize(h, blocks[i], counts[i] * GRANULE, 3 * GRANULE),
                         blocks[i]);
            naive_set(&n, first + 3, counts[i] - 3, false);
            counts[i] = 3;
        } else if (blocks[i] != NULL) {
            fief_heap_free(h, blocks[i], counts[i] * GRANULE);
            naive_set(&n, (size_t)(blocks[i] - start) / GRANULE, counts[i], false);
            blocks[i] = NULL;
        }
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        fief_heap_free(h, blocks[i], blocks[i] != NULL ? counts[i] * GRANULE : 0);
    }
    fief_heap_free(h, start, 3 * GRANULE);
    close_runtime();
}
