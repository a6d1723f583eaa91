/** @file
 * adapt/sqlite: a Fief heap as SQLite's memory (sqlite3_mem_methods).
 *
 *     fief_runtime *rt = fief_open(&(fief_config){.name = "sqlite"});
 *     sqlite3_mem_methods memory = {fief_sqlite_malloc, fief_sqlite_free, fief_sqlite_realloc,
 *         fief_sqlite_size, fief_sqlite_roundup, fief_sqlite_init, fief_sqlite_shutdown,
 *         fief_runtime_heap(rt)};
 *     sqlite3_config(SQLITE_CONFIG_MALLOC, &memory);   // before sqlite3_initialize
 *     ...
 *     sqlite3_shutdown();
 *     size_t leaked = fief_close(rt);
 *
 * Needs no SQLite header. SQLite's hook has no context: one process has one memory, and the heap is
 * a variable of the file that includes this, which xInit sets to pAppData. Include it in one file.
 *
 * xSize and xRoundup tell the truth: a block of n bytes has xRoundup(n), which is what xSize says
 * of it, and all of that may be used.
 *
 * threads: SQLite must be used by one thread, the runtime's (it may be SQLITE_CONFIG_SINGLETHREAD
 * then). It calls xSize outside of its own lock, so that lock would not do.
 *
 * Source of the contract: sqlite.org/c3ref/mem_methods.html. */
#ifndef FIEF_ADAPT_SQLITE_H
#define FIEF_ADAPT_SQLITE_H

#include <limits.h>

#include <fief/fief.h>

FIEF_BEGIN

static fief_heap *fief_sqlite_heap; /**< since xInit, until xShutdown */

/** A size as SQLite takes it. No allocation of its is larger than 2,147,483,391. */
static inline int fief_sqlite_int(size_t size)
{
    return size < INT_MAX - 7 ? (int)size : INT_MAX - 7;
}

/** xMalloc: SQLite asks for 1 byte at least. NULL when memory is short: SQLITE_NOMEM. */
static inline void *fief_sqlite_malloc(int size)
{
    return size < 0 ? NULL : fief_heap_alloc_unsized(fief_sqlite_heap, (size_t)size);
}

/** xFree. */
static inline void fief_sqlite_free(void *block)
{
    fief_heap_free_unsized(fief_sqlite_heap, block);
}

/** xRealloc: where it returns NULL the block is as it was. */
static inline void *fief_sqlite_realloc(void *block, int size)
{
    return size < 0 ? NULL : fief_heap_resize_unsized(fief_sqlite_heap, block, (size_t)size);
}

/** xSize: the bytes of a block that may be used; 0 for NULL. */
static inline int fief_sqlite_size(void *block)
{
    return block == NULL ? 0 : fief_sqlite_int(fief_heap_usable_size(fief_sqlite_heap, block));
}

/** xRoundup: what xSize will say of a block of `size` bytes. */
static inline int fief_sqlite_roundup(int size)
{
    return size < 0 ? size : fief_sqlite_int(fief_heap_good_size((size_t)size));
}

/** xInit, with pAppData: the fief_heap. 0: SQLITE_OK; 21: SQLITE_MISUSE, where it is NULL. */
static inline int fief_sqlite_init(void *heap)
{
    fief_sqlite_heap = (fief_heap *)heap;
    return heap != NULL ? 0 : 21;
}

/** xShutdown. */
static inline void fief_sqlite_shutdown(void *heap)
{
    (void)heap;
    fief_sqlite_heap = NULL;
}

FIEF_END

#endif
