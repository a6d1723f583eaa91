/* talloc's pools: a pool just large enough for a pass (a larger one runs on through cold pages),
 * call), talloc_free_children at the end. Its 96-byte headers and alignment to 16 are its own. */
#include "region.h"

#include "passes.h"

#include <talloc.h>

enum { HEADER = 112 };

static void *pool;

static void open_once(const region_job *job)
{
    if (pool == NULL) {
        pool = talloc_pool(NULL, job->objects * (HEADER + 64));
    }
}

#define OPEN       open_once(job)
#define TAKE(size) _talloc(pool, size)
#define DROP       talloc_free_children(pool)
REGION_PASSES
