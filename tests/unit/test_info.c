/* SPDX-License-Identifier: Apache-2.0 */
/* Answers: how they are copied out, that they never change, what is taken out of them, and what
 * another device is missing of them. The driver is one of these few functions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/dispatch.h"
#include "state/query.h"

/* What the driver answers; a test changes it at will. */
static struct {
    cl_ulong memory;
    cl_ulong svm;
    size_t sizes[3];
    const char *extensions;
    const char *version;
    cl_platform_id platform;
    unsigned asked;
} says;

static cl_int CL_API_CALL get_device_info(cl_device_id device, cl_device_info param, size_t size,
                                          void *value, size_t *size_ret)
{
    const struct answer to = {size, value, size_ret};
    says.asked++;
    switch (param) {
    case CL_DEVICE_GLOBAL_MEM_SIZE:
        return info_value(to, says.memory);
    case CL_DEVICE_SVM_CAPABILITIES:
        return info_value(to, says.svm);
    case CL_DEVICE_MAX_WORK_ITEM_SIZES:
        return info_bytes(to, says.sizes, sizeof says.sizes);
    case CL_DEVICE_EXTENSIONS:
        return info_string(to, says.extensions);
    case CL_DEVICE_VERSION:
        return info_string(to, says.version);
    case 0xABCD: /* some vendor's */
        return info_value(to, says.platform);
    default:
        return CL_INVALID_VALUE;
    }
}

static cl_int CL_API_CALL get_platform_info(cl_platform_id platform, cl_platform_info param,
                                            size_t size, void *value, size_t *size_ret)
{
    const cl_name_version names[] = {{CL_MAKE_VERSION(1, 0, 0), "cl_khr_terminate_context"},
                                     {CL_MAKE_VERSION(2, 1, 0), "cl_khr_fp64"}};
    const struct answer to = {size, value, size_ret};
    if (param == CL_PLATFORM_EXTENSIONS)
        return info_string(to, says.extensions);
    if (param == CL_PLATFORM_EXTENSIONS_WITH_VERSION)
        return info_bytes(to, names, sizeof names);
    return CL_INVALID_VALUE;
}

static int real_platform, real_device; /* their addresses are the driver's handles */
static struct driver driver;
static struct platform platform;
static struct device device, *devices[1] = {&device};

static int set_up(void **state)
{
    info_cache_finish(&device.info);
    info_cache_finish(&platform.info);
    driver = (struct driver){.clGetDeviceInfo = get_device_info,
                             .clGetPlatformInfo = get_platform_info,
                             .platform = (cl_platform_id)&real_platform,
                             .version = 300};
    platform = (struct platform){.object = {.driver = &driver, .real = &real_platform},
                                 .devices = devices,
                                 .num_devices = 1};
    device = (struct device){.object = {.driver = &driver, .real = &real_device, .refs = 1},
                             .platform = &platform,
                             .type = CL_DEVICE_TYPE_GPU,
                             .is_default = true};
    memset(&says, 0, sizeof says);
    says.memory = 4096;
    says.svm = CL_DEVICE_SVM_COARSE_GRAIN_BUFFER;
    says.extensions = "cl_khr_fp64 cl_khr_terminate_context  cl_khr_spir";
    says.version = "OpenCL 3.0 test";
    says.platform = driver.platform;
    return 0;
}

static void copies_only_what_fits(void **state)
{
    char room[8] = "xxxxxxx";
    size_t size = 0;
    assert_int_equal(info_string((struct answer){4, room, &size}, "abc"), CL_SUCCESS);
    assert_int_equal(size, 4);
    assert_string_equal(room, "abc");
    size = 77;
    assert_int_equal(info_string((struct answer){3, room, &size}, "def"), CL_INVALID_VALUE);
    assert_int_equal(size, 77);
    assert_string_equal(room, "abc");
    assert_int_equal(info_string((struct answer){0, NULL, &size}, NULL), CL_SUCCESS);
    assert_int_equal(size, 1);
    assert_int_equal(info_value(((struct answer){8, room, NULL}), (cl_uint)7), CL_SUCCESS);
    assert_int_equal(room[0], 7);
}

static void a_remembered_answer_stays(void **state)
{
    struct info_cache cache = {NULL};
    const struct info_entry *first = info_cache_add(&cache, 1, "one", 4);
    assert_ptr_equal(info_cache_add(&cache, 1, "two", 4), first);
    assert_string_equal(info_cache_find(&cache, 1)->bytes, "one");
    assert_null(info_cache_find(&cache, 2));
    assert_int_equal(info_cache_add(&cache, 2, NULL, 0)->size, 0);
    info_cache_finish(&cache);
    assert_null(info_cache_find(&cache, 1));
}

static bool known(const char *name)
{
    return extension_known(name, strlen(name));
}

static void extensions_are_found_by_their_whole_name(void **state)
{
    assert_true(known("cl_amd_c11_atomics")); /* the first of the list */
    assert_true(known("cl_khr_fp64"));
    assert_true(known("cl_intel_subgroups"));
    assert_true(known("cl_intel_subgroups_char"));
    assert_true(known("cl_qcom_vector_image_ops")); /* and the last */
    assert_true(extension_known("cl_khr_fp64 cl_khr_x", strlen("cl_khr_fp64")));
    assert_false(known("cl_khr_fp6"));
    assert_false(known("cl_khr_fp644"));
    assert_false(known(""));
}

static void extensions_with_functions_of_their_own_are_not_told(void **state)
{
    static const char *const hidden[] = {
        "cl_khr_terminate_context",    "cl_khr_semaphore",     "cl_khr_external_memory",
        "cl_khr_gl_sharing",           "cl_khr_egl_image",     "cl_intel_unified_shared_memory",
        "cl_arm_import_memory",        "cl_pocl_content_size", "cl_khr_terminate_context",
        "cl_ext_buffer_device_address"};
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        assert_false(known(hidden[i]));
}

static void filters_in_place(void **state)
{
    static const struct {
        const char *before, *after;
    } cases[] = {{"", ""},
                 {"   ", ""},
                 {"cl_khr_terminate_context", ""},
                 {"cl_khr_fp64", "cl_khr_fp64"},
                 {" cl_khr_fp64  cl_khr_terminate_context cl_khr_spir ", "cl_khr_fp64 cl_khr_spir"},
                 {"cl_khr_semaphore cl_khr_fp64   cl_khr_spir", "cl_khr_fp64   cl_khr_spir"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reply reply = {strdup(cases[i].before), strlen(cases[i].before) + 1};
        reply_filter_names(&reply, NULL);
        assert_string_equal(reply.bytes, cases[i].after);
        assert_int_equal(reply.size, strlen(cases[i].after) + 1);
        free(reply.bytes);
    }
}

/* 0.9.4 brought functions that we don't wrap. */
static void command_buffers_are_those_that_we_wrap(void **state)
{
    const cl_name_version driver[] = {{CL_MAKE_VERSION(0, 9, 4), "cl_khr_command_buffer"},
                                      {CL_MAKE_VERSION(1, 2, 3), "cl_khr_fp64"},
                                      {CL_MAKE_VERSION(0, 9, 0), "cl_khr_command_buffer"}};
    struct reply reply = {malloc(sizeof driver), sizeof driver};
    assert_non_null(reply.bytes);
    memcpy(reply.bytes, driver, sizeof driver);
    reply_filter_versions(&reply, NULL);
    const cl_name_version *told = reply.bytes;
    assert_int_equal(reply.size, sizeof driver);
    assert_int_equal(told[0].version, CL_MAKE_VERSION(0, 9, 3));
    assert_int_equal(told[1].version, driver[1].version);
    assert_int_equal(told[2].version, driver[2].version);
    free(reply.bytes);
}

static void the_platform_is_always_reached_through_a_loader(void **state)
{
    char text[128];
    cl_name_version names[4];
    size_t size = 0;
    const struct answer to = {sizeof text, text, NULL};
    assert_int_equal(platform_info(&platform, CL_PLATFORM_EXTENSIONS, to), CL_SUCCESS);
    assert_string_equal(text, "cl_khr_fp64  cl_khr_spir cl_khr_icd");
    assert_int_equal(platform_info(&platform, CL_PLATFORM_EXTENSIONS_WITH_VERSION,
                                   (struct answer){sizeof names, names, &size}),
                     CL_SUCCESS);
    assert_int_equal(size, 2 * sizeof *names);
    assert_string_equal(names[0].name, "cl_khr_fp64");
    assert_string_equal(names[1].name, "cl_khr_icd");
    set_up(state);
    says.extensions = "cl_khr_icd_x cl_khr_icd";
    assert_int_equal(platform_info(&platform, CL_PLATFORM_EXTENSIONS, to), CL_SUCCESS);
    assert_string_equal(text, "cl_khr_icd");
}

static void what_was_told_of_a_device_stays(void **state)
{
    cl_ulong memory = 0;
    const struct answer to = {sizeof memory, &memory, NULL};
    assert_false(device_info_known(&device, CL_DEVICE_GLOBAL_MEM_SIZE));
    assert_int_equal(device_info(&device, CL_DEVICE_GLOBAL_MEM_SIZE, to), CL_SUCCESS);
    assert_true(device_info_known(&device, CL_DEVICE_GLOBAL_MEM_SIZE));
    unsigned asked = says.asked;
    says.memory = 1;
    assert_int_equal(device_info(&device, CL_DEVICE_GLOBAL_MEM_SIZE, to), CL_SUCCESS);
    assert_int_equal(memory, 4096);
    assert_int_equal(says.asked, asked);
}

static void no_handle_of_the_driver_gets_out(void **state)
{
    cl_platform_id answer = NULL;
    const struct answer to = {sizeof answer, &answer, NULL};
    assert_int_equal(device_info(&device, CL_DEVICE_PLATFORM, to), CL_SUCCESS);
    assert_ptr_equal(answer, &platform);
    assert_int_equal(device_info(&device, 0xABCD, to), CL_SUCCESS);
    assert_ptr_equal(answer, &platform);
    assert_int_equal(device_info(&device, 0xABCE, to), CL_INVALID_VALUE);
}

static void types_select_devices(void **state)
{
    struct device *found[1] = {NULL};
    assert_int_equal(platform_select(&platform, CL_DEVICE_TYPE_ALL, found, 1), 1);
    assert_ptr_equal(found[0], &device);
    assert_int_equal(platform_select(&platform, CL_DEVICE_TYPE_GPU, NULL, 0), 1);
    assert_int_equal(platform_select(&platform, CL_DEVICE_TYPE_CPU, found, 1), 0);
    assert_int_equal(platform_select(&platform, CL_DEVICE_TYPE_DEFAULT, found, 1), 1);
    device.type = CL_DEVICE_TYPE_CUSTOM;
    device.is_default = false;
    assert_int_equal(platform_select(&platform, CL_DEVICE_TYPE_ALL, found, 1), 0);
    assert_int_equal(platform_select(&platform, CL_DEVICE_TYPE_CUSTOM, found, 1), 1);
    assert_int_equal(platform_select(&platform, CL_DEVICE_TYPE_DEFAULT, found, 1), 0);
}

/* Asks for everything that the driver has, as an application would. */
static void be_told(void)
{
    static const cl_device_info params[] = {CL_DEVICE_GLOBAL_MEM_SIZE, CL_DEVICE_SVM_CAPABILITIES,
                                            CL_DEVICE_MAX_WORK_ITEM_SIZES, CL_DEVICE_EXTENSIONS,
                                            CL_DEVICE_VERSION};
    for (size_t i = 0; i < sizeof params / sizeof *params; i++)
        assert_int_equal(device_info(&device, params[i], (struct answer){0}), CL_SUCCESS);
}

static void collect(const char *what, void *data)
{
    char *all = data;
    snprintf(all + strlen(all), 1024 - strlen(all), "%s\n", what);
}

static void compares_what_was_told(void **state)
{
    char all[1024] = "";
    cl_device_id other = (cl_device_id)&real_device;
    assert_int_equal(device_compare(&device, &driver, other, collect, all), 0);
    be_told();
    assert_int_equal(device_compare(&device, &driver, other, collect, all), 0);
    says.memory++;
    says.extensions = "cl_khr_spir cl_khr_fp16 cl_khr_fp64";
    assert_int_equal(device_compare(&device, &driver, other, collect, all), 0);
    assert_string_equal(all, "");

    says.memory = 10;
    says.svm = CL_DEVICE_SVM_ATOMICS;
    says.extensions = "cl_khr_spirit";
    says.version = "OpenCL 1.2 old";
    assert_int_equal(device_compare(&device, &driver, other, collect, all), 5);
    assert_string_equal(all, "global memory: 4096 told, 10 there\n"
                             "shared virtual memory: 0x1 told, 0x8 there\n"
                             "OpenCL version: `OpenCL 3.0 test` told, `OpenCL 1.2 old` there\n"
                             "extension: `cl_khr_fp64` told, not there\n"
                             "extension: `cl_khr_spir` told, not there\n");
}

static void compares_each_dimension(void **state)
{
    char all[1024] = "";
    memcpy(says.sizes, (size_t[]){64, 64, 64}, sizeof says.sizes);
    be_told();
    memcpy(says.sizes, (size_t[]){128, 64, 1}, sizeof says.sizes);
    assert_int_equal(device_compare(&device, &driver, (cl_device_id)&real_device, collect, all), 1);
    assert_string_equal(all, "work-item sizes: 64 told, 1 there, in dimension 2\n");
}

static void time_never_runs_backwards(void **state)
{
    struct timer timer = {0};
    const cl_ulong second = 1000000000;
    assert_int_equal(timer_told(&timer, 100 * second), 100 * second);
    assert_int_equal(timer_told(&timer, 101 * second), 101 * second);
    /* threads that overtake each other */
    assert_int_equal(timer_told(&timer, 101 * second - 5), 101 * second);
    assert_int_equal(timer_told(&timer, 101 * second + 5), 101 * second + 5);
    /* one of them by long: the clock does not run ahead for it */
    assert_int_equal(timer_told(&timer, 99 * second), 101 * second + 5);
    assert_int_equal(timer_told(&timer, 101 * second + 6), 101 * second + 6);
    /* another machine, just started */
    timer = (struct timer){.last = 101 * second + 5, .moved = true};
    assert_int_equal(timer_told(&timer, 3 * second), 101 * second + 5);
    assert_int_equal(timer_told(&timer, 4 * second), 102 * second + 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_only_what_fits),
        cmocka_unit_test(a_remembered_answer_stays),
        cmocka_unit_test(extensions_are_found_by_their_whole_name),
        cmocka_unit_test(extensions_with_functions_of_their_own_are_not_told),
        cmocka_unit_test(filters_in_place),
        cmocka_unit_test(command_buffers_are_those_that_we_wrap),
        cmocka_unit_test_setup(the_platform_is_always_reached_through_a_loader, set_up),
        cmocka_unit_test_setup(what_was_told_of_a_device_stays, set_up),
        cmocka_unit_test_setup(no_handle_of_the_driver_gets_out, set_up),
        cmocka_unit_test_setup(types_select_devices, set_up),
        cmocka_unit_test_setup(compares_what_was_told, set_up),
        cmocka_unit_test_setup(compares_each_dimension, set_up),
        cmocka_unit_test(time_never_runs_backwards),
    };
    return cmocka_run_group_tests_name("info", tests, NULL, NULL);
}
