/* What is given back to a runtime stays warm, as much of it as is to be retained; the rest waits
 * for a while and goes back to the system in instalments. In a guarded build the dead stay where
 * they are. */
#include "support.h"

#include <criterion/criterion.h>
#include <sys/mman.h>

enum { MIB = 1 << 20, RETAINED = 1 * MIB, WAITING = 8 * RETAINED /* at most */,
       HUGE = 2 * MIB /* pages of it go whole */ };

/* The runtime's memory from there on: nobody else has so much of it. */
static unsigned char *memory;
static const size_t memory_size = 180 * (size_t)MIB;

static size_t resident(void)
{
    static unsigned char pages[180 * MIB / 4096];
    size_t count = 0;
    cr_assert_eq(mincore(memory, memory_size, pages), 0);
    for (size_t i = 0; i < memory_size / 4096; i++) {
        count += pages[i] & 1;
    }
    return count * 4096;
}

static fief_runtime *open_at_memory(size_t retain)
{
    fief_runtime *rt =
        fief_open(&(fief_config){.reserve_bytes = small_reserve, .retain_bytes = retain});
    cr_assert_not_null(rt);
    void *first = fief_heap_alloc(fief_runtime_heap(rt), 300000);
    memory = (unsigned char *)((uintptr_t)first & ~(uintptr_t)4095);
    fief_heap_free(fief_runtime_heap(rt), first, 300000);
    return rt;
}

static void use_and_end_an_arena(fief_runtime *rt, size_t size)
{
    enum { OBJECT = 4000 };
    fief_arena *a = fief_arena_open(rt, NULL);
    for (size_t i = 0; i < size / OBJECT; i++) {
        memset(fief_arena_alloc(a, OBJECT), 1, OBJECT);
    }
    fief_arena_close(a);
}

Test(warm, what_an_arena_leaves_waits_but_not_too_much_of_it)
{
    for (size_t size = 4 * MIB; size <= 64 * (size_t)MIB && !is_guarded(); size *= 4) {
        fief_runtime *rt = open_at_memory(RETAINED);
        use_and_end_an_arena(rt, size);
        use_and_end_an_arena(rt, size);
        size_t waits = resident(), most = RETAINED + WAITING + HUGE;
        cr_expect_leq(waits, most, "%zu of %zu", waits, size);
        cr_expect_geq(waits, 2 * RETAINED, "%zu of %zu", waits, size);
        size_t given = fief_trim(rt);
        cr_expect(given + HUGE >= waits && resident() == 0, "%zu of %zu", given, waits);
        fief_drop(rt);
    }
}

/* Each time an eighth of it goes, until no more waits than is to be retained, or a huge page. */
Test(warm, what_waits_is_given_back_little_by_little)
{
    fief_runtime *rt = open_at_memory(RETAINED);
    use_and_end_an_arena(rt, 8 * (size_t)MIB);
    size_t waits = resident(), rounds = 0;
    while (resident() > RETAINED + HUGE && rounds < 100 && !is_guarded()) {
        use_and_end_an_arena(rt, RETAINED / 2);
        cr_expect_leq(resident(), waits + HUGE);
        waits = resident();
        rounds++;
    }
    cr_expect(is_guarded() || (rounds > 2 && rounds < 100), "%zu rounds", rounds);
    fief_drop(rt);
}

/* Of fresh memory: what the process has does not grow while something waits. */
Test(warm, who_takes_fresh_pages_gives_back_as_many)
{
    const size_t size = 8 * (size_t)MIB;
    fief_runtime *rt = open_at_memory(RETAINED);
    use_and_end_an_arena(rt, size);
    size_t before = resident();
    unsigned char *block = fief_malloc(rt, 6 * size); /* there is no room for it below */
    memset(block, 1, size / 2);
    cr_expect(is_guarded() || resident() <= before + HUGE, "%zu, before %zu", resident(), before);
    fief_release(rt, block);
    fief_drop(rt);
}

Test(warm, what_is_retained_stays)
{
    enum { TIMES = 100, SIZE = RETAINED / 2 };
    fief_runtime *rt = open_at_memory(RETAINED);
    for (unsigned i = 0; i < TIMES; i++) {
        use_and_end_an_arena(rt, SIZE);
        cr_expect(is_guarded() || resident() >= SIZE, "%zu after %u times", resident(), i);
    }
    size_t given = fief_trim(rt);
    cr_expect(is_guarded() || given <= 4 * (size_t)SIZE, "%zu", given);
    fief_drop(rt);
}

/* Between pages in use: huge pages are split rather than that all of it waits. */
Test(warm, what_lies_between_pages_in_use_goes_back_too)
{
    enum { BLOCK = 300000, BLOCKS = 240 };
    static void *blocks[BLOCKS];
    fief_runtime *rt = open_at_memory(RETAINED);
    fief_heap *h = fief_runtime_heap(rt);
    for (size_t i = 0; i < BLOCKS; i++) {
        cr_assert_not_null(blocks[i] = fief_heap_alloc(h, BLOCK));
        memset(blocks[i], 1, BLOCK);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        if (i % 5 != 0) {
            fief_heap_free(h, blocks[i], BLOCK);
        }
    }
    size_t used = BLOCKS / 5 * (size_t)(BLOCK + (64 << 10)), now = resident();
    cr_expect(is_guarded() || now <= used + RETAINED + 2 * WAITING + HUGE, "%zu, used %zu", now,
              used);
    fief_drop(rt);
}

Test(warm, nothing_waits_where_nothing_is_to_be_retained)
{
    fief_runtime *rt = open_at_memory(1);
    use_and_end_an_arena(rt, 12 * (size_t)MIB);
    cr_expect(is_guarded() || resident() == 0, "%zu", resident());
    fief_drop(rt);
}
