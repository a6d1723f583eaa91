/* folded: a line a stack, outermost frame first, for flame graphs. */
#include "convert.h"

#include <stdlib.h>

enum { LINE = 400 };

/* ';' parts frames, and the last space the value. */
static void put_name(FILE *to, const site_text *text)
{
    char name[LINE];
    if (text->function[0] != '\0') {
        (void)snprintf(name, sizeof name, "%s", text->function);
    } else {
        symbol_text(text, name, sizeof name);
    }
    for (char *at = name; *at != '\0'; at++) {
        *at = *at == ';' ? ',' : *at == ' ' ? '_' : *at;
    }
    fputs(name, to);
}

static void put_stack(FILE *to, const symbols *s, const trace_site *site)
{
    if (site == NULL || site->count == 0) {
        fputs(site != NULL && site->text[0] != '\0' ? site->text : "(unknown)", to);
        return;
    }
    for (uint32_t i = site->count; i-- > 0;) {
        size_t count;
        const site_text *texts = symbols_of(s, site->frames[i], &count);
        for (size_t j = count; j-- > 0;) {
            put_name(to, &texts[j]);
            fputs(i + j > 0 ? ";" : "", to);
        }
    }
}

static uint64_t value_of(const site_tally *s, const char *value)
{
    switch (value[0]) {
    case 'a': return s->bytes;
    case 'b': return s->blocks;
    default: return s->live;
    }
}

int convert_folded(const conversion *c)
{
    int status;
    tally y;
    trace *t = tally_for(c, &y, strcmp(c->value, "peak") == 0, &status);
    if (t == NULL) {
        return status;
    }
    symbols *s = symbols_find(t);
    for (uint32_t i = 0; s != NULL && i < y.room; i++) {
        uint64_t value = value_of(&y.sites[i], c->value);
        if (value > 0) {
            put_stack(c->to, s, trace_site_at(t, i));
            fprintf(c->to, " %llu\n", (unsigned long long)value);
        }
    }
    status = s != NULL ? DONE : complain(CANNOT_RUN, "there is no memory");
    symbols_free(s);
    tally_free(&y);
    trace_close(t);
    return status;
}
