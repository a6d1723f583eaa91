/* guard/poison: the debug build. The contract of every guard:
 *
 *     claim    the space gave us a run            -> nothing in it is lent
 *     lend     a block goes out                   -> its bytes are the host's; redzones around it
 *     look     a block is looked at               -> are the redzones intact? else, where not
 *     return   a block comes back                 -> its bytes die
 *     shrink   a block becomes smaller where it lies
 *     written  dead bytes are looked at           -> where somebody has written since; or nowhere
 *     sweep    a run of blocks comes back at once
 *     bury     whole pages die                    -> any access to them is noticed; exhume: undone
 *     trust    we read bytes that may be undefined, and check what we get
 *     open     we are about to look into our own bytes
 *     is_local a pointer that lies outside the stack -> is it a local that was moved away?
 *     forget   the range leaves the library: it goes to the OS or the caller
 *
 * A raw block is [redzone | size rounded up to a grain | redzone]; every byte of a redzone, and of
 * the rounding, is checked. Fresh bytes read 0xCD, dead ones 0xDD. Valgrind is told the same, in
 * memcheck.h: what is not lent may not be accessed, and our own looks are announced. */
#ifndef FIEF_GUARD_H
#define FIEF_GUARD_H

#include "guard/poison/memcheck.h"
#include "os/os.h"

#include <fief/base.h>

#include <string.h>

enum { GUARD_REDZONE = 16, GUARD_SHUT = 1, GUARD_FENCES = 1 };
enum { GUARD_FRONT_BYTE = 0xFA, GUARD_BACK_BYTE = 0xFB, GUARD_FRESH = 0xCD, GUARD_DEAD = 0xDD };
#define GUARD_MODE "debug-poisoned"
typedef enum guard_verdict { GUARD_INTACT, GUARD_OVERFLOW, GUARD_UNDERFLOW } guard_verdict;

static inline size_t guard_back(size_t size)
{
    return fief_round_up(size, FIEF_GRAIN) - size + GUARD_REDZONE;
}

/* The first of our own bytes that has another value; NULL: none. */
static inline const void *guard_odd(const unsigned char *bytes, size_t count, unsigned char value)
{
    memcheck_show(bytes, count);
    bool same = count == 0 || (bytes[0] == value && memcmp(bytes, bytes + 1, count - 1) == 0);
    const unsigned char *odd = same ? NULL : bytes;
    while (odd != NULL && *odd == value) {
        odd++;
    }
    memcheck_hide(bytes, count);
    return odd;
}

static inline void guard_claim(void *start, size_t size) { memcheck_hide(start, size); }

static inline void guard_lend(void *block, size_t size)
{
    unsigned char *bytes = block;
    memcheck_show(bytes - GUARD_REDZONE, GUARD_REDZONE + size + guard_back(size));
    memset(bytes - GUARD_REDZONE, GUARD_FRONT_BYTE, GUARD_REDZONE);
    memset(bytes, GUARD_FRESH, size);
    memset(bytes + size, GUARD_BACK_BYTE, guard_back(size));
    memcheck_hide(bytes - GUARD_REDZONE, GUARD_REDZONE);
    memcheck_hide(bytes + size, guard_back(size));
    memcheck_born(block, size);
}

static inline guard_verdict guard_look(const void *block, size_t size, const void **ret_at)
{
    const unsigned char *bytes = block;
    *ret_at = guard_odd(bytes + size, guard_back(size), GUARD_BACK_BYTE);
    if (*ret_at != NULL) {
        return GUARD_OVERFLOW;
    }
    *ret_at = guard_odd(bytes - GUARD_REDZONE, GUARD_REDZONE, GUARD_FRONT_BYTE);
    return *ret_at != NULL ? GUARD_UNDERFLOW : GUARD_INTACT;
}

static inline void guard_return(void *block, size_t size)
{
    memset(block, GUARD_DEAD, size);
    memcheck_died(block);
}

/* What is cut off becomes part of the redzone behind. */
static inline void guard_shrink(void *block, size_t old_size, size_t new_size)
{
    unsigned char *end = (unsigned char *)block + new_size;
    size_t back = old_size - new_size + guard_back(old_size);
    memcheck_show(end, back);
    memset(end, GUARD_BACK_BYTE, back);
    memcheck_hide(end, back);
    memcheck_resized(block, new_size);
}

static inline const void *guard_written(const void *bytes, size_t size)
{
    return guard_odd(bytes, size, GUARD_DEAD);
}

static inline void guard_sweep(void *start, size_t size)
{
    memcheck_show(start, size);
    memset(start, GUARD_DEAD, size);
    memcheck_hide(start, size);
}

static inline void guard_trust(void *bytes, size_t size) { memcheck_show(bytes, size); }
static inline void guard_open(void *start, size_t size) { memcheck_show(start, size); }

/* Whoever fences pages may touch them: so does the OS that the fault tests use. */
static inline bool guard_bury(void *start, size_t size)
{
    memcheck_show(start, size);
    bool fenced = os_fence(start, size);
    memcheck_hide(start, size);
    return fenced;
}

static inline bool guard_exhume(void *start, size_t size)
{
    memcheck_show(start, size);
    return os_unfence(start, size);
}

static inline bool guard_is_local(const void *p) { (void)p; return false; }
static inline void guard_forget(void *start, size_t size) { memcheck_show(start, size); }

#endif
