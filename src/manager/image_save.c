/* image_save: what an arena holds becomes a file; image.h draws it.
 *
 *     collect    the blocks of the arena, from the ledger, in the order of their addresses
 *     place      each of them in the data, one behind the other
 *     copy       its bytes; its pointers are moved to where their targets are placed
 *     write      the parts to a new file, which takes the old one's name when it is whole */
#include "manager/image.h"

#include "base/size.h"
#include "base/xxh64.h"
#include "guard.h"
#include "os/os.h"

#include <stdio.h>
#include <string.h>

typedef struct saved {
    const unsigned char *start;
    size_t size;
    uint32_t grain, kind;
} saved;

/* Memory of the system's, for as long as the save takes. */
typedef struct scratch {
    void *start;
    size_t size;
} scratch;

typedef enum scratch_id {
    SCRATCH_SAVED,
    SCRATCH_BOUND, /* a bit a word that an external is bound to */
    SCRATCH_PARTS, /* from here on as the parts of the file */
    SCRATCHES = SCRATCH_PARTS + PARTS
} scratch_id;

typedef struct saver {
    const runtime *r;
    const arena *from;
    fief_image_config config;
    const char *path;
    saved *blocks; /* by their addresses */
    size_t count;
    image_block *rows;
    unsigned char *data;
    uint64_t *pointers, *bound; /* bits */
    image_binding *bindings;
    size_t binding_count, binding_room;
    image_header header;
    uint64_t at[PARTS];
    scratch scratch[SCRATCHES];
    bool failed;
} saver;

/* The visit of a kind tells one of these. */
struct fief_pointers {
    saver *saver;
    const saved *block;
};

static bool fail(saver *s, fief_status status, const char *format, ...) FIEF_PRINTF(3, 4);
static bool fail(saver *s, fief_status status, const char *format, ...)
{
    char text[sizeof((fief_error *)0)->text];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!s->failed) {
        (void)refuse(s->config.error, status, "%s", text);
    }
    s->failed = true;
    return false;
}

static void *scratch_get(saver *s, unsigned id, size_t size)
{
    size_t whole = fief_round_up(size != 0 ? size : 1, OS_PAGE);
    s->scratch[id] = (scratch){os_map(whole), whole};
    if (s->scratch[id].start == NULL) {
        (void)fail(s, FIEF_NO_MEMORY, "no memory to make the image in: %zu bytes", whole);
    }
    return s->scratch[id].start;
}

static void scratch_give(saver *s, unsigned id)
{
    if (s->scratch[id].start != NULL) {
        os_release(s->scratch[id].start, s->scratch[id].size);
    }
    s->scratch[id] = (scratch){0};
}

static const char *name_of(const saver *s, uint32_t kind)
{
    return kind_name(s->r, kind);
}

/* ---- collect ---- */

/* Counts, or with room for them gathers, the live blocks of a page of the arena. */
static void collect_page(saver *s, const space *pages, const unsigned char *start)
{
    const record *r = ledger_at(pages, start), *end = r + (PAGE_SIZE >> CELL_SHIFT);
    for (; r < end; r++) {
        if (r->state != BLOCK_LIVE) {
            continue;
        }
        if (s->blocks != NULL) {
            s->blocks[s->count] =
                (saved){ledger_block(pages, r), record_size(pages, r), 0, (uint32_t)r->kind};
        }
        s->count++;
    }
}

static void collect_all(saver *s)
{
    const space *pages = &s->r->core.space;
    s->count = 0;
    for (uint32_t i = 0; i < pages->frontier; i++) {
        const page *entry = &pages->map[i];
        if (entry->used && entry->kind == PAGE_ARENA && entry->owner == s->from) {
            collect_page(s, pages, page_start(pages, i));
        }
    }
}

static bool collect(saver *s)
{
    const arena *a = s->from;
    if (a->strategy == FIEF_STACK) {
        return fail(s, FIEF_BAD_CONFIG, "%s is no arena that can be saved", a->name);
    }
    if (s->r->core.space.ledger == NULL || !a->shut) {
        return fail(s, FIEF_BAD_CONFIG, "the blocks of %s are not recorded: open it with .recorded",
                    a->name);
    }
    if (a->buffer.end != NULL || a->stand_ins != 0) {
        return fail(s, FIEF_BAD_CONFIG, "%s has blocks in %s, which is not saved", a->name,
                    a->stand_ins != 0 ? "the heap" : "a caller's buffer");
    }
    collect_all(s);
    s->blocks = scratch_get(s, SCRATCH_SAVED, s->count * sizeof *s->blocks);
    if (s->blocks == NULL) {
        return false;
    }
    collect_all(s);
    return true;
}

/* ---- place ---- */

static bool place(saver *s)
{
    size_t align = s->config.align != 0 ? s->config.align : IMAGE_GRAIN;
    uint64_t end = 0;
    for (size_t i = 0; i < s->count; i++) {
        uint64_t start = fief_round_up(end, align);
        size_t size = s->blocks[i].size;
        if (size > IMAGE_PART_MAX || start > IMAGE_PART_MAX - size) {
            return fail(s, FIEF_BAD_CONFIG, "%s holds more than the 2 GiB of an image",
                        s->from->name);
        }
        s->blocks[i].grain = (uint32_t)(start / IMAGE_GRAIN);
        end = start + (size != 0 ? size : 1);
    }
    s->header.align = (uint32_t)align;
    s->header.bytes[PART_DATA] = fief_round_up(end, IMAGE_GRAIN);
    s->header.bytes[PART_BLOCKS] = s->count * sizeof *s->rows;
    s->header.bytes[PART_POINTERS] = image_pointer_bytes(s->header.bytes[PART_DATA]);
    return true;
}

static void fill_rows(saver *s)
{
    uint64_t end = s->header.bytes[PART_DATA];
    for (size_t i = s->count; i-- > 0;) {
        const saved *b = &s->blocks[i];
        uint64_t start = (uint64_t)b->grain * IMAGE_GRAIN;
        bool has_kind = b->kind < s->r->window.kind_count;
        s->rows[i] = (image_block){.grain = b->grain,
                                   .rest = (uint16_t)(end - start - b->size),
                                   .kind = has_kind ? (uint16_t)b->kind : IMAGE_NO_KIND};
        end = start;
    }
}

/* Its own address is known by its blocks: the same arena has the same one in each process. */
static bool make_room(saver *s)
{
    const uint64_t *bytes = s->header.bytes;
    s->rows = scratch_get(s, SCRATCH_PARTS + PART_BLOCKS, bytes[PART_BLOCKS]);
    s->pointers = scratch_get(s, SCRATCH_PARTS + PART_POINTERS, bytes[PART_POINTERS]);
    s->data = scratch_get(s, SCRATCH_PARTS + PART_DATA, bytes[PART_DATA]);
    s->bound = scratch_get(s, SCRATCH_BOUND, bytes[PART_POINTERS]);
    if (s->failed) {
        return false;
    }
    fill_rows(s);
    uint64_t slot = xxh64(s->rows, bytes[PART_BLOCKS], s->config.version) % IMAGE_SLOTS;
    s->header.base = IMAGE_SLOTS_AT + (slot << IMAGE_SLOT_SHIFT);
    (void)image_lay_out(bytes, s->at); /* as far as the data, that is all of it */
    return true;
}

/* ---- copy ---- */

/* The block that a pointer leads to, its end included; NULL: none of the arena's. */
static const saved *target_of(const saver *s, const unsigned char *target)
{
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->blocks[middle].start <= target) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    const saved *b = low != 0 ? &s->blocks[low - 1] : NULL;
    return b != NULL && (size_t)(target - b->start) <= b->size ? b : NULL;
}

static uint64_t offset_of(const saved *target, const unsigned char *at)
{
    return (uint64_t)target->grain * IMAGE_GRAIN + (uint64_t)(at - target->start);
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

static bool points_out(saver *s, const saved *block, size_t offset, const void *target)
{
    const page *entry = space_page(&s->r->core.space, target);
    return fail(s, FIEF_POINTS_OUT, "'%s', %zu bytes, points at +%zu out of %s: to %s",
                name_of(s, block->kind), block->size, offset, s->from->name,
                entry != NULL && entry->used ? owner_name(entry) : "no memory of the runtime");
}

static bool bind(saver *s, uint64_t word, unsigned external)
{
    if (s->binding_count == s->binding_room) {
        scratch old = s->scratch[SCRATCH_PARTS + PART_BINDINGS];
        image_binding *grown = scratch_get(s, SCRATCH_PARTS + PART_BINDINGS, 2 * old.size + 1);
        if (grown != NULL && old.start != NULL) {
            memcpy(grown, old.start, old.size);
        }
        if (old.start != NULL) {
            os_release(old.start, old.size);
        }
        if (grown == NULL) {
            return false;
        }
        s->bindings = grown;
        s->binding_room = s->scratch[SCRATCH_PARTS + PART_BINDINGS].size / sizeof *grown;
    }
    s->bindings[s->binding_count++] = (image_binding){word, external};
    s->bound[word / 64] |= (uint64_t)1 << word % 64;
    return true;
}

static bool is_told(const saver *s, uint64_t word)
{
    return ((s->pointers[word / 64] | s->bound[word / 64]) >> word % 64 & 1) != 0;
}

/* The word at that offset of the block keeps what the host adds to an address. */
static bool move_pointer(saver *s, const saved *block, size_t offset, const void *target)
{
    uint64_t at = (uint64_t)block->grain * IMAGE_GRAIN + offset, value;
    if (target == NULL || is_told(s, at / IMAGE_WORD)) {
        return true;
    }
    memcpy(&value, block->start + offset, sizeof value);
    value -= (uintptr_t)target;
    const saved *to = target_of(s, target);
    unsigned external = to == NULL ? external_of(s, target) : s->config.external_count;
    if (to != NULL) {
        s->pointers[at / IMAGE_WORD / 64] |= (uint64_t)1 << at / IMAGE_WORD % 64;
        value += s->header.base + s->at[PART_DATA] + offset_of(to, target);
    } else if (external == s->config.external_count) {
        return points_out(s, block, offset, target);
    } else if (!bind(s, at / IMAGE_WORD, external)) {
        return false;
    } else {
        value += (uintptr_t)target - (uintptr_t)s->config.externals[external].address;
    }
    memcpy(s->data + at, &value, sizeof value);
    return true;
}

void fief_pointer(fief_pointers *pointers, const void *field, const void *target)
{
    saver *s = pointers->saver;
    const saved *b = pointers->block;
    size_t offset = (size_t)((uintptr_t)field - (uintptr_t)b->start);
    if (offset % IMAGE_WORD != 0 || b->size < IMAGE_WORD || offset > b->size - IMAGE_WORD) {
        (void)fail(s, FIEF_BAD_CONFIG, "the visit of '%s' told a field that is %s of the block",
                   name_of(s, b->kind), offset < b->size ? "not 8 bytes" : "no part");
    } else if (!s->failed) {
        (void)move_pointer(s, b, offset, target);
    }
}

/* What that looks like an address of; NULL: of nothing that ends with the runtime. */
static const char *ends_with_runtime(const core *c, uint64_t value)
{
    const void *address = (const void *)(uintptr_t)value; /* NOLINT(performance-no-int-to-ptr) */
    const page *entry = space_page(&c->space, address);
    if (entry != NULL) {
        return entry->used ? owner_name(entry) : "a free page";
    }
    return image_at(c, address) != NULL ? "an image" : NULL;
}

/* Such a word that was not told would be stale in the file. */
static bool has_no_other(saver *s, const saved *b)
{
    for (size_t offset = 0; offset + IMAGE_WORD <= b->size; offset += IMAGE_WORD) {
        uint64_t value, at = (uint64_t)b->grain * IMAGE_GRAIN + offset;
        if (is_told(s, at / IMAGE_WORD)) {
            continue;
        }
        memcpy(&value, s->data + at, sizeof value);
        const char *where = ends_with_runtime(&s->r->core, value);
        if (where != NULL) {
            return fail(s, FIEF_POINTS_OUT,
                        "'%s', %zu bytes, holds at +%zu what may be a pointer to %s; its kind"
                        " does not declare one",
                        name_of(s, b->kind), b->size, offset, where);
        }
    }
    return true;
}

static const fief_kind no_kind = {.name = NULL};

static const fief_kind *kind_of(const saver *s, const saved *b)
{
    return b->kind < s->r->window.kind_count ? &s->r->kinds[b->kind] : &no_kind;
}

static bool move_fields(saver *s, const fief_kind *kind, const saved *b)
{
    for (unsigned i = 0; i < kind->pointer_count; i++) {
        size_t offset = kind->pointers[i];
        const void *target;
        if (b->size < sizeof target || offset > b->size - sizeof target) {
            continue; /* a shorter block of the kind */
        }
        memcpy(&target, b->start + offset, sizeof target);
        if (!move_pointer(s, b, offset, target)) {
            return false;
        }
    }
    if (kind->visit != NULL) {
        kind->visit(b->start, b->size, &(fief_pointers){s, b});
    }
    return !s->failed;
}

static bool copy(saver *s)
{
    for (size_t i = 0; i < s->count; i++) {
        const saved *b = &s->blocks[i];
        unsigned char *to = s->data + (uint64_t)b->grain * IMAGE_GRAIN;
        const fief_kind *kind = kind_of(s, b);
        memcpy(to, b->start, b->size);
        guard_trust(to, b->size);
        bool plain = (kind->traits & FIEF_NO_POINTERS) != 0;
        if (!move_fields(s, kind, b) || (!plain && !has_no_other(s, b))) {
            return false;
        }
    }
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
    scratch unordered = s->scratch[SCRATCH_PARTS + PART_BINDINGS];
    image_binding *grouped = scratch_get(s, SCRATCH_PARTS + PART_BINDINGS, bytes);
    char *text = scratch_get(s, SCRATCH_PARTS + PART_NAMES, names);
    if (grouped != NULL && text != NULL) {
        s->header.bytes[PART_BINDINGS] = bytes;
        name_externals(s, grouped, text);
    }
    if (unordered.start != NULL) {
        os_release(unordered.start, unordered.size);
    }
    return !s->failed;
}

/* ---- write ---- */

static bool hash_pages(saver *s)
{
    uint64_t hashes = s->at[PART_HASHES] / OS_PAGE - 1;
    uint64_t *next = scratch_get(s, SCRATCH_PARTS + PART_HASHES, hashes * sizeof *next);
    if (next == NULL) {
        return false;
    }
    s->header.bytes[PART_HASHES] = hashes * sizeof *next;
    for (unsigned part = 0; part < PART_HASHES; part++) {
        const unsigned char *bytes = s->scratch[SCRATCH_PARTS + part].start;
        for (uint64_t at = 0; at < s->header.bytes[part]; at += OS_PAGE) {
            *next++ = xxh64(bytes + at, OS_PAGE, IMAGE_VERSION);
        }
    }
    s->header.hashes_hash =
        xxh64(s->scratch[SCRATCH_PARTS + PART_HASHES].start,
              fief_round_up(s->header.bytes[PART_HASHES], OS_PAGE), IMAGE_VERSION);
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
    h->kinds = image_fingerprint(s->r);
    h->host_version = s->config.version;
    if (s->config.root != NULL) {
        const saved *block = target_of(s, s->config.root);
        if (block == NULL) {
            return fail(s, FIEF_POINTS_OUT, "the root is in no block of %s", s->from->name);
        }
        h->root = offset_of(block, s->config.root) + 1;
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
        good = os_append(file, s->scratch[SCRATCH_PARTS + part].start,
                         fief_round_up(s->header.bytes[part], OS_PAGE));
    }
    return good && os_sync_file(file);
}

static bool write_file(saver *s)
{
    char name[OS_PATH_MAX];
    int file = os_new_beside(s->path, name, sizeof name);
    if (file < 0) {
        return fail(s, FIEF_NO_FILE, "no new file can be made beside '%.100s'", s->path);
    }
    bool good = write_to(s, file);
    os_close_file(file);
    if (!good || !os_replace_file(name, s->path)) {
        os_remove_file(name);
        return fail(s, FIEF_NO_FILE, "the image '%.100s' can't be written", s->path);
    }
    return true;
}

/* ---- the verb ---- */

static bool config_is_sound(saver *s)
{
    size_t align = s->config.align;
    if (s->path == NULL || s->path[0] == '\0') {
        return fail(s, FIEF_BAD_CONFIG, "an image needs a path");
    }
    if (align != 0 && (!is_power_of_two(align) || align < IMAGE_GRAIN || align > IMAGE_ALIGN_MAX)) {
        return fail(s, FIEF_BAD_CONFIG, "align is %zu, not a power of two from %d to %d", align,
                    IMAGE_GRAIN, IMAGE_ALIGN_MAX);
    }
    for (unsigned i = 0; i < s->config.external_count; i++) {
        if (s->config.externals[i].name == NULL || s->config.externals[i].address == NULL) {
            return fail(s, FIEF_BAD_CONFIG, "external %u has no name or no address", i);
        }
    }
    return true;
}

bool fief_image_save(fief_arena *window, const char *path, const fief_image_config *config)
{
    arena *a = (arena *)(void *)window;
    saver s = {.r = whole_runtime(a->core->rt), .from = a, .path = path};
    s.config = config != NULL ? *config : (fief_image_config){0};
    if (!enter(a->core, CALL())) {
        return fail(&s, FIEF_BAD_CONFIG, "the calling thread does not own the runtime");
    }
    bool good = config_is_sound(&s) && collect(&s) && place(&s) && make_room(&s) && copy(&s) &&
                bind_externals(&s) && make_header(&s) && write_file(&s);
    for (unsigned id = 0; id < SCRATCHES; id++) {
        scratch_give(&s, id);
    }
    return good;
}
