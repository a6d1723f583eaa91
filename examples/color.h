/* color: do reports on stderr want colour? The order that command line programs share:
 * --color WHEN, then NO_COLOR, then CLICOLOR_FORCE,
 * then whether it is a terminal. */
#ifndef FIEF_EXAMPLES_COLOR_H
#define FIEF_EXAMPLES_COLOR_H

#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

typedef enum color_when { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER } color_when;

static inline bool is_set(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0';
}

static inline bool wants_color(color_when when)
{
    if (when != COLOR_AUTO) {
        return when == COLOR_ALWAYS;
    }
    return !is_set("NO_COLOR") && (is_set("CLICOLOR_FORCE") || isatty(STDERR_FILENO));
}

#endif
