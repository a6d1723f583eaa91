/* ops: one language for what interpreters do to their memory. A program is a list of operations
 * over numbered handles; it has three forms:
 *
 *     bytes   what a fuzzer mutates: any byte string is a program       bytes.c
 *     text    one operation a line, for people and regression files     text.c
 *     C       a program against the public API, written while it runs   emit.c, run.c
 *
 * A handle that names nothing alive stands for the next one that is (run.c), so that random
 * programs mean something. The table below is the one place that knows an operation: its name, the
 * targets that use it, how often a random program does, its operands. Behind it is do_<name>. */
#ifndef FIEF_FUZZ_OPS_H
#define FIEF_FUZZ_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OPERANDS_MAX = 4, OPS_MAX = 400 };
enum { RUNTIMES = 3, BLOCKS = 96, HOMES = 8, MARKS = 8, POOLS = 4 };

/* Sizes are at most SIZE_LARGEST, or at least SIZE_ABSURD, which no allocator may serve. */
static const uint64_t SIZE_LARGEST = (uint64_t)1 << 20, SIZE_ABSURD = (uint64_t)1 << 62;

typedef enum operand_type {
    NONE, RUNTIME, BLOCK, HOME, MARK, POOL, KIND, CONTEXT, STRATEGY, CONFIG, FIELD, SIZE, ALIGN,
    NUMBER, OPERAND_TYPES
} operand_type;

/* Who uses an operation; or'ed. */
enum { A = 1, S = 2, P = 4, H = 8, R = 16, T = 32, O = 64, ALL = A | S | P | H | R | O };

#define FUZZ_OPERATIONS(OP)                                                          \
    /* runtimes: `use` chooses the one that the others mean; a closed one opens by itself */ \
    OP(use, R | O, 3, RUNTIME)                                                       \
    OP(open, ALL | T, 4, CONFIG)                                                     \
    OP(close, ALL | T, 1, NONE)                                                      \
    OP(hand, R, 1, NUMBER)                                                           \
    OP(check, ALL, 2, NONE)                                                          \
    OP(trim, ALL, 2, NONE)                                                           \
    OP(stats, ALL | T, 3, NONE)                                                      \
    OP(stats_text, R | T | O, 1, SIZE)                                                   \
    OP(owner, ALL, 1, BLOCK, SIZE)                                                   \
    OP(fail, O, 12, NUMBER)                                                          \
    /* the table of the `custom` configuration */                                    \
    OP(row, T, 30, NUMBER, SIZE, STRATEGY, NUMBER)                                   \
    OP(cell, T, 20, CONTEXT, STRATEGY)                                               \
    OP(field, T, 20, FIELD, SIZE)                                                    \
    OP(reopen, T, 12, NONE)                                                          \
    /* blocks by kind and context, and strings */                                    \
    OP(new, R | T | O, 40, BLOCK, KIND, CONTEXT, SIZE)                               \
    OP(strdup, R | O, 6, BLOCK, CONTEXT, SIZE)                                       \
    OP(strndup, R | O, 3, BLOCK, CONTEXT, SIZE, SIZE)                                    \
    OP(memdup, R | O, 3, BLOCK, CONTEXT, SIZE)                                           \
    OP(printf, R | O, 4, BLOCK, CONTEXT, SIZE)                                       \
    OP(free, ALL | T, 40, BLOCK)                                                     \
    OP(resize, A | H | R | O, 20, BLOCK, SIZE)                                       \
    OP(collect, P | H | R | O, 4, NUMBER)                                            \
    OP(store, R | H | A | S | O, 6, BLOCK, BLOCK)                                        \
    /* the heap */                                                                   \
    OP(alloc, H | R | O, 30, BLOCK, SIZE)                                            \
    OP(alloc_aligned, H | R | O, 8, BLOCK, SIZE, ALIGN)                              \
    OP(malloc, H | R | O, 20, BLOCK, SIZE)                                           \
    OP(malloc_aligned, H | R | O, 6, BLOCK, SIZE, ALIGN)                             \
    OP(calloc, H | R | O, 4, BLOCK, NUMBER, SIZE)                                        \
    OP(churn, H | R, 2, NUMBER, SIZE)                                                \
    /* arenas: a0 is the vm's, a1 the units', a2 the frame stack; a3 .. a6, stack a7: ours */ \
    OP(arena_open, A | S | R | O, 6, HOME, NUMBER)                                   \
    OP(arena_close, A | S | R | O, 2, HOME)                                          \
    OP(arena_alloc, A | R | O, 40, BLOCK, HOME, SIZE, ALIGN)                         \
    OP(arena_array, A | R | O, 5, BLOCK, HOME, NUMBER, SIZE)                             \
    OP(arena_strdup, A | R | O, 3, BLOCK, HOME, SIZE)                                    \
    OP(arena_printf, A | R | O, 3, BLOCK, HOME, SIZE)                                    \
    OP(arena_cleanup, A | S | R | O, 6, HOME)                                        \
    OP(arena_reset, A | S | R | O, 3, HOME)                                          \
    OP(mark, A | S | R | O, 10, MARK, HOME)                                          \
    OP(rewind, A | S | R | O, 10, MARK)                                              \
    OP(unit_begin, A | S | R | O, 8, NONE)                                           \
    OP(unit_end, A | S | R | O, 6, NONE)                                             \
    OP(temp, A | R | O, 12, BLOCK, NUMBER, SIZE)                                     \
    OP(push, S | R | O, 40, BLOCK, HOME, SIZE)                                       \
    OP(pop, S | R | O, 30, HOME)                                                     \
    /* pools */                                                                      \
    OP(pool_open, P | R | O, 5, POOL, SIZE)                                          \
    OP(pool_close, P | R | O, 1, POOL)                                               \
    OP(take, P | R | O, 40, BLOCK, POOL)                                             \
    OP(walk, P | R | O, 4, POOL, NUMBER)                                                 \
    OP(pool_trim, P | R | O, 3, POOL)                                                \
    /* misuse: made where a guard can notice it; elsewhere only what is right in it is done */ \
    OP(double_free, P | H | R, 2, BLOCK)                                             \
    OP(free_inside_freed, P | H | R, 1, BLOCK, NUMBER)                               \
    OP(resize_freed, H | R, 1, BLOCK, SIZE)                                          \
    OP(interior_free, P | H | R, 2, BLOCK, NUMBER)                                   \
    OP(stack_free, P | H | R, 1, NUMBER)                                             \
    OP(foreign_free, P | H | R, 1, NUMBER)                                           \
    OP(wrong_size, H | R, 2, BLOCK, SIZE)                                            \
    OP(wrong_kind, R, 2, BLOCK, KIND)                                                \
    OP(wrong_allocator, ALL, 3, BLOCK, NUMBER)                                       \
    OP(overflow, ALL, 2, BLOCK, NUMBER)                                              \
    OP(underflow, ALL, 2, BLOCK, NUMBER)                                             \
    OP(write_after_free, P | H | R, 2, BLOCK, NUMBER)                                \
    OP(bad_alignment, A | H | R, 1, HOME, SIZE)                                      \
    OP(bad_kind, R | T, 1, NUMBER)                                                   \
    OP(slot_too_large, R | T, 1, KIND, CONTEXT)                                      \
    OP(no_unit, A | R, 1, NUMBER)                                                    \
    OP(unit_outer_first, A | R, 1, NONE)                                             \
    OP(unit_twice, A | R, 1, NONE)                                                   \
    OP(unit_open_frame, S | R, 1, SIZE)                                              \
    OP(unit_reset, A | R, 1, NUMBER)                                                 \
    OP(pop_older, S | R, 2, HOME)                                                    \
    OP(pop_wrong_size, S | R, 1, HOME, SIZE)                                         \
    OP(pop_foreign, S | R, 1, HOME, BLOCK)                                           \
    OP(wrong_arena, A | S | R, 1, MARK, HOME)                                        \
    OP(stale_mark, A | S | R, 2, MARK)                                               \
    OP(wrong_thread, R, 1, NUMBER)                                                   \
    OP(use_after_close, R, 1, NUMBER)                                                \
    OP(dangling, A | S | R, 2, BLOCK, BLOCK)                                         \
    OP(dangling_store, A | R, 2, BLOCK, BLOCK)                                       \
    OP(leak, R, 1, NONE)                                                             \
    /* what came later: an operation's byte is its row, and seeds are bytes */        \
    OP(limit, ALL | T, 2, STRATEGY, SIZE)                                            \
    OP(freeze, ALL, 2, STRATEGY)                                                     \
    OP(drop, R | O, 1, NONE)                                                         \
    OP(use_after_reset, A | S | R, 1, HOME, NUMBER)                                  \
    OP(use_after_rewind, A | S | R, 1, HOME, NUMBER)                                 \
    OP(use_closed, R, 1, NUMBER)                                                     \
    OP(cross_fence, R, 1, BLOCK, NUMBER)                                             \
    OP(use_fenced, R, 1, BLOCK, NUMBER)                                              \
    OP(give_uncarved, P | R, 1, SIZE)                                                \
    OP(root_add, A | R | O, 3, NUMBER)                                                   \
    OP(root_remove, A | R | O, 2, NUMBER)                                                \
    OP(dangling_root, A | R, 2, NUMBER, BLOCK)                                       \
    OP(weak_store, R | O, 3, BLOCK, BLOCK)                                               \
    OP(seal, A | S | R, 2, HOME, NUMBER)                                             \
    /* what a window has left, a few bytes more or less; a cleanup that uses its arena */ \
    OP(fill_window, A | S | R | O, 6, BLOCK, HOME, NUMBER)                           \
    OP(busy_cleanup, A | S | R | O, 3, HOME, NUMBER)                                 \
    OP(dangling_rewind, A | R, 2, MARK, BLOCK)                                       \
    OP(dangling_pop, R, 2, HOME, BLOCK)                                              \
    OP(dangling_close, A | R, 1, HOME, BLOCK)                                        \
    OP(row_pointers, T, 8, NUMBER, SIZE)                                             \
    OP(unit_keep, A | S | R | O, 3, NONE)                                            \
    /* one parcel is on its way, also while its sender is closed: a new one takes its place */ \
    OP(unit_send, A | R | O, 4, BLOCK)                                               \
    OP(unit_receive, A | R | O, 4, BLOCK, NUMBER)                                    \
    /* the program has one image on disk; what is open stays when another takes its place */ \
    OP(image_save, A | R | O, 1, HOME, BLOCK, NUMBER)                                \
    OP(image_open, A | R | O, 1, NUMBER)                                             \
    OP(image_close, A | R | O, 1, NUMBER)                                            \
    OP(image_misuse, R, 1, NUMBER, NUMBER)                                           \
    OP(store_outside, R | H | A | S | O, 3, BLOCK, NUMBER)

typedef enum op_id {
#define OP(name, targets, weight, ...) OP_##name,
    FUZZ_OPERATIONS(OP)
#undef OP
    OP_COUNT
} op_id;

typedef struct op_row {
    const char *name;
    unsigned targets; /* A .. O */
    unsigned weight;
    operand_type operands[OPERANDS_MAX];
} op_row;
extern const op_row op_rows[OP_COUNT];

typedef struct operation {
    op_id id;
    uint64_t at[OPERANDS_MAX];
} operation;

typedef struct program {
    size_t count;
    operation ops[OPS_MAX];
} program;

/* How many values an operand of the type has, from 0; SIZE is apart. */
unsigned operand_range(operand_type type);
/* Brings any value to the nearest one that the type has. */
uint64_t operand_fit(operand_type type, uint64_t value);
bool program_same(const program *a, const program *b);

/* Any bytes are a program. An operation outside `targets` is read as one of them. */
void program_from_bytes(program *ret, const uint8_t *bytes, size_t size, unsigned targets);
/* The shortest bytes of the program, whole operations, at most `size`; returns their number. */
size_t program_to_bytes(const program *p, uint8_t *bytes, size_t size);

/* False: `error` holds "<file>:<line>: expected ..., found ...". */
bool program_from_text(program *ret, const char *text, size_t size, const char *file, char *error,
                       size_t error_size);
/* As snprintf: at most `size` bytes with the terminator, and the length of the whole. */
size_t program_to_text(const program *p, char *text, size_t size);
size_t operation_to_text(const operation *o, char *text, size_t size);

/* One file's bytes as a program: text where it ends in .ops. */
bool is_text_file(const char *path);

#endif
