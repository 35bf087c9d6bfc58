/* SPDX-License-Identifier: Apache-2.0 */
/* Vector add: sum = a + b, and the sum is the next round's a. Whole numbers, so that every device
 * gives the same bytes. */
#include "common.h"

#include <stdlib.h>

static const char source[] =
    "kernel void add(global const uint *a, global const uint *b, global uint *sum)\n"
    "{\n"
    "    size_t i = get_global_id(0);\n"
    "    sum[i] = a[i] + b[i];\n"
    "}\n";

static cl_uint first_a(unsigned i)
{
    return i * 2654435761u;
}

static cl_uint first_b(unsigned i)
{
    return i * i + 1;
}

/* Adds `rounds` times; the sums are in `result` afterwards. */
static void add(const struct setup *setup, cl_uint *result, unsigned count, unsigned rounds)
{
    size_t size = count * sizeof *result, global = count;
    cl_mem a = buffer_create(setup, CL_MEM_READ_WRITE, size, NULL);
    cl_mem sum = buffer_create(setup, CL_MEM_READ_WRITE, size, NULL);
    for (unsigned i = 0; i < count; i++)
        result[i] = first_b(i);
    cl_mem b = buffer_create(setup, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, size, result);
    for (unsigned i = 0; i < count; i++)
        result[i] = first_a(i);
    check(clEnqueueWriteBuffer(setup->queue, a, CL_TRUE, 0, size, result, 0, NULL, NULL),
          "clEnqueueWriteBuffer");

    cl_program program = program_build(setup, source);
    cl_kernel kernel = kernel_create(program, "add");
    set_arg(kernel, 1, sizeof b, &b);
    for (unsigned round = 0; round < rounds; round++) {
        set_arg(kernel, 0, sizeof a, &a);
        set_arg(kernel, 2, sizeof sum, &sum);
        check(clEnqueueNDRangeKernel(setup->queue, kernel, 1, NULL, &global, NULL, 0, NULL, NULL),
              "clEnqueueNDRangeKernel");
        check(clFinish(setup->queue), "clFinish");
        cl_mem next = a;
        a = sum;
        sum = next;
        progress("round", round + 1, rounds);
    }
    check(clEnqueueReadBuffer(setup->queue, a, CL_TRUE, 0, size, result, 0, NULL, NULL),
          "clEnqueueReadBuffer");

    check(clReleaseKernel(kernel), "clReleaseKernel");
    check(clReleaseProgram(program), "clReleaseProgram");
    check(clReleaseMemObject(a), "clReleaseMemObject");
    check(clReleaseMemObject(b), "clReleaseMemObject");
    check(clReleaseMemObject(sum), "clReleaseMemObject");
}

int main(int argc, char **argv)
{
    struct options options = {.repeat = 100, .size = 1 << 20};
    struct setup setup;
    options_parse(&options, "Adds vectors of --size numbers on an OpenCL device.", argc, argv);
    setup_init(&setup, &options);

    cl_uint *result = allocate(options.size * sizeof *result);
    add(&setup, result, options.size, options.repeat);
    for (unsigned i = 0; i < options.size; i++)
        if (result[i] != first_a(i) + options.repeat * first_b(i))
            fail("element %u is %u, not %u", i, result[i],
                 first_a(i) + options.repeat * first_b(i));
    report(&options, result, options.size * sizeof *result);

    free(result);
    setup_finish(&setup);
    return 0;
}
