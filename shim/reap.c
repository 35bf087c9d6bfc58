/* SPDX-License-Identifier: Apache-2.0 */
/* Destroying objects on a thread of its own: see reap.h. */
#include "shim/reap.h"

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
#include "state/object.h"

struct reaping {
    _Atomic uint32_t done;
    atomic_int users; /* the last one frees it */
};

static void leave(struct reaping *reaping)
{
    if (atomic_fetch_sub(&reaping->users, 1) == 1)
        free(reaping);
}

static void *reap(void *data)
{
    struct reaping *reaping = data;
    object_reap_late();
    atomic_store(&reaping->done, 1);
    syscall(SYS_futex, &reaping->done, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    leave(reaping);
    return NULL;
}

static void wait_for(struct reaping *reaping)
{
    int64_t end = now_ns() + (int64_t)config.call_patience * 1000000000;
    for (int64_t left; !atomic_load(&reaping->done) && (left = end - now_ns()) > 0;) {
        struct timespec timeout = {left / 1000000000, left % 1000000000};
        syscall(SYS_futex, &reaping->done, FUTEX_WAIT_PRIVATE, 0, &timeout, NULL, 0);
    }
}

void reap_late(void)
{
    if (!object_any_dying())
        return;
    struct reaping *reaping = config.call_patience ? malloc(sizeof *reaping) : NULL;
    if (reaping)
        *reaping = (struct reaping){.users = 2};
    if (!reaping || !thread_start(reap, reaping)) {
        free(reaping);
        object_reap_late();
        return;
    }
    wait_for(reaping);
    leave(reaping);
}
