#include "core/space.h"

#include "base/size.h"
#include "os/os.h"

#include <string.h>

enum { META_MIN = 64, COMMIT_STEP = 16, RESERVE_SMALLEST = 1 << 22 };
#define NO_PAGE UINT32_MAX

/* Bytes of descriptors that a range of `pages` may need: a 256-byte share of each page. */
static size_t meta_bytes(size_t root_size, size_t pages)
{
    return fief_round_up(root_size + pages * 256 + 4096, PAGE_SIZE / 16);
}

static size_t map_bytes(size_t pages)
{
    return fief_round_up(pages * sizeof(page), PAGE_SIZE / 16);
}

size_t space_minimum(size_t root_size)
{
    return meta_bytes(root_size, 4) + map_bytes(4) + 5 * (size_t)PAGE_SIZE;
}

static void lay_out(space *s, unsigned char *start, size_t size, size_t root_size)
{
    size_t pages = size >> PAGE_SHIFT;
    size_t head = meta_bytes(root_size, pages) + map_bytes(pages);
    s->meta_cursor = start;
    s->meta_limit = start + meta_bytes(root_size, pages);
    s->map = (page *)(void *)s->meta_limit;
    uintptr_t base = fief_round_up((uintptr_t)start + head + (s->reserve ? 4096 : 0), PAGE_SIZE);
    s->base = start + (base - (uintptr_t)start);
    s->pages = (uint32_t)((size_t)(start + size - s->base) >> PAGE_SHIFT);
    for (size_t i = 0; i < SPACE_BINS; i++) {
        s->bins[i] = NO_PAGE;
    }
}

/* Halves the reserve until the OS agrees. */
static unsigned char *reserve_what_fits(space *s, size_t bytes, size_t root_size)
{
    for (; bytes >= RESERVE_SMALLEST; bytes /= 2) {
        unsigned char *start = os_reserve(bytes);
        if (start == NULL) {
            continue;
        }
        s->reserve = start;
        s->reserve_size = bytes;
        lay_out(s, start, bytes, root_size);
        size_t head = (size_t)((unsigned char *)s->map - start) +
                      map_bytes(s->pages);
        if (os_commit(start, head)) {
            return start;
        }
        os_release(start, bytes);
    }
    return NULL;
}

void *space_open(size_t reserve_bytes, void *buffer, size_t buffer_size, size_t root_size,
                 space *ret_space)
{
    space s = {0};
    if (buffer != NULL) {
        size_t skip = (0 - (uintptr_t)buffer) & (FIEF_ALIGN - 1);
        unsigned char *start = (unsigned char *)buffer + skip;
        lay_out(&s, start, buffer_size - skip, root_size);
        memset(start, 0, (size_t)(s.base - start));
        s.committed = s.pages;
    } else if (reserve_what_fits(&s, reserve_bytes, root_size) == NULL) {
        return NULL;
    }
    *ret_space = s;
    return space_meta(ret_space, root_size);
}

void space_close(space *s)
{
    if (s->reserve != NULL) {
        os_release(s->reserve, s->reserve_size);
    }
}

/* ---- free runs ---- */

static unsigned bin_of(size_t pages)
{
    return log2_floor(pages);
}

static void run_unlink(space *s, uint32_t run)
{
    page *entry = &s->map[run];
    unsigned bin = bin_of(entry->length);
    if (entry->prev != NO_PAGE) {
        s->map[entry->prev].first = entry->first;
    } else {
        s->bins[bin] = entry->first;
        if (entry->first == NO_PAGE) {
            s->bin_bits &= ~(1u << bin);
        }
    }
    if (entry->first != NO_PAGE) {
        s->map[entry->first].prev = entry->prev;
    }
}

static void run_link(space *s, uint32_t run, uint32_t length)
{
    unsigned bin = bin_of(length);
    page entry = {.kind = PAGE_FREE, .length = length, .first = s->bins[bin], .prev = NO_PAGE};
    s->map[run + length - 1] = (page){.kind = PAGE_FREE, .length = length};
    s->map[run] = entry;
    if (entry.first != NO_PAGE) {
        s->map[entry.first].prev = run;
    }
    s->bins[bin] = run;
    s->bin_bits |= 1u << bin;
}

static uint32_t run_find(const space *s, size_t pages)
{
    for (unsigned bin = bin_of(pages); bin < SPACE_BINS; bin++) {
        if (s->bin_bits >> bin == 0) {
            break;
        }
        for (uint32_t run = s->bins[bin]; run != NO_PAGE; run = s->map[run].first) {
            if (s->map[run].length >= pages) {
                return run;
            }
        }
    }
    return NO_PAGE;
}

/* Puts pages [first, first + length) among the free ones, merged with free neighbours. */
static void run_free(space *s, uint32_t first, uint32_t length)
{
    uint32_t end = first + length;
    if (end < s->frontier && !s->map[end].used) {
        uint32_t more = s->map[end].length;
        run_unlink(s, end);
        end += more;
    }
    if (first > 0 && !s->map[first - 1].used) {
        uint32_t before = s->map[first - 1].length;
        run_unlink(s, first - before);
        first -= before;
    }
    run_link(s, first, end - first);
}

/* ---- spans ---- */

static void own(space *s, uint32_t first, size_t from, size_t pages, page_kind kind, void *owner)
{
    for (size_t i = from; i < pages; i++) {
        s->map[first + i] = (page){.kind = (uint8_t)kind, .used = 1, .first = first,
                                   .length = (uint32_t)pages, .owner = owner};
    }
    s->map[first].length = (uint32_t)pages;
}

static void hold(space *s, size_t pages)
{
    s->held += pages << PAGE_SHIFT;
    if (s->held > s->held_peak) {
        s->held_peak = s->held;
    }
}

/* Moves the frontier, committing in steps that grow with the space. */
static bool advance(space *s, size_t pages)
{
    if (pages > s->pages - s->frontier) {
        return false;
    }
    size_t end = s->frontier + pages;
    if (end > s->committed) {
        size_t step = s->committed / 4 > COMMIT_STEP ? s->committed / 4 : COMMIT_STEP;
        size_t until = s->committed + step > end ? s->committed + step : end;
        until = until < s->pages ? until : s->pages;
        if (!os_commit(page_start(s, s->committed), (until - s->committed) << PAGE_SHIFT)) {
            return false;
        }
        s->committed = (uint32_t)until;
    }
    s->frontier = (uint32_t)end;
    return true;
}

unsigned char *space_take(space *s, size_t pages, page_kind kind, void *owner)
{
    if (pages == 0 || pages > s->pages) {
        return NULL;
    }
    uint32_t run = run_find(s, pages);
    if (run == NO_PAGE) {
        run = s->frontier;
        if (!advance(s, pages)) {
            return NULL;
        }
    } else {
        uint32_t length = s->map[run].length;
        run_unlink(s, run);
        size_t bytes = pages << PAGE_SHIFT;
        s->dirty -= s->dirty < bytes ? s->dirty : bytes;
        if (length > pages) {
            run_link(s, run + (uint32_t)pages, length - (uint32_t)pages);
        }
    }
    own(s, run, 0, pages, kind, owner);
    hold(s, pages);
    return page_start(s, run);
}

bool space_extend(space *s, unsigned char *span, size_t old_pages, size_t new_pages)
{
    page *head = space_page(s, span);
    uint32_t first = head->first, end = first + (uint32_t)old_pages;
    size_t more = new_pages - old_pages;
    if (end == s->frontier) {
        if (!advance(s, more)) {
            return false;
        }
    } else {
        uint32_t length = s->map[end].used ? 0 : s->map[end].length;
        if (length < more) {
            return false;
        }
        run_unlink(s, end);
        if (length > more) {
            run_link(s, end + (uint32_t)more, length - (uint32_t)more);
        }
    }
    own(s, first, old_pages, new_pages, (page_kind)head->kind, head->owner);
    hold(s, more);
    return true;
}

void space_give(space *s, unsigned char *span, size_t pages, size_t keep_pages)
{
    uint32_t first = (uint32_t)((size_t)(span - s->base) >> PAGE_SHIFT);
    size_t freed = pages - keep_pages, bytes = freed << PAGE_SHIFT;
    s->held -= bytes;
    if (keep_pages > 0) {
        s->map[first].length = (uint32_t)keep_pages;
    }
    if (s->dirty + bytes > s->retain && s->reserve != NULL) {
        os_discard(span + (keep_pages << PAGE_SHIFT), bytes);
    } else {
        s->dirty += bytes;
    }
    run_free(s, first + (uint32_t)keep_pages, (uint32_t)freed);
}

bool space_move(space *s, unsigned char *from, unsigned char *to, size_t bytes)
{
    return s->reserve != NULL && os_move(from, to, bytes);
}

size_t space_trim(space *s)
{
    size_t bytes = s->dirty;
    for (unsigned bin = 0; s->reserve != NULL && bin < SPACE_BINS; bin++) {
        for (uint32_t run = s->bins[bin]; run != NO_PAGE; run = s->map[run].first) {
            os_discard(page_start(s, run), (size_t)s->map[run].length << PAGE_SHIFT);
        }
    }
    s->dirty = 0;
    return bytes;
}

/* ---- descriptors ---- */

static unsigned meta_class(size_t size)
{
    return size <= META_MIN ? 0 : log2_floor(size - 1) + 1 - log2_floor(META_MIN);
}

void *space_meta(space *s, size_t size)
{
    unsigned class_index = meta_class(size);
    if (class_index < META_CLASSES && s->meta_vacant[class_index] != NULL) {
        void *block = s->meta_vacant[class_index];
        memcpy(&s->meta_vacant[class_index], block, sizeof(void *));
        return memset(block, 0, size);
    }
    size_t step = class_index < META_CLASSES ? (size_t)META_MIN << class_index
                                             : fief_round_up(size, META_MIN);
    if (step > (size_t)(s->meta_limit - s->meta_cursor)) {
        return NULL;
    }
    void *block = s->meta_cursor;
    s->meta_cursor += step;
    return block;
}

void space_meta_give(space *s, void *block, size_t size)
{
    unsigned class_index = meta_class(size);
    if (class_index < META_CLASSES) {
        memcpy(block, &s->meta_vacant[class_index], sizeof(void *));
        s->meta_vacant[class_index] = block;
    }
}
