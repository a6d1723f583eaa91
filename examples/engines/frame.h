/* frame: what the hosts of all engines have in common.
 *
 *     options ── memory of fief, libc or the engine's own ── engine->run ── statistics ── close
 *
 * An engine is one file: its hooks, and how it runs a program. By default the engine gets the
 * adapter's functions as they are. With --count or --fail-at it gets traps of the same shape, which
 * number each call that may fail, fail the one that was asked for, and count the blocks that are
 * out; what is under a trap is the adapter, or the functions that the engine takes by default. */
#ifndef FIEF_EXAMPLES_ENGINES_FRAME_H
#define FIEF_EXAMPLES_ENGINES_FRAME_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include <fief/fief.h>

/* OWN: the engine's allocator, where it has one that is not libc's. */
typedef enum allocator { MEMORY_FIEF, MEMORY_LIBC, MEMORY_OWN } allocator;

typedef struct frame {
    allocator allocator;
    bool trapped;       /* the engine gets the traps */
    size_t fail_at;     /* the call that fails; 0: none does */
    atomic_size_t calls, failed;
    atomic_long blocks; /* that are out */
    fief_runtime *runtime; /* NULL where Fief is not used */
    const char *program;
    double scale; /* the program's argument: how much it does */
    char **arguments; /* program, argument, NULL */
} frame;

typedef struct engine {
    const char *name;
    unsigned align;     /* of its heap */
    bool has_own;       /* MEMORY_OWN is something */
    bool keeps_blocks;  /* it leaves some behind, by design: its runtime is dropped, not closed */
    int (*run)(frame *f); /* the status to exit with */
} engine;

/* What main returns. */
int frame_main(const engine *e, int argc, char **argv);

/* The runtime's heap; NULL where Fief is not used. */
fief_heap *frame_heap(const frame *f);

/* A file as a string of the host's own, or NULL with a complaint. */
char *frame_read(const char *path, size_t *ret_size);
/* One line on stderr. Returns 1, a status. */
int frame_complain(const char *message);

/* Ends the process from inside of an engine that can't go on: its blocks stay where they are. */
_Noreturn void frame_leave(int status);

/* For the traps: may this call succeed? Then: a block became another one (either may be NULL). */
static inline bool frame_admits(frame *f)
{
    bool fails = atomic_fetch_add(&f->calls, 1) + 1 == f->fail_at;
    atomic_fetch_add(&f->failed, fails);
    return !fails;
}

static inline void *frame_counted(frame *f, bool was_block, void *block)
{
    atomic_fetch_add(&f->blocks, (block != NULL) - was_block);
    return block;
}

/* After a resize, which leaves the old block where it returns NULL. */
static inline void *frame_resized(frame *f, const void *old, void *block)
{
    return block == NULL ? NULL : frame_counted(f, old != NULL, block);
}

/* A trap for malloc-shaped hooks: what is under it, and its functions. */
typedef struct trap {
    frame *frame;
    void *(*alloc)(void *context, size_t size);
    void *(*calloc)(void *context, size_t count, size_t size);
    void *(*realloc)(void *context, void *block, size_t size);
    void (*free)(void *context, void *block);
    void *context;
} trap;

void *trap_alloc(void *trap, size_t size);
void *trap_calloc(void *trap, size_t count, size_t size);
void *trap_realloc(void *trap, void *block, size_t size);
void trap_free(void *trap, void *block);
/* libc's functions in that shape. */
void *libc_alloc(void *context, size_t size);
void *libc_calloc(void *context, size_t count, size_t size);
void *libc_realloc(void *context, void *block, size_t size);
void libc_free(void *context, void *block);

#endif
