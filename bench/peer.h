/* peer: the malloc that this process was started with.
 *
 * A peer is loaded by LD_PRELOAD into a child of its own, as its users do it: two of them cannot
 * share a process, and loading one late (dlopen) fails for those that keep their thread's cache in
 * static thread-local storage. `malloc` is then the peer's. What it offers beyond malloc is looked
 * up by name, and each peer is measured with the best that it has.
 *
 * Every call goes through a pointer, libc's too; a linked malloc goes through one as well, the
 * PLT's, so nobody gains or loses by it. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include "measure.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct peer {
    void *(*take)(size_t size);
    void (*give)(void *block);
    void (*give_sized)(void *block, size_t size);            /* mimalloc, tcmalloc */
    void *(*take_flags)(size_t size, int flags);             /* jemalloc */
    void (*give_flags)(void *block, size_t size, int flags); /* jemalloc */
    void *(*region_open)(void); /* mimalloc: a heap that dies as a whole */
    void *(*region_take)(void *region, size_t size);
    void (*region_close)(void *region);
} peer;

/* What is missing is NULL; take and give never are. */
peer peer_loaded(void);

/* The loaded function of that name, as a pointer of `size` bytes to it; NULL: there is none. */
void peer_find(const char *name, void *ret_function, size_t size);

/* The function of that name of a peer's arena (regions/), or NULL. */
pass *peer_region_pass(const char *name);

/* Writes, a line each, the files that serve malloc and fief_open, and whether the library is
 * guarded: the parent checks that it measures what it says. False when it cannot tell. */
bool peer_write_identity(int descriptor);

#endif
