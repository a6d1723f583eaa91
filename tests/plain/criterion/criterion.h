/* The part of Criterion that these tests use, for Valgrind, MemorySanitizer and ThreadSanitizer.
 * Criterion starts the program anew for each test, which takes Valgrind longer than the test; its
 * libraries are not built for the other two.
 *
 * A test runs in a child of fork. plain.c has main. The names are Criterion's, the code is not. */
#ifndef FIEF_TESTS_PLAIN_H
#define FIEF_TESTS_PLAIN_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A suite's are for each of its tests: its init comes before the test's, its fini after it. */
typedef struct plain_options {
    void (*init)(void), (*fini)(void); /* fini also after an assertion that failed */
    double timeout;                    /* seconds; 0: the suite's, or none */
} plain_options;

typedef struct plain_test {
    const char *suite, *name;
    void (*run)(void); /* NULL: a suite */
    plain_options options;
    struct plain_test *next;
} plain_test;

void plain_add(plain_test *test);

/* Says what failed; an assertion ends the test. */
__attribute__((format(printf, 5, 6))) void plain_failed(bool is_assertion, const char *file,
                                                        int line, const char *text,
                                                        const char *format, ...);
_Noreturn void plain_skip(const char *why);

#define PLAIN_ADDED(ID, SUITE, NAME, RUN, ...)                                                     \
    static plain_test ID = {.suite = SUITE, .name = NAME, .run = RUN, .options = {__VA_ARGS__}};   \
    __attribute__((constructor)) static void ID##_added(void)                                      \
    {                                                                                              \
        plain_add(&ID);                                                                            \
    }

#define TestSuite(SUITE, ...) PLAIN_ADDED(SUITE##_suite, #SUITE, "", NULL, __VA_ARGS__)
#define Test(SUITE, NAME, ...)                                                                     \
    static void SUITE##_##NAME##_run(void);                                                        \
    PLAIN_ADDED(SUITE##_##NAME##_test, #SUITE, #NAME, SUITE##_##NAME##_run, __VA_ARGS__)           \
    static void SUITE##_##NAME##_run(void)

/* What follows the condition may be a format and its arguments, for where it failed. */
#define PLAIN_CHECK(HOLDS, ENDS, TEXT, ...)                                                        \
    ((HOLDS) ? (void)0 : plain_failed(ENDS, __FILE__, __LINE__, TEXT, " " __VA_ARGS__))

#define cr_assert(X, ...) PLAIN_CHECK((X), true, #X, __VA_ARGS__)
#define cr_assert_not(X, ...) PLAIN_CHECK(!(X), true, "not " #X, __VA_ARGS__)
#define cr_assert_null(X, ...) PLAIN_CHECK((X) == NULL, true, #X " == NULL", __VA_ARGS__)
#define cr_assert_not_null(X, ...) PLAIN_CHECK((X) != NULL, true, #X " != NULL", __VA_ARGS__)
#define cr_assert_eq(A, B, ...) PLAIN_CHECK((A) == (B), true, #A " == " #B, __VA_ARGS__)
#define cr_assert_neq(A, B, ...) PLAIN_CHECK((A) != (B), true, #A " != " #B, __VA_ARGS__)
#define cr_assert_lt(A, B, ...) PLAIN_CHECK((A) < (B), true, #A " < " #B, __VA_ARGS__)
#define cr_assert_leq(A, B, ...) PLAIN_CHECK((A) <= (B), true, #A " <= " #B, __VA_ARGS__)
#define cr_assert_gt(A, B, ...) PLAIN_CHECK((A) > (B), true, #A " > " #B, __VA_ARGS__)
#define cr_assert_geq(A, B, ...) PLAIN_CHECK((A) >= (B), true, #A " >= " #B, __VA_ARGS__)
#define cr_assert_str_eq(A, B, ...)                                                                \
    PLAIN_CHECK(strcmp(A, B) == 0, true, #A " is " #B, __VA_ARGS__)

#define cr_expect(X, ...) PLAIN_CHECK((X), false, #X, __VA_ARGS__)
#define cr_expect_not(X, ...) PLAIN_CHECK(!(X), false, "not " #X, __VA_ARGS__)
#define cr_expect_null(X, ...) PLAIN_CHECK((X) == NULL, false, #X " == NULL", __VA_ARGS__)
#define cr_expect_not_null(X, ...) PLAIN_CHECK((X) != NULL, false, #X " != NULL", __VA_ARGS__)
#define cr_expect_eq(A, B, ...) PLAIN_CHECK((A) == (B), false, #A " == " #B, __VA_ARGS__)
#define cr_expect_neq(A, B, ...) PLAIN_CHECK((A) != (B), false, #A " != " #B, __VA_ARGS__)
#define cr_expect_lt(A, B, ...) PLAIN_CHECK((A) < (B), false, #A " < " #B, __VA_ARGS__)
#define cr_expect_leq(A, B, ...) PLAIN_CHECK((A) <= (B), false, #A " <= " #B, __VA_ARGS__)
#define cr_expect_gt(A, B, ...) PLAIN_CHECK((A) > (B), false, #A " > " #B, __VA_ARGS__)
#define cr_expect_geq(A, B, ...) PLAIN_CHECK((A) >= (B), false, #A " >= " #B, __VA_ARGS__)
#define cr_expect_str_eq(A, B, ...)                                                                \
    PLAIN_CHECK(strcmp(A, B) == 0, false, #A " is " #B, __VA_ARGS__)
#define cr_expect_str_empty(A, ...) PLAIN_CHECK(*(A) == '\0', false, #A " is empty", __VA_ARGS__)
#define cr_expect_arr_eq(A, B, BYTES, ...)                                                         \
    PLAIN_CHECK(memcmp(A, B, BYTES) == 0, false, #A " is " #B, __VA_ARGS__)

#define cr_skip_test(WHY) plain_skip(WHY)
#define cr_skip(WHY) plain_skip(WHY)

#endif
