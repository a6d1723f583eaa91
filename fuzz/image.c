/* image: the fuzz target of the reader of images (src/manager/image_open.c), over the OS whose
 * files are in memory. Any bytes are a file; then once more with each hash made good, so that no
 * hash stands before the checks of the numbers. What is opened is walked as a report and a host
 * would. With an engine it is LLVMFuzzerTestOneInput; without it, a program that makes an image and
 * changes it, or opens what it is given:
 *
 *     fief-fuzz-image [--runs N] [FILE|DIRECTORY...]     N changes; 20000, or where files are 0
 *     fief-fuzz-image --make FILE                        a sound image, for an engine */
#include "manager/image.h"
#include "os/fake.h"
#include "os/os.h"

#include "words.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BYTES_MOST = 1 << 20, RUNS = 20000, BLOCKS = 60 };

static const char path[] = "image";
static fief_runtime *rt;
static size_t opened;

static void must(bool sound, const char *what)
{
    if (!sound) {
        fprintf(stderr, "fuzz image: expected %s\n", what);
        abort();
    }
}

static void open_runtime(void)
{
    static const fief_arena_config recorded = {.recorded = true};
    if (rt == NULL) {
        rt = fief_open(&(fief_config){
            .kinds = kinds, .kind_count = KINDS, .reserve_bytes = RESERVE, .vm_arena = &recorded});
        must(rt != NULL, "a runtime");
    }
}

/* ---- one file ---- */

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
            must(offset <= words * IMAGE_WORD, "a pointer into the image");
        }
    }
}

static void describe_blocks(const fief_image *image)
{
    const unsigned char *start = image->map.start;
    for (size_t at = 0; at < image->map.size; at += 56) {
        fief_misuse m = {.address = start + at};
        image_describe(image->core, &m);
        size_t offset = (size_t)((uintptr_t)m.block - (uintptr_t)start);
        must(m.block == NULL ||
                 (offset < image->map.size && m.block_size <= image->map.size - offset),
             "a block of the image");
    }
}

static void open_file(const void *bytes, size_t size, bool lazy)
{
    fief_error error = {0};
    fief_image_config config = {
        .externals = externals, .external_count = 1, .lazy = lazy, .error = &error};
    size_t reserves = fake_reserves();
    must(fake_write(path, bytes, size), "room for the file");
    fief_image *image = fief_image_open(rt, path, &config);
    if (image == NULL) {
        must(error.status >= FIEF_NO_MEMORY && error.text[0] != '\0', "a status and a sentence");
    } else {
        opened++;
        const unsigned char *top = fief_image_root(image);
        must(top == NULL || top <= image->map.start + image->at[PART_BINDINGS], "a root in it");
        describe_blocks(image);
        if (fief_image_verify(image, image->map.start, image->map.size)) {
            follow_pointers(image);
        }
        fief_image_close(image);
        images_release(&whole_runtime(rt)->core);
    }
    must(fake_reserves() == reserves, "nothing to stay mapped");
}

/* Hashes as the file would have them if it were whole. */
static void rehash(unsigned char *bytes, size_t size)
{
    image_header h;
    uint64_t at[PARTS], lengths[PARTS];
    memcpy(&h, bytes, sizeof h);
    for (unsigned part = 0; part < PARTS; part++) {
        lengths[part] = h.bytes[part] <= IMAGE_PART_MAX ? h.bytes[part] : 0;
    }
    if (image_lay_out(lengths, at) <= size) {
        uint64_t *hashes = (uint64_t *)(void *)(bytes + at[PART_HASHES]);
        for (size_t n = 1; n < at[PART_HASHES] / OS_PAGE && n * 8 <= lengths[PART_HASHES]; n++) {
            hashes[n - 1] = image_hash(bytes + n * OS_PAGE, OS_PAGE);
        }
        size_t all = fief_round_up(lengths[PART_HASHES], OS_PAGE);
        h.hashes_hash = image_hash(hashes, all);
    }
    h.hash = image_hash_header(&h);
    memcpy(bytes, &h, sizeof h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static _Alignas(OS_PAGE) unsigned char file[BYTES_MOST];
    open_runtime();
    size = size < BYTES_MOST ? size : BYTES_MOST;
    open_file(data, size, false);
    if (size >= OS_PAGE) {
        memcpy(file, data, size);
        rehash(file, size);
        open_file(file, size, false);
        open_file(file, size, true);
    }
    return 0;
}

/* ---- without an engine ---- */

#ifndef FUZZ_ENGINE
static uint64_t seed = 7;

static size_t roll(size_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(seed >> 33) % below;
}

/* A block that points at texts, at what is outside, and at itself. */
static size_t make_image(unsigned char *ret_bytes)
{
    const void **all = fief_new(rt, WORDS, FIEF_CONSTANT, (BLOCKS + 2) * sizeof *all);
    for (size_t i = 0; i < BLOCKS; i++) {
        char *text = fief_new(rt, TEXT, FIEF_CONSTANT, i % 50 + 1);
        memset(text, (int)i, i % 50 + 1);
        all[i] = text;
    }
    all[BLOCKS] = &outside;
    all[BLOCKS + 1] = all;
    fief_image_config config = {.root = all, .externals = externals, .external_count = 1};
    must(fief_image_save(fief_vm_arena(rt), path, &config), "an image");
    size_t size;
    const unsigned char *bytes = fake_bytes(path, &size);
    must(bytes != NULL && size <= BYTES_MOST, "a small image");
    memcpy(ret_bytes, bytes, size);
    return size;
}

/* Headers that lie, which chance would not find: each is refused, with all hashes good. */
static void tell_lies(const unsigned char *bytes, size_t size)
{
    enum { LIES = 5 };
    static unsigned char copy[BYTES_MOST];
    image_header lies[LIES];
    for (size_t i = 0; i < LIES; i++) {
        memcpy(&lies[i], bytes, sizeof lies[i]);
    }
    lies[0].base = 0;
    lies[1].align = 2 * IMAGE_ALIGN_MAX;
    lies[2].bytes[PART_NAMES] = IMAGE_PART_MAX + 1;
    lies[3].size += OS_PAGE; /* and the file has it */
    lies[4].size -= OS_PAGE; /* no block, though there are data */
    lies[4].bytes[PART_BLOCKS] = 0;
    lies[4].bytes[PART_HASHES] -= sizeof(uint64_t);
    for (size_t i = 0; i < LIES; i++) {
        memset(copy, 0, sizeof copy);
        memcpy(copy, bytes, size);
        memcpy(copy, &lies[i], sizeof lies[i]);
        (void)LLVMFuzzerTestOneInput(copy, lies[i].size);
        must(opened == 0, "a lie to be refused");
    }
}

/* A few bytes, more often where the numbers are: of the header, or early in a page. */
static void change(unsigned char *bytes, size_t size)
{
    static const unsigned char odd[] = {0, 1, 0x7F, 0x80, 0xFF};
    for (size_t n = 1 + roll(3); n > 0; n--) {
        size_t pages = size / OS_PAGE, early = roll(OS_PAGE) / (1 + roll(40));
        bool is_header = roll(4) == 0 || pages == 0;
        size_t at = is_header ? roll(sizeof(image_header)) : roll(pages) * OS_PAGE + early;
        if (at < size) {
            bytes[at] = roll(2) == 0 ? odd[roll(sizeof odd)] : (unsigned char)roll(256);
        }
    }
}

static void change_all(const unsigned char *bytes, size_t size, unsigned runs)
{
    static unsigned char copy[BYTES_MOST];
    for (unsigned i = 0; i < runs; i++) {
        memcpy(copy, bytes, size);
        change(copy, size);
        (void)LLVMFuzzerTestOneInput(copy, roll(50) != 0 ? size : roll(size) + 1);
    }
}

/* ---- the command line ---- */

_Noreturn static void refuse_file(const char *name, const char *what)
{
    fprintf(stderr, "fief-fuzz-image: %s: %s\n", name, what);
    exit(1);
}

static size_t transfer(const char *name, unsigned char *bytes, size_t size)
{
    FILE *file = fopen(name, size != 0 ? "wb" : "rb");
    size_t done = file == NULL ? 0
                  : size != 0  ? fwrite(bytes, 1, size, file)
                               : fread(bytes, 1, BYTES_MOST, file);
    if (file == NULL) {
        refuse_file(name, strerror(errno));
    }
    if (fclose(file) != 0 || done == 0) {
        refuse_file(name, size != 0 ? "cannot be written" : "is empty: no image is");
    }
    return done;
}

static void visit_file(const char *name)
{
    static unsigned char given[BYTES_MOST];
    size_t size = transfer(name, given, 0);
    opened = 0;
    (void)LLVMFuzzerTestOneInput(given, size);
    printf("%s: ok, %zu bytes, opened %zu times (%s)\n", name, size, opened, fief_mode());
}

static int is_visible(const struct dirent *file)
{
    return file->d_name[0] != '.';
}

static void visit(const char *name)
{
    struct stat about = {0};
    struct dirent **names;
    if (stat(name, &about) != 0) {
        refuse_file(name, strerror(errno));
    }
    if (!S_ISDIR(about.st_mode)) {
        visit_file(name);
        return;
    }
    int count = scandir(name, &names, is_visible, alphasort);
    for (int i = 0; i < count; i++) {
        char inner[1024];
        (void)snprintf(inner, sizeof inner, "%s/%s", name, names[i]->d_name);
        visit(inner);
        free(names[i]);
    }
    if (count < 0) {
        refuse_file(name, strerror(errno));
    }
    free(names);
}

static void make_and_change(unsigned runs)
{
    static unsigned char bytes[BYTES_MOST];
    size_t size = make_image(bytes);
    opened = 0;
    tell_lies(bytes, size);
    change_all(bytes, size, runs);
    printf("%u changes of an image, %zu of them opened and walked\n", runs, opened);
    must(runs < 100 || (opened > runs / 50 && opened < 2 * (size_t)runs), "some to be opened");
}

static void make_file(const char *name)
{
    static unsigned char bytes[BYTES_MOST];
    (void)transfer(name, bytes, make_image(bytes));
}

static void refuse_forms(char **words)
{
    const char *word = words[1], *name = words[2] != NULL ? words[2] : "no file";
    if (strcmp(word, "--text") == 0 || strcmp(word, "--bytes") == 0 || strcmp(word, "--c") == 0) {
        refuse_file(name, "an image is no program: it has no text and no C form");
    }
}

int main(int count, char **words)
{
    bool has_option = count > 2 && strncmp(words[1], "--", 2) == 0;
    unsigned runs = count > 1 ? 0 : RUNS; /* what reads files changes none */
    int at = 1;
    open_runtime();
    if (count > 1) {
        refuse_forms(words);
    }
    if (has_option && strcmp(words[1], "--make") == 0) {
        make_file(words[2]);
        return 0;
    }
    if (has_option && strcmp(words[1], "--runs") == 0) {
        runs = (unsigned)strtoul(words[2], NULL, 10);
        at = 3;
    }
    for (; at < count; at++) {
        visit(words[at]);
    }
    if (runs != 0) {
        make_and_change(runs);
    }
    must(fief_close(rt) == 0, "no leak");
    return 0;
}
#endif
