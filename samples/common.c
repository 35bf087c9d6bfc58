/* SPDX-License-Identifier: Apache-2.0 */
/* What every sample needs: see common.h. */
#include "common.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_PLATFORMS 16
#define MAX_DEVICES 64

void fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s: ", program_invocation_short_name);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

/* The errors of OpenCL 1.0 to 3.0, CL_DEVICE_NOT_FOUND (-1) to CL_MAX_SIZE_RESTRICTION_EXCEEDED. */
/* clang-format off */
#define ERRORS(X)                                                                                  \
    X(DEVICE_NOT_FOUND) X(DEVICE_NOT_AVAILABLE) X(COMPILER_NOT_AVAILABLE)                          \
    X(MEM_OBJECT_ALLOCATION_FAILURE) X(OUT_OF_RESOURCES) X(OUT_OF_HOST_MEMORY)                     \
    X(PROFILING_INFO_NOT_AVAILABLE) X(MEM_COPY_OVERLAP) X(IMAGE_FORMAT_MISMATCH)                   \
    X(IMAGE_FORMAT_NOT_SUPPORTED) X(BUILD_PROGRAM_FAILURE) X(MAP_FAILURE)                          \
    X(MISALIGNED_SUB_BUFFER_OFFSET) X(EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST)                   \
    X(COMPILE_PROGRAM_FAILURE) X(LINKER_NOT_AVAILABLE) X(LINK_PROGRAM_FAILURE)                     \
    X(DEVICE_PARTITION_FAILED) X(KERNEL_ARG_INFO_NOT_AVAILABLE) X(INVALID_VALUE)                   \
    X(INVALID_DEVICE_TYPE) X(INVALID_PLATFORM) X(INVALID_DEVICE) X(INVALID_CONTEXT)                \
    X(INVALID_QUEUE_PROPERTIES) X(INVALID_COMMAND_QUEUE) X(INVALID_HOST_PTR)                       \
    X(INVALID_MEM_OBJECT) X(INVALID_IMAGE_FORMAT_DESCRIPTOR) X(INVALID_IMAGE_SIZE)                 \
    X(INVALID_SAMPLER) X(INVALID_BINARY) X(INVALID_BUILD_OPTIONS) X(INVALID_PROGRAM)               \
    X(INVALID_PROGRAM_EXECUTABLE) X(INVALID_KERNEL_NAME) X(INVALID_KERNEL_DEFINITION)              \
    X(INVALID_KERNEL) X(INVALID_ARG_INDEX) X(INVALID_ARG_VALUE) X(INVALID_ARG_SIZE)                \
    X(INVALID_KERNEL_ARGS) X(INVALID_WORK_DIMENSION) X(INVALID_WORK_GROUP_SIZE)                    \
    X(INVALID_WORK_ITEM_SIZE) X(INVALID_GLOBAL_OFFSET) X(INVALID_EVENT_WAIT_LIST)                  \
    X(INVALID_EVENT) X(INVALID_OPERATION) X(INVALID_GL_OBJECT) X(INVALID_BUFFER_SIZE)              \
    X(INVALID_MIP_LEVEL) X(INVALID_GLOBAL_WORK_SIZE) X(INVALID_PROPERTY)                           \
    X(INVALID_IMAGE_DESCRIPTOR) X(INVALID_COMPILER_OPTIONS) X(INVALID_LINKER_OPTIONS)              \
    X(INVALID_DEVICE_PARTITION_COUNT) X(INVALID_PIPE_SIZE) X(INVALID_DEVICE_QUEUE)                 \
    X(INVALID_SPEC_ID) X(MAX_SIZE_RESTRICTION_EXCEEDED)
/* clang-format on */

static const char *error_name(cl_int err)
{
    switch (err) {
#define X(name)                                                                                    \
    case CL_##name:                                                                                \
        return "CL_" #name;
        ERRORS(X)
#undef X
    case -1001:
        return "CL_PLATFORM_NOT_FOUND_KHR";
    default:
        return "an error without a name";
    }
}

void check(cl_int err, const char *call)
{
    if (err != CL_SUCCESS)
        fail("%s: error %d (%s)", call, err, error_name(err));
}

void *allocate(size_t size)
{
    void *memory = malloc(size);
    if (!memory)
        fail("out of memory: %zu bytes", size);
    return memory;
}

unsigned option_number(struct argp_state *state, const char *text, unsigned low)
{
    char *end;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    if (errno || *end || end == text || *text == '-' || number < low || number > INT32_MAX)
        argp_error(state, "`%s` is not a number from %u to %d", text, low, INT32_MAX);
    return (unsigned)number;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case 'd':
        options->device = option_number(state, arg, 0);
        return 0;
    case 'o':
        options->output = arg;
        return 0;
    case 'r':
        options->repeat = option_number(state, arg, 1);
        return 0;
    case 's':
        options->size = option_number(state, arg, 1);
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "`%s`: takes options only", arg);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option option_list[] = {
    {"device", 'd', "N", 0, "Use device N, counted over all platforms (default 0)", 0},
    {"output", 'o', "FILE", 0, "Write the bytes of the result to FILE", 0},
    {"repeat", 'r', "N", 0, "Do the work N times, each from the result before", 0},
    {"size", 's', "N", 0, "Size of the problem", 0},
    {0},
};

const struct argp options_argp = {.options = option_list, .parser = parse_option};

void options_parse(struct options *options, const char *what, int argc, char **argv)
{
    struct argp argp = options_argp;
    argp.doc = what;
    argp_parse(&argp, argc, argv, 0, NULL, options);
}

/* A platform without devices is nothing special: the next one is asked. */
static cl_device_id find_device(unsigned index)
{
    cl_platform_id platforms[MAX_PLATFORMS];
    cl_uint num_platforms, seen = 0;
    check(clGetPlatformIDs(MAX_PLATFORMS, platforms, &num_platforms), "clGetPlatformIDs");
    for (cl_uint i = 0; i < num_platforms && i < MAX_PLATFORMS; i++) {
        cl_device_id devices[MAX_DEVICES];
        cl_uint count = 0;
        cl_int err = clGetDeviceIDs(platforms[i], CL_DEVICE_TYPE_ALL, MAX_DEVICES, devices, &count);
        if (err == CL_DEVICE_NOT_FOUND)
            continue;
        check(err, "clGetDeviceIDs");
        if (index - seen < count && index - seen < MAX_DEVICES)
            return devices[index - seen];
        seen += count;
    }
    fail("no device %u: there are %u", index, seen);
}

void setup_init(struct setup *setup, const struct options *options)
{
    cl_int err;
    setup->device = find_device(options->device);
    setup->context = clCreateContext(NULL, 1, &setup->device, NULL, NULL, &err);
    check(err, "clCreateContext");
    /* The call of OpenCL 1.0, so that the samples run on drivers of every version. */
    setup->queue = clCreateCommandQueue(setup->context, setup->device, 0, &err);
    check(err, "clCreateCommandQueue");
}

void setup_finish(struct setup *setup)
{
    check(clReleaseCommandQueue(setup->queue), "clReleaseCommandQueue");
    check(clReleaseContext(setup->context), "clReleaseContext");
}

void check_build(cl_int err, const char *call, cl_program program, cl_device_id device)
{
    size_t size = 0;
    if (err == CL_SUCCESS)
        return;
    if (program)
        clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, 0, NULL, &size);
    if (size > 1) {
        char *log = allocate(size);
        clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, size, log, NULL);
        fprintf(stderr, "%.*s\n", (int)size, log);
        free(log);
    }
    check(err, call);
}

cl_program program_build(const struct setup *setup, const char *source)
{
    cl_int err;
    cl_program program = clCreateProgramWithSource(setup->context, 1, &source, NULL, &err);
    check(err, "clCreateProgramWithSource");
    err = clBuildProgram(program, 1, &setup->device, NULL, NULL, NULL);
    check_build(err, "clBuildProgram", program, setup->device);
    return program;
}

cl_kernel kernel_create(cl_program program, const char *name)
{
    cl_int err;
    cl_kernel kernel = clCreateKernel(program, name, &err);
    check(err, "clCreateKernel");
    return kernel;
}

cl_mem buffer_create(const struct setup *setup, cl_mem_flags flags, size_t size, void *host)
{
    cl_int err;
    cl_mem buffer = clCreateBuffer(setup->context, flags, size, host, &err);
    check(err, "clCreateBuffer");
    return buffer;
}

void set_arg(cl_kernel kernel, cl_uint index, size_t size, const void *value)
{
    check(clSetKernelArg(kernel, index, size, value), "clSetKernelArg");
}

double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void progress(const char *unit, unsigned done, unsigned total)
{
    static double last;
    double now = seconds_now();
    if (done < total && now - last < 0.05)
        return;
    last = now;
    if (total)
        fprintf(stderr, "%s %u of %u\n", unit, done, total);
    else
        fprintf(stderr, "%s %u\n", unit, done);
}

static uint64_t digest(const unsigned char *bytes, size_t size)
{
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3;
    return hash;
}

static void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    if (!file)
        fail("open `%s`: %s", path, strerror(errno));
    bool written = fwrite(bytes, 1, size, file) == size;
    if (fclose(file) != 0 || !written)
        fail("write `%s`: %s", path, strerror(errno));
}

void report(const struct options *options, const void *result, size_t size)
{
    if (options->output)
        write_file(options->output, result, size);
    printf("ok %016llx\n", (unsigned long long)digest(result, size));
    if (fflush(stdout) != 0)
        fail("write the answer: %s", strerror(errno));
}
