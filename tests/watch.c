/* Criterion turns Valgrind's error reporting off in its workers; this turns it on again. */
#include <dlfcn.h>
#include <string.h>
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define VALGRIND_ENABLE_ERROR_REPORTING
#endif

void criterion_internal_test_main(void (*test)(void));
static void (*body)(void);

static void watched(void)
{
    VALGRIND_ENABLE_ERROR_REPORTING;
    body();
}

void criterion_internal_test_main(void (*test)(void))
{
    void (*real)(void (*)(void));
    void *symbol = dlsym(RTLD_NEXT, "criterion_internal_test_main");
    memcpy(&real, &symbol, sizeof real);
    body = test;
    real(watched);
}
