/* os/fake: the same contract over malloc'ed memory, counted, with failures on demand. */
#include "os/fake.h"
#include "os/os.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FAKE_PAGE = 65536 };
static const size_t fake_largest = (size_t)64 << 20;

static size_t calls, fail_at, reserves, placed;

static bool fails(void)
{
    calls++;
    return calls == fail_at;
}

void fake_fail_at(size_t n)
{
    calls = placed = 0;
    fail_at = n;
}

size_t fake_calls(void)
{
    return calls;
}

size_t fake_reserves(void)
{
    return reserves;
}

/* ---- nodes: what os_place said of which bytes, newest last ---- */

enum { PLACES = 4096 };
static unsigned node_count = 1, node_first, node_step = 1, node_here;
static struct {
    const unsigned char *start, *end;
    os_placement place;
    bool moved; /* pages that were there went along */
    unsigned node; /* the thread's, then */
} places[PLACES];
static size_t place_count;

void fake_nodes(unsigned count, unsigned first, unsigned step)
{
    node_count = count;
    node_first = node_here = first;
    node_step = step;
}

void fake_run_on(unsigned node)
{
    node_here = node;
}

size_t fake_places(void)
{
    return placed;
}

unsigned os_nodes(void)
{
    return node_count;
}

bool os_has_node(unsigned node)
{
    unsigned number = (node - node_first) / node_step;
    return node >= node_first && number < node_count && node_first + number * node_step == node;
}

unsigned os_node(void)
{
    return node_count == 1 ? node_first : node_here;
}

/* The newest that holds the byte; `moved`: that moved what was there. */
static size_t place_of(const void *address, bool moved)
{
    const unsigned char *byte = address;
    size_t i = place_count;
    while (i > 0 && (byte < places[i - 1].start || byte >= places[i - 1].end ||
                     (moved && !places[i - 1].moved))) {
        i--;
    }
    return i;
}

os_placement fake_placement(const void *address)
{
    size_t i = place_of(address, false);
    return i > 0 ? places[i - 1].place : (os_placement){.policy = OS_AS_IT_COMES};
}

/* As if all pages were there when they were moved; -1 where none was. */
int os_node_of(const void *address)
{
    size_t i = place_of(address, true);
    if (i == 0) {
        return -1;
    }
    switch (places[i - 1].place.policy) {
    case OS_ON: return (int)places[i - 1].place.node;
    case OS_INTERLEAVE:
        return (int)(node_first + (uintptr_t)address / OS_PAGE % node_count * node_step);
    default: return (int)places[i - 1].node;
    }
}

bool os_place(void *start, size_t size, os_placement place, bool move)
{
    placed++;
    if (fails() || place_count == PLACES) {
        return false;
    }
    places[place_count].start = start;
    places[place_count].end = (unsigned char *)start + size;
    places[place_count].place = place;
    places[place_count].moved = move;
    places[place_count++].node = node_here;
    return true;
}

/* The bytes may become another reserve's. */
static void forget_places(const void *start, size_t size)
{
    const unsigned char *first = start;
    size_t kept = 0;
    for (size_t i = 0; i < place_count; i++) {
        if (places[i].start < first || places[i].start >= first + size) {
            places[kept++] = places[i];
        }
    }
    place_count = kept;
}

/* Refuses more than it likes to give, as a system with a small address space does. */
void *os_reserve(size_t size)
{
    if (size > fake_largest || fails()) {
        return NULL;
    }
    void *start = aligned_alloc(FAKE_PAGE, (size + FAKE_PAGE - 1) / FAKE_PAGE * FAKE_PAGE);
    if (start != NULL) {
        memset(start, 0, size);
        reserves++;
    }
    return start;
}

void os_release(void *start, size_t size)
{
    forget_places(start, size);
    reserves--;
    free(start);
}

void *os_map(size_t size)
{
    return os_reserve(size);
}

void os_huge_pages(void *start, size_t size)
{
    (void)start;
    (void)size;
}

void os_small_pages(void *start, size_t size)
{
    (void)start;
    (void)size;
}

bool os_commit(void *start, size_t size)
{
    (void)start;
    (void)size;
    return !fails();
}

void os_dump(void *start, size_t size)
{
    (void)start;
    (void)size;
}

/* The system asks no sanitizer. */
__attribute__((no_sanitize("address"))) void os_discard(void *start, size_t size)
{
    volatile unsigned char *bytes = start;
    for (size_t i = 0; i < size; i++) {
        bytes[i] = 0;
    }
}

bool os_fence(void *start, size_t size)
{
    memset(start, 0xEE, size);
    return !fails();
}

bool os_shut(void *start, size_t size)
{
    return os_fence(start, size); /* nobody may count on what is shut away */
}

bool os_seal(void *start, size_t size)
{
    (void)start;
    (void)size;
    return !fails();
}

bool os_unfence(void *start, size_t size)
{
    memset(start, 0, size);
    return true;
}

bool os_on_fault(os_fault_handler *handler)
{
    (void)handler;
    return false;
}

bool os_move(void *from, void *to, size_t size)
{
    (void)from;
    (void)to;
    (void)size;
    return false;
}

void os_populate(void *start, size_t size)
{
    (void)start;
    (void)size;
}

size_t os_thread(void)
{
    return 1;
}

int os_thread_number(void)
{
    return 1;
}

void os_stack(const void **ret_start, const void **ret_end)
{
    *ret_start = *ret_end = NULL;
}

uint64_t os_clock(void)
{
    static uint64_t now;
    return ++now;
}

int os_process(void)
{
    return 1;
}

size_t os_in_child(size_t (*work)(void *argument, void *buffer, size_t size), void *argument,
                   void *buffer, size_t size, int milliseconds)
{
    (void)milliseconds;
    return work(argument, buffer, size);
}

bool os_is_child(void)
{
    return false;
}

_Noreturn void os_leave_child(void)
{
    abort();
}

void os_look_again(void)
{
}

bool os_try(void (*work)(void *), void *argument)
{
    work(argument);
    return true;
}

void os_lock(void)
{
}

void os_unlock(void)
{
}

bool os_take_turn(void)
{
    return false;
}

void os_end_turn(void)
{
}

bool os_write_file(const char *path, const char *text, size_t length)
{
    FILE *file = fopen(path, "w");
    return file != NULL && fwrite(text, 1, length, file) == length && fclose(file) == 0;
}

void os_print_error(const char *text, size_t length)
{
    (void)fwrite(text, 1, length, stderr);
}

void os_break(void)
{
    (void)raise(SIGTRAP);
}

_Noreturn void os_abort(void)
{
    abort();
}

/* ---- files: a few, in memory. A trace has none: it goes to the host's function. ---- */

enum { FILES = 4, NAME_SIZE = 64 };

static struct {
    char name[NAME_SIZE]; /* empty: there is none */
    unsigned char *bytes;
    size_t size;
} files[FILES];

static int file_named(const char *name)
{
    for (int i = 0; i < FILES; i++) {
        if (strncmp(files[i].name, name, NAME_SIZE) == 0) {
            return i;
        }
    }
    return -1;
}

size_t fake_files(void)
{
    size_t count = 0;
    for (int i = 0; i < FILES; i++) {
        count += files[i].name[0] != '\0';
    }
    return count;
}

bool fake_write(const char *name, const void *bytes, size_t size)
{
    int file = file_named(name);
    file = file >= 0 ? file : file_named("");
    unsigned char *copy = malloc(size + 1);
    if (file < 0 || copy == NULL || strlen(name) >= NAME_SIZE) {
        free(copy);
        return false;
    }
    memcpy(copy, bytes, size);
    free(files[file].bytes);
    (void)snprintf(files[file].name, NAME_SIZE, "%s", name);
    files[file].bytes = copy;
    files[file].size = size;
    return true;
}

unsigned char *fake_bytes(const char *name, size_t *ret_size)
{
    int file = file_named(name);
    if (file < 0) {
        return NULL;
    }
    *ret_size = files[file].size;
    return files[file].bytes;
}

int os_new_file(const char *path)
{
    (void)path;
    return -1;
}

int os_open_file(const char *path, uint64_t *ret_size)
{
    int file = fails() ? -1 : file_named(path);
    if (file >= 0) {
        *ret_size = files[file].size;
    }
    return file;
}

bool os_read_file(int file, void *ret_bytes, size_t size)
{
    if (fails() || size > files[file].size) {
        return false;
    }
    memcpy(ret_bytes, files[file].bytes, size);
    return true;
}

/* Never where it is wanted: each image is relocated. */
void *os_map_file(int file, uintptr_t at, size_t size, bool writable)
{
    (void)writable;
    void *start = at == 0 ? os_reserve(size) : NULL;
    if (start != NULL) {
        memcpy(start, files[file].bytes, size < files[file].size ? size : files[file].size);
    }
    return start;
}

void os_will_read(void *start, size_t size)
{
    (void)start;
    (void)size;
}

int os_new_beside(const char *path, char *ret_name, size_t size)
{
    (void)snprintf(ret_name, size, "%s.new", path);
    return !fails() && fake_write(ret_name, "", 0) ? file_named(ret_name) : -1;
}

bool os_append(int file, const void *bytes, size_t size)
{
    size_t old = files[file].size;
    unsigned char *grown = fails() ? NULL : realloc(files[file].bytes, old + size + 1);
    if (grown == NULL) {
        return false;
    }
    memcpy(grown + old, bytes, size);
    files[file].bytes = grown;
    files[file].size = old + size;
    return true;
}

bool os_sync_file(int file)
{
    (void)file;
    return !fails();
}

bool os_replace_file(const char *name, const char *path)
{
    int file = file_named(name);
    if (fails()) {
        return false;
    }
    os_remove_file(path);
    (void)snprintf(files[file].name, NAME_SIZE, "%s", path);
    return true;
}

void os_remove_file(const char *name)
{
    int file = file_named(name);
    if (file >= 0) {
        free(files[file].bytes);
        files[file].name[0] = '\0';
        files[file].bytes = NULL;
        files[file].size = 0;
    }
}

void os_close_file(int file)
{
    (void)file;
}
