/* image: what the VM begins with, made once and mapped by each lox that is given it.
 *
 *     kept ──┬── names of opcodes, texts of errors
 *            ├── strings    the set of all of them
 *            ├── indices    name -> global
 *            └── values     of the globals ── closures, classes, functions, code, constants
 *
 * Nothing in it changes. What does change has a place beside it: the globals are copied when the VM
 * begins; a function's inline caches, at its first call; the layout of a class's instances, with
 * its first instance. */
#ifndef LOX_IMAGE_H
#define LOX_IMAGE_H

#include <fief/fief.h>

/* The pointers in blocks of an image, kind by kind: for the kinds table. */
void visit_kept(const void *block, size_t size, fief_pointers *pointers);
void visit_closure(const void *block, size_t size, fief_pointers *pointers);
void visit_upvalue(const void *block, size_t size, fief_pointers *pointers);
void visit_values(const void *block, size_t size, fief_pointers *pointers);
void visit_entries(const void *block, size_t size, fief_pointers *pointers);
void visit_strings(const void *block, size_t size, fief_pointers *pointers);
void visit_names(const void *block, size_t size, fief_pointers *pointers);

#endif
