/* image: what saving and opening have in common; see image.h. */
#include "manager/image.h"

#include "base/xxh3.h"
#include "os/os.h"

#include <string.h>

uint64_t image_lay_out(const uint64_t bytes[PARTS], uint64_t ret_at[PARTS])
{
    uint64_t end = OS_PAGE; /* behind the header */
    for (unsigned part = 0; part < PARTS; part++) {
        ret_at[part] = end;
        end += fief_round_up(bytes[part], OS_PAGE);
    }
    return end;
}

uint64_t image_hash(const void *pages, size_t size)
{
    return size != 0 ? xxh3(pages, size, IMAGE_VERSION) : 0;
}

uint64_t image_hash_header(const image_header *header)
{
    unsigned char first[OS_PAGE] = {0};
    image_header copy = *header;
    copy.hash = 0;
    memcpy(first, &copy, sizeof copy);
    return image_hash(first, sizeof first);
}
