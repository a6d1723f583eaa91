/* Each misuse that can happen between the lifetimes of an interpreter, once on purpose, with lox's
 * own objects: a child does it, and its report has to name it. Speaks TAP. For the debug build. */
#include "object.h"
#include "vm.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const classes[] = {
#define ROW(name, class) class,
#define ROWS(X)                                                                                   \
    X(token_kept_in_a_closure, "dangling-at-reset")                                               \
    X(node_kept_in_a_function, "dangling-at-reset")                                               \
    X(symbol_stored_in_a_class, "dangling-store")                                                 \
    X(token_read_after_its_unit, "use-after-reset")                                               \
    X(scope_written_after_its_unit, "use-after-reset")                                            \
    X(node_made_without_a_unit, "no-unit")                                                        \
    X(outer_unit_ended_first, "unit-order")                                                       \
    X(unit_ended_twice, "unit-order")                                                             \
    X(constant_freed_by_the_sweep, "wrong-allocator")                                             \
    X(native_freed_by_the_sweep, "wrong-allocator")                                               \
    X(function_of_a_file_freed, "wrong-allocator")                                                \
    X(token_freed, "wrong-allocator")                                                             \
    X(frame_freed, "wrong-allocator")                                                             \
    X(frame_popped_twice, "not-lifo")                                                             \
    X(callers_frame_popped_first, "not-lifo")                                                     \
    X(upvalue_open_when_the_stack_goes, "dangling-at-rewind")                                     \
    X(frame_read_after_its_return, "use-after-rewind")                                            \
    X(closure_swept_twice, "double-free")                                                         \
    X(closure_swept_as_an_upvalue, "wrong-allocator")                                             \
    X(class_swept_as_a_table, "wrong-kind")                                                       \
    X(string_freed_with_another_size, "wrong-size")                                               \
    X(fields_freed_as_a_block, "interior-free")                                                   \
    X(foreign_block_freed, "foreign-free")                                                        \
    X(instance_written_after_the_sweep, "write-after-free")                                       \
    X(string_written_past_its_end, "overflow")                                                    \
    X(class_left_at_the_close, "leak")                                                            \
    X(name_read_after_the_close, "use-after-close")
    ROWS(ROW)
#undef ROW
};

typedef enum row {
#define ROW(name, class) name,
    ROWS(ROW)
#undef ROW
    COUNT
} row;

static const char *const names[] = {
#define ROW(name, class) #name,
    ROWS(ROW)
#undef ROW
};

static vm machine;

static void *temporary(kind kind, size_t size)
{
    return new_block(&machine, kind, FIEF_TEMPORARY, size);
}

static function *a_function(void)
{
    return function_new(&machine, 1);
}

static void read_byte(const void *from)
{
    (void)*(const volatile char *)from;
}

static void across_the_end_of_a_unit(row row)
{
    memory *m = &machine.memory;
    fief_unit outer = fief_unit_begin(m->rt);
    void *token = temporary(KIND_TOKEN, 40);
    switch (row) {
    case token_kept_in_a_closure: closure_new(&machine, a_function())->upvalues[0] = token; break;
    case node_kept_in_a_function: a_function()->name = token; break;
    case symbol_stored_in_a_class: {
        class *c = class_new(&machine, machine.init_name);
        fief_store(m->rt, c, &c->init, token);
        break;
    }
    case token_freed: mem_free(m, KIND_TOKEN, token, 40); break;
    case outer_unit_ended_first:
        (void)fief_unit_begin(m->rt);
        fief_unit_end(m->rt, outer);
        break;
    default: break;
    }
    fief_unit_end(m->rt, outer);
    switch (row) {
    case token_read_after_its_unit: read_byte(token); break;
    case scope_written_after_its_unit: *(volatile char *)token = 1; break;
    case unit_ended_twice: fief_unit_end(m->rt, outer); break;
    default: break;
    }
}

static void of_the_vm_arena(row row)
{
    memory *m = &machine.memory;
    string *literal = string_literal(&machine, "constant", 8);
    switch (row) {
    case constant_freed_by_the_sweep:
        mem_free(m, KIND_STRING, literal, offsetof(string, text) + 9);
        break;
    case native_freed_by_the_sweep:
        mem_free(m, KIND_UPVALUE, as_object(machine.globals[0]), sizeof(native));
        break;
    case function_of_a_file_freed: {
        function *f = a_function();
        mem_free(m, KIND_FUNCTION, f, sizeof *f + sizeof(capture));
        break;
    }
    default: {
        const char *name = machine.opcode_names[0];
        gc_close(&machine);
        (void)vm_close(&machine);
        read_byte(name);
    }
    }
}

static void of_the_stack(row row)
{
    memory *m = &machine.memory;
    frame *caller = mem_push_frame(m, sizeof(frame));
    frame *callee = mem_push_frame(m, sizeof(frame));
    switch (row) {
    case frame_freed: mem_free(m, KIND_CLOSURE_1, callee, CLOSURE_SIZE(1)); break;
    case callers_frame_popped_first: mem_pop_frame(m, caller, sizeof *caller); break;
    case frame_popped_twice:
        mem_pop_frame(m, callee, sizeof *callee);
        mem_pop_frame(m, callee, sizeof *callee);
        break;
    case frame_read_after_its_return: {
        fief_mark mark = fief_stack_mark(fief_frame_stack(m->rt));
        void *values = fief_stack_push(fief_frame_stack(m->rt), 1 << 17);
        fief_stack_rewind(fief_frame_stack(m->rt), mark);
        read_byte((const char *)values + (1 << 16));
        break;
    }
    default:
        mem_pop_frame(m, callee, sizeof *callee);
        mem_pop_frame(m, caller, sizeof *caller);
        machine.open = upvalue_new(&machine, machine.stack);
        mem_free_values(m, machine.stack, FRAMES_USUAL * VALUES_PER_FRAME * sizeof(value));
    }
}

static void of_objects(row row)
{
    memory *m = &machine.memory;
    closure *c = closure_new(&machine, a_function());
    string *s = string_dynamic(&machine, "dynamic", 7);
    instance *i = instance_new(&machine, class_new(&machine, machine.init_name));
    size_t size = offsetof(string, text) + 8;
    switch (row) {
    case closure_swept_twice:
        mem_free(m, KIND_CLOSURE_1, c, CLOSURE_SIZE(1));
        mem_free(m, KIND_CLOSURE_1, c, CLOSURE_SIZE(1));
        break;
    case closure_swept_as_an_upvalue: mem_free(m, KIND_UPVALUE, c, sizeof(upvalue)); break;
    case class_swept_as_a_table: mem_free(m, KIND_TABLE, class_of(i), sizeof(class)); break;
    case string_freed_with_another_size: mem_free(m, KIND_STRING, s, size + 24); break;
    case fields_freed_as_a_block: mem_free(m, KIND_INSTANCE_1, i->fields, sizeof(value)); break;
    case foreign_block_freed: mem_free(m, KIND_STRING, malloc(size), size); break;
    case instance_written_after_the_sweep:
        mem_free(m, KIND_INSTANCE_1, i, INSTANCE_SIZE(1));
        *(volatile value *)&i->own[0] = VALUE_NIL;
        fief_check(m->rt);
        break;
    case string_written_past_its_end:
        ((volatile char *)s->text)[8] = '!';
        mem_free(m, KIND_STRING, s, size);
        break;
    default: /* it is in no list, so nobody frees it */
        machine.gc.objects = NULL;
        (void)vm_close(&machine);
    }
}

static void misuse(row row)
{
    if (row == node_made_without_a_unit) {
        (void)temporary(KIND_NODE, 16);
    } else if (row <= unit_ended_twice || row == token_freed) {
        across_the_end_of_a_unit(row);
    } else if (row <= function_of_a_file_freed || row == name_read_after_the_close) {
        of_the_vm_arena(row);
    } else if (row <= frame_read_after_its_return) {
        of_the_stack(row);
    } else {
        of_objects(row);
    }
}

/* What the child wrote to its stderr. */
static void report_of(row row, char *text, size_t size)
{
    int ends[2];
    if (pipe(ends) != 0) {
        exit(EXIT_FAILURE);
    }
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        if (vm_open(&machine, &(vm_options){0})) {
            misuse(row);
        }
        _exit(EXIT_SUCCESS);
    }
    close(ends[1]);
    size_t length = 0;
    ssize_t got;
    while ((got = read(ends[0], text + length, size - 1 - length)) > 0) {
        length += (size_t)got;
    }
    text[length] = '\0';
    close(ends[0]);
    waitpid(child, NULL, 0);
}

int main(void)
{
    int failed = 0;
    printf("1..%d\n", COUNT);
    for (row row = 0; row < COUNT; row++) {
        static char text[1 << 16];
        char expected[64];
        report_of(row, text, sizeof text);
        snprintf(expected, sizeof expected, "misuse[%s]", classes[row]);
        bool good = strstr(text, expected) != NULL;
        printf("%s %d %s is %s\n", good ? "ok" : "not ok", row + 1, names[row], classes[row]);
        if (!good) {
            printf("# not \"%s\" in: %.300s\n", expected, text);
        }
        failed |= !good;
    }
    return failed;
}
