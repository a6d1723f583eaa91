/* run: a program, on the library and on the model side by side. After each operation what can be
 * seen of the one is what the other says; the first difference is printed in one line, and the
 * process aborts. What was seen, addresses and the mode's own figures left out, is digested: the
 * same program has the same digest in every mode. */
#ifndef FIEF_FUZZ_RUN_H
#define FIEF_FUZZ_RUN_H

#include "model.h"

#include <stdio.h>

/* The OS that can fail, where it was linked; else NULL. */
typedef struct faults {
    void (*fail_at)(size_t n);
    size_t (*calls)(void);
    size_t (*reserves)(void); /* that are not given back */
    void (*run_on)(unsigned node); /* of two */
} faults;

typedef struct result {
    uint64_t digest;
    size_t operations;
} result;

/* `os` and `c` may be NULL. `c`: where to write the program as C, `c_end` what belongs behind. */
result run_program(const program *p, const faults *os, FILE *c, FILE *c_end);

/* What runs work on, one at a time: large, and used again by the next. A run beside others has one
 * of its own; NULL when memory is short. It stays for as long as the process. */
typedef struct ground ground;
ground *ground_new(void);
result run_beside_others(ground *g, const program *p);

/* Each misuse leaves a file <number>-<class>.ops in that directory: what config.record_ops does. */
void run_records_in(const char *directory);
const char *record_file(void);
void keep_record(const fief_misuse *m);

/* ---- for the operations, do_*.c ---- */

/* Blocks that were sent, and not received yet: the root, and from each where its field leads. */
enum { SENT_MOST = 8 };
typedef struct sent {
    fief_parcel *parcel; /* NULL: none is */
    unsigned count;
    size_t size;
    block blocks[SENT_MOST];  /* as they were; a field leads to one of them: its number */
    const fief_kind *kinds;
} sent;

typedef struct run {
    ground *ground;
    bool beside_others; /* nothing is done to what the whole process has */
    const program *program;
    size_t at; /* the operation */
    life *lives[RUNTIMES];
    life *now;
    uint64_t digest;
    size_t thread;
    bool guards, poisons; /* the mode notices misuse; also writes past a block, by itself */
    fief_misuse_class expected;
    unsigned expects, reported;
    size_t leaks, leaks_told; /* blocks that a close must tell, and those it has told */
    bool closing;             /* all arenas of the runtime, in their order */
    unsigned cleanups;        /* that ran */
    unsigned cleanups_due;    /* that the end of a runtime must run */
    const void *last_cleanup; /* the argument of the one that ran last */
    unsigned late, late_due;  /* cleanups that cleanups attached: run, and to be run */
    const faults *os;
    size_t calls_before, fail_number;
    bool os_failed; /* a call of this operation did */
    bool refused;   /* this operation's: all is to be as it was */
    FILE *c, *c_end, *c_now;
    fief_kind rows[CUSTOM_ROWS_MAX];
    size_t offsets[CUSTOM_ROWS_MAX][2]; /* of their pointers */
    unsigned row_count;
    fief_config custom;
    unsigned hand_depth;
    unsigned seeds, fulls, tokens;
    sent sent;
    picture saved; /* what the file holds; its number 0: there is none */
    int image_file; /* of the real OS; -1: none */
    unsigned saves; /* files that were written */
} run;

enum { BUFFER_SIZE = 1 << 21, ARENA_BUFFER = 5000 };

/* Kept ranges: opening a runtime takes no system call. Buffers are aligned as in the C form, so
 * that they hold the same there. */
struct ground {
    _Alignas(65536) unsigned char buffers[RUNTIMES][BUFFER_SIZE];
    _Alignas(16) unsigned char arena_buffers[RUNTIMES][HOMES][ARENA_BUFFER];
    life lives[RUNTIMES];
    fief_range *ranges[RUNTIMES];
    void *roots[RUNTIMES][ROOTS];
    token tokens[OPS_MAX]; /* an operation attaches one cleanup at most */
    run run;
};

typedef void verb(run *r, const uint64_t *at);
#define OP(name, targets, weight, ...) verb do_##name;
FUZZ_OPERATIONS(OP)
#undef OP

/* Prints where the program is and the sentence, and aborts. */
_Noreturn void differ(const run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define MUST(r, condition, ...)                                                                    \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            differ((r), __VA_ARGS__);                                                              \
        }                                                                                          \
    } while (0)

/* Adds to the digest; nothing of a loose runtime, nor of one whose sizes vary. */
void see(run *r, uint64_t value);
void see_bytes(run *r, const block *b);
/* A line of the C form. */
void say(run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define SAY(r, ...)                                                                                \
    do {                                                                                           \
        if ((r)->c != NULL) {                                                                      \
            say((r), __VA_ARGS__);                                                                 \
        }                                                                                          \
    } while (0)

/* Misuse: only in a mode that notices it; between the two stands the call. */
bool begin_misuse(run *r, fief_misuse_class class_id);
void end_misuse(run *r);
/* As begin_misuse, where every mode notices it. */
void expect_misuse(run *r, fief_misuse_class class_id);
/* Ends a child that made an access to see it noticed (do_access.c). */
void access_was_noticed(const fief_misuse *m);
/* It must be noticed as that, in a child. */
void access_must_be(run *r, fief_misuse_class class_id, unsigned char *byte, bool writes);
/* May this NULL be? In a loose runtime, or where the OS has just failed. */
bool null_is_fine(run *r);

/* ---- runtimes ---- */

/* The present runtime, opened if it is not, and owned by this thread. */
life *open_life(run *r);
/* Ranges that stay for the next program; each is opened when it is first needed. */
size_t kept_ranges(const ground *g);
bool on_misuse(const fief_misuse *m, void *user);
void close_life(run *r, life *l);
void run_until(run *r, size_t end);
void check_figures(run *r, life *l);
void check_blocks(run *r, const life *l);
/* Each living block belongs to whom it did. */
void check_owners(run *r, const life *l);

/* ---- blocks ---- */

typedef struct made {
    void *start;
    size_t size, counted, align;
    origin origin;
    fief_strategy strategy; /* of the allocator that was asked */
    unsigned kind;
    int home, pool;
    bool zeroed, is_text; /* it holds "xx...x" */
    bool is_admitted;     /* a resize: the budget has been asked */
    size_t usable;        /* of an unsized one; else 0 */
} made;
/* After an allocation into the handle: is it what it must be? */
void settle(run *r, int index, made m);
/* Room for one more block at or after the handle; -1: none, skip. */
int room_for(run *r, uint64_t handle, size_t size);
/* No living block's field points to it any more. */
void forget_pointers_to(run *r, int index);
/* Nor does it point to any. */
void forget_field(run *r, int index);
/* The same of a byte of the host's. */
const char *c_outside(const unsigned char *byte);
/* For the C form: where its field is, or -1. */
long c_field(const block *b);
/* The calls alone. */
void call_free(run *r, const life *l, const block *b, const char *name);
void *call_resize(run *r, const life *l, const block *b, const char *name, size_t size);
fief_strategy cell(const life *l, unsigned kind, unsigned context);
/* The block, of dynamic lifetime, is freed as its kind wants it. */
void free_block(run *r, int index);
/* It must hold what was written, as far as `size`. */
void must_hold(run *r, int index, size_t size);
/* The C expression of a block's address. */
const char *c_block(const life *l, int index);
unsigned no_kind(const life *l);

/* ---- arenas ---- */

/* The home, or the next one that is open and of that sort; -1: none. */
int find_home(const life *l, uint64_t handle, bool stacks);
const char *c_home(const life *l, int home);
/* Before anything dies: what dies holds its bytes, and nobody points to it. */
void prepare_undo(run *r, life *l, int home, uint64_t number);
/* After it: the model follows, and the cleanups have run. */
void finish_undo(run *r, life *l, int home, uint64_t number);
fief_stack *stack_of(const life *l, int home);
void pop_frame(run *r, life *l, int index);
void end_innermost_unit(run *r, life *l);
int find_mark(const life *l, uint64_t handle);
int find_pool(const life *l, uint64_t handle);
/* A parcel that nobody received is given back. */
void drop_parcel(run *r);
/* Does the block's kind tell what its field points to? */
bool is_told(const life *l, const block *b);
/* The runtime's open images hold what was saved. */
void check_images(run *r, const life *l);
/* The program's image has no file any more. */
void drop_image_file(run *r);

#endif
