/* module+offset of an address: what both ways of finding sites fall back to. */
#ifndef FIEF_SITES_MODULE_H
#define FIEF_SITES_MODULE_H

#include "sites/sites.h"

#include <stdio.h>
#include <string.h>

static inline const char *file_of(const os_module *module)
{
    const char *name = strrchr(module->path, '/');
    return name != NULL ? name + 1 : module->path;
}

/* This library, while it is a file of its own; linked into a host's, it has only its names. */
static inline bool is_own_module(const os_module *module)
{
    return strncmp(file_of(module), "libfief.so", 10) == 0;
}

/* False: the frame is not shown. */
static inline bool site_in_module(const site_address *address, site_text *ret_text)
{
    const os_module *module = address->module;
    *ret_text = (site_text){.pc = address->pc};
    if (module == NULL) {
        (void)snprintf(ret_text->file, sizeof ret_text->file, "<unknown module>");
        return !address->outer;
    }
    (void)snprintf(ret_text->file, sizeof ret_text->file, "%s", file_of(module));
    ret_text->offset = (uintptr_t)address->pc - module->start;
    return !is_own_module(module);
}

#endif
