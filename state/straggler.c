/* SPDX-License-Identifier: Apache-2.0 */
/* What still runs of queues that are gone: see straggler.h. The list is taken away whole, and what
 * stays is put back: nobody waits for anybody. So an empty list says nothing: somebody may just be
 * looking through it. Those on one, and those about to come to it, are counted. */
#include "state/straggler.h"

#include <stdlib.h>

#include "shim/phase.h"

struct straggler {
    struct straggler *next;
    const struct driver *driver;
    /* Held: pocl frees a sub-device under its commands. NULL: a root device, which stays anyway,
     * and would else be one that the program uses. */
    struct device *device;
    cl_event last; /* the driver's */
};

static struct straggler *_Atomic orphans; /* of contexts that are gone */
static _Atomic unsigned num_orphans;

/* What a thread that may be left in a call has just taken off a list: that one, and those behind.
 */
static struct {
    struct straggler *first;
    struct straggler *_Atomic *home;
} in_hand;

static bool has_ended(const struct straggler *straggler)
{
    cl_int status = CL_COMPLETE;
    CALL(straggler->driver->clGetEventInfo(straggler->last, CL_EVENT_COMMAND_EXECUTION_STATUS,
                                           sizeof status, &status, NULL));
    return status <= CL_COMPLETE;
}

static void put(struct straggler *_Atomic *list, struct straggler *straggler)
{
    straggler->next = atomic_load(list);
    while (!atomic_compare_exchange_weak(list, &straggler->next, straggler))
        ;
}

static void take_in_hand(struct straggler *first, struct straggler *_Atomic *home)
{
    if (!phase_self || !phase_self->leaves)
        return;
    in_hand.first = first;
    in_hand.home = home;
}

void straggler_put_back(void)
{
    struct straggler *straggler = in_hand.first;
    in_hand.first = NULL;
    while (straggler) {
        struct straggler *next = straggler->next;
        put(in_hand.home, straggler);
        straggler = next;
    }
}

/* A thread that may be left is the one that waits for the count. */
static void drop(struct straggler *straggler, _Atomic unsigned *count)
{
    bool first = phase_self;
    if (first)
        atomic_fetch_sub(count, 1);
    CALL_RELEASE(straggler->driver, clReleaseEvent, straggler->last);
    object_drop(straggler->device);
    free(straggler);
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
        take_in_hand(straggler, to);
        bool ended = has_ended(straggler);
        take_in_hand(next, to);
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
    struct straggler *straggler = malloc(sizeof *straggler);
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
