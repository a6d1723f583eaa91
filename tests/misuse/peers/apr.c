/* apr: a unit is a pool that is cleared; a mark and its rewind are a subpool. Debian's package is
 * built without APR_POOL_DEBUG, so it has no checks of its own to turn on. */
#include "peer.h"

#include <apr_general.h>
#include <apr_pools.h>

static void work(void)
{
    apr_pool_t *pool;
    (void)apr_pool_create(&pool, NULL);
    for (size_t i = 0; i < 64; i++) {
        (void)apr_palloc(pool, 16 + i * 8);
    }
    apr_pool_destroy(pool);
}

static apr_pool_t *open_pool(apr_pool_t *parent)
{
    apr_pool_t *pool = NULL;
    (void)apr_pool_create(&pool, parent);
    return pool;
}

static void write_past(bool mistaken)
{
    apr_pool_t *pool = open_pool(NULL);
    char *p = apr_palloc(pool, 40);
    (void)apr_palloc(pool, 40);
    p[OR(40, 39)] = 1;
    apr_pool_destroy(pool);
    work();
}

static void write_before(bool mistaken)
{
    apr_pool_t *pool = open_pool(NULL);
    (void)apr_palloc(pool, 40);
    char *p = apr_palloc(pool, 40);
    p[OR(-1, 0)] = 1;
    apr_pool_destroy(pool);
    work();
}

static void read_past(bool mistaken)
{
    apr_pool_t *pool = open_pool(NULL);
    char *p = apr_pcalloc(pool, 40);
    (void)apr_pcalloc(pool, 40);
    sink = p[OR(40, 39)];
    apr_pool_destroy(pool);
    work();
}

static void use_after_unit(bool mistaken)
{
    apr_pool_t *pool = open_pool(NULL);
    char *p = apr_pcalloc(pool, 40);
    apr_pool_clear(pool);
    sink = OR(p, elsewhere)[20];
    apr_pool_destroy(pool);
    work();
}

static void use_after_rewind(bool mistaken)
{
    apr_pool_t *pool = open_pool(NULL), *inner = open_pool(pool);
    char *p = apr_pcalloc(inner, 40);
    apr_pool_destroy(inner);
    sink = OR(p, elsewhere)[20];
    apr_pool_destroy(pool);
    work();
}

static void stale_and_reused(bool mistaken)
{
    apr_pool_t *pool = open_pool(NULL);
    char *p = apr_palloc(pool, 40);
    apr_pool_clear(pool);
    char *again = apr_palloc(pool, 40);
    OR(p, again)[20] = 1;
    apr_pool_destroy(pool);
    work();
}

static void wrong_allocator(bool mistaken)
{
    apr_pool_t *pool = open_pool(NULL);
    (void)apr_palloc(pool, 40);
    free(OR(apr_palloc(pool, 40), NULL));
    apr_pool_destroy(pool);
    work();
}

static void use_of_closed(bool mistaken)
{
    apr_pool_t *pool = open_pool(NULL);
    apr_pool_destroy(pool);
    if (mistaken) {
        sink = *(char *)apr_pcalloc(pool, 40);
    }
    work();
}

static void close_twice(bool mistaken)
{
    apr_pool_t *pool = open_pool(NULL);
    apr_pool_destroy(pool);
    if (mistaken) {
        apr_pool_destroy(pool);
    }
    work();
}

/* Nobody uses the pointer before it is cleared. */
static void outlived(bool mistaken)
{
    apr_pool_t *pool = open_pool(NULL), *unit = open_pool(NULL);
    char **holder = apr_pcalloc(pool, 48), *p = apr_palloc(unit, 40);
    holder[2] = OR(p + 8, elsewhere);
    apr_pool_clear(unit);
    work();
    holder[2] = NULL;
    apr_pool_destroy(unit);
    apr_pool_destroy(pool);
}

static void uninitialised(bool mistaken)
{
    apr_pool_t *pool = open_pool(NULL);
    char *p = apr_palloc(pool, 40);
    memset(p, 0, OR(8, 40));
    if (p[9] == 7) {
        sink = 1;
    }
    apr_pool_destroy(pool);
    work();
}

static const mistake mistakes[] = {
    {"write-past", write_past},         {"write-before", write_before},
    {"read-past", read_past},           {"use-after-unit", use_after_unit},
    {"use-after-rewind", use_after_rewind}, {"stale-and-reused", stale_and_reused},
    {"wrong-allocator", wrong_allocator}, {"use-of-closed", use_of_closed},
    {"close-twice", close_twice},       {"uninitialised", uninitialised},
    {"outlived", outlived},
};
MAIN(apr_initialize())
