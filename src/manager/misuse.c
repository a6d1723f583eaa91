/* misuse: names, explanations, and the report. */
#include "manager/runtime.h"

#include "manager/report.h"

#include "guard.h"
#include "os/os.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct class_text {
    const char *name, *explain;
} class_text;

static const class_text classes[FIEF_MISUSE_CLASSES] = {
    [FIEF_MISUSE_WRONG_ALLOCATOR] = {"wrong-allocator",
        "A block goes back to the allocator that made it: ask fief_owner(rt, p) first."},
    [FIEF_MISUSE_DOUBLE_FREE] = {"double-free",
        "The block is free: find the second owner, or clear the pointer where it died."},
    [FIEF_MISUSE_INTERIOR_FREE] = {"interior-free",
        "The pointer lies inside a block: free takes the address that the allocation returned."},
    [FIEF_MISUSE_STACK_FREE] = {"stack-free",
        "The pointer lies on the C stack: what a function declares is not freed."},
    [FIEF_MISUSE_FOREIGN_FREE] = {"foreign-free",
        "The pointer is no memory of this runtime: free it where it was made."},
    [FIEF_MISUSE_WRONG_SIZE] = {"wrong-size",
        "Free and resize take the size that was asked for: keep it, or use the unsized calls."},
    [FIEF_MISUSE_WRONG_KIND] = {"wrong-kind",
        "A block is given back under the kind it was made as: does its header say another?"},
    [FIEF_MISUSE_OVERFLOW] = {"overflow",
        "Bytes past the block's end were written: does its length count one too few?"},
    [FIEF_MISUSE_UNDERFLOW] = {"underflow",
        "Bytes before the block's start were written: did an index become negative?"},
    [FIEF_MISUSE_WRITE_AFTER_FREE] = {"write-after-free",
        "A freed block was written: clear every copy of its address where it is freed."},
    [FIEF_MISUSE_USE_AFTER_RESET] = {"use-after-reset",
        "Copy what must outlive the unit before it ends, or allocate it as FIEF_DYNAMIC."},
    [FIEF_MISUSE_USE_AFTER_REWIND] = {"use-after-rewind",
        "Copy what must outlive the mark before the rewind, or take it before the mark."},
    [FIEF_MISUSE_USE_AFTER_CLOSE] = {"use-after-close",
        "fief_close ended the runtime and every block of it: clear the pointers to both."},
    [FIEF_MISUSE_BAD_ALIGNMENT] = {"bad-alignment",
        "An alignment is a power of two up to 65536: round yours up."},
    [FIEF_MISUSE_BAD_KIND] = {"bad-kind",
        "Kinds are rows of the table, contexts its columns: is the number one of them?"},
    [FIEF_MISUSE_NO_STRATEGY] = {"no-strategy",
        "The table has no strategy for this kind in this context: add one, or set .any."},
    [FIEF_MISUSE_NO_UNIT] = {"no-unit", "Temporaries live in a unit: call fief_unit_begin first."},
    [FIEF_MISUSE_UNIT_ORDER] = {"unit-order",
        "Units end innermost first, each once, and nothing else ends below an open one."},
    [FIEF_MISUSE_NOT_LIFO] = {"not-lifo",
        "A stack pops its newest block first: pop what was pushed later, with its size."},
    [FIEF_MISUSE_WRONG_ARENA] = {"wrong-arena",
        "A mark belongs to the arena that made it: keep the two together."},
    [FIEF_MISUSE_STALE_MARK] = {"stale-mark",
        "The arena was rewound below the mark, or reset: take a new one."},
    [FIEF_MISUSE_WRONG_THREAD] = {"wrong-thread",
        "A runtime belongs to one thread at a time: fief_adopt moves it."},
    [FIEF_MISUSE_LEAK] = {"leak",
        "Blocks of dynamic lifetime were alive at fief_close: free them, or give them an arena."},
};

const char *fief_mode(void)
{
    return GUARD_MODE;
}

const char *fief_misuse_name(fief_misuse_class class_id)
{
    return (unsigned)class_id < FIEF_MISUSE_CLASSES ? classes[class_id].name : "unknown";
}

const char *fief_misuse_explain(fief_misuse_class class_id)
{
    return (unsigned)class_id < FIEF_MISUSE_CLASSES ? classes[class_id].explain : "";
}

/* ---- what is known of the block ---- */

static fief_strategy strategy_of(const page *entry)
{
    switch (entry->kind) {
    case PAGE_ARENA: return ((const arena *)entry->owner)->strategy;
    case PAGE_DEAD: return (fief_strategy)entry->tail;
    case PAGE_POOL: return FIEF_POOL;
    default: return FIEF_HEAP;
    }
}

static void describe_block(const core *c, fief_misuse *m)
{
    const space *s = &c->space;
    const page *entry = m->address != NULL ? space_page(s, m->address) : NULL;
    const unsigned char *inside = m->address;
    if (m->class_id == FIEF_MISUSE_UNDERFLOW) {
        inside += GUARD_REDZONE; /* the block is behind its redzone */
    }
    const record *r = m->address != NULL ? ledger_find(s, inside) : NULL;
    if (entry != NULL && entry->used) {
        m->strategy = fief_strategy_name(strategy_of(entry));
    }
    if (r == NULL) {
        return;
    }
    m->block = ledger_block(s, r);
    m->block_size = record_size(s, r);
    m->block_is_live = r->state == BLOCK_LIVE;
    m->kind = r->kind != c->no_kind ? kind_name(whole_runtime(c->rt), (unsigned)r->kind) : NULL;
    depot_get(c->depot, (uint32_t)r->born, &m->allocated);
    m->allocated.operation = r->operation;
    if (!m->block_is_live) {
        depot_get(c->depot, (uint32_t)r->died, &m->died);
    }
}

static void describe_call(core *c, fief_misuse *m)
{
    depot_get(c->depot, call_stack(c), &m->used);
    if (m->used.count == 0 && c->from.site != NULL) {
        m->used.count = 1;
        m->used.frames[0] = c->from.site;
    }
    m->used.operation = c->operation;
}

static void print_report(const fief_misuse *m)
{
    enum { TEXT_SIZE = 16384 };
    char *text = os_map(TEXT_SIZE); /* a stack may be small, or what is broken */
    if (text == NULL) {
        os_print_error("fief: misuse, and no memory to tell more\n", 41);
        return;
    }
    size_t length = fief_misuse_text(m, text, TEXT_SIZE);
    os_print_error(text, length < TEXT_SIZE ? length : TEXT_SIZE - 1);
    os_release(text, TEXT_SIZE);
}

static fief_misuse about(const core *c, fief_misuse_class class_id, const void *address,
                         size_t size)
{
    return (fief_misuse){.class_id = class_id, .runtime = c->name, .mode = GUARD_MODE,
                         .operation = c->operation, .address = address, .size = size,
                         .user = c->user, .where_text = c->where_text};
}

void misuse(core *c, fief_misuse_class class_id, const void *address, size_t size,
            const char *format, ...)
{
    fief_misuse m = about(c, class_id, address, size);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(m.text, sizeof m.text, format, args);
    va_end(args);
    if (!c->reporting) { /* else this is a misuse in a handler: say less */
        c->reporting = true;
        describe_call(c, &m);
        describe_block(c, &m);
        bool refused = c->on_misuse != NULL && c->on_misuse(&m, c->user);
        c->reporting = false;
        if (refused) {
            return;
        }
    }
    print_report(&m);
    os_abort();
}

/* ---- an access to dead pages ---- */

static fief_misuse_class class_of_access(const core *c, const fief_misuse *m)
{
    const record *r = ledger_find(&c->space, m->address);
    if (c->closed) {
        return FIEF_MISUSE_USE_AFTER_CLOSE;
    }
    return r != NULL && r->state == BLOCK_REWOUND ? FIEF_MISUSE_USE_AFTER_REWIND
                                                  : FIEF_MISUSE_USE_AFTER_RESET;
}

void report_access(core *c, const void *address, bool is_write, const void *pc, const void *frame)
{
    fief_misuse m = about(c, FIEF_MISUSE_USE_AFTER_RESET, address, 0);
    m.class_id = class_of_access(c, &m);
    m.used.frames[0] = (const char *)pc + 1; /* frames are return addresses */
    m.used.count = 1 + frames_walk(frame, c->stack, &m.used.frames[1], FIEF_DEPTH_MAX - 1);
    m.used.operation = c->operation;
    describe_block(c, &m);
    (void)snprintf(m.text, sizeof m.text, "%s a dead '%s'", is_write ? "write to" : "read of",
                   m.kind != NULL ? m.kind : "block");
    if (c->on_misuse == NULL || !c->on_misuse(&m, c->user)) {
        print_report(&m);
    }
}
