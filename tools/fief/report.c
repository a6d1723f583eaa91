/* report: one HTML file of a trace: survey.h reads it, advise.h proves advice, page.h writes. With
 * --json, the figures behind its charts alone. */
#include "page.h"

/* Few, since a page is to be there soon: fief advise measures more closely. */
enum { PROPOSALS = 4, ROUNDS = 2, STEPS_TIMED = 2000000 };

static survey now, before;
static play_steps steps;

static int write_page(const char *output, bool has_old, const counsel *c)
{
    FILE *to = open_output(output);
    if (to == NULL) {
        return CANNOT_RUN;
    }
    bool sound = true;
    if (fief_tool.json) {
        page_data(to, &now, places_total(now.places));
        fputc('\n', to);
    } else {
        sound = page_write(to, &now, has_old ? &before : NULL, c);
    }
    int status = end_output(to, output);
    status = sound ? status : complain(CANNOT_RUN, "there is no memory for the page");
    if (status != DONE) {
        remove_output(output);
    }
    return status;
}

static int find_advice(counsel *c, const char *path)
{
    static const effort most = {PROPOSALS, ROUNDS, STEPS_TIMED};
    int status = steps_end(&steps, path);
    return status == DONE ? counsel_find(c, &steps, &now.habits, now.places, &most) : status;
}

static int report(const char *path, const char *output, const char *baseline, bool with_advice)
{
    counsel found = {0};
    if (with_advice) {
        (void)steps_open(&steps, true);
    }
    int status = survey_read(&now, path, with_advice ? &steps : NULL);
    if (status == DONE && trace_cut(now.t) != NULL) {
        hint("fief report: %s", trace_cut(now.t));
    }
    if (status == DONE && baseline != NULL) {
        status = survey_read(&before, baseline, NULL);
    }
    if (status == DONE && with_advice) {
        status = find_advice(&found, path);
    }
    if (status == DONE) {
        status = write_page(output, baseline != NULL, with_advice ? &found : NULL);
    }
    if (status == DONE && strcmp(output, "-") != 0) {
        hint("fief report: %s  (open it in a browser)", output);
    }
    steps_free(&steps);
    survey_close(&now);
    survey_close(&before);
    return status;
}

int run_report(int count, char **words)
{
    static const char *const options[] = {"-o", "--baseline", "--no-advice", "--help", NULL};
    const char *path = NULL, *output = NULL, *baseline = NULL, *value;
    bool with_advice = true;
    for (int at = 1; at < count; at++) {
        if ((value = option_value(count, words, &at, "-o")) != NULL) {
            output = value;
        } else if ((value = option_value(count, words, &at, "--baseline")) != NULL) {
            baseline = value;
        } else if (strcmp(words[at], "--no-advice") == 0) {
            with_advice = false;
        } else if (is_option(words[at])) {
            return refuse_word("option", words[at], options);
        } else if (path != NULL) {
            return complain(USAGE, "one trace at a time, not '%s', too", words[at]);
        } else {
            path = words[at];
        }
    }
    if (path == NULL) {
        return complain(USAGE, "which trace? (fief report TRACE -o report.html)");
    }
    if (output == NULL) {
        output = fief_tool.json ? "-" : "report.html";
    }
    return report(path, output, baseline, with_advice && !fief_tool.json);
}
