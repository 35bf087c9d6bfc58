/* SPDX-License-Identifier: Apache-2.0 */
/* Makes everything the victim works with. */
#include <CL/cl_ext.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/live/failure/victim.h"

static const char source[] =
    "__kernel void add(__global int *data, int number) { data[get_global_id(0)] += number; }\n"
    "__kernel void scale(__global int *data, __local int *room, int number) {\n"
    "    room[get_local_id(0)] = data[get_global_id(0)] * number;\n"
    "    barrier(CLK_LOCAL_MEM_FENCE);\n"
    "    data[get_global_id(0)] = room[get_local_id(0)] + 1;\n"
    "}\n";
static const char image_source[] =
    "__kernel void look(__read_only image2d_t image, sampler_t sampler, __global int *seen) {\n"
    "    int x = get_global_id(0), y = get_global_id(1);\n"
    "    uint4 pixel = read_imageui(image, sampler, (int2)(x, y));\n"
    "    seen[y * 32 + x] = (int)(pixel.x + 256 * pixel.y + 65536 * pixel.z);\n"
    "}\n";
static const char double_source[] =
    "#pragma OPENCL EXTENSION cl_khr_fp64 : enable\n"
    "__kernel void precise(__global int *data) { double x = data[0]; data[0] = (int)(x * 1.5); }\n";
static const char linked_source[] =
    "#include \"twice.h\"\n"
    "__kernel void twice(__global int *data) {\n"
    "    data[get_global_id(0)] = twice_of(data[get_global_id(0)]) + ONE;\n"
    "}\n";
static const char whole_source[] = "__kernel void twice(__global int *data) {\n"
                                   "    data[get_global_id(0)] = 2 * data[get_global_id(0)] + 1;\n"
                                   "}\n";
static const char header_source[] = "inline int twice_of(int x) { return 2 * x; }\n";

static void *room(size_t size)
{
    void *memory = calloc(1, size);
    need(memory ? CL_SUCCESS : CL_OUT_OF_HOST_MEMORY, "calloc");
    return memory;
}

static int *numbers(int factor)
{
    int *list = room(COUNT * sizeof *list);
    for (int i = 0; i < COUNT; i++)
        list[i] = i * factor;
    return list;
}

static void make_context(struct victim *v)
{
    cl_int err;
    cl_platform_id platform;
    need(clGetPlatformIDs(1, &platform, NULL), "clGetPlatformIDs");
    need(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &v->device, NULL), "clGetDeviceIDs");
    v->context = clCreateContext(NULL, 1, &v->device, NULL, NULL, &err);
    need(err, "clCreateContext");
    v->first = clCreateCommandQueue(v->context, v->device, CL_QUEUE_PROFILING_ENABLE, &err);
    need(err, "clCreateCommandQueue");
    cl_command_queue_properties flags =
        v->wishes.out_of_order ? CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE : 0;
    const cl_queue_properties properties[] = {CL_QUEUE_PROPERTIES, flags,
                                              v->wishes.hints ? CL_QUEUE_PRIORITY_KHR : 0,
                                              CL_QUEUE_PRIORITY_LOW_KHR, 0};
    v->second = v->wishes.hints || v->wishes.listed
                    ? clCreateCommandQueueWithProperties(v->context, v->device, properties, &err)
                    : clCreateCommandQueue(v->context, v->device, flags, &err);
    need(err, "clCreateCommandQueue, the second");
    v->third = clCreateCommandQueue(v->context, v->device, 0, &err);
    need(err, "clCreateCommandQueue, the third");
}

static cl_mem make_buffer(struct victim *v, cl_mem_flags flags, size_t size, void *contents)
{
    cl_int err;
    cl_mem buffer = clCreateBuffer(v->context, flags, size, contents, &err);
    need(err, "clCreateBuffer");
    return buffer;
}

static void make_buffers(struct victim *v)
{
    const size_t bytes = COUNT * sizeof(int);
    cl_int err;
    v->told_data = numbers(3);
    v->told_host = numbers(5);
    v->told_mapped = numbers(7);
    v->told_chain = numbers(11);
    v->host_memory = aligned_alloc(4096, bytes);
    memcpy(v->host_memory, v->told_host, bytes);
    v->data = make_buffer(v, CL_MEM_COPY_HOST_PTR, bytes, v->told_data);
    v->host = make_buffer(v, CL_MEM_USE_HOST_PTR, bytes, v->host_memory);
    v->mapped = make_buffer(v, CL_MEM_COPY_HOST_PTR | CL_MEM_ALLOC_HOST_PTR, bytes, v->told_mapped);
    v->chain = make_buffer(v, CL_MEM_COPY_HOST_PTR, bytes, v->told_chain);
    v->seen = make_buffer(v, CL_MEM_WRITE_ONLY, SIDE * SIDE * sizeof(int), NULL);
    const cl_buffer_region region = {bytes / 2, bytes / 2};
    v->half = clCreateSubBuffer(v->data, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &err);
    need(err, "clCreateSubBuffer");
    v->pointer = clEnqueueMapBuffer(v->first, v->mapped, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE,
                                    HALF * sizeof(int), HALF * sizeof(int), 0, NULL, NULL, &err);
    need(err, "clEnqueueMapBuffer");
    v->late = room(bytes);
    if (v->wishes.ballast) {
        v->ballast = make_buffer(v, 0, v->wishes.ballast, NULL);
        const int zero = 0;
        need(clEnqueueFillBuffer(v->first, v->ballast, &zero, sizeof zero, 0, v->wishes.ballast, 0,
                                 NULL, NULL),
             "clEnqueueFillBuffer");
    }
}

static void make_image(struct victim *v)
{
    cl_int err;
    v->told_image = room((size_t)SIDE * SIDE * 4);
    for (unsigned i = 0; i < SIDE * SIDE * 4; i++)
        v->told_image[i] = (unsigned char)(i * 13 + i / 256);
    cl_image_format format = {CL_RGBA, CL_UNSIGNED_INT8};
    cl_image_desc desc = {
        .image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = SIDE, .image_height = SIDE};
    v->image = clCreateImage(v->context, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, &format, &desc,
                             v->told_image, &err);
    need(err, "clCreateImage");
    v->sampler =
        clCreateSampler(v->context, CL_FALSE, CL_ADDRESS_CLAMP_TO_EDGE, CL_FILTER_NEAREST, &err);
    need(err, "clCreateSampler");
}

static cl_program make_source(struct victim *v, const char *text)
{
    cl_int err;
    cl_program program = clCreateProgramWithSource(v->context, 1, &text, NULL, &err);
    need(err, "clCreateProgramWithSource");
    return program;
}

static void save_binary(cl_program program, const char *path)
{
    size_t size = 0;
    need(clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof size, &size, NULL), "its size");
    unsigned char *binary = room(size);
    need(clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof binary, &binary, NULL), "a binary");
    FILE *file = fopen(path, "w");
    need(file && fwrite(binary, 1, size, file) == size && fclose(file) == 0 ? 0 : -1, path);
    free(binary);
}

static cl_program make_loaded(struct victim *v, const unsigned char *binary, size_t size)
{
    cl_int err;
    cl_program program =
        clCreateProgramWithBinary(v->context, 1, &v->device, &size, &binary, NULL, &err);
    need(err, "clCreateProgramWithBinary");
    return program;
}

cl_program victim_load(struct victim *v, const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file)
        return NULL;
    unsigned char *binary = room(1 << 24);
    size_t size = fread(binary, 1, 1 << 24, file);
    fclose(file);
    cl_program program = make_loaded(v, binary, size);
    free(binary);
    return program;
}

/* What was compiled is released, and loaded again from its binary. */
static void reload_object(struct victim *v)
{
    size_t size = 0;
    need(clGetProgramInfo(v->object, CL_PROGRAM_BINARY_SIZES, sizeof size, &size, NULL), "size");
    unsigned char *binary = room(size);
    need(clGetProgramInfo(v->object, CL_PROGRAM_BINARIES, sizeof binary, &binary, NULL), "binary");
    need(clReleaseProgram(v->object), "clReleaseProgram");
    v->object = make_loaded(v, binary, size);
    free(binary);
}

static void make_programs(struct victim *v)
{
    cl_int err;
    char text[4096];
    snprintf(text, sizeof text, "%s%s%s%s", source, v->wishes.images ? image_source : "",
             v->wishes.doubles ? double_source : "", v->wishes.links ? "" : whole_source);
    v->program = v->wishes.spare ? victim_load(v, v->wishes.spare) : NULL;
    if (!v->program)
        v->program = make_source(v, text);
    need(clBuildProgram(v->program, 1, &v->device, "-cl-fast-relaxed-math", NULL, NULL),
         "clBuildProgram");
    v->tells_il = clGetProgramInfo(v->program, CL_PROGRAM_IL, 0, NULL, NULL);
    if (v->wishes.spare)
        save_binary(v->program, v->wishes.spare);
    v->linked = v->program;
    if (!v->wishes.links)
        return;
    cl_program header = make_source(v, header_source);
    const char *name = "twice.h";
    v->object = make_source(v, linked_source);
    need(clCompileProgram(v->object, 0, NULL, "-DONE=1", 1, &header, &name, NULL, NULL),
         "clCompileProgram");
    need(clReleaseProgram(header), "clReleaseProgram");
    if (v->wishes.reload)
        reload_object(v);
    v->linked = clLinkProgram(v->context, 0, NULL, NULL, 1, &v->object, NULL, NULL, &err);
    need(err, "clLinkProgram");
}

static cl_kernel make_kernel(cl_program program, const char *name, cl_mem data)
{
    cl_int err;
    cl_kernel kernel = clCreateKernel(program, name, &err);
    need(err, name);
    need(clSetKernelArg(kernel, 0, sizeof data, &data), "clSetKernelArg");
    return kernel;
}

void victim_make(struct victim *v)
{
    make_context(v);
    if (v->wishes.asks)
        victim_ask(v);
    make_buffers(v);
    if (v->wishes.images)
        make_image(v);
    make_programs(v);
    v->add = make_kernel(v->program, "add", v->data);
    v->scale = make_kernel(v->program, "scale", v->half);
    v->twice = make_kernel(v->linked, "twice", v->chain);
    if (!v->wishes.images)
        return;
    v->look = make_kernel(v->program, "look", v->image);
    need(clSetKernelArg(v->look, 1, sizeof v->sampler, &v->sampler), "clSetKernelArg");
    need(clSetKernelArg(v->look, 2, sizeof v->seen, &v->seen), "clSetKernelArg");
}
