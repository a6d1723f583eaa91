#include "vm.h"

#include "run.h"

#include <sys/stat.h>

/* ---- boot and tear-down ---- */

static const char *boot_name(vm *vm, const char *text, size_t size)
{
    return memcpy(new_block(vm, KIND_NAME, FIEF_NATIVE, size), text, size);
}

static void boot_names(vm *vm)
{
#define BOOT_OPCODE(name) vm->opcode_names[OP_##name] = boot_name(vm, #name, sizeof #name);
    OPCODES(BOOT_OPCODE)
#undef BOOT_OPCODE
#define BOOT_ERROR(name, text) vm->errors[ERROR_##name] = boot_name(vm, text, sizeof text);
    ERRORS(BOOT_ERROR)
#undef BOOT_ERROR
    vm->init_name = string_literal(vm, "init", 4);
}

static size_t stack_size(const vm *vm)
{
    return (size_t)vm->options.frames * VALUES_PER_FRAME * sizeof(value);
}

bool vm_open(vm *vm, const vm_options *options)
{
    memset(vm, 0, sizeof *vm);
    vm->options = *options;
    if (vm->options.frames == 0) {
        vm->options.frames = FRAMES_USUAL;
    }
    vm->out = options->out != NULL ? options->out : stdout;
    vm->errors_to = options->errors_to != NULL ? options->errors_to : stderr;
    vm->steps = options->steps;
    vm->memory.collect = gc_on_full;
    vm->memory.user = vm;
    vm->gc.limit = SIZE_MAX;
    if (!mem_open(&vm->memory, &options->memory)) {
        return false;
    }
    jmp_buf too_small;
    if (setjmp(too_small) != 0) {
        fputs("Out of memory.\n", vm->errors_to);
        vm_close(vm);
        return false;
    }
    vm->memory.on_empty = &too_small;
    vm->stack = vm->top = mem_new_values(&vm->memory, stack_size(vm));
    vm->stack_end = vm->stack + stack_size(vm) / sizeof(value);
    if (options->image != NULL && !image_load(vm, options->image)) {
        vm_close(vm);
        return false;
    }
    if (options->image == NULL) {
        boot_names(vm);
        natives_define(vm);
    }
    vm->gc.is_stressed = options->gc_stress;
    vm->gc.limit = options->gc_stress ? 0 : (size_t)1 << 20;
    vm->memory.on_empty = NULL;
    return true;
}

static void free_all(vm *vm)
{
    gc_close(vm);
    for (uint32_t i = 0; vm->image.layouts != NULL && i < vm->image.classes; i++) {
        table_free(vm, &vm->image.layouts[i].fields);
    }
    image_forget(vm);
    table_free(vm, &vm->global_indices);
    strings_free(vm, &vm->strings);
    free_block(vm, KIND_GLOBALS, vm->globals, vm->global_capacity * sizeof(value));
    free_block(vm, KIND_GLOBALS, vm->global_names, vm->global_capacity * sizeof(string *));
}

/* In the reverse order of the boot: frames and values, the unit, dynamic objects, the VM's, which
 * may be those of one unit. A release build leaves the objects where they are: their pages go back
 * as a whole. */
size_t vm_close(vm *vm)
{
    bool in_one_unit = vm->options.memory.one_unit != NULL;
    vm->memory.on_empty = NULL; /* whoever set it has returned */
    bool frees = vm->options.frees_all || mem_must_free_all(&vm->memory);
    unwind(vm);
    if (vm->stack != NULL) {
        mem_free_values(&vm->memory, vm->stack, stack_size(vm));
    }
    if (!in_one_unit) {
        mem_unit_end(&vm->memory);
    }
    if (frees) {
        free_all(vm);
    }
    mem_unit_end(&vm->memory);
    return mem_close(&vm->memory, !frees);
}

/* ---- globals ---- */

static void globals_grow(vm *vm)
{
    uint32_t old = vm->global_capacity, room = old != 0 ? 2 * old : 16;
    vm->globals = mem_resize(&vm->memory, KIND_GLOBALS, vm->globals, old * sizeof(value),
                             room * sizeof(value));
    string **names = mem_try_resize(&vm->memory, KIND_GLOBALS, vm->global_names,
                                    old * sizeof(string *), room * sizeof(string *));
    if (names == NULL) { /* shrinking never fails: both stay of one size */
        vm->globals = mem_resize(&vm->memory, KIND_GLOBALS, vm->globals, room * sizeof(value),
                                 old * sizeof(value));
        mem_fail(&vm->memory);
    }
    vm->global_names = names;
    vm->global_capacity = room;
}

uint32_t vm_global(vm *vm, string *name)
{
    value index;
    if (table_get(&vm->image.global_indices, name, &index) ||
        table_get(&vm->global_indices, name, &index)) {
        return (uint32_t)as_number(index);
    }
    if (vm->global_count == vm->global_capacity) {
        globals_grow(vm);
    }
    uint32_t fresh = vm->global_count;
    table_set(vm, &vm->global_indices, name, from_number(fresh));
    vm->globals[fresh] = VALUE_EMPTY;
    vm->global_names[fresh] = name;
    vm->global_count++;
    return fresh;
}

/* ---- one source ---- */

static void unit_begin(vm *vm)
{
    vm->line = 1;
    vm->is_compiling = true;
    mem_unit_begin(&vm->memory);
}

/* What was compiled is the collector's now, where it is to be collected. */
static void unit_end(vm *vm)
{
    while (vm->gc.newborn != NULL) {
        object *o = vm->gc.newborn;
        vm->gc.newborn = next_of(o);
        set_next(o, vm->gc.objects);
        vm->gc.objects = o;
    }
    mem_unit_end(&vm->memory);
    vm->is_compiling = false;
}

outcome vm_out_of_memory(vm *vm)
{
    if (!vm->is_compiling) {
        runtime_error(vm, ERROR_NO_MEMORY);
        return OUTCOME_RUNTIME_ERROR;
    }
    unit_end(vm);
    fprintf(vm->errors_to, "%s\n[line %u] in script\n", vm->errors[ERROR_NO_MEMORY], vm->line);
    return OUTCOME_RUNTIME_ERROR;
}

outcome vm_run(vm *vm, function *f)
{
    *vm->top++ = from_object(f);
    closure *script = closure_new(vm, f);
    vm->top[-1] = from_object(script);
    outcome result = run(vm, script);
    vm->top = vm->stack;
    return result;
}

/* In the open unit. */
static outcome compile_and_run(vm *vm, const char *source, size_t size)
{
    function *f = compile(vm, source, size);
    unit_end(vm);
    if (f == NULL) {
        return OUTCOME_COMPILE_ERROR;
    }
    if (vm->options.dump) {
        chunk_dump(vm, f);
    }
    return vm_run(vm, f);
}

outcome vm_interpret(vm *vm, const char *source, size_t size)
{
    jmp_buf on_empty;
    vm->memory.on_empty = &on_empty;
    if (setjmp(on_empty) != 0) {
        return vm_out_of_memory(vm);
    }
    unit_begin(vm);
    return compile_and_run(vm, source, size);
}

/* ---- files ---- */

static const char *read_all(vm *vm, FILE *file, size_t *ret_size)
{
    size_t room = 4096, size = 0;
    struct stat status;
    if (fstat(fileno(file), &status) == 0 && S_ISREG(status.st_mode)) {
        room = (size_t)status.st_size + 1;
    }
    char *text = new_block(vm, KIND_SOURCE, FIEF_TEMPORARY, room);
    for (;;) {
        size += fread(text + size, 1, room - size, file);
        if (size < room) {
            break;
        }
        text = mem_regrow(&vm->memory, KIND_SOURCE, text, room, 2 * room);
        room *= 2;
    }
    *ret_size = size;
    return ferror(file) ? NULL : text;
}

static outcome interpret_open_file(vm *vm, FILE *file, const char *path)
{
    size_t size;
    jmp_buf on_empty;
    vm->memory.on_empty = &on_empty;
    if (setjmp(on_empty) != 0) {
        return vm_out_of_memory(vm);
    }
    unit_begin(vm);
    const char *text = read_all(vm, file, &size);
    if (text == NULL) {
        unit_end(vm);
        fprintf(vm->errors_to, "Could not read file \"%s\".\n", path);
        return OUTCOME_IO_ERROR;
    }
    return compile_and_run(vm, text, size);
}

outcome vm_interpret_file(vm *vm, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(vm->errors_to, "Could not open file \"%s\".\n", path);
        return OUTCOME_IO_ERROR;
    }
    outcome result = interpret_open_file(vm, file, path);
    fclose(file);
    return result;
}
