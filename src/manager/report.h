/* report: text that grows in a caller's buffer, for misuse reports, statistics and leaks. */
#ifndef FIEF_REPORT_H
#define FIEF_REPORT_H

#include "sites/sites.h"

#include <fief/base.h>

typedef struct writer {
    char *buffer;
    size_t size, length; /* length: of the whole, as snprintf counts */
} writer;

void put(writer *w, const char *format, ...) FIEF_PRINTF(2, 3);
/* A JSON string, quoted and escaped. */
void put_string(writer *w, const char *text);
/* file:line, or (module+offset). */
void put_place(writer *w, const site_text *text);

#endif
