/* peer: the mistakes of tests/misuse/ as they are made with another library, for peers.py.
 *
 *     PROGRAM --list            the mistakes that can be made with it
 *     PROGRAM NAME mistake      makes one; what is noticed shows in the exit status or on stderr
 *     PROGRAM NAME control      the same program without the mistake
 *
 * After each mistake the program goes on with some work: who notices late has the chance. */
#ifndef PEER_H
#define PEER_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OR(wrong, right) (mistaken ? (wrong) : (right))

typedef struct mistake {
    const char *name;
    void (*program)(bool mistaken);
} mistake;

static volatile char sink;
static char elsewhere[64];

static int make(const mistake *mistakes, size_t count, int argc, char **argv)
{
    for (size_t i = 0; i < count; i++) {
        if (argc == 2) {
            printf("%s\n", mistakes[i].name);
        } else if (argc == 3 && strcmp(argv[1], mistakes[i].name) == 0) {
            mistakes[i].program(strcmp(argv[2], "mistake") == 0);
            return 0;
        }
    }
    return argc == 2 ? 0 : 2;
}
#define MAIN(setup)                                                                     \
    int main(int argc, char **argv)                                                     \
    {                                                                                   \
        setup;                                                                          \
        return make(mistakes, sizeof mistakes / sizeof mistakes[0], argc, argv);        \
    }

#endif
