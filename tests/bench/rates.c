/* SPDX-License-Identifier: Apache-2.0 */
/* Contents that are carried, and what the driver's own plain copies of them take. Fills its buffers
 * and waits; for each line it prints milliseconds: `read`, of non-blocking reads of all of them
 * into memory that has been touched; `write`, of making as many buffers, and of non-blocking writes
 * into them, which are released after; `read 2` and `write 2` by two queues in turn, a single
 * buffer in halves. `check` compares every byte, and prints `right`. Usage: bench-rates BYTES COUNT
 * [random|half|zero]: so many bytes in all, in so many buffers; what is in them (by default a
 * pattern; half: every other MiB is zero). */
#include "common.h"

#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cl_context context;
static cl_command_queue queues[2];
static cl_mem *buffers;
static size_t size, count;
static unsigned char *memory; /* as large as all of them */
static const char *fill = "pattern";

static void start(void)
{
    cl_int err;
    cl_device_id device = first_device(&context);
    for (int i = 0; i < 2; i++) {
        queues[i] = clCreateCommandQueue(context, device, 0, &err);
        expect(err, "clCreateCommandQueue");
    }
}

static cl_mem *make(void)
{
    cl_int err;
    cl_mem *made = calloc(count, sizeof *made);
    for (size_t i = 0; made && i < count; i++) {
        made[i] = clCreateBuffer(context, CL_MEM_READ_WRITE, size, NULL, &err);
        expect(err, "clCreateBuffer");
    }
    return made;
}

static void write_part(cl_command_queue queue, cl_mem to, size_t at, size_t bytes,
                       unsigned char *by)
{
    expect(clEnqueueWriteBuffer(queue, to, CL_FALSE, at, bytes, by, 0, NULL, NULL),
           "clEnqueueWriteBuffer");
}

static void read_part(cl_command_queue queue, cl_mem from, size_t at, size_t bytes,
                      unsigned char *by)
{
    expect(clEnqueueReadBuffer(queue, from, CL_FALSE, at, bytes, by, 0, NULL, NULL),
           "clEnqueueReadBuffer");
}

/* Milliseconds that all of them take, by so many queues. */
static double copy_all(void (*part)(cl_command_queue, cl_mem, size_t, size_t, unsigned char *),
                       const cl_mem *mems, size_t num_queues)
{
    double before = now_ms();
    size_t parts = count < num_queues ? num_queues : 1, bytes = size / parts;
    for (size_t i = 0; i < count * parts; i++) {
        size_t at = i % parts * bytes;
        part(queues[i % num_queues], mems[i / parts], at, i % parts + 1 < parts ? bytes : size - at,
             memory + i / parts * size + at);
    }
    for (size_t i = 0; num_queues > 1 && i < num_queues; i++)
        expect(clFlush(queues[i]), "clFlush");
    for (size_t i = 0; i < num_queues; i++)
        expect(clFinish(queues[i]), "clFinish");
    return now_ms() - before;
}

/* No two words are alike, and nothing can be made of them by a compressor (splitmix64). */
static uint64_t random_word(uint64_t at)
{
    at = (at + 1) * 0x9e3779b97f4a7c15;
    at = (at ^ at >> 30) * 0xbf58476d1ce4e5b9;
    at = (at ^ at >> 27) * 0x94d049bb133111eb;
    return at ^ at >> 31;
}

/* Bytes that tell their place. */
static unsigned char byte_at(size_t at)
{
    if (!strcmp(fill, "zero") || (!strcmp(fill, "half") && at >> 20 & 1))
        return 0;
    if (!strcmp(fill, "random") || !strcmp(fill, "half"))
        return (unsigned char)(random_word(at / 8) >> at % 8 * 8);
    return (unsigned char)(at * 7 + (at >> 12) * 13);
}

static void pattern(void)
{
    for (size_t i = 0; i < size * count; i++)
        memory[i] = byte_at(i);
}

static const char *check(void)
{
    memset(memory, 0, size * count);
    copy_all(read_part, buffers, 1);
    for (size_t i = 0; i < size * count; i++)
        if (memory[i] != byte_at(i))
            return "wrong";
    return "right";
}

/* Into memory as fresh as after a suspend: what a driver has given back to the heap goes back to
 * the kernel before. */
static void time_writes(size_t num_queues)
{
    malloc_trim(0);
    double before = now_ms();
    cl_mem *fresh = make();
    double made = now_ms() - before;
    printf("%.3f %.3f\n", made, copy_all(write_part, fresh, num_queues));
    for (size_t i = 0; i < count; i++)
        expect(clReleaseMemObject(fresh[i]), "clReleaseMemObject");
    free(fresh);
}

int main(int argc, char **argv)
{
    char line[16];
    if (argc != 3 && argc != 4)
        return 2;
    if (argc == 4)
        fill = argv[3];
    count = strtoul(argv[2], NULL, 10);
    size = strtoul(argv[1], NULL, 10) / count;
    memory = malloc(size * count);
    if (!memory)
        return 1;
    setvbuf(stdout, NULL, _IOLBF, 0);
    pattern();
    start();
    buffers = make();
    copy_all(write_part, buffers, 1);
    puts("ready");
    while (fgets(line, sizeof line, stdin)) {
        size_t num_queues = strchr(line, '2') ? 2 : 1;
        if (!strcmp(line, "check\n"))
            puts(check());
        else if (line[0] == 'r')
            printf("%.3f\n", copy_all(read_part, buffers, num_queues));
        else
            time_writes(num_queues);
    }
    return 0;
}
