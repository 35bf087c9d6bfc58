/* SPDX-License-Identifier: Apache-2.0 */
/* Products of matrices, in tiles that lie in local memory. */
#include <stdlib.h>

#include "program.h"

enum { SIZE = 128, TILE = 16, BYTES = SIZE * SIZE * sizeof(float) };

static const char source[] =
    "#define TILE 16\n"
    "kernel __attribute__((reqd_work_group_size(TILE, TILE, 1)))\n"
    "void multiply(global const float *a, global const float *b, global float *c, int size)\n"
    "{\n"
    "    local float left[TILE][TILE], right[TILE][TILE];\n"
    "    int x = get_global_id(0), y = get_global_id(1);\n"
    "    int i = get_local_id(0), j = get_local_id(1);\n"
    "    float sum = 0;\n"
    "    for (int t = 0; t < size; t += TILE) {\n"
    "        left[j][i] = a[y * size + t + i];\n"
    "        right[j][i] = b[(t + j) * size + x];\n"
    "        barrier(CLK_LOCAL_MEM_FENCE);\n"
    "        for (int k = 0; k < TILE; k++)\n"
    "            sum += left[j][k] * right[k][i];\n"
    "        barrier(CLK_LOCAL_MEM_FENCE);\n"
    "    }\n"
    "    c[y * size + x] = sum;\n"
    "}\n";

static cl_kernel multiply;
static cl_mem a, b, c;

static void set_up(void)
{
    float *values = numbers(SIZE * SIZE);
    multiply = kernel_make("multiply");
    a = buffer_make(BYTES, values);
    b = buffer_make(BYTES, values);
    c = buffer_make(BYTES, NULL);
    free(values);
}

static void run(long products)
{
    const size_t global[2] = {SIZE, SIZE}, local[2] = {TILE, TILE};
    for (long i = 0; i < products; i++) {
        set_mem(multiply, 0, a);
        set_mem(multiply, 1, b);
        set_mem(multiply, 2, c);
        set_int(multiply, 3, SIZE);
        launch(multiply, 2, global, local);
        CHECK(clFinish(queue));
    }
}

static uint64_t digest(void)
{
    return digest_buffer(c, BYTES);
}

const struct program gemm = {"GEMM", source, set_up, run, digest, 100, 1};
