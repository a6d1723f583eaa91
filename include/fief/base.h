/** @file
 * base: what every public header stands on: visibility, inlining, limits, status.
 *
 * The headers have no mode in them. A host compiled once links with a release, a debug-poisoned
 * or an ASan-annotated build of the library: the inline verbs below only ever work inside a
 * *window* ({cursor, limit}, or a list of vacant slots), and a guarded library keeps every window
 * shut, so that each call reaches its out-of-line half. */
#ifndef FIEF_BASE_H
#define FIEF_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** @cond */
#ifdef __cplusplus
#define FIEF_BEGIN      extern "C" {
#define FIEF_END        }
#define FIEF_ALIGNOF(T) alignof(T)
#else
#define FIEF_BEGIN
#define FIEF_END
#define FIEF_ALIGNOF(T) _Alignof(T)
#endif

#define FIEF_NOINLINE __attribute__((noinline))
#define FIEF_API      __attribute__((visibility("default")))
/* The verbs are inlined at every optimisation level, so that the return address of the refill
 * behind them is the host's own line. */
#define FIEF_INLINE static inline __attribute__((always_inline, unused))
/* Keeps `return refill(...)` from becoming a jump: a jump would move the site to the caller. */
#define FIEF_NO_TAIL_CALL() __asm__ volatile("")
/* The compiler may not turn the branch that this stands in into arithmetic. */
#define FIEF_KEEP_BRANCH(value) __asm__("" : "+r"(value))
#define FIEF_LIKELY(x)          __builtin_expect(!!(x), 1)
#define FIEF_PRINTF(at, first)  __attribute__((format(printf, at, first)))
/** @endcond */

/** The library's version, as reports name it. */
#define FIEF_VERSION "0.1.0"

/** Numbers of bytes that the headers and the library agree on. */
enum {
    FIEF_GRAIN = 8,         /**< every block is a multiple of it */
    FIEF_ALIGN = 16,        /**< the default alignment */
    FIEF_ALIGN_MAX = 65536, /**< the largest that may be asked for */
    FIEF_SMALL_MAX = 512    /**< up to here the heap has a list for each size class */
};

typedef struct fief_runtime fief_runtime; /**< one interpreter's memory: runtime.h */
typedef struct fief_range fief_range;     /**< address space that is kept: runtime.h */
typedef struct fief_arena fief_arena;     /**< blocks that die together: arena.h */
typedef struct fief_stack fief_stack;     /**< last in, first out: stack.h */
typedef struct fief_pool fief_pool;       /**< slots of one size: pool.h */
typedef struct fief_heap fief_heap;       /**< blocks that die one by one: heap.h */

/** Why fief_open returned NULL, or why an image or a parcel was refused. */
typedef enum fief_status {
    FIEF_OK,         /**< it did not fail */
    FIEF_BAD_TABLE,  /**< a row of the kinds table is nonsense; the sentence names it */
    FIEF_BAD_CONFIG, /**< a number in the configuration is out of range */
    FIEF_NO_MEMORY,  /**< the OS refused, at every size that was tried */
    FIEF_NO_FILE,    /**< an image's file can't be opened, read, mapped or written */
    FIEF_BAD_IMAGE,  /**< the file is no image, or is damaged */
    FIEF_OTHER_IMAGE, /**< of another version, machine or table of kinds; of a parcel, the last */
    FIEF_POINTS_OUT   /**< a block points at what does not go along, or a name is not bound */
} fief_status;

/** Filled by who fails: a status for the program, a sentence for a person. */
typedef struct fief_error {
    fief_status status; /**< for the program */
    char text[200];     /**< for a person */
} fief_error;

/** A vacant slot holds the link to the next one in its own first bytes. */
typedef struct fief_vacant {
    struct fief_vacant *next; /**< NULL: it is the last */
} fief_vacant;

/** size rounded up to a multiple of align (a power of two); wraps to 0 near SIZE_MAX, which the
 * windows refuse. */
FIEF_INLINE size_t fief_round_up(size_t size, size_t align)
{
    return (size + (align - 1)) & ~(align - 1);
}

#endif
