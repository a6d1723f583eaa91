/* page_data: the figures of a page's charts, as JSON. Its names are those that page/page.js
 * reads. */
#include "page.h"

#include <stddef.h>

static const char *const grouping_names[GROUPINGS] = {"strategy", "kind", "site"};

void put_script_json(FILE *to, const char *text)
{
    fputc('"', to);
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < ' ' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' || c == 127) {
            fprintf(to, "\\u%04x", c);
        } else {
            fputc(c, to);
        }
    }
    fputc('"', to);
}

static void put_count(FILE *to, size_t index, uint64_t value)
{
    fprintf(to, "%s%llu", index > 0 ? "," : "", (unsigned long long)value);
}

static void put_moments(FILE *to, const survey *s)
{
    static const size_t fields[] = {offsetof(moment, operation), offsetof(moment, time),
                                    offsetof(moment, bytes), offsetof(moment, held)};
    static const char *const names[] = {"operation", "time", "bytes", "held"};
    fputs("\"moments\":{", to);
    for (size_t f = 0; f < sizeof fields / sizeof *fields; f++) {
        fprintf(to, "%s\"%s\":[", f > 0 ? "," : "", names[f]);
        for (size_t i = 0; i < s->moment_count; i++) {
            put_count(to, i,
                      *(const uint64_t *)(const void *)((const char *)&s->moments[i] + fields[f]));
        }
        fputs("]", to);
    }
    fputs("},\n", to);
}

static void put_groupings(FILE *to, const survey *s)
{
    fputs("\"groupings\":[", to);
    for (int g = 0; g < GROUPINGS; g++) {
        fprintf(to, "%s{\"name\":\"%s\",\"series\":[", g > 0 ? ",\n" : "", grouping_names[g]);
        for (unsigned i = 0; i < s->series_count[g]; i++) {
            fputs(i > 0 ? "," : "", to);
            put_script_json(to, s->series[g][i]);
        }
        fputs("],\"values\":[", to);
        for (unsigned i = 0; i < s->series_count[g]; i++) {
            fputs(i > 0 ? ",[" : "[", to);
            for (size_t m = 0; m < s->moment_count; m++) {
                put_count(to, m, s->moments[m].by[g][i]);
            }
            fputs("]", to);
        }
        fputs("]}", to);
    }
    fputs("],\n", to);
}

/* A letter, and how often where it is more than once. */
static void put_packed(FILE *to, const char *letters)
{
    fputc('"', to);
    while (*letters != '\0') {
        size_t count = 1;
        while (letters[count] == *letters) {
            count++;
        }
        fputc(*letters, to);
        if (count > 1) {
            fprintf(to, "%zu", count);
        }
        letters += count;
    }
    fputc('"', to);
}

static void put_map(FILE *to, const survey *s)
{
    fprintf(to, "\"map\":{\"rows\":%u,\"columns\":[", pagemap_rows(s->pages));
    for (int g = 0; g < GROUPINGS; g++) {
        fputs(g > 0 ? ",\n[" : "[", to);
        for (int i = 0; i < COLUMNS; i++) {
            fputs(i > 0 ? "," : "", to);
            put_packed(to, s->columns[g][i]);
        }
        fputs("]", to);
    }
    fputs("]},\n", to);
}

static void put_ages(FILE *to, const survey *s)
{
    size_t count = 0;
    fputs("\"ages\":[", to);
    for (size_t slice = 0; slice < s->slices; slice++) {
        for (unsigned size = 0; size < SIZES; size++) {
            for (unsigned age = 0; age <= ALIVE; age++) {
                const cell *c = &s->ages[slice][size][age];
                if (c->blocks > 0) {
                    fprintf(to, "%s[%zu,%u,%u,%llu,%llu]", count++ > 0 ? "," : "", slice, size, age,
                            (unsigned long long)c->blocks, (unsigned long long)c->bytes);
                }
            }
        }
    }
    fputs("],\n", to);
}

static void put_units(FILE *to, const survey *s)
{
    fputs("\"units\":[", to);
    for (size_t i = 0; i < s->unit_count && i < UNITS_DRAWN; i++) {
        const unit_lane *u = &s->units[i];
        uint64_t ended = u->open ? s->operations : u->ended;
        fprintf(to, "%s{\"number\":%zu,\"name\":", i > 0 ? ",\n" : "", i + 1);
        put_script_json(to, u->name);
        fprintf(to, ",\"began\":%llu,\"ended\":%llu,\"died\":%llu,\"bytes\":%llu,\"escaped\":%llu}",
                (unsigned long long)u->began, (unsigned long long)ended,
                (unsigned long long)u->died, (unsigned long long)u->bytes,
                (unsigned long long)u->escaped);
    }
    fputs("],\n\"remarks\":[", to);
    for (size_t i = 0; i < s->remark_count && i < REMARKS_DRAWN; i++) {
        const remark *r = &s->remarks[i];
        const char *what = r->type == TRACE_MARK    ? "mark"
                           : r->type == TRACE_RESET ? "reset"
                                                    : "close";
        fprintf(to, "%s[%llu,\"%s\",", i > 0 ? "," : "", (unsigned long long)r->operation, what);
        put_script_json(to, r->text);
        fputs("]", to);
    }
    fputs("],\n", to);
}

static int share_text(char *buffer, size_t size, const share *of)
{
    return snprintf(buffer, size, ",[%u,%u,%llu,%llu]", of->place, of->slice,
                    (unsigned long long)of->blocks, (unsigned long long)of->bytes);
}

void page_share_sizes(const survey *s, uint32_t *sizes)
{
    char text[100];
    for (size_t i = 0; i < s->share_count; i++) {
        sizes[s->shares[i].place] += (uint32_t)share_text(text, sizeof text, &s->shares[i]);
    }
}

static void put_shares(FILE *to, const survey *s, uint32_t sites)
{
    char text[100];
    size_t count = 0;
    fputs("\"shares\":[", to);
    for (size_t i = 0; i < s->share_count; i++) {
        if (s->shares[i].place < sites) {
            (void)share_text(text, sizeof text, &s->shares[i]);
            fputs(text + (count++ == 0), to);
        }
    }
    fputs("]}", to);
}

void page_data(FILE *to, const survey *s, uint32_t sites)
{
    bool has_kinds = s->series_count[BY_KIND] > 1;
    fputs("{\"schema\":\"fief-report/1\",\"file\":", to);
    put_script_json(to, s->path);
    fprintf(to,
            ",\"operations\":%llu,\"time_us\":%llu,\"slice_moments\":%d,\"page_bytes\":%d,"
            "\"alive\":%d,\"first\":%d,\n",
            (unsigned long long)s->operations, (unsigned long long)s->time, SLICE_MOMENTS,
            1 << PAGE_BITS, ALIVE, has_kinds ? BY_KIND : BY_SITE);
    put_moments(to, s);
    put_groupings(to, s);
    put_map(to, s);
    put_ages(to, s);
    put_units(to, s);
    put_shares(to, s, sites);
}
