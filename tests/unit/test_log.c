/* SPDX-License-Identifier: Apache-2.0 */
/* The log's file in a program that closes what it does not know; and the log of a forked child. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
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
    setenv("TZ", "XXX-5:45", 1); /* no whole hours */
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

static atomic_bool stop;

static void *ask_the_time(void *unused)
{
    while (!atomic_load(&stop)) {
        time_t now = time(NULL);
        struct tm local;
        localtime_r(&now, &local);
    }
    return NULL;
}

/* The C library's lock of the time zone, which another thread had at the fork, stays locked in the
 * child. */
static void test_child_logs_though_another_thread_asked_the_time(void **state)
{
    pthread_t thread;
    int bad = 0;
    assert_int_equal(pthread_create(&thread, NULL, ask_the_time, NULL), 0);
    for (int i = 0; i < 100 && !bad; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(5);
            log_info("in a child");
            _exit(0);
        }
        assert_int_equal(waitpid(child, &bad, 0), child);
    }
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    assert_int_equal(bad, 0);
}

static void test_time_is_the_local_one(void **state)
{
    char before[16], after[16], text[4096] = "";
    struct tm local;
    time_t now = time(NULL);
    strftime(before, sizeof before, "%H:%M:%S", localtime_r(&now, &local));
    log_info("what time it is");
    now = time(NULL);
    strftime(after, sizeof after, "%H:%M:%S", localtime_r(&now, &local));
    int fd = open(log_path, O_RDONLY | O_CLOEXEC);
    assert_true(read(fd, text, sizeof text - 1) > 0);
    close(fd);
    char *line = strstr(text, ": what time it is");
    assert_non_null(line);
    *line = 0;
    line = strrchr(text, '\n') ? strrchr(text, '\n') + 1 : text;
    if (!strstr(line, before) && !strstr(line, after))
        fail_msg("`%s` is neither of %s nor of %s", line, before, after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_number_that_became_the_programs),
        cmocka_unit_test(test_time_is_the_local_one),
        cmocka_unit_test(test_child_logs_though_another_thread_asked_the_time),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
