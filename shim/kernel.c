/* SPDX-License-Identifier: Apache-2.0 */
/* OpenCL 3.0 §5.9 Kernels. */
#include "state/kernel.h"

#include <stdlib.h>
#include <string.h>

#include "shim/cancel.h"
#include "shim/export.h"
#include "shim/gate.h"

EXPORT cl_kernel CL_API_CALL clCreateKernel(cl_program program, const char *kernel_name,
                                            cl_int *errcode_ret)
{
    struct program *owner = program_check(program);
    struct kernel *kernel = NULL;
    cl_int status = owner ? CL_SUCCESS : CL_INVALID_PROGRAM;
    if (owner && !kernel_name)
        status = CL_INVALID_VALUE;
    else if (owner && program_failed(owner))
        status = CL_INVALID_PROGRAM_EXECUTABLE;
    if (status == CL_SUCCESS) {
        NOT_CANCELLED();
        GATE(clCreateKernel);
        cl_kernel real =
            owner->object.driver->clCreateKernel(program_real(owner), kernel_name, &status);
        if (real && status == CL_SUCCESS) {
            kernel = kernel_create(owner, kernel_name, real);
            status = kernel ? CL_SUCCESS : CL_OUT_OF_HOST_MEMORY;
        }
        if (kernel)
            object_publish(kernel);
    }
    if (errcode_ret)
        *errcode_ret = status;
    return (cl_kernel)kernel;
}

/* The shadow of a kernel whose name only the driver knows; gives the real one back on failure. */
static struct kernel *adopt(struct program *program, cl_kernel real)
{
    const struct driver *driver = program->object.driver;
    size_t size = 0;
    driver->clGetKernelInfo(real, CL_KERNEL_FUNCTION_NAME, 0, NULL, &size);
    char *name = calloc(1, size + 1);
    if (!name || driver->clGetKernelInfo(real, CL_KERNEL_FUNCTION_NAME, size, name, NULL)) {
        RELEASE(driver, clReleaseKernel, real);
        free(name);
        return NULL;
    }
    struct kernel *kernel = kernel_create(program, name, real);
    free(name);
    return kernel;
}

/* Undoes kernel_create for kernels that nobody has seen. */
static void discard(struct kernel *kernel)
{
    kernel_destroy(kernel);
    object_discard(kernel);
}

/* All of them or none, in place. */
static cl_int adopt_all(struct program *program, cl_uint count, cl_kernel *kernels)
{
    bool ok = true;
    for (cl_uint i = 0; i < count; i++) {
        kernels[i] = (cl_kernel)adopt(program, kernels[i]);
        ok = ok && kernels[i];
    }
    for (cl_uint i = 0; i < count; i++) {
        if (ok)
            object_publish(kernels[i]);
        else if (kernels[i])
            discard((struct kernel *)kernels[i]);
    }
    return ok ? CL_SUCCESS : CL_OUT_OF_HOST_MEMORY;
}

EXPORT cl_int CL_API_CALL clCreateKernelsInProgram(cl_program program, cl_uint num_kernels,
                                                   cl_kernel *kernels, cl_uint *num_kernels_ret)
{
    struct program *owner = program_check(program);
    if (!owner)
        return CL_INVALID_PROGRAM;
    if (program_failed(owner))
        return CL_INVALID_PROGRAM_EXECUTABLE;
    NOT_CANCELLED();
    GATE(clCreateKernelsInProgram);
    const struct driver *driver = owner->object.driver;
    cl_uint count = 0;
    cl_int status = driver->clCreateKernelsInProgram(program_real(owner), 0, NULL, &count);
    if (status == CL_SUCCESS && kernels && num_kernels < count)
        status = CL_INVALID_VALUE;
    if (status == CL_SUCCESS && kernels && count) {
        cl_kernel *made = calloc(count, sizeof(cl_kernel));
        status = made ? driver->clCreateKernelsInProgram(program_real(owner), count, made, NULL)
                      : CL_OUT_OF_HOST_MEMORY;
        if (status == CL_SUCCESS)
            status = adopt_all(owner, count, made);
        if (status == CL_SUCCESS)
            memcpy(kernels, made, count * sizeof(cl_kernel));
        free(made);
    }
    if (status == CL_SUCCESS && num_kernels_ret)
        *num_kernels_ret = count;
    return status;
}

EXPORT cl_int CL_API_CALL clRetainKernel(cl_kernel kernel)
{
    struct kernel *object = kernel_check(kernel);
    return object && object_retain(object) ? CL_SUCCESS : CL_INVALID_KERNEL;
}

EXPORT cl_int CL_API_CALL clReleaseKernel(cl_kernel kernel)
{
    struct kernel *object = kernel_check(kernel);
    return object && object_release(object) ? CL_SUCCESS : CL_INVALID_KERNEL;
}

EXPORT cl_int CL_API_CALL clSetKernelArg(cl_kernel kernel, cl_uint arg_index, size_t arg_size,
                                         const void *arg_value)
{
    GATE(clSetKernelArg);
    struct kernel *object = kernel_check(kernel);
    return object ? kernel_set_arg(object, arg_index, arg_size, arg_value) : CL_INVALID_KERNEL;
}

EXPORT cl_int CL_API_CALL clSetKernelArgSVMPointer(cl_kernel kernel, cl_uint arg_index,
                                                   const void *arg_value)
{
    GATE(clSetKernelArgSVMPointer);
    struct kernel *object = kernel_check(kernel);
    if (!object)
        return CL_INVALID_KERNEL;
    if (!object->object.driver->clSetKernelArgSVMPointer)
        return CL_INVALID_OPERATION;
    return kernel_set_svm(object, arg_index, arg_value);
}

EXPORT cl_int CL_API_CALL clSetKernelExecInfo(cl_kernel kernel, cl_kernel_exec_info param_name,
                                              size_t param_value_size, const void *param_value)
{
    GATE(clSetKernelExecInfo);
    struct kernel *object = kernel_check(kernel);
    if (!object)
        return CL_INVALID_KERNEL;
    if (!object->object.driver->clSetKernelExecInfo)
        return CL_INVALID_OPERATION;
    return kernel_set_exec(object, param_name, param_value_size, param_value);
}

EXPORT cl_kernel CL_API_CALL clCloneKernel(cl_kernel source_kernel, cl_int *errcode_ret)
{
    struct kernel *source = kernel_check(source_kernel);
    struct kernel *kernel = NULL;
    cl_int status = source ? CL_SUCCESS : CL_INVALID_KERNEL;
    if (source) {
        NOT_CANCELLED();
        GATE(clCloneKernel);
        const struct driver *driver = source->object.driver;
        cl_kernel real = NULL;
        status = CL_INVALID_OPERATION;
        if (driver->clCloneKernel)
            real = driver->clCloneKernel(kernel_real(source), &status);
        if (real && status == CL_SUCCESS) {
            kernel = kernel_create(source->program, kernel_name(source), real);
            if (kernel && !kernel_copy_state(kernel, source)) {
                discard(kernel);
                kernel = NULL;
            }
            status = kernel ? CL_SUCCESS : CL_OUT_OF_HOST_MEMORY;
        }
        if (kernel)
            object_publish(kernel);
    }
    if (errcode_ret)
        *errcode_ret = status;
    return (cl_kernel)kernel;
}
