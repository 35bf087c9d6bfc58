/* SPDX-License-Identifier: Apache-2.0 */
/* What another device lacks of command buffers, which no two drivers here differ in: a driver that
 * says what it is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "shim/compatible.h"
#include "state/command_buffer.h"

static cl_device_command_buffer_capabilities_khr can;
static cl_command_queue_properties needs;
static bool has_functions;

static cl_int put(const void *bytes, size_t size, size_t room, void *value, size_t *size_ret)
{
    if (value && room < size)
        return CL_INVALID_VALUE;
    if (value)
        memcpy(value, bytes, size);
    if (size_ret)
        *size_ret = size;
    return CL_SUCCESS;
}

static cl_int CL_API_CALL device_answers(cl_device_id device, cl_device_info param, size_t room,
                                         void *value, size_t *size_ret)
{
    static const cl_ulong enough = UINT64_C(1) << 30;
    static const cl_name_version extension = {CL_MAKE_VERSION(0, 9, 4),
                                              CL_KHR_COMMAND_BUFFER_EXTENSION_NAME};
    switch (param) {
    case CL_DEVICE_EXTENSIONS_WITH_VERSION:
        return put(&extension, sizeof extension, room, value, size_ret);
    case CL_DEVICE_COMMAND_BUFFER_CAPABILITIES_KHR:
        return put(&can, sizeof can, room, value, size_ret);
    case CL_DEVICE_COMMAND_BUFFER_REQUIRED_QUEUE_PROPERTIES_KHR:
        return put(&needs, sizeof needs, room, value, size_ret);
    case CL_DEVICE_GLOBAL_MEM_SIZE:
    case CL_DEVICE_MAX_MEM_ALLOC_SIZE:
    case CL_DEVICE_MAX_WORK_GROUP_SIZE:
        return put(&enough, sizeof enough, room, value, size_ret);
    default:
        return room >= sizeof(cl_uint) || !value
                   ? put(&(cl_uint){0}, sizeof(cl_uint), room, value, size_ret)
                   : CL_INVALID_VALUE;
    }
}

static cl_int CL_API_CALL one_device(cl_platform_id platform, cl_device_type type, cl_uint room,
                                     cl_device_id *devices, cl_uint *count)
{
    if (type == CL_DEVICE_TYPE_CUSTOM)
        return CL_DEVICE_NOT_FOUND;
    if (devices && room)
        devices[0] = (cl_device_id)0x10;
    if (count)
        *count = 1;
    return CL_SUCCESS;
}

static void do_nothing(void)
{
}

static void *CL_API_CALL find_function(cl_platform_id platform, const char *name)
{
    return has_functions ? (void *)do_nothing : NULL;
}

static const struct driver driver = {
    .clGetDeviceInfo = device_answers,
    .clGetDeviceIDs = one_device,
    .clGetExtensionFunctionAddressForPlatform = find_function,
    .version = 300,
};

/* What is said of a command buffer on a queue with these flags; "": it can be made there. */
static const char *said(bool simultaneous, cl_command_queue_properties flags)
{
    static struct error err;
    struct platform platform = {.object.driver = &driver};
    struct device from = {.name = "here"}, to = {.name = "there", .platform = &platform};
    struct queue queue = {.device = &from, .flags = flags};
    cl_command_buffer_properties_khr properties[] = {CL_COMMAND_BUFFER_FLAGS_KHR,
                                                     CL_COMMAND_BUFFER_SIMULTANEOUS_USE_KHR, 0};
    struct command_buffer buffer = {
        .queue = &queue, .properties = properties, .num_properties = simultaneous ? 3 : 0};
    struct object *objects[] = {&buffer.object};
    struct report report = {0};
    buffer.object.was = KIND_COMMAND_BUFFER;
    buffer.object.serial = 9;
    err = (struct error){0};
    int result =
        compatible(&from, &to, (cl_device_id)0x10, true, false, objects, 1, &report, NULL, &err);
    report_finish(&report);
    assert_int_equal(result, *err.reason ? -1 : 0);
    if (result != 0)
        assert_string_equal(err.object, "command buffer 9");
    return err.reason;
}

static void test_device_without_command_buffers(void **state)
{
    has_functions = false;
    assert_string_equal(said(false, 0), "the device has no cl_khr_command_buffer");
    has_functions = true;
    assert_string_equal(said(false, 0), "");
}

static void test_use_more_than_once_at_a_time(void **state)
{
    has_functions = true;
    can = 0;
    assert_string_equal(said(false, 0), "");
    assert_string_equal(said(true, 0),
                        "it may be in use twice at a time, which the device does not have");
    can = CL_COMMAND_BUFFER_CAPABILITY_SIMULTANEOUS_USE_KHR;
    assert_string_equal(said(true, 0), "");
}

static void test_sorts_of_queues(void **state)
{
    has_functions = true;
    needs = CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE;
    assert_string_equal(said(false, 0),
                        "the device has command buffers for other sorts of queues only");
    assert_string_equal(said(false, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE), "");
    needs = 0;
    assert_string_equal(said(false, 0), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_device_without_command_buffers),
        cmocka_unit_test(test_use_more_than_once_at_a_time),
        cmocka_unit_test(test_sorts_of_queues),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
