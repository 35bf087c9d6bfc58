/* SPDX-License-Identifier: Apache-2.0 */
/* cl_ext_device_fission through a suspend: the parts, their parts' answers and reference counts. Of
 * the drivers at hand only the test driver has it. */
#include "live.h"

#include <CL/cl_ext.h>
#include <string.h>

#define SIZE 4096

static clCreateSubDevicesEXT_fn create;
static clRetainDeviceEXT_fn retain;
static clReleaseDeviceEXT_fn give_back;

static void find_functions(void)
{
    create = (clCreateSubDevicesEXT_fn)clGetExtensionFunctionAddressForPlatform(
        live.platform, "clCreateSubDevicesEXT");
    retain = (clRetainDeviceEXT_fn)clGetExtensionFunctionAddressForPlatform(live.platform,
                                                                            "clRetainDeviceEXT");
    give_back = (clReleaseDeviceEXT_fn)clGetExtensionFunctionAddressForPlatform(
        live.platform, "clReleaseDeviceEXT");
    live_need(create && retain && give_back);
}

static cl_uint count_of(cl_device_id device)
{
    cl_uint count = 0;
    ok(clGetDeviceInfo(device, CL_DEVICE_REFERENCE_COUNT_EXT, sizeof count, &count, NULL));
    return count;
}

static void parts_come_back(const cl_device_partition_property_ext *properties)
{
    static const cl_uint params[] = {CL_DEVICE_PARENT_DEVICE_EXT, CL_DEVICE_PARTITION_STYLE_EXT,
                                     CL_DEVICE_REFERENCE_COUNT_EXT, CL_DEVICE_MAX_COMPUTE_UNITS};
    cl_device_id parts[64];
    cl_uint count = 0;
    cl_int err;
    unsigned char told[2][512], bytes[SIZE], back[SIZE];
    ok(create(live.device, properties, 64, parts, &count));
    assert_true(count >= 1);
    ok(retain(parts[0]));
    assert_int_equal(count_of(parts[0]), 2);
    cl_context context = clCreateContext(NULL, 1, &parts[0], NULL, NULL, &err);
    made(context);
    cl_command_queue queue = clCreateCommandQueue(context, parts[0], 0, &err);
    made(queue);
    live_pattern(bytes, SIZE, 1);
    cl_mem mem = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, SIZE, bytes, &err);
    made(mem);
    size_t size = live_ask(clGetDeviceInfo, parts[0], params, told[0]);
    for (int round = 0; round < 2; round++) {
        live_cycle();
        assert_int_equal(live_ask(clGetDeviceInfo, parts[0], params, told[1]), size);
        assert_memory_equal(told[0], told[1], size);
        ok(clEnqueueReadBuffer(queue, mem, CL_TRUE, 0, SIZE, back, 0, NULL, NULL));
        assert_memory_equal(bytes, back, SIZE);
    }
    for (cl_uint i = 0; i < count; i++)
        ok(give_back(parts[i]));
    assert_int_equal(count_of(parts[0]), 1);
    ok(give_back(parts[0])); /* its context keeps it */
    live_cycle();
    ok(clEnqueueReadBuffer(queue, mem, CL_TRUE, 0, SIZE, back, 0, NULL, NULL));
    assert_memory_equal(bytes, back, SIZE);
    ok(clReleaseMemObject(mem));
    ok(clReleaseCommandQueue(queue));
    ok(clReleaseContext(context));
    live_cycle();
    assert_int_equal(retain(parts[0]), CL_INVALID_DEVICE);
}

static void test_equal_parts(void **state)
{
    const cl_device_partition_property_ext properties[] = {CL_DEVICE_PARTITION_EQUALLY_EXT, 1,
                                                           CL_PROPERTIES_LIST_END_EXT};
    find_functions();
    parts_come_back(properties);
}

static void test_parts_by_counts(void **state)
{
    const cl_device_partition_property_ext properties[] = {CL_DEVICE_PARTITION_BY_COUNTS_EXT, 1, 1,
                                                           CL_PARTITION_BY_COUNTS_LIST_END_EXT,
                                                           CL_PROPERTIES_LIST_END_EXT};
    find_functions();
    parts_come_back(properties);
}

static void test_wrong_calls(void **state)
{
    const cl_device_partition_property_ext properties[] = {CL_DEVICE_PARTITION_EQUALLY_EXT, 1,
                                                           CL_PROPERTIES_LIST_END_EXT};
    cl_device_id part;
    cl_uint count;
    find_functions();
    assert_int_equal(create((cl_device_id)live.queue, properties, 1, &part, &count),
                     CL_INVALID_DEVICE);
    assert_int_equal(create(live.device, NULL, 1, &part, &count), CL_INVALID_VALUE);
    assert_int_equal(create(live.device, properties, 0, &part, NULL), CL_INVALID_VALUE);
    assert_int_equal(retain((cl_device_id)live.queue), CL_INVALID_DEVICE);
    assert_int_equal(give_back(NULL), CL_INVALID_DEVICE);
    ok(give_back(live.device)); /* a root device is not counted */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_parts),
        cmocka_unit_test(test_parts_by_counts),
        cmocka_unit_test(test_wrong_calls),
    };
    return cmocka_run_group_tests(tests, live_setup, live_teardown);
}
