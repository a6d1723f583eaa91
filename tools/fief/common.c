/* common: what the commands say, and how. */
#include "tool.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

tool fief_tool;

int complain(int status, const char *format, ...)
{
    va_list args;
    end_progress();
    fprintf(stderr, "fief%s%s: ", fief_tool.command != NULL ? " " : "",
            fief_tool.command != NULL ? fief_tool.command : "");
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return status;
}

void hint(const char *format, ...)
{
    va_list args;
    if (fief_tool.quiet) {
        return;
    }
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

/* Levenshtein's distance, one row at a time. */
static size_t distance(const char *from, const char *to)
{
    enum { LONGEST = 40 };
    size_t row[LONGEST + 1], length = strlen(to);
    if (length > LONGEST || strlen(from) > LONGEST) {
        return LONGEST;
    }
    for (size_t j = 0; j <= length; j++) {
        row[j] = j;
    }
    for (size_t i = 1; from[i - 1] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= length; j++) {
            size_t change = diagonal + (from[i - 1] != to[j - 1]);
            size_t least = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            diagonal = row[j];
            row[j] = change < least ? change : least;
        }
    }
    return row[length];
}

const char *nearest(const char *word, const char *const *list)
{
    const char *best = NULL;
    size_t least = 3;
    for (; *list != NULL; list++) {
        size_t edits = distance(word, *list);
        if (edits < least && edits < strlen(word)) {
            best = *list;
            least = edits;
        }
    }
    return best;
}

int refuse_word(const char *what, const char *word, const char *const *list)
{
    const char *near = nearest(word, list);
    const char *of = fief_tool.command != NULL ? fief_tool.command : "";
    return complain(USAGE, "unknown %s '%s'%s%s%s (fief %s%s--help)", what, word,
                    near != NULL ? ", did you mean '" : "", near != NULL ? near : "",
                    near != NULL ? "'?" : "", of, of[0] != '\0' ? " " : "");
}

bool is_option(const char *word)
{
    return word[0] == '-' && word[1] != '\0';
}

const char *option_value(int count, char **words, int *at, const char *name)
{
    const char *word = words[*at];
    size_t length = strlen(name);
    if (strcmp(word, name) == 0 && *at + 1 < count) {
        return words[++*at];
    }
    return strncmp(word, name, length) == 0 && word[length] == '=' && length > 2 ? word + length + 1
                                                                                 : NULL;
}

trace *open_trace(const char *path)
{
    char error[400];
    trace *t = trace_open(path, error, sizeof error);
    if (t == NULL) {
        (void)complain(BAD_INPUT, "%s", error);
    }
    return t;
}

static bool drawn;

void show_progress(const trace *t, const char *what)
{
    static uint64_t last;
    uint64_t now = trace_file_read(t) / 65536;
    if (fief_tool.progress && now != last) {
        last = now;
        fprintf(stderr, "\r%s %3.0f %%  %s operations", what,
                100.0 * (double)trace_file_read(t) / (double)(trace_file_size(t) + 1),
                grouped(trace_operations(t)));
        drawn = true;
    }
}

void end_progress(void)
{
    if (drawn) {
        fputs("\r\033[K", stderr);
        drawn = false;
    }
}

enum { TEXTS = 16, TEXT = 40 };

static char *next_text(void)
{
    static char texts[TEXTS][TEXT];
    static unsigned next;
    return texts[next++ % TEXTS];
}

const char *grouped(uint64_t number)
{
    char digits[TEXT], *text = next_text(), *to = text;
    int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) {
            *to++ = ',';
        }
        *to++ = digits[i];
    }
    *to = '\0';
    return text;
}

const char *bytes_text(uint64_t bytes)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double amount = (double)bytes;
    size_t unit = 0;
    for (; amount >= 1024 && unit < 4; unit++) {
        amount /= 1024;
    }
    char *text = next_text();
    (void)snprintf(text, TEXT, unit == 0 ? "%.0f %s" : "%.1f %s", amount, units[unit]);
    return text;
}

const char *end_of(const char *text, size_t most)
{
    static char room[TEXT * 4];
    size_t length = strlen(text);
    if (length <= most || most >= sizeof room) {
        return text;
    }
    (void)snprintf(room, sizeof room, "..%s", text + length - (most - 2));
    return room;
}

void put_json(FILE *to, const char *text)
{
    fputc('"', to);
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            fprintf(to, "\\%c", c);
        } else if (c < ' ') {
            fprintf(to, "\\u%04x", c);
        } else {
            fputc(c, to);
        }
    }
    fputc('"', to);
}

const char *paint(const char *code)
{
    char *text = next_text();
    (void)snprintf(text, TEXT, "%s%s%s", fief_tool.color ? "\033[" : "",
                   fief_tool.color ? code : "", fief_tool.color ? "m" : "");
    return text;
}

FILE *open_output(const char *path)
{
    FILE *to = path == NULL || strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
    if (to == NULL) {
        (void)complain(CANNOT_RUN, "%s: cannot be written: %s", path, strerror(errno));
    }
    return to;
}

int end_output(FILE *to, const char *path)
{
    bool failed = ferror(to) != 0 || fflush(to) != 0;
    int why = errno;
    failed = (to != stdout && fclose(to) != 0) || failed;
    return failed ? complain(CANNOT_RUN, "%s: cannot be written: %s",
                             path != NULL ? path : "stdout", strerror(why))
                  : DONE;
}

void remove_output(const char *path)
{
    struct stat is;
    if (path != NULL && lstat(path, &is) == 0 && S_ISREG(is.st_mode)) {
        (void)unlink(path);
    }
}
