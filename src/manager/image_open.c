/* image_open: maps an image, and trusts nothing in it before it was looked at; image.h draws it.
 *
 *     header     read and checked before anything is mapped
 *     map        at its own address, or wherever there is room
 *     check      hashes, then every number against its bounds: all of the file, or what is needed
 *     bind       the words that point at externals
 *     relocate   the words that point into the image, where it is not at its own address
 * From then on it is read-only. A file that becomes shorter meanwhile is a fault that is caught. */
#include "manager/image.h"

#include "base/size.h"
#include "guard.h"
#include "os/os.h"

#include <stdio.h>
#include <string.h>

#define ADDRESS_MASK (((uint64_t)1 << 48) - 1)

typedef struct opener {
    runtime *r;
    const char *path;
    fief_image_config config;
    fief_image *image;
    unsigned char first[OS_PAGE]; /* the header's, as it was read */
    bool failed;
    bool copies; /* the node is to have it for itself */
} opener;

static bool fail(opener *o, fief_status status, const char *format, ...) FIEF_PRINTF(3, 4);
static bool fail(opener *o, fief_status status, const char *format, ...)
{
    char text[sizeof((fief_error *)0)->text];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!o->failed) {
        (void)refuse(o->config.error, status, "the image '%.100s' %s",
                     o->path != NULL ? o->path : "(null)", text);
    }
    o->failed = true;
    return false;
}

static const unsigned char *part_at(const fief_image *image, image_part part)
{
    return image->map.start + image->at[part];
}

/* ---- the header ---- */

static bool is_of_this_machine(opener *o, const image_header *h)
{
    if (memcmp(h->magic, IMAGE_MAGIC, sizeof h->magic) != 0) {
        return fail(o, FIEF_BAD_IMAGE, "is no image: it does not begin like one");
    }
    if (h->order != IMAGE_ORDER) {
        return fail(o, FIEF_OTHER_IMAGE, "was made by a machine of another byte order");
    }
    if (h->version != IMAGE_VERSION) {
        return fail(o, FIEF_OTHER_IMAGE, "has version %u of the format, not %d: save it again",
                    (unsigned)h->version, IMAGE_VERSION);
    }
    if (h->word_bytes != sizeof(void *)) {
        return fail(o, FIEF_OTHER_IMAGE, "was made for addresses of %u bytes, not %zu",
                    (unsigned)h->word_bytes, sizeof(void *));
    }
    return true;
}

static bool lengths_agree(const image_header *h, uint64_t ret_at[PARTS])
{
    const uint64_t *bytes = h->bytes;
    for (unsigned part = 0; part < PARTS; part++) {
        if (bytes[part] > IMAGE_PART_MAX) {
            return false;
        }
    }
    uint64_t size = image_lay_out(bytes, ret_at);
    uint64_t pages = ret_at[PART_HASHES] / OS_PAGE - 1;
    return bytes[PART_BLOCKS] % sizeof(image_block) == 0 && bytes[PART_DATA] % IMAGE_GRAIN == 0 &&
           bytes[PART_POINTERS] == image_pointer_bytes(bytes[PART_DATA]) &&
           bytes[PART_BINDINGS] % sizeof(image_binding) == 0 &&
           bytes[PART_HASHES] == pages * sizeof(uint64_t) && h->root <= bytes[PART_DATA] + 1 &&
           h->base % OS_PAGE == 0 && h->base != 0 && h->base <= ADDRESS_MASK - size &&
           is_power_of_two(h->align) && h->align >= IMAGE_GRAIN && h->align <= IMAGE_ALIGN_MAX &&
           h->size == size;
}

static bool header_is_sound(opener *o, uint64_t file_size)
{
    image_header *h = &o->image->header;
    memcpy(h, o->first, sizeof *h);
    if (!is_of_this_machine(o, h)) {
        return false;
    }
    if (h->size != file_size) {
        return fail(o, FIEF_BAD_IMAGE, "has %llu bytes, and %llu by its header",
                    (unsigned long long)file_size, (unsigned long long)h->size);
    }
    uint64_t hash = h->hash;
    memset(o->first + offsetof(image_header, hash), 0, sizeof hash);
    if (image_hash(o->first, sizeof o->first) != hash) {
        return fail(o, FIEF_BAD_IMAGE, "has a damaged header");
    }
    if (!lengths_agree(h, o->image->at)) {
        return fail(o, FIEF_BAD_IMAGE, "has a header that contradicts itself");
    }
    if (h->kinds != kinds_fingerprint(o->r)) {
        return fail(o, FIEF_OTHER_IMAGE, "was saved under another table of kinds");
    }
    if (h->host_version != o->config.version) {
        return fail(o, FIEF_OTHER_IMAGE, "was saved under version %llu of the host, not %llu",
                    (unsigned long long)h->host_version, (unsigned long long)o->config.version);
    }
    return true;
}

/* ---- checks ---- */

static bool is_checked(const fief_image *image, uint64_t number)
{
    return (image->checked[number / 8] >> number % 8 & 1) != 0;
}

static uint64_t word_at(const unsigned char *bytes, uint64_t index)
{
    uint64_t word;
    memcpy(&word, bytes + index * sizeof word, sizeof word);
    return word;
}

/* Pages of the file: 0 is the header, and those of the hashes have no hash of their own. */
static bool check_page(fief_image *image, uint64_t number)
{
    if (is_checked(image, number)) {
        return true;
    }
    uint64_t hash = word_at(part_at(image, PART_HASHES), number - 1);
    if (image_hash(image->map.start + number * OS_PAGE, OS_PAGE) != hash) {
        return false;
    }
    image->checked[number / 8] |= (uint8_t)(1 << number % 8);
    return true;
}

static bool check_pages(fief_image *image, uint64_t from, uint64_t until)
{
    for (uint64_t number = from / OS_PAGE; number * OS_PAGE < until; number++) {
        if (!check_page(image, number)) {
            return false;
        }
    }
    return true;
}

static bool check_part(fief_image *image, image_part part)
{
    return check_pages(image, image->at[part], image->at[part] + image->header.bytes[part]);
}

/* The pages of the hashes, by the header; then nobody looks at them again, nor at the header. */
static bool check_hashes(fief_image *image)
{
    const image_header *h = &image->header;
    uint64_t size = fief_round_up(h->bytes[PART_HASHES], OS_PAGE);
    if (image_hash(part_at(image, PART_HASHES), size) != h->hashes_hash) {
        return false;
    }
    for (uint64_t number = image->at[PART_HASHES] / OS_PAGE; number * OS_PAGE < h->size; number++) {
        image->checked[number / 8] |= (uint8_t)(1 << number % 8);
    }
    image->checked[0] |= 1;
    return true;
}

/* Each block begins where the one before ends, or a little behind, and the last ends the data. */
static bool blocks_are_sound(const fief_image *image)
{
    const image_block *rows = (const image_block *)(const void *)part_at(image, PART_BLOCKS);
    const unsigned kinds = whole_runtime(image->core->rt)->window.kind_count;
    const uint64_t odd = image->header.align - (uint64_t)1;
    size_t count = image->header.bytes[PART_BLOCKS] / sizeof *rows;
    uint64_t end = image->header.bytes[PART_DATA];
    if (count == 0 || rows[0].grain != 0) {
        return count == 0 && end == 0;
    }
    for (size_t i = count; i-- > 0;) {
        uint64_t start = (uint64_t)rows[i].grain * IMAGE_GRAIN;
        if (start >= end || rows[i].rest > end - start || (start & odd) != 0 ||
            (rows[i].kind >= kinds && rows[i].kind != IMAGE_NO_KIND)) {
            return false;
        }
        end = start;
    }
    return true;
}

/* ---- words: the pointers of 64 words of the data at a time ---- */

typedef bool word_work(fief_image *image, unsigned char *word);

static bool each_pointer(fief_image *image, uint64_t from, uint64_t until, word_work *work)
{
    uint64_t words = image->header.bytes[PART_DATA] / IMAGE_WORD;
    unsigned char *data = image->map.start + image->at[PART_DATA];
    for (uint64_t group = from / 64; group * 64 < until; group++) {
        uint64_t bits = word_at(part_at(image, PART_POINTERS), group);
        for (; bits != 0; bits &= bits - 1) {
            uint64_t word = group * 64 + (unsigned)__builtin_ctzll(bits);
            if (word >= words || !work(image, data + word * IMAGE_WORD)) {
                return false;
            }
        }
    }
    return true;
}

static uint64_t all_words(const fief_image *image)
{
    return image->header.bytes[PART_DATA] / IMAGE_WORD;
}

/* As the file has it: into the data, at the image's own address. */
static bool points_inside(fief_image *image, unsigned char *word)
{
    uint64_t data = image->header.base + image->at[PART_DATA];
    return (word_at(word, 0) & ADDRESS_MASK) - data <= image->header.bytes[PART_DATA];
}

static bool relocate(fief_image *image, unsigned char *word)
{
    uint64_t moved = word_at(word, 0) - image->header.base + (uintptr_t)image->map.start;
    memcpy(word, &moved, sizeof moved);
    return true;
}

/* ---- externals ---- */

static const fief_external *external_named(const opener *o, const char *name)
{
    for (unsigned i = 0; i < o->config.external_count; i++) {
        const fief_external *e = &o->config.externals[i];
        if (e->name != NULL && strcmp(e->name, name) == 0) {
            return e;
        }
    }
    return NULL;
}

/* It holds how far into the external it points, and what the host adds to an address: above the
 * address, or in its lowest bits. It is no pointer into the image, and is bound once. */
static bool bind_word(fief_image *image, uint64_t word, const fief_external *to)
{
    enum { TAG_MOST = 7 };
    uint64_t at = image->at[PART_DATA] + word * IMAGE_WORD;
    uint64_t bits = image->at[PART_POINTERS] + word / 64 * 8;
    if (word >= all_words(image) || !check_pages(image, at, at + IMAGE_WORD) ||
        !check_pages(image, bits, bits + 8) ||
        (word_at(image->map.start + bits, 0) >> word % 64 & 1) != 0) {
        return false;
    }
    uint64_t value = word_at(image->map.start + at, 0);
    if ((value & ADDRESS_MASK) > (to->size != 0 ? to->size : 1) + TAG_MOST) {
        return false;
    }
    value += (uintptr_t)to->address;
    memcpy(image->map.start + at, &value, sizeof value);
    return true;
}

/* The words are grouped by name, so that the names are walked once. */
static bool bind_words(opener *o, const image_binding *next, const image_binding *end)
{
    fief_image *image = o->image;
    const char *name = (const char *)part_at(image, PART_NAMES);
    const char *names_end = name + image->header.bytes[PART_NAMES];
    for (uint64_t number = 0; name < names_end; number++, name += strlen(name) + 1) {
        const fief_external *e = external_named(o, name);
        if (e == NULL) {
            return fail(o, FIEF_POINTS_OUT, "needs the external '%.60s', which is not given", name);
        }
        for (; next < end && next->external == number; next++) {
            if (!bind_word(image, next->word, e)) {
                return fail(o, FIEF_BAD_IMAGE, "is damaged where it binds '%.60s'", name);
            }
        }
    }
    return next == end || fail(o, FIEF_BAD_IMAGE, "binds what has no name");
}

static bool bind(opener *o)
{
    const fief_image *image = o->image;
    uint64_t names = image->header.bytes[PART_NAMES];
    if (names != 0 && part_at(image, PART_NAMES)[names - 1] != '\0') {
        return fail(o, FIEF_BAD_IMAGE, "has a name without an end");
    }
    const image_binding *first = (const image_binding *)(const void *)part_at(image, PART_BINDINGS);
    return bind_words(o, first, first + image->header.bytes[PART_BINDINGS] / sizeof *first);
}

/* ---- what was mapped ---- */

/* The pointers of a page are looked at while the processor still has its bytes. */
static bool check_data(opener *o)
{
    enum { PAGE_WORDS = OS_PAGE / IMAGE_WORD };
    fief_image *image = o->image;
    uint64_t words = all_words(image);
    for (uint64_t word = 0; word < words; word += PAGE_WORDS) {
        uint64_t end = words - word < PAGE_WORDS ? words : word + PAGE_WORDS;
        if (!check_page(image, image->at[PART_DATA] / OS_PAGE + word / PAGE_WORDS)) {
            return fail(o, FIEF_BAD_IMAGE, "is damaged: a page has another hash");
        }
        if (!each_pointer(image, word, end, points_inside)) {
            return fail(o, FIEF_BAD_IMAGE, "has a pointer that leads out of it");
        }
    }
    return true;
}

static bool check_whole(opener *o)
{
    fief_image *image = o->image;
    os_will_read(image->map.start, image->map.size);
    if (!check_part(image, PART_BLOCKS) || !check_part(image, PART_POINTERS)) {
        return fail(o, FIEF_BAD_IMAGE, "is damaged: a page has another hash");
    }
    if (!blocks_are_sound(image)) {
        return fail(o, FIEF_BAD_IMAGE, "has a table of blocks that contradicts itself");
    }
    return check_data(o);
}

/* A page that is written to is the process's own, and lies as the mapping is placed. */
static void make_own(const fief_image *image)
{
    for (uint64_t at = 0; at < image->map.size; at += OS_PAGE) {
        volatile unsigned char *byte = image->map.start + at;
        *byte = *byte;
    }
}

static bool make_ready(opener *o)
{
    fief_image *image = o->image;
    if (o->copies) {
        make_own(image);
    }
    if (!check_hashes(image)) {
        return fail(o, FIEF_BAD_IMAGE, "is damaged: its hashes have another hash");
    }
    bool parts = check_part(image, PART_BINDINGS) && check_part(image, PART_NAMES);
    if (!parts) {
        return fail(o, FIEF_BAD_IMAGE, "is damaged where it says what it needs");
    }
    if ((!o->config.lazy || image->relocated || o->copies) && !check_whole(o)) {
        return false;
    }
    if (!bind(o)) {
        return false;
    }
    if (image->relocated) {
        (void)each_pointer(image, 0, all_words(image), relocate);
    }
    return true;
}

static void make_ready_or_fail(void *argument)
{
    (void)make_ready(argument);
}

static bool read_header(opener *o, int file, uint64_t size)
{
    if (size < OS_PAGE || !os_read_file(file, o->first, sizeof o->first)) {
        return fail(o, FIEF_BAD_IMAGE, "is no image: %llu bytes are too few",
                    (unsigned long long)size);
    }
    return header_is_sound(o, size);
}

/* A bit for each page. */
static bool keep_checks(opener *o)
{
    o->image->checked = space_meta(&o->r->core.space, o->image->header.size / OS_PAGE / 8 + 1);
    return o->image->checked != NULL ||
           fail(o, FIEF_NO_MEMORY, "needs memory for its descriptor");
}

static bool map(opener *o, int file)
{
    fief_image *image = o->image;
    const image_header *h = &image->header;
    bool changes = h->bytes[PART_BINDINGS] != 0 || o->copies;
    image->map.size = h->size;
    image->map.start = os_map_file(file, (uintptr_t)h->base, h->size, changes);
    if (image->map.start == NULL) {
        image->relocated = true;
        image->map.start = os_map_file(file, 0, h->size, true);
    }
    return image->map.start != NULL ||
           fail(o, FIEF_NO_FILE, "can't be mapped: %llu bytes", (unsigned long long)h->size);
}

static bool look_at(opener *o)
{
    const fief_image *image = o->image;
    if (!os_try(make_ready_or_fail, o)) {
        return fail(o, FIEF_BAD_IMAGE, "changed while it was opened");
    }
    bool writable = image->relocated || image->header.bytes[PART_BINDINGS] != 0 || o->copies;
    return !o->failed && (!writable || os_seal(image->map.start, image->map.size) ||
                          fail(o, FIEF_NO_MEMORY, "can't be made read-only"));
}

/* ---- a copy for each node ---- */

/* Where the node has no memory, or none for us, the copy lies where it comes to lie. */
static void place_copy(const fief_image *image, unsigned node)
{
    os_placement place = {.policy = OS_ON, .node = node & (OS_NODES_MAX - 1)};
    (void)os_place(image->map.start, image->map.size, place, false);
}

static bool make_copy(opener *o, int file, uint64_t externals, unsigned node)
{
    if (!map(o, file)) {
        return false;
    }
    place_copy(o->image, node);
    return look_at(o) && (image_copy_keep(o->image, externals, node) ||
                          fail(o, FIEF_NO_MEMORY, "needs memory for its copy"));
}

/* What was checked when it was made, nobody checks again. */
static bool share_copy(opener *o, int file)
{
    fief_image *image = o->image;
    unsigned node = os_node();
    uint64_t externals =
        image->header.bytes[PART_BINDINGS] != 0 ? image_hash_externals(&o->config) : 0;
    os_lock();
    bool found = image_copy_find(image, externals, node);
    bool made = !found && make_copy(o, file, externals, node);
    os_unlock();
    if (found) {
        memset(image->checked, 0xFF, image->header.size / OS_PAGE / 8 + 1);
    }
    return found || made;
}

/* ---- the verbs ---- */

static void give_descriptor(core *c, fief_image *image)
{
    if (image->checked != NULL) {
        space_meta_give(&c->space, image->checked, image->header.size / OS_PAGE / 8 + 1);
    }
    space_meta_give(&c->space, image, sizeof *image);
}

static void give_up(opener *o)
{
    if (o->image->map.start != NULL) { /* a copy that was made is not given up */
        os_release(o->image->map.start, o->image->map.size);
    }
    give_descriptor(&o->r->core, o->image);
}

static void name_map(image_map *map, const char *path)
{
    size_t length = strlen(path), most = sizeof map->name - 1;
    memcpy(map->name, path + (length > most ? length - most : 0), length < most ? length : most);
}

static bool open_file(opener *o)
{
    uint64_t size;
    int file = o->path != NULL ? os_open_file(o->path, &size) : -1;
    if (file < 0) {
        return fail(o, FIEF_NO_FILE, "can't be opened, or is no file");
    }
    o->copies = o->config.per_node && os_nodes() > 1;
    bool opened = read_header(o, file, size) && keep_checks(o) &&
                  (o->copies ? share_copy(o, file) : map(o, file) && look_at(o));
    os_close_file(file);
    return opened;
}

fief_image *fief_image_open(fief_runtime *rt, const char *path, const fief_image_config *config)
{
    opener o = {.r = whole_runtime(rt), .path = path};
    core *c = &o.r->core;
    o.config = config != NULL ? *config : (fief_image_config){0};
    if (!enter(c, CALL())) {
        (void)fail(&o, FIEF_BAD_CONFIG, "is opened by a thread that does not own the runtime");
        return NULL;
    }
    o.image = space_meta(&c->space, sizeof *o.image);
    if (o.image == NULL) {
        (void)fail(&o, FIEF_NO_MEMORY, "needs memory for its descriptor");
        return NULL;
    }
    o.image->core = c;
    watch_read_only(o.r);
    if (!open_file(&o)) {
        give_up(&o);
        return NULL;
    }
    name_map(&o.image->map, path);
    o.image->map.next = c->space.range->images;
    __atomic_store_n(&c->space.range->images, &o.image->map, __ATOMIC_RELEASE);
    o.r->window.checks_stores = true;
    return o.image;
}

static void drop(core *c, image_map *map)
{
    image_map **link = &c->space.range->images;
    while (*link != map) {
        link = &(*link)->next;
    }
    *link = map->next;
    fief_image *image = (fief_image *)(void *)map;
    if (image->copy != NULL) {
        image_copy_give(image->copy);
    } else {
        os_release(map->start, map->size);
    }
    give_descriptor(c, image);
}

/* A guarded build keeps the addresses, so that a late use is told; but not of a copy, which others
 * may still read. */
static void close_map(core *c, image_map *map)
{
    bool is_shared = ((fief_image *)(void *)map)->copy != NULL;
    if (!GUARD_SHUT || is_shared || !os_shut(map->start, map->size)) {
        drop(c, map);
    } else {
        map->closed = true;
    }
}

void fief_image_close(fief_image *image)
{
    if (image != NULL && enter(image->core, CALL())) {
        close_map(image->core, &image->map);
    }
}

void images_close(core *c)
{
    for (image_map *map = c->space.range->images, *next; map != NULL; map = next) {
        next = map->next;
        if (!map->closed) {
            close_map(c, map);
        }
    }
}

void images_release(core *c)
{
    while (c->space.range->images != NULL) {
        drop(c, c->space.range->images);
    }
}

const void *fief_image_root(const fief_image *image)
{
    uint64_t at = image->header.root;
    return at != 0 ? part_at(image, PART_DATA) + at - 1 : NULL;
}

size_t fief_image_size(const fief_image *image)
{
    return image->map.size;
}

bool fief_image_is_relocated(const fief_image *image)
{
    return image->relocated;
}

/* ---- checks on demand ---- */

typedef struct question {
    fief_image *image;
    uint64_t from, until; /* bytes of the file */
    bool good;
} question;

/* The words of these pages lead into the image: whose pointers are known to be checked. */
static bool check_words(fief_image *image, uint64_t from, uint64_t until)
{
    uint64_t data = image->at[PART_DATA], end = data + image->header.bytes[PART_DATA];
    from = from / OS_PAGE * OS_PAGE;
    until = fief_round_up(until, OS_PAGE) < end ? fief_round_up(until, OS_PAGE) : end;
    if (from < data || from >= end) {
        return true;
    }
    uint64_t first = (from - data) / IMAGE_WORD, last = (until - data) / IMAGE_WORD;
    uint64_t bits = image->at[PART_POINTERS];
    return check_pages(image, bits + first / 64 * 8, bits + (last + 63) / 64 * 8) &&
           each_pointer(image, first, last, points_inside);
}

static void answer(void *argument)
{
    question *q = argument;
    fief_image *image = q->image;
    bool fresh = false;
    for (uint64_t number = q->from / OS_PAGE; number * OS_PAGE < q->until; number++) {
        fresh = fresh || !is_checked(image, number);
    }
    q->good = !fresh || (check_pages(image, q->from, q->until) &&
                         (image->relocated || check_words(image, q->from, q->until)));
}

bool fief_image_verify(fief_image *image, const void *start, size_t size)
{
    uint64_t from = (uintptr_t)start - (uintptr_t)image->map.start;
    if (!enter(image->core, CALL()) || image->map.closed || from >= image->map.size ||
        size > image->map.size - from) {
        return false;
    }
    question q = {image, from, from + size, false};
    return os_try(answer, &q) && q.good;
}

/* ---- for reports ---- */

static const image_block *row_at(const image_block *rows, size_t count, uint64_t offset)
{
    size_t low = 0;
    for (size_t high = count; low < high;) {
        size_t middle = low + (high - low) / 2;
        if ((uint64_t)rows[middle].grain * IMAGE_GRAIN <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low != 0 ? &rows[low - 1] : NULL;
}

void image_describe(const core *c, fief_misuse *m)
{
    fief_image *image = (fief_image *)(void *)image_at(c, m->address);
    m->strategy = fief_strategy_name(FIEF_IMAGE);
    uint64_t data = (uintptr_t)m->address - (uintptr_t)part_at(image, PART_DATA);
    if (image->map.closed || data >= image->header.bytes[PART_DATA] ||
        !check_part(image, PART_BLOCKS) || !blocks_are_sound(image)) {
        return;
    }
    const image_block *rows = (const image_block *)(const void *)part_at(image, PART_BLOCKS);
    size_t count = image->header.bytes[PART_BLOCKS] / sizeof *rows;
    const image_block *row = row_at(rows, count, data);
    uint64_t start = (uint64_t)row->grain * IMAGE_GRAIN;
    uint64_t end = row + 1 < rows + count ? (uint64_t)row[1].grain * IMAGE_GRAIN
                                          : image->header.bytes[PART_DATA];
    m->block = part_at(image, PART_DATA) + start;
    m->block_size = end - start - row->rest;
    m->block_is_live = true;
    if (row->kind != IMAGE_NO_KIND) {
        m->kind = kind_name(whole_runtime(c->rt), row->kind);
    }
}
