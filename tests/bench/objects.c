/* SPDX-License-Identifier: Apache-2.0 */
/* A program with many small objects of mixed kinds. It makes about as many as it is told, prints
 * `ready COUNT`, and obeys lines on its input: `cycle` releases them all and makes them again
 * (programs from their binaries) and prints how long each took in ms, for comparison with a suspend
 * and resume; `check` computes with some of them and prints `ok`. */
#include <CL/cl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char source[] = "__kernel void add(__global int *a, int b) { a[0] += b; }\n";

enum { BYTES = 256, KERNELS_PER_PROGRAM = 100, PLACE = 10 };

static cl_context context;
static cl_device_id device;
static cl_command_queue queue;
static unsigned char *binary;
static size_t binary_size;
static int counter; /* what the buffers hold */

/* Ten objects make a place: of each kind so many as the loops below say. */
static size_t places, num_programs;
static cl_program *programs;
static struct place {
    cl_mem buffers[4], sub_buffer, image;
    cl_sampler sampler;
    cl_kernel kernel;
    cl_event done, user;
} * table;

static void check(cl_int status, const char *call)
{
    if (status == CL_SUCCESS)
        return;
    fprintf(stderr, "objects: %s failed: %d\n", call, status);
    exit(1);
}
#define CHECK(call) check(call, #call)

static void make_base(void)
{
    cl_int status;
    context = clCreateContext(NULL, 1, &device, NULL, NULL, &status);
    check(status, "clCreateContext");
    queue = clCreateCommandQueue(context, device, 0, &status);
    check(status, "clCreateCommandQueue");
}

static void take_binary(void)
{
    const char *text = source;
    cl_int status;
    cl_program program = clCreateProgramWithSource(context, 1, &text, NULL, &status);
    check(status, "clCreateProgramWithSource");
    CHECK(clBuildProgram(program, 1, &device, "", NULL, NULL));
    CHECK(
        clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof binary_size, &binary_size, NULL));
    binary = malloc(binary_size);
    CHECK(clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof binary, &binary, NULL));
    CHECK(clReleaseProgram(program));
}

static void make_programs(void)
{
    for (size_t i = 0; i < num_programs; i++) {
        const unsigned char *bytes = binary;
        cl_int status;
        programs[i] =
            clCreateProgramWithBinary(context, 1, &device, &binary_size, &bytes, NULL, &status);
        check(status, "clCreateProgramWithBinary");
        CHECK(clBuildProgram(programs[i], 1, &device, "", NULL, NULL));
    }
}

static void make_mems(struct place *place)
{
    const cl_image_format format = {CL_RGBA, CL_UNORM_INT8};
    const cl_image_desc desc = {
        .image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = 8, .image_height = 8};
    const cl_buffer_region region = {128, 64};
    cl_int status;
    for (int i = 0; i < 4; i++) {
        place->buffers[i] = clCreateBuffer(context, CL_MEM_READ_WRITE, BYTES, NULL, &status);
        check(status, "clCreateBuffer");
    }
    place->sub_buffer = clCreateSubBuffer(place->buffers[0], CL_MEM_READ_WRITE,
                                          CL_BUFFER_CREATE_TYPE_REGION, &region, &status);
    check(status, "clCreateSubBuffer");
    place->image = clCreateImage(context, CL_MEM_READ_WRITE, &format, &desc, NULL, &status);
    check(status, "clCreateImage");
    place->sampler =
        clCreateSampler(context, CL_FALSE, CL_ADDRESS_CLAMP_TO_EDGE, CL_FILTER_NEAREST, &status);
    check(status, "clCreateSampler");
}

static void make_kernel(struct place *place, size_t number)
{
    const cl_int add = 1;
    cl_int status;
    place->kernel = clCreateKernel(programs[number / KERNELS_PER_PROGRAM], "add", &status);
    check(status, "clCreateKernel");
    CHECK(clSetKernelArg(place->kernel, 0, sizeof(cl_mem), &place->buffers[0]));
    CHECK(clSetKernelArg(place->kernel, 1, sizeof add, &add));
}

static void make_all(void)
{
    make_programs();
    for (size_t i = 0; i < places; i++) {
        make_mems(&table[i]);
        make_kernel(&table[i], i);
    }
}

/* They are not made again: a driver is not asked for events that have ended. */
static void make_events(void)
{
    const cl_int zero = 0;
    counter = 0;
    for (size_t i = 0; i < places; i++) {
        cl_int status;
        CHECK(clEnqueueWriteBuffer(queue, table[i].buffers[0], CL_FALSE, 0, sizeof zero, &zero, 0,
                                   NULL, &table[i].done));
        table[i].user = clCreateUserEvent(context, &status);
        check(status, "clCreateUserEvent");
    }
    CHECK(clFinish(queue));
}

static void release_events(void)
{
    for (size_t i = 0; i < places; i++) {
        CHECK(clReleaseEvent(table[i].done));
        CHECK(clSetUserEventStatus(table[i].user, CL_COMPLETE));
        CHECK(clReleaseEvent(table[i].user));
    }
}

static void release_all(void)
{
    for (size_t i = places; i-- > 0;) {
        CHECK(clReleaseKernel(table[i].kernel));
        CHECK(clReleaseSampler(table[i].sampler));
        CHECK(clReleaseMemObject(table[i].image));
        CHECK(clReleaseMemObject(table[i].sub_buffer));
        for (int j = 0; j < 4; j++)
            CHECK(clReleaseMemObject(table[i].buffers[j]));
    }
    for (size_t i = num_programs; i-- > 0;)
        CHECK(clReleaseProgram(programs[i]));
    CHECK(clReleaseCommandQueue(queue));
    CHECK(clReleaseContext(context));
}

static double ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

/* What a capture asks of a driver for contents that lie in the host's memory, and a drain. */
static void read_contents(void)
{
    static const size_t origin[3] = {0, 0, 0}, region[3] = {8, 8, 1};
    char pixels[8 * 8 * 4];
    cl_event marker;
    cl_int status;
    CHECK(clEnqueueMarkerWithWaitList(queue, 0, NULL, &marker));
    CHECK(clWaitForEvents(1, &marker));
    CHECK(clReleaseEvent(marker));
    cl_command_queue copier = clCreateCommandQueue(context, device, 0, &status);
    check(status, "clCreateCommandQueue");
    for (size_t i = 0; i < places; i++) {
        for (int j = 0; j < 4; j++) {
            cl_mem buffer = table[i].buffers[j];
            void *pointer = clEnqueueMapBuffer(copier, buffer, CL_FALSE, CL_MAP_READ, 0, BYTES, 0,
                                               NULL, NULL, &status);
            check(status, "clEnqueueMapBuffer");
            CHECK(clEnqueueUnmapMemObject(copier, buffer, pointer, 0, NULL, NULL));
        }
        CHECK(clEnqueueReadImage(copier, table[i].image, CL_FALSE, origin, region, 0, 0, pixels, 0,
                                 NULL, NULL));
    }
    CHECK(clFinish(copier));
    CHECK(clReleaseCommandQueue(copier));
}

static void cycle(void)
{
    read_contents();
    double start = ms();
    release_events();
    release_all();
    double middle = ms();
    make_base();
    make_all();
    double end = ms();
    make_events();
    printf("%.3f %.3f\n", middle - start, end - middle);
}

static void check_some(void)
{
    const size_t one = 1;
    cl_int value = 0;
    for (size_t i = 0; i < places; i += places / 10 + 1) {
        CHECK(clEnqueueNDRangeKernel(queue, table[i].kernel, 1, NULL, &one, NULL, 0, NULL, NULL));
        CHECK(clEnqueueReadBuffer(queue, table[i].buffers[0], CL_TRUE, 0, sizeof value, &value, 0,
                                  NULL, NULL));
        if (value != counter + 1) {
            fprintf(stderr, "objects: %d, expected %d\n", value, counter + 1);
            exit(1);
        }
    }
    counter++;
    printf("ok\n");
}

int main(int argc, char **argv)
{
    cl_platform_id platform;
    char line[64];
    places = (argc > 1 ? strtoul(argv[1], NULL, 10) : 1000) / PLACE;
    num_programs = places / KERNELS_PER_PROGRAM + 1;
    table = calloc(places + 1, sizeof *table);
    programs = calloc(num_programs, sizeof(cl_program));
    CHECK(clGetPlatformIDs(1, &platform, NULL));
    CHECK(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL));
    make_base();
    take_binary();
    make_all();
    make_events();
    printf("ready %zu\n", places * PLACE + num_programs + 2);
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        if (strcmp(line, "cycle\n") == 0)
            cycle();
        else if (strcmp(line, "check\n") == 0)
            check_some();
        fflush(stdout);
    }
    return 0;
}
