/* fief: one program, a command a file. A result goes to stdout; progress (to a terminal alone),
 * hints and what went wrong go to stderr. What goes wrong is one line. */
#ifndef FIEF_TOOL_H
#define FIEF_TOOL_H

#include "symbols.h"
#include "trace.h"

#include <stdio.h>

enum { DONE = 0, FOUND = 1, USAGE = 2, BAD_INPUT = 3, CANNOT_RUN = 4, INTERRUPTED = 130 };

typedef struct tool {
    bool color, json, quiet, progress;
    const char *command; /* for the lines */
} tool;
extern tool fief_tool;

typedef struct command {
    const char *name, *arguments, *summary, *help;
    int (*run)(int count, char **words); /* words[0] is the command */
} command;

int run_record(int count, char **words);
int run_advise(int count, char **words);
int run_report(int count, char **words);
int run_replay(int count, char **words);
int run_convert(int count, char **words);
int run_show(int count, char **words);
int run_explain(int count, char **words);

/* Of `show`: a file that is no trace. The status. */
int show_json(const char *path);

/* "fief COMMAND: ...", on stderr; the status comes back. */
int complain(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A line for whoever goes on; not with -q. */
void hint(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The nearest of a list that ends in NULL, at most two edits away; or NULL. */
const char *nearest(const char *word, const char *const *list);
/* A usage error about a word, with the nearest of the list. */
int refuse_word(const char *what, const char *word, const char *const *list);
/* The words behind an option: -o FILE, --out FILE, --out=FILE. NULL: it is not this one. */
const char *option_value(int count, char **words, int *at, const char *name);
bool is_option(const char *word);
/* The trace, or NULL: said why not. */
trace *open_trace(const char *path);
/* While a trace is read: a line that is drawn again, on a terminal. */
void show_progress(const trace *t, const char *what);
void end_progress(void);
/* "1,204,112", "41.2 MiB": in one of a few buffers, in turn. */
const char *grouped(uint64_t number);
const char *bytes_text(uint64_t bytes);
/* Of a text longer than that, its end: a file and line say more than what is before them. */
const char *end_of(const char *text, size_t most);
/* A JSON string, with its quotes. */
void put_json(FILE *to, const char *text);
/* The escape where colour is on: "1" bold, "31" red, "36" cyan, "2" dim, "0" ends. */
const char *paint(const char *code);
/* After writing: could all of it be written? The status. */
int end_output(FILE *to, const char *path);
FILE *open_output(const char *path);
/* What could not be written to its end; a device stays. */
void remove_output(const char *path);

#endif
