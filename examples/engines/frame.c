/* frame: see frame.h. */
#include "frame.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../color.h"
#include "../peak.h"

typedef struct options {
    bool stats, json, count;
    int peak_file;
    color_when color;
} options;

/* For a way out that passes main by: who runs, and what was asked for. */
static const char *engine_name = "engine";
static frame *running;
static const options *asked;

int frame_complain(const char *message)
{
    fflush(stdout);
    fprintf(stderr, "fief-%s: %s\n", engine_name, message);
    return EXIT_FAILURE;
}

static int complain_of(const char *what, const char *about)
{
    fprintf(stderr, "fief-%s: %s '%s' (see --help)\n", engine_name, what, about);
    return EXIT_FAILURE;
}

fief_heap *frame_heap(const frame *f)
{
    return f->runtime != NULL ? fief_runtime_heap(f->runtime) : NULL;
}

/* ---- files ---- */

static char *read_all(FILE *file, size_t *ret_size)
{
    size_t room = 4096, size = 0;
    char *text = malloc(room);
    while (text != NULL) {
        size += fread(text + size, 1, room - size - 1, file);
        if (size < room - 1) {
            text[size] = '\0';
            *ret_size = size;
            return text;
        }
        char *larger = realloc(text, room *= 2);
        if (larger == NULL) {
            free(text);
        }
        text = larger;
    }
    return NULL;
}

char *frame_read(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "rb");
    char *text = file != NULL ? read_all(file, ret_size) : NULL;
    if (file == NULL || ferror(file) || text == NULL) {
        fprintf(stderr, "fief-%s: cannot read %s: %s\n", engine_name, path, strerror(errno));
        free(text);
        text = NULL;
    }
    if (file != NULL) {
        fclose(file);
    }
    return text;
}

/* ---- traps ---- */

void *trap_alloc(void *context, size_t size)
{
    trap *t = context;
    if (!frame_admits(t->frame)) {
        return NULL;
    }
    return frame_counted(t->frame, false, t->alloc(t->context, size));
}

void *trap_calloc(void *context, size_t count, size_t size)
{
    trap *t = context;
    if (!frame_admits(t->frame)) {
        return NULL;
    }
    return frame_counted(t->frame, false, t->calloc(t->context, count, size));
}

void *trap_realloc(void *context, void *block, size_t size)
{
    trap *t = context;
    if (!frame_admits(t->frame)) {
        return NULL;
    }
    void *moved = t->realloc(t->context, block, size);
    /* libc's frees a block that shrinks to nothing */
    return size == 0 ? frame_counted(t->frame, block != NULL, moved)
                     : frame_resized(t->frame, block, moved);
}

void trap_free(void *context, void *block)
{
    trap *t = context;
    (void)frame_counted(t->frame, block != NULL, NULL);
    t->free(t->context, block);
}

void *libc_alloc(void *context, size_t size)
{
    (void)context;
    return malloc(size);
}

void *libc_calloc(void *context, size_t count, size_t size)
{
    (void)context;
    return calloc(count, size);
}

void *libc_realloc(void *context, void *block, size_t size)
{
    (void)context;
    return realloc(block, size);
}

void libc_free(void *context, void *block)
{
    (void)context;
    free(block);
}

/* ---- statistics ---- */

static void print_fief(const fief_runtime *rt,
                       size_t (*write)(const fief_runtime *, char *, size_t))
{
    size_t size = write(rt, NULL, 0) + 256;
    char *text = malloc(size);
    if (text != NULL) {
        write(rt, text, size);
        fprintf(stderr, "%s\n", text);
    }
    free(text);
}

static void print_stats(frame *f, const options *o)
{
    if (o->stats && f->runtime != NULL) {
        print_fief(f->runtime, fief_stats_text);
    }
    if (o->json && f->runtime != NULL) {
        print_fief(f->runtime, fief_stats_json);
    }
    if (o->count) {
        fprintf(stderr,
                "{\"schema\":\"fief-engine/1\",\"engine\":\"%s\",\"calls\":%zu,\"failed\":%zu,"
                "\"blocks_left\":%ld}\n",
                engine_name, f->calls, f->failed, f->blocks);
    }
}

void frame_leave(int status)
{
    print_stats(running, asked);
    exit(status);
}

/* ---- options ---- */

static const char usage[] =
    "usage: fief-%s [options] PROGRAM [SCALE]     runs a program on the engine\n"
    "  --allocator fief|libc|own  where the memory comes from (fief); own: the engine's\n"
    "  --count                    calls that may fail and blocks left, as JSON on stderr\n"
    "  --fail-at N                the N-th such call fails, once\n"
    "  --stats, --json            Fief's statistics on stderr\n"
    "  --peak FD                  peak resident KiB to this descriptor\n"
    "  --color auto|always|never  of misuse reports\n";

static bool parse_number(const char *text, size_t most, size_t *ret_number)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number > most) {
        return false;
    }
    *ret_number = (size_t)number;
    return true;
}

static int index_of(const char *word, const char *const *words, int count)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(word, words[i]) == 0) {
            return i;
        }
    }
    return -1;
}

/* 1: taken; 0: a bad value; -1: no such option. */
static int take_value(frame *f, options *o, const char *name, const char *value)
{
    static const char *const memories[] = {"fief", "libc", "own"};
    static const char *const colors[] = {"auto", "always", "never"};
    size_t number = 0;
    if (strcmp(name, "--allocator") == 0) {
        int i = index_of(value, memories, 3);
        f->allocator = (allocator)i;
        return i >= 0;
    }
    if (strcmp(name, "--color") == 0) {
        int i = index_of(value, colors, 3);
        o->color = (color_when)i;
        return i >= 0;
    }
    if (strcmp(name, "--fail-at") == 0) {
        return parse_number(value, SIZE_MAX, &f->fail_at) && f->fail_at != 0;
    }
    if (strcmp(name, "--peak") == 0) {
        bool good = parse_number(value, 1023, &number);
        o->peak_file = (int)number;
        return good;
    }
    return -1;
}

static bool take_flag(options *o, const char *name)
{
    bool *flags[] = {&o->stats, &o->json, &o->count};
    static const char *const names[] = {"--stats", "--json", "--count"};
    int i = index_of(name, names, 3);
    if (i >= 0) {
        *flags[i] = true;
    }
    return i >= 0;
}

static bool parse_scale(frame *f, const char *text)
{
    char *end;
    f->scale = strtod(text, &end);
    return *end == '\0' && end != text && f->scale > 0 && f->scale <= 1000;
}

/* EXIT_SUCCESS, or the status after a complaint. */
static int parse(frame *f, options *o, int argc, char **argv)
{
    int i = 1;
    for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
        if (take_flag(o, argv[i])) {
            continue;
        }
        int taken = take_value(f, o, argv[i], i + 1 < argc ? argv[i + 1] : "");
        if (taken < 0) {
            return complain_of("no such option", argv[i]);
        }
        if (taken == 0) {
            return complain_of("a proper value must follow", argv[i]);
        }
        i++;
    }
    if (i >= argc || argc > i + 2) {
        return complain_of("wanted: one", "PROGRAM [SCALE]");
    }
    f->arguments = argv + i;
    f->program = argv[i];
    f->scale = 1;
    f->trapped = o->count || f->fail_at != 0;
    return i + 1 < argc && !parse_scale(f, argv[i + 1]) ? complain_of("no scale", argv[i + 1])
                                                        : EXIT_SUCCESS;
}

/* ---- main ---- */

static bool memory_open(frame *f, const engine *e, const options *o)
{
    fief_error error = {0};
    f->runtime = fief_open(&(fief_config){.name = e->name, .align = e->align, .error = &error,
                                          .color = wants_color(o->color)});
    return f->runtime != NULL || frame_complain(error.text) == EXIT_SUCCESS;
}

static int memory_close(frame *f, const engine *e, int status)
{
    if (e->keeps_blocks) {
        fief_drop(f->runtime);
        return status;
    }
    return fief_close(f->runtime) == 0 ? status : EXIT_FAILURE;
}

int frame_main(const engine *e, int argc, char **argv)
{
    frame f = {0};
    options o = {.peak_file = -1};
    engine_name = e->name;
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        printf(usage, e->name);
        return EXIT_SUCCESS;
    }
    int status = parse(&f, &o, argc, argv);
    if (status != EXIT_SUCCESS) {
        return status;
    }
    if (f.allocator == MEMORY_OWN && !e->has_own) {
        return frame_complain("the engine has no allocator of its own");
    }
    if (f.allocator == MEMORY_FIEF && !memory_open(&f, e, &o)) {
        return EXIT_FAILURE;
    }
    running = &f;
    asked = &o;
    status = e->run(&f);
    fflush(stdout);
    print_stats(&f, &o);
    if (o.peak_file >= 0) {
        peak_write(o.peak_file);
    }
    return memory_close(&f, e, status);
}
