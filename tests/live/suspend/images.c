/* SPDX-License-Identifier: Apache-2.0 */
/* Images of every type through a suspend, in all of the driver's formats; mapped ones; samplers. */
#include "live.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define MOST 65536 /* bytes of an image here */

static const cl_uint params[] = {CL_IMAGE_FORMAT,      CL_IMAGE_ELEMENT_SIZE,  CL_IMAGE_ROW_PITCH,
                                 CL_IMAGE_SLICE_PITCH, CL_IMAGE_WIDTH,         CL_IMAGE_HEIGHT,
                                 CL_IMAGE_DEPTH,       CL_IMAGE_ARRAY_SIZE,    CL_IMAGE_NUM_SAMPLES,
                                 CL_IMAGE_BUFFER,      CL_IMAGE_NUM_MIP_LEVELS};
static const cl_uint mem_params[] = {CL_MEM_TYPE,     CL_MEM_FLAGS,   CL_MEM_SIZE,
                                     CL_MEM_HOST_PTR, CL_MEM_CONTEXT, CL_MEM_ASSOCIATED_MEMOBJECT};

static void need_images(void)
{
    cl_bool images = CL_FALSE;
    ok(clGetDeviceInfo(live.device, CL_DEVICE_IMAGE_SUPPORT, sizeof images, &images, NULL));
    live_need(images);
}

static cl_image_desc desc_of(cl_mem_object_type type, cl_mem buffer)
{
    cl_image_desc desc = {.image_type = type, .image_width = 24, .buffer = buffer};
    if (type == CL_MEM_OBJECT_IMAGE2D || type == CL_MEM_OBJECT_IMAGE3D ||
        type == CL_MEM_OBJECT_IMAGE2D_ARRAY)
        desc.image_height = 6;
    if (type == CL_MEM_OBJECT_IMAGE3D)
        desc.image_depth = 5;
    if (type == CL_MEM_OBJECT_IMAGE1D_ARRAY || type == CL_MEM_OBJECT_IMAGE2D_ARRAY)
        desc.image_array_size = 3;
    return desc;
}

static void region_of(const cl_image_desc *desc, size_t region[3])
{
    region[0] = desc->image_width;
    region[1] = desc->image_height ? desc->image_height : 1;
    region[2] = desc->image_depth ? desc->image_depth : 1;
    if (desc->image_type == CL_MEM_OBJECT_IMAGE1D_ARRAY)
        region[1] = desc->image_array_size;
    if (desc->image_type == CL_MEM_OBJECT_IMAGE2D_ARRAY)
        region[2] = desc->image_array_size;
}

struct one {
    cl_mem image, buffer;
    cl_image_desc desc;
    cl_image_format format;
    size_t region[3], size, num_told;
    unsigned seed;
    unsigned char told[1024], *bytes;
};

static const size_t zero[3];

static void ask_all(struct one *one, unsigned char *out, size_t *size)
{
    unsigned char of_mem[512];
    *size = live_ask(clGetImageInfo, one->image, params, of_mem);
    memcpy(out, of_mem, *size);
    size_t more = live_ask(clGetMemObjectInfo, one->image, mem_params, of_mem);
    memcpy(out + *size, of_mem, more);
    *size += more;
}

/* Bits of a pixel that say nothing need not come back. */
static void clear_unused_bits(const cl_image_format *format, unsigned char *bytes, size_t size)
{
    cl_channel_type type = format->image_channel_data_type;
    for (size_t i = 0; type == CL_UNORM_SHORT_555 && i < size; i += 2)
        bytes[i + 1] &= 0x7f;
    for (size_t i = 0; type == CL_UNORM_INT_101010 && i < size; i += 4)
        bytes[i + 3] &= 0x3f;
    for (size_t i = 0; type == CL_UNORM_INT24 && i < size; i += 4)
        bytes[i + 3] = 0;
}

static bool make_one(struct one *one, cl_mem_object_type type, const cl_image_format *format,
                     unsigned seed)
{
    cl_int err;
    one->seed = seed;
    one->format = *format;
    one->buffer = type == CL_MEM_OBJECT_IMAGE1D_BUFFER ? live_buffer(MOST, NULL) : (cl_mem)NULL;
    one->desc = desc_of(type, one->buffer);
    region_of(&one->desc, one->region);
    one->image = clCreateImage(live.context, CL_MEM_READ_WRITE, format, &one->desc, NULL, &err);
    if (err != CL_SUCCESS) {
        if (one->buffer)
            clReleaseMemObject(one->buffer);
        return false;
    }
    size_t element = 0;
    ok(clGetImageInfo(one->image, CL_IMAGE_ELEMENT_SIZE, sizeof element, &element, NULL));
    one->size = element * one->region[0] * one->region[1] * one->region[2];
    one->bytes = malloc(one->size);
    live_pattern(one->bytes, one->size, seed);
    clear_unused_bits(format, one->bytes, one->size);
    ok(clEnqueueWriteImage(live.queue, one->image, CL_TRUE, zero, one->region, 0, 0, one->bytes, 0,
                           NULL, NULL));
    ask_all(one, one->told, &one->num_told);
    return true;
}

static void check_one(struct one *one)
{
    unsigned char *bytes = calloc(1, one->size), told[1024];
    size_t size;
    ok(clEnqueueReadImage(live.queue, one->image, CL_TRUE, zero, one->region, 0, 0, bytes, 0, NULL,
                          NULL));
    clear_unused_bits(&one->format, bytes, one->size);
    assert_memory_equal(bytes, one->bytes, one->size);
    ask_all(one, told, &size);
    assert_int_equal(size, one->num_told);
    assert_memory_equal(told, one->told, size);
    free(bytes);
}

static void drop_one(struct one *one)
{
    ok(clReleaseMemObject(one->image));
    if (one->buffer)
        ok(clReleaseMemObject(one->buffer));
    free(one->bytes);
}

static const cl_mem_object_type types[] = {
    CL_MEM_OBJECT_IMAGE1D, CL_MEM_OBJECT_IMAGE1D_ARRAY, CL_MEM_OBJECT_IMAGE1D_BUFFER,
    CL_MEM_OBJECT_IMAGE2D, CL_MEM_OBJECT_IMAGE2D_ARRAY, CL_MEM_OBJECT_IMAGE3D};

static void test_every_type_and_format_comes_back(void **state)
{
    need_images();
    static struct one all[512];
    size_t count = 0;
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        cl_image_format formats[128];
        cl_uint num = 0;
        ok(clGetSupportedImageFormats(live.context, CL_MEM_READ_WRITE, types[t], 128, formats,
                                      &num));
        for (cl_uint f = 0; f < num && f < 128 && count < 512; f++)
            count += make_one(&all[count], types[t], &formats[f], (unsigned)count);
    }
    print_message("%zu images\n", count);
    assert_true(count > 10);
    for (int round = 0; round < 2; round++) {
        live_cycle();
        for (size_t i = 0; i < count; i++)
            check_one(&all[i]);
    }
    for (size_t i = 0; i < count; i++)
        drop_one(&all[i]);
}

/* Of three channels that are told, and stored as four. */
static void test_pixels_are_as_wide_as_the_driver_has_them(void **state)
{
    static const cl_image_format format = {CL_sRGBx, CL_UNORM_INT8};
    struct one one = {0};
    need_images();
    live_need(make_one(&one, CL_MEM_OBJECT_IMAGE2D, &format, 11));
    size_t row = 0;
    cl_int err;
    unsigned char *p = clEnqueueMapImage(live.queue, one.image, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE,
                                         zero, one.region, &row, NULL, 0, NULL, NULL, &err);
    made(p);
    live_cycle();
    size_t line = one.size / one.region[1];
    for (size_t y = 0; y < one.region[1]; y++)
        assert_memory_equal(p + y * row, one.bytes + y * line, line);
    live_pattern(p, line, 12);
    live_pattern(one.bytes, line, 12);
    ok(clEnqueueUnmapMemObject(live.queue, one.image, p, 0, NULL, NULL));
    live_cycle();
    check_one(&one);
    drop_one(&one);
}

static const cl_image_format rgba8 = {CL_RGBA, CL_UNSIGNED_INT8};

static void test_image_begins_as_host_memory_with_pitches(void **state)
{
    cl_int err;
    need_images();
    unsigned char host[40 * 4 * 10], bytes[24 * 4 * 6];
    live_pattern(host, sizeof host, 1);
    cl_image_desc desc = desc_of(CL_MEM_OBJECT_IMAGE2D, NULL);
    desc.image_row_pitch = 160;
    cl_mem image = clCreateImage(live.context, CL_MEM_COPY_HOST_PTR, &rgba8, &desc, host, &err);
    made(image);
    live_cycle();
    const size_t region[3] = {24, 6, 1};
    ok(clEnqueueReadImage(live.queue, image, CL_TRUE, zero, region, 0, 0, bytes, 0, NULL, NULL));
    for (size_t y = 0; y < 6; y++)
        assert_memory_equal(bytes + y * 96, host + y * 160, 96);
    ok(clReleaseMemObject(image));
}

static void test_image_from_a_buffer_shares_its_bytes(void **state)
{
    cl_int err;
    cl_uint pitch = 0;
    need_images();
    clGetDeviceInfo(live.device, CL_DEVICE_IMAGE_PITCH_ALIGNMENT, sizeof pitch, &pitch, NULL);
    assert_true(pitch > 0 || !live_has_cap("views"));
    live_need(pitch > 0);
    unsigned char bytes[4096 * 8], fill = 0x3c, part[24 * 4];
    live_pattern(bytes, sizeof bytes, 2);
    cl_mem buffer = live_buffer(sizeof bytes, bytes);
    cl_image_desc desc = desc_of(CL_MEM_OBJECT_IMAGE2D, buffer);
    desc.image_row_pitch = 4096;
    cl_mem image = clCreateImage(live.context, 0, &rgba8, &desc, NULL, &err);
    made(image);
    ok(clEnqueueFillBuffer(live.queue, buffer, &fill, 1, 4096, 10, 0, NULL, NULL));
    memset(bytes + 4096, fill, 10);
    live_cycle();
    const size_t row[3] = {0, 1, 0}, region[3] = {24, 1, 1};
    ok(clEnqueueReadImage(live.queue, image, CL_TRUE, row, region, 0, 0, part, 0, NULL, NULL));
    assert_memory_equal(part, bytes + 4096, sizeof part);
    ok(clReleaseMemObject(buffer));
    live_cycle();
    ok(clEnqueueReadImage(live.queue, image, CL_TRUE, row, region, 0, 0, part, 0, NULL, NULL));
    assert_memory_equal(part, bytes + 4096, sizeof part);
    ok(clReleaseMemObject(image));
}

static void map_one(cl_mem_object_type type)
{
    cl_int err;
    struct one one = {0};
    if (!make_one(&one, type, &rgba8, 3))
        return;
    size_t row = 0, slice = 0;
    unsigned char *p = clEnqueueMapImage(live.queue, one.image, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE,
                                         zero, one.region, &row, &slice, 0, NULL, NULL, &err);
    made(p);
    bool rows_are_slices = type == CL_MEM_OBJECT_IMAGE1D_ARRAY;
    size_t line = one.region[0] * 4;
    live_suspend();
    for (size_t z = 0; z < one.region[2]; z++)
        for (size_t y = 0; y < one.region[1]; y++) {
            unsigned char *at = p + z * slice + y * (rows_are_slices ? slice : row);
            unsigned char *own = one.bytes + (z * one.region[1] + y) * line;
            assert_memory_equal(at, own, line);
            memset(at, (int)(z * 16 + y), 20);
            memset(own, (int)(z * 16 + y), 20);
        }
    live_resume();
    ok(clEnqueueUnmapMemObject(live.queue, one.image, p, 0, NULL, NULL));
    check_one(&one);
    live_cycle();
    check_one(&one);
    drop_one(&one);
}

static void test_image_from_an_image_shares_its_pixels(void **state)
{
    const cl_image_format linear = {CL_RGBA, CL_UNORM_INT8}, other = {CL_sRGBA, CL_UNORM_INT8};
    const size_t region[3] = {24, 6, 1};
    unsigned char bytes[24 * 6 * 4], seen[sizeof bytes];
    cl_int err;
    need_images();
    live_pattern(bytes, sizeof bytes, 2);
    cl_image_desc desc = desc_of(CL_MEM_OBJECT_IMAGE2D, NULL);
    cl_mem image = clCreateImage(live.context, CL_MEM_COPY_HOST_PTR, &linear, &desc, bytes, &err);
    made(image);
    desc.mem_object = image;
    cl_mem view = clCreateImage(live.context, 0, &other, &desc, NULL, &err);
    assert_true(view || !live_has_cap("views"));
    live_need(view);
    live_cycle();
    ok(clEnqueueReadImage(live.queue, view, CL_TRUE, zero, region, 0, 0, seen, 0, NULL, NULL));
    assert_memory_equal(seen, bytes, sizeof bytes);
    ok(clReleaseMemObject(image));
    live_cycle();
    ok(clEnqueueReadImage(live.queue, view, CL_TRUE, zero, region, 0, 0, seen, 0, NULL, NULL));
    assert_memory_equal(seen, bytes, sizeof bytes);
    ok(clReleaseMemObject(view));
}

static void test_mapped_images_keep_pointer_and_writes(void **state)
{
    need_images();
    for (size_t t = 0; t < sizeof types / sizeof *types; t++)
        map_one(types[t]);
}

static cl_uint map_count(cl_mem image)
{
    cl_uint count = 99;
    ok(clGetMemObjectInfo(image, CL_MEM_MAP_COUNT, sizeof count, &count, NULL));
    return count;
}

/* Four maps of an image of 24 by 6: two of one region to be read, one of rows that they have in
 * part as well, and one to be written, beside them. */
/* §5.11: a map that never runs has read nothing, and to unmap what it gave writes nothing back. */
static void test_map_whose_event_fails_writes_nothing_back(void **state)
{
    static const cl_image_format format = {CL_RGBA, CL_UNSIGNED_INT8};
    struct one one = {0};
    need_images();
    if (!live_shadowed())
        skip(); /* pocl aborts */
    for (int i = 0; i < 2; i++) {
        size_t row;
        cl_int err;
        cl_event gate = live_user_event();
        assert_true(make_one(&one, CL_MEM_OBJECT_IMAGE2D, &format, 9));
        void *p = clEnqueueMapImage(live.queue, one.image, CL_FALSE, CL_MAP_WRITE, zero, one.region,
                                    &row, NULL, 1, &gate, NULL, &err);
        made(p);
        if (i)
            ok(clEnqueueUnmapMemObject(live.queue, one.image, p, 0, NULL, NULL));
        live_cycle();
        ok(clSetUserEventStatus(gate, -77));
        if (!i)
            ok(clEnqueueUnmapMemObject(live.queue, one.image, p, 0, NULL, NULL));
        check_one(&one);
        drop_one(&one);
        ok(clReleaseEvent(gate));
    }
}

static void test_several_maps_of_one_image(void **state)
{
    static const size_t origins[4][3] = {{0, 0, 0}, {0, 0, 0}, {4, 1, 0}, {2, 4, 0}},
                        regions[4][3] = {{24, 2, 1}, {24, 2, 1}, {8, 3, 1}, {20, 2, 1}};
    unsigned char *maps[4];
    size_t pitches[4];
    cl_int err;
    struct one one = {0};
    need_images();
    assert_true(make_one(&one, CL_MEM_OBJECT_IMAGE2D, &rgba8, 5));
    for (int i = 0; i < 4; i++) {
        maps[i] =
            clEnqueueMapImage(live.queue, one.image, CL_TRUE, i == 3 ? CL_MAP_WRITE : CL_MAP_READ,
                              origins[i], regions[i], &pitches[i], NULL, 0, NULL, NULL, &err);
        made(maps[i]);
        live_cycle();
        assert_int_equal(map_count(one.image), i + 1);
    }
    live_suspend();
    for (int i = 0; i < 4; i++)
        for (size_t y = 0; y < regions[i][1]; y++) {
            unsigned char *own = one.bytes + (origins[i][1] + y) * 24 * 4 + origins[i][0] * 4;
            if (i == 3) {
                live_pattern(maps[i] + y * pitches[i], regions[i][0] * 4, (unsigned)y + 40);
                live_pattern(own, regions[i][0] * 4, (unsigned)y + 40);
            } else {
                assert_memory_equal(maps[i] + y * pitches[i], own, regions[i][0] * 4);
            }
        }
    live_resume();
    static const int order[4] = {1, 3, 0, 2};
    for (int i = 0; i < 4; i++) {
        ok(clEnqueueUnmapMemObject(live.queue, one.image, maps[order[i]], 0, NULL, NULL));
        ok(clFinish(live.queue));
        assert_int_equal(map_count(one.image), 3 - i);
        live_cycle();
    }
    check_one(&one);
    drop_one(&one);
}

static unsigned char *map_rows(cl_mem image, cl_map_flags flags, const size_t origin[3],
                               const size_t region[3])
{
    cl_int err;
    size_t row = 0;
    unsigned char *p = clEnqueueMapImage(live.queue, image, CL_TRUE, flags, origin, region, &row,
                                         NULL, 0, NULL, NULL, &err);
    made(p);
    assert_int_equal(row, 24 * 4);
    return p;
}

/* Bytes of a part of the image of 24 by 6. */
static void set_part(unsigned char *bytes, const size_t origin[3], const size_t region[3],
                     int value)
{
    for (size_t y = origin[1]; y < origin[1] + region[1]; y++)
        memset(bytes + (y * 24 + origin[0]) * 4, value, region[0] * 4);
}

static void device_writes(cl_mem image, const size_t origin[3], const size_t region[3],
                          unsigned char value)
{
    unsigned char bytes[24 * 6 * 4];
    memset(bytes, value, sizeof bytes);
    ok(clEnqueueWriteImage(live.queue, image, CL_TRUE, origin, region, 0, 0, bytes, 0, NULL, NULL));
}

/* The program finds there what the device has written, but for what it has mapped itself. */
static void test_use_host_ptr_image(void **state)
{
    static const size_t whole[3] = {24, 6, 1}, mapped[3] = {3, 1, 0}, some[3] = {8, 3, 1},
                        left[3] = {3, 6, 1}, right[3] = {11, 0, 0}, rest[3] = {13, 4, 1};
    cl_int err;
    need_images();
    unsigned char *host = aligned_alloc(4096, 4096), bytes[24 * 6 * 4], seen[sizeof bytes];
    live_pattern(host, 4096, 5);
    memcpy(bytes, host, sizeof bytes);
    cl_image_desc desc = desc_of(CL_MEM_OBJECT_IMAGE2D, NULL);
    cl_mem image = clCreateImage(live.context, CL_MEM_USE_HOST_PTR, &rgba8, &desc, host, &err);
    made(image);
    device_writes(image, zero, left, 1);
    set_part(bytes, zero, left, 1);
    live_suspend();
    live_copy_written(seen, host, sizeof bytes);
    live_resume();
    if (live_commanded())
        assert_memory_equal(seen, bytes, sizeof bytes);
    unsigned char *p = map_rows(image, CL_MAP_READ, zero, whole);
    assert_ptr_equal(p, host);
    assert_memory_equal(p, bytes, sizeof bytes);
    ok(clEnqueueUnmapMemObject(live.queue, image, p, 0, NULL, NULL));
    p = map_rows(image, CL_MAP_WRITE, mapped, some);
    assert_ptr_equal(p, host + (24 + 3) * 4);
    set_part(host, mapped, some, 2);
    device_writes(image, right, rest, 3);
    device_writes(image, zero, left, 4);
    live_suspend();
    set_part(bytes, mapped, some, 2);
    set_part(bytes, right, rest, 3);
    set_part(bytes, zero, left, 4);
    live_copy_written(seen, host, sizeof bytes);
    live_resume();
    if (live_commanded())
        assert_memory_equal(seen, bytes, sizeof bytes);
    ok(clEnqueueUnmapMemObject(live.queue, image, p, 0, NULL, NULL));
    live_cycle();
    ok(clEnqueueReadImage(live.queue, image, CL_TRUE, zero, whole, 0, 0, seen, 0, NULL, NULL));
    assert_memory_equal(seen, bytes, sizeof bytes);
    ok(clReleaseMemObject(image));
    free(host);
}

/* A suspend writes nothing to memory that the program itself can't write. */
static void test_image_over_memory_that_cannot_be_written(void **state)
{
    cl_int err;
    const size_t region[3] = {24, 6, 1};
    unsigned char bytes[24 * 6 * 4], read[sizeof bytes];
    need_images();
    unsigned char *fixed =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(fixed, MAP_FAILED);
    live_pattern(bytes, sizeof bytes, 7);
    memcpy(fixed, bytes, sizeof bytes);
    assert_int_equal(mprotect(fixed, 4096, PROT_READ), 0);
    cl_image_desc desc = desc_of(CL_MEM_OBJECT_IMAGE2D, NULL);
    cl_mem image = clCreateImage(live.context, CL_MEM_READ_ONLY | CL_MEM_USE_HOST_PTR, &rgba8,
                                 &desc, fixed, &err);
    made(image);
    live_cycle();
    ok(clEnqueueReadImage(live.queue, image, CL_TRUE, zero, region, 0, 0, read, 0, NULL, NULL));
    assert_memory_equal(read, bytes, sizeof bytes);
    assert_memory_equal(fixed, bytes, sizeof bytes);
    ok(clReleaseMemObject(image));
    munmap(fixed, 4096);
}

/* The calls of OpenCL 1.0 and 1.1, which programs still make. */
static void test_images_made_by_the_deprecated_calls(void **state)
{
    cl_int err;
    need_images();
    unsigned char flat[24 * 6 * 4], deep[24 * 6 * 5 * 4], back[sizeof deep];
    live_pattern(flat, sizeof flat, 6);
    live_pattern(deep, sizeof deep, 7);
    cl_mem two =
        clCreateImage2D(live.context, CL_MEM_COPY_HOST_PTR, &rgba8, 24, 6, 24 * 4, flat, &err);
    made(two);
    cl_mem three =
        clCreateImage3D(live.context, CL_MEM_COPY_HOST_PTR, &rgba8, 24, 6, 5, 0, 0, deep, &err);
    made(three);
    live_cycle();
    const size_t of_two[3] = {24, 6, 1}, of_three[3] = {24, 6, 5};
    ok(clEnqueueReadImage(live.queue, two, CL_TRUE, zero, of_two, 0, 0, back, 0, NULL, NULL));
    assert_memory_equal(back, flat, sizeof flat);
    ok(clEnqueueReadImage(live.queue, three, CL_TRUE, zero, of_three, 0, 0, back, 0, NULL, NULL));
    assert_memory_equal(back, deep, sizeof deep);
    ok(clReleaseMemObject(two));
    ok(clReleaseMemObject(three));
}

static const char *const sampling =
    "kernel void get(read_only image2d_t image, sampler_t how, global uint4 *out)\n"
    "{ int i = get_global_id(0); out[i] = read_imageui(image, how, (int2)(i - 4, 2)); }\n";

static void sample(cl_kernel kernel, cl_mem out, unsigned *result)
{
    live_launch(live.queue, kernel, 32);
    ok(clEnqueueReadBuffer(live.queue, out, CL_TRUE, 0, 32 * 16, result, 0, NULL, NULL));
}

static void test_samplers_keep_what_they_do_and_say(void **state)
{
    static const cl_uint asked[] = {CL_SAMPLER_ADDRESSING_MODE, CL_SAMPLER_FILTER_MODE,
                                    CL_SAMPLER_NORMALIZED_COORDS, CL_SAMPLER_CONTEXT,
                                    CL_SAMPLER_REFERENCE_COUNT};
    static const cl_addressing_mode modes[] = {CL_ADDRESS_CLAMP, CL_ADDRESS_CLAMP_TO_EDGE,
                                               CL_ADDRESS_NONE};
    cl_int err;
    need_images();
    struct one one = {0};
    assert_true(make_one(&one, CL_MEM_OBJECT_IMAGE2D, &rgba8, 8));
    cl_mem out = live_buffer(32 * 16, NULL);
    cl_kernel kernel = live_kernel(sampling, "get");
    for (int i = 0; i < 2; i++) {
        unsigned before[128], after[128];
        unsigned char told[2][256];
        cl_sampler sampler =
            clCreateSampler(live.context, CL_FALSE, modes[i], CL_FILTER_NEAREST, &err);
        made(sampler);
        ok(clSetKernelArg(kernel, 0, sizeof one.image, &one.image));
        ok(clSetKernelArg(kernel, 1, sizeof sampler, &sampler));
        ok(clSetKernelArg(kernel, 2, sizeof out, &out));
        size_t size = live_ask(clGetSamplerInfo, sampler, asked, told[0]);
        sample(kernel, out, before);
        live_cycle();
        sample(kernel, out, after);
        assert_memory_equal(before, after, sizeof before);
        assert_int_equal(live_ask(clGetSamplerInfo, sampler, asked, told[1]), size);
        assert_memory_equal(told[0], told[1], size);
        ok(clReleaseSampler(sampler));
    }
    ok(clReleaseKernel(kernel));
    ok(clReleaseMemObject(out));
    drop_one(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type_and_format_comes_back),
        cmocka_unit_test(test_pixels_are_as_wide_as_the_driver_has_them),
        cmocka_unit_test(test_image_begins_as_host_memory_with_pitches),
        cmocka_unit_test(test_image_from_a_buffer_shares_its_bytes),
        cmocka_unit_test(test_image_from_an_image_shares_its_pixels),
        cmocka_unit_test(test_mapped_images_keep_pointer_and_writes),
        cmocka_unit_test(test_map_whose_event_fails_writes_nothing_back),
        cmocka_unit_test(test_several_maps_of_one_image),
        cmocka_unit_test(test_use_host_ptr_image),
        cmocka_unit_test(test_image_over_memory_that_cannot_be_written),
        cmocka_unit_test(test_images_made_by_the_deprecated_calls),
        cmocka_unit_test(test_samplers_keep_what_they_do_and_say),
    };
    return cmocka_run_group_tests(tests, live_setup, live_teardown);
}
