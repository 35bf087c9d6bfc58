/* SPDX-License-Identifier: Apache-2.0 */
/* A vendor's habit that suspends have to survive: a thread asleep in poll() on the device, which
 * keeps the file open even after its descriptor was taken away. Signals get through to it, unless
 * SHADOWCL_TEST_DEAF is set. */
#include "tests/driver/driver.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>

static void *watch(void *argument)
{
    int fd = (int)(intptr_t)argument;
    /* No event is asked for: a regular file would always be ready. */
    struct pollfd polled = {.fd = fd, .events = 0};
    for (;;) {
        poll(&polled, 1, -1);
        /* The other end is gone: nothing to be told any more, and no reason to spin. */
        if (polled.revents)
            polled.fd = -1;
    }
    return NULL;
}

void sticky_watch(int fd)
{
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    if (getenv("SHADOWCL_TEST_DEAF"))
        pthread_sigmask(SIG_SETMASK, &all, &before);
    else
        pthread_sigmask(SIG_SETMASK, NULL, &before);
    if (pthread_create(&thread, NULL, watch, (void *)(intptr_t)fd) == 0)
        pthread_detach(thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}
