/* do_image: what an arena holds is saved as an image, opened in this runtime or in another, looked
 * at, misused and closed. The model's picture of it is made when it is saved: which blocks it has,
 * where each lies, what it holds, and how long the file must be (docs/images.md).
 *
 * A program has one file, and a new one takes its place. The real OS has it without a name: it is
 * opened as soon as it is written, and its name removed: a later crash leaves none behind. */
#include "run.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum {
    SAVES_MOST = 2, /* a file is written, and waited for */
    BYTES_MOST = 64 << 10,
    PATH_SIZE = 100,
    PLACES = 4096
};
static const size_t file_page = 4096, word_size = 8;
/* Own addresses are one of so many places, so far apart. */
static const uint64_t places_at = 0x200000000000, place_size = (uint64_t)1 << 32;

/* Each fuzzing process, and each of its threads, has a name of its own. */
static void name_new_file(const run *r, char *ret_path)
{
    static const char *const folders[] = {"/dev/shm", "/tmp"};
    const char *folder = folders[access(folders[0], W_OK) != 0];
    if (r->os != NULL) {
        (void)snprintf(ret_path, PATH_SIZE, "image");
    } else {
        (void)snprintf(ret_path, PATH_SIZE, "%s/fief-fuzz-%d-%zx.img", folder, (int)getpid(),
                       (size_t)(uintptr_t)r->ground);
    }
}

static void name_file(const run *r, char *ret_path)
{
    if (r->os != NULL) {
        (void)snprintf(ret_path, PATH_SIZE, "image");
    } else {
        (void)snprintf(ret_path, PATH_SIZE, "/proc/self/fd/%d", r->image_file);
    }
}

void drop_image_file(run *r)
{
    if (r->image_file >= 0) {
        (void)close(r->image_file);
        r->image_file = -1;
    }
}

static void keep_file(run *r, const char *path)
{
    drop_image_file(r);
    if (r->os == NULL) {
        r->image_file = open(path, O_RDONLY | O_CLOEXEC);
        (void)unlink(path);
        MUST(r, r->image_file >= 0, "expected the image's file, found none");
    }
}

/* ---- the picture ---- */

bool is_told(const life *l, const block *b)
{
    return b->kind < l->kind_count && l->kinds[b->kind].visit != NULL;
}

/* In the order of their addresses. */
static void list_blocks(const life *l, int home_index, picture *ret)
{
    ret->count = 0;
    for (unsigned i = 0; i < l->top; i++) {
        const block *b = &l->blocks[i];
        if (b->origin != EMPTY && b->home == home_index &&
            b->strategy == l->homes[home_index].strategy) {
            unsigned at = ret->count++;
            for (; at > 0 && ret->blocks[at - 1].block.start > b->start; at--) {
                ret->blocks[at] = ret->blocks[at - 1];
            }
            ret->blocks[at] = (pictured){.block = *b, .index = i};
        }
    }
}

/* The block that an address leads to, its end included, though another arena's may begin there; -1:
 * none of them. */
static int find_pictured(const picture *p, const unsigned char *address)
{
    int found = -1;
    for (unsigned n = 0; n < p->count && p->blocks[n].block.start <= address; n++) {
        found = (int)n;
    }
    const block *b = found >= 0 ? &p->blocks[found].block : NULL;
    return b != NULL && (size_t)(address - b->start) <= b->size ? found : -1;
}

/* How large each is; 0 stands for 1. */
static const size_t external_sizes[EXTERNALS] = {EXTERNAL_SIZE, 0};

static void name_externals(run *r, fief_image_config *config, fief_external *ret_externals,
                           unsigned bound)
{
    static const char *const names[EXTERNALS] = {"natives", "nil"};
    for (unsigned i = 0; i < EXTERNALS; i++) {
        ret_externals[i] = (fief_external){names[i], outsides[i][bound], external_sizes[i]};
    }
    config->externals = ret_externals;
    config->external_count = EXTERNALS;
    SAY(r, "name_externals(&image_config, %u);", bound);
}

/* Where in an external the host's byte is; -1: in none that was named. */
static int find_external(const unsigned char *byte, size_t *ret_at)
{
    size_t at = (size_t)(byte - &outsides[0][0][0]);
    unsigned external = (unsigned)(at / sizeof outsides[0]);
    *ret_at = at % sizeof outsides[0];
    size_t size = external_sizes[external] != 0 ? external_sizes[external] : 1;
    return *ret_at < size ? (int)external : -1;
}

static void follow_fields(const life *l, picture *p, bool names_externals)
{
    for (unsigned n = 0; n < p->count; n++) {
        pictured *b = &p->blocks[n];
        const unsigned char *target = field_target(l, &b->block);
        b->to = b->external = -1;
        b->as_it_was = target;
        if (b->block.field >= 0) {
            b->to = find_pictured(p, target);
            b->to_at = b->to >= 0 ? (size_t)(target - p->blocks[b->to].block.start) : 0;
        } else if (b->block.field == OUTSIDE && names_externals && is_told(l, &b->block)) {
            b->external = find_external(target, &b->to_at);
        }
    }
}

static bool needs_externals(const picture *p)
{
    bool needs = false;
    for (unsigned n = 0; n < p->count; n++) {
        needs = needs || p->blocks[n].external >= 0;
    }
    return needs;
}

/* Each begins at a multiple of the alignment, and an empty one has a byte. */
static void lay_out(picture *p, size_t align)
{
    static const size_t name_sizes[EXTERNALS] = {sizeof "natives", sizeof "nil"};
    size_t end = 0, data, rows, bits, bindings = 0, named[EXTERNALS] = {0};
    for (unsigned n = 0; n < p->count; n++) {
        p->blocks[n].at = fief_round_up(end, align != 0 ? align : FIEF_ALIGN);
        end = p->blocks[n].at + (p->blocks[n].block.size != 0 ? p->blocks[n].block.size : 1);
        if (p->blocks[n].external >= 0) {
            bindings += 2 * word_size;
            named[p->blocks[n].external] = name_sizes[p->blocks[n].external];
        }
    }
    data = fief_round_up(end, FIEF_ALIGN);
    rows = fief_round_up(p->count * word_size, file_page);
    bits = fief_round_up((data / word_size + 63) / 64 * word_size, file_page);
    p->data_at = file_page + rows + bits;
    p->size = p->data_at + fief_round_up(data, file_page) + fief_round_up(bindings, file_page) +
              fief_round_up(named[0] + named[1], file_page);
    p->size += fief_round_up((p->size / file_page - 1) * word_size, file_page);
}

/* Into one of them; or nowhere; or to any block, which may be refused. */
static const void *choose_root(const life *l, picture *p, uint64_t handle, unsigned how)
{
    enum { NOWHERE = 30, ANYWHERE = 31 };
    int index = how == ANYWHERE ? find_block(l, handle, NULL) : -1;
    const unsigned char *root = index >= 0 ? l->blocks[index].start : NULL;
    if (root == NULL && p->count != 0 && how != NOWHERE) {
        const block *b = &p->blocks[handle % p->count].block;
        root = b->start + (how % 4 == 3 ? b->size / 2 : 0);
    }
    p->root = root != NULL ? find_pictured(p, root) : -1;
    p->root_at = p->root >= 0 ? (size_t)(root - p->blocks[p->root].block.start) : 0;
    return root;
}

static size_t bytes_in(const picture *p)
{
    size_t bytes = 0;
    for (unsigned n = 0; n < p->count; n++) {
        bytes += p->blocks[n].block.size;
    }
    return bytes;
}

/* ---- save ---- */

/* A pointer that is told leads into the arena or an external; one that is not, nowhere into the
 * runtime. */
static bool points_out(const life *l, const pictured *b)
{
    if (b->block.field == NO_FIELD) {
        return false;
    }
    return is_told(l, &b->block) ? b->to < 0 && b->external < 0 : points_inside(l, &b->block);
}

static fief_status verdict_on_save(const run *r, const life *l, const home *h, const picture *p,
                                   const void *root)
{
    bool is_recorded = r->guards || l->is_counted || h->is_recorded, stands_in = false;
    bool leads_out = root != NULL && p->root < 0;
    for (size_t i = 0; i < h->logged; i++) {
        stands_in = stands_in || h->log[i].fell_back;
    }
    for (unsigned n = 0; n < p->count; n++) {
        leads_out = leads_out || points_out(l, &p->blocks[n]);
    }
    bool can_be = !h->is_stack && is_recorded && !h->has_buffer && !stands_in;
    return !can_be ? FIEF_BAD_CONFIG : leads_out ? FIEF_POINTS_OUT : FIEF_OK;
}

/* Or the OS has just failed; or a runtime in the host's buffer is full. */
static void must_be_status(run *r, const life *l, const char *what, fief_status expected,
                           const fief_error *found)
{
    bool fine = found->status != FIEF_OK && null_is_fine(r) &&
                (r->os_failed || (l->may_run_out && found->status == FIEF_NO_MEMORY));
    MUST(r, found->status == expected || fine,
         "expected status %d of an image that is %s, found %d: %s", (int)expected, what,
         (int)found->status, found->text);
    MUST(r, found->status == FIEF_OK || found->text[0] != '\0', "expected a sentence, found none");
}

/* Two blocks of a kind whose pointers are told, each with one at the other. */
static void link_two(run *r, life *l)
{
    unsigned kind = 0;
    while (kind < l->kind_count &&
           (l->kinds[kind].visit == NULL || cell(l, kind, FIEF_LITERAL) != FIEF_VM_ARENA)) {
        kind++;
    }
    int first = kind < l->kind_count ? room_for(r, 0, 24) : -1;
    if (first >= 0) {
        do_new(r, (const uint64_t[]){(uint64_t)first, kind, FIEF_LITERAL, 24});
    }
    int second = first >= 0 ? room_for(r, 1, 40) : -1;
    if (second >= 0) {
        do_new(r, (const uint64_t[]){(uint64_t)second, kind, FIEF_LITERAL, 40});
        do_store(r, (const uint64_t[]){(uint64_t)first, (uint64_t)second});
        do_store(r, (const uint64_t[]){(uint64_t)second, (uint64_t)first});
    }
}

/* What a large block was not filled with may read as an address. */
static void fill_all(const picture *p)
{
    for (unsigned n = 0; n < p->count; n++) {
        fill_rest(&p->blocks[n].block);
    }
}

/* Where the root is none of the arena's, any other pointer says the same. */
static void say_save(run *r, const life *l, const picture *p,
                     const fief_image_config *config)
{
    static const char nowhere[] = "NULL", elsewhere[] = "&config";
    const char *other = config->root == NULL ? nowhere : elsewhere;
    const char *root = p->root >= 0 ? c_block(l, (int)p->blocks[p->root].index) : other;
    SAY(r, "image_config = (fief_image_config){.align = %zu, .version = %u, .root = %s};",
        config->align, (unsigned)config->version, root);
    if (p->root_at != 0) {
        SAY(r, "image_config.root = %s + %zu;", root, p->root_at);
    }
}

static void say_saved(run *r, const life *l, int home_index, bool may)
{
    SAY(r, "must(%sfief_image_save(%s, image_file(), &image_config), \"saved, or not\");",
        may ? "" : "!", c_home(l, home_index));
}

static void save(run *r, const life *l, int home_index, picture *p, uint64_t root, unsigned how,
                 bool names_externals)
{
    static const size_t aligns[] = {0, 16, 64, 4096};
    const home *h = &l->homes[home_index];
    fief_error error = {FIEF_OK, ""};
    fief_external externals[EXTERNALS];
    fief_image_config config = {.align = aligns[how / 2 % 4], .version = how / 8 % 2};
    char path[PATH_SIZE];
    config.root = choose_root(l, p, root, how % 32);
    config.error = &error;
    fief_status expected = verdict_on_save(r, l, h, p, config.root);
    name_new_file(r, path);
    fill_all(p);
    say_save(r, l, p, &config);
    if (names_externals) {
        name_externals(r, &config, externals, 0);
    }
    say_saved(r, l, home_index, expected == FIEF_OK);
    bool saved = fief_image_save(h->arena, path, &config);
    if (saved) {
        keep_file(r, path);
    }
    MUST(r, saved == (error.status == FIEF_OK), "expected status %d of an image that is %s",
         (int)error.status, saved ? "saved" : "refused");
    must_be_status(r, l, "saved", expected, &error);
    if (saved) {
        lay_out(p, config.align);
        p->number = ++r->saves;
        p->kinds = l->kinds;
        p->version = config.version;
        r->saved = *p;
    }
}

void do_image_save(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    int index = l != NULL ? find_home(l, at[0], at[2] % 32 == 29) : -1;
    if (index < 0 || l->config == CONFIG_CUSTOM) {
        return;
    }
    if (at[2] % 2 == 0 && index == HOME_VM) {
        link_two(r, l); /* in each mode, also where the save is refused in some */
    }
    static _Thread_local picture p;
    list_blocks(l, index, &p);
    bool names_externals = at[2] / 32 % 2 == 0;
    follow_fields(l, &p, names_externals);
    if (bytes_in(&p) <= BYTES_MOST && r->saves < SAVES_MOST) {
        save(r, l, index, &p, at[1], (unsigned)at[2], names_externals);
    }
}

/* ---- open: each address of the picture is so far from its root ---- */

static unsigned char *data_of(const opened *o)
{
    const void *root = fief_image_root(o->image);
    unsigned char *at;
    memcpy(&at, &root, sizeof at); /* misuse writes there */
    bool has_root = at != NULL && o->of.root >= 0;
    return has_root ? at - o->of.blocks[o->of.root].at - o->of.root_at : NULL;
}

/* What is not told stays as it is. */
static const unsigned char *target_in(const opened *o, const pictured *p)
{
    return p->to >= 0         ? data_of(o) + o->of.blocks[p->to].at + p->to_at
           : p->external >= 0 ? outsides[p->external][o->bound] + p->to_at
                              : p->as_it_was;
}

/* The bytes of its blocks, and where their fields point. */
static bool is_as_saved(const opened *o)
{
    const unsigned char *target;
    unsigned char *data = data_of(o);
    bool holds = true;
    for (unsigned n = 0; data != NULL && n < o->of.count; n++) {
        const pictured *p = &o->of.blocks[n];
        block b = p->block;
        b.start = data + p->at;
        holds = holds && holds_whole(&b);
        if (b.field != NO_FIELD) {
            memcpy(&target, b.start + b.field_at, sizeof target);
            holds = holds && target == target_in(o, p);
        }
    }
    return holds;
}

void check_images(run *r, const life *l)
{
    for (unsigned i = 0; i < IMAGES; i++) {
        const opened *o = &l->images[i];
        const unsigned char *root = o->image != NULL ? fief_image_root(o->image) : NULL;
        MUST(r, o->image == NULL || is_as_saved(o),
             "expected image %u to hold what was saved, found it changed", i);
        MUST(r, root == NULL || fief_owner(l->rt, root) == FIEF_IMAGE,
             "expected image %u to be the runtime's still", i);
    }
}

static void must_own(run *r, const life *l, const opened *o)
{
    const unsigned char *data = data_of(o);
    for (unsigned n = 0; n < o->of.count; n++) {
        const block *b = &o->of.blocks[n].block;
        const unsigned char *start = data + o->of.blocks[n].at;
        const unsigned char *last = start + (b->size != 0 ? b->size - 1 : 0);
        MUST(r, fief_owner(l->rt, start) == FIEF_IMAGE && fief_owner(l->rt, last) == FIEF_IMAGE,
             "expected the image's b%u to be the image's, found the %s", o->of.blocks[n].index,
             fief_strategy_name(fief_owner(l->rt, start)));
        MUST(r, fief_image_verify(o->image, start, b->size),
             "expected the image's b%u to be sound", o->of.blocks[n].index);
        MUST(r, overlapped(l, start, b->size, -1) < 0,
             "expected the image apart from all blocks, found it over b%d",
             overlapped(l, start, b->size, -1));
    }
    MUST(r, !fief_image_verify(o->image, data, o->of.size),
         "expected no bytes behind the image to be sound");
}

/* One of those that are open lies at its own address; and that is one of a few. */
static void must_be_placed(run *r, const opened *o)
{
    const unsigned char *data = data_of(o);
    bool moved = fief_image_is_relocated(o->image), taken = r->os != NULL;
    for (unsigned i = 0; i < RUNTIMES * IMAGES; i++) {
        const life *l = r->lives[i / IMAGES];
        const opened *other = &l->images[i % IMAGES];
        bool is_same = l->rt != NULL && other != o && other->image != NULL && !other->per_node &&
                       other->of.number == o->of.number;
        taken = taken || (is_same && !fief_image_is_relocated(other->image));
    }
    MUST(r, moved || !taken, "expected the image elsewhere than at its own address");
    uint64_t place = data != NULL ? (uintptr_t)data - o->of.data_at - places_at : 0;
    MUST(r, moved || (place % place_size == 0 && place / place_size < PLACES),
         "expected an image's own address, found %p", (const void *)data);
}

static void say_contents(run *r, const life *l, unsigned slot)
{
    const picture *p = &l->images[slot].of;
    for (unsigned n = 0; p->root >= 0 && n < p->count; n++) {
        const block *b = &p->blocks[n].block;
        ptrdiff_t from_root =
            (ptrdiff_t)p->blocks[n].at - (ptrdiff_t)(p->blocks[p->root].at + p->root_at);
        SAY(r, "check((const char *)fief_image_root(image[%u][%u]) + (%td), %zu, %u, %ld);",
            l->index, slot, from_root, b->size, b->seed, c_field(b));
    }
}

static void enter_image(run *r, life *l, unsigned slot, opened found)
{
    opened *o = &l->images[slot];
    const fief_image *image = found.image;
    *o = found;
    o->of = r->saved;
    MUST(r, fief_image_size(image) == o->of.size, "expected an image of %zu bytes, found %zu",
         o->of.size, fief_image_size(image));
    MUST(r, (fief_image_root(image) != NULL) == (o->of.root >= 0), "expected %s root",
         o->of.root >= 0 ? "a" : "no");
    if (!o->per_node) {
        must_be_placed(r, o);
    }
    if (o->of.root >= 0) {
        must_own(r, l, o);
    }
    check_images(r, l);
    if (r->c != NULL) {
        say_contents(r, l, slot);
    }
}

/* -1: none is left. */
static int find_slot(const life *l)
{
    int slot = IMAGES - 1;
    while (slot >= 0 && l->images[slot].image != NULL) {
        slot--;
    }
    return slot;
}

/* Of a machine with several nodes, where the OS can have them. */
static fief_image *open_on(run *r, const life *l, const fief_image_config *config, unsigned node)
{
    char path[PATH_SIZE];
    name_file(r, path);
    if (r->os != NULL) {
        r->os->run_on(node);
    }
    fief_image *image = fief_image_open(l->rt, path, config);
    if (r->os != NULL) {
        r->os->run_on(0);
    }
    return image;
}

/* The number's bits: it is lazy; one of the last of sixteen, another version or no externals; where
 * these lie now; a copy for each node; on which node. */
void do_image_open(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    if (l == NULL || l->config == CONFIG_CUSTOM) {
        return;
    }
    if (r->saved.number == 0) {
        do_image_save(r, (const uint64_t[]){HOME_VM, at[0], at[0] / 2 | 1}); /* makes no block */
    }
    int slot = find_slot(l);
    if (r->saved.number == 0 || slot < 0) {
        return;
    }
    bool other = at[0] % 16 == 15, names_none = at[0] % 16 == 13;
    fief_status expected = l->kinds != r->saved.kinds || other             ? FIEF_OTHER_IMAGE
                           : names_none && needs_externals(&r->saved) ? FIEF_POINTS_OUT
                                                                      : FIEF_OK;
    opened found = {.bound = at[0] / 16 % 2, .per_node = at[0] / 32 % 2 != 0};
    fief_error error = {FIEF_OK, ""};
    fief_external externals[EXTERNALS];
    fief_image_config config = {.lazy = at[0] % 2 != 0, .version = r->saved.version + other,
                                .per_node = found.per_node, .error = &error};
    SAY(r, "image_config = (fief_image_config){.lazy = %d, .version = %u, .per_node = %d};",
        config.lazy, (unsigned)config.version, config.per_node);
    if (!names_none) {
        name_externals(r, &config, externals, found.bound);
    }
    SAY(r, "image[%u][%d] = fief_image_open(rt[%u], image_file(), &image_config);", l->index, slot,
        l->index);
    SAY(r, "must(%simage[%u][%d], \"opened, or not\");", expected == FIEF_OK ? "" : "!", l->index,
        slot);
    found.image = open_on(r, l, &config, at[0] / 64 % 2);
    MUST(r, (found.image != NULL) == (error.status == FIEF_OK), "expected an image or a status");
    must_be_status(r, l, "opened", expected, &error);
    if (found.image != NULL) {
        enter_image(r, l, (unsigned)slot, found);
    }
}

/* ---- close, and misuse ---- */

static opened *find_opened(life *l, uint64_t handle)
{
    for (unsigned n = 0; n < IMAGES; n++) {
        opened *o = &l->images[(handle + n) % IMAGES];
        if (o->image != NULL) {
            return o;
        }
    }
    return NULL;
}

static void close_image(run *r, const life *l, opened *o)
{
    MUST(r, is_as_saved(o), "expected the image to hold what was saved, found it changed");
    SAY(r, "fief_image_close(image[%u][%td]);", l->index, o - l->images);
    fief_image_close(o->image);
    o->image = NULL;
}

void do_image_close(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    opened *o = l != NULL ? find_opened(l, at[0]) : NULL;
    if (o != NULL) {
        close_image(r, l, o);
        check_images(r, l);
    }
}

/* Of its blocks, the first whose first word may be written to; NULL: none. */
static unsigned char *find_word(const opened *o, size_t *ret_size)
{
    unsigned char *data = data_of(o);
    for (unsigned n = 0; data != NULL && n < o->of.count; n++) {
        *ret_size = o->of.blocks[n].block.size;
        if (*ret_size >= sizeof(void *)) {
            return data + o->of.blocks[n].at;
        }
    }
    return NULL;
}

/* The C form takes the address for the library's word. */
static const char *c_word(const run *r, const life *l, const opened *o, const unsigned char *word)
{
    static char text[80];
    if (r->c != NULL) {
        (void)snprintf(text, sizeof text, "((char *)fief_image_root(image[%u][%td]) + (%td))",
                       l->index, o - l->images,
                       word - (const unsigned char *)fief_image_root(o->image));
    }
    return text;
}

static void store_into(run *r, const life *l, unsigned char *word, const char *name)
{
    expect_misuse(r, FIEF_MISUSE_SEALED_WRITE);
    SAY(r, "fief_store(rt[%u], %s, %s, NULL);", l->index, name, name);
    fief_store(l->rt, word, word, NULL);
    end_misuse(r);
}

static void resize_it(run *r, const life *l, unsigned char *word, size_t size, const char *name)
{
    fief_arena *vm = l->homes[HOME_VM].arena;
    expect_misuse(r, FIEF_MISUSE_SEALED_WRITE);
    SAY(r, "must(fief_arena_resize(%s, %s, %zu, %zu) == NULL, \"refused\");", c_home(l, HOME_VM),
        name, size, size + 1);
    MUST(r, fief_arena_resize(vm, word, size, size + 1) == NULL,
         "expected an image's block not to be resized");
    end_misuse(r);
}

static void free_it(run *r, const life *l, unsigned char *word, size_t size, const char *name)
{
    if (begin_misuse(r, FIEF_MISUSE_WRONG_ALLOCATOR)) {
        SAY(r, "fief_heap_free(fief_runtime_heap(rt[%u]), %s, %zu);", l->index, name, size);
        fief_heap_free(fief_runtime_heap(l->rt), word, size);
        end_misuse(r);
    }
}

/* Every mode tells; AddressSanitizer takes the signal for itself. */
static void touch_it(run *r, const life *l, opened *o, unsigned char *word, bool closes)
{
    const char *name = c_word(r, l, o, word);
    fief_misuse_class class_id = closes ? FIEF_MISUSE_USE_AFTER_CLOSE : FIEF_MISUSE_SEALED_WRITE;
    if (closes) {
        SAY(r, "kept = %s;", name);
        close_image(r, l, o);
        name = "kept";
    }
    if (r->poisons || (!r->guards && !closes)) {
        SAY(r, "touch(%s, %d, %d);", name, !closes, class_id);
        access_must_be(r, class_id, word, !closes);
    }
}

void do_image_misuse(run *r, const uint64_t *at)
{
    enum { STORE, RESIZE, FREE, WRITE, CLOSE, DEEDS };
    life *l = open_life(r);
    opened *o = l != NULL && r->os == NULL ? find_opened(l, at[0]) : NULL;
    size_t size = 0;
    unsigned char *word = o != NULL ? find_word(o, &size) : NULL;
    if (word == NULL) {
        return;
    }
    switch (at[1] % DEEDS) {
    case STORE: store_into(r, l, word, c_word(r, l, o, word)); break;
    case RESIZE: resize_it(r, l, word, size, c_word(r, l, o, word)); break;
    case FREE: free_it(r, l, word, size, c_word(r, l, o, word)); break;
    default:
        if (at[1] % DEEDS == WRITE || !o->per_node) { /* the addresses of a copy don't stay */
            touch_it(r, l, o, word, at[1] % DEEDS == CLOSE);
        }
        break;
    }
    check_images(r, l);
}
