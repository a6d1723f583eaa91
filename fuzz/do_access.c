/* do_access: reads and writes of memory that is dead or fenced, noticed at the access itself. In
 * the debug build such an access faults, and the report cannot be returned from: it is made in a
 * child, whose handler of misuse leaves the class behind and ends it. In the ASan-annotated build
 * AddressSanitizer is asked whether it would see it. Each operation makes what it then touches. */
#include "run.h"

#include "emit.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define VALGRIND_DISABLE_ERROR_REPORTING
#endif

__attribute__((weak)) int __asan_address_is_poisoned(void const volatile *address);

enum { NOTHING = 0, SMALL = 64, WIDE = 20000, DEEP = 15000 };

/* Shared with the child, by each thread with its own: the class and 1. */
static _Thread_local volatile unsigned *witness;
static bool is_witness;

void access_was_noticed(const fief_misuse *m)
{
    if (is_witness) {
        *witness = (unsigned)m->class_id + 1;
        keep_record(m);
        _exit(0);
    }
}

static void touch(volatile unsigned char *byte, bool writes)
{
    VALGRIND_DISABLE_ERROR_REPORTING; /* it sees the access, too */
    if (writes) {
        *byte = 1;
    } else {
        (void)*byte;
    }
}

/* What the child was told; NOTHING, too, where it ended in another way. */
static unsigned told_in_child(run *r, volatile unsigned char *byte, bool writes)
{
    if (witness == NULL) {
        void *page =
            mmap(NULL, sizeof *witness, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        MUST(r, page != MAP_FAILED, "expected a page to share with a child, found none");
        witness = page;
    }
    *witness = NOTHING;
    (void)fflush(stdout); /* a sanitizer's exit would write it again */
    pid_t child = fork();
    if (child == 0) {
        is_witness = true;
        touch(byte, writes);
        _exit(0);
    }
    int status;
    pid_t ended;
    do { /* an engine's timer may come between */
        ended = child > 0 ? waitpid(child, &status, 0) : -1;
    } while (ended < 0 && child > 0 && errno == EINTR);
    MUST(r, ended == child, "expected a child, found none");
    keep_record(NULL);
    return *witness;
}

void access_must_be(run *r, fief_misuse_class class_id, unsigned char *byte, bool writes)
{
    unsigned told = NOTHING;
    if (r->beside_others) {
        return; /* a child would have what other threads are in the middle of */
    }
    if (r->poisons || class_id == FIEF_MISUSE_SEALED_WRITE) {
        told = told_in_child(r, byte, writes);
    } else if (__asan_address_is_poisoned != NULL && __asan_address_is_poisoned(byte)) {
        told = (unsigned)class_id + 1;
    }
    MUST(r, told == (unsigned)class_id + 1, "expected the %s to be noticed as %s, found %s",
         writes ? "write" : "read", fief_misuse_name(class_id),
         told == NOTHING ? "nothing" : fief_misuse_name((fief_misuse_class)(told - 1)));
}

/* A mode that notices it, and a runtime whose dead pages stay dead for a while. */
static bool would_notice(const run *r, const life *l)
{
    enum { ENOUGH = 1 << 20 };
    return r->guards && r->os == NULL && l->buffer == NULL && l->quarantine >= ENOUGH;
}

static void say_access(run *r, fief_misuse_class class_id, const char *name, ptrdiff_t offset,
                       bool writes)
{
    SAY(r, "touch(%s + (%td), %d, %d); /* %s */", name, offset, writes, class_id,
        fief_misuse_name(class_id));
}

/* ---- what an arena lost ---- */

/* A new block of the arena itself; -1: there is none. */
static int block_in(run *r, life *l, int home_index, size_t size)
{
    int index = room_for(r, 0, size);
    const home *h = &l->homes[home_index];
    if (index < 0) {
        return -1;
    }
    if (h->is_stack) {
        do_push(r, (const uint64_t[]){(uint64_t)index, (uint64_t)home_index, size});
    } else {
        do_arena_alloc(r, (const uint64_t[]){(uint64_t)index, (uint64_t)home_index, size, 4});
    }
    const block *b = &l->blocks[index];
    return b->origin != EMPTY && b->strategy == h->strategy && !h->has_buffer ? index : -1;
}

static void must_be_dead(run *r, const life *l, fief_misuse_class class_id, unsigned char *start,
                         int index, size_t offset, uint64_t number)
{
    if (would_notice(r, l)) {
        say_access(r, class_id, c_block(l, index), (ptrdiff_t)offset, number % 2 != 0);
        access_must_be(r, class_id, start + offset, number % 2 != 0);
    }
}

/* The units' arena ends with a unit, the others by a reset. */
void do_use_after_reset(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    if (l == NULL || r->os != NULL) {
        return;
    }
    bool in_unit = at[0] == HOME_UNIT && l->unit_count == 0;
    int home_index = in_unit ? HOME_UNIT : find_home(l, at[0], at[1] % 4 == 3);
    if (home_index < 0 || (home_index == HOME_UNIT && !in_unit)) {
        return;
    }
    if (in_unit) {
        do_unit_begin(r, at);
    }
    int index = block_in(r, l, home_index, SMALL);
    unsigned char *start = index >= 0 ? l->blocks[index].start : NULL;
    if (in_unit) {
        do_unit_end(r, at);
    } else {
        do_arena_reset(r, (const uint64_t[]){(uint64_t)home_index});
    }
    if (index >= 0) {
        must_be_dead(r, l, FIEF_MISUSE_USE_AFTER_RESET, start, index, (size_t)at[1] % SMALL, at[1]);
    }
}

/* So wide that a page of it holds nothing else. */
void do_use_after_rewind(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    int home_index = l != NULL && r->os == NULL ? find_home(l, at[0], at[1] % 4 == 3) : -1;
    if (home_index < 0) {
        return;
    }
    uint64_t mark = at[1] % MARKS;
    do_mark(r, (const uint64_t[]){mark, (uint64_t)home_index});
    int index = block_in(r, l, home_index, WIDE);
    unsigned char *start = index >= 0 ? l->blocks[index].start : NULL;
    do_rewind(r, &mark);
    if (index >= 0) {
        must_be_dead(r, l, FIEF_MISUSE_USE_AFTER_REWIND, start, index, DEEP + (size_t)at[1], at[1]);
    }
}

/* ---- what a runtime lost ---- */

void do_use_closed(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    if (l == NULL || !r->guards || r->os != NULL) {
        return;
    }
    bool writes = at[0] % 2 != 0;
    fief_config c = {
        .name = "closed", .reserve_bytes = (size_t)64 << 20, .on_misuse = on_misuse, .user = l};
    SAY(r, "config = (fief_config){.name = \"closed\", .reserve_bytes = 64 << 20};");
    SAY(r, "closed = open_runtime(&config);");
    SAY(r, "kept = fief_arena_alloc(fief_vm_arena(closed), %d);", SMALL);
    SAY(r, "(void)fief_close(closed);");
    fief_runtime *closed = fief_open(&c);
    MUST(r, closed != NULL, "expected a runtime, found NULL");
    unsigned char *start = fief_arena_alloc(fief_vm_arena(closed), SMALL);
    MUST(r, start != NULL && fief_close(closed) == 0, "expected a block, and no leak");
    say_access(r, FIEF_MISUSE_USE_AFTER_CLOSE, "kept", (ptrdiff_t)(at[0] % SMALL), writes);
    access_must_be(r, FIEF_MISUSE_USE_AFTER_CLOSE, start + at[0] % SMALL, writes);
}

/* ---- fences: the debug build has them ---- */

static bool is_small_and_fenced(const life *l, const block *b)
{
    enum { MOST = 4096 };
    return is_fenced(l, b) && is_dynamic(l, b) && b->size <= MOST;
}

void do_cross_fence(run *r, const uint64_t *at)
{
    enum { ROUNDED = 16, NEAR = 64 };
    life *l = open_life(r);
    int index = l != NULL ? find_block(l, at[0], is_small_and_fenced) : -1;
    if (index < 0 || !r->poisons || !would_notice(r, l)) {
        return;
    }
    const block *b = &l->blocks[index];
    bool before = (l->kinds[b->kind].traits & FIEF_FENCE_FRONT) != 0, writes = at[1] % 2 != 0;
    ptrdiff_t away = (ptrdiff_t)(at[1] % NEAR);
    ptrdiff_t offset = before ? -1 - away : (ptrdiff_t)b->size + ROUNDED + away;
    fief_misuse_class class_id = before ? FIEF_MISUSE_UNDERFLOW : FIEF_MISUSE_OVERFLOW;
    say_access(r, class_id, c_block(l, index), offset, writes);
    access_must_be(r, class_id, b->start + offset, writes);
    must_hold(r, index, b->size);
}

void do_use_fenced(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    int index = l != NULL && r->os == NULL ? find_block(l, at[0], is_small_and_fenced) : -1;
    if (index < 0) {
        return;
    }
    const block b = l->blocks[index];
    free_block(r, index);
    if (r->poisons && would_notice(r, l) && b.size != 0) {
        must_be_dead(r, l, FIEF_MISUSE_USE_AFTER_FREE, b.start, index, at[1] % b.size, at[1]);
    }
}
