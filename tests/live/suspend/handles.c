/* SPDX-License-Identifier: Apache-2.0 */
/* Wrong handles get the specification's error and never a crash; handles that come out of a query
 * are those that the program knows. Only under the shim: drivers crash. */
#include "live.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void *wrong[16];
static size_t num_wrong;
static cl_mem mem;
static cl_kernel kernel;
static cl_program program;
static cl_sampler sampler;
static cl_event event;

static const char *const source =
    "kernel void put(global uint *out, uint v) { out[get_global_id(0)] = v; }\n";

/* Every one is wrong wherever an object of another kind than `but` is asked for. */
static void collect(const void *but)
{
    static char inside[64];
    void *objects[] = {live.platform, live.device, live.context, live.queue, mem,
                       kernel,        program,     sampler,      event};
    cl_mem freed = live_buffer(16, NULL);
    void *unmapped = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(unmapped, 4096);
    ok(clReleaseMemObject(freed));
    num_wrong = 0;
    wrong[num_wrong++] = NULL;
    wrong[num_wrong++] = freed;
    wrong[num_wrong++] = unmapped;
    wrong[num_wrong++] = (void *)(uintptr_t)16;
    wrong[num_wrong++] = (void *)~(uintptr_t)0;
    wrong[num_wrong++] = inside;
    wrong[num_wrong++] = (char *)(void *)live.context + 8;         /* inside of the band */
    wrong[num_wrong++] = (char *)(void *)live.context + (1 << 28); /* not in use */
    for (size_t i = 0; i < sizeof objects / sizeof *objects && num_wrong < 16; i++)
        if (objects[i] != but)
            wrong[num_wrong++] = objects[i];
}

#define all_wrong(but, call, expected)                                                             \
    do {                                                                                           \
        collect(but);                                                                              \
        for (size_t i = 0; i < num_wrong; i++) {                                                   \
            void *handle = wrong[i];                                                               \
            cl_int got_ = (call);                                                                  \
            if (got_ != (expected))                                                                \
                fail_msg("%s with wrong handle %zu: %d, not %d", #call, i, got_, expected);        \
        }                                                                                          \
    } while (0)

static size_t size_ret;

static void test_every_family(void **state)
{
    live_need(live_shadowed());
    cl_uint n;
    cl_int err;
    all_wrong(live.device, clGetDeviceInfo(handle, CL_DEVICE_NAME, 0, NULL, &size_ret),
              CL_INVALID_DEVICE);
    all_wrong(live.device, clRetainDevice(handle), CL_INVALID_DEVICE);
    all_wrong(live.device, clReleaseDevice(handle), CL_INVALID_DEVICE);
    all_wrong(live.device, clCreateSubDevices(handle, NULL, 0, NULL, &n), CL_INVALID_DEVICE);
    all_wrong(live.context, clGetContextInfo(handle, CL_CONTEXT_DEVICES, 0, NULL, &size_ret),
              CL_INVALID_CONTEXT);
    all_wrong(live.context, clRetainContext(handle), CL_INVALID_CONTEXT);
    all_wrong(live.context, clReleaseContext(handle), CL_INVALID_CONTEXT);
    all_wrong(live.context, (clCreateBuffer(handle, 0, 16, NULL, &err), err), CL_INVALID_CONTEXT);
    all_wrong(live.context, (clCreateUserEvent(handle, &err), err), CL_INVALID_CONTEXT);
    all_wrong(live.context,
              (clCreateSampler(handle, 0, CL_ADDRESS_NONE, CL_FILTER_NEAREST, &err), err),
              CL_INVALID_CONTEXT);
    all_wrong(live.context,
              (clCreateProgramWithSource(handle, 1, (const char **)&source, NULL, &err), err),
              CL_INVALID_CONTEXT);
    all_wrong(live.context, (clCreateCommandQueue(handle, live.device, 0, &err), err),
              CL_INVALID_CONTEXT);
    all_wrong(live.device, (clCreateCommandQueue(live.context, handle, 0, &err), err),
              CL_INVALID_DEVICE);
    all_wrong(live.queue, clGetCommandQueueInfo(handle, CL_QUEUE_DEVICE, 0, NULL, &size_ret),
              CL_INVALID_COMMAND_QUEUE);
    all_wrong(live.queue, clRetainCommandQueue(handle), CL_INVALID_COMMAND_QUEUE);
    all_wrong(live.queue, clReleaseCommandQueue(handle), CL_INVALID_COMMAND_QUEUE);
    all_wrong(live.queue, clFlush(handle), CL_INVALID_COMMAND_QUEUE);
    all_wrong(live.queue, clFinish(handle), CL_INVALID_COMMAND_QUEUE);
    all_wrong(live.queue, clEnqueueMarkerWithWaitList(handle, 0, NULL, NULL),
              CL_INVALID_COMMAND_QUEUE);
    all_wrong(mem, clGetMemObjectInfo(handle, CL_MEM_SIZE, 0, NULL, &size_ret),
              CL_INVALID_MEM_OBJECT);
    all_wrong(mem, clRetainMemObject(handle), CL_INVALID_MEM_OBJECT);
    all_wrong(mem, clReleaseMemObject(handle), CL_INVALID_MEM_OBJECT);
    all_wrong(sampler, clGetSamplerInfo(handle, CL_SAMPLER_CONTEXT, 0, NULL, &size_ret),
              CL_INVALID_SAMPLER);
    all_wrong(sampler, clReleaseSampler(handle), CL_INVALID_SAMPLER);
    all_wrong(program, clGetProgramInfo(handle, CL_PROGRAM_CONTEXT, 0, NULL, &size_ret),
              CL_INVALID_PROGRAM);
    all_wrong(program, clBuildProgram(handle, 0, NULL, NULL, NULL, NULL), CL_INVALID_PROGRAM);
    all_wrong(program, clReleaseProgram(handle), CL_INVALID_PROGRAM);
    all_wrong(program, (clCreateKernel(handle, "put", &err), err), CL_INVALID_PROGRAM);
    all_wrong(kernel, clGetKernelInfo(handle, CL_KERNEL_CONTEXT, 0, NULL, &size_ret),
              CL_INVALID_KERNEL);
    all_wrong(kernel, clSetKernelArg(handle, 0, 8, &mem), CL_INVALID_KERNEL);
    all_wrong(kernel, clReleaseKernel(handle), CL_INVALID_KERNEL);
    all_wrong(event, clGetEventInfo(handle, CL_EVENT_CONTEXT, 0, NULL, &size_ret),
              CL_INVALID_EVENT);
    all_wrong(event, clReleaseEvent(handle), CL_INVALID_EVENT);
    all_wrong(event, clSetUserEventStatus(handle, 0), CL_INVALID_EVENT);
    all_wrong(event, clWaitForEvents(1, (cl_event *)&handle), CL_INVALID_EVENT);
}

static void test_enqueues(void **state)
{
    live_need(live_shadowed());
    size_t one = 1, zero[3] = {0}, region[3] = {1, 1, 1};
    char byte = 0;
    cl_int err;
    cl_mem out = live_buffer(16, NULL);
    all_wrong(mem, clEnqueueReadBuffer(live.queue, handle, CL_TRUE, 0, 1, &byte, 0, NULL, NULL),
              CL_INVALID_MEM_OBJECT);
    all_wrong(mem, clEnqueueWriteBuffer(live.queue, handle, CL_TRUE, 0, 1, &byte, 0, NULL, NULL),
              CL_INVALID_MEM_OBJECT);
    all_wrong(mem, clEnqueueCopyBuffer(live.queue, out, handle, 0, 0, 1, 0, NULL, NULL),
              CL_INVALID_MEM_OBJECT);
    all_wrong(mem, clEnqueueFillBuffer(live.queue, handle, &byte, 1, 0, 1, 0, NULL, NULL),
              CL_INVALID_MEM_OBJECT);
    all_wrong(
        mem,
        (clEnqueueMapBuffer(live.queue, handle, CL_TRUE, CL_MAP_READ, 0, 1, 0, NULL, NULL, &err),
         err),
        CL_INVALID_MEM_OBJECT);
    all_wrong(mem, clEnqueueUnmapMemObject(live.queue, handle, &byte, 0, NULL, NULL),
              CL_INVALID_MEM_OBJECT);
    all_wrong(
        NULL,
        clEnqueueReadImage(live.queue, handle, CL_TRUE, zero, region, 0, 0, &byte, 0, NULL, NULL),
        CL_INVALID_MEM_OBJECT);
    all_wrong(mem, clEnqueueMigrateMemObjects(live.queue, 1, (cl_mem *)&handle, 0, 0, NULL, NULL),
              CL_INVALID_MEM_OBJECT);
    all_wrong(kernel,
              clEnqueueNDRangeKernel(live.queue, handle, 1, NULL, &one, NULL, 0, NULL, NULL),
              CL_INVALID_KERNEL);
    all_wrong(event, clEnqueueMarkerWithWaitList(live.queue, 1, (cl_event *)&handle, NULL),
              CL_INVALID_EVENT_WAIT_LIST);
    collect(mem);
    for (size_t i = 1; i < num_wrong; i++)
        assert_int_equal(clSetKernelArg(kernel, 0, sizeof(cl_mem), &wrong[i]),
                         CL_INVALID_MEM_OBJECT);
    ok(clReleaseMemObject(out));
}

static void test_still_works_and_so_after_a_cycle(void **state)
{
    cl_uint v = 5, expected[4] = {5, 5, 5, 5};
    live_cycle();
    ok(clSetKernelArg(kernel, 0, sizeof mem, &mem));
    ok(clSetKernelArg(kernel, 1, sizeof v, &v));
    live_launch(live.queue, kernel, 4);
    live_expect(mem, 0, expected, sizeof expected);
    test_every_family(state);
}

/* All answers that are handles. */
static void expect_known(void)
{
    cl_context context = NULL;
    cl_device_id devices[4] = {NULL}, device = NULL;
    cl_program of = NULL;
    cl_command_queue queue = NULL;
    cl_platform_id platform = NULL;
    cl_mem parent = live.queue ? mem : NULL;
    ok(clGetDeviceInfo(live.device, CL_DEVICE_PLATFORM, sizeof platform, &platform, NULL));
    assert_ptr_equal(platform, live.platform);
    ok(clGetDeviceInfo(live.device, CL_DEVICE_PARENT_DEVICE, sizeof device, &device, NULL));
    assert_null(device);
    ok(clGetContextInfo(live.context, CL_CONTEXT_DEVICES, sizeof devices, devices, NULL));
    assert_ptr_equal(devices[0], live.device);
#define same(call, object, param, answer, expected)                                                \
    do {                                                                                           \
        answer = NULL;                                                                             \
        ok(call(object, param, sizeof answer, &answer, NULL));                                     \
        assert_ptr_equal(answer, expected);                                                        \
    } while (0)
    same(clGetCommandQueueInfo, live.queue, CL_QUEUE_CONTEXT, context, live.context);
    same(clGetCommandQueueInfo, live.queue, CL_QUEUE_DEVICE, device, live.device);
    same(clGetMemObjectInfo, mem, CL_MEM_CONTEXT, context, live.context);
    same(clGetMemObjectInfo, mem, CL_MEM_ASSOCIATED_MEMOBJECT, parent, NULL);
    same(clGetSamplerInfo, sampler, CL_SAMPLER_CONTEXT, context, live.context);
    same(clGetProgramInfo, program, CL_PROGRAM_CONTEXT, context, live.context);
    same(clGetProgramInfo, program, CL_PROGRAM_DEVICES, device, live.device);
    same(clGetKernelInfo, kernel, CL_KERNEL_CONTEXT, context, live.context);
    same(clGetKernelInfo, kernel, CL_KERNEL_PROGRAM, of, program);
    same(clGetEventInfo, event, CL_EVENT_CONTEXT, context, live.context);
    same(clGetEventInfo, event, CL_EVENT_COMMAND_QUEUE, queue, live.queue);
}

static void test_no_raw_handle_escapes(void **state)
{
    cl_int err;
    cl_buffer_region region = {0, 8};
    cl_mem parent = NULL,
           sub = clCreateSubBuffer(mem, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &err);
    made(sub);
    expect_known();
    same(clGetMemObjectInfo, sub, CL_MEM_ASSOCIATED_MEMOBJECT, parent, mem);
    live_cycle();
    expect_known();
    same(clGetMemObjectInfo, sub, CL_MEM_ASSOCIATED_MEMOBJECT, parent, mem);
    ok(clReleaseMemObject(sub));
}

static int setup(void **state)
{
    cl_int err;
    live_setup(state);
    mem = live_buffer(16, NULL);
    program = live_program(source, NULL);
    kernel = clCreateKernel(program, "put", &err);
    made(kernel);
    sampler = clCreateSampler(live.context, CL_FALSE, CL_ADDRESS_NONE, CL_FILTER_NEAREST, &err);
    made(sampler);
    ok(clEnqueueMarkerWithWaitList(live.queue, 0, NULL, &event));
    return 0;
}

static int teardown(void **state)
{
    ok(clReleaseEvent(event));
    ok(clReleaseSampler(sampler));
    ok(clReleaseKernel(kernel));
    ok(clReleaseProgram(program));
    ok(clReleaseMemObject(mem));
    return live_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_family),
        cmocka_unit_test(test_enqueues),
        cmocka_unit_test(test_still_works_and_so_after_a_cycle),
        cmocka_unit_test(test_no_raw_handle_escapes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
