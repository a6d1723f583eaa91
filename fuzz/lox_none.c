/* lox_none: a program without the interpreter, whose target is another. */
#include "lox.h"

#include <stdio.h>
#include <stdlib.h>

uint64_t lox_run(const uint8_t *text, size_t size, size_t *ret_steps)
{
    (void)text;
    (void)size;
    (void)ret_steps;
    fputs("fuzz: this program has no Lox\n", stderr);
    abort();
}

bool lox_parses(const uint8_t *text, size_t size)
{
    (void)text;
    (void)size;
    return true;
}
