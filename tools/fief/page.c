/* page: see page.h. */
#include "page.h"

#include <fief/base.h>
#include <stdlib.h>

extern const char page_style[], page_script[];

void put_html(FILE *to, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '<':
            fputs("&lt;", to);
            break;
        case '>':
            fputs("&gt;", to);
            break;
        case '&':
            fputs("&amp;", to);
            break;
        case '"':
            fputs("&quot;", to);
            break;
        default:
            fputc((unsigned char)*text < ' ' ? ' ' : *text, to);
        }
    }
}

static double percent(double part, double whole)
{
    return whole > 0 ? 100 * part / whole : 0;
}

static const char *time_text(uint64_t us)
{
    static char texts[4][40];
    static unsigned next;
    char *text = texts[next++ % 4];
    (void)snprintf(text, sizeof texts[0], us < 1000000 ? "%.1f ms" : "%.2f s",
                   (double)us / (us < 1000000 ? 1e3 : 1e6));
    return text;
}

/* ---- a chart: its title, canvas, a sentence, a table ---- */

static void begin_chart(FILE *to, const char *id, const char *title, const char *label)
{
    fprintf(to, "<section id=\"%s-part\">\n<h2>%s</h2>\n", id, title);
    fprintf(to,
            "<canvas class=\"script-only\" id=\"%s\" role=\"img\" aria-label=\"%s\"%s></canvas>\n"
            "<output class=\"script-only\" id=\"%s-at\"></output>\n",
            id, label, strcmp(id, "live") == 0 ? " tabindex=\"0\"" : "", id);
}

void put_heads(FILE *to, const char *label, const char *const *heads)
{
    fprintf(to,
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"%s\"><table>\n"
            "<thead><tr>",
            label);
    for (; *heads != NULL; heads++) {
        bool is_left = **heads == '<';
        fprintf(to, "<th scope=\"col\"%s>", is_left ? " class=\"left\"" : "");
        put_html(to, *heads + is_left);
        fputs("</th>", to);
    }
    fputs("</tr></thead>\n<tbody>\n", to);
}

static void begin_table(FILE *to, const char *summary, const char *const *heads)
{
    fprintf(to, "<details><summary>%s</summary>\n", summary);
    put_heads(to, summary, heads);
}

static void end_table(FILE *to)
{
    fputs("</tbody></table></div></details>\n</section>\n", to);
}

static void put_cell(FILE *to, const char *text)
{
    fputs("<td>", to);
    put_html(to, text);
    fputs("</td>", to);
}

static void put_value(FILE *to, uint64_t value, const char *text)
{
    fprintf(to, "<td data-v=\"%llu\">%s</td>", (unsigned long long)value, text);
}

/* ---- parts ---- */

static void put_headline(FILE *to, const survey *s, const counsel *c)
{
    const moment *peak = &s->moments[s->peak];
    char text[300];
    fprintf(to, "<p class=\"headline\">At its peak %s are alive, at operation %s of %s (%s of %s)",
            bytes_text(peak->bytes), grouped(peak->operation), grouped(s->operations),
            time_text(peak->time), time_text(s->time));
    unsigned most = 0;
    for (unsigned i = 1; i < s->series_count[BY_SITE]; i++) {
        most = peak->by[BY_SITE][i] > peak->by[BY_SITE][most] ? i : most;
    }
    fprintf(to, "; most of it, %s, from <strong>", bytes_text(peak->by[BY_SITE][most]));
    put_html(to, s->series[BY_SITE][most]);
    fputs("</strong>.", to);
    for (size_t i = 0; c != NULL && i < c->count; i++) {
        if (c->items[i].is_proven) {
            place_text(places_at(s->places, c->items[i].place), text, sizeof text);
            fputs(" First advice: ", to);
            put_advice(to, &c->items[i]);
            fputs(" for ", to);
            put_html(to, text);
            fputs(".", to);
            break;
        }
    }
    fputs("</p>\n", to);
    if (trace_cut(s->t) != NULL) {
        fputs("<p class=\"empty\">", to);
        put_html(to, trace_cut(s->t));
        fputs("</p>\n", to);
    }
}

static void put_live_table(FILE *to, const survey *s)
{
    enum { TABLE_ROWS = 25 };
    const char *heads[SERIES + 3] = {"operation", "all"};
    unsigned count = s->series_count[BY_SITE];
    for (unsigned i = 0; i < count; i++) {
        heads[i + 2] = s->series[BY_SITE][i];
    }
    begin_table(to, "Live bytes as a table", heads);
    for (size_t row = 0; row < TABLE_ROWS; row++) {
        const moment *m = &s->moments[(s->moment_count - 1) * row / (TABLE_ROWS - 1)];
        fprintf(to, "<tr><td>%s</td><td>%s</td>", grouped(m->operation), bytes_text(m->bytes));
        for (unsigned i = 0; i < count; i++) {
            fprintf(to, "<td>%s</td>", bytes_text(m->by[BY_SITE][i]));
        }
        fputs("</tr>\n", to);
    }
    end_table(to);
}

static void put_live(FILE *to, const survey *s)
{
    static const char tools[] =
        "<div class=\"tools script-only\"><span>Everything by</span>\n"
        "<button data-by=\"0\">strategy</button><button data-by=\"1\">kind</button>"
        "<button data-by=\"2\">site</button>\n<span id=\"range\" class=\"soft\"></span>"
        "<button id=\"all\">Whole trace</button></div>\n"
        "<div class=\"tools legend script-only\" id=\"legend\"></div>\n";
    fputs(tools, to);
    begin_chart(to, "live", "Live bytes over time",
                "Live bytes over operations. Arrow keys choose a time range, with Shift they widen "
                "it, Escape shows all");
    fprintf(to,
            "<p>%s at the peak, %s at the end, over %s. Each point is the highest moment of %s "
            "operations. Drag to choose a time: all that follows is of that time. Dashed lines are "
            "resets, marks and closes.</p>\n",
            bytes_text(s->moments[s->peak].bytes), bytes_text(s->live), time_text(s->time),
            grouped((uint64_t)1 << s->stretch_log2));
    put_live_table(to, s);
}

/* Rows by owner, at the peak's column. */
static void put_map(FILE *to, const survey *s)
{
    static const char *const heads[] = {"owner", "rows with most of its bytes",
                                        "at least half in use", NULL};
    uint64_t at = s->moments[s->peak].operation, rows = pagemap_rows(s->pages);
    size_t column =
        s->operations > 0 ? (size_t)((at > 0 ? at - 1 : 0) * COLUMNS / s->operations) : 0;
    const char *letters = s->columns[BY_SITE][column < COLUMNS ? column : COLUMNS - 1];
    unsigned few[SERIES] = {0}, full[SERIES] = {0};
    for (const char *letter = letters; *letter != '\0'; letter++) {
        if (*letter != '.') {
            unsigned owner = (unsigned)(*letter >= 'a' ? *letter - 'a' : *letter - 'A');
            few[owner]++;
            full[owner] += *letter < 'a';
        }
    }
    begin_chart(to, "map", "Page map", "Pages over operations, coloured by owner");
    fprintf(to,
            "<p>%s rows of %u KiB (pages of 64 KiB, in the order of their addresses), %d columns "
            "of time; the "
            "colour is whose bytes fill most of a row, strong where at least half of it is in use.",
            grouped(rows), pagemap_pages_a_row(s->pages) << (PAGE_BITS - 10), COLUMNS);
    if (pagemap_outside(s->pages) > 0) {
        fprintf(to, " Of blocks over 64 MiB only the first 64 MiB are drawn: %s pages are not.",
                grouped(pagemap_outside(s->pages)));
    }
    fputs("</p>\n", to);
    begin_table(to, "The page map near the peak as a table", heads);
    for (unsigned i = 0; i < s->series_count[BY_SITE]; i++) {
        fputs("<tr>", to);
        put_cell(to, s->series[BY_SITE][i]);
        fprintf(to, "<td>%u</td><td>%u</td></tr>\n", few[i], full[i]);
    }
    end_table(to);
}

static void sum_ages(const survey *s, cell sums[AGES + 1], cell *ret_all)
{
    for (size_t slice = 0; slice < s->slices; slice++) {
        for (unsigned size = 0; size < SIZES; size++) {
            for (unsigned age = 0; age <= ALIVE; age++) {
                sums[age].blocks += s->ages[slice][size][age].blocks;
                sums[age].bytes += s->ages[slice][size][age].bytes;
                ret_all->blocks += s->ages[slice][size][age].blocks;
            }
        }
    }
}

static void put_ages(FILE *to, const survey *s)
{
    static const char *const heads[] = {"age in operations", "blocks", "bytes", NULL};
    cell sums[AGES + 1] = {{0, 0}}, all = {0};
    uint64_t half = 0;
    unsigned median = 0;
    sum_ages(s, sums, &all);
    while (median < AGES && 2 * (half += sums[median].blocks) < all.blocks) {
        median++;
    }
    begin_chart(to, "ages", "Lifetimes", "Blocks by size and by age");
    fprintf(to,
            "<p>Of %s blocks half were dead within %s operations; %s (%s) were never freed. "
            "Across: size; "
            "up: how many operations a block lived; the darker, the more blocks. Both in powers of "
            "two.</p>\n",
            grouped(all.blocks), median < AGES ? grouped((uint64_t)2 << median) : "all",
            grouped(sums[ALIVE].blocks), bytes_text(sums[ALIVE].bytes));
    begin_table(to, "Lifetimes as a table", heads);
    for (unsigned age = 0; age <= ALIVE; age++) {
        if (sums[age].blocks > 0) {
            fprintf(to, "<tr><td>%s%s</td><td>%s</td><td>%s</td></tr>\n",
                    age == ALIVE ? "alive at the end" : "under ",
                    age == ALIVE ? "" : grouped((uint64_t)2 << age), grouped(sums[age].blocks),
                    bytes_text(sums[age].bytes));
        }
    }
    end_table(to);
}

static void put_unit_rows(FILE *to, const survey *s)
{
    static const char *const heads[] = {"unit",          "began", "ended",   "made in it",
                                        "died together", "bytes", "escaped", NULL};
    begin_table(to, "Units as a table", heads);
    for (size_t i = 0; i < s->unit_count && i < UNITS_DRAWN; i++) {
        const unit_lane *u = &s->units[i];
        fprintf(to, "<tr><td>%zu ", i + 1);
        put_html(to, u->name);
        fprintf(to,
                "</td><td>%s</td><td>%s</td><td>%s</td><td>%s</td><td>%s</td><td>%s</td></tr>\n",
                grouped(u->began), u->open ? "open" : grouped(u->ended), grouped(u->born),
                grouped(u->died), bytes_text(u->bytes), grouped(u->escaped));
    }
    end_table(to);
}

static void put_units(FILE *to, const survey *s)
{
    uint64_t escaped = 0, died = 0;
    if (s->unit_count == 0) {
        fputs("<section id=\"units-part\">\n<h2>Units</h2>\n<p class=\"empty\">This trace has no "
              "units: it was "
              "recorded at <code>malloc</code>. A runtime's own trace has them: set "
              "<code>fief_config.trace</code>, and bracket a compilation with "
              "<code>fief_unit_begin</code> and "
              "<code>fief_unit_end</code>.</p>\n</section>\n",
              to);
        return;
    }
    for (size_t i = 0; i < s->unit_count; i++) {
        escaped += s->units[i].escaped;
        died += s->units[i].died;
    }
    begin_chart(to, "units-canvas", "Units", "Units as lanes over operations");
    fprintf(to,
            "<p>%s units; %s blocks died together at the ends of their units, %s lived on past it "
            "(those lanes have another colour).",
            grouped(s->unit_count), grouped(died), grouped(escaped));
    if (s->unit_count > UNITS_DRAWN) {
        fprintf(to, " The first %d are shown.", UNITS_DRAWN);
    }
    fputs("</p>\n", to);
    put_unit_rows(to, s);
}

static void put_waste(FILE *to, const survey *s)
{
    static const char *const heads[] = {"site", "bytes made", "lost to multiples of 16", "share",
                                        NULL};
    uint64_t rounded = 0, made = 0, held = (uint64_t)s->moments[s->peak].held << PAGE_BITS;
    uint32_t count = places_total(s->places);
    for (uint32_t i = 0; i < count; i++) {
        rounded += s->habits.of[i].rounded;
        made += s->habits.of[i].bytes;
    }
    begin_chart(to, "waste", "Waste", "Live bytes, and the pages that they lie in");
    fprintf(to,
            "<p>At the peak %s were alive in pages of %s: %.0f %% of them were idle, by "
            "fragmentation or "
            "by what the allocator keeps there. Sizes rounded up to 16 cost %s in all, %.1f %%. "
            "The dashed "
            "line is the pages of 64 KiB with something alive in them.</p>\n",
            bytes_text(s->moments[s->peak].bytes), bytes_text(held),
            held > 0 ? 100 - percent((double)s->moments[s->peak].bytes, (double)held) : 0,
            bytes_text(rounded), percent((double)rounded, (double)(made + rounded)));
    begin_table(to, "Waste of the largest sites as a table", heads);
    for (uint32_t i = 0; i < count && i < 25; i++) {
        const habit *h = &s->habits.of[i];
        char text[300];
        place_text(places_at(s->places, i), text, sizeof text);
        fputs("<tr>", to);
        put_cell(to, text);
        fprintf(to, "<td>%s</td><td>%s</td><td>%.1f %%</td></tr>\n", bytes_text(h->bytes),
                bytes_text(h->rounded),
                percent((double)h->rounded, (double)(h->bytes + h->rounded)));
    }
    end_table(to);
}

/* ---- the sites ---- */

static const struct {
    const char *name, *title;
} columns[] = {{"site", "site"},
               {"kind", "kind"},
               {"strategy", "strategy"},
               {"blocks", "blocks"},
               {"bytes", "bytes made"},
               {"most_bytes", "most at once"},
               {"left_bytes", "left"},
               {"size", "sizes"},
               {"half_life_operations", "half die within"},
               {"mean_life_us", "mean life"},
               {"resizes", "resizes"}};

static void put_site(FILE *to, const survey *s, uint32_t number)
{
    const place *p = places_at(s->places, number);
    const habit *h = &s->habits.of[number];
    char text[100] = "";
    uint64_t mean = h->deaths > 0 ? h->time_sum / h->deaths : 0, age = habit_usual_age(h) * 2;
    if (p->kind[0] != '\0') {
        (void)snprintf(text, sizeof text, "%s, %s", p->kind, trace_context_name(p->context));
    }
    fprintf(to, "<tr data-place=\"%u\"><td class=\"wide\">", number);
    put_html(to, p->site[0] != '\0' ? p->site : "(unknown)");
    fputs("</td>", to);
    put_cell(to, text);
    put_cell(to, trace_strategy_name(p->strategy));
    put_value(to, h->blocks, grouped(h->blocks));
    put_value(to, h->bytes, bytes_text(h->bytes));
    put_value(to, h->most, bytes_text(h->most));
    put_value(to, h->live, bytes_text(h->live));
    (void)snprintf(text, sizeof text, h->smallest == h->largest ? "%s" : "%s - %s",
                   grouped(h->smallest), grouped(h->largest));
    put_value(to, h->largest, text);
    put_value(to, h->deaths > 0 ? age : UINT64_MAX >> 12,
              h->deaths > 0 ? grouped(age) : "never freed");
    put_value(to, mean, h->deaths > 0 ? time_text(mean) : "-");
    put_value(to, h->resizes, grouped(h->resizes));
    fputs("</tr>\n", to);
}

/* How many of the sites fit the page beside what it has already, and how long their rows are. */
static uint32_t write_sites(FILE *rows, const survey *s, size_t room, size_t *ret_size)
{
    uint32_t total = places_total(s->places), written = 0;
    uint32_t *sizes = calloc((size_t)total + 1, sizeof *sizes);
    size_t shares = 0;
    if (sizes == NULL) {
        return UINT32_MAX;
    }
    page_share_sizes(s, sizes);
    for (; written < total && written < PAGE_SITES_MOST; written++) {
        put_site(rows, s, written);
        shares += sizes[written];
        if ((size_t)ftell(rows) + shares > room) {
            break;
        }
        *ret_size = (size_t)ftell(rows);
    }
    free(sizes);
    return written;
}

static void put_sites(FILE *to, const survey *s, const char *rows, size_t size, uint32_t written)
{
    uint32_t total = places_total(s->places);
    fputs("<section id=\"sites\">\n<h2>Sites</h2>\n", to);
    if (written < total) {
        fprintf(to,
                "<p class=\"empty\">The %s sites that held the most are here; %s smaller ones are "
                "left out, "
                "so that the page stays small. <code>fief show --json</code> has them all.</p>\n",
                grouped(written), grouped(total - written));
    }
    fputs("<div class=\"tools script-only\"><label for=\"search\">Search</label> "
          "<input id=\"search\" type=\"search\" placeholder=\"function, file or kind\">\n"
          "<button id=\"csv\">CSV</button><button id=\"json\">JSON</button>\n"
          "<span class=\"soft\" id=\"site-count\" role=\"status\"></span></div>\n"
          "<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
          "aria-label=\"sites\"><table>\n<thead><tr>",
          to);
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        fprintf(to, "<th scope=\"col\" data-name=\"%s\"><button>%s</button></th>", columns[i].name,
                columns[i].title);
    }
    fputs("</tr></thead>\n<tbody id=\"site-rows\">\n", to);
    fwrite(rows, 1, size, to);
    fputs("</tbody></table></div>\n</section>\n", to);
}

/* ---- about ---- */

static void put_about(FILE *to, const survey *s)
{
    const char *value, *name;
    fputs("<section id=\"about\">\n<h2>About this trace</h2>\n<dl>\n<dt>file</dt><dd>", to);
    put_html(to, s->path);
    fprintf(to, "</dd>\n<dt>read</dt><dd>by fief %s: %s operations, %s sites at %s places</dd>\n",
            FIEF_VERSION, grouped(s->operations), grouped(trace_sites(s->t)),
            grouped(places_total(s->places)));
    for (uint32_t i = 0; (name = trace_info_at(s->t, i, &value)) != NULL; i++) {
        fputs("<dt>", to);
        put_html(to, name);
        fputs("</dt><dd>", to);
        put_html(to, value);
        fputs("</dd>\n", to);
    }
    fprintf(to, "<dt>refused</dt><dd>%s allocations</dd>\n", grouped(s->refused));
    fprintf(to,
            "<dt>lost</dt><dd>%s frees were not seen; %s were of blocks made before the trace began"
            "</dd>\n",
            grouped(trace_lost_frees(s->t)), grouped(trace_unknown_frees(s->t)));
    fputs("<dt>not counted</dt><dd>memory that the program maps by itself, stacks, code, and what "
          "the "
          "allocator keeps for itself</dd>\n",
          to);
    if (symbols_hint() != NULL) {
        fputs("<dt>names</dt><dd>", to);
        put_html(to, symbols_hint());
        fputs("</dd>\n", to);
    }
    fputs("</dl>\n</section>\n", to);
}

static void put_top(FILE *to, const survey *s)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
          to);
    put_html(to, s->path);
    fprintf(to, ": fief report</title>\n<style>\n%s</style>\n</head>\n<body>\n<header><h1>",
            page_style);
    put_html(to, s->path);
    fputs("</h1>\n<button id=\"theme\" class=\"script-only\">Light or "
          "dark</button></header>\n<main>\n",
          to);
}

/* What has a size of its own, whatever the number of sites. */
static void put_parts(FILE *to, const survey *s, const survey *old, const counsel *c)
{
    put_top(to, s);
    put_headline(to, s, c);
    put_live(to, s);
    put_map(to, s);
    put_ages(to, s);
    put_units(to, s);
    put_waste(to, s);
    put_counsel(to, s, c);
    put_changes(to, s, old);
}

typedef struct text {
    FILE *to;
    char *bytes;
    size_t size;
} text;

static bool open_text(text *t)
{
    t->to = open_memstream(&t->bytes, &t->size);
    return t->to != NULL;
}

static bool close_text(text *t)
{
    return t->to != NULL && fclose(t->to) == 0;
}

bool page_write(FILE *to, const survey *s, const survey *old, const counsel *c)
{
    enum { MARGIN = 8192 }; /* the facts about the trace */
    text parts = {0}, rows = {0}, data = {0};
    bool sound = open_text(&parts) && open_text(&rows) && open_text(&data);
    uint32_t sites = 0;
    size_t kept = 0;
    if (sound) {
        put_parts(parts.to, s, old, c);
        page_data(data.to, s, 0);
        sound = fflush(parts.to) == 0 && fflush(data.to) == 0;
        size_t used = parts.size + data.size + strlen(page_script) + MARGIN;
        sites = write_sites(rows.to, s, used < PAGE_MOST ? PAGE_MOST - used : 0, &kept);
        sound = sound && sites != UINT32_MAX;
    }
    sound = close_text(&parts) && sound;
    sound = close_text(&rows) && sound;
    sound = close_text(&data) && sound;
    if (sound) {
        fwrite(parts.bytes, 1, parts.size, to);
        put_sites(to, s, rows.bytes, kept, sites);
        put_about(to, s);
        fputs("</main>\n<script type=\"application/json\" id=\"data\">\n", to);
        page_data(to, s, sites);
        fprintf(to, "\n</script>\n<script>\n%s</script>\n</body>\n</html>\n", page_script);
    }
    free(parts.bytes);
    free(rows.bytes);
    free(data.bytes);
    return sound;
}
