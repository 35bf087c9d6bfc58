/* SPDX-License-Identifier: Apache-2.0 */
/* Memory objects. Mapped regions and the program's own memory are not here: they are its process's.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "serialize/load_kinds.h"

static bool is_image_type(cl_mem_object_type type)
{
    return type >= CL_MEM_OBJECT_IMAGE2D && type <= CL_MEM_OBJECT_IMAGE1D_BUFFER;
}

/* §5.2.3: a sub-buffer lies within a buffer that is none. */
static int check_buffer(const Shadowcl__Image__Mem *message, const struct mem *parent,
                        struct error *err)
{
    if (message->type != CL_MEM_OBJECT_BUFFER && message->type != CL_MEM_OBJECT_PIPE)
        return refuse(err, "its type 0x%x is none of a buffer", message->type);
    if (!message->size && message->type == CL_MEM_OBJECT_BUFFER)
        return refuse(err, "it has no bytes");
    if (!parent)
        return message->origin ? refuse(err, "it has an origin and no parent") : 0;
    if (parent->type != CL_MEM_OBJECT_BUFFER || parent->parent ||
        message->type != CL_MEM_OBJECT_BUFFER)
        return refuse(err, "its parent %" PRIu64 " can't have sub-buffers", message->parent);
    if (message->origin > parent->size || message->size > parent->size - message->origin)
        return refuse(err,
                      "its %" PRIu64 " bytes at %" PRIu64 " are not within the %zu of its parent",
                      message->size, message->origin, parent->size);
    return 0;
}

static void read_image(const Shadowcl__Image__Mem *message, struct image *image)
{
    const Shadowcl__Image__Image *from = message->image;
    const cl_image_format format = {from->channel_order, from->channel_type};
    const cl_image_desc desc = {.image_type = message->type,
                                .image_width = from->width,
                                .image_height = from->height,
                                .image_depth = from->depth,
                                .image_array_size = from->array_size,
                                .image_row_pitch = from->row_pitch,
                                .image_slice_pitch = from->slice_pitch,
                                .num_mip_levels = from->mip_levels,
                                .num_samples = from->samples};
    image_layout(image, &format, &desc);
    if (from->element)
        image_pad(image, from->element);
}

/* Bytes of the whole image, unless that is no number. */
static bool multiply_size(const struct image *image, uint64_t *size)
{
    *size = image->element;
    for (int i = 0; i < 3; i++)
        if (!image->extent[i] || __builtin_mul_overflow(*size, image->extent[i], size))
            return false;
    return true;
}

/* §5.3.1: what an image is made from has room for its pixels. */
static int check_view(const Shadowcl__Image__Image *message, const struct image *image,
                      const struct mem *parent, uint64_t size, struct error *err)
{
    uint64_t needed = size;
    uint64_t pitch = message->row_pitch ? message->row_pitch : message->told_row_pitch;
    if (parent->type == CL_MEM_OBJECT_BUFFER && image->extent[1] > 1 &&
        (__builtin_mul_overflow(pitch, image->extent[1] - 1, &needed) ||
         __builtin_add_overflow(needed, image->extent[0] * image->element, &needed)))
        needed = UINT64_MAX;
    if (needed > parent->size)
        return refuse(err, "it needs %" PRIu64 " bytes, and its parent has %zu", needed,
                      parent->size);
    return 0;
}

static int check_image(const Shadowcl__Image__Mem *message, const struct image *image,
                       const struct mem *parent, struct error *err)
{
    uint64_t size;
    if (!is_image_type(message->type))
        return refuse(err, "its type 0x%x is none of an image", message->type);
    if (message->origin)
        return refuse(err, "it has an origin, which images don't");
    if (!multiply_size(image, &size) || size != message->size)
        return refuse(
            err, "its %" PRIu64 " bytes are not those of %zu x %zu x %zu pixels of %u bytes",
            message->size, image->extent[0], image->extent[1], image->extent[2], image->element);
    if (message->type == CL_MEM_OBJECT_IMAGE1D_BUFFER && !parent)
        return refuse(err, "it is an image of a buffer, and names none");
    if (parent && parent->type == CL_MEM_OBJECT_PIPE)
        return refuse(err, "it is an image of a pipe");
    return parent ? check_view(message->image, image, parent, size, err) : 0;
}

static int keep_image(struct mem *mem, const Shadowcl__Image__Image *message,
                      const struct image *image, struct error *err)
{
    struct image_told told = {message->told_row_pitch, message->told_slice_pitch,
                              message->told_size};
    *mem_be_image(mem) = *image;
    return image_set_told(mem, &told) ? 0 : load_no_memory(err);
}

static int keep_properties(struct mem *mem, const Shadowcl__Image__Properties *properties,
                           struct error *err)
{
    uint64_t *words;
    if (load_properties(properties, &words, err) != 0)
        return -1;
    cl_int status = mem_keep_properties(mem, words);
    free(words);
    return status == CL_SUCCESS ? 0 : load_no_memory(err);
}

/* The same as in the shim: the driver does not get to see them. */
static const char *refusal_of(const struct mem *mem)
{
    cl_image_format format = mem->image ? image_format(mem->image) : (cl_image_format){0};
    if (mem->type == CL_MEM_OBJECT_PIPE)
        return "what is in a pipe can't be read back";
    if (mem->image && !image_element_size(&format))
        return "its image format is not one that we know";
    if (mem->image && mem->image->mip_levels > 1)
        return "the mip levels of an image are not carried";
    return NULL;
}

int load_mem(struct load *load, const Shadowcl__Image__Mem *message, void **it, struct error *err)
{
    struct mem *parent = NULL;
    struct image image;
    struct context *context = load_object_of(load, message->context, KIND_CONTEXT, "context", err);
    if (!context)
        return -1;
    if (message->parent &&
        !(parent = load_object_of(load, message->parent, KIND_MEM, "parent", err)))
        return -1;
    if (parent && parent->context != context)
        return refuse(err, "its parent %" PRIu64 " is of another context", message->parent);
    if (message->image)
        read_image(message, &image);
    if (message->image ? check_image(message, &image, parent, err) != 0
                       : check_buffer(message, parent, err) != 0)
        return -1;
    struct mem *mem = mem_create(context, parent, message->type, message->flags, message->size);
    if (!mem)
        return load_no_memory(err);
    mem->origin = message->origin;
    if ((message->image && keep_image(mem, message->image, &image, err) != 0) ||
        keep_properties(mem, message->properties, err) != 0) {
        mem_discard(mem);
        return -1;
    }
    mem->object.refusal = refusal_of(mem);
    *it = mem;
    return 0;
}
