/* lox: see lox.h. A text has few steps, few frames and little memory, so that each ends soon. */
#include "lox.h"

#include "ast.h"
#include "vm.h"

#include <stdlib.h>
#include <string.h>

enum { STEPS = 400, FRAMES = 16, LIMIT = 1 << 20 };

/* What a stream was written: how it began, and a digest of all. */
typedef struct sink {
    FILE *file;
    uint64_t digest;
    size_t size;
    char head[16], buffer[4096];
} sink;

typedef struct way {
    bool all_heap, stressed, is_repl;
} way;

typedef struct done {
    uint64_t digest;
    size_t steps;
    bool is_comparable; /* when memory runs out depends on the strategy */
} done;

static void must(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "fuzz: expected %s\n", what);
        abort();
    }
}

static uint64_t add(uint64_t digest, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        digest = (digest ^ ((const uint8_t *)bytes)[i]) * 0x100000001B3u; /* FNV-1a */
    }
    return digest;
}

static ssize_t sink_write(void *cookie, const char *bytes, size_t size)
{
    sink *s = cookie;
    for (size_t i = 0; i < size && s->size + i < sizeof s->head; i++) {
        s->head[s->size + i] = bytes[i];
    }
    s->digest = add(s->digest, bytes, size);
    s->size += size;
    return (ssize_t)size;
}

static FILE *sink_open(sink *s)
{
    if (s->file == NULL) {
        s->file = fopencookie(s, "w", (cookie_io_functions_t){.write = sink_write});
        must(s->file != NULL && setvbuf(s->file, s->buffer, _IOFBF, sizeof s->buffer) == 0,
             "a stream");
    }
    s->digest = 0xCBF29CE484222325u;
    s->size = 0;
    memset(s->head, 0, sizeof s->head);
    return s->file;
}

/* A paragraph is what a REPL would be given at once: its code is garbage when nobody keeps it. */
static outcome run_paragraphs(vm *vm, const char *text, size_t size)
{
    outcome last = OUTCOME_OK;
    while (size != 0) {
        const char *end = memmem(text, size, "\n\n", 2);
        size_t length = end != NULL ? (size_t)(end - text) + 2 : size;
        last = vm_interpret(vm, text, length);
        text += length;
        size -= length;
    }
    return last;
}

static done run_text(way way, const char *text, size_t size)
{
    static const char no_memory[] = "Out of memory.";
    static fief_range *range;
    static sink out, errors;
    static vm vm;
    vm_options options = {.frames = FRAMES, .steps = STEPS, .frees_all = true};
    range = range != NULL ? range : fief_range_open(0);
    options.memory = (memory_options){.all_heap = way.all_heap, .limit = LIMIT, .range = range};
    options.gc_stress = way.stressed;
    options.code_is_collected = way.is_repl;
    options.out = sink_open(&out);
    options.errors_to = sink_open(&errors);
    must(vm_open(&vm, &options), "room for a VM");
    outcome outcome = way.is_repl ? run_paragraphs(&vm, text, size) : vm_interpret(&vm, text, size);
    size_t steps = STEPS - vm.steps;
    must(vm_close(&vm) == 0, "no leak");
    (void)fflush(out.file);
    (void)fflush(errors.file);
    uint64_t digest = add(out.digest ^ errors.digest << 1, &outcome, sizeof outcome);
    return (done){digest, steps,
                  strncmp(errors.head, no_memory, sizeof no_memory - 1) != 0 && !way.is_repl};
}

/* Which second way a text goes is in its size, so that it always goes the same. */
uint64_t lox_run(const uint8_t *text, size_t size, size_t *ret_steps)
{
    static const way ways[] = {{.stressed = true},
                               {.stressed = true, .all_heap = true},
                               {.stressed = true, .is_repl = true}};
    const char *source = (const char *)text;
    done first = run_text((way){0}, source, size);
    done second = run_text(ways[size % (sizeof ways / sizeof ways[0])], source, size);
    *ret_steps = first.steps;
    bool has_clock = memmem(text, size, "clock", 5) != NULL;
    if (!first.is_comparable || has_clock) {
        return 0;
    }
    must(!second.is_comparable || (first.digest == second.digest && first.steps == second.steps),
         "a text to do the same with another strategy and with --gc-stress");
    return first.digest;
}

/* One VM for many texts: their names stay in it, so it is not the same one for ever. */
bool lox_parses(const uint8_t *text, size_t size)
{
    enum { LASTS = 256 };
    static sink nobody;
    static vm vm;
    static unsigned left;
    if (left-- == 0) {
        static const vm_options options = {.frames = 1, .frees_all = true};
        must(vm.stack == NULL || vm_close(&vm) == 0, "no leak");
        must(vm_open(&vm, &options), "room for a VM");
        left = LASTS;
    }
    vm.errors_to = sink_open(&nobody);
    mem_unit_begin(&vm.memory);
    bool parses = parse(&vm, (const char *)text, size) != NULL;
    mem_unit_end(&vm.memory);
    return parses;
}
