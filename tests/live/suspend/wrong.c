/* SPDX-License-Identifier: Apache-2.0 */
/* Wrong handles get the error that the specification names, and never a crash: each handle of each
 * call (wrong_cases.h), with nothing, with what was freed, with every other kind of object, and
 * with numbers that are no object. Only under the shim: drivers crash. */
#include "live.h"

#include <CL/cl_egl.h>
#include <CL/cl_ext.h>
#include <CL/cl_gl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    NONE = 0,
    NOTHING = 1 << 0, /* NULL */
    PLATFORM = 1 << 1,
    DEVICE = 1 << 2,
    CONTEXT = 1 << 3,
    QUEUE = 1 << 4,
    BUFFER = 1 << 5,
    IMAGE = 1 << 6,
    SAMPLER = 1 << 7,
    PROGRAM = 1 << 8,
    KERNEL = 1 << 9,
    EVENT = 1 << 10,
    USER_EVENT = 1 << 11,
    COMMAND_BUFFER = 1 << 12,
    UNTRIED = 1 << 13, /* the right ones that are here get the same error for another reason */
    MEM = BUFFER | IMAGE,
    ANY_EVENT = EVENT | USER_EVENT,
};

#define ABSENT 1 /* no error of OpenCL's: the driver has no such call */

static const char *const source =
    "kernel void put(global uint *out, uint v) { out[get_global_id(0)] = v; }\n";
static const char *const reader_source =
    "kernel void take(read_only image2d_t from, sampler_t with, global float4 *to)\n"
    "{ *to = read_imagef(from, with, (int2)(0, 0)); }\n";

static cl_mem buffer, other, image, other_image;
static cl_sampler sampler;
static cl_program program, unbuilt, compiled;
static cl_kernel kernel, reader;
static cl_event event, user_event, mark;
static cl_command_buffer_khr recording, finalized;
static void *shared; /* SVM */
static unsigned char *binary;
static size_t binary_size;
static bool device_queues;

/* What the calls get beside their handles, and what they answer. */
static cl_int err;
static size_t size;
static cl_uint number;
static cl_ulong times[2];
static unsigned char bytes[64];
static const void *in_bytes = bytes;
static const size_t zero[3] = {0}, one[3] = {1, 1, 1};
static const cl_buffer_region part = {0, 4};
static const cl_image_format format = {CL_RGBA, CL_UNORM_INT8};
static const cl_image_desc plane = {
    .image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = 4, .image_height = 4};
static const cl_device_partition_property equally[] = {CL_DEVICE_PARTITION_EQUALLY, 1, 0};
static const cl_device_partition_property_ext equally_ext[] = {CL_DEVICE_PARTITION_EQUALLY_EXT, 1,
                                                               CL_PROPERTIES_LIST_END_EXT};
static const char *header_names[] = {"other.h"};

static const cl_context_properties *on_platform(void *handle)
{
    static cl_context_properties properties[3] = {CL_CONTEXT_PLATFORM};
    properties[1] = (cl_context_properties)handle;
    return properties;
}

static const cl_image_desc *line_over(void *handle)
{
    static cl_image_desc line = {.image_type = CL_MEM_OBJECT_IMAGE1D_BUFFER, .image_width = 1};
    line.mem_object = handle;
    return &line;
}

static void CL_CALLBACK told_context(cl_context context, void *data)
{
}

static void CL_CALLBACK told_mem(cl_mem mem, void *data)
{
}

static void CL_CALLBACK told_program(cl_program of, void *data)
{
}

static void CL_CALLBACK told_event(cl_event of, cl_int status, void *data)
{
}

static void CL_CALLBACK freed_nothing(cl_command_queue queue, cl_uint count, void *pointers[],
                                      void *data)
{
}

static void CL_CALLBACK run_nothing(void *args)
{
}

static void *extension(const char *name)
{
    return clGetExtensionFunctionAddressForPlatform(live.platform, name);
}

#define CASE(call, parameter, kinds, error, expression)                                            \
    static cl_int try_##call##_##parameter(void *handle)                                           \
    {                                                                                              \
        return expression;                                                                         \
    }
#define EXTENSION(call, parameter, kinds, error, expression)                                       \
    static cl_int try_##call##_##parameter(void *handle)                                           \
    {                                                                                              \
        __typeof__(call) *function = (__typeof__(call) *)extension(#call);                         \
        return function ? expression : ABSENT;                                                     \
    }
#include "wrong_cases.h"
#undef CASE
#undef EXTENSION

static const struct wrong_case {
    const char *call, *parameter;
    unsigned kinds;
    cl_int error;
    cl_int (*try)(void *handle);
} cases[] = {
#define CASE(call, parameter, kinds, error, expression)                                            \
    {#call, #parameter, kinds, error, try_##call##_##parameter},
#define EXTENSION CASE
#include "wrong_cases.h"
#undef CASE
#undef EXTENSION
};

#define NUM_CASES (sizeof cases / sizeof *cases)

static struct {
    unsigned kind;
    void *handle;
} objects[16];
static size_t num_objects;

static void add_object(unsigned kind, void *handle)
{
    if (!handle)
        return;
    assert_true(num_objects < sizeof objects / sizeof *objects);
    objects[num_objects].kind = kind;
    objects[num_objects++].handle = handle;
}

/* Wrong wherever they come. Those freed before stay, also across a suspend. */
static struct {
    const char *what;
    void *handle;
} numbers[64];
static size_t num_numbers;

static void add_number(const char *what, void *handle)
{
    assert_true(num_numbers < sizeof numbers / sizeof *numbers);
    numbers[num_numbers].what = what;
    numbers[num_numbers++].handle = handle;
}

static void *at(void *base, intptr_t offset)
{
    return (void *)((uintptr_t)base + (uintptr_t)offset);
}

static void add_garbage(void)
{
    static const intptr_t offsets[] = {1, 3, 4, 8, 16, 24, 1 << 20, 1 << 28, -1, -8};
    static char inside[64];
    char *unmapped = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(unmapped, MAP_FAILED);
    munmap(unmapped, 4096);
    /* Near an object, where nothing, another field or no object begins. */
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++)
        add_number("near", at(live.context, offsets[i]));
    add_number("the program's own", inside);
    add_number("the program's own, odd", inside + 1);
    add_number("unmapped", unmapped);
    add_number("small", at(NULL, 1));
    add_number("small", at(NULL, 16));
    add_number("huge", at(NULL, -1));
    add_number("huge", at(NULL, -8));
    add_number("huge", at(NULL, INTPTR_MAX));
    add_number("huge", at(NULL, INTPTR_MIN));
}

static cl_device_id free_sub_device(void)
{
    const cl_device_partition_property counts[] = {CL_DEVICE_PARTITION_EQUALLY, 1, 0};
    cl_device_id parts[64] = {NULL};
    cl_uint count = 0;
    if (clCreateSubDevices(live.device, counts, 64, parts, &count) != CL_SUCCESS)
        return NULL;
    for (cl_uint i = 0; i < count && i < 64; i++)
        ok(clReleaseDevice(parts[i]));
    return parts[0];
}

static void add_freed_command_buffer(void)
{
    __typeof__(clCreateCommandBufferKHR) *create =
        (__typeof__(create))extension("clCreateCommandBufferKHR");
    __typeof__(clReleaseCommandBufferKHR) *release =
        (__typeof__(release))extension("clReleaseCommandBufferKHR");
    if (!create || !release)
        return;
    cl_command_buffer_khr freed = create(1, &live.queue, NULL, &err);
    made(freed);
    ok(release(freed));
    add_number("freed command buffer", freed);
}

/* One of each kind, made and released. */
static void add_freed(void)
{
#define FREED(type, create, release)                                                               \
    do {                                                                                           \
        type freed = create;                                                                       \
        made(freed);                                                                               \
        ok(release(freed));                                                                        \
        add_number("freed " #type, freed);                                                         \
    } while (0)
    cl_device_id part_of = free_sub_device();
    if (part_of)
        add_number("freed cl_device_id", part_of);
    FREED(cl_context, clCreateContext(NULL, 1, &live.device, NULL, NULL, &err), clReleaseContext);
    FREED(cl_command_queue, clCreateCommandQueue(live.context, live.device, 0, &err),
          clReleaseCommandQueue);
    FREED(cl_mem, clCreateBuffer(live.context, 0, 16, NULL, &err), clReleaseMemObject);
    FREED(cl_mem, clCreateImage(live.context, 0, &format, &plane, NULL, &err), clReleaseMemObject);
    FREED(cl_sampler,
          clCreateSampler(live.context, CL_FALSE, CL_ADDRESS_NONE, CL_FILTER_NEAREST, &err),
          clReleaseSampler);
    FREED(cl_program,
          clCreateProgramWithSource(live.context, 1, (const char **)&source, NULL, &err),
          clReleaseProgram);
    FREED(cl_kernel, clCreateKernel(program, "put", &err), clReleaseKernel);
    FREED(cl_event, clCreateUserEvent(live.context, &err), clReleaseEvent);
#undef FREED
    add_freed_command_buffer();
}

/* The first of a row is told, the others are counted. */
static size_t check(const struct wrong_case *row, const char *what, void *handle, size_t failed)
{
    cl_int got = row->try(handle);
    if (got == row->error || got == ABSENT)
        return failed;
    if (!failed)
        print_error("%s, %s: %s (%p): %d, not %d\n", row->call, row->parameter, what, handle, got,
                    row->error);
    return failed + 1;
}

static size_t check_case(const struct wrong_case *row)
{
    char what[64];
    size_t failed = row->kinds & NOTHING ? 0 : check(row, "NULL", NULL, 0);
    for (size_t i = 0; i < num_objects; i++) {
        snprintf(what, sizeof what, "of kind %#x", objects[i].kind);
        if (!(row->kinds & objects[i].kind))
            failed = check(row, what, objects[i].handle, failed);
    }
    for (size_t i = 0; i < num_numbers; i++)
        failed = check(row, numbers[i].what, numbers[i].handle, failed);
    if (failed > 1)
        print_error("    and with %zu more\n", failed - 1);
    return failed;
}

static void check_all(void)
{
    size_t failed = 0;
    add_freed();
    for (size_t i = 0; i < NUM_CASES; i++)
        failed += check_case(&cases[i]);
    assert_int_equal(failed, 0);
}

/* None of the calls above has retained, released or written anything. */
static void check_untouched(void)
{
    static const cl_uint expected[4] = {7, 8, 9, 10};
#define REFERENCES(query, object, param, times_held)                                               \
    do {                                                                                           \
        cl_uint count = 0;                                                                         \
        ok(query(object, param, sizeof count, &count, NULL));                                      \
        assert_int_equal(count, times_held);                                                       \
    } while (0)
    REFERENCES(clGetContextInfo, live.context, CL_CONTEXT_REFERENCE_COUNT, 1);
    REFERENCES(clGetCommandQueueInfo, live.queue, CL_QUEUE_REFERENCE_COUNT, 1);
    REFERENCES(clGetMemObjectInfo, buffer, CL_MEM_REFERENCE_COUNT, 1);
    REFERENCES(clGetMemObjectInfo, image, CL_MEM_REFERENCE_COUNT, 1);
    REFERENCES(clGetMemObjectInfo, buffer, CL_MEM_MAP_COUNT, 0);
    REFERENCES(clGetSamplerInfo, sampler, CL_SAMPLER_REFERENCE_COUNT, 1);
    REFERENCES(clGetProgramInfo, program, CL_PROGRAM_REFERENCE_COUNT, 1);
    REFERENCES(clGetKernelInfo, kernel, CL_KERNEL_REFERENCE_COUNT, 1);
    REFERENCES(clGetEventInfo, event, CL_EVENT_REFERENCE_COUNT, 1);
    REFERENCES(clGetEventInfo, user_event, CL_EVENT_REFERENCE_COUNT, 1);
#undef REFERENCES
    cl_int status = 0;
    ok(clGetEventInfo(user_event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL));
    assert_int_equal(status, CL_SUBMITTED);
    live_expect(other, 0, expected, sizeof expected);
}

static void test_each_handle_of_each_call(void **state)
{
    check_all();
    check_untouched();
}

static void test_each_after_a_suspend(void **state)
{
    cl_uint v = 5, expected[4] = {5, 5, 5, 5};
    if (!live.pocl && shared) { /* in its way */
        clSVMFree(live.context, shared);
        shared = NULL;
    }
    live_cycle();
    check_all();
    check_untouched();
    ok(clSetKernelArg(kernel, 0, sizeof buffer, &buffer));
    ok(clSetKernelArg(kernel, 1, sizeof v, &v));
    live_launch(live.queue, kernel, 4);
    live_expect(buffer, 0, expected, sizeof expected);
}

/* It is the handle that is answered with that error: a right one is not. Retain stands before
 * release in the list. */
static void test_right_handles_are_not_wrong(void **state)
{
    size_t failed = 0, absent = 0;
    for (size_t i = 0; i < NUM_CASES; i++) {
        const struct wrong_case *row = &cases[i];
        void *right = NULL;
        for (size_t j = 0; j < num_objects && !right; j++)
            if (row->kinds & objects[j].kind)
                right = objects[j].handle;
        if (row->error == CL_SUCCESS || row->kinds & UNTRIED || (!right && !(row->kinds & NOTHING)))
            continue;
        cl_int got = row->try(right);
        absent += got == ABSENT;
        failed += got == row->error;
        if (got == row->error)
            print_error("%s, %s: %d with a right one\n", row->call, row->parameter, got);
    }
    print_message("%zu handles, %zu of calls that this driver lacks\n", NUM_CASES, absent);
    assert_int_equal(failed, 0);
    assert_true(absent < NUM_CASES / 3);
    ok(clFinish(live.queue));
}

static void make_command_buffers(void)
{
    __typeof__(clCreateCommandBufferKHR) *create =
        (__typeof__(create))extension("clCreateCommandBufferKHR");
    __typeof__(clFinalizeCommandBufferKHR) *finalize =
        (__typeof__(finalize))extension("clFinalizeCommandBufferKHR");
    if (!create || !finalize)
        return;
    recording = create(1, &live.queue, NULL, &err);
    made(recording);
    finalized = create(1, &live.queue, NULL, &err);
    made(finalized);
    ok(finalize(finalized));
}

static void make_programs(void)
{
    cl_uint v = 1;
    program = live_program(source, NULL);
    unbuilt = clCreateProgramWithSource(live.context, 1, (const char **)&source, NULL, &err);
    made(unbuilt);
    compiled = clCreateProgramWithSource(live.context, 1, (const char **)&source, NULL, &err);
    made(compiled);
    ok(clCompileProgram(compiled, 0, NULL, NULL, 0, NULL, NULL, NULL, NULL));
    ok(clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof binary_size, &binary_size, NULL));
    binary = malloc(binary_size);
    assert_non_null(binary);
    ok(clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof binary, &binary, NULL));
    kernel = clCreateKernel(program, "put", &err);
    made(kernel);
    ok(clSetKernelArg(kernel, 0, sizeof buffer, &buffer));
    ok(clSetKernelArg(kernel, 1, sizeof v, &v));
    reader = live_kernel(reader_source, "take");
}

static void make_memory(void)
{
    static const cl_uint values[4] = {7, 8, 9, 10};
    cl_device_svm_capabilities svm = 0;
    buffer = live_buffer(16, NULL);
    other = live_buffer(sizeof values, values);
    image = clCreateImage(live.context, 0, &format, &plane, NULL, &err);
    made(image);
    other_image = clCreateImage(live.context, 0, &format, &plane, NULL, &err);
    made(other_image);
    clGetDeviceInfo(live.device, CL_DEVICE_SVM_CAPABILITIES, sizeof svm, &svm, NULL);
    shared = svm ? clSVMAlloc(live.context, CL_MEM_READ_WRITE, 64, 0) : NULL;
}

static int setup(void **state)
{
    cl_bitfield capabilities = 0;
    if (!live_shadowed())
        exit(77);
    live_setup(state);
    clGetDeviceInfo(live.device, CL_DEVICE_DEVICE_ENQUEUE_CAPABILITIES, sizeof capabilities,
                    &capabilities, NULL);
    device_queues = capabilities;
    make_memory();
    make_programs();
    make_command_buffers();
    sampler = clCreateSampler(live.context, CL_FALSE, CL_ADDRESS_NONE, CL_FILTER_NEAREST, &err);
    made(sampler);
    ok(clEnqueueMarkerWithWaitList(live.queue, 0, NULL, &event));
    user_event = clCreateUserEvent(live.context, &err);
    made(user_event);
    add_object(PLATFORM, live.platform);
    add_object(DEVICE, live.device);
    add_object(CONTEXT, live.context);
    add_object(QUEUE, live.queue);
    add_object(BUFFER, buffer);
    add_object(IMAGE, image);
    add_object(SAMPLER, sampler);
    add_object(PROGRAM, program);
    add_object(KERNEL, kernel);
    add_object(EVENT, event);
    add_object(USER_EVENT, user_event);
    add_object(COMMAND_BUFFER, recording);
    add_garbage();
    return 0;
}

static int teardown(void **state)
{
    if (shared)
        clSVMFree(live.context, shared);
    free(binary);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_handle_of_each_call),
        cmocka_unit_test(test_each_after_a_suspend),
        cmocka_unit_test(test_right_handles_are_not_wrong),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
