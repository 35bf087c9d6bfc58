/* SPDX-License-Identifier: Apache-2.0 */
/* On a thread of its own: see beside.h. */
#include "shim/beside.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "shim/config.h"
#include "shim/gate.h"
#include "shim/thread.h"

struct task {
    void (*act)(void);
    _Atomic uint32_t done;
    atomic_int users; /* the last one frees it */
};

static void leave(struct task *task)
{
    if (atomic_fetch_sub(&task->users, 1) == 1)
        free(task);
}

static void *run(void *data)
{
    struct task *task = data;
    task->act();
    atomic_store(&task->done, 1);
    syscall(SYS_futex, &task->done, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    leave(task);
    return NULL;
}

static bool wait_for(struct task *task)
{
    int64_t end = now_ns() + (int64_t)config.call_patience * 1000000000;
    for (int64_t left; !atomic_load(&task->done) && (left = end - now_ns()) > 0;) {
        struct timespec timeout = {left / 1000000000, left % 1000000000};
        syscall(SYS_futex, &task->done, FUTEX_WAIT_PRIVATE, 0, &timeout, NULL, 0);
    }
    return atomic_load(&task->done);
}

bool beside_run(void (*act)(void))
{
    struct task *task = config.call_patience ? malloc(sizeof *task) : NULL;
    if (task)
        *task = (struct task){.act = act, .users = 2};
    if (!task || !thread_start(run, task)) {
        free(task);
        act();
        return true;
    }
    bool done = wait_for(task);
    leave(task);
    return done;
}
