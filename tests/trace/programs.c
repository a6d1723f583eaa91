/* programs: what the recorder is tried on. Each makes a known number of calls; the first argument
 * says which. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4, TURNS = 20000, CALLS = 1000 };

static void *volatile sink;

static void churn(int turns)
{
    for (int i = 0; i < turns; i++) {
        sink = malloc((size_t)i % 200 + 1);
        free(sink);
    }
}

static void *shared[THREADS];

/* Blocks pass from one thread to the next. */
static void *work(void *argument)
{
    size_t own = (size_t)argument;
    for (int i = 0; i < TURNS; i++) {
        void *mine = realloc(malloc((size_t)i % 100 + 1), (size_t)i % 500 + 1);
        free(__atomic_exchange_n(&shared[(own + 1) % THREADS], mine, __ATOMIC_SEQ_CST));
    }
    return NULL;
}

static void threads(void)
{
    pthread_t all[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        (void)pthread_create(&all[i], NULL, work, (void *)i);
    }
    for (size_t i = 0; i < THREADS; i++) {
        (void)pthread_join(all[i], NULL);
    }
    for (size_t i = 0; i < THREADS; i++) {
        free(shared[i]);
    }
}

static void every_call(void)
{
    void *block = NULL;
    free(calloc(10, 20));
    free(aligned_alloc(64, 128));
    if (posix_memalign(&block, 256, 100) == 0) {
        free(block);
    }
    free(valloc(10));
    free(reallocarray(NULL, 7, 11));
    free(realloc(malloc(1), 100000));
    sink = malloc((size_t)1 << 60);
    sink = calloc((size_t)1 << 40, (size_t)1 << 40);
    free(NULL);
}

int main(int count, char **words)
{
    const char *what = count > 1 ? words[1] : "";
    if (strcmp(what, "threads") == 0) {
        threads();
    } else if (strcmp(what, "fork") == 0) {
        void *before = malloc(77);
        if (fork() == 0) {
            churn(CALLS);
            free(before);
            _exit(0);
        }
        (void)wait(NULL);
        churn(10);
        free(before);
    } else if (strcmp(what, "exec") == 0) {
        churn(CALLS);
        (void)execl("/proc/self/exe", words[0], "calls", (char *)NULL);
        return 1;
    } else if (strcmp(what, "kill") == 0) {
        churn(CALLS);
        (void)raise(SIGKILL);
    } else if (strcmp(what, "crash") == 0) {
        churn(CALLS);
        *(volatile char *)8 = 1;
    } else if (strcmp(what, "calls") == 0) {
        every_call();
    } else if (strcmp(what, "status") == 0) {
        churn(1);
        return 7;
    } else if (strcmp(what, "closes") == 0) { /* descriptors that it does not know */
        churn(CALLS);
        for (int i = 3; i < 200; i++) {
            (void)close(i);
        }
        churn(200 * CALLS);
    }
    return 0;
}
