/** @file
 * nodes: on which node of memory (NUMA) a runtime's pages lie.
 *
 * A machine with several nodes has memory that is near to a thread and memory that is far. What is
 * asked for here is asked of the system, page by page, and never of the inline path. Where there is
 * one node, or the system tells of none, everything lies on it: nothing is asked, each placement
 * that is possible is accepted, and fief_nodes says 1. The idea of policies is libnuma's; the calls
 * are the system's own, mbind and move_pages. */
#ifndef FIEF_NODES_H
#define FIEF_NODES_H

#include <fief/base.h>

FIEF_BEGIN

/** Which node a page is to lie on, when it is touched first. */
typedef enum fief_node_policy {
    FIEF_NODE_DEFAULT, /**< of a runtime: as the process has it; of a strategy: as the runtime's */
    FIEF_NODE_LOCAL,   /**< the node of the thread that touches it first */
    FIEF_NODE_ON,      /**< that one, as long as it has room; then another */
    FIEF_NODE_INTERLEAVE /**< each in turn: a page here, the next page there */
} fief_node_policy;

/** Where pages are to lie; all zero is the usual way, which on most systems is the local one. */
typedef struct fief_placement {
    fief_node_policy policy; /**< how */
    unsigned node;           /**< of FIEF_NODE_ON: its number, as the system has it; else 0 */
} fief_placement;

/** How many nodes of memory there are: at least 1. From any thread. */
FIEF_API unsigned fief_nodes(void);
/** The number of the node that the calling thread runs on now. From any thread. */
FIEF_API unsigned fief_node(void);
/** The number of the node that the page at `address` lies on; -1 where the page was never touched,
 * or the address is not mapped. With one node always that one's, for whatever address. A system
 * call where there are more. From any thread. */
FIEF_API int fief_node_of(const void *address);

/** The runtime's pages come along to the node of the calling thread, which owns it: after
 * fief_adopt, or where the system moved the thread. Those of strategies that are on a node or
 * interleaved stay as they were asked for; so does memory of the host's, as a buffer or an image.
 * Blocks keep their addresses. It costs a copy of what is held, once. False: the system did not
 * move all; where each page lies then, fief_node_of tells, and the next call may finish it. With
 * one node true, and nothing is done. */
FIEF_API bool fief_follow(fief_runtime *rt);

FIEF_END
#endif
