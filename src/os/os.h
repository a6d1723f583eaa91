/* os: what the operating system does for us, and nothing else. posix.c makes the calls; fake.c is
 * deterministic and can fail its n-th one. Whoever links chooses. Sizes are whole pages. */
#ifndef FIEF_OS_H
#define FIEF_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OS_PAGE = 4096 };

/* A small usable mapping, zeroed; address space without access. NULL when refused. */
void *os_map(size_t size);
void *os_reserve(size_t size);
void os_release(void *start, size_t size);
/* Makes a part of a reserve usable (zero where it was never touched). */
bool os_commit(void *start, size_t size);
/* A core file shall hold this part of a reserve, which else is left out; a hint. */
void os_dump(void *start, size_t size);
/* Drops the pages' contents; they read as zero again. */
void os_discard(void *start, size_t size);
/* Makes any access to the pages fault, and drops their contents, or keeps them; undoes both. */
bool os_fence(void *start, size_t size);
bool os_shut(void *start, size_t size);
bool os_unfence(void *start, size_t size);
/* Makes writes to the pages fault; os_commit undoes it. */
bool os_seal(void *start, size_t size);
/* Calls the handler when a page may not be accessed; then whoever else handles such faults has it,
 * or the access happens again and ends the process. One handler a process; true when installed. */
typedef struct os_fault {
    const void *address;
    bool is_write;
    size_t size; /* bytes of the access; 0: unknown */
    const void *pc, *frame, *stack; /* the registers; NULL: unknown */
} os_fault;
typedef void os_fault_handler(const os_fault *fault);
/* How many bytes of memory the instruction at pc reads or writes; 0: it is not one of the usual.
 * pc has been executed, so its bytes can be read. */
size_t os_access_size(const void *pc);
bool os_on_fault(os_fault_handler *handler);
/* The host may have installed a handler over ours: ours goes first again. */
void os_look_again(void);
/* Calls work(argument), which may read what is broken: false where it met a fault and was left. */
bool os_try(void (*work)(void *), void *argument);
/* Moves pages by their page tables; false: the caller copies. */
bool os_move(void *from, void *to, size_t size);
/* Pages of HUGE_PAGE bytes where they fit; or none of these. Hints. */
enum { HUGE_PAGE = 2 << 20 };
void os_huge_pages(void *start, size_t size);
void os_small_pages(void *start, size_t size);
/* Touches the pages ahead of use; a hint. */
void os_populate(void *start, size_t size);
/* Nodes of memory (NUMA): how many, 1 where the system has no more, or tells of none; is there one
 * of that number? They need not be numbered from 0, nor without gaps. The calling thread's; that of
 * a page, -1: nobody has touched it. */
enum { OS_NODES_MAX = 1024, OS_NODE_WORDS = OS_NODES_MAX / 64 };
unsigned os_nodes(void);
bool os_has_node(unsigned node);
unsigned os_node(void);
int os_node_of(const void *address);
/* Where pages lie that are touched from now on: as the process has it, on the node of who touches
 * them first, on one node as far as it has room, in turn on all. `move`: those that are there go
 * there, too. False: the system refuses; some may have moved. With one node nothing is asked. */
typedef enum os_policy { OS_AS_IT_COMES, OS_LOCAL, OS_ON, OS_INTERLEAVE } os_policy;
typedef struct os_placement {
    uint16_t policy : 2;
    uint16_t node : 10; /* of OS_ON */
} os_placement;
bool os_place(void *start, size_t size, os_placement place, bool move);
/* A list as the system writes it ("0-1,3") is added to a set, which is zero at first: how many. */
unsigned os_node_list(const char *text, uint64_t ret_nodes[OS_NODE_WORDS]);
static inline bool os_in_nodes(const uint64_t nodes[OS_NODE_WORDS], unsigned node)
{
    return node < OS_NODES_MAX && (nodes[node / 64] >> node % 64 & 1) != 0;
}
/* A number for the calling thread, never 0; its stack's bounds (empty: unknown); the process. */
size_t os_thread(void);
/* The thread's number as the system and its debuggers have it. */
int os_thread_number(void);
void os_stack(const void **ret_start, const void **ret_end);
int os_process(void);
/* Nanoseconds, from an unknown start, that never go back. */
uint64_t os_clock(void);
/* Milliseconds from now until that clock says `until`; negative when it was so. */
int os_left(uint64_t until);
enum { OS_MILLISECOND = 1000000 };
/* Calls work(argument, buffer, size) in a child process and brings back the bytes of `buffer` that
 * it says it wrote. 0 where no child could be made, or it crashed, or took too long. */
size_t os_in_child(size_t (*work)(void *argument, void *buffer, size_t size), void *argument,
                   void *buffer, size_t size, int milliseconds);
/* Are we such a child? It ends, with nothing to bring back. */
bool os_is_child(void);
_Noreturn void os_leave_child(void);
/* May these bytes be a call, which a return address lies behind? */
enum { OS_CALL_LONGEST = 7 };
bool os_ends_in_call(const unsigned char *bytes);
/* A file that code was loaded from, and where it lies. */
typedef struct os_module {
    uintptr_t start, end, bias; /* bias: what the file's own addresses are moved by */
    uint64_t identity;          /* another build of the file has another */
    char path[200];
} os_module;
enum { OS_MODULES_MAX = 128 };
/* How often files were loaded or unloaded so far; which ones are loaded now, at most `most`. */
uint64_t os_module_changes(void);
size_t os_modules(os_module *ret_modules, size_t most);
/* Is that file still what was loaded? */
bool os_module_is_file(const os_module *module);
/* Gives up when nobody reads, and tells nobody. */
void os_print_error(const char *text, size_t length);
/* Makes the file anew; false: it could not. */
bool os_write_file(const char *path, const char *text, size_t length);
/* A file made anew, -1: it could not; bytes behind what it has; its end. */
int os_new_file(const char *path);
bool os_append(int file, const void *bytes, size_t size);
void os_close_file(int file);
/* A regular file, to be read; -1: there is none, or it can't be. Its first bytes: false when they
 * are fewer. */
int os_open_file(const char *path, uint64_t *ret_size);
bool os_read_file(int file, void *ret_bytes, size_t size);
/* Maps it from its start, readable or writable (the file stays as it is): at that address, or
 * nowhere, NULL; 0 is anywhere. os_release undoes it, os_seal takes the writing away. All of it is
 * about to be read: a hint, which asks for the pages at once. */
void *os_map_file(int file, uintptr_t at, size_t size, bool writable);
void os_will_read(void *start, size_t size);
/* A new file under a name of its own in the path's directory; -1: it could not be made. */
enum { OS_PATH_MAX = 4096 };
int os_new_beside(const char *path, char *ret_name, size_t size);
/* What was appended is on the disk. */
bool os_sync_file(int file);
/* The file of that name is now the one at path, and what was there is gone: whole or not at all. */
bool os_replace_file(const char *name, const char *path);
void os_remove_file(const char *name);
/* One thread of the process at a time, for what asks no host: at the longest, a copy of an image is
 * made. A fork waits for it. */
void os_lock(void);
void os_unlock(void);
/* Reports of several threads are not mixed: false when it is this thread's turn already, or
 * somebody takes too long; who has true ends its turn. */
bool os_take_turn(void);
void os_end_turn(void);
/* Stops for a debugger. */
void os_break(void);
_Noreturn void os_abort(void);

#endif
