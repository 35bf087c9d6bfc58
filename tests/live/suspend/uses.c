/* SPDX-License-Identifier: Apache-2.0 */
/* Every kind of command is the first one after a resume that uses an object: what was in it must be
 * there, wherever the command does not write. With SHADOWCL_LAZY=needed nothing else brings the
 * contents up. */
#include "live.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIZE 4096
#define HALF (SIZE / 2)

static const char *const source =
    "kernel void add(global uchar *to, global const uchar *from)\n"
    "{ size_t i = get_global_id(0); to[i] = (uchar)(to[i] + from[i]); }\n"
    "kernel void one(global uchar *to) { to[0] = (uchar)(to[0] + 1); }\n"
    "kernel void look(read_only image2d_t from, global uchar *to)\n"
    "{ int2 at = (int2)((int)get_global_id(0), (int)get_global_id(1));\n"
    "  vstore4(convert_uchar4(read_imageui(from, at)), (size_t)(at.y * 32 + at.x), to); }\n";

/* Two objects with known bytes, and what they must hold in the end. */
static unsigned char a_bytes[SIZE], b_bytes[SIZE];
static cl_mem a, b;

/* Never the same bytes again: what an allocator gives may still hold those of a test before. */
static void make_buffers(void)
{
    static unsigned seed;
    live_pattern(a_bytes, SIZE, seed++);
    live_pattern(b_bytes, SIZE, seed++);
    a = live_buffer(SIZE, a_bytes);
    b = live_buffer(SIZE, b_bytes);
}

static void check_and_release(void)
{
    unsigned char bytes[SIZE];
    ok(clEnqueueReadBuffer(live.queue, a, CL_TRUE, 0, SIZE, bytes, 0, NULL, NULL));
    assert_memory_equal(bytes, a_bytes, SIZE);
    ok(clEnqueueReadBuffer(live.queue, b, CL_TRUE, 0, SIZE, bytes, 0, NULL, NULL));
    assert_memory_equal(bytes, b_bytes, SIZE);
    ok(clReleaseMemObject(a));
    ok(clReleaseMemObject(b));
}

static void test_a_read(void **state)
{
    unsigned char bytes[SIZE];
    make_buffers();
    live_cycle();
    ok(clEnqueueReadBuffer(live.queue, a, CL_TRUE, 0, SIZE, bytes, 0, NULL, NULL));
    assert_memory_equal(bytes, a_bytes, SIZE);
    check_and_release();
}

static void test_a_write_of_a_part(void **state)
{
    make_buffers();
    live_cycle();
    live_pattern(a_bytes, HALF, 3);
    ok(clEnqueueWriteBuffer(live.queue, a, CL_TRUE, 0, HALF, a_bytes, 0, NULL, NULL));
    check_and_release();
}

/* It never runs, so nothing of the buffer may be lost. */
static void test_a_write_of_all_that_never_runs(void **state)
{
    unsigned char other[SIZE] = {0};
    cl_int err;
    make_buffers();
    live_cycle();
    cl_event never = clCreateUserEvent(live.context, &err);
    made(never);
    ok(clEnqueueWriteBuffer(live.queue, a, CL_FALSE, 0, SIZE, other, 1, &never, NULL));
    ok(clSetUserEventStatus(never, -1));
    ok(clReleaseEvent(never));
    check_and_release();
}

static void test_a_copy(void **state)
{
    make_buffers();
    live_cycle();
    memcpy(b_bytes, a_bytes + HALF, HALF);
    ok(clEnqueueCopyBuffer(live.queue, a, b, HALF, 0, HALF, 0, NULL, NULL));
    check_and_release();
}

static void test_a_fill_of_a_part(void **state)
{
    const unsigned char pattern = 0x5a;
    make_buffers();
    live_cycle();
    memset(a_bytes + HALF, pattern, HALF);
    ok(clEnqueueFillBuffer(live.queue, a, &pattern, 1, HALF, HALF, 0, NULL, NULL));
    check_and_release();
}

static void test_rectangles(void **state)
{
    const size_t zero[3] = {0}, region[3] = {16, 8, 1};
    unsigned char bytes[128];
    make_buffers();
    live_cycle();
    memset(bytes, 0, sizeof bytes);
    ok(clEnqueueReadBufferRect(live.queue, a, CL_TRUE, zero, zero, region, 0, 0, 0, 0, bytes, 0,
                               NULL, NULL));
    assert_memory_equal(bytes, a_bytes, sizeof bytes);
    live_cycle();
    live_pattern(bytes, sizeof bytes, 9);
    memcpy(a_bytes, bytes, sizeof bytes);
    ok(clEnqueueWriteBufferRect(live.queue, a, CL_TRUE, zero, zero, region, 0, 0, 0, 0, bytes, 0,
                                NULL, NULL));
    live_cycle();
    memcpy(b_bytes, a_bytes, sizeof bytes);
    ok(clEnqueueCopyBufferRect(live.queue, a, b, zero, zero, region, 0, 0, 0, 0, 0, NULL, NULL));
    check_and_release();
}

static void test_a_map_to_read(void **state)
{
    cl_int err;
    make_buffers();
    live_cycle();
    void *at =
        clEnqueueMapBuffer(live.queue, a, CL_TRUE, CL_MAP_READ, 0, SIZE, 0, NULL, NULL, &err);
    made(at);
    assert_memory_equal(at, a_bytes, SIZE);
    ok(clEnqueueUnmapMemObject(live.queue, a, at, 0, NULL, NULL));
    check_and_release();
}

/* The map was made before the suspend: what it writes back must not be written over. */
static void test_an_unmap(void **state)
{
    cl_int err;
    make_buffers();
    char *at =
        clEnqueueMapBuffer(live.queue, a, CL_TRUE, CL_MAP_WRITE, 0, HALF, 0, NULL, NULL, &err);
    made(at);
    live_cycle();
    live_pattern(a_bytes, HALF, 4);
    memcpy(at, a_bytes, HALF);
    ok(clEnqueueUnmapMemObject(live.queue, a, at, 0, NULL, NULL));
    check_and_release();
}

static void add(cl_kernel kernel, cl_mem to, cl_mem from, size_t items)
{
    ok(clSetKernelArg(kernel, 0, sizeof to, &to));
    ok(clSetKernelArg(kernel, 1, sizeof from, &from));
    live_launch(live.queue, kernel, items);
}

static void expect_sum(size_t items)
{
    for (size_t i = 0; i < items; i++)
        a_bytes[i] = (unsigned char)(a_bytes[i] + b_bytes[i]);
}

static void test_a_kernel(void **state)
{
    cl_kernel kernel = live_kernel(source, "add");
    make_buffers();
    live_cycle();
    expect_sum(HALF);
    add(kernel, a, b, HALF);
    check_and_release();
    ok(clReleaseKernel(kernel));
}

/* Its arguments were set before the suspend, and those of the held one are what they were then. */
static void test_a_kernel_that_is_handed_over(void **state)
{
    cl_int err;
    size_t items = HALF;
    cl_kernel kernel = live_kernel(source, "add");
    cl_event gate = clCreateUserEvent(live.context, &err);
    made(gate);
    make_buffers();
    ok(clSetKernelArg(kernel, 0, sizeof a, &a));
    ok(clSetKernelArg(kernel, 1, sizeof b, &b));
    ok(clEnqueueNDRangeKernel(live.queue, kernel, 1, NULL, &items, NULL, 1, &gate, NULL));
    live_cycle();
    expect_sum(HALF);
    ok(clSetUserEventStatus(gate, CL_COMPLETE));
    ok(clReleaseEvent(gate));
    check_and_release();
    ok(clReleaseKernel(kernel));
}

static void test_a_task(void **state)
{
    cl_kernel kernel = live_kernel(source, "one");
    make_buffers();
    ok(clSetKernelArg(kernel, 0, sizeof a, &a));
    live_cycle();
    a_bytes[0]++;
    ok(clEnqueueTask(live.queue, kernel, 0, NULL, NULL));
    check_and_release();
    ok(clReleaseKernel(kernel));
}

/* A kernel on a part uses the whole; the parent is released, and lives on as long as its part. */
static void test_a_sub_buffer(void **state)
{
    cl_int err;
    cl_buffer_region region = {HALF, HALF};
    unsigned char bytes[HALF];
    cl_kernel kernel = live_kernel(source, "add");
    make_buffers();
    cl_mem part = clCreateSubBuffer(a, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &err);
    made(part);
    ok(clReleaseMemObject(a));
    live_cycle();
    add(kernel, part, b, HALF);
    for (size_t i = 0; i < HALF; i++)
        a_bytes[HALF + i] = (unsigned char)(a_bytes[HALF + i] + b_bytes[i]);
    ok(clEnqueueReadBuffer(live.queue, part, CL_TRUE, 0, HALF, bytes, 0, NULL, NULL));
    assert_memory_equal(bytes, a_bytes + HALF, HALF);
    ok(clReleaseMemObject(part));
    ok(clReleaseMemObject(b));
    ok(clReleaseKernel(kernel));
}

static void test_a_migration(void **state)
{
    cl_mem both[2];
    live_need(live.version >= 120);
    make_buffers();
    both[0] = a;
    both[1] = b;
    live_cycle();
    ok(clEnqueueMigrateMemObjects(live.queue, 2, both, CL_MIGRATE_MEM_OBJECT_HOST, 0, NULL, NULL));
    check_and_release();
}

static void CL_CALLBACK native(void *args)
{
    unsigned char *to = *(void **)args;
    to[0]++;
}

static void test_a_native_kernel(void **state)
{
    cl_device_exec_capabilities capabilities = 0;
    ok(clGetDeviceInfo(live.device, CL_DEVICE_EXECUTION_CAPABILITIES, sizeof capabilities,
                       &capabilities, NULL));
    live_need(capabilities & CL_EXEC_NATIVE_KERNEL);
    make_buffers();
    void *args[1] = {a};
    const void *places[1] = {args};
    live_cycle();
    a_bytes[0]++;
    ok(clEnqueueNativeKernel(live.queue, native, args, sizeof args, 1, &a, places, 0, NULL, NULL));
    check_and_release();
}

static const size_t origin[3], whole[3] = {32, 32, 1};
static const size_t upper[3] = {32, 16, 1}, lower[3] = {0, 16, 0}; /* a region, and an origin */

static cl_mem make_image(const unsigned char *bytes, cl_mem over)
{
    const cl_image_format format = {CL_RGBA, CL_UNSIGNED_INT8};
    cl_image_desc desc = {.image_type = CL_MEM_OBJECT_IMAGE2D,
                          .image_width = 32,
                          .image_height = 32,
                          .image_row_pitch = over ? 128 : 0,
                          .mem_object = over};
    cl_int err;
    cl_mem image = clCreateImage(live.context, over ? 0 : CL_MEM_COPY_HOST_PTR, &format, &desc,
                                 over ? NULL : (void *)bytes, &err);
    made(image);
    return image;
}

static void need_images(void)
{
    cl_bool images = CL_FALSE;
    ok(clGetDeviceInfo(live.device, CL_DEVICE_IMAGE_SUPPORT, sizeof images, &images, NULL));
    live_need(images);
}

static cl_mem i, j;

static void make_images(void)
{
    make_buffers();
    i = make_image(a_bytes, NULL);
    j = make_image(b_bytes, NULL);
}

static void expect_image(cl_mem image, const unsigned char *expected)
{
    unsigned char bytes[SIZE];
    ok(clEnqueueReadImage(live.queue, image, CL_TRUE, origin, whole, 0, 0, bytes, 0, NULL, NULL));
    assert_memory_equal(bytes, expected, SIZE);
}

static void check_and_release_images(const unsigned char *of_i, const unsigned char *of_j)
{
    expect_image(i, of_i);
    expect_image(j, of_j);
    ok(clReleaseMemObject(i));
    ok(clReleaseMemObject(j));
    check_and_release();
}

static void test_transfers_of_images(void **state)
{
    unsigned char of_i[SIZE], bytes[HALF];
    need_images();
    make_images();
    live_cycle();
    expect_image(i, a_bytes);
    live_cycle();
    memcpy(of_i, a_bytes, SIZE);
    live_pattern(of_i, HALF, 7);
    memcpy(bytes, of_i, HALF);
    ok(clEnqueueWriteImage(live.queue, i, CL_TRUE, origin, upper, 0, 0, bytes, 0, NULL, NULL));
    check_and_release_images(of_i, b_bytes);
}

static void test_copies_of_images(void **state)
{
    unsigned char of_j[SIZE];
    need_images();
    make_images();
    live_cycle();
    memcpy(of_j, b_bytes, SIZE);
    memcpy(of_j, a_bytes, HALF);
    ok(clEnqueueCopyImage(live.queue, i, j, origin, origin, upper, 0, NULL, NULL));
    live_cycle();
    memcpy(b_bytes, a_bytes, HALF);
    ok(clEnqueueCopyImageToBuffer(live.queue, i, b, origin, upper, 0, 0, NULL, NULL));
    live_cycle();
    memcpy(of_j + HALF, b_bytes + 128, HALF);
    ok(clEnqueueCopyBufferToImage(live.queue, b, j, 128, lower, upper, 0, NULL, NULL));
    check_and_release_images(a_bytes, of_j);
}

static void test_a_fill_of_an_image(void **state)
{
    const cl_uint color[4] = {1, 2, 3, 4};
    unsigned char of_i[SIZE];
    need_images();
    make_images();
    live_cycle();
    memcpy(of_i, a_bytes, SIZE);
    for (size_t at = 0; at < HALF; at++)
        of_i[at] = (unsigned char)color[at % 4];
    ok(clEnqueueFillImage(live.queue, i, color, origin, upper, 0, NULL, NULL));
    check_and_release_images(of_i, b_bytes);
}

static void test_maps_of_images(void **state)
{
    cl_int err;
    size_t pitch, slice;
    unsigned char of_i[SIZE];
    need_images();
    make_images();
    memcpy(of_i, a_bytes, SIZE);
    live_cycle();
    char *at = clEnqueueMapImage(live.queue, i, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, origin, upper,
                                 &pitch, &slice, 0, NULL, NULL, &err);
    made(at);
    for (size_t row = 0; row < 16; row++)
        assert_memory_equal(at + row * pitch, of_i + row * 128, 128);
    live_cycle();
    live_pattern(of_i, 128, 8);
    memcpy(at, of_i, 128);
    ok(clEnqueueUnmapMemObject(live.queue, i, at, 0, NULL, NULL));
    check_and_release_images(of_i, b_bytes);
}

/* A kernel that reads an image; and one made from a buffer, whose bytes are the buffer's. */
static void test_images_of_kernels(void **state)
{
    const size_t items[2] = {32, 32};
    need_images();
    cl_kernel kernel = live_kernel(source, "look");
    make_images();
    ok(clSetKernelArg(kernel, 0, sizeof i, &i));
    ok(clSetKernelArg(kernel, 1, sizeof b, &b));
    live_cycle();
    memcpy(b_bytes, a_bytes, SIZE);
    ok(clEnqueueNDRangeKernel(live.queue, kernel, 2, NULL, items, NULL, 0, NULL, NULL));
    ok(clFinish(live.queue));
    cl_uint alignment = 0;
    if (live.version >= 200)
        clGetDeviceInfo(live.device, CL_DEVICE_IMAGE_PITCH_ALIGNMENT, sizeof alignment, &alignment,
                        NULL);
    assert_true(alignment > 0 || !live_has_cap("views"));
    if (alignment) {
        cl_mem over = make_image(NULL, a);
        live_cycle();
        expect_image(over, a_bytes);
        ok(clReleaseMemObject(over));
    }
    ok(clReleaseMemObject(i));
    ok(clReleaseMemObject(j));
    check_and_release();
    ok(clReleaseKernel(kernel));
}

/* The second suspend is not to take what a capture before left for what is on the device: a save of
 * a mapped buffer, which goes on to be written, while something else is still owed. */
static void test_a_save_of_a_mapped_buffer(void **state)
{
    const unsigned char pattern = 0x5a;
    cl_int err;
    need_images();
    make_images(); /* images have contents of their own whatever the way of mapping */
    live_cycle();
    char *at =
        clEnqueueMapBuffer(live.queue, a, CL_TRUE, CL_MAP_READ, 0, HALF, 0, NULL, NULL, &err);
    made(at);
    live_save();
    ok(clEnqueueUnmapMemObject(live.queue, a, at, 0, NULL, NULL));
    unsigned char of_i[SIZE];
    memcpy(of_i, a_bytes, SIZE);
    memset(a_bytes, pattern, SIZE);
    ok(clEnqueueFillBuffer(live.queue, a, &pattern, 1, 0, SIZE, 0, NULL, NULL));
    live_cycle();
    check_and_release_images(of_i, b_bytes);
}

/* The same where the contents went to the program's own memory. */
static void test_a_map_of_memory_of_the_program(void **state)
{
    unsigned char *memory = aligned_alloc(4096, SIZE);
    cl_int err;
    assert_non_null(memory);
    make_buffers();
    live_pattern(memory, SIZE, 11);
    cl_mem own = clCreateBuffer(live.context, CL_MEM_USE_HOST_PTR, SIZE, memory, &err);
    made(own);
    live_cycle();
    unsigned char *at = clEnqueueMapBuffer(live.queue, own, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0,
                                           SIZE, 0, NULL, NULL, &err);
    assert_ptr_equal(at, memory);
    unsigned char expected[SIZE], bytes[SIZE];
    live_pattern(expected, SIZE, 12);
    memcpy(at, expected, SIZE);
    live_cycle();
    assert_memory_equal(at, expected, SIZE);
    ok(clEnqueueUnmapMemObject(live.queue, own, at, 0, NULL, NULL));
    ok(clEnqueueReadBuffer(live.queue, own, CL_TRUE, 0, SIZE, bytes, 0, NULL, NULL));
    assert_memory_equal(bytes, expected, SIZE);
    ok(clReleaseMemObject(own));
    check_and_release();
    free(memory);
}

/* Suspended again before anything, or only one of them, is used. */
static void test_a_second_suspend(void **state)
{
    make_buffers();
    live_cycle();
    live_cycle();
    a_bytes[0] = 1;
    ok(clEnqueueWriteBuffer(live.queue, a, CL_TRUE, 0, 1, a_bytes, 0, NULL, NULL));
    live_cycle();
    live_cycle();
    check_and_release();
}

static void test_a_release_of_what_was_never_used(void **state)
{
    make_buffers();
    cl_mem unused = live_buffer(SIZE, a_bytes);
    live_cycle();
    ok(clReleaseMemObject(unused));
    live_cycle();
    check_and_release();
}

/* Writable: an arena of glibc's, which a thread makes at any time, takes 64 MiB of addresses. */
static size_t mapped_bytes(void)
{
    char line[512], rights[5];
    unsigned long begin, end;
    size_t bytes = 0;
    FILE *file = fopen("/proc/self/maps", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "%lx-%lx %4s", &begin, &end, rights) == 3 && rights[1] == 'w')
            bytes += end - begin;
    fclose(file);
    return bytes;
}

/* What is never used stays in staging memory for good, but not with it what comes and goes. */
static void test_what_stays_does_not_keep_what_goes(void **state)
{
    enum { ROUNDS = 20, LARGE = 4 << 20 };
    const cl_uint zero = 0;
    const char *sanitizer = getenv("TEST_SANITIZED"); /* which keeps freed memory back */
    size_t before = 0;
    live_need(live_commanded());
    live_need(!sanitizer || !*sanitizer);
    make_buffers();
    for (int round = 0; round < ROUNDS; round++) {
        cl_mem passing = live_buffer(LARGE, NULL);
        ok(clEnqueueFillBuffer(live.queue, passing, &zero, sizeof zero, 0, LARGE, 0, NULL, NULL));
        live_cycle();
        ok(clReleaseMemObject(passing));
        if (round == ROUNDS / 4)
            before = mapped_bytes();
    }
    size_t grown = mapped_bytes() > before ? mapped_bytes() - before : 0;
    if (grown > ROUNDS / 2 * (size_t)LARGE)
        fail_msg("%zu bytes more are mapped after %d rounds of %d", grown, ROUNDS, LARGE);
    check_and_release();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_read),
        cmocka_unit_test(test_a_write_of_a_part),
        cmocka_unit_test(test_a_write_of_all_that_never_runs),
        cmocka_unit_test(test_a_copy),
        cmocka_unit_test(test_a_fill_of_a_part),
        cmocka_unit_test(test_rectangles),
        cmocka_unit_test(test_a_map_to_read),
        cmocka_unit_test(test_an_unmap),
        cmocka_unit_test(test_a_kernel),
        cmocka_unit_test(test_a_kernel_that_is_handed_over),
        cmocka_unit_test(test_a_task),
        cmocka_unit_test(test_a_sub_buffer),
        cmocka_unit_test(test_a_migration),
        cmocka_unit_test(test_a_native_kernel),
        cmocka_unit_test(test_transfers_of_images),
        cmocka_unit_test(test_copies_of_images),
        cmocka_unit_test(test_a_fill_of_an_image),
        cmocka_unit_test(test_maps_of_images),
        cmocka_unit_test(test_images_of_kernels),
        cmocka_unit_test(test_a_save_of_a_mapped_buffer),
        cmocka_unit_test(test_what_stays_does_not_keep_what_goes),
        cmocka_unit_test(test_a_map_of_memory_of_the_program),
        cmocka_unit_test(test_a_second_suspend),
        cmocka_unit_test(test_a_release_of_what_was_never_used),
    };
    return cmocka_run_group_tests(tests, live_setup, live_teardown);
}
