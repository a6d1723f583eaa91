/* massif: the form of Valgrind's heap profiler, for ms_print. About a hundred snapshots, evenly
 * over the operations, and one at the peak; every tenth and the peak have the tree of sites. */
#include "convert.h"

#include <stdlib.h>

enum { SNAPSHOTS = 90, DETAILED = 10, LINE = 400 };

typedef struct leaf {
    const trace_site *site;
    uint64_t bytes;
} leaf;

typedef struct tree {
    FILE *to;
    const symbols *symbols;
    uint64_t total;
} tree;

static uint64_t frame_at(const leaf *l, uint32_t depth)
{
    return l->site != NULL && depth < l->site->count ? l->site->frames[depth] : 0;
}

static uint32_t compared_depth;

static int by_frame(const void *a, const void *b)
{
    uint64_t x = frame_at(a, compared_depth), y = frame_at(b, compared_depth);
    return (x > y) - (x < y);
}

/* The group of leaves that have the frame of the first at this depth: how many, and their bytes. */
static size_t group_of(const leaf *leaves, size_t count, uint32_t depth, uint64_t *ret_bytes)
{
    size_t same = 0;
    *ret_bytes = 0;
    while (same < count && frame_at(&leaves[same], depth) == frame_at(leaves, depth)) {
        *ret_bytes += leaves[same++].bytes;
    }
    return same;
}

/* What a node has below it: of the frame 0 (there is none) nothing is shown. */
static void put_children(const tree *t, leaf *leaves, size_t count, uint32_t depth);

static size_t children_of(leaf *leaves, size_t count, uint32_t depth)
{
    size_t groups = 0;
    compared_depth = depth;
    qsort(leaves, count, sizeof *leaves, by_frame);
    for (size_t i = 0; i < count;) {
        uint64_t bytes;
        groups += frame_at(&leaves[i], depth) != 0;
        i += group_of(leaves + i, count - i, depth, &bytes);
    }
    return groups;
}

static void put_children(const tree *t, leaf *leaves, size_t count, uint32_t depth)
{
    for (size_t i = 0; i < count;) {
        uint64_t bytes, frame = frame_at(&leaves[i], depth);
        size_t same = group_of(leaves + i, count - i, depth, &bytes), texts;
        if (frame != 0) {
            char text[LINE];
            symbol_text(symbols_of(t->symbols, frame, &texts), text, sizeof text);
            size_t below =
                depth + 1 < TRACE_FRAMES_MOST ? children_of(leaves + i, same, depth + 1) : 0;
            fprintf(t->to, "%*sn%zu: %llu 0x%llX: %s\n", (int)depth + 1, "", below,
                    (unsigned long long)bytes, (unsigned long long)frame, text);
            if (below > 0) {
                put_children(t, leaves + i, same, depth + 1);
            }
        }
        i += same;
    }
}

static bool put_tree(const tally *y, const trace *from, const tree *t)
{
    leaf *leaves = calloc(y->room + 1, sizeof *leaves);
    size_t count = 0;
    if (leaves == NULL) {
        return false;
    }
    for (size_t i = 0; i < y->room; i++) {
        if (y->sites[i].live > 0) {
            leaves[count++] = (leaf){trace_site_at(from, (uint32_t)i), y->sites[i].live};
        }
    }
    size_t groups = children_of(leaves, count, 0);
    fprintf(t->to, "n%zu: %llu (heap allocation functions) malloc/new/new[], --alloc-fns, etc.\n",
            groups, (unsigned long long)t->total);
    put_children(t, leaves, count, 0);
    free(leaves);
    return true;
}

static bool put_snapshot(FILE *to, unsigned number, const trace *from, const tally *y,
                         const symbols *s, const char *kind)
{
    fprintf(to, "#-----------\nsnapshot=%u\n#-----------\ntime=%llu\nmem_heap_B=%llu\n"
                "mem_heap_extra_B=0\nmem_stacks_B=0\nheap_tree=%s\n",
            number, (unsigned long long)trace_time(from) / 1000,
            (unsigned long long)trace_live_bytes(from), kind);
    return strcmp(kind, "empty") == 0 ||
           put_tree(y, from, &(tree){to, s, trace_live_bytes(from)});
}

/* Once more, with what the first reading found: where the peak is, and how long the trace. */
static int put_all(const conversion *c, uint64_t operations, uint64_t peak, const symbols *s)
{
    trace *t = open_trace(c->path);
    tally y = {0};
    unsigned number = 0;
    uint64_t step = operations / SNAPSHOTS + 1, next = 0;
    bool sound = t != NULL, peaked = false;
    for (trace_event e; sound && trace_next(t, &e);) {
        sound = tally_event(&y, t, &e);
        if (!peaked && e.operation == peak && trace_live_bytes(t) == y.peak_bytes) {
            peaked = true;
            sound = sound && put_snapshot(c->to, number++, t, &y, s, "peak");
        } else if (e.operation >= next) {
            next += step;
            sound = sound && put_snapshot(c->to, number, t, &y, s,
                                          number % DETAILED == DETAILED - 1 ? "detailed" : "empty");
            number++;
        }
    }
    sound = sound && put_snapshot(c->to, number, t, &y, s, "empty");
    tally_free(&y);
    trace_close(t);
    return sound ? DONE : complain(CANNOT_RUN, "there is no memory");
}

int convert_massif(const conversion *c)
{
    int status;
    tally y;
    trace *t = tally_for(c, &y, false, &status);
    if (t == NULL) {
        return status;
    }
    symbols *s = symbols_find(t);
    const char *program = trace_info(t, "command");
    fprintf(c->to, "desc: fief convert %s\ncmd: %s\ntime_unit: ms\n", c->path,
            program != NULL ? program : "(unknown)");
    status = s != NULL ? put_all(c, trace_operations(t), y.peak_operation, s)
                       : complain(CANNOT_RUN, "there is no memory");
    symbols_free(s);
    tally_free(&y);
    trace_close(t);
    return status;
}
