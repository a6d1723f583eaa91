/* model: what a runtime must look like, kept in the plainest way: a table of blocks, and for each
 * arena a log of what was allocated in it. It knows the library's public contract and nothing of
 * how it is kept.
 *
 * Each allocation of an arena or a stack has a number; a mark is the number of the last one before
 * it. So everything that dies by a rewind, a pop, a reset or a unit's end has a number above some
 * other: one rule, model_undo. */
#ifndef FIEF_FUZZ_MODEL_H
#define FIEF_FUZZ_MODEL_H

#include "configs.h"
#include "ops.h"

enum { KINDS_MODELLED = 33, LOG_MAX = OPS_MAX + 16, UNITS = 8, RESTING = 2 };
enum { NO_FIELD = -1, OUTSIDE = -2 };
enum { HOME_VM, HOME_UNIT, HOME_FRAMES, HOME_OWN, HOME_OWN_STACK = HOMES - 1 };

typedef enum origin { EMPTY, SIZED, UNSIZED, BY_KIND, SLOT, IN_ARENA } origin;

typedef struct block {
    unsigned char *start;
    size_t size;     /* that may be written */
    size_t counted;  /* that a budget counts */
    uint64_t number; /* in its arena */
    origin origin;
    fief_strategy strategy; /* where it lives: fief_owner says so */
    unsigned kind;          /* the last of all: none */
    int home, pool;         /* of an arena or of a pool of the program's; else -1 */
    int field;              /* a word of it points to this block; or OUTSIDE, or NO_FIELD */
    size_t field_at;        /* that word: at this byte */
    unsigned char *outside; /* OUTSIDE: the host's byte that it points to */
    uint8_t seed;           /* of its bytes */
} block;

/* One allocation in an arena, also of a block that was resized since; or a cleanup. */
struct entry;
struct run;

/* A cleanup's argument. Its entry moves where its unit is kept. */
typedef struct token {
    struct run *run;
    struct entry *entry;
} token;

typedef struct entry {
    token *token; /* a cleanup's */
    uint64_t number;
    size_t size, rounded; /* counted by a budget; by the heap, where that served */
    unsigned kind;
    int home;
    fief_strategy strategy;
    bool is_cleanup, is_busy, fell_back, is_retired; /* a resize left it behind */
    unsigned deed; /* of a busy cleanup: what it does in the arena */
} entry;

typedef struct home {
    fief_arena *arena;
    fief_strategy strategy;
    bool is_open, is_stack, has_cap, has_buffer, is_recorded;
    size_t cap;
    uint64_t last;   /* number */
    unsigned opened; /* the how many-th of the life's */
    size_t logged;
    entry log[LOG_MAX];
} home;

typedef struct marked {
    bool is_set;
    int home;
    uint64_t number;
    size_t used; /* of the arena, then */
    fief_mark mark;
} marked;

typedef struct unit {
    fief_unit unit;
    uint64_t number, frames; /* the last ones before it began */
    size_t used;             /* of the units' arena, then */
    size_t frames_logged;
} unit;

typedef struct figures {
    size_t asked, blocks, total, limit, refused, fallbacks, resets;
} figures;

typedef struct slots {
    fief_pool *pool;
    size_t slot_size, live;
} slots;

enum { ROOTS = 4, IMAGES = 2 };

/* An image: what its arena held when it was saved. */
typedef struct pictured {
    block block;
    unsigned index; /* b0 .. */
    size_t at;      /* where it lies in the image's data */
    int to;         /* its field points to this block of them, at this byte; -1: to none */
    int external;   /* or to this external, at this byte; -1: to none */
    size_t to_at;
    const unsigned char *as_it_was;
} pictured;

typedef struct picture {
    unsigned number; /* the how many-th of the program's saves; 0: none has been */
    const fief_kind *kinds;
    uint64_t version;
    size_t size, data_at; /* of the file; where its data begin */
    int root;             /* it leads to this block, at this byte; -1: there is none */
    size_t root_at;
    unsigned count;
    pictured blocks[BLOCKS];
} picture;

/* What the host names to images: each lies at one of two addresses, as in another process. */
enum { EXTERNALS = 2, EXTERNAL_SIZE = 64 };
extern unsigned char outsides[EXTERNALS][2][EXTERNAL_SIZE];

typedef struct opened {
    fief_image *image; /* NULL: not open */
    bool per_node;
    unsigned bound; /* to which of their addresses */
    picture of;
} opened;

typedef struct life {
    struct run *run;
    fief_runtime *rt;
    unsigned index; /* r0 .. */
    size_t thread;  /* that owns it */
    config_id config;
    const fief_kind *kinds;
    unsigned kind_count;
    size_t heap_align;
    bool is_counted;  /* some limit, or count_blocks: figures are exact in every mode */
    bool may_run_out; /* of memory, and when depends on the mode */
    bool is_loose;    /* so nothing of it is digested; nor where the OS fails */
    bool sizes_vary;  /* a block has what a window had left, which is the mode's: nor this */
    size_t quarantine;
    const unsigned char *buffer; /* that it lives in, or NULL */
    size_t buffer_size;
    size_t limit, asked, heap_used;
    figures strategies[FIEF_STRATEGIES], kinds_used[KINDS_MODELLED];
    block blocks[BLOCKS];
    unsigned live, top;     /* how many; the highest in use and one more */
    block resting[RESTING]; /* the last that were freed and are in quarantine; start NULL: none */
    int busy;               /* a block that is being resized: not to be collected; or -1 */
    unsigned full_calls;
    home homes[HOMES];
    unsigned homes_opened;
    marked marks[MARKS];
    slots pools[POOLS];
    unit units[UNITS];
    bool has_root[ROOTS];
    unsigned unit_count;
    opened images[IMAGES];
} life;

/* ---- blocks ---- */

/* The bytes that a block is filled with. None is 0, so that no word of them is an address. */
void fill_block(const block *b);
/* Every byte of a large block, too: where the library leaves old bytes in a new block, an old
 * pointer among them would be found dangling. */
void model_fills_whole(bool whole);
/* Does it hold them, up to `size` bytes? */
bool block_holds(const block *b, size_t size);
/* All that is not, where fill_block leaves some of a large block out; and are all there? */
void fill_rest(const block *b);
bool holds_whole(const block *b);
/* Where a field of the block may be: its first word or its last. */
size_t field_place(const block *b, bool last);
void fill_field(const block *b);
/* What its field is to point at; NULL: it has none. */
unsigned char *field_target(const life *l, const block *b);
/* Does it point into the runtime? What lies in a buffer of the host's is nobody's. */
bool points_inside(const life *l, const block *b);
/* Is the field, where it has one, the address that it was given? */
bool block_points(const life *l, const block *b);
bool is_zero(const unsigned char *start, size_t size);

/* The handle, or the next one that is alive and admitted (NULL: any); -1: there is none. */
typedef bool admits(const life *l, const block *b);
int find_block(const life *l, uint64_t handle, admits *admitted);
int find_empty(const life *l, uint64_t handle);
bool is_dynamic(const life *l, const block *b);
/* Does [start, start + size) overlap a living block? -1: no. */
int overlapped(const life *l, const unsigned char *start, size_t size, int but);
/* A page fence tells more than most classes, by faults. */
bool is_fenced(const life *l, const block *b);
bool is_plain_dynamic(const life *l, const block *b);
/* Freed, the block waits in quarantine, where the build has one, for RESTING frees at least. */
bool would_wait(const life *l, const block *b);
bool overlaps_resting(const life *l, const unsigned char *start, size_t size);

/* ---- counting ---- */

bool budget_admits_it(const life *l, fief_strategy strategy, size_t size);
void count_block(life *l, fief_strategy strategy, unsigned kind, size_t size);
/* Bytes that were asked for, over all; negative: not after all. */
void count_total(life *l, fief_strategy strategy, unsigned kind, ptrdiff_t size);
void uncount_block(life *l, fief_strategy strategy, unsigned kind, size_t size);
/* What the heap counts for a block of a sized call, of an unsized one. */
size_t heap_rounded(const life *l, size_t size);
size_t unsized_size(size_t size, size_t align);

/* The block is gone from the table; budgets are the caller's. */
void drop_block(life *l, int index);
/* Everything of the arena above the number dies. Returns how many cleanups must have run. */
unsigned model_undo(life *l, int home, uint64_t number);
/* All that is in the one arena, from the number behind `base` on, is the other's newest. */
void model_move(life *l, int from, int to, uint64_t base);
/* A number for what is allocated next there. */
entry *log_entry(life *l, int home, fief_strategy strategy, unsigned kind, size_t size);
/* Does it die when the arena loses all above the number? */
bool dies_above(const block *b, int home, uint64_t number);
/* The newest living block of a stack; -1: it is empty. */
int newest_frame(const life *l, int home);

#endif
