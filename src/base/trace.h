/* trace: the file that a program's allocations are written to, as its writers see it. Both of them,
 * the library (manager/trace.c) and the recorder (tools/record), share this encoder; the reader is
 * tools/trace/trace.c, and fief_trace(5) (docs/man) has the format in words.
 *
 *     | header 16 | block | block | ... | block |
 *                 | kind, stored, raw, check: 16 | events, raw or zstd's |
 *
 * An event is a tag byte, numbers as LEB128, and where it has one, a site. Addresses are steps from
 * the last one like it. Each block starts without such a past, so it can be read by itself,
 * but for what was defined before it: sites, classes, kinds, regions and modules are defined where
 * they are first met, and then have numbers. */
#ifndef FIEF_TRACE_FORMAT_H
#define FIEF_TRACE_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define TRACE_MAGIC "\x89" "fief\r\n\x1a"

enum {
    TRACE_VERSION = 1,
    TRACE_HEADER = 16,       /* magic 8, version 2, 6 zeros */
    TRACE_BLOCK_HEADER = 16, /* kind 1, 3 zeros, stored 4, raw 4, check 4: little-endian */
    TRACE_BLOCK_MOST = 256 << 10, /* bytes of events in a block */
    TRACE_EVENT_MOST = 64,        /* bytes of one that has no text and defines no site */
    TRACE_TEXT_MOST = 1000,       /* bytes of a text */
    TRACE_FRAMES_MOST = 16,
    TRACE_BASES = 64
};

/* A block's kind. An open one is what a writer was at when it ended: it runs to a tag of 0, and is
 * the last. Its sizes are not known; in place of `raw` and `check` stand the operations of the
 * blocks before it, so that who packs it needs no look at those. */
enum { TRACE_RAW = 'R', TRACE_ZSTD = 'Z', TRACE_OPEN = 'O' };

/* What an event is; its operands stand beside it. */
typedef enum trace_tag {
    TAG_NOTHING,    /* the end of an open block */
    TAG_ALLOC,      /* [class] size address [site] */
    TAG_FREE,       /* address [site] */
    TAG_RESIZE,     /* old address, size, the new address less the old one, [site] */
    TAG_REFUSED,    /* [class] size [site]: NULL was given */
    TAG_RESET,      /* region [site]: all its blocks die */
    TAG_REWIND,     /* region, how many of its newest blocks die, [site] */
    TAG_UNIT,       /* text [site] */
    TAG_UNIT_END,   /* region, how many of its newest blocks die, [site] */
    TAG_REGION,     /* strategy, slot size, text: the next number */
    TAG_REGION_END, /* region [site]: its blocks die, and it is gone */
    TAG_MARK,       /* text: the host's own remark */
    TAG_CLOSE,      /* the runtime is closed: every block dies */
    TAG_KIND,       /* size, text: the next number */
    TAG_CLASS,      /* verb, log2 of alignment, strategy, kind + 1, context, region: likewise */
    TAG_SITE,       /* frames, each less the one before, text: the next number */
    TAG_MODULE,     /* start, size, offset in the file, text: a file that is loaded there */
    TAG_THREAD,     /* number: of what follows */
    TAG_TIME,       /* microseconds that went by */
    TAG_INFO,       /* text, text: a name and its value */
    TAG_FINISH,     /* events of the first four tags: nothing is missing */
    TAG_MOVE,       /* region, region: a unit is kept, and what the first holds is the second's; its
                       end comes next */
    TRACE_TAGS,
    TAG_BITS = 31, /* of the byte; with it: */
    TAG_BY_16 = 32,      /* the address is a multiple of 16, and stands divided by it */
    TAG_SAME_SITE = 64,  /* as that of the last event with this tag: it is left out */
    TAG_SAME_CLASS = 128 /* likewise */
} trace_tag;

/* How a block was made. */
typedef enum trace_verb {
    TRACE_MALLOC, TRACE_CALLOC, TRACE_ALIGNED, TRACE_NEW, TRACE_COPY, TRACE_PLACED, TRACE_TAKEN,
    TRACE_VERBS
} trace_verb;

typedef struct trace_class {
    uint8_t verb, align_log2, strategy; /* strategy: of fief_strategy; 0: malloc's */
    uint8_t context;
    uint32_t kind; /* + 1; 0: none */
    uint32_t region; /* 0: none */
} trace_class;

typedef struct encoder encoder;
struct encoder {
    unsigned char *start, *cursor, *end;
    /* Writes [start, cursor) as a block, and makes room: true where there is some. */
    bool (*flush)(encoder *e);
    uint64_t bases[TRACE_BASES]; /* the last block's address, by its size */
    uint64_t freed, resized;
    uint32_t sites[TRACE_TAGS], class_number;
    uint64_t operations; /* events of the first four tags */
    uint64_t time;       /* microseconds, as last written */
    uint64_t frame;
    bool failed; /* nothing is written any more */
};

static inline uint32_t trace_base_of(uint64_t size)
{
    return (uint32_t)((size + 15) >> 4) % TRACE_BASES;
}

/* At the start of each block. */
static inline void encode_forget(encoder *e)
{
    memset(e->bases, 0, sizeof e->bases);
    memset(e->sites, 0, sizeof e->sites);
    e->freed = e->resized = e->frame = 0;
    e->class_number = 0;
}

static inline void put_le32(unsigned char *to, uint32_t value)
{
    to[0] = (unsigned char)value;
    to[1] = (unsigned char)(value >> 8);
    to[2] = (unsigned char)(value >> 16);
    to[3] = (unsigned char)(value >> 24);
}

/* Of the stored bytes: finds what was damaged, and is no proof against intent. */
static inline uint32_t trace_check(const unsigned char *bytes, size_t size)
{
    uint64_t hash = size * 0x9E3779B97F4A7C15u;
    for (size_t i = 0; i < size; i += 8) {
        uint64_t word = 0;
        memcpy(&word, bytes + i, size - i < 8 ? size - i : 8);
        hash = (hash ^ word) * 0xD6E8FEB86659FD93u;
        hash ^= hash >> 32;
    }
    return (uint32_t)hash;
}

static inline void trace_file_header(unsigned char *to)
{
    memset(to, 0, TRACE_HEADER);
    memcpy(to, TRACE_MAGIC, 8);
    to[8] = TRACE_VERSION;
}

static inline void trace_block_header(unsigned char *to, int kind, size_t stored, size_t raw,
                                      uint32_t check)
{
    memset(to, 0, TRACE_BLOCK_HEADER);
    to[0] = (unsigned char)kind;
    put_le32(to + 4, (uint32_t)stored);
    put_le32(to + 8, (uint32_t)raw);
    put_le32(to + 12, check);
}

/* ---- numbers ---- */

static inline unsigned char *put_number(unsigned char *at, uint64_t value)
{
    while (value >= 128) {
        *at++ = (unsigned char)(value | 128);
        value >>= 7;
    }
    *at++ = (unsigned char)value;
    return at;
}

/* A difference: the sign is the lowest bit. */
static inline unsigned char *put_step(unsigned char *at, uint64_t from, uint64_t to)
{
    uint64_t step = to - from;
    return put_number(at, step << 1 ^ (0 - (step >> 63)));
}

static inline unsigned char *put_text(unsigned char *at, const char *text)
{
    size_t size = strlen(text);
    size = size < TRACE_TEXT_MOST ? size : TRACE_TEXT_MOST;
    at = put_number(at, size);
    memcpy(at, text, size);
    return at + size;
}

/* The tag comes last: a process that is killed here has written the event, or has not. */
static inline void encode_commit(encoder *e, unsigned char *at, unsigned tag)
{
    __asm__ volatile("" ::: "memory");
    *e->cursor = (unsigned char)tag;
    e->cursor = at;
}

static inline bool encode_room(encoder *e, size_t size)
{
    if ((size_t)(e->end - e->cursor) >= size) {
        return !e->failed;
    }
    if (!e->failed && !e->flush(e)) {
        e->failed = true;
    }
    encode_forget(e);
    return !e->failed;
}

/* ---- what happens ---- */

static inline unsigned char *put_address(unsigned char *at, unsigned *flags, uint64_t *base,
                                         uint64_t address)
{
    unsigned shift = address % 16 == 0 ? 4 : 0;
    *flags |= shift != 0 ? TAG_BY_16 : 0;
    at = put_step(at, *base >> shift, address >> shift);
    *base = address;
    return at;
}

/* Ends an event that has a site: the tag byte is known by now. */
static inline void encode_end(encoder *e, unsigned char *at, unsigned tag, unsigned flags,
                              uint32_t site)
{
    if (e->sites[tag] == site) {
        flags |= TAG_SAME_SITE;
    } else {
        at = put_number(at, site);
        e->sites[tag] = site;
    }
    encode_commit(e, at, tag | flags);
}

static inline unsigned char *put_class(encoder *e, unsigned char *at, unsigned *flags,
                                       uint32_t number)
{
    if (number == e->class_number) {
        *flags |= TAG_SAME_CLASS;
        return at;
    }
    e->class_number = number;
    return put_number(at, number);
}

static inline void encode_alloc(encoder *e, uint32_t class_number, uint64_t size, uint64_t address,
                                uint32_t site)
{
    if (encode_room(e, TRACE_EVENT_MOST)) {
        unsigned flags = 0;
        unsigned char *at = put_class(e, e->cursor + 1, &flags, class_number);
        at = put_number(at, size);
        at = put_address(at, &flags, &e->bases[trace_base_of(size)], address);
        encode_end(e, at, TAG_ALLOC, flags, site);
        e->operations++;
    }
}

static inline void encode_free(encoder *e, uint64_t address, uint32_t site)
{
    if (encode_room(e, TRACE_EVENT_MOST)) {
        unsigned flags = 0;
        unsigned char *at = put_address(e->cursor + 1, &flags, &e->freed, address);
        encode_end(e, at, TAG_FREE, flags, site);
        e->operations++;
    }
}

static inline void encode_resize(encoder *e, uint64_t old, uint64_t size, uint64_t address,
                                 uint32_t site)
{
    if (encode_room(e, TRACE_EVENT_MOST)) {
        unsigned flags = 0;
        unsigned char *at = put_address(e->cursor + 1, &flags, &e->resized, old);
        at = put_number(at, size);
        at = put_step(at, old, address);
        e->resized = address;
        encode_end(e, at, TAG_RESIZE, flags, site);
        e->operations++;
    }
}

static inline void encode_refused(encoder *e, uint32_t class_number, uint64_t size, uint32_t site)
{
    if (encode_room(e, TRACE_EVENT_MOST)) {
        unsigned flags = 0;
        unsigned char *at = put_class(e, e->cursor + 1, &flags, class_number);
        encode_end(e, put_number(at, size), TAG_REFUSED, flags, site);
        e->operations++;
    }
}

/* A region's blocks die: all (reset, its end), or the newest `count` (rewind, a unit's end). */
static inline void encode_deaths(encoder *e, trace_tag tag, uint32_t region, uint64_t count,
                                 uint32_t site)
{
    if (encode_room(e, TRACE_EVENT_MOST)) {
        unsigned char *at = put_number(e->cursor + 1, region);
        at = tag == TAG_REWIND || tag == TAG_UNIT_END ? put_number(at, count) : at;
        encode_end(e, at, tag, 0, site);
    }
}

static inline void encode_unit(encoder *e, const char *text, uint32_t site)
{
    if (encode_room(e, TRACE_EVENT_MOST + TRACE_TEXT_MOST)) {
        encode_end(e, put_text(e->cursor + 1, text), TAG_UNIT, 0, site);
    }
}

/* An event of up to six numbers, and a text where there is one. */
static inline void encode_numbers(encoder *e, trace_tag tag, const uint64_t *numbers, size_t count,
                                  const char *text)
{
    if (encode_room(e, TRACE_EVENT_MOST + TRACE_TEXT_MOST)) {
        unsigned char *at = e->cursor + 1;
        for (size_t i = 0; i < count; i++) {
            at = put_number(at, numbers[i]);
        }
        encode_commit(e, text != NULL ? put_text(at, text) : at, tag);
    }
}

static inline void encode_info(encoder *e, const char *name, const char *value)
{
    if (encode_room(e, TRACE_EVENT_MOST + 2 * TRACE_TEXT_MOST)) {
        encode_commit(e, put_text(put_text(e->cursor + 1, name), value), TAG_INFO);
    }
}

static inline void encode_time(encoder *e, uint64_t microseconds)
{
    if (microseconds > e->time && encode_room(e, TRACE_EVENT_MOST)) {
        uint64_t step = microseconds - e->time;
        encode_numbers(e, TAG_TIME, &step, 1, NULL);
        e->time = microseconds;
    }
}

static inline void encode_class(encoder *e, trace_class c)
{
    uint64_t numbers[] = {c.verb, c.align_log2, c.strategy, c.kind, c.context, c.region};
    encode_numbers(e, TAG_CLASS, numbers, 6, NULL);
}

/* The frames' return addresses, the innermost first; a text of the host's own, or "". */
static inline void encode_site(encoder *e, const uint64_t *frames, size_t count, const char *text)
{
    if (encode_room(e, TRACE_EVENT_MOST + TRACE_FRAMES_MOST * 10 + TRACE_TEXT_MOST)) {
        unsigned char *at = put_number(e->cursor + 1, count);
        for (size_t i = 0; i < count; i++) {
            at = put_step(at, e->frame, frames[i]);
            e->frame = frames[i];
        }
        encode_commit(e, put_text(at, text), TAG_SITE);
    }
}

/* ---- sites: frames (or the host's own word for a place) become small numbers ---- */

enum { SITE_PLACES = 1 << 16, SITES_MOST = 48 << 10 };

typedef struct site_place {
    uint64_t key;    /* 0: vacant */
    uint32_t number; /* from 1; 0 is for those beyond SITES_MOST */
} site_place;

typedef struct site_table {
    site_place *places; /* SITE_PLACES of them, zeroed */
    uint32_t count;
} site_table;

/* A hash stands for its frames: two of 48K stacks share one once in 10^10 traces. */
static inline uint64_t site_key(const uint64_t *frames, size_t count)
{
    uint64_t key = 0;
    for (size_t i = 0; i < count; i++) {
        key = (key ^ frames[i]) * 0x9E3779B97F4A7C15u;
        key ^= key >> 29;
    }
    return key | 1;
}

/* The place of a key, or that for it. */
static inline site_place *site_find(site_table *t, uint64_t key)
{
    size_t at = (size_t)(key * 0xD6E8FEB86659FD93u >> 48) % SITE_PLACES;
    while (t->places[at].key != 0 && t->places[at].key != key) {
        at = (at + 1) % SITE_PLACES;
    }
    return &t->places[at];
}

static inline bool site_is_new(site_table *t, site_place *p, uint64_t key)
{
    if (p->key != 0 || t->count >= SITES_MOST) {
        return false;
    }
    *p = (site_place){key, ++t->count};
    return true;
}

#endif
