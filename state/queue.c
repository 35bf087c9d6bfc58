/* SPDX-License-Identifier: Apache-2.0 */
/* Command queues: see queue.h. */
#include "state/straggler.h"

#include <stdlib.h>
#include <string.h>

#include "shim/cancel.h"

struct roster queue_roster = {.offset = offsetof(struct queue, member)};

struct queue *queue_create(struct context *context, struct device *device,
                           const cl_queue_properties *properties, cl_command_queue_properties flags)
{
    struct queue *queue = object_create(KIND_QUEUE, sizeof *queue, context->object.driver);
    if (!queue)
        return NULL;
    queue->flags = flags;
    if (properties) {
        size_t words = 1;
        for (; properties[words - 1]; words += 2) {
            if (properties[words - 1] == CL_QUEUE_PROPERTIES)
                queue->flags = properties[words];
            if (properties[words - 1] == CL_QUEUE_SIZE)
                queue->size = (cl_uint)properties[words];
        }
        queue->properties = malloc(words * sizeof *properties);
        if (!queue->properties) {
            object_discard(queue);
            return NULL;
        }
        memcpy(queue->properties, properties, words * sizeof *properties);
        queue->num_properties = words;
    }
    queue->context = object_hold(context);
    queue->device = object_hold(device);
    roster_add(&queue_roster, &queue->member);
    return queue;
}

void queue_destroy(void *object)
{
    NOT_CANCELLED();
    struct queue *queue = object;
    if (queue->object.real && !(queue->flags & CL_QUEUE_ON_DEVICE))
        straggler_add(queue);
    roster_remove(&queue_roster, &queue->member);
    queue_release(queue);
    free(queue->properties);
    object_drop(queue->device);
    object_drop(queue->context);
}

/* Waits for the last command by its event, which rusticl does. */
static void wait_for_last(struct queue *queue)
{
    const struct driver *driver = queue->object.driver;
    cl_event last = NULL;
    if (driver->clEnqueueMarkerWithWaitList(queue_real(queue), 0, NULL, &last) != CL_SUCCESS)
        return;
    driver->clWaitForEvents(1, &last);
    RELEASE(driver, clReleaseEvent, last);
}

cl_int queue_finish(struct queue *queue)
{
    unsigned flushes = atomic_load(&queue->flushes);
    if (flushes != atomic_load_explicit(&queue->finished, memory_order_relaxed)) {
        wait_for_last(queue);
        atomic_store(&queue->finished, flushes);
    }
    return queue->object.driver->clFinish(queue_real(queue));
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

/* The properties for the driver: as given, but for what clSetCommandQueueProperty has changed
 * since. The caller frees them; NULL without memory. (The list as given is answered to the
 * program.) */
static cl_queue_properties *current_properties(const struct queue *queue)
{
    size_t words = queue->num_properties ? queue->num_properties : 1;
    cl_queue_properties *list = calloc(words + 2, sizeof *list);
    size_t i = 0;
    if (!list)
        return NULL;
    for (; i + 1 < queue->num_properties && queue->properties[i]; i += 2) {
        list[i] = queue->properties[i];
        list[i + 1] = list[i] == CL_QUEUE_PROPERTIES ? queue->flags : queue->properties[i + 1];
    }
    if (!queue->properties) {
        list[i] = CL_QUEUE_PROPERTIES;
        list[i + 1] = queue->flags;
    }
    return list;
}

int queue_rebuild(struct queue *queue, struct error *err)
{
    const struct driver *driver = queue->object.driver;
    cl_context context = context_real(queue->context);
    cl_int status = CL_SUCCESS;
    if (driver->clCreateCommandQueueWithProperties) {
        cl_queue_properties *properties = current_properties(queue);
        if (!properties)
            return error_set(err, 0, "no memory for its properties");
        queue->object.real = driver->clCreateCommandQueueWithProperties(
            context, device_real(queue->device), properties, &status);
        free(properties);
    } else {
        queue->object.real = driver->clCreateCommandQueue(context, device_real(queue->device),
                                                          queue->flags, &status);
    }
    if (status == CL_SUCCESS)
        return 0;
    queue->object.real = NULL;
    return error_set(err, 0, "the driver can't make it again (%d)", status);
}
