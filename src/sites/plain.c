/* sites without debug information: module+offset, as the dynamic linker knows it. */
#include "sites/sites.h"

#include "sites/module.h"

size_t sites_find(const site_address *addresses, size_t count, site_text *ret_texts, size_t most)
{
    return sites_in_modules(addresses, count, ret_texts, most);
}

const char *sites_hint(void)
{
    return "function and line need libdw: install libdw-dev and build again";
}
