/* sites where the library was built without libdw. */
#include "sites/sites.h"

size_t sites_find(const site_address *addresses, size_t count, site_text *ret_texts, size_t most)
{
    return sites_plain(addresses, count, ret_texts, most);
}

size_t sites_find_here(const site_address *addresses, size_t count, site_text *ret_texts,
                       size_t most)
{
    return sites_plain(addresses, count, ret_texts, most);
}

const char *sites_hint(void)
{
    return "function and line need libdw: install libdw-dev and build again";
}
