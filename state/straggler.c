/* SPDX-License-Identifier: Apache-2.0 */
/* What still runs of queues that are gone: see straggler.h. The list is taken away whole, and what
 * stays is put back: nobody waits for anybody. */
#include "state/straggler.h"

#include <stdlib.h>

struct straggler {
    struct straggler *next;
    cl_event last; /* the driver's */
};

static bool has_ended(const struct driver *driver, cl_event event)
{
    cl_int status = CL_COMPLETE;
    driver->clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL);
    return status <= CL_COMPLETE;
}

static void put(struct context *context, struct straggler *straggler)
{
    straggler->next = atomic_load(&context->stragglers);
    while (!atomic_compare_exchange_weak(&context->stragglers, &straggler->next, straggler))
        ;
}

static void drop(const struct driver *driver, struct straggler *straggler)
{
    RELEASE(driver, clReleaseEvent, straggler->last);
    free(straggler);
}

bool straggler_ended(struct context *context)
{
    const struct driver *driver = context->object.driver;
    struct straggler *straggler = atomic_exchange(&context->stragglers, NULL), *next;
    bool ended = true;
    for (; straggler; straggler = next) {
        next = straggler->next;
        if (has_ended(driver, straggler->last)) {
            drop(driver, straggler);
        } else {
            put(context, straggler);
            ended = false;
        }
    }
    return ended;
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
    driver->clFlush(queue_real(queue));
    straggler_ended(queue->context);
    if (has_ended(driver, straggler->last))
        drop(driver, straggler);
    else
        put(queue->context, straggler);
}

void straggler_finish(struct context *context)
{
    struct straggler *straggler = atomic_exchange(&context->stragglers, NULL), *next;
    for (; straggler; straggler = next) {
        next = straggler->next;
        drop(context->object.driver, straggler);
    }
}
