/* SPDX-License-Identifier: Apache-2.0 */
/* An iterating solver: Jacobi steps for Poisson's equation; every tenth step the program looks at
 * how far it is, as solvers do. */
#include "program.h"

enum { SIZE = 256, CELLS = SIZE * SIZE };

static const char source[] =
    "kernel void advance(global const float *now, global float *next, global const float *right)\n"
    "{\n"
    "    int x = get_global_id(0), y = get_global_id(1), w = get_global_size(0);\n"
    "    int i = y * w + x;\n"
    "    if (x == 0 || y == 0 || x == w - 1 || y == w - 1)\n"
    "        next[i] = 0;\n"
    "    else\n"
    "        next[i] = 0.25f * (now[i - 1] + now[i + 1] + now[i - w] + now[i + w] + right[i]);\n"
    "}\n"
    "kernel void residual(global const float *now, global const float *next,\n"
    "                     global float *rows, int width)\n"
    "{\n"
    "    int y = get_global_id(0);\n"
    "    float sum = 0;\n"
    "    for (int x = 0; x < width; x++)\n"
    "        sum += fabs(now[y * width + x] - next[y * width + x]);\n"
    "    rows[y] = sum;\n"
    "}\n";

static cl_kernel step, residual;
static cl_mem fields[2], right, rows;
static double last;

static void set_up(void)
{
    float *values = numbers(CELLS);
    step = kernel_make("advance");
    residual = kernel_make("residual");
    for (int i = 0; i < 2; i++)
        fields[i] = buffer_make(CELLS * sizeof(float), values);
    right = buffer_make(CELLS * sizeof(float), values);
    rows = buffer_make(SIZE * sizeof(float), NULL);
    set_mem(step, 2, right);
    set_mem(residual, 2, rows);
    set_int(residual, 3, SIZE);
}

static void look(long now)
{
    const size_t lines = SIZE;
    float sums[SIZE];
    set_mem(residual, 0, fields[now % 2]);
    set_mem(residual, 1, fields[1 - now % 2]);
    launch(residual, 1, &lines, NULL);
    buffer_read(rows, sizeof sums, sums);
    last = 0;
    for (int i = 0; i < SIZE; i++)
        last += sums[i];
}

static void run(long steps)
{
    const size_t global[2] = {SIZE, SIZE};
    const cl_float zero = 0;
    for (int i = 0; i < 2; i++)
        CHECK(clEnqueueFillBuffer(queue, fields[i], &zero, sizeof zero, 0, CELLS * sizeof(float), 0,
                                  NULL, NULL));
    for (long i = 0; i < steps; i++) {
        set_mem(step, 0, fields[i % 2]);
        set_mem(step, 1, fields[1 - i % 2]);
        launch(step, 2, global, NULL);
        if (i % 10 == 9)
            look(i);
    }
}

static uint64_t digest(void)
{
    return digest_buffer(fields[0], CELLS * sizeof(float)) ^ digest_bytes(&last, sizeof last);
}

const struct program solver = {"iterating solver", source, set_up, run, digest, 1000, 10};
