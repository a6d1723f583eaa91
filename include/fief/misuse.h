/* misuse: the host broke the contract. Every class has a name that never changes. */
#ifndef FIEF_MISUSE_H
#define FIEF_MISUSE_H

#include <fief/base.h>

FIEF_BEGIN

typedef enum fief_misuse_class {
    FIEF_MISUSE_WRONG_ALLOCATOR,
    FIEF_MISUSE_DOUBLE_FREE,
    FIEF_MISUSE_INTERIOR_FREE,
    FIEF_MISUSE_FOREIGN_FREE,
    FIEF_MISUSE_WRONG_SIZE,
    FIEF_MISUSE_WRONG_KIND,
    FIEF_MISUSE_OVERFLOW,
    FIEF_MISUSE_UNDERFLOW,
    FIEF_MISUSE_WRITE_AFTER_FREE,
    FIEF_MISUSE_BAD_ALIGNMENT,
    FIEF_MISUSE_BAD_KIND,
    FIEF_MISUSE_NO_STRATEGY,
    FIEF_MISUSE_NO_UNIT,
    FIEF_MISUSE_UNIT_ORDER,
    FIEF_MISUSE_NOT_LIFO,
    FIEF_MISUSE_WRONG_ARENA,
    FIEF_MISUSE_STALE_MARK,
    FIEF_MISUSE_WRONG_THREAD,
    FIEF_MISUSE_LEAK,
    FIEF_MISUSE_CLASSES
} fief_misuse_class;

typedef struct fief_misuse {
    fief_misuse_class class_id;
    const char *runtime;   /* the runtime's name */
    const void *address;   /* the pointer that was given, or NULL */
    size_t size;           /* the size that was given, or 0 */
    const void *used_at;   /* return addresses; NULL where unknown */
    const void *allocated_at;
    const void *died_at;
    char text[160];        /* one sentence */
} fief_misuse;

/* The class's name as reports print it ("double-free"), and what it means, in short. */
FIEF_API const char *fief_misuse_name(fief_misuse_class class_id);
FIEF_API const char *fief_misuse_explain(fief_misuse_class class_id);

FIEF_END
#endif
