/* SPDX-License-Identifier: Apache-2.0 */
/* Fourier transforms (Stockham's, radix 2): one launch for each of the 14 passes. */
#include <stdlib.h>

#include "program.h"

enum { PASSES = 14, POINTS = 1 << PASSES, BYTES = POINTS * sizeof(cl_float2) };

static const char source[] =
    "kernel void pass(global const float2 *from, global float2 *to, int half_length)\n"
    "{\n"
    "    int i = get_global_id(0), count = get_global_size(0);\n"
    "    int k = i & (half_length - 1);\n"
    "    float angle = -M_PI_F * (float)k / (float)half_length, c;\n"
    "    float s = sincos(angle, &c);\n"
    "    float2 a = from[i], b = from[i + count];\n"
    "    b = (float2)(b.x * c - b.y * s, b.x * s + b.y * c);\n"
    "    int j = ((i - k) << 1) + k;\n"
    "    to[j] = a + b;\n"
    "    to[j + half_length] = a - b;\n"
    "}\n";

static cl_kernel pass;
static cl_mem signal, fields[2];

static void set_up(void)
{
    float *values = numbers((size_t)POINTS * 2);
    pass = kernel_make("pass");
    signal = buffer_make(BYTES, values);
    for (int i = 0; i < 2; i++)
        fields[i] = buffer_make(BYTES, NULL);
    free(values);
}

static void run(long transforms)
{
    const size_t global = POINTS / 2;
    for (long t = 0; t < transforms; t++) {
        for (int i = 0; i < PASSES; i++) {
            set_mem(pass, 0, i ? fields[i % 2] : signal);
            set_mem(pass, 1, fields[1 - i % 2]);
            set_int(pass, 2, 1 << i);
            launch(pass, 1, &global, NULL);
        }
        CHECK(clFinish(queue));
    }
}

static uint64_t digest(void)
{
    return digest_buffer(fields[PASSES % 2], BYTES);
}

const struct program fft = {"FFT", source, set_up, run, digest, 40, 1};
