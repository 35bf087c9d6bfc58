/* SPDX-License-Identifier: Apache-2.0 */
/* Images and samplers. The contents lie in the device's memory with the application's pitches. */
#include "tests/driver/driver.h"

#include <string.h>

struct shape {
    size_t line; /* bytes of one row that are pixels */
    size_t rows, slices;
    size_t row_pitch, slice_pitch;
    size_t size;
};

static size_t channel_count(cl_channel_order order)
{
    switch (order) {
    case CL_RG:
    case CL_RA:
    case CL_RGx:
        return 2;
    case CL_RGB:
    case CL_RGBx:
    case CL_sRGB:
        return 3;
    case CL_RGBA:
    case CL_BGRA:
    case CL_ARGB:
    case CL_ABGR:
    case CL_sRGBx:
    case CL_sRGBA:
    case CL_sBGRA:
        return 4;
    default:
        return 1;
    }
}

static size_t element_size(const cl_image_format *format)
{
    switch (format->image_channel_data_type) {
    case CL_UNORM_SHORT_565:
    case CL_UNORM_SHORT_555:
        return 2;
    case CL_UNORM_INT_101010:
    case CL_UNORM_INT_101010_2:
        return 4;
    case CL_SNORM_INT8:
    case CL_UNORM_INT8:
    case CL_SIGNED_INT8:
    case CL_UNSIGNED_INT8:
        return channel_count(format->image_channel_order);
    case CL_SIGNED_INT32:
    case CL_UNSIGNED_INT32:
    case CL_FLOAT:
        return 4 * channel_count(format->image_channel_order);
    default:
        return 2 * channel_count(format->image_channel_order);
    }
}

static struct shape measure(const cl_image_format *format, const cl_image_desc *desc)
{
    struct shape s = {.line = desc->image_width * element_size(format), .rows = 1, .slices = 1};
    cl_mem_object_type type = desc->image_type;
    if (type == CL_MEM_OBJECT_IMAGE2D || type == CL_MEM_OBJECT_IMAGE3D ||
        type == CL_MEM_OBJECT_IMAGE2D_ARRAY)
        s.rows = desc->image_height;
    if (type == CL_MEM_OBJECT_IMAGE3D)
        s.slices = desc->image_depth;
    if (type == CL_MEM_OBJECT_IMAGE1D_ARRAY || type == CL_MEM_OBJECT_IMAGE2D_ARRAY)
        s.slices = desc->image_array_size;
    s.row_pitch = desc->image_row_pitch ? desc->image_row_pitch : s.line;
    s.slice_pitch = desc->image_slice_pitch && type != CL_MEM_OBJECT_IMAGE2D
                        ? desc->image_slice_pitch
                        : s.row_pitch * s.rows;
    s.size = s.slice_pitch * s.slices;
    return s;
}

static void copy_in(unsigned char *to, const unsigned char *from, const struct shape *s)
{
    for (size_t slice = 0; slice < s->slices; slice++)
        for (size_t row = 0; row < s->rows; row++) {
            size_t offset = slice * s->slice_pitch + row * s->row_pitch;
            memcpy(to + offset, from + offset, s->line);
        }
}

static cl_int check(cl_context context, cl_mem_flags flags, const cl_image_format *format,
                    const cl_image_desc *desc, const void *host_ptr)
{
    struct device *device = context_device(context);
    if (!device)
        return CL_INVALID_CONTEXT;
    if (device->caps.no_images)
        return CL_INVALID_OPERATION;
    if (!format)
        return CL_INVALID_IMAGE_FORMAT_DESCRIPTOR;
    if (device->caps.no_uint8 && format->image_channel_data_type == CL_UNSIGNED_INT8)
        return CL_IMAGE_FORMAT_NOT_SUPPORTED;
    /* pocl aborts at mip levels and samples. */
    if (!desc || desc->num_mip_levels || desc->num_samples)
        return CL_INVALID_IMAGE_DESCRIPTOR;
    struct shape shape = measure(format, desc);
    if (!host_ptr && !desc->buffer && (desc->image_row_pitch || desc->image_slice_pitch))
        return CL_INVALID_IMAGE_DESCRIPTOR;
    if (shape.size == 0 || shape.row_pitch < shape.line)
        return CL_INVALID_IMAGE_DESCRIPTOR;
    if (shape.size > device_size(device) / 2)
        return CL_INVALID_IMAGE_SIZE;
    return mem_check_flags(flags, host_ptr);
}

/* As drivers do whose hardware has no pixels of three bytes. */
static const cl_image_format *stored_as(const cl_image_format *format)
{
    static const cl_image_format four_channels = {CL_RGBA, CL_UNORM_INT8};
    return format->image_channel_order == CL_sRGBx &&
                   format->image_channel_data_type == CL_UNORM_INT8
               ? &four_channels
               : format;
}

static cl_mem create_image(cl_context context, const cl_mem_properties *properties,
                           cl_mem_flags flags, const cl_image_format *format,
                           const cl_image_desc *desc, void *host_ptr, cl_int *errcode_ret)
{
    static const cl_image_format plain_format = {CL_RGBA, CL_UNSIGNED_INT8};
    cl_image_desc plain_desc = desc ? *desc : (cl_image_desc){0};
    if (desc && format && extras_of(context)) {
        if (format->image_channel_data_type == EXTRA_CHANNEL_TYPE)
            format = &plain_format;
        plain_desc.num_mip_levels = 0;
        desc = &plain_desc;
    }
    cl_int err = check(context, flags, format, desc, host_ptr);
    if (err != CL_SUCCESS)
        return failed(errcode_ret, err);
    format = stored_as(format);
    if (desc->mem_object && desc->image_type == CL_MEM_OBJECT_IMAGE2D &&
        context_device(context)->caps.views)
        return view_create(context, flags, format, desc, element_size(format), errcode_ret);
    if (desc->buffer) {
        cl_mem id = pocl->clCreateImageWithProperties(context, properties, flags, format, desc,
                                                      host_ptr, errcode_ret);
        return mem_adopt_part(id, desc->buffer, flags, 0);
    }
    struct shape shape = measure(format, desc);
    struct mem *mem = mem_reserve(context, flags, shape.size, host_ptr, &err);
    if (!mem)
        return failed(errcode_ret, err);
    if (host_ptr)
        copy_in(mem_contents(mem), host_ptr, &shape);
    cl_mem id = pocl->clCreateImageWithProperties(context, properties, mem_pocl_flags(flags),
                                                  format, desc, mem_contents(mem), errcode_ret);
    return mem_adopt(mem, id);
}

cl_mem CL_API_CALL clCreateImage(cl_context context, cl_mem_flags flags,
                                 const cl_image_format *format, const cl_image_desc *desc,
                                 void *host_ptr, cl_int *errcode_ret)
{
    cl_int err = call_begin(CALL_clCreateImage, devices_of(context));
    if (err != CL_SUCCESS)
        return failed(errcode_ret, err);
    return create_image(context, NULL, flags, format, desc, host_ptr, errcode_ret);
}

cl_mem CL_API_CALL clCreateImageWithProperties(cl_context context,
                                               const cl_mem_properties *properties,
                                               cl_mem_flags flags, const cl_image_format *format,
                                               const cl_image_desc *desc, void *host_ptr,
                                               cl_int *errcode_ret)
{
    cl_int err = call_begin(CALL_clCreateImageWithProperties, devices_of(context));
    if (err != CL_SUCCESS)
        return failed(errcode_ret, err);
    return create_image(context, properties, flags, format, desc, host_ptr, errcode_ret);
}

cl_mem CL_API_CALL clCreateImage2D(cl_context context, cl_mem_flags flags,
                                   const cl_image_format *format, size_t width, size_t height,
                                   size_t row_pitch, void *host_ptr, cl_int *errcode_ret)
{
    cl_int err = call_begin(CALL_clCreateImage2D, devices_of(context));
    if (err != CL_SUCCESS)
        return failed(errcode_ret, err);
    cl_image_desc desc = {.image_type = CL_MEM_OBJECT_IMAGE2D,
                          .image_width = width,
                          .image_height = height,
                          .image_row_pitch = row_pitch};
    return create_image(context, NULL, flags, format, &desc, host_ptr, errcode_ret);
}

cl_mem CL_API_CALL clCreateImage3D(cl_context context, cl_mem_flags flags,
                                   const cl_image_format *format, size_t width, size_t height,
                                   size_t depth, size_t row_pitch, size_t slice_pitch,
                                   void *host_ptr, cl_int *errcode_ret)
{
    cl_int err = call_begin(CALL_clCreateImage3D, devices_of(context));
    if (err != CL_SUCCESS)
        return failed(errcode_ret, err);
    cl_image_desc desc = {.image_type = CL_MEM_OBJECT_IMAGE3D,
                          .image_width = width,
                          .image_height = height,
                          .image_depth = depth,
                          .image_row_pitch = row_pitch,
                          .image_slice_pitch = slice_pitch};
    return create_image(context, NULL, flags, format, &desc, host_ptr, errcode_ret);
}

QUERY(clGetImageInfo, cl_mem, cl_image_info)

cl_int CL_API_CALL clGetSupportedImageFormats(cl_context context, cl_mem_flags flags,
                                              cl_mem_object_type type, cl_uint num_entries,
                                              cl_image_format *formats, cl_uint *num_formats)
{
    cl_int err = call_begin(CALL_clGetSupportedImageFormats, devices_of(context));
    if (err != CL_SUCCESS)
        return err;
    struct device *device = context_device(context);
    if (device && device->caps.no_images) {
        if (num_formats)
            *num_formats = 0;
        return CL_SUCCESS;
    }
    err = pocl->clGetSupportedImageFormats(context, flags, type, num_entries, formats, num_formats);
    /* What the device lacks keeps its place, as a format that nobody asks for. */
    for (cl_uint i = 0; err == CL_SUCCESS && formats && device && i < num_entries; i++)
        if (device->caps.no_uint8 && formats[i].image_channel_data_type == CL_UNSIGNED_INT8)
            formats[i].image_channel_data_type = 0;
    return err;
}

CREATE(cl_sampler, clCreateSampler,
       (cl_context context, cl_bool normalized, cl_addressing_mode addressing,
        cl_filter_mode filter, cl_int *errcode_ret),
       (context, normalized, addressing, filter, errcode_ret), context)
CREATE(cl_sampler, clCreateSamplerWithProperties,
       (cl_context context, const cl_sampler_properties *properties, cl_int *errcode_ret),
       (context, properties, errcode_ret), context)
RETAIN(clRetainSampler, cl_sampler)
RELEASE(clReleaseSampler, cl_sampler)
QUERY(clGetSamplerInfo, cl_sampler, cl_sampler_info)
