/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to the driver about commands that are held back: see ask.h. */
#include "shim/ask.h"

#include "state/straggler.h"

cl_int ask_empty(struct queue *queue, ask_command *issue, void *args)
{
    const struct driver *driver = queue->object.driver;
    struct issue to = {.driver = driver, .queue = queue};
    cl_int err;
    to.real = driver->clCreateCommandQueue(context_real(queue->context), device_real(queue->device),
                                           0, &err);
    if (err != CL_SUCCESS)
        return err;
    err = issue(&to, args);
    /* A suspend waits for it. */
    if (err == CL_SUCCESS)
        straggler_add(queue, to.real);
    RELEASE(driver, clReleaseCommandQueue, to.real);
    return err;
}

/* A byte of it, whatever the host may do with it, into a buffer that nobody looks at. */
static cl_int copy_a_byte(const struct issue *to, void *mem)
{
    const struct driver *driver = to->driver;
    cl_int err;
    cl_mem scratch = driver->clCreateBuffer(context_real(to->queue->context), 0, 1, NULL, &err);
    if (err != CL_SUCCESS)
        return err;
    err = driver->clEnqueueCopyBuffer(to->real, mem_real(mem), scratch, 0, 0, 1, 0, NULL, NULL);
    RELEASE(driver, clReleaseMemObject, scratch);
    return err;
}

cl_int ask_alignment(struct queue *queue, struct mem *mem)
{
    cl_uint bits = 0;
    if (!mem || !mem->parent || mem->image || !mem->origin)
        return CL_SUCCESS;
    queue->object.driver->clGetDeviceInfo(device_real(queue->device), CL_DEVICE_MEM_BASE_ADDR_ALIGN,
                                          sizeof bits, &bits, NULL);
    if (bits < 8 || mem->origin % (bits / 8) == 0)
        return CL_SUCCESS;
    cl_int err = ask_empty(queue, copy_a_byte, mem);
    return err == CL_MISALIGNED_SUB_BUFFER_OFFSET ? err : CL_SUCCESS;
}

/* A byte of a buffer that nobody has. */
static cl_int map_a_byte(const struct issue *to, void *flags)
{
    const struct driver *driver = to->driver;
    cl_int err;
    cl_mem scratch = driver->clCreateBuffer(context_real(to->queue->context), 0, 1, NULL, &err);
    if (err != CL_SUCCESS)
        return err;
    void *pointer = driver->clEnqueueMapBuffer(to->real, scratch, CL_FALSE, *(cl_map_flags *)flags,
                                               0, 1, 0, NULL, NULL, &err);
    if (err == CL_SUCCESS)
        driver->clEnqueueUnmapMemObject(to->real, scratch, pointer, 0, NULL, NULL);
    RELEASE(driver, clReleaseMemObject, scratch);
    return err;
}

cl_int ask_map_flags(struct queue *queue, cl_map_flags flags)
{
    return ask_empty(queue, map_a_byte, &flags);
}
