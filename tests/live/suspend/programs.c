/* SPDX-License-Identifier: Apache-2.0 */
/* Programs through a suspend: from source, binary, compiled and linked; logs, status, options. */
#include "live.h"

#include <stdlib.h>
#include <string.h>

static const char *const source =
    "kernel void put(global uint *out) { out[get_global_id(0)] = VALUE; }\n";

static void check_value(cl_kernel kernel, cl_uint value)
{
    cl_uint expected[16], zeros[16] = {0};
    cl_mem out = live_buffer(sizeof zeros, zeros);
    for (int i = 0; i < 16; i++)
        expected[i] = value;
    ok(clSetKernelArg(kernel, 0, sizeof out, &out));
    live_launch(live.queue, kernel, 16);
    live_expect(out, 0, expected, sizeof expected);
    ok(clReleaseMemObject(out));
}

static void check_program(cl_program program, cl_uint value)
{
    cl_int err;
    cl_kernel kernel = clCreateKernel(program, "put", &err);
    made(kernel);
    check_value(kernel, value);
    ok(clReleaseKernel(kernel));
}

static const cl_uint params[] = {CL_PROGRAM_REFERENCE_COUNT, CL_PROGRAM_CONTEXT,
                                 CL_PROGRAM_NUM_DEVICES,     CL_PROGRAM_DEVICES,
                                 CL_PROGRAM_SOURCE,          CL_PROGRAM_BINARY_SIZES,
                                 CL_PROGRAM_NUM_KERNELS,     CL_PROGRAM_KERNEL_NAMES};

struct told {
    size_t size;
    unsigned char bytes[8192];
    cl_build_status status;
    cl_program_binary_type type;
    char options[256], log[8192];
};

static void ask(cl_program program, struct told *told)
{
    memset(told, 0, sizeof *told);
    told->size = live_ask(clGetProgramInfo, program, params, told->bytes);
    ok(clGetProgramBuildInfo(program, live.device, CL_PROGRAM_BUILD_STATUS, sizeof told->status,
                             &told->status, NULL));
    ok(clGetProgramBuildInfo(program, live.device, CL_PROGRAM_BINARY_TYPE, sizeof told->type,
                             &told->type, NULL));
    ok(clGetProgramBuildInfo(program, live.device, CL_PROGRAM_BUILD_OPTIONS, sizeof told->options,
                             told->options, NULL));
    ok(clGetProgramBuildInfo(program, live.device, CL_PROGRAM_BUILD_LOG, sizeof told->log,
                             told->log, NULL));
}

static void check_told(cl_program program, const struct told *before)
{
    struct told now;
    ask(program, &now);
    assert_int_equal(now.size, before->size);
    assert_memory_equal(now.bytes, before->bytes, now.size);
    assert_int_equal(now.status, before->status);
    assert_int_equal(now.type, before->type);
    assert_string_equal(now.options, before->options);
    assert_string_equal(now.log, before->log);
}

static void test_source_with_options(void **state)
{
    struct told told;
    cl_program program = live_program(source, "-DVALUE=17");
    ask(program, &told);
    live_cycle();
    check_told(program, &told);
    check_program(program, 17);
    live_cycle();
    ok(clBuildProgram(program, 0, NULL, "-DVALUE=18", NULL, NULL));
    live_cycle();
    check_program(program, 18);
    ok(clReleaseProgram(program));
}

static void test_unbuilt_program_is_built_after_a_resume(void **state)
{
    cl_int err;
    cl_program program =
        clCreateProgramWithSource(live.context, 1, (const char **)&source, NULL, &err);
    made(program);
    live_cycle();
    ok(clBuildProgram(program, 0, NULL, "-DVALUE=19", NULL, NULL));
    check_program(program, 19);
    ok(clReleaseProgram(program));
}

static void test_failed_build_keeps_status_and_log(void **state)
{
    cl_int err;
    struct told told;
    cl_program program =
        clCreateProgramWithSource(live.context, 1, (const char **)&source, NULL, &err);
    made(program);
    assert_int_not_equal(clBuildProgram(program, 0, NULL, "-DVALUE=unknown_name", NULL, NULL),
                         CL_SUCCESS);
    ask(program, &told);
    assert_int_equal(told.status, CL_BUILD_ERROR);
    live_cycle();
    check_told(program, &told);
    assert_null(clCreateKernel(program, "put", &err));
    if (live_shadowed() || live.pocl)
        assert_int_equal(err, CL_INVALID_PROGRAM_EXECUTABLE);
    ok(clBuildProgram(program, 0, NULL, "-DVALUE=20", NULL, NULL));
    live_cycle();
    check_program(program, 20);
    ok(clReleaseProgram(program));
}

/* Whatever the driver answers, what it says of the program then is what counts. */
static void test_options_that_no_compiler_knows(void **state)
{
    cl_int answer;
    cl_build_status status = CL_BUILD_NONE;
    cl_program program = live_program(source, "-DVALUE=27");
    answer = clBuildProgram(program, 0, NULL, "-cl-no-such-option", NULL, NULL);
    live_need(answer != CL_SUCCESS);
    ok(clGetProgramBuildInfo(program, live.device, CL_PROGRAM_BUILD_STATUS, sizeof status, &status,
                             NULL));
    assert_int_equal(status, CL_BUILD_ERROR);
    live_cycle();
    ok(clBuildProgram(program, 0, NULL, "-DVALUE=28", NULL, NULL));
    live_cycle();
    check_program(program, 28);
    ok(clReleaseProgram(program));
}

static unsigned char *binary_of(cl_program program, size_t *size)
{
    ok(clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof *size, size, NULL));
    assert_true(*size > 0);
    unsigned char *bytes = malloc(*size);
    assert_non_null(bytes);
    ok(clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof bytes, &bytes, NULL));
    return bytes;
}

static void test_binary(void **state)
{
    cl_int err, status;
    size_t size;
    cl_program first = live_program(source, "-DVALUE=21");
    unsigned char *bytes = binary_of(first, &size);
    live_cycle();
    cl_program program = clCreateProgramWithBinary(live.context, 1, &live.device, &size,
                                                   (const unsigned char **)&bytes, &status, &err);
    made(program);
    live_cycle();
    ok(clBuildProgram(program, 0, NULL, NULL, NULL, NULL));
    live_cycle();
    check_program(program, 21);
    ok(clReleaseProgram(first));
    live_cycle();
    check_program(program, 21);
    ok(clReleaseProgram(program));
    free(bytes);
}

static cl_program compile(const char *text, const char *options, cl_program header,
                          const char *header_name)
{
    cl_int err;
    cl_program program = clCreateProgramWithSource(live.context, 1, &text, NULL, &err);
    made(program);
    ok(clCompileProgram(program, 0, NULL, options, header ? 1 : 0, header ? &header : NULL,
                        header ? &header_name : NULL, NULL, NULL));
    return program;
}

static void test_compile_with_header_and_link(void **state)
{
    static const char *const text = "#include \"value.h\"\n"
                                    "uint twice(uint);\n"
                                    "kernel void put(global uint *out)\n"
                                    "{ out[get_global_id(0)] = twice(VALUE); }\n";
    static const char *header_text = "#define VALUE 11\n";
    static const char *const part = "uint twice(uint x) { return x * FACTOR; }\n";
    cl_int err;
    struct told told[2];
    cl_program header = clCreateProgramWithSource(live.context, 1, &header_text, NULL, &err);
    made(header);
    live_cycle();
    cl_program parts[2] = {compile(text, NULL, header, "value.h"),
                           compile(part, "-DFACTOR=2", NULL, NULL)};
    ok(clReleaseProgram(header));
    ask(parts[0], &told[0]);
    live_cycle();
    check_told(parts[0], &told[0]);
    cl_program linked = clLinkProgram(live.context, 0, NULL, NULL, 2, parts, NULL, NULL, &err);
    made(linked);
    ask(linked, &told[1]);
    ok(clReleaseProgram(parts[0]));
    live_cycle();
    check_told(linked, &told[1]);
    check_program(linked, 22);
    ok(clReleaseProgram(parts[1]));
    live_cycle();
    check_program(linked, 22);
    ok(clReleaseProgram(linked));
}

static void test_library(void **state)
{
    static const char *const text = "uint third(uint);\n"
                                    "kernel void put(global uint *out)\n"
                                    "{ out[get_global_id(0)] = third(69); }\n";
    static const char *const part = "uint third(uint x) { return x / 3; }\n";
    cl_int err;
    cl_program of_library = compile(part, NULL, NULL, NULL), user = compile(text, NULL, NULL, NULL);
    cl_program library =
        clLinkProgram(live.context, 0, NULL, "-create-library", 1, &of_library, NULL, NULL, &err);
    made(library);
    live_cycle();
    cl_program both[2] = {user, library};
    cl_program linked = clLinkProgram(live.context, 0, NULL, NULL, 2, both, NULL, NULL, &err);
    made(linked);
    live_cycle();
    check_program(linked, 23);
    ok(clReleaseProgram(linked));
    ok(clReleaseProgram(user));
    ok(clReleaseProgram(library));
    ok(clReleaseProgram(of_library));
}

static void test_kernel_outlives_the_released_program(void **state)
{
    cl_int err;
    cl_uint refs = 0;
    cl_program program = live_program(source, "-DVALUE=24"), answer = NULL;
    cl_kernel kernel = clCreateKernel(program, "put", &err);
    made(kernel);
    ok(clReleaseProgram(program));
    live_cycle();
    check_value(kernel, 24);
    ok(clGetKernelInfo(kernel, CL_KERNEL_PROGRAM, sizeof answer, &answer, NULL));
    assert_ptr_equal(answer, program);
    ok(clGetKernelInfo(kernel, CL_KERNEL_REFERENCE_COUNT, sizeof refs, &refs, NULL));
    if (live_shadowed() || live.pocl)
        assert_int_equal(refs, 1);
    live_cycle();
    check_value(kernel, 24);
    ok(clReleaseKernel(kernel));
}

static void test_kernels_in_program(void **state)
{
    cl_uint count = 0;
    cl_kernel kernels[4];
    cl_program program = live_program(source, "-DVALUE=25");
    ok(clCreateKernelsInProgram(program, 4, kernels, &count));
    assert_int_equal(count, 1);
    live_cycle();
    check_value(kernels[0], 25);
    ok(clReleaseKernel(kernels[0]));
    ok(clReleaseProgram(program));
}

static _Atomic int num_built;

static void CL_CALLBACK built(cl_program program, void *data)
{
    *(cl_program *)data = program;
    num_built = num_built + 1;
}

static void test_build_callback_comes_once_with_our_handle(void **state)
{
    cl_int err;
    cl_program told = NULL, program = clCreateProgramWithSource(live.context, 1,
                                                                (const char **)&source, NULL, &err);
    made(program);
    ok(clBuildProgram(program, 0, NULL, "-DVALUE=26", built, &told));
    live_cycle();
    live_wait_for(&num_built, 1);
    assert_ptr_equal(told, program);
    check_program(program, 26);
    live_cycle();
    live_sleep(50);
    assert_int_equal(num_built, 1);
    ok(clReleaseProgram(program));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_source_with_options),
        cmocka_unit_test(test_unbuilt_program_is_built_after_a_resume),
        cmocka_unit_test(test_failed_build_keeps_status_and_log),
        cmocka_unit_test(test_options_that_no_compiler_knows),
        cmocka_unit_test(test_binary),
        cmocka_unit_test(test_compile_with_header_and_link),
        cmocka_unit_test(test_library),
        cmocka_unit_test(test_kernel_outlives_the_released_program),
        cmocka_unit_test(test_kernels_in_program),
        cmocka_unit_test(test_build_callback_comes_once_with_our_handle),
    };
    return cmocka_run_group_tests(tests, live_setup, live_teardown);
}
