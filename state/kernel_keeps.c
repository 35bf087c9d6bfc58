/* SPDX-License-Identifier: Apache-2.0 */
/* Does a driver hold what its kernels' arguments name? OpenCL 3.0 §5.9.2 forbids it, and rusticl
 * does: a program that releases a buffer right after clSetKernelArg works there, and has to work
 * there after a suspend too. A buffer of our own, or an image, tells, when it goes. */
#include <stdlib.h>

#include "state/image.h"
#include "state/kernel.h"

/* Freed once it has been told; a driver that never tells keeps it. */
struct sign {
    atomic_bool gone;
};

static void CL_CALLBACK note_gone(cl_mem mem, void *sign)
{
    atomic_store(&((struct sign *)sign)->gone, true);
}

#define ACCESS                                                                                     \
    (CL_MEM_READ_WRITE | CL_MEM_WRITE_ONLY | CL_MEM_READ_ONLY | CL_MEM_KERNEL_READ_AND_WRITE)

/* Of one pixel, or of one in a buffer that nobody else has. */
static cl_mem make_image(const struct driver *driver, cl_context context, const struct mem *like,
                         cl_int *err)
{
    const cl_image_format format = image_format(like->image);
    cl_image_desc desc = {.image_type = like->type,
                          .image_width = 1,
                          .image_height = 1,
                          .image_depth = 1,
                          .image_array_size = 1};
    if (like->type == CL_MEM_OBJECT_IMAGE1D_BUFFER) {
        desc.buffer = driver->clCreateBuffer(context, 0, 64, NULL, err);
        if (*err != CL_SUCCESS)
            return NULL;
    }
    cl_mem image = driver->clCreateImage(context, like->flags & ACCESS, &format, &desc, NULL, err);
    if (desc.buffer)
        RELEASE(driver, clReleaseMemObject, desc.buffer);
    return image;
}

static cl_mem make_mem(const struct kernel *kernel, const struct mem *like, struct sign *sign)
{
    const struct driver *driver = kernel->object.driver;
    cl_context context = context_real(kernel->program->context);
    cl_int err = CL_SUCCESS;
    cl_mem mem = like->image ? make_image(driver, context, like, &err)
                             : driver->clCreateBuffer(context, 0, 64, NULL, &err);
    if (err != CL_SUCCESS)
        return NULL;
    if (driver->clSetMemObjectDestructorCallback(mem, note_gone, sign) == CL_SUCCESS)
        return mem;
    RELEASE(driver, clReleaseMemObject, mem);
    return NULL;
}

/* It goes with its release, or with that of the kernel whose argument it is. */
static enum keeps_args look(const struct driver *driver, cl_kernel real, cl_uint index, cl_mem mem,
                            const struct sign *sign)
{
    bool is_set = driver->clSetKernelArg(real, index, sizeof mem, &mem) == CL_SUCCESS;
    RELEASE(driver, clReleaseMemObject, mem);
    bool early = atomic_load(&sign->gone);
    RELEASE(driver, clReleaseKernel, real);
    if (!is_set)
        return KEEPS_UNKNOWN;
    return !early && atomic_load(&sign->gone) ? KEEPS_ALL : KEEPS_NOTHING;
}

static enum keeps_args ask(const struct kernel *kernel, cl_uint index, const struct mem *like)
{
    const struct driver *driver = kernel->object.driver;
    struct sign *sign = calloc(1, sizeof *sign);
    cl_mem mem = sign ? make_mem(kernel, like, sign) : NULL;
    if (!mem) {
        free(sign);
        return like->image ? KEEPS_UNKNOWN : KEEPS_NOTHING; /* a buffer tells later */
    }
    cl_int err;
    cl_kernel real =
        driver->clCreateKernel(program_real(kernel->program), kernel_name(kernel), &err);
    enum keeps_args keeps = KEEPS_UNKNOWN;
    if (err == CL_SUCCESS)
        keeps = look(driver, real, index, mem, sign);
    else
        RELEASE(driver, clReleaseMemObject, mem);
    if (atomic_load(&sign->gone))
        free(sign);
    return keeps;
}

enum keeps_args kernel_ask_keeps(const struct kernel *kernel, cl_uint index, const struct mem *like)
{
    enum keeps_args keeps = ask(kernel, index, like);
    atomic_store(&kernel->program->context->keeps, (uint8_t)keeps);
    return keeps == KEEPS_UNKNOWN ? KEEPS_NOTHING : keeps;
}
