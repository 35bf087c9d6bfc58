/* SPDX-License-Identifier: Apache-2.0 */
/* The work on the device: see work.h. */
#include "work.h"

#include <stdlib.h>

static const char source[] = "kernel void turn(global uint *words, uint round)\n"
                             "{\n"
                             "    uint i = (uint)get_global_id(0);\n"
                             "    words[i] = (words[i] * 1664525u + 1013904223u) ^ (i + round);\n"
                             "}\n";

void work_start(struct work *work)
{
    cl_platform_id platform;
    cl_int err;
    const char *text = source;
    ok(clGetPlatformIDs(1, &platform, NULL));
    ok(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &work->device, NULL));
    work->context = clCreateContext(NULL, 1, &work->device, NULL, NULL, &err);
    ok(err);
    work->queue = clCreateCommandQueue(work->context, work->device, 0, &err);
    ok(err);
    work->program = clCreateProgramWithSource(work->context, 1, &text, NULL, &err);
    ok(err);
    ok(clBuildProgram(work->program, 1, &work->device, "", NULL, NULL));
}

void work_end(struct work *work)
{
    ok(clReleaseProgram(work->program));
    ok(clReleaseCommandQueue(work->queue));
    ok(clReleaseContext(work->context));
}

cl_kernel work_kernel(const struct work *work)
{
    cl_int err;
    cl_kernel kernel = clCreateKernel(work->program, "turn", &err);
    ok(err);
    return kernel;
}

cl_mem work_buffer(const struct work *work, size_t words)
{
    cl_int err;
    uint32_t *bytes = malloc(words * sizeof *bytes);
    for (size_t i = 0; i < words; i++)
        bytes[i] = (uint32_t)i;
    cl_mem buffer =
        clCreateBuffer(work->context, CL_MEM_COPY_HOST_PTR, words * sizeof *bytes, bytes, &err);
    ok(err);
    free(bytes);
    return buffer;
}

void work_enqueue(cl_command_queue queue, cl_kernel kernel, cl_mem buffer, size_t words,
                  unsigned from, unsigned rounds)
{
    ok(clSetKernelArg(kernel, 0, sizeof buffer, &buffer));
    for (unsigned round = from; round < from + rounds; round++) {
        ok(clSetKernelArg(kernel, 1, sizeof round, &round));
        ok(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &words, NULL, 0, NULL, NULL));
    }
}

uint32_t work_word(uint32_t i, unsigned rounds)
{
    uint32_t word = i;
    for (unsigned round = 0; round < rounds; round++)
        word = (word * 1664525u + 1013904223u) ^ (i + round);
    return word;
}

void work_check(cl_command_queue queue, cl_mem buffer, size_t words, unsigned rounds)
{
    uint32_t *got = malloc(words * sizeof *got);
    ok(clEnqueueReadBuffer(queue, buffer, CL_TRUE, 0, words * sizeof *got, got, 0, NULL, NULL));
    for (size_t i = 0; i < words; i++)
        expect(got[i], work_word((uint32_t)i, rounds));
    free(got);
}

void work_once(const struct work *work, cl_command_queue queue, size_t words, unsigned rounds)
{
    cl_kernel kernel = work_kernel(work);
    cl_mem buffer = work_buffer(work, words);
    work_enqueue(queue, kernel, buffer, words, 0, rounds);
    work_check(queue, buffer, words, rounds);
    ok(clReleaseMemObject(buffer));
    ok(clReleaseKernel(kernel));
}
