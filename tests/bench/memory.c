/* SPDX-License-Identifier: Apache-2.0 */
/* What objects, and commands that have ended, leave in memory. An ordinary OpenCL program: for each
 * kind it prints `name count heap resident`: bytes that the heap, and the process's resident
 * memory, have grown by, over `count` of them. The objects stay until the end. Usage: bench-memory
 * OBJECTS COMMANDS */
#include <CL/cl.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char source[] = "__kernel void add(__global int *a, int b) { a[0] += b; }\n";

enum { BYTES = 256 };

static cl_context context;
static cl_device_id device;
static cl_command_queue queue;
static cl_program program;
static cl_kernel kernel;
static cl_mem buffer;

static void check(cl_int status, const char *call)
{
    if (status == CL_SUCCESS)
        return;
    fprintf(stderr, "memory: %s failed: %d\n", call, status);
    exit(1);
}
#define CHECK(call) check(call, #call)

static void make_context(void)
{
    cl_int status;
    clCreateContext(NULL, 1, &device, NULL, NULL, &status);
    check(status, "clCreateContext");
}

static void make_queue(void)
{
    cl_int status;
    clCreateCommandQueue(context, device, 0, &status);
    check(status, "clCreateCommandQueue");
}

/* Drivers allocate what is under a buffer when it is first used. */
static void make_buffer(void)
{
    static const char bytes[BYTES];
    cl_int status;
    cl_mem made = clCreateBuffer(context, CL_MEM_READ_WRITE, BYTES, NULL, &status);
    check(status, "clCreateBuffer");
    CHECK(clEnqueueWriteBuffer(queue, made, CL_FALSE, 0, BYTES, bytes, 0, NULL, NULL));
}

static void make_sub_buffer(void)
{
    const cl_buffer_region region = {128, 64};
    cl_int status;
    clCreateSubBuffer(buffer, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &region, &status);
    check(status, "clCreateSubBuffer");
}

static void make_image(void)
{
    const cl_image_format format = {CL_RGBA, CL_UNORM_INT8};
    const cl_image_desc desc = {
        .image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = 8, .image_height = 8};
    cl_int status;
    clCreateImage(context, CL_MEM_READ_WRITE, &format, &desc, NULL, &status);
    check(status, "clCreateImage");
}

static void make_sampler(void)
{
    cl_int status;
    clCreateSampler(context, CL_FALSE, CL_ADDRESS_CLAMP_TO_EDGE, CL_FILTER_NEAREST, &status);
    check(status, "clCreateSampler");
}

static void make_program(void)
{
    const char *text = source;
    cl_int status;
    clCreateProgramWithSource(context, 1, &text, NULL, &status);
    check(status, "clCreateProgramWithSource");
}

static void make_built_program(void)
{
    const char *text = source;
    cl_int status;
    cl_program made = clCreateProgramWithSource(context, 1, &text, NULL, &status);
    check(status, "clCreateProgramWithSource");
    CHECK(clBuildProgram(made, 1, &device, "", NULL, NULL));
}

static void make_kernel(void)
{
    const cl_int one = 1;
    cl_int status;
    cl_kernel made = clCreateKernel(program, "add", &status);
    check(status, "clCreateKernel");
    CHECK(clSetKernelArg(made, 0, sizeof buffer, &buffer));
    CHECK(clSetKernelArg(made, 1, sizeof one, &one));
}

static void make_user_event(void)
{
    cl_int status;
    clCreateUserEvent(context, &status);
    check(status, "clCreateUserEvent");
}

static void make_event(void)
{
    cl_event event;
    CHECK(clEnqueueMarkerWithWaitList(queue, 0, NULL, &event));
}

static void launch(void)
{
    const size_t one = 1;
    CHECK(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &one, NULL, 0, NULL, NULL));
}

static void write_buffer(void)
{
    static const char bytes[64];
    CHECK(clEnqueueWriteBuffer(queue, buffer, CL_FALSE, 0, sizeof bytes, bytes, 0, NULL, NULL));
}

static void launch_with_event(void)
{
    const size_t one = 1;
    cl_event event;
    CHECK(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &one, NULL, 0, NULL, &event));
    CHECK(clReleaseEvent(event));
}

static void drop_user_event(void)
{
    cl_int status;
    cl_event event = clCreateUserEvent(context, &status);
    check(status, "clCreateUserEvent");
    CHECK(clSetUserEventStatus(event, CL_COMPLETE));
    CHECK(clReleaseEvent(event));
}

static const struct kind {
    const char *name;
    void (*make)(void);
    long share; /* one in so many of the number asked for */
    bool is_command;
} kinds[] = {
    {"context", make_context, 100, false},
    {"queue", make_queue, 100, false},
    {"buffer", make_buffer, 1, false},
    {"sub-buffer", make_sub_buffer, 1, false},
    {"image", make_image, 1, false},
    {"sampler", make_sampler, 1, false},
    {"program", make_program, 1, false},
    {"built program", make_built_program, 100, false},
    {"kernel", make_kernel, 1, false},
    {"user event", make_user_event, 1, false},
    {"event", make_event, 1, false},
    {"launch that has ended", launch, 10, true},
    {"write that has ended", write_buffer, 10, true},
    {"launch with event, both gone", launch_with_event, 1, true},
    {"user event, gone", drop_user_event, 1, true},
};
#define NUM_KINDS (sizeof kinds / sizeof *kinds)

static void set_up(void)
{
    const char *text = source;
    const cl_int one = 1;
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
    kernel = clCreateKernel(program, "add", &status);
    check(status, "clCreateKernel");
    buffer = clCreateBuffer(context, CL_MEM_READ_WRITE, BYTES, NULL, &status);
    check(status, "clCreateBuffer");
    CHECK(clSetKernelArg(kernel, 0, sizeof buffer, &buffer));
    CHECK(clSetKernelArg(kernel, 1, sizeof one, &one));
}

static long heap(void)
{
    struct mallinfo2 info = mallinfo2();
    return (long)(info.uordblks + info.hblkhd);
}

/* Resident bytes of the mapping that handles point into, where that is not the heap: the shim's
 * band of handles. */
static long band(void)
{
    FILE *file = fopen("/proc/self/smaps", "r");
    char text[512];
    bool here = false;
    long kilobytes = 0;
    while (file && fgets(text, sizeof text, file)) {
        unsigned long start, end, handle = (unsigned long)context;
        if (sscanf(text, "%lx-%lx ", &start, &end) == 2)
            here = handle >= start && handle < end && !strstr(text, "[heap]");
        else if (here && sscanf(text, "Rss: %ld", &kilobytes) == 1)
            break;
    }
    if (file)
        fclose(file);
    return kilobytes * 1024;
}

/* Commands are waited for now and then: those that have not ended may cost what they like. */
static void make(const struct kind *kind, long count)
{
    for (long i = 0; i < count; i++) {
        kind->make();
        if (i % 256 == 255)
            CHECK(clFinish(queue));
    }
    CHECK(clFinish(queue));
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    set_up();
    for (size_t i = 0; i < NUM_KINDS; i++) {
        const struct kind *kind = &kinds[i];
        long count = strtol(argv[kind->is_command ? 2 : 1], NULL, 10) / kind->share;
        make(kind, kind->is_command ? 1024 : 64); /* what the first ones bring along stays */
        long heap_before = heap(), band_before = band();
        make(kind, count);
        printf("%s\t%s\t%ld\t%ld\t%ld\n", kind->name, kind->is_command ? "command" : "object",
               count, heap() - heap_before, band() - band_before);
        fflush(stdout);
    }
    return 0;
}
