/* SPDX-License-Identifier: Apache-2.0 */
/* A program that closes its own sandbox in the middle of its work: from then on membarrier(2) is
 * refused on all of its threads. Each thread computes on a queue of its own and checks every value;
 * one line of all results at the end. */
#include <CL/cl.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { THREADS = 4, ROUNDS = 400, ITEMS = 256, FIRST_ROUNDS = 50, EACH = 20 };

static const char *source =
    "kernel void advance(global uint *x, uint round)\n"
    "{ size_t i = get_global_id(0); x[i] = x[i] * 1664525u + 1013904223u + round; }\n";

static cl_device_id device;
static cl_context context;
static cl_program program;
static cl_kernel kernels[THREADS];
static atomic_int rounds_done;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t denied = PTHREAD_COND_INITIALIZER;
static int is_denied; /* guarded by lock */

static void need(cl_int err, const char *what)
{
    if (err == CL_SUCCESS)
        return;
    fprintf(stderr, "late: %s: %d\n", what, err);
    exit(1);
}

static void deny_membarrier(void)
{
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof rules / sizeof *rules, rules};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter) != 0) {
        perror("late: filter");
        exit(77);
    }
}

static void step(cl_command_queue queue, cl_kernel kernel, cl_uint round)
{
    size_t items = ITEMS;
    need(clSetKernelArg(kernel, 1, sizeof round, &round), "clSetKernelArg");
    need(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &items, NULL, 0, NULL, NULL), "launch");
    atomic_fetch_add(&rounds_done, 1);
    pthread_mutex_lock(&lock);
    while (round >= FIRST_ROUNDS && !is_denied)
        pthread_cond_wait(&denied, &lock);
    pthread_mutex_unlock(&lock);
}

static void compare(const cl_uint *expected, const cl_uint *found, cl_uint round)
{
    for (int i = 0; i < ITEMS; i++)
        if (expected[i] != found[i]) {
            fprintf(stderr, "late: round %u, item %d: %u, not %u\n", round, i, found[i],
                    expected[i]);
            exit(1);
        }
}

/* Returns the last value, for all of them have been compared. */
static void *work(void *number)
{
    cl_uint expected[ITEMS], found[ITEMS];
    cl_int err;
    for (cl_uint i = 0; i < ITEMS; i++)
        expected[i] = i + 1000 * (cl_uint)(uintptr_t)number;
    cl_command_queue queue = clCreateCommandQueue(context, device, 0, &err);
    need(err, "clCreateCommandQueue");
    cl_mem buffer = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, sizeof expected, expected, &err);
    need(err, "clCreateBuffer");
    cl_kernel kernel = kernels[(uintptr_t)number];
    need(clSetKernelArg(kernel, 0, sizeof(cl_mem), &buffer), "clSetKernelArg");
    for (cl_uint round = 0; round < ROUNDS; round++) {
        step(queue, kernel, round);
        for (int i = 0; i < ITEMS; i++)
            expected[i] = expected[i] * 1664525U + 1013904223U + round;
        if (round % EACH != EACH - 1)
            continue;
        need(clEnqueueReadBuffer(queue, buffer, CL_TRUE, 0, sizeof found, found, 0, NULL, NULL),
             "clEnqueueReadBuffer");
        compare(expected, found, round);
    }
    need(clReleaseKernel(kernel), "clReleaseKernel");
    need(clReleaseMemObject(buffer), "clReleaseMemObject");
    need(clReleaseCommandQueue(queue), "clReleaseCommandQueue");
    return (void *)(uintptr_t)found[ITEMS - 1];
}

static void set_up(void)
{
    cl_platform_id platform;
    cl_int err;
    need(clGetPlatformIDs(1, &platform, NULL), "clGetPlatformIDs");
    need(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL), "clGetDeviceIDs");
    context = clCreateContext(NULL, 1, &device, NULL, NULL, &err);
    need(err, "clCreateContext");
    program = clCreateProgramWithSource(context, 1, &source, NULL, &err);
    need(err, "clCreateProgramWithSource");
    need(clBuildProgram(program, 0, NULL, NULL, NULL, NULL), "clBuildProgram");
    for (int i = 0; i < THREADS; i++) {
        kernels[i] = clCreateKernel(program, "advance", &err);
        need(err, "clCreateKernel");
    }
}

int main(void)
{
    pthread_t threads[THREADS];
    void *last;
    set_up();
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work, (void *)i);
    while (atomic_load(&rounds_done) < THREADS * FIRST_ROUNDS)
        usleep(100);
    pthread_mutex_lock(&lock);
    deny_membarrier();
    is_denied = 1;
    pthread_cond_broadcast(&denied);
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &last);
        printf("%u ", (unsigned)(uintptr_t)last);
    }
    printf("refused: %d\n", syscall(SYS_membarrier, 0, 0, 0) < 0);
    need(clReleaseProgram(program), "clReleaseProgram");
    need(clReleaseContext(context), "clReleaseContext");
    return 0;
}
