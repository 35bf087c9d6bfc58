/* SPDX-License-Identifier: Apache-2.0 */
/* Formats of pixels, and how many bytes what takes. See image.h. */
#include "state/image.h"

#include <stdlib.h>
#include <string.h>

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

static void set_extent(size_t extent[3], const cl_image_desc *desc)
{
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

static void set_pitches(struct image *image, const cl_image_desc *desc)
{
    image->row_pitch_given = desc->image_row_pitch != 0;
    image->row_pitch = desc->image_row_pitch;
    if (!image->row_pitch)
        image->row_pitch = image->extent[0] * image->element;
    /* Of a 1D array the descriptor's slice is one layer, which is our row. */
    bool is_1d_array = desc->image_type == CL_MEM_OBJECT_IMAGE1D_ARRAY;
    image->slice_pitch_given = desc->image_slice_pitch && (is_1d_array || image->extent[2] > 1);
    if (image->slice_pitch_given && is_1d_array)
        image->row_pitch = desc->image_slice_pitch;
    image->slice_pitch = image->row_pitch * image->extent[1];
    if (image->slice_pitch_given && !is_1d_array)
        image->slice_pitch = desc->image_slice_pitch;
}

static uint16_t in_16_bits(cl_uint number)
{
    return number < UINT16_MAX ? (uint16_t)number : UINT16_MAX;
}

static uint8_t in_8_bits(cl_uint number)
{
    return number < UINT8_MAX ? (uint8_t)number : UINT8_MAX;
}

void image_layout(struct image *image, const cl_image_format *format, const cl_image_desc *desc)
{
    *image = (struct image){
        .order = in_16_bits(format->image_channel_order),
        .channel_type = in_16_bits(format->image_channel_data_type),
        .element = (uint8_t)image_element_size(format),
        .mip_levels = in_8_bits(desc->num_mip_levels),
        .samples = in_8_bits(desc->num_samples),
    };
    set_extent(image->extent, desc);
    set_pitches(image, desc);
}

void image_pad(struct image *image, size_t element)
{
    bool tight_rows = image->row_pitch == image->extent[0] * image->element;
    bool tight_slices = image->slice_pitch == image->row_pitch * image->extent[1];
    image->element = in_8_bits((cl_uint)element);
    if (tight_rows)
        image->row_pitch = image->extent[0] * image->element;
    if (tight_slices)
        image->slice_pitch = image->row_pitch * image->extent[1];
}

void image_set_element(struct mem *mem, size_t element)
{
    image_pad(mem->image, element);
    mem_resize(mem, image_tight_size(mem->image));
}

cl_image_format image_format(const struct image *image)
{
    return (cl_image_format){image->order, image->channel_type};
}

cl_image_desc image_desc(const struct mem *mem)
{
    const struct image *image = mem->image;
    const size_t *extent = image->extent;
    cl_image_desc desc = {.image_type = mem->type,
                          .image_width = extent[0],
                          .num_mip_levels = image->mip_levels,
                          .num_samples = image->samples,
                          .mem_object = (cl_mem)mem->parent};
    switch (mem->type) {
    case CL_MEM_OBJECT_IMAGE1D_ARRAY:
        desc.image_array_size = extent[1];
        break;
    case CL_MEM_OBJECT_IMAGE2D_ARRAY:
        desc.image_array_size = extent[2];
        desc.image_height = extent[1];
        break;
    case CL_MEM_OBJECT_IMAGE3D:
        desc.image_depth = extent[2];
        desc.image_height = extent[1];
        break;
    case CL_MEM_OBJECT_IMAGE2D:
        desc.image_height = extent[1];
        break;
    default:
        break;
    }
    if (image->row_pitch_given)
        desc.image_row_pitch = image->row_pitch;
    if (image->slice_pitch_given)
        desc.image_slice_pitch =
            mem->type == CL_MEM_OBJECT_IMAGE1D_ARRAY ? image->row_pitch : image->slice_pitch;
    return desc;
}

/* What a driver says that lays images out without gaps. */
static struct image_told plain_answer(const struct mem *mem)
{
    const struct image *image = mem->image;
    struct image_told told = {.row_pitch = image->extent[0] * image->element, .size = mem->size};
    if (mem->type == CL_MEM_OBJECT_IMAGE1D_ARRAY)
        told.slice_pitch = told.row_pitch;
    else if (mem->type == CL_MEM_OBJECT_IMAGE2D_ARRAY || mem->type == CL_MEM_OBJECT_IMAGE3D)
        told.slice_pitch = told.row_pitch * image->extent[1];
    return told;
}

struct image_told image_told(const struct mem *mem)
{
    return mem->image->told ? *mem->image->told : plain_answer(mem);
}

bool image_set_told(struct mem *mem, const struct image_told *told)
{
    struct image_told plain = plain_answer(mem);
    if (memcmp(told, &plain, sizeof plain) == 0)
        return true;
    mem->image->told = malloc(sizeof *told);
    if (mem->image->told)
        *mem->image->told = *told;
    return mem->image->told != NULL;
}

size_t image_tight_size(const struct image *image)
{
    return image->element * image->extent[0] * image->extent[1] * image->extent[2];
}

bool image_reaches_outside(const struct mem *mem, const size_t origin[3], const size_t region[3])
{
    for (int i = 0; i < 3; i++) {
        size_t extent = mem->image->extent[i];
        if (region[i] > extent || origin[i] > extent - region[i])
            return true;
    }
    return false;
}

cl_int image_check_region(const struct mem *mem, const size_t origin[3], const size_t region[3])
{
    bool empty = !region[0] || !region[1] || !region[2];
    return empty || image_reaches_outside(mem, origin, region) ? CL_INVALID_VALUE : CL_SUCCESS;
}

void image_empty_region(const struct mem *mem, size_t region[3])
{
    switch (mem->type) {
    case CL_MEM_OBJECT_IMAGE2D_ARRAY:
    case CL_MEM_OBJECT_IMAGE3D:
        region[2] = 0;
        break;
    case CL_MEM_OBJECT_IMAGE1D_ARRAY:
    case CL_MEM_OBJECT_IMAGE2D:
        region[1] = 0;
        break;
    default:
        region[0] = 0;
    }
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

size_t image_span(const struct mem *mem, const struct mapping *mapping)
{
    return mapping->region[0] * mem->image->element +
           (mapping->region[1] - 1) * mapping->row_pitch +
           (mapping->region[2] - 1) * mapping->slice_pitch;
}
