/* machine: where pages lie, on a machine with nodes of memory. A plain program in TAP, which asks
 * the system itself (move_pages, numa_maps) and not the library.
 *
 * tools/numa.py boots a small virtual machine in which it is the only program, process 1. Where
 * there is one node it asserts that the library says so, and that all policies work. */
#include <fief/fief.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE = 4096, LARGE = 1 << 20, RESERVE = 64 << 20, CPUS = 64 };

static unsigned number, failures;
static bool good;

static void expect(bool holds, const char *what, int line)
{
    if (!holds) {
        printf("# line %d: %s\n", line, what);
        good = false;
    }
}
#define EXPECT(condition) expect((condition), #condition, __LINE__)

/* ---- the system's own words ---- */

static int node_of(const void *address)
{
    void *page = (void *)((uintptr_t)address & ~(uintptr_t)(PAGE - 1));
    int node = -1;
    return syscall(SYS_move_pages, 0, 1UL, &page, NULL, &node, 0) == 0 ? node : -1;
}

/* All pages of the bytes. */
static bool lies_on(const void *start, size_t size, int node)
{
    for (size_t at = 0; at < size; at += PAGE) {
        int found = node_of((const char *)start + at);
        if (found != node) {
            printf("# page %zu of %p is on node %d, not %d\n", at / PAGE, start, found, node);
            return false;
        }
    }
    return true;
}

static size_t count_on(const void *start, size_t size, int node)
{
    size_t count = 0;
    for (size_t at = 0; at < size; at += PAGE) {
        count += node_of((const char *)start + at) == node;
    }
    return count;
}

/* Does the line of numa_maps for the mapping that holds the address have that policy? */
static bool has_policy(const void *address, const char *policy)
{
    char line[1024], best[1024] = "";
    FILE *maps = fopen("/proc/self/numa_maps", "r");
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        if (strtoull(line, NULL, 16) <= (uintptr_t)address) {
            memcpy(best, line, sizeof best);
        }
    }
    if (maps != NULL) {
        (void)fclose(maps);
    }
    return strstr(best, policy) != NULL;
}

/* The thread runs on the first processor of that node from now on. */
static void run_on(unsigned node)
{
    for (unsigned cpu = 0; cpu < CPUS; cpu++) {
        char path[100];
        (void)snprintf(path, sizeof path, "/sys/devices/system/node/node%u/cpu%u", node, cpu);
        if (access(path, F_OK) == 0) {
            cpu_set_t set;
            CPU_ZERO(&set);
            CPU_SET(cpu, &set);
            EXPECT(sched_setaffinity(0, sizeof set, &set) == 0);
            EXPECT(fief_node() == node);
            return;
        }
    }
    expect(false, "a node without a processor", __LINE__);
}

/* ---- blocks, touched ---- */

static bool is_guarded(void)
{
    return strcmp(fief_mode(), "release") != 0;
}

static fief_runtime *open_placed(fief_config config)
{
    fief_error error = {0};
    config.error = &error;
    config.reserve_bytes = config.reserve_bytes != 0 ? config.reserve_bytes : RESERVE;
    fief_runtime *rt = fief_open(&config);
    if (rt == NULL) {
        printf("Bail out! no runtime: %s\n", error.text);
        exit(EXIT_FAILURE);
    }
    return rt;
}

static unsigned char *touched(void *block, size_t size)
{
    EXPECT(block != NULL);
    return block != NULL ? memset(block, 7, size) : NULL;
}

static unsigned char *make(fief_runtime *rt, unsigned kind, size_t size)
{
    return touched(fief_new(rt, kind, FIEF_DYNAMIC, size), size);
}

static unsigned char *make_native(fief_runtime *rt, size_t size)
{
    return touched(fief_new(rt, FIEF_KIND_NATIVE, FIEF_NATIVE, size), size);
}

/* ---- with one node, and with any number ---- */

static void the_number_of_nodes_is_the_systems(void)
{
    unsigned count = 0;
    for (unsigned node = 0; node < 1024; node++) {
        char path[100];
        (void)snprintf(path, sizeof path, "/sys/devices/system/node/node%u/meminfo", node);
        count += access(path, F_OK) == 0;
    }
    printf("# %u nodes\n", fief_nodes());
    EXPECT(fief_nodes() == (count > 0 ? count : 1) || fief_nodes() == 1);
}

static void a_node_that_is_not_there_is_refused(void)
{
    fief_error error = {0};
    fief_config config = {.placement = {FIEF_NODE_ON, 1000}, .error = &error};
    EXPECT(fief_open(&config) == NULL);
    EXPECT(error.status == FIEF_BAD_CONFIG);
    EXPECT(strstr(error.text, "placement.node is 1000, which this system of ") != NULL);
}

static void every_policy_works(void)
{
    for (unsigned policy = FIEF_NODE_DEFAULT; policy <= FIEF_NODE_INTERLEAVE; policy++) {
        unsigned node = policy == FIEF_NODE_ON ? fief_node() : 0;
        fief_placement placement = {(fief_node_policy)policy, node};
        fief_runtime *rt = open_placed((fief_config){
            .placement = placement, .placements = {[FIEF_POOL] = placement}});
        const unsigned char *block = make(rt, FIEF_KIND_VECTOR, LARGE);
        const unsigned char *pair = make(rt, FIEF_KIND_PAIR, 48);
        EXPECT(fief_follow(rt));
        EXPECT(block[LARGE - 1] == 7 && pair[47] == 7);
        EXPECT(fief_node_of(block) >= 0);
        fief_drop(rt);
    }
}

static void one_node_has_everything(void)
{
    fief_runtime *rt = open_placed((fief_config){.placement = {FIEF_NODE_INTERLEAVE, 0}});
    char text[8000];
    (void)fief_stats_json(rt, text, sizeof text);
    EXPECT(fief_nodes() == 1);
    EXPECT(strstr(text, "\"nodes\":{\"count\":1,\"placement\":\"default\"") != NULL);
    EXPECT(fief_node_of(rt) == (int)fief_node());
    fief_drop(rt);
}

/* ---- with several ---- */

static void a_runtime_lies_on_its_node(void)
{
    for (unsigned node = 0; node < fief_nodes(); node++) {
        run_on(1 - node % 2);
        fief_runtime *rt = open_placed((fief_config){.placement = {FIEF_NODE_ON, node}});
        char policy[40];
        (void)snprintf(policy, sizeof policy, "prefer:%u", node);
        (void)fief_unit_begin(rt);
        EXPECT(lies_on(make(rt, FIEF_KIND_VECTOR, LARGE), LARGE, (int)node));
        EXPECT(lies_on(make(rt, FIEF_KIND_PAIR, 48), 48, (int)node));
        EXPECT(lies_on(make_native(rt, LARGE), LARGE, (int)node));
        EXPECT(lies_on(touched(fief_temp(rt, char, LARGE), LARGE), LARGE, (int)node));
        EXPECT(lies_on(make(rt, FIEF_KIND_CALL_FRAME, 5000), 5000, (int)node));
        EXPECT(lies_on(rt, sizeof *rt, (int)node));
        EXPECT(has_policy(make_native(rt, 100), policy));
        EXPECT(fief_node_of(rt) == (int)node);
        fief_drop(rt);
    }
}

static void by_default_pages_lie_where_they_are_touched(void)
{
    for (unsigned i = 0; i < 4; i++) {
        run_on(i % 2);
        fief_placement placement = {i < 2 ? FIEF_NODE_DEFAULT : FIEF_NODE_LOCAL, 0};
        fief_runtime *rt = open_placed((fief_config){.placement = placement});
        EXPECT(lies_on(make(rt, FIEF_KIND_VECTOR, LARGE), LARGE, (int)(i % 2)));
        EXPECT(lies_on(make_native(rt, LARGE), LARGE, (int)(i % 2)));
        fief_drop(rt);
    }
}

static void interleaved_pages_lie_on_each_node_in_turn(void)
{
    fief_runtime *rt = open_placed((fief_config){.placement = {FIEF_NODE_INTERLEAVE, 0}});
    const unsigned char *block = make(rt, FIEF_KIND_VECTOR, LARGE);
    size_t share = LARGE / PAGE / fief_nodes();
    for (unsigned node = 0; node < fief_nodes(); node++) {
        size_t count = count_on(block, LARGE, (int)node);
        printf("# node %u has %zu of %d pages\n", node, count, LARGE / PAGE);
        EXPECT(count + 1 >= share && count <= share + 1);
    }
    EXPECT(node_of(block) != node_of(block + PAGE));
    EXPECT(has_policy(block, "interleave:"));
    fief_drop(rt);
}

static void strategies_lie_apart(void)
{
    run_on(0);
    fief_runtime *rt = open_placed((fief_config){
        .placements = {[FIEF_POOL] = {FIEF_NODE_ON, 1},
                       [FIEF_VM_ARENA] = {FIEF_NODE_INTERLEAVE, 0},
                       [FIEF_COMPILER_ARENA] = {FIEF_NODE_ON, 1}}});
    (void)fief_unit_begin(rt);
    const unsigned char *native = make_native(rt, LARGE);
    EXPECT(lies_on(make(rt, FIEF_KIND_PAIR, 48), 48, 1));
    EXPECT(lies_on(make(rt, FIEF_KIND_VECTOR, LARGE), LARGE, 0));
    EXPECT(lies_on(touched(fief_temp(rt, char, LARGE), LARGE), LARGE, 1));
    EXPECT(lies_on(touched(fief_temp(rt, char, 100), 100), 100, 1));
    EXPECT(count_on(native, LARGE, 1) >= LARGE / PAGE / fief_nodes() - 1);
    EXPECT(fief_stats_unplaced(rt) == 0);
    fief_drop(rt);
}

/* The heap's pages become the vm arena's, with another placement. */
static void pages_change_with_their_strategy(void)
{
    run_on(0);
    fief_runtime *rt = open_placed((fief_config){.reserve_bytes = 8 << 20,
                                                 .quarantine_bytes = 1,
                                                 .placements = {[FIEF_HEAP] = {FIEF_NODE_ON, 1}}});
    size_t reused = 0;
    for (int round = 0; round < 4; round++) {
        unsigned char *block = make(rt, FIEF_KIND_VECTOR, LARGE);
        EXPECT(lies_on(block, LARGE, 1));
        fief_free(rt, FIEF_KIND_VECTOR, block, LARGE);
        unsigned char *native = make_native(rt, LARGE);
        reused += native == block;
        EXPECT(lies_on(native, LARGE, 0));
        fief_arena_reset(fief_vm_arena(rt));
    }
    EXPECT(is_guarded() || reused > 0);
    fief_drop(rt);
}

static void a_kept_unit_comes_to_the_vm_arenas_node(void)
{
    run_on(0);
    fief_runtime *rt =
        open_placed((fief_config){.placements = {[FIEF_VM_ARENA] = {FIEF_NODE_ON, 1}}});
    fief_unit unit = fief_unit_begin(rt);
    unsigned char *large = touched(fief_temp(rt, char, LARGE), LARGE);
    unsigned char *small = touched(fief_temp(rt, char, 100), 100);
    EXPECT(lies_on(large, LARGE, 0) && lies_on(small, 100, 0));
    EXPECT(fief_unit_keep(rt, unit));
    EXPECT(lies_on(large, LARGE, 1) && lies_on(small, 100, 1));
    EXPECT(large[LARGE - 1] == 7 && small[99] == 7);
    fief_drop(rt);
}

static void a_runtime_that_moves_takes_its_pages_along(void)
{
    run_on(0);
    fief_runtime *rt =
        open_placed((fief_config){.placements = {[FIEF_POOL] = {FIEF_NODE_ON, 0}}});
    unsigned char *block = make(rt, FIEF_KIND_VECTOR, LARGE), *native = make_native(rt, LARGE);
    unsigned char *pair = make(rt, FIEF_KIND_PAIR, 48);
    EXPECT(lies_on(block, LARGE, 0) && lies_on(native, LARGE, 0));
    run_on(1);
    fief_adopt(rt);
    EXPECT(lies_on(block, LARGE, 0));
    EXPECT(fief_follow(rt));
    EXPECT(lies_on(block, LARGE, 1) && lies_on(native, LARGE, 1) && lies_on(rt, sizeof *rt, 1));
    EXPECT(lies_on(pair, 48, 0));
    for (size_t i = 0; i < LARGE; i++) {
        EXPECT(block[i] == 7 && native[i] == 7);
    }
    run_on(0);
    EXPECT(lies_on(make(rt, FIEF_KIND_VECTOR, LARGE), LARGE, 0)); /* touched here, from now on */
    fief_drop(rt);
}

static fief_runtime *open_recycled(void)
{
    return open_placed((fief_config){.recycle_range = true});
}

static void idle_ranges_wait_on_their_node(void)
{
    (void)fief_trim_idle();
    run_on(0);
    fief_runtime *first = open_recycled();
    (void)make(first, FIEF_KIND_VECTOR, LARGE);
    fief_drop(first);
    run_on(1);
    fief_runtime *second = open_recycled();
    EXPECT(is_guarded() || second != first);
    EXPECT(lies_on(make(second, FIEF_KIND_VECTOR, LARGE), LARGE, 1));
    run_on(0);
    fief_drop(second); /* closed far from its pages */
    fief_runtime *third = open_recycled();
    EXPECT(is_guarded() || third == first);
    EXPECT(lies_on(make(third, FIEF_KIND_VECTOR, LARGE), LARGE, 0));
    run_on(1);
    fief_runtime *fourth = open_recycled();
    EXPECT(is_guarded() || fourth == second);
    EXPECT(lies_on(make(fourth, FIEF_KIND_VECTOR, LARGE), LARGE, 1));
    fief_drop(third);
    fief_drop(fourth);
    EXPECT(fief_trim_idle() == (is_guarded() ? 0 : 2));
}

static void a_kept_range_is_placed_anew(void)
{
    fief_range *range = fief_range_open(RESERVE);
    run_on(0);
    for (unsigned i = 0; i < 4; i++) {
        fief_runtime *rt = open_placed((fief_config){
            .range = range, .placement = {i == 3 ? FIEF_NODE_DEFAULT : FIEF_NODE_ON, i == 1}});
        EXPECT(lies_on(make(rt, FIEF_KIND_VECTOR, LARGE), LARGE, i == 1));
        fief_drop(rt);
    }
    EXPECT(fief_range_close(range));
}

/* More than a node has: the rest comes from another, and nobody is ended for it. */
static void a_full_node_is_helped_out(void)
{
    enum { STEP = 8 << 20, STEPS = 34 };
    if (getpid() != 1 || is_guarded()) {
        return; /* of a machine of somebody's we leave the memory alone */
    }
    run_on(0);
    fief_runtime *rt = open_placed(
        (fief_config){.reserve_bytes = (size_t)1 << 30, .placement = {FIEF_NODE_ON, 1}});
    size_t far = 0;
    for (int i = 0; i < STEPS && far == 0; i++) {
        const unsigned char *block = make(rt, FIEF_KIND_VECTOR, STEP);
        far += STEP / PAGE - count_on(block, STEP, 1);
    }
    EXPECT(far > 0);
    fief_drop(rt);
}

/* An image of a list that is longer than a page, with a copy for each node. */
typedef struct cell {
    struct cell *next;
    char text[200];
} cell;

enum { CELLS = 200 };
static const size_t cell_pointers[] = {0};
static const fief_kind kinds[] = {
    {.name = "cell", .size = sizeof(cell), .any = FIEF_VM_ARENA, .pointers = cell_pointers,
     .pointer_count = 1},
};

static bool save_cells(const char *path)
{
    static const fief_arena_config recorded = {.recorded = true};
    fief_runtime *rt =
        open_placed((fief_config){.kinds = kinds, .kind_count = 1, .vm_arena = &recorded});
    cell *first = NULL;
    for (int i = 0; i < CELLS; i++) {
        cell *fresh = fief_new(rt, 0, FIEF_CONSTANT, sizeof *fresh);
        fresh->next = first;
        first = fresh;
    }
    bool saved =
        fief_image_save(fief_vm_arena(rt), path, &(fief_image_config){.root = first});
    fief_drop(rt);
    return saved;
}

static bool all_cells_lie_on(const cell *first, int node)
{
    size_t count = 0;
    for (; first != NULL; first = first->next) {
        count += node_of(first) == node;
    }
    return count == CELLS;
}

static void images_have_a_copy_on_each_node(void)
{
    const char *path = "cells.img";
    const fief_image_config config = {.per_node = true};
    fief_runtime *readers[4];
    const cell *roots[4];
    EXPECT(save_cells(path));
    for (unsigned i = 0; i < 4; i++) {
        run_on(i % 2);
        readers[i] = open_placed((fief_config){.kinds = kinds, .kind_count = 1});
        fief_image *image = fief_image_open(readers[i], path, &config);
        roots[i] = image != NULL ? fief_image_root(image) : NULL;
        EXPECT(all_cells_lie_on(roots[i], (int)(i % 2)));
    }
    EXPECT(roots[0] == roots[2] && roots[1] == roots[3]); /* of the node's first */
    EXPECT(roots[0] != roots[1]);
    fief_drop(readers[0]);
    EXPECT(all_cells_lie_on(roots[2], 0));
    for (unsigned i = 1; i < 4; i++) {
        fief_drop(readers[i]);
    }
    EXPECT(node_of(roots[0]) < 0 && node_of(roots[1]) < 0); /* given back */
    (void)remove(path);
}

enum { THREADS = 4, ROUNDS = 40 };
static unsigned numbers[THREADS];
static bool all_were_sound[THREADS];

/* Each on its node, while others make copies, share them and give them back. */
static void *open_and_close(void *ordinal)
{
    unsigned n = *(const unsigned *)ordinal;
    bool sound = true;
    run_on(n % 2);
    for (int round = 0; round < ROUNDS; round++) {
        fief_runtime *rt = open_placed((fief_config){.kinds = kinds, .kind_count = 1});
        fief_image *image =
            fief_image_open(rt, "cells.img", &(fief_image_config){.per_node = true});
        const cell *root = image != NULL ? fief_image_root(image) : NULL;
        sound = sound && root != NULL && node_of(root) == (int)(n % 2) && root->next != NULL;
        fief_drop(rt);
    }
    all_were_sound[n] = sound;
    return NULL;
}

static void threads_share_the_copies_of_their_node(void)
{
    pthread_t threads[THREADS];
    EXPECT(save_cells("cells.img"));
    for (unsigned i = 0; i < THREADS; i++) {
        numbers[i] = i;
        EXPECT(pthread_create(&threads[i], NULL, open_and_close, &numbers[i]) == 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        EXPECT(pthread_join(threads[i], NULL) == 0);
        EXPECT(all_were_sound[i]);
    }
    (void)remove("cells.img");
}

/* ---- all of it ---- */

static const struct test {
    const char *name;
    void (*run)(void);
    bool on_one, on_several;
} tests[] = {
#define TEST(name, on_one, on_several) {#name, name, on_one, on_several}
    TEST(the_number_of_nodes_is_the_systems, true, true),
    TEST(a_node_that_is_not_there_is_refused, true, true),
    TEST(every_policy_works, true, true),
    TEST(one_node_has_everything, true, false),
    TEST(a_runtime_lies_on_its_node, false, true),
    TEST(by_default_pages_lie_where_they_are_touched, false, true),
    TEST(interleaved_pages_lie_on_each_node_in_turn, false, true),
    TEST(strategies_lie_apart, false, true),
    TEST(pages_change_with_their_strategy, false, true),
    TEST(a_kept_unit_comes_to_the_vm_arenas_node, false, true),
    TEST(a_runtime_that_moves_takes_its_pages_along, false, true),
    TEST(idle_ranges_wait_on_their_node, false, true),
    TEST(a_kept_range_is_placed_anew, false, true),
    TEST(a_full_node_is_helped_out, false, true),
    TEST(images_have_a_copy_on_each_node, false, true),
    TEST(threads_share_the_copies_of_their_node, false, true),
};

static void run_all(void)
{
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        if (fief_nodes() == 1 ? tests[i].on_one : tests[i].on_several) {
            good = true;
            tests[i].run();
            printf("%sok %u - %s\n", good ? "" : "not ", ++number, tests[i].name);
            failures += !good;
        }
    }
    printf("1..%u\n", number);
}

/* Process 1 of a machine of its own has to make it one, and to turn it off. */
int main(void)
{
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (getpid() == 1) {
        (void)mkdir("/proc", 0755);
        (void)mkdir("/sys", 0755);
        if (mount("proc", "/proc", "proc", 0, NULL) != 0 ||
            mount("sysfs", "/sys", "sysfs", 0, NULL) != 0) {
            printf("Bail out! no /proc or /sys: %s\n", strerror(errno));
        }
    }
    run_all();
    if (getpid() == 1) {
        sync();
        (void)reboot(RB_POWER_OFF);
    }
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
