/* SPDX-License-Identifier: Apache-2.0 */
/* cl_khr_command_buffer through a suspend: recorded before, gone on with, finalized, and enqueued
 * after; what was recorded stays whatever becomes of the kernel and the buffers. */
#include "live.h"

#include <CL/cl_ext.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef CL_COMMAND_BUFFER_CONTEXT_KHR /* since 0.9.2 */
#define CL_COMMAND_BUFFER_CONTEXT_KHR 0x1299
#endif

#define ITEMS 1024
#define SIZE (ITEMS * sizeof(cl_int))

#define CALLS(X)                                                                                   \
    X(clCreateCommandBufferKHR)                                                                    \
    X(clFinalizeCommandBufferKHR)                                                                  \
    X(clRetainCommandBufferKHR)                                                                    \
    X(clReleaseCommandBufferKHR)                                                                   \
    X(clEnqueueCommandBufferKHR)                                                                   \
    X(clCommandBarrierWithWaitListKHR)                                                             \
    X(clCommandCopyBufferKHR)                                                                      \
    X(clCommandCopyBufferRectKHR)                                                                  \
    X(clCommandCopyBufferToImageKHR)                                                               \
    X(clCommandCopyImageKHR)                                                                       \
    X(clCommandCopyImageToBufferKHR)                                                               \
    X(clCommandFillBufferKHR)                                                                      \
    X(clCommandFillImageKHR)                                                                       \
    X(clCommandNDRangeKernelKHR)                                                                   \
    X(clGetCommandBufferInfoKHR)

static struct {
#define X(call) __typeof__(call) *call;
    CALLS(X)
#undef X
} ext;

static bool present;
static bool ours; /* the library is shadowcl's: where pocl 3.1 is not by the specification */

static int setup(void **state)
{
    if (live_setup(state) != 0)
        return -1;
#define X(call)                                                                                    \
    ext.call = (__typeof__(call) *)clGetExtensionFunctionAddressForPlatform(live.platform, #call);
    CALLS(X)
#undef X
    ours = live_shadowed();
    present = ext.clCreateCommandBufferKHR != NULL;
    return 0;
}

static cl_command_buffer_khr make(const cl_command_buffer_properties_khr *properties)
{
    cl_int err;
    cl_command_buffer_khr buffer = ext.clCreateCommandBufferKHR(1, &live.queue, properties, &err);
    made(buffer);
    return buffer;
}

static cl_uint ask(cl_command_buffer_khr buffer, cl_command_buffer_info_khr param)
{
    cl_uint value = 99;
    ok(ext.clGetCommandBufferInfoKHR(buffer, param, sizeof value, &value, NULL));
    return value;
}

/* pocl may learn of a run's end a moment after its queue. */
static void finish(cl_command_buffer_khr buffer)
{
    ok(clFinish(live.queue));
    for (int i = 0; i < 1000 &&
                    ask(buffer, CL_COMMAND_BUFFER_STATE_KHR) == CL_COMMAND_BUFFER_STATE_PENDING_KHR;
         i++)
        live_sleep(1);
    assert_int_equal(ask(buffer, CL_COMMAND_BUFFER_STATE_KHR),
                     CL_COMMAND_BUFFER_STATE_EXECUTABLE_KHR);
}

static void run(cl_command_buffer_khr buffer)
{
    ok(ext.clEnqueueCommandBufferKHR(0, NULL, buffer, 0, NULL, NULL));
    finish(buffer);
}

static void expect_all(cl_mem buffer, cl_int value)
{
    cl_int values[ITEMS];
    for (size_t i = 0; i < ITEMS; i++)
        values[i] = value;
    live_expect(buffer, 0, values, SIZE);
}

static cl_kernel adder(cl_mem to, cl_int amount)
{
    cl_kernel kernel = live_kernel(
        "kernel void add(global int *to, int amount) { to[get_global_id(0)] += amount; }", "add");
    ok(clSetKernelArg(kernel, 0, sizeof to, &to));
    ok(clSetKernelArg(kernel, 1, sizeof amount, &amount));
    return kernel;
}

static cl_sync_point_khr record_fill(cl_command_buffer_khr buffer, cl_mem to, cl_int value)
{
    cl_sync_point_khr point = 0;
    ok(ext.clCommandFillBufferKHR(buffer, NULL, to, &value, sizeof value, 0, SIZE, 0, NULL, &point,
                                  NULL));
    assert_int_not_equal(point, 0);
    return point;
}

static cl_sync_point_khr record_kernel(cl_command_buffer_khr buffer, cl_kernel kernel,
                                       cl_sync_point_khr after)
{
    size_t items = ITEMS;
    cl_sync_point_khr point = 0;
    ok(ext.clCommandNDRangeKernelKHR(buffer, NULL, NULL, kernel, 1, NULL, &items, NULL, 1, &after,
                                     &point, NULL));
    return point;
}

static void record_copy(cl_command_buffer_khr buffer, cl_mem from, cl_mem to,
                        cl_sync_point_khr after)
{
    ok(ext.clCommandCopyBufferKHR(buffer, NULL, from, to, 0, 0, SIZE, 1, &after, NULL, NULL));
}

static void test_finalized_ones_come_back(void **state)
{
    live_need(present);
    cl_mem a = live_buffer(SIZE, NULL), b = live_buffer(SIZE, NULL);
    cl_kernel kernel = adder(a, 5);
    cl_command_buffer_khr buffer = make(NULL);
    cl_sync_point_khr point = record_kernel(buffer, kernel, record_fill(buffer, a, 7));
    record_copy(buffer, a, b, point);
    ok(ext.clFinalizeCommandBufferKHR(buffer));
    for (int round = 0; round < 3; round++) {
        cl_int zero = 0;
        ok(clEnqueueFillBuffer(live.queue, b, &zero, sizeof zero, 0, SIZE, 0, NULL, NULL));
        live_cycle();
        expect_all(b, 0);
        run(buffer);
        expect_all(a, 12);
        expect_all(b, 12);
        run(buffer);
        expect_all(b, 12);
    }
    ok(ext.clReleaseCommandBufferKHR(buffer));
    ok(clReleaseKernel(kernel));
    ok(clReleaseMemObject(a));
    ok(clReleaseMemObject(b));
}

static void test_a_recording_goes_on_after_a_cycle(void **state)
{
    live_need(present);
    cl_mem a = live_buffer(SIZE, NULL), b = live_buffer(SIZE, NULL);
    cl_kernel kernel = adder(a, 1);
    cl_command_buffer_khr buffer = make(NULL);
    cl_sync_point_khr point = record_fill(buffer, a, 100);
    for (int i = 0; i < 20; i++) {
        point = record_kernel(buffer, kernel, point);
        if (i % 7 == 0)
            live_cycle();
        assert_int_equal(ask(buffer, CL_COMMAND_BUFFER_STATE_KHR),
                         CL_COMMAND_BUFFER_STATE_RECORDING_KHR);
    }
    record_copy(buffer, a, b, point);
    assert_int_equal(ext.clEnqueueCommandBufferKHR(0, NULL, buffer, 0, NULL, NULL),
                     CL_INVALID_OPERATION);
    ok(ext.clFinalizeCommandBufferKHR(buffer));
    run(buffer);
    expect_all(b, 120);
    live_cycle();
    run(buffer);
    expect_all(b, 120);
    ok(ext.clReleaseCommandBufferKHR(buffer));
    ok(clReleaseKernel(kernel));
    ok(clReleaseMemObject(a));
    ok(clReleaseMemObject(b));
}

/* pocl 3.1 itself takes a kernel's arguments as they are at the enqueue. */
static void test_arguments_are_those_of_the_recording(void **state)
{
    live_need(present);
    live_need(ours);
    cl_mem a = live_buffer(SIZE, NULL), b = live_buffer(SIZE, NULL), c = live_buffer(SIZE, NULL);
    cl_int other = 1000, seven = 7;
    cl_kernel kernel = adder(a, 5);
    cl_command_buffer_khr buffer = make(NULL);
    cl_sync_point_khr point = record_kernel(buffer, kernel, record_fill(buffer, a, 7));
    record_copy(buffer, a, b, point);
    ok(clSetKernelArg(kernel, 0, sizeof c, &c));
    ok(clSetKernelArg(kernel, 1, sizeof other, &other));
    ok(clReleaseMemObject(a)); /* the command buffer has it still */
    ok(clEnqueueFillBuffer(live.queue, c, &seven, sizeof seven, 0, SIZE, 0, NULL, NULL));
    ok(ext.clFinalizeCommandBufferKHR(buffer));
    run(buffer);
    expect_all(b, 12);
    live_cycle();
    ok(clReleaseKernel(kernel));
    run(buffer);
    expect_all(b, 12);
    live_cycle();
    run(buffer);
    expect_all(b, 12);
    expect_all(c, 7);
    ok(ext.clReleaseCommandBufferKHR(buffer));
    ok(clReleaseMemObject(b));
    ok(clReleaseMemObject(c));
}

static void record_images(cl_command_buffer_khr buffer, cl_mem one, cl_mem two, cl_mem from,
                          cl_mem to)
{
    const cl_uint color[4] = {1, 2, 3, 4};
    const size_t zero[3] = {0}, all[3] = {8, 8, 1}, part[3] = {4, 4, 1}, at[3] = {2, 3, 0};
    const size_t bytes[3] = {16, 4, 1}, there[3] = {8, 1, 0};
    cl_sync_point_khr p[6];
    ok(ext.clCommandFillImageKHR(buffer, NULL, one, color, zero, all, 0, NULL, &p[0], NULL));
    ok(ext.clCommandCopyBufferToImageKHR(buffer, NULL, from, one, 64, at, part, 1, &p[0], &p[1],
                                         NULL));
    ok(ext.clCommandCopyImageKHR(buffer, NULL, one, two, zero, zero, all, 1, &p[1], &p[2], NULL));
    ok(ext.clCommandBarrierWithWaitListKHR(buffer, NULL, 1, &p[2], &p[3], NULL));
    ok(ext.clCommandCopyImageToBufferKHR(buffer, NULL, two, to, zero, all, 0, 1, &p[3], &p[4],
                                         NULL));
    ok(ext.clCommandCopyBufferRectKHR(buffer, NULL, from, to, zero, there, bytes, 32, 0, 32, 0, 2,
                                      &p[3], &p[5], NULL));
}

static void test_images_and_rectangles(void **state)
{
    live_need(present);
    cl_int err;
    const cl_image_format format = {CL_RGBA, CL_UNSIGNED_INT8};
    const cl_image_desc desc = {
        .image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = 8, .image_height = 8};
    unsigned char bytes[256], first[256];
    live_pattern(bytes, sizeof bytes, 3);
    cl_mem one = clCreateImage(live.context, 0, &format, &desc, NULL, &err);
    made(one);
    cl_mem two = clCreateImage(live.context, 0, &format, &desc, NULL, &err);
    made(two);
    cl_mem from = live_buffer(sizeof bytes, bytes), to = live_buffer(sizeof bytes, NULL);
    cl_command_buffer_khr buffer = make(NULL);
    record_images(buffer, one, two, from, to);
    ok(ext.clFinalizeCommandBufferKHR(buffer));
    run(buffer);
    ok(clEnqueueReadBuffer(live.queue, to, CL_TRUE, 0, sizeof first, first, 0, NULL, NULL));
    assert_memory_equal(first + 8 + 32, bytes, 16);              /* the rectangle */
    assert_memory_equal(first + 5 * 32 + 8, bytes + 64 + 32, 8); /* the buffer in the image */
    assert_memory_equal(first + 7 * 32, "\1\2\3\4\1\2\3\4", 8);  /* the colour */
    for (int round = 0; round < 2; round++) {
        cl_int zero = 0;
        ok(clEnqueueFillBuffer(live.queue, to, &zero, 4, 0, sizeof bytes, 0, NULL, NULL));
        live_cycle();
        run(buffer);
        live_expect(to, 0, first, sizeof first);
    }
    ok(ext.clReleaseCommandBufferKHR(buffer));
    ok(clReleaseMemObject(one));
    ok(clReleaseMemObject(two));
    ok(clReleaseMemObject(from));
    ok(clReleaseMemObject(to));
}

static void test_an_enqueue_waits_for_a_user_event(void **state)
{
    live_need(present);
    cl_int err;
    cl_mem a = live_buffer(SIZE, NULL);
    cl_kernel kernel = adder(a, 5);
    cl_command_buffer_khr buffer = make(NULL);
    record_kernel(buffer, kernel, record_fill(buffer, a, 7));
    ok(ext.clFinalizeCommandBufferKHR(buffer));
    for (int round = 0; round < 2; round++) {
        cl_event user = clCreateUserEvent(live.context, &err), event = NULL;
        made(user);
        cl_command_type type = 0;
        cl_int zero = 0;
        ok(clEnqueueFillBuffer(live.queue, a, &zero, sizeof zero, 0, SIZE, 0, NULL, NULL));
        ok(ext.clEnqueueCommandBufferKHR(1, &live.queue, buffer, 1, &user, &event));
        ok(clGetEventInfo(event, CL_EVENT_COMMAND_TYPE, sizeof type, &type, NULL));
        assert_int_equal(type, CL_COMMAND_COMMAND_BUFFER_KHR);
        assert_int_equal(ask(buffer, CL_COMMAND_BUFFER_STATE_KHR),
                         CL_COMMAND_BUFFER_STATE_PENDING_KHR);
        assert_int_equal(ext.clEnqueueCommandBufferKHR(0, NULL, buffer, 0, NULL, NULL),
                         CL_INVALID_OPERATION);
        live_cycle();
        assert_int_equal(ask(buffer, CL_COMMAND_BUFFER_STATE_KHR),
                         CL_COMMAND_BUFFER_STATE_PENDING_KHR);
        ok(clSetUserEventStatus(user, CL_COMPLETE));
        ok(clWaitForEvents(1, &event));
        finish(buffer);
        expect_all(a, 12);
        ok(clReleaseEvent(user));
        ok(clReleaseEvent(event));
    }
    ok(ext.clReleaseCommandBufferKHR(buffer));
    ok(clReleaseKernel(kernel));
    ok(clReleaseMemObject(a));
}

/* What the command says, with --json, of a suspend that it refuses. */
static void refuse_suspend(char *answer, size_t size)
{
    char line[512];
    snprintf(line, sizeof line, "env -u LD_PRELOAD %s suspend %d --deadline 1 --json 2>&1",
             getenv("LIVE_COMMAND"), (int)getpid());
    FILE *pipe = popen(line, "r");
    assert_non_null(pipe);
    answer[fread(answer, 1, size - 1, pipe)] = '\0';
    assert_int_not_equal(pclose(pipe), 0);
}

/* A kernel that ends when the program says so, in memory that both see. */
static void test_one_that_runs_at_the_deadline_is_refused(void **state)
{
    static volatile cl_int words[1024] __attribute__((aligned(4096)));
    char answer[4096];
    const size_t one = 1;
    cl_int err;
    const char *mapping = getenv("SHADOWCL_MAPPING");
    live_need(present && live.pocl && live_commanded());
    live_need(mapping && strcmp(mapping, "shared") == 0); /* else the device has its own */
    words[0] = words[1] = 0;
    cl_mem shared =
        clCreateBuffer(live.context, CL_MEM_USE_HOST_PTR, sizeof words, (void *)words, &err);
    made(shared);
    cl_kernel kernel = live_kernel("kernel void wait(global volatile int *words)\n"
                                   "{ while (!words[0]) ; words[1]++; }\n",
                                   "wait");
    ok(clSetKernelArg(kernel, 0, sizeof shared, &shared));
    cl_command_buffer_khr buffer = make(NULL);
    ok(ext.clCommandNDRangeKernelKHR(buffer, NULL, NULL, kernel, 1, NULL, &one, NULL, 0, NULL, NULL,
                                     NULL));
    ok(ext.clFinalizeCommandBufferKHR(buffer));
    ok(ext.clEnqueueCommandBufferKHR(0, NULL, buffer, 0, NULL, NULL));
    ok(clFlush(live.queue));
    refuse_suspend(answer, sizeof answer);
    words[0] = 1;
    if (!strstr(answer, "its commands are still running at the deadline"))
        fail_msg("it was refused otherwise: %s", answer);
    assert_int_equal(ask(buffer, CL_COMMAND_BUFFER_NUM_QUEUES_KHR), 1);
    finish(buffer);
    live_cycle();
    run(buffer);
    cl_int expected[2] = {1, 2};
    live_expect(shared, 0, expected, sizeof expected);
    ok(ext.clReleaseCommandBufferKHR(buffer));
    ok(clReleaseKernel(kernel));
    ok(clReleaseMemObject(shared));
}

static void test_answers_stay(void **state)
{
    live_need(present);
    const cl_command_buffer_properties_khr given[] = {CL_COMMAND_BUFFER_FLAGS_KHR,
                                                      CL_COMMAND_BUFFER_SIMULTANEOUS_USE_KHR, 0};
    cl_command_buffer_properties_khr told[8] = {0};
    cl_command_queue queue = NULL;
    cl_context context = NULL;
    size_t size = 0;
    cl_command_buffer_khr buffer = make(given);
    ok(ext.clRetainCommandBufferKHR(buffer));
    for (int round = 0; round < 2; round++) {
        assert_int_equal(ask(buffer, CL_COMMAND_BUFFER_NUM_QUEUES_KHR), 1);
        assert_int_equal(ask(buffer, CL_COMMAND_BUFFER_REFERENCE_COUNT_KHR), 2);
        ok(ext.clGetCommandBufferInfoKHR(buffer, CL_COMMAND_BUFFER_QUEUES_KHR, sizeof queue, &queue,
                                         NULL));
        if (ours) /* pocl 3.1 tells where its list lies … */
            assert_ptr_equal(queue, live.queue);
        if (ours) /* … has 0.9.0 … */
            ok(ext.clGetCommandBufferInfoKHR(buffer, CL_COMMAND_BUFFER_CONTEXT_KHR, sizeof context,
                                             &context, NULL));
        assert_ptr_equal(context, ours ? live.context : NULL);
        ok(ext.clGetCommandBufferInfoKHR(buffer, CL_COMMAND_BUFFER_PROPERTIES_ARRAY_KHR,
                                         sizeof told, told, &size));
        if (ours) /* … and miscounts bytes */
            assert_int_equal(size, sizeof given);
        if (ours)
            assert_memory_equal(told, given, sizeof given);
        live_cycle();
    }
    ok(ext.clReleaseCommandBufferKHR(buffer));
    ok(ext.clReleaseCommandBufferKHR(buffer));
}

static void test_errors_are_those_of_the_extension(void **state)
{
    live_need(present);
    cl_int err, value = 7;
    cl_sync_point_khr wrong = 77;
    cl_mem a = live_buffer(SIZE, NULL);
    cl_command_buffer_khr buffer = make(NULL);
    assert_null(ext.clCreateCommandBufferKHR(0, NULL, NULL, &err));
    assert_int_equal(err, CL_INVALID_VALUE);
    assert_null(
        ext.clCreateCommandBufferKHR(2, (cl_command_queue[]){live.queue, live.queue}, NULL, &err));
    assert_int_equal(err, CL_INVALID_VALUE);
    assert_int_equal(ext.clFinalizeCommandBufferKHR(NULL), CL_INVALID_COMMAND_BUFFER_KHR);
    assert_int_equal(
        ext.clCommandFillBufferKHR(buffer, live.queue, a, &value, 4, 0, SIZE, 0, NULL, NULL, NULL),
        CL_INVALID_COMMAND_QUEUE);
    assert_int_equal(
        ext.clCommandFillBufferKHR(buffer, NULL, a, &value, 4, 0, SIZE, 1, &wrong, NULL, NULL),
        CL_INVALID_SYNC_POINT_WAIT_LIST_KHR);
    assert_int_equal(
        ext.clCommandFillBufferKHR(buffer, NULL, a, &value, 4, 4, SIZE, 0, NULL, NULL, NULL),
        CL_INVALID_VALUE);
    ok(ext.clFinalizeCommandBufferKHR(buffer));
    if (ours)
        assert_int_equal(ext.clFinalizeCommandBufferKHR(buffer), CL_INVALID_OPERATION);
    assert_int_equal(
        ext.clCommandFillBufferKHR(buffer, NULL, a, &value, 4, 0, SIZE, 0, NULL, NULL, NULL),
        CL_INVALID_OPERATION);
    ok(ext.clReleaseCommandBufferKHR(buffer));
    ok(clReleaseMemObject(a));
}

/* To the other platform, which has no command buffers; what the command answered. */
static int move(char *answer, size_t size)
{
    char command[1024];
    snprintf(command, sizeof command, "env -u LD_PRELOAD %s move %d --device rusticl:0 --json 2>&1",
             getenv("LIVE_COMMAND"), (int)getpid());
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t length = fread(answer, 1, size - 1, pipe);
    answer[length] = '\0';
    return pclose(pipe);
}

static void test_a_device_without_them_is_refused(void **state)
{
    cl_uint num_platforms = 0;
    char answer[4096];
    ok(clGetPlatformIDs(0, NULL, &num_platforms));
    live_need(present);
    live_need(live_commanded() && num_platforms > 1);
    cl_mem a = live_buffer(SIZE, NULL);
    cl_command_buffer_khr buffer = make(NULL);
    record_fill(buffer, a, 7);
    ok(ext.clFinalizeCommandBufferKHR(buffer));
    assert_int_not_equal(move(answer, sizeof answer), 0);
    if (!strstr(answer, "cl_khr_command_buffer") || !strstr(answer, "command buffer "))
        fail_msg("refused with: %s", answer);
    run(buffer);
    expect_all(a, 7);
    ok(ext.clReleaseCommandBufferKHR(buffer));
    if (move(answer, sizeof answer) != 0)
        fail_msg("without command buffers, still refused with: %s", answer);
    expect_all(a, 7);
    ok(clReleaseMemObject(a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finalized_ones_come_back),
        cmocka_unit_test(test_a_recording_goes_on_after_a_cycle),
        cmocka_unit_test(test_arguments_are_those_of_the_recording),
        cmocka_unit_test(test_images_and_rectangles),
        cmocka_unit_test(test_an_enqueue_waits_for_a_user_event),
        cmocka_unit_test(test_one_that_runs_at_the_deadline_is_refused),
        cmocka_unit_test(test_answers_stay),
        cmocka_unit_test(test_errors_are_those_of_the_extension),
        cmocka_unit_test(test_a_device_without_them_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, live_teardown);
}
