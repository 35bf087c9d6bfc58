/* SPDX-License-Identifier: Apache-2.0 */
/* What the measured programs have in common. */
#ifndef SHADOWCL_TESTS_BENCH_COMMON_H
#define SHADOWCL_TESTS_BENCH_COMMON_H

#include <CL/cl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline void expect(cl_int status, const char *what)
{
    if (status == CL_SUCCESS)
        return;
    printf("%s: %d\n", what, status);
    exit(1);
}

static inline double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* And a context on it. */
static inline cl_device_id first_device(cl_context *context)
{
    cl_platform_id platform;
    cl_device_id device;
    cl_int err;
    expect(clGetPlatformIDs(1, &platform, NULL), "clGetPlatformIDs");
    expect(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL), "clGetDeviceIDs");
    *context = clCreateContext(NULL, 1, &device, NULL, NULL, &err);
    expect(err, "clCreateContext");
    return device;
}

#endif
