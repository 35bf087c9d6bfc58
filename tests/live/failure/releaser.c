/* SPDX-License-Identifier: Apache-2.0 */
/* Speaks as the victim does: `go` begins to release one buffer after the other, all but the last;
 * `check` waits for that and compares the last one's bytes; `all` releases everything but the
 * devices; `second` makes a buffer on the second device, which `check` compares too; `sockets`
 * closes all sockets that it has; `pipes` puts one of its own, with bytes in it, in the place
 * of the pipe that it finds beside its standard input and outputs, and `own` looks for the bytes;
 * `quit`, for which it takes a second. */
#include <CL/cl.h>

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COUNT = 40, SIZE = 1 << 20, PAUSE_US = 5000 };

struct place {
    cl_context context;
    cl_command_queue queue;
};

static cl_platform_id platform;
static struct place first, second;
static cl_mem mems[COUNT], on_second;
static unsigned char bytes[SIZE];
static pthread_t thread;
static bool is_going;
static int numbers[2];
static const char mine[] = "what is mine";

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

static bool is_right(const struct place *place, cl_mem mem)
{
    static unsigned char back[SIZE];
    memset(back, 0, sizeof back);
    need(clEnqueueReadBuffer(place->queue, mem, CL_TRUE, 0, SIZE, back, 0, NULL, NULL),
         "clEnqueueReadBuffer");
    return memcmp(back, bytes, SIZE) == 0;
}

static const char *check(void)
{
    if (is_going)
        pthread_join(thread, NULL);
    is_going = false;
    if (first.queue && !is_right(&first, mems[COUNT - 1]))
        return "bad: other bytes";
    return second.queue && !is_right(&second, on_second) ? "bad: other bytes on the second" : "ok";
}

static void open_place(struct place *place, cl_uint number)
{
    cl_device_id devices[2] = {NULL};
    cl_int err;
    need(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 2, devices, NULL), "clGetDeviceIDs");
    place->context = clCreateContext(NULL, 1, &devices[number], NULL, NULL, &err);
    need(err, "clCreateContext");
    place->queue = clCreateCommandQueue(place->context, devices[number], 0, &err);
    need(err, "clCreateCommandQueue");
}

static cl_mem make(const struct place *place)
{
    cl_int err;
    cl_mem mem = clCreateBuffer(place->context, CL_MEM_COPY_HOST_PTR, SIZE, bytes, &err);
    need(err, "clCreateBuffer");
    return mem;
}

static void release_rest(void)
{
    for (int i = 0; i < COUNT; i++)
        need(clReleaseMemObject(mems[i]), "clReleaseMemObject");
    need(clReleaseCommandQueue(first.queue), "clReleaseCommandQueue");
    need(clReleaseContext(first.context), "clReleaseContext");
    first.queue = NULL;
}

static void close_sockets(void)
{
    struct stat status;
    for (int fd = 3; fd < 1024; fd++)
        if (fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode))
            close(fd);
}

/* As a program does that knows nothing of them: closefrom(3), then files of its own. */
static const char *take_pipes(void)
{
    struct stat status;
    int own[2], taken = 0;
    if (pipe(own) != 0)
        return "bad: no pipe";
    for (int fd = 3; fd < 1024 && taken < 2; fd++) {
        if (fd == own[0] || fd == own[1] || fstat(fd, &status) != 0 || !S_ISFIFO(status.st_mode))
            continue;
        if (dup2(own[taken], fd) != fd)
            return "bad: dup2";
        numbers[taken++] = fd;
    }
    close(own[0]);
    close(own[1]);
    if (taken < 2 || write(numbers[1], mine, sizeof mine) != sizeof mine)
        return "bad: there were no pipes";
    return "ok";
}

static const char *look_at_own(void)
{
    char back[sizeof mine] = "";
    struct stat one, other;
    if (fstat(numbers[0], &one) != 0 || fstat(numbers[1], &other) != 0 ||
        one.st_ino != other.st_ino)
        return "bad: its own pipe was closed";
    struct pollfd wait = {.fd = numbers[0], .events = POLLIN};
    if (poll(&wait, 1, 0) != 1 || read(numbers[0], back, sizeof back) != sizeof back ||
        memcmp(back, mine, sizeof mine) != 0)
        return "bad: somebody has read from its own pipe";
    return "ok";
}

static const char *act(const char *word)
{
    if (!strcmp(word, "check\n"))
        return check();
    if (!strcmp(word, "pipes\n"))
        return take_pipes();
    if (!strcmp(word, "own\n"))
        return look_at_own();
    if (!strcmp(word, "go\n")) {
        need(pthread_create(&thread, NULL, release_all, NULL), "pthread_create");
        is_going = true;
    } else if (!strcmp(word, "all\n")) {
        release_rest();
    } else if (!strcmp(word, "second\n")) {
        open_place(&second, 1);
        on_second = make(&second);
    } else if (!strcmp(word, "sockets\n")) {
        close_sockets();
    } else {
        return "bad: no such word";
    }
    return "ok";
}

static void take_a_second(void)
{
    sleep(1);
}

int main(void)
{
    char line[16];
    setvbuf(stdout, NULL, _IOLBF, 0);
    atexit(take_a_second); /* before the first call: after all that comes later */
    need(clGetPlatformIDs(1, &platform, NULL), "clGetPlatformIDs");
    for (int at = 0; at < SIZE; at++)
        bytes[at] = (unsigned char)(at * 7 + at / 256);
    open_place(&first, 0);
    for (int i = 0; i < COUNT; i++)
        mems[i] = make(&first);
    puts("ready");
    while (fgets(line, sizeof line, stdin) && strcmp(line, "quit\n") != 0)
        puts(act(line));
    return 0;
}
