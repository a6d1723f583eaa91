/* trace: the fuzz target of the trace's reader (tools/trace). Any bytes are a file; and, behind a
 * header and that of an open block, any bytes are events, so that no check of a block stands before
 * the decoder. What is read must add up. With an engine it is LLVMFuzzerTestOneInput; without it, a
 * program that reads files, and changes them at random: FILE... [--runs N]. */
#include "trace.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BYTES_MOST = 1 << 20, RUNS = 300 };

static void must(bool sound, const char *what)
{
    if (!sound) {
        fprintf(stderr, "fuzz trace: %s\n", what);
        abort();
    }
}

static void add_size(trace_block *block, void *argument)
{
    *(uint64_t *)argument += block->size;
}

static void look_at(const trace *t, const trace_event *e)
{
    must(e->type < TRACE_TYPES, "an event has no type");
    must(e->block == NULL || e->block->number != 0, "a block has no number");
    must(e->block == NULL || trace_class_at(t, e->block->class_number) != NULL,
         "a block has no class");
    must(e->site == 0 || trace_site_at(t, e->site) != NULL, "a site is unknown");
    must(e->region == 0 || trace_region_at(t, e->region) != NULL, "a region is unknown");
}

static void read_trace(const void *bytes, size_t size)
{
    char error[200];
    trace *t = trace_open_bytes(bytes, size, "input", error, sizeof error);
    if (t == NULL) {
        return;
    }
    uint64_t sum = 0;
    for (trace_event e; trace_next(t, &e);) {
        look_at(t, &e);
    }
    trace_each_live(t, add_size, &sum);
    must(sum == trace_live_bytes(t), "the live blocks' sizes don't add up");
    trace_close(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned char file[TRACE_HEADER + TRACE_BLOCK_HEADER + BYTES_MOST];
    size = size < BYTES_MOST ? size : BYTES_MOST;
    read_trace(data, size);
    enum { HEADERS = TRACE_HEADER + TRACE_BLOCK_HEADER };
    if (size > HEADERS && memcmp(data, TRACE_MAGIC, 8) == 0) { /* of a trace, its events */
        data += HEADERS;
        size -= HEADERS;
    }
    trace_file_header(file);
    trace_block_header(file + TRACE_HEADER, TRACE_OPEN, 0, 0, 0);
    memcpy(file + TRACE_HEADER + TRACE_BLOCK_HEADER, data, size);
    read_trace(file, TRACE_HEADER + TRACE_BLOCK_HEADER + size);
    return 0;
}

#ifndef FUZZ_ENGINE
static uint64_t seed = 1;

static size_t roll(size_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(seed >> 33) % below;
}

/* A few bytes change, and the end may be cut off. */
static void change(const uint8_t *bytes, size_t size, unsigned runs)
{
    uint8_t *copy = malloc(size);
    must(copy != NULL, "there is no memory");
    for (unsigned i = 0; i < runs; i++) {
        size_t kept = roll(4) == 0 ? roll(size) + 1 : size;
        memcpy(copy, bytes, size);
        for (size_t changes = roll(6) + 1; changes > 0; changes--) {
            copy[roll(kept)] = (uint8_t)roll(256);
        }
        (void)LLVMFuzzerTestOneInput(copy, kept);
    }
    free(copy);
}

int main(int count, char **words)
{
    static uint8_t bytes[BYTES_MOST];
    unsigned runs = RUNS;
    for (int i = 1; i < count; i++) {
        if (strcmp(words[i], "--runs") == 0 && i + 1 < count) {
            runs = (unsigned)strtoul(words[++i], NULL, 10);
            continue;
        }
        FILE *file = fopen(words[i], "rb");
        size_t size = file != NULL ? fread(bytes, 1, sizeof bytes, file) : 0;
        if (file == NULL || size == 0) {
            fprintf(stderr, "fuzz trace: %s: cannot be read\n", words[i]);
            return 1;
        }
        (void)fclose(file);
        (void)LLVMFuzzerTestOneInput(bytes, size);
        change(bytes, size, runs);
    }
    printf("%d files, %u changes of each\n", count - 1, runs);
    return 0;
}
#endif
