/* interleave: every order in which threads can take their steps through the store of idle ranges.
 *
 * core/idle.c is compiled here with operations of our own (steps/): before each of them a thread
 * hands over to the scheduler, which picks who goes on. A run is a list of picks; the next run
 * changes the last pick that had another choice, until there is none: then all orders were seen. In
 * each, a range has one owner at a time, none is lost, and who must find one does. */
#include "core/idle_places.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

enum { THREADS_MOST = 3, PICKS_MOST = 100, STACK_SIZE = 64 << 10, RANGES = 6 };

#include "../../src/core/idle.c"

/* ---- the scheduler ---- */

typedef struct scenario {
    const char *name;
    void (*threads[THREADS_MOST])(void);
    size_t waiting; /* ranges, at first: those of node 0 */
    size_t nodes;   /* threads run on them by turns */
    size_t step;    /* between their numbers; as many as there are rows: they share one */
} scenario;

/* Where each goes on. A jump makes no system call, as swapcontext does. */
static jmp_buf scheduler, lanes[THREADS_MOST];
static unsigned char stacks[THREADS_MOST][STACK_SIZE];
static bool is_done[THREADS_MOST];
static size_t running, picks[PICKS_MOST], choices[PICKS_MOST], picked;
static const scenario *current;

static fief_range ranges[RANGES];
static bool is_owned[RANGES], is_closed[RANGES];
static size_t made;

static void fail(const char *what)
{
    fprintf(stderr, "interleave: %s: %s; picks:", current->name, what);
    for (size_t i = 0; i < picked; i++) {
        fprintf(stderr, " %zu", picks[i]);
    }
    fputc('\n', stderr);
    exit(EXIT_FAILURE);
}

static void hand_over(jmp_buf from, jmp_buf to)
{
    if (_setjmp(from) == 0) {
        _longjmp(to, 1);
    }
}

void step(void)
{
    if (running < THREADS_MOST) {
        hand_over(lanes[running], scheduler);
    }
}

/* A thread takes its part in each run, one after the other. */
static void body(void)
{
    for (;;) {
        hand_over(lanes[running], scheduler);
        current->threads[running]();
        is_done[running] = true;
    }
}

static void start(size_t thread)
{
    static ucontext_t context;
    if (getcontext(&context) != 0) {
        fail("getcontext");
    }
    context.uc_stack.ss_sp = stacks[thread];
    context.uc_stack.ss_size = STACK_SIZE;
    makecontext(&context, body, 0);
    running = thread;
    if (_setjmp(scheduler) == 0) {
        (void)setcontext(&context);
        fail("setcontext");
    }
}

static size_t count_runnable(size_t *ret_runnable)
{
    size_t count = 0;
    for (size_t i = 0; i < THREADS_MOST; i++) {
        if (current->threads[i] != NULL && !is_done[i]) {
            ret_runnable[count++] = i;
        }
    }
    return count;
}

/* The picks so far are those of `picks`; from `known` on, always the first. */
static void run_once(size_t known)
{
    size_t runnable[THREADS_MOST];
    picked = 0;
    for (size_t count; (count = count_runnable(runnable)) > 0; picked++) {
        if (picked == PICKS_MOST) {
            fail("takes too many steps");
        }
        picks[picked] = picked < known ? picks[picked] : 0;
        choices[picked] = count;
        running = runnable[picks[picked]];
        hand_over(scheduler, lanes[running]);
    }
    running = THREADS_MOST;
}

/* ---- who owns what ---- */

static unsigned node_here(void)
{
    return running < THREADS_MOST ? (unsigned)(running % current->nodes * current->step) : 0;
}

static size_t number_of(const fief_range *range)
{
    return (size_t)(range - ranges);
}

/* On the node of who makes it: threads run on node 0, unless the scenario has them on their own. */
static fief_range *make(void)
{
    fief_range *range = &ranges[made];
    *range = (fief_range){.asked = 1, .node = node_here() & (OS_NODES_MAX - 1)};
    is_owned[made++] = true;
    return range;
}

static fief_range *take(size_t asked)
{
    const idle_wish wish = {.asked = asked, .node = node_here()};
    fief_range *range = idle_take(&wish);
    if (range != NULL && is_owned[number_of(range)]) {
        fail("a range has two owners");
    }
    if (range != NULL && range->node != node_here()) {
        fail("a range of another node was taken");
    }
    if (range != NULL) {
        is_owned[number_of(range)] = true;
    }
    return range;
}

static void put(fief_range *range)
{
    is_owned[number_of(range)] = false; /* whoever takes it may do so before idle_put is back */
    if (!idle_put(range)) {
        range_close(range);
    }
}

void range_close(fief_range *range)
{
    size_t number = number_of(range);
    if (is_owned[number] || is_closed[number]) {
        fail("a range is closed that somebody has, or that was closed");
    }
    is_closed[number] = true;
}

size_t os_thread(void)
{
    return (running + 1) << LINE_SHIFT;
}

static void take_and_put(void)
{
    fief_range *range = take(1);
    put(range != NULL ? range : make());
}

static void must_take(void)
{
    if (take(1) == NULL) {
        fail("two wait for two, and one finds none");
    }
}

static void take_another_sort(void)
{
    if (take(2) != NULL) {
        fail("a range of another sort was taken");
    }
}

static void make_and_put(void)
{
    put(make());
}

static void trim(void)
{
    (void)idle_trim();
}

/* ---- all of it ---- */

static void set_up(void)
{
    made = 0;
    for (size_t i = 0; i < RANGES; i++) {
        is_owned[i] = is_closed[i] = false;
    }
    for (size_t i = 0; i < IDLE_PLACES; i++) {
        places[0][i] = i < current->waiting ? make() : NULL;
        places[1][i] = NULL;
        is_owned[i] = false;
    }
    for (size_t i = 0; i < THREADS_MOST; i++) {
        is_done[i] = false;
    }
}

/* Each range that was made waits in one place, or has an owner, or was closed. */
static void check(void)
{
    for (size_t number = 0; number < made; number++) {
        size_t found = (size_t)is_owned[number] + (size_t)is_closed[number];
        for (size_t i = 0; i < (size_t)IDLE_ROWS * IDLE_PLACES; i++) {
            const fief_range *there = places[i / IDLE_PLACES][i % IDLE_PLACES];
            found += there == &ranges[number];
            if (there == &ranges[number] && there->node % IDLE_ROWS != i / IDLE_PLACES) {
                fail("a range waits in another node's row");
            }
        }
        if (found != 1) {
            fail(found == 0 ? "a range is lost" : "a range is in two places");
        }
    }
}

static size_t explore(const scenario *s)
{
    size_t runs = 0, known = 0;
    current = s;
    for (;;) {
        set_up();
        run_once(known);
        check();
        runs++;
        while (picked > 0 && picks[picked - 1] + 1 >= choices[picked - 1]) {
            picked--;
        }
        if (picked == 0) {
            return runs;
        }
        known = picked;
        picks[known - 1]++;
    }
}

int main(void)
{
    static const scenario scenarios[] = {
        {"two take two", {must_take, must_take}, 2, 1, 1},
        {"two take and put one", {take_and_put, take_and_put}, 1, 1, 1},
        {"two take and put, one puts", {take_and_put, take_and_put, make_and_put}, 1, 1, 1},
        {"three put where one fits", {make_and_put, make_and_put, make_and_put}, 1, 1, 1},
        {"one wants another sort", {take_another_sort, take_and_put}, 2, 1, 1},
        {"one wants another sort, one puts", {take_another_sort, make_and_put}, 2, 1, 1},
        {"one trims", {trim, take_and_put, make_and_put}, 1, 1, 1},
        {"two nodes take and put", {take_and_put, take_and_put, make_and_put}, 1, 2, 1},
        {"two nodes share a row", {take_and_put, take_and_put}, 1, 2, IDLE_ROWS},
        {"they share it, and one puts", {take_and_put, make_and_put}, 2, 2, IDLE_ROWS},
    };
    current = &scenarios[0];
    for (size_t i = 0; i < THREADS_MOST; i++) {
        start(i);
    }
    running = THREADS_MOST;
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
        printf("%s: %zu orders\n", scenarios[i].name, explore(&scenarios[i]));
    }
    return EXIT_SUCCESS;
}
