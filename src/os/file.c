/* os/file: files that are mapped, and files that replace others whole or not at all. */
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

/* Not blocked by a pipe that nobody writes to, which is then refused. */
int os_open_file(const char *path, uint64_t *ret_size)
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status = {0}; /* MemorySanitizer knows nothing of fstat */
    if (file >= 0 && (fstat(file, &status) != 0 || !S_ISREG(status.st_mode))) {
        (void)close(file);
        return -1;
    }
    if (file >= 0) {
        *ret_size = (uint64_t)status.st_size;
    }
    return file;
}

bool os_read_file(int file, void *ret_bytes, size_t size)
{
    char *to = ret_bytes;
    for (size_t done = 0; done < size;) {
        ssize_t more = pread(file, to + done, size - done, (off_t)done);
        if (more < 0 && errno == EINTR) {
            continue;
        }
        if (more <= 0) {
            return false;
        }
        done += (size_t)more;
    }
    return true;
}

/* The address is a hint: the kernel takes it where it is free. Of MAP_FIXED_NOREPLACE
 * ThreadSanitizer makes a mapping at 0 where it wants the place for itself, which ends the
 * process. */
void *os_map_file(int file, uintptr_t at, size_t size, bool writable)
{
    int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    void *wanted = (void *)at; /* NOLINT(performance-no-int-to-ptr) */
    void *start = mmap(wanted, size, protection, MAP_PRIVATE, file, 0);
    if (start == MAP_FAILED) {
        return NULL;
    }
    if (at != 0 && start != wanted) {
        (void)munmap(start, size);
        return NULL;
    }
    return start;
}

void os_will_read(void *start, size_t size)
{
    (void)madvise(start, size, MADV_POPULATE_READ);
}

int os_new_beside(const char *path, char *ret_name, size_t size)
{
    for (unsigned i = 0; i < 100; i++) {
        int length = snprintf(ret_name, size, "%s.%d-%u.new", path, (int)getpid(), i);
        if (length < 0 || (size_t)length >= size) {
            return -1;
        }
        int file = open(ret_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file >= 0 || errno != EEXIST) {
            return file;
        }
    }
    return -1;
}

bool os_sync_file(int file)
{
    return fsync(file) == 0;
}

/* The new name is on the disk when its directory is. Some file systems can't sync one. */
static void sync_directory_of(const char *path)
{
    char name[OS_PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL || slash == path ? 1 : (size_t)(slash - path);
    if (length < sizeof name) {
        memcpy(name, slash != NULL ? path : ".", length);
        name[length] = '\0';
        int directory = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (directory >= 0) {
            (void)fsync(directory);
            (void)close(directory);
        }
    }
}

bool os_replace_file(const char *name, const char *path)
{
    if (rename(name, path) != 0) {
        return false;
    }
    sync_directory_of(path);
    return true;
}

void os_remove_file(const char *name)
{
    (void)unlink(name);
}
