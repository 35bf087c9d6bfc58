/* SPDX-License-Identifier: Apache-2.0 */
/* Signals that the program does not use: see spare_signal.h. */
#include "shim/spare_signal.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

/* What the program's first thread blocks, a bit each: it would be the first to meet a signal for
 * the process that is not blocked everywhere. All, where that can't be read. */
static unsigned long long blocked_by_first_thread(void)
{
    char path[64], line[256];
    unsigned long long blocked = ULLONG_MAX;
    snprintf(path, sizeof path, "/proc/self/task/%d/status", (int)getpid());
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "SigBlk: %llx", &blocked) == 1)
            break;
    if (file)
        fclose(file);
    return blocked;
}

int spare_signal(struct sigaction *before)
{
    unsigned long long blocked = blocked_by_first_thread();
    for (int number = SIGRTMAX - 1; number > SIGRTMIN; number--) {
        bool waited_for = blocked >> (number - 1) & 1;
        if (!waited_for && sigaction(number, NULL, before) == 0 && before->sa_handler == SIG_DFL)
            return number;
    }
    return 0;
}
