/* misuse: what is known of the block, the report, and who hears of it. */
#include "manager/runtime.h"

#include "manager/image.h"
#include "manager/report.h"

#include "guard.h"
#include "os/os.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *fief_mode(void)
{
    return GUARD_MODE;
}

/* ---- what is known of the block ---- */

/* What is read from here on may be damaged: each step may be left half-way, and the next ones see
 * what it has got. */
typedef struct description {
    core *core;
    fief_misuse *misuse;
} description;

/* A name is the host's: reads all of it, lest a later step fail over it. What was stored before is
 * in memory by then, and nothing that comes after: no compiler knows that a read may jump. */
static const char *readable(const char *name)
{
    __asm__ volatile("" ::: "memory");
    const volatile char *c = name;
    while (c != NULL && *c != '\0') {
        c++;
    }
    __asm__ volatile("" ::: "memory");
    return name;
}

/* The block that p lies in, or that it lies in a redzone of. */
static const record *nearest(const space *s, const unsigned char *p)
{
    const record *before = ledger_find(s, p), *behind = ledger_find(s, p + GUARD_REDZONE);
    behind = behind == NULL ? ledger_find(s, p + OS_PAGE) : behind;
    bool is_far = before == NULL || (uintptr_t)p >= (uintptr_t)ledger_block(s, before) +
                                                       record_size(s, before) + GUARD_REDZONE;
    return is_far && behind != NULL && (uintptr_t)ledger_block(s, behind) > (uintptr_t)p ? behind
                                                                                        : before;
}

const char *unit_words(const core *c, unsigned number, char words[UNIT_WORDS])
{
    const runtime *r = whole_runtime(c->rt);
    const char *name = units_name(r->log, r->depth, number);
    bool named = name[0] != '\0';
    (void)snprintf(words, UNIT_WORDS, "unit %u%s%s%s", number, named ? " \"" : "", name,
                   named ? "\"" : "");
    return words;
}

static const char *name_or_null(const char *name)
{
    return name[0] != '\0' ? name : NULL;
}

/* How long blocks live there, where that is no matter of a free; NULL: it is one. */
static const char *lifetime_of(const core *c, const page *entry)
{
    const runtime *r = whole_runtime(c->rt);
    switch (page_strategy(entry)) {
    case FIEF_COMPILER_ARENA: return "compiler-arena blocks live until their unit ends";
    case FIEF_STACK: return "stack blocks live until they are popped, or their mark is rewound";
    case FIEF_VM_ARENA:
        return entry->owner == &r->vm ? "vm-arena blocks live until fief_close"
                                      : "an arena's blocks live until it is rewound or ends";
    default: return NULL;
    }
}

/* Is it a question of lifetimes? */
static bool is_of_lifetimes(fief_misuse_class class_id)
{
    switch (class_id) {
    case FIEF_MISUSE_WRONG_ALLOCATOR:
    case FIEF_MISUSE_USE_AFTER_RESET:
    case FIEF_MISUSE_USE_AFTER_REWIND:
    case FIEF_MISUSE_DANGLING_AT_RESET:
    case FIEF_MISUSE_DANGLING_AT_REWIND:
    case FIEF_MISUSE_DANGLING_AT_CLOSE:
    case FIEF_MISUSE_DANGLING_STORE: return true;
    default: return false;
    }
}

/* The unit whose end killed the block. */
static void describe_death(const core *c, const record *r, fief_misuse *m)
{
    const unit_note *killer = units_killer(whole_runtime(c->rt)->log, r);
    if (killer != NULL) {
        m->unit = killer->number;
        m->unit_name = name_or_null(killer->name);
        m->died.operation = killer->ended;
    }
}

static void describe_block(void *argument)
{
    const core *c = ((description *)argument)->core;
    fief_misuse *m = ((description *)argument)->misuse;
    const space *s = &c->space;
    if (image_at(c, m->address) != NULL) {
        image_describe(c, m);
        return;
    }
    const page *entry = m->address != NULL ? space_page(s, m->address) : NULL;
    const record *r = m->address != NULL ? nearest(s, m->address) : NULL;
    if (entry != NULL && entry->used) {
        m->strategy = fief_strategy_name(page_strategy(entry));
        m->lifetime = is_of_lifetimes(m->class_id) ? lifetime_of(c, entry) : NULL;
    }
    if (r == NULL) {
        return;
    }
    m->block = ledger_block(s, r);
    m->block_size = record_size(s, r);
    m->block_is_live = r->state == BLOCK_LIVE;
    depot_get(c->depot, (uint32_t)r->born, &m->allocated);
    m->allocated.operation = r->state != BLOCK_VACANT ? r->operation : 0;
    if (!m->block_is_live) {
        depot_get(c->depot, (uint32_t)r->died, &m->died);
        describe_death(c, r, m);
    }
    if (r->kind != c->no_kind) {
        m->kind = readable(kind_name(whole_runtime(c->rt), (unsigned)r->kind));
    }
}

static void describe_call(void *argument)
{
    core *c = ((description *)argument)->core;
    fief_misuse *m = ((description *)argument)->misuse;
    depot_get(c->depot, call_stack(c), &m->used);
}

static void describe_runtime(void *argument)
{
    description *d = argument;
    d->misuse->runtime = readable(d->core->name);
}

static void describe(core *c, fief_misuse *m)
{
    description d = {c, m};
    (void)os_try(describe_block, &d);
    if (m->used.count == 0 && !os_try(describe_call, &d)) {
        c->asking = false; /* it was the host's `where` that failed */
    }
    if (m->used.count == 0 && c->from.site != NULL) {
        m->used.count = 1;
        m->used.frames[0] = c->from.site;
    }
    m->used.operation = c->operation;
}

static fief_misuse about(core *c, fief_misuse_class class_id, const void *address, size_t size)
{
    fief_misuse m = {.class_id = class_id, .runtime = "?", .mode = GUARD_MODE,
                     .color = c->color, .thread = os_thread_number(),
                     .operation = c->operation, .address = address, .size = size,
                     .user = c->user, .where_text = c->where_text, .evidence = c->depot};
    (void)os_try(describe_runtime, &(description){c, &m});
    return m;
}

/* ---- the report ---- */

/* A smaller report each time: some way through it, somebody hung or crashed. */
typedef struct attempt {
    const fief_misuse *misuse;
    report_means means;
    writer writer;
} attempt;

static void put_attempt(void *argument)
{
    attempt *a = argument;
    put_rest(&a->writer, a->misuse, a->means);
}

static size_t put_in_child(void *argument, void *buffer, size_t size)
{
    attempt *a = argument;
    a->writer = (writer){buffer, size, 0};
    put_attempt(a);
    return a->writer.length < size ? a->writer.length : size - 1;
}

/* In this process, as far as it comes: whole lines, as one put reads what may be damaged. */
static bool put_plainly(attempt *a)
{
    a->means = REPORT_PLAIN;
    a->writer.length = 0;
    bool whole = os_try(put_attempt, a);
    size_t length = a->writer.length < a->writer.size ? a->writer.length : a->writer.size - 1;
    os_print_error(a->writer.buffer, length);
    return whole;
}

static bool print_rest(const fief_misuse *m)
{
    enum { TEXT_SIZE = 16384 };
    char *text = os_map(TEXT_SIZE); /* a stack may be small, or what is broken */
    if (text == NULL) {
        return false;
    }
    attempt a = {m, REPORT_HERE, {text, TEXT_SIZE, 0}};
    size_t length = os_in_child(put_in_child, &a, text, TEXT_SIZE, SITES_WAIT_MS);
    if (length == 0 && m->where_text != NULL) {
        a.means = REPORT_SILENT_HOST;
        length = os_in_child(put_in_child, &a, text, TEXT_SIZE, SITES_WAIT_MS);
    }
    a.writer = (writer){text, TEXT_SIZE, 0};
    os_print_error(text, length);
    bool done = length != 0 || put_plainly(&a);
    os_release(text, TEXT_SIZE);
    return done;
}

static void print_line(void (*put_line)(writer *, const fief_misuse *), const fief_misuse *m)
{
    char line[300];
    writer w = {line, sizeof line, 0};
    put_line(&w, m);
    os_print_error(line, w.length < sizeof line ? w.length : sizeof line - 1);
}

static void put_outer(writer *w, const fief_misuse *outer)
{
    put(w, "  while misuse[%s] was being handled\n", fief_misuse_name(outer->class_id));
}

static void put_end(writer *w, const fief_misuse *m)
{
    put(w, "SUMMARY: fief: %s\n", fief_misuse_name(m->class_id));
}

/* The first line is written before anything is looked up. */
static void print_report(const fief_misuse *m, const fief_misuse *outer)
{
    bool ours = os_take_turn();
    print_line(put_first_line, m);
    if (outer != NULL) {
        print_line(put_outer, outer);
    }
    if (!print_rest(m)) {
        print_line(put_end, m);
    }
    if (ours) {
        os_end_turn();
    }
}

/* The misuse that is being handled, if `stack` lies within its handling: a handler may have been
 * left by a jump. */
static const fief_misuse *handled_around(const core *c, const void *stack)
{
    bool within = c->handled != NULL && c->handling_thread == os_thread() &&
                  (uintptr_t)stack < (uintptr_t)c->handled;
    return within ? c->handled : NULL;
}

/* On another thread the owner may be in the middle of a call, which is not ours to set aside. */
static bool ask_host(core *c, const fief_misuse *m)
{
    if (c->thread != os_thread()) {
        return c->on_misuse(m, c->user);
    }
    served outer = let_host_in(c);
    bool refuses = c->on_misuse(m, c->user);
    go_on_serving(c, outer);
    return refuses;
}

/* The host hears of it, unless it is in its handler already, or reads it. True: it has refused. */
static bool tell_host(core *c, const fief_misuse *m, const fief_misuse *outer)
{
    c->handled = m;
    c->handling_thread = os_thread();
    bool refused = outer == NULL && c->on_misuse != NULL && ask_host(c, m);
    if (!refused) {
        print_report(m, outer);
    }
    c->handled = outer;
    return refused;
}

/* True: the host refused, and goes on. */
static bool hand_over(core *c, fief_misuse *m)
{
    diary_save(c, m);
    trace_flush(c);
    bool refused = tell_host(c, m, NULL);
    if (refused) {
        diary_forget(c, m);
        trace_forget(c, m);
    }
    return refused;
}

typedef struct sentence {
    char *text;
    size_t size;
    const char *format;
    va_list args;
} sentence;

static void format_sentence(void *argument)
{
    sentence *s = argument;
    (void)vsnprintf(s->text, s->size, s->format, s->args);
}

/* What is told may be damaged: then the sentence ends before it. */
static void tell(fief_misuse *m, const char *format, va_list args)
{
    sentence s = {.text = m->text, .size = sizeof m->text, .format = format};
    va_copy(s.args, args);
    if (!os_try(format_sentence, &s)) {
        (void)snprintf(m->text, sizeof m->text, "%.*s...", (int)strcspn(format, "%"), format);
    }
    va_end(s.args);
}

/* What the host is in the middle of is left, or waits. */
static void prepare(void)
{
    if (os_is_child()) { /* in the host's where_text: the report goes on without it */
        os_leave_child();
    }
    os_look_again();
}

/* Returns only where the host's handler does. */
static void report(core *c, fief_misuse *m)
{
    const fief_misuse *outer = handled_around(c, m);
    if (outer != NULL) { /* in a handler: nobody is asked again */
        print_report(m, outer);
        os_abort();
    }
    describe(c, m);
    if (!hand_over(c, m)) {
        os_abort();
    }
}

/* Where a call notices these, it looks at a block that was damaged before. */
static bool is_found(fief_misuse_class class_id)
{
    return class_id == FIEF_MISUSE_OVERFLOW || class_id == FIEF_MISUSE_UNDERFLOW ||
           class_id == FIEF_MISUSE_WRITE_AFTER_FREE || class_id == FIEF_MISUSE_USE_AFTER_REWIND;
}

void misuse(core *c, fief_misuse_class class_id, const void *address, size_t size,
            const char *format, ...)
{
    prepare();
    fief_misuse m = about(c, class_id, address, size);
    m.access = is_found(class_id) ? FIEF_ACCESS_FOUND : FIEF_ACCESS_CALL;
    va_list args;
    va_start(args, format);
    tell(&m, format, args);
    va_end(args);
    report(c, &m);
}

static void name_shapes(const core *c, fief_dangling *found)
{
    const runtime *r = whole_runtime(c->rt);
    for (size_t i = 0; i < found->shapes; i++) {
        fief_shape *shape = &found->shape[i];
        shape->holder = shape->holder != NULL ? shape->holder : kind_name(r, shape->holder_kind);
        shape->target = kind_name(r, shape->target_kind);
    }
    const page *entry = space_page(&c->space, found->holder);
    found->holder_strategy =
        entry != NULL && entry->used ? fief_strategy_name(page_strategy(entry)) : NULL;
}

static FIEF_PRINTF(2, 3) void tell_dangling(fief_misuse *m, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tell(m, format, args);
    va_end(args);
}

bool misuse_dangling(core *c, fief_misuse_class class_id, fief_dangling *found, const char *owner)
{
    prepare();
    fief_misuse m = about(c, class_id, found->target, 0);
    m.dangling = found;
    name_shapes(c, found);
    bool store = class_id == FIEF_MISUSE_DANGLING_STORE;
    char unit[UNIT_WORDS] = "";
    if (c->unit != 0) {
        const runtime *r = whole_runtime(c->rt);
        m.unit = c->unit;
        m.unit_name = name_or_null(units_name(r->log, r->depth, c->unit));
        (void)unit_words(c, c->unit, unit);
    }
    tell_dangling(&m,
                  store ? "'%s' is to hold a pointer into %s%s%s, which it outlives"
                        : "a live '%s' points into %s%s%s, where its target dies now",
                  found->shape[0].holder, owner, c->unit != 0 ? ", " : "", unit);
    report(c, &m);
    return false;
}

/* A leak harms nobody any more: whoever hears of it, the close goes on. */
void misuse_leak(core *c, const fief_leaks *leaks)
{
    prepare();
    fief_misuse m = about(c, FIEF_MISUSE_LEAK, NULL, 0);
    m.access = FIEF_ACCESS_FOUND;
    m.leaks = leaks;
    describe(c, &m);
    (void)snprintf(m.text, sizeof m.text, "runtime \"%s\" closed with %zu blocks, %zu bytes alive",
                   readable(c->name), leaks->blocks, leaks->bytes);
    (void)tell_host(c, &m, handled_around(c, &m));
}

/* ---- an access to dead pages ---- */

static bool is_in_dead_block(const space *s, const record *r, const void *p)
{
    return r != NULL && r->state != BLOCK_LIVE &&
           (uintptr_t)p - (uintptr_t)ledger_block(s, r) < record_size(s, r);
}

static fief_misuse_class class_of_access(const core *c, const fief_misuse *m, bool is_write)
{
    const record *r = nearest(&c->space, m->address);
    if (c->closed) {
        return FIEF_MISUSE_USE_AFTER_CLOSE;
    }
    const image_map *image = image_at(c, m->address);
    if (image != NULL) {
        return image->closed ? FIEF_MISUSE_USE_AFTER_CLOSE : FIEF_MISUSE_SEALED_WRITE;
    }
    if (is_write && is_sealed(&c->space, m->address) &&
        !is_in_dead_block(&c->space, r, m->address)) {
        return FIEF_MISUSE_SEALED_WRITE;
    }
    const page *entry = space_page(&c->space, m->address);
    if (entry != NULL && page_strategy(entry) >= FIEF_POOL) {
        bool before = r != NULL && (uintptr_t)m->address < (uintptr_t)ledger_block(&c->space, r);
        fief_misuse_class beside = before ? FIEF_MISUSE_UNDERFLOW : FIEF_MISUSE_OVERFLOW;
        return r != NULL && r->state == BLOCK_LIVE ? beside : FIEF_MISUSE_USE_AFTER_FREE;
    }
    return r != NULL && r->state == BLOCK_REWOUND ? FIEF_MISUSE_USE_AFTER_REWIND
                                                  : FIEF_MISUSE_USE_AFTER_RESET;
}

bool report_broken_handler(const core *c, const os_fault *fault)
{
    const fief_misuse *outer = handled_around(c, fault->stack);
    if (outer != NULL) {
        print_line(put_first_line, outer);
        os_print_error("  its handler crashed\n", 22);
    }
    return outer != NULL;
}

static const char *what_was_touched(fief_misuse_class class_id)
{
    if (class_id == FIEF_MISUSE_OVERFLOW) {
        return "byte behind";
    }
    if (class_id == FIEF_MISUSE_SEALED_WRITE) {
        return "sealed";
    }
    return class_id == FIEF_MISUSE_UNDERFLOW ? "byte before" : "dead";
}

/* "read of 8 bytes in", or "read of" where the number is not known. */
static void tell_access(const os_fault *fault, char *text, size_t size)
{
    if (fault->size != 0) {
        (void)snprintf(text, size, "%s of %zu byte%s %s", fault->is_write ? "write" : "read",
                       fault->size, fault->size == 1 ? "" : "s", fault->is_write ? "to" : "in");
    } else {
        (void)snprintf(text, size, "%s", fault->is_write ? "write to" : "read of");
    }
}

/* "of the vm arena": where a sealed block lies; nothing of others. */
static void put_where(const core *c, const fief_misuse *m, char *ret_words, size_t size)
{
    const image_map *image = image_at(c, m->address);
    const page *entry = space_page(&c->space, m->address);
    if (image != NULL) {
        (void)snprintf(ret_words, size, " of the image '%s'", image->name);
    } else if (m->class_id == FIEF_MISUSE_SEALED_WRITE && entry != NULL) {
        (void)snprintf(ret_words, size, " of %s", readable(owner_name(entry)));
    }
}

void report_access(core *c, const os_fault *fault)
{
    fief_misuse m = about(c, FIEF_MISUSE_USE_AFTER_RESET, fault->address, 0);
    m.class_id = class_of_access(c, &m, fault->is_write);
    m.access = fault->is_write ? FIEF_ACCESS_WRITE : FIEF_ACCESS_READ;
    m.used.frames[0] = (const char *)fault->pc + 1; /* frames are return addresses */
    m.used.count =
        1 + frames_walk(fault->frame, &c->stack, &m.used.frames[1], FIEF_DEPTH_MAX - 1);
    describe(c, &m);
    char access[48], where[96] = "";
    m.access_size = fault->size;
    tell_access(fault, access, sizeof access);
    put_where(c, &m, where, sizeof where);
    (void)snprintf(m.text, sizeof m.text, "%s a %s '%s'%s", access, what_was_touched(m.class_id),
                   m.kind != NULL ? m.kind : "block", where);
    (void)hand_over(c, &m);
}

void describe_address(core *c, const void *address, fief_misuse *ret)
{
    *ret = about(c, FIEF_MISUSE_USE_AFTER_RESET, address, 0);
    ret->class_id = class_of_access(c, ret, false);
    (void)os_try(describe_block, &(description){c, ret});
}
