/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of the shim: see thread.h. */
#include "shim/thread.h"

#include <pthread.h>
#include <signal.h>

bool thread_create(pthread_t *thread, void *(*run)(void *), void *data)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool created = pthread_create(thread, NULL, run, data) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return created;
}

bool thread_start(void *(*run)(void *), void *data)
{
    pthread_t thread;
    return thread_create(&thread, run, data) && pthread_detach(thread) == 0;
}
