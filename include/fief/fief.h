/** @file
 * Fief: the memory of a language interpreter. This header brings all of it. */
#ifndef FIEF_FIEF_H
#define FIEF_FIEF_H

#include <fief/arena.h>
#include <fief/base.h>
#include <fief/heap.h>
#include <fief/misuse.h>
#include <fief/pool.h>
#include <fief/runtime.h>
#include <fief/stack.h>
#include <fief/stats.h>

#endif
