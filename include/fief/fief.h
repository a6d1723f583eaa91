/** @file
 * Fief: the memory of a language interpreter. This header brings all of it. */

/** @mainpage
 * runtime.h is where to begin: it opens a runtime with a table of kinds, and has the verbs that an
 * interpreter uses all day. Below it are arena.h, stack.h, pool.h and heap.h; beside it stats.h and
 * misuse.h. adapt/ has a header for each engine that Fief plugs into. How to use all that:
 * docs/guide.md. */
#ifndef FIEF_FIEF_H
#define FIEF_FIEF_H

#include <fief/arena.h>
#include <fief/base.h>
#include <fief/heap.h>
#include <fief/image.h>
#include <fief/misuse.h>
#include <fief/nodes.h>
#include <fief/parcel.h>
#include <fief/pool.h>
#include <fief/runtime.h>
#include <fief/seal.h>
#include <fief/stack.h>
#include <fief/stats.h>

#endif
