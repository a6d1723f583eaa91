/* options: what the command line asked for. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

enum { ONLY_MAX = 32 };

typedef struct options {
    bool json, check, quick, hasty, list, help;
    size_t rounds; /* 0: the defaults */
    const char *only[ONLY_MAX];
    size_t only_count;
    const char *debug_lib; /* NULL: none */
    const char *lua_host;  /* NULL: none; empty: beside this program */
} options;

/* False after one line on stderr. */
bool options_parse(options *ret_options, int argc, char **argv);
void options_usage(void);

/* Does the argument of --only mean this bench? "heap" means each heap-... too. */
bool only_means(const char *only, const char *name);
/* Is the bench among those asked for? */
bool options_want(const options *o, const char *name);

#endif
