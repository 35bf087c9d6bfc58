/* SPDX-License-Identifier: Apache-2.0 */
/* OpenCL 3.0 §5.2.4, §5.3.6: mapping. The pointers are ours. Where the driver works on the host's
 * memory it is told of each map, and gives the pointer that we know beforehand; else a map is a
 * read into a region of ours, and an unmap (shim/unmap.c) a write from it. */
#include <stdlib.h>
#include <string.h>

#include "shim/ask.h"
#include "shim/enqueue.h"
#include "shim/export.h"
#include "shim/log.h"
#include "state/image.h"
#include "state/mem.h"
#include "state/writable.h"

struct map {
    union {
        cl_mem handle;
        struct mem *mem;
    };
    struct mapping map;     /* by value: an unmap may own the record before this is issued */
    struct mapping *record; /* in the mem's list */
};

/* §5.2.4: of flags that exclude each other a driver that takes them has the more careful: what was
 * there can be read, and stays where it is not written. */
static cl_int settle_flags(struct queue *queue, cl_map_flags *flags)
{
    const cl_map_flags invalidate = CL_MAP_WRITE_INVALIDATE_REGION,
                       known = CL_MAP_READ | MAP_WRITES;
    bool exclusive = (*flags & invalidate) && (*flags & known & ~invalidate);
    if (!exclusive && !(*flags & ~known))
        return CL_SUCCESS;
    cl_int err = ask_map_flags(queue, *flags);
    *flags &= exclusive ? known & ~invalidate : known;
    return err;
}

/* What the host may do with the object. */
static cl_int check_access(const struct mem *mem, cl_map_flags flags)
{
    cl_mem_flags forbidden = 0;
    if (flags & CL_MAP_READ)
        forbidden |= CL_MEM_HOST_WRITE_ONLY | CL_MEM_HOST_NO_ACCESS;
    if (flags & MAP_WRITES)
        forbidden |= CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_NO_ACCESS;
    return mem->flags & forbidden ? CL_INVALID_OPERATION : CL_SUCCESS;
}

static cl_int check_map(struct queue *queue, struct map *args, struct mem *mem)
{
    if (!mem)
        return CL_INVALID_MEM_OBJECT;
    if (mem->context != queue->context)
        return CL_INVALID_CONTEXT;
    args->mem = mem;
    cl_int err = settle_flags(queue, &args->map.flags);
    return err == CL_SUCCESS ? check_access(mem, args->map.flags) : err;
}

static cl_int add_record(struct map *args)
{
    args->record = mem_map(args->mem, &args->map);
    if (!args->record)
        return CL_MAP_FAILURE;
    args->map = *args->record;
    return CL_SUCCESS;
}

static cl_int map_buffer_check(struct queue *queue, void *data)
{
    struct map *args = data;
    cl_int err = check_map(queue, args, buffer_check(args->handle));
    if (err != CL_SUCCESS)
        return err;
    size_t offset = args->map.origin[0], size = args->map.region[0];
    if (size == 0 || offset > args->mem->size || size > args->mem->size - offset)
        return CL_INVALID_VALUE;
    char *host = args->mem->host ? args->mem->host : args->mem->host_ptr;
    args->map.pointer = host ? host + offset : NULL;
    return add_record(args);
}

static cl_int map_ask(struct queue *queue, void *data)
{
    return ask_alignment(queue, ((struct map *)data)->mem);
}

static cl_int map_keep(struct queue *queue, void *data)
{
    object_hold(((struct map *)data)->mem);
    return CL_SUCCESS;
}

static void map_drop(void *data)
{
    object_drop(((struct map *)data)->mem);
}

/* A command that only has a place in the queue's order. */
static cl_int issue_marker(const struct issue *to)
{
    cl_event own = NULL, *event = to->event ? to->event : &own;
    const struct driver *driver = to->driver;
    cl_int err = driver->clEnqueueMarkerWithWaitList(to->real, to->num_waits, to->waits, event);
    if (err == CL_SUCCESS && to->blocking)
        err = driver->clWaitForEvents(1, event);
    if (own)
        RELEASE(driver, clReleaseEvent, own);
    return err;
}

/* Is it the program's memory, where it can't write itself? Then it has what it always had. */
static bool is_fixed(const struct map *args, size_t size)
{
    return args->mem->host_ptr && !writable(args->map.pointer, size);
}

/* The driver maps its own way; the pointer must be that of the host memory (§5.2.4). */
static cl_int issue_shared_map(const struct issue *to, const struct map *args)
{
    cl_int err;
    void *pointer = to->driver->clEnqueueMapBuffer(
        to->real, mem_real(args->mem), to->blocking, args->map.flags, args->map.origin[0],
        args->map.region[0], to->num_waits, to->waits, to->event, &err);
    if (err == CL_SUCCESS && pointer != args->map.pointer) {
        log_error("the driver maps a buffer at %p instead of its host pointer %p: use "
                  "SHADOWCL_MAPPING=copy",
                  pointer, (void *)args->map.pointer);
        return CL_MAP_FAILURE;
    }
    return err;
}

/* §5.11: what never runs has read nothing, and nothing may be written back. */
static cl_int note_end(const struct map *args, cl_int err)
{
    if (err != CL_SUCCESS)
        mem_map_failed(args->mem, args->map.number);
    return err;
}

static cl_int issue_buffer_map(const struct issue *to, const struct map *args)
{
    /* A map that was held: its record may be the unmap's by now, so the driver is not told of it.
     */
    if (args->mem->host && !to->held) {
        cl_int err = issue_shared_map(to, args);
        args->record->real = err == CL_SUCCESS;
        return err;
    }
    if (args->map.flags & CL_MAP_WRITE_INVALIDATE_REGION || is_fixed(args, args->map.region[0]))
        return issue_marker(to);
    return to->driver->clEnqueueReadBuffer(to->real, mem_real(args->mem), to->blocking,
                                           args->map.origin[0], args->map.region[0],
                                           args->map.pointer, to->num_waits, to->waits, to->event);
}

static cl_int map_buffer_issue(const struct issue *to, void *args)
{
    return note_end(args, to->failed == CL_SUCCESS ? issue_buffer_map(to, args) : to->failed);
}

static cl_int map_needs(const struct issue *to, const void *args)
{
    return lazy_need(((const struct map *)args)->mem);
}

static const struct command_type map_buffer_type = {"clEnqueueMapBuffer",
                                                    CL_COMMAND_MAP_BUFFER,
                                                    COMMAND_TOLD,
                                                    sizeof(struct map),
                                                    map_buffer_check,
                                                    map_buffer_issue,
                                                    map_keep,
                                                    map_drop,
                                                    NULL,
                                                    map_needs,
                                                    map_ask};

/* The pointer for the application, or what was recorded taken back. */
static void *finish_map(struct map *args, cl_int err, cl_int *errcode_ret)
{
    if (err != CL_SUCCESS && args->record) {
        /* A suspend goes along the list. */
        GATE(clEnqueueMapBuffer);
        mem_remove_mapping(args->mem, args->record);
        mapping_destroy(args->record);
    }
    if (errcode_ret)
        *errcode_ret = err;
    return err == CL_SUCCESS ? args->map.pointer : NULL;
}

EXPORT void *CL_API_CALL clEnqueueMapBuffer(cl_command_queue command_queue, cl_mem buffer,
                                            cl_bool blocking_map, cl_map_flags map_flags,
                                            size_t offset, size_t size,
                                            cl_uint num_events_in_wait_list,
                                            const cl_event *event_wait_list, cl_event *event,
                                            cl_int *errcode_ret)
{
    struct map args = {.handle = buffer,
                       .map = {.flags = map_flags, .origin = {offset}, .region = {size}}};
    cl_int err = enqueue(command_queue, &map_buffer_type, &args, blocking_map,
                         num_events_in_wait_list, event_wait_list, event);
    return finish_map(&args, err, errcode_ret);
}

static cl_int map_image_check(struct queue *queue, void *data)
{
    struct map *args = data;
    cl_int err = check_map(queue, args, image_check(args->handle));
    if (err == CL_SUCCESS)
        err = image_check_region(args->mem, args->map.origin, args->map.region);
    if (err != CL_SUCCESS)
        return err;
    image_place_mapping(args->mem, &args->map);
    return add_record(args);
}

static cl_int issue_image_map(const struct issue *to, const struct map *args)
{
    if (args->map.flags & CL_MAP_WRITE_INVALIDATE_REGION ||
        is_fixed(args, image_span(args->mem, &args->map)))
        return issue_marker(to);
    size_t row_pitch, slice_pitch;
    image_pitches(args->mem, &args->map, &row_pitch, &slice_pitch);
    return to->driver->clEnqueueReadImage(
        to->real, mem_real(args->mem), to->blocking, args->map.origin, args->map.region, row_pitch,
        slice_pitch, args->map.pointer, to->num_waits, to->waits, to->event);
}

static cl_int map_image_issue(const struct issue *to, void *args)
{
    return note_end(args, to->failed == CL_SUCCESS ? issue_image_map(to, args) : to->failed);
}

static const struct command_type map_image_type = {"clEnqueueMapImage",
                                                   CL_COMMAND_MAP_IMAGE,
                                                   COMMAND_TOLD,
                                                   sizeof(struct map),
                                                   map_image_check,
                                                   map_image_issue,
                                                   map_keep,
                                                   map_drop,
                                                   NULL,
                                                   map_needs,
                                                   map_ask};

/* §5.3.6: those whose slice pitch must be asked for. */
static bool has_slices(const struct mem *mem)
{
    return mem->type == CL_MEM_OBJECT_IMAGE3D || mem->type == CL_MEM_OBJECT_IMAGE1D_ARRAY ||
           mem->type == CL_MEM_OBJECT_IMAGE2D_ARRAY;
}

EXPORT void *CL_API_CALL clEnqueueMapImage(cl_command_queue command_queue, cl_mem image,
                                           cl_bool blocking_map, cl_map_flags map_flags,
                                           const size_t *origin, const size_t *region,
                                           size_t *image_row_pitch, size_t *image_slice_pitch,
                                           cl_uint num_events_in_wait_list,
                                           const cl_event *event_wait_list, cl_event *event,
                                           cl_int *errcode_ret)
{
    struct map args = {.handle = image, .map = {.flags = map_flags}};
    struct mem *mem = image_check(image);
    cl_int err = CL_SUCCESS;
    if (!origin || !region || !image_row_pitch || (mem && has_slices(mem) && !image_slice_pitch)) {
        err = CL_INVALID_VALUE;
    } else {
        memcpy(args.map.origin, origin, sizeof args.map.origin);
        memcpy(args.map.region, region, sizeof args.map.region);
        err = enqueue(command_queue, &map_image_type, &args, blocking_map, num_events_in_wait_list,
                      event_wait_list, event);
    }
    if (err == CL_SUCCESS) {
        size_t slice_pitch;
        image_pitches(mem, &args.map, image_row_pitch, &slice_pitch);
        if (image_slice_pitch)
            *image_slice_pitch = slice_pitch;
    }
    return finish_map(&args, err, errcode_ret);
}
