/* SPDX-License-Identifier: Apache-2.0 */
/* Whole programs, small, to be timed natively and under the shim. An ordinary OpenCL program: it
 * sets up the one that its argument names, then each line on its input makes it run it once and
 * print `wall cpu digest`: seconds, seconds of all threads together, and a digest of the result,
 * the same for all runs. With --count it runs all of them under callgrind, which counts each one
 * apart. Usage: bench-programs NAME [PERCENT of the usual amount], or bench-programs --count */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "program.h"

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_ZERO_STATS
#define CALLGRIND_DUMP_STATS_AT(name)
#endif

cl_context context;
cl_command_queue queue;

static cl_device_id device;
static cl_program built;

static const struct program *const programs[] = {
    &solver, &gemm, &fft, &reduction, &filter, &small_kernels, &small_buffers,
};
#define NUM_PROGRAMS (sizeof programs / sizeof *programs)

void check(cl_int status, const char *call)
{
    if (status == CL_SUCCESS)
        return;
    fprintf(stderr, "programs: %s failed: %d\n", call, status);
    exit(1);
}

cl_kernel kernel_make(const char *name)
{
    cl_int status;
    cl_kernel kernel = clCreateKernel(built, name, &status);
    check(status, "clCreateKernel");
    return kernel;
}

cl_mem buffer_make(size_t size, const void *contents)
{
    cl_int status;
    cl_mem_flags flags = CL_MEM_READ_WRITE | (contents ? CL_MEM_COPY_HOST_PTR : 0);
    cl_mem mem = clCreateBuffer(context, flags, size, (void *)contents, &status);
    check(status, "clCreateBuffer");
    return mem;
}

void set_mem(cl_kernel kernel, cl_uint index, cl_mem mem)
{
    CHECK(clSetKernelArg(kernel, index, sizeof mem, &mem));
}

void set_int(cl_kernel kernel, cl_uint index, cl_int value)
{
    CHECK(clSetKernelArg(kernel, index, sizeof value, &value));
}

void launch(cl_kernel kernel, cl_uint dims, const size_t *global, const size_t *local)
{
    CHECK(clEnqueueNDRangeKernel(queue, kernel, dims, NULL, global, local, 0, NULL, NULL));
}

void buffer_read(cl_mem mem, size_t size, void *to)
{
    CHECK(clEnqueueReadBuffer(queue, mem, CL_TRUE, 0, size, to, 0, NULL, NULL));
}

float *numbers(size_t count)
{
    float *all = malloc(count * sizeof *all);
    uint32_t x = 1;
    for (size_t i = 0; all && i < count; i++) {
        x = x * 1664525u + 1013904223u;
        all[i] = (float)(x >> 8) / 16777216.0f;
    }
    return all;
}

uint64_t digest_bytes(const void *bytes, size_t size)
{
    uint64_t digest = 0xcbf29ce484222325;
    for (size_t i = 0; i < size; i++)
        digest = (digest ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3;
    return digest;
}

uint64_t digest_buffer(cl_mem mem, size_t size)
{
    void *bytes = malloc(size);
    buffer_read(mem, size, bytes);
    uint64_t digest = digest_bytes(bytes, size);
    free(bytes);
    return digest;
}

static void open_device(void)
{
    cl_platform_id platform;
    cl_int status;
    CHECK(clGetPlatformIDs(1, &platform, NULL));
    CHECK(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL));
    context = clCreateContext(NULL, 1, &device, NULL, NULL, &status);
    check(status, "clCreateContext");
    queue = clCreateCommandQueue(context, device, 0, &status);
    check(status, "clCreateCommandQueue");
}

static void set_up(const struct program *program)
{
    cl_int status;
    const char *source = program->source;
    built = clCreateProgramWithSource(context, 1, &source, NULL, &status);
    check(status, "clCreateProgramWithSource");
    CHECK(clBuildProgram(built, 1, &device, "", NULL, NULL));
    program->set_up();
    program->run(program->counted); /* pocl compiles a kernel when it is first launched */
    CHECK(clFinish(queue));
}

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void time_run(const struct program *program, long amount)
{
    double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    program->run(amount);
    CHECK(clFinish(queue));
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    wall = seconds(CLOCK_MONOTONIC) - wall;
    printf("%.6f %.6f %016llx\n", wall, cpu, (unsigned long long)program->digest());
    fflush(stdout);
}

static const struct program *find(const char *name)
{
    for (size_t i = 0; i < NUM_PROGRAMS; i++)
        if (strcmp(programs[i]->name, name) == 0)
            return programs[i];
    fprintf(stderr, "programs: there is no `%s`\n", name);
    exit(2);
}

static void count(const struct program *program)
{
    char name[80];
    set_up(program);
    snprintf(name, sizeof name, "%s\t1", program->name);
    CALLGRIND_ZERO_STATS; /* of all threads: the driver's run the kernels */
    program->run(program->counted);
    CHECK(clFinish(queue));
    CALLGRIND_DUMP_STATS_AT(name);
}

int main(int argc, char **argv)
{
    char line[64];
    if (argc < 2) {
        for (size_t i = 0; i < NUM_PROGRAMS; i++)
            printf("%s\n", programs[i]->name);
        return 0;
    }
    open_device();
    if (strcmp(argv[1], "--count") == 0) {
        for (int i = 2; i < argc; i++)
            count(find(argv[i]));
        return 0;
    }
    const struct program *program = find(argv[1]);
    long amount = program->amount * (argc > 2 ? strtol(argv[2], NULL, 10) : 100) / 100;
    set_up(program);
    while (fgets(line, sizeof line, stdin))
        time_run(program, amount > 0 ? amount : 1);
    return 0;
}
