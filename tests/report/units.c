/* units: writes a runtime's trace for the tests of fief report and fief advise: 60 units that make
 * nodes (freed within their unit), tokens (in the compiler arena: they die with it), names (five
 * of them outlive it), closures (one size, freed by themselves) and natives (live to the end).
 * Around each unit lie frames, of which the newest dies first.
 * Names are such that a page must escape them. */
#include <fief/fief.h>
#include <stdbool.h>

enum {
    NODE,
    TOKEN,
    NAME,
    CLOSURE,
    NATIVE,
    FRAME,
    KINDS,
    UNITS = 60,
    NODES = 40,
    TOKENS = 30,
    CLOSURES = 25,
    KEPT = 5,
    FRAMES = 3
};

static const fief_kind kinds[KINDS] = {
    [NODE] = {.name = "node", .any = FIEF_HEAP},
    [TOKEN] = {.name = "token", .any = FIEF_COMPILER_ARENA},
    [NAME] = {.name = "name & <b>", .any = FIEF_HEAP},
    [CLOSURE] = {.name = "closure", .size = 48, .any = FIEF_POOL},
    [NATIVE] = {.name = "native", .any = FIEF_VM_ARENA},
    [FRAME] = {.name = "frame", .any = FIEF_HEAP},
};

static void *kept[KEPT];

static bool make_many(fief_runtime *rt, unsigned kind, fief_context context, int count)
{
    bool sound = true;
    for (int i = 0; i < count && sound; i++) {
        sound = fief_new(rt, kind, context, 32) != NULL;
    }
    return sound;
}

static bool run_unit(fief_runtime *rt, int number)
{
    void *nodes[NODES], *closures[CLOSURES];
    fief_unit unit = fief_unit_begin_named(rt, "</script><b>main");
    for (int i = 0; i < NODES; i++) {
        nodes[i] = fief_new(rt, NODE, FIEF_DYNAMIC, 16 + (size_t)i % 5 * 24);
    }
    bool sound = make_many(rt, TOKEN, FIEF_TEMPORARY, TOKENS);
    for (int i = 0; i < CLOSURES; i++) {
        closures[i] = fief_new(rt, CLOSURE, FIEF_DYNAMIC, 48);
    }
    void *first = fief_new(rt, NAME, FIEF_LITERAL, 24);
    void *second = fief_new(rt, NAME, FIEF_LITERAL, 40);
    for (int i = 0; i < NODES; i++) {
        fief_free(rt, NODE, nodes[i], 16 + (size_t)i % 5 * 24);
    }
    fief_free(rt, NAME, second, 40);
    if (number < KEPT) {
        kept[number] = first;
    } else {
        fief_free(rt, NAME, first, 24);
    }
    fief_trace_mark(rt, "unit done");
    fief_unit_end(rt, unit);
    for (int i = 0; i < CLOSURES; i++) {
        fief_free(rt, CLOSURE, closures[i], 48);
    }
    return sound;
}

static bool call_units(fief_runtime *rt, int number)
{
    void *outer = fief_new(rt, FRAME, FIEF_DYNAMIC, 40);
    bool sound = true;
    for (int i = 0; i < FRAMES && sound; i++) {
        size_t size = 48 + 8 * (size_t)i;
        void *inner = fief_new(rt, FRAME, FIEF_DYNAMIC, size);
        sound = i != 1 || run_unit(rt, number);
        fief_free(rt, FRAME, inner, size);
    }
    fief_free(rt, FRAME, outer, 40);
    return sound;
}

int main(int count, char **words)
{
    fief_trace to = {.path = count > 1 ? words[1] : "units.trace"};
    fief_runtime *rt =
        fief_open(&(fief_config){.kinds = kinds, .kind_count = KINDS, .trace = &to});
    bool sound = rt != NULL && make_many(rt, NATIVE, FIEF_NATIVE, 200);
    for (int u = 0; u < UNITS && sound; u++) {
        sound = call_units(rt, u);
    }
    for (int i = 0; i < KEPT && sound; i++) {
        fief_free(rt, NAME, kept[i], 24);
    }
    return fief_close(rt) == 0 && sound ? 0 : 1;
}
