/* SPDX-License-Identifier: Apache-2.0 */
/* A driver's list of devices, between whose two calls a device may come or go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "state/device.h"

#define MOST 3

static cl_device_id const devices[MOST] = {(cl_device_id)0x10, (cl_device_id)0x20,
                                           (cl_device_id)0x30};
static cl_uint told, given; /* by the call that asks how many there are, and by the other */

static cl_int CL_API_CALL list(cl_platform_id platform, cl_device_type type, cl_uint num_entries,
                               cl_device_id *ids, cl_uint *num_ids)
{
    cl_uint count = ids ? given : told;
    for (cl_uint i = 0; ids && i < count && i < num_entries && i < MOST; i++)
        ids[i] = devices[i];
    if (num_ids)
        *num_ids = count;
    return type == CL_DEVICE_TYPE_ALL && count ? CL_SUCCESS : CL_DEVICE_NOT_FOUND;
}

static const struct driver driver = {.clGetDeviceIDs = list};

static void expect_listed(cl_uint first, cl_uint second, cl_uint wanted)
{
    cl_device_id *ids;
    cl_uint count;
    told = first;
    given = second;
    assert_int_equal(platform_list(&driver, &ids, &count), CL_SUCCESS);
    assert_int_equal(count, wanted);
    for (cl_uint i = 0; i < count && i < MOST; i++)
        assert_ptr_equal(ids[i], devices[i]);
    free(ids);
}

static void test_list_of_devices_that_come_and_go(void **state)
{
    expect_listed(3, 3, 3);
    expect_listed(3, 1, 1);
    expect_listed(3, 0, 0);
    expect_listed(2, 3, 2); /* there was no room for more */
    expect_listed(0, 3, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list_of_devices_that_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
