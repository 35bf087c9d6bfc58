/* SPDX-License-Identifier: Apache-2.0 */
/* Formats of pixels, and how many bytes what takes. See image.h. */
#include "state/image.h"

/* Components of a pixel that are stored (the x of CL_RGBx is only about the border colour). */
static size_t channels_of(cl_channel_order order)
{
    switch (order) {
    case CL_R:
    case CL_Rx:
    case CL_A:
    case CL_INTENSITY:
    case CL_LUMINANCE:
    case CL_DEPTH:
        return 1;
    case CL_RG:
    case CL_RGx:
    case CL_RA:
        return 2;
    case CL_RGB:
    case CL_RGBx:
    case CL_sRGB:
    case CL_sRGBx:
        return 3;
    case CL_RGBA:
    case CL_ARGB:
    case CL_BGRA:
    case CL_ABGR:
    case CL_sRGBA:
    case CL_sBGRA:
        return 4;
    default:
        return 0;
    }
}

static size_t channel_size(cl_channel_type type)
{
    switch (type) {
    case CL_SNORM_INT8:
    case CL_UNORM_INT8:
    case CL_SIGNED_INT8:
    case CL_UNSIGNED_INT8:
        return 1;
    case CL_SNORM_INT16:
    case CL_UNORM_INT16:
    case CL_SIGNED_INT16:
    case CL_UNSIGNED_INT16:
    case CL_HALF_FLOAT:
        return 2;
    case CL_UNORM_INT24:
        return 4; /* §5.3.1.1: the low 24 bits of a word */
    case CL_SIGNED_INT32:
    case CL_UNSIGNED_INT32:
    case CL_FLOAT:
        return 4;
    default:
        return 0;
    }
}

/* All components of a pixel in one word; 0: not such a type. */
static size_t packed_size(cl_channel_type type)
{
    switch (type) {
    case CL_UNORM_SHORT_565:
    case CL_UNORM_SHORT_555:
        return 2;
    case CL_UNORM_INT_101010:
    case CL_UNORM_INT_101010_2:
        return 4;
    default:
        return 0;
    }
}

size_t image_element_size(const cl_image_format *format)
{
    cl_channel_order order = format->image_channel_order;
    cl_channel_type type = format->image_channel_data_type;
    if (order == CL_DEPTH_STENCIL)
        return type == CL_UNORM_INT24 ? 4 : type == CL_FLOAT ? 8 : 0;
    size_t channels = channels_of(order);
    size_t packed = packed_size(type);
    return packed && channels ? packed : channels * channel_size(type);
}

static size_t at_least_1(size_t count)
{
    return count ? count : 1;
}

static void set_extent(struct image *image)
{
    const cl_image_desc *desc = &image->desc;
    size_t *extent = image->extent;
    extent[0] = desc->image_width;
    extent[1] = extent[2] = 1;
    switch (desc->image_type) {
    case CL_MEM_OBJECT_IMAGE1D_ARRAY:
        extent[1] = at_least_1(desc->image_array_size);
        break;
    case CL_MEM_OBJECT_IMAGE2D:
        extent[1] = at_least_1(desc->image_height);
        break;
    case CL_MEM_OBJECT_IMAGE2D_ARRAY:
        extent[1] = at_least_1(desc->image_height);
        extent[2] = at_least_1(desc->image_array_size);
        break;
    case CL_MEM_OBJECT_IMAGE3D:
        extent[1] = at_least_1(desc->image_height);
        extent[2] = at_least_1(desc->image_depth);
        break;
    default:
        break;
    }
}

void image_layout(struct image *image)
{
    const cl_image_desc *desc = &image->desc;
    set_extent(image);
    image->element = image_element_size(&image->format);
    image->row_pitch = desc->image_row_pitch;
    if (!image->row_pitch)
        image->row_pitch = image->extent[0] * image->element;
    /* Of a 1D array the descriptor's slice is one layer, which is our row. */
    if (desc->image_type == CL_MEM_OBJECT_IMAGE1D_ARRAY && desc->image_slice_pitch)
        image->row_pitch = desc->image_slice_pitch;
    image->slice_pitch = image->row_pitch * image->extent[1];
    if (image->extent[2] > 1 && desc->image_slice_pitch)
        image->slice_pitch = desc->image_slice_pitch;
}

size_t image_tight_size(const struct image *image)
{
    return image->element * image->extent[0] * image->extent[1] * image->extent[2];
}

cl_int image_check_region(const struct mem *mem, const size_t origin[3], const size_t region[3])
{
    for (int i = 0; i < 3; i++) {
        size_t extent = mem->image->extent[i];
        if (!region[i] || region[i] > extent || origin[i] > extent - region[i])
            return CL_INVALID_VALUE;
    }
    return CL_SUCCESS;
}

cl_int image_check_pitches(const struct mem *mem, const size_t region[3], size_t row_pitch,
                           size_t slice_pitch)
{
    size_t row = region[0] * mem->image->element;
    if (row_pitch && row_pitch < row)
        return CL_INVALID_VALUE;
    if (!slice_pitch)
        return CL_SUCCESS;
    row = row_pitch ? row_pitch : row;
    switch (mem->type) {
    case CL_MEM_OBJECT_IMAGE1D_ARRAY:
        return slice_pitch < row ? CL_INVALID_VALUE : CL_SUCCESS;
    case CL_MEM_OBJECT_IMAGE2D_ARRAY:
    case CL_MEM_OBJECT_IMAGE3D:
        return slice_pitch < row * region[1] ? CL_INVALID_VALUE : CL_SUCCESS;
    default:
        return CL_INVALID_VALUE;
    }
}

void image_place_mapping(const struct mem *mem, struct mapping *mapping)
{
    const struct image *image = mem->image;
    if (mem->host_ptr) {
        mapping->row_pitch = image->row_pitch;
        mapping->slice_pitch = image->slice_pitch;
        mapping->pointer = (char *)mem->host_ptr + mapping->origin[0] * image->element +
                           mapping->origin[1] * image->row_pitch +
                           mapping->origin[2] * image->slice_pitch;
        return;
    }
    mapping->row_pitch = mapping->region[0] * image->element;
    mapping->slice_pitch = mapping->row_pitch * mapping->region[1];
    mapping->pointer = NULL;
}

void image_pitches(const struct mem *mem, const struct mapping *mapping, size_t *row_pitch,
                   size_t *slice_pitch)
{
    *row_pitch = mapping->row_pitch;
    switch (mem->type) {
    case CL_MEM_OBJECT_IMAGE1D_ARRAY:
        *slice_pitch = mapping->row_pitch;
        break;
    case CL_MEM_OBJECT_IMAGE2D_ARRAY:
    case CL_MEM_OBJECT_IMAGE3D:
        *slice_pitch = mapping->slice_pitch;
        break;
    default:
        *slice_pitch = 0;
        break;
    }
}
