/* faults_fake: the library is linked with os/fake, whose n-th call fails. */
#include "target.h"

#include "os/fake.h"

#include <malloc.h>

const faults *target_faults(void)
{
    static const faults fake = {fake_fail_at, fake_calls, fake_reserves, fake_run_on};
    static bool ready;
    if (!ready) { /* the fake's reserves are used again, without page faults */
        (void)mallopt(M_MMAP_MAX, 0);
        (void)mallopt(M_TRIM_THRESHOLD, 1 << 30);
        fake_nodes(2, 0, 1);
        ready = true;
    }
    return &fake;
}
