/* module+offset of an address: what both ways of finding sites fall back to. */
#ifndef FIEF_SITES_MODULE_H
#define FIEF_SITES_MODULE_H

#include "sites/sites.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/* The module that this library is linked into, if it is one of its own. */
static inline bool is_own_name(const char *function)
{
    return strncmp(function, "fief_", 5) == 0;
}

static inline size_t site_in_module(const void *address, site_text *ret_text)
{
    Dl_info info = {0};
    memset(ret_text, 0, sizeof *ret_text);
    ret_text->pc = address;
    if (dladdr(address, &info) == 0 || info.dli_fname == NULL) {
        (void)snprintf(ret_text->file, sizeof ret_text->file, "<unknown module>");
        return 1;
    }
    const char *name = strrchr(info.dli_fname, '/');
    (void)snprintf(ret_text->file, sizeof ret_text->file, "%s",
                   name != NULL ? name + 1 : info.dli_fname);
    ret_text->offset = (uintptr_t)address - (uintptr_t)info.dli_fbase;
    if (info.dli_sname != NULL) {
        (void)snprintf(ret_text->function, sizeof ret_text->function, "%s", info.dli_sname);
    }
    return 1;
}

#endif
