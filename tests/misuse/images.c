/* images: writes to what an image holds, and uses of one that is closed. */
#include "row.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* With one text, which is its root. */
static fief_image *open_image(char **ret_text)
{
    char path[] = "/tmp/fief-misuse-XXXXXX";
    int file = mkstemp(path);
    char *text = fief_new(rt, TEXT, FIEF_LITERAL, 64);
    fief_image_config config = {.root = text};
    bool saved = file >= 0 && fief_image_save(fief_vm_arena(rt), path, &config);
    fief_image *image = saved ? fief_image_open(rt, path, NULL) : NULL;
    (void)close(file);
    (void)unlink(path);
    if (image == NULL) {
        perror("test-misuse: no image");
        exit(2);
    }
    *ret_text = (char *)(uintptr_t)fief_image_root(image);
    return image;
}

static void image_write_text(bool mistaken)
{
    char *p;
    (void)open_image(&p);
    ACCESS(OR(p, elsewhere)[8] = 1);
}

static void image_free_heap(bool mistaken)
{
    char *p;
    (void)open_image(&p);
    WRONG(fief_heap_free(heap, p, 64));
}

static void image_free_unsized(bool mistaken)
{
    char *p;
    (void)open_image(&p);
    WRONG(fief_release(rt, p));
}

static void image_free_kind(bool mistaken)
{
    char *p;
    (void)open_image(&p);
    WRONG(fief_free(rt, LIST, p, 64));
}

static void image_store_text(bool mistaken)
{
    char *p;
    static char *other;
    (void)open_image(&p);
    WRONG(fief_store(rt, p, (void **)(void *)p, p));
    RIGHT(fief_store(rt, &other, (void **)(void *)&other, p));
}

static void image_closed_read(bool mistaken)
{
    char *p;
    fief_image *image = open_image(&p);
    fief_image_close(image);
    ACCESS(sink = OR(p, elsewhere)[8]);
}

static void image_closed_write(bool mistaken)
{
    char *p;
    fief_image *image = open_image(&p);
    fief_image_close(image);
    ACCESS(OR(p, elsewhere)[8] = 1);
}

static const row rows[] = {
    ROW(image_write, text, sealed_write, NOW, NOW, NOW),
    ROW(image_free, heap, wrong_allocator, NOW, NOW, NOW),
    ROW(image_free, unsized, wrong_allocator, NOW, NOW, NOW),
    ROW(image_free, kind, wrong_allocator, NOW, NOW, NOW),
    ROW(image_store, text, sealed_write, NOW, NOW, NOW),
    ROW(image_closed, read, use_after_close, NOW, NOW, NOW),
    ROW(image_closed, write, use_after_close, NOW, NOW, NOW),
};
THEME(images);
