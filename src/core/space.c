#include "core/idle.h"
#include "core/ledger.h"

#include "base/size.h"
#include "guard.h"
#include "os/os.h"

#include <string.h>

enum { META_MIN = 64, COMMIT_STEP = 16, HUGE_PAGES = HUGE_PAGE >> PAGE_SHIFT };
#define NO_PAGE UINT32_MAX

void space_open(space *s, fief_range *r, size_t retain)
{
    *s = (space){.base = r->base, .map = r->map, .pages = r->pages, .range = r,
                 .retain = (uint32_t)(retain >> PAGE_SHIFT < r->pages ? retain >> PAGE_SHIFT
                                                                      : r->pages),
                 .meta_cursor = r->head_cursor, .meta_limit = r->head_limit,
                 .meta_used = r->head_used};
    memset(s->bins, 0xFF, sizeof s->bins); /* NO_PAGE */
    r->taken = true;
}

bool space_keep_ledger(space *s)
{
    bool has_room = s->range->reserve != NULL || s->range->ledger != NULL;
    s->ledger = has_room && range_ledger(s->range) ? s->range->ledger : NULL;
    return s->ledger != NULL;
}

static size_t record_bytes(size_t pages)
{
    return (pages << PAGE_SHIFT) >> LEDGER_SHIFT;
}

/* The records of pages [first, first + pages) are forgotten: many by the system, since few are
 * sooner cleared than touched anew. */
enum { DISCARD_FROM = 16 };

static void ledger_forget(const space *s, uint32_t first, size_t pages)
{
    record *from = ledger_at(s, page_start(s, first));
    if (pages > DISCARD_FROM && s->range->reserve != NULL) {
        os_discard(from, record_bytes(pages));
    } else {
        memset(from, 0, record_bytes(pages));
    }
}

/* Of the pages that stay warm, the records of the first few MiB stay warm as well: cleared sooner
 * than touched anew. */
enum { WARM_RECORDS = 64 };

static void ledger_leave(const space *s)
{
    uint32_t warm = s->retain < s->frontier ? s->retain : s->frontier;
    warm = warm < WARM_RECORDS ? warm : WARM_RECORDS;
    memset(s->ledger, 0, record_bytes(warm));
    if (warm != s->frontier) {
        os_discard((unsigned char *)s->ledger + record_bytes(warm),
                   record_bytes(s->frontier - warm));
    }
}

static bool in_head(const space *s)
{
    return s->meta_limit == s->range->head_limit;
}

/* Leaves the range as the next runtime wants it: an empty map, and no more warm pages than this
 * runtime was allowed to keep. */
static void leave(const space *s)
{
    fief_range *r = s->range;
    if (s->apart) {
        range_mix(r);
    }
    unsigned char **used = in_head(s) ? &r->head_used : &r->more_used;
    *used = *used > s->meta_cursor ? *used : s->meta_cursor;
    if (!in_head(s)) {
        r->head_used = r->head_limit;
    }
    if (s->frontier > s->retain) {
        os_discard(page_start(s, s->retain), (size_t)(s->frontier - s->retain) << PAGE_SHIFT);
    }
    memset(r->map, 0, s->frontier * sizeof *r->map);
    if (s->ledger != NULL && s->frontier != 0) {
        ledger_leave(s);
    }
    r->taken = false;
}

void space_leaving(space *s)
{
    s->leaving = !GUARD_SHUT;
}

void space_close(const space *s)
{
    fief_range *range = s->range; /* which s may lie in */
    if (range->kept || range->recycled) {
        leave(s);
    }
    if (!range->kept && !(range->recycled && !range_is_mixed(range) && idle_put(range))) {
        range_close(range);
    }
}

/* ---- warm pages: free, and touched. What is beyond `retain` of them goes back to the system in
 *      instalments, the highest first: an eighth of what is given back each time, and as much as is
 *      taken of pages that are not warm, so that what the process has does not grow meanwhile. So
 *      the end of an arena need not wait for the system, and the next arena finds its pages ---- */

enum { PARTS = 8, WAITING_MOST = (32 << 20) >> PAGE_SHIFT, LOOKS = 4096 };

/* They are free, and about to be used, or given to the system. How many were warm? */
static uint32_t cool(space *s, uint32_t first, uint32_t end)
{
    uint32_t warm = 0;
    for (uint32_t i = first; i < end; i++) {
        warm += s->map[i].warm;
        s->map[i].warm = 0;
    }
    s->warm -= warm;
    return warm;
}

static void discard_pages(space *s, uint32_t first, uint32_t end)
{
    space_discard(page_start(s, first), (size_t)(end - first) << PAGE_SHIFT);
}

/* All of them are free, and one is warm at least. */
static bool is_warm(const space *s, uint32_t first, uint32_t end)
{
    bool warm = false;
    while (first < end && !s->map[first].used) {
        warm |= s->map[first].warm;
        first++;
    }
    return warm && first == end;
}

/* Huge pages go whole, or the system would have to split them; unless nothing is to stay. */
static uint32_t instalment_unit(const space *s)
{
    const fief_range *r = s->range;
    return s->retain != 0 && r->has_huge && range_is_roomy(r) ? HUGE_PAGES : 1;
}

/* The next place to look at below this one, where nothing can go. */
static uint32_t below(const space *s, uint32_t end, uint32_t unit)
{
    const page *last = &s->map[end - 1];
    return (last->used && last->first < end - unit ? last->first : end - unit) & ~(unit - 1);
}

/* From the highest that may be warm downwards; it stops after a while. */
static void give_highest(space *s, uint32_t pages, uint32_t unit)
{
    uint32_t end = s->cooled & ~(unit - 1);
    for (unsigned looks = LOOKS; pages >= unit && end != 0 && looks > 0; looks--) {
        uint32_t first = end;
        while (first != 0 && end - first + unit <= pages && is_warm(s, first - unit, first)) {
            first -= unit;
        }
        if (first != end) {
            pages -= cool(s, first, end);
            discard_pages(s, first, end);
        }
        end = first != end ? first : below(s, end, unit);
    }
    s->cooled = end;
}

/* What is beyond `retain` may wait, but not too much of it; twice as much where it lies in huge
 * pages that are partly used, and then these are split. */
static void pay_back(space *s, uint32_t parts)
{
    if (s->warm <= s->retain || s->range->reserve == NULL || s->leaving) {
        s->due = 0;
        return;
    }
    s->due += parts;
    if (s->together) {
        return;
    }
    uint32_t unit = instalment_unit(s);
    uint32_t waiting = s->warm - s->retain;
    uint32_t most = s->retain < WAITING_MOST / PARTS ? PARTS * s->retain : WAITING_MOST;
    uint32_t now = s->due / PARTS & ~(unit - 1);
    s->due -= PARTS * now;
    now = waiting > most && waiting - most > now ? waiting - most : now;
    if (unit != 1 && waiting > 2 * most) {
        unit = 1;
        s->cooled = s->frontier;
    }
    give_highest(s, now < waiting ? now : waiting, unit);
}

/* Free pages were given back: the search begins where they lie, if some of them may go. */
static void look_from(space *s, uint32_t run, uint32_t given_end)
{
    uint32_t unit = instalment_unit(s), end = run + s->map[run].length;
    uint32_t first = (run + unit - 1) & ~(unit - 1);
    given_end = (given_end + unit - 1) & ~(unit - 1);
    end = (end < given_end ? end : given_end) & ~(unit - 1);
    if (end > first && end > s->cooled) {
        s->cooled = end;
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
    page *last = &s->map[run + length - 1];
    page entry = {.kind = PAGE_FREE, .warm = s->map[run].warm, .length = length,
                  .first = s->bins[bin], .prev = NO_PAGE};
    *last = (page){.kind = PAGE_FREE, .warm = last->warm, .length = length};
    s->map[run] = entry;
    if (entry.first != NO_PAGE) {
        s->map[entry.first].prev = run;
    }
    s->bins[bin] = run;
    s->bin_bits |= 1u << bin;
}

/* Pages from `first` to where a span of this alignment, a power of two of pages, may start. */
static uint32_t lead_of(uint32_t first, uint32_t align)
{
    return (0 - first) & (align - 1);
}

static uint32_t run_find(const space *s, size_t pages, uint32_t align)
{
    for (unsigned bin = bin_of(pages); bin < SPACE_BINS; bin++) {
        if (s->bin_bits >> bin == 0) {
            break;
        }
        for (uint32_t run = s->bins[bin]; run != NO_PAGE; run = s->map[run].first) {
            if (s->map[run].length >= lead_of(run, align) + pages) {
                return run;
            }
        }
    }
    return NO_PAGE;
}

/* Puts pages [first, first + length) among the free ones, merged with free neighbours. Where the
 * run begins. */
static uint32_t run_free(space *s, uint32_t first, uint32_t length)
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
    return first;
}

/* ---- spans ---- */

void space_own(space *s, uint32_t first, size_t from, size_t pages, page_kind kind, void *owner)
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

/* The page map and the rest of the descriptors become usable with the first span. */
static bool map_ready(fief_range *r)
{
    size_t size = (size_t)((unsigned char *)(r->map + r->pages) - r->more_cursor);
    if (!r->map_ready) {
        r->map_ready = os_commit(r->more_cursor, fief_round_up(size, OS_PAGE));
        os_small_pages(r->more_cursor, fief_round_up(size, OS_PAGE));
    }
    return r->map_ready;
}

/* Moves the frontier, of which a span fills so many pages, committing in steps that grow with the
 * space. */
static bool advance(space *s, size_t pages, size_t filled)
{
    fief_range *r = s->range;
    if (pages > s->pages - s->frontier || !map_ready(r)) {
        return false;
    }
    size_t end = s->frontier + pages;
    if (end > r->committed) {
        size_t step = r->committed / 4 > COMMIT_STEP ? r->committed / 4 : COMMIT_STEP;
        size_t until = r->committed + step > end ? r->committed + step : end;
        until = until < s->pages ? until : s->pages;
        if (!range_commit(r, (uint32_t)until, filled, s->ledger != NULL)) {
            return false;
        }
    }
    s->frontier = (uint32_t)end;
    pay_back(s, PARTS * (uint32_t)filled);
    return true;
}

/* These pages of a vacant run, from the lead on, are used from now on. */
static void run_cut(space *s, uint32_t run, uint32_t lead, size_t pages)
{
    uint32_t end = run + s->map[run].length, used = run + lead + (uint32_t)pages;
    run_unlink(s, run);
    uint32_t warm = cool(s, run + lead, used);
    if (lead > 0) {
        run_link(s, run, lead);
    }
    if (end > used) {
        run_link(s, used, end - used);
    }
    pay_back(s, PARTS * ((uint32_t)pages - warm));
}

/* Pages for a span, which nobody uses: of a vacant run, or else of the frontier. */
static uint32_t room_for(space *s, size_t pages, uint32_t align)
{
    uint32_t run = run_find(s, pages, align), lead;
    if (run != NO_PAGE) {
        lead = lead_of(run, align);
        run_cut(s, run, lead, pages);
        return run + lead;
    }
    run = s->frontier;
    lead = lead_of(run, align);
    if (!advance(s, lead + pages, pages)) {
        return NO_PAGE;
    }
    if (lead > 0) {
        s->map[run + lead].used = 1; /* what is left out has no neighbour there */
        (void)run_free(s, run, lead);
    }
    return run + lead;
}

unsigned char *space_take(space *s, size_t pages, page_kind kind, void *owner)
{
    if (pages == 0 || pages > s->pages) {
        return NULL;
    }
    graves_settle(s);
    /* A span of whole huge pages begins where one does: so it goes without splitting any. */
    bool fills = pages % HUGE_PAGES == 0 && range_is_roomy(s->range);
    uint32_t run = fills ? room_for(s, pages, HUGE_PAGES) : NO_PAGE;
    run = run != NO_PAGE ? run : room_for(s, pages, 1);
    if (run == NO_PAGE) {
        return NULL;
    }
    space_own(s, run, 0, pages, kind, owner);
    hold(s, pages);
    if (s->apart) {
        space_settle(s, run, 0, pages);
    }
    return page_start(s, run);
}

unsigned char *space_take_most(space *s, size_t *pages, size_t least, page_kind kind, void *owner)
{
    unsigned char *start = space_take(s, *pages, kind, owner);
    while (start == NULL && *pages > least) {
        *pages = *pages / 2 > least ? *pages / 2 : least;
        start = space_take(s, *pages, kind, owner);
    }
    return start;
}

bool space_extend(space *s, unsigned char *span, size_t old_pages, size_t new_pages)
{
    page *head = space_page(s, span);
    uint32_t first = head->first, end = first + (uint32_t)old_pages;
    size_t more = new_pages - old_pages;
    if (end == s->frontier) {
        if (!advance(s, more, more)) { /* what grows by little may stop here */
            return false;
        }
    } else {
        uint32_t length = s->map[end].used ? 0 : s->map[end].length;
        if (length < more) {
            return false;
        }
        run_cut(s, end, 0, more);
    }
    space_own(s, first, old_pages, new_pages, (page_kind)head->kind, head->owner);
    hold(s, more);
    if (s->apart) {
        space_settle(s, first, old_pages, new_pages);
    }
    return true;
}

/* Nothing is lent in these pages, before and after; between, who discards them may touch them. */
void space_discard(unsigned char *start, size_t bytes)
{
    guard_forget(start, bytes);
    os_discard(start, bytes);
    guard_claim(start, bytes);
}

void space_give(space *s, unsigned char *span, size_t pages, size_t keep_pages)
{
    uint32_t first = (uint32_t)((size_t)(span - s->base) >> PAGE_SHIFT);
    size_t freed = pages - keep_pages, bytes = freed << PAGE_SHIFT;
    s->held -= bytes;
    bool dropped = s->apart && !s->leaving && space_unsettle(s, first, keep_pages, pages);
    if (s->ledger != NULL) {
        ledger_forget(s, first + (uint32_t)keep_pages, freed);
    }
    if (keep_pages > 0) {
        s->map[first].length = (uint32_t)keep_pages;
    }
    memset(&s->map[first + keep_pages], 0, freed * sizeof *s->map);
    for (size_t i = first + keep_pages; !dropped && i < first + pages; i++) {
        s->map[i].warm = 1;
        s->warm++;
    }
    uint32_t run = run_free(s, first + (uint32_t)keep_pages, (uint32_t)freed);
    look_from(s, run, first + (uint32_t)pages);
    pay_back(s, (uint32_t)freed);
}

void space_give_together(space *s, bool begin)
{
    s->together = begin;
    pay_back(s, 0);
}

bool space_move(space *s, unsigned char *from, unsigned char *to, size_t bytes)
{
    return s->range->reserve != NULL && os_move(from, to, bytes);
}

size_t space_trim(space *s)
{
    uint32_t pages = s->range->reserve != NULL ? s->warm : 0; /* the caller's bytes stay */
    for (unsigned bin = 0; s->range->reserve != NULL && bin < SPACE_BINS; bin++) {
        for (uint32_t run = s->bins[bin]; run != NO_PAGE; run = s->map[run].first) {
            uint32_t end = run + s->map[run].length;
            (void)cool(s, run, end);
            discard_pages(s, run, end);
        }
    }
    workspace_drop(s->range);
    return (size_t)pages << PAGE_SHIFT;
}

/* ---- descriptors ---- */

static unsigned meta_class(size_t size)
{
    return size <= META_MIN ? 0 : log2_floor(size - 1) + 1 - log2_floor(META_MIN);
}

/* The head is full: descriptors go on in the reserve. */
static bool leave_head(space *s, size_t step)
{
    fief_range *r = s->range;
    if (step > (size_t)(r->more_limit - r->more_cursor) || !map_ready(r)) {
        return false;
    }
    s->meta_cursor = r->more_cursor;
    s->meta_limit = r->more_limit;
    s->meta_used = r->more_used;
    return true;
}

void *space_keep(space *s, size_t size)
{
    size_t step = fief_round_up(size, META_MIN);
    if (step > (size_t)(s->meta_limit - s->meta_cursor) && !(in_head(s) && leave_head(s, step))) {
        return NULL;
    }
    unsigned char *block = s->meta_cursor;
    s->meta_cursor += step;
    return block < s->meta_used ? memset(block, 0, size) : block;
}

/* Vacant; of records of a caller's large buffer, mostly. */
typedef struct large_meta {
    struct large_meta *next;
    unsigned class_index;
} large_meta;

static void *take_large(space *s, unsigned class_index)
{
    for (large_meta **link = &s->meta_large; *link != NULL; link = &(*link)->next) {
        large_meta *vacant = *link;
        if (vacant->class_index == class_index) {
            *link = vacant->next;
            return vacant;
        }
    }
    return NULL;
}

static void *take_vacant(space *s, unsigned class_index)
{
    if (class_index >= META_CLASSES) {
        return take_large(s, class_index);
    }
    void *block = s->meta_vacant[class_index];
    if (block != NULL) {
        memcpy(&s->meta_vacant[class_index], block, sizeof(void *));
    }
    return block;
}

void *space_meta(space *s, size_t size)
{
    unsigned class_index = meta_class(size);
    void *block = take_vacant(s, class_index);
    return block != NULL ? memset(block, 0, size)
                         : space_keep(s, (size_t)META_MIN << class_index);
}

void space_meta_give(space *s, void *block, size_t size)
{
    unsigned class_index = meta_class(size);
    if (class_index < META_CLASSES) {
        memcpy(block, &s->meta_vacant[class_index], sizeof(void *));
        s->meta_vacant[class_index] = block;
    } else {
        large_meta *vacant = block;
        *vacant = (large_meta){s->meta_large, class_index};
        s->meta_large = vacant;
    }
}
