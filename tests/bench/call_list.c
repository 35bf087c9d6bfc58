/* SPDX-License-Identifier: Apache-2.0 */
/* The calls that are measured: see calls.h. */
#include "calls.h"

#include <CL/cl.h>
#include <stdio.h>
#include <stdlib.h>

static const char source[] = "__kernel void empty(__global int *a, int b, long c) {}\n";

static cl_context context;
static cl_device_id device;
static cl_program program;

/* Each thread has its own of what calls change. */
static _Thread_local cl_command_queue queue;
static _Thread_local cl_kernel kernel;
static _Thread_local cl_mem mems[2];
static _Thread_local cl_event event;

static void check(cl_int status, const char *call)
{
    if (status == CL_SUCCESS)
        return;
    fprintf(stderr, "%s failed: %d\n", call, status);
    exit(1);
}
#define CHECK(call) check(call, #call)

static void set_int(long n)
{
    for (cl_int i = 0; i < n; i++)
        clSetKernelArg(kernel, 1, sizeof i, &i);
}

static void set_long(long n)
{
    for (cl_long i = 0; i < n; i++)
        clSetKernelArg(kernel, 2, sizeof i, &i);
}

static void set_same_mem(long n)
{
    for (long i = 0; i < n; i++)
        clSetKernelArg(kernel, 0, sizeof mems[0], &mems[0]);
}

static void set_other_mem(long n)
{
    for (long i = 0; i < n; i++)
        clSetKernelArg(kernel, 0, sizeof mems[0], &mems[i & 1]);
}

static void event_info(long n)
{
    cl_int status;
    for (long i = 0; i < n; i++)
        clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL);
}

static void mem_info(long n)
{
    size_t size;
    for (long i = 0; i < n; i++)
        clGetMemObjectInfo(mems[0], CL_MEM_SIZE, sizeof size, &size, NULL);
}

static void flush(long n)
{
    for (long i = 0; i < n; i++)
        clFlush(queue);
}

static void retain_mem(long n)
{
    for (long i = 0; i < n; i++) {
        clRetainMemObject(mems[0]);
        clReleaseMemObject(mems[0]);
    }
}

static void retain_kernel(long n)
{
    for (long i = 0; i < n; i++) {
        clRetainKernel(kernel);
        clReleaseKernel(kernel);
    }
}

static void retain_event(long n)
{
    for (long i = 0; i < n; i++) {
        clRetainEvent(event);
        clReleaseEvent(event);
    }
}

static void make_buffer(long n)
{
    for (long i = 0; i < n; i++)
        clReleaseMemObject(clCreateBuffer(context, CL_MEM_READ_WRITE, 64, NULL, NULL));
}

static void make_kernel(long n)
{
    for (long i = 0; i < n; i++)
        clReleaseKernel(clCreateKernel(program, "empty", NULL));
}

static void make_user_event(long n)
{
    for (long i = 0; i < n; i++) {
        cl_event user = clCreateUserEvent(context, NULL);
        clSetUserEventStatus(user, CL_COMPLETE);
        clReleaseEvent(user);
    }
}

static void enqueue_finish(long n)
{
    const size_t one = 1;
    for (long i = 0; i < n; i++) {
        clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &one, NULL, 0, NULL, NULL);
        clFinish(queue);
    }
}

/* The enqueue's own cost: the queue is emptied every 64 commands. */
static void enqueue_event(long n)
{
    const size_t one = 1;
    for (long i = 0; i < n; i++) {
        cl_event done;
        clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &one, NULL, 0, NULL, &done);
        clReleaseEvent(done);
        if (i % 64 == 63)
            clFinish(queue);
    }
    clFinish(queue);
}

static void write_blocking(long n)
{
    char bytes[64] = {0};
    for (long i = 0; i < n; i++)
        clEnqueueWriteBuffer(queue, mems[1], CL_TRUE, 0, sizeof bytes, bytes, 0, NULL, NULL);
}

const struct benchmark benchmarks[] = {
    {"clSetKernelArg int", set_int, 200000, 10000},
    {"clSetKernelArg long", set_long, 200000, 10000},
    {"clSetKernelArg same mem", set_same_mem, 200000, 10000},
    {"clSetKernelArg other mem", set_other_mem, 200000, 10000},
    {"clGetEventInfo", event_info, 200000, 10000},
    {"clGetMemObjectInfo", mem_info, 400000, 10000},
    {"clFlush", flush, 200000, 10000},
    {"retain + release mem", retain_mem, 100000, 10000},
    {"retain + release kernel", retain_kernel, 100000, 10000},
    {"retain + release event", retain_event, 100000, 10000},
    {"buffer create + release", make_buffer, 10000, 2000},
    {"kernel create + release", make_kernel, 10000, 2000},
    {"user event create + set + release", make_user_event, 10000, 2000},
    {"enqueue + finish", enqueue_finish, 200, 500},
    {"enqueue with event, 64 in a row", enqueue_event, 1280, 512},
    {"blocking write of 64 bytes", write_blocking, 200, 500},
};
const size_t num_benchmarks = sizeof benchmarks / sizeof *benchmarks;

void calls_set_up(void)
{
    const char *text = source;
    cl_platform_id platform;
    cl_int status;
    CHECK(clGetPlatformIDs(1, &platform, NULL));
    CHECK(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL));
    context = clCreateContext(NULL, 1, &device, NULL, NULL, &status);
    check(status, "clCreateContext");
    program = clCreateProgramWithSource(context, 1, &text, NULL, &status);
    check(status, "clCreateProgramWithSource");
    CHECK(clBuildProgram(program, 1, &device, "", NULL, NULL));
}

void calls_set_up_thread(void)
{
    const size_t one = 1;
    cl_int status;
    queue = clCreateCommandQueue(context, device, 0, &status);
    check(status, "clCreateCommandQueue");
    kernel = clCreateKernel(program, "empty", &status);
    check(status, "clCreateKernel");
    for (int i = 0; i < 2; i++) {
        mems[i] = clCreateBuffer(context, CL_MEM_READ_WRITE, 4096, NULL, &status);
        check(status, "clCreateBuffer");
    }
    set_same_mem(1);
    set_int(1);
    set_long(1);
    CHECK(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &one, NULL, 0, NULL, &event));
    CHECK(clFinish(queue));
}

void *calls_a_handle(void)
{
    return kernel;
}
