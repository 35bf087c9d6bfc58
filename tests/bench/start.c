/* SPDX-License-Identifier: Apache-2.0 */
/* A program that links OpenCL. With `--ask` it asks for platforms, and prints the microseconds to
 * the first answer; without it never calls OpenCL. */
#include <CL/cl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec * 1e-3;
}

int main(int argc, char **argv)
{
    cl_uint count = 0;
    double start = now_us();
    if (argc < 2 || strcmp(argv[1], "--ask") != 0)
        return 0;
    if (clGetPlatformIDs(0, NULL, &count) != CL_SUCCESS || count == 0)
        return 1;
    printf("%.1f\n", now_us() - start);
    return 0;
}
