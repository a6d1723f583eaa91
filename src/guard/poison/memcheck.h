/* guard/poison/memcheck: what Valgrind's memcheck is told, so that it names blocks, also dead ones,
 * and notices each access beside them, as well as reads of what nobody has written. Empty where
 * its header is not installed; a load and a branch where the program does not run on Valgrind.
 *
 * The blocks of all runtimes are one mempool: a block is given by its address alone, and none dies
 * other than one by one, since destroying a pool would forget its blocks, and trimming one walks
 * over all that live. The pool is a number, not memory. */
#ifndef FIEF_GUARD_MEMCHECK_H
#define FIEF_GUARD_MEMCHECK_H

#include <stdbool.h>
#include <stddef.h>

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>

/* Does Valgrind run us? Asked once, when the library is loaded. */
extern __attribute__((visibility("hidden"))) bool memcheck_runs;

/* Tells memcheck of a new block. A call of its own, however the library is optimized: Valgrind's
 * stacks and our suppressions know it by this name. */
void memcheck_tell_born(void *block, size_t size);

enum { MEMCHECK_POOL = 0xF1EF, MEMCHECK_REDZONE = 16 };

/* Nobody may access these bytes. */
static inline void memcheck_hide(const void *start, size_t size)
{
    if (memcheck_runs) {
        (void)VALGRIND_MAKE_MEM_NOACCESS(start, size);
    }
}

/* We are about to; what we find there is for us to judge. */
static inline void memcheck_show(const void *start, size_t size)
{
    if (memcheck_runs) {
        (void)VALGRIND_MAKE_MEM_DEFINED(start, size);
    }
}

static inline void memcheck_born(void *block, size_t size)
{
    if (memcheck_runs) {
        memcheck_tell_born(block, size);
    }
}

static inline void memcheck_died(void *block)
{
    if (memcheck_runs) {
        VALGRIND_MEMPOOL_FREE(MEMCHECK_POOL, block);
    }
}

static inline void memcheck_resized(void *block, size_t size)
{
    if (memcheck_runs) {
        VALGRIND_MEMPOOL_CHANGE(MEMCHECK_POOL, block, block, size);
    }
}

#else
enum { memcheck_runs = false };
static inline void memcheck_hide(const void *start, size_t size) { (void)start; (void)size; }
static inline void memcheck_show(const void *start, size_t size) { (void)start; (void)size; }
static inline void memcheck_born(void *block, size_t size) { (void)block; (void)size; }
static inline void memcheck_died(void *block) { (void)block; }
static inline void memcheck_resized(void *block, size_t size) { (void)block; (void)size; }
#endif

#endif
