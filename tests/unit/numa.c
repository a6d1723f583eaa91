/* The calls to the system for nodes of memory. os/numa.c is compiled here over a system of ours,
 * which has as many nodes as a test wants, refuses what it wants, and keeps the last call. */
#include <criterion/criterion.h>

#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

static long system_call(long number, ...);
static int open_list(const char *path, int flags);
static ssize_t read_list_file(int file, void *ret_bytes, size_t size);
static int close_list(int file);
#define syscall system_call
#define open    open_list
#define read    read_list_file
#define close   close_list

#include "../../src/os/numa.c"

static struct {
    const char *list; /* NULL: there is no such file */
    unsigned node;
    bool refuses; /* every call that is about policies */
    uint64_t forbidden[OS_NODE_WORDS];
    int page;     /* what move_pages says of one */
    struct {
        void *start;
        unsigned long size, nodes[OS_NODES_MAX / 64], most;
        long mode;
        unsigned flags;
        bool names_nodes;
    } bound;
} system_has;

static int open_list(const char *path, int flags)
{
    cr_assert_str_eq(path, "/sys/devices/system/node/has_memory");
    return system_has.list != NULL && (flags & O_CLOEXEC) != 0 ? 3 : -1;
}

static ssize_t read_list_file(int file, void *ret_bytes, size_t size)
{
    size_t length = strlen(system_has.list);
    cr_assert(file == 3 && length < size);
    memcpy(ret_bytes, system_has.list, length);
    return (ssize_t)length;
}

static int close_list(int file)
{
    return file == 3 ? 0 : -1;
}

static long bind_pages(va_list args)
{
    system_has.bound.start = va_arg(args, void *);
    system_has.bound.size = va_arg(args, size_t);
    system_has.bound.mode = va_arg(args, int);
    const unsigned long *nodes = va_arg(args, unsigned long *);
    system_has.bound.most = va_arg(args, unsigned long);
    system_has.bound.flags = (unsigned)va_arg(args, int);
    system_has.bound.names_nodes = nodes != NULL;
    if (nodes != NULL) {
        memcpy(system_has.bound.nodes, nodes, sizeof system_has.bound.nodes);
    }
    return 0;
}

static void tell_allowed(va_list args)
{
    cr_expect_null(va_arg(args, void *));
    uint64_t *nodes = va_arg(args, uint64_t *);
    cr_expect_eq(va_arg(args, unsigned long), OS_NODES_MAX + 1);
    cr_expect_null(va_arg(args, void *));
    cr_expect_eq(va_arg(args, int), MPOL_F_MEMS_ALLOWED);
    for (size_t i = 0; i < OS_NODE_WORDS && !system_has.refuses; i++) {
        nodes[i] = ~system_has.forbidden[i];
    }
}

static long system_call(long number, ...)
{
    va_list args;
    long result = system_has.refuses ? -1 : 0;
    va_start(args, number);
    if (number == SYS_getcpu) {
        (void)va_arg(args, void *);
        *va_arg(args, unsigned *) = system_has.node;
    } else if (number == SYS_mbind && !system_has.refuses) {
        result = bind_pages(args);
    } else if (number == SYS_move_pages) {
        cr_expect_eq(va_arg(args, int), 0);
        cr_expect_eq(va_arg(args, unsigned long), 1);
        uintptr_t *page = va_arg(args, uintptr_t *);
        cr_expect_eq(*page % OS_PAGE, 0);
        cr_expect_null(va_arg(args, void *));
        *va_arg(args, int *) = system_has.page;
    } else if (number == SYS_get_mempolicy) {
        tell_allowed(args);
    } else {
        cr_expect_eq(number, SYS_mbind);
    }
    va_end(args);
    return result;
}

/* It is looked at anew. */
static void boot(const char *list, bool refuses)
{
    memset(&system_has, 0, sizeof system_has);
    memset(&here, 0, sizeof here);
    looked = PTHREAD_ONCE_INIT;
    system_has.list = list;
    system_has.refuses = refuses;
}

static unsigned read_nodes(const char *text, uint64_t ret_nodes[OS_NODE_WORDS])
{
    memset(ret_nodes, 0, OS_NODE_WORDS * sizeof *ret_nodes);
    return os_node_list(text, ret_nodes);
}

Test(numa, a_list_of_nodes_is_read_with_its_gaps)
{
    uint64_t nodes[OS_NODE_WORDS];
    cr_expect_eq(read_nodes("0\n", nodes), 1);
    cr_expect_eq(nodes[0], 1);
    cr_expect_eq(read_nodes("0-1\n", nodes), 2);
    cr_expect_eq(nodes[0], 3);
    cr_expect_eq(read_nodes("0,2-3,64,1022-1023\n", nodes), 6);
    cr_expect_eq(nodes[0], 13);
    cr_expect_eq(nodes[1], 1);
    cr_expect_eq(nodes[15], (uint64_t)3 << 62);
    cr_expect(os_in_nodes(nodes, 64) && !os_in_nodes(nodes, 63) && os_in_nodes(nodes, 1023));
    cr_expect_not(os_in_nodes(nodes, 1024));
}

Test(numa, a_list_that_makes_no_sense_names_what_it_can)
{
    uint64_t nodes[OS_NODE_WORDS];
    cr_expect_eq(read_nodes("", nodes), 0);
    cr_expect_eq(read_nodes("nodes\n", nodes), 0);
    cr_expect_eq(read_nodes("1,\n", nodes), 1);
    cr_expect_eq(read_nodes("3-1\n", nodes), 0);
    cr_expect_eq(read_nodes("1020-99999999999999999999\n", nodes), 4);
    cr_expect_eq(read_nodes("5000\n", nodes), 0);
}

/* Nodes of processors alone, and those that this process may have no memory of, don't count. */
Test(numa, only_nodes_whose_memory_may_be_had_count)
{
    boot("0-5\n", false);
    system_has.forbidden[0] = 1 | 1 << 2 | 1 << 5;
    cr_expect_eq(os_nodes(), 3);
    cr_expect(os_has_node(1) && os_has_node(3) && os_has_node(4) && !os_has_node(0) &&
              !os_has_node(2) && !os_has_node(5));
    boot("0-1\n", false);
    system_has.forbidden[0] = 1;
    cr_expect_eq(os_nodes(), 1);
    cr_expect_eq(os_node(), 1);
}

/* No file, a kernel without the calls, a container that may not make them. */
Test(numa, a_system_that_tells_of_no_nodes_has_one)
{
    static const struct {
        const char *list;
        bool refuses;
        unsigned first;
    } rows[] = {{NULL, false, 0}, {NULL, true, 0},  {"", false, 0},
                {"0\n", true, 0}, {"0-3\n", true, 0}, {"8\n", false, 8}};
    static unsigned char page[OS_PAGE];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        boot(rows[i].list, rows[i].refuses);
        cr_expect_eq(os_nodes(), 1);
        cr_expect_eq(os_node(), rows[i].first);
        cr_expect_eq(os_node_of(page), (int)rows[i].first);
        cr_expect(os_has_node(rows[i].first) && !os_has_node(1) && !os_has_node(OS_NODES_MAX));
        cr_expect(os_place(page, OS_PAGE, (os_placement){.policy = OS_INTERLEAVE}, true));
        cr_expect_null(system_has.bound.start, "nothing is asked");
    }
}

Test(numa, nodes_have_the_numbers_that_the_system_gives_them)
{
    static unsigned char bytes[2 * OS_PAGE];
    boot("1,4-5\n", false);
    system_has.node = 4;
    system_has.page = 5;
    cr_expect_eq(os_nodes(), 3);
    cr_expect_eq(os_node(), 4);
    cr_expect(os_has_node(1) && os_has_node(5) && !os_has_node(0) && !os_has_node(2));
    cr_expect_eq(os_node_of(&bytes[100]), 5);
    system_has.page = -14; /* EFAULT: never touched */
    cr_expect_eq(os_node_of(&bytes[100]), -1);
    system_has.refuses = true;
    system_has.page = 5;
    cr_expect_eq(os_node_of(&bytes[100]), -1);
    cr_expect_eq(os_node(), 1, "where it does not tell, the first");
    cr_expect_not(os_place(bytes, OS_PAGE, (os_placement){.policy = OS_LOCAL}, false));
}

Test(numa, each_policy_is_said_in_the_systems_words)
{
    static unsigned char page[OS_PAGE];
    static const struct {
        os_placement place;
        long mode;
        bool names_nodes;
        unsigned long nodes;
    } rows[] = {{{.policy = OS_AS_IT_COMES}, MPOL_DEFAULT, false, 0},
                {{.policy = OS_LOCAL}, MPOL_PREFERRED, false, 0},
                {{.policy = OS_ON, .node = 5}, MPOL_PREFERRED, true, 1ul << 5},
                {{.policy = OS_INTERLEAVE}, MPOL_INTERLEAVE, true, 1ul << 1 | 3ul << 4}};
    boot("1,4-5\n", false);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        memset(&system_has.bound, 0, sizeof system_has.bound);
        cr_expect(os_place(page, sizeof page, rows[i].place, i % 2 != 0));
        cr_expect_eq(system_has.bound.start, page);
        cr_expect_eq(system_has.bound.size, sizeof page);
        cr_expect_eq(system_has.bound.mode, rows[i].mode);
        cr_expect_eq(system_has.bound.flags, i % 2 != 0 ? (unsigned)MPOL_MF_MOVE : 0);
        cr_expect_eq(system_has.bound.names_nodes, rows[i].names_nodes);
        cr_expect_eq(system_has.bound.nodes[0], rows[i].nodes);
        cr_expect_eq(system_has.bound.nodes[15], 0);
        cr_expect_eq(system_has.bound.most, rows[i].names_nodes ? OS_NODES_MAX + 1ul : 0);
    }
}
