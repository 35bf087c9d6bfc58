/* SPDX-License-Identifier: Apache-2.0 */
/* OpenCL 3.0 §5.1 Command queues, and §5.15 Flush and finish. */
#include "state/queue.h"

#include <stdlib.h>
#include <string.h>

#include "shim/cancel.h"
#include "shim/export.h"
#include "shim/gate.h"
#include "shim/hold.h"
#include "shim/loader.h"

static cl_int check_arguments(cl_context context, cl_device_id device)
{
    if (!context_check(context))
        return CL_INVALID_CONTEXT;
    if (!device_check(device) || !context_has_device(context_check(context), device_check(device)))
        return CL_INVALID_DEVICE;
    return CL_SUCCESS;
}

static cl_command_queue publish_queue(cl_context context, cl_device_id device,
                                      const cl_queue_properties *properties,
                                      cl_command_queue_properties flags, cl_command_queue real,
                                      cl_int *status)
{
    if (*status != CL_SUCCESS)
        return NULL;
    struct context *owner = context_check(context);
    struct queue *queue = queue_create(owner, device_check(device), properties, flags);
    if (!queue) {
        owner->object.driver->clReleaseCommandQueue(real);
        *status = CL_OUT_OF_HOST_MEMORY;
        return NULL;
    }
    queue->object.real = real;
    queue_read_clock(queue);
    object_publish(queue);
    return (cl_command_queue)queue;
}

/* The program's own, by the driver's; held. NULL: the program has none that is this one. */
static struct queue *find_queue(const struct context *context, cl_command_queue real)
{
    size_t count;
    struct object **queues = roster_hold(&queue_roster, &count);
    struct queue *found = NULL;
    for (size_t i = 0; queues && real && i < count && !found; i++) {
        struct queue *queue = (struct queue *)queues[i];
        if (queue->context == context && queue_real(queue) == real)
            found = object_hold(queue);
    }
    roster_drop(queues, queues ? count : 0);
    return found;
}

static bool wants_default(const cl_queue_properties *properties)
{
    for (; properties && *properties; properties += 2)
        if (*properties == CL_QUEUE_PROPERTIES)
            return properties[1] & CL_QUEUE_ON_DEVICE_DEFAULT;
    return false;
}

/* §5.1: there is one default queue on a device; who makes another gets that one, retained. NULL:
 * this is the first, or the driver does otherwise. */
static cl_command_queue the_default(struct context *context, cl_command_queue real)
{
    struct queue *queue = find_queue(context, real);
    if (!queue)
        return NULL;
    RELEASE(queue->object.driver, clReleaseCommandQueue, real);
    object_retain(queue);
    object_drop(queue);
    return (cl_command_queue)queue;
}

EXPORT cl_command_queue CL_API_CALL
clCreateCommandQueueWithProperties(cl_context context, cl_device_id device,
                                   const cl_queue_properties *properties, cl_int *errcode_ret)
{
    cl_command_queue queue = NULL;
    cl_int status = check_arguments(context, device);
    if (status == CL_SUCCESS) {
        NOT_CANCELLED();
        GATE(clCreateCommandQueueWithProperties);
        const struct driver *driver = context_check(context)->object.driver;
        bool watching = loader_watch();
        cl_command_queue real = queue_make(driver, context_real(context_check(context)),
                                           device_real(device_check(device)), properties, &status);
        loader_watched(driver, watching);
        if (status == CL_SUCCESS && wants_default(properties))
            queue = the_default(context_check(context), real);
        /* NULL properties and an empty list are the same to the driver, not to the query. */
        if (!queue)
            queue = publish_queue(context, device, properties, 0, real, &status);
    }
    if (errcode_ret)
        *errcode_ret = status;
    return queue;
}

EXPORT cl_command_queue CL_API_CALL clCreateCommandQueue(cl_context context, cl_device_id device,
                                                         cl_command_queue_properties properties,
                                                         cl_int *errcode_ret)
{
    cl_command_queue queue = NULL;
    cl_int status = check_arguments(context, device);
    if (status == CL_SUCCESS) {
        NOT_CANCELLED();
        GATE(clCreateCommandQueue);
        const struct driver *driver = context_check(context)->object.driver;
        bool watching = loader_watch();
        cl_command_queue real =
            driver->clCreateCommandQueue(context_real(context_check(context)),
                                         device_real(device_check(device)), properties, &status);
        loader_watched(driver, watching);
        queue = publish_queue(context, device, NULL, properties, real, &status);
    }
    if (errcode_ret)
        *errcode_ret = status;
    return queue;
}

/* OpenCL 3.0 §5.1 names a device without such queues before a queue that is none. Drivers of 2.x
 * don't know the question: theirs has them. */
static bool has_device_queues(const struct driver *driver, cl_device_id device)
{
    cl_device_device_enqueue_capabilities can = 0;
    return driver->clGetDeviceInfo(device_real(device_check(device)),
                                   CL_DEVICE_DEVICE_ENQUEUE_CAPABILITIES, sizeof can, &can,
                                   NULL) != CL_SUCCESS ||
           can;
}

EXPORT cl_int CL_API_CALL clSetDefaultDeviceCommandQueue(cl_context context, cl_device_id device,
                                                         cl_command_queue command_queue)
{
    cl_int status = check_arguments(context, device);
    if (status != CL_SUCCESS)
        return status;
    GATE(clSetDefaultDeviceCommandQueue);
    const struct context *owner = context_check(context);
    const struct driver *driver = owner->object.driver;
    if (!driver->clSetDefaultDeviceCommandQueue || !has_device_queues(driver, device))
        return CL_INVALID_OPERATION;
    struct queue *queue = queue_check(command_queue);
    if (!queue || queue->context != owner)
        return CL_INVALID_COMMAND_QUEUE;
    return driver->clSetDefaultDeviceCommandQueue(
        context_real(owner), device_real(device_check(device)), queue_real(queue));
}

EXPORT cl_int CL_API_CALL clRetainCommandQueue(cl_command_queue command_queue)
{
    struct queue *queue = queue_check(command_queue);
    return queue && object_retain(queue) ? CL_SUCCESS : CL_INVALID_COMMAND_QUEUE;
}

/* §5.1: the release flushes what was enqueued. */
EXPORT cl_int CL_API_CALL clReleaseCommandQueue(cl_command_queue command_queue)
{
    struct queue *queue = queue_check(command_queue);
    if (queue && gate_try_enter("clReleaseCommandQueue")) {
        queue_flush(queue);
        gate_leave();
    }
    return queue && object_release(queue) ? CL_SUCCESS : CL_INVALID_COMMAND_QUEUE;
}

/* The driver's answer, as the program's handle; NULL also where the program has released it. */
static cl_int device_default(struct queue *queue, struct answer to)
{
    cl_command_queue real = NULL;
    GATE(clGetCommandQueueInfo);
    cl_int status = queue->object.driver->clGetCommandQueueInfo(
        queue_real(queue), CL_QUEUE_DEVICE_DEFAULT, sizeof real, &real, NULL);
    if (status != CL_SUCCESS)
        return status;
    struct queue *found = find_queue(queue->context, real);
    status = info_value(to, (cl_command_queue)found);
    object_drop(found);
    return status;
}

static cl_int ask_driver(struct queue *queue, cl_command_queue_info param, struct answer to)
{
    GATE(clGetCommandQueueInfo);
    return queue->object.driver->clGetCommandQueueInfo(queue_real(queue), param, to.size, to.value,
                                                       to.size_ret);
}

EXPORT cl_int CL_API_CALL clGetCommandQueueInfo(cl_command_queue command_queue,
                                                cl_command_queue_info param_name,
                                                size_t param_value_size, void *param_value,
                                                size_t *param_value_size_ret)
{
    struct answer to = {param_value_size, param_value, param_value_size_ret};
    struct queue *queue = queue_check(command_queue);
    if (!queue)
        return CL_INVALID_COMMAND_QUEUE;
    switch (param_name) {
    case CL_QUEUE_CONTEXT:
        return info_value(to, (cl_context)queue->context);
    case CL_QUEUE_DEVICE:
        return info_value(to, (cl_device_id)queue->device);
    case CL_QUEUE_REFERENCE_COUNT:
        return info_value(to, (cl_uint)atomic_load(&queue->object.refs));
    case CL_QUEUE_PROPERTIES:
        return info_value(to, queue->flags);
    case CL_QUEUE_PROPERTIES_ARRAY:
        return info_bytes(to, queue->properties, queue->num_properties * sizeof *queue->properties);
    case CL_QUEUE_DEVICE_DEFAULT:
        return device_default(queue, to);
    default:
        return ask_driver(queue, param_name, to);
    }
}

EXPORT cl_int CL_API_CALL clSetCommandQueueProperty(cl_command_queue command_queue,
                                                    cl_command_queue_properties properties,
                                                    cl_bool enable,
                                                    cl_command_queue_properties *old_properties)
{
    struct queue *queue = queue_check(command_queue);
    if (!queue)
        return CL_INVALID_COMMAND_QUEUE;
    GATE(clSetCommandQueueProperty);
    if (!queue->object.driver->clSetCommandQueueProperty)
        return CL_INVALID_OPERATION;
    cl_int status = queue->object.driver->clSetCommandQueueProperty(queue_real(queue), properties,
                                                                    enable, old_properties);
    if (status == CL_SUCCESS)
        queue->flags = enable ? queue->flags | properties : queue->flags & ~properties;
    queue_read_clock(queue);
    return status;
}

EXPORT cl_int CL_API_CALL clFlush(cl_command_queue command_queue)
{
    struct queue *queue = queue_check(command_queue);
    if (!queue)
        return CL_INVALID_COMMAND_QUEUE;
    GATE(clFlush);
    return queue->object.driver->clFlush(queue_real(queue));
}

EXPORT cl_int CL_API_CALL clFinish(cl_command_queue command_queue)
{
    struct queue *queue = queue_check(command_queue);
    if (!queue)
        return CL_INVALID_COMMAND_QUEUE;
    if (atomic_load_explicit(&queue->held, memory_order_acquire))
        hold_wait_queue(queue);
    NOT_CANCELLED();
    GATE(clFinish);
    return queue_finish(queue);
}
