/* sites without debug information: module+offset, as the dynamic linker knows it. */
#include "sites/sites.h"

#include "sites/module.h"

size_t sites_find(const void *const *addresses, size_t count, site_text *ret_texts, size_t most)
{
    size_t found = 0;
    for (size_t i = 0; i < count && found < most; i++) {
        found += site_in_module(addresses[i], &ret_texts[found]);
        ret_texts[found - 1].address = i;
    }
    return found;
}

const char *sites_hint(void)
{
    return "function and line need libdw: install libdw-dev and build again";
}
