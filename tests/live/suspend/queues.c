/* SPDX-License-Identifier: Apache-2.0 */
/* What a queue is made with, and what is set later, outlive a suspend: on the test driver, with its
 * `extras`, as one of OpenCL 3.0 and as one of 1.2 with cl_khr_create_command_queue. */
#include "live.h"

#include <CL/cl_ext.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hints),
        cmocka_unit_test(test_profiling_set_later),
    };
    return cmocka_run_group_tests(tests, live_setup, live_teardown);
}
