/* SPDX-License-Identifier: Apache-2.0 */
/* What still runs of queues that are gone: see straggler.h. The list is taken away whole, and what
 * stays is put back: nobody waits for anybody. */
#include "state/straggler.h"

#include <stdlib.h>

struct straggler {
    struct straggler *next;
    const struct driver *driver;
    cl_event last; /* the driver's */
};

static struct straggler *_Atomic orphans; /* of contexts that are gone */

static bool has_ended(const struct straggler *straggler)
{
    cl_int status = CL_COMPLETE;
    straggler->driver->clGetEventInfo(straggler->last, CL_EVENT_COMMAND_EXECUTION_STATUS,
                                      sizeof status, &status, NULL);
    return status <= CL_COMPLETE;
}

static void put(struct straggler *_Atomic *list, struct straggler *straggler)
{
    straggler->next = atomic_load(list);
    while (!atomic_compare_exchange_weak(list, &straggler->next, straggler))
        ;
}

/* Drops those that have ended; the others go to a list, which may be the same. */
static bool sift(struct straggler *_Atomic *from, struct straggler *_Atomic *to)
{
    struct straggler *straggler = atomic_exchange(from, NULL), *next;
    bool ended = true;
    for (; straggler; straggler = next) {
        next = straggler->next;
        if (has_ended(straggler)) {
            RELEASE(straggler->driver, clReleaseEvent, straggler->last);
            free(straggler);
        } else {
            put(to, straggler);
            ended = false;
        }
    }
    return ended;
}

bool straggler_ended(struct context *context)
{
    return sift(&context->stragglers, &context->stragglers);
}

bool straggler_orphans_ended(void)
{
    return sift(&orphans, &orphans);
}

void straggler_add(struct queue *queue)
{
    const struct driver *driver = queue->object.driver;
    struct straggler *straggler = malloc(sizeof *straggler);
    if (!straggler || driver->clEnqueueMarkerWithWaitList(queue_real(queue), 0, NULL,
                                                          &straggler->last) != CL_SUCCESS) {
        free(straggler);
        driver->clFinish(queue_real(queue));
        return;
    }
    straggler->driver = driver;
    driver->clFlush(queue_real(queue));
    put(&queue->context->stragglers, straggler);
    straggler_ended(queue->context);
    straggler_orphans_ended();
}

void straggler_finish(struct context *context)
{
    sift(&context->stragglers, &orphans);
}
