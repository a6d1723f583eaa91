/* os/posix: the system calls. */
#include "os/os.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
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
    static _Thread_local char here;
    return (size_t)&here;
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
