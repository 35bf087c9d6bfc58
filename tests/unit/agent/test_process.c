/* SPDX-License-Identifier: Apache-2.0 */
/* What /proc tells of another process: its environment, and when that can't be told. */
#include "agent/process.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char too_long[2 * PATH_MAX];

/* One with this environment, which waits; it has it once the pipe is closed by its start. */
static pid_t start(char *const environment[])
{
    char unused;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        execle("/bin/sleep", "sleep", "60", NULL, environment);
        _exit(1);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &unused, 1), 0);
    close(ends[0]);
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_variable_there_or_not(void **state)
{
    char value[PATH_MAX];
    char *const environment[] = {"ONE=1", "EMPTY=", "ONES=2", NULL};
    pid_t pid = start(environment);
    assert_int_equal(process_variable(pid, "ONE", value, sizeof value), 1);
    assert_string_equal(value, "1");
    assert_int_equal(process_variable(pid, "EMPTY", value, sizeof value), 1);
    assert_string_equal(value, "");
    assert_int_equal(process_variable(pid, "ON", value, sizeof value), 0);
    assert_string_equal(value, "");
    end(pid);
}

static void test_no_environment_at_all(void **state)
{
    char value[PATH_MAX];
    char *const environment[] = {NULL};
    pid_t pid = start(environment);
    assert_int_equal(process_variable(pid, "ONE", value, sizeof value), 0);
    end(pid);
}

/* It is not said to have none. */
static void test_variable_that_cant_be_told(void **state)
{
    char value[PATH_MAX] = "before";
    char *const environment[] = {too_long, NULL}; /* xxx=… */
    memset(too_long, 'x', sizeof too_long - 1);
    too_long[3] = '=';
    pid_t pid = start(environment);
    assert_int_equal(process_variable(pid, "xxx", value, sizeof value), -1);
    assert_string_equal(value, "");
    end(pid);
    assert_int_equal(process_variable(pid, "xxx", value, sizeof value), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_variable_there_or_not),
                                       cmocka_unit_test(test_no_environment_at_all),
                                       cmocka_unit_test(test_variable_that_cant_be_told)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
