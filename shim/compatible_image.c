/* SPDX-License-Identifier: Apache-2.0 */
/* Images on another device: see compatible_image.h. */
#include "shim/compatible_image.h"

#include <stdlib.h>

#include "shim/loader.h"
#include "state/image.h"

static size_t ask_size(struct image_target *target, cl_device_info param)
{
    size_t size = 0;
    cl_int status =
        CALL(target->driver->clGetDeviceInfo(target->device, param, sizeof size, &size, NULL));
    target->unsure |= status != CL_SUCCESS;
    return size;
}

/* §5.3.1: what limits each extent of a type of image; 0: it has no such extent. */
struct limits {
    cl_mem_object_type type;
    cl_device_info width, height, depth, layers;
};

static const struct limits all_limits[] = {
    {CL_MEM_OBJECT_IMAGE1D, CL_DEVICE_IMAGE2D_MAX_WIDTH, 0, 0, 0},
    {CL_MEM_OBJECT_IMAGE1D_BUFFER, CL_DEVICE_IMAGE_MAX_BUFFER_SIZE, 0, 0, 0},
    {CL_MEM_OBJECT_IMAGE1D_ARRAY, CL_DEVICE_IMAGE2D_MAX_WIDTH, 0, 0,
     CL_DEVICE_IMAGE_MAX_ARRAY_SIZE},
    {CL_MEM_OBJECT_IMAGE2D, CL_DEVICE_IMAGE2D_MAX_WIDTH, CL_DEVICE_IMAGE2D_MAX_HEIGHT, 0, 0},
    {CL_MEM_OBJECT_IMAGE2D_ARRAY, CL_DEVICE_IMAGE2D_MAX_WIDTH, CL_DEVICE_IMAGE2D_MAX_HEIGHT, 0,
     CL_DEVICE_IMAGE_MAX_ARRAY_SIZE},
    {CL_MEM_OBJECT_IMAGE3D, CL_DEVICE_IMAGE3D_MAX_WIDTH, CL_DEVICE_IMAGE3D_MAX_HEIGHT,
     CL_DEVICE_IMAGE3D_MAX_DEPTH, 0},
};

static int check_extent(struct image_target *target, const char *what, size_t extent,
                        cl_device_info limit, struct error *err)
{
    size_t most = limit ? ask_size(target, limit) : 0;
    if (!limit || extent <= most)
        return 0;
    return error_set(err, 0, "its %s of %zu is more than the %zu there", what, extent, most);
}

static int check_extents(struct image_target *target, const struct mem *mem, struct error *err)
{
    cl_image_desc desc = image_desc(mem);
    for (size_t i = 0; i < sizeof all_limits / sizeof *all_limits; i++) {
        const struct limits *limits = &all_limits[i];
        if (limits->type != mem->type)
            continue;
        if (check_extent(target, "width", desc.image_width, limits->width, err) != 0 ||
            check_extent(target, "height", desc.image_height, limits->height, err) != 0 ||
            check_extent(target, "depth", desc.image_depth, limits->depth, err) != 0 ||
            check_extent(target, "array size", desc.image_array_size, limits->layers, err) != 0)
            return -1;
    }
    return 0;
}

/* Given back even where the thread is left in the midst of it all. */
struct asked_context {
    struct leftover leftover;
    const struct driver *driver;
    cl_context context;
};

/* In a call in which it may open its device, and in which the thread may be left. */
static const struct driver *opening;

static void give_back(struct leftover *leftover)
{
    struct asked_context *asked = (struct asked_context *)leftover;
    cl_context context = asked->context;
    asked->context = NULL;
    if (context)
        CALL_RELEASE(asked->driver, clReleaseContext, context);
    phase_gave(leftover);
    free(asked);
}

void image_target_leave(void *unused, struct leftover **leftovers)
{
    if (opening)
        loader_watched(opening, true);
    opening = NULL;
}

static bool open_context(struct image_target *target, struct error *err)
{
    cl_int status = CL_OUT_OF_HOST_MEMORY;
    if (target->asked)
        return true;
    struct asked_context *asked = calloc(1, sizeof *asked);
    if (asked) {
        *asked = (struct asked_context){.leftover.give_back = give_back, .driver = target->driver};
        phase_keeps(&asked->leftover);
        bool watching = loader_watch();
        opening = watching && phase_self && phase_self->leaves ? target->driver : NULL;
        CALL(asked->context =
                 target->driver->clCreateContext(NULL, 1, &target->device, NULL, NULL, &status));
        opening = NULL;
        loader_watched(target->driver, watching);
    }
    if (asked && status == CL_SUCCESS && asked->context) {
        target->asked = asked;
        return true;
    }
    if (asked)
        give_back(&asked->leftover);
    target->unsure = true;
    error_set(err, 0, "no context to ask for image formats can be made there (%d)", status);
    return false;
}

/* How a kernel may use it, as clGetSupportedImageFormats takes it. */
static cl_mem_flags use_of(const struct mem *mem)
{
    cl_mem_flags use = mem->flags & (CL_MEM_READ_WRITE | CL_MEM_WRITE_ONLY | CL_MEM_READ_ONLY |
                                     CL_MEM_KERNEL_READ_AND_WRITE);
    return use ? use : CL_MEM_READ_WRITE;
}

static int check_format(struct image_target *target, const struct mem *mem, struct error *err)
{
    cl_image_format wanted = image_format(mem->image);
    const struct driver *driver = target->driver;
    cl_uint count = 0;
    cl_context context = target->asked->context;
    cl_int status =
        CALL(driver->clGetSupportedImageFormats(context, use_of(mem), mem->type, 0, NULL, &count));
    cl_image_format *formats = calloc(count + 1, sizeof *formats);
    target->unsure |= !formats;
    if (!formats)
        return error_set(err, 0, "no memory for the list of image formats");
    if (status == CL_SUCCESS && count)
        status = CALL(driver->clGetSupportedImageFormats(context, use_of(mem), mem->type, count,
                                                         formats, NULL));
    target->unsure |= status != CL_SUCCESS;
    if (status != CL_SUCCESS)
        count = 0;
    bool found = false;
    for (cl_uint i = 0; i < count && !found; i++)
        found = formats[i].image_channel_order == wanted.image_channel_order &&
                formats[i].image_channel_data_type == wanted.image_channel_data_type;
    free(formats);
    if (found)
        return 0;
    return error_set(err, 0,
                     "its format (order 0x%x, type 0x%x) is not there for images of its sort",
                     wanted.image_channel_order, wanted.image_channel_data_type);
}

int image_target_check(struct image_target *target, const struct mem *mem, struct error *err)
{
    if (check_extents(target, mem, err) != 0 || !open_context(target, err))
        return -1;
    return check_format(target, mem, err);
}

void image_target_finish(struct image_target *target)
{
    if (target->asked)
        give_back(&target->asked->leftover);
    target->asked = NULL;
}
