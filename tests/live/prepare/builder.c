/* SPDX-License-Identifier: Apache-2.0 */
/* Has some programs, each with a kernel and a buffer, and does on its standard input's word:
 * `check` runs each kernel and compares every buffer, `rebuild I F` builds the I-th program again
 * with another factor, `drop I` releases it, `fork` has a child that does nothing, `told` compares
 * what can be asked of each program's build with what it was at first. Each is answered with `ok`,
 * or with what is wrong. `quit` ends it without releasing anything, `leave` does so on another
 * thread.
 *
 *   builder [large] [doubles] [aside] COUNT
 *
 * The last program is compiled and linked; with `doubles` the second needs fp64; with `large` each
 * has a constant of megabytes; with `aside` the first thread makes no OpenCL call. */
#include <CL/cl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST = 16, COUNT = 1024 };

static const char source[] = "#ifdef LARGE\n__constant uint big[1 << 20] = {1};\n#else\n__constant "
                             "uint big[1] = {1};\n#endif\n"
                             "__kernel void apply(__global uint *data) {\n"
                             "    size_t i = get_global_id(0);\n"
                             "    data[i] = data[i] * FACTOR + PLACE + big[0] + big[data[i] % "
                             "(sizeof big / sizeof big[0])];\n"
                             "}\n";

static struct unit {
    cl_program program; /* NULL: dropped */
    cl_kernel kernel;
    cl_mem buffer;
    unsigned factor, told[COUNT];
    char answers[4096]; /* as answer_all writes them */
} units[MOST];

static cl_device_id device;
static cl_context context;
static cl_command_queue queue;
static unsigned num_units;
static int large, doubles;

static void need(cl_int code, const char *what)
{
    if (code == CL_SUCCESS)
        return;
    printf("bad: %s: %d\n", what, code);
    fflush(stdout);
    exit(1);
}

/* All that can be asked of its build, in words. */
static void answer_all(const struct unit *unit, char *to, size_t size)
{
    char options[256] = "", log[2048] = "", names[256] = "";
    cl_build_status status = 1;
    cl_program_binary_type type = 0;
    size_t kernels = 0;
    const struct {
        cl_program_build_info param;
        size_t size;
        void *to;
    } asked[] = {{CL_PROGRAM_BUILD_STATUS, sizeof status, &status},
                 {CL_PROGRAM_BUILD_OPTIONS, sizeof options, options},
                 {CL_PROGRAM_BUILD_LOG, sizeof log, log},
                 {CL_PROGRAM_BINARY_TYPE, sizeof type, &type}};
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++)
        need(clGetProgramBuildInfo(unit->program, device, asked[i].param, asked[i].size,
                                   asked[i].to, NULL),
             "clGetProgramBuildInfo");
    need(clGetProgramInfo(unit->program, CL_PROGRAM_NUM_KERNELS, sizeof kernels, &kernels, NULL),
         "CL_PROGRAM_NUM_KERNELS");
    need(clGetProgramInfo(unit->program, CL_PROGRAM_KERNEL_NAMES, sizeof names, names, NULL),
         "CL_PROGRAM_KERNEL_NAMES");
    snprintf(to, size, "status %d, type %x, %zu kernels: %s; options `%s`; log `%s`", status, type,
             kernels, names, options, log);
}

static const char *compare_told(void)
{
    char now[sizeof units->answers];
    for (unsigned i = 0; i < num_units; i++) {
        if (!units[i].program)
            continue;
        answer_all(&units[i], now, sizeof now);
        if (strcmp(now, units[i].answers) != 0)
            return "something else is told of a build";
    }
    return "ok";
}

static void make_kernel(struct unit *unit)
{
    cl_int err;
    unit->kernel = clCreateKernel(unit->program, "apply", &err);
    need(err, "clCreateKernel");
    need(clSetKernelArg(unit->kernel, 0, sizeof unit->buffer, &unit->buffer), "clSetKernelArg");
    answer_all(unit, unit->answers, sizeof unit->answers);
}

static void options_of(const struct unit *unit, char *options, size_t size)
{
    snprintf(options, size, "-DFACTOR=%uu -DPLACE=%u%s", unit->factor, (unsigned)(unit - units),
             large ? " -DLARGE" : "");
}

static void build(struct unit *unit)
{
    char options[128];
    options_of(unit, options, sizeof options);
    need(clBuildProgram(unit->program, 1, &device, options, NULL, NULL), "clBuildProgram");
    make_kernel(unit);
}

static cl_program with_source(const char *first)
{
    cl_int err;
    const char *strings[] = {first, source};
    cl_program program = clCreateProgramWithSource(context, 2, strings, NULL, &err);
    need(err, "clCreateProgramWithSource");
    return program;
}

static void link_program(struct unit *unit)
{
    cl_int err;
    char options[128];
    cl_program object = with_source("");
    options_of(unit, options, sizeof options);
    need(clCompileProgram(object, 1, &device, options, 0, NULL, NULL, NULL, NULL),
         "clCompileProgram");
    unit->program = clLinkProgram(context, 1, &device, "", 1, &object, NULL, NULL, &err);
    need(err, "clLinkProgram");
    need(clReleaseProgram(object), "clReleaseProgram");
    make_kernel(unit);
}

static void make(unsigned i)
{
    cl_int err;
    struct unit *unit = &units[i];
    unit->factor = i + 2;
    for (unsigned j = 0; j < COUNT; j++)
        unit->told[j] = i * 1000 + j;
    unit->buffer =
        clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, sizeof unit->told, unit->told, &err);
    need(err, "clCreateBuffer");
    if (i > 0 && i == num_units - 1) {
        link_program(unit);
        return;
    }
    unit->program = with_source(doubles && i == 1 ? "/* double */\n" : "");
    build(unit);
}

static const char *check(void)
{
    static unsigned there[COUNT];
    const size_t count = COUNT;
    for (unsigned i = 0; i < num_units; i++) {
        struct unit *unit = &units[i];
        if (unit->program) {
            need(clEnqueueNDRangeKernel(queue, unit->kernel, 1, NULL, &count, NULL, 0, NULL, NULL),
                 "clEnqueueNDRangeKernel");
            for (unsigned j = 0; j < COUNT; j++) {
                unsigned value = unit->told[j];
                unsigned other = value % (large ? 1u << 20 : 1u) == 0;
                unit->told[j] = value * unit->factor + i + 1 + other;
            }
        }
        need(clEnqueueReadBuffer(queue, unit->buffer, CL_TRUE, 0, sizeof there, there, 0, NULL,
                                 NULL),
             "clEnqueueReadBuffer");
        if (memcmp(there, unit->told, sizeof there) != 0)
            return "a buffer is wrong";
    }
    return "ok";
}

static const char *rebuild(unsigned i, unsigned factor)
{
    need(clReleaseKernel(units[i].kernel), "clReleaseKernel");
    units[i].factor = factor;
    build(&units[i]);
    return "ok";
}

static const char *drop(unsigned i)
{
    need(clReleaseKernel(units[i].kernel), "clReleaseKernel");
    need(clReleaseProgram(units[i].program), "clReleaseProgram");
    units[i].program = NULL;
    return "ok";
}

static const char *fork_once(void)
{
    int status = 1;
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    return child > 0 && waitpid(child, &status, 0) == child && status == 0 ? "ok" : "no child";
}

static void *leave(void *unused)
{
    exit(0);
}

static const char *leave_elsewhere(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, leave, NULL) != 0)
        return "no thread";
    for (;;)
        pause();
}

static const char *act(char *line)
{
    unsigned i, factor;
    if (!strcmp(line, "check\n"))
        return check();
    if (!strcmp(line, "fork\n"))
        return fork_once();
    if (!strcmp(line, "leave\n"))
        return leave_elsewhere();
    if (!strcmp(line, "told\n"))
        return compare_told();
    if (sscanf(line, "rebuild %u %u", &i, &factor) == 2 && i < num_units)
        return rebuild(i, factor);
    if (sscanf(line, "drop %u", &i) == 1 && i < num_units)
        return drop(i);
    return "no such word";
}

static void begin(void)
{
    cl_int err;
    cl_platform_id platform;
    need(clGetPlatformIDs(1, &platform, NULL), "clGetPlatformIDs");
    need(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL), "clGetDeviceIDs");
    context = clCreateContext(NULL, 1, &device, NULL, NULL, &err);
    need(err, "clCreateContext");
    queue = clCreateCommandQueue(context, device, 0, &err);
    need(err, "clCreateCommandQueue");
}

/* All but the end. */
static void *live(void *unused)
{
    char line[64];
    begin();
    for (unsigned i = 0; i < num_units; i++)
        make(i);
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) && strcmp(line, "quit\n") != 0) {
        puts(act(line));
        fflush(stdout);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    bool aside = false;
    pthread_t thread;
    for (int i = 1; i < argc; i++) {
        large = large || !strcmp(argv[i], "large");
        doubles = doubles || !strcmp(argv[i], "doubles");
        aside = aside || !strcmp(argv[i], "aside");
    }
    num_units = argc > 1 ? (unsigned)atoi(argv[argc - 1]) : 0;
    if (num_units < 1 || num_units > MOST)
        return 2;
    if (!aside)
        live(NULL);
    else if (pthread_create(&thread, NULL, live, NULL) != 0 || pthread_join(thread, NULL) != 0)
        return 2;
    return 0;
}
