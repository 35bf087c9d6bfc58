/* SPDX-License-Identifier: Apache-2.0 */
/* Does the driver build programs at once? Makes COUNT programs in one context and prints the
 * milliseconds until all are built there, and until each has run a kernel for the first time; every
 * result is compared.
 * Usage: bench-builds WAY COUNT THREADS, natively. The ways:
 *   turn      one after the other
 *   threads   several threads, all in that context
 *   contexts  several threads, each in a context of its own (which is no resume, but the most that
 *             can be had)
 *   binaries  the same, then from their binaries in the one context
 *   objects   each thread compiles in a context of its own; linked in the one context from the
 *             compiled objects' binaries */
#include "common.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 64, WORDS = 256 };

static const char source[] = "float wave(float x, uint n) {\n"
                             "    float sum = 0;\n"
                             "    for (uint k = 1; k <= n; k++)\n"
                             "        sum += sin(x * k) / k + sqrt(fabs(cos(x + k)));\n"
                             "    return sum;\n"
                             "}\n"
                             "kernel void fill(global uint *to, uint by) {\n"
                             "    to[get_global_id(0)] = get_global_id(0) * by + FACTOR;\n"
                             "}\n"
                             "kernel void smooth(global float *to, global const float *from) {\n"
                             "    local float tile[64];\n"
                             "    uint i = get_global_id(0);\n"
                             "    tile[get_local_id(0) % 64] = wave(from[i], FACTOR);\n"
                             "    barrier(CLK_LOCAL_MEM_FENCE);\n"
                             "    to[i] = tile[get_local_id(0) % 64] + tile[0];\n"
                             "}\n";

struct way {
    const char *name;
    bool threads, contexts, binaries, objects;
};

static const struct way ways[] = {{"turn", false, false, false, false},
                                  {"threads", true, false, false, false},
                                  {"contexts", true, true, false, false},
                                  {"binaries", true, true, true, false},
                                  {"objects", true, true, true, true}};

static const struct way *way;
static cl_device_id device;
static cl_context context;
static cl_program programs[MOST];
static unsigned count, num_threads;
static _Atomic unsigned next;

static cl_context new_context(void)
{
    cl_int err;
    cl_context made = clCreateContext(NULL, 1, &device, NULL, NULL, &err);
    expect(err, "clCreateContext");
    return made;
}

static cl_program build(cl_context in, unsigned i)
{
    cl_int err;
    char options[32];
    const char *text = source;
    snprintf(options, sizeof options, "-DFACTOR=%u", i + 3);
    cl_program program = clCreateProgramWithSource(in, 1, &text, NULL, &err);
    expect(err, "clCreateProgramWithSource");
    if (way->objects)
        expect(clCompileProgram(program, 1, &device, options, 0, NULL, NULL, NULL, NULL),
               "clCompileProgram");
    else
        expect(clBuildProgram(program, 1, &device, options, NULL, NULL), "clBuildProgram");
    return program;
}

/* The same in the one context, from the binary. */
static cl_program carry(cl_program from)
{
    size_t size = 0;
    cl_int err, status;
    expect(clGetProgramInfo(from, CL_PROGRAM_BINARY_SIZES, sizeof size, &size, NULL), "size");
    unsigned char *bytes = malloc(size + 1);
    expect(clGetProgramInfo(from, CL_PROGRAM_BINARIES, sizeof bytes, &bytes, NULL), "binary");
    cl_program program = clCreateProgramWithBinary(context, 1, &device, &size,
                                                   (const unsigned char **)&bytes, &status, &err);
    expect(err, "clCreateProgramWithBinary");
    free(bytes);
    if (way->objects) {
        cl_program linked = clLinkProgram(context, 1, &device, "", 1, &program, NULL, NULL, &err);
        expect(err, "clLinkProgram");
        clReleaseProgram(program);
        program = linked;
    } else {
        expect(clBuildProgram(program, 1, &device, "", NULL, NULL), "clBuildProgram of a binary");
    }
    clReleaseProgram(from);
    return program;
}

static void *work(void *unused)
{
    cl_context in = way->contexts ? new_context() : context;
    for (unsigned i; (i = atomic_fetch_add(&next, 1)) < count;) {
        cl_program program = build(in, i);
        programs[i] = way->binaries ? carry(program) : program;
    }
    if (way->contexts)
        clReleaseContext(in);
    return NULL;
}

static void build_all(void)
{
    pthread_t threads[MOST];
    unsigned more = way->threads ? num_threads - 1 : 0;
    for (unsigned i = 0; i < more; i++)
        if (pthread_create(&threads[i], NULL, work, NULL) != 0)
            exit(1);
    work(NULL);
    for (unsigned i = 0; i < more; i++)
        pthread_join(threads[i], NULL);
}

static void run(unsigned i)
{
    cl_int err;
    cl_uint by = i + 7, got[WORDS];
    const size_t items = WORDS;
    cl_context in;
    expect(clGetProgramInfo(programs[i], CL_PROGRAM_CONTEXT, sizeof in, &in, NULL), "context");
    cl_command_queue queue = clCreateCommandQueue(in, device, 0, &err);
    expect(err, "clCreateCommandQueue");
    cl_mem to = clCreateBuffer(in, CL_MEM_READ_WRITE, sizeof got, NULL, &err);
    expect(err, "clCreateBuffer");
    cl_kernel kernel = clCreateKernel(programs[i], "fill", &err);
    expect(err, "clCreateKernel");
    expect(clSetKernelArg(kernel, 0, sizeof to, &to), "clSetKernelArg");
    expect(clSetKernelArg(kernel, 1, sizeof by, &by), "clSetKernelArg");
    expect(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &items, NULL, 0, NULL, NULL), "launch");
    expect(clEnqueueReadBuffer(queue, to, CL_TRUE, 0, sizeof got, got, 0, NULL, NULL), "read");
    for (cl_uint j = 0; j < WORDS; j++)
        if (got[j] != j * by + i + 3)
            expect(1, "a result is wrong");
    clReleaseKernel(kernel);
    clReleaseMemObject(to);
    clReleaseCommandQueue(queue);
}

static bool read_arguments(int argc, char **argv)
{
    for (size_t i = 0; argc == 4 && i < sizeof ways / sizeof *ways; i++)
        if (!strcmp(ways[i].name, argv[1]))
            way = &ways[i];
    count = way ? (unsigned)atoi(argv[2]) : 0;
    num_threads = way ? (unsigned)atoi(argv[3]) : 0;
    return count > 0 && count <= MOST && num_threads > 0 && num_threads <= MOST;
}

int main(int argc, char **argv)
{
    if (!read_arguments(argc, argv))
        return 2;
    device = first_device(&context);
    double start = now_ms();
    build_all();
    double built = now_ms();
    for (unsigned i = 0; i < count; i++)
        run(i);
    printf("%.1f %.1f\n", built - start, now_ms() - start);
    return 0;
}
