/* SPDX-License-Identifier: Apache-2.0 */
/* Tries a hardware breakpoint on a child: see breakpoints.h. */
#include "agent/breakpoints.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __x86_64__

enum {
    CONTROL = 7,
    FIRST_IS_ON = 1
}; /* the debug registers: of execution, one byte, this task's */

static int passed;

/* Where the breakpoint is set. */
__attribute__((noinline)) static void pass(void)
{
    __asm__ volatile("" : : "r"(&passed) : "memory");
    passed++;
}

static _Noreturn void be_traced(void)
{
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        _exit(1);
    raise(SIGSTOP);
    pass();
    _exit(0);
}

static bool wait_for(pid_t pid, int *status)
{
    while (waitpid(pid, status, 0) < 0)
        if (errno != EINTR)
            return false;
    return true;
}

static bool set(pid_t pid, size_t number, uintptr_t value)
{
    size_t place =
        offsetof(struct user, u_debugreg) + number * sizeof(((struct user *)0)->u_debugreg[0]);
    return ptrace(PTRACE_POKEUSER, pid, place, value) == 0;
}

bool breakpoints_work(void)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        be_traced();
    if (pid < 0 || !wait_for(pid, &status))
        return true; /* nothing is known of them */
    if (!WIFSTOPPED(status))
        return true;
    bool stops = set(pid, 0, (uintptr_t)pass) && set(pid, CONTROL, FIRST_IS_ON) &&
                 ptrace(PTRACE_CONT, pid, NULL, NULL) == 0 && wait_for(pid, &status) &&
                 WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP;
    if (!WIFEXITED(status)) {
        kill(pid, SIGKILL);
        wait_for(pid, &status);
    }
    return stops;
}

#else

bool breakpoints_work(void)
{
    return true;
}

#endif
