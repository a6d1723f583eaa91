/* sites: return addresses become function, file and line. libdw.c asks elfutils, in a child
 * process, so that a broken heap or a lock that is held cannot stop the report; none.c stands in
 * where there is no libdw; plain.c gives module+offset, for both. meson chooses. */
#ifndef FIEF_SITES_H
#define FIEF_SITES_H

#include "os/os.h"

enum { SITES_WAIT_MS = 3000 }; /* at most, for a child that finds them */

/* A return address, and the file that its code was of: NULL where no file was, or it is unknown. */
typedef struct site_address {
    const void *pc;
    const os_module *module;
    bool outer; /* found by walking: it may be no return address at all */
} site_address;

typedef struct site_text {
    const void *pc;
    size_t address;    /* which of those that were asked for; inlined frames have the same */
    char function[96]; /* "" where unknown */
    char file[200];    /* the source file, or the module */
    unsigned line;     /* 0: `file` is a module, and offset lies in it */
    uint64_t offset;
    char source[120]; /* the line itself, or "" */
} site_text;

/* The frames behind these return addresses, inlined ones too, the library's own left out: at most
 * `most`, in order. Returns how many. */
size_t sites_find(const site_address *addresses, size_t count, site_text *ret_texts, size_t most);
/* The same in this process, which may fail with it: for a child that is there for a report. */
size_t sites_find_here(const site_address *addresses, size_t count, site_text *ret_texts,
                       size_t most);
/* Module and offset only: takes no memory and no lock. */
size_t sites_plain(const site_address *addresses, size_t count, site_text *ret_texts, size_t most);
/* What to do for more, or NULL. */
const char *sites_hint(void);

#endif
