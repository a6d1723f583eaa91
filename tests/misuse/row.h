/* row: what a row of the conformance suite is made of. A row is one mistake as a tiny program; its
 * control is the same program without it: `mistaken` is false there.
 *
 *     MADE(s)    the block is allocated here                     always runs
 *     DIED(s)    the block dies here                             always runs
 *     WRONG(s)   the mistake, a call                             runs if mistaken; may be refused
 *     RIGHT(s)   what the mistake leaves out                     runs unless mistaken
 *     ACCESS(s)  the mistake, an access                          always runs; OR() tells how
 *     FOUND(s)   where a mistake is noticed that was made before always runs
 *     OR(a, b)   a in the mistake, b in the control
 *
 * Each tells its function and line on stdout, and how long the report is so far. matrix.py compares
 * what a report says with that, and tools/misuse_doc.py prints the rows without the words above. */
#ifndef ROW_H
#define ROW_H

#include <fief/fief.h>

typedef enum expect { NOT_HERE, NOW, NEXT } expect;

typedef struct row {
    const char *misuse, *variant, *class_name, *file;
    void (*program)(bool mistaken);
    expect debug, asan, valgrind;
} row;

typedef struct theme {
    const row *rows;
    size_t count;
} theme;

#define ROW(misuse, variant, class_name, debug, asan, valgrind) \
    {#misuse, #variant, #class_name, __FILE__, misuse##_##variant, debug, asan, valgrind}
#define THEME(name)                             \
    const theme theme_##name = {rows, sizeof rows / sizeof rows[0]}
extern const theme theme_bounds, theme_dead, theme_frees, theme_owners, theme_order, theme_calls,
    theme_dangling, theme_fenced, theme_sealed, theme_images;

/* The kinds table of every row. */
enum { PAIR, TRIPLE, TEXT, LIST, NODE, SLOTLESS, WALLED, WALLED_PAIR, DITCHED, KINDS };

extern fief_runtime *rt;
extern fief_heap *heap;
extern volatile char sink;
extern char elsewhere[16384]; /* what a control accesses */
/* A runtime of the row's own, opened as `rt` was. */
fief_runtime *open_another(void);
/* The same; its dangling scans look at the C stack, too. */
fief_runtime *open_scanning_the_stack(void);
void do_nothing(void);
/* Byte by byte, upwards. */
void fill(char *bytes, size_t count);
/* Runs body(argument) on another thread, to its end. */
void on_another_thread(void (*body)(void *), void *argument);

void tell(const char *what, const char *function, int line);
void before_mistake(void);
void after_mistake(void);

#define STEP(what, statement)              \
    do {                                   \
        tell(what, __func__, __LINE__);    \
        __asm__ volatile("" ::: "memory"); \
        statement;                         \
        __asm__ volatile("" ::: "memory"); \
    } while (0)
#define MADE(statement) STEP("made", statement)
#define DIED(statement) STEP("died", statement)
#define FOUND(statement) STEP("found", statement)
#define ACCESS(statement)        \
    do {                         \
        STEP("wrong", statement); \
        tell("after", __func__, __LINE__); \
    } while (0)
#define WRONG(statement)                \
    do {                                \
        if (mistaken) {                 \
            before_mistake();           \
            STEP("wrong", statement);   \
            after_mistake();            \
            tell("after", __func__, __LINE__); \
        }                               \
    } while (0)
#define RIGHT(statement) \
    do {                 \
        if (!mistaken) { \
            statement;   \
        }                \
    } while (0)
#define OR(wrong, right) (mistaken ? (wrong) : (right))

#endif
