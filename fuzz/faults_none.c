/* faults_none: the OS is the real one. */
#include "target.h"

const faults *target_faults(void)
{
    return NULL;
}
