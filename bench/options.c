#include "options.h"

#include "results.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: bench-core [options]       measures Fief beside libc, its peers and hand-written code\n"
    "  --json            one JSON object a line on stdout instead of the table\n"
    "  --rounds N        rounds of each variant, 1 to 99 (15; 9 of the Lua programs)\n"
    "  --only NAME       this bench, or all that begin with NAME-; may be repeated\n"
    "  --list            the names of the benches\n"
    "  --check           status 1 when a target is missed\n"
    "  --quick           see that everything runs; the figures mean nothing\n"
    "  --hasty           wait for no quiet moment: a look, not a measurement\n"
    "  --debug-lib PATH  the debug-poisoned libfief, or its build directory; none (default)\n"
    "  --lua-host PATH   fief-lua (default: ../examples/fief-lua from here); none: no Lua\n"
    "  --help            this text\n"
    "\n"
    "Every figure is the median of the rounds; +- is half of their interquartile range, over the\n"
    "median. Status: 0 measured, 1 could not measure (or --check), 2 bad usage.\n";

void options_usage(void)
{
    fputs(usage, stdout);
}

static bool refuse(const char *what, const char *about)
{
    fprintf(stderr, "bench-core: %s '%s' (see bench-core --help)\n", what, about);
    return false;
}

static bool parse_rounds(const char *text, size_t *ret_rounds)
{
    char *end;
    errno = 0;
    unsigned long rounds = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || rounds < 1 ||
        rounds > ROUNDS_MAX) {
        return refuse("--rounds is a number from 1 to 99, not", text);
    }
    *ret_rounds = rounds;
    return true;
}

static bool *flag_named(options *o, const char *name)
{
    const struct {
        const char *name;
        bool *flag;
    } flags[] = {{"--json", &o->json},  {"--check", &o->check}, {"--quick", &o->quick},
                 {"--list", &o->list},  {"--help", &o->help},   {"-h", &o->help},
                 {"--hasty", &o->hasty}};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        if (strcmp(flags[i].name, name) == 0) {
            return flags[i].flag;
        }
    }
    return NULL;
}

static const char *path_or_none(const char *value)
{
    return strcmp(value, "none") == 0 ? NULL : value;
}

static bool take_value(options *o, const char *name, const char *value)
{
    if (strcmp(name, "--rounds") == 0) {
        return parse_rounds(value, &o->rounds);
    }
    if (strcmp(name, "--debug-lib") == 0) {
        o->debug_lib = path_or_none(value);
        return true;
    }
    if (strcmp(name, "--lua-host") == 0) {
        o->lua_host = path_or_none(value);
        return true;
    }
    if (o->only_count == ONLY_MAX) {
        return refuse("too many --only, at", value);
    }
    o->only[o->only_count++] = value;
    return true;
}

static bool wants_value(const char *name)
{
    return strcmp(name, "--rounds") == 0 || strcmp(name, "--only") == 0 ||
           strcmp(name, "--debug-lib") == 0 || strcmp(name, "--lua-host") == 0;
}

bool options_parse(options *ret_options, int argc, char **argv)
{
    options *o = ret_options;
    *o = (options){.lua_host = ""};
    for (int i = 1; i < argc; i++) {
        bool *flag = flag_named(o, argv[i]);
        if (flag != NULL) {
            *flag = true;
        } else if (!wants_value(argv[i])) {
            return refuse("unknown argument", argv[i]);
        } else if (i + 1 == argc || argv[i + 1][0] == '\0') {
            return refuse("a value must follow", argv[i]);
        } else if (!take_value(o, argv[i], argv[i + 1])) {
            return false;
        } else {
            i++;
        }
    }
    return true;
}

bool only_means(const char *only, const char *name)
{
    size_t length = strlen(only);
    return strncmp(name, only, length) == 0 && (name[length] == '\0' || name[length] == '-');
}

bool options_want(const options *o, const char *name)
{
    for (size_t i = 0; i < o->only_count; i++) {
        if (only_means(o->only[i], name)) {
            return true;
        }
    }
    return o->only_count == 0;
}
