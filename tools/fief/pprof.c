/* pprof: a profile.proto, written by hand: it is small, and a field is a key and a value. Packed by
 * zlib where that is there; pprof reads it either way. Field numbers are those of profile.proto. */
#include "convert.h"

#include <stdlib.h>

#ifdef HAVE_ZLIB
#include <zlib.h>
#endif

typedef struct bytes {
    unsigned char *at;
    size_t size, room;
    bool failed;
} bytes;

static void add(bytes *b, const void *from, size_t size)
{
    if (b->size + size > b->room) {
        size_t room = (b->size + size) * 2 + 256;
        unsigned char *grown = realloc(b->at, room);
        if (grown == NULL) {
            b->failed = true;
            return;
        }
        b->at = grown;
        b->room = room;
    }
    if (size > 0) {
        memcpy(b->at + b->size, from, size);
        b->size += size;
    }
}

static void add_number(bytes *b, uint64_t number)
{
    unsigned char text[10];
    add(b, text, (size_t)(put_number(text, number) - text));
}

static void field_number(bytes *b, unsigned field, uint64_t number)
{
    add_number(b, field << 3);
    add_number(b, number);
}

static void field_bytes(bytes *b, unsigned field, const void *from, size_t size)
{
    add_number(b, field << 3 | 2);
    add_number(b, size);
    add(b, from, size);
}

/* A part of the whole, which is then empty again. */
static void field_part(bytes *b, unsigned field, bytes *part)
{
    field_bytes(b, field, part->at, part->size);
    b->failed = b->failed || part->failed;
    part->size = 0;
}

/* ---- strings: the table's order is the number ---- */

typedef struct strings {
    bytes table; /* as fields of the profile */
    char **kept;
    size_t count, room;
} strings;

static uint64_t string_number(strings *s, const char *text)
{
    for (size_t i = s->count; i-- > 0;) {
        if (strcmp(s->kept[i], text) == 0) {
            return i;
        }
    }
    if (s->count == s->room) {
        size_t room = s->room * 2 + 64;
        char **grown = realloc(s->kept, room * sizeof *grown);
        if (grown == NULL) {
            s->table.failed = true;
            return 0;
        }
        s->kept = grown;
        s->room = room;
    }
    s->kept[s->count] = strdup(text);
    s->table.failed = s->table.failed || s->kept[s->count] == NULL;
    field_bytes(&s->table, 6, text, strlen(text));
    return s->table.failed ? 0 : s->count++;
}

/* ---- the profile ---- */

typedef struct profile {
    bytes all;
    strings strings;
    uint64_t *locations; /* frames that have one; its number is its index + 1 */
    size_t location_count, location_room;
    uint64_t functions;
} profile;

static void add_value_type(profile *p, const char *type, const char *unit)
{
    bytes part = {0};
    field_number(&part, 1, string_number(&p->strings, type));
    field_number(&part, 2, string_number(&p->strings, unit));
    field_part(&p->all, 1, &part);
    free(part.at);
}

static void add_line(profile *p, bytes *location, const site_text *text)
{
    bytes function = {0}, line = {0};
    char name[400];
    symbol_text(text, name, sizeof name);
    uint64_t number = ++p->functions;
    field_number(&function, 1, number);
    field_number(&function, 2,
                 string_number(&p->strings, text->function[0] != '\0' ? text->function : name));
    field_number(&function, 4, string_number(&p->strings, text->file));
    field_part(&p->all, 5, &function);
    field_number(&line, 1, number);
    field_number(&line, 2, text->line);
    field_part(location, 4, &line);
    free(function.at);
    free(line.at);
}

static uint64_t location_of(profile *p, const symbols *s, uint64_t frame)
{
    bytes location = {0};
    size_t count;
    for (size_t i = 0; i < p->location_count; i++) {
        if (p->locations[i] == frame) {
            return i + 1;
        }
    }
    if (p->location_count == p->location_room) {
        size_t room = p->location_room * 2 + 64;
        uint64_t *grown = realloc(p->locations, room * sizeof *grown);
        if (grown == NULL) {
            p->all.failed = true;
            return 1;
        }
        p->locations = grown;
        p->location_room = room;
    }
    p->locations[p->location_count++] = frame;
    field_number(&location, 1, p->location_count);
    field_number(&location, 3, frame);
    const site_text *texts = symbols_of(s, frame, &count);
    for (size_t i = 0; i < count; i++) {
        add_line(p, &location, &texts[i]);
    }
    field_part(&p->all, 4, &location);
    free(location.at);
    return p->location_count;
}

static void add_sample(profile *p, const symbols *s, const trace_site *site, const site_tally *of)
{
    bytes sample = {0};
    for (uint32_t i = 0; site != NULL && i < site->count; i++) {
        field_number(&sample, 1, location_of(p, s, site->frames[i]));
    }
    const uint64_t values[] = {of->blocks, of->bytes, of->live_blocks, of->live};
    for (size_t i = 0; i < 4; i++) {
        field_number(&sample, 2, values[i]);
    }
    field_part(&p->all, 2, &sample);
    free(sample.at);
}

static void make_profile(profile *p, const trace *t, const tally *y, const symbols *s)
{
    (void)string_number(&p->strings, "");
    add_value_type(p, "alloc_objects", "count");
    add_value_type(p, "alloc_space", "bytes");
    add_value_type(p, "inuse_objects", "count");
    add_value_type(p, "inuse_space", "bytes");
    for (uint32_t i = 0; i < y->room; i++) {
        if (y->sites[i].blocks > 0) {
            add_sample(p, s, trace_site_at(t, i), &y->sites[i]);
        }
    }
    field_number(&p->all, 10, trace_time(t) * 1000);
    field_number(&p->all, 14, string_number(&p->strings, "alloc_space"));
    add(&p->all, p->strings.table.at, p->strings.table.size);
    p->all.failed = p->all.failed || p->strings.table.failed;
}

static bool put_packed(FILE *to, const bytes *b)
{
#ifdef HAVE_ZLIB
    enum { GZIP = 16 + MAX_WBITS, MEMORY = 8 };
    z_stream z = {0};
    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP, MEMORY, Z_DEFAULT_STRATEGY) !=
        Z_OK) {
        return false;
    }
    size_t room = deflateBound(&z, b->size);
    unsigned char *packed = malloc(room);
    z.next_in = b->at;
    z.avail_in = (uInt)b->size;
    z.next_out = packed;
    z.avail_out = (uInt)room;
    bool sound = packed != NULL && deflate(&z, Z_FINISH) == Z_STREAM_END;
    sound = sound && fwrite(packed, 1, z.total_out, to) == z.total_out;
    (void)deflateEnd(&z);
    free(packed);
    return sound;
#else
    return fwrite(b->at, 1, b->size, to) == b->size;
#endif
}

int convert_pprof(const conversion *c)
{
    int status;
    tally y;
    profile p = {0};
    trace *t = tally_for(c, &y, false, &status);
    if (t == NULL) {
        return status;
    }
    symbols *s = symbols_find(t);
    if (s != NULL) {
        make_profile(&p, t, &y, s);
    }
    bool sound = s != NULL && !p.all.failed;
    status = sound ? DONE : complain(CANNOT_RUN, "there is no memory");
    if (sound && !put_packed(c->to, &p.all)) {
        status = CANNOT_RUN; /* the end of the output says why */
    }
    for (size_t i = 0; i < p.strings.count; i++) {
        free(p.strings.kept[i]);
    }
    free(p.strings.kept);
    free(p.strings.table.at);
    free(p.locations);
    free(p.all.at);
    symbols_free(s);
    tally_free(&y);
    trace_close(t);
    return status;
}
