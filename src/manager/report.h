/* report: text that grows in a caller's buffer, for misuse reports, statistics and leaks. */
#ifndef FIEF_REPORT_H
#define FIEF_REPORT_H

#include "sites/sites.h"

#include <fief/misuse.h>

typedef struct writer {
    char *buffer;
    size_t size, length; /* length: of the whole, as snprintf counts */
} writer;

/* How much a report may ask for: each does without what the one before it needs. */
typedef enum report_means {
    REPORT_HERE, /* everything, in this process: where it is a child */
    REPORT_CHILD, /* everything, with a child for the sites */
    REPORT_SILENT_HOST, /* as REPORT_HERE, and the host's where_text is not called */
    REPORT_PLAIN /* module and offset */
} report_means;

/* Who looks up addresses, by such means. */
typedef size_t finder(const site_address *, size_t, site_text *, size_t);
finder *finder_for(report_means means);

/* "==1234==fief: misuse[class]: sentence", and the rest. */
void put_first_line(writer *w, const fief_misuse *m);
/* The rows of a leak report, and its end. */
void put_leaks(writer *w, const fief_misuse *m, report_means means);
/* The first frame of each row; "" where there is none. Mapped; NULL: memory is short. */
site_text *find_leak_places(const fief_misuse *m, report_means means);
void forget_leak_places(site_text *places);
/* As JSON, `most` rows; returns how many were left out. */
size_t put_json_leaks(writer *w, const fief_misuse *m, size_t most, const site_text *places);
/* Its block, and where that came from and went. */
void put_description(writer *w, const fief_misuse *m);
void put_rest(writer *w, const fief_misuse *m, report_means means);
void put(writer *w, const char *format, ...) FIEF_PRINTF(2, 3);
/* A JSON string, quoted and escaped. */
void put_string(writer *w, const char *text);
/* What the call did that was noticed: "popped at", "found at", ... */
const char *call_label(const fief_misuse *m);
/* {"function": ..., "file": ..., "line": ...} */
void put_json_frame(writer *w, const site_text *text);
/* The function's name, or "??". */
const char *function_of(const site_text *text);
/* file:line, or (module+offset). */
void put_place(writer *w, const site_text *text);

/* The last lines of a report but its SUMMARY: how it is mended, and whose it is. */
void put_help(writer *w, const fief_misuse *m);
void put_runtime(writer *w, const fief_misuse *m);

#endif
