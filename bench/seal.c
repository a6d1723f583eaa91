/* seal: what it costs to make an arena read-only. */
#include "cases.h"

#include <fief/fief.h>

#include <sys/mman.h>

enum { BYTES = 1 << 20, NODE = 48, ROUNDS = 40, ROUNDS_QUICK = 3 };

static void fill(fief_arena *a)
{
    for (size_t i = 0; i < BYTES / NODE; i++) {
        store(fief_arena_alloc(a, NODE), i);
    }
}

/* The median of seals of a full arena, in microseconds; each is lifted again, outside the time. */
figure seal_fief(const job *given)
{
    double times[ROUNDS];
    size_t rounds = given->quick ? ROUNDS_QUICK : ROUNDS;
    fief_runtime *rt = must_open();
    fief_arena *a = must_open_arena(rt, NULL);
    fill(a);
    for (size_t i = 0; i < rounds; i++) {
        uint64_t start = clock_now();
        bool sealed = fief_seal(rt, a);
        times[i] = (double)(clock_now() - start);
        if (!sealed || !fief_unseal(rt, a)) {
            give_up("the system refused to seal");
        }
    }
    return (figure){(median_of(times, rounds) - clock_cost()) / 1000, not_counted()};
}

/* The system call alone, on as many pages that were written. */
figure seal_direct(const job *given)
{
    double times[ROUNDS];
    size_t rounds = given->quick ? ROUNDS_QUICK : ROUNDS;
    char *pages = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) {
        give_up("no memory");
    }
    memset(pages, 1, BYTES);
    for (size_t i = 0; i < rounds; i++) {
        uint64_t start = clock_now();
        bool sealed = mprotect(pages, BYTES, PROT_READ) == 0;
        times[i] = (double)(clock_now() - start);
        if (!sealed || mprotect(pages, BYTES, PROT_READ | PROT_WRITE) != 0) {
            give_up("the system refused to seal");
        }
    }
    (void)munmap(pages, BYTES);
    return (figure){(median_of(times, rounds) - clock_cost()) / 1000, not_counted()};
}
