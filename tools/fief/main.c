/* main: the commands' table, and what they have in common: help, colour, JSON, quiet. */
#include "tool.h"

#include <fief/base.h>
#include <stdlib.h>
#include <unistd.h>

static const command commands[] = {
    {"record", "[-o FILE] [--depth N] [--] PROGRAM [ARGS...]",
     "run a program and write its allocations",
     "  -o FILE      the trace; without it, PROGRAM.trace\n"
     "  --depth N    frames of each call, 1 to 16 (1). More tell the callers of a wrapper apart;\n"
     "               by libunwind where it is installed, else by frame pointers\n"
     "  --raw        leave the blocks uncompressed\n"
     "A fork's child, and what is started in its place, write FILE.PID. The program's status is\n"
     "passed through, and 128 and the signal's number where it was killed.\n",
     run_record},
    {"advise", "TRACE [--why SITE] [--emit FILE] [--rounds N]",
     "propose a strategy for each site, proven by replay",
     "  --why SITE   what stands against each strategy there; SITE is a part of its name\n"
     "  --emit FILE  the proven ones as a table of kinds in C\n"
     "  --rounds N   replays of each proposal at least, 1 to 15 (5); the fastest counts.\n"
     "               0: only check them\n"
     "Every block's bytes and lifetime are checked in a replay before a proposal is timed; one\n"
     "that a block outlives is never advised. Traces with kinds are advised by kind and context.\n",
     run_advise},
    {"report", "TRACE [-o FILE] [--baseline OLD] [--no-advice]", "one HTML page",
     "  -o FILE         the page (report.html)\n"
     "  --baseline OLD  an older trace: what changed since\n"
     "  --no-advice     replay nothing\n"
     "--json: the figures of its charts, to stdout or FILE.\n"
     "The page is one file that needs no network, and shows its tables without scripts, too.\n",
     run_report},
    {"replay", "TRACE [--allocator NAME,...] [--rounds N]", "time the trace on an allocator",
     "  --allocator  fief, libc, mimalloc, jemalloc, tcmalloc, or all (fief,libc)\n"
     "  --rounds N   each in turn, N times (5); the median counts\n"
     "Each round is a process of its own. Blocks are written to in full, as long as they were\n"
     "asked for. Time is the process's own, on the processor; peak is what it held at most, less\n"
     "what it held at first.\n",
     run_replay},
    {"convert", "TRACE --to FORM [-o FILE]", "massif, folded, pprof, ops",
     "  --to massif  for ms_print\n"
     "  --to folded  a line a stack, for flame graphs\n"
     "  --to pprof   for pprof: allocated and at the end alive, objects and bytes\n"
     "  --to ops     a program of the fuzzers' operations (docs/fuzzing.md)\n"
     "  --value V    of folded: allocated, blocks, peak, left (allocated)\n"
     "  --from N     of ops: begin at that operation (1)\n"
     "  -o FILE      without it, stdout\n",
     run_convert},
    {"show", "FILE", "misuse report, trace or statistics as text",
     "FILE is a trace, or JSON: misuse reports (fief-misuse/1), statistics (fief-stats/1), an\n"
     "object a line.\n",
     run_show},
    {"explain", "[CLASS]", "a misuse class", "Without a CLASS: all of them, a line each.\n",
     run_explain},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void put_usage(FILE *to)
{
    fputs("usage: fief [--color WHEN] [--json] [-q] COMMAND [ARGS]     fief COMMAND --help\n", to);
    for (size_t i = 0; i < COMMANDS; i++) {
        fprintf(to, "  %-9s%s\n", commands[i].name, commands[i].summary);
    }
    fputs("exit: 0 done  1 found something  2 usage  3 bad input  4 cannot run  130 ^C\n", to);
}

static int help_on(const command *c)
{
    printf("usage: fief %s %s\n%s.\n\n%s", c->name, c->arguments, c->summary, c->help);
    return end_output(stdout, NULL);
}

static int set_color(const char *when)
{
    static const char *const words[] = {"always", "never", "auto", NULL};
    const char *forced = getenv("CLICOLOR_FORCE");
    if (strcmp(when, "always") == 0 || strcmp(when, "never") == 0) {
        fief_tool.color = when[0] == 'a';
        return DONE;
    }
    if (strcmp(when, "auto") != 0) {
        return refuse_word("colour", when, words);
    }
    const char *no = getenv("NO_COLOR");
    fief_tool.color = no != NULL && no[0] != '\0' ? false
                      : forced != NULL && strcmp(forced, "0") != 0 ? true
                                                                   : isatty(STDOUT_FILENO) == 1;
    return DONE;
}

static const command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

/* One that stands before the command, or behind it: -1 where it is none. */
static int take_common(int count, char **words, int *at)
{
    const char *value = option_value(count, words, at, "--color");
    if (value != NULL) {
        return set_color(value);
    }
    if (strcmp(words[*at], "--json") == 0) {
        fief_tool.json = true;
    } else if (strcmp(words[*at], "-q") == 0 || strcmp(words[*at], "--quiet") == 0) {
        fief_tool.quiet = true;
        fief_tool.progress = false;
    } else {
        return -1;
    }
    return DONE;
}

/* The rest of the words, without the common ones; `record` keeps all from the program's name on. */
static int run(const command *c, int count, char **words)
{
    int kept = 1;
    bool ours = true;
    for (int i = 1; i < count; i++) {
        ours = ours && strcmp(words[i], "--") != 0;
        if (ours && (strcmp(words[i], "--help") == 0 || strcmp(words[i], "-h") == 0)) {
            return help_on(c);
        }
        int status = ours ? take_common(count, words, &i) : -1;
        if (status > 0) {
            return status;
        }
        if (status < 0) {
            bool takes = c->run == run_record && ours;
            bool has_value = strcmp(words[i], "-o") == 0 || strcmp(words[i], "--depth") == 0;
            words[kept++] = words[i];
            if (takes && has_value && i + 1 < count) {
                words[kept++] = words[++i];
            }
            ours = ours && (!takes || is_option(words[kept - 1]) || has_value);
        }
    }
    words[kept] = NULL;
    return c->run(kept, words);
}

int main(int count, char **words)
{
    const char *names[COMMANDS + 1] = {NULL};
    for (size_t i = 0; i < COMMANDS; i++) {
        names[i] = commands[i].name;
    }
    fief_tool.progress = isatty(STDERR_FILENO) == 1;
    (void)set_color("auto");
    int at = 1;
    for (; at < count && is_option(words[at]); at++) {
        static const char *const options[] = {"--color", "--json", "--quiet", "--help", "--version",
                                              NULL};
        if (strcmp(words[at], "--help") == 0 || strcmp(words[at], "-h") == 0) {
            put_usage(stdout);
            return end_output(stdout, NULL);
        }
        if (strcmp(words[at], "--version") == 0) {
            puts("fief " FIEF_VERSION);
            return end_output(stdout, NULL);
        }
        int status = take_common(count, words, &at);
        if (status != DONE) {
            return status > 0 ? status : refuse_word("option", words[at], options);
        }
    }
    if (at >= count) {
        put_usage(stderr);
        return USAGE;
    }
    const command *c = find_command(words[at]);
    if (c == NULL) {
        return refuse_word("command", words[at], names);
    }
    fief_tool.command = c->name;
    return run(c, count - at, words + at);
}
