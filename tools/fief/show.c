/* show: a trace's figures and its largest sites. What is no trace is JSON: show_json.c. */
#include "places.h"
#include "tally.h"

#include <errno.h>
#include <stdlib.h>

enum { SITES_SHOWN = 20, SITE_TEXT = 300, SITE_COLUMN = 41 };

/* ---- a trace ---- */

static void show_head(const char *path, const trace *t, const tally *y)
{
    double seconds = (double)trace_time(t) / 1e6;
    printf("%s%s%s: %s operations, %s peak, %s sites, %.*f s\n", paint("1"), path, paint("0"),
           grouped(trace_operations(t)), bytes_text(y->peak_bytes), grouped(trace_sites(t)),
           seconds < 1 ? 3 : 1, seconds);
    const char *value, *name;
    for (uint32_t i = 0; (name = trace_info_at(t, i, &value)) != NULL; i++) {
        if (strcmp(name, "producer") != 0 && strcmp(name, "pid") != 0) {
            printf("  %-10s%.200s\n", name, value);
        }
    }
    printf("  made      %s blocks, %s\n", grouped(y->events[TRACE_ALLOC]), bytes_text(y->bytes));
    printf("  freed     %s, resized %s, refused %s\n",
           grouped(y->events[TRACE_FREE] + y->events[TRACE_DIES]), grouped(y->events[TRACE_RESIZE]),
           grouped(y->events[TRACE_REFUSED]));
    printf("  left      %s blocks, %s\n", grouped(trace_live_blocks(t)),
           bytes_text(trace_live_bytes(t)));
    if (y->unit_count > 0) {
        printf("  units     %s\n", grouped(y->unit_count));
    }
    if (trace_unknown_frees(t) > 0) {
        printf(
            "  unknown   %s blocks were freed or resized that were made before the trace began\n",
            grouped(trace_unknown_frees(t)));
    }
}

/* Sites by name: those that only a helper's callers tell apart have names of their own. */
typedef struct named_sites {
    places *places;
    site_tally *sums; /* by place */
} named_sites;

static bool name_sites(named_sites *ret, const tally *y, const trace *t, const symbols *s)
{
    places *p = places_new();
    *ret = (named_sites){.places = p};
    for (uint32_t i = 0; p != NULL && i < y->room; i++) {
        if (y->sites[i].blocks > 0) {
            uint32_t pair = places_pair(p, i, 0);
            if (pair == PLACES_NONE) {
                return false;
            }
            places_count(p, pair, (int64_t)y->sites[i].bytes, y->sites[i].blocks);
        }
    }
    if (p == NULL || !places_name(p, t, s, false)) {
        return false;
    }
    ret->sums = calloc((size_t)places_total(p) + 1, sizeof *ret->sums);
    for (uint32_t i = 0; ret->sums != NULL && i < y->room; i++) {
        if (y->sites[i].blocks > 0) {
            site_tally *sum = &ret->sums[places_of(p, places_pair(p, i, 0))];
            sum->blocks += y->sites[i].blocks;
            sum->bytes += y->sites[i].bytes;
            sum->live += y->sites[i].live;
        }
    }
    return ret->sums != NULL;
}

static void forget_names(const named_sites *n)
{
    places_free(n->places);
    free(n->sums);
}

static void show_sites(const named_sites *n, const tally *y, const trace *t)
{
    uint32_t count = places_total(n->places);
    if (count == 0) {
        return;
    }
    printf("\n%s%-*s %12s %11s %11s%s\n", paint("1"), SITE_COLUMN, "site", "blocks", "bytes",
           "left", paint("0"));
    for (uint32_t i = 0; i < count && i < SITES_SHOWN; i++) {
        char text[SITE_TEXT];
        place_text(places_at(n->places, i), text, sizeof text);
        printf("%-*s %12s %11s %11s\n", SITE_COLUMN, end_of(text, SITE_COLUMN),
               grouped(n->sums[i].blocks), bytes_text(n->sums[i].bytes),
               bytes_text(n->sums[i].live));
    }
    if (count > SITES_SHOWN) {
        printf("%u more\n", count - SITES_SHOWN);
    }
    uint64_t all = y->events[TRACE_ALLOC];
    const char *depth = trace_info(t, "depth");
    if (all > 1000 && n->sums[0].blocks > all / 10 * 9 && depth != NULL &&
        strcmp(depth, "1") == 0) {
        hint("One site makes most blocks: fief record --depth 8 tells its callers apart.");
    }
}

static void json_trace(const char *path, const trace *t, const tally *y, const named_sites *n)
{
    printf("{\"schema\":\"fief-trace-summary/1\",\"file\":");
    put_json(stdout, path);
    printf(",\"operations\":%llu,\"peak_bytes\":%llu,\"blocks\":%llu,\"bytes\":%llu,"
           "\"left_blocks\":%llu,\"left_bytes\":%llu,\"time_us\":%llu,\"file_bytes\":%llu,"
           "\"unknown_frees\":%llu,\"cut\":%s,\"sites\":[",
           (unsigned long long)trace_operations(t), (unsigned long long)y->peak_bytes,
           (unsigned long long)y->events[TRACE_ALLOC], (unsigned long long)y->bytes,
           (unsigned long long)trace_live_blocks(t), (unsigned long long)trace_live_bytes(t),
           (unsigned long long)trace_time(t), (unsigned long long)trace_file_size(t),
           (unsigned long long)trace_unknown_frees(t), trace_cut(t) != NULL ? "true" : "false");
    for (uint32_t i = 0; i < places_total(n->places); i++) {
        char text[SITE_TEXT];
        place_text(places_at(n->places, i), text, sizeof text);
        printf("%s{\"site\":", i > 0 ? "," : "");
        put_json(stdout, text);
        printf(",\"blocks\":%llu,\"bytes\":%llu,\"left_bytes\":%llu}",
               (unsigned long long)n->sums[i].blocks, (unsigned long long)n->sums[i].bytes,
               (unsigned long long)n->sums[i].live);
    }
    printf("]}\n");
}

static int show_trace(const char *path)
{
    trace *t = open_trace(path);
    tally y = {0};
    if (t == NULL) {
        return BAD_INPUT;
    }
    bool read = tally_trace(&y, t);
    symbols *s = read ? symbols_find(t) : NULL;
    named_sites named = {NULL, NULL};
    int status = DONE;
    if (s == NULL || !name_sites(&named, &y, t, s)) {
        status = complain(CANNOT_RUN, "there is no memory");
    } else if (trace_operations(t) == 0) {
        status = complain(BAD_INPUT, "%s: has no operations", path);
    } else if (fief_tool.json) {
        json_trace(path, t, &y, &named);
    } else {
        show_head(path, t, &y);
        show_sites(&named, &y, t);
    }
    if (status == DONE && trace_cut(t) != NULL) {
        hint("fief show: %s", trace_cut(t));
    }
    if (status == DONE && symbols_hint() != NULL) {
        hint("fief show: %s", symbols_hint());
    }
    forget_names(&named);
    symbols_free(s);
    tally_free(&y);
    trace_close(t);
    return status == DONE ? end_output(stdout, NULL) : status;
}

int run_show(int count, char **words)
{
    static const char *const options[] = {"--help", NULL};
    char magic[8] = "";
    if (count >= 2 && is_option(words[1])) {
        return refuse_word("option", words[1], options);
    }
    if (count != 2) {
        return complain(USAGE, "which file? (fief show FILE)");
    }
    FILE *file = fopen(words[1], "re");
    size_t got = file != NULL ? fread(magic, 1, sizeof magic, file) : 0;
    int why = errno;
    bool failed = file == NULL || ferror(file) != 0;
    if (file != NULL) {
        (void)fclose(file);
    }
    if (failed) {
        return complain(BAD_INPUT, "%s: %s", words[1], strerror(why));
    }
    bool is_trace = got == sizeof magic && memcmp(magic, TRACE_MAGIC, 8) == 0;
    return is_trace ? show_trace(words[1]) : show_json(words[1]);
}
