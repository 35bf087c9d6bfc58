/* SPDX-License-Identifier: Apache-2.0 */
/* OpenCL 3.0 §5.5.2: unmapping. What was mapped by the driver is unmapped by it; else what is in
 * the region is written back. The region goes when that has ended. */
#include <stdlib.h>

#include "shim/ending.h"
#include "shim/enqueue.h"
#include "shim/export.h"
#include "state/image.h"
#include "state/mem.h"

struct unmap {
    union {
        cl_mem handle;
        struct mem *mem;
    };
    const void *pointer;
    struct mapping *mapping; /* owned, until the driver has taken the command */
};

static cl_int unmap_check(struct queue *queue, void *data)
{
    struct unmap *args = data;
    struct mem *mem = mem_check(args->handle);
    if (!mem)
        return CL_INVALID_MEM_OBJECT;
    if (mem->context != queue->context)
        return CL_INVALID_CONTEXT;
    args->mem = mem;
    args->mapping = mem_unmap(mem, args->pointer);
    return args->mapping ? CL_SUCCESS : CL_INVALID_VALUE;
}

/* Mapped until the driver gets the command: a suspend before that must see the region as mapped. */
static cl_int unmap_keep(struct queue *queue, void *data)
{
    struct unmap *args = data;
    object_hold(args->mem);
    mem_keep_mapping(args->mem, args->mapping);
    return CL_SUCCESS;
}

static void take_off_list(struct unmap *args)
{
    if (!args->mapping || !args->mapping->leaving)
        return;
    mem_remove_mapping(args->mem, args->mapping);
    args->mapping->leaving = false;
}

static void unmap_drop(void *data)
{
    struct unmap *args = data;
    take_off_list(args);
    mapping_destroy(args->mapping);
    object_drop(args->mem);
}

/* The driver has the unmap; only its end says what becomes of the region. */
static void watch_unmap(const struct issue *to, cl_event real, struct unmap *args)
{
    struct mapping *mapping = args->mapping;
    mapping->mem = args->mem;
    mapping->generation = args->mem->object.generation;
    args->mapping = NULL;
    ending_watch(to->driver, real, mapping);
}

static cl_int write_back(const struct issue *to, struct mem *mem, const struct mapping *mapping,
                         cl_event *event)
{
    if (!(mapping->flags & MAP_WRITES))
        return to->driver->clEnqueueMarkerWithWaitList(to->real, to->num_waits, to->waits, event);
    if (mem->image) {
        size_t row_pitch, slice_pitch;
        image_pitches(mem, mapping, &row_pitch, &slice_pitch);
        return to->driver->clEnqueueWriteImage(to->real, mem_real(mem), CL_FALSE, mapping->origin,
                                               mapping->region, row_pitch, slice_pitch,
                                               mapping->pointer, to->num_waits, to->waits, event);
    }
    return to->driver->clEnqueueWriteBuffer(to->real, mem_real(mem), CL_FALSE, mapping->origin[0],
                                            mapping->region[0], mapping->pointer, to->num_waits,
                                            to->waits, event);
}

static cl_int issue_unmap(const struct issue *to, struct unmap *args)
{
    const struct driver *driver = to->driver;
    bool mapped = args->mapping->real, may_fail = to->num_waits > 0;
    cl_event real = NULL;
    cl_int err = mapped ? driver->clEnqueueUnmapMemObject(to->real, mem_real(args->mem),
                                                          args->mapping->pointer, to->num_waits,
                                                          to->waits, may_fail ? &real : to->event)
                        : write_back(to, args->mem, args->mapping, &real);
    if (err != CL_SUCCESS)
        return err;
    if (!real) {
        mapping_destroy(args->mapping);
        args->mapping = NULL;
        return CL_SUCCESS;
    }
    watch_unmap(to, real, args);
    if (to->event)
        *to->event = real;
    else
        RELEASE(driver, clReleaseEvent, real);
    return CL_SUCCESS;
}

/* §5.11: what never runs changes nothing. The region stays mapped, and can be unmapped again. */
static cl_int unmap_issue(const struct issue *to, void *data)
{
    struct unmap *args = data;
    take_off_list(args);
    cl_int err = to->failed == CL_SUCCESS ? issue_unmap(to, args) : to->failed;
    if (err != CL_SUCCESS) {
        mem_add_mapping(args->mem, args->mapping);
        args->mapping = NULL;
    }
    return err;
}

static void unmap_wrote(const struct issue *to, const void *args)
{
    mem_wrote(((const struct unmap *)args)->mem);
}

/* What is written back must not be written over by what was there before. */
static cl_int unmap_needs(const struct issue *to, const void *args)
{
    return lazy_need(((const struct unmap *)args)->mem);
}

static const struct command_type unmap_type = {"clEnqueueUnmapMemObject",
                                               CL_COMMAND_UNMAP_MEM_OBJECT,
                                               COMMAND_TOLD,
                                               sizeof(struct unmap),
                                               unmap_check,
                                               unmap_issue,
                                               unmap_keep,
                                               unmap_drop,
                                               unmap_wrote,
                                               unmap_needs,
                                               NULL};

EXPORT cl_int CL_API_CALL clEnqueueUnmapMemObject(cl_command_queue command_queue, cl_mem memobj,
                                                  void *mapped_ptr, cl_uint num_events_in_wait_list,
                                                  const cl_event *event_wait_list, cl_event *event)
{
    struct unmap args = {.handle = memobj, .pointer = mapped_ptr};
    /* To the end: where it fails, the region must not seem unmapped to a suspend in between. */
    GATE(clEnqueueUnmapMemObject);
    cl_int err = enqueue(command_queue, &unmap_type, &args, CL_FALSE, num_events_in_wait_list,
                         event_wait_list, event);
    /* Still mapped, as far as the application is concerned. */
    if (err != CL_SUCCESS && args.mapping)
        mem_add_mapping(args.mem, args.mapping);
    return err;
}
