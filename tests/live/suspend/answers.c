/* SPDX-License-Identifier: Apache-2.0 */
/* All clGet*Info answers are the same before and after a suspend: errors, sizes and bytes, for
 * every parameter that there is or could be. Of each kind there are two alike: one is asked before,
 * the other, of which nothing has been told yet, only after. */
#include "live.h"

#include <CL/cl_ext.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOM 262144
/* What changes while the device runs. */
#define TIMER_OFFSET_AMD 0x4036
#define FREE_MEMORY_AMD 0x4039

/* What was told, one after the other: error, size and bytes. */
struct told {
    unsigned char *bytes;
    size_t size;
};

static struct told told(void)
{
    struct told none = {calloc(1, ROOM), 0};
    assert_non_null(none.bytes);
    return none;
}

static void note(struct told *to, cl_int err, const void *bytes, size_t size)
{
    struct {
        cl_int err;
        size_t size;
    } head;
    memset(&head, 0, sizeof head);
    head.err = err;
    head.size = err == CL_SUCCESS ? size : 0;
    assert_true(to->size + sizeof head + head.size <= ROOM);
    memcpy(to->bytes + to->size, &head, sizeof head);
    memcpy(to->bytes + to->size + sizeof head, bytes, head.size);
    to->size += sizeof head + head.size;
}

/* From one parameter to another. */
static void walk(struct told *to, live_query query, const void *object, cl_uint first, cl_uint last)
{
    for (cl_uint param = first; param <= last; param++)
        if (param != FREE_MEMORY_AMD && param != TIMER_OFFSET_AMD)
            to->size += live_infos(query, object, &param, 1, to->bytes + to->size, ROOM - to->size);
}
#define walk_all(to, query, object, first, last) walk(to, (live_query)(query), object, first, last)

static void same(const char *what, struct told before, struct told after)
{
    size_t least = before.size < after.size ? before.size : after.size, at = 0;
    while (at < least && before.bytes[at] == after.bytes[at])
        at++;
    if (at < least || before.size != after.size)
        fail_msg("%s: %zu and %zu bytes were told, and are not the same from byte %zu on", what,
                 before.size, after.size, at);
    free(before.bytes);
    free(after.bytes);
}

/* Where the extensions of vendors have their parameters as well. */
static struct told of_device(cl_device_id device)
{
    struct told to = told();
    walk_all(&to, clGetDeviceInfo, device, 0x1000, 0x107f);
    walk_all(&to, clGetDeviceInfo, device, 0x2050, 0x2070);
    walk_all(&to, clGetDeviceInfo, device, 0x4000, 0x42ff);
    return to;
}

static void test_platform_and_device(void **state)
{
    struct told platform[2] = {told(), told()}, device[2];
    walk_all(&platform[0], clGetPlatformInfo, live.platform, 0x900, 0x91f);
    device[0] = of_device(live.device);
    assert_true(device[0].size > 2000);
    live_cycle();
    walk_all(&platform[1], clGetPlatformInfo, live.platform, 0x900, 0x91f);
    device[1] = of_device(live.device);
    same("the platform", platform[0], platform[1]);
    same("the device", device[0], device[1]);
}

/* Their siblings were not asked before. */
static void test_sub_devices(void **state)
{
    const cl_device_partition_property equally[] = {CL_DEVICE_PARTITION_EQUALLY, 1, 0};
    cl_device_id subs[64];
    cl_uint count = 0, most = 0;
    ok(clGetDeviceInfo(live.device, CL_DEVICE_PARTITION_MAX_SUB_DEVICES, sizeof most, &most, NULL));
    live_need(most >= 2); /* rusticl crashes */
    live_need(clCreateSubDevices(live.device, equally, 64, subs, &count) == CL_SUCCESS);
    live_need(count >= 2);
    struct told before = of_device(subs[0]);
    live_cycle();
    same("a sub-device", before, of_device(subs[0]));
    before = of_device(subs[0]);
    same("another sub-device", before, of_device(subs[1]));
    for (cl_uint i = 0; i < count; i++)
        ok(clReleaseDevice(subs[i]));
}

/* Every combination of flags that says what the device and the host do, and every type. */
static struct told formats_of(cl_context context)
{
    static cl_image_format formats[512];
    static const cl_mem_flags flags[] = {
        0,
        CL_MEM_READ_WRITE,
        CL_MEM_WRITE_ONLY,
        CL_MEM_READ_ONLY,
        CL_MEM_KERNEL_READ_AND_WRITE,
        CL_MEM_READ_ONLY | CL_MEM_USE_HOST_PTR,
        CL_MEM_READ_WRITE | CL_MEM_ALLOC_HOST_PTR,
        CL_MEM_READ_WRITE | CL_MEM_WRITE_ONLY,
        CL_MEM_READ_ONLY | CL_MEM_HOST_NO_ACCESS,
    };
    struct told to = told();
    for (size_t f = 0; f < sizeof flags / sizeof *flags; f++)
        for (cl_uint type = CL_MEM_OBJECT_BUFFER; type <= CL_MEM_OBJECT_IMAGE1D_BUFFER; type++) {
            cl_uint count = 0;
            cl_int err = clGetSupportedImageFormats(context, flags[f], type, 512, formats, &count);
            assert_true(count <= 512);
            note(&to, err, formats, count * sizeof *formats);
        }
    return to;
}

static cl_context another_context(void)
{
    cl_int err;
    const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM,
                                                (cl_context_properties)live.platform, 0};
    cl_context context = clCreateContext(properties, 1, &live.device, NULL, NULL, &err);
    made(context);
    return context;
}

static void test_contexts_and_their_formats(void **state)
{
    cl_context contexts[2] = {another_context(), another_context()};
    struct told infos[2] = {told(), told()}, formats = formats_of(contexts[0]);
    walk_all(&infos[0], clGetContextInfo, contexts[0], 0x1080, 0x108f);
    live_cycle();
    walk_all(&infos[1], clGetContextInfo, contexts[1], 0x1080, 0x108f);
    same("a context", infos[0], infos[1]);
    same("the formats of a context", formats, formats_of(contexts[0]));
    formats = formats_of(contexts[0]);
    same("the formats of another context", formats, formats_of(contexts[1]));
    for (int i = 0; i < 2; i++)
        ok(clReleaseContext(contexts[i]));
}

static const char *const source =
    "typedef struct { int a; float4 b; } pair;\n"
    "kernel __attribute__((reqd_work_group_size(8, 2, 1))) __attribute__((vec_type_hint(float4)))\n"
    "void many(global const float *restrict from, global volatile uint *to, constant pair *pairs,\n"
    "          local ulong *shared, pair one, float4 vector, char small)\n"
    "{ shared[get_local_id(0)] = get_global_id(0); barrier(CLK_LOCAL_MEM_FENCE);\n"
    "  to[get_global_id(0)] = (uint)(from[0] + vector.x + one.a + pairs[0].a + small + shared[0]); "
    "}\n"
    "kernel __attribute__((work_group_size_hint(4, 1, 1))) void few(global uint *to)\n"
    "{ to[get_global_id(0)] = 1; }\n";
static const char *const image_source =
    "kernel void look(read_only image2d_t from, write_only image2d_t to, sampler_t how)\n"
    "{ int2 at = {get_global_id(0), 0}; write_imagef(to, at, read_imagef(from, how, at)); }\n";

static void groups_of(struct told *to, cl_kernel kernel, cl_device_id device)
{
    for (cl_uint param = 0x11b0; param <= 0x11b7; param++) {
        unsigned char value[64];
        size_t size = 0;
        cl_int err = clGetKernelWorkGroupInfo(kernel, device, param, sizeof value, value, &size);
        note(to, err, value, size);
    }
}

typedef cl_int(CL_API_CALL *ask_sub_groups)(cl_kernel, cl_device_id, cl_kernel_sub_group_info,
                                            size_t, const void *, size_t, void *, size_t *);

static void sub_groups_of(struct told *to, cl_kernel kernel, ask_sub_groups ask)
{
    static const cl_uint params[] = {
        CL_KERNEL_MAX_SUB_GROUP_SIZE_FOR_NDRANGE, CL_KERNEL_SUB_GROUP_COUNT_FOR_NDRANGE,
        CL_KERNEL_LOCAL_SIZE_FOR_SUB_GROUP_COUNT, CL_KERNEL_MAX_NUM_SUB_GROUPS,
        CL_KERNEL_COMPILE_NUM_SUB_GROUPS,         0x1234};
    const size_t local[] = {8, 2, 1}, one = 1;
    for (size_t p = 0; p < sizeof params / sizeof *params; p++)
        for (size_t dims = 1; dims <= 3; dims++) {
            bool counts = params[p] == CL_KERNEL_LOCAL_SIZE_FOR_SUB_GROUP_COUNT;
            size_t value[3] = {0}, size = 0;
            cl_int err = ask(kernel, live.device, params[p],
                             counts ? sizeof one : dims * sizeof *local, counts ? &one : local,
                             counts ? dims * sizeof *value : sizeof *value, value, &size);
            note(to, err, value, size);
        }
}

/* A driver without any may not even have the functions, which only the shim says. */
static bool may_ask_sub_groups(void)
{
    cl_uint most = 0;
    clGetDeviceInfo(live.device, CL_DEVICE_MAX_NUM_SUB_GROUPS, sizeof most, &most, NULL);
    return most || live_shadowed();
}

static struct told of_kernel(cl_kernel kernel)
{
    struct told to = told();
    ask_sub_groups khr = (ask_sub_groups)clGetExtensionFunctionAddressForPlatform(
        live.platform, "clGetKernelSubGroupInfoKHR");
    cl_uint num_args = 0;
    ok(clGetKernelInfo(kernel, CL_KERNEL_NUM_ARGS, sizeof num_args, &num_args, NULL));
    for (cl_uint param = 0x1190; param <= 0x1195; param++)
        if (param != CL_KERNEL_PROGRAM)
            walk_all(&to, clGetKernelInfo, kernel, param, param);
    for (cl_uint arg = 0; arg <= num_args; arg++) /* and one that it has not */
        for (cl_uint param = 0x1196; param <= 0x119b; param++) {
            char text[256];
            size_t size = 0;
            cl_int err = clGetKernelArgInfo(kernel, arg, param, sizeof text, text, &size);
            note(&to, err, text, size);
        }
    groups_of(&to, kernel, live.device);
    groups_of(&to, kernel, NULL);
    if (may_ask_sub_groups())
        sub_groups_of(&to, kernel, clGetKernelSubGroupInfo);
    if (khr && may_ask_sub_groups())
        sub_groups_of(&to, kernel, khr);
    return to;
}

static cl_kernel kernel_of(cl_program program, const char *name)
{
    cl_int err;
    cl_kernel kernel = clCreateKernel(program, name, &err);
    made(kernel);
    if (strcmp(name, "many") == 0) /* the local memory that it uses counts */
        ok(clSetKernelArg(kernel, 3, 1024, NULL));
    return kernel;
}

/* Of the second program nothing is asked before, and it may come back from its binary. */
static void kernels_of(const char *text, const char *name)
{
    cl_program programs[2];
    cl_kernel kernels[4];
    for (int i = 0; i < 2; i++) {
        programs[i] = live_program(text, "-cl-kernel-arg-info");
        kernels[i] = kernel_of(programs[i], name);
        kernels[i + 2] = kernel_of(programs[i], name);
    }
    struct told before = of_kernel(kernels[0]);
    for (int round = 0; round < 2; round++) {
        live_cycle();
        for (int i = 0; i < 4; i++) {
            struct told first = told();
            memcpy(first.bytes, before.bytes, before.size);
            first.size = before.size;
            same(name, first, of_kernel(kernels[i]));
        }
    }
    cl_kernel late = kernel_of(programs[1], name);
    same(name, before, of_kernel(late));
    ok(clReleaseKernel(late));
    for (int i = 0; i < 4; i++)
        ok(clReleaseKernel(kernels[i]));
    for (int i = 0; i < 2; i++)
        ok(clReleaseProgram(programs[i]));
}

static void test_kernels(void **state)
{
    cl_bool images = CL_FALSE;
    kernels_of(source, "many");
    kernels_of(source, "few");
    ok(clGetDeviceInfo(live.device, CL_DEVICE_IMAGE_SUPPORT, sizeof images, &images, NULL));
    if (images)
        kernels_of(image_source, "look");
}

static void binaries_of(struct told *to, cl_program program)
{
    size_t size = 0;
    ok(clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof size, &size, NULL));
    unsigned char *bytes = calloc(1, size + 1);
    assert_non_null(bytes);
    ok(clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof bytes, &bytes, NULL));
    note(to, CL_SUCCESS, bytes, size);
    free(bytes);
}

static struct told of_program(cl_program program)
{
    struct told to = told();
    for (cl_uint param = 0x1160; param <= 0x116f; param++)
        if (param != CL_PROGRAM_BINARIES && param != CL_PROGRAM_BINARY_SIZES)
            walk_all(&to, clGetProgramInfo, program, param, param);
    for (cl_uint param = 0x1180; param <= 0x1187; param++) {
        static unsigned char value[65536];
        size_t size = 0;
        cl_int err = clGetProgramBuildInfo(program, live.device, param, sizeof value, value, &size);
        note(&to, err, value, size);
    }
    return to;
}

static void test_programs(void **state)
{
    cl_int err;
    cl_program programs[3];
    for (int i = 0; i < 2; i++)
        programs[i] = live_program(source, "-cl-kernel-arg-info -D UNUSED=1");
    programs[2] = clCreateProgramWithSource(live.context, 1, (const char **)&source, NULL, &err);
    made(programs[2]);
    struct told built = of_program(programs[0]), fresh = of_program(programs[2]);
    struct told binaries[2] = {told(), told()};
    binaries_of(&binaries[0], programs[0]);
    live_cycle();
    same("a program that was not asked", built, of_program(programs[1]));
    built = of_program(programs[1]);
    same("a program", built, of_program(programs[0]));
    same("a program that is not built", fresh, of_program(programs[2]));
    binaries_of(&binaries[1], programs[0]);
    same("a program's binaries", binaries[0], binaries[1]);
    for (int i = 0; i < 3; i++)
        ok(clReleaseProgram(programs[i]));
}

static cl_mem image_like(cl_mem_flags flags)
{
    const cl_image_format format = {CL_RGBA, CL_UNSIGNED_INT8};
    const cl_image_desc desc = {
        .image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = 20, .image_height = 10};
    cl_int err;
    return clCreateImage(live.context, flags, &format, &desc, NULL, &err);
}

/* Of memory objects only the pointers that a driver would give are its own: NULL here. */
static void test_memory_objects(void **state)
{
    const cl_buffer_region region = {4096, 100};
    cl_int err;
    cl_mem mems[2][5], whole = live_buffer(12345, NULL);
    struct told infos[2] = {told(), told()};
    static unsigned char host[8192] __attribute__((aligned(4096)));
    for (int i = 0; i < 2; i++) {
        mems[i][0] = live_buffer(12345, NULL);
        mems[i][1] = clCreateBuffer(live.context, CL_MEM_READ_ONLY | CL_MEM_USE_HOST_PTR,
                                    sizeof host, host, &err);
        made(mems[i][1]);
        mems[i][2] = clCreateBuffer(
            live.context, CL_MEM_WRITE_ONLY | CL_MEM_ALLOC_HOST_PTR | CL_MEM_HOST_READ_ONLY, 777,
            NULL, &err);
        made(mems[i][2]);
        mems[i][3] =
            clCreateSubBuffer(whole, CL_MEM_READ_ONLY, CL_BUFFER_CREATE_TYPE_REGION, &region, &err);
        made(mems[i][3]);
        mems[i][4] = image_like(CL_MEM_READ_ONLY);
    }
    for (int i = 0; i < 2; i++) {
        for (int m = 0; m < 5; m++) {
            if (!mems[i][m])
                continue;
            walk_all(&infos[i], clGetMemObjectInfo, mems[i][m], 0x1100, 0x110f);
            if (m == 4)
                walk_all(&infos[i], clGetImageInfo, mems[i][m], 0x1110, 0x111f);
        }
        live_cycle();
    }
    same("memory objects", infos[0], infos[1]);
    for (int m = 4; m >= 0; m--)
        for (int i = 0; i < 2; i++)
            if (mems[i][m])
                ok(clReleaseMemObject(mems[i][m]));
    ok(clReleaseMemObject(whole));
}

static void test_samplers_and_queues(void **state)
{
    cl_int err;
    cl_sampler samplers[2];
    cl_command_queue queues[2];
    struct told infos[2] = {told(), told()};
    for (int i = 0; i < 2; i++) {
        samplers[i] =
            clCreateSampler(live.context, CL_FALSE, CL_ADDRESS_CLAMP, CL_FILTER_LINEAR, &err);
        queues[i] =
            clCreateCommandQueue(live.context, live.device, CL_QUEUE_PROFILING_ENABLE, &err);
        made(queues[i]);
    }
    for (int i = 0; i < 2; i++) {
        if (samplers[i])
            walk_all(&infos[i], clGetSamplerInfo, samplers[i], 0x1150, 0x115f);
        walk_all(&infos[i], clGetCommandQueueInfo, queues[i], 0x1090, 0x109f);
        live_cycle();
    }
    same("samplers and queues", infos[0], infos[1]);
    for (int i = 0; i < 2; i++) {
        if (samplers[i])
            ok(clReleaseSampler(samplers[i]));
        ok(clReleaseCommandQueue(queues[i]));
    }
}

static void test_events(void **state)
{
    cl_int err;
    cl_uint pattern = 1;
    cl_event user = clCreateUserEvent(live.context, &err), events[3];
    cl_mem mem = live_buffer(64, NULL);
    made(user);
    ok(clEnqueueFillBuffer(live.queue, mem, &pattern, 4, 0, 64, 0, NULL, &events[0]));
    ok(clWaitForEvents(1, &events[0])); /* its status may be behind its queue for a moment */
    ok(clEnqueueFillBuffer(live.queue, mem, &pattern, 4, 0, 64, 1, &user, &events[1]));
    events[2] = user;
    for (int i = 0; i < 3; i++) {
        struct told infos[2] = {told(), told()};
        walk_all(&infos[0], clGetEventInfo, events[i], 0x11d0, 0x11df);
        live_cycle();
        walk_all(&infos[1], clGetEventInfo, events[i], 0x11d0, 0x11df);
        same("an event", infos[0], infos[1]);
    }
    ok(clSetUserEventStatus(user, CL_COMPLETE));
    ok(clFinish(live.queue));
    for (int i = 0; i < 3; i++)
        ok(clReleaseEvent(events[i]));
    ok(clReleaseMemObject(mem));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_platform_and_device),
        cmocka_unit_test(test_sub_devices),
        cmocka_unit_test(test_contexts_and_their_formats),
        cmocka_unit_test(test_kernels),
        cmocka_unit_test(test_programs),
        cmocka_unit_test(test_memory_objects),
        cmocka_unit_test(test_samplers_and_queues),
        cmocka_unit_test(test_events),
    };
    return cmocka_run_group_tests(tests, live_setup, live_teardown);
}
