/** @file
 * image: what an arena holds, in a file that a later process maps instead of making it anew.
 *
 *     fief_image_save    arena -> file     blocks move together, pointers are found by their kinds
 *     fief_image_open    file -> memory    read-only, shared between processes, nothing is parsed
 *
 * An image is mapped at the address that it was written for; then no page of it is touched. Where
 * that is taken, or the system gives another, its pointers are moved; the result is the same. What
 * a block points at is known from its kind (fief_kind.pointers, fief_kind.visit): it lies in the
 * same arena, or in one of the named externals, or the image is not written. The file is checked by
 * hashes against damage, and each number in it against its bounds; who makes a file on purpose can
 * still make blocks that the host should not trust. docs/images.md has the format. */
#ifndef FIEF_IMAGE_H
#define FIEF_IMAGE_H

#include <fief/base.h>

FIEF_BEGIN

/** An image that is open: memory that is read and never written. */
typedef struct fief_image fief_image;

/** Memory of the host's that blocks of an image may point at: a table of functions, a static. Its
 * address is another in each process; its name is what the file has. */
typedef struct fief_external {
    const char *name;    /**< unique among them */
    const void *address; /**< where it lies in this process */
    size_t size;         /**< in bytes: pointers into it keep their offset; 0 means 1 */
} fief_external;

/** How an image is saved or opened; all zero is the usual way. It is read in the call alone. */
typedef struct fief_image_config {
    const void *root;               /**< save: what fief_image_root will give; NULL: nothing */
    const fief_external *externals; /**< that blocks may point at */
    unsigned external_count;        /**< how many */
    size_t align;                   /**< save: of each block, a power of two, 16 (or 0) to 4096 */
    uint64_t version;               /**< the host's own: an image of another is refused */
    bool lazy;         /**< open: blocks are checked where fief_image_verify asks for it */
    /** Open: the calling thread's node of memory (nodes.h) has a copy for itself, which is made and
     * checked whole when the first runtime there asks for it, and is the same for all runtimes of
     * the process that ask there for the same file, bound to the same externals. It takes memory as
     * large as the image for each node, until the last of them closes it; then in guarded builds
     * its addresses don't stay. While one is made, others that want one wait, and a fork. With one
     * node it is mapped as ever. */
    bool per_node;
    fief_error *error; /**< filled when the call fails */
} fief_image_config;

/** Writes what `arena` holds to the file at `path`, which is replaced whole or stays as it was:
 * the bytes go to a new file beside it, to the disk, and then get its name. The arena is not
 * changed. It must have been opened with fief_arena_config.recorded, or its runtime with
 * config.count_blocks, or the library must be a guarded one: else nobody knows where its blocks
 * begin. False, with config->error filled, where that is not so; where a block points out of the
 * arena (the sentence names it and its field), or holds a word into the runtime that its kind
 * does not declare; where the arena is a stack, has a caller's buffer, or the heap stands in for
 * it; where it holds more than 2 GiB; or where the file can't be written. config may be NULL. Of
 * a block's bytes, those that were never written go as they are. */
FIEF_API bool fief_image_save(fief_arena *arena, const char *path, const fief_image_config *config);

/** Maps the image at `path` for `rt`, until fief_image_close or fief_close. Its table of kinds
 * must be the one that the image was saved under: names, sizes, traits and pointers are compared,
 * strategies are not. NULL, with config->error filled and nothing mapped, when the file is no
 * image, is damaged, is of another version or machine, was saved under other kinds, or binds a
 * name that config does not have. All of it is checked first, unless config->lazy asks for the
 * header, the names and the bindings alone. A pointer into it is fief_owner's FIEF_IMAGE. A file
 * that somebody makes shorter while it is open is a fault (SIGBUS) at the next access;
 * fief_image_save makes a new one instead. config may be NULL. */
FIEF_API fief_image *fief_image_open(fief_runtime *rt, const char *path,
                                     const fief_image_config *config);

/** Its blocks end, and their pages are given back. In a guarded build they become inaccessible
 * until fief_close, so that a late use is reported. NULL is fine. */
FIEF_API void fief_image_close(fief_image *image);

/** What config->root pointed at when it was saved; NULL when that was NULL. */
FIEF_API const void *fief_image_root(const fief_image *image);

/** Of an image that was opened lazily: checks the pages in which `size` bytes from `start` lie,
 * each of them once. False: they are damaged, or not the image's. */
FIEF_API bool fief_image_verify(fief_image *image, const void *start, size_t size);

/** Bytes of address space that it takes. */
FIEF_API size_t fief_image_size(const fief_image *image);

/** Did its pointers have to be moved, since its own address was not to be had? */
FIEF_API bool fief_image_is_relocated(const fief_image *image);

FIEF_END
#endif
