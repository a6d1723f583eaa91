/* sites without debug information: module+offset, as the dynamic linker knows it. */
#include "sites/module.h"

size_t sites_plain(const site_address *addresses, size_t count, site_text *ret_texts, size_t most)
{
    size_t found = 0;
    for (size_t i = 0; i < count && found < most; i++) {
        if (site_in_module(&addresses[i], &ret_texts[found])) {
            ret_texts[found++].address = i;
        }
    }
    return found;
}
