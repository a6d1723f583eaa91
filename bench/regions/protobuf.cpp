/* protobuf's Arena: CreateArray of bytes is its call for plain memory (aligned to 8). Reset keeps
 * the initial block only, so that holds a whole pass. */
#include "region.h"

#include "passes.h"

#include <cstdlib>
#include <google/protobuf/arena.h>

static google::protobuf::Arena &arena()
{
    static google::protobuf::Arena one(static_cast<char *>(malloc(REGION_CHUNK)), REGION_CHUNK);
    return one;
}

#define OPEN       google::protobuf::Arena *own = &arena()
#define TAKE(size) google::protobuf::Arena::CreateArray<char>(own, size)
#define DROP       own->Reset()
REGION_PASSES
