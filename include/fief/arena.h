/** @file
 * arena: blocks that die together.
 *
 *     | lent | lent | ...free... |
 *                   ^cursor      ^limit
 *
 * Invariant: cursor <= limit <= end of the current span; cursor is a multiple of FIEF_GRAIN.
 *
 * An arena belongs to a runtime and is used from the runtime's thread. Its blocks live until the
 * arena is rewound past them, reset, or closed. `events` counts what happened out of line (a new
 * span, a large block of its own, a cleanup), so that a rewind is inline exactly when nothing of
 * the kind came after its mark.
 * Ideas: obstack (marks), bumpalo (alignment folded at compile time), LLVM's BumpPtrAllocator
 * (large blocks apart). */
#ifndef FIEF_ARENA_H
#define FIEF_ARENA_H

#include <fief/base.h>

#include <stdarg.h>
#include <string.h>

FIEF_BEGIN

enum { FIEF_BUMP_SURE = 1 << 16 /**< no block up to this size ends beyond the end of memory */ };

/** The window of an arena: what the inline verbs work in. */
struct fief_arena {
    unsigned char *cursor; /**< the next block begins here, or a padding further on */
    unsigned char *limit;  /**< and ends here at the latest */
    uint64_t events;       /**< out-of-line events: what a mark is compared with */
};

/** How an arena is to be; all zero is the usual one. */
typedef struct fief_arena_config {
    const char *name;   /**< for reports; borrowed for the arena's life */
    size_t presize;     /**< bytes to have ready before the first allocation */
    size_t keep_bytes;  /**< capacity kept at reset; 0 means 4 MiB */
    size_t max_bytes;   /**< cap in bytes; past it the runtime's heap serves; 0 means none */
    void *buffer;       /**< the caller's own first bytes (may be NULL); must outlive the arena */
    size_t buffer_size; /**< of that, in bytes */
    /** Each block is written down, with its kind and size, in a release build too, at the cost of
     * the inline path: for images and parcels, and for reports of writes to what is sealed. */
    bool recorded;
} fief_arena_config;

/** A position in an arena. Plain data; dies when the arena is rewound below it, reset or closed. */
typedef struct fief_mark {
    unsigned char *cursor;   /**< the arena's, then */
    const fief_arena *arena; /**< whose position it is */
    uint64_t events;         /**< the arena's, then */
} fief_mark;

FIEF_API FIEF_NOINLINE void fief_arena_close_slow(fief_arena *arena);
FIEF_API FIEF_NOINLINE void fief_arena_reset_slow(fief_arena *arena);
FIEF_API FIEF_NOINLINE void *fief_arena_memdup_slow(fief_arena *arena, const void *bytes,
                                                    size_t size);
FIEF_API FIEF_NOINLINE char *fief_arena_strdup_slow(fief_arena *arena, const char *string);
FIEF_API FIEF_NOINLINE char *fief_arena_strndup_slow(fief_arena *arena, const char *string,
                                                     size_t size);
FIEF_API FIEF_NOINLINE char *fief_arena_vprintf_slow(fief_arena *arena, const char *format,
                                                     va_list args);
FIEF_API FIEF_NOINLINE bool fief_arena_cleanup_slow(fief_arena *arena, void (*function)(void *),
                                                    void *argument);

/** A new arena of rt, or NULL when memory is short. `config` may be NULL. Closed by
 * fief_arena_close or by fief_close. */
FIEF_API fief_arena *fief_arena_open(fief_runtime *rt, const fief_arena_config *config);
/** Runs the cleanups, newest first, and gives everything back. NULL is fine. */
FIEF_INLINE void fief_arena_close(fief_arena *arena)
{
    fief_arena_close_slow(arena);
    FIEF_NO_TAIL_CALL();
}

/** Every block dies, cleanups run newest first, capacity up to keep_bytes stays. O(1) but for
 * cleanups and large blocks. */
FIEF_INLINE void fief_arena_reset(fief_arena *arena)
{
    fief_arena_reset_slow(arena);
    FIEF_NO_TAIL_CALL();
}

/** Bytes between the first block and the cursor, over all spans, with large blocks. */
FIEF_API size_t fief_arena_used(const fief_arena *arena);

FIEF_API FIEF_NOINLINE void *fief_arena_refill(fief_arena *arena, size_t size, size_t align);
/* The mark comes in pieces, in registers: whole, it would be written to memory before the test. */
FIEF_API FIEF_NOINLINE void fief_arena_rewind_slow(fief_arena *arena, unsigned char *cursor,
                                                   const fief_arena *marked, uint64_t events);
FIEF_API FIEF_NOINLINE void *fief_arena_resize_slow(fief_arena *arena, void *block, size_t old_size,
                                                    size_t new_size, size_t align);

/* Within the window; false: go out of line. The cursor is a multiple of 8, and mostly of 16, since
 * blocks aligned to 16 take a multiple of it: so the padding is a branch that is not taken rather
 * than a step of the chain from one cursor to the next. What is compared is the block's end, since
 * it is the next cursor in any case; room would be computed for the comparison alone. Size 0 goes
 * out of line, and so does an end that wraps around. A constant needs neither test: no window ends
 * so near the end of memory. */
FIEF_INLINE bool fief_arena_try(fief_arena *arena, size_t size, size_t align, void **ret_block)
{
    unsigned char *p = arena->cursor;
    size_t step = fief_round_up(size, align > FIEF_GRAIN ? FIEF_ALIGN : FIEF_GRAIN);
    bool is_sure = __builtin_constant_p(size) && size - 1 < FIEF_BUMP_SURE;
    if (!FIEF_LIKELY(align - 1 < FIEF_ALIGN_MAX && (align & (align - 1)) == 0) ||
        !FIEF_LIKELY(is_sure || step != 0)) {
        return false;
    }
    if (align > FIEF_GRAIN && !FIEF_LIKELY(((uintptr_t)p & (align - 1)) == 0)) {
        size_t pad = (0 - (uintptr_t)p) & (align - 1);
        FIEF_KEEP_BRANCH(pad);
        p += pad;
    }
    uintptr_t end = (uintptr_t)p + step;
    if (!is_sure && __builtin_add_overflow((uintptr_t)p, step, &end)) {
        return false;
    }
    if (FIEF_LIKELY(end <= (uintptr_t)arena->limit)) {
        arena->cursor = p + step;
        *ret_block = p;
        return true;
    }
    return false;
}

/** `size` bytes aligned to `align` (a power of two up to 64 KiB; anything else is misuse), not
 * zeroed; size 0 gives a unique pointer. NULL when memory is short or size > PTRDIFF_MAX. */
FIEF_INLINE void *fief_arena_alloc_aligned(fief_arena *arena, size_t size, size_t align)
{
    void *block;
    if (!FIEF_LIKELY(fief_arena_try(arena, size, align, &block))) {
        block = fief_arena_refill(arena, size, align);
        FIEF_NO_TAIL_CALL();
        /* The cursor is written back here too, so that a compiler has it in a register whichever
         * way it came: a loop of allocations then stores the cursor and does not load it again. */
        unsigned char *cursor = arena->cursor;
        FIEF_KEEP_BRANCH(cursor);
        arena->cursor = cursor;
    }
    return block;
}

/** The same with the default alignment of 16. */
FIEF_INLINE void *fief_arena_alloc(fief_arena *arena, size_t size)
{
    return fief_arena_alloc_aligned(arena, size, FIEF_ALIGN);
}

/** count * size bytes, checked: NULL where the product does not fit. */
FIEF_INLINE void *fief_arena_array(fief_arena *arena, size_t count, size_t size, size_t align)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        return NULL;
    }
    return fief_arena_alloc_aligned(arena, bytes, align);
}

/** `count` objects of type T, aligned for T, not zeroed. */
#define fief_arena_make(arena, T, count)                                                           \
    ((T *)fief_arena_array((arena), (count), sizeof(T), FIEF_ALIGNOF(T)))

/** The arena's present position. */
FIEF_INLINE fief_mark fief_arena_mark(const fief_arena *arena)
{
    fief_mark mark = {arena->cursor, arena, arena->events};
    return mark;
}

/** Back to a mark of the same arena: every block made since dies, cleanups run newest first. */
FIEF_INLINE void fief_arena_rewind(fief_arena *arena, fief_mark mark)
{
    if (FIEF_LIKELY(mark.events == arena->events && arena->cursor < arena->limit)) {
        arena->cursor = mark.cursor;
        return;
    }
    fief_arena_rewind_slow(arena, mark.cursor, mark.arena, mark.events);
    FIEF_NO_TAIL_CALL();
}

/** The block at new_size, its prefix kept: in place when it is the last one, else moved. NULL on
 * failure leaves the block as it was. block NULL is an allocation. */
FIEF_INLINE void *fief_arena_resize(fief_arena *arena, void *block, size_t old_size,
                                    size_t new_size)
{
    void *moved = fief_arena_resize_slow(arena, block, old_size, new_size, FIEF_ALIGN);
    FIEF_NO_TAIL_CALL();
    return moved;
}

/** A copy of `size` bytes, aligned to 16; NULL when memory is short. So are the next ones. */
FIEF_INLINE void *fief_arena_memdup(fief_arena *arena, const void *bytes, size_t size)
{
    void *copy = fief_arena_memdup_slow(arena, bytes, size);
    FIEF_NO_TAIL_CALL();
    return copy;
}

/** A copy of a string. */
FIEF_INLINE char *fief_arena_strdup(fief_arena *arena, const char *string)
{
    char *copy = fief_arena_strdup_slow(arena, string);
    FIEF_NO_TAIL_CALL();
    return copy;
}

/** A copy of at most `size` bytes of a string, with a NUL behind them. */
FIEF_INLINE char *fief_arena_strndup(fief_arena *arena, const char *string, size_t size)
{
    char *copy = fief_arena_strndup_slow(arena, string, size);
    FIEF_NO_TAIL_CALL();
    return copy;
}

/** A formatted string. Its arguments vary, so it can't be inlined: the site of
 * `return fief_arena_printf(...)` may be the caller's. */
FIEF_API char *fief_arena_printf(fief_arena *arena, const char *format, ...) FIEF_PRINTF(2, 3);

/** The same with its arguments in a list. */
FIEF_INLINE char *fief_arena_vprintf(fief_arena *arena, const char *format, va_list args)
{
    char *text = fief_arena_vprintf_slow(arena, format, args);
    FIEF_NO_TAIL_CALL();
    return text;
}

/** Calls function(argument) when the arena is rewound past this point, reset or closed; newest
 * first. It may use the arena: what it makes there dies with the rest. False when memory is
 * short. */
FIEF_INLINE bool fief_arena_cleanup(fief_arena *arena, void (*function)(void *), void *argument)
{
    bool kept = fief_arena_cleanup_slow(arena, function, argument);
    FIEF_NO_TAIL_CALL();
    return kept;
}

FIEF_END
#endif
