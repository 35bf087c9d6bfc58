/* SPDX-License-Identifier: Apache-2.0 */
/* Launches that hang on an unset user event: what is wrong with one is said at its call, as of one
 * that does not wait, and what is right runs after a suspend. */
#include "live.h"

#include <string.h>

#define SIZE 4096

static const char *const source =
    "kernel void put(global uint *to, uint v) { to[get_global_id(0)] = v; }\n"
    "kernel __attribute__((reqd_work_group_size(4, 2, 1))) void by_eight(global uint *to)\n"
    "{ to[get_global_id(1) * get_global_size(0) + get_global_id(0)] =\n"
    "      get_local_size(0) * 10 + get_local_size(1); }\n"
    "kernel void share(global uint *to, local uint *part)\n"
    "{ part[get_local_id(0)] = get_global_id(0); barrier(CLK_LOCAL_MEM_FENCE);\n"
    "  to[get_global_id(0)] = part[get_local_size(0) - 1 - get_local_id(0)]; }\n";

static cl_program program;
static cl_kernel put, unset, by_eight, share;
static cl_mem mem;
static cl_event gate; /* unset */

static cl_kernel kernel_of(const char *name)
{
    cl_int err;
    cl_kernel kernel = clCreateKernel(program, name, &err);
    made(kernel);
    ok(clSetKernelArg(kernel, 0, sizeof mem, &mem));
    return kernel;
}

static void make_all(void)
{
    cl_int err;
    cl_uint value = 9;
    program = live_program(source, NULL);
    mem = live_buffer(SIZE, NULL);
    put = kernel_of("put");
    ok(clSetKernelArg(put, 1, sizeof value, &value));
    unset = kernel_of("put");
    by_eight = kernel_of("by_eight");
    share = kernel_of("share");
    gate = clCreateUserEvent(live.context, &err);
    made(gate);
}

static void release_all(void)
{
    ok(clReleaseEvent(gate));
    ok(clReleaseKernel(put));
    ok(clReleaseKernel(unset));
    ok(clReleaseKernel(by_eight));
    ok(clReleaseKernel(share));
    ok(clReleaseMemObject(mem));
    ok(clReleaseProgram(program));
}

/* Refused, and no event was made. */
static void refused(bool held, cl_kernel kernel, cl_uint dims, const size_t *offset,
                    const size_t *local, cl_int expected)
{
    static const size_t global[3] = {16, 8, 2};
    cl_event event = NULL;
    cl_int err = clEnqueueNDRangeKernel(live.queue, kernel, dims, offset, global, local, held,
                                        held ? &gate : NULL, &event);
    assert_int_equal(err, expected);
    assert_null(event);
}

static void wrong_sizes(bool held)
{
    const size_t uneven[3] = {5, 1, 1}, other[3] = {2, 4, 1}, zero[3] = {4, 0, 1};
    size_t most = 0;
    ok(clGetDeviceInfo(live.device, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof most, &most, NULL));
    const size_t large[3] = {most, 4, 1};
    refused(held, put, 0, NULL, NULL, CL_INVALID_WORK_DIMENSION);
    refused(held, put, 4, NULL, NULL, CL_INVALID_WORK_DIMENSION);
    /* Without -cl-std the program is OpenCL C 1.x, on any device. */
    refused(held, put, 1, NULL, uneven, CL_INVALID_WORK_GROUP_SIZE);
    refused(held, put, 2, NULL, large, CL_INVALID_WORK_GROUP_SIZE);
    refused(held, by_eight, 2, NULL, other, CL_INVALID_WORK_GROUP_SIZE);
    if (held && live_shadowed()) /* at once pocl divides by it */
        refused(held, put, 2, NULL, zero, CL_INVALID_WORK_GROUP_SIZE);
}

static void wrong_arguments(bool held)
{
    const size_t four[3] = {4, 1, 1}, far[3] = {SIZE_MAX - 3, 0, 0};
    cl_uint waits = held;
    const cl_event *on = held ? &gate : NULL;
    cl_ulong local_memory = 0, needed = 0;
    ok(clGetDeviceInfo(live.device, CL_DEVICE_LOCAL_MEM_SIZE, sizeof local_memory, &local_memory,
                       NULL));
    refused(held, unset, 1, NULL, four, CL_INVALID_KERNEL_ARGS);
    refused(held, unset, 1, NULL, NULL, CL_INVALID_KERNEL_ARGS);
    refused(held, share, 1, NULL, four, CL_INVALID_KERNEL_ARGS);
    assert_int_equal(clEnqueueTask(live.queue, unset, waits, on, NULL), CL_INVALID_KERNEL_ARGS);
    assert_int_equal(clEnqueueTask(live.queue, by_eight, waits, on, NULL),
                     CL_INVALID_WORK_GROUP_SIZE);
    if (!held || !live_shadowed())
        return; /* at once pocl does not look, and others crash */
    refused(held, put, 1, far, four, CL_INVALID_GLOBAL_OFFSET);
    ok(clSetKernelArg(share, 1, (size_t)local_memory + 4, NULL));
    ok(clGetKernelWorkGroupInfo(share, live.device, CL_KERNEL_LOCAL_MEM_SIZE, sizeof needed,
                                &needed, NULL));
    if (needed > local_memory) /* rusticl does not count what the arguments need */
        refused(held, share, 1, NULL, four, CL_OUT_OF_RESOURCES);
}

static void other_contexts(bool held)
{
    cl_int err;
    const size_t items = 4;
    cl_context context = clCreateContext(NULL, 1, &live.device, NULL, NULL, &err);
    made(context);
    cl_command_queue queue = clCreateCommandQueue(context, live.device, 0, &err);
    made(queue);
    cl_event foreign = clCreateUserEvent(context, &err);
    made(foreign);
    assert_int_equal(clEnqueueNDRangeKernel(queue, put, 1, NULL, &items, NULL, held,
                                            held ? &foreign : NULL, NULL),
                     CL_INVALID_CONTEXT);
    if (live_shadowed()) /* pocl does not look */
        assert_int_equal(
            clEnqueueNDRangeKernel(live.queue, put, 1, NULL, &items, NULL, 1, &foreign, NULL),
            CL_INVALID_CONTEXT);
    ok(clSetUserEventStatus(foreign, CL_COMPLETE));
    ok(clReleaseEvent(foreign));
    ok(clReleaseCommandQueue(queue));
    ok(clReleaseContext(context));
}

static void test_wrong_launches_are_refused_at_their_call(void **state)
{
    live_need(live.pocl || live_shadowed());
    make_all();
    for (int held = !live.pocl; held < 2; held++) { /* at once other drivers say what they like */
        wrong_sizes(held);
        live_cycle();
        wrong_arguments(held);
        live_cycle();
        other_contexts(held);
    }
    ok(clSetUserEventStatus(gate, CL_COMPLETE));
    ok(clFinish(live.queue));
    release_all();
}

/* The refused ones have left nothing behind: what is right runs, with its own arguments. */
static void test_right_launches_run_behind_wrong_ones(void **state)
{
    const size_t items[2] = {16, 8}, local[2] = {4, 2}, half = 512, four = 4;
    cl_uint expected[SIZE / 4], value = 77;
    cl_event events[3];
    make_all();
    ok(clSetKernelArg(put, 1, sizeof value, &value));
    ok(clEnqueueNDRangeKernel(live.queue, put, 1, &half, &half, NULL, 1, &gate, &events[0]));
    for (int i = 512; i < 1024; i++)
        expected[i] = 77;
    if (live_shadowed())
        wrong_arguments(true);
    live_cycle();
    ok(clEnqueueNDRangeKernel(live.queue, by_eight, 2, NULL, items, local, 1, &gate, &events[1]));
    for (int i = 0; i < 128; i++)
        expected[i] = 42;
    ok(clSetKernelArg(share, 1, 64, NULL));
    ok(clEnqueueNDRangeKernel(live.queue, share, 1, (size_t[]){128}, (size_t[]){384}, &four, 1,
                              &events[1], &events[2]));
    for (cl_uint i = 128; i < 512; i++)
        expected[i] = i / 4 * 4 + 3 - i % 4;
    ok(clSetKernelArg(share, 1, 16, NULL));
    live_cycle();
    ok(clSetUserEventStatus(gate, CL_COMPLETE));
    ok(clWaitForEvents(3, events));
    live_expect(mem, 0, expected, sizeof expected);
    for (int i = 0; i < 3; i++)
        ok(clReleaseEvent(events[i]));
    release_all();
}

/* OpenCL 2.1 §5.10 and later: the kernel's own size is taken; what a driver makes of it is what it
 * makes of it at once. (pocl wants to be told; oclgrind, of 1.2, does not.) */
static void test_required_size_need_not_be_told(void **state)
{
    const size_t items[2] = {16, 8};
    cl_uint zero = 0, at_once[128];
    live_need(!live.pocl);
    make_all();
    ok(clEnqueueFillBuffer(live.queue, mem, &zero, sizeof zero, 0, SIZE, 0, NULL, NULL));
    if (clEnqueueNDRangeKernel(live.queue, by_eight, 2, NULL, items, NULL, 0, NULL, NULL) !=
        CL_SUCCESS) {
        release_all();
        live_need(!"a launch without the required size");
    }
    ok(clEnqueueReadBuffer(live.queue, mem, CL_TRUE, 0, sizeof at_once, at_once, 0, NULL, NULL));
    assert_int_not_equal(at_once[0], 0);
    ok(clEnqueueFillBuffer(live.queue, mem, &zero, sizeof zero, 0, SIZE, 0, NULL, NULL));
    ok(clEnqueueNDRangeKernel(live.queue, by_eight, 2, NULL, items, NULL, 1, &gate, NULL));
    live_cycle();
    ok(clSetUserEventStatus(gate, CL_COMPLETE));
    ok(clFinish(live.queue));
    live_expect(mem, 0, at_once, sizeof at_once);
    release_all();
}

static bool can_build(const char *options)
{
    cl_int err;
    const char *text = source;
    cl_program tried = clCreateProgramWithSource(live.context, 1, &text, NULL, &err);
    made(tried);
    bool built = clBuildProgram(tried, 1, &live.device, options, NULL, NULL) == CL_SUCCESS;
    ok(clReleaseProgram(tried));
    return built;
}

/* At once by the driver, and held by us: the same. */
static void launch_unevenly(const char *options)
{
    const size_t items = 16, five = 5;
    cl_uint value = 5, zero = 0, expected[17] = {0};
    cl_event done = NULL;
    program = live_program(source, options);
    mem = live_buffer(SIZE, NULL);
    put = kernel_of("put");
    ok(clSetKernelArg(put, 1, sizeof value, &value));
    cl_int at_once = clEnqueueNDRangeKernel(live.queue, put, 1, NULL, &items, &five, 0, NULL, NULL);
    print_message("%s: %d\n", options ? options : "no options", at_once);
    ok(clEnqueueFillBuffer(live.queue, mem, &zero, sizeof zero, 0, SIZE, 0, NULL, NULL));
    gate = live_user_event();
    cl_int held = clEnqueueNDRangeKernel(live.queue, put, 1, NULL, &items, &five, 1, &gate, &done);
    live_cycle();
    ok(clSetUserEventStatus(gate, CL_COMPLETE));
    ok(clFinish(live.queue));
    assert_int_equal(held, at_once);
    for (int i = 0; i < 16 && at_once == CL_SUCCESS; i++)
        expected[i] = value;
    live_expect(mem, 0, expected, sizeof expected);
    if (done)
        ok(clReleaseEvent(done));
    ok(clReleaseEvent(gate));
    ok(clReleaseKernel(put));
    ok(clReleaseMemObject(mem));
    ok(clReleaseProgram(program));
}

/* Where the last work-groups may be smaller is for the device and the program's options to say. */
static void test_uneven_launches_are_judged_by_the_programs_options(void **state)
{
    static const char *const options[] = {NULL, "-cl-std=CL1.2", "-cl-std=CL2.0", "-cl-std=CL3.0"};
    static const char even[] = "-cl-std=CL2.0 -cl-uniform-work-group-size";
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (can_build(options[i]))
            launch_unevenly(options[i]);
    if (can_build(even) && !live_has_cap("uneven")) /* which knows nothing of that */
        launch_unevenly(even);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_launches_are_refused_at_their_call),
        cmocka_unit_test(test_right_launches_run_behind_wrong_ones),
        cmocka_unit_test(test_required_size_need_not_be_told),
        cmocka_unit_test(test_uneven_launches_are_judged_by_the_programs_options),
    };
    return cmocka_run_group_tests(tests, live_setup, live_teardown);
}
