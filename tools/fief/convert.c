/* convert: chooses the form. */
#include "convert.h"

#include <stdlib.h>
#include <unistd.h>

static const char *const forms[] = {"massif", "folded", "pprof", "ops", NULL};

trace *tally_for(const conversion *c, tally *ret, bool at_peak, int *ret_status)
{
    tally first = {0};
    *ret = (tally){0};
    trace *t = open_trace(c->path);
    *ret_status = BAD_INPUT;
    if (t == NULL) {
        return NULL;
    }
    *ret_status = tally_trace(&first, t) ? DONE : complain(CANNOT_RUN, "there is no memory");
    if (*ret_status == DONE && trace_operations(t) == 0) {
        *ret_status = complain(BAD_INPUT, "%s: has no operations", c->path);
    }
    if (*ret_status == DONE && trace_cut(t) != NULL) {
        hint("fief convert: %s", trace_cut(t));
    }
    if (*ret_status == DONE && at_peak) {
        trace_close(t);
        tally_free(&first);
        t = open_trace(c->path);
        uint64_t peak = first.peak_operation;
        first = (tally){0};
        if (t == NULL || !tally_until(&first, t, peak)) {
            *ret_status = CANNOT_RUN;
        }
    }
    *ret = first;
    if (*ret_status != DONE) {
        trace_close(t);
        tally_free(ret);
        return NULL;
    }
    return t;
}

static const char *const values[] = {"allocated", "blocks", "peak", "left", NULL};

/* -1: it is none of them. */
static int index_of(const char *word, const char *const *words)
{
    for (int i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], word) == 0) {
            return i;
        }
    }
    return -1;
}

static int read_from(conversion *c, const char *number)
{
    char *end;
    c->from = strtoull(number, &end, 10);
    bool sound = *end == '\0' && number[0] != '-';
    return sound ? DONE : complain(USAGE, "--from is the number of an operation, not '%s'", number);
}

static int read_words(conversion *c, int count, char **words, const char **ret_form,
                      const char **ret_output)
{
    static const char *const options[] = {"--to", "-o", "--value", "--from", "--help", NULL};
    int status = DONE;
    for (int at = 1; at < count && status == DONE; at++) {
        const char *value;
        if ((value = option_value(count, words, &at, "--to")) != NULL) {
            *ret_form = value;
        } else if ((value = option_value(count, words, &at, "-o")) != NULL) {
            *ret_output = value;
        } else if ((value = option_value(count, words, &at, "--value")) != NULL) {
            c->value = value;
        } else if ((value = option_value(count, words, &at, "--from")) != NULL) {
            status = read_from(c, value);
        } else if (is_option(words[at])) {
            status = refuse_word("option", words[at], options);
        } else if (c->path != NULL) {
            status = complain(USAGE, "one trace at a time, not '%s', too", words[at]);
        } else {
            c->path = words[at];
        }
    }
    return status;
}

/* A trace that can't be read leaves the output as it was; one that can't be converted, nothing. */
static int write_form(conversion *c, int form, const char *output)
{
    static int (*const converters[])(const conversion *) = {convert_massif, convert_folded,
                                                            convert_pprof, convert_ops};
    trace *readable = open_trace(c->path);
    if (readable == NULL) {
        return BAD_INPUT;
    }
    trace_close(readable);
    c->to = open_output(output);
    if (c->to == NULL) {
        return CANNOT_RUN;
    }
    int status = converters[form](c), written = end_output(c->to, output);
    if (status != DONE && output != NULL) {
        (void)unlink(output);
    }
    return status != DONE ? status : written;
}

int run_convert(int count, char **words)
{
    conversion c = {.value = values[0], .from = 1};
    const char *form = NULL, *output = NULL;
    int status = read_words(&c, count, words, &form, &output);
    if (status != DONE) {
        return status;
    }
    if (c.path == NULL || form == NULL) {
        return complain(USAGE, "fief convert TRACE --to massif|folded|pprof|ops");
    }
    if (index_of(c.value, values) < 0) {
        return refuse_word("value", c.value, values);
    }
    int which = index_of(form, forms);
    return which >= 0 ? write_form(&c, which, output) : refuse_word("form", form, forms);
}
