/* SPDX-License-Identifier: Apache-2.0 */
/* Calls in progress in other threads while a suspend comes; what other threads may do while the
 * program is suspended. */
#include "live.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define SIZE 4096

static cl_event user;
static cl_mem mem;
static cl_command_queue queue;
static unsigned char fill = 0x6b, read_back[SIZE], expected[SIZE];

/* Something that blocks; its answer. */
typedef cl_int (*work)(void);

struct worker {
    pthread_t thread;
    work work;
    cl_int answer;
    _Atomic int began, ended;
};

static void *run(void *data)
{
    struct worker *worker = data;
    worker->began = 1;
    worker->answer = worker->work();
    worker->ended = 1;
    return NULL;
}

static void begin(struct worker *worker, work what)
{
    memset(worker, 0, sizeof *worker);
    worker->work = what;
    assert_int_equal(pthread_create(&worker->thread, NULL, run, worker), 0);
    live_wait_for(&worker->began, 1);
    live_sleep(20);
}

static void end(struct worker *worker)
{
    live_wait_for(&worker->ended, 1);
    pthread_join(worker->thread, NULL);
    assert_int_equal(worker->answer, CL_SUCCESS);
}

static cl_int finish(void)
{
    return clFinish(queue);
}

static cl_int read_blocking(void)
{
    return clEnqueueReadBuffer(queue, mem, CL_TRUE, 0, SIZE, read_back, 0, NULL, NULL);
}

/* Other bytes than the fill's, which come before. */
static cl_int write_blocking(void)
{
    live_pattern(read_back, SIZE, fill);
    return clEnqueueWriteBuffer(queue, mem, CL_TRUE, 0, SIZE, read_back, 0, NULL, NULL);
}

static cl_int map_blocking(void)
{
    cl_int err;
    void *p = clEnqueueMapBuffer(queue, mem, CL_TRUE, CL_MAP_READ, 0, SIZE, 0, NULL, NULL, &err);
    if (err != CL_SUCCESS)
        return err;
    memcpy(read_back, p, SIZE);
    return clEnqueueUnmapMemObject(queue, mem, p, 0, NULL, NULL);
}

static cl_event held;

static cl_int wait_for_held(void)
{
    return clWaitForEvents(1, &held);
}

static cl_int wait_for_user(void)
{
    return clWaitForEvents(1, &user);
}

/* A held fill, and a thread that waits for it, two cycles long. */
static void block(work what, bool reads)
{
    cl_int err;
    struct worker worker;
    memset(expected, fill, SIZE);
    memset(read_back, 0, SIZE);
    user = clCreateUserEvent(live.context, &err);
    made(user);
    mem = live_buffer(SIZE, NULL);
    ok(clEnqueueFillBuffer(queue, mem, &fill, 1, 0, SIZE, 1, &user, &held));
    begin(&worker, what);
    live_cycle();
    live_cycle();
    assert_int_equal(worker.ended, 0);
    ok(clSetUserEventStatus(user, CL_COMPLETE));
    end(&worker);
    if (reads)
        assert_memory_equal(read_back, expected, SIZE);
    ok(clFinish(queue));
    if (what == write_blocking)
        live_pattern(expected, SIZE, fill);
    live_expect(mem, 0, expected, SIZE);
    ok(clReleaseEvent(user));
    ok(clReleaseEvent(held));
    ok(clReleaseMemObject(mem));
    fill++;
}

static void test_blocked_threads_wait_through_cycles(void **state)
{
    live_need(live_shadowed()); /* drivers may run a read while a fill before it waits */
    block(finish, false);
    block(wait_for_held, false);
    block(wait_for_user, false);
    block(read_blocking, true);
    block(write_blocking, false);
    block(map_blocking, true);
}

static const char *const large =
    "kernel void put(global float *out, float v)\n"
    "{ size_t i = get_global_id(0); float x = v;\n"
    "  for (int k = 0; k < 50; k++) x = sin(x) + cos(x) * pow(x, 2.0f) + SEED;\n"
    "  out[i] = x; }\n";

static _Atomic int stop;

static cl_int build_often(void)
{
    char options[64] = "-DSEED=1.0f";
    while (!stop) {
        cl_int err;
        options[7] = (char)('0' + (options[7] + 1) % 10);
        cl_program program =
            clCreateProgramWithSource(live.context, 1, (const char **)&large, NULL, &err);
        if (err == CL_SUCCESS)
            err = clBuildProgram(program, 0, NULL, options, NULL, NULL);
        if (err == CL_SUCCESS)
            err = clReleaseProgram(program);
        if (err != CL_SUCCESS)
            return err;
    }
    return CL_SUCCESS;
}

static cl_int compute_often(void)
{
    cl_int err = CL_SUCCESS;
    cl_command_queue own = clCreateCommandQueue(live.context, live.device, 0, &err);
    for (unsigned i = 0; !stop && err == CL_SUCCESS; i++) {
        unsigned char bytes[256], back[256];
        live_pattern(bytes, 256, i);
        cl_mem a = clCreateBuffer(live.context, CL_MEM_COPY_HOST_PTR, 256, bytes, &err);
        cl_mem b = clCreateBuffer(live.context, 0, 256, NULL, &err);
        if (err == CL_SUCCESS)
            err = clEnqueueCopyBuffer(own, a, b, 0, 0, 256, 0, NULL, NULL);
        if (err == CL_SUCCESS)
            err = clEnqueueReadBuffer(own, b, CL_TRUE, 0, 256, back, 0, NULL, NULL);
        if (err == CL_SUCCESS && memcmp(bytes, back, 256) != 0)
            return -9999;
        clReleaseMemObject(a);
        clReleaseMemObject(b);
    }
    clReleaseCommandQueue(own);
    return err;
}

static void test_busy_threads_notice_nothing(void **state)
{
    struct worker workers[3];
    stop = 0;
    begin(&workers[0], build_often);
    begin(&workers[1], compute_often);
    begin(&workers[2], compute_often);
    for (int i = 0; i < 10; i++)
        live_cycle();
    stop = 1;
    for (int i = 0; i < 3; i++)
        end(&workers[i]);
}

static cl_mem created;

static cl_int create(void)
{
    cl_int err;
    created = clCreateBuffer(live.context, CL_MEM_COPY_HOST_PTR, SIZE, expected, &err);
    return err;
}

static void test_creation_waits_for_the_resume(void **state)
{
    struct worker worker;
    live_pattern(expected, SIZE, 9);
    live_suspend();
    begin(&worker, create);
    live_sleep(100);
    if (live_commanded())
        assert_int_equal(worker.ended, 0);
    live_resume();
    end(&worker);
    live_expect(created, 0, expected, SIZE);
    ok(clReleaseMemObject(created));
}

static cl_mem many[8];
static cl_event done;

static cl_int use_shadows(void)
{
    size_t size = 0;
    cl_uint refs = 0;
    cl_int status = 99, err = CL_SUCCESS;
    for (int i = 0; i < 8; i++) {
        err |= clRetainMemObject(many[i]);
        err |= clGetMemObjectInfo(many[i], CL_MEM_SIZE, sizeof size, &size, NULL);
        err |= clGetMemObjectInfo(many[i], CL_MEM_REFERENCE_COUNT, sizeof refs, &refs, NULL);
        if (size != SIZE || refs != 2)
            return -9998;
        err |= clReleaseMemObject(many[i]);
        if (i % 2)
            err |= clReleaseMemObject(many[i]);
    }
    err |= clGetEventInfo(done, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL);
    return err ? err : status;
}

static void test_retain_release_and_queries_do_not_wait(void **state)
{
    struct worker worker;
    live_need(live_commanded());
    for (unsigned i = 0; i < 8; i++) {
        live_pattern(expected, SIZE, i);
        many[i] = live_buffer(SIZE, expected);
    }
    ok(clEnqueueMarkerWithWaitList(live.queue, 0, NULL, &done));
    live_suspend();
    begin(&worker, use_shadows);
    end(&worker); /* before the resume */
    live_resume();
    for (unsigned i = 0; i < 8; i++) {
        cl_uint refs;
        live_pattern(expected, SIZE, i);
        if (i % 2) {
            assert_int_equal(clGetMemObjectInfo(many[i], CL_MEM_REFERENCE_COUNT, 4, &refs, NULL),
                             CL_INVALID_MEM_OBJECT);
            continue;
        }
        live_expect(many[i], 0, expected, SIZE);
        ok(clReleaseMemObject(many[i]));
    }
    ok(clReleaseEvent(done));
}

static int setup(void **state)
{
    live_setup(state);
    queue = live.queue;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocked_threads_wait_through_cycles),
        cmocka_unit_test(test_busy_threads_notice_nothing),
        cmocka_unit_test(test_creation_waits_for_the_resume),
        cmocka_unit_test(test_retain_release_and_queries_do_not_wait),
    };
    return cmocka_run_group_tests(tests, setup, live_teardown);
}
