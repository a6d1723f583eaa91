/* apart: work that ends its process, in a child, and what it says. */
#ifndef FIEF_TESTS_APART_H
#define FIEF_TESTS_APART_H

#include <criterion/criterion.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a child prints on stderr, which ends before the work is done. */
static inline void report_of(char *text, size_t size, void (*work)(void *), void *argument)
{
    int ends[2];
    size_t length = 0;
    cr_assert_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        (void)dup2(ends[1], 2);
        work(argument);
        _exit(0);
    }
    (void)close(ends[1]);
    for (ssize_t got; (got = read(ends[0], text + length, size - 1 - length)) > 0;) {
        length += (size_t)got;
    }
    text[length] = '\0';
    (void)close(ends[0]);
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect(!(WIFEXITED(status) && WEXITSTATUS(status) == 0), "it went through");
}

#endif
