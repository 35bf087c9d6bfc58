/* SPDX-License-Identifier: Apache-2.0 */
/* Does a driver hold what its kernels' arguments name? OpenCL 3.0 §5.9.2 forbids it, and rusticl
 * does: a program that releases a buffer right after clSetKernelArg works there, and has to work
 * there after a suspend too. A buffer of our own tells, when it goes. */
#include <stdlib.h>

#include "state/kernel.h"

/* Freed once it has been told; a driver that never tells keeps it. */
struct sign {
    atomic_bool gone;
};

static void CL_CALLBACK note_gone(cl_mem mem, void *sign)
{
    atomic_store(&((struct sign *)sign)->gone, true);
}

static cl_mem make_buffer(const struct kernel *kernel, struct sign *sign)
{
    const struct driver *driver = kernel->object.driver;
    cl_int err;
    cl_mem buffer =
        driver->clCreateBuffer(context_real(kernel->program->context), 0, 64, NULL, &err);
    if (err != CL_SUCCESS)
        return NULL;
    if (driver->clSetMemObjectDestructorCallback(buffer, note_gone, sign) == CL_SUCCESS)
        return buffer;
    RELEASE(driver, clReleaseMemObject, buffer);
    return NULL;
}

/* It goes with the buffer's release, or with that of the kernel whose argument it is. */
static enum keeps_args look(const struct driver *driver, cl_kernel real, cl_uint index,
                            cl_mem buffer, const struct sign *sign)
{
    bool is_set = driver->clSetKernelArg(real, index, sizeof buffer, &buffer) == CL_SUCCESS;
    RELEASE(driver, clReleaseMemObject, buffer);
    bool early = atomic_load(&sign->gone);
    RELEASE(driver, clReleaseKernel, real);
    if (!is_set)
        return KEEPS_UNKNOWN;
    return !early && atomic_load(&sign->gone) ? KEEPS_ALL : KEEPS_NOTHING;
}

static enum keeps_args ask(const struct kernel *kernel, cl_uint index)
{
    const struct driver *driver = kernel->object.driver;
    struct sign *sign = calloc(1, sizeof *sign);
    cl_mem buffer = sign ? make_buffer(kernel, sign) : NULL;
    if (!buffer) {
        free(sign);
        return KEEPS_NOTHING;
    }
    cl_int err;
    cl_kernel real =
        driver->clCreateKernel(program_real(kernel->program), kernel_name(kernel), &err);
    enum keeps_args keeps = KEEPS_UNKNOWN;
    if (err == CL_SUCCESS)
        keeps = look(driver, real, index, buffer, sign);
    else
        RELEASE(driver, clReleaseMemObject, buffer);
    if (atomic_load(&sign->gone))
        free(sign);
    return keeps;
}

enum keeps_args kernel_ask_keeps(const struct kernel *kernel, cl_uint index)
{
    enum keeps_args keeps = ask(kernel, index);
    atomic_store(&kernel->program->context->keeps, (uint8_t)keeps);
    return keeps == KEEPS_UNKNOWN ? KEEPS_NOTHING : keeps;
}
