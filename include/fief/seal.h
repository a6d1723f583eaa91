/** @file
 * seal: what an arena holds becomes read-only, once start-up is done.
 *
 * A seal is page-exact: the arena goes on at a fresh page, and what it held before can be read and
 * not written. A write to it is misuse (sealed-write), reported at the access in every mode, before
 * the process ends by the fault as it would have. Calls that would change what is sealed are the
 * same misuse, at the call: a resize, a fief_store, a rewind to a mark that was made before the
 * seal, a reset. Refused, nothing happens. Closing the arena or the runtime is fine: it lifts the
 * seal before the cleanups run.
 *
 * A release build names the arena that was written to; where the arena's blocks are recorded
 * (fief_arena_config.recorded, config.count_blocks) it names the block's kind and size as well. */
#ifndef FIEF_SEAL_H
#define FIEF_SEAL_H

#include <fief/base.h>

FIEF_BEGIN

FIEF_API FIEF_NOINLINE bool fief_seal_slow(fief_runtime *rt, fief_arena *region);
FIEF_API FIEF_NOINLINE bool fief_unseal_slow(fief_runtime *rt, fief_arena *region);

/** Everything that `region` (fief_vm_arena(rt), or another of rt's) holds now becomes read-only;
 * may be called again for what came since. False, and nothing changed: the system refused, or the
 * arena can't be sealed, since it is a stack, or its bytes are not pages of the runtime's own: it
 * has a caller's buffer, the runtime lives in one, or the heap stands in for it past its cap. */
FIEF_INLINE bool fief_seal(fief_runtime *rt, fief_arena *region)
{
    bool sealed = fief_seal_slow(rt, region);
    FIEF_NO_TAIL_CALL();
    return sealed;
}

/** The whole arena can be written again; what a seal skipped stays unused until a rewind. False,
 * and nothing changed: the system refused. An arena that is not sealed is fine. */
FIEF_INLINE bool fief_unseal(fief_runtime *rt, fief_arena *region)
{
    bool unsealed = fief_unseal_slow(rt, region);
    FIEF_NO_TAIL_CALL();
    return unsealed;
}

/** Can this byte be read and not written, because it is sealed, or an image's? Any pointer
 * whatever. */
FIEF_API bool fief_is_sealed(const fief_runtime *rt, const void *pointer);

FIEF_END
#endif
