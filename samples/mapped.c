/* SPDX-License-Identifier: Apache-2.0 */
/* Mapped buffers and sub-buffers. One buffer is cut in four sub-buffers; in each round the host
 * writes one quarter through a map while kernels run on the other three. A table stays mapped for
 * reading all the time, kernels or not; the results gather in memory of the program's own
 * (CL_MEM_USE_HOST_PTR). */
#include "common.h"

#include <stdlib.h>

#define QUARTERS 4
#define TABLE 256

static const char source[] =
    "kernel void work(global uint *numbers, global const uint *table)\n"
    "{\n"
    "    size_t i = get_global_id(0);\n"
    "    numbers[i] = numbers[i] * 5u + table[(numbers[i] >> 24) & 255u];\n"
    "}\n"
    "\n"
    "kernel void gather(global const uint *numbers, global uint *sums)\n"
    "{\n"
    "    size_t i = get_global_id(0);\n"
    "    sums[i] = rotate(sums[i], 3u) + numbers[i];\n"
    "}\n";

struct mapped {
    struct setup setup;
    unsigned count; /* numbers in a quarter */
    cl_program program;
    cl_kernel work, gather;
    cl_mem whole, quarters[QUARTERS];
    cl_mem table;
    const cl_uint *table_map; /* held from start to end */
    cl_mem sums;
    cl_uint *sums_host; /* owned; the buffer is made over it */
};

static cl_uint table_entry(unsigned i)
{
    return (i + 1) * 2246822519u;
}

static void *map(struct mapped *m, cl_mem buffer, cl_map_flags flags, size_t size)
{
    cl_int err;
    void *pointer =
        clEnqueueMapBuffer(m->setup.queue, buffer, CL_TRUE, flags, 0, size, 0, NULL, NULL, &err);
    check(err, "clEnqueueMapBuffer");
    return pointer;
}

static void unmap(struct mapped *m, cl_mem buffer, const void *pointer)
{
    check(clEnqueueUnmapMemObject(m->setup.queue, buffer, (void *)pointer, 0, NULL, NULL),
          "clEnqueueUnmapMemObject");
}

/* OpenCL 3.0 §5.2.1: a sub-buffer's origin obeys the device's alignment, which is in bits. */
static unsigned round_up_count(const struct setup *setup, unsigned count)
{
    cl_uint bits;
    check(clGetDeviceInfo(setup->device, CL_DEVICE_MEM_BASE_ADDR_ALIGN, sizeof bits, &bits, NULL),
          "clGetDeviceInfo");
    unsigned unit = bits / 8 > sizeof(cl_uint) ? bits / 8 / (unsigned)sizeof(cl_uint) : 1;
    return (count + unit - 1) / unit * unit;
}

static void create_quarters(struct mapped *m)
{
    size_t size = m->count * sizeof(cl_uint);
    m->whole =
        buffer_create(&m->setup, CL_MEM_READ_WRITE | CL_MEM_ALLOC_HOST_PTR, QUARTERS * size, NULL);
    for (unsigned i = 0; i < QUARTERS; i++) {
        cl_int err;
        cl_buffer_region region = {.origin = i * size, .size = size};
        m->quarters[i] = clCreateSubBuffer(m->whole, CL_MEM_READ_WRITE,
                                           CL_BUFFER_CREATE_TYPE_REGION, &region, &err);
        check(err, "clCreateSubBuffer");
    }
    cl_uint *numbers = map(m, m->whole, CL_MAP_WRITE, QUARTERS * size);
    for (unsigned i = 0; i < QUARTERS * m->count; i++)
        numbers[i] = i * 2654435761u;
    unmap(m, m->whole, numbers);
}

static void create_table(struct mapped *m)
{
    size_t size = TABLE * sizeof(cl_uint);
    m->table = buffer_create(&m->setup, CL_MEM_READ_ONLY | CL_MEM_ALLOC_HOST_PTR, size, NULL);
    cl_uint *entries = map(m, m->table, CL_MAP_WRITE_INVALIDATE_REGION, size);
    for (unsigned i = 0; i < TABLE; i++)
        entries[i] = table_entry(i);
    unmap(m, m->table, entries);
    m->table_map = map(m, m->table, CL_MAP_READ, size);
}

static void create_sums(struct mapped *m)
{
    size_t size = m->count * sizeof(cl_uint);
    m->sums_host = aligned_alloc(4096, (size + 4095) / 4096 * 4096);
    if (!m->sums_host)
        fail("out of memory: %zu bytes", size);
    for (unsigned i = 0; i < m->count; i++)
        m->sums_host[i] = i;
    m->sums = buffer_create(&m->setup, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR, size, m->sums_host);
}

static void mapped_init(struct mapped *m, const struct options *options)
{
    setup_init(&m->setup, options);
    m->count = round_up_count(&m->setup, options->size);
    m->program = program_build(&m->setup, source);
    m->work = kernel_create(m->program, "work");
    m->gather = kernel_create(m->program, "gather");
    create_quarters(m);
    create_table(m);
    create_sums(m);
    set_arg(m->work, 1, sizeof(cl_mem), &m->table);
    set_arg(m->gather, 1, sizeof(cl_mem), &m->sums);
}

static void mapped_finish(struct mapped *m)
{
    unmap(m, m->table, m->table_map);
    check(clFinish(m->setup.queue), "clFinish");
    for (unsigned i = 0; i < QUARTERS; i++)
        check(clReleaseMemObject(m->quarters[i]), "clReleaseMemObject");
    check(clReleaseMemObject(m->whole), "clReleaseMemObject");
    check(clReleaseMemObject(m->table), "clReleaseMemObject");
    check(clReleaseMemObject(m->sums), "clReleaseMemObject");
    check(clReleaseKernel(m->work), "clReleaseKernel");
    check(clReleaseKernel(m->gather), "clReleaseKernel");
    check(clReleaseProgram(m->program), "clReleaseProgram");
    setup_finish(&m->setup);
    free(m->sums_host);
}

static void enqueue(struct mapped *m, cl_kernel kernel, unsigned quarter)
{
    size_t global = m->count;
    set_arg(kernel, 0, sizeof(cl_mem), &m->quarters[quarter]);
    check(clEnqueueNDRangeKernel(m->setup.queue, kernel, 1, NULL, &global, NULL, 0, NULL, NULL),
          "clEnqueueNDRangeKernel");
}

/* The quarter that the host writes is mapped before the kernels of the other three are enqueued,
 * and unmapped after they have run. */
static void run_round(struct mapped *m, unsigned round)
{
    unsigned own = round % QUARTERS;
    cl_uint *numbers =
        map(m, m->quarters[own], CL_MAP_READ | CL_MAP_WRITE, m->count * sizeof *numbers);
    for (unsigned i = 1; i < QUARTERS; i++)
        enqueue(m, m->work, (own + i) % QUARTERS);
    check(clFlush(m->setup.queue), "clFlush");
    for (unsigned i = 0; i < m->count; i++)
        numbers[i] += m->table_map[(i + round) % TABLE];
    check(clFinish(m->setup.queue), "clFinish");
    unmap(m, m->quarters[own], numbers);
    enqueue(m, m->gather, own);
}

/* The same on the host. */
static void reference(cl_uint *sums, unsigned count, unsigned rounds)
{
    cl_uint *numbers = allocate(sizeof *numbers * QUARTERS * count);
    for (unsigned i = 0; i < QUARTERS * count; i++)
        numbers[i] = i * 2654435761u;
    for (unsigned i = 0; i < count; i++)
        sums[i] = i;
    for (unsigned round = 0; round < rounds; round++) {
        unsigned own = round % QUARTERS;
        for (unsigned i = 0; i < QUARTERS * count; i++)
            if (i / count == own)
                numbers[i] += table_entry((i % count + round) % TABLE);
            else
                numbers[i] = numbers[i] * 5u + table_entry(numbers[i] >> 24);
        for (unsigned i = 0; i < count; i++)
            sums[i] = (sums[i] << 3 | sums[i] >> 29) + numbers[own * count + i];
    }
    free(numbers);
}

int main(int argc, char **argv)
{
    struct options options = {.repeat = 100, .size = 1 << 16};
    struct mapped m;
    options_parse(&options, "Works on mapped buffers and sub-buffers.", argc, argv);
    mapped_init(&m, &options);
    for (unsigned round = 0; round < options.repeat; round++) {
        run_round(&m, round);
        progress("round", round + 1, options.repeat);
    }

    size_t size = m.count * sizeof(cl_uint);
    cl_uint *expected = allocate(size), *sums = map(&m, m.sums, CL_MAP_READ, size);
    if (sums != m.sums_host)
        fail("the map of a CL_MEM_USE_HOST_PTR buffer is not the program's own memory");
    reference(expected, m.count, options.repeat);
    for (unsigned i = 0; i < m.count; i++)
        if (sums[i] != expected[i])
            fail("sum %u is %u, not %u", i, sums[i], expected[i]);
    report(&options, sums, size);

    unmap(&m, m.sums, sums);
    free(expected);
    mapped_finish(&m);
    return 0;
}
