/* pack: see pack.h. The trace is read once to its end, since only its events say where that is. */
#include "pack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef HAVE_ZSTD
#include <zstd.h>
#endif

enum { LEVEL = 3, FACTS_MOST = 64 << 10 };

/* A block's header and events, packed where that is smaller. Returns the bytes. */
static size_t make_block(unsigned char *to, const unsigned char *events, size_t size, bool raw)
{
    unsigned char *stored = to + TRACE_BLOCK_HEADER;
    size_t bytes = size;
    int kind = TRACE_RAW;
#ifdef HAVE_ZSTD
    size_t packed =
        ZSTD_compress(stored, ZSTD_COMPRESSBOUND(TRACE_BLOCK_MOST), events, size, LEVEL);
    if (!raw && !ZSTD_isError(packed) && packed < size) {
        bytes = packed;
        kind = TRACE_ZSTD;
    }
#endif
    (void)raw;
    if (kind == TRACE_RAW) {
        memcpy(stored, events, size);
    }
    trace_block_header(to, kind, bytes, size, trace_check(stored, bytes));
    return TRACE_BLOCK_HEADER + bytes;
}

static bool no_room(encoder *e)
{
    (void)e;
    return false;
}

static size_t make_end(unsigned char *to, const trace_fact *facts, size_t count,
                       uint64_t operations)
{
    static unsigned char room[FACTS_MOST];
    encoder e = {.start = room, .cursor = room, .end = room + sizeof room, .flush = no_room};
    for (size_t i = 0; i < count; i++) {
        encode_info(&e, facts[i].name, facts[i].value);
    }
    encode_numbers(&e, TAG_FINISH, &operations, 1, NULL);
    return make_block(to, e.start, (size_t)(e.cursor - e.start), true);
}

static bool write_at(const char *path, uint64_t offset, const unsigned char *bytes, size_t size)
{
    int file = open(path, O_WRONLY | O_CLOEXEC);
    bool sound = file >= 0 && pwrite(file, bytes, size, (off_t)offset) == (ssize_t)size &&
                 ftruncate(file, (off_t)(offset + size)) == 0;
    int why = errno;
    if (file >= 0 && close(file) != 0) {
        sound = false;
        why = errno;
    }
    errno = why;
    return sound;
}

bool trace_pack(const char *path, bool raw, const trace_fact *facts, size_t count,
                uint64_t *ret_operations, uint64_t *ret_size, char *error, size_t size)
{
    trace *t = trace_open(path, error, size);
    if (t == NULL) {
        return false;
    }
    trace_event event;
    while (trace_next(t, &event)) {
    }
    uint64_t offset;
    const unsigned char *events;
    size_t bytes, made = 0;
    unsigned char *room = malloc((size_t)2 * TRACE_BLOCK_MOST + FACTS_MOST);
    bool sound = room != NULL;
    *ret_operations = trace_operations(t);
    *ret_size = trace_file_size(t);
    if (sound && trace_open_block(t, &offset, &events, &bytes)) {
        made = bytes > 0 ? make_block(room, events, bytes, raw) : 0;
        made += make_end(room + made, facts, count, *ret_operations);
        sound = write_at(path, offset, room, made);
        *ret_size = offset + made;
    }
    if (!sound) {
        (void)snprintf(error, size, "%s: %s", path, room != NULL ? strerror(errno) : "no memory");
    }
    free(room);
    trace_close(t);
    return sound;
}
