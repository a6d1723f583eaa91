/** @file
 * runtime: one interpreter's memory, and the strategy manager over it.
 *
 * The host hands a table to fief_open: object kind x context -> strategy. It is checked there once
 * and resolved into rows, so that fief_new costs one indexed load more than the allocator behind
 * it. A runtime belongs to one thread at a time. There are no globals. */
#ifndef FIEF_RUNTIME_H
#define FIEF_RUNTIME_H

#include <fief/arena.h>
#include <fief/heap.h>
#include <fief/misuse.h>
#include <fief/nodes.h>
#include <fief/pool.h>
#include <fief/stack.h>
#include <fief/stats.h>

FIEF_BEGIN

/** What a block is for. A host may use more, up to FIEF_CONTEXTS. */
typedef enum fief_context {
    FIEF_NATIVE,
    FIEF_LITERAL,
    FIEF_CONSTANT,
    FIEF_DYNAMIC,
    FIEF_TEMPORARY,
    FIEF_HOST_CONTEXT, /**< the first of the host's own */
    FIEF_CONTEXTS = 8
} fief_context;

/** What a guarded build is to know of a kind; or'ed. */
typedef enum fief_trait {
    FIEF_NO_POINTERS = 1, /**< its blocks hold none: dangling scans pass them over */
    /** Debug: behind each block (pool, heap) lies an inaccessible page ... */
    FIEF_FENCE_BACK = 2,
    FIEF_FENCE_FRONT = 4 /**< ... or before it, and a freed one is inaccessible as a whole */
} fief_trait;

/** What the `visit` of a kind tells the pointers of a block to. */
typedef struct fief_pointers fief_pointers;

/** A row of the table: a kind with its strategy in any context, or context by context. */
typedef struct fief_kind {
    const char *name;                /**< in reports and statistics; unique in the table */
    size_t size;                     /**< 0: varies; a pool needs it */
    fief_strategy any;               /**< in every context that `in` does not name */
    fief_strategy in[FIEF_CONTEXTS]; /**< by context */
    unsigned traits;                 /**< of fief_trait */
    /** Offsets of fields whose pointers may dangle; they outlive the runtime. */
    const size_t *weak;
    unsigned weak_count;    /**< how many */
    unsigned pointer_count; /**< how many of the next */
    /** For images and parcels: offsets of its pointers, multiples of 8; they outlive it. */
    const size_t *pointers;
    /** The same: tells each pointer of a block, beside `pointers`, by fief_pointer; or NULL. It
     * changes nothing, and uses no runtime. */
    void (*visit)(const void *block, size_t size, fief_pointers *ret_pointers);
} fief_kind;

/** Of a kind's `visit`: the eight bytes at `field`, in the block, point at `target`, with whatever
 * the host adds to an address (a tag in its upper 16 or its lowest bits). NULL: at nothing. */
FIEF_API void fief_pointer(fief_pointers *pointers, const void *field, const void *target);

/** Where a runtime's trace goes (docs/trace.md): each allocation and death, with kinds, contexts,
 * arenas and units, for `fief show`, `fief replay` and the others. */
typedef struct fief_trace {
    const char *path; /**< a file, made anew; NULL: `write` has it */
    /** Is given the trace in pieces, in order; false: no more of it. It uses no runtime. */
    bool (*write)(const void *bytes, size_t size, void *user);
    void *user; /**< handed to it */
} fief_trace;

/** What a runtime is to be like; all zero is a usual one, with fief_default_kinds. */
typedef struct fief_config {
    const char *name;       /**< in reports; default "vm" */
    const fief_kind *kinds; /**< must outlive the runtime; NULL: fief_default_kinds */
    unsigned kind_count;    /**< its rows */
    size_t reserve_bytes;   /**< address space; default 64 GiB, halved until the OS agrees */
    fief_range *range;      /**< a kept range to live in, instead of a reserve of its own */
    void *buffer;           /**< the caller's own memory instead of a reserve */
    size_t buffer_size;     /**< of that, in bytes */
    size_t limit_bytes;     /**< bytes asked for and alive, at most; 0: none */
    size_t limits[FIEF_STRATEGIES]; /**< the same for a strategy */
    /** Free pages kept warm rather than given to the system, in steps of 64 KiB; 0: 4 MiB. What is
     * beyond goes back in instalments, as spans are taken and given back, so that calls wait little
     * for the system: eight times as much waits at most, and never more than 32 MiB; twice that
     * where it lies between pages in use. fief_trim gives all of it back at once. */
    size_t retain_bytes;
    /** Pages of 2 MiB from the first byte on, where the system has them: faster first touches and a
     * faster end, up to 2 MiB more. Without it what a runtime takes beyond 16 MiB is of such pages,
     * for a span of 2 MiB and more beyond 4 MiB; in guarded builds all beyond 1 MiB. */
    bool huge_pages;
    /** Lives in the range of one that was closed, where such a one waits, and leaves it to wait for
     * the next (fief_trim_idle): no system call but, where there are several nodes, one for the
     * thread's; and retain_bytes of warm pages. Without effect
     * where `range` or `buffer` is given, and in guarded builds, where the dead stay dead. */
    bool recycle_range;
    const fief_arena_config *vm_arena;       /**< NULL: as it comes */
    const fief_arena_config *compiler_arena; /**< likewise */
    const fief_arena_config *frame_stack;    /**< likewise */
    unsigned align;                          /**< of the heap: 16 (default) or 8 */
    const fief_trace *trace; /**< NULL: none. With one, each call is seen, as with count_blocks */
    bool count_blocks;       /**< exact block counts, at the cost of the inline path */
    size_t quarantine_bytes; /**< dead blocks wait in guarded builds: 4 MiB; 1: none do */
    unsigned stack_depth;    /**< frames kept of each call in guarded builds: 4, at most 16 */
    unsigned scan_percent;   /**< of the time, for dangling scans when guarded: 10; 100: all */
    bool color;              /**< of reports: say so where stderr is a terminal */
    /** Guarded: that call raises SIGTRAP, for a debugger; operations are numbered as in reports. */
    uint64_t break_at_operation;
    /** Guarded: a report leaves the last 256 calls in that file, as a program for ./dev replay. */
    const char *record_ops;
    bool no_scan;    /**< no dangling scans */
    bool scan_stack; /**< with the C stack (conservatively: it keeps old words) */
    /** The host's own location, kept beside a call's frames; it uses no runtime. */
    uint64_t (*where)(void *user);
    /** That as text ("script.lua:12"), in the manner of snprintf: called for a report that is
     * printed, in a child process, so that the report can go on without it. */
    size_t (*where_text)(uint64_t where, char *buffer, size_t size, void *user);
    bool (*on_full)(fief_runtime *rt, size_t size, void *user); /**< collect; true: try again */
    /** Hears of each misuse. NULL, or it returns false: it is printed; all but a leak abort. */
    bool (*on_misuse)(const fief_misuse *misuse, void *user);
    void *user;        /**< the host's, handed to each of its functions */
    fief_error *error; /**< filled when fief_open returns NULL */
    /** Where its pages lie on a machine with several nodes; not with `buffer`. One call to the
     * system for all of its address space, in the open, and none afterwards. */
    fief_placement placement;
    /** The same for a strategy's spans of 64 KiB and more, laid on them when they are taken: a call
     * for each, and another when it is given back. With one of these that differs from `placement`,
     * `recycle_range` leaves nothing for the next. */
    fief_placement placements[FIEF_STRATEGIES];
} fief_config;

/** One resolved cell: the allocator that serves this kind in this context. Eight bytes, so that the
 * rows of a usual table share a page with everything else that an open touches. */
typedef struct fief_row {
    int32_t allocator;  /**< bytes from the runtime to it */
    uint16_t slot_size; /**< of a pool; 0 in the rows of others */
    uint8_t strategy;   /**< a fief_strategy */
    /** Every context of the kind goes here: a free needs not ask where the block lives. */
    bool sole;
} fief_row;

/** The rows follow it in memory: kind * FIEF_CONTEXTS + context. */
struct fief_runtime {
    unsigned kind_count; /**< rows of the table */
    bool checks_stores;  /**< does fief_store look? */
    fief_heap *heap;     /**< fief_runtime_heap */
    fief_arena *vm;      /**< fief_vm_arena */
    fief_arena *unit;    /**< fief_compiler_arena */
    fief_stack *frames;  /**< fief_frame_stack */
};

FIEF_INLINE const fief_row *fief_row_of(const fief_runtime *rt, unsigned kind, unsigned context)
{
    return (const fief_row *)(const void *)(rt + 1) + (size_t)kind * FIEF_CONTEXTS + context;
}

FIEF_INLINE void *fief_row_allocator(fief_runtime *rt, const fief_row *row)
{
    return (unsigned char *)rt + row->allocator;
}

/** A unit of compilation; plain data, returned by begin and handed to end. */
typedef struct fief_unit {
    fief_mark mark;       /**< where it began */
    uint64_t outer_began; /**< the arena's events when the unit around it began */
    unsigned number;      /**< in reports: 1 is the runtime's first */
    unsigned outer;       /**< the unit around it; 0: none */
    size_t frames; /**< the stack's height when it began: what is pushed since is popped first */
} fief_unit;

/** The usual kinds of an interpreter, in this order. */
typedef enum fief_default_kind {
    FIEF_KIND_NATIVE,
    FIEF_KIND_STRING,
    FIEF_KIND_FUNCTION,
    FIEF_KIND_CLOSURE,
    FIEF_KIND_UPVALUE,
    FIEF_KIND_CLASS,
    FIEF_KIND_INSTANCE,
    FIEF_KIND_BOUND_METHOD,
    FIEF_KIND_VECTOR,
    FIEF_KIND_HASH_TABLE,
    FIEF_KIND_LIST,
    FIEF_KIND_PAIR,
    FIEF_KIND_RANGE,
    FIEF_KIND_MATRIX,
    FIEF_KIND_TOKEN,
    FIEF_KIND_AST_NODE,
    FIEF_KIND_SYMBOL,
    FIEF_KIND_CALL_FRAME,
    FIEF_DEFAULT_KINDS
} fief_default_kind;
/** Their table. */
FIEF_API extern const fief_kind fief_default_kinds[FIEF_DEFAULT_KINDS];

FIEF_API FIEF_NOINLINE size_t fief_close_slow(fief_runtime *rt);
FIEF_API FIEF_NOINLINE void fief_drop_slow(fief_runtime *rt);
FIEF_API FIEF_NOINLINE void *fief_resize_slow(fief_runtime *rt, unsigned kind, void *block,
                                              size_t old_size, size_t new_size);
FIEF_API FIEF_NOINLINE fief_unit fief_unit_begin_slow(fief_runtime *rt);
FIEF_API FIEF_NOINLINE fief_unit fief_unit_begin_named_slow(fief_runtime *rt, const char *name);
FIEF_API FIEF_NOINLINE void fief_unit_end_slow(fief_runtime *rt, fief_unit unit);
FIEF_API FIEF_NOINLINE bool fief_unit_keep_slow(fief_runtime *rt, fief_unit unit);
FIEF_API FIEF_NOINLINE char *fief_strdup_slow(fief_runtime *rt, unsigned context,
                                              const char *string);
FIEF_API FIEF_NOINLINE char *fief_strndup_slow(fief_runtime *rt, unsigned context,
                                               const char *string, size_t size);
FIEF_API FIEF_NOINLINE void *fief_memdup_slow(fief_runtime *rt, unsigned context, const void *bytes,
                                              size_t size);
FIEF_API FIEF_NOINLINE void fief_free_string_slow(fief_runtime *rt, char *string);
FIEF_API FIEF_NOINLINE size_t fief_check_slow(fief_runtime *rt);

/** A runtime, or NULL with config->error filled. config may be NULL. */
FIEF_API fief_runtime *fief_open(const fief_config *config);
/** Ends everything: frames, units, pools, heap, vm; cleanups newest first. Reports the blocks of
 * dynamic lifetime that the host leaked, to on_misuse or to stderr, and returns how many. NULL is
 * fine. */
FIEF_INLINE size_t fief_close(fief_runtime *rt)
{
    size_t leaked = fief_close_slow(rt);
    FIEF_NO_TAIL_CALL();
    return leaked;
}

/** Ends everything like fief_close, and with it what the host has not freed: blocks of dynamic
 * lifetime go with their pages, neither counted nor reported. For a VM that ends with live objects;
 * a build that is to find leaks frees them and calls fief_close. NULL is fine. */
FIEF_INLINE void fief_drop(fief_runtime *rt)
{
    fief_drop_slow(rt);
    FIEF_NO_TAIL_CALL();
}

/** A remark in the trace, at this point of it: "collection 12". Without a trace, nothing. */
FIEF_API void fief_trace_mark(fief_runtime *rt, const char *text);

/** Makes the calling thread the owner. Pages stay on the node where they lie: fief_follow brings
 * them. */
FIEF_API void fief_adopt(fief_runtime *rt);

/** A range: address space that outlives the runtimes which live in it, one at a time. Opening a
 * runtime in a kept range takes no system call, and its pages stay warm (config.retain_bytes of
 * them). reserve_bytes 0 means 64 GiB; NULL when the system refuses. A range may be used from any
 * thread, by one at a time. */
FIEF_API fief_range *fief_range_open(size_t reserve_bytes);
/** Gives the range to the system. False, and nothing done, while a runtime lives in it. NULL is
 * fine. */
FIEF_API bool fief_range_close(fief_range *range);

/** Ranges wait for runtimes that ask for one (config.recycle_range): at most 16 for each node of
 * memory, each taken by one thread of that node, whichever left it. Gives those that wait to the
 * system; returns how many. From any thread. */
FIEF_API size_t fief_trim_idle(void);

/** The runtime's own heap; it lives as long as the runtime does, as do the next three. */
FIEF_INLINE fief_heap *fief_runtime_heap(fief_runtime *rt)
{
    return rt->heap;
}

/** The arena of what lives as long as the VM. */
FIEF_INLINE fief_arena *fief_vm_arena(fief_runtime *rt)
{
    return rt->vm;
}

/** The arena of the units. */
FIEF_INLINE fief_arena *fief_compiler_arena(fief_runtime *rt)
{
    return rt->unit;
}

/** The stack of the call frames. */
FIEF_INLINE fief_stack *fief_frame_stack(fief_runtime *rt)
{
    return rt->frames;
}

FIEF_API FIEF_NOINLINE void *fief_new_slow(fief_runtime *rt, unsigned kind, unsigned context,
                                           size_t size);
FIEF_API FIEF_NOINLINE void fief_free_slow(fief_runtime *rt, unsigned kind, void *block,
                                           size_t size);

/** A zeroed block of `kind` for `context`, where the table sends it; NULL after on_full declined.
 * Its lifetime is the strategy's. */
FIEF_INLINE void *fief_new(fief_runtime *rt, unsigned kind, unsigned context, size_t size)
{
    if (FIEF_LIKELY(kind < rt->kind_count && context < FIEF_CONTEXTS)) {
        const fief_row *row = fief_row_of(rt, kind, context);
        if (size - 1 < row->slot_size) {
            fief_pool *slots = (fief_pool *)fief_row_allocator(rt, row);
            fief_vacant *slot = slots->vacant;
            if (FIEF_LIKELY(slot != NULL)) {
                slots->vacant = slot->next;
                return memset(slot, 0, size);
            }
        } else if (row->strategy == FIEF_HEAP) {
            fief_heap *shared = rt->heap;
            if (FIEF_LIKELY(size - 1 < FIEF_SMALL_MAX)) {
                size_t rounded = ((size - 1) | shared->round) + 1;
                fief_vacant **list = fief_heap_list(shared, rounded);
                fief_vacant *slot = *list;
                size_t lent = shared->lent + rounded;
                if (FIEF_LIKELY(slot != NULL && lent <= shared->news)) { /* nothing to look at */
                    *list = slot->next;
                    shared->lent = lent;
                    return memset(slot, 0, size);
                }
            }
        } else if (row->strategy - 1u < FIEF_COMPILER_ARENA) { /* it, or the vm's */
            void *block;
            fief_arena *region = (fief_arena *)fief_row_allocator(rt, row);
            if (FIEF_LIKELY(fief_arena_try(region, size, FIEF_ALIGN, &block))) {
                return memset(block, 0, size);
            }
        } else if (row->strategy == FIEF_STACK) {
            void *frame;
            if (FIEF_LIKELY(fief_arena_try(&rt->frames->arena, size, FIEF_GRAIN, &frame))) {
                return memset(frame, 0, size);
            }
        }
    }
    void *fresh = fief_new_slow(rt, kind, context, size);
    FIEF_NO_TAIL_CALL();
    return fresh;
}

/** Frees a block of dynamic lifetime: the collector's sweep. size as given to fief_new. A block
 * that lives in an arena or the stack is misuse: ask fief_owner first. NULL is fine. */
FIEF_INLINE void fief_free(fief_runtime *rt, unsigned kind, void *block, size_t size)
{
    if (FIEF_LIKELY(kind < rt->kind_count)) {
        const fief_row *row = fief_row_of(rt, kind, FIEF_DYNAMIC);
        if (FIEF_LIKELY(row->sole)) {
            if (row->strategy == FIEF_POOL) {
                fief_pool *slots = (fief_pool *)fief_row_allocator(rt, row);
                if (FIEF_LIKELY(slots->open && block != NULL)) {
                    fief_pool_give(slots, block);
                    return;
                }
            } else if (FIEF_LIKELY(size - 1 < rt->heap->give_max && block != NULL)) {
                fief_heap_free(rt->heap, block, size);
                return;
            }
        }
    }
    fief_free_slow(rt, kind, block, size);
    FIEF_NO_TAIL_CALL();
}

/** `count` objects of type T in the open unit, not zeroed; they die at its end. */
#define fief_temp(rt, T, count) ((T *)fief_temp_block((rt), (count), sizeof(T), FIEF_ALIGNOF(T)))
FIEF_INLINE void *fief_temp_block(fief_runtime *rt, size_t count, size_t size, size_t align)
{
    return fief_arena_array(rt->unit, count, size, align);
}

/** A block resized under its kind, its prefix kept, its tail zeroed; NULL leaves it as it was. */
FIEF_INLINE void *fief_resize(fief_runtime *rt, unsigned kind, void *block, size_t old_size,
                              size_t new_size)
{
    void *moved = fief_resize_slow(rt, kind, block, old_size, new_size);
    FIEF_NO_TAIL_CALL();
    return moved;
}

FIEF_API FIEF_NOINLINE bool fief_store_slow(fief_runtime *rt, const void *holder, const void *field,
                                            const void *target);

/** Stores: `*field = target`, where `field` is a pointer of the block `holder` (or of a root, or
 * NULL: not known). In a guarded build it is misuse where the holder's lifetime is longer than the
 * target's: a vm or dynamic block that is to hold a pointer into a unit or a frame, an outer
 * unit's into an inner one's. Refused, nothing is stored. */
FIEF_INLINE void fief_store(fief_runtime *rt, void *holder, void *field, void *target)
{
    if (rt->checks_stores) {
        bool sound = fief_store_slow(rt, holder, field, target);
        FIEF_NO_TAIL_CALL();
        if (!sound) {
            return;
        }
    }
    memcpy(field, &target, sizeof target);
}

/** Memory of the host's own (globals, a value stack of malloc's) that dangling scans look at until
 * fief_root_remove(start). `name` is borrowed for reports. False when memory is short. In a release
 * build nothing happens. */
FIEF_API bool fief_root_add(fief_runtime *rt, const void *start, size_t size, const char *name);
/** That memory is looked at no more. */
FIEF_API void fief_root_remove(fief_runtime *rt, const void *start);

/** One compilation begins: its temporaries live until fief_unit_end, innermost first. */
FIEF_INLINE fief_unit fief_unit_begin(fief_runtime *rt)
{
    fief_unit unit = fief_unit_begin_slow(rt);
    FIEF_NO_TAIL_CALL();
    return unit;
}

/** The same with a name, as "main.lox", which reports call it by. It is read in this call alone; of
 * a long one a guarded build keeps the end. NULL: none. */
FIEF_INLINE fief_unit fief_unit_begin_named(fief_runtime *rt, const char *name)
{
    fief_unit unit = fief_unit_begin_named_slow(rt, name);
    FIEF_NO_TAIL_CALL();
    return unit;
}

/** Its cleanups run, newest first; then its blocks die. A guarded build scans for dangling pointers
 * between the two, since a cleanup may clear them: where on_misuse refuses the end, the cleanups
 * have run, and don't run again. The same holds for a rewind, a reset and a pop. */
FIEF_INLINE void fief_unit_end(fief_runtime *rt, fief_unit unit)
{
    fief_unit_end_slow(rt, unit);
    FIEF_NO_TAIL_CALL();
}

/** The unit ends, and what it holds is needed after all: a module's code, a line of a REPL. Its
 * blocks stay where they are, pointers to them stay good, and they are the vm arena's from now on:
 * newer than all that is there, as fief_owner, statistics and reports tell; a rewind of the vm
 * arena to an older mark undoes them. Its cleanups go along, and run with the vm arena's. A nested
 * unit's blocks become those of the unit around it. Marks of the unit are stale.
 *
 * Nothing is copied: it costs a store for each 64 KiB and for each cleanup and large block. The vm
 * arena goes on in the unit's last page of 64 KiB; what was free in its own stays unused. So keep
 * modules, not lines of ten bytes each, or nest those in a unit that is kept at their end.
 *
 * False: nothing has changed, and the unit is still open; where the vm arena's limit or cap does
 * not admit what the unit holds (on_full is asked), where the compiler arena has a buffer of the
 * caller's or is sealed, or where just one of the two arenas is `recorded`. Not the innermost unit,
 * or one with a frame still pushed: misuse, as in fief_unit_end. */
FIEF_INLINE bool fief_unit_keep(fief_runtime *rt, fief_unit unit)
{
    bool kept = fief_unit_keep_slow(rt, unit);
    FIEF_NO_TAIL_CALL();
    return kept;
}

/** A copy of a string, by context: native, literal and constant ones live in the vm arena,
 * temporary ones in the unit, others on the heap (freed by fief_free_string). NULL when memory is
 * short. */
FIEF_INLINE char *fief_strdup(fief_runtime *rt, unsigned context, const char *string)
{
    char *copy = fief_strdup_slow(rt, context, string);
    FIEF_NO_TAIL_CALL();
    return copy;
}

/** The same of at most `size` bytes of a string, with a NUL behind them. */
FIEF_INLINE char *fief_strndup(fief_runtime *rt, unsigned context, const char *string, size_t size)
{
    char *copy = fief_strndup_slow(rt, context, string, size);
    FIEF_NO_TAIL_CALL();
    return copy;
}

/** The same of `size` bytes. */
FIEF_INLINE void *fief_memdup(fief_runtime *rt, unsigned context, const void *bytes, size_t size)
{
    void *copy = fief_memdup_slow(rt, context, bytes, size);
    FIEF_NO_TAIL_CALL();
    return copy;
}

/** A formatted string, by context. Its arguments vary, so it can't be inlined: the site of
 * `return fief_printf(...)` may be the caller's. */
FIEF_API char *fief_printf(fief_runtime *rt, unsigned context, const char *format, ...)
    FIEF_PRINTF(3, 4);

/** Frees such a string that lives on the heap. NULL is fine. */
FIEF_INLINE void fief_free_string(fief_runtime *rt, char *string)
{
    fief_free_string_slow(rt, string);
    FIEF_NO_TAIL_CALL();
}

/** Which strategy a pointer belongs to: any pointer whatever, foreign ones included
 * (FIEF_NO_STRATEGY). */
FIEF_API fief_strategy fief_owner(const fief_runtime *rt, const void *pointer);
/** In a guarded build: looks at every block, alive or waiting, and reports what was written outside
 * or after. Returns how many blocks it looked at; 0 in a release build. */
FIEF_INLINE size_t fief_check(fief_runtime *rt)
{
    size_t looked = fief_check_slow(rt);
    FIEF_NO_TAIL_CALL();
    return looked;
}

/** Gives free pages back to the OS; returns the bytes. */
FIEF_API size_t fief_trim(fief_runtime *rt);

/** Sets the limit of a strategy, or with FIEF_NO_STRATEGY that of all: bytes asked for and alive,
 * at most; 0: none. What is asked for now freezes it, less refuses all until enough is freed;
 * on_full may raise it and ask to try again. False, and nothing done, for a runtime that was
 * opened without count_blocks and without a limit: its inline path counts nothing, so there is
 * nothing to compare with. The same in every mode. */
FIEF_API bool fief_limit_set(fief_runtime *rt, fief_strategy strategy, size_t bytes);

/** For existing code, a file at a time: malloc's contract on the runtime's heap. */
FIEF_INLINE void *fief_malloc(fief_runtime *rt, size_t size)
{
    return fief_heap_alloc_unsized(rt->heap, size);
}

/** As calloc; NULL where the product does not fit, too. */
FIEF_INLINE void *fief_calloc(fief_runtime *rt, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        return NULL;
    }
    void *block = fief_heap_alloc_unsized(rt->heap, bytes);
    return block != NULL ? memset(block, 0, bytes) : NULL;
}

/** As realloc, but that size 0 gives a block of no bytes and not NULL, and that shrinking never
 * fails. */
FIEF_INLINE void *fief_realloc(fief_runtime *rt, void *block, size_t size)
{
    return fief_heap_resize_unsized(rt->heap, block, size);
}

/** As free. It is not called fief_free because that one knows kinds and sizes. */
FIEF_INLINE void fief_release(fief_runtime *rt, void *block)
{
    fief_heap_free_unsized(rt->heap, block);
}

FIEF_END
#endif
