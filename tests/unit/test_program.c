/* SPDX-License-Identifier: Apache-2.0 */
/* Programs made again by a driver that links for one of two devices only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "state/program.h"

#define REAL(number) ((void *)(uintptr_t)(number))

enum { CONTEXT = 1, FIRST, SECOND, PART, LINKED };

static cl_program CL_API_CALL create(cl_context context, cl_uint count, const char **strings,
                                     const size_t *lengths, cl_int *err)
{
    *err = CL_SUCCESS;
    return REAL(PART);
}

/* Does not get through for the second. */
static cl_int CL_API_CALL compile(cl_program program, cl_uint count, const cl_device_id *devices,
                                  const char *options, cl_uint num_headers,
                                  const cl_program *headers, const char **names,
                                  void(CL_CALLBACK *notify)(cl_program, void *), void *data)
{
    return count == 1 && devices[0] == REAL(FIRST) ? CL_SUCCESS : CL_COMPILE_PROGRAM_FAILURE;
}

static cl_program CL_API_CALL link(cl_context context, cl_uint count, const cl_device_id *devices,
                                   const char *options, cl_uint num_programs,
                                   const cl_program *programs,
                                   void(CL_CALLBACK *notify)(cl_program, void *), void *data,
                                   cl_int *err)
{
    bool can = count == 1 && devices[0] == REAL(FIRST) && programs[0] == REAL(PART);
    *err = can ? CL_SUCCESS : CL_LINK_PROGRAM_FAILURE;
    return REAL(LINKED);
}

static cl_int CL_API_CALL release(cl_program program)
{
    return CL_SUCCESS;
}

static cl_int CL_API_CALL ask(cl_program program, cl_device_id device, cl_uint param, size_t size,
                              void *value, size_t *size_ret)
{
    return CL_INVALID_VALUE;
}

static bool has_binaries;

static cl_int CL_API_CALL ask_program(cl_program program, cl_program_info param, size_t size,
                                      void *value, size_t *size_ret)
{
    const cl_device_id devices[2] = {REAL(FIRST), REAL(SECOND)};
    const size_t sizes[2] = {3, 3};
    if (param == CL_PROGRAM_DEVICES && value)
        memcpy(value, devices, sizeof devices);
    if (!has_binaries && param != CL_PROGRAM_DEVICES)
        return CL_OUT_OF_RESOURCES;
    if (param == CL_PROGRAM_BINARY_SIZES && value)
        memcpy(value, sizes, sizeof sizes);
    if (param == CL_PROGRAM_BINARIES && value)
        for (int i = 0; i < 2; i++)
            memcpy(((unsigned char **)value)[i], i ? "two" : "one", 3);
    if (size_ret)
        *size_ret = sizeof devices;
    return CL_SUCCESS;
}

static struct driver driver = {
    .clCreateProgramWithSource = create,
    .clCompileProgram = compile,
    .clLinkProgram = link,
    .clReleaseProgram = release,
    .clGetProgramBuildInfo = ask,
    .clGetProgramInfo = ask_program,
};

static struct recipe *link_of_a_part(void)
{
    struct origin *source = origin_create(ORIGIN_SOURCE, "part", 4);
    struct origin *origin = origin_create(ORIGIN_LINK, NULL, 0);
    assert_non_null(source);
    assert_non_null(origin);
    struct recipe *recipe = recipe_create(origin, STEP_LINK, NULL);
    assert_non_null(recipe);
    assert_true(recipe_set_inputs(recipe, 1));
    recipe->inputs[0] = recipe_create(source, STEP_COMPILE, NULL);
    assert_non_null(recipe->inputs[0]);
    origin_unref(source);
    origin_unref(origin);
    return recipe;
}

/* What the driver said of the second after the link. */
static void check_rebuilt(cl_build_status second)
{
    struct context context = {.object = {.real = REAL(CONTEXT), .driver = &driver}};
    struct device devices[2] = {{.object.real = REAL(FIRST), .same = true},
                                {.object.real = REAL(SECOND), .same = true}};
    struct device *list[2] = {&devices[0], &devices[1]};
    struct recipe *recipe = link_of_a_part();
    struct program program = {
        .context = &context, .devices = list, .num_devices = 2, .origin = recipe->origin};
    struct build *build = program_prepare(&program, recipe, 0, NULL);
    struct error err = {0};
    const cl_build_status first = CL_BUILD_SUCCESS;
    assert_non_null(build);
    info_cache_add(&build->devices[0].info, CL_PROGRAM_BUILD_STATUS, &first, sizeof first);
    info_cache_add(&build->devices[1].info, CL_PROGRAM_BUILD_STATUS, &second, sizeof second);
    atomic_store(&program.build, build);
    if (program_rebuild(&program, &err) != 0)
        fail_msg("%s", err.reason);
    assert_ptr_equal(program_real(&program), REAL(LINKED));
    build_destroy(build);
    recipe_unref(recipe);
}

static void test_linked_for_one_that_is_compiled(void **state)
{
    check_rebuilt(CL_BUILD_NONE);
}

static void test_linked_for_one_and_failed_for_the_other(void **state)
{
    check_rebuilt(CL_BUILD_ERROR);
}

/* Parts that were compiled differently for its devices: said as what it is. */
static void test_link_that_can_not_be_repeated(void **state)
{
    struct device devices[2] = {{.same = true}, {.same = true}};
    struct device *list[2] = {&devices[0], &devices[1]};
    struct recipe *recipe = link_of_a_part();
    struct program program = {.devices = list, .num_devices = 2, .origin = recipe->origin};
    struct error err = {0};
    recipe->mixed = true;
    atomic_store(&program.build, program_prepare(&program, recipe, 0, NULL));
    assert_non_null(atomic_load(&program.build));
    assert_int_equal(program_movable(&program, &err), -1);
    assert_non_null(strstr(err.reason, "compiled differently for its devices"));
    build_destroy(atomic_load(&program.build));
    recipe_unref(recipe);
}

/* Such a link comes back from its binary alone. */
static void test_such_a_link_without_its_binary_is_refused(void **state)
{
    struct device devices[2] = {{.object.real = REAL(FIRST), .same = true},
                                {.object.real = REAL(SECOND), .same = true}};
    struct device *list[2] = {&devices[0], &devices[1]};
    struct recipe *recipe = link_of_a_part();
    struct program program = {.object = {.real = REAL(LINKED), .driver = &driver},
                              .devices = list,
                              .num_devices = 2,
                              .origin = recipe->origin};
    const cl_build_status success = CL_BUILD_SUCCESS;
    struct error err = {0};
    recipe->mixed = true;
    struct build *build = program_prepare(&program, recipe, 0, NULL);
    assert_non_null(build);
    for (int i = 0; i < 2; i++)
        info_cache_add(&build->devices[i].info, CL_PROGRAM_BUILD_STATUS, &success, sizeof success);
    atomic_store(&program.build, build);
    has_binaries = false;
    assert_int_equal(program_capture(&program, &err), -1);
    assert_non_null(strstr(err.reason, "its driver gives no binary; its parts were compiled"));
    has_binaries = true;
    assert_int_equal(program_capture(&program, &err), 0);
    assert_int_equal(build->devices[1].binary.size, 3);
    assert_memory_equal(build->devices[1].binary.bytes, "two", 3);
    build_destroy(build);
    recipe_unref(recipe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linked_for_one_that_is_compiled),
        cmocka_unit_test(test_linked_for_one_and_failed_for_the_other),
        cmocka_unit_test(test_link_that_can_not_be_repeated),
        cmocka_unit_test(test_such_a_link_without_its_binary_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
