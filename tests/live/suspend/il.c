/* SPDX-License-Identifier: Apache-2.0 */
/* Programs from an intermediate language through a suspend, with their specialisation constants
 * (OpenCL 3.0 §5.8.2, §5.8.3). Of the drivers at hand only the test driver has one:
 * tests/driver/il.c.
 */
#include "live.h"

#include <CL/cl_ext.h>
#include <stdio.h>
#include <string.h>

static const char il[] = "#ifndef SPEC_7\n#define SPEC_7 1\n#endif\n"
                         "kernel void put(global uint *out) { *out = SPEC_7 * 100 + SPEC_8; }\n";

/* One below OpenCL 2.1 has the language as an extension, and no constants. */
static bool is_old(void)
{
    char text[256] = "";
    int major = 0, minor = 0;
    ok(clGetPlatformInfo(live.platform, CL_PLATFORM_VERSION, sizeof text, text, NULL));
    assert_int_equal(sscanf(text, "OpenCL %d.%d", &major, &minor), 2);
    return major * 10 + minor < 21;
}

typedef cl_program(CL_API_CALL *create_with_il)(cl_context, const void *, size_t, cl_int *);

static cl_program make_by(create_with_il create)
{
    cl_int err;
    cl_program program = create(live.context, il, strlen(il), &err);
    made(program);
    return program;
}

static cl_program make(void)
{
    live_need(!is_old());
    return make_by(clCreateProgramWithIL);
}

static void set(cl_program program, cl_uint id, cl_uint value)
{
    ok(clSetProgramSpecializationConstant(program, id, sizeof value, &value));
}

static void check_value(cl_kernel kernel, cl_uint value)
{
    cl_uint zero = 0;
    cl_mem out = live_buffer(sizeof zero, &zero);
    ok(clSetKernelArg(kernel, 0, sizeof out, &out));
    live_launch(live.queue, kernel, 1);
    live_expect(out, 0, &value, sizeof value);
    ok(clReleaseMemObject(out));
}

/* In a kernel made for this, since one that lives keeps a program from being built again. */
static void expect_in_program(cl_program program, cl_uint value)
{
    cl_int err;
    cl_kernel kernel = clCreateKernel(program, "put", &err);
    made(kernel);
    check_value(kernel, value);
    ok(clReleaseKernel(kernel));
}

/* Takes the program. */
static void build_and_check(cl_program program)
{
    cl_int err;
    char text[sizeof il] = "";
    size_t size = 0;
    set(program, 8, 3);
    ok(clBuildProgram(program, 0, NULL, NULL, NULL, NULL));
    cl_kernel kernel = clCreateKernel(program, "put", &err);
    made(kernel);
    live_cycle();
    check_value(kernel, 103);
    ok(clGetProgramInfo(program, CL_PROGRAM_IL, sizeof text, text, &size));
    assert_int_equal(size, strlen(il));
    assert_memory_equal(text, il, size);
    ok(clReleaseKernel(kernel));
    ok(clReleaseProgram(program));
}

static void test_built_program(void **state)
{
    build_and_check(make());
}

/* cl_khr_il_program: before OpenCL 2.1. */
static void test_program_of_the_extension(void **state)
{
    create_with_il create = (create_with_il)clGetExtensionFunctionAddressForPlatform(
        live.platform, "clCreateProgramWithILKHR");
    cl_int err;
    live_need(create && !is_old());
    assert_null(create(live.context, NULL, 4, &err));
    assert_int_equal(err, CL_INVALID_VALUE);
    assert_null(create((cl_context)live.queue, il, strlen(il), &err));
    assert_int_equal(err, CL_INVALID_CONTEXT);
    build_and_check(make_by(create));
    cl_program late = make_by(create); /* built after */
    live_cycle();
    set(late, 8, 4);
    ok(clBuildProgram(late, 0, NULL, NULL, NULL, NULL));
    live_cycle();
    expect_in_program(late, 104);
    ok(clReleaseProgram(late));
}

static void test_constants_set_before_the_first_build(void **state)
{
    cl_program program = make();
    set(program, 7, 4);
    live_cycle();
    set(program, 8, 5);
    live_cycle();
    ok(clBuildProgram(program, 0, NULL, NULL, NULL, NULL));
    expect_in_program(program, 405);
    ok(clReleaseProgram(program));
}

static void test_constants_set_for_the_next_build(void **state)
{
    cl_program program = make();
    set(program, 8, 5);
    ok(clBuildProgram(program, 0, NULL, NULL, NULL, NULL));
    set(program, 7, 6);
    live_cycle();
    expect_in_program(program, 105);
    set(program, 8, 9);
    live_cycle();
    expect_in_program(program, 105);
    ok(clBuildProgram(program, 0, NULL, NULL, NULL, NULL));
    expect_in_program(program, 609);
    ok(clReleaseProgram(program));
}

static void test_constants_after_a_build_that_failed(void **state)
{
    cl_program program = make();
    set(program, 7, 2);
    assert_int_equal(clBuildProgram(program, 0, NULL, NULL, NULL, NULL), CL_BUILD_PROGRAM_FAILURE);
    set(program, 8, 1);
    live_cycle();
    ok(clBuildProgram(program, 0, NULL, NULL, NULL, NULL));
    expect_in_program(program, 201);
    ok(clReleaseProgram(program));
}

/* What a driver would refuse is refused, also where the program was made again from its binary. */
static void test_constants_that_are_none(void **state)
{
    static const char *source = "kernel void put(global uint *out) { *out = 1; }\n";
    const cl_uint huge[8] = {0};
    cl_uint value = 4;
    cl_program program = make(), plain = live_program(source, NULL);
    set(program, 8, 3);
    ok(clBuildProgram(program, 0, NULL, NULL, NULL, NULL));
    for (int i = 0; i < 2; i++) {
        live_cycle();
        assert_int_equal(clSetProgramSpecializationConstant(program, 8, sizeof huge, huge),
                         CL_INVALID_VALUE);
        if (live_commanded()) /* (the test driver itself would take it) */
            assert_int_equal(clSetProgramSpecializationConstant(plain, 8, sizeof value, &value),
                             CL_INVALID_PROGRAM);
    }
    set(program, 8, 4);
    ok(clBuildProgram(program, 0, NULL, NULL, NULL, NULL));
    expect_in_program(program, 104);
    ok(clBuildProgram(plain, 0, NULL, NULL, NULL, NULL));
    expect_in_program(plain, 1);
    ok(clReleaseProgram(plain));
    ok(clReleaseProgram(program));
}

static void test_queries_of_one_by_the_extension(void **state)
{
    cl_int err;
    char text[sizeof il] = "";
    size_t size = 0;
    clCreateProgramWithILKHR_fn create =
        (clCreateProgramWithILKHR_fn)clGetExtensionFunctionAddressForPlatform(
            live.platform, "clCreateProgramWithILKHR");
    assert_non_null(create);
    cl_program program = create(live.context, il, strlen(il), &err);
    made(program);
    ok(clBuildProgram(program, 0, NULL, "-DSPEC_8=6", NULL, NULL));
    for (int i = 0; i < 2; i++) {
        ok(clGetProgramInfo(program, CL_PROGRAM_IL_KHR, sizeof text, text, &size));
        assert_int_equal(size, strlen(il));
        assert_memory_equal(text, il, size);
        live_cycle();
        expect_in_program(program, 106);
    }
    ok(clReleaseProgram(program));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_built_program),
        cmocka_unit_test(test_program_of_the_extension),
        cmocka_unit_test(test_constants_set_before_the_first_build),
        cmocka_unit_test(test_constants_set_for_the_next_build),
        cmocka_unit_test(test_constants_after_a_build_that_failed),
        cmocka_unit_test(test_constants_that_are_none),
        cmocka_unit_test(test_queries_of_one_by_the_extension),
    };
    return cmocka_run_group_tests(tests, live_setup, live_teardown);
}
