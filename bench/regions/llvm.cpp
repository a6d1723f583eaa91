/* LLVM's BumpPtrAllocator: Allocate is inline C++, aligned to 8; Reset keeps the first slab only,
 * so the slab holds a whole pass (its default of 4 KiB would give slabs back in each). */
#include "region.h"

#include "passes.h"

#include <llvm/Support/Allocator.h>

static llvm::BumpPtrAllocatorImpl<llvm::MallocAllocator, REGION_CHUNK, REGION_CHUNK> arena;

#define OPEN       (void)0
#define TAKE(size) arena.Allocate(size, llvm::Align(8))
#define DROP       arena.Reset()
REGION_PASSES
