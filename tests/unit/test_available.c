/* SPDX-License-Identifier: Apache-2.0 */
/* How much memory may be used, by files as the kernel has them, in folders of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "state/available.h"

static char root[] = "/tmp/test_available-XXXXXX";

/* A file below the root, with all folders on its way. */
static void put(const char *path, const char *text)
{
    char full[512];
    snprintf(full, sizeof full, "%s%s", root, path);
    for (char *slash = strchr(full + strlen(root) + 1, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(full, 0700);
        *slash = '/';
    }
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int setup(void **state)
{
    strcpy(root + strlen(root) - 6, "XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int teardown(void **state)
{
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", root);
    return system(command);
}

static void test_machine(void **state)
{
    assert_true(available_memory(root) == UINT64_MAX);
    put("/proc/meminfo", "MemTotal:       24000000 kB\nMemAvailable:    1000 kB\n");
    assert_int_equal(available_memory(root), 1024000);
    assert_true(available_memory("") > 0 && available_memory("") != UINT64_MAX);
}

static void test_without_a_limit(void **state)
{
    assert_true(available_in_cgroup(root) == UINT64_MAX);
    put("/proc/self/cgroup", "0::/a/b\n");
    put("/sys/fs/cgroup/a/b/memory.max", "max\n");
    put("/sys/fs/cgroup/a/b/memory.current", "5000\n");
    assert_true(available_in_cgroup(root) == UINT64_MAX);
}

static void test_least_of_all_above(void **state)
{
    put("/proc/self/cgroup", "0::/a/b\n");
    put("/sys/fs/cgroup/a/b/memory.max", "100000\n");
    put("/sys/fs/cgroup/a/b/memory.current", "10000\n");
    put("/sys/fs/cgroup/a/memory.max", "90000\n");
    put("/sys/fs/cgroup/a/memory.current", "20000\n");
    assert_int_equal(available_in_cgroup(root), 70000);
}

/* A group that does input and output stands at its limit all the time. */
static void test_page_cache_is_free(void **state)
{
    put("/proc/self/cgroup", "0::/a\n");
    put("/sys/fs/cgroup/a/memory.max", "100000\n");
    put("/sys/fs/cgroup/a/memory.current", "99000\n");
    put("/sys/fs/cgroup/a/memory.stat", "anon 1000\ninactive_anon 9\ninactive_file 60000\n");
    assert_int_equal(available_in_cgroup(root), 61000);
    put("/sys/fs/cgroup/a/memory.current", "120000\n");
    put("/sys/fs/cgroup/a/memory.stat", "inactive_file 10000\n");
    assert_int_equal(available_in_cgroup(root), 0);
}

static void test_version_1(void **state)
{
    put("/proc/self/cgroup",
        "5:cpuset,memorylike:/x\n4:cpu,memory:/job\n1:name=systemd:/y\n0::/\n");
    put("/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "50000\n");
    put("/sys/fs/cgroup/memory/job/memory.usage_in_bytes", "30000\n");
    put("/sys/fs/cgroup/memory/job/memory.stat", "cache 9\ntotal_inactive_file 5000\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    assert_int_equal(available_in_cgroup(root), 25000);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_machine),
        CASE(test_without_a_limit),
        CASE(test_least_of_all_above),
        CASE(test_page_cache_is_free),
        CASE(test_version_1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
