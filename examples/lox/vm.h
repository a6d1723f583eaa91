/* vm: one interpreter. Everything hangs from here; there are no globals.
 *
 *     stack  | callee | arguments, locals | operands ... | callee | ...
 *              ^frame->values                              ^the next frame's
 * Frames are blocks of the frame stack, newest on top; the values lie in one block below them. */
#ifndef LOX_VM_H
#define LOX_VM_H

#include "object.h"
#include "strategy.h"

#include <stdio.h>

typedef enum outcome {
    OUTCOME_OK = 0,
    OUTCOME_COMPILE_ERROR = 65,
    OUTCOME_RUNTIME_ERROR = 70,
    OUTCOME_IO_ERROR = 74
} outcome;

typedef struct frame {
    closure *closure;
    const uint8_t *ip; /* where to go on; of the running frame only when it was saved */
    cache *caches;     /* the function's; of one in an image, its copy */
    value *values;     /* slot 0 */
    struct frame *caller;
} frame;

#define ERRORS(X)                                                                                 \
    X(UNDEFINED_VARIABLE, "Undefined variable '%.*s'.")                                           \
    X(UNDEFINED_PROPERTY, "Undefined property '%.*s'.")                                           \
    X(NO_PROPERTIES, "Only instances have properties.")                                           \
    X(NO_FIELDS, "Only instances have fields.")                                                   \
    X(NO_METHODS, "Only instances have methods.")                                                 \
    X(NOT_CALLABLE, "Can only call functions and classes.")                                       \
    X(ARITY, "Expected %u arguments but got %u.")                                                 \
    X(STACK_OVERFLOW, "Stack overflow.")                                                          \
    X(NOT_NUMBERS, "Operands must be numbers.")                                                   \
    X(NOT_A_NUMBER, "Operand must be a number.")                                                  \
    X(NOT_ADDABLE, "Operands must be two numbers or two strings.")                                \
    X(SUPERCLASS, "Superclass must be a class.")                                                  \
    X(NO_MEMORY, "Out of memory.")                                                                \
    X(NO_STEPS, "Out of steps.")

typedef enum error_id {
#define ERROR_ENUM(name, text) ERROR_##name,
    ERRORS(ERROR_ENUM)
#undef ERROR_ENUM
    ERROR_COUNT
} error_id;

enum { FRAMES_USUAL = 64, VALUES_PER_FRAME = 256, TEMPORARY_ROOTS = 4, OBJECTS_AHEAD = 8 };

typedef struct vm_options {
    memory_options memory;
    unsigned frames; /* calls at once, at most; 0: as many as clox has */
    size_t steps;    /* calls and turns of loops, at most; 0: nobody counts them */
    FILE *out, *errors_to; /* NULL: stdout, stderr */
    bool gc_stress;
    bool code_is_collected; /* of the REPL: a line's code may be garbage soon */
    bool dump;              /* bytecode, to stdout */
    bool frees_all;         /* at the close, though a release build need not */
    const char *image;      /* to begin with; or NULL */
} vm_options;

/* What the collector works with. `limit` is in bytes of dynamic objects, as they were asked for. */
typedef struct collector {
    object *objects;  /* every dynamic one */
    object *newborn;  /* functions of the open unit: not swept before it is over */
    object **gray;
    size_t gray_count, gray_capacity;
    object *ahead[OBJECTS_AHEAD]; /* found, and not yet looked at */
    unsigned ahead_at;
    bool gray_overflowed; /* the objects have to be looked through for gray ones */
    bool is_running, is_stressed;
    size_t bytes, limit, collections, freed;
} collector;

/* What came from an image, and what the VM has beside it, since an image never changes. */
typedef struct image_part {
    string_set strings;   /* its own; those that are made later are the VM's */
    table global_indices; /* likewise */
    cache **caches;       /* by the number of a function: copies, each made at its first call */
    layout *layouts;      /* by the number of a class */
    uint32_t functions, classes;
} image_part;

struct vm {
    memory memory;
    vm_options options;
    value *stack, *stack_end;
    value *top; /* one past the newest value; saved where objects may be made */
    frame *frame;
    unsigned depth;
    size_t steps; /* that are left */
    FILE *out, *errors_to;
    upvalue *open; /* the highest slot first */
    collector gc;
    value roots[TEMPORARY_ROOTS];
    unsigned root_count;
    string_set strings;
    table global_indices; /* name -> index */
    value *globals;
    string **global_names;
    uint32_t global_count, global_capacity;
    uint64_t versions; /* of classes, given out so far */
    object *code;      /* the permanent functions that were compiled */
    image_part image;
    string *init_name;
    const char *opcode_names[OPCODE_COUNT];
    const char *errors[ERROR_COUNT];
    uint32_t line; /* of the compiler, for errors that have no other */
    bool is_compiling;
};

bool vm_open(vm *vm, const vm_options *options);
/* Returns the number of blocks that leaked. */
size_t vm_close(vm *vm);

outcome vm_interpret(vm *vm, const char *source, size_t size);
/* The same of a file, whose text is read into the unit. */
outcome vm_interpret_file(vm *vm, const char *path);
/* Of a script that was compiled; within vm_interpret, or what is like it. */
outcome vm_run(vm *vm, function *f);
/* Where memory is short. */
outcome vm_out_of_memory(vm *vm);

/* The caches of a function that lies in an image. */
cache *image_caches(vm *vm, const function *f);
layout *image_layout(vm *vm, class *c);
/* Begins with what the image has; false, with a line on stderr, where it can't. */
bool image_load(vm *vm, const char *path);
/* Writes what the globals lead to; false, with a line on stderr, where something of it can change:
 * an instance, or a variable that a closure has captured and assigns. Then the VM can only be
 * closed. */
bool image_save(vm *vm, const char *path);

/* Of a VM whose image was not saved: what the arena does not have. */
void image_forget(vm *vm);

static inline layout *class_layout(vm *vm, class *c)
{
    return FIEF_LIKELY(mark_of(&c->head) != PERMANENT) ? &c->own : image_layout(vm, c);
}

/* The index of a global variable, which need not be defined. */
uint32_t vm_global(vm *vm, string *name);
void natives_define(vm *vm);
value native_call(native_id id);

static inline void *new_block(vm *vm, kind kind, unsigned context, size_t size)
{
    return mem_new(&vm->memory, kind, context, size);
}

static inline void free_block(vm *vm, kind kind, void *block, size_t size)
{
    mem_free(&vm->memory, kind, block, size);
}

/* ---- the collector ---- */

void gc_collect(vm *vm);
/* For mem's `collect`. */
bool gc_on_full(void *user);
void gc_close(vm *vm);

/* Before `size` more bytes of dynamic lifetime are asked for; they count once they are there. */
static inline void gc_before(vm *vm, size_t size)
{
    if (!FIEF_LIKELY(vm->gc.bytes + size <= vm->gc.limit)) {
        gc_collect(vm);
    }
}

static inline void gc_count(vm *vm, size_t size)
{
    vm->gc.bytes += size;
}

static inline void root_push(vm *vm, const void *o)
{
    vm->roots[vm->root_count++] = from_object(o);
}

static inline void root_pop(vm *vm)
{
    vm->root_count--;
}

/* ---- the compiler: source to a function, in the open unit; NULL: its errors were printed ---- */

function *compile(vm *vm, const char *source, size_t size);
void chunk_dump(vm *vm, const function *f);

#endif
