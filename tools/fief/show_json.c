/* show_json: misuse reports and statistics, as the library wrote them in JSON, in the form that it
 * prints itself: with source and colour, which a log file has not. */
#include "tool.h"

#ifdef HAVE_JANSSON

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>

enum { COLUMNS = 79, INDENT = 8, LINE = 400 };

static const json_t *part_of(const json_t *object, const char *name)
{
    const json_t *part = json_object_get(object, name);
    return json_is_object(part) ? part : NULL;
}

/* "": it has none. */
static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

/* 0: it has none. */
static long long number_of(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

/* ---- a misuse report ---- */

static void show_source(const char *file, long long line)
{
    char text[LINE];
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

static void show_place(const json_t *frame)
{
    if (number_of(frame, "line") > 0) {
        printf("%s:%lld", text_of(frame, "file"), number_of(frame, "line"));
    } else {
        printf("(%s+0x%llx)", text_of(frame, "file"),
               (unsigned long long)number_of(frame, "offset"));
    }
}

static const char *function_of(const json_t *frame)
{
    return text_of(frame, "function")[0] != '\0' ? text_of(frame, "function") : "??";
}

/* `unit`: the one at whose end it died, or NULL. */
static void show_site(const char *what, const json_t *site, const json_t *unit)
{
    const json_t *frames = json_object_get(site, "frames"), *frame;
    size_t index;
    if (json_array_size(frames) == 0 && number_of(site, "operation") == 0) {
        return;
    }
    printf("  %s%s%s", paint("1"), what, paint("0"));
    if (number_of(site, "operation") != 0) {
        printf("  operation %lld", number_of(site, "operation"));
    }
    if (unit != NULL) {
        const char *name = text_of(unit, "name"), *quote = name[0] != '\0' ? "\"" : "";
        printf(", end of unit %lld%s%s%s%s", number_of(unit, "number"), name[0] != '\0' ? " " : "",
               quote, name, quote);
    }
    printf("%s%s\n", text_of(site, "where")[0] != '\0' ? ", " : "", text_of(site, "where"));
    json_array_foreach(frames, index, frame) {
        printf("    #%zu in %s ", index, function_of(frame));
        show_place(frame);
        printf("\n");
        if (index == 0) {
            show_source(text_of(frame, "file"), number_of(frame, "line"));
        }
    }
}

static void show_block(const json_t *report)
{
    const json_t *block = part_of(report, "block");
    const char *address = text_of(report, "address"), *strategy = text_of(block, "strategy");
    if (block == NULL) {
        if (address[0] != '\0') {
            printf("  %s\n", address);
        }
        return;
    }
    long long offset = number_of(block, "offset_bytes"), size = number_of(block, "size_bytes");
    bool before = offset < 0, behind = offset >= size && offset != 0;
    const char *kind = text_of(block, "kind");
    printf("  %s is %lld bytes %s ", address, before ? -offset : behind ? offset - size : offset,
           before ? "before" : behind ? "behind" : "into");
    printf(kind[0] != '\0' ? "'%s', " : "a block of %s", kind);
    printf("%lld bytes, %s, %s\n", size, strategy[0] != '\0' ? strategy : "of the host's buffer",
           json_is_true(json_object_get(block, "alive")) ? "alive" : "dead");
}

static void show_holder(const json_t *holder, const json_t *block)
{
    printf("  '%s' %lld bytes, %s  +%lld -> '%s'\n", text_of(holder, "kind"),
           number_of(holder, "size_bytes"), text_of(holder, "strategy"),
           number_of(holder, "offset_bytes"), text_of(block, "kind"));
    if (number_of(holder, "repeats") > 0) {
        printf("  also: %lld more of this shape (%s+%lld -> %s)\n", number_of(holder, "repeats"),
               text_of(holder, "kind"), number_of(holder, "offset_bytes"), text_of(block, "kind"));
    }
    if (number_of(holder, "others") > 0) {
        printf("  also: %lld of other shapes\n", number_of(holder, "others"));
    }
}

/* In lines of 79 columns. */
static void show_wrapped(const char *label, const char *code, const char *text)
{
    size_t column = 2 + strlen(label);
    printf("  %s%s", paint(code), label);
    for (const char *word = text; *word != '\0';) {
        size_t length = strcspn(word, " ");
        if (column + (word != text) + length > COLUMNS) {
            printf("\n%*s", INDENT, "");
            column = INDENT;
        } else if (word != text) {
            printf(" ");
            column++;
        }
        printf("%.*s", (int)length, word);
        column += length;
        word += length + (word[length] == ' ');
    }
    printf("%s\n", paint("0"));
}

static const char *call_label(const char *access)
{
    bool is_use = strcmp(access, "read") == 0 || strcmp(access, "write") == 0;
    return is_use ? "used at" : strcmp(access, "found") == 0 ? "found at" : "called at";
}

static void show_end(const json_t *report, const json_t *frames)
{
    if (text_of(report, "note")[0] != '\0') {
        show_wrapped("note: ", "0", text_of(report, "note"));
    }
    show_wrapped("help: ", "36", text_of(report, "help"));
    if (number_of(report, "omitted") > 0) {
        printf("  note: %lld frames were left out of the JSON\n", number_of(report, "omitted"));
    }
    printf("  %sruntime \"%s\", thread %lld, %s%s\n", paint("2"), text_of(report, "runtime"),
           number_of(report, "thread"), text_of(report, "mode"), paint("0"));
    printf("SUMMARY: fief: %s", text_of(report, "class"));
    if (json_array_size(frames) > 0) {
        printf(" ");
        show_place(json_array_get(frames, 0));
        printf(" in %s", function_of(json_array_get(frames, 0)));
    }
    printf("\n");
}

static void show_misuse(const json_t *report)
{
    const json_t *sites = part_of(report, "sites"), *holder = part_of(report, "holder");
    const json_t *used = part_of(sites, "used");
    printf("==%lld==fief: misuse[%s%s%s]: %s\n", number_of(report, "thread"), paint("1;31"),
           text_of(report, "class"), paint("0"), text_of(report, "text"));
    show_block(report);
    if (holder != NULL) {
        show_holder(holder, part_of(report, "block"));
    }
    show_site(call_label(text_of(report, "access")), used, NULL);
    show_site("died at", part_of(sites, "died"), part_of(report, "unit"));
    show_site(holder != NULL ? "target allocated at" : "allocated at", part_of(sites, "allocated"),
              NULL);
    show_site("holder allocated at", part_of(sites, "holder_allocated"), NULL);
    show_end(report, json_object_get(used, "frames"));
}

/* ---- statistics ---- */

static void put_count(const json_t *row, const char *name, int width, bool is_bytes)
{
    const json_t *value = json_object_get(row, name);
    uint64_t number = (uint64_t)json_integer_value(value);
    const char *text = is_bytes ? bytes_text(number) : grouped(number);
    printf(" %*s", width, json_is_integer(value) ? text : "-");
}

static void put_waste(const json_t *row)
{
    const json_t *value = json_object_get(row, "waste_basis_points");
    if (json_is_integer(value)) {
        printf(" %5.1f %%", (double)json_integer_value(value) / 100);
    } else {
        printf(" %7s", "-");
    }
}

/* Rows that never had anything are left out. */
static bool is_idle(const json_t *row)
{
    const json_t *peak = json_object_get(row, "peak_bytes");
    return json_is_integer(peak) && json_integer_value(peak) == 0;
}

static void show_rows(const char *title, const json_t *rows)
{
    const char *name;
    json_t *row;
    printf("%s%-16s %10s %10s %10s %10s %7s %7s%s\n", paint("1"), title, "blocks", "now", "peak",
           "total", "waste", "resets", paint("0"));
    json_object_foreach((json_t *)(uintptr_t)rows, name, row) {
        if (!is_idle(row)) {
            printf("%-16s", name);
            put_count(row, "blocks", 10, false);
            put_count(row, "used_bytes", 10, true);
            put_count(row, "peak_bytes", 10, true);
            put_count(row, "total_bytes", 10, true);
            put_waste(row);
            put_count(row, "resets", 7, false);
            printf("\n");
        }
    }
}

static void show_stats(const json_t *stats)
{
    const json_t *strategies = json_object_get(stats, "strategies");
    uint64_t now = 0, refused = 0;
    const char *name;
    json_t *row;
    json_object_foreach((json_t *)(uintptr_t)strategies, name, row) {
        now += (uint64_t)number_of(row, "used_bytes");
        refused += (uint64_t)number_of(row, "refused");
    }
    printf("%s%s%s: %s now, %s held from the OS (peak %s), %s units, %s refused\n", paint("1"),
           text_of(stats, "runtime"), paint("0"), bytes_text(now),
           bytes_text((uint64_t)number_of(stats, "held_bytes")),
           bytes_text((uint64_t)number_of(stats, "held_peak_bytes")),
           grouped((uint64_t)number_of(stats, "units")), grouped(refused));
    show_rows("strategy", strategies);
    show_rows("kind", json_object_get(stats, "kinds"));
    printf("- = not counted in this mode (.count_blocks); waste = used less asked for\n");
}

/* ---- a file ---- */

static int show_object(const char *path, const json_t *object)
{
    const char *schema = text_of(object, "schema");
    if (strcmp(schema, "fief-misuse/1") == 0) {
        show_misuse(object);
    } else if (strcmp(schema, "fief-stats/1") == 0) {
        show_stats(object);
    } else {
        return complain(BAD_INPUT,
                        "%s: its schema is '%.60s', not fief-misuse/1 or fief-stats/1", path,
                        schema);
    }
    return DONE;
}

static int show_next(const char *path, FILE *file, size_t number)
{
    json_error_t error;
    json_t *object = json_loadf(file, JSON_DISABLE_EOF_CHECK, &error);
    int status = DONE;
    if (object == NULL || !json_is_object(object)) {
        status = complain(BAD_INPUT, "%s: is neither a trace nor JSON: %s", path,
                          object == NULL ? error.text : "no object");
    } else {
        printf("%s", number > 0 ? "\n" : "");
        status = show_object(path, object);
    }
    json_decref(object);
    return status;
}

int show_json(const char *path)
{
    FILE *file = fopen(path, "re");
    int status = DONE, next;
    size_t shown = 0;
    while (file != NULL && status == DONE && (next = fgetc(file)) != EOF) {
        if (!isspace(next)) {
            (void)ungetc(next, file);
            status = show_next(path, file, shown++);
        }
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

int show_json(const char *path)
{
    return complain(CANNOT_RUN,
                    "%s: is no trace, and this fief was built without jansson, which reads JSON "
                    "(Debian: libjansson-dev)",
                    path);
}

#endif
