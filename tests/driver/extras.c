/* SPDX-License-Identifier: Apache-2.0 */
/* With the cap `extras` a device claims what pocl has not: pipes, queues on the device, contexts
 * that share with OpenGL, EGL, Direct3D or VA-API, mip levels, formats that nobody knows, SVM that
 * has to be its own, extensions with functions (of which cl_khr_il_program and
 * cl_ext_device_fission work). The objects are
 * there to be held; nothing can be done with them. */
#include "tests/driver/driver.h"

#include <stdlib.h>
#include <string.h>

/* By number: their headers want more than we have. */
#define CONTEXT_D3D11_DEVICE 0x401D
#define CONTEXT_VA_API_DISPLAY 0x4097

bool extras_of(cl_context context)
{
    struct device *device = context_device(context);
    return device && device->caps.extras;
}

bool extras_info(const struct device *device, cl_device_info param, cl_ulong *value)
{
    if (!device->caps.extras)
        return false;
    switch (param) {
    case CL_DEVICE_QUEUE_ON_DEVICE_PROPERTIES:
        *value = CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE;
        return true;
    case CL_DEVICE_DEVICE_ENQUEUE_CAPABILITIES:
        *value = CL_DEVICE_QUEUE_SUPPORTED | CL_DEVICE_QUEUE_REPLACEABLE_DEFAULT;
        return true;
    default:
        return false;
    }
}

void extras_strip_context(cl_context_properties *properties)
{
    cl_context_properties *to = properties;
    for (cl_context_properties *from = properties; from && *from; from += 2) {
        if (from[0] == CL_GL_CONTEXT_KHR || from[0] == CL_EGL_DISPLAY_KHR ||
            from[0] == CONTEXT_D3D11_DEVICE || from[0] == CONTEXT_VA_API_DISPLAY)
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

void *CL_API_CALL clSVMAlloc(cl_context context, cl_svm_mem_flags flags, size_t size,
                             cl_uint alignment)
{
    void *pointer = NULL;
    if (call_begin(CALL_clSVMAlloc, 0) != CL_SUCCESS || !extras_of(context) ||
        posix_memalign(&pointer, PAGE, size) != 0)
        return NULL;
    return pointer;
}

void CL_API_CALL clSVMFree(cl_context context, void *pointer)
{
    call_begin(CALL_clSVMFree, 0);
    free(pointer);
}

const char *extras_extensions(const struct device *device)
{
    return device->caps.extras ? " cl_khr_semaphore cl_khr_external_semaphore"
                                 " cl_khr_external_memory cl_khr_gl_sharing cl_khr_gl_event"
                                 " cl_khr_egl_image cl_khr_d3d11_sharing"
                                 " cl_intel_unified_shared_memory cl_arm_import_memory"
                                 " cl_khr_il_program cl_ext_device_fission"
                               : "";
}

static cl_int CL_API_CALL do_nothing(void)
{
    return CL_SUCCESS;
}

void *extras_function(const char *name)
{
    static const char *const names[] = {"clCreateSemaphoreWithPropertiesKHR",
                                        "clEnqueueSignalSemaphoresKHR",
                                        "clEnqueueAcquireExternalMemObjectsKHR",
                                        "clCreateEventFromGLsyncKHR",
                                        "clCreateFromEGLImageKHR",
                                        "clCreateFromD3D11BufferKHR",
                                        "clHostMemAllocINTEL",
                                        "clImportMemoryARM"};
    bool claimed = false;
    for (unsigned i = 0; i < num_devices; i++)
        claimed |= devices[i].caps.extras;
    if (claimed && !strcmp(name, "clCreateProgramWithILKHR"))
        return (void *)clCreateProgramWithIL;
    for (size_t i = 0; claimed && i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i]))
            return (void *)do_nothing;
    return NULL;
}
