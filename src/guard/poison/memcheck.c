/* memcheck: see memcheck.h. */
#include "memcheck.h"

#ifdef RUNNING_ON_VALGRIND
bool memcheck_runs;

static __attribute__((constructor)) void ask_once(void)
{
    memcheck_runs = RUNNING_ON_VALGRIND != 0;
}
#endif
