/* SPDX-License-Identifier: Apache-2.0 */
/* A program that opens the library itself, closes it, and opens it again. */
#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>

#include "work.h"

/* Not linked with OpenCL: each round takes the functions anew. */
static void *library;

#define CALL(name) ((__typeof__(name) *)find(#name))

static void *find(const char *name)
{
    void *function = dlsym(library, name);
    expect(function != NULL, 1);
    return function;
}

static void compute(cl_context context, cl_device_id device)
{
    cl_int err;
    cl_uint value = 7, read = 0;
    cl_command_queue queue = CALL(clCreateCommandQueue)(context, device, 0, &err);
    ok(err);
    cl_mem mem = CALL(clCreateBuffer)(context, CL_MEM_READ_WRITE, 4096, NULL, &err);
    ok(err);
    ok(CALL(clEnqueueFillBuffer)(queue, mem, &value, 4, 0, 4096, 0, NULL, NULL));
    ok(CALL(clEnqueueReadBuffer)(queue, mem, CL_TRUE, 4092, 4, &read, 0, NULL, NULL));
    expect(read, value);
    ok(CALL(clReleaseMemObject)(mem));
    ok(CALL(clReleaseCommandQueue)(queue));
}

static int run_again(void)
{
    for (int round = 0; round < 5; round++) {
        cl_platform_id platform;
        cl_device_id device;
        cl_int err;
        library = dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL);
        expect(library != NULL, 1);
        ok(CALL(clGetPlatformIDs)(1, &platform, NULL));
        ok(CALL(clGetDeviceIDs)(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL));
        cl_context context = CALL(clCreateContext)(NULL, 1, &device, NULL, NULL, &err);
        ok(err);
        compute(context, device);
        if (round % 2) {
            expect(outside("suspend", getpid()), 0);
            if (round == 3) /* closed while suspended */
                dlclose(library);
            expect(outside("resume", getpid()), 0);
            if (round == 3)
                library = dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL);
        }
        compute(context, device);
        ok(CALL(clReleaseContext)(context));
        dlclose(library);
        expect(outside("suspend", getpid()), 0); /* nobody has it open */
        expect(outside("resume", getpid()), 0);
    }
    puts("opened again");
    return 0;
}

int main(int argc, char **argv)
{
    static const struct moment moments[] = {{"again", run_again}};
    return moment_main(argc, argv, moments, 1);
}
