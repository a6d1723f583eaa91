/* image_save: what an arena holds becomes a file; image.h draws it.
 *
 *     gather     its blocks side by side; pointers are moved to where their targets are placed
 *     write      the parts to a new file, which takes the old one's name when it is whole */
#include "manager/gather.h"
#include "manager/image.h"

#include "base/size.h"
#include "base/xxh64.h"
#include "os/os.h"

#include <string.h>

typedef struct saver {
    gather gather; /* first */
    fief_image_config config;
    const char *path;
    image_block *rows;
    uint64_t *pointers; /* bits */
    image_binding *bindings;
    size_t binding_count, binding_room;
    image_header header;
    uint64_t at[PARTS];
    scratch parts[PARTS];
} saver;

static void *part_get(saver *s, image_part part, size_t size)
{
    return gather_scratch(&s->gather, &s->parts[part], size);
}

/* ---- gather ---- */

static void fill_rows(saver *s)
{
    uint64_t end = s->header.bytes[PART_DATA];
    for (size_t i = s->gather.count; i-- > 0;) {
        const gathered *b = &s->gather.blocks[i];
        uint64_t start = gather_offset(b, b->start);
        bool has_kind = b->kind < s->gather.r->window.kind_count;
        s->rows[i] = (image_block){.grain = b->grain,
                                   .rest = (uint16_t)(end - start - b->size),
                                   .kind = has_kind ? (uint16_t)b->kind : IMAGE_NO_KIND};
        end = start;
    }
}

/* Its own address is known by its blocks: the same arena has the same one in each process. */
static bool make_room(saver *s)
{
    uint64_t *bytes = s->header.bytes;
    s->header.align = (uint32_t)(s->config.align != 0 ? s->config.align : GATHER_GRAIN);
    bytes[PART_DATA] = s->gather.data_bytes;
    bytes[PART_BLOCKS] = s->gather.count * sizeof *s->rows;
    bytes[PART_POINTERS] = image_pointer_bytes(bytes[PART_DATA]);
    s->rows = part_get(s, PART_BLOCKS, bytes[PART_BLOCKS]);
    s->pointers = part_get(s, PART_POINTERS, bytes[PART_POINTERS]);
    if (part_get(s, PART_DATA, bytes[PART_DATA]) == NULL || s->gather.failed) {
        return false;
    }
    fill_rows(s);
    uint64_t slot = xxh64(s->rows, bytes[PART_BLOCKS], s->config.version) % IMAGE_SLOTS;
    s->header.base = IMAGE_SLOTS_AT + (slot << IMAGE_SLOT_SHIFT);
    (void)image_lay_out(bytes, s->at); /* as far as the data, that is all of it */
    return true;
}

/* Its number; external_count: none. */
static unsigned external_of(const saver *s, const void *target)
{
    unsigned i = 0;
    for (; i < s->config.external_count; i++) {
        const fief_external *e = &s->config.externals[i];
        if ((uintptr_t)target - (uintptr_t)e->address < (e->size != 0 ? e->size : 1)) {
            break;
        }
    }
    return i;
}

static bool bind(saver *s, uint64_t word, unsigned external)
{
    if (s->binding_count == s->binding_room) {
        s->bindings = gather_more(&s->gather, &s->parts[PART_BINDINGS]);
        s->binding_room = s->parts[PART_BINDINGS].size / sizeof *s->bindings;
        if (s->bindings == NULL) {
            return false;
        }
    }
    s->bindings[s->binding_count++] = (image_binding){word, external};
    return true;
}

/* The word keeps what the host adds to an address. */
static bool move_pointer(gather *g, const gathered *block, size_t offset, const void *target,
                         const gathered *to)
{
    saver *s = (saver *)(void *)g;
    uint64_t at = gather_offset(block, block->start + offset), word = at / IMAGE_WORD, value;
    memcpy(&value, block->start + offset, sizeof value);
    value -= (uintptr_t)target;
    unsigned external = to == NULL ? external_of(s, target) : s->config.external_count;
    if (to != NULL) {
        s->pointers[word / 64] |= (uint64_t)1 << word % 64;
        value += s->header.base + s->at[PART_DATA] + gather_offset(to, target);
    } else if (external == s->config.external_count) {
        const page *entry = space_page(&g->r->core.space, target);
        bool is_ours = entry != NULL && entry->used;
        return gather_points_out(g, block, offset,
                                 is_ours ? owner_name(entry) : "no memory of the runtime");
    } else if (!bind(s, word, external)) {
        return false;
    } else {
        value += (uintptr_t)target - (uintptr_t)s->config.externals[external].address;
    }
    memcpy(g->data + at, &value, sizeof value);
    return true;
}

/* ---- externals: the names of those that are pointed at, and their words in that order ---- */

static void name_externals(saver *s, image_binding *ret_grouped, char *names)
{
    size_t done = 0, number = 0;
    for (unsigned i = 0; i < s->config.external_count; i++) {
        size_t before = done;
        for (size_t n = 0; n < s->binding_count; n++) {
            if (s->bindings[n].external == i) {
                ret_grouped[done++] = (image_binding){s->bindings[n].word, number};
            }
        }
        if (done != before) {
            size_t length = strlen(s->config.externals[i].name) + 1;
            memcpy(names + s->header.bytes[PART_NAMES], s->config.externals[i].name, length);
            s->header.bytes[PART_NAMES] += length;
            number++;
        }
    }
}

static bool bind_externals(saver *s)
{
    size_t names = 0, bytes = s->binding_count * sizeof *s->bindings;
    for (unsigned i = 0; i < s->config.external_count; i++) {
        names += strlen(s->config.externals[i].name) + 1;
    }
    scratch unordered = s->parts[PART_BINDINGS];
    image_binding *grouped = part_get(s, PART_BINDINGS, bytes);
    char *text = part_get(s, PART_NAMES, names);
    if (grouped != NULL && text != NULL) {
        s->header.bytes[PART_BINDINGS] = bytes;
        name_externals(s, grouped, text);
    }
    scratch_give(&unordered);
    return !s->gather.failed;
}

/* ---- write ---- */

static bool hash_pages(saver *s)
{
    uint64_t hashes = s->at[PART_HASHES] / OS_PAGE - 1;
    uint64_t *next = part_get(s, PART_HASHES, hashes * sizeof *next);
    if (next == NULL) {
        return false;
    }
    s->header.bytes[PART_HASHES] = hashes * sizeof *next;
    for (unsigned part = 0; part < PART_HASHES; part++) {
        const unsigned char *bytes = s->parts[part].start;
        for (uint64_t at = 0; at < s->header.bytes[part]; at += OS_PAGE) {
            *next++ = image_hash(bytes + at, OS_PAGE);
        }
    }
    size_t all = fief_round_up(s->header.bytes[PART_HASHES], OS_PAGE);
    s->header.hashes_hash = image_hash(s->parts[PART_HASHES].start, all);
    return true;
}

static bool make_header(saver *s)
{
    image_header *h = &s->header;
    (void)image_lay_out(h->bytes, s->at);
    if (!hash_pages(s)) {
        return false;
    }
    memcpy(h->magic, IMAGE_MAGIC, sizeof h->magic);
    h->version = IMAGE_VERSION;
    h->order = IMAGE_ORDER;
    h->word_bytes = sizeof(void *);
    h->size = image_lay_out(h->bytes, s->at);
    h->kinds = kinds_fingerprint(s->gather.r);
    h->host_version = s->config.version;
    if (s->config.root != NULL) {
        const gathered *block = gather_target(&s->gather, s->config.root);
        if (block == NULL) {
            return gather_no_root(&s->gather);
        }
        h->root = gather_offset(block, s->config.root) + 1;
    }
    h->hash = image_hash_header(h);
    return true;
}

static bool write_to(const saver *s, int file)
{
    unsigned char first[OS_PAGE] = {0};
    memcpy(first, &s->header, sizeof s->header);
    bool good = os_append(file, first, sizeof first);
    for (unsigned part = 0; good && part < PARTS; part++) {
        good = os_append(file, s->parts[part].start, fief_round_up(s->header.bytes[part], OS_PAGE));
    }
    return good && os_sync_file(file);
}

static bool write_file(saver *s)
{
    char name[OS_PATH_MAX];
    int file = os_new_beside(s->path, name, sizeof name);
    if (file < 0) {
        return gather_fail(&s->gather, FIEF_NO_FILE, "no new file can be made beside '%.100s'",
                           s->path);
    }
    bool good = write_to(s, file);
    os_close_file(file);
    if (!good || !os_replace_file(name, s->path)) {
        os_remove_file(name);
        return gather_fail(&s->gather, FIEF_NO_FILE, "the image '%.100s' can't be written",
                           s->path);
    }
    return true;
}

/* ---- the verb ---- */

static bool config_is_sound(saver *s)
{
    if (s->path == NULL || s->path[0] == '\0') {
        return gather_fail(&s->gather, FIEF_BAD_CONFIG, "an image needs a path");
    }
    for (unsigned i = 0; i < s->config.external_count; i++) {
        if (s->config.externals[i].name == NULL || s->config.externals[i].address == NULL) {
            return gather_fail(&s->gather, FIEF_BAD_CONFIG, "external %u has no name or no address",
                               i);
        }
    }
    return gather_align_is_sound(&s->gather, s->config.align);
}

static bool copy_all(saver *s)
{
    return gather_all(&s->gather) && gather_place(&s->gather, s->config.align) && make_room(s) &&
           gather_copy(&s->gather, s->parts[PART_DATA].start);
}

bool fief_image_save(fief_arena *window, const char *path, const fief_image_config *config)
{
    arena *a = (arena *)(void *)window;
    saver s = {.path = path, .config = config != NULL ? *config : (fief_image_config){0}};
    s.gather = (gather){.r = whole_runtime(a->core->rt),
                        .from = a,
                        .error = s.config.error,
                        .on_pointer = move_pointer};
    if (!enter(a->core, CALL())) {
        return gather_fail(&s.gather, FIEF_BAD_CONFIG,
                           "the calling thread does not own the runtime");
    }
    bool good = config_is_sound(&s) && copy_all(&s) && bind_externals(&s) && make_header(&s) &&
                write_file(&s);
    for (unsigned part = 0; part < PARTS; part++) {
        scratch_give(&s.parts[part]);
    }
    gather_end(&s.gather);
    return good;
}
