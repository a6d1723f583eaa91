#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOT_STARTED = 127 };

static void drop(int descriptor)
{
    int nowhere = open("/dev/null", O_WRONLY);
    if (nowhere >= 0 && nowhere != descriptor) {
        dup2(nowhere, descriptor);
        close(nowhere);
    }
}

static _Noreturn void become(const char *const *argv, const char *preload, bool quiet, int report)
{
    if (report != REPORT_FD) {
        dup2(report, REPORT_FD); /* which also clears close-on-exec */
    } else {
        fcntl(report, F_SETFD, 0);
    }
    drop(STDOUT_FILENO);
    if (quiet) {
        drop(STDERR_FILENO);
    }
    if (preload != NULL) {
        setenv("LD_PRELOAD", preload, 1);
    } else {
        unsetenv("LD_PRELOAD");
    }
    execv(argv[0], (char *const *)argv);
    _exit(NOT_STARTED);
}

/* To the end; what does not fit is dropped. */
static void read_report(int from, char *ret_report)
{
    char rest[256];
    size_t length = 0;
    for (;;) {
        bool full = length == REPORT_SIZE - 1;
        ssize_t got = full ? read(from, rest, sizeof rest)
                           : read(from, ret_report + length, REPORT_SIZE - 1 - length);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            break;
        }
        length += full ? 0 : (size_t)got;
    }
    ret_report[length] = '\0';
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

static bool wait_for(pid_t child, outcome *ret_outcome)
{
    struct rusage usage;
    int status;
    while (wait4(child, &status, 0, &usage) < 0) {
        if (errno != EINTR) {
            return false;
        }
    }
    ret_outcome->cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    ret_outcome->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return true;
}

bool run(const char *const *argv, const char *preload, bool quiet, outcome *ret_outcome)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return false;
    }
    pid_t child = fork();
    if (child == 0) {
        become(argv, preload, quiet, ends[1]);
    }
    close(ends[1]);
    if (child > 0) {
        read_report(ends[0], ret_outcome->report);
    }
    close(ends[0]);
    return child > 0 && wait_for(child, ret_outcome);
}

/* The last one allowed: the first one serves most interrupts. */
int pin_to_one_cpu(void)
{
    cpu_set_t allowed, one;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
        return -1;
    }
    size_t last = 0; /* at least one is allowed: we run on it */
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        last = CPU_ISSET(cpu, &allowed) ? cpu : last;
    }
    CPU_ZERO(&one);
    CPU_SET(last, &one);
    return sched_setaffinity(0, sizeof one, &one) == 0 ? (int)last : -1;
}
