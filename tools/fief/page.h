/* page: writes what a survey found as one HTML file. The tables are HTML; the charts are drawn
 * from the same figures, as JSON in the page, by page/page.js. */
#ifndef FIEF_TOOL_PAGE_H
#define FIEF_TOOL_PAGE_H

#include "advise.h"
#include "survey.h"

enum {
    PAGE_MOST = 2000000,
    PAGE_SITES_MOST = 2000,
    UNITS_DRAWN = 600,
    REMARKS_DRAWN = 300,
    CHANGES_MOST = 100
};

/* `old`: what it is compared with, or NULL. False: no memory; what could not be written shows at
 * the end of the output. */
bool page_write(FILE *to, const survey *s, const survey *old, const counsel *c);
/* Text of a trace, as HTML and as JSON within a script element. */
void put_html(FILE *to, const char *text);
void put_script_json(FILE *to, const char *text);
/* A table's beginning, to <tbody>; a head that starts with '<' stands left. */
void put_heads(FILE *to, const char *label, const char *const *heads);

/* page_advice.c: the advice's section, one advice in words, and what changed since `old`. */
void put_counsel(FILE *to, const survey *s, const counsel *c);
void put_advice(FILE *to, const advice *a);
void put_changes(FILE *to, const survey *s, const survey *old);

/* page_data.c: the JSON, with the shares of the first `sites` places. */
void page_data(FILE *to, const survey *s, uint32_t sites);
/* Adds to each place's entry how long its shares are there. */
void page_share_sizes(const survey *s, uint32_t *sizes);

#endif
