/* nodes: what the configuration asks for, checked and in the system's words. */
#include "manager/runtime.h"

#include <stdio.h>

/* ---- the configuration ---- */

/* Where a placement stands in the configuration. */
static const char *place_words(unsigned strategy, char *words, size_t size)
{
    static const char *const names[FIEF_STRATEGIES] = {
        "FIEF_NO_STRATEGY", "FIEF_VM_ARENA", "FIEF_COMPILER_ARENA",
        "FIEF_STACK",       "FIEF_POOL",     "FIEF_HEAP",
    };
    (void)snprintf(words, size, strategy < FIEF_STRATEGIES ? "placements[%s]" : "placement",
                   names[strategy % FIEF_STRATEGIES]);
    return words;
}

static bool is_possible(fief_placement p, unsigned strategy, fief_error *error)
{
    char words[40];
    const char *place = place_words(strategy, words, sizeof words);
    if ((unsigned)p.policy > FIEF_NODE_INTERLEAVE) {
        return refuse(error, FIEF_BAD_CONFIG, "%s.policy is %u; the largest is %d", place,
                      (unsigned)p.policy, FIEF_NODE_INTERLEAVE);
    }
    if (p.policy == FIEF_NODE_ON && !os_has_node(p.node)) {
        unsigned nodes = os_nodes();
        return refuse(error, FIEF_BAD_CONFIG, "%s.node is %u, which this system of %u node%s lacks",
                      place, p.node, nodes, nodes == 1 ? "" : "s");
    }
    if (p.policy != FIEF_NODE_ON && p.node != 0) {
        return refuse(error, FIEF_BAD_CONFIG, "%s.node is %u, but its policy is not FIEF_NODE_ON",
                      place, p.node);
    }
    return true;
}

/* Each open asks: without a branch. */
static bool asks(const fief_config *config)
{
    unsigned any = (unsigned)config->placement.policy | config->placement.node;
    for (unsigned i = 0; i < FIEF_STRATEGIES; i++) {
        any |= (unsigned)config->placements[i].policy | config->placements[i].node;
    }
    return any != 0;
}

bool nodes_check(const fief_config *config, fief_error *error)
{
    if (!asks(config)) {
        return true;
    }
    if (config->buffer != NULL) {
        return refuse(error, FIEF_BAD_CONFIG,
                      "buffer and placement are both set; a buffer lies where the host has it");
    }
    bool possible = is_possible(config->placement, FIEF_STRATEGIES, error);
    for (unsigned i = 0; possible && i < FIEF_STRATEGIES; i++) {
        possible = is_possible(config->placements[i], i, error);
    }
    return possible;
}

static os_placement in_system_words(fief_placement p)
{
    static const unsigned policies[] = {[FIEF_NODE_DEFAULT] = OS_AS_IT_COMES,
                                        [FIEF_NODE_LOCAL] = OS_LOCAL,
                                        [FIEF_NODE_ON] = OS_ON,
                                        [FIEF_NODE_INTERLEAVE] = OS_INTERLEAVE};
    unsigned node = p.policy == FIEF_NODE_ON ? p.node : 0;
    return (os_placement){.policy = policies[p.policy] & 3, .node = node & (OS_NODES_MAX - 1)};
}

/* With one node all pages lie on it. */
os_placement nodes_placement(const fief_config *config)
{
    os_placement as_it_comes = {.policy = OS_AS_IT_COMES};
    return asks(config) && os_nodes() > 1 ? in_system_words(config->placement) : as_it_comes;
}

void nodes_settle(space *s, const fief_config *config)
{
    os_placement of[FIEF_STRATEGIES];
    bool apart = false;
    if (!asks(config) || os_nodes() == 1) {
        return;
    }
    for (unsigned i = 0; i < FIEF_STRATEGIES; i++) {
        bool own = i != FIEF_NO_STRATEGY && config->placements[i].policy != FIEF_NODE_DEFAULT;
        of[i] = own ? in_system_words(config->placements[i]) : s->range->place;
        apart = apart || !is_placed_so(of[i], s->range->place);
    }
    if (apart) {
        space_place(s, of);
    }
}

/* ---- the verbs ---- */

unsigned fief_nodes(void)
{
    return os_nodes();
}

unsigned fief_node(void)
{
    return os_node();
}

int fief_node_of(const void *address)
{
    return os_node_of(address);
}

bool fief_follow(fief_runtime *rt)
{
    core *c = &whole_runtime(rt)->core;
    return enter(c, CALL()) &&
           (os_nodes() == 1 || c->space.range->reserve == NULL || space_follow(&c->space));
}
