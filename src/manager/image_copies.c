/* image_copies: images of which each node of memory has a copy of its own.
 *
 *     node 0 | copy of a.img, 2 users | copy of b.img, 1 user |
 *     node 1 | copy of a.img, 1 user  |
 *
 * A copy is a private mapping of the file whose pages were all written to, on the node of who
 * opened it first; then it is checked, bound, relocated and read-only like any image, and nobody
 * changes it. The runtimes of the process share it; the last one that closes it gives it back. What
 * it is a copy of is told by the header, which has the hash of all hashes: a file that was replaced
 * has another. A lock of the process orders them: an open or a close of such an image takes it,
 * nothing else does. */
#include "manager/image.h"

#include "base/xxh64.h"

#include <string.h>

struct image_copy {
    struct image_copy *next;
    image_header header;
    uint64_t externals; /* of what its words are bound to */
    unsigned node, users;
    unsigned char *start;
    bool relocated;
};

static image_copy *copies;

uint64_t image_hash_externals(const fief_image_config *config)
{
    uint64_t hash = config->external_count;
    for (unsigned i = 0; i < config->external_count; i++) {
        const fief_external *e = &config->externals[i];
        uint64_t fields[] = {(uintptr_t)e->address, e->size, hash};
        const char *name = e->name != NULL ? e->name : "";
        hash = xxh64(name, strlen(name), xxh64(fields, sizeof fields, IMAGE_VERSION));
    }
    return hash;
}

bool image_copy_find(fief_image *image, uint64_t externals, unsigned node)
{
    image_copy *found = copies;
    while (found != NULL && (found->node != node || found->externals != externals ||
                             memcmp(&found->header, &image->header, sizeof found->header) != 0)) {
        found = found->next;
    }
    if (found != NULL) {
        found->users++;
        image->copy = found;
        image->map.start = found->start;
        image->map.size = found->header.size;
        image->relocated = found->relocated;
    }
    return found != NULL;
}

bool image_copy_keep(fief_image *image, uint64_t externals, unsigned node)
{
    _Static_assert(sizeof(image_copy) <= OS_PAGE, "a copy's descriptor is a page of the system's");
    image_copy *fresh = os_map(OS_PAGE);
    if (fresh == NULL) {
        return false;
    }
    *fresh = (image_copy){copies, image->header, externals, node, 1, image->map.start,
                          image->relocated};
    copies = image->copy = fresh;
    return true;
}

void image_copy_give(image_copy *copy)
{
    os_lock();
    copy->users--;
    if (copy->users == 0) {
        image_copy **link = &copies;
        while (*link != copy) {
            link = &(*link)->next;
        }
        *link = copy->next;
        os_release(copy->start, copy->header.size);
        os_release(copy, OS_PAGE);
    }
    os_unlock();
}
