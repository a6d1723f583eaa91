/* talloc: a unit is a context and a block its child; its own leak report and types are used. */
#include "peer.h"

#include <talloc.h>

typedef struct pair {
    char bytes[48];
} pair;

static void work(void)
{
    TALLOC_CTX *context = talloc_new(NULL);
    for (size_t i = 0; i < 64; i++) {
        (void)talloc_size(context, 16 + i * 8);
    }
    talloc_free(context);
}

static void write_past(bool mistaken)
{
    TALLOC_CTX *context = talloc_new(NULL);
    char *p = talloc_size(context, 40);
    (void)talloc_size(context, 40);
    p[OR(40, 39)] = 1;
    talloc_free(context);
    work();
}

static void write_before(bool mistaken)
{
    TALLOC_CTX *context = talloc_new(NULL);
    char *p = talloc_size(context, 40);
    p[OR(-1, 0)] = 1;
    talloc_free(context);
    work();
}

static void read_past(bool mistaken)
{
    char *p = talloc_zero_size(NULL, 40);
    sink = p[OR(40, 39)];
    talloc_free(p);
    work();
}

static void write_after_free(bool mistaken)
{
    char *p = talloc_size(NULL, 40);
    talloc_free(p);
    OR(p, elsewhere)[20] = 1;
    work();
}

static void read_after_free(bool mistaken)
{
    char *p = talloc_zero_size(NULL, 40);
    talloc_free(p);
    sink = OR(p, elsewhere)[20];
    work();
}

static void use_after_unit(bool mistaken)
{
    TALLOC_CTX *unit = talloc_new(NULL);
    char *p = talloc_zero_size(unit, 40);
    talloc_free_children(unit);
    sink = OR(p, elsewhere)[20];
    talloc_free(unit);
    work();
}

static void stale_and_reused(bool mistaken)
{
    char *p = talloc_size(NULL, 40);
    talloc_free(p);
    char *again = talloc_size(NULL, 40);
    OR(p, again)[20] = 1;
    talloc_free(again);
    work();
}

static void double_free(bool mistaken)
{
    char *p = talloc_size(NULL, 40);
    talloc_free(p);
    if (mistaken) {
        talloc_free(p);
    }
    work();
}

static void interior_free(bool mistaken)
{
    char *p = talloc_size(NULL, 256);
    memset(p, 0, 256);
    talloc_free(p + OR(128, 0));
    work();
}

static void stack_free(bool mistaken)
{
    char here[256] = {0};
    if (mistaken) {
        talloc_free(here + 128);
    }
    work();
}

static void wrong_allocator(bool mistaken)
{
    char *p = talloc_size(NULL, 40);
    if (mistaken) {
        free(p);
    } else {
        talloc_free(p);
    }
    work();
}

static void wrong_kind(bool mistaken)
{
    void *p = talloc(NULL, pair);
    sink = OR((char)(talloc_get_type_abort(p, int) == NULL),
              (char)(talloc_get_type_abort(p, pair) == NULL));
    talloc_free(p);
    work();
}

static void use_of_closed(bool mistaken)
{
    TALLOC_CTX *root = talloc_new(NULL);
    talloc_free(root);
    if (mistaken) {
        (void)talloc_size(root, 40);
    }
    work();
}

static void close_twice(bool mistaken)
{
    TALLOC_CTX *root = talloc_new(NULL);
    talloc_free(root);
    if (mistaken) {
        talloc_free(root);
    }
    work();
}

static void leak(bool mistaken)
{
    char *p = talloc_named_const(NULL, 40, "kept");
    if (!mistaken) {
        talloc_free(p);
    }
    work();
}

/* Nobody uses the pointer before it is cleared. */
static void outlived(bool mistaken)
{
    char **holder = talloc_zero_size(NULL, 48);
    TALLOC_CTX *unit = talloc_new(NULL);
    char *p = talloc_size(unit, 40);
    holder[2] = OR(p + 8, elsewhere);
    talloc_free(unit);
    work();
    holder[2] = NULL;
    talloc_free(holder);
}

static void uninitialised(bool mistaken)
{
    char *p = talloc_size(NULL, 40);
    memset(p, 0, OR(8, 40));
    if (p[9] == 7) {
        sink = 1;
    }
    talloc_free(p);
    work();
}

static const mistake mistakes[] = {
    {"write-past", write_past},         {"write-before", write_before},
    {"read-past", read_past},           {"write-after-free", write_after_free},
    {"read-after-free", read_after_free}, {"use-after-unit", use_after_unit},
    {"stale-and-reused", stale_and_reused},
    {"double-free", double_free},       {"interior-free", interior_free},
    {"stack-free", stack_free},         {"wrong-allocator", wrong_allocator},
    {"wrong-kind", wrong_kind},         {"use-of-closed", use_of_closed},
    {"close-twice", close_twice},       {"leak", leak},
    {"outlived", outlived},             {"uninitialised", uninitialised},
};
MAIN(talloc_enable_leak_report_full())
