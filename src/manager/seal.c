/* seal: the verbs; core/seal.c does it. From the first seal on a fault is looked at, and stores
 * are, in every mode. */
#include "core/image.h"
#include "manager/runtime.h"

#include "guard.h"

#include <fief/seal.h>

static arena *arena_of(runtime *r, fief_arena *window)
{
    for (arena *a = r->core.arenas; a != NULL; a = a->next) {
        if (&a->window.arena == window) {
            return a;
        }
    }
    misuse(&r->core, FIEF_MISUSE_WRONG_ARENA, window, 0, "that is no arena of this runtime");
    return NULL;
}

bool fief_seal_slow(fief_runtime *rt, fief_arena *window)
{
    runtime *r = whole_runtime(rt);
    arena *a = enter(&r->core, CALL()) ? arena_of(r, window) : NULL;
    if (a == NULL || !arena_seal(a)) {
        return false;
    }
    watch_read_only(r);
    r->window.checks_stores = true;
    note_call(&r->core, (note){.verb = VERB_SEAL, .where = a});
    return true;
}

bool fief_unseal_slow(fief_runtime *rt, fief_arena *window)
{
    runtime *r = whole_runtime(rt);
    arena *a = enter(&r->core, CALL()) ? arena_of(r, window) : NULL;
    if (a == NULL || !arena_unseal(a)) {
        return false;
    }
    r->window.checks_stores =
        GUARD_SHUT || r->core.seals != 0 || r->core.space.range->images != NULL;
    note_call(&r->core, (note){.verb = VERB_UNSEAL, .where = a});
    return true;
}

bool fief_is_sealed(const fief_runtime *rt, const void *pointer)
{
    return is_read_only(&whole_runtime(rt)->core, pointer);
}
