/* SPDX-License-Identifier: Apache-2.0 */
/* Command queues: see queue.h. */
#include "state/queue.h"

#include <stdlib.h>

#include "shim/cancel.h"

void queue_destroy(void *object)
{
    NOT_CANCELLED();
    struct queue *queue = object;
    queue_release(queue);
    free(queue->properties);
    object_drop(queue->device);
    object_drop(queue->context);
}

int queue_carriable(const struct queue *queue, struct error *err)
{
    if (!(queue->flags & CL_QUEUE_ON_DEVICE))
        return 0;
    error_set(err, 0, "it is a queue on the device, whose contents can't be read");
    return error_todo(err, "release the queue before the suspend");
}

void queue_release(struct queue *queue)
{
    if (queue->object.real)
        RELEASE(queue->object.driver, clReleaseCommandQueue, queue->object.real);
    queue->object.real = NULL;
}

int queue_rebuild(struct queue *queue, struct error *err)
{
    const struct driver *driver = queue->object.driver;
    cl_context context = context_real(queue->context);
    cl_int status = CL_SUCCESS;
    /* clSetCommandQueueProperty may have changed what the queue was made with. */
    for (size_t i = 0; i + 1 < queue->num_properties; i += 2)
        if (queue->properties[i] == CL_QUEUE_PROPERTIES)
            queue->properties[i + 1] = queue->flags;
    if (driver->clCreateCommandQueueWithProperties) {
        cl_queue_properties flags[] = {CL_QUEUE_PROPERTIES, queue->flags, 0};
        queue->object.real = driver->clCreateCommandQueueWithProperties(
            context, device_real(queue->device), queue->properties ? queue->properties : flags,
            &status);
    } else {
        queue->object.real = driver->clCreateCommandQueue(context, device_real(queue->device),
                                                          queue->flags, &status);
    }
    if (status == CL_SUCCESS)
        return 0;
    queue->object.real = NULL;
    return error_set(err, 0, "the driver can't make it again (%d)", status);
}
