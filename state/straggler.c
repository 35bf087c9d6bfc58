/* SPDX-License-Identifier: Apache-2.0 */
/* What still runs of queues that are gone: see straggler.h. The list is taken away whole, and what
 * stays is put back: nobody waits for anybody. So an empty list says nothing: somebody may just be
 * looking through it. Those on one, and those about to come to it, are counted. */
#include "state/straggler.h"

#include <stdlib.h>

#include "shim/phase.h"

struct straggler {
    struct leftover leftover; /* of a thread that is in a call of the driver's with it */
    struct straggler *next;
    const struct driver *driver;
    /* Held: pocl frees a sub-device under its commands. NULL: a root device, which stays anyway,
     * and would else be one that the program uses. */
    struct device *device;
    cl_event last; /* the driver's */
    /* By a thread that was left in that call: it stays, and nobody else asks, until that has come
     * back. */
    atomic_bool asked;
};

static struct straggler *_Atomic orphans; /* of contexts that are gone */
static _Atomic unsigned num_orphans;

/* What a thread that may be left in a call has just taken off a list: that one, and those behind.
 */
static struct {
    struct straggler *first;
    struct straggler *asked; /* the first, while the driver is asked about it */
    struct straggler *_Atomic *home;
} in_hand;

static void come_back(struct leftover *leftover)
{
    atomic_store(&((struct straggler *)leftover)->asked, false);
}

static bool has_ended(struct straggler *straggler)
{
    cl_int status = CL_COMPLETE;
    if (atomic_load(&straggler->asked))
        return false;
    straggler->leftover.give_back = come_back;
    phase_keeps(&straggler->leftover);
    CALL(straggler->driver->clGetEventInfo(straggler->last, CL_EVENT_COMMAND_EXECUTION_STATUS,
                                           sizeof status, &status, NULL));
    phase_gave(&straggler->leftover);
    return status <= CL_COMPLETE;
}

static void put(struct straggler *_Atomic *list, struct straggler *straggler)
{
    straggler->next = atomic_load(list);
    while (!atomic_compare_exchange_weak(list, &straggler->next, straggler))
        ;
}

static void take_in_hand(struct straggler *first, struct straggler *asked,
                         struct straggler *_Atomic *home)
{
    if (!phase_self || !phase_self->leaves)
        return;
    in_hand.first = first;
    in_hand.asked = asked;
    in_hand.home = home;
}

void straggler_put_back(void)
{
    struct straggler *straggler = in_hand.first;
    if (in_hand.asked)
        atomic_store(&in_hand.asked->asked, true);
    in_hand.first = in_hand.asked = NULL;
    while (straggler) {
        struct straggler *next = straggler->next;
        put(in_hand.home, straggler);
        straggler = next;
    }
}

static void finish(struct leftover *leftover)
{
    struct straggler *straggler = (struct straggler *)leftover;
    object_drop(straggler->device);
    free(straggler);
}

/* A thread that may be left is the one that waits for the count. */
static void drop(struct straggler *straggler, _Atomic unsigned *count)
{
    bool first = phase_self;
    if (first)
        atomic_fetch_sub(count, 1);
    straggler->leftover.give_back = finish;
    phase_keeps(&straggler->leftover);
    CALL_RELEASE(straggler->driver, clReleaseEvent, straggler->last);
    phase_gave(&straggler->leftover);
    finish(&straggler->leftover);
    if (!first)
        atomic_fetch_sub(count, 1);
}

/* Drops those that have ended, and takes them off the count; the others go to a list. */
static void sift(struct straggler *_Atomic *from, struct straggler *_Atomic *to,
                 _Atomic unsigned *count, const struct object *context)
{
    struct straggler *straggler = atomic_exchange(from, NULL), *next;
    for (; straggler; straggler = next) {
        IN_DRIVER(straggler->driver->library, context, false);
        next = straggler->next;
        take_in_hand(straggler, straggler, to);
        bool ended = has_ended(straggler);
        take_in_hand(next, NULL, to);
        if (ended)
            drop(straggler, count);
        else
            put(to, straggler);
    }
}

bool straggler_ended(struct context *context)
{
    sift(&context->stragglers, &context->stragglers, &context->num_stragglers, &context->object);
    return atomic_load(&context->num_stragglers) == 0;
}

bool straggler_orphans_ended(void)
{
    sift(&orphans, &orphans, &num_orphans, NULL);
    return atomic_load(&num_orphans) == 0;
}

void straggler_add(struct queue *queue, cl_command_queue real)
{
    const struct driver *driver = queue->object.driver;
    _Atomic unsigned *count = &queue->context->num_stragglers;
    atomic_fetch_add(count, 1);
    struct straggler *straggler = calloc(1, sizeof *straggler);
    if (!straggler ||
        driver->clEnqueueMarkerWithWaitList(real, 0, NULL, &straggler->last) != CL_SUCCESS) {
        free(straggler);
        driver->clFinish(real);
        atomic_fetch_sub(count, 1);
        return;
    }
    straggler->driver = driver;
    straggler->device = object_hold(queue->device->parent ? queue->device : NULL);
    driver->clFlush(real);
    put(&queue->context->stragglers, straggler);
    straggler_ended(queue->context);
    straggler_orphans_ended();
}

void straggler_finish(struct context *context)
{
    /* Nobody else has the context. */
    atomic_fetch_add(&num_orphans, atomic_exchange(&context->num_stragglers, 0));
    sift(&context->stragglers, &orphans, &num_orphans, &context->object);
}
