/* SPDX-License-Identifier: Apache-2.0 */
/* Programs of built-in kernels (OpenCL 3.0 §5.8.1) and programs' release callbacks (§5.8.3). Of the
 * drivers at hand only the test driver has them: tests/driver/program.c.
 */
#include "live.h"

#include <stdatomic.h>
#include <string.h>

static cl_program make(void)
{
    char names[256] = "";
    cl_int err;
    ok(clGetDeviceInfo(live.device, CL_DEVICE_BUILT_IN_KERNELS, sizeof names, names, NULL));
    assert_string_equal(names, "testdriver_add");
    cl_program program =
        clCreateProgramWithBuiltInKernels(live.context, 1, &live.device, names, &err);
    made(program);
    return program;
}

static void test_built_in_kernels(void **state)
{
    cl_uint x[64], add = 5;
    char names[256] = "";
    cl_int err;
    live_pattern(x, sizeof x, 1);
    cl_mem mem = live_buffer(sizeof x, x);
    cl_program program = make();
    live_cycle(); /* before there is a kernel */
    cl_kernel kernel = clCreateKernel(program, "testdriver_add", &err);
    made(kernel);
    ok(clSetKernelArg(kernel, 0, sizeof mem, &mem));
    ok(clSetKernelArg(kernel, 1, sizeof add, &add));
    for (int round = 0; round < 3; round++) {
        live_cycle();
        live_launch(live.queue, kernel, 64);
        for (int i = 0; i < 64; i++)
            x[i] += add;
        live_cycle();
        live_expect(mem, 0, x, sizeof x);
    }
    ok(clGetProgramInfo(program, CL_PROGRAM_KERNEL_NAMES, sizeof names, names, NULL));
    assert_string_equal(names, "testdriver_add");
    ok(clReleaseProgram(program)); /* the kernel outlives it */
    live_cycle();
    live_launch(live.queue, kernel, 64);
    for (int i = 0; i < 64; i++)
        x[i] += add;
    live_expect(mem, 0, x, sizeof x);
    ok(clReleaseKernel(kernel));
    ok(clReleaseMemObject(mem));
}

static void test_unknown_names(void **state)
{
    cl_int err = CL_SUCCESS;
    assert_null(
        clCreateProgramWithBuiltInKernels(live.context, 1, &live.device, "no_such_kernel", &err));
    assert_int_equal(err, CL_INVALID_VALUE);
    assert_null(clCreateProgramWithBuiltInKernels(live.context, 1, &live.device, NULL, &err));
    assert_int_equal(err, CL_INVALID_VALUE);
}

static _Atomic int called;
static _Atomic(cl_program) called_for;

static void CL_CALLBACK note_release(cl_program program, void *data)
{
    atomic_store(&called_for, program);
    (*(_Atomic int *)data)++;
}

static const char *const source = "kernel void put(global uint *out) { *out = 1; }";

static cl_program with_callback(void)
{
    cl_program program = live_program(source, NULL);
    called = 0;
    called_for = NULL;
    ok(clSetProgramReleaseCallback(program, note_release, &called));
    return program;
}

static void expect_called_once(cl_program program)
{
    live_wait_for(&called, 1);
    live_cycle();
    live_sleep(50);
    assert_int_equal(called, 1);
    assert_ptr_equal(called_for, program);
}

static void test_release_callback(void **state)
{
    cl_int err;
    cl_program program = with_callback();
    cl_kernel kernel = clCreateKernel(program, "put", &err);
    made(kernel);
    live_cycle();
    ok(clReleaseProgram(program));
    live_cycle();
    assert_int_equal(called, 0); /* its kernel keeps it */
    ok(clReleaseKernel(kernel));
    expect_called_once(program);
}

static void test_released_while_suspended(void **state)
{
    cl_program program = with_callback();
    live_suspend();
    ok(clReleaseProgram(program));
    live_resume();
    expect_called_once(program);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_built_in_kernels),
        cmocka_unit_test(test_unknown_names),
        cmocka_unit_test(test_release_callback),
        cmocka_unit_test(test_released_while_suspended),
    };
    return cmocka_run_group_tests(tests, live_setup, live_teardown);
}
