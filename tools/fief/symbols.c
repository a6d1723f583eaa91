/* symbols: src/sites does the work; this gives it modules as the trace has them. */
#include "symbols.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct span {
    uint64_t frame;
    size_t first, count;
} span;

struct symbols {
    span *spans; /* by frame */
    size_t count;
    site_text *texts;
    os_module *modules;
    site_text unknown; /* what a frame that is none of these has */
};

/* ---- what src/sites asks the system for, of a program that is gone ---- */

bool os_module_is_file(const os_module *module)
{
    return access(module->path, R_OK) == 0;
}

bool os_ends_in_call(const unsigned char *bytes)
{
    (void)bytes;
    return true;
}

/* src/sites leaves its sessions open, since its process is a child that ends: so it is here. */
size_t os_in_child(size_t (*work)(void *argument, void *buffer, size_t size), void *argument,
                   void *buffer, size_t size, int milliseconds)
{
    (void)milliseconds;
    size_t done = 0;
    unsigned char *room = mmap(NULL, sizeof done + size, PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED) {
        return 0;
    }
    pid_t child = fork();
    if (child == 0) {
        done = work(argument, room + sizeof done, size);
        memcpy(room, &done, sizeof done);
        _exit(0);
    }
    int status;
    if (child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status)) {
        memcpy(&done, room, sizeof done);
        memcpy(buffer, room + sizeof done, done);
    }
    (void)munmap(room, sizeof done + size);
    return done;
}

/* ---- modules ---- */

enum { PAGE = 4096 };

/* Where the file's own addresses begin: of its segment that begins there. */
static uint64_t bias_of(const trace_module *m)
{
    Elf64_Ehdr top;
    Elf64_Phdr header;
    uint64_t bias = m->start - m->offset;
    int file = open(m->path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return bias;
    }
    if (pread(file, &top, sizeof top, 0) != (ssize_t)sizeof top ||
        memcmp(top.e_ident, ELFMAG, SELFMAG) != 0) {
        top.e_phnum = 0;
    }
    for (unsigned i = 0; i < top.e_phnum; i++) {
        off_t at = (off_t)(top.e_phoff + i * sizeof header);
        bool is_read = pread(file, &header, sizeof header, at) == (ssize_t)sizeof header;
        if (is_read && header.p_type == PT_LOAD &&
            (header.p_offset & ~(uint64_t)(PAGE - 1)) == m->offset) {
            bias = m->start - m->offset - (header.p_vaddr - header.p_offset);
        }
    }
    (void)close(file);
    return bias;
}

static bool copy_modules(symbols *s, const trace *t)
{
    uint32_t count = trace_modules(t);
    s->modules = calloc(count + 1, sizeof *s->modules);
    for (uint32_t i = 0; s->modules != NULL && i < count; i++) {
        const trace_module *m = trace_module_at(t, i + 1);
        os_module *to = &s->modules[i];
        to->bias = (uintptr_t)bias_of(m);
        to->start = (uintptr_t)m->start;
        to->end = (uintptr_t)(m->start + m->size);
        (void)snprintf(to->path, sizeof to->path, "%.199s", m->path);
    }
    return s->modules != NULL;
}

/* The last that was noted there. */
static const os_module *module_of(const symbols *s, const trace *t, uint64_t frame)
{
    for (uint32_t i = trace_modules(t); i > 0; i--) {
        const os_module *m = &s->modules[i - 1];
        if (frame >= m->start && frame < m->end) {
            return m;
        }
    }
    return NULL;
}

/* ---- frames ---- */

static int by_frame(const void *a, const void *b)
{
    uint64_t x = ((const span *)a)->frame, y = ((const span *)b)->frame;
    return (x > y) - (x < y);
}

static bool collect_frames(symbols *s, const trace *t)
{
    size_t total = 0;
    for (uint32_t i = 1; i <= trace_sites(t); i++) {
        total += trace_site_at(t, i)->count;
    }
    s->spans = calloc(total + 1, sizeof *s->spans);
    if (s->spans == NULL) {
        return false;
    }
    for (uint32_t i = 1; i <= trace_sites(t); i++) {
        const trace_site *site = trace_site_at(t, i);
        for (uint32_t j = 0; j < site->count; j++) {
            s->spans[s->count++].frame = site->frames[j];
        }
    }
    qsort(s->spans, s->count, sizeof *s->spans, by_frame);
    size_t kept = 0;
    for (size_t i = 0; i < s->count; i++) {
        if (kept == 0 || s->spans[kept - 1].frame != s->spans[i].frame) {
            s->spans[kept++] = s->spans[i];
        }
    }
    s->count = kept;
    return true;
}

static bool find_texts(symbols *s, const trace *t)
{
    enum { INLINED_MOST = 4 };
    size_t most = s->count * INLINED_MOST + 8;
    site_address *asked = calloc(s->count + 1, sizeof *asked);
    s->texts = calloc(most, sizeof *s->texts);
    bool sound = asked != NULL && s->texts != NULL;
    for (size_t i = 0; sound && i < s->count; i++) {
        const os_module *m = module_of(s, t, s->spans[i].frame);
        asked[i] = (site_address){(const void *)(uintptr_t)s->spans[i].frame, m, false};
    }
    size_t found = sound && s->count > 0 ? sites_find(asked, s->count, s->texts, most - 1) : 0;
    for (size_t i = found; i-- > 0;) {
        span *of = &s->spans[s->texts[i].address];
        of->first = i;
        of->count++;
    }
    free(asked);
    return sound;
}

symbols *symbols_find(const trace *t)
{
    symbols *s = calloc(1, sizeof *s);
    if (s != NULL) {
        (void)snprintf(s->unknown.file, sizeof s->unknown.file, "(unknown)");
    }
    if (s != NULL && copy_modules(s, t) && collect_frames(s, t) && find_texts(s, t)) {
        return s;
    }
    symbols_free(s);
    return NULL;
}

void symbols_free(symbols *s)
{
    if (s != NULL) {
        free(s->spans);
        free(s->texts);
        free(s->modules);
        free(s);
    }
}

const site_text *symbols_of(const symbols *s, uint64_t frame, size_t *ret_count)
{
    span wanted = {.frame = frame};
    const span *found = bsearch(&wanted, s->spans, s->count, sizeof wanted, by_frame);
    if (found == NULL || found->count == 0) {
        *ret_count = 1;
        return &s->unknown;
    }
    *ret_count = found->count;
    return s->texts + found->first;
}

void symbol_text(const site_text *text, char *buffer, size_t size)
{
    const char *space = text->function[0] != '\0' ? " " : "";
    if (text->line != 0) {
        (void)snprintf(buffer, size, "%s%s%s:%u", text->function, space, text->file, text->line);
    } else {
        (void)snprintf(buffer, size, "%s%s%s+0x%llx", text->function, space, text->file,
                       (unsigned long long)text->offset);
    }
}

void symbol_site(const symbols *s, const trace_site *site, char *buffer, size_t size)
{
    size_t count;
    if (site == NULL || (site->count == 0 && site->text[0] == '\0')) {
        (void)snprintf(buffer, size, "(unknown)");
    } else if (site->text[0] != '\0') {
        (void)snprintf(buffer, size, "%s", site->text);
    } else {
        symbol_text(symbols_of(s, site->frames[0], &count), buffer, size);
    }
}

const char *symbols_hint(void)
{
    return sites_hint();
}
