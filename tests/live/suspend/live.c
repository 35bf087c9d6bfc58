/* SPDX-License-Identifier: Apache-2.0 */
/* See live.h. */
#include "live.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct live live;

extern char **environ;

bool live_commanded(void)
{
    return getenv("LIVE_COMMAND") != NULL;
}

bool live_shadowed(void)
{
    return live_commanded() || getenv("SHADOWCL_STORM");
}

bool live_has_cap(const char *cap)
{
    const char *caps = getenv("SHADOWCL_TEST_CAPS");
    return caps && strstr(caps, cap);
}

/* The command itself has no use for our library. */
static char **without_preload(void)
{
    size_t count = 0, kept = 0;
    while (environ[count])
        count++;
    char **copy = calloc(count + 1, sizeof *copy);
    for (size_t i = 0; copy && i < count; i++)
        if (strncmp(environ[i], "LD_PRELOAD=", 11) != 0)
            copy[kept++] = environ[i];
    return copy;
}

/* What it says goes to the file. */
static int run_into(const char *file, const char *verb, const char *first, const char *second)
{
    char pid[32];
    char *arguments[] = {getenv("LIVE_COMMAND"), (char *)verb,   pid,
                         (char *)first,          (char *)second, NULL};
    char **environment = without_preload();
    int status = -1;
    pid_t child;
    assert_non_null(environment);
    if (!arguments[0])
        fail_msg("LIVE_COMMAND is not set");
    const char *command = arguments[0] ? arguments[0] : "";
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    fflush(NULL);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, file, O_WRONLY, 0);
    assert_int_equal(posix_spawn(&child, command, &actions, NULL, arguments, environment), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    posix_spawn_file_actions_destroy(&actions);
    free(environment);
    return status;
}

static int run_with(const char *verb, const char *first, const char *second)
{
    return run_into("/dev/null", verb, first, second);
}

static int run_command(const char *verb, const char *deadline)
{
    return run_with(verb, deadline ? "--deadline" : NULL, deadline);
}

static void command(const char *verb, const char *deadline)
{
    int status = live_commanded() ? run_command(verb, deadline) : 0;
    if (status != 0)
        fail_msg("shadowcl %s %d ends with status %#x", verb, (int)getpid(), (unsigned)status);
}

bool live_try_suspend(void)
{
    return !live_commanded() || run_command("suspend", NULL) == 0;
}

bool live_try_suspend_in(const char *seconds)
{
    return !live_commanded() || run_command("suspend", seconds) == 0;
}

void live_suspend(void)
{
    /* A busy machine takes its time for what a program is in the middle of, a build above all. */
    command("suspend", "60");
}

long long live_suspend_captured(void)
{
    static const char key[] = "\"captured_bytes\":";
    char name[] = "/tmp/live-suspend-XXXXXX", text[4096];
    if (!live_commanded())
        return -1;
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    int status = run_into(name, "suspend", "--json", NULL);
    ssize_t size = read(fd, text, sizeof text - 1);
    close(fd);
    unlink(name);
    assert_int_equal(status, 0);
    text[size > 0 ? size : 0] = '\0';
    const char *found = strstr(text, key);
    if (!found)
        fail_msg("no %s in: %s", key, text);
    return found ? atoll(found + strlen(key)) : -1;
}

void live_resume(void)
{
    command("resume", NULL);
}

void live_save(void)
{
    char name[] = "/tmp/live-save-XXXXXX";
    int fd = live_commanded() ? mkstemp(name) : -1;
    if (fd < 0)
        return;
    close(fd);
    unlink(name);
    assert_int_equal(run_with("save", name, NULL), 0);
    unlink(name);
}

void live_cycle(void)
{
    live_suspend();
    live_resume();
}

int live_setup(void **state)
{
    char text[256] = "";
    int major = 0, minor = 0;
    cl_int err;
    ok(clGetPlatformIDs(1, &live.platform, NULL));
    ok(clGetDeviceIDs(live.platform, CL_DEVICE_TYPE_ALL, 1, &live.device, NULL));
    ok(clGetDeviceInfo(live.device, CL_DEVICE_VERSION, sizeof text, text, NULL));
    assert_int_equal(sscanf(text, "OpenCL %d.%d", &major, &minor), 2);
    live.version = major * 100 + minor * 10;
    ok(clGetPlatformInfo(live.platform, CL_PLATFORM_NAME, sizeof text, text, NULL));
    live.pocl = strcmp(text, "Portable Computing Language") == 0;
    live.context = clCreateContext(NULL, 1, &live.device, NULL, NULL, &err);
    made(live.context);
    live.queue = clCreateCommandQueue(live.context, live.device, 0, &err);
    made(live.queue);
    return 0;
}

int live_teardown(void **state)
{
    ok(clReleaseCommandQueue(live.queue));
    ok(clReleaseContext(live.context));
    return 0;
}

void live_pattern(void *bytes, size_t size, unsigned seed)
{
    unsigned char *to = bytes;
    for (size_t i = 0; i < size; i++)
        to[i] = (unsigned char)(i * 7 + (i >> 8) * 13 + seed * 31 + 1);
}

cl_mem live_buffer(size_t size, const void *bytes)
{
    cl_int err;
    cl_mem buffer =
        clCreateBuffer(live.context, bytes ? CL_MEM_COPY_HOST_PTR : 0, size, (void *)bytes, &err);
    made(buffer);
    return buffer;
}

cl_event live_user_event(void)
{
    cl_int err;
    cl_event event = clCreateUserEvent(live.context, &err);
    made(event);
    return event;
}

cl_command_queue live_queue(void)
{
    cl_int err;
    cl_command_queue queue = clCreateCommandQueue(live.context, live.device, 0, &err);
    made(queue);
    return queue;
}

void live_expect(cl_mem buffer, size_t offset, const void *expected, size_t size)
{
    cl_mem plain = live_buffer(size, NULL);
    unsigned char *bytes = malloc(size);
    assert_non_null(bytes);
    ok(clEnqueueCopyBuffer(live.queue, buffer, plain, offset, 0, size, 0, NULL, NULL));
    ok(clEnqueueReadBuffer(live.queue, plain, CL_TRUE, 0, size, bytes, 0, NULL, NULL));
    assert_memory_equal(bytes, expected, size);
    free(bytes);
    ok(clReleaseMemObject(plain));
}

cl_program live_program(const char *source, const char *options)
{
    cl_int err;
    char log[4096] = "";
    cl_program program = clCreateProgramWithSource(live.context, 1, &source, NULL, &err);
    made(program);
    if (clBuildProgram(program, 1, &live.device, options, NULL, NULL) != CL_SUCCESS) {
        clGetProgramBuildInfo(program, live.device, CL_PROGRAM_BUILD_LOG, sizeof log - 1, log,
                              NULL);
        fail_msg("build: %s", log);
    }
    return program;
}

cl_kernel live_kernel(const char *source, const char *name)
{
    cl_int err;
    cl_program program = live_program(source, NULL);
    cl_kernel kernel = clCreateKernel(program, name, &err);
    made(kernel);
    ok(clReleaseProgram(program));
    return kernel;
}

void live_launch(cl_command_queue queue, cl_kernel kernel, size_t items)
{
    ok(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &items, NULL, 0, NULL, NULL));
}

size_t live_infos(live_query query, const void *object, const cl_uint *params, size_t num_params,
                  unsigned char *out, size_t room)
{
    typedef cl_int(CL_API_CALL * get_info)(const void *, cl_uint, size_t, void *, size_t *);
    size_t used = 0;
    for (size_t i = 0; i < num_params; i++) {
        struct {
            cl_int err;
            size_t size;
        } head;
        memset(&head, 0, sizeof head);
        assert_true(used + sizeof head <= room);
        unsigned char *value = out + used + sizeof head;
        size_t left = room - used - sizeof head;
        head.err = ((get_info)query)(object, params[i], left, value, &head.size);
        if (head.err != CL_SUCCESS)
            head.size = 0;
        memcpy(out + used, &head, sizeof head);
        used += sizeof head + head.size;
    }
    return used;
}

int live_logged(const char *text)
{
    char line[1024];
    int count = 0;
    const char *path = getenv("LIVE_LOG");
    FILE *log = fopen(path ? path : "", "r"); /* not there before the first line */
    while (log && fgets(line, sizeof line, log))
        count += strstr(line, text) != NULL;
    if (log)
        fclose(log);
    return count;
}

void live_sleep(int ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

void live_wait_for(_Atomic int *number, int value)
{
    for (int i = 0; i < 1000 && atomic_load(number) != value; i++)
        live_sleep(10);
    assert_int_equal(atomic_load(number), value);
}

__attribute__((no_sanitize("thread"))) void
live_copy_written(unsigned char *to, const volatile unsigned char *from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        to[i] = from[i];
}
