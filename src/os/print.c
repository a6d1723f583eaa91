/* os/print: what is written to stderr, by one report at a time, and never for ever. */
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 2000, TURN_MS = 5000, PIECE = 4096 /* fits a pipe that has room */ };

/* True when it may be tried. Whoever let us wait once is not waited for again. */
static bool may_write(uint64_t until)
{
    static bool stuck;
    struct pollfd error = {.fd = STDERR_FILENO, .events = POLLOUT};
    int ready = -1;
    do {
        int left = os_left(until);
        bool gave_up = __atomic_load_n(&stuck, __ATOMIC_RELAXED);
        ready = poll(&error, 1, gave_up || left < 0 ? 0 : left);
    } while (ready < 0 && errno == EINTR);
    if (ready == 0) {
        __atomic_store_n(&stuck, true, __ATOMIC_RELAXED);
    }
    return ready > 0;
}

static void write_all(const char *text, size_t length)
{
    uint64_t until = os_clock() + PATIENCE_MS * (uint64_t)OS_MILLISECOND;
    while (length > 0 && may_write(until)) {
        ssize_t written = write(STDERR_FILENO, text, length < PIECE ? length : PIECE);
        if (written < 0 && (errno == EINTR || errno == EAGAIN) && os_left(until) > 0) {
            continue;
        }
        if (written <= 0) {
            return;
        }
        text += written;
        length -= (size_t)written;
    }
}

/* A reader that is gone must not change the signal that the process ends by. */
void os_print_error(const char *text, size_t length)
{
    sigset_t broken, before, pending;
    (void)sigemptyset(&broken);
    (void)sigaddset(&broken, SIGPIPE);
    (void)sigpending(&pending);
    (void)pthread_sigmask(SIG_BLOCK, &broken, &before);
    write_all(text, length);
    if (sigismember(&pending, SIGPIPE) == 0) {
        (void)sigtimedwait(&broken, NULL, &(struct timespec){0});
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

bool os_write_file(const char *path, const char *text, size_t length)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    size_t done = 0;
    for (ssize_t more = 1;
         file >= 0 && more > 0 && done<length; done += more> 0 ? (size_t)more : 0) {
        do {
            more = write(file, text + done, length - done);
        } while (more < 0 && errno == EINTR);
    }
    return file >= 0 && close(file) == 0 && done == length;
}

int os_new_file(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
}

bool os_append(int file, const void *bytes, size_t size)
{
    const char *from = bytes;
    while (size > 0) {
        ssize_t written = write(file, from, size);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return false;
        }
        from += written;
        size -= (size_t)written;
    }
    return true;
}

void os_close_file(int file)
{
    (void)close(file);
}

/* ---- one at a time ---- */

static size_t whose_turn;

bool os_take_turn(void)
{
    size_t self = os_thread(), nobody = 0;
    uint64_t until = os_clock() + TURN_MS * (uint64_t)OS_MILLISECOND;
    while (!__atomic_compare_exchange_n(&whose_turn, &nobody, self, false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED)) {
        if (nobody == self || os_left(until) < 0) {
            return false;
        }
        nobody = 0;
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return true;
}

void os_end_turn(void)
{
    __atomic_store_n(&whose_turn, 0, __ATOMIC_RELEASE);
}
