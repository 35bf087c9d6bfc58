/* SPDX-License-Identifier: Apache-2.0 */
/* Images through a suspend: made again from their descriptor, read and written whole and without
 * gaps. Images made from another memory object have no contents of their own. */
#include "state/image.h"

#include <string.h>

#include "shim/phase.h"
#include "state/copier.h"
#include "state/writable.h"

/* The descriptor as the driver is to see it. */
static cl_image_desc real_desc(const struct mem *mem, const cl_image_desc *told, bool has_data)
{
    cl_image_desc desc = *told;
    desc.mem_object = mem_real(mem->parent);
    if (!mem->parent && !has_data) {
        /* §5.3.1.2: pitches are those of host memory. */
        desc.image_row_pitch = 0;
        desc.image_slice_pitch = 0;
    }
    return desc;
}

cl_int image_make(struct mem *mem, const cl_image_format *format, const cl_image_desc *told_desc,
                  const void *host_data)
{
    const struct driver *driver = mem->object.driver;
    cl_context context = context_real(mem->context);
    const cl_mem_properties *properties = mem_properties(mem);
    cl_image_desc desc = real_desc(mem, told_desc, host_data != NULL);
    cl_mem_flags flags = mem_real_flags(mem) | (host_data ? CL_MEM_COPY_HOST_PTR : 0);
    cl_int status = CL_SUCCESS;
    if (properties && driver->clCreateImageWithProperties)
        mem->object.real = driver->clCreateImageWithProperties(context, properties, flags, format,
                                                               &desc, (void *)host_data, &status);
    else
        mem->object.real =
            driver->clCreateImage(context, flags, format, &desc, (void *)host_data, &status);
    if (status != CL_SUCCESS)
        mem->object.real = NULL;
    return status;
}

size_t image_real_element(const struct mem *mem)
{
    size_t element = 0;
    cl_int status = mem->object.driver->clGetImageInfo(mem_real(mem), CL_IMAGE_ELEMENT_SIZE,
                                                       sizeof element, &element, NULL);
    return status == CL_SUCCESS && element ? element : mem->image->element;
}

cl_int image_rebuild(struct mem *mem)
{
    cl_image_format format = image_format(mem->image);
    cl_image_desc desc = image_desc(mem);
    /* Another driver may round up otherwise, and the parent's bytes mean other pixels then. */
    if (mem->type == CL_MEM_OBJECT_IMAGE2D && mem->parent &&
        mem->parent->type == CL_MEM_OBJECT_BUFFER && !desc.image_row_pitch)
        desc.image_row_pitch = image_told(mem).row_pitch;
    cl_int status = image_make(mem, &format, &desc, NULL);
    /* The contents are of pixels of another size then. */
    if (status == CL_SUCCESS && image_real_element(mem) != mem->image->element)
        status = CL_IMAGE_FORMAT_NOT_SUPPORTED;
    return status;
}

cl_int image_capture(struct mem *mem)
{
    return CALL(mem->object.driver->clEnqueueReadImage(
        mem->context->copier, mem_real(mem), CL_FALSE, (const size_t[3]){0, 0, 0},
        mem->image->extent, 0, 0, mem->contents, 0, NULL, context_copy(mem->context, mem->size)));
}

/* Has the program mapped this pixel? Up to *end it is so with the rest of the row. */
static bool is_mapped(const struct mem *mem, const size_t at[3], size_t *end)
{
    *end = mem->image->extent[0];
    for (const struct mapping *m = mem->mappings; m; m = m->next) {
        if (at[1] < m->origin[1] || at[1] >= m->origin[1] + m->region[1] || at[2] < m->origin[2] ||
            at[2] >= m->origin[2] + m->region[2])
            continue;
        if (at[0] >= m->origin[0] && at[0] < m->origin[0] + m->region[0]) {
            *end = m->origin[0] + m->region[0];
            return true;
        }
        if (at[0] < m->origin[0] && m->origin[0] < *end)
            *end = m->origin[0];
    }
    return false;
}

static void land_row(const struct mem *mem, size_t y, size_t z, char *to, const char *from)
{
    size_t element = mem->image->element, end;
    for (size_t at[3] = {0, y, z}; at[0] < mem->image->extent[0]; at[0] = end)
        if (!is_mapped(mem, at, &end))
            memcpy(to + at[0] * element, from + at[0] * element, (end - at[0]) * element);
}

/* Not where the program has that memory mapped, which makes it its own to write, or can't write
 * there itself. */
void image_land(struct mem *mem)
{
    const size_t *extent = mem->image->extent;
    const char *from = mem->contents;
    size_t row = extent[0] * mem->image->element;
    struct mapping whole = {.region = {extent[0], extent[1], extent[2]}};
    image_place_mapping(mem, &whole);
    if (!writable(whole.pointer, image_span(mem, &whole)))
        return;
    for (size_t z = 0; z < extent[2]; z++)
        for (size_t y = 0; y < extent[1]; y++, from += row)
            land_row(mem, y, z, whole.pointer + y * whole.row_pitch + z * whole.slice_pitch, from);
}

cl_int image_upload(struct mem *mem, cl_command_queue queue, cl_event *event)
{
    return mem->object.driver->clEnqueueWriteImage(queue, mem_real(mem), CL_FALSE,
                                                   (const size_t[3]){0, 0, 0}, mem->image->extent,
                                                   0, 0, mem->contents, 0, NULL, event);
}
