/* SPDX-License-Identifier: Apache-2.0 */
/* OpenCL 3.0 §5.3.3 to §5.3.5: images read, written, copied and filled, and copies between images
 * and buffers. Regions are checked here only for commands that are held back: else the driver does.
 */
#include <string.h>

#include "shim/ask.h"
#include "shim/enqueue.h"
#include "shim/export.h"
#include "state/image.h"

/* Where in an image, or how large: the application's three numbers. */
struct triple {
    size_t at[3];
    bool missing; /* the application gave NULL */
};

static struct triple triple(const size_t *from)
{
    struct triple to = {.missing = !from};
    if (from)
        memcpy(to.at, from, sizeof to.at);
    return to;
}

/* Arguments hold the application's handles until `check` has made sure of them: handle and shadow
 * object are the same pointer. */
static cl_int check_image(const struct queue *queue, const struct mem *image)
{
    if (!image_check((cl_mem)image))
        return CL_INVALID_MEM_OBJECT;
    return image->context == queue->context ? CL_SUCCESS : CL_INVALID_CONTEXT;
}

static cl_int check_buffer(const struct queue *queue, const struct mem *buffer)
{
    if (!buffer_check((cl_mem)buffer))
        return CL_INVALID_MEM_OBJECT;
    return buffer->context == queue->context ? CL_SUCCESS : CL_INVALID_CONTEXT;
}

/* Reads and writes. */
struct transfer {
    struct mem *image;
    struct triple origin, region;
    size_t row_pitch, slice_pitch;
    void *pointer; /* the application's; stays its own until the command has ended */
};

static cl_int check_transfer(struct queue *queue, const struct transfer *args, cl_mem_flags barred)
{
    cl_int err = check_image(queue, args->image);
    if (err != CL_SUCCESS)
        return err;
    if (args->origin.missing || args->region.missing || !args->pointer)
        return CL_INVALID_VALUE;
    return args->image->flags & barred ? CL_INVALID_OPERATION : CL_SUCCESS;
}

static cl_int check_read(struct queue *queue, void *args)
{
    return check_transfer(queue, args, CL_MEM_HOST_WRITE_ONLY | CL_MEM_HOST_NO_ACCESS);
}

static cl_int check_write(struct queue *queue, void *args)
{
    return check_transfer(queue, args, CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_NO_ACCESS);
}

static cl_int issue_read(const struct issue *to, void *data)
{
    const struct transfer *args = data;
    return to->driver->clEnqueueReadImage(
        to->real, mem_real(args->image), to->blocking, args->origin.at, args->region.at,
        args->row_pitch, args->slice_pitch, args->pointer, to->num_waits, to->waits, to->event);
}

static cl_int issue_write(const struct issue *to, void *data)
{
    const struct transfer *args = data;
    return to->driver->clEnqueueWriteImage(
        to->real, mem_real(args->image), to->blocking, args->origin.at, args->region.at,
        args->row_pitch, args->slice_pitch, args->pointer, to->num_waits, to->waits, to->event);
}

/* Nothing at all, and pitches that mean nothing, are against the specification, and drivers take
 * them: this one is asked by the same command on nothing. */
static cl_int ask_transfer(struct queue *queue, const struct transfer *args, ask_command *issue)
{
    struct transfer nothing = *args;
    const size_t *origin = args->origin.at, *region = args->region.at;
    if (image_reaches_outside(args->image, origin, region))
        return CL_INVALID_VALUE;
    cl_int err = image_check_region(args->image, origin, region);
    if (err == CL_SUCCESS) {
        err = image_check_pitches(args->image, region, args->row_pitch, args->slice_pitch);
        image_empty_region(args->image, nothing.region.at);
    }
    return err == CL_SUCCESS ? CL_SUCCESS : ask_empty(queue, issue, &nothing);
}

static cl_int ask_read(struct queue *queue, void *args)
{
    return ask_transfer(queue, args, issue_read);
}

static cl_int ask_write(struct queue *queue, void *args)
{
    return ask_transfer(queue, args, issue_write);
}

static cl_int keep_transfer(struct queue *queue, void *args)
{
    object_hold(((struct transfer *)args)->image);
    return CL_SUCCESS;
}

static void drop_transfer(void *data)
{
    object_drop(((struct transfer *)data)->image);
}

static cl_int transfer_needs(const struct issue *to, const void *args)
{
    return lazy_need(((const struct transfer *)args)->image);
}

static const struct command_type read_image = {"clEnqueueReadImage",
                                               CL_COMMAND_READ_IMAGE,
                                               0,
                                               sizeof(struct transfer),
                                               check_read,
                                               issue_read,
                                               keep_transfer,
                                               drop_transfer,
                                               NULL,
                                               transfer_needs,
                                               ask_read};

static void wrote_image(const struct issue *to, const void *args)
{
    mem_wrote(((const struct transfer *)args)->image);
}

static const struct command_type write_image = {"clEnqueueWriteImage",
                                                CL_COMMAND_WRITE_IMAGE,
                                                0,
                                                sizeof(struct transfer),
                                                check_write,
                                                issue_write,
                                                keep_transfer,
                                                drop_transfer,
                                                wrote_image,
                                                transfer_needs,
                                                ask_write};

EXPORT cl_int CL_API_CALL clEnqueueReadImage(cl_command_queue command_queue, cl_mem image,
                                             cl_bool blocking_read, const size_t *origin,
                                             const size_t *region, size_t row_pitch,
                                             size_t slice_pitch, void *ptr,
                                             cl_uint num_events_in_wait_list,
                                             const cl_event *event_wait_list, cl_event *event)
{
    struct transfer args = {(struct mem *)image, triple(origin), triple(region),
                            row_pitch,           slice_pitch,    ptr};
    return enqueue(command_queue, &read_image, &args, blocking_read, num_events_in_wait_list,
                   event_wait_list, event);
}

EXPORT cl_int CL_API_CALL clEnqueueWriteImage(cl_command_queue command_queue, cl_mem image,
                                              cl_bool blocking_write, const size_t *origin,
                                              const size_t *region, size_t input_row_pitch,
                                              size_t input_slice_pitch, const void *ptr,
                                              cl_uint num_events_in_wait_list,
                                              const cl_event *event_wait_list, cl_event *event)
{
    struct transfer args = {(struct mem *)image, triple(origin),    triple(region),
                            input_row_pitch,     input_slice_pitch, (void *)ptr};
    return enqueue(command_queue, &write_image, &args, blocking_write, num_events_in_wait_list,
                   event_wait_list, event);
}

struct image_copy {
    struct mem *source, *target;
    struct triple source_origin, target_origin, region;
};

static cl_int check_copy_image(struct queue *queue, void *data)
{
    const struct image_copy *args = data;
    cl_int err = check_image(queue, args->source);
    if (err == CL_SUCCESS)
        err = check_image(queue, args->target);
    if (err != CL_SUCCESS)
        return err;
    bool missing =
        args->source_origin.missing || args->target_origin.missing || args->region.missing;
    return missing ? CL_INVALID_VALUE : CL_SUCCESS;
}

static cl_int issue_copy_image(const struct issue *to, void *data)
{
    const struct image_copy *args = data;
    return to->driver->clEnqueueCopyImage(to->real, mem_real(args->source), mem_real(args->target),
                                          args->source_origin.at, args->target_origin.at,
                                          args->region.at, to->num_waits, to->waits, to->event);
}

static bool overlap(const struct image_copy *args)
{
    for (int i = 0; i < 3; i++) {
        size_t a = args->source_origin.at[i], b = args->target_origin.at[i];
        if ((a > b ? a - b : b - a) >= args->region.at[i])
            return false;
    }
    return true;
}

static cl_int ask_copy_of_nothing(struct queue *queue, const struct image_copy *args)
{
    struct image_copy nothing = {args->source, args->target, .region.at = {0, 1, 1}};
    return ask_empty(queue, issue_copy_image, &nothing);
}

static bool is_over_buffer(const struct mem *mem)
{
    return mem->type == CL_MEM_OBJECT_IMAGE1D_BUFFER;
}

/* pocl takes no image over a buffer there, and says so before it looks at the region. */
static cl_int ask_copy_image(struct queue *queue, void *data)
{
    const struct image_copy *args = data;
    const struct image *a = args->source->image, *b = args->target->image;
    const size_t *region = args->region.at;
    cl_int err = CL_SUCCESS;
    if (is_over_buffer(args->source) || is_over_buffer(args->target))
        err = ask_copy_of_nothing(queue, args);
    if (err != CL_SUCCESS && err != CL_INVALID_VALUE)
        return err;
    if (a->order != b->order || a->channel_type != b->channel_type)
        return CL_IMAGE_FORMAT_MISMATCH;
    if (image_reaches_outside(args->source, args->source_origin.at, region) ||
        image_reaches_outside(args->target, args->target_origin.at, region))
        return CL_INVALID_VALUE;
    if (image_check_region(args->source, args->source_origin.at, region) != CL_SUCCESS)
        return ask_empty(queue, issue_copy_image, data);
    return args->source == args->target && overlap(args) ? CL_MEM_COPY_OVERLAP : CL_SUCCESS;
}

static cl_int keep_copy_image(struct queue *queue, void *data)
{
    object_hold(((struct image_copy *)data)->source);
    object_hold(((struct image_copy *)data)->target);
    return CL_SUCCESS;
}

static void drop_copy_image(void *data)
{
    object_drop(((struct image_copy *)data)->source);
    object_drop(((struct image_copy *)data)->target);
}

static void wrote_copy_image(const struct issue *to, const void *args)
{
    mem_wrote(((const struct image_copy *)args)->target);
}

static cl_int copy_image_needs(const struct issue *to, const void *data)
{
    const struct image_copy *args = data;
    return lazy_need_both(args->source, args->target);
}

static const struct command_type copy_image = {
    "clEnqueueCopyImage",      CL_COMMAND_COPY_IMAGE, 0,
    sizeof(struct image_copy), check_copy_image,      issue_copy_image,
    keep_copy_image,           drop_copy_image,       wrote_copy_image,
    copy_image_needs,          ask_copy_image,
};

EXPORT cl_int CL_API_CALL clEnqueueCopyImage(cl_command_queue command_queue, cl_mem src_image,
                                             cl_mem dst_image, const size_t *src_origin,
                                             const size_t *dst_origin, const size_t *region,
                                             cl_uint num_events_in_wait_list,
                                             const cl_event *event_wait_list, cl_event *event)
{
    struct image_copy args = {(struct mem *)src_image, (struct mem *)dst_image, triple(src_origin),
                              triple(dst_origin), triple(region)};
    return enqueue(command_queue, &copy_image, &args, CL_FALSE, num_events_in_wait_list,
                   event_wait_list, event);
}

struct image_fill {
    struct mem *image;
    const void *given;       /* the application's colour */
    unsigned char color[16]; /* of four floats or integers; of depth images one float */
    struct triple origin, region;
};

static cl_int check_fill_image(struct queue *queue, void *data)
{
    struct image_fill *args = data;
    cl_int err = check_image(queue, args->image);
    if (err != CL_SUCCESS)
        return err;
    if (!args->given || args->origin.missing || args->region.missing)
        return CL_INVALID_VALUE;
    bool depth = args->image->image->order == CL_DEPTH;
    memcpy(args->color, args->given, depth ? sizeof(float) : sizeof args->color);
    return CL_SUCCESS;
}

static cl_int issue_fill_image(const struct issue *to, void *data)
{
    const struct image_fill *args = data;
    return to->driver->clEnqueueFillImage(to->real, mem_real(args->image), args->color,
                                          args->origin.at, args->region.at, to->num_waits,
                                          to->waits, to->event);
}

static cl_int ask_fill_image(struct queue *queue, void *data)
{
    const struct image_fill *args = data;
    const size_t *origin = args->origin.at, *region = args->region.at;
    cl_int err = image_check_region(args->image, origin, region);
    /* pocl crashes over any fill of an image over a buffer. */
    if (err == CL_SUCCESS || is_over_buffer(args->image) ||
        image_reaches_outside(args->image, origin, region))
        return err;
    return ask_empty(queue, issue_fill_image, data);
}

static cl_int keep_fill_image(struct queue *queue, void *data)
{
    object_hold(((struct image_fill *)data)->image);
    return CL_SUCCESS;
}

static void drop_fill_image(void *data)
{
    object_drop(((struct image_fill *)data)->image);
}

static void wrote_fill_image(const struct issue *to, const void *args)
{
    mem_wrote(((const struct image_fill *)args)->image);
}

static cl_int fill_image_needs(const struct issue *to, const void *args)
{
    return lazy_need(((const struct image_fill *)args)->image);
}

static const struct command_type fill_image = {
    "clEnqueueFillImage",      CL_COMMAND_FILL_IMAGE, 0,
    sizeof(struct image_fill), check_fill_image,      issue_fill_image,
    keep_fill_image,           drop_fill_image,       wrote_fill_image,
    fill_image_needs,          ask_fill_image,
};

EXPORT cl_int CL_API_CALL clEnqueueFillImage(cl_command_queue command_queue, cl_mem image,
                                             const void *fill_color, const size_t *origin,
                                             const size_t *region, cl_uint num_events_in_wait_list,
                                             const cl_event *event_wait_list, cl_event *event)
{
    struct image_fill args = {.image = (struct mem *)image,
                              .given = fill_color,
                              .origin = triple(origin),
                              .region = triple(region)};
    return enqueue(command_queue, &fill_image, &args, CL_FALSE, num_events_in_wait_list,
                   event_wait_list, event);
}

/* Between an image and a buffer, either way. */
struct buffer_copy {
    struct mem *image, *buffer;
    struct triple origin, region;
    size_t offset;
};

static cl_int check_buffer_copy(struct queue *queue, void *data)
{
    const struct buffer_copy *args = data;
    cl_int err = check_image(queue, args->image);
    if (err == CL_SUCCESS)
        err = check_buffer(queue, args->buffer);
    if (err != CL_SUCCESS)
        return err;
    return args->origin.missing || args->region.missing ? CL_INVALID_VALUE : CL_SUCCESS;
}

static cl_int issue_to_buffer(const struct issue *to, void *data)
{
    const struct buffer_copy *args = data;
    return to->driver->clEnqueueCopyImageToBuffer(
        to->real, mem_real(args->image), mem_real(args->buffer), args->origin.at, args->region.at,
        args->offset, to->num_waits, to->waits, to->event);
}

static cl_int issue_to_image(const struct issue *to, void *data)
{
    const struct buffer_copy *args = data;
    return to->driver->clEnqueueCopyBufferToImage(
        to->real, mem_real(args->buffer), mem_real(args->image), args->offset, args->origin.at,
        args->region.at, to->num_waits, to->waits, to->event);
}

static cl_int ask_buffer_copy(struct queue *queue, struct buffer_copy *args, ask_command *issue)
{
    const size_t *region = args->region.at;
    if (image_reaches_outside(args->image, args->origin.at, region))
        return CL_INVALID_VALUE;
    size_t size = region[0] * region[1] * region[2] * args->image->image->element;
    if (size > args->buffer->size || args->offset > args->buffer->size - size)
        return CL_INVALID_VALUE;
    return size ? ask_alignment(queue, args->buffer) : ask_empty(queue, issue, args);
}

static cl_int ask_to_buffer(struct queue *queue, void *args)
{
    return ask_buffer_copy(queue, args, issue_to_buffer);
}

static cl_int ask_to_image(struct queue *queue, void *args)
{
    return ask_buffer_copy(queue, args, issue_to_image);
}

static cl_int keep_buffer_copy(struct queue *queue, void *data)
{
    const struct buffer_copy *args = data;
    object_hold(args->image);
    object_hold(args->buffer);
    return CL_SUCCESS;
}

static void drop_buffer_copy(void *data)
{
    object_drop(((struct buffer_copy *)data)->image);
    object_drop(((struct buffer_copy *)data)->buffer);
}

static void wrote_to_buffer(const struct issue *to, const void *args)
{
    mem_wrote(((const struct buffer_copy *)args)->buffer);
}

static void wrote_to_image(const struct issue *to, const void *args)
{
    mem_wrote(((const struct buffer_copy *)args)->image);
}

static cl_int buffer_copy_needs(const struct issue *to, const void *data)
{
    const struct buffer_copy *args = data;
    return lazy_need_both(args->image, args->buffer);
}

static const struct command_type copy_image_to_buffer = {"clEnqueueCopyImageToBuffer",
                                                         CL_COMMAND_COPY_IMAGE_TO_BUFFER,
                                                         0,
                                                         sizeof(struct buffer_copy),
                                                         check_buffer_copy,
                                                         issue_to_buffer,
                                                         keep_buffer_copy,
                                                         drop_buffer_copy,
                                                         wrote_to_buffer,
                                                         buffer_copy_needs,
                                                         ask_to_buffer};

static const struct command_type copy_buffer_to_image = {"clEnqueueCopyBufferToImage",
                                                         CL_COMMAND_COPY_BUFFER_TO_IMAGE,
                                                         0,
                                                         sizeof(struct buffer_copy),
                                                         check_buffer_copy,
                                                         issue_to_image,
                                                         keep_buffer_copy,
                                                         drop_buffer_copy,
                                                         wrote_to_image,
                                                         buffer_copy_needs,
                                                         ask_to_image};

EXPORT cl_int CL_API_CALL clEnqueueCopyImageToBuffer(
    cl_command_queue command_queue, cl_mem src_image, cl_mem dst_buffer, const size_t *src_origin,
    const size_t *region, size_t dst_offset, cl_uint num_events_in_wait_list,
    const cl_event *event_wait_list, cl_event *event)
{
    struct buffer_copy args = {(struct mem *)src_image, (struct mem *)dst_buffer,
                               triple(src_origin), triple(region), dst_offset};
    return enqueue(command_queue, &copy_image_to_buffer, &args, CL_FALSE, num_events_in_wait_list,
                   event_wait_list, event);
}

EXPORT cl_int CL_API_CALL clEnqueueCopyBufferToImage(
    cl_command_queue command_queue, cl_mem src_buffer, cl_mem dst_image, size_t src_offset,
    const size_t *dst_origin, const size_t *region, cl_uint num_events_in_wait_list,
    const cl_event *event_wait_list, cl_event *event)
{
    struct buffer_copy args = {(struct mem *)dst_image, (struct mem *)src_buffer,
                               triple(dst_origin), triple(region), src_offset};
    return enqueue(command_queue, &copy_buffer_to_image, &args, CL_FALSE, num_events_in_wait_list,
                   event_wait_list, event);
}
