/* SPDX-License-Identifier: Apache-2.0 */
/* Many threads with their own and shared queues: buffers that come and go, kernels, events with
 * callbacks, user events that another thread sets, maps. MOMENTS_LONG: 64 threads. */
#include "work.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define SHARED 4
#define MOST 64

static struct work work;
static cl_command_queue shared[SHARED];
static _Atomic int told, asked, left;
static unsigned num_threads = 8, num_rounds = 3;

/* User events on their way to the thread that sets them. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    cl_event events[MOST * 2];
    unsigned count;
    bool ended;
} unset = {.lock = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER};

static void *set_events(void *unused)
{
    pthread_mutex_lock(&unset.lock);
    while (!unset.ended || unset.count) {
        if (!unset.count) {
            pthread_cond_wait(&unset.filled, &unset.lock);
            continue;
        }
        cl_event event = unset.events[--unset.count];
        pthread_mutex_unlock(&unset.lock);
        ok(clSetUserEventStatus(event, CL_COMPLETE));
        ok(clReleaseEvent(event));
        pthread_mutex_lock(&unset.lock);
    }
    pthread_mutex_unlock(&unset.lock);
    return NULL;
}

static void hand_to_setter(cl_event event)
{
    pthread_mutex_lock(&unset.lock);
    unset.events[unset.count++] = event;
    pthread_cond_signal(&unset.filled);
    pthread_mutex_unlock(&unset.lock);
}

static void CL_CALLBACK count_told(cl_event event, cl_int status, void *data)
{
    expect(status, CL_COMPLETE);
    atomic_fetch_add(&told, 1);
}

/* Kernel behind a user event, on one queue; a copy that waits for it on another, mapped there. */
static void one_round(cl_command_queue own, cl_command_queue other, cl_kernel kernel, size_t words)
{
    cl_int err;
    unsigned round = 0;
    size_t size = words * sizeof(cl_uint);
    cl_mem from = work_buffer(&work, words), to = work_buffer(&work, words);
    cl_event gate = clCreateUserEvent(work.context, &err), done, copied;
    ok(err);
    ok(clSetKernelArg(kernel, 0, sizeof from, &from));
    ok(clSetKernelArg(kernel, 1, sizeof round, &round));
    ok(clEnqueueNDRangeKernel(own, kernel, 1, NULL, &words, NULL, 1, &gate, &done));
    ok(clSetEventCallback(done, CL_COMPLETE, count_told, NULL));
    atomic_fetch_add(&asked, 1);
    ok(clEnqueueCopyBuffer(other, from, to, 0, 0, size, 1, &done, &copied));
    ok(clFlush(other));
    hand_to_setter(gate);
    ok(clReleaseMemObject(from));
    cl_uint *mapped = clEnqueueMapBuffer(other, to, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0, size, 1,
                                         &copied, NULL, &err);
    ok(err);
    for (size_t i = 0; i < words; i++)
        expect(mapped[i], work_word((uint32_t)i, 1));
    mapped[0] = work_word(0, 1);
    ok(clEnqueueUnmapMemObject(other, to, mapped, 0, NULL, NULL));
    ok(clFinish(other));
    work_enqueue(own, kernel, to, words, 1, 2);
    work_check(own, to, words, 3);
    ok(clWaitForEvents(1, &done));
    ok(clReleaseEvent(done));
    ok(clReleaseEvent(copied));
    ok(clReleaseMemObject(to));
}

static void *labour(void *number)
{
    unsigned index = (unsigned)(uintptr_t)number;
    cl_int err;
    cl_command_queue own = clCreateCommandQueue(work.context, work.device, 0, &err);
    ok(err);
    cl_kernel kernel = work_kernel(&work);
    for (unsigned i = 0; i < num_rounds; i++)
        one_round(own, shared[(index + i) % SHARED], kernel, 64 + 16 * ((index * 7 + i) % 20));
    ok(clReleaseKernel(kernel));
    ok(clReleaseCommandQueue(own));
    atomic_fetch_add(&left, 1);
    return NULL;
}

static int run_threads(void)
{
    pthread_t setter, threads[MOST];
    cl_int err;
    work_start(&work);
    for (unsigned i = 0; i < SHARED; i++) {
        shared[i] = clCreateCommandQueue(work.context, work.device, 0, &err);
        ok(err);
    }
    expect(pthread_create(&setter, NULL, set_events, NULL), 0);
    for (unsigned i = 0; i < num_threads; i++)
        expect(pthread_create(&threads[i], NULL, labour, (void *)(uintptr_t)i), 0);
    for (unsigned i = 0; i < num_threads; i++)
        pthread_join(threads[i], NULL);
    pthread_mutex_lock(&unset.lock);
    unset.ended = true;
    pthread_cond_signal(&unset.filled);
    pthread_mutex_unlock(&unset.lock);
    pthread_join(setter, NULL);
    for (int i = 0; i < 1000 && atomic_load(&told) < atomic_load(&asked); i++)
        sleep_ms(10);
    for (unsigned i = 0; i < SHARED; i++)
        ok(clReleaseCommandQueue(shared[i]));
    work_end(&work);
    printf("%d threads, %d of %d callbacks\n", left, told, asked);
    return 0;
}

static void *brief(void *unused)
{
    work_once(&work, work.queue, 64, 1);
    return NULL;
}

/* Threads that come, call and go. */
static int run_churn(void)
{
    work_start(&work);
    for (unsigned i = 0; i < num_threads * 3; i++) {
        pthread_t threads[4];
        for (unsigned j = 0; j < 4; j++)
            expect(pthread_create(&threads[j], NULL, brief, NULL), 0);
        for (unsigned j = 0; j < 4; j++)
            pthread_join(threads[j], NULL);
    }
    work_end(&work);
    puts("came and went");
    return 0;
}

int main(int argc, char **argv)
{
    static const struct moment moments[] = {{"threads", run_threads}, {"churn", run_churn}};
    if (getenv("MOMENTS_LONG")) {
        num_threads = MOST;
        num_rounds = 10;
    }
    return moment_main(argc, argv, moments, 2);
}
