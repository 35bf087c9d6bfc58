/* SPDX-License-Identifier: Apache-2.0 */
/* Command queues. With the cap `extras` they know priorities, and their profiling can be set later:
 * to pocl it is on from the start, and queue_tells_times hides that. */
#include "tests/driver/driver.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 64 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    cl_command_queue queue;
    bool silent;
} places[MOST]; /* guarded by lock; the latest ones of `extras` */
static unsigned next;

static void set_silent(cl_command_queue queue, bool silent)
{
    unsigned i = 0;
    pthread_mutex_lock(&lock);
    while (i < MOST && places[i].queue != queue)
        i++;
    if (i == MOST)
        i = next++ % MOST;
    places[i].queue = queue;
    places[i].silent = silent;
    pthread_mutex_unlock(&lock);
}

bool queue_tells_times(cl_command_queue queue)
{
    bool silent = false;
    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < MOST; i++)
        if (places[i].queue == queue)
            silent = places[i].silent;
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
    cl_command_queue queue = adopt(
        pocl->clCreateCommandQueue(context, id, known | CL_QUEUE_PROFILING_ENABLE, errcode_ret));
    if (queue)
        set_silent(queue, !(flags & CL_QUEUE_PROFILING_ENABLE));
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
RELEASE(clReleaseCommandQueue, cl_command_queue)
QUERY(clGetCommandQueueInfo, cl_command_queue, cl_command_queue_info)
PASS(clFlush, (cl_command_queue queue), (queue), queue)
PASS(clFinish, (cl_command_queue queue), (queue), queue)
PASS(clSetDefaultDeviceCommandQueue, (cl_context context, cl_device_id id, cl_command_queue queue),
     (context, id, queue), context)

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
