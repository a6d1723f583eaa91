/* images: over the OS that fails on demand, whose files are in memory.
 *
 *     faults   each call of a save or an open fails in turn: the old file or the new one is there,
 *              whole; nothing stays mapped, and no other file
 *     bits     each bit of an image, flipped: it is refused
 *     forger   bytes are changed and the hashes made good again: what is opened can be walked */
#include "support.h"

#include "base/xxh64.h"
#include "manager/image.h"
#include "os/fake.h"
#include "os/os.h"

#include <fief/image.h>

#include <stdio.h>
#include <stdlib.h>

enum { WORDS, TEXT, KINDS, RESERVE = 8 << 20, FORGERIES = 60000 };

/* All of its words may point. */
static void visit_words(const void *block, size_t size, fief_pointers *pointers)
{
    const void *const *words = block;
    for (size_t i = 0; i < size / sizeof *words; i++) {
        fief_pointer(pointers, &words[i], words[i]);
    }
}

static const fief_kind kinds[KINDS] = {
    [WORDS] = {.name = "words", .any = FIEF_VM_ARENA, .visit = visit_words},
    [TEXT] = {.name = "text", .any = FIEF_VM_ARENA, .traits = FIEF_NO_POINTERS},
};
static const char file[] = "image";
static int outside;
static const fief_external externals[] = {{"outside", &outside, sizeof outside}};
static fief_error error;
static fief_runtime *rt;

static void must(bool condition, const char *what, size_t number)
{
    if (!condition) {
        fprintf(stderr, "images: %s, at %zu: %s\n", what, number, error.text);
        exit(1);
    }
}

static bool refuse_all(const fief_misuse *misuse, void *user)
{
    (void)misuse;
    (void)user;
    return true;
}

static void open_runtime(void)
{
    static const fief_arena_config recorded = {.recorded = true};
    rt = fief_open(&(fief_config){.kinds = kinds, .kind_count = KINDS, .reserve_bytes = RESERVE,
                                  .vm_arena = &recorded, .on_misuse = refuse_all});
    must(rt != NULL, "a runtime", 0);
}

static fief_image_config config_of(const void *top, bool lazy)
{
    error = (fief_error){0};
    return (fief_image_config){.root = top, .externals = externals, .external_count = 1,
                               .lazy = lazy, .error = &error};
}

static const void **make_content(unsigned count)
{
    const void **all = fief_new(rt, WORDS, FIEF_CONSTANT, (count + 2) * sizeof *all);
    for (unsigned i = 0; i < count; i++) {
        char *copy = fief_new(rt, TEXT, FIEF_CONSTANT, i % 50 + 1);
        fill(copy, i % 50 + 1, i);
        all[i] = copy;
    }
    all[count] = &outside;
    all[count + 1] = all;
    return all;
}

static bool save(const void *top)
{
    fief_image_config config = config_of(top, false);
    return fief_image_save(fief_vm_arena(rt), file, &config);
}

static fief_image *load(bool lazy)
{
    fief_image_config config = config_of(NULL, lazy);
    return fief_image_open(rt, file, &config);
}

/* ---- faults ---- */

static void saves_that_fail(const void *top)
{
    size_t size, reserves = fake_reserves(), calls;
    must(save(NULL), "the old image", 0);
    unsigned char *old = NULL;
    (void)fake_bytes(file, &size);
    old = malloc(size);
    memcpy(old, fake_bytes(file, &size), size);
    fake_fail_at(0);
    must(save(top), "the new image", 0);
    calls = fake_calls();
    must(calls > 10, "calls to fail", calls);
    for (size_t n = 1; n <= calls; n++) {
        must(fake_write(file, old, size), "room for the old one", n);
        fake_fail_at(n);
        bool saved = save(top);
        fake_fail_at(0);
        size_t now;
        const unsigned char *bytes = fake_bytes(file, &now);
        must(!saved && error.status >= FIEF_NO_MEMORY, "a refusal", n);
        must(now == size && memcmp(bytes, old, size) == 0, "the old image", n);
        must(fake_files() == 1 && fake_reserves() == reserves, "nothing left", n);
    }
    free(old);
    must(save(top), "the new image", 0);
}

static void opens_that_fail(void)
{
    size_t reserves = fake_reserves();
    fake_fail_at(0);
    fief_image *image = load(false);
    must(image != NULL, "an image", 0);
    size_t calls = fake_calls();
    fief_image_close(image);
    for (size_t n = 1; n <= calls; n++) {
        size_t before = fake_reserves();
        fake_fail_at(n);
        image = load(false);
        fake_fail_at(0);
        must(image == NULL || calls != n, "a refusal", n);
        must(image != NULL || error.status != FIEF_OK, "a status", n);
        must(image != NULL || fake_reserves() == before, "nothing left", n);
        fief_image_close(image);
    }
    must(fief_close(rt) == 0, "no leak", 0);
    must(fake_reserves() <= reserves, "all images gone", fake_reserves());
}

/* ---- bits ---- */

static void bits_that_flip(void)
{
    open_runtime();
    must(save(make_content(60)), "an image", 0);
    size_t size, reserves = fake_reserves();
    unsigned char *bytes = fake_bytes(file, &size);
    for (size_t bit = 0; bit < size * 8; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        must(load(false) == NULL, "a flipped bit", bit);
        must(error.status == FIEF_BAD_IMAGE || error.status == FIEF_OTHER_IMAGE, "a status", bit);
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    must(fake_reserves() == reserves, "nothing mapped", 0);
    printf("images: %zu bits flipped, each refused\n", size * 8);
}

/* ---- forger ---- */

static void rehash(unsigned char *bytes, size_t size)
{
    image_header h;
    uint64_t at[PARTS];
    memcpy(&h, bytes, sizeof h);
    for (unsigned part = 0; part < PARTS; part++) {
        h.bytes[part] = h.bytes[part] <= IMAGE_PART_MAX ? h.bytes[part] : 0;
    }
    if (image_lay_out(h.bytes, at) <= size) {
        uint64_t *hashes = (uint64_t *)(void *)(bytes + at[PART_HASHES]);
        for (size_t n = 1; n < at[PART_HASHES] / OS_PAGE && n * 8 <= h.bytes[PART_HASHES]; n++) {
            hashes[n - 1] = xxh64(bytes + n * OS_PAGE, OS_PAGE, IMAGE_VERSION);
        }
        size_t all = fief_round_up(h.bytes[PART_HASHES], OS_PAGE);
        h.hashes_hash = xxh64(hashes, all, IMAGE_VERSION);
    }
    h.hash = image_hash_header(&h);
    memcpy(bytes, &h, sizeof h);
}

/* A few bytes, more often where the numbers are: of the header, or of the part behind a page. */
static void forge(unsigned char *bytes, size_t size, uint64_t *dice)
{
    static const unsigned char odd[] = {0, 1, 0x7F, 0x80, 0xFF};
    for (size_t n = 1 + draw(dice, 3); n > 0; n--) {
        size_t early = draw(dice, OS_PAGE) / (1 + draw(dice, 40));
        size_t at = draw(dice, 4) == 0 ? draw(dice, sizeof(image_header))
                                       : draw(dice, size / OS_PAGE) * OS_PAGE + early;
        bool is_odd = draw(dice, 2) == 0;
        bytes[at] = is_odd ? odd[draw(dice, sizeof odd)] : (unsigned char)draw(dice, 256);
    }
    rehash(bytes, size);
}

/* Where the file says that a pointer is, one is, and it leads into the image. */
static void follow_pointers(const fief_image *image)
{
    const unsigned char *start = image->map.start, *data = start + image->at[PART_DATA];
    size_t words = image->header.bytes[PART_DATA] / IMAGE_WORD;
    for (size_t i = 0; i < words; i++) {
        if ((start[image->at[PART_POINTERS] + i / 8] >> i % 8 & 1) != 0) {
            uint64_t word;
            memcpy(&word, data + i * IMAGE_WORD, sizeof word);
            uint64_t offset = (word & (((uint64_t)1 << 48) - 1)) - (uintptr_t)data;
            must(offset <= words * IMAGE_WORD, "a pointer into the image", i);
        }
    }
}

/* What a report, and a host that follows what the kinds say, reads. */
static void walk(fief_image *image)
{
    const unsigned char *start = fief_image_root(image);
    char text[400];
    must(start == NULL || start <= image->map.start + image->at[PART_BINDINGS], "a root in it", 0);
    if (start != NULL) {
        for (size_t i = 0; i < 4000; i += 56) {
            fief_misuse m = {.address = start + i};
            if (image_at(image->core, m.address) == &image->map) {
                image_describe(image->core, &m);
                must(m.block == NULL || (size_t)((uintptr_t)m.block - (uintptr_t)image->map.start) +
                                                m.block_size <= image->map.size,
                     "a block of the image", i);
            }
        }
        (void)fief_describe(start, text, sizeof text);
    }
    if (fief_image_verify(image, image->map.start, image->map.size)) {
        follow_pointers(image);
    }
}

static void forged_files(void)
{
    size_t size, opened = 0;
    const unsigned char *good = fake_bytes(file, &size);
    unsigned char *original = malloc(size), *bytes = malloc(size);
    memcpy(original, good, size);
    uint64_t dice = 7;
    size_t reserves = fake_reserves();
    for (size_t n = 0; n < FORGERIES; n++) {
        memcpy(bytes, original, size);
        forge(bytes, size, &dice);
        must(fake_write(file, bytes, size), "a file", n);
        fief_image *image = load(n % 2 != 0);
        must(image != NULL || error.status >= FIEF_NO_FILE, "a status", n);
        if (image != NULL) {
            opened++;
            walk(image);
            fief_image_close(image);
            images_release(&whole_runtime(rt)->core);
        }
        must(fake_reserves() == reserves, "nothing mapped", n);
    }
    must(opened > FORGERIES / 50 && opened < FORGERIES, "some that can be opened", opened);
    printf("images: %d files forged, %zu of them opened and walked\n", FORGERIES, opened);
    free(original);
    free(bytes);
    must(fief_close(rt) == 0, "no leak", 0);
}

int main(void)
{
    open_runtime();
    saves_that_fail(make_content(300));
    opens_that_fail();
    bits_that_flip();
    forged_files();
    return 0;
}
