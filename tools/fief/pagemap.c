/* pagemap: see pagemap.h. */
#include "pagemap.h"

#include <stdlib.h>

/* Of one block: 64 MiB. What lies behind is counted, but not drawn. */
enum { PAGES_OF_A_BLOCK = 1024 };

typedef struct page {
    uint64_t number; /* address >> PAGE_BITS, and 1 more: 0 is vacant */
    uint64_t live;   /* bytes */
    uint32_t row;
} page;

typedef struct row {
    uint64_t bytes[GROUPINGS][SERIES];
} row;

struct pagemap {
    page *pages; /* a power of two of them, at most half in use */
    size_t size, count;
    uint64_t held, outside;
    row *rows;
    unsigned row_count, pages_a_row;
};

static page *find(page *pages, size_t size, uint64_t number)
{
    size_t at = (size_t)(number * 0x9E3779B97F4A7C15u >> 24) & (size - 1);
    while (pages[at].number != 0 && pages[at].number != number) {
        at = (at + 1) & (size - 1);
    }
    return &pages[at];
}

static bool grow(pagemap *m)
{
    size_t size = m->size != 0 ? m->size * 2 : 1024;
    page *pages = calloc(size, sizeof *pages);
    if (pages == NULL) {
        return false;
    }
    for (size_t i = 0; i < m->size; i++) {
        if (m->pages[i].number != 0) {
            *find(pages, size, m->pages[i].number) = m->pages[i];
        }
    }
    free(m->pages);
    m->pages = pages;
    m->size = size;
    return true;
}

pagemap *pagemap_new(void)
{
    pagemap *m = calloc(1, sizeof *m);
    if (m != NULL && !grow(m)) {
        free(m);
        m = NULL;
    }
    return m;
}

void pagemap_free(pagemap *m)
{
    if (m != NULL) {
        free(m->pages);
        free(m->rows);
        free(m);
    }
}

static page *page_of(pagemap *m, uint64_t number)
{
    page *p = find(m->pages, m->size, number);
    if (p->number == 0) {
        if (2 * (m->count + 1) > m->size) {
            if (!grow(m)) {
                return NULL;
            }
            p = find(m->pages, m->size, number);
        }
        p->number = number;
        m->count++;
    }
    return p;
}

static void count_page(pagemap *m, page *p, uint64_t bytes, int direction, owners whose)
{
    uint64_t change = direction > 0 ? bytes : 0 - bytes;
    m->held -= p->live > 0;
    p->live += change;
    m->held += p->live > 0;
    if (m->rows != NULL) {
        for (int g = 0; g < GROUPINGS; g++) {
            m->rows[p->row].bytes[g][whose.series[g]] += change;
        }
    }
}

bool pagemap_put(pagemap *m, uint64_t address, uint64_t size, int direction, owners whose)
{
    uint64_t left = size > 0 ? size : 1;
    for (int i = 0; left > 0 && i < PAGES_OF_A_BLOCK; i++) {
        uint64_t room = (1u << PAGE_BITS) - (address & ((1u << PAGE_BITS) - 1));
        uint64_t bytes = left < room ? left : room;
        page *p = page_of(m, (address >> PAGE_BITS) + 1);
        if (p == NULL) {
            return false;
        }
        count_page(m, p, bytes, direction, whose);
        address += bytes;
        left -= bytes;
    }
    uint64_t beyond = (left + (1u << PAGE_BITS) - 1) >> PAGE_BITS;
    m->held += direction > 0 ? beyond : 0 - beyond;
    m->outside += m->rows == NULL && direction > 0 ? beyond : 0;
    return true;
}

uint64_t pagemap_held(const pagemap *m)
{
    return m->held;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

bool pagemap_fold(pagemap *m)
{
    uint64_t *numbers = calloc(m->count + 1, sizeof *numbers);
    m->pages_a_row = (unsigned)((m->count + ROWS_MOST - 1) / ROWS_MOST);
    m->pages_a_row += m->pages_a_row == 0;
    m->rows = calloc(ROWS_MOST, sizeof *m->rows);
    if (numbers == NULL || m->rows == NULL) {
        free(numbers);
        return false;
    }
    size_t count = 0;
    for (size_t i = 0; i < m->size; i++) {
        if (m->pages[i].number != 0) {
            numbers[count++] = m->pages[i].number;
        }
    }
    qsort(numbers, count, sizeof *numbers, by_number);
    for (size_t i = 0; i < count; i++) {
        page *p = find(m->pages, m->size, numbers[i]);
        *p = (page){.number = numbers[i], .row = (uint32_t)(i / m->pages_a_row)};
        m->row_count = p->row + 1;
    }
    m->held = 0;
    free(numbers);
    return true;
}

unsigned pagemap_rows(const pagemap *m)
{
    return m->row_count;
}

unsigned pagemap_pages_a_row(const pagemap *m)
{
    return m->pages_a_row;
}

uint64_t pagemap_outside(const pagemap *m)
{
    return m->outside;
}

int pagemap_owner(const pagemap *m, unsigned number, unsigned grouping, bool *ret_filled)
{
    const uint64_t *bytes = m->rows[number].bytes[grouping];
    uint64_t total = 0;
    int best = -1;
    for (int i = 0; i < SERIES; i++) {
        total += bytes[i];
        best = bytes[i] > 0 && (best < 0 || bytes[i] > bytes[best]) ? i : best;
    }
    *ret_filled = total >= ((uint64_t)m->pages_a_row << PAGE_BITS) / 2;
    return best;
}
