/* do_arenas: arenas, units, marks, the stacks; pointers from one block to another. */
#include "run.h"

#include <limits.h>
#include <string.h>

enum { ARRAY_LARGEST = 4096, OWN = HOMES - HOME_OWN };

const char *c_home(const life *l, int home_index)
{
    static char names[2][24];
    static unsigned next;
    if (l->run->c == NULL) {
        return "";
    }
    char *name = names[next++ % 2];
    (void)snprintf(name, sizeof names[0], "a[%u][%d]", l->index, home_index);
    return name;
}

/* Temporaries have no place while no unit is open. */
static bool is_usable(const life *l, int home_index)
{
    return l->homes[home_index].is_open && (home_index != HOME_UNIT || l->unit_count != 0);
}

int find_home(const life *l, uint64_t handle, bool stacks)
{
    for (unsigned n = 0; n < HOMES; n++) {
        int index = (int)((handle + n) % HOMES);
        if (is_usable(l, index) && l->homes[index].is_stack == stacks) {
            return index;
        }
    }
    return -1;
}

static int find_any_home(const life *l, uint64_t handle)
{
    int index = (int)handle;
    while (!is_usable(l, index)) {
        index = (index + 1) % HOMES;
    }
    return index; /* the vm's is always open */
}

/* ---- open, close, allocate ---- */

void do_arena_open(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    int index = HOME_OWN + (int)(at[0] % OWN);
    if (l == NULL || l->homes[index].is_open) {
        return;
    }
    unsigned variant = (unsigned)at[1] % ARENA_CONFIGS;
    if (l->is_counted && arena_configs[variant].max_bytes != 0) {
        /* A cap counts redzones: with a limit on the heap, the mode would say who is refused. */
        variant = 0;
    }
    fief_arena_config c = arena_configs[variant];
    unsigned char *buffer = r->ground->arena_buffers[l->index][index] + variant % 2 * 3;
    c.buffer = c.buffer_size != 0 ? buffer : NULL;
    bool is_stack = index == HOME_OWN_STACK;
    SAY(r, "arena_config = (fief_arena_config){%s};", arena_config_texts[variant]);
    if (c.buffer != NULL) {
        SAY(r, "arena_config.buffer = arena_buffer[%u][%d] + %u;", l->index, index,
            variant % 2 * 3);
    }
    SAY(r, "%s = %sfief_%s_open(rt[%u], &arena_config)%s;", c_home(l, index), is_stack ? "&" : "",
        is_stack ? "stack" : "arena", l->index, is_stack ? "->arena" : "");
    fief_stack *stack = is_stack ? fief_stack_open(l->rt, &c) : NULL;
    fief_arena *arena =
        is_stack ? (stack != NULL ? &stack->arena : NULL) : fief_arena_open(l->rt, &c);
    MUST(r, arena != NULL || null_is_fine(r), "expected an arena, found NULL");
    home *h = &l->homes[index];
    h->arena = arena;
    h->strategy = is_stack ? FIEF_STACK : FIEF_VM_ARENA;
    h->is_open = arena != NULL;
    h->is_stack = is_stack;
    h->cap = c.max_bytes;
    h->has_cap = c.max_bytes != 0;
    h->opened = ++l->homes_opened;
    h->has_buffer = c.buffer != NULL;
    h->is_recorded = c.recorded;
    h->last = h->logged = 0;
    for (unsigned i = 0; i < MARKS; i++) {
        l->marks[i].is_set = l->marks[i].is_set && l->marks[i].home != index;
    }
}

/* Where its blocks began, which all die with it; how many. */
static unsigned starts_in(const life *l, int index, const unsigned char **ret_starts)
{
    unsigned count = 0;
    for (unsigned i = 0; i < l->top && !l->homes[index].has_buffer; i++) {
        const block *b = &l->blocks[i];
        if (b->origin != EMPTY && b->home == index && b->strategy == l->homes[index].strategy) {
            ret_starts[count++] = b->start;
        }
    }
    return count;
}

/* The runtime's own arenas stay: closing one resets it. */
static void lose_all(run *r, life *l, int index, bool closes)
{
    home *h = &l->homes[index];
    const unsigned char *starts[BLOCKS];
    unsigned count = starts_in(l, index, starts);
    prepare_undo(r, l, index, 0);
    size_t used = h->has_buffer ? 0 : fief_arena_used(h->arena), held = fief_stats_held(l->rt);
    SAY(r, "fief_arena_%s(%s);", closes ? "close" : "reset", c_home(l, index));
    if (closes) {
        fief_arena_close(h->arena);
    } else {
        fief_arena_reset(h->arena);
    }
    finish_undo(r, l, index, 0);
    bool stays = index < HOME_OWN || !closes;
    MUST(r, stays || fief_stats_held(l->rt) + used <= held,
         "expected a%d's %zu bytes held no more, found %zu of %zu held", index, used,
         fief_stats_held(l->rt), held);
    for (unsigned i = 0; i < count; i++) {
        MUST(r, stays || fief_owner(l->rt, starts[i]) == FIEF_NO_STRATEGY,
             "expected what was in a%d to be nobody's", index);
    }
    l->strategies[h->strategy].resets += stays;
    h->is_open = stays;
    for (unsigned i = 0; i < MARKS; i++) { /* those of the empty arena, too */
        l->marks[i].is_set = l->marks[i].is_set && l->marks[i].home != index;
    }
}

static int find_closable(const life *l, uint64_t handle)
{
    int index = (int)handle;
    while (!l->homes[index].is_open || (index == HOME_UNIT && l->unit_count != 0)) {
        index = (index + 1) % HOMES;
    }
    return index;
}

void do_arena_close(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    if (l != NULL) {
        lose_all(r, l, find_closable(l, at[0]), true);
    }
}

void do_arena_reset(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    if (l != NULL) {
        lose_all(r, l, find_closable(l, at[0]), false);
    }
}

static made made_in(const life *l, int home_index, size_t size, size_t align)
{
    return (made){.size = size,
                  .counted = size,
                  .align = align < FIEF_GRAIN ? FIEF_GRAIN : align,
                  .origin = IN_ARENA,
                  .home = home_index,
                  .pool = -1,
                  .kind = no_kind(l),
                  .strategy = l->homes[home_index].strategy};
}

void do_arena_alloc(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    int home_index = l != NULL ? find_home(l, at[1], false) : -1;
    size_t align = (size_t)1 << at[3];
    int index = home_index >= 0 ? room_for(r, at[0], (size_t)at[2]) : -1;
    if (index >= 0) {
        made m = made_in(l, home_index, (size_t)at[2], align);
        SAY(r, "%s = fief_arena_alloc_aligned(%s, %zu, %zu);", c_block(l, index),
            c_home(l, home_index), m.size, align);
        m.start = fief_arena_alloc_aligned(l->homes[home_index].arena, m.size, align);
        settle(r, index, m);
    }
}

/* count * size, of which the product may not fit. */
static size_t array_bytes(uint64_t count, uint64_t *size)
{
    size_t bytes;
    *size = *size >= SIZE_ABSURD ? *size : *size % ARRAY_LARGEST;
    return __builtin_mul_overflow((size_t)count, (size_t)*size, &bytes) ? SIZE_MAX : bytes;
}

void do_arena_array(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    int home_index = l != NULL ? find_home(l, at[1], false) : -1;
    uint64_t size = at[3];
    size_t bytes = array_bytes(at[2], &size);
    int index = home_index >= 0 ? room_for(r, at[0], bytes) : -1;
    if (index >= 0) {
        made m = made_in(l, home_index, bytes, FIEF_ALIGN);
        SAY(r, "%s = fief_arena_array(%s, %zu, %zu, 16);", c_block(l, index), c_home(l, home_index),
            (size_t)at[2], (size_t)size);
        m.start =
            fief_arena_array(l->homes[home_index].arena, (size_t)at[2], (size_t)size, FIEF_ALIGN);
        settle(r, index, m);
    }
}

void do_temp(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    uint64_t size = at[2];
    size_t bytes = array_bytes(at[1], &size);
    int index = l != NULL && l->unit_count != 0 ? room_for(r, at[0], bytes) : -1;
    if (index >= 0) {
        made m = made_in(l, HOME_UNIT, bytes, FIEF_GRAIN);
        SAY(r, "%s = fief_temp_block(rt[%u], %zu, %zu, 8);", c_block(l, index), l->index,
            (size_t)at[1], (size_t)size);
        m.start = fief_temp_block(l->rt, (size_t)at[1], (size_t)size, FIEF_GRAIN);
        settle(r, index, m);
    }
}

/* A text of `size` characters, 16 at most in the format itself. */
static void arena_text(run *r, const uint64_t *at, bool prints)
{
    static const char text[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    life *l = open_life(r);
    int home_index = l != NULL ? find_home(l, at[1], false) : -1;
    size_t length = (size_t)at[2] % sizeof text,
           width = prints ? (size_t)at[2] % ARRAY_LARGEST : length;
    width = width < length ? length : width;
    int index = home_index >= 0 ? room_for(r, at[0], width + 1) : -1;
    if (index < 0) {
        return;
    }
    const char *own = text + (sizeof text - 1 - length);
    fief_arena *arena = l->homes[home_index].arena;
    made m = made_in(l, home_index, width + 1, FIEF_GRAIN);
    if (prints) {
        SAY(r, "%s = fief_arena_printf(%s, \"%%*s\", %d, text_of(%zu));", c_block(l, index),
            c_home(l, home_index), (int)width, length);
        m.start = fief_arena_printf(arena, "%*s", (int)width, own);
    } else {
        SAY(r, "%s = fief_arena_strdup(%s, text_of(%zu));", c_block(l, index),
            c_home(l, home_index), length);
        m.start = fief_arena_strdup(arena, own);
    }
    MUST(r, m.start == NULL || strcmp((const char *)m.start + (width - length), own) == 0,
         "expected a copy, found something else");
    settle(r, index, m);
}

void do_arena_strdup(run *r, const uint64_t *at)
{
    arena_text(r, at, false);
}

void do_arena_printf(run *r, const uint64_t *at)
{
    arena_text(r, at, true);
}

/* ---- what dies together ---- */

void prepare_undo(run *r, life *l, int home_index, uint64_t number)
{
    for (unsigned i = 0; i < l->top; i++) {
        const block *b = &l->blocks[i];
        if (dies_above(b, home_index, number)) {
            must_hold(r, (int)i, b->size);
            see_bytes(r, b);
            SAY(r, "check(%s, %zu, %u, %ld);", c_block(l, (int)i), b->size, b->seed, c_field(b));
            forget_pointers_to(r, (int)i);
        }
    }
    r->cleanups = 0;
    r->last_cleanup = NULL;
}

void finish_undo(run *r, life *l, int home_index, uint64_t number)
{
    unsigned expected = model_undo(l, home_index, number);
    MUST(r, r->cleanups == expected, "expected %u cleanups to run, found %u", expected,
         r->cleanups);
    MUST(r, r->late == r->late_due, "expected %u cleanups of cleanups, found %u", r->late_due,
         r->late);
    see(r, expected);
}

/* At the end of a runtime: the units', then its other arenas, the youngest first, the vm's last. */
static unsigned rank_at_end(const run *r, int index)
{
    return index == HOME_UNIT ? UINT_MAX : index == HOME_VM ? 0 : r->now->homes[index].opened;
}

/* Newest first, within one arena. */
static void note_cleanup(void *argument)
{
    const token *t = argument;
    run *r = t->run;
    const entry *e = t->entry, *before = r->last_cleanup;
    bool same_arena = before != NULL && before->home == e->home;
    MUST(r, e->is_cleanup, "expected a cleanup once, found it run again");
    MUST(r, !same_arena || e->number < before->number, "expected cleanups newest first");
    MUST(r,
         !r->closing || before == NULL || rank_at_end(r, e->home) <= rank_at_end(r, before->home),
         "expected the cleanups of a%d before those of a%d", e->home, before->home);
    r->last_cleanup = e;
    r->cleanups++;
}

/* What a busy cleanup does in its arena, after it was noted. */
enum { DEED_ALLOC, DEED_ATTACH, DEED_REWIND, DEEDS };

static void note_late(void *argument)
{
    run *r = argument;
    r->late++;
}

static void take_some(life *l, const home *h, size_t size)
{
    void *taken = h->is_stack ? fief_stack_push((fief_stack *)(void *)h->arena, size)
                              : fief_arena_alloc(h->arena, size);
    if (taken != NULL) {
        memset(taken, 0xB5, size);
        bool fell_back = fief_owner(l->rt, taken) == FIEF_HEAP; /* no span is left */
        l->strategies[h->strategy].fallbacks += fell_back;
        count_total(l, fell_back ? FIEF_HEAP : h->strategy, no_kind(l), (ptrdiff_t)size);
    }
}

/* What a deed asks for may be refused: the model knows nothing of what dies at once. */
static bool has_limit(const life *l, const home *h)
{
    return h->has_cap || l->limit != 0 || l->strategies[h->strategy].limit != 0;
}

static void be_busy(void *argument)
{
    enum { SOME = 40, MORE = 3000 };
    const token *t = argument;
    run *r = t->run;
    const entry *e = t->entry;
    const home *h = &r->now->homes[e->home];
    unsigned deed = e->deed;
    note_cleanup(argument);
    if (has_limit(r->now, h)) {
        return; /* a limit came after it */
    }
    if (deed == DEED_ATTACH) {
        r->late_due += fief_arena_cleanup(h->arena, note_late, r);
        return;
    }
    fief_mark mark = fief_arena_mark(h->arena);
    take_some(r->now, h, SOME);
    if (deed == DEED_REWIND) {
        take_some(r->now, h, MORE);
        fief_arena_rewind(h->arena, mark);
    }
}

static int find_cleanable(const life *l, uint64_t handle)
{
    int index = find_any_home(l, handle);
    /* One on the frame stack would keep units from ending. */
    return index == HOME_FRAMES || l->homes[index].logged == LOG_MAX ? -1 : index;
}

static void attach_cleanup(run *r, life *l, int index, void (*function)(void *), unsigned deed)
{
    home *h = &l->homes[index];
    token *t = &r->ground->tokens[r->tokens];
    *t = (token){r, &h->log[h->logged]};
    if (fief_arena_cleanup(h->arena, function, t)) {
        entry *e = log_entry(l, index, h->strategy, 0, 0);
        r->tokens++;
        e->is_cleanup = true;
        e->is_busy = function == be_busy;
        e->token = t;
        e->deed = deed;
    } else {
        MUST(r, null_is_fine(r), "expected the cleanup to be kept, found it refused");
    }
}

void do_arena_cleanup(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    int index = l != NULL ? find_cleanable(l, at[0]) : -1;
    if (index >= 0) {
        SAY(r, "(void)fief_arena_cleanup(%s, note_cleanup, NULL);", c_home(l, index));
        attach_cleanup(r, l, index, note_cleanup, 0);
    }
}

void do_busy_cleanup(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    int index = l != NULL ? find_cleanable(l, at[0]) : -1;
    const home *h = index >= 0 ? &l->homes[index] : NULL;
    if (h == NULL || has_limit(l, h)) {
        return;
    }
    unsigned deed = (unsigned)at[1] % DEEDS;
    SAY(r, "busy[%u][%d][%u] = (struct busy){%s, %d, %u};", l->index, index, deed, c_home(l, index),
        h->is_stack, deed);
    SAY(r, "(void)fief_arena_cleanup(%s, be_busy, &busy[%u][%d][%u]);", c_home(l, index), l->index,
        index, deed);
    attach_cleanup(r, l, index, be_busy, deed);
}

/* ---- marks ---- */

void do_mark(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    if (l != NULL) {
        int index = find_any_home(l, at[1]);
        const home *h = &l->homes[index];
        SAY(r, "m[%u][%u] = fief_arena_mark(%s);", l->index, (unsigned)at[0], c_home(l, index));
        l->marks[at[0]] = (marked){true, index, h->last, fief_arena_used(h->arena),
                                   fief_arena_mark(h->arena)};
    }
}

/* What died left nothing behind; what lived may have shrunk. */
static void must_use_at_most(const run *r, const fief_arena *arena, size_t used)
{
    size_t now = fief_arena_used(arena);
    MUST(r, now <= used, "expected the arena to use at most %zu bytes, as then, found %zu", used,
         now);
}

static bool may_rewind_to(const life *l, const marked *m)
{
    bool in_unit = m->home != HOME_UNIT ||
                   (l->unit_count != 0 && m->number >= l->units[l->unit_count - 1].number);
    return m->is_set && in_unit;
}

int find_mark(const life *l, uint64_t handle)
{
    for (unsigned n = 0; n < MARKS; n++) {
        if (may_rewind_to(l, &l->marks[(handle + n) % MARKS])) {
            return (int)((handle + n) % MARKS);
        }
    }
    return -1;
}

void do_rewind(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    int mark = l != NULL ? find_mark(l, at[0]) : -1;
    if (mark < 0) {
        return;
    }
    const marked *m = &l->marks[mark];
    prepare_undo(r, l, m->home, m->number);
    fief_arena *a = l->homes[m->home].arena;
    fief_strategy strategy = l->homes[m->home].strategy;
    bool is_noted = m->mark.events != a->events || a->cursor == a->limit;
    size_t used = is_noted ? fief_stats_strategy(l->rt, strategy).used_bytes : 0;
    SAY(r, "fief_arena_rewind(%s, m[%u][%d]);", c_home(l, m->home), l->index, mark);
    fief_arena_rewind(a, m->mark);
    size_t peak = fief_stats_strategy(l->rt, strategy).peak_bytes;
    MUST(r, peak >= used, "expected the peak to be what was used, %zu, found %zu", used, peak);
    finish_undo(r, l, m->home, m->number);
    must_use_at_most(r, a, m->used);
}

/* ---- units ---- */

void do_unit_begin(run *r, const uint64_t *at)
{
    (void)at;
    life *l = open_life(r);
    if (l != NULL && l->unit_count < UNITS) {
        SAY(r, "u[%u][%u] = fief_unit_begin(rt[%u]);", l->index, l->unit_count, l->index);
        unit *u = &l->units[l->unit_count++];
        u->unit = fief_unit_begin(l->rt);
        u->number = ++l->homes[HOME_UNIT].last;
        u->used = fief_arena_used(l->homes[HOME_UNIT].arena);
        u->frames = l->homes[HOME_FRAMES].last;
        u->frames_logged = l->homes[HOME_FRAMES].logged;
    }
}

static void pop_frames_of(run *r, life *l, const unit *u)
{
    for (int i; (i = newest_frame(l, HOME_FRAMES)) >= 0 && l->blocks[i].number > u->frames;) {
        pop_frame(r, l, i);
    }
}

void end_innermost_unit(run *r, life *l)
{
    const unit *u = &l->units[l->unit_count - 1];
    pop_frames_of(r, l, u);
    prepare_undo(r, l, HOME_UNIT, u->number - 1);
    l->unit_count--;
    SAY(r, "fief_unit_end(rt[%u], u[%u][%u]);", l->index, l->index, l->unit_count);
    fief_unit_end(l->rt, u->unit);
    finish_undo(r, l, HOME_UNIT, u->number - 1);
    must_use_at_most(r, l->homes[HOME_UNIT].arena, u->used);
    l->strategies[FIEF_COMPILER_ARENA].resets += l->unit_count == 0;
}

void do_unit_end(run *r, const uint64_t *at)
{
    (void)at;
    life *l = open_life(r);
    if (l != NULL && l->unit_count != 0) {
        end_innermost_unit(r, l);
    }
}

/* A busy cleanup knows its arena; a limit or a cap may refuse, which is the mode's. */
static bool may_keep(const life *l)
{
    const home *units = &l->homes[HOME_UNIT], *vm = &l->homes[HOME_VM];
    bool is_busy = false;
    for (size_t i = 0; i < units->logged; i++) {
        is_busy = is_busy || units->log[i].is_busy;
    }
    return !is_busy && !has_limit(l, vm) && vm->logged + units->logged <= LOG_MAX;
}

/* The innermost unit's blocks become the outer one's; the outermost's the vm arena's. */
void do_unit_keep(run *r, const uint64_t *at)
{
    (void)at;
    life *l = open_life(r);
    if (l == NULL || l->unit_count == 0 || (l->unit_count == 1 && !may_keep(l))) {
        return;
    }
    const unit *u = &l->units[l->unit_count - 1];
    pop_frames_of(r, l, u);
    home *units = &l->homes[HOME_UNIT], *vm = &l->homes[HOME_VM];
    size_t used = fief_arena_used(units->arena) + fief_arena_used(vm->arena);
    bool stays = l->unit_count == 1 && units->has_buffer;
    SAY(r, "must(%sfief_unit_keep(rt[%u], u[%u][%u]), \"kept\");", stays ? "!" : "", l->index,
        l->index, l->unit_count - 1);
    bool kept = fief_unit_keep(l->rt, u->unit);
    MUST(r, kept == !stays, "expected the unit %s, found it %s", stays ? "open still" : "kept",
         kept ? "kept" : "open");
    if (kept && --l->unit_count == 0) {
        model_move(l, HOME_UNIT, HOME_VM, u->number - 1);
    }
    MUST(r, fief_arena_used(units->arena) + fief_arena_used(vm->arena) == used,
         "expected the two arenas to use %zu bytes, found %zu and %zu", used,
         fief_arena_used(units->arena), fief_arena_used(vm->arena));
    check_owners(r, l);
}

/* ---- stacks ---- */

fief_stack *stack_of(const life *l, int home_index)
{
    return (fief_stack *)(void *)l->homes[home_index].arena;
}

void do_push(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    int home_index = l != NULL ? find_home(l, at[1], true) : -1;
    int index = home_index >= 0 ? room_for(r, at[0], (size_t)at[2]) : -1;
    if (index >= 0) {
        made m = made_in(l, home_index, (size_t)at[2], FIEF_GRAIN);
        SAY(r, "%s = fief_stack_push(stack_of(%s), %zu);", c_block(l, index), c_home(l, home_index),
            m.size);
        m.start = fief_stack_push(stack_of(l, home_index), m.size);
        settle(r, index, m);
    }
}

void pop_frame(run *r, life *l, int index)
{
    const block b = l->blocks[index];
    prepare_undo(r, l, b.home, b.number - 1);
    SAY(r, "must(fief_stack_pop(stack_of(%s), %s, %zu), \"popped\");", c_home(l, b.home),
        c_block(l, index), b.size);
    bool popped = fief_stack_pop(stack_of(l, b.home), b.start, b.size);
    MUST(r, popped, "expected b%d popped, found it refused", index);
    finish_undo(r, l, b.home, b.number - 1);
}

void do_pop(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    int home_index = l != NULL ? find_home(l, at[0], true) : -1;
    int index = home_index >= 0 ? newest_frame(l, home_index) : -1;
    if (index >= 0) {
        pop_frame(r, l, index);
    }
}

/* ---- edges ---- */

/* A block that ends at the end of its window, or nearly, or just misses it. How large that is is
 * the mode's; where a budget counts it, or a cap, nothing would mean the same in two modes. */
void do_fill_window(run *r, const uint64_t *at)
{
    enum { BELOW = 40, AROUND = 64, LARGEST = 128 << 10 };
    life *l = open_life(r);
    int home_index = l != NULL ? find_any_home(l, at[1]) : -1;
    const home *h = home_index >= 0 ? &l->homes[home_index] : NULL;
    if (h == NULL || h->has_cap || l->is_counted) {
        return;
    }
    size_t left = (size_t)(h->arena->limit - h->arena->cursor), more = (size_t)at[2] % AROUND;
    size_t size = left + more > BELOW ? left + more - BELOW : 0;
    size_t align = h->is_stack || at[2] >= 2 * AROUND ? FIEF_GRAIN : FIEF_ALIGN;
    int index = size <= LARGEST ? room_for(r, at[0], size) : -1;
    if (index < 0) {
        return;
    }
    l->sizes_vary = true;
    made m = made_in(l, home_index, size, align);
    if (h->is_stack) {
        SAY(r, "%s = fief_stack_push(stack_of(%s), %zu);", c_block(l, index), c_home(l, home_index),
            size);
        m.start = fief_stack_push(stack_of(l, home_index), size);
    } else {
        SAY(r, "%s = fief_arena_alloc_aligned(%s, %zu, %zu);", c_block(l, index),
            c_home(l, home_index), size, align);
        m.start = fief_arena_alloc_aligned(h->arena, size, align);
    }
    settle(r, index, m);
}

/* ---- pointers ---- */

typedef enum promise {
    PROMISE_NONE,
    PROMISE_FRAME,
    PROMISE_UNIT,
    PROMISE_DYNAMIC,
    PROMISE_VM
} promise;

static promise promise_of(const block *b)
{
    static const promise of_home[] = {PROMISE_VM, PROMISE_UNIT, PROMISE_FRAME};
    return b->home < 0 ? PROMISE_DYNAMIC : b->home < HOME_OWN ? of_home[b->home] : PROMISE_NONE;
}

static unsigned depth_of(const life *l, const block *b)
{
    unsigned depth = 0;
    while (depth < l->unit_count && l->units[depth].number < b->number) {
        depth++;
    }
    return depth;
}

static bool outlives(const life *l, const block *holder, const block *target)
{
    promise h = promise_of(holder), t = promise_of(target);
    bool in_units = h == PROMISE_UNIT && t == PROMISE_UNIT;
    return (t == PROMISE_FRAME || t == PROMISE_UNIT) &&
           (h > t || (in_units && depth_of(l, holder) < depth_of(l, target)));
}

static bool may_hold(const life *l, const block *b)
{
    bool fell_back = b->home >= 0 && b->strategy == FIEF_HEAP;
    unsigned traits = b->kind < l->kind_count ? l->kinds[b->kind].traits : 0;
    return b->size >= sizeof(void *) && !fell_back && (traits & FIEF_NO_POINTERS) == 0;
}

static bool may_be_target(const life *l, const block *b)
{
    (void)l;
    return !(b->home >= 0 && b->strategy == FIEF_HEAP);
}

/* The holder's field is the target's from now on; OUTSIDE's: that byte of the host's. */
static void store_at(run *r, int holder, size_t place, int target, unsigned char *outside)
{
    const life *l = r->now;
    forget_field(r, holder);
    block *b = &r->now->blocks[holder];
    SAY(r, "fief_store(rt[%u], %s, (char *)%s + %zu, %s);", l->index, c_block(l, holder),
        c_block(l, holder), place,
        target >= 0 ? c_block(l, target) : c_outside(outside));
    b->field = target;
    b->field_at = place;
    b->outside = outside;
    fief_store(l->rt, b->start, b->start + place, field_target(l, b));
    MUST(r, block_points(l, b), "expected b%d to point to b%d, found it does not", holder, target);
    see(r, 1);
}

void do_store(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    int holder = l != NULL ? find_block(l, at[0], may_hold) : -1;
    int target = holder >= 0 ? find_block(l, at[1], may_be_target) : -1;
    if (target < 0 || target == holder || outlives(l, &l->blocks[holder], &l->blocks[target])) {
        return;
    }
    size_t place = field_place(&l->blocks[holder], at[1] % 2 != 0);
    store_at(r, holder, place, target, NULL);
}

/* A byte of the host's, which an image may name. */
void do_store_outside(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    int holder = l != NULL ? find_block(l, at[0], may_hold) : -1;
    if (holder >= 0) {
        size_t place = field_place(&l->blocks[holder], at[1] % 2 != 0);
        unsigned char *external = outsides[at[1] / 2 % EXTERNALS][0];
        store_at(r, holder, place, OUTSIDE, external + at[1] / 4 % EXTERNAL_SIZE);
    }
}

static bool is_temporary(const life *l, const block *b)
{
    return may_be_target(l, b) && b->home == HOME_UNIT;
}

/* Not a block whose last word is weak: what lies there is no misuse. */
static bool is_longer_lived(const life *l, const block *b)
{
    const fief_kind *k = b->kind < l->kind_count ? &l->kinds[b->kind] : NULL;
    bool ends_weak = false;
    for (unsigned i = 0; k != NULL && i < k->weak_count; i++) {
        ends_weak = ends_weak || k->weak[i] == field_place(b, true);
    }
    return may_hold(l, b) && (b->home < 0 || b->home == HOME_VM) && !ends_weak;
}

static bool has_weak_field(const life *l, const block *b)
{
    const fief_kind *k = b->kind < l->kind_count ? &l->kinds[b->kind] : NULL;
    return k != NULL && k->weak_count > 0 && may_hold(l, b) &&
           b->size >= k->weak[k->weak_count - 1] + sizeof(void *);
}

/* A weak field may hold what dies before it: neither the store nor the unit's end is refused. */
void do_weak_store(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    int holder = l != NULL ? find_block(l, at[0], has_weak_field) : -1;
    int target = holder >= 0 ? find_block(l, at[1], is_temporary) : -1;
    if (target < 0 || target == holder) {
        return;
    }
    const fief_kind *k = &l->kinds[l->blocks[holder].kind];
    size_t place = k->weak[k->weak_count - 1];
    store_at(r, holder, place, target, NULL);
}

void do_dangling_store(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    int holder = l != NULL ? find_block(l, at[0], is_longer_lived) : -1;
    int target = holder >= 0 ? find_block(l, at[1], is_temporary) : -1;
    if (target >= 0 && begin_misuse(r, FIEF_MISUSE_DANGLING_STORE)) {
        unsigned char *b = l->blocks[holder].start;
        SAY(r, "fief_store(rt[%u], %s, %s, %s);", l->index, c_block(l, holder), c_block(l, holder),
            c_block(l, target));
        fief_store(l->rt, b, b, l->blocks[target].start);
        end_misuse(r);
        must_hold(r, holder, l->blocks[holder].size);
    }
}

static bool has_cleanup_above(const home *h, uint64_t number)
{
    for (size_t i = 0; i < h->logged; i++) {
        if (h->log[i].is_cleanup && h->log[i].number > number) {
            return true;
        }
    }
    return false;
}

/* Would the end of the innermost unit do no more than to find a pointer to it? */
static bool dies_with_its_unit(const run *r, const life *l, int target)
{
    const unit *u = &l->units[l->unit_count - 1];
    int frame = newest_frame(l, HOME_FRAMES);
    bool has_frames = frame >= 0 && l->blocks[frame].number > u->frames;
    return l->blocks[target].number > u->number && r->custom.scan_percent == 0 && !has_frames &&
           !has_cleanup_above(&l->homes[HOME_UNIT], u->number);
}

/* A pointer that nobody was told of is in the holder's field. */
static void hide_pointer(run *r, int holder, int target, bool last)
{
    const life *l = r->now;
    block *b = &r->now->blocks[holder];
    void *address = l->blocks[target].start;
    forget_field(r, holder);
    b->field_at = field_place(b, last);
    SAY(r, "memcpy((char *)%s + %zu, &%s, 8);", c_block(l, holder), b->field_at,
        c_block(l, target));
    memcpy(b->start + b->field_at, &address, sizeof address);
}

/* What it kept from dying is as it was; the field is filled again. */
static void clear_pointer(run *r, int holder, int target)
{
    r->now->blocks[holder].field = target;
    forget_pointers_to(r, target);
    check_blocks(r, r->now);
}

/* A pointer that outlives its unit: found when the unit ends, which is refused. */
void do_dangling(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    int holder = l != NULL ? find_block(l, at[0], is_longer_lived) : -1;
    int target = holder >= 0 ? find_block(l, at[1], is_temporary) : -1;
    if (target < 0 || !dies_with_its_unit(r, l, target) ||
        !begin_misuse(r, FIEF_MISUSE_DANGLING_AT_RESET)) {
        return;
    }
    hide_pointer(r, holder, target, at[1] % 2 != 0);
    SAY(r, "fief_unit_end(rt[%u], u[%u][%u]);", l->index, l->index, l->unit_count - 1);
    fief_unit_end(l->rt, l->units[l->unit_count - 1].unit);
    end_misuse(r);
    clear_pointer(r, holder, target);
}

/* A pointer into what an arena of ours, or a stack, is about to lose above a number: is there a
 * holder that stays, and nothing else that would be told? */
static bool finds_pair(run *r, const life *l, uint64_t handle, int home_index, uint64_t number,
                       int *ret_holder, int *ret_target)
{
    *ret_holder = find_block(l, handle, is_longer_lived);
    *ret_target = -1;
    for (unsigned i = 0; i < l->top; i++) {
        const block *b = &l->blocks[i];
        if (dies_above(b, home_index, number)) {
            forget_pointers_to(r, (int)i);
            *ret_target = may_be_target(l, b) && !l->homes[home_index].has_buffer ? (int)i
                                                                                   : *ret_target;
        }
    }
    return *ret_holder >= 0 && *ret_target >= 0 && r->custom.scan_percent == 0 &&
           !dies_above(&l->blocks[*ret_holder], home_index, number) &&
           !has_cleanup_above(&l->homes[home_index], number);
}

void do_dangling_rewind(run *r, const uint64_t *at)
{
    int holder, target;
    life *l = open_life(r);
    int mark = l != NULL ? find_mark(l, at[0]) : -1;
    if (mark < 0) {
        return;
    }
    const marked *m = &l->marks[mark];
    if (!finds_pair(r, l, at[1], m->home, m->number, &holder, &target) ||
        !begin_misuse(r, FIEF_MISUSE_DANGLING_AT_REWIND)) {
        return;
    }
    hide_pointer(r, holder, target, at[1] % 2 != 0);
    SAY(r, "fief_arena_rewind(%s, m[%u][%d]);", c_home(l, m->home), l->index, mark);
    fief_arena_rewind(l->homes[m->home].arena, m->mark);
    end_misuse(r);
    clear_pointer(r, holder, target);
}

void do_dangling_pop(run *r, const uint64_t *at)
{
    int holder, target;
    life *l = open_life(r);
    int home_index = l != NULL ? find_home(l, at[0], true) : -1;
    int frame = home_index >= 0 ? newest_frame(l, home_index) : -1;
    uint64_t number = frame >= 0 ? l->blocks[frame].number - 1 : 0;
    if (frame < 0 || !finds_pair(r, l, at[1], home_index, number, &holder, &target) ||
        !begin_misuse(r, FIEF_MISUSE_DANGLING_AT_REWIND)) {
        return;
    }
    const block *b = &l->blocks[frame];
    hide_pointer(r, holder, target, at[1] % 2 != 0);
    SAY(r, "(void)fief_stack_pop(stack_of(%s), %s, %zu);", c_home(l, home_index),
        c_block(l, frame), b->size);
    bool popped = fief_stack_pop(stack_of(l, home_index), b->start, b->size);
    MUST(r, !popped, "expected the pop refused");
    end_misuse(r);
    clear_pointer(r, holder, target);
}

static int find_own(const life *l, uint64_t handle)
{
    for (unsigned n = 0; n < HOMES; n++) {
        int index = (int)((handle + n) % HOMES);
        if (index >= HOME_OWN && l->homes[index].is_open) {
            return index;
        }
    }
    return -1;
}

void do_dangling_close(run *r, const uint64_t *at)
{
    int holder, target;
    life *l = open_life(r);
    int index = l != NULL ? find_own(l, at[0]) : -1;
    if (index < 0 || !finds_pair(r, l, at[1], index, 0, &holder, &target) ||
        !begin_misuse(r, FIEF_MISUSE_DANGLING_AT_CLOSE)) {
        return;
    }
    hide_pointer(r, holder, target, at[1] % 2 != 0);
    SAY(r, "fief_arena_close(%s);", c_home(l, index));
    fief_arena_close(l->homes[index].arena);
    end_misuse(r);
    clear_pointer(r, holder, target);
}

/* ---- roots: words of the host's own ---- */

void do_root_add(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    unsigned root = (unsigned)at[0] % ROOTS;
    if (l != NULL && !l->has_root[root]) {
        SAY(r, "(void)fief_root_add(rt[%u], &roots[%u][%u], 8, \"a root\");", l->index, l->index,
            root);
        void **word = &r->ground->roots[l->index][root];
        l->has_root[root] = fief_root_add(l->rt, word, sizeof *word, "a root");
        MUST(r, l->has_root[root] || !r->guards || null_is_fine(r),
             "expected the root to be kept, found it refused");
    }
}

static int find_root(const life *l, uint64_t handle)
{
    for (unsigned n = 0; n < ROOTS; n++) {
        if (l->has_root[(handle + n) % ROOTS]) {
            return (int)((handle + n) % ROOTS);
        }
    }
    return -1;
}

void do_root_remove(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    int root = l != NULL ? find_root(l, at[0]) : -1;
    if (root >= 0) {
        SAY(r, "fief_root_remove(rt[%u], &roots[%u][%d]);", l->index, l->index, root);
        fief_root_remove(l->rt, &r->ground->roots[l->index][root]);
        l->has_root[root] = false;
    }
}

/* As a dangling block, but a root points. */
void do_dangling_root(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    int root = l != NULL ? find_root(l, at[0]) : -1;
    int target = root >= 0 ? find_block(l, at[1], is_temporary) : -1;
    if (target < 0 || !dies_with_its_unit(r, l, target) ||
        !begin_misuse(r, FIEF_MISUSE_DANGLING_AT_RESET)) {
        return;
    }
    SAY(r, "roots[%u][%d] = %s;", l->index, root, c_block(l, target));
    r->ground->roots[l->index][root] = l->blocks[target].start;
    SAY(r, "fief_unit_end(rt[%u], u[%u][%u]);", l->index, l->index, l->unit_count - 1);
    fief_unit_end(l->rt, l->units[l->unit_count - 1].unit);
    r->ground->roots[l->index][root] = NULL;
    SAY(r, "roots[%u][%d] = NULL;", l->index, root);
    end_misuse(r);
    check_blocks(r, l);
}
