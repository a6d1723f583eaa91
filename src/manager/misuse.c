/* misuse: names, explanations, and the report. */
#include "core/core.h"

#include "guard.h"
#include "os/os.h"

#include <stdarg.h>
#include <stdio.h>

typedef struct class_text {
    const char *name, *explain;
} class_text;

static const class_text classes[FIEF_MISUSE_CLASSES] = {
    [FIEF_MISUSE_WRONG_ALLOCATOR] = {"wrong-allocator",
        "A block was given to an allocator that does not own it: ask fief_owner(rt, p) first."},
    [FIEF_MISUSE_DOUBLE_FREE] = {"double-free", "A block that is free was freed again."},
    [FIEF_MISUSE_INTERIOR_FREE] = {"interior-free",
        "The pointer lies inside a block: free takes the address that the allocation returned."},
    [FIEF_MISUSE_FOREIGN_FREE] = {"foreign-free", "The pointer is no memory of this runtime."},
    [FIEF_MISUSE_WRONG_SIZE] = {"wrong-size", "Free and resize take the size that was asked for."},
    [FIEF_MISUSE_WRONG_KIND] = {"wrong-kind", "A block is given back under the kind it was made as."},
    [FIEF_MISUSE_OVERFLOW] = {"overflow", "Bytes behind a block's end were written."},
    [FIEF_MISUSE_UNDERFLOW] = {"underflow", "Bytes before a block's start were written."},
    [FIEF_MISUSE_WRITE_AFTER_FREE] = {"write-after-free", "A dead block was written."},
    [FIEF_MISUSE_BAD_ALIGNMENT] = {"bad-alignment", "Alignments are powers of two up to 64 KiB."},
    [FIEF_MISUSE_BAD_KIND] = {"bad-kind", "The kind or the context is outside the table."},
    [FIEF_MISUSE_NO_STRATEGY] = {"no-strategy", "The table has no strategy for this cell."},
    [FIEF_MISUSE_NO_UNIT] = {"no-unit", "Temporaries live in a unit: call fief_unit_begin first."},
    [FIEF_MISUSE_UNIT_ORDER] = {"unit-order", "Units end innermost first."},
    [FIEF_MISUSE_NOT_LIFO] = {"not-lifo", "A stack pops its newest block first."},
    [FIEF_MISUSE_WRONG_ARENA] = {"wrong-arena", "A mark belongs to the arena that made it."},
    [FIEF_MISUSE_STALE_MARK] = {"stale-mark", "The arena was rewound below the mark, or reset."},
    [FIEF_MISUSE_WRONG_THREAD] = {"wrong-thread",
        "A runtime belongs to one thread at a time: fief_adopt moves it."},
    [FIEF_MISUSE_LEAK] = {"leak", "Blocks of dynamic lifetime were alive at fief_close."},
};

const char *fief_misuse_name(fief_misuse_class class_id)
{
    return (unsigned)class_id < FIEF_MISUSE_CLASSES ? classes[class_id].name : "unknown";
}

const char *fief_misuse_explain(fief_misuse_class class_id)
{
    return (unsigned)class_id < FIEF_MISUSE_CLASSES ? classes[class_id].explain : "";
}

static void print_report(const fief_misuse *m)
{
    char text[640];
    int length = snprintf(text, sizeof text,
                          "fief: misuse[%s]: %s\n"
                          "  address %p, size %zu, used at %p\n"
                          "  help: %s\n"
                          "  runtime \"%s\", fief " FIEF_VERSION " " GUARD_MODE "\n"
                          "SUMMARY: fief: %s\n",
                          fief_misuse_name(m->class_id), m->text, m->address, m->size, m->used_at,
                          fief_misuse_explain(m->class_id), m->runtime,
                          fief_misuse_name(m->class_id));
    os_print_error(text, length < 0 ? 0 : (size_t)length < sizeof text ? (size_t)length
                                                                       : sizeof text - 1);
}

void misuse(core *c, fief_misuse_class class_id, const void *address, size_t size,
            const char *format, ...)
{
    fief_misuse report = {.class_id = class_id, .runtime = c->name, .address = address,
                          .size = size, .used_at = c->from.site};
    va_list args;
    va_start(args, format);
    (void)vsnprintf(report.text, sizeof report.text, format, args);
    va_end(args);
    if (c->on_misuse != NULL && c->on_misuse(&report, c->user)) {
        return;
    }
    print_report(&report);
    os_abort();
}
