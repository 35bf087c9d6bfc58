/* SPDX-License-Identifier: Apache-2.0 */
/* No unknown function gets through: for each one that the OpenCL headers declare for an extension,
 * every platform answers with a wrapper of ours or NULL, and what a platform or device reports as
 * its extensions is wrapped whole. To be run under the shim. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <CL/cl.h>
#include <CL/cl_ext.h>
#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* From the headers, by extension_functions.py. */
static const struct {
    const char *extension, *function;
} functions[] = {
#define X(extension, function) {extension, function},
#include "extension_functions.h"
#undef X
};
#define COUNT(array) (sizeof(array) / sizeof *(array))

static cl_platform_id platforms[16];
static cl_uint num_platforms;

static int find_platforms(void **state)
{
    cl_int err = clGetPlatformIDs(COUNT(platforms), platforms, &num_platforms);
    return err == CL_SUCCESS && num_platforms > 0 && num_platforms < COUNT(platforms) ? 0 : -1;
}

/* NULL or in our library, which is where clGetPlatformIDs lies. */
static void assert_ours(const void *function, const char *name)
{
    Dl_info here, there;
    if (!function)
        return;
    assert_int_not_equal(dladdr(dlsym(RTLD_DEFAULT, "clGetPlatformIDs"), &here), 0);
    assert_non_null(strstr(here.dli_fname, "libOpenCL.so"));
    if (!dladdr(function, &there) || there.dli_fbase != here.dli_fbase)
        fail_msg("`%s` is handed out from outside of our library", name);
}

static void test_each_function_is_ours_or_none(void **state)
{
    size_t found = 0;
    for (size_t i = 0; i < COUNT(functions); i++) {
        const char *name = functions[i].function;
        bool somewhere = false;
        for (cl_uint p = 0; p < num_platforms; p++) {
            const void *one = clGetExtensionFunctionAddressForPlatform(platforms[p], name);
            assert_ours(one, name);
            somewhere = somewhere || one;
        }
        const void *any = clGetExtensionFunctionAddress(name);
        assert_ours(any, name);
        if (somewhere != (any != NULL))
            fail_msg("`%s`: with and without a platform the answers differ", name);
        found += any != NULL;
    }
    print_message("%zu functions in the headers, %zu of them found\n", COUNT(functions), found);
    assert_true(COUNT(functions) > 80);
    assert_true(found > 0);
}

static void test_unknown_names_are_none(void **state)
{
    static const char *const names[] = {"", "clNoSuchFunctionKHR", "main", "malloc"};
    for (size_t i = 0; i < COUNT(names); i++) {
        assert_null(clGetExtensionFunctionAddress(names[i]));
        for (cl_uint p = 0; p < num_platforms; p++)
            assert_null(clGetExtensionFunctionAddressForPlatform(platforms[p], names[i]));
    }
}

static void assert_wrapped(cl_platform_id platform, const char *extension)
{
    for (size_t i = 0; i < COUNT(functions); i++)
        if (!strcmp(functions[i].extension, extension) &&
            !clGetExtensionFunctionAddressForPlatform(platform, functions[i].function))
            fail_msg("%s is reported, `%s` is not there", extension, functions[i].function);
}

/* CL_*_EXTENSIONS: names with spaces between them. Frees the text. */
static void check_names(cl_platform_id platform, char *text)
{
    char *rest = text, *name;
    while ((name = strsep(&rest, " ")))
        if (*name)
            assert_wrapped(platform, name);
    free(text);
}

/* CL_*_EXTENSIONS_WITH_VERSION. Frees the array. */
static void check_versions(cl_platform_id platform, cl_name_version *all, size_t size)
{
    for (size_t i = 0; i < size / sizeof *all; i++)
        assert_wrapped(platform, all[i].name);
    free(all);
}

/* Any clGet*Info. NULL where the driver does not know the question. */
typedef cl_int(CL_API_CALL *get_info)(void *, cl_uint, size_t, void *, size_t *);

static void *ask(get_info query, void *object, cl_uint param, size_t *size)
{
    if (query(object, param, 0, NULL, size) != CL_SUCCESS)
        return NULL;
    void *answer = calloc(1, *size + 1);
    assert_non_null(answer);
    assert_int_equal(query(object, param, *size, answer, NULL), CL_SUCCESS);
    return answer;
}

static void check_device(cl_platform_id platform, cl_device_id device)
{
    size_t size = 0;
    get_info query = (get_info)clGetDeviceInfo;
    char *names = ask(query, device, CL_DEVICE_EXTENSIONS, &size);
    assert_non_null(names);
    check_names(platform, names);
    cl_name_version *all = ask(query, device, CL_DEVICE_EXTENSIONS_WITH_VERSION, &size);
    check_versions(platform, all, all ? size : 0);
}

static void test_what_is_reported_is_wrapped(void **state)
{
    for (cl_uint p = 0; p < num_platforms; p++) {
        size_t size = 0;
        get_info query = (get_info)clGetPlatformInfo;
        char *names = ask(query, platforms[p], CL_PLATFORM_EXTENSIONS, &size);
        assert_non_null(names);
        check_names(platforms[p], names);
        cl_name_version *all = ask(query, platforms[p], CL_PLATFORM_EXTENSIONS_WITH_VERSION, &size);
        check_versions(platforms[p], all, all ? size : 0);
        cl_device_id devices[16];
        cl_uint count = 0;
        clGetDeviceIDs(platforms[p], CL_DEVICE_TYPE_ALL, COUNT(devices), devices, &count);
        for (cl_uint d = 0; d < count && d < COUNT(devices); d++)
            check_device(platforms[p], devices[d]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_function_is_ours_or_none),
        cmocka_unit_test(test_unknown_names_are_none),
        cmocka_unit_test(test_what_is_reported_is_wrapped),
    };
    return cmocka_run_group_tests(tests, find_platforms, NULL);
}
