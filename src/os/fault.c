/* os/fault: accesses that may not be. Ours is one handler among others: what came before it, and
 * what the host installs later, is called after it, as if it were not there. */
#include "os/os.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <ucontext.h>

static os_fault_handler *on_fault;
static const int fault_signals[2] = {SIGSEGV, SIGBUS};
static struct sigaction first[2];  /* before ours was ever installed */
static struct sigaction latest[2]; /* whom ours has replaced since */
static bool installed[2];
static bool is_installing; /* somebody writes those three */

/* A thread's own; initial-exec, because a handler may not allocate. */
#define OF_THREAD static _Thread_local __attribute__((tls_model("initial-exec")))
OF_THREAD sigjmp_buf *recovery;

/* ---- what may fail ---- */

/* Never inlined: a local of the function that sets the jump would be lost by it. */
__attribute__((noinline)) bool os_try(void (*work)(void *), void *argument)
{
    sigjmp_buf here;
    sigjmp_buf *volatile outer = recovery;
    if (sigsetjmp(here, 1) != 0) {
        recovery = outer;
        return false;
    }
    recovery = &here;
    work(argument);
    recovery = outer;
    return true;
}

/* ---- the other handlers ---- */

/* A handler that was installed after ours may call ours as its predecessor, and is that of ours:
 * then the signal is on its way already, and whoever was first is next. A jump may have left that
 * way unfinished, but not for a deeper place of the stack. */
typedef struct passage {
    const siginfo_t *info;
    const void *frame;
} passage;
OF_THREAD passage under_way;

static void be_called(const struct sigaction *next, int number, siginfo_t *info, void *context)
{
    sigset_t blocked = next->sa_mask, before;
    if ((next->sa_flags & SA_NODEFER) == 0) {
        (void)sigaddset(&blocked, number);
    }
    (void)pthread_sigmask(SIG_BLOCK, &blocked, &before);
    if ((next->sa_flags & SA_SIGINFO) != 0) {
        next->sa_sigaction(number, info, context);
    } else {
        next->sa_handler(number);
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* The access happens again after the return, so that a core file shows its place. A signal that was
 * sent does not. */
static void be_default(const struct sigaction *next, int number, bool was_sent)
{
    if (was_sent && next->sa_handler == SIG_IGN) {
        return;
    }
    (void)sigaction(number, next, NULL);
    if (was_sent) {
        (void)raise(number);
    }
}

static void pass_on(int number, siginfo_t *info, void *context)
{
    char here;
    passage outer = under_way;
    int i = number == SIGBUS;
    bool again = outer.info == info && &here < (const char *)outer.frame;
    struct sigaction next = again ? first[i] : latest[i];
    if ((next.sa_flags & SA_SIGINFO) == 0 &&
        (next.sa_handler == SIG_DFL || next.sa_handler == SIG_IGN)) {
        be_default(&next, number, info->si_code <= 0);
        return;
    }
    if ((next.sa_flags & (int)SA_RESETHAND) != 0 && !again) {
        latest[i] = (struct sigaction){.sa_handler = SIG_DFL};
    }
    under_way = (passage){info, &here};
    be_called(&next, number, info, context);
    under_way = outer;
}

/* ---- ours ---- */

static os_fault describe(const siginfo_t *info, const ucontext_t *machine)
{
    os_fault fault = {.address = info->si_addr};
#ifdef __x86_64__
    const greg_t *registers = machine->uc_mcontext.gregs;
    fault.is_write = (registers[REG_ERR] & 2) != 0;
    fault.pc = (const void *)(uintptr_t)registers[REG_RIP];
    fault.frame = (const void *)(uintptr_t)registers[REG_RBP];
    fault.stack = (const void *)(uintptr_t)registers[REG_RSP];
    fault.size = os_access_size(fault.pc);
#else
    (void)machine;
#endif
    return fault;
}

/* A handler that returns without a remedy sees the same fault again: it is told once. One that
 * jumps out does not come to remember it. */
OF_THREAD os_fault returned;

static bool is_new(const os_fault *fault)
{
    return fault->pc != returned.pc || fault->address != returned.address;
}

static void handle_fault(int number, siginfo_t *info, void *context)
{
    int error = errno;
    bool from_machine = info->si_code > 0; /* not from kill() */
    if (from_machine && recovery != NULL) {
        siglongjmp(*recovery, 1);
    }
    os_fault fault = describe(info, context);
    if (from_machine && is_new(&fault)) {
        __atomic_load_n(&on_fault, __ATOMIC_ACQUIRE)(&fault);
    }
    pass_on(number, info, context);
    returned = from_machine ? fault : returned;
    errno = error;
}

static bool is_ours(int i)
{
    struct sigaction present;
    return sigaction(fault_signals[i], NULL, &present) == 0 && present.sa_sigaction == handle_fault;
}

static bool put_ours_first(int i)
{
    struct sigaction ours = {.sa_sigaction = handle_fault,
                             .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    struct sigaction present;
    if (sigaction(fault_signals[i], NULL, &present) != 0) {
        return false;
    }
    latest[i] = present;
    first[i] = installed[i] ? first[i] : present;
    installed[i] = true;
    return sigaction(fault_signals[i], &ours, NULL) == 0;
}

/* Runtimes on several threads may need it at the same time. A child that was forked in between
 * finds somebody at it who is not there: it does not wait for ever. */
static bool install(int i)
{
    enum { PATIENCE = 1000 };
    if (is_ours(i)) {
        return true;
    }
    for (unsigned n = 0; __atomic_exchange_n(&is_installing, true, __ATOMIC_ACQUIRE) &&
                         n < PATIENCE; n++) {
        (void)sched_yield();
    }
    bool is_first = is_ours(i) || put_ours_first(i);
    __atomic_store_n(&is_installing, false, __ATOMIC_RELEASE);
    return is_first;
}

bool os_on_fault(os_fault_handler *handler)
{
    __atomic_store_n(&on_fault, handler, __ATOMIC_RELEASE);
    return install(0) && install(1);
}

/* Pages that are shut away raise the first of them; it is asked for at the end of every unit. */
void os_look_again(void)
{
    if (__atomic_load_n(&on_fault, __ATOMIC_ACQUIRE) != NULL) {
        (void)install(0);
    }
}
