/* SPDX-License-Identifier: Apache-2.0 */
/* cl_khr_command_buffer: the commands that are recorded. Each goes to the driver at once, which
 * checks it, and is kept to be recorded again. */
#include <stdlib.h>
#include <string.h>

#include "shim/cancel.h"
#include "shim/gate.h"
#include "shim/launch.h"
#include "state/command_buffer.h"

/* What all of them have: where to, after what, and the answers. */
struct record {
    const char *call;
    cl_command_buffer_khr buffer;
    cl_command_queue queue;
    cl_uint num_waits;
    const cl_sync_point_khr *waits;
    cl_sync_point_khr *point;
    cl_mutable_command_khr *handle;
};

#define RECORD                                                                                     \
    {                                                                                              \
        __func__, command_buffer, command_queue, num_sync_points_in_wait_list,                     \
            sync_point_wait_list, sync_point, mutable_handle                                       \
    }

static cl_int check_waits(const struct command_buffer *buffer, const struct record *record)
{
    if ((record->num_waits == 0) != (record->waits == NULL))
        return CL_INVALID_SYNC_POINT_WAIT_LIST_KHR;
    for (cl_uint i = 0; i < record->num_waits; i++)
        if (record->waits[i] == 0 || record->waits[i] > buffer->num_commands)
            return CL_INVALID_SYNC_POINT_WAIT_LIST_KHR;
    return CL_SUCCESS;
}

static cl_int check_record(const struct command_buffer *buffer, const struct record *record)
{
    if (atomic_load(&buffer->finalized))
        return CL_INVALID_OPERATION;
    /* Queues of a command's own, and commands that can be changed, are other extensions'. */
    if (record->queue)
        return CL_INVALID_COMMAND_QUEUE;
    return record->handle ? CL_INVALID_VALUE : check_waits(buffer, record);
}

/* Objects are the application's handles until here: handle and shadow are the same pointer. */
static cl_int check_mem(const struct command_buffer *buffer, const struct mem *mem, bool image)
{
    if (image ? !image_check((cl_mem)mem) : !buffer_check((cl_mem)mem))
        return CL_INVALID_MEM_OBJECT;
    return mem->context == buffer->queue->context ? CL_SUCCESS : CL_INVALID_CONTEXT;
}

static cl_int check_mems(const struct command_buffer *buffer, const struct recorded *like)
{
    cl_int status = CL_SUCCESS;
    bool from_image = like->kind == RECORDED_COPY_IMAGE || like->kind == RECORDED_TO_BUFFER;
    bool to_image = like->kind == RECORDED_COPY_IMAGE || like->kind == RECORDED_TO_IMAGE ||
                    like->kind == RECORDED_FILL_IMAGE;
    bool fills = like->kind == RECORDED_FILL || like->kind == RECORDED_FILL_IMAGE;
    if (like->kind == RECORDED_BARRIER || like->kind == RECORDED_KERNEL)
        return CL_SUCCESS;
    if (!fills)
        status = check_mem(buffer, like->source, from_image);
    return status == CL_SUCCESS ? check_mem(buffer, like->target, to_image) : status;
}

/* The same checks as of a launch that is held back: pocl 3.1 does not survive finding these errors
 * itself. */
static cl_int check_kernel(const struct command_buffer *buffer, const struct recorded *like)
{
    if (like->kind != RECORDED_KERNEL)
        return CL_SUCCESS;
    if (!kernel_check((cl_kernel)like->kernel))
        return CL_INVALID_KERNEL;
    if (like->kernel->program->context != buffer->queue->context)
        return CL_INVALID_CONTEXT;
    struct launch launch = {.kernel = like->kernel,
                            .queue = buffer->queue,
                            .dims = like->dims,
                            .offset = like->has_offset ? like->sizes[0] : NULL,
                            .global = like->has_global ? like->sizes[1] : NULL,
                            .local = like->has_local ? like->sizes[2] : NULL};
    cl_int status = launch_validate(&launch);
    if (status == CL_SUCCESS)
        launch_note_group(launch.kernel, launch.dims, launch.local);
    return status;
}

/* A copy that holds what it needs; NULL without memory. */
static struct recorded *keep(const struct recorded *like, const struct record *record)
{
    struct recorded *command = malloc(sizeof *command);
    if (!command)
        return NULL;
    *command = *like;
    object_hold(command->source);
    object_hold(command->target);
    object_hold(command->kernel);
    command->num_waits = record->num_waits;
    command->waits = malloc((record->num_waits + 1) * sizeof *command->waits);
    if (command->kernel)
        command->args = kernel_args_create(command->kernel);
    if (!command->waits || (command->kernel && !command->args)) {
        recorded_destroy(command);
        return NULL;
    }
    if (record->num_waits)
        memcpy(command->waits, record->waits, record->num_waits * sizeof *record->waits);
    return command;
}

/* With command_buffer_lock. */
static cl_int append(struct command_buffer *buffer, const struct record *record,
                     struct recorded *command)
{
    cl_int status = check_record(buffer, record);
    if (status == CL_SUCCESS)
        status = command_buffer_reserve(buffer);
    if (status == CL_SUCCESS)
        status = recorded_issue(buffer, command);
    if (status != CL_SUCCESS)
        return status;
    command_buffer_add(buffer, command);
    if (record->point)
        *record->point = buffer->num_commands;
    return CL_SUCCESS;
}

/* Inside the gate. */
static cl_int record_in(struct command_buffer *buffer, const struct record *record,
                        const struct recorded *like)
{
    cl_int status = check_record(buffer, record);
    if (status == CL_SUCCESS)
        status = check_mems(buffer, like);
    if (status == CL_SUCCESS)
        status = check_kernel(buffer, like);
    if (status != CL_SUCCESS)
        return status;
    struct recorded *command = keep(like, record);
    if (!command)
        return CL_OUT_OF_HOST_MEMORY;
    pthread_mutex_lock(&command_buffer_lock);
    status = append(buffer, record, command);
    pthread_mutex_unlock(&command_buffer_lock);
    if (status != CL_SUCCESS)
        recorded_destroy(command);
    return status;
}

static cl_int record_command(const struct record *record, const struct recorded *like)
{
    struct command_buffer *buffer = command_buffer_check(record->buffer);
    if (!buffer)
        return CL_INVALID_COMMAND_BUFFER_KHR;
    NOT_CANCELLED();
    gate_enter(record->call);
    cl_int status = record_in(buffer, record, like);
    gate_leave();
    return status;
}

/* Three sizes that have to be there. */
static bool take(size_t *to, const size_t *from)
{
    if (from)
        memcpy(to, from, 3 * sizeof *to);
    return from;
}

cl_int CL_API_CALL clCommandBarrierWithWaitListKHR(cl_command_buffer_khr command_buffer,
                                                   cl_command_queue command_queue,
                                                   cl_uint num_sync_points_in_wait_list,
                                                   const cl_sync_point_khr *sync_point_wait_list,
                                                   cl_sync_point_khr *sync_point,
                                                   cl_mutable_command_khr *mutable_handle)
{
    const struct record record = RECORD;
    return record_command(&record, &(struct recorded){.kind = RECORDED_BARRIER});
}

cl_int CL_API_CALL clCommandCopyBufferKHR(cl_command_buffer_khr command_buffer,
                                          cl_command_queue command_queue, cl_mem src_buffer,
                                          cl_mem dst_buffer, size_t src_offset, size_t dst_offset,
                                          size_t size, cl_uint num_sync_points_in_wait_list,
                                          const cl_sync_point_khr *sync_point_wait_list,
                                          cl_sync_point_khr *sync_point,
                                          cl_mutable_command_khr *mutable_handle)
{
    const struct record record = RECORD;
    struct recorded like = {.kind = RECORDED_COPY,
                            .source = (struct mem *)src_buffer,
                            .target = (struct mem *)dst_buffer,
                            .offset = src_offset,
                            .other_offset = dst_offset,
                            .size = size};
    return record_command(&record, &like);
}

cl_int CL_API_CALL clCommandCopyBufferRectKHR(
    cl_command_buffer_khr command_buffer, cl_command_queue command_queue, cl_mem src_buffer,
    cl_mem dst_buffer, const size_t *src_origin, const size_t *dst_origin, const size_t *region,
    size_t src_row_pitch, size_t src_slice_pitch, size_t dst_row_pitch, size_t dst_slice_pitch,
    cl_uint num_sync_points_in_wait_list, const cl_sync_point_khr *sync_point_wait_list,
    cl_sync_point_khr *sync_point, cl_mutable_command_khr *mutable_handle)
{
    const struct record record = RECORD;
    struct recorded like = {
        .kind = RECORDED_COPY_RECT,
        .source = (struct mem *)src_buffer,
        .target = (struct mem *)dst_buffer,
        .pitches = {src_row_pitch, src_slice_pitch, dst_row_pitch, dst_slice_pitch}};
    bool all = take(like.sizes[0], src_origin) && take(like.sizes[1], dst_origin) &&
               take(like.sizes[2], region);
    return all ? record_command(&record, &like) : CL_INVALID_VALUE;
}

cl_int CL_API_CALL clCommandCopyBufferToImageKHR(
    cl_command_buffer_khr command_buffer, cl_command_queue command_queue, cl_mem src_buffer,
    cl_mem dst_image, size_t src_offset, const size_t *dst_origin, const size_t *region,
    cl_uint num_sync_points_in_wait_list, const cl_sync_point_khr *sync_point_wait_list,
    cl_sync_point_khr *sync_point, cl_mutable_command_khr *mutable_handle)
{
    const struct record record = RECORD;
    struct recorded like = {.kind = RECORDED_TO_IMAGE,
                            .source = (struct mem *)src_buffer,
                            .target = (struct mem *)dst_image,
                            .offset = src_offset};
    bool all = take(like.sizes[1], dst_origin) && take(like.sizes[2], region);
    return all ? record_command(&record, &like) : CL_INVALID_VALUE;
}

cl_int CL_API_CALL clCommandCopyImageKHR(
    cl_command_buffer_khr command_buffer, cl_command_queue command_queue, cl_mem src_image,
    cl_mem dst_image, const size_t *src_origin, const size_t *dst_origin, const size_t *region,
    cl_uint num_sync_points_in_wait_list, const cl_sync_point_khr *sync_point_wait_list,
    cl_sync_point_khr *sync_point, cl_mutable_command_khr *mutable_handle)
{
    const struct record record = RECORD;
    struct recorded like = {.kind = RECORDED_COPY_IMAGE,
                            .source = (struct mem *)src_image,
                            .target = (struct mem *)dst_image};
    bool all = take(like.sizes[0], src_origin) && take(like.sizes[1], dst_origin) &&
               take(like.sizes[2], region);
    return all ? record_command(&record, &like) : CL_INVALID_VALUE;
}

cl_int CL_API_CALL clCommandCopyImageToBufferKHR(
    cl_command_buffer_khr command_buffer, cl_command_queue command_queue, cl_mem src_image,
    cl_mem dst_buffer, const size_t *src_origin, const size_t *region, size_t dst_offset,
    cl_uint num_sync_points_in_wait_list, const cl_sync_point_khr *sync_point_wait_list,
    cl_sync_point_khr *sync_point, cl_mutable_command_khr *mutable_handle)
{
    const struct record record = RECORD;
    struct recorded like = {.kind = RECORDED_TO_BUFFER,
                            .source = (struct mem *)src_image,
                            .target = (struct mem *)dst_buffer,
                            .other_offset = dst_offset};
    bool all = take(like.sizes[0], src_origin) && take(like.sizes[2], region);
    return all ? record_command(&record, &like) : CL_INVALID_VALUE;
}

cl_int CL_API_CALL clCommandFillBufferKHR(cl_command_buffer_khr command_buffer,
                                          cl_command_queue command_queue, cl_mem buffer,
                                          const void *pattern, size_t pattern_size, size_t offset,
                                          size_t size, cl_uint num_sync_points_in_wait_list,
                                          const cl_sync_point_khr *sync_point_wait_list,
                                          cl_sync_point_khr *sync_point,
                                          cl_mutable_command_khr *mutable_handle)
{
    const struct record record = RECORD;
    struct recorded like = {.kind = RECORDED_FILL,
                            .target = (struct mem *)buffer,
                            .offset = offset,
                            .size = size,
                            .pattern_size = pattern_size};
    if (!pattern || pattern_size == 0 || pattern_size > RECORDED_PATTERN)
        return CL_INVALID_VALUE;
    memcpy(like.pattern, pattern, pattern_size);
    return record_command(&record, &like);
}

cl_int CL_API_CALL clCommandFillImageKHR(cl_command_buffer_khr command_buffer,
                                         cl_command_queue command_queue, cl_mem image,
                                         const void *fill_color, const size_t *origin,
                                         const size_t *region, cl_uint num_sync_points_in_wait_list,
                                         const cl_sync_point_khr *sync_point_wait_list,
                                         cl_sync_point_khr *sync_point,
                                         cl_mutable_command_khr *mutable_handle)
{
    const struct record record = RECORD;
    struct recorded like = {.kind = RECORDED_FILL_IMAGE, .target = (struct mem *)image};
    if (!image_check(image))
        return CL_INVALID_MEM_OBJECT;
    if (!fill_color || !take(like.sizes[1], origin) || !take(like.sizes[2], region))
        return CL_INVALID_VALUE;
    bool depth = like.target->image->order == CL_DEPTH;
    memcpy(like.pattern, fill_color, depth ? sizeof(float) : 4 * sizeof(float));
    return record_command(&record, &like);
}

cl_int CL_API_CALL clCommandNDRangeKernelKHR(
    cl_command_buffer_khr command_buffer, cl_command_queue command_queue,
    const cl_ndrange_kernel_command_properties_khr *properties, cl_kernel kernel, cl_uint work_dim,
    const size_t *global_work_offset, const size_t *global_work_size, const size_t *local_work_size,
    cl_uint num_sync_points_in_wait_list, const cl_sync_point_khr *sync_point_wait_list,
    cl_sync_point_khr *sync_point, cl_mutable_command_khr *mutable_handle)
{
    const struct record record = RECORD;
    struct recorded like = {.kind = RECORDED_KERNEL,
                            .kernel = (struct kernel *)kernel,
                            .dims = work_dim,
                            .has_offset = global_work_offset,
                            .has_global = global_work_size,
                            .has_local = local_work_size};
    const size_t *from[3] = {global_work_offset, global_work_size, local_work_size};
    if (work_dim < 1 || work_dim > 3)
        return CL_INVALID_WORK_DIMENSION;
    if (properties && properties[0])
        return CL_INVALID_VALUE;
    for (int i = 0; i < 3; i++)
        if (from[i])
            memcpy(like.sizes[i], from[i], work_dim * sizeof *from[i]);
    return record_command(&record, &like);
}
