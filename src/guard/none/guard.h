/* guard/none: the release build. Nothing is noticed, nothing is paid for. The contract that the
 * three guards share is written down in guard/poison/guard.h. */
#ifndef FIEF_GUARD_H
#define FIEF_GUARD_H

#include <fief/base.h>

enum { GUARD_REDZONE = 0, GUARD_SHUT = 0, GUARD_FENCES = 0 };
#define GUARD_MODE "release"
typedef enum guard_verdict { GUARD_INTACT, GUARD_OVERFLOW, GUARD_UNDERFLOW } guard_verdict;

static inline const void *guard_reported_address(void) { return NULL; }
static inline void guard_on_report(void (*tell)(const char *), void (*at_death)(void))
{
    (void)tell;
    (void)at_death;
}
static inline void guard_root(const void *start, size_t size) { (void)start; (void)size; }
static inline void guard_unroot(const void *start, size_t size) { (void)start; (void)size; }
static inline void guard_claim(void *start, size_t size) { (void)start; (void)size; }
static inline void guard_lend(void *block, size_t size) { (void)block; (void)size; }
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
    (void)block;
    (void)size;
}
static inline void guard_shrink(void *block, size_t old_size, size_t new_size)
{
    (void)block;
    (void)old_size;
    (void)new_size;
}
static inline const void *guard_written(const void *bytes, size_t size)
{
    (void)bytes;
    (void)size;
    return NULL;
}
static inline void guard_sweep(void *start, size_t size) { (void)start; (void)size; }
static inline bool guard_is_watched(void) { return false; }
static inline void guard_look_away(bool watched) { (void)watched; }
static inline void guard_look_again(bool watched) { (void)watched; }
static inline void guard_trust(void *bytes, size_t size) { (void)bytes; (void)size; }
static inline bool guard_bury(void *start, size_t size, bool keep)
{
    (void)start;
    (void)size;
    (void)keep;
    return false;
}
static inline bool guard_exhume(void *start, size_t size) { (void)start; (void)size; return true; }
static inline bool guard_is_local(const void *p) { (void)p; return false; }
static inline void guard_forget(void *start, size_t size) { (void)start; (void)size; }

#endif
