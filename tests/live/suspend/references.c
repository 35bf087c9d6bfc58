/* SPDX-License-Identifier: Apache-2.0 */
/* Reference counts through a suspend, and objects that the program has released, which live on
 * because others need them: a context by its queue, a program by its kernel, a buffer by its part.
 * They are used, retained and released again by the handle that a query gives. */
#include "live.h"

#include <string.h>

#define SIZE 8192
#define HALF 4096

static const char *const source =
    "kernel void put(global uint *to, uint v) { to[get_global_id(0)] = v; }\n"
    "kernel void add(global uint *to, uint v) { to[get_global_id(0)] += v; }\n";

typedef cl_int(CL_API_CALL *get_info)(const void *, cl_uint, size_t, void *, size_t *);
typedef cl_int(CL_API_CALL *count_call)(const void *);

struct counted {
    const void *object;
    get_info ask;
    cl_uint param;
    count_call retain, release;
};

#define counted(object, kind, param)                                                               \
    ((struct counted){object, (get_info)clGet##kind##Info, param, (count_call)clRetain##kind,      \
                      (count_call)clRelease##kind})

static cl_uint count_of(const struct counted *it)
{
    cl_uint count = 0;
    ok(it->ask(it->object, it->param, sizeof count, &count, NULL));
    return count;
}

/* Each was retained a number of times of its own before, and between, the suspends. */
static void count_through_cycles(const struct counted *all, cl_uint num)
{
    cl_uint before[16];
    for (cl_uint i = 0; i < num; i++) {
        before[i] = count_of(&all[i]);
        for (cl_uint n = 0; n < i; n++)
            ok(all[i].retain(all[i].object));
    }
    live_cycle();
    for (cl_uint i = 0; i < num; i++) {
        assert_int_equal(count_of(&all[i]), before[i] + i);
        ok(all[i].retain(all[i].object));
    }
    live_suspend();
    for (cl_uint i = 0; i < num; i++) {
        if (live_commanded()) /* suspended: none of it needs the driver */
            assert_int_equal(count_of(&all[i]), before[i] + i + 1);
        ok(all[i].release(all[i].object));
    }
    live_resume();
    for (cl_uint i = 0; i < num; i++) {
        assert_int_equal(count_of(&all[i]), before[i] + i);
        for (cl_uint n = 0; n < i; n++)
            ok(all[i].release(all[i].object));
        assert_int_equal(count_of(&all[i]), before[i]);
    }
}

static void test_counts_are_those_of_the_program(void **state)
{
    cl_int err;
    const cl_buffer_region region = {0, HALF};
    cl_program program = live_program(source, NULL);
    cl_kernel kernel = clCreateKernel(program, "put", &err);
    made(kernel);
    cl_mem mem = live_buffer(SIZE, NULL);
    cl_mem part = clCreateSubBuffer(mem, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &err);
    made(part);
    cl_event user = clCreateUserEvent(live.context, &err), ended = NULL;
    made(user);
    ok(clEnqueueMarkerWithWaitList(live.queue, 0, NULL, &ended));
    ok(clFinish(live.queue));
    cl_sampler sampler =
        clCreateSampler(live.context, CL_FALSE, CL_ADDRESS_CLAMP, CL_FILTER_NEAREST, &err);
    const struct counted all[] = {
        counted(live.context, Context, CL_CONTEXT_REFERENCE_COUNT),
        counted(live.queue, CommandQueue, CL_QUEUE_REFERENCE_COUNT),
        counted(mem, MemObject, CL_MEM_REFERENCE_COUNT),
        counted(part, MemObject, CL_MEM_REFERENCE_COUNT),
        counted(program, Program, CL_PROGRAM_REFERENCE_COUNT),
        counted(kernel, Kernel, CL_KERNEL_REFERENCE_COUNT),
        counted(user, Event, CL_EVENT_REFERENCE_COUNT),
        counted(ended, Event, CL_EVENT_REFERENCE_COUNT),
        counted(sampler, Sampler, CL_SAMPLER_REFERENCE_COUNT),
    };
    count_through_cycles(all, sampler ? 9 : 8);
    if (sampler)
        ok(clReleaseSampler(sampler));
    ok(clSetUserEventStatus(user, CL_COMPLETE));
    ok(clReleaseEvent(user));
    ok(clReleaseEvent(ended));
    ok(clReleaseMemObject(part));
    ok(clReleaseMemObject(mem));
    ok(clReleaseKernel(kernel));
    ok(clReleaseProgram(program));
}

static void fill_and_check(cl_context context, cl_command_queue queue, unsigned seed)
{
    cl_int err;
    unsigned char bytes[HALF], back[HALF];
    live_pattern(bytes, HALF, seed);
    cl_mem mem = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, HALF, bytes, &err);
    made(mem);
    live_cycle();
    ok(clEnqueueReadBuffer(queue, mem, CL_TRUE, 0, HALF, back, 0, NULL, NULL));
    assert_memory_equal(bytes, back, HALF);
    ok(clReleaseMemObject(mem));
}

static void test_context_is_kept_by_its_queue(void **state)
{
    cl_int err;
    cl_context context = clCreateContext(NULL, 1, &live.device, NULL, NULL, &err), found = NULL;
    made(context);
    cl_command_queue queue = clCreateCommandQueue(context, live.device, 0, &err);
    made(queue);
    ok(clReleaseContext(context));
    live_cycle();
    ok(clGetCommandQueueInfo(queue, CL_QUEUE_CONTEXT, sizeof found, &found, NULL));
    assert_ptr_equal(found, context);
    fill_and_check(found, queue, 1);
    ok(clRetainContext(found)); /* the program's again */
    live_cycle();
    ok(clReleaseCommandQueue(queue));
    live_cycle();
    queue = clCreateCommandQueue(found, live.device, 0, &err);
    made(queue);
    fill_and_check(found, queue, 2);
    ok(clReleaseCommandQueue(queue));
    ok(clReleaseContext(found));
    live_cycle();
    if (live_shadowed())
        assert_int_equal(clReleaseContext(context), CL_INVALID_CONTEXT);
}

static void run(cl_kernel kernel, cl_mem mem, cl_uint v)
{
    ok(clSetKernelArg(kernel, 0, sizeof mem, &mem));
    ok(clSetKernelArg(kernel, 1, sizeof v, &v));
    live_launch(live.queue, kernel, HALF / 4);
    ok(clFinish(live.queue));
}

static void test_program_is_kept_by_its_kernel(void **state)
{
    cl_int err;
    cl_uint expected[HALF / 4];
    size_t count = 0;
    cl_mem mem = live_buffer(HALF, NULL);
    cl_program program = live_program(source, NULL), found = NULL;
    cl_kernel put = clCreateKernel(program, "put", &err);
    made(put);
    ok(clReleaseProgram(program));
    live_cycle();
    ok(clGetKernelInfo(put, CL_KERNEL_PROGRAM, sizeof found, &found, NULL));
    assert_ptr_equal(found, program);
    ok(clGetProgramInfo(found, CL_PROGRAM_NUM_KERNELS, sizeof count, &count, NULL));
    assert_int_equal(count, 2);
    cl_kernel add = clCreateKernel(found, "add", &err); /* keeps it as well */
    made(add);
    run(put, mem, 5);
    ok(clReleaseKernel(put));
    live_cycle();
    run(add, mem, 7);
    for (int i = 0; i < HALF / 4; i++)
        expected[i] = 12;
    live_expect(mem, 0, expected, HALF);
    ok(clReleaseKernel(add));
    live_cycle();
    if (live_shadowed())
        assert_int_equal(clReleaseProgram(program), CL_INVALID_PROGRAM);
    ok(clReleaseMemObject(mem));
}

static void test_buffer_is_kept_by_its_part(void **state)
{
    const cl_buffer_region lower = {0, HALF}, upper = {HALF, HALF};
    cl_int err;
    unsigned char bytes[SIZE];
    live_pattern(bytes, SIZE, 3);
    cl_mem whole = live_buffer(SIZE, bytes), found = NULL;
    cl_mem first = clCreateSubBuffer(whole, 0, CL_BUFFER_CREATE_TYPE_REGION, &lower, &err);
    made(first);
    ok(clReleaseMemObject(whole));
    live_cycle();
    ok(clGetMemObjectInfo(first, CL_MEM_ASSOCIATED_MEMOBJECT, sizeof found, &found, NULL));
    assert_ptr_equal(found, whole);
    live_expect(found, 0, bytes, SIZE);
    cl_mem second = clCreateSubBuffer(found, 0, CL_BUFFER_CREATE_TYPE_REGION, &upper, &err);
    made(second);
    live_pattern(bytes + 1000, 5000, 4);
    ok(clEnqueueWriteBuffer(live.queue, found, CL_TRUE, 1000, 5000, bytes + 1000, 0, NULL, NULL));
    live_cycle();
    live_expect(first, 0, bytes, HALF);
    ok(clReleaseMemObject(first));
    live_cycle();
    live_expect(second, 0, bytes + HALF, HALF);
    live_expect(found, 0, bytes, SIZE);
    ok(clReleaseMemObject(second));
    live_cycle();
}

/* Nothing is the program's but a part of a buffer: by it everything is reached. */
static void test_all_is_kept_by_a_part(void **state)
{
    const cl_buffer_region region = {HALF, HALF};
    cl_int err;
    unsigned char bytes[SIZE], back[HALF];
    cl_context context = clCreateContext(NULL, 1, &live.device, NULL, NULL, &err), found = NULL;
    made(context);
    live_pattern(bytes, SIZE, 5);
    cl_mem whole = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, SIZE, bytes, &err);
    made(whole);
    cl_mem part = clCreateSubBuffer(whole, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &err);
    made(part);
    ok(clReleaseMemObject(whole));
    ok(clReleaseContext(context));
    live_cycle();
    ok(clGetMemObjectInfo(part, CL_MEM_CONTEXT, sizeof found, &found, NULL));
    assert_ptr_equal(found, context);
    cl_command_queue queue = clCreateCommandQueue(found, live.device, 0, &err);
    made(queue);
    ok(clEnqueueReadBuffer(queue, part, CL_TRUE, 0, HALF, back, 0, NULL, NULL));
    assert_memory_equal(back, bytes + HALF, HALF);
    ok(clReleaseMemObject(part));
    live_cycle();
    fill_and_check(found, queue, 6);
    ok(clReleaseCommandQueue(queue));
    live_cycle();
}

/* Released while suspended, what keeps and what is kept. */
static void test_all_goes_while_suspended(void **state)
{
    cl_int err;
    cl_context context = clCreateContext(NULL, 1, &live.device, NULL, NULL, &err);
    made(context);
    cl_command_queue queue = clCreateCommandQueue(context, live.device, 0, &err);
    made(queue);
    cl_program program = clCreateProgramWithSource(context, 1, (const char **)&source, NULL, &err);
    made(program);
    ok(clBuildProgram(program, 1, &live.device, NULL, NULL, NULL));
    cl_kernel kernel = clCreateKernel(program, "put", &err);
    made(kernel);
    ok(clReleaseProgram(program));
    ok(clReleaseContext(context));
    live_suspend();
    ok(clReleaseCommandQueue(queue));
    ok(clReleaseKernel(kernel));
    live_resume();
    if (live_shadowed()) {
        assert_int_equal(clRetainContext(context), CL_INVALID_CONTEXT);
        assert_int_equal(clRetainProgram(program), CL_INVALID_PROGRAM);
        assert_int_equal(clRetainKernel(kernel), CL_INVALID_KERNEL);
    }
    live_cycle();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_are_those_of_the_program),
        cmocka_unit_test(test_context_is_kept_by_its_queue),
        cmocka_unit_test(test_program_is_kept_by_its_kernel),
        cmocka_unit_test(test_buffer_is_kept_by_its_part),
        cmocka_unit_test(test_all_is_kept_by_a_part),
        cmocka_unit_test(test_all_goes_while_suspended),
    };
    return cmocka_run_group_tests(tests, live_setup, live_teardown);
}
