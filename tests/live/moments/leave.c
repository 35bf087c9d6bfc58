/* SPDX-License-Identifier: Apache-2.0 */
/* The program's end at awkward moments: it ends with its exit code, soon, and leaves no socket. */
#include "work.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define WORDS 1024

static struct work work;
static bool use_in_destructor;
static _Atomic int calls;
static pthread_t busy;
static _Atomic bool enough;

static void put_in_flight(void)
{
    cl_kernel kernel = work_kernel(&work);
    cl_mem buffer = work_buffer(&work, WORDS);
    work_enqueue(work.queue, kernel, buffer, WORDS, 0, 200);
    ok(clFlush(work.queue));
}

static int run_in_flight(void)
{
    work_start(&work);
    put_in_flight();
    return 40;
}

static void CL_CALLBACK leave_from_callback(cl_event event, cl_int status, void *data)
{
    exit(41);
}

static int run_callback(void)
{
    cl_event event;
    work_start(&work);
    put_in_flight();
    ok(clEnqueueMarkerWithWaitList(work.queue, 0, NULL, &event));
    ok(clSetEventCallback(event, CL_COMPLETE, leave_from_callback, NULL));
    ok(clFinish(work.queue));
    for (;;)
        sleep_ms(1000);
}

static int run_at_once(void)
{
    work_start(&work);
    put_in_flight();
    _exit(42);
}

static int run_quick(void)
{
    work_start(&work);
    put_in_flight();
    quick_exit(43);
}

/* Waits for an event that nobody sets. */
static void *wait_forever(void *unused)
{
    cl_int err;
    cl_event never = clCreateUserEvent(work.context, &err);
    ok(err);
    ok(clEnqueueMarkerWithWaitList(work.queue, 1, &never, NULL));
    ok(clFlush(work.queue));
    atomic_fetch_add(&calls, 1);
    ok(clFinish(work.queue));
    return NULL;
}

static int run_waiting(void)
{
    pthread_t thread;
    work_start(&work);
    expect(pthread_create(&thread, NULL, wait_forever, NULL), 0);
    while (!atomic_load(&calls))
        sleep_ms(1);
    sleep_ms(20);
    return 44;
}

static void *query_all_the_time(void *unused)
{
    while (!atomic_load(&enough)) {
        cl_uint count;
        ok(clGetContextInfo(work.context, CL_CONTEXT_REFERENCE_COUNT, sizeof count, &count, NULL));
        ok(clFlush(work.queue));
        atomic_fetch_add(&calls, 1);
    }
    return NULL;
}

static void start_busy_thread(void)
{
    expect(pthread_create(&busy, NULL, query_all_the_time, NULL), 0);
    while (!atomic_load(&calls))
        sleep_ms(1);
}

static int run_busy(void)
{
    work_start(&work);
    start_busy_thread();
    return 45;
}

/* A suspend comes from outside while the program ends. */
static int run_suspending(void)
{
    work_start(&work);
    put_in_flight();
    start_busy_thread();
    outside_start("suspend", getpid());
    sleep_ms(getpid() % 40);
    return 46;
}

static int run_suspended(void)
{
    work_start(&work);
    put_in_flight();
    expect(outside("suspend", getpid()), 0);
    return 47;
}

/* The same with threads that wait at the gate. */
static int run_suspended_busy(void)
{
    work_start(&work);
    start_busy_thread();
    expect(outside("suspend", getpid()), 0);
    return 48;
}

static int run_suspended_quick(void)
{
    work_start(&work);
    expect(outside("suspend", getpid()), 0);
    quick_exit(49);
}

static int run_resumed(void)
{
    work_start(&work);
    put_in_flight();
    expect(outside("suspend", getpid()), 0);
    expect(outside("resume", getpid()), 0);
    return 50;
}

/* Its destructor, which runs last of all, still has calls to make. */
__attribute__((destructor)) static void clean_up(void)
{
    if (!use_in_destructor)
        return;
    ok(clFlush(work.queue));
    work_end(&work);
    puts("cleaned up");
}

static int run_destructor(void)
{
    work_start(&work);
    work_once(&work, work.queue, WORDS, 2);
    use_in_destructor = true;
    return 51;
}

static void resume_from_a_child(void)
{
    if (fork() != 0)
        return;
    use_in_destructor = false;
    sleep_ms(500);
    outside_retry("resume", getppid());
    _exit(0);
}

static int run_destructor_resumed(void)
{
    work_start(&work);
    work_once(&work, work.queue, WORDS, 2);
    use_in_destructor = true;
    expect(outside("suspend", getpid()), 0);
    resume_from_a_child();
    return 52;
}

static void join_busy_thread(void)
{
    atomic_store(&enough, true);
    expect(pthread_join(busy, NULL), 0);
    puts("joined");
}

/* A handler that was registered after the drivers were loaded waits for a thread at the gate. */
static int run_joining(void)
{
    work_start(&work);
    start_busy_thread();
    expect(atexit(join_busy_thread), 0);
    expect(outside("suspend", getpid()), 0);
    resume_from_a_child();
    return 55;
}

static void fork_at_the_end(void)
{
    pid_t child = fork();
    if (child == 0)
        _exit(7);
    expect(child_code(child), 7);
    puts("forked at the end");
}

/* Handlers run in the reverse order: this one after all of ours. */
static int run_forking(void)
{
    atexit(fork_at_the_end);
    work_start(&work);
    work_once(&work, work.queue, WORDS, 2);
    return 54;
}

/* Becomes another program, which starts again; suspended or not. */
static int become(const char *name)
{
    execl("/proc/self/exe", "leave", name, (char *)NULL);
    return 97;
}

static int run_fresh(void)
{
    work_start(&work);
    work_once(&work, work.queue, WORDS, 2);
    expect(outside("suspend", getpid()), 0);
    expect(outside("resume", getpid()), 0);
    work_end(&work);
    return 53;
}

static int run_exec(void)
{
    work_start(&work);
    put_in_flight();
    return become("fresh");
}

static int run_exec_suspended(void)
{
    work_start(&work);
    expect(outside("suspend", getpid()), 0);
    return become("fresh");
}

int main(int argc, char **argv)
{
    static const struct moment moments[] = {
        {"in-flight", run_in_flight},
        {"callback", run_callback},
        {"at-once", run_at_once},
        {"quick", run_quick},
        {"waiting", run_waiting},
        {"busy", run_busy},
        {"suspending", run_suspending},
        {"joining", run_joining},
        {"suspended", run_suspended},
        {"suspended-busy", run_suspended_busy},
        {"suspended-quick", run_suspended_quick},
        {"resumed", run_resumed},
        {"destructor", run_destructor},
        {"destructor-resumed", run_destructor_resumed},
        {"forking", run_forking},
        {"fresh", run_fresh},
        {"exec", run_exec},
        {"exec-suspended", run_exec_suspended},
    };
    return moment_main(argc, argv, moments, sizeof moments / sizeof *moments);
}
