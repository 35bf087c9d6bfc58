/* SPDX-License-Identifier: Apache-2.0 */
/* Many objects of all kinds, most of them small, and a few large buffers of which every other page
 * is zero. Says `ready OBJECTS BYTES`: how many it has made, and how many bytes other than zero the
 * memory objects hold; then waits. Usage: many COUNT */
#include <CL/cl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
#define LARGE ((size_t)8 << 20)
#define NUM_LARGE 4

static cl_context context;
static cl_device_id device;
static cl_program program;
static cl_mem last; /* buffer */
static unsigned long long bytes;
static unsigned long objects;

static void need(cl_int code, const char *what)
{
    if (code == CL_SUCCESS)
        return;
    fprintf(stderr, "%s: %d\n", what, code);
    exit(1);
}

/* No byte of it is zero, and no two pages are the same. */
static unsigned char *noise(size_t size)
{
    static unsigned state = 1;
    unsigned char *all = malloc(size);
    if (!all)
        exit(1);
    for (size_t i = 0; i < size; i++) {
        state = state * 1664525u + 1013904223u;
        all[i] = (unsigned char)(state >> 24 | 1);
    }
    return all;
}

static void make_buffer(size_t number)
{
    cl_int err;
    size_t size = 256 + number * 37 % 20000 / 256 * 256;
    unsigned char *from = noise(size);
    last = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, size, from, &err);
    need(err, "clCreateBuffer");
    bytes += size;
    free(from);
}

static void make_sub_buffer(size_t number)
{
    cl_int err;
    cl_buffer_region region = {0, 256};
    clCreateSubBuffer(last, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &err);
    need(err, "clCreateSubBuffer");
}

static void make_image(size_t number)
{
    cl_int err;
    cl_image_format format = {CL_RGBA, CL_UNSIGNED_INT8};
    cl_image_desc desc = {.image_type = CL_MEM_OBJECT_IMAGE2D,
                          .image_width = 1 + number % 31,
                          .image_height = 1 + number % 17};
    size_t size = desc.image_width * desc.image_height * 4;
    unsigned char *from = noise(size);
    clCreateImage(context, CL_MEM_COPY_HOST_PTR, &format, &desc, from, &err);
    need(err, "clCreateImage");
    bytes += size;
    free(from);
}

static void make_sampler(size_t number)
{
    cl_int err;
    clCreateSampler(context, CL_TRUE, CL_ADDRESS_CLAMP, CL_FILTER_NEAREST, &err);
    need(err, "clCreateSampler");
}

static void make_kernel(size_t number)
{
    cl_int err, value = (cl_int)number;
    cl_kernel kernel = clCreateKernel(program, "put", &err);
    need(err, "clCreateKernel");
    need(clSetKernelArg(kernel, 0, sizeof last, &last), "clSetKernelArg");
    need(clSetKernelArg(kernel, 1, sizeof value, &value), "clSetKernelArg");
}

static void make_queue(size_t number)
{
    cl_int err;
    if (number % 16)
        return make_buffer(number);
    clCreateCommandQueue(context, device, 0, &err);
    need(err, "clCreateCommandQueue");
}

static void make_event(size_t number)
{
    cl_int err;
    clCreateUserEvent(context, &err);
    need(err, "clCreateUserEvent");
}

static void make_large(void)
{
    cl_int err;
    unsigned char *from = noise(LARGE);
    for (size_t at = 0; at < LARGE; at += 2 * PAGE)
        memset(from + at, 0, PAGE);
    clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, LARGE, from, &err);
    need(err, "clCreateBuffer");
    bytes += LARGE / 2;
    free(from);
}

static void start(void)
{
    static const char *source =
        "kernel void put(global int *to, int value) { to[get_global_id(0)] = value; }\n";
    cl_platform_id platform;
    cl_int err;
    need(clGetPlatformIDs(1, &platform, NULL), "clGetPlatformIDs");
    need(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL), "clGetDeviceIDs");
    context = clCreateContext(NULL, 1, &device, NULL, NULL, &err);
    need(err, "clCreateContext");
    program = clCreateProgramWithSource(context, 1, &source, NULL, &err);
    need(err, "clCreateProgramWithSource");
    need(clBuildProgram(program, 1, &device, NULL, NULL, NULL), "clBuildProgram");
}

int main(int argc, char **argv)
{
    static void (*const kinds[])(size_t number) = {make_buffer,  make_sub_buffer, make_image,
                                                   make_sampler, make_kernel,     make_queue,
                                                   make_event};
    size_t count = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
    if (!count)
        return 2;
    start();
    for (size_t i = 0; i < count; i++)
        kinds[i % (sizeof kinds / sizeof *kinds)](i);
    for (size_t i = 0; i < NUM_LARGE; i++)
        make_large();
    objects = count + NUM_LARGE;
    printf("ready %lu %llu\n", objects, bytes);
    fflush(stdout);
    while (getchar() != EOF)
        continue;
    return 0;
}
