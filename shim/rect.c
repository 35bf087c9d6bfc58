/* SPDX-License-Identifier: Apache-2.0 */
/* OpenCL 3.0 §5.2.2, §5.2.3: reading, writing and copying rectangles of buffers. */
#include <string.h>

#include "shim/ask.h"
#include "shim/enqueue.h"
#include "shim/export.h"
#include "shim/transfer.h"

struct rect {
    union buffer buffer, other; /* `other`: the destination of a copy */
    size_t origin[3], other_origin[3], region[3];
    size_t row_pitch, slice_pitch, other_row_pitch, other_slice_pitch;
    void *pointer;
};

/* The application's arrays, which may be NULL, into the struct. */
static cl_int rect_take(struct rect *args, const size_t *origin, const size_t *other_origin,
                        const size_t *region)
{
    if (!origin || !other_origin || !region)
        return CL_INVALID_VALUE;
    memcpy(args->origin, origin, sizeof args->origin);
    memcpy(args->other_origin, other_origin, sizeof args->other_origin);
    memcpy(args->region, region, sizeof args->region);
    return CL_SUCCESS;
}

struct pitches {
    size_t row, slice;
};

/* §5.2.2: those that are 0 are without gaps. */
static struct pitches pitches_of(const size_t *region, size_t row_pitch, size_t slice_pitch)
{
    size_t row = row_pitch ? row_pitch : region[0];
    return (struct pitches){row, slice_pitch ? slice_pitch : region[1] * row};
}

static cl_int check_pitches(const size_t *region, struct pitches pitches)
{
    bool fit = pitches.row >= region[0] && pitches.slice >= region[1] * pitches.row &&
               pitches.slice % pitches.row == 0;
    return fit ? CL_SUCCESS : CL_INVALID_VALUE;
}

/* §5.2.2: the last byte that a rectangle touches lies in the buffer. */
static cl_int check_rectangle(const struct mem *mem, const size_t *origin, const size_t *region,
                              size_t row_pitch, size_t slice_pitch)
{
    if (!region[0] || !region[1] || !region[2])
        return CL_INVALID_VALUE;
    struct pitches pitches = pitches_of(region, row_pitch, slice_pitch);
    if (check_pitches(region, pitches) != CL_SUCCESS)
        return CL_INVALID_VALUE;
    size_t row = pitches.row, slice = pitches.slice;
    size_t end = (origin[2] + region[2] - 1) * slice + (origin[1] + region[1] - 1) * row +
                 origin[0] + region[0];
    return end > mem->size ? CL_INVALID_VALUE : CL_SUCCESS;
}

static cl_int rect_check(struct queue *queue, struct rect *args, bool write)
{
    cl_int err = transfer_check_buffer(queue, &args->buffer);
    if (err == CL_SUCCESS && !args->pointer)
        err = CL_INVALID_VALUE;
    if (err == CL_SUCCESS)
        err = check_rectangle(args->buffer.mem, args->origin, args->region, args->row_pitch,
                              args->slice_pitch);
    return err == CL_SUCCESS ? transfer_check_access(args->buffer.mem, write) : err;
}

static cl_int ask_alignments(struct queue *queue, const struct rect *args)
{
    cl_int err = ask_alignment(queue, args->buffer.mem);
    return err == CL_SUCCESS ? ask_alignment(queue, args->other.mem) : err;
}

static cl_int rect_keep(struct queue *queue, void *data)
{
    struct rect *args = data;
    object_hold(args->buffer.mem);
    object_hold(args->other.mem);
    return CL_SUCCESS;
}

/* The pitches of the application's memory. */
static cl_int rect_ask(struct queue *queue, void *data)
{
    const struct rect *args = data;
    cl_int err = check_pitches(
        args->region, pitches_of(args->region, args->other_row_pitch, args->other_slice_pitch));
    return err == CL_SUCCESS ? ask_alignments(queue, args) : err;
}

static void rect_drop(void *data)
{
    struct rect *args = data;
    object_drop(args->buffer.mem);
    object_drop(args->other.mem);
}

/* `other` is NULL where the other side is the application's memory. */
static cl_int rect_needs(const struct issue *to, const void *data)
{
    const struct rect *args = data;
    return lazy_need_both(args->buffer.mem, args->other.mem);
}

static cl_int read_rect_check(struct queue *queue, void *args)
{
    return rect_check(queue, args, false);
}

static cl_int read_rect_issue(const struct issue *to, void *data)
{
    struct rect *args = data;
    return to->driver->clEnqueueReadBufferRect(
        to->real, mem_real(args->buffer.mem), to->blocking, args->origin, args->other_origin,
        args->region, args->row_pitch, args->slice_pitch, args->other_row_pitch,
        args->other_slice_pitch, args->pointer, to->num_waits, to->waits, to->event);
}

static const struct command_type read_rect_type = {"clEnqueueReadBufferRect",
                                                   CL_COMMAND_READ_BUFFER_RECT,
                                                   0,
                                                   sizeof(struct rect),
                                                   read_rect_check,
                                                   read_rect_issue,
                                                   rect_keep,
                                                   rect_drop,
                                                   NULL,
                                                   rect_needs,
                                                   rect_ask};

EXPORT cl_int CL_API_CALL clEnqueueReadBufferRect(
    cl_command_queue command_queue, cl_mem buffer, cl_bool blocking_read,
    const size_t *buffer_offset, const size_t *host_offset, const size_t *region,
    size_t buffer_row_pitch, size_t buffer_slice_pitch, size_t host_row_pitch,
    size_t host_slice_pitch, void *ptr, cl_uint num_events_in_wait_list,
    const cl_event *event_wait_list, cl_event *event)
{
    struct rect args = {.buffer = {buffer},
                        .row_pitch = buffer_row_pitch,
                        .slice_pitch = buffer_slice_pitch,
                        .other_row_pitch = host_row_pitch,
                        .other_slice_pitch = host_slice_pitch,
                        .pointer = ptr};
    cl_int err = rect_take(&args, buffer_offset, host_offset, region);
    return err != CL_SUCCESS ? err
                             : enqueue(command_queue, &read_rect_type, &args, blocking_read,
                                       num_events_in_wait_list, event_wait_list, event);
}

static cl_int write_rect_check(struct queue *queue, void *args)
{
    return rect_check(queue, args, true);
}

static cl_int write_rect_issue(const struct issue *to, void *data)
{
    struct rect *args = data;
    return to->driver->clEnqueueWriteBufferRect(
        to->real, mem_real(args->buffer.mem), to->blocking, args->origin, args->other_origin,
        args->region, args->row_pitch, args->slice_pitch, args->other_row_pitch,
        args->other_slice_pitch, args->pointer, to->num_waits, to->waits, to->event);
}

static void write_rect_wrote(const struct issue *to, const void *args)
{
    mem_wrote(((const struct rect *)args)->buffer.mem);
}

static const struct command_type write_rect_type = {"clEnqueueWriteBufferRect",
                                                    CL_COMMAND_WRITE_BUFFER_RECT,
                                                    0,
                                                    sizeof(struct rect),
                                                    write_rect_check,
                                                    write_rect_issue,
                                                    rect_keep,
                                                    rect_drop,
                                                    write_rect_wrote,
                                                    rect_needs,
                                                    rect_ask};

EXPORT cl_int CL_API_CALL clEnqueueWriteBufferRect(
    cl_command_queue command_queue, cl_mem buffer, cl_bool blocking_write,
    const size_t *buffer_offset, const size_t *host_offset, const size_t *region,
    size_t buffer_row_pitch, size_t buffer_slice_pitch, size_t host_row_pitch,
    size_t host_slice_pitch, const void *ptr, cl_uint num_events_in_wait_list,
    const cl_event *event_wait_list, cl_event *event)
{
    struct rect args = {.buffer = {buffer},
                        .row_pitch = buffer_row_pitch,
                        .slice_pitch = buffer_slice_pitch,
                        .other_row_pitch = host_row_pitch,
                        .other_slice_pitch = host_slice_pitch,
                        .pointer = (void *)ptr};
    cl_int err = rect_take(&args, buffer_offset, host_offset, region);
    return err != CL_SUCCESS ? err
                             : enqueue(command_queue, &write_rect_type, &args, blocking_write,
                                       num_events_in_wait_list, event_wait_list, event);
}

static cl_int copy_rect_check(struct queue *queue, void *data)
{
    struct rect *args = data;
    cl_int err = transfer_check_buffer(queue, &args->buffer);
    if (err == CL_SUCCESS)
        err = transfer_check_buffer(queue, &args->other);
    if (err == CL_SUCCESS)
        err = check_rectangle(args->buffer.mem, args->origin, args->region, args->row_pitch,
                              args->slice_pitch);
    if (err == CL_SUCCESS)
        err = check_rectangle(args->other.mem, args->other_origin, args->region,
                              args->other_row_pitch, args->other_slice_pitch);
    return err;
}

static size_t start_of(const struct mem *mem, const size_t *origin, struct pitches pitches)
{
    return mem->origin + origin[2] * pitches.slice + origin[1] * pitches.row + origin[0];
}

/* Of two sets of rows of one length and with the same pitches, `apart` from first row to first: is
 * a row of one on a row of the other? Slices are not nested in each other (check_pitches). */
static bool rows_meet(const size_t *region, struct pitches pitches, size_t apart)
{
    for (size_t slices = 0; slices < region[2]; slices++) {
        size_t left = transfer_distance(apart, slices * pitches.slice);
        size_t rows = left / pitches.row, rest = left % pitches.row;
        bool meets = rows < region[1] && rest < region[0];
        bool meets_next = rows + 1 < region[1] && pitches.row - rest < region[0];
        if (meets || meets_next)
            return true;
    }
    return false;
}

/* §5.2.3: within one buffer the pitches are the same and nothing overlaps. */
static cl_int copy_rect_ask(struct queue *queue, void *data)
{
    const struct rect *args = data;
    const struct mem *from = args->buffer.mem, *to = args->other.mem;
    struct pitches pitches = pitches_of(args->region, args->row_pitch, args->slice_pitch);
    struct pitches other = pitches_of(args->region, args->other_row_pitch, args->other_slice_pitch);
    bool alike = pitches.row == other.row && pitches.slice == other.slice;
    if (from == to && !alike)
        return CL_INVALID_VALUE;
    size_t apart = transfer_distance(start_of(from, args->origin, pitches),
                                     start_of(to, args->other_origin, other));
    if (transfer_same_bytes(from, to) && alike && rows_meet(args->region, pitches, apart))
        return CL_MEM_COPY_OVERLAP;
    return ask_alignments(queue, args);
}

static cl_int copy_rect_issue(const struct issue *to, void *data)
{
    struct rect *args = data;
    return to->driver->clEnqueueCopyBufferRect(
        to->real, mem_real(args->buffer.mem), mem_real(args->other.mem), args->origin,
        args->other_origin, args->region, args->row_pitch, args->slice_pitch, args->other_row_pitch,
        args->other_slice_pitch, to->num_waits, to->waits, to->event);
}

static void copy_rect_wrote(const struct issue *to, const void *args)
{
    mem_wrote(((const struct rect *)args)->other.mem);
}

static const struct command_type copy_rect_type = {"clEnqueueCopyBufferRect",
                                                   CL_COMMAND_COPY_BUFFER_RECT,
                                                   0,
                                                   sizeof(struct rect),
                                                   copy_rect_check,
                                                   copy_rect_issue,
                                                   rect_keep,
                                                   rect_drop,
                                                   copy_rect_wrote,
                                                   rect_needs,
                                                   copy_rect_ask};

EXPORT cl_int CL_API_CALL clEnqueueCopyBufferRect(cl_command_queue command_queue, cl_mem src_buffer,
                                                  cl_mem dst_buffer, const size_t *src_origin,
                                                  const size_t *dst_origin, const size_t *region,
                                                  size_t src_row_pitch, size_t src_slice_pitch,
                                                  size_t dst_row_pitch, size_t dst_slice_pitch,
                                                  cl_uint num_events_in_wait_list,
                                                  const cl_event *event_wait_list, cl_event *event)
{
    struct rect args = {.buffer = {src_buffer},
                        .other = {dst_buffer},
                        .row_pitch = src_row_pitch,
                        .slice_pitch = src_slice_pitch,
                        .other_row_pitch = dst_row_pitch,
                        .other_slice_pitch = dst_slice_pitch};
    cl_int err = rect_take(&args, src_origin, dst_origin, region);
    return err != CL_SUCCESS ? err
                             : enqueue(command_queue, &copy_rect_type, &args, CL_FALSE,
                                       num_events_in_wait_list, event_wait_list, event);
}
