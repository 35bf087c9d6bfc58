/* SPDX-License-Identifier: Apache-2.0 */
/* What platforms, devices, contexts and samplers answer, by the letter of the specification. The
 * same program passes on the usual loader and under the shim; with `wrong` as its argument it also
 * gives wrong handles, which only the shim survives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <CL/cl.h>
#include <CL/cl_ext.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static cl_platform_id platform;
static cl_device_id device;
static bool strict; /* under the shim: also what drivers are lax about */

static int find_device(void **state)
{
    cl_platform_id all[16];
    cl_uint count = 0;
    if (clGetPlatformIDs(16, all, &count) != CL_SUCCESS)
        return -1;
    for (cl_uint i = 0; i < count && i < 16; i++)
        if (clGetDeviceIDs(all[i], CL_DEVICE_TYPE_ALL, 1, &device, NULL) == CL_SUCCESS) {
            platform = all[i];
            return 0;
        }
    return -1;
}

static cl_uint number(cl_int err, cl_uint value)
{
    assert_int_equal(err, CL_SUCCESS);
    return value;
}
#define ask(call, object, param)                                                                   \
    __extension__({                                                                                \
        cl_uint ask_ = 0;                                                                          \
        cl_int ask_err_ = call(object, param, sizeof ask_, &ask_, NULL);                           \
        number(ask_err_, ask_);                                                                    \
    })

static void platforms_are_listed(void **state)
{
    cl_platform_id one = NULL;
    cl_uint count = 0;
    assert_int_equal(clGetPlatformIDs(0, &one, NULL), CL_INVALID_VALUE);
    assert_int_equal(clGetPlatformIDs(0, NULL, NULL), CL_INVALID_VALUE);
    assert_int_equal(clGetPlatformIDs(0, NULL, &count), CL_SUCCESS);
    assert_true(count > 0);
    assert_int_equal(clGetPlatformIDs(1, &one, NULL), CL_SUCCESS);
    assert_non_null(one);
}

static void platforms_answer(void **state)
{
    char text[4096];
    size_t size = 0;
    assert_int_equal(clGetPlatformInfo(platform, CL_PLATFORM_EXTENSIONS, 0, NULL, &size),
                     CL_SUCCESS);
    assert_true(size <= sizeof text);
    assert_int_equal(clGetPlatformInfo(platform, CL_PLATFORM_EXTENSIONS, size - 1, text, NULL),
                     CL_INVALID_VALUE);
    assert_int_equal(clGetPlatformInfo(platform, CL_PLATFORM_EXTENSIONS, size, text, NULL),
                     CL_SUCCESS);
    assert_int_equal(strlen(text) + 1, size);
    assert_non_null(strstr(text, "cl_khr_icd"));
    assert_int_equal(clGetPlatformInfo(platform, 0x7777, 0, NULL, &size), CL_INVALID_VALUE);
}

static void devices_are_listed_by_type(void **state)
{
    cl_device_id one = NULL;
    cl_uint all = 0, some = 0;
    if (strict)
        assert_int_equal(clGetDeviceIDs(platform, 0, 1, &one, NULL), CL_INVALID_DEVICE_TYPE);
    assert_int_equal(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, &one, NULL), CL_INVALID_VALUE);
    assert_int_equal(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, NULL, &all), CL_SUCCESS);
    assert_int_equal(clGetDeviceIDs(platform, CL_DEVICE_TYPE_DEFAULT, 0, NULL, &some), CL_SUCCESS);
    assert_int_equal(some, 1);
    assert_int_equal(clGetDeviceIDs(platform, CL_DEVICE_TYPE_DEFAULT, 1, &one, NULL), CL_SUCCESS);
    for (cl_uint bit = 1; bit < 4; bit++) {
        cl_uint count = 0;
        cl_int err = clGetDeviceIDs(platform, (cl_device_type)1 << bit, 0, NULL, &count);
        assert_true(err == CL_SUCCESS ? count > 0 && count <= all : err == CL_DEVICE_NOT_FOUND);
    }
}

static void devices_answer(void **state)
{
    cl_platform_id of = NULL;
    cl_device_id parent = device;
    cl_ulong memory = 0;
    size_t size = 0;
    assert_int_equal(clGetDeviceInfo(device, CL_DEVICE_PLATFORM, sizeof of, &of, &size),
                     CL_SUCCESS);
    assert_ptr_equal(of, platform);
    assert_int_equal(size, sizeof of);
    assert_int_equal(clGetDeviceInfo(device, CL_DEVICE_PARENT_DEVICE, sizeof parent, &parent, NULL),
                     CL_SUCCESS);
    assert_null(parent);
    assert_int_equal(clGetDeviceInfo(device, CL_DEVICE_GLOBAL_MEM_SIZE, 4, &memory, NULL),
                     CL_INVALID_VALUE);
    assert_int_equal(clGetDeviceInfo(device, CL_DEVICE_GLOBAL_MEM_SIZE, 8, &memory, NULL),
                     CL_SUCCESS);
    assert_true(memory > 0);
    assert_int_equal(clRetainDevice(device), CL_SUCCESS);
    assert_int_equal(clReleaseDevice(device), CL_SUCCESS);
    assert_int_equal(clReleaseDevice(device), CL_SUCCESS); /* root devices are not counted */
    assert_int_equal(ask(clGetDeviceInfo, device, CL_DEVICE_REFERENCE_COUNT), 1);
}

static void devices_are_divided(void **state)
{
    const cl_device_partition_property equally[] = {CL_DEVICE_PARTITION_EQUALLY, 1, 0};
    cl_device_partition_property type[8] = {0};
    cl_device_id parts[64], parent = NULL;
    cl_uint count = 0;
    size_t size = 0;
    if (ask(clGetDeviceInfo, device, CL_DEVICE_MAX_COMPUTE_UNITS) < 2 ||
        clCreateSubDevices(device, equally, 0, NULL, &count) != CL_SUCCESS || count > 64)
        skip();
    assert_int_equal(clCreateSubDevices(device, equally, count - 1, parts, NULL), CL_INVALID_VALUE);
    assert_int_equal(clCreateSubDevices(device, equally, count, parts, NULL), CL_SUCCESS);
    for (cl_uint i = 0; i < count; i++) {
        assert_int_equal(ask(clGetDeviceInfo, parts[i], CL_DEVICE_REFERENCE_COUNT), 1);
        assert_int_equal(ask(clGetDeviceInfo, parts[i], CL_DEVICE_MAX_COMPUTE_UNITS), 1);
    }
    assert_int_equal(
        clGetDeviceInfo(parts[0], CL_DEVICE_PARENT_DEVICE, sizeof parent, &parent, NULL),
        CL_SUCCESS);
    assert_ptr_equal(parent, device);
    assert_int_equal(clGetDeviceInfo(parts[0], CL_DEVICE_PARTITION_TYPE, sizeof type, type, &size),
                     CL_SUCCESS);
    assert_int_equal(size, sizeof equally);
    assert_memory_equal(type, equally, sizeof equally);
    assert_int_equal(clRetainDevice(parts[0]), CL_SUCCESS);
    if (strict)
        assert_int_equal(ask(clGetDeviceInfo, parts[0], CL_DEVICE_REFERENCE_COUNT), 2);
    assert_int_equal(clReleaseDevice(parts[0]), CL_SUCCESS);

    cl_int err;
    cl_context context = clCreateContext(NULL, count, parts, NULL, NULL, &err);
    assert_int_equal(err, CL_SUCCESS);
    if (strict)
        assert_int_equal(ask(clGetContextInfo, context, CL_CONTEXT_NUM_DEVICES), count);
    for (cl_uint i = 0; i < count; i++)
        assert_int_equal(clReleaseDevice(parts[i]), CL_SUCCESS);
    assert_int_equal(clReleaseContext(context), CL_SUCCESS);
}

static void contexts_answer(void **state)
{
    const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM,
                                                (cl_context_properties)platform, 0};
    const cl_device_id twice[] = {device, device};
    cl_context_properties told[8] = {0};
    cl_device_id devices[4] = {NULL};
    size_t size = 0;
    cl_int err = CL_SUCCESS;
    cl_context context = clCreateContext(properties, 2, twice, NULL, NULL, &err);
    assert_int_equal(err, CL_SUCCESS);
    assert_int_equal(ask(clGetContextInfo, context, CL_CONTEXT_NUM_DEVICES), 1);
    assert_int_equal(clGetContextInfo(context, CL_CONTEXT_DEVICES, sizeof devices, devices, &size),
                     CL_SUCCESS);
    assert_int_equal(size, sizeof(cl_device_id));
    assert_ptr_equal(devices[0], device);
    assert_int_equal(clGetContextInfo(context, CL_CONTEXT_PROPERTIES, sizeof told, told, &size),
                     CL_SUCCESS);
    assert_int_equal(size, sizeof properties);
    assert_memory_equal(told, properties, sizeof properties);
    assert_int_equal(clRetainContext(context), CL_SUCCESS);
    assert_int_equal(ask(clGetContextInfo, context, CL_CONTEXT_REFERENCE_COUNT), 2);
    assert_int_equal(clReleaseContext(context), CL_SUCCESS);
    assert_int_equal(clReleaseContext(context), CL_SUCCESS);
}

/* A queue keeps its context, and whoever asks the queue for it may keep it too. */
static void contexts_that_queues_keep_can_be_retained(void **state)
{
    cl_int err = CL_SUCCESS;
    cl_context context = clCreateContext(NULL, 1, &device, NULL, NULL, &err), kept = NULL;
    assert_int_equal(err, CL_SUCCESS);
    cl_command_queue queue = clCreateCommandQueue(context, device, 0, &err);
    assert_int_equal(err, CL_SUCCESS);
    assert_int_equal(clReleaseContext(context), CL_SUCCESS);
    assert_int_equal(
        clGetCommandQueueInfo(queue, CL_QUEUE_CONTEXT, sizeof(cl_context), &kept, NULL),
        CL_SUCCESS);
    assert_ptr_equal(kept, context);
    assert_int_equal(clRetainContext(kept), CL_SUCCESS);
    assert_int_equal(clReleaseCommandQueue(queue), CL_SUCCESS);
    assert_int_equal(ask(clGetContextInfo, kept, CL_CONTEXT_NUM_DEVICES), 1);
    assert_int_equal(clReleaseContext(kept), CL_SUCCESS);
    if (strict)
        assert_int_equal(clRetainContext(kept), CL_INVALID_CONTEXT);
}

static void contexts_are_refused(void **state)
{
    const cl_context_properties unknown[] = {CL_CONTEXT_PLATFORM, (cl_context_properties)platform,
                                             0x7777, 1, 0};
    cl_int err = CL_SUCCESS;
    assert_null(clCreateContext(NULL, 0, &device, NULL, NULL, &err));
    assert_int_equal(err, CL_INVALID_VALUE);
    assert_null(clCreateContext(NULL, 1, NULL, NULL, NULL, &err));
    assert_int_equal(err, CL_INVALID_VALUE);
    assert_null(clCreateContext(NULL, 1, &device, NULL, &err, &err));
    assert_int_equal(err, CL_INVALID_VALUE);
    assert_null(clCreateContext(unknown, 1, &device, NULL, NULL, &err));
    assert_int_equal(err, CL_INVALID_PROPERTY);
    if (!strict)
        return;
    assert_null(clCreateContextFromType(NULL, 0, NULL, NULL, &err));
    assert_int_equal(err, CL_INVALID_DEVICE_TYPE);
}

/* OpenCL 3.0 §5.1: a device without on-device queues is named before the queue. */
static void default_device_queues_are_refused(void **state)
{
    cl_device_device_enqueue_capabilities can = 0;
    if (clGetDeviceInfo(device, CL_DEVICE_DEVICE_ENQUEUE_CAPABILITIES, sizeof can, &can, NULL) != 0)
        skip();
    cl_int err;
    cl_context context = clCreateContext(NULL, 1, &device, NULL, NULL, &err);
    assert_int_equal(err, CL_SUCCESS);
    assert_int_equal(clSetDefaultDeviceCommandQueue(context, device, NULL),
                     can ? CL_INVALID_COMMAND_QUEUE : CL_INVALID_OPERATION);
    assert_int_equal(clReleaseContext(context), CL_SUCCESS);
}

static void contexts_are_made_from_types(void **state)
{
    const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM,
                                                (cl_context_properties)platform, 0};
    cl_uint count = 0;
    cl_int err = CL_SUCCESS;
    assert_int_equal(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, NULL, &count), CL_SUCCESS);
    cl_context context = clCreateContextFromType(properties, CL_DEVICE_TYPE_ALL, NULL, NULL, &err);
    assert_int_equal(err, CL_SUCCESS);
    assert_int_equal(ask(clGetContextInfo, context, CL_CONTEXT_NUM_DEVICES), count);
    assert_int_equal(clReleaseContext(context), CL_SUCCESS);
}

static _Atomic int called, order[2];

static void CL_CALLBACK on_destroy(cl_context context, void *data)
{
    int place = atomic_fetch_add(&called, 1);
    if (place < 2)
        order[place] = *(int *)data;
}

static void destructors_run_in_reverse_order(void **state)
{
    int first = 1, second = 2;
    cl_context context = clCreateContext(NULL, 1, &device, NULL, NULL, NULL);
    assert_non_null(context);
    if (clSetContextDestructorCallback(context, on_destroy, &first) != CL_SUCCESS)
        skip();
    assert_int_equal(clSetContextDestructorCallback(context, on_destroy, &second), CL_SUCCESS);
    assert_int_equal(clSetContextDestructorCallback(context, NULL, NULL), CL_INVALID_VALUE);
    assert_int_equal(clReleaseContext(context), CL_SUCCESS);
    for (int i = 0; i < 1000 && called < 2; i++)
        usleep(1000);
    assert_int_equal(called, 2);
    assert_int_equal(order[0], 2);
    assert_int_equal(order[1], 1);
}

static void samplers_answer(void **state)
{
    const cl_sampler_properties properties[] = {CL_SAMPLER_ADDRESSING_MODE, CL_ADDRESS_REPEAT,
                                                CL_SAMPLER_FILTER_MODE, CL_FILTER_LINEAR, 0};
    cl_sampler_properties told[8] = {0};
    size_t size = 77;
    cl_int err = CL_SUCCESS;
    if (!ask(clGetDeviceInfo, device, CL_DEVICE_IMAGE_SUPPORT))
        skip();
    cl_context context = clCreateContext(NULL, 1, &device, NULL, NULL, NULL);
    cl_sampler sampler = clCreateSamplerWithProperties(context, properties, &err);
    assert_int_equal(err, CL_SUCCESS);
    assert_int_equal(ask(clGetSamplerInfo, sampler, CL_SAMPLER_NORMALIZED_COORDS), CL_TRUE);
    assert_int_equal(ask(clGetSamplerInfo, sampler, CL_SAMPLER_ADDRESSING_MODE), CL_ADDRESS_REPEAT);
    assert_int_equal(ask(clGetSamplerInfo, sampler, CL_SAMPLER_FILTER_MODE), CL_FILTER_LINEAR);
    assert_int_equal(clGetSamplerInfo(sampler, CL_SAMPLER_PROPERTIES, sizeof told, told, &size),
                     CL_SUCCESS);
    assert_int_equal(size, sizeof properties);
    assert_memory_equal(told, properties, sizeof properties);
    assert_int_equal(clReleaseSampler(sampler), CL_SUCCESS);

    sampler = clCreateSampler(context, CL_FALSE, CL_ADDRESS_CLAMP, CL_FILTER_NEAREST, &err);
    assert_int_equal(err, CL_SUCCESS);
    assert_int_equal(ask(clGetSamplerInfo, sampler, CL_SAMPLER_NORMALIZED_COORDS), CL_FALSE);
    assert_int_equal(clGetSamplerInfo(sampler, CL_SAMPLER_PROPERTIES, 0, NULL, &size), CL_SUCCESS);
    assert_int_equal(size, 0);
    assert_int_equal(clReleaseSampler(sampler), CL_SUCCESS);
    assert_int_equal(clReleaseContext(context), CL_SUCCESS);
}

static void functions_are_found_by_name(void **state)
{
    assert_null(clGetExtensionFunctionAddressForPlatform(platform, "clNoSuchFunctionEXT"));
    assert_null(clGetExtensionFunctionAddressForPlatform(platform, "clCreateFromGLBufferX"));
}

static void clocks_go_forward(void **state)
{
    cl_ulong before = 0, then = 0, host = 0;
    if (clGetDeviceAndHostTimer(device, &before, &host) != CL_SUCCESS)
        skip();
    assert_int_equal(clGetDeviceAndHostTimer(device, &then, &host), CL_SUCCESS);
    assert_true(then >= before);
    assert_int_equal(clGetHostTimer(device, &then), CL_SUCCESS);
    assert_true(then >= host);
}

/* Only under the shim from here on. */

static void only_what_is_wrapped_is_found(void **state)
{
    assert_null(
        clGetExtensionFunctionAddressForPlatform(platform, "clCreateSemaphoreWithPropertiesKHR"));
    assert_null(clGetExtensionFunctionAddressForPlatform(platform, "clSetContentSizeBufferPoCL"));
    assert_non_null(clGetExtensionFunctionAddressForPlatform(platform, "clFinish"));
}

static void wrong_handles_are_refused(void **state)
{
    static char garbage[256];
    cl_context gone = clCreateContext(NULL, 1, &device, NULL, NULL, NULL);
    assert_int_equal(clReleaseContext(gone), CL_SUCCESS);
    void *const wrong[] = {NULL,     garbage, (void *)1,         (void *)UINTPTR_MAX,
                           platform, gone,    (char *)device + 8};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cl_device_id handle = wrong[i];
        cl_uint count = 0;
        cl_ulong time;
        cl_int err = CL_SUCCESS;
        assert_int_equal(clGetDeviceInfo(handle, CL_DEVICE_NAME, 0, NULL, NULL), CL_INVALID_DEVICE);
        assert_int_equal(clRetainDevice(handle), CL_INVALID_DEVICE);
        assert_int_equal(clReleaseDevice(handle), CL_INVALID_DEVICE);
        assert_int_equal(clGetHostTimer(handle, &time), CL_INVALID_DEVICE);
        assert_null(clCreateContext(NULL, 1, &handle, NULL, NULL, &err));
        assert_int_equal(err, CL_INVALID_DEVICE);
        assert_int_equal(clRetainContext(wrong[i]), CL_INVALID_CONTEXT);
        assert_int_equal(clReleaseContext(wrong[i]), CL_INVALID_CONTEXT);
        assert_int_equal(clGetContextInfo(wrong[i], CL_CONTEXT_NUM_DEVICES, 0, NULL, NULL),
                         CL_INVALID_CONTEXT);
        assert_null(clCreateSampler(wrong[i], CL_TRUE, CL_ADDRESS_CLAMP, CL_FILTER_NEAREST, &err));
        assert_int_equal(err, CL_INVALID_CONTEXT);
        assert_int_equal(clReleaseSampler(wrong[i]), CL_INVALID_SAMPLER);
        if (wrong[i] && wrong[i] != platform) {
            const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM,
                                                        (cl_context_properties)wrong[i], 0};
            assert_int_equal(clGetDeviceIDs(wrong[i], CL_DEVICE_TYPE_ALL, 0, NULL, &count),
                             CL_INVALID_PLATFORM);
            assert_null(clCreateContext(properties, 1, &device, NULL, NULL, &err));
            assert_int_equal(err, CL_INVALID_PLATFORM);
        }
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(platforms_are_listed),
        cmocka_unit_test(platforms_answer),
        cmocka_unit_test(devices_are_listed_by_type),
        cmocka_unit_test(devices_answer),
        cmocka_unit_test(devices_are_divided),
        cmocka_unit_test(contexts_answer),
        cmocka_unit_test(contexts_that_queues_keep_can_be_retained),
        cmocka_unit_test(contexts_are_refused),
        cmocka_unit_test(contexts_are_made_from_types),
        cmocka_unit_test(default_device_queues_are_refused),
        cmocka_unit_test(destructors_run_in_reverse_order),
        cmocka_unit_test(samplers_answer),
        cmocka_unit_test(functions_are_found_by_name),
        cmocka_unit_test(clocks_go_forward),
    };
    const struct CMUnitTest shim_tests[] = {
        cmocka_unit_test(only_what_is_wrapped_is_found),
        cmocka_unit_test(wrong_handles_are_refused),
    };
    strict = argc == 2 && !strcmp(argv[1], "strict");
    int failed = cmocka_run_group_tests_name("query", tests, find_device, NULL);
    if (strict)
        failed += cmocka_run_group_tests_name("query-shim", shim_tests, find_device, NULL);
    return failed != 0;
}
