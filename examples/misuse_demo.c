/* misuse-demo N: a very small interpreter that makes one mistake on purpose.
 *
 *     1  a token's text is copied without room for its end     overflow
 *     2  the sweep frees a name that lives as long as the VM   wrong-allocator
 *     3  the closures that a script made are never swept       leak
 *
 * A guarded build reports each; 1 and 2 end in SIGABRT, 3 in status 1. In a release build 1 goes
 * unnoticed: that is what the guarded builds are for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "color.h"

#include <fief/fief.h>

typedef struct node {
    int operation; /* 0: a number */
    int value;
    struct node *left, *right;
} node;

typedef struct closure {
    const char *name;
    int constant;
} closure;

typedef struct vm {
    fief_runtime *runtime;
    closure *closures[4];
    size_t closure_count;
} vm;

enum { OBJ_STRING, OBJ_CLOSURE, AST_NODE, KIND_COUNT };

static const fief_kind kinds[KIND_COUNT] = {
    [OBJ_STRING] = {.name = "string",
                    .in = {[FIEF_NATIVE] = FIEF_VM_ARENA, [FIEF_DYNAMIC] = FIEF_HEAP}},
    [OBJ_CLOSURE] = {.name = "closure", .size = sizeof(closure), .any = FIEF_POOL},
    [AST_NODE] = {.name = "node", .size = sizeof(node), .any = FIEF_COMPILER_ARENA},
};

static void *must(void *block)
{
    if (block == NULL) {
        fputs("misuse-demo: not enough memory\n", stderr);
        exit(EXIT_FAILURE);
    }
    return block;
}

static node *new_node(vm *m, int operation, int value, node *left, node *right)
{
    node *n = must(fief_new(m->runtime, AST_NODE, FIEF_TEMPORARY, sizeof *n));
    *n = (node){operation, value, left, right};
    return n;
}

static node *parse_sum(vm *m, int left, int right)
{
    return new_node(m, '+', 0, new_node(m, 0, left, NULL, NULL), new_node(m, 0, right, NULL, NULL));
}

static int fold(const node *n)
{
    return n->operation == '+' ? fold(n->left) + fold(n->right) : n->value;
}

static char *define_native(vm *m, const char *name)
{
    size_t size = strlen(name) + 1;
    char *copy = must(fief_new(m->runtime, OBJ_STRING, FIEF_NATIVE, size));
    memcpy(copy, name, size);
    return copy;
}

static void make_closure(vm *m, const char *name, int constant)
{
    closure *c = must(fief_new(m->runtime, OBJ_CLOSURE, FIEF_DYNAMIC, sizeof *c));
    *c = (closure){name, constant};
    m->closures[m->closure_count++] = c;
}

static void sweep(vm *m)
{
    while (m->closure_count != 0) {
        closure *c = m->closures[--m->closure_count];
        fief_free(m->runtime, OBJ_CLOSURE, c, sizeof *c);
    }
}

static void write_past_a_token(vm *m)
{
    fief_unit unit = fief_unit_begin(m->runtime);
    const char *source = "print";
    char *text = must(fief_temp(m->runtime, char, strlen(source)));
    for (size_t i = 0; i <= strlen(source); i++) { /* the mistake: one byte too many */
        text[i] = source[i];
    }
    printf("folded: %d\n", fold(parse_sum(m, 2, 3)));
    fflush(stdout);
    fief_unit_end(m->runtime, unit);
}

static void free_native_name_in_the_sweep(vm *m)
{
    char *name = define_native(m, "clock");
    make_closure(m, name, 1);
    sweep(m);
    fief_free(m->runtime, OBJ_CLOSURE, name, strlen(name) + 1); /* the mistake: not a closure */
}

static void forget_the_last_sweep(vm *m)
{
    make_closure(m, "adder", 1);
    make_closure(m, "counter", 2);
    make_closure(m, "printer", 3);
    /* the mistake: no sweep(m) before the close */
}

static const struct {
    const char *title;
    void (*commit)(vm *);
} misuses[] = {
    {"a token is written one byte past its end", write_past_a_token},
    {"the sweep frees a vm-lifetime string", free_native_name_in_the_sweep},
    {"closures are forgotten at close", forget_the_last_sweep},
};

int main(int argc, char **argv)
{
    size_t count = sizeof misuses / sizeof misuses[0];
    size_t chosen = argc == 2 && strlen(argv[1]) == 1 ? (size_t)(argv[1][0] - '1') : count;
    if (chosen >= count) {
        fputs("misuse-demo: give one number, 1 to 3\n", stderr);
        return 2;
    }
    fief_error error = {0};
    vm m = {0};
    m.runtime = fief_open(
        &(fief_config){.name = "demo", .kinds = kinds, .kind_count = KIND_COUNT,
                       .color = wants_color(COLOR_AUTO), .error = &error});
    if (m.runtime == NULL) {
        fprintf(stderr, "misuse-demo: %s\n", error.text);
        return EXIT_FAILURE;
    }
    printf("%s\n", misuses[chosen].title);
    fflush(stdout);
    misuses[chosen].commit(&m);
    return fief_close(m.runtime) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
