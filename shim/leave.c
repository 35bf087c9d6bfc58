/* SPDX-License-Identifier: Apache-2.0 */
/* Leaving a thread in a driver's call: see leave.h. */
#include "shim/leave.h"

#include <pthread.h>
#include <stdlib.h>

#include "shim/log.h"
#include "shim/watch.h"
#include "state/copier.h"
#include "state/mem.h"
#include "state/staging.h"
#include "state/straggler.h"
#include "state/stream.h"

/* A thread that is in its call yet. */
struct stay {
    struct leftover leftover; /* the last one */
    struct stay *next;
    struct object *object; /* held: that the call is made for; NULL: it can't be held */
    struct object *dying;  /* the same where its last hold was dropped meanwhile */
    bool apart;            /* as struct leave_job has it */
    struct error why;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct stay *stays; /* guarded by lock */

static void end_stay(struct leftover *leftover)
{
    struct stay *stay = (struct stay *)leftover;
    log_info("%s: the call that was not waited for any more has come back", stay->why.object);
    pthread_mutex_lock(&lock);
    struct stay **p = &stays;
    while (*p && *p != stay)
        p = &(*p)->next;
    if (*p)
        *p = stay->next;
    pthread_mutex_unlock(&lock);
    object_drop(stay->object);
    if (stay->dying)
        object_end(stay->dying);
    free(stay);
}

static void begin_stay(struct stay *stay, const struct object *object, bool apart,
                       const struct error *err)
{
    struct object *held = (struct object *)object;
    bool alive = held && !apart && object_hold_alive(held, held->generation);
    *stay = (struct stay){
        .leftover.give_back = end_stay, .object = alive ? held : NULL, .apart = apart, .why = *err};
    if (held && !apart && !alive && object_take_dying(held))
        stay->dying = held;
    pthread_mutex_lock(&lock);
    stay->next = stays;
    stays = stay;
    pthread_mutex_unlock(&lock);
}

/* What comes of the whole is put behind all others. */
static void settle(struct phase *thread, struct stay *stay, const struct leave_job *job)
{
    struct leftover *leftovers = &stay->leftover;
    if (job->clean)
        job->clean(job->data, &leftovers);
    phase_settle(thread, leftovers);
}

int leave_run(const struct leave_job *job, bool *left, struct error *err)
{
    struct phase_place place;
    struct phase *thread = NULL;
    struct stay *stay = malloc(sizeof *stay);
    *left = false;
    if (!stay)
        return phase_run_here(job->act, job->data);
    int result = phase_run_or_leave(job->act, job->data, &place, &thread);
    if (!thread) {
        free(stay);
        return result;
    }
    *left = true;
    watch_describe(&place, err);
    error_todo(err, "it is left alone, and the program runs on: once the call has come back, try "
                    "again; see whether the device still works");
    begin_stay(stay, place.object, job->apart, err);
    settle(thread, stay, job);
    log_warn("%s: %s", err->object, err->reason);
    return -1;
}

int leave_refuse(struct error *err)
{
    int result = 0;
    pthread_mutex_lock(&lock);
    const struct stay *stay = stays;
    while (stay && stay->apart)
        stay = stay->next;
    if (stay) {
        error_object(err, "%s", stay->why.object);
        error_set(err, 0, "%.350s, and is in it yet", stay->why.reason);
        result = error_todo(err, "wait until that call has come back, then try again; see whether "
                                 "the device still works");
    }
    pthread_mutex_unlock(&lock);
    return result;
}

/* The threads are the parent's. */
void leave_forked(void)
{
    pthread_mutex_init(&lock, NULL);
    stays = NULL;
}

static void leave_copier(void *object, void *leftovers)
{
    context_leave_copier(object, leftovers);
}

void leave_copies(void *unused, struct leftover **leftovers)
{
    object_each(KIND_CONTEXT, leave_copier, leftovers);
    stream_leave(leftovers);
    straggler_put_back();
    staging_abandon();
    mem_leave_contents();
}
