/* stress: threads open and close runtimes in ranges that they take from each other. Each writes its
 * own number over all that it gets, and finds nobody else's. A plain program: ThreadSanitizer looks
 * at it, too. */
#include <fief/fief.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 6, ROUNDS = 400, BLOCKS = 8, SIZE = 600 };
static const size_t reserve = (size_t)16 << 20;

static void must(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "stress: %s\n", what);
        abort();
    }
}

static bool is_all(const unsigned char *block, unsigned char byte)
{
    for (size_t i = 0; i < SIZE; i++) {
        if (block[i] != byte) {
            return false;
        }
    }
    return true;
}

static void live(unsigned char number)
{
    unsigned char *blocks[BLOCKS];
    fief_runtime *rt =
        fief_open(&(fief_config){.reserve_bytes = reserve, .recycle_range = true});
    must(rt != NULL, "no runtime");
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = fief_new(rt, FIEF_KIND_STRING, FIEF_DYNAMIC, SIZE);
        must(blocks[i] != NULL && is_all(blocks[i], 0), "a new block is not zeroed");
        memset(blocks[i], number, SIZE);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        must(is_all(blocks[i], number), "another thread wrote here");
        fief_free(rt, FIEF_KIND_STRING, blocks[i], SIZE);
    }
    must(fief_close(rt) == 0, "a leak");
}

static void *work(void *number)
{
    for (size_t round = 0; round < ROUNDS; round++) {
        live(*(const unsigned char *)number);
        if (round % 100 == 99) {
            (void)fief_trim_idle();
        }
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    unsigned char numbers[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        numbers[i] = (unsigned char)(i + 1);
        must(pthread_create(&threads[i], NULL, work, &numbers[i]) == 0, "no thread");
    }
    for (size_t i = 0; i < THREADS; i++) {
        must(pthread_join(threads[i], NULL) == 0, "no join");
    }
    printf("%d lives; %zu ranges waited at the end\n", THREADS * ROUNDS, fief_trim_idle());
    return EXIT_SUCCESS;
}
