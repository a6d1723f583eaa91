/* strategy: which block lives where, and the verbs that ask for one.
 *
 *     mem_new, mem_resize, mem_free ──┬── direct: fief_new, fief_resize, fief_free
 *                                     └── all-heap: each block by itself, from libc or fief's heap
 *
 * Everything that the interpreter allocates passes here, under one of the kinds below. Nobody tests
 * for NULL: where memory is short, mem_fail leaves by longjmp for the place that says so in Lox.
 *
 * `--strategy all-heap` is the other side of every comparison. There the blocks of a unit and those
 * of the VM are listed, so that they can be freed one by one when the unit, or the VM, ends. */
#ifndef LOX_STRATEGY_H
#define LOX_STRATEGY_H

#include <setjmp.h>

#include <fief/fief.h>

typedef enum kind {
    KIND_NATIVE,
    KIND_NAME,
    KIND_LITERAL,
    KIND_STRING,
    KIND_FUNCTION,
    KIND_CODE,
    KIND_CONSTANTS,
    KIND_CACHES,
    KIND_LINES,
    KIND_CLOSURE_1,
    KIND_CLOSURE_4,
    KIND_CLOSURE,
    KIND_UPVALUE,
    KIND_CLASS,
    KIND_INSTANCE_1,
    KIND_INSTANCE_2,
    KIND_INSTANCE_4,
    KIND_INSTANCE_8,
    KIND_FIELDS,
    KIND_BOUND,
    KIND_TABLE,
    KIND_GLOBALS,
    KIND_GRAY,
    KIND_FRAME,
    KIND_VALUES,
    KIND_SOURCE,
    KIND_TOKEN,
    KIND_NODE,
    KIND_SYMBOL,
    KIND_SCOPE,
    KIND_PATCH,
    KIND_DIAGNOSTIC,
    /* Of an image that is made, where none of them changes any more. */
    KIND_KEPT,
    KIND_KEPT_CLOSURE,
    KIND_KEPT_UPVALUE,
    KIND_KEPT_CLASS,
    KIND_KEPT_TABLE,
    KIND_KEPT_STRINGS,
    KIND_KEPT_VALUES,
    KIND_KEPT_NAMES,
    /* What the VM has beside an image that it began with. */
    KIND_LAYOUTS,
    KIND_COPIES,
    KIND_SENT, /* what a worker hands over */
    KINDS
} kind;

enum { STRING_UNPOOLED_MOST = 512, STRING_CLASSES = 4 };

extern const fief_kind lox_kinds[KINDS];
extern const fief_kind lox_heap_kinds[KINDS];

typedef struct listed {
    void *block;
    size_t size;
    kind kind;
} listed;

typedef struct block_list {
    listed *items;
    size_t count, capacity;
} block_list;

/* Told of each block of all-heap on fief's heap, where each is one by itself: `died` comes when its
 * unit or the VM ends, too. `from` is NULL where a resize makes the block. */
typedef struct mem_watcher {
    void (*born)(void *user, kind kind, unsigned context, const void *block, size_t size);
    void (*resized)(void *user, kind kind, const void *from, const void *to, size_t size);
    void (*died)(void *user, const void *block);
    void (*unit)(void *user, bool begins);
    void *user;
} mem_watcher;

typedef struct memory {
    bool direct;        /* fief's strategies, and not all-heap */
    bool counts_kinds;  /* a guarded build, a limit or --stats */
    fief_runtime *rt;   /* NULL: libc */
    fief_unit unit;     /* the open one; direct only */
    fief_pool *strings[STRING_CLASSES]; /* each opened when it is needed; [0] never */
    bool in_unit;
    size_t limit, now, peak; /* libc: bytes asked for; nobody else counts them */
    block_list of_unit, of_vm;
    const mem_watcher *watcher; /* or NULL */
    bool (*collect)(void *user); /* true: something was freed, try again */
    void *user;
    jmp_buf *on_empty;
} memory;

typedef struct memory_options {
    bool all_heap;
    bool on_fief; /* all-heap on fief's heap instead of libc */
    bool count_blocks;
    bool records_vm; /* the VM's blocks are to be saved */
    /* All of the VM's blocks are those of one unit, which is open until the close, and can be sent:
     * a table with lox_kinds' kinds in which the compiler arena stands for the vm arena. */
    const fief_kind *one_unit;
    bool recycles; /* lives in the range of a VM that was closed */
    size_t limit;
    fief_range *range; /* to live in; NULL: one of its own */
    const mem_watcher *watcher;
} memory_options;

/* False, with a line on stderr, when the memory cannot be opened. */
bool mem_open(memory *m, const memory_options *options);
/* Ends everything. `dropped`: live objects are left on purpose, and go with their pages. Returns
 * the blocks that leaked. */
size_t mem_close(memory *m, bool dropped);
/* Do blocks of dynamic lifetime have to be freed one by one before mem_close? */
bool mem_must_free_all(const memory *m);

/* Where the table sends a kind. */
fief_strategy mem_strategy_of(kind kind, unsigned context);

void mem_unit_begin(memory *m);
void mem_unit_end(memory *m);

_Noreturn void mem_fail(memory *m);
void *mem_new_listed(memory *m, kind kind, unsigned context, size_t size);
void mem_free_listed(memory *m, kind kind, void *block, size_t size);
void *mem_resize(memory *m, kind kind, void *block, size_t old_size, size_t new_size);
/* The same, but NULL where memory is short: for the collector, which must not fail. */
void *mem_try_resize(memory *m, kind kind, void *block, size_t old_size, size_t new_size);
/* A block of the open unit with room for more: a copy; the old one dies with the unit. */
void *mem_regrow(memory *m, kind kind, const void *block, size_t old_size, size_t new_size);

/* A zeroed block of `kind` for `context`. */
static inline void *mem_new(memory *m, kind kind, unsigned context, size_t size)
{
    if (FIEF_LIKELY(m->direct)) {
        void *block = fief_new(m->rt, kind, context, size);
        if (FIEF_LIKELY(block != NULL)) {
            return block;
        }
        mem_fail(m);
    }
    return mem_new_listed(m, kind, context, size);
}

/* A block of dynamic lifetime back; size as it was asked for. */
static inline void mem_free(memory *m, kind kind, void *block, size_t size)
{
    if (FIEF_LIKELY(m->direct)) {
        fief_free(m->rt, kind, block, size);
    } else {
        mem_free_listed(m, kind, block, size);
    }
}

/* Strings of a few KiB are the usual garbage of a loop that builds a text: pools hand the warmest
 * slot out again, where the heap would search its bitmap. They are the host's own pools, so that
 * they can be trimmed; few of them, since each has a page that is partly empty. */
static inline size_t string_slot(unsigned class_)
{
    static const uint16_t slots[STRING_CLASSES] = {STRING_UNPOOLED_MOST, 1280, 2560, 4096};
    return slots[class_];
}

/* The pool's number; 0: the heap's. */
static inline unsigned string_class(size_t size)
{
    if (size <= STRING_UNPOOLED_MOST || size > string_slot(STRING_CLASSES - 1)) {
        return 0;
    }
    unsigned class_ = 1;
    while (size > string_slot(class_)) {
        class_++;
    }
    return class_;
}

/* What the string takes of the memory, for the collector's count. */
static inline size_t string_room(const memory *m, size_t size)
{
    unsigned class_ = string_class(size);
    return m->direct && class_ != 0 ? string_slot(class_) : size;
}

fief_pool *mem_string_pool(memory *m, unsigned class_);
/* After a sweep: the pages of strings that are all gone can serve others. */
void mem_trim(memory *m);

/* A string's block; not zeroed where that can be helped, since all of it is written. */
static inline void *mem_new_string(memory *m, size_t size)
{
    unsigned class_ = string_class(size);
    if (!m->direct || (class_ == 0 && m->counts_kinds)) {
        return mem_new(m, KIND_STRING, FIEF_DYNAMIC, size);
    }
    void *block = class_ == 0 ? fief_heap_alloc(fief_runtime_heap(m->rt), size)
                              : fief_pool_take(mem_string_pool(m, class_));
    if (block == NULL) {
        mem_fail(m);
    }
    return block;
}

static inline void mem_free_string(memory *m, void *block, size_t size)
{
    unsigned class_ = string_class(size);
    if (!m->direct || (class_ == 0 && m->counts_kinds)) {
        mem_free(m, KIND_STRING, block, size);
    } else if (class_ == 0) {
        fief_heap_free(fief_runtime_heap(m->rt), block, size);
    } else {
        fief_pool_give(mem_string_pool(m, class_), block);
    }
}

/* The value stack's room: not zeroed. It lives until the VM ends. */
void *mem_new_values(memory *m, size_t size);
void mem_free_values(memory *m, void *block, size_t size);

/* A frame, not zeroed: all of it is set. Past the table, where nobody counts by kind. */
static inline void *mem_push_frame(memory *m, size_t size)
{
    if (FIEF_LIKELY(m->direct)) {
        void *block = m->counts_kinds ? fief_new(m->rt, KIND_FRAME, FIEF_DYNAMIC, size)
                                      : fief_stack_push(fief_frame_stack(m->rt), size);
        if (FIEF_LIKELY(block != NULL)) {
            return block;
        }
        mem_fail(m);
    }
    return mem_new_listed(m, KIND_FRAME, FIEF_DYNAMIC, size);
}

static inline void mem_pop_frame(memory *m, void *frame, size_t size)
{
    if (FIEF_LIKELY(m->direct)) {
        (void)fief_stack_pop(fief_frame_stack(m->rt), frame, size);
    } else {
        mem_free_listed(m, KIND_FRAME, frame, size);
    }
}

#endif
