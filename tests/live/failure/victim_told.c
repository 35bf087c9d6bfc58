/* SPDX-License-Identifier: Apache-2.0 */
/* What the device said that it has: it says so for ever, also where the program lives on another.
 */
#include "tests/live/failure/victim.h"

#include <string.h>

#define LARGE (24 << 20)
#define GROUP 128

static struct told {
    cl_device_info question;
    size_t size;
    unsigned char answer[8192];
} told[] = {
    {.question = CL_DEVICE_EXTENSIONS},
    {.question = CL_DEVICE_IMAGE_SUPPORT},
    {.question = CL_DEVICE_DOUBLE_FP_CONFIG},
    {.question = CL_DEVICE_MAX_WORK_GROUP_SIZE},
    {.question = CL_DEVICE_GLOBAL_MEM_SIZE},
    {.question = CL_DEVICE_MAX_MEM_ALLOC_SIZE},
    {.question = CL_DEVICE_QUEUE_PROPERTIES},
    {.question = CL_DEVICE_IMAGE2D_MAX_WIDTH},
    {.question = CL_DEVICE_NAME},
};

static void ask_one(struct victim *v, struct told *one)
{
    need(clGetDeviceInfo(v->device, one->question, sizeof one->answer, one->answer, &one->size),
         "clGetDeviceInfo");
}

void victim_ask(struct victim *v)
{
    for (size_t i = 0; i < sizeof told / sizeof *told; i++)
        ask_one(v, &told[i]);
}

bool victim_is_told_the_same(struct victim *v)
{
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        static struct told now;
        now.question = told[i].question;
        ask_one(v, &now);
        if (now.size != told[i].size || memcmp(now.answer, told[i].answer, now.size) != 0)
            return false;
    }
    return true;
}

struct outcome {
    const char *what;
    cl_int wanted, code;
};

/* The old call and the new one. */
static cl_int make_queue(struct victim *v)
{
    const cl_queue_properties list[] = {CL_QUEUE_PROPERTIES, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE,
                                        0};
    cl_int err, other;
    cl_command_queue queue =
        clCreateCommandQueue(v->context, v->device, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &err);
    if (queue)
        need(clReleaseCommandQueue(queue), "clReleaseCommandQueue");
    queue = clCreateCommandQueueWithProperties(v->context, v->device, list, &other);
    if (queue)
        need(clReleaseCommandQueue(queue), "clReleaseCommandQueue");
    return err == other ? err : CL_INVALID_COMMAND_QUEUE;
}

static cl_int make_image(struct victim *v)
{
    const cl_image_format format = {CL_RGBA, CL_UNSIGNED_INT8};
    const cl_image_desc desc = {
        .image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = SIDE, .image_height = SIDE};
    cl_int err;
    cl_mem image = clCreateImage(v->context, CL_MEM_READ_WRITE, &format, &desc, NULL, &err);
    if (image)
        need(clReleaseMemObject(image), "clReleaseMemObject");
    return err;
}

static cl_int make_large(struct victim *v)
{
    cl_int err;
    cl_mem buffer = clCreateBuffer(v->context, CL_MEM_READ_WRITE, LARGE, NULL, &err);
    if (buffer)
        need(clReleaseMemObject(buffer), "clReleaseMemObject");
    return err;
}

static cl_int build_doubles(struct victim *v)
{
    static const char *source =
        "#pragma OPENCL EXTENSION cl_khr_fp64 : enable\n"
        "__kernel void halve(__global double *data) { data[get_global_id(0)] *= 0.5; }\n";
    cl_int err;
    cl_program program = clCreateProgramWithSource(v->context, 1, &source, NULL, &err);
    need(err, "clCreateProgramWithSource");
    err = clBuildProgram(program, 1, &v->device, NULL, NULL, NULL);
    need(clReleaseProgram(program), "clReleaseProgram");
    return err;
}

/* Adds nothing to anything; by a kernel of its own, which has then been used so. */
static cl_int launch_large_group(struct victim *v)
{
    const size_t global = COUNT, local = GROUP;
    const int nothing = 0;
    cl_int err;
    cl_kernel kernel = clCreateKernel(v->program, "add", &err);
    need(err, "clCreateKernel");
    need(clSetKernelArg(kernel, 0, sizeof v->data, &v->data), "clSetKernelArg");
    need(clSetKernelArg(kernel, 1, sizeof nothing, &nothing), "clSetKernelArg");
    err = clEnqueueNDRangeKernel(v->first, kernel, 1, NULL, &global, &local, 0, NULL, NULL);
    need(clFinish(v->first), "clFinish");
    need(clReleaseKernel(kernel), "clReleaseKernel");
    return err;
}

bool victim_reach(struct victim *v, bool is_there, const char **what, cl_int *code)
{
    const struct outcome outcomes[] = {
        {"a queue out of order", CL_INVALID_QUEUE_PROPERTIES, make_queue(v)},
        {"an image", CL_INVALID_OPERATION, make_image(v)},
        {"a large buffer", CL_INVALID_BUFFER_SIZE, make_large(v)},
        {"a program with doubles", CL_BUILD_PROGRAM_FAILURE, build_doubles(v)},
        {"a large work-group", CL_INVALID_WORK_GROUP_SIZE, launch_large_group(v)},
    };
    for (size_t i = 0; i < sizeof outcomes / sizeof *outcomes; i++) {
        *what = outcomes[i].what;
        *code = outcomes[i].code;
        if (*code != (is_there ? CL_SUCCESS : outcomes[i].wanted))
            return false;
    }
    return true;
}
