/* SPDX-License-Identifier: Apache-2.0 */
/* A driver for the fuzzers: see fuzz_driver.h. */
#include "fuzz_driver.h"

#include <stdlib.h>
#include <string.h>

#include "state/command_buffer.h"

/* All that a handle of it points to. */
static char device, object;
static long live;

cl_device_id fuzz_device(void)
{
    return (cl_device_id)&device;
}

long fuzz_driver_objects(void)
{
    return live;
}

static void check(const void *handle)
{
    if (handle != &object)
        abort();
}

static void check_device(cl_device_id handle)
{
    if (handle != fuzz_device())
        abort();
}

static void *make(cl_int *err)
{
    live++;
    if (err)
        *err = CL_SUCCESS;
    return &object;
}

/* So much of it is read, and something is done with it. */
static void touch(const void *bytes, size_t size)
{
    volatile unsigned char sum = 0;
    for (size_t i = 0; i < size; i++)
        sum ^= ((const unsigned char *)bytes)[i];
    (void)sum;
}

static cl_int drop(void *handle)
{
    check(handle);
    live--;
    return CL_SUCCESS;
}

#define RELEASES(X)                                                                                \
    X(clReleaseContext, cl_context)                                                                \
    X(clReleaseCommandQueue, cl_command_queue)                                                     \
    X(clReleaseMemObject, cl_mem)                                                                  \
    X(clReleaseSampler, cl_sampler)                                                                \
    X(clReleaseProgram, cl_program)                                                                \
    X(clReleaseKernel, cl_kernel)                                                                  \
    X(clReleaseCommandBufferKHR, cl_command_buffer_khr)
#define X(call, type)                                                                              \
    static cl_int CL_API_CALL fuzz_##call(type handle)                                             \
    {                                                                                              \
        return drop(handle);                                                                       \
    }
RELEASES(X)
#undef X

/* Answers of any sort: zeros, of the size that is wanted, at most 64. */
static cl_int answer(size_t size, void *value, size_t *size_ret)
{
    if (value && size)
        memset(value, 0, size);
    if (size_ret)
        *size_ret = 64;
    return CL_SUCCESS;
}

static cl_int CL_API_CALL fuzz_device_info(cl_device_id handle, cl_device_info param, size_t size,
                                           void *value, size_t *size_ret)
{
    check_device(handle);
    return answer(size, value, size_ret);
}

static cl_int CL_API_CALL fuzz_platform_info(cl_platform_id platform, cl_platform_info param,
                                             size_t size, void *value, size_t *size_ret)
{
    return answer(size, value, size_ret);
}

static cl_int CL_API_CALL fuzz_sub_devices(cl_device_id handle,
                                           const cl_device_partition_property *properties,
                                           cl_uint room, cl_device_id *parts, cl_uint *count)
{
    check_device(handle);
    for (cl_uint i = 0; i < room && parts; i++)
        parts[i] = fuzz_device();
    if (count)
        *count = 3;
    live += parts ? room : 0;
    return CL_SUCCESS;
}

static cl_int CL_API_CALL fuzz_release_device(cl_device_id handle)
{
    check_device(handle);
    live--;
    return CL_SUCCESS;
}

static cl_context CL_API_CALL fuzz_context(
    const cl_context_properties *properties, cl_uint count, const cl_device_id *devices,
    void(CL_CALLBACK *notify)(const char *, const void *, size_t, void *), void *data, cl_int *err)
{
    for (cl_uint i = 0; i < count; i++)
        check_device(devices[i]);
    for (; properties && *properties; properties += 2)
        touch(properties, 2 * sizeof *properties);
    return make(err);
}

static cl_command_queue CL_API_CALL fuzz_queue(cl_context context, cl_device_id handle,
                                               const cl_queue_properties *properties, cl_int *err)
{
    check(context);
    check_device(handle);
    for (; properties && *properties; properties += 2)
        touch(properties, 2 * sizeof *properties);
    return make(err);
}

static cl_mem CL_API_CALL fuzz_buffer(cl_context context, cl_mem_flags flags, size_t size,
                                      void *host, cl_int *err)
{
    check(context);
    return make(err);
}

static cl_mem CL_API_CALL fuzz_sub_buffer(cl_mem parent, cl_mem_flags flags,
                                          cl_buffer_create_type type, const void *region,
                                          cl_int *err)
{
    check(parent);
    touch(region, sizeof(cl_buffer_region));
    return make(err);
}

static cl_mem CL_API_CALL fuzz_image(cl_context context, cl_mem_flags flags,
                                     const cl_image_format *format, const cl_image_desc *desc,
                                     void *host, cl_int *err)
{
    check(context);
    if (desc->mem_object)
        check(desc->mem_object);
    return make(err);
}

/* An element of no size: that of the recorded format is taken. */
static cl_int CL_API_CALL fuzz_image_info(cl_mem image, cl_image_info param, size_t size,
                                          void *value, size_t *size_ret)
{
    check(image);
    return answer(size, value, size_ret);
}

static cl_sampler CL_API_CALL fuzz_sampler(cl_context context, cl_bool normalized,
                                           cl_addressing_mode addressing, cl_filter_mode filter,
                                           cl_int *err)
{
    check(context);
    return make(err);
}

static cl_program CL_API_CALL fuzz_source(cl_context context, cl_uint count, const char **strings,
                                          const size_t *lengths, cl_int *err)
{
    check(context);
    touch(strings[0], lengths[0]);
    return make(err);
}

static cl_program CL_API_CALL fuzz_il(cl_context context, const void *il, size_t size, cl_int *err)
{
    check(context);
    touch(il, size);
    return make(err);
}

static cl_program CL_API_CALL fuzz_binary(cl_context context, cl_uint count,
                                          const cl_device_id *devices, const size_t *sizes,
                                          const unsigned char **binaries, cl_int *status,
                                          cl_int *err)
{
    check(context);
    for (cl_uint i = 0; i < count; i++) {
        check_device(devices[i]);
        touch(binaries[i], sizes[i]);
    }
    return make(err);
}

static cl_int CL_API_CALL fuzz_constant(cl_program program, cl_uint id, size_t size,
                                        const void *value)
{
    check(program);
    touch(value, size);
    return CL_SUCCESS;
}

static cl_int CL_API_CALL fuzz_build(cl_program program, cl_uint count, const cl_device_id *devices,
                                     const char *options,
                                     void(CL_CALLBACK *notify)(cl_program, void *), void *data)
{
    check(program);
    for (cl_uint i = 0; i < count; i++)
        check_device(devices[i]);
    touch(options, options ? strlen(options) : 0);
    return CL_SUCCESS;
}

static cl_int CL_API_CALL fuzz_compile(cl_program program, cl_uint count,
                                       const cl_device_id *devices, const char *options,
                                       cl_uint num_headers, const cl_program *headers,
                                       const char **names,
                                       void(CL_CALLBACK *notify)(cl_program, void *), void *data)
{
    for (cl_uint i = 0; i < num_headers; i++) {
        check(headers[i]);
        touch(names[i], strlen(names[i]));
    }
    return fuzz_build(program, count, devices, options, notify, data);
}

static cl_program CL_API_CALL fuzz_link(cl_context context, cl_uint count,
                                        const cl_device_id *devices, const char *options,
                                        cl_uint num_inputs, const cl_program *inputs,
                                        void(CL_CALLBACK *notify)(cl_program, void *), void *data,
                                        cl_int *err)
{
    check(context);
    for (cl_uint i = 0; i < num_inputs; i++)
        check(inputs[i]);
    return make(err);
}

static cl_kernel CL_API_CALL fuzz_kernel(cl_program program, const char *name, cl_int *err)
{
    check(program);
    touch(name, strlen(name));
    return make(err);
}

/* A handle's size says nothing: it may be any bytes. */
static cl_int CL_API_CALL fuzz_arg(cl_kernel kernel, cl_uint index, size_t size, const void *value)
{
    check(kernel);
    touch(value, value ? size : 0);
    return CL_SUCCESS;
}

static cl_int CL_API_CALL fuzz_arg_svm(cl_kernel kernel, cl_uint index, const void *value)
{
    check(kernel);
    return CL_SUCCESS;
}

static cl_int CL_API_CALL fuzz_exec(cl_kernel kernel, cl_kernel_exec_info param, size_t size,
                                    const void *value)
{
    check(kernel);
    touch(value, size);
    return CL_SUCCESS;
}

static cl_int CL_API_CALL fuzz_program_build_info(cl_program program, cl_device_id handle,
                                                  cl_program_build_info param, size_t size,
                                                  void *value, size_t *size_ret)
{
    check(program);
    return answer(size, value, size_ret);
}

static cl_command_buffer_khr CL_API_CALL
fuzz_command_buffer(cl_uint count, const cl_command_queue *queues,
                    const cl_command_buffer_properties_khr *properties, cl_int *err)
{
    check(queues[0]);
    return make(err);
}

static cl_int CL_API_CALL fuzz_finalize(cl_command_buffer_khr buffer)
{
    check(buffer);
    return CL_SUCCESS;
}

static cl_int CL_API_CALL fuzz_barrier(cl_command_buffer_khr buffer, cl_command_queue queue,
                                       cl_uint count, const cl_sync_point_khr *waits,
                                       cl_sync_point_khr *point, cl_mutable_command_khr *handle)
{
    check(buffer);
    touch(waits, count * sizeof *waits);
    *point = 1;
    return CL_SUCCESS;
}

static cl_int CL_API_CALL fuzz_copy(cl_command_buffer_khr buffer, cl_command_queue queue,
                                    cl_mem source, cl_mem target, size_t from, size_t to,
                                    size_t size, cl_uint count, const cl_sync_point_khr *waits,
                                    cl_sync_point_khr *point, cl_mutable_command_khr *handle)
{
    check(source);
    check(target);
    return fuzz_barrier(buffer, queue, count, waits, point, handle);
}

static cl_int CL_API_CALL fuzz_fill(cl_command_buffer_khr buffer, cl_command_queue queue,
                                    cl_mem target, const void *pattern, size_t pattern_size,
                                    size_t offset, size_t size, cl_uint count,
                                    const cl_sync_point_khr *waits, cl_sync_point_khr *point,
                                    cl_mutable_command_khr *handle)
{
    check(target);
    touch(pattern, pattern_size);
    return fuzz_barrier(buffer, queue, count, waits, point, handle);
}

static cl_int CL_API_CALL fuzz_launch(cl_command_buffer_khr buffer, cl_command_queue queue,
                                      const cl_ndrange_kernel_command_properties_khr *properties,
                                      cl_kernel kernel, cl_uint dims, const size_t *offset,
                                      const size_t *global, const size_t *local, cl_uint count,
                                      const cl_sync_point_khr *waits, cl_sync_point_khr *point,
                                      cl_mutable_command_khr *handle)
{
    check(kernel);
    if (dims < 1 || dims > 3)
        abort();
    return fuzz_barrier(buffer, queue, count, waits, point, handle);
}

/* The commands that have no function of their own here are not called: see functions[]. */
static cl_int CL_API_CALL fuzz_never(void)
{
    return CL_INVALID_OPERATION;
}

static const struct {
    const char *name;
    void *function;
} functions[] = {
    {"clCreateCommandBufferKHR", (void *)fuzz_command_buffer},
    {"clFinalizeCommandBufferKHR", (void *)fuzz_finalize},
    {"clReleaseCommandBufferKHR", (void *)fuzz_clReleaseCommandBufferKHR},
    {"clCommandBarrierWithWaitListKHR", (void *)fuzz_barrier},
    {"clCommandCopyBufferKHR", (void *)fuzz_copy},
    {"clCommandFillBufferKHR", (void *)fuzz_fill},
    {"clCommandNDRangeKernelKHR", (void *)fuzz_launch},
};

static void *CL_API_CALL fuzz_extension(cl_platform_id platform, const char *name)
{
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (strcmp(functions[i].name, name) == 0)
            return functions[i].function;
    return (void *)fuzz_never;
}

static char platform;

const struct driver fuzz_driver = {
    .platform = (cl_platform_id)&platform, /* there is one: it is not abandoned */
    .clReleaseContext = fuzz_clReleaseContext,
    .clReleaseCommandQueue = fuzz_clReleaseCommandQueue,
    .clReleaseMemObject = fuzz_clReleaseMemObject,
    .clReleaseSampler = fuzz_clReleaseSampler,
    .clReleaseProgram = fuzz_clReleaseProgram,
    .clReleaseKernel = fuzz_clReleaseKernel,
    .clGetDeviceInfo = fuzz_device_info,
    .clGetPlatformInfo = fuzz_platform_info,
    .clCreateSubDevices = fuzz_sub_devices,
    .clReleaseDevice = fuzz_release_device,
    .clCreateContext = fuzz_context,
    .clCreateCommandQueueWithProperties = fuzz_queue,
    .clCreateBuffer = fuzz_buffer,
    .clCreateSubBuffer = fuzz_sub_buffer,
    .clCreateImage = fuzz_image,
    .clGetImageInfo = fuzz_image_info,
    .clCreateSampler = fuzz_sampler,
    .clCreateProgramWithSource = fuzz_source,
    .clCreateProgramWithIL = fuzz_il,
    .clCreateProgramWithBinary = fuzz_binary,
    .clSetProgramSpecializationConstant = fuzz_constant,
    .clBuildProgram = fuzz_build,
    .clCompileProgram = fuzz_compile,
    .clLinkProgram = fuzz_link,
    .clCreateKernel = fuzz_kernel,
    .clSetKernelArg = fuzz_arg,
    .clSetKernelArgSVMPointer = fuzz_arg_svm,
    .clSetKernelExecInfo = fuzz_exec,
    .clGetProgramBuildInfo = fuzz_program_build_info,
    .clGetExtensionFunctionAddressForPlatform = fuzz_extension,
    .version = 300,
};
