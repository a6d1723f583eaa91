/* support: what several test programs need: a witness of misuse, patterns in blocks, the mode. */
#ifndef FIEF_TEST_SUPPORT_H
#define FIEF_TEST_SUPPORT_H

#include <fief/fief.h>

#include <string.h>
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

/* A tool has memory of its own, which a limit of the system's or a count of faults includes. */
static inline bool has_a_tools_memory(void)
{
#if defined __SANITIZE_THREAD__
    return true;
#elif defined __has_feature
#if __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer)
    return true;
#endif
#endif
    return RUNNING_ON_VALGRIND || strcmp(fief_mode(), "ASan-annotated") == 0;
}

/* Address space of most tests' runtimes: Valgrind pays for each page, used or not. */
static const size_t small_reserve = (size_t)256 << 20;

/* A step of a loop; Valgrind is a hundred times slower, and there the loop takes longer ones. */
static inline unsigned at_valgrinds_pace(unsigned step, unsigned longer)
{
    return RUNNING_ON_VALGRIND ? longer : step;
}

/* Stands behind on_misuse: refuses the call and remembers what it was told. */
typedef struct witness {
    size_t count;
    fief_misuse_class last;
    char text[sizeof((fief_misuse *)0)->text];
} witness;

static inline bool witness_misuse(const fief_misuse *misuse, void *user)
{
    witness *w = user;
    w->count++;
    w->last = misuse->class_id;
    memcpy(w->text, misuse->text, sizeof w->text);
    return true;
}

/* With each run of spaces and ends of lines as one space. */
static inline void one_line(const char *text, char *ret_line)
{
    for (bool space = true; *text != '\0'; text++) {
        bool is_space = *text == ' ' || *text == '\n';
        if (!is_space || !space) {
            *ret_line++ = is_space ? ' ' : *text;
        }
        space = is_space;
    }
    *ret_line = '\0';
}

/* True once for each misuse of the class: exactly one report since the last question. */
static inline bool witness_saw(witness *w, fief_misuse_class class_id)
{
    bool saw = w->count == 1 && w->last == class_id;
    w->count = 0;
    return saw;
}

static inline unsigned char pattern(unsigned seed, size_t i)
{
    return (unsigned char)(seed + i * 131 + (i >> 8));
}

static inline void fill(void *block, size_t size, unsigned seed)
{
    unsigned char *bytes = block;
    for (size_t i = 0; i < size; i++) {
        bytes[i] = pattern(seed, i);
    }
}

static inline bool holds(const void *block, size_t size, unsigned seed)
{
    const unsigned char *bytes = block;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != pattern(seed, i)) {
            return false;
        }
    }
    return true;
}

/* For blocks so large that a pattern all through would cost more than it shows. */
enum { PATTERN_END = 64 };

static inline void fill_ends(void *block, size_t size, unsigned seed)
{
    size_t end = size < PATTERN_END ? size : PATTERN_END;
    fill(block, end, seed);
    if (size >= 2 * PATTERN_END) {
        fill((unsigned char *)block + size - end, end, seed);
    }
}

static inline bool ends_hold(const void *block, size_t size, unsigned seed)
{
    size_t end = size < PATTERN_END ? size : PATTERN_END;
    return holds(block, end, seed) &&
           (size < 2 * PATTERN_END || holds((const unsigned char *)block + size - end, end, seed));
}

static inline bool is_zero(const void *block, size_t size)
{
    const unsigned char *bytes = block;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

static inline bool is_multiple(const void *block, size_t align)
{
    return (uintptr_t)block % align == 0;
}

static inline bool is_guarded(void)
{
    return strcmp(fief_mode(), "release") != 0;
}

/* For loops over config.count_blocks: a guarded build counts anyway, so that once is enough. */
static inline int count_modes(void)
{
    return is_guarded() ? 1 : 2;
}

/* The same numbers on every machine. */
static inline size_t draw(uint64_t *state, size_t below)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(*state >> 33) % below;
}

#endif
