/* SPDX-License-Identifier: Apache-2.0 */
/* Shared virtual memory in commands that hang on an unset user event through suspends, the
 * program's own function that frees it, and atomics. */
#include "live.h"

#include <stdatomic.h>
#include <string.h>

#define SIZE 4096

static const char *const source =
    "kernel void add(global uint *x, uint a) { x[get_global_id(0)] += a; }\n"
    /* pocl 3.1 has no atomic_fetch_add of pointers to global memory. */
    "kernel void count(volatile global uint *n) { atomic_inc(n); }\n";
static cl_device_svm_capabilities capabilities(void)
{
    cl_device_svm_capabilities can = 0;
    if (live.version >= 200)
        clGetDeviceInfo(live.device, CL_DEVICE_SVM_CAPABILITIES, sizeof can, &can, NULL);
    return can;
}

static void *allocate(size_t size)
{
    void *memory = clSVMAlloc(live.context, CL_MEM_READ_WRITE, size, 0);
    assert_non_null(memory);
    return memory;
}

static void expect_command(cl_event event, cl_command_type type)
{
    cl_command_type is = 0;
    cl_int status = 99;
    ok(clGetEventInfo(event, CL_EVENT_COMMAND_TYPE, sizeof is, &is, NULL));
    assert_int_equal(is, type);
    ok(clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL));
    assert_true(status > CL_COMPLETE);
}

static void expect_bytes(void *memory, const void *bytes)
{
    ok(clEnqueueSVMMap(live.queue, CL_TRUE, CL_MAP_READ, memory, SIZE, 0, NULL, NULL));
    assert_memory_equal(memory, bytes, SIZE);
    ok(clEnqueueSVMUnmap(live.queue, memory, 0, NULL, NULL));
    ok(clFinish(live.queue));
}

/* Each waits for the one before, the first for an event that is not set; the pattern and the list
 * of pointers are the program's again at once. */
static void test_held_commands_of_every_sort(void **state)
{
    static const cl_command_type types[] = {CL_COMMAND_SVM_MEMFILL,    CL_COMMAND_SVM_MEMCPY,
                                            CL_COMMAND_NDRANGE_KERNEL, CL_COMMAND_SVM_MAP,
                                            CL_COMMAND_SVM_UNMAP,      CL_COMMAND_SVM_MEMCPY,
                                            CL_COMMAND_SVM_FREE};
    cl_uint pattern = 0x11223344, add = 5, bytes[SIZE / 4], from_host[SIZE / 4];
    const size_t items = SIZE / 4;
    cl_event chain[8];
    live_need(capabilities() & CL_DEVICE_SVM_COARSE_GRAIN_BUFFER);
    cl_uint *p = allocate(SIZE), *q = allocate(SIZE), *gone = allocate(SIZE);
    cl_kernel kernel = live_kernel(source, "add");
    live_pattern(from_host, SIZE, 1);
    chain[0] = live_user_event();
    ok(clEnqueueSVMMemFill(live.queue, p, &pattern, 4, SIZE, 1, &chain[0], &chain[1]));
    pattern = 0;
    ok(clEnqueueSVMMemcpy(live.queue, CL_FALSE, q, p, SIZE, 1, &chain[1], &chain[2]));
    live_cycle();
    ok(clSetKernelArgSVMPointer(kernel, 0, q));
    ok(clSetKernelArg(kernel, 1, sizeof add, &add));
    ok(clEnqueueNDRangeKernel(live.queue, kernel, 1, NULL, &items, NULL, 1, &chain[2], &chain[3]));
    ok(clSetKernelArgSVMPointer(kernel, 0, gone));
    ok(clEnqueueSVMMap(live.queue, CL_FALSE, CL_MAP_READ | CL_MAP_WRITE, q, SIZE, 1, &chain[3],
                       &chain[4]));
    ok(clEnqueueSVMUnmap(live.queue, q, 1, &chain[4], &chain[5]));
    live_cycle();
    ok(clEnqueueSVMMemcpy(live.queue, CL_FALSE, p, from_host, SIZE, 1, &chain[5], &chain[6]));
    void *list[] = {gone};
    ok(clEnqueueSVMFree(live.queue, 1, list, NULL, NULL, 1, &chain[6], &chain[7]));
    list[0] = NULL;
    live_cycle();
    for (int i = 1; i < 8; i++)
        expect_command(chain[i], types[i - 1]);
    ok(clSetUserEventStatus(chain[0], CL_COMPLETE));
    live_cycle();
    ok(clWaitForEvents(7, chain + 1));
    for (int i = 0; i < SIZE / 4; i++)
        bytes[i] = 0x11223349;
    expect_bytes(q, bytes);
    expect_bytes(p, from_host);
    for (int i = 0; i < 8; i++)
        ok(clReleaseEvent(chain[i]));
    clSVMFree(live.context, p);
    clSVMFree(live.context, q);
    ok(clReleaseKernel(kernel));
}

/* What was mapped before stays mapped; the unmap that is held comes after what the program wrote.
 */
static void test_held_unmap_has_what_was_written(void **state)
{
    cl_uint bytes[SIZE / 4], back[SIZE / 4];
    live_need(capabilities() & CL_DEVICE_SVM_COARSE_GRAIN_BUFFER);
    cl_uint *p = allocate(SIZE);
    ok(clEnqueueSVMMap(live.queue, CL_TRUE, CL_MAP_WRITE_INVALIDATE_REGION, p, SIZE, 0, NULL,
                       NULL));
    live_cycle();
    live_pattern(p, SIZE, 2);
    live_pattern(bytes, SIZE, 2);
    cl_event gate = live_user_event(), unmapped;
    ok(clEnqueueSVMUnmap(live.queue, p, 1, &gate, &unmapped));
    live_cycle();
    p[7] = bytes[7] = 99; /* not yet the device's */
    live_cycle();
    ok(clSetUserEventStatus(gate, CL_COMPLETE));
    ok(clEnqueueSVMMemcpy(live.queue, CL_TRUE, back, p, SIZE, 1, &unmapped, NULL));
    assert_memory_equal(back, bytes, SIZE);
    ok(clReleaseEvent(gate));
    ok(clReleaseEvent(unmapped));
    clSVMFree(live.context, p);
}

/* What is wrong with a held one is said at its call, with nothing kept. */
static void test_wrong_ones_are_refused_at_their_call(void **state)
{
    cl_uint pattern = 1, *p;
    live_need(capabilities() & CL_DEVICE_SVM_COARSE_GRAIN_BUFFER);
    live_need(live_shadowed()); /* pocl looks at less */
    p = allocate(SIZE);
    cl_event gate = live_user_event(), made_none = NULL;
    cl_command_queue queue = live.queue;
#define refused(call) assert_int_equal(call, CL_INVALID_VALUE)
    refused(clEnqueueSVMMemcpy(queue, CL_FALSE, NULL, p, 4, 1, &gate, &made_none));
    refused(clEnqueueSVMMemcpy(queue, CL_FALSE, p, NULL, 4, 1, &gate, &made_none));
    refused(clEnqueueSVMMemFill(queue, p, NULL, 4, 4, 1, &gate, &made_none));
    refused(clEnqueueSVMMemFill(queue, p, &pattern, 3, 9, 1, &gate, &made_none));
    refused(clEnqueueSVMMemFill(queue, p, &pattern, 4, 6, 1, &gate, &made_none));
    refused(clEnqueueSVMMap(queue, CL_FALSE, CL_MAP_READ, NULL, 4, 1, &gate, &made_none));
    refused(clEnqueueSVMMap(queue, CL_FALSE, CL_MAP_READ, p, 0, 1, &gate, &made_none));
    refused(clEnqueueSVMMap(queue, CL_FALSE, 1 << 9, p, 4, 1, &gate, &made_none));
    refused(clEnqueueSVMUnmap(queue, NULL, 1, &gate, &made_none));
    refused(clEnqueueSVMFree(queue, 1, NULL, NULL, NULL, 1, &gate, &made_none));
    refused(clEnqueueSVMFree(queue, 0, (void *[]){p}, NULL, NULL, 1, &gate, &made_none));
    assert_int_equal(clEnqueueSVMMemcpy(queue, CL_FALSE, p, p + 1, 8, 1, &gate, &made_none),
                     CL_MEM_COPY_OVERLAP);
#undef refused
    assert_null(made_none);
    live_cycle();
    ok(clSetUserEventStatus(gate, CL_COMPLETE));
    ok(clFinish(queue));
    ok(clReleaseEvent(gate));
    clSVMFree(live.context, p);
}

/* What the program's function was told, and did. */
static struct freed {
    _Atomic int times, wrong;
    cl_uint expected;
    void *pointers[8];
    cl_mem mem;
} freed;

static void must(cl_int err)
{
    if (err != CL_SUCCESS)
        atomic_fetch_add(&freed.wrong, 1);
}

/* Runs inside the driver, and makes calls there, some of which reach it. */
static void CL_CALLBACK free_them(cl_command_queue queue, cl_uint count, void *pointers[],
                                  void *data)
{
    cl_context context = NULL;
    cl_int err;
    cl_uint value = 7;
    if (queue != live.queue || count != freed.expected || data != &freed)
        atomic_fetch_add(&freed.wrong, 1);
    must(clGetCommandQueueInfo(queue, CL_QUEUE_CONTEXT, sizeof context, &context, NULL));
    cl_mem mem = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, sizeof value, &value, &err);
    must(err);
    must(clReleaseMemObject(mem));
    for (cl_uint i = 0; i < count && i < 8; i++) {
        if (pointers[i] != freed.pointers[i])
            atomic_fetch_add(&freed.wrong, 1);
        clSVMFree(context, pointers[i]);
    }
    live_sleep(2);
    atomic_fetch_add(&freed.times, 1);
}

static void enqueue_free(cl_uint count, const cl_event *after, cl_event *event)
{
    void *list[8];
    freed.expected = count;
    for (cl_uint i = 0; i < count; i++)
        list[i] = freed.pointers[i] = allocate(SIZE);
    ok(clEnqueueSVMFree(live.queue, count, list, free_them, &freed, after ? 1 : 0, after, event));
}

static void test_free_function_is_called_once(void **state)
{
    live_need(capabilities() & CL_DEVICE_SVM_COARSE_GRAIN_BUFFER);
    memset(&freed, 0, sizeof freed);
    for (int round = 0; round < 6; round++) {
        enqueue_free((cl_uint)round % 3 + 1, NULL, NULL);
        ok(clFlush(live.queue));
        if (round % 2)
            live_sleep(1); /* it may be in the middle of it */
        live_cycle();
        ok(clFinish(live.queue));
        assert_int_equal(atomic_load(&freed.times), round + 1);
    }
    live_cycle();
    assert_int_equal(atomic_load(&freed.times), 6);
    assert_int_equal(atomic_load(&freed.wrong), 0);
}

static void test_free_function_of_a_held_command(void **state)
{
    live_need(capabilities() & CL_DEVICE_SVM_COARSE_GRAIN_BUFFER);
    memset(&freed, 0, sizeof freed);
    cl_event gate = live_user_event(), done;
    enqueue_free(3, &gate, &done);
    live_cycle();
    assert_int_equal(atomic_load(&freed.times), 0);
    memset(freed.pointers[1], 3, SIZE); /* still there */
    ok(clSetUserEventStatus(gate, CL_COMPLETE));
    live_cycle();
    ok(clWaitForEvents(1, &done));
    assert_int_equal(atomic_load(&freed.times), 1);
    assert_int_equal(atomic_load(&freed.wrong), 0);
    ok(clReleaseEvent(gate));
    ok(clReleaseEvent(done));
}

/* §5.11: what waits for an event that fails never runs: the memory is the program's still. */
static void test_free_function_is_not_called_when_the_wait_fails(void **state)
{
    live_need(capabilities() & CL_DEVICE_SVM_COARSE_GRAIN_BUFFER);
    live_need(live_shadowed()); /* pocl calls it */
    memset(&freed, 0, sizeof freed);
    cl_event gate = live_user_event(), done;
    cl_int status = 0;
    enqueue_free(2, &gate, &done);
    live_cycle();
    ok(clSetUserEventStatus(gate, -9));
    ok(clFinish(live.queue));
    live_cycle();
    ok(clGetEventInfo(done, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL));
    assert_true(status < 0);
    assert_int_equal(atomic_load(&freed.times), 0);
    for (int i = 0; i < 2; i++) {
        memset(freed.pointers[i], 4, SIZE);
        clSVMFree(live.context, freed.pointers[i]);
    }
    ok(clReleaseEvent(gate));
    ok(clReleaseEvent(done));
}

/* A kernel and the host count in the same word, before and after. */
static void test_atomics(void **state)
{
    const cl_svm_mem_flags flags =
        CL_MEM_READ_WRITE | CL_MEM_SVM_FINE_GRAIN_BUFFER | CL_MEM_SVM_ATOMICS;
    const size_t items = 1000;
    live_need(capabilities() & CL_DEVICE_SVM_ATOMICS);
    _Atomic cl_uint *n = clSVMAlloc(live.context, flags, sizeof *n, 0);
    assert_non_null(n);
    atomic_store(n, 0);
    cl_kernel kernel = live_kernel(source, "count");
    ok(clSetKernelArgSVMPointer(kernel, 0, (void *)n));
    for (int round = 0; round < 4; round++) {
        ok(clEnqueueNDRangeKernel(live.queue, kernel, 1, NULL, &items, NULL, 0, NULL, NULL));
        ok(clFlush(live.queue));
        for (int i = 0; i < 1000; i++)
            atomic_fetch_add(n, 1);
        live_cycle();
        atomic_fetch_add(n, 1);
        ok(clFinish(live.queue));
        assert_int_equal(atomic_load(n), 2001 * (round + 1));
    }
    ok(clReleaseKernel(kernel));
    clSVMFree(live.context, (void *)n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_held_commands_of_every_sort),
        cmocka_unit_test(test_held_unmap_has_what_was_written),
        cmocka_unit_test(test_wrong_ones_are_refused_at_their_call),
        cmocka_unit_test(test_free_function_is_called_once),
        cmocka_unit_test(test_free_function_of_a_held_command),
        cmocka_unit_test(test_free_function_is_not_called_when_the_wait_fails),
        cmocka_unit_test(test_atomics),
    };
    return cmocka_run_group_tests(tests, live_setup, live_teardown);
}
