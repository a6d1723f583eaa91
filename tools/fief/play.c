/* play: see play.h. A round is a process: the steps are mapped, what a run needs is mapped and
 * touched, then the clock starts. Blocks are written to in full, as a program would. */
#include "play.h"

#include <fief/fief.h>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A lane while it is played: its allocator, and in an arena how many blocks are alive. */
typedef struct track {
    plan plan;
    fief_pool *pool;
    fief_arena *arena;
    fief_stack *stack;
    uint64_t live;
} track;

enum { DEPTH_MOST = 4096 };

typedef struct ground {
    const play_step *steps;
    uint64_t count;
    void **blocks;
    uint64_t *sizes;
    fief_runtime *rt;
    fief_heap *heap;
    track *tracks;
    fief_unit *units; /* DEPTH_MOST of them */
    uint32_t depth;
    bool uses_units;
    uint32_t *depths; /* of checks: by slot, the units that were open at its birth */
    uint64_t *alive;  /* of checks: by depth, blocks of the unit arena */
    uint64_t outlived, damaged;
} ground;

static void touch(void *block, uint64_t from, uint64_t size)
{
    if (size > from) {
        memset((char *)block + from, 1, size - from);
    }
}

/* ---- libc, and what is loaded before it ---- */

static bool play_libc(const ground *g)
{
    for (uint64_t i = 0; i < g->count; i++) {
        const play_step *s = &g->steps[i];
        void **block = &g->blocks[s->slot], *fresh;
        switch ((step_kind)s->kind) {
        case STEP_UNIT:
        case STEP_UNIT_END:
            continue;
        case STEP_FREE:
            free(*block);
            continue;
        case STEP_RESIZE:
            fresh = realloc(*block, s->size != 0 ? s->size : 1);
            break;
        case STEP_CALLOC:
            fresh = calloc(1, s->size);
            break;
        case STEP_ALIGNED:
            fresh = aligned_alloc((size_t)1 << s->align_log2,
                                  fief_round_up(s->size, (size_t)1 << s->align_log2));
            break;
        default:
            fresh = malloc(s->size);
        }
        if (fresh == NULL && s->size != 0) {
            return false;
        }
        touch(fresh, s->kind == STEP_RESIZE ? g->sizes[s->slot] : 0, s->size);
        *block = fresh;
        g->sizes[s->slot] = s->size;
    }
    return true;
}

/* ---- fief's heap ---- */

static void *make_in_heap(fief_heap *heap, const play_step *s)
{
    if (s->kind == STEP_ALIGNED) {
        size_t align = (size_t)1 << s->align_log2;
        return fief_heap_alloc_aligned(heap, s->size,
                                       align < FIEF_ALIGN_MAX ? align : FIEF_ALIGN_MAX);
    }
    void *fresh = fief_heap_alloc(heap, s->size);
    if (fresh != NULL && s->kind == STEP_CALLOC) {
        memset(fresh, 0, s->size);
    }
    return fresh;
}

static bool play_heap(const ground *g)
{
    for (uint64_t i = 0; i < g->count; i++) {
        const play_step *s = &g->steps[i];
        void **block = &g->blocks[s->slot], *fresh;
        uint64_t *size = &g->sizes[s->slot];
        if (s->kind == STEP_FREE) {
            fief_heap_free(g->heap, *block, *size);
            continue;
        }
        if (s->kind == STEP_RESIZE) {
            fresh = fief_heap_resize(g->heap, *block, *size, s->size);
        } else {
            fresh = make_in_heap(g->heap, s);
        }
        if (fresh == NULL) {
            return false;
        }
        touch(fresh, s->kind == STEP_RESIZE ? *size : 0, s->size);
        *block = fresh;
        *size = s->size;
    }
    return true;
}

/* ---- lanes ---- */

static bool open_tracks(ground *g, const lane *lanes)
{
    for (unsigned i = 0; i < LANES; i++) {
        track *of = &g->tracks[i];
        of->plan = (plan)lanes[i].plan;
        g->uses_units = g->uses_units || of->plan == USE_UNIT_ARENA;
        if (of->plan == USE_POOL) {
            of->pool = fief_pool_open(g->rt, "lane", lanes[i].slot_size);
        } else if (of->plan == USE_STACK) {
            of->stack = fief_stack_open(g->rt, NULL);
        } else if (of->plan != KEEP_HEAP) {
            of->arena = of->plan == USE_UNIT_ARENA ? fief_compiler_arena(g->rt)
                        : of->plan == USE_VM_ARENA ? fief_vm_arena(g->rt)
                                                   : fief_arena_open(g->rt, NULL);
        }
        if (of->plan != KEEP_HEAP && of->pool == NULL && of->arena == NULL && of->stack == NULL) {
            return false;
        }
    }
    return true;
}

/* Multiples of 16, so that each is aligned as malloc's are. */
static uint64_t frame_size(uint64_t size)
{
    return fief_round_up(size != 0 ? size : 1, FIEF_ALIGN);
}

static void *lane_make(const ground *g, track *of, const play_step *s)
{
    void *fresh;
    switch (of->plan) {
    case KEEP_HEAP:
        return make_in_heap(g->heap, s);
    case USE_POOL:
        fresh = fief_pool_take(of->pool);
        break;
    case USE_STACK:
        fresh = fief_stack_push(of->stack, frame_size(s->size));
        break;
    default:
        of->live++;
        fresh = fief_arena_alloc(of->arena, s->size);
    }
    if (fresh != NULL && s->kind == STEP_CALLOC) {
        memset(fresh, 0, s->size);
    }
    return fresh;
}

static void lane_free(ground *g, track *of, void *block, uint64_t size)
{
    if (of->plan == KEEP_HEAP) {
        fief_heap_free(g->heap, block, size);
    } else if (of->plan == USE_POOL) {
        fief_pool_give(of->pool, block);
    } else if (of->plan == USE_STACK) {
        g->outlived += !fief_stack_pop(of->stack, block, frame_size(size));
    } else if (--of->live == 0 && of->plan == USE_BATCH_ARENA) {
        fief_arena_reset(of->arena);
    }
}

static void *lane_resize(const ground *g, const track *of, void *block, uint64_t from, uint64_t to)
{
    return of->plan == KEEP_HEAP  ? fief_heap_resize(g->heap, block, from, to)
           : of->arena == NULL    ? NULL
                                  : fief_arena_resize(of->arena, block, from, to);
}

static bool lane_unit(ground *g, bool begins)
{
    if (begins) {
        if (g->depth + 1 < DEPTH_MOST && g->uses_units) {
            g->units[g->depth] = fief_unit_begin(g->rt);
        }
        g->depth++;
        return g->depth < DEPTH_MOST;
    }
    if (g->depth > 0) {
        g->depth--;
        if (g->uses_units) {
            fief_unit_end(g->rt, g->units[g->depth]);
        }
    }
    return true;
}

static bool play_lanes(ground *g)
{
    for (uint64_t i = 0; i < g->count; i++) {
        const play_step *s = &g->steps[i];
        void **block = &g->blocks[s->slot], *fresh;
        uint64_t *size = &g->sizes[s->slot];
        track *of = &g->tracks[s->lane];
        if (s->kind == STEP_FREE) {
            lane_free(g, of, *block, *size);
            continue;
        }
        if (s->kind >= STEP_UNIT) {
            if (!lane_unit(g, s->kind == STEP_UNIT)) {
                return false;
            }
            continue;
        }
        bool is_new = s->kind != STEP_RESIZE;
        fresh = is_new ? lane_make(g, of, s) : lane_resize(g, of, *block, *size, s->size);
        if (fresh == NULL) {
            return false;
        }
        touch(fresh, is_new ? 0 : *size, s->size);
        *block = fresh;
        *size = s->size;
    }
    return true;
}

/* ---- the same, with an eye on every block: its first and last byte are its own ---- */

static unsigned char stamp_of(const ground *g, uint32_t slot)
{
    return (unsigned char)(slot * 31u + g->depths[slot] * 7u + 1u);
}

static void stamp(const ground *g, uint32_t slot)
{
    unsigned char *bytes = g->blocks[slot];
    if (g->sizes[slot] > 0) {
        bytes[0] = bytes[g->sizes[slot] - 1] = stamp_of(g, slot);
    }
}

static void look(ground *g, uint32_t slot)
{
    const unsigned char *bytes = g->blocks[slot];
    uint64_t size = g->sizes[slot];
    g->damaged +=
        size > 0 && (bytes[0] != stamp_of(g, slot) || bytes[size - 1] != stamp_of(g, slot));
}

/* Before a step: what is to be true of the block that it ends or moves, and of those that end with
 * a unit; a temporary has a unit. */
static void check_before(ground *g, const play_step *s)
{
    const track *of = &g->tracks[s->lane];
    if (s->kind == STEP_FREE || s->kind == STEP_RESIZE) {
        look(g, s->slot);
    }
    if (s->kind == STEP_FREE && of->plan == USE_UNIT_ARENA) {
        uint32_t born = g->depths[s->slot];
        g->alive[born] -= g->alive[born] > 0;
    }
    g->outlived += s->kind < STEP_FREE && of->plan == USE_UNIT_ARENA && g->depth == 0;
    if (s->kind == STEP_UNIT_END && g->depth > 0) {
        g->outlived += g->alive[g->depth];
        g->alive[g->depth] = 0;
    }
}

static void check_after(ground *g, const play_step *s)
{
    bool is_new = s->kind < STEP_FREE;
    if (is_new) {
        g->depths[s->slot] = g->depth;
        g->alive[g->depth] += g->tracks[s->lane].plan == USE_UNIT_ARENA;
    }
    if (is_new || s->kind == STEP_RESIZE) {
        stamp(g, s->slot);
    }
}

static bool play_checked(ground *g)
{
    ground one = *g;
    bool sound = true;
    one.count = 1;
    for (uint64_t i = 0; sound && i < g->count; i++) {
        check_before(&one, &g->steps[i]);
        if (one.outlived > 0) {
            break;
        }
        one.steps = &g->steps[i];
        sound = play_lanes(&one);
        check_after(&one, &g->steps[i]);
    }
    g->outlived = one.outlived;
    g->damaged = one.damaged;
    return sound;
}

/* ---- a process ---- */

/* The process's own time: whatever else runs on the machine only takes away its cache. */
static uint64_t nanoseconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* KiB, of /proc/self/status; read without malloc. */
static uint64_t status_of(const char *name)
{
    char text[4096];
    int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t size = file >= 0 ? read(file, text, sizeof text - 1) : 0;
    if (file >= 0) {
        (void)close(file);
    }
    text[size > 0 ? size : 0] = '\0';
    const char *at = strstr(text, name);
    return at != NULL ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static void forget_peak(void)
{
    int file = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    ssize_t written = file >= 0 ? write(file, "5", 1) : 0;
    (void)written;
    if (file >= 0) {
        (void)close(file);
    }
}

static void *map_ready(size_t size, int flags, int file)
{
    void *at =
        mmap(NULL, size, PROT_READ | (file < 0 ? PROT_WRITE : 0), flags | MAP_POPULATE, file, 0);
    return at != MAP_FAILED ? at : NULL;
}

static void *map_zero(size_t count, size_t size)
{
    return map_ready((count + 1) * size, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

typedef struct order {
    char allocator[20];
    int file, lanes; /* descriptors; lanes -1: none */
    int checks;
    unsigned long long count, slots;
} order;

static bool lay_ground(ground *g, const order *o, const lane **ret_lanes)
{
    bool has_lanes = o->lanes >= 0;
    g->count = o->count;
    g->steps = map_ready(o->count * sizeof(play_step), MAP_SHARED, o->file);
    g->blocks = map_zero(o->slots, sizeof *g->blocks);
    g->sizes = map_zero(o->slots, sizeof *g->sizes);
    g->tracks = map_zero(LANES, sizeof *g->tracks);
    g->units = map_zero(DEPTH_MOST, sizeof *g->units);
    g->depths = o->checks ? map_zero(o->slots, sizeof *g->depths) : NULL;
    g->alive = o->checks ? map_zero(DEPTH_MOST, sizeof *g->alive) : NULL;
    *ret_lanes = has_lanes ? map_ready(LANES * sizeof(lane), MAP_SHARED, o->lanes) : NULL;
    return g->steps != NULL && g->blocks != NULL && g->sizes != NULL && g->tracks != NULL &&
           g->units != NULL && (!o->checks || (g->depths != NULL && g->alive != NULL)) &&
           (!has_lanes || *ret_lanes != NULL);
}

static bool run_ground(ground *g, const order *o, const lane *lanes)
{
    if (strcmp(o->allocator, "fief") != 0) {
        return play_libc(g);
    }
    g->rt = fief_open(NULL);
    g->heap = g->rt != NULL ? fief_runtime_heap(g->rt) : NULL;
    if (g->heap == NULL || (lanes != NULL && !open_tracks(g, lanes))) {
        return false;
    }
    return lanes == NULL ? play_heap(g) : o->checks ? play_checked(g) : play_lanes(g);
}

int play_work(const char *words)
{
    order o;
    ground g = {0};
    const lane *lanes;
    char text[200];
    if (sscanf(words, "%19s %d %d %d %llu %llu", o.allocator, &o.file, &o.lanes, &o.checks,
               &o.count, &o.slots) != 6) {
        return USAGE;
    }
    if (!lay_ground(&g, &o, &lanes)) {
        return CANNOT_RUN;
    }
    forget_peak();
    uint64_t before = status_of("VmRSS:"), began = nanoseconds();
    if (!run_ground(&g, &o, lanes)) {
        return CANNOT_RUN;
    }
    uint64_t took = nanoseconds() - began, peak = status_of("VmHWM:");
    int length = snprintf(text, sizeof text, "%llu %llu %llu %llu\n", (unsigned long long)took,
                          (unsigned long long)(peak > before ? peak - before : 0),
                          (unsigned long long)g.outlived, (unsigned long long)g.damaged);
    /* Without a look for leaks: what the trace leaves is left. */
    _exit(write(STDOUT_FILENO, text, (size_t)length) == length ? DONE : CANNOT_RUN);
}

/* ---- its parent ---- */

static int lanes_file(const lane *lanes)
{
    int file = memfd_create("lanes", 0);
    size_t size = LANES * sizeof *lanes;
    if (file >= 0 && write(file, lanes, size) != (ssize_t)size) {
        (void)close(file);
        file = -1;
    }
    return file;
}

static _Noreturn void become_round(const play *p, int lanes, int out)
{
    char text[120];
    uint64_t all = p->steps->count, count = p->most != 0 && p->most < all ? p->most : all;
    (void)snprintf(text, sizeof text, "%s %d %d %d %llu %llu", p->allocator, p->steps->file, lanes,
                   p->checks, (unsigned long long)count, (unsigned long long)p->steps->slots);
    (void)setenv("FIEF_REPLAY", text, 1);
    if (p->library != NULL && p->library[0] != '\0') {
        (void)setenv("LD_PRELOAD", p->library, 1);
    }
    (void)dup2(out, STDOUT_FILENO);
    execl("/proc/self/exe", "fief", "replay", (char *)NULL);
    _exit(CANNOT_RUN);
}

bool play_round(const play *p, played *ret)
{
    int ends[2], status, lanes = p->lanes != NULL ? lanes_file(p->lanes) : -1;
    char text[200] = "";
    unsigned long long took, kib, outlived, damaged;
    if ((p->lanes != NULL && lanes < 0) || pipe(ends) != 0) {
        return false;
    }
    pid_t child = fork();
    if (child == 0) {
        (void)close(ends[0]);
        become_round(p, lanes, ends[1]);
    }
    (void)close(ends[1]);
    ssize_t got = child > 0 ? read(ends[0], text, sizeof text - 1) : -1;
    (void)close(ends[0]);
    if (lanes >= 0) {
        (void)close(lanes);
    }
    if (child < 0 || waitpid(child, &status, 0) < 0 || got <= 0 || status != 0 ||
        sscanf(text, "%llu %llu %llu %llu", &took, &kib, &outlived, &damaged) != 4) {
        return false;
    }
    *ret = (played){took, kib, outlived, damaged};
    return true;
}
