/** @file
 * parcel: what a unit made, on its way from one runtime to another of the same process.
 *
 *     fief_unit_send       unit -> parcel      what the root leads to is copied out
 *     fief_unit_receive    parcel -> blocks    of the other runtime, with their pointers moved
 *
 * Each runtime has its own range of addresses, so blocks can't change their owner: they are copied.
 * A parcel is memory of no runtime, and of no thread: send it on a worker, close the worker's
 * runtime, receive it elsewhere. How the pointer gets there is the host's (a queue, a join): what
 * one thread wrote must be visible to the other, as with any other memory. docs/threads.md. */
#ifndef FIEF_PARCEL_H
#define FIEF_PARCEL_H

#include <fief/runtime.h>

FIEF_BEGIN

/** Blocks between two runtimes. It is received or dropped once. */
typedef struct fief_parcel fief_parcel;

/** How a unit is sent; all zero is the usual way. It is read in the call alone. */
typedef struct fief_parcel_config {
    size_t align;      /**< of each block at the other end: a power of two, 16 (or 0) to 4096 */
    fief_error *error; /**< filled when the call fails */
} fief_parcel_config;

FIEF_API FIEF_NOINLINE fief_parcel *fief_unit_send_slow(fief_runtime *rt, fief_unit unit,
                                                        const void *root,
                                                        const fief_parcel_config *config);
FIEF_API FIEF_NOINLINE void *fief_unit_receive_slow(fief_runtime *rt, fief_parcel **parcel,
                                                    fief_error *error);

/** A copy of what `root` leads to: its block, and each block of the compiler arena that a chosen
 * one points at, as their kinds tell (fief_kind.pointers, fief_kind.visit). What else the unit
 * holds, as tokens and trees, stays behind. `unit` is the innermost open one, else it is misuse;
 * it stays open, with its blocks and cleanups, and may be sent again. The blocks of units around it
 * count as its own.
 *
 * The compiler arena must have been opened with fief_arena_config.recorded, or the runtime with
 * config.count_blocks, or the library must be a guarded one: else nobody knows where blocks begin.
 * A pointer to what is not the runtime's (a table of functions, a constant of the program) stays
 * as it is, and so does NULL.
 *
 * NULL, with config->error filled and nothing changed, where a chosen block points at something
 * else of the runtime or of its images (the sentence names it and its field), or holds a word into
 * them that its kind does not declare; where the root is in no block of the compiler arena; where
 * that has a caller's buffer, or the heap stands in for it; beyond 2 GiB; or when memory is short.
 * config may be NULL. */
FIEF_INLINE fief_parcel *fief_unit_send(fief_runtime *rt, fief_unit unit, const void *root,
                                        const fief_parcel_config *config)
{
    fief_parcel *parcel = fief_unit_send_slow(rt, unit, root, config);
    FIEF_NO_TAIL_CALL();
    return parcel;
}

/** Makes the parcel's blocks in `rt`, on its thread, and returns the root. They are the innermost
 * open unit's, or where no unit is open the vm arena's: ordinary blocks of their kinds, made by
 * this call. The parcel is gone, and *parcel is NULL. The sender may be closed; it may be `rt`.
 *
 * Its table of kinds must be the sender's: names, sizes, traits and pointers are compared,
 * strategies are not. NULL, with `error` (or NULL) filled, where that is not so, where *parcel is
 * NULL, or where the arena has no room and on_full declines; the parcel is as it was, and nothing
 * was made. */
FIEF_INLINE void *fief_unit_receive(fief_runtime *rt, fief_parcel **parcel, fief_error *error)
{
    void *root = fief_unit_receive_slow(rt, parcel, error);
    FIEF_NO_TAIL_CALL();
    return root;
}

/** Gives back a parcel that nobody wants, from any thread; *parcel becomes NULL. One that is NULL
 * is fine. */
FIEF_API void fief_parcel_drop(fief_parcel **parcel);

/** Bytes of its blocks, as they were asked for. */
FIEF_API size_t fief_parcel_size(const fief_parcel *parcel);
/** How many they are. */
FIEF_API size_t fief_parcel_blocks(const fief_parcel *parcel);

FIEF_END
#endif
