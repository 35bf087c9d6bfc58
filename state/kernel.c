/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a kernel's shadow, and what is known of the kernel itself. */
#include "state/kernel.h"

#include <stdlib.h>
#include <string.h>

#include "shim/phase.h"

/* Remembers one answer; false where the driver has none. */
static bool take_arg(const struct driver *driver, cl_kernel real, cl_uint index, cl_uint param,
                     struct info_cache *info)
{
    char small[128];
    size_t size = 0;
    if (CALL(driver->clGetKernelArgInfo(real, index, param, 0, NULL, &size)) != CL_SUCCESS)
        return false;
    char *bytes = size <= sizeof small ? small : malloc(size);
    bool ok = bytes &&
              CALL(driver->clGetKernelArgInfo(real, index, param, size, bytes, NULL)) == CL_SUCCESS;
    if (ok)
        info_cache_add(info, kernel_info_key(param, index), bytes, size);
    if (bytes != small)
        free(bytes);
    return ok;
}

static void take_attributes(const struct driver *driver, cl_kernel real, struct info_cache *info)
{
    size_t size = 0;
    if (CALL(driver->clGetKernelInfo(real, CL_KERNEL_ATTRIBUTES, 0, NULL, &size)) != CL_SUCCESS)
        return;
    char *text = calloc(1, size + 1);
    if (text &&
        CALL(driver->clGetKernelInfo(real, CL_KERNEL_ATTRIBUTES, size, text, NULL)) == CL_SUCCESS)
        info_cache_add(info, CL_KERNEL_ATTRIBUTES, text, size);
    free(text);
}

void kernel_read_facts(const struct driver *driver, cl_kernel real, struct info_cache *info)
{
    static const cl_uint params[] = {CL_KERNEL_ARG_ADDRESS_QUALIFIER,
                                     CL_KERNEL_ARG_ACCESS_QUALIFIER, CL_KERNEL_ARG_TYPE_NAME,
                                     CL_KERNEL_ARG_TYPE_QUALIFIER, CL_KERNEL_ARG_NAME};
    cl_uint num_args = 0;
    if (info_cache_find(info, CL_KERNEL_ATTRIBUTES))
        return;
    CALL(driver->clGetKernelInfo(real, CL_KERNEL_NUM_ARGS, sizeof num_args, &num_args, NULL));
    bool tells = true;
    for (cl_uint i = 0; i < num_args && tells; i++)
        for (size_t p = 0; p < sizeof params / sizeof *params && tells; p++)
            tells = take_arg(driver, real, i, params[p], info) || i > 0 || p > 0;
    /* The last: they say that all has been read. */
    take_attributes(driver, real, info);
}

/* A program made from its binary may have forgotten what it could tell of its kernels before. */
static void copy_facts(struct kernel *kernel)
{
    struct kernel_facts *facts = program_kernel_facts(kernel->program, kernel_name(kernel));
    if (!facts)
        return;
    struct info_entry *entry = atomic_load(&facts->info.first);
    for (; entry; entry = entry->next)
        info_cache_add(&kernel->info, entry->param, entry->bytes, entry->size);
}

/* Most kernels have few arguments. Then they lie in the kernel's own slot: nothing has to be
 * allocated, and no two kernels, which may be two threads', share a cache line. */
static bool args_inside(const struct kernel *kernel)
{
    return kernel->args == (const struct kernel_arg *)(kernel + 1);
}

/* Arguments that are not set, and the name behind them. */
static bool make_args(struct kernel *kernel, const char *name)
{
    size_t size = kernel->num_args * sizeof *kernel->args, length = strlen(name) + 1;
    bool fits = size + length <= OBJECT_SLOT - sizeof *kernel;
    kernel->args = fits ? (struct kernel_arg *)(kernel + 1) : malloc(size + length);
    if (!kernel->args)
        return false;
    memset(kernel->args, 0, size);
    memcpy((char *)kernel->args + size, name, length);
    return true;
}

struct kernel *kernel_create(struct program *program, const char *name, cl_kernel real)
{
    const struct driver *driver = program->object.driver;
    struct kernel *kernel = object_create(KIND_KERNEL, sizeof *kernel, driver);
    if (!kernel) {
        RELEASE(driver, clReleaseKernel, real);
        return NULL;
    }
    driver->clGetKernelInfo(real, CL_KERNEL_NUM_ARGS, sizeof kernel->num_args, &kernel->num_args,
                            NULL);
    if (!make_args(kernel, name)) {
        RELEASE(driver, clReleaseKernel, real);
        object_discard(kernel);
        return NULL;
    }
    kernel->object.real = real;
    kernel->program = object_hold(program);
    atomic_fetch_add(&program->kernels, 1);
    copy_facts(kernel);
    return kernel;
}

struct kernel *kernel_load(struct program *program, const char *name, cl_uint num_args)
{
    struct kernel *kernel = object_create(KIND_KERNEL, sizeof *kernel, program->object.driver);
    if (!kernel)
        return NULL;
    kernel->num_args = num_args;
    if (!make_args(kernel, name)) {
        object_discard(kernel);
        return NULL;
    }
    kernel->program = object_hold(program);
    atomic_fetch_add(&program->kernels, 1);
    return kernel;
}

void kernel_destroy(void *object)
{
    struct kernel *kernel = object;
    kernel_release(kernel);
    kernel_forget_args(kernel);
    if (!args_inside(kernel))
        free(kernel->args);
    info_cache_finish(&kernel->info);
    atomic_fetch_sub(&kernel->program->kernels, 1);
    object_drop(kernel->program);
}

void kernel_capture(struct kernel *kernel)
{
    kernel_read_facts(kernel->object.driver, kernel_real(kernel), &kernel->info);
}

void kernel_release(struct kernel *kernel)
{
    cl_kernel real = kernel_real(kernel);
    kernel->object.real = NULL;
    if (real)
        RELEASE(kernel->object.driver, clReleaseKernel, real);
}

int kernel_rebuild(struct kernel *kernel, struct error *err)
{
    kernel->object.driver = kernel->program->object.driver;
    cl_kernel real = NULL;
    /* The gate is closed: what is released now stays, with its real object, until it opens. */
    cl_int code = kernel_make(kernel, kernel->args, kernel->execs, &real);
    if (code == CL_SUCCESS) {
        kernel->object.real = real;
        return 0;
    }
    error_set(err, 0, "the driver answers %d when it is made again", code);
    return error_object(err, "kernel `%s` (%llu)", kernel_name(kernel),
                        (unsigned long long)kernel->object.serial);
}
