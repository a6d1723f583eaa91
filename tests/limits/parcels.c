/* parcels: over the OS that fails on demand, each call of a send and of a receive fails in turn:
 * nothing stays mapped, nothing was made, and the next try does it. */
#include "support.h"

#include "os/fake.h"

#include "../../fuzz/words.h"

#include <stdio.h>
#include <stdlib.h>

enum { COUNT = 300 };

static fief_kind unit_kinds[KINDS]; /* those of words.h, in units */
static fief_error error;

static void must(bool condition, const char *what, size_t number)
{
    if (!condition) {
        fprintf(stderr, "parcels: %s, at %zu: %s\n", what, number, error.text);
        exit(1);
    }
}

static fief_runtime *open_runtime(void)
{
    static const fief_arena_config recorded = {.recorded = true};
    fief_runtime *rt = fief_open(&(fief_config){.kinds = unit_kinds,
                                                .kind_count = KINDS,
                                                .reserve_bytes = RESERVE,
                                                .quarantine_bytes = 1, /* nothing stays */
                                                .compiler_arena = &recorded});
    must(rt != NULL, "a runtime", 0);
    return rt;
}

static size_t size_of(unsigned i)
{
    return i % 60 == 0 ? 30000 : i % 500 + 1;
}

static const void **make_content(fief_runtime *rt)
{
    const void **all = fief_new(rt, WORDS, FIEF_TEMPORARY, (COUNT + 2) * sizeof *all);
    for (unsigned i = 0; i < COUNT; i++) {
        char *text = fief_new(rt, TEXT, FIEF_TEMPORARY, size_of(i));
        fill(text, size_of(i), i);
        all[i] = text;
    }
    all[COUNT] = all;
    all[COUNT + 1] = externals[0].address;
    return all;
}

static bool is_whole(const void *const *all)
{
    bool whole = all[COUNT] == all && all[COUNT + 1] == &outside;
    for (unsigned i = 0; i < COUNT && whole; i++) {
        whole = holds(all[i], size_of(i), i);
    }
    return whole;
}

static fief_parcel *send_content(fief_runtime *rt, fief_unit unit, const void **all)
{
    error = (fief_error){0};
    return fief_unit_send(rt, unit, all, &(fief_parcel_config){.error = &error});
}

static void sends_that_fail(fief_runtime *rt, fief_unit unit, const void **all)
{
    size_t reserves = fake_reserves();
    fake_fail_at(0);
    fief_parcel *parcel = send_content(rt, unit, all);
    must(parcel != NULL, "a parcel", 0);
    size_t calls = fake_calls();
    must(calls == 2, "a workspace and the parcel", calls);
    must(fake_reserves() == reserves + 1, "the parcel alone", fake_reserves());
    fief_parcel_drop(&parcel);
    for (size_t n = 1; n <= calls; n++) {
        fake_fail_at(n);
        parcel = send_content(rt, unit, all);
        fake_fail_at(0);
        must(parcel == NULL && error.status == FIEF_NO_MEMORY, "a refusal", n);
        must(fake_reserves() == reserves, "nothing left", n);
        must(is_whole(all), "the unit as it was", n);
    }
}

/* Into a runtime that is new each time, so that it asks for all of its memory. */
static size_t receive_failing_at(size_t n, fief_parcel **parcel)
{
    fief_runtime *rt = open_runtime();
    size_t reserves = fake_reserves(), used = fief_arena_used(fief_vm_arena(rt));
    error = (fief_error){0};
    fake_fail_at(n);
    const void **all = fief_unit_receive(rt, parcel, &error);
    size_t calls = fake_calls();
    fake_fail_at(0);
    if (all == NULL) {
        must(*parcel != NULL && error.status == FIEF_NO_MEMORY, "a refusal", n);
        must(fake_reserves() == reserves, "nothing made", n);
        must(fief_arena_used(fief_vm_arena(rt)) == used, "an arena as it was", n);
        all = fief_unit_receive(rt, parcel, &error);
    }
    must(all != NULL && *parcel == NULL && is_whole(all), "all of it", n);
    must(fief_close(rt) == 0, "no leak", n);
    return calls;
}

static void receives_that_fail(fief_runtime *rt, fief_unit unit, const void **all)
{
    fief_parcel *parcel = send_content(rt, unit, all);
    size_t calls = receive_failing_at(0, &parcel);
    must(calls >= 3, "calls to fail", calls);
    for (size_t n = 1; n <= calls; n++) {
        parcel = send_content(rt, unit, all);
        (void)receive_failing_at(n, &parcel);
    }
}

int main(void)
{
    for (int kind = 0; kind < KINDS; kind++) {
        unit_kinds[kind] = kinds[kind];
        unit_kinds[kind].any = FIEF_COMPILER_ARENA;
    }
    fief_runtime *rt = open_runtime();
    size_t reserves = fake_reserves();
    fief_unit unit = fief_unit_begin(rt);
    const void **all = make_content(rt);
    sends_that_fail(rt, unit, all);
    receives_that_fail(rt, unit, all);
    fief_unit_end(rt, unit);
    must(fake_reserves() == reserves, "nothing left", fake_reserves());
    must(fief_close(rt) == 0, "no leak", 0);
    return 0;
}
