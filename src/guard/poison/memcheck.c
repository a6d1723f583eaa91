/* memcheck: see memcheck.h. */
#include "memcheck.h"

#ifdef RUNNING_ON_VALGRIND
bool memcheck_runs;

static __attribute__((constructor)) void ask_once(void)
{
    memcheck_runs = RUNNING_ON_VALGRIND != 0;
}

__attribute__((noinline)) void memcheck_tell_born(void *block, size_t size)
{
    if (!VALGRIND_MEMPOOL_EXISTS(MEMCHECK_POOL)) {
        VALGRIND_CREATE_MEMPOOL(MEMCHECK_POOL, MEMCHECK_REDZONE, 0);
    }
    VALGRIND_MEMPOOL_ALLOC(MEMCHECK_POOL, block, size);
}
#endif
