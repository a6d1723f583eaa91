/* same: one program over every strategy, whose visible results must not depend on the mode.
 *
 *     test-same                   prints the results
 *     test-same EXPECTED          compares them with a file; the first difference ends the test
 *
 * tests/same/expected.txt is compared in every mode, so all modes prove the same text: a difference
 * between two of them is a defect of the library and not a reason to write the text anew. Where the
 * program itself changes:  build/release/tests/test-same >tests/same/expected.txt
 *
 * Addresses and held bytes are not printed: they may differ. Blocks are counted and there is a
 * limit, so that every mode sees each block. */
#include "support.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { UNSIZED_MOST = 4000 };
enum { STEPS = 2500, PLACES = 60, FRAMES = 40, LEVELS = 3, MARKS = 8, LIMIT = 30000 };

enum { STRING, CLOSURE, NODE, FRAME, BUFFER, LOST, KINDS };
static const fief_kind kinds[KINDS] = {
    [STRING] = {.name = "string", .any = FIEF_HEAP, .in = {[FIEF_LITERAL] = FIEF_VM_ARENA}},
    [CLOSURE] = {.name = "closure", .size = 56, .any = FIEF_POOL},
    [NODE] = {.name = "node", .any = FIEF_COMPILER_ARENA},
    [FRAME] = {.name = "frame", .any = FIEF_STACK},
    [BUFFER] = {.name = "buffer", .any = FIEF_HEAP, .size = 24, .in = {[FIEF_NATIVE] = FIEF_POOL}},
    [LOST] = {.name = "lost", .in = {[FIEF_LITERAL] = FIEF_VM_ARENA}},
};

typedef enum origin { EMPTY, SIZED, UNSIZED, BY_KIND, SLOT } origin;

typedef struct place {
    unsigned char *block;
    size_t size;
    origin home;
    unsigned kind, seed;
} place;

static FILE *out;
static fief_runtime *rt;
static fief_pool *slots;
static fief_arena *side;
static uint64_t state = 20261124;
static place places[PLACES], *busy;
static struct {
    unsigned char *start;
    size_t size;
} frames[FRAMES];
static size_t frame_count;
static fief_unit units[LEVELS];
static size_t frames_before[LEVELS];
static unsigned unit_count;
static fief_mark marks[MARKS];
static size_t mark_count;
static size_t collections, step;

/* ---- what is seen ---- */

static unsigned digest(const unsigned char *bytes, size_t size)
{
    unsigned hash = 2166136261u;
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ bytes[i]) * 16777619u;
    }
    return hash & 0xFFFF;
}

static const char *home_name(const void *block)
{
    return fief_strategy_name(fief_owner(rt, block));
}

/* A new block: what it is, where it lives, how it is aligned. */
static void show_new(const char *what, size_t size, const void *block, size_t align)
{
    fprintf(out, "%zu %s %zu: %s%s\n", step, what, size, block == NULL ? "NULL" : home_name(block),
            block == NULL || is_multiple(block, align) ? "" : " CROOKED");
}

static bool on_misuse(const fief_misuse *misuse, void *user)
{
    (void)user;
    if (misuse->class_id == FIEF_MISUSE_LEAK) {
        return true; /* told by fief_close */
    }
    fprintf(out, "%zu misuse %s, size %zu\n", step, fief_misuse_name(misuse->class_id),
            misuse->size);
    return true;
}

static void give(place *p)
{
    fprintf(out, "%zu give %zu: %04x\n", step, p->size, digest(p->block, p->size));
    switch (p->home) {
    case SIZED:
        fief_heap_free(fief_runtime_heap(rt), p->block, p->size);
        break;
    case UNSIZED:
        fief_release(rt, p->block);
        break;
    case BY_KIND:
        fief_free(rt, p->kind, p->block, p->size);
        break;
    case SLOT:
        fief_pool_give(slots, p->block);
        break;
    default:
        break;
    }
    p->home = EMPTY;
}

/* Some place makes room, but not the one that is being resized. */
static bool on_full(fief_runtime *runtime, size_t size, void *user)
{
    (void)runtime;
    (void)user;
    fprintf(out, "%zu full for %zu\n", step, size);
    collections++;
    for (size_t i = 0; i < PLACES && collections % 5 != 0; i++) {
        if (places[i].home == BY_KIND && &places[i] != busy) {
            give(&places[i]);
            return true;
        }
    }
    return false;
}

static void settle(place *p, origin home, unsigned char *block, size_t size)
{
    if (block != NULL) {
        *p = (place){block, size, home, p->kind, (unsigned)step};
        fill(block, size, p->seed);
    }
}

/* ---- the heap, the pools, the kinds ---- */

static size_t draw_size(void)
{
    return draw(&state, (size_t)1 << (4 + draw(&state, 11)));
}

static void take_sized(place *p)
{
    size_t size = draw_size(), align = (size_t)1 << draw(&state, 9);
    bool aligned = draw(&state, 3) == 0;
    fief_heap *h = fief_runtime_heap(rt);
    void *block = aligned ? fief_heap_alloc_aligned(h, size, align) : fief_heap_alloc(h, size);
    show_new("heap", size, block, aligned ? align : 16);
    settle(p, SIZED, block, size);
}

static void take_unsized(place *p)
{
    size_t size = draw(&state, UNSIZED_MOST + 1);
    void *block = draw(&state, 2) == 0 ? fief_malloc(rt, size) : fief_calloc(rt, size, 1);
    show_new("malloc", size, block, 16);
    settle(p, UNSIZED, block, size);
}

static void take_by_kind(place *p)
{
    static const unsigned chosen[] = {STRING, STRING, CLOSURE, BUFFER};
    p->kind = chosen[draw(&state, 4)];
    size_t size = p->kind == CLOSURE ? draw(&state, 57) : p->kind == BUFFER ? 24 : draw_size();
    unsigned context = p->kind == BUFFER && draw(&state, 2) == 0 ? FIEF_NATIVE : FIEF_DYNAMIC;
    unsigned char *block = fief_new(rt, p->kind, context, size);
    show_new(kinds[p->kind].name, size, block, p->kind == CLOSURE || p->kind == BUFFER ? 8 : 16);
    if (block != NULL && !is_zero(block, size)) {
        fprintf(out, "NOT ZERO\n");
    }
    settle(p, BY_KIND, block, size);
}

static void take_slot(place *p)
{
    void *slot = fief_pool_take(slots);
    show_new("slot", 40, slot, 8);
    settle(p, SLOT, slot, 40);
}

static void take(place *p)
{
    static void (*const takes[])(place *) = {take_sized, take_unsized, take_by_kind, take_slot};
    takes[draw(&state, 4)](p);
}

static void resize(place *p)
{
    size_t size = p->home == UNSIZED ? draw(&state, UNSIZED_MOST + 1) : draw_size();
    size_t kept = size < p->size ? size : p->size;
    busy = p;
    unsigned char *block = p->home == SIZED
                               ? fief_heap_resize(fief_runtime_heap(rt), p->block, p->size, size)
                           : p->home == UNSIZED ? fief_realloc(rt, p->block, size)
                                                : fief_resize(rt, p->kind, p->block, p->size, size);
    busy = NULL;
    fprintf(out, "%zu resize %zu to %zu: %s %04x\n", step, p->size, size,
            block != NULL ? "moved" : "NULL", digest(block != NULL ? block : p->block, kept));
    settle(p, p->home, block, size);
}

static void churn(void)
{
    place *p = &places[draw(&state, PLACES)];
    if (p->home == EMPTY) {
        take(p);
    } else if (p->home != SLOT && p->kind == STRING && draw(&state, 3) == 0) {
        resize(p);
    } else {
        give(p);
    }
}

/* ---- arenas, units, the stack ---- */

static void arena_step(void)
{
    size_t what = draw(&state, 8), size = draw_size() / 8;
    if (what == 0 && mark_count < MARKS) {
        marks[mark_count++] = fief_arena_mark(side);
    } else if (what == 1 && mark_count > 0) {
        mark_count = draw(&state, mark_count);
        fief_arena_rewind(side, marks[mark_count]);
    } else if (what == 2 && draw(&state, 10) == 0) {
        fief_arena_reset(side);
        mark_count = 0;
    } else if (what == 3) {
        char *text = fief_arena_printf(side, "%zu-%s", step, "text");
        fprintf(out, "%zu printf: %s\n", step, text == NULL ? "NULL" : text);
    } else {
        size_t align = (size_t)1 << draw(&state, 8);
        show_new("arena", size, fief_arena_alloc_aligned(side, size, align), align);
    }
}

static void end_unit(void)
{
    fief_stack *stack = fief_frame_stack(rt);
    if (frame_count > frames_before[unit_count - 1]) {
        fief_unit_end(rt, units[unit_count - 1]); /* refused: frames of its time are there */
    }
    while (frame_count > frames_before[unit_count - 1]) {
        frame_count--;
        (void)fief_stack_pop(stack, frames[frame_count].start, frames[frame_count].size);
    }
    fief_unit_end(rt, units[--unit_count]);
}

static void unit_step(void)
{
    size_t what = draw(&state, 7), size = draw_size() / 2;
    if (what == 0 && unit_count < LEVELS) {
        frames_before[unit_count] = frame_count;
        units[unit_count++] = fief_unit_begin(rt);
    } else if (what == 1 && unit_count > 0) {
        end_unit();
    } else if (what == 2) {
        char *text = fief_strdup(rt, FIEF_TEMPORARY, "temporary");
        fprintf(out, "%zu strdup: %s\n", step, text == NULL ? "NULL" : text);
    } else if (what == 3) {
        show_new("node", size, fief_new(rt, NODE, FIEF_DYNAMIC, size), 8);
    } else {
        show_new("temporary", size, fief_temp(rt, uint64_t, size / 8), 8);
    }
}

static void push(size_t size)
{
    unsigned char *frame = fief_stack_push(fief_frame_stack(rt), size);
    show_new("frame", size, frame, 8);
    if (frame != NULL) {
        fill(frame, size, (unsigned)frame_count);
        frames[frame_count].start = frame;
        frames[frame_count++].size = size;
    }
}

static void pop(void)
{
    size_t at = frame_count - 1;
    bool wrong = frame_count > 1 && draw(&state, 20) == 0;
    at -= wrong ? 1 : 0;
    unsigned contents = digest(frames[at].start, frames[at].size);
    bool popped = fief_stack_pop(fief_frame_stack(rt), frames[at].start, frames[at].size);
    fprintf(out, "%zu pop %zu: %s %04x\n", step, frames[at].size, popped ? "popped" : "stays",
            contents);
    frame_count -= popped ? 1 : 0;
}

static void stack_step(void)
{
    if (frame_count == 0 || (frame_count < FRAMES && draw(&state, 5) < 3)) {
        push(draw(&state, 900));
    } else {
        pop();
    }
}

/* ---- misuse that every mode notices ---- */

static void misuse_heap(void)
{
    static char foreign[64];
    fief_heap *h = fief_runtime_heap(rt);
    size_t size = 1000 + draw(&state, 2000);
    char *medium = fief_heap_alloc(h, size);
    if (medium != NULL) {
        fief_heap_free(h, medium, size * 4);
        fief_heap_free(h, medium + 256, size);
        (void)fief_heap_resize(h, medium, size * 4, 10);
        fief_pool_give(slots, medium);
        fief_heap_free(h, medium, size);
    }
    fief_heap_free(h, foreign, 64);
    fief_release(rt, foreign);
    fief_free(rt, STRING, fief_new(rt, STRING, FIEF_LITERAL, 10), 10);
    fief_free(rt, FRAME, foreign, 10);
}

static void misuse_others(void)
{
    static fief_mark foreign_mark;
    fief_unit_end(rt, (fief_unit){.number = 77});
    (void)fief_stack_pop(fief_frame_stack(rt), &state, 8);
    fief_arena_rewind(side, foreign_mark);
    (void)fief_arena_alloc_aligned(side, 10, 24);
    (void)fief_heap_alloc_aligned(fief_runtime_heap(rt), 10, 0);
    (void)fief_new(rt, KINDS, FIEF_DYNAMIC, 10);
    (void)fief_new(rt, LOST, FIEF_DYNAMIC, 10);
    (void)fief_new(rt, CLOSURE, FIEF_DYNAMIC, 57);
    (void)fief_resize(rt, CLOSURE, &state, 8, 16);
}

/* ---- the whole ---- */

static void show_count(const char *name, fief_count c)
{
    fprintf(out,
            "%zu %s: %zu blocks, %zu asked, %zu total, %zu resets, %zu fallbacks, %zu refused\n",
            step, name, c.blocks, c.asked_bytes, c.total_bytes, c.resets, c.fallbacks, c.refused);
}

static void show_counts(void)
{
    for (unsigned s = FIEF_VM_ARENA; s < FIEF_STRATEGIES; s++) {
        show_count(fief_strategy_name((fief_strategy)s), fief_stats_strategy(rt, (fief_strategy)s));
    }
    for (unsigned kind = 0; kind <= KINDS; kind++) {
        show_count(kind < KINDS ? kinds[kind].name : "no kind", fief_stats_kind(rt, kind));
    }
    fprintf(out, "%zu collections\n", collections);
}

static void one_step(void)
{
    static void (*const steps[])(void) = {churn, churn, churn, arena_step, unit_step, stack_step};
    steps[draw(&state, 6)]();
    if (step % 250 == 100) {
        misuse_heap();
    }
    if (step % 250 == 200) {
        misuse_others();
    }
    if (step % 250 == 249) {
        show_counts();
    }
    if (step % 500 == 499) {
        (void)fief_trim(rt);
    }
}

/* What leaks is left on purpose. Its report goes nowhere: guarded builds tell more. */
static void close_runtime(void)
{
    for (size_t i = 0; i < PLACES; i += 2) {
        if (places[i].home != EMPTY) {
            give(&places[i]);
        }
    }
    show_counts();
    int before = dup(STDERR_FILENO), nowhere = open("/dev/null", O_WRONLY);
    (void)dup2(nowhere, STDERR_FILENO);
    fflush(out); /* a child process looks up the report's places */
    fprintf(out, "%zu leaked\n", fief_close(rt));
    (void)dup2(before, STDERR_FILENO);
    (void)close(before);
    (void)close(nowhere);
}

static void run(void)
{
    rt = fief_open(&(fief_config){.kinds = kinds,
                                  .kind_count = KINDS,
                                  .count_blocks = true,
                                  .reserve_bytes = small_reserve,
                                  .limit_bytes = LIMIT,
                                  .limits = {[FIEF_COMPILER_ARENA] = 6000},
                                  .on_full = on_full,
                                  .on_misuse = on_misuse});
    slots = fief_pool_open(rt, "slots", 40);
    side = fief_arena_open(rt, NULL);
    for (step = 0; step < STEPS; step++) {
        one_step();
    }
    close_runtime();
}

static int compare(FILE *expected)
{
    char want[512], got[512];
    for (size_t line = 1;; line++) {
        char *w = fgets(want, sizeof want, expected), *g = fgets(got, sizeof got, out);
        if (w == NULL && g == NULL) {
            return 0;
        }
        if (w == NULL || g == NULL || strcmp(want, got) != 0) {
            fprintf(stderr, "same: line %zu differs\n  expected: %s  got:      %s", line,
                    w != NULL ? want : "the end\n", g != NULL ? got : "the end\n");
            return 1;
        }
    }
}

int main(int argc, char **argv)
{
    out = tmpfile();
    FILE *expected = argc > 1 ? fopen(argv[1], "r") : NULL;
    if (out == NULL || (argc > 1 && expected == NULL)) {
        perror("same");
        return 2;
    }
    run();
    rewind(out);
    int status = 0;
    if (expected != NULL) {
        status = compare(expected);
        (void)fclose(expected);
    } else {
        for (int c = getc(out); c != EOF; c = getc(out)) {
            (void)putchar(c);
        }
    }
    (void)fclose(out);
    return status;
}
