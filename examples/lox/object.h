/* object: what values point at. One word of header each:
 *     | room 6 | mark 2 | type 8 | next object 48 |
 * `next` links the dynamic objects for the sweep; `room` is the instance's: how many fields fit.
 * Permanent objects (of the VM arena) are in no list, and no trace looks into them: they point at
 * permanent objects only. */
#ifndef LOX_OBJECT_H
#define LOX_OBJECT_H

#include "chunk.h"
#include "table.h"
#include "value.h"

#include <stddef.h>
#include <stdio.h>

typedef struct vm vm;

typedef enum object_type {
    OBJECT_STRING,
    OBJECT_FUNCTION,
    OBJECT_NATIVE,
    OBJECT_CLOSURE,
    OBJECT_UPVALUE,
    OBJECT_CLASS,
    OBJECT_INSTANCE,
    OBJECT_BOUND
} object_type;

typedef enum mark { WHITE, GRAY, BLACK, PERMANENT } mark;

struct object {
    uint64_t header;
};

struct string {
    object head;
    uint32_t length, hash;
    char text[]; /* with a NUL behind it */
};

typedef struct capture {
    uint8_t index;
    bool is_local; /* of the function around; else one of its upvalues */
} capture;

typedef struct function {
    object head;
    const string *name; /* NULL: the script */
    uint32_t arity, capture_count;
    uint32_t most_values; /* on the stack at once, with slot 0 and the arguments */
    uint32_t number;      /* in an image: of its caches, from 1; else 0 */
    chunk chunk;
    capture captures[];
} function;

typedef enum native_id { NATIVE_CLOCK } native_id;

typedef struct native {
    object head;
    native_id id;
} native;

typedef struct upvalue {
    object head;
    value *location; /* a slot of the stack, or `closed` */
    value closed;
    struct upvalue *next; /* the open one below */
} upvalue;

typedef struct closure {
    object head;
    function *function;
    upvalue *upvalues[];
} closure;

typedef struct class class;

/* Every instance of a class has the same layout: a field has one index for all of them, which it
 * gets when the first of them sets it. `version` is new whenever the layout has grown, and no two
 * classes ever have the same: it is what an inline cache remembers. */
typedef struct layout {
    class *class;
    uint64_t version;
    table fields; /* name -> index */
} layout;

/* Once its methods are there, a class never changes, but for its layout: so that it can lie in an
 * image, where its layout lies elsewhere (class_layout). */
struct class {
    object head;
    string *name;
    uint64_t number; /* no other class and no layout has it: what is remembered of its methods */
    closure *init;   /* or NULL */
    table methods;
    layout own;
};

typedef struct instance {
    object head;
    layout *layout;
    value *fields; /* `own`, or a block of its own once they no longer fit */
    value own[];
} instance;

typedef struct bound {
    object head;
    value receiver;
    closure *method;
} bound;

#define CLOSURE_SIZE(count) (offsetof(closure, upvalues) + (count) * sizeof(upvalue *))
#define INSTANCE_SIZE(count) (offsetof(instance, own) + (count) * sizeof(value))

enum { OWN_FIELDS_MAX = 8 };

static inline object_type type_of(const object *o)
{
    return (object_type)(uint8_t)(o->header >> 48);
}

static inline mark mark_of(const object *o)
{
    return (mark)((o->header >> 56) & 3);
}

static inline void set_mark(object *o, mark mark)
{
    o->header = (o->header & ~((uint64_t)3 << 56)) | (uint64_t)mark << 56;
}

static inline object *next_of(const object *o)
{
    return (object *)(uintptr_t)(o->header & (((uint64_t)1 << 48) - 1));
}

static inline void set_next(object *o, const object *next)
{
    uint64_t rest = o->header & ~(((uint64_t)1 << 48) - 1);
    o->header = rest | (uint64_t)(uintptr_t)next;
}

/* 0, 1, 2, 4, 8, ... fields: kept as the exponent plus 1. */
static inline uint32_t room_of(const instance *i)
{
    return (uint32_t)(((uint64_t)1 << (i->head.header >> 58)) >> 1);
}

static inline void set_room(instance *i, unsigned exponent_plus_1)
{
    uint64_t rest = i->head.header & (((uint64_t)1 << 58) - 1);
    i->head.header = rest | (uint64_t)exponent_plus_1 << 58;
}

static inline bool is_of(value v, object_type type)
{
    return is_object(v) && type_of(as_object(v)) == type;
}

static inline string *as_string(value v)
{
    return (string *)as_object(v);
}

static inline closure *as_closure(value v)
{
    return (closure *)as_object(v);
}

static inline class *as_class(value v)
{
    return (class *)as_object(v);
}

static inline class *class_of(const instance *i)
{
    return i->layout->class;
}

static inline instance *as_instance(value v)
{
    return (instance *)as_object(v);
}

/* The string of these bytes: there is one of each. A literal's lives as long as the VM does. */
string *string_dynamic(vm *vm, const char *text, size_t length);
string *string_literal(vm *vm, const char *text, size_t length);
/* Of a literal that another VM made: the VM's own string that reads so, or from now on this one. */
string *string_adopt(vm *vm, string *s);
string *string_concatenate(vm *vm, const string *left, const string *right);

function *function_new(vm *vm, uint32_t capture_count);
closure *closure_new(vm *vm, function *function);
upvalue *upvalue_new(vm *vm, value *location);
class *class_new(vm *vm, string *name);
instance *instance_new(vm *vm, class *class);
bound *bound_new(vm *vm, value receiver, closure *method);

/* Room for the field `index`; what is new is empty. */
void instance_make_room(vm *vm, instance *instance, uint32_t index);
/* The index of a field that may be new to the class. */
uint32_t layout_field(vm *vm, layout *layout, string *name);

/* Gives back the object's blocks. */
void object_free(vm *vm, object *o);
void value_print(FILE *out, value v);

#endif
