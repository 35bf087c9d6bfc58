/* SPDX-License-Identifier: Apache-2.0 */
/* An ordinary program that is linked with an OpenCL loader. Says which library its loader is; with
 * the argument `platforms`, also which library each platform's dispatch table leads to. */
#include "where.h"

#include <CL/cl_icd.h>
#include <string.h>

struct _cl_platform_id {
    const cl_icd_dispatch *dispatch;
};

static int print_platforms(void)
{
    cl_platform_id platforms[16];
    cl_uint count = 0;
    cl_int err = clGetPlatformIDs(16, platforms, &count);
    if (err != CL_SUCCESS) {
        fprintf(stderr, "clGetPlatformIDs: %d\n", err);
        return 1;
    }
    int failed = 0;
    for (cl_uint i = 0; i < count && i < 16; i++)
        failed |=
            print_library("platform", (const void *)platforms[i]->dispatch->clGetPlatformInfo);
    return failed;
}

int main(int argc, char **argv)
{
    int failed = print_library("loader", (const void *)clGetPlatformIDs);
    if (argc > 1 && strcmp(argv[1], "platforms") == 0)
        failed |= print_platforms();
    return failed;
}
