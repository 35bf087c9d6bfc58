/* SPDX-License-Identifier: Apache-2.0 */
/* The build-id of a file that somebody may have put in the place of a library. */
#include "agent/build_id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* By the linker's option --build-id=0x... of this program. */
static void test_own(void **unused)
{
    char id[BUILD_ID_TEXT] = "";
    assert_true(build_id_read("/proc/self/exe", id));
    assert_string_equal(id, "0123456789abcdef");
}

static void test_no_elf(void **unused)
{
    char id[BUILD_ID_TEXT] = "";
    assert_false(build_id_read("/etc/passwd", id));
    assert_false(build_id_read("/nonexistent", id));
    assert_false(build_id_read("/dev/zero", id));
    assert_false(build_id_read("/", id));
}

/* Nobody writes to it: whoever waits for that never comes back. */
static void test_named_pipe(void **unused)
{
    char folder[] = "/tmp/shadowcl-build-id-XXXXXX", path[64], id[BUILD_ID_TEXT];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/libx.so", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    alarm(20);
    assert_false(build_id_read(path, id));
    alarm(0);
    unlink(path);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_own), cmocka_unit_test(test_no_elf),
                                       cmocka_unit_test(test_named_pipe)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
