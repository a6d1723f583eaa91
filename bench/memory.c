/* bench-memory: how much memory an allocator holds for what a program has. One process, one
 * allocator, one scenario; memory.py runs them beside each other.
 *
 *     server   requests come and go at a steady number of live bytes: does what is held grow? Their
 *              sizes are drawn from four mixes, or drift from one mix to the next
 *     fall     a peak falls to a tenth of it, and the allocator is asked to give back the rest
 *
 * A line of JSON a point: operations so far, bytes asked for and alive, bytes of resident memory
 * beyond those at the start. An operation is an allocation or a free. */
#include "cases.h"
#include "peer.h"

#include <fief/fief.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MIXES = 4, SIZES = 4096, SHORT_MOST = 64, BAD_USAGE = 2 };
static const size_t fall_live = (size_t)100 << 20;

/* What stays: small objects, strings, tables that have grown, and buffers. */
static const weight mixes[MIXES][8] = {
    {{16, 25}, {32, 25}, {48, 20}, {64, 20}, {128, 9}, {4000, 1}, {0, 0}},
    {{24, 20}, {40, 20}, {96, 30}, {200, 20}, {500, 9}, {20000, 1}, {0, 0}},
    {{64, 30}, {160, 30}, {320, 30}, {1000, 8}, {6000, 2}, {0, 0}},
    {{16, 50}, {56, 30}, {80, 18}, {2500, 1}, {40000, 1}, {0, 0}},
};

typedef struct block {
    void *start;
    size_t size;
} block;

typedef struct bench_memory {
    fief_runtime *rt; /* NULL: malloc */
    fief_heap *heap;
    uint16_t sizes[MIXES][SIZES];
    block *blocks;
    size_t count, capacity, live;
    uint64_t operations, seed;
    size_t resident; /* at the start */
} bench_memory;

static size_t resident_bytes(void)
{
    unsigned long whole, resident;
    FILE *statm = fopen("/proc/self/statm", "r");
    if (statm == NULL || fscanf(statm, "%lu %lu", &whole, &resident) != 2) {
        give_up("/proc/self/statm cannot be read");
    }
    fclose(statm);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* ---- operations ---- */

/* Each page of it is touched, as its owner would. */
static block take(bench_memory *m, size_t size)
{
    block b = {m->rt != NULL ? fief_heap_alloc(m->heap, size) : malloc(size), size};
    if (b.start == NULL) {
        give_up("out of memory");
    }
    for (size_t at = 0; at < size; at += 4096) {
        store((unsigned char *)b.start + (at & ~(size_t)7), size);
    }
    m->live += size;
    m->operations++;
    return b;
}

static void give(bench_memory *m, block b)
{
    if (m->rt != NULL) {
        fief_heap_free(m->heap, b.start, b.size);
    } else {
        free(b.start);
    }
    m->live -= b.size;
    m->operations++;
}

static void keep(bench_memory *m, block b)
{
    if (m->count == m->capacity) {
        give_up("more blocks than expected");
    }
    m->blocks[m->count++] = b;
}

/* Not one of the first `stay`. */
static void give_any(bench_memory *m, size_t stay)
{
    size_t which = stay + draw(&m->seed, m->count - stay);
    give(m, m->blocks[which]);
    m->blocks[which] = m->blocks[--m->count];
}

/* In the first part of a drift mostly of one mix, later mostly of the next; without one, of any. */
static size_t size_now(bench_memory *m, double drift)
{
    size_t mix = (size_t)drift;
    if (drift < 0) {
        mix = draw(&m->seed, MIXES);
    } else if ((double)draw(&m->seed, 1000) < (drift - (double)mix) * 1000) {
        mix++;
    }
    return m->sizes[mix % MIXES][draw(&m->seed, SIZES)];
}

/* ---- scenarios ---- */

static void tell(const bench_memory *m, const char *scenario)
{
    printf("{\"scenario\": \"%s\", \"operations\": %llu, \"live\": %zu, \"held\": %zu}\n", scenario,
           (unsigned long long)m->operations, m->live, resident_bytes() - m->resident);
    fflush(stdout);
}

/* A request: what it makes for itself goes when it is answered; what it leaves takes the place of
 * other things. */
static void serve(bench_memory *m, double drift, size_t live)
{
    block own[SHORT_MOST];
    size_t count = 1 + draw(&m->seed, SHORT_MOST);
    for (size_t i = 0; i < count; i++) {
        own[i] = take(m, size_now(m, drift));
        if (i % 4 == 0) {
            keep(m, take(m, size_now(m, drift)));
        }
    }
    for (size_t i = count; i > 0; i--) {
        give(m, own[i - 1]);
    }
    while (m->live > live) {
        give_any(m, 0);
    }
}

static void run_server(bench_memory *m, uint64_t operations, size_t live, size_t points,
                       uint64_t drifts)
{
    double none = -1;
    while (m->live < live) {
        keep(m, take(m, size_now(m, drifts != 0 ? 0 : none)));
    }
    uint64_t next = 0, begun = m->operations;
    while (m->operations - begun < operations) {
        uint64_t done = m->operations - begun;
        double drift = (double)drifts * (double)done / (double)operations;
        serve(m, drifts != 0 ? drift : none, live);
        if (done >= next) {
            tell(m, "server");
            next += operations / points;
        }
    }
    tell(m, "server");
}

/* Each allocator by its own call. */
static void ask_to_trim(const bench_memory *m)
{
    void (*release)(void), (*collect)(bool);
    int (*trim)(size_t), (*control)(const char *, void *, size_t *, void *, size_t);
    peer_find("MallocExtension_ReleaseFreeMemory", &release, sizeof release);
    peer_find("mi_collect", &collect, sizeof collect);
    peer_find("mallctl", &control, sizeof control);
    peer_find("malloc_trim", &trim, sizeof trim);
    if (m->rt != NULL) {
        (void)fief_trim(m->rt);
    } else if (release != NULL) {
        release();
    } else if (collect != NULL) {
        collect(true);
    } else if (control != NULL) { /* 4096: all arenas */
        (void)control("thread.tcache.flush", NULL, NULL, NULL, 0);
        (void)control("arena.4096.purge", NULL, NULL, NULL, 0);
    } else if (trim != NULL) {
        (void)trim(0);
    }
}

/* What was there before the peak stays; what made it goes, in any order. */
static void run_fall(bench_memory *m)
{
    while (m->live < fall_live / 10) {
        keep(m, take(m, size_now(m, 0)));
    }
    size_t stay = m->count;
    while (m->live < fall_live) {
        keep(m, take(m, size_now(m, 0.5))); /* of two mixes */
    }
    tell(m, "fall");
    while (m->count > stay) {
        give_any(m, stay);
    }
    tell(m, "fall");
    ask_to_trim(m);
    tell(m, "fall");
}

/* ---- main ---- */

static void prepare(bench_memory *m, bool is_fief, size_t live)
{
    for (size_t i = 0; i < MIXES; i++) {
        draw_sizes(mixes[i], m->sizes[i], SIZES);
    }
    m->seed = 1;
    m->capacity = live / 16 + 4096;
    m->blocks = calloc(m->capacity, sizeof *m->blocks);
    if (m->blocks == NULL) {
        give_up("out of memory");
    }
    memset(m->blocks, 1, m->capacity * sizeof *m->blocks); /* resident from now on */
    if (is_fief) {
        m->rt = must_open();
        m->heap = fief_runtime_heap(m->rt);
    }
    m->resident = resident_bytes();
}

static bool parse_number(const char *text, uint64_t *ret_number)
{
    char *end;
    errno = 0;
    *ret_number = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && errno == 0 && *end == '\0';
}

int main(int argc, char **argv)
{
    static bench_memory m;
    uint64_t operations = 0, live = 0, points = 0, drifts = 0;
    bool is_fief = argc > 1 && strcmp(argv[1], "fief") == 0;
    bool is_known = is_fief || (argc > 1 && strcmp(argv[1], "malloc") == 0);
    if (is_known && argc == 3 && strcmp(argv[2], "fall") == 0) {
        prepare(&m, is_fief, fall_live);
        run_fall(&m);
    } else if (is_known && argc == 7 && strcmp(argv[2], "server") == 0 &&
               parse_number(argv[3], &operations) && parse_number(argv[4], &live) &&
               parse_number(argv[5], &points) && parse_number(argv[6], &drifts) && points != 0 &&
               points <= operations && live != 0 && live <= SIZE_MAX / 2) {
        prepare(&m, is_fief, (size_t)live);
        run_server(&m, operations, (size_t)live, (size_t)points, drifts);
    } else {
        fputs("usage: bench-memory fief|malloc fall\n"
              "       bench-memory fief|malloc server OPERATIONS LIVE-BYTES POINTS DRIFTS\n",
              stderr);
        return BAD_USAGE;
    }
    while (m.count > 0) {
        give_any(&m, 0);
    }
    free(m.blocks);
    return m.rt == NULL || fief_close(m.rt) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
