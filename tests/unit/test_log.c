/* SPDX-License-Identifier: Apache-2.0 */
/* The log's file in a program that closes what it does not know. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/log.h"

static char folder[] = "/tmp/shadowcl-log-XXXXXX";
static char log_path[64], data_path[64];

static int set_up(void **state)
{
    char setting[128];
    assert_non_null(mkdtemp(folder));
    snprintf(log_path, sizeof log_path, "%s/log", folder);
    snprintf(data_path, sizeof data_path, "%s/data", folder);
    snprintf(setting, sizeof setting, "info:%s", log_path);
    setenv("SHADOWCL_LOG", setting, 1);
    log_init();
    return 0;
}

static int tear_down(void **state)
{
    unlink(log_path);
    unlink(data_path);
    return rmdir(folder);
}

static int number_of(const char *path)
{
    struct stat wanted, found;
    assert_int_equal(stat(path, &wanted), 0);
    for (int fd = 3; fd < 256; fd++)
        if (fstat(fd, &found) == 0 && found.st_ino == wanted.st_ino &&
            found.st_dev == wanted.st_dev)
            return fd;
    return -1;
}

static void expect_lines(const char *path, const char *first, const char *second)
{
    char text[4096] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_true(read(fd, text, sizeof text - 1) >= 0);
    close(fd);
    const char *at = strstr(text, first);
    if (!at || !strstr(at, second))
        fail_msg("`%s` and then `%s` are not in: %s", first, second, text);
}

static void expect_nothing_in(int fd)
{
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(status.st_size, 0);
}

static void test_number_that_became_the_programs(void **state)
{
    log_info("before");
    int number = number_of(log_path);
    assert_true(number > 2);
    close(number);
    int data = open(data_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(data, number);
    log_info("after");
    expect_nothing_in(data);
    expect_lines(log_path, "before", "after");
    close(number_of(log_path));
    log_pause();
    expect_nothing_in(data);
    /* And the one that the log has had since. */
    log_info("again");
    number = number_of(log_path);
    close(number);
    assert_int_equal(dup2(data, number), number);
    log_pause();
    expect_nothing_in(number);
    log_info("at last");
    expect_nothing_in(data);
    expect_lines(log_path, "again", "at last");
    close(number);
    close(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_number_that_became_the_programs),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
