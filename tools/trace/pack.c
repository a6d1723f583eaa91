/* pack: see pack.h. The blocks before the open one are not read again: its header has their count.
 * Of the open block only the events' ends are looked for; what they mean is the reader's. */
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

/* ---- where events end ---- */

/* Their operands in order: n number, t text, f frames; s site and c class, where the tag has
 * them. */
static const char *const operands[TRACE_TAGS] = {
    [TAG_ALLOC] = "cnns", [TAG_FREE] = "ns", [TAG_RESIZE] = "nnns", [TAG_REFUSED] = "cns",
    [TAG_RESET] = "ns", [TAG_REWIND] = "nns", [TAG_UNIT] = "ts", [TAG_UNIT_END] = "nns",
    [TAG_REGION] = "nnt", [TAG_REGION_END] = "ns", [TAG_MARK] = "t", [TAG_CLOSE] = "",
    [TAG_KIND] = "nt", [TAG_CLASS] = "nnnnnn", [TAG_SITE] = "ft", [TAG_MODULE] = "nnnt",
    [TAG_THREAD] = "n", [TAG_TIME] = "n", [TAG_INFO] = "tt", [TAG_FINISH] = "n",
    [TAG_MOVE] = "nn"};

/* Each of these returns where its operand ends; NULL: behind the end, or no event. */
static const unsigned char *skip_number(const unsigned char *at, const unsigned char *end,
                                        uint64_t *ret_value)
{
    *ret_value = 0;
    for (unsigned shift = 0; at < end && shift < 64; shift += 7) {
        *ret_value |= (uint64_t)(*at & 127) << shift;
        if (*at++ < 128) {
            return at;
        }
    }
    return NULL;
}

static const unsigned char *skip_operand(const unsigned char *at, const unsigned char *end,
                                         unsigned tag, char what)
{
    uint64_t value;
    if ((what == 's' && (tag & TAG_SAME_SITE) != 0) ||
        (what == 'c' && (tag & TAG_SAME_CLASS) != 0)) {
        return at;
    }
    at = skip_number(at, end, &value);
    if (at != NULL && what == 't') {
        return value <= (size_t)(end - at) ? at + value : NULL;
    }
    for (uint64_t frame; at != NULL && what == 'f' && value > 0; value--) {
        at = skip_number(at, end, &frame);
    }
    return at;
}

static const unsigned char *skip_event(const unsigned char *at, const unsigned char *end)
{
    unsigned tag = *at++, what = tag & TAG_BITS;
    if (what == TAG_NOTHING || what >= TRACE_TAGS) {
        return NULL;
    }
    for (const char *operand = operands[what]; *operand != '\0' && at != NULL; operand++) {
        at = skip_operand(at, end, tag, *operand);
    }
    return at;
}

/* The bytes of the events that are whole, and their operations. */
static size_t whole_events(const trace_open_at *open, uint64_t *ret_operations)
{
    const unsigned char *at = open->events, *end = at + open->size, *next;
    *ret_operations = 0;
    for (; at < end && (next = skip_event(at, end)) != NULL; at = next) {
        *ret_operations += (*at & TAG_BITS) <= TAG_REFUSED;
    }
    return (size_t)(at - open->events);
}

/* ---- packing ---- */

/* A block's header and events, packed where that is smaller. Returns the bytes. */
static size_t make_block(unsigned char *to, const unsigned char *events, size_t size, bool raw)
{
    unsigned char *stored = to + TRACE_BLOCK_HEADER;
    size_t bytes = size;
    int kind = TRACE_RAW;
#ifdef HAVE_ZSTD
    size_t room = ZSTD_COMPRESSBOUND(TRACE_BLOCK_MOST);
    size_t packed = ZSTD_compress(stored, room, events, size, LEVEL);
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

/* The open block of `t` packed, with the trace's end behind it, in its place in the file. */
static bool close_block(const char *path, const trace_open_at *open, bool raw,
                        const trace_fact *facts, size_t count, trace_packed *ret)
{
    unsigned char *room = malloc((size_t)2 * TRACE_BLOCK_MOST + FACTS_MOST);
    if (room == NULL) {
        errno = ENOMEM;
        return false;
    }
    uint64_t operations;
    size_t bytes = whole_events(open, &operations);
    size_t made = bytes > 0 ? make_block(room, open->events, bytes, raw) : 0;
    ret->operations = open->operations + operations;
    made += make_end(room + made, facts, count, ret->operations);
    ret->size = open->offset + made;
    bool sound = write_at(path, open->offset, room, made);
    free(room);
    return sound;
}

/* Of a trace that has no open block. */
static uint64_t count_operations(trace *t)
{
    for (trace_event event; trace_next(t, &event);) {
    }
    return trace_operations(t);
}

bool trace_pack(const char *path, bool raw, const trace_fact *facts, size_t count,
                trace_packed *ret, char *error, size_t size)
{
    trace *t = trace_open(path, error, size);
    trace_open_at open;
    bool sound = true;
    if (t == NULL) {
        return false;
    }
    if (trace_open_block(t, &open)) {
        sound = close_block(path, &open, raw, facts, count, ret);
    } else {
        *ret = (trace_packed){count_operations(t), trace_file_size(t)};
    }
    if (!sound) {
        (void)snprintf(error, size, "%s: %s", path, strerror(errno));
    }
    trace_close(t);
    return sound;
}
