/* image: see image.h. */
#include "core/image.h"

image_map *image_at(const core *c, const void *p)
{
    image_map *map = c->space.range->images;
    while (map != NULL && (uintptr_t)p - (uintptr_t)map->start >= map->size) {
        map = map->next;
    }
    return map;
}

bool is_read_only(const core *c, const void *p)
{
    return is_sealed(&c->space, p) || image_at(c, p) != NULL;
}
