/* range: address space with its metadata; see space.h. */
#include "core/ledger.h"

#include "base/size.h"
#include "guard.h"
#include "os/os.h"

#include <string.h>

/* What a range holds beyond this is of huge pages, so that it holds up to 2 MiB more than is used:
 * an eighth at most. A span that fills one may have it earlier, as an arena's do. A guarded build
 * may hold more anyway, and its living objects lie further apart. */
static const size_t huge_from = GUARD_SHUT ? 1 << 20 : 16 << 20;
static const size_t huge_from_if_filled = GUARD_SHUT ? 1 << 20 : 4 << 20;
enum { HEAD_SIZE = PAGE_SIZE, RESERVE_SMALLEST = 1 << 22,
       HEAD_REST = 3 * OS_PAGE /* in a caller's buffer: what a runtime describes when opened */ };

/* Bytes of descriptors that `pages` may need beside those in the head: 256 a page. */
static size_t more_bytes(size_t pages)
{
    return fief_round_up(pages * 256, OS_PAGE);
}

static size_t map_bytes(size_t pages)
{
    return fief_round_up(pages * sizeof(page), OS_PAGE);
}

/* Descriptors, page map, fence, spans: within `size` bytes from `start`. */
static void lay_out(fief_range *r, unsigned char *start, size_t size, size_t fence)
{
    size_t pages = size >> PAGE_SHIFT, align = range_is_roomy(r) ? HUGE_PAGE : PAGE_SIZE;
    size_t front = more_bytes(pages) + map_bytes(pages);
    uintptr_t base = fief_round_up((uintptr_t)start + front + fence, align);
    r->more_cursor = start;
    r->more_limit = start + more_bytes(pages);
    r->map = (page *)(void *)r->more_limit;
    r->base = start + (base - (uintptr_t)start);
    r->pages = (uint32_t)((size_t)(start + size - r->base) >> PAGE_SHIFT);
}

static fief_range *range_at(unsigned char *head, size_t head_size)
{
    _Static_assert(sizeof(fief_range) <= 128, "the page that it shares with a runtime is full");
    fief_range *r = (fief_range *)(void *)head;
    r->head_cursor = head + fief_round_up(sizeof *r, 64);
    r->head_limit = head + head_size;
    r->head_used = r->head_cursor;
    return r;
}

fief_range *range_open(size_t reserve_bytes)
{
    unsigned char *head = os_map(HEAD_SIZE);
    for (size_t bytes = reserve_bytes; head != NULL && bytes >= RESERVE_SMALLEST; bytes /= 2) {
        unsigned char *reserve = os_reserve(bytes);
        if (reserve != NULL) {
            fief_range *r = range_at(head, HEAD_SIZE);
            r->reserve = reserve;
            r->reserve_size = bytes;
            r->asked = reserve_bytes;
            lay_out(r, reserve, bytes, OS_PAGE);
            r->more_used = r->more_cursor;
            return r;
        }
    }
    if (head != NULL) {
        os_release(head, HEAD_SIZE);
    }
    return NULL;
}

static size_t head_for(size_t root_size)
{
    return fief_round_up(sizeof(fief_range), 64) + fief_round_up(root_size, 64) + HEAD_REST;
}

size_t range_minimum(size_t root_size, bool ledger)
{
    size_t least = more_bytes(6) + map_bytes(6) + (size_t)6 * PAGE_SIZE;
    return (size_t)2 * FIEF_ALIGN + head_for(root_size) + least +
           (ledger ? least / 4 + OS_PAGE : 0);
}

/* `span` is what the pages up to `until` are needed for. */
static bool is_huge(const fief_range *r, uint32_t until, size_t span)
{
    size_t from = span << PAGE_SHIFT >= HUGE_PAGE ? huge_from_if_filled : huge_from;
    return r->huge || (size_t)until << PAGE_SHIFT > from;
}

/* How many pages are to be usable so that `pages` are, and no huge page is cut: of each page,
 * 1 << shift bytes lie at `base`. */
static uint32_t uncut(const fief_range *r, const void *base, uint32_t pages, unsigned shift)
{
    uintptr_t end = (uintptr_t)base + ((size_t)pages << shift);
    size_t more = (fief_round_up(end, HUGE_PAGE) - end) >> shift;
    return more < r->pages - pages ? pages + (uint32_t)more : r->pages;
}

static bool commit(unsigned char *start, size_t bytes, bool huge)
{
    if (!os_commit(start, bytes)) {
        return false;
    }
    if (huge) {
        os_huge_pages(start, bytes);
    }
    return true;
}

static bool commit_ledger(fief_range *r, uint32_t until, bool huge)
{
    uint32_t from = r->ledger_pages;
    if (from >= until) {
        return true;
    }
    until = huge ? uncut(r, r->ledger, until, PAGE_SHIFT - LEDGER_SHIFT) : until;
    unsigned char *start = (unsigned char *)r->ledger + ledger_bytes(from);
    if (!commit(start, ledger_bytes(until - from), huge)) {
        return false;
    }
    r->ledger_pages = until;
    return true;
}

bool range_ledger(fief_range *r)
{
    if (r->ledger == NULL) {
        r->ledger = os_reserve(ledger_bytes(r->pages));
        r->ledger_pages = 0;
        if (r->ledger != NULL && !range_place_part(r, r->ledger, ledger_bytes(r->pages))) {
            os_release(r->ledger, ledger_bytes(r->pages));
            r->ledger = NULL;
        }
    }
    return r->ledger != NULL && commit_ledger(r, r->committed, is_huge(r, r->committed, 0));
}

bool range_commit(fief_range *r, uint32_t until, size_t span, bool ledger)
{
    bool huge = is_huge(r, until, span);
    unsigned char *start = r->base + ((size_t)r->committed << PAGE_SHIFT);
    until = huge ? uncut(r, r->base, until, PAGE_SHIFT) : until;
    size_t bytes = (size_t)(until - r->committed) << PAGE_SHIFT;
    if ((ledger && !commit_ledger(r, until, huge)) || !commit(start, bytes, huge)) {
        return false;
    }
    os_dump(start, bytes);
    r->has_huge |= huge;
    r->committed = until;
    return true;
}

fief_range *range_in(void *buffer, size_t size, size_t root_size, bool ledger)
{
    size_t skip = (0 - (uintptr_t)buffer) & (FIEF_ALIGN - 1);
    unsigned char *start = (unsigned char *)buffer + skip;
    size_t head_size = fief_round_up(head_for(root_size), FIEF_ALIGN);
    memset(start, 0, sizeof(fief_range));
    fief_range *r = range_at(start, head_size);
    size = (size - skip - head_size) & ~(size_t)(FIEF_ALIGN - 1);
    if (ledger) { /* at the end: of five bytes, four are for spans and one for records */
        size_t part = size / ((1 << LEDGER_SHIFT) + 1) & ~(size_t)(FIEF_ALIGN - 1);
        size -= part;
        r->ledger = (record *)(void *)(start + head_size + size);
        memset(r->ledger, 0, part);
        r->ledger_pages = UINT32_MAX;
    }
    lay_out(r, start + head_size, size, 0);
    memset(r->map, 0, map_bytes(r->pages));
    r->head_used = r->head_limit; /* the caller's bytes are not zero */
    r->more_used = r->more_limit;
    r->committed = r->pages;
    r->map_ready = true;
    return r;
}

workspace *workspace_take(fief_range *r, size_t size)
{
    size_t whole = fief_round_up(sizeof(workspace) + size, OS_PAGE);
    workspace *kept = r->workspace;
    if (kept != NULL && kept->size >= whole) {
        r->workspace = NULL;
        return kept;
    }
    workspace *fresh = os_map(whole);
    if (fresh != NULL) {
        fresh->size = whole;
    }
    return fresh;
}

void workspace_give(fief_range *r, workspace *done, size_t most)
{
    if ((r->kept || r->recycled) && done->size <= most) {
        workspace_drop(r);
        r->workspace = done;
    } else {
        os_release(done, done->size);
    }
}

void workspace_drop(fief_range *r)
{
    workspace *kept = r->workspace;
    if (kept != NULL) {
        os_release(kept, kept->size);
        r->workspace = NULL;
    }
}

void range_close(fief_range *r)
{
    workspace_drop(r);
    if (r->reserve != NULL) {
        if (r->ledger != NULL) {
            os_release(r->ledger, ledger_bytes(r->pages));
        }
        os_release(r->reserve, r->reserve_size);
        os_release(r, range_head_bytes(r));
    }
}
