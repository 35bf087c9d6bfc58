/* SPDX-License-Identifier: Apache-2.0 */
/* What /proc tells of another process: its environment, and when that can't be told; and in which
 * folders it may make files. */
#include "agent/process.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

enum { USER = 65534, GROUP = 4711, OTHER = 4712 };

/* Makes a file in the folder as that user, tells whether it could, and waits. */
static pid_t start_maker(uid_t user, const char *folder, int told)
{
    static const gid_t groups[] = {GROUP - 1, GROUP};
    char path[PATH_MAX];
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    snprintf(path, sizeof path, "%s/file", folder);
    if (user && (setgroups(2, groups) < 0 || setresgid(user, user, user) < 0 ||
                 setresuid(user, user, user) < 0))
        _exit(1);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    bool could = fd >= 0 && unlink(path) == 0;
    if (write(told, &could, sizeof could) != sizeof could)
        _exit(1);
    for (;;)
        pause();
}

static bool could_write(uid_t user, const char *folder, bool *told)
{
    int ends[2];
    bool could;
    struct stat status;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = start_maker(user, folder, ends[1]);
    assert_int_equal(read(ends[0], &could, sizeof could), sizeof could);
    assert_int_equal(stat(folder, &status), 0);
    *told = process_may_write(pid, &status);
    end(pid);
    close(ends[0]);
    close(ends[1]);
    return could;
}

static void test_who_may_write_in_a_folder(void **state)
{
    static const struct {
        uid_t owner;
        gid_t group;
        mode_t mode;
        bool may;
    } folders[] = {
        {USER, OTHER, 0700, true}, {USER, OTHER, 0577, false}, {USER, OTHER, 0600, false},
        {0, GROUP, 0070, true},    {0, GROUP, 0757, false},    {0, USER, 0730, true},
        {0, OTHER, 0770, false},   {0, OTHER, 01777, true},    {0, OTHER, 0755, false}};
    char top[] = "/tmp/shadowcl-process-XXXXXX", folder[PATH_MAX];
    bool told;
    if (geteuid() != 0)
        skip();
    assert_non_null(mkdtemp(top));
    assert_int_equal(chmod(top, 0755), 0);
    snprintf(folder, sizeof folder, "%s/folder", top);
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        assert_int_equal(mkdir(folder, 0700), 0);
        assert_int_equal(chown(folder, folders[i].owner, folders[i].group), 0);
        assert_int_equal(chmod(folder, folders[i].mode), 0);
        assert_int_equal(could_write(USER, folder, &told), folders[i].may);
        assert_int_equal(told, folders[i].may);
        assert_true(could_write(0, folder, &told));
        assert_true(told);
        assert_int_equal(rmdir(folder), 0);
    }
    assert_int_equal(rmdir(top), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_variable_there_or_not),
                                       cmocka_unit_test(test_who_may_write_in_a_folder),
                                       cmocka_unit_test(test_no_environment_at_all),
                                       cmocka_unit_test(test_variable_that_cant_be_told)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
