/* SPDX-License-Identifier: Apache-2.0 */
/* Which files count as device nodes, by the names that /proc has for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shim/node_names.h"

static const char *const usual[] = {
    "/dev/nvidia0",
    "/dev/nvidiactl",
    "/dev/nvidia-caps/nvidia-cap1",
    "/dev/dri/card0",
    "/dev/dri/renderD128",
    "/dev/kfd",
    "/dev/mali0",
    "/dev/accel/accel0",
    "/sys/bus/pci/devices/0000:00:05.0/resource0",
    "/sys/devices/pci0000:00/0000:00:05.0/resource2_wc",
    "/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/resource0",
    /* Device tree, ACPI on Arm, Hyper-V. */
    "/sys/devices/platform/40000000.pcie/pci0000:00/0000:00:01.0/resource2",
    "/sys/devices/LNXSYSTM:00/ACPI0004:00/VMBUS:00/47505500-0001/pci0001:00/0001:00:00.0/resource0",
};

static const char *const none[] = {
    "/dev/null",
    "/dev/shm/x",
    "/dev/shm/dri/card0",
    "/dev/accelerate",
    "/dev/accel",
    "/sys/devices/system/cpu/online",
    "/sys/devices/pci0000:00/0000:00:05.0/config",
    "/sys/devices/platform/40000000.pcie/pci0000:00/0000:00:01.0/config",
    "/sys/devices/platform/soc/resource0",
    "/home/me/dev/dri/card0",
    "/home/sys/devices/pci0000:00/0000:00:05.0/resource0",
    "socket:[4711]",
    "anon_inode:[eventpoll]",
    "",
};

static void test_usual(void **state)
{
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (!node_name_matches(usual[i], NULL))
            fail_msg("`%s` is no node", usual[i]);
}

static void test_none(void **state)
{
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        if (node_name_matches(none[i], NULL) || node_name_matches(none[i], "/dev/node*"))
            fail_msg("`%s` is a node", none[i]);
}

static void test_deleted(void **state)
{
    assert_true(node_name_matches("/dev/dri/card0 (deleted)", NULL));
    assert_true(node_name_matches("/tmp/node0 (deleted)", "/tmp/node0"));
    assert_false(node_name_matches("/dev/null (deleted)", NULL));
}

static void test_own_patterns(void **state)
{
    assert_true(node_name_matches("/tmp/node0", "/tmp/node?"));
    assert_true(node_name_matches("/tmp/node0", "/nothing::/tmp/node*"));
    assert_true(node_name_matches("/dev/null", "/dev/null"));
    assert_false(node_name_matches("/tmp/other", "/nothing:/tmp/node*"));
    assert_false(node_name_matches("/tmp/node0", ""));
    assert_false(node_name_matches("tmp/node0", "tmp/*"));
}

/* What a driver has opened of a sort tells of the others of that sort, and of no other. */
static void test_sorts(void **state)
{
    static const char more[] = "/tmp/a*:/tmp/b*";
    const char *const of_sorts[] = {
        "/dev/nvidia1",
        "/dev/dri/card1",
        "/dev/kfd",
        "/dev/mali1",
        "/dev/accel/accel1",
        "/sys/bus/pci/devices/0000:00:05.0/resource0",
        "/sys/devices/platform/40000000.pcie/pci0000:00/0000:00:01.0/resource2",
        "/tmp/a1",
        "/tmp/b1",
    };
    enum { COUNT = sizeof of_sorts / sizeof *of_sorts };
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(node_name_sort(of_sorts[i], more),
                                 node_name_sort(of_sorts[j], more));
    assert_int_equal(node_name_sort("/dev/nvidiactl", more), node_name_sort("/dev/nvidia1", more));
    assert_int_equal(node_name_sort("/tmp/b2", more), node_name_sort("/tmp/b1", more));
    /* One that is usual stays of its sort, whatever the patterns say. */
    assert_int_equal(node_name_sort("/dev/kfd", "/dev/*"), node_name_sort("/dev/kfd", NULL));
    assert_int_equal(node_name_sort("/tmp/c", more), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usual),   cmocka_unit_test(test_none),
        cmocka_unit_test(test_deleted), cmocka_unit_test(test_own_patterns),
        cmocka_unit_test(test_sorts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
