/* gather: see gather.h. */
#include "manager/gather.h"

#include "base/size.h"
#include "base/xxh64.h"
#include "core/image.h"
#include "guard.h"
#include "os/os.h"

#include <stdio.h>
#include <string.h>

enum { SCRATCH_FIRST = 64 << 10 };

/* A block's pointers are told to one of these: it is to be chosen, or copied. */
typedef bool pointer_work(gather *g, const gathered *block, size_t offset, const void *target);

/* The visit of a kind tells one of these. */
struct fief_pointers {
    gather *gather;
    const gathered *block;
    pointer_work *work;
};

bool gather_fail(gather *g, fief_status status, const char *format, ...)
{
    char text[sizeof((fief_error *)0)->text];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!g->failed) {
        (void)refuse(g->error, status, "%s", text);
    }
    g->failed = true;
    return false;
}

void *gather_scratch(gather *g, scratch *ret_scratch, size_t size)
{
    size_t whole = fief_round_up(size != 0 ? size : 1, OS_PAGE);
    *ret_scratch = (scratch){os_map(whole), whole};
    if (ret_scratch->start == NULL) {
        (void)gather_fail(g, FIEF_NO_MEMORY, "no memory to copy %s to: %zu bytes", g->from->name,
                          whole);
    }
    return ret_scratch->start;
}

void *gather_more(gather *g, scratch *s)
{
    scratch old = *s;
    void *more = gather_scratch(g, s, old.size != 0 ? 2 * old.size : SCRATCH_FIRST);
    if (more != NULL && old.start != NULL) {
        memcpy(more, old.start, old.size);
    }
    scratch_give(&old);
    return more;
}

void scratch_give(scratch *s)
{
    if (s->start != NULL) {
        os_release(s->start, s->size);
    }
    *s = (scratch){0};
}

void gather_end(gather *g)
{
    const space *pages = &g->r->core.space;
    if (g->own != NULL) {
        workspace_give(pages->range, g->own, (size_t)pages->retain << PAGE_SHIFT);
    }
}

/* ---- fingerprint ---- */

static uint64_t hash_kind(const fief_kind *k, uint64_t before)
{
    uint64_t fields[] = {k->size, k->traits, k->pointer_count, k->visit != NULL, before};
    uint64_t hash = xxh64(k->name, strlen(k->name), xxh64(fields, sizeof fields, FINGERPRINT_SEED));
    size_t size = k->pointer_count * sizeof *k->pointers;
    return size != 0 ? xxh64(k->pointers, size, hash) : hash;
}

uint64_t kinds_fingerprint(const runtime *r)
{
    uint64_t hash = r->window.kind_count;
    for (unsigned kind = 0; kind < r->window.kind_count; kind++) {
        hash = hash_kind(&r->kinds[kind], hash);
    }
    return hash;
}

/* ---- which blocks ---- */

static bool is_known(gather *g)
{
    const arena *a = g->from;
    if (a->strategy == FIEF_STACK) {
        return gather_fail(g, FIEF_BAD_CONFIG, "%s is no arena that can be copied", a->name);
    }
    if (g->r->core.space.ledger == NULL || !a->shut) {
        return gather_fail(g, FIEF_BAD_CONFIG,
                           "the blocks of %s are not recorded: open it with .recorded", a->name);
    }
    if (a->buffer.end != NULL || a->stand_ins != 0) {
        return gather_fail(g, FIEF_BAD_CONFIG, "%s has blocks in %s, which is not copied", a->name,
                           a->stand_ins != 0 ? "the heap" : "a caller's buffer");
    }
    return true;
}

static gathered gathered_of(const space *pages, const record *r)
{
    return (gathered){
        .start = ledger_block(pages, r), .size = record_size(pages, r), .kind = (uint32_t)r->kind};
}

static bool is_page_of(const gather *g, uint32_t page_index)
{
    const page *entry = &g->r->core.space.map[page_index];
    return entry->used && entry->kind == PAGE_ARENA && entry->owner == g->from;
}

/* A bit for each cell and for each word of the range, and room for as many blocks as the arena's
 * pages have cells: most of it is never touched. */
static bool gather_begin(gather *g)
{
    if (!is_known(g)) {
        return false;
    }
    const space *pages = &g->r->core.space;
    size_t range = (size_t)pages->frontier << PAGE_SHIFT, bytes = 0;
    for (uint32_t i = 0; i < pages->frontier; i++) {
        bytes += is_page_of(g, i) ? PAGE_SIZE : 0;
    }
    size_t seen = range / CELL / 8, told = range / GATHER_WORD / 8;
    size_t size = seen + told + bytes / CELL * sizeof *g->blocks;
    g->own = workspace_take(pages->range, size);
    if (g->own == NULL) {
        return gather_fail(g, FIEF_NO_MEMORY, "no memory to copy %s to: %zu bytes",
                           g->from->name, size);
    }
    memset(g->own->bytes, 0, seen + told);
    g->seen = (uint64_t *)(void *)g->own->bytes;
    g->told = g->seen + seen / sizeof *g->seen;
    g->blocks = (gathered *)(void *)(g->told + told / sizeof *g->told);
    g->cells = range / CELL;
    g->room = bytes / CELL;
    return true;
}

static void list_page(gather *g, const space *pages, const unsigned char *start)
{
    const record *r = ledger_at(pages, start), *end = r + (PAGE_SIZE >> CELL_SHIFT);
    for (; r < end; r++) {
        if (r->state == BLOCK_LIVE) {
            g->blocks[g->count++] = gathered_of(pages, r);
        }
    }
}

bool gather_all(gather *g)
{
    if (!gather_begin(g)) {
        return false;
    }
    const space *pages = &g->r->core.space;
    for (uint32_t i = 0; i < pages->frontier; i++) {
        if (is_page_of(g, i)) {
            list_page(g, pages, page_start(pages, i));
        }
    }
    return true;
}

const gathered *gather_target(const gather *g, const void *target)
{
    const unsigned char *at = target;
    size_t low = 0, high = g->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (g->blocks[middle].start <= at) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    const gathered *b = low != 0 ? &g->blocks[low - 1] : NULL;
    return b != NULL && (size_t)(at - b->start) <= b->size ? b : NULL;
}

/* ---- pointers ---- */

static const char *name_of(const gather *g, const gathered *b)
{
    return kind_name(g->r, b->kind);
}

void fief_pointer(fief_pointers *pointers, const void *field, const void *target)
{
    gather *g = pointers->gather;
    const gathered *b = pointers->block;
    size_t offset = (size_t)((uintptr_t)field - (uintptr_t)b->start);
    if (offset % GATHER_WORD != 0 || b->size < GATHER_WORD || offset > b->size - GATHER_WORD) {
        (void)gather_fail(g, FIEF_BAD_CONFIG,
                          "the visit of '%s' told a field that is %s of the"
                          " block",
                          name_of(g, b), offset < b->size ? "not 8 bytes" : "no part");
    } else if (!g->failed && target != NULL) {
        (void)pointers->work(g, b, offset, target);
    }
}

static const fief_kind no_kind = {.name = NULL};

static const fief_kind *kind_of(const gather *g, const gathered *b)
{
    return b->kind < g->r->window.kind_count ? &g->r->kinds[b->kind] : &no_kind;
}

static bool each_pointer(gather *g, const gathered *b, pointer_work *work)
{
    const fief_kind *kind = kind_of(g, b);
    for (unsigned i = 0; i < kind->pointer_count; i++) {
        size_t offset = kind->pointers[i];
        const void *target;
        if (b->size < sizeof target || offset > b->size - sizeof target) {
            continue; /* a shorter block of the kind */
        }
        memcpy(&target, b->start + offset, sizeof target);
        if (target != NULL && !work(g, b, offset, target)) {
            return false;
        }
    }
    if (kind->visit != NULL) {
        kind->visit(b->start, b->size, &(fief_pointers){g, b, work});
    }
    return !g->failed;
}

const char *gather_home(const gather *g, uintptr_t value)
{
    const void *address = (const void *)value; /* NOLINT(performance-no-int-to-ptr) */
    const page *entry = space_page(&g->r->core.space, address);
    if (entry != NULL) {
        return entry->used ? owner_name(entry) : "a free page";
    }
    return image_at(&g->r->core, address) != NULL ? "an image" : NULL;
}

bool gather_points_out(gather *g, const gathered *b, size_t offset, const char *where)
{
    return gather_fail(g, FIEF_POINTS_OUT, "'%s', %zu bytes, points at +%zu out of %s: to %s",
                       name_of(g, b), b->size, offset, g->from->name, where);
}

bool gather_no_root(gather *g)
{
    return gather_fail(g, FIEF_POINTS_OUT, "the root is in no block of %s", g->from->name);
}

/* ---- choose: breadth first; meanwhile the blocks are in the order of their discovery ---- */

/* The record of the living block that a pointer leads to, its end included; NULL: none of ours. */
static const record *record_for(const gather *g, const void *target)
{
    const space *pages = &g->r->core.space;
    const page *entry = space_page(pages, target);
    bool is_ours =
        entry != NULL && entry->used && entry->kind == PAGE_ARENA && entry->owner == g->from;
    const record *r = is_ours ? ledger_find(pages, target) : NULL;
    bool is_it = r != NULL && r->state == BLOCK_LIVE &&
                 (uintptr_t)target - (uintptr_t)ledger_block(pages, r) <= record_size(pages, r);
    return is_it ? r : NULL;
}

static bool choose(gather *g, const record *r)
{
    const space *pages = &g->r->core.space;
    size_t cell = (size_t)(r - pages->ledger);
    uint64_t bit = (uint64_t)1 << cell % 64;
    if (cell < g->cells && (g->seen[cell / 64] & bit) != 0) {
        return true;
    }
    if (cell >= g->cells || g->count == g->room) {
        return gather_fail(g, FIEF_BAD_CONFIG, "%s grew while its kinds told their pointers",
                           g->from->name);
    }
    g->seen[cell / 64] |= bit;
    g->blocks[g->count++] = gathered_of(pages, r);
    return true;
}

static bool choose_target(gather *g, const gathered *block, size_t offset, const void *target)
{
    (void)block;
    (void)offset;
    g->pointers++;
    const record *r = record_for(g, target);
    return r == NULL || choose(g, r);
}

static void in_order_of_address(gather *g)
{
    const space *pages = &g->r->core.space;
    g->count = 0;
    for (size_t i = 0; i < g->cells / 64; i++) {
        for (uint64_t bits = g->seen[i]; bits != 0; bits &= bits - 1) {
            size_t cell = i * 64 + (unsigned)__builtin_ctzll(bits);
            g->blocks[g->count++] = gathered_of(pages, pages->ledger + cell);
        }
    }
}

bool gather_choose(gather *g, const void *root)
{
    if (!gather_begin(g)) {
        return false;
    }
    const record *first = record_for(g, root);
    if (first == NULL) {
        return gather_no_root(g);
    }
    bool good = choose(g, first);
    for (size_t i = 0; i < g->count && good; i++) {
        const gathered b = g->blocks[i]; /* the list may move */
        good = each_pointer(g, &b, choose_target);
    }
    if (good) {
        in_order_of_address(g);
    }
    return good;
}

/* ---- place ---- */

bool gather_align_is_sound(gather *g, size_t align)
{
    if (align != 0 &&
        (!is_power_of_two(align) || align < GATHER_GRAIN || align > GATHER_ALIGN_MAX)) {
        return gather_fail(g, FIEF_BAD_CONFIG, "align is %zu, not a power of two from %d to %d",
                           align, GATHER_GRAIN, GATHER_ALIGN_MAX);
    }
    return true;
}

bool gather_place(gather *g, size_t align)
{
    uint64_t end = 0;
    for (size_t i = 0; i < g->count; i++) {
        uint64_t start = fief_round_up(end, align != 0 ? align : GATHER_GRAIN);
        size_t size = g->blocks[i].size;
        if (size > GATHER_MAX || start > GATHER_MAX - size) {
            return gather_fail(g, FIEF_BAD_CONFIG,
                               "%s holds more than the 2 GiB that can be"
                               " copied together",
                               g->from->name);
        }
        g->blocks[i].grain = (uint32_t)(start / GATHER_GRAIN);
        end = start + (size != 0 ? size : 1);
    }
    g->data_bytes = fief_round_up(end, GATHER_GRAIN);
    return true;
}

/* ---- copy ---- */

static size_t word_of(const gather *g, const gathered *b, size_t offset)
{
    return ((size_t)(b->start - g->r->core.space.base) + offset) / GATHER_WORD;
}

static bool is_told(const gather *g, size_t word)
{
    return (g->told[word / 64] >> word % 64 & 1) != 0;
}

static bool tell(gather *g, const gathered *block, size_t offset, const void *target)
{
    size_t word = word_of(g, block, offset);
    if (is_told(g, word)) {
        return true;
    }
    g->told[word / 64] |= (uint64_t)1 << word % 64;
    return g->on_pointer(g, block, offset, target, gather_target(g, target));
}

static bool has_no_other(gather *g, const gathered *b)
{
    for (size_t offset = 0; offset + GATHER_WORD <= b->size; offset += GATHER_WORD) {
        if (is_told(g, word_of(g, b, offset))) {
            continue;
        }
        uint64_t value;
        memcpy(&value, g->data + gather_offset(b, b->start + offset), sizeof value);
        const char *where = gather_home(g, value);
        if (where != NULL) {
            return gather_fail(g, FIEF_POINTS_OUT,
                               "'%s', %zu bytes, holds at +%zu what may be a pointer to %s; its"
                               " kind does not declare one",
                               name_of(g, b), b->size, offset, where);
        }
    }
    return true;
}

bool gather_copy(gather *g, unsigned char *data)
{
    g->data = data;
    for (size_t i = 0; i < g->count && !g->failed; i++) {
        const gathered *b = &g->blocks[i];
        unsigned char *to = data + gather_offset(b, b->start);
        memcpy(to, b->start, b->size);
        guard_trust(to, b->size);
        bool plain = (kind_of(g, b)->traits & FIEF_NO_POINTERS) != 0;
        (void)(each_pointer(g, b, tell) && (plain || has_no_other(g, b)));
    }
    return !g->failed;
}
