/* places: see places.h. */
#include "places.h"

#include <stdlib.h>

enum { CALLERS_OF_A_HELPER = 5, HELPERS_MOST = 4, LABEL = 300 };

typedef struct pair {
    uint32_t site, class_number, place;
    uint64_t live, most, blocks, bytes;
} pair;

struct places {
    pair *pairs;
    uint32_t count, room;
    uint32_t *table; /* pair + 1; a power of two of them, at most half in use */
    uint32_t table_size;
    place *places;
    uint32_t place_count;
};

/* ---- pairs ---- */

static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t x = (a * 0x9E3779B97F4A7C15u) ^ (b + 0x7F4A7C15u);
    x *= 0xD6E8FEB86659FD93u;
    return x ^ x >> 32;
}

static uint32_t *find_pair(const places *p, uint32_t site, uint32_t class_number)
{
    uint32_t at = (uint32_t)mix(site, class_number) & (p->table_size - 1);
    for (; p->table[at] != 0; at = (at + 1) & (p->table_size - 1)) {
        const pair *is = &p->pairs[p->table[at] - 1];
        if (is->site == site && is->class_number == class_number) {
            break;
        }
    }
    return &p->table[at];
}

static bool grow(places *p)
{
    uint32_t size = p->table_size != 0 ? p->table_size * 2 : 1024;
    uint32_t *table = calloc(size, sizeof *table);
    pair *pairs = realloc(p->pairs, size / 2 * sizeof *pairs);
    p->pairs = pairs != NULL ? pairs : p->pairs;
    if (table == NULL || pairs == NULL) {
        free(table);
        return false;
    }
    free(p->table);
    p->table = table;
    p->table_size = size;
    p->room = size / 2;
    for (uint32_t i = 0; i < p->count; i++) {
        *find_pair(p, pairs[i].site, pairs[i].class_number) = i + 1;
    }
    return true;
}

places *places_new(void)
{
    places *p = calloc(1, sizeof *p);
    if (p != NULL && !grow(p)) {
        places_free(p);
        p = NULL;
    }
    return p;
}

static void free_names(const place *p)
{
    free((void *)(uintptr_t)p->site);
    free((void *)(uintptr_t)p->kind);
}

void places_free(places *p)
{
    if (p != NULL) {
        for (uint32_t i = 0; i < p->place_count; i++) {
            free_names(&p->places[i]);
        }
        free(p->places);
        free(p->pairs);
        free(p->table);
        free(p);
    }
}

uint32_t places_pair(places *p, uint32_t site, uint32_t class_number)
{
    uint32_t *found = find_pair(p, site, class_number);
    if (*found == 0) {
        if (p->count == p->room && !grow(p)) {
            return PLACES_NONE;
        }
        found = find_pair(p, site, class_number);
        p->pairs[p->count++] = (pair){.site = site, .class_number = class_number};
        *found = p->count;
    }
    return *found - 1;
}

void places_count(places *p, uint32_t number, int64_t more, uint64_t made)
{
    pair *of = &p->pairs[number];
    of->live += (uint64_t)more;
    of->most = of->live > of->most ? of->live : of->most;
    of->blocks += made;
    of->bytes += more > 0 ? (uint64_t)more : 0;
}

/* ---- which frame names a site ---- */

typedef struct call {
    uint64_t frame, caller;
} call;

static int by_call(const void *a, const void *b)
{
    const call *x = a, *y = b;
    return x->frame != y->frame ? (x->frame > y->frame) - (x->frame < y->frame)
                                : (x->caller > y->caller) - (x->caller < y->caller);
}

/* The frames that have many callers, sorted; they stay in `calls`. */
static size_t keep_helpers(call *calls, size_t count)
{
    size_t kept = 0, callers = 0;
    qsort(calls, count, sizeof *calls, by_call);
    for (size_t i = 0; i < count; i++) {
        bool same_frame = i > 0 && calls[i].frame == calls[i - 1].frame;
        callers = !same_frame ? 1 : callers + (calls[i].caller != calls[i - 1].caller);
        if (callers == CALLERS_OF_A_HELPER &&
            (kept == 0 || calls[kept - 1].frame != calls[i].frame)) {
            /* calls[kept] lies before i, so it was compared already. */
            calls[kept++].frame = calls[i].frame;
        }
    }
    return kept;
}

static int by_frame(const void *a, const void *b)
{
    uint64_t x = ((const call *)a)->frame, y = ((const call *)b)->frame;
    return (x > y) - (x < y);
}

static bool is_helper(const call *helpers, size_t count, uint64_t frame)
{
    call wanted = {frame, 0};
    return bsearch(&wanted, helpers, count, sizeof wanted, by_frame) != NULL;
}

/* The innermost frame may have a single caller, which is the helper then: malloc's own hook. */
static uint8_t choose_frame(const trace_site *s, const call *helpers, size_t count)
{
    uint32_t at = 0;
    while (at + 1 < s->count && at < HELPERS_MOST) {
        if (is_helper(helpers, count, s->frames[at])) {
            at++;
        } else if (at == 0 && s->count > 2 && is_helper(helpers, count, s->frames[1])) {
            at = 2;
        } else {
            break;
        }
    }
    return (uint8_t)at;
}

/* For each site the index of the frame that names it. */
static uint8_t *choose_frames(const trace *t)
{
    uint32_t sites = trace_sites(t);
    uint8_t *chosen = calloc((size_t)sites + 1, 1);
    call *calls = calloc((size_t)sites * HELPERS_MOST + 1, sizeof *calls);
    size_t count = 0;
    for (uint32_t i = 1; chosen != NULL && calls != NULL && i <= sites; i++) {
        const trace_site *s = trace_site_at(t, i);
        for (uint32_t d = 0; d < HELPERS_MOST && d + 1 < s->count; d++) {
            calls[count++] = (call){s->frames[d], s->frames[d + 1]};
        }
    }
    size_t helpers = calls != NULL ? keep_helpers(calls, count) : 0;
    for (uint32_t i = 1; chosen != NULL && helpers > 0 && i <= sites; i++) {
        chosen[i] = choose_frame(trace_site_at(t, i), calls, helpers);
    }
    free(calls);
    return chosen;
}

/* ---- places ---- */

static const char *name_site(const trace *t, const symbols *s, uint32_t number, unsigned frame)
{
    char label[LABEL] = "";
    const trace_site *site = trace_site_at(t, number);
    size_t count;
    if (site != NULL && site->text[0] == '\0' && frame < site->count) {
        symbol_text(symbols_of(s, site->frames[frame], &count), label, sizeof label);
    } else if (site != NULL) {
        symbol_site(s, site, label, sizeof label);
    }
    return strdup(label);
}

static bool same_place(const place *a, const place *b)
{
    return a->strategy == b->strategy && a->context == b->context &&
           strcmp(a->kind, b->kind) == 0 && strcmp(a->site, b->site) == 0;
}

typedef struct named {
    place is;
    uint32_t pair;
} named;

static int by_name(const void *a, const void *b)
{
    const place *x = &((const named *)a)->is, *y = &((const named *)b)->is;
    int order = strcmp(x->site, y->site);
    order = order != 0 ? order : strcmp(x->kind, y->kind);
    order = order != 0 ? order : x->context - y->context;
    return order != 0 ? order : x->strategy - y->strategy;
}

static int by_most(const void *a, const void *b)
{
    const place *x = a, *y = b;
    if (x->most != y->most) {
        return x->most < y->most ? 1 : -1;
    }
    return x->bytes != y->bytes ? (x->bytes < y->bytes ? 1 : -1) : strcmp(x->site, y->site);
}

static bool name_pair(named *ret, const places *p, uint32_t number, const trace *t,
                      const symbols *s, const uint8_t *frames, bool by_kind)
{
    const pair *from = &p->pairs[number];
    const trace_class *c = trace_class_at(t, from->class_number);
    const trace_kind *k = c != NULL ? trace_kind_at(t, c->kind) : NULL;
    ret->pair = number;
    ret->is = (place){.kind = strdup(k != NULL ? k->name : ""),
                      .strategy = c != NULL ? c->strategy : 0,
                      .context = k != NULL ? c->context : 0,
                      .blocks = from->blocks,
                      .bytes = from->bytes,
                      .most = from->most};
    ret->is.site =
        by_kind && k != NULL ? strdup("") : name_site(t, s, from->site, frames[from->site]);
    return ret->is.site != NULL && ret->is.kind != NULL;
}

/* Equal ones that lie side by side become one; their pairs learn its number. */
static void join_named(places *p, named *all, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        place *last = p->place_count > 0 ? &p->places[p->place_count - 1] : NULL;
        if (last != NULL && same_place(last, &all[i].is)) {
            last->blocks += all[i].is.blocks;
            last->bytes += all[i].is.bytes;
            last->most += all[i].is.most;
            free_names(&all[i].is);
        } else {
            p->places[p->place_count++] = all[i].is;
        }
        p->pairs[all[i].pair].place = p->place_count - 1;
    }
}

static bool sort_places(places *p)
{
    uint32_t *now = calloc((size_t)p->place_count + 1, sizeof *now);
    for (uint32_t i = 0; i < p->place_count; i++) {
        p->places[i].number = i;
    }
    qsort(p->places, p->place_count, sizeof *p->places, by_most);
    for (uint32_t i = 0; now != NULL && i < p->place_count; i++) {
        now[p->places[i].number] = i;
        p->places[i].number = i;
    }
    for (uint32_t i = 0; now != NULL && i < p->count; i++) {
        p->pairs[i].place = now[p->pairs[i].place];
    }
    bool sound = now != NULL;
    free(now);
    return sound;
}

bool places_name(places *p, const trace *t, const symbols *s, bool by_kind)
{
    uint8_t *frames = choose_frames(t);
    named *all = calloc((size_t)p->count + 1, sizeof *all);
    p->places = calloc((size_t)p->count + 1, sizeof *p->places);
    bool sound = frames != NULL && all != NULL && p->places != NULL;
    for (uint32_t i = 0; sound && i < p->count; i++) {
        sound = name_pair(&all[i], p, i, t, s, frames, by_kind);
    }
    if (sound) {
        qsort(all, p->count, sizeof *all, by_name);
        join_named(p, all, p->count);
        sound = sort_places(p);
    } else {
        for (uint32_t i = 0; all != NULL && i < p->count; i++) {
            free_names(&all[i].is);
        }
    }
    free(frames);
    free(all);
    return sound;
}

uint32_t places_total(const places *p)
{
    return p->place_count;
}

const place *places_at(const places *p, uint32_t number)
{
    return &p->places[number];
}

uint32_t places_of(const places *p, uint64_t pair_number)
{
    return p->pairs[pair_number].place;
}

void place_text(const place *p, char *buffer, size_t size)
{
    bool has_kind = p->kind[0] != '\0', has_site = p->site[0] != '\0';
    (void)snprintf(buffer, size, "%s%s%s%s%s", p->kind, has_kind ? ", " : "",
                   has_kind ? trace_context_name(p->context) : "", has_kind && has_site ? "  " : "",
                   has_site   ? p->site
                   : has_kind ? ""
                              : "(unknown)");
}
