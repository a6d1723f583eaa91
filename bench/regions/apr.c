/* APR's pools: apr_palloc (out of line, as it is for everybody) and apr_pool_clear, which keeps the
 * pool's nodes in its own allocator. No mutex: an allocator of its own. Aligned to 8 by APR. */
#include "region.h"

#include "passes.h"

#include <apr_general.h>
#include <apr_pools.h>

static apr_pool_t *pool;

static void open_once(void)
{
    apr_allocator_t *allocator;
    if (pool == NULL && apr_initialize() == APR_SUCCESS &&
        apr_allocator_create(&allocator) == APR_SUCCESS) {
        apr_pool_create_ex(&pool, NULL, NULL, allocator);
    }
}

#define OPEN       open_once()
#define TAKE(size) apr_palloc(pool, size)
#define DROP       apr_pool_clear(pool)
REGION_PASSES
