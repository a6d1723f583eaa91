/* do_runtime: runtimes open, move between threads, are looked at, and close. */
#include "run.h"

#include "emit.h"

#include <pthread.h>
#include <string.h>

static const size_t range_bytes = (size_t)1 << 30, fake_range_bytes = (size_t)48 << 20;
static const size_t fake_reserve_bytes = (size_t)5 << 20;

/* ---- what the library calls ---- */

bool on_misuse(const fief_misuse *m, void *user)
{
    const life *l = user;
    run *r = l->run;
    if (m->class_id == FIEF_MISUSE_LEAK) {
        MUST(r, r->closing && r->leaks != 0, "expected no leak, found: %s", m->text);
        r->leaks_told = m->leaks->blocks;
        return true;
    }
    access_was_noticed(m);
    r->reported++;
    MUST(r, r->expects == 1, "expected no misuse, found %s: %s", fief_misuse_name(m->class_id),
         m->text);
    MUST(r, m->class_id == r->expected, "expected misuse %s, found %s: %s",
         fief_misuse_name(r->expected), fief_misuse_name(m->class_id), m->text);
    keep_record(m);
    return true;
}

/* A field that points there can't be cleared while its block is sealed. */
static bool is_held_by_sealed(const life *l, long index)
{
    for (unsigned i = 0; i < l->top; i++) {
        const block *holder = &l->blocks[i];
        if (holder->origin != EMPTY && holder->field == index &&
            fief_is_sealed(l->rt, holder->start + holder->field_at)) {
            return true;
        }
    }
    return false;
}

static bool may_collect(const life *l, const block *b)
{
    return is_dynamic(l, b) && b - l->blocks != l->busy && !is_held_by_sealed(l, b - l->blocks);
}

/* A collection: the block of the lowest handle goes. Every fifth time there is none. */
static bool on_full(fief_runtime *rt, size_t size, void *user)
{
    life *l = user;
    run *r = l->run;
    (void)rt;
    (void)size;
    int index = ++l->full_calls % 5 == 0 ? -1 : find_block(l, 0, may_collect);
    FILE *before = r->c_now;
    r->c_now = r->c_end;
    SAY(r, "\nstatic bool full_%u(void)\n{", r->fulls++);
    if (index >= 0) {
        free_block(r, index);
    }
    SAY(r, "return %s;\n}", index >= 0 ? "true" : "false");
    r->c_now = before;
    return index >= 0;
}

/* ---- open ---- */

static bool has_limits(const fief_config *c)
{
    bool has = c->limit_bytes != 0 || c->count_blocks;
    for (unsigned i = 0; i < FIEF_STRATEGIES; i++) {
        has = has || c->limits[i] != 0;
    }
    return has;
}

static void home_is(life *l, int index, fief_arena *arena, fief_strategy strategy,
                    const fief_arena_config *config)
{
    home *h = &l->homes[index];
    h->arena = arena;
    h->strategy = strategy;
    h->is_open = true;
    h->is_stack = strategy == FIEF_STACK;
    h->cap = config != NULL ? config->max_bytes : 0;
    h->has_cap = h->cap != 0;
    h->has_buffer = config != NULL && config->buffer_size != 0;
    h->is_recorded = config != NULL && config->recorded;
    h->last = h->logged = 0;
}

static void forget_all(life *l)
{
    memset(l->blocks, 0, sizeof l->blocks);
    memset(l->marks, 0, sizeof l->marks);
    memset(l->pools, 0, sizeof l->pools);
    memset(l->resting, 0, sizeof l->resting);
    memset(l->strategies, 0, sizeof l->strategies);
    memset(l->kinds_used, 0, sizeof l->kinds_used);
    memset(l->has_root, 0, sizeof l->has_root);
    for (int i = 0; i < HOMES; i++) {
        l->homes[i].is_open = false;
    }
    for (int i = 0; i < IMAGES; i++) {
        l->images[i].image = NULL;
    }
    l->live = l->top = l->unit_count = l->full_calls = l->homes_opened = 0;
    l->asked = l->heap_used = 0;
    l->busy = -1;
}

static void begin_life(run *r, life *l, config_id id, const fief_config *c)
{
    forget_all(l);
    l->thread = r->thread;
    l->config = id;
    l->kinds = c->kinds != NULL ? c->kinds : fief_default_kinds;
    l->kind_count = c->kinds != NULL ? c->kind_count : (unsigned)FIEF_DEFAULT_KINDS;
    l->heap_align = c->align != 0 ? c->align : FIEF_ALIGN;
    l->is_counted = has_limits(c);
    l->may_run_out = c->buffer != NULL || (r->os != NULL && c->range == NULL);
    l->is_loose = l->may_run_out || r->os != NULL;
    l->sizes_vary = false;
    l->quarantine = c->quarantine_bytes != 0 ? c->quarantine_bytes : (size_t)4 << 20;
    l->buffer = c->buffer;
    l->buffer_size = c->buffer_size;
    l->limit = c->limit_bytes;
    for (unsigned i = 0; i < FIEF_STRATEGIES; i++) {
        l->strategies[i].limit = c->limits[i];
    }
    home_is(l, HOME_VM, fief_vm_arena(l->rt), FIEF_VM_ARENA, c->vm_arena);
    home_is(l, HOME_UNIT, fief_compiler_arena(l->rt), FIEF_COMPILER_ARENA, c->compiler_arena);
    home_is(l, HOME_FRAMES, &fief_frame_stack(l->rt)->arena, FIEF_STACK, c->frame_stack);
}

size_t kept_ranges(const ground *g)
{
    size_t count = 0;
    for (unsigned i = 0; i < RUNTIMES; i++) {
        count += g->ranges[i] != NULL;
    }
    return count;
}

/* Its place: a kept range, a buffer, or a reserve of its own. */
static void find_place(run *r, life *l, config_id id, fief_config *c)
{
    if (id == CONFIG_BUFFER || (id == CONFIG_CUSTOM && c->buffer_size != 0)) {
        c->buffer = r->ground->buffers[l->index];
        c->buffer_size = c->buffer_size != 0 ? c->buffer_size : BUFFER_SIZE;
        SAY(r, "config.buffer = buffer[%u], config.buffer_size = %zu;", l->index, c->buffer_size);
    } else if (r->os != NULL && id != CONFIG_USUAL) {
        c->reserve_bytes = fake_reserve_bytes; /* each is zeroed: so it is small */
    } else if (c->reserve_bytes == 0) {
        fief_range **range = &r->ground->ranges[l->index];
        if (*range == NULL) {
            *range = fief_range_open(r->os != NULL ? fake_range_bytes : range_bytes);
        }
        c->range = *range;
        SAY(r, "config.range = range_of(%u);", l->index);
    }
}

static void say_custom(run *r, const fief_config *c)
{
    for (unsigned i = 0; i < c->kind_count; i++) {
        SAY(r, "static const size_t offsets_%zu_%u[] = {%zu, %zu};", r->at, i, r->offsets[i][0],
            r->offsets[i][1]);
    }
    SAY(r, "static const fief_kind custom_%zu[] = {", r->at);
    for (unsigned i = 0; i < c->kind_count; i++) {
        const fief_kind *k = &c->kinds[i];
        SAY(r,
            "    {%s%s%s, %zu, %d, {%d, %d, %d, %d, %d, %d, %d, %d}, %u, NULL, 0, %u, "
            "offsets_%zu_%u, NULL},",
            k->name != NULL ? "\"" : "", k->name != NULL ? k->name : "NULL",
            k->name != NULL ? "\"" : "", k->size, (int)k->any, (int)k->in[0], (int)k->in[1],
            (int)k->in[2], (int)k->in[3], (int)k->in[4], (int)k->in[5], (int)k->in[6],
            (int)k->in[7], k->traits, k->pointer_count, r->at, i);
    }
    SAY(r, "};\n    config.kinds = custom_%zu, config.kind_count = %u;", r->at, c->kind_count);
    SAY(r, "config.limit_bytes = %zu, config.align = %u, config.retain_bytes = %zu;",
        c->limit_bytes, c->align, c->retain_bytes);
    SAY(r, "config.quarantine_bytes = %zu, config.stack_depth = %u, config.count_blocks = %d;",
        c->quarantine_bytes, c->stack_depth, c->count_blocks);
    for (unsigned i = 0; i < FIEF_STRATEGIES; i++) {
        SAY(r, "config.limits[%u] = %zu;", i, c->limits[i]);
    }
}

static bool row_is_sound(const fief_kind *rows, unsigned row)
{
    const fief_kind *k = &rows[row];
    bool sound = k->name != NULL && (k->traits & (FIEF_FENCE_BACK | FIEF_FENCE_FRONT)) !=
                                        (FIEF_FENCE_BACK | FIEF_FENCE_FRONT);
    for (unsigned i = 0; sound && i < row; i++) {
        sound = strcmp(rows[i].name, k->name) != 0;
    }
    for (unsigned i = 0; sound && i < k->pointer_count; i++) {
        size_t at = k->pointers[i];
        sound = (k->traits & FIEF_NO_POINTERS) == 0 && at % sizeof(void *) == 0 &&
                (k->size == 0 || (k->size >= sizeof(void *) && at <= k->size - sizeof(void *)));
    }
    for (unsigned i = 0; sound && i < FIEF_CONTEXTS; i++) {
        fief_strategy s = k->in[i] != FIEF_NO_STRATEGY ? k->in[i] : k->any;
        sound = s < FIEF_STRATEGIES && (s != FIEF_POOL || (k->size > 0 && k->size <= 32768));
    }
    return sound;
}

/* What fief_open must say of it. NO_MEMORY: cannot be told. */
static fief_status verdict_on(const run *r, const fief_config *c)
{
    bool numbers = (c->limit_bytes == 0 || c->limit_bytes >= 4096) &&
                   (c->align == 0 || c->align == 8 || c->align == 16) && c->stack_depth <= 16 &&
                   c->scan_percent <= 100;
    if (!numbers) {
        return FIEF_BAD_CONFIG;
    }
    bool table = c->kinds == NULL || c->kind_count > 0;
    for (unsigned i = 0; table && c->kinds == r->rows && i < c->kind_count; i++) {
        table = row_is_sound(c->kinds, i);
    }
    return !table ? FIEF_BAD_TABLE : c->buffer != NULL ? FIEF_NO_MEMORY : FIEF_OK;
}

static void check_verdict(run *r, const life *l, const fief_config *c, const fief_error *error)
{
    fief_status expected = verdict_on(r, c), found = l->rt != NULL ? FIEF_OK : error->status;
    bool fits = found == expected || (expected == FIEF_NO_MEMORY && found != FIEF_BAD_TABLE) ||
                (r->os != NULL && found == FIEF_NO_MEMORY);
    MUST(r, fits, "expected fief_open to give status %d, found %d: %s", (int)expected, (int)found,
         error->text);
    MUST(r, l->rt != NULL || error->text[0] != '\0', "expected a sentence, found none");
}

static void open_as(run *r, life *l, config_id id)
{
    fief_error error = {FIEF_OK, ""};
    fief_config c = id == CONFIG_CUSTOM ? r->custom : configs[id];
    c.scan_percent = c.scan_percent == 0 ? 100 : c.scan_percent; /* predictions need whole scans */
    SAY(r, "config = (fief_config){%s};", config_texts[id]);
    if (id == CONFIG_CUSTOM) {
        c.kinds = r->row_count != 0 ? r->rows : NULL;
        c.kind_count = r->row_count;
        if (r->c != NULL) {
            say_custom(r, &c);
        }
    }
    SAY(r, "config.scan_percent = %u;", c.scan_percent);
    find_place(r, l, id, &c);
    c.error = &error;
    c.user = l;
    c.on_misuse = on_misuse;
    c.on_full = on_full;
    c.record_ops = record_file();
    SAY(r, "rt[%u] = open_runtime(&config), arenas_of(%u);", l->index, l->index);
    l->rt = fief_open(&c);
    check_verdict(r, l, &c, &error);
    see(r, c.buffer == NULL ? (uint64_t)error.status : 0);
    if (l->rt != NULL) {
        begin_life(r, l, id, &c);
    }
}

life *open_life(run *r)
{
    life *l = r->now;
    if (l->rt == NULL) {
        open_as(r, l, CONFIG_USUAL);
    }
    if (l->rt != NULL && l->thread != r->thread) {
        SAY(r, "fief_adopt(rt[%u]);", l->index);
        fief_adopt(l->rt);
        l->thread = r->thread;
    }
    return l->rt != NULL ? l : NULL;
}

void do_open(run *r, const uint64_t *at)
{
    if (r->now->rt != NULL) {
        close_life(r, open_life(r));
    }
    open_as(r, r->now, (config_id)at[0]);
}

void do_use(run *r, const uint64_t *at)
{
    r->now = r->lives[at[0]];
}

/* ---- close ---- */

/* What it still has of dynamic lifetime is freed, if it is to close without a leak. */
static void free_all(run *r, life *l)
{
    for (int i; (i = find_block(l, 0, is_dynamic)) >= 0;) {
        free_block(r, i);
    }
}

static unsigned cleanups_left(const life *l)
{
    unsigned left = 0;
    for (int i = 0; i < HOMES; i++) {
        for (size_t k = 0; l->homes[i].is_open && k < l->homes[i].logged; k++) {
            left += l->homes[i].log[k].is_cleanup;
        }
    }
    return left;
}

static void begin_end(run *r, life *l)
{
    r->cleanups_due = cleanups_left(l);
    check_blocks(r, l);
    check_figures(r, l);
    r->cleanups = 0;
    r->last_cleanup = NULL;
    r->closing = true;
}

static void finish_end(run *r, life *l)
{
    l->rt = NULL;
    r->closing = false;
    MUST(r, r->cleanups == r->cleanups_due, "expected %u cleanups, found %u", r->cleanups_due,
         r->cleanups);
    MUST(r, r->late == r->late_due, "expected %u cleanups of cleanups, found %u", r->late_due,
         r->late);
}

static void close_with(run *r, life *l, size_t leaks)
{
    begin_end(r, l);
    r->leaks = leaks;
    r->leaks_told = 0;
    if (leaks == 0) {
        SAY(r, "must(fief_close(rt[%u]) == 0, \"nothing leaked\");", l->index);
    } else {
        SAY(r, "(void)fief_close(rt[%u]); /* %zu blocks leak */", l->index, leaks);
    }
    size_t leaked = fief_close(l->rt);
    finish_end(r, l);
    MUST(r, r->leaks_told == leaked, "expected %zu leaked blocks to be told, found %zu", leaked,
         r->leaks_told);
    MUST(r, leaked == leaks || (leaks != 0 && !r->guards && !l->is_counted),
         "expected %zu leaked blocks, found %zu", leaks, leaked);
    see(r, leaks);
}

void close_life(run *r, life *l)
{
    if (l == NULL) {
        return;
    }
    free_all(r, l);
    (void)fief_check(l->rt);
    close_with(r, l, 0);
}

void do_close(run *r, const uint64_t *at)
{
    (void)at;
    if (r->now->rt != NULL) {
        close_life(r, open_life(r));
    }
}

void do_leak(run *r, const uint64_t *at)
{
    (void)at;
    size_t dynamic = 0;
    life *l = r->now->rt != NULL ? open_life(r) : NULL;
    if (l == NULL || l->live == 0 || r->os != NULL || r->beside_others) {
        return; /* stderr would be everybody's */
    }
    for (unsigned i = 0; i < l->top; i++) {
        dynamic += l->blocks[i].origin != EMPTY && is_dynamic(l, &l->blocks[i]);
    }
    quiet_begin();
    close_with(r, l, dynamic);
    quiet_end();
}

/* Ends with what is not freed, and nobody asks for it. */
void do_drop(run *r, const uint64_t *at)
{
    (void)at;
    life *l = r->now->rt != NULL ? open_life(r) : NULL;
    if (l == NULL) {
        return;
    }
    begin_end(r, l);
    SAY(r, "fief_drop(rt[%u]);", l->index);
    fief_drop(l->rt);
    finish_end(r, l);
}

/* ---- limits ---- */

static void set_limit(run *r, life *l, fief_strategy strategy, size_t bytes)
{
    bool is_one = strategy < FIEF_STRATEGIES;
    SAY(r, "(void)fief_limit_set(rt[%u], (fief_strategy)%u, %zu);", l->index, (unsigned)strategy,
        bytes);
    bool set = fief_limit_set(l->rt, strategy, bytes);
    MUST(r, set == (l->is_counted && is_one), "expected the limit to be %s, found it otherwise",
         set ? "refused" : "set");
    if (set) {
        *(strategy == FIEF_NO_STRATEGY ? &l->limit : &l->strategies[strategy].limit) = bytes;
    }
}

void do_limit(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    if (l != NULL) {
        set_limit(r, l, (fief_strategy)at[0], (size_t)at[1]);
    }
}

/* Not a byte more than now. */
void do_freeze(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    if (l != NULL) {
        bool is_one = at[0] > FIEF_NO_STRATEGY && at[0] < FIEF_STRATEGIES;
        size_t now = is_one ? l->strategies[at[0]].asked : l->asked;
        set_limit(r, l, (fief_strategy)at[0], now != 0 ? now : 1);
    }
}

/* ---- threads ---- */

typedef struct errand {
    run *r;
    size_t end;
} errand;

static void *run_errand(void *argument)
{
    errand *e = argument;
    run_until(e->r, e->end);
    return NULL;
}

/* The next operations happen on another thread: each runtime that they use is adopted. */
void do_hand(run *r, const uint64_t *at)
{
    pthread_t thread;
    errand e = {r, r->at + 2 + at[0] % 16};
    if (r->hand_depth != 0 || r->os != NULL) {
        return;
    }
    size_t number = r->thread;
    r->at++;
    r->hand_depth = 1;
    r->thread = number + 1;
    if (pthread_create(&thread, NULL, run_errand, &e) == 0) {
        (void)pthread_join(thread, NULL);
    }
    r->hand_depth = 0;
    r->thread = number;
    r->at--;
    (void)open_life(r);
}

/* ---- looking ---- */

void do_check(run *r, const uint64_t *at)
{
    (void)at;
    life *l = open_life(r);
    if (l == NULL) {
        return;
    }
    SAY(r, "(void)fief_check(rt[%u]);", l->index);
    size_t looked = fief_check(l->rt);
    MUST(r, r->guards || looked == 0, "expected a release build to look at nothing, found %zu",
         looked);
    check_blocks(r, l);
    check_owners(r, l);
    check_figures(r, l);
}

void do_trim(run *r, const uint64_t *at)
{
    (void)at;
    life *l = open_life(r);
    if (l != NULL) {
        SAY(r, "(void)fief_trim(rt[%u]);", l->index);
        size_t held = fief_stats_held(l->rt);
        (void)fief_trim(l->rt);
        MUST(r, fief_stats_held(l->rt) <= held, "expected a trim to hold no more than before");
        check_blocks(r, l);
        check_owners(r, l);
    }
}

void do_stats(run *r, const uint64_t *at)
{
    (void)at;
    life *l = open_life(r);
    if (l == NULL) {
        return;
    }
    check_figures(r, l);
    for (unsigned s = FIEF_VM_ARENA; s < FIEF_STRATEGIES; s++) {
        fief_count count = fief_stats_strategy(l->rt, (fief_strategy)s);
        bool varies = l->config == CONFIG_ARENAS; /* its caps count redzones */
        see(r, count.resets);
        see(r, count.refused);
        see(r, l->is_counted && !varies ? count.blocks : 0);
    }
}

/* Any room will do for the text, and it is cut there. */
void do_stats_text(run *r, const uint64_t *at)
{
    static _Thread_local char text[20000];
    life *l = open_life(r);
    if (l == NULL) {
        return;
    }
    size_t room = at[0] < sizeof text ? at[0] : sizeof text;
    for (unsigned json = 0; json < 2; json++) {
        memset(text, 'x', sizeof text);
        SAY(r, "(void)fief_stats_%s(rt[%u], text, %zu);", json ? "json" : "text", l->index, room);
        size_t length =
            json ? fief_stats_json(l->rt, text, room) : fief_stats_text(l->rt, text, room);
        size_t written = room == 0 ? 0 : strnlen(text, room);
        MUST(r, room == 0 || written == (length < room ? length : room - 1),
             "expected %zu bytes of a text of %zu, found %zu", room, length, written);
        MUST(r, room == sizeof text || text[room] == 'x',
             "expected no byte behind the room written");
    }
}

void do_owner(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    if (l == NULL) {
        return;
    }
    const void *foreign[] = {NULL, &l, r->ground};
    for (unsigned i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        MUST(r, fief_owner(l->rt, foreign[i]) == FIEF_NO_STRATEGY,
             "expected nobody to own a foreign pointer");
    }
    int index = find_block(l, at[0], NULL);
    if (index >= 0) {
        const block *b = &l->blocks[index];
        size_t offset = b->size != 0 ? (size_t)at[1] % b->size : 0;
        fief_strategy owner = fief_owner(l->rt, b->start + offset);
        MUST(r, owner == b->strategy, "expected the owner of b%d + %zu to be %s, found %s", index,
             offset, fief_strategy_name(b->strategy), fief_strategy_name(owner));
    }
}

void do_fail(run *r, const uint64_t *at)
{
    if (r->os != NULL) {
        r->os->fail_at((size_t)at[0] + 1);
        r->fail_number = (size_t)at[0] + 1;
        r->calls_before = 0;
    }
}

/* ---- the custom configuration ---- */

/* A table must outlive its runtimes. */
static bool table_is_in_use(const run *r)
{
    bool in_use = false;
    for (unsigned i = 0; i < RUNTIMES; i++) {
        in_use = in_use || (r->lives[i]->rt != NULL && r->lives[i]->config == CONFIG_CUSTOM);
    }
    return in_use;
}

void do_row(run *r, const uint64_t *at)
{
    static const char *const names[] = {"row a", "row b", "row c", "row d", "row e", "row f",
                                        "row g", "row h", "row i", "row j", "row k", ""};
    enum { NAMES = sizeof names / sizeof names[0], NAMELESS = 254 };
    if (!table_is_in_use(r) && r->row_count < CUSTOM_ROWS_MAX) {
        const char *own = names[at[0] % NAMES];
        r->rows[r->row_count++] = (fief_kind){.name = at[0] >= NAMELESS ? NULL : own,
                                              .size = (size_t)at[1],
                                              .any = (fief_strategy)at[2],
                                              .traits = (unsigned)at[3] % 8};
    }
}

void do_cell(run *r, const uint64_t *at)
{
    if (!table_is_in_use(r) && r->row_count > 0) {
        r->rows[r->row_count - 1].in[at[0]] = (fief_strategy)at[1];
    }
}

/* The last row has up to two pointers: at its start, and wherever. */
void do_row_pointers(run *r, const uint64_t *at)
{
    if (!table_is_in_use(r) && r->row_count > 0) {
        unsigned row = r->row_count - 1;
        r->offsets[row][1] = (size_t)at[1];
        r->rows[row].pointers = r->offsets[row];
        r->rows[row].pointer_count = (unsigned)at[0] % 3;
    }
}

void do_field(run *r, const uint64_t *at)
{
    bool sizes_buffer = at[0] == FIELD_BUFFER;
    config_set(&r->custom, (field_id)at[0],
               sizes_buffer ? (size_t)at[1] % BUFFER_SIZE : (size_t)at[1]);
}

/* Closes, and begins a new table. */
void do_reopen(run *r, const uint64_t *at)
{
    (void)at;
    for (unsigned i = 0; i < RUNTIMES; i++) {
        r->now = r->lives[i];
        do_close(r, at);
    }
    r->now = r->lives[0];
    do_open(r, &(uint64_t){CONFIG_CUSTOM});
    r->row_count = r->now->rt != NULL ? r->row_count : 0;
}
