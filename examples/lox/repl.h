/* repl: a line, its result, the next one. History: where the build found libedit or readline. */
#ifndef LOX_REPL_H
#define LOX_REPL_H

#include "vm.h"

/* Until the end of the input; errors don't end it. */
void repl(vm *vm);

#endif
