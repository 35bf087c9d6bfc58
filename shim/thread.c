/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of the shim: see thread.h. */
#include "shim/thread.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOST_KNOWN 64

/* What a thread is to do, while it does it. */
static struct place {
    atomic_bool taken;
    _Atomic pid_t tid; /* 0: it does not run yet */
    void *(*run)(void *);
    void *data;
} places[MOST_KNOWN];

static struct place *take_place(void *(*run)(void *), void *data)
{
    for (size_t i = 0; i < MOST_KNOWN; i++)
        if (!atomic_exchange(&places[i].taken, true)) {
            places[i].run = run;
            places[i].data = data;
            return &places[i];
        }
    return NULL;
}

static void give_back(struct place *place)
{
    atomic_store(&place->tid, 0);
    atomic_store(&place->taken, false);
}

static void *run_known(void *data)
{
    struct place *place = data;
    atomic_store(&place->tid, (pid_t)syscall(SYS_gettid));
    void *result = place->run(place->data);
    give_back(place);
    return result;
}

bool thread_create(pthread_t *thread, void *(*run)(void *), void *data)
{
    sigset_t all, before;
    struct place *place = take_place(run, data);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool created = place ? pthread_create(thread, NULL, run_known, place) == 0
                         : pthread_create(thread, NULL, run, data) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!created && place)
        give_back(place);
    return created;
}

bool thread_start(void *(*run)(void *), void *data)
{
    pthread_t thread;
    return thread_create(&thread, run, data) && pthread_detach(thread) == 0;
}

bool thread_is_ours(pid_t tid)
{
    for (size_t i = 0; i < MOST_KNOWN; i++)
        if (atomic_load(&places[i].tid) == tid)
            return true;
    return false;
}

void thread_forked(void)
{
    for (size_t i = 0; i < MOST_KNOWN; i++)
        give_back(&places[i]);
}

unsigned thread_count(size_t pieces, unsigned most)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    if (count > (long)most)
        count = (long)most;
    if (count > (long)pieces)
        count = (long)pieces;
    return count < 1 ? 1 : (unsigned)count;
}
