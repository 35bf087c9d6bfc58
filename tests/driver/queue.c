/* SPDX-License-Identifier: Apache-2.0 */
/* Command queues. With the cap `extras` they know priorities, their profiling can be set later (to
 * pocl it is on from the start, and queue_tells_times hides that), and there are queues on the
 * device, of which one may be the default. */
#include "tests/driver/driver.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 64 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    cl_command_queue queue;
    bool silent, on_device;
    bool was_silent; /* until */
    cl_ulong changed;
} places[MOST]; /* guarded by lock; the latest ones of `extras` */
static unsigned next;
static struct {
    cl_context context;
    cl_device_id id;
    cl_command_queue queue;
} defaults[MOST]; /* guarded by lock; all NULL: free */

/* Whose default it is, or for whom there is room; MOST: neither. */
static unsigned find_default(cl_context context, cl_device_id id)
{
    unsigned free = MOST;
    for (unsigned i = MOST; i-- > 0;) {
        if (defaults[i].context == context && defaults[i].id == id)
            return i;
        free = defaults[i].context ? free : i;
    }
    return free;
}

/* The queue that it has now; `queue` becomes it, if it is one. */
static cl_command_queue default_of(cl_context context, cl_device_id id, cl_command_queue queue)
{
    pthread_mutex_lock(&lock);
    unsigned i = find_default(context, id);
    if (i < MOST && queue) {
        defaults[i].context = context;
        defaults[i].id = id;
        defaults[i].queue = queue;
    }
    cl_command_queue now = i < MOST ? defaults[i].queue : NULL;
    pthread_mutex_unlock(&lock);
    return now;
}

static bool is_on_device(cl_command_queue queue)
{
    bool found = false;
    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < MOST; i++)
        found |= places[i].queue == queue && places[i].on_device;
    pthread_mutex_unlock(&lock);
    return found;
}

static void note(cl_command_queue queue, bool silent, bool on_device)
{
    pthread_mutex_lock(&lock);
    unsigned i = next++ % MOST;
    places[i].queue = queue;
    places[i].silent = silent;
    places[i].on_device = on_device;
    places[i].changed = 0;
    pthread_mutex_unlock(&lock);
}

static void set_silent(cl_command_queue queue, bool silent)
{
    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < MOST; i++)
        if (places[i].queue == queue) {
            places[i].was_silent = places[i].silent;
            places[i].changed = event_time_now();
            places[i].silent = silent;
        }
    pthread_mutex_unlock(&lock);
}

bool queue_tells_times(cl_command_queue queue, cl_ulong queued)
{
    bool silent = false;
    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < MOST; i++)
        if (places[i].queue == queue)
            silent = queued < places[i].changed ? places[i].was_silent : places[i].silent;
    pthread_mutex_unlock(&lock);
    return !silent;
}

static bool may_be_out_of_order(cl_device_id id, cl_command_queue_properties properties)
{
    struct device *device = device_find(id);
    return !(properties & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE) || !device ||
           !device->caps.no_out_of_order;
}

cl_command_queue CL_API_CALL clCreateCommandQueue(cl_context context, cl_device_id id,
                                                  cl_command_queue_properties properties,
                                                  cl_int *errcode_ret)
{
    cl_int err = call_begin(CALL_clCreateCommandQueue, devices_of(id) | devices_of(context));
    if (err == CL_SUCCESS && !may_be_out_of_order(id, properties))
        err = CL_INVALID_QUEUE_PROPERTIES;
    if (err != CL_SUCCESS)
        return failed(errcode_ret, err);
    return adopt(pocl->clCreateCommandQueue(context, id, properties, errcode_ret));
}

static cl_command_queue create_with_extras(cl_context context, cl_device_id id,
                                           cl_command_queue_properties flags, cl_int *errcode_ret)
{
    /* A queue on the device is one that nobody but kernels can use: any will do. */
    cl_command_queue_properties known = flags & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE;
    bool is_default = flags & CL_QUEUE_ON_DEVICE_DEFAULT;
    cl_command_queue queue = is_default ? default_of(context, id, NULL) : NULL;
    if (queue) {
        if (errcode_ret)
            *errcode_ret = CL_SUCCESS;
        pocl->clRetainCommandQueue(queue);
        return queue;
    }
    queue = adopt(
        pocl->clCreateCommandQueue(context, id, known | CL_QUEUE_PROFILING_ENABLE, errcode_ret));
    if (queue)
        note(queue, !(flags & CL_QUEUE_PROFILING_ENABLE), flags & CL_QUEUE_ON_DEVICE);
    if (queue && is_default)
        default_of(context, id, queue);
    return queue;
}

cl_command_queue CL_API_CALL clCreateCommandQueueWithProperties(
    cl_context context, cl_device_id id, const cl_queue_properties *properties, cl_int *errcode_ret)
{
    cl_command_queue_properties flags = 0;
    cl_int err =
        call_begin(CALL_clCreateCommandQueueWithProperties, devices_of(id) | devices_of(context));
    for (const cl_queue_properties *p = properties; p && *p && err == CL_SUCCESS; p += 2) {
        if (p[0] == CL_QUEUE_PROPERTIES)
            flags = p[1];
        else if (p[0] != CL_QUEUE_SIZE && !extras_of(context))
            err = CL_INVALID_VALUE;
    }
    if (err == CL_SUCCESS && !may_be_out_of_order(id, flags))
        err = CL_INVALID_QUEUE_PROPERTIES;
    if (err != CL_SUCCESS)
        return failed(errcode_ret, err);
    if (extras_of(context))
        return create_with_extras(context, id, flags, errcode_ret);
    return adopt(pocl->clCreateCommandQueueWithProperties(context, id, properties, errcode_ret));
}

RETAIN(clRetainCommandQueue, cl_command_queue)

/* The last reference: it is nobody's default any more, and another may come to lie there. */
static void forget(cl_command_queue queue)
{
    cl_uint references = 0;
    pocl->clGetCommandQueueInfo(queue, CL_QUEUE_REFERENCE_COUNT, sizeof references, &references,
                                NULL);
    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < MOST && references == 1; i++) {
        if (defaults[i].queue == queue)
            memset(&defaults[i], 0, sizeof defaults[i]);
        if (places[i].queue == queue)
            memset(&places[i], 0, sizeof places[i]);
    }
    pthread_mutex_unlock(&lock);
}

cl_int CL_API_CALL clReleaseCommandQueue(cl_command_queue queue)
{
    cl_int err = call_begin(CALL_clReleaseCommandQueue, 0);
    if (err == CL_SUCCESS && queue)
        forget(queue);
    return err == CL_SUCCESS ? pocl->clReleaseCommandQueue(queue) : err;
}

cl_int CL_API_CALL clGetCommandQueueInfo(cl_command_queue queue, cl_command_queue_info param,
                                         size_t space, void *value, size_t *size_ret)
{
    cl_int err = call_begin(CALL_clGetCommandQueueInfo, devices_of(queue));
    struct device *device = queue_device(queue);
    if (err != CL_SUCCESS || param != CL_QUEUE_DEVICE_DEFAULT || !device || !device->caps.extras)
        return err == CL_SUCCESS ? pocl->clGetCommandQueueInfo(queue, param, space, value, size_ret)
                                 : err;
    cl_command_queue now = default_of(queue_context(queue), device->id, NULL);
    return answer(&now, sizeof now, space, value, size_ret);
}

cl_int CL_API_CALL clFlush(cl_command_queue queue)
{
    cl_int err = call_begin(CALL_clFlush, devices_of(queue));
    if (err == CL_SUCCESS)
        stall_flush(queue);
    return err == CL_SUCCESS ? pocl->clFlush(queue) : err;
}

cl_int CL_API_CALL clFinish(cl_command_queue queue)
{
    cl_int err = call_begin(CALL_clFinish, devices_of(queue));
    if (err == CL_SUCCESS)
        stall_flush(queue);
    return err == CL_SUCCESS ? pocl->clFinish(queue) : err;
}

cl_int CL_API_CALL clSetDefaultDeviceCommandQueue(cl_context context, cl_device_id id,
                                                  cl_command_queue queue)
{
    cl_int err = call_begin(CALL_clSetDefaultDeviceCommandQueue, devices_of(context));
    if (err != CL_SUCCESS || !extras_of(context))
        return err == CL_SUCCESS ? pocl->clSetDefaultDeviceCommandQueue(context, id, queue) : err;
    if (!is_on_device(queue))
        return CL_INVALID_COMMAND_QUEUE;
    default_of(context, id, queue);
    return CL_SUCCESS;
}

/* pocl has none, and OpenCL 1.1 and later allow this answer. */
cl_int CL_API_CALL clSetCommandQueueProperty(cl_command_queue queue,
                                             cl_command_queue_properties properties, cl_bool enable,
                                             cl_command_queue_properties *old)
{
    cl_context context = NULL;
    cl_int err = call_begin(CALL_clSetCommandQueueProperty, devices_of(queue));
    if (err == CL_SUCCESS)
        err = pocl->clGetCommandQueueInfo(queue, CL_QUEUE_CONTEXT, sizeof context, &context, NULL);
    if (err != CL_SUCCESS)
        return err;
    if (!extras_of(context) || properties != CL_QUEUE_PROFILING_ENABLE || old)
        return CL_INVALID_OPERATION;
    set_silent(queue, !enable);
    return CL_SUCCESS;
}
