/* base: what every public header stands on: visibility, inlining, limits, status.
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

#ifdef __cplusplus
#define FIEF_BEGIN extern "C" {
#define FIEF_END }
#define FIEF_ALIGNOF(T) alignof(T)
#else
#define FIEF_BEGIN
#define FIEF_END
#define FIEF_ALIGNOF(T) _Alignof(T)
#endif

#define FIEF_NOINLINE __attribute__((noinline))
#define FIEF_API __attribute__((visibility("default")))
/* The verbs are inlined at every optimisation level, so that the return address of the refill
 * behind them is the host's own line. */
#define FIEF_INLINE static inline __attribute__((always_inline, unused))
/* Keeps `return refill(...)` from becoming a jump: a jump would move the site to the caller. */
#define FIEF_NO_TAIL_CALL() __asm__ volatile("")
/* The compiler may not turn the branch that this stands in into arithmetic. */
#define FIEF_KEEP_BRANCH(value) __asm__("" : "+r"(value))
#define FIEF_LIKELY(x) __builtin_expect(!!(x), 1)
#define FIEF_PRINTF(at, first) __attribute__((format(printf, at, first)))

#define FIEF_VERSION "0.1.0"

/* Every block is a multiple of FIEF_GRAIN bytes; FIEF_ALIGN is the default alignment. */
enum { FIEF_GRAIN = 8, FIEF_ALIGN = 16, FIEF_ALIGN_MAX = 65536, FIEF_SMALL_MAX = 512 };

typedef struct fief_runtime fief_runtime;
typedef struct fief_range fief_range;
typedef struct fief_arena fief_arena;
typedef struct fief_stack fief_stack;
typedef struct fief_pool fief_pool;
typedef struct fief_heap fief_heap;

typedef enum fief_status {
    FIEF_OK,
    FIEF_BAD_TABLE,   /* a row of the kinds table is nonsense; the sentence names it */
    FIEF_BAD_CONFIG,  /* a number in the configuration is out of range */
    FIEF_NO_MEMORY    /* the OS refused, at every size that was tried */
} fief_status;

/* Filled by fief_open when it returns NULL: a status for the program, a sentence for a person. */
typedef struct fief_error {
    fief_status status;
    char text[200];
} fief_error;

/* A vacant slot holds the link to the next one in its own first bytes. */
typedef struct fief_vacant {
    struct fief_vacant *next;
} fief_vacant;

/* size rounded up to a multiple of align (a power of two); wraps to 0 near SIZE_MAX, which the
 * windows refuse. */
FIEF_INLINE size_t fief_round_up(size_t size, size_t align)
{
    return (size + (align - 1)) & ~(align - 1);
}

#endif
