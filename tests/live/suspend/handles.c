/* SPDX-License-Identifier: Apache-2.0 */
/* Handles that come out of a query are those that the program knows. */
#include "live.h"

static cl_mem mem;
static cl_kernel kernel;
static cl_program program;
static cl_sampler sampler;
static cl_event event;

static const char *const source =
    "kernel void put(global uint *out, uint v) { out[get_global_id(0)] = v; }\n";

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
        cmocka_unit_test(test_no_raw_handle_escapes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
