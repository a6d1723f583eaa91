/* guard/poison: the debug build. The contract of every guard:
 *
 *     claim    the space gave us a run            -> nothing in it is lent
 *     lend     a block goes out                   -> its bytes are the host's; redzones around it
 *     look     a block is looked at               -> are the redzones intact? else, where not
 *     return   a block comes back                 -> its bytes die
 *     shrink   a block becomes smaller where it lies
 *     written  dead bytes are looked at           -> where somebody has written since; or nowhere
 *     sweep    a run of blocks comes back at once
 *     bury     whole pages die                    -> any access to them is noticed; exhume: undone;
 *                                                    what they hold may stay (keep), or is dropped
 *     trust    we read bytes that may be undefined, and check what we get
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

enum { GUARD_GRAIN = FIEF_GRAIN, GUARD_REDZONE = 16, GUARD_SHUT = 1, GUARD_FENCES = 1 };
enum { GUARD_FRONT_BYTE = 0xFA, GUARD_BACK_BYTE = 0xFB, GUARD_FRESH = 0xCD, GUARD_DEAD = 0xDD };
#define GUARD_MODE "debug-poisoned"
typedef enum guard_verdict { GUARD_INTACT, GUARD_OVERFLOW, GUARD_UNDERFLOW } guard_verdict;

static inline size_t guard_back(size_t size)
{
    return fief_round_up(size, FIEF_GRAIN) - size + GUARD_REDZONE;
}

/* 0 where the word is the pattern. */
static inline uint64_t guard_difference(const unsigned char *bytes, uint64_t pattern)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word ^ pattern;
}

/* The first byte that has another value; NULL: none. By words, the last of which may overlap the
 * one before: most of what is looked at is short, and the cost of a call. */
static inline const void *guard_odd_shown(const unsigned char *bytes, size_t count,
                                          unsigned char value)
{
    const uint64_t pattern = 0x0101010101010101u * value;
    bool same = true;
    size_t i = 0;
    for (; same && i + 4 * sizeof pattern <= count; i += 4 * sizeof pattern) {
        same = (guard_difference(bytes + i, pattern) | guard_difference(bytes + i + 8, pattern) |
                guard_difference(bytes + i + 16, pattern) |
                guard_difference(bytes + i + 24, pattern)) == 0;
    }
    for (; same && i + sizeof pattern <= count; i += sizeof pattern) {
        same = guard_difference(bytes + i, pattern) == 0;
    }
    if (same && i < count && count >= sizeof pattern) {
        same = guard_difference(bytes + count - sizeof pattern, pattern) == 0;
        i = count;
    }
    for (i = same ? i : 0; i < count; i++) {
        if (bytes[i] != value) {
            return bytes + i;
        }
    }
    return NULL;
}

/* The same of bytes that are ours, and hidden from everybody. */
static inline const void *guard_odd(const unsigned char *bytes, size_t count, unsigned char value)
{
    memcheck_show(bytes, count);
    const void *odd = guard_odd_shown(bytes, count, value);
    memcheck_hide(bytes, count);
    return odd;
}

/* 16 to 23 bytes, a redzone behind a block. */
static inline void guard_write_back(unsigned char *bytes, size_t count)
{
    memset(bytes, GUARD_BACK_BYTE, GUARD_REDZONE);
    memset(bytes + count - GUARD_GRAIN, GUARD_BACK_BYTE, GUARD_GRAIN);
}

static inline const void *guard_reported_address(void) { return NULL; }
static inline void guard_on_report(void (*tell)(const char *), void (*at_death)(void))
{
    (void)tell;
    (void)at_death;
}
static inline void guard_root(const void *start, size_t size) { (void)start; (void)size; }
static inline void guard_unroot(const void *start, size_t size) { (void)start; (void)size; }
static inline void guard_claim(void *start, size_t size) { memcheck_hide(start, size); }

static inline void guard_lend(void *block, size_t size)
{
    unsigned char *bytes = block;
    memcheck_show(bytes - GUARD_REDZONE, GUARD_REDZONE + size + guard_back(size));
    memset(bytes - GUARD_REDZONE, GUARD_FRONT_BYTE, GUARD_REDZONE);
    memset(bytes, GUARD_FRESH, size);
    guard_write_back(bytes + size, guard_back(size));
    memcheck_hide(bytes - GUARD_REDZONE, GUARD_REDZONE);
    memcheck_hide(bytes + size, guard_back(size));
    memcheck_born(block, size);
}

/* Sixteen bytes, a redzone, wherever they lie. */
typedef uint64_t guard_zone __attribute__((vector_size(16), aligned(1), may_alias));

static inline guard_zone guard_zone_difference(const unsigned char *bytes, unsigned char value)
{
    const uint64_t pattern = 0x0101010101010101u * value;
    return *(const guard_zone *)(const void *)bytes ^ (guard_zone){pattern, pattern};
}

/* Both redzones, without branches: what a sweep asks of every block. Else guard_look says more. */
static inline bool guard_is_intact(const void *block, size_t size)
{
    const unsigned char *bytes = block, *behind = bytes + size;
    const unsigned char *last = behind + guard_back(size) - GUARD_REDZONE;
    guard_zone differences = guard_zone_difference(bytes - GUARD_REDZONE, GUARD_FRONT_BYTE) |
                             guard_zone_difference(behind, GUARD_BACK_BYTE) |
                             guard_zone_difference(last, GUARD_BACK_BYTE);
    return (differences[0] | differences[1]) == 0;
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

/* A fence was opened: what lies next to its block is a redzone. */
static inline void guard_restore(unsigned char *wall, size_t size, bool front)
{
    memcheck_show(wall, size);
    memset(wall, front ? GUARD_FRONT_BYTE : GUARD_BACK_BYTE, size);
    memcheck_hide(wall, size);
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

/* Does Valgrind run us? Then undefined bytes are its concern. */
static inline bool guard_is_watched(void)
{
    return memcheck_runs;
}

/* A scan reads whatever lies in a block. */
static inline void guard_look_away(bool watched)
{
    (void)watched;
#ifdef VALGRIND_DISABLE_ERROR_REPORTING
    if (watched) {
        VALGRIND_DISABLE_ERROR_REPORTING;
    }
#endif
}

static inline void guard_look_again(bool watched)
{
    (void)watched;
#ifdef VALGRIND_ENABLE_ERROR_REPORTING
    if (watched) {
        VALGRIND_ENABLE_ERROR_REPORTING;
    }
#endif
}

static inline void guard_sweep(void *start, size_t size)
{
    memcheck_show(start, size);
    memset(start, GUARD_DEAD, size);
    memcheck_hide(start, size);
}

static inline void guard_trust(void *bytes, size_t size) { memcheck_show(bytes, size); }
/* Whoever fences pages may touch them: so does the OS that the fault tests use. */
static inline bool guard_bury(void *start, size_t size, bool keep)
{
    os_look_again(); /* who touches it must find our handler */
    memcheck_show(start, size);
    bool fenced = keep ? os_shut(start, size) : os_fence(start, size);
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
