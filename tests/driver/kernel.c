/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels. */
#include "tests/driver/driver.h"

#include <stdlib.h>

CREATE(cl_kernel, clCloneKernel, (cl_kernel kernel, cl_int *errcode_ret), (kernel, errcode_ret),
       kernel)
RETAIN(clRetainKernel, cl_kernel)
RELEASE(clReleaseKernel, cl_kernel)
QUERY(clGetKernelInfo, cl_kernel, cl_kernel_info)
PASS(clGetKernelArgInfo,
     (cl_kernel kernel, cl_uint index, cl_kernel_arg_info param, size_t space, void *value,
      size_t *size_ret),
     (kernel, index, param, space, value, size_ret), kernel)
PASS(clGetKernelSubGroupInfo,
     (cl_kernel kernel, cl_device_id id, cl_kernel_sub_group_info param, size_t input_size,
      const void *input, size_t space, void *value, size_t *size_ret),
     (kernel, id, param, input_size, input, space, value, size_ret), kernel)

cl_int CL_API_CALL clCreateKernelsInProgram(cl_program program, cl_uint num_entries,
                                            cl_kernel *kernels, cl_uint *num_kernels)
{
    cl_int err = call_begin(CALL_clCreateKernelsInProgram, devices_of(program));
    cl_uint count = 0;
    if (err == CL_SUCCESS)
        err = pocl->clCreateKernelsInProgram(program, num_entries, kernels, &count);
    if (err != CL_SUCCESS)
        return err;
    for (cl_uint i = 0; kernels && i < count; i++)
        adopt(kernels[i]);
    if (num_kernels)
        *num_kernels = count;
    return CL_SUCCESS;
}

static struct device *only_device(cl_kernel kernel, cl_device_id id)
{
    cl_context context = NULL;
    if (id)
        return device_find(id);
    if (kernel)
        pocl->clGetKernelInfo(kernel, CL_KERNEL_CONTEXT, sizeof context, &context, NULL);
    return context_device(context);
}

cl_int CL_API_CALL clGetKernelWorkGroupInfo(cl_kernel kernel, cl_device_id id,
                                            cl_kernel_work_group_info param, size_t space,
                                            void *value, size_t *size_ret)
{
    cl_int err = call_begin(CALL_clGetKernelWorkGroupInfo, devices_of(kernel));
    if (err == CL_SUCCESS)
        err = pocl->clGetKernelWorkGroupInfo(kernel, id, param, space, value, size_ret);
    if (err != CL_SUCCESS || param != CL_KERNEL_WORK_GROUP_SIZE || !value)
        return err;
    struct device *device = only_device(kernel, id);
    size_t *size = value;
    if (device && device->caps.max_wg && *size > device->caps.max_wg)
        *size = device->caps.max_wg;
    return CL_SUCCESS;
}

/* cl_khr_suggested_local_work_size, which pocl does not have: the most work-items, by halving, that
 * divide the first dimension. */
cl_int CL_API_CALL clGetKernelSuggestedLocalWorkSizeKHR(cl_command_queue queue, cl_kernel kernel,
                                                        cl_uint dims, const size_t *offset,
                                                        const size_t *global, size_t *local)
{
    cl_int err = call_begin(CALL_clGetKernelWorkGroupInfo, queue_mask(queue));
    size_t most = 1;
    cl_device_id id = NULL;
    if (err == CL_SUCCESS)
        err = pocl->clGetCommandQueueInfo(queue, CL_QUEUE_DEVICE, sizeof id, &id, NULL);
    if (err == CL_SUCCESS && (dims < 1 || dims > 3))
        err = CL_INVALID_WORK_DIMENSION;
    if (err == CL_SUCCESS && (!global || !local))
        err = global ? CL_INVALID_VALUE : CL_INVALID_GLOBAL_WORK_SIZE;
    if (err == CL_SUCCESS)
        err = pocl->clGetKernelWorkGroupInfo(kernel, id, CL_KERNEL_WORK_GROUP_SIZE, sizeof most,
                                             &most, NULL);
    if (err != CL_SUCCESS)
        return err;
    while (global[0] % most)
        most /= 2;
    local[0] = most;
    for (cl_uint i = 1; i < dims; i++)
        local[i] = 1;
    return CL_SUCCESS;
}
