/* SPDX-License-Identifier: Apache-2.0 */
/* Whether this thread was the only one that ran: see alone.h. */
#include "shim/alone.h"

#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "shim/thread.h"

#define MOST_THREADS 256

static struct {
    pid_t tid;
    struct timespec ran;
} threads[MOST_THREADS];
static size_t num_threads;
static bool known; /* all of them are there */

/* The kernel's clock of one thread's time, as pthread_getcpuclockid makes it; for any thread. */
static bool read_clock(pid_t tid, struct timespec *ran)
{
    return clock_gettime((clockid_t)(~(uint32_t)tid << 3 | 6), ran) == 0;
}

static void add(pid_t tid)
{
    if (tid <= 0 || tid == (pid_t)syscall(SYS_gettid) || thread_is_ours(tid))
        return;
    if (num_threads == MOST_THREADS)
        known = false;
    else if (read_clock(tid, &threads[num_threads].ran)) /* else it has just ended */
        threads[num_threads++].tid = tid;
}

/* Without an allocation, as opendir makes one. */
void alone_begin(void)
{
    _Alignas(struct dirent64) char entries[4096];
    int directory = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ssize_t size = -1;
    num_threads = 0;
    known = directory >= 0;
    while (known && (size = getdents64(directory, entries, sizeof entries)) > 0)
        for (ssize_t at = 0; at < size;) {
            const struct dirent64 *entry = (const struct dirent64 *)(entries + at);
            at += entry->d_reclen;
            add(atoi(entry->d_name));
        }
    known = known && size == 0;
    if (directory >= 0)
        close(directory);
}

bool alone_end(void)
{
    for (size_t i = 0; known && i < num_threads; i++) {
        struct timespec now;
        if (!read_clock(threads[i].tid, &now) || now.tv_sec != threads[i].ran.tv_sec ||
            now.tv_nsec != threads[i].ran.tv_nsec)
            return false;
    }
    return known;
}
