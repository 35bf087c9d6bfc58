/* SPDX-License-Identifier: Apache-2.0 */
/* OpenCL 3.0 §5.9.4 Kernel object queries. What was once answered stays. */
#include <stdlib.h>

#include "shim/cancel.h"
#include "shim/export.h"
#include "shim/gate.h"
#include "state/kernel.h"
#include "state/queue.h"

/* The driver's facts of the kernel: asked for once. */
static void know_facts(struct kernel *kernel)
{
    if (info_cache_find(&kernel->info, CL_KERNEL_ATTRIBUTES))
        return;
    NOT_CANCELLED();
    GATE(clGetKernelInfo);
    kernel_read_facts(kernel->object.driver, kernel_real(kernel), &kernel->info);
}

static cl_int attributes(struct kernel *kernel, struct answer to)
{
    know_facts(kernel);
    const struct info_entry *entry = info_cache_find(&kernel->info, CL_KERNEL_ATTRIBUTES);
    return entry ? info_bytes(to, entry->bytes, entry->size) : CL_INVALID_VALUE;
}

EXPORT cl_int CL_API_CALL clGetKernelInfo(cl_kernel kernel, cl_kernel_info param_name,
                                          size_t param_value_size, void *param_value,
                                          size_t *param_value_size_ret)
{
    struct answer to = {param_value_size, param_value, param_value_size_ret};
    struct kernel *object = kernel_check(kernel);
    if (!object)
        return CL_INVALID_KERNEL;
    switch (param_name) {
    case CL_KERNEL_FUNCTION_NAME:
        return info_string(to, kernel_name(object));
    case CL_KERNEL_NUM_ARGS:
        return info_value(to, object->num_args);
    case CL_KERNEL_REFERENCE_COUNT:
        return info_value(to, (cl_uint)atomic_load(&object->object.refs));
    case CL_KERNEL_CONTEXT:
        return info_value(to, (cl_context)object->program->context);
    case CL_KERNEL_PROGRAM:
        return info_value(to, (cl_program)object->program);
    case CL_KERNEL_ATTRIBUTES:
        return attributes(object, to);
    default:
        return CL_INVALID_VALUE;
    }
}

/* The questions about arguments; the same numbers mean others, or nothing, elsewhere. */
static bool is_of_argument(cl_uint param)
{
    return param >= CL_KERNEL_ARG_ADDRESS_QUALIFIER && param <= CL_KERNEL_ARG_NAME;
}

EXPORT cl_int CL_API_CALL clGetKernelArgInfo(cl_kernel kernel, cl_uint arg_index,
                                             cl_kernel_arg_info param_name, size_t param_value_size,
                                             void *param_value, size_t *param_value_size_ret)
{
    struct answer to = {param_value_size, param_value, param_value_size_ret};
    struct kernel *object = kernel_check(kernel);
    if (!object)
        return CL_INVALID_KERNEL;
    if (arg_index >= object->num_args)
        return CL_INVALID_ARG_INDEX;
    know_facts(object);
    const struct info_entry *entry =
        is_of_argument(param_name)
            ? info_cache_find(&object->info, kernel_info_key(param_name, arg_index))
            : NULL;
    if (entry)
        return info_bytes(to, entry->bytes, entry->size);
    GATE(clGetKernelArgInfo);
    return object->object.driver->clGetKernelArgInfo(kernel_real(object), arg_index, param_name,
                                                     param_value_size, param_value,
                                                     param_value_size_ret);
}

/* The device's place in a key: 0 stands for NULL. */
static cl_int device_key(const struct kernel *kernel, cl_device_id device, cl_uint *key)
{
    *key = 0;
    if (!device)
        return CL_SUCCESS;
    struct device *object = device_check(device);
    int index = object ? program_device_index(kernel->program, object) : -1;
    *key = (cl_uint)(index + 1);
    return index < 0 ? CL_INVALID_DEVICE : CL_SUCCESS;
}

static cl_device_id real_or_null(cl_device_id device)
{
    return device ? device_real(device_check(device)) : NULL;
}

EXPORT cl_int CL_API_CALL clGetKernelWorkGroupInfo(cl_kernel kernel, cl_device_id device,
                                                   cl_kernel_work_group_info param_name,
                                                   size_t param_value_size, void *param_value,
                                                   size_t *param_value_size_ret)
{
    struct answer to = {param_value_size, param_value, param_value_size_ret};
    struct kernel *object = kernel_check(kernel);
    cl_uint key;
    if (!object)
        return CL_INVALID_KERNEL;
    cl_int status = device_key(object, device, &key);
    if (status != CL_SUCCESS)
        return status;
    key = kernel_info_key(param_name, key);
    const struct info_entry *entry =
        is_of_argument(param_name) || param_name == CL_KERNEL_ATTRIBUTES
            ? NULL
            : info_cache_find(&object->info, key);
    if (entry)
        return info_bytes(to, entry->bytes, entry->size);
    GATE(clGetKernelWorkGroupInfo);
    size_t value[3], size = 0;
    status = object->object.driver->clGetKernelWorkGroupInfo(
        kernel_real(object), real_or_null(device), param_name, sizeof value, value, &size);
    if (status != CL_SUCCESS)
        return status;
    /* This one changes with the local arguments that are set. */
    if (param_name != CL_KERNEL_LOCAL_MEM_SIZE)
        info_cache_add(&object->info, key, value, size);
    return info_bytes(to, value, size);
}

EXPORT cl_int CL_API_CALL clGetKernelSubGroupInfo(cl_kernel kernel, cl_device_id device,
                                                  cl_kernel_sub_group_info param_name,
                                                  size_t input_value_size, const void *input_value,
                                                  size_t param_value_size, void *param_value,
                                                  size_t *param_value_size_ret)
{
    struct kernel *object = kernel_check(kernel);
    cl_uint key;
    if (!object)
        return CL_INVALID_KERNEL;
    cl_int status = device_key(object, device, &key);
    if (status != CL_SUCCESS)
        return status;
    GATE(clGetKernelSubGroupInfo);
    const struct driver *driver = object->object.driver;
    if (!driver->clGetKernelSubGroupInfo)
        return CL_INVALID_OPERATION;
    return driver->clGetKernelSubGroupInfo(kernel_real(object), real_or_null(device), param_name,
                                           input_value_size, input_value, param_value_size,
                                           param_value, param_value_size_ret);
}

EXPORT cl_int CL_API_CALL clGetKernelSubGroupInfoKHR(cl_kernel kernel, cl_device_id device,
                                                     cl_kernel_sub_group_info param_name,
                                                     size_t input_value_size,
                                                     const void *input_value,
                                                     size_t param_value_size, void *param_value,
                                                     size_t *param_value_size_ret)
{
    struct kernel *object = kernel_check(kernel);
    cl_uint key;
    if (!object)
        return CL_INVALID_KERNEL;
    cl_int status = device_key(object, device, &key);
    if (status != CL_SUCCESS)
        return status;
    GATE(clGetKernelSubGroupInfoKHR);
    const struct driver *driver = object->object.driver;
    if (!driver->clGetKernelSubGroupInfoKHR)
        return CL_INVALID_OPERATION;
    return driver->clGetKernelSubGroupInfoKHR(kernel_real(object), real_or_null(device), param_name,
                                              input_value_size, input_value, param_value_size,
                                              param_value, param_value_size_ret);
}

/* cl_khr_suggested_local_work_size: what the driver would take for a launch without a local size,
 * with the arguments as they are set now. */
cl_int CL_API_CALL clGetKernelSuggestedLocalWorkSizeKHR(cl_command_queue command_queue,
                                                        cl_kernel kernel, cl_uint work_dim,
                                                        const size_t *global_work_offset,
                                                        const size_t *global_work_size,
                                                        size_t *suggested_local_work_size)
{
    struct queue *queue = queue_check(command_queue);
    struct kernel *object = kernel_check(kernel);
    if (!queue)
        return CL_INVALID_COMMAND_QUEUE;
    if (!object)
        return CL_INVALID_KERNEL;
    if (queue->context != object->program->context)
        return CL_INVALID_CONTEXT;
    GATE(clGetKernelSuggestedLocalWorkSizeKHR);
    /* A driver that we moved to may be one without it. */
    clGetKernelSuggestedLocalWorkSizeKHR_fn suggest =
        (clGetKernelSuggestedLocalWorkSizeKHR_fn)driver_extension(
            object->object.driver, "clGetKernelSuggestedLocalWorkSizeKHR");
    if (!suggest)
        return CL_INVALID_OPERATION;
    return suggest(queue_real(queue), kernel_real(object), work_dim, global_work_offset,
                   global_work_size, suggested_local_work_size);
}
