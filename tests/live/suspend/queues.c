/* SPDX-License-Identifier: Apache-2.0 */
/* What a queue is made with, and what is set later, outlive a suspend: on the test driver, with its
 * `extras`, as one of OpenCL 3.0 and as one of 1.2 with cl_khr_create_command_queue. */
#include "live.h"

#include <CL/cl_ext.h>
#include <stdlib.h>

/* By the core call and by the extension's, in turn. */
static cl_command_queue make(const cl_queue_properties *properties)
{
    cl_int err = CL_SUCCESS;
    cl_command_queue queue = NULL;
    clCreateCommandQueueWithPropertiesKHR_fn create =
        (clCreateCommandQueueWithPropertiesKHR_fn)clGetExtensionFunctionAddressForPlatform(
            live.platform, "clCreateCommandQueueWithPropertiesKHR");
    static bool by_extension;
    by_extension = !by_extension && create;
    if (by_extension)
        queue = create(live.context, live.device, properties, &err);
    else
        queue = clCreateCommandQueueWithProperties(live.context, live.device, properties, &err);
    ok(err);
    return queue;
}

/* Commands run in it, and their events have times or not. */
static void use(cl_command_queue queue, bool profiled)
{
    cl_uint value = 7, back[4] = {0}, expected[4] = {7, 7, 7, 7};
    cl_ulong begun = 0;
    cl_event event = NULL;
    cl_mem mem = live_buffer(sizeof back, NULL);
    ok(clEnqueueFillBuffer(queue, mem, &value, sizeof value, 0, sizeof back, 0, NULL, &event));
    ok(clEnqueueReadBuffer(queue, mem, CL_TRUE, 0, sizeof back, back, 0, NULL, NULL));
    assert_memory_equal(back, expected, sizeof back);
    cl_int told =
        clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_START, sizeof begun, &begun, NULL);
    assert_int_equal(told, profiled ? CL_SUCCESS : CL_PROFILING_INFO_NOT_AVAILABLE);
    assert_true(!profiled || begun);
    ok(clReleaseEvent(event));
    ok(clReleaseMemObject(mem));
}

static void test_hints(void **state)
{
    const cl_queue_properties properties[] = {CL_QUEUE_PRIORITY_KHR, CL_QUEUE_PRIORITY_LOW_KHR,
                                              CL_QUEUE_PROPERTIES, CL_QUEUE_PROFILING_ENABLE, 0};
    cl_queue_properties told[8] = {0};
    cl_command_queue queue = make(properties);
    use(queue, true);
    live_cycle();
    use(queue, true);
    if (live.version >= 300) {
        ok(clGetCommandQueueInfo(queue, CL_QUEUE_PROPERTIES_ARRAY, sizeof told, told, NULL));
        assert_memory_equal(told, properties, sizeof properties);
    }
    ok(clReleaseCommandQueue(queue));
}

/* Whatever list the queue was made with, or none. */
static void test_profiling_set_later(void **state)
{
    static const cl_queue_properties low[] = {CL_QUEUE_PRIORITY_KHR, CL_QUEUE_PRIORITY_LOW_KHR, 0},
                                     none[] = {0}, in_order[] = {CL_QUEUE_PROPERTIES, 0, 0};
    const cl_queue_properties *lists[] = {low, none, in_order, NULL};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        cl_command_queue queue = make(lists[i]);
        cl_command_queue_properties flags = 0;
        use(queue, false);
        live_cycle();
        use(queue, false);
        ok(clSetCommandQueueProperty(queue, CL_QUEUE_PROFILING_ENABLE, CL_TRUE, NULL));
        use(queue, true);
        live_cycle();
        use(queue, true);
        ok(clGetCommandQueueInfo(queue, CL_QUEUE_PROPERTIES, sizeof flags, &flags, NULL));
        assert_int_equal(flags, CL_QUEUE_PROFILING_ENABLE);
        ok(clSetCommandQueueProperty(queue, CL_QUEUE_PROFILING_ENABLE, CL_FALSE, NULL));
        live_cycle();
        use(queue, false);
        ok(clReleaseCommandQueue(queue));
    }
}

static cl_event fill(cl_command_queue queue, cl_mem mem, cl_event *gate)
{
    const cl_uint value = 7;
    cl_event event = NULL;
    ok(clEnqueueFillBuffer(queue, mem, &value, sizeof value, 0, 64, gate != NULL, gate, &event));
    if (!gate)
        ok(clFinish(queue));
    return event;
}

static void set_profiling(cl_command_queue queue, cl_bool on)
{
    ok(clSetCommandQueueProperty(queue, CL_QUEUE_PROFILING_ENABLE, on, NULL));
}

/* 0: it has none. */
static cl_ulong begin_of(cl_event event)
{
    cl_ulong begun = 0;
    cl_int told =
        clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_START, sizeof begun, &begun, NULL);
    assert_int_equal(told, begun ? CL_SUCCESS : CL_PROFILING_INFO_NOT_AVAILABLE);
    return begun;
}

/* Whether there are times is decided when a command is enqueued, not when somebody asks. */
static void test_times_are_those_of_the_enqueue(void **state)
{
    static const cl_queue_properties none[] = {0};
    static const char said[] = "has no times";
    cl_command_queue queue = make(none);
    cl_mem mem = live_buffer(64, NULL);
    cl_event gate = live_user_event();
    int before = live_logged(said);
    cl_event events[5] = {fill(queue, mem, NULL), fill(queue, mem, &gate)};
    set_profiling(queue, CL_TRUE);
    live_cycle();
    ok(clSetUserEventStatus(gate, CL_COMPLETE));
    events[2] = fill(queue, mem, NULL);
    cl_ulong begun = begin_of(events[2]);
    live_cycle();
    events[3] = fill(queue, mem, NULL);
    set_profiling(queue, CL_FALSE);
    events[4] = fill(queue, mem, NULL);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(begin_of(events[0]), 0);
        assert_int_equal(begin_of(events[1]), 0);
        assert_int_not_equal(begun, 0);
        assert_int_equal(begin_of(events[2]), begun);
        assert_int_not_equal(begin_of(events[3]), 0);
        assert_int_equal(begin_of(events[4]), 0);
        live_cycle();
    }
    assert_int_equal(live_logged(said), before);
    for (int i = 0; i < 5; i++)
        ok(clReleaseEvent(events[i]));
    ok(clReleaseEvent(gate));
    ok(clReleaseMemObject(mem));
    ok(clReleaseCommandQueue(queue));
}

static cl_command_queue make_on_device(cl_command_queue_properties flags)
{
    const cl_queue_properties properties[] = {
        CL_QUEUE_PROPERTIES, CL_QUEUE_ON_DEVICE | CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE | flags,
        0};
    return make(properties);
}

/* By every queue of the device, whichever it is. */
static void expect_default(cl_command_queue asked, cl_command_queue expected)
{
    cl_command_queue told = asked;
    size_t size = 0;
    ok(clGetCommandQueueInfo(asked, CL_QUEUE_DEVICE_DEFAULT, sizeof told, &told, &size));
    assert_int_equal(size, sizeof told);
    assert_ptr_equal(told, expected);
}

static cl_uint references(cl_command_queue queue)
{
    cl_uint count = 0;
    ok(clGetCommandQueueInfo(queue, CL_QUEUE_REFERENCE_COUNT, sizeof count, &count, NULL));
    return count;
}

/* OpenCL 3.0 §5.1: one on each device of a context; who makes it again gets it again. While there
 * is one a suspend is refused, and nothing has changed. */
static void test_default_queue_on_the_device(void **state)
{
    live_need(!getenv("SHADOWCL_TEST_VERSION")); /* as one of 1.2 it has none */
    expect_default(live.queue, NULL);
    cl_command_queue first = make_on_device(CL_QUEUE_ON_DEVICE_DEFAULT);
    cl_command_queue second = make_on_device(0);
    expect_default(live.queue, first);
    expect_default(second, first);
    assert_ptr_equal(make_on_device(CL_QUEUE_ON_DEVICE_DEFAULT), first);
    assert_int_equal(references(first), 2);
    ok(clReleaseCommandQueue(first));
    assert_int_equal(clSetDefaultDeviceCommandQueue(live.context, live.device, live.queue),
                     CL_INVALID_COMMAND_QUEUE);
    expect_default(live.queue, first);
    ok(clSetDefaultDeviceCommandQueue(live.context, live.device, second));
    expect_default(first, second);
    assert_false(live_try_suspend());
    expect_default(live.queue, second);
    ok(clReleaseCommandQueue(first));
    ok(clReleaseCommandQueue(second));
    expect_default(live.queue, NULL);
    live_cycle();
    expect_default(live.queue, NULL);
}

/* A queue of another context is none of this one's. */
static void test_default_queue_of_another_context(void **state)
{
    cl_int err;
    live_need(!getenv("SHADOWCL_TEST_VERSION")); /* as one of 1.2 it has none */
    cl_context other = clCreateContext(NULL, 1, &live.device, NULL, NULL, &err);
    made(other);
    cl_command_queue queue = make_on_device(CL_QUEUE_ON_DEVICE_DEFAULT);
    assert_int_equal(clSetDefaultDeviceCommandQueue(other, live.device, queue),
                     CL_INVALID_COMMAND_QUEUE);
    expect_default(live.queue, queue);
    cl_command_queue apart = clCreateCommandQueue(other, live.device, 0, &err);
    made(apart);
    expect_default(apart, NULL);
    ok(clReleaseCommandQueue(apart));
    ok(clReleaseContext(other));
    ok(clReleaseCommandQueue(queue));
    live_cycle();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hints),
        cmocka_unit_test(test_profiling_set_later),
        cmocka_unit_test(test_times_are_those_of_the_enqueue),
        cmocka_unit_test(test_default_queue_on_the_device),
        cmocka_unit_test(test_default_queue_of_another_context),
    };
    return cmocka_run_group_tests(tests, live_setup, live_teardown);
}
