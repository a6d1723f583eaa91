/* faults: a program that uses every strategy runs once for each call that it makes to the OS, and
 * that call fails; then once more for each, and there one call of every later verb fails as well
 * (os/fake fails single calls, so we arm it again before each verb). Whatever fails: no living
 * block changes, no block leaks, no reserve stays behind. When nothing fails, nothing is NULL. */
#include "support.h"

#include "os/fake.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

enum { RESERVE = 10 << 20, LIVE = 64, SHORT = 300, MEDIUM = 20000, LARGE = 270000 };

static struct {
    size_t number; /* of the call that fails; 0: none */
    bool lasting;  /* and later ones */
    bool begun;
    const char *part;
} fault;

static void must(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "faults: %s: %s when call %zu failed%s\n", fault.part, what, fault.number,
                fault.lasting ? ", and later ones" : "");
        exit(1);
    }
}

/* Has the call that fails been made? */
static bool has_failed(void)
{
    return fault.begun || (fault.number != 0 && fake_calls() >= fault.number);
}

/* ---- blocks that must outlive each failure ---- */

static fief_runtime *rt;
static struct {
    unsigned char *block;
    size_t size;
    unsigned seed;
} live[LIVE];
static size_t live_count;

static void check(void)
{
    for (size_t i = 0; i < live_count; i++) {
        must(ends_hold(live[i].block, live[i].size, live[i].seed), "a living block changed");
    }
}

/* After each verb: looks at everything when the failure has come, and arms the next one. */
static void after(void)
{
    if (!has_failed()) {
        return;
    }
    if (!fault.begun || (fault.lasting && fake_calls() > 0)) {
        check();
    }
    fault.begun = true;
    if (fault.lasting) {
        fake_fail_at(1);
    }
}

/* A new block, filled; NULL is allowed once something has failed. */
static void *keep(void *block, size_t size)
{
    must(block != NULL || has_failed(), "NULL before anything failed");
    after();
    if (block != NULL) {
        must(live_count < LIVE, "the test's table is too small");
        fill_ends(block, size, (unsigned)live_count * 7 + 1);
        live[live_count].block = block;
        live[live_count].size = size;
        live[live_count].seed = (unsigned)live_count * 7 + 1;
        live_count++;
    }
    return block;
}

/* What was kept last dies, newest first. */
static void forget_after(size_t count)
{
    check();
    live_count = count;
}

/* ---- the heap ---- */

static const size_t sizes[] = {24, SHORT, MEDIUM, 1000, LARGE, 40, 2 * LARGE, MEDIUM, LARGE, SHORT};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

typedef struct verbs {
    void *(*alloc)(size_t size, size_t align);
    void *(*resize)(void *block, size_t old_size, size_t new_size);
    void (*give)(void *block, size_t size);
} verbs;

static void *sized_alloc(size_t size, size_t align)
{
    return align == 0 ? fief_heap_alloc(fief_runtime_heap(rt), size)
                      : fief_heap_alloc_aligned(fief_runtime_heap(rt), size, align);
}

static void *sized_resize(void *block, size_t old_size, size_t new_size)
{
    return fief_heap_resize(fief_runtime_heap(rt), block, old_size, new_size);
}

static void sized_give(void *block, size_t size)
{
    fief_heap_free(fief_runtime_heap(rt), block, size);
}

static void *unsized_alloc(size_t size, size_t align)
{
    return align == 0 ? fief_malloc(rt, size)
                      : fief_heap_alloc_unsized_aligned(fief_runtime_heap(rt), size, align);
}

static void *unsized_resize(void *block, size_t old_size, size_t new_size)
{
    (void)old_size;
    return fief_realloc(rt, block, new_size);
}

static void unsized_give(void *block, size_t size)
{
    (void)size;
    fief_release(rt, block);
}

static void *kind_alloc(size_t size, size_t align)
{
    (void)align;
    return fief_new(rt, FIEF_KIND_VECTOR, FIEF_DYNAMIC, size);
}

static void *kind_resize(void *block, size_t old_size, size_t new_size)
{
    return fief_resize(rt, FIEF_KIND_VECTOR, block, old_size, new_size);
}

static void kind_give(void *block, size_t size)
{
    fief_free(rt, FIEF_KIND_VECTOR, block, size);
}

/* Through all sizes; a resize that fails leaves the block as it was. */
static void resize_last(const verbs *v)
{
    size_t last = live_count - 1;
    for (size_t i = 0; i < SIZES; i++) {
        size_t old = live[last].size, kept = old < sizes[i] ? old : sizes[i];
        unsigned char *moved = v->resize(live[last].block, old, sizes[i]);
        must(moved != NULL || has_failed(), "a resize failed before its time");
        must(moved != NULL || sizes[i] > old, "a shrink failed");
        if (moved != NULL) {
            size_t end = kept < PATTERN_END ? kept : PATTERN_END;
            must(holds(moved, end, live[last].seed), "a resize lost the prefix");
            fill_ends(moved, sizes[i], live[last].seed);
            live[last].block = moved;
            live[last].size = sizes[i];
        }
        after();
    }
}

static void use_heap(const verbs *v)
{
    size_t before = live_count;
    for (size_t i = 0; i < SIZES; i++) {
        (void)keep(v->alloc(sizes[i], 0), sizes[i]);
        if (sizes[i] < LARGE) {
            (void)keep(v->alloc(sizes[i], (size_t)16 << i), sizes[i]);
        }
    }
    if (live_count > before) {
        resize_last(v);
    }
    check();
    while (live_count > before) {
        live_count--;
        v->give(live[live_count].block, live[live_count].size);
        after();
    }
}

/* ---- arenas and units ---- */

static bool may_seal; /* the runtime has pages of its own */

static size_t cleanups;

static void count_cleanup(void *unused)
{
    (void)unused;
    cleanups++;
}

static void fill_arena(fief_arena *a)
{
    size_t before = live_count, registered = 0, run = cleanups;
    (void)keep(fief_arena_alloc(a, SHORT), SHORT);
    size_t outer_count = live_count;
    fief_mark mark = fief_arena_mark(a);
    for (size_t i = 0; i < 3; i++) {
        (void)keep(fief_arena_alloc(a, MEDIUM), MEDIUM);
        (void)keep(fief_arena_alloc(a, LARGE), LARGE);
        (void)keep(fief_arena_alloc_aligned(a, SHORT, 4096), SHORT);
        registered += fief_arena_cleanup(a, count_cleanup, NULL);
        after();
    }
    char *text = fief_arena_printf(a, "%0*d", SHORT, 7);
    must(text == NULL || (text[0] == '0' && text[SHORT - 1] == '7'), "printf wrote something else");
    after();
    forget_after(outer_count);
    fief_arena_rewind(a, mark);
    must(cleanups - run == registered, "a cleanup was lost");
    after();
    check();
    (void)keep(fief_arena_alloc(a, MEDIUM), MEDIUM);
    forget_after(before);
    fief_arena_reset(a);
    after();
    (void)keep(fief_arena_alloc(a, MEDIUM), MEDIUM);
    forget_after(before);
}

/* A seal that the OS refuses changes nothing; nor does the end of one. */
static void use_seals(void)
{
    size_t before = live_count;
    void *walls[2] = {NULL, NULL};
    fief_arena *a = fief_arena_open(rt, NULL);
    after();
    for (size_t i = 0; a != NULL && i < 2; i++) {
        char *small = keep(fief_arena_alloc(a, SHORT), SHORT);
        char *large = keep(fief_arena_alloc(a, MEDIUM), MEDIUM); /* a run of its own */
        void *wall = keep(fief_malloc(rt, LARGE), LARGE); /* so that runs are not side by side */
        (void)keep(fief_arena_alloc(a, MEDIUM), MEDIUM);
        bool sealed = fief_seal(rt, a);
        must(sealed || has_failed() || fief_arena_used(a) == 0 || !may_seal, "a seal failed");
        must(small == NULL || fief_is_sealed(rt, small) == sealed, "half a seal");
        must(large == NULL || fief_is_sealed(rt, large) == sealed, "half a seal");
        after();
        bool unsealed = i % 2 == 1 && fief_unseal(rt, a);
        must(small == NULL || !sealed || fief_is_sealed(rt, small) != unsealed, "half an unseal");
        after();
        walls[i] = wall;
    }
    forget_after(before);
    fief_release(rt, walls[0]);
    fief_release(rt, walls[1]);
    fief_arena_close(a);
    after();
}

static void use_arenas(void)
{
    static char bytes[5000];
    const fief_arena_config configs[] = {{.name = "plain"},
                                         {.presize = 200000, .keep_bytes = 1},
                                         {.max_bytes = 100000},
                                         {.recorded = true},
                                         {.buffer = bytes, .buffer_size = sizeof bytes}};
    for (size_t i = 0; i < sizeof configs / sizeof configs[0]; i++) {
        fief_arena *a = fief_arena_open(rt, &configs[i]);
        after();
        if (a != NULL) {
            fill_arena(a);
            fief_arena_close(a);
            after();
        }
    }
}

static void use_units(void)
{
    size_t before = live_count;
    fief_unit outer = fief_unit_begin(rt);
    (void)keep(fief_temp(rt, char, MEDIUM), MEDIUM);
    for (size_t i = 0; i < 4; i++) {
        size_t count = live_count;
        fief_unit inner = fief_unit_begin(rt);
        (void)keep(fief_temp(rt, char, LARGE), LARGE);
        (void)keep(fief_new(rt, FIEF_KIND_AST_NODE, FIEF_DYNAMIC, SHORT), SHORT);
        (void)keep(fief_temp(rt, char, MEDIUM), MEDIUM);
        forget_after(count);
        fief_unit_end(rt, inner);
        after();
    }
    forget_after(before);
    fief_unit_end(rt, outer);
    after();
}

/* ---- stack, pools, strings ---- */

static void use_stack(void)
{
    enum { FRAMES = 40, SIZE = 5000 };
    size_t before = live_count;
    for (size_t i = 0; i < FRAMES; i++) {
        (void)keep(fief_stack_push(fief_frame_stack(rt), SIZE), SIZE);
    }
    size_t pushed = live_count;
    fief_mark mark = fief_stack_mark(fief_frame_stack(rt));
    for (size_t i = 0; i < 5; i++) {
        (void)keep(fief_stack_push(fief_frame_stack(rt), SIZE), SIZE);
    }
    forget_after(pushed);
    fief_stack_rewind(fief_frame_stack(rt), mark);
    while (live_count > before) {
        check();
        live_count--;
        must(fief_stack_pop(fief_frame_stack(rt), live[live_count].block, SIZE), "no pop");
        after();
    }
    live_count = before;
}

static void use_pools(void)
{
    enum { SLOTS = 30, SIZE = 12000 };
    size_t before = live_count;
    fief_pool *p = fief_pool_open(rt, "slots", SIZE);
    after();
    for (size_t i = 0; p != NULL && i < SLOTS; i++) {
        (void)keep(fief_pool_take(p), SIZE);
    }
    check();
    size_t taken = live_count - before;
    must(p == NULL || fief_pool_live(p) == taken, "the pool counts something else");
    for (size_t i = 0; i < taken; i++) {
        fief_pool_give(p, live[before + i].block);
    }
    live_count = before;
    fief_pool_close(p);
    void *pair = fief_new(rt, FIEF_KIND_PAIR, FIEF_DYNAMIC, 48);
    after();
    fief_free(rt, FIEF_KIND_PAIR, pair, 48);
}

static void use_strings(void)
{
    static char many[3000];
    memset(many, 'm', sizeof many - 1);
    fief_unit unit = fief_unit_begin(rt);
    for (unsigned context = 0; context < FIEF_CONTEXTS; context++) {
        char *strings[] = {fief_strdup(rt, context, "clock"), fief_strndup(rt, context, many, 50),
                           fief_printf(rt, context, "%s%d", many, 1),
                           fief_strdup(rt, context, many)};
        after();
        must(strings[0] == NULL || strcmp(strings[0], "clock") == 0, "strdup");
        must(strings[1] == NULL || strlen(strings[1]) == 50, "strndup");
        must(strings[2] == NULL || strlen(strings[2]) == sizeof many, "printf");
        must(strings[3] == NULL || strcmp(strings[3], many) == 0, "strdup of many");
        for (size_t i = 0; i < 4; i++) {
            fief_strategy owner = fief_owner(rt, strings[i]);
            if (strings[i] != NULL && owner == FIEF_HEAP && context != FIEF_TEMPORARY &&
                context > FIEF_CONSTANT) {
                fief_free_string(rt, strings[i]);
            }
        }
    }
    fief_unit_end(rt, unit);
    after();
}

/* ---- runtimes ---- */

static void use_everything(void)
{
    static const verbs all[] = {{sized_alloc, sized_resize, sized_give},
                                {unsized_alloc, unsized_resize, unsized_give},
                                {kind_alloc, kind_resize, kind_give}};
    static void (*const parts[])(void) = {use_arenas, use_seals,  use_units,
                                          use_stack,  use_pools, use_strings};
    live_count = 0;
    (void)keep(fief_new(rt, FIEF_KIND_STRING, FIEF_LITERAL, SHORT), SHORT);
    (void)keep(fief_arena_alloc(fief_vm_arena(rt), LARGE), LARGE);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        use_heap(&all[i]);
    }
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        parts[i]();
    }
    (void)fief_trim(rt);
    use_heap(&all[0]);
    check();
}

static void use_runtime(const char *part, fief_config config)
{
    fief_error error = {FIEF_OK, ""};
    config.error = &error;
    /* A small part of our small reserves; none where the reserve is the runtime's own, since such a
     * runtime, closed, waits with its dead blocks. */
    bool lives_apart = config.range != NULL || config.buffer != NULL;
    config.quarantine_bytes = lives_apart ? 1 << 20 : 1;
    fault.part = part;
    may_seal = config.buffer == NULL;
    rt = fief_open(&config);
    must(rt != NULL || has_failed(), "open failed before its time");
    must(rt != NULL || error.status == FIEF_NO_MEMORY, "open gave another reason");
    live_count = 0;
    after();
    if (rt != NULL) {
        use_everything();
        live_count = 0;
        must(fief_close(rt) == 0, "a block leaked");
    }
    after();
}

static void use_range(void)
{
    fault.part = "range";
    fief_range *range = fief_range_open(RESERVE);
    must(range != NULL || has_failed(), "no range before its time");
    after();
    if (range != NULL) {
        use_runtime("the first in a range", (fief_config){.range = range, .retain_bytes = 1});
        use_runtime("the second in a range", (fief_config){.range = range});
        must(fief_range_close(range), "the range is taken by nobody");
    }
}

/* Of a reserve no half of which is enough, so that one refusal is final. */
static void use_smallest(const char *part, const fief_trace *trace)
{
    fief_error error = {FIEF_OK, ""};
    fault.part = part;
    rt = fief_open(&(fief_config){
        .reserve_bytes = 4 << 20, .quarantine_bytes = 1, .trace = trace, .error = &error});
    must(rt != NULL || has_failed(), "open failed before its time");
    must(rt != NULL || error.status == FIEF_NO_MEMORY, "another reason than memory was told");
    after();
    if (rt != NULL) {
        (void)keep(fief_arena_alloc(fief_vm_arena(rt), MEDIUM), MEDIUM);
        check();
        live_count = 0;
        must(fief_close(rt) == 0, "a block leaked");
    }
}

static bool count_bytes(const void *bytes, size_t size, void *user)
{
    (void)bytes;
    *(size_t *)user += size;
    return true;
}

/* Where there is no memory for a trace there is no runtime; else the trace is written. */
static void use_trace(void)
{
    size_t written = 0;
    use_smallest("a trace", &(fief_trace){.write = count_bytes, .user = &written});
    must((written > 0) == (rt != NULL), "a trace without its runtime, or the other way");
}

/* A caller's buffer needs no memory from the OS; a guarded build asks it to fence dead pages. */
static void use_buffer(void)
{
    static _Alignas(16) char bytes[RESERVE];
    size_t calls = fake_calls();
    use_runtime("a buffer", (fief_config){.buffer = bytes, .buffer_size = sizeof bytes});
    bool fences = strcmp(fief_mode(), "release") != 0;
    must(fake_calls() == calls || fault.lasting || fences, "a buffer asked the OS");
}

/* The default kinds in an order and under names of our own. */
static fief_kind own_kinds[FIEF_DEFAULT_KINDS];

static void program(size_t number, bool lasting)
{
    fief_arena_config presized = {.presize = 300000};
    fault.number = number;
    fault.lasting = lasting;
    fault.begun = false;
    fake_fail_at(number);
    use_smallest("the smallest reserve", NULL);
    use_trace();
    use_runtime("default kinds", (fief_config){.reserve_bytes = RESERVE});
    use_runtime("own kinds", (fief_config){.reserve_bytes = RESERVE,
                                           .kinds = own_kinds,
                                           .kind_count = FIEF_DEFAULT_KINDS,
                                           .count_blocks = true,
                                           .vm_arena = &presized,
                                           .frame_stack = &presized});
    use_range();
    use_buffer();
    must(fake_reserves() == 0, "a reserve leaked");
}

int main(void)
{
    (void)mallopt(M_MMAP_MAX, 0); /* the fake's reserves are used again, without page faults */
    (void)mallopt(M_TRIM_THRESHOLD, 1 << 30);
    memcpy(own_kinds, fief_default_kinds, sizeof own_kinds);
    own_kinds[FIEF_KIND_MATRIX] = (fief_kind){.name = "own", .size = 4000, .any = FIEF_POOL};
    program(0, false);
    size_t made = fake_calls();
    size_t step = at_valgrinds_pace(1, 31);
    for (size_t number = 1; number <= made; number += step) {
        program(number, false);
        program(number, true);
    }
    printf("%zu calls, each failed once alone and once with those after it\n", made);
    return made > 20 ? 0 : 1;
}
