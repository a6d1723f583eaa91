/* run: see run.h. This file goes through the program; the operations are in do_*.c. */
#include "run.h"

#include "emit.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { CHECK_EVERY = 8, TEXT_MOST = 128 };

static verb *const verbs[OP_COUNT] = {
#define OP(name, targets, weight, ...) [OP_##name] = do_##name,
    FUZZ_OPERATIONS(OP)
#undef OP
};

/* ---- what is said ---- */

_Noreturn void differ(const run *r, const char *format, ...)
{
    char text[TEXT_MOST] = "the end", what[300];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (r->at < r->program->count) {
        (void)operation_to_text(&r->program->ops[r->at], text, sizeof text);
    }
    fprintf(stderr, "fuzz: operation %zu, %s (%s): %s\n", r->at + 1, text, fief_mode(), what);
    if (r->c != NULL) {
        (void)fflush(r->c);
        (void)fflush(r->c_end);
    }
    abort();
}

/* A number that only an unsigned type can hold says so. */
static void put_c(FILE *c, const char *line)
{
    enum { MANY = 19 };
    size_t digits = 0;
    for (const char *at = line; *at != '\0'; at++) {
        bool is_digit = *at >= '0' && *at <= '9';
        if (!is_digit && digits >= MANY) {
            (void)fputc('u', c);
        }
        digits = is_digit ? digits + 1 : 0;
        (void)fputc(*at, c);
    }
}

void say(run *r, const char *format, ...)
{
    char line[1000];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    (void)fputs("    ", r->c_now);
    put_c(r->c_now, line);
    (void)fputc('\n', r->c_now);
    (void)fflush(r->c_now); /* the next call may be the last */
}

void see(run *r, uint64_t value)
{
    if (r->now == NULL || !(r->now->is_loose || r->now->sizes_vary)) {
        r->digest = (r->digest ^ value) * 0x9E3779B97F4A7C15u;
        r->digest ^= r->digest >> 29;
    }
}

/* Its contents by both ends: a block that is whole has been looked at already. */
void see_bytes(run *r, const block *b)
{
    bool has_field = b->field != NO_FIELD;
    size_t first = has_field && b->field_at == 0 ? sizeof(void *) : 0;
    size_t end = has_field && b->field_at != 0 ? b->field_at : b->size;
    see(r, b->size);
    see(r, end > first ? (uint64_t)b->start[first] << 8 | b->start[end - 1] : 0);
}

/* ---- misuse ---- */

void expect_misuse(run *r, fief_misuse_class class_id)
{
    r->expected = class_id;
    r->expects = 1;
    r->reported = 0;
    SAY(r, "expect(%d); /* %s */", class_id, fief_misuse_name(class_id));
}

bool begin_misuse(run *r, fief_misuse_class class_id)
{
    if (!r->guards || r->os != NULL) {
        return false;
    }
    expect_misuse(r, class_id);
    return true;
}

void end_misuse(run *r)
{
    MUST(r, r->reported == 1, "expected misuse %s, found %s", fief_misuse_name(r->expected),
         r->reported == 0 ? "none" : "it more than once");
    r->expects = 0;
    r->refused = true;
    SAY(r, "must_have_seen();");
}

bool null_is_fine(run *r)
{
    size_t calls = r->os != NULL ? r->os->calls() : 0;
    r->os_failed = r->os_failed || (r->fail_number > r->calls_before && r->fail_number <= calls);
    return r->now->may_run_out || r->os_failed;
}

static char recorded[200];
static const char *record_directory;

void run_records_in(const char *directory)
{
    record_directory = directory;
    (void)snprintf(recorded, sizeof recorded, "%s/last.ops", directory);
}

const char *record_file(void)
{
    return record_directory != NULL ? recorded : NULL;
}

void keep_record(const fief_misuse *m)
{
    static unsigned kept;
    char name[300];
    if (m == NULL) { /* a child kept one */
        kept++;
    } else if (record_directory != NULL && m->operations != NULL) {
        (void)snprintf(name, sizeof name, "%s/%04u-%s.ops", record_directory, ++kept,
                       fief_misuse_name(m->class_id));
        (void)rename(m->operations, name);
    }
}

/* ---- all of a runtime ---- */

void check_blocks(run *r, const life *l)
{
    for (unsigned i = 0; i < l->top; i++) {
        const block *b = &l->blocks[i];
        if (b->origin != EMPTY) {
            MUST(r, block_holds(b, b->size),
                 "expected b%u to hold what was written, found it changed", i);
            MUST(r, block_points(l, b), "expected b%u to point to b%d, found it changed", i,
                 b->field);
        }
    }
    check_images(r, l);
}

static void compare(const run *r, const char *where, const char *what, size_t expected,
                    size_t found)
{
    MUST(r, found == expected, "expected %s of %s to be %zu, found %zu", what, where, expected,
         found);
}

/* What a release build counts only on request; that no number stands there is no excuse where it is
 * counted. */
static void compare_counted(const run *r, const life *l, const char *where, const figures *f,
                            const fief_count *count)
{
    if (r->guards || l->is_counted) {
        compare(r, where, "blocks", f->blocks, count->blocks);
        compare(r, where, "asked bytes", f->asked, count->asked_bytes);
        compare(r, where, "total bytes", f->total, count->total_bytes);
    } else {
        MUST(r, count->blocks == FIEF_NOT_COUNTED || count->blocks == f->blocks,
             "expected %zu blocks of %s, or that they are not counted, found %zu", f->blocks, where,
             count->blocks);
    }
}

static void check_strategy(const run *r, const life *l, fief_strategy strategy)
{
    const figures *f = &l->strategies[strategy];
    const char *name = fief_strategy_name(strategy);
    fief_count count = fief_stats_strategy(l->rt, strategy);
    compare_counted(r, l, name, f, &count);
    compare(r, name, "resets", f->resets, count.resets);
    if (!l->is_loose) {
        compare(r, name, "fallbacks", f->fallbacks, count.fallbacks);
        compare(r, name, "refused", f->refused, count.refused);
    }
    MUST(r, count.used_bytes <= count.peak_bytes, "expected %s's peak of %zu to be at least %zu",
         name, count.peak_bytes, count.used_bytes);
    MUST(r, strategy != FIEF_POOL || count.used_bytes >= f->asked,
         "expected at least %zu bytes used in %s, found %zu", f->asked, name, count.used_bytes);
}

static void check_kind(const run *r, const life *l, unsigned kind)
{
    fief_count count = fief_stats_kind(l->rt, kind);
    const char *name = kind < l->kind_count ? l->kinds[kind].name : "no kind";
    compare_counted(r, l, name, &l->kinds_used[kind], &count);
    MUST(r, count.used_bytes <= count.peak_bytes || count.peak_bytes == FIEF_NOT_COUNTED,
         "expected %s's peak of %zu to be at least %zu", name, count.peak_bytes, count.used_bytes);
}

static void check_caps(const run *r, const life *l)
{
    for (int i = 0; i < HOMES; i++) {
        const home *h = &l->homes[i];
        MUST(r, !h->is_open || !h->has_cap || fief_arena_used(h->arena) <= h->cap,
             "expected a%d to use at most %zu bytes, found %zu", i, h->cap,
             fief_arena_used(h->arena));
    }
}

void check_owners(run *r, const life *l)
{
    for (unsigned i = 0; i < l->top; i++) {
        const block *b = &l->blocks[i];
        MUST(r, b->origin == EMPTY || fief_owner(l->rt, b->start) == b->strategy,
             "expected b%u to belong to the %s still", i, fief_strategy_name(b->strategy));
    }
}

void check_figures(run *r, life *l)
{
    check_caps(r, l);
    for (unsigned s = FIEF_VM_ARENA; s < FIEF_STRATEGIES; s++) {
        check_strategy(r, l, (fief_strategy)s);
    }
    bool counts = r->guards || l->is_counted; /* else they say next to nothing, and one will do */
    unsigned one = (unsigned)(r->at % (l->kind_count + 1));
    for (unsigned kind = counts ? 0 : one; kind <= (counts ? l->kind_count : one); kind++) {
        check_kind(r, l, kind);
    }
    compare(r, "the heap", "used bytes", l->heap_used,
            fief_stats_strategy(l->rt, FIEF_HEAP).used_bytes);
    MUST(r, fief_stats_held(l->rt) <= fief_stats_held_peak(l->rt),
         "expected the held peak to be at least what is held");
}

/* ---- going through ---- */

static void check_after(run *r)
{
    life *l = r->now;
    MUST(r, r->expects == 0, "expected a misuse, found no end of it");
    if (l == NULL || l->rt == NULL || l->thread != r->thread) {
        return;
    }
    compare(r, "the heap", "used bytes", l->heap_used,
            fief_stats_strategy(l->rt, FIEF_HEAP).used_bytes);
    if (r->refused || r->at % CHECK_EVERY == CHECK_EVERY - 1) {
        check_blocks(r, l);
        check_figures(r, l);
    }
}

void run_until(run *r, size_t end)
{
    for (; r->at < end && r->at < r->program->count; r->at++) {
        const operation *o = &r->program->ops[r->at];
        if (r->c != NULL) {
            char text[TEXT_MOST];
            (void)operation_to_text(o, text, sizeof text);
            say(r, "/* %zu: %s */", r->at + 1, text);
        }
        r->calls_before = r->os != NULL ? r->os->calls() : 0;
        r->os_failed = r->refused = false;
        verbs[o->id](r, o->at);
        check_after(r);
    }
}

static void end_lives(run *r)
{
    for (unsigned i = 0; i < RUNTIMES; i++) {
        life *l = r->lives[i];
        if (l != NULL && l->rt != NULL) {
            r->now = l;
            close_life(r, open_life(r));
        }
    }
}

static void begin(ground *g, const program *p, const faults *os, FILE *c, FILE *c_end)
{
    run *r = &g->run;
    *r = (run){.ground = g, .program = p, .os = os, .c = c, .c_now = c, .c_end = c_end};
    r->digest = 0xF1EF;
    r->image_file = -1;
    r->thread = 1;
    r->guards = fief_mode()[0] != 'r'; /* an engine makes notes of each strcmp */
    r->poisons = fief_mode()[0] == 'd';
    model_fills_whole(r->guards && !r->poisons);
    for (unsigned i = 0; i < RUNTIMES; i++) {
        life *l = r->lives[i] = &g->lives[i];
        l->rt = NULL;
        l->is_loose = l->sizes_vary = false;
        l->index = i;
        l->run = r;
    }
    r->now = r->lives[0];
}

static result go(ground *g)
{
    run *r = &g->run;
    const faults *os = r->os;
    size_t kept = kept_ranges(g), reserves = os != NULL ? os->reserves() : 0;
    if (os != NULL) {
        os->fail_at(0);
    }
    run_until(r, r->program->count);
    if (os != NULL) {
        os->fail_at(0);
        r->fail_number = 0;
    }
    drop_parcel(r);
    drop_image_file(r);
    end_lives(r);
    (void)fief_trim_idle(); /* the next program begins as the first did */
    bool all_left = !r->guards && kept_ranges(g) == kept; /* there, closed runtimes stay a while */
    MUST(r, os == NULL || !all_left || os->reserves() <= reserves,
         "expected %zu reserves at the end, as at the start, found %zu", reserves, os->reserves());
    return (result){r->digest, r->program->count};
}

result run_beside_others(ground *g, const program *p)
{
    begin(g, p, NULL, NULL, NULL);
    g->run.beside_others = true;
    return go(g);
}

ground *ground_new(void)
{
    ground *g = aligned_alloc(_Alignof(ground), sizeof *g);
    return g != NULL ? memset(g, 0, sizeof *g) : NULL;
}

result run_program(const program *p, const faults *os, FILE *c, FILE *c_end)
{
    static ground usual;
    begin(&usual, p, os, c, c_end);
    return go(&usual);
}
