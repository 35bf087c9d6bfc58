/* SPDX-License-Identifier: Apache-2.0 */
/* Many small buffers: each is made, written, computed with, read, and released. */
#include "program.h"

enum { ITEMS = 64, BATCH = 100 };

static const char source[] =
    "kernel void square(global uint *to) { to[get_global_id(0)] *= to[get_global_id(0)]; }\n";

static cl_kernel square;
static cl_uint results[BATCH][ITEMS];

static void set_up(void)
{
    square = kernel_make("square");
}

static void run_batch(long first)
{
    const size_t global = ITEMS;
    cl_mem buffers[BATCH];
    for (long i = 0; i < BATCH; i++) {
        for (cl_uint j = 0; j < ITEMS; j++)
            results[i][j] = (cl_uint)(first + i) + j;
        buffers[i] = buffer_make(sizeof results[i], NULL);
        CHECK(clEnqueueWriteBuffer(queue, buffers[i], CL_FALSE, 0, sizeof results[i], results[i], 0,
                                   NULL, NULL));
        set_mem(square, 0, buffers[i]);
        launch(square, 1, &global, NULL);
        CHECK(clEnqueueReadBuffer(queue, buffers[i], CL_FALSE, 0, sizeof results[i], results[i], 0,
                                  NULL, NULL));
    }
    CHECK(clFinish(queue));
    for (long i = 0; i < BATCH; i++)
        CHECK(clReleaseMemObject(buffers[i]));
}

static void run(long count)
{
    for (long i = 0; i < count; i += BATCH)
        run_batch(i);
}

static uint64_t digest(void)
{
    return digest_bytes(results, sizeof results);
}

const struct program small_buffers = {"small buffers", source, set_up, run, digest, 10000, 200};
