/* SPDX-License-Identifier: Apache-2.0 */
/* A process that goes on by itself: see apart.h. */
#include "agent/apart.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FIRST_KEPT = 100, MOST = 65536 };

static void close_between(unsigned first, unsigned last)
{
    if (first > last || syscall(SYS_close_range, first, last, 0U) == 0)
        return;
    for (unsigned fd = first; fd <= last && fd < MOST; fd++) /* Linux before 5.9 */
        close((int)fd);
}

static void leave(int *kept, size_t count, bool with_stderr)
{
    unsigned first = 3;
    setsid();
    if (fork() != 0)
        _exit(0);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < (with_stderr ? 2 : 3); fd++)
        dup2(null, fd);
    for (size_t i = 0; i < count; i++)
        if ((kept[i] = fcntl(kept[i], F_DUPFD_CLOEXEC, FIRST_KEPT)) < 0)
            _exit(1);
    for (size_t i = 0; i < count; i++) {
        close_between(first, (unsigned)kept[i] - 1);
        first = (unsigned)kept[i] + 1;
    }
    close_between(first, ~0U);
    if (chdir("/") < 0)
        _exit(1);
}

int apart_fork(int *kept, size_t count, bool with_stderr)
{
    pid_t child = fork();
    if (child == 0) {
        leave(kept, count, with_stderr);
        return 0;
    }
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
        continue;
    return child < 0 ? -1 : 1;
}
