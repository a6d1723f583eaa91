#include "chunk.h"

uint32_t chunk_line(const chunk *c, size_t offset)
{
    uint32_t low = 0, high = c->line_count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (c->lines[middle].offset <= offset) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return high != 0 ? c->lines[low].line : 0;
}
