/* trace: a runtime's calls as a trace (base/trace.h), where the host asked for one. Notes arrive
 * here as they do at the diary. What is given back is noted before it is looked at, so the last
 * note waits until the next: a call that was refused is forgotten. Blocks of events are written
 * raw, when they are full, before a report, and at the close. */
#include "manager/report.h"
#include "manager/runtime.h"

#include "base/trace.h"
#include "os/os.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum {
    CLASSES_MOST = 4096,
    REGIONS_MOST = 4096,
    CALLS_PER_CLOCK = 64,
    WHERE_TEXT = 200,
    MICROSECOND = 1000,
    ALL_OF_THEM = 1 << 30, /* as many blocks as a rewind can end */
    EVENTS_MOST = TRACE_BLOCK_MOST / 4
};

typedef struct tracer {
    trace_hook hook; /* first */
    encoder e;
    core *core;
    int file; /* -1: the host's function has it */
    fief_trace to;
    uint64_t began, changes;
    unsigned until_clock;
    bool has_waiting, closing;
    note waiting;
    uint32_t waiting_site;
    uint32_t class_count, region_count;
    trace_class classes[CLASSES_MOST];
    const void *regions[REGIONS_MOST];
    site_table sites;
    site_place places[SITE_PLACES];
    os_module modules[OS_MODULES_MAX];
    unsigned char room[TRACE_BLOCK_HEADER + EVENTS_MOST];
} tracer;

/* NULL: there is none. */
static tracer *tracer_of(const core *c)
{
    return (tracer *)(void *)c->trace;
}

/* ---- where it goes ---- */

static bool write_bytes(tracer *t, const void *bytes, size_t size)
{
    return t->file >= 0 ? os_append(t->file, bytes, size) : t->to.write(bytes, size, t->to.user);
}

static bool flush(encoder *e)
{
    tracer *t = (tracer *)(void *)((unsigned char *)e - offsetof(tracer, e));
    size_t size = (size_t)(e->cursor - e->start);
    e->cursor = e->start;
    if (size == 0) {
        return true;
    }
    trace_block_header(t->room, TRACE_RAW, size, size, trace_check(e->start, size));
    return write_bytes(t, t->room, TRACE_BLOCK_HEADER + size);
}

/* ---- definitions ---- */

static void note_modules(tracer *t)
{
    size_t count = os_modules(t->modules, OS_MODULES_MAX);
    t->changes = os_module_changes();
    for (size_t i = 0; i < count; i++) {
        const os_module *m = &t->modules[i];
        uint64_t numbers[] = {m->start, m->end - m->start, 0};
        encode_numbers(&t->e, TAG_MODULE, numbers, 3, m->path);
    }
}

/* A line of the host's own program tells its places apart, where it has such lines. */
static uint32_t site_of(tracer *t, const core *c)
{
    uint64_t frame = (uintptr_t)c->from.site;
    uint64_t where = c->where != NULL ? c->where(c->user) : 0, both[] = {frame, where};
    uint64_t key = site_key(both, where != 0 ? 2 : 1);
    site_place *place = site_find(&t->sites, key);
    if (site_is_new(&t->sites, place, key)) {
        char text[WHERE_TEXT] = "";
        if (where != 0 && c->where_text != NULL) {
            (void)c->where_text(where, text, sizeof text, c->user);
        }
        if (t->changes != os_module_changes()) {
            note_modules(t);
        }
        encode_site(&t->e, &frame, 1, text);
    }
    return place->key == key ? place->number : 0;
}

static uint32_t region_of(const tracer *t, const void *allocator)
{
    for (uint32_t i = 0; i < t->region_count; i++) {
        if (t->regions[i] == allocator) {
            return i + 1;
        }
    }
    return 0;
}

/* Newest first, since a closed one's address may be another's by now. */
static uint32_t open_region(const tracer *t, const void *allocator)
{
    for (uint32_t i = t->region_count; i > 0; i--) {
        if (t->regions[i - 1] == allocator) {
            return i;
        }
    }
    return 0;
}

static void define_region(tracer *t, const void *allocator, fief_strategy strategy,
                          size_t slot_size, const char *name)
{
    if (t->region_count < REGIONS_MOST) {
        uint64_t numbers[] = {strategy, slot_size};
        t->regions[t->region_count++] = allocator;
        encode_numbers(&t->e, TAG_REGION, numbers, 2, name != NULL ? name : "");
    }
}

static uint32_t class_of(tracer *t, trace_class c)
{
    for (uint32_t i = 0; i < t->class_count; i++) {
        if (memcmp(&t->classes[i], &c, sizeof c) == 0) {
            return i + 1;
        }
    }
    if (t->class_count == CLASSES_MOST) {
        return 1;
    }
    t->classes[t->class_count++] = c;
    encode_class(&t->e, c);
    return t->class_count;
}

static uint32_t strategy_region(const tracer *t, const runtime *r, fief_strategy strategy)
{
    switch (strategy) {
    case FIEF_VM_ARENA: return region_of(t, &r->vm);
    case FIEF_COMPILER_ARENA: return region_of(t, &r->unit);
    case FIEF_STACK: return region_of(t, &r->frames);
    default: return 0;
    }
}

static fief_strategy copy_strategy(unsigned context)
{
    return context <= FIEF_CONSTANT ? FIEF_VM_ARENA
           : context == FIEF_TEMPORARY ? FIEF_COMPILER_ARENA : FIEF_HEAP;
}

static trace_class class_for(const tracer *t, const runtime *r, const note *n)
{
    trace_class c;
    memset(&c, 0, sizeof c);
    switch ((verb)n->verb) {
    case VERB_NEW:
        c.verb = TRACE_NEW;
        c.kind = n->kind + 1u;
        c.context = n->detail;
        c.strategy = fief_row_of(&r->window, n->kind, n->detail)->strategy;
        break;
    case VERB_COPY:
        c.verb = TRACE_COPY;
        c.context = n->detail;
        c.strategy = (uint8_t)copy_strategy(n->detail);
        break;
    case VERB_ARENA_ALLOC:
        c.verb = TRACE_PLACED;
        c.strategy = (uint8_t)n->kind;
        c.align_log2 = n->detail;
        c.region = open_region(t, n->where);
        return c;
    case VERB_TAKE:
        c.verb = TRACE_TAKEN;
        c.strategy = FIEF_POOL;
        c.region = open_region(t, n->where);
        return c;
    default:
        c.verb = n->detail > 4 ? TRACE_ALIGNED : TRACE_MALLOC;
        c.align_log2 = n->detail > 4 ? n->detail : 0;
        c.strategy = FIEF_HEAP;
    }
    c.region = strategy_region(t, r, (fief_strategy)c.strategy);
    return c;
}

/* ---- events ---- */

static void put_made(tracer *t, const runtime *r, const note *n, uint32_t site)
{
    uint32_t number = class_of(t, class_for(t, r, n));
    if (n->what != NULL) {
        encode_alloc(&t->e, number, n->size, (uintptr_t)n->what, site);
    } else {
        encode_refused(&t->e, number, n->size, site);
    }
}

static void put_ended(tracer *t, const runtime *r, const note *n, uint32_t site)
{
    char name[32];
    uint64_t regions[2];
    switch ((verb)n->verb) {
    case VERB_UNIT_BEGIN:
        (void)snprintf(name, sizeof name, "unit %u", r->units);
        encode_unit(&t->e, n->what != NULL ? n->what : name, site);
        return;
    case VERB_UNIT_END:
        encode_deaths(&t->e, TAG_UNIT_END, region_of(t, &r->unit),
                      r->depth <= 1 ? ALL_OF_THEM : t->hook.rewound, site);
        return;
    case VERB_UNIT_KEEP:
        regions[0] = region_of(t, &r->unit);
        regions[1] = r->depth <= 1 ? region_of(t, &r->vm) : regions[0];
        encode_numbers(&t->e, TAG_MOVE, regions, 2, NULL);
        encode_deaths(&t->e, TAG_UNIT_END, region_of(t, &r->unit), 0, site);
        return;
    case VERB_REWIND:
        encode_deaths(&t->e, TAG_REWIND, open_region(t, n->where), t->hook.rewound, site);
        return;
    case VERB_ARENA_RESET:
        encode_deaths(&t->e, TAG_RESET, open_region(t, n->where), 0, site);
        return;
    case VERB_ARENA_CLOSE:
    case VERB_POOL_CLOSE:
        encode_deaths(&t->e, TAG_REGION_END, open_region(t, n->where), 0, site);
        return;
    case VERB_ARENA_OPEN:
        define_region(t, n->what, n->detail != 0 ? FIEF_STACK : FIEF_VM_ARENA, 0,
                      ((const arena *)n->what)->name);
        return;
    case VERB_POOL_OPEN:
        define_region(t, n->what, FIEF_POOL, n->size, ((const pool *)n->what)->name);
        return;
    default: return;
    }
}

static void put_note(tracer *t, const note *n, uint32_t site)
{
    const runtime *r = whole_runtime(t->core->rt);
    if (n->verb <= VERB_TAKE) {
        put_made(t, r, n, site);
    } else if (n->verb == VERB_FREE || n->verb == VERB_POP) {
        encode_free(&t->e, (uintptr_t)n->what, site);
    } else if (n->verb == VERB_RESIZE) {
        encode_resize(&t->e, (uintptr_t)n->what, n->size, (uintptr_t)n->where, site);
    } else {
        put_ended(t, r, n, site);
    }
}

static void put_waiting(tracer *t)
{
    if (t->has_waiting) {
        t->has_waiting = false;
        put_note(t, &t->waiting, t->waiting_site);
    }
}

static void tell_time(tracer *t)
{
    if (t->until_clock-- == 0) {
        t->until_clock = CALLS_PER_CLOCK - 1;
        encode_time(&t->e, (os_clock() - t->began) / MICROSECOND);
    }
}

/* Those that may be refused after they were noted wait. */
static void on_note(core *c, const note *n)
{
    tracer *t = tracer_of(c);
    put_waiting(t);
    tell_time(t);
    uint32_t site = site_of(t, c);
    bool waits = n->verb == VERB_FREE || n->verb == VERB_POP || n->verb == VERB_ARENA_RESET ||
                 n->verb == VERB_ARENA_CLOSE || n->verb == VERB_POOL_CLOSE;
    if (waits) {
        t->waiting = *n;
        t->waiting_site = site;
        t->has_waiting = true;
    } else {
        put_note(t, n, site);
    }
}

void fief_trace_mark(fief_runtime *rt, const char *text)
{
    core *c = &whole_runtime(rt)->core;
    tracer *t = tracer_of(c);
    if (t != NULL) {
        put_waiting(t);
        encode_time(&t->e, (os_clock() - t->began) / MICROSECOND);
        encode_numbers(&t->e, TAG_MARK, NULL, 0, text);
    }
}

void trace_forget(core *c, const fief_misuse *m)
{
    tracer *t = tracer_of(c);
    if (t != NULL && t->waiting.operation == m->operation) {
        t->has_waiting = false;
    }
}

void trace_flush(core *c)
{
    tracer *t = tracer_of(c);
    if (t != NULL && !t->e.failed) {
        t->e.failed = !flush(&t->e);
        encode_forget(&t->e);
    }
}

/* ---- open, close ---- */

static void note_facts(tracer *t, const runtime *r)
{
    char pid[16];
    (void)snprintf(pid, sizeof pid, "%d", os_process());
    encode_info(&t->e, "producer", "fief " FIEF_VERSION);
    encode_info(&t->e, "runtime", r->core.name);
    encode_info(&t->e, "mode", fief_mode());
    encode_info(&t->e, "pid", pid);
    encode_info(&t->e, "depth", "1");
    uint64_t one = 1;
    encode_numbers(&t->e, TAG_THREAD, &one, 1, NULL);
    define_region(t, &r->vm, FIEF_VM_ARENA, 0, r->vm.name);
    define_region(t, &r->unit, FIEF_COMPILER_ARENA, 0, r->unit.name);
    define_region(t, &r->frames, FIEF_STACK, 0, r->frames.name);
    for (unsigned i = 0; i < r->window.kind_count; i++) {
        uint64_t size = r->kinds[i].size;
        encode_numbers(&t->e, TAG_KIND, &size, 1, r->kinds[i].name);
    }
    note_modules(t);
}

static size_t tracer_size(void)
{
    return (sizeof(tracer) + OS_PAGE - 1) & ~(size_t)(OS_PAGE - 1);
}

fief_status trace_start(runtime *r, const fief_config *config)
{
    tracer *t = os_map(tracer_size());
    if (t == NULL) {
        return FIEF_NO_MEMORY;
    }
    unsigned char header[TRACE_HEADER];
    trace_file_header(header);
    t->to = *config->trace;
    t->file = t->to.path != NULL ? os_new_file(t->to.path) : -1;
    t->core = &r->core;
    t->began = os_clock();
    t->sites.places = t->places;
    t->e = (encoder){.start = t->room + TRACE_BLOCK_HEADER, .flush = flush};
    t->e.cursor = t->e.start;
    t->e.end = t->e.start + EVENTS_MOST;
    bool has_place = t->file >= 0 || (t->to.path == NULL && t->to.write != NULL);
    if (!has_place || !write_bytes(t, header, sizeof header)) {
        if (t->file >= 0) {
            os_close_file(t->file);
        }
        os_release(t, tracer_size());
        return FIEF_BAD_CONFIG;
    }
    note_facts(t, r);
    t->hook.on_note = on_note;
    r->core.trace = &t->hook;
    return FIEF_OK;
}

void trace_end(core *c)
{
    tracer *t = tracer_of(c);
    put_waiting(t);
    encode_time(&t->e, (os_clock() - t->began) / MICROSECOND);
    encode_numbers(&t->e, TAG_CLOSE, NULL, 0, NULL);
    encode_numbers(&t->e, TAG_FINISH, &t->e.operations, 1, NULL);
    trace_flush(c);
    if (t->file >= 0) {
        os_close_file(t->file);
    }
    c->trace = NULL;
    os_release(t, tracer_size());
}
