/* SPDX-License-Identifier: Apache-2.0 */
/* Contexts on two platforms in one program. */
#include "live.h"

#define SIZE 2048

static const char *const source =
    "kernel void add(global uint *x, uint a) { x[get_global_id(0)] += a; }\n";

static void test_both_come_back(void **state)
{
    cl_platform_id platforms[4];
    cl_uint count = 0;
    cl_int err;
    ok(clGetPlatformIDs(4, platforms, &count));
    live_need(count >= 2);
    cl_device_id devices[2];
    cl_context contexts[2];
    cl_command_queue queues[2];
    cl_kernel kernels[2];
    cl_mem mems[2];
    cl_uint x[16] = {0}, a = 2;
    for (int i = 0; i < 2; i++) {
        ok(clGetDeviceIDs(platforms[i], CL_DEVICE_TYPE_ALL, 1, &devices[i], NULL));
        contexts[i] = clCreateContext(NULL, 1, &devices[i], NULL, NULL, &err);
        made(contexts[i]);
        queues[i] = clCreateCommandQueue(contexts[i], devices[i], 0, &err);
        made(queues[i]);
        mems[i] = clCreateBuffer(contexts[i], CL_MEM_COPY_HOST_PTR, sizeof x, x, &err);
        made(mems[i]);
        cl_program program =
            clCreateProgramWithSource(contexts[i], 1, (const char **)&source, NULL, &err);
        made(program);
        ok(clBuildProgram(program, 0, NULL, NULL, NULL, NULL));
        kernels[i] = clCreateKernel(program, "add", &err);
        made(kernels[i]);
        ok(clReleaseProgram(program));
        ok(clSetKernelArg(kernels[i], 0, sizeof mems[i], &mems[i]));
        ok(clSetKernelArg(kernels[i], 1, sizeof a, &a));
    }
    for (int round = 0; round < 3; round++) {
        live_launch(queues[0], kernels[0], 16);
        live_launch(queues[1], kernels[1], 16);
        live_cycle();
    }
    for (int i = 0; i < 2; i++) {
        ok(clEnqueueReadBuffer(queues[i], mems[i], CL_TRUE, 0, sizeof x, x, 0, NULL, NULL));
        for (int j = 0; j < 16; j++)
            assert_int_equal(x[j], 6);
        if (live_shadowed() &&
            i == 0) /* an object of another platform is not one of this context's */
            assert_int_equal(
                clEnqueueReadBuffer(queues[i], mems[1 - i], CL_TRUE, 0, 4, x, 0, NULL, NULL),
                CL_INVALID_CONTEXT);
        ok(clReleaseKernel(kernels[i]));
        ok(clReleaseMemObject(mems[i]));
        ok(clReleaseCommandQueue(queues[i]));
        ok(clReleaseContext(contexts[i]));
    }
}

/* (A driver that was given it would read another's memory.) */
static void test_programs_of_another_platform(void **state)
{
    static const char *text = "#include \"other.h\"\nkernel void f(void) {}\n", *name = "other.h";
    cl_platform_id platforms[2];
    cl_device_id devices[2];
    cl_context contexts[2];
    cl_program programs[2];
    cl_uint count = 0;
    cl_int err;
    ok(clGetPlatformIDs(2, platforms, &count));
    live_need(count >= 2 && live_shadowed());
    for (int i = 0; i < 2; i++) {
        ok(clGetDeviceIDs(platforms[i], CL_DEVICE_TYPE_ALL, 1, &devices[i], NULL));
        contexts[i] = clCreateContext(NULL, 1, &devices[i], NULL, NULL, &err);
        made(contexts[i]);
        programs[i] = clCreateProgramWithSource(contexts[i], 1, (const char **)&source, NULL, &err);
        made(programs[i]);
        ok(clCompileProgram(programs[i], 0, NULL, NULL, 0, NULL, NULL, NULL, NULL));
    }
    for (int i = 0; i < 2; i++) {
        cl_program user = clCreateProgramWithSource(contexts[i], 1, &text, NULL, &err);
        made(user);
        assert_int_equal(
            clCompileProgram(user, 0, NULL, NULL, 1, &programs[1 - i], &name, NULL, NULL),
            CL_INVALID_PROGRAM);
        assert_null(
            clLinkProgram(contexts[i], 0, NULL, NULL, 1, &programs[1 - i], NULL, NULL, &err));
        assert_int_equal(err, CL_INVALID_PROGRAM);
        ok(clReleaseProgram(user));
        live_cycle();
    }
    for (int i = 0; i < 2; i++) {
        ok(clReleaseProgram(programs[i]));
        ok(clReleaseContext(contexts[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_come_back),
        cmocka_unit_test(test_programs_of_another_platform),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
