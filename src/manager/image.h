/* image: the file. Each part begins at a page, and where it ends the page's rest is zero:
 *
 *     header | blocks | pointers | data | bindings | names | hashes
 *
 *     header    what it is, how long each part is, and the hash of the hashes
 *     blocks    a row of 8 bytes for each block, in the order of the data
 *     pointers  a bit for each word of the data: is it one that moves with the image?
 *     data      the blocks, one after the other
 *     bindings  the words of the data that point at an external, grouped by its name
 *     names     of the externals that are pointed at, each with a NUL
 *     hashes    XXH3 of each page between the header and here
 *
 * So each bit of the file is under some hash. Numbers are the machine's own: what another machine
 * would read differently, the header tells. docs/images.md says more. */
#ifndef FIEF_MANAGER_IMAGE_H
#define FIEF_MANAGER_IMAGE_H

#include "core/image.h"
#include "manager/gather.h"

#include <fief/image.h>

enum {
    IMAGE_VERSION = 2,
    IMAGE_ORDER = 0x01020304,
    IMAGE_GRAIN = GATHER_GRAIN,
    IMAGE_WORD = GATHER_WORD,
    IMAGE_ALIGN_MAX = GATHER_ALIGN_MAX,
    IMAGE_NO_KIND = 0xFFFF
};
#define IMAGE_MAGIC    "FIEFIMG\n"
#define IMAGE_PART_MAX GATHER_MAX
/* An image's own address: one of the slots, by what is in it, so that several can have theirs. The
 * range is that of no system's heap, stack or libraries, and AddressSanitizer lets us have it. */
#define IMAGE_SLOTS_AT ((uint64_t)0x200000000000)
enum { IMAGE_SLOTS = 4096, IMAGE_SLOT_SHIFT = 32 };

typedef enum image_part {
    PART_BLOCKS,
    PART_POINTERS,
    PART_DATA,
    PART_BINDINGS,
    PART_NAMES,
    PART_HASHES,
    PARTS
} image_part;

typedef struct image_header {
    char magic[8];
    uint64_t hash; /* of the first page, with 0 here */
    uint32_t version, order, word_bytes, align;
    uint64_t size, base;          /* of the file; its own address */
    uint64_t kinds, host_version; /* the fingerprint of the table; config.version */
    uint64_t root;                /* where it points, from the data's start, plus 1; 0: nowhere */
    uint64_t hashes_hash;         /* of the pages of the hashes */
    uint64_t bytes[PARTS];
} image_header;

typedef struct image_block {
    uint32_t grain; /* where it starts in the data */
    uint16_t kind;
    uint16_t rest; /* bytes between its end and the next block's start */
} image_block;

typedef struct image_binding {
    uint64_t word;     /* of the data; it holds what is to be added to the address */
    uint64_t external; /* the number of its name */
} image_binding;

typedef struct image_copy image_copy;

struct fief_image {
    image_map map; /* first */
    image_copy *copy; /* NULL: it is mapped for this runtime alone */
    core *core;
    image_header header; /* checked */
    uint64_t at[PARTS];  /* where each part begins */
    uint8_t *checked;    /* a bit a page */
    bool relocated;
};

/* Where each part begins, and in the end how long the file is. The lengths are at most
 * IMAGE_PART_MAX. */
uint64_t image_lay_out(const uint64_t bytes[PARTS], uint64_t ret_at[PARTS]);
/* Of whole pages: an empty image has none of hashes. */
uint64_t image_hash(const void *pages, size_t size);
uint64_t image_hash_header(const image_header *header);
/* In 64-bit words, as the part has them: one bit a word of the data. */
static inline uint64_t image_pointer_bytes(uint64_t data)
{
    return (data / IMAGE_WORD + 63) / 64 * 8;
}

/* image_copies.c, between os_lock and os_unlock: the node's copy of the file with this header,
 * bound to these externals, becomes the image's; false: there is none. The image becomes it; false:
 * memory is short. */
uint64_t image_hash_externals(const fief_image_config *config);
bool image_copy_find(fief_image *image, uint64_t externals, unsigned node);
bool image_copy_keep(fief_image *image, uint64_t externals, unsigned node);
/* One user less; takes the lock by itself. */
void image_copy_give(image_copy *copy);

/* image_open.c: what is known of a block of an image. */
void image_describe(const core *c, fief_misuse *m);
/* The runtime is closed: its images are no longer to be had, and then no longer there. */
void images_close(core *c);
void images_release(core *c);

#endif
