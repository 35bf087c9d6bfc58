/* SPDX-License-Identifier: Apache-2.0 */
/* Holds one object that can't be carried, or keeps the driver busy, beside a buffer. Says `ready`;
 * then, for each line that it is told: `drop` releases the object, `check` says whether the
 * buffer's bytes are right, `pass` has a native kernel enqueue the next one and end, `late` makes a
 * kernel of a program that is held. As `hidden` it holds nothing, and says what it is told of that
 * it should not be. */
#include <CL/cl.h>
#include <CL/cl_egl.h>
#include <CL/cl_ext.h>
#include <CL/cl_gl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIZE 4096

static cl_context context;
static cl_device_id device;
static cl_command_queue queue;
static cl_mem buffer;
static unsigned char bytes[SIZE];

static void expect(cl_int status, const char *what)
{
    if (status == CL_SUCCESS)
        return;
    printf("%s: %d\n", what, status);
    exit(1);
}

static void *make_pipe(cl_int *err)
{
    return clCreatePipe(context, 0, 16, 64, NULL, err);
}

static void *make_queue(cl_int *err)
{
    const cl_queue_properties on_device[] = {
        CL_QUEUE_PROPERTIES, CL_QUEUE_ON_DEVICE | CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, 0};
    return clCreateCommandQueueWithProperties(context, device, on_device, err);
}

static void *share(cl_context_properties property, cl_int *err)
{
    const cl_context_properties shared[] = {property, (cl_context_properties)bytes, 0};
    return clCreateContext(shared, 1, &device, NULL, NULL, err);
}

static void *make_context(cl_int *err)
{
    return share(CL_GL_CONTEXT_KHR, err);
}

static void *make_egl(cl_int *err)
{
    return share(CL_EGL_DISPLAY_KHR, err);
}

static void *make_d3d(cl_int *err)
{
    return share(0x401D, err); /* CL_CONTEXT_D3D11_DEVICE_KHR */
}

static void *make_va(cl_int *err)
{
    return share(0x4097, err); /* CL_CONTEXT_VA_API_DISPLAY_INTEL */
}

static void *make_svm(cl_int *err)
{
    void *pointer = clSVMAlloc(context, CL_MEM_READ_WRITE, SIZE, 0);
    *err = pointer ? CL_SUCCESS : CL_OUT_OF_RESOURCES;
    return pointer;
}

static cl_int free_svm(void *pointer)
{
    clSVMFree(context, pointer);
    return CL_SUCCESS;
}

/* A queue on a part, which keeps the part and its context. */
static void *make_part(cl_int *err)
{
    const cl_device_partition_property halves[] = {CL_DEVICE_PARTITION_BY_COUNTS, 1, 1, 0, 0};
    cl_device_id parts[2];
    *err = clCreateSubDevices(device, halves, 2, parts, NULL);
    if (*err != CL_SUCCESS)
        return NULL;
    cl_context own = clCreateContext(NULL, 2, parts, NULL, NULL, err);
    cl_command_queue on_part = clCreateCommandQueue(own, parts[1], 0, err);
    clReleaseContext(own);
    clReleaseDevice(parts[0]);
    clReleaseDevice(parts[1]);
    return on_part;
}

/* A context on both of the platform's devices. */
static void *make_both(cl_int *err)
{
    cl_platform_id platform;
    cl_device_id both[2];
    expect(clGetPlatformIDs(1, &platform, NULL), "clGetPlatformIDs");
    expect(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 2, both, NULL), "clGetDeviceIDs");
    return clCreateContext(NULL, 2, both, NULL, NULL, err);
}

/* A context on all of the platform's devices. */
static void *make_all(cl_int *err)
{
    cl_platform_id platform;
    cl_device_id all[256];
    cl_uint count = 0;
    expect(clGetPlatformIDs(1, &platform, NULL), "clGetPlatformIDs");
    expect(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 256, all, &count), "clGetDeviceIDs");
    return clCreateContext(NULL, count, all, NULL, NULL, err);
}

static void *make_image(cl_channel_type type, cl_uint levels, cl_int *err)
{
    const cl_image_format format = {CL_RGBA, type};
    const cl_image_desc desc = {.image_type = CL_MEM_OBJECT_IMAGE2D,
                                .image_width = 16,
                                .image_height = 16,
                                .num_mip_levels = levels};
    return clCreateImage(context, 0, &format, &desc, NULL, err);
}

static void *make_mips(cl_int *err)
{
    return make_image(CL_UNSIGNED_INT8, 3, err);
}

/* Mapped and written all over: there is room for it, whatever its pixels are. */
static void *make_format(cl_int *err)
{
    const size_t origin[3] = {0, 0, 0}, region[3] = {16, 16, 1};
    size_t pitch = 0, pixel = 0;
    cl_mem image = make_image(0x7777, 0, err);
    if (*err == CL_SUCCESS)
        *err = clGetImageInfo(image, CL_IMAGE_ELEMENT_SIZE, sizeof pixel, &pixel, NULL);
    if (*err != CL_SUCCESS)
        return image;
    if (pixel != 8)
        *err = CL_INVALID_IMAGE_FORMAT_DESCRIPTOR;
    void *pointer = clEnqueueMapImage(queue, image, CL_TRUE, CL_MAP_WRITE, origin, region, &pitch,
                                      NULL, 0, NULL, NULL, err);
    if (*err == CL_SUCCESS && pitch < 16 * pixel)
        *err = CL_INVALID_IMAGE_SIZE;
    if (*err == CL_SUCCESS)
        memset(pointer, 1, 16 * pitch);
    if (*err == CL_SUCCESS)
        *err = clEnqueueUnmapMemObject(queue, image, pointer, 0, NULL, NULL);
    return image;
}

static void *build_with(const char *options, cl_int *err)
{
    static const char *source = "kernel void nothing(void) {}";
    cl_program program = clCreateProgramWithSource(context, 1, &source, NULL, err);
    if (*err == CL_SUCCESS)
        *err = clBuildProgram(program, 1, &device, options, NULL, NULL);
    return program;
}

static void *make_program(cl_int *err)
{
    return build_with(NULL, err);
}

/* The versions before have no program-scope variables. */
static void *make_program_of_3(cl_int *err)
{
    return build_with("-cl-std=CL3.0", err);
}

/* One that can be built without double precision, but has not all kernels there. */
static void *make_parted(cl_int *err)
{
    static const char *source = "kernel void nothing(void) {}\n"
                                "#ifdef cl_khr_fp64\n"
                                "kernel void precise(void) {}\n"
                                "#endif\n";
    cl_program program = clCreateProgramWithSource(context, 1, &source, NULL, err);
    if (*err == CL_SUCCESS)
        *err = clBuildProgram(program, 1, &device, NULL, NULL, NULL);
    return program;
}

static void *make_kernel(cl_int *err)
{
    cl_program program = make_parted(err);
    return *err == CL_SUCCESS ? clCreateKernel(program, "precise", err) : NULL;
}

static atomic_bool let_end, ended;
static cl_command_queue beside;

/* Waits for a thread that makes calls, and so for the gate while that is closed. */
static void CL_CALLBACK wait_for_caller(void *args)
{
    while (!ended)
        usleep(1000);
}

static void *make_calls(void *unused)
{
    while (!let_end) {
        clFlush(queue);
        usleep(1000);
    }
    ended = true;
    return NULL;
}

/* Enqueues itself again, from inside the driver. */
static void CL_CALLBACK run_again(void *args)
{
    usleep(1000);
    if (!let_end && clEnqueueNativeKernel(beside, run_again, NULL, 0, 0, NULL, NULL, 0, NULL,
                                          NULL) == CL_SUCCESS)
        clFlush(beside);
    else
        ended = true;
}

static atomic_bool may_pass, has_passed;

static void CL_CALLBACK run_last(void *args)
{
    ended = true;
}

/* Enqueues the next one from inside the driver, once it may. */
static void CL_CALLBACK run_first(void *args)
{
    while (!may_pass)
        usleep(1000);
    expect(clEnqueueNativeKernel(beside, run_last, NULL, 0, 0, NULL, NULL, 0, NULL, NULL), "next");
    expect(clFlush(beside), "clFlush");
    has_passed = true;
}

static void pass(void)
{
    may_pass = true;
    while (!has_passed)
        usleep(1000);
    puts("passed");
}

static void *start(void(CL_CALLBACK *kernel)(void *), cl_int *err)
{
    beside = clCreateCommandQueue(context, device, 0, err);
    if (*err == CL_SUCCESS)
        *err = clEnqueueNativeKernel(beside, kernel, NULL, 0, 0, NULL, NULL, 0, NULL, NULL);
    if (*err == CL_SUCCESS)
        *err = clFlush(beside);
    return beside;
}

static void start_caller(void)
{
    pthread_t thread;
    expect(pthread_create(&thread, NULL, make_calls, NULL), "pthread_create");
}

static void *make_native(cl_int *err)
{
    start_caller();
    return start(wait_for_caller, err);
}

static void CL_CALLBACK free_late(cl_command_queue on, cl_uint count, void *pointers[], void *args)
{
    wait_for_caller(args);
    for (cl_uint i = 0; i < count; i++)
        clSVMFree(context, pointers[i]);
}

static void *make_svm_free(cl_int *err)
{
    void *pointer = make_svm(err);
    expect(*err, "clSVMAlloc");
    start_caller();
    beside = clCreateCommandQueue(context, device, 0, err);
    expect(*err, "clCreateCommandQueue");
    *err = clEnqueueSVMFree(beside, 1, &pointer, free_late, NULL, 0, NULL, NULL);
    expect(clFlush(beside), "clFlush");
    return beside;
}

static void *make_relay(cl_int *err)
{
    return start(run_first, err);
}

static void *make_endless(cl_int *err)
{
    return start(run_again, err);
}

static cl_int end_native(void *unused)
{
    let_end = true;
    while (!ended)
        usleep(1000);
    cl_int err = clFinish(beside);
    return err == CL_SUCCESS ? clReleaseCommandQueue(beside) : err;
}

static const struct kind {
    const char *name;
    void *(*make)(cl_int *err);
    cl_int (*release)(void *object);
} kinds[] = {
    {"pipe", make_pipe, (cl_int(*)(void *))clReleaseMemObject},
    {"queue", make_queue, (cl_int(*)(void *))clReleaseCommandQueue},
    {"context", make_context, (cl_int(*)(void *))clReleaseContext},
    {"egl", make_egl, (cl_int(*)(void *))clReleaseContext},
    {"d3d", make_d3d, (cl_int(*)(void *))clReleaseContext},
    {"va", make_va, (cl_int(*)(void *))clReleaseContext},
    {"svm", make_svm, free_svm},
    {"part", make_part, (cl_int(*)(void *))clReleaseCommandQueue},
    {"both", make_both, (cl_int(*)(void *))clReleaseContext},
    {"all", make_all, (cl_int(*)(void *))clReleaseContext},
    {"mips", make_mips, (cl_int(*)(void *))clReleaseMemObject},
    {"format", make_format, (cl_int(*)(void *))clReleaseMemObject},
    {"native", make_native, end_native},
    {"svmfree", make_svm_free, end_native},
    {"relay", make_relay, end_native},
    {"endless", make_endless, end_native},
    {"kernel", make_kernel, (cl_int(*)(void *))clReleaseKernel},
    {"parted", make_parted, (cl_int(*)(void *))clReleaseProgram},
    {"variables", make_program, (cl_int(*)(void *))clReleaseProgram},
    {"untold", make_program_of_3, (cl_int(*)(void *))clReleaseProgram},
    {"older", make_program, (cl_int(*)(void *))clReleaseProgram},
};

static void make_buffer(void)
{
    cl_platform_id platform;
    cl_int err;
    expect(clGetPlatformIDs(1, &platform, NULL), "clGetPlatformIDs");
    expect(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL), "clGetDeviceIDs");
    context = clCreateContext(NULL, 1, &device, NULL, NULL, &err);
    expect(err, "clCreateContext");
    queue = clCreateCommandQueue(context, device, 0, &err);
    expect(err, "clCreateCommandQueue");
    for (int i = 0; i < SIZE; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 256);
    buffer = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, SIZE, bytes, &err);
    expect(err, "clCreateBuffer");
}

static const char *check(void)
{
    unsigned char back[SIZE] = {0};
    expect(clEnqueueReadBuffer(queue, buffer, CL_TRUE, 0, SIZE, back, 0, NULL, NULL), "read");
    return memcmp(bytes, back, SIZE) ? "wrong" : "right";
}

/* What the application must not be told of: extensions, their functions, sharing with OpenGL. */
static int say_what_is_seen(void)
{
    static const char *const names[] = {"semaphore",    "external_memory", "gl_",
                                        "egl_",         "d3d11",           "unified_shared_memory",
                                        "import_memory"};
    static const char *const functions[] = {"clCreateSemaphoreWithPropertiesKHR",
                                            "clEnqueueSignalSemaphoresKHR",
                                            "clEnqueueAcquireExternalMemObjectsKHR",
                                            "clCreateFromD3D11BufferKHR",
                                            "clHostMemAllocINTEL",
                                            "clImportMemoryARM"};
    char text[8192] = "";
    int seen = 0;
    cl_int err = CL_SUCCESS;
    cl_platform_id platform;
    expect(clGetPlatformIDs(1, &platform, NULL), "clGetPlatformIDs");
    expect(clGetDeviceInfo(device, CL_DEVICE_EXTENSIONS, sizeof text, text, NULL), "extensions");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        seen += strstr(text, names[i]) != NULL;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        seen += clGetExtensionFunctionAddressForPlatform(platform, functions[i]) != NULL;
    cl_mem shared = clCreateFromGLBuffer(context, CL_MEM_READ_WRITE, 1, &err);
    printf("seen: %d, clCreateFromGLBuffer: %d %d\n", seen, shared != NULL, err);
    return 0;
}

int main(int argc, char **argv)
{
    const struct kind *kind = NULL;
    char line[32];
    cl_int err = CL_SUCCESS;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; argc == 2 && i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(argv[1], kinds[i].name))
            kind = &kinds[i];
    if (!kind && (argc != 2 || strcmp(argv[1], "hidden") != 0))
        return 2;
    make_buffer();
    if (!kind)
        return say_what_is_seen();
    void *object = kind->make(&err);
    expect(err, kind->name);
    puts("ready");
    while (fgets(line, sizeof line, stdin)) {
        if (!strcmp(line, "check\n")) {
            puts(check());
        } else if (!strcmp(line, "pass\n")) {
            pass();
        } else if (!strcmp(line, "late\n")) {
            clCreateKernel(object, "precise", &err);
            expect(err, "clCreateKernel");
            puts("made");
        } else {
            expect(kind->release(object), "release");
            puts("dropped");
        }
    }
    return 0;
}
