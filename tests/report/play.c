/* play: the checked replay of `fief advise`, on steps written by hand: it must see a block that
 * outlives its unit, and bytes that another block wrote; and must not see either where there is
 * none. TAP. */
#include "play.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

tool fief_tool;
static int count, failed;

static bool run(const play_step *list, size_t length, plan to, uint32_t slot_size, played *ret)
{
    static lane lanes[LANES];
    play_steps s = {.file = memfd_create("steps", 0), .count = length, .slots = 8};
    size_t size = length * sizeof *list;
    lanes[1] = (lane){to, slot_size};
    bool sound = s.file >= 0 && write(s.file, list, size) == (ssize_t)size;
    play p = {"fief", "", &s, lanes, 0, true};
    *ret = (played){0};
    sound = sound && play_round(&p, ret);
    (void)close(s.file);
    return sound;
}

static void report(bool sound, const char *name, const played *got)
{
    count++;
    failed += !sound;
    printf("%s %d - %s\n", sound ? "ok" : "not ok", count, name);
    if (!sound) {
        printf("# outlived %llu, damaged %llu\n", (unsigned long long)got->outlived,
               (unsigned long long)got->damaged);
    }
}

static const play_step unit = {.kind = STEP_UNIT}, unit_end = {.kind = STEP_UNIT_END};

static play_step make(uint32_t slot, uint64_t size)
{
    return (play_step){.size = size, .slot = slot, .kind = STEP_ALLOC, .lane = 1};
}

static play_step end(uint32_t slot)
{
    return (play_step){.slot = slot, .kind = STEP_FREE, .lane = 1};
}

static void check_units(void)
{
    played got;
    const play_step inside[] = {unit, make(1, 40), make(2, 24), end(1), end(2), unit_end};
    bool sound = run(inside, 6, USE_UNIT_ARENA, 0, &got);
    report(sound && got.outlived == 0 && got.damaged == 0, "blocks that die in their unit may",
           &got);
    const play_step late[] = {unit, make(1, 40), make(2, 24), end(2), unit_end, end(1)};
    sound = run(late, 6, USE_UNIT_ARENA, 0, &got);
    report(sound && got.outlived == 1, "one that dies after it is seen", &got);
    const play_step never[] = {unit, make(1, 40), unit_end};
    sound = run(never, 3, USE_UNIT_ARENA, 0, &got);
    report(sound && got.outlived == 1, "one that is never freed is seen", &got);
    const play_step outer[] = {unit,   make(1, 40), unit,   make(2, 8),
                               end(2), unit_end,    end(1), unit_end};
    sound = run(outer, 8, USE_UNIT_ARENA, 0, &got);
    report(sound && got.outlived == 0, "an inner unit ends none of the outer one's", &got);
    const play_step inner[] = {unit, unit, make(1, 40), unit_end, end(1), unit_end};
    sound = run(inner, 6, USE_UNIT_ARENA, 0, &got);
    report(sound && got.outlived == 1, "the outer one does not keep the inner one's", &got);
    const play_step outside[] = {make(1, 40), unit, unit_end, end(1)};
    sound = run(outside, 4, USE_UNIT_ARENA, 0, &got);
    report(sound && got.outlived == 1, "a block of no unit is seen", &got);
    sound = run(late, 6, KEEP_HEAP, 0, &got);
    report(sound && got.outlived == 0 && got.damaged == 0, "on the heap all of this is fine", &got);
}

static void check_bytes(void)
{
    played got;
    const play_step two[] = {make(1, 48), make(2, 48), end(1), end(2)};
    bool sound = run(two, 4, USE_POOL, 48, &got);
    report(sound && got.damaged == 0, "a pool of their size holds blocks", &got);
    /* A pool of slots too small: the second lies in the first. Guarded builds end the process. */
    sound = run(two, 4, USE_POOL, 16, &got);
    report(!sound || got.damaged > 0, "in one of a smaller size their bytes are seen to change",
           &got);
    const play_step batch[] = {make(1, 64), make(2, 64), end(1), end(2), make(1, 64), end(1)};
    sound = run(batch, 6, USE_BATCH_ARENA, 0, &got);
    report(sound && got.damaged == 0, "a batch arena is reset between its batches alone", &got);
    const play_step grows[] = {
        make(1, 64), {.size = 4000, .slot = 1, .kind = STEP_RESIZE, .lane = 1}, end(1)};
    sound = run(grows, 3, USE_VM_ARENA, 0, &got);
    report(sound && got.damaged == 0, "in an arena a block grows with its bytes", &got);
}

int main(void)
{
    const char *order = getenv("FIEF_REPLAY");
    if (order != NULL) {
        return play_work(order);
    }
    check_units();
    check_bytes();
    printf("1..%d\n", count);
    return failed > 0;
}
