/* image: files that are mapped for a runtime, beside its range. Here is what the allocators and the
 * reports ask of one: which image an address lies in. The files are the manager's. */
#ifndef FIEF_CORE_IMAGE_H
#define FIEF_CORE_IMAGE_H

#include "core/core.h"

typedef struct image_map {
    struct image_map *next;
    unsigned char *start;
    size_t size;
    bool closed;   /* inaccessible, and kept for who comes too late */
    char name[64]; /* the file's, from its end */
} image_map;

/* The image, open or closed, that an address lies in; NULL: none. */
image_map *image_at(const core *c, const void *p);
/* May this byte be read, and not written? */
bool is_read_only(const core *c, const void *p);

#endif
