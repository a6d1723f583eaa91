/* sites by elfutils' libdw. Units are walked with dwarf_haspc rather than looked up in
 * .debug_aranges, which clang does not write; scopes are descended the same way, so that inlined
 * calls come out with the line of their call. */
#include "sites/sites.h"

#include "os/os.h"
#include "sites/module.h"

#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <stdlib.h>

enum { SCOPES_MAX = 24, OPEN_MAX = 16 };

/* ---- files ---- */

/* A file as it was loaded, perhaps not any more; NULL where it is another one now. */
typedef struct opened {
    const os_module *module;
    Dwfl *dwfl;
    Dwfl_Module *found;
} opened;

static char *no_debuginfo_path;

static opened open_module(const os_module *module)
{
    static const Dwfl_Callbacks callbacks = {.find_elf = dwfl_build_id_find_elf,
                                             .find_debuginfo = dwfl_standard_find_debuginfo,
                                             .debuginfo_path = &no_debuginfo_path};
    opened o = {.module = module};
    if (os_module_is_file(module)) {
        o.dwfl = dwfl_begin(&callbacks);
        o.found = dwfl_report_elf(o.dwfl, module->path, module->path, -1, module->bias, true);
        (void)dwfl_report_end(o.dwfl, NULL, NULL);
    }
    return o;
}

/* ---- is it a return address? ---- */

/* What was found by walking may be any number that the stack has held. */
static bool is_behind_call(Dwfl_Module *module, Dwarf_Addr pc)
{
    GElf_Addr bias = 0;
    GElf_Phdr header;
    Elf *elf = dwfl_module_getelf(module, &bias);
    size_t headers = 0;
    (void)elf_getphdrnum(elf, &headers);
    for (size_t i = 0; i < headers; i++) {
        bool loads = gelf_getphdr(elf, (int)i, &header) != NULL && header.p_type == PT_LOAD;
        Dwarf_Addr at = pc - bias - OS_CALL_LONGEST - header.p_vaddr;
        if (loads && at < header.p_filesz) {
            Elf_Data *data = elf_getdata_rawchunk(elf, (int64_t)(at + header.p_offset),
                                                  OS_CALL_LONGEST, ELF_T_BYTE);
            return (header.p_flags & PF_X) != 0 && data != NULL && os_ends_in_call(data->d_buf);
        }
    }
    return false;
}

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
    if (dwarf_formudata(dwarf_attr(&p->scopes[depth], DW_AT_call_file, &attribute), &file_index) ==
            0 &&
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

/* A verb of the headers, or the library's other half where it is linked into a host's file. A
 * host's own functions may have names like ours. */
static bool is_own(const char *function, const char *file)
{
    static const char *const folders[] = {"fief/", "src/core/", "src/manager/"};
    const char *slash = file != NULL ? strrchr(file, '/') : NULL;
    const char *name = slash != NULL ? slash + 1 : file;
    bool found = file == NULL || strcmp(name, "fief.h") == 0 || strcmp(name, "fief.c") == 0;
    for (size_t i = 0; file != NULL && i < sizeof folders / sizeof folders[0]; i++) {
        const char *below = strstr(file, folders[i]);
        found = found || (below != NULL && (i > 0 || strstr(below, ".h") != NULL));
    }
    return found && function != NULL && strncmp(function, "fief_", 5) == 0;
}

/* The frames of one address, innermost first. */
static size_t frames_of(place *p, const void *address, site_text *texts, size_t most)
{
    unsigned line = 0;
    const char *file = line_of(p, &line);
    size_t found = 0;
    for (size_t depth = p->depth; depth-- > 0 && found < most;) {
        const char *function = dwarf_diename(&p->scopes[depth]);
        if (!is_own(function, file)) {
            texts[found++] = frame_text(p, address, function, file, line);
        }
        if (dwarf_tag(&p->scopes[depth]) != DW_TAG_inlined_subroutine) {
            break;
        }
        call_place(p, depth, &file, &line);
    }
    return found;
}

/* A symbol without a size is no answer: it would name whatever lies behind it, too. */
static const char *symbol_of(Dwfl_Module *module, Dwarf_Addr pc)
{
    GElf_Off offset = 0;
    GElf_Sym symbol;
    const char *name = dwfl_module_addrinfo(module, pc, &offset, &symbol, NULL, NULL, NULL);
    return name != NULL && offset < symbol.st_size ? name : NULL;
}

/* What the symbol table and the line table say: clang -g1 describes only functions that others were
 * inlined into. */
static size_t frame_by_symbol(Dwfl_Module *module, place *p, const site_address *address,
                              site_text *text)
{
    unsigned line = 0;
    const char *name = symbol_of(module, (uintptr_t)address->pc - 1);
    const char *file = p != NULL ? line_of(p, &line) : NULL;
    if (file != NULL && is_own(name, file)) {
        return 0;
    }
    if (file != NULL && line != 0) {
        *text = frame_text(p, address->pc, name, file, line);
        return 1;
    }
    bool shown = site_in_module(address, text);
    copy(text->function, sizeof text->function, name);
    return shown;
}

static size_t find_one(const opened *o, const site_address *address, site_text *texts, size_t most)
{
    Dwarf_Addr pc = (uintptr_t)address->pc - 1; /* of the call, not behind it */
    if (o->found == NULL || is_own_module(o->module)) {
        return site_in_module(address, texts);
    }
    if (address->outer && !is_behind_call(o->found, pc + 1)) {
        return 0;
    }
    place p;
    bool placed = find_place(o->found, pc, &p);
    return placed && p.depth > 0 ? frames_of(&p, address->pc, texts, most)
                                 : frame_by_symbol(o->found, placed ? &p : NULL, address, texts);
}

/* ---- all of them ---- */

/* The module's entry among those that are open, or a new one. */
static const opened *opened_of(opened *open, size_t *count, const os_module *module)
{
    static const opened nothing;
    for (size_t i = 0; i < *count; i++) {
        if (open[i].module == module) {
            return &open[i];
        }
    }
    if (module == NULL || *count == OPEN_MAX) {
        return &nothing;
    }
    open[*count] = open_module(module);
    return &open[(*count)++];
}

size_t sites_find_here(const site_address *addresses, size_t count, site_text *ret_texts,
                       size_t most)
{
    opened open[OPEN_MAX];
    size_t open_count = 0, found = 0;
    (void)unsetenv("DEBUGINFOD_URLS"); /* no network for a report */
    for (size_t i = 0; i < count && found < most; i++) {
        const opened *o = opened_of(open, &open_count, addresses[i].module);
        size_t more = find_one(o, &addresses[i], &ret_texts[found], most - found);
        for (; more > 0; more--) {
            ret_texts[found++].address = i;
        }
    }
    return found;
}

typedef struct question {
    const site_address *addresses;
    size_t count;
} question;

static size_t answer(void *argument, void *buffer, size_t size)
{
    const question *q = argument;
    site_text *texts = buffer;
    return sites_find_here(q->addresses, q->count, texts, size / sizeof *texts) * sizeof *texts;
}

size_t sites_find(const site_address *addresses, size_t count, site_text *ret_texts, size_t most)
{
    question q = {addresses, count};
    size_t bytes = count == 0 ? 0 : os_in_child(answer, &q, ret_texts, most * sizeof *ret_texts,
                                                SITES_WAIT_MS);
    return bytes != 0 ? bytes / sizeof *ret_texts
                      : sites_plain(addresses, count, ret_texts, most);
}

const char *sites_hint(void)
{
    return NULL;
}
