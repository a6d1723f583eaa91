/* misuse: the host broke the contract. Every class has a name that never changes. */
#ifndef FIEF_MISUSE_H
#define FIEF_MISUSE_H

#include <fief/base.h>

FIEF_BEGIN

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
    FIEF_MISUSE_WRITE_AFTER_FREE, /* found when it was looked at ... */
    FIEF_MISUSE_USE_AFTER_FREE,   /* ... or at the access, where that faults */
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
    FIEF_MISUSE_CLASSES
} fief_misuse_class;

enum { FIEF_DEPTH_MAX = 16 };

/* Where something happened: return addresses, the host's own line first. */
typedef struct fief_site {
    uint64_t operation; /* calls that the runtime had seen; 0: unknown */
    uint64_t where;     /* what the host's config.where said; 0: nothing */
    uint32_t stack;     /* the library's own number for it */
    size_t count;
    const void *frames[FIEF_DEPTH_MAX];
} fief_site;

enum { FIEF_SHAPES_MAX = 5 };

/* Pointers from one field of one kind to one kind. */
typedef struct fief_shape {
    const char *holder, *target; /* the kinds' names; the holder's may be a root's */
    unsigned holder_kind, target_kind; /* rows of the table; past its end: no kind */
    size_t offset; /* of the field in the holder */
    size_t count;
} fief_shape;

/* What still points at blocks that die. The first that was found, and how many of each shape. */
typedef struct fief_dangling {
    const void *holder, *target;
    size_t holder_size, offset;
    const char *holder_strategy;  /* NULL: a root */
    fief_site holder_allocated;
    fief_shape shape[FIEF_SHAPES_MAX]; /* shape[0] is the first's */
    size_t shapes, more;          /* more: pointers of other shapes than these */
} fief_dangling;

/* How it was noticed: at a call, at the access itself, or when the block was looked at. */
typedef enum fief_access {
    FIEF_ACCESS_CALL,
    FIEF_ACCESS_READ,
    FIEF_ACCESS_WRITE,
    FIEF_ACCESS_FOUND
} fief_access;

/* One misuse. Borrowed: it lives until the handler returns. */
typedef struct fief_misuse {
    fief_misuse_class class_id;
    fief_access access;
    bool color;           /* config.color */
    const char *runtime;  /* the runtime's name */
    const char *mode;     /* "release", "debug-poisoned", "ASan-annotated" */
    uint64_t operation;
    int thread;           /* the calling thread, as the system numbers it */
    const void *address;  /* the pointer that was given, or NULL */
    size_t size;          /* the size that was given, or 0 */
    char text[160];       /* one sentence */
    const void *block;    /* the block that the address lies in, or near; NULL: none is known */
    size_t block_size;
    bool block_is_live;
    const char *kind;     /* its kind's name, or NULL */
    const char *strategy; /* its strategy's name, or NULL */
    fief_site used, died, allocated;
    const fief_dangling *dangling; /* of the dangling classes; else NULL */
    const char *operations; /* the file that config.record_ops asked for, when it was written */
    const void *evidence; /* the library's own: what it knows of these stacks */
    void *user;           /* the host's */
    size_t (*where_text)(uint64_t where, char *buffer, size_t size, void *user);
} fief_misuse;

/* What was linked: "release", "debug-poisoned" or "ASan-annotated". */
FIEF_API const char *fief_mode(void);
/* The class's name as reports print it ("double-free"), and what it means, in short. */
FIEF_API const char *fief_misuse_name(fief_misuse_class class_id);
FIEF_API const char *fief_misuse_explain(fief_misuse_class class_id);
/* The report for a person, and as one line of JSON ("fief-misuse/1"), under 4 KiB: it leaves out
 * frames rather than being longer, and says how many. As snprintf: at most `size` bytes with the
 * terminator, and the length that the whole would have. Sites become function,
 * file:line where the library was built with libdw and debug information is there. */
FIEF_API size_t fief_misuse_text(const fief_misuse *misuse, char *buffer, size_t size);
FIEF_API size_t fief_misuse_json(const fief_misuse *misuse, char *buffer, size_t size);

/* What is known of an address, in any runtime of the process that is open or was closed a short
 * while ago: its block, where that was allocated and where it died. As snprintf; 0 where nothing
 * is known (in a release build, nothing is). The ASan-annotated build adds it to
 * AddressSanitizer's reports, by AddressSanitizer's own callbacks; a host that sets those for
 * itself calls this with __asan_get_report_address(). Good to call from a debugger too. */
FIEF_API size_t fief_describe(const void *address, char *buffer, size_t size);

FIEF_END
#endif
