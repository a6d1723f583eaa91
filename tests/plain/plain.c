/* plain: runs the tests that this program has, or those whose names are given, as TAP. */
#include "criterion/criterion.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SKIPPED = 77 };

static plain_test *first, **end = &first;

/* This child's test: how it goes, and where it goes on once it is over. */
static bool failed, skipped;
static jmp_buf over;

void plain_add(plain_test *test)
{
    *end = test;
    end = &test->next;
}

void plain_failed(bool is_assertion, const char *file, int line, const char *text,
                  const char *format, ...)
{
    va_list rest;
    va_start(rest, format);
    fprintf(stderr, "%s:%d: not so: %s;", file, line, text);
    vfprintf(stderr, format, rest);
    fputc('\n', stderr);
    va_end(rest);
    failed = true;
    if (is_assertion) {
        longjmp(over, 1);
    }
}

void plain_skip(const char *why)
{
    fprintf(stderr, "left out: %s\n", why);
    skipped = true;
    longjmp(over, 1);
}

static plain_options options_of_suite(const char *name)
{
    for (const plain_test *t = first; t != NULL; t = t->next) {
        if (t->run == NULL && strcmp(t->suite, name) == 0) {
            return t->options;
        }
    }
    return (plain_options){0};
}

static void call(void (*work)(void))
{
    if (work != NULL) {
        work();
    }
}

static int run_one(const plain_test *t)
{
    const plain_options suite = options_of_suite(t->suite);
    double seconds = t->options.timeout > 0 ? t->options.timeout : suite.timeout;
    (void)alarm((unsigned)(seconds + 0.999));
    if (setjmp(over) == 0) {
        call(suite.init);
        call(t->options.init);
        t->run();
    }
    if (setjmp(over) == 0) {
        call(t->options.fini);
        call(suite.fini);
    }
    return failed ? EXIT_FAILURE : skipped ? SKIPPED : EXIT_SUCCESS;
}

/* The status that wait tells. */
static int run_apart(const plain_test *t)
{
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        exit(run_one(t));
    }
    while (child < 0 || waitpid(child, &status, 0) != child) {
        if (child < 0 || errno != EINTR) {
            perror("plain");
            exit(EXIT_FAILURE);
        }
    }
    return status;
}

static bool is_asked_for(const plain_test *t, int names, char **named)
{
    bool found = names == 0;
    for (int i = 0; i < names; i++) {
        found = found || strcmp(t->name, named[i]) == 0;
    }
    return found && t->run != NULL;
}

int main(int argc, char **argv)
{
    unsigned count = 0, red = 0;
    puts("TAP version 13");
    for (const plain_test *t = first; t != NULL; t = t->next) {
        if (!is_asked_for(t, argc - 1, argv + 1)) {
            continue;
        }
        int status = run_apart(t);
        bool is_skipped = WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED;
        bool is_sound = status == 0 || is_skipped;
        count++;
        red += !is_sound;
        printf("%sok %u - %s%s\n", is_sound ? "" : "not ", count, t->name,
               is_skipped ? " # SKIP" : "");
        if (WIFSIGNALED(status)) {
            printf("# ended by signal %d\n", WTERMSIG(status));
        }
        fflush(stdout);
    }
    printf("1..%u\n", count);
    return red != 0 || count == 0;
}
