/* SPDX-License-Identifier: Apache-2.0 */
/* Forks before and after the first call, with and without exec, while others work, while suspended;
 * and what becomes of the child. Natively a child can't use the driver that its parent has started:
 * there those children don't try. */
#include "work.h"

#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define WORDS 256
#define FORKS 12

static struct work work;
static _Atomic bool stop;
extern char **environ;

/* The program is right, and can be suspended. */
static int end_well(const char *said)
{
    work_once(&work, work.queue, WORDS, 2);
    expect(outside("suspend", getpid()), 0);
    expect(outside("resume", getpid()), 0);
    work_once(&work, work.queue, WORDS, 3);
    work_end(&work);
    puts(said);
    return 0;
}

static int run_before(void)
{
    pid_t child = fork();
    work_start(&work);
    work_once(&work, work.queue, WORDS, 2);
    if (child == 0)
        return end_well("fresh child") + 21;
    expect(child_code(child), 21);
    return end_well("parent");
}

static void *labour(void *unused)
{
    while (!atomic_load(&stop))
        work_once(&work, work.queue, WORDS, 2);
    return NULL;
}

/* This process is suspended and resumed while its threads make calls. */
static void cycle_at_work(void)
{
    pthread_t others[2];
    for (int i = 0; i < 2; i++)
        expect(pthread_create(&others[i], NULL, labour, NULL), 0);
    for (int i = 0; i < 3; i++) {
        expect(outside("suspend", getpid()), 0);
        expect(outside("resume", getpid()), 0);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++)
        pthread_join(others[i], NULL);
}

static pid_t spawn_true(void)
{
    pid_t child;
    expect(posix_spawnp(&child, "true", NULL, NULL, (char *[]){"true", NULL}, environ), 0);
    return child;
}

static void fork_in_all_ways(void)
{
    for (int i = 0; i < FORKS; i++) {
        pid_t child = fork();
        if (child == 0 && i % 3 == 0)
            execlp("true", "true", (char *)NULL);
        if (child == 0 && i % 3 == 1)
            _exit(31);
        if (child == 0)
            exit(32);
        expect(child_code(child), i % 3 == 0 ? 0 : 30 + i % 3);
        expect(system("exit 5") >> 8, 5);
        expect(child_code(spawn_true()), 0);
    }
}

static void *fork_in_thread(void *unused)
{
    fork_in_all_ways();
    return NULL;
}

static int run_while_others_work(void)
{
    pthread_t others[2], forker;
    work_start(&work);
    for (int i = 0; i < 2; i++)
        expect(pthread_create(&others[i], NULL, labour, NULL), 0);
    expect(pthread_create(&forker, NULL, fork_in_thread, NULL), 0);
    fork_in_all_ways();
    pthread_join(forker, NULL);
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++)
        pthread_join(others[i], NULL);
    return end_well("forked");
}

/* Kernels on their way when the fork comes, and the child leaves without a call. */
static int run_in_flight(void)
{
    work_start(&work);
    cl_kernel kernel = work_kernel(&work);
    cl_mem buffer = work_buffer(&work, WORDS);
    unsigned rounds = 0;
    for (int i = 0; i < 5; i++, rounds += 20) {
        work_enqueue(work.queue, kernel, buffer, WORDS, rounds, 20);
        ok(clFlush(work.queue));
        pid_t child = fork();
        if (child == 0)
            exit(33);
        expect(child_code(child), 33);
    }
    work_check(work.queue, buffer, WORDS, rounds);
    ok(clReleaseMemObject(buffer));
    ok(clReleaseKernel(kernel));
    return end_well("in flight");
}

/* The child of a suspended process works on with what its parent had, once it is resumed; and can
 * be suspended itself. */
static int run_suspended(void)
{
    work_start(&work);
    cl_kernel kernel = work_kernel(&work);
    cl_mem buffer = work_buffer(&work, WORDS);
    work_enqueue(work.queue, kernel, buffer, WORDS, 0, 5);
    ok(clFinish(work.queue));
    expect(outside("suspend", getpid()), 0);
    pid_t child = commanded() ? fork() : 0;
    if (child == 0 && commanded()) {
        work_enqueue(work.queue, kernel, buffer, WORDS, 5, 5);
        work_check(work.queue, buffer, WORDS, 10);
        cycle_at_work();
        work_check(work.queue, buffer, WORDS, 10);
        work_once(&work, work.queue, WORDS, 4);
        exit(34);
    }
    if (child) {
        outside_retry("resume", child);
        expect(child_code(child), 34);
    }
    expect(outside("resume", getpid()), 0);
    work_check(work.queue, buffer, WORDS, 5);
    ok(clReleaseMemObject(buffer));
    ok(clReleaseKernel(kernel));
    return end_well("suspended");
}

/* Children of a suspended process that nobody resumes go on when it does: one that is at work by
 * then, and one that begins later. */
static pid_t fork_worker(cl_kernel kernel, cl_mem buffer, int wait, int code)
{
    char byte;
    pid_t child = fork();
    if (child)
        return child;
    alarm(60);
    if (wait >= 0)
        expect(read(wait, &byte, 1), 1);
    work_enqueue(work.queue, kernel, buffer, WORDS, 5, 5);
    work_check(work.queue, buffer, WORDS, 10);
    work_once(&work, work.queue, WORDS, 4);
    exit(code);
}

static int run_suspended_follows(void)
{
    int ends[2];
    work_start(&work);
    cl_kernel kernel = work_kernel(&work);
    cl_mem buffer = work_buffer(&work, WORDS);
    work_enqueue(work.queue, kernel, buffer, WORDS, 0, 5);
    ok(clFinish(work.queue));
    expect(outside("suspend", getpid()), 0);
    expect(pipe(ends), 0);
    pid_t early = commanded() ? fork_worker(kernel, buffer, -1, 37) : 0;
    pid_t late = commanded() ? fork_worker(kernel, buffer, ends[0], 38) : 0;
    sleep_ms(300);
    expect(outside("resume", getpid()), 0);
    expect(write(ends[1], "x", 1), 1);
    expect(early ? child_code(early) : 37, 37);
    expect(late ? child_code(late) : 38, 38);
    work_check(work.queue, buffer, WORDS, 5);
    ok(clReleaseMemObject(buffer));
    ok(clReleaseKernel(kernel));
    return end_well("followed");
}

/* The children of a suspended process leave, or become other programs, without being resumed. */
static int run_suspended_leaves(void)
{
    work_start(&work);
    expect(outside("suspend", getpid()), 0);
    fork_in_all_ways();
    pid_t child = fork();
    if (child == 0) {
        ok(clReleaseContext(work.context));
        exit(35);
    }
    expect(child_code(child), 35);
    expect(outside("resume", getpid()), 0);
    return end_well("left");
}

/* A child's child, and one that sets itself apart. */
static int run_daemon(void)
{
    pid_t child = fork();
    if (child == 0) {
        setsid();
        pid_t grandchild = fork();
        if (grandchild)
            _exit(child_code(grandchild));
        work_start(&work);
        exit(end_well("daemon") + 36);
    }
    expect(child_code(child), 36);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct moment moments[] = {
        {"before", run_before},
        {"while-others-work", run_while_others_work},
        {"in-flight", run_in_flight},
        {"suspended", run_suspended},
        {"suspended-follows", run_suspended_follows},
        {"suspended-leaves", run_suspended_leaves},
        {"daemon", run_daemon},
    };
    return moment_main(argc, argv, moments, sizeof moments / sizeof *moments);
}
