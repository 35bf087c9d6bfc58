/* SPDX-License-Identifier: Apache-2.0 */
/* Every call of the core API, in the order of the OpenCL 3.0 specification: X(since, name).
 * `since` is the version of the exported symbol, and that of the drivers whose dispatch table has
 * the entry. The list expands to the driver's function table (state/driver.h), to our own dispatch
 * table and to the look-up by name (shim/dispatch.c): a call listed without a wrapper is a link
 * error that names it. */
#ifndef SHADOWCL_SHIM_CALLS_H
#define SHADOWCL_SHIM_CALLS_H

/* clang-format off */
#define CALLS(X) \
    /* §4.1 Platforms */ \
    X(1_0, clGetPlatformIDs) \
    X(1_0, clGetPlatformInfo) \
    /* §4.2, §4.3 Devices and their partition */ \
    X(1_0, clGetDeviceIDs) \
    X(1_0, clGetDeviceInfo) \
    X(2_1, clGetDeviceAndHostTimer) \
    X(2_1, clGetHostTimer) \
    X(1_2, clCreateSubDevices) \
    X(1_2, clRetainDevice) \
    X(1_2, clReleaseDevice) \
    /* §4.4 Contexts */ \
    X(1_0, clCreateContext) \
    X(1_0, clCreateContextFromType) \
    X(1_0, clRetainContext) \
    X(1_0, clReleaseContext) \
    X(1_0, clGetContextInfo) \
    X(3_0, clSetContextDestructorCallback) \
    /* §5.1 Command queues */ \
    X(2_0, clCreateCommandQueueWithProperties) \
    X(1_0, clCreateCommandQueue) \
    X(2_1, clSetDefaultDeviceCommandQueue) \
    X(1_0, clRetainCommandQueue) \
    X(1_0, clReleaseCommandQueue) \
    X(1_0, clGetCommandQueueInfo) \
    X(1_0, clSetCommandQueueProperty) \
    /* §5.2 Buffers */ \
    X(1_0, clCreateBuffer) \
    X(3_0, clCreateBufferWithProperties) \
    X(1_1, clCreateSubBuffer) \
    X(1_0, clEnqueueReadBuffer) \
    X(1_0, clEnqueueWriteBuffer) \
    X(1_1, clEnqueueReadBufferRect) \
    X(1_1, clEnqueueWriteBufferRect) \
    X(1_0, clEnqueueCopyBuffer) \
    X(1_1, clEnqueueCopyBufferRect) \
    X(1_2, clEnqueueFillBuffer) \
    X(1_0, clEnqueueMapBuffer) \
    /* §5.3 Images */ \
    X(1_2, clCreateImage) \
    X(3_0, clCreateImageWithProperties) \
    X(1_0, clCreateImage2D) \
    X(1_0, clCreateImage3D) \
    X(1_0, clGetSupportedImageFormats) \
    X(1_0, clEnqueueReadImage) \
    X(1_0, clEnqueueWriteImage) \
    X(1_0, clEnqueueCopyImage) \
    X(1_2, clEnqueueFillImage) \
    X(1_0, clEnqueueCopyImageToBuffer) \
    X(1_0, clEnqueueCopyBufferToImage) \
    X(1_0, clEnqueueMapImage) \
    X(1_0, clGetImageInfo) \
    /* §5.4 Pipes */ \
    X(2_0, clCreatePipe) \
    X(2_0, clGetPipeInfo) \
    /* §5.5 Memory objects */ \
    X(1_0, clRetainMemObject) \
    X(1_0, clReleaseMemObject) \
    X(1_1, clSetMemObjectDestructorCallback) \
    X(1_0, clEnqueueUnmapMemObject) \
    X(1_2, clEnqueueMigrateMemObjects) \
    X(1_0, clGetMemObjectInfo) \
    /* §5.6 Shared virtual memory */ \
    X(2_0, clSVMAlloc) \
    X(2_0, clSVMFree) \
    X(2_0, clEnqueueSVMFree) \
    X(2_0, clEnqueueSVMMemcpy) \
    X(2_0, clEnqueueSVMMemFill) \
    X(2_0, clEnqueueSVMMap) \
    X(2_0, clEnqueueSVMUnmap) \
    X(2_1, clEnqueueSVMMigrateMem) \
    /* §5.7 Samplers */ \
    X(2_0, clCreateSamplerWithProperties) \
    X(1_0, clCreateSampler) \
    X(1_0, clRetainSampler) \
    X(1_0, clReleaseSampler) \
    X(1_0, clGetSamplerInfo) \
    /* §5.8 Programs */ \
    X(1_0, clCreateProgramWithSource) \
    X(2_1, clCreateProgramWithIL) \
    X(1_0, clCreateProgramWithBinary) \
    X(1_2, clCreateProgramWithBuiltInKernels) \
    X(1_0, clRetainProgram) \
    X(1_0, clReleaseProgram) \
    X(2_2, clSetProgramReleaseCallback) \
    X(2_2, clSetProgramSpecializationConstant) \
    X(1_0, clBuildProgram) \
    X(1_2, clCompileProgram) \
    X(1_2, clLinkProgram) \
    X(1_2, clUnloadPlatformCompiler) \
    X(1_0, clUnloadCompiler) \
    X(1_0, clGetProgramInfo) \
    X(1_0, clGetProgramBuildInfo) \
    /* §5.9 Kernels */ \
    X(1_0, clCreateKernel) \
    X(1_0, clCreateKernelsInProgram) \
    X(1_0, clRetainKernel) \
    X(1_0, clReleaseKernel) \
    X(1_0, clSetKernelArg) \
    X(2_0, clSetKernelArgSVMPointer) \
    X(2_0, clSetKernelExecInfo) \
    X(2_1, clCloneKernel) \
    X(1_0, clGetKernelInfo) \
    X(1_0, clGetKernelWorkGroupInfo) \
    X(2_1, clGetKernelSubGroupInfo) \
    X(1_2, clGetKernelArgInfo) \
    /* §5.10 Executing kernels */ \
    X(1_0, clEnqueueNDRangeKernel) \
    X(1_0, clEnqueueTask) \
    X(1_0, clEnqueueNativeKernel) \
    /* §5.11 Events */ \
    X(1_1, clCreateUserEvent) \
    X(1_1, clSetUserEventStatus) \
    X(1_0, clWaitForEvents) \
    X(1_0, clGetEventInfo) \
    X(1_1, clSetEventCallback) \
    X(1_0, clRetainEvent) \
    X(1_0, clReleaseEvent) \
    /* §5.12, §5.13 Markers, barriers, profiling */ \
    X(1_2, clEnqueueMarkerWithWaitList) \
    X(1_0, clEnqueueMarker) \
    X(1_0, clEnqueueWaitForEvents) \
    X(1_2, clEnqueueBarrierWithWaitList) \
    X(1_0, clEnqueueBarrier) \
    X(1_0, clGetEventProfilingInfo) \
    /* §5.15 Flush and finish */ \
    X(1_0, clFlush) \
    X(1_0, clFinish) \
    /* §9 Extensions: how to get at them, sub-groups, device fission */ \
    X(1_2, clGetExtensionFunctionAddressForPlatform) \
    X(1_0, clGetExtensionFunctionAddress) \
    X(2_0, clGetKernelSubGroupInfoKHR) \
    X(1_1, clCreateSubDevicesEXT) \
    X(1_1, clRetainDeviceEXT) \
    X(1_1, clReleaseDeviceEXT) \
    /* §9 Extensions: sharing with OpenGL and EGL */ \
    X(1_0, clCreateFromGLBuffer) \
    X(1_2, clCreateFromGLTexture) \
    X(1_0, clCreateFromGLTexture2D) \
    X(1_0, clCreateFromGLTexture3D) \
    X(1_0, clCreateFromGLRenderbuffer) \
    X(1_0, clGetGLObjectInfo) \
    X(1_0, clGetGLTextureInfo) \
    X(1_0, clEnqueueAcquireGLObjects) \
    X(1_0, clEnqueueReleaseGLObjects) \
    X(1_0, clGetGLContextInfoKHR) \
    X(1_1, clCreateEventFromGLsyncKHR) \
    X(1_0, clCreateFromEGLImageKHR) \
    X(1_0, clEnqueueAcquireEGLObjectsKHR) \
    X(1_0, clEnqueueReleaseEGLObjectsKHR) \
    X(1_0, clCreateEventFromEGLSyncKHR)
/* clang-format on */

#endif
