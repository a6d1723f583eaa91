/* image: see image.h. To make one, what the globals lead to is copied into the VM's arena, each
 * object once; then the arena is saved. The VM is not to run any more after that. */
#include "image.h"

#include "vm.h"

#include <stdio.h>

/* The image's root. */
typedef struct kept {
    const char *opcode_names[OPCODE_COUNT], *errors[ERROR_COUNT];
    string *init_name;
    string_set strings;
    table global_indices;
    value *globals;
    string **global_names;
    uint32_t global_count, functions, classes;
    uint64_t versions;
} kept;

/* ---- where the pointers are ---- */

static void tell_value(fief_pointers *pointers, const value *v)
{
    if (is_object(*v)) {
        fief_pointer(pointers, v, as_object(*v));
    }
}

void visit_values(const void *block, size_t size, fief_pointers *pointers)
{
    const value *values = block;
    for (size_t i = 0; i < size / sizeof *values; i++) {
        tell_value(pointers, &values[i]);
    }
}

void visit_names(const void *block, size_t size, fief_pointers *pointers)
{
    const void *const *names = block;
    for (size_t i = 0; i < size / sizeof *names; i++) {
        fief_pointer(pointers, &names[i], names[i]);
    }
}

void visit_entries(const void *block, size_t size, fief_pointers *pointers)
{
    const entry *entries = block;
    for (size_t i = 0; i < size / sizeof *entries; i++) {
        fief_pointer(pointers, &entries[i].key, entries[i].key);
        tell_value(pointers, &entries[i].value);
    }
}

void visit_strings(const void *block, size_t size, fief_pointers *pointers)
{
    const uint64_t *slots = block;
    for (size_t i = 0; i < size / sizeof *slots; i++) {
        if (slots[i] != 0) {
            fief_pointer(pointers, &slots[i], string_at(slots[i]));
        }
    }
}

void visit_closure(const void *block, size_t size, fief_pointers *pointers)
{
    const closure *c = block;
    fief_pointer(pointers, &c->function, c->function);
    visit_names(c->upvalues, size - offsetof(closure, upvalues), pointers);
}

void visit_upvalue(const void *block, size_t size, fief_pointers *pointers)
{
    const upvalue *u = block;
    (void)size;
    fief_pointer(pointers, &u->location, u->location);
    tell_value(pointers, &u->closed);
}

void visit_kept(const void *block, size_t size, fief_pointers *pointers)
{
    const kept *k = block;
    (void)size;
    visit_names(k->opcode_names, sizeof k->opcode_names, pointers);
    visit_names(k->errors, sizeof k->errors, pointers);
    fief_pointer(pointers, &k->init_name, k->init_name);
    fief_pointer(pointers, &k->strings.slots, k->strings.slots);
    fief_pointer(pointers, &k->global_indices.entries, k->global_indices.entries);
    fief_pointer(pointers, &k->globals, k->globals);
    fief_pointer(pointers, &k->global_names, k->global_names);
}

/* ---- copies: each object's, in the order in which they were found ---- */

typedef struct moved {
    const object *from;
    object *to;
    uint32_t global; /* that led to it */
} moved;

typedef struct keeper {
    vm *vm;
    moved *list;
    uint32_t *slots; /* by the old address: its place in the list, plus 1 */
    size_t count, room;
    uint32_t global; /* whose value is looked at */
    uint32_t functions, classes;
    const char *trouble; /* what can't be kept; NULL: nothing so far */
    uint32_t trouble_at; /* the global that leads to it */
} keeper;

static void cannot_keep(keeper *k, const char *what)
{
    if (k->trouble == NULL) {
        k->trouble = what;
        k->trouble_at = k->global;
    }
}

static size_t slot_count(const keeper *k)
{
    return 2 * k->room;
}

static uint32_t *slot_for(const keeper *k, const object *from)
{
    size_t at = (size_t)((uintptr_t)from / sizeof(value) * 0x9E3779B97F4A7C15u >> 20);
    while (k->slots[at % slot_count(k)] != 0 &&
           k->list[k->slots[at % slot_count(k)] - 1].from != from) {
        at++;
    }
    return &k->slots[at % slot_count(k)];
}

static void grow(keeper *k)
{
    memory *m = &k->vm->memory;
    size_t old = k->room, room = old != 0 ? 2 * old : 1024;
    k->list = mem_resize(m, KIND_GRAY, k->list, old * sizeof *k->list, room * sizeof *k->list);
    k->slots = mem_resize(m, KIND_GRAY, k->slots, 2 * old * sizeof *k->slots,
                          2 * room * sizeof *k->slots);
    k->room = room;
    memset(k->slots, 0, slot_count(k) * sizeof *k->slots);
    for (size_t i = 0; i < k->count; i++) {
        *slot_for(k, k->list[i].from) = (uint32_t)i + 1;
    }
}

static void *keep_block(keeper *k, kind kind, size_t size)
{
    return size != 0 ? new_block(k->vm, kind, FIEF_CONSTANT, size) : NULL;
}

static object *new_copy(keeper *k, const object *o)
{
    switch (type_of(o)) {
    case OBJECT_STRING: {
        const string *s = (const string *)o;
        size_t size = offsetof(string, text) + (size_t)s->length + 1;
        return memcpy(new_block(k->vm, KIND_LITERAL, FIEF_LITERAL, size), o, size);
    }
    case OBJECT_CLOSURE:
        return keep_block(k, KIND_KEPT_CLOSURE,
                          CLOSURE_SIZE(((const closure *)o)->function->capture_count));
    case OBJECT_UPVALUE: return keep_block(k, KIND_KEPT_UPVALUE, sizeof(upvalue));
    case OBJECT_CLASS: return keep_block(k, KIND_KEPT_CLASS, sizeof(class));
    case OBJECT_INSTANCE: cannot_keep(k, "an instance"); return NULL;
    case OBJECT_BOUND: cannot_keep(k, "a bound method"); return NULL;
    default: cannot_keep(k, "code that may be collected"); return NULL;
    }
}

/* A string that was a program's before it became a literal is permanent, and not in the arena. */
static bool is_kept(const keeper *k, const object *o)
{
    return mark_of(o) == PERMANENT && fief_owner(k->vm->memory.rt, o) == FIEF_VM_ARENA;
}

/* Where the object is in the image. */
static void *keep(keeper *k, const void *object_)
{
    const object *o = object_;
    if (o == NULL || is_kept(k, o)) {
        return (void *)(uintptr_t)o;
    }
    if (k->count == k->room) {
        grow(k);
    }
    uint32_t *slot = slot_for(k, o);
    if (*slot != 0) {
        return k->list[*slot - 1].to;
    }
    object *to = new_copy(k, o);
    if (to != NULL) {
        to->header = (uint64_t)type_of(o) << 48;
        set_mark(to, PERMANENT);
        k->list[k->count++] = (moved){o, to, k->global};
        *slot = (uint32_t)k->count;
    }
    return to;
}

static value keep_value(keeper *k, value v)
{
    const void *o = is_object(v) ? keep(k, as_object(v)) : NULL;
    return o != NULL ? from_object(o) : v;
}

static table keep_table(keeper *k, const table *from)
{
    table to = {from->count, from->capacity,
                keep_block(k, KIND_KEPT_TABLE, from->capacity * sizeof(entry))};
    for (uint32_t i = 0; i < from->capacity; i++) {
        to.entries[i] = (entry){keep(k, from->entries[i].key),
                                keep_value(k, from->entries[i].value)};
    }
    return to;
}

/* Does the function, or one within it, set that upvalue? */
static bool assigns(const function *f, uint32_t index)
{
    const chunk *c = &f->chunk;
    for (size_t at = 0; at < c->code_size; at += instruction_size((opcode)c->code[at])) {
        if (c->code[at] == OP_SET_UPVALUE && c->code[at + 1] == index) {
            return true;
        }
    }
    for (uint32_t i = 0; i < c->constant_count; i++) {
        const function *inner = (const function *)as_object(c->constants[i]);
        bool is_function = is_of(c->constants[i], OBJECT_FUNCTION);
        for (uint32_t n = 0; is_function && n < inner->capture_count; n++) {
            if (!inner->captures[n].is_local && inner->captures[n].index == index &&
                assigns(inner, n)) {
                return true;
            }
        }
    }
    return false;
}

static void fill_closure(keeper *k, const closure *from, closure *to)
{
    to->function = from->function;
    for (uint32_t i = 0; i < from->function->capture_count; i++) {
        if (assigns(from->function, i)) {
            cannot_keep(k, "a closure that assigns to a variable it captured");
        }
        to->upvalues[i] = keep(k, from->upvalues[i]);
    }
}

/* Its layout lies in the VM that maps it: `own` has the place there. */
static void fill_class(keeper *k, const class *from, class *to)
{
    to->name = keep(k, from->name);
    to->number = from->number;
    to->init = keep(k, from->init);
    to->methods = keep_table(k, &from->methods);
    to->own = (layout){.class = to, .version = k->classes++};
}

static void fill(keeper *k, moved m)
{
    k->global = m.global;
    switch (type_of(m.from)) {
    case OBJECT_CLOSURE: fill_closure(k, (const closure *)m.from, (closure *)m.to); break;
    case OBJECT_CLASS: fill_class(k, (const class *)m.from, (class *)m.to); break;
    case OBJECT_UPVALUE: {
        upvalue *to = (upvalue *)m.to;
        to->location = &to->closed;
        to->closed = keep_value(k, *((const upvalue *)m.from)->location);
        break;
    }
    default: break;
    }
}

/* ---- the whole ---- */

/* Of caches, an image has the names: what else they hold is this run's. */
static void keep_names(keeper *k, chunk *c)
{
    size_t size = c->cache_count * sizeof *c->caches;
    string **names = keep_block(k, KIND_KEPT_NAMES, c->cache_count * sizeof(string *));
    for (uint32_t i = 0; i < c->cache_count; i++) {
        names[i] = keep(k, c->caches[i].name);
    }
    free_block(k->vm, KIND_CACHES, c->caches, size);
    c->caches = (cache *)(void *)names;
}

/* The functions lie in the arena already. One that is done is no longer in the list. */
static void clean_functions(keeper *k)
{
    for (object *o = k->vm->code; o != NULL; o = k->vm->code) {
        function *f = (function *)o;
        chunk *c = &f->chunk;
        f->name = keep(k, f->name);
        for (uint32_t i = 0; i < c->constant_count; i++) {
            c->constants[i] = keep_value(k, c->constants[i]);
        }
        keep_names(k, c);
        f->number = ++k->functions;
        k->vm->code = next_of(o);
        set_next(o, NULL);
    }
}

void image_forget(vm *vm)
{
    for (object *o = vm->code; o != NULL && vm->options.memory.records_vm; o = next_of(o)) {
        const chunk *c = &((const function *)o)->chunk;
        free_block(vm, KIND_CACHES, c->caches, c->cache_count * sizeof *c->caches);
    }
}

static void keep_globals(keeper *k, kept *to)
{
    const vm *vm = k->vm;
    to->global_count = vm->global_count;
    to->globals = keep_block(k, KIND_KEPT_VALUES, vm->global_count * sizeof(value));
    to->global_names = keep_block(k, KIND_KEPT_NAMES, vm->global_count * sizeof(string *));
    for (k->global = 0; k->global < vm->global_count; k->global++) {
        to->globals[k->global] = keep_value(k, vm->globals[k->global]);
        to->global_names[k->global] = keep(k, vm->global_names[k->global]);
    }
    k->global = 0;
    to->global_indices = keep_table(k, &vm->global_indices);
    for (size_t i = 0; i < k->count; i++) {
        fill(k, k->list[i]);
    }
}

/* Of a slot of the VM's set, the string that lies in the arena; NULL: none does. */
static string *kept_string(const keeper *k, uint64_t slot)
{
    return slot != 0 && is_kept(k, &string_at(slot)->head) ? string_at(slot) : NULL;
}

/* All that lie in the arena, and the copies; then nothing is copied any more. */
static string_set keep_strings(keeper *k)
{
    const string_set *from = &k->vm->strings;
    string_set to = {.capacity = 64};
    size_t count = 0;
    for (size_t i = 0; i < from->capacity; i++) {
        count += kept_string(k, from->slots[i]) != NULL;
    }
    for (size_t i = 0; i < k->count; i++) {
        count += type_of(k->list[i].to) == OBJECT_STRING;
    }
    while (to.capacity < 2 * count) {
        to.capacity *= 2;
    }
    to.slots = keep_block(k, KIND_KEPT_STRINGS, to.capacity * sizeof *to.slots);
    for (size_t i = 0; i < from->capacity; i++) {
        string *s = kept_string(k, from->slots[i]);
        if (s != NULL) {
            strings_add(&to, s);
        }
    }
    for (size_t i = 0; i < k->count; i++) {
        if (type_of(k->list[i].to) == OBJECT_STRING) {
            strings_add(&to, (string *)k->list[i].to);
        }
    }
    return to;
}

static kept *keep_all(keeper *k)
{
    const vm *vm = k->vm;
    kept *to = keep_block(k, KIND_KEPT, sizeof *to);
    memcpy(to->opcode_names, vm->opcode_names, sizeof to->opcode_names);
    memcpy(to->errors, vm->errors, sizeof to->errors);
    to->init_name = vm->init_name;
    clean_functions(k);
    keep_globals(k, to);
    to->strings = keep_strings(k);
    to->functions = k->functions;
    to->classes = k->classes;
    to->versions = vm->versions;
    return to;
}

/* Code of another set of instructions is of no use; nor is that which does not count its steps,
 * where they are counted. */
static uint64_t version_of(const vm *vm)
{
#define OPCODE_TEXT(name) #name " "
    static const char names[] = OPCODES(OPCODE_TEXT);
#undef OPCODE_TEXT
    uint64_t counts = vm->options.steps != 0;
    return counts << 32 | hash_bytes((uint32_t)HASH_SEED, names, sizeof names);
}

static bool save(keeper *k, const char *path)
{
    jmp_buf on_empty;
    fief_error error;
    k->vm->memory.on_empty = &on_empty;
    if (setjmp(on_empty) != 0) {
        fputs("lox: out of memory, no image was saved\n", stderr);
        return false;
    }
    const kept *top = keep_all(k);
    if (k->trouble != NULL) {
        fprintf(stderr, "lox: no image was saved: '%s' holds %s, which can change\n",
                k->vm->global_names[k->trouble_at]->text, k->trouble);
        return false;
    }
    fief_image_config config = {.root = top, .version = version_of(k->vm), .error = &error};
    bool saved = fief_image_save(fief_vm_arena(k->vm->memory.rt), path, &config);
    if (!saved) {
        fprintf(stderr, "lox: no image was saved: %s\n", error.text);
    }
    return saved;
}

bool image_save(vm *vm, const char *path)
{
    keeper k = {.vm = vm};
    size_t limit = vm->gc.limit;
    vm->gc.limit = SIZE_MAX; /* copies are no roots */
    bool saved = save(&k, path);
    vm->memory.on_empty = NULL;
    vm->gc.limit = limit;
    free_block(vm, KIND_GRAY, k.list, k.room * sizeof *k.list);
    free_block(vm, KIND_GRAY, k.slots, slot_count(&k) * sizeof *k.slots);
    return saved;
}

/* ---- the other end ---- */

static void begin_with(vm *vm, const kept *from)
{
    memory *m = &vm->memory;
    size_t count = from->global_count;
    memcpy(vm->opcode_names, from->opcode_names, sizeof from->opcode_names);
    memcpy(vm->errors, from->errors, sizeof from->errors);
    vm->init_name = from->init_name;
    vm->versions = from->versions;
    vm->image.strings = from->strings;
    vm->image.global_indices = from->global_indices;
    vm->image.functions = from->functions;
    vm->image.classes = from->classes;
    vm->globals = mem_resize(m, KIND_GLOBALS, NULL, 0, count * sizeof(value));
    vm->global_capacity = (uint32_t)count;
    memcpy(vm->globals, from->globals, count * sizeof(value));
    vm->global_names = mem_resize(m, KIND_GLOBALS, NULL, 0, count * sizeof(string *));
    memcpy(vm->global_names, from->global_names, count * sizeof(string *));
    vm->global_count = from->global_count;
}

bool image_load(vm *vm, const char *path)
{
    fief_error error;
    fief_image_config config = {.version = version_of(vm), .error = &error};
    const fief_image *image = fief_image_open(vm->memory.rt, path, &config);
    if (image == NULL) {
        fprintf(stderr, "lox: %s\n", error.text);
        return false;
    }
    begin_with(vm, fief_image_root(image));
    return true;
}

cache *image_caches(vm *vm, const function *f)
{
    image_part *image = &vm->image;
    if (image->caches == NULL) {
        size_t size = (image->functions + (size_t)1) * sizeof(cache *);
        image->caches = new_block(vm, KIND_COPIES, FIEF_CONSTANT, size);
    }
    const chunk *c = &f->chunk;
    cache **own = &image->caches[f->number];
    if (*own == NULL && c->cache_count != 0) {
        string *const *names = (string *const *)(const void *)c->caches;
        *own = new_block(vm, KIND_CACHES, FIEF_CONSTANT, c->cache_count * sizeof **own);
        for (uint32_t i = 0; i < c->cache_count; i++) {
            (*own)[i].name = names[i];
        }
    }
    return *own;
}

layout *image_layout(vm *vm, class *c)
{
    image_part *image = &vm->image;
    if (image->layouts == NULL) {
        size_t size = image->classes * sizeof *image->layouts;
        image->layouts = new_block(vm, KIND_LAYOUTS, FIEF_CONSTANT, size);
    }
    layout *own = &image->layouts[c->own.version];
    if (own->class == NULL) {
        *own = (layout){.class = c, .version = c->number};
    }
    return own;
}
