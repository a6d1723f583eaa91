/* natives: the functions that are there from the start. */
#include "vm.h"

#include <time.h>

static const char *const native_names[] = {[NATIVE_CLOCK] = "clock"};

void natives_define(vm *vm)
{
    for (size_t id = 0; id < sizeof native_names / sizeof native_names[0]; id++) {
        native *n = new_block(vm, KIND_NATIVE, FIEF_NATIVE, sizeof *n);
        n->head.header = (uint64_t)OBJECT_NATIVE << 48;
        set_mark(&n->head, PERMANENT);
        n->id = (native_id)id;
        string *name = string_literal(vm, native_names[id], strlen(native_names[id]));
        uint32_t index = vm_global(vm, name);
        vm->globals[index] = from_object(n);
    }
}

value native_call(native_id id)
{
    switch (id) {
    case NATIVE_CLOCK: return from_number((double)clock() / CLOCKS_PER_SEC);
    }
    return VALUE_NIL;
}
