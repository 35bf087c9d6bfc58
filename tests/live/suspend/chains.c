/* SPDX-License-Identifier: Apache-2.0 */
/* Long chains of commands of every sort, over several queues, that hang on an unset user event when
 * the suspend comes: after it is set they run in the same order and leave the same bytes. */
#include "live.h"

#include <pthread.h>
#include <string.h>

#define SIZE 1024

static const char *const source =
    "kernel void mul_add(global uint *x, uint m, uint a)\n"
    "{ size_t i = get_global_id(0); x[i] = x[i] * m + a + (uint)i; }\n";

static cl_command_queue queues[3];
static cl_kernel kernel;
static cl_event chain[64];
static int length;

/* The wait list of the next command: what came before it. */
#define AFTER 1, &chain[length - 1], &chain[length]

static void step(cl_int err)
{
    assert_int_equal(err, CL_SUCCESS);
    length++;
}

static void mul_add(cl_command_queue queue, cl_mem mem, cl_uint m, cl_uint a)
{
    size_t items = SIZE / 4;
    cl_uint garbage = 99;
    ok(clSetKernelArg(kernel, 0, sizeof mem, &mem));
    ok(clSetKernelArg(kernel, 1, sizeof m, &m));
    ok(clSetKernelArg(kernel, 2, sizeof a, &a));
    step(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &items, NULL, AFTER));
    ok(clSetKernelArg(kernel, 1, sizeof garbage, &garbage));
}

static void model(cl_uint *x, cl_uint m, cl_uint a)
{
    for (cl_uint i = 0; i < SIZE / 4; i++)
        x[i] = x[i] * m + a + i;
}

struct native {
    cl_uint *words;
    cl_uint add;
};

static void CL_CALLBACK native_add(void *args)
{
    struct native *native = args;
    for (int i = 0; i < SIZE / 4; i++)
        native->words[i] += native->add;
}

static bool has_native(void)
{
    cl_device_exec_capabilities can = 0;
    ok(clGetDeviceInfo(live.device, CL_DEVICE_EXECUTION_CAPABILITIES, sizeof can, &can, NULL));
    return can & CL_EXEC_NATIVE_KERNEL;
}

static void start(void)
{
    cl_int err;
    length = 1;
    chain[0] = clCreateUserEvent(live.context, &err);
    made(chain[0]);
}

static void finish(void)
{
    live_cycle();
    ok(clSetUserEventStatus(chain[0], CL_COMPLETE));
    live_cycle();
    ok(clWaitForEvents(1, &chain[length - 1]));
    live_cycle();
    for (int i = 0; i < 3; i++)
        ok(clFinish(queues[i]));
    for (int i = 0; i < length; i++) {
        cl_int status = 99;
        ok(clGetEventInfo(chain[i], CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status,
                          NULL));
        assert_int_equal(status, CL_COMPLETE);
        ok(clReleaseEvent(chain[i]));
    }
}

static void test_commands_of_every_sort(void **state)
{
    static cl_uint x[SIZE / 4], y[SIZE / 4], written[SIZE / 4], read[SIZE / 4];
    cl_uint fill = 0x01020304;
    cl_int err;
    live_pattern(x, SIZE, 1);
    live_pattern(y, SIZE, 2);
    live_pattern(written, SIZE, 3);
    cl_mem a = live_buffer(SIZE, x), b = live_buffer(SIZE, y);
    start();
    mul_add(queues[0], a, 3, 5);
    model(x, 3, 5);
    step(clEnqueueCopyBuffer(queues[1], a, b, 0, SIZE / 2, SIZE / 2, AFTER));
    memcpy(y + SIZE / 8, x, SIZE / 2);
    step(clEnqueueFillBuffer(queues[2], a, &fill, 4, 64, 128, AFTER));
    for (int i = 16; i < 48; i++)
        x[i] = fill;
    live_cycle();
    step(clEnqueueWriteBuffer(queues[0], b, CL_FALSE, 0, 256, written, AFTER));
    memcpy(y, written, 256);
    step(clEnqueueMarkerWithWaitList(queues[1], AFTER));
    step(clEnqueueBarrierWithWaitList(queues[2], AFTER));
    mul_add(queues[2], b, 7, 1);
    model(y, 7, 1);
    step(clEnqueueMigrateMemObjects(queues[1], 1, &a, 0, AFTER));
    cl_uint *mapped = clEnqueueMapBuffer(queues[0], a, CL_FALSE, CL_MAP_READ | CL_MAP_WRITE, 0,
                                         SIZE, AFTER, &err);
    step(err);
    step(clEnqueueReadBuffer(queues[1], b, CL_FALSE, 0, SIZE, read, AFTER));
    live_cycle();
    step(clEnqueueUnmapMemObject(queues[0], a, mapped, AFTER));
    if (has_native()) {
        struct native native = {NULL, 11};
        const void *place = &native.words;
        step(clEnqueueNativeKernel(queues[1], native_add, &native, sizeof native, 1, &a, &place,
                                   AFTER));
        for (int i = 0; i < SIZE / 4; i++)
            x[i] += 11;
    }
    mul_add(queues[0], a, 2, 9);
    model(x, 2, 9);
    finish();
    assert_memory_equal(read, y, SIZE);
    live_expect(a, 0, x, SIZE);
    live_expect(b, 0, y, SIZE);
    ok(clReleaseMemObject(a));
    ok(clReleaseMemObject(b));
}

static void test_rectangles_and_images(void **state)
{
    cl_int err;
    cl_bool images = CL_FALSE;
    ok(clGetDeviceInfo(live.device, CL_DEVICE_IMAGE_SUPPORT, sizeof images, &images, NULL));
    live_need(images);
    static unsigned char bytes[SIZE], other[SIZE], out[SIZE];
    const cl_image_format format = {CL_RGBA, CL_UNSIGNED_INT8};
    const cl_image_desc desc = {
        .image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = 16, .image_height = 16};
    const size_t zero[3] = {0}, whole[3] = {16, 16, 1}, rect[3] = {32, 8, 1};
    const cl_uint colour[4] = {1, 2, 3, 4};
    live_pattern(bytes, SIZE, 4);
    live_pattern(other, SIZE, 5);
    cl_mem a = live_buffer(SIZE, bytes), b = live_buffer(SIZE, other);
    cl_mem image = clCreateImage(live.context, 0, &format, &desc, NULL, &err);
    made(image);
    start();
    step(clEnqueueCopyBufferRect(queues[0], a, b, zero, zero, rect, 64, 0, 64, 0, AFTER));
    for (int y = 0; y < 8; y++)
        memcpy(other + y * 64, bytes + y * 64, 32);
    step(clEnqueueCopyBufferToImage(queues[1], b, image, 0, zero, whole, AFTER));
    const size_t corner[3] = {4, 4, 0}, part[3] = {4, 4, 1};
    step(clEnqueueFillImage(queues[2], image, colour, corner, part, AFTER));
    live_cycle();
    step(clEnqueueCopyImageToBuffer(queues[0], image, a, zero, whole, 0, AFTER));
    for (int y = 4; y < 8; y++)
        for (int x = 4; x < 8; x++)
            for (int c = 0; c < 4; c++)
                other[y * 64 + x * 4 + c] = (unsigned char)(c + 1);
    step(clEnqueueReadImage(queues[1], image, CL_FALSE, zero, whole, 0, 0, out, AFTER));
    finish();
    assert_memory_equal(out, other, SIZE);
    live_expect(a, 0, other, SIZE);
    ok(clReleaseMemObject(a));
    ok(clReleaseMemObject(b));
    ok(clReleaseMemObject(image));
}

/* What the held commands use may be released: they keep it. */
static void test_everything_released_behind_the_chain(void **state)
{
    cl_int err;
    static cl_uint x[SIZE / 4], out[SIZE / 4];
    live_pattern(x, SIZE, 6);
    cl_mem a = live_buffer(SIZE, x);
    cl_command_queue queue = clCreateCommandQueue(live.context, live.device, 0, &err);
    made(queue);
    start();
    cl_kernel kept = kernel;
    kernel = live_kernel(source, "mul_add");
    mul_add(queue, a, 5, 6);
    model(x, 5, 6);
    ok(clReleaseKernel(kernel));
    kernel = kept;
    step(clEnqueueReadBuffer(queue, a, CL_FALSE, 0, SIZE, out, AFTER));
    ok(clReleaseMemObject(a));
    ok(clReleaseCommandQueue(queue));
    finish();
    assert_memory_equal(out, x, SIZE);
}

static void test_in_order_without_events(void **state)
{
    static cl_uint x[SIZE / 4];
    cl_int err;
    live_pattern(x, SIZE, 7);
    cl_mem a = live_buffer(SIZE, x);
    cl_event user = clCreateUserEvent(live.context, &err);
    made(user);
    ok(clEnqueueMarkerWithWaitList(queues[0], 1, &user, NULL));
    for (cl_uint i = 0; i < 20; i++) {
        cl_uint m = i | 1;
        ok(clSetKernelArg(kernel, 0, sizeof a, &a));
        ok(clSetKernelArg(kernel, 1, sizeof m, &m));
        ok(clSetKernelArg(kernel, 2, sizeof i, &i));
        live_launch(queues[0], kernel, SIZE / 4);
        model(x, m, i);
        if (i % 7 == 3)
            live_cycle();
    }
    ok(clSetUserEventStatus(user, CL_COMPLETE));
    live_cycle();
    ok(clFinish(queues[0]));
    live_expect(a, 0, x, SIZE);
    ok(clReleaseEvent(user));
    ok(clReleaseMemObject(a));
}

static void expect_waiting(cl_event event)
{
    cl_int status = 99;
    ok(clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL));
    assert_true(status > CL_COMPLETE && status <= CL_QUEUED);
}

static void advance(cl_command_queue queue, cl_mem mem, cl_uint *x, cl_uint a)
{
    const cl_uint m = 3;
    ok(clSetKernelArg(kernel, 0, sizeof mem, &mem));
    ok(clSetKernelArg(kernel, 1, sizeof m, &m));
    ok(clSetKernelArg(kernel, 2, sizeof a, &a));
    live_launch(queue, kernel, SIZE / 4);
    model(x, m, a);
}

/* pocl aborts at the old name. */
static cl_int wait_in_queue(cl_command_queue queue, cl_event event)
{
    return live_shadowed() ? clEnqueueWaitForEvents(queue, 1, &event)
                           : clEnqueueBarrierWithWaitList(queue, 1, &event, NULL);
}

/* OpenCL 1.0 and 1.1: on the queue out of order nothing else keeps the kernels apart. */
static void test_markers_and_barriers_by_their_old_names(void **state)
{
    static cl_uint x[SIZE / 4];
    cl_event user, markers[2];
    cl_int err;
    live_pattern(x, SIZE, 8);
    cl_mem a = live_buffer(SIZE, x);
    user = clCreateUserEvent(live.context, &err);
    made(user);
    ok(wait_in_queue(queues[0], user));
    advance(queues[0], a, x, 1);
    ok(clEnqueueMarker(queues[0], &markers[0]));
    live_cycle();
    ok(clEnqueueBarrier(queues[0]));
    ok(clUnloadCompiler());
    ok(wait_in_queue(queues[2], markers[0]));
    advance(queues[2], a, x, 2);
    ok(clEnqueueBarrier(queues[2]));
    live_cycle();
    advance(queues[2], a, x, 3);
    ok(clEnqueueMarker(queues[2], &markers[1]));
    assert_int_equal(clEnqueueMarker(queues[2], NULL), CL_INVALID_VALUE);
    if (live_shadowed()) {
        cl_event wrong = (cl_event)a;
        assert_int_equal(clEnqueueWaitForEvents(queues[2], 0, NULL), CL_INVALID_VALUE);
        assert_int_equal(clEnqueueWaitForEvents(queues[2], 1, &wrong), CL_INVALID_EVENT);
    }
    ok(clUnloadCompiler());
    live_cycle();
    for (int i = 0; i < 2; i++)
        expect_waiting(markers[i]);
    ok(clSetUserEventStatus(user, CL_COMPLETE));
    live_cycle();
    ok(clWaitForEvents(2, markers));
    ok(clFinish(queues[2]));
    live_expect(a, 0, x, SIZE);
    cl_program late = live_program(source, "-D LATE"); /* the compiler is loaded again */
    ok(clReleaseProgram(late));
    ok(clReleaseEvent(user));
    for (int i = 0; i < 2; i++)
        ok(clReleaseEvent(markers[i]));
    ok(clReleaseMemObject(a));
}

/* A command that hangs on an unset user event is refused at the same call as one that does not. */
static void test_wrong_commands_are_refused_at_their_call(void **state)
{
    const size_t region[3] = {8, 4, 2}, zero[3] = {0, 0, 0}, near[3] = {4, 3, 1},
                 beside[3] = {8, 0, 0}, wraps[3] = {14, 2, 0};
    static unsigned char bytes[SIZE];
    cl_buffer_region half = {0, SIZE / 2};
    cl_int err;
    live_need(live.pocl || live_shadowed());
    cl_mem a = live_buffer(SIZE, NULL), b = live_buffer(SIZE, NULL);
    cl_mem part = clCreateSubBuffer(a, 0, CL_BUFFER_CREATE_TYPE_REGION, &half, &err);
    made(part);
    start();
    for (int held = !live.pocl; held < 2; held++) { /* at once other drivers say what they like */
        cl_uint waits = (cl_uint)held;
        const cl_event *on = held ? chain : NULL;
        cl_command_queue queue = queues[0];
        assert_int_equal(clEnqueueCopyBuffer(queue, a, a, 0, 64, 65, waits, on, NULL),
                         CL_MEM_COPY_OVERLAP);
        assert_int_equal(clEnqueueCopyBuffer(queue, a, a, 64, 0, 65, waits, on, NULL),
                         CL_MEM_COPY_OVERLAP);
        assert_int_equal(clEnqueueCopyBuffer(queue, part, part, 8, 0, 9, waits, on, NULL),
                         CL_MEM_COPY_OVERLAP);
        ok(clEnqueueCopyBuffer(queue, a, a, 0, 64, 64, waits, on, NULL));
        ok(clEnqueueCopyBuffer(queue, a, b, 0, 0, 65, waits, on, NULL));
        assert_int_equal(clEnqueueCopyBufferRect(queue, a, a, zero, near, region, 16, 64, 16, 64,
                                                 waits, on, NULL),
                         CL_MEM_COPY_OVERLAP);
        assert_int_equal(clEnqueueCopyBufferRect(queue, a, a, zero, beside, region, 16, 64, 16, 128,
                                                 waits, on, NULL),
                         CL_INVALID_VALUE);
        ok(clEnqueueCopyBufferRect(queue, a, a, zero, beside, region, 16, 64, 16, 64, waits, on,
                                   NULL));
        ok(clEnqueueCopyBufferRect(queue, a, b, zero, near, region, 16, 64, 16, 128, waits, on,
                                   NULL));
        if (live_shadowed() && held) /* its rows run over into the next ones; pocl does not look */
            assert_int_equal(clEnqueueCopyBufferRect(queue, a, a, zero, wraps, region, 16, 128, 16,
                                                     128, waits, on, NULL),
                             CL_MEM_COPY_OVERLAP);
        assert_int_equal(clEnqueueReadBufferRect(queue, a, CL_FALSE, zero, zero, region, 0, 0, 7, 0,
                                                 bytes, waits, on, NULL),
                         CL_INVALID_VALUE);
        assert_int_equal(clEnqueueWriteBufferRect(queue, a, CL_FALSE, zero, zero, region, 0, 0, 8,
                                                  31, bytes, waits, on, NULL),
                         CL_INVALID_VALUE);
        assert_int_equal(clEnqueueMigrateMemObjects(queue, 1, &a, 4, waits, on, NULL),
                         CL_INVALID_VALUE);
    }
    ok(clSetUserEventStatus(chain[0], CL_COMPLETE));
    ok(clFinish(queues[0]));
    ok(clReleaseEvent(chain[0]));
    ok(clReleaseMemObject(part));
    ok(clReleaseMemObject(a));
    ok(clReleaseMemObject(b));
}

struct relay {
    _Atomic int done;
    int wanted;
};

/* Enqueues itself again, from inside the driver. */
static void CL_CALLBACK run_on(void *args)
{
    struct relay *relay = *(struct relay **)args;
    live_sleep(4);
    if (relay->done + 1 < relay->wanted &&
        (clEnqueueNativeKernel(queues[0], run_on, &relay, sizeof relay, 0, NULL, NULL, 0, NULL,
                               NULL) != CL_SUCCESS ||
         clFlush(queues[0]) != CL_SUCCESS))
        return;
    relay->done++;
}

static void test_native_kernels_that_enqueue_each_other(void **state)
{
    /* oclgrind runs one inside the other, in the caller, and frees a command twice. */
    live_need(has_native() && live.version >= 200);
    for (int round = 0; round < 3; round++) {
        struct relay relay = {0, 30}, *args = &relay;
        ok(clEnqueueNativeKernel(queues[0], run_on, &args, sizeof args, 0, NULL, NULL, 0, NULL,
                                 NULL));
        ok(clFlush(queues[0]));
        live_sleep(10);
        live_cycle();
        live_wait_for(&relay.done, relay.wanted);
        ok(clFinish(queues[0]));
    }
}

/* 1: about to wait, 2: has. */
static void *finish_queue(void *state)
{
    _Atomic int *done = state;
    *done = 1;
    ok(clFinish(queues[0]));
    *done = 2;
    return NULL;
}

/* §5.15: clFinish waits for what was enqueued before, whatever others enqueue meanwhile. */
static void test_finish_waits_for_what_came_before(void **state)
{
    cl_int err;
    pthread_t thread;
    _Atomic int done = 0;
    live_need(live_shadowed()); /* pocl waits for all */
    cl_event one = clCreateUserEvent(live.context, &err),
             two = clCreateUserEvent(live.context, &err);
    made(two);
    ok(clEnqueueMarkerWithWaitList(queues[0], 1, &one, NULL));
    assert_int_equal(pthread_create(&thread, NULL, finish_queue, &done), 0);
    live_wait_for(&done, 1);
    live_sleep(500); /* until it waits, on a machine that does other things too */
    ok(clEnqueueMarkerWithWaitList(queues[0], 1, &two, NULL));
    live_cycle();
    assert_int_equal(done, 1);
    ok(clSetUserEventStatus(one, CL_COMPLETE));
    live_wait_for(&done, 2);
    ok(clSetUserEventStatus(two, CL_COMPLETE));
    assert_int_equal(pthread_join(thread, NULL), 0);
    ok(clReleaseEvent(one));
    ok(clReleaseEvent(two));
}

static int setup(void **state)
{
    cl_int err;
    live_setup(state);
    kernel = live_kernel(source, "mul_add");
    for (int i = 0; i < 3; i++) {
        queues[i] = clCreateCommandQueue(live.context, live.device,
                                         i == 2 ? CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE : 0, &err);
        if (err != CL_SUCCESS)
            queues[i] = clCreateCommandQueue(live.context, live.device, 0, &err);
        made(queues[i]);
    }
    return 0;
}

static int teardown(void **state)
{
    ok(clReleaseKernel(kernel));
    for (int i = 0; i < 3; i++)
        ok(clReleaseCommandQueue(queues[i]));
    return live_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands_of_every_sort),
        cmocka_unit_test(test_rectangles_and_images),
        cmocka_unit_test(test_everything_released_behind_the_chain),
        cmocka_unit_test(test_in_order_without_events),
        cmocka_unit_test(test_markers_and_barriers_by_their_old_names),
        cmocka_unit_test(test_native_kernels_that_enqueue_each_other),
        cmocka_unit_test(test_finish_waits_for_what_came_before),
        cmocka_unit_test(test_wrong_commands_are_refused_at_their_call),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
