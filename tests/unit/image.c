/* Images: what is saved comes back the same, at its own address or another; what is no sound image
 * is refused, and nothing of it stays mapped. */
#include "apart.h"
#include "pairs.h"
#include "support.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TEXT, PAIR, TAGGED, LINK, OPAQUE, KINDS };
enum { OS_PAGE = 4096, NODES = 3000 };

/* Points at host memory, by a field that its visit tells. */
typedef struct outward {
    const void *to;
} outward;

static void visit_outward(const void *block, size_t size, fief_pointers *pointers)
{
    (void)size;
    fief_pointer(pointers, block, ((const outward *)block)->to);
}

static const fief_kind kinds[KINDS] = {
    [TEXT] = {.name = "text", .any = FIEF_VM_ARENA, .traits = FIEF_NO_POINTERS},
    [PAIR] = {.name = "pair",
              .size = sizeof(pair),
              .any = FIEF_VM_ARENA,
              .pointers = pair_pointers,
              .pointer_count = 2},
    [TAGGED] = {.name = "tagged", .any = FIEF_VM_ARENA, .visit = visit_tagged},
    [LINK] = {.name = "link", .any = FIEF_VM_ARENA, .visit = visit_outward},
    [OPAQUE] = {.name = "opaque", .any = FIEF_VM_ARENA},
};

static witness saw;
static fief_error error;
static char path[] = "image-XXXXXX";

static void make_path(void)
{
    int file = mkstemp(path);
    cr_assert(file >= 0);
    (void)close(file);
}

static void remove_path(void)
{
    (void)unlink(path);
}

TestSuite(image, .init = make_path, .fini = remove_path);

static fief_runtime *open_with(const fief_kind *table, unsigned count)
{
    static const fief_arena_config recorded = {.recorded = true};
    saw.count = 0;
    error = (fief_error){0};
    return fief_open(&(fief_config){.name = "image",
                                    .kinds = table,
                                    .kind_count = count,
                                    .reserve_bytes = small_reserve,
                                    .vm_arena = &recorded,
                                    .user = &saw,
                                    .on_misuse = witness_misuse});
}

static fief_runtime *open_usual(void)
{
    return open_with(kinds, KINDS);
}

static bool save(fief_runtime *rt, const void *root)
{
    return fief_image_save(fief_vm_arena(rt), path,
                           &(fief_image_config){.root = root, .error = &error});
}

static fief_image *load(fief_runtime *rt, bool lazy)
{
    return fief_image_open(rt, path, &(fief_image_config){.lazy = lazy, .error = &error});
}

/* A list of pairs with texts, and a block that has tagged pointers to every hundredth. */
static tagged *make_content(fief_runtime *rt)
{
    tagged *all = fief_new(rt, TAGGED, FIEF_CONSTANT, sizeof *all + NODES / 100 * 8);
    pair *last = NULL;
    for (unsigned i = 0; i < NODES; i++) {
        char text[400];
        (void)snprintf(text, sizeof text, "%0*u", (int)(i % 390 + 1), i);
        pair *p = fief_new(rt, PAIR, FIEF_CONSTANT, sizeof *p);
        char *copy = fief_new(rt, TEXT, FIEF_CONSTANT, strlen(text) + 1);
        *p = (pair){strcpy(copy, text), last, i};
        last = p;
        if (i % 100 == 0) {
            all->words[all->count++] = TAG | (uint64_t)(uintptr_t)p;
        }
    }
    all->words[all->count - 1] = 42; /* a number among them */
    return all;
}

static bool content_is_whole(fief_runtime *rt, const tagged *all)
{
    bool whole = all->count == NODES / 100 && all->words[all->count - 1] == 42;
    for (unsigned i = 0; i + 1 < all->count; i++) {
        const pair *p = target_of(all->words[i]);
        for (unsigned n = i * 100; whole && p != NULL; n--, p = p->next) {
            char text[400];
            (void)snprintf(text, sizeof text, "%0*u", (int)(n % 390 + 1), n);
            whole = p->number == n && strcmp(p->text, text) == 0 && is_multiple(p, 16) &&
                    fief_owner(rt, p) == FIEF_IMAGE && fief_is_sealed(rt, p->text);
        }
    }
    return whole;
}

/* Mappings of the process that have the file. */
static unsigned mappings(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[5000];
    unsigned count = 0;
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        count += strstr(line, path) != NULL;
    }
    if (maps != NULL) {
        (void)fclose(maps);
    }
    return count;
}

static size_t read_bytes(unsigned char **ret_bytes)
{
    struct stat status;
    int file = open(path, O_RDONLY);
    cr_assert(file >= 0 && fstat(file, &status) == 0);
    *ret_bytes = malloc((size_t)status.st_size + 1);
    cr_assert_eq(read(file, *ret_bytes, (size_t)status.st_size), status.st_size);
    (void)close(file);
    return (size_t)status.st_size;
}

static void write_bytes(const void *bytes, size_t size)
{
    int file = open(path, O_WRONLY | O_TRUNC);
    cr_assert(file >= 0 && write(file, bytes, size) == (ssize_t)size);
    (void)close(file);
}

Test(image, what_was_saved_comes_back_here_and_elsewhere)
{
    fief_runtime *rt = open_usual();
    tagged *all = make_content(rt);
    cr_assert(save(rt, all), "%s", error.text);
    cr_expect_eq(fief_close(rt), 0);
    for (int lazy = 0; lazy < 2; lazy++) {
        rt = open_usual();
        fief_image *first = load(rt, lazy != 0);
        cr_assert_not_null(first, "%s", error.text);
        fief_image *second = load(rt, lazy != 0);
        cr_assert_not_null(second, "%s", error.text);
        cr_expect(fief_image_is_relocated(second), "its address is taken");
        cr_expect_eq(fief_image_size(first), fief_image_size(second));
        cr_expect(content_is_whole(rt, fief_image_root(first)));
        cr_expect(content_is_whole(rt, fief_image_root(second)));
        cr_expect(fief_image_verify(first, fief_image_root(first), 1000));
        cr_expect(!fief_image_verify(first, fief_image_root(second), 8));
        cr_expect_eq(fief_owner(rt, rt), FIEF_NO_STRATEGY);
        fief_image_close(first);
        cr_expect_eq(fief_owner(rt, all), FIEF_NO_STRATEGY);
        fief_image_close(NULL);
        cr_expect_eq(fief_close(rt), 0);
        cr_expect_eq(saw.count, 0);
    }
}

Test(image, the_same_blocks_give_the_same_bytes_and_their_own_address_is_to_be_had)
{
    unsigned char *bytes[2];
    size_t size[2];
    for (unsigned i = 0; i < 2; i++) {
        fief_runtime *rt = open_usual();
        void *first = i == 0 ? fief_malloc(rt, 300000) : NULL; /* addresses differ */
        cr_assert(save(rt, make_content(rt)), "%s", error.text);
        size[i] = read_bytes(&bytes[i]);
        fief_release(rt, first);
        fief_image *image = load(rt, false);
        cr_assert_not_null(image);
        bool is_free = i == 0 || !is_guarded(); /* there the first one's stays inaccessible */
        cr_expect(RUNNING_ON_VALGRIND || fief_image_is_relocated(image) != is_free);
        cr_expect_eq(fief_close(rt), 0);
    }
    cr_expect(size[0] == size[1] && memcmp(bytes[0], bytes[1], size[0]) == 0);
    free(bytes[0]);
    free(bytes[1]);
}

Test(image, sizes_from_nothing_to_runs_and_only_what_is_alive)
{
    static const size_t sizes[] = {0, 1, 7, 8, 9, 4096, 70000, 300000, 5};
    enum { BLOCKS = sizeof sizes / sizeof sizes[0] };
    fief_runtime *rt = open_usual();
    fief_arena *own = fief_arena_open(rt, &(fief_arena_config){.recorded = true});
    (void)fief_arena_alloc(fief_vm_arena(rt), 500);
    tagged *all = fief_arena_alloc(own, sizeof *all + BLOCKS * 8);
    fief_mark mark = fief_arena_mark(own);
    fill(fief_arena_alloc(own, 100000), 100000, 9);
    fief_arena_rewind(own, mark);
    cr_expect(fief_image_save(own, path, &(fief_image_config){.error = &error}));
    unsigned char *bytes;
    size_t before = read_bytes(&bytes);
    free(bytes);
    cr_expect_lt(before, 10 * OS_PAGE, "the rewound block is not there");
    cr_expect_eq(fief_close(rt), 0);

    rt = open_usual();
    all = fief_new(rt, TAGGED, FIEF_CONSTANT, sizeof *all + BLOCKS * 8);
    for (unsigned i = 0; i < BLOCKS; i++) {
        char *block = fief_new(rt, TEXT, FIEF_CONSTANT, sizes[i]);
        fill(block, sizes[i], i);
        all->words[all->count++] = TAG | (uint64_t)(uintptr_t)block;
    }
    cr_assert(
        fief_image_save(fief_vm_arena(rt), path, &(fief_image_config){.root = all, .align = 4096}));
    fief_image *image = load(rt, false);
    cr_assert_not_null(image, "%s", error.text);
    all = (tagged *)(uintptr_t)fief_image_root(image);
    for (unsigned i = 0; i < BLOCKS; i++) {
        const void *block = target_of(all->words[i]);
        cr_expect(is_multiple(block, 4096) && holds(block, sizes[i], i), "%u", i);
    }
    cr_expect_eq(fief_close(rt), 0);
}

Test(image, an_empty_arena_is_an_image)
{
    fief_runtime *rt = open_usual();
    cr_assert(save(rt, NULL), "%s", error.text);
    fief_image *image = load(rt, false);
    cr_assert_not_null(image, "%s", error.text);
    cr_expect_null(fief_image_root(image));
    cr_expect_eq(fief_close(rt), 0);
}

Test(image, externals_are_bound_by_name_with_their_offsets)
{
    static int here[4], there[4], other;
    fief_runtime *rt = open_usual();
    outward *links[3];
    for (unsigned i = 0; i < 3; i++) {
        links[i] = fief_new(rt, LINK, FIEF_CONSTANT, sizeof(outward));
        links[i]->to = i < 2 ? &here[i + 1] : &other;
    }
    tagged *all = fief_new(rt, TAGGED, FIEF_CONSTANT, sizeof *all + 3 * 8);
    for (unsigned i = 0; i < 3; i++) {
        all->words[all->count++] = TAG | (uint64_t)(uintptr_t)links[i];
    }
    fief_external names[] = {
        {"unused", &error, 0}, {"here", here, sizeof here}, {"other", &other, 0}};
    fief_image_config config = {
        .root = all, .error = &error, .externals = names, .external_count = 2};
    cr_expect(!fief_image_save(fief_vm_arena(rt), path, &config));
    cr_expect_eq(error.status, FIEF_POINTS_OUT);
    config.external_count = 3;
    cr_assert(fief_image_save(fief_vm_arena(rt), path, &config), "%s", error.text);

    cr_expect_null(load(rt, false));
    cr_expect_eq(error.status, FIEF_POINTS_OUT);
    cr_expect(strstr(error.text, "needs the external 'here'") != NULL, "%s", error.text);
    fief_external bound[] = {{NULL, &error, 0}, {"other", &saw, 0}, {"here", there, sizeof there}};
    for (unsigned i = 0; i < 4; i++) { /* twice at its own address or not, lazily or not */
        fief_image_config opened = {
            .externals = bound, .external_count = 3, .lazy = i % 2 != 0, .error = &error};
        fief_image *image = fief_image_open(rt, path, &opened);
        cr_assert_not_null(image, "%s", error.text);
        const tagged *t = fief_image_root(image);
        cr_expect_eq(((const outward *)target_of(t->words[0]))->to, &there[1]);
        cr_expect_eq(((const outward *)target_of(t->words[1]))->to, &there[2]);
        cr_expect_eq(((const outward *)target_of(t->words[2]))->to, &saw);
    }
    cr_expect_eq(fief_close(rt), 0);
}

Test(image, thousands_of_words_are_bound)
{
    enum { LINKS = 10000 };
    static char here[LINKS + 1], there[LINKS + 1];
    fief_runtime *rt = open_usual();
    tagged *all = fief_new(rt, TAGGED, FIEF_CONSTANT, sizeof *all + LINKS * 8);
    for (unsigned i = 0; i < LINKS; i++) {
        outward *link = fief_new(rt, LINK, FIEF_CONSTANT, sizeof *link);
        link->to = &here[i];
        all->words[all->count++] = TAG | (uint64_t)(uintptr_t)link;
    }
    fief_external external = {"here", here, sizeof here};
    fief_image_config config = {
        .root = all, .error = &error, .externals = &external, .external_count = 1};
    cr_assert(fief_image_save(fief_vm_arena(rt), path, &config), "%s", error.text);
    external.address = there;
    fief_image *image = fief_image_open(rt, path, &config);
    cr_assert_not_null(image, "%s", error.text);
    const tagged *t = fief_image_root(image);
    for (unsigned i = 0; i < LINKS; i++) {
        cr_assert_eq(((const outward *)target_of(t->words[i]))->to, &there[i]);
    }
    cr_expect_eq(fief_close(rt), 0);
}

Test(image, what_points_out_is_refused_with_its_block_and_field)
{
    fief_runtime *rt = open_usual();
    pair *p = fief_new(rt, PAIR, FIEF_CONSTANT, sizeof *p);
    p->next = fief_malloc(rt, 64);
    cr_expect(!save(rt, p));
    cr_expect_eq(error.status, FIEF_POINTS_OUT);
    cr_expect(strstr(error.text, "'pair', 24 bytes, points at +8 out of the vm arena") != NULL,
              "%s", error.text);
    fief_release(rt, p->next);
    p->next = (pair *)(void *)&error;
    cr_expect(!save(rt, p));
    cr_expect(strstr(error.text, "to no memory of the runtime") != NULL, "%s", error.text);
    p->next = NULL;
    void **opaque = fief_new(rt, OPAQUE, FIEF_CONSTANT, 40);
    opaque[3] = p;
    cr_expect(!save(rt, p));
    cr_expect(strstr(error.text, "'opaque', 40 bytes, holds at +24 what may be a pointer to the "
                                 "vm arena") != NULL,
              "%s", error.text);
    opaque[3] = NULL;
    cr_expect(!save(rt, &error), "a root outside");
    cr_expect_eq(error.status, FIEF_POINTS_OUT);
    cr_expect(save(rt, p), "%s", error.text);
    cr_expect_eq(fief_close(rt), 0);
    cr_expect_eq(saw.count, 0);
}

Test(image, an_address_of_an_image_or_of_a_freed_page_is_refused)
{
    fief_runtime *rt = open_usual();
    void **opaque = fief_new(rt, OPAQUE, FIEF_CONSTANT, 16);
    *opaque = NULL;
    cr_assert(save(rt, opaque), "%s", error.text);
    fief_image *image = load(rt, false);
    cr_assert_not_null(image, "%s", error.text);
    *opaque = (void *)(uintptr_t)fief_image_root(image);
    cr_expect(!save(rt, opaque));
    cr_expect(strstr(error.text, "a pointer to an image") != NULL, "%s", error.text);
    fief_image_close(image);
    *opaque = fief_malloc(rt, 500000);
    fief_release(rt, *opaque);
    cr_expect(!save(rt, opaque));
    cr_expect(is_guarded() || strstr(error.text, "a pointer to a free page") != NULL, "%s",
              error.text);
    pair *p = fief_new(rt, PAIR, FIEF_CONSTANT, sizeof *p);
    *p = (pair){.next = *opaque};
    *opaque = NULL;
    cr_expect(!save(rt, p));
    cr_expect(is_guarded() || strstr(error.text, "to no memory of the runtime") != NULL, "%s",
              error.text);
    cr_expect_eq(fief_close(rt), 0);
}

Test(image, a_block_that_was_resized_is_saved_where_it_is_now)
{
    fief_runtime *rt = open_usual();
    fief_arena *own = fief_arena_open(rt, &(fief_arena_config){.recorded = true});
    char *old = fief_arena_alloc(own, 5000);
    fill(old, 5000, 3);
    char *moved = fief_arena_resize(own, old, 5000, 6000);
    cr_assert_neq(moved, old);
    fief_image_config config = {.root = old, .error = &error};
    cr_expect(!fief_image_save(own, path, &config), "what it left is no block");
    cr_expect_eq(error.status, FIEF_POINTS_OUT);
    config.root = moved;
    cr_assert(fief_image_save(own, path, &config), "%s", error.text);
    fief_image *image = load(rt, false);
    cr_assert_not_null(image, "%s", error.text);
    cr_expect(holds(fief_image_root(image), 5000, 3));
    cr_expect_eq(fief_close(rt), 0);
}

/* In a release build, which does not touch what it gives. */
Test(image, more_than_an_image_can_hold_is_refused)
{
    static const size_t sizes[][2] = {{(size_t)3 << 29, (size_t)3 << 29},
                                      {((size_t)2 << 30) + 1, 1}};
    for (unsigned i = 0; i < 2 && !is_guarded(); i++) {
        fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = (size_t)16 << 30});
        fief_arena *own = fief_arena_open(rt, &(fief_arena_config){.recorded = true});
        cr_assert_not_null(fief_arena_alloc(own, sizes[i][0]));
        cr_assert_not_null(fief_arena_alloc(own, sizes[i][1]));
        cr_expect(!fief_image_save(own, path, &(fief_image_config){.error = &error}));
        cr_expect_eq(error.status, FIEF_BAD_CONFIG);
        cr_expect(strstr(error.text, "more than the 2 GiB") != NULL, "%s", error.text);
        cr_expect_eq(fief_close(rt), 0);
    }
}

Test(image, a_runtime_that_records_nothing_saves_nothing)
{
    fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = small_reserve});
    fief_image_config config = {.error = &error};
    cr_expect_eq(fief_image_save(fief_vm_arena(rt), path, &config), is_guarded());
    cr_expect(is_guarded() || strstr(error.text, "not recorded") != NULL, "%s", error.text);
    cr_expect_eq(fief_close(rt), 0);
}

Test(image, arenas_that_cannot_be_saved_are_refused)
{
    static _Alignas(16) char bytes[8192];
    fief_runtime *rt = open_usual();
    fief_image_config config = {.error = &error};
    fief_arena *plain = fief_arena_open(rt, NULL);
    (void)fief_arena_alloc(plain, 10);
    cr_expect_eq(fief_image_save(plain, path, &config), is_guarded());
    cr_expect(is_guarded() || strstr(error.text, "not recorded") != NULL);
    fief_arena *in_buffer = fief_arena_open(
        rt, &(fief_arena_config){.buffer = bytes, .buffer_size = sizeof bytes, .recorded = true});
    cr_expect(!fief_image_save(in_buffer, path, &config));
    cr_expect(strstr(error.text, "a caller's buffer") != NULL, "%s", error.text);
    fief_arena *capped =
        fief_arena_open(rt, &(fief_arena_config){.max_bytes = 64, .recorded = true});
    (void)fief_arena_alloc(capped, 1000);
    cr_expect(!fief_image_save(capped, path, &config));
    cr_expect(strstr(error.text, "the heap") != NULL, "%s", error.text);
    cr_expect(!fief_image_save(&fief_frame_stack(rt)->arena, path, &config));
    cr_expect(!fief_image_save(fief_vm_arena(rt), NULL, &config));
    cr_expect_eq(error.status, FIEF_BAD_CONFIG);
    cr_expect(!fief_image_save(fief_vm_arena(rt), "", &config));
    cr_expect_eq(error.status, FIEF_BAD_CONFIG);
    cr_expect(!fief_image_save(fief_vm_arena(rt), "no/such/directory/x", &config));
    cr_expect_eq(error.status, FIEF_NO_FILE);
    for (size_t align = 1; align < 20000; align += 3) {
        config.align = align;
        bool good = align >= 16 && align <= 4096 && (align & (align - 1)) == 0;
        cr_expect_eq(fief_image_save(fief_vm_arena(rt), path, &config), good, "align %zu", align);
    }
    config.align = 0;
    config.externals = &(fief_external){"nothing", NULL, 0};
    config.external_count = 1;
    cr_expect(!fief_image_save(fief_vm_arena(rt), path, &config));
    config.externals = &(fief_external){NULL, &error, 0};
    cr_expect(!fief_image_save(fief_vm_arena(rt), path, &config));
    cr_expect_eq(fief_close(rt), 0);
}

/* Tells what is at its first word as a field at that distance. */
static void visit_elsewhere(const void *block, size_t size, fief_pointers *pointers)
{
    (void)size;
    uintptr_t field = (uintptr_t)block + *(const size_t *)block;
    fief_pointer(pointers, (const void *)field, block);
}

Test(image, a_visit_that_tells_nonsense_is_refused)
{
    static const fief_kind odd = {.name = "odd", .any = FIEF_VM_ARENA, .visit = visit_elsewhere};
    static const size_t distances[] = {4, 12, 24, 25, 32, (size_t)-8};
    fief_runtime *rt = open_with(&odd, 1);
    size_t *block = fief_new(rt, 0, FIEF_CONSTANT, 28);
    for (unsigned i = 0; i < sizeof distances / sizeof distances[0]; i++) {
        *block = distances[i];
        cr_expect(!save(rt, block), "%zu", distances[i]);
        cr_expect_eq(error.status, FIEF_BAD_CONFIG);
        cr_expect(strstr(error.text, "the visit of 'odd'") != NULL, "%s", error.text);
    }
    cr_expect_eq(fief_close(rt), 0);
}

/* Two fields, though neither has room. */
static void visit_twice(const void *block, size_t size, fief_pointers *pointers)
{
    (void)size;
    fief_pointer(pointers, block, block);
    fief_pointer(pointers, (const char *)block + 4, block);
}

Test(image, the_first_nonsense_of_a_visit_is_told)
{
    static const fief_kind tiny = {.name = "tiny", .any = FIEF_VM_ARENA, .visit = visit_twice};
    fief_runtime *rt = open_with(&tiny, 1);
    cr_expect(!save(rt, fief_new(rt, 0, FIEF_CONSTANT, 4)));
    cr_expect_eq(error.status, FIEF_BAD_CONFIG);
    cr_expect(strstr(error.text, "told a field that is not 8 bytes") != NULL, "%s", error.text);
    cr_expect_eq(fief_close(rt), 0);
}

Test(image, a_block_may_be_shorter_than_its_kinds_pointers)
{
    static const size_t far[] = {0, 16};
    static const fief_kind k = {
        .name = "k", .any = FIEF_VM_ARENA, .pointers = far, .pointer_count = 2};
    fief_runtime *rt = open_with(&k, 1);
    void **first = fief_new(rt, 0, FIEF_CONSTANT, 20), **second = fief_new(rt, 0, FIEF_CONSTANT, 8);
    (void)fief_new(rt, 0, FIEF_CONSTANT, 4);
    *first = second;
    *second = first;
    cr_assert(save(rt, first), "%s", error.text);
    fief_image *image = load(rt, false);
    cr_assert_not_null(image, "%s", error.text);
    void *const *const *root = fief_image_root(image);
    cr_expect_eq((const void *)**root, (const void *)root);
    cr_expect_eq(fief_close(rt), 0);
}

Test(image, many_words_are_bound)
{
    enum { LINKS = 1500 };
    static char here[LINKS], there[LINKS];
    fief_runtime *rt = open_usual();
    tagged *all = fief_new(rt, TAGGED, FIEF_CONSTANT, sizeof *all + LINKS * 8);
    for (unsigned i = 0; i < LINKS; i++) {
        all->words[all->count++] = TAG | (uint64_t)(uintptr_t)&here[i];
    }
    fief_external name = {"here", here, sizeof here};
    fief_image_config config = {
        .root = all, .externals = &name, .external_count = 1, .error = &error};
    cr_assert(fief_image_save(fief_vm_arena(rt), path, &config), "%s", error.text);
    name.address = there;
    fief_image *image = fief_image_open(rt, path, &config);
    cr_assert_not_null(image, "%s", error.text);
    const tagged *t = fief_image_root(image);
    for (unsigned i = 0; i < LINKS; i++) {
        cr_expect_eq(target_of(t->words[i]), &there[i]);
    }
    name.size = LINKS / 2;
    cr_expect_null(fief_image_open(rt, path, &config), "what is bound has become smaller");
    cr_expect_eq(error.status, FIEF_BAD_IMAGE);
    cr_expect_eq(fief_close(rt), 0);
}

Test(image, a_file_that_cannot_take_its_name_is_not_left_behind)
{
    static char long_path[6000];
    fief_runtime *rt = open_usual();
    memset(long_path, 'x', sizeof long_path - 1);
    cr_expect(
        !fief_image_save(fief_vm_arena(rt), long_path, &(fief_image_config){.error = &error}));
    cr_expect_eq(error.status, FIEF_NO_FILE);
    (void)unlink(path);
    cr_assert_eq(mkdir(path, 0700), 0);
    cr_expect(!save(rt, NULL));
    cr_expect_eq(error.status, FIEF_NO_FILE);
    char other[64];
    (void)snprintf(other, sizeof other, "%s.%d-0.new", path, (int)getpid());
    cr_expect_neq(access(other, F_OK), 0);
    cr_expect_eq(rmdir(path), 0);
    int file = open(other, O_CREAT | O_WRONLY, 0600); /* of one that was killed, with our number */
    cr_assert(file >= 0);
    (void)close(file);
    cr_expect(save(rt, NULL), "%s", error.text);
    cr_expect_eq(unlink(other), 0, "it is another's");
    cr_expect_eq(fief_close(rt), 0);
}

static fief_image *here_opened;

static void *call_from_there(void *argument)
{
    fief_runtime *rt = argument;
    cr_expect(!save(rt, NULL));
    cr_expect_eq(error.status, FIEF_BAD_CONFIG);
    cr_expect_null(load(rt, false));
    cr_expect_eq(error.status, FIEF_BAD_CONFIG);
    cr_expect(!fief_image_verify(here_opened, fief_image_root(here_opened), 8));
    fief_image_close(here_opened);
    return NULL;
}

Test(image, another_thread_is_refused_in_a_guarded_build)
{
    fief_runtime *rt = open_usual();
    pthread_t thread;
    if (is_guarded()) {
        cr_assert(save(rt, make_content(rt)));
        here_opened = load(rt, false);
        cr_assert_not_null(here_opened, "%s", error.text);
        cr_assert_eq(pthread_create(&thread, NULL, call_from_there, rt), 0);
        cr_assert_eq(pthread_join(thread, NULL), 0);
        cr_expect_eq(saw.last, FIEF_MISUSE_WRONG_THREAD);
        const void *root = fief_image_root(here_opened);
        cr_expect(fief_image_verify(here_opened, root, 8), "it is open yet");
        fief_image_close(here_opened);
        cr_expect(!fief_image_verify(here_opened, root, 8), "and now it is not");
    }
    cr_expect_eq(fief_close(rt), 0);
}

/* ---- misuse ---- */

static void write_byte(void *at)
{
    *(volatile char *)at = 1;
}

static char text[1 << 16], line[1 << 16];

Test(image, a_write_is_told_with_the_kind_in_every_mode)
{
    fief_runtime *rt =
        fief_open(&(fief_config){.kinds = kinds,
                                 .kind_count = KINDS,
                                 .reserve_bytes = small_reserve,
                                 .vm_arena = &(fief_arena_config){.recorded = true}});
    cr_assert(save(rt, make_content(rt)), "%s", error.text);
    for (int lazy = 0; lazy < 2; lazy++) {
        fief_image *image = load(rt, lazy != 0);
        cr_assert_not_null(image);
        const tagged *all = fief_image_root(image);
        pair *p = (pair *)(uintptr_t)target_of(all->words[1]);
        report_of(text, sizeof text, write_byte, &p->number);
        one_line(text, line);
        cr_expect(strstr(line, "write of 1 byte to a sealed 'pair' of the image") != NULL, "%s",
                  text);
        cr_expect(strstr(text, "16 bytes into 'pair', 24 bytes, image, alive") != NULL, "%s", text);
    }
    cr_expect_eq(fief_close(rt), 0);
}

Test(image, a_write_to_a_block_without_a_kind_or_of_a_damaged_table_is_told_without)
{
    fief_runtime *rt = fief_open(&(fief_config){.reserve_bytes = small_reserve});
    fief_arena *own = fief_arena_open(rt, &(fief_arena_config){.recorded = true});
    fief_image_config config = {.root = fief_arena_alloc(own, 100), .error = &error};
    for (int damaged = 0; damaged < 2; damaged++) {
        unsigned char *bytes;
        (void)fief_arena_alloc(own, 10); /* so that each has an address of its own */
        cr_assert(fief_image_save(own, path, &config), "%s", error.text);
        size_t size = read_bytes(&bytes);
        bytes[OS_PAGE] ^= (unsigned char)damaged; /* in the first row of the blocks */
        write_bytes(bytes, size);
        free(bytes);
        fief_image *image = load(rt, true);
        cr_assert_not_null(image, "%s", error.text);
        char *block = (char *)(uintptr_t)fief_image_root(image);
        report_of(text, sizeof text, write_byte, block + 8);
        one_line(text, line);
        cr_expect(strstr(line, "write of 1 byte to a sealed ") != NULL, "%s", text);
        cr_expect_eq(strstr(line, "8 bytes into") != NULL, damaged == 0, "%s", text);
    }
    cr_expect_eq(fief_close(rt), 0);
}

/* A hundred files that crashes of processes of this number left. */
Test(image, where_no_name_is_left_for_the_new_file_the_old_one_stays)
{
    enum { NAMES = 100 };
    fief_runtime *rt = open_usual();
    cr_assert(save(rt, make_content(rt)));
    char name[200];
    for (unsigned turn = 0; turn < 2; turn++) {
        for (unsigned i = 0; i < NAMES; i++) {
            (void)snprintf(name, sizeof name, "%s.%d-%u.new", path, (int)getpid(), i);
            FILE *left = turn == 0 ? fopen(name, "w") : NULL;
            cr_assert_eq(turn == 0 ? fclose(left) : unlink(name), 0);
        }
        fief_image_config config = {.error = &error};
        bool saved = fief_image_save(fief_vm_arena(rt), path, &config);
        cr_expect_eq(saved, turn == 1);
        cr_expect(saved || error.status == FIEF_NO_FILE, "%s", error.text);
        cr_assert_not_null(load(rt, false));
    }
    cr_expect_eq(fief_close(rt), 0);
}

Test(image, the_end_of_a_long_path_is_its_name)
{
    char long_path[140], name[64];
    (void)snprintf(long_path, sizeof long_path, "image-%0120d", 7);
    memcpy(name, long_path + strlen(long_path) - 63, 64);
    fief_runtime *rt = open_usual();
    cr_assert(save(rt, make_content(rt)));
    cr_assert_eq(rename(path, long_path), 0);
    fief_image *image = fief_image_open(rt, long_path, &(fief_image_config){.error = &error});
    cr_assert_not_null(image, "%s", error.text);
    tagged *all = (tagged *)(uintptr_t)fief_image_root(image);
    fief_store(rt, all, &all->words[0], rt);
    cr_expect(witness_saw(&saw, FIEF_MISUSE_SEALED_WRITE));
    cr_expect(strstr(saw.text, name) != NULL, "%s", saw.text);
    cr_expect(strstr(saw.text, long_path) == NULL, "%s", saw.text);
    cr_expect_eq(fief_close(rt), 0);
    (void)unlink(long_path);
}

Test(image, a_free_or_a_store_into_an_image_is_misuse_at_the_call)
{
    fief_runtime *rt = open_usual();
    cr_assert(save(rt, make_content(rt)));
    fief_image *image = load(rt, false);
    const tagged *all = fief_image_root(image);
    pair *p = (pair *)(uintptr_t)target_of(all->words[1]);
    if (is_guarded()) { /* a release build's inline free writes, and faults */
        fief_release(rt, p);
        cr_expect(witness_saw(&saw, FIEF_MISUSE_WRONG_ALLOCATOR));
        cr_expect(strstr(saw.text, "lies in the image 'image-") != NULL, "%s", saw.text);
        fief_heap_free(fief_runtime_heap(rt), p, sizeof *p);
        cr_expect(witness_saw(&saw, FIEF_MISUSE_WRONG_ALLOCATOR));
    }
    fief_heap_free(fief_runtime_heap(rt), p, 100000);
    cr_expect(witness_saw(&saw, FIEF_MISUSE_WRONG_ALLOCATOR));
    fief_free(rt, PAIR, p, sizeof *p);
    cr_expect(witness_saw(&saw, FIEF_MISUSE_WRONG_ALLOCATOR));
    fief_store(rt, p, &p->next, p);
    cr_expect(witness_saw(&saw, FIEF_MISUSE_SEALED_WRITE));
    cr_expect_null(fief_arena_resize(fief_vm_arena(rt), p, sizeof *p, 100));
    cr_expect(witness_saw(&saw, FIEF_MISUSE_SEALED_WRITE));
    fief_store(rt, NULL, &p, p);
    cr_expect_eq(saw.count, 0, "a pointer to it may be stored anywhere");
    cr_expect_eq(fief_close(rt), 0);
}

Test(image, stores_are_looked_at_while_it_is_open_whatever_was_sealed_meanwhile)
{
    fief_runtime *rt = open_usual();
    cr_assert(save(rt, make_content(rt)));
    fief_image *image = load(rt, false);
    cr_assert(fief_seal(rt, fief_vm_arena(rt)));
    cr_assert(fief_unseal(rt, fief_vm_arena(rt)));
    const tagged *all = fief_image_root(image);
    pair *p = (pair *)(uintptr_t)target_of(all->words[1]);
    fief_store(rt, p, &p->next, p);
    cr_expect(witness_saw(&saw, FIEF_MISUSE_SEALED_WRITE));
    cr_expect_eq(fief_close(rt), 0);
}

#ifdef __x86_64__
/* By an instruction whose bytes a report does not know. */
static void read_control_word(void *at)
{
    __asm__ volatile("ldmxcsr %0" : : "m"(*(const unsigned *)at));
}
#endif

Test(image, a_late_use_is_told_in_a_guarded_build)
{
    fief_runtime *rt =
        fief_open(&(fief_config){.kinds = kinds,
                                 .kind_count = KINDS,
                                 .reserve_bytes = small_reserve,
                                 .vm_arena = &(fief_arena_config){.recorded = true}});
    cr_assert(save(rt, make_content(rt)));
    fief_image *image = load(rt, false);
    char *late = (char *)(uintptr_t)fief_image_root(image);
    fief_image_close(image);
    cr_expect_eq(fief_owner(rt, late), FIEF_NO_STRATEGY);
    cr_expect_eq(mappings(), is_guarded() ? 1 : 0);
    if (strcmp(fief_mode(), "debug-poisoned") == 0) {
#ifdef __x86_64__
        report_of(text, sizeof text, read_control_word, late);
        one_line(text, line);
        cr_expect(strstr(line, "misuse[use-after-close]: read of ") != NULL, "%s", text);
#endif
        report_of(text, sizeof text, write_byte, late);
        one_line(text, line);
        cr_expect(strstr(line, "misuse[use-after-close]") != NULL, "%s", text);
        cr_expect(strstr(line, "of the image 'image-") != NULL, "%s", text);
    }
    cr_expect_eq(fief_close(rt), 0);
}

/* ---- bad files ---- */

static void must_be_refused(fief_runtime *rt, const char *what, fief_status status,
                            const char *words)
{
    unsigned before = mappings();
    error = (fief_error){0};
    for (int lazy = 0; lazy < 2; lazy++) {
        fief_image *image = load(rt, lazy != 0);
        cr_assert_null(image, "%s", what);
        cr_expect_eq(error.status, status, "%s: status %d, %s", what, (int)error.status,
                     error.text);
        cr_expect(strstr(error.text, words) != NULL, "%s: %s", what, error.text);
    }
    cr_expect_eq(mappings(), before, "%s", what);
    cr_expect_eq(saw.count, 0);
}

/* The kernel's: by its size it is a page long. */
static const char shorter_than_it_says[] = "/sys/devices/system/cpu/online";

Test(image, files_that_are_none_are_refused)
{
    fief_runtime *rt = open_usual();
    cr_assert(save(rt, make_content(rt)));
    unsigned char *good, *bad;
    size_t size = read_bytes(&good);
    bad = malloc(2 * size);
    for (size_t length = 0; length < size; length += 1 + length / 3) {
        write_bytes(good, length);
        must_be_refused(rt, "cut", FIEF_BAD_IMAGE, length < OS_PAGE ? "too few" : "by its header");
    }
    memcpy(bad, good, size);
    memset(bad + size, 0, size);
    write_bytes(bad, size + OS_PAGE);
    must_be_refused(rt, "longer", FIEF_BAD_IMAGE, "by its header");
    bad[0] ^= 1;
    write_bytes(bad, size);
    must_be_refused(rt, "magic", FIEF_BAD_IMAGE, "does not begin like one");
    memcpy(bad, good, size);
    bad[16]++;
    write_bytes(bad, size);
    must_be_refused(rt, "version", FIEF_OTHER_IMAGE, "save it again");
    memcpy(bad, good, size);
    bad[20] = 1, bad[23] = 4;
    write_bytes(bad, size);
    must_be_refused(rt, "order", FIEF_OTHER_IMAGE, "another byte order");
    memcpy(bad, good, size);
    bad[24] = 4;
    write_bytes(bad, size);
    must_be_refused(rt, "words", FIEF_OTHER_IMAGE, "addresses of 4 bytes");
    free(good);
    free(bad);
    (void)unlink(path);
    must_be_refused(rt, "none", FIEF_NO_FILE, "can't be opened");
    cr_assert_eq(mkfifo(path, 0600), 0);
    must_be_refused(rt, "pipe", FIEF_NO_FILE, "can't be opened");
    if (access(shorter_than_it_says, R_OK) == 0) {
        cr_expect_null(
            fief_image_open(rt, shorter_than_it_says, &(fief_image_config){.error = &error}));
        cr_expect_eq(error.status, FIEF_BAD_IMAGE);
    }
    cr_expect_null(fief_image_open(rt, "/", &(fief_image_config){.error = &error}));
    cr_expect_null(fief_image_open(rt, NULL, &(fief_image_config){.error = &error}));
    cr_expect_null(fief_image_open(rt, path, NULL));
    cr_expect_eq(fief_close(rt), 0);
}

Test(image, another_table_or_version_is_refused)
{
    fief_runtime *rt = open_usual();
    cr_assert(save(rt, make_content(rt)));
    cr_expect_null(fief_image_open(rt, path, &(fief_image_config){.version = 7, .error = &error}));
    cr_expect_eq(error.status, FIEF_OTHER_IMAGE);
    cr_expect_eq(fief_close(rt), 0);
    static const size_t fewer[] = {0};
    for (unsigned i = 0; i < 6; i++) {
        fief_kind changed[KINDS];
        memcpy(changed, kinds, sizeof kinds);
        switch (i) {
        case 0:
            changed[TEXT].name = "string";
            break;
        case 1:
            changed[PAIR].size = 32;
            break;
        case 2:
            changed[PAIR].pointers = fewer, changed[PAIR].pointer_count = 1;
            break;
        case 3:
            changed[TAGGED].visit = NULL;
            break;
        case 4:
            changed[OPAQUE].traits = FIEF_NO_POINTERS;
            break;
        default:
            changed[OPAQUE].any = FIEF_HEAP;
            break; /* where it goes does not matter */
        }
        rt = open_with(changed, KINDS);
        fief_image *image = load(rt, true);
        cr_expect_eq(image != NULL, i == 5, "change %u", i);
        cr_expect(i == 5 || error.status == FIEF_OTHER_IMAGE);
        cr_expect_eq(fief_close(rt), 0);
    }
    rt = open_with(kinds, KINDS - 1);
    must_be_refused(rt, "a kind less", FIEF_OTHER_IMAGE, "another table of kinds");
    cr_expect_eq(fief_close(rt), 0);
}

Test(image, a_table_whose_pointers_are_nonsense_is_refused)
{
    static const size_t odd[] = {4}, far[] = {16}, first[] = {0};
    for (unsigned i = 0; i < 4; i++) {
        fief_kind k = {.name = "k",
                       .size = i == 3 ? 4 : 16,
                       .any = FIEF_VM_ARENA,
                       .pointer_count = 1,
                       .pointers = i == 0   ? odd
                                   : i == 3 ? first
                                            : far};
        k.traits = i == 2 ? FIEF_NO_POINTERS : 0;
        cr_expect_null(fief_open(&(fief_config){.kinds = &k, .kind_count = 1, .error = &error}));
        cr_expect_eq(error.status, FIEF_BAD_TABLE);
    }
}

/* ---- the disk ---- */

/* Whoever is killed while it saves leaves the old image, or the new one. */
Test(image, a_save_that_is_killed_leaves_a_whole_image)
{
    fief_runtime *rt = open_usual();
    cr_assert(save(rt, make_content(rt)));
    uint64_t dice = 1;
    for (unsigned i = 0; i < 40; i++) {
        pid_t child = fork();
        if (child == 0) {
            for (;;) {
                (void)save(rt, NULL);
                (void)save(rt, fief_arena_alloc(fief_vm_arena(rt), 8));
            }
        }
        (void)usleep((useconds_t)draw(&dice, 4000));
        (void)kill(child, SIGKILL);
        cr_assert_eq(waitpid(child, NULL, 0), child);
        fief_image *image = load(rt, false);
        cr_assert_not_null(image, "%s", error.text);
        fief_image_close(image);
    }
    cr_expect_eq(fief_close(rt), 0);
    char left[100]; /* by those that were killed; other tests have new files of their own */
    (void)snprintf(left, sizeof left, "rm -f %s.*.new", path);
    cr_expect_eq(system(left), 0);
}

Test(image, a_file_that_shrinks_while_it_is_open_is_no_crash_of_a_check)
{
    fief_runtime *rt = open_usual();
    cr_assert(save(rt, make_content(rt)));
    fief_image *image = load(rt, true);
    cr_assert_not_null(image);
    cr_assert_eq(truncate(path, OS_PAGE), 0);
    cr_expect(!fief_image_verify(image, fief_image_root(image), 100000));
    cr_expect_eq(fief_close(rt), 0);
}

Test(image, a_lazy_image_tells_damage_where_it_is_asked)
{
    fief_runtime *rt = open_usual();
    cr_assert(save(rt, make_content(rt)));
    unsigned char *bytes;
    size_t size = read_bytes(&bytes);
    bytes[size / 2] ^= 8;
    write_bytes(bytes, size);
    free(bytes);
    cr_expect_null(load(rt, false));
    cr_expect_eq(error.status, FIEF_BAD_IMAGE);
    fief_image *image = load(rt, true);
    cr_assert_not_null(image, "%s", error.text);
    const unsigned char *root = fief_image_root(image);
    size_t good = 0, rest = 0;
    for (size_t at = 0; fief_image_verify(image, root + at, 1) || rest++ == 0; at += OS_PAGE) {
        good++;
    }
    cr_expect_gt(good, 1);
    cr_expect(!fief_image_verify(image, root, fief_image_size(image)));
    cr_expect_eq(fief_close(rt), 0);
}

/* A page of the file after the other: a lazy image tells it at its open or where it is asked, and
 * of the pages behind none is asked for. The root is the first of the data. */
Test(image, a_lazy_image_needs_few_whole_pages)
{
    static char here[8];
    fief_external name = {"here", here, sizeof here};
    fief_image_config config = {
        .externals = &name, .external_count = 1, .lazy = true, .error = &error};
    fief_runtime *rt = open_usual();
    tagged *all = make_content(rt);
    outward *link = fief_new(rt, LINK, FIEF_CONSTANT, sizeof *link); /* the last of the data */
    link->to = here;
    config.root = all;
    cr_assert(fief_image_save(fief_vm_arena(rt), path, &config), "%s", error.text);
    unsigned char *bytes;
    size_t size = read_bytes(&bytes), refused = 0, bad = 0, tables = 0;
    for (size_t page = 1; page < size / OS_PAGE; page++) {
        bytes[page * OS_PAGE] ^= 1;
        write_bytes(bytes, size);
        bytes[page * OS_PAGE] ^= 1;
        fief_image *image = fief_image_open(rt, path, &config);
        refused += image == NULL;
        if (image != NULL) {
            const unsigned char *root = fief_image_root(image);
            bad += !fief_image_verify(image, root, 8);
            tables += !fief_image_verify(image, root - 2 * (ptrdiff_t)OS_PAGE, 8);
            fief_image_close(image);
        }
    }
    free(bytes);
    bool relocates = is_guarded(); /* closed ones keep its own address */
    cr_expect(relocates || refused == 5, "%zu", refused);
    cr_expect(relocates || bad == 2, "the root's page, and that of its pointers: %zu", bad);
    cr_expect(relocates || tables == 1, "%zu", tables);
    cr_expect_eq(fief_close(rt), 0);
}

static volatile sig_atomic_t cuts;

static void cut_file(int number)
{
    (void)number;
    cuts += truncate(path, OS_PAGE) == 0;
}

/* The file is cut a while after the open began: then it is refused, or whole already. */
static bool is_refused_when_cut_after(fief_runtime *rt, long microseconds)
{
    struct itimerval timer = {.it_value = {.tv_usec = microseconds}};
    error = (fief_error){0};
    int before = cuts;
    (void)setitimer(ITIMER_REAL, &timer, NULL);
    fief_image *image = load(rt, false);
    while (cuts == before) {
        (void)usleep(100);
    }
    cr_assert(image != NULL || error.status == FIEF_BAD_IMAGE, "%s", error.text);
    fief_image_close(image);
    return image == NULL && strstr(error.text, "changed while it was opened") != NULL;
}

Test(image, a_file_that_is_cut_while_it_is_opened_is_refused)
{
    enum { TEXTS = 64, SIZE = 250000, STEP = 200, MOST = 300000, PASSES = 5 };
    fief_runtime *rt = open_usual();
    for (unsigned i = 0; i < TEXTS; i++) {
        fill(fief_new(rt, TEXT, FIEF_CONSTANT, SIZE), SIZE, i);
    }
    cr_assert(save(rt, NULL), "%s", error.text);
    unsigned char *bytes;
    size_t size = read_bytes(&bytes);
    cr_assert_neq(signal(SIGALRM, cut_file), SIG_ERR);
    bool seen = false;
    for (long n = 0, after = STEP; !seen && n < PASSES; after += after / 4 + STEP) {
        write_bytes(bytes, size);
        seen = is_refused_when_cut_after(rt, after);
        n += after >= MOST;
        after = after < MOST ? after : 0;
    }
    cr_expect(seen || RUNNING_ON_VALGRIND);
    free(bytes);
    cr_expect_eq(fief_close(rt), 0);
}

/* A buffer's room for descriptors ends: the next image is refused, and those before are whole. */
static unsigned images_in(void *buffer, size_t size, unsigned cleanups)
{
    fief_runtime *rt = fief_open(
        &(fief_config){.kinds = kinds, .kind_count = KINDS, .buffer = buffer, .buffer_size = size});
    cr_assert_not_null(rt);
    for (unsigned i = 0; i < cleanups; i++) {
        cr_assert(fief_arena_cleanup(fief_vm_arena(rt), free, NULL));
    }
    unsigned count = 0;
    fief_image *last = NULL;
    error = (fief_error){0};
    for (fief_image *next; (next = load(rt, false)) != NULL; count++) {
        last = next;
    }
    cr_expect_eq(error.status, FIEF_NO_MEMORY, "%u: %s", count, error.text);
    cr_expect(last != NULL && *(const char *)fief_image_root(last) == 'x');
    (void)fief_close(rt);
    return count;
}

Test(image, descriptors_end_where_the_buffer_has_no_more_room)
{
    /* In a release build so many that their first place is full; then the end comes within each
     * sort of descriptor. */
    enum { SIZE = 1 << 20, STEPS = 10 };
    unsigned first = is_guarded() ? 0 : 90;
    fief_runtime *rt = open_usual();
    char *block = fief_new(rt, TEXT, FIEF_CONSTANT, 1);
    *block = 'x';
    cr_assert(save(rt, block));
    cr_expect_eq(fief_close(rt), 0);
    void *buffer = malloc(SIZE);
    unsigned before = mappings();
    for (unsigned step = 0; step < STEPS; step++) {
        cr_expect_gt(images_in(buffer, SIZE, first + step), 0);
    }
    cr_expect_eq(mappings(), before);
    free(buffer);
}
