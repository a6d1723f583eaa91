/* afl_mutator: the same mutations as a custom mutator of AFL++, a shared library. The target's name
 * stands in FIEF_FUZZ_TARGET; else it is `runtime`. */
#include "lox.h"
#include "target.h"

#include <stdlib.h>
#include <string.h>

enum { ROOM = 1 << 16 };

typedef struct mutator {
    const target *target;
    uint64_t seed;
    uint8_t bytes[ROOM];
} mutator;

void *afl_custom_init(void *afl, unsigned seed);
size_t afl_custom_fuzz(mutator *m, uint8_t *data, size_t size, uint8_t **ret, uint8_t *other,
                       size_t other_size, size_t most);
void afl_custom_deinit(mutator *m);

const faults *target_faults(void)
{
    return NULL;
}

void *afl_custom_init(void *afl, unsigned seed)
{
    (void)afl;
    const char *name = getenv("FIEF_FUZZ_TARGET");
    mutator *m = calloc(1, sizeof *m);
    if (m != NULL) {
        m->target = find_target(name != NULL ? name : "runtime");
        m->seed = seed;
    }
    return m;
}

size_t afl_custom_fuzz(mutator *m, uint8_t *data, size_t size, uint8_t **ret, uint8_t *other,
                       size_t other_size, size_t most)
{
    static program first, second, both;
    most = most < ROOM ? most : ROOM;
    size = size < most ? size : most;
    memcpy(m->bytes, data, size);
    dice d = {++m->seed};
    bool splices = other != NULL && roll(&d, 6) == 0;
    if (splices && m->target->is_lox) {
        size = lox_splice(data, size, other, other_size, m->bytes, most, &d);
    } else if (splices && !m->target->is_text) {
        program_from_bytes(&first, data, size, m->target->operations);
        program_from_bytes(&second, other, other_size, m->target->operations);
        program_splice(&both, &first, &second, &d);
        size = program_to_bytes(&both, m->bytes, most);
    }
    *ret = m->bytes;
    return target_mutate(m->target, m->bytes, size, most, m->seed);
}

void afl_custom_deinit(mutator *m)
{
    free(m);
}
