/* threads: random programs on several threads at once, each with runtimes of its own: they share
 * what the library keeps for the whole process, and nothing else. For ThreadSanitizer, which sees
 * no threads that run at the same time in one program alone.
 *
 *     fief-fuzz-threads [--threads N] [--runs N] [--seed S] */
#include "run.h"
#include "target.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS_MOST = 16, SHORTEST = 10, LONGEST = 60 };

typedef struct worker {
    pthread_t thread;
    ground *ground;
    dice dice;
    unsigned long long runs;
    program program;
} worker;

static worker workers[THREADS_MOST];

static void *work(void *argument)
{
    worker *w = argument;
    unsigned operations = find_target("runtime")->operations;
    for (unsigned long long i = 0; i < w->runs; i++) {
        program_make(&w->program, operations, SHORTEST + roll(&w->dice, LONGEST), &w->dice);
        (void)run_beside_others(w->ground, &w->program);
    }
    return NULL;
}

static int refuse(const char *what)
{
    fprintf(stderr, "fief-fuzz-threads: what is '%s'\n"
                    "usage: fief-fuzz-threads [--threads N] [--runs N] [--seed S]\n", what);
    return 2;
}

int main(int argc, char **argv)
{
    unsigned long long threads = 3, runs = 300, seed = 1;
    for (int i = 1; i < argc; i += 2) {
        unsigned long long *of = strcmp(argv[i], "--threads") == 0 ? &threads
                                 : strcmp(argv[i], "--runs") == 0  ? &runs
                                 : strcmp(argv[i], "--seed") == 0  ? &seed
                                                                   : NULL;
        char *end = NULL;
        if (of == NULL || i + 1 == argc) {
            return refuse(argv[i]);
        }
        *of = strtoull(argv[i + 1], &end, 10);
        if (end == argv[i + 1] || *end != '\0') {
            return refuse(argv[i + 1]);
        }
    }
    threads = threads < 1 ? 1 : threads > THREADS_MOST ? THREADS_MOST : threads;
    for (unsigned long long i = 0; i < threads; i++) {
        worker *w = &workers[i];
        *w = (worker){.ground = ground_new(), .dice = {seed * THREADS_MOST + i}, .runs = runs};
        if (w->ground == NULL || pthread_create(&w->thread, NULL, work, w) != 0) {
            fprintf(stderr, "fief-fuzz-threads: there is no memory for a thread\n");
            return 1;
        }
    }
    for (unsigned long long i = 0; i < threads; i++) {
        (void)pthread_join(workers[i].thread, NULL);
    }
    printf("%llu threads, %llu programs each, seed %llu\n", threads, runs, seed);
    return 0;
}
