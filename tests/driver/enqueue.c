/* SPDX-License-Identifier: Apache-2.0 */
/* Commands: copies, fills, kernels, markers. */
#include "tests/driver/driver.h"

#include <stdlib.h>
#include <string.h>

#define ENQUEUE(name, parameters, arguments, check)                                                \
    cl_int CL_API_CALL name parameters                                                             \
    {                                                                                              \
        cl_int err = call_begin(CALL_##name, devices_of(queue));                                   \
        if (err == CL_SUCCESS)                                                                     \
            err = check;                                                                           \
        return err == CL_SUCCESS ? adopt_event(pocl->name arguments, event) : err;                 \
    }

/* The wait list of a command, with the stall's event at its end if such are to be held back. */
struct waits {
    cl_uint count;
    const cl_event *events;
    cl_event *owned; /* NULL when the list is the application's */
};

static struct waits stalled(cl_command_queue queue, enum held_back what, cl_uint count,
                            const cl_event *events)
{
    struct waits waits = {count, events, NULL};
    if ((count == 0) != (events == NULL))
        return waits;
    cl_event stall = stall_event(queue, what);
    if (!stall)
        return waits;
    waits.owned = malloc((count + 1) * sizeof *events);
    if (!waits.owned) {
        pocl->clReleaseEvent(stall);
        return waits;
    }
    if (count)
        memcpy(waits.owned, events, count * sizeof *events);
    waits.owned[count] = stall;
    waits.events = waits.owned;
    waits.count++;
    return waits;
}

static void waits_finish(struct waits *waits)
{
    if (waits->owned)
        pocl->clReleaseEvent(waits->owned[waits->count - 1]);
    free(waits->owned);
}

/* Copies from and to the host, which can be spoiled, and held back. */
#define COPY(name, parameters, arguments, check)                                                   \
    cl_int CL_API_CALL name parameters                                                             \
    {                                                                                              \
        cl_int err = call_begin(CALL_##name, devices_of(queue));                                   \
        cl_int error = faults_spoiled();                                                           \
        if (err == CL_SUCCESS)                                                                     \
            err = check;                                                                           \
        if (err == CL_SUCCESS && error != CL_SUCCESS)                                              \
            return blocking ? error : spoil_command(queue, error, num_waits, waits, event);        \
        if (err != CL_SUCCESS || blocking)                                                         \
            return err == CL_SUCCESS ? adopt_event(pocl->name arguments, event) : err;             \
        struct waits list = stalled(queue, STALL_COPIES, num_waits, waits);                        \
        num_waits = list.count;                                                                    \
        waits = list.events;                                                                       \
        err = pocl->name arguments;                                                                \
        waits_finish(&list);                                                                       \
        return adopt_event(err, event);                                                            \
    }

COPY(clEnqueueReadBuffer,
     (cl_command_queue queue, cl_mem buffer, cl_bool blocking, size_t offset, size_t size,
      void *data, cl_uint num_waits, const cl_event *waits, cl_event *event),
     (queue, buffer, blocking, offset, size, data, num_waits, waits, event),
     check_range(queue, size, buffer, NULL))
COPY(clEnqueueWriteBuffer,
     (cl_command_queue queue, cl_mem buffer, cl_bool blocking, size_t offset, size_t size,
      const void *data, cl_uint num_waits, const cl_event *waits, cl_event *event),
     (queue, buffer, blocking, offset, size, data, num_waits, waits, event),
     check_range(queue, size, buffer, NULL))

ENQUEUE(clEnqueueReadBufferRect,
        (cl_command_queue queue, cl_mem buffer, cl_bool blocking, const size_t *origin,
         const size_t *host_origin, const size_t *region, size_t row_pitch, size_t slice_pitch,
         size_t host_row_pitch, size_t host_slice_pitch, void *data, cl_uint num_waits,
         const cl_event *waits, cl_event *event),
        (queue, buffer, blocking, origin, host_origin, region, row_pitch, slice_pitch,
         host_row_pitch, host_slice_pitch, data, num_waits, waits, event),
        check_range(queue, 1, buffer, NULL))
ENQUEUE(clEnqueueWriteBufferRect,
        (cl_command_queue queue, cl_mem buffer, cl_bool blocking, const size_t *origin,
         const size_t *host_origin, const size_t *region, size_t row_pitch, size_t slice_pitch,
         size_t host_row_pitch, size_t host_slice_pitch, const void *data, cl_uint num_waits,
         const cl_event *waits, cl_event *event),
        (queue, buffer, blocking, origin, host_origin, region, row_pitch, slice_pitch,
         host_row_pitch, host_slice_pitch, data, num_waits, waits, event),
        check_range(queue, 1, buffer, NULL))
ENQUEUE(clEnqueueCopyBuffer,
        (cl_command_queue queue, cl_mem from, cl_mem to, size_t from_offset, size_t to_offset,
         size_t size, cl_uint num_waits, const cl_event *waits, cl_event *event),
        (queue, from, to, from_offset, to_offset, size, num_waits, waits, event),
        check_range(queue, size, from, to))
ENQUEUE(clEnqueueCopyBufferRect,
        (cl_command_queue queue, cl_mem from, cl_mem to, const size_t *from_origin,
         const size_t *to_origin, const size_t *region, size_t from_row_pitch,
         size_t from_slice_pitch, size_t to_row_pitch, size_t to_slice_pitch, cl_uint num_waits,
         const cl_event *waits, cl_event *event),
        (queue, from, to, from_origin, to_origin, region, from_row_pitch, from_slice_pitch,
         to_row_pitch, to_slice_pitch, num_waits, waits, event),
        check_range(queue, 1, from, to))
ENQUEUE(clEnqueueFillBuffer,
        (cl_command_queue queue, cl_mem buffer, const void *pattern, size_t pattern_size,
         size_t offset, size_t size, cl_uint num_waits, const cl_event *waits, cl_event *event),
        (queue, buffer, pattern, pattern_size, offset, size, num_waits, waits, event),
        check_range(queue, size, buffer, NULL))
COPY(clEnqueueReadImage,
     (cl_command_queue queue, cl_mem image, cl_bool blocking, const size_t *origin,
      const size_t *region, size_t row_pitch, size_t slice_pitch, void *data, cl_uint num_waits,
      const cl_event *waits, cl_event *event),
     (queue, image, blocking, origin, region, row_pitch, slice_pitch, data, num_waits, waits,
      event),
     CL_SUCCESS)
COPY(clEnqueueWriteImage,
     (cl_command_queue queue, cl_mem image, cl_bool blocking, const size_t *origin,
      const size_t *region, size_t row_pitch, size_t slice_pitch, const void *data,
      cl_uint num_waits, const cl_event *waits, cl_event *event),
     (queue, image, blocking, origin, region, row_pitch, slice_pitch, data, num_waits, waits,
      event),
     CL_SUCCESS)
ENQUEUE(clEnqueueCopyImage,
        (cl_command_queue queue, cl_mem from, cl_mem to, const size_t *from_origin,
         const size_t *to_origin, const size_t *region, cl_uint num_waits, const cl_event *waits,
         cl_event *event),
        (queue, from, to, from_origin, to_origin, region, num_waits, waits, event), CL_SUCCESS)
ENQUEUE(clEnqueueCopyImageToBuffer,
        (cl_command_queue queue, cl_mem from, cl_mem to, const size_t *origin, const size_t *region,
         size_t offset, cl_uint num_waits, const cl_event *waits, cl_event *event),
        (queue, from, to, origin, region, offset, num_waits, waits, event),
        check_range(queue, 1, to, NULL))
ENQUEUE(clEnqueueCopyBufferToImage,
        (cl_command_queue queue, cl_mem from, cl_mem to, size_t offset, const size_t *origin,
         const size_t *region, cl_uint num_waits, const cl_event *waits, cl_event *event),
        (queue, from, to, offset, origin, region, num_waits, waits, event),
        check_range(queue, 1, from, NULL))
ENQUEUE(clEnqueueFillImage,
        (cl_command_queue queue, cl_mem image, const void *color, const size_t *origin,
         const size_t *region, cl_uint num_waits, const cl_event *waits, cl_event *event),
        (queue, image, color, origin, region, num_waits, waits, event), CL_SUCCESS)
ENQUEUE(clEnqueueMigrateMemObjects,
        (cl_command_queue queue, cl_uint num_mems, const cl_mem *mems, cl_mem_migration_flags flags,
         cl_uint num_waits, const cl_event *waits, cl_event *event),
        (queue, num_mems, mems, flags, num_waits, waits, event), CL_SUCCESS)
ENQUEUE(clEnqueueMarkerWithWaitList,
        (cl_command_queue queue, cl_uint num_waits, const cl_event *waits, cl_event *event),
        (queue, num_waits, waits, event), CL_SUCCESS)
ENQUEUE(clEnqueueBarrierWithWaitList,
        (cl_command_queue queue, cl_uint num_waits, const cl_event *waits, cl_event *event),
        (queue, num_waits, waits, event), CL_SUCCESS)
ENQUEUE(clEnqueueMarker, (cl_command_queue queue, cl_event *event), (queue, event), CL_SUCCESS)

PASS(clEnqueueWaitForEvents, (cl_command_queue queue, cl_uint num_events, const cl_event *events),
     (queue, num_events, events), queue)
PASS(clEnqueueBarrier, (cl_command_queue queue), (queue), queue)

static bool group_fits(cl_command_queue queue, cl_uint dimensions, const size_t *local)
{
    if (!queue || !local)
        return true;
    const struct device *device = queue_device(queue);
    size_t size = 1;
    for (cl_uint i = 0; i < dimensions && i < 3; i++)
        size *= local[i];
    return !device || !device->caps.max_wg || size <= device->caps.max_wg;
}

/* OpenCL 3.0 §5.8.6: by its options. (pocl does not tell that of uniform work-groups.) */
static bool must_be_even(cl_kernel kernel, cl_device_id device)
{
    char options[256] = "";
    cl_program program = NULL;
    pocl->clGetKernelInfo(kernel, CL_KERNEL_PROGRAM, sizeof program, &program, NULL);
    pocl->clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_OPTIONS, sizeof options, options,
                                NULL);
    const char *std = strstr(options, "-cl-std=CL");
    return !std || !strncmp(std, "-cl-std=CL1", 11);
}

/* pocl has no groups that are smaller than others: it chooses itself then. */
static const size_t *even_local(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions,
                                const size_t *global, const size_t *local)
{
    const struct device *device = queue ? queue_device(queue) : NULL;
    bool even = true;
    for (cl_uint i = 0; global && local && i < dimensions && i < 3; i++)
        even &= !local[i] || global[i] % local[i] == 0;
    return even || !device || !device->caps.uneven || must_be_even(kernel, device->id) ? local
                                                                                       : NULL;
}

cl_int CL_API_CALL clEnqueueNDRangeKernel(cl_command_queue queue, cl_kernel kernel,
                                          cl_uint dimensions, const size_t *offset,
                                          const size_t *global, const size_t *local,
                                          cl_uint num_waits, const cl_event *waits, cl_event *event)
{
    cl_int err = call_begin(CALL_clEnqueueNDRangeKernel, devices_of(queue));
    if (err == CL_SUCCESS && !group_fits(queue, dimensions, local))
        err = CL_INVALID_WORK_GROUP_SIZE;
    if (err == CL_SUCCESS)
        err = check_launch(queue, kernel, dimensions, global);
    if (err != CL_SUCCESS)
        return err;
    struct waits list = stalled(queue, STALL_KERNELS, num_waits, waits);
    local = even_local(queue, kernel, dimensions, global, local);
    err = pocl->clEnqueueNDRangeKernel(queue, kernel, dimensions, offset, global, local, list.count,
                                       list.events, event);
    waits_finish(&list);
    return adopt_event(err, event);
}

cl_int CL_API_CALL clEnqueueTask(cl_command_queue queue, cl_kernel kernel, cl_uint num_waits,
                                 const cl_event *waits, cl_event *event)
{
    const size_t one = 1;
    cl_int err = call_begin(CALL_clEnqueueTask, devices_of(queue));
    if (err == CL_SUCCESS)
        err = check_launch(queue, kernel, 1, &one);
    if (err != CL_SUCCESS)
        return err;
    struct waits list = stalled(queue, STALL_KERNELS, num_waits, waits);
    err = pocl->clEnqueueTask(queue, kernel, list.count, list.events, event);
    waits_finish(&list);
    return adopt_event(err, event);
}

static bool runs_inline(cl_command_queue queue)
{
    cl_device_id id = NULL;
    pocl->clGetCommandQueueInfo(queue, CL_QUEUE_DEVICE, sizeof id, &id, NULL);
    const struct device *device = device_find(id);
    return device && device->caps.inline_native;
}

/* After what it has to wait for; its event is that of a marker. */
static cl_int run_inline(cl_command_queue queue, void(CL_CALLBACK *function)(void *),
                         const void *arguments, size_t size, cl_uint num_waits,
                         const cl_event *waits, cl_event *event)
{
    void *copy = malloc(size + 1);
    cl_int err = copy ? pocl->clFinish(queue) : CL_OUT_OF_HOST_MEMORY;
    if (err == CL_SUCCESS && num_waits)
        err = pocl->clWaitForEvents(num_waits, waits);
    if (err == CL_SUCCESS) {
        if (size)
            memcpy(copy, arguments, size);
        function(size ? copy : NULL);
        err = pocl->clEnqueueMarkerWithWaitList(queue, 0, NULL, event);
    }
    free(copy);
    return adopt_event(err, event);
}

cl_int CL_API_CALL clEnqueueNativeKernel(cl_command_queue queue,
                                         void(CL_CALLBACK *function)(void *), void *arguments,
                                         size_t size, cl_uint num_mems, const cl_mem *mems,
                                         const void **places, cl_uint num_waits,
                                         const cl_event *waits, cl_event *event)
{
    cl_int err = call_begin(CALL_clEnqueueNativeKernel, devices_of(queue));
    if (err != CL_SUCCESS)
        return err;
    if (!num_mems && runs_inline(queue))
        return run_inline(queue, function, arguments, size, num_waits, waits, event);
    struct waits list = stalled(queue, STALL_KERNELS, num_waits, waits);
    err = pocl->clEnqueueNativeKernel(queue, function, arguments, size, num_mems, mems, places,
                                      list.count, list.events, event);
    waits_finish(&list);
    return adopt_event(err, event);
}
