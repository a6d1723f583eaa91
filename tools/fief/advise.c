/* advise: the command: the table, --why, and the kinds as C. */
#include "advise.h"

#include <ctype.h>
#include <stdlib.h>

enum { ROUNDS = 5, ROUNDS_MOST = 15, SITE_TEXT = 300, SITE_COLUMN = 18 };

typedef struct inquiry {
    const char *path, *emit, *why;
    int rounds;
    trace *t;
    symbols *symbols;
    places *places;
    habits habits;
    uint64_t peak;
    play_steps steps;
    counsel counsel;
} inquiry;

/* ---- two readings ---- */

static int no_memory(void)
{
    return complain(CANNOT_RUN, "there is no memory for the trace");
}

static bool read_first(inquiry *q, closing *c)
{
    for (trace_event e; trace_next(q->t, &e);) {
        closing_event(c, &e);
        if (e.block != NULL && e.type == TRACE_ALLOC) {
            e.block->user = places_pair(q->places, e.block->site, e.block->class_number);
            if (e.block->user == PLACES_NONE) {
                return false;
            }
        }
        if (e.block != NULL) {
            places_count(q->places, (uint32_t)e.block->user, (int64_t)(e.size - e.old_size),
                         e.type == TRACE_ALLOC);
        }
        uint64_t live = trace_live_bytes(q->t);
        q->peak = live > q->peak ? live : q->peak;
        show_progress(q->t, "reading");
    }
    end_progress();
    return true;
}

static bool read_second(inquiry *q)
{
    bool sound = steps_open(&q->steps, true);
    for (trace_event e; sound && trace_next(q->t, &e);) {
        uint32_t number = 0;
        if (e.block != NULL && e.type == TRACE_ALLOC) {
            e.block->user = places_pair(q->places, e.block->site, e.block->class_number);
        }
        if (e.block != NULL) {
            number = places_of(q->places, e.block->user);
        }
        steps_event(&q->steps, q->t, &e, number);
        sound = habits_event(&q->habits, q->t, &e, number);
        show_progress(q->t, "counting");
    }
    end_progress();
    return sound;
}

static int read_trace(inquiry *q)
{
    closing c = {0};
    q->t = open_trace(q->path);
    q->places = q->t != NULL ? places_new() : NULL;
    if (q->t == NULL) {
        return BAD_INPUT;
    }
    if (q->places == NULL || !read_first(q, &c)) {
        return no_memory();
    }
    if (trace_operations(q->t) == 0) {
        return complain(BAD_INPUT, "%s: has no operations", q->path);
    }
    if (trace_cut(q->t) != NULL) {
        hint("fief advise: %s", trace_cut(q->t));
    }
    q->symbols = symbols_find(q->t);
    if (q->symbols == NULL || !places_name(q->places, q->t, q->symbols, true) ||
        !habits_open(&q->habits, places_total(q->places), c.start)) {
        return no_memory();
    }
    trace_close(q->t);
    q->t = open_trace(q->path);
    return q->t != NULL ? (read_second(q) ? DONE : no_memory()) : BAD_INPUT;
}

/* ---- the table ---- */

static void print_row(const inquiry *q, const advice *a, size_t number)
{
    const habit *h = &q->habits.of[a->place];
    char site[SITE_TEXT], words[TEXT_OF_ADVICE], lives[TEXT_OF_ADVICE], proof[TEXT_OF_ADVICE];
    place_text(places_at(q->places, a->place), site, sizeof site);
    advice_text(a, words);
    advice_lives(a, lives);
    advice_proof(a, proof);
    printf("%2zu  %-*s %9s %5.1f  %-14s%-15s%s%s%s\n", number, SITE_COLUMN,
           end_of(site, SITE_COLUMN), grouped(h->blocks), (double)h->bytes / (1 << 20), lives,
           words, a->is_proven ? paint("32") : "", proof, a->is_proven ? paint("0") : "");
}

static void print_recorded(const counsel *c)
{
    if (c->recorded_time > 0) {
        printf("As recorded: time %.2f, peak %.2f  (%s blocks off the heap)\n", c->recorded_time,
               c->recorded_peak, grouped(c->recorded_blocks));
    }
}

static void print_table(const inquiry *q)
{
    const counsel *c = &q->counsel;
    double seconds = (double)trace_time(q->t) / 1e6;
    printf("%s%s%s: %s operations, %s peak, %s sites, %.1f s\n", paint("1"), q->path, paint("0"),
           grouped(trace_operations(q->t)), bytes_text(q->peak), grouped(places_total(q->places)),
           seconds);
    if (c->count == 0) {
        printf(
            "No advice: no site's blocks are all of one size, die together, or live to the end.\n");
        print_recorded(c);
        return;
    }
    printf("%s #  %-*s %9s %5s  %-14s%-15s%s%s\n", paint("1"), SITE_COLUMN, "site", "blocks", "MiB",
           "lives", "advice", "proof", paint("0"));
    for (size_t i = 0; i < c->count; i++) {
        print_row(q, &c->items[i], i + 1);
    }
    if (c->libc > 0 && c->proven > 0) {
        printf("All together, %s replays: time %.2f +-%.2f, peak %.2f  (1 = all on the heap)\n",
               grouped(c->replays), c->time, c->spread, c->peak);
        printf("The parts add up to %.2f; libc takes %.2f\n", c->predicted, c->libc);
    } else {
        printf("%s replays%s\n", grouped(c->replays),
               c->proven > 0 ? ", every block checked, none timed"
                             : ": the heap serves them all as well");
    }
    print_recorded(c);
    if (c->refused_places > 0) {
        printf("Not advised: %s sites (%s blocks outlive their unit; --why SITE shows one)\n",
               grouped(c->refused_places), grouped(c->refused_blocks));
    }
    if (c->proven > 0 && q->emit == NULL) {
        hint("Write the table: fief advise %s --emit kinds.c", q->path);
    }
}

static void print_json(const inquiry *q)
{
    const counsel *c = &q->counsel;
    printf("{\"schema\":\"fief-advice/1\",\"file\":");
    put_json(stdout, q->path);
    printf(
        ",\"operations\":%llu,\"peak_bytes\":%llu,\"replays\":%llu,\"time\":%.4f,\"spread\":%.4f,"
        "\"peak\":%.4f,\"predicted_time\":%.4f,\"libc_time\":%.4f,\"recorded_blocks\":%llu,"
        "\"recorded_time\":%.4f,\"recorded_peak\":%.4f,\"refused_sites\":%llu,"
        "\"refused_blocks\":%llu,\"advice\":[",
        (unsigned long long)trace_operations(q->t), (unsigned long long)q->peak,
        (unsigned long long)c->replays, c->time, c->spread, c->peak, c->predicted, c->libc,
        (unsigned long long)c->recorded_blocks, c->recorded_time, c->recorded_peak,
        (unsigned long long)c->refused_places, (unsigned long long)c->refused_blocks);
    for (size_t i = 0; i < c->count; i++) {
        const advice *a = &c->items[i];
        const habit *h = &q->habits.of[a->place];
        char site[SITE_TEXT];
        place_text(places_at(q->places, a->place), site, sizeof site);
        printf("%s{\"site\":", i > 0 ? "," : "");
        put_json(stdout, site);
        printf(",\"blocks\":%llu,\"bytes\":%llu,\"plan\":\"%s\",\"slot_bytes\":%llu,\"proven\":%s,"
               "\"outlived\":%llu,\"time\":%.4f,\"spread\":%.4f,\"peak\":%.4f}",
               (unsigned long long)h->blocks, (unsigned long long)h->bytes, plan_name(a->plan),
               (unsigned long long)(a->plan == USE_POOL ? a->slot_size : 0),
               a->is_proven ? "true" : "false", (unsigned long long)a->outlived, a->time, a->spread,
               a->peak);
    }
    printf("]}\n");
}

/* ---- why ---- */

static void explain_place(const inquiry *q, uint32_t number)
{
    const habit *h = &q->habits.of[number];
    char text[SITE_TEXT];
    place_text(places_at(q->places, number), text, sizeof text);
    printf("%s%s%s\n  %s blocks, %s; at most %s at once; half dead within %s operations\n",
           paint("1"), text, paint("0"), grouped(h->blocks), bytes_text(h->bytes),
           bytes_text(h->most), grouped(2 * habit_usual_age(h)));
    printf("  %s resizes, %s of them of the newest block; %s never freed\n", grouped(h->resizes),
           grouped(h->grown_last), grouped(h->live_blocks));
    for (unsigned to = USE_POOL; to < PLANS; to++) {
        const char *why = plan_obstacle(h, (plan)to, text, sizeof text);
        printf("  %-12s %s\n", plan_name((plan)to), why != NULL ? why : "fits");
    }
    if (h->outlived > 0) {
        printf("  block %s, made at operation %s in unit %s, died at operation %s, after that "
               "unit's end\n",
               grouped(h->outlived_by), grouped(h->outlived_operation), grouped(h->outlived_unit),
               grouped(h->outlived_died));
    }
}

static int explain(const inquiry *q)
{
    uint32_t shown = 0;
    for (uint32_t i = 0; i < places_total(q->places); i++) {
        char text[SITE_TEXT];
        place_text(places_at(q->places, i), text, sizeof text);
        if (strstr(text, q->why) != NULL) {
            explain_place(q, i);
            shown++;
        }
    }
    return shown > 0 ? end_output(stdout, NULL)
                     : complain(BAD_INPUT, "%s: has no site '%s' (fief show lists them)", q->path,
                                q->why);
}

/* ---- the kinds, as C ---- */

static void put_identifier(FILE *to, const char *text, size_t number)
{
    bool gap = false;
    fprintf(to, "ADVISED_%zu", number);
    for (size_t i = 0; text[i] != '\0' && i < 40; i++) {
        bool is_word = isalnum((unsigned char)text[i]) != 0;
        if (is_word) {
            fprintf(to, "%s%c", gap || i == 0 ? "_" : "", toupper((unsigned char)text[i]));
        }
        gap = !is_word;
    }
}

/* In a C string, within a comment or not. */
static void put_c_text(FILE *to, const char *text)
{
    for (; *text != '\0'; text++) {
        bool is_plain =
            *text >= ' ' && *text < 127 && *text != '"' && *text != '\\' && *text != '?';
        fputc(is_plain && !(text[0] == '*' && text[1] == '/') ? *text : '_', to);
    }
}

static void emit_row(FILE *to, const inquiry *q, const advice *a, size_t number)
{
    static const char *const strategies[PLANS] = {"FIEF_HEAP", "FIEF_POOL", "FIEF_COMPILER_ARENA",
                                                  "FIEF_HEAP", "FIEF_VM_ARENA", "FIEF_HEAP"};
    const habit *h = &q->habits.of[a->place];
    char text[SITE_TEXT], proof[TEXT_OF_ADVICE];
    place_text(places_at(q->places, a->place), text, sizeof text);
    advice_proof(a, proof);
    fprintf(to, "    /* %s blocks, %s: %s */\n    [", grouped(h->blocks), bytes_text(h->bytes),
            proof);
    put_identifier(to, text, number);
    fprintf(to, "] = {.name = \"%zu ", number);
    put_c_text(to, text);
    fprintf(to, "\", .size = %llu, .any = %s},\n",
            (unsigned long long)(h->smallest == h->largest ? h->largest : 0), strategies[a->plan]);
    if (a->plan == USE_BATCH_ARENA) {
        fprintf(to, "    /* ... better in an arena of its own, fief_arena_open, which is reset "
                    "when the last "
                    "of them is dead. */\n");
    } else if (a->plan == USE_STACK) {
        fprintf(to, "    /* ... better on a stack of its own: fief_stack_open, fief_stack_push, "
                    "fief_stack_pop. */\n");
    }
}

static int emit(const inquiry *q)
{
    FILE *to = open_output(q->emit);
    const counsel *c = &q->counsel;
    if (to == NULL) {
        return CANNOT_RUN;
    }
    fputs("/* From ", to);
    put_c_text(to, q->path);
    fprintf(
        to,
        ", by fief advise: time %.2f, peak %.2f of all on the heap.\n"
        " * fief_open(&(fief_config){.kinds = advised_kinds, .kind_count = ADVISED_KINDS}), then\n"
        " * fief_new(rt, ADVISED_..., FIEF_DYNAMIC, size) at each site. */\n"
        "#include <fief/fief.h>\n\nenum advised_kind {\n",
        c->time, c->peak);
    for (size_t i = 0; i < c->count && c->items[i].is_proven; i++) {
        char text[SITE_TEXT];
        place_text(places_at(q->places, c->items[i].place), text, sizeof text);
        fputs("    ", to);
        put_identifier(to, text, i + 1);
        fputs(",\n", to);
    }
    fputs("    ADVISED_OTHER,\n    ADVISED_KINDS\n};\n\nextern const fief_kind "
          "advised_kinds[ADVISED_KINDS];\n"
          "const fief_kind advised_kinds[ADVISED_KINDS] = {\n",
          to);
    for (size_t i = 0; i < c->count && c->items[i].is_proven; i++) {
        emit_row(to, q, &c->items[i], i + 1);
    }
    fputs("    [ADVISED_OTHER] = {.name = \"other\", .any = FIEF_HEAP},\n};\n", to);
    int status = end_output(to, q->emit);
    if (status != DONE) {
        remove_output(q->emit);
    }
    return status;
}

/* ---- the command ---- */

static int advise(inquiry *q)
{
    int status = read_trace(q);
    if (status == DONE && q->why != NULL) {
        return explain(q);
    }
    status = status == DONE ? steps_end(&q->steps, q->path) : status;
    if (status == DONE) {
        effort most = {PROPOSALS_MOST, q->rounds, 0};
        if (q->rounds > 0) {
            play_hint();
        }
        status = counsel_find(&q->counsel, &q->steps, &q->habits, q->places, &most);
    }
    if (status == DONE && q->emit != NULL) {
        status = emit(q);
    }
    if (status == DONE) {
        (fief_tool.json ? print_json : print_table)(q);
        status = end_output(stdout, NULL);
    }
    return status;
}

static int read_rounds(const char *word, int *ret)
{
    char *end;
    long rounds = strtol(word, &end, 10);
    if (*end != '\0' || rounds < 0 || rounds > ROUNDS_MOST) {
        return complain(USAGE, "--rounds is a number from 0 to %d, not '%s'", ROUNDS_MOST, word);
    }
    *ret = (int)rounds;
    return DONE;
}

int run_advise(int count, char **words)
{
    static const char *const options[] = {"--emit", "--why", "--rounds", "--help", NULL};
    static inquiry q;
    const char *value;
    int status = DONE;
    q.rounds = ROUNDS;
    for (int at = 1; at < count && status == DONE; at++) {
        if ((value = option_value(count, words, &at, "--emit")) != NULL) {
            q.emit = value;
        } else if ((value = option_value(count, words, &at, "--why")) != NULL) {
            q.why = value;
        } else if ((value = option_value(count, words, &at, "--rounds")) != NULL) {
            status = read_rounds(value, &q.rounds);
        } else if (is_option(words[at])) {
            status = refuse_word("option", words[at], options);
        } else if (q.path != NULL) {
            status = complain(USAGE, "one trace at a time, not '%s', too", words[at]);
        } else {
            q.path = words[at];
        }
    }
    if (status == DONE && q.path == NULL) {
        status = complain(USAGE, "which trace? (fief advise TRACE)");
    }
    status = status == DONE ? advise(&q) : status;
    steps_free(&q.steps);
    habits_close(&q.habits);
    places_free(q.places);
    symbols_free(q.symbols);
    trace_close(q.t);
    return status;
}
