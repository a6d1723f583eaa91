/* report: the text and the JSON of a misuse. */
#include "manager/report.h"

#include "core/depot.h"
#include "sites/sites.h"

#include <fief/misuse.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void put(writer *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t room = w->length < w->size ? w->size - w->length : 0;
    int length = vsnprintf(room != 0 ? w->buffer + w->length : NULL, room, format, args);
    w->length += length < 0 ? 0 : (size_t)length;
    va_end(args);
}

void put_string(writer *w, const char *text)
{
    put(w, "\"");
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\' || (unsigned char)*c < 0x20) {
            put(w, "\\u%04x", (unsigned)(unsigned char)*c);
        } else {
            put(w, "%c", *c);
        }
    }
    put(w, "\"");
}

/* ---- sites ---- */

enum { FRAMES_MAX = 32, SITES = 4 };

typedef struct found {
    site_text frames[FRAMES_MAX];
    size_t count;
} found;

/* Mapped for each report: a report may be made on a small stack, and by two threads at once. */
typedef struct scratch {
    found sites[SITES];
    site_text texts[SITES * FRAMES_MAX];
    site_address addresses[SITES * FIEF_DEPTH_MAX];
    os_module present[OS_MODULES_MAX];
    size_t present_count;
} scratch;

/* A stack that the library has kept is of the files that were loaded then, another of those that
 * are loaded now. */
static const os_module *module_of(scratch *s, const fief_misuse *m, const fief_site *site,
                                  const void *pc)
{
    if (site->stack != 0) {
        return depot_module(m->evidence, site->stack, pc);
    }
    if (s->present_count == 0) {
        s->present_count = os_modules(s->present, OS_MODULES_MAX);
    }
    for (size_t i = 0; i < s->present_count; i++) {
        if ((uintptr_t)pc >= s->present[i].start && (uintptr_t)pc < s->present[i].end) {
            return &s->present[i];
        }
    }
    return NULL;
}

finder *finder_for(report_means means)
{
    switch (means) {
    case REPORT_CHILD: return sites_find;
    case REPORT_PLAIN: return sites_plain;
    default: return sites_find_here;
    }
}

/* All sites are asked for at once: one child for a report. NULL: memory is short, and the
 * report goes without frames. */
static scratch *find_sites(const fief_misuse *m, report_means means)
{
    static const fief_site none;
    const fief_site *sites[SITES] = {&m->used, &m->died, &m->allocated,
                                     m->dangling != NULL ? &m->dangling->holder_allocated : &none};
    scratch *s = os_map(sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    site_text *texts = s->texts;
    found *ret_found = s->sites;
    size_t count = 0, at = 0;
    for (size_t i = 0; i < SITES; i++) {
        for (size_t frame = 0; frame < sites[i]->count; frame++) {
            const void *pc = sites[i]->frames[frame];
            s->addresses[count++] =
                (site_address){pc, module_of(s, m, sites[i], pc), frame > 0};
        }
    }
    size_t total = finder_for(means)(s->addresses, count, texts, (size_t)SITES * FRAMES_MAX);
    for (size_t i = 0, end = 0; i < SITES; i++) {
        end += sites[i]->count;
        for (ret_found[i].count = 0; at < total && texts[at].address < end; at++) {
            if (ret_found[i].count < FRAMES_MAX) {
                ret_found[i].frames[ret_found[i].count++] = texts[at];
            }
        }
    }
    return s;
}

static const found *frames_at(const scratch *s, size_t site)
{
    static const found none;
    return s != NULL ? &s->sites[site] : &none;
}

static void forget_sites(scratch *s)
{
    if (s != NULL) {
        os_release(s, sizeof *s);
    }
}

const char *function_of(const site_text *text)
{
    return text->function[0] != '\0' ? text->function : "??";
}

void put_place(writer *w, const site_text *text)
{
    if (text->line != 0) {
        put(w, "%s:%u", text->file, text->line);
    } else {
        put(w, "(%s+0x%llx)", text->file, (unsigned long long)text->offset);
    }
}

/* The host's own location, in its own words; false: it has none, or is not to be asked. */
enum { WHERE_SIZE = 200 };
static bool get_where(const fief_site *site, const fief_misuse *m, report_means means,
                      char where[WHERE_SIZE])
{
    where[0] = '\0';
    if (site->where == 0 || m->where_text == NULL || means == REPORT_SILENT_HOST ||
        means == REPORT_PLAIN) {
        return false;
    }
    (void)m->where_text(site->where, where, WHERE_SIZE, m->user);
    where[WHERE_SIZE - 1] = '\0';
    return true;
}

static void put_where(writer *w, const fief_site *site, const fief_misuse *m, report_means means)
{
    char where[WHERE_SIZE];
    if (get_where(site, m, means, where)) {
        put(w, ", %s", where);
    }
}

/* Colour is never the only carrier of anything. */
enum tone { PLAIN, RED, HEADING, HELP, DIM };

static const char *tone(const fief_misuse *m, enum tone t)
{
    static const char *const codes[] = {"\033[0m", "\033[1;31m", "\033[1m", "\033[36m", "\033[2m"};
    return m->color ? codes[t] : "";
}

/* A sentence that begins in `column`, in lines of 79 columns; later ones are indented. Returns the
 * column behind it. */
static size_t put_wrapped(writer *w, size_t column, int indent, const char *text)
{
    enum { COLUMNS = 79 };
    for (const char *word = text; *word != '\0';) {
        size_t length = strcspn(word, " ");
        if (column + (word != text) + length > COLUMNS) {
            put(w, "\n%*s", indent, "");
            column = (size_t)indent;
        } else if (word != text) {
            put(w, " ");
            column++;
        }
        put(w, "%.*s", (int)length, word);
        column += length;
        word += length + (word[length] == ' ');
    }
    return column;
}

void put_help(writer *w, const fief_misuse *m)
{
    enum { INDENT = 8 };
    static const char label[] = "help: ";
    char pointer[64];
    put(w, "  %s%s", tone(m, HELP), label);
    size_t column = put_wrapped(w, 2 + sizeof label - 1, INDENT, fief_misuse_explain(m->class_id));
    (void)snprintf(pointer, sizeof pointer, "(fief explain %s)", fief_misuse_name(m->class_id));
    bool fits = column + 2 + strlen(pointer) <= 79;
    put(w, fits ? "  %s" : "\n        %s", pointer);
    put(w, "%s\n", tone(m, PLAIN));
}

static void put_lifetime(writer *w, const fief_misuse *m)
{
    if (m->lifetime != NULL) {
        bool refused = m->class_id == FIEF_MISUSE_WRONG_ALLOCATOR;
        put(w, "  note: %s%s\n", m->lifetime, refused ? "; nothing was freed" : "");
    }
}

void put_runtime(writer *w, const fief_misuse *m)
{
    put(w, "  %sruntime \"%s\", thread %d, fief " FIEF_VERSION " %s%s\n", tone(m, DIM), m->runtime,
        m->thread, m->mode, tone(m, PLAIN));
    if (m->operations != NULL) {
        put(w, "  %slast operations: ./dev replay %s%s\n", tone(m, DIM), m->operations,
            tone(m, PLAIN));
    }
}

static void put_killer(writer *w, const fief_site *site, const fief_misuse *m)
{
    if (site == &m->died && m->unit != 0) {
        put(w, ", end of unit %u", m->unit);
        if (m->unit_name != NULL) {
            put(w, " \"%s\"", m->unit_name);
        }
    }
}

static void put_site(writer *w, const char *what, const fief_site *site, const found *frames,
                     const fief_misuse *m, report_means means)
{
    if (site->count == 0 && site->operation == 0) {
        return;
    }
    put(w, "  %s%s%s", tone(m, HEADING), what, tone(m, PLAIN));
    if (site->operation != 0) {
        put(w, "  operation %llu", (unsigned long long)site->operation);
    }
    put_killer(w, site, m);
    put_where(w, site, m, means);
    put(w, "\n");
    for (size_t i = 0; i < frames->count; i++) {
        const site_text *text = &frames->frames[i];
        put(w, "    #%zu %p in %s ", i, text->pc, function_of(text));
        put_place(w, text);
        put(w, "\n");
        if (i == 0 && text->source[0] != '\0') {
            put(w, "     > %u | %s\n", text->line, text->source);
        }
    }
}

static const char *quoted(const char *kind, char *buffer, size_t size)
{
    (void)snprintf(buffer, size, kind != NULL ? "'%s', " : "a block of ", kind);
    return buffer;
}

static void put_block(writer *w, const fief_misuse *m)
{
    char kind[64];
    if (m->block == NULL) {
        if (m->address != NULL) {
            put(w, "  %p%s%s\n", m->address, m->strategy != NULL ? " lies in the " : "",
                m->strategy != NULL ? m->strategy : "");
        }
        return;
    }
    uintptr_t at = (uintptr_t)m->address, start = (uintptr_t)m->block, end = start + m->block_size;
    bool before = at < start, behind = at >= end && at != start;
    uintptr_t inside_or_behind = behind ? at - end : at - start;
    put(w, "  %p is %zu bytes %s %s%zu bytes, %s, %s\n", m->address,
        (size_t)(before ? start - at : inside_or_behind),
        before ? "before" : (behind ? "behind" : "into"),
        quoted(m->kind, kind, sizeof kind), m->block_size,
        m->strategy != NULL ? m->strategy : "of the host's buffer",
        m->block_is_live ? "alive" : "dead");
}

static void put_dangling(writer *w, const fief_dangling *d)
{
    const fief_shape *first = &d->shape[0];
    put(w, "  '%s' %zu bytes, %s  +%zu -> '%s'\n", first->holder, d->holder_size,
        d->holder_strategy != NULL ? d->holder_strategy : "a root", d->offset, first->target);
}

static void put_shapes(writer *w, const fief_dangling *d)
{
    const fief_shape *first = &d->shape[0];
    if (first->count > 1) {
        put(w, "  also: %zu more of this shape (%s+%zu -> %s)%s\n", first->count - 1, first->holder,
            first->offset, first->target, d->shapes == 1 && d->more == 0 ? ", no other shape" : "");
    }
    for (size_t i = 1; i < d->shapes; i++) {
        const fief_shape *s = &d->shape[i];
        put(w, "  also: %zu of %s+%zu -> %s\n", s->count, s->holder, s->offset, s->target);
    }
    if (d->more != 0) {
        put(w, "  also: %zu of other shapes\n", d->more);
    }
}

static void put_summary(writer *w, const fief_misuse *m, const found *used)
{
    put(w, "SUMMARY: fief: %s", fief_misuse_name(m->class_id));
    if (used->count != 0) {
        put(w, " ");
        put_place(w, &used->frames[0]);
        put(w, " in %s", function_of(&used->frames[0]));
    }
    put(w, "\n");
}

/* ---- the whole ---- */

void put_first_line(writer *w, const fief_misuse *m)
{
    /* Whatever the process's number, the line ends at the same word. */
    static const char longest[] = "==4194304==fief: misuse[]: ";
    const char *name = fief_misuse_name(m->class_id);
    size_t column = sizeof longest - 1 + strlen(name);
    put(w, "==%d==fief: misuse[%s%s%s]: ", os_process(), tone(m, RED), name, tone(m, PLAIN));
    (void)put_wrapped(w, column, 2, m->text);
    put(w, "\n");
}

void put_rest(writer *w, const fief_misuse *m, report_means means)
{
    if (m->leaks != NULL) {
        put_leaks(w, m, means);
        return;
    }
    scratch *sites = find_sites(m, means);
    put_block(w, m);
    if (m->dangling != NULL) {
        put_dangling(w, m->dangling);
    }
    put_site(w, call_label(m), &m->used, frames_at(sites, 0), m, means);
    put_site(w, "died at", &m->died, frames_at(sites, 1), m, means);
    put_site(w, m->dangling != NULL ? "target allocated at" : "allocated at", &m->allocated,
             frames_at(sites, 2), m, means);
    if (m->dangling != NULL) {
        put_site(w, "holder allocated at", &m->dangling->holder_allocated, frames_at(sites, 3), m,
                 means);
        put_shapes(w, m->dangling);
    }
    put_lifetime(w, m);
    put_help(w, m);
    if (sites_hint() != NULL) {
        put(w, "  note: %s\n", sites_hint());
    }
    put_runtime(w, m);
    put_summary(w, m, frames_at(sites, 0));
    forget_sites(sites);
}

void put_description(writer *w, const fief_misuse *m)
{
    scratch *sites = find_sites(m, REPORT_CHILD);
    put(w, "==%d==fief: what lies at %p\n", os_process(), m->address);
    put_block(w, m);
    put_site(w, "died at", &m->died, frames_at(sites, 1), m, REPORT_CHILD);
    put_site(w, "allocated at", &m->allocated, frames_at(sites, 2), m, REPORT_CHILD);
    put_lifetime(w, m);
    if (m->block != NULL && !m->block_is_live) {
        put_help(w, m);
    }
    put_runtime(w, m);
    forget_sites(sites);
}

size_t fief_misuse_text(const fief_misuse *m, char *buffer, size_t size)
{
    writer w = {buffer, size, 0};
    put_first_line(&w, m);
    put_rest(&w, m, REPORT_CHILD);
    return w.length;
}

/* ---- JSON ---- */

enum { JSON_SIZE = 4096, JSON_FRAMES = 4 };

static void put_string_or_null(writer *w, const char *text)
{
    if (text != NULL) {
        put_string(w, text);
    } else {
        put(w, "null");
    }
}

void put_json_frame(writer *w, const site_text *text)
{
    put(w, "{\"function\":");
    put_string(w, text->function);
    put(w, ",\"file\":");
    put_string(w, text->file);
    put(w, ",\"line\":%u", text->line);
    if (text->line == 0) {
        put(w, ",\"offset\":%llu", (unsigned long long)text->offset);
    }
    put(w, "}");
}

/* Returns how many frames were left out. */
static size_t put_frames(writer *w, const char *name, const fief_misuse *m, const fief_site *site,
                         const found *frames, size_t most)
{
    char where[WHERE_SIZE];
    size_t count = frames->count < most ? frames->count : most;
    put(w, "\"%s\":{\"operation\":%llu,\"where\":", name, (unsigned long long)site->operation);
    put_string_or_null(w, get_where(site, m, REPORT_CHILD, where) ? where : NULL);
    put(w, ",\"frames\":[");
    for (size_t i = 0; i < count; i++) {
        const site_text *text = &frames->frames[i];
        put(w, "%s", i > 0 ? "," : "");
        put_json_frame(w, text);
    }
    put(w, "]}");
    return frames->count - count;
}

static void put_holder(writer *w, const fief_dangling *d)
{
    if (d == NULL) {
        put(w, "null");
        return;
    }
    size_t others = d->more;
    for (size_t i = 1; i < d->shapes; i++) {
        others += d->shape[i].count;
    }
    put(w, "{\"kind\":");
    put_string(w, d->shape[0].holder);
    put(w, ",\"strategy\":");
    put_string(w, d->holder_strategy != NULL ? d->holder_strategy : "");
    put(w, ",\"size_bytes\":%zu,\"offset_bytes\":%zu,\"repeats\":%zu,\"others\":%zu}",
        d->holder_size, d->offset, d->shape[0].count - 1, others);
}

static void put_json_block(writer *w, const fief_misuse *m)
{
    if (m->block == NULL) {
        put(w, "null");
        return;
    }
    put(w, "{\"address\":\"%p\",\"offset_bytes\":%td,\"size_bytes\":%zu,\"alive\":%s,\"kind\":",
        m->block, (const char *)m->address - (const char *)m->block, m->block_size,
        m->block_is_live ? "true" : "false");
    put_string(w, m->kind != NULL ? m->kind : "");
    put(w, ",\"strategy\":");
    put_string(w, m->strategy != NULL ? m->strategy : "");
    put(w, "}");
}

static size_t put_json_sites(writer *w, const fief_misuse *m, const scratch *sites, size_t most)
{
    put(w, "{");
    size_t omitted = put_frames(w, "used", m, &m->used, frames_at(sites, 0), most);
    put(w, ",");
    omitted += put_frames(w, "died", m, &m->died, frames_at(sites, 1), most);
    put(w, ",");
    omitted += put_frames(w, "allocated", m, &m->allocated, frames_at(sites, 2), most);
    if (m->dangling != NULL) {
        put(w, ",");
        omitted += put_frames(w, "holder_allocated", m, &m->dangling->holder_allocated,
                              frames_at(sites, 3), most);
    }
    put(w, "}");
    return omitted;
}

/* What two reports of one mistake have in common. */
static void put_dedup(writer *w, const fief_misuse *m, const site_text *place)
{
    char text[600];
    writer key = {text, sizeof text, 0};
    put(&key, "%s", fief_misuse_name(m->class_id));
    if (place != NULL) {
        put(&key, " %s %s:%u", place->function, place->file, place->line);
    }
    put_string(w, text);
}

/* The address, and the unit that ends or ended. */
static void put_json_place(writer *w, const fief_misuse *m)
{
    put(w, ",\"address\":");
    if (m->address != NULL) {
        put(w, "\"%p\"", m->address);
    } else {
        put(w, "null");
    }
    if (m->unit == 0) {
        put(w, ",\"unit\":null");
        return;
    }
    put(w, ",\"unit\":{\"number\":%u,\"name\":", m->unit);
    put_string_or_null(w, m->unit_name);
    put(w, "}");
}

static void put_json(writer *w, const fief_misuse *m, const scratch *sites,
                     const site_text *places, size_t most)
{
    static const char *const accesses[] = {"call", "read", "write", "found"};
    put(w, "{\"schema\":\"fief-misuse/1\",\"class\":\"%s\",\"runtime\":",
        fief_misuse_name(m->class_id));
    put_string(w, m->runtime);
    put(w, ",\"thread\":%d,\"mode\":\"%s\",\"operation\":%llu,\"access\":\"%s\",", m->thread,
        m->mode, (unsigned long long)m->operation, accesses[m->access]);
    if (m->access_size != 0) {
        put(w, "\"access_bytes\":%zu,", m->access_size);
    }
    put(w, "\"text\":");
    put_string(w, m->text);
    put_json_place(w, m);
    put(w, ",\"block\":");
    put_json_block(w, m);
    put(w, ",\"sites\":");
    size_t omitted = put_json_sites(w, m, sites, most);
    put(w, ",\"holder\":");
    put_holder(w, m->dangling);
    put(w, ",\"leaks\":");
    omitted += put_json_leaks(w, m, most * FIEF_LEAKS_MAX / JSON_FRAMES, places);
    put(w, ",\"repeats\":%zu,\"note\":", m->dangling != NULL ? m->dangling->shape[0].count - 1 : 0);
    put_string_or_null(w, m->lifetime);
    put(w, ",\"help\":");
    put_string(w, fief_misuse_explain(m->class_id));
    put(w, ",\"dedup\":");
    const found *used = frames_at(sites, 0);
    const site_text *first = used->count != 0 ? &used->frames[0] : NULL;
    put_dedup(w, m, places != NULL ? &places[0] : first);
    put(w, ",\"omitted\":%zu}", omitted);
}

size_t fief_misuse_json(const fief_misuse *m, char *buffer, size_t size)
{
    scratch *sites = find_sites(m, REPORT_CHILD);
    site_text *places = m->leaks != NULL ? find_leak_places(m, REPORT_CHILD) : NULL;
    writer w = {buffer, size, JSON_SIZE};
    for (size_t most = JSON_FRAMES + 1; w.length >= JSON_SIZE && most-- > 0;) {
        w.length = 0;
        put_json(&w, m, sites, places, most);
    }
    forget_leak_places(places);
    forget_sites(sites);
    return w.length;
}
