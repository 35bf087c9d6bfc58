/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that are cancelled in calls that wait, and signals at all times. A driver may not outlive
 * the first natively (pocl keeps its locks): there those cases only print what they should. */
#include "work.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/time.h>
#include <unistd.h>

#define WORDS 256

static struct work work;
static cl_event never;
static cl_mem buffer;
static _Atomic int entered, signals;

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

static void *wait_in_finish(void *unused)
{
    atomic_fetch_add(&entered, 1);
    clFinish(work.queue);
    return NULL;
}

static void *wait_in_wait(void *unused)
{
    atomic_fetch_add(&entered, 1);
    clWaitForEvents(1, &never);
    return NULL;
}

static void *wait_in_read(void *unused)
{
    static uint32_t words[WORDS]; /* outlives the thread: the command is not given up */
    atomic_fetch_add(&entered, 1);
    clEnqueueReadBuffer(work.queue, buffer, CL_TRUE, 0, sizeof words, words, 0, NULL, NULL);
    return NULL;
}

/* Each of the threads waits for the event, is cancelled there, and nobody else is held up. */
static int cancel_held(bool suspend_between)
{
    void *(*const waits[])(void *) = {wait_in_finish, wait_in_wait, wait_in_read};
    pthread_t threads[3];
    void *result;
    cl_int err;
    never = clCreateUserEvent(work.context, &err);
    ok(err);
    buffer = work_buffer(&work, WORDS);
    ok(clEnqueueMarkerWithWaitList(work.queue, 1, &never, NULL));
    for (int i = 0; i < 3; i++)
        expect(pthread_create(&threads[i], NULL, waits[i], NULL), 0);
    while (atomic_load(&entered) < 3)
        sleep_ms(1);
    sleep_ms(30);
    if (suspend_between)
        expect(outside("suspend", getpid()), 0);
    for (int i = 0; i < 3; i++) {
        pthread_cancel(threads[i]);
        pthread_join(threads[i], &result);
        expect(result == PTHREAD_CANCELED, 1);
    }
    if (suspend_between)
        expect(outside("resume", getpid()), 0);
    ok(clSetUserEventStatus(never, CL_COMPLETE));
    ok(clFinish(work.queue));
    work_check(work.queue, buffer, WORDS, 0);
    ok(clReleaseEvent(never));
    ok(clReleaseMemObject(buffer));
    return end_well("cancelled");
}

static int run_held(void)
{
    if (!shadowed())
        return puts("cancelled") < 0;
    work_start(&work);
    return cancel_held(false);
}

static int run_held_suspended(void)
{
    if (!shadowed())
        return puts("cancelled") < 0;
    work_start(&work);
    return cancel_held(true);
}

static void *labour(void *unused)
{
    cl_int err;
    cl_command_queue queue = clCreateCommandQueue(work.context, work.device, 0, &err);
    ok(err);
    atomic_fetch_add(&entered, 1);
    for (;; pthread_testcancel())
        work_once(&work, queue, WORDS, 3);
    return NULL;
}

/* Wherever they are: in the driver, at the gate, in a suspend that they asked for. */
static int run_anywhere(void)
{
    if (!shadowed())
        return puts("cancelled anywhere") < 0;
    work_start(&work);
    for (int i = 0; i < 20; i++) {
        pthread_t threads[3];
        for (int j = 0; j < 3; j++)
            expect(pthread_create(&threads[j], NULL, labour, NULL), 0);
        while (atomic_load(&entered) < 3 * (i + 1))
            sleep_ms(1);
        sleep_ms(i % 7);
        for (int j = 0; j < 3; j++) {
            pthread_cancel(threads[j]);
            pthread_join(threads[j], NULL);
        }
    }
    return end_well("cancelled anywhere");
}

/* The very first call, in which drivers are found and started. */
static void *start_first(void *unused)
{
    cl_uint count;
    clGetPlatformIDs(0, NULL, &count);
    return NULL;
}

static int run_first(void)
{
    if (!shadowed())
        return puts("cancelled first") < 0;
    pthread_t thread;
    expect(pthread_create(&thread, NULL, start_first, NULL), 0);
    sleep_ms(getpid() % 5);
    pthread_cancel(thread);
    pthread_join(thread, NULL);
    work_start(&work);
    return end_well("cancelled first");
}

static void on_signal(int number)
{
    atomic_fetch_add(&signals, 1);
}

static void *send_signals(void *thread)
{
    for (int i = 0; i < 200; i++) {
        pthread_kill(*(pthread_t *)thread, SIGUSR1);
        sleep_ms(1);
    }
    return NULL;
}

static void set_handlers(bool check)
{
    const int numbers[] = {SIGALRM, SIGUSR1, SIGUSR2, SIGHUP, SIGINT, SIGTERM, SIGCHLD, SIGPIPE};
    struct sigaction action = {.sa_handler = on_signal}, there;
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (!check)
            sigaction(numbers[i], &action, NULL);
        sigaction(numbers[i], NULL, &there);
        if (check && shadowed())
            expect(there.sa_handler == on_signal, 1);
    }
}

/* Handlers without SA_RESTART, from a timer and from another thread. */
static int run_signals(void)
{
    const struct itimerval often = {{0, 1000}, {0, 1000}}, off = {{0, 0}, {0, 0}};
    pthread_t sender, self = pthread_self();
    set_handlers(false);
    work_start(&work);
    set_handlers(true);
    set_handlers(false); /* natively the driver's are there now */
    expect(setitimer(ITIMER_REAL, &often, NULL), 0);
    expect(pthread_create(&sender, NULL, send_signals, &self), 0);
    for (int i = 0; i < 30; i++)
        work_once(&work, work.queue, WORDS, 4);
    pthread_join(sender, NULL);
    expect(setitimer(ITIMER_REAL, &off, NULL), 0);
    expect(atomic_load(&signals) > 0, 1);
    set_handlers(true);
    return end_well("signals");
}

static void *build(void *unused)
{
    atomic_store(&entered, 1);
    ok(clBuildProgram(work.program, 0, NULL, "-DANEW", NULL, NULL));
    return NULL;
}

/* Handlers of the program's libraries: such a function, which is never called, stands for one. */
static void set_library_handler(const char *name)
{
    struct sigaction action = {0};
    *(void **)&action.sa_handler = dlsym(RTLD_DEFAULT, name);
    expect(sigaction(SIGUSR2, &action, NULL), 0);
}

/* One that is set while a build waits at the gate. */
static int run_handlers(void)
{
    pthread_t thread;
    struct sigaction there;
    work_start(&work);
    set_library_handler("srand");
    expect(outside("suspend", getpid()), 0);
    expect(pthread_create(&thread, NULL, build, NULL), 0);
    while (!atomic_load(&entered))
        sleep_ms(1);
    sleep_ms(100);
    set_library_handler("sleep");
    expect(outside("resume", getpid()), 0);
    pthread_join(thread, NULL);
    sigaction(SIGUSR2, NULL, &there);
    if (commanded())
        expect(*(void **)&there.sa_handler == dlsym(RTLD_DEFAULT, "sleep"), 1);
    return end_well("handlers");
}

/* Ends its thread from a clean-up handler and a key's destructor that have calls to make. */
static pthread_key_t key;

static void last_calls(void *unused)
{
    work_once(&work, work.queue, WORDS, 1);
}

static void *end_in_calls(void *unused)
{
    pthread_setspecific(key, &key);
    pthread_cleanup_push(last_calls, NULL);
    work_once(&work, work.queue, WORDS, 1);
    pthread_exit(NULL);
    pthread_cleanup_pop(0);
    return NULL;
}

static int run_last_calls(void)
{
    expect(pthread_key_create(&key, last_calls), 0);
    work_start(&work);
    for (int i = 0; i < 10; i++) {
        pthread_t threads[3];
        for (int j = 0; j < 3; j++)
            expect(pthread_create(&threads[j], NULL, end_in_calls, NULL), 0);
        for (int j = 0; j < 3; j++)
            pthread_join(threads[j], NULL);
    }
    return end_well("last calls");
}

int main(int argc, char **argv)
{
    static const struct moment moments[] = {
        {"held", run_held},         {"held-suspended", run_held_suspended},
        {"anywhere", run_anywhere}, {"first", run_first},
        {"signals", run_signals},   {"last-calls", run_last_calls},
        {"handlers", run_handlers},
    };
    return moment_main(argc, argv, moments, sizeof moments / sizeof *moments);
}
