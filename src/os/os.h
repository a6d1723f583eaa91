/* os: what the operating system does for us, and nothing else. posix.c makes the calls; fake.c is
 * deterministic and can fail its n-th one. Whoever links chooses. Sizes are whole pages. */
#ifndef FIEF_OS_H
#define FIEF_OS_H

#include <stdbool.h>
#include <stddef.h>

/* A small usable mapping, zeroed; address space without access. NULL when refused. */
void *os_map(size_t size);
void *os_reserve(size_t size);
void os_release(void *start, size_t size);
/* Makes a part of a reserve usable (zero where it was never touched). */
bool os_commit(void *start, size_t size);
/* Drops the pages' contents; they read as zero again. */
void os_discard(void *start, size_t size);
/* Moves pages by their page tables; false: the caller copies. */
bool os_move(void *from, void *to, size_t size);
/* No huge pages here; a hint. */
void os_small_pages(void *start, size_t size);
/* Touches the pages ahead of use; a hint. */
void os_populate(void *start, size_t size);
/* A number for the calling thread, never 0. */
size_t os_thread(void);
void os_print_error(const char *text, size_t length);
_Noreturn void os_abort(void);

#endif
