/* target: what an engine calls. One table row a target: which operations its programs have. */
#ifndef FIEF_FUZZ_TARGET_H
#define FIEF_FUZZ_TARGET_H

#include "ops.h"
#include "run.h"

typedef struct target {
    const char *name;
    unsigned operations; /* A .. O, or'ed */
    bool is_text;        /* its input is a text, for the parser */
    bool is_lox;         /* that of Lox (lox.h), and not ours */
    bool is_image;       /* its input is a file for the reader of images: image.c runs it */
    bool fails;          /* it needs the OS that fails on demand */
} target;

extern const target targets[];
const target *find_target(const char *name); /* NULL: there is none */

/* What the binary was linked with: NULL, or the OS that fails. */
const faults *target_faults(void);

/* Runs one input; aborts where something is wrong. */
result target_run(const target *t, const uint8_t *data, size_t size);

/* ---- programs made up, and changed ---- */

typedef struct dice {
    uint64_t state;
} dice;
size_t roll(dice *d, size_t below);
void program_make(program *ret, unsigned operations, size_t count, dice *d);
/* A few edits of whole operations. */
void program_mutate(program *p, unsigned operations, dice *d);
/* The head of one and the tail of the other. */
void program_splice(program *ret, const program *a, const program *b, dice *d);
/* The same for an input in the target's own form; returns the new size, at most `most`. */
size_t target_mutate(const target *t, uint8_t *data, size_t size, size_t most, uint64_t seed);

#endif
