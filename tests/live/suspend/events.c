/* SPDX-License-Identifier: Apache-2.0 */
/* Events through a suspend: what they answer, user events, callbacks; queues and their properties.
 */
#include "live.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static const cl_uint params[] = {CL_EVENT_COMMAND_QUEUE, CL_EVENT_CONTEXT, CL_EVENT_COMMAND_TYPE,
                                 CL_EVENT_REFERENCE_COUNT, CL_EVENT_COMMAND_EXECUTION_STATUS};
static const cl_uint times[] = {CL_PROFILING_COMMAND_QUEUED, CL_PROFILING_COMMAND_SUBMIT,
                                CL_PROFILING_COMMAND_START, CL_PROFILING_COMMAND_END};

static cl_command_queue new_queue(cl_command_queue_properties flags)
{
    cl_int err;
    cl_command_queue queue = clCreateCommandQueue(live.context, live.device, flags, &err);
    if (err == CL_INVALID_QUEUE_PROPERTIES)
        return NULL;
    made(queue);
    return queue;
}

static cl_int status_of(cl_event event)
{
    cl_int status = 99;
    ok(clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL));
    return status;
}

static void test_completed_events_answer_as_before(void **state)
{
    unsigned char told[4][512], timed[2][512], bytes[256];
    cl_event events[2];
    cl_command_queue queue = new_queue(CL_QUEUE_PROFILING_ENABLE);
    cl_mem mem = live_buffer(256, NULL), other = live_buffer(256, NULL);
    live_pattern(bytes, 256, 1);
    ok(clEnqueueWriteBuffer(queue, mem, CL_FALSE, 0, 256, bytes, 0, NULL, &events[0]));
    ok(clEnqueueCopyBuffer(queue, mem, other, 0, 0, 256, 1, &events[0], &events[1]));
    ok(clRetainEvent(events[1]));
    ok(clFinish(queue));
    ok(clWaitForEvents(2, events));
    size_t size[2], time_size = live_ask(clGetEventProfilingInfo, events[1], times, timed[0]);
    for (int i = 0; i < 2; i++)
        size[i] = live_ask(clGetEventInfo, events[i], params, told[i]);
    live_cycle();
    for (int i = 0; i < 2; i++) {
        assert_int_equal(live_ask(clGetEventInfo, events[i], params, told[2 + i]), size[i]);
        if (live_shadowed())
            assert_memory_equal(told[i], told[2 + i], size[i]);
        assert_int_equal(status_of(events[i]), CL_COMPLETE);
    }
    assert_int_equal(live_ask(clGetEventProfilingInfo, events[1], times, timed[1]), time_size);
    assert_memory_equal(timed[0], timed[1], time_size);
    /* They can be waited for still. */
    ok(clEnqueueFillBuffer(queue, mem, bytes, 1, 0, 16, 2, events, NULL));
    ok(clWaitForEvents(2, events));
    live_expect(other, 0, bytes, 256);
    ok(clFinish(queue));
    ok(clReleaseEvent(events[0]));
    ok(clReleaseEvent(events[1]));
    ok(clReleaseEvent(events[1]));
    ok(clReleaseMemObject(mem));
    ok(clReleaseMemObject(other));
    ok(clReleaseCommandQueue(queue));
}

static _Atomic int calls[4], last_status;
static cl_event called_with;

static void CL_CALLBACK called(cl_event event, cl_int status, void *data)
{
    called_with = event;
    last_status = status;
    calls[(intptr_t)data] = calls[(intptr_t)data] + 1;
}

static void register_all(cl_event event)
{
    for (intptr_t i = 0; i < 4; i++)
        calls[i] = 0;
    for (intptr_t type = CL_COMPLETE; type <= CL_SUBMITTED; type++)
        ok(clSetEventCallback(event, (cl_int)type, called, (void *)type));
}

static void test_callbacks_of_a_held_command_come_once(void **state)
{
    cl_int err;
    cl_event user = clCreateUserEvent(live.context, &err), event;
    made(user);
    unsigned char fill = 5, expected[64];
    memset(expected, 5, 64);
    cl_mem mem = live_buffer(64, NULL);
    ok(clEnqueueFillBuffer(live.queue, mem, &fill, 1, 0, 64, 1, &user, &event));
    register_all(event);
    live_cycle();
    if (live_shadowed())
        for (int i = CL_COMPLETE; i <= CL_SUBMITTED; i++)
            assert_int_equal(calls[i], 0);
    ok(clSetUserEventStatus(user, CL_COMPLETE));
    ok(clWaitForEvents(1, &event));
    live_cycle();
    for (int i = CL_COMPLETE; i <= CL_SUBMITTED; i++)
        live_wait_for(&calls[i], 1);
    assert_ptr_equal(called_with, event);
    ok(clSetEventCallback(event, CL_COMPLETE, called, NULL)); /* ended: at once */
    live_wait_for(&calls[0], 2);
    live_cycle();
    live_sleep(20);
    assert_int_equal(calls[0], 2);
    assert_int_equal(calls[1], 1);
    live_expect(mem, 0, expected, 64);
    ok(clReleaseEvent(event));
    ok(clReleaseEvent(user));
    ok(clReleaseMemObject(mem));
}

static void test_user_events_keep_their_status(void **state)
{
    cl_int err;
    cl_event events[3];
    unsigned char told[2][512];
    for (int i = 0; i < 3; i++) {
        events[i] = clCreateUserEvent(live.context, &err);
        made(events[i]);
    }
    ok(clSetUserEventStatus(events[1], CL_COMPLETE));
    ok(clSetUserEventStatus(events[2], -42));
    size_t size = live_ask(clGetEventInfo, events[0], params, told[0]);
    live_cycle();
    assert_int_equal(live_ask(clGetEventInfo, events[0], params, told[1]), size);
    assert_memory_equal(told[0], told[1], size);
    assert_int_equal(status_of(events[0]), CL_SUBMITTED);
    assert_int_equal(status_of(events[1]), CL_COMPLETE);
    assert_int_equal(status_of(events[2]), -42);
    if (live_shadowed() || live.pocl) {
        assert_int_equal(clSetUserEventStatus(events[1], CL_COMPLETE), CL_INVALID_OPERATION);
        assert_int_equal(clSetUserEventStatus(events[2], CL_COMPLETE), CL_INVALID_OPERATION);
    }
    ok(clSetUserEventStatus(events[0], CL_COMPLETE));
    live_cycle();
    assert_int_equal(status_of(events[0]), CL_COMPLETE);
    for (int i = 0; i < 3; i++)
        ok(clReleaseEvent(events[i]));
}

static atomic_bool let_go;

static void CL_CALLBACK wait_to_be_let_go(cl_event event, cl_int status, void *data)
{
    called(event, status, data);
    while (!let_go)
        usleep(1000);
}

/* What it is called for has happened, but the program is still in another one. */
static void test_callback_that_was_due_at_the_suspend(void **state)
{
    unsigned char fill = 7, expected[64];
    cl_event events[2];
    memset(expected, fill, sizeof expected);
    cl_mem mem = live_buffer(64, NULL);
    calls[0] = calls[1] = 0;
    let_go = !live_shadowed(); /* a driver may call from the thread that everything waits for */
    for (intptr_t i = 0; i < 2; i++) {
        ok(clEnqueueFillBuffer(live.queue, mem, &fill, 1, 0, 64, 0, NULL, &events[i]));
        ok(clSetEventCallback(events[i], CL_COMPLETE, i ? called : wait_to_be_let_go, (void *)i));
        ok(clFlush(live.queue));
        ok(clWaitForEvents(1, &events[i]));
        if (!i)
            live_wait_for(&calls[0], 1);
    }
    live_cycle();
    if (live_shadowed())
        assert_int_equal(calls[1], 0);
    let_go = true;
    live_wait_for(&calls[1], 1);
    assert_ptr_equal(called_with, events[1]);
    assert_int_equal(last_status, CL_COMPLETE);
    live_cycle();
    live_expect(mem, 0, expected, sizeof expected);
    assert_int_equal(calls[0], 1);
    assert_int_equal(calls[1], 1);
    ok(clReleaseEvent(events[0]));
    ok(clReleaseEvent(events[1]));
    ok(clReleaseMemObject(mem));
}

static void test_callback_of_a_user_event(void **state)
{
    cl_int err;
    cl_event user = clCreateUserEvent(live.context, &err);
    made(user);
    calls[0] = 0;
    ok(clSetEventCallback(user, CL_COMPLETE, called, NULL));
    live_cycle();
    ok(clSetUserEventStatus(user, CL_COMPLETE));
    live_wait_for(&calls[0], 1);
    assert_int_equal(last_status, CL_COMPLETE);
    assert_ptr_equal(called_with, user);
    ok(clReleaseEvent(user));
}

/* Set while suspended: the call needs the driver, and waits for the resume; here it comes after. */
static void test_negative_status_travels_down_the_chain(void **state)
{
    cl_int err;
    unsigned char bytes[64], fill = 9;
    live_need(live_shadowed()); /* pocl 3.1 forgets the callbacks of what has failed */
    live_pattern(bytes, 64, 2);
    cl_event user = clCreateUserEvent(live.context, &err), chain[3];
    made(user);
    cl_command_queue queues[2] = {new_queue(0), new_queue(0)};
    cl_mem mem = live_buffer(64, bytes);
    ok(clEnqueueFillBuffer(queues[0], mem, &fill, 1, 0, 64, 1, &user, &chain[0]));
    ok(clEnqueueFillBuffer(queues[1], mem, &fill, 1, 0, 64, 1, &chain[0], &chain[1]));
    ok(clEnqueueMarkerWithWaitList(queues[0], 1, &chain[1], &chain[2]));
    calls[0] = 0;
    ok(clSetEventCallback(chain[2], CL_COMPLETE, called, NULL));
    live_cycle();
    ok(clSetUserEventStatus(user, -77));
    live_wait_for(&calls[0], 1);
    assert_true(last_status < 0);
    live_cycle();
    assert_int_equal(clWaitForEvents(3, chain), CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
    for (int i = 0; i < 3; i++) {
        assert_true(status_of(chain[i]) < 0);
        ok(clReleaseEvent(chain[i]));
    }
    live_expect(mem, 0, bytes, 64);
    ok(clReleaseEvent(user));
    ok(clReleaseMemObject(mem));
    for (int i = 0; i < 2; i++)
        ok(clReleaseCommandQueue(queues[i]));
}

static const cl_uint of_queue[] = {
    CL_QUEUE_CONTEXT, CL_QUEUE_DEVICE,         CL_QUEUE_REFERENCE_COUNT, CL_QUEUE_PROPERTIES,
    CL_QUEUE_SIZE,    CL_QUEUE_DEVICE_DEFAULT, CL_QUEUE_PROPERTIES_ARRAY};

/* Ended while suspended, its event is nothing that the driver could be told to wait for. */
static void test_markers_behind_ended_events_have_times(void **state)
{
    cl_command_queue queue =
        new_queue(CL_QUEUE_PROFILING_ENABLE | CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE);
    live_need(queue);
    unsigned char fill = 3;
    cl_event before, after[3];
    cl_int err;
    cl_event gate = clCreateUserEvent(live.context, &err);
    made(gate);
    cl_mem mem = live_buffer(64, NULL);
    ok(clEnqueueFillBuffer(queue, mem, &fill, 1, 0, 64, 0, NULL, &before));
    ok(clFinish(queue));
    live_cycle();
    const cl_event both[] = {before, gate};
    ok(clEnqueueMarkerWithWaitList(queue, 1, &before, &after[0]));
    ok(clEnqueueBarrierWithWaitList(queue, 1, &before, &after[1]));
    ok(clEnqueueMarkerWithWaitList(queue, 2, both, &after[2]));
    ok(clSetUserEventStatus(gate, CL_COMPLETE));
    for (int i = 0; i < 3; i++) {
        cl_ulong queued = 0, end = 0;
        ok(clWaitForEvents(1, &after[i]));
        ok(clGetEventProfilingInfo(after[i], CL_PROFILING_COMMAND_QUEUED, sizeof queued, &queued,
                                   NULL));
        ok(clGetEventProfilingInfo(after[i], CL_PROFILING_COMMAND_END, sizeof end, &end, NULL));
        assert_true(queued != 0 && queued <= end);
        ok(clReleaseEvent(after[i]));
    }
    ok(clReleaseEvent(before));
    ok(clReleaseEvent(gate));
    ok(clReleaseMemObject(mem));
    ok(clReleaseCommandQueue(queue));
}

static const char *const slow = "kernel void slow(global uint *to, uint rounds)\n"
                                "{\n"
                                "    uint x = 1;\n"
                                "    for (uint i = 0; i < rounds; i++)\n"
                                "        x = x * 1664525u + 1013904223u;\n"
                                "    to[get_global_id(0)] = x ? 7 : 8;\n"
                                "}\n";

/* §5.1: a queue's commands run on when it is released. Nobody knows of them any more, and a suspend
 * waits for them all the same. */
static void test_commands_of_a_released_queue(void **state)
{
    cl_uint before[16] = {0}, after[16], rounds = 1u << 25;
    live_need(live_shadowed() && live.version >= 200); /* oclgrind is too slow for it */
    cl_kernel kernel = live_kernel(slow, "slow");
    cl_mem mem = live_buffer(sizeof before, before);
    cl_command_queue queue = new_queue(0);
    for (int i = 0; i < 16; i++)
        after[i] = 7;
    ok(clSetKernelArg(kernel, 0, sizeof mem, &mem));
    ok(clSetKernelArg(kernel, 1, sizeof rounds, &rounds));
    live_launch(queue, kernel, 16);
    ok(clReleaseCommandQueue(queue));
    live_cycle();
    live_expect(mem, 0, after, sizeof after);
    ok(clReleaseKernel(kernel));
    ok(clReleaseMemObject(mem));
}

static void test_queues_keep_their_properties(void **state)
{
    static const cl_command_queue_properties flags[] = {
        0, CL_QUEUE_PROFILING_ENABLE, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE,
        CL_QUEUE_PROFILING_ENABLE | CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE};
    cl_command_queue queues[8] = {NULL};
    unsigned char told[8][512], now[512], bytes[64], fill = 3;
    size_t sizes[8] = {0};
    cl_int err;
    memset(bytes, fill, 64);
    for (int i = 0; i < 8; i++) {
        cl_queue_properties array[] = {CL_QUEUE_PROPERTIES, flags[i % 4], 0};
        if (i < 4)
            queues[i] = new_queue(flags[i]);
        else if (live.version >= 200)
            queues[i] = clCreateCommandQueueWithProperties(live.context, live.device, array, &err);
        if (queues[i])
            sizes[i] = live_ask(clGetCommandQueueInfo, queues[i], of_queue, told[i]);
    }
    for (int round = 0; round < 2; round++) {
        live_cycle();
        for (int i = 0; i < 8; i++) {
            cl_event event;
            cl_ulong end = 0;
            if (!queues[i])
                continue;
            if (round == 0 && live_shadowed()) {
                assert_int_equal(live_ask(clGetCommandQueueInfo, queues[i], of_queue, now),
                                 sizes[i]);
                assert_memory_equal(now, told[i], sizes[i]);
            }
            cl_mem mem = live_buffer(64, NULL);
            ok(clEnqueueFillBuffer(queues[i], mem, &fill, 1, 0, 64, 0, NULL, &event));
            ok(clFinish(queues[i]));
            live_expect(mem, 0, bytes, 64);
            cl_int expected = flags[i % 4] & CL_QUEUE_PROFILING_ENABLE
                                  ? CL_SUCCESS
                                  : CL_PROFILING_INFO_NOT_AVAILABLE;
            live_cycle();
            assert_int_equal(
                clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof end, &end, NULL),
                expected);
            ok(clReleaseEvent(event));
            ok(clReleaseMemObject(mem));
        }
    }
    for (int i = 0; i < 8; i++)
        if (queues[i])
            ok(clReleaseCommandQueue(queues[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_completed_events_answer_as_before),
        cmocka_unit_test(test_callbacks_of_a_held_command_come_once),
        cmocka_unit_test(test_user_events_keep_their_status),
        cmocka_unit_test(test_callback_that_was_due_at_the_suspend),
        cmocka_unit_test(test_callback_of_a_user_event),
        cmocka_unit_test(test_negative_status_travels_down_the_chain),
        cmocka_unit_test(test_commands_of_a_released_queue),
        cmocka_unit_test(test_markers_behind_ended_events_have_times),
        cmocka_unit_test(test_queues_keep_their_properties),
    };
    return cmocka_run_group_tests(tests, live_setup, live_teardown);
}
