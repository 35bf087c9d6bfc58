/* SPDX-License-Identifier: Apache-2.0 */
/* Programs of a context on two devices that are built, compiled or linked for one of them, or
 * differently for each. */
#include "live.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const source =
    "kernel void put(global uint *out) { out[get_global_id(0)] = VALUE; }\n";

static cl_device_id two[2];
static cl_context context;
static cl_command_queue queues[2];

/* The test driver can be told to fail. */
static bool can_fail(void)
{
    return getenv("SHADOWCL_TEST_FAULTS") != NULL;
}

static void tell(const char *lines)
{
    char fresh[512];
    const char *path = getenv("SHADOWCL_TEST_FAULTS");
    if (!path)
        return;
    snprintf(fresh, sizeof fresh, "%s.new", path);
    FILE *file = fopen(fresh, "w");
    assert_non_null(file);
    fputs(lines, file);
    fclose(file);
    assert_int_equal(rename(fresh, path), 0);
}

static int setup(void **state)
{
    cl_uint count = 0;
    cl_int err;
    tell(""); /* of a run before that failed */
    live_setup(state);
    ok(clGetDeviceIDs(live.platform, CL_DEVICE_TYPE_ALL, 2, two, &count));
    assert_true(count >= 2);
    context = clCreateContext(NULL, 2, two, NULL, NULL, &err);
    made(context);
    for (int i = 0; i < 2; i++) {
        queues[i] = clCreateCommandQueue(context, two[i], 0, &err);
        made(queues[i]);
    }
    return 0;
}

static int teardown(void **state)
{
    for (int i = 0; i < 2; i++)
        ok(clReleaseCommandQueue(queues[i]));
    ok(clReleaseContext(context));
    return live_teardown(state);
}

/* Where the driver can be told not to take its binaries back: by the way of the recipe. */
static void cycle_by_recipe(void)
{
    live_suspend();
    tell("fail clCreateProgramWithBinary 1 -42\n");
    live_resume();
    tell("");
}

static cl_program make(const char *text)
{
    cl_int err;
    cl_program program = clCreateProgramWithSource(context, 1, &text, NULL, &err);
    made(program);
    return program;
}

static cl_program compile(const char *text, int device, const char *options)
{
    cl_program program = make(text);
    ok(clCompileProgram(program, 1, &two[device], options, 0, NULL, NULL, NULL, NULL));
    return program;
}

static cl_uint run(cl_program program, int device)
{
    cl_int err;
    cl_uint value = 0;
    cl_kernel kernel = clCreateKernel(program, "put", &err);
    made(kernel);
    cl_mem out = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, sizeof value, &value, &err);
    made(out);
    ok(clSetKernelArg(kernel, 0, sizeof out, &out));
    live_launch(queues[device], kernel, 1);
    ok(clEnqueueReadBuffer(queues[device], out, CL_TRUE, 0, sizeof value, &value, 0, NULL, NULL));
    ok(clReleaseMemObject(out));
    ok(clReleaseKernel(kernel));
    return value;
}

/* What was compiled from may be gone when it is resumed: the binary is enough. */
static void test_built_for_one_of_two_devices(void **state)
{
    static const char *text = "#include \"value.h\"\n"
                              "kernel void put(global uint *out) { *out = VALUE; }\n";
    char folder[] = "/tmp/live-partial-XXXXXX", name[64], options[64];
    assert_non_null(mkdtemp(folder));
    snprintf(name, sizeof name, "%s/value.h", folder);
    snprintf(options, sizeof options, "-I %s", folder);
    FILE *header = fopen(name, "w");
    assert_non_null(header);
    fputs("#define VALUE 31\n", header);
    fclose(header);
    for (int i = 0; i < 2; i++) {
        cl_program program = make(text);
        ok(clBuildProgram(program, 1, &two[i], options, NULL, NULL));
        if (live_commanded()) /* a storm knows nothing of this moment */
            unlink(name);
        live_cycle();
        assert_int_equal(run(program, i), 31);
        live_cycle();
        assert_int_equal(run(program, i), 31);
        ok(clReleaseProgram(program));
        header = fopen(name, "w");
        assert_non_null(header);
        fputs("#define VALUE 31\n", header);
        fclose(header);
    }
    unlink(name);
    rmdir(folder);
}

static void test_built_for_the_other_after_a_resume(void **state)
{
    for (int i = 0; i < 2; i++) {
        cl_program program = make(source);
        ok(clBuildProgram(program, 1, &two[i], "-DVALUE=32", NULL, NULL));
        live_cycle();
        ok(clBuildProgram(program, 1, &two[1 - i], "-DVALUE=33", NULL, NULL));
        assert_int_equal(run(program, 1 - i), 33);
        live_cycle();
        assert_int_equal(run(program, 1 - i), 33);
        cycle_by_recipe();
        assert_int_equal(run(program, 1 - i), 33);
        ok(clReleaseProgram(program));
    }
}

/* Only what is linked counts. */
static void test_linked_for_one_of_two_ways_of_compiling(void **state)
{
    cl_int err;
    cl_program part = compile(source, 1, "-DVALUE=35");
    ok(clCompileProgram(part, 1, &two[0], "-DVALUE=36", 0, NULL, NULL, NULL, NULL));
    cl_program linked = clLinkProgram(context, 1, &two[0], NULL, 1, &part, NULL, NULL, &err);
    made(linked);
    assert_int_equal(run(linked, 0), 36);
    ok(clReleaseProgram(part));
    live_cycle();
    assert_int_equal(run(linked, 0), 36);
    cycle_by_recipe();
    assert_int_equal(run(linked, 0), 36);
    ok(clReleaseProgram(linked));
}

static void test_each_device_has_its_constants(void **state)
{
    static const char il[] = "kernel void put(global uint *out) { *out = SPEC_7; }\n";
    cl_int err;
    cl_uint value = 37;
    live_need(can_fail());
    for (int i = 0; i < 2; i++) {
        cl_program program = clCreateProgramWithIL(context, il, strlen(il), &err);
        made(program);
        ok(clSetProgramSpecializationConstant(program, 7, sizeof value, &value));
        ok(clBuildProgram(program, 1, &two[i], NULL, NULL, NULL));
        cycle_by_recipe();
        assert_int_equal(run(program, i), 37);
        ok(clReleaseProgram(program));
    }
}

/* The driver refuses to begin: the program is what it was. */
static void test_refused_build_leaves_the_executable(void **state)
{
    live_need(can_fail());
    cl_program program = make(source);
    ok(clBuildProgram(program, 0, NULL, "-DVALUE=38", NULL, NULL));
    live_cycle();
    tell("fail clBuildProgram 1 -6\n");
    assert_int_equal(clBuildProgram(program, 0, NULL, "-DVALUE=39", NULL, NULL),
                     CL_OUT_OF_HOST_MEMORY);
    tell("");
    assert_int_equal(run(program, 0), 38);
    live_cycle();
    assert_int_equal(run(program, 0), 38);
    ok(clBuildProgram(program, 0, NULL, "-DVALUE=39", NULL, NULL));
    assert_int_equal(run(program, 0), 39);
    ok(clReleaseProgram(program));
}

struct builder {
    cl_program program;
    int device;
    _Atomic int answer;
};

static void *build(void *data)
{
    struct builder *builder = data;
    builder->answer = clBuildProgram(builder->program, 1, &two[builder->device],
                                     builder->device ? "-DVALUE=41" : "-DVALUE=40", NULL, NULL);
    return NULL;
}

/* §5.8.2 lets a program be built for several devices at a time: one step comes after the other, and
 * none is lost. */
static void test_two_threads_build_one_program(void **state)
{
    live_need(can_fail() && live_commanded());
    cl_program program = make(source);
    for (int round = 0; round < 2; round++) {
        struct builder builders[2] = {{program, 0, 1}, {program, 1, 1}};
        pthread_t threads[2];
        ok(clBuildProgram(program, 0, NULL, "-DVALUE=39", NULL, NULL));
        if (round)
            live_cycle(); /* both find one that was made from its binary */
        tell(round ? "hang clCreateProgramWithSource 1\n" : "hang clBuildProgram 1\n");
        for (int i = 1; i >= 0; i--) {
            assert_int_equal(pthread_create(&threads[i], NULL, build, &builders[i]), 0);
            live_sleep(200);
        }
        assert_int_equal(builders[1].answer, 1);
        assert_int_equal(builders[0].answer, 1);
        tell("");
        for (int i = 0; i < 2; i++) {
            pthread_join(threads[i], NULL);
            ok(builders[i].answer);
        }
        assert_int_equal(run(program, 0), 40);
        cycle_by_recipe();
        assert_int_equal(run(program, 0), 40);
    }
    ok(clReleaseProgram(program));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_built_for_one_of_two_devices),
        cmocka_unit_test(test_built_for_the_other_after_a_resume),
        cmocka_unit_test(test_linked_for_one_of_two_ways_of_compiling),
        cmocka_unit_test(test_each_device_has_its_constants),
        cmocka_unit_test(test_refused_build_leaves_the_executable),
        cmocka_unit_test(test_two_threads_build_one_program),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
