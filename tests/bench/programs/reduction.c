/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of a million numbers: by groups in local memory, then the groups' sums by the program. */
#include <stdlib.h>

#include "program.h"

enum { COUNT = 1 << 20, GROUP = 64, GROUPS = 256 };

static const char source[] =
    "kernel void sum(global const float *from, global float *to, int count, local float *part)\n"
    "{\n"
    "    int i = get_local_id(0);\n"
    "    float mine = 0;\n"
    "    for (int j = get_global_id(0); j < count; j += get_global_size(0))\n"
    "        mine += from[j];\n"
    "    part[i] = mine;\n"
    "    for (int half_size = get_local_size(0) / 2; half_size; half_size /= 2) {\n"
    "        barrier(CLK_LOCAL_MEM_FENCE);\n"
    "        if (i < half_size)\n"
    "            part[i] += part[i + half_size];\n"
    "    }\n"
    "    if (i == 0)\n"
    "        to[get_group_id(0)] = part[0];\n"
    "}\n";

static cl_kernel sum;
static cl_mem from, to;
static double total;

static void set_up(void)
{
    float *values = numbers(COUNT);
    sum = kernel_make("sum");
    from = buffer_make(COUNT * sizeof(float), values);
    to = buffer_make(GROUPS * sizeof(float), NULL);
    free(values);
}

static void run(long sums)
{
    const size_t global = (size_t)GROUP * GROUPS, local = GROUP;
    float parts[GROUPS];
    for (long i = 0; i < sums; i++) {
        set_mem(sum, 0, from);
        set_mem(sum, 1, to);
        set_int(sum, 2, COUNT);
        CHECK(clSetKernelArg(sum, 3, GROUP * sizeof(float), NULL));
        launch(sum, 1, &global, &local);
        buffer_read(to, sizeof parts, parts);
        total = 0;
        for (int j = 0; j < GROUPS; j++)
            total += parts[j];
    }
}

static uint64_t digest(void)
{
    return digest_bytes(&total, sizeof total);
}

const struct program reduction = {"reduction", source, set_up, run, digest, 100, 1};
