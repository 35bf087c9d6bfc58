/* SPDX-License-Identifier: Apache-2.0 */
/* Many small kernels: the worst that a layer can be given, as there is next to no work under it. */
#include "program.h"

enum { ITEMS = 16 };

static const char source[] =
    "kernel void add(global uint *to, uint value) { to[get_global_id(0)] += value; }\n";

static cl_kernel add;
static cl_mem buffer;

static void set_up(void)
{
    add = kernel_make("add");
    buffer = buffer_make(ITEMS * sizeof(cl_uint), NULL);
}

static void run(long launches)
{
    const size_t global = ITEMS;
    const cl_uint zero = 0;
    CHECK(clEnqueueFillBuffer(queue, buffer, &zero, sizeof zero, 0, ITEMS * sizeof zero, 0, NULL,
                              NULL));
    set_mem(add, 0, buffer);
    for (long i = 0; i < launches; i++) {
        set_int(add, 1, (cl_int)i);
        launch(add, 1, &global, NULL);
        if (i % 1000 == 999)
            CHECK(clFinish(queue));
    }
}

static uint64_t digest(void)
{
    return digest_buffer(buffer, ITEMS * sizeof(cl_uint));
}

const struct program small_kernels = {
    "100,000 small kernels", source, set_up, run, digest, 100000, 500};
