/* sites by elfutils' libdw. Units are walked with dwarf_haspc rather than looked up in
 * .debug_aranges, which clang does not write; scopes are descended the same way, so that inlined
 * calls come out with the line of their call. */
#include "sites/sites.h"

#include "os/os.h"
#include "sites/module.h"

#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <stdlib.h>

enum { SCOPES_MAX = 24, WAIT_MS = 3000 };

typedef struct question {
    const void *const *addresses;
    size_t count;
} question;

/* ---- one address ---- */

typedef struct place {
    Dwarf_Die unit, scopes[SCOPES_MAX]; /* outermost first */
    size_t depth;
    Dwarf_Addr pc; /* in the unit's terms */
} place;

static void descend(place *p, Dwarf_Die *die)
{
    Dwarf_Die child;
    for (int more = dwarf_child(die, &child); more == 0; more = dwarf_siblingof(&child, &child)) {
        int tag = dwarf_tag(&child);
        bool is_scope = tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine ||
                        tag == DW_TAG_lexical_block || tag == DW_TAG_namespace;
        if (!is_scope || (tag != DW_TAG_namespace && dwarf_haspc(&child, p->pc) != 1)) {
            continue;
        }
        bool is_function = tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine;
        if (is_function && p->depth < SCOPES_MAX) {
            p->scopes[p->depth++] = child;
        }
        descend(p, &child);
        return;
    }
}

static bool find_place(Dwfl_Module *module, Dwarf_Addr address, place *ret_place)
{
    Dwarf_Addr bias = 0;
    Dwarf_Die *unit = NULL;
    while ((unit = dwfl_module_nextcu(module, unit, &bias)) != NULL) {
        if (dwarf_haspc(unit, address - bias) != 1) {
            continue;
        }
        *ret_place = (place){.unit = *unit, .pc = address - bias};
        Dwarf_Die split;
        if (dwarf_cu_info(unit->cu, NULL, NULL, NULL, &split, NULL, NULL, NULL) == 0 &&
            dwarf_tag(&split) != DW_TAG_invalid) {
            descend(ret_place, &split);
        } else {
            descend(ret_place, unit);
        }
        return true;
    }
    return false;
}

static void copy(char *to, size_t size, const char *from)
{
    (void)snprintf(to, size, "%s", from != NULL ? from : "");
}

/* ---- source lines ---- */

static void read_source(site_text *text)
{
    FILE *file = text->line != 0 ? fopen(text->file, "re") : NULL;
    char line[sizeof text->source];
    for (unsigned at = 1; file != NULL && fgets(line, sizeof line, file) != NULL; at++) {
        bool whole = strchr(line, '\n') != NULL;
        if (at == text->line) {
            line[strcspn(line, "\n")] = '\0';
            copy(text->source, sizeof text->source, line + strspn(line, " \t"));
            break;
        }
        at -= whole ? 0 : 1;
    }
    if (file != NULL) {
        (void)fclose(file);
    }
}

/* A unit's paths may be relative to where it was compiled. */
static void copy_path(site_text *text, place *p, const char *file)
{
    Dwarf_Attribute attribute;
    const char *folder = dwarf_formstring(dwarf_attr(&p->unit, DW_AT_comp_dir, &attribute));
    if (file == NULL || file[0] == '/' || folder == NULL) {
        copy(text->file, sizeof text->file, file);
    } else {
        (void)snprintf(text->file, sizeof text->file, "%s/%s", folder, file);
    }
}

/* Paths are shown from the working directory where they lie in it. */
static void shorten(site_text *text)
{
    static char here[4096];
    if (here[0] == '\0' && realpath(".", here) == NULL) {
        return;
    }
    size_t length = strlen(here);
    char whole[4096];
    if (realpath(text->file, whole) != NULL && strncmp(whole, here, length) == 0 &&
        whole[length] == '/') {
        copy(text->file, sizeof text->file, whole + length + 1);
    }
}

/* ---- frames ---- */

static void call_place(place *p, size_t depth, const char **ret_file, unsigned *ret_line)
{
    Dwarf_Attribute attribute;
    Dwarf_Word file_index = 0, line = 0;
    Dwarf_Files *files = NULL;
    *ret_file = NULL;
    if (dwarf_formudata(dwarf_attr(&p->scopes[depth], DW_AT_call_file, &attribute), &file_index) == 0 &&
        dwarf_getsrcfiles(&p->unit, &files, NULL) == 0) {
        *ret_file = dwarf_filesrc(files, file_index, NULL, NULL);
    }
    (void)dwarf_formudata(dwarf_attr(&p->scopes[depth], DW_AT_call_line, &attribute), &line);
    *ret_line = (unsigned)line;
}

static const char *line_of(place *p, unsigned *ret_line)
{
    int number = 0;
    Dwarf_Line *row = dwarf_getsrc_die(&p->unit, p->pc);
    const char *file = row != NULL ? dwarf_linesrc(row, NULL, NULL) : NULL;
    if (row != NULL) {
        (void)dwarf_lineno(row, &number);
    }
    *ret_line = (unsigned)number;
    return file;
}

static site_text frame_text(place *p, const void *address, const char *function, const char *file,
                            unsigned line)
{
    site_text text = {.pc = address, .line = line};
    copy(text.function, sizeof text.function, function);
    copy_path(&text, p, file);
    read_source(&text);
    shorten(&text);
    return text;
}

/* The frames of one address, innermost first. */
static size_t frames_of(place *p, const void *address, site_text *texts, size_t most)
{
    unsigned line = 0;
    const char *file = line_of(p, &line);
    size_t found = 0;
    for (size_t depth = p->depth; depth-- > 0 && found < most;) {
        const char *function = dwarf_diename(&p->scopes[depth]);
        if (function == NULL || !is_own_name(function)) {
            texts[found++] = frame_text(p, address, function, file, line);
        }
        if (dwarf_tag(&p->scopes[depth]) != DW_TAG_inlined_subroutine) {
            break;
        }
        call_place(p, depth, &file, &line);
    }
    return found;
}

/* What the symbol table and the line table say: clang -g1 describes only functions that others were
 * inlined into. */
static size_t frame_by_symbol(Dwfl_Module *module, place *p, const void *address, site_text *text)
{
    unsigned line = 0;
    const char *name = module != NULL ? dwfl_module_addrname(module, (uintptr_t)address - 1) : NULL;
    const char *file = p != NULL ? line_of(p, &line) : NULL;
    if (name != NULL && is_own_name(name)) {
        return 0;
    }
    if (file != NULL) {
        *text = frame_text(p, address, name, file, line);
        return 1;
    }
    size_t found = site_in_module(address, text);
    copy(text->function, sizeof text->function, name);
    return found;
}

static size_t find_one(Dwfl *dwfl, const void *address, site_text *texts, size_t most)
{
    Dwarf_Addr pc = (uintptr_t)address - 1; /* of the call, not behind it */
    Dwfl_Module *module = dwfl_addrmodule(dwfl, pc);
    place p;
    bool placed = module != NULL && find_place(module, pc, &p);
    return placed && p.depth > 0 ? frames_of(&p, address, texts, most)
                                 : frame_by_symbol(module, placed ? &p : NULL, address, texts);
}

/* ---- the child ---- */

static char *no_debuginfo_path;

static size_t answer(void *argument, void *buffer, size_t size)
{
    static const Dwfl_Callbacks callbacks = {.find_elf = dwfl_linux_proc_find_elf,
                                             .find_debuginfo = dwfl_standard_find_debuginfo,
                                             .debuginfo_path = &no_debuginfo_path};
    const question *q = argument;
    site_text *texts = buffer;
    size_t most = size / sizeof *texts, found = 0;
    (void)unsetenv("DEBUGINFOD_URLS"); /* no network for a report */
    Dwfl *dwfl = dwfl_begin(&callbacks);
    bool knows = dwfl != NULL && dwfl_linux_proc_report(dwfl, os_process()) == 0 &&
                 dwfl_report_end(dwfl, NULL, NULL) == 0;
    for (size_t i = 0; knows && i < q->count && found < most; i++) {
        size_t more = find_one(dwfl, q->addresses[i], &texts[found], most - found);
        for (; more > 0; more--) {
            texts[found++].address = i;
        }
    }
    dwfl_end(dwfl);
    return found * sizeof *texts;
}

size_t sites_find(const void *const *addresses, size_t count, site_text *ret_texts, size_t most)
{
    question q = {addresses, count};
    size_t bytes = count == 0 ? 0 : os_in_child(answer, &q, ret_texts, most * sizeof *ret_texts,
                                                WAIT_MS);
    size_t found = bytes / sizeof *ret_texts;
    for (size_t i = 0; found == 0 && i < count && i < most; i++) {
        (void)site_in_module(addresses[i], &ret_texts[i]);
        ret_texts[i].address = i;
    }
    return found != 0 || count == 0 ? found : (count < most ? count : most);
}

const char *sites_hint(void)
{
    return NULL;
}
