/* classes: what each misuse is called, how it is mended, in short, and what the call did that was
 * noticed. */
#include "manager/report.h"

typedef struct class_text {
    const char *name, *explain;
    const char *call; /* NULL: "called at" */
} class_text;

static const class_text classes[FIEF_MISUSE_CLASSES] = {
    [FIEF_MISUSE_WRONG_ALLOCATOR] =
        {"wrong-allocator",
         "A block goes back to the allocator that made it: ask fief_owner(rt, p) first.",
         "given back at"},
    [FIEF_MISUSE_DOUBLE_FREE] =
        {"double-free",
         "The block is free: find the second owner, or clear the pointer where it died.",
         "given back at"},
    [FIEF_MISUSE_INTERIOR_FREE] =
        {"interior-free",
         "The pointer lies inside a block: free takes the address that the allocation returned.",
         "given back at"},
    [FIEF_MISUSE_STACK_FREE] =
        {"stack-free",
         "The pointer lies on the C stack: what a function declares is not freed.",
         "given back at"},
    [FIEF_MISUSE_FOREIGN_FREE] =
        {"foreign-free",
         "The pointer is no memory of this runtime: free it where it was made.",
         "given back at"},
    [FIEF_MISUSE_WRONG_SIZE] =
        {"wrong-size",
         "Free and resize take the size that was asked for: keep it, or use the unsized calls.",
         "given back at"},
    [FIEF_MISUSE_WRONG_KIND] =
        {"wrong-kind",
         "A block is given back under the kind it was made as: does its header say another?",
         "given back at"},
    [FIEF_MISUSE_OVERFLOW] =
        {"overflow",
         "Bytes past the block's end were written: does its length count one too few?", NULL},
    [FIEF_MISUSE_UNDERFLOW] =
        {"underflow",
         "Bytes before the block's start were written: did an index become negative?", NULL},
    [FIEF_MISUSE_WRITE_AFTER_FREE] =
        {"write-after-free",
         "A freed block was written: clear every copy of its address where it is freed.",
         NULL},
    [FIEF_MISUSE_USE_AFTER_FREE] =
        {"use-after-free",
         "A freed block was read or written: clear every copy of its address where it is freed.",
         NULL},
    [FIEF_MISUSE_USE_AFTER_RESET] =
        {"use-after-reset",
         "Copy what must outlive the unit before it ends, or allocate it as FIEF_DYNAMIC.", NULL},
    [FIEF_MISUSE_USE_AFTER_REWIND] =
        {"use-after-rewind",
         "Copy what must outlive the mark before the rewind, or take it before the mark.", NULL},
    [FIEF_MISUSE_USE_AFTER_CLOSE] =
        {"use-after-close",
         "fief_close ended the runtime and every block of it: clear the pointers to both.",
         "used at"},
    [FIEF_MISUSE_BAD_ALIGNMENT] =
        {"bad-alignment",
         "An alignment is a power of two up to 65536: round yours up.", NULL},
    [FIEF_MISUSE_BAD_KIND] =
        {"bad-kind",
         "Kinds are rows of the table, contexts its columns: is the number one of them?", NULL},
    [FIEF_MISUSE_NO_STRATEGY] =
        {"no-strategy",
         "The table has no strategy for this kind in this context: add one, or set .any.", NULL},
    [FIEF_MISUSE_NO_UNIT] =
        {"no-unit",
         "Temporaries live in a unit: call fief_unit_begin first.", NULL},
    [FIEF_MISUSE_UNIT_ORDER] =
        {"unit-order",
         "Units end innermost first, each once, and nothing else ends below an open one.",
         "ended at"},
    [FIEF_MISUSE_NOT_LIFO] =
        {"not-lifo",
         "A stack pops its newest block first: pop what was pushed later, with its size.",
         "popped at"},
    [FIEF_MISUSE_WRONG_ARENA] =
        {"wrong-arena",
         "A mark belongs to the arena that made it: keep the two together.",
         "rewound at"},
    [FIEF_MISUSE_STALE_MARK] =
        {"stale-mark",
         "The arena was rewound below the mark, or reset: take a new one.",
         "rewound at"},
    [FIEF_MISUSE_WRONG_THREAD] =
        {"wrong-thread",
         "A runtime belongs to one thread at a time: fief_adopt moves it.", NULL},
    [FIEF_MISUSE_DANGLING_AT_RESET] =
        {"dangling-at-reset",
         "Clear or copy the pointer before the unit ends, or declare that field weak in the kind"
         " table.",
         "ends at"},
    [FIEF_MISUSE_DANGLING_AT_REWIND] =
        {"dangling-at-rewind",
         "Clear or copy the pointer before the rewind, or declare that field weak in the kind "
         "table.",
         "rewound at"},
    [FIEF_MISUSE_DANGLING_AT_CLOSE] =
        {"dangling-at-close",
         "Clear or copy the pointer before the arena is closed, or declare that field weak.",
         "closed at"},
    [FIEF_MISUSE_DANGLING_STORE] =
        {"dangling-store",
         "Copy the target to where the holder lives, or declare that field weak in the kind "
         "table.",
         "stored at"},
    [FIEF_MISUSE_LEAK] =
        {"leak",
         "Blocks of dynamic lifetime were alive at fief_close: free them, or give them an arena.",
         NULL},
    [FIEF_MISUSE_SEALED_WRITE] =
        {"sealed-write",
         "What is sealed, or an image's, is read-only: fief_unseal it first, or keep what changes"
         " elsewhere.",
         NULL},
};

const char *fief_misuse_name(fief_misuse_class class_id)
{
    return (unsigned)class_id < FIEF_MISUSE_CLASSES ? classes[class_id].name : "unknown";
}

const char *fief_misuse_explain(fief_misuse_class class_id)
{
    return (unsigned)class_id < FIEF_MISUSE_CLASSES ? classes[class_id].explain : "";
}

const char *call_label(const fief_misuse *m)
{
    bool is_known = (unsigned)m->class_id < FIEF_MISUSE_CLASSES;
    const char *label = is_known ? classes[m->class_id].call : NULL;
    if (m->access == FIEF_ACCESS_READ || m->access == FIEF_ACCESS_WRITE) {
        return "used at";
    }
    if (m->access == FIEF_ACCESS_FOUND) {
        return "found at";
    }
    return label != NULL ? label : "called at";
}
