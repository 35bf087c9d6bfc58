/* SPDX-License-Identifier: Apache-2.0 */
/* With the cap `extras` a device claims what pocl has not: pipes, queues on the device, contexts
 * that share with OpenGL, mip levels, formats that nobody knows. The objects are there to be held;
 * nothing can be done with them. */
#include "tests/driver/driver.h"

bool extras_of(cl_context context)
{
    struct device *device = context_device(context);
    return device && device->caps.extras;
}

bool extras_info(const struct device *device, cl_device_info param, cl_ulong *value)
{
    if (!device->caps.extras || param != CL_DEVICE_QUEUE_ON_DEVICE_PROPERTIES)
        return false;
    *value = CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE;
    return true;
}

void extras_strip_context(cl_context_properties *properties)
{
    cl_context_properties *to = properties;
    for (cl_context_properties *from = properties; from && *from; from += 2) {
        if (from[0] == CL_GL_CONTEXT_KHR)
            continue;
        to[0] = from[0];
        to[1] = from[1];
        to += 2;
    }
    if (to)
        *to = 0;
}

/* A buffer in disguise. */
cl_mem CL_API_CALL clCreatePipe(cl_context context, cl_mem_flags flags, cl_uint packet_size,
                                cl_uint max_packets, const cl_pipe_properties *properties,
                                cl_int *errcode_ret)
{
    cl_int err = call_begin(CALL_clCreatePipe, devices_of(context));
    size_t size = (size_t)packet_size * max_packets;
    if (err == CL_SUCCESS && !extras_of(context))
        err = CL_INVALID_OPERATION;
    if (err == CL_SUCCESS && !size)
        err = CL_INVALID_PIPE_SIZE;
    struct mem *mem = err == CL_SUCCESS ? mem_reserve(context, 0, size, NULL, &err) : NULL;
    if (!mem)
        return failed(errcode_ret, err);
    return mem_adopt(mem, pocl->clCreateBuffer(context, mem_pocl_flags(0), size, mem_contents(mem),
                                               errcode_ret));
}

cl_int CL_API_CALL clGetPipeInfo(cl_mem pipe, cl_pipe_info param, size_t space, void *value,
                                 size_t *size_ret)
{
    cl_int err = call_begin(CALL_clGetPipeInfo, devices_of(pipe));
    return err == CL_SUCCESS ? CL_INVALID_VALUE : err;
}
