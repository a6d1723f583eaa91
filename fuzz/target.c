/* target: see target.h. */
#include "target.h"

#include "lox.h"

#include <stdlib.h>
#include <string.h>

const target targets[] = {
    {.name = "arena", .operations = A},
    {.name = "stack", .operations = S},
    {.name = "pool", .operations = P},
    {.name = "heap", .operations = H},
    {.name = "runtime", .operations = R},
    {.name = "table", .operations = T},
    {.name = "oom", .operations = O, .fails = true},
    {.name = "ops_text", .operations = ALL | T, .is_text = true},
    {.name = "lox", .is_text = true, .is_lox = true},
    {.name = "image", .is_image = true},
    {.name = NULL},
};

const target *find_target(const char *name)
{
    for (const target *t = targets; t->name != NULL; t++) {
        if (strcmp(t->name, name) == 0) {
            return t;
        }
    }
    return NULL;
}

static void must(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "fuzz: expected %s\n", what);
        abort();
    }
}

/* What parses, prints as a text that is the same program, and has bytes that are. */
static result run_text(const uint8_t *data, size_t size)
{
    enum { ROOM = OPS_MAX * 128, BYTES = OPS_MAX * (1 + OPERANDS_MAX * 9) };
    static program first, second;
    static char text[ROOM];
    static uint8_t bytes[BYTES];
    char error[200] = "";
    if (!program_from_text(&first, (const char *)data, size, "input", error, sizeof error)) {
        must(strncmp(error, "input:", 6) == 0 && strstr(error, ": expected ") != NULL,
             "an error with its place and what was expected");
        return (result){1, 0};
    }
    size_t length = program_to_text(&first, text, sizeof text);
    must(length < sizeof text, "room for every text");
    must(program_from_text(&second, text, length, "again", error, sizeof error),
         "a text that parses");
    must(program_same(&first, &second), "the same program from its text");
    length = program_to_bytes(&first, bytes, sizeof bytes);
    program_from_bytes(&second, bytes, length, ~0u);
    must(program_same(&first, &second), "the same program from its bytes");
    return (result){first.count + 2, first.count};
}

result target_run(const target *t, const uint8_t *data, size_t size)
{
    static program p;
    if (t->is_lox) {
        result r = {0, 0};
        r.digest = lox_run(data, size, &r.operations);
        return r;
    }
    if (t->is_text) {
        return run_text(data, size);
    }
    program_from_bytes(&p, data, size, t->operations);
    return run_program(&p, target_faults(), NULL, NULL);
}
