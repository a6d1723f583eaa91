/* os/posix: the system calls. */
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE  103
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

static void *map_pages(size_t size, int protection)
{
    void *start = mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return start == MAP_FAILED ? NULL : start;
}

void *os_map(size_t size)
{
    return map_pages(size, PROT_READ | PROT_WRITE);
}

void *os_reserve(size_t size)
{
    return map_pages(size, PROT_NONE);
}

void os_release(void *start, size_t size)
{
    (void)munmap(start, size);
}

bool os_commit(void *start, size_t size)
{
    return mprotect(start, size, PROT_READ | PROT_WRITE) == 0;
}

void os_discard(void *start, size_t size)
{
    (void)madvise(start, size, MADV_DONTNEED);
}

/* Guard markers (Linux 6.13) cost no mapping of their own; mprotect does, and mappings are few. */
bool os_fence(void *start, size_t size)
{
    return madvise(start, size, MADV_GUARD_INSTALL) == 0 ||
           (madvise(start, size, MADV_DONTNEED) == 0 && mprotect(start, size, PROT_NONE) == 0);
}

bool os_unfence(void *start, size_t size)
{
    return madvise(start, size, MADV_GUARD_REMOVE) == 0 || os_commit(start, size);
}

/* DONTUNMAP leaves the old addresses mapped and empty, so the reserve never gets a hole. */
bool os_move(void *from, void *to, size_t size)
{
    return mremap(from, size, size, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to) == to;
}

void os_small_pages(void *start, size_t size)
{
    (void)madvise(start, size, MADV_NOHUGEPAGE);
}

void os_populate(void *start, size_t size)
{
    (void)madvise(start, size, MADV_POPULATE_WRITE);
}

/* The address of a thread-local byte names the thread without a system call. */
size_t os_thread(void)
{
    /* Without a call; a library that is loaded late finds room for a byte. */
    static __attribute__((tls_model("initial-exec"))) _Thread_local char here;
    return (size_t)&here;
}

uint64_t os_clock(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

int os_process(void)
{
    return (int)getpid();
}

void os_stack(const void **ret_start, const void **ret_end)
{
    pthread_attr_t attributes;
    void *start = NULL;
    size_t size = 0;
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
        (void)pthread_attr_getstack(&attributes, &start, &size);
        (void)pthread_attr_destroy(&attributes);
    }
    *ret_start = start;
    *ret_end = (char *)start + size;
}

/* ---- faults ---- */

static os_fault_handler *on_fault;
static struct sigaction earlier[2];
static const int fault_signals[2] = {SIGSEGV, SIGBUS};

/* The earlier action is restored and the access happens again: a core file then shows its place. */
static void handle_fault(int number, siginfo_t *info, void *context)
{
    const ucontext_t *machine = context;
    bool is_write = false;
    const void *pc = NULL, *frame = NULL;
#ifdef __x86_64__
    is_write = (machine->uc_mcontext.gregs[REG_ERR] & 2) != 0;
    pc = (const void *)(uintptr_t)machine->uc_mcontext.gregs[REG_RIP];
    frame = (const void *)(uintptr_t)machine->uc_mcontext.gregs[REG_RBP];
#else
    (void)machine;
#endif
    int error = errno;
    (void)sigaction(number, &earlier[number == SIGBUS], NULL);
    if (info->si_code > 0) { /* from the machine, not from kill() */
        on_fault(info->si_addr, is_write, pc, frame);
    }
    errno = error;
}

bool os_on_fault(os_fault_handler *handler)
{
    struct sigaction ours = {.sa_sigaction = handle_fault,
                             .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    for (int i = 0; i < 2; i++) {
        struct sigaction present;
        if (sigaction(fault_signals[i], NULL, &present) != 0) {
            return false;
        }
        if (present.sa_sigaction == handle_fault) {
            continue;
        }
        on_fault = handler;
        earlier[i] = present;
        if (sigaction(fault_signals[i], &ours, NULL) != 0) {
            return false;
        }
    }
    return true;
}

/* ---- a child that may fail ---- */

typedef struct answer {
    size_t length;
    unsigned char bytes[];
} answer;

/* As fork, but without its handlers, which a signal handler must not run, and without a SIGCHLD that
 * the host would wonder about. */
static pid_t clone_quietly(void)
{
    return (pid_t)syscall(SYS_clone, 0L, NULL, NULL, NULL, NULL);
}

/* The child holds the other end of the pipe: when it is gone, so is that. */
static void wait_for_end(int pipe_end, pid_t child, int milliseconds)
{
    struct pollfd end = {.fd = pipe_end, .events = POLLIN};
    while (poll(&end, 1, milliseconds) < 0 && errno == EINTR) {
    }
    if (end.revents == 0) {
        (void)kill(child, SIGKILL);
    }
    while (waitpid(child, NULL, __WALL) < 0 && errno == EINTR) {
    }
}

static void be_child(size_t (*work)(void *, void *, size_t), void *argument, answer *shared,
                     size_t size)
{
    for (int number = 1; number < NSIG; number++) {
        (void)signal(number, SIG_DFL);
    }
    size_t length = work(argument, shared->bytes, size);
    __atomic_store_n(&shared->length, length, __ATOMIC_RELEASE);
    _exit(0);
}

size_t os_in_child(size_t (*work)(void *argument, void *buffer, size_t size), void *argument,
                   void *buffer, size_t size, int milliseconds)
{
    int ends[2];
    size_t room = sizeof(answer) + size, length = 0;
    answer *shared = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        return 0;
    }
    if (pipe2(ends, O_CLOEXEC) == 0) {
        pid_t child = clone_quietly();
        if (child == 0) {
            be_child(work, argument, shared, size);
        }
        (void)close(ends[1]);
        if (child > 0) {
            wait_for_end(ends[0], child, milliseconds);
            length = __atomic_load_n(&shared->length, __ATOMIC_ACQUIRE);
        }
        (void)close(ends[0]);
    }
    memcpy(buffer, shared->bytes, length);
    (void)munmap(shared, room);
    return length;
}

void os_print_error(const char *text, size_t length)
{
    while (length > 0) {
        ssize_t written = write(STDERR_FILENO, text, length);
        if (written <= 0) {
            return;
        }
        text += written;
        length -= (size_t)written;
    }
}

_Noreturn void os_abort(void)
{
    abort();
}
