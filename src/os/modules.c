/* os/modules: the files that the process's code comes from, as the dynamic linker loaded them. */
#include "os/os.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { NOTE_MOST = 1024, HEADERS_MOST = 64 };

static int read_changes(struct dl_phdr_info *info, size_t size, void *argument)
{
    (void)size;
    *(uint64_t *)argument = info->dlpi_adds + info->dlpi_subs;
    return 1;
}

uint64_t os_module_changes(void)
{
    uint64_t changes = 0;
    (void)dl_iterate_phdr(read_changes, &changes);
    return changes;
}

/* ---- what tells one build of a file from another: its layout and its notes (the build id) ---- */

static uint64_t mix(uint64_t hash, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ at[i]) * 0x100000001B3u;
    }
    return hash;
}

static size_t note_size(const ElfW(Phdr) *header)
{
    return header->p_filesz < NOTE_MOST ? header->p_filesz : NOTE_MOST;
}

static uint64_t identity_in_memory(const struct dl_phdr_info *info)
{
    uint64_t hash = mix(0, info->dlpi_phdr, info->dlpi_phnum * sizeof *info->dlpi_phdr);
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type == PT_NOTE) {
            hash = mix(hash, (const void *)(info->dlpi_addr + header->p_vaddr), note_size(header));
        }
    }
    return hash;
}

static uint64_t identity_in_file(int file)
{
    ElfW(Ehdr) top;
    ElfW(Phdr) headers[HEADERS_MOST];
    char note[NOTE_MOST];
    if (pread(file, &top, sizeof top, 0) != (ssize_t)sizeof top || top.e_phnum > HEADERS_MOST) {
        return 0;
    }
    size_t bytes = top.e_phnum * sizeof headers[0];
    if (pread(file, headers, bytes, (off_t)top.e_phoff) != (ssize_t)bytes) {
        return 0;
    }
    uint64_t hash = mix(0, headers, bytes);
    for (size_t i = 0; i < top.e_phnum; i++) {
        size_t size = note_size(&headers[i]);
        if (headers[i].p_type != PT_NOTE) {
            continue;
        }
        if (pread(file, note, size, (off_t)headers[i].p_offset) != (ssize_t)size) {
            return 0;
        }
        hash = mix(hash, note, size);
    }
    return hash;
}

bool os_module_is_file(const os_module *module)
{
    int file = open(module->path, O_RDONLY | O_CLOEXEC);
    bool is_it = file >= 0 && identity_in_file(file) == module->identity;
    if (file >= 0) {
        (void)close(file);
    }
    return is_it;
}

/* ---- the list ---- */

typedef struct list {
    os_module *modules;
    size_t count, most;
} list;

/* The program has no name of its own there. */
static bool copy_path(os_module *module, const char *name, bool is_program)
{
    ssize_t length = -1;
    if (name[0] != '\0') {
        length = snprintf(module->path, sizeof module->path, "%s", name);
    } else if (is_program) {
        length = readlink("/proc/self/exe", module->path, sizeof module->path - 1);
    }
    bool fits = length > 0 && (size_t)length < sizeof module->path - 1;
    module->path[fits ? length : 0] = '\0';
    return fits;
}

static int add_module(struct dl_phdr_info *info, size_t size, void *argument)
{
    list *l = argument;
    (void)size;
    if (l->count == l->most) {
        return 1;
    }
    os_module *module = &l->modules[l->count];
    *module = (os_module){.bias = info->dlpi_addr, .start = UINTPTR_MAX};
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + header->p_vaddr;
        if (header->p_type == PT_LOAD) {
            module->start = start < module->start ? start : module->start;
            module->end = start + header->p_memsz > module->end ? start + header->p_memsz
                                                                : module->end;
        }
    }
    module->start &= ~(uintptr_t)(OS_PAGE - 1);
    module->identity = identity_in_memory(info);
    l->count += copy_path(module, info->dlpi_name, l->count == 0);
    return 0;
}

size_t os_modules(os_module *ret_modules, size_t most)
{
    list l = {ret_modules, 0, most};
    (void)dl_iterate_phdr(add_module, &l);
    return l.count;
}

/* ---- the machine's calls ---- */

#ifdef __x86_64__
/* e8 and a distance, or ff /2 with what its operand needs. */
bool os_ends_in_call(const unsigned char *bytes)
{
    static const unsigned char indirect[] = {0, 1, 3, 4, 5};
    bool found = bytes[2] == 0xE8;
    for (size_t i = 0; i < sizeof indirect; i++) {
        const unsigned char *at = bytes + indirect[i];
        found = found || (at[0] == 0xFF && (at[1] >> 3 & 7) == 2);
    }
    return found;
}
#else
bool os_ends_in_call(const unsigned char *bytes)
{
    (void)bytes;
    return true;
}
#endif
