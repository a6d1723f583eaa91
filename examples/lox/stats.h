#ifndef LOX_STATS_H
#define LOX_STATS_H

#include "vm.h"

/* To stderr. */
void stats_print(const vm *vm);

#endif
