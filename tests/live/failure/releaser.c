/* SPDX-License-Identifier: Apache-2.0 */
/* Speaks as the victim does: `go` begins to release one buffer after the other, all but the last;
 * `check` waits for that and compares the last one's bytes; `quit`. */
#include <CL/cl.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COUNT = 40, SIZE = 1 << 20, PAUSE_US = 5000 };

static cl_mem mems[COUNT];
static cl_command_queue queue;
static unsigned char bytes[SIZE];

static void need(cl_int code, const char *what)
{
    if (code == CL_SUCCESS)
        return;
    printf("bad: %s: %d\n", what, code);
    exit(1);
}

static void *release_all(void *unused)
{
    for (int i = 0; i < COUNT - 1; i++) {
        need(clReleaseMemObject(mems[i]), "clReleaseMemObject");
        usleep(PAUSE_US);
    }
    return NULL;
}

static void check(void)
{
    static unsigned char back[SIZE];
    need(clEnqueueReadBuffer(queue, mems[COUNT - 1], CL_TRUE, 0, SIZE, back, 0, NULL, NULL),
         "clEnqueueReadBuffer");
    puts(memcmp(back, bytes, SIZE) ? "bad: other bytes" : "ok");
}

int main(void)
{
    cl_platform_id platform;
    cl_device_id device;
    cl_int err;
    pthread_t thread;
    char line[16];
    setvbuf(stdout, NULL, _IOLBF, 0);
    need(clGetPlatformIDs(1, &platform, NULL), "clGetPlatformIDs");
    need(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL), "clGetDeviceIDs");
    cl_context context = clCreateContext(NULL, 1, &device, NULL, NULL, &err);
    need(err, "clCreateContext");
    queue = clCreateCommandQueue(context, device, 0, &err);
    need(err, "clCreateCommandQueue");
    for (int i = 0; i < COUNT; i++) {
        for (int at = 0; at < SIZE; at++)
            bytes[at] = (unsigned char)(at * 7 + at / 256 + i);
        mems[i] = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, SIZE, bytes, &err);
        need(err, "clCreateBuffer");
    }
    puts("ready");
    while (fgets(line, sizeof line, stdin) && strcmp(line, "quit\n") != 0) {
        if (!strcmp(line, "go\n")) {
            need(pthread_create(&thread, NULL, release_all, NULL), "pthread_create");
            puts("ok");
        } else {
            pthread_join(thread, NULL);
            check();
        }
    }
    return 0;
}
