/* SPDX-License-Identifier: Apache-2.0 */
/* How many bytes the pixels, rows and slices of images take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "state/image.h"

static const struct {
    cl_channel_order order;
    cl_channel_type type;
    size_t size;
} sizes[] = {
    {CL_R, CL_UNORM_INT8, 1},
    {CL_A, CL_SNORM_INT8, 1},
    {CL_R, CL_SIGNED_INT8, 1},
    {CL_R, CL_HALF_FLOAT, 2},
    {CL_R, CL_FLOAT, 4},
    {CL_R, CL_UNSIGNED_INT32, 4},
    {CL_INTENSITY, CL_UNORM_INT16, 2},
    {CL_LUMINANCE, CL_FLOAT, 4},
    {CL_RG, CL_UNORM_INT8, 2},
    {CL_RA, CL_SNORM_INT16, 4},
    {CL_RG, CL_FLOAT, 8},
    {CL_RGBA, CL_UNORM_INT8, 4},
    {CL_BGRA, CL_UNORM_INT8, 4},
    {CL_ARGB, CL_SIGNED_INT8, 4},
    {CL_ABGR, CL_UNSIGNED_INT8, 4},
    {CL_sRGBA, CL_UNORM_INT8, 4},
    {CL_sBGRA, CL_UNORM_INT8, 4},
    {CL_sRGB, CL_UNORM_INT8, 3},
    {CL_RGBA, CL_UNSIGNED_INT16, 8},
    {CL_RGBA, CL_HALF_FLOAT, 8},
    {CL_RGBA, CL_SIGNED_INT32, 16},
    {CL_RGBA, CL_FLOAT, 16},
    {CL_RGB, CL_UNORM_SHORT_565, 2},
    {CL_RGBx, CL_UNORM_SHORT_565, 2},
    {CL_RGB, CL_UNORM_SHORT_555, 2},
    {CL_RGB, CL_UNORM_INT_101010, 4},
    {CL_RGBx, CL_UNORM_INT_101010, 4},
    {CL_RGBA, CL_UNORM_INT_101010_2, 4},
    {CL_DEPTH, CL_UNORM_INT16, 2},
    {CL_DEPTH, CL_FLOAT, 4},
    {CL_DEPTH, CL_UNORM_INT24, 4},
    {CL_DEPTH_STENCIL, CL_UNORM_INT24, 4},
    {CL_DEPTH_STENCIL, CL_FLOAT, 8},
    {0x9999, CL_UNORM_INT8, 0},
    {0x9999, CL_UNORM_SHORT_565, 0},
    {CL_RGBA, 0x9999, 0},
    {CL_DEPTH_STENCIL, CL_UNORM_INT8, 0},
};

static void test_bytes_of_a_pixel(void **state)
{
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        cl_image_format format = {sizes[i].order, sizes[i].type};
        size_t size = image_element_size(&format);
        if (size != sizes[i].size)
            fail_msg("order 0x%x, type 0x%x: %zu bytes, expected %zu", sizes[i].order,
                     sizes[i].type, size, sizes[i].size);
    }
}

static struct image laid_out(cl_image_desc desc)
{
    struct image image;
    image_layout(&image, &(cl_image_format){CL_RGBA, CL_UNORM_INT8}, &desc);
    return image;
}

static void expect(const struct image *image, size_t width, size_t height, size_t depth, size_t row,
                   size_t slice)
{
    assert_int_equal(image->element, 4);
    assert_int_equal(image->extent[0], width);
    assert_int_equal(image->extent[1], height);
    assert_int_equal(image->extent[2], depth);
    assert_int_equal(image->row_pitch, row);
    assert_int_equal(image->slice_pitch, slice);
    assert_int_equal(image_tight_size(image), width * height * depth * 4);
}

static void test_extent_and_pitches_of_every_type(void **state)
{
    struct image image = laid_out((cl_image_desc){CL_MEM_OBJECT_IMAGE1D, .image_width = 7});
    expect(&image, 7, 1, 1, 28, 28);
    image = laid_out((cl_image_desc){CL_MEM_OBJECT_IMAGE1D_BUFFER, .image_width = 7});
    expect(&image, 7, 1, 1, 28, 28);
    image = laid_out(
        (cl_image_desc){CL_MEM_OBJECT_IMAGE1D_ARRAY, .image_width = 7, .image_array_size = 3});
    expect(&image, 7, 3, 1, 28, 84);
    image = laid_out((cl_image_desc){CL_MEM_OBJECT_IMAGE2D, .image_width = 7, .image_height = 5});
    expect(&image, 7, 5, 1, 28, 140);
    image = laid_out((cl_image_desc){CL_MEM_OBJECT_IMAGE2D_ARRAY, .image_width = 7,
                                     .image_height = 5, .image_array_size = 3});
    expect(&image, 7, 5, 3, 28, 140);
    image = laid_out((cl_image_desc){CL_MEM_OBJECT_IMAGE3D, .image_width = 7, .image_height = 5,
                                     .image_depth = 3});
    expect(&image, 7, 5, 3, 28, 140);
}

static void test_pitches_as_given(void **state)
{
    struct image image = laid_out((cl_image_desc){CL_MEM_OBJECT_IMAGE1D_ARRAY, .image_width = 7,
                                                  .image_array_size = 3, .image_row_pitch = 32,
                                                  .image_slice_pitch = 64});
    expect(&image, 7, 3, 1, 64, 192);
    image = laid_out((cl_image_desc){CL_MEM_OBJECT_IMAGE2D, .image_width = 7, .image_height = 5,
                                     .image_row_pitch = 32});
    expect(&image, 7, 5, 1, 32, 160);
    image = laid_out((cl_image_desc){CL_MEM_OBJECT_IMAGE3D, .image_width = 7, .image_height = 5,
                                     .image_depth = 3, .image_row_pitch = 32,
                                     .image_slice_pitch = 256});
    expect(&image, 7, 5, 3, 32, 256);
    image =
        laid_out((cl_image_desc){CL_MEM_OBJECT_IMAGE2D_ARRAY, .image_width = 7, .image_height = 5,
                                 .image_array_size = 3, .image_row_pitch = 32});
    expect(&image, 7, 5, 3, 32, 160);
}

static void test_region_must_lie_within(void **state)
{
    struct image image =
        laid_out((cl_image_desc){CL_MEM_OBJECT_IMAGE2D, .image_width = 7, .image_height = 5});
    struct mem mem = {.type = CL_MEM_OBJECT_IMAGE2D, .image = &image};
    const size_t zero[3] = {0, 0, 0};
    assert_int_equal(image_check_region(&mem, zero, (size_t[3]){7, 5, 1}), CL_SUCCESS);
    assert_int_equal(image_check_region(&mem, (size_t[3]){6, 4, 0}, (size_t[3]){1, 1, 1}),
                     CL_SUCCESS);
    assert_int_equal(image_check_region(&mem, (size_t[3]){1, 0, 0}, (size_t[3]){7, 5, 1}),
                     CL_INVALID_VALUE);
    assert_int_equal(image_check_region(&mem, zero, (size_t[3]){7, 5, 2}), CL_INVALID_VALUE);
    assert_int_equal(image_check_region(&mem, zero, (size_t[3]){7, 0, 1}), CL_INVALID_VALUE);
    /* Sums that wrap around. */
    assert_int_equal(image_check_region(&mem, (size_t[3]){SIZE_MAX, 0, 0}, (size_t[3]){2, 1, 1}),
                     CL_INVALID_VALUE);
    assert_int_equal(image_check_region(&mem, (size_t[3]){2, 0, 0}, (size_t[3]){SIZE_MAX, 1, 1}),
                     CL_INVALID_VALUE);
}

static void test_pitches_must_hold_the_region(void **state)
{
    struct image image = laid_out((cl_image_desc){CL_MEM_OBJECT_IMAGE3D, .image_width = 7,
                                                  .image_height = 5, .image_depth = 3});
    struct mem mem = {.type = CL_MEM_OBJECT_IMAGE3D, .image = &image};
    const size_t region[3] = {7, 5, 2};
    assert_int_equal(image_check_pitches(&mem, region, 0, 0), CL_SUCCESS);
    assert_int_equal(image_check_pitches(&mem, region, 27, 0), CL_INVALID_VALUE);
    assert_int_equal(image_check_pitches(&mem, region, 32, 160), CL_SUCCESS);
    assert_int_equal(image_check_pitches(&mem, region, 32, 159), CL_INVALID_VALUE);
    mem.type = CL_MEM_OBJECT_IMAGE2D;
    assert_int_equal(image_check_pitches(&mem, region, 32, 160), CL_INVALID_VALUE);
}

static void test_mapping_has_its_own_tight_region(void **state)
{
    struct image image = laid_out((cl_image_desc){CL_MEM_OBJECT_IMAGE3D, .image_width = 7,
                                                  .image_height = 5, .image_depth = 3});
    struct mem mem = {.type = CL_MEM_OBJECT_IMAGE3D, .image = &image};
    struct mapping mapping = {.origin = {1, 1, 1}, .region = {3, 2, 2}};
    size_t row, slice;
    image_place_mapping(&mem, &mapping);
    image_pitches(&mem, &mapping, &row, &slice);
    assert_null(mapping.pointer);
    assert_int_equal(row, 12);
    assert_int_equal(slice, 24);
    mem.type = CL_MEM_OBJECT_IMAGE2D;
    image_pitches(&mem, &mapping, &row, &slice);
    assert_int_equal(slice, 0);
    mem.type = CL_MEM_OBJECT_IMAGE1D_ARRAY;
    image_pitches(&mem, &mapping, &row, &slice);
    assert_int_equal(slice, 12);
}

static void test_mapping_of_the_applications_memory_lies_in_it(void **state)
{
    char memory[768];
    struct image image = laid_out((cl_image_desc){CL_MEM_OBJECT_IMAGE3D, .image_width = 7,
                                                  .image_height = 5, .image_depth = 3,
                                                  .image_row_pitch = 32, .image_slice_pitch = 256});
    struct mem mem = {.type = CL_MEM_OBJECT_IMAGE3D, .image = &image, .host_ptr = memory};
    struct mapping mapping = {.origin = {1, 2, 1}, .region = {3, 2, 2}};
    size_t row, slice;
    image_place_mapping(&mem, &mapping);
    image_pitches(&mem, &mapping, &row, &slice);
    assert_ptr_equal(mapping.pointer, memory + 4 + 64 + 256);
    assert_int_equal(row, 32);
    assert_int_equal(slice, 256);
}

/* Each part by itself: what is between them may be anything. */
static void assert_same_desc(const cl_image_desc *one, const cl_image_desc *other)
{
    assert_int_equal(one->image_type, other->image_type);
    assert_int_equal(one->image_width, other->image_width);
    assert_int_equal(one->image_height, other->image_height);
    assert_int_equal(one->image_depth, other->image_depth);
    assert_int_equal(one->image_array_size, other->image_array_size);
    assert_int_equal(one->image_row_pitch, other->image_row_pitch);
    assert_int_equal(one->image_slice_pitch, other->image_slice_pitch);
    assert_int_equal(one->num_mip_levels, other->num_mip_levels);
    assert_int_equal(one->num_samples, other->num_samples);
    assert_ptr_equal(one->buffer, other->buffer);
}

/* Only what follows from them is kept. */
static void test_format_and_descriptor_are_had_again(void **state)
{
    static const cl_image_desc descs[] = {
        {CL_MEM_OBJECT_IMAGE1D, .image_width = 7},
        {CL_MEM_OBJECT_IMAGE1D, .image_width = 7, .image_row_pitch = 64},
        {CL_MEM_OBJECT_IMAGE1D_BUFFER, .image_width = 7},
        {CL_MEM_OBJECT_IMAGE1D_ARRAY, .image_width = 7, .image_array_size = 3},
        {CL_MEM_OBJECT_IMAGE1D_ARRAY, .image_width = 7, .image_array_size = 3,
         .image_row_pitch = 32, .image_slice_pitch = 32},
        {CL_MEM_OBJECT_IMAGE2D, .image_width = 7, .image_height = 5},
        {CL_MEM_OBJECT_IMAGE2D, .image_width = 7, .image_height = 5, .image_row_pitch = 32,
         .num_samples = 4},
        {CL_MEM_OBJECT_IMAGE2D_ARRAY, .image_width = 7, .image_height = 5, .image_array_size = 3,
         .image_slice_pitch = 140, .num_mip_levels = 2},
        {CL_MEM_OBJECT_IMAGE3D, .image_width = 7, .image_height = 5, .image_depth = 3},
        {CL_MEM_OBJECT_IMAGE3D, .image_width = SIZE_MAX / 8, .image_height = 1, .image_depth = 3,
         .image_row_pitch = SIZE_MAX / 2, .image_slice_pitch = SIZE_MAX},
    };
    for (size_t i = 0; i < sizeof descs / sizeof *descs; i++) {
        struct image image = laid_out(descs[i]);
        struct mem mem = {.type = descs[i].image_type, .image = &image};
        cl_image_desc again = image_desc(&mem);
        cl_image_format format = image_format(&image);
        assert_same_desc(&again, &descs[i]);
        assert_int_equal(format.image_channel_order, CL_RGBA);
        assert_int_equal(format.image_channel_data_type, CL_UNORM_INT8);
    }
}

static void test_what_the_driver_told_is_told(void **state)
{
    struct image image = laid_out((cl_image_desc){CL_MEM_OBJECT_IMAGE3D, .image_width = 7,
                                                  .image_height = 5, .image_depth = 3});
    struct mem mem = {.type = CL_MEM_OBJECT_IMAGE3D, .size = 420, .image = &image};
    const struct image_told plain = {28, 140, 420}, padded = {32, 160, 512};
    assert_true(image_set_told(&mem, &plain));
    assert_null(image.told);
    struct image_told told = image_told(&mem);
    assert_memory_equal(&told, &plain, sizeof told);
    assert_true(image_set_told(&mem, &padded));
    told = image_told(&mem);
    assert_memory_equal(&told, &padded, sizeof told);
    free(image.told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_of_a_pixel),
        cmocka_unit_test(test_extent_and_pitches_of_every_type),
        cmocka_unit_test(test_pitches_as_given),
        cmocka_unit_test(test_format_and_descriptor_are_had_again),
        cmocka_unit_test(test_what_the_driver_told_is_told),
        cmocka_unit_test(test_region_must_lie_within),
        cmocka_unit_test(test_pitches_must_hold_the_region),
        cmocka_unit_test(test_mapping_has_its_own_tight_region),
        cmocka_unit_test(test_mapping_of_the_applications_memory_lies_in_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
