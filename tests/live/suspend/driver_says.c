/* SPDX-License-Identifier: Apache-2.0 */
/* What a driver does of itself: it tells a context of an error, ends a command that it took with
 * one, and takes no command that was held back. The test driver does so when it is told
 * (SHADOWCL_TEST_FAULTS). */
#include "live.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE 8192

static void tell(const char *lines)
{
    char fresh[512];
    const char *path = getenv("SHADOWCL_TEST_FAULTS");
    assert_non_null(path);
    snprintf(fresh, sizeof fresh, "%s.new", path ? path : "");
    FILE *file = fopen(fresh, "w");
    assert_non_null(file);
    fputs(lines, file);
    fclose(file);
    assert_int_equal(rename(fresh, path ? path : ""), 0);
}

/* What the program's functions were told, each of its own context. */
static struct heard {
    _Atomic int times, wrong;
    const char *_Atomic expected;
    pthread_t program;
} heard[2];

static void CL_CALLBACK hear(const char *text, const void *info, size_t size, void *data)
{
    struct heard *it = data;
    const char *expected = atomic_load(&it->expected);
    bool right = strcmp(text, expected) == 0 && size == strlen(expected) + 1 && info &&
                 memcmp(info, expected, size) == 0 && !pthread_equal(pthread_self(), it->program);
    if (!right)
        atomic_fetch_add(&it->wrong, 1);
    /* What the program may do there: ask. */
    cl_uint refs = 0;
    if (clGetContextInfo(live.context, CL_CONTEXT_REFERENCE_COUNT, sizeof refs, &refs, NULL) !=
        CL_SUCCESS)
        atomic_fetch_add(&it->wrong, 1);
    atomic_fetch_add(&it->times, 1);
}

static cl_context listening(struct heard *it)
{
    cl_int err;
    *it = (struct heard){.program = pthread_self()};
    cl_context context = clCreateContext(NULL, 1, &live.device, hear, it, &err);
    made(context);
    return context;
}

static void expect_notice(const char *text, int times)
{
    for (int i = 0; i < 2; i++)
        live_wait_for(&heard[i].times, times);
    live_sleep(50);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(atomic_load(&heard[i].times), times);
        if (atomic_load(&heard[i].wrong))
            fail_msg("the notice was not `%s`, or came in the wrong thread", text);
    }
}

static void raise_notice(const char *text)
{
    char line[128];
    for (int i = 0; i < 2; i++)
        atomic_store(&heard[i].expected, text);
    snprintf(line, sizeof line, "notice 1 %s\n", text);
    tell(line);
}

/* Each once, in a thread of ours, with the program's own data: before a suspend, raised by the
 * first call of one, and after a resume by the driver that was loaded then. */
static void test_notices_reach_the_program_once(void **state)
{
    cl_context contexts[2] = {listening(&heard[0]), listening(&heard[1])};
    raise_notice("the device has a cold");
    ok(clFinish(live.queue));
    expect_notice("the device has a cold", 1);
    raise_notice("it was asked to let go");
    live_suspend();
    expect_notice("it was asked to let go", 2);
    live_resume();
    live_cycle();
    expect_notice("it was asked to let go", 2);
    raise_notice("the device is well again");
    ok(clFinish(live.queue));
    expect_notice("the device is well again", 3);
    tell("");
    for (int i = 0; i < 2; i++)
        ok(clReleaseContext(contexts[i]));
}

/* A context with a kernel in flight, and all of it released. */
static void leave_context_in_flight(struct heard *it)
{
    cl_int err;
    size_t one = 1;
    static const char *source = "kernel void f(void) {}";
    cl_context context = listening(it);
    cl_command_queue queue = clCreateCommandQueue(context, live.device, 0, &err);
    made(queue);
    cl_program program = clCreateProgramWithSource(context, 1, &source, NULL, &err);
    made(program);
    ok(clBuildProgram(program, 1, &live.device, NULL, NULL, NULL));
    cl_kernel kernel = clCreateKernel(program, "f", &err);
    made(kernel);
    tell("stall 1\n");
    ok(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &one, NULL, 0, NULL, NULL));
    ok(clReleaseKernel(kernel));
    ok(clReleaseProgram(program));
    ok(clReleaseCommandQueue(queue));
    ok(clReleaseContext(context));
}

/* The driver keeps the context while its kernel runs. Its slot is another's by then. */
static void test_notices_of_a_context_that_is_gone_reach_nobody_else(void **state)
{
    cl_int err;
    cl_context others[200];
    leave_context_in_flight(&heard[0]);
    for (int i = 0; i < 5000; i++)
        ok(clReleaseEvent(clCreateUserEvent(live.context, &err)));
    for (int i = 0; i < 200; i++)
        others[i] = listening(&heard[1]);
    heard[0].expected = heard[1].expected = "too hot";
    tell("stall 1\nnotice 1 too hot\n");
    ok(clFinish(live.queue));
    live_wait_for(&heard[1].times, 200);
    live_sleep(50);
    assert_int_equal(atomic_load(&heard[1].times), 200);
    assert_int_equal(atomic_load(&heard[1].wrong), 0);
    tell("");
    for (int i = 0; i < 200; i++)
        ok(clReleaseContext(others[i]));
}

/* Nothing of it is left to be asked for, but it runs on the device. */
static void test_suspend_waits_for_a_context_that_is_gone(void **state)
{
    leave_context_in_flight(&heard[0]);
    assert_false(live_try_suspend_in("1"));
    tell("");
    live_cycle();
}

static void expect_count(cl_mem mem, cl_uint expected)
{
    cl_uint count = 0;
    for (int i = 0; i < 500; i++) {
        ok(clGetMemObjectInfo(mem, CL_MEM_MAP_COUNT, sizeof count, &count, NULL));
        if (count == expected)
            return;
        live_sleep(2);
    }
    assert_int_equal(count, expected);
}

/* OpenCL 3.0 §5.11: the driver has taken the unmap, whose wait then fails: it never runs. So the
 * region is mapped still, also through a suspend, and can be unmapped. */
static void fail_in_driver(cl_map_flags flags, bool cycle)
{
    cl_int err, status = 0;
    unsigned char bytes[SIZE];
    live_pattern(bytes, SIZE, 21);
    cl_mem mem = live_buffer(SIZE, bytes);
    unsigned char *p =
        clEnqueueMapBuffer(live.queue, mem, CL_TRUE, flags, 0, SIZE, 0, NULL, NULL, &err);
    made(p);
    /* What is invalidated has to be written, all of it. */
    memcpy(p, bytes, SIZE);
    memset(p + 300, 0x99, 1000);
    cl_event first, done;
    ok(clEnqueueMarkerWithWaitList(live.queue, 0, NULL, &first));
    tell("spoil clEnqueueUnmapMemObject 1 -5\nspoil clEnqueueWriteBuffer 1 -5\n");
    ok(clEnqueueUnmapMemObject(live.queue, mem, p, 1, &first, &done));
    tell("");
    assert_int_not_equal(clWaitForEvents(1, &done), CL_SUCCESS);
    ok(clGetEventInfo(done, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL));
    assert_int_equal(status, -5);
    expect_count(mem, 1);
    if (cycle)
        live_cycle();
    memset(p + 3000, 0x77, 1000);
    memset(bytes + 300, 0x99, 1000);
    memset(bytes + 3000, 0x77, 1000);
    ok(clEnqueueUnmapMemObject(live.queue, mem, p, 0, NULL, NULL));
    expect_count(mem, 0);
    live_expect(mem, 0, bytes, SIZE);
    live_cycle();
    live_expect(mem, 0, bytes, SIZE);
    assert_int_equal(clEnqueueUnmapMemObject(live.queue, mem, p, 0, NULL, NULL), CL_INVALID_VALUE);
    ok(clReleaseEvent(first));
    ok(clReleaseEvent(done));
    ok(clReleaseMemObject(mem));
}

static void test_unmap_that_fails_in_the_driver_leaves_the_region_mapped(void **state)
{
    fail_in_driver(CL_MAP_READ | CL_MAP_WRITE, false);
    fail_in_driver(CL_MAP_READ | CL_MAP_WRITE, true);
    fail_in_driver(CL_MAP_WRITE_INVALIDATE_REGION, true);
}

static cl_int status_of(cl_event event)
{
    cl_int status = 99;
    ok(clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL));
    return status;
}

static _Atomic int told_status;

static void CL_CALLBACK note_status(cl_event event, cl_int status, void *data)
{
    atomic_store(&told_status, status);
}

/* What hangs on the chain in another thread. */
static void *wait_for_it(void *event)
{
    cl_int err = clWaitForEvents(1, event);
    return (void *)(intptr_t)err;
}

/* The call that fails is made when the command is handed over: its error becomes the event's
 * status, and what waits for that never runs, also on another queue; what does not wait for it
 * runs. */
static void fail_at_hand_over(const char *faults, int failing)
{
    static const char *source = "kernel void put(global uchar *x) { x[get_global_id(0)] = 7; }";
    const size_t items = 100;
    const unsigned char five = 5, three = 3;
    unsigned char bytes[SIZE], read[64] = {0}, none[64] = {0};
    cl_event chain[6];
    cl_int err;
    void *waited = NULL;
    pthread_t thread;
    live_pattern(bytes, SIZE, 30);
    cl_mem mem = live_buffer(SIZE, bytes);
    cl_kernel kernel = live_kernel(source, "put");
    cl_command_queue other = clCreateCommandQueue(live.context, live.device, 0, &err);
    made(other);
    ok(clSetKernelArg(kernel, 0, sizeof mem, &mem));
    atomic_store(&told_status, 0);
    chain[0] = live_user_event();
    ok(clEnqueueFillBuffer(live.queue, mem, &five, 1, 4000, 96, 1, &chain[0], &chain[1]));
    ok(clEnqueueNDRangeKernel(live.queue, kernel, 1, NULL, &items, NULL, 1, &chain[1], &chain[2]));
    ok(clEnqueueReadBuffer(other, mem, CL_FALSE, 0, 64, read, 1, &chain[2], &chain[3]));
    ok(clEnqueueMarkerWithWaitList(live.queue, 1, &chain[3], &chain[4]));
    ok(clEnqueueFillBuffer(live.queue, mem, &three, 1, 5000, 8, 0, NULL, &chain[5]));
    ok(clSetEventCallback(chain[4], CL_COMPLETE, note_status, NULL));
    assert_int_equal(pthread_create(&thread, NULL, wait_for_it, &chain[4]), 0);
    live_cycle();
    tell(faults);
    ok(clSetUserEventStatus(chain[0], CL_COMPLETE));
    tell("");
    live_cycle();
    assert_int_equal(pthread_join(thread, &waited), 0);
    assert_int_equal((cl_int)(intptr_t)waited, CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
    ok(clFinish(live.queue));
    ok(clFinish(other));
    live_cycle();
    for (int i = 1; i < 5; i++)
        assert_int_equal(status_of(chain[i]), i < failing ? CL_COMPLETE
                                              : i == failing
                                                  ? -5
                                                  : CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
    assert_int_equal(status_of(chain[5]), CL_COMPLETE);
    live_wait_for(&told_status, CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
    assert_memory_equal(read, none, sizeof read);
    if (failing > 1)
        memset(bytes + 4000, five, 96);
    if (failing > 2)
        memset(bytes, 7, items);
    memset(bytes + 5000, three, 8);
    live_expect(mem, 0, bytes, SIZE);
    for (int i = 0; i < 6; i++)
        ok(clReleaseEvent(chain[i]));
    ok(clReleaseKernel(kernel));
    ok(clReleaseCommandQueue(other));
    ok(clReleaseMemObject(mem));
}

static void test_error_at_hand_over_is_the_status_of_its_event(void **state)
{
    fail_at_hand_over("fail clEnqueueFillBuffer 1 -5\n", 1);
    fail_at_hand_over("fail clEnqueueNDRangeKernel 1 -5\n", 2);
    fail_at_hand_over("fail clEnqueueReadBuffer 1 -5\n", 3);
}

/* What was to be read is not there, but the pointer is, and is given back; the unmap is made again.
 */
static void test_maps_and_unmaps_that_fail_at_hand_over(void **state)
{
    static const char faults[] = "fail clEnqueueMapBuffer 1 -5\nfail clEnqueueReadBuffer 1 -5\n"
                                 "fail clEnqueueUnmapMemObject 1 -5\n"
                                 "fail clEnqueueWriteBuffer 1 -5\n";
    unsigned char bytes[SIZE];
    cl_int err;
    cl_event events[2];
    live_pattern(bytes, SIZE, 31);
    cl_mem mem = live_buffer(SIZE, bytes);
    cl_event gate = live_user_event();
    unsigned char *p = clEnqueueMapBuffer(live.queue, mem, CL_FALSE, CL_MAP_READ, 0, 100, 1, &gate,
                                          &events[0], &err);
    made(p);
    live_cycle();
    tell(faults);
    ok(clSetUserEventStatus(gate, CL_COMPLETE));
    tell("");
    ok(clReleaseEvent(gate));
    assert_int_equal(status_of(events[0]), -5);
    live_cycle();
    ok(clEnqueueUnmapMemObject(live.queue, mem, p, 0, NULL, NULL));
    expect_count(mem, 0);
    live_expect(mem, 0, bytes, SIZE);
    p = clEnqueueMapBuffer(live.queue, mem, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0, SIZE, 0, NULL,
                           NULL, &err);
    made(p);
    gate = live_user_event();
    ok(clEnqueueUnmapMemObject(live.queue, mem, p, 1, &gate, &events[1]));
    live_cycle();
    memset(p + 20, 0x11, 50);
    memset(bytes + 20, 0x11, 50);
    tell(faults);
    ok(clSetUserEventStatus(gate, CL_COMPLETE));
    tell("");
    assert_int_equal(status_of(events[1]), -5);
    expect_count(mem, 1);
    live_cycle();
    ok(clEnqueueUnmapMemObject(live.queue, mem, p, 0, NULL, NULL));
    expect_count(mem, 0);
    live_expect(mem, 0, bytes, SIZE);
    for (int i = 0; i < 2; i++)
        ok(clReleaseEvent(events[i]));
    ok(clReleaseEvent(gate));
    ok(clReleaseMemObject(mem));
}

static _Atomic int times_told[3]; /* by the callback's type: complete, running, submitted */

static void CL_CALLBACK count_calls(cl_event event, cl_int status, void *data)
{
    atomic_fetch_add(&times_told[status], 1);
}

static void expect_calls(int times)
{
    for (int i = 0; i < 3; i++)
        live_wait_for(&times_told[i], times);
    live_sleep(50);
    for (int i = 0; i < 3; i++)
        assert_int_equal(atomic_load(&times_told[i]), times);
}

/* The driver refuses the callbacks of a command that was held back when it gets the command. Each
 * comes all the same, once, and not before its moment. */
static void refuse_callbacks(bool stalled, bool cycle)
{
    static const char *source = "kernel void put(global uchar *x) { x[get_global_id(0)] = 7; }";
    static const char refused[] = "fail clSetEventCallback 1 -5\nfail clSetEventCallback 2 -5\n"
                                  "fail clSetEventCallback 3 -5\n";
    const size_t items = 100;
    char lines[256];
    cl_mem mem = live_buffer(SIZE, NULL);
    cl_kernel kernel = live_kernel(source, "put");
    cl_event gate = live_user_event(), done;
    ok(clSetKernelArg(kernel, 0, sizeof mem, &mem));
    ok(clEnqueueNDRangeKernel(live.queue, kernel, 1, NULL, &items, NULL, 1, &gate, &done));
    for (int i = 0; i < 3; i++) {
        atomic_store(&times_told[i], 0);
        ok(clSetEventCallback(done, i, count_calls, NULL));
    }
    snprintf(lines, sizeof lines, "%s%s", refused, stalled ? "stall 1\n" : "");
    tell(lines);
    ok(clSetUserEventStatus(gate, CL_COMPLETE));
    if (stalled) {
        live_sleep(100);
        assert_int_equal(atomic_load(&times_told[CL_COMPLETE]), 0);
    }
    tell("");
    if (cycle)
        live_cycle();
    expect_calls(1);
    ok(clFinish(live.queue));
    live_cycle();
    expect_calls(1);
    ok(clReleaseEvent(gate));
    ok(clReleaseEvent(done));
    ok(clReleaseKernel(kernel));
    ok(clReleaseMemObject(mem));
}

static void test_callbacks_that_are_refused_at_hand_over_come_once(void **state)
{
    refuse_callbacks(false, false);
    refuse_callbacks(true, false);
    refuse_callbacks(false, true);
}

static cl_command_queue waiting_queue;

static void *finish_it(void *unused)
{
    return (void *)(intptr_t)clFinish(waiting_queue);
}

/* OpenCL 3.0 §5.15: a driver need not begin a command before its queue is flushed. A thread that
 * waits for one, in the driver, is let out also when a suspend keeps the one away that would flush
 * it. */
static void wait_for_unflushed(void *(*wait)(void *), cl_command_queue other)
{
    static const char *source = "kernel void put(global uchar *x) { x[get_global_id(0)] = 7; }";
    const size_t items = 100;
    unsigned char bytes[SIZE];
    cl_event done;
    pthread_t thread;
    void *answer = NULL;
    live_pattern(bytes, SIZE, 40);
    cl_mem mem = live_buffer(SIZE, bytes);
    cl_kernel kernel = live_kernel(source, "put");
    ok(clSetKernelArg(kernel, 0, sizeof mem, &mem));
    ok(clFinish(live.queue));
    tell("unflushed 1\n");
    ok(clEnqueueNDRangeKernel(live.queue, kernel, 1, NULL, &items, NULL, 0, NULL, &done));
    ok(clEnqueueMarkerWithWaitList(other, 1, &done, NULL));
    waiting_queue = other;
    assert_int_equal(pthread_create(&thread, NULL, wait, &done), 0);
    live_sleep(100);
    assert_true(status_of(done) > CL_COMPLETE);
    bool suspended = live_try_suspend_in("5");
    if (suspended)
        live_resume();
    else
        ok(clFlush(live.queue)); /* as it would have */
    tell("");
    assert_int_equal(pthread_join(thread, &answer), 0);
    assert_true(suspended);
    assert_null(answer); /* CL_SUCCESS */
    memset(bytes, 7, items);
    live_expect(mem, 0, bytes, SIZE);
    ok(clReleaseEvent(done));
    ok(clReleaseKernel(kernel));
    ok(clReleaseMemObject(mem));
}

static void test_wait_for_what_a_thread_at_the_gate_would_flush(void **state)
{
    cl_int err;
    cl_command_queue other = clCreateCommandQueue(live.context, live.device, 0, &err);
    made(other);
    wait_for_unflushed(finish_it, other);
    wait_for_unflushed(wait_for_it, other);
    ok(clReleaseCommandQueue(other));
}

static _Atomic int num_created;

/* In a driver that sleeps, which is where a thread may end. */
static void *create_kernel(void *data)
{
    cl_int err;
    cl_kernel kernel = clCreateKernel(data, "f", &err);
    if (kernel && clReleaseKernel(kernel) == CL_SUCCESS)
        atomic_fetch_add(&num_created, 1);
    pthread_testcancel();
    return data;
}

static void test_cancelled_thread_ends_after_its_call(void **state)
{
    pthread_t thread;
    void *left = NULL;
    cl_program program = live_program("kernel void f(void) {}", NULL);
    tell("slow clCreateKernel 300000\n");
    assert_int_equal(pthread_create(&thread, NULL, create_kernel, program), 0);
    live_sleep(100);
    pthread_cancel(thread);
    assert_int_equal(pthread_join(thread, &left), 0);
    tell("");
    assert_ptr_equal(left, PTHREAD_CANCELED);
    assert_int_equal(atomic_load(&num_created), 1);
    live_cycle();
    ok(clReleaseProgram(program));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notices_reach_the_program_once),
        cmocka_unit_test(test_cancelled_thread_ends_after_its_call),
        cmocka_unit_test(test_notices_of_a_context_that_is_gone_reach_nobody_else),
        cmocka_unit_test(test_suspend_waits_for_a_context_that_is_gone),
        cmocka_unit_test(test_unmap_that_fails_in_the_driver_leaves_the_region_mapped),
        cmocka_unit_test(test_error_at_hand_over_is_the_status_of_its_event),
        cmocka_unit_test(test_maps_and_unmaps_that_fail_at_hand_over),
        cmocka_unit_test(test_wait_for_what_a_thread_at_the_gate_would_flush),
        cmocka_unit_test(test_callbacks_that_are_refused_at_hand_over_come_once),
    };
    return cmocka_run_group_tests(tests, live_setup, live_teardown);
}
