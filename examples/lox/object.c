#include "object.h"

#include "vm.h"


static void adopt(vm *vm, object *o, object_type type, size_t size)
{
    gc_count(vm, size);
    o->header |= (uint64_t)type << 48;
    set_next(o, vm->gc.objects);
    vm->gc.objects = o;
}

/* ---- strings ---- */

/* In the image, or among those that were made since. */
static string *find_both(const vm *vm, uint32_t hash, const char *left, size_t left_size,
                         const char *right, size_t right_size)
{
    string *s = strings_find(&vm->image.strings, hash, left, left_size, right, right_size);
    return s != NULL ? s : strings_find(&vm->strings, hash, left, left_size, right, right_size);
}

static string *string_find(vm *vm, const char *text, size_t length, uint32_t *ret_hash)
{
    *ret_hash = hash_bytes((uint32_t)HASH_SEED, text, length);
    return find_both(vm, *ret_hash, text, length, "", 0);
}

static size_t string_size(size_t length)
{
    return offsetof(string, text) + length + 1;
}

/* The text is the caller's to fill. */
static string *string_new(vm *vm, size_t length, uint32_t hash)
{
    if (length > UINT32_MAX) {
        mem_fail(&vm->memory);
    }
    size_t size = string_size(length);
    gc_before(vm, size);
    strings_reserve(vm, &vm->strings);
    string *s = mem_new_string(&vm->memory, size);
    s->head.header = 0;
    s->length = (uint32_t)length;
    s->hash = hash;
    s->text[length] = '\0';
    adopt(vm, &s->head, OBJECT_STRING, string_room(&vm->memory, size));
    return s;
}

string *string_dynamic(vm *vm, const char *text, size_t length)
{
    uint32_t hash;
    string *s = string_find(vm, text, length, &hash);
    if (s == NULL) {
        s = string_new(vm, length, hash);
        memcpy(s->text, text, length);
        strings_add(&vm->strings, s);
    }
    return s;
}

/* One that the program had made already is kept from now on. */
static string *keep_for_good(string *s)
{
    if (s != NULL && mark_of(&s->head) != PERMANENT) {
        set_mark(&s->head, PERMANENT);
    }
    return s;
}

string *string_adopt(vm *vm, string *s)
{
    string *own = keep_for_good(find_both(vm, s->hash, s->text, s->length, "", 0));
    if (own == NULL) {
        strings_reserve(vm, &vm->strings);
        strings_add(&vm->strings, s);
    }
    return own != NULL ? own : s;
}

string *string_literal(vm *vm, const char *text, size_t length)
{
    uint32_t hash;
    string *s = keep_for_good(string_find(vm, text, length, &hash));
    if (s != NULL) {
        return s;
    }
    if (length > UINT32_MAX) {
        mem_fail(&vm->memory);
    }
    strings_reserve(vm, &vm->strings);
    s = new_block(vm, KIND_LITERAL, FIEF_LITERAL, string_size(length));
    s->length = (uint32_t)length;
    s->hash = hash;
    s->head.header = (uint64_t)OBJECT_STRING << 48;
    set_mark(&s->head, PERMANENT);
    memcpy(s->text, text, length);
    strings_add(&vm->strings, s);
    return s;
}

string *string_concatenate(vm *vm, const string *left, const string *right)
{
    uint32_t hash = hash_bytes(left->hash, right->text, right->length);
    string *s = find_both(vm, hash, left->text, left->length, right->text, right->length);
    if (s == NULL) {
        s = string_new(vm, (size_t)left->length + right->length, hash);
        memcpy(s->text, left->text, left->length);
        memcpy(s->text + left->length, right->text, right->length);
        strings_add(&vm->strings, s);
    }
    return s;
}

/* ---- functions, closures, upvalues ---- */

static unsigned code_context(const vm *vm)
{
    return vm->options.code_is_collected ? FIEF_DYNAMIC : FIEF_CONSTANT;
}

function *function_new(vm *vm, uint32_t capture_count)
{
    size_t size = sizeof(function) + capture_count * sizeof(capture);
    function *f = new_block(vm, KIND_FUNCTION, code_context(vm), size);
    f->capture_count = capture_count;
    f->head.header = (uint64_t)OBJECT_FUNCTION << 48;
    if (vm->options.code_is_collected) {
        set_next(&f->head, vm->gc.newborn);
        vm->gc.newborn = &f->head;
    } else {
        set_mark(&f->head, PERMANENT);
        set_next(&f->head, vm->code);
        vm->code = &f->head;
    }
    return f;
}

/* Room for 1, 4, 8, 16, ... 256 upvalues, as an exponent: the sweep can't ask the function, which
 * may be gone. */
static unsigned closure_exponent(uint32_t count)
{
    unsigned exponent = count <= 1 ? 0 : 2;
    while ((1u << exponent) < count) {
        exponent++;
    }
    return exponent;
}

static kind closure_kind(unsigned exponent)
{
    return exponent == 0 ? KIND_CLOSURE_1 : exponent == 2 ? KIND_CLOSURE_4 : KIND_CLOSURE;
}

closure *closure_new(vm *vm, function *function)
{
    unsigned exponent = closure_exponent(function->capture_count);
    size_t size = CLOSURE_SIZE((size_t)1 << exponent);
    gc_before(vm, size);
    closure *c = new_block(vm, closure_kind(exponent), FIEF_DYNAMIC, size);
    c->function = function;
    c->head.header = (uint64_t)exponent << 58;
    adopt(vm, &c->head, OBJECT_CLOSURE, size);
    return c;
}

upvalue *upvalue_new(vm *vm, value *location)
{
    gc_before(vm, sizeof(upvalue));
    upvalue *u = new_block(vm, KIND_UPVALUE, FIEF_DYNAMIC, sizeof *u);
    u->location = location;
    u->closed = VALUE_NIL;
    adopt(vm, &u->head, OBJECT_UPVALUE, sizeof *u);
    return u;
}

/* ---- classes, instances, bound methods ---- */

class *class_new(vm *vm, string *name)
{
    gc_before(vm, sizeof(class));
    class *c = new_block(vm, KIND_CLASS, FIEF_DYNAMIC, sizeof *c);
    c->name = name;
    c->number = ++vm->versions;
    c->own = (layout){.class = c, .version = c->number};
    adopt(vm, &c->head, OBJECT_CLASS, sizeof *c);
    return c;
}

uint32_t layout_field(vm *vm, layout *layout, string *name)
{
    value index;
    if (table_get(&layout->fields, name, &index)) {
        return (uint32_t)as_number(index);
    }
    uint32_t fresh = layout->fields.count;
    table_set(vm, &layout->fields, name, from_number(fresh));
    layout->version = ++vm->versions;
    return fresh;
}

/* Sizes that the compiler knows are cleared in line. */
instance *instance_new(vm *vm, class *class)
{
    layout *layout = class_layout(vm, class);
    uint32_t count = layout->fields.count;
    unsigned exponent = count <= 1 ? 1 : count == 2 ? 2 : count <= 4 ? 3 : 4;
    size_t size = INSTANCE_SIZE((size_t)1 << (exponent - 1));
    gc_before(vm, size);
    instance *i;
    switch (exponent) {
    case 1: i = new_block(vm, KIND_INSTANCE_1, FIEF_DYNAMIC, INSTANCE_SIZE(1)); break;
    case 2: i = new_block(vm, KIND_INSTANCE_2, FIEF_DYNAMIC, INSTANCE_SIZE(2)); break;
    case 3: i = new_block(vm, KIND_INSTANCE_4, FIEF_DYNAMIC, INSTANCE_SIZE(4)); break;
    default: i = new_block(vm, KIND_INSTANCE_8, FIEF_DYNAMIC, INSTANCE_SIZE(8)); break;
    }
    i->layout = layout;
    i->fields = i->own;
    set_room(i, exponent);
    for (uint32_t k = 0; k < 1u << (exponent - 1); k++) {
        i->own[k] = VALUE_EMPTY;
    }
    adopt(vm, &i->head, OBJECT_INSTANCE, size);
    return i;
}

static uint32_t own_room(const instance *i)
{
    uint32_t room = room_of(i);
    return i->fields == i->own ? room : 0;
}

void instance_make_room(vm *vm, instance *instance, uint32_t index)
{
    uint32_t old = room_of(instance), room = old, exponent = 0;
    while (room <= index) {
        room *= 2;
    }
    while ((1u << exponent) < room) {
        exponent++;
    }
    size_t size = room * sizeof(value);
    gc_before(vm, size);
    value *fields = new_block(vm, KIND_FIELDS, FIEF_DYNAMIC, size);
    gc_count(vm, size);
    memcpy(fields, instance->fields, old * sizeof(value));
    for (uint32_t i = old; i < room; i++) {
        fields[i] = VALUE_EMPTY;
    }
    if (own_room(instance) == 0) {
        free_block(vm, KIND_FIELDS, instance->fields, old * sizeof(value));
        vm->gc.bytes -= old * sizeof(value);
    } else {
        instance->own[0] = from_number(old); /* remembered for the sweep: it is what own[] holds */
    }
    instance->fields = fields;
    set_room(instance, exponent + 1);
}

bound *bound_new(vm *vm, value receiver, closure *method)
{
    gc_before(vm, sizeof(bound));
    bound *b = new_block(vm, KIND_BOUND, FIEF_DYNAMIC, sizeof *b);
    b->receiver = receiver;
    b->method = method;
    adopt(vm, &b->head, OBJECT_BOUND, sizeof *b);
    return b;
}

/* ---- the end of an object ---- */

static void give(vm *vm, kind kind, void *block, size_t size)
{
    vm->gc.bytes -= size;
    free_block(vm, kind, block, size);
}

static void string_free(vm *vm, string *s)
{
    size_t size = string_size(s->length);
    vm->gc.bytes -= string_room(&vm->memory, size);
    mem_free_string(&vm->memory, s, size);
}

static void function_free(vm *vm, function *f)
{
    const chunk *c = &f->chunk;
    free_block(vm, KIND_CODE, c->code, c->code_size);
    free_block(vm, KIND_CONSTANTS, c->constants, c->constant_count * sizeof *c->constants);
    free_block(vm, KIND_CACHES, c->caches, c->cache_count * sizeof *c->caches);
    free_block(vm, KIND_LINES, c->lines, c->line_count * sizeof *c->lines);
    free_block(vm, KIND_FUNCTION, f, sizeof(function) + f->capture_count * sizeof(capture));
}

static void instance_free(vm *vm, instance *i)
{
    uint32_t room = room_of(i);
    if (i->fields != i->own) {
        give(vm, KIND_FIELDS, i->fields, room * sizeof(value));
        room = (uint32_t)as_number(i->own[0]);
    }
    kind kind = room == 1   ? KIND_INSTANCE_1
                : room == 2 ? KIND_INSTANCE_2
                : room == 4 ? KIND_INSTANCE_4
                            : KIND_INSTANCE_8;
    give(vm, kind, i, INSTANCE_SIZE(room));
}

static void closure_free(vm *vm, closure *c)
{
    unsigned exponent = (unsigned)(c->head.header >> 58);
    give(vm, closure_kind(exponent), c, CLOSURE_SIZE((size_t)1 << exponent));
}

static void class_free(vm *vm, class *c)
{
    table_free(vm, &c->methods);
    table_free(vm, &c->own.fields);
    give(vm, KIND_CLASS, c, sizeof *c);
}

void object_free(vm *vm, object *o)
{
    switch (type_of(o)) {
    case OBJECT_STRING: string_free(vm, (string *)o); break;
    case OBJECT_FUNCTION: function_free(vm, (function *)o); break;
    case OBJECT_NATIVE: break; /* the VM arena's */
    case OBJECT_CLOSURE: closure_free(vm, (closure *)o); break;
    case OBJECT_UPVALUE: give(vm, KIND_UPVALUE, o, sizeof(upvalue)); break;
    case OBJECT_CLASS: class_free(vm, (class *)o); break;
    case OBJECT_INSTANCE: instance_free(vm, (instance *)o); break;
    case OBJECT_BOUND: give(vm, KIND_BOUND, o, sizeof(bound)); break;
    }
}

/* ---- printing ---- */

static void print_function(FILE *out, const function *f)
{
    if (f->name == NULL) {
        fputs("<script>", out);
    } else {
        fprintf(out, "<fn %s>", f->name->text);
    }
}

static void print_object(FILE *out, const object *o)
{
    switch (type_of(o)) {
    case OBJECT_STRING:
        fwrite(((const string *)o)->text, 1, ((const string *)o)->length, out);
        break;
    case OBJECT_FUNCTION: print_function(out, (const function *)o); break;
    case OBJECT_NATIVE: fputs("<native fn>", out); break;
    case OBJECT_CLOSURE: print_function(out, ((const closure *)o)->function); break;
    case OBJECT_UPVALUE: fputs("upvalue", out); break;
    case OBJECT_CLASS: fputs(((const class *)o)->name->text, out); break;
    case OBJECT_INSTANCE:
        fprintf(out, "%s instance", class_of((const instance *)o)->name->text);
        break;
    case OBJECT_BOUND: print_function(out, ((const bound *)o)->method->function); break;
    }
}

void value_print(FILE *out, value v)
{
    if (is_number(v)) {
        fprintf(out, "%g", as_number(v));
    } else if (is_object(v)) {
        print_object(out, as_object(v));
    } else {
        fputs(v == VALUE_NIL ? "nil" : v == VALUE_TRUE ? "true" : "false", out);
    }
}
