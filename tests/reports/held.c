/* held: a block of malloc's that only a Fief block points at is no leak, for LeakSanitizer takes
 * the range for a root. With the argument `lost` nothing points at it, and the same program fails:
 * so we know that somebody looks. Both end with the runtime open, as at an exit in a VM. */
#include <fief/fief.h>

#include <stdlib.h>
#include <string.h>

static FIEF_NOINLINE void **hold(fief_runtime *rt)
{
    void **holder = fief_arena_make(fief_vm_arena(rt), void *, 1);
    *holder = malloc(100);
    return holder;
}

/* What a call has left on the C stack would hold it, too. */
static FIEF_NOINLINE void clear_old_frames(void)
{
    volatile char frames[4096];
    for (size_t i = 0; i < sizeof frames; i++) {
        frames[i] = 0;
    }
}

int main(int argc, char **argv)
{
    fief_runtime *rt = fief_open(NULL);
    void **holder = hold(rt);
    clear_old_frames();
    if (argc > 1 && strcmp(argv[1], "lost") == 0) {
        *holder = NULL;
    }
    return *holder != NULL || argc > 1 ? 0 : 2;
}
