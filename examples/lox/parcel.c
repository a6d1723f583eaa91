/* parcel: see parcel.h. */
#include "parcel.h"

#include <stdio.h>

typedef struct sent {
    function *script;
    function *functions; /* all of them, the newest first */
    string **names;
    uint32_t global_count;
} sent;

void visit_link(const void *block, size_t size, fief_pointers *pointers)
{
    const object *o = block;
    (void)size;
    fief_pointer(pointers, &o->header, next_of(o));
}

void visit_caches(const void *block, size_t size, fief_pointers *pointers)
{
    const cache *caches = block;
    for (size_t i = 0; i < size / sizeof *caches; i++) {
        fief_pointer(pointers, &caches[i].name, caches[i].name);
        fief_pointer(pointers, &caches[i].method, caches[i].method);
    }
}

void visit_sent(const void *block, size_t size, fief_pointers *pointers)
{
    const sent *s = block;
    (void)size;
    fief_pointer(pointers, &s->script, s->script);
    fief_pointer(pointers, &s->functions, s->functions);
    fief_pointer(pointers, &s->names, s->names);
}

/* ---- send ---- */

static sent *compile_sent(vm *vm, const char *source, size_t size)
{
    function *script = compile(vm, source, size);
    if (script == NULL) {
        return NULL;
    }
    sent *s = new_block(vm, KIND_SENT, FIEF_CONSTANT, sizeof *s);
    size_t bytes = vm->global_count * sizeof *s->names;
    *s = (sent){script, (function *)vm->code, NULL, vm->global_count};
    s->names = new_block(vm, KIND_KEPT_NAMES, FIEF_CONSTANT, bytes);
    memcpy(s->names, vm->global_names, bytes);
    return s;
}

outcome parcel_compile(vm *vm, const char *source, size_t size, fief_parcel **ret_parcel)
{
    jmp_buf on_empty;
    fief_error error;
    vm->memory.on_empty = &on_empty;
    vm->line = 1;
    if (setjmp(on_empty) != 0) { /* the VM's one unit ends at its close */
        fprintf(vm->errors_to, "%s\n[line %u] in script\n", vm->errors[ERROR_NO_MEMORY], vm->line);
        return OUTCOME_RUNTIME_ERROR;
    }
    const sent *s = compile_sent(vm, source, size);
    if (s == NULL) {
        return OUTCOME_COMPILE_ERROR;
    }
    const fief_parcel_config config = {.error = &error};
    *ret_parcel = fief_unit_send(vm->memory.rt, vm->memory.unit, s, &config);
    if (*ret_parcel == NULL) {
        fprintf(vm->errors_to, "lox: the script can't be sent: %s\n", error.text);
        return OUTCOME_RUNTIME_ERROR;
    }
    return OUTCOME_OK;
}

/* ---- receive ---- */

static bool names_global(uint8_t code)
{
    return code == OP_GET_GLOBAL || code == OP_SET_GLOBAL || code == OP_DEFINE_GLOBAL;
}

static void unite_code(vm *vm, const chunk *c, string *const *names)
{
    for (size_t at = 0; at < c->code_size; at += instruction_size((opcode)c->code[at])) {
        uint32_t index;
        if (names_global(c->code[at])) {
            memcpy(&index, &c->code[at + 1], sizeof index);
            index = vm_global(vm, names[index]);
            memcpy(&c->code[at + 1], &index, sizeof index);
        }
    }
}

static void unite_function(vm *vm, function *f, string *const *names)
{
    const chunk *c = &f->chunk;
    f->name = f->name != NULL ? string_adopt(vm, (string *)(uintptr_t)f->name) : NULL;
    for (uint32_t i = 0; i < c->constant_count; i++) {
        if (is_of(c->constants[i], OBJECT_STRING)) {
            c->constants[i] = from_object(string_adopt(vm, as_string(c->constants[i])));
        }
    }
    for (uint32_t i = 0; i < c->cache_count; i++) {
        c->caches[i].name = string_adopt(vm, c->caches[i].name);
    }
    unite_code(vm, c, names);
}

static void unite(vm *vm, const sent *s)
{
    for (uint32_t i = 0; i < s->global_count; i++) {
        s->names[i] = string_adopt(vm, s->names[i]);
    }
    for (object *o = &s->functions->head, *next; o != NULL; o = next) {
        unite_function(vm, (function *)o, s->names);
        next = next_of(o);
        set_next(o, vm->code);
        vm->code = o;
    }
}

outcome parcel_run(vm *vm, fief_parcel **parcel)
{
    jmp_buf on_empty;
    fief_error error;
    vm->memory.on_empty = &on_empty;
    if (setjmp(on_empty) != 0) {
        return vm_out_of_memory(vm);
    }
    const sent *s = fief_unit_receive(vm->memory.rt, parcel, &error);
    if (s == NULL) {
        fprintf(vm->errors_to, "lox: %s\n", error.text);
        return OUTCOME_RUNTIME_ERROR;
    }
    unite(vm, s);
    return vm_run(vm, s->script);
}
