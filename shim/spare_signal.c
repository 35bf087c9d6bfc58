/* SPDX-License-Identifier: Apache-2.0 */
/* Signals that the program does not use: see spare_signal.h. */
#include "shim/spare_signal.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

/* More than one: the program may begin to use one of them later. */
#define MOST_SPARE 4
/* valgrind has the last one for itself, and under QEMU's user mode the last two are never sent. */
#define HIGHEST (SIGRTMAX - 2)

/* What a thread blocks, a bit each; all, where that can't be read. */
static unsigned long long blocked_by(pid_t tid)
{
    char path[64], line[256];
    unsigned long long blocked = ULLONG_MAX;
    snprintf(path, sizeof path, "/proc/self/task/%d/status", (int)tid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "SigBlk: %llx", &blocked) == 1)
            break;
    if (file)
        fclose(file);
    return blocked;
}

static bool is_free(int number, unsigned long long blocked, struct sigaction *before)
{
    return !(blocked >> (number - 1) & 1) && sigaction(number, NULL, before) == 0 &&
           before->sa_handler == SIG_DFL;
}

void spare_signals(sigset_t *set)
{
    struct sigaction ignored;
    /* The first thread would be the first to meet what is not blocked everywhere. */
    unsigned long long blocked = blocked_by(getpid());
    sigemptyset(set);
    for (int number = HIGHEST, count = 0; number > SIGRTMIN && count < MOST_SPARE; number--)
        if (is_free(number, blocked, &ignored)) {
            sigaddset(set, number);
            count++;
        }
}

int spare_signal_of(pid_t tid, struct sigaction *before)
{
    unsigned long long blocked = blocked_by(tid);
    for (int number = HIGHEST; number > SIGRTMIN; number--)
        if (is_free(number, blocked, before))
            return number;
    return 0;
}

void spare_signal_put_back(int number, void (*handler)(int), const struct sigaction *before)
{
    struct sigaction now, ignore = {.sa_handler = SIG_IGN};
    if (sigaction(number, NULL, &now) != 0 || now.sa_handler != handler)
        return;
    sigaction(number, &ignore, NULL);
    sigaction(number, before, NULL);
}
