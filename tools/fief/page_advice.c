/* page_advice: the parts of a page that compare: the advice with its proof, and an older trace. */
#include "page.h"

#include <stdlib.h>

void put_advice(FILE *to, const advice *a)
{
    char words[TEXT_OF_ADVICE], proof[TEXT_OF_ADVICE];
    advice_text(a, words);
    advice_proof(a, proof);
    fprintf(to, "%s (%s)", words, proof);
}

static void put_advice_row(FILE *to, const survey *s, const advice *a, size_t number)
{
    const habit *h = &s->habits.of[a->place];
    char text[300], words[TEXT_OF_ADVICE], lives[TEXT_OF_ADVICE], proof[TEXT_OF_ADVICE];
    place_text(places_at(s->places, a->place), text, sizeof text);
    advice_text(a, words);
    advice_lives(a, lives);
    advice_proof(a, proof);
    fprintf(to, "<tr><td>%zu</td><td class=\"wide left\">", number);
    put_html(to, text);
    (void)snprintf(text, sizeof text, a->is_credible ? "%.2f" : "-", a->time);
    fprintf(to,
            "</td><td>%s</td><td>%s</td><td class=\"left\">%s</td><td class=\"left\">%s</td>"
            "<td>%s</td><td>%.2f</td><td%s>%s</td></tr>\n",
            grouped(h->blocks), bytes_text(h->bytes), lives, words, text, a->peak,
            a->is_proven ? " class=\"less\"" : "", proof);
}

static void put_outcome(FILE *to, const counsel *c)
{
    fprintf(to, "<p>Each proposal was replayed, %s replays in all, every block checked. ",
            grouped(c->replays));
    if (c->timed > 0) {
        fprintf(to, "What was timed are the first %s calls. ", grouped(c->timed));
    }
    if (c->libc > 0 && c->proven > 0) {
        fprintf(to,
                "All together: time %.2f, peak %.2f, where 1.00 is all of it on fief's heap; "
                "libc's time is %.2f. ",
                c->time, c->peak, c->libc);
    } else if (c->proven > 0) {
        fputs("The trace is too short to time them: lifetimes alone speak for them. ", to);
    } else {
        fputs("None brings more than the spread: the heap serves them all as well. ", to);
    }
    if (c->recorded_time > 0) {
        fprintf(to, "As it was recorded, with %s blocks off the heap: time %.2f, peak %.2f. ",
                grouped(c->recorded_blocks), c->recorded_time, c->recorded_peak);
    }
    if (c->refused_places > 0) {
        fprintf(to, "Not advised: %s sites, of which %s blocks outlive their unit. ",
                grouped(c->refused_places), grouped(c->refused_blocks));
    }
    fputs("<code>fief advise</code> measures more closely and writes the table.</p>\n", to);
}

void put_counsel(FILE *to, const survey *s, const counsel *c)
{
    static const char *const heads[] = {"#",       "<site", "blocks", "bytes", "<lives",
                                        "<advice", "time",  "peak",   "proof", NULL};
    fputs("<section id=\"advice\">\n<h2>Advice</h2>\n", to);
    if (c == NULL) {
        fputs("<p class=\"empty\">Not asked for: <code>fief advise</code> has it.</p>\n", to);
    } else if (c->count == 0) {
        fputs("<p class=\"empty\">None: no site's blocks are all of one size, die together, or "
              "live to the end. <code>fief record --depth 8</code> tells more sites apart.</p>\n",
              to);
    } else {
        put_outcome(to, c);
        put_heads(to, "advice", heads);
        for (size_t i = 0; i < c->count; i++) {
            put_advice_row(to, s, &c->items[i], i + 1);
        }
        fputs("</tbody></table></div>\n", to);
    }
    fputs("</section>\n", to);
}

/* ---- what changed ---- */

typedef struct change {
    char name[300];
    cell before, now; /* bytes: the most at once */
} change;

static int by_name(const void *a, const void *b)
{
    return strcmp(((const change *)a)->name, ((const change *)b)->name);
}

static uint64_t step_of(const change *c)
{
    return c->now.bytes > c->before.bytes ? c->now.bytes - c->before.bytes
                                          : c->before.bytes - c->now.bytes;
}

static int by_step(const void *a, const void *b)
{
    uint64_t x = step_of(a), y = step_of(b);
    return x != y ? (x < y) - (x > y) : by_name(a, b);
}

static size_t add_changes(change *to, size_t count, const survey *s, bool is_now)
{
    for (uint32_t i = 0; i < places_total(s->places); i++, count++) {
        cell of = {s->habits.of[i].blocks, s->habits.of[i].most};
        to[count] = (change){.now = is_now ? of : (cell){0}, .before = is_now ? (cell){0} : of};
        place_text(places_at(s->places, i), to[count].name, sizeof to[count].name);
    }
    return count;
}

/* Both traces' places, the same names joined, the largest steps first. */
static change *find_changes(const survey *s, const survey *old, size_t *ret_count)
{
    change *all =
        calloc((size_t)places_total(s->places) + places_total(old->places) + 1, sizeof *all);
    size_t kept = 0, count = 0;
    if (all != NULL) {
        count = add_changes(all, add_changes(all, 0, s, true), old, false);
        qsort(all, count, sizeof *all, by_name);
    }
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || strcmp(all[kept - 1].name, all[i].name) != 0) {
            all[kept++] = all[i];
            continue;
        }
        all[kept - 1].now.blocks += all[i].now.blocks;
        all[kept - 1].now.bytes += all[i].now.bytes;
        all[kept - 1].before.blocks += all[i].before.blocks;
        all[kept - 1].before.bytes += all[i].before.bytes;
    }
    if (all != NULL) {
        qsort(all, kept, sizeof *all, by_step);
    }
    *ret_count = kept;
    return all;
}

static void put_change_step(FILE *to, uint64_t before, uint64_t now)
{
    enum { TIMES_RATHER = 10 };
    const char *more = now > before ? "more" : now < before ? "less" : "";
    fprintf(to, "<td class=\"%s\">", more);
    if (before == 0 || now == 0) {
        fputs(now > 0 ? "new" : before > 0 ? "gone" : "-", to);
    } else if (now / before >= TIMES_RATHER) {
        fprintf(to, "%s times", grouped(now / before));
    } else {
        fprintf(to, "%+.1f %%", 100 * ((double)now - (double)before) / (double)before);
    }
    fputs("</td>", to);
}

static void put_change(FILE *to, const char *name, uint64_t before, uint64_t now, bool is_bytes)
{
    fputs("<tr><td class=\"wide\">", to);
    put_html(to, name);
    fprintf(to, "</td><td>%s</td><td>%s</td>", is_bytes ? bytes_text(before) : grouped(before),
            is_bytes ? bytes_text(now) : grouped(now));
    put_change_step(to, before, now);
    fputs("</tr>\n", to);
}

void put_changes(FILE *to, const survey *s, const survey *old)
{
    static const char *const heads[] = {"<what", "before", "now", "step", NULL};
    size_t count;
    if (old == NULL) {
        return;
    }
    change *all = find_changes(s, old, &count);
    fputs("<section id=\"changes\">\n<h2>What changed</h2>\n<p>Since ", to);
    put_html(to, old->path);
    fprintf(to,
            ": the peak was %s and is %s. Sites are compared by name; those with the largest step "
            "in what they held at most come first.</p>\n",
            bytes_text(old->moments[old->peak].bytes), bytes_text(s->moments[s->peak].bytes));
    put_heads(to, "what changed", heads);
    put_change(to, "peak", old->moments[old->peak].bytes, s->moments[s->peak].bytes, true);
    put_change(to, "left at the end", old->live, s->live, true);
    put_change(to, "operations", old->operations, s->operations, false);
    for (size_t i = 0; all != NULL && i < count && i < CHANGES_MOST; i++) {
        if (step_of(&all[i]) > 0) {
            put_change(to, all[i].name, all[i].before.bytes, all[i].now.bytes, true);
        }
    }
    fputs("</tbody></table></div>\n</section>\n", to);
    free(all);
}
