/* SPDX-License-Identifier: Apache-2.0 */
/* What single OpenCL calls cost. An ordinary OpenCL program: each line `round` on its input makes
 * it print one round, `name ns` per line and an empty line. bench.py runs one natively and one
 * under the shim, a round of each in turn. With --count it instead runs under callgrind, which
 * counts the instructions of each benchmark's loop apart. */
#include <CL/cl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_TOGGLE_COLLECT
#define CALLGRIND_DUMP_STATS_AT(name)
#endif

static const char source[] = "__kernel void empty(__global int *a, int b, long c) {}\n";

static cl_context context;
static cl_device_id device;
static cl_command_queue queue;
static cl_program program;
static cl_kernel kernel;
static cl_mem mems[2];
static cl_event event;

static void check(cl_int status, const char *call)
{
    if (status == CL_SUCCESS)
        return;
    fprintf(stderr, "calls: %s failed: %d\n", call, status);
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

static const struct benchmark {
    const char *name;
    void (*run)(long n);
    long n;       /* calls per round */
    long counted; /* calls under callgrind */
} benchmarks[] = {
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
#define NUM_BENCHMARKS (sizeof benchmarks / sizeof *benchmarks)

static void set_up(void)
{
    const char *text = source;
    const size_t one = 1;
    cl_platform_id platform;
    cl_int status;
    CHECK(clGetPlatformIDs(1, &platform, NULL));
    CHECK(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL));
    context = clCreateContext(NULL, 1, &device, NULL, NULL, &status);
    check(status, "clCreateContext");
    queue = clCreateCommandQueue(context, device, 0, &status);
    check(status, "clCreateCommandQueue");
    program = clCreateProgramWithSource(context, 1, &text, NULL, &status);
    check(status, "clCreateProgramWithSource");
    CHECK(clBuildProgram(program, 1, &device, "", NULL, NULL));
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

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void print_round(void)
{
    for (size_t i = 0; i < NUM_BENCHMARKS; i++) {
        const struct benchmark *it = &benchmarks[i];
        double start = seconds();
        it->run(it->n);
        printf("%s\t%.3f\n", it->name, (seconds() - start) * 1e9 / (double)it->n);
    }
    printf("\n");
    fflush(stdout);
}

static void count_all(void)
{
    for (size_t i = 0; i < NUM_BENCHMARKS; i++) {
        const struct benchmark *it = &benchmarks[i];
        char name[80];
        it->run(256);
        snprintf(name, sizeof name, "%s\t%ld", it->name, it->counted);
        CALLGRIND_TOGGLE_COLLECT;
        it->run(it->counted);
        CALLGRIND_TOGGLE_COLLECT;
        CALLGRIND_DUMP_STATS_AT(name);
    }
}

int main(int argc, char **argv)
{
    char line[64];
    set_up();
    if (argc > 1 && strcmp(argv[1], "--count") == 0) {
        count_all();
        return 0;
    }
    while (fgets(line, sizeof line, stdin))
        print_round();
    return 0;
}
