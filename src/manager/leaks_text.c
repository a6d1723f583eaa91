/* leaks_text: the rows of a leak report, as text and as JSON. */
#include "manager/report.h"

#include "core/depot.h"
#include "os/os.h"
#include "sites/sites.h"

#include <fief/misuse.h>

enum { LEAK_TEXTS = 4 * FIEF_LEAKS_MAX }; /* with what was inlined into each */

site_text *find_leak_places(const fief_misuse *m, report_means means)
{
    site_address addresses[FIEF_LEAKS_MAX];
    size_t rows[FIEF_LEAKS_MAX] = {0}, count = 0; /* whose place each address is */
    site_text *places = os_map((FIEF_LEAKS_MAX + LEAK_TEXTS) * sizeof *places);
    for (size_t i = 0; places != NULL && i < m->leaks->count; i++) {
        const fief_site *site = &m->leaks->rows[i].allocated;
        if (site->count != 0) {
            rows[count] = i;
            addresses[count++] = (site_address){
                .pc = site->frames[0],
                .module = depot_module(m->evidence, site->stack, site->frames[0])};
        }
    }
    site_text *texts = places + FIEF_LEAKS_MAX;
    size_t total = count != 0 ? finder_for(means)(addresses, count, texts, LEAK_TEXTS) : 0;
    for (size_t at = total; at-- > 0;) { /* of one address, the innermost comes first */
        places[rows[texts[at].address]] = texts[at];
    }
    return places;
}

void forget_leak_places(site_text *places)
{
    if (places != NULL) {
        os_release(places, (FIEF_LEAKS_MAX + LEAK_TEXTS) * sizeof *places);
    }
}

static bool is_known(const site_text *places, size_t row)
{
    return places != NULL && places[row].file[0] != '\0';
}

static void put_leak_rows(writer *w, const fief_leaks *leaks, const site_text *places)
{
    put(w, "   blocks     bytes  kind             strategy allocated at\n");
    for (size_t i = 0; i < leaks->count; i++) {
        const fief_leak *leak = &leaks->rows[i];
        put(w, "%9zu %9zu  %-16s %-8s ", leak->blocks, leak->bytes, leak->kind, leak->strategy);
        if (is_known(places, i)) {
            put(w, "%s ", function_of(&places[i]));
            put_place(w, &places[i]);
        }
        if (leak->allocated.operation != 0) {
            put(w, "  (first: op %llu)", (unsigned long long)leak->allocated.operation);
        }
        put(w, "\n");
    }
    if (leaks->more != 0) {
        put(w, "  %zu more\n", leaks->more);
    }
}

static void put_leak_help(writer *w, const fief_misuse *m)
{
    uint64_t first = m->leaks->count != 0 ? m->leaks->rows[0].allocated.operation : 0;
    if (m->leaks->uncounted) {
        put(w, "  help: .count_blocks = true counts blocks and kinds; a debug build tells sites\n");
    }
    if (first != 0) {
        put(w, "  help: .break_at_operation = %llu stops at the first\n",
            (unsigned long long)first);
    }
    put_help(w, m);
}

void put_leaks(writer *w, const fief_misuse *m, report_means means)
{
    site_text *places = find_leak_places(m, means);
    put_leak_rows(w, m->leaks, places);
    put_leak_help(w, m);
    put_runtime(w, m);
    put(w, "SUMMARY: fief: leak %zu blocks %zu bytes", m->leaks->blocks, m->leaks->bytes);
    if (is_known(places, 0)) {
        put(w, " ");
        put_place(w, &places[0]);
        put(w, " in %s", function_of(&places[0]));
    }
    put(w, "\n");
    forget_leak_places(places);
}

/* ---- JSON ---- */

size_t put_json_leaks(writer *w, const fief_misuse *m, size_t most, const site_text *places)
{
    const fief_leaks *leaks = m->leaks;
    if (leaks == NULL) {
        put(w, "null");
        return 0;
    }
    size_t count = leaks->count < most ? leaks->count : most;
    put(w, "{\"blocks\":%zu,\"bytes\":%zu,\"counted\":%s,\"rows\":[", leaks->blocks,
        leaks->bytes, leaks->uncounted ? "false" : "true");
    for (size_t i = 0; i < count; i++) {
        const fief_leak *leak = &leaks->rows[i];
        put(w, "%s{\"kind\":", i > 0 ? "," : "");
        put_string(w, leak->kind);
        put(w, ",\"strategy\":\"%s\",\"blocks\":%zu,\"bytes\":%zu,\"operation\":%llu,\"frame\":",
            leak->strategy, leak->blocks, leak->bytes,
            (unsigned long long)leak->allocated.operation);
        if (is_known(places, i)) {
            put_json_frame(w, &places[i]);
        } else {
            put(w, "null");
        }
        put(w, "}");
    }
    put(w, "]}");
    return leaks->count - count + leaks->more;
}
