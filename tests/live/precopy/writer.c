/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps many buffers, and writes some of them in each round, in every way in which a program can
 * write one. Each piece holds one number throughout; the program knows which. Told `check` it looks
 * at every byte of all of them and says `right`; told `read` it says how many milliseconds plain
 * reads of one round's share take; told `rounds` how many it has written, without a call of OpenCL;
 * told `fork` it forks and says how many milliseconds that took, told `leave` it ends without more,
 * and told `drop` it releases the last buffer. With WRITER_BALLAST=MIB it has one large buffer
 * more, the last one made, which nothing writes; told `ballast` it looks at every byte of that.
 * Usage: writer PIECES KIB SHARE MS: so many buffers of KIB each, SHARE percent of them written in
 * a round, MS milliseconds between rounds. */
#include <CL/cl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *const source =
    "kernel void put(global uint *to, uint value) { to[get_global_id(0)] = value; }\n"
    "kernel void cast(const global uint *to, uint value)\n"
    "{ ((global uint *)to)[get_global_id(0)] = value; }\n"
    "kernel void take(constant uint *value, global uint *to)\n"
    "{ to[get_global_id(0)] = value[0]; }\n"
    "kernel void spin(global uint *to, uint rounds)\n"
    "{\n"
    "    uint x = 1;\n"
    "    for (uint i = 0; i < rounds; i++)\n"
    "        x = x * 1664525u + 1013904223u;\n"
    "    to[0] = x;\n"
    "}\n";

static cl_context context;
static cl_command_queue queue, other, busy;
static cl_kernel put, cast, take;
static cl_mem ballast;
static cl_mem *pieces, constants; /* `constants` holds the numbers 0 to 255, and is only read */
static cl_uint *known, num_pieces, share;
static _Atomic cl_uint generation;
static size_t size, ballast_size;
static unsigned pause_ms;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* a round, or what is asked */

static void expect(cl_int status, const char *what)
{
    if (status == CL_SUCCESS)
        return;
    printf("%s: %d\n", what, status);
    exit(1);
}

static void launch(cl_kernel kernel, cl_mem to, cl_uint value)
{
    size_t items = size / 4;
    expect(clSetKernelArg(kernel, 0, sizeof to, &to), "clSetKernelArg");
    expect(clSetKernelArg(kernel, 1, sizeof value, &value), "clSetKernelArg");
    expect(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &items, NULL, 0, NULL, NULL), "launch");
}

static void by_put(cl_mem to, cl_uint value)
{
    launch(put, to, value);
}

static void by_cast(cl_mem to, cl_uint value)
{
    launch(cast, to, value);
}

static void by_halves(cl_mem to, cl_uint value)
{
    for (size_t half = 0; half < 2; half++) {
        cl_buffer_region region = {half * size / 2, size / 2};
        size_t items = size / 8;
        cl_int err;
        cl_mem part = clCreateSubBuffer(to, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &err);
        expect(err, "clCreateSubBuffer");
        expect(clSetKernelArg(put, 0, sizeof part, &part), "clSetKernelArg");
        expect(clSetKernelArg(put, 1, sizeof value, &value), "clSetKernelArg");
        expect(clEnqueueNDRangeKernel(queue, put, 1, NULL, &items, NULL, 0, NULL, NULL), "launch");
        expect(clReleaseMemObject(part), "clReleaseMemObject");
    }
}

static void by_fill(cl_mem to, cl_uint value)
{
    expect(clEnqueueFillBuffer(queue, to, &value, sizeof value, 0, size, 0, NULL, NULL), "fill");
}

static cl_uint *numbers(cl_uint value)
{
    cl_uint *all = malloc(size);
    for (size_t i = 0; all && i < size / 4; i++)
        all[i] = value;
    if (!all)
        exit(1);
    return all;
}

static void by_write(cl_mem to, cl_uint value)
{
    cl_uint *from = numbers(value);
    expect(clEnqueueWriteBuffer(queue, to, CL_TRUE, 0, size, from, 0, NULL, NULL), "write");
    free(from);
}

static void by_rectangle(cl_mem to, cl_uint value)
{
    const size_t zero[3] = {0}, region[3] = {64, size / 64, 1};
    cl_uint *from = numbers(value);
    expect(clEnqueueWriteBufferRect(queue, to, CL_TRUE, zero, zero, region, 0, 0, 0, 0, from, 0,
                                    NULL, NULL),
           "clEnqueueWriteBufferRect");
    free(from);
}

static void by_map(cl_mem to, cl_uint value)
{
    cl_int err;
    cl_uint *at =
        clEnqueueMapBuffer(queue, to, CL_TRUE, CL_MAP_WRITE, 0, size, 0, NULL, NULL, &err);
    expect(err, "clEnqueueMapBuffer");
    for (size_t i = 0; i < size / 4; i++)
        at[i] = value;
    expect(clEnqueueUnmapMemObject(queue, to, at, 0, NULL, NULL), "clEnqueueUnmapMemObject");
}

static void by_copy(cl_mem to, cl_uint value)
{
    cl_int err;
    cl_uint *from = numbers(value);
    cl_mem copy = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, size, from, &err);
    expect(err, "clCreateBuffer");
    expect(clEnqueueCopyBuffer(queue, copy, to, 0, 0, size, 0, NULL, NULL), "copy");
    expect(clReleaseMemObject(copy), "clReleaseMemObject");
    free(from);
}

/* Behind a user event: the shim hands it over later. */
static void by_held_kernel(cl_mem to, cl_uint value)
{
    cl_int err;
    size_t items = size / 4;
    cl_event gate = clCreateUserEvent(context, &err);
    expect(err, "clCreateUserEvent");
    expect(clSetKernelArg(put, 0, sizeof to, &to), "clSetKernelArg");
    expect(clSetKernelArg(put, 1, sizeof value, &value), "clSetKernelArg");
    expect(clEnqueueNDRangeKernel(queue, put, 1, NULL, &items, NULL, 1, &gate, NULL), "launch");
    expect(clSetUserEventStatus(gate, CL_COMPLETE), "clSetUserEventStatus");
    expect(clReleaseEvent(gate), "clReleaseEvent");
}

/* The number lies in a buffer that kernels only read. */
static void by_constant(cl_mem to, cl_uint value)
{
    cl_int err;
    size_t items = size / 4;
    cl_buffer_region region = {(value & 255) * 256, 256};
    cl_mem part =
        clCreateSubBuffer(constants, CL_MEM_READ_ONLY, CL_BUFFER_CREATE_TYPE_REGION, &region, &err);
    expect(err, "clCreateSubBuffer");
    expect(clSetKernelArg(take, 0, sizeof part, &part), "clSetKernelArg");
    expect(clSetKernelArg(take, 1, sizeof to, &to), "clSetKernelArg");
    expect(clEnqueueNDRangeKernel(queue, take, 1, NULL, &items, NULL, 0, NULL, NULL), "launch");
    expect(clReleaseMemObject(part), "clReleaseMemObject");
}

static void (*const ways[])(cl_mem, cl_uint) = {by_put,         by_cast,      by_halves, by_fill,
                                                by_write,       by_rectangle, by_map,    by_copy,
                                                by_held_kernel, by_constant};
#define NUM_WAYS (sizeof ways / sizeof *ways)

/* The same pieces are not written in each round, nor the same piece in the same way. */
static void write_share(void)
{
    cl_uint count = num_pieces * share / 100;
    for (cl_uint i = 0; i < count; i++) {
        cl_uint at = (generation * 7 + i) % num_pieces;
        cl_uint value = (generation + i) & 255;
        ways[(generation + i * 3) % NUM_WAYS](pieces[at], value);
        known[at] = value;
    }
    generation++;
    expect(clFinish(queue), "clFinish");
}

static void *write_all_the_time(void *unused)
{
    struct timespec pause = {pause_ms / 1000, pause_ms % 1000 * 1000000L};
    for (;;) {
        pthread_mutex_lock(&lock);
        write_share();
        pthread_mutex_unlock(&lock);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static void make_ballast(size_t mib)
{
    cl_int err;
    ballast_size = mib << 20;
    cl_ulong *bytes = malloc(ballast_size);
    for (size_t i = 0; bytes && i < ballast_size / sizeof *bytes; i++)
        bytes[i] = i;
    ballast = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, ballast_size, bytes, &err);
    expect(err, "clCreateBuffer");
    free(bytes);
}

static void check_ballast(void)
{
    cl_ulong *bytes = malloc(ballast_size);
    bool right = bytes != NULL;
    expect(clEnqueueReadBuffer(other, ballast, CL_TRUE, 0, ballast_size, bytes, 0, NULL, NULL),
           "read");
    for (size_t i = 0; right && i < ballast_size / sizeof *bytes; i++)
        right = bytes[i] == i;
    puts(right ? "right" : "wrong");
    free(bytes);
}

static bool is_right(cl_uint at)
{
    cl_uint *bytes = malloc(size);
    bool right = bytes != NULL;
    expect(clEnqueueReadBuffer(other, pieces[at], CL_TRUE, 0, size, bytes, 0, NULL, NULL), "read");
    for (size_t i = 0; right && i < size / 4; i++)
        right = bytes[i] == known[at];
    if (!right)
        printf("piece %u is not %u throughout, but %u\n", at, known[at], bytes ? bytes[0] : 0);
    free(bytes);
    return right;
}

static void check(void)
{
    cl_uint wrong = 0;
    for (cl_uint i = 0; i < num_pieces; i++)
        wrong += !is_right(i);
    puts(wrong ? "wrong" : "right");
}

/* With WRITER_BUSY, a queue that is never empty: behind each kernel of a second or so waits
 * another. */
static void *keep_busy(void *kernel)
{
    const size_t one = 1;
    cl_event last = NULL, next;
    for (;;) {
        expect(clEnqueueNDRangeKernel(busy, kernel, 1, NULL, &one, NULL, 0, NULL, &next), "spin");
        expect(clFlush(busy), "clFlush");
        if (last) {
            expect(clWaitForEvents(1, &last), "clWaitForEvents");
            expect(clReleaseEvent(last), "clReleaseEvent");
        }
        last = next;
    }
    return NULL;
}

static void start_busy(cl_device_id device, cl_program program)
{
    cl_int err;
    cl_uint rounds = 300000000;
    pthread_t thread;
    cl_mem to = clCreateBuffer(context, 0, 4, NULL, &err);
    expect(err, "clCreateBuffer");
    busy = clCreateCommandQueue(context, device, 0, &err);
    expect(err, "clCreateCommandQueue");
    cl_kernel spin = clCreateKernel(program, "spin", &err);
    expect(err, "clCreateKernel");
    expect(clSetKernelArg(spin, 0, sizeof to, &to), "clSetKernelArg");
    expect(clSetKernelArg(spin, 1, sizeof rounds, &rounds), "clSetKernelArg");
    if (pthread_create(&thread, NULL, keep_busy, spin) != 0)
        exit(1);
}

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Into memory that has been touched, each into a place of its own. */
static void time_reads(void)
{
    cl_uint count = num_pieces * share / 100;
    char *to = malloc(count * size);
    if (!to)
        exit(1);
    memset(to, 1, count * size);
    double start = now_ms();
    for (cl_uint i = 0; i < count; i++)
        expect(
            clEnqueueReadBuffer(other, pieces[i], CL_FALSE, 0, size, to + i * size, 0, NULL, NULL),
            "read");
    expect(clFinish(other), "clFinish");
    printf("%.3f\n", now_ms() - start);
    free(to);
}

static void make_pieces(void)
{
    static cl_uint table[256 * 64];
    cl_int err;
    for (cl_uint i = 0; i < 256 * 64; i++)
        table[i] = i / 64;
    constants =
        clCreateBuffer(context, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, sizeof table, table, &err);
    expect(err, "clCreateBuffer");
    pieces = calloc(num_pieces, sizeof *pieces);
    known = calloc(num_pieces, sizeof *known);
    for (cl_uint i = 0; pieces && known && i < num_pieces; i++) {
        pieces[i] = clCreateBuffer(context, CL_MEM_READ_WRITE, size, NULL, &err);
        expect(err, "clCreateBuffer");
        known[i] = i & 255;
        by_fill(pieces[i], known[i]);
    }
    expect(clFinish(queue), "clFinish");
}

static void start(void)
{
    cl_platform_id platform;
    cl_device_id device;
    cl_int err;
    expect(clGetPlatformIDs(1, &platform, NULL), "clGetPlatformIDs");
    expect(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL), "clGetDeviceIDs");
    context = clCreateContext(NULL, 1, &device, NULL, NULL, &err);
    expect(err, "clCreateContext");
    queue = clCreateCommandQueue(context, device, 0, &err);
    expect(err, "clCreateCommandQueue");
    other = clCreateCommandQueue(context, device, 0, &err);
    expect(err, "clCreateCommandQueue");
    cl_program program = clCreateProgramWithSource(context, 1, (const char **)&source, NULL, &err);
    expect(err, "clCreateProgramWithSource");
    expect(clBuildProgram(program, 1, &device, NULL, NULL, NULL), "clBuildProgram");
    put = clCreateKernel(program, "put", &err);
    cast = clCreateKernel(program, "cast", &err);
    take = clCreateKernel(program, "take", &err);
    expect(err, "clCreateKernel");
    if (getenv("WRITER_BUSY"))
        start_busy(device, program);
}

static void fork_once(void)
{
    int status = 1;
    double start = now_ms();
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    double took = now_ms() - start;
    if (child > 0 && waitpid(child, &status, 0) == child && status == 0)
        printf("%.1f\n", took);
    else
        puts("no child");
}

/* Is it one that is answered without a look at the buffers? */
static bool answer_at_once(const char *line)
{
    if (!strcmp(line, "rounds\n"))
        printf("%u\n", generation);
    else if (!strcmp(line, "fork\n"))
        fork_once();
    else if (!strcmp(line, "leave\n"))
        exit(0);
    else
        return false;
    return true;
}

static void answer(const char *line)
{
    pthread_mutex_lock(&lock);
    if (!strcmp(line, "check\n")) {
        check();
    } else if (!strcmp(line, "drop\n")) {
        expect(clReleaseMemObject(pieces[--num_pieces]), "clReleaseMemObject");
        puts("dropped");
    } else if (!strcmp(line, "ballast\n")) {
        check_ballast();
    } else {
        time_reads();
    }
    pthread_mutex_unlock(&lock);
}

int main(int argc, char **argv)
{
    char line[16];
    pthread_t thread;
    if (argc != 5)
        return 2;
    num_pieces = (cl_uint)strtoul(argv[1], NULL, 10);
    size = strtoul(argv[2], NULL, 10) * 1024;
    share = (cl_uint)strtoul(argv[3], NULL, 10);
    pause_ms = (unsigned)strtoul(argv[4], NULL, 10);
    setvbuf(stdout, NULL, _IOLBF, 0);
    start();
    make_pieces();
    const char *mib = getenv("WRITER_BALLAST");
    if (mib)
        make_ballast(strtoul(mib, NULL, 10));
    write_share();
    if (pthread_create(&thread, NULL, write_all_the_time, NULL) != 0)
        return 1;
    puts("ready");
    while (fgets(line, sizeof line, stdin))
        if (!answer_at_once(line))
            answer(line);
    pthread_mutex_lock(&lock);
    check();
    return 0;
}
