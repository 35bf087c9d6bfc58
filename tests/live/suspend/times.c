/* SPDX-License-Identifier: Apache-2.0 */
/* Times never run backwards: neither those in events nor the device's timer, also where the clock
 * of the device under the program begins anew. */
#include "live.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static cl_command_queue profiled;
static cl_ulong latest;

/* The event of a command that has ended, with times in order and after all that were told. */
static cl_event times_of_one(cl_mem buffer)
{
    cl_event event = NULL;
    cl_int zero = 0;
    ok(clEnqueueFillBuffer(profiled, buffer, &zero, sizeof zero, 0, 4096, 0, NULL, &event));
    ok(clWaitForEvents(1, &event));
    for (cl_uint i = CL_PROFILING_COMMAND_QUEUED; i <= CL_PROFILING_COMMAND_END; i++) {
        cl_ulong time = 0;
        ok(clGetEventProfilingInfo(event, i, sizeof time, &time, NULL));
        if (time < latest)
            fail_msg("%#x is %llu, and %llu was told before", i, (unsigned long long)time,
                     (unsigned long long)latest);
        latest = time;
    }
    return event;
}

static void ask_timer(void)
{
    cl_ulong device = 0, host = 0;
    if (live.version < 210 || clGetDeviceAndHostTimer(live.device, &device, &host) != CL_SUCCESS)
        return;
    assert_true(device >= latest);
    latest = device;
}

static cl_ulong end_of(cl_event event)
{
    cl_ulong time = 0;
    ok(clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof time, &time, NULL));
    return time;
}

static bool has_no_clock(void)
{
    const char *clock = getenv("SHADOWCL_TEST_CLOCK");
    return clock && !strcmp(clock, "none");
}

static void test_device_without_times_is_named(void **state)
{
    cl_ulong time = 0;
    cl_int zero = 0, err;
    live_need(has_no_clock() && getenv("LIVE_LOG"));
    int before = live_logged("has no times");
    cl_command_queue queue =
        clCreateCommandQueue(live.context, live.device, CL_QUEUE_PROFILING_ENABLE, &err);
    made(queue);
    cl_mem mem = live_buffer(64, NULL);
    cl_event event;
    ok(clEnqueueFillBuffer(queue, mem, &zero, sizeof zero, 0, 64, 0, NULL, &event));
    ok(clFinish(queue));
    for (int round = 0; round < 3; round++) {
        assert_int_equal(
            clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof time, &time, NULL),
            CL_PROFILING_INFO_NOT_AVAILABLE);
        assert_int_equal(live_logged("has no times") - before, round > 0);
        live_cycle();
    }
    ok(clReleaseEvent(event));
    ok(clReleaseMemObject(mem));
    ok(clReleaseCommandQueue(queue));
}

static void test_times_never_run_backwards(void **state)
{
    cl_int err;
    live_need(!has_no_clock());
    profiled = clCreateCommandQueue(live.context, live.device, CL_QUEUE_PROFILING_ENABLE, &err);
    made(profiled);
    cl_mem buffer = live_buffer(4096, NULL);
    cl_event first = times_of_one(buffer);
    cl_ulong told = end_of(first);
    for (int round = 0; round < 6; round++) {
        live_cycle();
        cl_event later = times_of_one(buffer);
        if (round % 2)
            ask_timer();
        assert_true(end_of(first) == told);
        ok(clReleaseEvent(later));
        live_sleep(20);
    }
    ok(clReleaseEvent(first));
    ok(clReleaseMemObject(buffer));
    ok(clReleaseCommandQueue(profiled));
}

/* Between two jobs nothing of the program's is on the device. */
static void test_times_go_on_without_a_context(void **state)
{
    cl_int err;
    live_need(!has_no_clock());
    for (int round = 0; round < 4; round++) {
        profiled = clCreateCommandQueue(live.context, live.device, CL_QUEUE_PROFILING_ENABLE, &err);
        made(profiled);
        cl_mem buffer = live_buffer(4096, NULL);
        ok(clReleaseEvent(times_of_one(buffer)));
        ok(clReleaseEvent(times_of_one(buffer)));
        ok(clReleaseMemObject(buffer));
        ok(clReleaseCommandQueue(profiled));
        live_teardown(state);
        live_cycle();
        if (round % 2)
            live_cycle();
        live_setup(state);
    }
}

static cl_ulong wall_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (cl_ulong)now.tv_sec * 1000000000 + (cl_ulong)now.tv_nsec;
}

/* cl_amd_device_attribute_query: what makes an event's times those of the wall clock. */
#define PROFILING_TIMER_OFFSET_AMD 0x4036

static void test_offset_is_that_of_the_clock(void **state)
{
    cl_ulong offset = 0;
    cl_int err;
    live_need(clGetDeviceInfo(live.device, PROFILING_TIMER_OFFSET_AMD, sizeof offset, &offset,
                              NULL) == CL_SUCCESS);
    profiled = clCreateCommandQueue(live.context, live.device, CL_QUEUE_PROFILING_ENABLE, &err);
    made(profiled);
    cl_mem buffer = live_buffer(4096, NULL);
    for (int round = 0; round < 3; round++) {
        const cl_ulong slack = 1000000; /* between the driver's looks at two clocks */
        cl_ulong before = wall_clock();
        cl_event event = times_of_one(buffer);
        cl_ulong after = wall_clock();
        ok(clGetDeviceInfo(live.device, PROFILING_TIMER_OFFSET_AMD, sizeof offset, &offset, NULL));
        cl_ulong end = end_of(event) + offset;
        if (end + slack < before || end > after + slack)
            fail_msg("round %d: the command ends at %llu, and is made from %llu to %llu", round,
                     (unsigned long long)end, (unsigned long long)before,
                     (unsigned long long)after);
        ok(clReleaseEvent(event));
        live_suspend();
        live_sleep(50); /* which the device's clock, as it was told, does not see */
        live_resume();
    }
    ok(clReleaseMemObject(buffer));
    ok(clReleaseCommandQueue(profiled));
}

static cl_ulong time_of(cl_event event, cl_profiling_info which)
{
    cl_ulong time = 0;
    ok(clGetEventProfilingInfo(event, which, sizeof time, &time, NULL));
    return time;
}

/* Of two commands the later is asked first, which must make nothing of it: also where the driver
 * has no other clock than its events, and where there was no queue with times at the resume. */
static void later_is_asked_first(cl_mem buffer)
{
    cl_int zero = 0;
    cl_event events[2];
    for (int i = 0; i < 2; i++) {
        ok(clEnqueueFillBuffer(profiled, buffer, &zero, sizeof zero, 0, 4096, 0, NULL, &events[i]));
        ok(clWaitForEvents(1, &events[i]));
        live_sleep(2);
    }
    cl_ulong begin = time_of(events[1], CL_PROFILING_COMMAND_START);
    cl_ulong before = time_of(events[0], CL_PROFILING_COMMAND_END);
    if (before > begin || before < latest ||
        time_of(events[0], CL_PROFILING_COMMAND_QUEUED) < latest)
        fail_msg("the first ends at %llu, the second begins at %llu, and %llu was told before",
                 (unsigned long long)before, (unsigned long long)begin, (unsigned long long)latest);
    assert_true(time_of(events[1], CL_PROFILING_COMMAND_START) == begin);
    latest = time_of(events[1], CL_PROFILING_COMMAND_END);
    for (int i = 0; i < 2; i++)
        ok(clReleaseEvent(events[i]));
}

static void test_order_is_not_that_of_asking(void **state)
{
    cl_int err;
    live_need(!has_no_clock());
    cl_mem buffer = live_buffer(4096, NULL);
    for (int round = 0; round < 6; round++) {
        bool anew = round % 2;
        if (anew)
            live_cycle();
        profiled = clCreateCommandQueue(live.context, live.device, CL_QUEUE_PROFILING_ENABLE, &err);
        made(profiled);
        if (!anew)
            live_cycle();
        later_is_asked_first(buffer);
        ok(clReleaseCommandQueue(profiled));
    }
    ok(clReleaseMemObject(buffer));
}

static void fail_markers(const char *line)
{
    const char *path = getenv("SHADOWCL_TEST_FAULTS");
    FILE *file = fopen(path ? path : "", "w");
    assert_non_null(file);
    fputs(line, file);
    fclose(file);
}

static void test_clock_that_nothing_tells_is_named(void **state)
{
    static const char said[] = "clock can't be looked at";
    cl_int err;
    live_need(!has_no_clock() && getenv("LIVE_LOG"));
    profiled = clCreateCommandQueue(live.context, live.device, CL_QUEUE_PROFILING_ENABLE, &err);
    made(profiled);
    cl_mem buffer = live_buffer(4096, NULL);
    later_is_asked_first(buffer);
    int before = live_logged(said);
    live_suspend();
    fail_markers("fail clEnqueueMarkerWithWaitList 1 -5\n");
    live_resume();
    fail_markers("");
    assert_int_equal(live_logged(said), before + 1);
    ok(clReleaseEvent(times_of_one(buffer)));
    live_cycle();
    assert_int_equal(live_logged(said), before + 1);
    later_is_asked_first(buffer);
    ok(clReleaseMemObject(buffer));
    ok(clReleaseCommandQueue(profiled));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times_never_run_backwards),
        cmocka_unit_test(test_times_go_on_without_a_context),
        cmocka_unit_test(test_offset_is_that_of_the_clock),
        cmocka_unit_test(test_order_is_not_that_of_asking),
        cmocka_unit_test(test_device_without_times_is_named),
        cmocka_unit_test(test_clock_that_nothing_tells_is_named),
    };
    return cmocka_run_group_tests(tests, live_setup, live_teardown);
}
