/* malloc: a block is malloc's; a unit is what the host frees one by one at its end. */
#include "peer.h"

static void work(void)
{
    void *blocks[64];
    for (size_t i = 0; i < 64; i++) {
        blocks[i] = malloc(16 + i * 8);
    }
    for (size_t i = 0; i < 64; i++) {
        free(blocks[i]);
    }
}

static void write_past(bool mistaken)
{
    char *p = malloc(40), *next = malloc(40);
    p[OR(40, 39)] = 1;
    free(p);
    free(next);
    work();
}

static void write_before(bool mistaken)
{
    char *before = malloc(40), *p = malloc(40);
    p[OR(-1, 0)] = 1;
    free(p);
    free(before);
    work();
}

static void read_past(bool mistaken)
{
    char *p = calloc(1, 40);
    sink = p[OR(40, 39)];
    free(p);
    work();
}

static void write_after_free(bool mistaken)
{
    char *p = malloc(40);
    free(p);
    OR(p, elsewhere)[20] = 1;
    work();
}

static void read_after_free(bool mistaken)
{
    char *p = calloc(1, 40);
    free(p);
    sink = OR(p, elsewhere)[20];
    work();
}

static void use_after_unit(bool mistaken)
{
    char *unit[8];
    for (int i = 0; i < 8; i++) {
        unit[i] = calloc(1, 40);
    }
    for (int i = 0; i < 8; i++) {
        free(unit[i]);
    }
    sink = OR(unit[3], elsewhere)[20];
    work();
}

static void use_after_rewind(bool mistaken)
{
    char *kept = malloc(40), *after_the_mark = calloc(1, 40);
    free(after_the_mark);
    sink = OR(after_the_mark, elsewhere)[20];
    free(kept);
    work();
}

static void stale_and_reused(bool mistaken)
{
    char *p = malloc(40);
    free(p);
    char *again = malloc(40);
    OR(p, again)[20] = 1;
    free(again);
    work();
}

static void double_free(bool mistaken)
{
    char *p = malloc(40);
    free(p);
    free(OR(p, NULL));
    work();
}

static void double_free_later(bool mistaken)
{
    char *p = malloc(40), *blocks[8];
    for (int i = 0; i < 8; i++) {
        blocks[i] = malloc(40);
    }
    free(p);
    for (int i = 0; i < 8; i++) {
        free(blocks[i]);
    }
    char *again = malloc(40);
    free(OR(p, NULL));
    free(OR(NULL, again));
    work();
}

static void interior_free(bool mistaken)
{
    char *p = malloc(64);
    free(p + OR(16, 0));
    work();
}

static void stack_free(bool mistaken)
{
    char here[64] = {0};
    void *volatile p = OR(here + 16, NULL);
    free(p);
    work();
}

static void wrong_allocator(bool mistaken)
{
    char *region = malloc(4096), *p = region + 64; /* a block of the host's own arena */
    memset(region, 0, 4096);
    free(OR(p, NULL));
    free(region);
    work();
}

static void leak(bool mistaken)
{
    char *p = malloc(40);
    memset(p, 0, 40);
    free(OR(NULL, p));
    p = NULL;
    work();
}

/* Nobody uses the pointer before it is cleared. */
static void outlived(bool mistaken)
{
    char **holder = calloc(1, 48), *p = malloc(40);
    holder[2] = OR(p + 8, elsewhere);
    free(p);
    work();
    holder[2] = NULL;
    free(holder);
}

static void uninitialised(bool mistaken)
{
    char *p = malloc(40);
    memset(p, 0, OR(8, 40));
    if (p[9] == 7) {
        sink = 1;
    }
    free(p);
    work();
}

static const mistake mistakes[] = {
    {"write-past", write_past},         {"write-before", write_before},
    {"read-past", read_past},           {"write-after-free", write_after_free},
    {"read-after-free", read_after_free}, {"use-after-unit", use_after_unit},
    {"use-after-rewind", use_after_rewind}, {"stale-and-reused", stale_and_reused},
    {"double-free", double_free},       {"double-free-later", double_free_later},
    {"interior-free", interior_free},   {"stack-free", stack_free},
    {"wrong-allocator", wrong_allocator}, {"leak", leak},
    {"outlived", outlived},             {"uninitialised", uninitialised},
};
MAIN((void)0)
