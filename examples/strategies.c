/* strategies [NAME]: the five places where memory can live, a short function for each.
 *
 *     define_native   vm arena         lives as long as the VM
 *     compile         compiler arena   lives as long as one compilation
 *     power           stack            lives as long as a call
 *     sweep           pool             objects of one size, which a collector frees one by one
 *     append          heap             the rest: sizes that vary, blocks that grow
 *
 * The table below sends each kind of object to its place. `./dev demo` shows these functions, and
 * runs them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fief/fief.h>

typedef double math(double);

typedef struct native {
    const char *name;
    math *function;
} native;

typedef struct node {
    struct node *left, *right;
    double number;
} node;

typedef struct closure {
    struct closure *next; /* in the list of all objects */
    bool marked;
} closure;

typedef struct frame {
    const closure *running;
    double locals[4];
} frame;

typedef struct text {
    char *letters;
    size_t length, size;
} text;

enum { NATIVE, NODE, FRAME, CLOSURE, STRING, KINDS };

static const fief_kind kinds[KINDS] = {
    [NATIVE] = {.name = "native", .any = FIEF_VM_ARENA},
    [NODE] = {.name = "node", .any = FIEF_COMPILER_ARENA},
    [FRAME] = {.name = "frame", .size = sizeof(frame), .any = FIEF_STACK},
    [CLOSURE] = {.name = "closure", .size = sizeof(closure), .any = FIEF_POOL},
    [STRING] = {.name = "string", .any = FIEF_HEAP, .traits = FIEF_NO_POINTERS},
};

static void *must(void *block)
{
    if (block == NULL) {
        fputs("strategies: not enough memory\n", stderr);
        exit(EXIT_FAILURE);
    }
    return block;
}

/* ---- vm arena: what the VM is born with ---- */

/* Made once, freed by nobody: fief_close ends it. */
static native *define_native(fief_runtime *rt, const char *name, math *f)
{
    native *n = must(fief_new(rt, NATIVE, FIEF_NATIVE, sizeof *n));
    n->name = must(fief_strdup(rt, FIEF_NATIVE, name));
    n->function = f;
    return n;
}

/* ---- compiler arena: what a compilation needs ---- */

static node *parse(fief_runtime *rt, unsigned depth)
{
    node *n = must(fief_temp(rt, node, 1));
    *n = (node){.number = 1};
    if (depth > 0) {
        n->left = parse(rt, depth - 1);
        n->right = parse(rt, depth - 1);
    }
    return n;
}

static double sum(const node *n)
{
    return n != NULL ? n->number + sum(n->left) + sum(n->right) : 0;
}

/* A pointer moves for each node; the unit's end drops the whole tree. */
static double compile(fief_runtime *rt)
{
    fief_unit unit = fief_unit_begin(rt);
    double folded = sum(parse(rt, 9));
    fief_unit_end(rt, unit);
    return folded;
}

/* ---- stack: what a call needs ---- */

/* Pushed and popped, newest first; a pop in another order is refused. */
static double power(fief_runtime *rt, double base, unsigned exponent)
{
    if (exponent == 0) {
        return 1;
    }
    frame *f = must(fief_new(rt, FRAME, FIEF_DYNAMIC, sizeof *f));
    f->locals[0] = base;
    double result = power(rt, base, exponent - 1) * f->locals[0];
    fief_stack_pop(fief_frame_stack(rt), f, sizeof *f);
    return result;
}

/* ---- pool: objects of one size that die one by one ---- */

static closure *make_closure(fief_runtime *rt, closure *next, bool is_marked)
{
    closure *c = must(fief_new(rt, CLOSURE, FIEF_DYNAMIC, sizeof *c));
    *c = (closure){next, is_marked};
    return c;
}

/* Each goes back by itself; the next closure takes its slot. */
static size_t sweep(fief_runtime *rt, closure **link)
{
    size_t freed = 0;
    while (*link != NULL) {
        closure *c = *link;
        if (c->marked) {
            c->marked = false;
            link = &c->next;
        } else {
            *link = c->next;
            fief_free(rt, CLOSURE, c, sizeof *c);
            freed++;
        }
    }
    return freed;
}

/* ---- heap: the rest ---- */

/* Resize and free are told the size, so no header has to hold it. */
static void append(fief_runtime *rt, text *t, char letter)
{
    if (t->length == t->size) {
        size_t more = t->size != 0 ? 2 * t->size : 16;
        void *moved = fief_resize(rt, STRING, t->letters, t->size, more);
        t->letters = must(moved);
        t->size = more;
    }
    t->letters[t->length++] = letter;
}

/* ---- each at work ---- */

static size_t used(const fief_runtime *rt, fief_strategy strategy)
{
    return fief_stats_strategy(rt, strategy).used_bytes;
}

static size_t peak(const fief_runtime *rt, fief_strategy strategy)
{
    return fief_stats_strategy(rt, strategy).peak_bytes;
}

static double half(double x)
{
    return x / 2;
}

static void show_native(fief_runtime *rt)
{
    const native *n = define_native(rt, "half", half);
    printf("%s(3) is %g: in the %s until the VM ends\n", n->name, n->function(3),
           fief_strategy_name(fief_owner(rt, n)));
}

static void show_compile(fief_runtime *rt)
{
    double nodes = compile(rt);
    printf("a tree of %g nodes, %zu bytes; after the unit's end: %zu bytes\n", nodes,
           peak(rt, FIEF_COMPILER_ARENA), used(rt, FIEF_COMPILER_ARENA));
}

static void show_power(fief_runtime *rt)
{
    double result = power(rt, 2, 9);
    printf("2 to the 9th is %g; bytes of frames after it: %zu\n", result, used(rt, FIEF_STACK));
}

static void show_sweep(fief_runtime *rt)
{
    closure *all = NULL;
    for (int i = 0; i < 1000; i++) {
        all = make_closure(rt, all, i % 3 == 0);
    }
    size_t freed = sweep(rt, &all);
    printf("%zu of 1000 closures swept, %zu bytes left; ", freed, used(rt, FIEF_POOL));
    freed = sweep(rt, &all);
    printf("%zu more, %zu bytes left\n", freed, used(rt, FIEF_POOL));
}

static void show_append(fief_runtime *rt)
{
    text t = {0};
    for (int i = 0; i < 1000; i++) {
        append(rt, &t, (char)('a' + i % 26));
    }
    printf("%zu letters in a block of %zu bytes, in the %s\n", t.length, t.size,
           fief_strategy_name(fief_owner(rt, t.letters)));
    fief_free(rt, STRING, t.letters, t.size);
}

static const struct {
    const char *name;
    void (*show)(fief_runtime *);
} examples[] = {{"define_native", show_native},
                {"compile", show_compile},
                {"power", show_power},
                {"sweep", show_sweep},
                {"append", show_append}};
enum { EXAMPLES = sizeof examples / sizeof examples[0] };

static bool is_known(const char *name)
{
    for (size_t i = 0; i < EXAMPLES; i++) {
        if (strcmp(name, examples[i].name) == 0) {
            return true;
        }
    }
    return false;
}

int main(int argc, char **argv)
{
    if (argc > 2 || (argc == 2 && !is_known(argv[1]))) {
        fputs("strategies: no such example: define_native, compile, power, sweep, append, or all\n",
              stderr);
        return 2;
    }
    fief_error error;
    fief_runtime *rt =
        fief_open(&(fief_config){.kinds = kinds, .kind_count = KINDS, .error = &error});
    if (rt == NULL) {
        fprintf(stderr, "strategies: %s\n", error.text);
        return EXIT_FAILURE;
    }
    for (size_t i = 0; i < EXAMPLES; i++) {
        if (argc == 1 || strcmp(argv[1], examples[i].name) == 0) {
            examples[i].show(rt);
        }
    }
    return fief_close(rt) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
