/* SPDX-License-Identifier: Apache-2.0 */
/* The platforms in the order of the loader, what a NULL platform leads to, and the first device of
 * each: what programs go by that take platform 0. */
#include <CL/cl.h>
#include <stdio.h>

static void print_device(const char *what, cl_platform_id platform)
{
    cl_device_id device;
    char name[256] = "", of[256] = "";
    cl_platform_id owner = NULL;
    cl_int err = clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL);
    if (err != CL_SUCCESS) {
        printf("%s no device: %d\n", what, err);
        return;
    }
    clGetDeviceInfo(device, CL_DEVICE_NAME, sizeof name, name, NULL);
    clGetDeviceInfo(device, CL_DEVICE_PLATFORM, sizeof(cl_platform_id), &owner, NULL);
    clGetPlatformInfo(owner, CL_PLATFORM_NAME, sizeof of, of, NULL);
    printf("%s %s of %s\n", what, name, of);
}

/* Without properties: which platform it is, the loader decides. */
static void print_context(void)
{
    cl_int err = CL_SUCCESS;
    cl_device_id device;
    char name[256] = "";
    cl_context context = clCreateContextFromType(NULL, CL_DEVICE_TYPE_ALL, NULL, NULL, &err);
    if (!context) {
        printf("context none: %d\n", err);
        return;
    }
    clGetContextInfo(context, CL_CONTEXT_DEVICES, sizeof(cl_device_id), &device, NULL);
    clGetDeviceInfo(device, CL_DEVICE_NAME, sizeof name, name, NULL);
    printf("context on %s\n", name);
    clReleaseContext(context);
}

int main(void)
{
    cl_platform_id platforms[16];
    cl_uint count = 0;
    cl_int err = clGetPlatformIDs(16, platforms, &count);
    printf("platforms %d: %u\n", err, count);
    for (cl_uint i = 0; i < count && i < 16; i++) {
        char name[256] = "";
        clGetPlatformInfo(platforms[i], CL_PLATFORM_NAME, sizeof name, name, NULL);
        printf("platform %s\n", name);
        print_device("first", platforms[i]);
    }
    print_device("default", NULL);
    print_context();
    return 0;
}
