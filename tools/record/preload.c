/* preload: what `fief record` loads into the program. It stands between the program and whatever
 * malloc it has, and writes what happens in the form of src/base/trace.h.
 *
 * It has no heap: its tables are mapped, and the block that is being filled lies in the file
 * itself, mapped and shared. So a program that crashes, calls exec or is killed leaves a trace up
 * to its last call, and nothing needs to run at its end. A full block is compressed in its place.
 * The file is opened by name for that and closed again: programs close descriptors that they don't
 * know.
 *
 * Order: one lock makes one. A block is noted after it was made and before it is freed, so an
 * address that another thread gets anew was noted as free before; a realloc is made under the lock.
 *
 * A fork's child writes a file of its own, FILE.PID, from its first call on; so does a program that
 * was started by exec in the traced process. */
#include "base/trace.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/single_threaded.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifdef HAVE_ZSTD
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>
#endif

#define EXPORT  __attribute__((visibility("default")))
#define QUICK   __attribute__((tls_model("initial-exec")))
#define CALLER  ((uint64_t)(uintptr_t)__builtin_return_address(0))

enum {
    PATH_MOST = 3900, /* with a process's number behind it */
    EARLY_BYTES = 32 << 10,
    MODULES_MOST = 256,
    MAPS_BYTES = 1 << 20,
    OPERATIONS_PER_CLOCK = 64,
    ZSTD_LEVEL = 1,
    PAGE = 4096
};

/* ---- the program's own allocator ---- */

static struct {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void (*free)(void *);
    void *(*aligned_alloc)(size_t, size_t);
    void *(*memalign)(size_t, size_t);
    int (*posix_memalign)(void **, size_t, size_t);
    void *(*valloc)(size_t);
    void *(*pvalloc)(size_t);
} real;

/* dlsym may ask for memory before we know where to get it. */
static _Alignas(16) unsigned char early[EARLY_BYTES];
static size_t early_used;
static bool finding;

static void *early_alloc(size_t size)
{
    size = (size + 31) & ~(size_t)15;
    if (size > EARLY_BYTES - early_used) {
        return NULL;
    }
    unsigned char *block = early + early_used + 16;
    memcpy(block - 16, &size, sizeof size);
    early_used += size;
    return block;
}

static bool is_early(const void *p)
{
    return (uintptr_t)p - (uintptr_t)early < EARLY_BYTES;
}

static void find(void *ret_function, const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    memcpy(ret_function, &found, sizeof found);
}

static bool find_real(void)
{
    if (real.free != NULL || finding) {
        return real.free != NULL;
    }
    finding = true;
    find(&real.malloc, "malloc");
    find(&real.calloc, "calloc");
    find(&real.realloc, "realloc");
    find(&real.aligned_alloc, "aligned_alloc");
    find(&real.memalign, "memalign");
    find(&real.posix_memalign, "posix_memalign");
    find(&real.valloc, "valloc");
    find(&real.pvalloc, "pvalloc");
    find(&real.free, "free");
    finding = false;
    return true;
}

/* ---- the recorder ---- */

static struct {
    encoder e;
    site_table sites;
    char path[PATH_MOST], own_path[PATH_MOST + 32];
    dev_t device;
    ino_t inode;
    uint64_t offset; /* of the open block in the file */
    unsigned char *map;
    size_t map_size;
    unsigned char *scratch; /* for what is compressed */
    void *zstd;
    char *maps;
    struct {
        uint64_t start, end;
    } modules[MODULES_MOST];
    size_t module_count, scans;
    uint64_t began;
    unsigned depth, threads, thread, until_clock;
    uint32_t classes, aligned[64];
    uint64_t last_key;
    uint32_t last_site;
    bool child; /* a fork's: begins at its first call */
} r;

typedef enum state { UNKNOWN, OFF, ON } state;
static state now;
static char lock;
static _Thread_local unsigned own_thread QUICK;
/* Our own calls, and those of a handler that came between. */
static _Thread_local bool inside QUICK;
static _Thread_local const unsigned char *stack_end QUICK;
static int (*backtrace_by_tables)(void **, int); /* libunwind's, where it was asked for */

static void *map_bytes(size_t size)
{
    void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return bytes != MAP_FAILED ? bytes : NULL;
}

static void stop(const char *why)
{
    char line[PATH_MOST + 200];
    int length = snprintf(line, sizeof line, "fief record: %s: %s; recording ends here\n",
                          r.own_path, why);
    ssize_t written = write(STDERR_FILENO, line, length > 0 ? (size_t)length : 0);
    (void)written;
    now = OFF;
    r.e.failed = true;
}

static uint64_t microseconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* ---- the file ---- */

/* Is it still the one that was begun? */
static int open_again(void)
{
    struct stat s;
    int file = open(r.own_path, O_RDWR | O_CLOEXEC);
    if (file >= 0 && (fstat(file, &s) != 0 || s.st_dev != r.device || s.st_ino != r.inode)) {
        (void)close(file);
        errno = ENOENT;
        return -1;
    }
    return file;
}

/* Room for a block at the file's end, which the disk has: a store may not fail later. */
static bool open_block(int file)
{
    size_t before = r.offset % PAGE, size = before + TRACE_BLOCK_HEADER + TRACE_BLOCK_MOST + 1;
    if (posix_fallocate(file, (off_t)(r.offset - before), (off_t)size) != 0) {
        return false;
    }
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file,
                     (off_t)(r.offset - before));
    if (map == MAP_FAILED) {
        return false;
    }
    r.map = map, r.map_size = size;
    trace_block_header(r.map + before, TRACE_OPEN, 0, 0, 0);
    r.e.start = r.e.cursor = r.map + before + TRACE_BLOCK_HEADER;
    r.e.end = r.e.start + TRACE_BLOCK_MOST;
    return true;
}

static size_t compressed(size_t raw)
{
#ifdef HAVE_ZSTD
    if (r.zstd != NULL) {
        size_t stored =
            ZSTD_compressCCtx(r.zstd, r.scratch + TRACE_BLOCK_HEADER,
                              ZSTD_COMPRESSBOUND(TRACE_BLOCK_MOST), r.e.start, raw, ZSTD_LEVEL);
        return ZSTD_isError(stored) || stored >= raw ? 0 : stored;
    }
#endif
    (void)raw;
    return 0;
}

/* In its place; what lies behind is cut off and reads as zeros when the file grows again. */
static bool end_block(int file)
{
    size_t raw = (size_t)(r.e.cursor - r.e.start), stored = compressed(raw);
    if (stored != 0) {
        trace_block_header(r.scratch, TRACE_ZSTD, stored, raw,
                           trace_check(r.scratch + TRACE_BLOCK_HEADER, stored));
        size_t size = TRACE_BLOCK_HEADER + stored;
        if (pwrite(file, r.scratch, size, (off_t)r.offset) != (ssize_t)size) {
            return false;
        }
    } else {
        stored = raw;
        trace_block_header(r.e.start - TRACE_BLOCK_HEADER, TRACE_RAW, stored, raw,
                           trace_check(r.e.start, stored));
    }
    (void)munmap(r.map, r.map_size);
    r.map = NULL;
    r.offset += TRACE_BLOCK_HEADER + stored;
    return ftruncate(file, (off_t)r.offset) == 0;
}

static bool flush(encoder *e)
{
    (void)e;
    int file = open_again();
    bool sound = file >= 0 && end_block(file) && open_block(file);
    if (!sound) {
        stop(strerror(errno));
    }
    if (file >= 0) {
        (void)close(file);
    }
    return sound;
}

/* The name that was asked for is the first program's; others add their number to it. */
static int make_file(void)
{
    const char *first = getenv("FIEF_RECORD_PID");
    bool is_first = !r.child && first != NULL && strtol(first, NULL, 10) == (long)getpid();
    (void)snprintf(r.own_path, sizeof r.own_path, "%s", r.path);
    int file = is_first ? open(r.own_path, O_RDWR | O_CLOEXEC) : -1;
    struct stat s;
    if (file >= 0 && (fstat(file, &s) != 0 || s.st_size != 0)) {
        (void)close(file);
        file = -1;
    }
    for (unsigned again = 0; file < 0 && again < 1000; again++) {
        (void)snprintf(r.own_path, sizeof r.own_path, again == 0 ? "%s.%ld" : "%s.%ld.%u", r.path,
                       (long)getpid(), again);
        file = open(r.own_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file < 0 && errno != EEXIST) {
            break;
        }
    }
    return file;
}

/* The arguments, with spaces between. */
static void note_command(void)
{
    char line[TRACE_TEXT_MOST + 1];
    int file = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t size = file >= 0 ? read(file, line, TRACE_TEXT_MOST) : 0;
    if (file >= 0) {
        (void)close(file);
    }
    size = size > 0 ? size : 0;
    for (ssize_t i = 0; i < size; i++) {
        line[i] = line[i] == '\0' || line[i] == '\n' ? ' ' : line[i];
    }
    while (size > 0 && line[size - 1] == ' ') {
        size--;
    }
    line[size] = '\0';
    encode_info(&r.e, "command", line);
}

static void note_facts(void)
{
    char number[32];
    encode_info(&r.e, "producer", "fief record");
    note_command();
    (void)snprintf(number, sizeof number, "%ld", (long)getpid());
    encode_info(&r.e, "pid", number);
    (void)snprintf(number, sizeof number, "%lld", (long long)time(NULL));
    encode_info(&r.e, "started", number);
    (void)snprintf(number, sizeof number, "%u", r.depth);
    encode_info(&r.e, "depth", number);
    if (r.child) {
        (void)snprintf(number, sizeof number, "%ld", (long)getppid());
        encode_info(&r.e, "parent", number);
    }
    encode_class(&r.e, (trace_class){.verb = TRACE_MALLOC});
    encode_class(&r.e, (trace_class){.verb = TRACE_CALLOC});
    r.classes = TRACE_CALLOC + 1;
}

/* ---- modules: which file an address is of ---- */

static bool is_known(uint64_t pc)
{
    for (size_t i = 0; i < r.module_count; i++) {
        if (pc >= r.modules[i].start && pc < r.modules[i].end) {
            return true;
        }
    }
    return false;
}

static void note_module(char *line)
{
    unsigned long long start, end, offset;
    char rights[5];
    int name = 0;
    int found = sscanf(line, "%llx-%llx %4s %llx %*s %*s %n", &start, &end, rights, &offset, &name);
    bool is_code = found == 4 && rights[2] == 'x' && name > 0 && line[name] == '/';
    if (is_code && !is_known(start) && r.module_count < MODULES_MOST) {
        r.modules[r.module_count].start = start;
        r.modules[r.module_count++].end = end;
        uint64_t numbers[] = {start, end - start, offset};
        encode_numbers(&r.e, TAG_MODULE, numbers, 3, line + name);
    }
}

/* From the kernel, since the dynamic linker's list has a lock that somebody may hold while he
 * waits for ours. Code that no file has is looked for at each doubling of sites only. */
static void scan_modules(void)
{
    int file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    size_t size = 0;
    for (ssize_t more = 1; file >= 0 && more > 0 && size < MAPS_BYTES - 1; size += (size_t)more) {
        more = read(file, r.maps + size, MAPS_BYTES - 1 - size);
        more = more > 0 ? more : 0;
    }
    if (file >= 0) {
        (void)close(file);
    }
    r.maps[size] = '\0';
    for (char *line = r.maps, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        note_module(line);
    }
    r.scans = r.sites.count;
}

static uint32_t site_of(const uint64_t *frames, size_t count)
{
    uint64_t key = site_key(frames, count);
    if (key == r.last_key) {
        return r.last_site;
    }
    site_place *place = site_find(&r.sites, key);
    if (site_is_new(&r.sites, place, key)) {
        bool all_known = true;
        for (size_t i = 0; i < count; i++) {
            all_known = all_known && is_known(frames[i]);
        }
        if (!all_known && (r.sites.count < 8 || r.sites.count >= 2 * r.scans)) {
            scan_modules();
        }
        encode_site(&r.e, frames, count, "");
    }
    r.last_key = key;
    r.last_site = place->key == key ? place->number : 0;
    return r.last_site;
}

/* ---- begin ---- */

static bool begin_file(void)
{
    int file = make_file();
    struct stat s;
    unsigned char header[TRACE_HEADER];
    trace_file_header(header);
    bool sound = file >= 0 && fstat(file, &s) == 0 &&
                 pwrite(file, header, sizeof header, 0) == (ssize_t)sizeof header;
    r.offset = TRACE_HEADER;
    sound = sound && open_block(file);
    if (sound) {
        r.device = s.st_dev;
        r.inode = s.st_ino;
    }
    int error = errno;
    if (file >= 0) {
        (void)close(file);
    }
    errno = error;
    return sound;
}

static void begin(void)
{
    memset(&r.e, 0, sizeof r.e);
    r.e.flush = flush;
    memset(r.sites.places, 0, SITE_PLACES * sizeof *r.sites.places);
    memset(r.aligned, 0, sizeof r.aligned);
    r.sites.count = 0;
    r.module_count = r.scans = 0;
    r.thread = r.until_clock = 0;
    r.last_key = 0;
    r.began = microseconds();
    if (!begin_file()) {
        stop(strerror(errno));
        return;
    }
    note_facts();
    scan_modules();
}

static bool get_room(void)
{
    r.sites.places = map_bytes(SITE_PLACES * sizeof *r.sites.places);
    r.maps = map_bytes(MAPS_BYTES);
#ifdef HAVE_ZSTD
    size_t context = ZSTD_estimateCCtxSize(ZSTD_LEVEL);
    size_t out = TRACE_BLOCK_HEADER + ZSTD_COMPRESSBOUND(TRACE_BLOCK_MOST);
    void *room = map_bytes(context);
    r.scratch = map_bytes(out);
    r.zstd = room != NULL && r.scratch != NULL && getenv("FIEF_RECORD_RAW") == NULL
                 ? ZSTD_initStaticCCtx(room, context)
                 : NULL;
#endif
    return r.sites.places != NULL && r.maps != NULL;
}

static void begin_process(void)
{
    extern char **environ;
    if (environ == NULL) {
        return; /* libc has not begun yet */
    }
    const char *path = getenv("FIEF_RECORD"), *depth = getenv("FIEF_RECORD_DEPTH");
    now = OFF;
    if (path == NULL || strlen(path) >= PATH_MOST || !get_room()) {
        return;
    }
    (void)snprintf(r.path, sizeof r.path, "%s", path);
    r.depth = depth != NULL ? (unsigned)strtoul(depth, NULL, 10) : 1;
    r.depth = r.depth < TRACE_FRAMES_MOST ? r.depth : TRACE_FRAMES_MOST;
    now = ON;
    begin();
}

/* ---- threads and forks ---- */

static void take_lock(void)
{
    inside = true;
    unsigned turns = 0;
    while (!__libc_single_threaded && __atomic_test_and_set(&lock, __ATOMIC_ACQUIRE)) {
        if (++turns % 64 == 0) {
            (void)sched_yield();
        }
    }
}

static void give_lock(void)
{
    __atomic_clear(&lock, __ATOMIC_RELEASE);
    inside = false;
}

/* The child has its parent's pages: it may not write to that file. */
static void child_begins(void)
{
    if (now == ON) {
        (void)munmap(r.map, r.map_size);
        r.map = NULL;
        r.child = true;
        r.e.start = r.e.cursor = r.e.end = NULL;
        r.threads = 0;
        own_thread = 0;
    }
    give_lock();
}

__attribute__((constructor)) static void on_load(void)
{
    (void)pthread_atfork(take_lock, give_lock, child_begins);
    const char *wanted = getenv("FIEF_RECORD_UNWIND");
    if (wanted != NULL && find_real()) {
        inside = true;
        void *library = dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);
        void *found = library != NULL ? dlsym(library, "unw_backtrace") : NULL;
        memcpy(&backtrace_by_tables, &found, sizeof found);
        inside = false;
    }
}

/* Under the lock: is there somewhere to write, and what is new since the last event? */
static bool may_note(void)
{
    if (r.child && r.map == NULL && now == ON) {
        begin();
    }
    if (now != ON) {
        return false;
    }
    if (own_thread == 0) {
        own_thread = ++r.threads;
    }
    if (r.thread != own_thread) {
        uint64_t number = own_thread;
        encode_numbers(&r.e, TAG_THREAD, &number, 1, NULL);
        r.thread = own_thread;
    }
    if (r.until_clock-- == 0) {
        r.until_clock = OPERATIONS_PER_CLOCK - 1;
        encode_time(&r.e, microseconds() - r.began);
    }
    return true;
}

/* ---- the frames of a call ---- */

/* The stack's upper end; libc asks malloc for what it needs for that. */
static const unsigned char *end_of_stack(void)
{
    pthread_attr_t attributes;
    void *start = NULL;
    size_t size = 0;
    if (stack_end == NULL && pthread_getattr_np(pthread_self(), &attributes) == 0) {
        (void)pthread_attr_getstack(&attributes, &start, &size);
        (void)pthread_attr_destroy(&attributes);
        stack_end = (const unsigned char *)start + size;
    }
    return stack_end;
}

/* As far as each frame's pointer leads upwards; code without them ends it early. */
static size_t walk_frames(uint64_t caller, const uint64_t *frame, uint64_t *ret_frames, size_t most)
{
    const unsigned char *end = end_of_stack();
    size_t count = 1;
    ret_frames[0] = caller;
    uintptr_t at = frame[0]; /* the caller's own */
    const uint64_t *last = frame;
    while (count < most && at % 8 == 0 && at > (uintptr_t)last && at + 16 <= (uintptr_t)end) {
        last = (const uint64_t *)at; // NOLINT: an address that was checked
        if (last[1] < PAGE) {
            break;
        }
        ret_frames[count++] = last[1];
        at = last[0];
    }
    return count;
}

static size_t walk_tables(uint64_t caller, uint64_t *ret_frames, size_t most)
{
    void *found[TRACE_FRAMES_MOST + 6];
    int count = backtrace_by_tables(found, (int)most + 6), first = 0;
    while (first < count && (uint64_t)(uintptr_t)found[first] != caller) {
        first++;
    }
    if (first >= count) {
        ret_frames[0] = caller;
        return 1;
    }
    size_t kept = 0;
    for (int i = first; i < count && kept < most && found[i] != NULL; i++) {
        ret_frames[kept++] = (uint64_t)(uintptr_t)found[i];
    }
    return kept;
}

static size_t frames_of(uint64_t caller, const void *frame, uint64_t *ret_frames)
{
    if (r.depth <= 1) {
        ret_frames[0] = caller;
        return 1;
    }
    inside = true;
    size_t count = backtrace_by_tables != NULL ? walk_tables(caller, ret_frames, r.depth)
                                               : walk_frames(caller, frame, ret_frames, r.depth);
    inside = false;
    return count;
}

/* ---- notes ---- */

static bool is_on(void)
{
    if (now == UNKNOWN && !inside) {
        inside = true;
        begin_process();
        inside = false;
    }
    return now == ON && !inside;
}

static uint32_t class_of(trace_verb verb, size_t align)
{
    if (verb != TRACE_ALIGNED) {
        return (uint32_t)verb + 1;
    }
    unsigned log2 = align > 1 ? (unsigned)__builtin_ctzll(align) : 0;
    if (r.aligned[log2] == 0) {
        encode_class(&r.e, (trace_class){.verb = TRACE_ALIGNED, .align_log2 = (uint8_t)log2});
        r.aligned[log2] = ++r.classes;
    }
    return r.aligned[log2];
}

static void note_alloc(trace_verb verb, size_t align, size_t size, const void *block,
                       uint64_t caller, const void *frame)
{
    uint64_t frames[TRACE_FRAMES_MOST];
    int error = errno;
    size_t count = frames_of(caller, frame, frames);
    take_lock();
    if (may_note()) {
        uint32_t site = site_of(frames, count), number = class_of(verb, align);
        if (block != NULL) {
            encode_alloc(&r.e, number, size, (uint64_t)(uintptr_t)block, site);
        } else {
            encode_refused(&r.e, number, size, site);
        }
    }
    give_lock();
    errno = error;
}

static void note_free(const void *block, uint64_t caller, const void *frame)
{
    uint64_t frames[TRACE_FRAMES_MOST];
    int error = errno;
    size_t count = frames_of(caller, frame, frames);
    take_lock();
    if (may_note()) {
        uint32_t site = site_of(frames, count);
        encode_free(&r.e, (uint64_t)(uintptr_t)block, site);
    }
    give_lock();
    errno = error;
}

#define FRAME __builtin_frame_address(0)

EXPORT void *malloc(size_t size)
{
    if (!find_real()) {
        return early_alloc(size);
    }
    bool on = is_on();
    void *block = real.malloc(size);
    if (on) {
        note_alloc(TRACE_MALLOC, 0, size, block, CALLER, FRAME);
    }
    return block;
}

EXPORT void *calloc(size_t count, size_t size)
{
    size_t bytes;
    bool fits = !__builtin_mul_overflow(count, size, &bytes);
    if (!find_real()) {
        return fits ? early_alloc(bytes) : NULL;
    }
    bool on = is_on();
    void *block = real.calloc(count, size);
    if (on) {
        note_alloc(TRACE_CALLOC, 0, fits ? bytes : SIZE_MAX, block, CALLER, FRAME);
    }
    return block;
}

EXPORT void free(void *block)
{
    if (block == NULL || is_early(block) || !find_real()) {
        return;
    }
    if (is_on()) {
        note_free(block, CALLER, FRAME);
    }
    real.free(block);
}

static void *grow_early(const void *block, size_t size)
{
    size_t had;
    memcpy(&had, (const unsigned char *)block - 16, sizeof had);
    void *moved = find_real() ? real.malloc(size) : early_alloc(size);
    return moved != NULL ? memcpy(moved, block, had - 16 < size ? had - 16 : size) : NULL;
}

/* Under the lock: else another thread could get the old address before it is noted as free. */
static void *resize(void *block, size_t size, uint64_t caller, const void *frame)
{
    uint64_t frames[TRACE_FRAMES_MOST];
    size_t count = frames_of(caller, frame, frames);
    uint64_t old = (uint64_t)(uintptr_t)block;
    take_lock();
    void *moved = real.realloc(block, size);
    int error = errno;
    if (may_note()) {
        uint32_t site = site_of(frames, count);
        if (moved != NULL) {
            encode_resize(&r.e, old, size, (uint64_t)(uintptr_t)moved, site);
        } else if (size == 0) {
            encode_free(&r.e, old, site);
        } else {
            encode_refused(&r.e, class_of(TRACE_MALLOC, 0), size, site);
        }
    }
    give_lock();
    errno = error;
    return moved;
}

static void *reallocate(void *block, size_t size, uint64_t caller, const void *frame)
{
    if (block != NULL && is_early(block)) {
        return grow_early(block, size);
    }
    if (!find_real()) {
        return early_alloc(size);
    }
    if (!is_on()) {
        return real.realloc(block, size);
    }
    if (block != NULL) {
        return resize(block, size, caller, frame);
    }
    void *fresh = real.realloc(NULL, size);
    note_alloc(TRACE_MALLOC, 0, size, fresh, caller, frame);
    return fresh;
}

EXPORT void *realloc(void *block, size_t size)
{
    return reallocate(block, size, CALLER, FRAME);
}

EXPORT void *reallocarray(void *block, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return reallocate(block, bytes, CALLER, FRAME);
}

static void *noted_aligned(void *block, size_t align, size_t size, uint64_t caller,
                           const void *frame)
{
    if (is_on()) {
        note_alloc(TRACE_ALIGNED, align, size, block, caller, frame);
    }
    return block;
}

EXPORT void *aligned_alloc(size_t align, size_t size)
{
    return find_real() ? noted_aligned(real.aligned_alloc(align, size), align, size, CALLER, FRAME)
                       : NULL;
}

EXPORT void *memalign(size_t align, size_t size)
{
    return find_real() ? noted_aligned(real.memalign(align, size), align, size, CALLER, FRAME)
                       : NULL;
}

EXPORT int posix_memalign(void **ret_block, size_t align, size_t size)
{
    int status = find_real() ? real.posix_memalign(ret_block, align, size) : ENOMEM;
    if (status == 0 || status == ENOMEM) {
        (void)noted_aligned(status == 0 ? *ret_block : NULL, align, size, CALLER, FRAME);
    }
    return status;
}

EXPORT void *valloc(size_t size)
{
    return find_real() ? noted_aligned(real.valloc(size), PAGE, size, CALLER, FRAME) : NULL;
}

EXPORT void *pvalloc(size_t size)
{
    size_t whole = (size + PAGE - 1) & ~(size_t)(PAGE - 1);
    return find_real() ? noted_aligned(real.pvalloc(size), PAGE, whole, CALLER, FRAME) : NULL;
}
