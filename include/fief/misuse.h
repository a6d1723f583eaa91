/** @file
 * misuse: the host broke the contract. Every class has a name that never changes. */
#ifndef FIEF_MISUSE_H
#define FIEF_MISUSE_H

#include <fief/base.h>

FIEF_BEGIN

/** The classes; fief_misuse_explain has a sentence for each, docs/misuse.md a program and a
 * report. */
typedef enum fief_misuse_class {
    FIEF_MISUSE_WRONG_ALLOCATOR,
    FIEF_MISUSE_DOUBLE_FREE,
    FIEF_MISUSE_INTERIOR_FREE,
    FIEF_MISUSE_STACK_FREE,
    FIEF_MISUSE_FOREIGN_FREE,
    FIEF_MISUSE_WRONG_SIZE,
    FIEF_MISUSE_WRONG_KIND,
    FIEF_MISUSE_OVERFLOW,
    FIEF_MISUSE_UNDERFLOW,
    FIEF_MISUSE_WRITE_AFTER_FREE, /**< found when it was looked at ... */
    FIEF_MISUSE_USE_AFTER_FREE,   /**< ... or at the access, where that faults */
    FIEF_MISUSE_USE_AFTER_RESET,
    FIEF_MISUSE_USE_AFTER_REWIND,
    FIEF_MISUSE_USE_AFTER_CLOSE,
    FIEF_MISUSE_BAD_ALIGNMENT,
    FIEF_MISUSE_BAD_KIND,
    FIEF_MISUSE_NO_STRATEGY,
    FIEF_MISUSE_NO_UNIT,
    FIEF_MISUSE_UNIT_ORDER,
    FIEF_MISUSE_NOT_LIFO,
    FIEF_MISUSE_WRONG_ARENA,
    FIEF_MISUSE_STALE_MARK,
    FIEF_MISUSE_WRONG_THREAD,
    FIEF_MISUSE_DANGLING_AT_RESET,
    FIEF_MISUSE_DANGLING_AT_REWIND,
    FIEF_MISUSE_DANGLING_AT_CLOSE,
    FIEF_MISUSE_DANGLING_STORE,
    FIEF_MISUSE_LEAK,
    FIEF_MISUSE_SEALED_WRITE, /**< to memory that is read-only: sealed, or an image's */
    FIEF_MISUSE_CLASSES
} fief_misuse_class;

/** The most frames that are kept of a call. */
enum { FIEF_DEPTH_MAX = 16 };

/** Where something happened: return addresses, the host's own line first. */
typedef struct fief_site {
    uint64_t operation;                 /**< calls that the runtime had seen; 0: unknown */
    uint64_t where;                     /**< what the host's config.where said; 0: nothing */
    uint32_t stack;                     /**< the library's own number for it */
    size_t count;                       /**< of the frames */
    const void *frames[FIEF_DEPTH_MAX]; /**< return addresses, the innermost first */
} fief_site;

/** The most shapes that are told apart in a report. */
enum { FIEF_SHAPES_MAX = 5 };

/** Pointers from one field of one kind to one kind. */
typedef struct fief_shape {
    const char *holder;   /**< the kind's name, or a root's */
    const char *target;   /**< the kind's name */
    unsigned holder_kind; /**< its row of the table; past its end: no kind */
    unsigned target_kind; /**< likewise */
    size_t offset;        /**< of the field in the holder */
    size_t count;         /**< of such pointers */
} fief_shape;

/** What still points at blocks that die. The first that was found, and how many of each shape. */
typedef struct fief_dangling {
    const void *holder;                /**< the live block that points */
    const void *target;                /**< the block that dies */
    size_t holder_size;                /**< in bytes */
    size_t offset;                     /**< of the pointer in the holder */
    const char *holder_strategy;       /**< NULL: a root */
    fief_site holder_allocated;        /**< where that was */
    fief_shape shape[FIEF_SHAPES_MAX]; /**< shape[0] is the first's */
    size_t shapes;                     /**< how many of those there are */
    size_t more;                       /**< pointers of other shapes than these */
} fief_dangling;

/** The most rows that a leak report tells. */
enum { FIEF_LEAKS_MAX = 20 };

/** Leaked blocks of one kind and strategy; in a guarded build, from one place. */
typedef struct fief_leak {
    const char *kind;     /**< its name */
    const char *strategy; /**< its name */
    size_t blocks;        /**< how many; 1 where they were not counted */
    size_t bytes;         /**< as they were asked for */
    fief_site allocated;  /**< where the first was made, as far as that is known */
} fief_leak;

/** What the host still held at close, the most bytes first. */
typedef struct fief_leaks {
    size_t blocks;                  /**< of all rows */
    size_t bytes;                   /**< likewise */
    bool uncounted;                 /**< a row stands for blocks that nobody counted */
    fief_leak rows[FIEF_LEAKS_MAX]; /**< `count` of them */
    size_t count;                   /**< of the rows that are told */
    size_t more;                    /**< rows that are not */
} fief_leaks;

/** How it was noticed: at a call, at the access itself, or when the block was looked at. */
typedef enum fief_access {
    FIEF_ACCESS_CALL,
    FIEF_ACCESS_READ,
    FIEF_ACCESS_WRITE,
    FIEF_ACCESS_FOUND
} fief_access;

/** One misuse. Borrowed: it lives until the handler returns. */
typedef struct fief_misuse {
    fief_misuse_class class_id; /**< what it is */
    fief_access access;         /**< how it was noticed */
    bool color;                 /**< config.color */
    const char *runtime;        /**< the runtime's name */
    const char *mode;           /**< "release", "debug-poisoned", "ASan-annotated" */
    uint64_t operation;         /**< calls that the runtime had seen */
    int thread;                 /**< the calling thread, as the system numbers it */
    const void *address;        /**< the pointer that was given, or NULL */
    size_t size;                /**< the size that was given, or 0 */
    char text[160];             /**< one sentence */
    const void *block;    /**< the block that the address lies in, or near; NULL: none is known */
    size_t block_size;    /**< as it was asked for */
    bool block_is_live;   /**< false: it is dead */
    const char *kind;     /**< its kind's name, or NULL */
    const char *strategy; /**< its strategy's name, or NULL */
    fief_site used;       /**< the call or access that was noticed */
    fief_site died;       /**< where the block died; no frames: it did not, or nobody knows */
    fief_site allocated;  /**< where it was made; likewise */
    unsigned unit;         /**< the unit whose end it was where the block died; 0: none's */
    const char *unit_name; /**< of fief_unit_begin_named; NULL: it has none */
    const char *lifetime;  /**< how long such blocks live, if that is the matter; or NULL */
    size_t access_size;    /**< bytes that the access reads or writes; 0: unknown */
    const fief_dangling *dangling; /**< of the dangling classes; else NULL */
    const fief_leaks *leaks;       /**< of FIEF_MISUSE_LEAK; else NULL */
    const char *operations; /**< the file that config.record_ops asked for, when it was written */
    const void *evidence;   /**< the library's own: what it knows of these stacks */
    void *user;             /**< the host's */
    size_t (*where_text)(uint64_t where, char *buffer, size_t size, void *user); /**< the host's */
} fief_misuse;

/** What was linked: "release", "debug-poisoned" or "ASan-annotated". */
FIEF_API const char *fief_mode(void);
/** The class's name as reports print it ("double-free"). */
FIEF_API const char *fief_misuse_name(fief_misuse_class class_id);
/** What it means, in short. */
FIEF_API const char *fief_misuse_explain(fief_misuse_class class_id);
/** The report for a person. As snprintf: at most `size` bytes with the terminator, and the length
 * that the whole would have. Sites become function, file:line where the library was built with
 * libdw and debug information is there. */
FIEF_API size_t fief_misuse_text(const fief_misuse *misuse, char *buffer, size_t size);
/** The same as one line of JSON ("fief-misuse/1"), under 4 KiB: it leaves out frames rather than
 * being longer, and says how many. */
FIEF_API size_t fief_misuse_json(const fief_misuse *misuse, char *buffer, size_t size);

/** What is known of an address, in any runtime of the process that is open or was closed a short
 * while ago: its block, where that was allocated and where it died. As snprintf; 0 where nothing
 * is known (in a release build, nothing is). The ASan-annotated build adds it to
 * AddressSanitizer's reports, by AddressSanitizer's own callbacks; a host that sets those for
 * itself calls this with __asan_get_report_address(). Good to call from a debugger too. */
FIEF_API size_t fief_describe(const void *address, char *buffer, size_t size);

FIEF_END
#endif
