/* SPDX-License-Identifier: Apache-2.0 */
/* Command queues: see queue.h. */
#include "state/straggler.h"

#include <stdlib.h>
#include <string.h>

#include "shim/cancel.h"
#include "shim/log.h"

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
        straggler_add(queue, queue_real(queue));
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

void queue_flush_all(void)
{
    size_t count;
    struct object **queues = roster_hold(&queue_roster, &count);
    for (size_t i = 0; queues && i < count; i++) {
        struct queue *queue = (struct queue *)queues[i];
        if (queue_real(queue) && !(queue->flags & CL_QUEUE_ON_DEVICE))
            queue_flush(queue);
    }
    roster_drop(queues, queues ? count : 0);
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
    cl_command_queue real = queue_real(queue);
    queue->object.real = NULL;
    if (real)
        RELEASE(queue->object.driver, clReleaseCommandQueue, real);
}

cl_command_queue queue_make(const struct driver *driver, cl_context context, cl_device_id device,
                            const cl_queue_properties *properties, cl_int *status)
{
    if (driver->clCreateCommandQueueWithProperties)
        return driver->clCreateCommandQueueWithProperties(context, device, properties, status);
    clCreateCommandQueueWithPropertiesKHR_fn make =
        (clCreateCommandQueueWithPropertiesKHR_fn)driver_extension(
            driver, "clCreateCommandQueueWithPropertiesKHR");
    if (make)
        return make(context, device, properties, status);
    *status = CL_INVALID_OPERATION;
    return NULL;
}

/* How urgent it is, or on which engine it runs: another device need not have that. */
static bool is_hint(cl_queue_properties property)
{
    return property != CL_QUEUE_PROPERTIES && property != CL_QUEUE_SIZE;
}

static bool has_hints(const struct queue *queue)
{
    for (size_t i = 0; i + 1 < queue->num_properties; i += 2)
        if (is_hint(queue->properties[i]))
            return true;
    return false;
}

/* The properties for the driver: as given, but for what clSetCommandQueueProperty has changed
 * since. The caller frees them; NULL without memory. (The list as given is answered to the
 * program.) */
static cl_queue_properties *current_properties(const struct queue *queue, bool hints)
{
    size_t words = queue->num_properties ? queue->num_properties : 1;
    cl_queue_properties *list = calloc(words + 2, sizeof *list);
    bool has_flags = false;
    size_t used = 0;
    if (!list)
        return NULL;
    for (size_t i = 0; i + 1 < queue->num_properties; i += 2) {
        cl_queue_properties property = queue->properties[i];
        if (is_hint(property) && !hints)
            continue;
        has_flags |= property == CL_QUEUE_PROPERTIES;
        list[used++] = property;
        list[used++] = property == CL_QUEUE_PROPERTIES ? queue->flags : queue->properties[i + 1];
    }
    if (!has_flags && queue->flags) {
        list[used++] = CL_QUEUE_PROPERTIES;
        list[used++] = queue->flags;
    }
    return list;
}

static cl_int make_again(struct queue *queue, bool hints)
{
    const struct driver *driver = queue->object.driver;
    cl_context context = context_real(queue->context);
    cl_device_id device = device_real(queue->device);
    cl_int status = CL_SUCCESS;
    cl_queue_properties *properties = current_properties(queue, hints);
    if (!properties)
        return CL_OUT_OF_HOST_MEMORY;
    queue->object.real = queue_make(driver, context, device, properties, &status);
    if (status == CL_INVALID_OPERATION && !(hints && has_hints(queue)))
        queue->object.real = driver->clCreateCommandQueue(context, device, queue->flags, &status);
    free(properties);
    if (status != CL_SUCCESS)
        queue->object.real = NULL;
    return status;
}

static bool ask_marker(struct queue *queue, cl_ulong *now)
{
    const struct driver *driver = queue->object.driver;
    cl_event marker = NULL;
    if (driver->clEnqueueMarkerWithWaitList(queue_real(queue), 0, NULL, &marker) != CL_SUCCESS)
        return false;
    atomic_fetch_add(&queue->flushes, 1);
    bool told = driver->clWaitForEvents(1, &marker) == CL_SUCCESS &&
                driver->clGetEventProfilingInfo(marker, CL_PROFILING_COMMAND_QUEUED, sizeof *now,
                                                now, NULL) == CL_SUCCESS;
    RELEASE(driver, clReleaseEvent, marker);
    return told;
}

void queue_read_clock(struct queue *queue)
{
    struct timer *timer = device_clock(queue->device);
    cl_ulong now;
    if (!(queue->flags & CL_QUEUE_PROFILING_ENABLE) || (queue->flags & CL_QUEUE_ON_DEVICE) ||
        !atomic_load(&timer->unread) || !atomic_exchange(&timer->unread, false))
        return;
    if (ask_marker(queue, &now))
        timer_go_on(timer, now);
    else
        queue->device->no_clock = true;
}

int queue_rebuild(struct queue *queue, struct error *err)
{
    cl_int status = make_again(queue, true);
    if (status != CL_SUCCESS && has_hints(queue)) {
        status = make_again(queue, false);
        if (status == CL_SUCCESS)
            log_warn("queue %llu: the device has no such priority, throttle or family: it was made "
                     "without",
                     (unsigned long long)queue->object.serial);
    }
    if (status == CL_SUCCESS)
        queue_read_clock(queue);
    return status == CL_SUCCESS ? 0
                                : error_set(err, 0, "the driver can't make it again (%d)", status);
}
