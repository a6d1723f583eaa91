/* run: the loop over bytecode. */
#ifndef LOX_RUN_H
#define LOX_RUN_H

#include "vm.h"

/* Calls the closure of a script, which is on the stack, and returns when it is over. */
outcome run(vm *vm, closure *script);
/* Prints the message and the calls that led here, and pops them all. */
void runtime_error(vm *vm, error_id id, ...);
/* Pops every frame and value. */
void unwind(vm *vm);

#endif
