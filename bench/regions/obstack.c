/* obstack: its macros are inline; its alignment is set to 8, its chunks are large, and a free back
 * to the first object keeps the first chunk. */
#include "region.h"

#include "passes.h"

#include <obstack.h>
#include <stdlib.h>

#define obstack_chunk_alloc malloc
#define obstack_chunk_free  free

static struct obstack stack;
static void *first;

static void open_once(void)
{
    if (first == NULL) {
        obstack_begin(&stack, REGION_CHUNK);
        obstack_alignment_mask(&stack) = 7;
        first = obstack_alloc(&stack, 8);
    }
}

#define OPEN       open_once()
#define TAKE(size) obstack_alloc(&stack, size)
#define DROP       (obstack_free(&stack, first), first = obstack_alloc(&stack, 8))
REGION_PASSES
