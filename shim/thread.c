/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of the shim: see thread.h. */
#include "shim/thread.h"

#include <pthread.h>
#include <signal.h>

bool thread_start(void *(*run)(void *), void *data)
{
    pthread_attr_t attr;
    sigset_t all, before;
    pthread_t thread;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&thread, &attr, run, data) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return started;
}
