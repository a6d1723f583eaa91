/* show: a trace's figures and its largest sites; JSON of the library as people read it. */
#include "tally.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#ifdef HAVE_JANSSON
#include <jansson.h>
#endif

enum { SITES_SHOWN = 20, SITE_TEXT = 300, SITE_COLUMN = 44 };

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

static void show_sites(const tally *y, const trace *t, const symbols *s)
{
    size_t count;
    uint32_t *order = tally_order(y, &count);
    if (order == NULL || count == 0) {
        free(order);
        return;
    }
    printf("\n%s%-*s %12s %11s %11s%s\n", paint("1"), SITE_COLUMN, "site", "blocks", "bytes",
           "left", paint("0"));
    for (size_t i = 0; i < count && i < SITES_SHOWN; i++) {
        const site_tally *of = &y->sites[order[i]];
        char text[SITE_TEXT];
        symbol_site(s, trace_site_at(t, order[i]), text, sizeof text);
        printf("%-*s %12s %11s %11s\n", SITE_COLUMN, text, grouped(of->blocks),
               bytes_text(of->bytes), bytes_text(of->live));
    }
    if (count > SITES_SHOWN) {
        printf("%zu more\n", count - SITES_SHOWN);
    }
    uint64_t all = y->events[TRACE_ALLOC];
    const char *depth = trace_info(t, "depth");
    if (all > 1000 && y->sites[order[0]].blocks > all / 10 * 9 && depth != NULL &&
        strcmp(depth, "1") == 0) {
        hint("One site makes most blocks: fief record --depth 8 tells its callers apart.");
    }
    free(order);
}

static void json_trace(const char *path, const trace *t, const tally *y, const symbols *s)
{
    size_t count;
    uint32_t *order = tally_order(y, &count);
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
    for (size_t i = 0; order != NULL && i < count; i++) {
        const site_tally *of = &y->sites[order[i]];
        char text[SITE_TEXT];
        symbol_site(s, trace_site_at(t, order[i]), text, sizeof text);
        printf("%s{\"site\":", i > 0 ? "," : "");
        put_json(stdout, text);
        printf(",\"blocks\":%llu,\"bytes\":%llu,\"left_bytes\":%llu}",
               (unsigned long long)of->blocks, (unsigned long long)of->bytes,
               (unsigned long long)of->live);
    }
    printf("]}\n");
    free(order);
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
    int status = DONE;
    if (s == NULL) {
        status = complain(CANNOT_RUN, "there is no memory");
    } else if (trace_operations(t) == 0) {
        status = complain(BAD_INPUT, "%s: has no operations", path);
    } else if (fief_tool.json) {
        json_trace(path, t, &y, s);
    } else {
        show_head(path, t, &y);
        show_sites(&y, t, s);
    }
    if (status == DONE && trace_cut(t) != NULL) {
        hint("fief show: %s", trace_cut(t));
    }
    if (status == DONE && symbols_hint() != NULL) {
        hint("fief show: %s", symbols_hint());
    }
    symbols_free(s);
    tally_free(&y);
    trace_close(t);
    return status == DONE ? end_output(stdout, NULL) : status;
}

/* ---- JSON ---- */

#ifdef HAVE_JANSSON

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

static void show_source(const char *file, long long line)
{
    char text[400];
    FILE *source = line > 0 ? fopen(file, "re") : NULL;
    for (long long at = 1; source != NULL && fgets(text, sizeof text, source) != NULL; at++) {
        if (at == line) {
            text[strcspn(text, "\n")] = '\0';
            printf("     > %lld | %s\n", line, text + strspn(text, " \t"));
            break;
        }
    }
    if (source != NULL) {
        (void)fclose(source);
    }
}

static void show_frames(const json_t *frames)
{
    size_t index;
    json_t *frame;
    json_array_foreach(frames, index, frame) {
        long long line = json_integer_value(json_object_get(frame, "line"));
        const char *file = text_of(frame, "file");
        printf("    #%zu %s in %s %s", index, text_of(frame, "pc"), text_of(frame, "function"),
               file);
        if (line > 0) {
            printf(":%lld", line);
        }
        printf("\n");
        show_source(file, line);
    }
}

/* Whatever a report has: numbers and words in a line each, what is below indented. */
static void show_value(const char *name, const json_t *value, int depth)
{
    const char *below;
    json_t *part;
    size_t index;
    if (json_is_array(value) && strcmp(name, "frames") == 0) {
        show_frames(value);
    } else if (json_is_object(value)) {
        printf("%*s%s%s%s\n", depth * 2, "", paint("1"), name, paint("0"));
        json_object_foreach((json_t *)(uintptr_t)value, below, part) {
            show_value(below, part, depth + 1);
        }
    } else if (json_is_array(value)) {
        json_array_foreach(value, index, part) {
            show_value(name, part, depth);
        }
    } else if (!json_is_null(value)) {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
        bool is_help = strcmp(name, "help") == 0;
        printf("%*s%s%s%s: %s\n", depth * 2, "", is_help ? paint("36") : "", name,
               is_help ? paint("0") : "",
               json_is_string(value) ? json_string_value(value) : text != NULL ? text : "");
        free(text);
    }
}

static void show_misuse(const json_t *report)
{
    const char *name;
    json_t *value;
    printf("%smisuse[%s]%s: %s\n", paint("1;31"), text_of(report, "class"), paint("0"),
           text_of(report, "text"));
    json_object_foreach((json_t *)(uintptr_t)report, name, value) {
        if (strcmp(name, "schema") != 0 && strcmp(name, "class") != 0 &&
            strcmp(name, "text") != 0) {
            show_value(name, value, 1);
        }
    }
}

static void put_count(const json_t *row, const char *name, int width, bool is_bytes)
{
    const json_t *value = json_object_get(row, name);
    uint64_t number = (uint64_t)json_integer_value(value);
    printf(" %*s", width,
           !json_is_integer(value) ? "-"
           : is_bytes              ? bytes_text(number)
                                   : grouped(number));
}

static void show_rows(const char *title, const json_t *rows)
{
    const char *name;
    json_t *row;
    printf("%s%-16s %10s %10s %10s %10s %8s%s\n", paint("1"), title, "blocks", "now", "peak",
           "total", "resets", paint("0"));
    json_object_foreach((json_t *)(uintptr_t)rows, name, row) {
        bool idle = json_integer_value(json_object_get(row, "peak_bytes")) == 0 &&
                    json_is_integer(json_object_get(row, "peak_bytes"));
        if (!idle) {
            printf("%-16s", name);
            put_count(row, "blocks", 10, false);
            put_count(row, "used_bytes", 10, true);
            put_count(row, "peak_bytes", 10, true);
            put_count(row, "total_bytes", 10, true);
            put_count(row, "resets", 8, false);
            printf("\n");
        }
    }
}

static void show_stats(const json_t *stats)
{
    printf("%s%s%s: %s held from the OS, %s peak, %s units\n", paint("1"),
           text_of(stats, "runtime"), paint("0"),
           bytes_text((uint64_t)json_integer_value(json_object_get(stats, "held_bytes"))),
           bytes_text((uint64_t)json_integer_value(json_object_get(stats, "held_peak_bytes"))),
           grouped((uint64_t)json_integer_value(json_object_get(stats, "units"))));
    show_rows("strategy", json_object_get(stats, "strategies"));
    show_rows("kind", json_object_get(stats, "kinds"));
    printf("- = not counted in this mode (.count_blocks)\n");
}

static int show_object(const char *path, const json_t *object)
{
    const char *schema = text_of(object, "schema");
    if (strcmp(schema, "fief-misuse/1") == 0) {
        show_misuse(object);
    } else if (strcmp(schema, "fief-stats/1") == 0) {
        show_stats(object);
    } else {
        return complain(BAD_INPUT, "%s: its schema is '%.60s', not fief-misuse/1 or fief-stats/1",
                        path, schema);
    }
    return DONE;
}

static int show_json(const char *path)
{
    FILE *file = fopen(path, "re");
    json_error_t error;
    int status = DONE;
    size_t shown = 0;
    while (file != NULL && status == DONE) {
        int next = fgetc(file);
        if (next == EOF) {
            break;
        }
        if (isspace(next)) {
            continue;
        }
        (void)ungetc(next, file);
        json_t *object = json_loadf(file, JSON_DISABLE_EOF_CHECK, &error);
        if (object == NULL || !json_is_object(object)) {
            status = complain(BAD_INPUT, "%s: is neither a trace nor JSON: %s", path,
                              object == NULL ? error.text : "no object");
        } else {
            printf("%s", shown++ > 0 ? "\n" : "");
            status = show_object(path, object);
        }
        json_decref(object);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    if (status == DONE && shown == 0) {
        return complain(BAD_INPUT, "%s: is empty", path);
    }
    return status == DONE ? end_output(stdout, NULL) : status;
}

#else

static int show_json(const char *path)
{
    return complain(CANNOT_RUN,
                    "%s: is no trace, and this fief was built without jansson, which reads "
                    "JSON (Debian: libjansson-dev)",
                    path);
}

#endif

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
