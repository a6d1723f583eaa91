/* convert: chooses the form. */
#include "convert.h"

#include <stdlib.h>

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

static int convert(conversion *c, const char *output, int (*converter)(const conversion *))
{
    trace *readable = open_trace(c->path);
    if (readable == NULL) {
        return BAD_INPUT;
    }
    trace_close(readable);
    c->to = open_output(output);
    if (c->to == NULL) {
        return CANNOT_RUN;
    }
    int status = converter(c), written = end_output(c->to, output);
    if (status != DONE) {
        remove_output(output);
    }
    return status != DONE ? status : written;
}

static int convert_to(conversion *c, const char *form, const char *output)
{
    static const char *const values[] = {"allocated", "blocks", "peak", "left", NULL};
    static int (*const converters[])(const conversion *) = {convert_massif, convert_folded,
                                                            convert_pprof, convert_ops};
    bool has_value = false;
    if (c->path == NULL || form == NULL) {
        return complain(USAGE, "fief convert TRACE --to massif|folded|pprof|ops");
    }
    for (int i = 0; values[i] != NULL; i++) {
        has_value = has_value || strcmp(values[i], c->value) == 0;
    }
    if (!has_value) {
        return refuse_word("value", c->value, values);
    }
    for (int i = 0; forms[i] != NULL; i++) {
        if (strcmp(forms[i], form) == 0) {
            return convert(c, output, converters[i]);
        }
    }
    return refuse_word("form", form, forms);
}

int run_convert(int count, char **words)
{
    static const char *const options[] = {"--to", "-o", "--value", "--from", "--help", NULL};
    conversion c = {.value = "allocated", .from = 1};
    const char *form = NULL, *output = NULL, *value;
    for (int at = 1; at < count; at++) {
        if ((value = option_value(count, words, &at, "--to")) != NULL) {
            form = value;
        } else if ((value = option_value(count, words, &at, "-o")) != NULL) {
            output = value;
        } else if ((value = option_value(count, words, &at, "--value")) != NULL) {
            c.value = value;
        } else if ((value = option_value(count, words, &at, "--from")) != NULL) {
            char *end;
            c.from = strtoull(value, &end, 10);
            if (*end != '\0' || value[0] == '-') {
                return complain(USAGE, "--from is the number of an operation, not '%s'", value);
            }
        } else if (is_option(words[at])) {
            return refuse_word("option", words[at], options);
        } else if (c.path != NULL) {
            return complain(USAGE, "one trace at a time, not '%s', too", words[at]);
        } else {
            c.path = words[at];
        }
    }
    return convert_to(&c, form, output);
}
