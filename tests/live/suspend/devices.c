/* SPDX-License-Identifier: Apache-2.0 */
/* Sub-devices, contexts on several devices, context callbacks, SVM. */
#include "live.h"

#include <malloc.h>
#include <stdatomic.h>
#include <string.h>

#define SIZE 4096

static const char *const source =
    "kernel void add(global uint *x, uint a) { x[get_global_id(0)] += a; }\n"
    "kernel void chase(global uint *global *p) { (*p)[get_global_id(0)] += 1; }\n";

static void test_context_on_two_devices(void **state)
{
    cl_device_id devices[4];
    cl_uint count = 0, x[16] = {0}, a = 3;
    cl_int err;
    ok(clGetDeviceIDs(live.platform, CL_DEVICE_TYPE_ALL, 4, devices, &count));
    live_need(count >= 2);
    cl_context context = clCreateContext(NULL, 2, devices, NULL, NULL, &err);
    made(context);
    cl_command_queue queues[2];
    for (int i = 0; i < 2; i++) {
        queues[i] = clCreateCommandQueue(context, devices[i], 0, &err);
        made(queues[i]);
    }
    cl_mem mem = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, sizeof x, x, &err);
    made(mem);
    cl_program program = clCreateProgramWithSource(context, 1, (const char **)&source, NULL, &err);
    made(program);
    ok(clBuildProgram(program, 0, NULL, NULL, NULL, NULL));
    cl_kernel kernel = clCreateKernel(program, "add", &err);
    made(kernel);
    ok(clSetKernelArg(kernel, 0, sizeof mem, &mem));
    ok(clSetKernelArg(kernel, 1, sizeof a, &a));
    for (int i = 0; i < 6; i++) {
        live_launch(queues[i % 2], kernel, 16);
        ok(clFinish(queues[i % 2]));
        live_cycle();
    }
    ok(clEnqueueReadBuffer(queues[0], mem, CL_TRUE, 0, sizeof x, x, 0, NULL, NULL));
    for (int i = 0; i < 16; i++)
        assert_int_equal(x[i], 18);
    for (int i = 0; i < 2; i++)
        ok(clReleaseCommandQueue(queues[i]));
    ok(clReleaseKernel(kernel));
    ok(clReleaseProgram(program));
    ok(clReleaseMemObject(mem));
    ok(clReleaseContext(context));
}

static void test_sub_devices_keep_their_place(void **state)
{
    cl_uint units = 0, count = 0, of = 0;
    cl_int err;
    ok(clGetDeviceInfo(live.device, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof units, &units, NULL));
    live_need(units >= 2);
    const cl_device_partition_property equally[] = {CL_DEVICE_PARTITION_EQUALLY, 1, 0};
    cl_device_id subs[64], parent = NULL;
    live_need(clCreateSubDevices(live.device, equally, 64, subs, &count) == CL_SUCCESS);
    assert_true(count >= 2);
    cl_context context = clCreateContext(NULL, 1, &subs[1], NULL, NULL, &err);
    made(context);
    cl_command_queue queue = clCreateCommandQueue(context, subs[1], 0, &err);
    made(queue);
    unsigned char bytes[SIZE], back[SIZE];
    live_pattern(bytes, SIZE, 1);
    cl_mem mem = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, SIZE, bytes, &err);
    made(mem);
    live_cycle();
    ok(clGetDeviceInfo(subs[1], CL_DEVICE_PARENT_DEVICE, sizeof parent, &parent, NULL));
    assert_ptr_equal(parent, live.device);
    ok(clGetDeviceInfo(subs[1], CL_DEVICE_MAX_COMPUTE_UNITS, sizeof of, &of, NULL));
    assert_int_equal(of, 1);
    ok(clEnqueueReadBuffer(queue, mem, CL_TRUE, 0, SIZE, back, 0, NULL, NULL));
    assert_memory_equal(bytes, back, SIZE);
    ok(clReleaseMemObject(mem));
    ok(clReleaseCommandQueue(queue));
    ok(clReleaseContext(context));
    for (cl_uint i = 0; i < count; i++)
        ok(clReleaseDevice(subs[i]));
    live_cycle();
}

static void CL_CALLBACK take_time(void *args)
{
    live_sleep(300);
    (**(_Atomic int **)args)++;
}

/* All of it is released under its command: a queue's last command keeps its device. */
static void test_sub_device_is_released_under_its_command(void **state)
{
    const cl_device_partition_property equally[] = {CL_DEVICE_PARTITION_EQUALLY, 1, 0};
    _Atomic int done = 0, *args = &done;
    cl_device_id subs[64];
    cl_uint count = 0;
    cl_int err;
    live_need(live_shadowed()); /* pocl crashes */
    live_need(clCreateSubDevices(live.device, equally, 64, subs, &count) == CL_SUCCESS);
    mallopt(M_PERTURB, 0x5a); /* what was freed is no more what it was */
    cl_context context = clCreateContext(NULL, 1, &subs[0], NULL, NULL, &err);
    made(context);
    cl_command_queue queue = clCreateCommandQueue(context, subs[0], 0, &err);
    made(queue);
    ok(clEnqueueNativeKernel(queue, take_time, &args, sizeof args, 0, NULL, NULL, 0, NULL, NULL));
    ok(clReleaseCommandQueue(queue));
    ok(clReleaseContext(context));
    for (cl_uint i = 0; i < count; i++)
        ok(clReleaseDevice(subs[i]));
    live_wait_for(&done, 1);
    live_sleep(50);
    for (int i = 0; i < 2; i++) { /* a queue that goes looks at what is left of others */
        queue = clCreateCommandQueue(live.context, live.device, 0, &err);
        made(queue);
        ok(clReleaseCommandQueue(queue));
        live_cycle();
    }
    mallopt(M_PERTURB, 0);
}

/* A part of a part: the tree comes back as it was, the middle one released by the program. */
static void test_sub_devices_of_sub_devices(void **state)
{
    static const cl_uint params[] = {CL_DEVICE_MAX_COMPUTE_UNITS, CL_DEVICE_PARENT_DEVICE,
                                     CL_DEVICE_PARTITION_TYPE, CL_DEVICE_REFERENCE_COUNT};
    const cl_device_partition_property halves[] = {CL_DEVICE_PARTITION_EQUALLY, 2, 0};
    const cl_device_partition_property ones[] = {CL_DEVICE_PARTITION_BY_COUNTS, 1, 1,
                                                 CL_DEVICE_PARTITION_BY_COUNTS_LIST_END, 0};
    cl_device_id half[32], leaf[2];
    cl_uint count = 0;
    cl_int err;
    unsigned char told[2][512], bytes[SIZE];
    live_need(clCreateSubDevices(live.device, halves, 32, half, &count) == CL_SUCCESS);
    live_need(count >= 2);
    ok(clCreateSubDevices(half[1], ones, 2, leaf, NULL));
    cl_context context = clCreateContext(NULL, 2, leaf, NULL, NULL, &err);
    made(context);
    cl_command_queue queue = clCreateCommandQueue(context, leaf[1], 0, &err);
    made(queue);
    live_pattern(bytes, SIZE, 3);
    cl_mem mem = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, SIZE, bytes, &err);
    made(mem);
    ok(clReleaseDevice(half[0]));
    size_t size = live_ask(clGetDeviceInfo, leaf[1], params, told[0]);
    live_cycle();
    assert_int_equal(live_ask(clGetDeviceInfo, leaf[1], params, told[1]), size);
    assert_memory_equal(told[0], told[1], size);
    ok(clReleaseDevice(half[1]));
    live_cycle();
    unsigned char back[SIZE];
    ok(clEnqueueReadBuffer(queue, mem, CL_TRUE, 0, SIZE, back, 0, NULL, NULL));
    assert_memory_equal(bytes, back, SIZE);
    ok(clReleaseMemObject(mem));
    ok(clReleaseCommandQueue(queue));
    ok(clReleaseContext(context));
    ok(clReleaseDevice(leaf[0]));
    ok(clReleaseDevice(leaf[1]));
    for (cl_uint i = 2; i < count; i++)
        ok(clReleaseDevice(half[i]));
    live_cycle();
}

static _Atomic int destroyed;
static int order[2];

static void CL_CALLBACK context_gone(cl_context context, void *data)
{
    int at = destroyed;
    order[at] = (int)(intptr_t)data;
    destroyed = at + 1;
}

static void test_context_destructor_callbacks(void **state)
{
    cl_int err;
    live_need(live.version >= 300);
    cl_context context = clCreateContext(NULL, 1, &live.device, NULL, NULL, &err);
    made(context);
    ok(clSetContextDestructorCallback(context, context_gone, (void *)1));
    live_cycle();
    ok(clSetContextDestructorCallback(context, context_gone, (void *)2));
    ok(clReleaseContext(context));
    live_wait_for(&destroyed, 2);
    assert_int_equal(order[0], 2);
    assert_int_equal(order[1], 1);
}

static void svm(cl_svm_mem_flags flags, bool fine)
{
    unsigned char fill = 0x21;
    cl_uint one = 1;
    cl_uint *p = clSVMAlloc(live.context, flags, SIZE, 0), *q, **slot;
    q = clSVMAlloc(live.context, flags, SIZE, 0);
    slot = clSVMAlloc(live.context, flags, sizeof *slot, 0);
    assert_non_null(p);
    assert_non_null(q);
    assert_non_null(slot);
    cl_kernel add = live_kernel(source, "add"), chase = live_kernel(source, "chase");
    ok(clEnqueueSVMMemFill(live.queue, p, &fill, 1, SIZE, 0, NULL, NULL));
    ok(clSetKernelArgSVMPointer(add, 0, p));
    ok(clSetKernelArg(add, 1, sizeof one, &one));
    live_cycle();
    live_launch(live.queue, add, SIZE / 4);
    ok(clEnqueueSVMMemcpy(live.queue, CL_TRUE, q, p, SIZE, 0, NULL, NULL));
    live_cycle();
    if (!fine)
        ok(clEnqueueSVMMap(live.queue, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, slot, sizeof *slot, 0,
                           NULL, NULL));
    *slot = q; /* a pointer inside of SVM: the address must be the same after a resume */
    live_cycle();
    if (!fine)
        ok(clEnqueueSVMUnmap(live.queue, slot, 0, NULL, NULL));
    ok(clSetKernelArgSVMPointer(chase, 0, slot));
    void *used[] = {q};
    ok(clSetKernelExecInfo(chase, CL_KERNEL_EXEC_INFO_SVM_PTRS, sizeof used, used));
    live_cycle();
    live_launch(live.queue, chase, SIZE / 4);
    ok(clFinish(live.queue));
    live_cycle();
    ok(clEnqueueSVMMap(live.queue, CL_TRUE, CL_MAP_READ, q, SIZE, 0, NULL, NULL));
    for (int i = 0; i < SIZE / 4; i++)
        assert_int_equal(q[i], 0x21212123);
    ok(clEnqueueSVMUnmap(live.queue, q, 0, NULL, NULL));
    void *freed[] = {p};
    ok(clEnqueueSVMFree(live.queue, 1, freed, NULL, NULL, 0, NULL, NULL));
    ok(clFinish(live.queue));
    live_cycle();
    clSVMFree(live.context, q);
    clSVMFree(live.context, slot);
    ok(clReleaseKernel(add));
    ok(clReleaseKernel(chase));
}

static void test_svm_stays_at_its_address(void **state)
{
    cl_device_svm_capabilities can = 0;
    clGetDeviceInfo(live.device, CL_DEVICE_SVM_CAPABILITIES, sizeof can, &can, NULL);
    live_need(can & CL_DEVICE_SVM_COARSE_GRAIN_BUFFER);
    svm(CL_MEM_READ_WRITE, false);
    if (can & CL_DEVICE_SVM_FINE_GRAIN_BUFFER)
        svm(CL_MEM_READ_WRITE | CL_MEM_SVM_FINE_GRAIN_BUFFER, true);
}

/* §5.2.1: the buffer's bytes are the allocation's, both ways, whichever way others are mapped. */
static void test_buffer_over_shared_virtual_memory(void **state)
{
    cl_device_svm_capabilities can = 0;
    cl_bool uses = CL_FALSE;
    cl_uint one = 1, five = 0x05050505;
    cl_int err;
    clGetDeviceInfo(live.device, CL_DEVICE_SVM_CAPABILITIES, sizeof can, &can, NULL);
    live_need(can & CL_DEVICE_SVM_COARSE_GRAIN_BUFFER);
    cl_uint *p = clSVMAlloc(live.context, CL_MEM_READ_WRITE, SIZE, 0);
    assert_non_null(p);
    cl_mem mem =
        clCreateBuffer(live.context, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR, SIZE, p, &err);
    made(mem);
    ok(clGetMemObjectInfo(mem, CL_MEM_USES_SVM_POINTER, sizeof uses, &uses, NULL));
    assert_true(uses);
    cl_kernel add = live_kernel(source, "add");
    ok(clEnqueueSVMMemFill(live.queue, p, &five, sizeof five, SIZE, 0, NULL, NULL));
    ok(clSetKernelArg(add, 0, sizeof mem, &mem));
    ok(clSetKernelArg(add, 1, sizeof one, &one));
    live_launch(live.queue, add, SIZE / 4);
    live_cycle();
    ok(clEnqueueSVMMap(live.queue, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, p, SIZE, 0, NULL, NULL));
    for (cl_uint i = 0; i < SIZE / 4; i++)
        assert_int_equal(p[i], five + 1);
    p[3] = 77;
    live_cycle();
    ok(clEnqueueSVMUnmap(live.queue, p, 0, NULL, NULL));
    ok(clSetKernelArg(add, 0, sizeof mem, &mem));
    live_launch(live.queue, add, SIZE / 4);
    live_cycle();
    cl_uint expected[SIZE / 4];
    for (cl_uint i = 0; i < SIZE / 4; i++)
        expected[i] = i == 3 ? 78 : five + 2;
    live_expect(mem, 0, expected, SIZE);
    cl_uint *mapped =
        clEnqueueMapBuffer(live.queue, mem, CL_TRUE, CL_MAP_READ, 0, SIZE, 0, NULL, NULL, &err);
    assert_int_equal(err, CL_SUCCESS);
    assert_ptr_equal(mapped, p);
    live_cycle();
    assert_memory_equal(p, expected, SIZE);
    ok(clEnqueueUnmapMemObject(live.queue, mem, mapped, 0, NULL, NULL));
    ok(clFinish(live.queue));
    ok(clReleaseKernel(add));
    ok(clReleaseMemObject(mem));
    clSVMFree(live.context, p);
}

/* A launch on a device for which the program was not built is refused at its call, also when it
 * hangs on an unset user event. */
static void test_launch_on_a_device_without_the_program(void **state)
{
    cl_device_id two[2];
    cl_uint count = 0, x[16] = {0}, a = 2;
    cl_int err;
    const size_t items = 16;
    ok(clGetDeviceIDs(live.platform, CL_DEVICE_TYPE_ALL, 2, two, &count));
    live_need(count >= 2);
    cl_context context = clCreateContext(NULL, 2, two, NULL, NULL, &err);
    made(context);
    cl_program program = clCreateProgramWithSource(context, 1, (const char **)&source, NULL, &err);
    made(program);
    clCreateKernel(program, "add", &err);
    assert_int_equal(err, CL_INVALID_PROGRAM_EXECUTABLE);
    live_cycle();
    clCreateKernel(program, "add", &err);
    assert_int_equal(err, CL_INVALID_PROGRAM_EXECUTABLE);
    ok(clBuildProgram(program, 1, &two[0], NULL, NULL, NULL));
    cl_kernel kernel = clCreateKernel(program, "add", &err);
    made(kernel);
    cl_mem mem = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, sizeof x, x, &err);
    made(mem);
    ok(clSetKernelArg(kernel, 0, sizeof mem, &mem));
    ok(clSetKernelArg(kernel, 1, sizeof a, &a));
    cl_command_queue queues[2];
    cl_event gate = clCreateUserEvent(context, &err);
    made(gate);
    for (int i = 0; i < 2; i++) {
        queues[i] = clCreateCommandQueue(context, two[i], 0, &err);
        made(queues[i]);
        for (cl_uint held = 0; held < 2; held++) {
            live_cycle();
            if (i == 1 && !(held && live_shadowed()))
                continue; /* pocl aborts */
            err = clEnqueueNDRangeKernel(queues[i], kernel, 1, NULL, &items, NULL, held,
                                         held ? &gate : NULL, NULL);
            assert_int_equal(err, i == 0 ? CL_SUCCESS : CL_INVALID_PROGRAM_EXECUTABLE);
        }
    }
    ok(clSetUserEventStatus(gate, CL_COMPLETE));
    ok(clEnqueueReadBuffer(queues[0], mem, CL_TRUE, 0, sizeof x, x, 0, NULL, NULL));
    for (int i = 0; i < 16; i++)
        assert_int_equal(x[i], 4);
    for (int i = 0; i < 2; i++)
        ok(clReleaseCommandQueue(queues[i]));
    ok(clReleaseEvent(gate));
    ok(clReleaseMemObject(mem));
    ok(clReleaseKernel(kernel));
    ok(clReleaseProgram(program));
    ok(clReleaseContext(context));
}

/* A program whose devices were built one after the other, the second first. */
static void test_built_for_one_device_after_the_other(void **state)
{
    const char *text = "kernel void put(global uint *out) { *out = VALUE; }";
    cl_device_id two[2];
    cl_uint count = 0, zero = 0, three = 3;
    cl_int err;
    ok(clGetDeviceIDs(live.platform, CL_DEVICE_TYPE_ALL, 2, two, &count));
    live_need(count >= 2);
    cl_context context = clCreateContext(NULL, 2, two, NULL, NULL, &err);
    made(context);
    cl_program program = clCreateProgramWithSource(context, 1, &text, NULL, &err);
    made(program);
    ok(clBuildProgram(program, 1, &two[1], "-DVALUE=2", NULL, NULL));
    ok(clBuildProgram(program, 1, &two[0], "-DVALUE=3", NULL, NULL));
    live_cycle();
    cl_command_queue queue = clCreateCommandQueue(context, two[0], 0, &err);
    made(queue);
    cl_mem out = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, sizeof zero, &zero, &err);
    made(out);
    cl_kernel kernel = clCreateKernel(program, "put", &err);
    made(kernel);
    ok(clSetKernelArg(kernel, 0, sizeof out, &out));
    live_cycle();
    live_launch(queue, kernel, 1);
    cl_uint value = 0;
    ok(clEnqueueReadBuffer(queue, out, CL_TRUE, 0, sizeof value, &value, 0, NULL, NULL));
    assert_int_equal(value, three);
    ok(clReleaseKernel(kernel));
    ok(clReleaseMemObject(out));
    ok(clReleaseCommandQueue(queue));
    ok(clReleaseProgram(program));
    ok(clReleaseContext(context));
}

/* clEnqueueSVMMigrateMem: where the bytes lie is the driver's matter, what they are is not. */
static void test_svm_migrates(void **state)
{
    cl_device_svm_capabilities can = 0;
    cl_int err;
    clGetDeviceInfo(live.device, CL_DEVICE_SVM_CAPABILITIES, sizeof can, &can, NULL);
    live_need((can & CL_DEVICE_SVM_COARSE_GRAIN_BUFFER) && live.version >= 210);
    unsigned char expected[SIZE], *p = clSVMAlloc(live.context, CL_MEM_READ_WRITE, SIZE, 0);
    assert_non_null(p);
    live_pattern(expected, SIZE, 4);
    cl_event gate = clCreateUserEvent(live.context, &err), done = NULL;
    made(gate);
    ok(clEnqueueSVMMemcpy(live.queue, CL_TRUE, p, expected, SIZE, 0, NULL, NULL));
    const void *pointers[] = {p, p + SIZE / 2};
    const size_t sizes[] = {SIZE / 2, SIZE / 4};
    ok(clEnqueueSVMMigrateMem(live.queue, 2, pointers, sizes, CL_MIGRATE_MEM_OBJECT_HOST, 0, NULL,
                              NULL));
    live_cycle();
    ok(clEnqueueSVMMigrateMem(live.queue, 1, pointers, NULL, 0, 1, &gate, &done));
    live_cycle(); /* held back: it travels along */
    ok(clSetUserEventStatus(gate, CL_COMPLETE));
    ok(clWaitForEvents(1, &done));
    ok(clEnqueueSVMMap(live.queue, CL_TRUE, CL_MAP_READ, p, SIZE, 0, NULL, NULL));
    assert_memory_equal(p, expected, SIZE);
    ok(clEnqueueSVMUnmap(live.queue, p, 0, NULL, NULL));
    ok(clFinish(live.queue));
    clSVMFree(live.context, p);
    ok(clReleaseEvent(gate));
    ok(clReleaseEvent(done));
}

/* A chain over two devices, in a context of its own, that hangs on an unset user event. */
struct hanging {
    cl_context context;
    cl_command_queue queues[2];
    cl_program program;
    cl_kernel kernel;
    cl_mem mem;
    cl_event events[16];
    int length;
    cl_uint expected[16], read[16];
};

static void hang(struct hanging *chain, const cl_device_id *two, cl_uint seed)
{
    cl_int err;
    for (cl_uint i = 0; i < 16; i++)
        chain->expected[i] = seed + i;
    chain->context = clCreateContext(NULL, 2, two, NULL, NULL, &err);
    made(chain->context);
    for (int i = 0; i < 2; i++) {
        chain->queues[i] = clCreateCommandQueue(chain->context, two[i], 0, &err);
        made(chain->queues[i]);
    }
    chain->program =
        clCreateProgramWithSource(chain->context, 1, (const char **)&source, NULL, &err);
    made(chain->program);
    ok(clBuildProgram(chain->program, 0, NULL, NULL, NULL, NULL));
    chain->kernel = clCreateKernel(chain->program, "add", &err);
    made(chain->kernel);
    chain->mem = clCreateBuffer(chain->context, CL_MEM_COPY_HOST_PTR, sizeof chain->expected,
                                chain->expected, &err);
    made(chain->mem);
    ok(clSetKernelArg(chain->kernel, 0, sizeof chain->mem, &chain->mem));
    chain->events[0] = clCreateUserEvent(chain->context, &err);
    made(chain->events[0]);
    chain->length = 1;
}

/* The next command of the chain, on the other device, with another argument each time. */
static void hang_on(struct hanging *chain, cl_uint add)
{
    const size_t items = 16;
    cl_command_queue queue = chain->queues[chain->length % 2];
    cl_event *last = &chain->events[chain->length - 1];
    ok(clSetKernelArg(chain->kernel, 1, sizeof add, &add));
    ok(clEnqueueNDRangeKernel(queue, chain->kernel, 1, NULL, &items, NULL, 1, last, last + 1));
    chain->length++;
    for (int i = 0; i < 16; i++)
        chain->expected[i] += add;
}

static void let_go(struct hanging *chain)
{
    cl_event *last = &chain->events[chain->length - 1];
    ok(clEnqueueReadBuffer(chain->queues[chain->length % 2], chain->mem, CL_FALSE, 0,
                           sizeof chain->read, chain->read, 1, last, last + 1));
    chain->length++;
    live_cycle();
    ok(clSetUserEventStatus(chain->events[0], CL_COMPLETE));
    live_cycle();
    ok(clWaitForEvents(1, &chain->events[chain->length - 1]));
    assert_memory_equal(chain->read, chain->expected, sizeof chain->expected);
    for (int i = 0; i < chain->length; i++)
        ok(clReleaseEvent(chain->events[i]));
    for (int i = 0; i < 2; i++) {
        ok(clFinish(chain->queues[i]));
        ok(clReleaseCommandQueue(chain->queues[i]));
    }
    ok(clReleaseKernel(chain->kernel));
    ok(clReleaseProgram(chain->program));
    ok(clReleaseMemObject(chain->mem));
    ok(clReleaseContext(chain->context));
}

static void test_chains_over_devices_and_contexts(void **state)
{
    struct hanging chains[2];
    cl_device_id two[2], back[2];
    cl_uint count = 0;
    ok(clGetDeviceIDs(live.platform, CL_DEVICE_TYPE_ALL, 2, two, &count));
    live_need(count >= 2);
    back[0] = two[1], back[1] = two[0];
    hang(&chains[0], two, 100);
    hang(&chains[1], back, 1000);
    for (cl_uint add = 1; add <= 10; add++) {
        hang_on(&chains[0], add);
        hang_on(&chains[1], add * add);
        if (add % 4 == 0)
            live_cycle();
    }
    let_go(&chains[1]);
    let_go(&chains[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_context_on_two_devices),
        cmocka_unit_test(test_chains_over_devices_and_contexts),
        cmocka_unit_test(test_sub_devices_keep_their_place),
        cmocka_unit_test(test_sub_device_is_released_under_its_command),
        cmocka_unit_test(test_sub_devices_of_sub_devices),
        cmocka_unit_test(test_context_destructor_callbacks),
        cmocka_unit_test(test_svm_stays_at_its_address),
        cmocka_unit_test(test_svm_migrates),
        cmocka_unit_test(test_buffer_over_shared_virtual_memory),
        cmocka_unit_test(test_launch_on_a_device_without_the_program),
        cmocka_unit_test(test_built_for_one_device_after_the_other),
    };
    return cmocka_run_group_tests(tests, live_setup, live_teardown);
}
