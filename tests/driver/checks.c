/* SPDX-License-Identifier: Apache-2.0 */
/* What OpenCL lets a device refuse, and pocl does not: with the cap `align` commands on sub-buffers
 * that begin elsewhere, with `noempty` commands on nothing, as before OpenCL 2.1. Of kernels'
 * arguments those are remembered that name sub-buffers. */
#include "tests/driver/driver.h"

#include <stdlib.h>
#include <string.h>

struct part {
    struct part *next;
    cl_kernel kernel;
    cl_uint index;
    size_t origin;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct part *parts; /* guarded by lock */

/* Every argument of it, or just this one. */
static void forget(cl_kernel kernel, const cl_uint *index)
{
    for (struct part **link = &parts; *link;) {
        struct part *part = *link;
        if (part->kernel != kernel || (index && part->index != *index)) {
            link = &part->next;
            continue;
        }
        *link = part->next;
        free(part);
    }
}

static void remember(cl_kernel kernel, cl_uint index, size_t size, const void *value)
{
    cl_mem id = NULL;
    if (size == sizeof id && value)
        memcpy(&id, value, sizeof id);
    const struct mem *mem = id ? mem_find(id) : NULL;
    struct part *part = mem && mem->origin ? malloc(sizeof *part) : NULL;
    pthread_mutex_lock(&lock);
    forget(kernel, &index);
    if (part) {
        *part = (struct part){parts, kernel, index, mem->origin};
        parts = part;
    }
    pthread_mutex_unlock(&lock);
}

void checks_stop(void)
{
    pthread_mutex_lock(&lock);
    while (parts)
        forget(parts->kernel, NULL);
    pthread_mutex_unlock(&lock);
}

cl_kernel CL_API_CALL clCreateKernel(cl_program program, const char *name, cl_int *errcode_ret)
{
    cl_int err = call_begin(CALL_clCreateKernel, devices_of(program));
    if (err != CL_SUCCESS)
        return failed(errcode_ret, err);
    cl_kernel kernel = adopt(pocl->clCreateKernel(program, name, errcode_ret));
    pthread_mutex_lock(&lock);
    forget(kernel, NULL); /* of one that was at this address before */
    pthread_mutex_unlock(&lock);
    return kernel;
}

cl_int CL_API_CALL clSetKernelArg(cl_kernel kernel, cl_uint index, size_t size, const void *value)
{
    cl_int err = call_begin(CALL_clSetKernelArg, devices_of(kernel));
    if (err == CL_SUCCESS)
        err = pocl->clSetKernelArg(kernel, index, size, value);
    if (err == CL_SUCCESS)
        remember(kernel, index, size, value);
    return err;
}

static bool is_misaligned(const struct device *device, cl_mem id)
{
    const struct mem *mem = id && device->caps.align ? mem_find(id) : NULL;
    return mem && mem->origin % device->caps.align;
}

cl_int check_range(cl_command_queue queue, size_t size, cl_mem buffer, cl_mem other)
{
    const struct device *device = queue_device(queue);
    if (!device)
        return CL_SUCCESS;
    if (!size && device->caps.no_empty)
        return CL_INVALID_VALUE;
    return is_misaligned(device, buffer) || is_misaligned(device, other)
               ? CL_MISALIGNED_SUB_BUFFER_OFFSET
               : CL_SUCCESS;
}

static bool has_misaligned(cl_kernel kernel, size_t align)
{
    bool found = false;
    pthread_mutex_lock(&lock);
    for (const struct part *part = parts; part && align; part = part->next)
        found |= part->kernel == kernel && part->origin % align;
    pthread_mutex_unlock(&lock);
    return found;
}

cl_int check_launch(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions,
                    const size_t *global)
{
    const struct device *device = queue_device(queue);
    bool empty = !global;
    for (cl_uint i = 0; i < dimensions && i < 3 && !empty; i++)
        empty = !global[i];
    if (device && empty && device->caps.no_empty)
        return CL_INVALID_GLOBAL_WORK_SIZE;
    return device && has_misaligned(kernel, device->caps.align) ? CL_MISALIGNED_SUB_BUFFER_OFFSET
                                                                : CL_SUCCESS;
}
