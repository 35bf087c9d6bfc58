/* SPDX-License-Identifier: Apache-2.0 */
/* Planes that lie over a buffer or another image (§5.3.1.2), which pocl has not, with the cap
 * `views`: pocl gets an image of its own over the very same bytes. It keeps the other one, as it
 * must. */
#include "tests/driver/driver.h"
#include "tests/driver/landing.h"

/* Of a part of a buffer, too; NULL for what has none of its own, such as another view. */
static unsigned char *contents_of(cl_mem id)
{
    cl_mem whole = NULL;
    const struct mem *mem = mem_find(id), *owner = mem;
    if (mem && !mem->device) {
        pocl->clGetMemObjectInfo(id, CL_MEM_ASSOCIATED_MEMOBJECT, sizeof whole, &whole, NULL);
        owner = whole ? mem_find(whole) : NULL;
    }
    return owner && owner->device ? mem_contents(owner) + mem->origin : NULL;
}

static size_t pitch_over(cl_mem id, const cl_image_desc *desc, size_t element)
{
    size_t pitch = desc->image_row_pitch;
    cl_mem_object_type type = 0;
    pocl->clGetMemObjectInfo(id, CL_MEM_TYPE, sizeof type, &type, NULL);
    if (!pitch && type != CL_MEM_OBJECT_BUFFER)
        pocl->clGetImageInfo(id, CL_IMAGE_ROW_PITCH, sizeof pitch, &pitch, NULL);
    size_t width = (desc->image_width + VIEW_ALIGNMENT - 1) / VIEW_ALIGNMENT * VIEW_ALIGNMENT;
    return pitch ? pitch : width * element;
}

static void release(void *over)
{
    pocl->clReleaseMemObject(over);
}

cl_mem view_create(cl_context context, cl_mem_flags flags, const cl_image_format *format,
                   const cl_image_desc *desc, size_t element, cl_int *errcode_ret)
{
    cl_mem over = desc->mem_object;
    unsigned char *contents = contents_of(over);
    struct landing *landing = contents ? landing_make(&dispatch, release, over) : NULL;
    if (!landing)
        return failed(errcode_ret, CL_INVALID_IMAGE_DESCRIPTOR);
    cl_image_format linear = *format; /* pocl knows no other; bytes are bytes */
    if (linear.image_channel_order == CL_sRGBA)
        linear.image_channel_order = CL_RGBA;
    cl_image_desc own = *desc;
    own.mem_object = NULL;
    own.image_row_pitch = pitch_over(over, desc, element);
    cl_mem id =
        pocl->clCreateImage(context, mem_pocl_flags(flags), &linear, &own, contents, errcode_ret);
    if (!id) {
        landing_cancel(landing);
        return NULL;
    }
    pocl->clRetainMemObject(over);
    pocl->clSetMemObjectDestructorCallback(id, landing_mem, landing);
    return mem_adopt_part(id, over, flags, 0);
}
