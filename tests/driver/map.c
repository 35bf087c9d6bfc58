/* SPDX-License-Identifier: Apache-2.0 */
/* Mapping. An object that the application made over memory of its own maps to that memory (OpenCL
 * 3.0 §5.2.4): it is read there before the map and written back at the unmap. All others map to
 * the device's memory itself, as a GPU's BAR would. */
#include "tests/driver/driver.h"

#include <stdlib.h>

struct mapping {
    cl_mem mem;
    unsigned char *host_ptr; /* what the application has */
    void *pocl_ptr;
    cl_map_flags flags;
    bool image;
    size_t origin[3], region[3]; /* of a buffer: origin[0] and region[0] */
    size_t row_pitch, slice_pitch;
    struct mapping *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct mapping *mappings; /* guarded by lock */

static void remember(struct mapping *mapping)
{
    pthread_mutex_lock(&lock);
    mapping->next = mappings;
    mappings = mapping;
    pthread_mutex_unlock(&lock);
}

static struct mapping *take(cl_mem mem, const void *host_ptr)
{
    pthread_mutex_lock(&lock);
    struct mapping **link = &mappings;
    while (*link && ((*link)->mem != mem || (*link)->host_ptr != host_ptr))
        link = &(*link)->next;
    struct mapping *mapping = *link;
    if (mapping)
        *link = mapping->next;
    pthread_mutex_unlock(&lock);
    return mapping;
}

void maps_forget(cl_mem mem)
{
    pthread_mutex_lock(&lock);
    for (struct mapping **link = &mappings, *mapping; (mapping = *link);) {
        if (mem && mapping->mem != mem) {
            link = &mapping->next;
            continue;
        }
        *link = mapping->next;
        free(mapping);
    }
    pthread_mutex_unlock(&lock);
}

static cl_int read_back(cl_command_queue queue, struct mapping *m, cl_uint num_waits,
                        const cl_event *waits, cl_event *event)
{
    if (m->image)
        return pocl->clEnqueueReadImage(queue, m->mem, CL_FALSE, m->origin, m->region, m->row_pitch,
                                        m->slice_pitch, m->host_ptr, num_waits, waits, event);
    return pocl->clEnqueueReadBuffer(queue, m->mem, CL_FALSE, m->origin[0], m->region[0],
                                     m->host_ptr, num_waits, waits, event);
}

static cl_int write_back(cl_command_queue queue, struct mapping *m, cl_uint num_waits,
                         const cl_event *waits, cl_event *event)
{
    if (m->image)
        return pocl->clEnqueueWriteImage(queue, m->mem, CL_FALSE, m->origin, m->region,
                                         m->row_pitch, m->slice_pitch, m->host_ptr, num_waits,
                                         waits, event);
    return pocl->clEnqueueWriteBuffer(queue, m->mem, CL_FALSE, m->origin[0], m->region[0],
                                      m->host_ptr, num_waits, waits, event);
}

struct wait_list {
    cl_uint count;
    const cl_event *events;
};

/* Reads into the application's memory unless it says that it will overwrite all; an object that
 * the host must not read is not read. `done` is to be waited for. */
static struct wait_list before_map(cl_command_queue queue, struct mapping *mapping,
                                   struct wait_list waits, cl_event *done)
{
    if (mapping->flags & CL_MAP_WRITE_INVALIDATE_REGION ||
        read_back(queue, mapping, waits.count, waits.events, done) != CL_SUCCESS)
        return waits;
    return (struct wait_list){1, done};
}

static void *after_map(struct mapping *mapping, void *pocl_ptr, cl_event done)
{
    if (done)
        pocl->clReleaseEvent(done);
    if (!pocl_ptr) {
        free(mapping);
        return NULL;
    }
    mapping->pocl_ptr = pocl_ptr;
    unsigned char *host_ptr = mapping->host_ptr;
    remember(mapping);
    return host_ptr;
}

/* The record of a mapping if the object is over the application's memory; NULL otherwise. */
static struct mapping *over_host(cl_mem id, cl_map_flags flags)
{
    struct mem *mem = mem_find(id);
    struct mapping *mapping = mem && mem->host_ptr ? calloc(1, sizeof *mapping) : NULL;
    if (mapping) {
        mapping->mem = id;
        mapping->host_ptr = mem->host_ptr;
        mapping->flags = flags;
    }
    return mapping;
}

static void adopt_created(void *result, cl_event *event)
{
    adopt_event(result ? CL_SUCCESS : CL_OUT_OF_RESOURCES, event);
}

void *CL_API_CALL clEnqueueMapBuffer(cl_command_queue queue, cl_mem buffer, cl_bool blocking,
                                     cl_map_flags flags, size_t offset, size_t size,
                                     cl_uint num_waits, const cl_event *waits, cl_event *event,
                                     cl_int *errcode_ret)
{
    cl_int err = call_begin(CALL_clEnqueueMapBuffer, devices_of(queue));
    if (err == CL_SUCCESS)
        err = check_range(queue, size, buffer, NULL);
    if (err != CL_SUCCESS)
        return failed(errcode_ret, err);
    struct wait_list list = {num_waits, waits};
    struct mapping *mapping = over_host(buffer, flags);
    cl_event done = NULL;
    if (mapping) {
        mapping->host_ptr += offset;
        mapping->origin[0] = offset;
        mapping->region[0] = size;
        list = before_map(queue, mapping, list, &done);
    }
    void *result = pocl->clEnqueueMapBuffer(queue, buffer, blocking, flags, offset, size,
                                            list.count, list.events, event, errcode_ret);
    adopt_created(result, event);
    return mapping ? after_map(mapping, result, done) : result;
}

static void image_pitches(struct mapping *mapping, const size_t *origin)
{
    cl_mem_object_type type = 0;
    size_t element = 0;
    pocl->clGetMemObjectInfo(mapping->mem, CL_MEM_TYPE, sizeof type, &type, NULL);
    pocl->clGetImageInfo(mapping->mem, CL_IMAGE_ELEMENT_SIZE, sizeof element, &element, NULL);
    pocl->clGetImageInfo(mapping->mem, CL_IMAGE_ROW_PITCH, sizeof(size_t), &mapping->row_pitch,
                         NULL);
    pocl->clGetImageInfo(mapping->mem, CL_IMAGE_SLICE_PITCH, sizeof(size_t), &mapping->slice_pitch,
                         NULL);
    bool lines = type == CL_MEM_OBJECT_IMAGE1D_ARRAY;
    mapping->host_ptr += origin[0] * element +
                         origin[1] * (lines ? mapping->slice_pitch : mapping->row_pitch) +
                         origin[2] * mapping->slice_pitch;
}

void *CL_API_CALL clEnqueueMapImage(cl_command_queue queue, cl_mem image, cl_bool blocking,
                                    cl_map_flags flags, const size_t *origin, const size_t *region,
                                    size_t *row_pitch, size_t *slice_pitch, cl_uint num_waits,
                                    const cl_event *waits, cl_event *event, cl_int *errcode_ret)
{
    cl_int err = call_begin(CALL_clEnqueueMapImage, devices_of(queue));
    if (err != CL_SUCCESS)
        return failed(errcode_ret, err);
    struct wait_list list = {num_waits, waits};
    struct mapping *mapping = origin && region ? over_host(image, flags) : NULL;
    cl_event done = NULL;
    if (mapping) {
        mapping->image = true;
        for (int i = 0; i < 3; i++) {
            mapping->origin[i] = origin[i];
            mapping->region[i] = region[i];
        }
        image_pitches(mapping, origin);
        list = before_map(queue, mapping, list, &done);
    }
    void *result =
        pocl->clEnqueueMapImage(queue, image, blocking, flags, origin, region, row_pitch,
                                slice_pitch, list.count, list.events, event, errcode_ret);
    adopt_created(result, event);
    return mapping ? after_map(mapping, result, done) : result;
}

cl_int CL_API_CALL clEnqueueUnmapMemObject(cl_command_queue queue, cl_mem mem, void *pointer,
                                           cl_uint num_waits, const cl_event *waits,
                                           cl_event *event)
{
    cl_int err = call_begin(CALL_clEnqueueUnmapMemObject, devices_of(queue));
    cl_int error = faults_spoiled();
    if (err == CL_SUCCESS && error != CL_SUCCESS)
        return spoil_command(queue, error, num_waits, waits, event);
    if (err != CL_SUCCESS)
        return err;
    struct mapping *mapping = take(mem, pointer);
    cl_event done = NULL;
    if (mapping) {
        pointer = mapping->pocl_ptr;
        if (mapping->flags & (CL_MAP_WRITE | CL_MAP_WRITE_INVALIDATE_REGION) &&
            write_back(queue, mapping, num_waits, waits, &done) == CL_SUCCESS) {
            num_waits = 1;
            waits = &done;
        }
        free(mapping);
    }
    err = pocl->clEnqueueUnmapMemObject(queue, mem, pointer, num_waits, waits, event);
    if (done)
        pocl->clReleaseEvent(done);
    return adopt_event(err, event);
}
