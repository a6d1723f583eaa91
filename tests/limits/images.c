/* images: over the OS that fails on demand, whose files are in memory.
 *
 *     faults   each call of a save or an open fails in turn: the old file or the new one is there,
 *              whole; nothing stays mapped, and no other file
 *     bits     each bit of an image, flipped: it is refused
 * What is changed with care is fuzz/image.c's. */
#include "support.h"

#include "os/fake.h"

#include <fief/image.h>

#include "../../fuzz/words.h"

#include <stdio.h>
#include <stdlib.h>

static const char file[] = "image";
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
    rt = fief_open(&(fief_config){.kinds = kinds,
                                  .kind_count = KINDS,
                                  .reserve_bytes = RESERVE,
                                  .quarantine_bytes = 1, /* nothing of a closed one stays */
                                  .vm_arena = &recorded,
                                  .on_misuse = refuse_all});
    must(rt != NULL, "a runtime", 0);
}

static fief_image_config config_of(const void *top, bool lazy)
{
    error = (fief_error){0};
    return (fief_image_config){
        .root = top, .externals = externals, .external_count = 1, .lazy = lazy, .error = &error};
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
    size_t open = fake_reserves();
    image = load(false);
    fake_fail_at(1); /* its pages can't be shut away: they go at once */
    fief_image_close(image);
    fake_fail_at(0);
    must(fake_reserves() == open, "nothing left", 0);
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

/* The directory has no room for the name of the new file: there is none then. */
static void a_name_too_long(void)
{
    static const char name[] = "an-image-of-a-name-that-is-no-longer-than-it-may-be-by-itself";
    size_t size, reserves = fake_reserves();
    open_runtime();
    fief_image_config config = config_of(NULL, false);
    must(!fief_image_save(fief_vm_arena(rt), name, &config), "a refusal", 0);
    must(error.status == FIEF_NO_FILE, "a status", 0);
    must(fake_bytes(name, &size) == NULL && fake_files() == 1, "no other file", 0);
    must(fief_close(rt) == 0, "no leak", 0);
    must(fake_reserves() <= reserves, "nothing left", fake_reserves());
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
    must(fief_close(rt) == 0, "no leak", 0);
    printf("images: %zu bits flipped, each refused\n", size * 8);
}

int main(void)
{
    open_runtime();
    saves_that_fail(make_content(300));
    opens_that_fail();
    a_name_too_long();
    bits_that_flip();
    return 0;
}
