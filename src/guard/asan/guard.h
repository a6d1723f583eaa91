/* guard/asan: AddressSanitizer is told where each block begins, ends and died. The contract is
 * written down in guard/poison/guard.h. The functions, not the macros: those are empty in code
 * that is built without the sanitizer. */
#ifndef FIEF_GUARD_H
#define FIEF_GUARD_H

#include <fief/base.h>

#include "os/os.h"

#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>

enum { GUARD_REDZONE = 16, GUARD_SHUT = 1, GUARD_FENCES = 0 };
#define GUARD_MODE "ASan-annotated"
typedef enum guard_verdict { GUARD_INTACT, GUARD_OVERFLOW, GUARD_UNDERFLOW } guard_verdict;

/* The address of the access that ASan is reporting; NULL: it reports none. */
static inline const void *guard_reported_address(void)
{
    return __asan_report_present() ? __asan_get_report_address() : NULL;
}

/* Both ways that ASan has, since a host may take either for itself; `tell` says a thing once. */
static inline void guard_on_report(void (*tell)(const char *text), void (*tell_at_death)(void))
{
    __asan_set_error_report_callback(tell);
    __sanitizer_set_death_callback(tell_at_death);
}

/* What the blocks there point at is no leak of LeakSanitizer's. */
static inline void guard_root(const void *start, size_t size)
{
    __lsan_register_root_region(start, size);
}

static inline void guard_unroot(const void *start, size_t size)
{
    __lsan_unregister_root_region(start, size);
}

static inline void guard_claim(void *start, size_t size)
{
    __asan_poison_memory_region(start, size);
}
static inline void guard_lend(void *block, size_t size)
{
    __asan_unpoison_memory_region(block, size);
}
static inline bool guard_is_intact(const void *block, size_t size)
{
    (void)block;
    (void)size;
    return true;
}
static inline guard_verdict guard_look(const void *block, size_t size, const void **ret_at)
{
    (void)block;
    (void)size;
    (void)ret_at;
    return GUARD_INTACT;
}
static inline void guard_restore(unsigned char *wall, size_t size, bool front)
{
    (void)wall;
    (void)size;
    (void)front;
}
static inline void guard_return(void *block, size_t size)
{
    __asan_poison_memory_region(block, size);
}
static inline void guard_shrink(void *block, size_t old_size, size_t new_size)
{
    __asan_poison_memory_region(block, old_size);
    __asan_unpoison_memory_region(block, new_size);
}
static inline const void *guard_written(const void *bytes, size_t size)
{
    (void)bytes;
    (void)size;
    return NULL;
}
static inline void guard_sweep(void *start, size_t size)
{
    __asan_poison_memory_region(start, size);
}
static inline bool guard_is_watched(void) { return false; }
static inline void guard_look_away(bool watched) { (void)watched; }
static inline void guard_look_again(bool watched) { (void)watched; }
static inline void guard_trust(void *bytes, size_t size) { (void)bytes; (void)size; }
/* Poisoned, not protected: ASan must see the access. */
static inline bool guard_bury(void *start, size_t size, bool keep)
{
    (void)keep;
    __asan_unpoison_memory_region(start, size);
    os_discard(start, size);
    __asan_poison_memory_region(start, size);
    return true;
}
static inline bool guard_exhume(void *start, size_t size)
{
    __asan_unpoison_memory_region(start, size);
    return true;
}
/* ASan keeps locals elsewhere, to notice their use after a return. */
static inline bool guard_is_local(const void *p)
{
    void *moved = __asan_get_current_fake_stack();
    return moved != NULL &&
           __asan_addr_is_in_fake_stack(moved, (void *)(uintptr_t)p, NULL, NULL) != NULL;
}
static inline void guard_forget(void *start, size_t size)
{
    __asan_unpoison_memory_region(start, size);
}

#endif
