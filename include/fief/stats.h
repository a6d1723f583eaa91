/** @file
 * stats: where the bytes are. A number that this mode does not count reads FIEF_NOT_COUNTED, never
 * 0; the text form prints "-" and the JSON form null. */
#ifndef FIEF_STATS_H
#define FIEF_STATS_H

#include <fief/base.h>
#include <fief/nodes.h>

FIEF_BEGIN

/** What a number reads that this mode does not count. */
#define FIEF_NOT_COUNTED SIZE_MAX

/** Where a block goes, and by that how long it lives. */
typedef enum fief_strategy {
    FIEF_NO_STRATEGY,    /**< of a pointer: it is not the runtime's; of a row: as its .any says */
    FIEF_VM_ARENA,       /**< until the close */
    FIEF_COMPILER_ARENA, /**< until the unit's end */
    FIEF_STACK,          /**< until its pop, or a rewind below it */
    FIEF_POOL,           /**< until it is freed; all of one size */
    FIEF_HEAP,           /**< until it is freed */
    FIEF_STRATEGIES,     /**< how many there are */
    /** Of a pointer, not of a row: it is an image's, read-only until that is closed. */
    FIEF_IMAGE = FIEF_STRATEGIES
} fief_strategy;

/** The figures of a strategy or a kind. */
typedef struct fief_count {
    size_t used_bytes;  /**< lent now, in whole grains and classes; exact in every mode */
    size_t peak_bytes;  /**< its maximum; of arenas in a release build, not what a rewind took back
                         *   before anything else happened: that is one compare and no count */
    size_t asked_bytes; /**< as the host asked for them; counted in guarded modes or on request */
    size_t blocks;      /**< live blocks; likewise */
    size_t total_bytes; /**< ever asked for; likewise */
    size_t resets;      /**< how often it was emptied: resets, ends of units */
    size_t fallbacks;   /**< blocks that the heap served for an arena at its cap */
    size_t refused;     /**< allocations that returned NULL */
} fief_count;

/** What the scans for dangling pointers did, in a guarded build. */
typedef struct fief_scan_count {
    uint64_t bytes;       /**< all that were looked at, with what lies between blocks */
    uint64_t nanoseconds; /**< that it took */
    size_t scans;         /**< how many */
    size_t partial;       /**< those that ran out of their share of the time, or had none */
} fief_scan_count;
/** The scans so far; all 0 in a release build. */
FIEF_API fief_scan_count fief_stats_scan(const fief_runtime *rt);

/** "vm arena", "pool", ...: a literal. */
FIEF_API const char *fief_strategy_name(fief_strategy strategy);
/** One strategy's figures. */
FIEF_API fief_count fief_stats_strategy(const fief_runtime *rt, fief_strategy strategy);
/** One object kind's figures, counted where blocks are (config.count_blocks, a limit, a guarded
 * build); else used_bytes and peak_bytes of a kind that has a pool to itself, and FIEF_NOT_COUNTED.
 * kind == the table's row count: what was allocated under no kind. */
FIEF_API fief_count fief_stats_kind(const fief_runtime *rt, unsigned kind);
/** Bytes in pages that the runtime holds, without what a guarded build keeps for itself: records,
 * call stacks, spans that are dead. */
FIEF_API size_t fief_stats_held(const fief_runtime *rt);
/** Their maximum. */
FIEF_API size_t fief_stats_held_peak(const fief_runtime *rt);
/** How the pages of a strategy are placed on nodes of memory; of FIEF_NO_STRATEGY, those of the
 * runtime. All are FIEF_NODE_DEFAULT where there is one node. */
FIEF_API fief_placement fief_stats_placement(const fief_runtime *rt, fief_strategy strategy);
/** Bytes in pages that the system did not place as config.placements has it: they are used, and lie
 * where they came to lie. Counted when they are taken, and never taken off. */
FIEF_API size_t fief_stats_unplaced(const fief_runtime *rt);
/** A table for people. As snprintf: at most `size` bytes with the terminator, and the length that
 * the whole would have. */
FIEF_API size_t fief_stats_text(const fief_runtime *rt, char *buffer, size_t size);
/** The same as one JSON object ("fief-stats/1"), for programs. */
FIEF_API size_t fief_stats_json(const fief_runtime *rt, char *buffer, size_t size);

FIEF_END
#endif
