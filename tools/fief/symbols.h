/* symbols: the frames of a trace as function, file and line, all asked for at once. Where libdw is
 * missing, or a file changed since, a frame is its module and offset. */
#ifndef FIEF_TOOL_SYMBOLS_H
#define FIEF_TOOL_SYMBOLS_H

#include "sites/sites.h"
#include "trace.h"

typedef struct symbols symbols;

/* Of all sites that the trace has defined so far; NULL without memory. */
symbols *symbols_find(const trace *t);
void symbols_free(symbols *s);
/* The texts of one frame, inlined calls first; at least one. */
const site_text *symbols_of(const symbols *s, uint64_t frame, size_t *ret_count);
/* "function file:line", or "module+0x12"; for people. At most `size` bytes. */
void symbol_text(const site_text *text, char *buffer, size_t size);
/* The same of a site: its innermost frame that is known, or the host's word for it. */
void symbol_site(const symbols *s, const trace_site *site, char *buffer, size_t size);
/* What to install for more, or NULL. */
const char *symbols_hint(void);

#endif
