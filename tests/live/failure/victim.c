/* SPDX-License-Identifier: Apache-2.0 */
/* Does on its standard input's word what an OpenCL program does: `step` computes, `check` compares
 * all that the device holds, `fromtype` makes a context by type, `together` one of all the
 * platform's devices, `apart` tries to where they live with several drivers, `load` a program from
 * a binary, `start` leaves a kernel running, `join` waits for it, `spare` makes a buffer and a
 * queue with a kernel, `drop` releases these two, `hold` opens the other file, `map` maps it and
 * closes it, `peek` looks whether it is still there, `letgo` ends that, `queues` makes very many
 * and releases them, `reuse` closes all descriptors and opens the other file many times, `files`
 * looks whether it still is, and empty, `fork` makes a child, which waits at the gate, `reach` uses
 * what the device said that it has, `overreach` does so where that is not there,
 * `quit`. Each is answered with `ok`, or with what is
 * wrong. A chain of commands always waits for an unset event.
 *
 *   victim [images] [double] [outoforder] [asks] [onechain] [hints] [listed] [group=N]
 *          [ballast=BYTES] [binary=FILE] [later=FILE] [links] [reload] [open=FILE] [other=FILE]
 *          [gl=LIBRARY] [atstart] [clean]
 * With `gl` the other file is opened and mapped by that library; `atstart`: while the driver
 * starts, in another thread. `clean`: then the program takes
 * SHADOWCL_DEVICE_NODES from its environment. */
#include "tests/live/failure/victim.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *wrong; /* the first thing that was found */

void need(cl_int code, const char *what)
{
    if (code == CL_SUCCESS)
        return;
    printf("bad: %s: %d\n", what, code);
    fflush(stdout);
    exit(1);
}

static void find(bool good, const char *what)
{
    if (!good && !wrong)
        wrong = what;
}

static void launch(struct victim *v, cl_command_queue queue, cl_kernel kernel, size_t count,
                   cl_event wait, cl_event *event)
{
    size_t group = v->wishes.group;
    need(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &count, group ? &group : NULL, wait ? 1 : 0,
                                wait ? &wait : NULL, event),
         "clEnqueueNDRangeKernel");
}

/* Commands that start when the gun is fired. */
static void arm(struct victim *v)
{
    cl_int err;
    cl_event kernel;
    v->gun = clCreateUserEvent(v->context, &err);
    need(err, "clCreateUserEvent");
    launch(v, v->third, v->twice, COUNT, v->gun, &kernel);
    need(clFlush(v->third), "clFlush");
    memset(v->late, 0, COUNT * sizeof(int));
    need(clEnqueueReadBuffer(v->wishes.one_chain ? v->third : v->second, v->chain, CL_FALSE, 0,
                             COUNT * sizeof(int), v->late, 1, &kernel, &v->shot),
         "clEnqueueReadBuffer");
    need(clReleaseEvent(kernel), "clReleaseEvent");
}

static void fire(struct victim *v)
{
    find(v->late[1] == 0, "a command that waits for an unset event has run");
    need(clSetUserEventStatus(v->gun, CL_COMPLETE), "clSetUserEventStatus");
    need(clReleaseEvent(v->gun), "clReleaseEvent");
    /* (rusticl 22.3's clFinish does not wait for what has been flushed.) */
    need(clWaitForEvents(1, &v->shot), "clWaitForEvents");
    need(clReleaseEvent(v->shot), "clReleaseEvent");
    need(clFinish(v->second), "clFinish");
    for (int i = 0; i < COUNT; i++)
        v->told_chain[i] = (int)(2u * (unsigned)v->told_chain[i] + 1u);
    find(!memcmp(v->late, v->told_chain, COUNT * sizeof(int)), "the chain's read");
}

static void look_at_event(struct ended *ended, cl_command_type *type, cl_ulong *times)
{
    cl_int status = CL_QUEUED;
    need(clGetEventInfo(ended->event, CL_EVENT_COMMAND_TYPE, sizeof *type, type, NULL), "its type");
    need(clGetEventInfo(ended->event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status,
                        NULL),
         "its status");
    find(status == CL_COMPLETE, "an event's status");
    for (cl_uint i = 0; i < 4; i++)
        need(clGetEventProfilingInfo(ended->event, CL_PROFILING_COMMAND_QUEUED + i, sizeof times[i],
                                     &times[i], NULL),
             "its times");
}

/* The sub-buffer's kernel, as it is on the host. */
static void step(struct victim *v)
{
    static int number;
    int factor = 3;
    number++;
    fire(v);
    need(clSetKernelArg(v->add, 1, sizeof number, &number), "clSetKernelArg");
    launch(v, v->first, v->add, COUNT, NULL, NULL);
    size_t local = (v->wishes.group ? v->wishes.group : HALF) * sizeof(int);
    need(clSetKernelArg(v->scale, 1, local, NULL), "clSetKernelArg");
    need(clSetKernelArg(v->scale, 2, sizeof factor, &factor), "clSetKernelArg");
    if (v->ended.event)
        need(clReleaseEvent(v->ended.event), "clReleaseEvent");
    launch(v, v->first, v->scale, HALF, NULL, &v->ended.event);
    need(clEnqueueCopyBuffer(v->first, v->data, v->host, 0, 0, COUNT * sizeof(int), 0, NULL, NULL),
         "clEnqueueCopyBuffer");
    need(clFinish(v->first), "clFinish");
    need(clWaitForEvents(1, &v->ended.event), "clWaitForEvents");
    for (int i = 0; i < COUNT; i++)
        v->told_data[i] = (int)((unsigned)v->told_data[i] + (unsigned)number);
    for (int i = HALF; i < COUNT; i++)
        v->told_data[i] = (int)((unsigned)v->told_data[i] * 3u + 1u);
    memcpy(v->told_host, v->told_data, COUNT * sizeof(int));
    look_at_event(&v->ended, &v->ended.type, v->ended.times);
    for (int i = HALF; i < COUNT; i += 5)
        v->pointer[i - HALF] = v->told_mapped[i] = number + i;
    arm(v);
}

static void check_buffer(struct victim *v, cl_mem buffer, const int *told, const char *what)
{
    static int held[COUNT];
    memset(held, 0xee, sizeof held);
    need(clEnqueueReadBuffer(v->first, buffer, CL_TRUE, 0, sizeof held, held, 0, NULL, NULL), what);
    find(!memcmp(held, told, sizeof held), what);
}

static void check_host(struct victim *v)
{
    cl_int err;
    int *pointer = clEnqueueMapBuffer(v->first, v->host, CL_TRUE, CL_MAP_READ, 0,
                                      COUNT * sizeof(int), 0, NULL, NULL, &err);
    need(err, "clEnqueueMapBuffer");
    find(pointer == v->host_memory, "the pointer to memory of the host");
    find(!memcmp(pointer, v->told_host, COUNT * sizeof(int)), "memory of the host");
    need(clEnqueueUnmapMemObject(v->first, v->host, pointer, 0, NULL, NULL), "unmap");
    need(clFinish(v->first), "clFinish");
}

/* What was written through the pointer reaches the device; then the region is mapped again. */
static void check_mapped(struct victim *v)
{
    const size_t bytes = HALF * sizeof(int);
    cl_int err;
    find(!memcmp(v->pointer, v->told_mapped + HALF, bytes), "the mapped region");
    need(clEnqueueUnmapMemObject(v->first, v->mapped, v->pointer, 0, NULL, NULL), "unmap");
    check_buffer(v, v->mapped, v->told_mapped, "the buffer that was mapped");
    v->pointer = clEnqueueMapBuffer(v->first, v->mapped, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, bytes,
                                    bytes, 0, NULL, NULL, &err);
    need(err, "clEnqueueMapBuffer");
}

static void check_image(struct victim *v)
{
    static unsigned char pixels[SIDE * SIDE * 4];
    static int seen[SIDE * SIDE];
    const size_t origin[3] = {0}, region[3] = {SIDE, SIDE, 1};
    if (!v->image)
        return;
    need(clEnqueueReadImage(v->first, v->image, CL_TRUE, origin, region, 0, 0, pixels, 0, NULL,
                            NULL),
         "clEnqueueReadImage");
    find(!memcmp(pixels, v->told_image, sizeof pixels), "the image");
    need(clEnqueueNDRangeKernel(v->first, v->look, 2, NULL, region, NULL, 0, NULL, NULL), "look");
    need(clEnqueueReadBuffer(v->first, v->seen, CL_TRUE, 0, sizeof seen, seen, 0, NULL, NULL),
         "clEnqueueReadBuffer");
    for (int i = 0; i < SIDE * SIDE; i++) {
        const unsigned char *pixel = &v->told_image[4 * i];
        find(seen[i] == pixel[0] + 256 * pixel[1] + 65536 * pixel[2], "the image in a kernel");
    }
}

static void check(struct victim *v)
{
    struct ended now = v->ended;
    check_buffer(v, v->data, v->told_data, "the buffer with a sub-buffer");
    check_host(v);
    check_mapped(v);
    check_image(v);
    find(!v->wishes.asks || victim_is_told_the_same(v), "what it was told of the device");
    find(clGetProgramInfo(v->program, CL_PROGRAM_IL, 0, NULL, NULL) == v->tells_il,
         "the answer about a program's IL");
    if (now.event) {
        look_at_event(&v->ended, &now.type, now.times);
        find(now.type == v->ended.type, "an event's type");
        find(!memcmp(now.times, v->ended.times, sizeof now.times), "an event's times");
    }
    step(v);
    check_buffer(v, v->data, v->told_data, "the buffer after one more step");
}

/* A kernel that is on its way, and one that a stalled device holds up. */
static void start(struct victim *v)
{
    const int nothing = 0;
    need(clSetKernelArg(v->add, 1, sizeof nothing, &nothing), "clSetKernelArg");
    launch(v, v->first, v->add, COUNT, NULL, NULL);
    need(clFlush(v->first), "clFlush");
}

/* A buffer, and a queue with a kernel. */
static void make_spare(struct victim *v)
{
    cl_int err;
    const int nothing = 0;
    v->spare = clCreateBuffer(v->context, 0, COUNT * sizeof(int), NULL, &err);
    need(err, "clCreateBuffer");
    v->spare_queue = clCreateCommandQueue(v->context, v->device, 0, &err);
    need(err, "clCreateCommandQueue");
    need(clSetKernelArg(v->add, 1, sizeof nothing, &nothing), "clSetKernelArg");
    launch(v, v->spare_queue, v->add, COUNT, NULL, &v->spare_event);
    need(clFlush(v->spare_queue), "clFlush");
}

static void drop_spare(struct victim *v)
{
    need(clReleaseMemObject(v->spare), "clReleaseMemObject");
    need(clReleaseCommandQueue(v->spare_queue), "clReleaseCommandQueue");
}

/* One of all the platform's devices, by their type; each that it has can be used. */
static void make_from_type(void)
{
    cl_int err;
    cl_platform_id platform;
    cl_device_id devices[8];
    size_t size = 0;
    need(clGetPlatformIDs(1, &platform, NULL), "clGetPlatformIDs");
    const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM,
                                                (cl_context_properties)platform, 0};
    cl_context context = clCreateContextFromType(properties, CL_DEVICE_TYPE_ALL, NULL, NULL, &err);
    need(err, "clCreateContextFromType");
    need(clGetContextInfo(context, CL_CONTEXT_DEVICES, sizeof devices, devices, &size), "devices");
    cl_mem buffer = clCreateBuffer(context, 0, sizeof(int), NULL, &err);
    need(err, "clCreateBuffer");
    for (size_t i = 0; i < size / sizeof *devices; i++) {
        const int wrote = 1234 + (int)i;
        int read = 0;
        cl_command_queue queue = clCreateCommandQueue(context, devices[i], 0, &err);
        need(err, "clCreateCommandQueue, of a type");
        need(clEnqueueWriteBuffer(queue, buffer, CL_TRUE, 0, sizeof wrote, &wrote, 0, NULL, NULL),
             "clEnqueueWriteBuffer");
        need(clEnqueueReadBuffer(queue, buffer, CL_TRUE, 0, sizeof read, &read, 0, NULL, NULL),
             "clEnqueueReadBuffer");
        find(read == wrote, "a buffer of a context from a type");
        need(clReleaseCommandQueue(queue), "clReleaseCommandQueue");
    }
    find(size > 0, "a context from a type has no device");
    need(clReleaseMemObject(buffer), "clReleaseMemObject");
    need(clReleaseContext(context), "clReleaseContext");
}

/* All of the platform's devices in one context. */
static void make_of_all(cl_int wanted)
{
    cl_int err;
    cl_platform_id platform;
    cl_device_id devices[8];
    cl_uint count;
    need(clGetPlatformIDs(1, &platform, NULL), "clGetPlatformIDs");
    need(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 8, devices, &count), "clGetDeviceIDs");
    find(count > 1, "the platform has one device");
    cl_context context = clCreateContext(NULL, count, devices, NULL, NULL, &err);
    find(err == wanted, "a context of all devices");
    if (context)
        need(clReleaseContext(context), "clReleaseContext");
}

/* Somebody else in the program, GL say, comes to use a device. */
static const char *other_node, *gl_library;
static bool at_start, clean;
static int other_fd;
static void *other_mapping;

typedef int gl_open(const char *path, void **mapping);

static void use_gl(void)
{
    void *library = dlopen(gl_library, RTLD_NOW);
    need(library ? CL_SUCCESS : -1, gl_library);
    __extension__ gl_open *open_it = (gl_open *)dlsym(library, "fake_gl_open");
    need(open_it ? CL_SUCCESS : -1, "fake_gl_open");
    other_fd = open_it(other_node, &other_mapping);
    need(other_fd < 0 || other_mapping == MAP_FAILED ? -1 : 0, other_node);
}

static bool driver_is_there(void)
{
    char line[1024];
    bool found = false;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps && !found && fgets(line, sizeof line, maps))
        found = strstr(line, "libshadowcl-testdriver") != NULL;
    if (maps)
        fclose(maps);
    return found;
}

static void *use_gl_soon(void *unused)
{
    while (!driver_is_there())
        usleep(10000);
    use_gl();
    return NULL;
}

/* The node is open as it was, and the mapping can be read. */
static void peek(void)
{
    struct stat by_name, by_fd;
    if (!other_mapping) {
        find(false, "the other node is not mapped");
        return;
    }
    need(stat(other_node, &by_name) || fstat(other_fd, &by_fd) ? -1 : 0, "stat");
    find(by_name.st_ino == by_fd.st_ino, "the other node is another file");
    find(((volatile unsigned char *)other_mapping)[1] == 0, "the other node's mapping");
}

static void use_other(bool keep_open)
{
    if (gl_library) {
        use_gl();
        return;
    }
    other_fd = open(other_node, O_RDWR | O_CLOEXEC);
    need(other_fd < 0 ? -1 : 0, other_node);
    if (keep_open)
        return;
    other_mapping = mmap(NULL, 4096, PROT_READ, MAP_SHARED, other_fd, 0);
    need(other_mapping == MAP_FAILED ? -1 : 0, "mmap");
    close(other_fd);
}

static void let_other_go(void)
{
    if (other_mapping)
        munmap(other_mapping, 4096);
    if (!other_mapping || gl_library)
        close(other_fd);
    other_mapping = NULL;
}

/* Closes what it does not know, as daemons do, and takes the numbers for files of its own. */
enum { FILES = 32 };
static int files[FILES];

static void reuse_numbers(void)
{
    closefrom(3);
    for (int i = 0; i < FILES; i++)
        files[i] = open(other_node, O_RDWR | O_CLOEXEC);
}

static void look_at_files(void)
{
    struct stat by_name, by_fd;
    need(stat(other_node, &by_name), "stat");
    find(by_name.st_size == 0, "somebody has written into the program's file");
    for (int i = 0; i < FILES; i++)
        find(fstat(files[i], &by_fd) == 0 && by_fd.st_ino == by_name.st_ino,
             "somebody has closed the program's file");
}

/* The child waits for somebody to resume it. */
static void fork_one(struct victim *v)
{
    pid_t child = fork();
    need(child < 0 ? -1 : CL_SUCCESS, "fork");
    if (child == 0) {
        clFinish(v->first);
        _exit(0);
    }
}

static void make_many_queues(struct victim *v)
{
    for (int i = 0; i < 200; i++) {
        cl_int err;
        cl_command_queue queue = clCreateCommandQueue(v->context, v->device, 0, &err);
        need(err, "clCreateCommandQueue");
        need(clReleaseCommandQueue(queue), "clReleaseCommandQueue");
    }
}

static void reach(struct victim *v, bool is_there)
{
    static char text[128];
    const char *what;
    cl_int code;
    bool good = victim_reach(v, is_there, &what, &code);
    snprintf(text, sizeof text, "%s: %d", what, code);
    find(good, text);
}

static void obey(struct victim *v, const char *word)
{
    wrong = NULL;
    if (!strcmp(word, "step"))
        step(v);
    else if (!strcmp(word, "check"))
        check(v);
    else if (!strcmp(word, "fromtype"))
        make_from_type();
    else if (!strcmp(word, "together"))
        make_of_all(CL_SUCCESS);
    else if (!strcmp(word, "apart"))
        make_of_all(CL_INVALID_DEVICE);
    else if (!strcmp(word, "load"))
        find(v->wishes.later && victim_load(v, v->wishes.later), "there is no binary");
    else if (!strcmp(word, "start"))
        start(v);
    else if (!strcmp(word, "spare"))
        make_spare(v);
    else if (!strcmp(word, "drop"))
        drop_spare(v);
    else if (!strcmp(word, "hold") || !strcmp(word, "map"))
        use_other(!strcmp(word, "hold"));
    else if (!strcmp(word, "peek"))
        peek();
    else if (!strcmp(word, "reuse"))
        reuse_numbers();
    else if (!strcmp(word, "files"))
        look_at_files();
    else if (!strcmp(word, "fork"))
        fork_one(v);
    else if (!strcmp(word, "queues"))
        make_many_queues(v);
    else if (!strcmp(word, "reach") || !strcmp(word, "overreach"))
        reach(v, !strcmp(word, "reach"));
    else if (!strcmp(word, "letgo"))
        let_other_go();
    else if (!strcmp(word, "join"))
        need(clFinish(v->first), "clFinish");
    else
        wrong = "no such word";
    printf(wrong ? "bad: %s\n" : "ok\n", wrong);
    fflush(stdout);
}

static void wish(struct wishes *wishes, const char *word)
{
    if (!strcmp(word, "images"))
        wishes->images = true;
    else if (!strcmp(word, "double"))
        wishes->doubles = true;
    else if (!strcmp(word, "outoforder"))
        wishes->out_of_order = true;
    else if (!strcmp(word, "hints"))
        wishes->hints = true;
    else if (!strcmp(word, "listed"))
        wishes->listed = true;
    else if (!strcmp(word, "onechain"))
        wishes->one_chain = true;
    else if (!strcmp(word, "asks"))
        wishes->asks = true;
    else if (!strncmp(word, "group=", 6))
        wishes->group = strtoul(word + 6, NULL, 0);
    else if (!strncmp(word, "ballast=", 8))
        wishes->ballast = strtoul(word + 8, NULL, 0);
    else if (!strncmp(word, "binary=", 7))
        wishes->spare = word + 7;
    else if (!strncmp(word, "other=", 6))
        other_node = word + 6;
    else if (!strncmp(word, "gl=", 3))
        gl_library = word + 3;
    else if (!strcmp(word, "atstart"))
        at_start = true;
    else if (!strcmp(word, "clean"))
        clean = true;
    else if (!strncmp(word, "later=", 6))
        wishes->later = word + 6;
    else if (!strcmp(word, "reload"))
        wishes->reload = wishes->links = true;
    else if (!strcmp(word, "links"))
        wishes->links = true;
    else if (!strncmp(word, "open=", 5))
        need(open(word + 5, O_RDONLY | O_CLOEXEC) < 0 ? -1 : 0, word);
    else
        need(-1, word);
}

int main(int argc, char **argv)
{
    static struct victim victim;
    char word[32];
    for (int i = 1; i < argc; i++)
        wish(&victim.wishes, argv[i]);
    pthread_t thread = pthread_self();
    if (at_start)
        need(pthread_create(&thread, NULL, use_gl_soon, NULL), "pthread_create");
    victim_make(&victim);
    if (at_start)
        pthread_join(thread, NULL);
    if (clean)
        unsetenv("SHADOWCL_DEVICE_NODES");
    arm(&victim);
    puts("ready");
    fflush(stdout);
    while (scanf("%31s", word) == 1 && strcmp(word, "quit") != 0)
        obey(&victim, word);
    return 0;
}
