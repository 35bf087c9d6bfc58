/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels through a suspend: arguments of every kind, clones, arguments changed after an enqueue.
 */
#include "live.h"

#include <CL/cl_ext.h>
#include <string.h>

struct pair {
    cl_int a[3];
    cl_int b;
};

static const char *const source =
    "struct pair { int a[3]; int b; };\n"
    "kernel void gather(global ulong *out, global const uint *in, global const uint *none,\n"
    "                local uint *scratch, int number, float4 vector, struct pair both,\n"
    "                ulong word, constant uint *table)\n"
    "{\n"
    "    size_t i = get_global_id(0);\n"
    "    scratch[get_local_id(0)] = in[i];\n"
    "    barrier(CLK_LOCAL_MEM_FENCE);\n"
    "    ulong sum = scratch[get_local_id(0)] + (none ? 1000000 : 0);\n"
    "    sum += number + (ulong)(vector.x + vector.y + vector.z + vector.w) + both.a[2];\n"
    "    sum += both.b + table[i % 4];\n"
    "    out[2 * i] = sum;\n"
    "    out[2 * i + 1] = word;\n"
    "}\n"
    "kernel void put(global uint *out, uint value) { out[get_global_id(0)] = value; }\n"
    "kernel void word(global ulong *out, ulong value) { out[get_global_id(0)] = value; }\n";

#define ITEMS 64

static void check_all(cl_kernel kernel, cl_mem out, cl_ulong word)
{
    cl_ulong result[2 * ITEMS], zero = 0;
    size_t global = ITEMS, local = 16;
    ok(clEnqueueFillBuffer(live.queue, out, &zero, sizeof zero, 0, sizeof result, 0, NULL, NULL));
    ok(clEnqueueNDRangeKernel(live.queue, kernel, 1, NULL, &global, &local, 0, NULL, NULL));
    ok(clEnqueueReadBuffer(live.queue, out, CL_TRUE, 0, sizeof result, result, 0, NULL, NULL));
    for (cl_ulong i = 0; i < ITEMS; i++) {
        assert_int_equal(result[2 * i], i * 3 + 42 + 10 + 7 + 9 + 100 + i % 4);
        assert_int_equal(result[2 * i + 1], word);
    }
}

static void test_arguments_of_every_kind(void **state)
{
    cl_uint in[ITEMS], table[4] = {100, 101, 102, 103};
    for (cl_uint i = 0; i < ITEMS; i++)
        in[i] = i * 3;
    cl_mem of_in = live_buffer(sizeof in, in), of_table = live_buffer(sizeof table, table);
    cl_mem out = live_buffer(2 * ITEMS * sizeof(cl_ulong), NULL);
    cl_kernel kernel = live_kernel(source, "gather"), clone = NULL;
    cl_int number = 42, err;
    cl_float4 vector = {{1, 2, 3, 4}};
    struct pair both = {{1, 2, 7}, 9};
    /* A number that looks like a handle is a number. */
    cl_ulong word = (cl_ulong)(uintptr_t)of_in;
    ok(clSetKernelArg(kernel, 0, sizeof out, &out));
    ok(clSetKernelArg(kernel, 1, sizeof of_in, &of_in));
    ok(clSetKernelArg(kernel, 2, sizeof(cl_mem), NULL));
    ok(clSetKernelArg(kernel, 3, 16 * sizeof(cl_uint), NULL));
    ok(clSetKernelArg(kernel, 4, sizeof number, &number));
    ok(clSetKernelArg(kernel, 5, sizeof vector, &vector));
    ok(clSetKernelArg(kernel, 6, sizeof both, &both));
    ok(clSetKernelArg(kernel, 7, sizeof word, &word));
    ok(clSetKernelArg(kernel, 8, sizeof of_table, &of_table));
    check_all(kernel, out, word);
    live_cycle();
    check_all(kernel, out, word);
    if (live.version >= 210) {
        cl_ulong other = 5;
        clone = clCloneKernel(kernel, &err);
        made(clone);
        ok(clSetKernelArg(kernel, 7, sizeof other, &other));
        live_cycle();
        check_all(clone, out, word);
        check_all(kernel, out, other);
        ok(clReleaseKernel(clone));
    }
    ok(clReleaseKernel(kernel));
    ok(clReleaseMemObject(of_in));
    ok(clReleaseMemObject(of_table));
    ok(clReleaseMemObject(out));
}

static void test_number_equal_to_a_released_handle(void **state)
{
    cl_mem gone = live_buffer(64, NULL), out = live_buffer(8, NULL);
    cl_ulong value = (cl_ulong)(uintptr_t)gone, result = 0;
    cl_kernel kernel = live_kernel(source, "word");
    ok(clReleaseMemObject(gone));
    ok(clSetKernelArg(kernel, 0, sizeof out, &out));
    ok(clSetKernelArg(kernel, 1, sizeof value, &value));
    live_cycle();
    live_launch(live.queue, kernel, 1);
    ok(clEnqueueReadBuffer(live.queue, out, CL_TRUE, 0, 8, &result, 0, NULL, NULL));
    assert_int_equal(result, value);
    ok(clReleaseKernel(kernel));
    ok(clReleaseMemObject(out));
}

static void test_arguments_changed_right_after_the_enqueue(void **state)
{
    cl_mem out[8];
    cl_uint zeros[ITEMS] = {0}, expected[ITEMS];
    cl_kernel kernel = live_kernel(source, "put");
    for (cl_uint i = 0; i < 8; i++)
        out[i] = live_buffer(sizeof zeros, zeros);
    for (cl_uint i = 0; i < 8; i++) {
        cl_uint value = 100 + i, garbage = 77;
        ok(clSetKernelArg(kernel, 0, sizeof out[i], &out[i]));
        ok(clSetKernelArg(kernel, 1, sizeof value, &value));
        live_launch(live.queue, kernel, ITEMS);
        ok(clSetKernelArg(kernel, 1, sizeof garbage, &garbage));
        if (i == 3)
            live_cycle();
    }
    live_cycle();
    for (cl_uint i = 0; i < 8; i++) {
        for (int j = 0; j < ITEMS; j++)
            expected[j] = 100 + i;
        live_expect(out[i], 0, expected, sizeof expected);
        ok(clReleaseMemObject(out[i]));
    }
    ok(clReleaseKernel(kernel));
}

static _Atomic int num_gone;

static void CL_CALLBACK gone(cl_mem mem, void *data)
{
    num_gone = num_gone + 1;
}

/* §5.9.2: a kernel does not retain its arguments, so this buffer goes at once. Where the driver has
 * it retain them all the same (rusticl), the program finds it there, also after a suspend. */
static void test_kernel_keeps_its_arguments_as_the_driver_does(void **state)
{
    cl_uint value = 3, expected[4] = {3, 3, 3, 3};
    size_t one = 1;
    num_gone = 0;
    cl_kernel kernel = live_kernel(source, "put");
    cl_mem first = live_buffer(16, NULL), second = live_buffer(16, NULL);
    ok(clSetMemObjectDestructorCallback(first, gone, NULL));
    ok(clSetKernelArg(kernel, 0, sizeof first, &first));
    ok(clSetKernelArg(kernel, 1, sizeof value, &value));
    live_cycle();
    ok(clReleaseMemObject(first));
    live_sleep(50);
    bool kept = !num_gone;
    assert_false(kept && live.pocl);
    live_cycle();
    if (live_commanded() || kept) {
        cl_int answer =
            clEnqueueNDRangeKernel(live.queue, kernel, 1, NULL, &one, NULL, 0, NULL, NULL);
        assert_int_equal(answer, kept ? CL_SUCCESS : CL_INVALID_KERNEL_ARGS);
        ok(clFinish(live.queue));
    }
    assert_int_equal(num_gone, !kept);
    ok(clSetKernelArg(kernel, 0, sizeof second, &second));
    live_wait_for(&num_gone, 1);
    live_launch(live.queue, kernel, 4);
    live_expect(second, 0, expected, sizeof expected);
    ok(clReleaseKernel(kernel));
    ok(clReleaseMemObject(second));
}

/* What such a kernel writes to a buffer that only it knows any more, it finds there the next time.
 */
static void test_contents_of_a_kept_argument(void **state)
{
    static const char *text = "kernel void count_up(global uint *count, global uint *told)\n"
                              "{ *count += 1; *told = *count; }\n";
    const cl_uint zero = 0;
    cl_uint told = 0;
    size_t one = 1;
    num_gone = 0;
    cl_kernel kernel = live_kernel(text, "count_up");
    cl_mem count = live_buffer(4, &zero), out = live_buffer(4, &zero);
    ok(clSetMemObjectDestructorCallback(count, gone, NULL));
    ok(clSetKernelArg(kernel, 0, sizeof count, &count));
    ok(clSetKernelArg(kernel, 1, sizeof out, &out));
    ok(clReleaseMemObject(count));
    live_sleep(50);
    bool kept = !num_gone;
    for (cl_uint i = 1; kept && i < 4; i++) {
        ok(clEnqueueNDRangeKernel(live.queue, kernel, 1, NULL, &one, NULL, 0, NULL, NULL));
        ok(clEnqueueReadBuffer(live.queue, out, CL_TRUE, 0, sizeof told, &told, 0, NULL, NULL));
        assert_int_equal(told, i);
        live_cycle();
        if (i == 2) /* to what nobody else has */
            ok(clSetKernelArg(kernel, 0, sizeof count, &count));
    }
    assert_true(!kept || !num_gone);
    ok(clReleaseKernel(kernel));
    live_wait_for(&num_gone, 1);
    ok(clReleaseMemObject(out));
    live_need(kept);
}

/* In a context of its own, in which no kernel has been given anything yet. */
struct place {
    cl_context context;
    cl_command_queue queue;
    cl_kernel kernel;
};

static void make_place(struct place *place, const char *text, const char *name)
{
    cl_int err;
    place->context = clCreateContext(NULL, 1, &live.device, NULL, NULL, &err);
    made(place->context);
    place->queue = clCreateCommandQueue(place->context, live.device, 0, &err);
    made(place->queue);
    cl_program program = clCreateProgramWithSource(place->context, 1, &text, NULL, &err);
    made(program);
    ok(clBuildProgram(program, 1, &live.device, NULL, NULL, NULL));
    place->kernel = clCreateKernel(program, name, &err);
    made(place->kernel);
    ok(clReleaseProgram(program));
}

static void drop_place(struct place *place)
{
    ok(clReleaseKernel(place->kernel));
    ok(clReleaseCommandQueue(place->queue));
    ok(clReleaseContext(place->context));
}

/* Is what the program has released right after clSetKernelArg there yet? */
static bool is_kept(const struct place *place, cl_mem mem)
{
    num_gone = 0;
    ok(clSetMemObjectDestructorCallback(mem, gone, NULL));
    ok(clSetKernelArg(place->kernel, 0, sizeof mem, &mem));
    ok(clReleaseMemObject(mem));
    live_sleep(50);
    return !num_gone;
}

static bool keeps_buffers(void)
{
    cl_int err;
    struct place place;
    make_place(&place, source, "put");
    cl_mem mem = clCreateBuffer(place.context, 0, 64, NULL, &err);
    made(mem);
    bool kept = is_kept(&place, mem);
    drop_place(&place);
    live_wait_for(&num_gone, 1);
    return kept;
}

/* A kernel that takes no buffers keeps its images where the driver's kernels keep buffers. */
static void test_kernel_keeps_its_images_as_the_driver_does(void **state)
{
    static const char *text =
        "kernel void turn(read_only image2d_t from, write_only image2d_t to)\n"
        "{ int2 at = (int2)(get_global_id(0), get_global_id(1));\n"
        "  write_imageui(to, at.yx, read_imageui(from, at)); }\n";
    const cl_image_format format = {CL_R, CL_UNSIGNED_INT32};
    const cl_image_desc desc = {
        .image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = 8, .image_height = 8};
    const size_t origin[3] = {0}, region[3] = {8, 8, 1}, items[2] = {8, 8};
    cl_bool has_images = CL_FALSE;
    cl_uint told[64], turned[64] = {0};
    cl_int err;
    struct place place;
    ok(clGetDeviceInfo(live.device, CL_DEVICE_IMAGE_SUPPORT, sizeof has_images, &has_images, NULL));
    live_need(has_images);
    bool kept = keeps_buffers();
    make_place(&place, text, "turn");
    live_pattern(told, sizeof told, 60);
    cl_mem from = clCreateImage(place.context, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, &format,
                                &desc, told, &err);
    made(from);
    cl_mem to = clCreateImage(place.context, CL_MEM_WRITE_ONLY, &format, &desc, NULL, &err);
    made(to);
    assert_int_equal(is_kept(&place, from), kept);
    live_cycle();
    ok(clSetKernelArg(place.kernel, 1, sizeof to, &to));
    for (int i = 0; kept && i < 2; i++) {
        ok(clEnqueueNDRangeKernel(place.queue, place.kernel, 2, NULL, items, NULL, 0, NULL, NULL));
        ok(clEnqueueReadImage(place.queue, to, CL_TRUE, origin, region, 0, 0, turned, 0, NULL,
                              NULL));
        for (int j = 0; j < 64; j++)
            assert_int_equal(turned[j], told[j % 8 * 8 + j / 8]);
        live_cycle();
    }
    assert_int_equal(num_gone, !kept);
    drop_place(&place);
    live_wait_for(&num_gone, 1);
    ok(clReleaseMemObject(to));
    live_need(kept);
}

static cl_mem make_line(const struct place *place, cl_mem_flags flags, cl_uint *pixels)
{
    const cl_image_format format = {CL_R, CL_UNSIGNED_INT32};
    const cl_image_desc desc = {
        .image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = 8, .image_height = 1};
    cl_int err;
    cl_mem image = clCreateImage(place->context, flags | (pixels ? CL_MEM_COPY_HOST_PTR : 0),
                                 &format, &desc, pixels, &err);
    made(image);
    return image;
}

static void sample_line(const struct place *place, cl_mem to, const cl_uint *expected)
{
    const size_t origin[3] = {0}, region[3] = {8, 1, 1}, items = 8;
    cl_uint got[8] = {0};
    ok(clEnqueueNDRangeKernel(place->queue, place->kernel, 1, NULL, &items, NULL, 0, NULL, NULL));
    ok(clEnqueueReadImage(place->queue, to, CL_TRUE, origin, region, 0, 0, got, 0, NULL, NULL));
    for (int i = 0; i < 8; i++)
        assert_int_equal(got[i], expected[i]);
}

/* A sampler that is set before the context's first image or buffer, and released before or after
 * that is set. */
static void test_kernel_keeps_a_sampler_set_first(void **state)
{
    static const char *text =
        "kernel void shift(sampler_t by, read_only image2d_t from, write_only image2d_t to)\n"
        "{ int2 at = (int2)(get_global_id(0), 0);\n"
        "  write_imageui(to, at, read_imageui(from, by, at + (int2)(6, 0))); }\n";
    cl_uint told[8] = {1, 2, 3, 4, 5, 6, 7, 8}, expected[8] = {7, 8, 8, 8, 8, 8, 8, 8};
    cl_bool has_images = CL_FALSE;
    ok(clGetDeviceInfo(live.device, CL_DEVICE_IMAGE_SUPPORT, sizeof has_images, &has_images, NULL));
    live_need(has_images && keeps_buffers());
    for (int early = 0; early < 2; early++) {
        cl_int err;
        struct place place;
        make_place(&place, text, "shift");
        cl_sampler sampler = clCreateSampler(place.context, CL_FALSE, CL_ADDRESS_CLAMP_TO_EDGE,
                                             CL_FILTER_NEAREST, &err);
        made(sampler);
        cl_mem from = make_line(&place, CL_MEM_READ_ONLY, told);
        cl_mem to = make_line(&place, CL_MEM_WRITE_ONLY, NULL);
        ok(clSetKernelArg(place.kernel, 0, sizeof sampler, &sampler));
        if (early)
            ok(clReleaseSampler(sampler));
        ok(clSetKernelArg(place.kernel, 1, sizeof from, &from));
        ok(clSetKernelArg(place.kernel, 2, sizeof to, &to));
        if (!early)
            ok(clReleaseSampler(sampler));
        sample_line(&place, to, expected);
        live_cycle();
        sample_line(&place, to, expected);
        drop_place(&place);
        ok(clReleaseMemObject(from));
        ok(clReleaseMemObject(to));
    }
}

static void test_unset_argument_stays_unset(void **state)
{
    cl_uint value = 3;
    size_t one = 1;
    live_need(live.pocl);
    cl_kernel kernel = live_kernel(source, "put");
    ok(clSetKernelArg(kernel, 1, sizeof value, &value));
    live_cycle();
    assert_int_equal(clEnqueueNDRangeKernel(live.queue, kernel, 1, NULL, &one, NULL, 0, NULL, NULL),
                     CL_INVALID_KERNEL_ARGS);
    ok(clReleaseKernel(kernel));
}

static void test_kernel_answers_stay(void **state)
{
    static const cl_uint params[] = {CL_KERNEL_FUNCTION_NAME,   CL_KERNEL_NUM_ARGS,
                                     CL_KERNEL_REFERENCE_COUNT, CL_KERNEL_CONTEXT,
                                     CL_KERNEL_PROGRAM,         CL_KERNEL_ATTRIBUTES};
    unsigned char told[2][2048];
    cl_kernel kernel = live_kernel(source, "gather");
    size_t size = live_ask(clGetKernelInfo, kernel, params, told[0]);
    live_cycle();
    assert_int_equal(live_ask(clGetKernelInfo, kernel, params, told[1]), size);
    assert_memory_equal(told[0], told[1], size);
    ok(clReleaseKernel(kernel));
}

/* Each query has its own questions, whatever the others have been told. */
static void test_questions_of_another_query(void **state)
{
    size_t value[64];
    cl_kernel kernel = live_kernel(source, "put");
    ok(clGetKernelInfo(kernel, CL_KERNEL_ATTRIBUTES, sizeof value, value, NULL));
    for (int i = 0; i < 2; i++) {
        assert_int_not_equal(
            clGetKernelArgInfo(kernel, 0, CL_KERNEL_ATTRIBUTES, sizeof value, value, NULL),
            CL_SUCCESS);
        assert_int_not_equal(clGetKernelWorkGroupInfo(kernel, live.device, CL_KERNEL_ARG_NAME,
                                                      sizeof value, value, NULL),
                             CL_SUCCESS);
        live_cycle();
    }
    ok(clReleaseKernel(kernel));
}

/* cl_khr_suggested_local_work_size. */
static void test_suggested_local_size(void **state)
{
    clGetKernelSuggestedLocalWorkSizeKHR_fn suggest =
        (clGetKernelSuggestedLocalWorkSizeKHR_fn)clGetExtensionFunctionAddressForPlatform(
            live.platform, "clGetKernelSuggestedLocalWorkSizeKHR");
    live_need(suggest);
    const size_t global[2] = {96, 3};
    size_t before[2] = {0}, after[2] = {0};
    cl_kernel kernel = live_kernel(source, "put");
    ok(suggest(live.queue, kernel, 2, NULL, global, before));
    assert_true(before[0] > 1 && global[0] % before[0] == 0);
    live_cycle();
    ok(suggest(live.queue, kernel, 2, NULL, global, after));
    assert_memory_equal(before, after, sizeof after);
    if (live_shadowed()) {
        assert_int_equal(suggest((cl_command_queue)kernel, kernel, 2, NULL, global, after),
                         CL_INVALID_COMMAND_QUEUE);
        assert_int_equal(suggest(live.queue, (cl_kernel)live.queue, 2, NULL, global, after),
                         CL_INVALID_KERNEL);
    }
    assert_int_equal(suggest(live.queue, kernel, 4, NULL, global, after),
                     CL_INVALID_WORK_DIMENSION);
    assert_int_equal(suggest(live.queue, kernel, 2, NULL, NULL, after),
                     CL_INVALID_GLOBAL_WORK_SIZE);
    ok(clReleaseKernel(kernel));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arguments_of_every_kind),
        cmocka_unit_test(test_number_equal_to_a_released_handle),
        cmocka_unit_test(test_arguments_changed_right_after_the_enqueue),
        cmocka_unit_test(test_kernel_keeps_its_arguments_as_the_driver_does),
        cmocka_unit_test(test_kernel_keeps_its_images_as_the_driver_does),
        cmocka_unit_test(test_kernel_keeps_a_sampler_set_first),
        cmocka_unit_test(test_contents_of_a_kept_argument),
        cmocka_unit_test(test_unset_argument_stays_unset),
        cmocka_unit_test(test_kernel_answers_stay),
        cmocka_unit_test(test_questions_of_another_query),
        cmocka_unit_test(test_suggested_local_size),
    };
    return cmocka_run_group_tests(tests, live_setup, live_teardown);
}
