/* lox: the interpreter of examples/lox as a target, whose input is a Lox text. */
#ifndef FIEF_FUZZ_LOX_H
#define FIEF_FUZZ_LOX_H

/* Apart from the other headers here, since some of the interpreter's names are theirs, too. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dice;

/* Runs the text twice, with other strategies and a collection at every allocation the second time;
 * aborts where the two don't do the same, or where something leaks. lox.c; where a program has no
 * interpreter, lox_none.c. Returns a digest of what it wrote, 0 where that is not always the
 * same. */
uint64_t lox_run(const uint8_t *text, size_t size, size_t *ret_steps);

/* Is it a program? Where there is no interpreter, all are. */
bool lox_parses(const uint8_t *text, size_t size);

/* ---- texts made up, and changed by whole tokens; they return the size, at most `most` ---- */

size_t lox_make(uint8_t *text, size_t most, struct dice *d);
size_t lox_mutate(uint8_t *text, size_t size, size_t most, struct dice *d);
/* The head of one and the tail of the other. */
size_t lox_splice(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, uint8_t *out,
                  size_t most, struct dice *d);

#endif
