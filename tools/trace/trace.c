/* trace: the reader. A block of the file is checked and unpacked whole; its events are decoded one
 * by one. What lives is found by address in an open table; blocks have slots that are used again.
 * A region keeps its blocks in order, so that the newest can die first. Nothing that a file says is
 * believed: numbers are looked up, sizes compared, and what does not fit ends the trace there. */
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef HAVE_ZSTD
#include <zstd.h>
#endif

enum { DEFINITIONS_MOST = 1 << 20, LINE = 300, NO_SLOT = 0 };

/* ---- lists that grow ---- */

typedef struct list {
    void *items;
    size_t count, room;
} list;

/* A zeroed new item, or NULL: there is no memory. */
static void *list_add(list *l, size_t size)
{
    if (l->count == l->room) {
        size_t room = l->room != 0 ? l->room * 2 : 16;
        void *items = realloc(l->items, room * size);
        if (items == NULL) {
            return NULL;
        }
        l->items = items;
        l->room = room;
    }
    void *item = (char *)l->items + l->count++ * size;
    return memset(item, 0, size);
}

#define LIST_ADD(l, T) ((T *)list_add((l), sizeof(T)))

static const void *list_at(const list *l, uint32_t number, size_t size)
{
    return number != 0 && number <= l->count ? (const char *)l->items + (number - 1) * size : NULL;
}

/* ---- the trace ---- */

/* Half a line of a cache holds four; the address is in the block, which is wanted next anyway. */
typedef struct place {
    uint32_t hash; /* of the address */
    uint32_t slot; /* NO_SLOT: vacant */
} place;

typedef struct member {
    uint64_t number; /* of the block; it may be dead */
    uint32_t slot;
} member;

typedef struct region {
    trace_region told;
    list members;
} region;

typedef struct fact {
    const char *name, *value;
} fact;

struct trace {
    const unsigned char *bytes;
    size_t size, at; /* at: the next block of the file */
    void *mapped;
    char name[200], cut[2 * LINE];
    unsigned char *unpacked;
    const unsigned char *event, *end; /* in the block that is being read */
    uint64_t bases[TRACE_BASES], freed, resized, frame;
    uint32_t last_sites[TRACE_TAGS], last_class;
    bool is_open_block, finished, over, out_of_memory;
    bool keeps; /* the unit that ends next */

    uint64_t operations, time, numbers, live_bytes, unknown_frees, lost_frees, lost_operations;
    uint32_t thread, units;
    list open_units; /* of uint32_t */

    place *places; /* a power of two of them, at most half in use */
    size_t place_count, live;
    list slots;  /* of trace_block; slot 0 is nobody's */
    list vacant; /* of uint32_t */
    uint32_t leaving; /* the slot of the block that the last event showed dead */

    list dying; /* of member, the next one last */
    trace_event later; /* behind them */
    bool has_later;

    list sites, classes, kinds, regions, modules, facts, texts; /* texts: of char *, all of them */
};

static void cut_at(trace *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void cut_at(trace *t, const char *format, ...)
{
    char why[LINE / 2];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(why, sizeof why, format, args);
    va_end(args);
    if (!t->over) {
        (void)snprintf(t->cut, sizeof t->cut, "%s: cut after %llu operations: %s", t->name,
                       (unsigned long long)t->operations, why);
    }
    t->over = true;
}

static bool short_of_memory(trace *t)
{
    cut_at(t, "there is no memory to read on");
    return false;
}

/* ---- what lives ---- */

static trace_block *block_at(const trace *t, uint32_t slot)
{
    return (trace_block *)t->slots.items + slot;
}

/* Of a product the upper half depends on the whole address; folded down, neighbours lie apart. */
static uint32_t hash_of(uint64_t address)
{
    uint64_t product = address * 0x9E3779B97F4A7C15u;
    return (uint32_t)(product ^ product >> 32);
}

/* Where the block with that address is, or would be put. */
static place *find_place(const trace *t, uint64_t address)
{
    uint32_t hash = hash_of(address);
    size_t at = hash & (t->place_count - 1);
    while (t->places[at].slot != NO_SLOT &&
           (t->places[at].hash != hash || block_at(t, t->places[at].slot)->address != address)) {
        at = (at + 1) & (t->place_count - 1);
    }
    return &t->places[at];
}

static bool grow_places(trace *t)
{
    size_t count = t->place_count != 0 ? t->place_count * 2 : 1024;
    place *places = calloc(count, sizeof *places);
    if (places == NULL) {
        return short_of_memory(t);
    }
    for (size_t i = 0; i < t->place_count; i++) {
        size_t at = t->places[i].hash & (count - 1);
        while (places[at].slot != NO_SLOT) {
            at = (at + 1) & (count - 1);
        }
        places[at] = t->places[i];
    }
    free(t->places);
    t->places = places;
    t->place_count = count;
    return true;
}

/* Those behind it move up where they would not be found any more. */
static void clear_place(trace *t, place *p)
{
    size_t hole = (size_t)(p - t->places), mask = t->place_count - 1;
    for (size_t at = (hole + 1) & mask; t->places[at].slot != NO_SLOT; at = (at + 1) & mask) {
        size_t home = t->places[at].hash & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            t->places[hole] = t->places[at];
            hole = at;
        }
    }
    t->places[hole].slot = NO_SLOT;
}

static trace_block *find_block(const trace *t, uint64_t address)
{
    const place *p = find_place(t, address);
    return p->slot != NO_SLOT ? block_at(t, p->slot) : NULL;
}

/* A block is a line of the cache, so they begin at one. */
static bool add_slot(trace *t)
{
    list *l = &t->slots;
    if (l->count == l->room) {
        size_t room = l->room != 0 ? l->room * 2 : 1024;
        trace_block *items = aligned_alloc(sizeof *items, room * sizeof *items);
        if (items == NULL) {
            return false;
        }
        if (l->count > 0) {
            memcpy(items, l->items, l->count * sizeof *items);
        }
        free(l->items);
        l->items = items;
        l->room = room;
    }
    *block_at(t, (uint32_t)l->count++) = (trace_block){0};
    return true;
}

static uint32_t take_slot(trace *t)
{
    if (t->vacant.count > 0) {
        return ((uint32_t *)t->vacant.items)[--t->vacant.count];
    }
    if (t->slots.count == 0 && !add_slot(t)) {
        return NO_SLOT;
    }
    return add_slot(t) ? (uint32_t)t->slots.count - 1 : NO_SLOT;
}

/* The slot of what the last event showed is free now. */
static void let_go(trace *t)
{
    if (t->leaving != NO_SLOT) {
        uint32_t *slot = LIST_ADD(&t->vacant, uint32_t);
        if (slot != NULL) {
            *slot = t->leaving;
        }
        block_at(t, t->leaving)->number = 0; /* its region still has it */
        t->leaving = NO_SLOT;
    }
}

static bool put_place(trace *t, uint64_t address, uint32_t slot)
{
    if (2 * (t->live + 1) > t->place_count && !grow_places(t)) {
        return false;
    }
    *find_place(t, address) = (place){hash_of(address), slot};
    return true;
}

static void bury(trace *t, trace_block *b)
{
    clear_place(t, find_place(t, b->address));
    t->live--;
    t->live_bytes -= b->size;
    t->leaving = b->slot;
}

/* ---- numbers of the file ---- */

static bool get_number(trace *t, uint64_t *ret)
{
    uint64_t value = 0;
    for (unsigned shift = 0; t->event < t->end && shift < 64; shift += 7) {
        unsigned char byte = *t->event++;
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) {
            *ret = value;
            return true;
        }
    }
    return false;
}

static bool get_step(trace *t, uint64_t *base)
{
    uint64_t step;
    if (!get_number(t, &step)) {
        return false;
    }
    *base += step >> 1 ^ (0 - (step & 1));
    return true;
}

static bool get_address(trace *t, unsigned tag, uint64_t *base)
{
    unsigned shift = (tag & TAG_BY_16) != 0 ? 4 : 0;
    uint64_t value = *base >> shift;
    if (!get_step(t, &value)) {
        return false;
    }
    *base = value << shift;
    return true;
}

static bool get_small(trace *t, uint32_t most, uint32_t *ret)
{
    uint64_t value;
    if (!get_number(t, &value) || value > most) {
        return false;
    }
    *ret = (uint32_t)value;
    return true;
}

/* Kept until the trace is closed. */
static bool get_text(trace *t, const char **ret)
{
    uint64_t size;
    if (!get_number(t, &size) || size > TRACE_TEXT_MOST || size > (size_t)(t->end - t->event)) {
        return false;
    }
    char **kept = LIST_ADD(&t->texts, char *);
    char *text = kept != NULL ? malloc(size + 1) : NULL;
    if (text == NULL) {
        return short_of_memory(t);
    }
    memcpy(text, t->event, size);
    text[size] = '\0';
    t->event += size;
    *kept = text;
    *ret = text;
    return true;
}

static bool get_site(trace *t, unsigned tag, trace_event *e)
{
    uint32_t *last = &t->last_sites[tag & TAG_BITS];
    if ((tag & TAG_SAME_SITE) == 0 && !get_small(t, (uint32_t)t->sites.count, last)) {
        return false;
    }
    e->site = *last;
    return true;
}

static bool get_class(trace *t, unsigned tag, uint32_t *ret)
{
    if ((tag & TAG_SAME_CLASS) == 0 &&
        !get_small(t, (uint32_t)t->classes.count, &t->last_class)) {
        return false;
    }
    *ret = t->last_class;
    return *ret != 0;
}

static region *region_at(const trace *t, uint32_t number)
{
    return number != 0 && number <= t->regions.count ? (region *)t->regions.items + (number - 1)
                                                      : NULL;
}

/* ---- deaths ---- */

static bool add_dying(trace *t, member m)
{
    member *kept = LIST_ADD(&t->dying, member);
    if (kept == NULL) {
        return short_of_memory(t);
    }
    *kept = m;
    return true;
}

/* A member whose block died by itself, or was moved to a slot of another one, is passed over. */
static bool is_alive(const trace *t, member m)
{
    return m.slot < t->slots.count && block_at(t, m.slot)->number == m.number &&
           m.slot != t->leaving;
}

/* The newest `count` that are alive; the list is turned, since the queue is read from its end. */
static bool kill_newest(trace *t, region *from, uint64_t count)
{
    size_t first = t->dying.count;
    while (from->members.count > 0 && count > 0) {
        member m = ((member *)from->members.items)[--from->members.count];
        if (is_alive(t, m)) {
            count--;
            if (!add_dying(t, m)) {
                return false;
            }
        }
    }
    member *dying = t->dying.items;
    for (size_t i = first, j = t->dying.count; i + 1 < j; i++) {
        member m = dying[i];
        dying[i] = dying[--j];
        dying[j] = m;
    }
    return true;
}

static bool kill_all(trace *t)
{
    for (size_t i = 0; i < t->place_count; i++) {
        uint32_t slot = t->places[i].slot;
        if (slot != NO_SLOT && !add_dying(t, (member){block_at(t, slot)->number, slot})) {
            return false;
        }
    }
    return true;
}

static bool next_dying(trace *t, trace_event *e)
{
    while (t->dying.count > 0) {
        member m = ((member *)t->dying.items)[--t->dying.count];
        if (is_alive(t, m)) {
            trace_block *b = block_at(t, m.slot);
            *e = (trace_event){.type = TRACE_DIES, .block = b, .old_size = b->size,
                               .old_address = b->address};
            bury(t, b);
            return true;
        }
    }
    return false;
}

/* Members that are dead already are forgotten now and then: a pool's or a heap's need not be
 * kept. */
static bool join(trace *t, uint32_t number, const trace_block *b)
{
    region *r = region_at(t, number);
    if (r == NULL) {
        return true;
    }
    if (r->members.count == r->members.room && r->members.count >= 1024) {
        member *members = r->members.items;
        size_t kept = 0;
        for (size_t i = 0; i < r->members.count; i++) {
            if (is_alive(t, members[i])) {
                members[kept++] = members[i];
            }
        }
        r->members.count = kept;
    }
    member *m = LIST_ADD(&r->members, member);
    if (m == NULL) {
        return short_of_memory(t);
    }
    *m = (member){b->number, b->slot};
    return true;
}

/* ---- events ---- */

static uint32_t innermost(const trace *t)
{
    size_t open = t->open_units.count;
    return open > 0 ? ((uint32_t *)t->open_units.items)[open - 1] : 0;
}

/* Its slot is found when the event is given: what lies at its address dies before it. */
static bool make_block(trace *t, trace_event *e, uint32_t class_number)
{
    uint32_t slot = take_slot(t);
    if (slot == NO_SLOT || !put_place(t, e->address, slot)) {
        return short_of_memory(t);
    }
    trace_block *b = block_at(t, slot);
    *b = (trace_block){.number = ++t->numbers, .address = e->address, .size = e->size,
                       .born_operation = t->operations,
                       .born_time = t->time, .site = e->site, .class_number = class_number,
                       .unit = innermost(t), .slot = slot};
    t->live++;
    t->live_bytes += e->size;
    e->block = b;
    return join(t, trace_class_at(t, class_number)->region, b);
}

/* A block whose free was not noted dies first, as an event of its own. */
static bool alloc(trace *t, trace_event *e, uint32_t class_number)
{
    e->type = TRACE_ALLOC;
    trace_block *old = t->place_count > 0 ? find_block(t, e->address) : NULL;
    if (old == NULL) {
        return make_block(t, e, class_number);
    }
    t->lost_frees++;
    t->later = *e;
    t->later.count = class_number;
    t->has_later = true;
    *e = (trace_event){.type = TRACE_DIES, .block = old, .old_size = old->size,
                       .old_address = old->address, .lost = true};
    bury(t, old);
    return true;
}

static bool read_alloc(trace *t, unsigned tag, trace_event *e)
{
    uint32_t class_number;
    if (!get_class(t, tag, &class_number) || !get_number(t, &e->size)) {
        return false;
    }
    uint64_t *base = &t->bases[trace_base_of(e->size)];
    if (!get_address(t, tag, base) || !get_site(t, tag, e)) {
        return false;
    }
    t->operations++;
    e->address = *base;
    return alloc(t, e, class_number);
}

static bool read_free(trace *t, unsigned tag, trace_event *e)
{
    if (!get_address(t, tag, &t->freed) || !get_site(t, tag, e)) {
        return false;
    }
    t->operations++;
    e->type = TRACE_FREE;
    e->old_address = t->freed;
    e->block = t->place_count > 0 ? find_block(t, t->freed) : NULL;
    if (e->block == NULL) {
        t->unknown_frees++;
        return true;
    }
    e->old_size = e->block->size;
    bury(t, e->block);
    return true;
}

static bool move(trace *t, trace_event *e)
{
    trace_block *b = e->block;
    e->old_size = b->size;
    t->live_bytes += e->size - b->size;
    b->size = e->size;
    if (e->address == e->old_address) {
        return true;
    }
    trace_block *other = find_block(t, e->address);
    if (other != NULL) { /* its free was not noted */
        t->lost_frees++;
        bury(t, other);
        let_go(t);
    }
    clear_place(t, find_place(t, e->old_address));
    b->address = e->address;
    return put_place(t, e->address, b->slot);
}

/* A block that was made before the trace began is a new one. */
static bool read_resize(trace *t, unsigned tag, trace_event *e)
{
    uint64_t old;
    if (!get_address(t, tag, &t->resized) || !get_number(t, &e->size)) {
        return false;
    }
    old = e->address = t->resized;
    if (!get_step(t, &e->address) || !get_site(t, tag, e)) {
        return false;
    }
    t->operations++;
    t->resized = e->address;
    e->old_address = old;
    e->block = t->place_count > 0 ? find_block(t, old) : NULL;
    if (e->block == NULL) {
        t->unknown_frees++;
        if (t->classes.count == 0) {
            return false;
        }
        e->old_address = 0;
        return alloc(t, e, 1);
    }
    e->type = TRACE_RESIZE;
    return move(t, e);
}

static bool read_refused(trace *t, unsigned tag, trace_event *e)
{
    uint32_t class_number;
    t->operations++;
    e->type = TRACE_REFUSED;
    return get_class(t, tag, &class_number) && get_number(t, &e->size) && get_site(t, tag, e);
}

static bool read_deaths(trace *t, unsigned tag, trace_event *e)
{
    static const trace_type types[TRACE_TAGS] = {
        [TAG_RESET] = TRACE_RESET, [TAG_REWIND] = TRACE_REWIND, [TAG_UNIT_END] = TRACE_UNIT_END,
        [TAG_REGION_END] = TRACE_REGION_END};
    unsigned what = tag & TAG_BITS;
    e->type = types[what];
    e->count = UINT64_MAX;
    bool counts = what == TAG_REWIND || what == TAG_UNIT_END;
    if (!get_small(t, (uint32_t)t->regions.count, &e->region) ||
        (counts && !get_number(t, &e->count)) || !get_site(t, tag, e)) {
        return false;
    }
    region *r = region_at(t, e->region);
    if (r == NULL) {
        return false;
    }
    if (what == TAG_UNIT_END) {
        e->unit = innermost(t);
        e->keeps = t->keeps;
        t->keeps = false;
        t->open_units.count -= t->open_units.count > 0;
    }
    r->told.open = r->told.open && what != TAG_REGION_END;
    return kill_newest(t, r, e->count);
}

static bool read_unit(trace *t, unsigned tag, trace_event *e)
{
    uint32_t *open = NULL;
    e->type = TRACE_UNIT;
    if (!get_text(t, &e->text) || !get_site(t, tag, e) || t->open_units.count >= DEFINITIONS_MOST) {
        return false;
    }
    open = LIST_ADD(&t->open_units, uint32_t);
    if (open == NULL) {
        return short_of_memory(t);
    }
    *open = e->unit = ++t->units;
    return true;
}

/* ---- definitions ---- */

/* The next number of its sort: a copy of what was read. */
static bool define(trace *t, list *sort, const void *item, size_t size)
{
    if (sort->count >= DEFINITIONS_MOST) {
        return false;
    }
    void *kept = list_add(sort, size);
    if (kept == NULL) {
        return short_of_memory(t);
    }
    memcpy(kept, item, size);
    return true;
}

static bool read_region(trace *t, trace_event *e)
{
    region r = {.told.open = true};
    if (!get_small(t, 255, &r.told.strategy) || !get_number(t, &r.told.slot_size) ||
        !get_text(t, &r.told.name) || !define(t, &t->regions, &r, sizeof r)) {
        return false;
    }
    e->type = TRACE_REGION;
    e->region = (uint32_t)t->regions.count;
    return true;
}

static bool read_kind(trace *t)
{
    trace_kind k;
    return get_number(t, &k.size) && get_text(t, &k.name) && define(t, &t->kinds, &k, sizeof k);
}

static bool read_class(trace *t)
{
    uint32_t verb, align, strategy, kind, context, home;
    if (!get_small(t, TRACE_VERBS - 1, &verb) || !get_small(t, 63, &align) ||
        !get_small(t, 255, &strategy) || !get_small(t, (uint32_t)t->kinds.count, &kind) ||
        !get_small(t, 255, &context) || !get_small(t, (uint32_t)t->regions.count, &home)) {
        return false;
    }
    trace_class c = {(uint8_t)verb, (uint8_t)align, (uint8_t)strategy, (uint8_t)context, kind,
                     home};
    return define(t, &t->classes, &c, sizeof c);
}

static bool read_site(trace *t)
{
    uint64_t frames[TRACE_FRAMES_MOST];
    trace_site s;
    if (!get_small(t, TRACE_FRAMES_MOST, &s.count)) {
        return false;
    }
    for (uint32_t i = 0; i < s.count; i++) {
        if (!get_step(t, &t->frame)) {
            return false;
        }
        frames[i] = t->frame;
    }
    if (!get_text(t, &s.text)) {
        return false;
    }
    uint64_t *copy = malloc(sizeof frames);
    if (copy == NULL) {
        return short_of_memory(t);
    }
    s.frames = memcpy(copy, frames, s.count * sizeof *frames);
    if (!define(t, &t->sites, &s, sizeof s)) {
        free(copy);
        return false;
    }
    return true;
}

static bool read_module(trace *t)
{
    trace_module m;
    return get_number(t, &m.start) && get_number(t, &m.size) && get_number(t, &m.offset) &&
           get_text(t, &m.path) && define(t, &t->modules, &m, sizeof m);
}

static bool read_fact(trace *t)
{
    fact f;
    return get_text(t, &f.name) && get_text(t, &f.value) && define(t, &t->facts, &f, sizeof f);
}

static bool read_finish(trace *t)
{
    uint64_t operations;
    if (!get_number(t, &operations)) {
        return false;
    }
    t->finished = true;
    t->lost_operations = operations > t->operations ? operations - t->operations : 0;
    return true;
}

/* Of a kept unit: those blocks are the other region's newest. */
static bool read_move(trace *t)
{
    uint32_t numbers[2];
    for (int i = 0; i < 2; i++) {
        if (!get_small(t, (uint32_t)t->regions.count, &numbers[i]) ||
            region_at(t, numbers[i]) == NULL) {
            return false;
        }
    }
    region *from = region_at(t, numbers[0]), *to = region_at(t, numbers[1]);
    for (size_t i = 0; from != to && i < from->members.count; i++) {
        member *m = LIST_ADD(&to->members, member);
        if (m == NULL) {
            return short_of_memory(t);
        }
        *m = ((const member *)from->members.items)[i];
    }
    from->members.count = from != to ? 0 : from->members.count;
    t->keeps = true;
    return true;
}

/* False: it makes no sense. `shown`: the reader's caller is to see it. */
static bool read_other(trace *t, unsigned tag, trace_event *e, bool *shown)
{
    uint64_t step;
    switch (tag & TAG_BITS) {
    case TAG_KIND: return read_kind(t);
    case TAG_CLASS: return read_class(t);
    case TAG_SITE: return read_site(t);
    case TAG_MODULE: return read_module(t);
    case TAG_INFO: return read_fact(t);
    case TAG_FINISH: return read_finish(t);
    case TAG_MOVE: return read_move(t);
    case TAG_THREAD: return get_small(t, UINT32_MAX, &t->thread);
    case TAG_TIME:
        if (!get_number(t, &step)) {
            return false;
        }
        t->time += step;
        return true;
    case TAG_REGION:
        *shown = true;
        return read_region(t, e);
    case TAG_MARK:
        *shown = true;
        e->type = TRACE_MARK;
        return get_text(t, &e->text);
    case TAG_CLOSE:
        *shown = true;
        e->type = TRACE_CLOSE;
        return kill_all(t);
    default: return false;
    }
}

static bool read_event(trace *t, trace_event *e, bool *shown)
{
    unsigned tag = *t->event++;
    *shown = true;
    switch (tag & TAG_BITS) {
    case TAG_ALLOC: return read_alloc(t, tag, e);
    case TAG_FREE: return read_free(t, tag, e);
    case TAG_RESIZE: return read_resize(t, tag, e);
    case TAG_REFUSED: return read_refused(t, tag, e);
    case TAG_RESET:
    case TAG_REWIND:
    case TAG_UNIT_END:
    case TAG_REGION_END: return read_deaths(t, tag, e);
    case TAG_UNIT: return read_unit(t, tag, e);
    default:
        *shown = false;
        return read_other(t, tag, e, shown);
    }
}

/* ---- blocks of the file ---- */

static bool unpack(trace *t, const unsigned char *stored, size_t size, size_t raw)
{
#ifdef HAVE_ZSTD
    t->unpacked = t->unpacked != NULL ? t->unpacked : malloc(TRACE_BLOCK_MOST);
    if (t->unpacked == NULL) {
        return short_of_memory(t);
    }
    size_t got = ZSTD_decompress(t->unpacked, TRACE_BLOCK_MOST, stored, size);
    if (ZSTD_isError(got) || got != raw) {
        cut_at(t, "a block can't be unpacked");
        return false;
    }
    t->event = t->unpacked;
    t->end = t->unpacked + raw;
    return true;
#else
    (void)stored, (void)size, (void)raw;
    cut_at(t, "it is compressed, and this fief was built without zstd (Debian: libzstd-dev)");
    return false;
#endif
}

static void forget(trace *t)
{
    memset(t->bases, 0, sizeof t->bases);
    memset(t->last_sites, 0, sizeof t->last_sites);
    t->freed = t->resized = t->frame = 0;
    t->last_class = 0;
}

static size_t events_within(size_t left)
{
    return left < TRACE_BLOCK_MOST ? left : TRACE_BLOCK_MOST;
}

/* Up to the first tag of 0, or the end of the file. */
static bool read_open_block(trace *t)
{
    t->event = t->bytes + t->at;
    t->end = t->event + events_within(t->size - t->at);
    t->is_open_block = true;
    t->at = t->size;
    return true;
}

static bool at_the_end(trace *t)
{
    if (!t->finished) {
        cut_at(t, "the program was killed, or left by exec, or is still running");
    } else if (t->lost_operations > 0) {
        cut_at(t, "%llu operations are missing", (unsigned long long)t->lost_operations);
    }
    t->over = true;
    return false;
}

static inline uint32_t get_le32(const unsigned char *from)
{
    return from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

/* Why no block is at `header`, with `left` bytes of the file from there on; NULL: there is one. */
static const char *block_trouble(const unsigned char *header, size_t left)
{
    if (left < TRACE_BLOCK_HEADER) {
        return "the file ends within a block";
    }
    size_t stored = get_le32(header + 4), raw = get_le32(header + 8);
    if (header[0] == TRACE_OPEN) {
        return NULL;
    }
    bool is_sound = (header[0] == TRACE_RAW && stored == raw) || header[0] == TRACE_ZSTD;
    if (!is_sound || raw > TRACE_BLOCK_MOST || stored > raw) {
        return "what follows is no block";
    }
    return stored > left - TRACE_BLOCK_HEADER ? "the file ends within a block" : NULL;
}

static bool next_block(trace *t)
{
    size_t left = t->size - t->at;
    const unsigned char *header = t->bytes + t->at;
    forget(t);
    if (left == 0 || t->is_open_block || t->finished) {
        return at_the_end(t);
    }
    const char *trouble = block_trouble(header, left);
    if (trouble != NULL) {
        cut_at(t, "%s", trouble);
        return false;
    }
    t->at += TRACE_BLOCK_HEADER;
    if (header[0] == TRACE_OPEN) {
        return read_open_block(t);
    }
    size_t stored = get_le32(header + 4), raw = get_le32(header + 8);
    const unsigned char *bytes = t->bytes + t->at;
    if (trace_check(bytes, stored) != get_le32(header + 12)) {
        cut_at(t, "a block is damaged");
        return false;
    }
    t->at += stored;
    t->event = bytes;
    t->end = bytes + stored;
    return header[0] == TRACE_RAW || unpack(t, bytes, stored, raw);
}

/* The next event that is to be seen, from the file. */
static bool decode(trace *t, trace_event *e)
{
    bool shown = false;
    while (!shown && !t->over) {
        bool at_end = t->event == t->end || (t->is_open_block && *t->event == TAG_NOTHING);
        if (at_end) {
            if (!next_block(t)) {
                return false;
            }
            continue;
        }
        *e = (trace_event){.unit = innermost(t)};
        if (!read_event(t, e, &shown)) {
            cut_at(t, t->is_open_block ? "the last event was not written to its end"
                                       : "an event makes no sense");
            return false;
        }
    }
    return shown;
}

bool trace_next(trace *t, trace_event *ret)
{
    let_go(t);
    if (!next_dying(t, ret)) {
        if (t->has_later) {
            t->has_later = false;
            *ret = t->later;
            uint32_t class_number = (uint32_t)ret->count;
            ret->count = 0;
            if (!make_block(t, ret, class_number)) {
                return false;
            }
        } else if (!decode(t, ret)) {
            return false;
        }
    }
    ret->operation = t->operations;
    ret->time = t->time;
    ret->thread = t->thread;
    return true;
}

/* ---- open, close ---- */

static trace *give_up(trace *t, char *error, size_t size, const char *why)
{
    if (t != NULL) {
        (void)snprintf(error, size, "%s: %s", t->name, why);
        trace_close(t);
    } else {
        (void)snprintf(error, size, "%s", why);
    }
    return NULL;
}

static trace *check_header(trace *t, char *error, size_t size)
{
    char why[LINE];
    if (t->size < TRACE_HEADER || memcmp(t->bytes, TRACE_MAGIC, 8) != 0) {
        return give_up(t, error, size, t->size == 0 ? "is empty: no trace is" : "is not a trace");
    }
    unsigned version = t->bytes[8] | (unsigned)t->bytes[9] << 8;
    if (version != TRACE_VERSION) {
        (void)snprintf(why, sizeof why, "is a trace of version %u; this fief reads version %d",
                       version, TRACE_VERSION);
        return give_up(t, error, size, why);
    }
    t->at = TRACE_HEADER;
    return t;
}

static trace *new_trace(const char *name)
{
    trace *t = calloc(1, sizeof *t);
    if (t != NULL) {
        (void)snprintf(t->name, sizeof t->name, "%s", name);
        if (!grow_places(t)) {
            free(t);
            t = NULL;
        }
    }
    return t;
}

trace *trace_open_bytes(const void *bytes, size_t count, const char *name, char *error, size_t size)
{
    trace *t = new_trace(name);
    if (t == NULL) {
        return give_up(NULL, error, size, "there is no memory to read a trace");
    }
    t->bytes = bytes;
    t->size = count;
    return check_header(t, error, size);
}

trace *trace_open(const char *path, char *error, size_t size)
{
    trace *t = new_trace(path);
    if (t == NULL) {
        return give_up(NULL, error, size, "there is no memory to read a trace");
    }
    int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat s;
    int status = file >= 0 ? fstat(file, &s) : -1;
    if (status == 0 && !S_ISREG(s.st_mode)) {
        (void)close(file);
        return give_up(t, error, size, "is not a file");
    }
    if (status == 0 && s.st_size > 0) {
        void *mapped = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_PRIVATE, file, 0);
        t->mapped = mapped != MAP_FAILED ? mapped : NULL;
        t->bytes = t->mapped;
        t->size = t->mapped != NULL ? (size_t)s.st_size : 0;
        status = t->mapped != NULL ? 0 : -1;
    }
    int why = errno;
    if (file >= 0) {
        (void)close(file);
    }
    return status == 0 ? check_header(t, error, size) : give_up(t, error, size, strerror(why));
}

void trace_close(trace *t)
{
    if (t == NULL) {
        return;
    }
    for (size_t i = 0; i < t->texts.count; i++) {
        free(((char **)t->texts.items)[i]);
    }
    for (size_t i = 0; i < t->sites.count; i++) {
        free((void *)(uintptr_t)((trace_site *)t->sites.items)[i].frames);
    }
    for (size_t i = 0; i < t->regions.count; i++) {
        free(((region *)t->regions.items)[i].members.items);
    }
    list *const lists[] = {&t->open_units, &t->slots, &t->vacant, &t->dying, &t->sites,
                           &t->classes, &t->kinds, &t->regions, &t->modules, &t->facts, &t->texts};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        free(lists[i]->items);
    }
    if (t->mapped != NULL) {
        (void)munmap(t->mapped, t->size);
    }
    free(t->places);
    free(t->unpacked);
    free(t);
}

/* ---- what it is asked ---- */

const char *trace_cut(const trace *t)
{
    return t->cut[0] != '\0' ? t->cut : NULL;
}

bool trace_open_block(const trace *t, trace_open_at *ret)
{
    const unsigned char *header = t->bytes + TRACE_HEADER, *end = t->bytes + t->size;
    while (header < end && block_trouble(header, (size_t)(end - header)) == NULL) {
        const unsigned char *events = header + TRACE_BLOCK_HEADER;
        if (header[0] == TRACE_OPEN) {
            *ret = (trace_open_at){
                .offset = (uint64_t)(header - t->bytes), .events = events,
                .size = events_within((size_t)(end - events)),
                .operations = get_le32(header + 8) | (uint64_t)get_le32(header + 12) << 32};
            return true;
        }
        header = events + get_le32(header + 4);
    }
    return false;
}

uint64_t trace_operations(const trace *t) { return t->operations; }
uint64_t trace_live_blocks(const trace *t) { return t->live; }
uint64_t trace_live_bytes(const trace *t) { return t->live_bytes; }
uint64_t trace_time(const trace *t) { return t->time; }
uint64_t trace_unknown_frees(const trace *t) { return t->unknown_frees; }
uint64_t trace_lost_frees(const trace *t) { return t->lost_frees; }
uint64_t trace_file_size(const trace *t) { return t->size; }
uint64_t trace_file_read(const trace *t) { return t->at; }

void trace_each_live(trace *t, void (*visit)(trace_block *block, void *argument), void *argument)
{
    for (size_t i = 0; i < t->place_count; i++) {
        if (t->places[i].slot != NO_SLOT) {
            visit(block_at(t, t->places[i].slot), argument);
        }
    }
}

uint32_t trace_sites(const trace *t) { return (uint32_t)t->sites.count; }
uint32_t trace_classes(const trace *t) { return (uint32_t)t->classes.count; }
uint32_t trace_kinds(const trace *t) { return (uint32_t)t->kinds.count; }
uint32_t trace_regions(const trace *t) { return (uint32_t)t->regions.count; }
uint32_t trace_modules(const trace *t) { return (uint32_t)t->modules.count; }

const trace_site *trace_site_at(const trace *t, uint32_t number)
{
    return list_at(&t->sites, number, sizeof(trace_site));
}

const trace_class *trace_class_at(const trace *t, uint32_t number)
{
    return list_at(&t->classes, number, sizeof(trace_class));
}

const trace_kind *trace_kind_at(const trace *t, uint32_t number)
{
    return list_at(&t->kinds, number, sizeof(trace_kind));
}

const trace_region *trace_region_at(const trace *t, uint32_t number)
{
    const region *r = list_at(&t->regions, number, sizeof(region));
    return r != NULL ? &r->told : NULL;
}

const trace_module *trace_module_at(const trace *t, uint32_t number)
{
    return list_at(&t->modules, number, sizeof(trace_module));
}

const char *trace_info(const trace *t, const char *name)
{
    for (size_t i = t->facts.count; i > 0; i--) {
        const fact *f = (const fact *)t->facts.items + (i - 1);
        if (strcmp(f->name, name) == 0) {
            return f->value;
        }
    }
    return NULL;
}

const char *trace_info_at(const trace *t, uint32_t index, const char **ret_value)
{
    if (index >= t->facts.count) {
        return NULL;
    }
    const fact *f = (const fact *)t->facts.items + index;
    *ret_value = f->value;
    return f->name;
}

const char *trace_verb_name(unsigned verb)
{
    static const char *const names[TRACE_VERBS] = {"malloc", "calloc", "aligned", "new",
                                                   "copy",   "placed", "taken"};
    return verb < TRACE_VERBS ? names[verb] : "(unknown)";
}

const char *trace_strategy_name(unsigned strategy)
{
    static const char *const names[] = {"malloc", "vm arena", "compiler arena",
                                        "stack",  "pool",     "heap"};
    return strategy < sizeof names / sizeof *names ? names[strategy] : "(unknown)";
}

const char *trace_context_name(unsigned context)
{
    static const char *const names[] = {"native",   "literal",  "constant", "dynamic",
                                        "temporary", "context5", "context6", "context7"};
    return context < sizeof names / sizeof *names ? names[context] : "(unknown)";
}
