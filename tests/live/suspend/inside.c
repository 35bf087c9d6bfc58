/* SPDX-License-Identifier: Apache-2.0 */
/* A driver that runs a native kernel in the very call that enqueues it, as pocl's `basic` device
 * does, and the test driver when it is told: on the thread that sets the event for which the
 * command was held. (Natively pocl's hangs then.) */
#include "live.h"

#include <pthread.h>
#include <stdatomic.h>

#define SIZE 1024

static const cl_uint words[4] = {0x11111111, 0x22222222, 0x33333333, 0x44444444};

static void fill(cl_command_queue queue, cl_mem mem, cl_uint word, cl_event *wait)
{
    ok(clEnqueueFillBuffer(queue, mem, &words[word], sizeof *words, 0, SIZE, wait ? 1 : 0, wait,
                           NULL));
}

static void expect_fill(cl_mem mem, cl_uint word)
{
    cl_uint expected[SIZE / 4];
    for (size_t i = 0; i < SIZE / 4; i++)
        expected[i] = words[word];
    live_expect(mem, 0, expected, SIZE);
}

static void CL_CALLBACK run(void *args)
{
    void (**function)(void) = args;
    (*function)();
}

static void enqueue_native(cl_command_queue queue, void (*function)(void), cl_event *wait)
{
    ok(clEnqueueNativeKernel(queue, run, &function, sizeof function, 0, NULL, NULL, 1, wait, NULL));
}

static cl_mem mem;
static cl_event event, other;
static cl_int err_inside;

static void enqueue_more(void)
{
    err_inside =
        clEnqueueFillBuffer(live.queue, mem, &words[1], sizeof *words, 0, SIZE, 0, NULL, &event);
}

/* §5.10: on its own queue, which is in order: it comes after what was enqueued before. */
static void test_native_kernel_enqueues_on_its_own_queue(void **state)
{
    cl_int status = 99;
    cl_event gate = live_user_event();
    mem = live_buffer(SIZE, NULL);
    err_inside = 99;
    enqueue_native(live.queue, enqueue_more, &gate);
    fill(live.queue, mem, 0, NULL);
    live_cycle();
    ok(clSetUserEventStatus(gate, CL_COMPLETE));
    ok(clFinish(live.queue));
    ok(err_inside);
    ok(clWaitForEvents(1, &event));
    ok(clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL));
    assert_int_equal(status, CL_COMPLETE);
    expect_fill(mem, 1);
    live_cycle();
    expect_fill(mem, 1);
    ok(clReleaseEvent(event));
    ok(clReleaseEvent(gate));
    ok(clReleaseMemObject(mem));
}

static void set_other(void)
{
    err_inside = clSetUserEventStatus(other, CL_COMPLETE);
}

/* What hangs on that event goes at once, but for what has to come after the native kernel. */
static void test_native_kernel_sets_another_event(void **state)
{
    cl_event gate = live_user_event();
    cl_command_queue beside = live_queue();
    cl_mem there = live_buffer(SIZE, NULL);
    mem = live_buffer(SIZE, NULL);
    other = live_user_event();
    err_inside = 99;
    fill(beside, there, 2, &other);
    enqueue_native(live.queue, set_other, &gate);
    fill(live.queue, mem, 3, &other);
    live_cycle();
    ok(clSetUserEventStatus(gate, CL_COMPLETE));
    ok(err_inside);
    ok(clFinish(beside));
    ok(clFinish(live.queue));
    expect_fill(there, 2);
    expect_fill(mem, 3);
    live_cycle();
    expect_fill(mem, 3);
    ok(clReleaseCommandQueue(beside));
    ok(clReleaseEvent(gate));
    ok(clReleaseEvent(other));
    ok(clReleaseMemObject(mem));
    ok(clReleaseMemObject(there));
}

static _Atomic int began, may_end;

static void take_time(void)
{
    began = 1;
    live_wait_for(&may_end, 1);
}

static void *set_gate(void *gate)
{
    return (void *)(intptr_t)clSetUserEventStatus(gate, CL_COMPLETE);
}

static void expect_set(pthread_t thread)
{
    void *result = &thread;
    assert_int_equal(pthread_join(thread, &result), 0);
    ok((cl_int)(intptr_t)result);
}

/* Commands of other threads, while one is handed over, stand behind those held before. */
static void test_order_while_a_native_kernel_runs(void **state)
{
    pthread_t thread;
    cl_event gate = live_user_event();
    mem = live_buffer(SIZE, NULL);
    began = may_end = 0;
    enqueue_native(live.queue, take_time, &gate);
    fill(live.queue, mem, 0, NULL);
    live_cycle();
    assert_int_equal(pthread_create(&thread, NULL, set_gate, gate), 0);
    live_wait_for(&began, 1);
    fill(live.queue, mem, 1, NULL);
    may_end = 1;
    expect_fill(mem, 1);
    expect_set(thread);
    ok(clFinish(live.queue));
    expect_fill(mem, 1);
    ok(clReleaseEvent(gate));
    ok(clReleaseMemObject(mem));
}

static const char *const source = "kernel void work(global uint *x, uint turns)\n"
                                  "{\n"
                                  "    uint v = 1;\n"
                                  "    for (uint i = 0; i < turns; i++)\n"
                                  "        v = v * 1664525u + 1013904223u + x[1];\n"
                                  "    x[0] = v;\n"
                                  "}\n";

static cl_uint model(cl_uint turns)
{
    cl_uint v = 1;
    for (cl_uint i = 0; i < turns; i++)
        v = v * 1664525u + 1013904223u;
    return v;
}

static void *let_end_soon(void *unused)
{
    live_sleep(300);
    may_end = 1;
    return NULL;
}

/* A suspend that comes while the native kernel runs also waits for what was held behind it. */
static void test_suspend_waits_for_what_is_handed_over_late(void **state)
{
    const cl_uint turns = 200000000;
    const size_t one = 1;
    cl_uint x[2] = {0, 0};
    pthread_t setter, ender;
    live_need(!live.pocl); /* its own lock is held while the kernel runs */
    cl_kernel kernel = live_kernel(source, "work");
    cl_command_queue beside = live_queue();
    cl_mem out = live_buffer(sizeof x, x);
    ok(clSetKernelArg(kernel, 0, sizeof out, &out));
    ok(clSetKernelArg(kernel, 1, sizeof turns, &turns));
    cl_event gate = live_user_event();
    began = may_end = 0;
    enqueue_native(live.queue, take_time, &gate);
    ok(clEnqueueNDRangeKernel(beside, kernel, 1, NULL, &one, NULL, 1, &gate, NULL));
    assert_int_equal(pthread_create(&setter, NULL, set_gate, gate), 0);
    live_wait_for(&began, 1);
    assert_int_equal(pthread_create(&ender, NULL, let_end_soon, NULL), 0);
    live_cycle();
    expect_set(setter);
    pthread_join(ender, NULL);
    ok(clEnqueueReadBuffer(beside, out, CL_TRUE, 0, sizeof x, x, 0, NULL, NULL));
    assert_int_equal(x[0], model(turns));
    ok(clReleaseEvent(gate));
    ok(clReleaseMemObject(out));
    ok(clReleaseKernel(kernel));
    ok(clReleaseCommandQueue(beside));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_native_kernel_enqueues_on_its_own_queue),
        cmocka_unit_test(test_native_kernel_sets_another_event),
        cmocka_unit_test(test_order_while_a_native_kernel_runs),
        cmocka_unit_test(test_suspend_waits_for_what_is_handed_over_late),
    };
    return cmocka_run_group_tests(tests, live_setup, live_teardown);
}
