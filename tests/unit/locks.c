/* The lock of the process, of the system's own. */
#include "os/os.h"

#include <criterion/criterion.h>

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 2000 };
static unsigned long count;

static void *add(void *unused)
{
    for (int i = 0; i < ROUNDS; i++) {
        os_lock();
        unsigned long before = *(volatile unsigned long *)&count;
        *(volatile unsigned long *)&count = before + 1;
        os_unlock();
    }
    return unused;
}

Test(locks, one_thread_at_a_time_has_it)
{
    pthread_t threads[4];
    count = 0;
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, add, NULL), 0);
    }
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    }
    cr_expect_eq(count, 4ul * ROUNDS);
}

/* While another thread takes it again and again. */
Test(locks, a_child_of_fork_can_take_it, .timeout = 60)
{
    pthread_t other;
    cr_assert_eq(pthread_create(&other, NULL, add, NULL), 0);
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();
        if (child == 0) {
            os_lock();
            os_unlock();
            _exit(7);
        }
        int status = 0;
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    }
    cr_assert_eq(pthread_join(other, NULL), 0);
}
