/* SPDX-License-Identifier: Apache-2.0 */
/* OpenCL 3.0 §5.10: the errors of a launch, for one that is held back: the application has to hear
 * of them from the enqueue, when the driver is not asked yet. */
#include <stdint.h>
#include <string.h>

#include "shim/ask.h"
#include "shim/launch.h"

/* What its device has of the kernel's program; NULL: nothing. */
static struct build_device *build_of(const struct launch *launch)
{
    struct program *program = launch->kernel->program;
    int index = program_device_index(program, launch->queue->device);
    return index < 0 ? NULL : &atomic_load(&program->build)->devices[index];
}

static cl_int check_executable(const struct launch *launch)
{
    struct build_device *device = build_of(launch);
    if (!device || build_is_untried(device))
        return CL_INVALID_PROGRAM_EXECUTABLE;
    const struct info_entry *status = info_cache_find(&device->info, CL_PROGRAM_BUILD_STATUS);
    cl_build_status built = CL_BUILD_SUCCESS;
    if (status && status->size == sizeof built)
        memcpy(&built, status->bytes, sizeof built);
    return built == CL_BUILD_SUCCESS ? CL_SUCCESS : CL_INVALID_PROGRAM_EXECUTABLE;
}

static cl_int check_global(const struct launch *launch)
{
    for (cl_uint i = 0; launch->global && launch->offset && i < launch->dims; i++)
        if (launch->offset[i] > SIZE_MAX - launch->global[i])
            return CL_INVALID_GLOBAL_OFFSET;
    return CL_SUCCESS;
}

/* The driver's answer for this kernel and device; zeros where there is none. */
static void group_info(const struct launch *launch, cl_kernel_work_group_info param, size_t *values,
                       size_t size)
{
    struct kernel *kernel = launch->kernel;
    memset(values, 0, size);
    kernel->object.driver->clGetKernelWorkGroupInfo(
        kernel_real(kernel), device_real(launch->queue->device), param, size, values, NULL);
}

/* __attribute__((reqd_work_group_size)), which the driver takes where no local size is given. */
static cl_int check_required(const struct launch *launch)
{
    size_t required[3];
    if (!launch->local)
        return CL_SUCCESS;
    group_info(launch, CL_KERNEL_COMPILE_WORK_GROUP_SIZE, required, sizeof required);
    if (!required[0])
        return CL_SUCCESS;
    for (cl_uint i = 0; i < 3; i++) {
        size_t local = i < launch->dims ? launch->local[i] : 1;
        if (local != required[i])
            return CL_INVALID_WORK_GROUP_SIZE;
    }
    return CL_SUCCESS;
}

/* Before OpenCL 3.0 a device can if it takes OpenCL C 2.0: oclgrind, of 1.2, does. */
static bool may_be_uneven(const struct launch *launch)
{
    cl_bool uneven = CL_TRUE;
    const struct driver *driver = launch->kernel->object.driver;
    if (driver->version >= 300 &&
        driver->clGetDeviceInfo(device_real(launch->queue->device),
                                CL_DEVICE_NON_UNIFORM_WORK_GROUP_SUPPORT, sizeof uneven, &uneven,
                                NULL) != CL_SUCCESS)
        return false;
    return uneven && !build_is_uniform(build_of(launch), driver->version < 200);
}

static cl_int check_items(const struct launch *launch)
{
    size_t most[3] = {SIZE_MAX, SIZE_MAX, SIZE_MAX};
    const struct driver *driver = launch->kernel->object.driver;
    driver->clGetDeviceInfo(device_real(launch->queue->device), CL_DEVICE_MAX_WORK_ITEM_SIZES,
                            sizeof most, most, NULL);
    for (cl_uint i = 0; i < launch->dims; i++)
        if (launch->local[i] > most[i])
            return CL_INVALID_WORK_ITEM_SIZE;
    return CL_SUCCESS;
}

static cl_int check_local(const struct launch *launch)
{
    size_t group = 1, most;
    cl_int status = check_required(launch);
    if (status != CL_SUCCESS || !launch->local)
        return status;
    for (cl_uint i = 0; i < launch->dims; i++) {
        if (!launch->local[i])
            return CL_INVALID_WORK_GROUP_SIZE;
        if (launch->global && launch->global[i] % launch->local[i] && !may_be_uneven(launch))
            return CL_INVALID_WORK_GROUP_SIZE;
        if (__builtin_mul_overflow(group, launch->local[i], &group))
            return CL_INVALID_WORK_GROUP_SIZE;
    }
    group_info(launch, CL_KERNEL_WORK_GROUP_SIZE, &most, sizeof most);
    if (most && group > most)
        return CL_INVALID_WORK_GROUP_SIZE;
    return check_items(launch);
}

/* What the kernel has of its own, and its local arguments as they are set now. */
static cl_int check_local_memory(const struct launch *launch)
{
    cl_ulong needed = 0, most = 0;
    const struct driver *driver = launch->kernel->object.driver;
    cl_device_id device = device_real(launch->queue->device);
    driver->clGetKernelWorkGroupInfo(kernel_real(launch->kernel), device, CL_KERNEL_LOCAL_MEM_SIZE,
                                     sizeof needed, &needed, NULL);
    driver->clGetDeviceInfo(device, CL_DEVICE_LOCAL_MEM_SIZE, sizeof most, &most, NULL);
    return most && needed > most ? CL_OUT_OF_RESOURCES : CL_SUCCESS;
}

static cl_int check_buffers(const struct launch *launch)
{
    const struct kernel *kernel = launch->kernel;
    cl_int status = CL_SUCCESS;
    for (cl_uint i = 0; i < kernel->num_args && status == CL_SUCCESS; i++)
        status = ask_alignment(launch->queue, kernel_arg_mem(&kernel->args[i]));
    return status;
}

cl_int launch_validate(const struct launch *launch)
{
    cl_int status = check_executable(launch);
    if (status == CL_SUCCESS)
        status = check_global(launch);
    if (status == CL_SUCCESS)
        status = check_local(launch);
    if (status == CL_SUCCESS && !kernel_args_set(launch->kernel))
        status = CL_INVALID_KERNEL_ARGS;
    if (status == CL_SUCCESS)
        status = check_local_memory(launch);
    if (status == CL_SUCCESS)
        status = check_buffers(launch);
    return status;
}
