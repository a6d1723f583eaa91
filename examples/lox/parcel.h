/* parcel: a script that one VM compiled, on its way to another that runs it.
 *
 *     sent ──┬── functions   linked: code, constants, caches, lines
 *            └── names       of the globals, by the index that the code has
 *
 * What the code has of its VM is united with the other's when it arrives: a string that is there
 * already takes the place of the one that came along, and a global gets the index that its name has
 * there. */
#ifndef LOX_PARCEL_H
#define LOX_PARCEL_H

#include "vm.h"

/* Compiles in a VM that was opened with `one_unit`, once; errors are printed. The parcel is its
 * own: the VM can be closed. */
outcome parcel_compile(vm *vm, const char *source, size_t size, fief_parcel **ret_parcel);
/* Receives it in a VM that has fief's strategies and whose image is not to be saved, and runs it.
 * What it defines stays; the parcel is gone, but where memory is short. */
outcome parcel_run(vm *vm, fief_parcel **parcel);

/* The pointers in what is sent, for the kinds table: of functions, the link to the next one. */
void visit_link(const void *block, size_t size, fief_pointers *pointers);
void visit_caches(const void *block, size_t size, fief_pointers *pointers);
void visit_sent(const void *block, size_t size, fief_pointers *pointers);

#endif
