/* SPDX-License-Identifier: Apache-2.0 */
/* A program with much on its device of which it needs a little: fills all of its buffers, then
 * again and again, every 20 ms, adds one to each number of the first SHARE percent, and prints when
 * the last of these kernels had ended (CLOCK_MONOTONIC, ms). Told to end it checks every byte.
 * Usage: bench-lazy MIB KIB SHARE: so many MiB in buffers of KIB each. */
#include "common.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

static cl_command_queue queue;
static cl_mem *buffers;
static size_t size, count, needed;

static cl_kernel start(cl_context *context)
{
    static const char *source = "kernel void add(global uint *to) { to[get_global_id(0)]++; }\n";
    cl_int err;
    cl_device_id device = first_device(context);
    queue = clCreateCommandQueue(*context, device, 0, &err);
    expect(err, "clCreateCommandQueue");
    cl_program program = clCreateProgramWithSource(*context, 1, &source, NULL, &err);
    expect(err, "clCreateProgramWithSource");
    expect(clBuildProgram(program, 1, &device, NULL, NULL, NULL), "clBuildProgram");
    cl_kernel kernel = clCreateKernel(program, "add", &err);
    expect(err, "clCreateKernel");
    return kernel;
}

static void fill(cl_context context)
{
    cl_int err;
    buffers = calloc(count, sizeof *buffers);
    for (cl_uint i = 0; buffers && i < count; i++) {
        buffers[i] = clCreateBuffer(context, CL_MEM_READ_WRITE, size, NULL, &err);
        expect(err, "clCreateBuffer");
        expect(clEnqueueFillBuffer(queue, buffers[i], &i, sizeof i, 0, size, 0, NULL, NULL),
               "clEnqueueFillBuffer");
    }
    expect(clFinish(queue), "clFinish");
}

static void add(cl_kernel kernel)
{
    size_t items = size / sizeof(cl_uint);
    for (size_t i = 0; i < needed; i++) {
        expect(clSetKernelArg(kernel, 0, sizeof(cl_mem), &buffers[i]), "clSetKernelArg");
        expect(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &items, NULL, 0, NULL, NULL),
               "clEnqueueNDRangeKernel");
    }
    expect(clFinish(queue), "clFinish");
}

static void check(cl_uint rounds)
{
    cl_uint *bytes = malloc(size);
    for (cl_uint i = 0; bytes && i < count; i++) {
        expect(clEnqueueReadBuffer(queue, buffers[i], CL_TRUE, 0, size, bytes, 0, NULL, NULL),
               "clEnqueueReadBuffer");
        for (size_t at = 0; at < size / sizeof *bytes; at++)
            if (bytes[at] != i + (i < needed ? rounds : 0)) {
                printf("buffer %u has %u at %zu\n", i, bytes[at], at);
                exit(1);
            }
    }
    puts("right");
    free(bytes);
}

int main(int argc, char **argv)
{
    cl_context context;
    cl_uint rounds = 0;
    struct pollfd input = {.fd = 0, .events = POLLIN};
    if (argc != 4)
        return 2;
    size = strtoul(argv[2], NULL, 10) << 10;
    count = (strtoul(argv[1], NULL, 10) << 20) / size;
    needed = count * strtoul(argv[3], NULL, 10) / 100;
    setvbuf(stdout, NULL, _IOLBF, 0);
    cl_kernel kernel = start(&context);
    fill(context);
    do {
        add(kernel);
        rounds++;
        printf("%.3f\n", now_ms());
    } while (poll(&input, 1, 20) == 0);
    check(rounds);
    return 0;
}
