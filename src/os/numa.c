/* os/numa: nodes of memory, by the system's own calls: libnuma would be a second library to need.
 *
 * A system with one node, a kernel that knows of none and a container that may not ask are alike
 * here: one node, and nothing to place. */
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { WORD_BITS = 64, LIST_SIZE = 4096 };

static struct {
    unsigned count, first;
    uint64_t nodes[OS_NODE_WORDS];
} here;
static pthread_once_t looked = PTHREAD_ONCE_INIT;

static unsigned add_nodes(uint64_t nodes[OS_NODE_WORDS], unsigned long from, unsigned long until)
{
    unsigned count = 0;
    for (; from <= until && from < OS_NODES_MAX; from++, count++) {
        nodes[from / WORD_BITS] |= (uint64_t)1 << from % WORD_BITS;
    }
    return count;
}

unsigned os_node_list(const char *text, uint64_t ret_nodes[OS_NODE_WORDS])
{
    unsigned count = 0;
    for (char *end;; text = end + 1) {
        unsigned long from = strtoul(text, &end, 10), until = from;
        if (end == text) {
            return count;
        }
        if (*end == '-') {
            until = strtoul(end + 1, &end, 10);
        }
        count += add_nodes(ret_nodes, from, until);
        if (*end != ',') {
            return count;
        }
    }
}

static size_t read_list(char text[LIST_SIZE])
{
    int file = open("/sys/devices/system/node/has_memory", O_RDONLY | O_CLOEXEC);
    ssize_t length = file >= 0 ? read(file, text, LIST_SIZE - 1) : 0;
    if (file >= 0) {
        (void)close(file);
    }
    return length > 0 ? (size_t)length : 0;
}

/* Of these, the nodes that this process may have memory of. */
static unsigned keep_allowed(uint64_t nodes[OS_NODE_WORDS])
{
    uint64_t allowed[OS_NODE_WORDS] = {0};
    unsigned count = 0;
    if (syscall(SYS_get_mempolicy, NULL, allowed, OS_NODES_MAX + 1UL, NULL,
                MPOL_F_MEMS_ALLOWED) != 0) {
        return 0;
    }
    for (size_t i = 0; i < OS_NODE_WORDS; i++) {
        nodes[i] &= allowed[i];
        count += (unsigned)__builtin_popcountll(nodes[i]);
    }
    return count;
}

/* Who may not ask for a policy may not set one. */
static void look(void)
{
    char text[LIST_SIZE];
    text[read_list(text)] = '\0';
    here.count = os_node_list(text, here.nodes);
    here.count = here.count != 0 ? keep_allowed(here.nodes) : 0;
    if (here.count == 0) {
        here.count = 1;
        here.nodes[0] |= here.nodes[0] == 0;
    }
    while (!os_in_nodes(here.nodes, here.first)) {
        here.first++;
    }
}

unsigned os_nodes(void)
{
    (void)pthread_once(&looked, look);
    return here.count;
}

bool os_has_node(unsigned node)
{
    return os_nodes() == 1 ? node == here.first : os_in_nodes(here.nodes, node);
}

unsigned os_node(void)
{
    unsigned node = 0;
    if (os_nodes() == 1 || syscall(SYS_getcpu, NULL, &node, NULL) != 0) {
        return here.first;
    }
    return node;
}

int os_node_of(const void *address)
{
    void *page = (void *)((uintptr_t)address & ~(uintptr_t)(OS_PAGE - 1));
    int node = -1;
    if (os_nodes() == 1) {
        return (int)here.first;
    }
    long failed = syscall(SYS_move_pages, 0, 1UL, &page, NULL, &node, 0);
    return failed == 0 && node >= 0 ? node : -1;
}

/* MPOL_PREFERRED and not MPOL_BIND: where the node is full, memory of another is better than the
 * end of the process. MPOL_LOCAL is PREFERRED of no node, which older kernels know as well. */
bool os_place(void *start, size_t size, os_placement place, bool move)
{
    enum { LONG_BITS = 8 * sizeof(long) };
    static const int modes[] = {[OS_AS_IT_COMES] = MPOL_DEFAULT, [OS_LOCAL] = MPOL_PREFERRED,
                                [OS_ON] = MPOL_PREFERRED, [OS_INTERLEAVE] = MPOL_INTERLEAVE};
    unsigned long nodes[OS_NODES_MAX / LONG_BITS] = {0};
    for (unsigned i = 0; i < OS_NODES_MAX; i++) {
        bool is_in = place.policy == OS_ON ? i == place.node
                                           : place.policy == OS_INTERLEAVE && os_has_node(i);
        nodes[i / LONG_BITS] |= (unsigned long)is_in << i % LONG_BITS;
    }
    bool names = place.policy == OS_ON || place.policy == OS_INTERLEAVE;
    return os_nodes() == 1 ||
           syscall(SYS_mbind, start, size, modes[place.policy], names ? nodes : NULL,
                   names ? OS_NODES_MAX + 1UL : 0UL, move ? MPOL_MF_MOVE : 0) == 0;
}
