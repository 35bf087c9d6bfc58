/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that looks at events of which the driver tells nothing: see unheard.h. */
#include "shim/unheard.h"

#include <pthread.h>
#include <stddef.h>
#include <time.h>

#include "shim/gate.h"
#include "shim/log.h"
#include "shim/thread.h"

#define FIRST_PAUSE 100000L /* ns; twice as long each time … */
#define LAST_PAUSE 10000000L

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct unheard *first; /* guarded by lock, as the rest */
static bool running, stopped, fresh;
/* Held while a driver is asked: a fork, and the program's end, wait for that. */
static pthread_mutex_t asking = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local bool kept_from_asking; /* by this thread, which forks */

static struct unheard *take_all(void)
{
    pthread_mutex_lock(&lock);
    struct unheard *all = stopped ? NULL : first;
    if (all)
        first = NULL;
    fresh = false;
    pthread_mutex_unlock(&lock);
    return all;
}

static void put_back(struct unheard *it)
{
    pthread_mutex_lock(&lock);
    it->next = first;
    first = it;
    pthread_mutex_unlock(&lock);
}

/* While the gate is closed a suspend may be taking what is asked for. */
static void look_at_all(void)
{
    pthread_mutex_lock(&asking);
    if (gate_try_enter("clGetEventInfo")) {
        for (struct unheard *it = take_all(), *next; it; it = next) {
            next = it->next;
            if (!it->look(it))
                put_back(it);
        }
        gate_leave();
    }
    pthread_mutex_unlock(&asking);
}

/* Ends, with the lock, when there is nothing left to look at. */
static bool is_done(long *pause)
{
    pthread_mutex_lock(&lock);
    if (fresh)
        *pause = FIRST_PAUSE;
    bool done = !first || stopped;
    running = !done;
    pthread_mutex_unlock(&lock);
    return done;
}

static void *run(void *unused)
{
    for (long pause = FIRST_PAUSE; !is_done(&pause);
         pause = pause < LAST_PAUSE ? pause * 2 : pause) {
        look_at_all();
        nanosleep(&(struct timespec){.tv_nsec = pause}, NULL);
    }
    return NULL;
}

void unheard_add(struct unheard *it)
{
    pthread_mutex_lock(&lock);
    it->next = first;
    first = it;
    fresh = true;
    if (!running)
        running = thread_start(run, NULL);
    if (!running)
        log_warn(
            "a callback comes with the next suspend at the latest: the driver did not take it, "
            "and there is no thread that looks at its event");
    pthread_mutex_unlock(&lock);
}

/* A signal handler may have interrupted a thread for whose lock of the driver's ours waits: a
 * thread that is inside waits for nobody. */
static bool keep_from_asking(void)
{
    while (pthread_mutex_trylock(&asking) != 0) {
        if (gate_inside())
            return false;
        nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
    }
    return true;
}

void unheard_stop(void)
{
    pthread_mutex_lock(&lock);
    stopped = true;
    pthread_mutex_unlock(&lock);
    if (keep_from_asking())
        pthread_mutex_unlock(&asking);
}

void unheard_before_fork(void)
{
    kept_from_asking = keep_from_asking();
}

void unheard_after_fork(void)
{
    if (kept_from_asking)
        pthread_mutex_unlock(&asking);
}

void unheard_forked(void)
{
    pthread_mutex_init(&lock, NULL);
    pthread_mutex_init(&asking, NULL);
    first = NULL;
    running = stopped = fresh = false;
}
