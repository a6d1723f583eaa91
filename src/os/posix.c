/* os/posix: memory, threads, the process. */
#include "os/os.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
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

/* A core file holds what os_dump says, and not 64 GiB of nothing. */
void *os_reserve(size_t size)
{
    void *start = map_pages(size, PROT_NONE);
    if (start != NULL) {
        (void)madvise(start, size, MADV_DONTDUMP);
    }
    return start;
}

void os_release(void *start, size_t size)
{
    (void)munmap(start, size);
}

bool os_commit(void *start, size_t size)
{
    return mprotect(start, size, PROT_READ | PROT_WRITE) == 0;
}

void os_dump(void *start, size_t size)
{
    (void)madvise(start, size, MADV_DODUMP);
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

/* What mprotect changes, Linux on x86 flushes page by page up to 33 pages from the first to the
 * last, which in a virtual machine costs more than all else here; beyond that it flushes all at
 * once. So the last page of a run that is a little longer is there to be changed, too. */
bool os_shut(void *start, size_t size)
{
    enum { ONE_BY_ONE = 33 * OS_PAGE, LONG = 3 * ONE_BY_ONE };
    if (size > ONE_BY_ONE && size < LONG) {
        (void)madvise((char *)start + size - OS_PAGE, OS_PAGE, MADV_POPULATE_WRITE);
    }
    return mprotect(start, size, PROT_NONE) == 0;
}

bool os_seal(void *start, size_t size)
{
    return mprotect(start, size, PROT_READ) == 0;
}

bool os_unfence(void *start, size_t size)
{
    (void)madvise(start, size, MADV_GUARD_REMOVE);
    return os_commit(start, size);
}

/* DONTUNMAP leaves the old addresses mapped and empty, so the reserve never gets a hole. */
bool os_move(void *from, void *to, size_t size)
{
    return mremap(from, size, size, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to) == to;
}

void os_huge_pages(void *start, size_t size)
{
    (void)madvise(start, size, MADV_HUGEPAGE);
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

int os_thread_number(void)
{
    return (int)syscall(SYS_gettid);
}

uint64_t os_clock(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

int os_left(uint64_t until)
{
    return (int)(((int64_t)until - (int64_t)os_clock()) / OS_MILLISECOND);
}

int os_process(void)
{
    return (int)getpid();
}

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t forks_wait = PTHREAD_ONCE_INIT;

void os_unlock(void)
{
    (void)pthread_mutex_unlock(&turn);
}

static void lock(void)
{
    (void)pthread_mutex_lock(&turn);
}

/* Or a child would have the lock of a thread that it does not have. */
static void let_forks_wait(void)
{
    (void)pthread_atfork(lock, os_unlock, os_unlock);
}

void os_lock(void)
{
    (void)pthread_once(&forks_wait, let_forks_wait);
    lock();
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

void os_break(void)
{
    (void)raise(SIGTRAP);
}

_Noreturn void os_abort(void)
{
    abort();
}
