/* SPDX-License-Identifier: Apache-2.0 */
/* Speaks as the victim does, and asks of its first platform, and of the last device of that, what
 * it has not asked before: `list` finds the devices; `there`: all of it is answered; `unplugged`:
 * the device's questions end with an error; `gone`: the platform's too; `unlisted`: it has no
 * devices; `type CODE` makes a context by type, which ends with that; `open` makes a context on the
 * first device, and a buffer in it; `step` computes there and compares; `close`; `order` asks the
 * first device whether it has queues out of order; `last` makes a context on the last one; `two`:
 * on the first and the last together; `quit`. */
#include <CL/cl.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT = 4096, MOST_DEVICES = 4 };

static const char *const source =
    "kernel void add(global uint *x) { x[get_global_id(0)] += get_global_id(0) + 3; }\n";

static cl_platform_id platform;
static cl_device_id devices[MOST_DEVICES];
static cl_uint num_devices;
static cl_context context;
static cl_command_queue queue;
static cl_kernel kernel;
static cl_mem mem;
static cl_uint steps;
static char wrong[256];

static void expect(const char *what, cl_int code, cl_int expected)
{
    if (code != expected && !wrong[0])
        snprintf(wrong, sizeof wrong, "bad: %s: %d, not %d", what, code, expected);
}

#define GOOD(call) expect(#call, call, CL_SUCCESS)

static void list(void)
{
    char name[256];
    GOOD(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, MOST_DEVICES, devices, &num_devices));
    for (cl_uint i = 0; i < num_devices; i++)
        GOOD(clGetDeviceInfo(devices[i], CL_DEVICE_NAME, sizeof name, name, NULL));
}

static void ask_platform(cl_int expected)
{
    char text[256];
    expect("clGetPlatformInfo",
           clGetPlatformInfo(platform, CL_PLATFORM_PROFILE, sizeof text, text, NULL), expected);
    GOOD(clUnloadPlatformCompiler(platform));
    GOOD(clUnloadCompiler());
}

static void ask_timers(cl_device_id device, cl_int expected)
{
    cl_ulong time, host;
    expect("clGetDeviceAndHostTimer", clGetDeviceAndHostTimer(device, &time, &host), expected);
    expect("clGetHostTimer", clGetHostTimer(device, &host), expected);
}

static void ask_device(cl_int expected, cl_int of_context)
{
    char text[256];
    const cl_device_partition_property halves[] = {CL_DEVICE_PARTITION_EQUALLY, 1, 0};
    cl_device_id device = devices[num_devices - 1];
    cl_uint parts;
    cl_int err;
    GOOD(clGetDeviceInfo(device, CL_DEVICE_NAME, sizeof text, text, NULL));
    expect("clGetDeviceInfo", clGetDeviceInfo(device, CL_DEVICE_PROFILE, sizeof text, text, NULL),
           expected);
    ask_timers(device, expected);
    if (expected != CL_SUCCESS)
        expect("clCreateSubDevices", clCreateSubDevices(device, halves, 0, NULL, &parts), expected);
    cl_context made = clCreateContext(NULL, 1, &device, NULL, NULL, &err);
    expect("clCreateContext", err, of_context);
    if (made)
        GOOD(clReleaseContext(made));
}

static void ask_type(cl_int expected)
{
    const cl_context_properties here[] = {CL_CONTEXT_PLATFORM, (cl_context_properties)platform, 0};
    cl_int err;
    cl_context made = clCreateContextFromType(here, CL_DEVICE_TYPE_ALL, NULL, NULL, &err);
    expect("clCreateContextFromType", err, expected);
    if (made)
        GOOD(clReleaseContext(made));
}

static void unlisted(void)
{
    cl_uint count = 7;
    expect("clGetDeviceIDs", clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, NULL, &count),
           CL_DEVICE_NOT_FOUND);
    expect("its count", (cl_int)count, 0);
}

static void open_context(void)
{
    cl_int err;
    static cl_uint zeroes[COUNT];
    context = clCreateContext(NULL, 1, devices, NULL, NULL, &err);
    expect("clCreateContext", err, CL_SUCCESS);
    queue = clCreateCommandQueue(context, devices[0], 0, &err);
    expect("clCreateCommandQueue", err, CL_SUCCESS);
    mem = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, sizeof zeroes, zeroes, &err);
    expect("clCreateBuffer", err, CL_SUCCESS);
    cl_program program = clCreateProgramWithSource(context, 1, (const char **)&source, NULL, &err);
    GOOD(clBuildProgram(program, 0, NULL, NULL, NULL, NULL));
    kernel = clCreateKernel(program, "add", &err);
    expect("clCreateKernel", err, CL_SUCCESS);
    GOOD(clReleaseProgram(program));
    GOOD(clSetKernelArg(kernel, 0, sizeof mem, &mem));
    steps = 0;
}

static void step(void)
{
    const size_t items = COUNT;
    static cl_uint back[COUNT];
    memset(back, 0xff, sizeof back);
    GOOD(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &items, NULL, 0, NULL, NULL));
    GOOD(clEnqueueReadBuffer(queue, mem, CL_TRUE, 0, sizeof back, back, 0, NULL, NULL));
    steps++;
    for (cl_uint i = 0; i < COUNT && !wrong[0]; i++)
        expect("the contents", (cl_int)back[i], (cl_int)(steps * (i + 3)));
}

static void close_context(void)
{
    GOOD(clReleaseKernel(kernel));
    GOOD(clReleaseMemObject(mem));
    GOOD(clReleaseCommandQueue(queue));
    GOOD(clReleaseContext(context));
}

static void ask_order(void)
{
    cl_command_queue_properties can = 0;
    GOOD(clGetDeviceInfo(devices[0], CL_DEVICE_QUEUE_PROPERTIES, sizeof can, &can, NULL));
}

static void make_on(const char *what, cl_uint count, const cl_device_id *those, cl_int expected)
{
    cl_int err;
    cl_context made = clCreateContext(NULL, count, those, NULL, NULL, &err);
    expect(what, err, expected);
    if (made)
        GOOD(clReleaseContext(made));
}

static void act(const char *word)
{
    if (!strcmp(word, "list"))
        list();
    else if (!strcmp(word, "there"))
        ask_platform(CL_SUCCESS), ask_device(CL_SUCCESS, CL_SUCCESS);
    else if (!strcmp(word, "unplugged"))
        ask_device(CL_OUT_OF_RESOURCES, CL_DEVICE_NOT_AVAILABLE);
    else if (!strcmp(word, "gone"))
        ask_platform(CL_INVALID_PLATFORM), ask_device(CL_OUT_OF_RESOURCES, CL_DEVICE_NOT_AVAILABLE);
    else if (!strcmp(word, "platform"))
        ask_platform(CL_INVALID_PLATFORM);
    else if (!strcmp(word, "unlisted"))
        unlisted();
    else if (!strncmp(word, "type ", 5))
        ask_type(atoi(word + 5));
    else if (!strcmp(word, "open"))
        open_context();
    else if (!strcmp(word, "step"))
        step();
    else if (!strcmp(word, "order"))
        ask_order();
    else if (!strcmp(word, "last"))
        make_on("the last", 1, &devices[num_devices - 1], CL_SUCCESS);
    else if (!strcmp(word, "two"))
        make_on("two in one", 2, (cl_device_id[]){devices[0], devices[num_devices - 1]},
                CL_INVALID_DEVICE);
    else if (!strcmp(word, "close"))
        close_context();
    else
        snprintf(wrong, sizeof wrong, "bad: no such word");
}

int main(void)
{
    char line[64];
    setvbuf(stdout, NULL, _IOLBF, 0);
    GOOD(clGetPlatformIDs(1, &platform, NULL));
    puts(wrong[0] ? wrong : "ready");
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        if (!strcmp(line, "quit"))
            return 0;
        wrong[0] = '\0';
        act(line);
        puts(wrong[0] ? wrong : "ok");
    }
    return 0;
}
