/* SPDX-License-Identifier: Apache-2.0 */
/* OpenCL 3.0 §5.3: images made, their formats, and what they answer. A real image never lies over
 * the application's memory: it begins as a copy of it, and mapping brings the contents back. */
#include <stdlib.h>
#include <string.h>

#include "shim/export.h"
#include "shim/gate.h"
#include "state/image.h"

#define FLAGS_ACCESS (CL_MEM_READ_WRITE | CL_MEM_READ_ONLY | CL_MEM_WRITE_ONLY)
#define FLAGS_POINTER (CL_MEM_USE_HOST_PTR | CL_MEM_ALLOC_HOST_PTR | CL_MEM_COPY_HOST_PTR)
#define FLAGS_HOST (CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_WRITE_ONLY | CL_MEM_HOST_NO_ACCESS)

/* How an image was asked for. */
struct request {
    struct context *context;
    const cl_mem_properties *properties;
    cl_mem_flags flags;
    const cl_image_format *format;
    const cl_image_desc *desc;
    void *host_ptr;
};

/* What the driver never gets to see it can't check. */
static cl_int check_flags(const struct request *request, const struct mem *parent)
{
    cl_mem_flags flags = request->flags, host = flags & FLAGS_HOST;
    if (host & (host - 1))
        return CL_INVALID_VALUE;
    if ((flags & CL_MEM_USE_HOST_PTR) && (flags & (FLAGS_POINTER & ~CL_MEM_USE_HOST_PTR)))
        return CL_INVALID_VALUE;
    bool wanted = flags & (CL_MEM_USE_HOST_PTR | CL_MEM_COPY_HOST_PTR);
    if (!parent)
        return wanted == (request->host_ptr != NULL) ? CL_SUCCESS : CL_INVALID_HOST_PTR;
    if (flags & FLAGS_POINTER)
        return CL_INVALID_VALUE;
    if (request->host_ptr)
        return CL_INVALID_HOST_PTR;
    /* Table 5.10: a view can't allow the host more than what it is a view of. */
    cl_mem_flags had = parent->flags & FLAGS_HOST;
    return had && host && had != host && host != CL_MEM_HOST_NO_ACCESS ? CL_INVALID_VALUE
                                                                       : CL_SUCCESS;
}

/* §5.3.1.2: a line lies over a buffer, a plane may lie over a buffer or an image, the others over
 * nothing. Drivers look at this too late (pocl), or make an image of an image. */
static bool may_lie_over(cl_mem_object_type type, const struct mem *parent)
{
    if (type == CL_MEM_OBJECT_IMAGE1D_BUFFER)
        return parent && parent->type == CL_MEM_OBJECT_BUFFER;
    return !parent || type == CL_MEM_OBJECT_IMAGE2D;
}

static cl_int check_request(const struct request *request, struct mem **parent)
{
    if (!request->format)
        return CL_INVALID_IMAGE_FORMAT_DESCRIPTOR;
    if (!request->desc)
        return CL_INVALID_IMAGE_DESCRIPTOR;
    *parent = NULL;
    if (request->desc->mem_object) {
        *parent = mem_check(request->desc->mem_object);
        if (!*parent)
            return CL_INVALID_IMAGE_DESCRIPTOR;
        if ((*parent)->context != request->context)
            return CL_INVALID_CONTEXT;
    }
    if (!may_lie_over(request->desc->image_type, *parent))
        return CL_INVALID_IMAGE_DESCRIPTOR;
    return check_flags(request, *parent);
}

/* Table 5.10: what is not said is as the parent has it, else read and write. */
static cl_mem_flags told_flags(const struct request *request, const struct mem *parent)
{
    cl_mem_flags flags = request->flags;
    if (!(flags & FLAGS_ACCESS) && !(flags & CL_MEM_KERNEL_READ_AND_WRITE))
        flags |= parent ? parent->flags & FLAGS_ACCESS : flags ? 0 : CL_MEM_READ_WRITE;
    if (parent && !(flags & FLAGS_HOST))
        flags |= parent->flags & FLAGS_HOST;
    return flags | (parent ? parent->flags & FLAGS_POINTER : 0);
}

/* The shadow alone, complete but for the real image. NULL without memory. */
static struct mem *make_shadow(const struct request *request, struct mem *parent)
{
    struct image image;
    image_layout(&image, request->format, request->desc);
    struct mem *mem = mem_create(request->context, parent, request->desc->image_type,
                                 told_flags(request, parent), image_tight_size(&image));
    if (!mem)
        return NULL;
    *mem_be_image(mem) = image;
    if (request->flags & CL_MEM_USE_HOST_PTR)
        mem->host_ptr = request->host_ptr;
    if (mem_keep_properties(mem, request->properties) != CL_SUCCESS) {
        mem_discard(mem);
        return NULL;
    }
    if (!image.element) /* a driver's word on its size does not say how it lies in memory */
        mem->object.refusal = "its image format is not one that we know";
    if (request->desc->num_mip_levels > 1)
        mem->object.refusal = "the mip levels of an image are not carried";
    return mem;
}

static cl_int ask_driver(struct mem *mem)
{
    const struct driver *driver = mem->object.driver;
    cl_mem real = mem_real(mem);
    size_t element = image_real_element(mem);
    if (element != mem->image->element)
        image_set_element(mem, element);
    struct image_told told = {.row_pitch = mem->image->extent[0] * mem->image->element,
                              .size = mem->size};
    driver->clGetImageInfo(real, CL_IMAGE_ROW_PITCH, sizeof(size_t), &told.row_pitch, NULL);
    driver->clGetImageInfo(real, CL_IMAGE_SLICE_PITCH, sizeof(size_t), &told.slice_pitch, NULL);
    driver->clGetMemObjectInfo(real, CL_MEM_SIZE, sizeof(size_t), &told.size, NULL);
    if (image_set_told(mem, &told))
        return CL_SUCCESS;
    RELEASE(driver, clReleaseMemObject, real);
    mem->object.real = NULL;
    return CL_OUT_OF_HOST_MEMORY;
}

static cl_mem create_image(const struct request *request, cl_int *errcode_ret)
{
    struct mem *mem = NULL, *parent = NULL;
    cl_int status = request->context ? check_request(request, &parent) : CL_INVALID_CONTEXT;
    if (status == CL_SUCCESS) {
        mem = make_shadow(request, parent);
        status = mem ? image_make(mem, request->format, request->desc, request->host_ptr)
                     : CL_OUT_OF_HOST_MEMORY;
    }
    if (status == CL_SUCCESS)
        status = ask_driver(mem);
    if (status == CL_SUCCESS) {
        object_publish(mem);
    } else {
        mem_discard(mem);
        mem = NULL;
    }
    if (errcode_ret)
        *errcode_ret = status;
    return (cl_mem)mem;
}

EXPORT cl_mem CL_API_CALL clCreateImage(cl_context context, cl_mem_flags flags,
                                        const cl_image_format *image_format,
                                        const cl_image_desc *image_desc, void *host_ptr,
                                        cl_int *errcode_ret)
{
    GATE(clCreateImage);
    struct request request = {context_check(context), NULL,       flags,
                              image_format,           image_desc, host_ptr};
    return create_image(&request, errcode_ret);
}

EXPORT cl_mem CL_API_CALL clCreateImageWithProperties(cl_context context,
                                                      const cl_mem_properties *properties,
                                                      cl_mem_flags flags,
                                                      const cl_image_format *image_format,
                                                      const cl_image_desc *image_desc,
                                                      void *host_ptr, cl_int *errcode_ret)
{
    GATE(clCreateImageWithProperties);
    struct request request = {context_check(context), properties, flags,
                              image_format,           image_desc, host_ptr};
    bool is_absent =
        request.context && !request.context->object.driver->clCreateImageWithProperties;
    /* As of buffers: none that an image can have is carried. */
    bool is_given = properties && properties[0];
    if (!is_absent && !is_given)
        return create_image(&request, errcode_ret);
    if (errcode_ret)
        *errcode_ret = is_absent ? CL_INVALID_OPERATION : CL_INVALID_PROPERTY;
    return NULL;
}

/* The calls of OpenCL 1.0 say CL_INVALID_IMAGE_SIZE where clCreateImage has the descriptor in mind.
 */
static cl_mem create_as_in_1_0(const struct request *request, cl_int *errcode_ret)
{
    cl_int status;
    cl_mem image = create_image(request, &status);
    if (errcode_ret)
        *errcode_ret = status == CL_INVALID_IMAGE_DESCRIPTOR ? CL_INVALID_IMAGE_SIZE : status;
    return image;
}

EXPORT cl_mem CL_API_CALL clCreateImage2D(cl_context context, cl_mem_flags flags,
                                          const cl_image_format *image_format, size_t image_width,
                                          size_t image_height, size_t image_row_pitch,
                                          void *host_ptr, cl_int *errcode_ret)
{
    GATE(clCreateImage2D);
    cl_image_desc desc = {.image_type = CL_MEM_OBJECT_IMAGE2D,
                          .image_width = image_width,
                          .image_height = image_height,
                          .image_row_pitch = image_row_pitch};
    struct request request = {context_check(context), NULL, flags, image_format, &desc, host_ptr};
    return create_as_in_1_0(&request, errcode_ret);
}

EXPORT cl_mem CL_API_CALL clCreateImage3D(cl_context context, cl_mem_flags flags,
                                          const cl_image_format *image_format, size_t image_width,
                                          size_t image_height, size_t image_depth,
                                          size_t image_row_pitch, size_t image_slice_pitch,
                                          void *host_ptr, cl_int *errcode_ret)
{
    GATE(clCreateImage3D);
    cl_image_desc desc = {.image_type = CL_MEM_OBJECT_IMAGE3D,
                          .image_width = image_width,
                          .image_height = image_height,
                          .image_depth = image_depth,
                          .image_row_pitch = image_row_pitch,
                          .image_slice_pitch = image_slice_pitch};
    struct request request = {context_check(context), NULL, flags, image_format, &desc, host_ptr};
    return create_as_in_1_0(&request, errcode_ret);
}

/* Asks the driver and remembers: the answer stays, on whichever device the program goes on. NULL:
 * *status says why. */
static const struct info_entry *ask_formats(struct context *context, cl_mem_flags flags,
                                            cl_mem_object_type type, cl_uint key, cl_int *status)
{
    GATE(clGetSupportedImageFormats);
    const struct driver *driver = context->object.driver;
    cl_context real = context_real(context);
    cl_uint count = 0;
    *status = driver->clGetSupportedImageFormats(real, flags, type, 0, NULL, &count);
    if (*status != CL_SUCCESS)
        return NULL;
    cl_image_format *formats = calloc(count + 1, sizeof *formats);
    const struct info_entry *entry = NULL;
    if (formats && count)
        *status = driver->clGetSupportedImageFormats(real, flags, type, count, formats, NULL);
    if (formats && *status == CL_SUCCESS)
        entry = info_cache_add(&context->formats, key, formats, count * sizeof *formats);
    if (!entry && *status == CL_SUCCESS)
        *status = CL_OUT_OF_HOST_MEMORY;
    free(formats);
    return entry;
}

EXPORT cl_int CL_API_CALL clGetSupportedImageFormats(cl_context context, cl_mem_flags flags,
                                                     cl_mem_object_type image_type,
                                                     cl_uint num_entries,
                                                     cl_image_format *image_formats,
                                                     cl_uint *num_image_formats)
{
    struct context *owner = context_check(context);
    if (!owner)
        return CL_INVALID_CONTEXT;
    if (!num_entries && image_formats)
        return CL_INVALID_VALUE;
    if (flags >> 28 || image_type < CL_MEM_OBJECT_BUFFER || image_type > CL_MEM_OBJECT_PIPE)
        return CL_INVALID_VALUE;
    cl_uint key = (cl_uint)(flags << 4) | (image_type & 0xf);
    cl_int status = CL_SUCCESS;
    const struct info_entry *entry = info_cache_find(&owner->formats, key);
    if (!entry)
        entry = ask_formats(owner, flags, image_type, key, &status);
    if (!entry)
        return status;
    cl_uint count = (cl_uint)(entry->size / sizeof *image_formats);
    if (image_formats)
        memcpy(image_formats, entry->bytes,
               (count < num_entries ? count : num_entries) * sizeof *image_formats);
    if (num_image_formats)
        *num_image_formats = count;
    return CL_SUCCESS;
}

/* §5.3.7: sizes that a type does not have are 0. */
EXPORT cl_int CL_API_CALL clGetImageInfo(cl_mem handle, cl_image_info param_name,
                                         size_t param_value_size, void *param_value,
                                         size_t *param_value_size_ret)
{
    struct mem *mem = image_check(handle);
    if (!mem)
        return CL_INVALID_MEM_OBJECT;
    struct answer to = {param_value_size, param_value, param_value_size_ret};
    cl_image_desc desc = image_desc(mem);
    switch (param_name) {
    case CL_IMAGE_FORMAT:
        return info_value(to, image_format(mem->image));
    case CL_IMAGE_ELEMENT_SIZE:
        return info_value(to, (size_t)mem->image->element);
    case CL_IMAGE_ROW_PITCH:
        return info_value(to, image_told(mem).row_pitch);
    case CL_IMAGE_SLICE_PITCH:
        return info_value(to, image_told(mem).slice_pitch);
    case CL_IMAGE_WIDTH:
        return info_value(to, desc.image_width);
    case CL_IMAGE_HEIGHT:
        return info_value(to, desc.image_height);
    case CL_IMAGE_DEPTH:
        return info_value(to, desc.image_depth);
    case CL_IMAGE_ARRAY_SIZE:
        return info_value(to, desc.image_array_size);
    case CL_IMAGE_BUFFER:
        return info_value(to, mem->parent && !mem->parent->image ? (cl_mem)mem->parent : NULL);
    case CL_IMAGE_NUM_MIP_LEVELS:
        return info_value(to, desc.num_mip_levels);
    case CL_IMAGE_NUM_SAMPLES:
        return info_value(to, desc.num_samples);
    default:
        return CL_INVALID_VALUE;
    }
}
