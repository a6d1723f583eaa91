/* os/child: work that may crash or hang, in a process of its own. */
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STACK_SIZE = 1 << 20 };

typedef struct answer {
    size_t length;
    unsigned char bytes[];
} answer;

typedef struct job {
    size_t (*work)(void *, void *, size_t);
    void *argument;
    answer *shared;
    size_t size;
} job;

static bool is_child;

bool os_is_child(void)
{
    return is_child;
}

_Noreturn void os_leave_child(void)
{
    _exit(1);
}

/* Whatever becomes of the child, there is one core file: the host's. A limit of 1 says so to a
 * program that takes core files, too. */
static int be_child(void *argument)
{
    const job *j = argument;
    is_child = true;
    for (int number = 1; number < NSIG; number++) {
        (void)signal(number, SIG_DFL);
    }
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){1, 1});
    size_t length = j->work(j->argument, j->shared->bytes, j->size);
    __atomic_store_n(&j->shared->length, length, __ATOMIC_RELEASE);
    /* Not _exit: before a call that is known not to return, ASan looks at a stack that it does not
     * know. Not a return either: what is still needed would look leaked. */
    return (int)syscall(SYS_exit_group, 0);
}

/* The child holds the other end of the pipe: when it is gone, so is that; it may also have closed
 * it, and hang. Signals that the host handles meanwhile do not make the time longer. */
static void wait_for_end(int pipe_end, pid_t child, int milliseconds)
{
    struct pollfd end = {.fd = pipe_end, .events = POLLIN};
    uint64_t until = os_clock() + (uint64_t)milliseconds * OS_MILLISECOND;
    int left = milliseconds;
    while (left > 0 && poll(&end, 1, left) < 0 && errno == EINTR) {
        left = os_left(until);
    }
    (void)kill(child, SIGKILL);
    while (waitpid(child, NULL, __WALL) < 0 && errno == EINTR) {
    }
}

/* As fork, but without its handlers, which a signal handler must not run, without a SIGCHLD that
 * the host would wonder about, and with a stack of its own: ours may be small. */
static size_t run(job *j, unsigned char *stack, int milliseconds)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return 0;
    }
    pid_t child = clone(be_child, stack + STACK_SIZE, 0, j);
    (void)close(ends[1]);
    if (child > 0) {
        wait_for_end(ends[0], child, milliseconds);
    }
    (void)close(ends[0]);
    return child > 0 ? __atomic_load_n(&j->shared->length, __ATOMIC_ACQUIRE) : 0;
}

size_t os_in_child(size_t (*work)(void *argument, void *buffer, size_t size), void *argument,
                   void *buffer, size_t size, int milliseconds)
{
    size_t room = sizeof(answer) + size, length = 0;
    answer *shared = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    unsigned char *stack = os_map(STACK_SIZE);
    if (shared != MAP_FAILED && stack != NULL) {
        job j = {work, argument, shared, size};
        length = run(&j, stack, milliseconds);
        memcpy(buffer, shared->bytes, length);
    }
    if (shared != MAP_FAILED) {
        (void)munmap(shared, room);
    }
    if (stack != NULL) {
        os_release(stack, STACK_SIZE);
    }
    return length;
}
