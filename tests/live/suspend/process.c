/* SPDX-License-Identifier: Apache-2.0 */
/* fork before and after the first call, with and without exec; exit with live objects; a suspend
 * before any call has been made; signals that are waited for. */
#include "live.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int wait_for(pid_t child)
{
    int status = -1;
    for (int i = 0; i < 1000 && waitpid(child, &status, WNOHANG) == 0; i++)
        live_sleep(10);
    return status;
}

/* Not cmocka's asserts: this runs in children. */
static int compute(void)
{
    cl_platform_id platform;
    cl_device_id device;
    cl_int err;
    unsigned char bytes[64], back[64];
    live_pattern(bytes, 64, 1);
    if (clGetPlatformIDs(1, &platform, NULL) ||
        clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL))
        return 2;
    cl_context context = clCreateContext(NULL, 1, &device, NULL, NULL, &err);
    cl_command_queue queue = clCreateCommandQueue(context, device, 0, &err);
    cl_mem mem = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, 64, bytes, &err);
    if (err || clEnqueueReadBuffer(queue, mem, CL_TRUE, 0, 64, back, 0, NULL, NULL))
        return 3;
    return memcmp(bytes, back, 64) ? 4 : 0; /* everything stays alive */
}

static void test_child_forked_before_the_first_call(void **state)
{
    pid_t child = fork();
    if (child == 0)
        _exit(compute());
    assert_int_equal(wait_for(child), 0);
}

static void test_exit_with_live_objects(void **state)
{
    char *arguments[] = {"/proc/self/exe", "compute", NULL};
    pid_t child = fork();
    if (child == 0) {
        execv(arguments[0], arguments);
        _exit(9);
    }
    assert_int_equal(wait_for(child), 0);
}

static void test_forks_after_the_first_call(void **state)
{
    unsigned char bytes[256];
    live_pattern(bytes, 256, 2);
    live_setup(state);
    cl_mem mem = live_buffer(256, bytes);
    test_exit_with_live_objects(state); /* with exec */
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    assert_int_equal(wait_for(child), 0);
    live_cycle();
    live_expect(mem, 0, bytes, 256);
    live_suspend();
    child = fork(); /* while suspended */
    if (child == 0)
        _exit(0);
    assert_int_equal(wait_for(child), 0);
    test_exit_with_live_objects(state);
    live_resume();
    live_expect(mem, 0, bytes, 256);
    ok(clReleaseMemObject(mem));
    live_teardown(state);
}

static void *first_calls(void *answer)
{
    *(int *)answer = compute();
    return NULL;
}

/* Before the first call there is nobody to talk to; from its beginning on there is. */
static void test_suspend_while_the_first_call_runs(void **state)
{
    pthread_t thread;
    int answer = -1;
    bool done = false;
    assert_int_equal(pthread_create(&thread, NULL, first_calls, &answer), 0);
    for (int i = 0; i < 200 && !done; i++)
        done = live_try_suspend();
    assert_true(done);
    live_resume();
    pthread_join(thread, NULL);
    assert_int_equal(answer, 0);
    live_cycle();
}

#define WAITED_FOR (SIGRTMAX - 2) /* the one that we would take first */

static atomic_bool enough;

/* As a program with timers or signalfd: one for the process, which only sigtimedwait takes. */
static void *signal_ourselves(void *set)
{
    const struct timespec at_once = {0};
    while (!atomic_load(&enough)) {
        kill(getpid(), WAITED_FOR);
        sigtimedwait(set, NULL, &at_once);
    }
    return NULL;
}

/* A thread that lets it in, of ours or of a driver's that we start, would end the program. */
static void test_signals_that_the_program_waits_for_stay_blocked(void **state)
{
    pthread_t thread;
    sigset_t set;
    unsigned char bytes[256];
    sigemptyset(&set);
    sigaddset(&set, WAITED_FOR);
    live_setup(state);
    live_pattern(bytes, 256, 3);
    cl_mem mem = live_buffer(256, bytes);
    assert_int_equal(pthread_create(&thread, NULL, signal_ourselves, &set), 0);
    for (int i = 0; i < 3; i++)
        live_cycle();
    atomic_store(&enough, true);
    pthread_join(thread, NULL);
    live_expect(mem, 0, bytes, 256);
    ok(clReleaseMemObject(mem));
    live_teardown(state);
}

/* Before any other thread is there: what is not blocked everywhere ends the program anyway. */
static void block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, WAITED_FOR);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_child_forked_before_the_first_call),
        cmocka_unit_test(test_exit_with_live_objects),
        cmocka_unit_test(test_suspend_while_the_first_call_runs),
        cmocka_unit_test(test_forks_after_the_first_call),
        cmocka_unit_test(test_signals_that_the_program_waits_for_stay_blocked),
    };
    block_signals();
    if (argc > 1)
        return compute();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
