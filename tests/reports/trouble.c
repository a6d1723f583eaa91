/* trouble: what a report does when it is itself in trouble. Each row is a process of its own,
 * which must end by the signal that it would have ended by, in time, and must say what it can
 * still say. */
#include "support.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NODE, STRING, KINDS };
static fief_kind kinds[KINDS] = {
    [NODE] = {.name = "node", .any = FIEF_HEAP, .in = {[FIEF_TEMPORARY] = FIEF_COMPILER_ARENA}},
    [STRING] = {.name = "string", .any = FIEF_HEAP, .in = {[FIEF_LITERAL] = FIEF_VM_ARENA}},
};
static fief_runtime *rt;
static char foreign[64];

static fief_runtime *open_with(fief_config config)
{
    config.name = "trouble";
    config.kinds = kinds;
    config.kind_count = KINDS;
    return rt = fief_open(&config);
}

static void say(const char *text)
{
    if (write(STDERR_FILENO, text, strlen(text)) < 0) {
        _exit(9);
    }
}

/* ---- mistakes ---- */

static void double_free(void)
{
    char *text = fief_new(rt, STRING, FIEF_DYNAMIC, 40);
    fief_free(rt, STRING, text, 40);
    fief_free(rt, STRING, text, 40);
}

static volatile char *dead_text(void)
{
    fief_unit unit = fief_unit_begin(rt);
    char *text = fief_new(rt, NODE, FIEF_TEMPORARY, 40);
    fief_unit_end(rt, unit);
    return text;
}

static void touch_dead(void)
{
    (void)*dead_text();
}

static char *volatile nothing = (char *)16;

static void touch_nothing(void)
{
    (void)*(volatile char *)nothing;
}

/* ---- where it is written ---- */

static void stderr_closed(void)
{
    open_with((fief_config){0});
    (void)close(STDERR_FILENO);
    double_free();
}

static int pipe_ends[2];

static void stderr_is_pipe(void)
{
    if (pipe(pipe_ends) != 0 || dup2(pipe_ends[1], STDERR_FILENO) < 0) {
        _exit(9);
    }
}

static void reader_gone(void)
{
    open_with((fief_config){0});
    stderr_is_pipe();
    (void)close(pipe_ends[0]);
    double_free();
}

static void fill_pipe(void)
{
    static const char block[4096];
    stderr_is_pipe();
    (void)fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK);
    while (write(STDERR_FILENO, block, sizeof block) > 0) {
    }
    (void)fcntl(STDERR_FILENO, F_SETFL, 0);
}

static void reader_stops(void)
{
    open_with((fief_config){0});
    fill_pipe();
    double_free();
}

static void reader_stops_at_a_fault(void)
{
    open_with((fief_config){0});
    volatile char *text = dead_text();
    fill_pipe();
    (void)*text;
}

/* ---- the host's callbacks ---- */

static bool misuse_again(const fief_misuse *misuse, void *user)
{
    (void)misuse;
    (void)user;
    fief_heap_free(fief_runtime_heap(rt), foreign, 2000);
    return true;
}

static void handler_misuses(void)
{
    open_with((fief_config){.on_misuse = misuse_again});
    double_free();
}

static bool allocate_again(const fief_misuse *misuse, void *user)
{
    (void)misuse;
    (void)user;
    (void)fief_heap_alloc(fief_runtime_heap(rt), 10);
    return true;
}

static void *allocate_apart(void *unused)
{
    (void)fief_heap_alloc(fief_runtime_heap(rt), 10);
    return unused;
}

static void handler_misuses_apart(void)
{
    pthread_t thread;
    open_with((fief_config){.on_misuse = allocate_again});
    (void)pthread_create(&thread, NULL, allocate_apart, NULL);
    (void)pthread_join(thread, NULL);
}

static bool crash(const fief_misuse *misuse, void *user)
{
    (void)misuse;
    (void)user;
    touch_nothing();
    return true;
}

static void handler_crashes(void)
{
    open_with((fief_config){.on_misuse = crash});
    double_free();
}

static void leak_to(bool (*handler)(const fief_misuse *, void *))
{
    open_with((fief_config){.on_misuse = handler});
    (void)fief_heap_alloc(fief_runtime_heap(rt), 10);
    (void)fief_close(rt);
}

static void handler_crashes_over_a_leak(void)
{
    leak_to(crash);
}

static void handler_misuses_over_a_leak(void)
{
    leak_to(misuse_again);
}

static volatile char *dead;

static bool touch_again(const fief_misuse *misuse, void *user)
{
    (void)misuse;
    (void)user;
    (void)*dead;
    return true;
}

static void handler_touches_dead(void)
{
    open_with((fief_config){.on_misuse = touch_again});
    dead = dead_text();
    (void)*dead;
}

static jmp_buf out;

static bool jump_out(const fief_misuse *misuse, void *user)
{
    (void)misuse;
    (void)user;
    longjmp(out, 1);
}

/* A test program's way to go on. The second misuse is reported as the first was. */
static void handler_jumps_out(void)
{
    static volatile int jumps;
    open_with((fief_config){.on_misuse = jump_out});
    if (setjmp(out) != 0) {
        jumps++;
    }
    if (jumps < 2) {
        double_free();
    }
    say("host: jumped twice\n");
    _exit(0);
}

/* The same access at the same address: it is told twice. */
static void handler_jumps_out_of_a_fault(void)
{
    static volatile int jumps;
    open_with((fief_config){.on_misuse = jump_out});
    dead = dead_text();
    if (setjmp(out) != 0) {
        jumps++;
    }
    if (jumps < 2) {
        (void)*dead;
    }
    say("host: jumped twice\n");
    _exit(0);
}

static uint64_t allocate_anew(void *user)
{
    (void)user;
    if (rt != NULL) {
        (void)fief_new(rt, NODE, FIEF_DYNAMIC, 24);
    }
    return 7;
}

static void where_allocates(void)
{
    open_with((fief_config){.where = allocate_anew});
    double_free();
}

static bool armed;

static uint64_t crash_when_armed(void *user)
{
    (void)user;
    if (armed) {
        touch_nothing();
    }
    return 7;
}

static void where_crashes(void)
{
    open_with((fief_config){.where = crash_when_armed});
    char *text = fief_new(rt, STRING, FIEF_DYNAMIC, 40);
    armed = true;
    fief_free(rt, STRING, text + 1, 40);
}

static uint64_t seven(void *user)
{
    (void)user;
    return 7;
}

static size_t tell(uint64_t where, char *buffer, size_t size, void *user)
{
    (void)user;
    say("host: asked\n");
    return (size_t)snprintf(buffer, size, "script.lua:%d", (int)where);
}

static size_t tell_and_misuse(uint64_t where, char *buffer, size_t size, void *user)
{
    fief_heap_free(fief_runtime_heap(rt), foreign, 2000);
    return tell(where, buffer, size, user);
}

static size_t tell_and_crash(uint64_t where, char *buffer, size_t size, void *user)
{
    touch_nothing();
    return tell(where, buffer, size, user);
}

static size_t tell_never(uint64_t where, char *buffer, size_t size, void *user)
{
    for (;;) {
        (void)pause();
    }
    return tell(where, buffer, size, user);
}

static size_t tell_everything(uint64_t where, char *buffer, size_t size, void *user)
{
    (void)where;
    (void)user;
    memset(buffer, 'w', size); /* as snprintf would not: no end, and more than fits */
    return 10 * size;
}

static void where_text_told(void)
{
    open_with((fief_config){.where = seven, .where_text = tell});
    double_free();
}

static void where_text_misuses(void)
{
    open_with((fief_config){.where = seven, .where_text = tell_and_misuse});
    double_free();
}

static void where_text_crashes(void)
{
    open_with((fief_config){.where = seven, .where_text = tell_and_crash});
    double_free();
}

static void where_text_hangs(void)
{
    open_with((fief_config){.where = seven, .where_text = tell_never});
    double_free();
}

static void where_text_overflows(void)
{
    open_with((fief_config){.where = seven, .where_text = tell_everything});
    double_free();
}

/* ---- what it reads ---- */

static void kind_name_is_garbage(void)
{
    open_with((fief_config){0});
    char *text = fief_new(rt, STRING, FIEF_LITERAL, 40);
    kinds[STRING].name = (const char *)8;
    fief_free(rt, STRING, text, 40);
}

/* The sentence and the rest end where the name would begin. */
static void kind_name_is_garbage_and_dangling(void)
{
    open_with((fief_config){.scan_percent = 100});
    fief_unit unit = fief_unit_begin(rt);
    void **holder = fief_new(rt, STRING, FIEF_DYNAMIC, 40);
    holder[1] = fief_new(rt, NODE, FIEF_TEMPORARY, 40);
    kinds[STRING].name = (const char *)8;
    fief_unit_end(rt, unit);
}

static void runtime_name_is_garbage(void)
{
    fief_config config = {.name = (const char *)8, .kinds = kinds, .kind_count = KINDS};
    rt = fief_open(&config);
    double_free();
}

/* A record's second word: size, state and operation. Found where nobody knows its address. */
static uint64_t *find_word(uint64_t word, uint64_t mask)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512], access[5];
    unsigned long from, to;
    uint64_t *found = NULL;
    while (maps != NULL && found == NULL && fgets(line, sizeof line, maps) != NULL) {
        if (sscanf(line, "%lx-%lx %4s", &from, &to, access) != 3 || strcmp(access, "rw-p") != 0 ||
            strchr(line, '[') != NULL || strchr(line, '/') != NULL) {
            continue;
        }
        for (uint64_t *at = (uint64_t *)from; at < (uint64_t *)to && found == NULL; at++) {
            found = (*at & mask) == word ? at : NULL;
        }
    }
    if (maps != NULL) {
        (void)fclose(maps);
    }
    return found;
}

enum { ODD_SIZE = 7777 };

static void damage(uint64_t first, uint64_t second)
{
    open_with((fief_config){0});
    char *block = fief_heap_alloc(fief_runtime_heap(rt), ODD_SIZE);
    uint64_t *word = find_word(ODD_SIZE | (uint64_t)1 << 27, ((uint64_t)1 << 30) - 1);
    if (word == NULL) {
        say("host: no record found\n");
        _exit(9);
    }
    word[-1] ^= first;
    word[0] ^= second;
    fief_heap_free(fief_runtime_heap(rt), block, ODD_SIZE);
    fief_heap_free(fief_runtime_heap(rt), block, ODD_SIZE);
}

/* A vacant block's record leads to the next one: to nowhere, here. That is for the next call. */
static void vacant_record_leads_nowhere(void)
{
    open_with((fief_config){.quarantine_bytes = 1});
    fief_heap *heap = fief_runtime_heap(rt);
    char *blocks[2];
    for (size_t i = 0; i < 2; i++) {
        blocks[i] = fief_heap_alloc(heap, 488);
    }
    for (size_t i = 0; i < 2; i++) {
        fief_heap_free(heap, blocks[i], 488);
    }
    uint64_t *word = find_word(488, ((uint64_t)1 << 27) - 1);
    uint64_t *other = word != NULL ? word + 2 : NULL;
    for (; other != NULL && (*other & (((uint64_t)1 << 27) - 1)) != 488; other += 2) {
    }
    if (other == NULL) {
        say("host: no record found\n");
        _exit(9);
    }
    *other |= (uint64_t)0x3FFFFFFF << 34;
    say(fief_heap_alloc(heap, 488) == blocks[1] ? "host: served\n" : "host: another\n");
    _exit(0);
}

static void record_has_a_far_stack(void)
{
    damage(0xFFFFFF, 0);
}

static void record_has_an_odd_stack(void)
{
    damage(0x155555, 0);
}

static void record_has_an_odd_kind(void)
{
    damage((uint64_t)0x1FFF << 48, 0);
}

static void record_has_an_odd_start(void)
{
    damage((uint64_t)7 << 61, 0);
}

static void record_has_an_odd_state(void)
{
    damage(0, (uint64_t)6 << 27);
}

static void record_has_an_odd_size(void)
{
    damage(0, ((uint64_t)1 << 27) - 1);
}

static void record_is_all_ones(void)
{
    damage(UINT64_MAX, UINT64_MAX);
}

/* ---- what it may do ---- */

/* A sandbox that allows what the host needs, and not everything that a report would like. */
static void filter_calls(struct sock_filter *filter, size_t count)
{
    struct sock_fprog program = {(unsigned short)count, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        say("host: no filter\n");
        _exit(9);
    }
}

#define LOAD(member) \
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offsetof(struct seccomp_data, member))
#define UNLESS(value, skipped) \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)(value), 0, skipped)
#define FAIL(error) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))
#define ALLOW       BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static void forbid(long number)
{
    struct sock_filter filter[] = {LOAD(nr), UNLESS(number, 1), FAIL(EPERM), ALLOW};
    filter_calls(filter, sizeof filter / sizeof filter[0]);
}

/* Where an argument, the first is 0, has that value. */
static void forbid_where(long number, unsigned argument, unsigned value, unsigned error)
{
    struct sock_filter filter[] = {LOAD(nr), UNLESS(number, 3), LOAD(args[0]), UNLESS(value, 1),
                                   FAIL(error), ALLOW};
    filter[2].k += argument * (unsigned)sizeof(uint64_t);
    filter_calls(filter, sizeof filter / sizeof filter[0]);
}

static void no_clone(void)
{
    open_with((fief_config){0});
    forbid(SYS_clone);
    double_free();
}

static void no_descriptors(void)
{
    open_with((fief_config){0});
    (void)setrlimit(RLIMIT_NOFILE, &(struct rlimit){3, 3});
    double_free();
}

static void no_memory(void)
{
    open_with((fief_config){.reserve_bytes = small_reserve});
    char *text = fief_new(rt, STRING, FIEF_DYNAMIC, 40);
    fief_free(rt, STRING, text, 40);
    (void)setrlimit(RLIMIT_AS, &(struct rlimit){1, 1});
    fief_free(rt, STRING, text, 40);
}

/* The page of what is written first, and no other. */
static void only_one_page(void)
{
    open_with((fief_config){0});
    forbid_where(SYS_mmap, 1, 1 << 20, ENOMEM); /* the child's stack */
    double_free();
}

static void no_shared_memory(void)
{
    open_with((fief_config){0});
    forbid_where(SYS_mmap, 3, MAP_SHARED | MAP_ANONYMOUS, ENOMEM);
    double_free();
}

static void descriptors_were_short(void)
{
    (void)setrlimit(RLIMIT_NOFILE, &(struct rlimit){3, 3});
    open_with((fief_config){0}); /* it does not find its stack */
    double_free();
}

/* What may be written to is limited, what is reserved is not: no room for call stacks. */
static void data_is_limited(void)
{
    (void)setrlimit(RLIMIT_DATA, &(struct rlimit){64 << 20, 64 << 20});
    open_with((fief_config){.reserve_bytes = small_reserve});
    double_free();
}

static bool tell_short_of_memory(const fief_misuse *misuse, void *user)
{
    static char report[4096];
    (void)user;
    (void)setrlimit(RLIMIT_AS, &(struct rlimit){1, 1});
    (void)fief_misuse_text(misuse, report, sizeof report);
    say(strstr(report, "SUMMARY: fief: double-free\n") != NULL ? "host: without frames\n" : report);
    return true;
}

static void no_memory_for_frames(void)
{
    open_with((fief_config){.on_misuse = tell_short_of_memory});
    double_free();
    _exit(0);
}

static void no_link_to_itself(void)
{
    forbid(SYS_readlink);
    open_with((fief_config){0});
    double_free();
}

static void no_signal_handlers(void)
{
    forbid(SYS_rt_sigaction);
    open_with((fief_config){0});
    touch_dead();
}

/* Kernels before 6.13 fence by mappings. */
static void no_guard_markers(void)
{
    enum { INSTALL = 102 };
    forbid_where(SYS_madvise, 2, INSTALL, EINVAL);
    open_with((fief_config){0});
    touch_dead();
}

static void no_advice(void)
{
    forbid(SYS_madvise);
    open_with((fief_config){0});
    touch_dead();
}

/* As a terminal may that was stopped. */
static void stderr_would_block(void)
{
    open_with((fief_config){0});
    forbid_where(SYS_write, 0, STDERR_FILENO, EAGAIN);
    double_free();
}

static void no_working_directory(void)
{
    char folder[] = "/tmp/fief-trouble-XXXXXX";
    if (mkdtemp(folder) == NULL || chdir(folder) != 0 || rmdir(folder) != 0) {
        _exit(9);
    }
    open_with((fief_config){0});
    double_free();
}

static size_t tell_without_files(uint64_t where, char *buffer, size_t size, void *user)
{
    for (int file = 0; file < 1024; file++) {
        (void)close(file);
    }
    return tell_never(where, buffer, size, user);
}

static void where_text_closes_all(void)
{
    open_with((fief_config){.where = seven, .where_text = tell_without_files});
    double_free();
}

static void ring(int number)
{
    (void)number;
}

static void ring_often(void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};
    (void)sigaction(SIGALRM, &action, NULL);
    (void)setitimer(ITIMER_REAL, &(struct itimerval){{0, 50000}, {0, 50000}}, NULL);
}

static void timer_rings_while_nobody_reads(void)
{
    open_with((fief_config){0});
    fill_pipe();
    ring_often(ring);
    double_free();
}

static void misuse_while_it_is_written(int number)
{
    (void)number;
    fief_heap_free(fief_runtime_heap(rt), foreign, 2000);
}

static void timer_misuses(void)
{
    open_with((fief_config){0});
    fill_pipe();
    ring_often(misuse_while_it_is_written);
    double_free();
}

/* What the host left pending stays so. */
static void reader_gone_before(void)
{
    sigset_t broken;
    (void)sigemptyset(&broken);
    (void)sigaddset(&broken, SIGPIPE);
    (void)sigprocmask(SIG_BLOCK, &broken, NULL);
    (void)raise(SIGPIPE);
    reader_gone();
}

static void timer_rings_while_it_waits(void)
{
    open_with((fief_config){.where = seven, .where_text = tell_never});
    ring_often(ring);
    double_free();
}

/* ---- frames that are none ---- */

/* Calls with `fake`, a frame and what is to be a return address, above its own frame. */
static __attribute__((noinline)) void double_free_below(void **fake)
{
    void *volatile *frame = __builtin_frame_address(0);
    void *saved = frame[0];
    frame[0] = fake;
    double_free();
    frame[0] = saved;
}

static void come_from(const void *code)
{
    void *fake[2] = {NULL, (void *)(uintptr_t)code};
    double_free_below(fake);
}

static bool look_for_small_numbers(const fief_misuse *misuse, void *user)
{
    bool found = misuse->used.count == 0;
    (void)user;
    for (size_t i = 0; i < misuse->used.count; i++) {
        found = found || misuse->used.frames[i] == (const void *)1;
    }
    say(found ? "host: it is taken for code\n" : "host: it ends before\n");
    return true;
}

static void frame_is_a_small_number(void)
{
    open_with((fief_config){.on_misuse = look_for_small_numbers});
    come_from((const void *)1);
    _exit(0);
}

static void frame_is_data(void)
{
    open_with((fief_config){0});
    come_from(&kinds[1]);
}

static void frame_is_not_in_the_file(void)
{
    open_with((fief_config){0});
    come_from(&foreign[32]);
}

static void frame_follows_no_call(void)
{
    static const void *volatile entry;
    entry = (const void *)(uintptr_t)&double_free_below;
    open_with((fief_config){0});
    come_from(entry);
}

#ifdef __x86_64__
/* sub $8, %rsp; call *%rcx; add $8, %rsp; ret */
static const unsigned char code[] = {0x48, 0x83, 0xEC, 8, 0xFF, 0xD1, 0x48, 0x83, 0xC4, 8, 0xC3};
typedef void heap_free(fief_heap *, void *, size_t);

/* As an interpreter that compiles at run time: nobody loaded that code from a file. */
static void called_from_made_code(void)
{
    void (*made)(fief_heap *, void *, size_t, heap_free *);
    void *place = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
                       -1, 0);
    if (place == MAP_FAILED) {
        _exit(9);
    }
    memcpy(place, code, sizeof code);
    memcpy(&made, &place, sizeof made);
    open_with((fief_config){0});
    fief_heap *heap = fief_runtime_heap(rt);
    char *block = fief_heap_alloc(heap, 40);
    made(heap, block, 40, fief_heap_free_slow);
    made(heap, block, 40, fief_heap_free_slow);
}
#endif

#ifdef __x86_64__
/* mov (%rdi), %al; ret */
static void made_code_touches_dead(void)
{
    static const unsigned char reads[] = {0x8A, 0x07, 0xC3};
    void (*made)(volatile char *);
    void *place = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
                       -1, 0);
    if (place == MAP_FAILED) {
        _exit(9);
    }
    memcpy(place, reads, sizeof reads);
    memcpy(&made, &place, sizeof made);
    open_with((fief_config){0});
    made(dead_text());
}
#endif

static uint64_t count_on(void *user)
{
    (void)user;
    static uint64_t count;
    return ++count;
}

static void fill_evidence(int depth)
{
    enum { DEEP = 14, MANY = 800000 };
    if (depth < DEEP) {
        fill_evidence(depth + 1);
        (void)*(volatile int *)&depth;
        return;
    }
    for (int i = 0; i < MANY; i++) {
        fief_heap_free(fief_runtime_heap(rt), fief_heap_alloc(fief_runtime_heap(rt), 40), 40);
    }
}

/* Each call has a place of its own: in the end there is no room for another. */
static void evidence_is_full(void)
{
    open_with((fief_config){.where = count_on, .stack_depth = FIEF_DEPTH_MAX});
    fill_evidence(0);
    double_free();
}

/* ---- files that are not what was loaded ---- */

static char plugin_folder[] = "/tmp/fief-trouble-XXXXXX";

/* A small library of the system's, under a name of our own; its bytes. */
static size_t read_library(unsigned char *bytes, size_t most)
{
    struct link_map *map = NULL;
    void *library = dlopen("libdl.so.2", RTLD_NOW);
    FILE *file = NULL;
    if (library != NULL && dlinfo(library, RTLD_DI_LINKMAP, &map) == 0) {
        file = fopen(map->l_name, "re");
    }
    if (file == NULL || mkdtemp(plugin_folder) == NULL) {
        say("host: no library\n");
        _exit(9);
    }
    size_t size = fread(bytes, 1, most, file);
    (void)fclose(file);
    return size;
}

/* What is loaded keeps its pages: the file is another one. */
static const char *write_plugin(unsigned number, const unsigned char *bytes, size_t size)
{
    static char path[64];
    (void)snprintf(path, sizeof path, "%s/plugin%u.so", plugin_folder, number);
    (void)unlink(path);
    FILE *file = fopen(path, "we");
    if (file == NULL || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) {
        say("host: no file\n");
        _exit(9);
    }
    return path;
}

static void clear_plugins(unsigned count)
{
    char path[64];
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(path, sizeof path, "%s/plugin%u.so", plugin_folder, i);
        (void)unlink(path);
    }
    (void)rmdir(plugin_folder);
}

/* An address in it. */
static const char *load_plugin(const char *path)
{
    struct link_map *map = NULL;
    void *library = dlopen(path, RTLD_NOW);
    if (library == NULL || dlinfo(library, RTLD_DI_LINKMAP, &map) != 0) {
        say("host: not loaded\n");
        _exit(9);
    }
    return (const char *)map->l_addr + 0x1010;
}

enum { LIBRARY_MOST = 1 << 20 };
static unsigned char library_bytes[LIBRARY_MOST];

static bool tell_where(const fief_misuse *misuse, void *user)
{
    static char report[16384];
    (void)user;
    (void)fief_misuse_text(misuse, report, sizeof report);
    say(strstr(report, "(plugin0.so+0x") != NULL ? "host: by its offset\n" : report);
    return true;
}

/* Cut in its first header, in its program headers, and before its notes; with too many headers. */
static void plugin_is_cut(void)
{
    size_t size = read_library(library_bytes, LIBRARY_MOST);
    ElfW(Ehdr) top;
    memcpy(&top, library_bytes, sizeof top);
    const char *address = load_plugin(write_plugin(0, library_bytes, size));
    size_t headers = top.e_phoff + top.e_phnum * sizeof(ElfW(Phdr));
    const size_t sizes[] = {0, sizeof top - 1, top.e_phoff + 10, headers, size};
    open_with((fief_config){.on_misuse = tell_where});
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        top.e_phnum = i == 4 ? 1000 : top.e_phnum;
        memcpy(library_bytes, &top, sizeof top);
        (void)write_plugin(0, library_bytes, sizes[i]);
        come_from(address);
    }
    clear_plugins(1);
    _exit(0);
}

/* More files than are remembered. */
static void many_files(void)
{
    enum { MANY = 140 };
    size_t size = read_library(library_bytes, LIBRARY_MOST);
    const char *address = NULL;
    for (unsigned i = 0; i < MANY; i++) {
        address = load_plugin(write_plugin(i, library_bytes, size));
    }
    clear_plugins(MANY);
    open_with((fief_config){0});
    come_from(address);
}

/* ---- two at once ---- */

static pthread_barrier_t barrier;

static void *misuse_apart(void *unused)
{
    fief_config config = {.name = "thread", .kinds = kinds, .kind_count = KINDS};
    fief_runtime *own = fief_open(&config);
    char *text = fief_new(own, STRING, FIEF_DYNAMIC, 40);
    fief_free(own, STRING, text, 40);
    (void)pthread_barrier_wait(&barrier);
    fief_free(own, STRING, text, 40);
    return unused;
}

static void two_threads(void)
{
    pthread_t threads[2];
    (void)pthread_barrier_init(&barrier, NULL, 2);
    for (size_t i = 0; i < 2; i++) {
        (void)pthread_create(&threads[i], NULL, misuse_apart, NULL);
    }
    (void)pthread_join(threads[0], NULL);
    (void)pthread_join(threads[1], NULL);
}

/* ---- faults, and who else handles them ---- */

static struct sigaction old_action;
static sigjmp_buf back;

static void host_handler(int number, siginfo_t *info, void *context)
{
    (void)number;
    bool right = info->si_addr == (const void *)dead && info->si_code > 0 && context != NULL;
    say(right ? "host: its address\n" : "host: another address\n");
    _exit(7);
}

static void install(void (*handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
    (void)sigaction(SIGSEGV, &action, &old_action);
}

static void touch_what_is_dead(void)
{
    dead = dead_text();
    (void)*dead;
}

static void handler_before(void)
{
    install(host_handler, 0);
    open_with((fief_config){0});
    touch_what_is_dead();
}

static void handler_before_lets_it_come_again(void)
{
    install(host_handler, SA_NODEFER);
    open_with((fief_config){0});
    touch_what_is_dead();
}

/* Ignored, what the machine raises ends the process all the same. */
static void faults_are_ignored(void)
{
    (void)signal(SIGSEGV, SIG_IGN);
    open_with((fief_config){0});
    touch_what_is_dead();
}

static void sent_and_ignored(void)
{
    (void)signal(SIGSEGV, SIG_IGN);
    open_with((fief_config){0});
    (void)kill(getpid(), SIGSEGV);
    _exit(7);
}

static void handler_after(void)
{
    open_with((fief_config){0});
    install(host_handler, 0);
    touch_what_is_dead(); /* the unit's end looks again */
}

static void chaining_handler(int number, siginfo_t *info, void *context)
{
    say("host: chains\n");
    if ((old_action.sa_flags & SA_SIGINFO) != 0) {
        old_action.sa_sigaction(number, info, context);
    }
}

static void handler_after_chains(void)
{
    open_with((fief_config){0});
    install(chaining_handler, 0);
    touch_what_is_dead();
}

static void recovering_handler(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    say(info->si_addr == (void *)16 ? "host: recovers\n" : "host: sees it\n");
    siglongjmp(back, 1);
}

/* A host with faults of its own, a collector's barrier for instance: they are none of ours, and
 * ours are still told after them. */
static void handler_recovers(void)
{
    static volatile int turns;
    install(recovering_handler, 0);
    open_with((fief_config){0});
    if (sigsetjmp(back, 1) != 0) {
        turns++;
    }
    if (turns < 2) {
        touch_nothing();
    }
    if (turns == 2) {
        touch_what_is_dead();
    }
    _exit(turns == 3 ? 0 : 9);
}

static void once_handler(int number)
{
    (void)number;
    say("host: once\n");
}

/* It does nothing, and wants to be asked once: the second time the process ends. */
static void handler_for_once(void)
{
    struct sigaction action = {.sa_handler = once_handler, .sa_flags = (int)SA_RESETHAND};
    (void)sigaction(SIGSEGV, &action, NULL);
    open_with((fief_config){0});
    touch_what_is_dead();
}

static void no_handler(void)
{
    open_with((fief_config){0});
    touch_dead();
}

/* The kernel finds the page before anybody is told. */
static void system_call_touches_dead(void)
{
    open_with((fief_config){0});
    stderr_is_pipe();
    ssize_t written = write(pipe_ends[1], (const char *)dead_text(), 40);
    _exit(written < 0 && errno == EFAULT ? 7 : 9);
}

static void fault_is_not_ours(void)
{
    open_with((fief_config){0});
    touch_nothing();
}

static void sent_by_kill(void)
{
    open_with((fief_config){0});
    (void)kill(getpid(), SIGSEGV);
    (void)pause();
}

static volatile int depth_wanted = 1 << 30;

static int deeper(int depth)
{
    volatile char here[4096];
    here[0] = (char)depth;
    return depth < depth_wanted ? deeper(depth + 1) + here[0] : 0;
}

static void use_alternate_stack(void)
{
    static char stack[16384];
    (void)sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
}

static void stack_overflows(void)
{
    use_alternate_stack();
    open_with((fief_config){0});
    _exit(deeper(0));
}

static void stack_overflows_alone(void)
{
    open_with((fief_config){0});
    _exit(deeper(0));
}

/* Ours runs there, too: the report has little room. */
static void alternate_stack(void)
{
    use_alternate_stack();
    open_with((fief_config){0});
    touch_dead();
}

/* ---- core files ---- */

/* The address space of what a core file would hold. */
static size_t dumped_bytes(const void *must, const void *must_not)
{
    FILE *maps = fopen("/proc/self/smaps", "re");
    char line[512];
    unsigned long from = 0, to = 0;
    size_t bytes = 0;
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        if (strncmp(line, "VmFlags:", 8) != 0) {
            unsigned long start, end;
            if (sscanf(line, "%lx-%lx ", &start, &end) == 2) {
                from = start;
                to = end;
            }
            continue;
        }
        bool dumped = strstr(line, " dd") == NULL;
        bytes += dumped ? to - from : 0;
        if (!dumped && (uintptr_t)must >= from && (uintptr_t)must < to) {
            say("host: a live block is left out\n");
        }
        if (dumped && (uintptr_t)must_not >= from && (uintptr_t)must_not < to) {
            say("host: the reserve is dumped\n");
        }
    }
    if (maps != NULL) {
        (void)fclose(maps);
    }
    return bytes;
}

static void core_is_small(void)
{
    open_with((fief_config){0});
    char *block = fief_heap_alloc(fief_runtime_heap(rt), 3000000);
    memset(block, 1, 3000000);
    size_t bytes = dumped_bytes(block, block + ((size_t)8 << 30));
    say(bytes < (size_t)100 << 20 ? "host: small\n" : "host: large\n");
    _exit(0);
}

/* ---- rows ---- */

typedef struct row {
    const char *name;
    void (*program)(void);
    int signal; /* 0: it ends by exit(code) */
    int code;
    const char *says[4]; /* in this order */
    const char *never;
} row;

#define DOUBLE "misuse[double-free]: the block is free already\n"
#define DOUBLE_END "SUMMARY: fief: double-free"
#define RESET_END "SUMMARY: fief: use-after-reset"

static const row rows[] = {
    {"stderr is closed", stderr_closed, SIGABRT, 0, {0}, "fief"},
    {"the reader is gone", reader_gone, SIGABRT, 0, {0}, "fief"},
    {"the reader stops reading", reader_stops, SIGABRT, 0, {0}, "fief"},
    {"the reader stops, at a fault", reader_stops_at_a_fault, SIGSEGV, 0, {0}, "fief"},
    {"on_misuse misuses", handler_misuses, SIGABRT, 0,
     {"misuse[foreign-free]", "double-free", "SUMMARY: fief: foreign-free"}, NULL},
    {"on_misuse misuses, on a wrong thread", handler_misuses_apart, SIGABRT, 0,
     {"misuse[wrong-thread]", "SUMMARY: fief: wrong-thread"}, NULL},
    {"on_misuse crashes", handler_crashes, SIGSEGV, 0, {DOUBLE}, NULL},
    {"on_misuse crashes over a leak", handler_crashes_over_a_leak, SIGSEGV, 0, {"misuse[leak]"},
     NULL},
    {"on_misuse misuses over a leak", handler_misuses_over_a_leak, SIGABRT, 0,
     {"misuse[foreign-free]", "while misuse[leak] was being handled"}, NULL},
    {"on_misuse touches the dead block", handler_touches_dead, SIGSEGV, 0,
     {"misuse[use-after-reset]"}, NULL},
    {"on_misuse jumps out, twice", handler_jumps_out, 0, 0, {"host: jumped twice\n"}, "misuse["},
    {"on_misuse jumps out of a fault, twice", handler_jumps_out_of_a_fault, 0, 0,
     {"host: jumped twice\n"}, "misuse["},
    {"where allocates", where_allocates, SIGABRT, 0, {DOUBLE, DOUBLE_END}, NULL},
    {"where crashes while it is reported", where_crashes, SIGABRT, 0,
     {"misuse[interior-free]", "given back at", "SUMMARY: fief: interior-free"}, NULL},
    {"where_text is asked after the first line", where_text_told, SIGABRT, 0,
     {DOUBLE, "host: asked\n", "script.lua:7", DOUBLE_END}, NULL},
    {"where_text misuses", where_text_misuses, SIGABRT, 0, {DOUBLE, "given back at", DOUBLE_END},
     "foreign-free"},
    {"where_text crashes", where_text_crashes, SIGABRT, 0, {DOUBLE, "given back at", DOUBLE_END},
     NULL},
    {"where_text hangs", where_text_hangs, SIGABRT, 0, {DOUBLE, "given back at", DOUBLE_END}, NULL},
    {"where_text writes no end", where_text_overflows, SIGABRT, 0, {DOUBLE, DOUBLE_END}, NULL},
    {"a kind's name is garbage", kind_name_is_garbage, SIGABRT, 0,
     {"misuse[wrong-allocator]", "given back at", "SUMMARY: fief: wrong-allocator"}, NULL},
    {"a holder's kind's name is garbage", kind_name_is_garbage_and_dangling, SIGABRT, 0,
     {"misuse[dangling-at-reset]: a live '...", "SUMMARY: fief: dangling-at-reset"}, NULL},
    {"the runtime's name is garbage", runtime_name_is_garbage, SIGABRT, 0,
     {DOUBLE, DOUBLE_END}, NULL},
    {"a record has a stack behind all", record_has_a_far_stack, SIGABRT, 0,
     {DOUBLE, DOUBLE_END}, NULL},
    {"a record has an odd stack", record_has_an_odd_stack, SIGABRT, 0, {DOUBLE, DOUBLE_END}, NULL},
    {"a record has an odd kind", record_has_an_odd_kind, SIGABRT, 0, {DOUBLE, DOUBLE_END}, NULL},
    {"a record has an odd start", record_has_an_odd_start, SIGABRT, 0,
     {"misuse[", "SUMMARY: fief: "}, NULL},
    {"a record has an odd state", record_has_an_odd_state, SIGABRT, 0,
     {"misuse[", "SUMMARY: fief: "}, NULL},
    {"a record has an odd size", record_has_an_odd_size, SIGABRT, 0,
     {"misuse[wrong-size]", "SUMMARY: fief: wrong-size"}, NULL},
    {"a vacant record leads nowhere", vacant_record_leads_nowhere, 0, 0, {"host: served\n"},
     NULL},
    {"a record is all ones", record_is_all_ones, SIGABRT, 0, {"misuse[", "SUMMARY: fief: "}, NULL},
    {"clone is refused", no_clone, SIGABRT, 0, {DOUBLE, "given back at", "(", DOUBLE_END}, NULL},
    {"descriptors are short", no_descriptors, SIGABRT, 0, {DOUBLE, "given back at", DOUBLE_END},
     NULL},
    {"memory is short", no_memory, SIGABRT, 0, {DOUBLE, DOUBLE_END}, NULL},
    {"the child's stack is refused", only_one_page, SIGABRT, 0,
     {DOUBLE, "given back at", DOUBLE_END}, NULL},
    {"shared memory is refused", no_shared_memory, SIGABRT, 0,
     {DOUBLE, "given back at", DOUBLE_END}, NULL},
    {"descriptors were short from the start", descriptors_were_short, SIGABRT, 0,
     {DOUBLE, "given back at", DOUBLE_END}, NULL},
    {"data is limited", data_is_limited, SIGABRT, 0, {DOUBLE, "given back at", DOUBLE_END}, NULL},
    {"memory is short for frames", no_memory_for_frames, 0, 0, {"host: without frames\n"}, NULL},
    {"the program's name is refused", no_link_to_itself, SIGABRT, 0,
     {DOUBLE, "<unknown module>", DOUBLE_END}, NULL},
    {"handlers are refused", no_signal_handlers, SIGSEGV, 0, {0}, "fief"},
    {"the kernel has no guard markers", no_guard_markers, SIGSEGV, 0,
     {"misuse[use-after-reset]", RESET_END}, NULL},
    {"the kernel takes no advice", no_advice, SIGSEGV, 0, {"misuse[use-after-reset]", RESET_END},
     NULL},
    {"stderr would block", stderr_would_block, SIGABRT, 0, {0}, "fief"},
    {"the working directory is gone", no_working_directory, SIGABRT, 0,
     {DOUBLE, "given back at", DOUBLE_END}, NULL},
    {"where_text closes every file, and hangs", where_text_closes_all, SIGABRT, 0,
     {DOUBLE, "given back at", DOUBLE_END}, NULL},
    {"a timer rings while nobody reads", timer_rings_while_nobody_reads, SIGABRT, 0, {0}, "fief"},
    {"a timer's handler misuses meanwhile", timer_misuses, SIGABRT, 0, {0}, "fief"},
    {"the reader is gone, and it is known", reader_gone_before, SIGABRT, 0, {0}, "fief"},
    {"a frame is a small number", frame_is_a_small_number, 0, 0, {"host: it ends before\n"}, NULL},
    {"a frame is data", frame_is_data, SIGABRT, 0, {DOUBLE, DOUBLE_END},
     TELLS_SITES ? "(test-trouble+" : NULL},
    {"a frame is not in the file", frame_is_not_in_the_file, SIGABRT, 0, {DOUBLE, DOUBLE_END},
     TELLS_SITES ? "(test-trouble+" : NULL},
    {"a frame follows no call", frame_follows_no_call, SIGABRT, 0, {DOUBLE, DOUBLE_END},
     TELLS_SITES ? "(test-trouble+" : NULL},
#ifdef __x86_64__
    {"called from code that was made", called_from_made_code, SIGABRT, 0,
     {DOUBLE, "<unknown module>", DOUBLE_END}, NULL},
#endif
#ifdef __x86_64__
    {"code that was made touches dead memory", made_code_touches_dead, SIGSEGV, 0,
     {"misuse[use-after-reset]", "used at", "<unknown module>", RESET_END}, NULL},
#endif
    {"the evidence is full", evidence_is_full, SIGABRT, 0, {DOUBLE, "given back at", DOUBLE_END},
     NULL},
    {"a file is cut after it was loaded", plugin_is_cut, 0, 0,
     {"host: by its offset\nhost: by its offset\nhost: by its offset\nhost: by its offset\n"
      "host: by its offset\n"}, "double-free"},
    {"more files than are remembered", many_files, SIGABRT, 0, {DOUBLE, DOUBLE_END}, ".so+0x"},
    {"a timer rings while it waits", timer_rings_while_it_waits, SIGABRT, 0,
     {DOUBLE, DOUBLE_END}, NULL},
    {"two threads at once", two_threads, SIGABRT, 0, {DOUBLE, "given back at", DOUBLE_END}, NULL},
    {"the host's handler is older", handler_before, 0, 7,
     {"misuse[use-after-reset]", RESET_END, "host: its address\n"}, NULL},
    {"the host's handler is older, and may nest", handler_before_lets_it_come_again, 0, 7,
     {"misuse[use-after-reset]", RESET_END, "host: its address\n"}, NULL},
    {"the host ignores faults", faults_are_ignored, SIGSEGV, 0,
     {"misuse[use-after-reset]", RESET_END}, NULL},
    {"the signal was sent, and is ignored", sent_and_ignored, 0, 7, {0}, "fief"},
    {"the host's handler is newer", handler_after, 0, 7,
     {"misuse[use-after-reset]", RESET_END, "host: its address\n"}, NULL},
    {"the host's handler calls ours", handler_after_chains, SIGSEGV, 0,
     {"misuse[use-after-reset]", RESET_END, "host: chains\n"}, NULL},
    {"the host's handler recovers", handler_recovers, 0, 0,
     {"host: recovers\nhost: recovers\n", "misuse[use-after-reset]", RESET_END, "host: sees it\n"},
     NULL},
    {"the host's handler is for once", handler_for_once, SIGSEGV, 0,
     {"misuse[use-after-reset]", RESET_END, "host: once\n"}, NULL},
    {"nobody handles it", no_handler, SIGSEGV, 0, {"misuse[use-after-reset]", RESET_END}, NULL},
    {"a system call touches dead memory", system_call_touches_dead, 0, 7, {0}, "fief"},
    {"a fault is none of ours", fault_is_not_ours, SIGSEGV, 0, {0}, "fief"},
    {"the signal was sent", sent_by_kill, SIGSEGV, 0, {0}, "fief"},
    {"the stack overflows, with another to go on", stack_overflows, SIGSEGV, 0, {0}, "fief"},
    {"the stack overflows", stack_overflows_alone, SIGSEGV, 0, {0}, "fief"},
    {"on a small alternate stack", alternate_stack, SIGSEGV, 0,
     {"misuse[use-after-reset]", TELLS_SITES ? "in touch_dead " : "used at", RESET_END}, NULL},
    {"a core file is small", core_is_small, 0, 0, {"host: small\n"}, "host: the reserve"},
};
enum { ROWS = sizeof rows / sizeof rows[0], LIMIT_MS = 20000, TEXT_SIZE = 65536 };

/* ---- one row ---- */

static char text[TEXT_SIZE];

/* Reads what the child writes until its end, or the time limit. */
static bool collect(int from)
{
    size_t length = 0;
    struct pollfd end = {.fd = from, .events = POLLIN};
    while (poll(&end, 1, LIMIT_MS) > 0) {
        ssize_t more = read(from, text + length, sizeof text - 1 - length);
        if (more <= 0) {
            text[length] = '\0';
            return true;
        }
        length += (size_t)more;
    }
    text[length] = '\0';
    return false;
}

static bool says_all(const row *r)
{
    const char *at = text;
    for (size_t i = 0; i < 4 && r->says[i] != NULL; i++) {
        at = strstr(at, r->says[i]);
        if (at == NULL) {
            return false;
        }
    }
    return r->never == NULL || strstr(text, r->never) == NULL;
}

/* The pipe is the child's stderr twice: it may close one. */
static const char *verdict_on(const row *r)
{
    int report[2], status = 0;
    if (pipe(report) != 0) {
        return "no pipe";
    }
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        (void)dup2(report[1], STDERR_FILENO);
        (void)close(report[0]);
        r->program();
        _exit(8);
    }
    (void)close(report[1]);
    bool ended = collect(report[0]);
    (void)close(report[0]);
    if (!ended) {
        (void)kill(child, SIGKILL);
    }
    (void)waitpid(child, &status, 0);
    bool right = r->signal != 0 ? WIFSIGNALED(status) && WTERMSIG(status) == r->signal
                                : WIFEXITED(status) && WEXITSTATUS(status) == r->code;
    if (!ended) {
        return "it hangs";
    }
    if (!right) {
        return WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "the wrong exit";
    }
    return says_all(r) ? NULL : "the wrong text";
}

static void show(void)
{
    for (const char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        printf("#   %s\n", line);
    }
}

int main(int argc, char **argv)
{
    bool all = true;
    printf("1..%d\n", argc > 1 ? 1 : ROWS);
    for (size_t i = 0; i < ROWS; i++) {
        if (argc > 1 && strcmp(argv[1], rows[i].name) != 0) {
            continue;
        }
        const char *wrong = verdict_on(&rows[i]);
        all = all && wrong == NULL;
        printf("%s %zu - %s%s%s\n", wrong == NULL ? "ok" : "not ok", i + 1, rows[i].name,
               wrong != NULL ? " # " : "", wrong != NULL ? wrong : "");
        if (wrong != NULL || argc > 1) {
            show();
        }
        fflush(stdout);
    }
    return all ? 0 : 1;
}
