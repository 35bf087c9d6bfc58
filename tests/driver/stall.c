/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels, and copies, that do not complete: while the control file says `stall`, each waits for an
 * event of ours. A thread completes the events when the line is gone, and ends. With `unflushed`
 * kernels wait for the next flush of their queue. */
#include "tests/driver/driver.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>

struct stall {
    cl_event event;
    cl_command_queue queue; /* that has to be flushed; NULL: the line has to go */
    struct stall *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* All guarded by lock. */
static struct stall *stalls;
static pthread_t watcher;
static bool watching, joinable, stopping;

static void complete(struct stall *list)
{
    while (list) {
        struct stall *stall = list;
        list = stall->next;
        pocl->clSetUserEventStatus(stall->event, CL_COMPLETE);
        pocl->clReleaseEvent(stall->event);
        free(stall);
    }
}

/* With the lock held. */
static struct stall *take(cl_command_queue queue)
{
    struct stall *taken = NULL;
    for (struct stall **link = &stalls, *stall; (stall = *link);) {
        if (stall->queue != queue) {
            link = &stall->next;
            continue;
        }
        *link = stall->next;
        stall->next = taken;
        taken = stall;
    }
    return taken;
}

void stall_flush(cl_command_queue queue)
{
    pthread_mutex_lock(&lock);
    struct stall *list = queue ? take(queue) : NULL;
    pthread_mutex_unlock(&lock);
    complete(list);
}

/* Takes the stalls when they are over; then the thread ends. */
static bool over(struct stall **list)
{
    bool stalled = faults_stalled(STALL_KERNELS);
    pthread_mutex_lock(&lock);
    bool done = stopping || !stalled;
    if (done) {
        *list = take(NULL);
        watching = false;
    }
    pthread_mutex_unlock(&lock);
    return done;
}

static void *watch(void *unused)
{
    const struct timespec pause = {.tv_nsec = 2000000};
    struct stall *list = NULL;
    while (!over(&list))
        nanosleep(&pause, NULL);
    complete(list);
    return NULL;
}

/* With the lock held. */
static bool start_watching(void)
{
    if (watching)
        return true;
    if (joinable)
        pthread_join(watcher, NULL);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    joinable = watching = pthread_create(&watcher, NULL, watch, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return watching;
}

cl_event stall_event(cl_command_queue queue, enum held_back what)
{
    bool stalled = faults_stalled(what);
    bool unflushed = !stalled && what == STALL_KERNELS && faults_unflushed();
    if (!stalled && !unflushed)
        return NULL;
    struct stall *stall = malloc(sizeof *stall);
    cl_context context = queue_context(queue);
    cl_event event = stall && context ? pocl->clCreateUserEvent(context, NULL) : NULL;
    if (!event) {
        free(stall);
        return NULL;
    }
    pocl->clRetainEvent(event);
    pthread_mutex_lock(&lock);
    *stall = (struct stall){event, unflushed ? queue : NULL, stalls};
    stalls = stall;
    bool watched = unflushed || start_watching();
    if (!watched)
        stalls = stall->next;
    pthread_mutex_unlock(&lock);
    if (watched)
        return event;
    pocl->clReleaseEvent(event);
    pocl->clReleaseEvent(event);
    free(stall);
    return NULL;
}

void stall_stop(void)
{
    pthread_mutex_lock(&lock);
    stopping = true;
    bool join = joinable;
    pthread_mutex_unlock(&lock);
    if (join)
        pthread_join(watcher, NULL);
}
