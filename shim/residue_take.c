/* SPDX-License-Identifier: Apache-2.0 */
/* Taking device nodes away: see residue_take.h. Only for instances of drivers that are abandoned:
 * none of its functions is called again. Every object has been released and the library closed; or
 * a call never came back, and threads of the driver's may go on as if nothing had happened. */
#include "shim/residue_take.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "shim/gate.h"
#include "shim/log.h"
#include "shim/report.h"
#include "shim/spare_signal.h"

#define MOST_THREADS 1024
#define MOST_POLLED 256
#define SETTLE_NS INT64_C(500000000)

/* What a thread sleeps in: its system call and the first three arguments. */
struct call {
    long number;
    unsigned long args[3];
};

static bool read_call(pid_t tid, struct call *call)
{
    char path[64], text[256];
    snprintf(path, sizeof path, "/proc/self/task/%d/syscall", tid);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool read = fgets(text, sizeof text, file) &&
                sscanf(text, "%ld 0x%lx 0x%lx 0x%lx", &call->number, &call->args[0], &call->args[1],
                       &call->args[2]) == 4;
    fclose(file);
    return read;
}

/* The array lies in this process, but its owner may wake and be gone: so it is read by the kernel.
 */
static bool polls(unsigned long array, size_t count, int fd)
{
    struct pollfd polled[MOST_POLLED];
    size_t room = count < MOST_POLLED ? count : MOST_POLLED;
    struct iovec to = {polled, room * sizeof *polled};
    struct iovec from = {(void *)array, room * sizeof *polled};
    ssize_t bytes = process_vm_readv(getpid(), &to, 1, &from, 1, 0);
    for (size_t i = 0; bytes > 0 && i < (size_t)bytes / sizeof *polled; i++)
        if (polled[i].fd == fd)
            return true;
    return false;
}

static bool sleeps_on(const struct call *call, int fd)
{
    switch (call->number) {
#ifdef SYS_poll
    case SYS_poll:
#endif
    case SYS_ppoll:
        return polls(call->args[0], call->args[1], fd);
#ifdef SYS_select
    case SYS_select:
#endif
    case SYS_pselect6:
        return call->args[0] > (unsigned long)fd;
    case SYS_read:
    case SYS_write:
    case SYS_ioctl:
    case SYS_recvmsg:
        return call->args[0] == (unsigned long)fd;
    default:
        return false;
    }
}

static void do_nothing(int signal_number)
{
}

void node_let_signals_in(sigset_t *before)
{
    sigset_t spare;
    spare_signals(&spare);
    pthread_sigmask(SIG_UNBLOCK, &spare, before);
}

static size_t find_sleepers(int fd, pid_t *sleepers)
{
    size_t count = 0;
    DIR *tasks = opendir("/proc/self/task");
    if (!tasks)
        return 0;
    for (struct dirent *entry; count < MOST_THREADS && (entry = readdir(tasks));) {
        pid_t tid = atoi(entry->d_name);
        struct call call;
        if (tid > 0 && tid != syscall(SYS_gettid) && read_call(tid, &call) && sleeps_on(&call, fd))
            sleepers[count++] = tid;
    }
    closedir(tasks);
    return count;
}

/* Has the thread left the call that it slept in, or gone into it anew (on the dummy now)? A signal
 * that is delivered is no longer pending. */
static bool signal_is_pending(pid_t tid, int number)
{
    char path[64], line[256];
    unsigned long long pending = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/status", tid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "SigPnd: %llx", &pending) == 1)
            break;
    if (file)
        fclose(file);
    return pending >> (number - 1) & 1;
}

/* Makes it return from its call, which drops its hold on the old file. */
static bool interrupt(pid_t sleeper, int64_t end)
{
    struct sigaction before, empty = {.sa_handler = do_nothing};
    int number = spare_signal_of(sleeper, &before);
    if (!number || sigaction(number, &empty, NULL) != 0)
        return false;
    syscall(SYS_tgkill, getpid(), sleeper, number);
    while (signal_is_pending(sleeper, number) && now_ns() < end)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    bool done = !signal_is_pending(sleeper, number);
    /* Never back to SIG_DFL while it may still be pending: that would end the program. */
    if (done)
        spare_signal_put_back(number, do_nothing, &before);
    return done;
}

static void interrupt_all(const pid_t *sleepers, size_t count, struct report *report)
{
    int64_t end = now_ns() + INT64_C(100000000);
    for (size_t i = 0; i < count; i++)
        if (!interrupt(sleepers[i], end))
            report_warn(report,
                        "thread %d of the driver can't be interrupted: the file that it sleeps on "
                        "may stay open unseen, and the device in use",
                        sleepers[i]);
}

static bool sleeps(pid_t tid)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
    if (fd >= 0)
        close(fd);
    text[size > 0 ? size : 0] = 0;
    /* The state stands after the name, which is in brackets and may have some in it. */
    const char *end = strrchr(text, ')');
    return !end || end[1] != ' ' || end[2] == 'S';
}

static bool others_sleep(void)
{
    DIR *tasks = opendir("/proc/self/task");
    bool asleep = tasks != NULL;
    for (struct dirent *entry; asleep && (entry = readdir(tasks));) {
        pid_t tid = atoi(entry->d_name);
        asleep = tid <= 0 || tid == syscall(SYS_gettid) || sleeps(tid);
    }
    if (tasks)
        closedir(tasks);
    return asleep;
}

int residue_settle(struct residue *residue, struct error *err)
{
    int64_t end = now_ns() + SETTLE_NS;
    for (unsigned quiet = 0; residue->count && quiet < 3 && now_ns() < end;) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        quiet = others_sleep() ? quiet + 1 : 0;
        residue_finish(residue);
        if (residue_find(residue, err) != 0)
            return -1;
    }
    return 0;
}

static bool take_descriptor(int fd, struct report *report)
{
    static pid_t sleepers[MOST_THREADS];
    int dummy = eventfd(0, EFD_CLOEXEC);
    if (dummy < 0)
        return false;
    size_t count = find_sleepers(fd, sleepers);
    bool taken = dup3(dummy, fd, O_CLOEXEC) == fd;
    close(dummy);
    if (taken && count)
        interrupt_all(sleepers, count, report);
    return taken;
}

bool node_take(const struct node *node, bool usable, struct report *report)
{
    char text[512];
    bool taken;
    if (node->fd >= 0)
        taken = take_descriptor(node->fd, report);
    else
        taken = mmap((void *)node->start, node->end - node->start,
                     usable ? PROT_READ | PROT_WRITE : PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) != MAP_FAILED;
    residue_describe(node, text, sizeof text);
    log_info("%s %s from a driver that kept it", text, taken ? "taken" : "could not be taken");
    return taken;
}
